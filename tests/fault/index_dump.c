/* index_dump.c - writes an index with the library and prints its content, for second_reader_test.py, which must find
 * the same by reading the file on its own.
 *
 *     index_dump pairs
 *
 * Prints the element types of every metric.
 *
 *     index_dump create PATH METRIC ELEMENT DIM M M0 COUNT SEED KEYS VECTORS
 *
 * KEYS is "spread", or "crowded" for keys that all belong into two buckets; VECTORS is "distinct", or "copies" for
 * vectors of which many are equal. Creates the index PATH in several sessions and checkpoints, deletes some keys,
 * closes it, and prints it. With a COUNT above 600 it has a log, otherwise none.
 *
 *     index_dump print PATH VECTORS
 *
 * Opens the index read-only, and prints one JSON object: the library's view of the index, its vectors by key, its lists
 * and ties by slot, and the nearest neighbours of a few queries. Vectors are the bytes of their components.
 *
 *     index_dump compact PATH [NEW_PATH]
 *
 * Compacts an index in place, or into a new file.
 *
 *     index_dump repair PATH NEW_PATH
 *
 *     index_dump crash PATH COUNT SEED CHECKPOINT_COUNT VECTORS
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
#include "engine/graph/ties.h"
#include "engine/graph/tombstones.h"
#include "engine/open.h"
#include "include/rhumb.h"
#include "tests/fault/dump_vectors.h"

#define QUERY_COUNT 6

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

static bool are_copies(const char *argument) { return strcmp(argument, "copies") == 0; }

/* Of the index that this process is working with: for the custom metric. */
static rhumb_element element;

static rhumb_open_options open_options_of(bool read_only, rhumb_durability durability) {
    rhumb_open_options options;
    rhumb_open_options_init(&options, sizeof options);
    options.read_only = read_only;
    options.durability = durability;
    options.custom_name = DUMP_CUSTOM_NAME;
    options.custom_distance = dump_custom_distance;
    options.custom_context = &element;
    return options;
}

/* ---- creating ---- */

static void create(const char *path, rhumb_index_options *options, const uint64_t *keys, uint64_t count, bool copies) {
    rhumb_index *index = NULL;
    dump_vector vector;
    const rhumb_open_options open_options =
        open_options_of(false, count > 600 ? RHUMB_DURABILITY_FULL : RHUMB_DURABILITY_NONE);
    options->open = &open_options;
    element = options->element;
    dump_vector_init(&vector, options, copies);
    check(rhumb_index_create(path, options, &index), "create");
    for (uint64_t i = 0; i < count; i++) {
        dump_vector_make(&vector, i);
        check(rhumb_index_insert(index, keys[i], dump_vector_argument(&vector)), "insert");
        if (i % 97 == 96) check(rhumb_index_checkpoint(index), "checkpoint");
        if (i % 311 != 310) continue;
        check(rhumb_index_close(index), "close");
        check(rhumb_index_open(path, &open_options, &index), "open");
    }
    for (uint64_t i = 5; i < count; i += 13) check(rhumb_index_delete(index, keys[i]), "delete");
    check(rhumb_index_close(index), "close");
    dump_vector_free(&vector);
}

/* ---- printing ---- */

static void print_slots(const uint32_t *slots, uint32_t count) {
    printf("[");
    for (uint32_t i = 0; i < count; i++) printf("%s%" PRIu32, i == 0 ? "" : ",", slots[i]);
    printf("]");
}

static void print_lists(rhumb__graph *graph, uint32_t slot) {
    const uint32_t level_count = rhumb__node_level(rhumb__graph_node(graph, slot)) + 1;
    for (uint32_t level = 0; level < level_count; level++) {
        uint32_t slots[RHUMB__M0_MAX];
        const rhumb__list list = rhumb__graph_list(graph, slot, level);
        if (level > 0) printf(",");
        const uint32_t count = rhumb__list_read(&list, slots);
        print_slots(slots, count);
    }
}

