/* relink.c - see relink.h.
 *
 *   1. entry     the node that a reader of the file will use, so that every node is linked to nodes that can be reached
 *                from there
 *   2. ties      between the nodes that the lists lead to (tie_walk.c). From now on no pruning takes a path from these
 *   3. link      nodes of upper levels, all at once (upper_levels.h) or, where that cannot be, one by one, so that
 *                searches can descend to the others; then, of level 0, those that are incomplete, and those that are
 *                not tied. Linking ties a node
 *
 * The entry point cannot be linked like the others, because the search would begin, and end, at the node it is for; it
 * is linked first, from another node. That one is also the root if the entry point has no list.
 *
 * Locks: those of linking.
 */
#include "engine/upkeep/relink.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/parallel.h"
#include "base/status.h"
#include "engine/build/place.h"
#include "engine/build/tie_walk.h"
#include "engine/build/upper_levels.h"
#include "engine/graph/neighbour_list.h"
#include "engine/graph/reachability.h"
#include "engine/graph/ties.h"

/* ---- passes ---- */

typedef enum pass_kind {
    PASS_UPPER, /* nodes of upper levels */
    PASS_LOWER  /* of level 0: those that are incomplete or not tied */
} pass_kind;

typedef struct relink_pass {
    rhumb__graph *graph;
    const rhumb__relink_spec *spec;
    pass_kind kind;
    const uint64_t *unlinked; /* one bit per slot: a node of an upper level without lists there */
    uint32_t entry_slot;
    uint64_t slot_count;
    uint64_t stride; /* from a slot to the one that comes next; it shares no divisor with slot_count */
    _Atomic uint64_t next;
    _Atomic bool stopped;
} relink_pass;

/* Whether level 0 lacks something of a head, or leads nowhere near it. */
static bool lacks_links(const rhumb__graph *graph, const rhumb__relink_spec *spec, uint32_t slot) {
    return rhumb__bit_get(spec->incomplete, slot) || rhumb__tie_load(graph, slot) == 0;
}

static bool is_due(const relink_pass *pass, uint32_t slot) {
    if (slot == pass->entry_slot || rhumb__graph_is_copy(pass->graph, slot)) return false;
    const bool upper = rhumb__node_level(rhumb__graph_node(pass->graph, slot)) > 0;
    if (upper != (pass->kind == PASS_UPPER)) return false;
    return (upper && rhumb__bit_get(pass->unlinked, slot)) || lacks_links(pass->graph, pass->spec, slot);
}

/* Reports each of the two passes as a half of the rest. */
static rhumb_status report_pass(const relink_pass *pass, uint64_t turn) {
    const rhumb__relink_spec *spec = pass->spec;
    const uint64_t whole = spec->progress->total_count - spec->progress_begin;
    const double share = ((double)turn / (double)pass->slot_count + (double)pass->kind) / 2.0;
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
        RHUMB_TRY(rhumb__graph_link_head(pass->graph, scratch, slot));
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
                             const uint64_t *unlinked) {
    relink_pass pass = {.graph = graph,
                        .spec = spec,
                        .kind = kind,
                        .unlinked = unlinked,
                        .entry_slot = rhumb__entry_slot(atomic_load(&graph->entry)),
                        .slot_count = graph->counts.slot_count,
                        .stride = kind == PASS_UPPER ? stride_of(graph->counts.slot_count) : 1};
    return rhumb__parallel_run(spec->thread_count, pass_worker, &pass);
}

/* ---- the entry point and the root ---- */

static void set_entry(rhumb__graph *graph, uint32_t slot, uint32_t level) {
    rhumb__graph_assert_slot(graph, slot);
    RHUMB_ASSERT_DEBUG(level <= rhumb__node_level(rhumb__graph_node(graph, slot)));
    atomic_store(&graph->entry, rhumb__entry_encode(slot, level));
}

/* Finds the first head of each level. Returns that of the highest, and how many heads there are. */
static uint32_t note_firsts(rhumb__graph *graph, uint64_t *head_count_out) {
    uint32_t first[RHUMB__LEVEL_COUNT];
    uint32_t entry_slot = RHUMB__SLOT_NONE;
    *head_count_out = 0;
    for (uint32_t level = 0; level < RHUMB__LEVEL_COUNT; level++) first[level] = RHUMB__SLOT_NONE;
    for (uint64_t i = graph->counts.slot_count; i > 0; i--) {
        const uint32_t slot = (uint32_t)i - 1;
        if (rhumb__graph_is_copy(graph, slot)) continue;
        first[rhumb__node_level(rhumb__graph_node(graph, slot))] = slot;
        (*head_count_out)++;
    }
    for (uint32_t level = 0; level < RHUMB__LEVEL_COUNT; level++) {
        atomic_store(&graph->level_first[level], first[level]);
        if (first[level] != RHUMB__SLOT_NONE) entry_slot = first[level];
    }
    return entry_slot;
}

