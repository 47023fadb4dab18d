/* store_verify.c - comparing every chunk of the file with its checksum.
 *
 * Reads through the io backend, not through the mapping: in a writer the mapping may hold newer bytes than the file,
 * and damage should be counted, not stumbled over. Holds the publishing lock, so that no blocks are reused meanwhile;
 * searches and inserts go on.
 */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "base/crc32c.h"
#include "base/status.h"
#include "storage/store.h"

typedef struct chunk_check {
    uint8_t *buffer;
    uint64_t buffer_bytes;
    uint64_t chunk_count;
    uint64_t error_count;
    char *first_error;
} chunk_check;

static rhumb_status check_section(rhumb__store *store, const rhumb__section *section, const uint32_t *checksums,
                                  chunk_check *check) {
    const uint64_t published_bytes = section->published_row_count * section->row_stride_bytes;
    const uint64_t chunk_bytes = section->chunk_bytes;
    if (check->buffer_bytes < chunk_bytes) {
        rhumb__free(check->buffer);
        check->buffer_bytes = 0;
        check->buffer = rhumb__alloc_aligned(chunk_bytes, 1, 4096);
        if (check->buffer == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for a chunk");
        check->buffer_bytes = chunk_bytes;
    }
    for (uint64_t begin = 0, i = 0; begin < published_bytes; begin += chunk_bytes, i++) {
        const uint64_t bytes = rhumb__min_u64(chunk_bytes, published_bytes - begin);
        rhumb_status status = rhumb__extent_list_read(&section->extents, store->io, begin, bytes, check->buffer);
        if (status != RHUMB_OK) return status;
        check->chunk_count++;
        const uint32_t crc = rhumb__crc32c(0, check->buffer, bytes);
        if (crc == checksums[i]) continue;
        if (check->error_count == 0 && check->first_error != NULL) {
            const rhumb__extent piece = rhumb__extent_list_piece(&section->extents, begin, 1);
            snprintf(check->first_error, 512,
                     "section %u, chunk %llu at file offset %llu: checksum expected 0x%08x, found 0x%08x",
                     section->spec.id, (unsigned long long)i, (unsigned long long)piece.file_offset, checksums[i], crc);
        }
        check->error_count++;
    }
    return RHUMB_OK;
}

/* The checksums of a section: a writer has them in memory, a reader takes them from the table it has just read. */
static const uint32_t *section_checksums(const rhumb__store *store, const rhumb__section *section,
                                         const uint32_t *table) {
    if (store->writable) return section->checksums;
    for (uint32_t i = 0; i < store->directory->section_count; i++) {
        const rhumb__section_record *record = &store->directory->entries[i].record;
        if (record->id == section->spec.id) return table + record->checksum_first;
    }
    return NULL;
}

rhumb_status rhumb__store_verify(rhumb__store *store, uint64_t *chunk_count_out, uint64_t *error_count_out,
                                 char *first_error) {
    rhumb_status status = RHUMB_OK;
    uint32_t *table = NULL;
    chunk_check check = {.first_error = first_error};
    if (first_error != NULL) first_error[0] = '\0';
    rhumb__mutex_lock(&store->publish_lock);
    if (!store->writable) status = rhumb__store_read_checksums(store, store->directory, &table);
    if (status == RHUMB_E_CORRUPT) {
        /* Damage of the table is damage that was found; there is nothing left to compare chunks with. */
        *chunk_count_out = 0;
        *error_count_out = 1;
        if (first_error != NULL) snprintf(first_error, 512, "%s", rhumb__error_last()->message);
        status = RHUMB_OK;
        goto done;
    }
    RHUMB_TRY(status);
    for (uint32_t i = 0; i < store->section_count; i++) {
        const rhumb__section *section = store->sections[i];
        if (section->published_row_count == 0) continue;
        RHUMB_TRY(check_section(store, section, section_checksums(store, section, table), &check));
    }
    *chunk_count_out = check.chunk_count;
    *error_count_out = check.error_count;
done:
    rhumb__mutex_unlock(&store->publish_lock);
    rhumb__free(check.buffer);
    rhumb__free(table);
    return status;
}
