/* remove.h - deleting nodes.
 */
#ifndef RHUMB_ENGINE_REMOVE_H
#define RHUMB_ENGINE_REMOVE_H

#include "engine/graph.h"

/* Deletes the node of `key`: searches that begin after this has returned do not find it, and the key may be inserted
 * again. Waits for the key's insert if that is under way. May run beside everything else. RHUMB_E_NOTFOUND. */
rhumb_status rhumb__graph_delete(rhumb__graph *graph, uint64_t key) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_REMOVE_H */
