/* directory.c - see directory.h.
 *
 * Everything here works on bytes that anyone may have written. Each number is checked against what bounds it before it
 * is used: counts against the length of the root, offsets and lengths against the length of the file, products for
 * overflow. The memory used is proportional to the root, which the file contains. Holds no state and no lock; on
 * failure nothing is left allocated.
 */
#include "storage/frame/directory.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/crc32c.h"
#include "base/status.h"

/* A root larger than this is not one that rhumb wrote: 2^20 extents take 16 MiB, kept versions at most 32 KiB. */
#define ROOT_BYTES_MAX (32u << 20)
#define CHUNK_BYTES_MAX (16u << 20)
#define ROW_STRIDE_BYTES_MAX (UINT64_C(1) << 24)

uint64_t rhumb__section_record_chunk_count(const rhumb__section_record *record) {
    return rhumb__divide_up(record->row_stride_bytes * record->row_count, record->chunk_bytes);
}

/* A root that is being decoded. */
typedef struct decoder {
    const char *path;
    const uint8_t *root;
    uint64_t root_offset; /* in the file; for messages */
    uint64_t file_bytes;
    rhumb__directory_header header;
    uint32_t next_extent; /* where the next record must begin in the tables of extents and of checksums */
    uint64_t next_checksum;
} decoder;

static rhumb_status check_record(const decoder *d, const rhumb__section_record *record, uint64_t position) {
    const uint64_t offset = d->root_offset + position;
    if (record->kind != RHUMB__SECTION_APPEND && record->kind != RHUMB__SECTION_MUTABLE) {
        return rhumb__fail_at(RHUMB_E_CORRUPT, d->path, offset + offsetof(rhumb__section_record, kind),
                              "section %u: kind expected 1 or 2, found %u", record->id, record->kind);
    }
    if (record->chunk_bytes == 0 || record->chunk_bytes % RHUMB__BLOCK_BYTES != 0 ||
        record->chunk_bytes > CHUNK_BYTES_MAX) {
        return rhumb__fail_at(RHUMB_E_CORRUPT, d->path, offset + offsetof(rhumb__section_record, chunk_bytes),
                              "section %u: chunk of %u bytes is not a multiple of %u", record->id, record->chunk_bytes,
                              RHUMB__BLOCK_BYTES);
    }
    if (record->row_stride_bytes == 0 || record->row_stride_bytes > ROW_STRIDE_BYTES_MAX ||
        record->row_count > d->file_bytes / record->row_stride_bytes) {
        return rhumb__fail_at(RHUMB_E_CORRUPT, d->path, offset + offsetof(rhumb__section_record, row_stride_bytes),
                              "section %u: %llu rows of %llu bytes do not fit in a file of %llu bytes", record->id,
                              (unsigned long long)record->row_count, (unsigned long long)record->row_stride_bytes,
                              (unsigned long long)d->file_bytes);
    }
    if (record->extent_first != d->next_extent || record->extent_count > d->header.extent_count - d->next_extent ||
        record->checksum_first != d->next_checksum) {
        return rhumb__fail_at(RHUMB_E_CORRUPT, d->path, offset,
                              "section %u: extents %u+%u of %u, checksums from %llu; expected from %u and from %llu",
                              record->id, record->extent_first, record->extent_count, d->header.extent_count,
                              (unsigned long long)record->checksum_first, d->next_extent,
                              (unsigned long long)d->next_checksum);
    }
    return RHUMB_OK;
}

static rhumb_status check_extent(const decoder *d, const rhumb__extent *extent, uint64_t position) {
    if (extent->bytes == 0 || extent->bytes % RHUMB__BLOCK_BYTES != 0 ||
        extent->file_offset % RHUMB__BLOCK_BYTES != 0 || extent->file_offset < RHUMB__CONTENT_OFFSET ||
        extent->file_offset > d->file_bytes || extent->bytes > d->file_bytes - extent->file_offset) {
        return rhumb__fail_at(RHUMB_E_CORRUPT, d->path, d->root_offset + position,
                              "extent of %llu bytes at %llu is not made of blocks within the file's %llu bytes",
                              (unsigned long long)extent->bytes, (unsigned long long)extent->file_offset,
                              (unsigned long long)d->file_bytes);
    }
    return RHUMB_OK;
}

