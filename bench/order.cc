// What an order of the nodes is worth: one index, compacted once in each order, and the same queries to all of them in
// one run, one thread, in rotating sequence. Prints queries per second, recall, and distinct pages of 4 KiB touched per
// query, each beside the order of insertion.
//
//   order --data FILE.hdf5 --dir DIR [--orders insertion,bisection,...] [--ef N] [--passes N] [--m N] [--efc N]
#include <sys/stat.h>
#include <time.h>

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
    std::vector<double> ratios = {};
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

rhumb_index *open_index(const std::string &path) {
    rhumb_open_options open;
    rhumb_open_options_init(&open, sizeof open);
    open.read_only = true;
    rhumb_index *index = nullptr;
    check(rhumb_index_open(path.c_str(), &open, &index), "open");
    return index;
}

// Of this thread, so that what else the machine does is not in it.
double processor_seconds() {
    struct timespec time = {};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// Searches queries [begin, begin + count), wrapping around; adds to `found` how many of the true ten were found.
// Returns the seconds that the searches took.
double search(rhumb_index *index, const bench::Dataset &data, uint32_t ef, size_t begin, size_t count, size_t *found) {
    rhumb_search_options options;
    rhumb_search_options_init(&options, sizeof options);
    options.ef_search = ef;
    std::vector<uint64_t> keys(count * 10);
    const double begun = processor_seconds();
    for (size_t i = 0; i < count; i++) {
        const float *query = data.test_row((begin + i) % data.test_count);
        check(rhumb_index_search(index, query, 10, &options, &keys[i * 10], nullptr, nullptr), "search");
    }
    const double seconds = processor_seconds() - begun;
    for (size_t i = 0; i < count; i++) {
        const int32_t *truth = &data.neighbours[(begin + i) % data.test_count * data.truth_count];
        for (size_t k = 0; k < 10; k++) *found += std::count(truth, truth + 10, static_cast<int32_t>(keys[i * 10 + k]));
    }
    return seconds;
}

// Short blocks in turns, so that whatever slows the machine for a while slows all alike; before each block half a block
// of other queries, because the caches hold another index then.
void measure(std::vector<Order> &orders, const std::vector<std::string> &paths, const bench::Dataset &data, uint32_t ef,
             int passes) {
    const size_t block = std::min<size_t>(100, data.test_count);
    const size_t block_count = data.test_count / block;
    std::vector<rhumb_index *> indexes;
    for (const std::string &path : paths) indexes.push_back(open_index(path));
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
        check(rhumb_index_close(indexes[i]), "close");
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

} // namespace

int main(int argc, char **argv) {
    std::string data_path, directory = ".", names = "insertion,breadth,rcm,window,bisection";
    uint32_t ef = 100, M = 16, ef_construction = 200;
    int passes = 3;
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string name = argv[i];
        if (name == "--data") data_path = argv[i + 1];
        if (name == "--dir") directory = argv[i + 1];
        if (name == "--orders") names = argv[i + 1];
        if (name == "--ef") ef = static_cast<uint32_t>(atoi(argv[i + 1]));
        if (name == "--m") M = static_cast<uint32_t>(atoi(argv[i + 1]));
        if (name == "--efc") ef_construction = static_cast<uint32_t>(atoi(argv[i + 1]));
        if (name == "--passes") passes = std::max(1, atoi(argv[i + 1]));
    }
    try {
        const bench::Dataset data = bench::read_dataset(data_path);
        const std::string source = directory + "/" + data.name + ".rhumb";
        if (!exists(source)) build(source, data, M, ef_construction);
        std::vector<Order> orders = choose(names);
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
        // Spread over all queries: their order may mean something.
        const size_t probe_count = std::min<size_t>(data.test_count, 1000);
        std::vector<float> probes;
        for (size_t i = 0; i < probe_count; i++) {
            const float *row = data.test_row(i * data.test_count / probe_count);
            probes.insert(probes.end(), row, row + data.dim);
        }
        for (Order &order : orders) {
            order.pages = page_probe(path_of(order).c_str(), probes.data(), probe_count, 10, ef);
        }
        std::vector<std::string> paths;
        for (const Order &order : orders) paths.push_back(path_of(order));
        measure(orders, paths, data, ef, passes);
        printf("%s: %zu x %zu, M %u, ef_construction %u, ef %u, k 10, one thread, medians of blocks, %d passes\n",
               data.name.c_str(), data.train_count, data.dim, M, ef_construction, ef, passes);
        print(orders);
    } catch (const std::exception &error) {
        fprintf(stderr, "order: %s\n", error.what());
        return 1;
    }
    return 0;
}
