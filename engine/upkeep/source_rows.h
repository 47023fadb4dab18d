/* source_rows.h - the rows of a graph that is read from end to end, for a new one. Rows of one that is more than memory
 * should hold are read from the file instead of through the mapping, and the kernel is advised to drop their pages:
 * pages that searches have mapped stay, and the others displace nothing.
 *
 * No thread changes the graph. One thread uses the reader at a time.
 */
#ifndef RHUMB_ENGINE_UPKEEP_SOURCE_ROWS_H
#define RHUMB_ENGINE_UPKEEP_SOURCE_ROWS_H

#include "engine/graph/graph.h"

/* How many slots are asked for together, where memory cannot hold them. */
#define RHUMB__SOURCE_ROWS_ASKED 64u

typedef struct rhumb__source_rows {
    rhumb__graph *graph;
    bool reads_file; /* the vectors are more than memory should hold */
    uint8_t *row;    /* a vector that was read from the file */
} rhumb__source_rows;

/* To be ended also after a failure. RHUMB_E_NOMEM. */
rhumb_status rhumb__source_rows_begin(rhumb__graph *graph, rhumb__source_rows *rows) RHUMB_NODISCARD;

void rhumb__source_rows_end(rhumb__source_rows *rows);

/* Says which slots, at most RHUMB__SOURCE_ROWS_ASKED, are going to be read next. */
void rhumb__source_rows_ask(const rhumb__source_rows *rows, const uint32_t *slots, uint32_t count);

/* The prepared row of a slot, in memory that is valid until the next call. RHUMB_E_CORRUPT: the file does not have the
 * node completely. RHUMB_E_IO, RHUMB_E_TRUNCATED. */
rhumb_status rhumb__source_rows_read(rhumb__source_rows *rows, uint32_t slot, const void **row_out) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_UPKEEP_SOURCE_ROWS_H */
