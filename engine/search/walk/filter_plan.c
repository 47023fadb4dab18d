/* filter_plan.c - see filter_plan.h. Every function depends on its arguments alone, so the same search gets the same
 * plan every time.
 */
#include "engine/search/walk/filter_plan.h"

#include <math.h>

/* A step of a walk over all nodes measures what it meets. */
static double walk_step_ns(const rhumb__graph *graph, const rhumb__filter *filter) {
    const double M0 = graph->params.M0;
    return M0 * RHUMB__FILTER_HOP_NS +
           RHUMB__FILTER_NEW_SHARE * M0 * (rhumb__filter_distance_ns(graph) + rhumb__filter_test_ns(filter));
}

/* A step of a bridging walk scans as many neighbours as it takes to find a list's worth of matching ones. */
static double bridge_step_ns(const rhumb__graph *graph, const rhumb__filter *filter, double share) {
    const double M0 = graph->params.M0;
    const double scanned_count = fmin(M0 / share, M0 * M0);
    return RHUMB__FILTER_BRIDGE_NEW_SHARE * M0 * rhumb__filter_distance_ns(graph) +
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

rhumb__filter_plan rhumb__filter_plan_decide(const rhumb__graph *graph, const rhumb__filter_estimate *estimate,
                                             double local_share, uint32_t ef, bool *far_out) {
    const rhumb__filter *filter = estimate->filter;
    *far_out = local_share < estimate->share * RHUMB__FILTER_FAR_SHARE;
    if (*far_out) {
        const double far_ns = (double)RHUMB__FILTER_FAR_BREADTH * ef * bridge_step_ns(graph, filter, estimate->share);
        return estimate->share >= RHUMB__FILTER_BRIDGE_SHARE_MIN &&
                       far_ns < RHUMB__FILTER_FAR_WORTH * estimate->exact_ns
                   ? RHUMB__FILTER_PLAN_BRIDGE
                   : RHUMB__FILTER_PLAN_EXACT;
    }
    const double walk_ns = ef / local_share * walk_step_ns(graph, filter);
    const double bridge_ns =
        local_share < RHUMB__FILTER_BRIDGE_SHARE_MIN ? INFINITY : ef * bridge_step_ns(graph, filter, local_share);
    const bool walks = walk_ns <= RHUMB__FILTER_BRIDGE_BREADTH * bridge_ns;
    if ((walks ? walk_ns : bridge_ns) >= estimate->exact_ns) return RHUMB__FILTER_PLAN_EXACT;
    return walks ? RHUMB__FILTER_PLAN_WALK : RHUMB__FILTER_PLAN_BRIDGE;
}
