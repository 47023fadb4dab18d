/* lifetime.c - see lifetime.h.
 *
 * Opening reads the superblock and the directory and maps the sections: a handful of system calls, whatever the size of
 * the index. A writer then replays the log, in time proportional to its length.
 *
 * A graph owns its store. A writer owns the log and the thread. They are released in this order: thread, log, store,
 * graph, writer. A failure releases what has been acquired; a failed creation also removes the file.
 *
 * Locks: none; no other thread knows the graph yet, or any more.
 */
#include "engine/durability/lifetime.h"

#include <string.h>

#include "base/status.h"
#include "engine/durability/background.h"
#include "engine/durability/checkpoint.h"
#include "engine/durability/metadata.h"
#include "engine/durability/recall_store.h"
#include "engine/durability/recover.h"
#include "engine/graph/codes.h"
#include "engine/graph/fused.h"
#include "engine/graph/hold.h"
#include "storage/log/log_examine.h"

/* A graph, with a writer of its own if there are options for one. */
static rhumb_status graph_new(const rhumb__graph_options *options, rhumb__graph **graph_out) {
    rhumb__writer *writer = NULL;
    rhumb_status status = options == NULL ? RHUMB_OK : rhumb__writer_new(options, &writer);
    if (status == RHUMB_OK) status = rhumb__graph_new(graph_out);
    if (status != RHUMB_OK) {
        rhumb__writer_free(writer);
        return status;
    }
    (*graph_out)->writer = writer;
    (*graph_out)->writable = writer != NULL;
    if (writer != NULL) atomic_store(&writer->graph, *graph_out);
    return RHUMB_OK;
}

static void start_writer(rhumb__graph *graph) {
    graph->writer->published_lsn = graph->counts.lsn;
    graph->writer->checkpoint_stats.lsn = graph->counts.lsn;
}

/* The log's: what the index says of it. */
static rhumb_status announce_log(void *context, uint64_t history, uint64_t log_lsn, bool expected) {
    return rhumb__store_stamp(context, history, log_lsn, expected);
}

/* The store's: what the log has failed to keep must not be kept by a version either, whenever it has failed. */
static rhumb_status before_publish(void *context, rhumb__superblock *superblock) {
    rhumb__log *log = context;
    const rhumb_status status = rhumb__log_check(log);
    if (status == RHUMB_OK) rhumb__log_describe(log, superblock);
    return status;
}

static rhumb_status open_log(rhumb__graph *graph) {
    rhumb_status status;
    rhumb__store *store = graph->store;
    rhumb__writer *writer = graph->writer;
    const rhumb__log_spec spec = {
        .backend = store->io->backend,
        .index_io = store->io,
        .index_path = store->path,
        .owner = rhumb__log_owner_of(&store->superblock, writer->published_lsn),
        .durability = writer->options.durability,
        .interval_ns = (uint64_t)writer->options.sync_interval_ms * 1000000u,
        .discard = writer->options.discard_log,
        .announce = announce_log,
        .announce_context = store,
    };
    RHUMB_TRY(rhumb__log_open(&spec, &writer->log));
    store->before_publish = before_publish;
    store->before_publish_context = writer->log;
    atomic_store(&writer->logged_bytes, rhumb__log_stats_get(writer->log).bytes);
done:
    return status;
}

/* A log whose index is gone may hold the only copy of something, so it is not overwritten. The store looks again when
 * the file gets its name. */
static rhumb_status check_no_log(const char *path, const rhumb__graph_options *options) {
    bool exists = false;
    if (options->discard_log) return RHUMB_OK;
    const rhumb_status status = rhumb__log_exists(NULL, path, &exists);
    if (status != RHUMB_OK || !exists) return status;
    return rhumb__fail_at(
        RHUMB_E_EXISTS, path, RHUMB_OFFSET_NONE,
        "the log of another index exists, in the file of this name with \"-wal\" appended; remove it, or "
        "choose another name");
}

static rhumb_status begin_graph(const rhumb__graph_creation *creation, const rhumb__params *params,
                                const rhumb__graph_options *options, rhumb__graph *graph) {
    rhumb_status status;
    const rhumb__store_creation file = {
        .place = {.path = creation->path, .suffix = creation->working_suffix, .access = creation->access},
        .creator_version = creation->creator_version,
        .log_may_exist = options->discard_log,
    };
    graph->params = *params;
    graph->counts.key_bucket_count = RHUMB__KEY_BUCKET_COUNT_MIN;
    RHUMB_TRY(rhumb__params_space(params, NULL, &graph->space));
    RHUMB_TRY(rhumb__codes_init(graph, NULL));
    RHUMB_TRY(rhumb__fused_init(graph, NULL));
    RHUMB_TRY(rhumb__store_create(&file, &graph->store));
    graph->writer->store = graph->store;
    RHUMB_TRY(rhumb__graph_attach(graph, false));
    RHUMB_TRY(rhumb__section_ensure(&graph->sections[RHUMB__SECTION_KEY_BUCKETS], RHUMB__KEY_BUCKET_COUNT_MIN));
    rhumb__graph_start(graph);
done:
    return status;
}

static rhumb_status create_graph(const rhumb__graph_creation *creation, const rhumb__params *params,
                                 const rhumb__graph_options *options, bool publish, rhumb__graph **graph_out) {
    rhumb_status status;
    rhumb__graph *graph = NULL;
    RHUMB_TRY(rhumb__params_check(params));
    RHUMB_TRY(check_no_log(creation->path, options));
    RHUMB_TRY(graph_new(options, &graph));
    RHUMB_TRY(begin_graph(creation, params, options, graph));
    if (publish) RHUMB_TRY(rhumb__checkpoint_forced(graph->writer, false));
    RHUMB_TRY(open_log(graph));
    if (rhumb__log_begins_at_once(graph->writer->log)) RHUMB_TRY(rhumb__log_begin(graph->writer->log));
    RHUMB_TRY(rhumb__background_start(graph->writer));
    *graph_out = graph;
    graph = NULL;
done:
    rhumb__graph_abandon(graph);
    return status;
}

