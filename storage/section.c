/* section.c - see section.h. Maps and grows the memory of a section.
 *
 * Invariants:
 *   1. base never changes between init and destroy, so no address that a search holds can move.
 *   2. [base, base + memory.bytes) is readable (and writable in a writer); nothing is mapped right behind it, or
 *      without access, so a stray access faults instead of reading other memory.
 *   3. row_capacity * row_stride_bytes <= memory.bytes.
 *   4. No mapping of the file is both shared and writable: the kernel can never write a half-done change back to it.
 *
 * Locking: growing takes the section's growth lock; mapping and destroying are for a thread that has the section to
 * itself. A failure leaves the section as it was. Fork: what is mapped from the file is not inherited (base/fork.h), so
 * a child never unmaps a section, whose addresses may belong to something else there.
 */
#define _GNU_SOURCE
#include "storage/section.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/status.h"
#include "storage/section_scratch.h"

/* Of the steps in which a section grows; with a limit on the address space, and without. */
#define GROWTH_BYTES_MAX_LIMITED (UINT64_C(4) << 20)
#define GROWTH_BYTES_MAX (UINT64_C(64) << 20)

/* No section needs more: the processor's address space ends there. */
#define SECTION_BYTES_MAX (UINT64_C(1) << 46)

static_assert(sizeof(rhumb__chunk_state) <= 128, "one chunk's state should share no more than two cache lines");
static_assert(RHUMB__BLOCK_BYTES / RHUMB__PATCH_UNIT_COUNT == 128, "a unit is a multiple of 128 bytes");

uint32_t rhumb__section_chunk_bytes(rhumb__section_kind kind, uint64_t row_stride_bytes) {
    if (kind == RHUMB__SECTION_APPEND) return RHUMB__BLOCK_BYTES;
    const uint64_t two_power = row_stride_bytes & (~row_stride_bytes + 1);
    const uint64_t odd_part = row_stride_bytes / two_power;
    return (uint32_t)(odd_part * rhumb__max_u64(two_power, RHUMB__BLOCK_BYTES));
}

/* The memory for the states of the chunks of `bytes`. */
static uint64_t states_bytes(const rhumb__section *section, uint64_t bytes) {
    return rhumb__round_up(rhumb__divide_up(bytes, section->chunk_bytes) * sizeof(rhumb__chunk_state),
                           RHUMB__BLOCK_BYTES);
}

/* A chunk is q * 2^p bytes, q odd, p at least 16, and rows are q * 2^s bytes, s at most p. So a unit and a row differ
 * by a power of two. */
static void set_units(rhumb__section *section) {
    const uint64_t stride_bytes = section->row_stride_bytes;
    section->unit_bytes = section->chunk_bytes / RHUMB__PATCH_UNIT_COUNT;
    const bool several_rows = stride_bytes <= section->unit_bytes;
    uint64_t ratio = several_rows ? section->unit_bytes / stride_bytes : stride_bytes / section->unit_bytes;
    RHUMB_ASSERT_DEBUG(rhumb__is_power_of_two(ratio));
    for (; ratio > 1; ratio /= 2) section->unit_shift = (int8_t)(section->unit_shift + (several_rows ? 1 : -1));
}

