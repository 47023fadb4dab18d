// What it costs processes to share an index. `refresh`: how long a reader's refresh takes after a checkpoint of which a
// share of the vectors has changed, when a waiting reader notices it, and what the first searches after it take.
// `memory`: the proportional set size of one and of several readers that have searched the same queries. `load`:
// readers search while a writer makes checkpoint after checkpoint; every answer is compared with what the checkpoint
// must hold.
#include <algorithm>
#include <cerrno>
#include <csignal>
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
    std::string mode;
    std::string index; // an index that exists: refresh changes it, memory does not
    std::string json;
    std::string directory = ".";
    size_t readers = 8;
    size_t checkpoints = 20;
    double share = 0.01;
    size_t queries = 2000;
    size_t count = 50000; // of vectors, for load
};

constexpr size_t kSearchesAfter = 100;
constexpr size_t kEf = 64;

double now_ms() {
    timespec time = {};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return 1e3 * static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_nsec);
}

// Rows near stored ones, so that searches for them end among the vectors of the index.
std::vector<float> near_stored_rows(rhumb_index *index, size_t dim, size_t count, uint64_t seed) {
    std::mt19937_64 random(seed);
    std::normal_distribution<float> normal;
    const uint64_t key_limit = rhumb_index_count(index);
    std::vector<float> rows(count * dim);
    for (size_t i = 0; i < count; i++) {
        float *row = rows.data() + i * dim;
        check(rhumb_index_get_vector(index, random() % key_limit, row), "get");
        for (size_t d = 0; d < dim; d++) row[d] += 0.02f * normal(random);
    }
    return rows;
}

size_t dim_of(rhumb_index *index) {
    rhumb_index_options options = {};
    check(rhumb_index_options_get(index, &options, sizeof options), "options");
    return options.dim;
}

// Milliseconds of each search.
std::vector<double> search_times(rhumb_index *index, const std::vector<float> &rows, size_t dim, size_t count) {
    rhumb_search_options options;
    rhumb_search_options_init(&options, sizeof options);
    options.ef_search = kEf;
    std::vector<double> times;
    uint64_t keys[10];
    float distances[10];
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        const float *row = rows.data() + i % (rows.size() / dim) * dim;
        const double begin = now_ms();
        check(rhumb_index_search(index, row, 10, &options, keys, distances, &found), "search");
        times.push_back(now_ms() - begin);
    }
    return times;
}

struct Summary {
    double median, p99, most;
};
Summary summary(const std::vector<double> &values) {
    return {median(values), quantile(values, 0.99), quantile(values, 1)};
}

void report(Json *json, const std::string &name, const std::vector<double> &values) {
    const Summary s = summary(values);
    printf("  %-52s median %9.3f  p99 %9.3f  most %9.3f\n", name.c_str(), s.median, s.p99, s.most);
    fflush(stdout);
    json->begin_object(name);
    json->number("median", s.median);
    json->number("p99", s.p99);
    json->number("most", s.most);
    json->end_object();
}

// ---- processes ----

// Runs `body` in a child; what it returns is written to the pipe whose other end is returned.
struct Child {
    pid_t pid;
    int results;
};

Child start(const std::function<void(FILE *)> &body) {
    int ends[2];
    if (pipe(ends) != 0) throw std::runtime_error(std::string("pipe: ") + std::strerror(errno));
    fflush(stdout);
    const pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        FILE *out = fdopen(ends[1], "w");
        int code = 0;
        try {
            body(out);
        } catch (const std::exception &error) {
            fprintf(stderr, "processes: %s\n", error.what());
            code = 1;
        }
        fclose(out);
        _exit(code);
    }
    close(ends[1]);
    return {pid, ends[0]};
}

std::string finish(const Child &child) {
    std::string text;
    char buffer[4096];
    for (ssize_t got; (got = read(child.results, buffer, sizeof buffer)) > 0;)
        text.append(buffer, static_cast<size_t>(got));
    close(child.results);
    int state = 0;
    if (waitpid(child.pid, &state, 0) != child.pid || state != 0) throw std::runtime_error("a child failed");
    return text;
}

