/* fused_row.c - lays out fused rows, makes them of vectors, and estimates distances with them.
 *
 * Owns nothing: rows, scratch memory and queries are the caller's. A layout is immutable once set up, so there are no
 * locks. Only rhumb__fused_layout_init fails. Bytes of rows are trusted in nothing: a count is cut to what the layout
 * has room for, lanes estimate whatever their bytes say, and slots are the caller's to check.
 *
 * Lanes estimate plain sums, raw distances are packed where sums are larger or smaller than usual (distances/raw.h).
 * Within RHUMB__RAW_SAFE_MIN and RHUMB__RAW_SAFE_MAX the two are the same, or nearly; a node whose own distance is
 * outside has no estimates at all. This covers what f32 does to vectors of f64: where these are too small for f32,
 * lanes are all alike, and so they are not asked.
 */
#include "engine/graph/fused_row.h"

#include <math.h>

#include "base/assert.h"
#include "base/bits.h"
#include "distances/element.h"
#include "distances/raw.h"

/* ---- layout ---- */

static enum rhumb__fused_terms terms_of(const rhumb__space *space) {
    switch (space->raw_form) {
    case RHUMB__RAW_VALUE: return RHUMB__FUSED_VALUE;
    case RHUMB__RAW_DOT: return RHUMB__FUSED_DOT;
    case RHUMB__RAW_WIDE_DOT: return RHUMB__FUSED_WIDE_DOT;
    case RHUMB__RAW_WIDE_SUM: return space->metric == RHUMB_METRIC_L2 ? RHUMB__FUSED_ROOT : RHUMB__FUSED_SQUARE;
    default: return RHUMB__FUSED_SQUARE;
    }
}

static bool is_of_squares(enum rhumb__fused_terms terms) {
    return terms == RHUMB__FUSED_SQUARE || terms == RHUMB__FUSED_ROOT;
}

/* A vector is padded to as many components as fill the cache lines of a block, since more are more precise: multiples
 * of 32 with one bit, of 16 with two. */
static uint32_t padded_dim_of(uint32_t dim, uint32_t lane_bits) {
    return (uint32_t)rhumb__round_up(dim, lane_bits == 1 ? 32 : 16);
}

static uint32_t whole_lines(uint32_t bytes) { return (uint32_t)rhumb__round_up(bytes, RHUMB__FUSED_LINE_BYTES); }

rhumb_status rhumb__fused_layout_init(rhumb__fused_layout *layout, const rhumb__space *space,
                                      const rhumb__fused_spec *spec) {
    if (spec->M0 < 1 || spec->M0 > RHUMB__M0_MAX)
        return rhumb__fail(RHUMB_E_INVALID, "fused rows of lists of %u, expected 1 to %u", (unsigned)spec->M0,
                           RHUMB__M0_MAX);
    *layout = (rhumb__fused_layout){.space = space, .list_capacity = spec->M0};
    rhumb_status status = RHUMB_OK;
    RHUMB_TRY(rhumb__coder_init(&layout->coder, space, spec->code_bits));
    layout->terms = terms_of(space);
    const rhumb__lane_spec lane_spec = {
        .form = is_of_squares(layout->terms) ? RHUMB__LANE_L2SQ : RHUMB__LANE_DOT,
        .dim = space->dim,
        .padded_dim = padded_dim_of(space->dim, spec->lane_bits),
        .bits = spec->lane_bits,
        .seed = spec->seed,
    };
    RHUMB_TRY(rhumb__lane_space_init(&layout->lanes, &lane_spec));
    layout->block_capacity = rhumb__fused_block_count(spec->M0);
    layout->lane_capacity = layout->block_capacity * RHUMB__LANES_PER_BLOCK;
    layout->header_offset_bytes = layout->coder.code_bytes;
    layout->blocks_offset_bytes = whole_lines(layout->header_offset_bytes + (uint32_t)sizeof(rhumb__fused_header));
    layout->block_stride_bytes = whole_lines(RHUMB__FUSED_SLOTS_BYTES + layout->lanes.block_bytes);
    layout->first_bytes = layout->blocks_offset_bytes + layout->block_stride_bytes;
    layout->row_bytes = layout->blocks_offset_bytes + layout->block_capacity * layout->block_stride_bytes;
    layout->rotated_count = layout->lanes.rotation.padded_dim;
    layout->scratch_bytes = (1 + RHUMB__LANES_PER_BLOCK) * layout->rotated_count * (uint32_t)sizeof(float);
    layout->query_bytes = layout->lanes.table_bytes + layout->rotated_count * (uint32_t)sizeof(float);
done:
    return status;
}