/* The anchor is null for a copy; the head of a node that is not a copy is the node. */
static void print_ties(const rhumb__graph *graph, uint32_t slot) {
    const uint32_t anchor = rhumb__graph_anchor(graph, slot);
    printf(",\"head\":%" PRIu32 ",\"anchor\":", rhumb__graph_head(graph, slot));
    if (anchor == RHUMB__SLOT_NONE) {
        printf("null");
    } else {
        printf("%" PRIu32, anchor);
    }
    printf(",\"copies\":");
    rhumb__copies copies = rhumb__copies_of(graph, slot);
    uint32_t *slots = calloc(graph->counts.slot_count, sizeof *slots);
    uint32_t count = 0;
    while (!rhumb__graph_is_copy(graph, slot) &&
           rhumb__copies_next(graph, &copies, graph->counts.slot_count, &slots[count])) {
        count++;
    }
    print_slots(slots, count);
    free(slots);
}

static void print_graph(const char *path) {
    rhumb__graph *graph = NULL;
    const rhumb__custom_metric custom = {
        .name = DUMP_CUSTOM_NAME, .distance = dump_custom_distance, .context = &element};
    check(rhumb__engine_open(path, NULL, &custom, &graph), "graph");
    printf("\"slots\":[");
    for (uint32_t slot = 0; slot < graph->counts.slot_count; slot++) {
        printf("%s{\"key\":%" PRIu64 ",\"dead\":%s,\"lists\":[", slot == 0 ? "" : ",", rhumb__graph_key(graph, slot),
               rhumb__graph_is_dead(graph, slot) ? "true" : "false");
        print_lists(graph, slot);
        printf("]");
        print_ties(graph, slot);
        printf("}");
    }
    printf("],\"entry_slot\":%" PRIu32 "}\n", rhumb__entry_slot(atomic_load(&graph->entry)));
    rhumb__engine_close(graph);
}

static void print_stats(const rhumb_index_stats *stats, const rhumb_index_options *created,
                        const rhumb_verify_report *report) {
    printf("\"count\":%" PRIu64 ",\"dim\":%" PRIu32 ",\"metric\":\"%s\",\"element\":\"%s\",\"M\":%" PRIu32
           ",\"M0\":%" PRIu32 ",\"ef_construction\":%" PRIu32 ",\"ef_search\":%" PRIu32 ",\"seed\":%" PRIu64
           ",\"level_top\":%" PRIu32 ",\"epoch\":%" PRIu64 ",\"lsn\":%" PRIu64 ",\"key_next\":%" PRIu64
           ",\"chunk_count\":%" PRIu64 ",\"uuid\":\"",
           stats->count, created->dim, rhumb_metric_name(created->metric), rhumb_element_name(created->element),
           created->M, created->M0, created->ef_construction, created->ef_search, created->seed, stats->level_top,
           stats->epoch, stats->lsn, stats->key_next, report->chunk_count);
    for (int i = 0; i < 16; i++) printf("%02x", stats->uuid[i]);
    printf("\",");
}

/* All vectors by key. */
static void print_vectors(rhumb_index *index, const rhumb_index_options *options) {
    dump_vector vector;
    rhumb_point_cursor *cursor = NULL;
    const char *separator = "";
    dump_vector_init(&vector, options, false);
    check(rhumb_point_cursor_open(index, 0, &cursor), "cursor");
    printf("\"vectors\":{");
    for (size_t count = 1; count > 0;) {
        uint64_t keys[64];
        check(rhumb_point_cursor_next(cursor, 64, keys, NULL, NULL, &count), "next");
        for (size_t i = 0; i < count; i++) {
            vector.sequence.length = options->dim;
            check(rhumb_index_get_vector(index, keys[i], dump_vector_argument(&vector)), "get");
            printf("%s\"%" PRIu64 "\":", separator, keys[i]);
            dump_vector_print(&vector);
            separator = ",";
        }
    }
    printf("}");
    rhumb_point_cursor_close(cursor);
    dump_vector_free(&vector);
}

