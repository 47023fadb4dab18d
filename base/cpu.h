/* cpu.h - which instruction sets this process may use.
 *
 * Determined once, at first use. The environment variable RHUMB_SIMD (scalar, avx2, avx512) lowers the tier and never
 * raises it, so one machine can test every tier below its own. An unknown or unavailable value is ignored.
 */
#ifndef RHUMB_BASE_CPU_H
#define RHUMB_BASE_CPU_H

#include <stdbool.h>

typedef enum rhumb__simd {
    RHUMB__SIMD_SCALAR = 0,
    RHUMB__SIMD_AVX2 = 1,  /* AVX2, FMA, F16C, SSE4.2, POPCNT */
    RHUMB__SIMD_AVX512 = 2 /* AVX-512 F, BW, DQ, VL, and all of the above */
} rhumb__simd;

/* Returns the tier in use: the machine's best, or RHUMB_SIMD's when that is lower. */
rhumb__simd rhumb__cpu_simd(void);

/* Returns the machine's best tier, regardless of RHUMB_SIMD. */
rhumb__simd rhumb__cpu_simd_best(void);

/* Returns "scalar", "avx2" or "avx512". */
const char *rhumb__simd_name(rhumb__simd tier);

/* Returns whether the VNNI instructions, which multiply bytes and add the products, may be used in registers of the
 * tier in use. False where RHUMB_SIMD has lowered the tier: it is then used without them. */
bool rhumb__cpu_has_vnni(void);

/* Returns whether the processor has those of a tier, regardless of RHUMB_SIMD: AVX-VNNI for avx2, AVX512_VNNI for
 * avx512. */
bool rhumb__cpu_has_vnni_of(rhumb__simd tier);

/* Returns whether the CRC-32C instruction may be used (false under RHUMB_SIMD=scalar). */
bool rhumb__cpu_has_crc32c(void);

#endif /* RHUMB_BASE_CPU_H */
