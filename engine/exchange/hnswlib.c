/* hnswlib.c - indexes that hnswlib has saved (saveIndex), of which Chroma and Voyager use the same layout.
 *
 *   header   96 bytes: sizes and offsets, M, ef_construction, entry point. No magic number, dimension, metric or type
 *   rows     of fixed size: u16 length of the list of level 0, u8 whose bit 0 marks a deletion, u8, maxM0 x u32
 *            neighbours, the vector, u64 label
 *   links    per node: u32 bytes = level * (4 + 4 * maxM), then that many lists: u16 length, u16, maxM x u32
 *
 * A source's offsets are those of the lists of level 1 in the links; 0 on level 0. No locks.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "distances/element.h"
#include "engine/exchange/source.h"
#include "engine/graph/params.h"

#define HEADER_BYTES 96u
#define LIST_HEAD_BYTES 4u
#define DELETED_BIT 1u

typedef struct hnswlib_header {
    uint64_t level0_offset;
    uint64_t max_elements;
    uint64_t count;
    uint64_t row_bytes;
    uint64_t label_offset;
    uint64_t data_offset;
    int32_t max_level;
    uint32_t entry;
    uint64_t max_m;
    uint64_t max_m0;
    uint64_t m;
    double mult;
    uint64_t ef_construction;
} hnswlib_header;

typedef struct hnswlib_state {
    hnswlib_header header;
    rhumb__source_file *rows;
    rhumb__source_file *links;
    uint64_t rows_offset;
} hnswlib_state;

static rhumb_status read_header(rhumb__source_file *file, uint64_t offset, hnswlib_header *h) {
    rhumb__source_cursor cursor = {.file = file, .offset = offset, .lane = RHUMB__SOURCE_NUMBERS};
    h->level0_offset = rhumb__source_u64(&cursor);
    h->max_elements = rhumb__source_u64(&cursor);
    h->count = rhumb__source_u64(&cursor);
    h->row_bytes = rhumb__source_u64(&cursor);
    h->label_offset = rhumb__source_u64(&cursor);
    h->data_offset = rhumb__source_u64(&cursor);
    h->max_level = (int32_t)rhumb__source_u32(&cursor);
    h->entry = rhumb__source_u32(&cursor);
    h->max_m = rhumb__source_u64(&cursor);
    h->max_m0 = rhumb__source_u64(&cursor);
    h->m = rhumb__source_u64(&cursor);
    h->mult = rhumb__source_f64(&cursor);
    h->ef_construction = rhumb__source_u64(&cursor);
    return cursor.status;
}

/* The equalities that the numbers of every header satisfy. */
static bool is_coherent(const hnswlib_header *h) {
    return h->level0_offset == 0 && h->count <= h->max_elements && h->max_m0 >= 1 && h->max_m0 <= UINT16_MAX &&
           h->max_m >= 1 && h->max_m <= UINT16_MAX && h->data_offset == LIST_HEAD_BYTES + 4 * h->max_m0 &&
           h->label_offset > h->data_offset && h->label_offset < UINT32_MAX && h->row_bytes == h->label_offset + 8;
}

static bool recognise(rhumb__source_file *file) {
    hnswlib_header header;
    return read_header(file, 0, &header) == RHUMB_OK && is_coherent(&header) && header.m == header.max_m;
}

static rhumb_status check_header(rhumb__source *source, const rhumb__hnswlib_place *place, const hnswlib_header *h) {
    rhumb_status status;
    const rhumb__source_file *file = place->header;
    if (!is_coherent(h)) {
        status = rhumb__source_file_fail(
            file, place->header_offset,
            "the header's numbers do not fit each other: count %llu of %llu, row %llu, label at %llu, data at %llu, "
            "maxM %llu, maxM0 %llu",
            (unsigned long long)h->count, (unsigned long long)h->max_elements, (unsigned long long)h->row_bytes,
            (unsigned long long)h->label_offset, (unsigned long long)h->data_offset, (unsigned long long)h->max_m,
            (unsigned long long)h->max_m0);
        goto done;
    }
    const uint64_t rows_in_file = place->row_count_in_file != 0 ? place->row_count_in_file : h->count;
    RHUMB_TRY(rhumb__source_file_check(place->rows, place->rows_offset, rows_in_file, h->row_bytes, "rows"));
    const uint64_t data_bytes = h->label_offset - h->data_offset;
    const uint64_t hidden_bytes = rhumb__source_vector_bytes(source->element, place->hidden_count);
    const uint64_t component_bits = rhumb__element_bits(source->element);
    if (data_bytes <= hidden_bytes || data_bytes * 8 % component_bits != 0) {
        status =
            rhumb__source_file_fail(file, place->header_offset + 32, "vectors of %llu bytes cannot be components of %s",
                                    (unsigned long long)data_bytes, rhumb__element_name(source->element));
        goto done;
    }
    RHUMB_TRY(rhumb__source_set_dim(source, (data_bytes - hidden_bytes) * 8 / component_bits, place->header_offset));
    if (h->count > 0 && h->entry >= h->count) {
        status =
            rhumb__source_file_fail(file, place->header_offset + 52, "the entry point is node %u, the file has %llu",
                                    h->entry, (unsigned long long)h->count);
    }
done:
    return status;
}

