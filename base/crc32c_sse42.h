/* crc32c_sse42.h - rhumb__crc32c for processors with SSE4.2 and carry-less multiplication. */
#ifndef RHUMB_BASE_CRC32C_SSE42_H
#define RHUMB_BASE_CRC32C_SSE42_H

#include <stddef.h>
#include <stdint.h>

/* Like rhumb__crc32c. May be called only when rhumb__cpu_has_crc32c() is true. */
uint32_t rhumb__crc32c_sse42(uint32_t crc, const void *bytes, size_t bytes_count);

#endif /* RHUMB_BASE_CRC32C_SSE42_H */
