/* hot_pages.c - see hot_pages.h.
 *
 * The list is written over the one before, without a sync: a write that a crash or another process has disturbed leaves
 * a list whose checksum is wrong, which counts as none. Nothing but such a list is overwritten.
 *
 * Owns the list while it is made or read. How it fails: without a list.
 */
#define _GNU_SOURCE
#include "storage/hot_pages.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "base/crc32c.h"
#include "base/status.h"
#include "storage/residency.h"

#define HOT_MAGIC UINT64_C(0x0A0D746F68687289) /* 0x89 "rhhot" CR LF */
#define HOT_VERSION 1u
#define PAGES_PER_CALL UINT64_C(65536)

typedef struct hot_header {
    uint64_t magic;
    uint32_t version;
    uint32_t crc; /* CRC-32C of the whole file with this field 0 */
    uint8_t uuid[16];
    uint64_t epoch; /* of the version that the handle stood on */
    uint64_t file_bytes;
    uint32_t page_bytes;
    uint32_t section_count;
    uint64_t reserved; /* zero */
} hot_header;

static_assert(sizeof(hot_header) == 64 && offsetof(hot_header, crc) == 12, "layout of the list's header");

/* The bits of a section follow those of the one before, in words of 64. */
typedef struct hot_record {
    uint32_t section_id;
    uint32_t reserved; /* zero */
    uint64_t page_count;
} hot_record;

static_assert(sizeof(hot_record) == 16, "layout of a list's record");

struct rhumb__hot_pages {
    const hot_header *header; /* the file, from here on */
    const hot_record *records;
    const uint64_t *bits;
    uint64_t page_bytes;
};

static uint64_t words_of(uint64_t page_count) { return rhumb__divide_up(page_count, 64); }

static uint64_t page_count_of(const rhumb__section *section, uint64_t page_bytes) {
    return rhumb__divide_up(rhumb__section_mapped_bytes(section), page_bytes);
}

/* NULL: no memory. */
static char *path_make(const char *index_path) {
    const size_t length = strlen(index_path) + sizeof RHUMB__HOT_PAGES_SUFFIX;
    char *path = rhumb__alloc_zeroed(length, 1);
    if (path != NULL) snprintf(path, length, "%s" RHUMB__HOT_PAGES_SUFFIX, index_path);
    return path;
}

/* ---- saving ---- */

/* Sets the bits of the pages of a section that are in memory. `answer` has PAGES_PER_CALL bytes. */
static void mark_pages(const rhumb__section *section, uint64_t page_bytes, unsigned char *answer, uint64_t *bits) {
    const uint64_t page_count = page_count_of(section, page_bytes);
    for (uint64_t first = 0; first < page_count; first += PAGES_PER_CALL) {
        const uint64_t count = rhumb__min_u64(page_count - first, PAGES_PER_CALL);
        if (mincore(section->base + first * page_bytes, count * page_bytes, answer) != 0) return;
        for (uint64_t i = 0; i < count; i++) {
            if (answer[i] & 1) rhumb__bit_set(bits, first + i);
        }
    }
}

/* The list as it is to be written, header->file_bytes long; with the publishing lock held. NULL: no memory. */
static hot_header *make_list(const rhumb__store *store) {
    const uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t bytes = sizeof(hot_header) + store->section_count * sizeof(hot_record);
    for (uint32_t i = 0; i < store->section_count; i++)
        bytes += words_of(page_count_of(store->sections[i], page_bytes)) * sizeof(uint64_t);
    hot_header *header = rhumb__alloc_zeroed(bytes, 1);
    unsigned char *answer = rhumb__alloc_zeroed(PAGES_PER_CALL, 1);
    if (header != NULL && answer != NULL) {
        hot_record *records = (hot_record *)(header + 1);
        uint64_t *bits = (uint64_t *)(records + store->section_count);
        *header = (hot_header){.magic = HOT_MAGIC,
                               .version = HOT_VERSION,
                               .epoch = store->superblock.epoch,
                               .file_bytes = bytes,
                               .page_bytes = (uint32_t)page_bytes,
                               .section_count = store->section_count};
        memcpy(header->uuid, store->superblock.uuid, sizeof header->uuid);
        for (uint32_t i = 0; i < store->section_count; i++) {
            const rhumb__section *section = store->sections[i];
            records[i].section_id = section->spec.id;
            records[i].page_count = page_count_of(section, page_bytes);
            mark_pages(section, page_bytes, answer, bits);
            bits += words_of(records[i].page_count);
        }
        header->crc = rhumb__crc32c(0, header, bytes);
    } else {
        rhumb__free(header);
        header = NULL;
    }
    rhumb__free(answer);
    return header;
}

/* Opens a list to be overwritten, or creates one for those who may use the index. */
static rhumb_status open_to_write(rhumb__store *store, const char *path, rhumb__io **io_out) {
    rhumb_status status;
    uint64_t bytes = 0;
    uint64_t magic = 0;
    rhumb_error before;
    rhumb__error_save(&before);
    status = rhumb__io_open(store->io->backend, path, RHUMB__IO_WRITE, io_out);
    if (status == RHUMB_E_NOTFOUND) {
        const rhumb__io_access access = rhumb__io_access_get(store->io);
        rhumb__error_restore(&before);
        return rhumb__io_create_like(store->io->backend, path, &access, io_out);
    }
    RHUMB_TRY(status);
    RHUMB_TRY(rhumb__io_size(*io_out, &bytes));
    if (bytes >= sizeof magic) RHUMB_TRY(rhumb__io_read(*io_out, &magic, sizeof magic, 0));
    if (bytes > 0 && magic != HOT_MAGIC)
        status = rhumb__fail_at(RHUMB_E_EXISTS, path, 0, "there is a file that is no list of pages");
done:
    return status;
}

