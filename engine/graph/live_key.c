/* live_key.c - see live_key.h. Owns nothing. Takes the lock of one chunk of the key table for each look-up.
 */
#define _GNU_SOURCE
#include "engine/graph/live_key.h"

#include <sched.h>
#include <time.h>

#include "engine/graph/active.h"

/* How often a key is looked up while its node is being placed: for about a second in all. Placing takes less than a
 * microsecond unless the placing thread has been descheduled, so at first it is enough to yield. */
#define LOOK_UPS_MAX 10000
#define LOOK_UPS_YIELDING 500
#define PAUSE_NS 100000

/* Whether the node is going to be placed. It returns false only for a damaged file, whose key table may list a slot
 * that never had a node. */
static bool is_being_placed(rhumb__graph *graph, uint32_t slot) {
    if (rhumb__active_has_slot(graph, slot)) return true;
    /* It may have been placed after the caller read the node and before this read the inserts under way. */
    return (rhumb__graph_node(graph, slot) & RHUMB__NODE_PRESENT) != 0;
}

uint32_t rhumb__graph_await_live(rhumb__graph *graph, uint64_t key) {
    for (int i = 0; i < LOOK_UPS_MAX; i++) {
        const uint32_t slot = rhumb__key_table_find(&graph->key_table, key);
        if (slot == RHUMB__SLOT_NONE) return RHUMB__SLOT_NONE;
        if ((rhumb__graph_node(graph, slot) & RHUMB__NODE_PRESENT) != 0) return slot;
        if (!is_being_placed(graph, slot)) return RHUMB__SLOT_NONE;
        if (i < LOOK_UPS_YIELDING) {
            sched_yield();
        } else {
            nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
        }
    }
    return RHUMB__SLOT_NONE;
}
