// What the tests of whole indexes share: handles that close themselves, generated vectors, and distances computed by
// plain loops.
#ifndef RHUMB_TESTS_SUPPORT_INDEX_TEST_SUPPORT_H
#define RHUMB_TESTS_SUPPORT_INDEX_TEST_SUPPORT_H

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <limits>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "include/rhumb.h"
#include "tests/support/chosen_codes.h"
#include "tests/support/sanitized.h"
#include "tests/support/scratch_files.h"
#include "tests/support/seed.h"

namespace index_test {

using rhumb_test::choose_seed;
using rhumb_test::file_bytes;
using rhumb_test::put_file;
using rhumb_test::ScratchDirectory;

inline std::string last_error() {
    const rhumb_error *error = rhumb_error_last();
    return std::string(rhumb_status_name(error->status)) + ": " + error->message;
}

#define EXPECT_STATUS(expected, expression) EXPECT_EQ(expected, (expression)) << index_test::last_error()
#define EXPECT_OK(expression) EXPECT_STATUS(RHUMB_OK, expression)
#define ASSERT_OK(expression) ASSERT_EQ(RHUMB_OK, (expression)) << index_test::last_error()

struct Closer {
    void operator()(rhumb_index *index) const { EXPECT_OK(rhumb_index_close(index)); }
};

// A handle that closes itself, and whose closing must succeed.
using Index = std::unique_ptr<rhumb_index, Closer>;

inline rhumb_index_options index_options(uint32_t dim, rhumb_metric metric = RHUMB_METRIC_L2) {
    rhumb_index_options options;
    rhumb_index_options_init(&options, sizeof options);
    options.dim = dim;
    options.metric = metric;
    if (rhumb_test::kSanitized) options.ef_construction = 80; // inserts take most of a sanitizer's time
    return options;
}

inline Index create(const std::string &path, const rhumb_index_options &options) {
    rhumb_index *index = nullptr;
    const rhumb_index_options chosen = with_chosen_codes(options);
    EXPECT_OK(rhumb_index_create(path.c_str(), &chosen, &index));
    return Index(index);
}

inline Index create_with_durability(const std::string &path, rhumb_index_options options, rhumb_durability durability) {
    rhumb_open_options open_options;
    rhumb_open_options_init(&open_options, sizeof open_options);
    open_options.durability = durability;
    options.open = &open_options;
    return create(path, options);
}

inline Index open_as(const std::string &path, const rhumb_open_options &options) {
    rhumb_index *index = nullptr;
    EXPECT_OK(rhumb_index_open(path.c_str(), &options, &index));
    return Index(index);
}

inline Index open_with_durability(const std::string &path, rhumb_durability durability) {
    rhumb_open_options options;
    rhumb_open_options_init(&options, sizeof options);
    options.durability = durability;
    return open_as(path, options);
}

inline Index open(const std::string &path, bool read_only) {
    rhumb_open_options options;
    rhumb_open_options_init(&options, sizeof options);
    options.read_only = read_only;
    return open_as(path, options);
}

// A handle whose operations become durable with the next checkpoint.
inline Index open_without_log(const std::string &path) {
    rhumb_open_options options;
    rhumb_open_options_init(&options, sizeof options);
    options.durability = RHUMB_DURABILITY_NONE;
    return open_as(path, options);
}

// A handle on the graph without the vectors.
inline Index open_graph_only(const std::string &path) {
    rhumb_open_options options;
    rhumb_open_options_init(&options, sizeof options);
    options.graph_only = true;
    return open_as(path, options);
}

// The status of an attempt to open; a handle that opened is closed again.
inline rhumb_status try_open(const std::string &path, bool read_only) {
    rhumb_open_options options;
    rhumb_open_options_init(&options, sizeof options);
    options.read_only = read_only;
    rhumb_index *index = nullptr;
    const rhumb_status status = rhumb_index_open(path.c_str(), &options, &index);
    if (status == RHUMB_OK) {
        EXPECT_OK(rhumb_index_close(index));
    }
    return status;
}

inline rhumb_index_stats stats(const Index &index) {
    rhumb_index_stats stats = {};
    EXPECT_OK(rhumb_index_stats_get(index.get(), &stats, sizeof stats));
    return stats;
}

/* What an index was created with. */
inline rhumb_index_options created_with(const Index &index) {
    rhumb_index_options options = {};
    EXPECT_OK(rhumb_index_options_get(index.get(), &options, sizeof options));
    return options;
}

// Rows of `dim` floats.
struct Vectors {
    uint32_t dim = 0;
    std::vector<float> components;

