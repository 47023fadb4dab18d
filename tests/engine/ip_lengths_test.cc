// Goal: under ip, vectors of unequal lengths are found as well as others are: the nearest by a narrow search, all that
// a wide one asks for, and hardly any that no path leads to. Method: Gaussian directions with log-normal lengths,
// Gaussian vectors, a few far longer than the rest, vectors of length 1 and zero vectors; answers compared with an
// exact search. Random vectors; the seed is printed and RHUMB_SEED repeats it.
#include <cmath>

#include "tests/support/index_test_support.h"
#include "tests/support/seed.h"

namespace {

using namespace index_test;

constexpr size_t kCount = 4000;
constexpr double kGaussian = -1; // lengths as they come

// Vectors whose lengths are exp(N(0, sigma)), 1 for a sigma of 0.
Vectors vectors_of_lengths(size_t count, uint32_t dim, double sigma, uint64_t seed) {
    Vectors vectors = random_vectors(count, dim, seed);
    std::mt19937_64 random(seed + 1);
    std::normal_distribution<double> normal;
    for (size_t i = 0; i < count && sigma != kGaussian; i++) {
        double squares = 0;
        for (uint32_t d = 0; d < dim; d++) squares += static_cast<double>(vectors.row(i)[d]) * vectors.row(i)[d];
        const double factor = std::exp(sigma * normal(random)) / std::sqrt(squares);
        for (uint32_t d = 0; d < dim; d++) vectors.row(i)[d] *= static_cast<float>(factor);
    }
    return vectors;
}

class IpLengths : public ::testing::Test {
  protected:
    Index index_of(const Vectors &vectors, rhumb_metric metric = RHUMB_METRIC_IP) {
        Index index = create(directory_.file(std::to_string(file_count_++)), index_options(vectors.dim, metric));
        insert_all(index, vectors);
        return index;
    }

    // As many answers as a wide search asks for.
    static void expect_all_answers(const Index &index, const Vectors &queries, size_t k) {
        for (size_t i = 0; i < queries.count(); i++) EXPECT_EQ(search(index, queries.row(i), k).found_count, k);
    }

    ScratchDirectory directory_;
    int file_count_ = 0;
    const uint64_t seed_ = choose_seed();
};

TEST_F(IpLengths, VectorsOfUnequalLengthsAreFound) {
    const struct {
        uint32_t dim;
        double sigma;
    } cases[] = {{16, 0.5}, {16, 1.5}, {64, kGaussian}, {128, 0.5}, {128, 1.5}};
    for (const auto &c : cases) {
        SCOPED_TRACE("dim " + std::to_string(c.dim) + " sigma " + std::to_string(c.sigma));
        const Index index = index_of(vectors_of_lengths(kCount, c.dim, c.sigma, seed_));
        const Vectors queries = vectors_of_lengths(200, c.dim, c.sigma, seed_ + 10);
        EXPECT_GE(recall(index, queries, 10, 100), 0.95);
        EXPECT_GE(recall(index, queries, 400, 400), 0.95) << "the k nearest, most of them short";
        expect_all_answers(index, queries, 400);
        expect_sound(index);
    }
}

// They are among the ten nearest of nearly all queries, and by the linking distance far from all but each other.
TEST_F(IpLengths, AFewFarLongerVectorsAreFound) {
    for (const float factor : {10.0f, 1000.0f}) {
        SCOPED_TRACE("times " + std::to_string(factor));
        Vectors vectors = random_vectors(3 * kCount, 24, seed_);
        for (size_t i = 50; i < vectors.count(); i += 100) {
            for (uint32_t d = 0; d < 24; d++) vectors.row(i)[d] *= factor;
        }
        const Index index = index_of(vectors);
        EXPECT_GE(recall(index, random_vectors(200, 24, seed_ + 10), 10, 100), 0.95);
        EXPECT_LE(expect_sound(index).unreachable_count, kCount / 1000);
    }
}

TEST_F(IpLengths, OrderOfInsertionByLengthDoesNotMatter) {
    Vectors ascending = vectors_of_lengths(kCount, 32, 0, seed_);
    Vectors descending = ascending;
    for (size_t i = 0; i < kCount; i++) {
        const auto factor = static_cast<float>(std::exp(4.0 * static_cast<double>(i) / kCount - 2.0));
        for (uint32_t d = 0; d < 32; d++) {
            ascending.row(i)[d] *= factor;
            descending.row(kCount - 1 - i)[d] *= factor;
        }
    }
    const Vectors queries = random_vectors(200, 32, seed_ + 10);
    for (const Vectors *vectors : {&ascending, &descending}) {
        const Index index = index_of(*vectors);
        EXPECT_GE(recall(index, queries, 10, 100), 0.95);
        expect_sound(index);
    }
}

TEST_F(IpLengths, ZeroVectorsHideNoOthers) {
    Vectors vectors = vectors_of_lengths(kCount, 32, 1.0, seed_);
    std::mt19937_64 random(seed_ + 2);
    for (size_t i = 0; i < kCount; i++) {
        if (random() % 10 >= 3) continue;
        for (uint32_t d = 0; d < 32; d++) vectors.row(i)[d] = 0.0f;
    }
    const Index index = index_of(vectors);
    const Vectors queries = vectors_of_lengths(200, 32, 1.0, seed_ + 10);
    EXPECT_GE(recall(index, queries, 10, 100), 0.95);
    expect_all_answers(index, queries, 400);
}

// The linking distance orders vectors of one length as ip does, and cosine links by itself.
TEST_F(IpLengths, VectorsOfOneLengthAreFoundAsUnderCosine) {
    const Vectors vectors = vectors_of_lengths(kCount, 32, 0, seed_);
    const Vectors queries = vectors_of_lengths(300, 32, 0, seed_ + 10);
    const Index ip = index_of(vectors), cosine = index_of(vectors, RHUMB_METRIC_COSINE);
    for (uint32_t ef : {20u, 50u}) {
        EXPECT_NEAR(recall(ip, queries, 10, ef), recall(cosine, queries, 10, ef), 0.01);
    }
}

TEST_F(IpLengths, CompactionKeepsRecall) {
    const Index index = index_of(vectors_of_lengths(kCount, 32, 1.0, seed_));
    for (uint64_t key = 0; key < kCount; key += 3) EXPECT_OK(rhumb_index_delete(index.get(), key));
    EXPECT_OK(rhumb_index_compact(index.get(), nullptr, nullptr, 0));
    const Vectors queries = vectors_of_lengths(200, 32, 1.0, seed_ + 10);
    EXPECT_GE(recall(index, queries, 10, 100), 0.95);
    expect_all_answers(index, queries, 400);
    expect_sound(index);
}

// Links are chosen by another distance than the one that callers see.
TEST_F(IpLengths, NeighboursAreShownWithInnerProducts) {
    const Vectors vectors = vectors_of_lengths(500, 8, 1.0, seed_);
    const Index index = index_of(vectors);
    for (uint64_t key = 0; key < vectors.count(); key += 50) {
        uint64_t keys[64];
        float distances[64];
        size_t count = 0;
        EXPECT_OK(rhumb_index_neighbours(index.get(), key, 0, keys, distances, 64, &count));
        EXPECT_GT(count, 0u);
        for (size_t i = 0; i < count; i++) {
            const float *a = vectors.row(key), *b = vectors.row(keys[i]);
            EXPECT_NEAR(distances[i], true_distance(RHUMB_METRIC_IP, 8, a, b), tolerance(RHUMB_METRIC_IP, 8, a, b));
            EXPECT_LE(distances[i > 0 ? i - 1 : 0], distances[i]);
        }
    }
}

} // namespace
