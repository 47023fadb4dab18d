/* relink.c - see relink.h.
 *
 * Upper levels are built from scratch, in two passes over the slots: first the nodes on upper levels, so that searches
 * can descend to the others, then the incomplete nodes of level 0. From the beginning, the entry point is the node that
 * a reader of the file will use, so every node is linked to nodes that can be reached from there. The entry point
 * itself cannot be linked in that way, because the search would begin, and end, at the node it is for; it is linked
 * first, from another node that has its list.
 *
 * Inserting searches from the entry point and links back from what it finds, so a node has a path once it has been
 * linked. It can lose the path when the lists of its neighbours are pruned. The last resort, connect, only adds paths:
 * a full list of y gets x in place of z, and x gets z, so what was reached through y and z still is.
 *
 * Owns the bitmap of reached nodes. Locks: those of linking.
 */
#include "engine/upkeep/relink.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/clock.h"
#include "base/parallel.h"
#include "base/status.h"
#include "engine/build/place.h"
#include "engine/graph/neighbour_list.h"
#include "engine/graph/reachability.h"
#include "engine/graph/tombstones.h"
#include "engine/search/walk/measure.h"
#include "engine/search/walk/query.h"
#include "engine/search/walk/walk.h"

/* ---- passes ---- */

typedef enum pass_kind {
    PASS_UPPER,      /* nodes of upper levels */
    PASS_INCOMPLETE, /* of level 0: those in `bits` */
    PASS_UNREACHED   /* live nodes that are not in `bits` */
} pass_kind;

typedef struct relink_pass {
    rhumb__graph *graph;
    const rhumb__relink_spec *spec;
    pass_kind kind;
    const uint64_t *bits;
    uint32_t entry_slot;
    uint64_t slot_count;
    uint64_t stride; /* from a slot to the one that comes next; it shares no divisor with slot_count */
    _Atomic uint64_t next;
    _Atomic bool stopped;
} relink_pass;

static bool is_due(const relink_pass *pass, uint32_t slot) {
    if (slot == pass->entry_slot) return false;
    const bool upper = rhumb__node_level(rhumb__graph_node(pass->graph, slot)) > 0;
    switch (pass->kind) {
    case PASS_UPPER: return upper;
    case PASS_INCOMPLETE: return !upper && rhumb__bit_get(pass->bits, slot);
    case PASS_UNREACHED: return !rhumb__bit_get(pass->bits, slot) && !rhumb__graph_is_dead(pass->graph, slot);
    }
    return false;
}

/* Reports each of the three passes as a third of the rest. */
static rhumb_status report_pass(const relink_pass *pass, uint64_t turn) {
    const rhumb__relink_spec *spec = pass->spec;
    const uint64_t whole = spec->progress->total_count - spec->progress_begin;
    const double share = ((double)turn / (double)pass->slot_count + (double)pass->kind) / 3.0;
    return rhumb__progress_report(spec->progress, spec->progress_begin + (uint64_t)(share * (double)whole));
}

static rhumb_status pass_worker(void *context, uint32_t worker_index) {
    relink_pass *pass = context;
    rhumb__scratch *scratch = NULL;
    rhumb_status status = rhumb__scratch_take(pass->spec->pool, &scratch);
    if (status != RHUMB_OK) return status;
    while (!atomic_load_explicit(&pass->stopped, memory_order_relaxed)) {
        const uint64_t turn = atomic_fetch_add_explicit(&pass->next, 1, memory_order_relaxed);
        if (turn >= pass->slot_count) break;
        const uint32_t slot = (uint32_t)(turn * pass->stride % pass->slot_count); /* both are below 2^31 */
        if (!is_due(pass, slot)) continue;
        RHUMB_TRY(rhumb__graph_link_placed(pass->graph, scratch, slot));
        if (worker_index == 0) RHUMB_TRY(report_pass(pass, turn));
    }
done:
    if (status != RHUMB_OK) atomic_store(&pass->stopped, true);
    rhumb__scratch_give(scratch);
    return status;
}

/* In an ordered index, nodes that are near each other have slots that are near each other. Linked in that order, the
 * few nodes of an upper level would long find only nodes of their own neighbourhood; steps of the golden section reach
 * all parts evenly from the beginning. Level 0 has lists already. */
static uint64_t stride_of(uint64_t slot_count) {
    uint64_t stride = (uint64_t)((double)slot_count * 0.6180339887498949) | 1;
    for (;; stride++) {
        uint64_t a = slot_count;
        uint64_t b = stride;
        while (b != 0) {
            const uint64_t rest = a % b;
            a = b;
            b = rest;
        }
        if (a == 1) return stride;
    }
}

