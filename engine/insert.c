/* insert.c - see insert.h. HNSW paper, algorithm 1, made fit for many threads.
 *
 * An insert goes through these steps:
 *   1. claim     a place among the active inserts; lock the key's bucket, refuse a key that exists; take a slot and
 * upper rows; enter the key. From here on nothing can fail.
 *   2. write     vector, empty lists, node record. The node is whole, and nobody knows it.
 *   3. announce  the insert in the list of active ones, and look who else is there: two inserts that are each other's
 * nearest neighbours cannot find each other in the graph, because neither is linked yet. Each announces itself before
 * it looks, so at least one sees the other.
 *   4. search    candidates on each level, select, and write the node's own lists on all levels.
 *   5. link back each chosen neighbour gets a link to the node, its list pruned if it is full. Only now can searches
 * come here, and they find a node that leads on.
 *   6. raise     the entry point if the node is on a higher level than any before; leave the active list. A node that
 * saw no entry point in step 4 and is not the first after all goes back to step 4.
 *
 * Another insert that has seen this one in step 3 may link to it from then on, also before step 4 has written the
 * node's own lists; so step 4 keeps what it finds in them.
 *
 * Locks: the key's bucket, within it append_lock (step 1); the chunk of one list at a time (steps 2, 4, 5). Pruning
 * computes its distances outside the lock and exchanges the list if it has not changed meanwhile.
 */
#include "engine/insert.h"

#include <sched.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "base/status.h"
#include "engine/neighbour_list.h"
#include "engine/search.h"
#include "engine/select.h"
#include "engine/tombstones.h"

/* ---- step 1: a slot ---- */

static uint32_t claim_active(rhumb__graph *graph) {
    for (;;) {
        for (uint32_t i = 0; i < RHUMB__ACTIVE_INSERT_MAX; i++) {
            uint64_t expected = RHUMB__ACTIVE_FREE;
            if (atomic_load_explicit(&graph->active[i], memory_order_relaxed) != RHUMB__ACTIVE_FREE) continue;
            if (!atomic_compare_exchange_strong(&graph->active[i], &expected, RHUMB__ACTIVE_CLAIMED)) continue;
            /* Sequentially consistent like the store in rhumb__graph_pause_inserts: either this insert sees the pause,
             * or the pause sees this insert. */
            if (!atomic_load(&graph->paused)) return i;
            atomic_store(&graph->active[i], RHUMB__ACTIVE_FREE);
            pthread_mutex_lock(&graph->pause_lock);
            pthread_mutex_unlock(&graph->pause_lock);
            break;
        }
        sched_yield();
    }
}

void rhumb__graph_pause_inserts(rhumb__graph *graph) {
    pthread_mutex_lock(&graph->pause_lock);
    atomic_store(&graph->paused, true);
    for (uint32_t i = 0; i < RHUMB__ACTIVE_INSERT_MAX; i++) {
        while (atomic_load(&graph->active[i]) != RHUMB__ACTIVE_FREE) sched_yield();
    }
}

void rhumb__graph_resume_inserts(rhumb__graph *graph) {
    atomic_store(&graph->paused, false);
    pthread_mutex_unlock(&graph->pause_lock);
}

