/* filter_plan.h - which way to carry out a filtered search, and all the numbers that decide it.
 *
 * Three ways, each the best somewhere (bench/filter.cc measures them against each other):
 *   exact    measures every matching vector. Its cost grows with their number, and its recall is 1.
 *   bridge   walks over matching nodes only; where a list has too few of them, it looks through the failing ones at
 *            their neighbours, two hops away (ACORN-1: Patel et al., arXiv 2403.04871, section 5).
 *   walk     walks over all nodes and keeps the matching ones, as hnswlib does. It has to reach 1 / share times as
 *            many nodes as a search without a filter.
 *
 * The plan is a guess at what each costs, in nanoseconds of the kind of machine that the numbers were measured on; only
 * their ratios matter. It goes by the share of all nodes that match, which a sample tells, and by the share around the
 * query, which the first steps of a walk tell. Where the second is far below the first, the matching nodes are far from
 * the query: all of them are about equally far, a walk has no direction, and must be several times as broad to find
 * the nearest. A walk that comes to cost more than thought is given up for the exact way.
 */
#ifndef RHUMB_ENGINE_SEARCH_FILTER_PLAN_H
#define RHUMB_ENGINE_SEARCH_FILTER_PLAN_H

#include "engine/graph/graph.h"
#include "engine/search/filter.h"

/* The sample ends with this many matching slots, or after this many slots. */
#define RHUMB__FILTER_SEED_MAX 32u
#define RHUMB__FILTER_SAMPLE_MAX 256u

/* Nodes that a walk expands before it decides how to go on. The exact way is taken at once where it costs less than
 * this many times that. */
#define RHUMB__FILTER_PROBE_EXPANSIONS 6u
#define RHUMB__FILTER_PROBE_WORTH 6.0

/* Where the exact way costs less than this many times those first steps, and few nodes match, it is taken already if
 * fewer than so many neighbours of the node that a walk would begin at do: looking at them costs next to nothing. */
#define RHUMB__FILTER_PEEK_WORTH 30.0
#define RHUMB__FILTER_PEEK_SHARE_MAX 0.03
#define RHUMB__FILTER_PEEK_COUNT 3u

/* The matching nodes are far from the query if they are rarer around it than this share of what they are overall. A
 * bridging walk is then so many times broader, from the nodes of the sample on, if it costs less than a part of the
 * exact way. */
#define RHUMB__FILTER_FAR_SHARE 0.4
#define RHUMB__FILTER_FAR_BREADTH 16u
#define RHUMB__FILTER_FAR_EF_MAX 65536u
#define RHUMB__FILTER_FAR_WORTH 0.6

/* A list of which at least this share matches is walked over as it is; below that, bridges are looked for. */
#define RHUMB__FILTER_LOCAL_SHARE 0.5

/* Below this share of matching nodes, nodes two hops away hold too few of them for a walk to hold together. */
#define RHUMB__FILTER_BRIDGE_SHARE_MIN 0.03

/* With the same breadth, a walk over all nodes finds more than a bridging one, because it meets 1 / share times as many
 * nodes. To find as much, the latter has to be about so many times as broad, which is what its cost is taken for. */
#define RHUMB__FILTER_BRIDGE_BREADTH 3.0

/* Candidates that a walk remembers for each answer it is to find; and when the caller insists on walking over all
 * nodes, at most this many. */
#define RHUMB__FILTER_CANDIDATES_PER_ANSWER 8u
#define RHUMB__FILTER_CANDIDATES_PER_ANSWER_MAX 64u

/* When to give a walk up: it has cost this share of the exact way, and finding the rest would cost more than that; or
 * it has cost so many times the exact way. */
#define RHUMB__FILTER_DOUBT_SHARE 0.15
#define RHUMB__FILTER_PATIENCE 1.5

/* What things cost, in nanoseconds. */
#define RHUMB__FILTER_DISTANCE_NS 20.0      /* a distance, whatever the length of the rows */
#define RHUMB__FILTER_DISTANCE_BYTE_NS 0.06 /* and for each byte of a row */
#define RHUMB__FILTER_SLOT_NS 2.0           /* looking at one slot of a scan */
#define RHUMB__FILTER_LOOKUP_NS 80.0        /* from a key to its slot */
#define RHUMB__FILTER_HOP_NS 8.0            /* finding out about one neighbour of a list: visited or not, its key */
#define RHUMB__FILTER_NEW_SHARE 0.4         /* of a list's neighbours, how many a walk has not met before */
#define RHUMB__FILTER_BRIDGE_NEW_SHARE 0.8  /* measured in each step of a bridging walk, as a share of a list */

typedef struct rhumb__filter_estimate {
    double share;       /* of all slots, those that are alive and match */
    double match_count; /* how many these are, or at most are */
    double list_count;  /* keys that would have to be looked up one by one; infinity when they cannot be listed */
    bool by_list;       /* an exact search looks the keys up; otherwise it looks at every slot */
    double exact_ns;    /* what the exact way is thought to cost */
} rhumb__filter_estimate;

static inline double rhumb__filter_distance_ns(const rhumb__graph *graph) {
    return RHUMB__FILTER_DISTANCE_NS + RHUMB__FILTER_DISTANCE_BYTE_NS * graph->space.row_bytes;
}

/* What asking the filter about one key costs. */
static inline double rhumb__filter_test_ns(const rhumb__filter *filter) {
    switch (filter->kind) {
    case RHUMB__FILTER_KEYS: return 2.0 * (64 - __builtin_clzll(filter->key_count | 1));
    case RHUMB__FILTER_BITMAP: return 1.0;
    default: return 10.0;
    }
}

/* Fills in what follows from share, match_count and list_count. Returns how to begin: the exact way, what the caller
 * insists on, or RHUMB__FILTER_PLAN_AUTO for a walk that decides after its first steps. */
rhumb__filter_plan rhumb__filter_plan_begin(const rhumb__graph *graph, const rhumb__filter *filter, uint64_t slot_count,
                                            rhumb__filter_estimate *estimate);

/* Whether the neighbours of the first node are to be looked at before the first steps of a walk. */
bool rhumb__filter_plan_peeks(const rhumb__graph *graph, const rhumb__filter *filter,
                              const rhumb__filter_estimate *estimate);

/* How to go on when a share of `local_share` of the nodes around the query matches. *far_out is whether the matching
 * nodes are far from it. */
rhumb__filter_plan rhumb__filter_plan_decide(const rhumb__graph *graph, const rhumb__filter *filter,
                                             const rhumb__filter_estimate *estimate, double local_share, uint32_t ef,
                                             bool *far_out);

#endif /* RHUMB_ENGINE_SEARCH_FILTER_PLAN_H */
