/* row_failure.h - which of many rows, on which several threads work, failed first, and why.
 *
 * Threads take rows in ascending order, and a thread finishes the row that it has taken. So when a row has failed,
 * every row before it is tried too, and the lowest one that fails is the same however many threads there are.
 */
#ifndef RHUMB_BASE_ROW_FAILURE_H
#define RHUMB_BASE_ROW_FAILURE_H

#include <stdint.h>

#include "base/lock.h"
#include "include/rhumb_types.h"

typedef struct rhumb__row_failure {
    rhumb__mutex lock;
    uint64_t row; /* guarded by lock, as `error`; UINT64_MAX: none has failed */
    rhumb_error error;
} rhumb__row_failure;

#define RHUMB__ROW_FAILURE_NONE                                                                                        \
    { .lock = RHUMB__MUTEX_INITIALIZER(RHUMB__RANK_ROW_FAILURE), .row = UINT64_MAX }

/* Keeps the calling thread's last failure as that of `row`, unless one of a lower row is kept. */
void rhumb__row_failure_note(rhumb__row_failure *failure, uint64_t row);

/* Makes the failure of the lowest row the calling thread's last, and returns its status; or `status`, if no row has
 * failed. */
rhumb_status rhumb__row_failure_take(rhumb__row_failure *failure, rhumb_status status);

/* Whether a status says that the caller's row is wrong, rather than that something else prevented the work. */
bool rhumb__row_is_wrong(rhumb_status status);

#endif /* RHUMB_BASE_ROW_FAILURE_H */