/* Floats are printed as their bits, so that nothing is lost. */
static void print_floats(const float *values, size_t count) {
    printf("[");
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        printf("%s%" PRIu32, i == 0 ? "" : ",", bits);
    }
    printf("]");
}

/* What is nearest to a few vectors; the first ones are those of an index that has `copies`. */
static void print_searches(rhumb_index *index, const rhumb_index_options *options, bool copies) {
    dump_vector vector;
    dump_vector_init(&vector, options, copies);
    printf("\"queries\":[");
    for (uint64_t i = 0; i < QUERY_COUNT && rhumb_index_count(index) > 0; i++) {
        uint64_t found[10];
        float distances[10];
        size_t found_count = 0;
        dump_vector_make(&vector, i < 2 ? 1 + i : UINT64_C(999999) + i * 3);
        check(
            rhumb_index_search_exact(index, dump_vector_argument(&vector), 1, 10, NULL, found, distances, &found_count),
            "search");
        printf("%s{\"query\":", i == 0 ? "" : ",");
        dump_vector_print(&vector);
        printf(",\"keys\":[");
        for (size_t k = 0; k < found_count; k++) printf("%s%" PRIu64, k == 0 ? "" : ",", found[k]);
        printf("],\"distances\":");
        print_floats(distances, found_count);
        printf("}");
    }
    printf("],");
    dump_vector_free(&vector);
}

static void print_index(const char *path, bool copies) {
    rhumb_index *index = NULL;
    const rhumb_open_options options = open_options_of(true, RHUMB_DURABILITY_FULL);
    rhumb_index_stats stats;
    rhumb_index_options created;
    rhumb_verify_report report;
    check(rhumb_index_open(path, &options, &index), "open");
    check(rhumb_index_stats_get(index, &stats, sizeof stats), "stats");
    check(rhumb_index_options_get(index, &created, sizeof created), "options");
    element = created.element;
    check(rhumb_index_verify(index, &report, sizeof report), "verify");
    printf("{");
    print_stats(&stats, &created, &report);
    print_vectors(index, &created);
    printf(",");
    print_searches(index, &created, copies);
    check(rhumb_index_close(index), "close");
    print_graph(path);
}

