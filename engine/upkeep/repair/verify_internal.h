/* verify_internal.h - what the verify*.c files share; see verify.c.
 */
#ifndef RHUMB_ENGINE_UPKEEP_REPAIR_VERIFY_INTERNAL_H
#define RHUMB_ENGINE_UPKEEP_REPAIR_VERIFY_INTERNAL_H

#include "engine/upkeep/repair/verify.h"

/* What has been seen of a slot. */
#define RHUMB__MARK_KEYED 1u   /* the key table leads here */
#define RHUMB__MARK_CHAINED 2u /* a chain of copies leads here */
#define RHUMB__MARK_PATH 4u    /* on the way up that is being followed */
#define RHUMB__MARK_SEEN 8u    /* its way up has been followed to the end */

typedef struct rhumb__verifier {
    rhumb__graph *graph;
    rhumb__progress *progress;
    uint64_t part_count; /* steps of the present part that have been reported */
    rhumb__verify_result *result;
    uint64_t slot_count;
    uint8_t *marks; /* by slot */
} rhumb__verifier;

/* Counts an error of structure, and keeps the message if it is the first error. */
void rhumb__verify_note(rhumb__verifier *v, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Reports how many steps of the present part have been done, now and then. RHUMB_E_CANCELLED. */
rhumb_status rhumb__verify_advance(rhumb__verifier *v, uint64_t done_count) RHUMB_NODISCARD;

/* ---- verify_keys.c ---- */

/* Checks that the key table leads to every live node by its key, once, and to nothing else. RHUMB_E_NOMEM,
 * RHUMB_E_CANCELLED. */
rhumb_status rhumb__verify_keys(rhumb__verifier *v) RHUMB_NODISCARD;

/* Compares the codes of a coded graph with its vectors. RHUMB_E_NOMEM, what progress returns. */
rhumb_status rhumb__verify_codes(rhumb__verifier *v) RHUMB_NODISCARD;

/* ---- verify_ties.c ---- */

/* Checks the rules of graph/ties.h. Nodes that are waiting to be linked have no ties yet. RHUMB_E_CANCELLED. */
rhumb_status rhumb__verify_ties(rhumb__verifier *v) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_UPKEEP_REPAIR_VERIFY_INTERNAL_H */
