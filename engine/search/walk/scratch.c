/* scratch.c - see scratch.h.
 *
 * The pool is a list that only grows at its head. A scratch is free while its `graph` is NULL; taking it is a
 * compare-and-swap from NULL to the pool's graph. After the swap the pool's graph is read again: if it has changed in
 * the meantime, the thread that changed it may not have seen this user, so the user moves on to the new graph before it
 * touches anything. Both accesses on both sides are sequentially consistent, so at least one side sees the other (the
 * hazard pointer argument: Michael, IEEE TPDS 2004).
 */
#include "engine/search/walk/scratch.h"

#include <sched.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/status.h"

/* The scratch that a thread used last, so that threads do not compete for the first one. */
static _Thread_local rhumb__scratch *last_used;
static _Thread_local uint64_t last_pool_id;

/* A pool may have the address of an earlier one, so pools are distinguished by number. */
static _Atomic uint64_t pool_count;

void rhumb__scratch_pool_init(rhumb__scratch_pool *pool, rhumb__graph *graph) {
    pool->id = atomic_fetch_add(&pool_count, 1) + 1;
    atomic_store(&pool->first, NULL);
    atomic_store(&pool->graph, graph);
    atomic_store(&pool->borrowed, NULL);
}

/* Puts the pool's graph into a user's place, if that is free. */
static bool try_bind(rhumb__scratch_pool *pool, _Atomic(rhumb__graph *) *place) {
    rhumb__graph *graph = atomic_load(&pool->graph);
    rhumb__graph *expected = NULL;
    if (!atomic_compare_exchange_strong(place, &expected, graph)) return false;
    for (;;) {
        rhumb__graph *now = atomic_load(&pool->graph);
        if (now == graph) return true;
        graph = now;
        atomic_store(place, graph);
    }
}

static bool try_take(rhumb__scratch_pool *pool, rhumb__scratch *scratch) { return try_bind(pool, &scratch->graph); }

rhumb__graph *rhumb__scratch_pool_borrow(rhumb__scratch_pool *pool) {
    while (!try_bind(pool, &pool->borrowed)) sched_yield();
    return atomic_load_explicit(&pool->borrowed, memory_order_relaxed);
}

/* Release as in rhumb__scratch_give. */
void rhumb__scratch_pool_return(rhumb__scratch_pool *pool) {
    atomic_store_explicit(&pool->borrowed, NULL, memory_order_release);
}

