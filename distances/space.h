/* space.h - a space: the metric, the element type and the dimension that all vectors of an index share, with the
 * kernels that measure in it.
 *
 * Vectors live in *rows*. A row begins with the vector's components exactly as the user gave them; a metric may keep
 * derived numbers behind them (cosine keeps the inverse norm), so that measuring touches one place in memory. Queries
 * are prepared into a row of their own. Kernels return a *raw* distance, ordered as the metric orders but cheaper (l2
 * works on squares); rhumb__space_finish turns the few that reach the user into the metric's own value.
 *
 * Immutable after rhumb__space_init; may be shared by any number of threads.
 */
#ifndef RHUMB_DISTANCES_SPACE_H
#define RHUMB_DISTANCES_SPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rhumb_types.h"

#define RHUMB_DIM_MAX 65535u

typedef struct rhumb__space rhumb__space;

/* The raw distance between two prepared rows. Never NaN: what would be NaN or above FLT_MAX is FLT_MAX, and what would
 * be below -FLT_MAX is -FLT_MAX, so that any bytes read from a file still sort. Reads `row_bytes` of each row and no
 * byte more. */
typedef float (*rhumb__distance_fn)(const rhumb__space *space, const void *a, const void *b);

/* The raw distances from one prepared query to `count` rows, into `distances`. Same results as the single form, bit for
 * bit: the two share their summation order. */
typedef void (*rhumb__distance_many_fn)(const rhumb__space *space, const void *query, const void *const *rows,
                                        size_t count, float *distances);

struct rhumb__space {
    rhumb_metric metric;
    rhumb_element element;
    uint32_t dim;              /* components, 1 to RHUMB_DIM_MAX */
    uint32_t vector_bytes;     /* bytes of the components alone */
    uint32_t row_bytes;        /* vector_bytes and what the metric keeps behind them */
    uint32_t row_stride_bytes; /* distance between rows in a section: row_bytes rounded up, see rhumb__space_init */
    rhumb__distance_fn distance;
    rhumb__distance_many_fn distance_many;
};

/* Fills `space` and picks the kernels for this machine (RHUMB_SIMD lowers the choice). The stride is row_bytes rounded
 * up to 64 where that wastes at most an eighth of the row, to 16 or 4 otherwise. RHUMB_E_INVALID: dim
 * outside 1..RHUMB_DIM_MAX, or a metric or element type that does not exist. RHUMB_E_UNSUPPORTED: both exist, but not
 * together. */
rhumb_status rhumb__space_init(rhumb__space *space, rhumb_metric metric, rhumb_element element,
                               uint32_t dim) RHUMB_NODISCARD;

/* Checks a user's vector (any alignment) and writes its row (row_bytes; 4-byte alignment suffices).
 * RHUMB_E_NOT_FINITE: a component is NaN or infinite; the message names the component. `row` is then unspecified. */
rhumb_status rhumb__space_prepare(const rhumb__space *space, const void *vector, void *row) RHUMB_NODISCARD;

/* The metric's own value for a raw distance: the square root for l2, the number itself otherwise. */
float rhumb__space_finish(const rhumb__space *space, float raw_distance);

/* The raw distance for a value of the metric, the inverse of the above (for search within a radius). */
float rhumb__space_raw(const rhumb__space *space, float distance);

/* "l2sq", "cosine"...; "f32"...; NULL for numbers that name nothing. */
const char *rhumb__metric_name(rhumb_metric metric);
const char *rhumb__element_name(rhumb_element element);

/* The inverse; 0 where the text names nothing. Accepts "euclidean" for l2, "angular" for cosine and "dot" for ip as
 * well, the words of ann-benchmarks and of the origin. */
rhumb_metric rhumb__metric_from_name(const char *name);
rhumb_element rhumb__element_from_name(const char *name);

#endif /* RHUMB_DISTANCES_SPACE_H */
