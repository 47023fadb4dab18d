/* section_info.c - the sections of an index file and how much of each is in memory, read without a handle.
 *
 * Nothing is pinned, so a writer may reuse the directory's blocks while they are read: if the newest version is another
 * one afterwards, the reading is made again. Owns a file handle, a directory and a mapping for the length of the call.
 * Takes no lock of the library and none of the file.
 */
#include <stdio.h>

#include "api/options.h"
#include "base/bits.h"
#include "base/status.h"
#include "engine/graph/sections.h"
#include "storage/file_residency.h"
#include "storage/frame/directory.h"
#include "storage/frame/frame_reader.h"

static_assert(RHUMB_SECTION_COUNT_MAX == RHUMB__SECTION_COUNT_MAX, "sections");

/* No writer publishes as often in a row as a directory can be read. */
#define ATTEMPT_COUNT_MAX 8u

/* The directory of the newest version. */
static rhumb_status read_directory(rhumb__io *io, rhumb__directory **directory_out) {
    rhumb__frame_versions found;
    rhumb__frame_versions now;
    rhumb_status status = RHUMB_OK;
    for (uint32_t attempt = 0; attempt < ATTEMPT_COUNT_MAX; attempt++) {
        status = rhumb__frame_find(io, RHUMB__FRAME_LENIENT, &found);
        if (status == RHUMB_OK) status = rhumb__frame_check(io, &found, 0);
        if (status == RHUMB_OK) status = rhumb__directory_read(io, &found.items[0], directory_out);
        if (status == RHUMB_OK) return RHUMB_OK;
        rhumb_error before;
        rhumb__error_save(&before);
        const bool changed = rhumb__frame_find(io, RHUMB__FRAME_LENIENT, &now) == RHUMB_OK && found.count > 0 &&
                             now.items[0].epoch != found.items[0].epoch;
        rhumb__error_restore(&before);
        if (!changed) break;
    }
    return status;
}

static rhumb_section_info describe(const rhumb__directory_entry *entry, const rhumb__file_residency *residency,
                                   size_t size) {
    const rhumb__section_record *record = &entry->record;
    const rhumb__section_info *known = rhumb__section_find(record->id);
    rhumb_section_info info = {
        .size = size,
        .id = record->id,
        .row_count = record->row_count,
        .row_bytes = record->row_stride_bytes,
        .file_bytes = entry->extents.bytes,
    };
    snprintf(info.name, sizeof info.name, "%s", known != NULL ? known->name : "unknown");
    for (uint32_t i = 0; i < entry->extents.count; i++) {
        const rhumb__extent_item *item = &entry->extents.items[i];
        info.resident_bytes += rhumb__file_residency_bytes(residency, item->file_offset, item->bytes);
    }
    return info;
}

rhumb_status rhumb_index_sections_get(const char *path, rhumb_section_info *sections, size_t size, size_t capacity,
                                      size_t *section_count) {
    rhumb_status status;
    rhumb_error before;
    rhumb__io *io = NULL;
    rhumb__directory *directory = NULL;
    rhumb__file_residency residency = {.pages = NULL};
    uint64_t file_bytes = 0;
    rhumb__error_save(&before);
    RHUMB_TRY(rhumb__path_check(path, "path"));
    RHUMB_TRY(rhumb__struct_check(sections, size, "sections"));
    if (section_count == NULL) {
        status = rhumb__fail(RHUMB_E_INVALID, "section_count is NULL");
        goto done;
    }
    RHUMB_TRY(rhumb__io_open(NULL, path, RHUMB__IO_READ, &io));
    RHUMB_TRY(read_directory(io, &directory));
    RHUMB_TRY(rhumb__io_size(io, &file_bytes));
    RHUMB_TRY(rhumb__file_residency_begin(io, rhumb__max_u64(file_bytes, 1), &residency));
    for (uint32_t i = 0; i < directory->section_count && i < capacity; i++) {
        const rhumb_section_info info = describe(&directory->entries[i], &residency, size);
        rhumb__struct_give((uint8_t *)sections + i * size, size, &info, sizeof info);
    }
    *section_count = directory->section_count;
    rhumb__error_restore(&before);
done:
    rhumb__file_residency_end(&residency);
    rhumb__directory_free(directory);
    rhumb__io_close(io);
    return status;
}
