/* scan_x86.h - what the scans with AVX2 and with AVX-512 have in common: exponents, and a lane's sums in 16 bits.
 *
 * The loop. A shuffle looks up an entry for each lane; the two entries of a byte of codes are added, which 8 bits hold.
 * Bytes are then added to 16-bit sums in place: one register adds them as they are, pairs of lanes as numbers of 16
 * bits, the other the upper bytes alone, the odd lanes. What the first has too much is 256 times the second, modulo
 * 2^16: so two additions and a shift serve where widening needs more. Sums of 2,048 components fit; after as many, they
 * go to 32 bits.
 *
 * Included only by files compiled for one of the two instruction sets; all of it is inlined, as in kernel.h.
 */
#ifndef RHUMB_DISTANCES_LANES_SCAN_X86_H
#define RHUMB_DISTANCES_LANES_SCAN_X86_H

#include <immintrin.h>
#include <stdint.h>

#include "base/inline.h"
#include "distances/lanes/kernels.h"

/* The bytes of a plane that select what 16 bits can sum: those of 2,048 components, 256 pairs of at most 255. */
enum { PIECE_BYTES = 4096 };

/* The four pointers of a scan's loop. With one bit, there is no second plane and it is not read. */
struct scan_source {
    const uint8_t *plane0, *plane1, *even, *odd;
};

RHUMB__INLINE struct scan_source scan_source_of(const rhumb__lane_query *query, const void *block) {
    const uint8_t *codes = (const uint8_t *)block + RHUMB__LANE_CODES_OFFSET;
    return (struct scan_source){codes, codes + query->plane_bytes, query->table, query->table + query->plane_bytes};
}

/* What base factors and slope factors of 1 stand for. */
struct scan_units {
    float base, slope;
};

RHUMB__INLINE float unit_of(uint32_t exponent) {
    const __m128i bits = _mm_cvtsi32_si128((int)((exponent < 254 ? exponent : 254) << 23));
    return _mm_cvtss_f32(_mm_castsi128_ps(bits));
}

RHUMB__INLINE struct scan_units scan_units_of(__m128i slopes_low, __m128i slopes_high) {
    const uint32_t bits = (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(slopes_low, slopes_high));
    return (struct scan_units){unit_of(bits & 0xFFu), unit_of(bits >> 8)};
}

/* The sums of lanes 0 to 15 in their order, 16 bits each, from those of all bytes and of the odd ones. */
RHUMB__INLINE __m256i lanes_in_order(__m256i all, __m256i odd) {
    const __m256i even = _mm256_sub_epi16(all, _mm256_slli_epi16(odd, 8));
    const __m128i even_sums = _mm_add_epi16(_mm256_castsi256_si128(even), _mm256_extracti128_si256(even, 1));
    const __m128i odd_sums = _mm_add_epi16(_mm256_castsi256_si128(odd), _mm256_extracti128_si256(odd, 1));
    return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_unpacklo_epi16(even_sums, odd_sums)),
                                   _mm_unpackhi_epi16(even_sums, odd_sums), 1);
}

#endif /* RHUMB_DISTANCES_LANES_SCAN_X86_H */
