/* rhumb_types.h - the types that every layer of rhumb shares and that its public interface exposes.
 *
 * Include rhumb.h; it includes this file. The numbers of every enumeration here are part of the ABI, and those of
 * rhumb_metric and rhumb_element are written into index files: they are never reused and never change.
 */

/* METRICS
 *   Formulas for vectors a and b with components a[i] and b[i], and the element types that each metric measures:
 *
 *   l2sq            sum (a - b)^2                                      f32 f64 f16 bf16 i8 u8 i16 u16 i32 u32 i64
 *   l2              sqrt(l2sq)                                         the same
 *   l1              sum |a - b|                                        the same
 *   ip              1 - sum a b                                        f32 f64 f16 bf16 i8 u8 u16 i32 i64
 *   cosine          1 - sum a b / (|a| |b|); 1 with a zero vector      the same
 *   hamming         components that differ / dim                       u8 u16 u32 u64 i16 i32 f32 f64 b1
 *   jaccard         1 - sum min(a, b) / sum max(a, b); of bits         u8 u16 u32 f32 b1
 *                   1 - |a and b| / |a or b|; 0 of two zero vectors
 *   hellinger       sqrt(1 - sum sqrt(a b))                            f32 f64
 *   jeffreys        sum (a - b) ln(max(a, 1e-30) / max(b, 1e-30))      f32 f64
 *   jensen_shannon  sqrt(1/2 sum (a ln(a / m) + b ln(b / m))),         f32 f64
 *                   m = (a + b) / 2, 0 ln 0 = 0
 *   levenshtein     fewest insertions, deletions and substitutions     u8 u16; sequences of 0 to dim elements, dim at
 *                   of one element that turn a into b                  most 16,384
 *   custom          what the caller's function returns                 all
 *
 *   Ranges       l1, l2, l2sq, jeffreys, levenshtein from 0; cosine 0 to 2; hamming, jaccard, hellinger 0 to 1;
 *                jensen_shannon 0 to sqrt(ln 2); ip any number. All are 0 for a vector and itself (cosine and ip up to
 *                rounding, and ip only for vectors of length 1). l1, l2, hamming, jaccard, hellinger, jensen_shannon
 *                and levenshtein satisfy the triangle inequality.
 *   Results      are f32. A distance that f32 cannot hold is FLT_MAX (or -FLT_MAX), never infinite or NaN.
 *   Precision    Integers of 8 and 16 bits are summed exactly. Those of 32 and 64 bits, f64, and all types under
 *                jaccard, hellinger, jeffreys and jensen_shannon are summed in double; differences of 64-bit integers
 *                are exact before that. f32, f16 and bf16 are summed in f32 or wider. No integer overflows at any
 *                dimension.
 *   Domain       Floats must be finite (RHUMB_E_NOT_FINITE). Under jaccard no component may be negative. Under
 *                hellinger, jeffreys and jensen_shannon vectors are probabilities: not negative, with a sum of 1 within
 *                0.001. With rhumb_index_options.normalise they are divided by their sum instead, which must not be 0.
 *                Anything else is RHUMB_E_DOMAIN. The same applies to queries. hellinger is computed as
 *                sqrt(1/2 sum (sqrt a - sqrt b)^2), which is the same for probabilities, and 0 for a vector and itself
 *                whatever its sum.
 *   Sequences    are compared at their own lengths.
 *   Custom       The function's name is stored in the file. A program that opens, repairs or compacts the index
 *                supplies a function under the same name (rhumb_open_options.custom_name); otherwise it gets
 *                RHUMB_E_METRIC. The function receives stored vectors, aligned as their type requires, and queries as
 *                an aligned copy.
 */
