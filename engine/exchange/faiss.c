/* faiss.c - indexes of FAISS (write_index): HNSW over Flat or a scalar quantizer, Flat and the quantizer alone, with
 * ids (IDMap, IDMap2) and behind a normalisation (IndexPreTransform).
 *
 * A file is a tree of indexes, each of which begins with four letters and a header: i32 d, i64 ntotal, two i64, u8
 * trained, i32 metric, and f32 if the metric is above 1. Arrays are a u64 count, then the elements.
 *
 *   IxMp IxM2       header, index, i64 ids
 *   IxPT            header, i32 count, transforms, index
 *   IHNf IHNs IH00  header, graph, index of the vectors (IHfP: u64 and f32 numbers before the graph)
 *   IHNc IHc2       header, u8, u8, i32 (and i32), graph, index of the vectors
 *   IxF2 IxFI IxFl  header, f32 components (their number in u64)
 *   IxSQ            header, i32 type, i32, f32, u64 d, u64 code size, f32 trained numbers, u8 codes
 *   graph           f64 probabilities, i32 cumulated places by level, i32 levels (from 1), u64 offsets, i32 neighbours
 *                   (-1: none), i32 entry, i32 top level, i32 efConstruction, i32 efSearch, i32
 *
 * No locks.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "engine/exchange/source.h"
#include "engine/graph/params.h"

#define FOURCC(a, b, c, d) ((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)

/* Indexes within indexes: more than any useful file has. */
#define DEPTH_MAX 6u
#define LEVEL_LIMIT 64u

enum { QT_8BIT = 0, QT_8BIT_UNIFORM = 2, QT_FP16 = 4, QT_8BIT_DIRECT = 5, QT_BF16 = 7, QT_8BIT_DIRECT_SIGNED = 8 };

typedef struct faiss_state {
    bool has_ids;
    uint64_t ids_offset;
    bool normalises;
    bool has_vectors;
    uint64_t vectors_offset;
    uint64_t row_bytes;
    int32_t quantizer;                /* -1: none */
    uint64_t trained_offset;          /* of vmin, then vdiff */
    uint64_t graph_offset;            /* where the graph begins, for messages */
    uint64_t places[LEVEL_LIMIT + 1]; /* cumulated, by level */
    uint32_t level_count;
    uint64_t offsets_offset;
    uint64_t neighbours_offset;
    uint64_t neighbour_count;
    int32_t metric;
} faiss_state;

typedef struct faiss_header {
    uint64_t offset; /* of the four letters */
    uint32_t d;
    uint64_t count;
    int32_t metric;
} faiss_header;

static bool recognise(rhumb__source_file *file) {
    static const char *const known[] = {"IxMp", "IxM2", "IHNf", "IHNs", "IHNp", "IHN2", "IH00", "IHfP",
                                        "IHNc", "IHc2", "IxF2", "IxFI", "IxFl", "IxSQ", "IxPT", "IxPq"};
    const uint8_t *view = NULL;
    if (rhumb__source_file_view(file, RHUMB__SOURCE_NUMBERS, 0, 4, &view) != RHUMB_OK) return false;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (memcmp(view, known[i], 4) == 0) return true;
    }
    return false;
}

/* ---- the parts of a file ---- */

/* An array of `element_bytes` each; returns where its elements begin. */
static uint64_t skip_array(rhumb__source_cursor *cursor, uint64_t element_bytes, const char *what,
                           uint64_t *count_out) {
    *count_out = rhumb__source_u64(cursor);
    return rhumb__source_skip(cursor, *count_out, element_bytes, what);
}

static void fail_cursor(rhumb__source_cursor *cursor, rhumb_status status) {
    if (cursor->status == RHUMB_OK) cursor->status = status;
}

static faiss_header read_header(rhumb__source_cursor *cursor) {
    faiss_header header = {.offset = cursor->offset};
    header.d = rhumb__source_u32(cursor);
    header.count = rhumb__source_u64(cursor);
    rhumb__source_u64(cursor);
    rhumb__source_u64(cursor);
    rhumb__source_u8(cursor);
    header.metric = (int32_t)rhumb__source_u32(cursor);
    if (header.metric > 1) rhumb__source_u32(cursor);
    return header;
}

