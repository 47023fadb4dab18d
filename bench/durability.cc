// What durability and recovery cost: four measurements of rhumb, one a run.
//
//   log          vectors inserted per second by many threads, one call each, in the modes none, interval and full; and
//                how many operations shared a sync
//   checkpoint   how long searches take (median, p99) while a checkpoint is being written and while none is
//   recovery     from the call that opens an index with a log of 64 MiB to the first answer, in a process of its own;
//                with a small and a large index that the log continues
//   deletes      recall after deleting a random 30% of a data set, compared with an index of the other 70%
//
// Vectors are Gaussian clusters from a fixed seed, except for `deletes`. Run on an otherwise idle machine.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
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

constexpr uint32_t kDim = 96;

std::vector<float> clusters(size_t count, uint64_t seed) {
    std::mt19937_64 centre_random(1), random(seed);
    std::normal_distribution<float> normal;
    std::vector<float> centres(200 * kDim), rows(count * kDim);
    for (float &x : centres) x = 3 * normal(centre_random);
    for (size_t i = 0; i < count; i++) {
        const float *centre = &centres[random() % 200 * kDim];
        for (size_t d = 0; d < kDim; d++) rows[i * kDim + d] = centre[d] + normal(random);
    }
    return rows;
}

IndexSettings cluster_settings(uint32_t ef_construction) {
    IndexSettings settings;
    settings.dim = kDim;
    settings.ef_construction = ef_construction;
    return settings;
}

struct Options {
    std::string directory = ".";
    std::string data;
    int passes = 5;
    uint32_t threads = 16;
};

// ---- log ----

struct InsertRate {
    double per_second;
    double group;
};

InsertRate insert_rate(const Options &options, rhumb_durability durability, const std::vector<float> &rows) {
    IndexSettings settings = cluster_settings(100);
    settings.durability = durability;
    settings.checkpoint_log_bytes = UINT64_MAX;
    const RhumbIndex index(options.directory + "/log.rhumb", settings);
    const size_t count = rows.size() / kDim;
    std::atomic<size_t> next{0};
    std::vector<std::thread> threads;
    const Stopwatch watch;
    for (uint32_t t = 0; t < options.threads; t++) {
        threads.emplace_back([&] {
            for (size_t i; (i = next++) < count;) check(rhumb_index_insert(index, i, &rows[i * kDim]), "insert");
        });
    }
    for (std::thread &thread : threads) thread.join();
    const double seconds = watch.seconds();
    const rhumb_index_stats stats = index.stats();
    const double syncs = static_cast<double>(stats.log_sync_count);
    return {static_cast<double>(count) / seconds, syncs > 0 ? static_cast<double>(stats.log_synced_count) / syncs : 0};
}

void measure_log(const Options &options) {
    const std::vector<float> rows = clusters(20000, 2);
    const rhumb_durability modes[] = {RHUMB_DURABILITY_NONE, RHUMB_DURABILITY_INTERVAL, RHUMB_DURABILITY_FULL};
    const char *names[] = {"none", "interval", "full"};
    std::vector<double> rates[3], groups[3];
    for (int pass = 0; pass < options.passes; pass++) {
        for (int m = 0; m < 3; m++) {
            const int mode = (m + pass) % 3; // noise affects all alike
            const InsertRate rate = insert_rate(options, modes[mode], rows);
            rates[mode].push_back(rate.per_second);
            groups[mode].push_back(rate.group);
        }
    }
    printf("20,000 inserts of %u x f32 by %u threads, ef_construction 100, medians of %d passes\n", kDim,
           options.threads, options.passes);
    printf("%-10s %12s %10s %14s\n", "mode", "per second", "of none", "group size");
    for (int m = 0; m < 3; m++) {
        printf("%-10s %12.0f %9.2fx %14.1f\n", names[m], median(rates[m]), median(rates[m]) / median(rates[0]),
               median(groups[m]));
    }
}

// ---- checkpoint ----

