/* wide_walk.c - see wide_walk.h.
 *
 * What expanding a node reads is asked for as soon as the node is among the nearest candidates, and the walk goes on
 * with the nearest whose rows are there: computing overlaps waiting, and the disk has several requests at a time. Only
 * when none is there does it wait, for the nearest. So a few nodes are expanded that a walk in memory would not.
 *
 * Which pages are there is known from a map (storage/page_map.h). Of a page that it does not know the kernel is asked
 * as soon as it is wanted. Once a page has been asked for, the kernel is asked whether it has come, and only when there
 * is nothing else to do.
 *
 * Takes no lock.
 */
#include "engine/search/walk/wide_walk.h"

#include "base/bits.h"

/* The nearest candidates whose rows are asked for. */
#define WIDTH 8u

static void add_read(rhumb__wide_walk *walk, const rhumb__wide_read *read) {
    const rhumb__graph *graph = rhumb__scratch_graph(walk->scratch);
    if (!rhumb__section_reads_ahead(graph->store, read->section) || read->section->page_map == NULL) return;
    RHUMB_ASSERT_DEBUG(walk->read_count < RHUMB__WIDE_READ_COUNT_MAX);
    walk->reads[walk->read_count++] = *read;
}

void rhumb__wide_walk_reads(rhumb__wide_walk *walk, rhumb__section *section, uint32_t row_bytes) {
    add_read(walk, &(rhumb__wide_read){section, row_bytes, NULL});
}

void rhumb__wide_walk_reads_rows(rhumb__wide_walk *walk, const rhumb__row_reader *reader) {
    rhumb__section *lists0 = &reader->graph->sections[RHUMB__SECTION_LISTS0];
    rhumb__section *fused = &reader->graph->sections[RHUMB__SECTION_FUSED];
    add_read(walk, &(rhumb__wide_read){lists0, reader->graph->params.M0 * 4, reader});
    add_read(walk, &(rhumb__wide_read){fused, (uint32_t)fused->row_stride_bytes, NULL});
}

void rhumb__wide_walk_reads_lists(rhumb__wide_walk *walk) {
    rhumb__graph *graph = rhumb__scratch_graph(walk->scratch);
    rhumb__wide_walk_reads(walk, &graph->sections[RHUMB__SECTION_LISTS0], graph->params.M0 * sizeof(uint32_t));
}

/* The pages of a row: from the first to the end of the last; none if the row is not read. */
typedef struct page_range {
    rhumb__page_map *map;
    const uint8_t *begin;
    const uint8_t *end;
} page_range;

static page_range pages_of(const rhumb__wide_read *read, uint32_t slot) {
    if (read->reader != NULL && !rhumb__row_reader_needs_list(read->reader, slot)) return (page_range){0};
    const uintptr_t row = (uintptr_t)rhumb__section_row(read->section, slot);
    return (page_range){read->section->page_map, (const uint8_t *)rhumb__round_down(row, RHUMB__MAPPED_PAGE_BYTES),
                        (const uint8_t *)rhumb__round_up(row + read->row_bytes, RHUMB__MAPPED_PAGE_BYTES)};
}

static bool is_present(const page_range *range) {
    for (const uint8_t *page = range->begin; page < range->end; page += RHUMB__MAPPED_PAGE_BYTES) {
        if (rhumb__page_map_get(range->map, page) != RHUMB__PAGE_PRESENT) return false;
    }
    return true;
}

/* Finds out about the pages that are not known. Returns whether one is missing that has not been asked for; those count
 * as asked for from now on. */
static bool is_to_be_asked(const page_range *range) {
    bool is_missing = false;
    for (const uint8_t *page = range->begin; page < range->end; page += RHUMB__MAPPED_PAGE_BYTES) {
        if (rhumb__page_map_get(range->map, page) != RHUMB__PAGE_UNKNOWN) continue;
        if (rhumb__page_map_look(range->map, page)) continue;
        rhumb__page_map_set(range->map, page, RHUMB__PAGE_ASKED);
        is_missing = true;
    }
    return is_missing;
}

static bool has_arrived(const page_range *range) {
    for (const uint8_t *page = range->begin; page < range->end; page += RHUMB__MAPPED_PAGE_BYTES) {
        if (rhumb__page_map_get(range->map, page) == RHUMB__PAGE_PRESENT) continue;
        if (!rhumb__page_map_look(range->map, page)) return false;
    }
    return true;
}

/* Asks for what is not there of the candidates' rows. */
static void ask_for_missing(const rhumb__wide_walk *walk, const uint32_t *slots, uint32_t count) {
    for (uint32_t k = 0; k < walk->read_count; k++) {
        const void *missing[WIDTH];
        uint32_t missing_count = 0;
        for (uint32_t i = 0; i < count; i++) {
            const page_range range = pages_of(&walk->reads[k], slots[i]);
            if (!is_to_be_asked(&range)) continue;
            missing[missing_count++] = rhumb__section_row(walk->reads[k].section, slots[i]);
        }
        if (missing_count > 0) rhumb__read_ahead_rows(missing, missing_count, walk->reads[k].row_bytes);
    }
}

/* Returns the place of the nearest of whose rows all are there, or the count. */
static uint32_t find_first(const rhumb__wide_walk *walk, const uint32_t *slots, uint32_t count,
                           bool (*is_there)(const page_range *range)) {
    for (uint32_t i = 0; i < count; i++) {
        uint32_t k = 0;
        for (; k < walk->read_count; k++) {
            const page_range range = pages_of(&walk->reads[k], slots[i]);
            if (!is_there(&range)) break;
        }
        if (k == walk->read_count) return i;
    }
    return count;
}

/* Pages that are about to be read are there then. */
static void note_read(const page_range *range) {
    for (const uint8_t *page = range->begin; page < range->end; page += RHUMB__MAPPED_PAGE_BYTES) {
        rhumb__page_map_set(range->map, page, RHUMB__PAGE_PRESENT);
    }
}

bool rhumb__wide_walk_take_present(const rhumb__wide_walk *walk, uint32_t *slot_out) {
    uint32_t slots[WIDTH];
    rhumb__candidate_pool *pool = &walk->scratch->pool;
    const uint32_t count = rhumb__candidate_pool_waiting(pool, slots, WIDTH);
    if (count == 0) return false;
    ask_for_missing(walk, slots, count);
    uint32_t chosen = find_first(walk, slots, count, is_present);
    if (chosen == count) chosen = find_first(walk, slots, count, has_arrived);
    if (chosen == count) chosen = 0; /* to be waited for */
    *slot_out = slots[chosen];
    rhumb__candidate_pool_expand(pool, *slot_out);
    for (uint32_t k = 0; k < walk->read_count; k++) {
        const page_range range = pages_of(&walk->reads[k], *slot_out);
        note_read(&range);
    }
    return true;
}