/* The outermost header says what the index is; those inside repeat it. */
static void take_header(rhumb__source *source, rhumb__source_cursor *cursor, const faiss_header *header) {
    faiss_state *state = source->state;
    if (cursor->status != RHUMB_OK) return;
    if (source->dim == 0) {
        fail_cursor(cursor, rhumb__source_set_dim(source, header->d, header->offset));
        if (cursor->status == RHUMB_OK) cursor->status = rhumb__source_set_count(source, header->count);
        state->metric = header->metric;
    } else if (header->d != source->dim || header->count != source->count || header->metric != state->metric) {
        fail_cursor(cursor, rhumb__source_file_fail(
                                source->file, header->offset,
                                "an inner index of %llu vectors, d %u, metric %d in one of %u vectors, d %u, metric %d",
                                (unsigned long long)header->count, header->d, header->metric, source->count,
                                source->dim, state->metric));
    }
}

static rhumb_status fail_part(const rhumb__source *source, uint64_t offset, uint32_t letters, const char *why) {
    char text[5] = "....";
    for (uint32_t i = 0; i < 4; i++) {
        const char letter = (char)(letters >> 8 * i & 0xFF);
        if (letter >= ' ' && letter <= '~') text[i] = letter;
    }
    return rhumb__fail_at(RHUMB_E_UNSUPPORTED, source->path, offset, "FAISS index '%s': %s", text, why);
}

static void read_levels(rhumb__source *source, rhumb__source_cursor *cursor, uint64_t offset, uint64_t count) {
    const faiss_state *state = source->state;
    if (cursor->status != RHUMB_OK) return;
    if (count != source->count) {
        cursor->status = rhumb__source_file_fail(source->file, offset, "levels of %llu nodes, the index has %u vectors",
                                                 (unsigned long long)count, source->count);
        return;
    }
    cursor->status = rhumb__source_allocate(source, sizeof *source->levels, &source->levels);
    rhumb__source_cursor levels = {.file = source->file, .offset = offset, .lane = RHUMB__SOURCE_ROWS};
    for (uint32_t i = 0; i < source->count && cursor->status == RHUMB_OK; i++) {
        const uint32_t level = rhumb__source_u32(&levels);
        cursor->status = levels.status;
        if (cursor->status == RHUMB_OK && (level < 1 || level > state->level_count)) {
            cursor->status =
                rhumb__source_file_fail(source->file, offset + 4 * (uint64_t)i,
                                        "node %u: expected 1 to %u levels, found %u", i, state->level_count, level);
        }
        if (cursor->status == RHUMB_OK) source->levels[i] = (uint8_t)(level - 1);
    }
}

/* The places that each level has in the lists of a node, cumulated from 0. */
static void read_places(rhumb__source *source, rhumb__source_cursor *cursor, uint64_t offset, uint64_t count) {
    faiss_state *state = source->state;
    if (cursor->status != RHUMB_OK) return;
    if (count < 2) {
        cursor->status = rhumb__source_file_fail(source->file, offset, "expected the places of a level at least");
        return;
    }
    rhumb__source_cursor places = {.file = source->file, .offset = offset, .lane = RHUMB__SOURCE_ROWS};
    state->level_count = count - 1 < LEVEL_LIMIT ? (uint32_t)(count - 1) : LEVEL_LIMIT;
    for (uint32_t i = 0; i <= state->level_count; i++) {
        state->places[i] = rhumb__source_u32(&places);
        const uint64_t before = i > 0 ? state->places[i - 1] : 0;
        const bool fits = i == 0 ? state->places[0] == 0
                                 : state->places[i] >= before && state->places[i] - before <= RHUMB__SOURCE_LIST_MAX;
        if (places.status == RHUMB_OK && !fits) {
            places.status = rhumb__source_file_fail(source->file, offset + 4 * (uint64_t)i,
                                                    "level %u: its places end at %llu, those before at %llu", i,
                                                    (unsigned long long)state->places[i], (unsigned long long)before);
        }
    }
    cursor->status = places.status;
    source->M0 = (uint32_t)state->places[1];
    source->M = state->level_count > 1 ? (uint32_t)(state->places[2] - state->places[1]) : source->M0 / 2;
}

