// Goal: an index of vectors scaled by a power of two, however large or small, finds the neighbours that it finds
// unscaled, by walks, exact searches and within a radius, with distances scaled alike where f32 holds them. Method: the
// same generated vectors at scale 1 and near the ends of their type's range, against an order computed in long double.
// Random inputs; the seed is printed and RHUMB_SEED repeats it.
#include <algorithm>

#include "tests/support/index_test_support.h"
#include "tests/support/sanitized.h"
#include "tests/support/vectors.h"

namespace {

using namespace index_test;
using namespace vectors;

// Searches are not what sanitizers look for here.
constexpr size_t COUNT = rhumb_test::kSanitized ? 200 : 600, QUERY_COUNT = rhumb_test::kSanitized ? 10 : 30, K = 10;
constexpr uint32_t DIM = 12, EF = 80;

struct Case {
    Pair pair;
    int power; /* of the scale, in the distances: 2 for squares and products, 0 for ratios */
    std::vector<int> exponents;
};

const std::vector<int> OF_F32 = {-120, -83, 83, 122}, OF_F64 = {-900, -520, -83, 83, 520, 1018};

const Case CASES[] = {
    {{RHUMB_METRIC_L2, F32}, 1, OF_F32},      {{RHUMB_METRIC_L2SQ, F32}, 2, OF_F32},
    {{RHUMB_METRIC_IP, F32}, 2, OF_F32},      {{RHUMB_METRIC_COSINE, F32}, 0, OF_F32},
    {{RHUMB_METRIC_L1, F32}, 1, OF_F32},      {{RHUMB_METRIC_JACCARD, F32}, 0, OF_F32},
    {{RHUMB_METRIC_L2, BF16}, 1, OF_F32},     {{RHUMB_METRIC_IP, BF16}, 2, OF_F32},
    {{RHUMB_METRIC_COSINE, BF16}, 0, OF_F32}, {{RHUMB_METRIC_L2, F64}, 1, OF_F64},
    {{RHUMB_METRIC_L2SQ, F64}, 2, OF_F64},    {{RHUMB_METRIC_IP, F64}, 2, OF_F64},
    {{RHUMB_METRIC_COSINE, F64}, 0, OF_F64},  {{RHUMB_METRIC_L1, F64}, 1, OF_F64},
};

using Values = std::vector<std::vector<double>>;

// Rounded to eight bits, which all these types hold at every scale.
Values generate(Random &random, const Pair &pair, size_t count) {
    Values vectors(count, std::vector<double>(DIM));
    for (std::vector<double> &vector : vectors) {
        for (double &value : vector) {
            value = std::nearbyint(random.uniform() * 255) / 256;
            if (pair.metric != RHUMB_METRIC_JACCARD && random() % 2 == 0) value = -value;
            if (pair.metric == RHUMB_METRIC_JACCARD && random() % 3 == 0) value = 0;
        }
    }
    return vectors;
}

Bytes scaled(const Pair &pair, const std::vector<double> &vector, int exponent) {
    Bytes bytes;
    for (double value : vector) append_number(&bytes, pair.element, std::ldexp(value, exponent));
    return bytes;
}

// What orders vectors unscaled; of ip the part of the distance that scales.
double key_of(rhumb_metric metric, const std::vector<double> &a, const std::vector<double> &b) {
    double squares = 0, sizes = 0, dot = 0, least = 0, most = 0, squares_a = 0, squares_b = 0;
    for (size_t i = 0; i < DIM; i++) {
        squares += (a[i] - b[i]) * (a[i] - b[i]);
        sizes += std::fabs(a[i] - b[i]);
        dot += a[i] * b[i];
        least += std::min(a[i], b[i]);
        most += std::max(a[i], b[i]);
        squares_a += a[i] * a[i];
        squares_b += b[i] * b[i];
    }
    switch (metric) {
    case RHUMB_METRIC_L2: return std::sqrt(squares);
    case RHUMB_METRIC_L2SQ: return squares;
    case RHUMB_METRIC_IP: return -dot;
    case RHUMB_METRIC_L1: return sizes;
    case RHUMB_METRIC_JACCARD: return 1 - least / most;
    default: return 1 - dot / std::sqrt(squares_a * squares_b);
    }
}

// The distance that a key becomes at a scale, as f32 holds it.
double distance_of(const Case &each, double key, int exponent) {
    const long double at_scale = std::ldexp(static_cast<long double>(key), each.power * exponent);
    const long double value = each.pair.metric == RHUMB_METRIC_IP ? 1 + at_scale : at_scale, most = FLT_MAX;
    return static_cast<double>(std::max(-most, std::min(most, value)));
}

class Scaled {
  public:
    Scaled(const Case &each, Random &random)
        : each_(each), vectors_(generate(random, each.pair, COUNT)),
          queries_(generate(random, each.pair, QUERY_COUNT)) {
        for (const std::vector<double> &query : queries_) {
            std::vector<double> keys;
            for (const std::vector<double> &vector : vectors_) keys.push_back(key_of(each.pair.metric, query, vector));
            std::sort(keys.begin(), keys.end());
            truth_.push_back(std::move(keys));
        }
    }

