/* salvage_file.c - see salvage_file.h.
 *
 * A superblock counts under the same conditions as in storage/frame/superblock.c, but what it says about the length of
 * the file is not held against it: of a file that was cut short, what is left can be saved. Everything else that the
 * frame says is checked before it is used, here or by rhumb__directory_read, so no number of the file is trusted.
 *
 * Owns the handle, with it the locks, and the directory. A failure to read a chunk is a finding; failures that are
 * returned are those of memory, and of a frame that cannot be used.
 */
#include "engine/upkeep/repair/salvage_file.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "base/crc32c.h"
#include "base/status.h"

/* As in storage/store.c: the lock of a writer that was killed outlives it by some milliseconds. */
#define LOCK_ATTEMPT_COUNT_MAX 16
#define LOCK_PAUSE_NS 5000000

#define COPY_COUNT RHUMB__SUPERBLOCK_COPY_COUNT
#define SLOT_COUNT RHUMB__SUPERBLOCK_SLOT_COUNT

/* What the disk says when it has not got something, as against what says that we cannot go on. */
static bool is_damage(rhumb_status status) { return status == RHUMB_E_IO || status == RHUMB_E_TRUNCATED; }

/* ---- locks ---- */

static rhumb_status fail_locked(const rhumb__salvage_file *file) {
    return rhumb__fail_at(RHUMB_E_LOCKED, file->path, RHUMB_OFFSET_NONE,
                          "another handle has this index open for writing; it must be closed before a repair");
}

/* A handle that may only read cannot hold the writer's lock. It looks whether somebody does, after pinning what it is
 * going to read: a writer that comes later leaves those blocks alone. */
static rhumb_status pin(rhumb__salvage_file *file) {
    rhumb_status status = RHUMB_OK;
    bool taken = false;
    bool held = false;
    for (uint32_t i = 0; i < file->candidate_count; i++) {
        const uint64_t epoch = file->candidates[i].epoch;
        if (epoch > RHUMB__EPOCH_MAX) continue;
        RHUMB_TRY(rhumb__io_lock_range(file->io, RHUMB__LOCK_EPOCH_OFFSET + epoch, 1, RHUMB__IO_LOCK_SHARED, &taken));
    }
    RHUMB_TRY(rhumb__io_lock_test(file->io, RHUMB__LOCK_WRITER_OFFSET, 1, &held));
    if (held) status = fail_locked(file);
done:
    return status;
}

static rhumb_status take_writer_lock(rhumb__salvage_file *file) {
    bool taken = false;
    for (uint32_t attempt = 0; attempt <= LOCK_ATTEMPT_COUNT_MAX; attempt++) {
        if (attempt > 0) nanosleep(&(struct timespec){.tv_nsec = LOCK_PAUSE_NS}, NULL);
        const rhumb_status status =
            rhumb__io_lock_range(file->io, RHUMB__LOCK_WRITER_OFFSET, 1, RHUMB__IO_LOCK_EXCLUSIVE, &taken);
        if (status != RHUMB_OK || taken) return status;
    }
    return fail_locked(file);
}

/* Opens for writing, only to be able to lock. A file that may not be written can be read all the same. */
static rhumb_status open_io(rhumb__salvage_file *file, const char *path, bool *locked_out) {
    rhumb_error before;
    rhumb__error_save(&before);
    rhumb_status status = rhumb__io_open(NULL, path, RHUMB__IO_WRITE, &file->io);
    *locked_out = status == RHUMB_OK;
    if (status == RHUMB_OK) return RHUMB_OK;
    if (status != RHUMB_E_IO) return status;
    rhumb__error_restore(&before);
    return rhumb__io_open(NULL, path, RHUMB__IO_READ, &file->io);
}

/* ---- superblocks ---- */

static uint32_t superblock_crc(const rhumb__superblock *superblock) {
    rhumb__superblock copy = *superblock;
    copy.crc = 0;
    return rhumb__crc32c(0, &copy, sizeof copy);
}

static bool counts(const rhumb__superblock *superblock) {
    return superblock->magic == RHUMB__MAGIC && superblock->crc == superblock_crc(superblock);
}

static bool is_blank(const rhumb__superblock *superblock) {
    static const rhumb__superblock blank;
    return memcmp(superblock, &blank, sizeof blank) == 0;
}

/* What does not count may still say which epoch it was of; damage rarely hits that very field. A slot that was never
 * written is blank. */
