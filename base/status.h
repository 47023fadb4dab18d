/* status.h - how a failure is reported: a status by return value, its details in a record of the thread.
 *
 * A function that can fail returns rhumb_status. Where the failure is detected it calls rhumb__fail (or a variant
 * of it), which fills the thread's record and returns the status, so that a failure is one statement:
 *
 *     if (bytes < RHUMB_SUPERBLOCK_BYTES)
 *         return rhumb__fail_at(RHUMB_E_TRUNCATED, path, 0, "superblock needs %u bytes, the file has %llu", ...);
 *
 * Callers pass the status on unchanged and do not overwrite the record, so the user reads the first cause.
 */
#ifndef RHUMB_BASE_STATUS_H
#define RHUMB_BASE_STATUS_H

#include "include/rhumb_types.h"

#define RHUMB_OFFSET_NONE UINT64_MAX

/* Records a failure that does not concern a file. Returns `status`. */
rhumb_status rhumb__fail(rhumb_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Records a failure at byte `offset` of `path`; RHUMB_OFFSET_NONE when it concerns the file as a whole. Returns
 * `status`. */
rhumb_status rhumb__fail_at(rhumb_status status, const char *path, uint64_t offset, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Records a failed system call. ENOSPC and EDQUOT become RHUMB_E_NOSPACE, ENOMEM becomes RHUMB_E_NOMEM, ENOENT becomes
 * RHUMB_E_NOTFOUND, EEXIST becomes RHUMB_E_EXISTS, all others RHUMB_E_IO. Returns that status. */
rhumb_status rhumb__fail_errno(int os_errno, const char *path, uint64_t offset, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Puts a text, such as the number of the row that is wrong, before the message of this thread's record. */
void rhumb__error_prefix(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Copy this thread's record out, or replace it: this is how a worker's failure reaches the thread that waits for it. */
void rhumb__error_save(rhumb_error *record_out);
void rhumb__error_restore(const rhumb_error *record);

/* Returns the record of the calling thread; status RHUMB_OK and an empty message before the first failure. */
const rhumb_error *rhumb__error_last(void);

/* Returns a constant name such as "RHUMB_E_CORRUPT"; "RHUMB_E_UNKNOWN" for a number that is not a status. */
const char *rhumb__status_name(rhumb_status status);

/* Goes to the function's single exit with `status` set when an expression fails. */
#define RHUMB_TRY(expression)                                                                                          \
    do {                                                                                                               \
        status = (expression);                                                                                         \
        if (status != RHUMB_OK) goto done;                                                                             \
    } while (0)

#endif /* RHUMB_BASE_STATUS_H */
