/* dummy_sections.c - see dummy_sections.h.
 *
 * The table of sections, compiled once more with five more entries. This file defines whatever engine/graph/sections.c
 * defines, so the linker takes all of it from here and leaves the library's object out. Holds no state; one thread at a
 * time.
 */
#include "tests/engine/dummy_sections.h"

#define DUMMY(ID, ...) [ID] = {.id = ID, .name = #ID, .unit = RHUMB__ROW_SLOT, .version = 1, __VA_ARGS__},
#define RHUMB__MORE_SECTIONS                                                                                           \
    DUMMY(DUMMY_APPEND, .kind = RHUMB__SECTION_APPEND, .row_stride_bytes = u64_stride)                                 \
    DUMMY(DUMMY_FILTERED, .kind = RHUMB__SECTION_MUTABLE, .row_stride_bytes = lists0_stride, .filter = filter_list)    \
    DUMMY(DUMMY_UNFILTERED, .kind = RHUMB__SECTION_MUTABLE, .row_stride_bytes = lists0_stride)                         \
    DUMMY(DUMMY_DERIVED_APPEND, .kind = RHUMB__SECTION_APPEND, .derived = true, .row_stride_bytes = u64_stride)        \
    DUMMY(DUMMY_DERIVED_MUTABLE, .kind = RHUMB__SECTION_MUTABLE, .derived = true, .row_stride_bytes = lists0_stride)

#include "engine/graph/sections.c"

#include "api/handle.h"

static rhumb__graph *graph_of(rhumb_index *index) { return atomic_load(&index->scratch_pool.graph); }

static rhumb__section *section_of(rhumb_index *index, uint32_t id) { return &graph_of(index)->sections[id]; }

uint64_t dummy_row_stride(rhumb_index *index, uint32_t id) { return section_of(index, id)->row_stride_bytes; }

uint64_t dummy_row_capacity(rhumb_index *index, uint32_t id) {
    return atomic_load(&section_of(index, id)->row_capacity);
}

uint64_t dummy_published_row_count(rhumb_index *index, uint32_t id) {
    return section_of(index, id)->published_row_count;
}

const uint8_t *dummy_row(rhumb_index *index, uint32_t id, uint64_t row) {
    return rhumb__section_row(section_of(index, id), row);
}

void dummy_write(rhumb_index *index, uint32_t id, uint64_t row, const uint8_t *bytes) {
    rhumb__section *section = section_of(index, id);
    const bool is_mutable = section->spec.kind == RHUMB__SECTION_MUTABLE;
    if (is_mutable) {
        rhumb__section_lock(section, row);
        rhumb__section_mark_dirty(section, row);
    }
    memcpy(rhumb__section_row(section, row), bytes, section->row_stride_bytes);
    if (is_mutable) rhumb__section_unlock(section, row);
}

void dummy_set_derived(rhumb_index *index, uint32_t id, uint64_t row_count) {
    atomic_store_explicit(&graph_of(index)->derived_row_counts[id], row_count, memory_order_release);
}
