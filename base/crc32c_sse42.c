/* crc32c_sse42.c - CRC-32C by the SSE4.2 instruction.
 *
 * Owns nothing, takes no lock, cannot fail. The instruction takes eight bytes, has a throughput of one per cycle and a
 * latency of three, so three adjacent runs are processed at a time and their checksums combined: for runs A and B, the
 * second n bytes long, crc(AB) = crc(A) * x^(8n) + crc(B) modulo the polynomial (Gopal et al., "Fast CRC computation
 * for iSCSI polynomial using CRC32 instruction", Intel, 2011). The product is one carry-less multiplication, and the
 * instruction itself does the reduction: for 64 bits v it returns v * x^32, and the bit order of the two instructions
 * adds one more factor x, so the constant for a distance of n bytes is x^(8n - 33).
 */
#include "base/crc32c_sse42.h"

#if defined(__x86_64__)

#include <immintrin.h>
#include <string.h>

/* Runs come in two lengths: long ones make the cost of combining negligible, short ones take the remainder. */
#define LARGE_BYTES 4096
#define SMALL_BYTES 256

/* x^(8n - 33) modulo the polynomial, in reflected bit order, for n = LARGE_BYTES, 2 * LARGE_BYTES, and so on. The tests
 * compare all lengths around the run lengths with the table version. */
#define SHIFT_LARGE UINT32_C(0x82F89C77)
#define SHIFT_LARGE_TWICE UINT32_C(0x54A86326)
#define SHIFT_SMALL UINT32_C(0xB9E02B86)
#define SHIFT_SMALL_TWICE UINT32_C(0xDD7E3B0C)

static inline uint64_t load_word(const unsigned char *bytes) {
    uint64_t word = 0;
    memcpy(&word, bytes, sizeof word);
    return word;
}

/* crc * x^(8n), where `shift` is the constant of n. */
static inline uint64_t crc_shift(uint64_t crc, uint32_t shift) {
    __m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)crc), _mm_cvtsi32_si128((int)shift), 0);
    return _mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(product));
}

/* Processes three adjacent runs of `run_bytes` (a multiple of 8) each. */
static inline uint64_t crc_three(uint64_t crc, const unsigned char *bytes, size_t run_bytes, uint32_t shift,
                                 uint32_t shift_twice) {
    uint64_t crc_b = 0;
    uint64_t crc_c = 0;
    for (size_t offset = 0; offset < run_bytes; offset += 8) {
        crc = _mm_crc32_u64(crc, load_word(bytes + offset));
        crc_b = _mm_crc32_u64(crc_b, load_word(bytes + run_bytes + offset));
        crc_c = _mm_crc32_u64(crc_c, load_word(bytes + 2 * run_bytes + offset));
    }
    return crc_shift(crc, shift_twice) ^ crc_shift(crc_b, shift) ^ crc_c;
}

uint32_t rhumb__crc32c_sse42(uint32_t crc, const void *bytes, size_t bytes_count) {
    const unsigned char *next = bytes;
    uint64_t state = (uint32_t)~crc;
    for (; bytes_count >= 3 * LARGE_BYTES; bytes_count -= 3 * LARGE_BYTES, next += 3 * LARGE_BYTES) {
        state = crc_three(state, next, LARGE_BYTES, SHIFT_LARGE, SHIFT_LARGE_TWICE);
    }
    for (; bytes_count >= 3 * SMALL_BYTES; bytes_count -= 3 * SMALL_BYTES, next += 3 * SMALL_BYTES) {
        state = crc_three(state, next, SMALL_BYTES, SHIFT_SMALL, SHIFT_SMALL_TWICE);
    }
    for (; bytes_count >= 8; bytes_count -= 8, next += 8) state = _mm_crc32_u64(state, load_word(next));
    for (; bytes_count > 0; bytes_count--, next++) state = _mm_crc32_u8((uint32_t)state, *next);
    return ~(uint32_t)state;
}

#else

#include "base/crc32c.h"

/* Never called on other processors; defined so that the program links. */
uint32_t rhumb__crc32c_sse42(uint32_t crc, const void *bytes, size_t bytes_count) {
    return rhumb__crc32c_software(crc, bytes, bytes_count);
}

#endif
