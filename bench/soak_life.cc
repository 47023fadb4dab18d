// soak_life.cc - see soak_life.h.
#include "bench/soak_life.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <random>
#include <thread>
#include <vector>

#include "include/rhumb.h"

namespace bench {
namespace {

constexpr uint32_t kDim = 32;
constexpr uint64_t kSpreadFirst = 1000;
constexpr uint64_t kBatchFirst = 1000000;

uint64_t now_ns() {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1000000000u + static_cast<uint64_t>(now.tv_nsec);
}

// A failure that the library should not have: it is counted and printed, and ends the process.
void check(rhumb_status status, const char *what, SoakProgress *progress) {
    if (status == RHUMB_OK) return;
    progress->faults++;
    fprintf(stderr, "FAULT: %s: %s: %s\n", what, rhumb_status_name(status), rhumb_error_last()->message);
    _exit(3);
}

void fault(SoakProgress *progress, const char *what, uint64_t key, uint64_t expected, uint64_t found) {
    progress->faults++;
    fprintf(stderr, "FAULT: %s of key %llu: expected %llu, found %llu\n", what, static_cast<unsigned long long>(key),
            static_cast<unsigned long long>(expected), static_cast<unsigned long long>(found));
}

class Rows {
  public:
    explicit Rows(uint64_t seed) : random_(seed) {}
    uint64_t draw() { return random_(); }
    // `version` must be below 2^24, which f32 holds exactly.
    void make(uint64_t version, float *row) {
        std::normal_distribution<float> normal;
        row[0] = static_cast<float>(version % (1u << 24));
        for (uint32_t d = 1; d < kDim; d++) row[d] = 1000 * normal(random_);
    }

