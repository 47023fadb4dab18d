/* hnsw_rs.c - dumps of hnsw_rs (file_dump), versions 2 to 4 of its layout, in two files.
 *
 *   NAME.hnsw.graph  u32 magic, u8 mode, u8 M (0: 256), f64 level scale (version 4 only), u8 layers, u64
 *                    ef_construction, u64 points, u64 dim, two texts (u64 length, bytes): distance and type; u8
 *                    layers; per layer u32 magic, u64 points, and each point: u32 magic, then id, and 16 lists (u64
 *                    length, then for each neighbour id and f32 distance); at the end the id of the entry point. An id
 *                    is u64 the caller's, u8 layer, i32 rank in it
 *   NAME.hnsw.data   u32 magic, u64 dim; per point, in the same order, u32 magic, u64 id, u64 bytes, components (in
 *                    version 2 after their number in u64)
 *
 * A point's position is its layer's first position plus its rank. A source's offsets are those of the points in the
 * graph file. No locks.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "distances/element.h"
#include "engine/exchange/source.h"

#define MAGIC_V2 0x002a677fu
#define MAGIC_V3 0x002a6771u
#define MAGIC_V4 0x002a6779u
#define MAGIC_LAYER 0x000a676fu
#define MAGIC_POINT 0x000a678fu
#define MAGIC_DATA 0xa67f0000u

#define LAYER_COUNT_MAX 16u
#define LIST_COUNT 16u
#define ID_BYTES 13u
#define NEIGHBOUR_BYTES (ID_BYTES + 4u)
#define POINT_HEAD_BYTES (4u + ID_BYTES)
#define DATA_HEAD_BYTES 12u
#define NAME_BYTES_MAX 256u
#define PATH_BYTES_MAX 4096u

typedef struct hnsw_rs_state {
    uint32_t version;
    double level_scale; /* as in the file: 1 / ln M, unless it was changed */
    char distance[NAME_BYTES_MAX + 1];
    char type[NAME_BYTES_MAX + 1];
    uint64_t layer_begins[LAYER_COUNT_MAX + 1];
    uint64_t vector_bytes;
    uint64_t record_bytes; /* of a point in the data file */
    uint64_t above_count;  /* lists above their point's own level that are not empty */
} hnsw_rs_state;

static uint32_t version_of(uint32_t magic) {
    return magic == MAGIC_V4 ? 4 : magic == MAGIC_V3 ? 3 : magic == MAGIC_V2 ? 2 : 0;
}

static bool recognise(rhumb__source_file *file) {
    const uint8_t *view = NULL;
    return rhumb__source_file_view(file, RHUMB__SOURCE_NUMBERS, 0, 4, &view) == RHUMB_OK &&
           version_of(rhumb__load_u32(view)) != 0;
}

/* ---- the two files ---- */

/* The name without what the two files add to it. */
static size_t stem_length(const char *path) {
    static const char *const ends[] = {".hnsw.graph", ".hnsw.data"};
    const size_t length = strlen(path);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        const size_t end_length = strlen(ends[i]);
        if (length > end_length && strcmp(path + length - end_length, ends[i]) == 0) return length - end_length;
    }
    return length;
}

static rhumb_status open_part(const rhumb__source *source, const char *end, rhumb__source_file **file_out) {
    char path[PATH_BYTES_MAX];
    const int length = snprintf(path, sizeof path, "%.*s%s", (int)stem_length(source->path), source->path, end);
    if (length < 0 || (size_t)length >= sizeof path) {
        return rhumb__fail_at(RHUMB_E_INVALID, source->path, RHUMB_OFFSET_NONE, "the name is too long");
    }
    return rhumb__source_file_open(path, file_out);
}

/* ---- the head of the graph ---- */

