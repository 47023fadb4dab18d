/* dataset.c - opening a matrix in a file by its format, and reading rows that lie at regular places.
 *
 * Owns the file descriptor and one scratch buffer per dataset. Invariant after a successful open: for formats without a
 * reader of their own, data_offset + row_count * stride_bytes is at most the length the file had when it was opened, so
 * a short read means that the file has been truncated since. Files are read with pread; no position, no mapping: a file
 * that shrinks concurrently is an error and not a SIGBUS. No locking: one thread at a time.
 */
#include "dataset.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dataset_internal.h"

/* Raw rows are converted by way of a buffer that stays in the second-level cache, or is one row if a row is larger. */
#define SCRATCH_BYTES (256u * 1024u)

static const struct {
    enum dataset_format format;
    const char *name;
} format_names[] = {
    {DATASET_FORMAT_HDF5, "hdf5"},   {DATASET_FORMAT_HDF5, "h5"},     {DATASET_FORMAT_FVECS, "fvecs"},
    {DATASET_FORMAT_BVECS, "bvecs"}, {DATASET_FORMAT_IVECS, "ivecs"}, {DATASET_FORMAT_FBIN, "fbin"},
    {DATASET_FORMAT_U8BIN, "u8bin"}, {DATASET_FORMAT_I8BIN, "i8bin"}, {DATASET_FORMAT_IBIN, "ibin"},
    {DATASET_FORMAT_NPY, "npy"},     {DATASET_FORMAT_JSONL, "jsonl"},
};

const char *dataset_format_name(enum dataset_format format) {
    for (size_t i = 0; i < sizeof format_names / sizeof format_names[0]; i++)
        if (format_names[i].format == format) return format_names[i].name;
    return NULL;
}

enum dataset_format dataset_format_from_name(const char *name) {
    for (size_t i = 0; name && i < sizeof format_names / sizeof format_names[0]; i++)
        if (strcasecmp(format_names[i].name, name) == 0) return format_names[i].format;
    return DATASET_FORMAT_BY_EXTENSION;
}

enum dataset_format dataset_format_from_path(const char *path) {
    const char *slash = strrchr(path, '/');
    const char *dot = strrchr(slash ? slash : path, '.');
    return dot ? dataset_format_from_name(dot + 1) : DATASET_FORMAT_BY_EXTENSION;
}

enum dataset_status dataset__fail(struct dataset_error *error, enum dataset_status status, const char *path,
                                  uint64_t file_offset, const char *format, ...) {
    error->status = status;
    error->file_offset = file_offset;
    /* Of a long path the end says more than the beginning. */
    const size_t path_length = strlen(path);
    const char *path_end = path_length > 255 ? path + path_length - 255 : path;
    int used = file_offset == DATASET_OFFSET_NONE
                   ? snprintf(error->message, sizeof error->message, "%s: ", path_end)
                   : snprintf(error->message, sizeof error->message, "%s: byte %llu: ", path_end,
                              (unsigned long long)file_offset);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->message + used, sizeof error->message - (size_t)used, format, arguments);
    va_end(arguments);
    return status;
}

enum dataset_status dataset__pread(const struct dataset *dataset, uint64_t offset, void *bytes, size_t byte_count,
                                   struct dataset_error *error) {
    size_t done_bytes = 0;
    while (done_bytes < byte_count) {
        const uint64_t position = offset + done_bytes;
        const ssize_t got = pread(dataset->fd, (char *)bytes + done_bytes, byte_count - done_bytes, (off_t)position);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0)
            return dataset__fail(error, DATASET_E_IO, dataset->info.path, position, "cannot read: %s", strerror(errno));
        if (got == 0)
            return dataset__fail(error, DATASET_E_CONTENT, dataset->info.path, position,
                                 "the file ends here, expected %zu more bytes", byte_count - done_bytes);
        done_bytes += (size_t)got;
    }
    return DATASET_OK;
}

enum dataset_status dataset__shape_set(struct dataset *dataset, uint64_t header_offset, uint64_t row_count,
                                       uint64_t dim, struct dataset_error *error) {
    if (dim < 1 || dim > DATASET_DIM_MAX)
        return dataset__fail(error, DATASET_E_CONTENT, dataset->info.path, header_offset,
                             "the number of columns must be 1 to %u, found %llu", DATASET_DIM_MAX,
                             (unsigned long long)dim);
    dataset->info.row_count = row_count;
    dataset->info.dim = (uint32_t)dim;
    return DATASET_OK;
}

