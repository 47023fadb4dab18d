/* filter_walk.c - walks that keep the nodes whose keys match; filter_plan.h says when each kind is used.
 *
 * A walk treats deleted nodes like nodes that fail the filter: it may pass through them but never returns them. A walk
 * calls the filter once for each node, because a node that it meets again is in the visited set.
 *
 * A bridging walk keeps two sets: the nodes it has met (visited), and of these the ones that failed and whose lists
 * have not been scanned (failing). The list of a failing node that is a neighbour of an expanded one is scanned at most
 * once. A failing node that was only met two hops away stays in the second set, since it may be met as a neighbour
 * later.
 *
 * Takes no lock.
 */
#include <math.h>

#include "base/bits.h"
#include "base/status.h"
#include "engine/graph/tombstones.h"
#include "engine/search/filter_search.h"
#include "engine/search/walk/walk.h"

/* Lists of failing nodes that are prefetched ahead of the one being scanned. */
#define LISTS_AHEAD 4u

typedef struct filter_walk {
    rhumb__graph *graph;
    rhumb__scratch *scratch;
    const rhumb__filter_estimate *estimate;
    uint32_t ef;
    uint32_t far_ef; /* breadth if the matching nodes are far from the query */
    bool bridges;
    bool has_dead;
    uint64_t met_count;    /* nodes that were checked against the filter */
    uint64_t passed_count; /* of these, nodes that matched */
    uint64_t measured_count;
    uint64_t scanned_count; /* entries of lists, of nodes met before among them */
} filter_walk;

static inline bool passes(filter_walk *walk, uint32_t slot) {
    RHUMB_ASSERT_DEBUG(slot < walk->scratch->slot_limit);
    walk->met_count++;
    if (walk->has_dead && rhumb__graph_is_dead(walk->graph, slot)) return false;
    if (!rhumb__filter_matches(walk->estimate->filter, rhumb__graph_key(walk->graph, slot))) return false;
    walk->passed_count++;
    return true;
}

static inline void offer(filter_walk *walk, uint32_t slot, float distance, bool is_answer) {
    if (rhumb__walk_offer(walk->scratch, slot, distance) && is_answer) {
        rhumb__candidate_pool_add(&walk->scratch->answers, slot, distance);
    }
}

/* Puts a slot and its row, which is prefetched, at `at` of scratch->batch and scratch->rows. */
static inline void put(filter_walk *walk, uint32_t at, uint32_t slot) {
    RHUMB_ASSERT_DEBUG(at < RHUMB__BATCH_MAX);
    walk->scratch->batch[at] = slot;
    walk->scratch->rows[at] = rhumb__measure_prefetch(walk->graph, slot, rhumb__measure_prefetch_bytes(walk->graph));
}

/* Measures the nodes that have been put, and offers them to the walk; the first pass_count are answers. */
static void measure_and_offer(filter_walk *walk, uint32_t pass_count, uint32_t count) {
    rhumb__scratch *scratch = walk->scratch;
    rhumb__measure_rows(walk->graph, scratch, count);
    walk->measured_count += count;
    for (uint32_t i = 0; i < count; i++) offer(walk, scratch->batch[i], scratch->distances[i], i < pass_count);
}

/* Reads the neighbours of a node into scratch->list, and prefetches their keys. */
static uint32_t read_list(filter_walk *walk, uint32_t slot) {
    rhumb__scratch *scratch = walk->scratch;
    const uint32_t count = rhumb__graph_neighbours(walk->graph, slot, scratch->slot_limit, scratch->list);
    for (uint32_t i = 0; i < count; i++) {
        __builtin_prefetch(rhumb__section_row(&walk->graph->sections[RHUMB__SECTION_KEYS], scratch->list[i]), 0, 3);
    }
    walk->scanned_count += count;
    return count;
}

/* Scans the lists of `failing` nodes for matching ones, until a list's worth of those has been put, of which pass_count
 * have been already. Nodes whose lists are not scanned go into the failing set. Returns how many have been put. */
