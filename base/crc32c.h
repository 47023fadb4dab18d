/* crc32c.h - CRC-32C (Castagnoli, polynomial 0x1EDC6F41 reflected, initial value and final xor 0xFFFFFFFF, as in
 * iSCSI, RFC 3720 appendix B.4). The SSE4.2 instruction when the processor has it, tables otherwise; same results.
 */
#ifndef RHUMB_BASE_CRC32C_H
#define RHUMB_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Returns the checksum of `bytes_count` bytes, continuing from `crc` (0 to start): crc32c(crc32c(0, a), b) is the
 * checksum of ab. */
uint32_t rhumb__crc32c(uint32_t crc, const void *bytes, size_t bytes_count);

/* Returns the checksum of a header that holds its own checksum, a u32 at `crc_offset`: computed as if that field were
 * 0.
 */
uint32_t rhumb__crc32c_header(const void *header, size_t header_bytes, size_t crc_offset);

/* The table-driven version, for comparison in tests. */
uint32_t rhumb__crc32c_software(uint32_t crc, const void *bytes, size_t bytes_count);

#endif /* RHUMB_BASE_CRC32C_H */
