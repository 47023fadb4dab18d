/* index_dump.c - writes an index with the library and prints its content, for second_reader_test.py, which must find
 * the same by reading the file on its own.
 *
 *     index_dump PATH METRIC DIM M M0 COUNT SEED KEYS
 *
 * KEYS is "spread", or "crowded" for keys that all belong into two buckets. Creates the index PATH in several sessions
 * and checkpoints, deletes some keys, closes it, opens it read-only, and prints one JSON object: the library's view
 * of the index, its vectors by key, its lists by slot and level, and the nearest neighbours of a few queries.
 *
 *     index_dump crash PATH COUNT SEED CHECKPOINT_COUNT
 *
 * Opens the index, carries out COUNT operations of all kinds during so many checkpoints, and ends without closing it.
 *
 *     index_dump recover PATH
 *
 * Opens the index for writing and prints a JSON object: what a reader reported of its log before, the number of the
 * last operation, and all vectors by key; or the status with which it did not open.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/bits.h"
#include "engine/graph/neighbour_list.h"
#include "engine/graph/tombstones.h"
#include "engine/open.h"
#include "include/rhumb.h"

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
    check(rhumb__engine_open(path, NULL, NULL, &graph), "graph");
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
    rhumb__engine_close(graph);
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
           ",\"epoch\":%" PRIu64 ",\"lsn\":%" PRIu64 ",\"key_next\":%" PRIu64 ",\"chunk_count\":%" PRIu64
           ",\"uuid\":\"",
           stats.count, dim, rhumb_metric_name(stats.options.metric), stats.options.M, stats.options.M0,
           stats.options.ef_construction, stats.options.ef_search, stats.options.seed, stats.level_top, stats.epoch,
           stats.lsn, stats.key_next, report.chunk_count);
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

/* ---- a log ---- */

typedef struct checkpoints {
    rhumb_index *index;
    uint64_t count;
} checkpoints;

static void *make_checkpoints(void *context) {
    const checkpoints *c = context;
    for (uint64_t i = 0; i < c->count; i++) {
        const struct timespec pause = {0, 2000000};
        nanosleep(&pause, NULL);
        check(rhumb_index_checkpoint(c->index), "checkpoint");
    }
    return NULL;
}

/* Five vectors under new keys; in every other batch one more under the first of these, so that nothing of it counts. */
static void insert_batch(rhumb_index *index, uint32_t dim, uint64_t i, bool fails) {
    uint64_t keys[6];
    float *vectors = calloc((size_t)6 * dim, sizeof *vectors);
    for (uint64_t k = 0; k < 6; k++) {
        keys[k] = UINT64_C(1000000) + i * 5 + k % 5;
        vector_of(i * 5 + k, dim, vectors + k * dim);
    }
    const rhumb_status status = rhumb_index_insert_batch(index, keys, vectors, fails ? 6 : 5, NULL, NULL);
    if (fails != (status == RHUMB_E_EXISTS)) check(status == RHUMB_OK ? RHUMB_E_EXISTS : status, "batch");
    free(vectors);
}

/* Keys are few, so that many an insert finds its key there and many a delete does not. */
static void operate(rhumb_index *index, uint32_t dim, uint64_t i) {
    const uint64_t random = rhumb__mix64(i);
    const uint64_t key = 5000 + random % 97;
    const uint64_t kind = random >> 32 & 15;
    float *vector = calloc(dim, sizeof *vector);
    vector_of(i, dim, vector);
    rhumb_status status = RHUMB_OK;
    if (kind < 6) {
        status = rhumb_index_insert(index, key, vector);
    } else if (kind < 10) {
        status = rhumb_index_upsert(index, key, vector);
    } else if (kind < 14) {
        status = rhumb_index_delete(index, key);
    } else {
        insert_batch(index, dim, i, kind == 15);
    }
    if (status != RHUMB_E_EXISTS && status != RHUMB_E_NOTFOUND) check(status, "operation");
    free(vector);
}

static int crash(const char *path, uint64_t count, uint64_t seed, uint64_t checkpoint_count) {
    rhumb_index *index = NULL;
    rhumb_index_stats stats;
    pthread_t thread;
    check(rhumb_index_open(path, NULL, &index), "open");
    check(rhumb_index_stats_get(index, &stats, sizeof stats), "stats");
    checkpoints c = {index, checkpoint_count};
    if (pthread_create(&thread, NULL, make_checkpoints, &c) != 0) return 1;
    for (uint64_t i = 0; i < count; i++) operate(index, stats.options.dim, seed * count + i);
    pthread_join(thread, NULL);
    _exit(0);
}

static void print_vectors(rhumb_index *index, const rhumb_index_stats *stats) {
    const uint32_t dim = stats->options.dim;
    const uint64_t count = stats->count;
    float *vector = calloc(dim, sizeof *vector);
    uint64_t *keys = calloc(count + 1, sizeof *keys);
    size_t found_count = 0;
    check(rhumb_index_search_exact(index, vector, 1, count + 1, NULL, keys, NULL, &found_count), "search");
    if (found_count != count) {
        fprintf(stderr, "an exact search finds %zu of %" PRIu64 "\n", found_count, count);
        exit(1);
    }
    printf("\"vectors\":{");
    for (uint64_t i = 0; i < count; i++) {
        check(rhumb_index_get_vector(index, keys[i], vector), "get");
        printf("%s\"%" PRIu64 "\":[", i == 0 ? "" : ",", keys[i]);
        print_floats(vector, dim);
        printf("]");
    }
    printf("}}\n");
    free(keys);
    free(vector);
}

static int recover(const char *path) {
    rhumb_index *index = NULL;
    rhumb_index_stats stats;
    rhumb_open_options options;
    rhumb_open_options_init(&options, sizeof options);
    options.read_only = true;
    check(rhumb_index_open(path, &options, &index), "open read-only");
    check(rhumb_index_stats_get(index, &stats, sizeof stats), "stats");
    check(rhumb_index_close(index), "close");
    const uint64_t pending_count = stats.log_pending_count;
    const rhumb_status status = rhumb_index_open(path, NULL, &index);
    printf("{\"status\":\"%s\"", rhumb_status_name(status));
    if (status != RHUMB_OK) {
        printf("}\n");
        return 0;
    }
    check(rhumb_index_stats_get(index, &stats, sizeof stats), "stats");
    printf(",\"pending_count\":%" PRIu64 ",\"lsn\":%" PRIu64 ",", pending_count, stats.lsn);
    print_vectors(index, &stats);
    check(rhumb_index_wait_idle(index), "wait");
    check(rhumb_index_close(index), "close");
    return 0;
}

int main(int argument_count, char **arguments) {
    if (argument_count == 6 && strcmp(arguments[1], "crash") == 0) {
        return crash(arguments[2], strtoull(arguments[3], NULL, 10), strtoull(arguments[4], NULL, 10),
                     strtoull(arguments[5], NULL, 10));
    }
    if (argument_count == 3 && strcmp(arguments[1], "recover") == 0) return recover(arguments[2]);
    if (argument_count != 9) {
        fprintf(stderr, "index_dump PATH METRIC DIM M M0 COUNT SEED spread|crowded\n"
                        "index_dump crash PATH COUNT SEED CHECKPOINT_COUNT\n"
                        "index_dump recover PATH\n");
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
