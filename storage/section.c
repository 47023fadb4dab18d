/* section.c - see section.h. Reserves, maps and grows the memory of a section.
 *
 * Invariants:
 *   1. base never changes between init and destroy, so no address that a search holds can move.
 *   2. [base, base + accessible_bytes) is readable (and writable in a writer); the rest of the reservation is
 *      PROT_NONE, so a stray access faults instead of reading other memory.
 *   3. row_capacity * row_stride_bytes <= accessible_bytes.
 *   4. No mapping is both shared and writable: the kernel can never write a half-done change back to the file.
 *
 * Locking: growing takes the section's growth lock; mapping and destroying are for a thread that has the section to
 * itself. A failure leaves the section as it was. Fork: the memory is inherited copy-on-write; a child must not use the
 * handle.
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

/* The most address space that one section reserves. ThreadSanitizer leaves a program far less of it than the processor
 * does. */
#if defined(__SANITIZE_THREAD__)
#define RESERVATION_BYTES_MAX (UINT64_C(64) << 30)
#else
#define RESERVATION_BYTES_MAX (UINT64_C(8) << 40)
#endif

#define GROWTH_BYTES_MAX (UINT64_C(256) << 20)

static_assert(sizeof(rhumb__chunk_state) <= 64, "one chunk's state should share no more than a cache line");

uint32_t rhumb__section_chunk_bytes(rhumb__section_kind kind, uint64_t row_stride_bytes) {
    if (kind == RHUMB__SECTION_APPEND) return RHUMB__BLOCK_BYTES;
    const uint64_t two_power = row_stride_bytes & (~row_stride_bytes + 1);
    const uint64_t odd_part = row_stride_bytes / two_power;
    return (uint32_t)(odd_part * rhumb__max_u64(two_power, RHUMB__BLOCK_BYTES));
}

/* Reserves `bytes_max` or, by halving, as much as the system grants; at least `bytes_min`. */
static rhumb_status reserve_addresses(uint64_t bytes_max, uint64_t bytes_min, uint8_t **base_out, uint64_t *bytes_out) {
    uint64_t bytes = bytes_max;
    for (;;) {
        void *base = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (base != MAP_FAILED) {
            *base_out = base;
            *bytes_out = bytes;
            return RHUMB_OK;
        }
        if (bytes <= bytes_min) break;
        bytes = rhumb__max_u64(rhumb__round_up(bytes / 2, RHUMB__BLOCK_BYTES), bytes_min);
    }
    const int error = errno;
    return rhumb__fail_errno(error == ENOMEM ? ENOMEM : error, "", RHUMB_OFFSET_NONE,
                             "reserving %llu bytes of address space", (unsigned long long)bytes_min);
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
    if (section->spec.chunk_rank == RHUMB__RANK_NONE) section->spec.chunk_rank = RHUMB__RANK_CHUNK;
    if (rhumb__mutex_init(&section->growth_lock, RHUMB__RANK_GROWTH) != 0) {
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for a lock");
    }

    const uint64_t unit = section->chunk_bytes;
    const uint64_t wanted_bytes = RESERVATION_BYTES_MAX / spec->row_stride_bytes < spec->row_limit
                                      ? RESERVATION_BYTES_MAX
                                      : spec->row_limit * spec->row_stride_bytes;
    const uint64_t bytes_min = (rhumb__divide_up(row_count_min * spec->row_stride_bytes, unit) + 1) * unit;
    uint64_t bytes_max = bytes_min;
    if (writable) bytes_max = rhumb__max_u64(bytes_min, rhumb__divide_up(wanted_bytes, unit) * unit);
    /* A large page more than needed, so that the base can lie on a multiple of one. */
    const uint64_t slack = RHUMB__LARGE_PAGE_BYTES;
    rhumb_status status =
        reserve_addresses(bytes_max + slack, bytes_min + slack, &section->reservation, &section->reservation_bytes);
    if (status == RHUMB_OK) {
        const uintptr_t address = (uintptr_t)section->reservation;
        section->base = section->reservation + (rhumb__round_up(address, slack) - address);
        section->reserved_bytes = (section->reservation_bytes - slack) / unit * unit;
    }
    if (status != RHUMB_OK || !writable || spec->kind != RHUMB__SECTION_MUTABLE) goto done;

    /* Chunk states come from zeroed pages; that is how glibc and musl define an unlocked mutex. */
    static_assert(RHUMB__RANK_NONE == 0, "a rank of zeros is no rank");
    static const pthread_mutex_t unlocked = PTHREAD_MUTEX_INITIALIZER;
    static const uint8_t zeros[sizeof unlocked];
    RHUMB_ASSERT(memcmp((const uint8_t *)&unlocked, zeros, sizeof zeros) == 0);
    uint8_t *states = NULL;
    const uint64_t state_count = section->reserved_bytes / section->chunk_bytes + 1;
    const uint64_t states_bytes = rhumb__round_up(state_count * sizeof(rhumb__chunk_state), RHUMB__BLOCK_BYTES);
    status = reserve_addresses(states_bytes, states_bytes, &states, &section->chunks_reserved_bytes);
    section->chunks = (rhumb__chunk_state *)states;
done:
    if (status != RHUMB_OK) rhumb__section_destroy(section);
    return status;
}

void rhumb__section_destroy(rhumb__section *section) {
    if (section->reservation != NULL) munmap(section->reservation, section->reservation_bytes);
    if (section->chunks != NULL) munmap(section->chunks, section->chunks_reserved_bytes);
    if (section->row_stride_bytes != 0) rhumb__mutex_destroy(&section->growth_lock);
    rhumb__extent_list_clear(&section->extents);
    rhumb__free(section->checksums);
    memset(section, 0, sizeof *section);
}