static rhumb_status run_pass(rhumb__graph *graph, const rhumb__relink_spec *spec, pass_kind kind,
                             const uint64_t *bits) {
    relink_pass pass = {.graph = graph,
                        .spec = spec,
                        .kind = kind,
                        .bits = bits,
                        .entry_slot = rhumb__entry_slot(atomic_load(&graph->entry)),
                        .slot_count = graph->counts.slot_count,
                        .stride = kind == PASS_UPPER ? stride_of(graph->counts.slot_count) : 1};
    return rhumb__parallel_run(spec->thread_count, pass_worker, &pass);
}

/* ---- the entry point ---- */

static void set_entry(rhumb__graph *graph, uint32_t slot, uint32_t level) {
    rhumb__graph_assert_slot(graph, slot);
    RHUMB_ASSERT_DEBUG(level <= rhumb__node_level(rhumb__graph_node(graph, slot)));
    atomic_store(&graph->entry, rhumb__entry_encode(slot, level));
}

static rhumb_status link_entry(rhumb__graph *graph, const rhumb__relink_spec *spec, uint32_t entry_slot) {
    rhumb__scratch *scratch = NULL;
    if (!rhumb__bit_get(spec->incomplete, entry_slot)) return RHUMB_OK;
    uint32_t other = 0;
    while (other < graph->counts.slot_count && (other == entry_slot || rhumb__bit_get(spec->incomplete, other)))
        other++;
    if (other == graph->counts.slot_count) return RHUMB_OK;
    rhumb_status status = rhumb__scratch_take(spec->pool, &scratch);
    if (status != RHUMB_OK) return status;
    set_entry(graph, other, 0);
    status = rhumb__graph_link_placed(graph, scratch, entry_slot);
    rhumb__scratch_give(scratch);
    return status;
}

rhumb_status rhumb__relink(rhumb__graph *graph, const rhumb__relink_spec *spec) {
    rhumb_status status;
    const int32_t top = rhumb__counts_level_top(&graph->counts);
    if (top < 0) return RHUMB_OK;
    const uint32_t entry_slot = graph->counts.level_first[top];
    RHUMB_TRY(link_entry(graph, spec, entry_slot));
    set_entry(graph, entry_slot, (uint32_t)top);
    RHUMB_TRY(run_pass(graph, spec, PASS_UPPER, NULL));
    status = run_pass(graph, spec, PASS_INCOMPLETE, spec->incomplete);
done:
    return status;
}

/* ---- nodes without a path ---- */

/* Returns the index in `slots` of the slot that is farthest from `slot`, the first one of equals. */
static uint32_t farthest(const rhumb__graph *graph, rhumb__scratch *scratch, uint32_t slot, const uint32_t *slots,
                         uint32_t count) {
    rhumb__candidate candidates[RHUMB__M0_MAX];
    RHUMB_ASSERT_DEBUG(count > 0 && count <= RHUMB__M0_MAX);
    for (uint32_t i = 0; i < count; i++) candidates[i].slot_mark = slots[i];
    rhumb__measure_candidates(graph, scratch, slot, candidates, count);
    uint32_t index = 0;
    for (uint32_t i = 1; i < count; i++) {
        if (!(candidates[i].distance <= candidates[index].distance)) index = i;
    }
    return index;
}

/* Adds `added` to the list of `slot`, in place of its farthest neighbour if it is full. Returns that neighbour, or
 * RHUMB__SLOT_NONE. */
static uint32_t force_link(rhumb__graph *graph, rhumb__scratch *scratch, uint32_t slot, uint32_t added) {
    uint32_t before[RHUMB__M0_MAX];
    uint32_t after[RHUMB__M0_MAX];
    const rhumb__list list = rhumb__graph_list(graph, slot, 0);
    const uint32_t count = rhumb__list_read(&list, before);
    RHUMB_ASSERT_DEBUG(added != slot);
    if (rhumb__slots_contain(before, count, added)) return RHUMB__SLOT_NONE;
    for (uint32_t i = 0; i < count; i++) after[i] = before[i];
    const uint32_t index = count < list.capacity ? count : farthest(graph, scratch, slot, before, count);
    const uint32_t replaced = index < count ? before[index] : RHUMB__SLOT_NONE;
    after[index] = added;
    /* No other thread changes lists now, so the exchange succeeds. */
    (void)rhumb__list_exchange(&list, before, count, after, index < count ? count : count + 1);
    return replaced;
}

/* Where a path to the scratch's query should begin: the nearest node with a free place in its list that the search on
 * level 0 reaches, or else the nearest node. */
