/* graph.c - creating, opening and closing the graph of an index; see graph.h.
 *
 * Opening reads the superblock and the directory, and maps the sections. It does not look at a single row: what rows
 * say is checked where they are used. So its cost is that of a handful of system calls, whatever the size of the index.
 */
#include "engine/graph.h"

#include <string.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "base/status.h"
#include "engine/checkpoint.h"

#define SECTION_VERSION 1u

static rhumb_status graph_new(bool writable, rhumb__graph **graph_out) {
    rhumb__graph *graph = rhumb__alloc_zeroed(1, sizeof *graph);
    if (graph == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for an index");
    graph->writable = writable;
    atomic_store(&graph->entry, RHUMB__ENTRY_NONE);
    if (pthread_mutex_init(&graph->append_lock, NULL) != 0 || pthread_mutex_init(&graph->checkpoint_lock, NULL) != 0 ||
        pthread_mutex_init(&graph->pause_lock, NULL) != 0 ||
        pthread_mutex_init(&graph->key_table.split_lock, NULL) != 0 ||
        pthread_mutex_init(&graph->key_table.overflow_lock, NULL) != 0) {
        rhumb__free(graph);
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for locks");
    }
    for (uint32_t level = 0; level < RHUMB__LEVEL_COUNT; level++) {
        graph->counts.level_first[level] = RHUMB__SLOT_NONE;
    }
    *graph_out = graph;
    return RHUMB_OK;
}

static rhumb_status attach_sections(rhumb__graph *graph) {
    rhumb_status status;
    rhumb__store *store = graph->store;
    const rhumb__params *params = &graph->params;
    const uint64_t list0_bytes = rhumb__round_up(params->M0 * sizeof(uint32_t), 64);
    const uint64_t list_bytes = rhumb__round_up(params->M * sizeof(uint32_t), 64);
    const uint64_t slots = RHUMB__SLOT_LIMIT;
    const rhumb__section_spec vectors = {.id = RHUMB__SECTION_VECTORS,
                                         .kind = RHUMB__SECTION_APPEND,
                                         .codec = (uint32_t)params->metric << 16 | (uint32_t)params->element,
                                         .version = SECTION_VERSION,
                                         .required = true,
                                         .large_pages = true,
                                         .row_stride_bytes = graph->space.row_stride_bytes,
                                         .row_limit = slots};
    const rhumb__section_spec keys = {.id = RHUMB__SECTION_KEYS,
                                      .kind = RHUMB__SECTION_APPEND,
                                      .version = SECTION_VERSION,
                                      .required = true,
                                      .row_stride_bytes = sizeof(uint64_t),
                                      .row_limit = slots};
    const rhumb__section_spec nodes = {.id = RHUMB__SECTION_NODES,
                                       .kind = RHUMB__SECTION_APPEND,
                                       .version = SECTION_VERSION,
                                       .required = true,
                                       .row_stride_bytes = sizeof(uint64_t),
                                       .row_limit = slots};
    const rhumb__section_spec lists0 = {.id = RHUMB__SECTION_LISTS0,
                                        .kind = RHUMB__SECTION_MUTABLE,
                                        .version = SECTION_VERSION,
                                        .required = true,
                                        .large_pages = true,
                                        .row_stride_bytes = list0_bytes,
                                        .row_limit = slots};
    const rhumb__section_spec lists_upper = {.id = RHUMB__SECTION_LISTS_UPPER,
                                             .kind = RHUMB__SECTION_MUTABLE,
                                             .version = SECTION_VERSION,
                                             .required = true,
                                             .row_stride_bytes = list_bytes,
                                             .row_limit = UINT32_MAX};
    const rhumb__section_spec buckets = {.id = RHUMB__SECTION_KEY_BUCKETS,
                                         .kind = RHUMB__SECTION_MUTABLE,
                                         .version = SECTION_VERSION,
                                         .required = true,
                                         .row_stride_bytes = sizeof(rhumb__key_bucket),
                                         .row_limit = slots};
    const rhumb__section_spec overflow = {.id = RHUMB__SECTION_KEY_OVERFLOW,
                                          .kind = RHUMB__SECTION_MUTABLE,
                                          .version = SECTION_VERSION,
                                          .required = true,
                                          .row_stride_bytes = sizeof(rhumb__key_bucket),
                                          .row_limit = slots};
    RHUMB_TRY(rhumb__store_attach(store, &vectors, &graph->vectors));
    RHUMB_TRY(rhumb__store_attach(store, &keys, &graph->keys));
    RHUMB_TRY(rhumb__store_attach(store, &nodes, &graph->nodes));
    RHUMB_TRY(rhumb__store_attach(store, &lists0, &graph->lists0));
    RHUMB_TRY(rhumb__store_attach(store, &lists_upper, &graph->lists_upper));
    RHUMB_TRY(rhumb__store_attach(store, &buckets, &graph->key_table.buckets));
    RHUMB_TRY(rhumb__store_attach(store, &overflow, &graph->key_table.overflow));
    RHUMB_TRY(rhumb__store_attach_finish(store));
done:
    return status;
}

static rhumb_status check_rows(const rhumb__graph *graph, const rhumb__section *section, uint64_t expected) {
    if (section->published_row_count == expected) return RHUMB_OK;
    return rhumb__fail_at(RHUMB_E_CORRUPT, graph->store->path, graph->store->directory_offset,
                          "section %u: %llu rows expected, %llu found", section->spec.id, (unsigned long long)expected,
                          (unsigned long long)section->published_row_count);
}

/* The sections must have as many rows as the counts in the superblock say. */
static rhumb_status check_sections(const rhumb__graph *graph) {
    rhumb_status status;
    const rhumb__counts *counts = &graph->counts;
    RHUMB_TRY(check_rows(graph, &graph->vectors, counts->slot_count));
    RHUMB_TRY(check_rows(graph, &graph->keys, counts->slot_count));
    RHUMB_TRY(check_rows(graph, &graph->nodes, counts->slot_count));
    RHUMB_TRY(check_rows(graph, &graph->lists0, counts->slot_count));
    RHUMB_TRY(check_rows(graph, &graph->lists_upper, counts->upper_row_count));
    RHUMB_TRY(check_rows(graph, &graph->key_table.buckets, counts->key_bucket_count));
    RHUMB_TRY(check_rows(graph, &graph->key_table.overflow, counts->key_overflow_count));
    if (counts->key_bucket_count < RHUMB__KEY_BUCKET_COUNT_MIN) {
        status = rhumb__fail_at(RHUMB_E_CORRUPT, graph->store->path, graph->store->directory_offset,
                                "a key table of %llu buckets", (unsigned long long)counts->key_bucket_count);
    }
done:
    return status;
}

/* What follows from parameters and counts once the sections are there. */
static void start(rhumb__graph *graph) {
    const rhumb__counts *counts = &graph->counts;
    rhumb__key_table *table = &graph->key_table;
    table->keys = &graph->keys;
    table->salt = rhumb__mix64(graph->params.seed ^ UINT64_C(0x6B6579735F74626C));
    table->writable = graph->writable;
    table->slot_limit_readonly = counts->slot_count;
    table->overflow_count = counts->key_overflow_count;
    atomic_store(&table->bucket_count, counts->key_bucket_count);
    atomic_store(&graph->slot_limit, counts->slot_count);
    atomic_store(&graph->upper_row_limit, counts->upper_row_count);
    atomic_store(&graph->finished_count, counts->slot_count);
    graph->published_slot_count = counts->slot_count;
    const int32_t top = rhumb__counts_level_top(counts);
    if (top >= 0) atomic_store(&graph->entry, rhumb__entry_encode(counts->level_first[top], (uint32_t)top));
}

rhumb_status rhumb__graph_create(const char *path, const rhumb__params *params, uint32_t creator_version,
                                 rhumb__graph **graph_out) {
    rhumb_status status;
    rhumb__graph *graph = NULL;
    RHUMB_TRY(rhumb__params_check(params));
    RHUMB_TRY(graph_new(true, &graph));
    graph->params = *params;
    graph->counts.key_bucket_count = RHUMB__KEY_BUCKET_COUNT_MIN;
    RHUMB_TRY(rhumb__space_init(&graph->space, params->metric, params->element, params->dim));
    RHUMB_TRY(rhumb__store_create(NULL, path, creator_version, &graph->store));
    RHUMB_TRY(attach_sections(graph));
    RHUMB_TRY(rhumb__section_ensure(&graph->key_table.buckets, RHUMB__KEY_BUCKET_COUNT_MIN));
    start(graph);
    RHUMB_TRY(rhumb__checkpoint_first(graph));
    *graph_out = graph;
    graph = NULL;
done:
    if (graph != NULL && graph->store != NULL) {
        rhumb__store_abandon(graph->store);
        graph->store = NULL;
    }
    rhumb__graph_close(graph);
    return status;
}

rhumb_status rhumb__graph_open(const char *path, bool writable, rhumb__graph **graph_out) {
    rhumb_status status;
    rhumb__graph *graph = NULL;
    RHUMB_TRY(graph_new(writable, &graph));
    RHUMB_TRY(rhumb__store_open(NULL, path, writable, &graph->store));
    RHUMB_TRY(
        rhumb__params_decode(graph->store->superblock.client, graph->store->path, &graph->params, &graph->counts));
    status = rhumb__space_init(&graph->space, graph->params.metric, graph->params.element, graph->params.dim);
    if (status == RHUMB_E_INVALID || status == RHUMB_E_UNSUPPORTED) {
        status = rhumb__fail_at(RHUMB_E_VERSION, graph->store->path, RHUMB_OFFSET_NONE,
                                "metric %u with element type %u is not known here", (unsigned)graph->params.metric,
                                (unsigned)graph->params.element);
    }
    RHUMB_TRY(status);
    RHUMB_TRY(attach_sections(graph));
    RHUMB_TRY(check_sections(graph));
    start(graph);
    *graph_out = graph;
    graph = NULL;
done:
    rhumb__graph_close(graph);
    return status;
}

void rhumb__graph_close(rhumb__graph *graph) {
    if (graph == NULL) return;
    rhumb_error cause;
    rhumb__error_save(&cause);
    rhumb__store_close(graph->store);
    rhumb__free(graph->key_table.overflow_free);
    pthread_mutex_destroy(&graph->append_lock);
    pthread_mutex_destroy(&graph->checkpoint_lock);
    pthread_mutex_destroy(&graph->pause_lock);
    pthread_mutex_destroy(&graph->key_table.split_lock);
    pthread_mutex_destroy(&graph->key_table.overflow_lock);
    rhumb__free(graph);
    rhumb__error_restore(&cause);
}
