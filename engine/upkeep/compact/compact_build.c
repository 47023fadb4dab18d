/* compact_build.c - the compacted graph, see compact.h.
 *
 *   1. order     the live slots (with a filter, those whose keys match; the rest count as deleted), which gives the map
 *                from old slots to new ones. A head that is deleted and has live copies counts as alive: one of these
 *                stands in for it (groups.h)
 *   2. place     their vectors in that order, a run at a time; each run is written ahead, which releases its memory.
 *                Copies come after all heads, and are hung on them
 *   3. lists     of level 0, with the new slots: live neighbours stay; where deleted ones were, the usual selection
 *                among the neighbours' neighbours fills the gaps, then the nearest of these
 *   4. link      ties between these; the upper levels from scratch, because a node's level follows from its slot; nodes
 *                that no path leads to; with a second pass, every node
 *
 * Owns its arrays and scratch pools for the length of one call. It fails without having changed the old graph; the
 * caller drops the new one.
 *
 * Locks: none. No thread changes the old graph and no other thread knows the new one. Threads work in steps 3 and 4; in
 * step 3 they read the old graph and each writes different lists of the new one.
 */
#include "engine/upkeep/compact/compact.h"

#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/clock.h"
#include "base/parallel.h"
#include "base/status.h"
#include "engine/build/place.h"
#include "engine/build/weave.h"
#include "engine/graph/neighbour_list.h"
#include "engine/graph/tombstones.h"
#include "engine/search/walk/scratch.h"
#include "engine/upkeep/compact/groups.h"
#include "engine/upkeep/mend_neighbours.h"
#include "engine/upkeep/rebuild.h"
#include "engine/upkeep/relink.h"
#include "engine/upkeep/source_rows.h"
#include "engine/upkeep/spill.h"
#include "storage/store_stats.h"

/* Vectors of one run: placed, then written. */
#define RUN_BYTES (UINT64_C(16) << 20)

/* Of a list that a filter has thinned out: the node is linked again if more than one in so many entries is gone. */
#define KEPT_SHARE 4u

/* Lists that are asked for together, where memory cannot hold them, before they are read. */
#define LISTS_ASKED 64u
static_assert(LISTS_ASKED <= RHUMB__M0_MAX, "they are asked for as those of the neighbours of a node are");

typedef struct compaction {
    const rhumb__compact_work *work;
    rhumb__compact_result *result;
    rhumb__graph *old;
    rhumb__graph *graph;
    rhumb__scratch_pool old_pool;
    rhumb__scratch_pool pool;
    rhumb__progress progress;
    uint64_t slot_count;        /* old */
    rhumb__order_counts counts; /* new; the heads have the first slots */
    uint32_t *order;            /* by new slot: the old one */
    uint32_t *map;              /* by old slot of a head: the new one of its group's, or RHUMB__SLOT_NONE */
    uint64_t *incomplete;       /* one bit per new slot: to be linked */
    uint64_t *left_out;         /* with a filter, one bit per old slot: deleted, or its key does not match */
    rhumb__source_rows rows;    /* of the old graph */
    rhumb__spill spill;         /* of the new graph */
    uint64_t placing_begin_ns;
    uint64_t written_bytes;
    _Atomic uint64_t next;
    _Atomic uint64_t repaired_count;
    _Atomic bool stopped;
} compaction;

/* ---- order ---- */

/* Slots between two looks at whether to stop. */
#define SLOTS_PER_CHECK 256u

