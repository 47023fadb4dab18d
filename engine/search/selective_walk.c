/* selective_walk.c - walks that keep the nodes that may be answers; filter_plan.h says when each kind is used.
 *
 * A walk treats deleted nodes like nodes that fail the filter: it may pass through them but never returns them. It
 * returns the head of a group if any member of the group may be an answer, and checks each node once, because a node
 * that it meets again is in the visited set.
 *
 * Candidates wait in a heap that grows: none is dropped, so a walk ends when no candidate is nearer than a full set of
 * answers, when it has met all that it can reach, or when an exact search is cheaper. Nodes that fail can be any number
 * around the query; they delay the answers, they do not hide them. Only a bridging walk, which does not depend on
 * failing nodes, walks through a limited number of them.
 *
 * A bridging walk keeps two sets: the nodes it has met (visited), and of these the ones that failed and whose lists
 * have not been scanned (failing). The list of a failing node that is a neighbour of an expanded one is scanned at most
 * once. A failing node that was only met two hops away stays in the second set, since it may be met as a neighbour
 * later.
 *
 * A walk that does not bridge reads fused rows where there are any (walk/row_reader.h). What the lanes of a row say is
 * too rough for an answer, so their nodes wait UNCHECKED: each is checked, and measured by its code, when its turn
 * comes. All other candidates are checked when they are met.
 *
 * Takes no lock.
 */
#include "engine/search/selective_walk.h"

#include <math.h>

#include "base/status.h"
#include "engine/graph/tombstones.h"
#include "engine/search/filter_search.h"
#include "engine/search/walk/group.h"
#include "engine/search/walk/row_reader.h"
#include "engine/search/walk/walk.h"

/* Lists of failing nodes that are prefetched ahead of the one being scanned. */
#define LISTS_AHEAD 4u

/* Of a candidate in the queue. It has been neither expanded nor checked: the queue has no other use for the mark. */
#define UNCHECKED RHUMB__CANDIDATE_EXPANDED

typedef struct selective_walk {
    rhumb__graph *graph;
    rhumb__scratch *scratch;
    const rhumb__filter_estimate *estimate;
    uint32_t ef;
    uint32_t far_ef; /* breadth if the matching nodes are far from the query */
    bool bridges;
    bool is_patient; /* few answers are no reason to abandon the walk */
    bool has_dead;
    bool by_rows; /* `reader` has begun, and candidates are expanded by it */
    rhumb__row_reader reader;
    uint64_t met_count;      /* nodes that were checked */
    uint64_t passed_count;   /* of these, nodes that may be answers */
    uint64_t followed_count; /* copies that were checked because their head failed */
    uint64_t measured_count;
    uint64_t scanned_count;  /* entries of lists, of nodes met before among them */
    uint64_t waypoint_count; /* failing nodes that a bridging walk has added to the candidates */
} selective_walk;

/* ---- which nodes may be answers ---- */

static inline bool passes_itself(const selective_walk *walk, uint32_t slot) {
    if (walk->has_dead && rhumb__graph_is_dead(walk->graph, slot)) return false;
    const rhumb__filter *filter = walk->estimate->filter;
    return filter == NULL || rhumb__filter_matches(filter, rhumb__graph_key(walk->graph, slot));
}

/* Whether a copy of a node may be an answer. */
static bool copy_passes(selective_walk *walk, uint32_t slot) {
    rhumb__copies copies = rhumb__group_copies(walk->graph, slot, walk->followed_count);
    uint32_t copy;
    while (rhumb__group_next(walk->graph, &copies, walk->scratch->slot_limit, &walk->followed_count, &copy)) {
        if (rhumb__filter_passes(walk->graph, walk->estimate->filter, copy)) return true;
    }
    return false;
}

/* Whether any member of a node's group may be an answer. */
static inline bool passes(selective_walk *walk, uint32_t slot) {
    RHUMB_ASSERT_DEBUG(slot < walk->scratch->slot_limit);
    walk->met_count++;
    if (!passes_itself(walk, slot) && !(rhumb__graph_has_copies(walk->graph) && copy_passes(walk, slot))) return false;
    walk->passed_count++;
    return true;
}

/* ---- candidates ---- */

/* Makes room for the candidates of one expansion. */
static rhumb_status reserve(selective_walk *walk) {
    return rhumb__candidate_heap_reserve(&walk->scratch->queue, RHUMB__BATCH_MAX);
}

