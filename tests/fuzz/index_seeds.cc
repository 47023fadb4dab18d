// Writes the seeds of index_fuzz into a folder: tiny indexes of different shapes, packed; some have copies, deleted
// vectors and patches.
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
    uint64_t distinct_count; // of the vectors; what is more are copies
    uint64_t delete_every;   // 0: none
    uint64_t change_count;   // after that, vectors that are replaced one by one, each with a checkpoint
};

const Seed kSeeds[] = {
    {"empty", RHUMB_METRIC_L2, 3, 2, 0, 1, false, 1, 0, 0},
    {"one", RHUMB_METRIC_COSINE, 1, 2, 1, 1, false, 1, 0, 0},
    {"levels", RHUMB_METRIC_L2SQ, 2, 2, 60, 1, false, 60, 0, 0},
    {"two_versions", RHUMB_METRIC_L2, 4, 4, 40, 2, false, 40, 0, 0},
    {"many_versions", RHUMB_METRIC_IP, 5, 3, 30, 6, true, 30, 0, 0},
    {"growing_keys", RHUMB_METRIC_L2, 1, 2, 260, 3, false, 260, 0, 0},
    {"copies", RHUMB_METRIC_L2, 3, 2, 60, 3, false, 20, 4, 0},
    {"copies_of_few", RHUMB_METRIC_IP, 4, 3, 40, 1, true, 3, 0, 0},
    {"copies_of_one", RHUMB_METRIC_COSINE, 2, 2, 30, 2, false, 1, 7, 0},
    {"half_deleted", RHUMB_METRIC_L2SQ, 3, 2, 50, 2, false, 50, 2, 0},
    {"many_patches", RHUMB_METRIC_IP, 3, 4, 200, 1, false, 40, 9, 6},
};

rhumb_status build(const std::string &path, const Seed &seed) {
    IndexShape shape;
    shape.dim = seed.dim;
    shape.metric = seed.metric;
    shape.M = seed.M;
    shape.M0 = 2 * seed.M;
    shape.extend_candidates = seed.extend_and_keep;
    shape.keep_pruned = seed.extend_and_keep;
    // The vectors that exercise_writing inserts, so that these become copies.
    const rhumb_test::Vectors vectors(seed.dim, 7);
    rhumb_test::Index index;
    rhumb_status status = rhumb_test::create_index(path, shape, &index, RHUMB_DURABILITY_NONE);
    for (uint64_t i = 0; status == RHUMB_OK && i < seed.count; i++) {
        status = rhumb_index_insert(index, vectors.key(i), vectors.vector(i % seed.distinct_count).data());
        const bool is_due = (i + 1) * seed.checkpoint_count / seed.count > i * seed.checkpoint_count / seed.count;
        if (status == RHUMB_OK && is_due) status = rhumb_index_checkpoint(index);
    }
    for (uint64_t i = 0; status == RHUMB_OK && seed.delete_every > 0 && i < seed.count; i += seed.delete_every) {
        status = rhumb_index_delete(index, vectors.key(i));
    }
    for (uint64_t i = 0; status == RHUMB_OK && i < seed.change_count; i++) {
        status = rhumb_index_upsert(index, vectors.key(7 * i + 1), vectors.vector(seed.count + i).data());
        if (status == RHUMB_OK) status = rhumb_index_checkpoint(index);
    }
    return status == RHUMB_OK ? index.close() : status;
}

} // namespace

int main(int argument_count, char **arguments) {
    if (argument_count != 2) {
        fprintf(stderr, "index_seeds FOLDER\n");
        return 2;
    }
    for (const Seed &seed : kSeeds) {
        const std::string path = std::string(arguments[1]) + "/" + seed.name;
        unlink(path.c_str());
        if (build(path, seed) != RHUMB_OK) {
            fprintf(stderr, "%s: %s\n", seed.name, rhumb_error_last()->message);
            return 1;
        }
        const FileImage image = FileImage::load(path);
        const std::vector<uint8_t> packed = image.pack();
        FILE *file = fopen(path.c_str(), "wb");
        if (file == nullptr || fwrite(packed.data(), 1, packed.size(), file) != packed.size() || fclose(file) != 0) {
            perror(path.c_str());
            return 1;
        }
        printf("%s: %zu bytes, %zu patches\n", seed.name, packed.size(), image.patches().size());
    }
    return 0;
}