rhumb_status rhumb__section_init(rhumb__section *section, const rhumb__section_spec *spec, bool writable,
                                 uint64_t row_count_min) {
    RHUMB_ASSERT_DEBUG(spec->row_stride_bytes > 0 && row_count_min <= spec->row_limit);
    memset(section, 0, sizeof *section);
    section->spec = *spec;
    section->row_stride_bytes = spec->row_stride_bytes;
    section->writable = writable;
    section->chunk_bytes = rhumb__section_chunk_bytes(spec->kind, spec->row_stride_bytes);
    section->chunk_row_count = (uint32_t)(section->chunk_bytes / spec->row_stride_bytes);
    if (spec->kind == RHUMB__SECTION_MUTABLE) set_units(section);
    if (section->spec.chunk_rank == RHUMB__RANK_NONE) section->spec.chunk_rank = RHUMB__RANK_CHUNK;
    if (rhumb__mutex_init(&section->growth_lock, RHUMB__RANK_GROWTH) != 0) {
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for a lock");
    }

    const uint64_t unit = section->chunk_bytes;
    const uint64_t bytes = rhumb__divide_up(row_count_min * spec->row_stride_bytes, unit) * unit;
    uint64_t bytes_max = rhumb__max_u64(bytes, unit);
    uint64_t first_bytes = bytes_max;
    if (writable) {
        const uint64_t row_limit = rhumb__min_u64(spec->row_limit, SECTION_BYTES_MAX / spec->row_stride_bytes);
        bytes_max = (rhumb__divide_up(row_limit * spec->row_stride_bytes, unit) + 1) * unit;
        first_bytes = bytes;
    }
    rhumb_status status = rhumb__address_range_take(&section->memory, first_bytes, bytes_max);
    section->base = section->memory.base;
    if (status == RHUMB_OK && writable && spec->kind == RHUMB__SECTION_MUTABLE) {
        /* Chunk states come from zeroed pages; that is how glibc and musl define an unlocked mutex. */
        static_assert(RHUMB__RANK_NONE == 0, "a rank of zeros is no rank");
        static const pthread_mutex_t unlocked = PTHREAD_MUTEX_INITIALIZER;
        static const uint8_t zeros[sizeof unlocked];
        RHUMB_ASSERT(memcmp((const uint8_t *)&unlocked, zeros, sizeof zeros) == 0);
        status = rhumb__address_range_take(&section->chunks_memory, 0, states_bytes(section, bytes_max));
        section->chunks = (rhumb__chunk_state *)section->chunks_memory.base;
    }
    if (status != RHUMB_OK) rhumb__section_destroy(section);
    return status;
}

rhumb_status rhumb__section_guard(rhumb__section *section, rhumb__io *io, uint64_t bytes) {
    return rhumb__bus_guard_add(section->base, bytes, section->writable, &io->bus_flag, &section->guard);
}

void rhumb__section_guard_by(rhumb__section *section, rhumb__io *io) {
    const uint64_t bytes = section->settled_bytes;
    rhumb_error before;
    rhumb__error_save(&before);
    rhumb__bus_guard_remove(section->guard);
    section->guard = NULL;
    if (bytes > 0) (void)!rhumb__section_guard(section, io, bytes);
    rhumb__error_restore(&before);
}

void rhumb__section_destroy(rhumb__section *section) {
    rhumb__bus_guard_remove(section->guard);
    rhumb__section_scratch_end(section);
    rhumb__address_range_drop(&section->memory);
    rhumb__address_range_drop(&section->chunks_memory);
    if (section->row_stride_bytes != 0) rhumb__mutex_destroy(&section->growth_lock);
    rhumb__extent_list_clear(&section->extents);
    rhumb__free(section->page_map);
    section->page_map = NULL;
    rhumb__free(section->checksums);
    rhumb__free(section->patched);
    rhumb__free(section->renewed);
    memset(section, 0, sizeof *section);
}

/* Makes the chunk states that belong to the first `bytes` of the section usable. */
static rhumb_status grow_states(rhumb__section *section, uint64_t bytes) {
    if (section->chunks == NULL) return RHUMB_OK;
    const uint64_t needed_bytes = states_bytes(section, bytes);
    if (needed_bytes <= section->chunks_memory.bytes) return RHUMB_OK;
    return rhumb__address_range_grow(&section->chunks_memory, needed_bytes, needed_bytes);
}

static uint64_t published_bytes(const rhumb__section *section) {
    return section->published_row_count * section->row_stride_bytes;
}

/* Gives the block that the rows end in private memory: rows are added to it, so it is never mapped again, and the block
 * of the file may come to hold something else. */
static void detach_tail(const rhumb__section *section) {
    const uint64_t page_bytes = 4096;
    for (uint64_t offset = section->settled_bytes; offset < published_bytes(section); offset += page_bytes) {
        volatile uint8_t *byte = section->base + offset;
        *byte = *byte; /* a store is what makes the kernel copy the page */
    }
}

/* A writer notes which units have patches. */
static rhumb_status note_patched(rhumb__section *section, const rhumb__patch *items, uint32_t count) {
    const uint64_t chunk_count = rhumb__divide_up(published_bytes(section), section->chunk_bytes);
    if (!section->writable || count == 0) return RHUMB_OK;
    section->patched = rhumb__alloc_zeroed(chunk_count, sizeof *section->patched);
    if (section->patched == NULL) {
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for the units of %llu chunks", (unsigned long long)chunk_count);
    }
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t first = items[i].section_offset % section->chunk_bytes / section->unit_bytes;
        const uint64_t unit_count = items[i].bytes / section->unit_bytes;
        for (uint64_t unit = first; unit < first + unit_count; unit++) {
            rhumb__bit_set(section->patched[items[i].chunk].words, unit);
        }
    }
    return RHUMB_OK;
}

