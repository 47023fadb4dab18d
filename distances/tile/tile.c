/* tile.c - sets up tilers, chooses their kernels by instruction set, and packs codes; see tile.h.
 *
 * There are two ways to pack. Digits of bytes are multiplied as VNNI does it, those of columns as they are and those of
 * rows less their centre; the sum then has too much what a row's digits add up to, its bias. Without VNNI both are
 * widened to 16 bits, less their centre.
 *
 * No state, no locks. Fails only for a coder that has no digits of 8 bits.
 */
#include "distances/tile/tile.h"

#include <math.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "base/status.h"
#include "distances/tile/tile_kernels.h"

#define CENTRE 128

static rhumb__tile_set set_in_use(void) {
    switch (rhumb__cpu_simd()) {
    case RHUMB__SIMD_AVX512: return rhumb__cpu_has_vnni() ? RHUMB__TILE_AVX512_VNNI : RHUMB__TILE_AVX512;
    case RHUMB__SIMD_AVX2: return RHUMB__TILE_AVX2;
    default: return RHUMB__TILE_SCALAR;
    }
}

const char *rhumb__tile_set_name(rhumb__tile_set set) {
    static const char *const NAMES[RHUMB__TILE_SET_COUNT] = {"scalar", "avx2", "avx512", "avx512_vnni"};
    return (unsigned)set < RHUMB__TILE_SET_COUNT ? NAMES[set] : "unknown";
}

bool rhumb__tile_set_runs(rhumb__tile_set set) {
    switch (set) {
    case RHUMB__TILE_SCALAR: return true;
    case RHUMB__TILE_AVX2: return rhumb__cpu_simd_best() >= RHUMB__SIMD_AVX2;
    case RHUMB__TILE_AVX512: return rhumb__cpu_simd_best() >= RHUMB__SIMD_AVX512;
    default: return rhumb__cpu_simd_best() >= RHUMB__SIMD_AVX512 && rhumb__cpu_has_vnni_of(RHUMB__SIMD_AVX512);
    }
}

void rhumb__tiler_use(rhumb__tiler *tiler, rhumb__tile_set set) {
    static const rhumb__tile_fn KERNELS[RHUMB__TILE_SET_COUNT] = {
        [RHUMB__TILE_SCALAR] = rhumb__tile_compute_scalar,
#if defined(__x86_64__)
        [RHUMB__TILE_AVX2] = rhumb__tile_compute_avx2,
        [RHUMB__TILE_AVX512] = rhumb__tile_compute_avx512,
        [RHUMB__TILE_AVX512_VNNI] = rhumb__tile_compute_avx512_vnni,
#endif
    };
    RHUMB_ASSERT((unsigned)set < RHUMB__TILE_SET_COUNT);
    if (KERNELS[set] == NULL) set = RHUMB__TILE_SCALAR;
    tiler->compute = KERNELS[set];
    tiler->widened = set == RHUMB__TILE_AVX2 || set == RHUMB__TILE_AVX512;
    const uint32_t digit_bytes = tiler->widened ? 2 : 1;
    tiler->group_count = (uint32_t)rhumb__divide_up(tiler->coder->dim * digit_bytes, RHUMB__TILE_GROUP_BYTES);
    tiler->point_bytes = tiler->group_count * RHUMB__TILE_GROUP_BYTES;
    tiler->panel_bytes = tiler->point_bytes * RHUMB__TILE_COLUMNS;
}

rhumb_status rhumb__tiler_init(rhumb__tiler *tiler, const rhumb__coder *coder) {
    if (coder->bits != 8)
        return rhumb__fail(RHUMB_E_UNSUPPORTED, "tiles need codes of 8 bits, found %u", (unsigned)coder->bits);
    *tiler = (rhumb__tiler){.coder = coder, .links_ip = coder->metric == RHUMB_METRIC_IP};
    rhumb__tiler_use(tiler, set_in_use());
    return RHUMB_OK;
}

/* ---- packing ---- */

static rhumb__tile_constants constants_of(const rhumb__tiler *tiler, const void *code) {
    const rhumb__code_constants c = rhumb__code_read_constants(code, tiler->coder->constants_offset_bytes);
    rhumb__tile_constants constants = {.origin = (float)c.origin,
                                       .step = (float)c.step,
                                       .weighted = (float)(c.step * c.sum),
                                       .square = (float)(c.step * c.step * c.squares),
                                       .bias = tiler->widened ? 0 : (int32_t)((uint32_t)c.sum * CENTRE)};
    if (tiler->links_ip) {
        constants.square = (float)rhumb__coder_square(tiler->coder, code);
        constants.root = sqrtf(sqrtf(constants.square));
    }
    return constants;
}