static enum dataset_status open_format(struct dataset *dataset, const struct dataset_options *options,
                                       struct dataset_error *error) {
    switch (dataset->info.format) {
    case DATASET_FORMAT_HDF5: return dataset__hdf5_open(dataset, options->part, options->hdf5_name, error);
    case DATASET_FORMAT_FVECS: return dataset__vecs_open(dataset, RHUMB_ELEMENT_F32, error);
    case DATASET_FORMAT_BVECS: return dataset__vecs_open(dataset, RHUMB_ELEMENT_U8, error);
    case DATASET_FORMAT_IVECS: return dataset__vecs_open(dataset, RHUMB_ELEMENT_I32, error);
    case DATASET_FORMAT_FBIN: return dataset__bin_open(dataset, RHUMB_ELEMENT_F32, error);
    case DATASET_FORMAT_U8BIN: return dataset__bin_open(dataset, RHUMB_ELEMENT_U8, error);
    case DATASET_FORMAT_I8BIN: return dataset__bin_open(dataset, RHUMB_ELEMENT_I8, error);
    case DATASET_FORMAT_IBIN: return dataset__ibin_open(dataset, options->part, error);
    case DATASET_FORMAT_NPY: return dataset__npy_open(dataset, error);
    case DATASET_FORMAT_JSONL: return dataset__jsonl_open(dataset, error);
    case DATASET_FORMAT_BY_EXTENSION: break;
    }
    return dataset__fail(
        error, DATASET_E_INVALID, dataset->info.path, DATASET_OFFSET_NONE,
        "unknown format: the extension is not one of hdf5, h5, fvecs, bvecs, ivecs, fbin, u8bin, i8bin, "
        "ibin, npy, jsonl");
}

/* A file that is missing or may not be read, as opposed to a system that fails. */
static enum dataset_status status_of_open(int os_errno) {
    switch (os_errno) {
    case ENOMEM: return DATASET_E_NOMEM;
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case EACCES:
    case EPERM:
    case ELOOP:
    case ENAMETOOLONG:
    case ENXIO: return DATASET_E_OPEN;
    default: return DATASET_E_IO;
    }
}

/* Opens the file and notes its length. Only regular files: the length of others says nothing about what they hold. */
static enum dataset_status open_file(struct dataset *dataset, struct dataset_error *error) {
    /* Without O_NONBLOCK the opening of a FIFO waits for a writer. */
    do dataset->fd = open(dataset->file_path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    while (dataset->fd < 0 && errno == EINTR);
    if (dataset->fd < 0)
        return dataset__fail(error, status_of_open(errno), dataset->info.path, DATASET_OFFSET_NONE, "cannot open: %s",
                             strerror(errno));
    struct stat file;
    if (fstat(dataset->fd, &file) != 0)
        return dataset__fail(error, DATASET_E_IO, dataset->info.path, DATASET_OFFSET_NONE, "cannot stat: %s",
                             strerror(errno));
    if (!S_ISREG(file.st_mode))
        return dataset__fail(error, DATASET_E_OPEN, dataset->info.path, DATASET_OFFSET_NONE,
                             "expected a regular file, found %s",
                             S_ISDIR(file.st_mode)    ? "a directory"
                             : S_ISFIFO(file.st_mode) ? "a pipe"
                                                      : "a device");
    dataset->info.file_bytes = (uint64_t)file.st_size;
    return DATASET_OK;
}

enum dataset_status dataset__open_matrix(const char *path, const struct dataset_options *options,
                                         struct dataset **dataset_out, struct dataset_error *error) {
    struct dataset *dataset = calloc(1, sizeof *dataset);
    char *path_copy = strdup(path), *file_path_copy = strdup(options->file_path ? options->file_path : path);
    if (!dataset || !path_copy || !file_path_copy) {
        free(file_path_copy);
        free(path_copy);
        free(dataset);
        return dataset__fail(error, DATASET_E_NOMEM, path, DATASET_OFFSET_NONE, "out of memory");
    }
    dataset->fd = -1;
    dataset->info.path = path_copy;
    dataset->file_path = file_path_copy;
    dataset->info.format = options->format ? options->format : dataset_format_from_path(path);

