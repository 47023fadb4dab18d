/* cpu.c - determines, once per process, which instruction sets may be used.
 *
 * Owns the answer. Invariant: it never changes, so function pointers chosen by it stay valid. Locking: pthread_once;
 * read-only afterwards. Cannot fail: on an unknown machine the scalar code is used, which runs everywhere.
 */
#include "base/cpu.h"

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

static pthread_once_t detect_once = PTHREAD_ONCE_INIT;
static rhumb__simd simd_best;
static rhumb__simd simd_used;
static bool crc32c_instruction;
static bool vnni_of[RHUMB__SIMD_AVX512 + 1]; /* by tier */

#if defined(__x86_64__)

/* The builtin also checks that the system saves the wide registers. F16C is read from CPUID because some compilers have
 * no name for it; every known processor with AVX2 has it, but the kernels rely on it, so it is checked. */
static bool has_f16c(void) {
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
    return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
}

static rhumb__simd detect_simd(void) {
    __builtin_cpu_init();
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("sse4.2") &&
                __builtin_cpu_supports("popcnt") && has_f16c();
    if (!avx2) return RHUMB__SIMD_SCALAR;
    bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    return avx512 ? RHUMB__SIMD_AVX512 : RHUMB__SIMD_AVX2;
}

/* Read from CPUID for the same reason. Whether the system saves the registers was found with the tier. */
static void detect_vnni(void) {
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
    if (simd_best == RHUMB__SIMD_AVX512 && __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0)
        vnni_of[RHUMB__SIMD_AVX512] = (ecx & bit_AVX512VNNI) != 0;
    if (simd_best >= RHUMB__SIMD_AVX2 && __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 && eax >= 1 &&
        __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0)
        vnni_of[RHUMB__SIMD_AVX2] = (eax & UINT32_C(1) << 4) != 0;
}

/* The fast version combines its lanes by carry-less multiplication, so it needs both instructions. */
static bool detect_crc32c(void) { return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul"); }

#else

static rhumb__simd detect_simd(void) { return RHUMB__SIMD_SCALAR; }
static void detect_vnni(void) {}
static bool detect_crc32c(void) { return false; }

#endif

static void detect(void) {
    simd_best = detect_simd();
    simd_used = simd_best;
    detect_vnni();
    bool forced_scalar = false;
    const char *wish = getenv("RHUMB_SIMD");
    for (int tier = RHUMB__SIMD_SCALAR; wish != NULL && tier < (int)simd_best; tier++) {
        if (strcmp(wish, rhumb__simd_name((rhumb__simd)tier)) == 0) simd_used = (rhumb__simd)tier;
    }
    if (wish != NULL) forced_scalar = strcmp(wish, rhumb__simd_name(RHUMB__SIMD_SCALAR)) == 0;
    crc32c_instruction = detect_crc32c() && !forced_scalar;
}

rhumb__simd rhumb__cpu_simd(void) {
    pthread_once(&detect_once, detect);
    return simd_used;
}

rhumb__simd rhumb__cpu_simd_best(void) {
    pthread_once(&detect_once, detect);
    return simd_best;
}

const char *rhumb__simd_name(rhumb__simd tier) {
    switch (tier) {
    case RHUMB__SIMD_SCALAR: return "scalar";
    case RHUMB__SIMD_AVX2: return "avx2";
    case RHUMB__SIMD_AVX512: return "avx512";
    }
    return "scalar";
}

bool rhumb__cpu_has_vnni(void) {
    pthread_once(&detect_once, detect);
    return simd_used == simd_best && vnni_of[simd_used];
}

bool rhumb__cpu_has_vnni_of(rhumb__simd tier) {
    pthread_once(&detect_once, detect);
    return vnni_of[tier];
}

bool rhumb__cpu_has_crc32c(void) {
    pthread_once(&detect_once, detect);
    return crc32c_instruction;
}
