/* row_reads.c - see row_reads.h.
 *
 * Owns store->row_reads: the direct readers that no thread uses at the moment. A thread takes one by exchanging its
 * place with NULL, so it has it for itself.
 *
 * Locking: none; the places are atomic. How it fails: where a direct reader cannot be made, none is made any
 * more; one that has failed fails again. Rows are then read through the mapping.
 */
#include "storage/row_reads.h"

#include <unistd.h>

#include "base/assert.h"
#include "storage/residency.h"

/* Of a section of which the page cache has so much, rows are read through the mapping. */
#define CACHED_SHARE_MIN 0.5

void rhumb__row_reads_open(rhumb__store *store, const rhumb__section *section, uint32_t row_bytes) {
    rhumb__row_reads *reads = &store->row_reads;
    if (reads->is_open || store->writable || !rhumb__store_exceeds_memory(store)) return;
    if (rhumb__residency_share(store, section) >= CACHED_SHARE_MIN) return;
    rhumb__fork_hold();
    reads->descriptor = rhumb__io_direct_descriptor(store->io);
    reads->is_open = reads->descriptor >= 0;
    if (reads->is_open) rhumb__fork_descriptor_add(&reads->fork_entry, &reads->descriptor);
    rhumb__fork_release();
    reads->row_bytes = row_bytes;
    atomic_store_explicit(&reads->is_usable, reads->is_open, memory_order_relaxed);
}

rhumb__io_direct *rhumb__row_reads_take(rhumb__store *store) {
    rhumb__row_reads *reads = &store->row_reads;
    if (!atomic_load_explicit(&reads->is_usable, memory_order_relaxed)) return NULL;
    for (uint32_t i = 0; i < RHUMB__ROW_READS_KEPT; i++) {
        /* Acquire pairs with the release in rhumb__row_reads_give: what its last user did is done. */
        if (atomic_load_explicit(&reads->free[i], memory_order_relaxed) == NULL) continue;
        rhumb__io_direct *direct = atomic_exchange_explicit(&reads->free[i], NULL, memory_order_acquire);
        if (direct != NULL) return direct;
    }
    rhumb__io_direct *direct = rhumb__io_direct_open(reads->descriptor, reads->row_bytes);
    if (direct == NULL) atomic_store_explicit(&reads->is_usable, false, memory_order_relaxed);
    return direct;
}

void rhumb__row_reads_give(rhumb__store *store, rhumb__io_direct *direct) {
    rhumb__row_reads *reads = &store->row_reads;
    for (uint32_t i = 0; i < RHUMB__ROW_READS_KEPT && direct != NULL; i++) {
        rhumb__io_direct *expected = NULL;
        if (atomic_compare_exchange_strong_explicit(&reads->free[i], &expected, direct, memory_order_release,
                                                    memory_order_relaxed)) {
            return;
        }
    }
    rhumb__io_direct_close(direct);
}

bool rhumb__row_reads_read(rhumb__io_direct *direct, const rhumb__section *section, const uint32_t *numbers,
                           uint32_t count, const void **rows) {
    uint64_t offsets[RHUMB__IO_DIRECT_COUNT_MAX];
    RHUMB_ASSERT_DEBUG(count <= RHUMB__IO_DIRECT_COUNT_MAX);
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t begin = numbers[i] * section->row_stride_bytes;
        RHUMB_ASSERT_DEBUG(numbers[i] < section->published_row_count);
        const rhumb__extent run = rhumb__extent_list_run(&section->extents, begin, section->row_stride_bytes);
        if (run.bytes < section->row_stride_bytes) return false; /* it lies in two pieces */
        offsets[i] = run.file_offset;
    }
    return rhumb__io_direct_read(direct, offsets, count, rows);
}

void rhumb__row_reads_close(rhumb__store *store) {
    rhumb__row_reads *reads = &store->row_reads;
    for (uint32_t i = 0; i < RHUMB__ROW_READS_KEPT; i++) {
        rhumb__io_direct_close(atomic_exchange(&reads->free[i], NULL));
    }
    if (!reads->is_open) return;
    rhumb__fork_hold();
    rhumb__fork_descriptor_remove(&reads->fork_entry);
    if (reads->descriptor >= 0) close(reads->descriptor);
    rhumb__fork_release();
    reads->is_open = false;
}