static void read_text(rhumb__source_cursor *cursor, char text[NAME_BYTES_MAX + 1], const char *what) {
    const uint8_t *view = NULL;
    const uint64_t at = cursor->offset;
    const uint64_t length = rhumb__source_u64(cursor);
    text[0] = '\0';
    if (cursor->status == RHUMB_OK && length > NAME_BYTES_MAX) {
        cursor->status = rhumb__source_file_fail(cursor->file, at, "%s of %llu bytes, at most %u are expected", what,
                                                 (unsigned long long)length, NAME_BYTES_MAX);
    }
    const uint64_t begin = rhumb__source_skip(cursor, length, 1, what);
    if (cursor->status != RHUMB_OK || length == 0) return;
    cursor->status = rhumb__source_file_view(cursor->file, cursor->lane, begin, length, &view);
    if (cursor->status != RHUMB_OK) return;
    for (uint64_t i = 0; i < length; i++) text[i] = view[i] >= ' ' && view[i] <= '~' ? (char)view[i] : '?';
    text[length] = '\0';
}

static rhumb_status read_head(rhumb__source *source, rhumb__source_cursor *cursor) {
    rhumb_status status;
    hnsw_rs_state *state = source->state;
    const uint32_t magic = rhumb__source_u32(cursor);
    RHUMB_TRY(cursor->status);
    state->version = version_of(magic);
    if (state->version == 0) {
        status = rhumb__fail_at(RHUMB_E_UNSUPPORTED, cursor->file->path, 0,
                                "expected a dump of version 2, 3 or 4, found the magic number 0x%08x", magic);
        goto done;
    }
    const uint8_t mode = rhumb__source_u8(cursor);
    const uint8_t M = rhumb__source_u8(cursor);
    if (state->version >= 4) state->level_scale = rhumb__source_f64(cursor);
    rhumb__source_u8(cursor);
    const uint64_t ef_construction = rhumb__source_u64(cursor);
    const uint64_t count = rhumb__source_u64(cursor);
    const uint64_t dim_offset = cursor->offset;
    const uint64_t dim = rhumb__source_u64(cursor);
    read_text(cursor, state->distance, "the name of a distance");
    read_text(cursor, state->type, "the name of a type");
    RHUMB_TRY(cursor->status);
    if (mode != 1) {
        status = rhumb__fail_at(RHUMB_E_UNSUPPORTED, cursor->file->path, 4,
                                "the dump has mode %u: it has no vectors that could be imported", mode);
        goto done;
    }
    source->M = M == 0 ? 256 : M;
    source->M0 = 2 * source->M;
    source->ef_construction = ef_construction > UINT32_MAX ? UINT32_MAX : (uint32_t)ef_construction;
    RHUMB_TRY(rhumb__source_set_dim(source, dim, dim_offset));
    status = rhumb__source_set_count(source, count);
done:
    return status;
}

/* Names are those of Rust's types: the part behind the last "::" counts. */
static rhumb_status settle_types(rhumb__source *source) {
    static const struct {
        const char *name;
        rhumb_metric metric;
    } metrics[] = {{"DistL1", RHUMB_METRIC_L1},
                   {"DistL2", RHUMB_METRIC_L2},
                   {"DistCosine", RHUMB_METRIC_COSINE},
                   {"DistDot", RHUMB_METRIC_IP},
                   {"DistHamming", RHUMB_METRIC_HAMMING},
                   {"DistJaccard", RHUMB_METRIC_JACCARD},
                   {"DistHellinger", RHUMB_METRIC_HELLINGER},
                   {"DistJeffreys", RHUMB_METRIC_JEFFREYS},
                   {"DistJensenShannon", RHUMB_METRIC_JENSEN_SHANNON}};
    const hnsw_rs_state *state = source->state;
    const char *colon = strrchr(state->distance, ':');
    const char *name = colon != NULL ? colon + 1 : state->distance;
    rhumb_metric metric = 0;
    for (size_t i = 0; i < sizeof metrics / sizeof metrics[0]; i++) {
        if (strcmp(name, metrics[i].name) == 0) metric = metrics[i].metric;
    }
    source->element = rhumb__element_from_name(state->type);
    if (source->element == 0 || source->element == RHUMB_ELEMENT_B1) {
        source->element = 0;
        return rhumb__fail_at(RHUMB_E_UNSUPPORTED, source->file->path, RHUMB_OFFSET_NONE,
                              "vectors of '%s' cannot be imported", state->type);
    }
    if (metric == 0 && source->asked_metric == 0) {
        return rhumb__fail_at(RHUMB_E_UNSUPPORTED, source->file->path, RHUMB_OFFSET_NONE,
                              "'%s' is not a distance that rhumb has for vectors of one length", state->distance);
    }
    return rhumb__source_settle_metric(source, metric);
}

