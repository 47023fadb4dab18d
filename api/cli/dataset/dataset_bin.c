/* dataset_bin.c - fbin, u8bin, i8bin and the ground truth ibin, the formats of big-ann-benchmarks.
 *
 *     offset      size           what
 *     0           4              n, the number of rows, u32 little-endian
 *     4           4              d, the number of columns (k in a ground truth), u32 little-endian
 *     8           n * d * comp   the rows: f32, u8, i8; i32 ids in a ground truth
 *     8 + 4nk     n * k * 4      ground truth only, may be absent: the distances, f32
 *
 * The length of the file must be exactly what the header says. Owns nothing.
 */
#include "dataset_internal.h"

#define HEADER_BYTES 8u

static enum dataset_status read_header(struct dataset *dataset, struct dataset_error *error) {
    unsigned char header[HEADER_BYTES];
    const enum dataset_status status = dataset__pread(dataset, 0, header, sizeof header, error);
    if (status != DATASET_OK) return status;
    return dataset__shape_set(dataset, 4, dataset__u32_le(header), dataset__u32_le(header + 4), error);
}

/* n * d of 32 bits each and components of at most 8 bytes stay far below 2^64, since d is at most DATASET_DIM_MAX. */
static uint64_t matrix_bytes(const struct dataset *dataset, rhumb_element element) {
    return dataset->info.row_count * dataset->info.dim * dataset_element_bytes(element);
}

enum dataset_status dataset__bin_open(struct dataset *dataset, rhumb_element element, struct dataset_error *error) {
    const enum dataset_status status = read_header(dataset, error);
    if (status != DATASET_OK) return status;
    const uint64_t expected_bytes = HEADER_BYTES + matrix_bytes(dataset, element);
    if (dataset->info.file_bytes != expected_bytes)
        return dataset__fail(error, DATASET_E_CONTENT, dataset->info.path, 0,
                             "the header says %llu rows of %u %s, which takes %llu bytes; the file has %llu",
                             (unsigned long long)dataset->info.row_count, dataset->info.dim,
                             rhumb_element_name(element), (unsigned long long)expected_bytes,
                             (unsigned long long)dataset->info.file_bytes);
    dataset->info.element = element;
    dataset->rows = (struct dataset_rows){HEADER_BYTES, dataset->info.dim * dataset_element_bytes(element), 0};
    return DATASET_OK;
}

enum dataset_status dataset__ibin_open(struct dataset *dataset, enum dataset_part part, struct dataset_error *error) {
    const enum dataset_status status = read_header(dataset, error);
    if (status != DATASET_OK) return status;
    const uint64_t ids_bytes = matrix_bytes(dataset, RHUMB_ELEMENT_I32);
    const uint64_t file_bytes = dataset->info.file_bytes;
    const bool has_distances = file_bytes == HEADER_BYTES + 2 * ids_bytes;
    if (!has_distances && file_bytes != HEADER_BYTES + ids_bytes)
        return dataset__fail(error, DATASET_E_CONTENT, dataset->info.path, 0,
                             "the header says %llu rows of %u ids, which takes %llu bytes, or %llu with distances; the "
                             "file has %llu",
                             (unsigned long long)dataset->info.row_count, dataset->info.dim,
                             (unsigned long long)(HEADER_BYTES + ids_bytes),
                             (unsigned long long)(HEADER_BYTES + 2 * ids_bytes), (unsigned long long)file_bytes);
    const bool wants_distances = part == DATASET_PART_DISTANCES;
    if (wants_distances && !has_distances)
        return dataset__fail(error, DATASET_E_ABSENT, dataset->info.path, file_bytes,
                             "the file ends after the ids, it holds no distances");
    dataset->info.element = wants_distances ? RHUMB_ELEMENT_F32 : RHUMB_ELEMENT_I32;
    dataset->rows =
        (struct dataset_rows){HEADER_BYTES + (wants_distances ? ids_bytes : 0), dataset->info.dim * UINT64_C(4), 0};
    return DATASET_OK;
}
