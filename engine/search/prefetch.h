/* prefetch.h - announcing addresses to the processor before they are needed. Memory latency is what a search costs.
 */
#ifndef RHUMB_ENGINE_SEARCH_PREFETCH_H
#define RHUMB_ENGINE_SEARCH_PREFETCH_H

#include "engine/graph/graph.h"

#define RHUMB__CACHE_LINE_BYTES 64u

/* Lines of a vector that are asked for as soon as its slot is known: the kernel itself runs ahead within a vector, so
 * more than its beginning only fills the queue of outstanding loads. Short vectors end before the kernel is up to
 * speed. */
#define RHUMB__PREFETCH_LINES_SHORT 4u
#define RHUMB__PREFETCH_LINES_LONG 2u
#define RHUMB__SHORT_ROW_BYTES 1024u

static inline void rhumb__prefetch_vector(const rhumb__graph *graph, const uint8_t *row) {
    const uint32_t row_bytes = graph->space.row_bytes;
    const uint32_t lines =
        row_bytes <= RHUMB__SHORT_ROW_BYTES ? RHUMB__PREFETCH_LINES_SHORT : RHUMB__PREFETCH_LINES_LONG;
    for (uint32_t line = 0; line < lines && line * RHUMB__CACHE_LINE_BYTES < row_bytes; line++) {
        __builtin_prefetch(row + line * RHUMB__CACHE_LINE_BYTES, 0, 3);
    }
}

/* The list of a node on level 0. */
static inline void rhumb__prefetch_list(const rhumb__graph *graph, uint32_t slot) {
    const uint8_t *row = rhumb__section_row(&graph->sections[RHUMB__SECTION_LISTS0], slot);
    const uint32_t bytes = graph->params.M0 * (uint32_t)sizeof(uint32_t);
    for (uint32_t offset = 0; offset < bytes; offset += RHUMB__CACHE_LINE_BYTES) __builtin_prefetch(row + offset, 0, 3);
}

#endif /* RHUMB_ENGINE_SEARCH_PREFETCH_H */
