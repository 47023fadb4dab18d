// Any bytes given to the readers of matrix files: an error, or rows that match the bytes. Never a crash, a hang, or
// memory in proportion to a number in them.
//
// The first byte of the input chooses format and part, the rest is the file (in memory, by memfd). HDF5 is left out:
// libhdf5 would be what is fuzzed. Build and run with
//     bazel run --config=fuzz //tests/fuzz:dataset_fuzz -- -max_total_time=60 -rss_limit_mb=256
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "api/cli/dataset/dataset.h"

namespace {

// Aborts, which reports a broken promise to libFuzzer.
void Require(bool promise, const char *what) {
    if (promise) return;
    fprintf(stderr, "broken: %s\n", what);
    abort();
}

void ReadEverything(struct dataset *dataset, uint64_t byte_count) {
    const dataset_info *info = dataset_info_get(dataset);
    const uint64_t row_bytes = info->dim * dataset_element_bytes(info->element);
    Require(info->dim >= 1 && info->dim <= DATASET_DIM_MAX, "columns within the limit");
    if (info->row_count == 0) return;
    // Rows of text need not be as long as the first before they are read.
    const uint64_t least_bytes = info->format == DATASET_FORMAT_JSONL ? 14 : row_bytes;
    Require(info->row_count <= byte_count / least_bytes, "rows backed by the file");

    const size_t batch = static_cast<size_t>(std::min<uint64_t>(info->row_count, 7));
    std::vector<float> floats(batch * info->dim);
    std::vector<uint64_t> integers(batch * info->dim);
    dataset_error error;
    for (uint64_t first = 0; first < info->row_count; first += batch) {
        const size_t count = static_cast<size_t>(std::min<uint64_t>(batch, info->row_count - first));
        if (dataset_read_f32(dataset, first, count, floats.data(), &error) != DATASET_OK) break;
        if (dataset_read_raw(dataset, first, count, integers.data(), &error) != DATASET_OK) break;
        if (info->has_keys && dataset_read_keys(dataset, first, count, integers.data(), &error) != DATASET_OK) break;
        if (rhumb_element_is_float(info->element)) continue;
        if (dataset_read_u64(dataset, first, count, integers.data(), &error) != DATASET_OK) break;
    }
    Require(dataset_read_f32(dataset, info->row_count, 1, floats.data(), &error) == DATASET_E_INVALID,
            "no rows behind the last");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count) {
    if (byte_count < 1) return 0;
    const dataset_format formats[] = {DATASET_FORMAT_FVECS, DATASET_FORMAT_BVECS, DATASET_FORMAT_IVECS,
                                      DATASET_FORMAT_FBIN,  DATASET_FORMAT_U8BIN, DATASET_FORMAT_I8BIN,
                                      DATASET_FORMAT_IBIN,  DATASET_FORMAT_NPY,   DATASET_FORMAT_JSONL};
    const dataset_options options = {formats[bytes[0] % 9], static_cast<dataset_part>(bytes[0] / 9 % 4), nullptr,
                                     nullptr};

    static const int file = memfd_create("dataset_fuzz", MFD_CLOEXEC);
    Require(file >= 0 && ftruncate(file, 0) == 0, "a file in memory");
    const size_t file_bytes = byte_count - 1;
    Require(pwrite(file, bytes + 1, file_bytes, 0) == static_cast<ssize_t>(file_bytes), "a file in memory");

    struct dataset *dataset = nullptr;
    dataset_error error;
    const std::string path = "/proc/self/fd/" + std::to_string(file);
    if (dataset_open(path.c_str(), &options, &dataset, &error) == DATASET_OK) ReadEverything(dataset, file_bytes);
    dataset_close(dataset);
    return 0;
}
