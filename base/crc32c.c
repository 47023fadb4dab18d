/* crc32c.c - CRC-32C by tables, and the choice between that and the processor's own instruction.
 *
 * Owns the tables, which are computed at first use. Invariants: both versions return the same result for all inputs;
 * the checksum of zero bytes is the checksum it continues from. Locking: pthread_once for the tables; read-only
 * afterwards. Cannot fail.
 *
 * The table version takes eight bytes per step ("slicing-by-8": Kounavis and Berry, "A systematic approach to building
 * high performance software-based CRC generators", ISCC 2005): table k holds the effect of a byte that k more bytes
 * follow.
 */
#include "base/crc32c.h"

#include <pthread.h>
#include <string.h>

#include "base/cpu.h"
#include "base/crc32c_sse42.h"

#define POLYNOMIAL_REFLECTED UINT32_C(0x82F63B78)

static pthread_once_t tables_once = PTHREAD_ONCE_INIT;
static uint32_t tables[8][256];

static void compute_tables(void) {
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ ((crc & 1) != 0 ? POLYNOMIAL_REFLECTED : 0);
        tables[0][byte] = crc;
    }
    for (int table = 1; table < 8; table++) {
        for (int byte = 0; byte < 256; byte++) {
            uint32_t crc = tables[table - 1][byte];
            tables[table][byte] = (crc >> 8) ^ tables[0][crc & 0xFF];
        }
    }
}

/* Loads eight bytes, the first in memory being the least significant. */
static uint64_t load_little_endian(const unsigned char *bytes) {
    uint64_t word = 0;
    memcpy(&word, bytes, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

uint32_t rhumb__crc32c_software(uint32_t crc, const void *bytes, size_t bytes_count) {
    pthread_once(&tables_once, compute_tables);
    const unsigned char *next = bytes;
    crc = ~crc;
    for (; bytes_count >= 8; bytes_count -= 8, next += 8) {
        uint64_t word = load_little_endian(next) ^ crc;
        crc = 0;
        for (int byte = 0; byte < 8; byte++) crc ^= tables[7 - byte][(word >> (8 * byte)) & 0xFF];
    }
    for (; bytes_count > 0; bytes_count--, next++) crc = (crc >> 8) ^ tables[0][(crc ^ *next) & 0xFF];
    return ~crc;
}

uint32_t rhumb__crc32c(uint32_t crc, const void *bytes, size_t bytes_count) {
    if (rhumb__cpu_has_crc32c()) return rhumb__crc32c_sse42(crc, bytes, bytes_count);
    return rhumb__crc32c_software(crc, bytes, bytes_count);
}

uint32_t rhumb__crc32c_header(const void *header, size_t header_bytes, size_t crc_offset) {
    const uint32_t zero = 0;
    const unsigned char *bytes = header;
    const size_t rest_offset = crc_offset + sizeof zero;
    uint32_t crc = rhumb__crc32c(0, bytes, crc_offset);
    crc = rhumb__crc32c(crc, &zero, sizeof zero);
    return rhumb__crc32c(crc, bytes + rest_offset, header_bytes - rest_offset);
}
