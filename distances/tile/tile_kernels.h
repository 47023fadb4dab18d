/* tile_kernels.h - the kernels of tiles, one for each instruction set; see tile.h.
 */
#ifndef RHUMB_DISTANCES_TILE_TILE_KERNELS_H
#define RHUMB_DISTANCES_TILE_TILE_KERNELS_H

#include "distances/tile/tile.h"

void rhumb__tile_compute_scalar(const rhumb__tiler *tiler, const rhumb__tile_source *source, rhumb__tile *tile);
void rhumb__tile_compute_avx2(const rhumb__tiler *tiler, const rhumb__tile_source *source, rhumb__tile *tile);
void rhumb__tile_compute_avx512(const rhumb__tiler *tiler, const rhumb__tile_source *source, rhumb__tile *tile);
void rhumb__tile_compute_avx512_vnni(const rhumb__tiler *tiler, const rhumb__tile_source *source, rhumb__tile *tile);

#endif /* RHUMB_DISTANCES_TILE_TILE_KERNELS_H */
