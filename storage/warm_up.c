/* warm_up.c - see warm_up.h.
 *
 * The thread works on a list of ranges of the file that it got when it was started, and on the store's file handle,
 * which it only reads from. A checkpoint that a writer makes in the meantime may free some of them: reading these is
 * wasted, and harmless. Pieces that begin and end at multiples of a large page are read as one; what a search has read
 * of them before stays as it is.
 *
 * Owns the thread and the list; the store owns the warm-up. Locking: none; the numbers are atomic, and the semaphore
 * says when to begin. How it fails: what cannot be read ends it, and searches read what they need.
 */
#define _GNU_SOURCE
#include "storage/warm_up.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "base/memory_limit.h"
#include "base/status.h"
#include "base/thread.h"
#include "storage/hot_pages.h"
#include "storage/residency.h"

#define BUFFER_BYTES (UINT64_C(256) << 10)

typedef struct rhumb__warm_up {
    rhumb__store *store;
    rhumb__extent *ranges; /* in the order in which they are read */
    uint32_t range_count;
    struct {
        uint32_t section_id;
        uint32_t range_end;           /* its last range is before this one */
    } held[RHUMB__SECTION_COUNT_MAX]; /* of a store that memory cannot hold: what is held once it has been read */
    uint32_t held_count;
    rhumb__hot_pages *hot_pages; /* of such a store: what else is read; NULL: nothing */
    uint8_t *buffer;             /* of BUFFER_BYTES */
    uint64_t total_bytes;
    _Atomic uint64_t done_bytes;
    _Atomic bool is_stopping;
    sem_t begin;
    pthread_t thread;
} rhumb__warm_up;

static int by_size(const void *a, const void *b) {
    const uint64_t x = rhumb__section_mapped_bytes(*(rhumb__section *const *)a);
    const uint64_t y = rhumb__section_mapped_bytes(*(rhumb__section *const *)b);
    return (x > y) - (x < y);
}

static void add_section(rhumb__warm_up *warm_up, const rhumb__section *section) {
    const uint64_t bytes = rhumb__section_mapped_bytes(section);
    for (uint32_t i = 0; i < section->extents.count; i++) {
        const rhumb__extent_item *item = &section->extents.items[i];
        if (item->section_offset >= bytes) break;
        const uint64_t left_bytes = rhumb__min_u64(item->bytes, bytes - item->section_offset);
        warm_up->ranges[warm_up->range_count++] = (rhumb__extent){item->file_offset, left_bytes};
        warm_up->total_bytes += left_bytes;
    }
}

/* Adds what the list of hot pages has of a section, as long as no more than `bytes_max` is read in all. With no room
 * for ranges it counts them. Returns how many. */
static uint32_t add_hot_pages(rhumb__warm_up *warm_up, const rhumb__section *section, uint64_t bytes_max) {
    rhumb__hot_run run;
    uint32_t count = 0;
    for (uint64_t from = 0; rhumb__hot_pages_next(warm_up->hot_pages, section, from, &run);
         from = run.section_offset + run.bytes) {
        for (uint64_t done = 0; done < run.bytes;) {
            const rhumb__extent part =
                rhumb__extent_list_run(&section->extents, run.section_offset + done, run.bytes - done);
            done += part.bytes;
            count++;
            if (warm_up->ranges == NULL) continue;
            if (warm_up->total_bytes + part.bytes > bytes_max) return count;
            warm_up->ranges[warm_up->range_count++] = part;
            warm_up->total_bytes += part.bytes;
        }
    }
    return count;
}

/* The ranges that a section may add. */
static uint32_t range_count_max(rhumb__warm_up *warm_up, const rhumb__section *section) {
    uint32_t count = section->extents.count;
    if (warm_up->hot_pages != NULL) count += add_hot_pages(warm_up, section, 0);
    return count;
}

/* Adds what is to be held of a store that memory cannot hold, and then the hot pages of the rest. */
static void list_parts(rhumb__warm_up *warm_up, rhumb__section **sections) {
    const rhumb__store *store = warm_up->store;
    for (uint32_t i = 0; i < store->section_count; i++) {
        if (!rhumb__residency_is_to_hold(store, sections[i])) continue;
        add_section(warm_up, sections[i]);
        warm_up->held[warm_up->held_count].section_id = sections[i]->spec.id;
        warm_up->held[warm_up->held_count++].range_end = warm_up->range_count;
    }
    for (uint32_t i = 0; i < store->section_count && warm_up->hot_pages != NULL; i++) {
        if (rhumb__residency_is_to_hold(store, sections[i])) continue;
        (void)add_hot_pages(warm_up, sections[i], rhumb__memory_limit_bytes() / 2);
    }
}

