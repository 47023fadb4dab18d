// What a compaction gives back, and what it costs those who work beside it: three measurements of rhumb against itself.
//
//   deletes   size and recall after deleting a random 30% of a data set and compacting, beside an index built from the
//             other 70%; and what a second pass over the lists gains
//   beside    how long searches take (median, p99) with two inserting threads beside them, while a compaction is under
//             way and while none is; the longest that any insert took, and the pause that the compaction reports
//   rounds    ten rounds that each replace a random 20%, with compactions that begin by themselves: recall after each,
//             and the largest size of the file at any moment, beside an index built from what is left in the end
//
// Run on a machine that does nothing else.
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "api/rhumb.h"
#include "bench/dataset.h"

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

void check(rhumb_status status, const char *what) {
    if (status != RHUMB_OK) throw std::runtime_error(std::string(what) + ": " + rhumb_error_last()->message);
}

double quantile(std::vector<double> values, double q) {
    std::sort(values.begin(), values.end());
    if (values.empty()) return 0;
    return values[std::min(values.size() - 1, static_cast<size_t>(q * static_cast<double>(values.size())))];
}

struct Options {
    std::string directory = ".";
    std::string data;
    int passes = 5;
};

struct FileSize {
    double apparent;
    double allocated;
};

FileSize file_size(const std::string &path) {
    struct stat status = {};
    if (stat(path.c_str(), &status) != 0) return {0, 0};
    return {static_cast<double>(status.st_size), static_cast<double>(status.st_blocks) * 512};
}

// A new index for a data set.
class Index {
  public:
    Index(std::string path, const bench::Dataset &data, rhumb_durability durability, double dead_share)
        : path_(std::move(path)) {
        rhumb_open_options open;
        rhumb_open_options_init(&open, sizeof open);
        open.durability = durability;
        open.compact_dead_share = dead_share;
        rhumb_index_options options;
        rhumb_index_options_init(&options, sizeof options);
        options.dim = static_cast<uint32_t>(data.dim);
        options.metric = data.cosine ? RHUMB_METRIC_COSINE : RHUMB_METRIC_L2;
        options.open = &open;
        std::remove(path_.c_str());
        std::remove((path_ + "-wal").c_str());
        check(rhumb_index_create(path_.c_str(), &options, &index_), "create");
    }
    Index(const Index &) = delete;
    Index &operator=(const Index &) = delete;
    ~Index() {
        (void)rhumb_index_close(index_);
        std::remove(path_.c_str());
    }
    operator rhumb_index *() const { return index_; }
    FileSize size() const { return file_size(path_); }
    rhumb_index_stats stats() const {
        rhumb_index_stats stats = {};
        check(rhumb_index_stats_get(index_, &stats, sizeof stats), "stats");
        return stats;
    }
    // Inserts rows of a data set under their numbers.
    void insert(const bench::Dataset &data, const std::vector<uint64_t> &rows) const {
        std::vector<float> vectors;
        vectors.reserve(rows.size() * data.dim);
        for (uint64_t row : rows) vectors.insert(vectors.end(), data.train_row(row), data.train_row(row) + data.dim);
        rhumb_batch_options batch;
        rhumb_batch_options_init(&batch, sizeof batch);
        batch.partial = true;
        check(rhumb_index_insert_batch(index_, rows.data(), vectors.data(), rows.size(), &batch, nullptr), "insert");
    }
    void verify() const {
        rhumb_verify_report report = {};
        check(rhumb_index_verify(index_, &report, sizeof report), "verify");
        printf("%s: verified, %llu unreachable\n", path_.c_str(),
               static_cast<unsigned long long>(report.unreachable_count));
    }

  private:
    std::string path_;
    rhumb_index *index_ = nullptr;
};

// The ten nearest live rows of each query.
std::vector<std::vector<uint64_t>> live_truth(const bench::Dataset &data, const std::vector<bool> &live) {
    std::vector<std::vector<uint64_t>> truth(data.test_count);
    for (size_t q = 0; q < data.test_count; q++) {
        for (size_t i = 0; i < data.truth_count && truth[q].size() < 10; i++) {
            const auto row = static_cast<uint64_t>(data.neighbours[q * data.truth_count + i]);
            if (live[row]) truth[q].push_back(row);
        }
        if (truth[q].size() < 10) throw std::runtime_error("the data set knows too few true neighbours");
    }
    return truth;
}

