/* compact.c - see compact.h.
 *
 *   1. order     the live slots, and with it the map from old slots to new ones
 *   2. place     their vectors in that order; now and then a checkpoint, which gives the memory of the vectors back
 *   3. lists     of level 0: with new numbers, and where deleted nodes were, what the usual selection takes of the
 * neighbours that are left and of the live neighbours of those that are not
 *   4. link      upper levels anew, since a node's level follows from its slot; what no path leads to; with a second
 * pass, every node
 *   5. publish   and give the file its name
 *
 * Checkpoints before step 5 hold half an index, so the file has another name until then.
 *
 * Owns the old graph, a reader, and the new one until it is closed or abandoned. Threads work in steps 3 and 4; in step
 * 3 they read the old graph and write different lists of the new one.
 */
#include "engine/compact.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "base/status.h"
#include "engine/batch_insert.h"
#include "engine/checkpoint.h"
#include "engine/insert.h"
#include "engine/neighbour_list.h"
#include "engine/parallel.h"
#include "engine/relink.h"
#include "engine/select.h"
#include "engine/tombstones.h"

#define CHECKPOINT_BYTES (UINT64_C(256) << 20)

/* Neighbours of deleted neighbours that are considered for one list. */
#define CANDIDATE_COUNT_MAX 2048u

typedef struct compaction {
    const rhumb__compact_spec *spec;
    rhumb__compact_result *result;
    char *working_path;
    rhumb__graph *old;
    rhumb__graph *graph;
    rhumb__scratch_pool old_pool;
    rhumb__scratch_pool pool;
    bool pools_ready;
    rhumb__repair_progress progress;
    uint64_t slot_count;  /* old */
    uint64_t count;       /* new */
    uint32_t *order;      /* by new slot: the old one */
    uint32_t *map;        /* by old slot: the new one, or RHUMB__SLOT_NONE */
    uint64_t *incomplete; /* one bit per new slot: to be linked */
    uint64_t batch;       /* in the new index this counts as one batch of inserts */
    _Atomic uint64_t next;
    _Atomic uint64_t repaired_count;
    _Atomic bool stopped;
} compaction;

/* ---- beginning, order ---- */

/* A name that is taken should be told before the work, not after. */
static rhumb_status check_name_is_free(const char *path) {
    rhumb__io *io = NULL;
    rhumb_error before;
    rhumb__error_save(&before);
    const rhumb_status status = rhumb__io_open(NULL, path, RHUMB__IO_READ, &io);
    if (status == RHUMB_E_NOTFOUND) {
        rhumb__error_restore(&before);
        return RHUMB_OK;
    }
    rhumb__io_close(io);
    if (status != RHUMB_OK) return status;
    return rhumb__fail_at(RHUMB_E_EXISTS, path, RHUMB_OFFSET_NONE, "there is a file of that name already");
}

