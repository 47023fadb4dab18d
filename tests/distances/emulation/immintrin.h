/* immintrin.h - stands in for the compiler's header of this name: AVX2, FMA, F16C, AVX-512 and VNNI without the
 * instructions.
 *
 * Files compiled with this folder before the system's run their vector code on any x86-64 processor. SIMDe emulates
 * most functions; this header adds the few that it lacks, and replaces three kinds: fused multiplications, which SIMDe
 * rounds twice where the processor has none, masked loads, of which SIMDe reads every lane, and additions that wrap
 * around, which SIMDe computes as signed ones, so that sanitizers object. With these every function reads the bytes and
 * returns the bits that the instruction does. Slow; for tests only.
 */
#ifndef RHUMB_TESTS_DISTANCES_EMULATION_IMMINTRIN_H
#define RHUMB_TESTS_DISTANCES_EMULATION_IMMINTRIN_H

#define SIMDE_ENABLE_NATIVE_ALIASES
#include <math.h>
#include <simde/x86/avx2.h>
#include <simde/x86/avx512.h>
#include <simde/x86/f16c.h>
#include <simde/x86/fma.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX2__) || defined(__AVX512F__)
#error "emulated kernels are compiled without the instructions that they emulate"
#endif

#define EMULATED static inline __attribute__((always_inline))

/* ---- fused multiplications, rounded once ---- */

#undef _mm_fnmadd_ps
#undef _mm256_fmadd_ps
#undef _mm512_fmadd_ps

/* Defines name(a, b, c) = sign * a * b + c for vectors of `lane_count` floats. */
#define DEFINE_FUSED(name, vector, lane_count, sign)                                                                   \
    EMULATED vector name(vector a, vector b, vector c) {                                                               \
        float x[lane_count], y[lane_count], z[lane_count];                                                             \
        memcpy(x, &a, sizeof x);                                                                                       \
        memcpy(y, &b, sizeof y);                                                                                       \
        memcpy(z, &c, sizeof z);                                                                                       \
        for (int i = 0; i < lane_count; i++) z[i] = fmaf(sign x[i], y[i], z[i]);                                       \
        memcpy(&c, z, sizeof z);                                                                                       \
        return c;                                                                                                      \
    }

DEFINE_FUSED(_mm_fnmadd_ps, __m128, 4, -)
DEFINE_FUSED(_mm256_fmadd_ps, __m256, 8, +)
DEFINE_FUSED(_mm512_fmadd_ps, __m512, 16, +)

/* ---- additions that wrap around ---- */

#undef _mm512_add_epi8
#undef _mm512_add_epi16

/* Defines name(a, b) = a + b for vectors of `lane_count` unsigned lanes. */
#define DEFINE_WRAPPING(name, type, lane_count)                                                                        \
    EMULATED __m512i name(__m512i a, __m512i b) {                                                                      \
        type x[lane_count], y[lane_count];                                                                             \
        memcpy(x, &a, sizeof x);                                                                                       \
        memcpy(y, &b, sizeof y);                                                                                       \
        for (int i = 0; i < lane_count; i++) x[i] = (type)(x[i] + y[i]);                                               \
        memcpy(&a, x, sizeof x);                                                                                       \
        return a;                                                                                                      \
    }

DEFINE_WRAPPING(_mm512_add_epi8, uint8_t, 64)
DEFINE_WRAPPING(_mm512_add_epi16, uint16_t, 32)

/* ---- where SIMDe's names are incomplete ---- */

typedef simde__mmask16 __mmask16;
typedef simde__mmask64 __mmask64;

#undef _mm512_madd_epi16
#define _mm512_madd_epi16(a, b) simde_mm512_madd_epi16(a, b)

/* ---- masked loads, which read only the floats whose bit is set: there may be no memory at the others ---- */

#undef _mm256_maskload_ps

EMULATED __m256 _mm256_maskload_ps(const float *from, __m256i mask) {
    int32_t lanes[8];
    float to[8];
    __m256 result;
    memcpy(lanes, &mask, sizeof lanes);
    for (int i = 0; i < 8; i++) to[i] = lanes[i] < 0 ? from[i] : 0.0f;
    memcpy(&result, to, sizeof to);
    return result;
}

EMULATED __m512 _mm512_maskz_loadu_ps(__mmask16 lanes, const float *from) {
    float to[16];
    __m512 result;
    for (int i = 0; i < 16; i++) to[i] = lanes >> i & 1 ? from[i] : 0.0f;
    memcpy(&result, to, sizeof to);
    return result;
}