static uint32_t bridge(filter_walk *walk, const uint32_t *failing, uint32_t failing_count, uint32_t pass_count) {
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

/* Visits the neighbours of a node, and the neighbours of those if too few match. */
static void expand(filter_walk *walk, uint32_t slot) {
    rhumb__scratch *scratch = walk->scratch;
    uint32_t failing[RHUMB__M0_MAX];
    uint32_t pass_count = 0, failing_count = 0;
    const uint32_t count = read_list(walk, slot);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t neighbour = scratch->list[i];
        if (rhumb__visited_add(&scratch->visited, neighbour)) {
            if (walk->bridges && rhumb__visited_remove(&scratch->failing, neighbour)) {
                failing[failing_count++] = neighbour;
            }
        } else if (passes(walk, neighbour)) {
            put(walk, pass_count++, neighbour);
        } else {
            failing[failing_count++] = neighbour;
        }
    }
    const bool is_local = pass_count >= RHUMB__FILTER_LOCAL_SHARE * (pass_count + failing_count);
    if (walk->bridges && !is_local) {
        pass_count = bridge(walk, failing, failing_count, pass_count);
        measure_and_offer(walk, pass_count, pass_count);
        return;
    }
    for (uint32_t i = 0; i < failing_count; i++) put(walk, pass_count + i, failing[i]);
    measure_and_offer(walk, pass_count, pass_count + failing_count);
}

/* Measures nodes of the sample, and offers them. */
static void offer_seeds(filter_walk *walk) {
    rhumb__scratch *scratch = walk->scratch;
    uint32_t count = 0;
    for (uint32_t i = 0; i < scratch->seed_count; i++) {
        const uint32_t slot = scratch->seeds[i];
        if (slot >= scratch->slot_limit || rhumb__visited_add(&scratch->visited, slot)) continue;
        if (walk->has_dead && rhumb__graph_is_dead(walk->graph, slot)) continue;
        put(walk, count++, slot);
    }
    measure_and_offer(walk, count, count);
}

/* Estimates what the walk has cost, in nanoseconds. */
static double cost_of(const filter_walk *walk) {
    return (double)walk->measured_count * rhumb__filter_distance_ns(walk->graph) +
           (double)walk->scanned_count * RHUMB__FILTER_HOP_NS +
           (double)walk->met_count * rhumb__filter_test_ns(walk->estimate->filter);
}

/* Whether an exact search, which costs exact_ns, is cheaper than continuing the walk. */
static bool is_hopeless(const filter_walk *walk, double exact_ns) {
    const double cost_ns = cost_of(walk);
    const rhumb__candidate_pool *answers = &walk->scratch->answers;
    if (cost_ns < exact_ns * RHUMB__FILTER_DOUBT_SHARE) return false;
    if (cost_ns > exact_ns * RHUMB__FILTER_PATIENCE) return true;
    return cost_ns * (answers->capacity - answers->count) > exact_ns * answers->count;
}

/* Expands candidates until none is left that can lead to a nearer answer, or `expansion_max` have been. Returns false
 * when an exact search is cheaper. */
static bool advance(filter_walk *walk, uint64_t expansion_max, double exact_ns) {
    uint32_t slot;
    for (uint64_t i = 0; i < expansion_max && rhumb__walk_next(walk->scratch, true, &slot); i++) {
        if (is_hopeless(walk, exact_ns)) return false;
        expand(walk, slot);
    }
    return true;
}

/* The matching nodes are far from the query: none of the candidates leads to them, so the walk begins again at those of
 * the sample, more broadly. */
static void begin_far(filter_walk *walk) {
    rhumb__scratch *scratch = walk->scratch;
    rhumb__candidate_pool_clear(&scratch->pool, scratch->pool.capacity);
    scratch->answers.capacity = walk->far_ef;
    offer_seeds(walk);
}

/* Measures the unlinked nodes that match. */
static void offer_unlinked(filter_walk *walk, rhumb__unlinked_scan *scan) {
    rhumb__scratch *scratch = walk->scratch;
    uint32_t count;
    while ((count = rhumb__unlinked_scan_gather(scan, scratch, &scratch->visited, scratch->slot_limit)) > 0) {
        uint32_t pass_count = 0;
        for (uint32_t i = 0; i < count; i++) {
            const uint32_t slot = scratch->batch[i];
            if (passes(walk, slot)) put(walk, pass_count++, slot);
        }
        measure_and_offer(walk, pass_count, pass_count);
    }
}

