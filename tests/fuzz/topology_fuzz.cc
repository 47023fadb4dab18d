// Any bytes as a topology file: an error that names the file, or answers; what verifies answers everything. Never a
// crash, a hang, or memory in proportion to a number in the file.
//
// The mutator changes numbers of the header and elements of the arrays where they are, and corrects the length and the
// checksums most of the time; otherwise nearly all changes would end at a checksum. It knows the layout
// from storage/FORMAT.md and shares no code with the reader but the header's structure. Build and run with
//     bazel run --config=fuzz //tests/fuzz:topology_fuzz -- -max_total_time=600 -timeout=20 -rss_limit_mb=1024
//         -max_len=65536 $PWD/tests/fuzz/corpus/topology
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
#include <vector>

extern "C" {
#include "base/crc32c.h"
}
#include "engine/topology/topology.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/support/exercise_graph.h"

namespace {

constexpr uint64_t kHeaderBytes = 4096;
constexpr uint64_t kChunkBytes = 65536;

using Header = rhumb__topology_header;

struct Place {
    uint64_t offset;
    uint64_t bytes;
    uint32_t element_bytes;
};

// Where the arrays are, and as the last of them the checksums. Only for counts that a small file can have.
std::vector<Place> places_of(const Header &header) {
    const uint64_t points = header.point_count, links = header.link_count;
    const uint64_t distance_bytes = (header.flags & 1) != 0 ? 4 * links : 0;
    std::vector<Place> places = {
        {0, 8 * points, 8}, {0, 8 * points + 8, 8}, {0, points, 1}, {0, 4 * links, 4}, {0, distance_bytes, 4}};
    uint64_t offset = kHeaderBytes, checksum_count = 0;
    for (Place &place : places) {
        place.offset = offset;
        checksum_count += (place.bytes + kChunkBytes - 1) / kChunkBytes;
        offset = (offset + place.bytes + 63) / 64 * 64;
    }
    places.push_back({offset, 4 * checksum_count, 4});
    return places;
}

bool is_small(const Header &header, uint64_t byte_count_max) {
    return header.point_count < byte_count_max && header.link_count < byte_count_max &&
           places_of(header).back().offset + places_of(header).back().bytes <= byte_count_max;
}

Header header_of(const std::vector<uint8_t> &bytes) {
    Header header;
    memcpy(&header, bytes.data(), sizeof header);
    return header;
}

void put_header(std::vector<uint8_t> *bytes, const Header &header) { memcpy(bytes->data(), &header, sizeof header); }

// Sets length and checksums as the header's counts require, as far as possible.
void mend(std::vector<uint8_t> *bytes, uint64_t byte_count_max, bool level_counts_too) {
    Header header = header_of(*bytes);
    if (is_small(header, byte_count_max)) {
        const std::vector<Place> places = places_of(header);
        bytes->resize(places.back().offset + places.back().bytes);
        header.file_bytes = bytes->size();
        uint64_t target = places.back().offset;
        for (size_t i = 0; i + 1 < places.size(); i++) {
            for (uint64_t begin = 0; begin < places[i].bytes; begin += kChunkBytes) {
                const uint64_t count = std::min(kChunkBytes, places[i].bytes - begin);
                const uint32_t crc = rhumb__crc32c(0, bytes->data() + places[i].offset + begin, count);
                memcpy(bytes->data() + target, &crc, sizeof crc);
                target += sizeof crc;
            }
        }
        header.checksum_crc = rhumb__crc32c(0, bytes->data() + places.back().offset, places.back().bytes);
        if (level_counts_too) {
            memset(header.level_counts, 0, sizeof header.level_counts);
            for (uint64_t i = 0; i < header.point_count; i++) {
                const uint8_t level = (*bytes)[places[2].offset + i];
                if (level < 17) header.level_counts[level]++;
            }
        }
    }
    header.crc = 0;
    header.crc = rhumb__crc32c(0, &header, sizeof header);
    put_header(bytes, header);
}

// A number that is likely to matter: small, extreme, or near the present one.
uint64_t interesting(std::mt19937 *random, uint64_t now, const Header &header) {
    const auto pick = [&](uint32_t limit) { return static_cast<uint64_t>((*random)() % limit); };
    switch (pick(9)) {
    case 0: return pick(4);
    case 1: return UINT64_MAX - pick(3);
    case 2: return now + 1 - 2 * pick(2);
    case 3: return now ^ UINT64_C(1) << pick(64);
    case 4: return UINT64_C(1) << pick(64);
    case 5: return header.link_count + 1 - pick(3);
    case 6: return header.point_count + 1 - pick(3);
    case 7: return 0x7FC00000; // as a float, NaN
    default: return now * 2;
    }
}

void change(std::mt19937 *random, std::vector<uint8_t> *bytes) {
    const auto pick = [&](uint64_t limit) { return limit == 0 ? 0 : (*random)() % limit; };
    const Header header = header_of(*bytes);
    uint64_t place = pick(64) * 4; // in the header
    uint32_t element_bytes = pick(2) == 0 ? 8 : 4;
    if (pick(4) != 0 && is_small(header, bytes->size())) {
        const std::vector<Place> places = places_of(header);
        const Place &array = places[pick(places.size())];
        element_bytes = array.element_bytes;
        place = array.offset + pick(array.bytes / element_bytes) * element_bytes;
    }
    if (place + 8 > bytes->size()) return;
    uint64_t now = 0;
    memcpy(&now, bytes->data() + place, element_bytes);
    const uint64_t value = interesting(random, now, header);
    memcpy(bytes->data() + place, &value, element_bytes);
}

} // namespace

extern "C" int LLVMFuzzerInitialize(int *, char ***) {
    setenv("RHUMB_IO", "plain", 1);
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count) {
    static const int file = memfd_create("topology_fuzz", MFD_CLOEXEC);
    if (file < 0 || ftruncate(file, 0) != 0) abort();
    if (pwrite(file, bytes, byte_count, 0) != static_cast<ssize_t>(byte_count)) abort();
    const rhumb_test::TopologyExercise exercise =
        rhumb_test::exercise_topology("/proc/self/fd/" + std::to_string(file));
    if (!exercise.broken.empty()) {
        fprintf(stderr, "broken: %s\n", exercise.broken.c_str());
        abort();
    }
    return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t byte_count, size_t byte_count_max, unsigned int seed) {
    std::mt19937 random(seed);
    if (byte_count < kHeaderBytes || byte_count_max < 2 * kHeaderBytes || random() % 16 == 0) {
        return LLVMFuzzerMutate(bytes, byte_count, byte_count_max);
    }
    std::vector<uint8_t> image(bytes, bytes + byte_count);
    for (uint32_t i = 0; i < 1u << random() % 5; i++) change(&random, &image);
    if (random() % 8 != 0) mend(&image, byte_count_max, random() % 2 == 0);
    memcpy(bytes, image.data(), image.size());
    return image.size();
}
