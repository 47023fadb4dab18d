// What merging saves: cuts a data set into parts, builds an index of each, and merges these; next to that, builds an
// index of the whole in bulk, and one by single inserts (batches that are too small to be built in bulk). Merging and
// building in bulk take turns. Prints wall-clock and processor time, ratios of the same pass, and recall by ef.
//
//   merge --data FILE.hdf5 --dir DIR [--parts N] [--passes N] [--m N] [--efc N] [--single 0]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench/dataset.h"
#include "bench/measure.h"
#include "bench/record.h"
#include "bench/rhumb_index.h"
#include "include/rhumb.h"

namespace bench {
namespace {

constexpr size_t kSingleBatch = 4000; // less than a batch that is built in bulk
constexpr size_t kNeighbours = 10;

struct Options {
    std::string data, directory = ".";
    size_t parts = 2;
    int passes = 3;
    bool single = true;
    IndexSettings index;
};

// What one step took.
struct Taken {
    double wall = 0;
    double processor = 0;
};

template <typename Step> Taken time_of(const Step &step) {
    const Stopwatch wall, processor(Stopwatch::Clock::process);
    step();
    return {wall.seconds(), processor.seconds()};
}

// Rows [begin, end) under their numbers, at most `batch` at a time.
void build(const std::string &path, const Dataset &data, const IndexSettings &settings, size_t begin, size_t end,
           size_t batch) {
    RhumbIndex index(path, settings);
    for (size_t at = begin; at < end; at += batch) {
        const size_t count = std::min(batch, end - at);
        std::vector<uint64_t> keys(count);
        for (size_t i = 0; i < count; i++) keys[i] = at + i;
        index.insert(keys.data(), data.train.data() + at * data.dim, count);
    }
    index.checkpoint();
    index.close();
}

void merge(const std::vector<std::string> &parts, const std::string &path) {
    std::vector<const char *> texts;
    for (const std::string &part : parts) texts.push_back(part.c_str());
    std::remove(path.c_str());
    check(rhumb_index_merge_into(texts.data(), texts.size(), path.c_str(), nullptr, nullptr, 0), "merge");
}

double recall_of(const std::string &path, const Dataset &data, uint32_t ef) {
    RhumbIndex index = RhumbIndex::open_read_only(path);
    rhumb_search_options options;
    rhumb_search_options_init(&options, sizeof options);
    options.ef_search = ef;
    std::vector<uint64_t> keys(data.test_count * kNeighbours);
    check(rhumb_index_search_batch(index, data.test_row(0), data.test_count, kNeighbours, &options, keys.data(),
                                   nullptr, nullptr),
          "search");
    return recall(data, data.test_count, kNeighbours, std::vector<int64_t>(keys.begin(), keys.end()));
}

void expect_sound(const std::string &path) {
    RhumbIndex index = RhumbIndex::open_read_only(path);
    rhumb_verify_report report = {};
    check(rhumb_index_verify(index, &report, sizeof report), "verify");
    printf("merged index: %llu nodes, %llu links, %llu unreachable\n",
           static_cast<unsigned long long>(report.node_count), static_cast<unsigned long long>(report.link_count),
           static_cast<unsigned long long>(report.unreachable_count));
}

Options parse(int argc, char **argv) {
    Options options;
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string name = argv[i];
        if (name == "--data") options.data = argv[i + 1];
        if (name == "--dir") options.directory = argv[i + 1];
        if (name == "--parts") options.parts = static_cast<size_t>(std::max(1, atoi(argv[i + 1])));
        if (name == "--passes") options.passes = std::max(1, atoi(argv[i + 1]));
        if (name == "--single") options.single = atoi(argv[i + 1]) != 0;
        if (name == "--m") options.index.M = static_cast<uint32_t>(atoi(argv[i + 1]));
        if (name == "--efc") options.index.ef_construction = static_cast<uint32_t>(atoi(argv[i + 1]));
    }
    return options;
}

void print_time(const char *what, const std::vector<Taken> &times, const std::vector<Taken> &merging) {
    std::vector<double> walls, processors, wall_ratios, processor_ratios;
    for (size_t i = 0; i < times.size(); i++) {
        walls.push_back(times[i].wall);
        processors.push_back(times[i].processor);
        wall_ratios.push_back(merging[i].wall / times[i].wall);
        processor_ratios.push_back(merging[i].processor / times[i].processor);
    }
    printf("%-16s %10.2f %10.2f %16.3f %16.3f\n", what, median(walls), median(processors), median(wall_ratios),
           median(processor_ratios));
}

void run(const Options &options) {
    const Dataset data = read_dataset(options.data);
    IndexSettings settings = options.index;
    settings.dim = data.dim;
    settings.cosine = data.cosine;
    const std::string base = options.directory + "/" + data.name;
    const std::string merged = base + ".merged.rhumb", bulk = base + ".bulk.rhumb", single = base + ".single.rhumb";
    std::vector<std::string> parts;
    for (size_t i = 0; i < options.parts; i++) {
        parts.push_back(base + ".part" + std::to_string(i) + ".rhumb");
        const size_t begin = data.train_count * i / options.parts, end = data.train_count * (i + 1) / options.parts;
        build(parts.back(), data, settings, begin, end, data.train_count);
    }
    std::vector<Taken> merging, building, inserting;
    if (options.single)
        inserting.push_back(time_of([&] { build(single, data, settings, 0, data.train_count, kSingleBatch); }));
    for (int pass = 0; pass < options.passes; pass++) {
        building.push_back(time_of([&] { build(bulk, data, settings, 0, data.train_count, data.train_count); }));
        merging.push_back(time_of([&] { merge(parts, merged); }));
    }
    printf("%s: %zu x %zu, M %u, ef_construction %u, %zu parts, %d passes, medians\n", data.name.c_str(),
           data.train_count, data.dim, settings.M, settings.ef_construction, options.parts, options.passes);
    expect_sound(merged);
    printf("%-16s %10s %10s %16s %16s\n", "", "wall s", "CPU s", "merge/this wall", "merge/this CPU");
    print_time("merge", merging, merging);
    print_time("build in bulk", building, merging);
    if (options.single) print_time("single inserts", inserting, merging);
    printf("%6s %10s %10s %12s%s\n", "ef", "merged", "in bulk", "difference", options.single ? "     single" : "");
    for (const uint32_t ef : {16u, 32u, 64u, 128u, 200u, 400u}) {
        const double found = recall_of(merged, data, ef), expected = recall_of(bulk, data, ef);
        printf("%6u %10.4f %10.4f %+12.4f", ef, found, expected, found - expected);
        if (options.single) printf(" %10.4f", recall_of(single, data, ef));
        printf("\n");
    }
}

} // namespace
} // namespace bench

int main(int argc, char **argv) {
    try {
        const bench::Options options = bench::parse(argc, argv);
        bench::print_record("what merging takes and finds, next to building an index of the whole", "merge", argc,
                            argv);
        bench::run(options);
    } catch (const std::exception &error) {
        fprintf(stderr, "merge: %s\n", error.what());
        return 1;
    }
    return 0;
}
