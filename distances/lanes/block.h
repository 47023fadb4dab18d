/* block.h - the bytes of a block: what one node's row holds about 16 of its neighbours, each of which is a *lane*.
 *
 * D is the padded dimension (rotation.h), a multiple of 16. Numbers are little-endian.
 *
 *   offset   bytes  content
 *        0      32  base of each lane: 16 f16, to be multiplied by 2^(base exponent - 127); +inf in an empty lane
 *       32      32  slope of each lane: 16 f16 that are not negative, to be multiplied by 2^(slope exponent - 127).
 *                   Their bits 15, where other f16 have the sign, are the exponents: those of lanes 0 to 7 the base
 *                   exponent, those of lanes 8 to 15 the slope exponent, the lowest bit first; 255 counts as 254
 *       64     2 D  plane 0: bits that are set where a component is positive. Byte 16 i + lane has the components 8 i
 *                   to 8 i + 7 of that lane, the lowest bit first
 *   64+2 D     2 D  plane 1, with two bits per component only: the lower bits; those of plane 0 are the upper ones
 *
 * With one bit, the code z of a component is u - 1/2, where u is its bit. With two, it is 2 u + v - 3/2, where u is its
 * bit in plane 0 and v the one in plane 1. encode_body.h says how z is chosen, factors.c what base and slope are, and
 * kernels.h what a scan makes of them.
 *
 * Why so:
 *
 * - Factors. f16 with an exponent for the whole block holds squared distances of any size. Its eleven bits cost nothing
 *   that could be measured; the eight of bf16 did, for vectors far from the origin. The exponents take bits that would
 *   always be 0, so that the factors of a block are one cache line.
 * - Planes. A load of 16 bytes has eight components of all lanes: the low halves of the bytes four, the high halves
 *   four, which is what a shuffle looks up ("FastScan": André, Kermarrec and Le Scouarnec, "Cache locality is not
 *   enough", VLDB 2015). Any register of 16 bytes or more holds whole lanes. In a layout of 32 lanes, the halves of a
 *   byte are two lanes; here they are two groups of one lane, whose entries can be added at once.
 * - The order of lanes costs one instruction more at the end of a scan than lanes 0, 8, 1, 9... would: 1 ns of 18 to
 *   68.
 * - Two planes share one pass and its loads of the table. That takes 8% less time than one plane after the other, and
 *   4% less than both bits of a component in one byte (AVX2, 112 to 800 components).
 */
#ifndef RHUMB_DISTANCES_LANES_BLOCK_H
#define RHUMB_DISTANCES_LANES_BLOCK_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

enum {
    RHUMB__LANES_PER_BLOCK = 16,
    RHUMB__LANE_BITS_MAX = 2,       /* per component */
    RHUMB__LANE_CODES_OFFSET = 64,  /* of plane 0 */
    RHUMB__LANE_EXPONENT_BIAS = 127 /* of base and slope exponent; f32's own */
};

/* An f16 without its sign. */
#define RHUMB__LANE_SIZE_MASK 0x7FFFu
#define RHUMB__LANE_INFINITE 0x7C00u

/* The first bytes of a block; read and written with memcpy, since a block may be at any address. */
typedef struct rhumb__lane_factors {
    uint16_t base[RHUMB__LANES_PER_BLOCK];
    uint16_t slope[RHUMB__LANES_PER_BLOCK];
} rhumb__lane_factors;

static_assert(sizeof(rhumb__lane_factors) == RHUMB__LANE_CODES_OFFSET, "block layout");
static_assert(offsetof(rhumb__lane_factors, base) == 0, "block layout");
static_assert(offsetof(rhumb__lane_factors, slope) == 32, "block layout");

static inline uint32_t rhumb__lane_plane_bytes(uint32_t padded_dim) { return padded_dim / 8 * RHUMB__LANES_PER_BLOCK; }

#endif /* RHUMB_DISTANCES_LANES_BLOCK_H */
