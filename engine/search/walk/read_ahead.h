/* read_ahead.h - asking the kernel for rows before they are read, in an index that memory cannot hold or does not hold
 * yet.
 *
 * There a row that is touched is read from the disk while the search waits, one after the other, although a disk reads
 * dozens at the same time. So code that knows which rows come next asks for all of them at once, and then reads them.
 * In an index that is in memory nothing is asked: that costs a branch per list.
 */
#ifndef RHUMB_ENGINE_SEARCH_WALK_READ_AHEAD_H
#define RHUMB_ENGINE_SEARCH_WALK_READ_AHEAD_H

#include "engine/graph/graph.h"
#include "storage/residency.h"

/* Whether rows of a section are worth asking for. */
static inline bool rhumb__read_ahead_pays(const rhumb__graph *graph, uint32_t section_id) {
    return rhumb__section_reads_ahead(graph->store, &graph->sections[section_id]);
}

/* Asks for `count` rows of `row_bytes` each, and returns without waiting for them. Advice only. Thread-safe. */
void rhumb__read_ahead_rows(const void *const *rows, uint32_t count, uint64_t row_bytes);

/* Slow path of rhumb__read_ahead_scan. */
void rhumb__read_ahead_window(const rhumb__section *section, uint64_t row);

/* The bytes that a scan is ahead, and asks for at once. */
#define RHUMB__READ_AHEAD_WINDOW_BYTES (UINT64_C(1) << 20)

/* To be called with each row of a scan through a section, in ascending order, before the row is read. */
static inline void rhumb__read_ahead_scan(const rhumb__graph *graph, uint32_t section_id, uint64_t row) {
    if (!rhumb__read_ahead_pays(graph, section_id)) return;
    const rhumb__section *section = &graph->sections[section_id];
    const uint64_t offset = row * section->row_stride_bytes;
    if (row == 0 || offset % RHUMB__READ_AHEAD_WINDOW_BYTES < section->row_stride_bytes) {
        rhumb__read_ahead_window(section, row);
    }
}

#endif /* RHUMB_ENGINE_SEARCH_WALK_READ_AHEAD_H */
