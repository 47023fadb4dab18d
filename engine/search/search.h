/* search.h - one request, one answer: every search of the k nearest, of all within a radius, exact or not, filtered or
 * not, is carried out by rhumb__search_run. (Iterators are apart, see iterator.h.)
 */
#ifndef RHUMB_ENGINE_SEARCH_SEARCH_H
#define RHUMB_ENGINE_SEARCH_SEARCH_H

#include "engine/search/walk/filter_plan.h"
#include "engine/search/walk/scratch.h"

/* What is searched for. Zeros are the defaults. */
typedef struct rhumb__request {
    const void *query;           /* a vector as the caller gave it; NULL: the vector of the node at `like` */
    uint32_t like;               /* a slot whose node can be read */
    const rhumb__hidden *hidden; /* nodes that are taken as not being in the graph, or NULL; not used within a radius */
    uint32_t ef;                 /* breadth of the walk; below the number of answers wanted it is taken as that; 0: the
                                    graph's own */
    const rhumb__filter *filter; /* which keys may be answers; NULL: all */
    const uint64_t *left_out;    /* a key that is not an answer, or NULL; not used within a radius */
    bool exact;                  /* measure every node that may be an answer; not used within a radius */
    bool has_radius;             /* find all nodes within `radius` instead of the nearest */
    float radius;                /* in the metric's own unit; a node at exactly this distance is within it */
} rhumb__request;

/* What is found: keys, nearest first, and their finished distances. */
typedef struct rhumb__answer {
    uint64_t *keys;       /* room for `capacity` */
    float *distances;     /* the same, or NULL */
    uint64_t capacity;    /* how many answers are wanted: the k of a search for the k nearest */
    uint64_t found_count; /* set by the search */
} rhumb__answer;

/* Returns the ef of a request on this graph. */
static inline uint32_t rhumb__request_ef(const rhumb__request *request, const rhumb__graph *graph) {
    return request->ef == 0 ? graph->params.ef_search : request->ef;
}

/* Prepares the query of a request in scratch->query. The failures of rhumb__query_set_vector. */
rhumb_status rhumb__request_set_query(rhumb__scratch *scratch, const rhumb__request *request) RHUMB_NODISCARD;

/* Carries out a request on the graph that the scratch is bound to. The entries of the answer after the last that was
 * found are filled with UINT64_MAX and infinity. Within a radius, `capacity` may be any number; otherwise it is at most
 * RHUMB__SLOT_LIMIT. The failures of rhumb__query_set_vector; RHUMB_E_INVALID: keys of a filter that should ascend do
 * not; RHUMB_E_NOMEM. */
rhumb_status rhumb__search_run(rhumb__scratch *scratch, const rhumb__request *request,
                               rhumb__answer *answer) RHUMB_NODISCARD;

/* ---- between search.c and range_search.c ---- */

/* What a search for the nearest is to find. */
typedef struct rhumb__search_goal {
    const rhumb__filter *filter; /* or NULL */
    uint32_t ef;                 /* breadth of the walk */
} rhumb__search_goal;

/* Walks to the nearest nodes whose groups (graph/ties.h) have members that may be answers. *nearest_out is the pool of
 * the scratch that holds them, or NULL when only an exact search can find them; *estimate says how to make one, in both
 * cases. RHUMB_E_NOMEM. */
rhumb_status rhumb__search_nearest(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__search_goal *goal,
                                   rhumb__filter_estimate *estimate,
                                   rhumb__candidate_pool **nearest_out) RHUMB_NODISCARD;

/* Fills the entries of an answer after the last that was found. */
void rhumb__answer_pad(const rhumb__answer *answer);

/* Finds all nodes within the request's radius, or the nearest of them if the answer has no room for all. The query is
 * in scratch->query. RHUMB_E_NOMEM, RHUMB_E_INVALID. */
rhumb_status rhumb__range_search(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__request *request,
                                 rhumb__answer *answer) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_SEARCH_SEARCH_H */
