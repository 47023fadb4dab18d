/* voyager.c - indexes of Voyager: 19 bytes, then hnswlib's layout.
 *
 *   VOYA, i32 version 1, i32 dim, u8 space (0 l2sq, 1 ip, 2 cosine), u8 type (0x10 i8, 0x20 f32, 0x30 E4M3), f32
 *   maximum norm, u8 whether order is preserved
 *
 * Under ip each vector has one component more, which is Voyager's own. E4M3, an f8, becomes f16, which holds all of its
 * numbers. No locks.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "engine/exchange/source.h"

#define HEADER_BYTES 19u
#define TYPE_I8 0x10u
#define TYPE_F32 0x20u
#define TYPE_E4M3 0x30u

static bool recognise(rhumb__source_file *file) {
    const uint8_t *view = NULL;
    return rhumb__source_file_view(file, RHUMB__SOURCE_NUMBERS, 0, HEADER_BYTES, &view) == RHUMB_OK &&
           memcmp(view, "VOYA", 4) == 0;
}

/* An E4M3 number as an f16. Voyager has, from the lowest bit up, the sign, 4 bits of exponent with a bias of 7, and 3
 * of fraction. NaN stays NaN. */
static uint16_t f16_of_e4m3(uint8_t bits) {
    const uint32_t sign = (bits & 1u) << 15;
    const uint32_t exponent = bits >> 1 & 15u;
    const uint32_t fraction = (uint32_t)bits >> 5;
    if (exponent == 15 && fraction == 7) return (uint16_t)(sign | 0x7E00u);
    if (exponent != 0) return (uint16_t)(sign | (exponent + 8) << 10 | fraction << 7);
    if (fraction == 0) return (uint16_t)sign;
    /* fraction / 512, which is a normal number as an f16: 1.x times 2 to the power of top - 9. */
    const uint32_t top = fraction >= 4 ? 2 : fraction >= 2 ? 1 : 0;
    return (uint16_t)(sign | (top + 6) << 10 | (fraction << (10 - top) & 0x3FFu));
}

static rhumb_status take_header(rhumb__source *source, uint8_t *type_out) {
    static const rhumb_metric metrics[] = {RHUMB_METRIC_L2SQ, RHUMB_METRIC_IP, RHUMB_METRIC_COSINE};
    const uint8_t *view = NULL;
    rhumb_status status = rhumb__source_file_view(source->file, RHUMB__SOURCE_NUMBERS, 0, HEADER_BYTES, &view);
    if (status != RHUMB_OK) return status;
    if (memcmp(view, "VOYA", 4) != 0) return rhumb__source_file_fail(source->file, 0, "expected VOYA");
    const uint32_t version = rhumb__load_u32(view + 4);
    if (version != 1) {
        return rhumb__fail_at(RHUMB_E_UNSUPPORTED, source->path, 4, "expected version 1 of Voyager's layout, found %u",
                              version);
    }
    const uint8_t space = view[12];
    *type_out = view[13];
    if (space >= sizeof metrics / sizeof metrics[0]) {
        return rhumb__source_file_fail(source->file, 12, "expected a space of 0 to 2, found %u", space);
    }
    const uint32_t dim = rhumb__load_u32(view + 8);
    status = rhumb__source_settle_metric(source, metrics[space]);
    return status == RHUMB_OK ? rhumb__source_set_dim(source, dim, 8) : status;
}

static rhumb_status open_voyager(rhumb__source *source) {
    rhumb_status status;
    uint8_t type = 0;
    RHUMB_TRY(rhumb__source_file_open(source->path, &source->file));
    RHUMB_TRY(take_header(source, &type));
    if (type != TYPE_I8 && type != TYPE_F32 && type != TYPE_E4M3) {
        status = rhumb__source_file_fail(source->file, 13, "expected a type of 0x10, 0x20 or 0x30, found 0x%02x", type);
        goto done;
    }
    const uint32_t dim = source->dim;
    /* hnswlib's layout counts bytes: those of E4M3 are as many as those of u8. */
    source->element = type == TYPE_F32 ? RHUMB_ELEMENT_F32 : type == TYPE_I8 ? RHUMB_ELEMENT_I8 : RHUMB_ELEMENT_U8;
    const rhumb__hnswlib_place place = {.header = source->file,
                                        .header_offset = HEADER_BYTES,
                                        .rows = source->file,
                                        .rows_offset = HEADER_BYTES + 96,
                                        .links = source->file,
                                        .hidden_count = source->metric == RHUMB_METRIC_IP ? 1 : 0};
    RHUMB_TRY(rhumb__hnswlib_open_at(source, &place));
    if (source->dim != dim) {
        status = rhumb__source_file_fail(source->file, 8, "the dimension is %u, the rows have %u components", dim,
                                         source->dim);
        goto done;
    }
    if (type == TYPE_E4M3) {
        source->element = RHUMB_ELEMENT_F16;
        source->row_buffer = rhumb__alloc_zeroed(dim, sizeof(uint16_t));
        if (source->row_buffer == NULL) status = rhumb__fail(RHUMB_E_NOMEM, "no memory for a vector");
    }
    strcpy(source->described, type == TYPE_F32 ? "Voyager, f32" : type == TYPE_I8 ? "Voyager, i8" : "Voyager, E4M3");
    if (type == TYPE_I8) rhumb__source_note(source, "Voyager's components are integers that stand for 127ths");
    if (source->metric == RHUMB_METRIC_COSINE) {
        rhumb__source_note(source, "Voyager keeps vectors under cosine at length 1: their own lengths are lost");
    }
done:
    return status;
}

static rhumb_status row(rhumb__source *source, uint32_t index, rhumb__source_row *row_out) {
    const rhumb_status status = rhumb__hnswlib_row(source, index, row_out);
    if (status != RHUMB_OK || source->row_buffer == NULL) return status;
    const uint8_t *stored = row_out->vector;
    uint16_t *components = source->row_buffer;
    for (uint32_t i = 0; i < source->dim; i++) components[i] = f16_of_e4m3(stored[i]);
    row_out->vector = components;
    return RHUMB_OK;
}

const rhumb__source_format rhumb__source_voyager = {
    .name = "voyager",
    .recognise = recognise,
    .open = open_voyager,
    .row = row,
    .list = rhumb__hnswlib_list,
};
