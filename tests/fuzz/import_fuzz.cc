// Any bytes as a file of another library: an error that names the file, or a source of which everything can be read.
// Never a crash, a hang, or memory in proportion to a number in the file.
//
// RHUMB_FUZZ_KIND is the format (engine/exchange/source.h), so there is a target for each reader. Formats of several
// files get them from one input: before each file but the last there are its length in two bytes. Build and run with
//     bazel run --config=fuzz //tests/fuzz:import_faiss_fuzz -- -max_total_time=60 -rss_limit_mb=512 -max_len=65536
//         $PWD/corpus $PWD/tests/exchange/samples
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

extern "C" {
#include "base/status.h"
#include "engine/exchange/source.h"
#include "engine/exchange/source_walk.h"
}
#include "tests/fuzz/fuzz_target.h"

namespace {

constexpr rhumb__source_kind kKind = static_cast<rhumb__source_kind>(RHUMB_FUZZ_KIND);

// Aborts, which reports a broken promise to libFuzzer.
void Require(bool promise, const char *what) {
    if (promise) return;
    fprintf(stderr, "broken: %s: %s\n", what, rhumb__error_last()->message);
    abort();
}

std::string Folder() {
    static const std::string folder = [] {
        const char *root = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
        std::string pattern = std::string(root) + "/rhumb_fuzz_XXXXXX";
        Require(mkdtemp(pattern.data()) != nullptr, "a folder");
        return pattern;
    }();
    return folder;
}

std::vector<std::string> Names() {
    switch (kKind) {
    case RHUMB__SOURCE_CHROMA: return {"header.bin", "data_level0.bin", "link_lists.bin"};
    case RHUMB__SOURCE_HNSW_RS: return {"x.hnsw.graph", "x.hnsw.data"};
    default: return {"x.bin"};
    }
}

void Put(const std::string &name, const uint8_t *bytes, size_t byte_count) {
    FILE *file = fopen((Folder() + "/" + name).c_str(), "wb");
    Require(file != nullptr && fwrite(bytes, 1, byte_count, file) == byte_count && fclose(file) == 0, "a file");
}

void PutAll(const uint8_t *bytes, size_t byte_count) {
    const std::vector<std::string> names = Names();
    for (size_t i = 0; i < names.size(); i++) {
        size_t part = byte_count;
        if (i + 1 < names.size() && byte_count >= 2) {
            part = static_cast<size_t>(bytes[0] | bytes[1] << 8);
            bytes += 2;
            byte_count -= 2;
            if (part > byte_count) part = byte_count;
        }
        Put(names[i], bytes, part);
        bytes += part;
        byte_count -= part;
    }
}

// Reads every row and every list, and walks.
void ReadEverything(rhumb__source *source) {
    const uint64_t row_bytes = rhumb__source_vector_bytes(source->element, source->dim);
    std::vector<uint32_t> map(source->count + size_t{1}, 0);
    std::vector<uint32_t> neighbours(RHUMB__SOURCE_LIST_MAX);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < source->count; i++) {
        rhumb__source_row row = {};
        if (source->format->row(source, i, &row) != RHUMB_OK) return;
        const uint8_t *bytes = static_cast<const uint8_t *>(row.vector);
        for (uint64_t k = 0; k < row_bytes; k++) sum += bytes[k];
        for (uint32_t level = 0; source->has_links && level <= source->levels[i]; level++) {
            uint32_t count = 0;
            bool broken = false;
            if (source->lists_above && level >= 16) break;
            if (rhumb__source_read_list(source, i, level, neighbours.data(), &count, &broken) != RHUMB_OK) return;
            Require(count <= RHUMB__SOURCE_LIST_MAX, "a list within its limit");
        }
    }
    asm volatile("" : : "r"(sum)); // so that every byte is read
    if (!source->has_links) return;
    uint32_t unreached_count = 0, first = 0;
    if (rhumb__source_unreached(source, map.data(), nullptr, &unreached_count, &first) != RHUMB_OK) return;
    Require(unreached_count <= source->count, "no more are unreached than there are");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count) {
    PutAll(bytes, byte_count);
    const std::string path = kKind == RHUMB__SOURCE_CHROMA    ? Folder()
                             : kKind == RHUMB__SOURCE_HNSW_RS ? Folder() + "/x"
                                                              : Folder() + "/x.bin";
    rhumb__source_spec spec = {};
    spec.path = path.c_str();
    spec.kind = kKind;
    if (kKind == RHUMB__SOURCE_HNSWLIB || kKind == RHUMB__SOURCE_CHROMA) spec.metric = RHUMB_METRIC_L2SQ;
    if (kKind == RHUMB__SOURCE_ANNOY) {
        spec.metric = RHUMB_METRIC_COSINE;
        spec.dim = 6;
    }
    rhumb__source source;
    if (rhumb__source_open(&spec, &source) == RHUMB_OK) {
        Require(source.dim >= 1 && source.dim <= RHUMB_DIM_MAX, "a dimension within the limit");
        Require(source.count <= byte_count, "vectors that are backed by the file");
        ReadEverything(&source);
    } else {
        Require(rhumb__error_last()->message[0] != '\0', "a message");
    }
    rhumb__source_close(&source);
    return 0;
}
