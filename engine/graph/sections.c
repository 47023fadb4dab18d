/* sections.c - the table of sections, and the filters of those that are mutable; see sections.h.
 *
 * Holds no state: constants and pure functions.
 *
 * A filter sees a copy of one row, taken under the lock of the row's chunk some time after the version was fixed. It
 * removes what later operations have added, so that the row is what it was then, or a list or bucket that lacks nothing
 * but what was lost to those operations. Rows after the last published one are the checkpoint's business.
 */
#include "engine/graph/sections.h"

#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "distances/code/code.h"
#include "engine/graph/changed.h"
#include "engine/graph/fused_row.h"
#include "engine/graph/key_table.h"
#include "engine/graph/ties.h"
#include "engine/graph/tombstones.h"

/* ---- codecs and strides ---- */

static uint32_t vectors_codec(const rhumb__params *params) {
    return (uint32_t)params->metric << 16 | (uint32_t)params->element;
}

static uint64_t vectors_stride(const rhumb__params *params, const rhumb__space *space) {
    (void)params;
    return space->row_stride_bytes;
}

static bool has_codes(const rhumb__params *params) { return params->code_bits != 0; }

static uint32_t codes_codec(const rhumb__params *params) { return params->code_bits; }

static uint64_t codes_stride(const rhumb__params *params, const rhumb__space *space) {
    return rhumb__stride_of(rhumb__code_bytes(params->code_bits, space->dim));
}

static bool has_fused_rows(const rhumb__params *params) { return params->lane_bits != 0; }

static uint32_t fused_codec(const rhumb__params *params) { return params->code_bits << 16 | params->lane_bits; }

/* A space that cannot have fused rows is refused when they are initialised. */
static uint64_t fused_stride(const rhumb__params *params, const rhumb__space *space) {
    rhumb__fused_layout layout;
    const rhumb__fused_spec spec = rhumb__fused_spec_of(params);
    return rhumb__fused_layout_init(&layout, space, &spec) == RHUMB_OK ? layout.row_bytes : 64;
}

static uint64_t u64_stride(const rhumb__params *params, const rhumb__space *space) {
    (void)params;
    (void)space;
    return sizeof(uint64_t);
}

static uint64_t lists0_stride(const rhumb__params *params, const rhumb__space *space) {
    (void)space;
    return rhumb__round_up(params->M0 * sizeof(uint32_t), 64);
}

static uint64_t lists_upper_stride(const rhumb__params *params, const rhumb__space *space) {
    (void)space;
    return rhumb__round_up(params->M * sizeof(uint32_t), 64);
}

static uint64_t key_bucket_stride(const rhumb__params *params, const rhumb__space *space) {
    (void)params;
    (void)space;
    return sizeof(rhumb__key_bucket);
}

static uint64_t tombstones_stride(const rhumb__params *params, const rhumb__space *space) {
    (void)params;
    (void)space;
    return RHUMB__TOMBSTONE_ROW_BYTES;
}

static uint64_t changed_stride(const rhumb__params *params, const rhumb__space *space) {
    (void)params;
    (void)space;
    static_assert(RHUMB__CHANGED_ROW_SLOTS == RHUMB__TOMBSTONE_ROW_SLOTS, "both count rows by RHUMB__ROW_SLOT_BITS");
    return RHUMB__CHANGED_ROW_BYTES;
}

static uint64_t ties_stride(const rhumb__params *params, const rhumb__space *space) {
    (void)params;
    (void)space;
    return RHUMB__TIE_ROW_BYTES;
}

/* ---- filters ---- */

/* Removes the slots that the version does not have from a list; those that stay move together. */
static bool filter_list(const rhumb__version_image *version, uint64_t row, void *bytes, uint64_t row_bytes) {
    (void)row;
    RHUMB_ASSERT_DEBUG(row_bytes % sizeof(uint32_t) == 0 && row_bytes / sizeof(uint32_t) <= RHUMB__M0_MAX);
    uint32_t *slots = bytes;
    const uint32_t capacity = (uint32_t)(row_bytes / sizeof *slots);
    uint32_t kept_count = 0;
    uint32_t count = 0;
    for (; count < capacity && slots[count] != RHUMB__SLOT_NONE; count++) {
        if (slots[count] < version->counts->slot_count) slots[kept_count++] = slots[count];
    }
    for (uint32_t i = kept_count; i < count; i++) slots[i] = RHUMB__SLOT_NONE;
    return kept_count != count;
}

/* Whether the version has that slot as a deleted one. */
static bool is_dead(const rhumb__version_image *version, uint32_t slot) {
    return (version->tombstones[slot / 8] >> (slot % 8) & 1) != 0;
}

