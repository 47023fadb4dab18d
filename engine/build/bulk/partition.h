/* partition.h - finds candidates: cuts nodes into small overlapping sets, and measures all pairs of each.
 *
 * A set is cut by *leaders*, a sample of it: every node goes with the nearest few of them. The sets that result are cut
 * again until they are leaves (leaf.h). Cutting nodes that lie near each other apart is made good by the overlap: at
 * the first cut a node goes with several leaders.
 *
 * As PiPNN does (arXiv 2602.21247).
 */
#ifndef RHUMB_ENGINE_BUILD_BULK_PARTITION_H
#define RHUMB_ENGINE_BUILD_BULK_PARTITION_H

#include "engine/build/bulk/leaf.h"

typedef struct rhumb__partition_spec {
    const rhumb__bulk_nodes *nodes;
    rhumb__reservoirs *reservoirs; /* of the nodes; get what is found */
    uint32_t nearest_count;        /* see leaf.h */
    uint32_t fanout;               /* leaders to which a node goes at the first cut */
    uint64_t seed;
    double share; /* of the whole that this is; see run.h */
} rhumb__partition_spec;

/* RHUMB_E_NOMEM, RHUMB_E_CANCELLED. */
rhumb_status rhumb__partition(const rhumb__partition_spec *spec, rhumb__bulk_run *run) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_BUILD_BULK_PARTITION_H */
