/* filter_plan.h - choosing how to carry out a search of which only some nodes may be answers, with all the constants of
 * that choice. These are the live nodes whose keys match the filter; without a filter, the live nodes.
 *
 * There are three ways, each of them the best for some filters (bench/filter.cc compares them):
 *   exact    measures every matching vector. Its cost grows with their number, and its recall is 1.
 *   bridge   walks over matching nodes only; where a list has too few of them, it scans the lists of the failing ones
 *            for matching nodes, two hops away (ACORN-1: Patel et al., arXiv 2403.04871, section 5).
 *   walk     walks over all nodes and keeps the matching ones, as hnswlib does. It has to reach 1 / share times as
 *            many nodes as a search without a filter.
 *
 * The plan compares estimates of what each costs, in nanoseconds of the kind of machine that the numbers were measured
 * on; only their ratios matter. It depends on the share of all nodes that match, known from a sample, and on the share
 * around the query, known from the first steps of a walk. Where the second is far below the first, the matching nodes
 * are far from the query: all of them are about equally far, a walk has no direction, and must be several times as
 * broad to find the nearest; or it passes all that is nearer, which is little where most nodes match. A walk that costs
 * more than estimated is abandoned for the exact way.
 *
 * Without a filter, most nodes are alive as a rule, and where they are not, the nearest live ones are just beyond the
 * deleted ones. So the way is then a walk over all nodes, or the exact one where that costs less.
 */
#ifndef RHUMB_ENGINE_SEARCH_WALK_FILTER_PLAN_H
#define RHUMB_ENGINE_SEARCH_WALK_FILTER_PLAN_H

#include "engine/graph/graph.h"
#include "engine/search/walk/filter.h"

/* The sample ends with this many matching slots, or after this many slots. */
#define RHUMB__FILTER_SEED_MAX 32u
#define RHUMB__FILTER_SAMPLE_MAX 256u

/* Nodes that a walk expands before it decides how to continue. The exact way is taken at once where it costs less than
 * PROBE_WORTH times these first steps. */
#define RHUMB__FILTER_PROBE_EXPANSIONS 6u
#define RHUMB__FILTER_PROBE_WORTH 6.0

/* Where the exact way costs less than PEEK_WORTH times those first steps, and at most PEEK_SHARE_MAX of the nodes
 * match, it is taken if fewer than PEEK_COUNT neighbours of the walk's first node do: reading them costs next to
 * nothing. */
#define RHUMB__FILTER_PEEK_WORTH 30.0
#define RHUMB__FILTER_PEEK_SHARE_MAX 0.03
#define RHUMB__FILTER_PEEK_COUNT 3u

/* The matching nodes are far from the query if their share around it is below FAR_SHARE of their share overall. A
 * bridging walk then begins at the nodes of the sample and is FAR_BREADTH times as broad, or FAR_SPARSE_BREADTH times
 * where less than FAR_DENSE_SHARE of all nodes match, if that costs less than FAR_WORTH of the exact way. */
#define RHUMB__FILTER_FAR_SHARE 0.4
#define RHUMB__FILTER_FAR_BREADTH 8u
#define RHUMB__FILTER_FAR_SPARSE_BREADTH 16u
#define RHUMB__FILTER_FAR_DENSE_SHARE 0.3
#define RHUMB__FILTER_FAR_EF_MAX 65536u
#define RHUMB__FILTER_FAR_WORTH 0.8

/* A list of which at least this share matches is walked over as it is; below that, the walk searches for bridges. */
#define RHUMB__FILTER_LOCAL_SHARE 0.5

/* Failing nodes that a bridging walk walks through, for each answer that it keeps. Where the matching nodes are far,
 * all the failing ones around the query are nearer, and would all be walked through first. */
#define RHUMB__FILTER_WAYPOINTS_PER_ANSWER 16u

/* Below this share of matching nodes, nodes two hops away hold too few of them for a walk to hold together. */
#define RHUMB__FILTER_BRIDGE_SHARE_MIN 0.03

/* With the same breadth, a walk over all nodes finds more than a bridging one, because it meets 1 / share times as many
 * nodes. To find as much, a bridging walk has to be about this many times as broad, and its cost is estimated for that.
 */
#define RHUMB__FILTER_BRIDGE_BREADTH 3.0

/* A walk is abandoned when it has cost DOUBT_SHARE of the exact way and finding the rest would cost more than the exact
 * way; or when it has cost PATIENCE times the exact way. */
