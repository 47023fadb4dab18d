/* shard_place.c - the first of the shard_steps.h. Owns what it reads of a shard. Locks: those of placing. */
#include "base/alloc.h"
#include "base/bits.h"
#include "base/status.h"
#include "engine/build/place.h"
#include "engine/upkeep/rebuild.h"
#include "engine/upkeep/shards/shard_steps.h"

/* Vectors of one run: placed, then written. */
#define RUN_BYTES (UINT64_C(8) << 20)

static bool goes_on(void *context, uint64_t done_count, uint64_t total_count) {
    (void)done_count;
    (void)total_count;
    return rhumb__progress_advance(context, 0) == RHUMB_OK;
}

rhumb__bulk_run rhumb__shard_run(const rhumb__shard_steps *steps) {
    return (rhumb__bulk_run){.thread_count = steps->thread_count,
                             .progress = {.report = goes_on, .context = steps->progress, .total_count = UINT32_MAX}};
}

static rhumb_status place_all(rhumb__shard_steps *steps, const rhumb__bulk_points *points,
                              const rhumb__shard_member *members) {
    rhumb_status status = RHUMB_OK;
    rhumb__graph *graph = steps->graph;
    const uint64_t run_count = rhumb__max_u64(RUN_BYTES / points->row_stride_bytes, 1);
    for (uint64_t item = 0; item < points->count; item++) {
        const rhumb__shard_member member = members[points->sources[item]];
        steps->slots[member.row] = (uint32_t)graph->counts.slot_count;
        RHUMB_TRY(rhumb__graph_place(graph, member.key, rhumb__bulk_row(points, (uint32_t)item), false));
        if (++steps->unwritten_count < run_count) continue;
        steps->unwritten_count = 0;
        RHUMB_TRY(rhumb__rebuild_write_ahead(graph, true, &steps->written_bytes));
        RHUMB_TRY(rhumb__progress_advance(steps->progress, 0));
    }
done:
    return status;
}

rhumb_status rhumb__shard_place(rhumb__shard_steps *steps, uint32_t shard) {
    rhumb_status status;
    rhumb__bulk_plan plan = {0};
    rhumb__bulk_run run = rhumb__shard_run(steps);
    const rhumb__space *space = &steps->graph->space;
    const rhumb__shard *counts = &steps->file->division->shards[shard];
    const uint64_t count = counts->home_count;
    const uint32_t first_slot = (uint32_t)steps->graph->counts.slot_count;
    steps->first_slots[shard] = first_slot;
    steps->first_slots[shard + 1] = first_slot + (uint32_t)count;
    if (count == 0) return RHUMB_OK;
    rhumb__shard_member *members = rhumb__alloc_zeroed(count + counts->guest_count, sizeof *members);
    uint8_t *rows = rhumb__alloc_aligned(count, space->row_stride_bytes, 64);
    if (members == NULL || rows == NULL) {
        status = rhumb__fail(RHUMB_E_NOMEM, "no memory for a shard of %llu vectors", (unsigned long long)count);
        goto done;
    }
    RHUMB_TRY(rhumb__shard_file_members(steps->file, shard, members));
    RHUMB_TRY(rhumb__shard_file_rows(steps->file, shard, count, NULL, rows));
    const rhumb__bulk_placed part = {.space = space, .rows = rows, .count = count, .salt = steps->graph->params.seed};
    rows = NULL; /* the plan's */
    RHUMB_TRY(rhumb__bulk_plan_arrange(&steps->graph->params, &part, &run, &plan));
    RHUMB_TRY(place_all(steps, &plan.points, members));
    rhumb__bulk_points_hang(&plan.points, steps->graph, first_slot);
done:
    rhumb__bulk_plan_free(&plan);
    rhumb__free(members);
    rhumb__free(rows);
    return status;
}
