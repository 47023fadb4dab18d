/* publish_settle.c - step 5 of a publication: maps the sections from the new version.
 *
 * What was written is mapped from its new blocks over the private pages that held it, which releases these; then the
 * old blocks are retired. Concurrent readers see the same bytes before and after.
 *
 * Locking: the store's publishing lock is held; the locks of one granule's chunks at a time, in ascending order. Cannot
 * fail: what cannot be mapped stays in private memory, and blocks that memory still depends on are not retired.
 */
#define _GNU_SOURCE
#include <string.h>
#include <sys/mman.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/bits.h"
#include "storage/publish/publisher.h"
#include "storage/reclaim.h"
#include "storage/renewal.h"
#include "storage/residency.h"

/* Maps [offset, offset + bytes), which is contiguous in the file, from its new blocks. */
static bool map_run(const rhumb__publisher *p, const rhumb__section_plan *plan, uint64_t offset, uint64_t bytes) {
    uint8_t *address = plan->section->base + offset;
    const rhumb__extent run = rhumb__extent_list_run(&plan->extents, offset, bytes);
    RHUMB_ASSERT(run.bytes == bytes);
    if (rhumb__section_guard(plan->section, p->store->io, offset + bytes) != RHUMB_OK) return false;
    if (rhumb__io_map(p->store->io, address, bytes, run.file_offset, RHUMB__IO_MAP_PRIVATE) != RHUMB_OK) return false;
    rhumb__residency_advise(p->store, address, bytes);
    return true;
}

/* Whether [begin, end) of a mutable section ends behind the rows of the version. */
static bool has_room(const rhumb__section_plan *plan, uint64_t end) {
    return end > plan->row_count * plan->section->row_stride_bytes;
}

/* Gives the room after the rows of the version private pages, in a copy of [begin, end) of the section. New rows are
 * added there, and the next version has them as its filter leaves them, in the same blocks: a page that is the file's
 * would show these bytes. */
static void detach_room(const rhumb__section_plan *plan, uint8_t *copy, uint64_t begin, uint64_t end) {
    const uint64_t used_end = rhumb__max_u64(plan->row_count * plan->section->row_stride_bytes, begin);
    for (uint64_t at = rhumb__round_down(used_end - begin, RHUMB__PAGE_BYTES); at < end - begin;
         at += RHUMB__PAGE_BYTES) {
        volatile uint8_t *byte = copy + at;
        *byte = *byte; /* a store is what makes the kernel copy the page */
    }
}

/* Maps [begin, end), which is contiguous in the file, from its new blocks, except that chunks that are dirty keep their
 * bytes, and room for rows its zeros, in private pages of the same mapping: so a granule never takes more than one of
 * the mappings that the system allows a process. The new mapping is made elsewhere and put into its place at once, so
 * that searches see nothing but the bytes that they saw before. The chunks' locks are held. */
static bool map_aside(const rhumb__publisher *p, const rhumb__section_plan *plan, uint64_t begin, uint64_t end) {
    const rhumb__section *section = plan->section;
    const size_t bytes = end - begin;
    rhumb__io *io = p->store->io;
    rhumb__bus_range *guard = NULL;
    bool placed = false;
    const rhumb__extent run = rhumb__extent_list_run(&plan->extents, begin, bytes);
    RHUMB_ASSERT(run.bytes == bytes);
    if (rhumb__section_guard(plan->section, io, end) != RHUMB_OK) return false;
    uint8_t *copy = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (copy == MAP_FAILED) return false;
    if (rhumb__bus_guard_add(copy, bytes, true, &io->bus_flag, &guard) != RHUMB_OK) goto done;
    if (rhumb__io_map(io, copy, bytes, run.file_offset, RHUMB__IO_MAP_PRIVATE) != RHUMB_OK) goto done;
    for (uint64_t offset = begin; offset < end; offset += section->chunk_bytes) {
        if (rhumb__unit_set_is_empty(&section->chunks[offset / section->chunk_bytes].dirty)) continue;
        memcpy(copy + (offset - begin), section->base + offset, section->chunk_bytes);
    }
    rhumb__residency_advise(p->store, copy, bytes);
    if (has_room(plan, end)) detach_room(plan, copy, begin, end);
    placed = mremap(copy, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, section->base + begin) != MAP_FAILED;
done:
    rhumb__bus_guard_remove(guard);
    if (!placed) munmap(copy, bytes);
    return placed;
}

