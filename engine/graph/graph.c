/* graph.c - a graph's structure in memory, and its sections; see graph.h.
 *
 * Owns the graph and its locks. All functions that deal with sections go by the table of sections.h. Attaching maps
 * them and reads no row: what rows say is checked where they are used.
 *
 * Locking: creating, attaching and releasing are for one thread; making room is done under append_lock.
 */
#include "engine/graph/graph.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/status.h"
#include "engine/graph/changed.h"
#include "engine/graph/codes.h"
#include "engine/graph/fused.h"
#include "engine/graph/hold.h"
#include "engine/graph/tombstones.h"
#include "engine/graph/unlinked.h"
#include "storage/next_sections.h"
#include "storage/row_reads.h"

/* A graph may lie at the address of an earlier one, so graphs are identified by number. */
static _Atomic uint64_t graph_count;

rhumb_status rhumb__graph_new(rhumb__graph **graph_out) {
    rhumb__graph *graph = rhumb__alloc_zeroed(1, sizeof *graph);
    if (graph == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for an index");
    graph->id = atomic_fetch_add(&graph_count, 1) + 1;
    atomic_store(&graph->entry, RHUMB__ENTRY_NONE);
    atomic_store(&graph->holder_count, 1);
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
        atomic_store(&graph->level_first[level], RHUMB__SLOT_NONE);
    }
    *graph_out = graph;
    return RHUMB_OK;
}

rhumb_status rhumb__graph_attach(rhumb__graph *graph, bool next) {
    RHUMB_ASSERT_DEBUG(graph->store != NULL && graph->params.M0 >= graph->params.M);
    RHUMB_ASSERT_DEBUG(graph->space.row_stride_bytes > 0);
    for (const rhumb__section_info *info = rhumb__section_next(NULL); info != NULL; info = rhumb__section_next(info)) {
        if (!rhumb__section_is_used(info, &graph->params)) continue;
        rhumb__section *section = &graph->sections[info->id];
        const rhumb__section_spec spec = {
            .id = info->id,
            .kind = info->kind,
            .codec = rhumb__section_codec(info, &graph->params),
            .version = info->version,
            .required = !info->derived,
            .large_pages = info->large_pages,
            .unmapped = graph->graph_only && info->of_vectors,
            .row_stride_bytes = info->row_stride_bytes(&graph->params, &graph->space),
            .row_limit = rhumb__section_row_limit(info),
            .copied_first = info->copied_first,
            .maps_pages = info->maps_pages,
            .residency_rank = info->residency_rank,
            .chunk_rank = info->chunk_rank,
        };
        const rhumb_status status = next ? rhumb__store_attach_next(graph->store, &spec, section)
                                         : rhumb__store_attach(graph->store, &spec, section);
        if (status != RHUMB_OK) return status;
        if (info->derived) atomic_store(&graph->derived_row_counts[info->id], section->published_row_count);
    }
    if (next) return RHUMB_OK;
    const rhumb_status status = rhumb__store_attach_finish(graph->store);
    if (status != RHUMB_OK || graph->graph_only) return status;
    rhumb__row_reads_open(graph->store, &graph->sections[RHUMB__SECTION_VECTORS], graph->space.row_bytes);
    return RHUMB_OK;
}

uint64_t rhumb__graph_row_count(const rhumb__graph *graph, const rhumb__section_info *info,
                                const rhumb__counts *counts) {
    const uint64_t row_count = rhumb__section_row_count(info, counts);
    if (!info->derived) return row_count;
    return rhumb__min_u64(row_count, atomic_load_explicit(&graph->derived_row_counts[info->id], memory_order_acquire));
}

void rhumb__graph_set_next_rows(rhumb__graph *graph, const rhumb__counts *counts) {
    for (const rhumb__section_info *info = rhumb__section_next(NULL); info != NULL; info = rhumb__section_next(info)) {
        rhumb__section *section = &graph->sections[info->id];
        section->next_row_count = rhumb__graph_row_count(graph, info, counts);
        RHUMB_ASSERT_DEBUG(section->next_row_count >= section->published_row_count);
        RHUMB_ASSERT_DEBUG(section->next_row_count <= atomic_load(&section->row_capacity));
    }
}

static rhumb_status grow_sections(rhumb__graph *graph, const rhumb__counts *counts) {
    uint64_t slot_limit = RHUMB__SLOT_LIMIT;
    for (const rhumb__section_info *info = rhumb__section_next(NULL); info != NULL; info = rhumb__section_next(info)) {
        if (!rhumb__section_is_used(info, &graph->params)) continue;
        rhumb__section *section = &graph->sections[info->id];
        const rhumb_status status = rhumb__section_ensure(section, rhumb__section_row_count(info, counts));
        if (status != RHUMB_OK) return status;
        const uint64_t row_capacity = atomic_load(&section->row_capacity);
        slot_limit = rhumb__min_u64(slot_limit, rhumb__section_slot_capacity(info, row_capacity));
    }
    const uint64_t upper_row_limit = atomic_load(&graph->sections[RHUMB__SECTION_LISTS_UPPER].row_capacity);
    RHUMB_ASSERT_DEBUG(slot_limit >= counts->slot_count && upper_row_limit >= counts->upper_row_count);
    /* Release pairs with the acquire in rhumb__scratch_extend. */
    atomic_store_explicit(&graph->slot_limit, slot_limit, memory_order_release);
    atomic_store_explicit(&graph->upper_row_limit, upper_row_limit, memory_order_release);
    return RHUMB_OK;
}

