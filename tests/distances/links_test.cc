// Goal: the distance by which nodes are linked is the metric's own, except under ip, where it is what link_kernels.h
// says, in every tier and for every element type. Method: a reference in extended precision over vectors of unequal
// lengths; and what must be true of any vectors: symmetry, the order of ip between vectors of one length, the first
// degree up to the largest and down to the smallest numbers. Random inputs; the seed is printed and RHUMB_SEED repeats
// it.
#include <cmath>
#include <functional>

#include "tests/support/rows.h"
#include "tests/support/vectors.h"

namespace {

using namespace vectors;

// The double of which a raw linking distance is the high half.
double value_of(float raw) {
    const uint64_t sign = bits_of(raw) >> 31;
    const uint64_t bits = sign << 63 | static_cast<uint64_t>(bits_of(raw) & 0x7FFFFFFF) << 33;
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

constexpr double kRawPrecision = 0x1p-18; // the fraction of a raw distance has 19 bits

const std::vector<uint32_t> kDims = {1, 2, 7, 8, 15, 16, 17, 33, 64, 100, 129};

// Components from -8 to 8, or 0 to 8, times a power of two: the type holds them exactly.
Bytes vector_of_length(Random &random, rhumb_element element, uint32_t dim) {
    const bool has_negative = is_float(element) || is_signed_integer(element);
    const double factor = std::exp2(static_cast<double>(random() % 4));
    Bytes bytes;
    for (uint32_t i = 0; i < dim; i++) {
        const double size = static_cast<double>(random() % 9) * factor;
        append_number(&bytes, element, has_negative && random() % 2 == 0 ? -size : size);
    }
    return bytes;
}

struct Reference {
    long double value;
    long double size; // of the value, if all products had the same sign
};

Reference reference_of(rhumb_element element, uint32_t dim, const Bytes &a, const Bytes &b) {
    long double dot = 0, sizes = 0, square_a = 0, square_b = 0;
    for (uint32_t i = 0; i < dim; i++) {
        const long double x = component(element, a, i), y = component(element, b, i);
        dot += x * y;
        sizes += std::fabs(x * y);
        square_a += x * x;
        square_b += y * y;
    }
    if (square_a + square_b == 0) return {0, 0};
    const long double factor = std::sqrt(std::sqrt(square_a) * std::sqrt(square_b)) / (square_a + square_b);
    const long double length_term = std::sqrt(square_a + square_b) / 1000;
    return {length_term - dot * factor, length_term + sizes * factor};
}

class Links : public testing::Test {
  protected:
    using Check =
        std::function<void(const rhumb__space &space, const rhumb__kernels &kernels, const std::string &what)>;

    static void for_each_element_and_tier(uint32_t dim, const Check &check) {
        for (rhumb_element element : all_elements()) {
            if (!rhumb__metric_supports(RHUMB_METRIC_IP, element)) continue;
            for (rhumb__simd tier : tiers_to_test()) {
                rhumb__space space = space_for(tier, RHUMB_METRIC_IP, dim, element);
                space.link = *rhumb__link_kernels_for(tier, RHUMB_METRIC_IP, element);
                check(space, space.link,
                      std::string(rhumb__element_name(element)) + " " + rhumb__simd_name(tier) + " dim " +
                          std::to_string(dim));
                if (HasFatalFailure()) return;
            }
        }
    }

    static GuardedBytes row(const rhumb__space &space, const Bytes &vector) {
        GuardedBytes row(space.row_bytes);
        EXPECT_EQ(rhumb__space_prepare(&space, vector.data(), row.data()), RHUMB_OK);
        return row;
    }

    // The vector times 2^exponent.
    static Bytes scaled(rhumb_element element, uint32_t dim, const Bytes &vector, int exponent) {
        Bytes bytes;
        for (uint32_t i = 0; i < dim; i++) {
            append_number(&bytes, element, std::ldexp(static_cast<double>(component(element, vector, i)), exponent));
        }
        return bytes;
    }

    Random random{choose_seed()};
};

TEST_F(Links, AreMeasuredByTheMetricItselfExceptUnderIp) {
    for (const Pair &pair : all_pairs()) {
        for (rhumb__simd tier : tiers_to_test()) {
            const rhumb__kernels *kernels = rhumb__link_kernels_for(tier, pair.metric, pair.element);
            const bool own = kernels == rhumb__kernels_for(tier, pair.metric, pair.element);
            ASSERT_NE(kernels, nullptr) << name_of(pair);
            EXPECT_EQ(own, pair.metric != RHUMB_METRIC_IP) << name_of(pair);
        }
    }
    EXPECT_EQ(rhumb__link_kernels_for(RHUMB__SIMD_SCALAR, RHUMB_METRIC_IP, B1), nullptr);
}

TEST_F(Links, AgreeWithTheReferenceAndAreSymmetric) {
    for (uint32_t dim : kDims) {
        for_each_element_and_tier(
            dim, [&](const rhumb__space &space, const rhumb__kernels &links, const std::string &what) {
                const Bytes a = vector_of_length(random, space.element, dim);
                const Bytes b = vector_of_length(random, space.element, dim);
                const Reference expected = reference_of(space.element, dim, a, b);
                const GuardedBytes row_a = row(space, a), row_b = row(space, b);
                const float raw = links.distance(&space, row_a.data(), row_b.data());
                const double tolerance = static_cast<double>(expected.size) * 2 * kRawPrecision;
                ASSERT_NEAR(value_of(raw), static_cast<double>(expected.value), tolerance) << what;
                ASSERT_EQ(bits_of(raw), bits_of(links.distance(&space, row_b.data(), row_a.data()))) << what;
            });
    }
}

TEST_F(Links, GiveTheSameBitsForOneRowAndForMany) {
    for (uint32_t dim : kDims) {
        for_each_element_and_tier(
            dim, [&](const rhumb__space &space, const rhumb__kernels &links, const std::string &what) {
                std::vector<GuardedBytes> rows;
                std::vector<const void *> addresses;
                for (size_t i = 0; i < 10; i++) {
                    rows.push_back(row(space, vector_of_length(random, space.element, dim)));
                    addresses.push_back(rows.back().data());
                }
                for (size_t count = 0; count <= rows.size(); count++) {
                    std::vector<float> distances(count + 1, 7.0f);
                    links.distance_many(&space, addresses[0], addresses.data(), count, distances.data());
                    for (size_t i = 0; i < count; i++) {
                        ASSERT_EQ(bits_of(distances[i]), bits_of(links.distance(&space, addresses[0], addresses[i])))
                            << what << " row " << i << " of " << count;
                    }
                    ASSERT_EQ(distances[count], 7.0f) << what << " wrote past " << count;
                }
            });
    }
}

// The permutations of one vector have one length; dots that are equal in exact arithmetic are equal here too.
TEST_F(Links, AreOrderedAsInnerProductsWhereLengthsAreEqual) {
    for (uint32_t dim : {8u, 33u, 128u}) {
        for_each_element_and_tier(
            dim, [&](const rhumb__space &space, const rhumb__kernels &links, const std::string &what) {
                const Bytes base = vector_of_length(random, space.element, dim);
                const GuardedBytes origin = row(space, base);
                const size_t bytes = base.size() / dim;
                for (int round = 0; round < 20; round++) {
                    Bytes one = base, other = base;
                    for (Bytes *vector : {&one, &other}) {
                        for (int swaps = 0; swaps < 3; swaps++) {
                            const size_t from = random() % dim * bytes, to = random() % dim * bytes;
                            std::swap_ranges(&(*vector)[0] + from, &(*vector)[0] + from + bytes, &(*vector)[0] + to);
                        }
                    }
                    const long double dot_one = -reference_of(space.element, dim, base, one).value;
                    const long double dot_other = -reference_of(space.element, dim, base, other).value;
                    const GuardedBytes row_one = row(space, one), row_other = row(space, other);
                    const float raw_one = links.distance(&space, origin.data(), row_one.data());
                    const float raw_other = links.distance(&space, origin.data(), row_other.data());
                    const long double gap = std::fabs(dot_one - dot_other);
                    if (gap < 8 * kRawPrecision * std::fabs(dot_one)) continue;
                    ASSERT_EQ(dot_one > dot_other, raw_one < raw_other) << what;
                }
            });
    }
}

// A neighbour of a longer vector is better up to sqrt(3) times the length, and worse from there on.
TEST_F(Links, LeadToLimitedSteps) {
    const rhumb__space space = space_for(RHUMB__SIMD_SCALAR, RHUMB_METRIC_IP, 2);
    const GuardedBytes origin = row_of(space, {1.0f, 0.0f});
    float before = FLT_MAX;
    for (float length = 0.01f; length < 100.0f; length *= 1.3f) {
        const float raw =
            space.link.distance(&space, origin.data(), row_of(space, {length * 0.6f, length * 0.8f}).data());
        if (length < 1.7f) {
            EXPECT_LT(raw, before) << length;
        } else if (length > 1.3f * 1.75f) {
            EXPECT_GT(raw, before) << length;
        }
        before = raw;
    }
}

TEST_F(Links, AreOfTheFirstDegreeOverTheRangeOfTheType) {
    const uint32_t dim = 40;
    for_each_element_and_tier(dim, [&](const rhumb__space &space, const rhumb__kernels &links,
                                       const std::string &what) {
        std::vector<int> exponents = {0};
        if (space.element == F32 || space.element == BF16) exponents = {-120, -60, 60, 120};
        if (space.element == F64) exponents = {-1000, -600, -60, 60, 600, 980};
        if (space.element == I64 || space.element == I32) exponents = {20};
        if (space.element == I64) exponents.push_back(54);
        const Bytes a = vector_of_length(random, space.element, dim), b = vector_of_length(random, space.element, dim);
        const Reference expected = reference_of(space.element, dim, a, b);
        for (int exponent : exponents) {
            const GuardedBytes row_a = row(space, scaled(space.element, dim, a, exponent));
            const GuardedBytes row_b = row(space, scaled(space.element, dim, b, exponent));
            const double found = value_of(links.distance(&space, row_a.data(), row_b.data()));
            ASSERT_NEAR(std::ldexp(found, -exponent), static_cast<double>(expected.value),
                        static_cast<double>(expected.size) * 2 * kRawPrecision)
                << what << " times 2^" << exponent;
        }
    });
}

TEST_F(Links, OfZeroVectorsGoToOthersAndThenToTheShortest) {
    const uint32_t dim = 50;
    for_each_element_and_tier(
        dim, [&](const rhumb__space &space, const rhumb__kernels &links, const std::string &what) {
            Bytes zeros, shorter, longer;
            for (uint32_t i = 0; i < dim; i++) {
                append_number(&zeros, space.element, 0.0);
                append_number(&shorter, space.element, i == 7 ? 3.0 : 0.0);
                append_number(&longer, space.element, i == 40 ? 4.0 : 0.0);
            }
            const GuardedBytes zero = row(space, zeros), three = row(space, shorter), four = row(space, longer);
            EXPECT_EQ(links.distance(&space, zero.data(), zero.data()), 0.0f) << what;
            EXPECT_NEAR(value_of(links.distance(&space, zero.data(), three.data())), 0.003, 1e-7) << what;
            EXPECT_NEAR(value_of(links.distance(&space, four.data(), zero.data())), 0.004, 1e-7) << what;
        });
}

// Rows of a damaged file hold any bytes.
TEST_F(Links, AreFiniteForAnyBytes) {
    for (uint32_t dim : {1u, 16u, 45u}) {
        for_each_element_and_tier(
            dim, [&](const rhumb__space &space, const rhumb__kernels &links, const std::string &what) {
                for (int round = 0; round < 50; round++) {
                    const GuardedBytes row_a(space.row_bytes), row_b(space.row_bytes);
                    for (const GuardedBytes *bytes : {&row_a, &row_b}) {
                        for (uint32_t i = 0; i < space.row_bytes; i++) {
                            static_cast<uint8_t *>(bytes->data())[i] = static_cast<uint8_t>(random());
                        }
                    }
                    if (round == 0) memset(row_a.data(), 0xFF, space.row_bytes); // NaN in every float
                    const float raw = links.distance(&space, row_a.data(), row_b.data());
                    ASSERT_TRUE(std::isfinite(raw)) << what;
                }
            });
    }
}

} // namespace