static bool list_ranges(rhumb__warm_up *warm_up) {
    rhumb__section *sections[RHUMB__SECTION_COUNT_MAX];
    const rhumb__store *store = warm_up->store;
    uint32_t count = 0;
    for (uint32_t i = 0; i < store->section_count; i++) {
        sections[i] = store->sections[i];
        count += range_count_max(warm_up, sections[i]);
    }
    warm_up->ranges = rhumb__alloc_zeroed(rhumb__max_u64(count, 1), sizeof *warm_up->ranges);
    if (warm_up->ranges == NULL) return false;
    qsort(sections, store->section_count, sizeof(rhumb__section *), by_size);
    if (rhumb__store_exceeds_memory(store)) {
        list_parts(warm_up, sections);
    } else {
        for (uint32_t i = 0; i < store->section_count; i++) add_section(warm_up, sections[i]);
    }
    return true;
}

/* ---- the thread ---- */

/* A large page is read as one if it is not in the page cache at all. */
static bool read_piece(rhumb__warm_up *warm_up, uint64_t offset, uint64_t bytes) {
    rhumb__io *io = warm_up->store->io;
    const bool is_large = bytes == RHUMB__LARGE_PAGE_BYTES;
    if (is_large) rhumb__io_gather(io, offset, bytes);
    for (uint64_t at = 0; !is_large && at < bytes; at += BUFFER_BYTES) {
        const uint64_t left_bytes = rhumb__min_u64(bytes - at, BUFFER_BYTES);
        if (rhumb__io_read(io, warm_up->buffer, left_bytes, offset + at) != RHUMB_OK) return false;
    }
    atomic_fetch_add_explicit(&warm_up->done_bytes, bytes, memory_order_relaxed);
    return true;
}

static bool read_range(rhumb__warm_up *warm_up, const rhumb__extent *range) {
    const uint64_t end = range->file_offset + range->bytes;
    for (uint64_t offset = range->file_offset; offset < end;) {
        /* To the next multiple of a large page, or to the end. */
        const uint64_t next = rhumb__round_down(offset, RHUMB__LARGE_PAGE_BYTES) + RHUMB__LARGE_PAGE_BYTES;
        const uint64_t bytes = rhumb__min_u64(next, end) - offset;
        if (atomic_load(&warm_up->is_stopping) || !read_piece(warm_up, offset, bytes)) return false;
        offset += bytes;
    }
    return true;
}

static void *warm_up_main(void *argument) {
    rhumb__warm_up *warm_up = argument;
    rhumb__store *store = warm_up->store;
    while (sem_wait(&warm_up->begin) != 0) continue;
    uint32_t held_count = 0;
    for (uint32_t i = 0; i <= warm_up->range_count; i++) {
        while (held_count < warm_up->held_count && warm_up->held[held_count].range_end <= i) {
            rhumb__residency_hold(store, warm_up->held[held_count++].section_id);
        }
        if (i < warm_up->range_count && !read_range(warm_up, &warm_up->ranges[i])) return NULL;
    }
    if (!rhumb__store_exceeds_memory(store)) rhumb__residency_warmed(store);
    return NULL;
}

/* ---- its life ---- */

static void release(rhumb__warm_up *warm_up) {
    sem_destroy(&warm_up->begin);
    rhumb__hot_pages_free(warm_up->hot_pages);
    rhumb__free(warm_up->ranges);
    rhumb__free(warm_up->buffer);
    rhumb__free(warm_up);
}

void rhumb__warm_up_start(rhumb__store *store, bool at_once) {
    if (!rhumb__store_reads_ahead(store)) return;
    rhumb__warm_up *warm_up = rhumb__alloc_zeroed(1, sizeof *warm_up);
    if (warm_up == NULL) return;
    warm_up->store = store;
    sem_init(&warm_up->begin, 0, at_once ? 1 : 0);
    warm_up->buffer = rhumb__alloc_zeroed(BUFFER_BYTES, 1);
    const bool exceeds = rhumb__store_exceeds_memory(store);
    if (exceeds) warm_up->hot_pages = rhumb__hot_pages_read(store);
    if (warm_up->buffer == NULL || !list_ranges(warm_up) || warm_up->range_count == 0 ||
        rhumb__thread_start(&warm_up->thread, warm_up_main, warm_up) != 0) {
        release(warm_up);
        return;
    }
    store->warm_up = warm_up;
}

void rhumb__warm_up_allow(rhumb__store *store) {
    if (store->warm_up != NULL) (void)sem_post(&store->warm_up->begin);
}

void rhumb__warm_up_stop(rhumb__store *store) {
    rhumb__warm_up *warm_up = store->warm_up;
    if (warm_up == NULL) return;
    atomic_store(&warm_up->is_stopping, true);
    (void)sem_post(&warm_up->begin);
    (void)pthread_join(warm_up->thread, NULL);
    store->warm_up = NULL;
    release(warm_up);
}

rhumb__warm_up_progress rhumb__warm_up_progress_of(const rhumb__store *store) {
    const rhumb__warm_up *warm_up = store->warm_up;
    if (warm_up == NULL) return (rhumb__warm_up_progress){0};
    return (rhumb__warm_up_progress){atomic_load_explicit(&warm_up->done_bytes, memory_order_relaxed),
                                     warm_up->total_bytes};
}
