// Goal: for every pair of metric and element type, and in every tier, the kernels compute the formula in the manual,
// read no byte after a row, are symmetric, give zero for a vector and itself, keep the triangle inequality where the
// metric is a true one, do not overflow, and return no NaN for the bytes of a damaged file. Method: a reference in
// extended precision, written from the formulas alone; rows that end at an inaccessible page. f32 under l2sq, l2, ip
// and cosine is also tested by kernels_test.cc and extremes_test.cc. Linked once with the kernels of this processor and
// once with emulated ones of all tiers. Random inputs; the seed is printed and RHUMB_SEED repeats it. With
// RHUMB_ALL_DIMS set every dimension to 2,048 is measured, with RHUMB_FEW_DIMS or a sanitizer a small sample, else a
// larger one.
#include <algorithm>
#include <functional>
#include <limits>

#include "tests/support/rows.h"
#include "tests/support/sanitized.h"
#include "tests/support/vectors.h"

extern "C" {
#include "base/status.h"
#include "distances/element.h"
}

namespace {

using namespace vectors;

void fill_row(const rhumb__space &space, const Vector &vector, const GuardedBytes &row) {
    ASSERT_EQ(rhumb__space_prepare(&space, vector.data(), row.data()), RHUMB_OK) << rhumb__error_last()->message;
}

// ---- the reference ----

double edit_distance(rhumb_element element, const Bytes &a, const Bytes &b) {
    const size_t bytes = rhumb__element_bits(element) / 8, rows = a.size() / bytes, columns = b.size() / bytes;
    std::vector<uint32_t> above(columns + 1);
    for (size_t j = 0; j <= columns; j++) above[j] = static_cast<uint32_t>(j);
    for (size_t i = 1; i <= rows; i++) {
        uint32_t diagonal = above[0];
        above[0] = static_cast<uint32_t>(i);
        for (size_t j = 1; j <= columns; j++) {
            const bool same = memcmp(&a[(i - 1) * bytes], &b[(j - 1) * bytes], bytes) == 0;
            const uint32_t replaced = diagonal + (same ? 0 : 1);
            diagonal = above[j];
            above[j] = std::min({replaced, above[j] + 1, above[j - 1] + 1});
        }
    }
    return above[columns];
}

// The value by the formula, and the largest error that arithmetic may make: of the last rounding to f32, and of sums in
// double, or in f32 where f16, bf16 and f32 are measured so.
Reference reference_of(const Pair &pair, uint32_t dim, const Bytes &a, const Bytes &b) {
    if (pair.metric == RHUMB_METRIC_LEVENSHTEIN) return {edit_distance(pair.element, a, b), 0};
    long double sum = 0, sizes = 0, other = 0, squares_a = 0, squares_b = 0;
    for (uint32_t i = 0; i < dim; i++) {
        const long double x = component(pair.element, a, i), y = component(pair.element, b, i), d = x - y;
        long double term = 0;
        switch (pair.metric) {
        case RHUMB_METRIC_L1: term = fabsl(d); break;
        case RHUMB_METRIC_L2SQ:
        case RHUMB_METRIC_L2: term = d * d; break;
        case RHUMB_METRIC_IP:
        case RHUMB_METRIC_COSINE: term = x * y; break;
        case RHUMB_METRIC_HAMMING: term = x != y; break;
        case RHUMB_METRIC_JACCARD: term = std::min(x, y); break;
        case RHUMB_METRIC_HELLINGER: term = sqrtl(x * y); break;
        case RHUMB_METRIC_JEFFREYS: term = d * logl(std::max(x, 1e-30L) / std::max(y, 1e-30L)); break;
        case RHUMB_METRIC_JENSEN_SHANNON:
            term = (x > 0 ? x * logl(2 * x / (x + y)) : 0) + (y > 0 ? y * logl(2 * y / (x + y)) : 0);
            break;
        default: break;
        }
        sum += term;
        sizes += fabsl(term);
        other += std::max(x, y);
        squares_a += x * x;
        squares_b += y * y;
    }
    const bool in_f32 = is_float(pair.element) && rhumb__element_bits(pair.element) <= 32;
    const double roundoff = in_f32 ? (dim / 8.0 + 16) * 0x1p-24 : (dim + 16) * 0x1p-50;
    const double last = 0x1p-23;
    const auto value = static_cast<double>(sum), size = static_cast<double>(sizes);
    switch (pair.metric) {
    case RHUMB_METRIC_L2: {
        const double root = std::sqrt(value);
        return {root, (roundoff + last) * root};
    }
    case RHUMB_METRIC_IP: return {1 - value, roundoff * (size + 1) + last * std::fabs(1 - value)};
    case RHUMB_METRIC_COSINE: {
        if (squares_a == 0 || squares_b == 0) return {1, 0};
        const auto norms = static_cast<double>(sqrtl(squares_a) * sqrtl(squares_b));
        return {1 - static_cast<double>(sum / (sqrtl(squares_a) * sqrtl(squares_b))),
                roundoff * (size / norms + 1) + last};
    }
    case RHUMB_METRIC_HAMMING: return {value / dim, last};
    case RHUMB_METRIC_JACCARD: return {other == 0 ? 0 : static_cast<double>(1 - sum / other), last};
    case RHUMB_METRIC_HELLINGER: {
        // rhumb sums squares of differences of roots, which is the same for probabilities; these sum to 1 as exactly as
        // their type lets them.
        const double root = std::sqrt(std::max(0.0, static_cast<double>(1 - sum)));
        const double imprecision = pair.element == F32 ? 1e-6 : 1e-13;
        return {root, root < 1e-3 ? std::sqrt(imprecision) : imprecision / root + last};
    }
    case RHUMB_METRIC_JENSEN_SHANNON: {
        const double root = std::sqrt(std::max(0.0, static_cast<double>(sum / 2)));
        return {root, 1e-6};
    }
    default: return {value, (roundoff + last) * size};
    }
}

std::vector<uint32_t> dims_to_test(Random &random) {
    const bool few = getenv("RHUMB_FEW_DIMS") != nullptr || rhumb_test::kSanitized;
    std::vector<uint32_t> dims;
    const uint32_t last = getenv("RHUMB_ALL_DIMS") != nullptr ? 2048 : few ? 70 : 130;
    for (uint32_t dim = 1; dim <= last; dim++) dims.push_back(dim);
    if (few) dims.insert(dims.end(), {127, 128, 129, 131 + static_cast<uint32_t>(random() % 200)});
    if (few) return dims;
    for (int i = 0; i < 6; i++) dims.push_back(131 + static_cast<uint32_t>(random() % 1917));
    dims.push_back(2047);
    dims.push_back(2048);
    return dims;
}

// Sequences are compared cell by cell here, which is slow.
bool too_slow(const Pair &pair, uint32_t dim) { return pair.metric == RHUMB_METRIC_LEVENSHTEIN && dim > 700; }

using Check = std::function<void(const Pair &pair, const rhumb__space &space, const std::string &what)>;

void for_each_pair_and_tier(uint32_t dim, const Check &check) {
    for (const Pair &pair : all_pairs()) {
        for (rhumb__simd tier : tiers_to_test()) {
            const rhumb__space space = space_for(tier, pair.metric, dim, pair.element);
            check(pair, space, name_of(pair) + " " + rhumb__simd_name(tier) + " dim " + std::to_string(dim));
            if (testing::Test::HasFatalFailure()) return;
        }
    }
}

// Values that f32 cannot hold become the largest distance.
double in_range(double value) { return std::min(std::max(value, -double{FLT_MAX}), double{FLT_MAX}); }

float distance(const rhumb__space &space, const void *a, const void *b) {
    return rhumb__space_finish(&space, space.distance(&space, a, b));
}

bool is_true_metric(rhumb_metric metric) {
    return metric != RHUMB_METRIC_L2SQ && metric != RHUMB_METRIC_IP && metric != RHUMB_METRIC_COSINE &&
           metric != RHUMB_METRIC_JEFFREYS;
}

// ---- tests ----

TEST(Metrics, HaveKernelsInEveryTierForTheSamePairs) {
    for (int i = 1; rhumb__metric_name(static_cast<rhumb_metric>(i)) != nullptr; i++) {
        const auto metric = static_cast<rhumb_metric>(i);
        for (rhumb_element element : all_elements()) {
            const bool expected = rhumb__metric_supports(metric, element);
            for (rhumb__simd tier : tiers_to_test()) {
                EXPECT_EQ(rhumb__kernels_for(tier, metric, element) != nullptr, expected) << name_of({metric, element});
            }
            if (metric == RHUMB_METRIC_CUSTOM) continue;
            rhumb__space space;
            EXPECT_EQ(space_init(&space, metric, element, 9), expected ? RHUMB_OK : RHUMB_E_UNSUPPORTED);
        }
    }
}

TEST(Metrics, AgreeWithTheReferenceAreSymmetricAndZeroForAVectorAndItself) {
    Random random(choose_seed());
    for (uint32_t dim : dims_to_test(random)) {
        for (const Pair &pair : all_pairs()) {
            if (too_slow(pair, dim)) continue;
            rhumb__space space = space_for(RHUMB__SIMD_SCALAR, pair.metric, dim, pair.element);
            const Vector a = random_vector_of(random, pair, dim), b = random_vector_of(random, pair, dim);
            const Reference expected = reference_of(pair, dim, a.components, b.components);
            const GuardedBytes row_a(space.row_bytes), row_b(space.row_bytes), again(space.row_bytes);
            fill_row(space, a, row_a);
            fill_row(space, b, row_b);
            fill_row(space, a, again);
            for (rhumb__simd tier : tiers_to_test()) {
                const rhumb__kernels *kernels = rhumb__kernels_for(tier, pair.metric, pair.element);
                space.distance = kernels->distance;
                const std::string what = name_of(pair) + " " + rhumb__simd_name(tier) + " dim " + std::to_string(dim);
                const float found = distance(space, row_a.data(), row_b.data());
                ASSERT_NEAR(found, in_range(expected.value), expected.tolerance + 1e-38) << what;
                ASSERT_EQ(bits_of(found), bits_of(distance(space, row_b.data(), row_a.data()))) << what;
                if (pair.metric == RHUMB_METRIC_IP) continue;
                const float same = distance(space, row_a.data(), again.data());
                if (pair.metric != RHUMB_METRIC_COSINE) {
                    ASSERT_EQ(same, 0.0f) << what;
                } else {
                    const Reference itself = reference_of(pair, dim, a.components, a.components);
                    ASSERT_NEAR(same, itself.value, itself.tolerance) << what;
                }
            }
        }
    }
}

TEST(Metrics, GiveTheSameBitsForOneRowAndForMany) {
    Random random(choose_seed());
    for (uint32_t dim : {1u, 17u, 64u, 100u, 333u}) {
        for_each_pair_and_tier(dim, [&](const Pair &pair, const rhumb__space &space, const std::string &what) {
            std::vector<GuardedBytes> rows;
            std::vector<const void *> addresses;
            for (int i = 0; i < 7; i++) {
                rows.emplace_back(space.row_bytes);
                fill_row(space, random_vector_of(random, pair, dim), rows.back());
                addresses.push_back(rows.back().data());
            }
            for (size_t count = 0; count <= rows.size(); count++) {
                GuardedBytes distances(count * sizeof(float));
                space.distance_many(&space, addresses[0], addresses.data(), count, distances.floats());
                for (size_t i = 0; i < count; i++) {
                    ASSERT_EQ(bits_of(distances.floats()[i]),
                              bits_of(space.distance(&space, addresses[0], addresses[i])))
                        << what;
                }
            }
        });
    }
}

TEST(Metrics, KeepTheTriangleInequality) {
    Random random(choose_seed());
    for (uint32_t dim : {1u, 2u, 5u, 33u, 128u}) {
        for_each_pair_and_tier(dim, [&](const Pair &pair, const rhumb__space &space, const std::string &what) {
            if (!is_true_metric(pair.metric)) return;
            const GuardedBytes a(space.row_bytes), b(space.row_bytes), c(space.row_bytes);
            for (int round = 0; round < 20; round++) {
                for (const GuardedBytes *row : {&a, &b, &c}) fill_row(space, random_vector_of(random, pair, dim), *row);
                const double ab = distance(space, a.data(), b.data()), bc = distance(space, b.data(), c.data());
                const double ac = distance(space, a.data(), c.data());
                ASSERT_LE(ac, (ab + bc) * (1 + 1e-6) + 1e-7) << what;
            }
        });
    }
}

// A lane that is dropped, read twice or taken from elsewhere is noticed here, whatever the rounding.
TEST(Metrics, TakeEveryComponentExactlyOnce) {
    for (uint32_t dim : {1u, 7u, 8u, 31u, 33u, 64u, 100u, 129u}) {
        for (const Pair &pair : all_pairs()) {
            if (pair.metric == RHUMB_METRIC_LEVENSHTEIN || pair.element == B1) continue;
            const bool probabilities = is_of_probabilities(pair.metric);
            rhumb__space space = space_for(RHUMB__SIMD_SCALAR, pair.metric, dim, pair.element);
            const GuardedBytes row_a(space.row_bytes), row_b(space.row_bytes);
            for (uint32_t i = 0; i < dim; i++) {
                std::vector<double> values(dim, 0.0);
                values[(i * 37 + 1) % dim] += probabilities ? 0.5 : 1.0;
                values[i] += probabilities ? 0.5 : 3.0;
                Bytes a, b;
                for (double value : values) append_number(&a, pair.element, value);
                for (uint32_t k = 0; k < dim; k++)
                    append_number(&b, pair.element, k == i ? (probabilities ? 1 : 2) : 0);
                const Reference expected = reference_of(pair, dim, a, b);
                fill_row(space, vector_of(pair, a), row_a);
                fill_row(space, vector_of(pair, b), row_b);
                for (rhumb__simd tier : tiers_to_test()) {
                    space.distance = rhumb__kernels_for(tier, pair.metric, pair.element)->distance;
                    ASSERT_NEAR(distance(space, row_a.data(), row_b.data()), expected.value,
                                1e-6 * std::max(1.0, expected.value))
                        << name_of(pair) << " " << rhumb__simd_name(tier) << " dim " << dim << " component " << i;
                }
            }
        }
    }
}

// The largest and the smallest integers at the largest dimension.
TEST(Metrics, DoNotOverflowForAnyIntegers) {
    const uint32_t dim = RHUMB_DIM_MAX;
    for (const Pair &pair : all_pairs()) {
        if (is_float(pair.element) || pair.metric == RHUMB_METRIC_LEVENSHTEIN || pair.element == B1) continue;
        const uint32_t bytes = rhumb__element_bits(pair.element) / 8;
        Bytes low(dim * bytes, 0), high(dim * bytes, 0xFF), lowest(dim * bytes, 0), highest(dim * bytes, 0xFF);
        for (uint32_t i = 0; i < dim; i++) { /* the ends of the signed types */
            lowest[i * bytes + bytes - 1] = 0x80;
            highest[i * bytes + bytes - 1] = 0x7F;
        }
        rhumb__space space = space_for(RHUMB__SIMD_SCALAR, pair.metric, dim, pair.element);
        const GuardedBytes row_a(space.row_bytes), row_b(space.row_bytes);
        const std::vector<std::pair<Bytes *, Bytes *>> couples = {
            {&low, &high}, {&high, &high}, {&lowest, &highest}, {&lowest, &lowest}};
        for (const auto &couple : couples) {
            const Reference expected = reference_of(pair, dim, *couple.first, *couple.second);
            const double value = in_range(expected.value);
            fill_row(space, vector_of(pair, *couple.first), row_a);
            fill_row(space, vector_of(pair, *couple.second), row_b);
            for (rhumb__simd tier : tiers_to_test()) {
                space.distance = rhumb__kernels_for(tier, pair.metric, pair.element)->distance;
                ASSERT_NEAR(distance(space, row_a.data(), row_b.data()), value, expected.tolerance)
                    << name_of(pair) << " " << rhumb__simd_name(tier);
            }
        }
    }
}

// Two numbers that are the same as doubles.
TEST(Metrics, DistinguishLargeIntegers) {
    for (const Pair &pair : {Pair{RHUMB_METRIC_L1, I64}, Pair{RHUMB_METRIC_L2, I64}, Pair{RHUMB_METRIC_L2SQ, I64}}) {
        for (rhumb__simd tier : tiers_to_test()) {
            const rhumb__space space = space_for(tier, pair.metric, 1, pair.element);
            int64_t a = INT64_MAX - 3, b = INT64_MAX, row_a, row_b;
            ASSERT_EQ(rhumb__space_prepare(&space, &a, &row_a), RHUMB_OK);
            ASSERT_EQ(rhumb__space_prepare(&space, &b, &row_b), RHUMB_OK);
            EXPECT_EQ(distance(space, &row_a, &row_b), pair.metric == RHUMB_METRIC_L2SQ ? 9.0f : 3.0f);
        }
    }
    for (rhumb__simd tier : tiers_to_test()) {
        const rhumb__space space = space_for(tier, RHUMB_METRIC_HAMMING, 1, U64);
        const uint64_t a = UINT64_MAX, b = UINT64_MAX - 1;
        EXPECT_EQ(distance(space, &a, &b), 1.0f);
    }
}

TEST(Metrics, MeasureCosinesOfDoublesOfEverySize) {
    for (rhumb__simd tier : tiers_to_test()) {
        const rhumb__space space = space_for(tier, RHUMB_METRIC_COSINE, 3, F64);
        for (double size_a : {1e-320, 1e-300, 1e-160, 1.0, 1e160, 1e300}) {
            for (double size_b : {1e-320, 1e-300, 1e-160, 1.0, 1e160, 1e300}) {
                const double a[3] = {3 * size_a, 0, 4 * size_a}, b[3] = {4 * size_b, 0, 3 * size_b};
                double row_a[4], row_b[4];
                ASSERT_EQ(rhumb__space_prepare(&space, a, row_a), RHUMB_OK);
                ASSERT_EQ(rhumb__space_prepare(&space, b, row_b), RHUMB_OK);
                /* 1e-320 has four digits. */
                EXPECT_NEAR(distance(space, row_a, row_b), 0.04, size_a < 1e-310 || size_b < 1e-310 ? 1e-3 : 1e-6);
            }
        }
    }
}

TEST(Metrics, MakeNumbersThatSortOfAnyBytes) {
    Random random(choose_seed());
    for (int round = 0; round < 40; round++) {
        const uint32_t dim = 1 + static_cast<uint32_t>(random() % 140);
        for_each_pair_and_tier(dim, [&](const Pair &pair, const rhumb__space &space, const std::string &what) {
            const GuardedBytes a(space.row_bytes), b(space.row_bytes);
            for (const GuardedBytes *row : {&a, &b}) {
                for (uint32_t i = 0; i < space.row_bytes; i++) {
                    static_cast<uint8_t *>(row->data())[i] = static_cast<uint8_t>(random() % 7 == 0 ? 0xFF : random());
                }
            }
            const float found = space.distance(&space, a.data(), b.data());
            ASSERT_FALSE(std::isnan(found)) << what;
            ASSERT_LE(found, FLT_MAX) << what;
            ASSERT_GE(found, pair.metric == RHUMB_METRIC_IP ? -FLT_MAX : 0.0f) << what;
            if (pair.metric == RHUMB_METRIC_LEVENSHTEIN) {
                ASSERT_LE(found, static_cast<float>(dim)) << what;
            }
        });
    }
}

TEST(Levenshtein, MatchesTextbookExamples) {
    struct {
        const char *a, *b;
        float distance;
    } const words[] = {{"kitten", "sitting", 3},
                       {"", "", 0},
                       {"", "abc", 3},
                       {"abc", "", 3},
                       {"flaw", "lawn", 2},
                       {"same", "same", 0},
                       {"intention", "execution", 5},
                       {"ab", "ba", 2},
                       {"aaaa", "aaaaaa", 2},
                       {"xabcy", "abc", 2}};
    const rhumb__space space = space_for(RHUMB__SIMD_SCALAR, RHUMB_METRIC_LEVENSHTEIN, 9, U8);
    for (const auto &pair : words) {
        uint8_t a[13], b[13];
        const rhumb_sequence x = {pair.a, static_cast<uint32_t>(strlen(pair.a))};
        const rhumb_sequence y = {pair.b, static_cast<uint32_t>(strlen(pair.b))};
        ASSERT_EQ(space.row_bytes, sizeof a);
        ASSERT_EQ(rhumb__space_prepare(&space, &x, a), RHUMB_OK);
        ASSERT_EQ(rhumb__space_prepare(&space, &y, b), RHUMB_OK);
        EXPECT_EQ(distance(space, a, b), pair.distance) << pair.a << " " << pair.b;
    }
}

// Many different elements fill the hash table of a strip; few make long diagonals.
TEST(Levenshtein, AgreesWithTheDynamicProgramme) {
    Random random(choose_seed());
    for (int round = 0; round < 400; round++) {
        const Pair pair = {RHUMB_METRIC_LEVENSHTEIN, random() % 2 == 0 ? U8 : U16};
        const uint64_t alphabet = 1 + random() % (random() % 2 == 0 ? 4 : 65536);
        const rhumb__space space = space_for(RHUMB__SIMD_SCALAR, pair.metric, 300, pair.element);
        Bytes components[2];
        for (Bytes &bytes : components) {
            const size_t length = random() % 301;
            for (size_t i = 0; i < length; i++) {
                append_number(&bytes, pair.element,
                              static_cast<double>(random() % alphabet % (pair.element == U8 ? 256 : 65536)));
            }
        }
        /* Half of the time the second is made of the first. */
        if (random() % 2 == 0) {
            components[1] = components[0];
            for (int edit = 0; edit < 9 && components[1].size() > 8; edit++) {
                const size_t at = random() % (components[1].size() / 2) * 2;
                components[1].erase(components[1].begin() + static_cast<long>(at),
                                    components[1].begin() + static_cast<long>(at) + 2);
            }
        }
        const GuardedBytes a(space.row_bytes), b(space.row_bytes);
        fill_row(space, vector_of(pair, components[0]), a);
        fill_row(space, vector_of(pair, components[1]), b);
        ASSERT_EQ(distance(space, a.data(), b.data()), edit_distance(pair.element, components[0], components[1]));
    }
}

float first_difference(const void *a, const void *b, uint32_t dim, void *context) {
    const auto *x = static_cast<const float *>(a), *y = static_cast<const float *>(b);
    ++*static_cast<int *>(context);
    return dim > 1 && x[1] == 5.0f ? NAN : std::fabs(x[0] - y[0]);
}

TEST(Custom, CallsTheFunctionAndSortsNanAfterEverything) {
    int call_count = 0;
    rhumb__space space;
    rhumb__space_spec spec = {};
    spec.metric = RHUMB_METRIC_CUSTOM;
    spec.element = F32;
    spec.dim = 2;
    EXPECT_EQ(rhumb__space_init(&space, &spec), RHUMB_E_METRIC);
    spec.custom_distance = first_difference;
    spec.custom_context = &call_count;
    ASSERT_EQ(rhumb__space_init(&space, &spec), RHUMB_OK);
    const float a[2] = {1, 0}, b[2] = {4, 0}, strange[2] = {1, 5};
    const void *rows[2] = {b, b};
    float distances[2];
    EXPECT_EQ(distance(space, a, b), 3.0f);
    EXPECT_EQ(distance(space, strange, b), FLT_MAX);
    space.distance_many(&space, strange, rows, 2, distances);
    EXPECT_EQ(distances[1], FLT_MAX);
    EXPECT_EQ(call_count, 4);
    for (rhumb_element element : all_elements()) {
        spec.element = element;
        EXPECT_EQ(rhumb__space_init(&space, &spec), RHUMB_OK);
    }
}

} // namespace