/* Maps one granule that moved from its new blocks. Returns whether no memory depends on the old blocks any more. Locks
 * the granule's chunks in ascending order. */
static bool settle_granule(rhumb__publisher *p, const rhumb__section_plan *plan, uint64_t begin, uint64_t end) {
    const rhumb__section *section = plan->section;
    const uint64_t chunk_bytes = section->chunk_bytes;
    bool all_clean = true;
    for (uint64_t offset = begin; offset < end; offset += chunk_bytes) {
        rhumb__chunk_state *chunk = &section->chunks[offset / chunk_bytes];
        rhumb__section_lock_chunk(section, chunk);
        all_clean = all_clean && rhumb__unit_set_is_empty(&chunk->dirty);
    }
    const bool as_it_is = all_clean && !has_room(plan, end);
    const bool settled = as_it_is ? map_run(p, plan, begin, end - begin) : map_aside(p, plan, begin, end);
    for (uint64_t offset = begin; offset < end; offset += chunk_bytes) {
        rhumb__mutex_unlock(&section->chunks[offset / chunk_bytes].lock);
    }
    return settled;
}

static void retire_range(rhumb__publisher *p, const rhumb__extent_list *extents, uint64_t begin, uint64_t end) {
    end = rhumb__min_u64(end, extents->bytes);
    while (begin < end) {
        const rhumb__extent run = rhumb__extent_list_run(extents, begin, end - begin);
        rhumb__store_retire(p->store, p->superblock.epoch - 1, run.file_offset, run.bytes);
        begin += run.bytes;
    }
}

/* Maps [begin, end) from its new blocks, as far as it goes. Returns where that is. */
static uint64_t map_runs(const rhumb__publisher *p, const rhumb__section_plan *plan, uint64_t begin, uint64_t end) {
    while (begin < end) {
        const rhumb__extent run = rhumb__extent_list_run(&plan->extents, begin, end - begin);
        if (!map_run(p, plan, begin, run.bytes)) break;
        begin += run.bytes;
    }
    return begin;
}

/* Whether the chunk at `offset` has renewed rows that are not in the file yet: its memory has to stay. */
static bool is_renewed_at(const rhumb__section *section, uint64_t offset) {
    const uint64_t begin = offset / section->chunk_bytes * section->chunk_bytes;
    return rhumb__renewal_is_needed(section, begin, begin + section->chunk_bytes);
}

/* Maps [begin, end) as map_runs does, but for chunks with renewed rows: writing ahead leaves those as they are, also
 * where the chunk that had been published in part is now written as a whole. */
static uint64_t map_written(const rhumb__publisher *p, const rhumb__section_plan *plan, uint64_t begin, uint64_t end) {
    const rhumb__section *section = plan->section;
    const uint64_t chunk_bytes = section->chunk_bytes;
    if (section->renewed_bytes == 0) return map_runs(p, plan, begin, end);
    while (begin < end) {
        const bool stays = is_renewed_at(section, begin);
        uint64_t run_end = (begin / chunk_bytes + 1) * chunk_bytes;
        while (run_end < end && is_renewed_at(section, run_end) == stays) run_end += chunk_bytes;
        run_end = rhumb__min_u64(run_end, end);
        if (!stays && map_runs(p, plan, begin, run_end) < run_end) break;
        begin = run_end;
    }
    return begin;
}

/* Maps the full blocks of published rows from the file: those that moved, and those at the end that are new. What
 * cannot be mapped stays in private memory, or in the old blocks, which have the same bytes. */