rhumb_status rhumb__graph_begin(const rhumb__graph_creation *creation, const rhumb__params *params,
                                const rhumb__graph_options *options, rhumb__graph **graph_out) {
    return create_graph(creation, params, options, false, graph_out);
}

rhumb_status rhumb__graph_create(const rhumb__graph_creation *creation, const rhumb__params *params,
                                 const rhumb__graph_options *options, rhumb__graph **graph_out) {
    return create_graph(creation, params, options, true, graph_out);
}

/* Without vectors no distance is measured, so the function of a custom metric need not be supplied. */
static float measure_nothing(const void *a, const void *b, uint32_t dim, void *context) {
    (void)a;
    (void)b;
    (void)dim;
    (void)context;
    return 0;
}

/* For writing when there are options. */
static rhumb_status open_graph(const char *path, const rhumb__graph_options *options, rhumb__store_mode mode,
                               const rhumb__custom_metric *custom, rhumb__graph **graph_out) {
    rhumb_status status;
    rhumb__graph *graph = NULL;
    const bool graph_only = (mode & RHUMB__STORE_PARTIAL) != 0;
    RHUMB_TRY(graph_new(options, &graph));
    graph->graph_only = graph_only;
    RHUMB_TRY(rhumb__store_open_as(NULL, path, mode, &graph->store));
    RHUMB_TRY(
        rhumb__params_decode(graph->store->superblock.client, graph->store->path, &graph->params, &graph->counts));
    if (graph_only) graph->params.custom.distance = measure_nothing;
    if (!graph_only) RHUMB_TRY(rhumb__params_supply(&graph->params, custom, graph->store->path));
    RHUMB_TRY(rhumb__params_space(&graph->params, graph->store->path, &graph->space));
    RHUMB_TRY(rhumb__codes_init(graph, graph->store->path));
    RHUMB_TRY(rhumb__fused_init(graph, graph->store->path));
    RHUMB_TRY(rhumb__metadata_decode(&graph->store->superblock, graph->store->path, &graph->metadata));
    rhumb__recall_load(graph);
    RHUMB_TRY(rhumb__graph_attach(graph, false));
    RHUMB_TRY(rhumb__graph_check_sections(graph));
    rhumb__graph_start(graph);
    if (graph->writable) {
        graph->writer->store = graph->store;
        start_writer(graph);
        RHUMB_TRY(open_log(graph));
        RHUMB_TRY(rhumb__recover(graph));
        RHUMB_TRY(rhumb__store_settle(graph->store));
        if (rhumb__log_begins_at_once(graph->writer->log)) RHUMB_TRY(rhumb__log_begin(graph->writer->log));
        graph->writer->recovered_lsn = rhumb__log_lsn(graph->writer->log);
        RHUMB_TRY(rhumb__background_start(graph->writer));
    }
    *graph_out = graph;
    graph = NULL;
done:
    rhumb__graph_close(graph);
    return status;
}

rhumb_status rhumb__graph_open(const char *path, const rhumb__graph_options *options,
                               const rhumb__custom_metric *custom, rhumb__graph **graph_out) {
    return open_graph(path, options, options == NULL ? RHUMB__STORE_READ : RHUMB__STORE_WRITE, custom, graph_out);
}

rhumb_status rhumb__graph_open_as(const char *path, rhumb__store_mode mode, const rhumb__custom_metric *custom,
                                  rhumb__graph **graph_out) {
    return open_graph(path, NULL, mode, custom, graph_out);
}

/* Whether the newest version has every vector that is mapped from the file. It need not if the checkpoint after a
 * compaction has failed, or the last one after vectors were written ahead. */
static bool has_published_rows(const rhumb__graph *graph) {
    rhumb__params params;
    rhumb__counts counts;
    const rhumb__store *store = graph->store;
    const rhumb__section *vectors = &graph->sections[RHUMB__SECTION_VECTORS];
    if (graph->writer->exchanged) return false;
    if (rhumb__params_decode(store->superblock.client, store->path, &params, &counts) != RHUMB_OK) return false;
    return vectors->settled_bytes <= counts.slot_count * vectors->row_stride_bytes;
}

void rhumb__graph_close(rhumb__graph *graph) {
    if (graph == NULL) return;
    rhumb_error cause;
    rhumb__error_save(&cause);
    rhumb__writer *writer = graph->writer;
    if (writer != NULL) {
        rhumb__background_stop(writer);
        const bool empty = writer->log != NULL && rhumb__log_lsn(writer->log) == writer->published_lsn;
        (void)rhumb__log_close(writer->log, empty);
    }
    if (writer != NULL && rhumb__graph_is_held(graph)) {
        const bool published = has_published_rows(graph);
        rhumb__graph_leave_rows(graph, rhumb__store_close_keeping(graph->store, RHUMB__SECTION_VECTORS, published));
    } else {
        rhumb__graph_release(graph);
    }
    rhumb__writer_free(writer);
    rhumb__error_restore(&cause);
}

void rhumb__graph_abandon(rhumb__graph *graph) {
    if (graph == NULL) return;
    rhumb_error cause;
    rhumb__error_save(&cause);
    if (graph->writer != NULL) rhumb__background_stop(graph->writer);
    /* While the writer's lock on the file is held. */
    if (graph->store != NULL) rhumb__store_abandon(graph->store);
    graph->store = NULL;
    rhumb__graph_close(graph);
    rhumb__error_restore(&cause);
}
