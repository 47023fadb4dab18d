/* private_pages.c - see private_pages.h.
 *
 * Counts what the sets of dirty and of patched units say. A page that was copied and is clean again counts no more,
 * although it is private until its granule is mapped from the file: the publication that made it clean does that.
 * Stateless. Locks: that of one chunk at a time, while its set of dirty units is copied. Cannot fail.
 */
#include "storage/private_pages.h"

#include "base/bits.h"

#define PAGE_BYTES 4096u

/* Pages that the units of one chunk lie in. */
static uint64_t count_pages(const rhumb__section *section, const rhumb__unit_set *units) {
    uint64_t count = 0;
    uint64_t counted_end = 0; /* the pages before it are counted */
    for (uint32_t word = 0; word < RHUMB__PATCH_UNIT_COUNT / 64; word++) {
        for (uint64_t bits = units->words[word]; bits != 0; bits &= bits - 1) {
            const uint64_t unit = word * UINT64_C(64) + (uint64_t)__builtin_ctzll(bits);
            const uint64_t first = rhumb__max_u64(unit * section->unit_bytes / PAGE_BYTES, counted_end);
            const uint64_t end = ((unit + 1) * section->unit_bytes - 1) / PAGE_BYTES + 1;
            if (end <= first) continue;
            count += end - first;
            counted_end = end;
        }
    }
    return count;
}

uint64_t rhumb__section_private_bytes(const rhumb__section *section, uint64_t row_count) {
    RHUMB_ASSERT_DEBUG(section->writable && section->spec.kind == RHUMB__SECTION_MUTABLE);
    const uint64_t chunk_count = rhumb__divide_up(row_count, section->chunk_row_count);
    uint64_t page_count = 0;
    for (uint64_t i = 0; i < chunk_count; i++) {
        rhumb__chunk_state *chunk = &section->chunks[i];
        rhumb__section_lock_chunk(section, chunk);
        rhumb__unit_set units = chunk->dirty;
        rhumb__mutex_unlock(&chunk->lock);
        const bool may_have_patches = section->patched != NULL && i < section->checksum_count;
        for (uint32_t word = 0; may_have_patches && word < RHUMB__PATCH_UNIT_COUNT / 64; word++) {
            units.words[word] |= section->patched[i].words[word];
        }
        if (!rhumb__unit_set_is_empty(&units)) page_count += count_pages(section, &units);
    }
    return page_count * PAGE_BYTES;
}