static bool filter_key_bucket(const rhumb__version_image *version, uint64_t row, void *bytes, uint64_t row_bytes) {
    (void)row;
    (void)row_bytes;
    RHUMB_ASSERT_DEBUG(row_bytes == sizeof(rhumb__key_bucket));
    rhumb__key_bucket *bucket = bytes;
    bool changed = false;
    const uint32_t count = bucket->count < RHUMB__KEY_BUCKET_PLACES ? bucket->count : RHUMB__KEY_BUCKET_PLACES;
    uint32_t kept_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        /* An entry whose node is dead in the version belongs to a batch that it leaves out. */
        if (bucket->slots[i] >= version->counts->slot_count || is_dead(version, bucket->slots[i])) continue;
        bucket->slots[kept_count] = bucket->slots[i];
        bucket->tags[kept_count] = bucket->tags[i];
        kept_count++;
    }
    if (kept_count != bucket->count) {
        memset(bucket->slots + kept_count, 0, (RHUMB__KEY_BUCKET_PLACES - kept_count) * sizeof(uint32_t));
        memset(bucket->tags + kept_count, 0, RHUMB__KEY_BUCKET_PLACES - kept_count);
        bucket->count = kept_count;
        changed = true;
    }
    if (bucket->next > version->counts->key_overflow_count) {
        bucket->next = 0;
        changed = true;
    }
    return changed;
}

/* Replaces the current tombstones by those of the version. */
static bool filter_tombstones(const rhumb__version_image *version, uint64_t row, void *bytes, uint64_t row_bytes) {
    RHUMB_ASSERT_DEBUG(row_bytes == RHUMB__TOMBSTONE_ROW_BYTES);
    RHUMB_ASSERT_DEBUG(row < rhumb__tombstone_row_count(version->counts->slot_count));
    const uint8_t *then = version->tombstones + row * row_bytes;
    if (memcmp(bytes, then, row_bytes) == 0) return false;
    memcpy(bytes, then, row_bytes);
    return true;
}

/* The first slot of the version in the rest of a chain, encoded as in the section. What a damaged file has put into a
 * chain ends it: a slot that does not exist, or more copies than there are, which is a circle. */
static uint32_t next_of_version(const rhumb__version_image *version, uint32_t next_copy) {
    const uint64_t slot_limit = atomic_load_explicit(&version->graph->slot_limit, memory_order_acquire);
    uint64_t left_count = atomic_load_explicit(&version->graph->copy_count, memory_order_acquire);
    while (next_copy > version->counts->slot_count) {
        if (next_copy > slot_limit || left_count-- == 0) return 0;
        next_copy =
            atomic_load_explicit(&rhumb__graph_tie(version->graph, next_copy - 1)->next_copy, memory_order_acquire);
    }
    return next_copy;
}

/* Removes the ties of slots that the version does not have, and the copies that are such slots. */
static bool filter_ties(const rhumb__version_image *version, uint64_t row, void *bytes, uint64_t row_bytes) {
    uint32_t ties[RHUMB__TIE_ROW_SLOTS][2];
    (void)row_bytes;
    RHUMB_ASSERT_DEBUG(row_bytes == sizeof ties);
    memcpy(ties, bytes, sizeof ties);
    for (uint32_t i = 0; i < RHUMB__TIE_ROW_SLOTS; i++) {
        const bool exists = row * RHUMB__TIE_ROW_SLOTS + i < version->counts->slot_count;
        const uint32_t anchor = ties[i][0] & ~RHUMB__TIE_COPY;
        if (!exists || anchor > version->counts->slot_count) ties[i][0] = 0;
        if (!exists) ties[i][1] = 0;
        ties[i][1] = next_of_version(version, ties[i][1]);
    }
    if (memcmp(ties, bytes, sizeof ties) == 0) return false;
    memcpy(bytes, ties, sizeof ties);
    return true;
}

/* Clears the bits of slots that the version does not have: rows of theirs may have been made since. */
static bool filter_changed(const rhumb__version_image *version, uint64_t row, void *bytes, uint64_t row_bytes) {
    uint64_t *words = bytes;
    (void)row_bytes;
    RHUMB_ASSERT_DEBUG(row_bytes == RHUMB__CHANGED_ROW_BYTES);
    const uint64_t first = row * RHUMB__CHANGED_ROW_SLOTS;
    RHUMB_ASSERT_DEBUG(first < version->counts->slot_count);
    bool cleared = false;
    for (uint64_t i = version->counts->slot_count - first; i < RHUMB__CHANGED_ROW_SLOTS; i++) {
        if (!rhumb__bit_get(words, i)) continue;
        words[i / 64] &= ~(UINT64_C(1) << (i % 64));
        cleared = true;
    }
    return cleared;
}

