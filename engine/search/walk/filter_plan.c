/* filter_plan.c - see filter_plan.h. Every function depends on its arguments alone, so the same search gets the same
 * plan every time.
 */
#include "engine/search/walk/filter_plan.h"

#include <math.h>

#include "base/bits.h"

/* A step of a walk over all nodes measures what it meets. */
static double walk_step_ns(const rhumb__graph *graph, const rhumb__filter *filter) {
    const double M0 = graph->params.M0;
    return M0 * RHUMB__FILTER_HOP_NS +
           RHUMB__FILTER_NEW_SHARE * M0 * (rhumb__filter_walk_distance_ns(graph) + rhumb__filter_test_ns(filter));
}

/* A step of a bridging walk measures new_share of a list, and scans as many neighbours as it takes to find a list's
 * worth of matching ones. */
static double bridge_step_ns(const rhumb__graph *graph, const rhumb__filter *filter, double share, double new_share) {
    const double M0 = graph->params.M0;
    const double scanned_count = fmin(M0 / share, M0 * M0);
    return new_share * M0 * rhumb__filter_walk_distance_ns(graph) +
           scanned_count * (RHUMB__FILTER_HOP_NS + RHUMB__FILTER_NEW_SHARE * rhumb__filter_test_ns(filter));
}

static double probe_ns(const rhumb__graph *graph, const rhumb__filter *filter) {
    return RHUMB__FILTER_PROBE_EXPANSIONS * walk_step_ns(graph, filter);
}

void rhumb__filter_plan_begin(const rhumb__graph *graph, uint64_t slot_count, rhumb__filter_estimate *estimate) {
    const rhumb__filter *filter = estimate->filter;
    const double scan_ns = (double)slot_count * (RHUMB__FILTER_SLOT_NS + rhumb__filter_test_ns(filter));
    const double list_ns = estimate->list_count * RHUMB__FILTER_LOOKUP_NS;
    estimate->by_list = list_ns < scan_ns;
    estimate->exact_ns =
        (estimate->by_list ? list_ns : scan_ns) + estimate->match_count * rhumb__filter_distance_ns(graph);
    estimate->plan = filter == NULL ? RHUMB__FILTER_PLAN_AUTO : filter->plan;
    if (filter == NULL) return;
    const bool is_cheap = estimate->exact_ns < RHUMB__FILTER_PROBE_WORTH * probe_ns(graph, filter);
    if (estimate->plan == RHUMB__FILTER_PLAN_AUTO && is_cheap) estimate->plan = RHUMB__FILTER_PLAN_EXACT;
}

bool rhumb__filter_plan_is_exact(const rhumb__graph *graph, const rhumb__filter_estimate *estimate, uint32_t ef) {
    return estimate->exact_ns < ef * walk_step_ns(graph, estimate->filter);
}

bool rhumb__filter_plan_peeks(const rhumb__graph *graph, const rhumb__filter_estimate *estimate) {
    return estimate->share < RHUMB__FILTER_PEEK_SHARE_MAX &&
           estimate->exact_ns < RHUMB__FILTER_PEEK_WORTH * probe_ns(graph, estimate->filter);
}

uint32_t rhumb__filter_plan_far_ef(const rhumb__filter_estimate *estimate, uint32_t ef) {
    const bool is_dense = estimate->share >= RHUMB__FILTER_FAR_DENSE_SHARE;
    const uint64_t breadth = is_dense ? RHUMB__FILTER_FAR_BREADTH : RHUMB__FILTER_FAR_SPARSE_BREADTH;
    return (uint32_t)rhumb__max_u64(rhumb__min_u64(ef * breadth, RHUMB__FILTER_FAR_EF_MAX), ef);
}

/* A broad bridging walk from the nodes of the sample. For each answer, it reads the lists of its waypoints. */
static double far_bridge_ns(const rhumb__graph *graph, const rhumb__filter_estimate *estimate, uint32_t ef) {
    if (estimate->share < RHUMB__FILTER_BRIDGE_SHARE_MIN) return INFINITY;
    const double step_ns = bridge_step_ns(graph, estimate->filter, estimate->share, RHUMB__FILTER_FAR_NEW_SHARE);
    const double waypoints_ns = RHUMB__FILTER_WAYPOINTS_PER_ANSWER * graph->params.M0 * RHUMB__FILTER_HOP_NS;
    return rhumb__filter_plan_far_ef(estimate, ef) * (step_ns + waypoints_ns);
}

/* A walk that passes all failing nodes before it comes to matching ones. */
static double far_walk_ns(const rhumb__graph *graph, const rhumb__filter_estimate *estimate, uint32_t ef) {
    const double failing_count = estimate->match_count / estimate->share - estimate->match_count;
    return failing_count * RHUMB__FILTER_PASSING_DISTANCES * rhumb__filter_walk_distance_ns(graph) +
           ef * walk_step_ns(graph, estimate->filter);
}

/* Decides where the matching nodes are far from the query: all of them at worst, or only those around it fail. Which of
 * these it is shows only in the walk; so where the exact way would be best at worst and many nodes match, the walk goes
 * on until it is doubtful. */
static rhumb__filter_decision decide_far(const rhumb__graph *graph, const rhumb__filter_estimate *estimate,
                                         uint32_t ef) {
    const double walk_ns = far_walk_ns(graph, estimate, ef);
    const double bridge_ns = far_bridge_ns(graph, estimate, ef);
    const double worth_ns = RHUMB__FILTER_FAR_WORTH * estimate->exact_ns;
    if (walk_ns <= bridge_ns && walk_ns < worth_ns) {
        return (rhumb__filter_decision){.plan = RHUMB__FILTER_PLAN_WALK, .is_patient = true};
    }
    if (bridge_ns < worth_ns) {
        return (rhumb__filter_decision){.plan = RHUMB__FILTER_PLAN_BRIDGE, .begins_far = true, .is_patient = true};
    }
    const bool tries = estimate->share >= RHUMB__FILTER_FAR_DENSE_SHARE;
    return (rhumb__filter_decision){.plan = tries ? RHUMB__FILTER_PLAN_WALK : RHUMB__FILTER_PLAN_EXACT};
}

rhumb__filter_decision rhumb__filter_plan_decide(const rhumb__graph *graph, const rhumb__filter_estimate *estimate,
                                                 double local_share, uint32_t ef) {
    const rhumb__filter *filter = estimate->filter;
    if (local_share < estimate->share * RHUMB__FILTER_FAR_SHARE) return decide_far(graph, estimate, ef);
    const double walk_ns = ef / local_share * walk_step_ns(graph, filter);
    const double step_ns = bridge_step_ns(graph, filter, local_share, RHUMB__FILTER_BRIDGE_NEW_SHARE);
    const double bridge_ns = local_share < RHUMB__FILTER_BRIDGE_SHARE_MIN ? INFINITY : ef * step_ns;
    const bool walks = walk_ns <= RHUMB__FILTER_BRIDGE_BREADTH * bridge_ns;
    const bool is_exact = (walks ? walk_ns : bridge_ns) >= estimate->exact_ns;
    return (rhumb__filter_decision){.plan = is_exact ? RHUMB__FILTER_PLAN_EXACT
                                            : walks  ? RHUMB__FILTER_PLAN_WALK
                                                     : RHUMB__FILTER_PLAN_BRIDGE};
}
