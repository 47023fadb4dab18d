/* kept_versions.c - see kept_versions.h.
 *
 * The blocks of a version are taken from its directory, which is one of them: it is read when the version turns out to
 * be pinned although it is not one of the newest two any more. Until then nothing of it can have been reused. Each
 * version names the kept versions of its time in its directory, so that a later writer knows them too.
 *
 * A pin of an epoch that is not known, or whose directory cannot be read, makes no difference to the other versions: it
 * keeps every block that was retired since. It is a reader that has come too late and is about to notice, a pin from
 * before a crash that lost the newest version, or a damaged file.
 *
 * Invariants: store->versions is ascending by epoch and ends with the newest version, once there is one; a version has
 * ranges only while it is older than the newest two and was pinned at the last look. Owns these. How it fails: a test
 * that fails is taken for a pin, and a directory that cannot be read for one that needs everything.
 */
#include "storage/kept_versions.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/status.h"
#include "storage/frame/file_locks.h"

rhumb__kept_version rhumb__kept_version_of(const rhumb__superblock *superblock) {
    return (rhumb__kept_version){
        .epoch = superblock->epoch,
        .directory_offset = superblock->directory_offset,
        .directory_bytes = superblock->directory_bytes,
        .root_bytes = superblock->root_bytes,
        .root_crc = superblock->root_crc,
    };
}

