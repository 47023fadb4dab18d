/* source_walk.c - see source_walk.h. Breadth first. Owns the queue and the marks for the length of the call. No locks.
 *
 * The levels are taken together: a search goes down from level to level at any node that it has met, so a path may
 * consist of links of several levels. What this calls unreachable is so for certain; a search may miss more.
 */
#include "engine/exchange/source_walk.h"

#include "base/alloc.h"
#include "base/bits.h"
#include "base/status.h"

/* Nodes between two looks at whether to stop. */
#define NODES_PER_CHECK 256u

/* Levels on which a source may have lists above a node's own. */
#define ALL_LEVELS 16u

typedef struct source_walk {
    rhumb__source *source;
    uint32_t *queue;
    uint64_t queued_count;
    uint64_t *met; /* one bit per position */
    uint32_t *neighbours;
} source_walk;

rhumb_status rhumb__source_read_list(rhumb__source *source, uint32_t index, uint32_t level, uint32_t *neighbours,
                                     uint32_t *count_out, bool *broken_out) {
    rhumb_error before;
    rhumb__error_save(&before);
    *count_out = 0;
    const rhumb_status status = source->format->list(source, index, level, neighbours, count_out);
    *broken_out = status == RHUMB_E_CORRUPT;
    if (status != RHUMB_E_CORRUPT) return status;
    rhumb__error_restore(&before);
    *count_out = 0;
    return RHUMB_OK;
}

static void meet(source_walk *w, uint32_t index) {
    if (rhumb__bit_get(w->met, index)) return;
    rhumb__bit_set(w->met, index);
    w->queue[w->queued_count++] = index;
}

static rhumb_status expand(source_walk *w, uint32_t index) {
    rhumb__source *source = w->source;
    const uint32_t level_count = source->lists_above ? ALL_LEVELS : (uint32_t)source->levels[index] + 1;
    for (uint32_t level = 0; level < level_count; level++) {
        uint32_t count = 0;
        bool broken = false;
        const rhumb_status status = rhumb__source_read_list(source, index, level, w->neighbours, &count, &broken);
        if (status != RHUMB_OK) return status;
        for (uint32_t i = 0; i < count; i++) {
            if (w->neighbours[i] < source->count) meet(w, w->neighbours[i]);
        }
    }
    return RHUMB_OK;
}

rhumb_status rhumb__source_unreached(rhumb__source *source, const uint32_t *map, rhumb__progress *progress,
                                     uint32_t *count_out, uint32_t *first_out) {
    rhumb_status status;
    source_walk w = {.source = source};
    *count_out = 0;
    *first_out = RHUMB__SOURCE_NONE;
    RHUMB_TRY(rhumb__source_allocate(source, sizeof *w.queue, &w.queue));
    w.met = rhumb__alloc_zeroed((uint64_t)source->count / 64 + 1, sizeof *w.met);
    w.neighbours = rhumb__alloc_zeroed(RHUMB__SOURCE_LIST_MAX, sizeof *w.neighbours);
    if (w.met == NULL || w.neighbours == NULL) {
        status = rhumb__fail(RHUMB_E_NOMEM, "no memory for a walk over %u vectors", source->count);
        goto done;
    }
    if (source->entry < source->count) meet(&w, source->entry);
    for (uint64_t i = 0; i < w.queued_count; i++) {
        RHUMB_TRY(expand(&w, w.queue[i]));
        if (i % NODES_PER_CHECK == 0) RHUMB_TRY(rhumb__progress_advance(progress, 0));
    }
    for (uint32_t i = 0; i < source->count; i++) {
        if (map[i] == RHUMB__SOURCE_NONE || rhumb__bit_get(w.met, i)) continue;
        if ((*count_out)++ == 0) *first_out = i;
    }
done:
    rhumb__free(w.queue);
    rhumb__free(w.met);
    rhumb__free(w.neighbours);
    return status;
}
