/* take_over.c - the vectors and lists of one source, see source.h.
 *
 * Nodes keep their order, so that what lay together does, and their levels, so that the lists of upper levels can be
 * taken over too. A head that is left out gives its lists to the copy of it that stands for it.
 *
 * Locks: those of placing and of storing lists. Lists are taken over on several threads, each of which writes lists of
 * its own.
 */
#include <stdatomic.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "base/parallel.h"
#include "base/status.h"
#include "engine/build/place.h"
#include "engine/graph/neighbour_list.h"
#include "engine/graph/ties.h"
#include "engine/graph/tombstones.h"
#include "engine/upkeep/mend_list.h"
#include "engine/upkeep/mend_neighbours.h"
#include "engine/upkeep/merge/equals.h"
#include "engine/upkeep/merge/source.h"
#include "engine/upkeep/rebuild.h"
#include "engine/upkeep/source_rows.h"

/* Vectors of one run: placed, then written. */
#define RUN_BYTES (UINT64_C(16) << 20)

#define SLOTS_PER_STEP 256u

/* ---- vectors ---- */

/* Finds the next slots that are kept, from *next on, at most as many as are asked for together. */
static uint32_t next_kept(const rhumb__merge_source *source, uint64_t *next, uint32_t *slots) {
    uint32_t count = 0;
    for (; *next < source->slot_count && count < RHUMB__SOURCE_ROWS_ASKED; (*next)++) {
        if (!rhumb__bit_get(source->left_out, *next)) slots[count++] = (uint32_t)*next;
    }
    return count;
}

static rhumb_status place_one(const rhumb__merge_taking *taking, rhumb__merge_source *source, rhumb__source_rows *rows,
                              uint32_t slot) {
    rhumb_status status;
    const void *row = NULL;
    rhumb__graph *graph = taking->graph;
    RHUMB_TRY(rhumb__source_rows_read(rows, slot, &row));
    const uint32_t level = rhumb__node_level(rhumb__graph_node(source->graph, slot));
    source->map[slot] = (uint32_t)graph->counts.slot_count;
    status = rhumb__graph_place_at(graph, rhumb__graph_key(source->graph, slot), row,
                                   (uint32_t)rhumb__min_u64(level, graph->params.level_max));
    if (status == RHUMB_E_EXISTS) {
        status = rhumb__fail_at(RHUMB_E_CORRUPT, source->path, RHUMB_OFFSET_NONE,
                                "key %llu has two live nodes, or its key table is damaged",
                                (unsigned long long)rhumb__graph_key(source->graph, slot));
    }
done:
    return status;
}

/* Lets a copy stand for each head that is left out: the one with the lowest slot. */
static void choose_stand_ins(rhumb__merge_source *source) {
    if (!rhumb__graph_has_copies(source->graph)) return;
    for (uint64_t i = 0; i < source->slot_count; i++) {
        const uint32_t slot = (uint32_t)i;
        const uint32_t head = rhumb__graph_head(source->graph, slot);
        if (head >= source->slot_count || source->map[head] != RHUMB__SLOT_NONE) continue;
        source->map[head] = source->map[slot];
    }
}

rhumb_status rhumb__merge_place(const rhumb__merge_taking *taking, rhumb__merge_source *source) {
    rhumb_status status;
    rhumb__source_rows rows = {0};
    rhumb__graph *graph = taking->graph;
    uint32_t slots[RHUMB__SOURCE_ROWS_ASKED];
    uint32_t count = 0;
    uint64_t next = 0;
    uint64_t unwritten_count = 0;
    const uint64_t run_count = rhumb__max_u64(RUN_BYTES / graph->space.row_stride_bytes, 1);
    source->begin = (uint32_t)graph->counts.slot_count;
    RHUMB_TRY(rhumb__source_rows_begin(source->graph, &rows));
    while ((count = next_kept(source, &next, slots)) > 0) {
        rhumb__source_rows_ask(&rows, slots, count);
        for (uint32_t i = 0; i < count; i++) RHUMB_TRY(place_one(taking, source, &rows, slots[i]));
        unwritten_count += count;
        if (unwritten_count >= run_count) {
            RHUMB_TRY(rhumb__rebuild_write_ahead(graph, true, taking->written_bytes));
            unwritten_count = 0;
        }
        RHUMB_TRY(rhumb__progress_advance(taking->progress, count));
    }
    source->end = (uint32_t)graph->counts.slot_count;
    choose_stand_ins(source);
    status = rhumb__io_check_mappings(source->graph->store->io);
done:
    rhumb__source_rows_end(&rows);
    return status;
}

/* ---- lists ---- */

typedef struct list_taking {
    const rhumb__merge_taking *taking;
    const rhumb__merge_source *source;
    uint64_t done_count; /* of the progress, before */
    _Atomic uint64_t next;
    _Atomic bool stopped;
} list_taking;

/* The new node that has the lists for an old slot, or RHUMB__SLOT_NONE. */
static uint32_t new_head(const list_taking *t, uint32_t old_slot) {
    if (old_slot >= t->source->slot_count || t->source->map[old_slot] == RHUMB__SLOT_NONE) return RHUMB__SLOT_NONE;
    return rhumb__equals_head(t->taking->lower, t->source->map[old_slot], t->source->begin);
}

/* The new node at `slot` if it is on the level. */
static uint32_t on_level(const list_taking *t, uint32_t slot, uint32_t level) {
    if (slot == RHUMB__SLOT_NONE || level == 0) return slot;
    return rhumb__node_level(rhumb__graph_node(t->taking->graph, slot)) >= level ? slot : RHUMB__SLOT_NONE;
}

