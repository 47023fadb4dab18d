// What an order of the nodes gains: compacts one index once in each order, and searches all of them with the same
// queries in one run, by one thread, in rotation. Prints queries per second, recall, and distinct pages of 4 KiB
// touched per query, compared with the order of insertion.
//
//   order --data FILE.hdf5 --dir DIR [--orders insertion,bisection,...] [--ef N] [--passes N] [--m N] [--efc N]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench/dataset.h"
#include "bench/machine.h"
#include "bench/measure.h"
#include "bench/page_probe.h"
#include "bench/record.h"
#include "bench/rhumb_index.h"
#include "include/rhumb.h"

namespace bench {
namespace {

struct Order {
    const char *name;
    rhumb_order order;
    double seconds = 0;
    std::vector<double> rates = {};
    std::vector<double> ratios = {};
    double recall = 0;
    double pages = 0;
};

// Searches queries [begin, begin + count), wrapping around; adds to `found` how many of the true ten were found.
// Returns the seconds that the searches took.
double search(const RhumbIndex &index, const Dataset &data, uint32_t ef, size_t begin, size_t count, size_t *found) {
    rhumb_search_options options;
    rhumb_search_options_init(&options, sizeof options);
    options.ef_search = ef;
    std::vector<uint64_t> keys(count * 10);
    const Stopwatch watch(Stopwatch::Clock::thread);
    for (size_t i = 0; i < count; i++) {
        const float *query = data.test_row((begin + i) % data.test_count);
        check(rhumb_index_search(index, query, 10, &options, &keys[i * 10], nullptr, nullptr), "search");
    }
    const double seconds = watch.seconds();
    for (size_t i = 0; i < count; i++) {
        const int32_t *truth = &data.neighbours[(begin + i) % data.test_count * data.truth_count];
        for (size_t k = 0; k < 10; k++) *found += std::count(truth, truth + 10, static_cast<int32_t>(keys[i * 10 + k]));
    }
    return seconds;
}

// The indexes alternate in short blocks, so that load on the machine slows all alike. Half a block of other queries
// comes before each block, because the caches hold another index then.
void measure(std::vector<Order> &orders, const std::vector<std::string> &paths, const Dataset &data, uint32_t ef,
             int passes) {
    const size_t block = std::min<size_t>(100, data.test_count);
    const size_t block_count = data.test_count / block;
    std::vector<RhumbIndex> indexes;
    for (const std::string &path : paths) indexes.push_back(RhumbIndex::open_read_only(path));
    std::vector<size_t> found(orders.size());
    for (size_t turn = 0; turn < block_count * static_cast<size_t>(passes); turn++) {
        std::vector<double> seconds(orders.size());
        for (size_t i = 0; i < orders.size(); i++) {
            const size_t at = (i + turn) % orders.size();
            size_t unused = 0;
            search(indexes[at], data, ef, (turn + block_count / 2) * block, block / 2, &unused);
            seconds[at] = search(indexes[at], data, ef, turn * block, block, &found[at]);
        }
        for (size_t i = 0; i < orders.size(); i++) {
            orders[i].rates.push_back(static_cast<double>(block) / seconds[i]);
            orders[i].ratios.push_back(seconds[0] / seconds[i]);
        }
    }
    for (size_t i = 0; i < orders.size(); i++) {
        orders[i].recall = static_cast<double>(found[i]) / static_cast<double>(orders[i].rates.size() * block * 10);
        indexes[i].close();
    }
}

std::vector<Order> choose(const std::string &names) {
    const std::vector<Order> known = {{"insertion", RHUMB_ORDER_KEEP},
                                      {"breadth", RHUMB_ORDER_BREADTH},
                                      {"rcm", RHUMB_ORDER_RCM},
                                      {"window", RHUMB_ORDER_WINDOW},
                                      {"bisection", RHUMB_ORDER_BISECTION}};
    std::vector<Order> orders;
    for (const Order &order : known) {
        const bool named = ("," + names + ",").find(std::string(",") + order.name + ",") != std::string::npos;
        if (named) orders.push_back(order);
    }
    if (orders.empty()) throw std::runtime_error("--orders names none: " + names);
    return orders;
}

void print(const std::vector<Order> &orders) {
    printf("%-10s %10s %9s %9s %14s %9s %12s\n", "order", "queries/s", "ratio", "recall", "pages/query", "ratio",
           "compacting s");
    for (const Order &order : orders) {
        printf("%-10s %10.0f %8.2fx %9.4f %14.0f %8.2fx %12.1f\n", order.name, median(order.rates),
               median(order.ratios), order.recall, order.pages, order.pages / orders[0].pages, order.seconds);
    }
}

struct Options {
    std::string data, directory = ".", orders = "insertion,breadth,rcm,window,bisection";
    uint32_t ef = 100;
    IndexSettings index;
    int passes = 3;
};

Options parse(int argc, char **argv) {
    Options options;
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string name = argv[i];
        if (name == "--data") options.data = argv[i + 1];
        if (name == "--dir") options.directory = argv[i + 1];
        if (name == "--orders") options.orders = argv[i + 1];
        if (name == "--ef") options.ef = static_cast<uint32_t>(atoi(argv[i + 1]));
        if (name == "--m") options.index.M = static_cast<uint32_t>(atoi(argv[i + 1]));
        if (name == "--efc") options.index.ef_construction = static_cast<uint32_t>(atoi(argv[i + 1]));
        if (name == "--passes") options.passes = std::max(1, atoi(argv[i + 1]));
    }
    return options;
}

void build(const std::string &path, const Dataset &data, IndexSettings settings) {
    settings.dim = data.dim;
    settings.cosine = data.cosine;
    RhumbIndex index(path, settings);
    index.insert(nullptr, data.train.data(), data.train_count);
    index.close();
}

// Chooses queries spread over all, since their order may carry meaning.
std::vector<float> choose_probes(const Dataset &data, size_t count) {
    std::vector<float> probes;
    for (size_t i = 0; i < count; i++) {
        const float *row = data.test_row(i * data.test_count / count);
        probes.insert(probes.end(), row, row + data.dim);
    }
    return probes;
}

void run(const Options &options) {
    const Dataset data = read_dataset(options.data);
    const std::string source = options.directory + "/" + data.name + ".rhumb";
    if (!file_exists(source)) build(source, data, options.index);
    std::vector<Order> orders = choose(options.orders);
    const size_t probe_count = std::min<size_t>(data.test_count, 1000);
    const std::vector<float> probes = choose_probes(data, probe_count);
    std::vector<std::string> paths;
    for (Order &order : orders) {
        paths.push_back(source + "." + order.name);
        if (file_exists(paths.back())) continue;
        rhumb_compact_options compact;
        rhumb_compact_options_init(&compact, sizeof compact);
        compact.order = order.order;
        const Stopwatch watch;
        check(rhumb_index_compact_into(source.c_str(), paths.back().c_str(), &compact, nullptr, 0), "compact");
        order.seconds = watch.seconds();
    }
    for (size_t i = 0; i < orders.size(); i++) {
        orders[i].pages = page_probe(paths[i].c_str(), probes.data(), probe_count, 10, options.ef);
        if (orders[i].pages < 0) throw std::runtime_error(paths[i] + ": " + rhumb_error_last()->message);
    }
    measure(orders, paths, data, options.ef, options.passes);
    printf("%s: %zu x %zu, M %u, ef_construction %u, ef %u, k 10, one thread, medians of blocks, %d passes\n",
           data.name.c_str(), data.train_count, data.dim, options.index.M, options.index.ef_construction, options.ef,
           options.passes);
    print(orders);
}

} // namespace
} // namespace bench

int main(int argc, char **argv) {
    try {
        const bench::Options options = bench::parse(argc, argv);
        bench::print_record("what an order of the nodes gains: pages and time per search", "order", argc, argv);
        bench::run(options);
    } catch (const std::exception &error) {
        fprintf(stderr, "order: %s\n", error.what());
        return 1;
    }
    return 0;
}
