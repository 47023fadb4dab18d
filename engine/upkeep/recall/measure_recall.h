/* measure_recall.h - measuring how much of the truth searches find, at a ladder of ef: the curve of recall_curve.h.
 *
 * Queries are the caller's, or a sample of the index's own vectors. A vector of the index is an easy query: the walk
 * arrives at its node, whose list has its nearest neighbours. So the nodes of the sample are taken out of the graph
 * (hide.h), in a copy that this process alone sees; and they count as neighbours
 * of no query. A vector of a group of equal ones stays: without it the graph would be the same.
 */
#ifndef RHUMB_ENGINE_UPKEEP_RECALL_MEASURE_RECALL_H
#define RHUMB_ENGINE_UPKEEP_RECALL_MEASURE_RECALL_H

#include "base/progress.h"
#include "engine/graph/graph.h"

/* Steps of progress of a whole measurement. */
#define RHUMB__RECALL_STEPS 1000u

typedef struct rhumb__recall_request {
    const void *queries;       /* one after the other, as the caller gave them; NULL: a sample of the index */
    uint32_t query_count;      /* of the queries, or how many to sample; 1 to RHUMB__RECALL_QUERY_COUNT_MAX */
    uint64_t seed;             /* of the sample */
    uint32_t thread_count;     /* 0: one per processor */
    rhumb__progress *progress; /* its total is RHUMB__RECALL_STEPS */
} rhumb__recall_request;

/* Measures. The graph is one that a reader has opened and that no other thread uses; its lists in memory are not those
 * of the file afterwards. The result is the same for every number of threads. `curve` is complete on RHUMB_OK except
 * for its lsn.
 *
 * RHUMB_E_NOTFOUND                                       there are no vectors, or too few to take one out
 * RHUMB_E_NOT_FINITE, RHUMB_E_DOMAIN, RHUMB_E_INVALID    of a query, which the message names
 * RHUMB_E_CANCELLED, RHUMB_E_NOMEM, RHUMB_E_IO */
rhumb_status rhumb__recall_measure(rhumb__graph *graph, const rhumb__recall_request *request,
                                   rhumb__recall_curve *curve) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_UPKEEP_RECALL_MEASURE_RECALL_H */