/* ---- the table ---- */

const rhumb__section_info rhumb__sections[RHUMB__SECTION_ID_LIMIT] = {
    [RHUMB__SECTION_VECTORS] = {.id = RHUMB__SECTION_VECTORS,
                                .name = "vectors",
                                .residency_rank = RHUMB__RANK_OF_VECTORS,
                                .kind = RHUMB__SECTION_APPEND,
                                .unit = RHUMB__ROW_SLOT,
                                .large_pages = true,
                                .of_vectors = true,
                                .version = 1,
                                .codec = vectors_codec,
                                .row_stride_bytes = vectors_stride},
    [RHUMB__SECTION_KEYS] = {.id = RHUMB__SECTION_KEYS,
                             .name = "keys",
                             .kind = RHUMB__SECTION_APPEND,
                             .unit = RHUMB__ROW_SLOT,
                             .version = 1,
                             .row_stride_bytes = u64_stride},
    [RHUMB__SECTION_NODES] = {.id = RHUMB__SECTION_NODES,
                              .name = "nodes",
                              .kind = RHUMB__SECTION_APPEND,
                              .unit = RHUMB__ROW_SLOT,
                              .version = 1,
                              .row_stride_bytes = u64_stride},
    [RHUMB__SECTION_LISTS0] = {.id = RHUMB__SECTION_LISTS0,
                               .name = "lists0",
                               .residency_rank = RHUMB__RANK_OF_LISTS,
                               .maps_pages = true,
                               .kind = RHUMB__SECTION_MUTABLE,
                               .unit = RHUMB__ROW_SLOT,
                               .large_pages = true,
                               .version = 1,
                               .row_stride_bytes = lists0_stride,
                               .filter = filter_list},
    [RHUMB__SECTION_LISTS_UPPER] = {.id = RHUMB__SECTION_LISTS_UPPER,
                                    .name = "lists_upper",
                                    .kind = RHUMB__SECTION_MUTABLE,
                                    .unit = RHUMB__ROW_UPPER_LIST,
                                    .version = 1,
                                    .row_stride_bytes = lists_upper_stride,
                                    .filter = filter_list},
    [RHUMB__SECTION_KEY_BUCKETS] = {.id = RHUMB__SECTION_KEY_BUCKETS,
                                    .name = "key_buckets",
                                    .residency_rank = RHUMB__RANK_OF_KEY_TABLE,
                                    .kind = RHUMB__SECTION_MUTABLE,
                                    .unit = RHUMB__ROW_KEY_BUCKET,
                                    .copied_first = true,
                                    .version = 1,
                                    .row_stride_bytes = key_bucket_stride,
                                    .chunk_rank = RHUMB__RANK_CHUNK_KEY_BUCKETS,
                                    .filter = filter_key_bucket},
    [RHUMB__SECTION_KEY_OVERFLOW] = {.id = RHUMB__SECTION_KEY_OVERFLOW,
                                     .name = "key_overflow",
                                     .residency_rank = RHUMB__RANK_OF_KEY_TABLE,
                                     .kind = RHUMB__SECTION_MUTABLE,
                                     .unit = RHUMB__ROW_KEY_OVERFLOW,
                                     .copied_first = true,
                                     .version = 1,
                                     .row_stride_bytes = key_bucket_stride,
                                     .chunk_rank = RHUMB__RANK_CHUNK_KEY_OVERFLOW,
                                     .filter = filter_key_bucket},
    [RHUMB__SECTION_TOMBSTONES] = {.id = RHUMB__SECTION_TOMBSTONES,
                                   .name = "tombstones",
                                   .kind = RHUMB__SECTION_MUTABLE,
                                   .unit = RHUMB__ROW_SLOT_BITS,
                                   .version = 1,
                                   .row_stride_bytes = tombstones_stride,
                                   .filter = filter_tombstones},
    [RHUMB__SECTION_TIES] = {.id = RHUMB__SECTION_TIES,
                             .name = "ties",
                             .residency_rank = RHUMB__RANK_OF_TIES,
                             .kind = RHUMB__SECTION_MUTABLE,
                             .unit = RHUMB__ROW_SLOT_TIES,
                             .version = 1,
                             .row_stride_bytes = ties_stride,
                             .filter = filter_ties},
    [RHUMB__SECTION_CODES] = {.id = RHUMB__SECTION_CODES,
                              .name = "codes",
                              .residency_rank = RHUMB__RANK_OF_CODES,
                              .kind = RHUMB__SECTION_APPEND,
                              .derived = true,
                              .is_used = has_codes,
                              .unit = RHUMB__ROW_SLOT,
                              .large_pages = true,
                              .of_vectors = true,
                              .version = 1,
                              .codec = codes_codec,
                              .row_stride_bytes = codes_stride},
    [RHUMB__SECTION_FUSED] = {.id = RHUMB__SECTION_FUSED,
                              .name = "fused",
                              .residency_rank = RHUMB__RANK_OF_ROWS,
                              .maps_pages = true,
                              .kind = RHUMB__SECTION_APPEND,
                              .derived = true,
                              .is_used = has_fused_rows,
                              .unit = RHUMB__ROW_SLOT,
                              .large_pages = true,
                              .of_vectors = true,
                              .version = 1,
                              .codec = fused_codec,
                              .row_stride_bytes = fused_stride},
    [RHUMB__SECTION_CHANGED] = {.id = RHUMB__SECTION_CHANGED,
                                .name = "changed",
                                .kind = RHUMB__SECTION_MUTABLE,
                                .derived = true,
                                .is_used = has_fused_rows,
                                .unit = RHUMB__ROW_SLOT_BITS,
                                .version = 1,
                                .row_stride_bytes = changed_stride,
                                .chunk_rank = RHUMB__RANK_CHUNK_CHANGED,
                                .filter = filter_changed},
/* A test compiles this file with more sections (tests/engine/dummy_sections.c) and links it in place of the
 * library's. */
#if defined(RHUMB__MORE_SECTIONS)
    RHUMB__MORE_SECTIONS
#endif
};

