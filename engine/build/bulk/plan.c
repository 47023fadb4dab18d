/* plan.c - see plan.h. Owns what it makes. Takes no lock but those of the reservoirs. */
#include "engine/build/bulk/plan.h"

#include "base/alloc.h"
#include "base/memory_limit.h"
#include "base/status.h"
#include "engine/build/bulk/arrange.h"
#include "engine/build/bulk/partition.h"
#include "engine/build/bulk/select_rows.h"

/* Batches of fewer vectors are inserted one by one. */
#define COUNT_MIN 4096u

/* Of the memory that this process may use, what a plan may take together with the vectors that it is for. */
#define MEMORY_SHARE 0.5

/* The same of upper levels alone, next to a graph of which the kernel can take back all but what is read at the time;
 * and the fewest nodes for which that is worth while. */
#define UPPER_MEMORY_SHARE 0.6
#define UPPER_COUNT_MIN 256u

/* What the plan of one part may take, next to the same; and the smallest part that is worth one. */
#define PART_MEMORY_SHARE 0.5
#define PART_COUNT_MIN 1024u

/* What building in parts takes of memory for each vector of the whole: the parts that it belongs to, then its slot. */
#define SHARDED_BYTES 32u
#define SHARDED_MEMORY_SHARE 0.25

/* To how many leaders a node goes at the first cut of all. In a part it is fewer, since parts overlap. */
#define FANOUT 8u
#define PART_FANOUT 3u

/* What a plan takes for each vector besides rows, codes, candidates and links: hashes, heads, leaders, and the like. */
#define OTHER_BYTES 180u

/* Shares of the whole (run.h). Writing what is planned is the rest. */
#define POINTS_SHARE 0.05
#define ARRANGE_SHARE 0.05
#define FIND_SHARE 0.5
#define CHOOSE_SHARE 0.25

/* How the nodes of a level are linked. Measured on Fashion-MNIST and on 200,000 vectors in clusters. */
typedef struct level_choice {
    uint32_t candidate_count; /* that a node keeps */
    uint32_t nearest_count;   /* that one leaf gives it at most */
    uint32_t chosen_count;    /* links that it chooses itself */
    uint32_t far_count;       /* links that it has from the level above */
    float nearness;           /* see select_rows.h */
} level_choice;

static uint32_t kept_count_of(const rhumb__params *params) {
    return (uint32_t)rhumb__min_u64(4 * (uint64_t)params->M, RHUMB__RESERVOIR_CAPACITY_MAX);
}

/* On level 0 nodes have few candidates and pass over fewer of them than inserts do: that makes up for it. On upper
 * levels, which are small, they have many and choose strictly: there the links must lead from cluster to cluster. */
static level_choice choice_of(const rhumb__params *params, uint32_t level) {
    const uint32_t kept_count = kept_count_of(params);
    const uint32_t chosen_count = (uint32_t)rhumb__min_u64(params->M + params->M / 2, params->M0);
    const uint32_t far_count = params->M / 4;
    if (level == 0) return (level_choice){kept_count, 8, chosen_count, far_count, RHUMB__NEARNESS_OF_FEW};
    return (level_choice){RHUMB__RESERVOIR_CAPACITY_MAX, RHUMB__LEAF_NEAREST_MAX, params->M, far_count, 1.0f};
}

static bool has_plans(const rhumb__params *params) {
    const bool is_metric = params->metric == RHUMB_METRIC_L2 || params->metric == RHUMB_METRIC_L2SQ ||
                           params->metric == RHUMB_METRIC_COSINE;
    const bool is_float = params->element == RHUMB_ELEMENT_F32 || params->element == RHUMB_ELEMENT_F16 ||
                          params->element == RHUMB_ELEMENT_BF16 || params->element == RHUMB_ELEMENT_F64;
    return is_metric && is_float && !params->extend_candidates;
}

