// Searches of an index that memory cannot hold: queries and reads a second, and how long single queries take. It is to
// run under a limit of memory (under_limit.sh), with the page cache dropped before; without a limit it says what the
// same index does when all of it is in memory.
//
// Queries are the second part of the data set's; the first part has been searched before, so that the page cache holds
// what a service that has been running for a while finds there.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "bench/command_line.h"
#include "bench/dataset.h"
#include "bench/json.h"
#include "bench/machine.h"
#include "bench/measure.h"
#include "bench/record.h"
#include "bench/rhumb_index.h"
#include "include/rhumb.h"

namespace bench {
namespace {

struct Options {
    std::string index;
    std::string data;
    std::string json;
    std::vector<size_t> ef = {16, 24, 32, 48, 64, 96, 128};
    std::vector<size_t> threads = {1};
    size_t k = 10;
    size_t queries = 2000;
    size_t warm_up_queries = 2000;
    size_t warm_up_seconds = 30;
};

struct Result {
    double recall = 0;
    double queries_per_second = 0;
    double median_ms = 0;
    double p99_ms = 0;
    double pages = 0; // read from the disk, a query
};

class Searches {
  public:
    Searches(const RhumbIndex &index, const Dataset &data, size_t k) : index_(index), data_(data), k_(k) {}

    // Searches rows [begin, end) of the test set on some threads.
    Result run(size_t begin, size_t end, size_t ef, size_t thread_count) const {
        std::vector<double> times(end - begin);
        std::vector<size_t> found(thread_count);
        std::vector<std::thread> threads;
        const uint64_t read_before = bytes_read_from_disk();
        const Stopwatch watch;
        for (size_t t = 0; t < thread_count; t++) {
            threads.emplace_back([&, t] {
                for (size_t i = begin + t; i < end; i += thread_count) {
                    const Stopwatch single;
                    found[t] += search(i, ef);
                    times[i - begin] = 1e3 * single.seconds();
                }
            });
        }
        for (std::thread &thread : threads) thread.join();
        const auto count = static_cast<double>(end - begin);
        Result result;
        result.queries_per_second = count / watch.seconds();
        result.pages = static_cast<double>(bytes_read_from_disk() - read_before) / 4096 / count;
        result.median_ms = median(times);
        result.p99_ms = quantile(times, 0.99);
        for (size_t t = 0; t < thread_count; t++) result.recall += static_cast<double>(found[t]);
        result.recall /= count * static_cast<double>(k_);
        return result;
    }

  private:
    // Returns how many of the true nearest were found.
    size_t search(size_t i, size_t ef) const {
        rhumb_search_options options;
        rhumb_search_options_init(&options, sizeof options);
        options.ef_search = static_cast<uint32_t>(ef);
        std::vector<uint64_t> keys(k_);
        std::vector<float> distances(k_);
        size_t count = 0;
        check(rhumb_index_search(index_, data_.test_row(i), k_, &options, keys.data(), distances.data(), &count),
              "search");
        const int32_t *truth = data_.neighbours.data() + i * data_.truth_count;
        const std::set<uint64_t> wanted(truth, truth + k_);
        return static_cast<size_t>(std::count_if(keys.begin(), keys.begin() + static_cast<std::ptrdiff_t>(count),
                                                 [&](uint64_t key) { return wanted.count(key) > 0; }));
    }

