// What an order of the nodes is worth: one index, compacted once in each order, and the same queries to all of them in
// one run, one thread, in rotating sequence. Prints queries per second, recall, and distinct pages of 4 KiB touched per
// query, each beside the order of insertion.
//
//   order --data FILE.hdf5 --dir DIR [--ef N] [--passes N] [--m N] [--efc N]
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#include "api/rhumb.h"
#include "bench/dataset.h"
#include "bench/page_probe.h"

namespace {

using Clock = std::chrono::steady_clock;

void check(rhumb_status status, const char *what) {
    if (status != RHUMB_OK) throw std::runtime_error(std::string(what) + ": " + rhumb_error_last()->message);
}

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

bool exists(const std::string &path) {
    struct stat status = {};
    return stat(path.c_str(), &status) == 0;
}

struct Order {
    const char *name;
    rhumb_order order;
    double seconds = 0;
    std::vector<double> rates = {};
    double recall = 0;
    double pages = 0;
};

void build(const std::string &path, const bench::Dataset &data, uint32_t M, uint32_t ef_construction) {
    rhumb_open_options open;
    rhumb_open_options_init(&open, sizeof open);
    open.durability = RHUMB_DURABILITY_NONE;
    rhumb_index_options options;
    rhumb_index_options_init(&options, sizeof options);
    options.dim = static_cast<uint32_t>(data.dim);
    options.metric = data.cosine ? RHUMB_METRIC_COSINE : RHUMB_METRIC_L2;
    options.M = M;
    options.ef_construction = ef_construction;
    options.open = &open;
    rhumb_index *index = nullptr;
    check(rhumb_index_create(path.c_str(), &options, &index), "create");
    check(rhumb_index_insert_batch(index, nullptr, data.train.data(), data.train_count, nullptr, nullptr), "insert");
    check(rhumb_index_close(index), "close");
}

// One pass over all queries; returns queries per second, and the recall in *recall.
double search(const std::string &path, const bench::Dataset &data, uint32_t ef, double *recall) {
    rhumb_open_options open;
    rhumb_open_options_init(&open, sizeof open);
    open.read_only = true;
    rhumb_index *index = nullptr;
    check(rhumb_index_open(path.c_str(), &open, &index), "open");
    rhumb_search_options options;
    rhumb_search_options_init(&options, sizeof options);
    options.ef_search = ef;
    std::vector<uint64_t> keys(data.test_count * 10);
    const auto run = [&](size_t count) {
        for (size_t q = 0; q < count; q++) {
            check(rhumb_index_search(index, data.test_row(q), 10, &options, &keys[q * 10], nullptr, nullptr), "search");
        }
    };
    run(std::min<size_t>(data.test_count, 500)); // warm
    const auto begin = Clock::now();
    run(data.test_count);
    const double seconds = seconds_since(begin);
    size_t found = 0;
    for (size_t q = 0; q < data.test_count; q++) {
        const int32_t *truth = &data.neighbours[q * data.truth_count];
        for (size_t i = 0; i < 10; i++) found += std::count(truth, truth + 10, static_cast<int32_t>(keys[q * 10 + i]));
    }
    *recall = static_cast<double>(found) / static_cast<double>(data.test_count * 10);
    check(rhumb_index_close(index), "close");
    return static_cast<double>(data.test_count) / seconds;
}

} // namespace

int main(int argc, char **argv) {
    std::string data_path, directory = ".";
    uint32_t ef = 100, M = 16, ef_construction = 200;
    int passes = 3;
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string name = argv[i];
        if (name == "--data") data_path = argv[i + 1];
        if (name == "--dir") directory = argv[i + 1];
        if (name == "--ef") ef = static_cast<uint32_t>(atoi(argv[i + 1]));
        if (name == "--m") M = static_cast<uint32_t>(atoi(argv[i + 1]));
        if (name == "--efc") ef_construction = static_cast<uint32_t>(atoi(argv[i + 1]));
        if (name == "--passes") passes = std::max(1, atoi(argv[i + 1]));
    }
    try {
        const bench::Dataset data = bench::read_dataset(data_path);
        const std::string source = directory + "/" + data.name + ".rhumb";
        if (!exists(source)) build(source, data, M, ef_construction);
        Order orders[] = {{"insertion", RHUMB_ORDER_KEEP},
                          {"breadth", RHUMB_ORDER_BREADTH},
                          {"rcm", RHUMB_ORDER_RCM},
                          {"window", RHUMB_ORDER_WINDOW}};
        const auto path_of = [&](const Order &order) { return source + "." + order.name; };
        for (Order &order : orders) {
            if (exists(path_of(order))) continue;
            rhumb_compact_options options;
            rhumb_compact_options_init(&options, sizeof options);
            options.order = order.order;
            const auto begin = Clock::now();
            check(rhumb_index_compact_into(source.c_str(), path_of(order).c_str(), &options, nullptr, 0), "compact");
            order.seconds = seconds_since(begin);
        }
        const size_t probe_count = std::min<size_t>(data.test_count, 1000);
        for (Order &order : orders) {
            order.pages = page_probe(path_of(order).c_str(), data.test.data(), probe_count, 10, ef);
        }
        constexpr size_t count = sizeof orders / sizeof orders[0];
        for (int pass = 0; pass < passes; pass++) {
            for (size_t i = 0; i < count; i++) {
                Order &order = orders[(i + static_cast<size_t>(pass)) % count];
                order.rates.push_back(search(path_of(order), data, ef, &order.recall));
            }
        }
        printf("%s: %zu x %zu, M %u, ef_construction %u, ef %u, k 10, one thread, medians of %d passes\n",
               data.name.c_str(), data.train_count, data.dim, M, ef_construction, ef, passes);
        printf("%-10s %10s %9s %9s %14s %9s %12s\n", "order", "queries/s", "ratio", "recall", "pages/query", "ratio",
               "compacting s");
        for (const Order &order : orders) {
            printf("%-10s %10.0f %8.2fx %9.4f %14.0f %8.2fx %12.1f\n", order.name, median(order.rates),
                   median(order.rates) / median(orders[0].rates), order.recall, order.pages,
                   order.pages / orders[0].pages, order.seconds);
        }
    } catch (const std::exception &error) {
        fprintf(stderr, "order: %s\n", error.what());
        return 1;
    }
    return 0;
}
