/* salvage_file.c - see salvage_file.h.
 *
 * Superblocks, directory and chunks are read by storage/frame in its lenient mode, which checks every number before it
 * is used. Owns the handle, with it the locks, and the directory. A chunk that cannot be read is a finding; failures
 * that are returned are those of memory, and of a frame that cannot be used.
 */
#include "engine/upkeep/repair/salvage_file.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/status.h"
#include "storage/frame/file_locks.h"

/* ---- opening ---- */

static rhumb_status fail_locked(const rhumb__salvage_file *file) {
    return rhumb__fail_at(RHUMB_E_LOCKED, file->path, RHUMB_OFFSET_NONE,
                          "another handle has this index open for writing; it must be closed before a repair");
}

static rhumb_status salvage_lock_writer(rhumb__salvage_file *file) {
    bool taken = false;
    const rhumb_status status = rhumb__writer_lock_take(file->io, &taken);
    if (status != RHUMB_OK || taken) return status;
    return fail_locked(file);
}

/* A handle that may only read cannot hold the writer's lock. It pins what it is going to read and then tests the lock:
 * a writer that comes later leaves those blocks alone. */
static rhumb_status salvage_pin_versions(rhumb__salvage_file *file) {
    rhumb_status status = RHUMB_OK;
    bool pinned = false;
    bool held = false;
    for (uint32_t i = 0; i < file->versions.count; i++) {
        const uint64_t epoch = file->versions.items[i].epoch;
        if (epoch == 0 || epoch > RHUMB__EPOCH_MAX) continue;
        RHUMB_TRY(rhumb__version_pin(file->io, epoch, &pinned));
    }
    RHUMB_TRY(rhumb__writer_lock_test(file->io, &held));
    if (held) status = fail_locked(file);
done:
    return status;
}

/* Opens for writing, only to be able to lock. A file that may not be written can still be read. */
static rhumb_status salvage_open_io(rhumb__salvage_file *file, const char *path, bool *may_lock_out) {
    rhumb_error before;
    rhumb__error_save(&before);
    const rhumb_status status = rhumb__io_open(NULL, path, RHUMB__IO_WRITE, &file->io);
    *may_lock_out = status == RHUMB_OK;
    if (status != RHUMB_E_IO) return status;
    rhumb__error_restore(&before);
    return rhumb__io_open(NULL, path, RHUMB__IO_READ, &file->io);
}