rhumb_status rhumb__scratch_take(rhumb__scratch_pool *pool, rhumb__scratch **scratch_out) {
    rhumb__scratch *scratch = last_pool_id == pool->id ? last_used : NULL;
    if (scratch == NULL || !try_take(pool, scratch)) {
        /* Acquire pairs with the release below: a scratch in the list is complete. */
        scratch = atomic_load_explicit(&pool->first, memory_order_acquire);
        while (scratch != NULL && !try_take(pool, scratch)) scratch = scratch->next;
    }
    if (scratch == NULL) {
        scratch = rhumb__alloc_zeroed(1, sizeof *scratch);
        if (scratch == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for a search");
        const bool taken = try_take(pool, scratch);
        (void)taken; /* no other thread knows the scratch yet */
        scratch->next = atomic_load_explicit(&pool->first, memory_order_relaxed);
        while (!atomic_compare_exchange_weak_explicit(&pool->first, &scratch->next, scratch, memory_order_seq_cst,
                                                      memory_order_relaxed)) {
        }
        /* A switch that walked the list before the scratch was in it has not waited for it. */
        rhumb__graph *now = atomic_load(&pool->graph);
        while (now != atomic_load(&scratch->graph)) {
            atomic_store(&scratch->graph, now);
            now = atomic_load(&pool->graph);
        }
    }
    last_used = scratch;
    last_pool_id = pool->id;
    *scratch_out = scratch;
    return RHUMB_OK;
}

void rhumb__scratch_give(rhumb__scratch *scratch) {
    RHUMB_ASSERT_DEBUG(atomic_load(&scratch->graph) != NULL); /* it is taken */
    /* Release pairs with the loads in rhumb__scratch_pool_wait: a thread that sees the scratch free sees its user's
     * work done. */
    atomic_store_explicit(&scratch->graph, NULL, memory_order_release);
}

rhumb__graph *rhumb__scratch_pool_set(rhumb__scratch_pool *pool, rhumb__graph *graph) {
    return atomic_exchange(&pool->graph, graph);
}

void rhumb__scratch_pool_wait(rhumb__scratch_pool *pool, rhumb__graph *old) {
    for (rhumb__scratch *scratch = atomic_load(&pool->first); scratch != NULL; scratch = scratch->next) {
        while (old != NULL && atomic_load(&scratch->graph) == old) sched_yield();
    }
    while (old != NULL && atomic_load(&pool->borrowed) == old) sched_yield();
}

rhumb__graph *rhumb__scratch_pool_switch(rhumb__scratch_pool *pool, rhumb__graph *graph) {
    rhumb__graph *old = rhumb__scratch_pool_set(pool, graph);
    rhumb__scratch_pool_wait(pool, old);
    return old;
}

/* Empties a pool and gives it a capacity; *allocated is what it has memory for. */
static rhumb_status reserve_pool(rhumb__candidate_pool *pool, uint32_t *allocated, uint32_t capacity) {
    if (capacity > *allocated) {
        rhumb__candidate *entries =
            rhumb__alloc_resize(pool->entries, rhumb__candidate_pool_room(capacity), sizeof *entries);
        if (entries == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for %u candidates", capacity);
        pool->entries = entries;
        *allocated = capacity;
    }
    rhumb__candidate_pool_clear(pool, capacity);
    return RHUMB_OK;
}

rhumb_status rhumb__scratch_prepare_answers(rhumb__scratch *scratch, uint32_t capacity) {
    return reserve_pool(&scratch->answers, &scratch->answers_allocated, capacity);
}

rhumb_status rhumb__scratch_prepare_search(rhumb__scratch *scratch, uint32_t capacity) {
    rhumb_status status = reserve_pool(&scratch->pool, &scratch->pool_allocated, capacity);
    if (status != RHUMB_OK) return status;
    rhumb__visited_clear(&scratch->visited);
    if (!rhumb__scratch_extend(scratch)) return rhumb__error_last()->status;
    for (uint32_t i = 0; scratch->hidden != NULL && i < scratch->hidden->count; i++) {
        (void)rhumb__visited_add(&scratch->visited, scratch->hidden->slots[i]);
    }
    return RHUMB_OK;
}

rhumb_status rhumb__scratch_prepare_filter(rhumb__scratch *scratch) {
    rhumb__visited_clear(&scratch->failing);
    return rhumb__visited_reserve(&scratch->failing, scratch->slot_limit);
}

bool rhumb__scratch_extend(rhumb__scratch *scratch) {
    const rhumb__graph *graph = rhumb__scratch_graph(scratch);
    RHUMB_ASSERT_DEBUG(graph != NULL); /* the scratch is taken */
    const uint64_t slot_limit = atomic_load_explicit(&graph->slot_limit, memory_order_acquire);
    rhumb_status status = rhumb__visited_reserve(&scratch->visited, slot_limit);
    if (status == RHUMB_OK) scratch->slot_limit = slot_limit;
    return status == RHUMB_OK;
}

rhumb_status rhumb__scratch_prepare_insert(rhumb__scratch *scratch, uint32_t candidate_count) {
    if (scratch->selected == NULL) {
        scratch->selected = rhumb__alloc_zeroed((size_t)RHUMB__LEVEL_COUNT * RHUMB__M0_MAX, sizeof(uint32_t));
        if (scratch->selected == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for selected neighbours");
    }
    if (candidate_count > scratch->candidate_capacity) {
        rhumb__candidate *candidates = rhumb__alloc_resize(scratch->candidates, candidate_count, sizeof *candidates);
        if (candidates == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for %u candidates", candidate_count);
        scratch->candidates = candidates;
        scratch->candidate_capacity = candidate_count;
    }
    return RHUMB_OK;
}

void rhumb__scratch_pool_destroy(rhumb__scratch_pool *pool) {
    rhumb__scratch *scratch = atomic_load(&pool->first);
    while (scratch != NULL) {
        rhumb__scratch *next = scratch->next;
        rhumb__free(scratch->visited.words);
        rhumb__free(scratch->failing.words);
        rhumb__candidate_heap_free(&scratch->queue);
        rhumb__candidate_heap_free(&scratch->within);
        rhumb__key_set_free(&scratch->emitted);
        rhumb__free(scratch->pool.entries);
        rhumb__free(scratch->answers.entries);
        rhumb__free(scratch->query);
        rhumb__free(scratch->code_query);
        rhumb__free(scratch->row_query);
        rhumb__free(scratch->candidates);
        rhumb__free(scratch->selected);
        rhumb__free(scratch);
        scratch = next;
    }
    atomic_store(&pool->first, NULL);
}