rhumb_status rhumb__hot_pages_save(rhumb__store *store) {
    rhumb_status status = RHUMB_OK;
    rhumb__io *io = NULL;
    hot_header *list = NULL;
    char *path = NULL;
    if (store->io->unlocked)
        return rhumb__fail_at(RHUMB_E_READONLY, store->path, RHUMB_OFFSET_NONE, "opened as immutable");
    rhumb__mutex_lock(&store->publish_lock);
    list = make_list(store);
    rhumb__mutex_unlock(&store->publish_lock);
    path = path_make(store->path);
    if (list == NULL || path == NULL) {
        status = rhumb__fail(RHUMB_E_NOMEM, "no memory for a list of pages");
        goto done;
    }
    RHUMB_TRY(open_to_write(store, path, &io));
    RHUMB_TRY(rhumb__io_resize(io, list->file_bytes));
    RHUMB_TRY(rhumb__io_write(io, list, list->file_bytes, 0));
    RHUMB_TRY(rhumb__io_drain(io));
done:
    rhumb__io_close(io);
    rhumb__free(list);
    rhumb__free(path);
    return status;
}

void rhumb__hot_pages_keep(rhumb__store *store) {
    rhumb_error before;
    if (!rhumb__store_exceeds_memory(store)) return;
    rhumb__error_save(&before);
    const rhumb_status saved = rhumb__hot_pages_save(store);
    (void)saved; /* searches do without */
    rhumb__error_restore(&before);
}

/* ---- reading ---- */

/* Whether `bytes` bytes are a whole list of the index. */
static bool is_sound(const rhumb__store *store, hot_header *header, uint64_t bytes) {
    const hot_record *records = (const hot_record *)(header + 1);
    uint64_t left = bytes - sizeof *header;
    if (header->magic != HOT_MAGIC || header->version != HOT_VERSION || header->file_bytes != bytes) return false;
    if (memcmp(header->uuid, store->superblock.uuid, sizeof header->uuid) != 0) return false;
    if (header->page_bytes != (uint64_t)sysconf(_SC_PAGESIZE)) return false;
    if (header->section_count > RHUMB__SECTION_COUNT_MAX || left < header->section_count * sizeof *records)
        return false;
    left -= header->section_count * sizeof *records;
    for (uint32_t i = 0; i < header->section_count; i++) {
        if (records[i].page_count / 8 > left || words_of(records[i].page_count) * sizeof(uint64_t) > left) return false;
        left -= words_of(records[i].page_count) * sizeof(uint64_t);
    }
    const uint32_t crc = header->crc;
    header->crc = 0;
    return left == 0 && rhumb__crc32c(0, header, bytes) == crc;
}

/* NULL: not a list of this index. */
static hot_header *load(const rhumb__store *store, rhumb__io *io) {
    uint64_t bytes = 0;
    /* What the present sections could have, twice, since some may have been larger. */
    const uint64_t bytes_max = (UINT64_C(64) << 10) + rhumb__residency_mapped_bytes(store) / 4096 / 8 * 2;
    if (rhumb__io_size(io, &bytes) != RHUMB_OK || bytes < sizeof(hot_header) || bytes > bytes_max) return NULL;
    hot_header *header = rhumb__alloc_zeroed(bytes, 1);
    if (header != NULL && rhumb__io_read(io, header, bytes, 0) == RHUMB_OK && is_sound(store, header, bytes))
        return header;
    rhumb__free(header);
    return NULL;
}

rhumb__hot_pages *rhumb__hot_pages_read(const rhumb__store *store) {
    rhumb_error before;
    rhumb__io *io = NULL;
    hot_header *header = NULL;
    rhumb__hot_pages *pages = NULL;
    rhumb__error_save(&before);
    char *path = path_make(store->path);
    if (path != NULL && rhumb__io_open(store->io->backend, path, RHUMB__IO_READ, &io) == RHUMB_OK)
        header = load(store, io);
    if (header != NULL) pages = rhumb__alloc_zeroed(1, sizeof *pages);
    if (pages != NULL) {
        const hot_record *records = (const hot_record *)(header + 1);
        *pages = (rhumb__hot_pages){header, records, (const uint64_t *)(records + header->section_count),
                                    header->page_bytes};
    } else {
        rhumb__free(header);
    }
    rhumb__io_close(io);
    rhumb__free(path);
    rhumb__error_restore(&before);
    return pages;
}

bool rhumb__hot_pages_next(const rhumb__hot_pages *pages, const rhumb__section *section, uint64_t from,
                           rhumb__hot_run *run_out) {
    const uint64_t *bits = pages->bits;
    uint32_t i = 0;
    while (i < pages->header->section_count && pages->records[i].section_id != section->spec.id)
        bits += words_of(pages->records[i++].page_count);
    if (i == pages->header->section_count) return false;
    const uint64_t count = rhumb__min_u64(pages->records[i].page_count, page_count_of(section, pages->page_bytes));
    uint64_t page = rhumb__divide_up(from, pages->page_bytes);
    while (page < count && !rhumb__bit_get(bits, page)) page += bits[page / 64] == 0 ? 64 - page % 64 : 1;
    if (page >= count) return false;
    uint64_t end = page + 1;
    while (end < count && rhumb__bit_get(bits, end)) end++;
    run_out->section_offset = page * pages->page_bytes;
    run_out->bytes =
        rhumb__min_u64(end * pages->page_bytes, rhumb__section_mapped_bytes(section)) - run_out->section_offset;
    return true;
}

void rhumb__hot_pages_free(rhumb__hot_pages *pages) {
    if (pages == NULL) return;
    rhumb__free((void *)pages->header);
    rhumb__free(pages);
}