/* Reads the sizes of all nodes' upper lists. */
static rhumb_status read_links(rhumb__source *source, rhumb__source_file *links, uint64_t offset, uint64_t max_m) {
    rhumb__source_cursor cursor = {.file = links, .offset = offset, .lane = RHUMB__SOURCE_NUMBERS};
    const uint64_t list_bytes = LIST_HEAD_BYTES + 4 * max_m;
    for (uint32_t i = 0; i < source->count; i++) {
        const uint64_t begin = cursor.offset;
        const uint64_t bytes = rhumb__source_u32(&cursor);
        const uint64_t lists_begin = rhumb__source_skip(&cursor, bytes, 1, "lists of upper levels");
        if (cursor.status != RHUMB_OK) return cursor.status;
        if (bytes % list_bytes != 0 || bytes / list_bytes > UINT8_MAX) {
            return rhumb__source_file_fail(links, begin, "node %u: %llu bytes of upper lists are not lists of %llu", i,
                                           (unsigned long long)bytes, (unsigned long long)list_bytes);
        }
        source->levels[i] = (uint8_t)(bytes / list_bytes);
        if (bytes > 0) source->offsets[i] = lists_begin;
    }
    if (cursor.offset == links->bytes) return RHUMB_OK;
    return rhumb__source_file_fail(links, cursor.offset, "expected the end of the file, found %llu bytes more",
                                   (unsigned long long)(links->bytes - cursor.offset));
}

rhumb_status rhumb__hnswlib_open_at(rhumb__source *source, const rhumb__hnswlib_place *place) {
    rhumb_status status;
    hnswlib_state *state = rhumb__alloc_zeroed(1, sizeof *state);
    if (state == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for reading %s", source->path);
    source->state = state;
    hnswlib_header *h = &state->header;
    state->rows = place->rows;
    state->links = place->links;
    state->rows_offset = place->rows_offset;
    RHUMB_TRY(read_header(place->header, place->header_offset, h));
    RHUMB_TRY(check_header(source, place, h));
    RHUMB_TRY(rhumb__source_set_count(source, h->count));
    RHUMB_TRY(rhumb__source_allocate(source, sizeof *source->levels, &source->levels));
    RHUMB_TRY(rhumb__source_allocate(source, sizeof *source->offsets, &source->offsets));
    const bool links_follow = place->row_count_in_file == 0;
    RHUMB_TRY(
        read_links(source, place->links, links_follow ? place->rows_offset + h->count * h->row_bytes : 0, h->max_m));
    source->has_links = true;
    source->M = (uint32_t)h->max_m;
    source->M0 = (uint32_t)h->max_m0;
    source->ef_construction = h->ef_construction > UINT32_MAX ? UINT32_MAX : (uint32_t)h->ef_construction;
    if (source->count > 0) source->entry = h->entry;
done:
    return status;
}

rhumb_status rhumb__hnswlib_row(rhumb__source *source, uint32_t index, rhumb__source_row *row_out) {
    const hnswlib_state *state = source->state;
    const uint8_t *view = NULL;
    const uint64_t row_bytes = state->header.row_bytes;
    const uint64_t offset = state->rows_offset + index * row_bytes;
    const rhumb_status status = rhumb__source_file_view(state->rows, RHUMB__SOURCE_ROWS, offset, row_bytes, &view);
    if (status != RHUMB_OK) return status;
    row_out->vector = view + state->header.data_offset;
    row_out->key = rhumb__load_u64(view + state->header.label_offset);
    row_out->has_key = true;
    row_out->deleted = (view[2] & DELETED_BIT) != 0;
    row_out->absent = false;
    return RHUMB_OK;
}

rhumb_status rhumb__hnswlib_list(rhumb__source *source, uint32_t index, uint32_t level, uint32_t *neighbours,
                                 uint32_t *count_out) {
    const hnswlib_state *state = source->state;
    const uint8_t *view = NULL;
    const uint64_t capacity = level == 0 ? state->header.max_m0 : state->header.max_m;
    const uint64_t list_bytes = LIST_HEAD_BYTES + 4 * capacity;
    rhumb__source_file *file = level == 0 ? state->rows : state->links;
    const uint64_t offset = level == 0 ? state->rows_offset + index * state->header.row_bytes
                                       : source->offsets[index] + (level - 1) * list_bytes;
    const rhumb_status status = rhumb__source_file_view(file, RHUMB__SOURCE_LISTS, offset, list_bytes, &view);
    if (status != RHUMB_OK) return status;
    const uint32_t count = rhumb__load_u16(view);
    if (count > capacity) {
        return rhumb__source_file_fail(file, offset, "node %u, level %u: a list of %u neighbours, at most %llu fit",
                                       index, level, count, (unsigned long long)capacity);
    }
    memcpy(neighbours, view + LIST_HEAD_BYTES, count * sizeof *neighbours);
    *count_out = count;
    return RHUMB_OK;
}

static rhumb_status open_hnswlib(rhumb__source *source) {
    rhumb_status status;
    RHUMB_TRY(rhumb__source_settle_metric(source, 0));
    source->element = source->asked_element != 0 ? source->asked_element : RHUMB_ELEMENT_F32;
    RHUMB_TRY(rhumb__source_file_open(source->path, &source->file));
    const rhumb__hnswlib_place place = {
        .header = source->file, .rows = source->file, .rows_offset = HEADER_BYTES, .links = source->file};
    RHUMB_TRY(rhumb__hnswlib_open_at(source, &place));
    strcpy(source->described, "hnswlib");
    if (source->metric == RHUMB_METRIC_COSINE) {
        rhumb__source_note(source, "hnswlib keeps vectors under cosine at length 1: their own lengths are lost");
    }
done:
    return status;
}

const rhumb__source_format rhumb__source_hnswlib = {
    .name = "hnswlib",
    .recognise = recognise,
    .open = open_hnswlib,
    .row = rhumb__hnswlib_row,
    .list = rhumb__hnswlib_list,
};
