/* estimate_body.h - from sums of products to the estimates of a tile, and which of them are within their limits.
 *
 * Loops over the columns of a tile that compilers make vectors of. Every expression has the same bits when row and
 * column change places: a sum or a product of two terms of which each belongs to one of them, or of differences that
 * both change their sign.
 *
 * The including file defines
 *   void sums_of_tile(tiler, source, sums)    the sums of products, with the bias of each row still in them
 *   uint64_t bits_within(values, limits)      a bit for each of RHUMB__TILE_COLUMNS values that is at most its limit
 *
 * No state, no locks, no failures.
 */
#include <float.h>
#include <math.h>

#include "base/inline.h"
#include "distances/link_kernels.h"
#include "distances/tile/tile_kernels.h"

typedef int32_t tile_sums[RHUMB__TILE_ROWS][RHUMB__TILE_COLUMNS];

static void sums_of_tile(const rhumb__tiler *tiler, const rhumb__tile_source *source, tile_sums sums);
static uint64_t bits_within(const float *values, const float *limits);

RHUMB__INLINE void estimate_squares(float dim, const rhumb__tile_constants *row, const rhumb__tile_columns *columns,
                                    const int32_t *sums, float *estimates) {
    const float origin = row->origin, step = row->step, weighted = row->weighted, square = row->square;
    const int32_t bias = row->bias;
    for (int i = 0; i < RHUMB__TILE_COLUMNS; i++) {
        const float apart = origin - columns->origins[i];
        const float across = (dim * apart) * apart + (2.0f * apart) * (weighted - columns->weighted[i]);
        const float product = (step * columns->steps[i]) * (float)(int32_t)((uint32_t)sums[i] - (uint32_t)bias);
        estimates[i] = (across + (square + columns->squares[i])) - 2.0f * product;
    }
}

RHUMB__INLINE void estimate_links(float dim, const rhumb__tile_constants *row, const rhumb__tile_columns *columns,
                                  const int32_t *sums, float *estimates) {
    const float origin = row->origin, step = row->step, weighted = row->weighted, square = row->square;
    const float root = row->root;
    const int32_t bias = row->bias;
    for (int i = 0; i < RHUMB__TILE_COLUMNS; i++) {
        const float product = (step * columns->steps[i]) * (float)(int32_t)((uint32_t)sums[i] - (uint32_t)bias);
        const float across = origin * columns->weighted[i] + columns->origins[i] * weighted;
        const float dot = ((origin * columns->origins[i]) * dim + across) + product;
        const float squares = square + columns->squares[i];
        const float divisor = squares > FLT_MIN ? squares : FLT_MIN;
        estimates[i] = (float)RHUMB__LINK_LENGTH_SHARE * sqrtf(squares) - dot * (root * columns->roots[i]) / divisor;
    }
}

void RHUMB__TILE_COMPUTE(const rhumb__tiler *tiler, const rhumb__tile_source *source, rhumb__tile *tile) {
    tile_sums sums;
    float limits[RHUMB__TILE_COLUMNS];
    const float dim = (float)tiler->coder->dim;
    sums_of_tile(tiler, source, sums);
    for (int r = 0; r < RHUMB__TILE_ROWS; r++) {
        if (tiler->links_ip) {
            estimate_links(dim, &source->row_constants[r], source->columns, sums[r], tile->estimates[r]);
        } else {
            estimate_squares(dim, &source->row_constants[r], source->columns, sums[r], tile->estimates[r]);
        }
        for (int i = 0; i < RHUMB__TILE_COLUMNS; i++) limits[i] = source->row_limits[r];
        tile->within_row[r] = bits_within(tile->estimates[r], limits);
        tile->within_column[r] = bits_within(tile->estimates[r], source->column_limits);
    }
}