static void read_graph(rhumb__source *source, rhumb__source_cursor *cursor) {
    faiss_state *state = source->state;
    uint64_t count = 0;
    state->graph_offset = cursor->offset;
    skip_array(cursor, 8, "probabilities of levels", &count);
    uint64_t offset = skip_array(cursor, 4, "places of levels", &count);
    read_places(source, cursor, offset, count);
    offset = skip_array(cursor, 4, "levels", &count);
    read_levels(source, cursor, offset, count);
    state->offsets_offset = skip_array(cursor, 8, "offsets of lists", &count);
    if (count != (uint64_t)source->count + 1) {
        fail_cursor(cursor, rhumb__source_file_fail(source->file, state->offsets_offset,
                                                    "%llu offsets of lists, expected one more than %u vectors",
                                                    (unsigned long long)count, source->count));
    }
    state->neighbours_offset = skip_array(cursor, 4, "neighbours", &state->neighbour_count);
    const uint64_t entry_offset = cursor->offset;
    const int32_t entry = (int32_t)rhumb__source_u32(cursor);
    rhumb__source_u32(cursor);
    source->ef_construction = rhumb__source_u32(cursor);
    rhumb__source_u32(cursor);
    rhumb__source_u32(cursor);
    if (cursor->status != RHUMB_OK) return;
    if (source->count > 0 && (entry < 0 || (uint32_t)entry >= source->count)) {
        cursor->status = rhumb__source_file_fail(
            source->file, entry_offset, "the entry point is node %d, the index has %u vectors", entry, source->count);
    }
    if (source->count > 0) source->entry = (uint32_t)entry;
    source->has_links = true;
}

static void set_vectors(rhumb__source *source, rhumb__source_cursor *cursor, rhumb_element element, uint64_t begin,
                        uint64_t bytes) {
    faiss_state *state = source->state;
    if (cursor->status != RHUMB_OK) return;
    const uint64_t stored_bytes = element == RHUMB_ELEMENT_F32 && state->quantizer >= 0
                                      ? source->dim
                                      : rhumb__source_vector_bytes(element, source->dim);
    if (bytes != stored_bytes * source->count) {
        cursor->status =
            rhumb__source_file_fail(source->file, begin, "%llu bytes of vectors, expected %u of %llu",
                                    (unsigned long long)bytes, source->count, (unsigned long long)stored_bytes);
        return;
    }
    source->element = element;
    state->vectors_offset = begin;
    state->row_bytes = stored_bytes;
    state->has_vectors = true;
}

static void read_flat(rhumb__source *source, rhumb__source_cursor *cursor) {
    uint64_t count = 0;
    const uint64_t begin = skip_array(cursor, 4, "vectors", &count);
    set_vectors(source, cursor, RHUMB_ELEMENT_F32, begin, 4 * count);
}

static void read_quantized(rhumb__source *source, rhumb__source_cursor *cursor, uint64_t part_offset) {
    faiss_state *state = source->state;
    uint64_t trained_count = 0;
    uint64_t bytes = 0;
    const int32_t type = (int32_t)rhumb__source_u32(cursor);
    rhumb__source_u32(cursor);
    rhumb__source_u32(cursor);
    rhumb__source_u64(cursor);
    rhumb__source_u64(cursor);
    state->trained_offset = skip_array(cursor, 4, "trained numbers", &trained_count);
    const uint64_t begin = skip_array(cursor, 1, "codes", &bytes);
    if (cursor->status != RHUMB_OK) return;
    state->quantizer = type;
    rhumb_element element = RHUMB_ELEMENT_F32;
    uint64_t expected_trained = 0;
    switch (type) {
    case QT_8BIT: expected_trained = 2 * (uint64_t)source->dim; break;
    case QT_8BIT_UNIFORM: expected_trained = 2; break;
    case QT_FP16: element = RHUMB_ELEMENT_F16; break;
    case QT_8BIT_DIRECT: element = RHUMB_ELEMENT_U8; break;
    case QT_BF16: element = RHUMB_ELEMENT_BF16; break;
    case QT_8BIT_DIRECT_SIGNED: element = RHUMB_ELEMENT_I8; break;
    default:
        cursor->status = rhumb__fail_at(RHUMB_E_UNSUPPORTED, source->path, part_offset,
                                        "scalar quantizer of type %d: expected 0, 2, 4, 5, 7 or 8", type);
        return;
    }
    if (trained_count < expected_trained) {
        cursor->status =
            rhumb__source_file_fail(source->file, state->trained_offset - 8, "%llu trained numbers, expected %llu",
                                    (unsigned long long)trained_count, (unsigned long long)expected_trained);
        return;
    }
    set_vectors(source, cursor, element, begin, bytes);
}