static void settle_append(rhumb__publisher *p, rhumb__section_plan *plan) {
    rhumb__section *section = plan->section;
    const uint64_t end = rhumb__round_down(plan->row_count * section->row_stride_bytes, RHUMB__BLOCK_BYTES);
    uint64_t settled = section->settled_bytes;
    for (uint32_t i = 0; i < plan->moved.count; i++) {
        const rhumb__range *moved = &plan->moved.items[i];
        const uint64_t mapped_end = rhumb__min_u64(moved->end, end);
        rhumb__renewal_forget(section, moved->begin, moved->end);
        if (moved->begin < mapped_end && map_runs(p, plan, moved->begin, mapped_end) < mapped_end) {
            settled = rhumb__min_u64(settled, moved->begin);
            continue;
        }
        /* The block after the last full one is private memory from the beginning (rhumb__section_map). */
        retire_range(p, &section->extents, moved->begin, moved->end);
    }
    section->settled_bytes = map_written(p, plan, settled, end);
}

/* Maps the chunks of granules that stay whose private memory is not needed any more: those whose patches have been
 * written in place, and those that have been filled with rows. */
static void settle_patched(const rhumb__publisher *p, const rhumb__section_plan *plan) {
    const rhumb__section *section = plan->section;
    const uint64_t chunk_bytes = section->chunk_bytes;
    const uint64_t old_bytes = section->published_row_count * section->row_stride_bytes;
    const uint64_t new_bytes = plan->row_count * section->row_stride_bytes;
    for (uint64_t i = 0; i < plan->checksum_count; i++) {
        const uint64_t end = (i + 1) * chunk_bytes;
        if (rhumb__publish_granule(plan, i * chunk_bytes)->action == RHUMB__GRANULE_MOVES) continue;
        const bool had_patches =
            section->patched != NULL && i < section->checksum_count && !rhumb__unit_set_is_empty(&section->patched[i]);
        if (!had_patches && (end <= old_bytes || end > new_bytes)) continue;
        if (plan->patched != NULL && !rhumb__unit_set_is_empty(&plan->patched[i])) continue;
        /* The bytes of the file after the last row are anything. */
        if (end > new_bytes) continue;
        rhumb__chunk_state *chunk = &section->chunks[i];
        rhumb__section_lock_chunk(section, chunk);
        if (rhumb__unit_set_is_empty(&chunk->dirty)) (void)map_run(p, plan, i * chunk_bytes, chunk_bytes);
        rhumb__mutex_unlock(&chunk->lock);
    }
}

static void settle_section(rhumb__publisher *p, rhumb__section_plan *plan) {
    rhumb__section *section = plan->section;
    if (rhumb__publish_skips(p, section)) return;
    RHUMB_ASSERT_DEBUG(plan->row_count >= section->published_row_count);
    RHUMB_ASSERT_DEBUG(plan->row_count * section->row_stride_bytes <= plan->extents.bytes);
    if (section->spec.kind == RHUMB__SECTION_APPEND) {
        settle_append(p, plan);
    } else {
        /* Room for growth is not mapped. */
        const uint64_t chunks_end = plan->checksum_count * section->chunk_bytes;
        settle_patched(p, plan);
        for (uint32_t i = 0; i < plan->moved.count; i++) {
            const uint64_t end = plan->moved.items[i].end;
            for (uint64_t begin = plan->moved.items[i].begin; begin < end;) {
                const uint64_t granule_end = rhumb__min_u64(begin + plan->granule_bytes, end);
                /* Blocks that memory still depends on are not retired; the next open finds them. */
                if (begin >= chunks_end || settle_granule(p, plan, begin, rhumb__min_u64(granule_end, chunks_end))) {
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
    if (!p->ahead) {
        rhumb__free(section->patched);
        section->patched = plan->patched;
        plan->patched = NULL;
    }
    section->checksum_count = plan->checksum_count;
    section->published_row_count = plan->row_count;
}

void rhumb__publish_settle(rhumb__publisher *p) {
    rhumb__mutex_assert_held(&p->store->publish_lock);
    for (uint32_t i = 0; i < p->section_count; i++) settle_section(p, &p->plans[i]);
    rhumb__residency_review(p->store);
}
