/* dataset_vecs.c - fvecs, bvecs and ivecs, the formats of the TEXMEX corpus (http://corpus-texmex.irisa.fr).
 *
 *     offset  size            what
 *     0       4               d, the number of components, i32 little-endian
 *     4       d * component   the components: f32, u8 or i32
 *     ...                     the next row, with a d of its own, which must be the same
 *
 * The number of rows is the file's length divided by that of a row. Row 0 is looked at here; the prefixes of the others
 * are checked when they are read, and here if the length does not fit, since then one of them is the likely reason.
 * Owns nothing; fails on files that are empty or end within a row.
 */
#include "dataset_internal.h"

#define PREFIX_BYTES 4u

/* The file's length is not that of rows of `dim`: the first row that says that it is longer or shorter, or the end. */
static enum dataset_status refuse_length(const struct dataset *dataset, uint32_t dim, uint64_t row_bytes,
                                         struct dataset_error *error) {
    const uint64_t file_bytes = dataset->info.file_bytes, row_count = file_bytes / row_bytes;
    for (uint64_t row = 1; row <= row_count && file_bytes - row * row_bytes >= PREFIX_BYTES; row++) {
        unsigned char prefix[PREFIX_BYTES];
        const enum dataset_status status = dataset__pread(dataset, row * row_bytes, prefix, sizeof prefix, error);
        if (status != DATASET_OK) return status;
        if (dataset__u32_le(prefix) != dim)
            return dataset__fail(error, DATASET_E_CONTENT, dataset->info.path, row * row_bytes,
                                 "row %llu says that it has %u components, expected %u as in row 0",
                                 (unsigned long long)row, dataset__u32_le(prefix), dim);
    }
    return dataset__fail(error, DATASET_E_CONTENT, dataset->info.path, row_count * row_bytes,
                         "the file ends within row %llu: a row of %u components takes %llu bytes, found %llu",
                         (unsigned long long)row_count, dim, (unsigned long long)row_bytes,
                         (unsigned long long)(file_bytes % row_bytes));
}

enum dataset_status dataset__vecs_open(struct dataset *dataset, rhumb_element element, struct dataset_error *error) {
    const uint64_t file_bytes = dataset->info.file_bytes;
    unsigned char prefix[PREFIX_BYTES];
    enum dataset_status status = dataset__pread(dataset, 0, prefix, sizeof prefix, error);
    if (status != DATASET_OK) return status;

    const uint32_t dim = dataset__u32_le(prefix);
    const uint64_t row_bytes = PREFIX_BYTES + (uint64_t)dim * dataset_element_bytes(element);
    status = dataset__shape_set(dataset, 0, file_bytes / row_bytes, dim, error);
    if (status != DATASET_OK) return status;
    if (file_bytes % row_bytes != 0) return refuse_length(dataset, dim, row_bytes, error);
    dataset->info.element = element;
    dataset->rows = (struct dataset_rows){0, row_bytes, PREFIX_BYTES};
    return DATASET_OK;
}
