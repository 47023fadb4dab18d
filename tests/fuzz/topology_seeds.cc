// Writes the seeds of topology_fuzz into a folder: topology files of tiny indexes of different shapes.
//     bazel run //tests/fuzz:topology_seeds -- $PWD/tests/fuzz/corpus/topology
#include <unistd.h>

#include <cstdio>
#include <string>

#include "tests/support/small_index.h"

namespace {

struct Seed {
    const char *name;
    rhumb_metric metric;
    uint64_t count;
    uint64_t deleted_count;
    bool all_levels;
    bool with_distances;
};

const Seed kSeeds[] = {
    {"empty", RHUMB_METRIC_L2, 0, 0, false, true},    {"one", RHUMB_METRIC_COSINE, 1, 0, true, true},
    {"level_0", RHUMB_METRIC_L2, 60, 0, false, true}, {"all_levels", RHUMB_METRIC_IP, 60, 0, true, true},
    {"plain", RHUMB_METRIC_L2, 80, 0, true, false},   {"deleted", RHUMB_METRIC_L2SQ, 60, 25, true, true},
};

rhumb_status write_seed(const Seed &seed, const std::string &index_path, const std::string &path) {
    const rhumb_test::Vectors vectors(3, 1);
    rhumb_test::IndexShape shape;
    shape.dim = 3;
    shape.metric = seed.metric;
    shape.M = 2;
    shape.M0 = 4;
    rhumb_status status = rhumb_test::build_index(index_path, shape, vectors, seed.count, 1);
    if (status != RHUMB_OK) return status;
    rhumb_index *index = nullptr;
    status = rhumb_index_open(index_path.c_str(), nullptr, &index);
    for (uint64_t i = 0; status == RHUMB_OK && i < seed.deleted_count; i++) {
        status = rhumb_index_delete(index, vectors.key(2 * i));
    }
    if (status != RHUMB_OK) return status;
    rhumb_topology_options options;
    rhumb_topology_options_init(&options, sizeof options);
    options.all_levels = seed.all_levels;
    options.with_distances = seed.with_distances;
    status = rhumb_topology_export(index, path.c_str(), &options, nullptr, 0);
    const rhumb_status closed = rhumb_index_close(index);
    return status != RHUMB_OK ? status : closed;
}

} // namespace

int main(int argument_count, char **arguments) {
    if (argument_count != 2) {
        fprintf(stderr, "topology_seeds FOLDER\n");
        return 2;
    }
    for (const Seed &seed : kSeeds) {
        const std::string path = std::string(arguments[1]) + "/" + seed.name, index_path = path + ".rhumb";
        unlink(path.c_str());
        unlink(index_path.c_str());
        if (write_seed(seed, index_path, path) != RHUMB_OK) {
            fprintf(stderr, "%s: %s\n", seed.name, rhumb_error_last()->message);
            return 1;
        }
        unlink(index_path.c_str());
        printf("%s\n", seed.name);
    }
    return 0;
}