/* Asks the filter about each live node. Returns how many match in *kept_count_out. */
static rhumb_status apply_filter(compaction *c, uint64_t *kept_count_out) {
    rhumb_status status = RHUMB_OK;
    c->left_out = rhumb__alloc_zeroed(c->slot_count / 64 + 1, sizeof *c->left_out);
    if (c->left_out == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for a filter of keys");
    for (uint64_t i = 0; i < c->slot_count; i++) {
        const uint32_t slot = (uint32_t)i;
        const bool dead = rhumb__graph_is_dead(c->old, slot);
        if (!dead && rhumb__filter_matches(c->work->filter, rhumb__graph_key(c->old, slot))) {
            (*kept_count_out)++;
        } else {
            rhumb__bit_set(c->left_out, i);
            if (!dead) c->result->left_out_count++;
        }
        if (i % SLOTS_PER_CHECK == 0) RHUMB_TRY(rhumb__progress_advance(&c->progress, 0));
    }
done:
    return status;
}

static rhumb_status compact_order(compaction *c) {
    rhumb_status status;
    c->slot_count = c->old->counts.slot_count;
    c->result->epoch = rhumb__store_stats_get(c->old->store).epoch;
    c->order = rhumb__alloc_zeroed(rhumb__max_u64(c->slot_count, 1), sizeof *c->order);
    c->map = rhumb__alloc_zeroed(rhumb__max_u64(c->slot_count, 1), sizeof *c->map);
    c->incomplete = rhumb__alloc_zeroed(c->slot_count / 64 + 1, sizeof *c->incomplete);
    if (c->order == NULL || c->map == NULL || c->incomplete == NULL) {
        status = rhumb__fail(RHUMB_E_NOMEM, "no memory for compacting %llu slots", (unsigned long long)c->slot_count);
        goto done;
    }
    RHUMB_TRY(rhumb__source_rows_begin(c->old, &c->rows));
    c->progress = (rhumb__progress){.report = c->work->report, .context = c->work->report_context};
    uint64_t kept_count = 0;
    c->progress.total_count = rhumb__max_u64(3 * rhumb__graph_live_count(c->old), 1);
    if (c->work->filter != NULL) {
        RHUMB_TRY(apply_filter(c, &kept_count));
        c->progress.total_count = rhumb__max_u64(3 * kept_count, 1);
    }
    const rhumb__order_work order_work = {
        .thread_count = c->work->thread_count, .progress = &c->progress, .left_out = c->left_out};
    /* Sample searches would read every vector many times from the disk; walking breadth first reads lists alone. */
    const bool samples = c->work->order == RHUMB__ORDER_BISECTION;
    const rhumb__order_kind kind = samples && c->rows.reads_file ? RHUMB__ORDER_BREADTH : c->work->order;
    RHUMB_TRY(rhumb__order(c->old, kind, &order_work, c->order, &c->counts));
    memset(c->map, 0xFF, c->slot_count * sizeof *c->map);
    for (uint64_t i = 0; i < c->counts.head_count; i++) c->map[rhumb__group_of(c->old, c->order[i])] = (uint32_t)i;
    c->result->count = c->counts.count;
    c->result->dropped_count = c->slot_count - c->counts.count - c->result->left_out_count;
done:
    return status;
}

/* ---- placing ---- */

/* Waits until the rate allows what has been written since placing began; ordering, which comes before, writes nothing.
 * Waits in short steps, so that a cancel is noticed. */
static rhumb_status keep_to_rate(compaction *c, uint64_t placed_count) {
    const uint64_t bytes_per_second = c->work->bytes_per_second;
    if (bytes_per_second == 0) return RHUMB_OK;
    const uint64_t due_ns = (uint64_t)((double)c->written_bytes / (double)bytes_per_second * 1e9);
    rhumb_status status = RHUMB_OK;
    while (status == RHUMB_OK && rhumb__clock_now_ns() - c->placing_begin_ns < due_ns) {
        const uint64_t left_ns = due_ns - rhumb__min_u64(due_ns, rhumb__clock_now_ns() - c->placing_begin_ns);
        nanosleep(&(struct timespec){.tv_nsec = (long)rhumb__min_u64(left_ns, 50000000u)}, NULL);
        status = rhumb__progress_report(&c->progress, placed_count);
    }
    return status;
}

static rhumb_status write_ahead(compaction *c, uint64_t placed_count, bool whole_pieces) {
    const rhumb_status status = rhumb__rebuild_write_ahead(c->graph, whole_pieces, &c->written_bytes);
    return status == RHUMB_OK ? keep_to_rate(c, placed_count) : status;
}

/* From the last to the first, because each is put in front: chains lead upwards. */
static void hang_copies(compaction *c) {
    for (uint64_t i = c->counts.count; i > c->counts.head_count; i--) {
        const uint32_t slot = (uint32_t)i - 1;
        rhumb__tie_hang(c->graph, slot, c->map[rhumb__group_of(c->old, c->order[slot])]);
    }
}

static rhumb_status place_all(compaction *c) {
    rhumb_status status = RHUMB_OK;
    c->placing_begin_ns = rhumb__clock_now_ns();
    const uint64_t run_count = rhumb__max_u64(RUN_BYTES / c->graph->space.row_stride_bytes, 1);
    for (uint64_t i = 0; i < c->counts.count; i++) {
        const uint32_t slot = c->order[i];
        const void *row = NULL;
        if (i % RHUMB__SOURCE_ROWS_ASKED == 0) {
            const uint64_t left_count = c->counts.count - i;
            const uint64_t asked_count = rhumb__min_u64(left_count, RHUMB__SOURCE_ROWS_ASKED);
            rhumb__source_rows_ask(&c->rows, c->order + i, (uint32_t)asked_count);
        }
        RHUMB_TRY(rhumb__source_rows_read(&c->rows, slot, &row));
        RHUMB_TRY(rhumb__graph_place(c->graph, rhumb__graph_key(c->old, slot), row, false));
        RHUMB_ASSERT_DEBUG(c->graph->counts.slot_count == i + 1);
        if ((i + 1) % run_count == 0) RHUMB_TRY(write_ahead(c, i + 1, true));
        RHUMB_TRY(rhumb__progress_report(&c->progress, i));
    }
    if (c->counts.count > 0) RHUMB_TRY(write_ahead(c, c->counts.count, false));
    hang_copies(c);
done:
    return status == RHUMB_E_EXISTS
               ? rhumb__fail_at(RHUMB_E_CORRUPT, c->old->store->path, RHUMB_OFFSET_NONE, "two live nodes have one key")
               : status;
}

/* ---- lists ---- */

/* The old graph, and what of it stays. */
static rhumb__mend_source source_of(const compaction *c) {
    return (rhumb__mend_source){.graph = c->old, .slot_count = c->slot_count, .map = c->map};
}

/* The neighbours of a node without the deleted ones, as old slots. A list without deleted ones keeps its order. */
static uint32_t repair_list(compaction *c, rhumb__scratch *scratch, uint32_t slot, uint32_t *slots) {
    uint32_t live_count = 0;
    const uint32_t count = rhumb__graph_neighbours(c->old, slot, c->slot_count, slots);
    for (uint32_t i = 0; i < count; i++) live_count += c->map[slots[i]] != RHUMB__SLOT_NONE ? 1 : 0;
    if (live_count == count) return count;
    atomic_fetch_add_explicit(&c->repaired_count, 1, memory_order_relaxed);
    const rhumb__mend_source source = source_of(c);
    const rhumb__mend_torn torn = {.slot = slot, .slots = slots, .count = count, .before_count = count};
    return rhumb__mend_from_neighbours(&source, scratch, &torn, slots);
}

static void write_list(compaction *c, rhumb__scratch *scratch, uint32_t new_slot) {
    uint32_t slots[RHUMB__M0_MAX];
    RHUMB_ASSERT_DEBUG(new_slot < c->counts.head_count);
    const uint32_t own = rhumb__group_of(c->old, c->order[new_slot]);
    const uint32_t count = repair_list(c, scratch, own, slots);
    uint32_t kept_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t slot = c->map[slots[i]];
        if (slot != new_slot && !rhumb__slots_contain(slots, kept_count, slot)) slots[kept_count++] = slot;
    }
    const rhumb__list list = rhumb__graph_list(c->graph, new_slot, 0);
    (void)rhumb__list_exchange(&list, NULL, 0, slots, kept_count); /* the list is empty, so this succeeds */
}

