/* dataset.h - matrices of rows in files: the vectors to index, the queries, and the true neighbours to count recall
 * against.
 *
 * A dataset is one matrix of one file, opened for reading. Its shape and element type are known after opening; rows are
 * read in batches of the caller's choosing and converted on the way, so a file may be larger than memory.
 *
 *     struct dataset_error error;
 *     struct dataset *data = NULL;
 *     if (dataset_open("sift.hdf5", NULL, &data, &error) != DATASET_OK) fprintf(stderr, "%s\n", error.message);
 *     dataset_read_f32(data, 0, dataset_info_get(data)->row_count, vectors, &error);
 *     dataset_close(data);
 *
 * FORMATS
 *   hdf5                 the files of ann-benchmarks: matrices train, test, neighbors and distances, attribute distance
 *   fvecs bvecs ivecs    TEXMEX: every row is preceded by its number of components (f32, u8, i32)
 *   fbin u8bin i8bin     big-ann-benchmarks: row count, dimension, then the rows (f32, u8, i8)
 *   ibin                 its ground truth: row count, k, the ids (i32), then, if the file has them, distances (f32)
 *   npy                  NumPy, versions 1 to 3, C order, little-endian, one or two axes
 * jsonl                one object a line: {"key": 1, "vector": [0.5, 2]}; the key may be missing, in all lines or none
 *
 * BITS AND SETS
 *   NumPy's and HDF5's bool are bytes of 0 and 1 here, with is_bool set. So are the sets of ann-benchmarks (HDF5,
 *   matrix X with the items of all sets one after the other, and their numbers in size_X): a row has a column for each
 *   item that there may be, which is 1 if the set holds it.
 *
 * HOSTILE FILES
 *   Every size in a header is checked against the length of the file before it is used, and no memory is allocated
 *   in proportion to a number that exceeds the length of the file. HDF5 files are parsed by libhdf5, and rhumb can
 *   vouch only for what it checks before and after; do not open HDF5 files from untrusted sources with any program.
 *
 * THREADS: a dataset is used by one thread at a time. While the HDF5 reader works, no other thread may use
 * libhdf5: its serial build is not thread-safe.
 */
#ifndef RHUMB_CLI_DATASET_H
#define RHUMB_CLI_DATASET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "include/rhumb.h"

#ifdef __cplusplus
extern "C" {
#endif

#define DATASET_DIM_MAX (1u << 20) /* largest number of columns that any reader accepts */
#define DATASET_OFFSET_NONE UINT64_MAX

enum dataset_status {
    DATASET_OK = 0,
    DATASET_E_INVALID = -1, /* an argument: unknown format, rows outside the matrix, integers asked of a float matrix */
    DATASET_E_NOMEM = -2,
    DATASET_E_IO = -3,      /* the operating system could not read the file */
    DATASET_E_OPEN = -4,    /* there is no such file, or it may not be opened */
    DATASET_E_CONTENT = -5, /* the file is not what its format demands */
    DATASET_E_ABSENT = -6,  /* the file is sound, but does not hold the requested part */
    DATASET_E_STOPPED = -7  /* an interruption was asked for while a pipe was read */
};

/* Why the last call failed. `message` is one line and names the file, the place, what was expected and what was found.
 */
struct dataset_error {
    enum dataset_status status;
    uint64_t file_offset; /* or DATASET_OFFSET_NONE */
    char message[768];
};

enum dataset_format {
    DATASET_FORMAT_BY_EXTENSION = 0,
    DATASET_FORMAT_HDF5,
    DATASET_FORMAT_FVECS,
    DATASET_FORMAT_BVECS,
    DATASET_FORMAT_IVECS,
    DATASET_FORMAT_FBIN,
    DATASET_FORMAT_U8BIN,
    DATASET_FORMAT_I8BIN,
    DATASET_FORMAT_IBIN,
    DATASET_FORMAT_NPY,
    DATASET_FORMAT_JSONL
};

/* Which matrix of a file that has several. Formats with a single matrix hold whatever they are asked for, except
 * distances. */
enum dataset_part {
    DATASET_PART_TRAIN = 0, /* vectors to index */
    DATASET_PART_TEST,      /* queries */
    DATASET_PART_NEIGHBORS, /* ids of the true nearest neighbours of each query, nearest first */
    DATASET_PART_DISTANCES  /* and their distances */
};

struct dataset_options {
    enum dataset_format format; /* default: by the file's extension */
    enum dataset_part part;     /* default: DATASET_PART_TRAIN */
    const char *hdf5_name; /* name of the matrix inside an HDF5 file in the place of the part's; NULL: the part's */
    const char *file_path; /* what to open in the place of `path`, which then is only a name; NULL: `path` */
};

struct dataset_info {
    const char *path; /* owned by the dataset */
    enum dataset_format format;
    rhumb_element element; /* what one component is in the file; never bf16 or b1 */
    bool is_bool;          /* components are 0 or 1, and bytes (u8) */
    bool is_sets;          /* rows are sets; is_bool too */
    bool has_keys;         /* every row has a key of its own (jsonl) */
    uint64_t row_count;
    uint32_t dim; /* columns, at least 1 */
    uint64_t file_bytes;
    char distance[32]; /* the HDF5 attribute `distance`, such as "euclidean"; "" when there is none */
};

struct dataset;

/* Opens one matrix of `path`. `options` may be NULL. On failure *dataset_out is untouched and `error` is filled. */
enum dataset_status dataset_open(const char *path, const struct dataset_options *options, struct dataset **dataset_out,
                                 struct dataset_error *error);

/* NULL is fine. */
void dataset_close(struct dataset *dataset);

/* Valid until the dataset is closed. */
const struct dataset_info *dataset_info_get(const struct dataset *dataset);

/* Reads rows [row_first, row_first + row_count) into `rows`, a row-major matrix of row_count x dim floats. Values are
 * rounded to the nearest float; f64 values beyond its range become infinite. */
enum dataset_status dataset_read_f32(struct dataset *dataset, uint64_t row_first, size_t row_count, float *rows,
                                     struct dataset_error *error);

/* The same without any conversion: row_count x dim components of the file's own type, little-endian. */
enum dataset_status dataset_read_raw(struct dataset *dataset, uint64_t row_first, size_t row_count, void *rows,
                                     struct dataset_error *error);

/* The same for a matrix of integers. Negative ones are sign-extended: -1, which some files use for "none", becomes
 * UINT64_MAX. DATASET_E_INVALID when the file holds floats. */
enum dataset_status dataset_read_u64(struct dataset *dataset, uint64_t row_first, size_t row_count, uint64_t *rows,
                                     struct dataset_error *error);

/* Reads keys: those that the rows have (has_keys), or a matrix of one column of integers. Keys are 0 to 2^64 - 2, since
 * 2^64 - 1 stands for "none" in results: a negative one, or that, is DATASET_E_CONTENT. */
enum dataset_status dataset_read_keys(struct dataset *dataset, uint64_t row_first, size_t row_count, uint64_t *keys,
                                      struct dataset_error *error);

/* "hdf5"; NULL for a number that is not a format. And the inverse; DATASET_FORMAT_BY_EXTENSION for any other text. */
const char *dataset_format_name(enum dataset_format format);
enum dataset_format dataset_format_from_name(const char *name);

/* By the extension of `path` (.h5 is hdf5); DATASET_FORMAT_BY_EXTENSION when it says nothing. */
enum dataset_format dataset_format_from_path(const char *path);

/* Bytes of one component. */
size_t dataset_element_bytes(rhumb_element element);

#ifdef __cplusplus
}
#endif

#endif /* RHUMB_CLI_DATASET_H */
