/* fused_row.h - fused rows: all that a search reads of a node of level 0 and of its neighbours, in one piece of memory.
 *
 * A search that expands a node wants the distances of all of its neighbours. Reading their vectors, or codes, is a
 * cache miss for each; a fused row has what estimates all of these distances next to the node's own code, so that a hop
 * waits for one place. The row holds its own copy of the node's list: it never changes, while the list may. A lane is
 * right for the slot that the row names for it, whatever the list has by now. After those of the list, lanes that
 * would be empty may be given to *fillers*, near nodes that the list has no room or no use for (fused_fill.h). What a
 * row says costs or saves time and decides no answer, so a row may be missing: one whose bytes are all 0 has no lanes.
 *
 * The layout; numbers are little-endian, and each part begins at a multiple of 64, as the row does:
 *
 *     offset                  bytes       content
 *                          0  code_bytes  the node's own code (distances/code/code.h)
 *       header_offset_bytes,           8  rhumb__fused_header. The one part that does not begin at a multiple of 64: it
 *                                         follows the code
 *       blocks_offset_bytes               M0 / 16 blocks, rounded up, which are block_stride_bytes apart. Their lanes
 *                                         are the list's in its order, then fillers, then empty:
 *                         +0          64  the slots, u32; RHUMB__SLOT_NONE in empty lanes
 *                        +64              their lanes (distances/lanes/block.h)
 *
 * Between the parts there are zeros. A search that reads a node of up to 16 neighbours reads from the beginning to the
 * end of the first block, first_bytes without a gap, and nothing of the others.
 *
 * What a *layout* says is fixed for all rows of an index. Rows may be made, and are read, by any number of threads;
 * nothing here is shared but the layout, which is immutable once set up.
 */
#ifndef RHUMB_ENGINE_GRAPH_FUSED_ROW_H
#define RHUMB_ENGINE_GRAPH_FUSED_ROW_H

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/inline.h"
#include "base/status.h"
#include "distances/code/coder.h"
#include "distances/lanes/lanes.h"
#include "distances/space.h"
#include "engine/graph/params.h"

enum { RHUMB__FUSED_LINE_BYTES = 64, RHUMB__FUSED_SLOTS_BYTES = 4 * RHUMB__LANES_PER_BLOCK };

typedef struct rhumb__fused_header {
    uint16_t lane_count; /* that are not empty */
    uint16_t list_count; /* of these, the list's; the others are fillers */
    uint16_t zeros[2];
} rhumb__fused_header;

static_assert(offsetof(rhumb__fused_header, lane_count) == 0, "layout");
static_assert(offsetof(rhumb__fused_header, list_count) == 2, "layout");
static_assert(sizeof(rhumb__fused_header) == 8, "layout");
static_assert(RHUMB__FUSED_SLOTS_BYTES == RHUMB__FUSED_LINE_BYTES, "slots fill a cache line, so lanes begin with one");
static_assert(RHUMB__M0_MAX <= UINT16_MAX, "a header holds any number of lanes");

/* What a layout is made of. */
typedef struct rhumb__fused_spec {
    uint32_t M0;        /* the longest list, 1 to RHUMB__M0_MAX */
    uint32_t code_bits; /* of a digit in the own code: 8 or 4 */
    uint32_t lane_bits; /* of a component in a lane: 1 or 2 */
    uint64_t seed;      /* of the rotation; rows and queries need the same */
} rhumb__fused_spec;

/* What the rows of an index are made of. */
static inline rhumb__fused_spec rhumb__fused_spec_of(const rhumb__params *params) {
    return (rhumb__fused_spec){
        .M0 = params->M0, .code_bits = params->code_bits, .lane_bits = params->lane_bits, .seed = params->seed};
}

/* How raw distances are related to what lanes estimate. */
enum rhumb__fused_terms {
    RHUMB__FUSED_SQUARE,  /* lanes estimate squares: raw distances, or 0 where these are negative */
    RHUMB__FUSED_ROOT,    /* whose root is the raw distance */
    RHUMB__FUSED_VALUE,   /* 1 less a dot product, which is the raw distance */
    RHUMB__FUSED_DOT,     /* a dot product with its sign changed, which is the raw distance */
    RHUMB__FUSED_WIDE_DOT /* the same, of which rhumb__raw_pack makes the raw distance */
};

typedef struct rhumb__fused_layout {
    const rhumb__space *space; /* must outlive the layout */
    rhumb__coder coder;        /* of the own code */
    rhumb__lane_space lanes;
    enum rhumb__fused_terms terms;
    uint32_t list_capacity; /* M0 */
    uint32_t lane_capacity; /* 16 for each block */
    uint32_t block_capacity;
    uint32_t header_offset_bytes;
    uint32_t blocks_offset_bytes;
    uint32_t block_stride_bytes;
    uint32_t first_bytes;   /* up to the end of the first block */
    uint32_t row_bytes;     /* of a whole row; a multiple of 64 */
    uint32_t rotated_count; /* floats of a rotated vector */
    uint32_t scratch_bytes; /* what rhumb__fused_encode needs */
    uint32_t query_bytes;   /* what rhumb__fused_prepare needs */
} rhumb__fused_layout;

/* Fills `layout`. RHUMB_E_UNSUPPORTED: the space has no codes, because its metric is not l2, l2sq, ip or cosine, or its
 * element type not a float. RHUMB_E_INVALID: a number of the specification is outside of what is written there. */