/* ---- points ---- */

/* The smallest point: its head and the lengths of its lists. */
#define POINT_BYTES_MIN (POINT_HEAD_BYTES + LIST_COUNT * 8u)

static rhumb_status read_point(rhumb__source *source, rhumb__source_cursor *cursor, uint32_t index, uint32_t layer) {
    hnsw_rs_state *state = source->state;
    const uint64_t begin = cursor->offset;
    const uint32_t magic = rhumb__source_u32(cursor);
    rhumb__source_u64(cursor);
    const uint32_t own_layer = rhumb__source_u8(cursor);
    const uint32_t rank = rhumb__source_u32(cursor);
    if (cursor->status != RHUMB_OK) return cursor->status;
    if (magic != MAGIC_POINT || own_layer != layer || rank != index - state->layer_begins[layer]) {
        return rhumb__source_file_fail(
            cursor->file, begin, "expected point %llu of layer %u, found magic 0x%08x, layer %u, rank %u",
            (unsigned long long)(index - state->layer_begins[layer]), layer, magic, own_layer, rank);
    }
    source->offsets[index] = begin;
    source->levels[index] = (uint8_t)layer;
    for (uint32_t level = 0; level < LIST_COUNT; level++) {
        const uint64_t at = cursor->offset;
        const uint64_t length = rhumb__source_u64(cursor);
        rhumb__source_skip(cursor, length, NEIGHBOUR_BYTES, "neighbours");
        if (cursor->status != RHUMB_OK) return cursor->status;
        if (length > RHUMB__SOURCE_LIST_MAX) {
            return rhumb__source_file_fail(cursor->file, at, "a list of %llu neighbours, at most %u are expected",
                                           (unsigned long long)length, RHUMB__SOURCE_LIST_MAX);
        }
        if (level > layer && length > 0) state->above_count++;
    }
    return RHUMB_OK;
}

static rhumb_status read_layers(rhumb__source *source, rhumb__source_cursor *cursor) {
    rhumb_status status;
    hnsw_rs_state *state = source->state;
    uint32_t index = 0;
    const uint64_t at = cursor->offset;
    const uint32_t layer_count = rhumb__source_u8(cursor);
    RHUMB_TRY(cursor->status);
    if (layer_count > LAYER_COUNT_MAX) {
        status = rhumb__source_file_fail(cursor->file, at, "%u layers, at most %u are expected", layer_count,
                                         LAYER_COUNT_MAX);
        goto done;
    }
    RHUMB_TRY(rhumb__source_file_check(cursor->file, cursor->offset, source->count, POINT_BYTES_MIN, "points"));
    RHUMB_TRY(rhumb__source_allocate(source, sizeof *source->levels, &source->levels));
    RHUMB_TRY(rhumb__source_allocate(source, sizeof *source->offsets, &source->offsets));
    for (uint32_t layer = 0; layer < LAYER_COUNT_MAX; layer++) {
        state->layer_begins[layer] = index;
        state->layer_begins[layer + 1] = index;
        if (layer >= layer_count) continue;
        const uint64_t begin = cursor->offset;
        const uint32_t magic = rhumb__source_u32(cursor);
        const uint64_t point_count = rhumb__source_u64(cursor);
        RHUMB_TRY(cursor->status);
        if (magic != MAGIC_LAYER || point_count > source->count - index) {
            status = rhumb__source_file_fail(
                cursor->file, begin, "layer %u: magic 0x%08x, %llu points; %u of %u points are left", layer, magic,
                (unsigned long long)point_count, source->count - index, source->count);
            goto done;
        }
        for (uint64_t i = 0; i < point_count; i++) RHUMB_TRY(read_point(source, cursor, index++, layer));
        state->layer_begins[layer + 1] = index;
    }
    if (index != source->count) {
        status = rhumb__source_file_fail(cursor->file, cursor->offset, "the layers have %u points, expected %u", index,
                                         source->count);
    }
done:
    return status;
}

