/* store.c - see store.h.
 *
 * A reader opens optimistically: it reads the superblocks, pins the newest epoch, and reads them again. If that epoch
 * is still the newest, every block of the version stays untouched for as long as the pin is held, because the writer
 * tests it before it reuses a block. If not, the writer may have tested before the pin was there, and the reader starts
 * again.
 *
 * Owns the io handle, with it the locks on the file, and the lists of blocks; the sections are the client's. Locking: a
 * store is known to one thread until it is open. A failure to open or attach leaves the file as it was, and everything
 * released that the call had taken.
 */
#define _GNU_SOURCE
#include "storage/store.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/status.h"
#include "storage/frame/file_locks.h"
#include "storage/frame/frame_reader.h"
#include "storage/kept_versions.h"
#include "storage/log/log_examine.h"
#include "storage/reclaim.h"
#include "storage/residency.h"
#include "storage/row_reads.h"
#include "storage/store_stats.h"
#include "storage/warm_up.h"

/* No writer publishes faster than a reader can open this many times in a row. */
#define PIN_ATTEMPT_COUNT_MAX 100

/* 8,192 pages are 32 MiB of private memory in each process that has the index open. */
#define USUAL_PATCH_LIMITS                                                                                             \
    { .bytes_max = UINT64_C(4) << 20, .page_count_max = 8192 }
static rhumb__patch_limits patch_limits = USUAL_PATCH_LIMITS;

void rhumb__store_set_patch_limits(const rhumb__patch_limits *limits) {
    patch_limits = limits == NULL ? (rhumb__patch_limits)USUAL_PATCH_LIMITS : *limits;
}

