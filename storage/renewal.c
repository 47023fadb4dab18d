/* renewal.c - see renewal.h.
 *
 * Owns the notes of a section: one bit for each chunk that has published rows. Invariant: the bit of a chunk is set
 * whenever its published rows in memory may differ from those in the newest version. Locking: the store's publishing
 * lock throughout. Only rhumb__renewal_begin fails, before anything has changed.
 */
#include "storage/renewal.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/status.h"

#define GRANULE_COUNT_MAX 2048u

/* Makes room for a bit of each published chunk. */
static rhumb_status make_room(rhumb__section *section) {
    const uint64_t capacity = section->renewed_word_count;
    const uint64_t word_count = rhumb__divide_up(section->checksum_count, 64);
    if (word_count <= capacity) return RHUMB_OK;
    uint64_t *words = rhumb__alloc_resize(section->renewed, word_count, sizeof *words);
    if (words == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for the marks of rows that are written again");
    memset(words + capacity, 0, (word_count - capacity) * sizeof *words);
    section->renewed = words;
    section->renewed_word_count = word_count;
    return RHUMB_OK;
}

rhumb_status rhumb__renewal_begin(rhumb__store *store, rhumb__section *section) {
    rhumb_status status;
    RHUMB_ASSERT_DEBUG(section->writable && section->spec.kind == RHUMB__SECTION_APPEND);
    rhumb__mutex_lock(&store->publish_lock);
    RHUMB_TRY(rhumb__store_check(store));
    status = make_room(section);
done:
    if (status != RHUMB_OK) rhumb__mutex_unlock(&store->publish_lock);
    return status;
}

void rhumb__renewal_write(rhumb__section *section, uint64_t row, const void *bytes) {
    const uint64_t stride_bytes = section->row_stride_bytes;
    memcpy(rhumb__section_row(section, row), bytes, stride_bytes);
    if (row >= section->published_row_count) return;
    const uint64_t last = ((row + 1) * stride_bytes - 1) / section->chunk_bytes;
    for (uint64_t chunk = row * stride_bytes / section->chunk_bytes; chunk <= last; chunk++) {
        RHUMB_ASSERT_DEBUG(chunk / 64 < section->renewed_word_count);
        if (rhumb__bit_get(section->renewed, chunk)) continue;
        rhumb__bit_set(section->renewed, chunk);
        section->renewed_bytes += section->chunk_bytes;
    }
}

void rhumb__renewal_end(rhumb__store *store) { rhumb__mutex_unlock(&store->publish_lock); }

uint64_t rhumb__renewal_granule_bytes(const rhumb__section *section) {
    const uint64_t bytes = section->extents.bytes;
    uint64_t granule_bytes =
        bytes >= RHUMB__WHOLE_PIECES_BYTES_MIN ? RHUMB__LARGE_PAGE_BYTES : (uint64_t)section->chunk_bytes;
    while (bytes / granule_bytes > GRANULE_COUNT_MAX) granule_bytes *= 2;
    return granule_bytes;
}

bool rhumb__renewal_is_needed(const rhumb__section *section, uint64_t begin, uint64_t end) {
    if (section->renewed_bytes == 0) return false;
    const uint64_t chunk_limit = rhumb__min_u64(end / section->chunk_bytes, section->renewed_word_count * 64);
    for (uint64_t chunk = begin / section->chunk_bytes; chunk < chunk_limit; chunk++) {
        if (rhumb__bit_get(section->renewed, chunk)) return true;
    }
    return false;
}

void rhumb__renewal_forget(rhumb__section *section, uint64_t begin, uint64_t end) {
    const uint64_t chunk_limit = rhumb__min_u64(end / section->chunk_bytes, section->renewed_word_count * 64);
    for (uint64_t chunk = begin / section->chunk_bytes; chunk < chunk_limit; chunk++) {
        if (!rhumb__bit_get(section->renewed, chunk)) continue;
        section->renewed[chunk / 64] &= ~(UINT64_C(1) << (chunk % 64));
        section->renewed_bytes -= section->chunk_bytes;
    }
}