static bool may_be_newer(const rhumb__superblock *copies, uint64_t epoch) {
    bool blank = true;
    bool was_older = false;
    for (uint32_t copy = 0; copy < COPY_COUNT; copy++) {
        blank = blank && is_blank(&copies[copy]);
        was_older = was_older || (copies[copy].magic == RHUMB__MAGIC && copies[copy].epoch + 1 == epoch);
    }
    return !blank && !was_older;
}

static rhumb_status read_copies(rhumb__salvage_file *file, rhumb__superblock copies[SLOT_COUNT][COPY_COUNT]) {
    rhumb_error before;
    rhumb__error_save(&before);
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
        for (uint32_t copy = 0; copy < COPY_COUNT; copy++) {
            const uint64_t offset =
                (uint64_t)slot * RHUMB__SUPERBLOCK_SLOT_STRIDE + (uint64_t)copy * RHUMB__SUPERBLOCK_COPY_STRIDE;
            if (offset + sizeof copies[slot][copy] > file->file_bytes) continue;
            const rhumb_status status =
                rhumb__io_read(file->io, &copies[slot][copy], sizeof copies[slot][copy], offset);
            if (status != RHUMB_OK && !is_damage(status)) return status;
            if (status != RHUMB_OK) memset(&copies[slot][copy], 0xFF, sizeof copies[slot][copy]);
        }
    }
    rhumb__error_restore(&before);
    return RHUMB_OK;
}

/* The reason why there is no version at all, in the words that opening the index would use. */
static rhumb_status explain_none(rhumb__salvage_file *file) {
    rhumb__superblock newest;
    rhumb__superblock previous;
    bool has_previous = false;
    const rhumb_status status = rhumb__superblock_read(file->io, false, &newest, &previous, &has_previous);
    if (status != RHUMB_OK) return status;
    return rhumb__fail_at(RHUMB_E_CORRUPT, file->path, 0, "no superblock can be read");
}

static rhumb_status find_candidates(rhumb__salvage_file *file) {
    rhumb__superblock copies[SLOT_COUNT][COPY_COUNT];
    memset(copies, 0, sizeof copies);
    rhumb_status status = read_copies(file, copies);
    if (status != RHUMB_OK) return status;
    uint32_t found_slot = 0;
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
        const rhumb__superblock *best = NULL;
        for (uint32_t copy = 0; copy < COPY_COUNT; copy++) {
            const rhumb__superblock *candidate = &copies[slot][copy];
            if (counts(candidate) && (best == NULL || candidate->epoch > best->epoch)) best = candidate;
        }
        if (best == NULL) continue;
        found_slot = slot;
        file->candidates[file->candidate_count++] = *best;
    }
    if (file->candidate_count == 0) return explain_none(file);
    if (file->candidate_count == 1) {
        file->newest_lost = may_be_newer(copies[1 - found_slot], file->candidates[0].epoch);
    } else if (file->candidates[1].epoch > file->candidates[0].epoch) {
        const rhumb__superblock newer = file->candidates[1];
        file->candidates[1] = file->candidates[0];
        file->candidates[0] = newer;
    }
    return RHUMB_OK;
}

