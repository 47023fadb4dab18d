/* order_internal.h - what the order*.c files share; see order.c.
 */
#ifndef RHUMB_ENGINE_UPKEEP_COMPACT_ORDER_INTERNAL_H
#define RHUMB_ENGINE_UPKEEP_COMPACT_ORDER_INTERNAL_H

#include <stdatomic.h>

#include "engine/upkeep/compact/order.h"

/* For the workers of an order: fails if the calling worker is the first one and the caller wants to stop. */
#define RHUMB__ORDER_SLOTS_PER_CHECK 256u /* slots between two checks in the orders that one thread makes */
rhumb_status rhumb__order_check(const rhumb__order_work *work, uint32_t worker_index) RHUMB_NODISCARD;

/* ---- order_window.c ---- */

/* The order of Wei et al., "Speedup graph processing by graph ordering" (Gorder, SIGMOD 2016). Rearranges `order`,
 * which holds every slot below slot_count once: each next slot is the one that has most in common with the last five,
 * counting links between them and nodes that link to both. Ties, and slots that share nothing, keep the order given.
 * RHUMB_E_NOMEM, RHUMB_E_CANCELLED. */
rhumb_status rhumb__order_window(rhumb__graph *graph, uint64_t slot_count, const rhumb__order_work *work,
                                 uint32_t *order) RHUMB_NODISCARD;

/* ---- order_visits.c ---- */

/* How many lists a sample search reads, and how many slots it visits at most. */
#define RHUMB__VISITS_STEP_COUNT 16u
#define RHUMB__VISITS_OF_SEARCH_MAX (1u + RHUMB__VISITS_STEP_COUNT * RHUMB__M0_MAX)

/* Which nodes searches visit together: the visits of a sample of searches, which have numbers from 0. */
typedef struct rhumb__visits {
    uint64_t search_count;
    uint64_t *begin;         /* by slot: where its part of `searches` begins; one more at the end */
    _Atomic uint32_t *count; /* by slot: how many searches visit it */
    uint32_t *searches;      /* their numbers, in no particular order within a slot */
} rhumb__visits;

/* Searches level 0 for the vector of one in eight slots, starting at that slot, in a graph that no thread changes. The
 * same graph gives the same visits, except for the order within a slot. Memory: at most 8 bytes per link and 13 per
 * slot. Clear the visits after a failure too. RHUMB_E_NOMEM, RHUMB_E_CANCELLED. */
rhumb_status rhumb__visits_sample(rhumb__graph *graph, uint64_t slot_count, const rhumb__order_work *work,
                                  rhumb__visits *visits) RHUMB_NODISCARD;

void rhumb__visits_clear(rhumb__visits *visits);

/* ---- order_bisect.c ---- */

/* How rows lie in pages. */
typedef struct rhumb__row_layout {
    uint64_t stride_bytes;
    uint64_t row_bytes; /* of a stride, that are read */
} rhumb__row_layout;

/* An order in which nodes that are visited together share pages: recursive bisection, after Dhulipala et al.,
 * "Compressing graphs and indexes with recursive graph bisection" (KDD 2016), with searches in the place of terms.
 * Rearranges `order`, `count` different slots, so that each search of `visits` touches few pages of rows; uses `visits`
 * up. The outcome depends on the arguments alone, not on the number of threads. Memory: 8 bytes per slot, and 12 per
 * search and thread. RHUMB_E_NOMEM, RHUMB_E_CANCELLED. */
rhumb_status rhumb__order_bisect(rhumb__visits *visits, const rhumb__row_layout *layout, const rhumb__order_work *work,
                                 uint32_t *order, uint64_t count) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_UPKEEP_COMPACT_ORDER_INTERNAL_H */
