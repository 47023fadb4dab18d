/* adjacency.c - see adjacency.h. Lists of several levels are merged with the set of visited slots. Takes no lock.
 */
#include "engine/search/adjacency.h"

#include "base/bits.h"
#include "engine/graph/neighbour_list.h"
#include "engine/graph/ties.h"
#include "engine/graph/tombstones.h"
#include "engine/search/walk/measure.h"

rhumb_status rhumb__adjacency_prepare(rhumb__scratch *scratch) {
    const rhumb_status status = rhumb__scratch_prepare_search(scratch, 1);
    return status == RHUMB_OK ? rhumb__scratch_prepare_insert(scratch, RHUMB__ADJACENCY_MAX) : status;
}

/* Deleted copies can be any number. Beyond so many in succession, live ones are not looked for. */
#define COPIES_PASSED_MAX 1024u

typedef struct adjacency {
    rhumb__graph *graph;
    rhumb__scratch *scratch;
    uint32_t slot;
    uint64_t limit;    /* slots below it may be neighbours */
    uint32_t count;    /* neighbours in scratch->candidates */
    uint32_t capacity; /* how many there may be with those of the level that is being read */
} adjacency;

static bool is_live(const rhumb__graph *graph, uint32_t slot) {
    return (rhumb__graph_node(graph, slot) & RHUMB__NODE_PRESENT) != 0 && !rhumb__graph_is_dead(graph, slot);
}

/* Adds a live node that is not a neighbour yet, if there is room. */
static void add(adjacency *a, uint32_t slot) {
    if (a->count >= a->capacity || rhumb__visited_add(&a->scratch->visited, slot)) return;
    a->scratch->candidates[a->count++] = (rhumb__candidate){.slot_mark = slot};
}

/* The copies after a node in its chain, as many as are looked at. */
static rhumb__copies copies_after(const adjacency *a, uint32_t slot) {
    rhumb__copies copies = rhumb__copies_of(a->graph, slot);
    copies.left_count = rhumb__min_u64(copies.left_count, COPIES_PASSED_MAX);
    return copies;
}

static bool next_live(const adjacency *a, rhumb__copies *copies, uint32_t *slot_out) {
    while (rhumb__copies_next(a->graph, copies, a->limit, slot_out)) {
        if (is_live(a->graph, *slot_out)) return true;
    }
    return false;
}

/* Adds a node of a list, or the live copy that stands for it. */
static void add_listed(adjacency *a, uint32_t slot) {
    if (slot >= a->limit) return;
    if (is_live(a->graph, slot)) {
        add(a, slot);
        return;
    }
    rhumb__copies copies = copies_after(a, slot);
    if (next_live(a, &copies, &slot)) add(a, slot);
}

/* Adds the nodes in the list of `slot`. */
static void add_list(adjacency *a, uint32_t slot, uint32_t level) {
    const rhumb__list list = rhumb__graph_list(a->graph, slot, level);
    const uint32_t entry_count = list.slots == NULL ? 0 : rhumb__list_read(&list, a->scratch->list);
    for (uint32_t i = 0; i < entry_count; i++) add_listed(a, a->scratch->list[i]);
}

static void add_copies(adjacency *a, rhumb__copies copies) {
    uint32_t slot;
    while (a->count < a->capacity && next_live(a, &copies, &slot)) add(a, slot);
}

/* Adds the neighbours on level 0. */
static void add_lowest(adjacency *a) {
    const uint32_t head = rhumb__graph_head(a->graph, a->slot);
    rhumb__copies copies = copies_after(a, a->slot);
    uint32_t next;
    if (head != a->slot) add_listed(a, head);
    if (next_live(a, &copies, &next)) add(a, next);
    add_list(a, head, 0);
    add_copies(a, copies);
    if (head != a->slot) add_copies(a, copies_after(a, head));
}

uint32_t rhumb__adjacency_read(rhumb__graph *graph, rhumb__scratch *scratch, uint32_t slot, uint32_t level,
                               uint64_t slot_limit) {
    RHUMB_ASSERT_DEBUG(slot < slot_limit && scratch->candidate_capacity >= RHUMB__ADJACENCY_MAX);
    /* The visited set has room for slots below scratch->slot_limit. */
    adjacency a = {.graph = graph, .scratch = scratch, .slot = slot};
    a.limit = rhumb__min_u64(slot_limit, scratch->slot_limit);
    const uint32_t node_level =
        (uint32_t)rhumb__min_u64(rhumb__node_level(rhumb__graph_node(graph, slot)), RHUMB__LEVEL_MAX);
    const uint32_t first = level == RHUMB__LEVELS_ALL ? 0 : level;
    const uint32_t last = level == RHUMB__LEVELS_ALL ? node_level : level;
    rhumb__visited_clear(&scratch->visited);
    if (slot < a.limit) (void)rhumb__visited_add(&scratch->visited, slot);
    for (uint32_t i = first; i <= last; i++) {
        a.capacity = a.count + (i == 0 ? graph->params.M0 : graph->params.M);
        if (i == 0) {
            add_lowest(&a);
        } else {
            add_list(&a, slot, i);
        }
    }
    return a.count;
}

void rhumb__adjacency_measure(rhumb__graph *graph, rhumb__scratch *scratch, uint32_t slot, uint32_t count) {
    RHUMB_ASSERT_DEBUG(count <= scratch->candidate_capacity);
    rhumb__measure_neighbours(graph, scratch, slot, scratch->candidates, count);
    rhumb__sort_candidates(scratch->candidates, count);
}