/* Takes over the extents of one record, which has been checked. */
static rhumb_status decode_extents(const decoder *d, rhumb__directory_entry *entry) {
    rhumb_status status = RHUMB_OK;
    const uint64_t extents_position =
        sizeof d->header + (uint64_t)d->header.section_count * sizeof(rhumb__section_record);
    for (uint32_t i = 0; i < entry->record.extent_count; i++) {
        rhumb__extent extent;
        const uint64_t position = extents_position + (uint64_t)(d->next_extent + i) * sizeof extent;
        memcpy(&extent, d->root + position, sizeof extent);
        RHUMB_TRY(check_extent(d, &extent, position));
        RHUMB_TRY(rhumb__extent_list_append(&entry->extents, extent.file_offset, extent.bytes));
    }
done:
    return status;
}

/* Takes over the record at `index` of the root, and its extents. */
static rhumb_status decode_section(decoder *d, uint32_t index, rhumb__directory_entry *entry) {
    rhumb_status status;
    const uint64_t position = sizeof d->header + (uint64_t)index * sizeof(rhumb__section_record);
    rhumb__section_record *record = &entry->record;
    memcpy(record, d->root + position, sizeof *record);
    RHUMB_TRY(check_record(d, record, position));
    RHUMB_TRY(decode_extents(d, entry));
    const uint64_t published_bytes = record->row_count * record->row_stride_bytes;
    const uint64_t needed_bytes = record->kind == RHUMB__SECTION_MUTABLE
                                      ? rhumb__section_record_chunk_count(record) * record->chunk_bytes
                                      : rhumb__round_up(published_bytes, RHUMB__BLOCK_BYTES);
    if (entry->extents.bytes < needed_bytes) {
        status = rhumb__fail_at(RHUMB_E_CORRUPT, d->path, d->root_offset + position,
                                "section %u: its extents have %llu bytes, its rows need %llu", record->id,
                                (unsigned long long)entry->extents.bytes, (unsigned long long)needed_bytes);
        goto done;
    }
    d->next_extent += record->extent_count;
    d->next_checksum += rhumb__section_record_chunk_count(record);
done:
    return status;
}

static rhumb_status check_directory_header(const decoder *d, const rhumb__superblock *superblock) {
    const rhumb__directory_header *header = &d->header;
    const uint64_t expected_bytes = sizeof *header + (uint64_t)header->section_count * sizeof(rhumb__section_record) +
                                    (uint64_t)header->extent_count * sizeof(rhumb__extent) +
                                    (uint64_t)header->kept_count * sizeof(rhumb__kept_version);
    if (header->magic == RHUMB__DIRECTORY_MAGIC && header->section_count <= RHUMB__SECTION_COUNT_MAX &&
        header->extent_count <= RHUMB__EXTENT_COUNT_MAX && header->kept_count <= RHUMB__KEPT_COUNT_MAX &&
        expected_bytes == superblock->root_bytes && header->epoch == superblock->epoch &&
        header->checksum_count <= (superblock->directory_bytes - superblock->root_bytes) / sizeof(uint32_t)) {
        return RHUMB_OK;
    }
    return rhumb__fail_at(
        RHUMB_E_CORRUPT, d->path, d->root_offset,
        "directory header: %u sections, %u extents and %u kept versions in a root of %u bytes, epoch %llu "
        "(expected %llu)",
        header->section_count, header->extent_count, header->kept_count, superblock->root_bytes,
        (unsigned long long)header->epoch, (unsigned long long)superblock->epoch);
}

/* What is in the patches is checked when they are read (patches.h). */
static rhumb_status check_patches(const decoder *d) {
    const rhumb__directory_header *header = &d->header;
    if (header->patch_bytes == 0 && header->patch_count == 0) return RHUMB_OK;
    if (header->patch_bytes > 0 && header->patch_offset >= RHUMB__CONTENT_OFFSET &&
        header->patch_offset % RHUMB__BLOCK_BYTES == 0 && header->patch_bytes <= RHUMB__PATCH_AREA_BYTES_MAX &&
        header->patch_offset <= d->file_bytes && header->patch_bytes <= d->file_bytes - header->patch_offset) {
        return RHUMB_OK;
    }
    return rhumb__fail_at(RHUMB_E_CORRUPT, d->path, d->root_offset + offsetof(rhumb__directory_header, patch_offset),
                          "%u patches in %llu bytes at %llu are not in blocks within the file's %llu bytes",
                          header->patch_count, (unsigned long long)header->patch_bytes,
                          (unsigned long long)header->patch_offset, (unsigned long long)d->file_bytes);
}

