/* section.h - one array of rows of the file, contiguous in memory: row i begins at base + i * row_stride_bytes.
 *
 * Its memory never moves (address_space.h). In a reader, it is the published rows, mapped shared and read-only, or
 * private and read-only if the version has patches for them. In a writer, they are mapped private (changes stay in this
 * process's memory until a checkpoint writes them through the io backend), and anonymous memory follows as the section
 * grows.
 *
 * Mutable sections have a lock per chunk and a dirty mark per unit. No row crosses a chunk boundary. Every store to a
 * row of a mutable section happens under the chunk's lock, after rhumb__section_mark_dirty; loads need no lock when the
 * rows are made of atomics. Rows of append-only sections are written before their number is published anywhere, and
 * never again, except by renewals (renewal.h).
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
#include "base/bits.h"
#include "base/lock.h"
#include "storage/address_space.h"
#include "storage/frame/directory.h"
#include "storage/frame/extent_list.h"
#include "storage/frame/patches.h"
#include "storage/io/io.h"
#include "storage/page_map.h"

/* A section of so many bytes or more grows, and is renewed, by whole large pages; that would be too much for others. */
#define RHUMB__WHOLE_PIECES_BYTES_MIN (UINT64_C(64) << 20)

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
    bool maps_pages;           /* searches want to know which pages are in memory, see page_map.h */
    uint32_t residency_rank;   /* where memory cannot hold all sections, those of a lower rank are kept first */
    /* Of its chunk locks; RHUMB__RANK_NONE is RHUMB__RANK_CHUNK. */
    rhumb__lock_rank chunk_rank;
} rhumb__section_spec;

/* A set of a chunk's units. */
typedef struct rhumb__unit_set {
    uint64_t words[RHUMB__PATCH_UNIT_COUNT / 64];
} rhumb__unit_set;

typedef struct rhumb__chunk_state {
    rhumb__mutex lock;
    rhumb__unit_set dirty; /* units changed since they were last copied into a checkpoint; guarded by `lock` */
} rhumb__chunk_state;

/* See section_scratch.h. */
typedef struct rhumb__section_scratch {
    rhumb__io *io; /* NULL: there is none */
    int descriptor;
    uint64_t bytes; /* of the section that are in it, from the first on */
} rhumb__section_scratch;

typedef struct rhumb__section {
    uint8_t *base;
    uint64_t row_stride_bytes;
    _Atomic uint64_t row_capacity; /* rows that may be touched; only grows. Stored with release, loaded with acquire. */
    rhumb__section_spec spec;
    uint32_t chunk_bytes;
    uint32_t chunk_row_count; /* rows per chunk; for mutable sections only */
    /* Of mutable sections. A unit, 512th of a chunk, is a whole number of rows, or a row is a whole number of units. */
    uint32_t unit_bytes;
    int8_t unit_shift; /* log2 of the rows in a unit; negative: of the units in a row */
    bool writable;
    _Atomic bool held;           /* kept in memory where memory cannot hold all, see residency.h */
    _Atomic uint64_t kept_span;  /* the part of a held section that is used next */
    rhumb__page_map *page_map;   /* of the section as it was attached, if memory cannot hold all; NULL: there is none */
    rhumb__address_range memory; /* begins at base; guarded by growth_lock */
    rhumb__mutex growth_lock;
    rhumb__section_scratch scratch;     /* guarded by growth_lock */
    rhumb__chunk_state *chunks;         /* mutable sections of a writer; grows with the section */
    rhumb__address_range chunks_memory; /* begins at chunks; guarded by growth_lock */

    /* The section in the newest version of the file. Guarded by the store's publishing lock. */
    uint64_t published_row_count;
    uint64_t next_row_count; /* of the next version; set before a publication, by the thread that publishes */
    rhumb__extent_list extents;
    uint32_t *checksums; /* one per published chunk; a reader has none */
    uint64_t checksum_count;
    rhumb__bus_range *guard; /* of what is mapped from the file; NULL: nothing */
    uint64_t settled_bytes;  /* append-only: this prefix is mapped from the file; private pages in it are renewed */
    uint64_t *renewed;       /* of a writer's append-only section: see renewal.h, which owns the three */
    uint64_t renewed_word_count;
    uint64_t renewed_bytes;   /* of chunks whose bit is set */
    bool has_patches;         /* when it was mapped, which was private then */
    rhumb__unit_set *patched; /* of a writer's mutable section, one per published chunk: units that have a patch */
} rhumb__section;

/* Prepares an empty section: takes addresses, and occupies as many of them as `row_count_min` rows need, for these to
 * be mapped there. RHUMB_E_NOMEM. */
rhumb_status rhumb__section_init(rhumb__section *section, const rhumb__section_spec *spec, bool writable,
                                 uint64_t row_count_min) RHUMB_NODISCARD;

/* Maps the rows that `entry` describes, with the version's patches, and copies its extents. RHUMB_E_NOMEM,
 * RHUMB_E_IO. */
rhumb_status rhumb__section_map(rhumb__section *section, rhumb__io *io, const rhumb__directory_entry *entry,
                                const rhumb__patches *patches) RHUMB_NODISCARD;

/* Lets the mapped rows of a reader's section be changed, in the memory of this process alone. RHUMB_E_NOMEM,
 * RHUMB_E_IO: some of the rows may be so. */
rhumb_status rhumb__section_make_private(rhumb__section *section, rhumb__io *io) RHUMB_NODISCARD;

/* Guards the first `bytes` of the section, which are being mapped from the file, against pages that cannot be read;
 * more may have been guarded before. RHUMB_E_NOMEM. */
rhumb_status rhumb__section_guard(rhumb__section *section, rhumb__io *io, uint64_t bytes) RHUMB_NODISCARD;

/* Of a section that outlives the file handle it was mapped by: the guard of its mapping is another handle's. Without
 * memory there is no guard. */
void rhumb__section_guard_by(rhumb__section *section, rhumb__io *io);

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

/* The published bytes that are mapped; 0 for a section of which a reader needs the length alone. Under the store's
 * publishing lock in a store that others know. */
static inline uint64_t rhumb__section_mapped_bytes(const rhumb__section *section) {
    return section->spec.unmapped ? 0 : section->published_row_count * section->row_stride_bytes;
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
    const uint64_t place = row % section->chunk_row_count;
    if (section->unit_shift >= 0) {
        rhumb__bit_set(chunk->dirty.words, place >> section->unit_shift);
        return;
    }
    const uint64_t end = (place + 1) << -section->unit_shift;
    for (uint64_t unit = place << -section->unit_shift; unit < end; unit++) rhumb__bit_set(chunk->dirty.words, unit);
}

static inline bool rhumb__unit_set_is_empty(const rhumb__unit_set *set) {
    uint64_t any = 0;
    for (uint32_t i = 0; i < RHUMB__PATCH_UNIT_COUNT / 64; i++) any |= set->words[i];
    return any == 0;
}

/* The chunk size of a section: the block for append-only sections; for mutable ones the smallest multiple of the block
 * that whole rows fill. */
uint32_t rhumb__section_chunk_bytes(rhumb__section_kind kind, uint64_t row_stride_bytes);

#endif /* RHUMB_STORAGE_SECTION_H */
