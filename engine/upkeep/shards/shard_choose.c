/* shard_choose.c - the last of the shard_steps.h.
 *
 * A home chooses among all that it is offered, by the heuristic of inserts, as far as the vectors are those of members:
 * these are in memory. Of two neighbours of which one is not, neither keeps the other out. They are from different
 * shards, so seldom near each other; and to read them would be to read from all over the disk.
 *
 * Owns the members and the offers. Locks: those of storing lists, each of which one thread writes.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/parallel.h"
#include "base/status.h"
#include "engine/build/bulk/select_rows.h"
#include "engine/graph/neighbour_list.h"
#include "engine/upkeep/shards/shard_members.h"

#define NODES_PER_STEP 64u

typedef struct choosing {
    rhumb__shard_steps *steps;
    rhumb__graph *graph;
    rhumb__shard_members members;
    uint8_t *offers;
    uint32_t *next; /* by number of a home: 1 + the first of its offers; 0: none. Then by offer: the next likewise */
    rhumb__bulk_run run;
    rhumb__bulk_loop loop;
} choosing;

/* What a thread works with. */
typedef struct chooser {
    rhumb__candidate candidates[RHUMB__DIVISION_SHARDS_MAX * RHUMB__M0_MAX];
    bool taken[RHUMB__DIVISION_SHARDS_MAX * RHUMB__M0_MAX];
    uint32_t count;
    const void *kept_rows[RHUMB__M0_MAX];
    uint32_t kept_count;
    uint32_t selected[RHUMB__M0_MAX];
    uint32_t selected_count;
} chooser;

/* ---- offers ---- */

/* Strings the offers of each home together: the last that came is the first. */
static void string_offers(choosing *c, uint64_t offer_count) {
    for (uint64_t i = 0; i < offer_count; i++) {
        const uint64_t home = rhumb__offer_at(c->steps->offers, c->offers, i)->slot - c->members.slots[0];
        RHUMB_ASSERT(home < c->members.home_count);
        c->next[c->members.home_count + i] = c->next[home];
        c->next[home] = (uint32_t)i + 1;
    }
}

static rhumb_status read_offers(choosing *c, uint32_t shard) {
    const uint64_t count = rhumb__offer_file_count(c->steps->offers, shard);
    c->offers = rhumb__alloc_aligned(rhumb__max_u64(count, 1), c->steps->offers->offer_bytes, 64);
    c->next = rhumb__alloc_zeroed(c->members.home_count + count + 1, sizeof *c->next);
    if (c->offers == NULL || c->next == NULL) {
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for %llu lists", (unsigned long long)count);
    }
    const rhumb_status status = rhumb__offer_file_read(c->steps->offers, shard, c->offers);
    if (status == RHUMB_OK) string_offers(c, count);
    return status;
}

/* Gathers what a home is offered, nearest first, each once. */
static void gather(const choosing *c, uint64_t home, chooser *w) {
    w->count = 0;
    for (uint32_t i = c->next[home]; i != 0; i = c->next[c->members.home_count + i - 1]) {
        const rhumb__offer *offer = rhumb__offer_at(c->steps->offers, c->offers, i - 1);
        RHUMB_ASSERT(w->count + offer->count <= RHUMB__DIVISION_SHARDS_MAX * RHUMB__M0_MAX);
        memcpy(w->candidates + w->count, offer->candidates, offer->count * sizeof *w->candidates);
        w->count += offer->count;
    }
    rhumb__sort_candidates(w->candidates, w->count);
    uint32_t kept_count = 0;
    for (uint32_t i = 0; i < w->count; i++) {
        bool is_there = false;
        /* Equal candidates have equal distances, so they are next to each other but for ties. */
        for (uint32_t k = kept_count; k > 0 && w->candidates[k - 1].distance == w->candidates[i].distance; k--)
            is_there = is_there || w->candidates[k - 1].slot_mark == w->candidates[i].slot_mark;
        if (!is_there) w->candidates[kept_count++] = w->candidates[i];
    }
    w->count = kept_count;
}

/* ---- lists ---- */

static void take(chooser *w, uint32_t i) {
    w->taken[i] = true;
    w->selected[w->selected_count++] = w->candidates[i].slot_mark;
}

