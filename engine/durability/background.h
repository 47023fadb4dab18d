/* background.h - what a handle that writes does by itself, on a thread of its own: link what came from the log after a
 * crash, make a checkpoint when the log has grown long, and count after many deletes whether every live node can still
 * be reached.
 */
#ifndef RHUMB_ENGINE_DURABILITY_BACKGROUND_H
#define RHUMB_ENGINE_DURABILITY_BACKGROUND_H

#include "engine/build/writer.h"

/* Starts the thread. RHUMB_E_NOMEM. */
rhumb_status rhumb__background_start(rhumb__writer *writer) RHUMB_NODISCARD;

/* Ends the thread, as soon as the checkpoint is done that it may be making. What waits to be linked stays unlinked. The
 * graph's other users must have gone. */
void rhumb__background_stop(rhumb__writer *writer);

/* Goes on with another graph, and returns when the old one is out of use here. */
void rhumb__background_exchange(rhumb__writer *writer, rhumb__graph *graph);

/* Links everything that waits for it, beside the thread if that is at it. RHUMB_E_NOMEM. */
rhumb_status rhumb__background_finish_linking(rhumb__writer *writer) RHUMB_NODISCARD;

/* Returns when there is nothing left to do: all is linked, and no checkpoint is due or being made. RHUMB_E_NOMEM. */
rhumb_status rhumb__background_wait_idle(rhumb__writer *writer) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_DURABILITY_BACKGROUND_H */
