/* dataset_convert.c - components of files as floats, and as integers of 64 bits.
 *
 * Owns nothing, cannot fail. Bytes are little-endian and need no alignment; the host is little-endian, as rhumb's own
 * file format requires.
 */
#include <string.h>

#include "dataset_internal.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the readers take the components of files as they lie there: little-endian hosts only"
#endif

size_t dataset_element_bytes(rhumb_element element) { return rhumb_element_bits(element) / 8; }

uint32_t dataset__u32_le(const unsigned char *bytes) {
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

bool dataset__size(uint64_t a, uint64_t b, uint64_t c, uint64_t *result) {
    uint64_t product;
    return !__builtin_mul_overflow(a, b, &product) && !__builtin_add_overflow(product, c, result);
}

/* One loop for one type: memcpy because rows in files are not aligned. */
#define CONVERT_EACH(type, expression)                                                                                 \
    for (size_t i = 0; i < count; i++) {                                                                               \
        type value;                                                                                                    \
        memcpy(&value, bytes + i * sizeof value, sizeof value);                                                        \
        out[i] = (expression);                                                                                         \
    }                                                                                                                  \
    break

void dataset__to_f32(rhumb_element element, const unsigned char *bytes, size_t count, float *out) {
    switch (element) {
    case RHUMB_ELEMENT_F16: (void)rhumb_element_convert(element, bytes, RHUMB_ELEMENT_F32, out, count); break;
    case RHUMB_ELEMENT_F32: memcpy(out, bytes, count * sizeof *out); break;
    case RHUMB_ELEMENT_F64: CONVERT_EACH(double, (float)value);
    case RHUMB_ELEMENT_I8: CONVERT_EACH(int8_t, (float)value);
    case RHUMB_ELEMENT_I16: CONVERT_EACH(int16_t, (float)value);
    case RHUMB_ELEMENT_I32: CONVERT_EACH(int32_t, (float)value);
    case RHUMB_ELEMENT_I64: CONVERT_EACH(int64_t, (float)value);
    case RHUMB_ELEMENT_U8: CONVERT_EACH(uint8_t, (float)value);
    case RHUMB_ELEMENT_U16: CONVERT_EACH(uint16_t, (float)value);
    case RHUMB_ELEMENT_U32: CONVERT_EACH(uint32_t, (float)value);
    case RHUMB_ELEMENT_U64: CONVERT_EACH(uint64_t, (float)value);
    default: break; /* no file has these */
    }
}

void dataset__to_u64(rhumb_element element, const unsigned char *bytes, size_t count, uint64_t *out) {
    switch (element) {
    case RHUMB_ELEMENT_I8: CONVERT_EACH(int8_t, (uint64_t)(int64_t)value);
    case RHUMB_ELEMENT_I16: CONVERT_EACH(int16_t, (uint64_t)(int64_t)value);
    case RHUMB_ELEMENT_I32: CONVERT_EACH(int32_t, (uint64_t)(int64_t)value);
    case RHUMB_ELEMENT_I64:
    case RHUMB_ELEMENT_U64: memcpy(out, bytes, count * sizeof *out); break;
    case RHUMB_ELEMENT_U8: CONVERT_EACH(uint8_t, value);
    case RHUMB_ELEMENT_U16: CONVERT_EACH(uint16_t, value);
    case RHUMB_ELEMENT_U32: CONVERT_EACH(uint32_t, value);
    default: break; /* dataset_read_u64 has rejected floats */
    }
}
