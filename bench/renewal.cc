// What renewing fused rows in the background costs the searches that run at the same time: builds an index of nine
// tenths of a data set and compacts it; then, in rounds, inserts some of the last tenth, which leaves rows stale, and
// searches by one thread before the rows are renewed, while they are, and afterwards, with the same number of queries.
// Prints the median of each round's latencies, and their 99th percentile.
//
//   renewal --data FILE.hdf5 --dir DIR [--fused 1|2] [--rounds N] [--inserts N] [--ef N]
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "bench/dataset.h"
#include "bench/measure.h"
#include "bench/record.h"
#include "bench/rhumb_index.h"
#include "include/rhumb.h"

namespace bench {
namespace {

constexpr size_t kNearest = 10;

struct Options {
    std::string data, folder = ".";
    rhumb_fused fused = RHUMB_FUSED_1BIT;
    size_t round_count = 10;
    size_t insert_count = 500; // too few for renewals to begin by themselves
    uint32_t ef = 24;
};

double percentile(std::vector<double> values, double share) {
    std::sort(values.begin(), values.end());
    return values.empty() ? 0 : values[static_cast<size_t>(share * static_cast<double>(values.size() - 1))];
}

class Run {
  public:
    Run(const Options &options, const Dataset &data) : options_(options), data_(data) {
        IndexSettings settings(data);
        settings.fused = options.fused;
        settings.compact_dead_share = 1;
        settings.removed_when_closed = true;
        index_ = RhumbIndex(options.folder + "/renewal.rhumb", settings);
        next_row_ = data.train_count / 10 * 9;
        index_.insert(nullptr, data.train.data(), next_row_);
        check(rhumb_index_compact(index_, nullptr, nullptr, 0), "compact");
    }

    void round() {
        for (size_t i = 0; i < options_.insert_count && next_row_ < data_.train_count; i++, next_row_++) {
            check(rhumb_index_insert(index_, next_row_, data_.train_row(next_row_)), "insert");
        }
        const uint64_t renewed_before = index_.stats().fused_renewed_count;
        std::atomic<bool> done{false};
        std::vector<double> during;
        const std::vector<double> before = search(kWarmUp, nullptr);
        const Stopwatch watch;
        std::thread waiter([&] {
            check(rhumb_index_wait_idle(index_), "wait");
            done = true;
        });
        during = search(SIZE_MAX, &done);
        const double seconds = watch.seconds();
        waiter.join();
        const std::vector<double> after = search(during.size(), nullptr);
        const auto us = [](const std::vector<double> &values, double share) { return 1e6 * percentile(values, share); };
        printf("%8llu %8.2f %9zu %9.0f %9.0f %9.0f %9.0f %9.0f %9.0f %7.2f\n",
               static_cast<unsigned long long>(index_.stats().fused_renewed_count - renewed_before), seconds,
               during.size(), us(before, 0.5), us(during, 0.5), us(after, 0.5), us(before, 0.99), us(during, 0.99),
               us(after, 0.99), percentile(during, 0.99) / percentile(after, 0.99));
        fflush(stdout);
        ratios_.push_back(percentile(during, 0.99) / percentile(after, 0.99));
        medians_.push_back(percentile(during, 0.5) / percentile(after, 0.5));
    }

    void print_ratios() const {
        printf("\nwhile rows are renewed over afterwards, median of the rounds: median latency %.2f, 99th percentile "
               "%.2f\n",
               median(medians_), median(ratios_));
    }

  private:
    static constexpr size_t kWarmUp = 5000;

    // Searches for so many queries, or until `*stop`; returns the seconds of each.
    std::vector<double> search(size_t count, const std::atomic<bool> *stop) {
        std::vector<double> latencies;
        rhumb_search_options options;
        rhumb_search_options_init(&options, sizeof options);
        options.ef_search = options_.ef;
        std::vector<uint64_t> keys(kNearest);
        std::vector<float> distances(kNearest);
        for (size_t i = 0; i < count && (stop == nullptr || !*stop); i++) {
            const Stopwatch watch;
            check(rhumb_index_search(index_, data_.test_row(i % data_.test_count), kNearest, &options, keys.data(),
                                     distances.data(), nullptr),
                  "search");
            latencies.push_back(watch.seconds());
        }
        return latencies;
    }

    const Options &options_;
    const Dataset &data_;
    RhumbIndex index_;
    size_t next_row_ = 0;
    std::vector<double> ratios_, medians_;
};

Options parse(int argc, char **argv) {
    Options options;
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string name = argv[i];
        if (name == "--data") options.data = argv[i + 1];
        if (name == "--dir") options.folder = argv[i + 1];
        if (name == "--fused") options.fused = static_cast<rhumb_fused>(atoi(argv[i + 1]));
        if (name == "--rounds") options.round_count = strtoul(argv[i + 1], nullptr, 10);
        if (name == "--inserts") options.insert_count = strtoul(argv[i + 1], nullptr, 10);
        if (name == "--ef") options.ef = static_cast<uint32_t>(strtoul(argv[i + 1], nullptr, 10));
    }
    return options;
}

void run(const Options &options) {
    const Dataset data = read_dataset(options.data);
    Run run(options, data);
    printf("%8s %8s %9s %29s %29s\n%8s %8s %9s %9s %9s %9s %9s %9s %9s %7s\n", "rows", "seconds", "queries",
           "median latency, us", "99th percentile, us", "renewed", "", "", "before", "while", "after", "before",
           "while", "after", "ratio");
    for (size_t i = 0; i < options.round_count; i++) run.round();
    run.print_ratios();
}

} // namespace
} // namespace bench

int main(int argc, char **argv) {
    try {
        bench::print_record("what renewing fused rows costs searches at the same time", "renewal", argc, argv);
        bench::run(bench::parse(argc, argv));
        return 0;
    } catch (const std::exception &error) {
        fprintf(stderr, "renewal: %s\n", error.what());
        return 1;
    }
}