/* Chooses at most `capacity` of the candidates. */
static void select_best(const choosing *c, chooser *w, uint32_t capacity) {
    const rhumb__space *space = &c->graph->space;
    const rhumb__select_from from = {.space = space, .nearness = RHUMB__NEARNESS_OF_FEW, .kept_rows = w->kept_rows};
    memset(w->taken, 0, w->count * sizeof *w->taken);
    w->kept_count = 0;
    for (uint32_t i = 0; i < w->count && w->selected_count < capacity; i++) {
        const uint64_t member = rhumb__shard_members_find(&c->members, w->candidates[i].slot_mark);
        const bool is_known = member != UINT64_MAX;
        const void *row = is_known ? c->members.rows + member * space->row_stride_bytes : NULL;
        if (is_known && rhumb__select_is_shadowed(&from, row, w->candidates[i].distance, w->kept_count)) continue;
        if (is_known) w->kept_rows[w->kept_count++] = row;
        take(w, i);
    }
    for (uint32_t i = 0; c->graph->params.keep_pruned && i < w->count && w->selected_count < capacity; i++) {
        if (!w->taken[i]) take(w, i);
    }
}

/* Links of level 1 that lead far: the last of its list, as many as level 0 has of them, without candidates. */
static uint32_t find_far(const choosing *c, uint32_t slot, const chooser *w, uint32_t *far) {
    uint32_t above[RHUMB__M0_MAX];
    uint32_t count = 0;
    const rhumb__list list = rhumb__graph_list(c->graph, slot, 1);
    const uint32_t far_max = rhumb__bulk_far_count(&c->graph->params);
    if (list.slots == NULL) return 0;
    for (uint32_t i = rhumb__list_read(&list, above); i > 0 && count < far_max; i--) {
        bool is_candidate = false;
        for (uint32_t k = 0; k < w->count && !is_candidate; k++)
            is_candidate = w->candidates[k].slot_mark == above[i - 1];
        if (!is_candidate) far[count++] = above[i - 1];
    }
    return count;
}

static void give_list(const choosing *c, chooser *w, uint64_t home) {
    uint32_t far[RHUMB__M0_MAX];
    const uint32_t slot = c->members.slots[home];
    if (c->next[home] == 0) return; /* a copy, or a node that has found nothing */
    const rhumb__list list = rhumb__graph_list(c->graph, slot, 0);
    gather(c, home, w);
    const uint32_t far_count = find_far(c, slot, w, far);
    w->selected_count = 0;
    if (w->count > list.capacity - far_count)
        select_best(c, w, list.capacity - far_count);
    else
        for (uint32_t i = 0; i < w->count; i++) take(w, i);
    memcpy(w->selected + w->selected_count, far, far_count * sizeof *far);
    const bool is_stored = rhumb__list_exchange(&list, NULL, 0, w->selected, w->selected_count + far_count);
    RHUMB_ASSERT_DEBUG(is_stored);
    (void)is_stored;
}

static rhumb_status give_some(void *context, uint32_t worker_index) {
    choosing *c = context;
    uint64_t begin = 0;
    uint64_t end = 0;
    rhumb_status status = RHUMB_OK;
    chooser *w = rhumb__alloc_zeroed(1, sizeof *w);
    if (w == NULL) status = rhumb__fail(RHUMB_E_NOMEM, "no memory for lists");
    while (rhumb__bulk_take(&c->loop, worker_index, &begin, &end, &status)) {
        for (uint64_t home = begin; home < end; home++) give_list(c, w, home);
    }
    rhumb__free(w);
    return rhumb__bulk_end(&c->loop, status);
}

rhumb_status rhumb__shard_choose(rhumb__shard_steps *steps, uint32_t shard) {
    rhumb_status status;
    choosing c = {.steps = steps, .graph = steps->graph, .run = rhumb__shard_run(steps)};
    RHUMB_TRY(rhumb__shard_members_read(steps, shard, &c.members));
    if (c.members.home_count == 0) goto done;
    RHUMB_TRY(read_offers(&c, shard));
    c.loop = (rhumb__bulk_loop){.run = &c.run, .limit = c.members.home_count, .step = NODES_PER_STEP};
    status = rhumb__parallel_run(steps->thread_count, give_some, &c);
done:
    rhumb__shard_members_free(&c.members);
    rhumb__free(c.offers);
    rhumb__free(c.next);
    return status;
}