/* Takes over the records of kept versions. What they point to is checked when it is read: only a writer needs it and
 * can do without it. */
static rhumb_status decode_kept(const decoder *d, rhumb__directory *directory) {
    const uint32_t count = d->header.kept_count;
    const uint64_t position = sizeof d->header + (uint64_t)d->header.section_count * sizeof(rhumb__section_record) +
                              (uint64_t)d->header.extent_count * sizeof(rhumb__extent);
    if (count == 0) return RHUMB_OK;
    directory->kept = rhumb__alloc_zeroed(count, sizeof *directory->kept);
    if (directory->kept == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for %u kept versions", count);
    memcpy(directory->kept, d->root + position, count * sizeof *directory->kept);
    directory->kept_count = count;
    uint64_t epoch = 0;
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t previous_epoch = epoch;
        epoch = directory->kept[i].epoch;
        if (epoch > previous_epoch && epoch < d->header.epoch && d->header.epoch - epoch >= 2) continue;
        return rhumb__fail_at(RHUMB_E_CORRUPT, d->path, d->root_offset + position + i * sizeof *directory->kept,
                              "kept version: an epoch above %llu and at least two below %llu expected, found %llu",
                              (unsigned long long)previous_epoch, (unsigned long long)d->header.epoch,
                              (unsigned long long)epoch);
    }
    return RHUMB_OK;
}

static rhumb_status decode_root(decoder *d, const rhumb__superblock *superblock, rhumb__directory *directory) {
    rhumb_status status;
    memcpy(&d->header, d->root, sizeof d->header);
    RHUMB_TRY(check_directory_header(d, superblock));
    directory->epoch = d->header.epoch;
    directory->checksum_crc = d->header.checksum_crc;
    directory->checksum_count = d->header.checksum_count;
    directory->checksum_offset = d->root_offset + superblock->root_bytes;
    RHUMB_TRY(check_patches(d));
    directory->patch_offset = d->header.patch_offset;
    directory->patch_bytes = d->header.patch_bytes;
    directory->patch_crc = d->header.patch_crc;
    directory->patch_count = d->header.patch_count;
    directory->file_offset = d->root_offset;
    directory->file_bytes = rhumb__round_up(superblock->directory_bytes, RHUMB__BLOCK_BYTES);
    for (uint32_t i = 0; i < d->header.section_count; i++) {
        rhumb__directory_entry *entry = &directory->entries[i];
        directory->section_count = i + 1;
        RHUMB_TRY(decode_section(d, i, entry));
        if (rhumb__directory_find(directory, entry->record.id) == entry) continue;
        status =
            rhumb__fail_at(RHUMB_E_CORRUPT, d->path, d->root_offset, "section %u is there twice", entry->record.id);
        goto done;
    }
    if (d->next_extent != d->header.extent_count || d->next_checksum != d->header.checksum_count) {
        status = rhumb__fail_at(RHUMB_E_CORRUPT, d->path, d->root_offset,
                                "the sections use %u extents and %llu checksums, the directory has %u and %llu",
                                d->next_extent, (unsigned long long)d->next_checksum, d->header.extent_count,
                                (unsigned long long)d->header.checksum_count);
        goto done;
    }
    status = decode_kept(d, directory);
done:
    return status;
}

