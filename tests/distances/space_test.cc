// Goal: a space lays rows out as documented, rejects invalid vectors with a message that names the component, and
// translates between raw distances and the metric's own values without moving a row across a radius. Method: tables of
// expected layouts, a bad component at every position, and random distances with their neighbours. The seed is printed
// and RHUMB_SEED repeats it.
#include <limits>

#include "tests/support/rows.h"

extern "C" {
#include "base/status.h"
}

namespace {

struct Layout {
    rhumb_metric metric;
    uint32_t dim, row_bytes, stride_bytes;
};

TEST(Space, RoundsTheStrideUpWhereThatWastesLittle) {
    const Layout layouts[] = {
        {RHUMB_METRIC_L2SQ, 1, 4, 4},
        {RHUMB_METRIC_L2SQ, 16, 64, 64},
        {RHUMB_METRIC_L2SQ, 17, 68, 68},
        {RHUMB_METRIC_L2SQ, 18, 72, 80},
        {RHUMB_METRIC_L2SQ, 25, 100, 112},
        {RHUMB_METRIC_L2, 100, 400, 448},
        {RHUMB_METRIC_IP, 128, 512, 512},
        {RHUMB_METRIC_IP, 129, 516, 576},
        {RHUMB_METRIC_L2, 784, 3136, 3136},
        {RHUMB_METRIC_COSINE, 1, 8, 8},
        {RHUMB_METRIC_COSINE, 15, 64, 64},
        {RHUMB_METRIC_COSINE, 16, 68, 68},
        {RHUMB_METRIC_COSINE, 100, 404, 448},
        {RHUMB_METRIC_COSINE, 784, 3140, 3200},
        {RHUMB_METRIC_COSINE, 65535, 262144, 262144},
    };
    for (const Layout &layout : layouts) {
        rhumb__space space;
        ASSERT_EQ(space_init(&space, layout.metric, RHUMB_ELEMENT_F32, layout.dim), RHUMB_OK);
        EXPECT_EQ(space.metric, layout.metric);
        EXPECT_EQ(space.element, RHUMB_ELEMENT_F32);
        EXPECT_EQ(space.dim, layout.dim);
        EXPECT_EQ(space.vector_bytes, layout.dim * 4);
        EXPECT_EQ(space.row_bytes, layout.row_bytes) << "dim " << layout.dim;
        EXPECT_EQ(space.row_stride_bytes, layout.stride_bytes) << "dim " << layout.dim;
    }
}

TEST(Space, PutsTheInverseNormOfOtherTypesAtAMultipleOfEight) {
    const struct {
        rhumb_metric metric;
        rhumb_element element;
        uint32_t dim, vector_bytes, norm_offset_bytes, row_bytes, stride_bytes;
    } layouts[] = {
        {RHUMB_METRIC_COSINE, RHUMB_ELEMENT_U8, 5, 5, 8, 16, 16},
        {RHUMB_METRIC_COSINE, RHUMB_ELEMENT_F16, 100, 200, 200, 208, 208},
        {RHUMB_METRIC_COSINE, RHUMB_ELEMENT_F64, 65535, 524280, 524280, 524288, 524288},
        {RHUMB_METRIC_COSINE, RHUMB_ELEMENT_F32, 5, 20, 20, 24, 24},
        {RHUMB_METRIC_L2, RHUMB_ELEMENT_I8, 5, 5, 0, 5, 8},
        {RHUMB_METRIC_HAMMING, RHUMB_ELEMENT_B1, 9, 2, 0, 2, 4},
        {RHUMB_METRIC_HAMMING, RHUMB_ELEMENT_B1, 512, 64, 0, 64, 64},
        {RHUMB_METRIC_LEVENSHTEIN, RHUMB_ELEMENT_U16, 30, 64, 0, 64, 64},
        {RHUMB_METRIC_LEVENSHTEIN, RHUMB_ELEMENT_U8, 30, 34, 0, 34, 36},
    };
    for (const auto &layout : layouts) {
        rhumb__space space;
        ASSERT_EQ(space_init(&space, layout.metric, layout.element, layout.dim), RHUMB_OK);
        EXPECT_EQ(space.vector_bytes, layout.vector_bytes) << layout.dim;
        EXPECT_EQ(space.norm_offset_bytes, layout.norm_offset_bytes) << layout.dim;
        EXPECT_EQ(space.row_bytes, layout.row_bytes) << layout.dim;
        EXPECT_EQ(space.row_stride_bytes, layout.stride_bytes) << layout.dim;
        EXPECT_EQ(space.caller_bytes,
                  layout.metric == RHUMB_METRIC_LEVENSHTEIN ? sizeof(rhumb_sequence) : layout.vector_bytes);
    }
}

TEST(Space, StrideHoldsTheRowAndWastesAtMostAnEighthForEveryDimension) {
    for (rhumb_metric metric : all_metrics()) {
        for (uint32_t dim = 1; dim <= RHUMB_DIM_MAX; dim += dim < 2000 ? 1 : 97) {
            rhumb__space space;
            ASSERT_EQ(space_init(&space, metric, RHUMB_ELEMENT_F32, dim), RHUMB_OK);
            ASSERT_GE(space.row_stride_bytes, space.row_bytes);
            ASSERT_LE((space.row_stride_bytes - space.row_bytes) * 8, space.row_bytes);
            ASSERT_EQ(space.row_stride_bytes % 4, 0u);
            if (space.row_bytes >= 512) {
                ASSERT_EQ(space.row_stride_bytes % 64, 0u);
            }
        }
    }
}

TEST(Space, UsesTheKernelsOfTheTierInUse) {
    for (rhumb_metric metric : all_metrics()) {
        rhumb__space space;
        ASSERT_EQ(space_init(&space, metric, RHUMB_ELEMENT_F32, 10), RHUMB_OK);
        const rhumb__kernels *kernels = rhumb__kernels_for(rhumb__cpu_simd(), metric, RHUMB_ELEMENT_F32);
        EXPECT_EQ(space.distance, kernels->distance);
        EXPECT_EQ(space.distance_many, kernels->distance_many);
    }
}

TEST(Space, RejectsNumbersThatNameNothing) {
    rhumb__space space;
    for (int number : {-1, 0, RHUMB_METRIC_CUSTOM + 1, 255}) {
        EXPECT_EQ(space_init(&space, static_cast<rhumb_metric>(number), RHUMB_ELEMENT_F32, 8), RHUMB_E_INVALID);
        EXPECT_NE(std::string(rhumb__error_last()->message).find("metric"), std::string::npos);
    }
    for (int number : {-1, 0, 99, 255}) {
        EXPECT_EQ(space_init(&space, RHUMB_METRIC_L2, static_cast<rhumb_element>(number), 8), RHUMB_E_INVALID);
        EXPECT_NE(std::string(rhumb__error_last()->message).find("element"), std::string::npos);
    }
    for (uint32_t dim : {0u, RHUMB_DIM_MAX + 1, UINT32_MAX}) {
        EXPECT_EQ(space_init(&space, RHUMB_METRIC_L2, RHUMB_ELEMENT_F32, dim), RHUMB_E_INVALID);
        EXPECT_NE(std::string(rhumb__error_last()->message).find(std::to_string(dim)), std::string::npos);
    }
}

TEST(Prepare, KeepsTheComponentsAndTakesVectorsAtAnyAddress) {
    std::mt19937_64 random(choose_seed());
    for (rhumb_metric metric : all_metrics()) {
        rhumb__space space = space_for(RHUMB__SIMD_SCALAR, metric, 53);
        std::vector<float> vector = random_vector(random, 53);
        for (size_t shift = 0; shift < 8; shift++) {
            GuardedBytes memory(space.vector_bytes + shift); /* its end is aligned, so its start is shifted */
            char *start = static_cast<char *>(memory.data());
            memcpy(start, vector.data(), space.vector_bytes);
            GuardedBytes row(space.row_bytes);
            ASSERT_EQ(rhumb__space_prepare(&space, start, row.data()), RHUMB_OK);
            EXPECT_EQ(memcmp(row.data(), vector.data(), space.vector_bytes), 0);
        }
    }
}

TEST(Prepare, RejectsABadComponentAtEveryPositionAndNamesIt) {
    const float bad[] = {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::signaling_NaN(),
                         std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()};
    const char *const names[] = {"is NaN", "is NaN", "is infinity", "is -infinity"};
    for (rhumb_metric metric : all_metrics()) {
        for (uint32_t dim : {1u, 15u, 16u, 17u, 100u}) {
            rhumb__space space = space_for(RHUMB__SIMD_SCALAR, metric, dim);
            GuardedBytes row(space.row_bytes);
            for (uint32_t i = 0; i < dim; i++) {
                for (int kind = 0; kind < 4; kind++) {
                    std::vector<float> vector(dim, FLT_MAX);
                    vector[i] = bad[kind];
                    ASSERT_EQ(rhumb__space_prepare(&space, vector.data(), row.data()), RHUMB_E_NOT_FINITE);
                    std::string expected = "component " + std::to_string(i) + " of " + std::to_string(dim) + " ";
                    std::string message = rhumb__error_last()->message;
                    ASSERT_NE(message.find(expected + names[kind]), std::string::npos) << message;
                }
            }
        }
    }
}

TEST(Prepare, NamesTheFirstOfSeveralBadComponents) {
    rhumb__space space = space_for(RHUMB__SIMD_SCALAR, RHUMB_METRIC_L2, 64);
    GuardedBytes row(space.row_bytes);
    std::vector<float> vector(64, 1.0f);
    vector[21] = vector[30] = vector[63] = std::numeric_limits<float>::infinity();
    EXPECT_EQ(rhumb__space_prepare(&space, vector.data(), row.data()), RHUMB_E_NOT_FINITE);
    EXPECT_NE(std::string(rhumb__error_last()->message).find("component 21 "), std::string::npos);
}

TEST(Prepare, TakesTheLargestAndTheSmallestNumbers) {
    for (rhumb_metric metric : all_metrics()) {
        rhumb__space space = space_for(RHUMB__SIMD_SCALAR, metric, 33);
        GuardedBytes row(space.row_bytes);
        for (float component : {FLT_MAX, -FLT_MAX, FLT_MIN, std::numeric_limits<float>::denorm_min(), -0.0f}) {
            std::vector<float> vector(33, component);
            EXPECT_EQ(rhumb__space_prepare(&space, vector.data(), row.data()), RHUMB_OK);
        }
    }
}

TEST(Prepare, KeepsAFiniteInverseNormBehindTheComponentsForCosine) {
    rhumb__space space = space_for(RHUMB__SIMD_SCALAR, RHUMB_METRIC_COSINE, 4);
    const float smallest = std::numeric_limits<float>::denorm_min();
    EXPECT_FLOAT_EQ(row_of(space, {3.0f, 0.0f, 0.0f, 4.0f}).floats()[4], 0.2f);
    EXPECT_EQ(row_of(space, {0.0f, -0.0f, 0.0f, 0.0f}).floats()[4], 0.0f);
    EXPECT_EQ(row_of(space, {smallest, 0.0f, 0.0f, 0.0f}).floats()[4], FLT_MAX);
    EXPECT_FLOAT_EQ(row_of(space, {1e30f, 0.0f, 0.0f, 0.0f}).floats()[4], 1e-30f);
    EXPECT_GT(row_of(space, {FLT_MAX, FLT_MAX, FLT_MAX, FLT_MAX}).floats()[4], 0.0f);
}

// A raw distance is a square under l2, and minus the dot product under ip.
TEST(Finish, MakesTheMetricsOwnValue) {
    for (rhumb_metric metric : all_metrics()) {
        rhumb__space space = space_for(RHUMB__SIMD_SCALAR, metric, 3);
        const bool is_l2 = metric == RHUMB_METRIC_L2, is_ip = metric == RHUMB_METRIC_IP;
        EXPECT_EQ(rhumb__space_finish(&space, 9.0f), is_l2 ? 3.0f : is_ip ? 10.0f : 9.0f);
        EXPECT_FLOAT_EQ(rhumb__space_raw(&space, 3.0f), is_l2 ? 9.0f : is_ip ? 2.0f : 3.0f);
        EXPECT_EQ(rhumb__space_finish(&space, rhumb__space_raw(&space, 1.25f)), 1.25f);
    }
}

// A row lies within a radius by its raw distance exactly when it does by the distance that the user sees.
TEST(Raw, DrawsTheSameCircleAsTheFinishedDistance) {
    std::mt19937_64 random(choose_seed());
    std::vector<float> radii = {0.0f,          1.0f,    3.0f,  1e-30f,  1e-22f,   1e-44f,
                                1.8446743e19f, 1.9e19f, 3e38f, FLT_MAX, INFINITY, -1.0f};
    for (int i = 0; i < 3000; i++) {
        radii.push_back(std::ldexp(1.0f + static_cast<float>(random() % 8388608) / 8388608.0f,
                                   static_cast<int>(random() % 277) - 149));
    }
    for (rhumb_metric metric : {RHUMB_METRIC_L2SQ, RHUMB_METRIC_L2, RHUMB_METRIC_IP, RHUMB_METRIC_COSINE,
                                RHUMB_METRIC_L1, RHUMB_METRIC_JACCARD, RHUMB_METRIC_HELLINGER}) {
        for (rhumb_element element : {RHUMB_ELEMENT_F32, RHUMB_ELEMENT_BF16, RHUMB_ELEMENT_F64}) {
            if (!rhumb__metric_supports(metric, element)) continue;
            const rhumb__space space = space_for(RHUMB__SIMD_SCALAR, metric, 3, element);
            for (float size : radii) {
                for (float radius : {size, -size}) {
                    const float raw = rhumb__space_raw(&space, radius);
                    if (std::isfinite(raw)) {
                        ASSERT_LE(rhumb__space_finish(&space, raw), radius) << radius;
                    }
                    const float outside = std::nextafter(raw, INFINITY);
                    if (std::isfinite(outside) && (metric == RHUMB_METRIC_IP || outside >= 0.0f)) {
                        ASSERT_GT(rhumb__space_finish(&space, outside), radius) << radius;
                    }
                }
            }
        }
    }
}

TEST(Raw, LeavesNothingInsideANegativeRadiusOfL2) {
    rhumb__space space = space_for(RHUMB__SIMD_SCALAR, RHUMB_METRIC_L2, 3);
    EXPECT_LT(rhumb__space_raw(&space, -0.5f), 0.0f);
}

} // namespace
