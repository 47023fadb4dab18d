/* link_spool.c - see link_spool.h.
 *
 * Links of a point are appended to the buffer of its block; a buffer without room is written after what has been
 * written of the block. The points of a block are noted in the order in which they come, by which its links are put in
 * order: each goes where `starts` has its point. With one block the buffer has room for all, and nothing is written.
 *
 * Owns the buffers. Locks: spool->lock, for all that adding changes. A failure leaves a file that is to be removed.
 */
#include "engine/topology/link_spool.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/status.h"

#define BLOCK_COUNT_MAX 256u

/* Returns the end of the block that begins at a point: at least one point, and as many as have `link_max` links. */
static uint64_t find_end(const rhumb__link_spool *spool, uint64_t begin, uint64_t link_max) {
    uint64_t end = begin + 1;
    while (end < spool->point_count && spool->starts[end + 1] - spool->starts[begin] <= link_max) end++;
    return end;
}

static uint64_t link_count_of(const rhumb__link_spool *spool, const rhumb__link_block *block) {
    return spool->starts[block->end] - spool->starts[block->begin];
}

/* Divides the points into blocks. Returns the links of the largest. */
static uint64_t divide(rhumb__link_spool *spool) {
    uint64_t largest_count = 0;
    const uint64_t link_max =
        rhumb__max_u64(spool->block_links, spool->starts[spool->point_count] / (BLOCK_COUNT_MAX / 2));
    for (uint64_t begin = 0; begin < spool->point_count;) {
        RHUMB_ASSERT(spool->block_count < BLOCK_COUNT_MAX); /* two successive ones have more than link_max links */
        rhumb__link_block *block = &spool->blocks[spool->block_count++];
        *block = (rhumb__link_block){.begin = begin, .end = find_end(spool, begin, link_max)};
        largest_count = rhumb__max_u64(largest_count, link_count_of(spool, block));
        begin = block->end;
    }
    return largest_count;
}

rhumb_status rhumb__link_spool_begin(rhumb__link_spool *spool) {
    RHUMB_ASSERT_DEBUG(spool->array_count > 0 && spool->array_count <= RHUMB__LINK_ARRAY_COUNT);
    spool->blocks = rhumb__alloc_zeroed(BLOCK_COUNT_MAX, sizeof *spool->blocks);
    spool->arrivals = rhumb__alloc_zeroed(spool->point_count + 1, sizeof *spool->arrivals);
    if (spool->blocks == NULL || spool->arrivals == NULL) goto no_memory;
    const uint64_t largest_count = divide(spool);
    if (spool->block_count <= 1 || spool->buffer_links > largest_count) spool->buffer_links = largest_count;
    for (uint32_t array = 0; array < spool->array_count; array++) {
        spool->loaded[array] = rhumb__alloc_zeroed(largest_count + 1, sizeof(uint32_t));
        spool->ordered[array] = rhumb__alloc_zeroed(largest_count + 1, sizeof(uint32_t));
        if (spool->loaded[array] == NULL || spool->ordered[array] == NULL) goto no_memory;
        for (uint32_t i = 0; i < spool->block_count; i++) {
            spool->blocks[i].buffers[array] = rhumb__alloc_zeroed(spool->buffer_links + 1, sizeof(uint32_t));
            if (spool->blocks[i].buffers[array] == NULL) goto no_memory;
        }
    }
    spool->has_lock = rhumb__mutex_init(&spool->lock, RHUMB__RANK_LINK_SPOOL) == 0;
    if (spool->has_lock) return RHUMB_OK;
no_memory:
    return rhumb__fail(RHUMB_E_NOMEM, "no memory for the links of %llu points", (unsigned long long)spool->point_count);
}

/* ---- adding ---- */

/* Writes links of a block after what is in the file, and waits, since their memory is used again. */
static rhumb_status write_links(rhumb__link_spool *spool, rhumb__link_block *block, const uint32_t *const *links,
                                uint64_t count) {
    rhumb_status status = RHUMB_OK;
    const uint64_t first = spool->starts[block->begin] + block->written_count;
    for (uint32_t array = 0; array < spool->array_count && count > 0; array++) {
        RHUMB_TRY(rhumb__io_write(spool->io, links[array], count * sizeof(uint32_t),
                                  spool->offsets[array] + first * sizeof(uint32_t)));
    }
    RHUMB_TRY(rhumb__io_drain(spool->io));
    block->written_count += count;
done:
    return status;
}

