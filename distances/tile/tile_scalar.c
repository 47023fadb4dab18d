/* tile_scalar.c - tiles in plain C: the reference of the others. */
#define RHUMB__TILE_COMPUTE rhumb__tile_compute_scalar

#include "distances/tile/estimate_body.h"

static void sums_of_tile(const rhumb__tiler *tiler, const rhumb__tile_source *source, tile_sums sums) {
    for (int r = 0; r < RHUMB__TILE_ROWS; r++) {
        const int8_t *row = (const int8_t *)source->rows + r * (size_t)tiler->point_bytes;
        const uint8_t *panel = source->panel;
        for (int i = 0; i < RHUMB__TILE_COLUMNS; i++) sums[r][i] = 0;
        for (uint32_t group = 0; group < tiler->group_count; group++, row += RHUMB__TILE_GROUP_BYTES) {
            for (int i = 0; i < RHUMB__TILE_COLUMNS; i++, panel += RHUMB__TILE_GROUP_BYTES) {
                for (int k = 0; k < RHUMB__TILE_GROUP_BYTES; k++) sums[r][i] += row[k] * panel[k];
            }
        }
    }
}

static uint64_t bits_within(const float *values, const float *limits) {
    uint64_t bits = 0;
    for (int i = 0; i < RHUMB__TILE_COLUMNS; i++) bits |= (uint64_t)(values[i] <= limits[i]) << i;
    return bits;
}