/* Makes room in all sections for a slot and its upper rows. Under append_lock. */
static rhumb_status ensure_room(rhumb__graph *graph, uint64_t slot_count, uint64_t upper_row_count) {
    rhumb_status status;
    if (slot_count >= RHUMB__SLOT_LIMIT) {
        return rhumb__fail(RHUMB_E_FULL, "the index has %llu slots, which is all that there can be",
                           (unsigned long long)(slot_count - 1));
    }
    RHUMB_TRY(rhumb__section_ensure(&graph->vectors, slot_count));
    RHUMB_TRY(rhumb__section_ensure(&graph->keys, slot_count));
    RHUMB_TRY(rhumb__section_ensure(&graph->nodes, slot_count));
    RHUMB_TRY(rhumb__section_ensure(&graph->lists0, slot_count));
    RHUMB_TRY(rhumb__section_ensure(&graph->lists_upper, upper_row_count));
    RHUMB_TRY(rhumb__section_ensure(&graph->tombstones, rhumb__tombstone_row_count(slot_count)));
    uint64_t capacity = atomic_load(&graph->vectors.row_capacity);
    capacity = rhumb__min_u64(capacity, atomic_load(&graph->keys.row_capacity));
    capacity = rhumb__min_u64(capacity, atomic_load(&graph->nodes.row_capacity));
    capacity = rhumb__min_u64(capacity, atomic_load(&graph->lists0.row_capacity));
    capacity = rhumb__min_u64(capacity, atomic_load(&graph->tombstones.row_capacity) * RHUMB__TOMBSTONE_ROW_SLOTS);
    /* Release pairs with the acquire in rhumb__scratch_extend. */
    atomic_store_explicit(&graph->slot_limit, rhumb__min_u64(capacity, RHUMB__SLOT_LIMIT), memory_order_release);
    atomic_store_explicit(&graph->upper_row_limit, atomic_load(&graph->lists_upper.row_capacity), memory_order_release);
done:
    return status;
}

/* What an insert has taken for itself. */
typedef struct insertion {
    uint32_t slot;
    uint32_t level;
    uint32_t upper_row;
    uint32_t active;
    uint32_t replaced; /* the key's node so far, or RHUMB__SLOT_NONE */
} insertion;

static bool is_inserting(rhumb__graph *graph, uint32_t slot) {
    for (uint32_t i = 0; i < RHUMB__ACTIVE_INSERT_MAX; i++) {
        /* Acquire pairs with the release at the end of an insert. */
        const uint64_t state = atomic_load_explicit(&graph->active[i], memory_order_acquire);
        if (RHUMB__ACTIVE_HAS_SLOT(state) && RHUMB__ACTIVE_SLOT(state) == slot) return true;
    }
    return false;
}

static rhumb_status take_slot(rhumb__graph *graph, insertion *in) {
    pthread_mutex_lock(&graph->append_lock);
    rhumb__counts *counts = &graph->counts;
    const uint32_t slot = (uint32_t)counts->slot_count;
    const uint32_t level = rhumb__params_level(&graph->params, slot);
    rhumb_status status = ensure_room(graph, counts->slot_count + 1, counts->upper_row_count + level);
    if (status == RHUMB_OK) {
        in->slot = slot;
        in->level = level;
        in->upper_row = (uint32_t)counts->upper_row_count;
        counts->slot_count++;
        counts->upper_row_count += level;
        if (counts->level_counts[level]++ == 0) counts->level_first[level] = slot;
        /* Stored under the lock: whoever reads the count afterwards sees this insert among the active ones. */
        atomic_store(&graph->active[in->active], rhumb__active_encode(slot));
    }
    pthread_mutex_unlock(&graph->append_lock);
    return status;
}

uint32_t rhumb__graph_lock_settled_key(rhumb__graph *graph, uint64_t key, rhumb__key_place *place) {
    for (;;) {
        rhumb__key_table_lock(&graph->key_table, key, place);
        const uint32_t slot = rhumb__key_table_find_locked(&graph->key_table, place, key);
        if (slot == RHUMB__SLOT_NONE || !is_inserting(graph, slot)) return slot;
        rhumb__key_table_unlock(&graph->key_table, place);
        sched_yield();
    }
}

/* Step 1. */
static rhumb_status begin(rhumb__graph *graph, uint64_t key, bool replace, insertion *in) {
    rhumb_status status;
    rhumb__key_place place;
    in->active = claim_active(graph);
    if (replace) {
        in->replaced = rhumb__graph_lock_settled_key(graph, key, &place);
    } else {
        rhumb__key_table_lock(&graph->key_table, key, &place);
        in->replaced = RHUMB__SLOT_NONE;
        if (rhumb__key_table_find_locked(&graph->key_table, &place, key) != RHUMB__SLOT_NONE) {
            status = rhumb__fail(RHUMB_E_EXISTS, "key %llu is in the index already", (unsigned long long)key);
            goto done;
        }
    }
    RHUMB_TRY(rhumb__key_table_reserve(&graph->key_table, &place));
    RHUMB_TRY(take_slot(graph, in));
    *(uint64_t *)rhumb__section_row(&graph->keys, in->slot) = key;
    if (in->replaced == RHUMB__SLOT_NONE) {
        rhumb__key_table_add(&graph->key_table, &place, in->slot);
    } else {
        rhumb__key_table_replace(&graph->key_table, &place, in->replaced, in->slot);
    }
done:
    rhumb__key_table_unlock(&graph->key_table, &place);
    if (status != RHUMB_OK) atomic_store(&graph->active[in->active], RHUMB__ACTIVE_FREE);
    return status;
}

