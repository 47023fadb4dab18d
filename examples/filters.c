/* Restricts searches to some of the keys: by a sorted list, by a bitmap, and by a function.
 *
 *   cc filters.c -o filters -lrhumb
 *   ./filters grid.rhumb
 *
 * The vectors are the points of a grid of 32 columns and 32 rows; the key of a point is row * 32 + column.
 */
#include <rhumb.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define SIDE 32u
#define COUNT (SIDE * SIDE)
#define K 3

static bool ok(rhumb_status status) {
    if (status == RHUMB_OK) return true;
    fprintf(stderr, "%s: %s\n", rhumb_status_name(status), rhumb_error_last()->message);
    return false;
}

static bool fill(rhumb_index *index) {
    static float points[COUNT][2];
    for (uint32_t key = 0; key < COUNT; key++) {
        points[key][0] = (float)(key % SIDE);
        points[key][1] = (float)(key / SIDE);
    }
    return ok(rhumb_index_insert_batch(index, NULL, points, COUNT, NULL, NULL));
}

/* Searches from a point near column 10 and row 20. `filter` may be NULL. */
static bool search(rhumb_index *index, const char *title, const rhumb_filter *filter) {
    const float query[2] = {10.2f, 20.3f};
    uint64_t keys[K];
    size_t found_count;
    rhumb_search_options options;
    rhumb_search_options_init(&options, sizeof options);
    options.filter = filter;
    if (!ok(rhumb_index_search(index, query, K, &options, keys, NULL, &found_count))) return false;
    printf("%-14s", title);
    for (size_t i = 0; i < found_count; i++)
        printf(" (%u, %u)", (unsigned)(keys[i] % SIDE), (unsigned)(keys[i] / SIDE));
    printf("\n");
    return true;
}

/* A key list must ascend. Keys that the index lacks are allowed. */
static bool search_keys(rhumb_index *index) {
    static const uint64_t keys[] = {0, 5 * SIDE + 7, 30 * SIDE + 1, COUNT - 1, 1000000};
    rhumb_filter filter;
    rhumb_filter_init(&filter, sizeof filter);
    filter.kind = RHUMB_FILTER_KEYS;
    filter.keys = keys;
    filter.key_count = sizeof keys / sizeof keys[0];
    return search(index, "listed:", &filter);
}

/* One bit per key, from key bitmap_key_base on: here all points of the last four rows. */
static bool search_bitmap(rhumb_index *index) {
    static uint8_t bitmap[4 * SIDE / 8];
    memset(bitmap, 0xFF, sizeof bitmap);
    rhumb_filter filter;
    rhumb_filter_init(&filter, sizeof filter);
    filter.kind = RHUMB_FILTER_BITMAP;
    filter.bitmap = bitmap;
    filter.bitmap_bit_count = 8 * sizeof bitmap;
    filter.bitmap_key_base = COUNT - 4 * SIDE;
    return search(index, "last rows:", &filter);
}

static bool is_nth_column(void *context, uint64_t key) {
    const uint32_t *step = context;
    return key % SIDE % *step == 0;
}

static bool search_callback(rhumb_index *index) {
    uint32_t step = 4;
    rhumb_filter filter;
    rhumb_filter_init(&filter, sizeof filter);
    filter.kind = RHUMB_FILTER_CALLBACK;
    filter.matches = is_nth_column;
    filter.context = &step;
    if (!search(index, "every fourth:", &filter)) return false;
    step = 2;
    filter.negate = true;
    return search(index, "odd columns:", &filter);
}

int main(int argc, char **argv) {
    rhumb_index *index = NULL;
    rhumb_index_options options;
    rhumb_index_options_init(&options, sizeof options);
    options.dim = 2;
    if (!ok(rhumb_index_create(argc > 1 ? argv[1] : "grid.rhumb", &options, &index))) return 1;
    bool well = fill(index) && search(index, "all:", NULL) && search_keys(index) && search_bitmap(index) &&
                search_callback(index);
    well = ok(rhumb_index_close(index)) && well;
    return well ? 0 : 1;
}
