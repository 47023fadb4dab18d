/* wide_walk.h - taking candidates in a walk over an index that memory cannot hold. */
#ifndef RHUMB_ENGINE_SEARCH_WALK_WIDE_WALK_H
#define RHUMB_ENGINE_SEARCH_WALK_WIDE_WALK_H

#include "engine/search/walk/row_reader.h"
#include "engine/search/walk/walk.h"

/* A section of which expanding a node may read the row of its slot. */
typedef struct rhumb__wide_read {
    rhumb__section *section;
    uint32_t row_bytes;              /* that are read */
    const rhumb__row_reader *reader; /* NULL: rows of all nodes are read; else only the lists that it needs */
} rhumb__wide_read;

#define RHUMB__WIDE_READ_COUNT_MAX 2u

typedef struct rhumb__wide_walk {
    rhumb__scratch *scratch;
    rhumb__wide_read reads[RHUMB__WIDE_READ_COUNT_MAX];
    uint32_t read_count; /* 0: everything is in memory */
} rhumb__wide_walk;

/* Prepares to take candidates of level 0 in the order of rhumb__candidate_pool_take. */
static inline rhumb__wide_walk rhumb__wide_walk_begin(rhumb__scratch *scratch) {
    return (rhumb__wide_walk){.scratch = scratch};
}

/* Says that expanding a node reads its row in a section; does nothing if that is in memory. */
void rhumb__wide_walk_reads(rhumb__wide_walk *walk, rhumb__section *section, uint32_t row_bytes);

/* The same of its list on level 0. */
void rhumb__wide_walk_reads_lists(rhumb__wide_walk *walk);

/* Says that expanding a node reads its fused row, and its list if the reader needs it. `reader` outlives the walk. */
void rhumb__wide_walk_reads_rows(rhumb__wide_walk *walk, const rhumb__row_reader *reader);

/* Slow path of rhumb__wide_walk_take. */
bool rhumb__wide_walk_take_present(const rhumb__wide_walk *walk, uint32_t *slot_out);

/* Takes the candidate of scratch->pool that is to be expanded next: the nearest of those whose rows are there. Returns
 * false when all are expanded. */
static inline bool rhumb__wide_walk_take(const rhumb__wide_walk *walk, uint32_t *slot_out) {
    if (__builtin_expect(walk->read_count > 0, 0)) return rhumb__wide_walk_take_present(walk, slot_out);
    return rhumb__candidate_pool_take(&walk->scratch->pool, slot_out);
}

#endif /* RHUMB_ENGINE_SEARCH_WALK_WIDE_WALK_H */
