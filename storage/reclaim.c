/* reclaim.c - see reclaim.h.
 *
 * A block that the newest version does not refer to may still be needed: by the previous version, which a crash during
 * the next publication falls back to, and by a reader that pins an older one. So a block is *retired* with the epoch of
 * the last version that refers to it, and becomes free when that version is neither of the two on the disk and no
 * pinned version refers to it (kept_versions.c).
 *
 * Invariant: a block is in a version, retired, outgoing (next_sections.c), taken by a publication or free; never in two
 * of these. Owns the list of retired runs. Locking: the publishing lock. How it fails: a list that cannot grow for want
 * of memory loses blocks until the next open, nothing worse.
 */
#include "storage/reclaim.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/status.h"
#include "storage/frame/directory.h"
#include "storage/kept_versions.h"
#include "storage/store_stats.h"

/* Retires the blocks that the previous version refers to and the newest does not. Both lists are ascending and free of
 * overlaps. */
static void retire_previous(rhumb__store *store, const rhumb__extent *previous, uint32_t previous_count,
                            const rhumb__extent *newest, uint32_t newest_count) {
    uint32_t next = 0;
    for (uint32_t i = 0; i < previous_count; i++) {
        uint64_t begin = previous[i].file_offset;
        const uint64_t end = begin + previous[i].bytes;
        while (begin < end) {
            while (next < newest_count && newest[next].file_offset + newest[next].bytes <= begin) next++;
            const uint64_t shared_begin = next < newest_count ? rhumb__min_u64(newest[next].file_offset, end) : end;
            if (begin < shared_begin) {
                rhumb__store_retire(store, store->superblock.epoch - 1, begin, shared_begin - begin);
            }
            begin = shared_begin < end ? newest[next].file_offset + newest[next].bytes : end;
        }
    }
}

/* Marks the ranges of both versions as used, by ascending offsets: the gaps become free runs. */
static rhumb_status claim_ranges(rhumb__file_space *space, rhumb__extent *const ranges[2], const uint32_t counts[2]) {
    rhumb_status status = RHUMB_OK;
    uint32_t next[2] = {0, 0};
    while (next[0] < counts[0] || next[1] < counts[1]) {
        const bool take_second = next[0] == counts[0] || (next[1] < counts[1] && ranges[1][next[1]].file_offset <
                                                                                     ranges[0][next[0]].file_offset);
        const rhumb__extent *range = &ranges[take_second][next[take_second]++];
        RHUMB_TRY(rhumb__file_space_claim(space, range->file_offset, range->bytes));
    }
done:
    return status;
}

/* Notes the versions that the file names. */
static rhumb_status note_versions(rhumb__store *store, const rhumb__superblock *previous) {
    rhumb_status status = RHUMB_OK;
    for (uint32_t i = 0; i < store->directory->kept_count; i++) {
        RHUMB_TRY(rhumb__kept_versions_add(store, &store->directory->kept[i]));
    }
    if (previous != NULL) {
        const rhumb__kept_version version = rhumb__kept_version_of(previous);
        RHUMB_TRY(rhumb__kept_versions_add(store, &version));
    }
    const rhumb__kept_version newest = rhumb__kept_version_of(&store->superblock);
    status = rhumb__kept_versions_add(store, &newest);
done:
    return status;
}

/* A block outside the newest two versions is retired with the epoch before them: it is free unless an older version
 * that is pinned needs it. */
rhumb_status rhumb__store_find_free(rhumb__store *store, const rhumb__superblock *previous) {
    rhumb_status status;
    rhumb__directory *older = NULL;
    rhumb__extent *ranges[2] = {NULL, NULL}; /* of the newest and of the previous version */
    uint32_t counts[2] = {0, 0};
    const uint64_t epoch = store->superblock.epoch;
    uint64_t retired_epoch = epoch >= 2 ? epoch - 2 : 0;
    RHUMB_ASSERT_DEBUG(store->writable && store->retired_count == 0);
    RHUMB_TRY(note_versions(store, previous));
    RHUMB_TRY(rhumb__directory_ranges(store->directory, store->path, &ranges[0], &counts[0]));
    if (previous != NULL && rhumb__directory_read(store->io, previous, &older) == RHUMB_OK) {
        RHUMB_TRY(rhumb__directory_ranges(older, store->path, &ranges[1], &counts[1]));
    } else {
        /* The previous version cannot be read: what is not needed by the newest may be its. */
        retired_epoch = epoch - 1;
    }
    store->space.end = RHUMB__CONTENT_OFFSET;
    RHUMB_TRY(claim_ranges(&store->space, ranges, counts));
    RHUMB_TRY(rhumb__file_space_claim(&store->space, rhumb__round_up(store->file_bytes, RHUMB__BLOCK_BYTES), 0));
    for (uint32_t i = 0; i < store->space.count; i++) {
        rhumb__store_retire(store, retired_epoch, store->space.runs[i].offset, store->space.runs[i].bytes);
    }
    store->space.count = 0;
    retire_previous(store, ranges[1], counts[1], ranges[0], counts[0]);
done:
    rhumb__free(ranges[0]);
    rhumb__free(ranges[1]);
    rhumb__directory_free(older);
    return status;
}

