/* carry.h - the operations that change an index while it is being compacted, so that they can be repeated on the new
 * graph. Those of one key are in the order of their log numbers.
 *
 * An operation notes itself under the lock of its key's bucket, when it writes its record to the log. That must not
 * fail: if there is no memory to note it, the compaction fails instead.
 */
#ifndef RHUMB_ENGINE_BUILD_CARRY_H
#define RHUMB_ENGINE_BUILD_CARRY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/lock.h"
#include "storage/log/log.h"

typedef struct rhumb__carry_item {
    uint64_t key;
    uint64_t lsn;
    uint32_t slot;        /* in the old graph, of what was inserted; meaningless for a delete */
    rhumb__log_type type; /* insert, upsert or delete */
    bool of_batch;        /* an insert of a batch that is all or nothing: the next version may leave it out, though its
                             number is not above that version's */
} rhumb__carry_item;

typedef struct rhumb__carry {
    _Atomic bool recording; /* changes with the gate closed, so operations may read it without a lock */
    rhumb__mutex lock;
    bool lost; /* guarded by lock, as the three below: an item could not be noted */
    rhumb__carry_item *items;
    uint64_t count;
    uint64_t capacity;
} rhumb__carry;

/* Notes an operation, if a compaction is running. */
void rhumb__carry_note(rhumb__carry *carry, const rhumb__carry_item *item);

/* Takes all operations that have been noted. *items_out is the caller's (rhumb__free). RHUMB_E_NOMEM: one was lost. */
rhumb_status rhumb__carry_take(rhumb__carry *carry, rhumb__carry_item **items_out, uint64_t *count_out) RHUMB_NODISCARD;

/* How many operations have been noted and not taken. */
uint64_t rhumb__carry_count(rhumb__carry *carry);

/* Drops all that has been noted. */
void rhumb__carry_clear(rhumb__carry *carry);

#endif /* RHUMB_ENGINE_BUILD_CARRY_H */
