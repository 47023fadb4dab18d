/* cpu.h - which instruction sets this process may use.
 *
 * Read once, at first use. The environment variable RHUMB_SIMD (scalar, avx2, avx512) lowers the answer, never raises
 * it, so that one machine can test every tier; an unknown or unavailable value is ignored.
 */
#ifndef RHUMB_BASE_CPU_H
#define RHUMB_BASE_CPU_H

#include <stdbool.h>

typedef enum rhumb__simd {
    RHUMB__SIMD_SCALAR = 0,
    RHUMB__SIMD_AVX2 = 1,  /* AVX2, FMA, F16C, SSE4.2, POPCNT */
    RHUMB__SIMD_AVX512 = 2 /* AVX-512 F, BW, DQ, VL, besides all of the above */
} rhumb__simd;

/* The tier in use: the best one of the machine, or RHUMB_SIMD's when that is lower. */
rhumb__simd rhumb__cpu_simd(void);

/* The best tier of the machine, whatever RHUMB_SIMD says. */
rhumb__simd rhumb__cpu_simd_best(void);

/* "scalar", "avx2" or "avx512". */
const char *rhumb__simd_name(rhumb__simd tier);

/* Whether the CRC-32C instruction may be used (false under RHUMB_SIMD=scalar). */
bool rhumb__cpu_has_crc32c(void);

#endif /* RHUMB_BASE_CPU_H */