double recall(rhumb_index *index, const bench::Dataset &data, const std::vector<std::vector<uint64_t>> &truth,
              uint32_t ef) {
    rhumb_search_options options;
    rhumb_search_options_init(&options, sizeof options);
    options.ef_search = ef;
    std::vector<uint64_t> keys(data.test_count * 10);
    check(
        rhumb_index_search_batch(index, data.test.data(), data.test_count, 10, &options, keys.data(), nullptr, nullptr),
        "search");
    size_t found = 0;
    for (size_t q = 0; q < data.test_count; q++) {
        for (size_t i = 0; i < 10; i++) {
            found += std::count(truth[q].begin(), truth[q].end(), keys[q * 10 + i]) > 0 ? 1 : 0;
        }
    }
    return static_cast<double>(found) / static_cast<double>(data.test_count * 10);
}

std::vector<uint64_t> rows_of(const std::vector<bool> &live) {
    std::vector<uint64_t> rows;
    for (size_t i = 0; i < live.size(); i++) {
        if (live[i]) rows.push_back(i);
    }
    return rows;
}

// ---- deletes ----

void compact(const Index &index, bool second_pass) {
    rhumb_compact_options options;
    rhumb_compact_options_init(&options, sizeof options);
    options.shrink = true;
    options.second_pass = second_pass;
    rhumb_compact_report report = {};
    const auto begin = Clock::now();
    check(rhumb_index_compact(index, &options, &report, sizeof report), "compact");
    printf("compacted in %.1f s%s: %llu dropped, %llu lists mended, %llu nodes reconnected, %llu unreachable\n",
           seconds_since(begin), second_pass ? " with a second pass" : "",
           static_cast<unsigned long long>(report.dropped_count),
           static_cast<unsigned long long>(report.repaired_count),
           static_cast<unsigned long long>(report.reconnected_count),
           static_cast<unsigned long long>(report.unreachable_count));
    index.verify();
}

void measure_deletes(const Options &options) {
    const bench::Dataset data = bench::read_dataset(options.data);
    std::mt19937_64 random(6);
    std::vector<bool> live(data.train_count);
    for (size_t i = 0; i < data.train_count; i++) live[i] = random() % 10 >= 3;
    const std::vector<std::vector<uint64_t>> truth = live_truth(data, live);
    const Index deleted(options.directory + "/deleted.rhumb", data, RHUMB_DURABILITY_NONE, 1);
    deleted.insert(data, rows_of(std::vector<bool>(data.train_count, true)));
    const Index fresh(options.directory + "/fresh.rhumb", data, RHUMB_DURABILITY_NONE, 1);
    fresh.insert(data, rows_of(live));
    check(rhumb_index_checkpoint(fresh), "checkpoint");
    for (size_t i = 0; i < data.train_count; i++) {
        if (!live[i]) check(rhumb_index_delete(deleted, i), "delete");
    }
    check(rhumb_index_checkpoint(deleted), "checkpoint");
    const double before = deleted.size().apparent;
    const uint32_t efs[] = {16, 32, 64, 128, 256};
    std::vector<double> rates[4];
    for (uint32_t ef : efs) rates[0].push_back(recall(fresh, data, truth, ef));
    for (uint32_t ef : efs) rates[1].push_back(recall(deleted, data, truth, ef));
    compact(deleted, false);
    const FileSize size = deleted.size();
    for (uint32_t ef : efs) rates[2].push_back(recall(deleted, data, truth, ef));
    compact(deleted, true);
    for (uint32_t ef : efs) rates[3].push_back(recall(deleted, data, truth, ef));
    printf("%s, M 16, ef_construction 200, k 10: %zu of %zu rows deleted at random\n", data.name.c_str(),
           data.train_count - rows_of(live).size(), data.train_count);
    printf("file: %.1f MB before, %.1f MB compacted (%.1f MB on the disk), %.1f MB built without: %.3f x\n",
           before * 1e-6, size.apparent * 1e-6, size.allocated * 1e-6, fresh.size().apparent * 1e-6,
           size.apparent / fresh.size().apparent);
    printf("recall\n%6s %14s %14s %14s %12s %14s\n", "ef", "built without", "deleted", "compacted", "difference",
           "second pass");
    for (size_t i = 0; i < std::size(efs); i++) {
        printf("%6u %14.4f %14.4f %14.4f %+12.4f %14.4f\n", efs[i], rates[0][i], rates[1][i], rates[2][i],
               rates[2][i] - rates[0][i], rates[3][i]);
    }
}

