// What the tests of distances/ share: memory that is followed by a guard page, spaces for a given tier, and a
// reference in double.
#ifndef RHUMB_TESTS_SUPPORT_ROWS_H
#define RHUMB_TESTS_SUPPORT_ROWS_H

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cfloat>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <random>
#include <string>
#include <vector>

extern "C" {
#include "base/cpu.h"
#include "distances/metric.h"
#include "distances/space.h"
}
#include "tests/support/seed.h"

// `size_bytes` of memory whose last byte is followed by an inaccessible page: reading one byte too many is a crash. A
// masked load may name such bytes without reading them, a difference that heap checkers do not see.
class GuardedBytes {
  public:
    explicit GuardedBytes(size_t size_bytes) {
        size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
        size_t usable = (size_bytes + page - 1) / page * page;
        mapped_bytes_ = usable + page;
        void *memory = mmap(nullptr, mapped_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) throw std::bad_alloc();
        mapped_ = static_cast<char *>(memory);
        if (mprotect(mapped_ + usable, page, PROT_NONE) != 0) throw std::bad_alloc();
        begin_ = mapped_ + usable - size_bytes;
    }
    GuardedBytes(GuardedBytes &&other) noexcept
        : mapped_(other.mapped_), mapped_bytes_(other.mapped_bytes_), begin_(other.begin_) {
        other.mapped_ = nullptr;
    }
    GuardedBytes(const GuardedBytes &) = delete;
    GuardedBytes &operator=(const GuardedBytes &) = delete;
    GuardedBytes &operator=(GuardedBytes &&) = delete;
    ~GuardedBytes() {
        if (mapped_ != nullptr) munmap(mapped_, mapped_bytes_);
    }

    void *data() const { return begin_; }
    float *floats() const { return reinterpret_cast<float *>(begin_); }

  private:
    char *mapped_;
    size_t mapped_bytes_;
    char *begin_;
};

using rhumb_test::choose_seed;

inline const std::vector<rhumb_metric> &all_metrics() {
    static const std::vector<rhumb_metric> metrics = {RHUMB_METRIC_L2SQ, RHUMB_METRIC_L2, RHUMB_METRIC_IP,
                                                      RHUMB_METRIC_COSINE};
    return metrics;
}

// The best tier whose kernels may be called. Defined by the test that links them: tiers_native.cc, tiers_emulated.cc.
rhumb__simd best_tier_to_test();

// Whether these are emulated, so that all may be called. Defined there too.
bool kernels_are_emulated();

// The tiers whose kernels may be called, the scalar one first.
inline std::vector<rhumb__simd> tiers_to_test() {
    std::vector<rhumb__simd> tiers;
    for (int tier = RHUMB__SIMD_SCALAR; tier <= best_tier_to_test(); tier++) {
        tiers.push_back(static_cast<rhumb__simd>(tier));
    }
    return tiers;
}

inline rhumb_status space_init(rhumb__space *space, rhumb_metric metric, rhumb_element element, uint32_t dim) {
    rhumb__space_spec spec = {};
    spec.metric = metric;
    spec.element = element;
    spec.dim = dim;
    return rhumb__space_init(space, &spec);
}

// A space that measures with the kernels of `tier`.
inline rhumb__space space_for(rhumb__simd tier, rhumb_metric metric, uint32_t dim,
                              rhumb_element element = RHUMB_ELEMENT_F32) {
    rhumb__space space;
    EXPECT_EQ(space_init(&space, metric, element, dim), RHUMB_OK);
    const rhumb__kernels *kernels = rhumb__kernels_for(tier, metric, element);
    space.distance = kernels->distance;
    space.distance_many = kernels->distance_many;
    return space;
}

// The row of `vector`, flush against a guard page.
inline GuardedBytes row_of(const rhumb__space &space, const std::vector<float> &vector) {
    GuardedBytes row(space.row_bytes);
    EXPECT_EQ(rhumb__space_prepare(&space, vector.data(), row.data()), RHUMB_OK);
    return row;
}

inline std::vector<float> random_vector(std::mt19937_64 &random, uint32_t dim, float scale = 1.0f) {
    std::normal_distribution<float> normal;
    std::vector<float> vector(dim);
    for (float &component : vector) component = scale * normal(random);
    return vector;
}

inline uint32_t bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

// A metric's value in double, with the largest error that f32 arithmetic may make on the way to it.
struct Reference {
    double value;
    double tolerance;
};

// The tolerance is that of summing in f32 (Higham, Accuracy and Stability of Numerical Algorithms, 4.2): the unit
// roundoff times the number of additions that a term passes through (at least eight sums take turns in every tier)
// times the sum of the terms' sizes. It does not hide a wrong or missing component: random components weigh far more.
inline Reference reference(rhumb_metric metric, const std::vector<float> &a, const std::vector<float> &b) {
    double squares = 0, dot = 0, sizes = 0, squares_a = 0, squares_b = 0;
    for (size_t i = 0; i < a.size(); i++) {
        double x = a[i], y = b[i];
        squares += (x - y) * (x - y);
        dot += x * y;
        sizes += std::fabs(x * y);
        squares_a += x * x;
        squares_b += y * y;
    }
    double roundoff = (static_cast<double>(a.size()) / 8 + 16) * 0x1p-24;
    switch (metric) {
    case RHUMB_METRIC_L2SQ: return {squares, roundoff * squares};
    case RHUMB_METRIC_L2: return {std::sqrt(squares), roundoff * std::sqrt(squares)};
    case RHUMB_METRIC_IP: return {1 - dot, roundoff * (sizes + 1)};
    default: break;
    }
    if (squares_a == 0 || squares_b == 0) return {1, 0};
    double norms = std::sqrt(squares_a) * std::sqrt(squares_b);
    return {1 - dot / norms, roundoff * (sizes / norms + 1)};
}

// Parameter of the tests that run once per tier and metric.
struct TierAndMetric {
    rhumb__simd tier;
    rhumb_metric metric;
};

inline std::vector<TierAndMetric> all_tiers_and_metrics() {
    std::vector<TierAndMetric> all;
    for (rhumb__simd tier : tiers_to_test()) {
        for (rhumb_metric metric : all_metrics()) all.push_back({tier, metric});
    }
    return all;
}

inline std::string tier_and_metric_name(const testing::TestParamInfo<TierAndMetric> &info) {
    return std::string(rhumb__simd_name(info.param.tier)) + "_" + rhumb__metric_name(info.param.metric);
}

#endif // RHUMB_TESTS_SUPPORT_ROWS_H
