/* graph.c - creating, opening and closing the graph of an index; see graph.h.
 *
 * Opening reads the superblock and the directory, and maps the sections. It does not look at a single row: what rows
 * say is checked where they are used. So its cost is that of a handful of system calls, whatever the size of the index.
 */
#define _GNU_SOURCE
#include "engine/graph/graph.h"

#include <string.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "base/status.h"
#include "engine/durability/background.h"
#include "engine/durability/checkpoint.h"
#include "engine/durability/metadata.h"
#include "engine/durability/recover.h"
#include "engine/graph/tombstones.h"
#include "engine/upkeep/compact/compactor.h"

#define SECTION_VERSION 1u

/* A graph may lie where an earlier one did, so graphs are told apart by number. */
static _Atomic uint64_t graph_count;

/* A graph without a store, locks and sections; a writer of its own, if `options` says that one writes. */
static rhumb_status graph_new(const rhumb__graph_options *options, rhumb__graph **graph_out) {
    rhumb_status status = RHUMB_OK;
    rhumb__graph *graph = rhumb__alloc_zeroed(1, sizeof *graph);
    if (graph == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for an index");
    graph->id = atomic_fetch_add(&graph_count, 1) + 1;
    atomic_store(&graph->entry, RHUMB__ENTRY_NONE);
    if (options != NULL) RHUMB_TRY(rhumb__writer_new(options, &graph->writer));
    graph->writable = options != NULL;
    if (pthread_mutex_init(&graph->append_lock, NULL) != 0 || pthread_mutex_init(&graph->pause_lock, NULL) != 0 ||
        pthread_mutex_init(&graph->removals.lock, NULL) != 0 || rhumb__writer_lock_init(&graph->removal_lock) != 0 ||
        pthread_mutex_init(&graph->key_table.split_lock, NULL) != 0 ||
        pthread_mutex_init(&graph->key_table.overflow_lock, NULL) != 0) {
        status = rhumb__fail(RHUMB_E_NOMEM, "no memory for locks");
        goto done;
    }
    for (uint32_t level = 0; level < RHUMB__LEVEL_COUNT; level++) {
        graph->counts.level_first[level] = RHUMB__SLOT_NONE;
    }
    if (graph->writer != NULL) atomic_store(&graph->writer->graph, graph);
    *graph_out = graph;
    graph = NULL;
done:
    if (graph != NULL) rhumb__writer_free(graph->writer);
    rhumb__free(graph);
    return status;
}

/* A section of the graph: where it is kept, and what it is in the file. All are required: a graph without one of them
 * is none. */
typedef struct graph_section {
    rhumb__section *section;
    uint32_t id;
    rhumb__section_kind kind;
    uint32_t codec;
    bool large_pages;
    uint64_t row_stride_bytes;
    uint64_t row_limit;
} graph_section;

/* Of the version that the file has, or, with `next`, of the generation that is going to replace it. */
static rhumb_status attach_sections(rhumb__graph *graph, bool next) {
    const rhumb__params *params = &graph->params;
    const uint32_t vector_codec = (uint32_t)params->metric << 16 | (uint32_t)params->element;
    const uint64_t list0_bytes = rhumb__round_up(params->M0 * sizeof(uint32_t), 64);
    const uint64_t list_bytes = rhumb__round_up(params->M * sizeof(uint32_t), 64);
    const uint64_t slots = RHUMB__SLOT_LIMIT;
    const rhumb__section_kind append = RHUMB__SECTION_APPEND;
    const rhumb__section_kind mutable = RHUMB__SECTION_MUTABLE;
    /* checkpoint.c counts rows in this order. */
    const graph_section sections[] = {
        {&graph->vectors, RHUMB__SECTION_VECTORS, append, vector_codec, true, graph->space.row_stride_bytes, slots},
        {&graph->keys, RHUMB__SECTION_KEYS, append, 0, false, sizeof(uint64_t), slots},
        {&graph->nodes, RHUMB__SECTION_NODES, append, 0, false, sizeof(uint64_t), slots},
        {&graph->lists0, RHUMB__SECTION_LISTS0, mutable, 0, true, list0_bytes, slots},
        {&graph->lists_upper, RHUMB__SECTION_LISTS_UPPER, mutable, 0, false, list_bytes, UINT32_MAX},
        {&graph->key_table.buckets, RHUMB__SECTION_KEY_BUCKETS, mutable, 0, false, sizeof(rhumb__key_bucket), slots},
        {&graph->key_table.overflow, RHUMB__SECTION_KEY_OVERFLOW, mutable, 0, false, sizeof(rhumb__key_bucket), slots},
        {&graph->tombstones, RHUMB__SECTION_TOMBSTONES, mutable, 0, false, RHUMB__TOMBSTONE_ROW_BYTES,
         rhumb__tombstone_row_count(slots)},
    };
    for (size_t i = 0; i < sizeof sections / sizeof sections[0]; i++) {
        const rhumb__section_spec spec = {
            .id = sections[i].id,
            .kind = sections[i].kind,
            .codec = sections[i].codec,
            .version = SECTION_VERSION,
            .required = true,
            .large_pages = sections[i].large_pages,
            .unmapped = graph->graph_only && sections[i].id == RHUMB__SECTION_VECTORS,
            .row_stride_bytes = sections[i].row_stride_bytes,
            .row_limit = sections[i].row_limit,
        };
        rhumb_status status = next ? rhumb__store_attach_next(graph->store, &spec, sections[i].section)
                                   : rhumb__store_attach(graph->store, &spec, sections[i].section);
        if (status != RHUMB_OK) return status;
    }
    return next ? RHUMB_OK : rhumb__store_attach_finish(graph->store);
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
    RHUMB_TRY(check_rows(graph, &graph->tombstones, rhumb__tombstone_row_count(counts->slot_count)));
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
    table->tombstones = &graph->tombstones;
    table->salt = rhumb__key_table_salt(graph->params.seed);
    table->writable = graph->writable;
    table->slot_limit = &graph->slot_limit;
    table->overflow_count = counts->key_overflow_count;
    atomic_store(&table->bucket_count, counts->key_bucket_count);
    atomic_store(&graph->slot_limit, counts->slot_count);
    atomic_store(&graph->upper_row_limit, counts->upper_row_count);
    atomic_store(&graph->finished_count, counts->slot_count);
    atomic_store(&graph->dead_count, counts->dead_count);
    atomic_store(&graph->unlinked_begin, counts->slot_count);
    graph->unlinked_end = counts->slot_count;
    const int32_t top = rhumb__counts_level_top(counts);
    if (top >= 0) atomic_store(&graph->entry, rhumb__entry_encode(counts->level_first[top], (uint32_t)top));
}

static void start_writer(rhumb__graph *graph) {
    graph->writer->published_lsn = graph->counts.lsn;
    graph->writer->checkpoint_stats.lsn = graph->counts.lsn;
}

static rhumb_status open_log(rhumb__graph *graph) {
    rhumb__log_spec spec = {
        .backend = graph->store->io->backend,
        .index_path = graph->store->path,
        .checkpoint_lsn = graph->writer->published_lsn,
        .durability = graph->writer->options.durability,
        .interval_ns = (uint64_t)graph->writer->options.sync_interval_ms * 1000000u,
        .discard = graph->writer->options.discard_log,
    };
    memcpy(spec.uuid, graph->store->superblock.uuid, sizeof spec.uuid);
    return rhumb__log_open(&spec, &graph->writer->log);
}

/* The log of an index that is not there any more may hold the only copy of something. */
static rhumb_status check_no_log(const char *path, const rhumb__graph_options *options) {
    bool exists = false;
    if (options->discard_log) return RHUMB_OK;
    const rhumb_status status = rhumb__log_exists(NULL, path, &exists);
    if (status != RHUMB_OK || !exists) return status;
    return rhumb__fail_at(RHUMB_E_EXISTS, path, RHUMB_OFFSET_NONE,
                          "the log of another index is there already, as a file with \"-wal\" behind this name; remove "
                          "it, or choose another name");
}

rhumb_status rhumb__graph_create(const char *path, const rhumb__params *params, const rhumb__graph_options *options,
                                 uint32_t creator_version, rhumb__graph **graph_out) {
    rhumb_status status;
    rhumb__graph *graph = NULL;
    RHUMB_TRY(rhumb__params_check(params));
    RHUMB_TRY(check_no_log(path, options));
    RHUMB_TRY(graph_new(options, &graph));
    graph->params = *params;
    graph->counts.key_bucket_count = RHUMB__KEY_BUCKET_COUNT_MIN;
    RHUMB_TRY(rhumb__params_space(params, NULL, &graph->space));
    RHUMB_TRY(rhumb__store_create(NULL, path, creator_version, &graph->store));
    graph->writer->store = graph->store;
    RHUMB_TRY(attach_sections(graph, false));
    RHUMB_TRY(rhumb__section_ensure(&graph->key_table.buckets, RHUMB__KEY_BUCKET_COUNT_MIN));
    start(graph);
    RHUMB_TRY(rhumb__checkpoint_forced(graph->writer, false));
    RHUMB_TRY(open_log(graph));
    RHUMB_TRY(rhumb__compactor_new(graph->writer));
    RHUMB_TRY(rhumb__background_start(graph->writer));
    *graph_out = graph;
    graph = NULL;
done:
    rhumb__graph_abandon(graph);
    return status;
}

/* Without vectors nothing is measured, so a custom metric's function need not be supplied. */
static float measure_nothing(const void *a, const void *b, uint32_t dim, void *context) {
    (void)a;
    (void)b;
    (void)dim;
    (void)context;
    return 0;
}

static rhumb_status open_graph(const char *path, const rhumb__graph_options *options,
                               const rhumb__custom_metric *custom, bool graph_only, rhumb__graph **graph_out) {
    rhumb_status status;
    rhumb__graph *graph = NULL;
    RHUMB_TRY(graph_new(options, &graph));
    graph->graph_only = graph_only;
    RHUMB_TRY(graph_only ? rhumb__store_open_partial(NULL, path, &graph->store)
                         : rhumb__store_open(NULL, path, graph->writable, &graph->store));
    RHUMB_TRY(
        rhumb__params_decode(graph->store->superblock.client, graph->store->path, &graph->params, &graph->counts));
    if (graph_only) graph->params.custom.distance = measure_nothing;
    if (!graph_only) RHUMB_TRY(rhumb__params_supply(&graph->params, custom, graph->store->path));
    RHUMB_TRY(rhumb__params_space(&graph->params, graph->store->path, &graph->space));
    RHUMB_TRY(rhumb__metadata_decode(&graph->store->superblock, graph->store->path, &graph->metadata));
    RHUMB_TRY(attach_sections(graph, false));
    RHUMB_TRY(check_sections(graph));
    start(graph);
    if (graph->writable) {
        graph->writer->store = graph->store;
        start_writer(graph);
        RHUMB_TRY(open_log(graph));
        RHUMB_TRY(rhumb__recover(graph));
        RHUMB_TRY(rhumb__store_settle(graph->store));
        graph->writer->recovered_lsn = rhumb__log_lsn(graph->writer->log);
        RHUMB_TRY(rhumb__compactor_new(graph->writer));
        RHUMB_TRY(rhumb__background_start(graph->writer));
    }
    *graph_out = graph;
    graph = NULL;
done:
    rhumb__graph_close(graph);
    return status;
}

rhumb_status rhumb__graph_open(const char *path, const rhumb__graph_options *options, rhumb__graph **graph_out) {
    return open_graph(path, options, NULL, false, graph_out);
}

rhumb_status rhumb__graph_open_custom(const char *path, const rhumb__graph_options *options,
                                      const rhumb__custom_metric *custom, rhumb__graph **graph_out) {
    return open_graph(path, options, custom, false, graph_out);
}

rhumb_status rhumb__graph_open_without_vectors(const char *path, rhumb__graph **graph_out) {
    return open_graph(path, NULL, NULL, true, graph_out);
}

rhumb_status rhumb__graph_check_vectors(const rhumb__graph *graph) {
    if (!graph->graph_only) return RHUMB_OK;
    return rhumb__fail_at(RHUMB_E_UNSUPPORTED, graph->store->path, RHUMB_OFFSET_NONE,
                          "the index was opened without its vectors (graph_only), which this needs");
}

rhumb_status rhumb__graph_next(const rhumb__graph *old, rhumb__graph **graph_out) {
    rhumb_status status;
    rhumb__graph *graph = NULL;
    RHUMB_TRY(graph_new(NULL, &graph));
    graph->writable = true;
    graph->writer = old->writer;
    graph->store = old->store;
    graph->params = old->params;
    graph->space = old->space;
    graph->counts.key_bucket_count = RHUMB__KEY_BUCKET_COUNT_MIN;
    RHUMB_TRY(attach_sections(graph, true));
    RHUMB_TRY(rhumb__section_ensure(&graph->key_table.buckets, RHUMB__KEY_BUCKET_COUNT_MIN));
    start(graph);
    *graph_out = graph;
    graph = NULL;
done:
    rhumb__graph_drop_next(graph);
    return status;
}

/* What is the graph's alone: neither store nor writer. */
static void free_graph(rhumb__graph *graph) {
    rhumb__free(graph->key_table.overflow_free);
    rhumb__free(graph->removals.items);
    pthread_mutex_destroy(&graph->append_lock);
    pthread_mutex_destroy(&graph->pause_lock);
    pthread_mutex_destroy(&graph->removals.lock);
    pthread_rwlock_destroy(&graph->removal_lock);
    pthread_mutex_destroy(&graph->key_table.split_lock);
    pthread_mutex_destroy(&graph->key_table.overflow_lock);
    rhumb__free(graph);
}

void rhumb__graph_drop_next(rhumb__graph *graph) {
    if (graph == NULL) return;
    if (graph->store != NULL) rhumb__store_drop_next(graph->store);
    free_graph(graph);
}

void rhumb__graph_replaced(rhumb__graph *graph) {
    rhumb__store_switch_next(graph->store);
    free_graph(graph);
}

void rhumb__graph_close(rhumb__graph *graph) {
    if (graph == NULL) return;
    rhumb_error cause;
    rhumb__error_save(&cause);
    rhumb__writer *writer = graph->writer;
    if (writer != NULL) {
        rhumb__compactor_free(writer);
        rhumb__background_stop(writer);
        const bool empty = writer->log != NULL && rhumb__log_lsn(writer->log) == writer->published_lsn;
        (void)rhumb__log_close(writer->log, empty);
    }
    rhumb__store_close(graph->store);
    free_graph(graph);
    rhumb__writer_free(writer);
    rhumb__error_restore(&cause);
}

void rhumb__graph_abandon(rhumb__graph *graph) {
    if (graph == NULL) return;
    rhumb_error cause;
    rhumb__error_save(&cause);
    if (graph->writer != NULL) {
        rhumb__compactor_free(graph->writer);
        rhumb__background_stop(graph->writer);
    }
    /* While the lock on it is held. */
    if (graph->store != NULL) rhumb__store_abandon(graph->store);
    graph->store = NULL;
    rhumb__graph_close(graph);
    rhumb__error_restore(&cause);
}
