/* bridge.c - the calls of rhumb and of HDF5 that the comparison with hnsw_rs makes, with arguments that are easy to
 * declare in Rust.
 *
 * Functions return 0, or a negative number after printing why to standard error.
 */
#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "rhumb.h"

static int failed(const char *what, rhumb_status status) {
    fprintf(stderr, "%s: %s: %s\n", what, rhumb_status_name(status), rhumb_error_last()->message);
    return (int)status;
}

/* Creates an index in mode none. `M` of 0 means the defaults. */
int bridge_create(const char *path, const char *metric, const char *element, uint32_t dim, uint32_t M,
                  uint32_t ef_construction, rhumb_index **index_out) {
    rhumb_open_options open;
    rhumb_open_options_init(&open, sizeof open);
    open.durability = RHUMB_DURABILITY_NONE;
    rhumb_index_options options;
    rhumb_index_options_init(&options, sizeof options);
    options.dim = dim;
    options.metric = rhumb_metric_from_name(metric);
    options.element = rhumb_element_from_name(element);
    options.open = &open;
    if (M > 0) {
        options.M = M;
        options.ef_construction = ef_construction;
    }
    unlink(path);
    rhumb_status status = rhumb_index_create(path, &options, index_out);
    return status == RHUMB_OK ? 0 : failed("create", status);
}

/* The vectors get keys 0, 1, 2... */
int bridge_insert(rhumb_index *index, const void *vectors, size_t count, uint32_t thread_count) {
    rhumb_batch_options options;
    rhumb_batch_options_init(&options, sizeof options);
    options.thread_count = thread_count;
    rhumb_status status = rhumb_index_insert_batch(index, NULL, vectors, count, &options, NULL);
    return status == RHUMB_OK ? 0 : failed("insert", status);
}

int bridge_search(rhumb_index *index, const void *queries, size_t query_count, size_t k, uint32_t ef, uint32_t threads,
                  const uint64_t *filter_keys, size_t filter_key_count, uint64_t *keys, size_t *found_counts) {
    rhumb_filter filter;
    rhumb_filter_init(&filter, sizeof filter);
    filter.kind = RHUMB_FILTER_KEYS;
    filter.keys = filter_keys;
    filter.key_count = filter_key_count;
    rhumb_search_options options;
    rhumb_search_options_init(&options, sizeof options);
    options.ef_search = ef;
    options.thread_count = threads;
    options.filter = filter_keys == NULL ? NULL : &filter;
    rhumb_status status = rhumb_index_search_batch(index, queries, query_count, k, &options, keys, NULL, found_counts);
    return status == RHUMB_OK ? 0 : failed("search", status);
}

/* The distances of all pairs of `count` vectors as the index measures them. Row i of `matrix` is that of vector i. */
int bridge_distances(rhumb_index *index, const void *vectors, size_t count, float *matrix) {
    uint64_t *keys = malloc(count * count * sizeof *keys);
    float *distances = malloc(count * count * sizeof *distances);
    rhumb_status status = RHUMB_E_NOMEM;
    if (keys != NULL && distances != NULL) {
        status = rhumb_index_search_exact(index, vectors, count, count, NULL, keys, distances, NULL);
    }
    for (size_t i = 0; status == RHUMB_OK && i < count * count; i++) {
        matrix[i / count * count + keys[i]] = distances[i];
    }
    free(keys);
    free(distances);
    return status == RHUMB_OK ? 0 : failed("exact search", status);
}

/* The number of a key's neighbours, all levels merged; -1 if it cannot be had. */
int64_t bridge_neighbour_count(rhumb_index *index, uint64_t key) {
    size_t count = 0;
    rhumb_status status = rhumb_index_neighbours(index, key, RHUMB_LEVELS_ALL, NULL, NULL, 0, &count);
    return status == RHUMB_OK ? (int64_t)count : failed("neighbours", status);
}

/* Closes the index and removes its file. */
int bridge_remove(rhumb_index *index, const char *path) {
    rhumb_status status = rhumb_index_close(index);
    unlink(path);
    return status == RHUMB_OK ? 0 : failed("close", status);
}

/* Reads a matrix of a file of ann-benchmarks: "train" and "test" with a `type` of 'f' (float), "neighbors" with 'i'
 * (int32_t). Called with `matrix` NULL it only says how large the matrix is. */
int bridge_read(const char *path, const char *name, char type, uint64_t *rows, uint64_t *columns, void *matrix) {
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    hid_t set = file < 0 ? -1 : H5Dopen2(file, name, H5P_DEFAULT);
    hid_t space = set < 0 ? -1 : H5Dget_space(set);
    hsize_t extent[2] = {0, 0};
    int result = space >= 0 && H5Sget_simple_extent_ndims(space) == 2 ? 0 : -1;
    if (result == 0) {
        H5Sget_simple_extent_dims(space, extent, NULL);
        *rows = extent[0];
        *columns = extent[1];
        if (matrix != NULL) {
            hid_t memory = type == 'f' ? H5T_NATIVE_FLOAT : H5T_NATIVE_INT32;
            result = H5Dread(set, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, matrix) < 0 ? -1 : 0;
        }
    }
    if (space >= 0) H5Sclose(space);
    if (set >= 0) H5Dclose(set);
    if (file >= 0) H5Fclose(file);
    if (result != 0) fprintf(stderr, "%s: cannot read %s\n", path, name);
    return result;
}
