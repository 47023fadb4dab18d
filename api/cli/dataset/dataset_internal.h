/* dataset_internal.h - what the readers of the single formats share. Only dataset*.c includes it.
 *
 * A format whose rows lie at regular places in the file only describes them (struct dataset_rows), and dataset.c does
 * the reading. A format that cannot (HDF5) brings its own read and close functions.
 */
#ifndef RHUMB_CLI_DATASET_INTERNAL_H
#define RHUMB_CLI_DATASET_INTERNAL_H

#include "dataset.h"

/* Row r begins at data_offset + r * stride_bytes with prefix_bytes (0 or 4) that are not components. A prefix of 4
 * holds the row's own number of components, little-endian, and must be `dim`. */
struct dataset_rows {
    uint64_t data_offset;
    uint64_t stride_bytes;
    uint32_t prefix_bytes;
};

/* Where rows go: one of the three is set, and says what they become. */
struct dataset_target {
    float *f32;
    uint64_t *u64;
    void *raw; /* the file's own type */
};

struct dataset {
    struct dataset_info info;
    const char *file_path; /* what is open; info.path is its name in messages */
    int fd;                /* open for reading as long as the dataset is */
    struct dataset_rows rows;
    unsigned char *scratch; /* raw rows on their way to the caller */
    size_t scratch_bytes;
    void *reader; /* state of a format with functions of its own */
    enum dataset_status (*read)(struct dataset *dataset, uint64_t row_first, size_t row_count,
                                const struct dataset_target *target, struct dataset_error *error);
    enum dataset_status (*read_keys)(struct dataset *dataset, uint64_t row_first, size_t row_count, uint64_t *keys,
                                     struct dataset_error *error); /* if info.has_keys */
    void (*close)(struct dataset *dataset);
    bool says_sparse;        /* HDF5: the attribute `type` is "sparse" */
    uint64_t says_dimension; /* HDF5: the attribute `dimension`; 0: there is none */
};

/* Each is called with path, format, file_bytes and fd set, and fills the rest. They may leave `reader` set on failure:
 * the caller then calls `close` if it is set. */
enum dataset_status dataset__vecs_open(struct dataset *dataset, rhumb_element element, struct dataset_error *error);
enum dataset_status dataset__bin_open(struct dataset *dataset, rhumb_element element, struct dataset_error *error);
enum dataset_status dataset__ibin_open(struct dataset *dataset, enum dataset_part part, struct dataset_error *error);
enum dataset_status dataset__npy_open(struct dataset *dataset, struct dataset_error *error);
enum dataset_status dataset__hdf5_open(struct dataset *dataset, enum dataset_part part, const char *name,
                                       struct dataset_error *error);
enum dataset_status dataset__jsonl_open(struct dataset *dataset, struct dataset_error *error);

/* Replaces *dataset, a matrix of an HDF5 file that was opened with these options, by the sets that it holds if it has
 * the layout of sets. On failure the caller closes *dataset. */
enum dataset_status dataset__sets_wrap(struct dataset **dataset, const struct dataset_options *options,
                                       struct dataset_error *error);

/* dataset_open without a look for sets. */
enum dataset_status dataset__open_matrix(const char *path, const struct dataset_options *options,
                                         struct dataset **dataset_out, struct dataset_error *error);

/* The name of a part in HDF5 files. */
const char *dataset__hdf5_part_name(enum dataset_part part);

/* Room for raw rows of row_bytes each: dataset->scratch, of which scratch_bytes may be used. */
enum dataset_status dataset__scratch_need(struct dataset *dataset, uint64_t row_bytes, struct dataset_error *error);

/* Fills `error`, beginning the message with the path and, unless it is DATASET_OFFSET_NONE, the offset. Returns
 * `status`. */
enum dataset_status dataset__fail(struct dataset_error *error, enum dataset_status status, const char *path,
                                  uint64_t file_offset, const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Reads exactly `byte_count` bytes at `offset`; a shorter file is DATASET_E_CONTENT. */
enum dataset_status dataset__pread(const struct dataset *dataset, uint64_t offset, void *bytes, size_t byte_count,
                                   struct dataset_error *error);

/* Sets info.row_count and info.dim after checking that dim is 1 to DATASET_DIM_MAX. */
enum dataset_status dataset__shape_set(struct dataset *dataset, uint64_t header_offset, uint64_t row_count,
                                       uint64_t dim, struct dataset_error *error);

/* a * b + c, or false when that is more than 64 bits. */
bool dataset__size(uint64_t a, uint64_t b, uint64_t c, uint64_t *result);

uint32_t dataset__u32_le(const unsigned char *bytes);

/* Converts `count` little-endian components. */
void dataset__to_f32(rhumb_element element, const unsigned char *bytes, size_t count, float *out);
void dataset__to_u64(rhumb_element element, const unsigned char *bytes, size_t count, uint64_t *out);

#endif /* RHUMB_CLI_DATASET_INTERNAL_H */