/* Asks for the lists that come after those in hand. */
static void ask_ahead(const compaction *c, uint64_t new_slot) {
    uint32_t slots[LISTS_ASKED];
    uint32_t count = 0;
    for (; count < LISTS_ASKED && new_slot + count < c->counts.head_count; count++) {
        slots[count] = rhumb__group_of(c->old, c->order[new_slot + count]);
    }
    const rhumb__mend_source source = source_of(c);
    rhumb__mend_ask(&source, slots, count);
}

static rhumb_status list_worker(void *context, uint32_t worker_index) {
    compaction *c = context;
    rhumb__scratch *scratch = NULL;
    rhumb_status status = rhumb__scratch_take(&c->old_pool, &scratch);
    if (status != RHUMB_OK) return status;
    RHUMB_TRY(rhumb__mend_prepare(scratch));
    while (!atomic_load_explicit(&c->stopped, memory_order_relaxed)) {
        const uint64_t slot = atomic_fetch_add_explicit(&c->next, 1, memory_order_relaxed);
        if (slot >= c->counts.head_count) break;
        if (c->rows.reads_file && slot % LISTS_ASKED == 0) ask_ahead(c, slot + LISTS_ASKED);
        write_list(c, scratch, (uint32_t)slot);
        if (worker_index == 0) RHUMB_TRY(rhumb__progress_report(&c->progress, c->counts.count + slot));
    }
done:
    if (status != RHUMB_OK) atomic_store(&c->stopped, true);
    rhumb__scratch_give(scratch);
    return status;
}