static uint32_t find_predecessor(rhumb__graph *graph, rhumb__scratch *scratch, uint32_t entry_slot) {
    const float distance = rhumb__measure_slot(graph, scratch, entry_slot);
    rhumb__walk_level(graph, scratch, (rhumb__nearest){entry_slot, distance}, 0, graph->params.ef_construction);
    uint32_t slots[RHUMB__M0_MAX];
    for (uint32_t i = 0; i < scratch->pool.count; i++) {
        const uint32_t slot = rhumb__candidate_slot(scratch->pool.entries[i]);
        const rhumb__list list = rhumb__graph_list(graph, slot, 0);
        if (rhumb__list_read(&list, slots) < list.capacity) return slot;
    }
    return rhumb__candidate_slot(scratch->pool.entries[0]);
}

static rhumb_status connect(rhumb__graph *graph, rhumb__scratch *scratch, uint32_t slot) {
    rhumb_status status;
    RHUMB_TRY(rhumb__query_set_row(scratch, rhumb__graph_vector(graph, slot)));
    rhumb__query_use_link_distance(scratch);
    RHUMB_TRY(rhumb__scratch_prepare_search(scratch, graph->params.ef_construction));
    const uint32_t predecessor = find_predecessor(graph, scratch, rhumb__entry_slot(atomic_load(&graph->entry)));
    const uint32_t replaced = force_link(graph, scratch, predecessor, slot);
    if (replaced != RHUMB__SLOT_NONE) (void)force_link(graph, scratch, slot, replaced);
done:
    return status;
}

/* Marks what can be reached from a slot. `stack` has room for all slots; each is pushed at most once. */
static void mark_reached(rhumb__graph *graph, uint64_t *reached, uint32_t *stack, uint32_t slot) {
    uint32_t slots[RHUMB__M0_MAX];
    uint64_t depth = 0;
    rhumb__bit_set(reached, slot);
    stack[depth++] = slot;
    while (depth > 0) {
        const rhumb__list list = rhumb__graph_list(graph, stack[--depth], 0);
        const uint32_t count = rhumb__list_read(&list, slots);
        for (uint32_t i = 0; i < count; i++) {
            if (slots[i] >= graph->counts.slot_count || rhumb__bit_get(reached, slots[i])) continue;
            rhumb__bit_set(reached, slots[i]);
            stack[depth++] = slots[i];
        }
    }
}

/* Connects the live nodes that are not in `reached`, except those that got a path through one connected before. */
static rhumb_status connect_rest(rhumb__graph *graph, rhumb__scratch_pool *pool, uint64_t *reached) {
    rhumb__scratch *scratch = NULL;
    const uint64_t slot_count = graph->counts.slot_count;
    uint32_t *stack = rhumb__alloc_zeroed(slot_count, sizeof *stack);
    if (stack == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for a walk over the graph");
    rhumb_status status;
    RHUMB_TRY(rhumb__scratch_take(pool, &scratch));
    for (uint64_t i = 0; i < slot_count; i++) {
        const uint32_t slot = (uint32_t)i;
        if (rhumb__bit_get(reached, i) || rhumb__graph_is_dead(graph, slot)) continue;
        RHUMB_TRY(connect(graph, scratch, slot));
        mark_reached(graph, reached, stack, slot);
    }
done:
    if (scratch != NULL) rhumb__scratch_give(scratch);
    rhumb__free(stack);
    return status;
}

static rhumb_status count_again(rhumb__graph *graph, uint64_t **reached, uint64_t *count_out) {
    rhumb__free(*reached);
    *reached = NULL;
    return rhumb__reachability_count(graph, graph->counts.slot_count, reached, count_out);
}

rhumb_status rhumb__relink_unreachable(rhumb__graph *graph, const rhumb__relink_spec *spec, uint64_t *before_count_out,
                                       uint64_t *after_count_out) {
    uint64_t *reached = NULL;
    uint64_t count = 0;
    rhumb_status status;
    RHUMB_TRY(count_again(graph, &reached, &count));
    *before_count_out = count;
    if (count > 0) {
        /* All of them, also those that a node linked before leads to by now: that path may be a long detour. */
        RHUMB_TRY(run_pass(graph, spec, PASS_UNREACHED, reached));
        RHUMB_TRY(count_again(graph, &reached, &count));
    }
    if (count > 0) {
        RHUMB_TRY(connect_rest(graph, spec->pool, reached));
        RHUMB_TRY(count_again(graph, &reached, &count));
    }
    *after_count_out = count;
done:
    rhumb__free(reached);
    return status;
}