static void read_transforms(rhumb__source *source, rhumb__source_cursor *cursor) {
    faiss_state *state = source->state;
    const uint32_t count = rhumb__source_u32(cursor);
    for (uint32_t i = 0; i < count && cursor->status == RHUMB_OK; i++) {
        const uint64_t offset = cursor->offset;
        const uint32_t letters = rhumb__source_u32(cursor);
        rhumb__source_u32(cursor); /* f32 norm */
        const uint32_t d_in = rhumb__source_u32(cursor);
        const uint32_t d_out = rhumb__source_u32(cursor);
        rhumb__source_u8(cursor);
        if (cursor->status != RHUMB_OK) return;
        if (letters != FOURCC('V', 'N', 'r', 'm') || d_in != source->dim || d_out != source->dim) {
            cursor->status =
                fail_part(source, offset, letters, "this transform of vectors is not undone; only a normalisation is");
        }
        state->normalises = true;
    }
}

/* ---- the tree ---- */

static void read_index(rhumb__source *source, rhumb__source_cursor *cursor, uint32_t depth);

static void read_ids(rhumb__source *source, rhumb__source_cursor *cursor) {
    faiss_state *state = source->state;
    uint64_t count = 0;
    const uint64_t offset = skip_array(cursor, 8, "ids", &count);
    if (cursor->status != RHUMB_OK) return;
    if (count != source->count) {
        cursor->status = rhumb__source_file_fail(source->file, offset, "%llu ids of %u vectors",
                                                 (unsigned long long)count, source->count);
        return;
    }
    if (!state->has_ids) state->ids_offset = offset;
    state->has_ids = true;
}

/* What lies between the header of a graph's index and the graph. */
static void skip_graph_extras(rhumb__source_cursor *cursor, uint32_t letters) {
    uint64_t count = 0;
    if (letters == FOURCC('I', 'H', 'f', 'P')) {
        rhumb__source_u64(cursor);
        skip_array(cursor, 4, "sums", &count);
    } else if (letters == FOURCC('I', 'H', 'N', 'c') || letters == FOURCC('I', 'H', 'c', '2')) {
        rhumb__source_u16(cursor);
        rhumb__source_u32(cursor);
        if (letters == FOURCC('I', 'H', 'c', '2')) rhumb__source_u32(cursor);
    }
}

static void read_part(rhumb__source *source, rhumb__source_cursor *cursor, uint32_t letters, uint32_t depth) {
    const uint64_t offset = cursor->offset - 4;
    faiss_header header;
    switch (letters) {
    case FOURCC('I', 'x', 'M', 'p'):
    case FOURCC('I', 'x', 'M', '2'):
    case FOURCC('I', 'x', 'P', 'T'):
    case FOURCC('I', 'H', 'N', 'f'):
    case FOURCC('I', 'H', 'N', 's'):
    case FOURCC('I', 'H', '0', '0'):
    case FOURCC('I', 'H', 'f', 'P'):
    case FOURCC('I', 'H', 'N', 'c'):
    case FOURCC('I', 'H', 'c', '2'):
    case FOURCC('I', 'x', 'F', '2'):
    case FOURCC('I', 'x', 'F', 'I'):
    case FOURCC('I', 'x', 'F', 'l'):
    case FOURCC('I', 'x', 'S', 'Q'): break;
    case FOURCC('I', 'H', 'N', 'p'):
    case FOURCC('I', 'H', 'N', '2'):
    case FOURCC('I', 'x', 'P', 'q'):
        cursor->status =
            fail_part(source, offset, letters, "product quantizers have no vectors that could be imported");
        return;
    case FOURCC('n', 'u', 'l', 'l'):
        cursor->status = fail_part(source, offset, letters, "the file was saved without its vectors");
        return;
    default:
        cursor->status = fail_part(source, offset, letters,
                                   "expected HNSW, Flat, a scalar quantizer, IDMap or a "
                                   "normalisation");
        return;
    }
    header = read_header(cursor);
    take_header(source, cursor, &header);
    if (cursor->status != RHUMB_OK) return;
    if (letters == FOURCC('I', 'x', 'F', '2') || letters == FOURCC('I', 'x', 'F', 'I') ||
        letters == FOURCC('I', 'x', 'F', 'l')) {
        read_flat(source, cursor);
    } else if (letters == FOURCC('I', 'x', 'S', 'Q')) {
        read_quantized(source, cursor, offset);
    } else if (letters == FOURCC('I', 'x', 'P', 'T')) {
        read_transforms(source, cursor);
        read_index(source, cursor, depth + 1);
    } else if (letters == FOURCC('I', 'x', 'M', 'p') || letters == FOURCC('I', 'x', 'M', '2')) {
        read_index(source, cursor, depth + 1);
        read_ids(source, cursor);
    } else {
        skip_graph_extras(cursor, letters);
        if (source->has_links) {
            cursor->status = fail_part(source, offset, letters, "a graph within a graph");
            return;
        }
        read_graph(source, cursor);
        read_index(source, cursor, depth + 1);
    }
}

