/* recall_store.h - the recall curve of a graph (graph/recall_curve.h) over its life with a file: read at opening,
 * published with every version, replaced by a measurement, carried over to a graph that replaces another.
 *
 * It lies in the superblock, between the index record and the metadata. It is derived: a version without it is
 * complete.
 */
#ifndef RHUMB_ENGINE_DURABILITY_RECALL_STORE_H
#define RHUMB_ENGINE_DURABILITY_RECALL_STORE_H

#include "engine/graph/graph.h"

/* Takes the curve of the version that the graph's store has opened. */
void rhumb__recall_load(rhumb__graph *graph);

/* Writes the next version's curve into the engine's part of its superblock. Under checkpoint_lock. */
void rhumb__recall_encode(rhumb__graph *graph, uint8_t client[RHUMB__CLIENT_BYTES]);

/* Gives a graph that no other thread uses yet the curve of the one that it was made from, which has the same vectors
 * or more. If the two have different codes or fused rows it gets none: these decide what a walk finds. */
void rhumb__recall_carry(rhumb__graph *graph, rhumb__graph *old);

/* The number of the last operation that the graph has. */
uint64_t rhumb__recall_lsn(rhumb__graph *graph);

/* Replaces the curve, which was measured in a graph of these codes and rows, and makes a checkpoint: on RHUMB_OK it is
 * durable, otherwise unchanged. RHUMB_E_STALE: a compaction has changed codes or rows. What rhumb__checkpoint
 * returns. */
rhumb_status rhumb__recall_set(rhumb__writer *writer, const rhumb__params *params,
                               const rhumb__recall_curve *curve) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_DURABILITY_RECALL_STORE_H */
