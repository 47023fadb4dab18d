/* publish.c - see publish.h.
 *
 * A publication has five steps, whose order makes it safe:
 *   1. plan      Take new blocks for everything that has to be written: none that the two newest versions or a pinned
 *                reader use. Allocate them now, so that a full disk is noticed before anything is written.
 *   2. write     Write the new rows of append-only sections after the published ones, and the changed granules of
 *                mutable sections to their new blocks, each chunk copied under its lock, or the changed units of a
 *                granule as patches (publish_patch.c); then the directory with all checksums.
 *   3. sync      Everything that the superblock is going to refer to is on the disk.
 *   4. publish   Write the superblock over that of the version before the previous one: one copy, a sync, the other
 *                copy. From here on the new version is the newest, and those who wait for it are woken.
 *   5. settle    Map what was written over the private pages that held it, which releases these; retire the old blocks.
 *
 * A *granule* is a power of two of chunks, the unit that is rewritten and mapped as one: one chunk in small sections,
 * more in large ones, so that a section never has more than a few thousand extents.
 *
 * Invariants: until step 4 nothing that older versions refer to reads otherwise, so a failure before it costs nothing
 * but the blocks that were taken, which become free again. A unit is dirty whenever memory and the newest version may
 * differ.
 *
 * Locking: every step runs under the store's publishing lock, which is taken before any chunk lock. How it fails:
 * before step 3 with nothing changed; from step 3 on it is unknown which version the disk has, and the store writes no
 * more.
 */
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/clock.h"
#include "base/crc32c.h"
#include "base/status.h"
#include "storage/epoch_watch.h"
#include "storage/kept_versions.h"
#include "storage/publish/publisher.h"
#include "storage/reclaim.h"
#include "storage/store_stats.h"

/* The directory of the new version as bytes: root, then all chunk checksums. The entries borrow the plans' extents. */
static rhumb_status encode_directory(rhumb__publisher *p, rhumb__directory *directory, uint32_t *root_bytes_out,
                                     uint64_t *bytes_out) {
    uint64_t checksum_count = 0;
    uint32_t checksum_crc = 0;
    directory->epoch = p->superblock.epoch;
    directory->section_count = p->section_count;
    for (uint32_t i = 0; i < p->section_count; i++) {
        const rhumb__section_plan *plan = &p->plans[i];
        const rhumb__section_spec *spec = &plan->section->spec;
        rhumb__directory_entry *entry = &directory->entries[i];
        entry->extents = plan->extents;
        entry->record.id = spec->id;
        entry->record.kind = (uint32_t)spec->kind;
        entry->record.flags = spec->required ? RHUMB__SECTION_REQUIRED : 0;
        entry->record.codec = spec->codec;
        entry->record.version = spec->version;
        entry->record.chunk_bytes = plan->section->chunk_bytes;
        entry->record.row_stride_bytes = spec->row_stride_bytes;
        entry->record.row_count = plan->row_count;
        checksum_count += plan->checksum_count;
        checksum_crc = rhumb__crc32c(checksum_crc, plan->checksums, plan->checksum_count * sizeof(uint32_t));
    }
    directory->checksum_crc = checksum_crc;
    directory->patch_offset = p->patches.area.file_offset;
    directory->patch_bytes = p->patches.area.used_bytes;
    directory->patch_crc = p->patches.area.crc;
    directory->patch_count = p->patches.area.count;
    uint8_t *root = NULL;
    rhumb_status status =
        rhumb__kept_versions_list(p->store, directory->epoch, &directory->kept, &directory->kept_count);
    if (status != RHUMB_OK) return status;
    status = rhumb__directory_encode(directory, &root, root_bytes_out);
    if (status != RHUMB_OK) return status;
    const uint64_t bytes = *root_bytes_out + checksum_count * sizeof(uint32_t);
    p->directory_bytes = rhumb__alloc_resize(root, bytes, 1);
    if (p->directory_bytes == NULL) {
        rhumb__free(root);
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for a directory of %llu bytes", (unsigned long long)bytes);
    }
    p->superblock.root_crc = rhumb__crc32c(0, p->directory_bytes, *root_bytes_out);
    uint8_t *next = p->directory_bytes + *root_bytes_out;
    for (uint32_t i = 0; i < p->section_count; i++) {
        const size_t table_bytes = p->plans[i].checksum_count * sizeof(uint32_t);
        if (table_bytes > 0) memcpy(next, p->plans[i].checksums, table_bytes);
        next += table_bytes;
    }
    *bytes_out = bytes;
    return RHUMB_OK;
}

