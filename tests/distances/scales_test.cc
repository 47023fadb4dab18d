// Goal: vectors of any size are ordered as their exact distances order them, and get the metric's own value where f32
// holds it: sums of squares and products that f32 or double cannot hold, differences that overflow, products of both
// signs that do, products that become 0. Method: sums in long double, which loses nothing of any of these, over vectors
// scaled by powers of two across the range of their type, and over vectors whose components are each of another size.
// Linked once with the kernels of this processor and once with emulated ones of all tiers. Random inputs; the seed is
// printed and RHUMB_SEED repeats it.
#include "tests/support/rows.h"
#include "tests/support/vectors.h"

extern "C" {
#include "distances/raw.h"
}

namespace {

using namespace vectors;

constexpr rhumb_metric SCALED_METRICS[] = {RHUMB_METRIC_L2SQ,   RHUMB_METRIC_L2, RHUMB_METRIC_IP,
                                           RHUMB_METRIC_COSINE, RHUMB_METRIC_L1, RHUMB_METRIC_JACCARD};

// The pairs of floats.
std::vector<Pair> float_pairs() {
    std::vector<Pair> pairs;
    for (rhumb_metric metric : SCALED_METRICS) {
        for (rhumb_element element : {F32, BF16, F16, F64}) {
            if (rhumb__metric_supports(metric, element)) pairs.push_back({metric, element});
        }
    }
    return pairs;
}

// The exponents of the smallest number and of the largest power of two.
struct Range {
    int low, high;
};

Range range_of(rhumb_element element) {
    if (element == F64) return {-1074, 1023};
    if (element == F16) return {-24, 15};
    return {element == BF16 ? -133 : -149, 127};
}

// What orders vectors, the metric's own value, and how far arithmetic may move either. Under ip the order is that of
// the dot product, of which the value, 1 - dot, may show nothing.
struct Exact {
    long double key, key_tolerance, value, value_tolerance;
};

Exact exact(const Pair &pair, uint32_t dim, const Bytes &a, const Bytes &b) {
    long double sum = 0, sizes = 0, other = 0, squares_a = 0, squares_b = 0;
    for (uint32_t i = 0; i < dim; i++) {
        const long double x = component(pair.element, a, i), y = component(pair.element, b, i), d = x - y;
        const bool is_product = pair.metric == RHUMB_METRIC_IP || pair.metric == RHUMB_METRIC_COSINE;
        const long double term = pair.metric == RHUMB_METRIC_L1        ? fabsl(d)
                                 : pair.metric == RHUMB_METRIC_JACCARD ? std::min(x, y)
                                 : is_product                          ? x * y
                                                                       : d * d;
        sum += term;
        sizes += fabsl(term);
        other += std::max(x, y);
        squares_a += x * x;
        squares_b += y * y;
    }
    /* Sums in f32 or double, then 2^-21 or 2^-17 of packing, 2^-13 beyond the range of double. */
    const long double in_f32 = (dim / 8.0L + 16) * 0x1p-24L;
    const long double roundoff = pair.element == F64 ? (dim + 16) * 0x1p-50L : in_f32, last = 0x1p-23L;
    long double packing = pair.element == F64 ? 0x1p-17L : 0x1p-21L;
    if (sizes > 0x1p1000L || sizes < 0x1p-440L) packing = 0x1p-12L;
    switch (pair.metric) {
    case RHUMB_METRIC_L2: {
        const long double root = sqrtl(sum);
        return {root, (roundoff + packing) * root, root, (roundoff + last) * root};
    }
    case RHUMB_METRIC_IP:
        return {-sum, roundoff * sizes + packing * fabsl(sum), 1 - sum, roundoff * (sizes + 1) + last * fabsl(1 - sum)};
    case RHUMB_METRIC_COSINE: {
        if (squares_a == 0 || squares_b == 0) return {1, 0, 1, 0};
        const long double norms = sqrtl(squares_a) * sqrtl(squares_b), distance = 1 - sum / norms;
        const long double tolerance = roundoff * (sizes / norms + 1) + last;
        return {distance, tolerance, distance, tolerance};
    }
    case RHUMB_METRIC_JACCARD: {
        const long double distance = other == 0 ? 0 : 1 - sum / other;
        return {distance, last, distance, last};
    }
    default: return {sum, (roundoff + packing) * sum, sum, (roundoff + last) * sum};
    }
}

// A row per vector of a few, and the check that all kernels order the others by their distance from the first.
class Rows {
  public:
    Rows(const Pair &pair, uint32_t dim) : pair_(pair), dim_(dim) {}

    void add(const std::vector<double> &values) {
        Bytes bytes;
        for (double value : values) append_number(&bytes, pair_.element, value);
        const rhumb__space space = space_for(RHUMB__SIMD_SCALAR, pair_.metric, dim_, pair_.element);
        rows_.emplace_back(space.row_bytes);
        ASSERT_EQ(rhumb__space_prepare(&space, bytes.data(), rows_.back().data()), RHUMB_OK);
        vectors_.push_back(std::move(bytes));
    }

