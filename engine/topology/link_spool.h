/* link_spool.h - the links of points that come in any order, put into the order of the points.
 *
 * Points are measured in the order in which the index has them, because what they read of it is together then; the file
 * has them by key. So links are sorted into *blocks* of successive points as they come, and the links of a block are
 * put in order when all are there. Where there are several blocks, their links wait in the file that is being written,
 * in the places where they will be in the end: a block takes as much room before as after.
 */
#ifndef RHUMB_ENGINE_TOPOLOGY_LINK_SPOOL_H
#define RHUMB_ENGINE_TOPOLOGY_LINK_SPOOL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/lock.h"
#include "storage/io/io.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { RHUMB__LINK_NEIGHBOURS, RHUMB__LINK_DISTANCES, RHUMB__LINK_ARRAY_COUNT };

/* What waits of a block. */
typedef struct rhumb__link_block {
    uint64_t begin; /* its points */
    uint64_t end;
    uint64_t arrived_count;  /* points */
    uint64_t written_count;  /* links that are in the file */
    uint64_t buffered_count; /* links after those */
    uint32_t *buffers[RHUMB__LINK_ARRAY_COUNT];
} rhumb__link_block;

typedef struct rhumb__link_spool {
    rhumb__io *io;
    uint64_t offsets[RHUMB__LINK_ARRAY_COUNT]; /* of the arrays in the file */
    uint32_t array_count;                      /* 1: there are no distances */
    const uint64_t *starts;                    /* by point: the number of its first link; and the number of links */
    uint64_t point_count;
    uint64_t block_links;  /* of a block, unless one point has more, or there would be too many blocks */
    uint64_t buffer_links; /* room of a buffer, if there are several blocks */
    uint32_t *arrivals;    /* from a block's begin on: its points as they came */
    rhumb__link_block *blocks;
    uint32_t block_count;
    uint32_t *loaded[RHUMB__LINK_ARRAY_COUNT];  /* the links of a block as they came */
    uint32_t *ordered[RHUMB__LINK_ARRAY_COUNT]; /* in order */
    rhumb__mutex lock;
    bool has_lock;
} rhumb__link_spool;

/* Begins. What stands before the arrivals is set, the rest is zeroed; it is to be destroyed in every
 * case. RHUMB_E_NOMEM. */
rhumb_status rhumb__link_spool_begin(rhumb__link_spool *spool) RHUMB_NODISCARD;

/* Adds the links of a point, starts[point + 1] - starts[point] of them; `distances` are floats, or NULL where there are
 * none. Once for each point that has links. Thread-safe. The failures of rhumb__io_write. */
rhumb_status rhumb__link_spool_add(rhumb__link_spool *spool, uint64_t point, const uint32_t *neighbours,
                                   const float *distances) RHUMB_NODISCARD;

/* Puts the links of a block in order, in spool->ordered. All of its points have been added, and the caller has written
 * those of the blocks before and no others. *link_count_out is how many there are. The failures of rhumb__io_read. */
rhumb_status rhumb__link_spool_order(rhumb__link_spool *spool, uint32_t block,
                                     uint64_t *link_count_out) RHUMB_NODISCARD;

void rhumb__link_spool_destroy(rhumb__link_spool *spool);

#ifdef __cplusplus
}
#endif

#endif /* RHUMB_ENGINE_TOPOLOGY_LINK_SPOOL_H */
