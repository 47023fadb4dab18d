/* insert.h - adding a node to the graph, by any number of threads at once and while searches run.
 */
#ifndef RHUMB_ENGINE_BUILD_INSERT_H
#define RHUMB_ENGINE_BUILD_INSERT_H

#include "engine/search/walk/scratch.h"

typedef struct rhumb__insertion {
    uint64_t key;
    rhumb__open_batch *batch; /* the batch that it belongs to, or NULL */
    bool replace;  /* an upsert: a key that exists gets a new node, and its previous one is deleted once the new one can
                       be found. At least one of the two can be found at any time. */
    uint32_t slot; /* set on success: the node's slot */
    bool replaced; /* set on success: the key had a node before */
    uint64_t lsn;  /* set on success: it is durable once rhumb__log_wait has returned for this */
} rhumb__insertion;

/* Inserts the vector that rhumb__query_set_vector has prepared. It either fails before it has taken a slot, and nothing
 * has changed, or it succeeds. RHUMB_E_EXISTS: the key exists and is not to be replaced; RHUMB_E_INVALID: it is
 * RHUMB_KEY_NONE; RHUMB_E_FULL, RHUMB_E_NOMEM, RHUMB_E_FATAL. */
rhumb_status rhumb__graph_insert(rhumb__graph *graph, rhumb__scratch *scratch,
                                 rhumb__insertion *insertion) RHUMB_NODISCARD;

/* Puts the vector that rhumb__query_set_vector has prepared into the graph as a node that no search and no key finds:
 * it counts as deleted until rhumb__insert_show, and there is no record of it in the log. RHUMB_E_FULL, RHUMB_E_NOMEM.
 */
rhumb_status rhumb__graph_insert_hidden(rhumb__graph *graph, rhumb__scratch *scratch, uint64_t key,
                                        uint32_t *slot_out) RHUMB_NODISCARD;

/* Lets searches find a hidden node. The key table leads to it already. Under removal_lock. */
void rhumb__insert_show(rhumb__graph *graph, uint32_t slot);

#endif /* RHUMB_ENGINE_BUILD_INSERT_H */
