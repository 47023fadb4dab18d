/* build_in_shards.c - see build_in_shards.h.
 *
 *   1. divide    the vectors, which are read once: each has a home shard, and may be a guest of another (division.h)
 *   2. fill      a scratch file with them, shard by shard; they are read a second time (shard_file.h)
 *   3. place     the homes of one shard after another, near ones together; each run is written ahead
 *   4. upper     levels are planned at once, by their own nodes (upper_levels.h)
 *   5. lists     of level 0: a plan for each shard, whose lists are offered to its members (shard_offer.c); then every
 *                node chooses among its offers (shard_choose.c)
 *   6. tie       what these lists lead to, and link what they do not (relink.h)
 *   7. publish   all of it, as one version
 *
 * Memory: the plan of one shard, which division.h bounds; a few bytes for each vector. Lists and key table grow into
 * scratch files (spill.h), vectors are in the new file once they are placed.
 *
 * Owns the new graph until it is closed or abandoned, and the scratch file. A failure removes the new file. Locks:
 * none, because no other thread knows the graph.
 */
#include "engine/upkeep/shards/build_in_shards.h"

#include "base/alloc.h"
#include "base/bits.h"
#include "base/memory_limit.h"
#include "base/status.h"
#include "engine/build/upper_levels.h"
#include "engine/durability/checkpoint.h"
#include "engine/durability/lifetime.h"
#include "engine/graph/ties.h"
#include "engine/upkeep/rebuild.h"
#include "engine/upkeep/relink.h"
#include "engine/upkeep/shards/shard_steps.h"
#include "engine/upkeep/spill.h"

/* Steps of the progress for each vector: finding its shards, writing it to them, placing it, offers, choosing, tying.
 * */
#define STEPS_PER_VECTOR 12u
#define OFFER_STEPS 6u

/* Of memory, what buffers of the shards may take. */
#define BUFFER_SHARE 32u

typedef struct building {
    const rhumb__shard_build *build;
    rhumb__graph *graph;
    rhumb__spill spill;
    rhumb__scratch_pool pool;
    rhumb__progress progress;
    rhumb__division division;
    rhumb__shard_file file;
    rhumb__offer_file offers;
    rhumb__shard_steps steps;
    uint64_t *incomplete; /* one bit per slot: to be linked */
    bool has_upper_plan;
} building;

static rhumb_status begin(building *b, const rhumb__params *params) {
    rhumb_status status;
    const rhumb__graph_options options = {.durability = RHUMB_DURABILITY_NONE};
    const rhumb__graph_creation creation = {
        .path = b->build->new_path, .working_suffix = "-sharding", .creator_version = b->build->creator_version};
    const uint64_t count = b->build->source->count;
    b->progress.total_count = STEPS_PER_VECTOR * count;
    RHUMB_TRY(rhumb__graph_begin(&creation, params, &options, &b->graph));
    rhumb__scratch_pool_init(&b->pool, b->graph);
    rhumb__spill_begin(b->graph, count, &b->spill);
    const rhumb__division_spec division = {.params = &b->graph->params,
                                           .space = &b->graph->space,
                                           .source = b->build->source,
                                           .member_max = rhumb__bulk_part_max(params, &b->graph->space),
                                           .thread_count = b->build->thread_count,
                                           .progress = &b->progress};
    status = rhumb__divide(&division, &b->division);
done:
    return status;
}

static rhumb_status fill_file(building *b) {
    const rhumb__shard_fill fill = {.source = b->build->source,
                                    .path = b->graph->store->path,
                                    .memory_bytes = rhumb__memory_limit_bytes() / BUFFER_SHARE,
                                    .progress = &b->progress};
    b->file.space = &b->graph->space;
    b->file.division = &b->division;
    const rhumb_status status = rhumb__shard_file_fill(&b->file, &fill);
    rhumb__division_forget_rows(&b->division);
    return status;
}

static rhumb_status prepare_steps(building *b) {
    const uint64_t count = b->division.count;
    b->steps = (rhumb__shard_steps){
        .graph = b->graph,
        .file = &b->file,
        .offers = &b->offers,
        .slots = rhumb__alloc_zeroed(count, sizeof *b->steps.slots),
        .first_slots = rhumb__alloc_zeroed((uint64_t)b->division.shard_count + 1, sizeof *b->steps.first_slots),
        .thread_count = b->build->thread_count,
        .progress = &b->progress};
    b->incomplete = rhumb__alloc_zeroed(count / 64 + 1, sizeof *b->incomplete);
    if (b->steps.slots == NULL || b->steps.first_slots == NULL || b->incomplete == NULL)
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for the slots of %llu vectors", (unsigned long long)count);
    return rhumb__offer_file_open(&b->offers, b->graph->store->path, &b->division, b->graph->params.M0);
}