std::vector<double> numbers_of(const std::string &text) {
    std::istringstream words(text);
    std::vector<double> numbers;
    for (double number; words >> number;) numbers.push_back(number);
    return numbers;
}

// ---- refresh ----

// Waits for each checkpoint, refreshes, and searches. Writes one line for each: when it noticed, and three durations.
void follow(const Options &options, const std::vector<float> &rows, size_t dim, FILE *out) {
    const RhumbIndex reader = RhumbIndex::open_read_only(options.index);
    search_times(reader, rows, dim, options.queries);
    search_times(reader, rows, dim, options.queries);
    fprintf(out, "%.3f\n", now_ms());
    fflush(out);
    for (size_t i = 0; i < options.checkpoints; i++) {
        uint64_t newest = 0;
        bool changed = false;
        check(rhumb_index_wait_epoch(reader, 0, 600000, &newest), "wait");
        const double noticed = now_ms();
        check(rhumb_index_refresh(reader, &changed), "refresh");
        const double refreshed = now_ms();
        if (!changed) throw std::runtime_error("a refresh found nothing");
        const std::vector<double> first = search_times(reader, rows, dim, kSearchesAfter);
        search_times(reader, rows, dim, options.queries);
        const std::vector<double> later = search_times(reader, rows, dim, kSearchesAfter);
        fprintf(out, "%.6f %.6f %.6f %.6f\n", noticed, refreshed - noticed, median(first), median(later));
        fflush(out);
    }
}

void measure_refresh(const Options &options, Json *json) {
    std::vector<float> rows;
    size_t dim = 0;
    uint64_t count = 0;
    {
        const RhumbIndex index = RhumbIndex::open_read_only(options.index);
        dim = dim_of(index);
        count = rhumb_index_count(index);
        rows = near_stored_rows(index, dim, options.queries, 1);
    }
    const Child reader = start([&](FILE *out) { follow(options, rows, dim, out); });
    FILE *lines = fdopen(dup(reader.results), "r");
    double numbers[4];
    if (fscanf(lines, "%lf", &numbers[0]) != 1) throw std::runtime_error("the reader failed");
    const RhumbIndex writer = RhumbIndex::open_unlogged(options.index);
    const size_t changes = static_cast<size_t>(options.share * static_cast<double>(count));
    std::vector<double> notice, refresh, first, later, checkpoints;
    std::mt19937_64 random(2);
    for (size_t round = 0; round < options.checkpoints; round++) {
        const std::vector<float> changed = near_stored_rows(writer, dim, changes, 100 + round);
        for (size_t i = 0; i < changes; i++)
            check(rhumb_index_upsert(writer, random() % count, changed.data() + i * dim), "upsert");
        writer.checkpoint();
        const double published = now_ms();
        checkpoints.push_back(1e-6 * static_cast<double>(writer.stats().checkpoint_ns));
        if (fscanf(lines, "%lf %lf %lf %lf", &numbers[0], &numbers[1], &numbers[2], &numbers[3]) != 4)
            throw std::runtime_error("the reader failed");
        notice.push_back(numbers[0] - published);
        refresh.push_back(numbers[1]);
        first.push_back(numbers[2]);
        later.push_back(numbers[3]);
    }
    fclose(lines);
    finish(reader);
    printf("%llu vectors of %zu f32; %zu checkpoints, each after %zu random upserts; milliseconds\n",
           static_cast<unsigned long long>(count), dim, options.checkpoints, changes);
    report(json, "checkpoint", checkpoints);
    report(json, "noticed after the checkpoint's call had returned", notice);
    report(json, "refresh", refresh);
    report(json, "median search of the 100 after a refresh", first);
    report(json, "median search of 100 later ones", later);
}

// ---- memory ----