/* ---- steps 2 and 3 ---- */

static void write_node(rhumb__graph *graph, const rhumb__scratch *scratch, const insertion *in) {
    uint8_t *row = rhumb__section_row(&graph->vectors, in->slot);
    const uint32_t row_bytes = graph->space.row_bytes;
    memcpy(row, scratch->query, row_bytes);
    memset(row + row_bytes, 0, graph->space.row_stride_bytes - row_bytes);
    rhumb__node_record *record = rhumb__section_row(&graph->nodes, in->slot);
    const rhumb__list list0 = rhumb__graph_list(graph, in->slot, 0);
    rhumb__list_clear(&list0);
    for (uint32_t i = 0; i < in->level; i++) {
        const uint64_t upper_row = (uint64_t)in->upper_row + i;
        const rhumb__list list = {&graph->lists_upper, upper_row, rhumb__section_row(&graph->lists_upper, upper_row),
                                  graph->params.M};
        rhumb__list_clear(&list);
    }
    /* Release pairs with the acquire in rhumb__graph_node: who sees the node present can read all of it. */
    atomic_store_explicit(record, rhumb__node_encode(in->upper_row, in->level), memory_order_release);
    /* Sequentially consistent, as are the loads in collect_peers: of two inserts one sees the other. */
    atomic_store(&graph->active[in->active], rhumb__active_encode(in->slot) | RHUMB__ACTIVE_LINKABLE);
}

/* ---- step 4: candidates ---- */

/* The other inserts that have announced themselves. Taken before the search begins: an insert that is not among them
 * has either finished, so that the search finds it, or announces itself later and finds this one. Taken afterwards, one
 * that finished during the search would be missed: the first two nodes of an index could end without a link between
 * them. */
static uint32_t collect_peers(rhumb__graph *graph, const insertion *in, uint32_t *peers) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < RHUMB__ACTIVE_INSERT_MAX; i++) {
        const uint64_t state = atomic_load(&graph->active[i]);
        if ((state & RHUMB__ACTIVE_LINKABLE) == 0 || i == in->active) continue;
        peers[count++] = RHUMB__ACTIVE_SLOT(state);
    }
    return count;
}

/* What came of the peers on one level: those that the search had not met on its way. */
typedef struct peer_offer {
    uint32_t strangers[RHUMB__ACTIVE_INSERT_MAX];
    uint32_t stranger_count;
} peer_offer;

/* Offers the peers that are on this level to the pool. */
static void peers_into_pool(rhumb__graph *graph, rhumb__scratch *scratch, const uint32_t *peers, uint32_t peer_count,
                            uint32_t level, peer_offer *offer) {
    for (uint32_t i = 0; i < peer_count; i++) {
        const uint32_t slot = peers[i];
        if (slot >= scratch->slot_limit && !rhumb__scratch_extend(scratch)) continue;
        if (rhumb__node_level(rhumb__graph_node(graph, slot)) < level) continue;
        if (rhumb__visited_add(&scratch->visited, slot)) continue;
        const float distance = graph->space.distance(&graph->space, scratch->query, rhumb__graph_vector(graph, slot));
        rhumb__candidate_pool_add(&scratch->pool, slot, distance);
        offer->strangers[offer->stranger_count++] = slot;
    }
}