  private:
    std::mt19937_64 random_;
};

rhumb_index *open_index(const std::string &path, bool small, SoakProgress *progress) {
    rhumb_open_options open;
    rhumb_open_options_init(&open, sizeof open);
    open.checkpoint_log_bytes = small ? 64u << 10 : 4u << 20;
    rhumb_index *index = nullptr;
    const uint64_t begin_ns = now_ns();
    if (access(path.c_str(), F_OK) != 0) {
        rhumb_index_options options;
        rhumb_index_options_init(&options, sizeof options);
        options.dim = kDim;
        options.ef_construction = 50;
        options.open = &open;
        check(rhumb_index_create(path.c_str(), &options, &index), "create", progress);
    } else {
        check(rhumb_index_open(path.c_str(), &open, &index), "open", progress);
    }
    const uint64_t spent_ns = now_ns() - begin_ns;
    if (spent_ns > progress->open_max_ns) progress->open_max_ns = spent_ns;
    return index;
}

void check_version(rhumb_index *index, uint64_t key, SoakVersion *version, SoakProgress *progress) {
    float row[kDim];
    const uint32_t acknowledged = version->acknowledged, begun = version->begun;
    const rhumb_status status = rhumb_index_get_vector(index, key, row);
    const uint32_t found = status == RHUMB_OK ? static_cast<uint32_t>(row[0]) : 0;
    if (found < acknowledged || found > begun) fault(progress, "version", key, acknowledged, found);
    // What was found is durable, whether it was acknowledged or not.
    version->acknowledged = found;
    version->begun = found;
}

void check_batches(rhumb_index *index, SoakProgress *progress) {
    const uint64_t dropped = progress->batch_dropped, acknowledged = progress->batch_acknowledged;
    for (uint64_t batch = dropped + 1; batch <= progress->batch_begun; batch++) {
        uint32_t found_count = 0;
        for (uint32_t i = 0; i < kSoakBatchRows; i++) {
            bool found = false;
            check(rhumb_index_contains(index, kBatchFirst + batch * kSoakBatchRows + i, &found), "contains", progress);
            found_count += found;
        }
        // The batch after the last one that was dropped may have been deleted.
        const bool may_be_absent = batch == dropped + 1 || batch > acknowledged;
        const bool whole = found_count == kSoakBatchRows || (found_count == 0 && may_be_absent);
        if (!whole) fault(progress, "rows of batch", batch, kSoakBatchRows, found_count);
        if (batch > acknowledged && found_count == kSoakBatchRows) progress->batch_acknowledged = batch;
    }
    progress->batch_begun = progress->batch_acknowledged.load();
}

void check_index(rhumb_index *index, SoakProgress *progress) {
    for (uint32_t key = 0; key < kSoakHotKeys; key++) check_version(index, key, &progress->hot[key], progress);
    for (uint32_t i = 0; i < kSoakSpreadKeys; i++) {
        check_version(index, kSpreadFirst + i, &progress->spread[i], progress);
    }
    check_batches(index, progress);
    progress->lives++;
}

void write_version(rhumb_index *index, uint64_t key, SoakVersion *version, Rows *rows, SoakProgress *progress) {
    float row[kDim];
    const uint32_t next = version->acknowledged + 1;
    rows->make(next, row);
    version->begun = next;
    check(rhumb_index_upsert(index, key, row), "upsert", progress);
    version->acknowledged = next;
    progress->operations++;
}

void replace_hot_keys(rhumb_index *index, SoakProgress *progress) {
    Rows rows(now_ns());
    std::vector<uint64_t> upserts_ns, contains_ns;
    for (uint64_t i = 0;; i++) {
        const uint64_t key = i % kSoakHotKeys;
        uint64_t begin_ns = now_ns();
        write_version(index, key, &progress->hot[key], &rows, progress);
        upserts_ns.push_back(now_ns() - begin_ns);
        begin_ns = now_ns();
        bool found = false;
        check(rhumb_index_contains(index, key, &found), "contains", progress);
        contains_ns.push_back(now_ns() - begin_ns);
        if (!found) fault(progress, "presence", key, 1, 0);
        if (upserts_ns.size() < 1000) continue;
        std::nth_element(upserts_ns.begin(), upserts_ns.begin() + 500, upserts_ns.end());
        std::nth_element(contains_ns.begin(), contains_ns.begin() + 500, contains_ns.end());
        progress->hot_median_ns = upserts_ns[500];
        progress->contains_median_ns = contains_ns[500];
        upserts_ns.clear();
        contains_ns.clear();
    }
}

void replace_spread_keys(rhumb_index *index, SoakProgress *progress) {
    Rows rows(now_ns());
    for (;;) {
        const uint32_t i = static_cast<uint32_t>(rows.draw() % kSoakSpreadKeys);
        write_version(index, kSpreadFirst + i, &progress->spread[i], &rows, progress);
    }
}

void drop_batches(rhumb_index *index, SoakProgress *progress) {
    std::vector<uint64_t> keys(kSoakBatchRows);
    while (progress->batch_dropped + kSoakBatchKept < progress->batch_acknowledged) {
        const uint64_t batch = progress->batch_dropped + 1;
        for (uint32_t i = 0; i < kSoakBatchRows; i++) keys[i] = kBatchFirst + batch * kSoakBatchRows + i;
        check(rhumb_index_delete_batch(index, keys.data(), keys.size(), nullptr, nullptr, 0), "delete", progress);
        progress->batch_dropped = batch;
        progress->operations += kSoakBatchRows;
    }
}

void insert_batches(rhumb_index *index, SoakProgress *progress) {
    Rows rows(now_ns());
    std::vector<float> vectors(static_cast<size_t>(kSoakBatchRows) * kDim);
    std::vector<uint64_t> keys(kSoakBatchRows);
    rhumb_batch_options options;
    rhumb_batch_options_init(&options, sizeof options);
    options.thread_count = 1;
    for (;;) {
        drop_batches(index, progress);
        const uint64_t batch = progress->batch_acknowledged + 1;
        for (uint32_t i = 0; i < kSoakBatchRows; i++) {
            keys[i] = kBatchFirst + batch * kSoakBatchRows + i;
            rows.make(batch, &vectors[static_cast<size_t>(i) * kDim]);
        }
        progress->batch_begun = batch;
        check(rhumb_index_insert_batch(index, keys.data(), vectors.data(), keys.size(), &options, nullptr), "batch",
              progress);
        progress->batch_acknowledged = batch;
        progress->operations += kSoakBatchRows;
    }
}

} // namespace

void soak_writer(const std::string &path, SoakProgress *progress) {
    rhumb_index *index = open_index(path, false, progress);
    check_index(index, progress);
    std::thread hot(replace_hot_keys, index, progress), spread(replace_spread_keys, index, progress);
    insert_batches(index, progress);
    _exit(0);
}

void soak_small_writer(const std::string &directory, SoakProgress *progress) {
    std::vector<rhumb_index *> indexes;
    Rows rows(now_ns());
    for (uint32_t i = 0; i < kSoakSmallIndexes; i++) {
        indexes.push_back(open_index(directory + "/small-" + std::to_string(i) + ".rhumb", true, progress));
        for (uint32_t key = 0; key < kSoakSmallKeys; key++) {
            check_version(indexes[i], key, &progress->small[i * kSoakSmallKeys + key], progress);
        }
    }
    progress->lives++;
    for (;;) {
        const uint32_t i = static_cast<uint32_t>(rows.draw() % kSoakSmallIndexes);
        const uint32_t key = static_cast<uint32_t>(rows.draw() % kSoakSmallKeys);
        write_version(indexes[i], key, &progress->small[i * kSoakSmallKeys + key], &rows, progress);
    }
}

void soak_reader(const std::string &path, SoakProgress *progress) {
    rhumb_open_options open;
    rhumb_open_options_init(&open, sizeof open);
    open.read_only = true;
    rhumb_index *index = nullptr;
    check(rhumb_index_open(path.c_str(), &open, &index), "open for reading", progress);
    uint64_t keys[10], first_keys[10];
    float distances[10];
    const float query[kDim] = {1};
    for (bool first = true;; first = false) {
        size_t found_count = 0;
        check(rhumb_index_search(index, query, 10, nullptr, keys, distances, &found_count), "search", progress);
        if (first) std::copy(keys, keys + 10, first_keys);
        if (!std::equal(keys, keys + found_count, first_keys)) fault(progress, "answer of the idle reader", 0, 0, 1);
        sleep(1);
    }
}

void soak_check(const std::string &path, SoakProgress *progress) {
    rhumb_index *index = open_index(path, false, progress);
    check_index(index, progress);
    check(rhumb_index_wait_idle(index), "wait", progress);
    rhumb_verify_report report;
    check(rhumb_index_verify(index, &report, sizeof report), "verify", progress);
    if (report.checksum_error_count + report.structure_error_count + report.log_error_count > 0) {
        fault(progress, "errors that verify finds", 0, 0, report.checksum_error_count + report.structure_error_count);
    }
    check(rhumb_index_close(index), "close", progress);
}

} // namespace bench