rhumb_status rhumb__graph_ensure_room(rhumb__graph *graph, uint64_t slot_count, uint64_t upper_row_count) {
    rhumb__mutex_assert_held(&graph->append_lock);
    if (slot_count >= RHUMB__SLOT_LIMIT) {
        return rhumb__fail(RHUMB_E_FULL, "the index has %llu slots, which is all that there can be",
                           (unsigned long long)(slot_count - 1));
    }
    if (slot_count <= atomic_load_explicit(&graph->slot_limit, memory_order_relaxed) &&
        upper_row_count <= atomic_load_explicit(&graph->upper_row_limit, memory_order_relaxed)) {
        return RHUMB_OK;
    }
    /* The key table makes room for its rows itself: `counts` has those of the version that was opened. */
    rhumb__counts counts = graph->counts;
    counts.slot_count = slot_count;
    counts.upper_row_count = upper_row_count;
    return grow_sections(graph, &counts);
}

rhumb_status rhumb__graph_check_sections(const rhumb__graph *graph) {
    const rhumb__counts *counts = &graph->counts;
    const char *path = graph->store->path;
    const uint64_t offset = graph->store->directory_offset;
    for (const rhumb__section_info *info = rhumb__section_next(NULL); info != NULL; info = rhumb__section_next(info)) {
        const uint64_t expected = rhumb__graph_row_count(graph, info, counts);
        const uint64_t found = graph->sections[info->id].published_row_count;
        if (found == expected) continue;
        return rhumb__fail_at(RHUMB_E_CORRUPT, path, offset, "section %u: %llu rows expected, %llu found", info->id,
                              (unsigned long long)expected, (unsigned long long)found);
    }
    if (counts->key_bucket_count >= RHUMB__KEY_BUCKET_COUNT_MIN) return RHUMB_OK;
    return rhumb__fail_at(RHUMB_E_CORRUPT, path, offset, "a key table of %llu buckets",
                          (unsigned long long)counts->key_bucket_count);
}

void rhumb__graph_start(rhumb__graph *graph) {
    const rhumb__counts *counts = &graph->counts;
    rhumb__key_table *table = &graph->key_table;
    RHUMB_ASSERT_DEBUG(counts->slot_count < RHUMB__SLOT_LIMIT && counts->dead_count <= counts->slot_count);
    table->buckets = &graph->sections[RHUMB__SECTION_KEY_BUCKETS];
    table->overflow = &graph->sections[RHUMB__SECTION_KEY_OVERFLOW];
    table->keys = &graph->sections[RHUMB__SECTION_KEYS];
    table->tombstones = &graph->sections[RHUMB__SECTION_TOMBSTONES];
    table->salt = rhumb__key_table_salt(graph->params.seed);
    table->writable = graph->writable;
    table->slot_limit = &graph->slot_limit;
    table->overflow_count = counts->key_overflow_count;
    atomic_store(&table->bucket_count, counts->key_bucket_count);
    atomic_store(&graph->slot_count, counts->slot_count);
    atomic_store(&graph->slot_limit, counts->slot_count);
    atomic_store(&graph->upper_row_limit, counts->upper_row_count);
    atomic_store(&graph->finished_count, counts->slot_count);
    atomic_store(&graph->dead_count, counts->dead_count);
    atomic_store(&graph->copy_count, counts->copy_count);
    for (uint32_t level = 0; level < RHUMB__LEVEL_COUNT; level++) {
        atomic_store(&graph->level_first[level], counts->level_first[level]);
    }
    rhumb__codes_start(graph);
    rhumb__fused_start(graph);
    rhumb__changed_start(graph);
    rhumb__unlinked_set(graph, counts->slot_count, counts->slot_count);
    const int32_t top = rhumb__counts_level_top(counts);
    if (top < 0) return;
    RHUMB_ASSERT_DEBUG(counts->level_first[top] < counts->slot_count && (uint32_t)top <= graph->params.level_max);
    atomic_store(&graph->entry, rhumb__entry_encode(counts->level_first[top], (uint32_t)top));
}

rhumb_status rhumb__graph_check_vectors(const rhumb__graph *graph) {
    if (!graph->graph_only) return RHUMB_OK;
    return rhumb__fail_at(RHUMB_E_UNSUPPORTED, graph->store->path, RHUMB_OFFSET_NONE,
                          "the index was opened without its vectors (graph_only), which this needs");
}

rhumb_status rhumb__graph_next(const rhumb__graph *old, const rhumb__derived_choice *derived,
                               rhumb__graph **graph_out) {
    rhumb_status status;
    rhumb__graph *graph = NULL;
    RHUMB_TRY(rhumb__graph_new(&graph));
    graph->writable = true;
    graph->writer = old->writer;
    graph->store = old->store;
    graph->params = old->params;
    graph->space = old->space;
    rhumb__derived_change(derived, &graph->params);
    RHUMB_TRY(rhumb__params_check(&graph->params));
    RHUMB_TRY(rhumb__codes_init(graph, NULL));
    RHUMB_TRY(rhumb__fused_init(graph, NULL));
    graph->counts.key_bucket_count = RHUMB__KEY_BUCKET_COUNT_MIN;
    RHUMB_TRY(rhumb__graph_attach(graph, true));
    RHUMB_TRY(rhumb__section_ensure(&graph->sections[RHUMB__SECTION_KEY_BUCKETS], RHUMB__KEY_BUCKET_COUNT_MIN));
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

void rhumb__graph_replaced(rhumb__graph *graph, rhumb__io **io) {
    const bool held = rhumb__graph_is_held(graph);
    rhumb__store_switch_next(graph->store, held ? RHUMB__SECTION_VECTORS : RHUMB__SECTION_KEPT_NONE);
    if (!held) {
        rhumb__graph_free(graph);
        return;
    }
    rhumb__graph_leave_rows(graph, *io);
    *io = NULL;
}
