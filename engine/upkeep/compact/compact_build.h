/* compact_build.h - a compacted graph from a graph that nobody changes: without deleted nodes, with every live node
 * reachable, and with neighbours close together. What makes it a new file or the new content of an old one is the
 * caller's: see compact_into.c and compact_in_place.c.
 */
#ifndef RHUMB_ENGINE_UPKEEP_COMPACT_COMPACT_BUILD_H
#define RHUMB_ENGINE_UPKEEP_COMPACT_COMPACT_BUILD_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/search/scratch.h"
#include "engine/upkeep/compact/order.h"
#include "engine/upkeep/relink.h"

typedef struct rhumb__compact_work {
    rhumb__graph *old;           /* a reader */
    rhumb__graph *graph;         /* empty, of the same parameters; nobody else knows it */
    rhumb__custom_metric custom; /* the caller's, for an index that has such a metric */
    uint32_t thread_count;       /* 0: one per processor */
    rhumb__order_kind order;
    bool second_pass;          /* search new neighbours for every node */
    uint64_t bytes_per_second; /* how fast vectors may be written; 0: as fast as it goes */
    bool bounded;              /* in place: slow writers down rather than let the file grow by much meanwhile */
    bool (*tell)(void *context, uint64_t done_count, uint64_t total_count); /* false: stop. May be NULL */
    void *tell_context;
} rhumb__compact_work;

typedef struct rhumb__compact_result {
    uint64_t epoch; /* of the version that was read */
    uint64_t count; /* vectors of it in the new graph */
    uint64_t dropped_count;
    uint64_t repaired_count;    /* lists that had named deleted nodes */
    uint64_t reconnected_count; /* nodes that no path had led to */
    uint64_t unreachable_count; /* that is left of them: 0 */
    uint64_t carried_count;     /* in place: operations that came meanwhile */
    uint64_t pause_ns;          /* in place: for which everybody was kept out who writes */
} rhumb__compact_result;

/* Fills `graph`, and the first six numbers of `result`. Rows of append-only sections have been written ahead to the
 * graph's file, no version of it is published. RHUMB_E_CORRUPT when a live node of the old graph is not whole,
 * RHUMB_E_CANCELLED, RHUMB_E_NOMEM, what writing returns. */
rhumb_status rhumb__compact_build(const rhumb__compact_work *work, rhumb__compact_result *result) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_UPKEEP_COMPACT_COMPACT_BUILD_H */