rhumb_status rhumb__directory_read(rhumb__io *io, const rhumb__superblock *superblock,
                                   rhumb__directory **directory_out) {
    rhumb_status status;
    uint8_t *root = NULL;
    rhumb__extent *ranges = NULL;
    uint32_t range_count = 0;
    rhumb__directory *directory = NULL;
    const uint32_t root_bytes = superblock->root_bytes;
    if (root_bytes > ROOT_BYTES_MAX) {
        return rhumb__fail_at(RHUMB_E_CORRUPT, io->path, superblock->directory_offset,
                              "a directory root of %u bytes; at most %u are possible", root_bytes, ROOT_BYTES_MAX);
    }
    root = rhumb__alloc_aligned(root_bytes, 1, 64);
    directory = rhumb__alloc_zeroed(1, sizeof *directory);
    if (root == NULL || directory == NULL) {
        status = rhumb__fail(RHUMB_E_NOMEM, "no memory for a directory of %u bytes", root_bytes);
        goto done;
    }
    RHUMB_TRY(rhumb__io_read(io, root, root_bytes, superblock->directory_offset));
    const uint32_t crc = rhumb__crc32c(0, root, root_bytes);
    if (crc != superblock->root_crc) {
        status = rhumb__fail_at(RHUMB_E_CORRUPT, io->path, superblock->directory_offset,
                                "directory checksum: expected 0x%08x, found 0x%08x", superblock->root_crc, crc);
        goto done;
    }
    decoder d = {.path = io->path,
                 .root = root,
                 .root_offset = superblock->directory_offset,
                 .file_bytes = superblock->file_bytes};
    RHUMB_TRY(decode_root(&d, superblock, directory));
    RHUMB_TRY(rhumb__directory_ranges(directory, io->path, &ranges, &range_count));
    *directory_out = directory;
    directory = NULL;
done:
    rhumb__free(ranges);
    rhumb__directory_free(directory);
    rhumb__free(root);
    return status;
}

