/* recall_curve.h - how much of the truth searches of an index find, by their ef: what was measured, its place in the
 * superblock, and the choice of ef for a recall that is asked for.
 *
 * A curve has a row for each of some numbers of answers (k), and in a row the recall at each rung of a ladder of ef.
 * Ladders are constants of the record's version. A rung that was not measured says so: a row ends once nearly all is
 * found.
 *
 * A curve is a plain value. A damaged record of the file, or one of a later version, counts as none.
 */
#ifndef RHUMB_ENGINE_GRAPH_RECALL_CURVE_H
#define RHUMB_ENGINE_GRAPH_RECALL_CURVE_H

#include <stdbool.h>
#include <stdint.h>

#include "storage/frame/format.h"

enum { RHUMB__RECALL_ROWS = 3, RHUMB__RECALL_RUNGS = 14 };

/* Recalls are stored as shares of this. */
#define RHUMB__RECALL_WHOLE 50000u
#define RHUMB__RECALL_UNKNOWN UINT16_MAX
#define RHUMB__RECALL_QUERY_COUNT_MAX 65535u

/* Where the record lies in the engine's part of a superblock, see storage/FORMAT.md. */
#define RHUMB__RECALL_CLIENT_OFFSET 392u
#define RHUMB__RECALL_CLIENT_BYTES 116u

/* Flags. */
#define RHUMB__RECALL_QUERIES_GIVEN 1u /* by the user; otherwise they were vectors of the index */

typedef struct rhumb__recall_curve {
    uint64_t live_count;   /* vectors that searches could find when it was measured */
    uint64_t lsn;          /* of the graph that it belongs to; change_count was the number of operations then */
    uint32_t change_count; /* between the measurement and `lsn`; UINT32_MAX: as many or more */
    uint16_t query_count;  /* 0: there is no curve */
    uint16_t flags;
    uint16_t shares[RHUMB__RECALL_ROWS][RHUMB__RECALL_RUNGS]; /* of RHUMB__RECALL_WHOLE, or RHUMB__RECALL_UNKNOWN */
} rhumb__recall_curve;

/* The k of a row, and the ef of a rung. */
uint32_t rhumb__recall_row_k(uint32_t row);
uint32_t rhumb__recall_rung_ef(uint32_t row, uint32_t rung);

/* Writes a curve into the engine's part of a superblock; zeros if there is none. */
void rhumb__recall_curve_encode(const rhumb__recall_curve *curve, uint8_t client[RHUMB__CLIENT_BYTES]);

/* The inverse. No curve: query_count is 0. */
void rhumb__recall_curve_decode(const uint8_t client[RHUMB__CLIENT_BYTES], rhumb__recall_curve *curve);

/* The operations that have changed the index since the measurement, where `lsn` is the last one. */
uint64_t rhumb__recall_curve_change_count(const rhumb__recall_curve *curve, uint64_t lsn);

/* Whether so much has changed since that the curve may be off by more than a hundredth. */
bool rhumb__recall_curve_is_outdated(const rhumb__recall_curve *curve, uint64_t lsn);

/* Carries a curve over to a graph with the same vectors: `old_lsn` was the last operation of the old graph, `new_lsn`
 * is that of the new one. */
void rhumb__recall_curve_carry(rhumb__recall_curve *curve, uint64_t old_lsn, uint64_t new_lsn);

/* An ef, and the recall that it had. */
typedef struct rhumb__recall_choice {
    uint32_t ef;
    double recall; /* the one asked for, or the highest that was measured if that is lower */
} rhumb__recall_choice;

/* The smallest ef at which the searches of a curve found a share of `recall` of the k nearest. Between rungs ef is
 * interpolated, and between rows too; above the last row it is in proportion to k. Where the row reached less, the
 * largest ef that was measured. The curve exists; k is at least 1. */
rhumb__recall_choice rhumb__recall_curve_choose(const rhumb__recall_curve *curve, uint64_t k, double recall);

#endif /* RHUMB_ENGINE_GRAPH_RECALL_CURVE_H */