rhumb_status rhumb__fused_layout_init(rhumb__fused_layout *layout, const rhumb__space *space,
                                      const rhumb__fused_spec *spec) RHUMB_NODISCARD;

/* ---- rows ---- */

/* Writes the rotated_count floats that stand for a prepared row of the space: all vectors that an encoder or a query
 * works with. Under cosine its length is 1 (or 0). */
void rhumb__fused_rotate(const rhumb__fused_layout *layout, const void *vector, float *rotated);

/* What a row is made of. */
typedef struct rhumb__fused_source {
    const void *vector;                     /* the node's prepared row of the space */
    const void *const *neighbours;          /* likewise, those of the list in its order, then fillers */
    const uint32_t *slots;                  /* of the neighbours */
    uint32_t count;                         /* of the neighbours, at most lane_capacity */
    uint32_t list_count;                    /* of those in the list, at most count and M0 */
    const float *rotated;                   /* the vector as rhumb__fused_rotate has it, or NULL: it is rotated */
    const float *const *rotated_neighbours; /* likewise; then `neighbours` may be NULL */
} rhumb__fused_source;

/* Writes a row, every byte of it. `scratch` has scratch_bytes, aligned for floats; it is not used if both kinds of
 * rotated vectors are given. Rotating takes most of the time: who makes many rows does well to rotate once. */
void rhumb__fused_encode(const rhumb__fused_layout *layout, const rhumb__fused_source *source, void *scratch,
                         void *row);

/* How many lanes a row has. */
typedef struct rhumb__fused_counts {
    uint32_t lane_count; /* at most lane_capacity */
    uint32_t list_count; /* at most lane_count and M0 */
} rhumb__fused_counts;

/* Whatever the bytes of the row are, the counts are in their ranges. */
RHUMB__INLINE rhumb__fused_counts rhumb__fused_counts_of(const rhumb__fused_layout *layout, const void *row) {
    rhumb__fused_header header;
    memcpy(&header, (const char *)row + layout->header_offset_bytes, sizeof header);
    const uint32_t lane_count = header.lane_count < layout->lane_capacity ? header.lane_count : layout->lane_capacity;
    const uint32_t list_max = lane_count < layout->list_capacity ? lane_count : layout->list_capacity;
    return (rhumb__fused_counts){lane_count, header.list_count < list_max ? header.list_count : list_max};
}

/* How many blocks so many lanes take. */
RHUMB__INLINE uint32_t rhumb__fused_block_count(uint32_t lane_count) {
    return (lane_count + RHUMB__LANES_PER_BLOCK - 1) / RHUMB__LANES_PER_BLOCK;
}

/* The 16 slots of a block, which are any numbers: the caller checks them. */
RHUMB__INLINE const uint32_t *rhumb__fused_slots(const rhumb__fused_layout *layout, const void *row, uint32_t block) {
    const char *slots = (const char *)row + layout->blocks_offset_bytes + block * (size_t)layout->block_stride_bytes;
    return (const uint32_t *)(const void *)slots;
}

/* ---- queries ---- */

typedef struct rhumb__fused_query {
    const rhumb__fused_layout *layout;
    rhumb__lane_query lanes;
} rhumb__fused_query;

/* Prepares a query from a prepared row of the space. `memory` (query_bytes, aligned for floats, best to 64) is written
 * and must stay as long as the query is used. */
void rhumb__fused_prepare(const rhumb__fused_layout *layout, const void *vector, void *memory,
                          rhumb__fused_query *query);

/* The node's own raw distance, by its own code. `code_query` is a query of layout->coder, or of an equal one. */
RHUMB__INLINE float rhumb__fused_own_distance(const rhumb__fused_layout *layout, const void *code_query,
                                              const void *row) {
    return layout->coder.kernels.measure(&layout->coder, code_query, row);
}

/* Where to estimate from. */
typedef struct rhumb__fused_node {
    const void *row;
    float distance; /* the raw distance from the query to the node, or an estimate of it */
    float bound;    /* above which estimates are of no interest: a raw distance, or INFINITY */
} rhumb__fused_node;

/* Writes the estimates of the 16 lanes of a block, and returns a mask of the lanes whose estimate is below the bound,
 * the lowest bit for the first. Estimates have the form of the space's raw distances (distances/raw.h) and may be off
 * by several percent; under cosine, also above 2. INFINITY means that there is no estimate: in an empty lane, and where
 * vectors are so large or small that raw distances are packed, or a row is damaged. Never NaN. `block` is below what
 * rhumb__fused_block_count says. */
uint32_t rhumb__fused_scan_block(const rhumb__fused_query *query, const rhumb__fused_node *node, uint32_t block,
                                 float *estimates);

/* Does so for all blocks, without a bound, and returns how many lanes the row has. `estimates` has room for
 * lane_capacity; of blocks without lanes nothing is read or written. */
uint32_t rhumb__fused_scan(const rhumb__fused_query *query, const void *row, float distance, float *estimates);

/* Prefetches the first `bytes` of a row, such as first_bytes. */
RHUMB__INLINE void rhumb__fused_prefetch(const void *row, uint32_t bytes) {
    for (uint32_t offset = 0; offset < bytes; offset += RHUMB__FUSED_LINE_BYTES) {
        __builtin_prefetch((const char *)row + offset, 0, 3);
    }
}

#endif /* RHUMB_ENGINE_GRAPH_FUSED_ROW_H */