static rhumb_status store_new(const char *path, bool writable, rhumb__store **store_out) {
    rhumb__store *store = rhumb__alloc_zeroed(1, sizeof *store);
    if (store == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for a store");
    if (rhumb__mutex_init(&store->publish_lock, RHUMB__RANK_PUBLISH) != 0 ||
        rhumb__mutex_init(&store->stats_lock, RHUMB__RANK_STORE_STATS) != 0) {
        rhumb__free(store);
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for a lock");
    }
    store->writable = writable;
    store->patch_limits = patch_limits;
    store->path = rhumb__alloc_text(path);
    if (store->path == NULL) {
        rhumb__store_close(store);
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for a path");
    }
    *store_out = store;
    return RHUMB_OK;
}

/* Replaces the path by the absolute path of the file that is now open, if the system can resolve it. */
static void make_path_absolute(rhumb__store *store) {
    char absolute[PATH_MAX];
    if (realpath(store->path, absolute) == NULL) return;
    char *copy = rhumb__alloc_text(absolute);
    if (copy == NULL) return;
    rhumb__free(store->path);
    store->path = copy;
}

static rhumb_status store_lock_writer(rhumb__store *store) {
    bool taken = false;
    const rhumb_status status = rhumb__writer_lock_take(store->io, &taken);
    if (status != RHUMB_OK || taken) return status;
    return rhumb__fail_at(RHUMB_E_LOCKED, store->path, RHUMB_OFFSET_NONE,
                          "another handle has this index open for writing; open it read-only");
}

/* Draws the UUID, version 4: random. */
static rhumb_status draw_uuid(uint8_t uuid[16], const char *path) {
    if (getrandom(uuid, 16, 0) != 16) return rhumb__fail_errno(errno, path, RHUMB_OFFSET_NONE, "drawing a UUID");
    uuid[6] = (uint8_t)((uuid[6] & 0x0F) | 0x40);
    uuid[8] = (uint8_t)((uuid[8] & 0x3F) | 0x80);
    return RHUMB_OK;
}

rhumb_status rhumb__store_create(const rhumb__store_creation *creation, rhumb__store **store_out) {
    rhumb_status status;
    rhumb__store *store = NULL;
    rhumb__new_place place = creation->place;
    char *path = rhumb__new_path_make(place.path);
    if (path == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for a path");
    RHUMB_TRY(store_new(path, true, &store));
    place.path = path;
    RHUMB_TRY(rhumb__new_place_open(&place, &store->io));
    /* So that the disk cannot be full when the superblocks are written, which would look like a failing disk. */
    RHUMB_TRY(rhumb__io_allocate(store->io, 0, RHUMB__CONTENT_OFFSET));
    rhumb__superblock *superblock = &store->superblock;
    superblock->creator_version = creation->creator_version;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    superblock->created_unix_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    RHUMB_TRY(draw_uuid(superblock->uuid, path));
    store->log_may_exist = creation->log_may_exist;
    store->space.end = RHUMB__CONTENT_OFFSET;
    *store_out = store;
    store = NULL;
done:
    if (store != NULL && store->io != NULL) {
        rhumb__store_abandon(store);
    } else {
        rhumb__store_close(store);
    }
    rhumb__free(path);
    return status;
}

rhumb_status rhumb__store_take_name(rhumb__store *store) {
    rhumb_status status;
    bool log_exists = false;
    if (!store->log_may_exist) RHUMB_TRY(rhumb__log_exists(store->io->backend, store->path, &log_exists));
    if (log_exists) {
        status = rhumb__fail_at(RHUMB_E_EXISTS, store->path, RHUMB_OFFSET_NONE,
                                "the log of another index exists, in the file of this name with \"-wal\" appended; "
                                "remove it, or choose another name");
        goto done;
    }
    RHUMB_TRY(rhumb__io_take_name(store->io, store->path));
    status = rhumb__io_sync_directory(store->io->backend, store->path);
done:
    return status;
}

static rhumb_status find_versions(const rhumb__store *store, rhumb__frame_versions *found) {
    return rhumb__frame_find(store->io, store->partial ? RHUMB__FRAME_PARTIAL : RHUMB__FRAME_READ, found);
}

/* Leaves the newest superblock first in `found`, its epoch pinned. */
static rhumb_status pin_newest(const rhumb__store *store, rhumb__frame_versions *found) {
    rhumb_status status = find_versions(store, found);
    for (uint32_t attempt = 0; status == RHUMB_OK && attempt < PIN_ATTEMPT_COUNT_MAX; attempt++) {
        const uint64_t epoch = found->items[0].epoch;
        bool pinned = false;
        status = rhumb__version_pin(store->io, epoch, &pinned);
        if (status != RHUMB_OK) break;
        status = find_versions(store, found);
        if (status != RHUMB_OK) break;
        if (pinned && found->items[0].epoch == epoch) return RHUMB_OK;
        if (pinned) status = rhumb__version_unpin(store->io, epoch);
    }
    if (status != RHUMB_OK) return status;
    return rhumb__fail_at(RHUMB_E_LOCKED, store->path, RHUMB_OFFSET_NONE,
                          "the index got a new version during each of %d attempts to open one", PIN_ATTEMPT_COUNT_MAX);
}

/* Of a file that may be cut short: whether it has what is to be read or mapped. */
static rhumb_status check_is_there(const rhumb__store *store, uint64_t offset, uint64_t bytes, const char *what) {
    uint64_t file_bytes = 0;
    const rhumb_status status = rhumb__io_size(store->io, &file_bytes);
    if (status != RHUMB_OK || (offset <= file_bytes && bytes <= file_bytes - offset)) return status;
    return rhumb__fail_at(RHUMB_E_TRUNCATED, store->path, offset, "%s needs %llu bytes here, the file has %llu in all",
                          what, (unsigned long long)bytes, (unsigned long long)file_bytes);
}

static rhumb_status check_section_is_there(const rhumb__store *store, const rhumb__directory_entry *entry) {
    char what[32];
    snprintf(what, sizeof what, "section %u", entry->record.id);
    for (uint32_t i = 0; i < entry->extents.count; i++) {
        const rhumb__extent_item *item = &entry->extents.items[i];
        const rhumb_status status = check_is_there(store, item->file_offset, item->bytes, what);
        if (status != RHUMB_OK) return status;
    }
    return RHUMB_OK;
}

static rhumb_status open_store(const rhumb__io_backend *backend, const char *path, rhumb__store_mode mode,
                               rhumb__store **store_out) {
    const bool writable = mode == RHUMB__STORE_WRITE;
    const bool partial = (mode & RHUMB__STORE_PARTIAL) != 0;
    rhumb_status status;
    rhumb__store *store = NULL;
    rhumb__frame_versions found = {.count = 0};
    const rhumb__superblock *previous = NULL;
    RHUMB_TRY(store_new(path, writable, &store));
    store->partial = partial;
    RHUMB_TRY(rhumb__io_open(backend, path, writable ? RHUMB__IO_WRITE : RHUMB__IO_READ, &store->io));
    store->io->unlocked = (mode & RHUMB__STORE_UNLOCKED) != 0;
    rhumb__io_read_exactly(store->io, true); /* small and scattered parts; see residency.c */
    make_path_absolute(store);
    if (writable) {
        RHUMB_TRY(store_lock_writer(store));
        RHUMB_TRY(rhumb__frame_find(store->io, RHUMB__FRAME_WRITE, &found));
        if (found.count > 1) previous = &found.items[1];
    } else {
        RHUMB_TRY(pin_newest(store, &found));
    }
    store->superblock = found.items[0];
    rhumb__frame_warn(store->io, &found);
    if (partial) {
        const rhumb__superblock *superblock = &store->superblock;
        RHUMB_TRY(check_is_there(store, superblock->directory_offset, superblock->directory_bytes, "the directory"));
    }
    RHUMB_TRY(rhumb__directory_read(store->io, &store->superblock, &store->directory));
    RHUMB_TRY(rhumb__patches_read(store->io, store->directory, &store->patches));
    store->directory_offset = store->directory->file_offset;
    store->directory_bytes = store->directory->file_bytes;
    RHUMB_TRY(rhumb__io_size(store->io, &store->file_bytes));
    if (writable) RHUMB_TRY(rhumb__store_find_free(store, previous));
    store->previous_file_bytes = previous != NULL ? previous->file_bytes : 0;
    store->has_version = true;
    store->superblock_found = true;
    *store_out = store;
    store = NULL;
done:
    rhumb__store_close(store);
    return status;
}

rhumb_status rhumb__store_open(const rhumb__io_backend *backend, const char *path, bool writable,
                               rhumb__store **store_out) {
    return open_store(backend, path, writable ? RHUMB__STORE_WRITE : RHUMB__STORE_READ, store_out);
}

rhumb_status rhumb__store_open_as(const rhumb__io_backend *backend, const char *path, rhumb__store_mode mode,
                                  rhumb__store **store_out) {
    return open_store(backend, path, mode, store_out);
}

/* What the version at hand says of a section, or NULL. */
static rhumb__directory_entry *store_find_entry(rhumb__store *store, uint32_t id) {
    return store->directory == NULL ? NULL : rhumb__directory_find(store->directory, id);
}

static bool store_is_known(const rhumb__section_spec *spec, const rhumb__section_record *record) {
    return record->codec == spec->codec && record->version == spec->version;
}

static rhumb_status store_check_entry(const rhumb__store *store, const rhumb__section_spec *spec,
                                      const rhumb__section_record *record) {
    if (!store_is_known(spec, record)) {
        return rhumb__fail_at(RHUMB_E_VERSION, store->path, store->directory_offset,
                              "section %u: codec %u version %u expected, codec %u version %u found", spec->id,
                              spec->codec, spec->version, record->codec, record->version);
    }
    if (record->kind != (uint32_t)spec->kind || record->row_stride_bytes != spec->row_stride_bytes ||
        record->row_count > spec->row_limit ||
        record->chunk_bytes != rhumb__section_chunk_bytes(spec->kind, spec->row_stride_bytes)) {
        return rhumb__fail_at(
            RHUMB_E_CORRUPT, store->path, store->directory_offset,
            "section %u: kind %u, rows of %llu bytes expected; kind %u, %llu rows of %llu bytes found", spec->id,
            (unsigned)spec->kind, (unsigned long long)spec->row_stride_bytes, record->kind,
            (unsigned long long)record->row_count, (unsigned long long)record->row_stride_bytes);
    }
    return RHUMB_OK;
}

rhumb_status rhumb__store_attach(rhumb__store *store, const rhumb__section_spec *spec, rhumb__section *section) {
    rhumb_status status;
    bool initialised = false;
    RHUMB_ASSERT(store->section_count < RHUMB__SECTION_COUNT_MAX);
    RHUMB_ASSERT(spec->kind != RHUMB__SECTION_MUTABLE || spec->row_stride_bytes % 64 == 0);
    rhumb__directory_entry *entry = store_find_entry(store, spec->id);
    if (entry != NULL && !spec->required && !store_is_known(spec, &entry->record)) entry = NULL;
    if (entry == NULL && store->has_version && spec->required) {
        return rhumb__fail_at(RHUMB_E_CORRUPT, store->path, store->directory_offset, "section %u is missing", spec->id);
    }
    if (entry != NULL) {
        status = store_check_entry(store, spec, &entry->record);
        if (status != RHUMB_OK) return status;
    }
    const bool mapped = entry != NULL && !spec->unmapped;
    RHUMB_ASSERT(!spec->unmapped || !store->writable);
    if (mapped && store->partial) {
        status = check_section_is_there(store, entry);
        if (status != RHUMB_OK) return status;
    }
    RHUMB_TRY(rhumb__section_init(section, spec, store->writable, mapped ? entry->record.row_count : 0));
    initialised = true;
    if (mapped) RHUMB_TRY(rhumb__section_map(section, store->io, entry, &store->patches));
    if (entry != NULL && !mapped) {
        section->published_row_count = entry->record.row_count;
        RHUMB_TRY(rhumb__extent_list_append_range(&section->extents, &entry->extents, 0, entry->extents.bytes));
    }
    store->sections[store->section_count++] = section;
done:
    if (status != RHUMB_OK && initialised) rhumb__section_destroy(section);
    return status;
}

/* Copies to every attached section its part of the table of checksums. */
static rhumb_status distribute_checksums(rhumb__store *store) {
    uint32_t *checksums = NULL;
    rhumb_status status = rhumb__directory_read_checksums(store->io, store->directory, &checksums);
    for (uint32_t i = 0; status == RHUMB_OK && i < store->section_count; i++) {
        rhumb__section *section = store->sections[i];
        const rhumb__directory_entry *entry = store_find_entry(store, section->spec.id);
        section->checksum_count =
            section->published_row_count == 0 ? 0 : rhumb__section_record_chunk_count(&entry->record);
        if (section->checksum_count == 0) continue;
        section->checksums = rhumb__alloc_zeroed(section->checksum_count, sizeof *checksums);
        if (section->checksums == NULL) {
            status =
                rhumb__fail(RHUMB_E_NOMEM, "no memory for %llu checksums", (unsigned long long)section->checksum_count);
            break;
        }
        memcpy(section->checksums, checksums + entry->record.checksum_first,
               section->checksum_count * sizeof *checksums);
    }
    rhumb__free(checksums);
    return status;
}

/* Whether the section that a patch is for is attached, with its rows. */
static bool patch_is_known(const rhumb__store *store, const rhumb__patch *patch) {
    for (uint32_t i = 0; i < store->section_count; i++) {
        const rhumb__section *section = store->sections[i];
        if (section->spec.id == patch->section_id) return section->patched != NULL;
    }
    return false;
}

/* Leaves out the patches of sections that are not attached. */
static rhumb_status drop_unknown_patches(rhumb__store *store) {
    rhumb__patch_area *area = &store->patch_area;
    uint32_t kept_count = 0;
    uint64_t used_bytes = 0;
    for (uint32_t i = 0; i < area->count; i++) kept_count += patch_is_known(store, &store->patches.items[i]);
    if (kept_count == area->count) return RHUMB_OK;
    uint8_t *kept = rhumb__alloc_aligned(area->used_bytes, 1, 64);
    if (kept == NULL) {
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for %llu bytes of patches", (unsigned long long)area->used_bytes);
    }
    /* In the order of the list: only the order within a chunk matters, and that is the area's. */
    for (uint32_t i = 0; i < area->count; i++) {
        const rhumb__patch *patch = &store->patches.items[i];
        if (!patch_is_known(store, patch)) continue;
        const uint64_t bytes = sizeof(rhumb__patch_header) + patch->bytes;
        memcpy(kept + used_bytes, patch->data - sizeof(rhumb__patch_header), bytes);
        used_bytes += bytes;
    }
    rhumb__free(area->bytes);
    area->bytes = kept;
    area->used_bytes = used_bytes;
    area->count = kept_count;
    area->marks[0].end = used_bytes;
    area->stale = true;
    return RHUMB_OK;
}

/* The patches that were read at open become the writer's area, as if all of them had been added by this version. */
static rhumb_status take_patches(rhumb__store *store) {
    rhumb__patch_area *area = &store->patch_area;
    const rhumb__directory *directory = store->directory;
    if (store->patches.area_bytes == 0) return RHUMB_OK;
    area->marks = rhumb__alloc_zeroed(1, sizeof *area->marks);
    if (area->marks == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for a list of patches");
    area->marks[0] = (rhumb__patch_mark){store->superblock.epoch, store->patches.area_bytes};
    area->mark_count = 1;
    area->mark_capacity = 1;
    area->file_offset = directory->patch_offset;
    area->room_bytes = rhumb__round_up(store->patches.area_bytes, RHUMB__BLOCK_BYTES);
    area->crc = directory->patch_crc;
    area->count = store->patches.count;
    area->used_bytes = store->patches.area_bytes;
    area->capacity_bytes = store->patches.area_bytes;
    area->bytes = store->patches.area;
    store->patches.area = NULL;
    return drop_unknown_patches(store);
}

rhumb_status rhumb__store_attach_finish(rhumb__store *store) {
    rhumb__store_stats_note(store);
    if (store->directory == NULL) return RHUMB_OK;
    for (uint32_t i = 0; i < store->directory->section_count; i++) {
        const rhumb__section_record *record = &store->directory->entries[i].record;
        bool attached = false;
        for (uint32_t k = 0; k < store->section_count; k++) {
            attached = attached || store->sections[k]->spec.id == record->id;
        }
        if (!attached && (record->flags & RHUMB__SECTION_REQUIRED) != 0) {
            return rhumb__fail_at(RHUMB_E_VERSION, store->path, store->directory_offset,
                                  "the index has a section %u that this version does not know and must not ignore",
                                  record->id);
        }
    }
    rhumb__residency_review(store);
    rhumb_status status = RHUMB_OK;
    if (store->writable) {
        status = take_patches(store);
        if (status == RHUMB_OK) status = distribute_checksums(store);
    }
    rhumb__patches_clear(&store->patches);
    if (status != RHUMB_OK || !store->writable) return status;
    rhumb__directory_free(store->directory);
    store->directory = NULL;
    return RHUMB_OK;
}

rhumb_status rhumb__store_write_superblock(rhumb__store *store, rhumb__superblock *superblock) {
    rhumb_status status = RHUMB_OK;
    if (store->copy_pending) RHUMB_TRY(rhumb__io_sync(store->io));
    store->copy_pending = true;
    status = rhumb__superblock_write(store->io, superblock);
done:
    return status;
}

rhumb_status rhumb__store_settle(rhumb__store *store) {
    rhumb_status status = RHUMB_OK;
    if (!store->superblock_found) return RHUMB_OK;
    /* Writing the same bytes again makes the next sync write them to the disk. Everything that the superblock refers to
     * had been synced before it was written. */
    RHUMB_TRY(rhumb__store_write_superblock(store, &store->superblock));
    store->superblock_found = false;
done:
    return status;
}

rhumb_status rhumb__store_fail_for_good(rhumb__store *store) {
    rhumb_error cause;
    rhumb_error error;
    rhumb__error_save(&cause);
    atomic_store(&store->failed, true);
    const rhumb_status status =
        rhumb__fail_at(RHUMB_E_FATAL, store->path, cause.file_offset,
                       "a version could not be made durable, nothing more will be written: %s", cause.message);
    rhumb__error_save(&error);
    error.os_errno = cause.os_errno;
    rhumb__error_restore(&error);
    return status;
}

rhumb_status rhumb__store_check(const rhumb__store *store) {
    if (!atomic_load(&store->failed)) return RHUMB_OK;
    return rhumb__fail_at(RHUMB_E_FATAL, store->path, RHUMB_OFFSET_NONE,
                          "an earlier failure to make a version durable forbids further writing");
}

static rhumb_status stamp_locked(rhumb__store *store, rhumb__superblock *stamped) {
    rhumb_status status = rhumb__store_check(store);
    if (status != RHUMB_OK) return status;
    if (stamped->stamp == UINT64_MAX) { /* only a crafted file gets here */
        return rhumb__fail_at(RHUMB_E_FULL, store->path, RHUMB_OFFSET_NONE, "the superblock has the last stamp");
    }
    stamped->stamp++;
    status = rhumb__store_settle(store);
    if (status == RHUMB_OK) status = rhumb__store_write_superblock(store, stamped);
    if (status != RHUMB_OK) return rhumb__store_fail_for_good(store);
    store->superblock = *stamped;
    return RHUMB_OK;
}

rhumb_status rhumb__store_stamp(rhumb__store *store, uint64_t history, uint64_t log_lsn, bool log_expected) {
    rhumb_status status = RHUMB_OK;
    RHUMB_ASSERT(store->writable && store->has_version);
    rhumb__mutex_lock(&store->publish_lock);
    rhumb__superblock stamped = store->superblock;
    if (stamped.history != history || (stamped.log_expected != 0) != log_expected) {
        stamped.history = history;
        stamped.log_lsn = log_lsn;
        stamped.log_expected = log_expected ? 1 : 0;
        status = stamp_locked(store, &stamped);
    }
    rhumb__mutex_unlock(&store->publish_lock);
    return status;
}

void rhumb__store_close(rhumb__store *store) {
    if (store == NULL) return;
    rhumb__warm_up_stop(store);
    rhumb__row_reads_close(store);
    for (uint32_t i = 0; i < store->section_count; i++) rhumb__section_destroy(store->sections[i]);
    for (uint32_t i = 0; i < store->next_section_count; i++) rhumb__section_destroy(store->next_sections[i]);
    rhumb__extent_list_clear(&store->outgoing);
    rhumb__patches_clear(&store->patches);
    rhumb__free(store->patch_area.bytes);
    rhumb__free(store->patch_area.marks);
    rhumb__io_close(store->io);
    rhumb__directory_free(store->directory);
    rhumb__file_space_clear(&store->space);
    rhumb__free(store->retired);
    rhumb__kept_versions_clear(store);
    rhumb__free(store->path);
    rhumb__mutex_destroy(&store->publish_lock);
    rhumb__mutex_destroy(&store->stats_lock);
    rhumb__free(store);
}

rhumb__io *rhumb__store_close_keeping(rhumb__store *store, uint32_t kept_id, bool published) {
    bool pinned = false;
    rhumb__io *io = store->io;
    rhumb_error before;
    rhumb__error_save(&before);
    RHUMB_ASSERT_DEBUG(store->writable);
    rhumb__warm_up_stop(store);
    /* In this order: the next writer sees the pin before it can take the lock. */
    if (published && rhumb__version_pin(io, store->superblock.epoch, &pinned) == RHUMB_OK && pinned) {
        (void)!rhumb__writer_lock_release(io);
    }
    rhumb__error_restore(&before);
    for (uint32_t i = 0; i < store->section_count; i++) {
        if (store->sections[i]->spec.id != kept_id) rhumb__section_destroy(store->sections[i]);
    }
    store->section_count = 0;
    store->io = NULL;
    rhumb__store_close(store);
    return io;
}

rhumb_status rhumb__store_pin_version(rhumb__store *reader, uint64_t epoch) {
    bool pinned = false;
    const rhumb_status status = rhumb__version_pin(reader->io, epoch, &pinned);
    if (status != RHUMB_OK || pinned) return status;
    return rhumb__fail_at(RHUMB_E_IO, reader->path, RHUMB_OFFSET_NONE, "version %llu cannot be pinned",
                          (unsigned long long)epoch);
}

/* A pin that cannot be removed goes with the handle. */
static void unpin(rhumb__io *io, uint64_t epoch) {
    rhumb_error before;
    rhumb__error_save(&before);
    (void)!rhumb__version_unpin(io, epoch);
    rhumb__error_restore(&before);
}

void rhumb__store_unpin_version(rhumb__store *reader, uint64_t epoch) {
    if (epoch != reader->superblock.epoch) unpin(reader->io, epoch);
}

void rhumb__store_give_up(rhumb__store *reader) {
    if (!reader->io->unlocked) unpin(reader->io, reader->superblock.epoch);
}

rhumb__io *rhumb__store_take_io(rhumb__store *reader, uint64_t epoch) {
    rhumb__io *io = reader->io;
    rhumb__warm_up_stop(reader); /* it uses the handle */
    if (epoch != reader->superblock.epoch) unpin(io, reader->superblock.epoch);
    reader->io = NULL;
    return io;
}

void rhumb__store_abandon(rhumb__store *store) {
    rhumb_error cause;
    rhumb__error_save(&cause);
    /* A file that cannot be removed is not an index: opening it reports that its creation was interrupted. */
    (void)!rhumb__io_remove_own(store->io, store->io->path);
    rhumb__store_close(store);
    rhumb__error_restore(&cause);
}

bool rhumb__store_is_same(rhumb__store *store, const rhumb__store *reader) {
    const rhumb__store_stats stats = rhumb__store_stats_get(store); /* a publication replaces the superblock */
    return memcmp(stats.uuid, reader->superblock.uuid, sizeof stats.uuid) == 0;
}

rhumb_status rhumb__store_has_newer(rhumb__store *store, bool *newer_out) {
    rhumb_status status;
    bool is_there = false;
    rhumb__frame_versions found;
    RHUMB_TRY(rhumb__io_is_at(store->io, store->path, &is_there));
    *newer_out = !is_there;
    if (!is_there) goto done;
    rhumb__mutex_lock(&store->publish_lock);
    status = find_versions(store, &found);
    if (status == RHUMB_OK) *newer_out = found.items[0].epoch != store->superblock.epoch;
    rhumb__mutex_unlock(&store->publish_lock);
done:
    return status;
}

rhumb_status rhumb__store_versions(rhumb__store *store, rhumb__frame_versions *found) {
    rhumb__mutex_lock(&store->publish_lock);
    const rhumb_status status = find_versions(store, found);
    rhumb__mutex_unlock(&store->publish_lock);
    return status;
}