/* Takes the nearest candidate. Returns false at the end of the walk. */
static inline bool next_candidate(rhumb__scratch *scratch, rhumb__candidate *nearest_out) {
    if (scratch->queue.count == 0) return false;
    *nearest_out = rhumb__candidate_heap_take(&scratch->queue);
    return rhumb__candidate_pool_accepts(&scratch->answers, nearest_out->distance);
}

/* Adds a measured node, for which there is room, to the candidates unless it is farther than a full set of answers.
 * Returns whether it was added. */
static inline bool offer(rhumb__scratch *scratch, uint32_t slot, float distance) {
    if (!rhumb__candidate_pool_accepts(&scratch->answers, distance)) return false;
    rhumb__candidate_heap_add(&scratch->queue, slot, distance);
    return true;
}

/* Puts a slot and its row, which is prefetched, at `at` of scratch->batch and scratch->rows. */
static inline void put(selective_walk *walk, uint32_t at, uint32_t slot) {
    RHUMB_ASSERT_DEBUG(at < RHUMB__BATCH_MAX);
    walk->scratch->batch[at] = slot;
    walk->scratch->rows[at] = rhumb__measure_prefetch(&walk->scratch->measured, slot);
}

/* Measures the `count` nodes that have been put, which may be answers, and offers them to the walk. */
static void offer_answers(selective_walk *walk, uint32_t count) {
    rhumb__scratch *scratch = walk->scratch;
    rhumb__measure_rows(walk->graph, scratch, count);
    walk->measured_count += count;
    for (uint32_t i = 0; i < count; i++) {
        if (!offer(scratch, scratch->batch[i], scratch->distances[i])) continue;
        rhumb__candidate_pool_add(&scratch->answers, scratch->batch[i], scratch->distances[i]);
    }
}

/* Whether a bridging walk may walk through more failing nodes. */
static inline bool has_waypoints_left(const selective_walk *walk) {
    return walk->waypoint_count < (uint64_t)RHUMB__FILTER_WAYPOINTS_PER_ANSWER * walk->scratch->answers.capacity;
}

/* Offers `count` failing nodes to a bridging walk as waypoints. */
static void offer_failing(selective_walk *walk, const uint32_t *failing, uint32_t count) {
    rhumb__scratch *scratch = walk->scratch;
    for (uint32_t i = 0; i < count; i++) put(walk, i, failing[i]);
    rhumb__measure_rows(walk->graph, scratch, count);
    walk->measured_count += count;
    for (uint32_t i = 0; i < count; i++) {
        if (offer(scratch, scratch->batch[i], scratch->distances[i])) walk->waypoint_count++;
    }
}

/* Measures the `count` nodes that have been put, and offers them to the walk, which checks those that are near enough.
 */
static void offer_unchecked(selective_walk *walk, uint32_t count) {
    rhumb__scratch *scratch = walk->scratch;
    rhumb__measure_rows(walk->graph, scratch, count);
    walk->measured_count += count;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t slot = scratch->batch[i];
        if (!offer(scratch, slot, scratch->distances[i]) || !passes(walk, slot)) continue;
        rhumb__candidate_pool_add(&scratch->answers, slot, scratch->distances[i]);
    }
}

/* ---- steps ---- */

static inline void prefetch_key(const rhumb__graph *graph, uint32_t slot) {
    __builtin_prefetch(rhumb__section_row(&graph->sections[RHUMB__SECTION_KEYS], slot), 0, 3);
}

/* Visits the neighbours of a node. */
static void expand_plainly(selective_walk *walk, uint32_t slot) {
    rhumb__scratch *scratch = walk->scratch;
    const rhumb__list list = rhumb__graph_list(walk->graph, slot, 0);
    const uint32_t count = rhumb__walk_gather(scratch, &list, &scratch->visited, scratch->slot_limit);
    walk->scanned_count += list.capacity;
    if (scratch->queue.count > 0) {
        rhumb__walk_prefetch_list(walk->graph, rhumb__candidate_slot(scratch->queue.entries[0]));
    }
    if (walk->estimate->filter != NULL) {
        for (uint32_t i = 0; i < count; i++) prefetch_key(walk->graph, scratch->batch[i]);
    }
    offer_unchecked(walk, count);
}