static uint32_t position_of(const hnsw_rs_state *state, uint32_t layer, uint32_t rank) {
    if (layer >= LAYER_COUNT_MAX) return RHUMB__SOURCE_NONE;
    const uint64_t point_count = state->layer_begins[layer + 1] - state->layer_begins[layer];
    return rank < point_count ? (uint32_t)(state->layer_begins[layer] + rank) : RHUMB__SOURCE_NONE;
}

static rhumb_status read_entry(rhumb__source *source, rhumb__source_cursor *cursor) {
    const uint64_t at = cursor->offset;
    rhumb__source_u64(cursor);
    const uint32_t layer = rhumb__source_u8(cursor);
    const uint32_t rank = rhumb__source_u32(cursor);
    if (cursor->status != RHUMB_OK) return cursor->status;
    source->entry = position_of(source->state, layer, rank);
    if (source->entry == RHUMB__SOURCE_NONE) {
        return rhumb__source_file_fail(cursor->file, at, "the entry point is point %u of layer %u, which is not there",
                                       rank, layer);
    }
    if (cursor->offset == cursor->file->bytes) return RHUMB_OK;
    return rhumb__source_file_fail(cursor->file, cursor->offset, "expected the end of the file, found %llu bytes more",
                                   (unsigned long long)(cursor->file->bytes - cursor->offset));
}

static rhumb_status check_data(rhumb__source *source) {
    rhumb_status status;
    hnsw_rs_state *state = source->state;
    rhumb__source_file *file = source->other_file;
    rhumb__source_cursor cursor = {.file = file, .lane = RHUMB__SOURCE_NUMBERS};
    const uint32_t magic = rhumb__source_u32(&cursor);
    const uint64_t dim = rhumb__source_u64(&cursor);
    RHUMB_TRY(cursor.status);
    if (magic != MAGIC_DATA || dim != source->dim) {
        status = rhumb__source_file_fail(file, 0, "expected magic 0x%08x and dimension %u, found 0x%08x and %llu",
                                         MAGIC_DATA, source->dim, magic, (unsigned long long)dim);
        goto done;
    }
    state->vector_bytes = rhumb__source_vector_bytes(source->element, source->dim);
    state->record_bytes = 20 + (state->version == 2 ? 8 : 0) + state->vector_bytes;
    status = rhumb__source_file_check(file, DATA_HEAD_BYTES, source->count, state->record_bytes, "vectors");
done:
    return status;
}

static void note_what_differs(rhumb__source *source) {
    const hnsw_rs_state *state = source->state;
    snprintf(source->described, sizeof source->described, "hnsw_rs, version %u of its dumps", state->version);
    if (state->above_count > 0) {
        rhumb__source_note(source, "%llu lists lie above their own point's level, and are not carried over",
                           (unsigned long long)state->above_count);
    }
    /* In a dump of version 4 the scale contains 1 / ln M already. */
    if (state->version < 4) return;
    const double scale = state->level_scale * log((double)source->M);
    if (scale >= 0.1 && scale <= 2) source->level_scale = scale;
}