static uint64_t bytes_of_vector(const rhumb__params *params, const rhumb__space *space) {
    const level_choice choice = choice_of(params, 0);
    const uint64_t link_bytes =
        sizeof(uint32_t) * (2 * ((uint64_t)choice.chosen_count + choice.far_count) + params->M0);
    return (uint64_t)space->caller_bytes + space->row_stride_bytes + space->dim + OTHER_BYTES + link_bytes +
           sizeof(rhumb__candidate) * choice.candidate_count;
}

static uint64_t count_max_of(double memory_share, uint64_t vector_bytes) {
    const double count = memory_share * (double)rhumb__memory_limit_bytes() / (double)vector_bytes;
    return (uint64_t)(count < RHUMB__SLOT_LIMIT / 2 ? count : RHUMB__SLOT_LIMIT / 2);
}

static uint64_t whole_max(const rhumb__params *params, const rhumb__space *space) {
    return has_plans(params) ? count_max_of(MEMORY_SHARE, bytes_of_vector(params, space)) : 0;
}

uint64_t rhumb__bulk_part_max(const rhumb__params *params, const rhumb__space *space) {
    /* Rows come from a file, and are the only ones. */
    return has_plans(params) ? count_max_of(PART_MEMORY_SHARE, bytes_of_vector(params, space) - space->caller_bytes)
                             : 0;
}

rhumb__bulk_way rhumb__bulk_way_of(const rhumb__params *params, const rhumb__space *space, uint64_t count) {
    if (count <= whole_max(params, space)) return RHUMB__BULK_WHOLE;
    const bool has_parts = rhumb__bulk_part_max(params, space) >= PART_COUNT_MIN &&
                           count <= count_max_of(SHARDED_MEMORY_SHARE, SHARDED_BYTES);
    return has_parts ? RHUMB__BULK_SHARDED : RHUMB__BULK_NONE;
}

bool rhumb__bulk_pays(const rhumb__params *params, const rhumb__space *space, uint64_t count) {
    return count >= COUNT_MIN && count <= whole_max(params, space);
}

uint32_t rhumb__bulk_far_count(const rhumb__params *params) { return choice_of(params, 0).far_count; }

/* What a placed node of level 1 takes besides its candidates. */
static uint64_t bytes_of_upper(const rhumb__params *params, const rhumb__space *space) {
    const level_choice choice = choice_of(params, 1);
    const uint64_t link_bytes = sizeof(uint32_t) * (2 * ((uint64_t)choice.chosen_count + choice.far_count) + params->M);
    return (uint64_t)space->row_stride_bytes + space->dim + OTHER_BYTES + link_bytes;
}

bool rhumb__bulk_upper_pays(const rhumb__params *params, const rhumb__space *space, uint64_t count,
                            uint32_t *candidate_count_out) {
    if (!has_plans(params) || count < UPPER_COUNT_MIN) return false;
    const uint64_t fixed_bytes = bytes_of_upper(params, space);
    const uint64_t bytes = (uint64_t)(UPPER_MEMORY_SHARE * (double)rhumb__memory_limit_bytes()) / count;
    if (bytes <= fixed_bytes) return false;
    const uint64_t room_count = (bytes - fixed_bytes) / sizeof(rhumb__candidate);
    *candidate_count_out = (uint32_t)rhumb__min_u64(room_count, RHUMB__RESERVOIR_CAPACITY_MAX);
    return room_count >= kept_count_of(params);
}

/* The part of a share that a level has: each as much as all above it. */
static double part_of_level(uint32_t level, double share) {
    return level == 0 ? share : share / (double)(UINT64_C(16) << rhumb__min_u64(level, 32));
}

static uint32_t level_of(const rhumb__params *params, const rhumb__bulk_plan *plan, uint32_t item) {
    return plan->item_levels != NULL ? plan->item_levels[item] : rhumb__params_level(params, item);
}

