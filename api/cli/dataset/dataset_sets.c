/* dataset_sets.c - sets in HDF5 files, as ann-benchmarks writes them: the items of all sets one after the other in one
 * axis (`train`), the number of items of each set in another (`size_train`), the attribute `type` "sparse" and the
 * attribute `dimension`, the number of items that there may be.
 *
 * A set becomes a row of `dimension` bools. Owns the dataset of items, and the place where each set begins: 8 bytes for
 * each, which the file has stored as well. Without the numbers of items, or where they do not fit, such a file is
 * refused: its items must not be taken for vectors of one component.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataset_internal.h"

#define STEP_ITEMS 32768u

struct sets_reader {
    struct dataset *items;
    uint64_t *item_offsets; /* row_count + 1 of them */
};

static enum dataset_status mark_item(const struct dataset *dataset, uint64_t row, size_t target_row, uint64_t item,
                                     const struct dataset_target *target, struct dataset_error *error) {
    const size_t dim = dataset->info.dim;
    if (item >= dim)
        return dataset__fail(error, DATASET_E_CONTENT, dataset->info.path, DATASET_OFFSET_NONE,
                             "row %" PRIu64 " has the item %" PRId64 "; the attribute dimension says that they are 0 "
                             "to %zu",
                             row, (int64_t)item, dim - 1);
    const size_t place = target_row * dim + (size_t)item;
    if (target->f32) target->f32[place] = 1;
    if (target->u64) target->u64[place] = 1;
    if (target->raw) ((unsigned char *)target->raw)[place] = 1;
    return DATASET_OK;
}

static enum dataset_status read_sets(struct dataset *dataset, uint64_t row_first, size_t row_count,
                                     const struct dataset_target *target, struct dataset_error *error) {
    const struct sets_reader *reader = dataset->reader;
    const size_t count = row_count * dataset->info.dim;
    if (target->f32) memset(target->f32, 0, count * sizeof *target->f32);
    if (target->u64) memset(target->u64, 0, count * sizeof *target->u64);
    if (target->raw) memset(target->raw, 0, count);
    enum dataset_status status = dataset__scratch_need(dataset, STEP_ITEMS * sizeof(uint64_t), error);
    uint64_t *items = (uint64_t *)(void *)dataset->scratch;
    uint64_t row = row_first;
    const uint64_t end = reader->item_offsets[row_first + row_count];
    for (uint64_t first = reader->item_offsets[row_first]; first < end && status == DATASET_OK; first += STEP_ITEMS) {
        const size_t step = end - first < STEP_ITEMS ? (size_t)(end - first) : STEP_ITEMS;
        status = dataset_read_u64(reader->items, first, step, items, error);
        for (size_t i = 0; i < step && status == DATASET_OK; i++) {
            while (reader->item_offsets[row + 1] <= first + i) row++;
            status = mark_item(dataset, row, (size_t)(row - row_first), items[i], target, error);
        }
    }
    return status;
}

static void close_sets(struct dataset *dataset) {
    struct sets_reader *reader = dataset->reader;
    if (!reader) return;
    dataset_close(reader->items);
    free(reader->item_offsets);
    free(reader);
    dataset->reader = NULL;
}

