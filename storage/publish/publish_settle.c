/* publish_settle.c - step 5 of a publication: memory moves over to the new version.
 *
 * What was written is mapped from its new place over the private pages that held it, which gives these back; then the
 * old blocks are retired. Whoever reads meanwhile sees the same bytes before and after.
 *
 * Locking: the store's publishing lock is held; the chunks of one granule at a time, in ascending order.
 */
#define _GNU_SOURCE
#include <string.h>
#include <sys/mman.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/bits.h"
#include "storage/publish/publisher.h"

/* Puts memory that holds the same bytes in the place of a chunk, atomically for everybody who reads it. Afterwards the
 * chunk does not depend on the blocks it was mapped from. The chunk's lock is held. */
static bool detach_chunk(const rhumb__section *section, uint64_t offset) {
    const size_t bytes = section->chunk_bytes;
    void *copy = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (copy == MAP_FAILED) return false;
    memcpy(copy, section->base + offset, bytes);
    if (mremap(copy, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, section->base + offset) != MAP_FAILED) return true;
    munmap(copy, bytes);
    return false;
}

/* Maps [offset, offset + bytes), which is one piece of the file, from its new place. The pages were written a moment
 * ago and are in the page cache; entering them into the page tables here saves the searches a fault on each. */
static bool map_piece(const rhumb__publisher *p, const rhumb__section_plan *plan, uint64_t offset, uint64_t bytes) {
    uint8_t *address = plan->section->base + offset;
    const rhumb__extent piece = rhumb__extent_list_piece(&plan->extents, offset, bytes);
    RHUMB_ASSERT(piece.bytes == bytes);
    if (rhumb__io_map(p->store->io, address, bytes, piece.file_offset, RHUMB__IO_MAP_PRIVATE) != RHUMB_OK) return false;
#if defined(MADV_POPULATE_READ)
    (void)madvise(address, bytes, MADV_POPULATE_READ);
#endif
    return true;
}

/* Maps one granule that moved from its new blocks; chunks that have changed meanwhile keep their memory. Returns
 * whether nothing depends on the old blocks any more. Locks the granule's chunks in ascending order. */
static bool settle_granule(rhumb__publisher *p, const rhumb__section_plan *plan, uint64_t begin, uint64_t end) {
    const rhumb__section *section = plan->section;
    const uint64_t chunk_bytes = section->chunk_bytes;
    bool settled = true;
    bool all_clean = true;
    for (uint64_t offset = begin; offset < end; offset += chunk_bytes) {
        rhumb__chunk_state *chunk = &section->chunks[offset / chunk_bytes];
        rhumb__section_lock_chunk(section, chunk);
        all_clean = all_clean && !chunk->dirty;
    }
    const uint64_t step_bytes = all_clean ? end - begin : chunk_bytes;
    for (uint64_t offset = begin; offset < end; offset += step_bytes) {
        if (!all_clean && section->chunks[offset / chunk_bytes].dirty) {
            settled = detach_chunk(section, offset) && settled;
            continue;
        }
        settled = map_piece(p, plan, offset, step_bytes) && settled;
    }
    for (uint64_t offset = begin; offset < end; offset += chunk_bytes) {
        rhumb__mutex_unlock(&section->chunks[offset / chunk_bytes].lock);
    }
    return settled;
}

static void retire_range(rhumb__publisher *p, const rhumb__extent_list *extents, uint64_t begin, uint64_t end) {
    end = rhumb__min_u64(end, extents->bytes);
    while (begin < end) {
        const rhumb__extent piece = rhumb__extent_list_piece(extents, begin, end - begin);
        rhumb__store_retire(p->store, p->superblock.epoch - 1, piece.file_offset, piece.bytes);
        begin += piece.bytes;
    }
}

/* Full blocks of published rows are mapped from the file. What cannot be mapped stays in private memory, which is as
 * right. */
static void settle_append(rhumb__publisher *p, rhumb__section_plan *plan) {
    rhumb__section *section = plan->section;
    const uint64_t end = rhumb__round_down(plan->row_count * section->row_stride_bytes, RHUMB__BLOCK_BYTES);
    const uint64_t moved_begin = plan->moved.count > 0 ? plan->moved.items[0].begin : UINT64_MAX;
    uint64_t begin = rhumb__min_u64(section->settled_bytes, moved_begin);
    while (begin < end) {
        const rhumb__extent piece = rhumb__extent_list_piece(&plan->extents, begin, end - begin);
        if (!map_piece(p, plan, begin, piece.bytes)) break;
        begin += piece.bytes;
    }
    section->settled_bytes = begin;
    /* The block behind the last full one is memory of its own from the beginning (rhumb__section_map). */
    for (uint32_t i = 0; begin >= end && i < plan->moved.count; i++) {
        retire_range(p, &section->extents, plan->moved.items[i].begin, plan->moved.items[i].end);
    }
}

static void settle_section(rhumb__publisher *p, rhumb__section_plan *plan) {
    rhumb__section *section = plan->section;
    if (rhumb__publish_skips(p, section)) return;
    if (section->spec.kind == RHUMB__SECTION_APPEND) {
        settle_append(p, plan);
    } else {
        for (uint32_t i = 0; i < plan->moved.count; i++) {
            const uint64_t end = plan->moved.items[i].end;
            for (uint64_t begin = plan->moved.items[i].begin; begin < end;) {
                const uint64_t granule_end = rhumb__min_u64(begin + plan->granule_bytes, end);
                /* Blocks that memory still depends on are not given away; the next open finds them. */
                if (settle_granule(p, plan, begin, granule_end)) {
                    retire_range(p, &section->extents, begin, granule_end);
                }
                begin = granule_end;
            }
        }
    }
    rhumb__extent_list_clear(&section->extents);
    section->extents = plan->extents;
    plan->extents = (rhumb__extent_list){0};
    rhumb__free(section->checksums);
    section->checksums = plan->checksums;
    plan->checksums = NULL;
    section->checksum_count = plan->checksum_count;
    section->published_row_count = plan->row_count;
}

void rhumb__publish_settle(rhumb__publisher *p) {
    for (uint32_t i = 0; i < p->section_count; i++) settle_section(p, &p->plans[i]);
}