const rhumb__section_info *rhumb__section_next(const rhumb__section_info *previous) {
    uint32_t id = previous == NULL ? 1 : previous->id + 1;
    while (id < RHUMB__SECTION_ID_LIMIT && rhumb__sections[id].id == 0) id++;
    return rhumb__section_find(id);
}

const rhumb__section_info *rhumb__section_find(uint32_t id) {
    if (id == 0 || id >= RHUMB__SECTION_ID_LIMIT || rhumb__sections[id].id == 0) return NULL;
    RHUMB_ASSERT_DEBUG(rhumb__sections[id].id == id);
    RHUMB_ASSERT_DEBUG(rhumb__sections[id].filter == NULL || rhumb__sections[id].kind == RHUMB__SECTION_MUTABLE);
    return &rhumb__sections[id];
}

bool rhumb__section_is_used(const rhumb__section_info *info, const rhumb__params *params) {
    RHUMB_ASSERT_DEBUG(info->is_used == NULL || info->derived);
    return info->is_used == NULL || info->is_used(params);
}

uint32_t rhumb__section_codec(const rhumb__section_info *info, const rhumb__params *params) {
    return info->codec == NULL ? 0 : info->codec(params);
}

uint64_t rhumb__section_row_count(const rhumb__section_info *info, const rhumb__counts *counts) {
    switch (info->unit) {
    case RHUMB__ROW_SLOT: return counts->slot_count;
    case RHUMB__ROW_SLOT_BITS: return rhumb__tombstone_row_count(counts->slot_count);
    case RHUMB__ROW_SLOT_TIES: return rhumb__tie_row_count(counts->slot_count);
    case RHUMB__ROW_UPPER_LIST: return counts->upper_row_count;
    case RHUMB__ROW_KEY_BUCKET: return counts->key_bucket_count;
    case RHUMB__ROW_KEY_OVERFLOW: return counts->key_overflow_count;
    }
    RHUMB_ASSERT(false);
    return 0;
}

uint64_t rhumb__section_row_limit(const rhumb__section_info *info) {
    static const rhumb__counts limits = {
        .slot_count = RHUMB__SLOT_LIMIT,
        .upper_row_count = UINT32_MAX,
        .key_bucket_count = RHUMB__SLOT_LIMIT,
        .key_overflow_count = RHUMB__SLOT_LIMIT,
    };
    return rhumb__section_row_count(info, &limits);
}

uint64_t rhumb__section_slot_capacity(const rhumb__section_info *info, uint64_t row_count) {
    switch (info->unit) {
    case RHUMB__ROW_SLOT: return row_count;
    case RHUMB__ROW_SLOT_BITS: return row_count * RHUMB__TOMBSTONE_ROW_SLOTS;
    case RHUMB__ROW_SLOT_TIES: return row_count * RHUMB__TIE_ROW_SLOTS;
    case RHUMB__ROW_UPPER_LIST:
    case RHUMB__ROW_KEY_BUCKET:
    case RHUMB__ROW_KEY_OVERFLOW: break;
    }
    return UINT64_MAX;
}