/* Visits the neighbours of a node by its row, and checks the node itself if it is unchecked. */
static void expand_by_row(selective_walk *walk, rhumb__candidate candidate) {
    rhumb__scratch *scratch = walk->scratch;
    const uint32_t slot = rhumb__candidate_slot(candidate);
    const uint32_t after =
        scratch->queue.count > 0 ? rhumb__candidate_slot(scratch->queue.entries[0]) : RHUMB__SLOT_NONE;
    rhumb__row_reader_expect(&walk->reader, slot, after);
    rhumb__row_node node = {slot, rhumb__row_reader_distance(&walk->reader, slot), INFINITY};
    if ((candidate.slot_mark & UNCHECKED) != 0 && passes(walk, slot)) {
        rhumb__candidate_pool_add(&scratch->answers, slot, node.distance);
    }
    if (scratch->answers.count == scratch->answers.capacity) {
        node.bound = rhumb__candidate_pool_farthest(&scratch->answers).distance;
    }
    const uint32_t count = rhumb__row_reader_neighbours(&walk->reader, &node);
    walk->scanned_count += walk->graph->params.M0;
    walk->measured_count += 1;
    for (uint32_t i = 0; i < count; i++) {
        if (!offer(scratch, scratch->batch[i] | UNCHECKED, scratch->distances[i])) {
            (void)rhumb__visited_remove(&scratch->visited, scratch->batch[i]);
        }
    }
}

/* Lets a walk that does not bridge read rows from now on, if there are any. */
static void begin_rows(selective_walk *walk) {
    walk->by_rows = !walk->bridges && rhumb__row_reader_pays(walk->graph, walk->scratch);
    if (walk->by_rows) rhumb__row_reader_begin(walk->graph, walk->scratch, &walk->reader);
}

/* Reads the neighbours of a node into scratch->list, and prefetches their keys. */
static uint32_t read_list(selective_walk *walk, uint32_t slot) {
    rhumb__scratch *scratch = walk->scratch;
    const uint32_t count = rhumb__graph_neighbours(walk->graph, slot, scratch->slot_limit, scratch->list);
    for (uint32_t i = 0; i < count; i++) prefetch_key(walk->graph, scratch->list[i]);
    walk->scanned_count += count;
    return count;
}

/* Scans the lists of `failing` nodes for matching ones, until a list's worth of those has been put, of which pass_count
 * have been already. Nodes whose lists are not scanned go into the failing set. Returns how many have been put. */
static uint32_t bridge(selective_walk *walk, const uint32_t *failing, uint32_t failing_count, uint32_t pass_count) {
    rhumb__scratch *scratch = walk->scratch;
    const uint32_t wanted_count = walk->graph->params.M0;
    uint32_t i = 0;
    for (uint32_t k = 0; k < failing_count && k < LISTS_AHEAD; k++) rhumb__walk_prefetch_list(walk->graph, failing[k]);
    for (; i < failing_count && pass_count < wanted_count; i++) {
        if (i + LISTS_AHEAD < failing_count) rhumb__walk_prefetch_list(walk->graph, failing[i + LISTS_AHEAD]);
        const uint32_t count = read_list(walk, failing[i]);
        for (uint32_t k = 0; k < count; k++) {
            const uint32_t slot = scratch->list[k];
            if (rhumb__visited_add(&scratch->visited, slot)) continue;
            if (passes(walk, slot)) {
                put(walk, pass_count++, slot);
            } else {
                (void)rhumb__visited_add(&scratch->failing, slot);
            }
        }
    }
    for (; i < failing_count; i++) (void)rhumb__visited_add(&scratch->failing, failing[i]);
    return pass_count;
}

/* Visits the neighbours of a node that match, and the neighbours of the others if these are too few. */
static void expand_bridging(selective_walk *walk, uint32_t slot) {
    rhumb__scratch *scratch = walk->scratch;
    uint32_t failing[RHUMB__M0_MAX];
    uint32_t pass_count = 0, failing_count = 0;
    const uint32_t count = read_list(walk, slot);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t neighbour = scratch->list[i];
        if (rhumb__visited_add(&scratch->visited, neighbour)) {
            if (rhumb__visited_remove(&scratch->failing, neighbour)) failing[failing_count++] = neighbour;
        } else if (passes(walk, neighbour)) {
            put(walk, pass_count++, neighbour);
        } else {
            failing[failing_count++] = neighbour;
        }
    }
    const bool is_local = pass_count >= RHUMB__FILTER_LOCAL_SHARE * (pass_count + failing_count);
    if (!is_local) {
        offer_answers(walk, bridge(walk, failing, failing_count, pass_count));
        return;
    }
    offer_answers(walk, pass_count);
    if (has_waypoints_left(walk)) offer_failing(walk, failing, failing_count);
}