// ---- beside ----

struct Beside {
    double p50, p99, insert_max, seconds;
    size_t search_count, insert_count;
};

// Two threads that search and two that insert and delete, until `going` says no more.
template <typename Going> Beside work(const Index &index, const bench::Dataset &data, uint64_t round, Going going) {
    std::atomic<bool> stop{false};
    std::vector<double> times[2], inserts[2];
    std::vector<std::thread> threads;
    const auto begin = Clock::now();
    for (size_t t = 0; t < 2; t++) {
        threads.emplace_back([&, t] {
            uint64_t keys[10];
            for (size_t q = t; !stop; q += 2) {
                const auto start = Clock::now();
                check(
                    rhumb_index_search(index, data.test_row(q % data.test_count), 10, nullptr, keys, nullptr, nullptr),
                    "search");
                times[t].push_back(seconds_since(start) * 1e6);
            }
        });
        threads.emplace_back([&, t] {
            for (uint64_t i = t; !stop; i += 2) {
                const uint64_t key = (round + 1) * 10000000 + i;
                const auto start = Clock::now();
                check(rhumb_index_insert(index, key, data.train_row(i % data.train_count)), "insert");
                inserts[t].push_back(seconds_since(start) * 1e3);
                if (i >= 2000) check(rhumb_index_delete(index, key - 2000), "delete");
            }
        });
    }
    going();
    stop = true;
    for (std::thread &thread : threads) thread.join();
    times[0].insert(times[0].end(), times[1].begin(), times[1].end());
    inserts[0].insert(inserts[0].end(), inserts[1].begin(), inserts[1].end());
    return {quantile(times[0], 0.5), quantile(times[0], 0.99), quantile(inserts[0], 1),
            seconds_since(begin),    times[0].size(),          inserts[0].size()};
}

void measure_beside(const Options &options) {
    const bench::Dataset data = bench::read_dataset(options.data);
    const Index index(options.directory + "/beside.rhumb", data, RHUMB_DURABILITY_INTERVAL, 1);
    index.insert(data, rows_of(std::vector<bool>(data.train_count, true)));
    check(rhumb_index_checkpoint(index), "checkpoint");
    std::vector<double> p50[2], p99[2], insert_max[2], pauses, seconds, carried;
    for (int pass = 0; pass < options.passes; pass++) {
        rhumb_compact_report report = {};
        const Beside quiet = work(index, data, static_cast<uint64_t>(2 * pass),
                                  [] { std::this_thread::sleep_for(std::chrono::seconds(8)); });
        const Beside busy = work(index, data, static_cast<uint64_t>(2 * pass + 1), [&] {
            rhumb_compact_options compact;
            rhumb_compact_options_init(&compact, sizeof compact);
            compact.thread_count = 1;
            check(rhumb_index_compact(index, &compact, &report, sizeof report), "compact");
        });
        p50[0].push_back(quiet.p50);
        p50[1].push_back(busy.p50);
        p99[0].push_back(quiet.p99);
        p99[1].push_back(busy.p99);
        insert_max[0].push_back(quiet.insert_max);
        insert_max[1].push_back(busy.insert_max);
        pauses.push_back(static_cast<double>(report.pause_ns) * 1e-6);
        seconds.push_back(busy.seconds);
        carried.push_back(static_cast<double>(report.carried_count));
    }
    const rhumb_index_stats stats = index.stats();
    printf("%s, two searching and two inserting threads, k 10, ef 64, mode interval; medians of %d\n",
           data.name.c_str(), options.passes);
    printf("%-22s %10s %10s %16s\n", "", "p50 us", "p99 us", "slowest insert ms");
    for (int i = 0; i < 2; i++) {
        printf("%-22s %10.1f %10.1f %16.1f\n", i == 0 ? "no compaction" : "during a compaction", quantile(p50[i], 0.5),
               quantile(p99[i], 0.5), quantile(insert_max[i], 0.5));
    }
    printf("%-22s %9.2fx %9.2fx\n", "ratio", quantile(p50[1], 0.5) / quantile(p50[0], 0.5),
           quantile(p99[1], 0.5) / quantile(p99[0], 0.5));
    printf("a compaction took %.1f s and carried %.0f operations over; it kept writers out for %.2f ms, at most %.2f; "
           "single operations were slowed down by at most %.2f ms\n",
           quantile(seconds, 0.5), quantile(carried, 0.5), quantile(pauses, 0.5), quantile(pauses, 1),
           static_cast<double>(stats.compaction_delay_max_ns) * 1e-6);
}