/* ---- rows ---- */

/* What the components of a prepared row are multiplied by. */
static double scale_of(const rhumb__space *space, const void *vector) {
    if (space->metric != RHUMB_METRIC_COSINE) return 1.0;
    const char *norm = (const char *)vector + space->norm_offset_bytes;
    double inverse = 0.0;
    float inverse_f32 = 0.0f;
    if (space->element == RHUMB_ELEMENT_F32) {
        memcpy(&inverse_f32, norm, sizeof inverse_f32);
        return (double)inverse_f32;
    }
    memcpy(&inverse, norm, sizeof inverse);
    return inverse;
}

/* Numbers that f32 does not hold become infinite, and what they are part of becomes an empty lane. */
static void load_scaled(const rhumb__space *space, const void *vector, double scale, float *components) {
    double values[RHUMB__BLOCK] = {0};
    for (uint32_t first = 0; first < space->dim; first += RHUMB__BLOCK) {
        const uint32_t left = space->dim - first, count = left < RHUMB__BLOCK ? left : RHUMB__BLOCK;
        rhumb__element_load(space->element, vector, first, count, values);
        for (uint32_t i = 0; i < count; i++) components[first + i] = (float)(values[i] * scale);
    }
}

void rhumb__fused_rotate(const rhumb__fused_layout *layout, const void *vector, float *rotated) {
    const rhumb__space *space = layout->space;
    const double scale = scale_of(space, vector);
    if (space->element == RHUMB_ELEMENT_F32 && scale == 1.0) {
        rhumb__lanes_rotate(&layout->lanes, vector, rotated);
        return;
    }
    load_scaled(space, vector, scale, rotated);
    rhumb__lanes_rotate(&layout->lanes, rotated, rotated);
}

/* Writes one block: of the neighbours from the first of the block on, which may be none. */
static void encode_block(const rhumb__fused_layout *layout, const rhumb__fused_source *source, uint32_t block,
                         float *scratch, char *to) {
    const uint32_t first = block * RHUMB__LANES_PER_BLOCK, left = source->count > first ? source->count - first : 0;
    const uint32_t count = left < RHUMB__LANES_PER_BLOCK ? left : RHUMB__LANES_PER_BLOCK;
    uint32_t slots[RHUMB__LANES_PER_BLOCK];
    const float *rotated[RHUMB__LANES_PER_BLOCK];
    for (uint32_t lane = 0; lane < RHUMB__LANES_PER_BLOCK; lane++) {
        slots[lane] = lane < count ? source->slots[first + lane] : RHUMB__SLOT_NONE;
        if (lane >= count) continue;
        if (source->rotated_neighbours != NULL) {
            rotated[lane] = source->rotated_neighbours[first + lane];
        } else {
            float *own = scratch + lane * (size_t)layout->rotated_count;
            rhumb__fused_rotate(layout, source->neighbours[first + lane], own);
            rotated[lane] = own;
        }
    }
    memcpy(to, slots, sizeof slots);
    rhumb__lanes_encode(&layout->lanes, source->rotated, rotated, count, to + RHUMB__FUSED_SLOTS_BYTES);
    const uint32_t end_bytes = RHUMB__FUSED_SLOTS_BYTES + layout->lanes.block_bytes;
    memset(to + end_bytes, 0, layout->block_stride_bytes - end_bytes);
}

void rhumb__fused_encode(const rhumb__fused_layout *layout, const rhumb__fused_source *source, void *scratch,
                         void *row) {
    RHUMB_ASSERT_DEBUG(source->count <= layout->lane_capacity);
    RHUMB_ASSERT_DEBUG(source->list_count <= source->count && source->list_count <= layout->list_capacity);
    rhumb__fused_source with = *source;
    float *floats = scratch;
    if (with.rotated == NULL) {
        rhumb__fused_rotate(layout, with.vector, floats);
        with.rotated = floats;
    }
    const rhumb__fused_header header = {.lane_count = (uint16_t)source->count,
                                        .list_count = (uint16_t)source->list_count};
    char *to = row;
    layout->coder.encoders.encode(&layout->coder, source->vector, to);
    memset(to + layout->header_offset_bytes, 0, layout->blocks_offset_bytes - layout->header_offset_bytes);
    memcpy(to + layout->header_offset_bytes, &header, sizeof header);
    to += layout->blocks_offset_bytes;
    float *neighbour_floats = scratch == NULL ? NULL : floats + layout->rotated_count;
    for (uint32_t block = 0; block < layout->block_capacity; block++, to += layout->block_stride_bytes) {
        encode_block(layout, &with, block, neighbour_floats, to);
    }
}

