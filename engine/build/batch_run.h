/* batch_run.h - the items of a batch, spread over threads.
 */
#ifndef RHUMB_ENGINE_BUILD_BATCH_RUN_H
#define RHUMB_ENGINE_BUILD_BATCH_RUN_H

#include "base/row_failure.h"
#include "engine/build/writer.h"
#include "engine/search/walk/scratch.h"

typedef bool (*rhumb__batch_progress)(void *context, uint64_t done_count, uint64_t total_count);

/* Carries out one item. Inside the gate, with scratch memory of the current graph; on several threads at once. */
typedef rhumb_status (*rhumb__batch_item)(void *context, rhumb__scratch *scratch, uint64_t i);

typedef struct rhumb__batch_work {
    rhumb__writer *writer;
    rhumb__scratch_pool *pool;
    uint64_t count;
    uint32_t thread_count; /* 0: one per processor */
    rhumb__batch_progress progress;
    void *progress_context;
    rhumb__batch_item item;
    uint64_t (*key)(const void *context, uint64_t i); /* of an item, for messages */
    void *context;                                    /* of item and key */

    _Atomic uint64_t next;
    _Atomic uint64_t done_count; /* items that have been carried out; more may have been begun */
    _Atomic bool stopped;
    rhumb__row_failure failure; /* RHUMB__ROW_FAILURE_NONE */
} rhumb__batch_work;

/* Carries out all items. The first failure stops all threads; a failure that is an item's own names its row and key.
 * RHUMB_E_CANCELLED: progress returned false. Calls progress at intervals, and at the end of a success. */
rhumb_status rhumb__batch_run(rhumb__batch_work *work) RHUMB_NODISCARD;

/* Reports that all items have been carried out. RHUMB_E_CANCELLED. */
rhumb_status rhumb__batch_report_end(rhumb__batch_work *work) RHUMB_NODISCARD;

/* Raises *highest to `lsn`, unless it is as high. */
static inline void rhumb__batch_note_lsn(_Atomic uint64_t *highest, uint64_t lsn) {
    uint64_t before = atomic_load_explicit(highest, memory_order_relaxed);
    while (before < lsn &&
           !atomic_compare_exchange_weak_explicit(highest, &before, lsn, memory_order_relaxed, memory_order_relaxed)) {
    }
}

/* Waits for the log up to `lsn`, also after a failure that leaves something in. Returns `status`, whose failure stays
 * in the thread's record, unless waiting fails in another way. */
rhumb_status rhumb__batch_wait(rhumb__writer *writer, uint64_t lsn, rhumb_status status) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_BUILD_BATCH_RUN_H */