rhumb_status rhumb__kept_versions_make_room(rhumb__store *store) {
    if (store->version_count < store->version_capacity) return RHUMB_OK;
    const uint32_t capacity = store->version_capacity == 0 ? 8 : store->version_capacity * 2;
    rhumb__known_version *versions = rhumb__alloc_resize(store->versions, capacity, sizeof *versions);
    if (versions == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for a list of %u versions", capacity);
    store->versions = versions;
    store->version_capacity = capacity;
    return RHUMB_OK;
}

rhumb_status rhumb__kept_versions_add(rhumb__store *store, const rhumb__kept_version *version) {
    const rhumb_status status = rhumb__kept_versions_make_room(store);
    if (status != RHUMB_OK) return status;
    RHUMB_ASSERT(store->version_count == 0 || store->versions[store->version_count - 1].record.epoch < version->epoch);
    store->versions[store->version_count++] = (rhumb__known_version){.record = *version};
    return RHUMB_OK;
}

/* Whether a reader pins one of these epochs. */
static bool is_pinned(rhumb__store *store, uint64_t first_epoch, uint64_t last_epoch) {
    bool pinned = true;
    rhumb_error before;
    rhumb__error_save(&before);
    if (rhumb__version_pins_test(store->io, first_epoch, last_epoch, &pinned) != RHUMB_OK) pinned = true;
    rhumb__error_restore(&before);
    return pinned;
}

/* The lowest pinned epoch of [first_epoch, last_epoch]; UINT64_MAX if there is none. */
static uint64_t lowest_pin(rhumb__store *store, uint64_t first_epoch, uint64_t last_epoch) {
    if (first_epoch > last_epoch || !is_pinned(store, first_epoch, last_epoch)) return UINT64_MAX;
    while (first_epoch < last_epoch) {
        const uint64_t middle = first_epoch + (last_epoch - first_epoch) / 2;
        if (is_pinned(store, first_epoch, middle)) {
            last_epoch = middle;
        } else {
            first_epoch = middle + 1;
        }
    }
    return first_epoch;
}

/* Reads which blocks the version refers to. */
static rhumb_status read_ranges(rhumb__store *store, rhumb__known_version *version) {
    rhumb_status status;
    rhumb__directory *directory = NULL;
    const rhumb__kept_version *record = &version->record;
    rhumb__superblock superblock = {
        .epoch = record->epoch,
        .directory_offset = record->directory_offset,
        .directory_bytes = record->directory_bytes,
        .root_bytes = record->root_bytes,
        .root_crc = record->root_crc,
    };
    RHUMB_TRY(rhumb__io_size(store->io, &superblock.file_bytes));
    if (record->directory_offset % RHUMB__BLOCK_BYTES != 0 || record->directory_offset < RHUMB__BLOCK_BYTES ||
        record->directory_offset > superblock.file_bytes ||
        record->directory_bytes > superblock.file_bytes - record->directory_offset ||
        record->root_bytes < sizeof(rhumb__directory_header) || record->root_bytes > record->directory_bytes) {
        status = rhumb__fail_at(RHUMB_E_CORRUPT, store->path, record->directory_offset,
                                "the directory of a kept version does not lie in the file");
        goto done;
    }
    RHUMB_TRY(rhumb__directory_read(store->io, &superblock, &directory));
    status = rhumb__directory_ranges(directory, store->path, &version->ranges, &version->range_count);
done:
    rhumb__directory_free(directory);
    return status;
}

uint64_t rhumb__kept_versions_update(rhumb__store *store) {
    const uint64_t newest_epoch = store->superblock.epoch;
    if (newest_epoch < 3) return UINT64_MAX;
    const uint64_t last_epoch = newest_epoch - 2;
    uint64_t unknown_epoch = UINT64_MAX;
    uint64_t next_epoch = 1; /* no epoch below it is unknown and pinned, or unknown_epoch is set */
    uint32_t kept_count = 0;
    rhumb_error before;
    rhumb__error_save(&before);
    for (uint32_t i = 0; i < store->version_count; i++) {
        rhumb__known_version version = store->versions[i];
        const uint64_t epoch = version.record.epoch;
        if (epoch > last_epoch) {
            store->versions[kept_count++] = version;
            continue;
        }
        if (unknown_epoch == UINT64_MAX) unknown_epoch = lowest_pin(store, next_epoch, epoch - 1);
        next_epoch = epoch + 1;
        if (!is_pinned(store, epoch, epoch)) {
            rhumb__free(version.ranges);
            continue;
        }
        if (version.ranges == NULL && read_ranges(store, &version) != RHUMB_OK) {
            if (epoch < unknown_epoch) unknown_epoch = epoch;
        }
        store->versions[kept_count++] = version;
    }
    store->version_count = kept_count;
    if (unknown_epoch == UINT64_MAX) unknown_epoch = lowest_pin(store, next_epoch, last_epoch);
    rhumb__error_restore(&before);
    return unknown_epoch;
}

bool rhumb__kept_versions_need(const rhumb__store *store, uint64_t *begin, uint64_t *end) {
    uint64_t first = *end;
    uint64_t after = 0;
    for (uint32_t i = 0; i < store->version_count; i++) {
        const rhumb__known_version *version = &store->versions[i];
        uint32_t low = 0; /* the first range that ends after *begin */
        uint32_t high = version->range_count;
        while (low < high) {
            const uint32_t middle = low + (high - low) / 2;
            if (version->ranges[middle].file_offset + version->ranges[middle].bytes <= *begin) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        if (low == version->range_count) continue;
        const rhumb__extent *range = &version->ranges[low];
        const uint64_t range_begin = range->file_offset > *begin ? range->file_offset : *begin;
        const uint64_t range_end = range->file_offset + range->bytes;
        if (range_begin >= *end || range_begin > first || (range_begin == first && range_end <= after)) continue;
        first = range_begin;
        after = range_end;
    }
    if (first >= *end) return false;
    *begin = first;
    if (after < *end) *end = after;
    return true;
}

rhumb_status rhumb__kept_versions_list(rhumb__store *store, uint64_t epoch, rhumb__kept_version **kept_out,
                                       uint32_t *count_out) {
    uint32_t first = 0;
    uint32_t count = 0;
    *kept_out = NULL;
    *count_out = 0;
    while (count < store->version_count && store->versions[count].record.epoch + 2 <= epoch) count++;
    if (count > RHUMB__KEPT_COUNT_MAX) first = count - RHUMB__KEPT_COUNT_MAX; /* the others become unknown pins */
    if (count == first) return RHUMB_OK;
    rhumb__kept_version *kept = rhumb__alloc_zeroed(count - first, sizeof *kept);
    if (kept == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for %u kept versions", count - first);
    uint32_t kept_count = 0;
    for (uint32_t i = first; i < count; i++) {
        const rhumb__kept_version *record = &store->versions[i].record;
        if (is_pinned(store, record->epoch, record->epoch)) kept[kept_count++] = *record;
    }
    *kept_out = kept;
    *count_out = kept_count;
    return RHUMB_OK;
}

void rhumb__kept_versions_clear(rhumb__store *store) {
    for (uint32_t i = 0; i < store->version_count; i++) rhumb__free(store->versions[i].ranges);
    rhumb__free(store->versions);
    store->versions = NULL;
    store->version_count = 0;
    store->version_capacity = 0;
}
