// Writes the seeds of index_fuzz into a folder: tiny indexes of different shapes, packed.
//     bazel run //tests/fuzz:index_seeds -- $PWD/tests/fuzz/corpus/index
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "tests/support/file_image.h"
#include "tests/support/small_index.h"

namespace {

using rhumb_test::FileImage;
using rhumb_test::IndexShape;

struct Seed {
    const char *name;
    rhumb_metric metric;
    uint32_t dim;
    uint32_t M;
    uint64_t count;
    uint32_t checkpoint_count;
    bool extend_and_keep;
};

const Seed kSeeds[] = {
    {"empty", RHUMB_METRIC_L2, 3, 2, 0, 1, false},         {"one", RHUMB_METRIC_COSINE, 1, 2, 1, 1, false},
    {"levels", RHUMB_METRIC_L2SQ, 2, 2, 60, 1, false},     {"two_versions", RHUMB_METRIC_L2, 4, 4, 40, 2, false},
    {"many_versions", RHUMB_METRIC_IP, 5, 3, 30, 6, true}, {"growing_keys", RHUMB_METRIC_L2, 1, 2, 260, 3, false},
};

} // namespace

int main(int argument_count, char **arguments) {
    if (argument_count != 2) {
        fprintf(stderr, "index_seeds FOLDER\n");
        return 2;
    }
    for (const Seed &seed : kSeeds) {
        const std::string path = std::string(arguments[1]) + "/" + seed.name;
        const rhumb_test::Vectors vectors(seed.dim, 1);
        IndexShape shape;
        shape.dim = seed.dim;
        shape.metric = seed.metric;
        shape.M = seed.M;
        shape.M0 = 2 * seed.M;
        shape.extend_candidates = seed.extend_and_keep;
        shape.keep_pruned = seed.extend_and_keep;
        unlink(path.c_str());
        if (rhumb_test::build_index(path, shape, vectors, seed.count, seed.checkpoint_count) != RHUMB_OK) {
            fprintf(stderr, "%s: %s\n", seed.name, rhumb_error_last()->message);
            return 1;
        }
        const std::vector<uint8_t> packed = FileImage::load(path).pack();
        FILE *file = fopen(path.c_str(), "wb");
        if (file == nullptr || fwrite(packed.data(), 1, packed.size(), file) != packed.size() || fclose(file) != 0) {
            perror(path.c_str());
            return 1;
        }
        printf("%s: %zu bytes\n", seed.name, packed.size());
    }
    return 0;
}
