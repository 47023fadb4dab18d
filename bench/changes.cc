// What changes cost a woven index: builds one of nine tenths of a data set and compacts it; then inserts the last
// tenth, deletes a tenth, and upserts a tenth with the same vectors. Compares three copies of the result with the same
// queries in one run, by one thread, in rotation: at once, after the background thread has made rows, and compacted.
// Prints what recall each value of ef finds, and queries per second at equal recall.
//
// With --keep 1 the copies stay, and those that an earlier run has left are taken.
//
//   changes --data FILE.hdf5 --dir DIR [--fused 1|2|3] [--codes 4|8] [--queries N] [--passes N] [--ef N,N,...]
//           [--keep 1]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench/dataset.h"
#include "bench/machine.h"
#include "bench/measure.h"
#include "bench/record.h"
#include "bench/rhumb_index.h"
#include "include/rhumb.h"

namespace bench {
namespace {

constexpr size_t kNearest = 10;
constexpr size_t kBlock = 100; // queries of one turn

struct Options {
    std::string data, folder = ".";
    rhumb_fused fused = RHUMB_FUSED_DEFAULT;
    rhumb_codes codes = RHUMB_CODES_DEFAULT;
    size_t query_count = 1000;
    size_t pass_count = 5;
    bool keep = false;
    std::vector<size_t> efs = {10, 12, 16, 20, 24, 32, 48, 64, 96, 128, 200, 300};
};

struct Variant {
    const char *name;
    std::string path;
    RhumbIndex index = RhumbIndex();
    std::vector<Point> points = {}; // one per ef
};

// Which keys are deleted, and which get a new slot for the same vector.
bool is_deleted(uint64_t key) { return key % 10 == 3; }
bool is_replaced(uint64_t key) { return key % 10 == 7; }

void copy_to(RhumbIndex &index, const std::string &from, const std::string &to) {
    check(rhumb_index_checkpoint(index), "checkpoint");
    std::filesystem::copy_file(from, to, std::filesystem::copy_options::overwrite_existing);
}

// Makes the three files. Compactions begin only where they are called for.
void make(const Dataset &data, const Options &options, std::vector<Variant> &variants) {
    const std::string path = options.folder + "/changes.rhumb";
    for (const char *suffix : {"", "-wal"}) std::filesystem::remove(path + suffix);
    IndexSettings settings(data);
    settings.codes = options.codes;
    settings.fused = options.fused;
    settings.compact_dead_share = 1;
    RhumbIndex index(path, settings);
    const size_t old_count = data.train_count / 10 * 9;
    index.insert(nullptr, data.train.data(), old_count);
    check(rhumb_index_compact(index, nullptr, nullptr, 0), "compact");
    for (uint64_t key = 0; key < data.train_count; key++) {
        if (key >= old_count) check(rhumb_index_insert(index, key, data.train_row(key)), "insert");
        if (is_replaced(key)) check(rhumb_index_upsert(index, key, data.train_row(key)), "upsert");
        if (is_deleted(key)) check(rhumb_index_delete(index, key), "delete");
    }
    copy_to(index, path, variants[0].path);
    check(rhumb_index_wait_idle(index), "wait");
    copy_to(index, path, variants[1].path);
    check(rhumb_index_compact(index, nullptr, nullptr, 0), "compact");
    copy_to(index, path, variants[2].path);
    index.close();
    for (const char *suffix : {"", "-wal"}) std::filesystem::remove(path + suffix);
}

// The distances of the tenth nearest, by exact search.
std::vector<float> find_truth(const Variant &variant, const Dataset &data, size_t query_count) {
    std::vector<uint64_t> keys(query_count * kNearest);
    std::vector<float> distances(query_count * kNearest), farthest(query_count);
    check(rhumb_index_search_exact(variant.index, data.test.data(), query_count, kNearest, nullptr, keys.data(),
                                   distances.data(), nullptr),
          "exact search");
    for (size_t i = 0; i < query_count; i++) farthest[i] = distances[i * kNearest + kNearest - 1];
    return farthest;
}

// Searches a block of queries; returns the seconds, and adds to `found` how many of the nearest were found.
double search(const Variant &variant, const Dataset &data, size_t ef, size_t begin, const std::vector<float> &truth,
              size_t *found) {
    rhumb_search_options options;
    rhumb_search_options_init(&options, sizeof options);
    options.ef_search = static_cast<uint32_t>(ef);
    std::vector<uint64_t> keys(kBlock * kNearest);
    std::vector<float> distances(kBlock * kNearest);
    const Stopwatch watch(Stopwatch::Clock::thread);
    for (size_t i = 0; i < kBlock; i++) {
        check(rhumb_index_search(variant.index, data.test_row((begin + i) % truth.size()), kNearest, &options,
                                 &keys[i * kNearest], &distances[i * kNearest], nullptr),
              "search");
    }
    const double seconds = watch.seconds();
    for (size_t i = 0; i < distances.size(); i++) {
        *found += distances[i] <= truth[(begin + i / kNearest) % truth.size()];
    }
    return seconds;
}

// The copies alternate in short blocks, so that load on the machine slows all alike. A block of other queries comes
// before each, because the caches hold another index then.
void measure(std::vector<Variant> &variants, const Dataset &data, const Options &options,
             const std::vector<float> &truth) {
    const size_t block_count = options.query_count / kBlock;
    for (size_t ef : options.efs) {
        std::vector<size_t> found(variants.size());
        std::vector<std::vector<double>> rates(variants.size());
        for (size_t turn = 0; turn < block_count * options.pass_count; turn++) {
            for (size_t i = 0; i < variants.size(); i++) {
                const size_t at = (i + turn) % variants.size();
                size_t unused = 0;
                search(variants[at], data, ef, (turn + block_count / 2) * kBlock, truth, &unused);
                const double seconds = search(variants[at], data, ef, turn * kBlock, truth, &found[at]);
                rates[at].push_back(static_cast<double>(kBlock) / seconds);
            }
        }
        for (size_t i = 0; i < variants.size(); i++) {
            const double searched_count = static_cast<double>(block_count * options.pass_count * kBlock * kNearest);
            variants[i].points.push_back(
                {ef, static_cast<double>(found[i]) / searched_count, median(rates[i]), rates[i]});
        }
    }
}

void print(const std::vector<Variant> &variants, const Options &options) {
    printf("%5s", "ef");
    for (const Variant &variant : variants) printf(" %14s   recall", variant.name);
    printf("\n");
    for (size_t e = 0; e < options.efs.size(); e++) {
        printf("%5zu", options.efs[e]);
        for (const Variant &variant : variants) {
            printf(" %14.0f   %6.4f", variant.points[e].queries_per_second, variant.points[e].recall);
        }
        printf("\n");
    }
    printf("\nqueries per second at equal recall, and as a share of the compacted index\n");
    for (double target : {0.90, 0.95, 0.99}) {
        const SpeedAtRecall compacted = speed_at_recall(variants.back().points, target);
        printf("%5.2f", target);
        for (const Variant &variant : variants) {
            const SpeedAtRecall speed = speed_at_recall(variant.points, target);
            const bool is_known =
                speed.kind == SpeedAtRecall::Kind::reached && compacted.kind == SpeedAtRecall::Kind::reached;
            if (is_known) {
                printf(" %14.0f %7.2fx", speed.queries_per_second,
                       speed.queries_per_second / compacted.queries_per_second);
            } else {
                printf(" %14s %8s", "-", "");
            }
        }
        printf("\n");
    }
}

Options parse(int argc, char **argv) {
    Options options;
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string name = argv[i];
        if (name == "--data") options.data = argv[i + 1];
        if (name == "--dir") options.folder = argv[i + 1];
        if (name == "--fused") options.fused = static_cast<rhumb_fused>(atoi(argv[i + 1]));
        if (name == "--codes") options.codes = static_cast<rhumb_codes>(atoi(argv[i + 1]));
        if (name == "--queries") options.query_count = std::max<size_t>(kBlock, strtoul(argv[i + 1], nullptr, 10));
        if (name == "--passes") options.pass_count = std::max<size_t>(1, strtoul(argv[i + 1], nullptr, 10));
        if (name == "--keep") options.keep = atoi(argv[i + 1]) != 0;
        if (name != "--ef") continue;
        options.efs.clear();
        for (const char *at = argv[i + 1]; at != nullptr; at = strchr(at, ',') ? strchr(at, ',') + 1 : nullptr) {
            options.efs.push_back(strtoul(at, nullptr, 10));
        }
    }
    return options;
}

void run(const Options &options) {
    const Dataset data = read_dataset(options.data);
    const size_t query_count = std::min(options.query_count, data.test_count);
    std::vector<Variant> variants(3);
    const char *names[] = {"changed", "rows made", "compacted"};
    for (size_t i = 0; i < variants.size(); i++) {
        variants[i].name = names[i];
        variants[i].path = options.folder + "/changes-" + std::to_string(i) + ".rhumb";
    }
    if (!options.keep || !std::filesystem::exists(variants.back().path)) make(data, options, variants);
    for (Variant &variant : variants) variant.index = RhumbIndex::open_read_only(variant.path);
    const std::vector<float> truth = find_truth(variants[0], data, query_count);
    measure(variants, data, options, truth);
    print(variants, options);
    for (const Variant &variant : variants) {
        if (!options.keep) std::filesystem::remove(variant.path);
    }
}

} // namespace
} // namespace bench

int main(int argc, char **argv) {
    try {
        bench::print_record("what changes cost an index, against one that is compacted", "changes", argc, argv);
        bench::run(bench::parse(argc, argv));
        return 0;
    } catch (const std::exception &error) {
        fprintf(stderr, "changes: %s\n", error.what());
        return 1;
    }
}