rhumb_status rhumb__directory_read_checksums(rhumb__io *io, const rhumb__directory *directory,
                                             uint32_t **checksums_out) {
    rhumb_status status;
    uint64_t file_bytes = 0;
    uint32_t *checksums = NULL;
    const uint64_t offset = directory->checksum_offset;
    const uint64_t bytes = directory->checksum_count * sizeof *checksums;
    *checksums_out = NULL;
    if (bytes == 0) return RHUMB_OK;
    /* The count is bounded by the length that the superblock names: memory is taken only for what the file has. */
    RHUMB_TRY(rhumb__io_size(io, &file_bytes));
    if (offset > file_bytes || bytes > file_bytes - offset) {
        status = rhumb__fail_at(RHUMB_E_TRUNCATED, io->path, offset,
                                "%llu bytes of chunk checksums expected here, the file has %llu in all",
                                (unsigned long long)bytes, (unsigned long long)file_bytes);
        goto done;
    }
    checksums = rhumb__alloc_zeroed(directory->checksum_count, sizeof *checksums);
    if (checksums == NULL) {
        status =
            rhumb__fail(RHUMB_E_NOMEM, "no memory for %llu checksums", (unsigned long long)directory->checksum_count);
        goto done;
    }
    RHUMB_TRY(rhumb__io_read(io, checksums, bytes, offset));
    const uint32_t crc = rhumb__crc32c(0, checksums, bytes);
    if (crc != directory->checksum_crc) {
        status = rhumb__fail_at(RHUMB_E_CORRUPT, io->path, offset,
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

rhumb__directory_entry *rhumb__directory_find(rhumb__directory *directory, uint32_t id) {
    for (uint32_t i = 0; i < directory->section_count; i++) {
        if (directory->entries[i].record.id == id) return &directory->entries[i];
    }
    return NULL;
}

rhumb_status rhumb__directory_encode(rhumb__directory *directory, uint8_t **root_out, uint32_t *root_bytes_out) {
    uint64_t extent_count = 0;
    for (uint32_t i = 0; i < directory->section_count; i++) extent_count += directory->entries[i].extents.count;
    if (extent_count > RHUMB__EXTENT_COUNT_MAX) {
        return rhumb__fail(RHUMB_E_FULL, "the index lies in %llu extents of the file, at most %u are possible",
                           (unsigned long long)extent_count, RHUMB__EXTENT_COUNT_MAX);
    }
    const uint64_t extents_position =
        sizeof(rhumb__directory_header) + directory->section_count * sizeof(rhumb__section_record);
    const uint64_t kept_position = extents_position + extent_count * sizeof(rhumb__extent);
    const uint64_t kept_bytes = directory->kept_count * sizeof(rhumb__kept_version);
    const uint64_t root_bytes = kept_position + kept_bytes;
    RHUMB_ASSERT(directory->kept_count <= RHUMB__KEPT_COUNT_MAX);
    uint8_t *root = rhumb__alloc_zeroed(root_bytes, 1);
    if (root == NULL) {
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for a directory of %llu bytes", (unsigned long long)root_bytes);
    }
    uint32_t next_extent = 0;
    uint64_t next_checksum = 0;
    for (uint32_t i = 0; i < directory->section_count; i++) {
        rhumb__directory_entry *entry = &directory->entries[i];
        entry->record.extent_first = next_extent;
        entry->record.extent_count = entry->extents.count;
        entry->record.checksum_first = next_checksum;
        memcpy(root + sizeof(rhumb__directory_header) + i * sizeof entry->record, &entry->record, sizeof entry->record);
        for (uint32_t k = 0; k < entry->extents.count; k++) {
            const rhumb__extent extent = {entry->extents.items[k].file_offset, entry->extents.items[k].bytes};
            memcpy(root + extents_position + (uint64_t)next_extent * sizeof extent, &extent, sizeof extent);
            next_extent++;
        }
        next_checksum += rhumb__section_record_chunk_count(&entry->record);
    }
    directory->checksum_count = next_checksum;
    const rhumb__directory_header header = {
        .magic = RHUMB__DIRECTORY_MAGIC,
        .section_count = directory->section_count,
        .extent_count = next_extent,
        .checksum_crc = directory->checksum_crc,
        .checksum_count = next_checksum,
        .epoch = directory->epoch,
        .kept_count = directory->kept_count,
        .patch_offset = directory->patch_offset,
        .patch_bytes = directory->patch_bytes,
        .patch_crc = directory->patch_crc,
        .patch_count = directory->patch_count,
    };
    memcpy(root, &header, sizeof header);
    if (kept_bytes > 0) memcpy(root + kept_position, directory->kept, kept_bytes);
    *root_out = root;
    *root_bytes_out = (uint32_t)root_bytes;
    return RHUMB_OK;
}

static int compare_extents(const void *a, const void *b) {
    const rhumb__extent *left = a;
    const rhumb__extent *right = b;
    return (left->file_offset > right->file_offset) - (left->file_offset < right->file_offset);
}

rhumb_status rhumb__directory_ranges(const rhumb__directory *directory, const char *path, rhumb__extent **ranges_out,
                                     uint32_t *count_out) {
    uint32_t count = directory->patch_bytes > 0 ? 2 : 1;
    for (uint32_t i = 0; i < directory->section_count; i++) count += directory->entries[i].extents.count;
    rhumb__extent *ranges = rhumb__alloc_zeroed(count, sizeof *ranges);
    if (ranges == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for a list of %u extents", count);
    uint32_t next = 0;
    ranges[next++] = (rhumb__extent){directory->file_offset, directory->file_bytes};
    if (directory->patch_bytes > 0) {
        const uint64_t block_bytes = rhumb__round_up(directory->patch_bytes, RHUMB__BLOCK_BYTES);
        ranges[next++] = (rhumb__extent){directory->patch_offset, block_bytes};
    }
    for (uint32_t i = 0; i < directory->section_count; i++) {
        const rhumb__extent_list *extents = &directory->entries[i].extents;
        for (uint32_t k = 0; k < extents->count; k++) {
            ranges[next++] = (rhumb__extent){extents->items[k].file_offset, extents->items[k].bytes};
        }
    }
    qsort(ranges, count, sizeof *ranges, compare_extents);
    for (uint32_t i = 1; i < count; i++) {
        if (ranges[i - 1].file_offset + ranges[i - 1].bytes <= ranges[i].file_offset) continue;
        rhumb_status status = rhumb__fail_at(
            RHUMB_E_CORRUPT, path, ranges[i].file_offset, "these bytes belong to two extents, at %llu and at %llu",
            (unsigned long long)ranges[i - 1].file_offset, (unsigned long long)ranges[i].file_offset);
        rhumb__free(ranges);
        return status;
    }
    *ranges_out = ranges;
    *count_out = count;
    return RHUMB_OK;
}

void rhumb__directory_free(rhumb__directory *directory) {
    if (directory == NULL) return;
    for (uint32_t i = 0; i < RHUMB__SECTION_COUNT_MAX; i++) rhumb__extent_list_clear(&directory->entries[i].extents);
    rhumb__free(directory->kept);
    rhumb__free(directory);
}
