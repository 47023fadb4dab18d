/* mend_neighbours.h - mending lists of level 0 from the lists of the neighbours that they name: to search neighbours
 * for each would read many more lists.
 */
#ifndef RHUMB_ENGINE_UPKEEP_MEND_NEIGHBOURS_H
#define RHUMB_ENGINE_UPKEEP_MEND_NEIGHBOURS_H

#include "base/progress.h"
#include "engine/search/walk/scratch.h"

/* The graph that has the lists, and which of its nodes stay. */
typedef struct rhumb__mend_source {
    rhumb__graph *graph;
    uint64_t slot_count;
    const uint32_t *map; /* by slot: RHUMB__SLOT_NONE if the node goes; NULL: all stay */
} rhumb__mend_source;

/* A list: the neighbours that it names, and how many it had once. */
typedef struct rhumb__mend_torn {
    uint32_t slot; /* whose list it is */
    const uint32_t *slots;
    uint32_t count;
    uint32_t before_count;
} rhumb__mend_torn;

/* Prepares a scratch for the functions below. RHUMB_E_NOMEM. */
rhumb_status rhumb__mend_prepare(rhumb__scratch *scratch) RHUMB_NODISCARD;

/* Asks for lists, at most RHUMB__M0_MAX, where memory cannot hold them. */
void rhumb__mend_ask(const rhumb__mend_source *source, const uint32_t *slots, uint32_t count);

/* Fills scratch->candidates with the neighbours in a list, and with theirs: those that stay, each once, without the
 * node itself. Returns how many. */
uint32_t rhumb__mend_gather(const rhumb__mend_source *source, rhumb__scratch *scratch, const rhumb__mend_torn *torn);

/* Makes a list without those that go, mended as rhumb__mend_list does it, in `slots`, which has room for
 * RHUMB__M0_MAX and may be that of `torn`. Returns how many there are then. */
uint32_t rhumb__mend_from_neighbours(const rhumb__mend_source *source, rhumb__scratch *scratch,
                                     const rhumb__mend_torn *torn, uint32_t *slots);

/* Lists of a new graph that lack what the graph they come from had and this one has not. */
typedef struct rhumb__mend_job {
    rhumb__graph *graph;
    rhumb__scratch_pool *pool;
    const uint16_t *before_counts; /* by slot: how long such a list was; 0: it lacks nothing */
    uint64_t *incomplete;          /* one bit per slot */
    uint32_t thread_count;         /* 0: one per processor */
    rhumb__progress *progress;     /* which goes on by the nodes of the graph */
} rhumb__mend_job;

/* Mends those lists of which three quarters are there, and clears their bits: the others have too little to go by, and
 * a search finds more for them. The result is the same for any number of threads. Only they may use the graph in the
 * meantime. RHUMB_E_NOMEM, RHUMB_E_CANCELLED. */
rhumb_status rhumb__mend_all(const rhumb__mend_job *spec, uint64_t *mended_count_out) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_UPKEEP_MEND_NEIGHBOURS_H */
