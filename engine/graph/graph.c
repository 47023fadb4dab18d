/* graph.c - a graph's structure in memory, and its sections; see graph.h.
 *
 * Attaching maps the sections. It does not look at a single row: what rows say is checked where they are used.
 */
#include "engine/graph/graph.h"

#include "base/alloc.h"
#include "base/bits.h"
#include "base/status.h"
#include "engine/graph/tombstones.h"
#include "storage/next_sections.h"

#define SECTION_VERSION 1u

/* A graph may lie where an earlier one did, so graphs are told apart by number. */
static _Atomic uint64_t graph_count;

rhumb_status rhumb__graph_new(rhumb__graph **graph_out) {
    rhumb__graph *graph = rhumb__alloc_zeroed(1, sizeof *graph);
    if (graph == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for an index");
    graph->id = atomic_fetch_add(&graph_count, 1) + 1;
    atomic_store(&graph->entry, RHUMB__ENTRY_NONE);
    if (rhumb__mutex_init(&graph->append_lock, RHUMB__RANK_APPEND) != 0 ||
        rhumb__mutex_init(&graph->pause_lock, RHUMB__RANK_PAUSE) != 0 ||
        rhumb__mutex_init(&graph->removals.lock, RHUMB__RANK_REMOVALS) != 0 ||
        rhumb__rwlock_init(&graph->removal_lock, RHUMB__RANK_REMOVAL) != 0 ||
        rhumb__mutex_init(&graph->key_table.split_lock, RHUMB__RANK_SPLIT) != 0 ||
        rhumb__mutex_init(&graph->key_table.overflow_lock, RHUMB__RANK_OVERFLOW) != 0) {
        rhumb__free(graph);
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for locks");
    }
    for (uint32_t level = 0; level < RHUMB__LEVEL_COUNT; level++) {
        graph->counts.level_first[level] = RHUMB__SLOT_NONE;
    }
    *graph_out = graph;
    return RHUMB_OK;
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

/* A bucket is locked while the overflow rows of its chain are. */
static rhumb__lock_rank chunk_rank(uint32_t section_id) {
    if (section_id == RHUMB__SECTION_KEY_BUCKETS) return RHUMB__RANK_CHUNK_KEY_BUCKETS;
    if (section_id == RHUMB__SECTION_KEY_OVERFLOW) return RHUMB__RANK_CHUNK_KEY_OVERFLOW;
    return RHUMB__RANK_CHUNK;
}

rhumb_status rhumb__graph_attach(rhumb__graph *graph, bool next) {
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
            .chunk_rank = chunk_rank(sections[i].id),
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

rhumb_status rhumb__graph_check_sections(const rhumb__graph *graph) {
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

void rhumb__graph_start(rhumb__graph *graph) {
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

rhumb_status rhumb__graph_check_vectors(const rhumb__graph *graph) {
    if (!graph->graph_only) return RHUMB_OK;
    return rhumb__fail_at(RHUMB_E_UNSUPPORTED, graph->store->path, RHUMB_OFFSET_NONE,
                          "the index was opened without its vectors (graph_only), which this needs");
}

rhumb_status rhumb__graph_next(const rhumb__graph *old, rhumb__graph **graph_out) {
    rhumb_status status;
    rhumb__graph *graph = NULL;
    RHUMB_TRY(rhumb__graph_new(&graph));
    graph->writable = true;
    graph->writer = old->writer;
    graph->store = old->store;
    graph->params = old->params;
    graph->space = old->space;
    graph->counts.key_bucket_count = RHUMB__KEY_BUCKET_COUNT_MIN;
    RHUMB_TRY(rhumb__graph_attach(graph, true));
    RHUMB_TRY(rhumb__section_ensure(&graph->key_table.buckets, RHUMB__KEY_BUCKET_COUNT_MIN));
    rhumb__graph_start(graph);
    *graph_out = graph;
    graph = NULL;
done:
    rhumb__graph_drop_next(graph);
    return status;
}

void rhumb__graph_free(rhumb__graph *graph) {
    if (graph == NULL) return;
    rhumb__free(graph->key_table.overflow_free);
    rhumb__free(graph->removals.items);
    rhumb__mutex_destroy(&graph->append_lock);
    rhumb__mutex_destroy(&graph->pause_lock);
    rhumb__mutex_destroy(&graph->removals.lock);
    rhumb__rwlock_destroy(&graph->removal_lock);
    rhumb__mutex_destroy(&graph->key_table.split_lock);
    rhumb__mutex_destroy(&graph->key_table.overflow_lock);
    rhumb__free(graph);
}

void rhumb__graph_drop_next(rhumb__graph *graph) {
    if (graph == NULL) return;
    if (graph->store != NULL) rhumb__store_drop_next(graph->store);
    rhumb__graph_free(graph);
}

void rhumb__graph_replaced(rhumb__graph *graph) {
    rhumb__store_switch_next(graph->store);
    rhumb__graph_free(graph);
}
