/* order_bisect.h - an order in which nodes that are visited together share pages: recursive bisection, after Dhulipala
 * et al., "Compressing graphs and indexes with recursive graph bisection" (KDD 2016), with searches in the place of
 * documents' terms.
 */
#ifndef RHUMB_ENGINE_UPKEEP_COMPACT_ORDER_BISECT_H
#define RHUMB_ENGINE_UPKEEP_COMPACT_ORDER_BISECT_H

#include "engine/upkeep/compact/order_visits.h"

/* How rows lie in pages. */
typedef struct rhumb__row_layout {
    uint64_t stride_bytes;
    uint64_t row_bytes; /* of a stride, that are read */
} rhumb__row_layout;

/* Rearranges `order`, `count` different slots, so that each search of `visits` touches few pages of rows; uses
 * `visits` up. The outcome depends on the arguments alone, not on the number of threads. Memory: 8 bytes per slot, and
 * 12 per search and thread. RHUMB_E_NOMEM, RHUMB_E_CANCELLED. */
rhumb_status rhumb__order_bisect(rhumb__visits *visits, const rhumb__row_layout *layout, const rhumb__order_work *work,
                                 uint32_t *order, uint64_t count) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_UPKEEP_COMPACT_ORDER_BISECT_H */