uint64_t pss_bytes(pid_t pid) {
    std::ifstream rollup("/proc/" + std::to_string(pid) + "/smaps_rollup");
    std::string name;
    uint64_t value = 0;
    std::string line;
    while (std::getline(rollup, line)) {
        std::istringstream words(line);
        if (words >> name >> value && name == "Pss:") return value * 1024;
    }
    throw std::runtime_error("no PSS of a reader");
}

// The PSS of so many readers, of which each has searched all queries and waits.
std::vector<double> pss_of_readers(const Options &options, const std::vector<float> &rows, size_t dim, size_t count) {
    std::vector<Child> children;
    std::vector<double> found;
    int gate[2];
    if (pipe(gate) != 0) throw std::runtime_error("pipe");
    for (size_t i = 0; i < count; i++) {
        children.push_back(start([&](FILE *out) {
            close(gate[1]);
            const RhumbIndex reader = RhumbIndex::open_read_only(options.index);
            search_times(reader, rows, dim, options.queries);
            fprintf(out, "r");
            fflush(out);
            char end;
            (void)!read(gate[0], &end, 1);
        }));
    }
    for (const Child &child : children) {
        char ready = 0;
        if (read(child.results, &ready, 1) != 1) throw std::runtime_error("a reader failed");
    }
    for (const Child &child : children) found.push_back(static_cast<double>(pss_bytes(child.pid)));
    close(gate[0]);
    close(gate[1]);
    for (const Child &child : children) finish(child);
    return found;
}

void measure_memory(const Options &options, Json *json) {
    std::vector<float> rows;
    size_t dim = 0;
    {
        const RhumbIndex index = RhumbIndex::open_read_only(options.index);
        dim = dim_of(index);
        rows = near_stored_rows(index, dim, options.queries, 1);
    }
    const double one = pss_of_readers(options, rows, dim, 1)[0];
    const std::vector<double> several = pss_of_readers(options, rows, dim, options.readers);
    double sum = 0;
    for (double bytes : several) sum += bytes;
    const double file = static_cast<double>(file_size(options.index).length_bytes);
    const double allowed = 1.1 * one + 1e7 * static_cast<double>(options.readers);
    printf("file %.1f MB; PSS after %zu searches: one reader %.1f MB, %zu readers %.1f MB in all, %.3f x\n", file / 1e6,
           options.queries, one / 1e6, options.readers, sum / 1e6, sum / one);
    printf("1.1 x one and 10 MB for each: %.1f MB\n", allowed / 1e6);
    json->number("file_bytes", file);
    json->number("pss_one_bytes", one);
    json->integer("readers", options.readers);
    json->number("pss_sum_bytes", sum);
    json->number("allowed_bytes", allowed);
}

// ---- load ----

constexpr size_t kLoadDim = 96;
constexpr size_t kLoadChanges = 100;

// The vector of a key, after it has been replaced in that round; round 0 is the beginning.
void vector_of(uint64_t key, uint64_t round, float *row) {
    std::mt19937_64 random(key * 1000003 + round);
    std::uniform_real_distribution<float> uniform(-1, 1);
    for (size_t d = 0; d < kLoadDim; d++) row[d] = uniform(random);
}

// Round r replaces the keys from (r - 1) * 100 on, around and around.
uint64_t last_round_of(uint64_t key, uint64_t round, uint64_t count) {
    const uint64_t first = key / kLoadChanges + 1, period = count / kLoadChanges;
    return round < first ? 0 : first + (round - first) / period * period;
}

enum class Verdict { kRight, kMissed, kWrong };

// Judges the answer to a search for the vector of a key. A walk may miss it, as walks do; the checkpoint must have it.
Verdict judge(rhumb_index *reader, uint64_t key, const std::vector<float> &row, uint64_t nearest, float distance) {
    std::vector<float> stored(kLoadDim);
    check(rhumb_index_get_vector(reader, key, stored.data()), "get");
    if (stored != row) return Verdict::kWrong;
    if (nearest == key) return distance == 0 ? Verdict::kRight : Verdict::kWrong;
    size_t found = 0;
    check(rhumb_index_search_exact(reader, row.data(), 1, 1, nullptr, &nearest, &distance, &found), "exact search");
    return found == 1 && nearest == key && distance == 0 ? Verdict::kMissed : Verdict::kWrong;
}