/* Measures nodes of the sample, of copies their heads, and offers them. */
static rhumb_status offer_seeds(selective_walk *walk) {
    rhumb__scratch *scratch = walk->scratch;
    uint32_t count = 0;
    rhumb_status status = reserve(walk);
    for (uint32_t i = 0; status == RHUMB_OK && i < scratch->seed_count; i++) {
        const uint32_t slot = rhumb__graph_head(walk->graph, scratch->seeds[i]);
        if (slot >= scratch->slot_limit || rhumb__visited_add(&scratch->visited, slot)) continue;
        if (passes(walk, slot)) put(walk, count++, slot);
    }
    if (status == RHUMB_OK) offer_answers(walk, count);
    return status;
}

/* Estimates what the walk has cost, in nanoseconds. */
static double cost_of(const selective_walk *walk) {
    return (double)walk->measured_count * rhumb__filter_walk_distance_ns(walk->graph) +
           (double)walk->scanned_count * RHUMB__FILTER_HOP_NS +
           (double)(walk->met_count + walk->followed_count) * rhumb__filter_test_ns(walk->estimate->filter) +
           (double)walk->followed_count * RHUMB__FILTER_HOP_NS;
}

/* Whether an exact search, which costs exact_ns, is cheaper than continuing the walk. */
static bool is_hopeless(const selective_walk *walk, double exact_ns) {
    const double cost_ns = cost_of(walk);
    const rhumb__candidate_pool *answers = &walk->scratch->answers;
    if (cost_ns < exact_ns * RHUMB__FILTER_DOUBT_SHARE) return false;
    if (cost_ns > exact_ns * RHUMB__FILTER_PATIENCE) return true;
    return !walk->is_patient && cost_ns * (answers->capacity - answers->count) > exact_ns * answers->count;
}

/* Expands candidates until none is left that can lead to a nearer answer, or `expansion_max` have been. *hopeless_out
 * is whether it stopped because an exact search is cheaper. */
static rhumb_status advance(selective_walk *walk, uint64_t expansion_max, double exact_ns, bool *hopeless_out) {
    rhumb_status status = RHUMB_OK;
    rhumb__candidate candidate;
    *hopeless_out = false;
    for (uint64_t i = 0; i < expansion_max && next_candidate(walk->scratch, &candidate); i++) {
        *hopeless_out = is_hopeless(walk, exact_ns);
        if (*hopeless_out) break;
        RHUMB_TRY(reserve(walk));
        if (walk->by_rows) {
            expand_by_row(walk, candidate);
        } else if (walk->bridges) {
            expand_bridging(walk, rhumb__candidate_slot(candidate));
        } else {
            expand_plainly(walk, rhumb__candidate_slot(candidate));
        }
    }
done:
    return status;
}

/* ---- whole walks ---- */

/* The matching nodes are far from the query: none of the candidates leads to them, so the walk begins again at those of
 * the sample, more broadly. */
static rhumb_status begin_far(selective_walk *walk) {
    rhumb__scratch *scratch = walk->scratch;
    scratch->queue.count = 0;
    scratch->answers.capacity = walk->far_ef;
    return offer_seeds(walk);
}

/* Measures the unlinked nodes that match. */
static rhumb_status offer_unlinked(selective_walk *walk, rhumb__unlinked_scan *scan) {
    rhumb_status status = RHUMB_OK;
    rhumb__scratch *scratch = walk->scratch;
    uint32_t count;
    while ((count = rhumb__unlinked_scan_gather(scan, scratch, &scratch->visited, scratch->slot_limit)) > 0) {
        uint32_t pass_count = 0;
        RHUMB_TRY(reserve(walk));
        for (uint32_t i = 0; i < count; i++) {
            const uint32_t slot = scratch->batch[i];
            if (passes(walk, slot)) put(walk, pass_count++, slot);
        }
        offer_answers(walk, pass_count);
    }
done:
    return status;
}

/* Whether some of a node's neighbours match. */
static bool are_matches_around(selective_walk *walk, uint32_t slot) {
    const uint32_t count = read_list(walk, slot);
    uint32_t match_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (rhumb__filter_passes(walk->graph, walk->estimate->filter, walk->scratch->list[i])) match_count++;
    }
    return match_count >= RHUMB__FILTER_PEEK_COUNT;
}