/* Adds the neighbours of the candidates to the candidates (extend_candidates). The array has room for both. */
static uint32_t extend_candidates(rhumb__graph *graph, rhumb__scratch *scratch, rhumb__candidate *candidates,
                                  uint32_t count, uint32_t level) {
    const uint32_t base_count = count;
    for (uint32_t i = 0; i < base_count; i++) {
        const rhumb__list list = rhumb__graph_list(graph, rhumb__candidate_slot(candidates[i]), level);
        const uint32_t list_count = rhumb__list_read(&list, scratch->list);
        uint32_t batch_count = 0;
        for (uint32_t k = 0; k < list_count; k++) {
            const uint32_t slot = scratch->list[k];
            if (slot >= scratch->slot_limit || rhumb__visited_add(&scratch->visited, slot)) continue;
            scratch->batch[batch_count++] = slot;
        }
        rhumb__search_measure(graph, scratch, batch_count);
        for (uint32_t k = 0; k < batch_count; k++) {
            candidates[count++] = (rhumb__candidate){scratch->distances[k], scratch->batch[k]};
        }
    }
    if (count > base_count) rhumb__sort_candidates(candidates, count);
    return count;
}

static void select_level(rhumb__graph *graph, rhumb__scratch *scratch, uint32_t level) {
    uint32_t *selected = scratch->selected + (size_t)level * RHUMB__M0_MAX;
    const rhumb__candidate *candidates = scratch->pool.entries;
    uint32_t count = scratch->pool.count;
    if (graph->params.extend_candidates) {
        memcpy(scratch->candidates, candidates, count * sizeof *candidates);
        count = extend_candidates(graph, scratch, scratch->candidates, count, level);
        candidates = scratch->candidates;
    }
    scratch->selected_counts[level] = rhumb__select(graph, scratch, candidates, count, graph->params.M, selected);
}

/* A node must hold on to something that the search has reached from the entry point. Other inserts under way promise
 * nothing: each may turn down what the others count on it to link to, and the group would end as an island. When
 * only such were selected, the nearest node that was reached takes the last place. */
static void keep_anchor(rhumb__graph *graph, rhumb__scratch *scratch, const peer_offer *offer, uint32_t anchor) {
    uint32_t *selected = scratch->selected;
    uint32_t *count = &scratch->selected_counts[0];
    for (uint32_t i = 0; i < *count; i++) {
        if (!rhumb__slots_contain(offer->strangers, offer->stranger_count, selected[i])) return;
    }
    if (*count == graph->params.M) --*count;
    selected[(*count)++] = anchor;
}

/* Finds and selects the node's neighbours on every level that it is on. Returns whether there was an entry point to
 * begin at. */
static bool search_levels(rhumb__graph *graph, rhumb__scratch *scratch, const insertion *in) {
    const uint32_t ef = graph->params.ef_construction;
    uint32_t peers[RHUMB__ACTIVE_INSERT_MAX];
    const uint32_t peer_count = collect_peers(graph, in, peers);
    uint32_t top;
    rhumb__nearest start = rhumb__search_descend(graph, scratch, in->level, &top);
    const bool has_start = start.slot != RHUMB__SLOT_NONE;
    peer_offer offer;
    for (uint32_t i = 0; i <= in->level; i++) {
        const uint32_t level = in->level - i;
        rhumb__visited_clear(&scratch->visited);
        if (in->slot < scratch->slot_limit) (void)rhumb__visited_add(&scratch->visited, in->slot);
        rhumb__candidate_pool_clear(&scratch->pool, ef);
        if (has_start && level <= top) {
            rhumb__search_level(graph, scratch, start, level, ef);
            if (scratch->pool.count > 0) {
                start = (rhumb__nearest){rhumb__candidate_slot(scratch->pool.entries[0]),
                                         scratch->pool.entries[0].distance};
            }
        }
        offer.stranger_count = 0;
        peers_into_pool(graph, scratch, peers, peer_count, level, &offer);
        select_level(graph, scratch, level);
    }
    if (has_start) keep_anchor(graph, scratch, &offer, start.slot);
    return has_start;
}

/* ---- links ---- */

/* The candidates of a prune: the slots of `slots`, with their distances to `row`, sorted. Uses batch, rows and
 * distances. */