void measure_checkpoint(const Options &options) {
    const size_t count = 200000, added = 4000;
    const std::vector<float> rows = clusters(count + added * static_cast<size_t>(options.passes), 3);
    const std::vector<float> queries = clusters(1000, 4);
    const RhumbIndex index(options.directory + "/checkpoint.rhumb", cluster_settings(60));
    index.insert(nullptr, rows.data(), count);
    index.checkpoint();
    std::vector<double> quiet_p99, busy_p99, quiet_p50, busy_p50;
    double bytes = 0, seconds = 0, pause = 0;
    for (int pass = 0; pass < options.passes; pass++) {
        index.insert(nullptr, &rows[(count + added * static_cast<size_t>(pass)) * kDim], added);
        std::vector<double> quiet, busy;
        const auto search_while = [&](std::vector<double> *times, const std::function<bool()> &going) {
            uint64_t keys[10];
            for (size_t q = 0; going(); q++) {
                const Stopwatch watch;
                check(rhumb_index_search(index, &queries[q % 1000 * kDim], 10, nullptr, keys, nullptr, nullptr),
                      "search");
                times->push_back(watch.seconds() * 1e6);
            }
        };
        std::vector<double> warm;
        const Stopwatch warm_watch;
        search_while(&warm, [&] { return warm_watch.seconds() < 0.5; });
        const Stopwatch quiet_watch;
        search_while(&quiet, [&] { return quiet_watch.seconds() < 1.5; });
        std::atomic<bool> done{false};
        std::thread checkpoint([&] {
            index.checkpoint();
            done = true;
        });
        search_while(&busy, [&] { return !done; });
        checkpoint.join();
        quiet_p50.push_back(quantile(quiet, 0.5));
        quiet_p99.push_back(quantile(quiet, 0.99));
        busy_p50.push_back(quantile(busy, 0.5));
        busy_p99.push_back(quantile(busy, 0.99));
        const rhumb_index_stats stats = index.stats();
        bytes = static_cast<double>(stats.checkpoint_bytes);
        seconds = static_cast<double>(stats.checkpoint_ns) * 1e-9;
        pause = static_cast<double>(stats.checkpoint_pause_max_ns) * 1e-6;
    }
    printf(
        "one searching thread, %zu x %u x f32, k 10, ef 64; before each checkpoint %zu vectors more; medians of %d\n",
        count, kDim, added, options.passes);
    printf("%-22s %10s %10s\n", "", "p50 us", "p99 us");
    printf("%-22s %10.1f %10.1f\n", "no checkpoint", median(quiet_p50), median(quiet_p99));
    printf("%-22s %10.1f %10.1f\n", "during a checkpoint", median(busy_p50), median(busy_p99));
    printf("%-22s %9.2fx %9.2fx\n", "ratio", median(busy_p50) / median(quiet_p50),
           median(busy_p99) / median(quiet_p99));
    printf("the last checkpoint wrote %.0f MB in %.2f s; longest pause of deletes and upserts %.3f ms\n", bytes * 1e-6,
           seconds, pause);
}

// ---- recovery ----

// Leaves an index of `base` vectors and a log of about 64 MiB, as a killed process would.
void leave_log(const std::string &path, const std::vector<float> &rows, size_t base, size_t logged) {
    const pid_t child = fork();
    if (child == 0) {
        {
            const RhumbIndex index(path, cluster_settings(20));
            if (base > 0) index.insert(nullptr, rows.data(), base);
        }
        rhumb_open_options open;
        rhumb_open_options_init(&open, sizeof open);
        open.durability = RHUMB_DURABILITY_INTERVAL;
        open.checkpoint_log_bytes = UINT64_MAX;
        rhumb_index *index = nullptr;
        check(rhumb_index_open(path.c_str(), &open, &index), "open");
        rhumb_batch_options batch;
        rhumb_batch_options_init(&batch, sizeof batch);
        batch.partial = true;
        check(rhumb_index_insert_batch(index, nullptr, &rows[base * kDim], logged, &batch, nullptr), "insert");
        check(rhumb_index_sync(index), "sync");
        kill(getpid(), SIGKILL);
    }
    int state = 0;
    waitpid(child, &state, 0);
    if (!WIFSIGNALED(state)) throw std::runtime_error("the writing process failed");
}

