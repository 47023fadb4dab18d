/* publish_large.c - the end of step 1 of a publication: makes the page cache ready to keep in large pages what is going
 * to be written.
 *
 * The cache keeps bytes in the units in which they came first. Such a unit is a large page if an aligned piece of its
 * size is written by one call, or is read by a fault that asks for it; then it stays one, however small the writes are
 * that follow. So before anything is written, the small units are dropped that the cache still has of free blocks, with
 * what these held before. And a piece that is not written as a whole, like the last one of a section, is read: in
 * blocks that have just been allocated these are zeros, for which the disk is not asked.
 *
 * Owns nothing. Locking: the store's publishing lock is held; no version refers to the bytes that are read here. Cannot
 * fail: without large pages everything works, slower.
 */
#include "base/bits.h"
#include "storage/publish/publisher.h"
#include "storage/residency.h"

/* Drops what the cache has of blocks that were free. */
static void forget_taken(rhumb__publisher *p, const rhumb__section_plan *plan) {
    for (uint32_t i = 0; i < plan->taken.count; i++) {
        const rhumb__extent_item *taken = &plan->taken.items[i];
        const uint64_t begin = rhumb__round_up(taken->file_offset, RHUMB__LARGE_PAGE_BYTES);
        const uint64_t end = rhumb__round_down(taken->file_offset + taken->bytes, RHUMB__LARGE_PAGE_BYTES);
        if (begin < end) rhumb__io_forget(p->store->io, begin, end - begin);
    }
}

/* Whether the piece of the section that begins at `begin` gets its first bytes, and gets them in small writes or in
 * part. */
static bool is_begun_small(const rhumb__section_plan *plan, uint64_t begin, uint64_t old_end, uint64_t new_end) {
    const bool is_whole = begin + RHUMB__LARGE_PAGE_BYTES <= new_end;
    if (plan->section->spec.kind == RHUMB__SECTION_APPEND) return begin >= old_end && !is_whole;
    const bool moves = rhumb__publish_granule(plan, begin)->action == RHUMB__GRANULE_MOVES;
    return moves ? !is_whole : begin >= old_end;
}

/* Reads the pieces that are begun in small writes, where extents have room for them. */
static void read_begun(rhumb__publisher *p, const rhumb__section_plan *plan) {
    const rhumb__section *section = plan->section;
    const bool is_mutable = section->spec.kind == RHUMB__SECTION_MUTABLE;
    const uint64_t unit_bytes = is_mutable ? section->chunk_bytes : section->row_stride_bytes;
    const uint64_t old_end = unit_bytes * (is_mutable ? section->checksum_count : section->published_row_count);
    const uint64_t new_end = unit_bytes * (is_mutable ? plan->checksum_count : plan->row_count);
    const uint64_t piece_bytes = RHUMB__LARGE_PAGE_BYTES;
    for (uint64_t begin = rhumb__round_down(old_end, piece_bytes); begin < new_end; begin += piece_bytes) {
        if (begin + piece_bytes > plan->extents.bytes) break;
        if (!is_begun_small(plan, begin, old_end, new_end)) continue;
        const rhumb__extent run = rhumb__extent_list_run(&plan->extents, begin, piece_bytes);
        if (run.bytes < piece_bytes || !rhumb__is_multiple(run.file_offset, piece_bytes)) continue;
        rhumb__io_gather(p->store->io, run.file_offset, piece_bytes);
    }
}

void rhumb__publish_make_large(rhumb__publisher *p) {
    for (uint32_t i = 0; i < p->section_count; i++) {
        const rhumb__section_plan *plan = &p->plans[i];
        if (plan->checksum_count == 0) continue;
        forget_taken(p, plan);
        if (!rhumb__store_exceeds_memory(p->store)) read_begun(p, plan);
    }
}