    size_t count() const { return components.size() / dim; }
    const float *row(size_t i) const { return components.data() + i * dim; }
    float *row(size_t i) { return components.data() + i * dim; }
};

inline Vectors random_vectors(size_t count, uint32_t dim, uint64_t seed) {
    std::mt19937_64 random(seed);
    std::normal_distribution<float> normal;
    Vectors vectors = {dim, std::vector<float>(count * dim)};
    for (float &component : vectors.components) component = normal(random);
    return vectors;
}

// Gaussians around `cluster_count` centres; the centres depend on `centre_seed` alone, so that queries can be drawn
// from the same clusters.
inline Vectors clustered_vectors(size_t count, uint32_t dim, size_t cluster_count, uint64_t centre_seed,
                                 uint64_t seed) {
    const Vectors centres = random_vectors(cluster_count, dim, centre_seed);
    Vectors vectors = random_vectors(count, dim, seed);
    std::mt19937_64 random(seed + 1);
    for (size_t i = 0; i < count; i++) {
        const float *centre = centres.row(random() % cluster_count);
        for (uint32_t d = 0; d < dim; d++) vectors.row(i)[d] = centre[d] + 0.4f * vectors.row(i)[d];
    }
    return vectors;
}

// The distance as the manual defines it, in double.
inline double true_distance(rhumb_metric metric, uint32_t dim, const float *a, const float *b) {
    double squares = 0, dot = 0, a_squares = 0, b_squares = 0;
    for (uint32_t d = 0; d < dim; d++) {
        const double x = a[d], y = b[d];
        squares += (x - y) * (x - y);
        dot += x * y;
        a_squares += x * x;
        b_squares += y * y;
    }
    switch (metric) {
    case RHUMB_METRIC_L2SQ: return squares;
    case RHUMB_METRIC_L2: return std::sqrt(squares);
    case RHUMB_METRIC_IP: return 1 - dot;
    case RHUMB_METRIC_COSINE: return a_squares == 0 || b_squares == 0 ? 1 : 1 - dot / std::sqrt(a_squares * b_squares);
    default: break;
    }
    return std::numeric_limits<double>::quiet_NaN();
}

// How far a distance in single precision may be from that: its terms are rounded, and they may cancel.
inline double tolerance(rhumb_metric metric, uint32_t dim, const float *a, const float *b) {
    double terms = 1;
    for (uint32_t d = 0; d < dim && metric != RHUMB_METRIC_COSINE; d++) {
        terms += static_cast<double>(a[d]) * a[d] + static_cast<double>(b[d]) * b[d];
    }
    return 2e-6 * terms;
}

// The answer of one search.
struct Answer {
    std::vector<uint64_t> keys;
    std::vector<float> distances;
    size_t found_count = 0;