static rhumb_status make_working_path(compaction *c) {
    const size_t length = strlen(c->spec->new_path) + sizeof "-compacting";
    c->working_path = rhumb__alloc_zeroed(length, 1);
    if (c->working_path == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for a path");
    snprintf(c->working_path, length, "%s-compacting", c->spec->new_path);
    return RHUMB_OK;
}

static rhumb_status begin(compaction *c) {
    rhumb_status status;
    RHUMB_TRY(check_name_is_free(c->spec->new_path));
    RHUMB_TRY(make_working_path(c));
    RHUMB_TRY(rhumb__graph_open_custom(c->spec->path, NULL, &c->spec->custom, &c->old));
    const rhumb__graph_options options = {.durability = RHUMB_DURABILITY_NONE};
    RHUMB_TRY(rhumb__graph_create(c->working_path, &c->old->params, &options, c->spec->creator_version, &c->graph));
    rhumb__scratch_pool_init(&c->old_pool, c->old);
    rhumb__scratch_pool_init(&c->pool, c->graph);
    c->pools_ready = true;
    c->slot_count = c->old->counts.slot_count;
    c->result->epoch = c->old->store->superblock.epoch;
    c->order = rhumb__alloc_zeroed(rhumb__max_u64(c->slot_count, 1), sizeof *c->order);
    c->map = rhumb__alloc_zeroed(rhumb__max_u64(c->slot_count, 1), sizeof *c->map);
    c->incomplete = rhumb__alloc_zeroed(c->slot_count / 64 + 1, sizeof *c->incomplete);
    if (c->order == NULL || c->map == NULL || c->incomplete == NULL) {
        status = rhumb__fail(RHUMB_E_NOMEM, "no memory for compacting %llu slots", (unsigned long long)c->slot_count);
        goto done;
    }
    RHUMB_TRY(rhumb__order(c->old, c->spec->order, c->order, &c->count));
    memset(c->map, 0xFF, c->slot_count * sizeof *c->map);
    for (uint64_t i = 0; i < c->count; i++) c->map[c->order[i]] = (uint32_t)i;
    c->result->count = c->count;
    c->result->dropped_count = c->slot_count - c->count;
    c->progress = (rhumb__repair_progress){.tell = c->spec->progress,
                                           .context = c->spec->progress_context,
                                           .total_count = rhumb__max_u64(3 * c->count, 1)};
    status = rhumb__batch_boundary(c->graph, RHUMB__LOG_BATCH_BEGIN, 0, &c->batch);
done:
    return status;
}

/* ---- placing ---- */

/* A node that the old file does not have whole cannot be taken over. */
static rhumb_status check_node(const compaction *c, uint32_t slot) {
    if ((rhumb__graph_node(c->old, slot) & RHUMB__NODE_PRESENT) != 0) return RHUMB_OK;
    return rhumb__fail_at(RHUMB_E_CORRUPT, c->old->store->path, RHUMB_OFFSET_NONE,
                          "slot %u has no node; 'rhumb repair' makes a new index of what is intact", slot);
}

static rhumb_status place_all(compaction *c) {
    rhumb_status status = RHUMB_OK;
    uint64_t placed_bytes = 0;
    for (uint64_t i = 0; i < c->count; i++) {
        const uint32_t slot = c->order[i];
        RHUMB_TRY(check_node(c, slot));
        RHUMB_TRY(
            rhumb__graph_place(c->graph, rhumb__graph_key(c->old, slot), rhumb__graph_vector(c->old, slot), false));
        placed_bytes += c->graph->space.row_stride_bytes;
        if (placed_bytes >= CHECKPOINT_BYTES) {
            uint64_t lsn;
            placed_bytes = 0;
            RHUMB_TRY(rhumb__batch_boundary(c->graph, RHUMB__LOG_BATCH_BEGIN, 0, &lsn)); /* something new to publish */
            RHUMB_TRY(rhumb__checkpoint(c->graph));
        }
        RHUMB_TRY(rhumb__repair_progress_tell(&c->progress, i));
    }
done:
    return status == RHUMB_E_EXISTS
               ? rhumb__fail_at(RHUMB_E_CORRUPT, c->old->store->path, RHUMB_OFFSET_NONE, "two live nodes have one key")
               : status;
}

/* ---- lists ---- */

/* Adds a live slot to the candidates of a list unless it is its own, or there. */
static void consider(const compaction *c, rhumb__scratch *scratch, uint32_t own, uint32_t slot,
                     rhumb__candidate *candidates, uint32_t *count) {
    if (slot == own || c->map[slot] == RHUMB__SLOT_NONE || *count == CANDIDATE_COUNT_MAX) return;
    if (rhumb__visited_add(&scratch->visited, slot)) return;
    candidates[(*count)++] = (rhumb__candidate){.slot_mark = slot};
}

static void measure(const compaction *c, rhumb__scratch *scratch, uint32_t own, rhumb__candidate *candidates,
                    uint32_t count) {
    const rhumb__space *space = &c->old->space;
    for (uint32_t begin = 0; begin < count; begin += RHUMB__BATCH_MAX) {
        const uint32_t batch_count = (uint32_t)rhumb__min_u64(count - begin, RHUMB__BATCH_MAX);
        for (uint32_t i = 0; i < batch_count; i++) {
            scratch->rows[i] = rhumb__graph_vector(c->old, candidates[begin + i].slot_mark);
        }
        space->distance_many(space, rhumb__graph_vector(c->old, own), scratch->rows, batch_count, scratch->distances);
        for (uint32_t i = 0; i < batch_count; i++) candidates[begin + i].distance = scratch->distances[i];
    }
    rhumb__sort_candidates(candidates, count);
}

/* The neighbours of a node without the deleted ones, in old numbers. A list that named none keeps its order. */
static uint32_t repair_list(compaction *c, rhumb__scratch *scratch, uint32_t slot, uint32_t *slots) {
    uint32_t behind[RHUMB__M0_MAX];
    rhumb__candidate *candidates = scratch->candidates;
    uint32_t live_count = 0;
    uint32_t candidate_count = 0;
    const uint32_t count = rhumb__graph_neighbours(c->old, slot, c->slot_count, slots);
    for (uint32_t i = 0; i < count; i++) live_count += c->map[slots[i]] != RHUMB__SLOT_NONE ? 1 : 0;
    if (live_count == count) return count;
    atomic_fetch_add_explicit(&c->repaired_count, 1, memory_order_relaxed);
    rhumb__visited_clear(&scratch->visited);
    for (uint32_t i = 0; i < count; i++) consider(c, scratch, slot, slots[i], candidates, &candidate_count);
    for (uint32_t i = 0; i < count; i++) {
        if (c->map[slots[i]] != RHUMB__SLOT_NONE) continue;
        const uint32_t behind_count = rhumb__graph_neighbours(c->old, slots[i], c->slot_count, behind);
        for (uint32_t k = 0; k < behind_count; k++) {
            consider(c, scratch, slot, behind[k], candidates, &candidate_count);
        }
    }
    measure(c, scratch, slot, candidates, candidate_count);
    return rhumb__select(c->old, scratch, candidates, candidate_count, c->old->params.M0, slots);
}

static void write_list(compaction *c, rhumb__scratch *scratch, uint32_t new_slot) {
    uint32_t slots[RHUMB__M0_MAX];
    const uint32_t own = c->order[new_slot];
    const uint32_t count = repair_list(c, scratch, own, slots);
    uint32_t kept_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t slot = c->map[slots[i]];
        if (slot != new_slot && !rhumb__slots_contain(slots, kept_count, slot)) slots[kept_count++] = slot;
    }
    const rhumb__list list = rhumb__graph_list(c->graph, new_slot, 0);
    (void)rhumb__list_exchange(&list, NULL, 0, slots, kept_count); /* it is empty, so this succeeds */
}