#ifndef RHUMB_TYPES_H
#define RHUMB_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a call that can fail returns. Zero is success; every failure is negative. rhumb_error_last has the details. */
typedef enum rhumb_status {
    RHUMB_OK = 0,

    RHUMB_E_INVALID = -1,     /* an argument is outside the documented range */
    RHUMB_E_NOMEM = -2,       /* memory or address space could not be allocated */
    RHUMB_E_IO = -3,          /* the operating system reported an error; rhumb_error.os_errno has its number */
    RHUMB_E_NOSPACE = -4,     /* the disk or a quota is full; the last checkpoint is intact */
    RHUMB_E_FULL = -5,        /* a limit of the index itself is reached: slots, or room in the address space */
    RHUMB_E_CANCELLED = -6,   /* the caller's progress callback asked to stop */
    RHUMB_E_UNSUPPORTED = -7, /* this build or this index cannot do it */

    RHUMB_E_CORRUPT = -10,      /* the file contradicts itself or its checksums */
    RHUMB_E_VERSION = -11,      /* the file is of another format version, or needs features this rhumb does not know */
    RHUMB_E_TRUNCATED = -12,    /* the file is shorter than its content requires */
    RHUMB_E_NOT_AN_INDEX = -13, /* the file does not begin like a rhumb file */
    RHUMB_E_LOG = -14,          /* the log does not belong to the index, or operations between the two are missing */

    RHUMB_E_LOCKED = -20,   /* another handle, here or in another process, is writing this index */
    RHUMB_E_READONLY = -21, /* the index was opened read-only */
    RHUMB_E_STALE = -22,    /* the handle was refreshed or compacted since the cursor was opened; open another cursor */
    RHUMB_E_FORKED = -23,   /* the handle belongs to a process that this one was forked from; open the index here */
    RHUMB_E_FATAL = -30,    /* a failure to write made this handle read-only for good; close it and open it again */

    RHUMB_E_NOTFOUND = -40,   /* no such key, or no such file */
    RHUMB_E_EXISTS = -41,     /* the key, or the file, exists */
    RHUMB_E_NOT_FINITE = -50, /* a vector component is NaN or infinite */
    RHUMB_E_DOMAIN = -51,     /* the metric is not defined for the vector: negative, or not probabilities */
    RHUMB_E_METRIC = -52      /* the index's custom metric was not supplied, or only one of another name */
} rhumb_status;

/* Why the last call that failed in this thread did so. Owned by the library, one per thread. */
typedef struct rhumb_error {
    rhumb_status status;  /* What the call returned. */
    int32_t os_errno;     /* The errno of the system call that failed, or 0. */
    uint64_t file_offset; /* The byte of the file that the message is about, or UINT64_MAX. */
    char path[256];       /* The file that the message is about (the end of its path, if longer), or "". */
    char message[512];    /* What failed, where, what was expected and what was found; one line without newline. */
} rhumb_error;

#define RHUMB_DIM_MAX 65535u /* largest dimension */

#define RHUMB_KEY_NONE UINT64_MAX /* in answers, a place without a result; so it cannot be the key of a vector */

/* How the distance of two vectors is measured. Smaller is nearer in every metric. METRICS, at the top of this
 * file, has the formulas, and which element types each metric measures. */
typedef enum rhumb_metric {
    RHUMB_METRIC_L2SQ = 1,
    RHUMB_METRIC_L2 = 2,
    RHUMB_METRIC_IP = 3,
    RHUMB_METRIC_COSINE = 4,
    RHUMB_METRIC_L1 = 5,
    RHUMB_METRIC_HAMMING = 6,
    RHUMB_METRIC_JACCARD = 7,
    RHUMB_METRIC_HELLINGER = 8,
    RHUMB_METRIC_JEFFREYS = 9,
    RHUMB_METRIC_JENSEN_SHANNON = 10,
    RHUMB_METRIC_LEVENSHTEIN = 11,
    RHUMB_METRIC_CUSTOM = 12
} rhumb_metric;

/* The type of a component. Numbers are in the byte order of the processor, little-endian. */
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

/* Which codes an index keeps of its vectors: short forms that walks measure in place of the vectors. What a search
 * returns is measured by the vectors all the same: distances are exact. Codes exist for floats under l2, l2sq, ip and
 * cosine. */