#define RHUMB__FILTER_DOUBT_SHARE 0.15
#define RHUMB__FILTER_PATIENCE 1.5

/* Costs in nanoseconds. */
#define RHUMB__FILTER_DISTANCE_NS 20.0      /* a distance, whatever the length of the rows */
#define RHUMB__FILTER_DISTANCE_BYTE_NS 0.06 /* and for each byte of a row */
#define RHUMB__FILTER_SLOT_NS 2.0           /* one slot of a scan */
#define RHUMB__FILTER_LOOKUP_NS 80.0        /* from a key to its slot */
#define RHUMB__FILTER_HOP_NS 8.0            /* one neighbour of a list: visited or not, its key */
#define RHUMB__FILTER_NEW_SHARE 0.4         /* of a list's neighbours, how many a walk has not met before */
#define RHUMB__FILTER_BRIDGE_NEW_SHARE 0.8  /* measured in each step of a bridging walk, as a share of a list */
#define RHUMB__FILTER_FAR_NEW_SHARE 0.25    /* the same for one that is many times as broad */
#define RHUMB__FILTER_PASSING_DISTANCES 2.3 /* what a walk costs for each failing node nearer than the first match */

/* What is known before a search of the nodes that may be answers, and how the search is to begin. */
typedef struct rhumb__filter_estimate {
    const rhumb__filter *filter; /* NULL: there is none, and all live nodes match */
    rhumb__filter_plan plan;     /* how to begin: the exact way, what the caller insists on, or
                                    RHUMB__FILTER_PLAN_AUTO for a walk that decides after its first steps */
    double share;                /* of all slots, those that are alive and match */
    double match_count;          /* how many these are, or at most are */
    double list_count;           /* keys that would have to be looked up one by one; infinity: they cannot be listed */
    bool by_list;                /* an exact search looks the keys up; otherwise it scans every slot */
    double exact_ns;             /* what the exact way is estimated to cost */
} rhumb__filter_estimate;

static inline double rhumb__filter_distance_ns(const rhumb__graph *graph) {
    return RHUMB__FILTER_DISTANCE_NS + RHUMB__FILTER_DISTANCE_BYTE_NS * graph->space.row_bytes;
}

/* The same in a walk, which measures codes if there are. */
static inline double rhumb__filter_walk_distance_ns(const rhumb__graph *graph) {
    const uint32_t row_bytes = graph->coded ? graph->coder.code_bytes : graph->space.row_bytes;
    return RHUMB__FILTER_DISTANCE_NS + RHUMB__FILTER_DISTANCE_BYTE_NS * row_bytes;
}

/* Returns the cost of checking one node: against the filter, or whether it is alive. */
static inline double rhumb__filter_test_ns(const rhumb__filter *filter) {
    if (filter == NULL) return 1.0;
    switch (filter->kind) {
    case RHUMB__FILTER_KEYS: return 2.0 * (64 - __builtin_clzll(filter->key_count | 1));
    case RHUMB__FILTER_BITMAP: return 1.0;
    default: return 10.0;
    }
}

/* Fills in plan, by_list and exact_ns, which follow from the rest. */
void rhumb__filter_plan_begin(const rhumb__graph *graph, uint64_t slot_count, rhumb__filter_estimate *estimate);

/* Whether, without a filter, the exact way costs less than a walk over all nodes. */
bool rhumb__filter_plan_is_exact(const rhumb__graph *graph, const rhumb__filter_estimate *estimate, uint32_t ef);

/* Whether a walk is to read the neighbours of its first node before its first steps. */
bool rhumb__filter_plan_peeks(const rhumb__graph *graph, const rhumb__filter_estimate *estimate);

/* How a walk is to continue after its first steps. */
typedef struct rhumb__filter_decision {
    rhumb__filter_plan plan;
    bool begins_far; /* a bridging walk begins again at the nodes of the sample, more broadly */
    bool is_patient; /* few answers at first are as expected, and no reason to abandon the walk */
} rhumb__filter_decision;

/* Returns how broad a bridging walk of breadth `ef` becomes where the matching nodes are far: at least ef. */
uint32_t rhumb__filter_plan_far_ef(const rhumb__filter_estimate *estimate, uint32_t ef);

/* Returns how to continue when a share of `local_share` of the nodes around the query matches. */
rhumb__filter_decision rhumb__filter_plan_decide(const rhumb__graph *graph, const rhumb__filter_estimate *estimate,
                                                 double local_share, uint32_t ef);

#endif /* RHUMB_ENGINE_SEARCH_WALK_FILTER_PLAN_H */