/* Of a file that is not in memory, asks for the pages that patches lie in, all at once; the first one stands for all.
 * Otherwise each would be waited for, and the kernel would read megabytes around it. Returns whether it did. */
static bool ask_for_patched(const rhumb__section *section, const rhumb__patch *items, uint32_t count,
                            uint64_t mapped_bytes) {
    const uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    if (count == 0) return false;
    uint64_t asked_end = rhumb__round_down(items[0].section_offset, page_bytes);
    if (rhumb__page_is_resident(section->base + asked_end)) return false;
    (void)madvise(section->base, mapped_bytes, MADV_RANDOM);
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t begin = rhumb__round_down(items[i].section_offset, page_bytes);
        const uint64_t end = rhumb__round_up(items[i].section_offset + items[i].bytes, page_bytes);
        if (i > 0 && end == asked_end) continue; /* in the page of the one before */
        (void)madvise(section->base + begin, end - begin, MADV_WILLNEED);
        asked_end = end;
    }
    return true;
}

/* Copies the patches over the mapped rows. The pages that they lie in become private memory; a reader's are protected
 * again afterwards, all at once, so that the mapping stays in one piece. */
static rhumb_status apply_patches(rhumb__section *section, const rhumb__patch *items, uint32_t count,
                                  uint64_t mapped_bytes) {
    const bool asked = ask_for_patched(section, items, count, mapped_bytes);
    for (uint32_t i = 0; i < count; i++) {
        RHUMB_ASSERT(items[i].section_offset + items[i].bytes <= mapped_bytes);
        memcpy(section->base + items[i].section_offset, items[i].data, items[i].bytes);
    }
    if (asked) (void)madvise(section->base, mapped_bytes, MADV_NORMAL); /* what is best is decided later */
    if (section->writable || count == 0) return RHUMB_OK;
    if (mprotect(section->base, mapped_bytes, PROT_READ) == 0) return RHUMB_OK;
    return rhumb__fail_errno(errno, "", RHUMB_OFFSET_NONE, "protecting section %u after patching it", section->spec.id);
}

/* The bytes that the section in the file is mapped to. */
static uint64_t mapped_bytes_of(const rhumb__section *section) {
    return section->spec.kind == RHUMB__SECTION_MUTABLE
               ? rhumb__divide_up(published_bytes(section), section->chunk_bytes) * section->chunk_bytes
               : rhumb__round_up(published_bytes(section), RHUMB__BLOCK_BYTES);
}

static rhumb_status map_extents(const rhumb__section *section, rhumb__io *io, rhumb__io_map_kind kind) {
    rhumb_status status = RHUMB_OK;
    const uint64_t mapped_bytes = mapped_bytes_of(section);
    for (uint32_t i = 0; i < section->extents.count; i++) {
        const rhumb__extent_item *item = &section->extents.items[i];
        if (item->section_offset >= mapped_bytes) break;
        const uint64_t bytes = rhumb__min_u64(item->bytes, mapped_bytes - item->section_offset);
        RHUMB_TRY(rhumb__io_map(io, section->base + item->section_offset, bytes, item->file_offset, kind));
    }
done:
    return status;
}

rhumb_status rhumb__section_make_private(rhumb__section *section, rhumb__io *io) {
    const uint64_t mapped_bytes = mapped_bytes_of(section);
    RHUMB_ASSERT_DEBUG(!section->writable);
    if (mapped_bytes == 0) return RHUMB_OK;
    if (!section->has_patches) return map_extents(section, io, RHUMB__IO_MAP_PRIVATE);
    if (mprotect(section->base, mapped_bytes, PROT_READ | PROT_WRITE) == 0) return RHUMB_OK;
    return rhumb__fail_errno(errno, "", RHUMB_OFFSET_NONE, "making section %u private", section->spec.id);
}

