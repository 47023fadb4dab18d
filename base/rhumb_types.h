/* rhumb_types.h - the types that every layer of rhumb shares and that its public interface exposes.
 *
 * Include rhumb.h; it includes this file. The numbers of every enumeration here are part of the ABI, and those of
 * rhumb_metric and rhumb_element are written into index files: they are never reused and never change.
 */
#ifndef RHUMB_TYPES_H
#define RHUMB_TYPES_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a fallible call returns. Zero is success; every failure is negative. rhumb_error_last() tells the details. */
typedef enum rhumb_status {
    RHUMB_OK = 0,

    RHUMB_E_INVALID = -1,     /* an argument is outside what the function documents */
    RHUMB_E_NOMEM = -2,       /* memory or address space could not be had */
    RHUMB_E_IO = -3,          /* the operating system reported an input/output error; os_errno tells which */
    RHUMB_E_NOSPACE = -4,     /* the disk or a quota is full; the last checkpoint is intact */
    RHUMB_E_FULL = -5,        /* a limit of the index itself is reached (slots, reserved address space) */
    RHUMB_E_CANCELLED = -6,   /* the caller's progress callback asked to stop */
    RHUMB_E_UNSUPPORTED = -7, /* this build or this index cannot do that */

    RHUMB_E_CORRUPT = -10,      /* the file's content contradicts itself or its checksums */
    RHUMB_E_VERSION = -11,      /* the file needs a newer rhumb, or features this one does not know */
    RHUMB_E_TRUNCATED = -12,    /* the file is shorter than it says it is */
    RHUMB_E_NOT_AN_INDEX = -13, /* the file does not begin as a rhumb file does */
    RHUMB_E_LOG = -14,          /* the log beside the index does not belong to it, or operations between are missing */

    RHUMB_E_LOCKED = -20,   /* another process (or another handle here) is writing this index */
    RHUMB_E_READONLY = -21, /* the index was opened read-only */
    RHUMB_E_STALE = -22,    /* the index behind a cursor has been replaced (refresh, compaction); open another cursor */
    RHUMB_E_FATAL = -30,    /* an earlier failure made this handle read-only for good; close and open again */

    RHUMB_E_NOTFOUND = -40,  /* no such key, or no such file */
    RHUMB_E_EXISTS = -41,    /* that key, or that file, is there already */
    RHUMB_E_NOT_FINITE = -50 /* a vector component is NaN or infinite */
} rhumb_status;

/* Why the last failing rhumb call of this thread failed. Owned by the library, one per thread. */
typedef struct rhumb_error {
    rhumb_status status;
    int32_t os_errno;     /* errno of the system call that failed, or 0 */
    uint64_t file_offset; /* byte of the file the message speaks of, or UINT64_MAX */
    char path[256];       /* the file the message speaks of (its end, if longer), or "" */
    char message[512];    /* what failed, where, what was expected and what was found; one line, no newline */
} rhumb_error;

/* How far apart two vectors are. Smaller is nearer in every metric. */
typedef enum rhumb_metric {
    RHUMB_METRIC_L2SQ = 1,  /* sum of (a-b)^2 */
    RHUMB_METRIC_L2 = 2,    /* square root of l2sq */
    RHUMB_METRIC_IP = 3,    /* 1 - dot(a, b); not a metric in the mathematical sense, may be negative */
    RHUMB_METRIC_COSINE = 4 /* 1 - cos(a, b); the cosine with a zero vector is taken as 0, so the distance is 1 */
} rhumb_metric;

/* What one component of a vector is. */
typedef enum rhumb_element {
    RHUMB_ELEMENT_F32 = 1 /* IEEE 754 binary32 */
} rhumb_element;

/* When an operation that has returned is safe from a power cut. */
typedef enum rhumb_durability {
    RHUMB_DURABILITY_FULL = 0,     /* at once */
    RHUMB_DURABILITY_INTERVAL = 1, /* a moment later; see rhumb_open_options.sync_interval_ms */
    RHUMB_DURABILITY_NONE = 2      /* with the next checkpoint: for bulk loading */
} rhumb_durability;

#if defined(__GNUC__) || defined(__clang__)
#define RHUMB_NODISCARD __attribute__((warn_unused_result))
#else
#define RHUMB_NODISCARD
#endif

#ifdef __cplusplus
}
#endif

#endif /* RHUMB_TYPES_H */