/* ---- queries ---- */

void rhumb__fused_prepare(const rhumb__fused_layout *layout, const void *vector, void *memory,
                          rhumb__fused_query *query) {
    uint8_t *table = memory;
    float *rotated = (float *)(void *)(table + layout->lanes.table_bytes);
    query->layout = layout;
    rhumb__fused_rotate(layout, vector, rotated);
    rhumb__lanes_query(&layout->lanes, rotated, table, &query->lanes);
    if (layout->terms != RHUMB__FUSED_VALUE) query->lanes.size_max = (float)RHUMB__RAW_SAFE_MAX;
    if (is_of_squares(layout->terms) || layout->terms == RHUMB__FUSED_VALUE) query->lanes.least = 0.0f;
}

/* The sum that a raw distance stands for, in the terms of lanes; NaN if it is not of an ordinary size. */
RHUMB__INLINE float lane_distance_of(const rhumb__fused_layout *layout, float raw) {
    double sum = (double)raw;
    if (layout->terms == RHUMB__FUSED_VALUE || raw == 0.0f) return raw;
    if (layout->terms == RHUMB__FUSED_ROOT) sum *= sum;
    if (layout->terms == RHUMB__FUSED_WIDE_DOT) sum = (double)-rhumb__raw_sum(layout->space->raw_form, raw);
    const double size = fabs(sum); /* 0 for sums that double does not hold */
    return size >= RHUMB__RAW_SAFE_MIN && size <= RHUMB__RAW_SAFE_MAX ? (float)sum : NAN;
}

/* What a scan multiplies base factors by: `distance` is as lane_distance_of returns it. */
RHUMB__INLINE float base_scale_of(const rhumb__fused_layout *layout, const void *row, float distance) {
    if (is_of_squares(layout->terms)) return 1.0f;
    if (layout->terms == RHUMB__FUSED_VALUE) return 1.0f - distance; /* vectors have the length 1 */
    return rhumb__lanes_base_scale(-(double)distance, rhumb__coder_square(&layout->coder, row));
}

/* Makes raw distances of what lanes estimate, for those forms that are neither the same nor nearly; returns the mask
 * of those below the bound. */
static uint32_t pack_estimates(const rhumb__fused_layout *layout, float bound, float *estimates) {
    uint32_t below = 0;
    for (uint32_t lane = 0; lane < RHUMB__LANES_PER_BLOCK; lane++) {
        if (layout->terms == RHUMB__FUSED_ROOT) {
            estimates[lane] = sqrtf(estimates[lane]);
        } else if (estimates[lane] != INFINITY) {
            estimates[lane] = rhumb__raw_pack(layout->space->raw_form, -(long double)estimates[lane]);
        }
        below |= (uint32_t)(estimates[lane] < bound) << lane;
    }
    return below;
}

uint32_t rhumb__fused_scan_block(const rhumb__fused_query *query, const rhumb__fused_node *node, uint32_t block,
                                 float *estimates) {
    const rhumb__fused_layout *layout = query->layout;
    RHUMB_ASSERT_DEBUG(block < layout->block_capacity);
    const char *slots = (const char *)rhumb__fused_slots(layout, node->row, block);
    /* A distance of NaN makes every estimate +inf. */
    const float distance = lane_distance_of(layout, node->distance);
    const rhumb__lane_node from = {distance, base_scale_of(layout, node->row, distance), node->bound};
    const uint32_t below = rhumb__lanes_scan(&query->lanes, slots + RHUMB__FUSED_SLOTS_BYTES, &from, estimates);
    if (layout->terms != RHUMB__FUSED_ROOT && layout->terms != RHUMB__FUSED_WIDE_DOT) return below;
    return pack_estimates(layout, node->bound, estimates);
}

uint32_t rhumb__fused_scan(const rhumb__fused_query *query, const void *row, float distance, float *estimates) {
    const rhumb__fused_node node = {row, distance, INFINITY};
    const uint32_t lane_count = rhumb__fused_counts_of(query->layout, row).lane_count;
    for (uint32_t block = 0; block < rhumb__fused_block_count(lane_count); block++) {
        (void)rhumb__fused_scan_block(query, &node, block, estimates + block * RHUMB__LANES_PER_BLOCK);
    }
    return lane_count;
}