    // Checks exact searches and those within a radius; returns how many of all neighbours walks find.
    size_t check(const Index &index, int exponent) const {
        size_t found_by_walks = 0;
        for (size_t q = 0; q < queries_.size(); q++) {
            const Bytes query = scaled(each_.pair, queries_[q], exponent);
            Answer answer = {std::vector<uint64_t>(K), std::vector<float>(K)};
            EXPECT_OK(rhumb_index_search_exact(index.get(), query.data(), 1, K, nullptr, answer.keys.data(),
                                               answer.distances.data(), &answer.found_count));
            EXPECT_EQ(answer.found_count, K);
            EXPECT_EQ(neighbours(q, answer), K) << "exact";
            check_distances(q, answer, exponent);
            check_radius(index, query, answer.distances[K - 1]);
            const rhumb_search_options options = search_options(EF);
            EXPECT_OK(rhumb_index_search(index.get(), query.data(), K, &options, answer.keys.data(),
                                         answer.distances.data(), &answer.found_count));
            EXPECT_EQ(answer.found_count, K);
            found_by_walks += neighbours(q, answer);
        }
        return found_by_walks;
    }

    Index build(const std::string &path, int exponent) const {
        rhumb_index_options options = index_options(DIM, each_.pair.metric);
        options.element = each_.pair.element;
        Bytes matrix;
        for (const std::vector<double> &vector : vectors_) {
            const Bytes bytes = scaled(each_.pair, vector, exponent);
            matrix.insert(matrix.end(), bytes.begin(), bytes.end());
        }
        Index index = create_with_durability(path, options, RHUMB_DURABILITY_NONE);
        rhumb_batch_options batch;
        rhumb_batch_options_init(&batch, sizeof batch);
        batch.thread_count = 1;
        EXPECT_OK(rhumb_index_insert_batch(index.get(), nullptr, matrix.data(), COUNT, &batch, nullptr));
        return index;
    }

  private:
    // How many of the answers are as near as the K nearest, up to what packing and rounding cannot tell.
    size_t neighbours(size_t q, const Answer &answer) const {
        size_t count = 0;
        const double bound = truth_[q][K - 1] + 2e-4 * std::fabs(truth_[q][K - 1]);
        for (uint64_t key : answer.keys)
            count += key < COUNT && key_of(each_.pair.metric, queries_[q], vectors_[key]) <= bound;
        return count;
    }

    void check_distances(size_t q, const Answer &answer, int exponent) const {
        for (size_t i = 0; i < answer.found_count; i++) {
            const double key = key_of(each_.pair.metric, queries_[q], vectors_[answer.keys[i]]);
            const double expected = distance_of(each_, key, exponent);
            EXPECT_NEAR(answer.distances[i], expected,
                        2e-6 * (std::fabs(expected) + (each_.power == 0 ? 1 : 0)) + 1e-44);
        }
    }

    void check_radius(const Index &index, const Bytes &query, float radius) const {
        if (each_.pair.metric == RHUMB_METRIC_IP || radius == 0.0f || radius == FLT_MAX) return;
        std::vector<uint64_t> keys(COUNT);
        std::vector<float> distances(COUNT);
        size_t found_count = 0;
        EXPECT_OK(rhumb_index_search_radius(index.get(), query.data(), radius, COUNT, nullptr, keys.data(),
                                            distances.data(), &found_count));
        EXPECT_GE(found_count, K - 1);
        EXPECT_LE(found_count, K + 2); /* as many may be equally far */
        for (size_t i = 0; i < found_count; i++) EXPECT_LE(distances[i], radius);
    }

    Case each_;
    Values vectors_, queries_;
    std::vector<std::vector<double>> truth_;
};

TEST(IndexOfScaledVectors, FindsTheNeighboursThatItFindsUnscaled) {
    Random random(choose_seed());
    const ScratchDirectory directory;
    for (const Case &each : CASES) {
        const Scaled vectors(each, random);
        const std::string name = name_of(each.pair);
        const size_t unscaled = vectors.check(vectors.build(directory.file(name), 0), 0);
        EXPECT_GE(unscaled, QUERY_COUNT * K * 9 / 10) << name;
        for (int exponent : each.exponents) {
            SCOPED_TRACE(name + " scaled by 2^" + std::to_string(exponent));
            const std::string path = directory.file(name + std::to_string(exponent));
            EXPECT_GE(vectors.check(vectors.build(path, exponent), exponent) + QUERY_COUNT * K / 50, unscaled);
            ASSERT_FALSE(HasFailure());
        }
    }
}

} // namespace