static void read_index(rhumb__source *source, rhumb__source_cursor *cursor, uint32_t depth) {
    if (cursor->status != RHUMB_OK) return;
    if (depth > DEPTH_MAX) {
        cursor->status =
            rhumb__source_file_fail(source->file, cursor->offset, "more than %u indexes within each other", DEPTH_MAX);
        return;
    }
    const uint32_t letters = rhumb__source_u32(cursor);
    if (cursor->status == RHUMB_OK) read_part(source, cursor, letters, depth);
}

/* ---- what it is ---- */

static rhumb_status settle(rhumb__source *source) {
    faiss_state *state = source->state;
    rhumb_metric metric = 0;
    switch (state->metric) {
    case 0: metric = state->normalises ? RHUMB_METRIC_COSINE : RHUMB_METRIC_IP; break;
    case 1: metric = RHUMB_METRIC_L2SQ; break;
    case 2: metric = RHUMB_METRIC_L1; break;
    default: break;
    }
    if (metric == 0 && source->asked_metric == 0) {
        return rhumb__fail_at(RHUMB_E_UNSUPPORTED, source->path, RHUMB_OFFSET_NONE,
                              "FAISS's metric %d is not 0 (inner product), 1 (l2) or 2 (l1)", state->metric);
    }
    if (state->normalises && metric == RHUMB_METRIC_COSINE) {
        rhumb__source_note(source,
                           "FAISS has normalised the vectors: their own lengths are lost, the metric is cosine");
    } else if (state->normalises) {
        rhumb__source_note(source, "FAISS normalised queries before it searched; now the caller must");
    }
    static const char *const flat = "FAISS Flat", *const quantized = "FAISS scalar quantizer";
    const char *storage = state->quantizer >= 0 ? quantized : flat;
    strcpy(source->described, storage);
    if (source->has_links) strcat(source->described, " with HNSW");
    if (state->has_ids) strcat(source->described, " and ids");
    if (state->quantizer == QT_8BIT || state->quantizer == QT_8BIT_UNIFORM) {
        rhumb__source_note(source, "the quantizer's 8 bits are decoded to f32; what it rounded away is lost");
    }
    return rhumb__source_settle_metric(source, metric);
}