// Follows the writer to its last round. Writes how many searches it made, the longest, and the p99, its refreshes, how
// many answers were wrong, and how many did not have the vector that was searched for.
void search_under_load(const std::string &path, uint64_t count, uint64_t first_epoch, uint64_t rounds, uint64_t seed,
                       FILE *out) {
    std::mt19937_64 random(seed);
    const RhumbIndex reader = RhumbIndex::open_read_only(path);
    std::vector<float> row(kLoadDim);
    std::vector<double> searches, refreshes;
    uint64_t wrong = 0, missed = 0, epoch = first_epoch;
    while (epoch < first_epoch + rounds) {
        uint64_t newest = 0;
        check(rhumb_index_wait_epoch(reader, epoch + 1, 0, &newest), "look");
        if (newest > epoch) {
            const double begin = now_ms();
            check(rhumb_index_refresh(reader, nullptr), "refresh");
            refreshes.push_back(now_ms() - begin);
            const uint64_t before = epoch;
            epoch = reader.stats().epoch;
            if (epoch <= before) wrong++;
        }
        const uint64_t round = epoch - first_epoch;
        for (int i = 0; i < 20; i++) {
            // Half of them among the keys that have just been replaced.
            const uint64_t recent = (round + count / kLoadChanges - random() % 3) % (count / kLoadChanges);
            const uint64_t key =
                i % 2 == 0 ? random() % count : (recent * kLoadChanges + random() % kLoadChanges) % count;
            vector_of(key, last_round_of(key, round, count), row.data());
            uint64_t keys[10];
            float distances[10];
            size_t found = 0;
            const double begin = now_ms();
            check(rhumb_index_search(reader, row.data(), 10, nullptr, keys, distances, &found), "search");
            searches.push_back(now_ms() - begin);
            const Verdict verdict = found == 10 ? judge(reader, key, row, keys[0], distances[0]) : Verdict::kWrong;
            wrong += verdict == Verdict::kWrong;
            missed += verdict == Verdict::kMissed;
        }
    }
    fprintf(out, "%zu %.6f %.6f %.6f %zu %.6f %.6f %llu %llu\n", searches.size(), median(searches),
            quantile(searches, 0.99), quantile(searches, 1), refreshes.size(), median(refreshes),
            quantile(refreshes, 1), static_cast<unsigned long long>(wrong), static_cast<unsigned long long>(missed));
}