typedef enum rhumb_codes {
    RHUMB_CODES_DEFAULT = 0, /* 8 bits where that makes codes at most half as long as vectors; otherwise none */
    RHUMB_CODES_NONE = 1,
    RHUMB_CODES_4BIT = 4, /* 4 bits for each component: half the memory, and more vectors to measure */
    RHUMB_CODES_8BIT = 8  /* 8 bits for each component, and 24 bytes */
} rhumb_codes;

/* Whether an index keeps fused rows: for each vector its code and short codes of its neighbours in one place, so that a
 * step of a search reads that place alone. They take up to M0 * dim / 8 bytes per vector for each bit, and need codes.
 * Compactions make them, batches that fill an index, and the background thread for vectors that come later and, again,
 * where many lists of neighbours have changed. Until a checkpoint, rows that are made again take memory of the process,
 * an eighth of what it may use at most; a close writes them. */
typedef enum rhumb_fused {
    RHUMB_FUSED_DEFAULT = 0, /* none */
    RHUMB_FUSED_1BIT = 1,    /* 1 bit for each component of a neighbour: for some 200 components and more */
    RHUMB_FUSED_2BIT = 2,    /* 2 bits: for fewer */
    RHUMB_FUSED_NONE = 3
} rhumb_fused;

/* A custom metric: returns the distance of two vectors of `dim` components (bits, under RHUMB_ELEMENT_B1).
 *
 * `context` is what was supplied with the function. It is called by several threads at the same time, must return the
 * same for the same vectors, and should be symmetric. NaN and infinity are taken as farther than any other distance. */
typedef float (*rhumb_distance_fn)(const void *a, const void *b, uint32_t dim, void *context);

/* A vector under RHUMB_METRIC_LEVENSHTEIN. */
typedef struct rhumb_sequence {
    const void *elements; /* The elements; may be NULL if length is 0. */
    uint32_t length;      /* Their number, 0 to the index's dim. */
} rhumb_sequence;

/* When an operation is safe from a crash and from a power cut; rhumb.h has a table. */
typedef enum rhumb_durability {
    RHUMB_DURABILITY_FULL = 0,     /* when it returns */
    RHUMB_DURABILITY_INTERVAL = 1, /* rhumb_open_options.sync_interval_ms later */
    RHUMB_DURABILITY_NONE = 2      /* at the next checkpoint: for bulk loading */
} rhumb_durability;

/* How severe a message is; see rhumb_log_set. */
typedef enum rhumb_log_level {
    RHUMB_LOG_ERROR = 1,   /* a failure that no call returns, after which the handle accepts no more writes */
    RHUMB_LOG_WARNING = 2, /* a failure in the background that is retried or worked around */
    RHUMB_LOG_INFO = 3,    /* work that ended: recovery, checkpoints, compactions */
    RHUMB_LOG_DEBUG = 4    /* work that begins */
} rhumb_log_level;

/* Receives a message: one line without newline, valid during the call.
 *
 * It is called on any thread, on several at the same time, and while the library holds locks: it must be quick and must
 * not call functions of this library. */
typedef void (*rhumb_log_fn)(void *context, rhumb_log_level level, const char *message);

/* Receives the progress of a call: how much of how much has been done, in the unit that the call's options name.
 *
 * It is called about ten times a second and once at the end, by one thread at a time. Return false to stop; the call
 * then returns RHUMB_E_CANCELLED. It must not call functions that change the index or make a checkpoint. */
typedef bool (*rhumb_progress_fn)(void *context, uint64_t done_count, uint64_t total_count);

#if defined(__GNUC__) || defined(__clang__)
#define RHUMB_NODISCARD __attribute__((warn_unused_result))
#else
#define RHUMB_NODISCARD
#endif

#ifdef __cplusplus
}
#endif

#endif /* RHUMB_TYPES_H */
