/* lanes.c - sets up a lane space, chooses kernels by instruction set, and makes blocks and queries with them.
 *
 * kernels_*.c and scan_*.c have the kernels. What is made of vectors (rotation, codes, tables) is written once, in
 * operations on 16 floats that floats16_*.h define for each instruction set: the order of additions is then the same by
 * itself. Scans, which are integers for the most part, are written by hand for each. To add an instruction set, write
 * these three files and a column here.
 *
 * A space is immutable once set up, so there are no locks. Fails only for invalid arguments.
 */
#include "distances/lanes/lanes.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"

enum { FULL_BLOCK = RHUMB__LANES_PER_BLOCK };

const rhumb__lane_kernels *rhumb__lane_kernels_for(rhumb__simd tier) {
#if defined(__x86_64__)
    if (tier >= RHUMB__SIMD_AVX512) return &rhumb__lane_kernels_avx512;
    if (tier == RHUMB__SIMD_AVX2) return &rhumb__lane_kernels_avx2;
#else
    (void)tier;
#endif
    return &rhumb__lane_kernels_scalar;
}

static rhumb_status check_spec(const rhumb__lane_spec *spec, uint32_t smallest_dim) {
    if (spec->form != RHUMB__LANE_L2SQ && spec->form != RHUMB__LANE_DOT)
        return rhumb__fail(RHUMB_E_INVALID, "form %d of lanes does not exist", (int)spec->form);
    if (spec->dim < 1 || spec->dim > RHUMB_DIM_MAX)
        return rhumb__fail(RHUMB_E_INVALID, "dim is %u, expected 1 to %u", (unsigned)spec->dim, RHUMB_DIM_MAX);
    if (spec->bits < 1 || spec->bits > RHUMB__LANE_BITS_MAX)
        return rhumb__fail(RHUMB_E_INVALID, "lanes have %u bits per component, expected 1 or 2", (unsigned)spec->bits);
    const uint32_t dim_max = (uint32_t)rhumb__round_up(RHUMB_DIM_MAX, RHUMB__ROTATION_UNIT);
    if (spec->padded_dim != 0 && (spec->padded_dim < smallest_dim || spec->padded_dim > dim_max ||
                                  !rhumb__is_multiple(spec->padded_dim, RHUMB__ROTATION_UNIT)))
        return rhumb__fail(RHUMB_E_INVALID, "the padded dimension is %u, expected a multiple of %d from %u to %u",
                           (unsigned)spec->padded_dim, RHUMB__ROTATION_UNIT, (unsigned)smallest_dim, (unsigned)dim_max);
    return RHUMB_OK;
}

rhumb_status rhumb__lane_space_init(rhumb__lane_space *space, const rhumb__lane_spec *spec) {
    const uint32_t smallest_dim = (uint32_t)rhumb__round_up(spec->dim, RHUMB__ROTATION_UNIT);
    const rhumb_status status = check_spec(spec, smallest_dim);
    if (status != RHUMB_OK) return status;
    const uint32_t padded_dim = spec->padded_dim != 0 ? spec->padded_dim : smallest_dim;
    const uint32_t transform_dim = (uint32_t)rhumb__floor_power_of_two(padded_dim);
    const uint32_t plane_bytes = rhumb__lane_plane_bytes(padded_dim);
    *space = (rhumb__lane_space){
        .form = spec->form,
        .bits = spec->bits,
        .plane_bytes = plane_bytes,
        .block_bytes = RHUMB__LANE_CODES_OFFSET + spec->bits * plane_bytes,
        .table_bytes = 2 * plane_bytes,
        .rotation = {.seed = spec->seed,
                     .dim = spec->dim,
                     .padded_dim = padded_dim,
                     .transform_dim = transform_dim,
                     .transform_scale = (float)(1.0 / sqrt((double)transform_dim))},
        .kernels = rhumb__lane_kernels_for(rhumb__cpu_simd()),
    };
    return RHUMB_OK;
}

void rhumb__lanes_rotate(const rhumb__lane_space *space, const float *vector, float *rotated) {
    const rhumb__rotation *rotation = &space->rotation;
    if (rotated != vector) memcpy(rotated, vector, rotation->dim * sizeof *rotated);
    memset(rotated + rotation->dim, 0, (rotation->padded_dim - rotation->dim) * sizeof *rotated);
    space->kernels->rotate(rotation, rotated);
}

void rhumb__lanes_encode(const rhumb__lane_space *space, const float *node, const float *const *neighbours,
                         uint32_t count, void *block) {
    RHUMB_ASSERT_DEBUG(count <= FULL_BLOCK);
    rhumb__lane_sums sums[FULL_BLOCK];
    uint8_t *codes = (uint8_t *)block + RHUMB__LANE_CODES_OFFSET;
    if (count < FULL_BLOCK) memset(codes, 0, space->bits * space->plane_bytes);
    for (uint32_t lane = 0; lane < count; lane++) {
        space->kernels->encode(space, node, neighbours[lane], codes + lane, &sums[lane]);
    }
    rhumb__lane_factors_write(space->form, sums, count, block);
}

void rhumb__lanes_query(const rhumb__lane_space *space, const float *rotated, uint8_t *table,
                        rhumb__lane_query *query) {
    query->table = table;
    query->plane_bytes = space->plane_bytes;
    query->least = -FLT_MAX;
    query->size_max = FLT_MAX;
    query->scan = space->kernels->scan[space->bits - 1];
    space->kernels->tabulate(space, rotated, table, query);
}
