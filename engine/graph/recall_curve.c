/* recall_curve.c - see recall_curve.h. No state, no locks, no failures. */
#include "engine/graph/recall_curve.h"

#include <assert.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "base/crc32c.h"
#include "engine/graph/params.h"

#define RECORD_VERSION 1u

/* More operations than this share of the vectors, and the curve is out of date. */
#define OUTDATED_SHARE 0.25

/* What the file has. */
typedef struct recall_record {
    uint32_t crc; /* of all that follows */
    uint16_t version;
    uint16_t query_count;
    uint64_t live_count;
    uint64_t lsn;
    uint32_t change_count;
    uint16_t flags;
    uint16_t reserved; /* zero */
    uint16_t shares[RHUMB__RECALL_ROWS][RHUMB__RECALL_RUNGS];
} recall_record;

/* The record ends with two bytes of padding in memory, which the file does not have. */
static_assert(sizeof(recall_record) == RHUMB__RECALL_CLIENT_BYTES + 4, "recall record size");
static_assert(offsetof(recall_record, crc) == 0, "recall record layout");
static_assert(offsetof(recall_record, version) == 4, "recall record layout");
static_assert(offsetof(recall_record, query_count) == 6, "recall record layout");
static_assert(offsetof(recall_record, live_count) == 8, "recall record layout");
static_assert(offsetof(recall_record, lsn) == 16, "recall record layout");
static_assert(offsetof(recall_record, change_count) == 24, "recall record layout");
static_assert(offsetof(recall_record, flags) == 28, "recall record layout");
static_assert(offsetof(recall_record, reserved) == 30, "recall record layout");
static_assert(offsetof(recall_record, shares) == 32, "recall record layout");
static_assert(offsetof(recall_record, shares) + sizeof(((recall_record *)NULL)->shares) == RHUMB__RECALL_CLIENT_BYTES,
              "recall record layout");

static const uint32_t row_ks[RHUMB__RECALL_ROWS] = {1, 10, 100};

static const uint32_t ladders[RHUMB__RECALL_ROWS][RHUMB__RECALL_RUNGS] = {
    {1, 2, 4, 6, 8, 12, 16, 24, 32, 64, 128, 256, 512, 1024},
    {10, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 512, 1024, 2048},
    {100, 112, 128, 160, 192, 256, 320, 400, 512, 768, 1024, 1536, 2048, 4096},
};

uint32_t rhumb__recall_row_k(uint32_t row) { return row_ks[row]; }

uint32_t rhumb__recall_rung_ef(uint32_t row, uint32_t rung) { return ladders[row][rung]; }

/* ---- in the file ---- */

static uint32_t record_crc(const recall_record *record) {
    const size_t begin = offsetof(recall_record, version);
    return rhumb__crc32c(0, (const uint8_t *)record + begin, RHUMB__RECALL_CLIENT_BYTES - begin);
}

void rhumb__recall_curve_encode(const rhumb__recall_curve *curve, uint8_t client[RHUMB__CLIENT_BYTES]) {
    recall_record record;
    memset(&record, 0, sizeof record);
    if (curve->query_count > 0) {
        record.version = RECORD_VERSION;
        record.query_count = curve->query_count;
        record.live_count = curve->live_count;
        record.lsn = curve->lsn;
        record.change_count = curve->change_count;
        record.flags = curve->flags;
        memcpy(record.shares, curve->shares, sizeof record.shares);
        record.crc = record_crc(&record);
    }
    memcpy(client + RHUMB__RECALL_CLIENT_OFFSET, &record, RHUMB__RECALL_CLIENT_BYTES);
}

/* Each row has its first rung, and none after one that was not measured. */
static bool shares_are_possible(const recall_record *record) {
    for (uint32_t row = 0; row < RHUMB__RECALL_ROWS; row++) {
        const uint16_t *shares = record->shares[row];
        if (shares[0] == RHUMB__RECALL_UNKNOWN) return false;
        for (uint32_t rung = 0; rung < RHUMB__RECALL_RUNGS; rung++) {
            if (shares[rung] == RHUMB__RECALL_UNKNOWN) continue;
            if (shares[rung] > RHUMB__RECALL_WHOLE) return false;
            if (rung > 0 && shares[rung - 1] == RHUMB__RECALL_UNKNOWN) return false;
        }
    }
    return true;
}