EMULATED __m512i _mm512_maskz_loadu_epi8(__mmask64 lanes, const void *from) {
    uint8_t to[64];
    __m512i result;
    for (int i = 0; i < 64; i++) to[i] = lanes >> i & 1 ? ((const uint8_t *)from)[i] : 0;
    memcpy(&result, to, sizeof result);
    return result;
}

/* ---- what SIMDe does not have ---- */

/* Its own have no name for those of AVX-VNNI. Sums wrap around, as the instruction's do. */
#undef _mm512_dpbusd_epi32

/* Defines name(sums, a, b): to each of `lane_count` sums, the products of four unsigned bytes with four signed ones. */
#define DEFINE_BYTE_PRODUCTS(name, vector, lane_count)                                                                 \
    EMULATED vector name(vector sums, vector a, vector b) {                                                            \
        uint32_t to[lane_count];                                                                                       \
        uint8_t x[4 * lane_count];                                                                                     \
        int8_t y[4 * lane_count];                                                                                      \
        memcpy(to, &sums, sizeof to);                                                                                  \
        memcpy(x, &a, sizeof x);                                                                                       \
        memcpy(y, &b, sizeof y);                                                                                       \
        for (int i = 0; i < 4 * lane_count; i++) to[i / 4] += (uint32_t)(x[i] * y[i]);                                 \
        memcpy(&sums, to, sizeof to);                                                                                  \
        return sums;                                                                                                   \
    }

DEFINE_BYTE_PRODUCTS(_mm256_dpbusd_avx_epi32, __m256i, 8)
DEFINE_BYTE_PRODUCTS(_mm512_dpbusd_epi32, __m512i, 16)

EMULATED __m512i _mm512_cvtepu8_epi16(__m256i a) {
    uint8_t from[32];
    uint16_t to[32];
    __m512i result;
    memcpy(from, &a, sizeof from);
    for (int i = 0; i < 32; i++) to[i] = from[i];
    memcpy(&result, to, sizeof to);
    return result;
}

EMULATED __m512i _mm512_cvtepu16_epi32(__m256i a) {
    uint16_t from[16];
    uint32_t to[16];
    __m512i result;
    memcpy(from, &a, sizeof from);
    for (int i = 0; i < 16; i++) to[i] = from[i];
    memcpy(&result, to, sizeof to);
    return result;
}

EMULATED __m512 _mm512_cvtepi32_ps(__m512i a) {
    int32_t from[16];
    float to[16];
    __m512 result;
    memcpy(from, &a, sizeof from);
    for (int i = 0; i < 16; i++) to[i] = (float)from[i];
    memcpy(&result, to, sizeof to);
    return result;
}

/* Of numbers that an int32_t holds. */
EMULATED __m512i _mm512_cvttps_epi32(__m512 a) {
    float from[16];
    int32_t to[16];
    __m512i result;
    memcpy(from, &a, sizeof from);
    for (int i = 0; i < 16; i++) to[i] = (int32_t)from[i];
    memcpy(&result, to, sizeof to);
    return result;
}

EMULATED __m512 _mm512_cvtph_ps(__m256i a) {
    __m128i halves[2];
    __m256 floats[2];
    __m512 result;
    memcpy(halves, &a, sizeof halves);
    for (int i = 0; i < 2; i++) floats[i] = _mm256_cvtph_ps(halves[i]);
    memcpy(&result, floats, sizeof floats);
    return result;
}

/* The low half for 0, the high one for 1. */
EMULATED __m256 _mm512_extractf32x8_ps(__m512 a, int half) {
    __m256 halves[2];
    memcpy(halves, &a, sizeof halves);
    return halves[half];
}

/* Within each 128 bits, lane i is lane `order` >> 2 i & 3. */
EMULATED __m512 _mm512_permute_ps(__m512 a, int order) {
    float from[16], to[16];
    memcpy(from, &a, sizeof from);
    for (int i = 0; i < 16; i++) to[i] = from[(i & ~3) + (order >> 2 * (i & 3) & 3)];
    memcpy(&a, to, sizeof to);
    return a;
}

/* The first two quarters are two of a, the others two of b. */
EMULATED __m512 _mm512_shuffle_f32x4(__m512 a, __m512 b, int order) {
    __m128 from_a[4], from_b[4], to[4];
    memcpy(from_a, &a, sizeof from_a);
    memcpy(from_b, &b, sizeof from_b);
    for (int i = 0; i < 4; i++) to[i] = (i < 2 ? from_a : from_b)[order >> 2 * i & 3];
    memcpy(&a, to, sizeof to);
    return a;
}

#endif /* RHUMB_TESTS_DISTANCES_EMULATION_IMMINTRIN_H */