static int compact(const char *path, const char *new_path) {
    rhumb_index *index = NULL;
    if (new_path != NULL) {
        check(rhumb_index_compact_into(path, new_path, NULL, NULL, 0), "compact into");
        return 0;
    }
    check(rhumb_index_open(path, NULL, &index), "open");
    check(rhumb_index_compact(index, NULL, NULL, 0), "compact");
    check(rhumb_index_close(index), "close");
    return 0;
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
static void insert_batch(rhumb_index *index, dump_vector *vector, uint64_t i, bool fails) {
    uint64_t keys[6];
    const size_t bytes = (size_t)vector->dim * rhumb_element_bits(vector->element) / 8;
    uint8_t *vectors = calloc(6, bytes);
    for (uint64_t k = 0; k < 6; k++) {
        keys[k] = UINT64_C(1000000) + i * 5 + k % 5;
        dump_vector_make(vector, i * 5 + k);
        memcpy(vectors + k * bytes, vector->components, bytes);
    }
    const rhumb_status status = rhumb_index_insert_batch(index, keys, vectors, fails ? 6 : 5, NULL, NULL);
    if (fails != (status == RHUMB_E_EXISTS)) check(status == RHUMB_OK ? RHUMB_E_EXISTS : status, "batch");
    free(vectors);
}

/* Keys are few, so that many an insert finds its key there and many a delete does not. */
static void operate(rhumb_index *index, dump_vector *vector, uint64_t i) {
    const uint64_t random = rhumb__mix64(i);
    const uint64_t key = 5000 + random % 97;
    const uint64_t kind = random >> 32 & 15;
    dump_vector_make(vector, i);
    rhumb_status status = RHUMB_OK;
    if (kind < 6) {
        status = rhumb_index_insert(index, key, vector->components);
    } else if (kind < 10) {
        status = rhumb_index_upsert(index, key, vector->components);
    } else if (kind < 14) {
        status = rhumb_index_delete(index, key);
    } else {
        insert_batch(index, vector, i, kind == 15);
    }
    if (status != RHUMB_E_EXISTS && status != RHUMB_E_NOTFOUND) check(status, "operation");
}

static int crash(const char *path, uint64_t count, uint64_t seed, uint64_t checkpoint_count, bool copies) {
    rhumb_index *index = NULL;
    rhumb_index_options created;
    dump_vector vector;
    pthread_t thread;
    check(rhumb_index_open(path, NULL, &index), "open");
    check(rhumb_index_options_get(index, &created, sizeof created), "options");
    dump_vector_init(&vector, &created, copies);
    checkpoints c = {index, checkpoint_count};
    if (pthread_create(&thread, NULL, make_checkpoints, &c) != 0) return 1;
    for (uint64_t i = 0; i < count; i++) operate(index, &vector, seed * count + i);
    pthread_join(thread, NULL);
    _exit(0);
}

static int recover(const char *path) {
    rhumb_index *index = NULL;
    rhumb_index_stats stats;
    rhumb_index_options created;
    const rhumb_open_options options = open_options_of(true, RHUMB_DURABILITY_FULL);
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
    check(rhumb_index_options_get(index, &created, sizeof created), "options");
    print_vectors(index, &created);
    printf("}\n");
    check(rhumb_index_wait_idle(index), "wait");
    check(rhumb_index_close(index), "close");
    return 0;
}

/* ---- arguments ---- */

static int print_pairs(void) {
    for (rhumb_metric metric = RHUMB_METRIC_L2SQ; metric <= RHUMB_METRIC_CUSTOM; metric++) {
        const char *separator = "";
        printf("%s\"%s\":[", metric == RHUMB_METRIC_L2SQ ? "{" : ",", rhumb_metric_name(metric));
        for (rhumb_element type = RHUMB_ELEMENT_F32; type <= RHUMB_ELEMENT_B1; type++) {
            if (!rhumb_metric_supports(metric, type)) continue;
            printf("%s\"%s\"", separator, rhumb_element_name(type));
            separator = ",";
        }
        printf("]");
    }
    printf("}\n");
    return 0;
}

/* Measures the recall of an index, and deletes a key. */
static int measure_recall(const char *path) {
    rhumb_index *index = NULL;
    const rhumb_open_options options = open_options_of(false, RHUMB_DURABILITY_FULL);
    uint64_t key = 0;
    rhumb_point_cursor *cursor = NULL;
    size_t count = 0;
    check(rhumb_index_open(path, &options, &index), "open");
    check(rhumb_index_recall_measure(index, NULL, NULL, 0), "measure");
    check(rhumb_point_cursor_open(index, 0, &cursor), "open a cursor");
    check(rhumb_point_cursor_next(cursor, 1, &key, NULL, NULL, &count), "list a key");
    rhumb_point_cursor_close(cursor);
    check(rhumb_index_delete(index, key), "delete");
    check(rhumb_index_close(index), "close");
    return 0;
}

/* Prints the curve of an index, or null. */
static int print_curve(const char *path) {
    rhumb_index *index = NULL;
    const rhumb_open_options options = open_options_of(true, RHUMB_DURABILITY_FULL);
    rhumb_recall_curve curve;
    check(rhumb_index_open(path, &options, &index), "open");
    if (rhumb_index_recall_get(index, &curve, sizeof curve) == RHUMB_E_NOTFOUND) {
        printf("null\n");
    } else {
        printf("{\"queries\":%" PRIu32 ",\"given\":%s,\"count\":%" PRIu64 ",\"changes\":%" PRIu64 ",\"points\":[",
               curve.query_count, curve.queries_given ? "true" : "false", curve.count, curve.change_count);
        for (uint32_t i = 0; i < curve.point_count; i++) {
            printf("%s[%" PRIu32 ",%" PRIu32 ",%.17g]", i == 0 ? "" : ",", curve.k[i], curve.ef[i], curve.recall[i]);
        }
        printf("]}\n");
    }
    check(rhumb_index_close(index), "close");
    return 0;
}

/* `lane_bits`: of fused rows, which the index gets from a compaction. */
static int create_and_print(char **arguments, const char *code_bits, const char *lane_bits) {
    rhumb_index_options options;
    rhumb_index_options_init(&options, sizeof options);
    options.metric = rhumb_metric_from_name(arguments[1]);
    options.element = rhumb_element_from_name(arguments[2]);
    options.dim = (uint32_t)strtoul(arguments[3], NULL, 10);
    options.M = (uint32_t)strtoul(arguments[4], NULL, 10);
    options.M0 = (uint32_t)strtoul(arguments[5], NULL, 10);
    const uint64_t count = strtoull(arguments[6], NULL, 10);
    options.seed = strtoull(arguments[7], NULL, 10);
    options.ef_construction = 24;
    options.codes = (rhumb_codes)strtoul(code_bits, NULL, 10);
    options.fused = (rhumb_fused)strtoul(lane_bits, NULL, 10);
    uint64_t *keys = make_keys(count, strcmp(arguments[8], "crowded") == 0, options.seed);
    create(arguments[0], &options, keys, count, are_copies(arguments[9]));
    print_index(arguments[0], are_copies(arguments[9]));
    free(keys);
    return 0;
}

int main(int argument_count, char **arguments) {
    const char *command = argument_count > 1 ? arguments[1] : "";
    if (argument_count == 2 && strcmp(command, "pairs") == 0) return print_pairs();
    if (argument_count >= 12 && argument_count <= 14 && strcmp(command, "create") == 0)
        return create_and_print(arguments + 2, argument_count >= 13 ? arguments[12] : "0",
                                argument_count == 14 ? arguments[13] : "0");
    if (argument_count == 4 && strcmp(command, "print") == 0) {
        print_index(arguments[2], are_copies(arguments[3]));
        return 0;
    }
    if ((argument_count == 3 || argument_count == 4) && strcmp(command, "compact") == 0)
        return compact(arguments[2], arguments[3]);
    if (argument_count == 4 && strcmp(command, "repair") == 0) {
        check(rhumb_index_repair(arguments[2], arguments[3], NULL, NULL, 0), "repair");
        return 0;
    }
    if (argument_count == 7 && strcmp(command, "crash") == 0) {
        return crash(arguments[2], strtoull(arguments[3], NULL, 10), strtoull(arguments[4], NULL, 10),
                     strtoull(arguments[5], NULL, 10), are_copies(arguments[6]));
    }
    if (argument_count == 3 && strcmp(command, "recover") == 0) return recover(arguments[2]);
    if (argument_count == 3 && strcmp(command, "recall") == 0) return measure_recall(arguments[2]);
    if (argument_count == 3 && strcmp(command, "curve") == 0) return print_curve(arguments[2]);
    fprintf(stderr, "index_dump pairs\n"
                    "index_dump create PATH METRIC ELEMENT DIM M M0 COUNT SEED spread|crowded distinct|copies\n"
                    "index_dump print PATH distinct|copies\n"
                    "index_dump compact PATH [NEW_PATH]\n"
                    "index_dump repair PATH NEW_PATH\n"
                    "index_dump crash PATH COUNT SEED CHECKPOINT_COUNT distinct|copies\n"
                    "index_dump recover PATH\n"
                    "index_dump recall PATH\n"
                    "index_dump curve PATH\n");
    return 2;
}