static void measure_from(const rhumb__graph *graph, rhumb__scratch *scratch, const void *row, const uint32_t *slots,
                         uint32_t count, rhumb__candidate *candidates) {
    for (uint32_t i = 0; i < count; i++) scratch->rows[i] = rhumb__graph_vector(graph, slots[i]);
    graph->space.distance_many(&graph->space, row, scratch->rows, count, scratch->distances);
    for (uint32_t i = 0; i < count; i++) candidates[i] = (rhumb__candidate){scratch->distances[i], slots[i]};
    rhumb__sort_candidates(candidates, count);
}

/* What the list of `slot` should hold once `added` has come to what it holds now, in `slots`: everything when that
 * fits, otherwise what the heuristic selects. As in hnswlib, what it passes over is dropped even if there were room.
 * Slots that a damaged file put there are dropped too. Returns how many. */
static uint32_t merge_links(rhumb__graph *graph, rhumb__scratch *scratch, uint32_t slot, const rhumb__list *list,
                            uint32_t before_count, const uint32_t *added, uint32_t added_count, uint32_t *slots) {
    rhumb__candidate candidates[2 * RHUMB__M0_MAX];
    uint32_t all[2 * RHUMB__M0_MAX];
    const uint64_t slot_limit = atomic_load_explicit(&graph->slot_limit, memory_order_acquire);
    uint32_t count = 0;
    for (uint32_t i = 0; i < before_count; i++) {
        if (scratch->list[i] < slot_limit && scratch->list[i] != slot) all[count++] = scratch->list[i];
    }
    for (uint32_t i = 0; i < added_count; i++) {
        bool there = false;
        for (uint32_t k = 0; k < before_count && !there; k++) there = scratch->list[k] == added[i];
        if (!there) all[count++] = added[i];
    }
    if (count <= list->capacity) {
        memcpy(slots, all, count * sizeof *slots);
        return count;
    }
    measure_from(graph, scratch, rhumb__graph_vector(graph, slot), all, count, candidates);
    return rhumb__select(graph, scratch, candidates, count, list->capacity, slots);
}

/* Adds `added` to the list of `slot` on `level`, pruning it if it overflows. With `insist` the first of them stays
 * whatever the heuristic thinks. Returns whether the first of them is in the list now. */
static bool add_links(rhumb__graph *graph, rhumb__scratch *scratch, uint32_t slot, uint32_t level,
                      const uint32_t *added, uint32_t added_count, bool insist) {
    const rhumb__list list = rhumb__graph_list(graph, slot, level);
    if (list.slots == NULL || added_count == 0) return false;
    uint32_t *slots = scratch->kept;
    /* A failed exchange means that another insert has changed the list, so somebody always gets on. */
    for (;;) {
        const uint32_t before_count = rhumb__list_read(&list, scratch->list);
        uint32_t count = merge_links(graph, scratch, slot, &list, before_count, added, added_count, slots);
        bool kept = rhumb__slots_contain(slots, count, added[0]);
        if (!kept && insist) {
            /* In the place of the farthest when there is none left: the selection is in the order of distance. */
            if (count == list.capacity) count--;
            slots[count++] = added[0];
            kept = true;
        }
        if (rhumb__list_exchange(&list, scratch->list, before_count, slots, count)) return kept;
    }
}

/* Steps 4 (its end) and 5. All own lists come before all links back, so that whoever arrives can go on. When every
 * neighbour's heuristic turns the node down on level 0, the nearest one takes it all the same: a node that no list
 * names is a node that no search finds. */
static void link_node(rhumb__graph *graph, rhumb__scratch *scratch, const insertion *in) {
    for (uint32_t level = 0; level <= in->level; level++) {
        const uint32_t *selected = scratch->selected + (size_t)level * RHUMB__M0_MAX;
        (void)add_links(graph, scratch, in->slot, level, selected, scratch->selected_counts[level], false);
    }
    for (uint32_t level = 0; level <= in->level; level++) {
        const uint32_t *selected = scratch->selected + (size_t)level * RHUMB__M0_MAX;
        const uint32_t count = scratch->selected_counts[level];
        bool linked = false;
        for (uint32_t i = 0; i < count; i++) {
            linked = add_links(graph, scratch, selected[i], level, &in->slot, 1, false) || linked;
        }
        if (level == 0 && !linked && count > 0) {
            (void)add_links(graph, scratch, selected[0], level, &in->slot, 1, true);
        }
    }
}

