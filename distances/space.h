/* space.h - a space: the metric, the element type and the dimension that all vectors of an index share, with the
 * kernels that measure in it.
 *
 * Vectors live in *rows*. A row begins with the vector's components exactly as the user gave them (unless they are to
 * be normalised; a sequence has its length before them); a metric may keep derived numbers after them (cosine keeps
 * the inverse norm), so that measuring touches one place in memory. storage/FORMAT.md has the layouts. Queries are
 * prepared into a row of their own. Kernels return a *raw* distance, ordered as the metric orders but cheaper (l2 works
 * on squares), and over all sizes of vectors, also where the metric's own value is more or less than f32 holds;
 * rhumb__space_finish turns the few that reach the user into that value.
 *
 * Immutable after rhumb__space_init; may be shared by any number of threads.
 */
#ifndef RHUMB_DISTANCES_SPACE_H
#define RHUMB_DISTANCES_SPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "include/rhumb_types.h"

/* How far from 1 the sum of probabilities may be: more than rounding causes, far less than forgetting to normalise. */
#define RHUMB__PROBABILITY_TOLERANCE 1e-3

typedef struct rhumb__space rhumb__space;

/* What a raw distance is. It follows from metric and element type and is the same for all instruction sets; raw.h has
 * what *packed* means. */
enum rhumb__raw_form {
    RHUMB__RAW_VALUE,    /* the metric's own value */
    RHUMB__RAW_SUM,      /* the same, packed for sums over f32 */
    RHUMB__RAW_SQUARE,   /* the square of the value, packed likewise */
    RHUMB__RAW_DOT,      /* the dot product, packed likewise, with its sign changed */
    RHUMB__RAW_WIDE_SUM, /* the value, packed for sums over f64 */
    RHUMB__RAW_WIDE_DOT  /* the dot product, packed for sums over f64 */
};

/* The raw distance between two prepared rows. Finite for all bytes that a file can have: NaN becomes FLT_MAX, so that
 * it sorts after everything. Reads `row_bytes` of each row and no byte more. */
typedef float (*rhumb__distance_fn)(const rhumb__space *space, const void *a, const void *b);

/* The raw distances from one prepared query to `count` rows, into `distances`. Same results as the single form, bit for
 * bit: the two share their summation order. */
typedef void (*rhumb__distance_many_fn)(const rhumb__space *space, const void *query, const void *const *rows,
                                        size_t count, float *distances);

/* The two forms of one kernel. */
typedef struct rhumb__kernels {
    rhumb__distance_fn distance;
    rhumb__distance_many_fn distance_many;
} rhumb__kernels;

struct rhumb__space {
    rhumb_metric metric;
    rhumb_element element;
    uint32_t dim;               /* components, 1 to RHUMB_DIM_MAX; of sequences, the most that there can be */
    uint32_t vector_bytes;      /* bytes of the components alone; of sequences, of a row */
    uint32_t caller_bytes;      /* from one vector of a caller to the next: vector_bytes, or of a rhumb_sequence */
    uint32_t norm_offset_bytes; /* where in a row the inverse norm is; cosine only */
    uint32_t row_bytes;         /* vector_bytes and what the metric keeps after them */
    uint32_t row_stride_bytes;  /* distance between rows in a section: row_bytes rounded up, see rhumb__stride_of */
    bool normalise;             /* vectors that do not sum to 1 are divided by their sums */
    bool of_sequences;          /* a vector of a caller is a rhumb_sequence */
    enum rhumb__raw_form raw_form;
    rhumb__distance_fn distance;
    rhumb__distance_many_fn distance_many;
    rhumb__kernels link;               /* by which nodes choose their neighbours: the two above, except under ip */
    rhumb_distance_fn custom_distance; /* of a custom metric */
    void *custom_context;
};

/* What a space is made of. */
typedef struct rhumb__space_spec {
    rhumb_metric metric;
    rhumb_element element;
    uint32_t dim;
    bool normalise;
    rhumb_distance_fn custom_distance;
    void *custom_context;
} rhumb__space_spec;

/* Fills `space` and picks the kernels for this machine (RHUMB_SIMD lowers the choice). RHUMB_E_INVALID: dim outside of
 * what the metric allows, normalise for a metric that is not between probabilities, or a metric or element type that
 * does not exist. RHUMB_E_UNSUPPORTED: the metric does not measure the element type. RHUMB_E_METRIC: a custom metric
 * without a function. */
rhumb_status rhumb__space_init(rhumb__space *space, const rhumb__space_spec *spec) RHUMB_NODISCARD;

/* The distance between rows of an array: row_bytes rounded up to 64, which lets a row begin with a cache line, where
 * that wastes at most an eighth of the row; else likewise to 16, which keeps it from straddling more lines than it
 * must; else to 4. */
uint32_t rhumb__stride_of(uint32_t row_bytes);

/* Checks a user's vector (any alignment) and writes its row (row_bytes; 8-byte alignment suffices). `vector` is an
 * array of components, or a rhumb_sequence under levenshtein. RHUMB_E_NOT_FINITE: a component is NaN or infinite;
 * RHUMB_E_DOMAIN: a component is negative under a metric that is not defined for it, or probabilities do not sum to 1;
 * RHUMB_E_INVALID: a sequence is too long. The message names the component. `row` is then unspecified.
 */
rhumb_status rhumb__space_prepare(const rhumb__space *space, const void *vector, void *row) RHUMB_NODISCARD;

/* The same for the first vector_bytes of a row, as the log keeps them, or for a whole row of a file. Nothing is
 * normalised again, and a sequence is in the form that rows have. `stored` may be at any address but not at `row`. */
rhumb_status rhumb__space_restore(const rhumb__space *space, const void *stored, void *row) RHUMB_NODISCARD;

/* Copies a row's vector to the caller: dim components (for bits, the bytes that hold them), or a sequence into the
 * rhumb_sequence at `vector`, whose elements point to room for `length` of them. RHUMB_E_INVALID: the room is too
 * small; `length` is then the number needed. */
rhumb_status rhumb__space_give(const rhumb__space *space, const void *row, void *vector) RHUMB_NODISCARD;

/* Whether two prepared rows hold the same vector: any third is equally far from both. Not whether their distance is 0,
 * which is not so for equal vectors under ip, and may be so for others. Thread-safe. */
bool rhumb__space_equal(const rhumb__space *space, const void *a, const void *b);

/* A hash of the vector in a prepared row: the same for equal vectors. Those who make the vectors cannot make hashes
 * equal without knowing `salt`. Thread-safe. */
uint64_t rhumb__space_hash(const rhumb__space *space, const void *row, uint64_t salt);

/* The metric's own value for a raw distance; FLT_MAX or -FLT_MAX where f32 does not hold it. */
float rhumb__space_finish(const rhumb__space *space, float raw_distance);

/* The largest raw distance within a value of the metric (for search within a radius): "raw <= rhumb__space_raw(d)" and
 * "rhumb__space_finish(raw) <= d" are equivalent. */
float rhumb__space_raw(const rhumb__space *space, float distance);

#endif /* RHUMB_DISTANCES_SPACE_H */