    // Returns how many couples were far enough apart to have an order.
    size_t check(const std::string &what) const {
        size_t ordered = 0;
        std::vector<Exact> expected;
        std::vector<const void *> addresses;
        for (size_t i = 0; i < rows_.size(); i++) {
            expected.push_back(exact(pair_, dim_, vectors_[0], vectors_[i]));
            addresses.push_back(rows_[i].data());
        }
        for (rhumb__simd tier : tiers_to_test()) {
            const rhumb__space space = space_for(tier, pair_.metric, dim_, pair_.element);
            const std::string in = name_of(pair_) + " " + rhumb__simd_name(tier) + " " + what;
            std::vector<float> raw(rows_.size());
            space.distance_many(&space, addresses[0], addresses.data(), addresses.size(), raw.data());
            for (size_t i = 0; i < rows_.size(); i++) {
                EXPECT_EQ(bits_of(raw[i]), bits_of(space.distance(&space, addresses[0], addresses[i]))) << in;
                EXPECT_LE(std::fabs(raw[i]), FLT_MAX) << in;
                const long double most = FLT_MAX, value = std::max(-most, std::min(most, expected[i].value));
                EXPECT_NEAR(rhumb__space_finish(&space, raw[i]), value, expected[i].value_tolerance + 0x1p-149) << in;
                for (size_t j = 0; j < i; j++) {
                    const long double apart = expected[i].key - expected[j].key;
                    if (fabsl(apart) <= expected[i].key_tolerance + expected[j].key_tolerance) continue;
                    EXPECT_EQ(raw[i] < raw[j], apart < 0) << in << " rows " << j << " and " << i;
                    EXPECT_NE(raw[i], raw[j]) << in << " rows " << j << " and " << i;
                    ordered++;
                }
            }
        }
        return ordered;
    }