void rhumb__store_retire(rhumb__store *store, uint64_t last_epoch, uint64_t offset, uint64_t bytes) {
    if (bytes == 0) return;
    RHUMB_ASSERT_DEBUG(offset % RHUMB__BLOCK_BYTES == 0 && bytes % RHUMB__BLOCK_BYTES == 0);
    RHUMB_ASSERT_DEBUG(offset >= RHUMB__CONTENT_OFFSET && offset + bytes <= store->space.end);
    if (store->retired_count == store->retired_capacity) {
        const uint32_t capacity = store->retired_capacity == 0 ? 64 : store->retired_capacity * 2;
        rhumb__retired_run *retired = rhumb__alloc_resize(store->retired, capacity, sizeof *retired);
        if (retired == NULL) return;
        store->retired = retired;
        store->retired_capacity = capacity;
    }
    store->retired[store->retired_count++] = (rhumb__retired_run){last_epoch, offset, bytes};
}

/* Makes those parts of run number `index` free that no kept version needs. The first part that is needed replaces run
 * number `to`, if there is one; the others become runs at the end of the list. Returns whether there is one. */
static bool split_run(rhumb__store *store, uint32_t index, uint32_t to) {
    const rhumb__retired_run run = store->retired[index];
    const uint64_t run_end = run.offset + run.bytes;
    uint64_t position = run.offset;
    bool kept = false;
    while (position < run_end) {
        uint64_t begin = position;
        uint64_t end = run_end;
        const bool needed = rhumb__kept_versions_need(store, &begin, &end);
        if (!needed) begin = end = run_end;
        rhumb__file_space_give(&store->space, position, begin - position);
        if (needed && kept) rhumb__store_retire(store, run.last_epoch, begin, end - begin);
        if (needed && !kept) store->retired[to] = (rhumb__retired_run){run.last_epoch, begin, end - begin};
        kept = kept || needed;
        position = end;
    }
    return kept;
}

bool rhumb__store_reclaim(rhumb__store *store) {
    uint32_t kept_count = 0;
    bool readers_keep = false;
    rhumb__mutex_assert_held(&store->publish_lock);
    const uint64_t unknown_epoch = rhumb__kept_versions_update(store);
    const uint32_t run_count = store->retired_count;
    for (uint32_t i = 0; i < run_count; i++) {
        const rhumb__retired_run run = store->retired[i];
        const bool version_needs = run.last_epoch + 2 > store->superblock.epoch && run.last_epoch != 0;
        if (version_needs || run.last_epoch >= unknown_epoch) {
            store->retired[kept_count++] = run;
        } else if (split_run(store, i, kept_count)) {
            kept_count++;
        } else {
            continue;
        }
        readers_keep = readers_keep || !version_needs;
    }
    const uint32_t added_count = store->retired_count - run_count;
    if (added_count > 0) {
        memmove(&store->retired[kept_count], &store->retired[run_count], added_count * sizeof store->retired[0]);
    }
    store->retired_count = kept_count + added_count;
    return readers_keep;
}

void rhumb__store_assert_used(const rhumb__store *store) {
#ifndef NDEBUG
    rhumb__mutex_assert_held(&store->publish_lock);
    const rhumb__patch_area *area = &store->patch_area;
    RHUMB_ASSERT_DEBUG(rhumb__file_space_is_used(&store->space, store->directory_offset, store->directory_bytes));
    RHUMB_ASSERT_DEBUG(area->room_bytes == 0 ||
                       rhumb__file_space_is_used(&store->space, area->file_offset, area->room_bytes));
    for (uint32_t i = 0; i < store->section_count; i++) {
        const rhumb__extent_list *extents = &store->sections[i]->extents;
        for (uint32_t k = 0; k < extents->count; k++) {
            const rhumb__extent_item *item = &extents->items[k];
            RHUMB_ASSERT_DEBUG(rhumb__file_space_is_used(&store->space, item->file_offset, item->bytes));
        }
    }
#else
    (void)store;
#endif
}

/* Cuts the file after the last byte that a version on the disk asks for or that is in use. */
static rhumb_status cut_end(rhumb__store *store) {
    uint64_t needed_bytes = rhumb__max_u64(store->superblock.file_bytes, store->previous_file_bytes);
    needed_bytes = rhumb__max_u64(needed_bytes, store->space.end);
    rhumb_status status = rhumb__io_size(store->io, &store->file_bytes);
    if (status != RHUMB_OK || store->file_bytes <= needed_bytes) return status;
    status = rhumb__io_resize(store->io, needed_bytes);
    if (status == RHUMB_OK) store->file_bytes = needed_bytes;
    return status;
}

rhumb_status rhumb__store_trim(rhumb__store *store, bool *left_out) {
    rhumb_status status = RHUMB_OK;
    *left_out = false;
    rhumb__mutex_lock(&store->publish_lock);
    if (atomic_load(&store->failed)) goto done;
    *left_out = rhumb__store_reclaim(store);
    rhumb__store_assert_used(store);
    for (uint32_t i = 0; i < store->space.count; i++) {
        RHUMB_TRY(rhumb__io_punch(store->io, store->space.runs[i].offset, store->space.runs[i].bytes));
    }
    status = cut_end(store);
    rhumb__store_stats_note(store);
done:
    rhumb__mutex_unlock(&store->publish_lock);
    return status;
}
