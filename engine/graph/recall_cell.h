/* recall_cell.h - the recall curve of a graph in memory, which threads read while another replaces it. Readers take no
 * lock; one thread writes at a time.
 */
#ifndef RHUMB_ENGINE_GRAPH_RECALL_CELL_H
#define RHUMB_ENGINE_GRAPH_RECALL_CELL_H

#include <stdatomic.h>

#include "engine/graph/recall_curve.h"

#define RHUMB__RECALL_WORDS ((sizeof(rhumb__recall_curve) + sizeof(uint64_t) - 1) / sizeof(uint64_t))

typedef struct rhumb__recall_cell {
    _Atomic uint64_t round; /* odd while the words are being written */
    _Atomic uint64_t words[RHUMB__RECALL_WORDS];
} rhumb__recall_cell;

/* Copies the curve of a cell. */
void rhumb__recall_cell_read(rhumb__recall_cell *cell, rhumb__recall_curve *curve);

/* Replaces the curve of a cell; one thread at a time. */
void rhumb__recall_cell_write(rhumb__recall_cell *cell, const rhumb__recall_curve *curve);

#endif /* RHUMB_ENGINE_GRAPH_RECALL_CELL_H */