void rhumb__tile_pack_row(const rhumb__tiler *tiler, const void *code, uint8_t *row, rhumb__tile_constants *constants) {
    const uint32_t dim = tiler->coder->dim;
    const uint8_t *digits = code;
    *constants = constants_of(tiler, code);
    if (tiler->widened) {
        int16_t *numbers = (int16_t *)(void *)row;
        for (uint32_t i = 0; i < dim; i++) numbers[i] = (int16_t)(digits[i] - CENTRE);
        if (dim % 2 != 0) numbers[dim] = 0;
        return;
    }
    for (uint32_t i = 0; i < dim; i++) row[i] = (uint8_t)(digits[i] ^ CENTRE); /* a signed byte less the centre */
    memset(row + dim, 0, tiler->point_bytes - dim);
}

/* Columns that are packed together: their groups fill a cache line. */
enum { PACKED_COLUMNS = 16 };

/* One group of a code. */
static uint32_t group_of(const rhumb__tiler *tiler, const uint8_t *digits, uint32_t group) {
    const uint32_t dim = tiler->coder->dim;
    const uint32_t first = group * (tiler->widened ? 2 : 4);
    uint8_t bytes[RHUMB__TILE_GROUP_BYTES] = {0};
    int16_t numbers[RHUMB__TILE_GROUP_BYTES / 2] = {0};
    uint32_t packed;
    if (tiler->widened) {
        for (uint32_t i = 0; i < 2 && first + i < dim; i++) numbers[i] = (int16_t)(digits[first + i] - CENTRE);
        memcpy(bytes, numbers, sizeof bytes);
    } else {
        for (uint32_t i = 0; i < 4 && first + i < dim; i++) bytes[i] = digits[first + i];
    }
    memcpy(&packed, bytes, sizeof packed);
    return packed;
}

/* The groups that are whole. */
static uint32_t pack_whole_groups(const rhumb__tiler *tiler, const uint8_t *const *codes, uint8_t *target) {
    const uint32_t whole_count = tiler->coder->dim / (tiler->widened ? 2 : 4);
    const size_t panel_group_bytes = (size_t)RHUMB__TILE_GROUP_BYTES * RHUMB__TILE_COLUMNS;
    for (uint32_t group = 0; group < whole_count; group++) {
        uint32_t packed[PACKED_COLUMNS];
        for (int i = 0; i < PACKED_COLUMNS; i++) {
            if (tiler->widened) {
                const int16_t numbers[2] = {(int16_t)(codes[i][2 * group] - CENTRE),
                                            (int16_t)(codes[i][2 * group + 1] - CENTRE)};
                memcpy(&packed[i], numbers, sizeof packed[i]);
            } else {
                memcpy(&packed[i], codes[i] + (size_t)group * sizeof packed[i], sizeof packed[i]);
            }
        }
        memcpy(target + group * panel_group_bytes, packed, sizeof packed);
    }
    return whole_count;
}

/* Packs PACKED_COLUMNS codes. */
static void pack_columns(const rhumb__tiler *tiler, const uint8_t *const *codes, uint8_t *target) {
    for (uint32_t group = pack_whole_groups(tiler, codes, target); group < tiler->group_count; group++) {
        for (int i = 0; i < PACKED_COLUMNS; i++) {
            const uint32_t packed = group_of(tiler, codes[i], group);
            memcpy(target + (group * (size_t)RHUMB__TILE_COLUMNS + (size_t)i) * sizeof packed, &packed, sizeof packed);
        }
    }
}

void rhumb__tile_pack_panel(const rhumb__tiler *tiler, const void *const *codes, uint32_t count, uint8_t *panel,
                            rhumb__tile_columns *columns) {
    RHUMB_ASSERT_DEBUG(count > 0 && count <= RHUMB__TILE_COLUMNS);
    for (uint32_t first = 0; first < count; first += PACKED_COLUMNS) {
        const uint8_t *packed[PACKED_COLUMNS];
        for (uint32_t i = 0; i < PACKED_COLUMNS; i++) packed[i] = codes[first + i < count ? first + i : count - 1];
        pack_columns(tiler, packed, panel + first * (size_t)RHUMB__TILE_GROUP_BYTES);
    }
    for (uint32_t i = 0; i < count; i++) {
        const rhumb__tile_constants constants = constants_of(tiler, codes[i]);
        columns->origins[i] = constants.origin;
        columns->steps[i] = constants.step;
        columns->weighted[i] = constants.weighted;
        columns->squares[i] = constants.square;
        columns->roots[i] = constants.root;
    }
}
