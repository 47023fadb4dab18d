// How long a service takes to come back: from opening an index to the first answer, and the first thousand queries, in
// a fresh process; with the file in the page cache and without; and what a warm-up in the background changes. With
// --peer, the same for a library that loads its index: how long until it answers at all.
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <random>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/command_line.h"
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
    std::string json;
    std::string modes = "warm,cold,cold-now,cold-none";
    size_t passes = 5;
    size_t queries = 1000;
    size_t ef = 64;
};

double now_ms() {
    timespec time = {};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return 1e3 * static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_nsec);
}

void drop_from_page_cache(const std::string &path) {
    const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) throw std::runtime_error(path + ": " + std::strerror(errno));
    fsync(file); // only clean pages can be dropped
    posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
    close(file);
}

void read_whole(const std::string &path) {
    std::ifstream file(path, std::ios::binary);
    std::vector<char> buffer(1 << 20);
    while (file.read(buffer.data(), static_cast<std::streamsize>(buffer.size()))) continue;
}

// Queries near stored vectors. They are read in a process of their own, and the file is dropped afterwards.
struct Queries {
    size_t dim = 0;
    std::vector<float> rows;
};

Queries make_queries(const Options &options) {
    Queries queries;
    const RhumbIndex index = RhumbIndex::open_read_only(options.index);
    rhumb_index_options created = {};
    check(rhumb_index_options_get(index, &created, sizeof created), "options");
    queries.dim = created.dim;
    queries.rows.resize(options.queries * queries.dim);
    std::mt19937_64 random(7);
    std::normal_distribution<float> normal;
    const uint64_t key_limit = rhumb_index_count(index);
    for (size_t i = 0; i < options.queries; i++) {
        float *row = queries.rows.data() + i * queries.dim;
        check(rhumb_index_get_vector(index, random() % key_limit, row), "get");
        for (size_t d = 0; d < queries.dim; d++) row[d] += 0.02f * normal(random);
    }
    return queries;
}

struct Restart {
    double open_ms = 0, first_ms = 0; // since the call of open
    double first_mb = 0;              // read from the disk for it
    double median_ms = 0, p99_ms = 0, all_seconds = 0, all_mb = 0;
};

RhumbIndex open_index(const Options &options, rhumb_warm_up warm_up) {
    rhumb_open_options open;
    rhumb_open_options_init(&open, sizeof open);
    open.read_only = true;
    open.warm_up = warm_up;
    return RhumbIndex::open_as(options.index, open);
}

Restart restart_here(const Options &options, const Queries &queries, rhumb_warm_up warm_up) {
    Restart result;
    rhumb_search_options search;
    rhumb_search_options_init(&search, sizeof search);
    search.ef_search = static_cast<uint32_t>(options.ef);
    uint64_t keys[10];
    float distances[10];
    size_t found = 0;
    std::vector<double> times;
    const uint64_t read_before = bytes_read_from_disk();
    const double begin = now_ms();
    const RhumbIndex index = open_index(options, warm_up);
    result.open_ms = now_ms() - begin;
    for (size_t i = 0; i < options.queries; i++) {
        const double before = now_ms();
        check(rhumb_index_search(index, queries.rows.data() + i * queries.dim, 10, &search, keys, distances, &found),
              "search");
        times.push_back(now_ms() - before);
        if (i > 0) continue;
        result.first_ms = now_ms() - begin;
        result.first_mb = static_cast<double>(bytes_read_from_disk() - read_before) / 1e6;
    }
    result.all_seconds = (now_ms() - begin) / 1e3;
    result.all_mb = static_cast<double>(bytes_read_from_disk() - read_before) / 1e6;
    result.median_ms = median(times);
    result.p99_ms = quantile(times, 0.99);
    return result;
}