// ---- rounds ----

void measure_rounds(const Options &options) {
    const bench::Dataset data = bench::read_dataset(options.data);
    std::mt19937_64 random(8);
    std::vector<bool> live(data.train_count);
    for (size_t i = 0; i < data.train_count; i++) live[i] = random() % 3 != 0;
    const std::string path = options.directory + "/rounds.rhumb";
    const Index index(path, data, RHUMB_DURABILITY_INTERVAL, 0);
    index.insert(data, rows_of(live));
    check(rhumb_index_checkpoint(index), "checkpoint");
    std::atomic<bool> stop{false};
    FileSize largest = {0, 0};
    std::thread watcher([&] {
        while (!stop) {
            const FileSize size = file_size(path);
            largest.apparent = std::max(largest.apparent, size.apparent);
            largest.allocated = std::max(largest.allocated, size.allocated);
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
    });
    printf("%s, two thirds of it, each round replaces a random fifth; ef 64, k 10\n", data.name.c_str());
    printf("%6s %10s %14s %12s\n", "round", "recall", "compactions", "file MB");
    for (int round = 1; round <= 10; round++) {
        std::vector<uint64_t> rows = rows_of(live), others;
        for (size_t i = 0; i < live.size(); i++) {
            if (!live[i]) others.push_back(i);
        }
        std::shuffle(rows.begin(), rows.end(), random);
        std::shuffle(others.begin(), others.end(), random);
        const size_t count = std::min(rows.size() / 5, others.size());
        for (size_t i = 0; i < count; i++) {
            check(rhumb_index_delete(index, rows[i]), "delete");
            check(rhumb_index_insert(index, others[i], data.train_row(others[i])), "insert");
            live[rows[i]] = false;
            live[others[i]] = true;
        }
        check(rhumb_index_wait_idle(index), "wait");
        const rhumb_index_stats stats = index.stats();
        if (stats.compaction_failed_count > 0) throw std::runtime_error(stats.compaction_failure);
        printf("%6d %10.4f %14llu %12.1f\n", round, recall(index, data, live_truth(data, live), 64),
               static_cast<unsigned long long>(stats.compaction_count), index.size().allocated * 1e-6);
    }
    stop = true;
    watcher.join();
    index.verify();
    const Index fresh(options.directory + "/fresh.rhumb", data, RHUMB_DURABILITY_NONE, 1);
    fresh.insert(data, rows_of(live));
    check(rhumb_index_checkpoint(fresh), "checkpoint");
    const double of_fresh = recall(fresh, data, live_truth(data, live), 64);
    printf("%6s %10.4f %14s %12.1f\n", "fresh", of_fresh, "", fresh.size().allocated * 1e-6);
    printf("largest at any moment: %.2f x on the disk, %.2f x as a length\n",
           largest.allocated / fresh.size().allocated, largest.apparent / fresh.size().apparent);
}

int usage() {
    fprintf(stderr, "usage: compaction deletes|beside|rounds --data FILE.hdf5 [--dir DIR] [--passes N]\n");
    return 2;
}

} // namespace

int main(int argc, char **argv) {
    Options options;
    for (int i = 2; i + 1 < argc; i += 2) {
        const std::string name = argv[i];
        if (name == "--dir") options.directory = argv[i + 1];
        if (name == "--data") options.data = argv[i + 1];
        if (name == "--passes") options.passes = std::max(1, atoi(argv[i + 1]));
    }
    try {
        const std::string what = argc < 2 ? "" : argv[1];
        if (options.data.empty()) return usage();
        if (what == "deletes") {
            measure_deletes(options);
        } else if (what == "beside") {
            measure_beside(options);
        } else if (what == "rounds") {
            measure_rounds(options);
        } else {
            return usage();
        }
    } catch (const std::exception &error) {
        fprintf(stderr, "compaction: %s\n", error.what());
        return 1;
    }
    return 0;
}