/* Makes the chunk states that belong to the first `accessible_bytes` of the section usable. */
static rhumb_status grow_states(rhumb__section *section, uint64_t accessible_bytes) {
    if (section->chunks == NULL) return RHUMB_OK;
    const uint64_t state_count = rhumb__divide_up(accessible_bytes, section->chunk_bytes);
    const uint64_t bytes = rhumb__round_up(state_count * sizeof(rhumb__chunk_state), RHUMB__BLOCK_BYTES);
    if (mprotect(section->chunks, bytes, PROT_READ | PROT_WRITE) != 0) {
        return rhumb__fail_errno(errno, "", RHUMB_OFFSET_NONE, "making room for %llu locks",
                                 (unsigned long long)state_count);
    }
    return RHUMB_OK;
}

static uint64_t published_bytes(const rhumb__section *section) {
    return section->published_row_count * section->row_stride_bytes;
}

bool rhumb__section_exceeds_memory(const rhumb__section *section) {
    const long page_count = sysconf(_SC_PHYS_PAGES);
    const long page_bytes = sysconf(_SC_PAGESIZE);
    if (page_count <= 0 || page_bytes <= 0) return false;
    return published_bytes(section) > (uint64_t)page_count / 2 * (uint64_t)page_bytes;
}

/* Advises the kernel how the section is read. Of one that memory cannot hold, single rows are read from all over the
 * disk, and read-ahead would fetch megabytes for each of them. One that fits is soon read completely anyway; large
 * pages mean fewer faults, and fewer entries of the page table afterwards. Advice only. */
static void advise_access(const rhumb__section *section, uint64_t mapped_bytes) {
    if (mapped_bytes == 0) return;
    const bool fits = !rhumb__section_exceeds_memory(section);
    if (fits && mapped_bytes < RHUMB__LARGE_PAGE_BYTES) return;
    (void)madvise(section->base, mapped_bytes, fits ? MADV_HUGEPAGE : MADV_RANDOM);
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

rhumb_status rhumb__section_map(rhumb__section *section, rhumb__io *io, const rhumb__directory_entry *entry) {
    rhumb_status status;
    section->published_row_count = entry->record.row_count;
    section->next_row_count = entry->record.row_count;
    RHUMB_TRY(rhumb__extent_list_append_range(&section->extents, &entry->extents, 0, entry->extents.bytes));
    const uint64_t mapped_bytes =
        section->spec.kind == RHUMB__SECTION_MUTABLE
            ? rhumb__divide_up(published_bytes(section), section->chunk_bytes) * section->chunk_bytes
            : rhumb__round_up(published_bytes(section), RHUMB__BLOCK_BYTES);
    RHUMB_ASSERT(mapped_bytes <= section->reserved_bytes && mapped_bytes <= section->extents.bytes);
    const rhumb__io_map_kind kind = section->writable ? RHUMB__IO_MAP_PRIVATE : RHUMB__IO_MAP_SHARED_READ;
    for (uint32_t i = 0; i < section->extents.count; i++) {
        const rhumb__extent_item *item = &section->extents.items[i];
        if (item->section_offset >= mapped_bytes) break;
        const uint64_t bytes = rhumb__min_u64(item->bytes, mapped_bytes - item->section_offset);
        RHUMB_TRY(rhumb__io_map(io, section->base + item->section_offset, bytes, item->file_offset, kind));
    }
    advise_access(section, mapped_bytes);
    section->settled_bytes = rhumb__round_down(published_bytes(section), RHUMB__BLOCK_BYTES);
    section->accessible_bytes = mapped_bytes;
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
    if (row_count > section->spec.row_limit || row_count > section->reserved_bytes / section->row_stride_bytes) {
        status = rhumb__fail(RHUMB_E_FULL,
                             "section %u: %llu rows needed, %llu possible; %llu bytes of address space are reserved",
                             section->spec.id, (unsigned long long)row_count,
                             (unsigned long long)section->spec.row_limit, (unsigned long long)section->reserved_bytes);
        goto done;
    }
    /* Growing in proportion to the size keeps the number of calls logarithmic; memory is not used before it is
     * touched. */
    const uint64_t unit = section->chunk_bytes;
    const uint64_t needed_bytes = row_count * section->row_stride_bytes;
    const uint64_t step_bytes = rhumb__min_u64(section->accessible_bytes / 2, GROWTH_BYTES_MAX);
    uint64_t bytes = rhumb__max_u64(needed_bytes, section->accessible_bytes + step_bytes);
    bytes = rhumb__min_u64(rhumb__divide_up(bytes, unit) * unit, section->reserved_bytes);
    uint8_t *begin = section->base + section->accessible_bytes;
    const uint64_t added_bytes = bytes - section->accessible_bytes;
    if (mprotect(begin, added_bytes, PROT_READ | PROT_WRITE) != 0) {
        status = rhumb__fail_errno(errno, "", RHUMB_OFFSET_NONE, "growing section %u to %llu bytes", section->spec.id,
                                   (unsigned long long)bytes);
        goto done;
    }
    /* Advice only: without large pages everything works, slower. */
    if (section->spec.large_pages && bytes >= RHUMB__LARGE_PAGE_BYTES) (void)madvise(begin, added_bytes, MADV_HUGEPAGE);
    RHUMB_TRY(grow_states(section, bytes));
    RHUMB_ASSERT_DEBUG(bytes >= section->accessible_bytes && bytes <= section->reserved_bytes);
    section->accessible_bytes = bytes;
    /* Release pairs with the acquire in rhumb__section_ensure. */
    atomic_store_explicit(&section->row_capacity, bytes / section->row_stride_bytes, memory_order_release);
done:
    rhumb__mutex_unlock(&section->growth_lock);
    return status;
}
