/* reachability.c - see reachability.h.
 *
 * A walk that expands every node once. The nodes that are reached and not yet expanded wait in a tree of bitmaps: a bit
 * of each level above the lowest says that a word of the level below has bits. So the next one is found in a few steps,
 * whatever way a file's links lead, and the lowest slot comes first, as the lists lie. A copy is in no list: it is
 * reached where its head is. Owns the bitmaps. Locks: none.
 */
#include "engine/graph/reachability.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/status.h"
#include "engine/graph/neighbour_list.h"
#include "engine/graph/ties.h"
#include "engine/graph/tombstones.h"
#include "engine/graph/unlinked.h"

/* Levels of bitmaps: each has a 64th of the bits of the one below, and slots have 31 bits. */
#define LEVEL_COUNT_MAX 6u

/* Nodes that are expanded between two looks at the progress. */
#define NODES_PER_REPORT 256u

typedef struct walk {
    rhumb__graph *graph;
    uint64_t slot_limit;
    uint64_t *reached;
    uint64_t *waiting[LEVEL_COUNT_MAX]; /* parts of one allocation, the lowest level first */
    uint32_t level_count;
} walk;

static rhumb_status walk_begin(walk *w) {
    const uint64_t word_count = rhumb__max_u64(rhumb__divide_up(w->slot_limit, 64), 1);
    uint64_t offsets[LEVEL_COUNT_MAX];
    uint64_t total_count = 0;
    for (uint64_t count = word_count;; count = rhumb__divide_up(count, 64)) {
        RHUMB_ASSERT_DEBUG(w->level_count < LEVEL_COUNT_MAX);
        offsets[w->level_count++] = total_count;
        total_count += count;
        if (count == 1) break;
    }
    w->reached = rhumb__alloc_zeroed(word_count, sizeof *w->reached);
    w->waiting[0] = rhumb__alloc_zeroed(total_count, sizeof *w->waiting[0]);
    if (w->reached == NULL || w->waiting[0] == NULL) {
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for a walk over %llu slots", (unsigned long long)w->slot_limit);
    }
    for (uint32_t level = 1; level < w->level_count; level++) w->waiting[level] = w->waiting[0] + offsets[level];
    return RHUMB_OK;
}

static void reach(walk *w, uint64_t slot) {
    RHUMB_ASSERT_DEBUG(slot < w->slot_limit);
    if (rhumb__bit_get(w->reached, slot)) return;
    rhumb__bit_set(w->reached, slot);
    for (uint32_t level = 0; level < w->level_count; level++, slot /= 64) {
        uint64_t *word = &w->waiting[level][slot / 64];
        const bool known = *word != 0;
        *word |= UINT64_C(1) << (slot % 64);
        if (known) break;
    }
}

/* Takes the lowest slot that waits; false: there is none. */
static bool take_waiting(walk *w, uint64_t *slot_out) {
    uint64_t slot = 0;
    for (uint32_t level = w->level_count; level > 0; level--) {
        const uint64_t word = w->waiting[level - 1][slot];
        if (word == 0) return false; /* on the highest level only */
        slot = slot * 64 + (uint64_t)__builtin_ctzll(word);
    }
    *slot_out = slot;
    for (uint32_t level = 0; level < w->level_count; level++, slot /= 64) {
        uint64_t *word = &w->waiting[level][slot / 64];
        *word &= *word - 1; /* the lowest bit of each level is that of the lowest slot */
        if (*word != 0) break;
    }
    return true;
}

static void expand(walk *w, uint32_t slot) {
    uint32_t slots[RHUMB__M0_MAX];
    const uint32_t count = rhumb__graph_neighbours(w->graph, slot, w->slot_limit, slots);
    for (uint32_t i = 0; i < count; i++) reach(w, slots[i]);
}

static rhumb_status walk_from(walk *w, uint64_t entry, rhumb__progress *progress) {
    rhumb_status status = RHUMB_OK;
    /* Searches begin at the entry point also when its slot is at or above the caller's limit. */
    const uint32_t entry_slot = rhumb__entry_slot(entry);
    if (entry_slot < w->slot_limit) reach(w, entry_slot);
    if (entry_slot < atomic_load_explicit(&w->graph->slot_limit, memory_order_acquire)) expand(w, entry_slot);
    uint64_t slot = 0;
    for (uint64_t done_count = 1; take_waiting(w, &slot); done_count++) {
        expand(w, (uint32_t)slot);
        if (done_count % NODES_PER_REPORT == 0) RHUMB_TRY(rhumb__progress_advance(progress, NODES_PER_REPORT));
    }
done:
    return status;
}

static uint64_t count_lost(rhumb__graph *graph, uint64_t slot_limit, const uint64_t *reached) {
    const uint64_t unlinked_begin = rhumb__unlinked_begin(graph);
    uint64_t count = 0;
    for (uint64_t i = 0; i < slot_limit; i++) {
        const uint32_t slot = (uint32_t)i;
        const bool unlinked = i >= unlinked_begin && i < rhumb__unlinked_end(graph);
        /* Deleted nodes need not be reachable, unless copies hang on them. */
        if (unlinked || rhumb__graph_is_dead(graph, slot)) continue;
        const uint32_t head = rhumb__graph_head(graph, slot);
        /* A copy of a copy is damage: no chain leads there. */
        const bool found = head < slot_limit && (head == slot || !rhumb__graph_is_copy(graph, head));
        if (!found || !rhumb__bit_get(reached, head)) count++;
    }
    return count;
}

rhumb_status rhumb__reachability_count(rhumb__graph *graph, uint64_t slot_limit, rhumb__progress *progress,
                                       uint64_t *count_out) {
    rhumb_status status;
    walk w = {.graph = graph, .slot_limit = slot_limit};
    RHUMB_ASSERT_DEBUG(slot_limit <= atomic_load_explicit(&graph->slot_limit, memory_order_acquire));
    RHUMB_TRY(walk_begin(&w));
    const uint64_t entry = atomic_load_explicit(&graph->entry, memory_order_acquire);
    if (entry != RHUMB__ENTRY_NONE) RHUMB_TRY(walk_from(&w, entry, progress));
    *count_out = count_lost(graph, slot_limit, w.reached);
done:
    rhumb__free(w.reached);
    rhumb__free(w.waiting[0]);
    return status;
}