  private:
    Pair pair_;
    uint32_t dim_;
    std::vector<Bytes> vectors_;
    std::vector<GuardedBytes> rows_;
};

double random_number(Random &random, rhumb_metric metric) {
    const double size = 0.25 + 0.75 * random.uniform();
    return metric != RHUMB_METRIC_JACCARD && random() % 2 == 0 ? -size : size;
}

TEST(Scales, NoScaleChangesTheOrder) {
    Random random(choose_seed());
    for (const Pair &pair : float_pairs()) {
        const Range range = range_of(pair.element);
        for (int scale = range.low + 4; scale <= range.high; scale += pair.element == F64 ? 31 : 3) {
            const uint32_t dim = 1 + static_cast<uint32_t>(random() % 70);
            Rows rows(pair, dim);
            for (int i = 0; i < 7; i++) {
                std::vector<double> values(dim);
                for (double &value : values)
                    value = random() % 4 == 0 ? 0.0 : std::ldexp(random_number(random, pair.metric), scale);
                ASSERT_NO_FATAL_FAILURE(rows.add(values));
            }
            const size_t ordered = rows.check("scaled by 2^" + std::to_string(scale) + " dim " + std::to_string(dim));
            ASSERT_FALSE(HasFailure());
            if (dim > 8 && scale > range.low + 20) {
                EXPECT_GT(ordered, 0u) << name_of(pair) << " " << scale;
            }
        }
    }
}

// One component may be huge and the others tiny, the query small and the rows large, and the other way round.
TEST(Scales, ComponentsOfEverySizeInOneVector) {
    Random random(choose_seed());
    for (const Pair &pair : float_pairs()) {
        const Range range = range_of(pair.element);
        const auto span = static_cast<uint64_t>(range.high - range.low + 1);
        for (int round = 0; round < 60; round++) {
            const uint32_t dim = 1 + static_cast<uint32_t>(random() % 40);
            const bool narrow = random() % 2 == 0;
            Rows rows(pair, dim);
            for (int i = 0; i < 7; i++) {
                const int middle = range.low + static_cast<int>(random() % span);
                std::vector<double> values(dim);
                for (double &value : values) {
                    const int exponent = narrow ? middle + static_cast<int>(random() % 9) - 4
                                                : range.low + static_cast<int>(random() % span);
                    value = std::ldexp(random_number(random, pair.metric), std::min(exponent, range.high));
                }
                ASSERT_NO_FATAL_FAILURE(rows.add(values));
            }
            rows.check("round " + std::to_string(round) + " dim " + std::to_string(dim));
            ASSERT_FALSE(HasFailure());
        }
    }
}

// Vectors that differ little, so that only differences are small, and a vector and itself.
TEST(Scales, DifferencesFarSmallerThanTheVectors) {
    Random random(choose_seed());
    for (const Pair &pair : float_pairs()) {
        if (pair.metric == RHUMB_METRIC_IP || pair.metric == RHUMB_METRIC_COSINE) continue;
        const Range range = range_of(pair.element);
        for (int scale = range.low + 30; scale <= range.high; scale += pair.element == F64 ? 97 : 7) {
            constexpr uint32_t dim = 19;
            Rows rows(pair, dim);
            std::vector<double> query(dim);
            for (double &value : query) value = std::ldexp(random_number(random, pair.metric), scale);
            for (int i = 0; i < 7; i++) {
                std::vector<double> values = query;
                const double share = i == 0 ? 0 : std::ldexp(random.uniform(), i % 2 == 0 ? -20 : -4);
                for (double &value : values) value *= 1 - share * random.uniform();
                ASSERT_NO_FATAL_FAILURE(rows.add(values));
            }
            ASSERT_NO_FATAL_FAILURE(rows.add(query));
            rows.check("scaled by 2^" + std::to_string(scale));
            ASSERT_FALSE(HasFailure());
        }
    }
}

TEST(Scales, ProductsOfBothSignsThatOverflowHaveTheSignOfTheirSum) {
    for (rhumb_element element : {F32, BF16, F64}) {
        const double huge = element == F64 ? 0x1p1023 : 0x1p127;
        for (uint32_t dim : {3u, 8u, 17u, 64u, 100u}) {
            for (double sign : {1.0, -1.0}) {
                std::vector<double> query(dim, huge), row(dim);
                for (uint32_t i = 0; i < dim; i++) row[i] = sign * (i % 3 == 1 ? -huge : huge);
                Rows rows({RHUMB_METRIC_IP, element}, dim);
                rows.add(query);
                rows.add(row);
                EXPECT_GT(rows.check("both signs"), 0u);
            }
        }
    }
}

// A product that f32 or double cannot hold is not the 0 that a sparse vector has.
TEST(Scales, ProductsThatUnderflowAreNotZero) {
    for (rhumb_element element : {F32, BF16, F64}) {
        const double small = element == F64 ? 1e-300 : 1e-30;
        for (uint32_t dim : {1u, 8u, 33u, 100u}) {
            for (double of_query : {small, -small}) {
                Rows rows({RHUMB_METRIC_IP, element}, dim);
                std::vector<double> values(dim, 0.0);
                for (double first : {of_query, 0.0, small, -small, 3 * small, -3 * small}) {
                    values[dim - 1] = first;
                    rows.add(values);
                }
                EXPECT_GT(rows.check("underflow"), 0u);
            }
        }
    }
}

TEST(Scales, ZeroSumsAreZero) {
    for (const Pair &pair : float_pairs()) {
        constexpr uint32_t dim = 40;
        const double tiny = std::ldexp(1.0, range_of(pair.element).low);
        for (double size : {1.0, tiny}) {
            Bytes a, b, zero;
            for (uint32_t i = 0; i < dim; i++) {
                append_number(&a, pair.element, i % 2 == 0 ? size : 0.0);
                append_number(&b, pair.element, i % 2 == 0 ? 0.0 : size);
                append_number(&zero, pair.element, pair.metric == RHUMB_METRIC_JACCARD ? 0.0 : -0.0);
            }
            for (rhumb__simd tier : tiers_to_test()) {
                const rhumb__space space = space_for(tier, pair.metric, dim, pair.element);
                const GuardedBytes row_a(space.row_bytes), row_b(space.row_bytes), row_zero(space.row_bytes);
                ASSERT_EQ(rhumb__space_prepare(&space, a.data(), row_a.data()), RHUMB_OK);
                ASSERT_EQ(rhumb__space_prepare(&space, b.data(), row_b.data()), RHUMB_OK);
                ASSERT_EQ(rhumb__space_prepare(&space, zero.data(), row_zero.data()), RHUMB_OK);
                const bool is_product = pair.metric == RHUMB_METRIC_IP || pair.metric == RHUMB_METRIC_COSINE;
                const float disjoint = space.distance(&space, row_a.data(), row_b.data());
                const float same = space.distance(&space, row_zero.data(), row_zero.data());
                if (pair.metric == RHUMB_METRIC_IP) {
                    EXPECT_EQ(disjoint, 0.0f) << name_of(pair);
                }
                EXPECT_EQ(rhumb__space_finish(&space, same), is_product ? 1.0f : 0.0f) << name_of(pair);
            }
        }
    }
}

// The squares of 64-bit integers are beyond f32 and their order is not.
TEST(Scales, IntegersBeyondF32KeepTheirOrder) {
    for (rhumb_metric metric : {RHUMB_METRIC_L2SQ, RHUMB_METRIC_L2, RHUMB_METRIC_IP, RHUMB_METRIC_L1}) {
        constexpr uint32_t dim = 64;
        Rows rows({metric, I64}, dim);
        rows.add(std::vector<double>(dim, -0x1p62));
        for (int i = 0; i < 9; i++) rows.add(std::vector<double>(dim, 0x1p62 + i * 0x1p57));
        EXPECT_GT(rows.check("large"), 0u);
    }
}

} // namespace