/* The heads that reach a level. */
static rhumb_status gather(const rhumb__params *params, const rhumb__bulk_plan *plan, uint32_t level,
                           rhumb__bulk_level *nodes) {
    const rhumb__bulk_points *points = &plan->points;
    nodes->items = rhumb__alloc_zeroed(points->count, sizeof *nodes->items);
    if (nodes->items == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for level %u", level);
    for (uint32_t item = 0; item < points->count; item++) {
        if (points->heads[item] != item) continue;
        if (level == 0 || level_of(params, plan, item) >= level) nodes->items[nodes->count++] = item;
    }
    return RHUMB_OK;
}

/* Links the nodes of one level. */
static rhumb_status make_level(const rhumb__params *params, const rhumb__tiler *tiler, rhumb__bulk_plan *plan,
                               uint32_t level, rhumb__bulk_run *run) {
    rhumb_status status;
    rhumb__reservoirs reservoirs = {0};
    rhumb__bulk_level *made = &plan->levels[level];
    const rhumb__bulk_nodes nodes = {
        .points = &plan->points, .tiler = tiler, .items = made->items, .count = made->count};
    level_choice choice = choice_of(params, level);
    if (plan->upper_candidate_count > 0) choice.candidate_count = plan->upper_candidate_count;
    made->lists.capacity = level == 0 ? params->M0 : params->M;
    RHUMB_TRY(rhumb__reservoirs_make(made->count, choice.candidate_count, &reservoirs));
    const rhumb__partition_spec finding = {.nodes = &nodes,
                                           .reservoirs = &reservoirs,
                                           .nearest_count = choice.nearest_count,
                                           .fanout = plan->fanout,
                                           .seed = params->seed + level,
                                           .share = part_of_level(level, FIND_SHARE)};
    RHUMB_TRY(rhumb__partition(&finding, run));
    const rhumb__choose_spec choosing = {.nodes = &nodes,
                                         .reservoirs = &reservoirs,
                                         .above = level + 1 < plan->level_count ? made + 1 : NULL,
                                         .chosen_count = choice.chosen_count,
                                         .far_count = choice.far_count,
                                         .keep_pruned = params->keep_pruned,
                                         .nearness = choice.nearness,
                                         .share = part_of_level(level, CHOOSE_SHARE)};
    status = rhumb__choose(&choosing, run, &made->lists);
done:
    rhumb__reservoirs_free(&reservoirs);
    return status;
}

/* Numbers the items so that near ones follow each other. */
static rhumb_status arrange(const rhumb__params *params, const rhumb__tiler *tiler, rhumb__bulk_run *run,
                            rhumb__bulk_plan *plan) {
    rhumb_status status;
    rhumb__bulk_points *points = &plan->points;
    rhumb__bulk_level heads = {0};
    uint32_t *order = rhumb__alloc_zeroed(points->count, sizeof *order);
    if (order == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for an order");
    RHUMB_TRY(gather(params, plan, 0, &heads));
    const rhumb__bulk_nodes nodes = {.points = points, .tiler = tiler, .items = heads.items, .count = heads.count};
    RHUMB_TRY(rhumb__arrange(&nodes, params->seed, ARRANGE_SHARE, run, order));
    for (uint64_t i = 0; i < heads.count; i++) order[i] = heads.items[order[i]];
    status = rhumb__bulk_points_renumber(points, order, heads.count);
done:
    rhumb__free(heads.items);
    rhumb__free(order);
    return status;
}

/* Links the nodes of all levels from the lowest one wanted on, from the highest down. */
static rhumb_status make_levels(const rhumb__params *params, const rhumb__tiler *tiler, uint32_t lowest,
                                rhumb__bulk_plan *plan, rhumb__bulk_run *run) {
    rhumb_status status = RHUMB_OK;
    for (uint32_t level = lowest; level <= params->level_max; level++) {
        rhumb__bulk_level *nodes = &plan->levels[level];
        RHUMB_TRY(gather(params, plan, level, nodes));
        if (nodes->count == 0) break;
        plan->level_count = level + 1;
    }
    for (uint32_t level = plan->level_count; level > lowest; level--) {
        RHUMB_TRY(make_level(params, tiler, plan, level - 1, run));
    }
done:
    return status;
}

rhumb_status rhumb__bulk_plan_make(const rhumb__params *params, const rhumb__bulk_source *source, rhumb__bulk_run *run,
                                   rhumb__bulk_plan *plan) {
    rhumb_status status;
    rhumb__tiler tiler;
    *plan = (rhumb__bulk_plan){.space = *source->space, .fanout = FANOUT};
    rhumb__bulk_source own = *source;
    own.space = &plan->space;
    rhumb__bulk_begin(run, POINTS_SHARE);
    RHUMB_TRY(rhumb__bulk_points_make(&own, run, &plan->points));
    RHUMB_TRY(rhumb__tiler_init(&tiler, &plan->points.coder));
    RHUMB_TRY(arrange(params, &tiler, run, plan));
    status = make_levels(params, &tiler, 0, plan, run);
done:
    return status;
}

/* Takes over the rows of placed nodes. What else the plan is to have is set. */
static rhumb_status take_placed(const rhumb__bulk_placed *placed, rhumb__bulk_run *run, rhumb__tiler *tiler,
                                rhumb__bulk_plan *plan) {
    plan->space = *placed->space;
    rhumb__bulk_placed own = *placed;
    own.space = &plan->space;
    rhumb__bulk_begin(run, POINTS_SHARE);
    const rhumb_status status = rhumb__bulk_points_take(&own, run, &plan->points);
    return status == RHUMB_OK ? rhumb__tiler_init(tiler, &plan->points.coder) : status;
}

rhumb_status rhumb__bulk_plan_make_upper(const rhumb__params *params, const rhumb__bulk_upper *upper,
                                         rhumb__bulk_run *run, rhumb__bulk_plan *plan) {
    rhumb__tiler tiler;
    *plan = (rhumb__bulk_plan){
        .item_levels = upper->levels, .fanout = FANOUT, .upper_candidate_count = upper->candidate_count};
    const rhumb_status status = take_placed(&upper->placed, run, &tiler, plan);
    return status == RHUMB_OK ? make_levels(params, &tiler, 1, plan, run) : status;
}

rhumb_status rhumb__bulk_plan_arrange(const rhumb__params *params, const rhumb__bulk_placed *part, rhumb__bulk_run *run,
                                      rhumb__bulk_plan *plan) {
    rhumb__tiler tiler;
    *plan = (rhumb__bulk_plan){0};
    const rhumb_status status = take_placed(part, run, &tiler, plan);
    return status == RHUMB_OK ? arrange(params, &tiler, run, plan) : status;
}

rhumb_status rhumb__bulk_plan_make_part(const rhumb__params *params, const rhumb__bulk_placed *part,
                                        rhumb__bulk_run *run, rhumb__bulk_plan *plan) {
    rhumb_status status;
    rhumb__tiler tiler;
    *plan = (rhumb__bulk_plan){.fanout = PART_FANOUT};
    RHUMB_TRY(take_placed(part, run, &tiler, plan));
    RHUMB_TRY(gather(params, plan, 0, &plan->levels[0]));
    plan->level_count = 1;
    status = make_level(params, &tiler, plan, 0, run);
done:
    return status;
}

void rhumb__bulk_plan_free(rhumb__bulk_plan *plan) {
    for (uint32_t level = 0; level < RHUMB__LEVEL_COUNT; level++) {
        rhumb__free(plan->levels[level].items);
        rhumb__free(plan->levels[level].lists.slots);
    }
    rhumb__bulk_points_free(&plan->points);
    *plan = (rhumb__bulk_plan){0};
}
