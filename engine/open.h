/* open.h - creates, opens and closes the graph of a handle, with every thread that a handle runs.
 *
 * A writer's graph gets its compactor here. Compaction and repair open graphs without one, through
 * durability/lifetime.h.
 */
#ifndef RHUMB_ENGINE_OPEN_H
#define RHUMB_ENGINE_OPEN_H

#include "engine/durability/lifetime.h"

/* rhumb__graph_create, with a compactor. */
rhumb_status rhumb__engine_create(const char *path, const rhumb__params *params, const rhumb__graph_options *options,
                                  uint32_t creator_version, rhumb__graph **graph_out) RHUMB_NODISCARD;

/* rhumb__graph_open, with a compactor when the graph is opened for writing. */
rhumb_status rhumb__engine_open(const char *path, const rhumb__graph_options *options,
                                const rhumb__custom_metric *custom, rhumb__graph **graph_out) RHUMB_NODISCARD;

/* Stops the compactor, then closes the graph (rhumb__graph_close). NULL is fine. */
void rhumb__engine_close(rhumb__graph *graph);

/* Stops the compactor, then closes the graph and removes its file (rhumb__graph_abandon). NULL is fine. */
void rhumb__engine_abandon(rhumb__graph *graph);

#endif /* RHUMB_ENGINE_OPEN_H */
