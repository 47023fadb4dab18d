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

    RHUMB_E_NOTFOUND = -40,   /* no such key, or no such file */
    RHUMB_E_EXISTS = -41,     /* that key, or that file, is there already */
    RHUMB_E_NOT_FINITE = -50, /* a vector component is NaN or infinite */
    RHUMB_E_DOMAIN = -51,     /* the metric is not defined for such a vector: negative, or no probabilities */
    RHUMB_E_METRIC = -52      /* the index's custom metric was not supplied, or one of another name */
} rhumb_status;

/* Why the last failing rhumb call of this thread failed. Owned by the library, one per thread. */
typedef struct rhumb_error {
    rhumb_status status;
    int32_t os_errno;     /* errno of the system call that failed, or 0 */
    uint64_t file_offset; /* byte of the file the message speaks of, or UINT64_MAX */
    char path[256];       /* the file the message speaks of (its end, if longer), or "" */
    char message[512];    /* what failed, where, what was expected and what was found; one line, no newline */
} rhumb_error;

#define RHUMB_DIM_MAX 65535u /* largest dimension */

/* How far apart two vectors are. Smaller is nearer in every metric. rhumb.h has the formulas, and which metric measures
 * which element types. */
typedef enum rhumb_metric {
    RHUMB_METRIC_L2SQ = 1,            /* sum of (a-b)^2 */
    RHUMB_METRIC_L2 = 2,              /* square root of l2sq */
    RHUMB_METRIC_IP = 3,              /* 1 - dot(a, b); not a metric in the mathematical sense, may be negative */
    RHUMB_METRIC_COSINE = 4,          /* 1 - cos(a, b); the cosine with a zero vector is taken as 0 */
    RHUMB_METRIC_L1 = 5,              /* sum of |a-b| */
    RHUMB_METRIC_HAMMING = 6,         /* share of the components that differ */
    RHUMB_METRIC_JACCARD = 7,         /* 1 - sum of min(a, b) / sum of max(a, b) */
    RHUMB_METRIC_HELLINGER = 8,       /* square root of 1 - sum of sqrt(a b), for probabilities */
    RHUMB_METRIC_JEFFREYS = 9,        /* sum of (a-b) ln(a/b), for probabilities */
    RHUMB_METRIC_JENSEN_SHANNON = 10, /* square root of the Jensen-Shannon divergence, for probabilities */
    RHUMB_METRIC_LEVENSHTEIN = 11,    /* fewest insertions, deletions and substitutions between two sequences */
    RHUMB_METRIC_CUSTOM = 12          /* a function of the caller's */
} rhumb_metric;

/* What one component of a vector is. Numbers are those of the processor, little-endian. */
typedef enum rhumb_element {
    RHUMB_ELEMENT_F32 = 1,  /* IEEE 754 binary32 */
    RHUMB_ELEMENT_F64 = 2,  /* IEEE 754 binary64 */
    RHUMB_ELEMENT_F16 = 3,  /* IEEE 754 binary16 */
    RHUMB_ELEMENT_BF16 = 4, /* the upper half of an f32 */
    RHUMB_ELEMENT_I8 = 5,
    RHUMB_ELEMENT_U8 = 6,
    RHUMB_ELEMENT_I16 = 7,
    RHUMB_ELEMENT_U16 = 8,
    RHUMB_ELEMENT_I32 = 9,
    RHUMB_ELEMENT_U32 = 10,
    RHUMB_ELEMENT_I64 = 11,
    RHUMB_ELEMENT_U64 = 12,
    RHUMB_ELEMENT_B1 = 13 /* one bit; component i is bit i % 8 (of value 1 << i % 8) of byte i / 8 */
} rhumb_element;

/* A custom metric: the distance of two vectors of `dim` components (under RHUMB_ELEMENT_B1 `dim` bits). `context` is
 * what was given with the function. It is called by many threads at once, must give the same for the same vectors, and
 * should be symmetric. NaN and what f32 cannot hold count as farther than everything else. */
typedef float (*rhumb_distance_fn)(const void *a, const void *b, uint32_t dim, void *context);

/* What a vector is under RHUMB_METRIC_LEVENSHTEIN: `length` elements, 0 to the index's dim. */
typedef struct rhumb_sequence {
    const void *elements; /* may be NULL when length is 0 */
    uint32_t length;
} rhumb_sequence;

/* When an operation that has returned is safe from a power cut. */
typedef enum rhumb_durability {
    RHUMB_DURABILITY_FULL = 0,     /* at once */
    RHUMB_DURABILITY_INTERVAL = 1, /* a moment later; see rhumb_open_options.sync_interval_ms */
    RHUMB_DURABILITY_NONE = 2      /* with the next checkpoint: for bulk loading */
} rhumb_durability;

/* How much a message of the library matters; see rhumb_log_set. */
typedef enum rhumb_log_level {
    RHUMB_LOG_ERROR = 1,   /* something failed that no call returns to anybody, and the handle accepts no more writes */
    RHUMB_LOG_WARNING = 2, /* something failed in the background that is tried again, or is done in another way */
    RHUMB_LOG_INFO = 3,    /* what was done: recovery, checkpoints, compactions */
    RHUMB_LOG_DEBUG = 4    /* what begins */
} rhumb_log_level;

/* Is told a message: one line, no newline, valid during the call. Called on any thread, on several at once, and while
 * the library holds locks: it must be quick, and must not call functions of this library. */
typedef void (*rhumb_log_fn)(void *context, rhumb_log_level level, const char *message);

#if defined(__GNUC__) || defined(__clang__)
#define RHUMB_NODISCARD __attribute__((warn_unused_result))
#else
#define RHUMB_NODISCARD
#endif

#ifdef __cplusplus
}
#endif

#endif /* RHUMB_TYPES_H */