rhumb_status rhumb__salvage_file_open(const char *path, rhumb__salvage_file **file_out) {
    rhumb_status status = RHUMB_OK;
    char absolute[PATH_MAX];
    bool may_lock = false;
    rhumb__salvage_file *file = rhumb__alloc_zeroed(1, sizeof *file);
    if (file == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for reading a damaged file");
    RHUMB_TRY(open_io(file, path, &may_lock));
    /* The log of an index that is opened through a link lies beside the file itself. */
    file->path = rhumb__alloc_text(realpath(path, absolute) != NULL ? absolute : path);
    if (file->path == NULL) {
        status = rhumb__fail(RHUMB_E_NOMEM, "no memory for a path");
        goto done;
    }
    if (may_lock) RHUMB_TRY(take_writer_lock(file));
    RHUMB_TRY(rhumb__io_size(file->io, &file->file_bytes));
    RHUMB_TRY(find_candidates(file));
    if (!may_lock) RHUMB_TRY(pin(file));
    *file_out = file;
    file = NULL;
done:
    rhumb__salvage_file_close(file);
    return status;
}

void rhumb__salvage_file_close(rhumb__salvage_file *file) {
    if (file == NULL) return;
    rhumb__io_close(file->io);
    rhumb__directory_free(file->directory);
    rhumb__free(file->checksums);
    rhumb__free(file->path);
    rhumb__free(file);
}

/* ---- taking a version ---- */

/* What a superblock that counts says of itself. Unlike a reader, which refuses a file that is shorter than it should
 * be, this lets chunks be missing. */
static rhumb_status check_superblock(const rhumb__salvage_file *file, const rhumb__superblock *superblock) {
    const uint64_t epoch = superblock->epoch;
    if (superblock->format_version != RHUMB__FORMAT_VERSION || superblock->block_bytes != RHUMB__BLOCK_BYTES ||
        (superblock->features_incompatible & ~RHUMB__FEATURES_INCOMPATIBLE_KNOWN) != 0) {
        return rhumb__fail_at(RHUMB_E_VERSION, file->path, epoch % SLOT_COUNT * RHUMB__SUPERBLOCK_SLOT_STRIDE,
                              "the version of epoch %llu was written by a newer library: format %u, features 0x%llx",
                              (unsigned long long)epoch, superblock->format_version,
                              (unsigned long long)superblock->features_incompatible);
    }
    const uint64_t offset = superblock->directory_offset;
    if (epoch == 0 || epoch > RHUMB__EPOCH_MAX || superblock->file_bytes > INT64_MAX ||
        offset % RHUMB__BLOCK_BYTES != 0 || offset < RHUMB__BLOCK_BYTES || offset > superblock->file_bytes ||
        superblock->directory_bytes > superblock->file_bytes - offset ||
        superblock->root_bytes > superblock->directory_bytes ||
        superblock->root_bytes < sizeof(rhumb__directory_header)) {
        return rhumb__fail_at(RHUMB_E_CORRUPT, file->path, epoch % SLOT_COUNT * RHUMB__SUPERBLOCK_SLOT_STRIDE,
                              "the superblock of epoch %llu says something impossible", (unsigned long long)epoch);
    }
    return RHUMB_OK;
}

static void note_damage(rhumb__salvage_file *file, const char *text) {
    if (file->first_damage[0] == '\0') snprintf(file->first_damage, sizeof file->first_damage, "%s", text);
}

static rhumb_status read_checksums(rhumb__salvage_file *file) {
    const rhumb__directory *directory = file->directory;
    rhumb_error before;
    rhumb_status status = RHUMB_OK;
    rhumb__error_save(&before);
    const uint64_t bytes = directory->checksum_count * sizeof *file->checksums;
    if (bytes == 0) return RHUMB_OK;
    file->checksums_lost = true;
    if (directory->checksum_offset <= file->file_bytes && bytes <= file->file_bytes - directory->checksum_offset) {
        file->checksums = rhumb__alloc_zeroed(directory->checksum_count, sizeof *file->checksums);
        if (file->checksums == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for checksums");
        status = rhumb__io_read(file->io, file->checksums, bytes, directory->checksum_offset);
        if (status != RHUMB_OK && !is_damage(status)) return status;
        file->checksums_lost =
            status != RHUMB_OK || rhumb__crc32c(0, file->checksums, bytes) != directory->checksum_crc;
    }
    if (file->checksums_lost) {
        char text[128];
        snprintf(text, sizeof text, "the table of chunk checksums at file offset %llu is damaged",
                 (unsigned long long)directory->checksum_offset);
        note_damage(file, text);
        rhumb__free(file->checksums);
        file->checksums = NULL;
    }
    rhumb__error_restore(&before);
    return RHUMB_OK;
}

rhumb_status rhumb__salvage_file_take(rhumb__salvage_file *file, uint32_t index) {
    rhumb_status status;
    const rhumb__superblock *superblock = &file->candidates[index];
    rhumb__directory_free(file->directory);
    rhumb__free(file->checksums);
    file->directory = NULL;
    file->checksums = NULL;
    file->checksums_lost = false;
    file->first_damage[0] = '\0';
    RHUMB_TRY(check_superblock(file, superblock));
    RHUMB_TRY(rhumb__directory_read(file->io, superblock, &file->directory));
    file->superblock = *superblock;
    status = read_checksums(file);
done:
    return status;
}

const rhumb__directory_entry *rhumb__salvage_file_entry(const rhumb__salvage_file *file, uint32_t id) {
    for (uint32_t i = 0; i < file->directory->section_count; i++) {
        if (file->directory->entries[i].record.id == id) return &file->directory->entries[i];
    }
    return NULL;
}

/* ---- sections ---- */

static uint64_t chunk_bytes_at(const rhumb__salvage_section *section, uint64_t chunk) {
    return rhumb__min_u64(section->chunk_bytes, section->bytes - chunk * section->chunk_bytes);
}

static rhumb_status check_chunk(rhumb__salvage_file *file, rhumb__salvage_section *section, uint64_t chunk,
                                uint8_t *buffer) {
    char text[256];
    const uint64_t bytes = chunk_bytes_at(section, chunk);
    const rhumb__section_record *record = &section->entry->record;
    const rhumb_status status =
        rhumb__extent_list_read(&section->entry->extents, file->io, chunk * section->chunk_bytes, bytes, buffer);
    file->chunk_count++;
    if (status != RHUMB_OK) {
        if (!is_damage(status)) return status;
        rhumb__bit_set(section->unreadable, chunk);
        snprintf(text, sizeof text, "section %u, chunk %llu cannot be read: %.150s", record->id,
                 (unsigned long long)chunk, rhumb__error_last()->message);
    } else {
        if (file->checksums_lost) return RHUMB_OK;
        const uint32_t expected = file->checksums[record->checksum_first + chunk];
        const uint32_t found = rhumb__crc32c(0, buffer, bytes);
        if (found == expected) return RHUMB_OK;
        snprintf(text, sizeof text, "section %u, chunk %llu: checksum expected 0x%08x, found 0x%08x", record->id,
                 (unsigned long long)chunk, expected, found);
    }
    rhumb__bit_set(section->damaged, chunk);
    file->damaged_count++;
    note_damage(file, text);
    return RHUMB_OK;
}

rhumb_status rhumb__salvage_section_check(rhumb__salvage_file *file, const rhumb__directory_entry *entry,
                                          rhumb__salvage_section *section) {
    rhumb_status status = RHUMB_OK;
    rhumb_error before;
    *section = (rhumb__salvage_section){.entry = entry,
                                        .bytes = entry->record.row_count * entry->record.row_stride_bytes,
                                        .chunk_bytes = entry->record.chunk_bytes,
                                        .chunk_count = rhumb__section_record_chunk_count(&entry->record)};
    if (section->chunk_count == 0) return RHUMB_OK;
    rhumb__error_save(&before);
    const uint64_t word_count = rhumb__divide_up(section->chunk_count, 64);
    uint8_t *buffer = rhumb__alloc_aligned(section->chunk_bytes, 1, 4096);
    section->damaged = rhumb__alloc_zeroed(word_count, sizeof(uint64_t));
    section->unreadable = rhumb__alloc_zeroed(word_count, sizeof(uint64_t));
    if (buffer == NULL || section->damaged == NULL || section->unreadable == NULL) {
        status = rhumb__fail(RHUMB_E_NOMEM, "no memory for the chunks of section %u", entry->record.id);
        goto done;
    }
    for (uint64_t chunk = 0; chunk < section->chunk_count; chunk++) {
        RHUMB_TRY(check_chunk(file, section, chunk, buffer));
    }
    rhumb__error_restore(&before);
done:
    rhumb__free(buffer);
    return status;
}

static bool none_set(const uint64_t *bits, const rhumb__salvage_section *section, uint64_t offset, uint64_t bytes) {
    for (uint64_t chunk = offset / section->chunk_bytes; chunk * section->chunk_bytes < offset + bytes; chunk++) {
        if (rhumb__bit_get(bits, chunk)) return false;
    }
    return true;
}

bool rhumb__salvage_section_intact(const rhumb__salvage_section *section, uint64_t offset, uint64_t bytes) {
    return none_set(section->damaged, section, offset, bytes);
}

bool rhumb__salvage_section_readable(const rhumb__salvage_section *section, uint64_t offset, uint64_t bytes) {
    return none_set(section->unreadable, section, offset, bytes);
}

rhumb_status rhumb__salvage_section_read(rhumb__salvage_file *file, const rhumb__salvage_section *section,
                                         uint64_t offset, uint64_t bytes, void *target) {
    uint8_t *out = target;
    while (bytes > 0) {
        const uint64_t chunk = offset / section->chunk_bytes;
        const uint64_t piece_bytes = rhumb__min_u64(bytes, (chunk + 1) * section->chunk_bytes - offset);
        if (rhumb__bit_get(section->unreadable, chunk)) {
            memset(out, 0, piece_bytes);
        } else {
            const rhumb_status status =
                rhumb__extent_list_read(&section->entry->extents, file->io, offset, piece_bytes, out);
            if (status != RHUMB_OK) return status;
        }
        out += piece_bytes;
        offset += piece_bytes;
        bytes -= piece_bytes;
    }
    return RHUMB_OK;
}

void rhumb__salvage_section_clear(rhumb__salvage_section *section) {
    rhumb__free(section->damaged);
    rhumb__free(section->unreadable);
    *section = (rhumb__salvage_section){0};
}