/* ---- linking ---- */

/* Whether a filter has taken so much of a node's old list that the neighbours of its neighbours cannot make up for it.
 */
static bool has_lost_most(const compaction *c, uint64_t new_slot) {
    uint32_t slots[RHUMB__M0_MAX];
    uint32_t kept_count = 0;
    if (c->work->filter == NULL) return false;
    const uint32_t own = rhumb__group_of(c->old, c->order[new_slot]);
    const uint32_t count = rhumb__graph_neighbours(c->old, own, c->slot_count, slots);
    for (uint32_t i = 0; i < count; i++) kept_count += c->map[slots[i]] != RHUMB__SLOT_NONE ? 1 : 0;
    return kept_count < count - count / KEPT_SHARE;
}

/* Marks the heads without a list, and those that lost much of it to a filter, to be linked; with a second pass, all
 * heads. */
static void mark_incomplete(compaction *c) {
    for (uint64_t slot = 0; slot < c->counts.head_count; slot++) {
        const rhumb__list list = rhumb__graph_list(c->graph, (uint32_t)slot, 0);
        const bool empty = rhumb__list_peek(&list, 0) == RHUMB__SLOT_NONE;
        if (empty || c->work->second_pass || has_lost_most(c, slot)) rhumb__bit_set(c->incomplete, slot);
    }
}

static rhumb_status link_all(compaction *c) {
    const rhumb__relink_spec spec = {
        .pool = &c->pool,
        .incomplete = c->incomplete,
        .thread_count = c->work->thread_count,
        .progress = &c->progress,
        .progress_begin = 2 * c->counts.count,
    };
    rhumb__relink_result relinked;
    mark_incomplete(c);
    const rhumb_status status = rhumb__relink(c->graph, &spec, &relinked);
    c->result->reconnected_count = relinked.without_path_count;
    c->result->unreachable_count = relinked.unreachable_count;
    return status;
}

/* Makes the fused rows, and writes them ahead, some at a time. */
static rhumb_status weave_all(compaction *c) {
    rhumb_status status = RHUMB_OK;
    rhumb__graph *graph = c->graph;
    if (graph->params.lane_bits == 0) return RHUMB_OK;
    const uint64_t run_count = rhumb__max_u64(RUN_BYTES / graph->fused.row_bytes, 1);
    for (uint64_t begin = 0; begin < c->counts.count; begin += run_count) {
        const uint64_t end = rhumb__min_u64(begin + run_count, c->counts.count);
        RHUMB_TRY(rhumb__weave(graph, end, c->work->thread_count));
        RHUMB_TRY(write_ahead(c, c->counts.count, end < c->counts.count));
    }
done:
    return status;
}

static rhumb_status compact_run(compaction *c) {
    rhumb_status status;
    RHUMB_TRY(compact_order(c));
    rhumb__spill_begin(c->graph, c->counts.count, &c->spill);
    RHUMB_TRY(place_all(c));
    RHUMB_TRY(rhumb__parallel_run(c->work->thread_count, list_worker, c));
    c->result->repaired_count = atomic_load(&c->repaired_count);
    RHUMB_TRY(link_all(c));
    RHUMB_TRY(weave_all(c));
    RHUMB_TRY(rhumb__io_check_mappings(c->old->store->io));
    rhumb__mutex_lock(&c->graph->append_lock);
    c->graph->counts.key_next = rhumb__max_u64(c->graph->counts.key_next, c->old->counts.key_next);
    rhumb__mutex_unlock(&c->graph->append_lock);
    status = rhumb__progress_report(&c->progress, c->progress.total_count);
done:
    return status;
}

rhumb_status rhumb__compact_build(const rhumb__compact_work *work, rhumb__compact_result *result) {
    memset(result, 0, sizeof *result);
    compaction c = {.work = work, .result = result, .old = work->old, .graph = work->graph};
    rhumb__scratch_pool_init(&c.old_pool, c.old);
    rhumb__scratch_pool_init(&c.pool, c.graph);
    const rhumb_status status = compact_run(&c);
    rhumb__scratch_pool_destroy(&c.old_pool);
    rhumb__scratch_pool_destroy(&c.pool);
    rhumb__spill_end(&c.spill);
    rhumb__free(c.order);
    rhumb__free(c.map);
    rhumb__free(c.incomplete);
    rhumb__free(c.left_out);
    rhumb__source_rows_end(&c.rows);
    return status;
}
