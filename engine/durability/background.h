/* background.h - the background thread of a handle that writes: it links the nodes that came from the log after a
 * crash, makes a checkpoint when the log has grown long, and counts unreachable nodes after many deletes.
 */
#ifndef RHUMB_ENGINE_DURABILITY_BACKGROUND_H
#define RHUMB_ENGINE_DURABILITY_BACKGROUND_H

#include "engine/build/writer.h"

/* Starts the thread. RHUMB_E_NOMEM. */
rhumb_status rhumb__background_start(rhumb__writer *writer) RHUMB_NODISCARD;

/* To be called when a close begins: a checkpoint that the thread is making ignores its rate from now on, and the thread
 * begins nothing that a close need not wait for. */
void rhumb__background_hurry(rhumb__writer *writer);

/* To be called before an operation begins, without a lock: waits if so much was found in the log at opening that a
 * checkpoint has to come first. */
void rhumb__background_await_room(rhumb__writer *writer);

/* Ends the thread, after the checkpoint that it may be making. Nodes that are waiting to be linked stay unlinked. No
 * other thread may be using the graph. */
void rhumb__background_stop(rhumb__writer *writer);

/* Makes the thread continue with another graph, and returns when it no longer uses the old one. */
void rhumb__background_exchange(rhumb__writer *writer, rhumb__graph *graph);

/* Links all nodes that are waiting for it, taking turns with the thread. RHUMB_E_NOMEM. */
rhumb_status rhumb__background_finish_linking(rhumb__writer *writer) RHUMB_NODISCARD;

/* Returns when all nodes are linked and no checkpoint is due or being made. RHUMB_E_NOMEM. */
rhumb_status rhumb__background_wait_idle(rhumb__writer *writer) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_DURABILITY_BACKGROUND_H */