static rhumb_status add_locked(rhumb__link_spool *spool, uint64_t point, const uint32_t *const *links) {
    rhumb_status status = RHUMB_OK;
    rhumb__link_block *block = spool->blocks;
    const uint64_t count = spool->starts[point + 1] - spool->starts[point];
    while (point >= block->end) block++;
    if (block->buffered_count + count > spool->buffer_links) {
        RHUMB_TRY(write_links(spool, block, (const uint32_t *const *)block->buffers, block->buffered_count));
        block->buffered_count = 0;
    }
    if (count > spool->buffer_links) {
        RHUMB_TRY(write_links(spool, block, links, count));
    } else {
        for (uint32_t array = 0; array < spool->array_count; array++) {
            memcpy(block->buffers[array] + block->buffered_count, links[array], count * sizeof(uint32_t));
        }
        block->buffered_count += count;
    }
    spool->arrivals[block->begin + block->arrived_count++] = (uint32_t)point;
done:
    return status;
}

rhumb_status rhumb__link_spool_add(rhumb__link_spool *spool, uint64_t point, const uint32_t *neighbours,
                                   const float *distances) {
    static_assert(sizeof(float) == sizeof(uint32_t), "both arrays are moved as the same units");
    const uint32_t *links[RHUMB__LINK_ARRAY_COUNT] = {neighbours, (const uint32_t *)distances};
    RHUMB_ASSERT_DEBUG(point < spool->point_count && (distances != NULL) == (spool->array_count > 1));
    rhumb__mutex_lock(&spool->lock);
    const rhumb_status status = add_locked(spool, point, links);
    rhumb__mutex_unlock(&spool->lock);
    return status;
}

/* ---- putting in order ---- */

/* Brings the links of a block together as they came. */
static rhumb_status load(rhumb__link_spool *spool, const rhumb__link_block *block, uint32_t array) {
    uint32_t *loaded = spool->loaded[array];
    const uint64_t offset = spool->offsets[array] + spool->starts[block->begin] * sizeof *loaded;
    memcpy(loaded + block->written_count, block->buffers[array], block->buffered_count * sizeof *loaded);
    if (block->written_count == 0) return RHUMB_OK;
    return rhumb__io_read(spool->io, loaded, block->written_count * sizeof *loaded, offset);
}

rhumb_status rhumb__link_spool_order(rhumb__link_spool *spool, uint32_t number, uint64_t *link_count_out) {
    rhumb_status status = RHUMB_OK;
    const rhumb__link_block *block = &spool->blocks[number];
    *link_count_out = link_count_of(spool, block);
    RHUMB_ASSERT(block->written_count + block->buffered_count == *link_count_out);
    for (uint32_t array = 0; array < spool->array_count; array++) {
        uint64_t from = 0;
        RHUMB_TRY(load(spool, block, array));
        for (uint64_t i = 0; i < block->arrived_count; i++) {
            const uint64_t point = spool->arrivals[block->begin + i];
            const uint64_t count = spool->starts[point + 1] - spool->starts[point];
            const uint64_t to = spool->starts[point] - spool->starts[block->begin];
            memcpy(spool->ordered[array] + to, spool->loaded[array] + from, count * sizeof(uint32_t));
            from += count;
        }
    }
done:
    return status;
}

void rhumb__link_spool_destroy(rhumb__link_spool *spool) {
    for (uint32_t array = 0; array < RHUMB__LINK_ARRAY_COUNT; array++) {
        for (uint32_t i = 0; i < spool->block_count; i++) rhumb__free(spool->blocks[i].buffers[array]);
        rhumb__free(spool->loaded[array]);
        rhumb__free(spool->ordered[array]);
    }
    rhumb__free(spool->blocks);
    rhumb__free(spool->arrivals);
    if (spool->has_lock) rhumb__mutex_destroy(&spool->lock);
    *spool = (rhumb__link_spool){0};
}