static rhumb_status open_faiss(rhumb__source *source) {
    rhumb_status status;
    faiss_state *state = rhumb__alloc_zeroed(1, sizeof *state);
    if (state == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for reading %s", source->path);
    source->state = state;
    state->quantizer = -1;
    RHUMB_TRY(rhumb__source_file_open(source->path, &source->file));
    rhumb__source_cursor cursor = {.file = source->file, .lane = RHUMB__SOURCE_NUMBERS};
    read_index(source, &cursor, 0);
    RHUMB_TRY(cursor.status);
    if (cursor.offset != source->file->bytes) {
        status =
            rhumb__source_file_fail(source->file, cursor.offset, "expected the end of the file, found %llu bytes more",
                                    (unsigned long long)(source->file->bytes - cursor.offset));
        goto done;
    }
    RHUMB_TRY(settle(source));
    source->row_buffer = rhumb__alloc_zeroed(3 * (uint64_t)source->dim, sizeof(float));
    if (source->row_buffer == NULL) {
        status = rhumb__fail(RHUMB_E_NOMEM, "no memory for a vector");
        goto done;
    }
    const bool decodes = state->quantizer == QT_8BIT || state->quantizer == QT_8BIT_UNIFORM;
    const uint64_t trained_bytes = (state->quantizer == QT_8BIT ? source->dim : 1) * 2 * sizeof(float);
    if (decodes) {
        const uint8_t *trained = NULL;
        RHUMB_TRY(rhumb__source_file_view(source->file, RHUMB__SOURCE_NUMBERS, state->trained_offset, trained_bytes,
                                          &trained));
        memcpy((float *)source->row_buffer + source->dim, trained, trained_bytes);
    }
done:
    return status;
}

/* ---- rows and lists ---- */

/* The buffer has the vector, then the lowest values, then the ranges: one for all components if it is uniform. */
static const void *decode(rhumb__source *source, const uint8_t *codes) {
    const faiss_state *state = source->state;
    float *vector = source->row_buffer;
    const bool uniform = state->quantizer == QT_8BIT_UNIFORM;
    const float *lowest = vector + source->dim;
    const float *range = lowest + (uniform ? 1 : source->dim);
    for (uint32_t i = 0; i < source->dim; i++) {
        const uint32_t at = uniform ? 0 : i;
        vector[i] = lowest[at] + ((float)codes[i] + 0.5f) / 255.0f * range[at];
    }
    return vector;
}

/* FAISS keeps signed bytes with 128 added. */
static const void *decode_signed(rhumb__source *source, const uint8_t *codes) {
    int8_t *vector = source->row_buffer;
    for (uint32_t i = 0; i < source->dim; i++) vector[i] = (int8_t)((int32_t)codes[i] - 128);
    return vector;
}

static rhumb_status row(rhumb__source *source, uint32_t index, rhumb__source_row *row_out) {
    rhumb_status status;
    const faiss_state *state = source->state;
    const uint8_t *view = NULL;
    const uint8_t *id = NULL;
    *row_out = (rhumb__source_row){.key = index, .has_key = true};
    RHUMB_TRY(rhumb__source_file_view(source->file, RHUMB__SOURCE_ROWS,
                                      state->vectors_offset + index * state->row_bytes, state->row_bytes, &view));
    row_out->vector = view;
    if (state->quantizer == QT_8BIT || state->quantizer == QT_8BIT_UNIFORM) row_out->vector = decode(source, view);
    if (state->quantizer == QT_8BIT_DIRECT_SIGNED) row_out->vector = decode_signed(source, view);
    if (!state->has_ids) goto done;
    RHUMB_TRY(
        rhumb__source_file_view(source->file, RHUMB__SOURCE_NUMBERS, state->ids_offset + 8 * (uint64_t)index, 8, &id));
    row_out->key = rhumb__load_u64(id);
    row_out->has_key = row_out->key <= INT64_MAX; /* ids are signed */
done:
    return status;
}

static rhumb_status list(rhumb__source *source, uint32_t index, uint32_t level, uint32_t *neighbours,
                         uint32_t *count_out) {
    const faiss_state *state = source->state;
    const uint8_t *view = NULL;
    const uint64_t at = state->offsets_offset + 8 * (uint64_t)index;
    rhumb_status status = rhumb__source_file_view(source->file, RHUMB__SOURCE_NUMBERS, at, 8, &view);
    if (status != RHUMB_OK) return status;
    const uint64_t first = rhumb__load_u64(view);
    const uint64_t place_count = state->places[level + 1] - state->places[level];
    const uint64_t end = state->places[level + 1];
    if (first > state->neighbour_count || end > state->neighbour_count - first) {
        return rhumb__source_file_fail(source->file, at, "node %u: its lists begin at %llu of %llu neighbours", index,
                                       (unsigned long long)first, (unsigned long long)state->neighbour_count);
    }
    const uint64_t begin = state->neighbours_offset + 4 * (first + state->places[level]);
    status = rhumb__source_file_view(source->file, RHUMB__SOURCE_LISTS, begin, 4 * place_count, &view);
    if (status != RHUMB_OK) return status;
    uint32_t count = 0;
    for (; count < place_count; count++) {
        neighbours[count] = rhumb__load_u32(view + 4 * count);
        if (neighbours[count] == UINT32_MAX) break;
    }
    *count_out = count;
    return RHUMB_OK;
}

const rhumb__source_format rhumb__source_faiss = {
    .name = "faiss",
    .recognise = recognise,
    .open = open_faiss,
    .row = row,
    .list = list,
};