/* Turns the sizes of the sets into the places where they begin. */
static enum dataset_status take_sizes(struct dataset *dataset, struct dataset *sizes, struct dataset_error *error) {
    struct sets_reader *reader = dataset->reader;
    const uint64_t row_count = dataset_info_get(sizes)->row_count;
    const uint64_t item_count = dataset_info_get(reader->items)->row_count;
    if (dataset_info_get(sizes)->dim != 1)
        return dataset__fail(error, DATASET_E_CONTENT, dataset->info.path, DATASET_OFFSET_NONE,
                             "the sizes of the sets must have one axis");
    reader->item_offsets = calloc((size_t)row_count + 1, sizeof *reader->item_offsets);
    if (!reader->item_offsets)
        return dataset__fail(error, DATASET_E_NOMEM, dataset->info.path, DATASET_OFFSET_NONE,
                             "no memory for the places of %" PRIu64 " sets", row_count);
    const enum dataset_status status = dataset_read_u64(sizes, 0, (size_t)row_count, reader->item_offsets + 1, error);
    if (status != DATASET_OK) return status;
    for (uint64_t row = 0; row < row_count; row++) {
        const uint64_t left = item_count - reader->item_offsets[row], size = reader->item_offsets[row + 1];
        if (size > left)
            return dataset__fail(error, DATASET_E_CONTENT, dataset->info.path, DATASET_OFFSET_NONE,
                                 "row %" PRIu64 " says that it has %" PRId64 " items, where %" PRIu64 " are left", row,
                                 (int64_t)size, left);
        reader->item_offsets[row + 1] = reader->item_offsets[row] + size;
    }
    if (reader->item_offsets[row_count] != item_count)
        return dataset__fail(error, DATASET_E_CONTENT, dataset->info.path, DATASET_OFFSET_NONE,
                             "the sets have %" PRIu64 " items by their sizes, the file holds %" PRIu64,
                             reader->item_offsets[row_count], item_count);
    dataset->info.row_count = row_count;
    return DATASET_OK;
}

/* A dataset of sets around `items`, which it owns from then on. */
static struct dataset *new_sets(struct dataset *items) {
    struct dataset *dataset = calloc(1, sizeof *dataset);
    struct sets_reader *reader = calloc(1, sizeof *reader);
    char *path = strdup(items->info.path), *file_path = strdup(items->file_path);
    if (!dataset || !reader || !path || !file_path) {
        free(dataset);
        free(reader);
        free(path);
        free(file_path);
        return NULL;
    }
    reader->items = items;
    dataset->info = items->info;
    dataset->info.path = path;
    dataset->info.element = RHUMB_ELEMENT_U8;
    dataset->info.is_bool = true;
    dataset->info.is_sets = true;
    dataset->file_path = file_path;
    dataset->fd = -1;
    dataset->reader = reader;
    dataset->read = read_sets;
    dataset->close = close_sets;
    return dataset;
}

enum dataset_status dataset__sets_wrap(struct dataset **dataset, const struct dataset_options *options,
                                       struct dataset_error *error) {
    struct dataset *items = *dataset, *sizes = NULL;
    const struct dataset_info *info = &items->info;
    const char *name = options->hdf5_name ? options->hdf5_name : dataset__hdf5_part_name(options->part);
    char size_name[128];
    const bool is_one_axis = info->dim == 1 && !rhumb_element_is_float(info->element) && !info->is_bool;
    if (!is_one_axis && !items->says_sparse) return DATASET_OK;
    if (!is_one_axis)
        return dataset__fail(error, DATASET_E_CONTENT, info->path, DATASET_OFFSET_NONE,
                             "its type is sparse, but its items are not integers in one axis");
    if (snprintf(size_name, sizeof size_name, "size_%s", name) >= (int)sizeof size_name && !items->says_sparse)
        return DATASET_OK; /* no dataset has so long a name */
    struct dataset_options size_options = *options;
    size_options.hdf5_name = size_name;
    enum dataset_status status = dataset__open_matrix(info->path, &size_options, &sizes, error);
    if (status == DATASET_E_ABSENT && items->says_sparse)
        return dataset__fail(error, DATASET_E_CONTENT, info->path, DATASET_OFFSET_NONE,
                             "its type is sparse, but it has no '%s' to say where a set ends", size_name);
    if (status == DATASET_E_ABSENT) return DATASET_OK;
    if (status != DATASET_OK) return status;
    struct dataset *sets = NULL;
    if (items->says_dimension == 0) {
        status = dataset__fail(error, DATASET_E_CONTENT, info->path, DATASET_OFFSET_NONE,
                               "it holds sets, but no attribute dimension, the number of items that there may be");
    } else if ((sets = new_sets(items)) == NULL) {
        status = dataset__fail(error, DATASET_E_NOMEM, info->path, DATASET_OFFSET_NONE, "out of memory");
    } else {
        *dataset = sets;
        status = dataset__shape_set(sets, DATASET_OFFSET_NONE, 0, items->says_dimension, error);
        if (status == DATASET_OK) status = take_sizes(sets, sizes, error);
    }
    dataset_close(sizes);
    return status;
}