void rhumb__recall_curve_decode(const uint8_t client[RHUMB__CLIENT_BYTES], rhumb__recall_curve *curve) {
    recall_record record;
    memset(&record, 0, sizeof record);
    memset(curve, 0, sizeof *curve);
    memcpy(&record, client + RHUMB__RECALL_CLIENT_OFFSET, RHUMB__RECALL_CLIENT_BYTES);
    if (record.version != RECORD_VERSION || record.crc != record_crc(&record)) return;
    if (record.query_count == 0 || record.live_count == 0 || record.live_count >= RHUMB__SLOT_LIMIT ||
        record.lsn > RHUMB__LOG_LSN_MAX || !shares_are_possible(&record)) {
        return;
    }
    curve->live_count = record.live_count;
    curve->lsn = record.lsn;
    curve->change_count = record.change_count;
    curve->query_count = record.query_count;
    curve->flags = record.flags;
    memcpy(curve->shares, record.shares, sizeof curve->shares);
}

/* ---- age ---- */

uint64_t rhumb__recall_curve_change_count(const rhumb__recall_curve *curve, uint64_t lsn) {
    return curve->change_count + (lsn > curve->lsn ? lsn - curve->lsn : 0);
}

bool rhumb__recall_curve_is_outdated(const rhumb__recall_curve *curve, uint64_t lsn) {
    return (double)rhumb__recall_curve_change_count(curve, lsn) > OUTDATED_SHARE * (double)curve->live_count;
}

void rhumb__recall_curve_carry(rhumb__recall_curve *curve, uint64_t old_lsn, uint64_t new_lsn) {
    if (curve->query_count == 0) return;
    curve->change_count = (uint32_t)rhumb__min_u64(rhumb__recall_curve_change_count(curve, old_lsn), UINT32_MAX);
    curve->lsn = new_lsn;
}

/* ---- the choice of ef ---- */

static double log_ef(uint32_t row, uint32_t rung) { return log((double)ladders[row][rung]); }

/* Of what is missing at a recall; at 1, of half of the smallest share. */
static double log_missing(double recall) {
    const double missing = 1 - recall, least = 0.5 / RHUMB__RECALL_WHOLE;
    return log(missing > least ? missing : least);
}

/* What one row says, as the logarithm of ef: between two rungs that of what is missing is linear in it. Returns
 * the recall. */
static double choose_in_row(const uint16_t *shares, uint32_t row, double recall, double *log_ef_out) {
    double below = 0; /* the highest recall of the rungs before */
    uint32_t rung = 0;
    for (; rung < RHUMB__RECALL_RUNGS && shares[rung] != RHUMB__RECALL_UNKNOWN; rung++) {
        const double here = (double)shares[rung] / RHUMB__RECALL_WHOLE;
        if (here >= recall) {
            *log_ef_out = log_ef(row, rung);
            if (rung > 0) {
                const double from = log_ef(row, rung - 1);
                const double share =
                    (log_missing(below) - log_missing(recall)) / (log_missing(below) - log_missing(here));
                *log_ef_out = from + (*log_ef_out - from) * share;
            }
            return recall;
        }
        if (here > below) below = here;
    }
    RHUMB_ASSERT_DEBUG(rung > 0);
    *log_ef_out = log_ef(row, rung - 1);
    return below;
}

rhumb__recall_choice rhumb__recall_curve_choose(const rhumb__recall_curve *curve, uint64_t k, double recall) {
    RHUMB_ASSERT_DEBUG(curve->query_count > 0 && k > 0);
    uint32_t row = 0;
    while (row + 1 < RHUMB__RECALL_ROWS && k >= row_ks[row + 1]) row++;
    double exponent, reached;
    reached = choose_in_row(curve->shares[row], row, recall, &exponent);
    const double log_k = log((double)k), log_row_k = log((double)row_ks[row]);
    if (row + 1 == RHUMB__RECALL_ROWS) {
        exponent += log_k - log_row_k;
    } else if (k > row_ks[row]) {
        double next_exponent;
        const double next_reached = choose_in_row(curve->shares[row + 1], row + 1, recall, &next_exponent);
        exponent += (next_exponent - exponent) * (log_k - log_row_k) / (log((double)row_ks[row + 1]) - log_row_k);
        if (next_reached < reached) reached = next_reached;
    }
    const double ef = ceil(exp(exponent) - 1e-6); /* what rounding has added to a whole number */
    const double limit = (double)RHUMB__EF_SEARCH_MAX;
    rhumb__recall_choice choice = {.ef = (uint32_t)(ef < limit ? ef : limit), .recall = reached};
    if (choice.ef < k) choice.ef = (uint32_t)rhumb__min_u64(k, RHUMB__EF_SEARCH_MAX);
    return choice;
}
