/* row_reader.h - reading what fused rows (graph/fused_row.h) say of a node and of its neighbours, for walks over level
 * 0 that measure codes.
 *
 * A candidate waits with an estimate of one or two bits a component, made from the row of the node through which it was
 * met. When its turn comes, the code at the beginning of its own row says more precisely how far it is, and the rest of
 * the row how far its neighbours are. So a step of a walk reads one place in memory.
 */
#ifndef RHUMB_ENGINE_SEARCH_WALK_ROW_READER_H
#define RHUMB_ENGINE_SEARCH_WALK_ROW_READER_H

#include "base/bits.h"
#include "engine/graph/changed.h"
#include "engine/graph/fused.h"
#include "engine/search/walk/walk.h"

/* Bytes of the next candidate's row that are prefetched while the present one is read. */
#define RHUMB__ROW_NEXT_BYTES 1024u

typedef struct rhumb__row_reader {
    rhumb__graph *graph;
    rhumb__scratch *scratch;
    rhumb__fused_query query;
    uint64_t row_count;        /* slots that have rows; the others are read from lists and codes */
    rhumb__row_use_count *use; /* NULL in a reader of the file, whose rows do not change */
} rhumb__row_reader;

/* Whether there are rows that a scratch, which measures codes, may read. Where memory can hold the codes and not the
 * rows, lists and codes take fewer pages. */
static inline bool rhumb__row_reader_pays(const rhumb__graph *graph, const rhumb__scratch *scratch) {
    return scratch->measured.fused && rhumb__fused_count(graph) > 0 &&
           (!rhumb__read_ahead_pays(graph, RHUMB__SECTION_FUSED) ||
            rhumb__read_ahead_pays(graph, RHUMB__SECTION_CODES));
}

/* Prepares the query of the scratch for rows. Until rhumb__row_reader_end no row that has been looked at is written
 * again, so that must come soon. */
void rhumb__row_reader_begin(rhumb__graph *graph, rhumb__scratch *scratch, rhumb__row_reader *reader);
void rhumb__row_reader_end(rhumb__row_reader *reader);

/* Whether a slot has a row that may be read. */
RHUMB__INLINE bool rhumb__row_reader_has_row(const rhumb__row_reader *reader, uint32_t slot) {
    return slot < reader->row_count && !rhumb__row_is_withdrawn(&reader->graph->row_use, slot);
}

/* How many candidates a walk by rows keeps to find what `ef` candidates of precise distances would: estimates by lanes
 * put some of the nearest too far. */
static inline uint32_t rhumb__row_reader_breadth(const rhumb__graph *graph, uint32_t ef) {
    const uint32_t spare = graph->params.lane_bits == 1 ? ef / 4 : ef / 8;
    return ef < UINT32_MAX / 2 ? ef + spare + 2 : ef;
}

/* Whether reading a node reads its list: its row does not have all neighbours, or there never was a row. The bits of a
 * million lists fill 122 KB, so the one that this loads is near. */
RHUMB__INLINE bool rhumb__row_reader_needs_list(const rhumb__row_reader *reader, uint32_t slot) {
    return slot >= reader->row_count || rhumb__changed_is_set(reader->graph, slot);
}

RHUMB__INLINE void rhumb__row_reader_prefetch(const rhumb__row_reader *reader, uint32_t slot, uint32_t bytes) {
    if (slot < reader->row_count) rhumb__fused_prefetch(rhumb__graph_fused(reader->graph, slot), bytes);
    if (rhumb__row_reader_needs_list(reader, slot)) rhumb__walk_prefetch_list(reader->graph, slot);
}

/* Prefetches the row of the node that is read next, and the beginning of that which is probably read after it;
 * RHUMB__SLOT_NONE: not known. Both are below scratch->slot_limit. */
RHUMB__INLINE void rhumb__row_reader_expect(const rhumb__row_reader *reader, uint32_t slot, uint32_t after) {
    rhumb__row_reader_prefetch(reader, slot, reader->graph->fused.first_bytes);
    if (after != RHUMB__SLOT_NONE) rhumb__row_reader_prefetch(reader, after, RHUMB__ROW_NEXT_BYTES);
}

/* Returns the distance of a node by its code. */
RHUMB__INLINE float rhumb__row_reader_distance(const rhumb__row_reader *reader, uint32_t slot) {
    const rhumb__graph *graph = reader->graph;
    const rhumb__scratch *scratch = reader->scratch;
    if (!rhumb__row_reader_has_row(reader, slot)) return rhumb__measure_slot(graph, scratch, slot);
    return rhumb__fused_own_distance(&graph->fused, scratch->code_query, rhumb__graph_fused(graph, slot));
}

/* What is known of a node that is expanded. */
typedef struct rhumb__row_node {
    uint32_t slot;
    float distance; /* as rhumb__row_reader_distance returns it */
    float bound;    /* neighbours that seem farther are left out, if they are estimated by lanes; INFINITY: none is */
} rhumb__row_node;

/* Puts the neighbours of a node that are not in scratch->visited into scratch->batch and their estimated distances into
 * scratch->distances, adds them to scratch->visited, and returns how many there are, at most RHUMB__BATCH_MAX. Those
 * that are left out for the bound stay unvisited, and may come again by the lane of another row. */
uint32_t rhumb__row_reader_neighbours(const rhumb__row_reader *reader, const rhumb__row_node *node);

#endif /* RHUMB_ENGINE_SEARCH_WALK_ROW_READER_H */
