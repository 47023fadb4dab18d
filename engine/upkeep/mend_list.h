/* mend_list.h - filling the gaps that neighbours leave which are not taken over.
 */
#ifndef RHUMB_ENGINE_UPKEEP_MEND_LIST_H
#define RHUMB_ENGINE_UPKEEP_MEND_LIST_H

#include "engine/search/walk/scratch.h"

/* Candidates that are considered for one list. */
#define RHUMB__MEND_CANDIDATES_MAX 2048u

typedef struct rhumb__mend_spec {
    uint32_t slot;                /* whose list it is */
    uint32_t before_count;        /* the length of the list with those that have gone */
    uint32_t capacity;            /* of the list that is made */
    rhumb__candidate *candidates; /* their slots, each once: those that stay among them. Overwritten */
    uint32_t candidate_count;
} rhumb__mend_spec;

/* `slots` are the `kept_count` neighbours that stay, at most RHUMB__M0_MAX, and has room for as many. Adds those that
 * the usual selection among all candidates chooses, and then the nearest, until the list is as long as it was. One that
 * is longer than it may be is selected from the candidates alone. Returns how many there are then. */
uint32_t rhumb__mend_list(const rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__mend_spec *spec,
                          uint32_t *slots, uint32_t kept_count);

#endif /* RHUMB_ENGINE_UPKEEP_MEND_LIST_H */
