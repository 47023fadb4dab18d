/* section.h - one array of rows of the file, contiguous in memory: row i begins at base + i * row_stride_bytes.
 *
 * Its memory never moves (address_space.h). In a reader, it is the published rows, mapped shared and read-only. In a
 * writer, they are mapped private (changes stay in this process's memory until a checkpoint writes them through the io
 * backend), and anonymous memory follows as the section grows.
 *
 * Mutable sections have a lock and a dirty mark per chunk. No row crosses a chunk boundary. Every store to a row of a
 * mutable section happens under the chunk's lock, after rhumb__section_mark_dirty; loads need no lock when the rows are
 * made of atomics. Rows of append-only sections are written before their number is published anywhere, and never again.
 *
 * Locking order: at most one chunk lock of a section at a time, except where a caller documents ascending order; the
 * growth lock is taken inside none.
 */
#ifndef RHUMB_STORAGE_SECTION_H
#define RHUMB_STORAGE_SECTION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/lock.h"
#include "storage/address_space.h"
#include "storage/frame/directory.h"
#include "storage/frame/extent_list.h"
#include "storage/io/io.h"

/* The section that a client of the store expects. */
typedef struct rhumb__section_spec {
    uint32_t id;
    rhumb__section_kind kind;
    uint32_t codec;
    uint32_t version;
    bool required;             /* a reader that does not know the section must refuse the file */
    bool large_pages;          /* ask for large pages where the section is anonymous memory */
    bool unmapped;             /* in a reader: do not map the rows; only the section's length is needed */
    uint64_t row_stride_bytes; /* a multiple of 64 for mutable sections */
    uint64_t row_limit;        /* every row number is below it: bounds the section */
    bool copied_first;         /* a publication copies the section before others, see rhumb__sections_copied */
    /* Of its chunk locks; RHUMB__RANK_NONE is RHUMB__RANK_CHUNK. */
    rhumb__lock_rank chunk_rank;
} rhumb__section_spec;

typedef struct rhumb__chunk_state {
    rhumb__mutex lock;
    bool dirty; /* changed since its last copy into a checkpoint; guarded by `lock` */
} rhumb__chunk_state;

typedef struct rhumb__section {
    uint8_t *base;
    uint64_t row_stride_bytes;
    _Atomic uint64_t row_capacity; /* rows that may be touched; only grows. Stored with release, loaded with acquire. */
    rhumb__section_spec spec;
    uint32_t chunk_bytes;
    uint32_t chunk_row_count; /* rows per chunk; for mutable sections only */
    bool writable;
    rhumb__address_range memory; /* begins at base; guarded by growth_lock */
    rhumb__mutex growth_lock;
    rhumb__chunk_state *chunks;         /* mutable sections of a writer; grows with the section */
    rhumb__address_range chunks_memory; /* begins at chunks; guarded by growth_lock */

    /* The section in the newest version of the file. Guarded by the store's publishing lock. */
    uint64_t published_row_count;
    uint64_t next_row_count; /* of the next version; set before a publication, by the thread that publishes */
    rhumb__extent_list extents;
    uint32_t *checksums; /* one per published chunk; a reader has none */
    uint64_t checksum_count;
    rhumb__bus_range *guard; /* of what is mapped from the file; NULL: nothing */
    uint64_t settled_bytes;  /* append-only: this prefix is mapped from the file and has no private pages */
} rhumb__section;

/* Prepares an empty section: takes addresses, and occupies as many of them as `row_count_min` rows need, for these to be
 * mapped there. RHUMB_E_NOMEM. */
rhumb_status rhumb__section_init(rhumb__section *section, const rhumb__section_spec *spec, bool writable,
                                 uint64_t row_count_min) RHUMB_NODISCARD;

/* Maps the rows that `entry` describes and copies its extents. RHUMB_E_NOMEM, RHUMB_E_IO. */
rhumb_status rhumb__section_map(rhumb__section *section, rhumb__io *io,
                                const rhumb__directory_entry *entry) RHUMB_NODISCARD;

/* Guards the first `bytes` of the section, which are being mapped from the file, against pages that cannot be read; more
 * may have been guarded before. RHUMB_E_NOMEM. */
rhumb_status rhumb__section_guard(rhumb__section *section, rhumb__io *io, uint64_t bytes) RHUMB_NODISCARD;

/* Unmaps and releases everything. */
void rhumb__section_destroy(rhumb__section *section);

/* Slow path of rhumb__section_ensure: makes the first `row_count` rows usable. RHUMB_E_FULL, RHUMB_E_NOMEM. */
rhumb_status rhumb__section_grow(rhumb__section *section, uint64_t row_count) RHUMB_NODISCARD;

/* Makes the first `row_count` rows usable; new rows read as zeros. Thread-safe. RHUMB_E_FULL, RHUMB_E_NOMEM. */
static inline rhumb_status rhumb__section_ensure(rhumb__section *section, uint64_t row_count) {
    /* Acquire pairs with the release in rhumb__section_grow: a thread that sees the capacity sees the mapping. */
    if (row_count <= atomic_load_explicit(&section->row_capacity, memory_order_acquire)) return RHUMB_OK;
    return rhumb__section_grow(section, row_count);
}

static inline void *rhumb__section_row(const rhumb__section *section, uint64_t row) {
    RHUMB_ASSERT_DEBUG(row < atomic_load_explicit(&section->row_capacity, memory_order_relaxed));
    return section->base + row * section->row_stride_bytes;
}

static inline rhumb__chunk_state *rhumb__section_chunk(const rhumb__section *section, uint64_t row) {
    RHUMB_ASSERT_DEBUG(section->writable && section->spec.kind == RHUMB__SECTION_MUTABLE);
    RHUMB_ASSERT_DEBUG(row < atomic_load_explicit(&section->row_capacity, memory_order_relaxed));
    return &section->chunks[row / section->chunk_row_count];
}

/* Locks a chunk of the section; rhumb__mutex_unlock unlocks it. */
static inline void rhumb__section_lock_chunk(const rhumb__section *section, rhumb__chunk_state *chunk) {
    rhumb__mutex_lock_as(&chunk->lock, section->spec.chunk_rank);
}

/* Locks the chunk that holds `row`. */
static inline void rhumb__section_lock(const rhumb__section *section, uint64_t row) {
    rhumb__section_lock_chunk(section, rhumb__section_chunk(section, row));
}

static inline void rhumb__section_unlock(const rhumb__section *section, uint64_t row) {
    rhumb__mutex_unlock(&rhumb__section_chunk(section, row)->lock);
}

/* To be called with the lock of the row's chunk held, before the first store. */
static inline void rhumb__section_mark_dirty(const rhumb__section *section, uint64_t row) {
    rhumb__chunk_state *chunk = rhumb__section_chunk(section, row);
    rhumb__mutex_assert_held(&chunk->lock);
    chunk->dirty = true;
}

/* The chunk size of a section: the block for append-only sections; for mutable ones the smallest multiple of the block
 * that whole rows fill. */
uint32_t rhumb__section_chunk_bytes(rhumb__section_kind kind, uint64_t row_stride_bytes);

#endif /* RHUMB_STORAGE_SECTION_H */