static rhumb_status open_hnsw_rs(rhumb__source *source) {
    rhumb_status status;
    hnsw_rs_state *state = rhumb__alloc_zeroed(1, sizeof *state);
    if (state == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for reading %s", source->path);
    source->state = state;
    RHUMB_TRY(open_part(source, ".hnsw.graph", &source->file));
    RHUMB_TRY(open_part(source, ".hnsw.data", &source->other_file));
    rhumb__source_cursor cursor = {.file = source->file, .lane = RHUMB__SOURCE_ROWS};
    RHUMB_TRY(read_head(source, &cursor));
    RHUMB_TRY(settle_types(source));
    RHUMB_TRY(check_data(source));
    RHUMB_TRY(read_layers(source, &cursor));
    RHUMB_TRY(read_entry(source, &cursor));
    source->has_links = true;
    source->lists_above = true;
    note_what_differs(source);
done:
    return status;
}

/* ---- rows and lists ---- */

static rhumb_status row(rhumb__source *source, uint32_t index, rhumb__source_row *row_out) {
    rhumb_status status;
    const hnsw_rs_state *state = source->state;
    const uint8_t *view = NULL;
    const uint8_t *point = NULL;
    const uint64_t offset = DATA_HEAD_BYTES + index * state->record_bytes;
    RHUMB_TRY(rhumb__source_file_view(source->other_file, RHUMB__SOURCE_ROWS, offset, state->record_bytes, &view));
    RHUMB_TRY(
        rhumb__source_file_view(source->file, RHUMB__SOURCE_NUMBERS, source->offsets[index], POINT_HEAD_BYTES, &point));
    const uint64_t payload_bytes = state->record_bytes - 20;
    const bool counted = state->version == 2;
    const uint64_t id = rhumb__load_u64(view + 4);
    if (rhumb__load_u32(view) != MAGIC_DATA || rhumb__load_u64(view + 12) != payload_bytes ||
        (counted && rhumb__load_u64(view + 20) != source->dim) || rhumb__load_u64(point + 4) != id) {
        status = rhumb__source_file_fail(source->other_file, offset,
                                         "expected a vector of %llu bytes of point %llu, found magic 0x%08x, %llu "
                                         "bytes, point %llu",
                                         (unsigned long long)payload_bytes,
                                         (unsigned long long)rhumb__load_u64(point + 4), rhumb__load_u32(view),
                                         (unsigned long long)rhumb__load_u64(view + 12), (unsigned long long)id);
        goto done;
    }
    *row_out = (rhumb__source_row){.vector = view + 20 + (counted ? 8 : 0), .key = id, .has_key = true};
done:
    return status;
}

static rhumb_status list(rhumb__source *source, uint32_t index, uint32_t level, uint32_t *neighbours,
                         uint32_t *count_out) {
    const hnsw_rs_state *state = source->state;
    const uint8_t *view = NULL;
    rhumb__source_cursor cursor = {
        .file = source->file, .offset = source->offsets[index] + POINT_HEAD_BYTES, .lane = RHUMB__SOURCE_LISTS};
    uint64_t length = 0;
    uint64_t begin = 0;
    for (uint32_t i = 0; i <= level; i++) {
        length = rhumb__source_u64(&cursor);
        begin = rhumb__source_skip(&cursor, length, NEIGHBOUR_BYTES, "neighbours");
    }
    if (cursor.status != RHUMB_OK) return cursor.status;
    if (length > RHUMB__SOURCE_LIST_MAX) { /* the file was changed since it was opened */
        return rhumb__source_file_fail(source->file, begin, "a list of %llu neighbours", (unsigned long long)length);
    }
    const rhumb_status status =
        rhumb__source_file_view(source->file, RHUMB__SOURCE_LISTS, begin, length * NEIGHBOUR_BYTES, &view);
    if (status != RHUMB_OK) return status;
    for (uint64_t i = 0; i < length; i++) {
        const uint8_t *neighbour = view + i * NEIGHBOUR_BYTES;
        neighbours[i] = position_of(state, neighbour[8], rhumb__load_u32(neighbour + 9));
    }
    *count_out = (uint32_t)length;
    return RHUMB_OK;
}

const rhumb__source_format rhumb__source_hnsw_rs = {
    .name = "hnsw_rs",
    .recognise = recognise,
    .open = open_hnsw_rs,
    .row = row,
    .list = list,
};
