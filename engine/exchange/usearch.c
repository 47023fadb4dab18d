/* usearch.c - indexes of USearch 2 (save).
 *
 *   matrix      u32 rows, u32 bytes per row (or both u64), the vectors
 *   head        64 bytes: "usearch", u16 version x 3, u8 metric, u8 scalar, u8 key, u8 slot, u64 present, u64
 *               deleted, u64 dimensions, u8 whether keys repeat
 *   graph head  u64 nodes, u64 connectivity, u64 connectivity of level 0, u64 top level, u64 entry
 *   levels      i16 per node
 *   nodes       u64 key, i16 level, then per level u32 length and connectivity x u32 slots
 *
 * A deleted node has the key 2^64 - 1 and stays in the lists. A source's offsets are those of the nodes. No locks.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "engine/exchange/source.h"

#define HEAD_BYTES 64u
#define NODE_HEAD_BYTES 10u
#define KEY_DELETED UINT64_MAX
#define EF_CONSTRUCTION 128u /* the file does not say it; this is USearch's default */

/* Scalar kinds: numbers of version 2.10 and later, and of those before. */
enum { SCALAR_B1 = 1 };
static const struct {
    uint8_t number, old_number;
    rhumb_element element;
} scalars[] = {
    {SCALAR_B1, SCALAR_B1, RHUMB_ELEMENT_B1},
    {10, 4, RHUMB_ELEMENT_F64},
    {11, 5, RHUMB_ELEMENT_F32},
    {12, 6, RHUMB_ELEMENT_F16},
    {17, 10, RHUMB_ELEMENT_U8},
    {23, 14, RHUMB_ELEMENT_I8},
    {4, 0, RHUMB_ELEMENT_BF16},
};
#define NEW_NUMBERS_MINOR 10u

typedef struct usearch_state {
    uint64_t head_offset;
    uint64_t vectors_offset; /* 0: there are none */
    uint64_t row_bytes;
    uint64_t row_count;
    uint64_t connectivity;
    uint64_t connectivity_base;
    uint64_t nodes_offset;
} usearch_state;

static bool has_head(rhumb__source_file *file, uint64_t offset) {
    const uint8_t *view = NULL;
    if (offset > file->bytes || file->bytes - offset < HEAD_BYTES) return false;
    return rhumb__source_file_view(file, RHUMB__SOURCE_NUMBERS, offset, HEAD_BYTES, &view) == RHUMB_OK &&
           memcmp(view, "usearch", 7) == 0;
}

/* Tries a matrix whose two numbers have so many bytes. */
static bool find_behind(rhumb__source_file *file, uint32_t number_bytes, usearch_state *state) {
    const uint8_t *view = NULL;
    if (file->bytes < 2 * number_bytes) return false;
    if (rhumb__source_file_view(file, RHUMB__SOURCE_NUMBERS, 0, 2 * number_bytes, &view) != RHUMB_OK) return false;
    const uint64_t rows = number_bytes == 4 ? rhumb__load_u32(view) : rhumb__load_u64(view);
    const uint64_t row_bytes = number_bytes == 4 ? rhumb__load_u32(view + 4) : rhumb__load_u64(view + 8);
    if (row_bytes == 0 || rows > file->bytes / row_bytes) return false;
    if (!has_head(file, 2 * number_bytes + rows * row_bytes)) return false;
    state->row_count = rows;
    state->row_bytes = row_bytes;
    state->vectors_offset = 2 * number_bytes;
    state->head_offset = 2 * number_bytes + rows * row_bytes;
    return true;
}

static bool find_head(rhumb__source_file *file, usearch_state *state) {
    return find_behind(file, 4, state) || find_behind(file, 8, state) || has_head(file, 0);
}

static bool recognise(rhumb__source_file *file) {
    usearch_state state = {0};
    return find_head(file, &state);
}

static rhumb_metric metric_of(uint8_t letter, rhumb_element element) {
    switch (letter) {
    case 'i': return RHUMB_METRIC_IP;
    case 'c': return RHUMB_METRIC_COSINE;
    case 'e': return RHUMB_METRIC_L2SQ;
    case 'b': return RHUMB_METRIC_HAMMING;
    case 't':
    case 'j': return element == RHUMB_ELEMENT_B1 ? RHUMB_METRIC_JACCARD : 0;
    default: return 0;
    }
}