/* Walks as the caller has chosen. */
static rhumb_status run_planned(selective_walk *walk) {
    rhumb_status status = RHUMB_OK;
    bool hopeless;
    walk->bridges = walk->estimate->plan == RHUMB__FILTER_PLAN_BRIDGE;
    if (walk->bridges) RHUMB_TRY(offer_seeds(walk));
    begin_rows(walk);
    status = advance(walk, UINT64_MAX, INFINITY, &hopeless);
done:
    return status;
}

/* Walks a few steps, chooses how to continue, and continues. *exact_out is whether an exact search is better. */
static rhumb_status run_probing(selective_walk *walk, uint32_t start_slot, bool *exact_out) {
    rhumb_status status = RHUMB_OK;
    const rhumb__filter_estimate *estimate = walk->estimate;
    *exact_out = rhumb__filter_plan_peeks(walk->graph, estimate) && !are_matches_around(walk, start_slot);
    if (*exact_out) goto done;
    RHUMB_TRY(advance(walk, RHUMB__FILTER_PROBE_EXPANSIONS, INFINITY, exact_out));
    const double local_share = ((double)walk->passed_count + 0.5) / ((double)walk->met_count + 0.5);
    const rhumb__filter_decision decision = rhumb__filter_plan_decide(walk->graph, estimate, local_share, walk->ef);
    *exact_out = decision.plan == RHUMB__FILTER_PLAN_EXACT;
    if (*exact_out) goto done;
    walk->bridges = decision.plan == RHUMB__FILTER_PLAN_BRIDGE;
    walk->is_patient = decision.is_patient;
    if (decision.begins_far) RHUMB_TRY(begin_far(walk));
    begin_rows(walk);
    status = advance(walk, UINT64_MAX, estimate->exact_ns, exact_out);
done:
    return status;
}

/* Walks from `start`. *exact_out is whether an exact search is better than what the walk has found. */
static rhumb_status run_from(selective_walk *walk, rhumb__nearest start, bool *exact_out) {
    rhumb_status status = RHUMB_OK;
    rhumb__scratch *scratch = walk->scratch;
    const rhumb__filter_estimate *estimate = walk->estimate;
    RHUMB_TRY(reserve(walk));
    *exact_out = false;
    if (!rhumb__visited_add(&scratch->visited, start.slot)) {
        put(walk, 0, start.slot);
        offer_unchecked(walk, 1);
    }
    if (estimate->plan != RHUMB__FILTER_PLAN_AUTO) {
        status = run_planned(walk);
    } else if (estimate->filter == NULL) {
        begin_rows(walk);
        status = advance(walk, UINT64_MAX, estimate->exact_ns, exact_out);
    } else {
        status = run_probing(walk, start.slot, exact_out);
    }
done:
    return status;
}

rhumb_status rhumb__selective_walk(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__search_goal *goal,
                                   const rhumb__filter_estimate *estimate, bool *finished_out) {
    rhumb_status status;
    RHUMB_ASSERT_DEBUG(estimate->filter == goal->filter && estimate->plan != RHUMB__FILTER_PLAN_EXACT);
    selective_walk walk = {.graph = graph, .scratch = scratch, .estimate = estimate, .ef = goal->ef};
    walk.far_ef = estimate->filter == NULL ? goal->ef : rhumb__filter_plan_far_ef(estimate, goal->ef);
    walk.has_dead = atomic_load(&graph->dead_count) > 0;
    rhumb__unlinked_scan scan = rhumb__unlinked_scan_begin(graph);
    bool exact = false;
    *finished_out = false;
    scratch->queue.count = 0;
    RHUMB_TRY(rhumb__scratch_prepare_search(scratch, goal->ef));
    RHUMB_TRY(rhumb__scratch_prepare_answers(scratch, walk.far_ef));
    scratch->answers.capacity = goal->ef;
    uint32_t top;
    const rhumb__nearest start = rhumb__walk_descend(graph, scratch, 0, &top);
    RHUMB_TRY(rhumb__scratch_prepare_filter(scratch));
    if (start.slot != RHUMB__SLOT_NONE) {
        status = run_from(&walk, start, &exact);
        if (walk.by_rows) rhumb__row_reader_end(&walk.reader);
        if (status != RHUMB_OK) goto done;
    }
    if (exact) goto done;
    RHUMB_TRY(offer_unlinked(&walk, &scan));
    /* A bridging walk that ran out of candidates may have found no way to other matching nodes. */
    rhumb__candidate_pool_settle(&scratch->answers);
    const uint32_t found_count = scratch->answers.count;
    *finished_out = !walk.bridges || found_count >= goal->ef || found_count > estimate->match_count * 0.5;
done:
    return status;
}
