// What a checkpoint of a few changes writes: an index of N vectors, of which some random ones are replaced before each
// checkpoint. For each number of changes: the mean and the largest of the bytes that a series of checkpoints wrote, and
// the mean of their durations.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench/record.h"
#include "bench/rhumb_index.h"
#include "include/rhumb.h"

namespace bench {
namespace {

struct Options {
    std::string directory = ".";
    size_t count = 100000;
    uint32_t dim = 16;
    unsigned checkpoints = 30;
};

void fill(std::mt19937_64 *random, std::vector<float> *row) {
    std::normal_distribution<float> normal;
    for (float &x : *row) x = normal(*random);
}

void measure_changes(const RhumbIndex &index, const Options &options, size_t changes) {
    std::mt19937_64 random(changes);
    std::vector<float> row(options.dim);
    double bytes = 0, bytes_max = 0, ms = 0;
    for (unsigned round = 0; round < options.checkpoints; round++) {
        for (size_t i = 0; i < changes; i++) {
            fill(&random, &row);
            check(rhumb_index_upsert(index, random() % options.count, row.data()), "upsert");
        }
        index.checkpoint();
        const rhumb_index_stats stats = index.stats();
        bytes += static_cast<double>(stats.checkpoint_bytes);
        bytes_max = std::max(bytes_max, static_cast<double>(stats.checkpoint_bytes));
        ms += static_cast<double>(stats.checkpoint_ns) / 1e6;
    }
    printf("%8zu %12.3f %12.3f %14.1f %10.1f\n", changes, bytes / options.checkpoints / 1e6, bytes_max / 1e6,
           bytes / options.checkpoints / 1e3 / static_cast<double>(changes), ms / options.checkpoints);
    fflush(stdout);
}

void measure(const Options &options) {
    IndexSettings settings;
    settings.dim = options.dim;
    settings.ef_construction = 50;
    settings.durability = RHUMB_DURABILITY_INTERVAL;
    settings.checkpoint_log_bytes = UINT64_MAX;
    settings.compact_dead_share = 1;
    settings.removed_when_closed = true;
    std::mt19937_64 random(3);
    std::vector<float> rows(options.count * options.dim);
    fill(&random, &rows);
    const RhumbIndex index(options.directory + "/checkpoint-bytes.rhumb", settings);
    index.insert(nullptr, rows.data(), options.count);
    index.checkpoint();
    printf("%zu vectors of %u f32, M 16: %u checkpoints after so many random upserts each\n\n", options.count,
           options.dim, options.checkpoints);
    printf("%8s %12s %12s %14s %10s\n", "upserts", "MB, mean", "MB, most", "KB an upsert", "ms, mean");
    for (size_t changes : {10u, 100u, 1000u}) measure_changes(index, options, changes);
}

} // namespace
} // namespace bench

int main(int argc, char **argv) {
    bench::Options options;
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string name = argv[i];
        if (name == "--dir") options.directory = argv[i + 1];
        if (name == "--count") options.count = static_cast<size_t>(std::max(1000, atoi(argv[i + 1])));
        if (name == "--dim") options.dim = static_cast<uint32_t>(std::max(1, atoi(argv[i + 1])));
        if (name == "--checkpoints") options.checkpoints = static_cast<unsigned>(std::max(1, atoi(argv[i + 1])));
    }
    bench::print_record("bytes that checkpoints of a few changes write", "checkpoint_bytes", argc, argv);
    try {
        bench::measure(options);
    } catch (const std::exception &error) {
        fprintf(stderr, "checkpoint_bytes: %s\n", error.what());
        return 1;
    }
    return 0;
}