// In a process of its own.
Restart restart(const Options &options, const Queries &queries, rhumb_warm_up warm_up) {
    int ends[2];
    if (pipe(ends) != 0) throw std::runtime_error(std::string("pipe: ") + std::strerror(errno));
    fflush(stdout);
    const pid_t pid = fork();
    if (pid == 0) {
        int code = 0;
        try {
            const Restart result = restart_here(options, queries, warm_up);
            if (write(ends[1], &result, sizeof result) != sizeof result) code = 1;
        } catch (const std::exception &error) {
            fprintf(stderr, "restart: %s\n", error.what());
            code = 1;
        }
        _exit(code);
    }
    close(ends[1]);
    Restart result;
    const ssize_t got = read(ends[0], &result, sizeof result);
    close(ends[0]);
    int state = 0;
    if (waitpid(pid, &state, 0) != pid || state != 0 || got != sizeof result)
        throw std::runtime_error("a process that was started again failed");
    return result;
}

double median_of(const std::vector<Restart> &results, double Restart::*field) {
    std::vector<double> values;
    for (const Restart &result : results) values.push_back(result.*field);
    return median(values);
}

rhumb_warm_up warm_up_of(const std::string &mode) {
    if (mode == "cold") return RHUMB_WARM_UP_DEFAULT;
    if (mode == "cold-now") return RHUMB_WARM_UP_NOW;
    return RHUMB_WARM_UP_NONE;
}

void measure_mode(const Options &options, const Queries &queries, const std::string &mode, Json *json) {
    std::vector<Restart> results;
    for (size_t pass = 0; pass < options.passes; pass++) {
        if (mode == "warm")
            read_whole(options.index);
        else
            drop_from_page_cache(options.index);
        results.push_back(restart(options, queries, warm_up_of(mode)));
    }
    json->begin_object(mode);
    printf("%-12s", mode.c_str());
    for (const auto &[name, field, width] :
         {std::tuple<const char *, double Restart::*, int>{"open_ms", &Restart::open_ms, 10},
          {"first_ms", &Restart::first_ms, 10},
          {"first_mb", &Restart::first_mb, 10},
          {"median_ms", &Restart::median_ms, 10},
          {"p99_ms", &Restart::p99_ms, 10},
          {"all_seconds", &Restart::all_seconds, 10},
          {"all_mb", &Restart::all_mb, 10}}) {
        printf(" %*.3f", width, median_of(results, field));
        json->number(name, median_of(results, field));
    }
    double most = 0;
    for (const Restart &result : results) most = std::max(most, result.first_ms);
    printf(" %10.3f\n", most);
    fflush(stdout);
    json->number("first_ms_most", most);
    json->end_object();
}

int run(const Options &options) {
    Json json;
    json.begin_object();
    json.text("commit", source_commit());
    const Queries queries = make_queries(options);
    const double file_mb = static_cast<double>(file_size(options.index).length_bytes) / 1e6;
    printf("%s: %.1f MB, vectors of %zu f32, %zu queries at ef %zu, medians of %zu passes, read_ahead_kb %s\n\n",
           "index", file_mb, queries.dim, options.queries, options.ef, options.passes, read_ahead_kb().c_str());
    printf("%-12s %10s %10s %10s %10s %10s %10s %10s %10s\n", "page cache", "open, ms", "answer, ms", "MB read",
           "median, ms", "p99, ms", "all, s", "MB read", "worst, ms");
    json.number("file_mb", file_mb);
    for (const std::string &mode : split(options.modes)) measure_mode(options, queries, mode, &json);
    json.end_object();
    if (!options.json.empty()) json.save(options.json);
    return 0;
}

} // namespace
} // namespace bench

int main(int argc, char **argv) {
    bench::Options options;
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string name = argv[i];
        if (name == "--index") options.index = argv[i + 1];
        if (name == "--json") options.json = argv[i + 1];
        if (name == "--modes") options.modes = argv[i + 1];
        if (name == "--passes") options.passes = bench::parse_number(name, argv[i + 1]);
        if (name == "--queries") options.queries = bench::parse_number(name, argv[i + 1]);
        if (name == "--ef") options.ef = bench::parse_number(name, argv[i + 1]);
    }
    bench::print_record("opening an index again, until the first answer and the first queries", "restart", argc, argv);
    try {
        return bench::run(options);
    } catch (const std::exception &error) {
        fprintf(stderr, "restart: %s\n", error.what());
        return 1;
    }
}
