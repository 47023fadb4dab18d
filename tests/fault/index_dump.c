/* index_dump.c - writes an index with the library and tells what is in it, for second_reader_test.py, which must find
 * the same by reading the file on its own.
 *
 *     index_dump PATH METRIC DIM M M0 COUNT SEED KEYS
 *
 * KEYS is "spread", or "crowded" for keys that all belong into two buckets. Creates the index PATH in several sessions
 * and checkpoints, deletes some keys, closes it, opens it read-only, and prints one JSON object: what the library says
 * of the index, its vectors by key, its lists by slot and level, and the nearest neighbours of a few queries.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/rhumb.h"
#include "base/bits.h"
#include "engine/graph.h"
#include "engine/neighbour_list.h"
#include "engine/tombstones.h"

static void check(rhumb_status status, const char *what) {
    if (status == RHUMB_OK) return;
    fprintf(stderr, "%s: %s\n", what, rhumb_error_last()->message);
    exit(1);
}

/* The first `count` keys: any, or such that the lowest 12 bits of their hashes are 1 or 2. */
static uint64_t *make_keys(uint64_t count, bool crowded, uint64_t seed) {
    uint64_t *keys = calloc(count + 1, sizeof *keys);
    const uint64_t salt = rhumb__mix64(seed ^ UINT64_C(0x6B6579735F74626C));
    uint64_t found_count = 0;
    for (uint64_t i = 0; found_count < count; i++) {
        const uint64_t key = rhumb__mix64(i ^ UINT64_C(0xFACE));
        const uint64_t low = rhumb__mix64(key ^ salt) & 4095;
        if (!crowded || low == 1 || low == 2) keys[found_count++] = key;
    }
    return keys;
}

static void vector_of(uint64_t i, uint32_t dim, float *vector) {
    for (uint32_t k = 0; k < dim; k++) {
        vector[k] = (float)(int32_t)(rhumb__mix64(rhumb__mix64(i) + k) >> 40) / 8388608.0f - 1.0f;
    }
}

static bool is_deleted(uint64_t i) { return i % 13 == 5; }

static void build(const char *path, const rhumb_index_options *options, const uint64_t *keys, uint64_t count) {
    rhumb_index *index = NULL;
    float *vector = calloc(options->dim, sizeof *vector);
    check(rhumb_index_create(path, options, &index), "create");
    for (uint64_t i = 0; i < count; i++) {
        vector_of(i, options->dim, vector);
        check(rhumb_index_insert(index, keys[i], vector), "insert");
        if (i % 97 == 96) check(rhumb_index_checkpoint(index), "checkpoint");
        if (i % 311 != 310) continue;
        check(rhumb_index_close(index), "close");
        check(rhumb_index_open(path, NULL, &index), "open");
    }
    for (uint64_t i = 0; i < count; i++) {
        if (is_deleted(i)) check(rhumb_index_delete(index, keys[i]), "delete");
    }
    check(rhumb_index_close(index), "close");
    free(vector);
}

/* Floats are printed as their bits, so that nothing is lost. */
static void print_floats(const float *values, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        printf("%s%" PRIu32, i == 0 ? "" : ",", bits);
    }
}

static void print_graph(const char *path) {
    rhumb__graph *graph = NULL;
    check(rhumb__graph_open(path, false, &graph), "graph");
    printf("\"slots\":[");
    for (uint32_t slot = 0; slot < graph->counts.slot_count; slot++) {
        const uint32_t level_count = rhumb__node_level(rhumb__graph_node(graph, slot)) + 1;
        printf("%s{\"key\":%" PRIu64 ",\"dead\":%s,\"lists\":[", slot == 0 ? "" : ",", rhumb__graph_key(graph, slot),
               rhumb__graph_is_dead(graph, slot) ? "true" : "false");
        for (uint32_t level = 0; level < level_count; level++) {
            uint32_t slots[RHUMB__M0_MAX];
            const rhumb__list list = rhumb__graph_list(graph, slot, level);
            const uint32_t count = rhumb__list_read(&list, slots);
            printf("%s[", level == 0 ? "" : ",");
            for (uint32_t i = 0; i < count; i++) printf("%s%" PRIu32, i == 0 ? "" : ",", slots[i]);
            printf("]");
        }
        printf("]}");
    }
    printf("],\"entry_slot\":%" PRIu32 "}\n", rhumb__entry_slot(atomic_load(&graph->entry)));
    rhumb__graph_close(graph);
}

