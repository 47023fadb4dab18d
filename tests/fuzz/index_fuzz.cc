// Any bytes as an index file: an error that names the file, or an index that can be searched, verified and written, and
// that opens again after a checkpoint. Never a crash, a hang, or memory in proportion to a number in the file.
//
// The input is a packed image (tests/support/file_image.h): a length and the runs that are not zero, because index
// files are mostly zeros. The mutator changes fields and rows where they are and corrects the checksums most of
// the time; otherwise nearly all changes would end at a checksum. Build and run with
//     bazel run --config=fuzz //tests/fuzz:index_fuzz -- -max_total_time=300 -timeout=20 $PWD/tests/fuzz/corpus/index
// (libFuzzer adds what it finds to the first folder named; put another one before it to keep the corpus as it is).
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>

#include "tests/fuzz/fuzz_target.h"
#include "tests/support/exercise.h"
#include "tests/support/exercise_graph.h"
#include "tests/support/file_image.h"

extern "C" {
#include "engine/graph/sections.h"
}

namespace {

using rhumb_test::Exercise;
using rhumb_test::FileImage;

constexpr uint64_t kLengthMax = UINT64_C(4) << 20;

// Aborts, which reports a broken promise to libFuzzer.
void require_kept(const Exercise &exercise, const char *how) {
    if (exercise.broken.empty()) return;
    fprintf(stderr, "broken while %s: %s\n", how, exercise.broken.c_str());
    abort();
}

bool put_into_file(int file, const FileImage &image) {
    const std::vector<uint8_t> &bytes = image.bytes();
    if (ftruncate(file, 0) != 0 || ftruncate(file, static_cast<off_t>(bytes.size())) != 0) return false;
    for (size_t offset = 0; offset < bytes.size(); offset += 4096) {
        const size_t count = std::min<size_t>(4096, bytes.size() - offset);
        if (std::all_of(&bytes[offset], &bytes[offset] + count, [](uint8_t byte) { return byte == 0; })) continue;
        if (pwrite(file, &bytes[offset], count, static_cast<off_t>(offset)) != static_cast<ssize_t>(count))
            return false;
    }
    return true;
}

// A number that is likely to matter: small, extreme, or near the present one.
uint64_t interesting(std::mt19937 *random, uint64_t now) {
    const auto pick = [&](uint32_t limit) { return static_cast<uint64_t>((*random)() % limit); };
    switch (pick(10)) {
    case 0: return pick(4);
    case 1: return UINT64_MAX - pick(3);
    case 2: return now + 1 - 2 * pick(2);
    case 3: return now ^ UINT64_C(1) << pick(64);
    case 4: return UINT64_C(1) << pick(64);
    case 5: return pick(100);
    case 6: return RHUMB__BLOCK_BYTES * pick(64);
    case 7: return now * 2;
    case 8: return UINT64_C(1) << 31 | pick(100);                   // a copy
    default: return UINT64_C(1) << 40 | pick(20) << 32 | pick(100); // a node record
    }
}

// A used place in the image: in a superblock, the directory or the rows of a section.
uint64_t interesting_place(std::mt19937 *random, const FileImage &image) {
    const auto pick = [&](uint64_t limit) { return limit == 0 ? 0 : (*random)() % limit; };
    const uint32_t slot = static_cast<uint32_t>(pick(4) == 0 ? 1 - image.newest_slot() : image.newest_slot());
    const rhumb__superblock superblock = image.superblock(slot);
    switch (pick(6)) {
    case 0: return FileImage::superblock_offset(slot, static_cast<uint32_t>(pick(2))) + 8 + pick(26) * 4;
    case 1: return FileImage::superblock_offset(slot, static_cast<uint32_t>(pick(2))) + 512 + pick(98) * 4;
    case 2: return superblock.directory_offset + pick(std::min<uint64_t>(superblock.root_bytes, 1 << 16) / 4) * 4;
    default: {
        const uint32_t section = 1 + static_cast<uint32_t>(pick(RHUMB__SECTION_TIES));
        const uint64_t bytes = std::min(image.row_stride(section) * image.row_count(section), kLengthMax);
        return image.locate(section, pick(bytes / 4 + 1) * 4);
    }
    }
}

} // namespace

extern "C" int LLVMFuzzerInitialize(int *, char ***) {
    setenv("RHUMB_IO", "plain", 1); // a ring for every input would be most of the work
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count) {
    const FileImage image = FileImage::unpack(bytes, byte_count, kLengthMax);
    static const int file = memfd_create("index_fuzz", MFD_CLOEXEC);
    if (file < 0 || !put_into_file(file, image)) abort();
    const std::string path = "/proc/self/fd/" + std::to_string(file);
    static const std::string topology_path =
        (access("/dev/shm", W_OK) == 0 ? "/dev/shm/index_fuzz_" : "/tmp/index_fuzz_") + std::to_string(getpid());
    require_kept(rhumb_test::exercise_reading(path), "reading");
    // With some of the inputs: it takes as long as the rest.
    if (byte_count % 3 == 0) {
        rhumb_test::Exercise graph;
        graph.broken = rhumb_test::exercise_graph(path, topology_path);
        require_kept(graph, "looking at the graph");
    }
    require_kept(rhumb_test::exercise_writing(path, 6), "writing");
    return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t byte_count, size_t byte_count_max, unsigned int seed) {
    std::mt19937 random(seed);
    if (random() % 16 == 0) return LLVMFuzzerMutate(bytes, byte_count, byte_count_max);
    FileImage image = FileImage::unpack(bytes, byte_count, kLengthMax);
    for (uint32_t i = 0; i < 1u << random() % 6; i++) {
        const uint64_t place = interesting_place(&random, image);
        const bool wide = random() % 2 == 0;
        const uint64_t value = interesting(&random, wide ? image.get<uint64_t>(place) : image.get<uint32_t>(place));
        for (uint32_t copy = 0; copy < 2; copy++) {
            // The two copies of a superblock are usually equal.
            const uint64_t other = place < RHUMB__SUPERBLOCK_COPY_STRIDE ? place + RHUMB__SUPERBLOCK_COPY_STRIDE
                                                                         : place - RHUMB__SUPERBLOCK_COPY_STRIDE;
            const uint64_t target = copy == 0 ? place : other;
            if (copy == 1 && (place >= RHUMB__CONTENT_OFFSET || random() % 8 == 0)) continue;
            if (wide) {
                image.put<uint64_t>(target, value);
            } else {
                image.put<uint32_t>(target, static_cast<uint32_t>(value));
            }
        }
    }
    if (random() % 8 != 0) {
        image.mend_superblocks();
        image.mend();
        image.mend_superblocks();
    }
    const std::vector<uint8_t> packed = image.pack();
    if (packed.size() > byte_count_max) return LLVMFuzzerMutate(bytes, byte_count, byte_count_max);
    memcpy(bytes, packed.data(), packed.size());
    return packed.size();
}
