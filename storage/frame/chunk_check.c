/* chunk_check.c - see chunk_check.h.
 *
 * Reads through the io backend and never through a mapping: there damage would raise SIGBUS, and in a writer the
 * mapping may hold newer bytes than the file. Holds no lock; the caller keeps the blocks of the section from being
 * reused.
 */
#include "storage/frame/chunk_check.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/crc32c.h"
#include "base/status.h"
#include "storage/frame/frame_reader.h"

void rhumb__chunk_tally_note(rhumb__chunk_tally *tally, const char *damage) {
    if (tally->first_damage[0] == '\0') snprintf(tally->first_damage, sizeof tally->first_damage, "%s", damage);
}

static void note_unreadable(const rhumb__chunk_source *source, uint64_t chunk, rhumb__chunk_tally *tally) {
    char text[256];
    snprintf(text, sizeof text, "section %u, chunk %llu cannot be read: %.150s", source->section_id,
             (unsigned long long)chunk, rhumb__error_last()->message);
    rhumb__chunk_tally_note(tally, text);
    tally->damaged_count++;
}

static void note_mismatch(const rhumb__chunk_source *source, uint64_t chunk, uint32_t found,
                          rhumb__chunk_tally *tally) {
    char text[256];
    const rhumb__extent place = rhumb__extent_list_run(source->extents, chunk * source->chunk_bytes, 1);
    snprintf(text, sizeof text, "section %u, chunk %llu at file offset %llu: checksum expected 0x%08x, found 0x%08x",
             source->section_id, (unsigned long long)chunk, (unsigned long long)place.file_offset,
             source->checksums[chunk], found);
    rhumb__chunk_tally_note(tally, text);
    tally->damaged_count++;
}

static rhumb_status check_one(const rhumb__chunk_source *source, uint64_t chunk, uint8_t *buffer,
                              const rhumb__chunk_marks *marks, rhumb__chunk_tally *tally) {
    const uint64_t begin = chunk * source->chunk_bytes;
    const uint64_t bytes = rhumb__min_u64(source->chunk_bytes, source->published_bytes - begin);
    const rhumb_status status = rhumb__extent_list_read(source->extents, source->io, begin, bytes, buffer);
    if (status != RHUMB_OK && (marks == NULL || !rhumb__frame_is_damage(status))) return status;
    tally->chunk_count++;
    if (status != RHUMB_OK) {
        note_unreadable(source, chunk, tally);
        rhumb__bit_set(marks->unreadable, chunk);
        rhumb__bit_set(marks->damaged, chunk);
        return RHUMB_OK;
    }
    if (source->checksums == NULL) return RHUMB_OK;
    if (source->patches != NULL) rhumb__patches_apply(source->patches, source->section_id, chunk, begin, bytes, buffer);
    const uint32_t crc = rhumb__crc32c(0, buffer, bytes);
    if (crc == source->checksums[chunk]) return RHUMB_OK;
    note_mismatch(source, chunk, crc, tally);
    if (marks != NULL) rhumb__bit_set(marks->damaged, chunk);
    return RHUMB_OK;
}

rhumb_status rhumb__chunk_check(const rhumb__chunk_source *source, const rhumb__chunk_marks *marks,
                                rhumb__chunk_tally *tally) {
    rhumb_status status = RHUMB_OK;
    rhumb_error before;
    if (source->published_bytes == 0) return RHUMB_OK;
    RHUMB_ASSERT_DEBUG(source->chunk_bytes > 0 && source->published_bytes <= source->extents->bytes);
    rhumb__error_save(&before);
    const uint64_t chunk_count = rhumb__divide_up(source->published_bytes, source->chunk_bytes);
    uint8_t *buffer = rhumb__alloc_aligned(source->chunk_bytes, 1, 4096);
    if (buffer == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for a chunk of section %u", source->section_id);
    for (uint64_t chunk = 0; chunk < chunk_count; chunk++) {
        RHUMB_TRY(check_one(source, chunk, buffer, marks, tally));
        RHUMB_TRY(rhumb__progress_advance(source->progress, 1));
    }
    rhumb__error_restore(&before);
done:
    rhumb__free(buffer);
    return status;
}