static bool has_list(rhumb__graph *graph, uint32_t slot) {
    const rhumb__list list = rhumb__graph_list(graph, slot, 0);
    return rhumb__list_peek(&list, 0) != RHUMB__SLOT_NONE;
}

/* The entry point, or the first node that leads on if that one does not. */
static uint32_t root_of(rhumb__graph *graph, uint32_t entry_slot) {
    if (has_list(graph, entry_slot)) return entry_slot;
    for (uint64_t i = 0; i < graph->counts.slot_count; i++) {
        if (!rhumb__graph_is_copy(graph, (uint32_t)i) && has_list(graph, (uint32_t)i)) return (uint32_t)i;
    }
    return entry_slot;
}

/* A tied node other than the entry point, if possible one that is complete. */
static uint32_t find_other(rhumb__graph *graph, const rhumb__relink_spec *spec, uint32_t entry_slot) {
    uint32_t other = RHUMB__SLOT_NONE;
    for (uint64_t i = 0; i < graph->counts.slot_count; i++) {
        const uint32_t slot = (uint32_t)i;
        if (slot == entry_slot || rhumb__graph_anchor(graph, slot) == RHUMB__SLOT_NONE) continue;
        if (!rhumb__bit_get(spec->incomplete, slot)) return slot;
        if (other == RHUMB__SLOT_NONE) other = slot;
    }
    return other;
}

static rhumb_status link_entry(rhumb__graph *graph, const rhumb__relink_spec *spec, uint32_t entry_slot) {
    rhumb__scratch *scratch = NULL;
    const bool tied = rhumb__tie_load(graph, entry_slot) != 0;
    if (tied && !rhumb__bit_get(spec->incomplete, entry_slot)) return RHUMB_OK;
    const uint32_t other = find_other(graph, spec, entry_slot);
    if (other == RHUMB__SLOT_NONE) return RHUMB_OK;
    rhumb_status status = rhumb__scratch_take(spec->pool, &scratch);
    if (status != RHUMB_OK) return status;
    set_entry(graph, other, 0);
    status = rhumb__graph_link_head(graph, scratch, entry_slot);
    rhumb__scratch_give(scratch);
    return status;
}

/* ---- all ---- */

static rhumb_status link_rest(rhumb__graph *graph, const rhumb__relink_spec *spec) {
    rhumb_status status;
    uint64_t *unlinked = rhumb__alloc_zeroed(graph->counts.slot_count / 64 + 1, sizeof *unlinked);
    if (unlinked == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for marks of nodes");
    if (!spec->upper_linked) {
        RHUMB_TRY(rhumb__upper_levels_link(graph, spec->thread_count, spec->progress, unlinked));
    }
    RHUMB_TRY(run_pass(graph, spec, PASS_UPPER, unlinked));
    status = run_pass(graph, spec, PASS_LOWER, unlinked);
done:
    rhumb__free(unlinked);
    return status;
}

static uint64_t count_due(const rhumb__graph *graph, const rhumb__relink_spec *spec) {
    uint64_t count = 0;
    for (uint64_t i = 0; i < graph->counts.slot_count; i++) {
        const uint32_t slot = (uint32_t)i;
        if (!rhumb__graph_is_copy(graph, slot) && lacks_links(graph, spec, slot)) count++;
    }
    return count;
}

void rhumb__relink_mark_empty(rhumb__graph *graph, uint64_t *incomplete) {
    for (uint64_t i = 0; i < graph->counts.slot_count; i++) {
        const uint32_t slot = (uint32_t)i;
        if (rhumb__graph_is_copy(graph, slot)) continue;
        const rhumb__list list = rhumb__graph_list(graph, slot, 0);
        if (rhumb__list_peek(&list, 0) == RHUMB__SLOT_NONE) rhumb__bit_set(incomplete, i);
    }
}

rhumb_status rhumb__relink(rhumb__graph *graph, const rhumb__relink_spec *spec, rhumb__relink_result *result) {
    rhumb_status status;
    uint64_t head_count = 0;
    uint64_t tied_count = 0;
    *result = (rhumb__relink_result){0};
    const uint32_t entry_slot = note_firsts(graph, &head_count);
    if (head_count == 0) return RHUMB_OK;
    RHUMB_TRY(rhumb__tie_walk(graph, spec->pool, root_of(graph, entry_slot), spec->progress, &tied_count));
    RHUMB_ASSERT_DEBUG(tied_count <= head_count);
    result->without_path_count = head_count - tied_count;
    result->relinked_count = count_due(graph, spec);
    RHUMB_TRY(link_entry(graph, spec, entry_slot));
    set_entry(graph, entry_slot, rhumb__node_level(rhumb__graph_node(graph, entry_slot)));
    RHUMB_TRY(link_rest(graph, spec));
    status = rhumb__reachability_count(graph, graph->counts.slot_count, spec->progress, &result->unreachable_count);
done:
    return status;
}
