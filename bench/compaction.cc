// What compacting in place gains, and what it costs concurrent searches and inserts: three measurements of rhumb.
//
//   deletes      size and recall after deleting a random 30% of a data set and compacting, compared with an index built
//                from the other 70%; and what a second pass over the lists gains
//   concurrent   how long searches take (median, p99) while two threads insert, with and without a running compaction;
//                the longest time of any insert, and the pause that the compaction reports
//   rounds       ten rounds that each replace a random 20%, with automatic compactions: recall after each, and the
//                largest size of the file, compared with an index built from the rows that remain at the end
//
// Run on an otherwise idle machine.
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

#include "bench/dataset.h"
#include "bench/live_rows.h"
#include "bench/machine.h"
#include "bench/measure.h"
#include "bench/record.h"
#include "bench/rhumb_index.h"
#include "include/rhumb.h"

namespace bench {
namespace {

struct Options {
    std::string directory = ".";
    std::string data;
    int passes = 5;
};

// Creates an index of a data set. It is compacted on request, or automatically.
RhumbIndex make_index(const std::string &path, const Dataset &data, rhumb_durability durability, bool by_itself) {
    IndexSettings settings(data);
    settings.durability = durability;
    settings.compact_dead_share = by_itself ? 0 : 1;
    settings.removed_when_closed = true;
    return RhumbIndex(path, settings);
}

void verify(const RhumbIndex &index, const std::string &path) {
    rhumb_verify_report report = {};
    check(rhumb_index_verify(index, &report, sizeof report), "verify");
    printf("%s: verified, %llu unreachable\n", path.c_str(), static_cast<unsigned long long>(report.unreachable_count));
}

double megabytes(uint64_t bytes) { return static_cast<double>(bytes) * 1e-6; }

double ratio(uint64_t bytes, uint64_t other_bytes) {
    return static_cast<double>(bytes) / static_cast<double>(other_bytes);
}

// ---- deletes ----

void compact(const RhumbIndex &index, const std::string &path, bool second_pass) {
    rhumb_compact_options options;
    rhumb_compact_options_init(&options, sizeof options);
    options.shrink = true;
    options.second_pass = second_pass;
    rhumb_compact_report report = {};
    const Stopwatch watch;
    check(rhumb_index_compact(index, &options, &report, sizeof report), "compact");
    printf("compacted in %.1f s%s: %llu dropped, %llu lists mended, %llu nodes reconnected, %llu unreachable\n",
           watch.seconds(), second_pass ? " with a second pass" : "",
           static_cast<unsigned long long>(report.dropped_count),
           static_cast<unsigned long long>(report.repaired_count),
           static_cast<unsigned long long>(report.reconnected_count),
           static_cast<unsigned long long>(report.unreachable_count));
    verify(index, path);
}

void measure_deletes(const Options &options) {
    const Dataset data = read_dataset(options.data);
    std::mt19937_64 random(6);
    LiveRows live(data);
    for (size_t i = 0; i < data.train_count; i++) live.set(i, random() % 10 >= 3);
    const std::vector<uint64_t> dead = live.rows(false);
    const std::vector<std::vector<uint64_t>> truth = live.truth();
    const std::string deleted_path = options.directory + "/deleted.rhumb";
    const std::string fresh_path = options.directory + "/fresh.rhumb";
    const RhumbIndex deleted = make_index(deleted_path, data, RHUMB_DURABILITY_NONE, false);
    deleted.insert(nullptr, data.train.data(), data.train_count);
    const RhumbIndex fresh = make_index(fresh_path, data, RHUMB_DURABILITY_NONE, false);
    fresh.insert(data, live.rows());
    fresh.checkpoint();
    for (uint64_t key : dead) check(rhumb_index_delete(deleted, key), "delete");
    deleted.checkpoint();
    const FileSize before = file_size(deleted_path);
    const uint32_t efs[] = {16, 32, 64, 128, 256};
    std::vector<double> rates[4];
    for (uint32_t ef : efs) rates[0].push_back(recall_at_10(fresh, data, truth, ef));
    for (uint32_t ef : efs) rates[1].push_back(recall_at_10(deleted, data, truth, ef));
    compact(deleted, deleted_path, false);
    const FileSize size = file_size(deleted_path), fresh_size = file_size(fresh_path);
    for (uint32_t ef : efs) rates[2].push_back(recall_at_10(deleted, data, truth, ef));
    compact(deleted, deleted_path, true);
    for (uint32_t ef : efs) rates[3].push_back(recall_at_10(deleted, data, truth, ef));
    printf("%s, M 16, ef_construction 200, k 10: %zu of %zu rows deleted at random\n", data.name.c_str(), dead.size(),
           data.train_count);
    printf("file: %.1f MB before, %.1f MB compacted (%.1f MB on the disk), %.1f MB built without: %.3f x\n",
           megabytes(before.length_bytes), megabytes(size.length_bytes), megabytes(size.disk_bytes),
           megabytes(fresh_size.length_bytes), ratio(size.length_bytes, fresh_size.length_bytes));
    printf("recall\n%6s %14s %14s %14s %12s %14s\n", "ef", "built without", "deleted", "compacted", "difference",
           "second pass");
    for (size_t i = 0; i < std::size(efs); i++) {
        printf("%6u %14.4f %14.4f %14.4f %+12.4f %14.4f\n", efs[i], rates[0][i], rates[1][i], rates[2][i],
               rates[2][i] - rates[0][i], rates[3][i]);
    }
}

// ---- concurrent ----

struct Concurrent {
    double p50, p99, insert_max, seconds;
    size_t search_count, insert_count;
};

// Runs two threads that search and two that insert and delete, while `going` is true.
template <typename Going> Concurrent work(const RhumbIndex &index, const Dataset &data, uint64_t round, Going going) {
    std::atomic<bool> stop{false};
    std::vector<double> times[2], inserts[2];
    std::vector<std::thread> threads;
    const Stopwatch whole;
    for (size_t t = 0; t < 2; t++) {
        threads.emplace_back([&, t] {
            uint64_t keys[10];
            for (size_t q = t; !stop; q += 2) {
                const Stopwatch watch;
                check(
                    rhumb_index_search(index, data.test_row(q % data.test_count), 10, nullptr, keys, nullptr, nullptr),
                    "search");
                times[t].push_back(watch.seconds() * 1e6);
            }
        });
        threads.emplace_back([&, t] {
            for (uint64_t i = t; !stop; i += 2) {
                const uint64_t key = (round + 1) * 10000000 + i;
                const Stopwatch watch;
                check(rhumb_index_insert(index, key, data.train_row(i % data.train_count)), "insert");
                inserts[t].push_back(watch.seconds() * 1e3);
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
            whole.seconds(),         times[0].size(),          inserts[0].size()};
}

void measure_concurrent(const Options &options) {
    const Dataset data = read_dataset(options.data);
    const RhumbIndex index =
        make_index(options.directory + "/concurrent.rhumb", data, RHUMB_DURABILITY_INTERVAL, false);
    index.insert(nullptr, data.train.data(), data.train_count);
    index.checkpoint();
    std::vector<double> p50[2], p99[2], insert_max[2], pauses, seconds, carried;
    for (int pass = 0; pass < options.passes; pass++) {
        rhumb_compact_report report = {};
        const Concurrent quiet = work(index, data, static_cast<uint64_t>(2 * pass),
                                      [] { std::this_thread::sleep_for(std::chrono::seconds(8)); });
        const Concurrent busy = work(index, data, static_cast<uint64_t>(2 * pass + 1), [&] {
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
    const Dataset data = read_dataset(options.data);
    std::mt19937_64 random(8);
    LiveRows live(data);
    for (size_t i = 0; i < data.train_count; i++) live.set(i, random() % 3 != 0);
    const std::string path = options.directory + "/rounds.rhumb", fresh_path = options.directory + "/fresh.rhumb";
    const RhumbIndex index = make_index(path, data, RHUMB_DURABILITY_INTERVAL, true);
    index.insert(data, live.rows());
    index.checkpoint();
    std::atomic<bool> stop{false};
    FileSize largest;
    std::thread watcher([&] {
        while (!stop) {
            const FileSize size = file_size(path);
            largest.length_bytes = std::max(largest.length_bytes, size.length_bytes);
            largest.disk_bytes = std::max(largest.disk_bytes, size.disk_bytes);
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
    });
    printf("%s, two thirds of it, each round replaces a random fifth; ef 64, k 10\n", data.name.c_str());
    printf("%6s %10s %14s %12s\n", "round", "recall", "compactions", "file MB");
    for (int round = 1; round <= 10; round++) {
        std::vector<uint64_t> rows = live.rows(), others = live.rows(false);
        std::shuffle(rows.begin(), rows.end(), random);
        std::shuffle(others.begin(), others.end(), random);
        const size_t count = std::min(rows.size() / 5, others.size());
        for (size_t i = 0; i < count; i++) {
            check(rhumb_index_delete(index, rows[i]), "delete");
            check(rhumb_index_insert(index, others[i], data.train_row(others[i])), "insert");
            live.set(rows[i], false);
            live.set(others[i], true);
        }
        check(rhumb_index_wait_idle(index), "wait");
        const rhumb_index_stats stats = index.stats();
        if (stats.compaction_failed_count > 0) throw std::runtime_error(stats.compaction_failure);
        printf("%6d %10.4f %14llu %12.1f\n", round, recall_at_10(index, data, live.truth(), 64),
               static_cast<unsigned long long>(stats.compaction_count), megabytes(file_size(path).disk_bytes));
    }
    stop = true;
    watcher.join();
    verify(index, path);
    const RhumbIndex fresh = make_index(fresh_path, data, RHUMB_DURABILITY_NONE, false);
    fresh.insert(data, live.rows());
    fresh.checkpoint();
    const FileSize fresh_size = file_size(fresh_path);
    printf("%6s %10.4f %14s %12.1f\n", "fresh", recall_at_10(fresh, data, live.truth(), 64), "",
           megabytes(fresh_size.disk_bytes));
    printf("largest at any moment: %.2f x on the disk, %.2f x as a length\n",
           ratio(largest.disk_bytes, fresh_size.disk_bytes), ratio(largest.length_bytes, fresh_size.length_bytes));
}

int usage() {
    fprintf(stderr, "usage: compaction deletes|concurrent|rounds --data FILE.hdf5 [--dir DIR] [--passes N]\n");
    return 2;
}

} // namespace
} // namespace bench

int main(int argc, char **argv) {
    using namespace bench;
    Options options;
    for (int i = 2; i + 1 < argc; i += 2) {
        const std::string name = argv[i];
        if (name == "--dir") options.directory = argv[i + 1];
        if (name == "--data") options.data = argv[i + 1];
        if (name == "--passes") options.passes = std::max(1, atoi(argv[i + 1]));
    }
    try {
        const std::string what = argc < 2 ? "" : argv[1];
        void (*const measure)(const Options &) = what == "deletes"      ? measure_deletes
                                                 : what == "concurrent" ? measure_concurrent
                                                 : what == "rounds"     ? measure_rounds
                                                                        : nullptr;
        if (measure == nullptr || options.data.empty()) return usage();
        print_record("what compacting in place gains and costs", "compaction", argc, argv);
        measure(options);
    } catch (const std::exception &error) {
        fprintf(stderr, "compaction: %s\n", error.what());
        return 1;
    }
    return 0;
}