rhumb_status rhumb__salvage_file_open(const char *path, rhumb__salvage_file **file_out) {
    rhumb_status status = RHUMB_OK;
    char absolute[PATH_MAX];
    bool may_lock = false;
    rhumb__salvage_file *file = rhumb__alloc_zeroed(1, sizeof *file);
    if (file == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for reading a damaged file");
    RHUMB_TRY(salvage_open_io(file, path, &may_lock));
    /* The log of an index that is opened through a link lies next to the file itself. */
    file->path = rhumb__alloc_text(realpath(path, absolute) != NULL ? absolute : path);
    if (file->path == NULL) {
        status = rhumb__fail(RHUMB_E_NOMEM, "no memory for a path");
        goto done;
    }
    if (may_lock) RHUMB_TRY(salvage_lock_writer(file));
    RHUMB_TRY(rhumb__frame_find(file->io, RHUMB__FRAME_LENIENT, &file->versions));
    if (!may_lock) RHUMB_TRY(salvage_pin_versions(file));
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
    rhumb__patches_clear(&file->patches);
    rhumb__free(file->path);
    rhumb__free(file);
}

/* ---- taking a version ---- */

/* Without the table of checksums chunks can still be read. */
static rhumb_status salvage_read_checksums(rhumb__salvage_file *file) {
    char text[128];
    rhumb_error before;
    rhumb__error_save(&before);
    const rhumb_status status = rhumb__directory_read_checksums(file->io, file->directory, &file->checksums);
    file->checksums_lost = status != RHUMB_OK;
    if (status == RHUMB_OK) return RHUMB_OK;
    if (status != RHUMB_E_CORRUPT && !rhumb__frame_is_damage(status)) return status;
    snprintf(text, sizeof text, "the table of chunk checksums at file offset %llu is damaged",
             (unsigned long long)file->directory->checksum_offset);
    rhumb__chunk_tally_note(&file->damage, text);
    rhumb__error_restore(&before);
    return RHUMB_OK;
}

/* A chunk's checksum is that of its patched rows: it tells which patches are damaged. */
static rhumb_status salvage_read_patches(rhumb__salvage_file *file) {
    char text[128];
    bool damaged = false;
    rhumb_error before;
    rhumb__error_save(&before);
    const rhumb_status status = rhumb__patches_salvage(file->io, file->directory, &file->patches, &damaged);
    if (status != RHUMB_OK && !rhumb__frame_is_damage(status)) return status;
    if (status == RHUMB_OK && !damaged) return RHUMB_OK;
    snprintf(text, sizeof text, "the %llu bytes of patches at file offset %llu are damaged",
             (unsigned long long)file->directory->patch_bytes, (unsigned long long)file->directory->patch_offset);
    rhumb__chunk_tally_note(&file->damage, text);
    if (status != RHUMB_OK) rhumb__patches_clear(&file->patches);
    rhumb__error_restore(&before);
    return RHUMB_OK;
}

rhumb_status rhumb__salvage_file_take(rhumb__salvage_file *file, uint32_t index) {
    rhumb_status status;
    RHUMB_ASSERT_DEBUG(index < file->versions.count);
    rhumb__directory_free(file->directory);
    rhumb__free(file->checksums);
    file->directory = NULL;
    file->checksums = NULL;
    rhumb__patches_clear(&file->patches);
    file->damage = (rhumb__chunk_tally){0};
    RHUMB_TRY(rhumb__frame_check(file->io, &file->versions, index));
    file->superblock = file->versions.items[index];
    RHUMB_TRY(rhumb__directory_read(file->io, &file->superblock, &file->directory));
    RHUMB_TRY(salvage_read_checksums(file));
    status = salvage_read_patches(file);
done:
    return status;
}

const rhumb__directory_entry *rhumb__salvage_file_entry(const rhumb__salvage_file *file, uint32_t id) {
    return rhumb__directory_find(file->directory, id);
}

/* ---- sections ---- */

rhumb_status rhumb__salvage_section_check(rhumb__salvage_file *file, const rhumb__directory_entry *entry,
                                          rhumb__progress *progress, rhumb__salvage_section *section) {
    const rhumb__section_record *record = &entry->record;
    const uint64_t word_count = rhumb__divide_up(rhumb__section_record_chunk_count(record), 64);
    *section = (rhumb__salvage_section){.entry = entry, .chunk_bytes = record->chunk_bytes};
    if (word_count == 0) return RHUMB_OK;
    section->marks.damaged = rhumb__alloc_zeroed(word_count, sizeof(uint64_t));
    section->marks.unreadable = rhumb__alloc_zeroed(word_count, sizeof(uint64_t));
    if (section->marks.damaged == NULL || section->marks.unreadable == NULL) {
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for the chunks of section %u", record->id);
    }
    const rhumb__chunk_source source = {
        .io = file->io,
        .extents = &entry->extents,
        .section_id = record->id,
        .chunk_bytes = record->chunk_bytes,
        .published_bytes = record->row_count * record->row_stride_bytes,
        .patches = &file->patches,
        .checksums = file->checksums_lost ? NULL : file->checksums + record->checksum_first,
        .progress = progress,
    };
    return rhumb__chunk_check(&source, &section->marks, &file->damage);
}

static bool none_set(const uint64_t *bits, const rhumb__salvage_section *section, uint64_t offset, uint64_t bytes) {
    RHUMB_ASSERT_DEBUG(offset + bytes <= section->entry->record.row_count * section->entry->record.row_stride_bytes);
    for (uint64_t chunk = offset / section->chunk_bytes; chunk * section->chunk_bytes < offset + bytes; chunk++) {
        if (rhumb__bit_get(bits, chunk)) return false;
    }
    return true;
}

bool rhumb__salvage_section_intact(const rhumb__salvage_section *section, uint64_t offset, uint64_t bytes) {
    return none_set(section->marks.damaged, section, offset, bytes);
}

bool rhumb__salvage_section_readable(const rhumb__salvage_section *section, uint64_t offset, uint64_t bytes) {
    return none_set(section->marks.unreadable, section, offset, bytes);
}

rhumb_status rhumb__salvage_section_read(rhumb__salvage_file *file, const rhumb__salvage_section *section,
                                         uint64_t offset, uint64_t bytes, void *target) {
    uint8_t *out = target;
    while (bytes > 0) {
        const uint64_t chunk = offset / section->chunk_bytes;
        const uint64_t part_bytes = rhumb__min_u64(bytes, (chunk + 1) * section->chunk_bytes - offset);
        if (rhumb__bit_get(section->marks.unreadable, chunk)) {
            memset(out, 0, part_bytes);
        } else {
            const rhumb_status status =
                rhumb__extent_list_read(&section->entry->extents, file->io, offset, part_bytes, out);
            if (status != RHUMB_OK) return status;
            rhumb__patches_apply(&file->patches, section->entry->record.id, chunk, offset, part_bytes, out);
        }
        out += part_bytes;
        offset += part_bytes;
        bytes -= part_bytes;
    }
    return RHUMB_OK;
}

void rhumb__salvage_section_clear(rhumb__salvage_section *section) {
    rhumb__free(section->marks.damaged);
    rhumb__free(section->marks.unreadable);
    *section = (rhumb__salvage_section){0};
}