    enum dataset_status status = open_file(dataset, error);
    if (status == DATASET_OK) status = open_format(dataset, options, error);
    if (status == DATASET_OK && options->part == DATASET_PART_NEIGHBORS &&
        rhumb_element_is_float(dataset->info.element))
        status = dataset__fail(error, DATASET_E_CONTENT, path, DATASET_OFFSET_NONE,
                               "ids of neighbours must be integers, the file holds %s",
                               rhumb_element_name(dataset->info.element));
    if (status == DATASET_OK && options->part == DATASET_PART_DISTANCES &&
        dataset->info.format != DATASET_FORMAT_HDF5 && dataset->info.format != DATASET_FORMAT_IBIN)
        status = dataset__fail(error, DATASET_E_ABSENT, path, DATASET_OFFSET_NONE,
                               "a file of format %s holds one matrix, and no distances",
                               dataset_format_name(dataset->info.format));
    if (status != DATASET_OK) {
        dataset_close(dataset);
        return status;
    }
    *dataset_out = dataset;
    return DATASET_OK;
}

enum dataset_status dataset_open(const char *path, const struct dataset_options *options, struct dataset **dataset_out,
                                 struct dataset_error *error) {
    const struct dataset_options defaults = {.part = DATASET_PART_TRAIN};
    if (!options) options = &defaults;
    struct dataset *dataset = NULL;
    enum dataset_status status = dataset__open_matrix(path, options, &dataset, error);
    if (status != DATASET_OK) return status;
    const bool has_vectors = options->part == DATASET_PART_TRAIN || options->part == DATASET_PART_TEST;
    if (dataset->info.format == DATASET_FORMAT_HDF5 && has_vectors)
        status = dataset__sets_wrap(&dataset, options, error);
    if (status != DATASET_OK) {
        dataset_close(dataset);
        return status;
    }
    *dataset_out = dataset;
    return DATASET_OK;
}

void dataset_close(struct dataset *dataset) {
    if (!dataset) return;
    if (dataset->close) dataset->close(dataset);
    if (dataset->fd >= 0) close(dataset->fd);
    free(dataset->scratch);
    free((char *)dataset->info.path);
    free((char *)dataset->file_path);
    free(dataset);
}

const struct dataset_info *dataset_info_get(const struct dataset *dataset) { return &dataset->info; }

/* Rows of row_bytes each lie in scratch: checks their prefixes and converts them. */
static enum dataset_status convert_rows(const struct dataset *dataset, uint64_t row_first, size_t row_count,
                                        const struct dataset_target *target, size_t target_row,
                                        struct dataset_error *error) {
    const struct dataset_rows *rows = &dataset->rows;
    const size_t dim = dataset->info.dim, row_bytes = dim * dataset_element_bytes(dataset->info.element);
    for (size_t i = 0; rows->prefix_bytes && i < row_count; i++) {
        const uint32_t row_dim = dataset__u32_le(dataset->scratch + i * rows->stride_bytes);
        if (row_dim != dim)
            return dataset__fail(error, DATASET_E_CONTENT, dataset->info.path,
                                 rows->data_offset + (row_first + i) * rows->stride_bytes,
                                 "row %" PRIu64 " says that it has %u components, expected %zu as in row 0",
                                 row_first + i, row_dim, dim);
    }
    /* Without prefixes the rows are one run of components. */
    const size_t run_count = rows->prefix_bytes ? row_count : (row_count ? 1 : 0);
    const size_t run_components = rows->prefix_bytes ? dim : row_count * dim;
    for (size_t i = 0; i < run_count; i++) {
        const unsigned char *run = dataset->scratch + i * rows->stride_bytes + rows->prefix_bytes;
        const size_t row = target_row + i;
        if (target->f32) dataset__to_f32(dataset->info.element, run, run_components, target->f32 + row * dim);
        if (target->u64) dataset__to_u64(dataset->info.element, run, run_components, target->u64 + row * dim);
        if (target->raw)
            memcpy((char *)target->raw + row * row_bytes, run,
                   run_components * dataset_element_bytes(dataset->info.element));
    }
    return DATASET_OK;
}

enum dataset_status dataset__scratch_need(struct dataset *dataset, uint64_t row_bytes, struct dataset_error *error) {
    const size_t wanted = row_bytes > SCRATCH_BYTES ? (size_t)row_bytes : SCRATCH_BYTES;
    if (dataset->scratch_bytes >= wanted) return DATASET_OK;
    unsigned char *scratch = realloc(dataset->scratch, wanted);
    if (!scratch)
        return dataset__fail(error, DATASET_E_NOMEM, dataset->info.path, DATASET_OFFSET_NONE, "no memory for %zu bytes",
                             wanted);
    dataset->scratch = scratch;
    dataset->scratch_bytes = wanted;
    return DATASET_OK;
}

static enum dataset_status read_rows(struct dataset *dataset, uint64_t row_first, size_t row_count,
                                     const struct dataset_target *target, struct dataset_error *error) {
    const struct dataset_rows *rows = &dataset->rows;
    void *as_it_is = dataset->info.element == RHUMB_ELEMENT_F32 && target->f32 ? target->f32 : target->raw;
    if (as_it_is && rows->prefix_bytes == 0)
        return dataset__pread(dataset, rows->data_offset + row_first * rows->stride_bytes, as_it_is,
                              row_count * rows->stride_bytes, error);
    const enum dataset_status needed = dataset__scratch_need(dataset, rows->stride_bytes, error);
    if (needed != DATASET_OK) return needed;
    const size_t step_max = (size_t)(dataset->scratch_bytes / rows->stride_bytes);
    for (size_t done = 0; done < row_count;) {
        const size_t step = row_count - done < step_max ? row_count - done : step_max;
        enum dataset_status status =
            dataset__pread(dataset, rows->data_offset + (row_first + done) * rows->stride_bytes, dataset->scratch,
                           step * rows->stride_bytes, error);
        if (status == DATASET_OK) status = convert_rows(dataset, row_first + done, step, target, done, error);
        if (status != DATASET_OK) return status;
        done += step;
    }
    return DATASET_OK;
}

/* Bools that are neither 0 nor 1 would count as some other number of bits. */
static enum dataset_status check_bools(const struct dataset *dataset, uint64_t row_first, size_t row_count,
                                       const struct dataset_target *target, struct dataset_error *error) {
    const size_t dim = dataset->info.dim, count = row_count * dim;
    const unsigned char *bytes = target->raw;
    for (size_t i = 0; i < count; i++) {
        const double value = target->f32   ? (double)target->f32[i]
                             : target->u64 ? (double)target->u64[i]
                                           : (double)bytes[i];
        if (value <= 1) continue;
        return dataset__fail(error, DATASET_E_CONTENT, dataset->info.path, DATASET_OFFSET_NONE,
                             "row %" PRIu64 " has %.0f as component %zu, where a bool is 0 or 1", row_first + i / dim,
                             value, i % dim);
    }
    return DATASET_OK;
}

static enum dataset_status read_checked(struct dataset *dataset, uint64_t row_first, size_t row_count,
                                        const struct dataset_target *target, struct dataset_error *error) {
    if (row_first > dataset->info.row_count || row_count > dataset->info.row_count - row_first)
        return dataset__fail(error, DATASET_E_INVALID, dataset->info.path, DATASET_OFFSET_NONE,
                             "%zu rows from %" PRIu64 " on were asked for, the file has %" PRIu64, row_count, row_first,
                             dataset->info.row_count);
    if (row_count == 0) return DATASET_OK;
    const enum dataset_status status = dataset->read ? dataset->read(dataset, row_first, row_count, target, error)
                                                     : read_rows(dataset, row_first, row_count, target, error);
    if (status != DATASET_OK || !dataset->info.is_bool) return status;
    return check_bools(dataset, row_first, row_count, target, error);
}

enum dataset_status dataset_read_f32(struct dataset *dataset, uint64_t row_first, size_t row_count, float *rows,
                                     struct dataset_error *error) {
    return read_checked(dataset, row_first, row_count, &(struct dataset_target){.f32 = rows}, error);
}

enum dataset_status dataset_read_raw(struct dataset *dataset, uint64_t row_first, size_t row_count, void *rows,
                                     struct dataset_error *error) {
    return read_checked(dataset, row_first, row_count, &(struct dataset_target){.raw = rows}, error);
}

enum dataset_status dataset_read_u64(struct dataset *dataset, uint64_t row_first, size_t row_count, uint64_t *rows,
                                     struct dataset_error *error) {
    if (rhumb_element_is_float(dataset->info.element))
        return dataset__fail(error, DATASET_E_INVALID, dataset->info.path, DATASET_OFFSET_NONE,
                             "expected integers, the file holds %s", rhumb_element_name(dataset->info.element));
    return read_checked(dataset, row_first, row_count, &(struct dataset_target){.u64 = rows}, error);
}

static bool is_signed(rhumb_element element) {
    return element == RHUMB_ELEMENT_I8 || element == RHUMB_ELEMENT_I16 || element == RHUMB_ELEMENT_I32 ||
           element == RHUMB_ELEMENT_I64;
}

enum dataset_status dataset_read_keys(struct dataset *dataset, uint64_t row_first, size_t row_count, uint64_t *keys,
                                      struct dataset_error *error) {
    const struct dataset_info *info = &dataset->info;
    enum dataset_status status;
    if (info->has_keys)
        status = dataset->read_keys(dataset, row_first, row_count, keys, error);
    else if (info->dim != 1 || info->is_bool)
        status = dataset__fail(error, DATASET_E_INVALID, info->path, DATASET_OFFSET_NONE,
                               "keys must be integers, one per row");
    else
        status = dataset_read_u64(dataset, row_first, row_count, keys, error);
    if (status != DATASET_OK) return status;
    const uint64_t key_max = !info->has_keys && is_signed(info->element) ? INT64_MAX : UINT64_MAX - 1;
    for (size_t i = 0; i < row_count; i++) {
        if (keys[i] <= key_max) continue;
        char found[24];
        if (key_max == INT64_MAX)
            snprintf(found, sizeof found, "%" PRId64, (int64_t)keys[i]);
        else
            snprintf(found, sizeof found, "%" PRIu64, keys[i]);
        return dataset__fail(error, DATASET_E_CONTENT, info->path, DATASET_OFFSET_NONE,
                             "row %" PRIu64 " has the key %s; keys are 0 to %" PRIu64, row_first + i, found,
                             UINT64_MAX - 1);
    }
    return DATASET_OK;
}
