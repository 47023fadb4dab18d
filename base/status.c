/* status.c - each thread's record of its last failure.
 *
 * Owns the thread's rhumb_error. Invariants: texts in it are always terminated; `message` is one line of printable
 * text; `status` is RHUMB_OK only before the first failure of the thread. No locking: a thread sees
 * another thread's record only as a copy (rhumb__error_save). Nothing here can fail; texts that do not fit are
 * truncated.
 */
#include "base/status.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"

static _Thread_local rhumb_error thread_record = {.file_offset = RHUMB_OFFSET_NONE};

/* A long path keeps its end, which is what distinguishes files. */
static void copy_path(char *target, size_t target_bytes, const char *path) {
    static const char ellipsis[] = "...";
    size_t length = strlen(path);
    if (length < target_bytes) {
        memmove(target, path, length + 1);
        return;
    }
    size_t kept = target_bytes - sizeof ellipsis;
    memcpy(target, ellipsis, sizeof ellipsis - 1);
    memcpy(target + sizeof ellipsis - 1, path + length - kept, kept + 1);
}

/* A quoted name or text may contain any byte; a message is still one line. */
static void make_one_line(char *text) {
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte < 0x20 || byte == 0x7F) *text = '?';
    }
}

/* Fills the record. The arguments may point into the record itself (a message that quotes the one before), so
 * the new record is built in a copy first. `reason` is the system's own text for os_errno, or NULL. */
static void record_failure(rhumb_status status, int os_errno, const char *path, uint64_t offset, const char *reason,
                           const char *format, va_list arguments) {
    RHUMB_ASSERT(status != RHUMB_OK);
    rhumb_error fresh = {.status = status, .os_errno = os_errno, .file_offset = offset};
    if (path != NULL) copy_path(fresh.path, sizeof fresh.path, path);
    int written = vsnprintf(fresh.message, sizeof fresh.message, format, arguments);
    size_t length = written < 0 ? 0 : (size_t)written;
    if (reason != NULL && length < sizeof fresh.message) {
        snprintf(fresh.message + length, sizeof fresh.message - length, ": %s", reason);
    }
    make_one_line(fresh.message);
    thread_record = fresh;
}

rhumb_status rhumb__fail(rhumb_status status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    record_failure(status, 0, NULL, RHUMB_OFFSET_NONE, NULL, format, arguments);
    va_end(arguments);
    return status;
}

rhumb_status rhumb__fail_at(rhumb_status status, const char *path, uint64_t offset, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    record_failure(status, 0, path, offset, NULL, format, arguments);
    va_end(arguments);
    return status;
}

static rhumb_status status_of_errno(int os_errno) {
    switch (os_errno) {
    case ENOSPC:
    case EDQUOT: return RHUMB_E_NOSPACE;
    case ENOMEM: return RHUMB_E_NOMEM;
    case ENOENT: return RHUMB_E_NOTFOUND;
    case EEXIST: return RHUMB_E_EXISTS;
    default: return RHUMB_E_IO;
    }
}

rhumb_status rhumb__fail_errno(int os_errno, const char *path, uint64_t offset, const char *format, ...) {
    char reason[128];
    if (strerror_r(os_errno, reason, sizeof reason) != 0) snprintf(reason, sizeof reason, "error %d", os_errno);
    rhumb_status status = status_of_errno(os_errno);
    va_list arguments;
    va_start(arguments, format);
    record_failure(status, os_errno, path, offset, reason, format, arguments);
    va_end(arguments);
    return status;
}

void rhumb__error_prefix(const char *format, ...) {
    char prefix[256];
    char *message = thread_record.message;
    va_list arguments;
    va_start(arguments, format);
    const int written = vsnprintf(prefix, sizeof prefix, format, arguments);
    va_end(arguments);
    if (written < 0) return;
    size_t prefix_bytes = strlen(prefix);
    /* A message that becomes too long loses its end. */
    size_t kept_bytes = strlen(message);
    if (kept_bytes > sizeof thread_record.message - 1 - prefix_bytes)
        kept_bytes = sizeof thread_record.message - 1 - prefix_bytes;
    memmove(message + prefix_bytes, message, kept_bytes);
    memcpy(message, prefix, prefix_bytes);
    message[prefix_bytes + kept_bytes] = '\0';
    make_one_line(thread_record.message);
}

void rhumb__error_save(rhumb_error *record_out) { *record_out = thread_record; }

void rhumb__error_restore(const rhumb_error *record) { thread_record = *record; }

const rhumb_error *rhumb__error_last(void) { return &thread_record; }

const char *rhumb__status_name(rhumb_status status) {
    switch (status) {
    case RHUMB_OK: return "RHUMB_OK";
    case RHUMB_E_INVALID: return "RHUMB_E_INVALID";
    case RHUMB_E_NOMEM: return "RHUMB_E_NOMEM";
    case RHUMB_E_IO: return "RHUMB_E_IO";
    case RHUMB_E_NOSPACE: return "RHUMB_E_NOSPACE";
    case RHUMB_E_FULL: return "RHUMB_E_FULL";
    case RHUMB_E_CANCELLED: return "RHUMB_E_CANCELLED";
    case RHUMB_E_UNSUPPORTED: return "RHUMB_E_UNSUPPORTED";
    case RHUMB_E_CORRUPT: return "RHUMB_E_CORRUPT";
    case RHUMB_E_VERSION: return "RHUMB_E_VERSION";
    case RHUMB_E_TRUNCATED: return "RHUMB_E_TRUNCATED";
    case RHUMB_E_NOT_AN_INDEX: return "RHUMB_E_NOT_AN_INDEX";
    case RHUMB_E_LOG: return "RHUMB_E_LOG";
    case RHUMB_E_LOCKED: return "RHUMB_E_LOCKED";
    case RHUMB_E_READONLY: return "RHUMB_E_READONLY";
    case RHUMB_E_STALE: return "RHUMB_E_STALE";
    case RHUMB_E_FORKED: return "RHUMB_E_FORKED";
    case RHUMB_E_FATAL: return "RHUMB_E_FATAL";
    case RHUMB_E_NOTFOUND: return "RHUMB_E_NOTFOUND";
    case RHUMB_E_EXISTS: return "RHUMB_E_EXISTS";
    case RHUMB_E_NOT_FINITE: return "RHUMB_E_NOT_FINITE";
    case RHUMB_E_DOMAIN: return "RHUMB_E_DOMAIN";
    case RHUMB_E_METRIC: return "RHUMB_E_METRIC";
    }
    return "RHUMB_E_UNKNOWN";
}