    bool operator==(const Answer &other) const {
        return keys == other.keys && distances == other.distances && found_count == other.found_count;
    }
};

inline rhumb_search_options search_options(uint32_t ef_search, uint32_t thread_count = 1) {
    rhumb_search_options options;
    rhumb_search_options_init(&options, sizeof options);
    options.ef_search = ef_search;
    options.thread_count = thread_count;
    return options;
}

inline Answer search(const Index &index, const float *query, size_t k, uint32_t ef_search = 0) {
    Answer answer = {std::vector<uint64_t>(k), std::vector<float>(k)};
    const rhumb_search_options options = search_options(ef_search);
    EXPECT_OK(rhumb_index_search(index.get(), query, k, &options, answer.keys.data(), answer.distances.data(),
                                 &answer.found_count));
    return answer;
}

inline Answer search_exact(const Index &index, const float *query, size_t k) {
    Answer answer = {std::vector<uint64_t>(k), std::vector<float>(k)};
    EXPECT_OK(rhumb_index_search_exact(index.get(), query, 1, k, nullptr, answer.keys.data(), answer.distances.data(),
                                       &answer.found_count));
    return answer;
}

inline bool contains(const Index &index, uint64_t key) {
    bool found = false;
    EXPECT_OK(rhumb_index_contains(index.get(), key, &found));
    return found;
}

// Inserts all vectors under the keys first_key, first_key + 1...
inline void insert_all(const Index &index, const Vectors &vectors, uint64_t first_key = 0, uint32_t thread_count = 1) {
    std::vector<uint64_t> keys(vectors.count());
    for (size_t i = 0; i < keys.size(); i++) keys[i] = first_key + i;
    rhumb_batch_options options;
    rhumb_batch_options_init(&options, sizeof options);
    options.thread_count = thread_count;
    size_t inserted_count = 0;
    EXPECT_OK(rhumb_index_insert_batch(index.get(), keys.data(), vectors.components.data(), keys.size(), &options,
                                       &inserted_count));
    EXPECT_EQ(inserted_count, keys.size());
}

// Verifies the index, in which every live vector is reached.
inline rhumb_verify_report expect_sound(const Index &index) {
    rhumb_verify_report report = {};
    EXPECT_OK(rhumb_index_verify(index.get(), &report, sizeof report));
    EXPECT_EQ(report.checksum_error_count, 0u) << report.first_error;
    EXPECT_EQ(report.structure_error_count, 0u) << report.first_error;
    EXPECT_EQ(report.log_error_count, 0u) << report.first_error;
    EXPECT_EQ(report.unreachable_count, 0u);
    EXPECT_EQ(report.node_count, stats(index).slot_count);
    return report;
}

// The share of the true nearest k that the index finds.
inline double recall(const Index &index, const Vectors &queries, size_t k, uint32_t ef_search) {
    const size_t place_count = queries.count() * k;
    std::vector<uint64_t> truth(place_count), found(place_count);
    const rhumb_search_options options = search_options(ef_search);
    EXPECT_OK(rhumb_index_search_exact(index.get(), queries.components.data(), queries.count(), k, &options,
                                       truth.data(), nullptr, nullptr));
    EXPECT_OK(rhumb_index_search_batch(index.get(), queries.components.data(), queries.count(), k, &options,
                                       found.data(), nullptr, nullptr));
    size_t hit_count = 0;
    for (size_t i = 0; i < place_count; i += k) {
        const std::set<uint64_t> expected(&truth[i], &truth[i] + k);
        for (size_t j = 0; j < k; j++) hit_count += expected.count(found[i + j]);
    }
    return static_cast<double>(hit_count) / static_cast<double>(place_count);
}

// Runs `body` in a forked child and returns its exit code (128 + the signal, if one ended it). No thread may be
// running. The child must not touch handles of the parent, and leaves without closing what it has open.
inline int run_in_child(const std::function<int()> &body) {
    fflush(stdout);
    fflush(stderr);
    const pid_t child = fork();
    if (child == 0) _exit(body());
    int state = 0;
    if (child < 0 || waitpid(child, &state, 0) != child) return -1;
    return WIFSIGNALED(state) ? 128 + WTERMSIG(state) : WEXITSTATUS(state);
}

// Inserts all vectors under the keys first_key, first_key + 1... in a process that is killed then: they are in the log
// alone.
inline void leave_in_log(const std::string &path, const Vectors &vectors, uint64_t first_key) {
    const int exit_code = run_in_child([&] {
        const Index index = open(path, false);
        insert_all(index, vectors, first_key);
        if (!::testing::Test::HasFailure()) kill(getpid(), SIGKILL);
        return 1;
    });
    ASSERT_EQ(exit_code, 128 + SIGKILL);
}

// Opens an index for writing after a process that was killed: its lock is released when the kernel has cleaned up after
// it.
inline Index open_after_kill(const std::string &path) {
    rhumb_index *index = nullptr;
    rhumb_status status = RHUMB_E_LOCKED;
    for (int i = 0; status == RHUMB_E_LOCKED && i < 10000; i++) {
        status = rhumb_index_open(path.c_str(), nullptr, &index);
        if (status == RHUMB_E_LOCKED) usleep(1000);
    }
    EXPECT_OK(status);
    return Index(index);
}

inline const std::vector<rhumb_metric> &all_metrics() {
    static const std::vector<rhumb_metric> metrics = {RHUMB_METRIC_L2SQ, RHUMB_METRIC_L2, RHUMB_METRIC_IP,
                                                      RHUMB_METRIC_COSINE};
    return metrics;
}

inline std::string metric_name(const ::testing::TestParamInfo<rhumb_metric> &info) {
    return rhumb_metric_name(info.param);
}

} // namespace index_test

#endif // RHUMB_TESTS_SUPPORT_INDEX_TEST_SUPPORT_H
