/* dataset_convert.c - element types of files, and their conversion to what the index takes.
 *
 * Owns nothing, cannot fail. Bytes are little-endian and need no alignment; the host is little-endian, as rhumb's own
 * file format requires.
 */
#include <math.h>
#include <string.h>

#include "dataset_internal.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the readers take the components of files as they lie there: little-endian hosts only"
#endif

static const struct {
    const char *name;
    size_t bytes;
    bool is_integer;
} elements[] = {
    [DATASET_ELEMENT_F16] = {"f16", 2, false}, [DATASET_ELEMENT_F32] = {"f32", 4, false},
    [DATASET_ELEMENT_F64] = {"f64", 8, false}, [DATASET_ELEMENT_I8] = {"i8", 1, true},
    [DATASET_ELEMENT_I16] = {"i16", 2, true},  [DATASET_ELEMENT_I32] = {"i32", 4, true},
    [DATASET_ELEMENT_I64] = {"i64", 8, true},  [DATASET_ELEMENT_U8] = {"u8", 1, true},
    [DATASET_ELEMENT_U16] = {"u16", 2, true},  [DATASET_ELEMENT_U32] = {"u32", 4, true},
    [DATASET_ELEMENT_U64] = {"u64", 8, true},
};

static bool element_is_known(enum dataset_element element) {
    return (int)element > 0 && (size_t)element < sizeof elements / sizeof elements[0];
}

const char *dataset_element_name(enum dataset_element element) {
    return element_is_known(element) ? elements[element].name : NULL;
}

size_t dataset_element_bytes(enum dataset_element element) {
    return element_is_known(element) ? elements[element].bytes : 0;
}

bool dataset_element_is_integer(enum dataset_element element) {
    return element_is_known(element) && elements[element].is_integer;
}

uint32_t dataset__u32_le(const unsigned char *bytes) {
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

bool dataset__size(uint64_t a, uint64_t b, uint64_t c, uint64_t *result) {
    uint64_t product;
    return !__builtin_mul_overflow(a, b, &product) && !__builtin_add_overflow(product, c, result);
}

/* 1 bit of sign, 5 of exponent, 10 of fraction. */
float dataset_f16_value(uint16_t half) {
    const float sign = half & 0x8000 ? -1.0f : 1.0f;
    const int exponent = half >> 10 & 0x1f;
    const int fraction = half & 0x3ff;
    if (exponent == 0x1f) return fraction ? NAN : sign * INFINITY;
    if (exponent == 0) return sign * ldexpf((float)fraction, -24);
    return sign * ldexpf((float)(fraction | 0x400), exponent - 25);
}

/* One loop for one type: memcpy because rows in files are not aligned. */
#define CONVERT_EACH(type, expression)                                                                                 \
    for (size_t i = 0; i < count; i++) {                                                                               \
        type value;                                                                                                    \
        memcpy(&value, bytes + i * sizeof value, sizeof value);                                                        \
        out[i] = (expression);                                                                                         \
    }                                                                                                                  \
    break

void dataset__to_f32(enum dataset_element element, const unsigned char *bytes, size_t count, float *out) {
    switch (element) {
    case DATASET_ELEMENT_F16: CONVERT_EACH(uint16_t, dataset_f16_value(value));
    case DATASET_ELEMENT_F32: memcpy(out, bytes, count * sizeof *out); break;
    case DATASET_ELEMENT_F64: CONVERT_EACH(double, (float)value);
    case DATASET_ELEMENT_I8: CONVERT_EACH(int8_t, (float)value);
    case DATASET_ELEMENT_I16: CONVERT_EACH(int16_t, (float)value);
    case DATASET_ELEMENT_I32: CONVERT_EACH(int32_t, (float)value);
    case DATASET_ELEMENT_I64: CONVERT_EACH(int64_t, (float)value);
    case DATASET_ELEMENT_U8: CONVERT_EACH(uint8_t, (float)value);
    case DATASET_ELEMENT_U16: CONVERT_EACH(uint16_t, (float)value);
    case DATASET_ELEMENT_U32: CONVERT_EACH(uint32_t, (float)value);
    case DATASET_ELEMENT_U64: CONVERT_EACH(uint64_t, (float)value);
    }
}

void dataset__to_u64(enum dataset_element element, const unsigned char *bytes, size_t count, uint64_t *out) {
    switch (element) {
    case DATASET_ELEMENT_F16:
    case DATASET_ELEMENT_F32:
    case DATASET_ELEMENT_F64: break; /* dataset_read_u64 has refused these */
    case DATASET_ELEMENT_I8: CONVERT_EACH(int8_t, (uint64_t)(int64_t)value);
    case DATASET_ELEMENT_I16: CONVERT_EACH(int16_t, (uint64_t)(int64_t)value);
    case DATASET_ELEMENT_I32: CONVERT_EACH(int32_t, (uint64_t)(int64_t)value);
    case DATASET_ELEMENT_I64:
    case DATASET_ELEMENT_U64: memcpy(out, bytes, count * sizeof *out); break;
    case DATASET_ELEMENT_U8: CONVERT_EACH(uint8_t, value);
    case DATASET_ELEMENT_U16: CONVERT_EACH(uint16_t, value);
    case DATASET_ELEMENT_U32: CONVERT_EACH(uint32_t, value);
    }
}
