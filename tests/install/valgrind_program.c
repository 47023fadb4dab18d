/* A user's program that does what such programs do: creates, inserts, searches, replaces, deletes, makes checkpoints,
 * compacts, opens again, recovers. Small, because it runs in Valgrind. */
#include <rhumb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIM 20
#define COUNT 300

static void must(rhumb_status status, const char *call) {
    if (status == RHUMB_OK) return;
    fprintf(stderr, "%s: %s, %s\n", call, rhumb_status_name(status), rhumb_error_last()->message);
    exit(1);
}
#define MUST(call) must((call), #call)

static float vectors[COUNT][DIM];

static void search(rhumb_index *index) {
    uint64_t keys[10];
    float distances[10];
    size_t found;
    rhumb_filter filter;
    rhumb_search_options options;
    const uint64_t wanted[3] = {3, 5, 250};
    rhumb_filter_init(&filter, sizeof filter);
    filter.kind = RHUMB_FILTER_KEYS;
    filter.keys = wanted;
    filter.key_count = 3;
    rhumb_search_options_init(&options, sizeof options);
    for (int i = 0; i < COUNT; i += 10) {
        options.filter = i % 20 == 0 ? NULL : &filter;
        MUST(rhumb_index_search(index, vectors[i], 10, &options, keys, distances, &found));
        if (found == 0 || distances[0] < 0) exit(2);
    }
    MUST(rhumb_index_search_exact(index, vectors, 5, 2, NULL, keys, distances, NULL));
    MUST(rhumb_index_search_radius(index, vectors[0], 1, 10, NULL, keys, distances, &found));
}

static void use(const char *path, rhumb_metric metric, rhumb_durability durability) {
    rhumb_index_options options;
    rhumb_open_options open;
    rhumb_index *index = NULL;
    rhumb_index *reader = NULL;
    rhumb_verify_report report;
    rhumb_index_stats stats;
    rhumb_index_options_init(&options, sizeof options);
    rhumb_open_options_init(&open, sizeof open);
    open.durability = durability;
    options.dim = DIM;
    options.metric = metric;
    options.M = 8;
    options.ef_construction = 40;
    options.open = &open;
    MUST(rhumb_index_create(path, &options, &index));
    MUST(rhumb_index_insert_batch(index, NULL, vectors, COUNT - 20, NULL, NULL));
    for (uint64_t key = COUNT - 20; key < COUNT; key++) MUST(rhumb_index_insert(index, key, vectors[key]));
    search(index);
    MUST(rhumb_index_checkpoint(index));
    for (uint64_t key = 0; key < 20; key++) MUST(rhumb_index_upsert(index, key, vectors[key + 1]));
    for (uint64_t key = 100; key < 120; key++) MUST(rhumb_index_delete(index, key));
    open.read_only = true;
    MUST(rhumb_index_open(path, &open, &reader));
    search(reader);
    MUST(rhumb_index_metadata_set(index, "text", 4));
    MUST(rhumb_index_compact(index, NULL, NULL, 0));
    MUST(rhumb_index_refresh(reader, NULL));
    search(reader);
    MUST(rhumb_index_close(reader));
    MUST(rhumb_index_insert(index, 100, vectors[100]));
    MUST(rhumb_index_close(index));
    open.read_only = false;
    MUST(rhumb_index_open(path, &open, &index));
    search(index);
    MUST(rhumb_index_verify(index, &report, sizeof report));
    MUST(rhumb_index_stats_get(index, &stats, sizeof stats));
    MUST(rhumb_index_close(index));
}

int main(int argc, char **argv) {
    char path[4096];
    if (argc != 2) return 3;
    for (int i = 0; i < COUNT; i++) {
        for (int j = 0; j < DIM; j++) vectors[i][j] = (float)rand() / (float)RAND_MAX;
    }
    snprintf(path, sizeof path, "%s/l2.rhumb", argv[1]);
    use(path, RHUMB_METRIC_L2, RHUMB_DURABILITY_INTERVAL);
    snprintf(path, sizeof path, "%s/cosine.rhumb", argv[1]);
    use(path, RHUMB_METRIC_COSINE, RHUMB_DURABILITY_NONE);
    return 0;
}