/* ---- step 6 ---- */

/* Returns false when the node found no entry point to begin at and there is one now: another insert was the first. What
 * that one leads to and what this node is linked to may be two islands, so neither is the entry point to both. */
static bool raise_entry(rhumb__graph *graph, const insertion *in, bool had_start) {
    const uint64_t raised = rhumb__entry_encode(in->slot, in->level);
    uint64_t entry = atomic_load_explicit(&graph->entry, memory_order_relaxed);
    while (entry == RHUMB__ENTRY_NONE || (had_start && in->level > rhumb__entry_level(entry))) {
        /* Release pairs with the acquire in rhumb__search_descend. */
        if (atomic_compare_exchange_weak_explicit(&graph->entry, &entry, raised, memory_order_release,
                                                  memory_order_relaxed)) {
            return true;
        }
    }
    return had_start;
}

static rhumb_status insert(rhumb__graph *graph, rhumb__scratch *scratch, uint64_t key, bool replace) {
    rhumb_status status;
    const uint32_t ef = graph->params.ef_construction;
    const uint32_t candidate_count = graph->params.extend_candidates ? ef + ef * graph->params.M0 : 0;
    RHUMB_TRY(rhumb__scratch_prepare_search(scratch, ef));
    RHUMB_TRY(rhumb__scratch_prepare_insert(scratch, candidate_count));
    insertion in;
    RHUMB_TRY(begin(graph, key, replace, &in));
    write_node(graph, scratch, &in);
    /* Growth for this slot may have raised the limit. Without the memory to follow, the newest nodes are not
     * considered. */
    (void)rhumb__scratch_extend(scratch);
    /* The second time there is an entry point, unless memory is too short to reach it. */
    bool done_linking = false;
    for (uint32_t attempt = 0; attempt < 2 && !done_linking; attempt++) {
        const bool had_start = search_levels(graph, scratch, &in);
        link_node(graph, scratch, &in);
        done_linking = raise_entry(graph, &in, had_start);
    }
    atomic_fetch_add_explicit(&graph->finished_count, 1, memory_order_relaxed);
    if (in.replaced != RHUMB__SLOT_NONE && rhumb__tombstone_set(graph, in.replaced)) {
        atomic_fetch_add(&graph->dead_count, 1);
    }
    /* Release: who finds the place free (rhumb__graph_wait_inserted) sees all that this insert has written. */
    atomic_store_explicit(&graph->active[in.active], RHUMB__ACTIVE_FREE, memory_order_release);
    rhumb__key_table_grow(&graph->key_table, (uint64_t)in.slot + 1);
done:
    return status;
}

rhumb_status rhumb__graph_insert(rhumb__graph *graph, rhumb__scratch *scratch, uint64_t key) {
    return insert(graph, scratch, key, false);
}

rhumb_status rhumb__graph_upsert(rhumb__graph *graph, rhumb__scratch *scratch, uint64_t key) {
    pthread_rwlock_rdlock(&graph->removal_lock);
    /* Searches compare the two numbers, see rhumb__graph_search. */
    atomic_fetch_add(&graph->replace_begun, 1);
    const rhumb_status status = insert(graph, scratch, key, true);
    atomic_fetch_add(&graph->replace_done, 1);
    pthread_rwlock_unlock(&graph->removal_lock);
    return status;
}

void rhumb__graph_wait_inserted(rhumb__graph *graph, uint64_t slot_limit) {
    for (uint32_t i = 0; i < RHUMB__ACTIVE_INSERT_MAX; i++) {
        for (;;) {
            /* Acquire pairs with the release at the end of rhumb__graph_insert. */
            const uint64_t state = atomic_load_explicit(&graph->active[i], memory_order_acquire);
            if (!RHUMB__ACTIVE_HAS_SLOT(state) || RHUMB__ACTIVE_SLOT(state) >= slot_limit) break;
            sched_yield();
        }
    }
}