static void print_index(const char *path, const uint64_t *keys, uint64_t count) {
    rhumb_index *index = NULL;
    rhumb_open_options options;
    rhumb_open_options_init(&options, sizeof options);
    options.read_only = true;
    check(rhumb_index_open(path, &options, &index), "open");
    rhumb_index_stats stats;
    check(rhumb_index_stats_get(index, &stats, sizeof stats), "stats");
    rhumb_verify_report report;
    check(rhumb_index_verify(index, &report, sizeof report), "verify");
    const uint32_t dim = stats.options.dim;
    printf("{\"count\":%" PRIu64 ",\"dim\":%" PRIu32 ",\"metric\":\"%s\",\"M\":%" PRIu32 ",\"M0\":%" PRIu32
           ",\"ef_construction\":%" PRIu32 ",\"ef_search\":%" PRIu32 ",\"seed\":%" PRIu64 ",\"level_top\":%" PRIu32
           ",\"epoch\":%" PRIu64 ",\"chunk_count\":%" PRIu64 ",\"uuid\":\"",
           stats.count, dim, rhumb_metric_name(stats.options.metric), stats.options.M, stats.options.M0,
           stats.options.ef_construction, stats.options.ef_search, stats.options.seed, stats.level_top, stats.epoch,
           report.chunk_count);
    for (int i = 0; i < 16; i++) printf("%02x", stats.uuid[i]);
    printf("\",\"vectors\":{");
    float *vector = calloc(dim, sizeof *vector);
    for (uint64_t i = 0; i < count; i++) {
        if (is_deleted(i)) continue;
        check(rhumb_index_get_vector(index, keys[i], vector), "get");
        printf("%s\"%" PRIu64 "\":[", i == 0 ? "" : ",", keys[i]);
        print_floats(vector, dim);
        printf("]");
    }
    printf("},\"queries\":[");
    for (uint64_t i = 0; i < 5 && count > 0; i++) {
        uint64_t found[10];
        float distances[10];
        size_t found_count = 0;
        vector_of(1000000 + i, dim, vector);
        check(rhumb_index_search_exact(index, vector, 1, 10, NULL, found, distances, &found_count), "search");
        printf("%s{\"query\":[", i == 0 ? "" : ",");
        print_floats(vector, dim);
        printf("],\"keys\":[");
        for (size_t k = 0; k < found_count; k++) printf("%s%" PRIu64, k == 0 ? "" : ",", found[k]);
        printf("]}");
    }
    printf("],");
    free(vector);
    check(rhumb_index_close(index), "close");
}

int main(int argument_count, char **arguments) {
    if (argument_count != 9) {
        fprintf(stderr, "index_dump PATH METRIC DIM M M0 COUNT SEED spread|crowded\n");
        return 2;
    }
    rhumb_index_options options;
    rhumb_index_options_init(&options, sizeof options);
    options.metric = rhumb_metric_from_name(arguments[2]);
    options.dim = (uint32_t)strtoul(arguments[3], NULL, 10);
    options.M = (uint32_t)strtoul(arguments[4], NULL, 10);
    options.M0 = (uint32_t)strtoul(arguments[5], NULL, 10);
    const uint64_t count = strtoull(arguments[6], NULL, 10);
    options.seed = strtoull(arguments[7], NULL, 10);
    options.ef_construction = 24;
    uint64_t *keys = make_keys(count, strcmp(arguments[8], "crowded") == 0, options.seed);
    build(arguments[1], &options, keys, count);
    print_index(arguments[1], keys, count);
    print_graph(arguments[1]);
    free(keys);
    return 0;
}