/* A list of the source. */
typedef struct old_list {
    uint32_t level;
    uint32_t count;
    uint32_t slots[RHUMB__M0_MAX];
} old_list;

/* Reads an old list, on whose level the old node may not be. */
static void read_old(const list_taking *t, uint32_t old_slot, uint32_t level, old_list *old) {
    old->level = level;
    old->count = 0;
    if (old_slot >= t->source->slot_count) return;
    const rhumb__list list = rhumb__graph_list(t->source->graph, old_slot, level);
    if (list.slots != NULL) old->count = rhumb__list_read(&list, old->slots);
}

/* Adds the new nodes of an old list to the candidates for that of another node, each once. */
static void consider(const list_taking *t, rhumb__scratch *scratch, const old_list *old, uint32_t *count) {
    for (uint32_t i = 0; i < old->count && *count < RHUMB__MEND_CANDIDATES_MAX; i++) {
        const uint32_t slot = on_level(t, new_head(t, old->slots[i]), old->level);
        if (slot == RHUMB__SLOT_NONE || rhumb__visited_add(&scratch->visited, slot)) continue;
        scratch->candidates[(*count)++] = (rhumb__candidate){.slot_mark = slot};
    }
}

/* Makes a list of one that is too long, or lacks neighbours; `slots` are those that are there. */
static uint32_t mend(const list_taking *t, rhumb__scratch *scratch, const old_list *old, uint32_t *slots,
                     rhumb__mend_spec *spec, uint32_t kept_count) {
    old_list second;
    rhumb__visited_clear(&scratch->visited);
    (void)rhumb__visited_add(&scratch->visited, spec->slot);
    consider(t, scratch, old, &spec->candidate_count);
    for (uint32_t i = 0; i < old->count && kept_count < old->count; i++) {
        read_old(t, old->slots[i], old->level, &second);
        consider(t, scratch, &second, &spec->candidate_count);
    }
    spec->candidates = scratch->candidates;
    return rhumb__mend_list(t->taking->graph, scratch, spec, slots, kept_count);
}

static void take_list(const list_taking *t, rhumb__scratch *scratch, uint32_t old_slot, uint32_t slot, uint32_t level) {
    old_list old;
    uint32_t slots[RHUMB__M0_MAX];
    uint32_t count = 0;
    read_old(t, old_slot, level, &old);
    const rhumb__list list = rhumb__graph_list(t->taking->graph, slot, level);
    RHUMB_ASSERT_DEBUG(list.slots != NULL);
    for (uint32_t i = 0; i < old.count; i++) {
        const uint32_t neighbour = on_level(t, new_head(t, old.slots[i]), level);
        if (neighbour == RHUMB__SLOT_NONE || neighbour == slot || rhumb__slots_contain(slots, count, neighbour))
            continue;
        slots[count++] = neighbour;
    }
    rhumb__mend_spec spec = {.slot = slot, .before_count = old.count, .capacity = list.capacity};
    if (count < old.count || count > list.capacity) count = mend(t, scratch, &old, slots, &spec, count);
    (void)rhumb__list_exchange(&list, NULL, 0, slots, count); /* the list is empty, so this succeeds */
}

/* A slot gives its lists to its own node in the new graph, or to the copy that stands for it, if that is a head. So
 * each node is given lists by one slot at most. */
static void take_node(const list_taking *t, rhumb__scratch *scratch, uint32_t old_slot) {
    const uint32_t slot = t->source->map[old_slot];
    if (slot == RHUMB__SLOT_NONE || rhumb__graph_is_copy(t->source->graph, old_slot)) return;
    if (!rhumb__equals_is_head(t->taking->lower, slot, t->source->begin)) return;
    const uint32_t level = rhumb__node_level(rhumb__graph_node(t->taking->graph, slot));
    for (uint32_t i = 0; i <= level; i++) take_list(t, scratch, old_slot, slot, i);
}

static rhumb_status list_worker(void *context, uint32_t worker_index) {
    list_taking *t = context;
    rhumb__scratch *scratch = NULL;
    rhumb_status status = rhumb__scratch_take(t->taking->pool, &scratch);
    if (status != RHUMB_OK) return status;
    RHUMB_TRY(rhumb__mend_prepare(scratch));
    rhumb__progress *progress = t->taking->progress;
    while (!atomic_load_explicit(&t->stopped, memory_order_relaxed)) {
        const uint64_t begin = atomic_fetch_add_explicit(&t->next, SLOTS_PER_STEP, memory_order_relaxed);
        if (begin >= t->source->slot_count) break;
        const uint64_t end = rhumb__min_u64(begin + SLOTS_PER_STEP, t->source->slot_count);
        for (uint64_t slot = begin; slot < end; slot++) take_node(t, scratch, (uint32_t)slot);
        if (worker_index != 0) continue;
        const double share = (double)begin / (double)t->source->slot_count;
        const uint64_t own_count = (uint64_t)(share * (double)t->source->kept_count);
        RHUMB_TRY(rhumb__progress_report(progress, t->done_count + own_count));
    }
done:
    if (status != RHUMB_OK) atomic_store(&t->stopped, true);
    rhumb__scratch_give(scratch);
    return status;
}

rhumb_status rhumb__merge_take_lists(const rhumb__merge_taking *taking, const rhumb__merge_source *source) {
    rhumb_status status;
    list_taking t = {.taking = taking, .source = source, .done_count = taking->progress->done_count};
    RHUMB_TRY(rhumb__parallel_run(taking->thread_count, list_worker, &t));
    RHUMB_TRY(rhumb__progress_report(taking->progress, t.done_count + source->kept_count));
    status = rhumb__io_check_mappings(source->graph->store->io);
done:
    return status;
}