void measure_load(const Options &options, Json *json) {
    const std::string path = options.directory + "/processes-load.rhumb";
    IndexSettings settings;
    settings.dim = kLoadDim;
    settings.ef_construction = 60;
    settings.compact_dead_share = 1;
    settings.removed_when_closed = true;
    const uint64_t count = options.count / kLoadChanges * kLoadChanges;
    RhumbIndex writer(path, settings);
    {
        std::vector<float> rows(count * kLoadDim);
        for (uint64_t key = 0; key < count; key++) vector_of(key, 0, rows.data() + key * kLoadDim);
        writer.insert(nullptr, rows.data(), count);
        writer.checkpoint();
    }
    const uint64_t first_epoch = writer.stats().epoch;
    std::vector<Child> readers;
    for (size_t i = 0; i < options.readers; i++) {
        readers.push_back(
            start([&, i](FILE *out) { search_under_load(path, count, first_epoch, options.checkpoints, i + 1, out); }));
    }
    std::vector<float> row(kLoadDim);
    std::vector<double> checkpoints;
    const double begin = now_ms();
    for (uint64_t round = 1; round <= options.checkpoints; round++) {
        for (uint64_t i = 0; i < kLoadChanges; i++) {
            const uint64_t key = ((round - 1) * kLoadChanges + i) % count;
            vector_of(key, round, row.data());
            check(rhumb_index_upsert(writer, key, row.data()), "upsert");
        }
        writer.checkpoint();
        checkpoints.push_back(1e-6 * static_cast<double>(writer.stats().checkpoint_ns));
    }
    const double seconds = (now_ms() - begin) / 1e3;
    double searches = 0, search_p99 = 0, search_most = 0, refreshes = 0, refresh_most = 0, wrong = 0, missed = 0;
    std::vector<double> search_medians, refresh_medians;
    for (const Child &reader : readers) {
        const std::vector<double> n = numbers_of(finish(reader));
        if (n.size() != 9) throw std::runtime_error("a reader failed");
        searches += n[0];
        search_medians.push_back(n[1]);
        search_p99 = std::max(search_p99, n[2]);
        search_most = std::max(search_most, n[3]);
        refreshes += n[4];
        refresh_medians.push_back(n[5]);
        refresh_most = std::max(refresh_most, n[6]);
        wrong += n[7];
        missed += n[8];
    }
    printf("%llu vectors of %zu f32, %zu checkpoints of %zu upserts each in %.1f s, %zu readers; milliseconds\n",
           static_cast<unsigned long long>(count), kLoadDim, options.checkpoints, kLoadChanges, seconds,
           options.readers);
    report(json, "checkpoint", checkpoints);
    printf("  %.0f searches: median %.3f, p99 of the slowest reader %.3f, most %.3f\n", searches,
           median(search_medians), search_p99, search_most);
    printf("  %.0f refreshes: median %.3f, most %.3f\n", refreshes, median(refresh_medians), refresh_most);
    printf("  wrong answers: %.0f; walks that missed the vector searched for: %.0f\n", wrong, missed);
    json->number("seconds", seconds);
    json->number("searches", searches);
    json->number("search_median_ms", median(search_medians));
    json->number("search_p99_ms", search_p99);
    json->number("search_most_ms", search_most);
    json->number("refreshes", refreshes);
    json->number("refresh_median_ms", median(refresh_medians));
    json->number("refresh_most_ms", refresh_most);
    json->number("wrong_answers", wrong);
    json->number("missed_answers", missed);
    if (wrong > 0) throw std::runtime_error("readers got wrong answers");
}

const char kUsage[] = "usage: processes refresh --index FILE [--share 0.01] [--checkpoints 20] [--queries 2000]\n"
                      "       processes memory  --index FILE [--readers 8] [--queries 2000]\n"
                      "       processes load    --dir DIR [--count 50000] [--readers 8] [--checkpoints 1000]\n"
                      "each with [--json FILE]; refresh changes the index\n";

int run(const Options &options) {
    Json json;
    json.begin_object();
    json.text("commit", source_commit());
    if (options.mode == "refresh")
        measure_refresh(options, &json);
    else if (options.mode == "memory")
        measure_memory(options, &json);
    else if (options.mode == "load")
        measure_load(options, &json);
    else
        throw std::invalid_argument(kUsage);
    json.end_object();
    if (!options.json.empty()) json.save(options.json);
    return 0;
}

} // namespace
} // namespace bench

int main(int argc, char **argv) {
    bench::Options options;
    if (argc > 1) options.mode = argv[1];
    for (int i = 2; i + 1 < argc; i += 2) {
        const std::string name = argv[i];
        if (name == "--index") options.index = argv[i + 1];
        if (name == "--dir") options.directory = argv[i + 1];
        if (name == "--json") options.json = argv[i + 1];
        if (name == "--share") options.share = atof(argv[i + 1]);
        if (name == "--readers") options.readers = bench::parse_number(name, argv[i + 1]);
        if (name == "--checkpoints") options.checkpoints = bench::parse_number(name, argv[i + 1]);
        if (name == "--queries") options.queries = bench::parse_number(name, argv[i + 1]);
        if (name == "--count") options.count = bench::parse_number(name, argv[i + 1]);
    }
    bench::print_record("readers of one index in several processes: " + options.mode, "processes", argc, argv);
    try {
        return bench::run(options);
    } catch (const std::exception &error) {
        fprintf(stderr, "processes: %s\n", error.what());
        return 1;
    }
}