    const RhumbIndex &index_;
    const Dataset &data_;
    size_t k_;
};

// Waits until what is read in the background has been read.
void wait_for_warm_up(const RhumbIndex &index, size_t seconds_max) {
    const Stopwatch watch;
    for (;;) {
        const rhumb_index_stats stats = index.stats();
        if (stats.warm_up_done_bytes >= stats.warm_up_total_bytes || watch.seconds() > static_cast<double>(seconds_max))
            break;
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    const rhumb_index_stats stats = index.stats();
    printf("read in the background: %.1f of %.1f MB in %.2f s\n\n", static_cast<double>(stats.warm_up_done_bytes) / 1e6,
           static_cast<double>(stats.warm_up_total_bytes) / 1e6, watch.seconds());
}

void print_at(const std::vector<Point> &points, double recall) {
    const SpeedAtRecall speed = speed_at_recall(points, recall);
    if (speed.kind == SpeedAtRecall::Kind::not_reached)
        printf("recall %.2f is not reached\n", recall);
    else
        printf("at recall %.2f: %s%.0f queries/s\n", recall,
               speed.kind == SpeedAtRecall::Kind::at_least ? "at least " : "", speed.queries_per_second);
}

int run(const Options &options) {
    const Dataset data = read_dataset(options.data, DatasetPart::queries);
    if (data.truth_count < options.k || data.test_count < options.queries + options.warm_up_queries)
        throw std::runtime_error(options.data + ": has too few queries or true neighbours");
    const RhumbIndex index = RhumbIndex::open_read_only(options.index);
    printf("index of %.1f MB, %zu vectors of %zu, k %zu, %zu queries, read_ahead_kb %s\n",
           static_cast<double>(file_size(options.index).length_bytes) / 1e6, data.train_count, data.dim, options.k,
           options.queries, read_ahead_kb().c_str());
    const Searches searches(index, data, options.k);
    (void)searches.run(0, 1, options.ef[0], 1);
    wait_for_warm_up(index, options.warm_up_seconds);
    (void)searches.run(0, options.warm_up_queries, options.ef[options.ef.size() / 2], 1);
    printf("%7s %6s %9s %11s %9s %9s %11s\n", "threads", "ef", "recall", "queries/s", "p50, ms", "p99, ms",
           "pages read");
    Json json;
    json.begin_object();
    json.text("commit", source_commit());
    json.begin_array("points");
    for (size_t thread_count : options.threads) {
        std::vector<Point> points;
        for (size_t ef : options.ef) {
            const size_t begin = options.warm_up_queries;
            const Result result = searches.run(begin, begin + options.queries, ef, thread_count);
            printf("%7zu %6zu %9.4f %11.1f %9.3f %9.3f %11.1f\n", thread_count, ef, result.recall,
                   result.queries_per_second, result.median_ms, result.p99_ms, result.pages);
            fflush(stdout);
            json.begin_object();
            json.integer("threads", thread_count);
            json.integer("ef", ef);
            json.number("recall", result.recall);
            json.number("queries_per_second", result.queries_per_second);
            json.number("median_ms", result.median_ms);
            json.number("p99_ms", result.p99_ms);
            json.number("pages_read", result.pages);
            json.end_object();
            points.push_back({ef, result.recall, result.queries_per_second, {}});
        }
        for (const double recall : {0.95, 0.98}) print_at(points, recall);
    }
    json.end_array();
    json.end_object();
    if (!options.json.empty()) json.save(options.json);
    return 0;
}

} // namespace
} // namespace bench

int main(int argc, char **argv) {
    bench::Options options;
    try {
        for (int i = 1; i + 1 < argc; i += 2) {
            const std::string name = argv[i];
            if (name == "--index") options.index = argv[i + 1];
            if (name == "--data") options.data = argv[i + 1];
            if (name == "--json") options.json = argv[i + 1];
            if (name == "--ef") options.ef = bench::parse_numbers(name, argv[i + 1]);
            if (name == "--threads") options.threads = bench::parse_numbers(name, argv[i + 1]);
            if (name == "--k") options.k = bench::parse_number(name, argv[i + 1]);
            if (name == "--queries") options.queries = bench::parse_number(name, argv[i + 1]);
            if (name == "--warm-up-queries") options.warm_up_queries = bench::parse_number(name, argv[i + 1]);
            if (name == "--warm-up-seconds") options.warm_up_seconds = bench::parse_number(name, argv[i + 1]);
        }
        bench::print_record("searching an index that memory cannot hold", "larger_than_ram", argc, argv);
        return bench::run(options);
    } catch (const std::exception &error) {
        fprintf(stderr, "larger_than_ram: %s\n", error.what());
        return 1;
    }
}
