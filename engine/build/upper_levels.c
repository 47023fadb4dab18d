/* upper_levels.c - see upper_levels.h.
 *
 * One node in M is on an upper level. Linked one after the other, each by a search through the whole graph, these nodes
 * take most of the time in which a graph is made from the lists of another; and of a graph that memory cannot hold each
 * of these searches reads from the disk. A plan reads each of their vectors once.
 *
 * Owns the plan and what it is made of. Locks: those of storing lists.
 */
#include "engine/build/upper_levels.h"

#include <string.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "base/status.h"
#include "engine/build/bulk/plan.h"
#include "engine/graph/neighbour_list.h"
#include "engine/graph/ties.h"

/* Slots between two looks at whether to stop. */
#define SLOTS_PER_CHECK 4096u

typedef struct upper_levels {
    rhumb__graph *graph;
    rhumb__progress *progress;
    uint32_t *slots; /* by item */
    uint8_t *levels;
    uint64_t count;
    uint32_t candidate_count;
    rhumb__bulk_plan plan;
    rhumb__bulk_run run;
} upper_levels;

static bool is_upper(rhumb__graph *graph, uint32_t slot) {
    return rhumb__node_level(rhumb__graph_node(graph, slot)) > 0 && !rhumb__graph_is_copy(graph, slot);
}

/* Marks the nodes of upper levels, and counts them. */
static uint64_t mark_upper(rhumb__graph *graph, uint64_t *unlinked) {
    uint64_t count = 0;
    for (uint64_t i = 0; i < graph->counts.slot_count; i++) {
        if (!is_upper(graph, (uint32_t)i)) continue;
        rhumb__bit_set(unlinked, i);
        count++;
    }
    return count;
}

/* Notes the nodes, and copies their rows to `rows`. */
static rhumb_status gather(upper_levels *u, uint8_t *rows) {
    rhumb_status status = RHUMB_OK;
    const rhumb__space *space = &u->graph->space;
    uint64_t item = 0;
    for (uint64_t i = 0; i < u->graph->counts.slot_count; i++) {
        const uint32_t slot = (uint32_t)i;
        if (i % SLOTS_PER_CHECK == 0) RHUMB_TRY(rhumb__progress_advance(u->progress, 0));
        if (!is_upper(u->graph, slot)) continue;
        u->slots[item] = slot;
        u->levels[item] = (uint8_t)rhumb__node_level(rhumb__graph_node(u->graph, slot));
        memcpy(rows + item * space->row_stride_bytes, rhumb__graph_vector(u->graph, slot), space->row_bytes);
        item++;
    }
done:
    return status;
}

/* Of the plan: its progress is not that of the caller. */
static bool goes_on(void *context, uint64_t done_count, uint64_t total_count) {
    (void)done_count;
    (void)total_count;
    return rhumb__progress_advance(context, 0) == RHUMB_OK;
}

static rhumb_status make_plan(upper_levels *u) {
    rhumb_status status;
    const rhumb__space *space = &u->graph->space;
    uint8_t *rows = rhumb__alloc_aligned(u->count, space->row_stride_bytes, 64);
    u->slots = rhumb__alloc_zeroed(u->count, sizeof *u->slots);
    u->levels = rhumb__alloc_zeroed(u->count, sizeof *u->levels);
    if (rows == NULL || u->slots == NULL || u->levels == NULL) {
        rhumb__free(rows);
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for %llu nodes", (unsigned long long)u->count);
    }
    status = gather(u, rows);
    if (status != RHUMB_OK) {
        rhumb__free(rows);
        return status;
    }
    const rhumb__bulk_upper upper = {
        .placed = {.space = space, .rows = rows, .count = u->count, .salt = u->graph->params.seed},
        .levels = u->levels,
        .candidate_count = u->candidate_count};
    return rhumb__bulk_plan_make_upper(&u->graph->params, &upper, &u->run, &u->plan);
}

static void write_list(const upper_levels *u, uint32_t level, uint64_t node) {
    uint32_t slots[RHUMB__M0_MAX];
    const rhumb__bulk_level *nodes = &u->plan.levels[level];
    const uint32_t *linked = nodes->lists.slots + node * nodes->lists.capacity;
    uint32_t count = 0;
    for (; count < nodes->lists.capacity && linked[count] != RHUMB__SLOT_NONE; count++) {
        slots[count] = u->slots[nodes->items[linked[count]]];
    }
    const rhumb__list list = rhumb__graph_list(u->graph, u->slots[nodes->items[node]], level);
    if (list.slots != NULL) (void)rhumb__list_exchange(&list, NULL, 0, slots, count); /* empty, so this succeeds */
}

static void write_lists(const upper_levels *u, uint64_t *unlinked) {
    for (uint32_t level = 1; level < u->plan.level_count; level++) {
        for (uint64_t node = 0; node < u->plan.levels[level].count; node++) write_list(u, level, node);
    }
    for (uint64_t i = 0; i < u->count; i++) {
        const uint32_t slot = u->slots[i];
        const rhumb__list list = rhumb__graph_list(u->graph, slot, 1);
        const bool is_linked = list.slots != NULL && rhumb__list_peek(&list, 0) != RHUMB__SLOT_NONE;
        if (is_linked) unlinked[slot / 64] &= ~(UINT64_C(1) << (slot % 64));
    }
}

rhumb_status rhumb__upper_levels_link(rhumb__graph *graph, uint32_t thread_count, rhumb__progress *progress,
                                      uint64_t *unlinked) {
    upper_levels u = {.graph = graph,
                      .progress = progress,
                      .count = mark_upper(graph, unlinked),
                      .run = {.thread_count = thread_count,
                              .progress = {.report = goes_on, .context = progress, .total_count = UINT32_MAX}}};
    if (!rhumb__bulk_upper_pays(&graph->params, &graph->space, u.count, &u.candidate_count)) return RHUMB_OK;
    rhumb_error before;
    rhumb__error_save(&before);
    rhumb_status status = make_plan(&u);
    if (status == RHUMB_OK) write_lists(&u, unlinked);
    rhumb__bulk_plan_free(&u.plan);
    rhumb__free(u.slots);
    rhumb__free(u.levels);
    if (status == RHUMB_OK || status == RHUMB_E_CANCELLED) return status;
    /* Memory does not suffice: the nodes are linked one by one. */
    rhumb__error_restore(&before);
    return RHUMB_OK;
}
