/* loom.h - making one fused row: what a thread that makes rows works with.
 *
 * A node's neighbours are those of its neighbours too, whose slots are near after a compaction; so a loom keeps the
 * rotated vectors that it used last, by the lower bits of their slots. Vectors of a slot never change, so it may be
 * kept as long as the graph.
 */
#ifndef RHUMB_ENGINE_BUILD_LOOM_H
#define RHUMB_ENGINE_BUILD_LOOM_H

#include "engine/graph/fused_fill.h"
#include "engine/graph/graph.h"

typedef struct rhumb__loom {
    rhumb__graph *graph;
    uint64_t slot_limit; /* lanes are of slots below it */
    rhumb__fused_filler filler;
    float *rotated;  /* kept_count vectors, one after another */
    uint32_t *slots; /* of which slot each is; RHUMB__SLOT_NONE: none */
    uint32_t kept_count;
    rhumb__fused_candidate *list;
    rhumb__fused_candidate *candidates;
    uint32_t candidate_capacity;
    rhumb__fused_fill_scratch *fill_scratch;
    float *neighbours; /* the rotated vectors of one list, which may displace each other among those kept */
} rhumb__loom;

/* RHUMB_E_NOMEM. */
rhumb_status rhumb__loom_init(rhumb__loom *loom, rhumb__graph *graph) RHUMB_NODISCARD;

/* Releases what a loom has. One of zeros is fine. */
void rhumb__loom_free(rhumb__loom *loom);

/* How many slots of a list come before the first for which there can be no lane: one that a damaged file has put there.
 * Lanes are in the order of the list, so they end there. */
uint32_t rhumb__loom_known_count(const rhumb__loom *loom, const uint32_t *slots, uint32_t list_count);

/* Writes the row of a node whose list has `count` known slots, which are at the beginning of `slots`; it has room for
 * RHUMB__M0_MAX, and gets those of fillers. `before` is an earlier row of the node, or NULL: if it has slots enough
 * that are not in the list, they are the fillers, since choosing others takes most of the time. Lists may change
 * concurrently: then fillers follow from what they were. */
void rhumb__loom_make(rhumb__loom *loom, uint32_t slot, uint32_t *slots, uint32_t count, const void *before, void *row);

#endif /* RHUMB_ENGINE_BUILD_LOOM_H */