static rhumb_status list_worker(void *context, uint32_t worker_index) {
    compaction *c = context;
    rhumb__scratch *scratch = NULL;
    rhumb_status status = rhumb__scratch_take(&c->old_pool, &scratch);
    if (status != RHUMB_OK) return status;
    RHUMB_TRY(rhumb__scratch_prepare_search(scratch, 1));
    RHUMB_TRY(rhumb__scratch_prepare_insert(scratch, CANDIDATE_COUNT_MAX));
    while (!atomic_load_explicit(&c->stopped, memory_order_relaxed)) {
        const uint64_t slot = atomic_fetch_add_explicit(&c->next, 1, memory_order_relaxed);
        if (slot >= c->count) break;
        write_list(c, scratch, (uint32_t)slot);
        if (worker_index == 0) RHUMB_TRY(rhumb__repair_progress_tell(&c->progress, c->count + slot));
    }
done:
    if (status != RHUMB_OK) atomic_store(&c->stopped, true);
    rhumb__scratch_give(scratch);
    return status;
}

/* ---- linking and publishing ---- */

/* Nodes without a list are to be linked in any case; with a second pass, all. */
static void mark_incomplete(compaction *c) {
    for (uint64_t slot = 0; slot < c->count; slot++) {
        const rhumb__list list = rhumb__graph_list(c->graph, (uint32_t)slot, 0);
        const bool empty = rhumb__list_peek(&list, 0) == RHUMB__SLOT_NONE;
        if (empty || c->spec->second_pass) rhumb__bit_set(c->incomplete, slot);
    }
}

static rhumb_status link_all(compaction *c) {
    rhumb_status status;
    const rhumb__relink_spec spec = {
        .pool = &c->pool,
        .incomplete = c->incomplete,
        .thread_count = c->spec->thread_count,
        .progress = &c->progress,
        .progress_begin = 2 * c->count,
    };
    mark_incomplete(c);
    RHUMB_TRY(rhumb__relink(c->graph, &spec));
    status = rhumb__relink_unreachable(c->graph, &spec, &c->result->reconnected_count, &c->result->unreachable_count);
done:
    return status;
}

static rhumb_status publish(compaction *c) {
    rhumb_status status;
    uint64_t lsn = 0;
    RHUMB_TRY(rhumb__repair_progress_tell(&c->progress, c->progress.total_count));
    pthread_mutex_lock(&c->graph->append_lock);
    c->graph->counts.key_next = rhumb__max_u64(c->graph->counts.key_next, c->old->counts.key_next);
    pthread_mutex_unlock(&c->graph->append_lock);
    RHUMB_TRY(rhumb__batch_boundary(c->graph, RHUMB__LOG_BATCH_COMMIT, c->batch, &lsn));
    RHUMB_TRY(rhumb__checkpoint(c->graph));
    RHUMB_TRY(check_name_is_free(c->spec->new_path));
    RHUMB_TRY(rhumb__io_rename(NULL, c->working_path, c->spec->new_path));
    status = rhumb__io_sync_directory(NULL, c->spec->new_path);
done:
    return status;
}

static rhumb_status run(compaction *c) {
    rhumb_status status;
    RHUMB_TRY(begin(c));
    RHUMB_TRY(place_all(c));
    RHUMB_TRY(rhumb__parallel_run(c->spec->thread_count, list_worker, c));
    c->result->repaired_count = atomic_load(&c->repaired_count);
    RHUMB_TRY(link_all(c));
    status = publish(c);
done:
    return status;
}

rhumb_status rhumb__compact(const rhumb__compact_spec *spec, rhumb__compact_result *result) {
    memset(result, 0, sizeof *result);
    compaction c = {.spec = spec, .result = result};
    const rhumb_status status = run(&c);
    if (c.pools_ready) {
        rhumb__scratch_pool_destroy(&c.old_pool);
        rhumb__scratch_pool_destroy(&c.pool);
    }
    if (status == RHUMB_OK) {
        rhumb__graph_close(c.graph);
    } else if (c.graph != NULL) {
        rhumb__graph_abandon(c.graph);
    }
    rhumb__graph_close(c.old);
    rhumb__free(c.working_path);
    rhumb__free(c.order);
    rhumb__free(c.map);
    rhumb__free(c.incomplete);
    return status;
}
