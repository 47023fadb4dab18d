/* order_visits.h - which nodes searches visit together: the ground for an order in which they share pages.
 */
#ifndef RHUMB_ENGINE_UPKEEP_COMPACT_ORDER_VISITS_H
#define RHUMB_ENGINE_UPKEEP_COMPACT_ORDER_VISITS_H

#include <stdatomic.h>

#include "engine/upkeep/compact/order.h"

/* How many lists a sample search reads, and how many slots it visits at most. */
#define RHUMB__VISITS_STEP_COUNT 16u
#define RHUMB__VISITS_OF_SEARCH_MAX (1u + RHUMB__VISITS_STEP_COUNT * RHUMB__M0_MAX)

/* The visits of a sample of searches. Searches have numbers from 0. */
typedef struct rhumb__visits {
    uint64_t search_count;
    uint64_t *begin;         /* by slot: where its part of `searches` begins; one more at the end */
    _Atomic uint32_t *count; /* by slot: how many searches visit it */
    uint32_t *searches;      /* their numbers, in no particular order within a slot */
} rhumb__visits;

/* Searches on level 0 for the vector of one in eight slots, from that slot, in a graph that stands still. The same
 * graph gives the same visits, but for the order within a slot. Memory: at most 8 bytes per link and 13 per slot. To be
 * cleared after a failure too. RHUMB_E_NOMEM, RHUMB_E_CANCELLED. */
rhumb_status rhumb__visits_sample(rhumb__graph *graph, uint64_t slot_count, const rhumb__order_work *work,
                                  rhumb__visits *visits) RHUMB_NODISCARD;

void rhumb__visits_clear(rhumb__visits *visits);

#endif /* RHUMB_ENGINE_UPKEEP_COMPACT_ORDER_VISITS_H */
