/* points.h - the vectors of a batch that is built in bulk: their rows, their codes, and which of them are equal.
 *
 * An *item* is the number that a vector is going to have as its slot; `sources` has its number in the batch. Of equal
 * vectors one is the head, and only heads are linked.
 */
#ifndef RHUMB_ENGINE_BUILD_BULK_POINTS_H
#define RHUMB_ENGINE_BUILD_BULK_POINTS_H

#include "distances/code/coder.h"
#include "distances/space.h"
#include "engine/build/bulk/run.h"
#include "engine/graph/graph.h"

typedef struct rhumb__bulk_points {
    const rhumb__space *space;
    uint64_t count;
    const uint8_t *rows; /* prepared, by source: the caller's own memory where that has the bytes of rows */
    uint64_t row_stride_bytes;
    rhumb__coder coder; /* of 8 bits */
    uint8_t *codes;     /* by item */
    uint32_t *sources;  /* by item: the number that it has in the batch */
    uint32_t *heads;    /* by item: the item of its head, which is its own unless it is a copy */
    uint8_t *own_rows;  /* what `rows` points to, or NULL */
} rhumb__bulk_points;

/* What the points are made of. */
typedef struct rhumb__bulk_source {
    const rhumb__space *space;
    const void *vectors; /* one after the other, in the space's own length */
    uint64_t count;
    uint64_t salt; /* of hashes, where the system has no random number */
} rhumb__bulk_source;

/* Prepares all rows, makes their codes and finds equal ones. To be freed also after a failure. RHUMB_E_NOMEM,
 * RHUMB_E_CANCELLED, and what rhumb__space_prepare returns for a vector that is not one. */
rhumb_status rhumb__bulk_points_make(const rhumb__bulk_source *source, rhumb__bulk_run *run,
                                     rhumb__bulk_points *points) RHUMB_NODISCARD;

/* Vectors that are in a graph already. */
typedef struct rhumb__bulk_placed {
    const rhumb__space *space;
    uint8_t *rows; /* prepared, the space's row_stride_bytes each; taken over, also after a failure */
    uint64_t count;
    uint64_t salt;
} rhumb__bulk_placed;

/* The same for rows that need not be prepared. */
rhumb_status rhumb__bulk_points_take(const rhumb__bulk_placed *placed, rhumb__bulk_run *run,
                                     rhumb__bulk_points *points) RHUMB_NODISCARD;

/* Gives the items other numbers: the heads in the given order of their present ones, then the copies. RHUMB_E_NOMEM. */
rhumb_status rhumb__bulk_points_renumber(rhumb__bulk_points *points, const uint32_t *heads,
                                         uint64_t head_count) RHUMB_NODISCARD;

/* Hangs the copies on their heads, when the items are placed from `first_slot` on. */
void rhumb__bulk_points_hang(const rhumb__bulk_points *points, rhumb__graph *graph, uint32_t first_slot);

void rhumb__bulk_points_free(rhumb__bulk_points *points);

static inline const void *rhumb__bulk_row(const rhumb__bulk_points *points, uint32_t item) {
    return points->rows + points->sources[item] * points->row_stride_bytes;
}

static inline const void *rhumb__bulk_code(const rhumb__bulk_points *points, uint32_t item) {
    return points->codes + item * (size_t)points->coder.code_stride_bytes;
}

#endif /* RHUMB_ENGINE_BUILD_BULK_POINTS_H */
