// What memory of its own a process takes that searches an index: pages that are not the page cache's. Opens an index
// for reading, takes vectors of it as queries, and searches by one thread, then by several. The pages of the file are
// shared by all processes and go when memory is short; these are not, and do not.
//
//   search_memory --index INDEX [--threads N] [--queries N] [--ef N] [--k N]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "bench/machine.h"
#include "bench/measure.h"
#include "bench/record.h"
#include "bench/rhumb_index.h"
#include "include/rhumb.h"

namespace bench {
namespace {

struct Options {
    std::string index;
    size_t thread_count = 8;
    size_t query_count = 1000; // of each thread
    uint32_t ef = 64;
    size_t k = 10;
};

double anonymous_mb() { return static_cast<double>(resident().anonymous_bytes) / 1e6; }

// Rows of the index, by random keys.
std::vector<float> choose_queries(const RhumbIndex &index, size_t count, size_t dim) {
    const uint64_t key_count = index.stats().slot_count;
    std::mt19937_64 random(1);
    std::vector<float> rows(count * dim);
    for (size_t i = 0; i < count;) {
        const rhumb_status status = rhumb_index_get_vector(index, random() % key_count, &rows[i * dim]);
        if (status == RHUMB_E_NOTFOUND) continue;
        check(status, "get");
        i++;
    }
    return rows;
}

void search(const RhumbIndex &index, const Options &options, const std::vector<float> &queries, size_t dim) {
    rhumb_search_options how;
    rhumb_search_options_init(&how, sizeof how);
    how.ef_search = options.ef;
    std::vector<uint64_t> keys(options.k);
    std::vector<float> distances(options.k);
    for (size_t i = 0; i < options.query_count; i++) {
        check(rhumb_index_search(index, &queries[i * dim], options.k, &how, keys.data(), distances.data(), nullptr),
              "search");
    }
}

void run(const Options &options) {
    const double before = anonymous_mb();
    const RhumbIndex index = RhumbIndex::open_read_only(options.index);
    const double opened = anonymous_mb();
    rhumb_index_options made;
    check(rhumb_index_options_get(index, &made, sizeof made), "options");
    const std::vector<float> queries = choose_queries(index, options.query_count, made.dim);
    printf("%llu vectors of %u components, codes %u, fused %u; %zu queries a thread, ef %u, k %zu\n\n",
           static_cast<unsigned long long>(index.stats().slot_count), made.dim, made.codes, made.fused,
           options.query_count, options.ef, options.k);
    const double with_queries = anonymous_mb();
    search(index, options, queries, made.dim);
    const double one = anonymous_mb();
    std::vector<std::thread> threads;
    for (size_t i = 0; i < options.thread_count; i++) {
        threads.emplace_back([&] { search(index, options, queries, made.dim); });
    }
    for (std::thread &thread : threads) thread.join();
    const double several = anonymous_mb();
    printf("anonymous memory, MB, without the queries\n");
    printf("  the program before it opens the index  %8.2f\n", before);
    printf("  opened                                 %8.2f\n", opened);
    printf("  after searches by one thread           %8.2f\n", opened + one - with_queries);
    printf("  after searches by %2zu threads           %8.2f\n", options.thread_count, opened + several - with_queries);
    printf("  for each thread                        %8.2f\n",
           (several - one) / static_cast<double>(options.thread_count));
}

Options parse(int argc, char **argv) {
    Options options;
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string name = argv[i];
        if (name == "--index") options.index = argv[i + 1];
        if (name == "--threads") options.thread_count = std::max<size_t>(1, strtoul(argv[i + 1], nullptr, 10));
        if (name == "--queries") options.query_count = std::max<size_t>(1, strtoul(argv[i + 1], nullptr, 10));
        if (name == "--ef") options.ef = static_cast<uint32_t>(strtoul(argv[i + 1], nullptr, 10));
        if (name == "--k") options.k = std::max<size_t>(1, strtoul(argv[i + 1], nullptr, 10));
    }
    return options;
}

} // namespace
} // namespace bench

int main(int argc, char **argv) {
    try {
        bench::print_record("memory of its own that a process takes which searches an index", "search_memory", argc,
                            argv);
        bench::run(bench::parse(argc, argv));
        return 0;
    } catch (const std::exception &error) {
        fprintf(stderr, "search_memory: %s\n", error.what());
        return 1;
    }
}
