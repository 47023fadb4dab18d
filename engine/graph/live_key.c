/* live_key.c - see live_key.h. Owns nothing; the lock it takes is the one that a look at the key table takes.
 */
#define _GNU_SOURCE
#include "engine/graph/live_key.h"

#include <sched.h>
#include <time.h>

#include "engine/graph/active.h"

/* How often a key is looked up whose node is just being placed: about a second in all. Placing takes less than a
 * microsecond unless the thread that does it has lost its processor, so at first it is enough to let others run. */
#define LOOK_UPS_MAX 10000
#define LOOK_UPS_YIELDING 500
#define PAUSE_NS 100000

/* Whether the node is going to be placed. What is left to say no is a damaged file, whose key table may name a slot
 * that never had a node. */
static bool is_being_placed(rhumb__graph *graph, uint32_t slot) {
    if (rhumb__active_has_slot(graph, slot)) return true;
    /* It may have been placed between the look at the node and the one at those that are under way. */
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
