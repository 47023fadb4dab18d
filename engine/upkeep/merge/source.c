/* source.c - see source.h. Owns the graphs and the arrays. Takes no lock: the graphs are readers. */
#include "engine/upkeep/merge/source.h"

#include <string.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "base/status.h"
#include "distances/element.h"
#include "distances/metric.h"
#include "engine/durability/lifetime.h"
#include "engine/graph/tombstones.h"

/* Slots between two looks at whether to stop. */
#define SLOTS_PER_CHECK 256u

/* ---- opening ---- */

static rhumb_status check_number(const rhumb__merge_sources *sources, uint32_t index, const char *what, uint32_t first,
                                 uint32_t found) {
    if (first == found) return RHUMB_OK;
    return rhumb__fail_at(RHUMB_E_INVALID, sources->all[index].path, RHUMB_OFFSET_NONE, "%s is %u, and %u in %s", what,
                          found, first, sources->all[0].path);
}

static rhumb_status check_text(const rhumb__merge_sources *sources, uint32_t index, const char *what, const char *first,
                               const char *found) {
    if (strcmp(first, found) == 0) return RHUMB_OK;
    return rhumb__fail_at(RHUMB_E_INVALID, sources->all[index].path, RHUMB_OFFSET_NONE, "%s is %s, and %s in %s", what,
                          found, first, sources->all[0].path);
}

/* Whether distances between vectors of a source and of the first one are what they are within each. */
static rhumb_status check_fits(const rhumb__merge_sources *sources, uint32_t index) {
    rhumb_status status;
    const rhumb__params *first = &sources->all[0].graph->params;
    const rhumb__params *found = &sources->all[index].graph->params;
    RHUMB_TRY(check_number(sources, index, "the dimension", first->dim, found->dim));
    RHUMB_TRY(
        check_text(sources, index, "the metric", rhumb__metric_name(first->metric), rhumb__metric_name(found->metric)));
    RHUMB_TRY(check_text(sources, index, "the element type", rhumb__element_name(first->element),
                         rhumb__element_name(found->element)));
    RHUMB_TRY(check_text(sources, index, "the custom metric", first->custom.name, found->custom.name));
    status = check_text(sources, index, "normalise", first->normalise ? "on" : "off", found->normalise ? "on" : "off");
done:
    return status;
}

rhumb_status rhumb__merge_sources_open(const rhumb__merge_work *work, rhumb__merge_sources *sources) {
    rhumb_status status = RHUMB_OK;
    sources->count = work->path_count;
    sources->all = rhumb__alloc_zeroed(rhumb__max_u64(work->path_count, 1), sizeof *sources->all);
    if (sources->all == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for %u indexes", work->path_count);
    for (uint32_t i = 0; i < sources->count; i++) {
        rhumb__merge_source *source = &sources->all[i];
        source->path = work->paths[i];
        RHUMB_TRY(rhumb__graph_open(source->path, NULL, &work->custom, &source->graph));
        source->slot_count = source->graph->counts.slot_count;
        RHUMB_TRY(check_fits(sources, i));
    }
done:
    return status;
}

void rhumb__merge_sources_close(rhumb__merge_sources *sources) {
    for (uint32_t i = 0; i < sources->count && sources->all != NULL; i++) {
        rhumb__graph_close(sources->all[i].graph);
        rhumb__free(sources->all[i].left_out);
        rhumb__free(sources->all[i].map);
    }
    rhumb__free(sources->all);
    *sources = (rhumb__merge_sources){0};
}

/* ---- what is left out ---- */

/* The first source of a range that has a key, or `end`. */
static uint32_t find_key(const rhumb__merge_sources *sources, uint64_t key, uint32_t begin, uint32_t end) {
    for (; begin < end; begin++) {
        if (rhumb__key_table_find(&sources->all[begin].graph->key_table, key) != RHUMB__SLOT_NONE) break;
    }
    return begin;
}

/* Sets whether the vector of a key counts that the `index`-th source has. */
static rhumb_status choose_key(const rhumb__merge_sources *sources, const rhumb__merge_work *work, uint32_t index,
                               uint64_t key, bool *counts_out) {
    if (work->duplicates == RHUMB__MERGE_DUPLICATES_LAST) {
        *counts_out = find_key(sources, key, index + 1, sources->count) == sources->count;
        return RHUMB_OK;
    }
    const uint32_t other = find_key(sources, key, 0, index);
    *counts_out = other == index;
    if (*counts_out || work->duplicates == RHUMB__MERGE_DUPLICATES_FIRST) return RHUMB_OK;
    return rhumb__fail_at(RHUMB_E_EXISTS, sources->all[index].path, RHUMB_OFFSET_NONE, "key %llu is in %s too",
                          (unsigned long long)key, sources->all[other].path);
}

static rhumb_status choose(const rhumb__merge_sources *sources, const rhumb__merge_work *work, uint32_t index,
                           rhumb__progress *progress, rhumb__merge_result *result) {
    rhumb_status status = RHUMB_OK;
    rhumb__merge_source *source = &sources->all[index];
    source->left_out = rhumb__alloc_zeroed(source->slot_count / 64 + 1, sizeof *source->left_out);
    source->map = rhumb__alloc_zeroed(rhumb__max_u64(source->slot_count, 1), sizeof *source->map);
    if (source->left_out == NULL || source->map == NULL) {
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for merging %llu slots", (unsigned long long)source->slot_count);
    }
    memset(source->map, 0xFF, source->slot_count * sizeof *source->map);
    for (uint64_t i = 0; i < source->slot_count; i++) {
        bool counts = false;
        const uint32_t slot = (uint32_t)i;
        const bool dead = rhumb__graph_is_dead(source->graph, slot);
        if (!dead) RHUMB_TRY(choose_key(sources, work, index, rhumb__graph_key(source->graph, slot), &counts));
        result->dropped_count += dead ? 1 : 0;
        result->duplicate_count += !dead && !counts ? 1 : 0;
        source->kept_count += counts ? 1 : 0;
        if (!counts) rhumb__bit_set(source->left_out, i);
        if (i % SLOTS_PER_CHECK == 0) RHUMB_TRY(rhumb__progress_advance(progress, 0));
    }
done:
    return status;
}

rhumb_status rhumb__merge_sources_choose(const rhumb__merge_sources *sources, const rhumb__merge_work *work,
                                         rhumb__progress *progress, rhumb__merge_result *result) {
    rhumb_status status = RHUMB_OK;
    for (uint32_t i = 0; i < sources->count; i++) RHUMB_TRY(choose(sources, work, i, progress, result));
done:
    return status;
}
