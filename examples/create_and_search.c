/* Creates an index, inserts vectors, and finds the nearest to a query. Run it twice: the second time the index is
 * there, and is opened as it is.
 *
 *   cc create_and_search.c -o create_and_search -lrhumb
 *   ./create_and_search colours.rhumb
 */
#include <rhumb.h>
#include <stdbool.h>
#include <stdio.h>

#define DIM 3
#define COUNT 8

static const char *const names[COUNT] = {"black", "white", "red", "lime", "blue", "yellow", "gold", "navy"};

static const float colours[COUNT][DIM] = {
    {0, 0, 0}, {255, 255, 255}, {255, 0, 0}, {0, 255, 0}, {0, 0, 255}, {255, 255, 0}, {255, 215, 0}, {0, 0, 128},
};

/* Prints what went wrong in this thread's last call. */
static bool ok(rhumb_status status) {
    if (status == RHUMB_OK) return true;
    fprintf(stderr, "%s: %s\n", rhumb_status_name(status), rhumb_error_last()->message);
    return false;
}

static rhumb_status create(const char *path, rhumb_index **index) {
    rhumb_index_options options;
    rhumb_index_options_init(&options, sizeof options);
    options.dim = DIM;
    options.metric = RHUMB_METRIC_L2;
    rhumb_status status = rhumb_index_create(path, &options, index);
    if (status != RHUMB_OK) return status;
    return rhumb_index_insert_batch(*index, NULL, colours, COUNT, NULL, NULL); /* keys 0, 1, 2... */
}

static bool search(rhumb_index *index) {
    const float orange[DIM] = {255, 165, 0};
    uint64_t keys[3];
    float distances[3];
    size_t found_count;
    if (!ok(rhumb_index_search(index, orange, 3, NULL, keys, distances, &found_count))) return false;
    for (size_t i = 0; i < found_count; i++) printf("%-6s %5.1f\n", names[keys[i]], distances[i]);
    return true;
}

int main(int argc, char **argv) {
    const char *path = argc > 1 ? argv[1] : "colours.rhumb";
    rhumb_index *index = NULL;
    rhumb_status status = rhumb_index_open(path, NULL, &index);
    if (status == RHUMB_E_NOTFOUND) status = create(path, &index);
    bool well = ok(status) && search(index);
    well = ok(rhumb_index_close(index)) && well;
    return well ? 0 : 1;
}