/* Does one thing with each shard. */
static rhumb_status run_step(building *b, rhumb_status (*step)(rhumb__shard_steps *steps, uint32_t shard),
                             uint64_t steps_per_vector) {
    rhumb_status status = RHUMB_OK;
    for (uint32_t i = 0; i < b->division.shard_count; i++) {
        RHUMB_TRY(step(&b->steps, i));
        RHUMB_TRY(rhumb__progress_advance(&b->progress, steps_per_vector * b->division.shards[i].home_count));
    }
done:
    return status;
}

/* Links the upper levels, and notes whether there was a plan for them. */
static rhumb_status link_upper(building *b) {
    uint64_t upper_count = 0;
    uint64_t left_count = 0;
    rhumb__graph *graph = b->graph;
    const rhumb_status status = rhumb__upper_levels_link(graph, b->build->thread_count, &b->progress, b->incomplete);
    for (uint64_t i = 0; i < b->division.count; i++) {
        const uint32_t slot = (uint32_t)i;
        if (rhumb__node_level(rhumb__graph_node(graph, slot)) == 0 || rhumb__graph_is_copy(graph, slot)) continue;
        upper_count++;
        left_count += rhumb__bit_get(b->incomplete, i) ? 1 : 0;
    }
    b->has_upper_plan = upper_count == 0 || left_count < upper_count;
    return status;
}

/* On one thread where few nodes are to be linked, so that the result does not depend on the number of threads. */
static rhumb_status tie(building *b) {
    const rhumb__relink_spec spec = {.pool = &b->pool,
                                     .incomplete = b->incomplete,
                                     .upper_linked = true,
                                     .thread_count = b->has_upper_plan ? 1 : b->build->thread_count,
                                     .progress = &b->progress,
                                     .progress_begin = b->progress.done_count};
    rhumb__relink_result relinked;
    rhumb__relink_mark_empty(b->graph, b->incomplete);
    return rhumb__relink(b->graph, &spec, &relinked);
}

/* Gives the disk its room back: the new file may need it. */
static void release_files(building *b) {
    rhumb__shard_file_close(&b->file);
    rhumb__offer_file_close(&b->offers);
}

static rhumb_status build_run(building *b, const rhumb__params *params) {
    rhumb_status status;
    RHUMB_TRY(begin(b, params));
    RHUMB_TRY(fill_file(b));
    RHUMB_TRY(prepare_steps(b));
    RHUMB_TRY(run_step(b, rhumb__shard_place, 1));
    RHUMB_TRY(rhumb__rebuild_write_ahead(b->graph, false, &b->steps.written_bytes));
    RHUMB_TRY(link_upper(b));
    RHUMB_TRY(run_step(b, rhumb__shard_offer, OFFER_STEPS));
    RHUMB_TRY(run_step(b, rhumb__shard_choose, 1));
    release_files(b);
    RHUMB_TRY(tie(b));
    RHUMB_TRY(rhumb__rebuild_weave(b->graph, b->build->thread_count, &b->steps.written_bytes));
    RHUMB_TRY(rhumb__progress_report(&b->progress, b->progress.total_count));
    status = rhumb__checkpoint_forced(b->graph->writer, false);
done:
    return status;
}

rhumb_status rhumb__build_in_shards(const rhumb__shard_build *build, const rhumb__params *params) {
    building b = {.build = build, .progress = {.report = build->report, .context = build->report_context}};
    const rhumb_status status = build_run(&b, params);
    release_files(&b);
    rhumb__division_free(&b.division);
    rhumb__spill_end(&b.spill);
    if (b.graph != NULL) rhumb__scratch_pool_destroy(&b.pool);
    if (status == RHUMB_OK) {
        rhumb__graph_close(b.graph);
    } else {
        rhumb__graph_abandon(b.graph);
    }
    rhumb__free(b.steps.slots);
    rhumb__free(b.steps.first_slots);
    rhumb__free(b.incomplete);
    return status;
}