static rhumb_status take_types(rhumb__source *source, const uint8_t *head) {
    const usearch_state *state = source->state;
    const uint32_t major = rhumb__load_u16(head + 7);
    const uint32_t minor = rhumb__load_u16(head + 9);
    if (major != 2) {
        return rhumb__fail_at(RHUMB_E_UNSUPPORTED, source->path, state->head_offset + 7,
                              "expected version 2 of USearch's layout, found %u.%u", major, minor);
    }
    const bool old = minor < NEW_NUMBERS_MINOR;
    if (head[15] != (old ? 8 : 14) || head[16] != (old ? 9 : 15)) {
        return rhumb__fail_at(RHUMB_E_UNSUPPORTED, source->path, state->head_offset + 15,
                              "expected keys of 64 bits and slots of 32, found USearch's kinds %u and %u", head[15],
                              head[16]);
    }
    for (size_t i = 0; i < sizeof scalars / sizeof scalars[0]; i++) {
        const uint8_t number = old ? scalars[i].old_number : scalars[i].number;
        if (number == head[14] && number != 0) source->element = scalars[i].element;
    }
    if (source->element == 0) {
        return rhumb__fail_at(RHUMB_E_UNSUPPORTED, source->path, state->head_offset + 14,
                              "USearch's scalar kind %u is not b1, bf16, f16, f32, f64, i8 or u8", head[14]);
    }
    const rhumb_metric metric = metric_of(head[13], source->element);
    if (metric == 0 && source->asked_metric == 0) {
        return rhumb__fail_at(RHUMB_E_UNSUPPORTED, source->path, state->head_offset + 13,
                              "USearch's metric '%c' of %u is not measured", head[13] > ' ' ? head[13] : '?', head[14]);
    }
    return rhumb__source_settle_metric(source, metric);
}

static rhumb_status take_head(rhumb__source *source) {
    rhumb_status status;
    usearch_state *state = source->state;
    const uint8_t *head = NULL;
    const uint64_t at = state->head_offset;
    if (state->vectors_offset == 0) {
        return rhumb__fail_at(RHUMB_E_UNSUPPORTED, source->path, 0, "the file was saved without its vectors");
    }
    RHUMB_TRY(rhumb__source_file_view(source->file, RHUMB__SOURCE_NUMBERS, at, HEAD_BYTES, &head));
    const uint64_t dim = rhumb__load_u64(head + 33);
    const bool repeats = head[41] != 0;
    RHUMB_TRY(take_types(source, head));
    RHUMB_TRY(rhumb__source_set_dim(source, dim, at + 33));
    RHUMB_TRY(rhumb__source_set_count(source, state->row_count));
    const uint64_t row_bytes = rhumb__source_vector_bytes(source->element, dim);
    if (state->row_bytes != row_bytes) {
        status = rhumb__source_file_fail(source->file, 0, "rows of %llu bytes, expected %llu",
                                         (unsigned long long)state->row_bytes, (unsigned long long)row_bytes);
        goto done;
    }
    if (repeats) rhumb__source_note(source, "keys may repeat in this index (multi)");
done:
    return status;
}

static rhumb_status take_graph_head(rhumb__source *source, uint64_t *levels_offset_out) {
    usearch_state *state = source->state;
    const uint64_t at = state->head_offset + HEAD_BYTES;
    rhumb__source_cursor cursor = {.file = source->file, .offset = at, .lane = RHUMB__SOURCE_NUMBERS};
    const uint64_t count = rhumb__source_u64(&cursor);
    state->connectivity = rhumb__source_u64(&cursor);
    state->connectivity_base = rhumb__source_u64(&cursor);
    rhumb__source_u64(&cursor);
    const uint64_t entry = rhumb__source_u64(&cursor);
    *levels_offset_out = cursor.offset;
    if (cursor.status != RHUMB_OK) return cursor.status;
    if (count != source->count) {
        return rhumb__source_file_fail(source->file, at, "%llu nodes of %u vectors", (unsigned long long)count,
                                       source->count);
    }
    if (count > 0 && entry >= count) {
        return rhumb__source_file_fail(source->file, at + 32, "the entry point is node %llu of %llu",
                                       (unsigned long long)entry, (unsigned long long)count);
    }
    if (state->connectivity > RHUMB__SOURCE_LIST_MAX || state->connectivity_base > RHUMB__SOURCE_LIST_MAX ||
        state->connectivity_base == 0 || state->connectivity == 0) {
        return rhumb__source_file_fail(source->file, at + 8, "connectivity %llu, %llu on level 0",
                                       (unsigned long long)state->connectivity,
                                       (unsigned long long)state->connectivity_base);
    }
    if (count > 0) source->entry = (uint32_t)entry;
    source->M = (uint32_t)state->connectivity;
    source->M0 = (uint32_t)state->connectivity_base;
    source->ef_construction = EF_CONSTRUCTION;
    return RHUMB_OK;
}