/* Whether some of a node's neighbours match. */
static bool are_matches_around(filter_walk *walk, uint32_t slot) {
    const uint32_t count = read_list(walk, slot);
    uint32_t match_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (rhumb__filter_passes(walk->graph, walk->estimate->filter, walk->scratch->list[i])) match_count++;
    }
    return match_count >= RHUMB__FILTER_PEEK_COUNT;
}

/* Walks as the caller has chosen. */
static bool run_planned(filter_walk *walk) {
    walk->bridges = walk->estimate->plan == RHUMB__FILTER_PLAN_BRIDGE;
    if (walk->bridges) offer_seeds(walk);
    return advance(walk, UINT64_MAX, INFINITY);
}

/* Walks a few steps, chooses how to continue, and continues. Returns false when an exact search is better. */
static bool run_probing(filter_walk *walk, uint32_t start_slot) {
    bool is_far;
    const rhumb__filter_estimate *estimate = walk->estimate;
    if (rhumb__filter_plan_peeks(walk->graph, estimate) && !are_matches_around(walk, start_slot)) return false;
    if (!advance(walk, RHUMB__FILTER_PROBE_EXPANSIONS, INFINITY)) return false;
    const double local_share = ((double)walk->passed_count + 0.5) / ((double)walk->met_count + 0.5);
    const rhumb__filter_plan plan = rhumb__filter_plan_decide(walk->graph, estimate, local_share, walk->ef, &is_far);
    if (plan == RHUMB__FILTER_PLAN_EXACT) return false;
    walk->bridges = plan == RHUMB__FILTER_PLAN_BRIDGE;
    if (is_far) begin_far(walk);
    return advance(walk, UINT64_MAX, estimate->exact_ns);
}

/* Walks from `start`. Returns false when the walk ended early. */
static bool run_from(filter_walk *walk, rhumb__nearest start) {
    if (!rhumb__visited_add(&walk->scratch->visited, start.slot)) {
        offer(walk, start.slot, start.distance, passes(walk, start.slot));
    }
    return walk->estimate->plan == RHUMB__FILTER_PLAN_AUTO ? run_probing(walk, start.slot) : run_planned(walk);
}

static uint32_t candidate_capacity(const filter_walk *walk) {
    double per_answer = RHUMB__FILTER_CANDIDATES_PER_ANSWER;
    if (walk->estimate->plan == RHUMB__FILTER_PLAN_WALK) {
        per_answer = fmin(per_answer / walk->estimate->share, RHUMB__FILTER_CANDIDATES_PER_ANSWER_MAX);
    }
    return (uint32_t)fmin(walk->ef * per_answer, RHUMB__SLOT_LIMIT);
}

rhumb_status rhumb__filter_walk(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__search_goal *goal,
                                const rhumb__filter_estimate *estimate, bool *finished_out) {
    rhumb_status status;
    RHUMB_ASSERT_DEBUG(estimate->filter == goal->filter && estimate->plan != RHUMB__FILTER_PLAN_EXACT);
    const uint64_t far_ef = rhumb__min_u64((uint64_t)goal->ef * RHUMB__FILTER_FAR_BREADTH, RHUMB__FILTER_FAR_EF_MAX);
    filter_walk walk = {.graph = graph, .scratch = scratch, .estimate = estimate, .ef = goal->ef};
    walk.far_ef = (uint32_t)rhumb__max_u64(far_ef, goal->ef);
    walk.has_dead = atomic_load(&graph->dead_count) > 0;
    rhumb__unlinked_scan scan = rhumb__unlinked_scan_begin(graph);
    *finished_out = false;
    RHUMB_TRY(rhumb__scratch_prepare_search(scratch, candidate_capacity(&walk)));
    RHUMB_TRY(rhumb__scratch_prepare_answers(scratch, walk.far_ef));
    scratch->answers.capacity = goal->ef;
    uint32_t top;
    const rhumb__nearest start = rhumb__walk_descend(graph, scratch, 0, &top);
    RHUMB_TRY(rhumb__scratch_prepare_filter(scratch));
    if (start.slot != RHUMB__SLOT_NONE && !run_from(&walk, start)) goto done;
    offer_unlinked(&walk, &scan);
    /* The walk found fewer than wanted: either it ended too early, or there are no more. Only an exact search can
     * tell. */
    const uint32_t found_count = scratch->answers.count;
    *finished_out =
        found_count >= goal->wanted_count && (found_count >= goal->ef || found_count > estimate->match_count * 0.5);
done:
    return status;
}