// Seconds from open to the first answer, in a new process.
double first_answer(const std::string &path, const float *query) {
    int ends[2];
    if (pipe(ends) != 0) throw std::runtime_error("pipe");
    const pid_t child = fork();
    if (child == 0) {
        const Stopwatch watch;
        rhumb_index *index = nullptr;
        check(rhumb_index_open(path.c_str(), nullptr, &index), "open");
        uint64_t keys[10];
        check(rhumb_index_search(index, query, 10, nullptr, keys, nullptr, nullptr), "search");
        const double seconds = watch.seconds();
        (void)!write(ends[1], &seconds, sizeof seconds);
        kill(getpid(), SIGKILL); // the log stays for the next round
    }
    close(ends[1]);
    double seconds = -1;
    (void)!read(ends[0], &seconds, sizeof seconds);
    close(ends[0]);
    waitpid(child, nullptr, 0);
    if (seconds < 0) throw std::runtime_error("the recovering process failed");
    return seconds;
}

void measure_recovery(const Options &options) {
    const std::string path = options.directory + "/recovery.rhumb";
    const size_t logged = (64u << 20) / (40 + 8 + kDim * 4);
    printf("open for writing to first answer, %d rounds each\n%12s %10s %10s %10s %12s\n", options.passes, "index",
           "log MiB", "median s", "worst s", "not linked");
    for (size_t base : {size_t{0}, size_t{500000}}) {
        const std::vector<float> rows = clusters(base + logged, 5);
        leave_log(path, rows, base, logged);
        const FileSize log = file_size(path + "-wal");
        std::vector<double> times;
        for (int round = 0; round < options.passes; round++) times.push_back(first_answer(path, &rows[7 * kDim]));
        printf("%12zu %10.1f %10.3f %10.3f %12zu\n", base, static_cast<double>(log.length_bytes) / (1 << 20),
               median(times), *std::max_element(times.begin(), times.end()), logged);
    }
}

// ---- deletes ----

void measure_deletes(const Options &options) {
    const Dataset data = read_dataset(options.data);
    std::mt19937_64 random(6);
    LiveRows live(data);
    for (size_t i = 0; i < data.train_count; i++) live.set(i, random() % 10 >= 3);
    const std::vector<uint64_t> dead = live.rows(false);
    const std::vector<std::vector<uint64_t>> truth = live.truth();
    const RhumbIndex deleted(options.directory + "/deleted.rhumb", IndexSettings(data));
    deleted.insert(nullptr, data.train.data(), data.train_count);
    for (uint64_t key : dead) check(rhumb_index_delete(deleted, key), "delete");
    const RhumbIndex fresh(options.directory + "/fresh.rhumb", IndexSettings(data));
    fresh.insert(data, live.rows());
    printf("%s, M 16, ef_construction 200, k 10: %zu of %zu rows deleted at random\n", data.name.c_str(), dead.size(),
           data.train_count);
    printf("%6s %18s %18s %12s\n", "ef", "after deleting", "built without", "difference");
    for (uint32_t ef : {16u, 32u, 64u, 128u, 256u}) {
        const double after = recall_at_10(deleted, data, truth, ef), without = recall_at_10(fresh, data, truth, ef);
        printf("%6u %18.4f %18.4f %+12.4f\n", ef, after, without, after - without);
    }
}

int usage() {
    fprintf(stderr, "usage: durability log|checkpoint|recovery|deletes [--dir DIR] [--passes N] [--threads N] "
                    "[--data FILE.hdf5]\n");
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
        if (name == "--threads") options.threads = static_cast<uint32_t>(std::max(1, atoi(argv[i + 1])));
    }
    try {
        const std::string what = argc < 2 ? "" : argv[1];
        void (*const measure)(const Options &) = what == "log"          ? measure_log
                                                 : what == "checkpoint" ? measure_checkpoint
                                                 : what == "recovery"   ? measure_recovery
                                                 : what == "deletes"    ? measure_deletes
                                                                        : nullptr;
        if (measure == nullptr) return usage();
        print_record("what the log, checkpoints and recovery cost; recall after deletes", "durability", argc, argv);
        measure(options);
    } catch (const std::exception &error) {
        fprintf(stderr, "durability: %s\n", error.what());
        return 1;
    }
    return 0;
}