/* The sizes of the nodes follow from their levels. */
static rhumb_status find_nodes(rhumb__source *source, uint64_t levels_offset) {
    rhumb_status status;
    const usearch_state *state = source->state;
    RHUMB_TRY(rhumb__source_file_check(source->file, levels_offset, source->count, 2, "levels"));
    RHUMB_TRY(rhumb__source_allocate(source, sizeof *source->levels, &source->levels));
    RHUMB_TRY(rhumb__source_allocate(source, sizeof *source->offsets, &source->offsets));
    rhumb__source_cursor levels = {.file = source->file, .offset = levels_offset, .lane = RHUMB__SOURCE_ROWS};
    rhumb__source_cursor nodes = {.file = source->file, .offset = levels_offset + 2 * (uint64_t)source->count};
    for (uint32_t i = 0; i < source->count; i++) {
        const uint64_t at = levels.offset;
        const uint32_t level = rhumb__source_u16(&levels);
        RHUMB_TRY(levels.status);
        if (level > UINT8_MAX) {
            status = rhumb__source_file_fail(source->file, at, "node %u: its level is %d", i, (int16_t)level);
            goto done;
        }
        source->levels[i] = (uint8_t)level;
        const uint64_t bytes =
            NODE_HEAD_BYTES + 4 + 4 * state->connectivity_base + level * (4 + 4 * state->connectivity);
        source->offsets[i] = rhumb__source_skip(&nodes, bytes, 1, "a node");
        RHUMB_TRY(nodes.status);
    }
    if (nodes.offset != source->file->bytes) {
        status =
            rhumb__source_file_fail(source->file, nodes.offset, "expected the end of the file, found %llu bytes more",
                                    (unsigned long long)(source->file->bytes - nodes.offset));
    }
done:
    return status;
}

static rhumb_status open_usearch(rhumb__source *source) {
    rhumb_status status;
    uint64_t levels_offset = 0;
    usearch_state *state = rhumb__alloc_zeroed(1, sizeof *state);
    if (state == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for reading %s", source->path);
    source->state = state;
    RHUMB_TRY(rhumb__source_file_open(source->path, &source->file));
    if (!find_head(source->file, state)) {
        status = rhumb__source_file_fail(source->file, 0, "no matrix with the head of USearch behind it");
        goto done;
    }
    RHUMB_TRY(take_head(source));
    RHUMB_TRY(take_graph_head(source, &levels_offset));
    RHUMB_TRY(find_nodes(source, levels_offset));
    source->has_links = true;
    strcpy(source->described, "USearch");
    rhumb__source_note(source, "USearch does not keep ef_construction: %u, its default, is taken", EF_CONSTRUCTION);
    if (source->element == RHUMB_ELEMENT_I8) {
        rhumb__source_note(source, "USearch scales vectors to 127 when it makes them i8; their own lengths are lost");
    }
done:
    return status;
}

static rhumb_status row(rhumb__source *source, uint32_t index, rhumb__source_row *row_out) {
    rhumb_status status;
    const usearch_state *state = source->state;
    const uint8_t *view = NULL;
    const uint8_t *key = NULL;
    const uint64_t offset = state->vectors_offset + index * state->row_bytes;
    RHUMB_TRY(rhumb__source_file_view(source->file, RHUMB__SOURCE_ROWS, offset, state->row_bytes, &view));
    RHUMB_TRY(rhumb__source_file_view(source->file, RHUMB__SOURCE_NUMBERS, source->offsets[index], 8, &key));
    *row_out = (rhumb__source_row){.vector = view, .key = rhumb__load_u64(key), .has_key = true};
    row_out->deleted = row_out->key == KEY_DELETED;
done:
    return status;
}

static rhumb_status list(rhumb__source *source, uint32_t index, uint32_t level, uint32_t *neighbours,
                         uint32_t *count_out) {
    const usearch_state *state = source->state;
    const uint8_t *view = NULL;
    const uint64_t base_bytes = 4 + 4 * state->connectivity_base;
    const uint64_t upper_bytes = 4 + 4 * state->connectivity;
    const uint64_t capacity = level == 0 ? state->connectivity_base : state->connectivity;
    uint64_t offset = source->offsets[index] + NODE_HEAD_BYTES;
    if (level > 0) offset += base_bytes + (level - 1) * upper_bytes;
    const rhumb_status status =
        rhumb__source_file_view(source->file, RHUMB__SOURCE_LISTS, offset, 4 + 4 * capacity, &view);
    if (status != RHUMB_OK) return status;
    const uint32_t count = rhumb__load_u32(view);
    if (count > capacity) {
        return rhumb__source_file_fail(source->file, offset,
                                       "node %u, level %u: a list of %u neighbours, at most %llu fit", index, level,
                                       count, (unsigned long long)capacity);
    }
    memcpy(neighbours, view + 4, count * sizeof *neighbours);
    *count_out = count;
    return RHUMB_OK;
}

const rhumb__source_format rhumb__source_usearch = {
    .name = "usearch",
    .recognise = recognise,
    .open = open_usearch,
    .row = row,
    .list = list,
};
