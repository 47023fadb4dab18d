/* coder.c - makes a coder: which spaces have codes, how large these are, and the table of kernels by instruction set.
 *
 * A coder is immutable once made, and so is the table; there are no locks. Fails only for arguments that have no codes.
 */
#include "distances/code/coder.h"

#include "base/assert.h"
#include "base/bits.h"
#include "base/cpu.h"
#include "base/status.h"
#include "distances/code/code.h"
#include "distances/code/encode_kernels.h"
#include "distances/code/measure_kernels.h"
#include "distances/element.h"
#include "distances/metric.h"

/* The kernels for one set of instructions. */
struct entry {
    const rhumb__code_encoders *encoders;
    const rhumb__code_kernels *of_8, *of_4;
};

#define ENTRY(set, encoders)                                                                                           \
    { &rhumb__code_encoders_##encoders, &rhumb__code_measure_8_##set, &rhumb__code_measure_4_##set }

static const struct entry TABLE[RHUMB__CODE_SET_COUNT] = {
    [RHUMB__CODE_SCALAR] = ENTRY(scalar, scalar),
#if defined(__x86_64__)
    [RHUMB__CODE_AVX2] = ENTRY(avx2, avx2),       [RHUMB__CODE_AVX2_VNNI] = ENTRY(avx2_vnni, avx2),
    [RHUMB__CODE_AVX512] = ENTRY(avx512, avx512), [RHUMB__CODE_AVX512_VNNI] = ENTRY(avx512_vnni, avx512),
#endif
};

/* The tier that a set belongs to. */
static rhumb__simd tier_of(rhumb__code_set set) {
    if (set == RHUMB__CODE_SCALAR) return RHUMB__SIMD_SCALAR;
    return set <= RHUMB__CODE_AVX2_VNNI ? RHUMB__SIMD_AVX2 : RHUMB__SIMD_AVX512;
}

static bool has_vnni(rhumb__code_set set) { return set == RHUMB__CODE_AVX2_VNNI || set == RHUMB__CODE_AVX512_VNNI; }

bool rhumb__code_set_runs(rhumb__code_set set) {
    return tier_of(set) <= rhumb__cpu_simd_best() && (!has_vnni(set) || rhumb__cpu_has_vnni_of(tier_of(set)));
}

const char *rhumb__code_set_name(rhumb__code_set set) {
    static const char *const NAMES[RHUMB__CODE_SET_COUNT] = {"scalar", "avx2", "avx2_vnni", "avx512", "avx512_vnni"};
    return (unsigned)set < RHUMB__CODE_SET_COUNT ? NAMES[set] : "unknown";
}

/* The best set that may be used. */
static rhumb__code_set set_in_use(void) {
    const bool vnni = rhumb__cpu_has_vnni();
    switch (rhumb__cpu_simd()) {
    case RHUMB__SIMD_AVX512: return vnni ? RHUMB__CODE_AVX512_VNNI : RHUMB__CODE_AVX512;
    case RHUMB__SIMD_AVX2: return vnni ? RHUMB__CODE_AVX2_VNNI : RHUMB__CODE_AVX2;
    default: return RHUMB__CODE_SCALAR;
    }
}

/* The metrics and element types that have codes. */
static bool has_codes(const rhumb__space *space) {
    const bool is_metric = space->metric == RHUMB_METRIC_L2 || space->metric == RHUMB_METRIC_L2SQ ||
                           space->metric == RHUMB_METRIC_IP || space->metric == RHUMB_METRIC_COSINE;
    return is_metric && rhumb__element_is_float(space->element);
}

/* About 32 cache lines in flight, a little more than processors can have, and no fewer codes than are measured at once.
 * Measured at 80 to 832 bytes a code, from 200 MB: half as many or twice as many are up to a quarter slower. */
static uint32_t ahead_count_of(uint32_t code_stride_bytes) {
    const uint32_t count = (uint32_t)rhumb__round_down(2048 / code_stride_bytes, 4);
    return count < 4 ? 4 : count > 16 ? 16 : count;
}

rhumb_status rhumb__coder_init(rhumb__coder *coder, const rhumb__space *space, uint32_t bits) {
    if (bits != 8 && bits != 4)
        return rhumb__fail(RHUMB_E_INVALID, "codes of %u bits a component, expected 8 or 4", (unsigned)bits);
    if (!has_codes(space))
        return rhumb__fail(RHUMB_E_UNSUPPORTED, "there are no codes for vectors of %s under %s",
                           rhumb__element_name(space->element), rhumb__metric_name(space->metric));
    const uint32_t code_bytes = rhumb__code_bytes(bits, space->dim);
    *coder = (rhumb__coder){
        .metric = space->metric,
        .element = space->element,
        .element_info = rhumb__element_info(space->element),
        .raw_form = space->raw_form,
        .dim = space->dim,
        .bits = bits,
        .digits_bytes = rhumb__code_digits_bytes(bits, space->dim),
        .constants_offset_bytes = rhumb__code_constants_offset(bits, space->dim),
        .code_bytes = code_bytes,
        .code_stride_bytes = rhumb__stride_of(code_bytes),
        .query_bytes = (uint32_t)rhumb__code_query_bytes(bits, space->dim),
        .ahead_count = ahead_count_of(rhumb__stride_of(code_bytes)),
    };
    rhumb__coder_use(coder, set_in_use());
    return RHUMB_OK;
}

void rhumb__coder_use(rhumb__coder *coder, rhumb__code_set set) {
    RHUMB_ASSERT((unsigned)set < RHUMB__CODE_SET_COUNT);
    const struct entry *entry = &TABLE[set];
    if (entry->encoders == NULL) entry = &TABLE[RHUMB__CODE_SCALAR];
    coder->encoders = *entry->encoders;
    coder->kernels = coder->bits == 8 ? *entry->of_8 : *entry->of_4;
}