rhumb_status rhumb__section_map(rhumb__section *section, rhumb__io *io, const rhumb__directory_entry *entry,
                                const rhumb__patches *patches) {
    rhumb_status status;
    const rhumb__patch *first = NULL;
    const uint32_t patch_count = rhumb__patches_find(patches, section->spec.id, &first);
    section->published_row_count = entry->record.row_count;
    section->next_row_count = entry->record.row_count;
    RHUMB_TRY(rhumb__extent_list_append_range(&section->extents, &entry->extents, 0, entry->extents.bytes));
    const uint64_t mapped_bytes = mapped_bytes_of(section);
    RHUMB_ASSERT(mapped_bytes <= section->memory.bytes && mapped_bytes <= section->extents.bytes);
    if (mapped_bytes > 0) RHUMB_TRY(rhumb__section_guard(section, io, mapped_bytes));
    const rhumb__io_map_kind kind =
        section->writable || patch_count > 0 ? RHUMB__IO_MAP_PRIVATE : RHUMB__IO_MAP_SHARED_READ;
    RHUMB_TRY(map_extents(section, io, kind));
    RHUMB_TRY(apply_patches(section, first, patch_count, mapped_bytes));
    RHUMB_TRY(note_patched(section, first, patch_count));
    section->has_patches = patch_count > 0;
    section->settled_bytes = rhumb__round_down(published_bytes(section), RHUMB__BLOCK_BYTES);
    RHUMB_TRY(grow_states(section, mapped_bytes));
    /* The bytes after the published rows are what an interrupted checkpoint has left. New rows read as zeros. */
    if (section->writable) {
        memset(section->base + published_bytes(section), 0, mapped_bytes - published_bytes(section));
        if (section->spec.kind == RHUMB__SECTION_APPEND) detach_tail(section);
    }
    const uint64_t capacity =
        section->writable ? mapped_bytes / section->row_stride_bytes : section->published_row_count;
    atomic_store_explicit(&section->row_capacity, capacity, memory_order_release);
done:
    return status;
}

rhumb_status rhumb__section_grow(rhumb__section *section, uint64_t row_count) {
    rhumb_status status = RHUMB_OK;
    RHUMB_ASSERT(section->writable);
    rhumb__mutex_lock(&section->growth_lock);
    if (row_count <= atomic_load_explicit(&section->row_capacity, memory_order_relaxed)) goto done;
    if (row_count > section->spec.row_limit) {
        status = rhumb__fail(RHUMB_E_FULL, "section %u: %llu rows needed, %llu possible", section->spec.id,
                             (unsigned long long)row_count, (unsigned long long)section->spec.row_limit);
        goto done;
    }
    /* Growing in proportion to the size keeps the number of calls logarithmic; memory is not used before it is
     * touched. */
    const uint64_t unit = section->chunk_bytes;
    const uint64_t old_bytes = section->memory.bytes;
    const uint64_t step_bytes_max = rhumb__address_space_is_limited() ? GROWTH_BYTES_MAX_LIMITED : GROWTH_BYTES_MAX;
    const uint64_t step_bytes = rhumb__min_u64(old_bytes / 2, step_bytes_max);
    const uint64_t needed_bytes = rhumb__divide_up(row_count * section->row_stride_bytes, unit) * unit;
    const uint64_t wanted_bytes = rhumb__max_u64(needed_bytes, (old_bytes + step_bytes) / unit * unit);
    /* The states first: more of them than chunks are no harm. */
    RHUMB_TRY(grow_states(section, wanted_bytes));
    /* There is enough where a scratch file could not be made longer before. */
    if (needed_bytes > old_bytes) {
        RHUMB_TRY(rhumb__address_range_grow(&section->memory, needed_bytes, wanted_bytes));
    }
    if (section->scratch.io != NULL) RHUMB_TRY(rhumb__section_scratch_extend(section));
    /* Advice only: without large pages everything works, slower. */
    const bool is_anonymous = section->scratch.io == NULL;
    if (section->spec.large_pages && is_anonymous && section->memory.bytes >= RHUMB__LARGE_PAGE_BYTES) {
        (void)madvise(section->base + old_bytes, section->memory.bytes - old_bytes, MADV_HUGEPAGE);
    }
    /* Release pairs with the acquire in rhumb__section_ensure. */
    atomic_store_explicit(&section->row_capacity, section->memory.bytes / section->row_stride_bytes,
                          memory_order_release);
done:
    rhumb__mutex_unlock(&section->growth_lock);
    return status;
}
