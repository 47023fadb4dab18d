/* row_failure.c - see row_failure.h. One lock, held for a copy of a record; nothing here fails. */
#include "base/row_failure.h"

#include "base/status.h"

void rhumb__row_failure_note(rhumb__row_failure *failure, uint64_t row) {
    rhumb__mutex_lock(&failure->lock);
    if (row < failure->row) {
        failure->row = row;
        rhumb__error_save(&failure->error);
    }
    rhumb__mutex_unlock(&failure->lock);
}

rhumb_status rhumb__row_failure_take(rhumb__row_failure *failure, rhumb_status status) {
    rhumb__mutex_lock(&failure->lock);
    if (failure->row != UINT64_MAX) {
        rhumb__error_restore(&failure->error);
        status = failure->error.status;
    }
    rhumb__mutex_unlock(&failure->lock);
    return status;
}

bool rhumb__row_is_wrong(rhumb_status status) {
    return status == RHUMB_E_INVALID || status == RHUMB_E_NOT_FINITE || status == RHUMB_E_DOMAIN ||
           status == RHUMB_E_EXISTS || status == RHUMB_E_NOTFOUND;
}
