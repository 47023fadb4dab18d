/* coder.h - a coder: turns the rows of a space into codes, and measures a query against codes instead of rows.
 *
 * A search that walks over codes touches a quarter or an eighth of the memory, and measures only its last candidates by
 * their rows. What measuring a code gives is an *estimate*: the raw distance, in the form that the space's own have,
 * between the vector that the query was turned into and the vector that the code stands for (code.h). It is right to
 * the precision of f32 for these two, the same bits for every instruction set, and never NaN. How far it may be from
 * the raw distance of the rows themselves is in error.h.
 *
 * Immutable after rhumb__coder_init; may be shared by any number of threads. All functions but that one cannot fail.
 */
#ifndef RHUMB_DISTANCES_CODE_CODER_H
#define RHUMB_DISTANCES_CODE_CODER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "distances/code/code.h"
#include "distances/space.h"

typedef struct rhumb__coder rhumb__coder;
struct rhumb__element_info;

/* Codes that lie one after another, and which of them to measure. */
typedef struct rhumb__code_slots {
    const void *base; /* of the code of slot 0; others follow at code_stride_bytes */
    const uint32_t *slots;
    size_t count;
} rhumb__code_slots;

/* Writes the code (code_bytes, any alignment) of a prepared row. Every byte is written, and rows with the same
 * components have the same code. A row that is not finite, which only a damaged file has, gets a code that is at the
 * largest distance from everything. */
typedef void (*rhumb__code_encode_fn)(const rhumb__coder *coder, const void *row, void *code);

/* Writes the query (query_bytes; 8-byte alignment, best 64) for a prepared row. */
typedef void (*rhumb__code_prepare_fn)(const rhumb__coder *coder, const void *row, void *query);

/* The estimate for one code. Reads code_bytes and no byte more, whatever they are. */
typedef float (*rhumb__code_measure_fn)(const rhumb__coder *coder, const void *query, const void *code);

/* The estimates for `count` codes, into `distances`: the same bits as one by one. Prefetches the codes that come next.
 */
typedef void (*rhumb__code_measure_many_fn)(const rhumb__coder *coder, const void *query, const void *const *codes,
                                            size_t count, float *distances);

/* The same for codes in an array. Slots are not checked. */
typedef void (*rhumb__code_measure_slots_fn)(const rhumb__coder *coder, const void *query,
                                             const rhumb__code_slots *slots, float *distances);

/* The three forms of one kernel. */
typedef struct rhumb__code_kernels {
    rhumb__code_measure_fn measure;
    rhumb__code_measure_many_fn measure_many;
    rhumb__code_measure_slots_fn measure_slots;
} rhumb__code_kernels;

/* What turns rows into codes and queries. */
typedef struct rhumb__code_encoders {
    rhumb__code_encode_fn encode;
    rhumb__code_prepare_fn prepare;
} rhumb__code_encoders;

struct rhumb__coder {
    rhumb_metric metric;
    rhumb_element element;
    const struct rhumb__element_info *element_info; /* distances/element.h */
    enum rhumb__raw_form raw_form;                  /* of the space, and of the estimates */
    uint32_t dim;
    uint32_t bits; /* of a digit: 8 or 4 */
    uint32_t digits_bytes;
    uint32_t constants_offset_bytes;
    uint32_t code_bytes;
    uint32_t code_stride_bytes; /* distance between codes in an array: code_bytes rounded up as rows are */
    uint32_t query_bytes;
    uint32_t ahead_count; /* how many places ahead in a list codes are prefetched */
    rhumb__code_encoders encoders;
    rhumb__code_kernels kernels;
};

/* The instructions that kernels of codes are written for, each a superset of those before it, except that AVX2_VNNI and
 * AVX512 have nothing to do with each other. */
typedef enum rhumb__code_set {
    RHUMB__CODE_SCALAR,
    RHUMB__CODE_AVX2,
    RHUMB__CODE_AVX2_VNNI,
    RHUMB__CODE_AVX512,
    RHUMB__CODE_AVX512_VNNI
} rhumb__code_set;

enum { RHUMB__CODE_SET_COUNT = RHUMB__CODE_AVX512_VNNI + 1 };

/* Fills `coder` with sizes and with the kernels for this machine (RHUMB_SIMD lowers the choice; base/cpu.h).
 * RHUMB_E_UNSUPPORTED: the space's metric is not l2, l2sq, ip or cosine, or its element type not a float.
 * RHUMB_E_INVALID: `bits` is neither 8 nor 4. */
rhumb_status rhumb__coder_init(rhumb__coder *coder, const rhumb__space *space, uint32_t bits) RHUMB_NODISCARD;

/* Returns the squared length of what a code decodes to, before cosine makes it 1. Not a number, or infinite, if the
 * bytes of the code say so. */
static inline double rhumb__coder_square(const rhumb__coder *coder, const void *code) {
    const rhumb__code_constants c = rhumb__code_read_constants(code, coder->constants_offset_bytes);
    return coder->dim * (c.origin * c.origin) + 2.0 * c.origin * c.step * c.sum + c.step * c.step * c.squares;
}

/* Replaces the coder's kernels by those of `set`, or by plain C where this build has none for it. Does not check the
 * processor. For tests and benchmarks. */
void rhumb__coder_use(rhumb__coder *coder, rhumb__code_set set);

/* "scalar", "avx2", "avx2_vnni", "avx512" or "avx512_vnni". */
const char *rhumb__code_set_name(rhumb__code_set set);

/* Whether this processor has the instructions, regardless of RHUMB_SIMD. */
bool rhumb__code_set_runs(rhumb__code_set set);

#endif /* RHUMB_DISTANCES_CODE_CODER_H */
