/* spill.h - the lists of a new graph in scratch files, where memory cannot hold them.
 *
 * A graph that is made as a whole has no version before its end, so its lists have no place in the file until then:
 * they would be private memory, which the kernel cannot take back. Only the threads of the caller know the graph.
 */
#ifndef RHUMB_ENGINE_UPKEEP_SPILL_H
#define RHUMB_ENGINE_UPKEEP_SPILL_H

#include <pthread.h>
#include <semaphore.h>

#include "engine/graph/graph.h"

/* All zeros: everything is in memory. It stays where it is from begin to end. */
typedef struct rhumb__spill {
    rhumb__graph *graph;
    pthread_t thread; /* that writes what has changed to the disk */
    sem_t stopping;
    bool has_thread;
} rhumb__spill;

/* To be called for a new graph before anything is placed. If lists and other mutable sections for so many slots are
 * more than memory should hold, they grow into scratch files (storage/section_scratch.h), of which a thread writes to
 * the disk what changes. Where there can be no such files, they stay in memory. */
void rhumb__spill_begin(rhumb__graph *graph, uint64_t slot_count, rhumb__spill *spill);

/* To be called when all lists are made, or the graph is given up, before it is closed. What is in the files stays there
 * until a version has it. One that was not begun is fine. */
void rhumb__spill_end(rhumb__spill *spill);

#endif /* RHUMB_ENGINE_UPKEEP_SPILL_H */
