/* store.c - opening and closing a store, and the pins that let readers and the writer share one file; see store.h.
 *
 * A reader's opening is optimistic: read the superblock, lock the byte of its epoch, read the superblock again. If it
 * is still the newest, every block it refers to stays untouched for as long as the lock is held, because the writer
 * tests the lock before it reuses a block. If not, the writer may have looked before the lock was there; start over.
 *
 * Locks are open-file-description locks: they live and die with the handle's descriptor, also when the process is
 * killed.
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
#include "base/crc32c.h"
#include "base/status.h"

/* A writer that publishes faster than a reader can open is not going to happen this many times in a row. */
#define PIN_ATTEMPT_COUNT_MAX 100

/* Less than a tenth of a second in all. */
#define LOCK_ATTEMPT_COUNT_MAX 16
#define LOCK_PAUSE_NS 5000000

static rhumb_status store_new(const char *path, bool writable, rhumb__store **store_out) {
    rhumb__store *store = rhumb__alloc_zeroed(1, sizeof *store);
    if (store == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for a store");
    if (rhumb__mutex_init(&store->publish_lock, RHUMB__RANK_PUBLISH) != 0) {
        rhumb__free(store);
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for a lock");
    }
    store->writable = writable;
    store->path = rhumb__alloc_text(path);
    if (store->path == NULL) {
        rhumb__store_close(store);
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for a path");
    }
    *store_out = store;
    return RHUMB_OK;
}

/* Replaces the path by the absolute one of the file that is now open. A file system that cannot tell leaves it as it
 * was. */
static void make_path_absolute(rhumb__store *store) {
    char absolute[PATH_MAX];
    if (realpath(store->path, absolute) == NULL) return;
    char *copy = rhumb__alloc_text(absolute);
    if (copy == NULL) return;
    rhumb__free(store->path);
    store->path = copy;
}

/* The kernel takes the lock from a writer that was killed, but only when the last of its io_uring writes has ended:
 * they might hit blocks that the next writer has begun to use. That takes milliseconds, so a lock that is held is asked
 * for again for a while before anybody is told. */
static rhumb_status take_writer_lock(rhumb__store *store) {
    bool taken = false;
    rhumb_status status = RHUMB_OK;
    for (uint32_t attempt = 0; attempt <= LOCK_ATTEMPT_COUNT_MAX; attempt++) {
        if (attempt > 0) nanosleep(&(struct timespec){.tv_nsec = LOCK_PAUSE_NS}, NULL);
        status = rhumb__io_lock_range(store->io, RHUMB__LOCK_WRITER_OFFSET, 1, RHUMB__IO_LOCK_EXCLUSIVE, &taken);
        if (status != RHUMB_OK || taken) return status;
    }
    return rhumb__fail_at(RHUMB_E_LOCKED, store->path, RHUMB_OFFSET_NONE,
                          "another handle has this index open for writing; open it read-only");
}

rhumb_status rhumb__store_create(const rhumb__io_backend *backend, const char *path, uint32_t creator_version,
                                 rhumb__store **store_out) {
    rhumb_status status;
    rhumb__store *store = NULL;
    RHUMB_TRY(store_new(path, true, &store));
    RHUMB_TRY(rhumb__io_open(backend, path, RHUMB__IO_CREATE, &store->io));
    make_path_absolute(store);
    RHUMB_TRY(take_writer_lock(store));
    /* So that a full disk cannot meet the superblocks, where it could not be told from a broken one. */
    RHUMB_TRY(rhumb__io_allocate(store->io, 0, RHUMB__BLOCK_BYTES));
    rhumb__superblock *superblock = &store->superblock;
    superblock->creator_version = creator_version;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    superblock->created_unix_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    if (getrandom(superblock->uuid, sizeof superblock->uuid, 0) != (ssize_t)sizeof superblock->uuid) {
        status = rhumb__fail_errno(errno, path, RHUMB_OFFSET_NONE, "drawing a UUID");
        goto done;
    }
    superblock->uuid[6] = (uint8_t)((superblock->uuid[6] & 0x0F) | 0x40); /* version 4: random */
    superblock->uuid[8] = (uint8_t)((superblock->uuid[8] & 0x3F) | 0x80);
    store->space.end = RHUMB__BLOCK_BYTES;
    *store_out = store;
    store = NULL;
done:
    if (store != NULL && store->io != NULL) {
        rhumb__store_abandon(store);
    } else {
        rhumb__store_close(store);
    }
    return status;
}

static uint64_t pin_offset(uint64_t epoch) { return RHUMB__LOCK_EPOCH_OFFSET + epoch; }

static rhumb_status read_newest(rhumb__store *store, rhumb__superblock *newest) {
    rhumb__superblock previous;
    bool has_previous = false;
    if (store->partial) return rhumb__superblock_read_short(store->io, newest, &previous, &has_previous);
    return rhumb__superblock_read(store->io, false, newest, &previous, &has_previous);
}

/* Leaves the newest superblock in store->superblock, its epoch pinned. */
static rhumb_status pin_newest(rhumb__store *store) {
    rhumb_status status = read_newest(store, &store->superblock);
    for (uint32_t attempt = 0; status == RHUMB_OK && attempt < PIN_ATTEMPT_COUNT_MAX; attempt++) {
        const uint64_t epoch = store->superblock.epoch;
        bool taken = false;
        status = rhumb__io_lock_range(store->io, pin_offset(epoch), 1, RHUMB__IO_LOCK_SHARED, &taken);
        if (status != RHUMB_OK) break;
        status = read_newest(store, &store->superblock);
        if (status != RHUMB_OK) break;
        if (taken && store->superblock.epoch == epoch) return RHUMB_OK;
        if (taken) status = rhumb__io_unlock_range(store->io, pin_offset(epoch), 1);
    }
    if (status != RHUMB_OK) return status;
    return rhumb__fail_at(RHUMB_E_LOCKED, store->path, RHUMB_OFFSET_NONE,
                          "the index got a new version during each of %d attempts to open one", PIN_ATTEMPT_COUNT_MAX);
}

/* Notes the blocks that the version before the newest has and the newest has not as retired by it. Both lists are
 * ascending and free of overlaps. */
static void retire_previous(rhumb__store *store, const rhumb__extent *older, uint32_t older_count,
                            const rhumb__extent *newest, uint32_t newest_count) {
    uint32_t next = 0;
    for (uint32_t i = 0; i < older_count; i++) {
        uint64_t begin = older[i].file_offset;
        const uint64_t end = begin + older[i].bytes;
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

/* Everything that neither of the two versions on disk uses is free, once no reader pins a version older than both,
 * whose blocks are no longer known. So all of it is noted as retired by the version before them. */
static rhumb_status find_free_space(rhumb__store *store, const rhumb__superblock *previous, bool has_previous) {
    rhumb_status status;
    rhumb__directory *older = NULL;
    rhumb__extent *ranges[2] = {NULL, NULL};
    uint32_t counts[2] = {0, 0};
    uint64_t file_bytes = 0;
    const uint64_t epoch = store->superblock.epoch;
    uint64_t retired_epoch = epoch >= 2 ? epoch - 2 : 0;
    RHUMB_TRY(rhumb__io_size(store->io, &file_bytes));
    RHUMB_TRY(rhumb__directory_ranges(store->directory, store->path, &ranges[0], &counts[0]));
    if (has_previous && rhumb__directory_read(store->io, previous, &older) == RHUMB_OK) {
        RHUMB_TRY(rhumb__directory_ranges(older, store->path, &ranges[1], &counts[1]));
    } else {
        /* The version before cannot be read, so a reader that pins it has blocks that we do not know. */
        retired_epoch = epoch - 1;
    }
    store->space.end = RHUMB__BLOCK_BYTES;
    uint32_t next[2] = {0, 0};
    while (next[0] < counts[0] || next[1] < counts[1]) {
        const bool take_second = next[0] == counts[0] || (next[1] < counts[1] && ranges[1][next[1]].file_offset <
                                                                                     ranges[0][next[0]].file_offset);
        const rhumb__extent *range = &ranges[take_second][next[take_second]++];
        RHUMB_TRY(rhumb__file_space_claim(&store->space, range->file_offset, range->bytes));
    }
    RHUMB_TRY(rhumb__file_space_claim(&store->space, rhumb__round_up(file_bytes, RHUMB__BLOCK_BYTES), 0));
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

/* Of a file that may be short: what is read or mapped must be there. */
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

static rhumb_status open_store(const rhumb__io_backend *backend, const char *path, bool writable, bool partial,
                               rhumb__store **store_out) {
    rhumb_status status;
    rhumb__store *store = NULL;
    rhumb__superblock previous;
    bool has_previous = false;
    RHUMB_TRY(store_new(path, writable, &store));
    store->partial = partial;
    RHUMB_TRY(rhumb__io_open(backend, path, writable ? RHUMB__IO_WRITE : RHUMB__IO_READ, &store->io));
    make_path_absolute(store);
    if (writable) {
        RHUMB_TRY(take_writer_lock(store));
        RHUMB_TRY(rhumb__superblock_read(store->io, true, &store->superblock, &previous, &has_previous));
    } else {
        RHUMB_TRY(pin_newest(store));
    }
    if (partial) {
        const rhumb__superblock *superblock = &store->superblock;
        RHUMB_TRY(check_is_there(store, superblock->directory_offset, superblock->directory_bytes, "the directory"));
    }
    RHUMB_TRY(rhumb__directory_read(store->io, &store->superblock, &store->directory));
    store->directory_offset = store->directory->file_offset;
    store->directory_bytes = store->directory->file_bytes;
    if (writable) RHUMB_TRY(find_free_space(store, &previous, has_previous));
    store->previous_file_bytes = has_previous ? previous.file_bytes : 0;
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
    return open_store(backend, path, writable, false, store_out);
}

rhumb_status rhumb__store_open_partial(const rhumb__io_backend *backend, const char *path, rhumb__store **store_out) {
    return open_store(backend, path, false, true, store_out);
}

static rhumb__directory_entry *find_entry(rhumb__store *store, uint32_t id) {
    for (uint32_t i = 0; store->directory != NULL && i < store->directory->section_count; i++) {
        if (store->directory->entries[i].record.id == id) return &store->directory->entries[i];
    }
    return NULL;
}

static bool is_known(const rhumb__section_spec *spec, const rhumb__section_record *record) {
    return record->codec == spec->codec && record->version == spec->version;
}

static rhumb_status check_entry(const rhumb__store *store, const rhumb__section_spec *spec,
                                const rhumb__section_record *record) {
    if (!is_known(spec, record)) {
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
    rhumb__directory_entry *entry = find_entry(store, spec->id);
    if (entry != NULL && !spec->required && !is_known(spec, &entry->record)) entry = NULL;
    if (entry == NULL && store->has_version && spec->required) {
        return rhumb__fail_at(RHUMB_E_CORRUPT, store->path, store->directory_offset, "section %u is missing", spec->id);
    }
    if (entry != NULL) {
        status = check_entry(store, spec, &entry->record);
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
    if (mapped) RHUMB_TRY(rhumb__section_map(section, store->io, entry));
    if (entry != NULL && !mapped) {
        section->published_row_count = entry->record.row_count;
        RHUMB_TRY(rhumb__extent_list_append_range(&section->extents, &entry->extents, 0, entry->extents.bytes));
    }
    store->sections[store->section_count++] = section;
done:
    if (status != RHUMB_OK && initialised) rhumb__section_destroy(section);
    return status;
}

rhumb_status rhumb__store_read_checksums(rhumb__store *store, const rhumb__directory *directory,
                                         uint32_t **checksums_out) {
    rhumb_status status = RHUMB_OK;
    uint32_t *checksums = NULL;
    *checksums_out = NULL;
    if (directory->checksum_count == 0) return RHUMB_OK;
    checksums = rhumb__alloc_zeroed(directory->checksum_count, sizeof *checksums);
    if (checksums == NULL) {
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for %llu checksums",
                           (unsigned long long)directory->checksum_count);
    }
    const size_t bytes = directory->checksum_count * sizeof *checksums;
    RHUMB_TRY(rhumb__io_read(store->io, checksums, bytes, directory->checksum_offset));
    const uint32_t crc = rhumb__crc32c(0, checksums, bytes);
    if (crc != directory->checksum_crc) {
        status = rhumb__fail_at(RHUMB_E_CORRUPT, store->path, directory->checksum_offset,
                                "checksum of the chunk checksums: expected 0x%08x, found 0x%08x",
                                directory->checksum_crc, crc);
        goto done;
    }
    *checksums_out = checksums;
    checksums = NULL;
done:
    rhumb__free(checksums);
    return status;
}

/* Gives every attached section its part of the table. */
static rhumb_status distribute_checksums(rhumb__store *store) {
    uint32_t *checksums = NULL;
    rhumb_status status = rhumb__store_read_checksums(store, store->directory, &checksums);
    for (uint32_t i = 0; status == RHUMB_OK && i < store->section_count; i++) {
        rhumb__section *section = store->sections[i];
        const rhumb__directory_entry *entry = find_entry(store, section->spec.id);
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

rhumb_status rhumb__store_attach_finish(rhumb__store *store) {
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
    if (!store->writable) return RHUMB_OK;
    rhumb_status status = distribute_checksums(store);
    if (status != RHUMB_OK) return status;
    rhumb__directory_free(store->directory);
    store->directory = NULL;
    return RHUMB_OK;
}

rhumb_status rhumb__store_settle(rhumb__store *store) {
    rhumb_status status = RHUMB_OK;
    if (!store->superblock_found) return RHUMB_OK;
    /* The same bytes again: that is what makes a sync carry them to the disk. What the superblock refers to had been
     * synced before it was written. */
    RHUMB_TRY(rhumb__superblock_write(store->io, &store->superblock));
    RHUMB_TRY(rhumb__io_sync(store->io));
    store->superblock_found = false;
done:
    return status;
}

void rhumb__store_close(rhumb__store *store) {
    if (store == NULL) return;
    for (uint32_t i = 0; i < store->section_count; i++) rhumb__section_destroy(store->sections[i]);
    for (uint32_t i = 0; i < store->next_section_count; i++) rhumb__section_destroy(store->next_sections[i]);
    rhumb__extent_list_clear(&store->outgoing);
    rhumb__io_close(store->io);
    rhumb__directory_free(store->directory);
    rhumb__file_space_clear(&store->space);
    rhumb__free(store->retired);
    rhumb__free(store->path);
    rhumb__mutex_destroy(&store->publish_lock);
    rhumb__free(store);
}

void rhumb__store_abandon(rhumb__store *store) {
    rhumb_error cause;
    rhumb__error_save(&cause);
    /* A file that cannot be removed is no index; opening it says that its creation was interrupted. */
    const rhumb_status removed = rhumb__io_remove(store->io->backend, store->path);
    rhumb__store_close(store);
    (void)removed;
    rhumb__error_restore(&cause);
}

bool rhumb__store_is_same(rhumb__store *store, const rhumb__store *reader) {
    rhumb__mutex_lock(&store->publish_lock); /* a publication writes the superblock anew */
    const bool same = memcmp(store->superblock.uuid, reader->superblock.uuid, sizeof store->superblock.uuid) == 0;
    rhumb__mutex_unlock(&store->publish_lock);
    return same;
}

rhumb_status rhumb__store_has_newer(rhumb__store *store, bool *newer_out) {
    rhumb__superblock newest;
    const rhumb_status status = read_newest(store, &newest);
    if (status == RHUMB_OK) *newer_out = newest.epoch != store->superblock.epoch;
    return status;
}

void rhumb__store_retire(rhumb__store *store, uint64_t last_epoch, uint64_t offset, uint64_t bytes) {
    if (bytes == 0) return;
    if (store->retired_count == store->retired_capacity) {
        const uint32_t capacity = store->retired_capacity == 0 ? 64 : store->retired_capacity * 2;
        rhumb__retired_run *retired = rhumb__alloc_resize(store->retired, capacity, sizeof *retired);
        if (retired == NULL) return; /* these blocks stay unused until the next open finds them */
        store->retired = retired;
        store->retired_capacity = capacity;
    }
    store->retired[store->retired_count++] = (rhumb__retired_run){last_epoch, offset, bytes};
}

bool rhumb__store_reclaim(rhumb__store *store) {
    uint64_t free_epoch = 0;            /* no reader pins this epoch or an older one */
    uint64_t pinned_epoch = UINT64_MAX; /* some reader pins this epoch or an older one */
    uint32_t kept_count = 0;
    bool readers_keep = false;
    for (uint32_t i = 0; i < store->retired_count; i++) {
        const rhumb__retired_run run = store->retired[i];
        const bool version_needs = run.last_epoch + 2 > store->superblock.epoch && run.last_epoch != 0;
        bool needed = version_needs || run.last_epoch >= pinned_epoch;
        if (!needed && run.last_epoch > free_epoch) {
            /* A test that fails counts as a pin: the block is only reused when it is known that it may be. */
            if (rhumb__io_lock_test(store->io, pin_offset(0), run.last_epoch + 1, &needed) != RHUMB_OK) needed = true;
            if (needed) {
                pinned_epoch = run.last_epoch;
            } else {
                free_epoch = run.last_epoch;
            }
        }
        readers_keep = readers_keep || (needed && !version_needs);
        if (needed) {
            store->retired[kept_count++] = run;
        } else {
            rhumb__file_space_give(&store->space, run.offset, run.bytes);
        }
    }
    store->retired_count = kept_count;
    return readers_keep;
}
