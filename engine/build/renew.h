/* renew.h - making fused rows again whose lists have changed since they were made.
 *
 * A row whose list has changed is right where it says anything; what the list has and the row has not is measured by
 * codes, and the list is read in addition. So rows are renewed where that adds up: a *region* of neighbouring slots, as
 * many as fill a large page of the file, is renewed as a whole once a share of its lanes differs from the lists. Then a
 * checkpoint writes the region once for many rows.
 */
#ifndef RHUMB_ENGINE_BUILD_RENEW_H
#define RHUMB_ENGINE_BUILD_RENEW_H

#include <stdbool.h>

#include "engine/build/loom.h"

typedef struct rhumb__renewed_row rhumb__renewed_row;

/* A pass over all rows of a graph. Of zeros: none has begun. */
typedef struct rhumb__renew_pass {
    rhumb__graph *graph;    /* used only while the writer has it; NULL: none */
    uint64_t graph_id;      /* its number: another may have its address */
    uint64_t next_slot;     /* rows below it have been looked at */
    uint64_t region_end;    /* rows below it are to be renewed */
    uint64_t region_slots;  /* of a whole region */
    uint32_t refused_count; /* how often a search kept rows from being written */
    bool waits_for_memory;  /* the pass goes on once a checkpoint has been made */
    rhumb__loom loom;
    rhumb__renewed_row *made; /* rows on their way */
    uint32_t made_count;
    uint8_t *rows; /* their bytes */
} rhumb__renew_pass;

/* Goes on with a pass for about `time_ns`, or begins one; *goes_on_out is whether it is to go on. When the graph is
 * another one by then, the pass begins again. The caller holds checkpoint_lock, so that no version is being made: a
 * version has the row of a node and the mark of its list as they belong together, and in its rows no slots but its own.
 * RHUMB_E_NOMEM, and what rhumb__store_check returns: then the pass has ended. */
rhumb_status rhumb__renew_some(rhumb__writer *writer, rhumb__renew_pass *pass, uint64_t time_ns,
                               bool *goes_on_out) RHUMB_NODISCARD;

/* Ends a pass, under way or not. */
void rhumb__renew_end(rhumb__renew_pass *pass);

/* With how many slots the background thread is to begin a pass; without rows never, UINT64_MAX. */
uint64_t rhumb__renew_due_slot(rhumb__graph *graph);

/* How many bytes of rows may be renewed before a checkpoint has written them. */
uint64_t rhumb__renew_bytes_max(void);

#endif /* RHUMB_ENGINE_BUILD_RENEW_H */