/* The end of the last block that the new version refers to: the length that the file must have. */
static uint64_t used_end(const rhumb__publisher *p) {
    const rhumb__patch_area *area = &p->patches.area;
    uint64_t end = p->directory_offset + p->directory_block_bytes;
    end = rhumb__max_u64(end, area->file_offset + rhumb__round_up(area->used_bytes, RHUMB__BLOCK_BYTES));
    for (uint32_t i = 0; i < p->section_count; i++) {
        const rhumb__extent_list *extents = &p->plans[i].extents;
        for (uint32_t k = 0; k < extents->count; k++) {
            end = rhumb__max_u64(end, extents->items[k].file_offset + extents->items[k].bytes);
        }
    }
    return end;
}

static rhumb_status write_directory(rhumb__publisher *p) {
    rhumb_status status;
    rhumb__store *store = p->store;
    uint32_t root_bytes = 0;
    uint64_t bytes = 0;
    rhumb__directory *directory = rhumb__alloc_zeroed(1, sizeof *directory);
    if (directory == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for a directory");
    RHUMB_TRY(encode_directory(p, directory, &root_bytes, &bytes));
    const uint64_t block_bytes = rhumb__round_up(bytes, RHUMB__BLOCK_BYTES);
    RHUMB_TRY(rhumb__file_space_take(&store->space, block_bytes, 1, 0, &p->directory_offset));
    p->directory_block_bytes = block_bytes;
    RHUMB_TRY(rhumb__io_allocate(store->io, p->directory_offset, block_bytes));
    /* The file may end inside the last block, if another program has appended bytes to it. */
    RHUMB_TRY(rhumb__io_size(store->io, &store->file_bytes));
    if (store->file_bytes < store->space.end) RHUMB_TRY(rhumb__io_resize(store->io, store->space.end));
    store->file_bytes = rhumb__max_u64(store->file_bytes, store->space.end);
    RHUMB_TRY(rhumb__io_write(store->io, p->directory_bytes, bytes, p->directory_offset));
    p->written_bytes += bytes;
    p->superblock.directory_offset = p->directory_offset;
    p->superblock.directory_bytes = bytes;
    p->superblock.root_bytes = root_bytes;
    p->superblock.file_bytes = used_end(p);
    RHUMB_ASSERT_DEBUG(p->superblock.file_bytes <= store->space.end);
done:
    rhumb__free(directory->kept);
    rhumb__free(directory); /* not its extents: they are the plans' */
    return status;
}

/* Marks the chunks of a range of a mutable section dirty. The range may have room for growth at its end. */
static void mark_range_dirty(const rhumb__section_plan *plan, const rhumb__range *range) {
    const rhumb__section *section = plan->section;
    const uint64_t end = rhumb__min_u64(range->end, plan->checksum_count * section->chunk_bytes);
    for (uint64_t offset = range->begin; offset < end; offset += section->chunk_bytes) {
        rhumb__chunk_state *chunk = &section->chunks[offset / section->chunk_bytes];
        rhumb__section_lock_chunk(section, chunk);
        memset(&chunk->dirty, 0xFF, sizeof chunk->dirty);
        rhumb__mutex_unlock(&chunk->lock);
    }
}

static void plan_clear(rhumb__section_plan *plan) {
    rhumb__extent_list_clear(&plan->extents);
    rhumb__extent_list_clear(&plan->taken);
    rhumb__free(plan->moved.items);
    rhumb__free(plan->granules);
    rhumb__free(plan->patched);
    rhumb__free(plan->checksums);
    *plan = (rhumb__section_plan){0};
}

/* Forgets all plans; what the patches take is the store's by now, or has been released. */
static void clear_plans(rhumb__publisher *p) {
    for (uint32_t i = 0; i < RHUMB__SECTION_COUNT_MAX; i++) plan_clear(&p->plans[i]);
    rhumb__free(p->patches.live);
    rhumb__free(p->patches.in_place_bytes);
    rhumb__free(p->patches.copied);
    p->patches = (rhumb__patch_plan){0};
}

/* After a failure: makes the blocks free that were taken, since nothing refers to them, and marks everything dirty that
 * was copied. */
static void roll_back(rhumb__publisher *p) {
    rhumb__publish_patches_roll_back(p);
    for (uint32_t i = 0; i < p->section_count; i++) {
        rhumb__section_plan *plan = &p->plans[i];
        const bool is_mutable = plan->section != NULL && plan->section->spec.kind == RHUMB__SECTION_MUTABLE;
        for (uint32_t k = 0; is_mutable && k < plan->moved.count; k++) mark_range_dirty(plan, &plan->moved.items[k]);
        for (uint32_t k = 0; k < plan->taken.count; k++) {
            rhumb__file_space_give(&p->store->space, plan->taken.items[k].file_offset, plan->taken.items[k].bytes);
        }
    }
    rhumb__file_space_give(&p->store->space, p->directory_offset, p->directory_block_bytes);
}

static void publisher_free(rhumb__publisher *p) {
    if (p == NULL) return;
    clear_plans(p);
    rhumb__free(p->raw);
    rhumb__free(p->pool);
    rhumb__free(p->directory_bytes);
    rhumb__free(p);
}

/* Writes from the buffers may still be in flight; the buffers must not be released before these have ended. */
static void wait_after_failure(rhumb__publisher *p) {
    rhumb_error cause;
    rhumb__error_save(&cause);
    if (rhumb__io_drain(p->store->io) != RHUMB_OK) rhumb__error_restore(&cause);
}

static rhumb_status write_version_once(rhumb__publisher *p) {
    rhumb_status status = RHUMB_OK;
    RHUMB_TRY(rhumb__publish_plan(p));
    RHUMB_TRY(rhumb__publish_write(p));
    if (!p->ahead) RHUMB_TRY(write_directory(p));
    RHUMB_TRY(rhumb__io_drain(p->store->io));
done:
    if (status != RHUMB_OK) {
        wait_after_failure(p);
        roll_back(p);
    }
    return status;
}

/* Steps 1 and 2. What changes between them may be more than patches can hold. That is noticed before the client learns
 * that anything has been copied; then it is done again without any patches. */
static rhumb_status write_version(rhumb__publisher *p) {
    rhumb_status status = write_version_once(p);
    if (status == RHUMB_OK || !p->patches.overflow) return status;
    clear_plans(p);
    p->merge = true;
    return write_version_once(p);
}

/* Steps 3 and 4. After a failure here it is unknown which version the disk has, so the handle writes no more. Only at
 * the first version the failure is returned as it is: that file is going to be removed. It gets its name here, when it
 * is complete. */
static rhumb_status make_newest(rhumb__publisher *p) {
    rhumb_status status;
    rhumb__store *store = p->store;
    const bool is_first = !store->has_version;
    RHUMB_ASSERT_DEBUG(!p->ahead && p->superblock.epoch == store->superblock.epoch + 1);
    RHUMB_TRY(rhumb__store_settle(store));
    if (is_first) RHUMB_TRY(rhumb__superblock_write_none(store->io, &p->superblock));
    RHUMB_TRY(rhumb__io_sync(store->io));
    store->copy_pending = false;
    /* What was copied may be what stands in for a page that cannot be read. */
    RHUMB_TRY(rhumb__io_check_mappings(store->io));
    if (p->publication->still_allowed != NULL) RHUMB_TRY(p->publication->still_allowed(p->publication->context));
    p->superblock.stamp = 0;
    if (store->before_publish != NULL) {
        RHUMB_TRY(store->before_publish(store->before_publish_context, &p->superblock));
    }
    RHUMB_TRY(rhumb__store_write_superblock(store, &p->superblock));
    if (!is_first) goto done;
    RHUMB_TRY(rhumb__io_sync(store->io));
    status = rhumb__store_take_name(store);
done:
    if (status == RHUMB_OK) return RHUMB_OK;
    if (!is_first) return rhumb__store_fail_for_good(store);
    atomic_store(&store->failed, true);
    return status;
}

/* The version that is the newest now does not refer to the blocks of replaced sections any more. */
static void retire_outgoing(rhumb__store *store, uint64_t last_epoch) {
    for (uint32_t i = 0; i < store->outgoing.count; i++) {
        rhumb__store_retire(store, last_epoch, store->outgoing.items[i].file_offset, store->outgoing.items[i].bytes);
    }
    rhumb__extent_list_clear(&store->outgoing);
}

/* Fills in a zeroed publisher, and makes blocks free that can be. */
static rhumb_status publisher_init(rhumb__publisher *p, rhumb__store *store, rhumb__publication *publication) {
    p->store = store;
    p->publication = publication;
    p->sections = store->sections;
    p->section_count = store->section_count;
    p->begin_ns = rhumb__clock_now_ns();
    p->superblock = store->superblock;
    rhumb__mutex_assert_held(&store->publish_lock);
    const rhumb_status status = rhumb__store_check(store);
    if (status == RHUMB_OK) (void)rhumb__store_reclaim(store);
    return status;
}

rhumb_status rhumb__store_publish(rhumb__store *store, rhumb__publication *publication) {
    rhumb_status status;
    RHUMB_ASSERT(store->writable);
    rhumb__publisher *p = rhumb__alloc_zeroed(1, sizeof *p);
    if (p == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for a checkpoint");
    rhumb__mutex_lock(&store->publish_lock);
    RHUMB_TRY(publisher_init(p, store, publication));
    if (store->superblock.epoch >= RHUMB__EPOCH_MAX) {
        status = rhumb__fail_at(RHUMB_E_FULL, store->path, RHUMB_OFFSET_NONE, "epoch %llu is the last there can be",
                                (unsigned long long)store->superblock.epoch);
        goto done;
    }
    p->superblock.epoch = store->superblock.epoch + 1;
    p->superblock.features_read = publication->features_read;
    memcpy(p->superblock.client, publication->client, sizeof p->superblock.client);
    RHUMB_TRY(rhumb__kept_versions_make_room(store));
    RHUMB_TRY(write_version(p));
    RHUMB_TRY(make_newest(p));
    rhumb__epoch_announce(store->io, p->superblock.epoch);
    rhumb__publish_settle(p);
    rhumb__publish_patches_settle(p);
    rhumb__store_retire(store, store->superblock.epoch, store->directory_offset, store->directory_bytes);
    retire_outgoing(store, store->superblock.epoch);
    store->directory_offset = p->directory_offset;
    store->directory_bytes = p->directory_block_bytes;
    store->previous_file_bytes = store->superblock.file_bytes;
    store->superblock = p->superblock;
    store->has_version = true;
    const rhumb__kept_version newest = rhumb__kept_version_of(&store->superblock);
    RHUMB_TRY(rhumb__kept_versions_add(store, &newest)); /* there is room */
    publication->written_bytes = p->written_bytes;
    rhumb__store_assert_used(store);
done:
    rhumb__store_stats_note(store);
    rhumb__mutex_unlock(&store->publish_lock);
    publisher_free(p);
    return status;
}

rhumb_status rhumb__store_write_ahead(rhumb__store *store, rhumb__publication *publication) {
    rhumb_status status;
    RHUMB_ASSERT(store->writable);
    rhumb__publisher *p = rhumb__alloc_zeroed(1, sizeof *p);
    if (p == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for writing ahead");
    rhumb__mutex_lock(&store->publish_lock);
    RHUMB_TRY(publisher_init(p, store, publication));
    p->ahead = true;
    if (store->next_section_count > 0 && !publication->current_sections) {
        p->sections = store->next_sections;
        p->section_count = store->next_section_count;
    }
    RHUMB_TRY(write_version(p));
    rhumb__publish_settle(p);
    publication->written_bytes = p->written_bytes;
done:
    rhumb__store_stats_note(store);
    rhumb__mutex_unlock(&store->publish_lock);
    publisher_free(p);
    return status;
}
