/* store_verify.c - see store_verify.h.
 *
 * Holds the publishing lock, so that no block of the version is reused while it is read; searches and inserts continue.
 * Owns nothing. A chunk that cannot be read is a failure; a wrong checksum is counted.
 */
#include "storage/store_verify.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/status.h"
#include "storage/frame/chunk_check.h"
#include "storage/frame/frame_reader.h"

/* The checksums of a section: a writer has them in memory, a reader takes them from the table it has just read. */
static const uint32_t *section_checksums(const rhumb__store *store, const rhumb__section *section,
                                         const uint32_t *table) {
    if (store->writable) return section->checksums;
    const rhumb__directory_entry *entry = rhumb__directory_find(store->directory, section->spec.id);
    return entry == NULL ? NULL : table + entry->record.checksum_first;
}

/* Reads the patches of a writer's newest version from the file. */
static rhumb_status read_writers_patches(const rhumb__store *store, rhumb__patches *patches) {
    rhumb_status status;
    const rhumb__patch_area *area = &store->patch_area;
    rhumb__patch_target targets[RHUMB__SECTION_COUNT_MAX];
    uint32_t target_count = 0;
    if (area->used_bytes == 0) return RHUMB_OK;
    for (uint32_t i = 0; i < store->section_count; i++) {
        const rhumb__section *section = store->sections[i];
        if (section->spec.kind != RHUMB__SECTION_MUTABLE) continue;
        targets[target_count++] =
            (rhumb__patch_target){.section_id = section->spec.id,
                                  .chunk_bytes = section->chunk_bytes,
                                  .published_bytes = section->published_row_count * section->row_stride_bytes};
    }
    patches->area = rhumb__alloc_aligned(area->used_bytes, 1, 64);
    if (patches->area == NULL) {
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for %llu bytes of patches", (unsigned long long)area->used_bytes);
    }
    patches->area_bytes = area->used_bytes;
    /* Until the next publication, the file has some more that this writer does not know. */
    memcpy(patches->area, area->bytes, area->used_bytes);
    if (!area->stale) {
        RHUMB_TRY(rhumb__io_read(store->io, patches->area, area->used_bytes, area->file_offset));
        RHUMB_TRY(rhumb__patches_check(store->io, area->file_offset, area->crc, patches));
    }
    status = rhumb__patches_parse(store->io, area->file_offset, targets, target_count, patches);
done:
    return status;
}

/* Damage to the patches is a finding; the chunks are then compared without them. */
static rhumb_status read_patches(const rhumb__store *store, rhumb__patches *patches, rhumb__chunk_tally *tally) {
    const rhumb_status status = store->writable ? read_writers_patches(store, patches)
                                                : rhumb__patches_read(store->io, store->directory, patches);
    if (status != RHUMB_E_CORRUPT) return status;
    rhumb__chunk_tally_note(tally, rhumb__error_last()->message);
    tally->damaged_count++;
    rhumb__patches_clear(patches);
    return RHUMB_OK;
}

static rhumb_status check_section(const rhumb__store *store, const rhumb__section *section,
                                  const rhumb__patches *patches, const uint32_t *table, rhumb__progress *progress,
                                  rhumb__chunk_tally *tally) {
    const rhumb__chunk_source source = {
        .io = store->io,
        .extents = &section->extents,
        .section_id = section->spec.id,
        .chunk_bytes = section->chunk_bytes,
        .published_bytes = section->published_row_count * section->row_stride_bytes,
        .patches = patches,
        .checksums = section_checksums(store, section, table),
        .progress = progress,
    };
    RHUMB_ASSERT_DEBUG(source.published_bytes == 0 || source.checksums != NULL);
    return rhumb__chunk_check(&source, NULL, tally);
}

uint64_t rhumb__store_chunk_count(rhumb__store *store) {
    uint64_t count = 0;
    rhumb__mutex_lock(&store->publish_lock);
    for (uint32_t i = 0; i < store->section_count; i++) {
        const rhumb__section *section = store->sections[i];
        count += rhumb__divide_up(section->published_row_count * section->row_stride_bytes, section->chunk_bytes);
    }
    rhumb__mutex_unlock(&store->publish_lock);
    return count;
}

rhumb_status rhumb__store_verify(rhumb__store *store, rhumb__progress *progress, uint64_t *chunk_count_out,
                                 uint64_t *error_count_out, char *first_error) {
    rhumb_status status = RHUMB_OK;
    uint32_t *table = NULL;
    rhumb__patches patches = {.count = 0};
    rhumb__chunk_tally tally = {.chunk_count = 0};
    rhumb__mutex_lock(&store->publish_lock);
    if (!store->writable) status = rhumb__directory_read_checksums(store->io, store->directory, &table);
    if (status == RHUMB_E_CORRUPT) {
        /* Damage to the table is a finding; no chunk can be compared with it. */
        rhumb__chunk_tally_note(&tally, rhumb__error_last()->message);
        tally.damaged_count = 1;
        status = RHUMB_OK;
    } else {
        RHUMB_TRY(status);
        RHUMB_TRY(read_patches(store, &patches, &tally));
        for (uint32_t i = 0; i < store->section_count; i++) {
            RHUMB_TRY(check_section(store, store->sections[i], &patches, table, progress, &tally));
        }
    }
    *chunk_count_out = tally.chunk_count;
    *error_count_out = tally.damaged_count;
    if (first_error != NULL) snprintf(first_error, sizeof tally.first_damage, "%s", tally.first_damage);
done:
    rhumb__mutex_unlock(&store->publish_lock);
    rhumb__free(table);
    rhumb__patches_clear(&patches);
    return status;
}

rhumb_status rhumb__store_verify_superblocks(rhumb__store *store, uint64_t *damaged_count_out, char *first_damage) {
    rhumb__frame_versions found;
    first_damage[0] = '\0';
    *damaged_count_out = 0;
    const rhumb_status status = rhumb__store_versions(store, &found);
    if (status != RHUMB_OK || found.damaged_count == 0) return status;
    *damaged_count_out = found.damaged_count;
    snprintf(first_damage, 512, "%.200s: a copy of a superblock, at byte %llu, is damaged; the other one is used",
             store->path, (unsigned long long)found.damaged_offset);
    return RHUMB_OK;
}
