// What one key that is replaced again and again costs while a slow checkpoint runs: the time of an upsert at the
// beginning and at the end of the checkpoint, and of a look-up of this key before and after it.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "bench/record.h"
#include "bench/rhumb_index.h"
#include "include/rhumb.h"

namespace bench {
namespace {

constexpr uint32_t kDim = 16;
constexpr size_t kCount = 50000;
constexpr uint64_t kHotKey = 7;

double seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

double median(std::vector<double> values, size_t begin, size_t end) {
    std::sort(values.begin() + static_cast<long>(begin), values.begin() + static_cast<long>(end));
    return values[begin + (end - begin) / 2];
}

// Microseconds of a look-up, the median of 21 times 1,000.
double look_up_us(rhumb_index *index, uint64_t key) {
    std::vector<double> times;
    for (int round = 0; round < 21; round++) {
        const double begin = seconds();
        for (int i = 0; i < 1000; i++) {
            bool found = false;
            check(rhumb_index_contains(index, key, &found), "contains");
        }
        times.push_back((seconds() - begin) * 1e3);
    }
    return median(times, 0, times.size());
}

void measure(const std::string &directory) {
    std::mt19937_64 random(11);
    std::normal_distribution<float> normal;
    std::vector<float> rows(kCount * kDim);
    for (float &x : rows) x = normal(random);
    rhumb_open_options open;
    rhumb_open_options_init(&open, sizeof open);
    open.durability = RHUMB_DURABILITY_INTERVAL;
    open.checkpoint_log_bytes = UINT64_MAX;
    open.checkpoint_bytes_per_second = 1u << 20;
    open.compact_dead_share = 1;
    rhumb_index_options options;
    rhumb_index_options_init(&options, sizeof options);
    options.dim = kDim;
    options.ef_construction = 50;
    options.open = &open;
    const std::string path = directory + "/hot.rhumb";
    remove(path.c_str());
    rhumb_index *index = nullptr;
    check(rhumb_index_create(path.c_str(), &options, &index), "create");
    check(rhumb_index_insert_batch(index, nullptr, rows.data(), kCount, nullptr, nullptr), "insert");
    const double look_up_before = look_up_us(index, kHotKey);
    std::atomic<bool> done{false};
    std::thread checkpoint([&] {
        check(rhumb_index_checkpoint(index), "checkpoint");
        done = true;
    });
    std::vector<double> times;
    std::vector<float> row(kDim);
    while (!done && times.size() < 200000) {
        for (float &x : row) x = normal(random);
        const double begin = seconds();
        check(rhumb_index_upsert(index, kHotKey, row.data()), "upsert");
        times.push_back((seconds() - begin) * 1e6);
    }
    const size_t part = std::min<size_t>(times.size() / 2, 1000);
    const double look_up_during = look_up_us(index, kHotKey);
    checkpoint.join();
    printf("%zu upserts of one key during a checkpoint at 1 MiB/s; microseconds, medians:\n", times.size());
    printf("upsert, the first %zu   %8.1f\n", part, median(times, 0, part));
    printf("upsert, the last %zu    %8.1f\n", part, median(times, times.size() - part, times.size()));
    printf("look-up before           %8.3f\n", look_up_before);
    printf("look-up at its end       %8.3f\n", look_up_during);
    printf("look-up after it         %8.3f\n", look_up_us(index, kHotKey));
    printf("look-up of another key   %8.3f\n", look_up_us(index, kHotKey + 1));
    (void)rhumb_index_close(index);
    remove(path.c_str());
}

} // namespace
} // namespace bench

int main(int argc, char **argv) {
    bench::print_record("upserts and look-ups of one hot key while a slow checkpoint runs", "hot_keys", argc, argv);
    try {
        bench::measure(argc == 3 && std::string(argv[1]) == "--dir" ? argv[2] : ".");
    } catch (const std::exception &error) {
        fprintf(stderr, "hot_keys: %s\n", error.what());
        return 1;
    }
    return 0;
}
