/* plan.h - the whole graph of a batch, made before any of it is in the index: who is linked to whom on which level.
 *
 * Vectors get numbers by which near ones follow each other (arrange.h), and these are their slots. Candidates come from
 * all pairs of small overlapping sets (partition.h), lists from the heuristic that inserts use (choose.h). Upper
 * levels are made likewise, of the items that reach them, before the level below. The plan is a function of vectors,
 * parameters and seed, not of the number of threads.
 *
 * MEMORY, for each vector: its code; 8 bytes for each of up to 4 M candidates; 8 M bytes of links while they are turned
 * round; a list of M0 slots, which stays; about 100 bytes more. And its row, if that has other bytes than the caller's
 * vector (cosine). With M 16 and 96 dimensions that is about 1.1 KB. Of a batch for which half of the memory that this
 * process may use would not suffice there is no such plan. Parts of it can have plans of their own, whose lists are put
 * together (engine/upkeep/shards).
 */
#ifndef RHUMB_ENGINE_BUILD_BULK_PLAN_H
#define RHUMB_ENGINE_BUILD_BULK_PLAN_H

#include "engine/build/bulk/choose.h"
#include "engine/graph/params.h"

typedef struct rhumb__bulk_plan {
    rhumb__space space;
    rhumb__bulk_points points;
    const uint8_t *item_levels;     /* of placed nodes, by item; NULL: each has the level of the slot of its number */
    uint32_t fanout;                /* of the first cut, see partition.h */
    uint32_t upper_candidate_count; /* of a node of an upper level; 0: as many as is usual */
    uint32_t level_count;           /* with nodes */
    rhumb__bulk_level levels[RHUMB__LEVEL_COUNT];
} rhumb__bulk_plan;

/* How a new index is built. */
typedef enum rhumb__bulk_way {
    RHUMB__BULK_NONE,   /* vector by vector: metric, element type or memory allow nothing else */
    RHUMB__BULK_WHOLE,  /* by one plan, which takes, with the vectors, at most half of memory */
    RHUMB__BULK_SHARDED /* by a plan for each of many parts, which are on the disk (engine/upkeep/shards) */
} rhumb__bulk_way;

rhumb__bulk_way rhumb__bulk_way_of(const rhumb__params *params, const rhumb__space *space, uint64_t count);

/* The most vectors that a part may have whose plan is made alone. */
uint64_t rhumb__bulk_part_max(const rhumb__params *params, const rhumb__space *space);

/* Whether a batch of so many vectors is worth a plan, and can have one. */
bool rhumb__bulk_pays(const rhumb__params *params, const rhumb__space *space, uint64_t count);

/* Makes a plan for items whose slots are going to be their numbers. To be freed also after a failure. RHUMB_E_NOMEM,
 * RHUMB_E_CANCELLED, and what rhumb__space_prepare returns for a vector that is not one. */
rhumb_status rhumb__bulk_plan_make(const rhumb__params *params, const rhumb__bulk_source *source, rhumb__bulk_run *run,
                                   rhumb__bulk_plan *plan) RHUMB_NODISCARD;

/* Whether upper levels with so many nodes that are placed already are worth a plan, and can have one: then
 * *candidate_count_out, of each node on level 1, is what memory suffices for. */
bool rhumb__bulk_upper_pays(const rhumb__params *params, const rhumb__space *space, uint64_t count,
                            uint32_t *candidate_count_out);

/* Nodes that are placed already, each on level 1 at least. */
typedef struct rhumb__bulk_upper {
    rhumb__bulk_placed placed;
    const uint8_t *levels; /* by number, which is that of its item; as long as the plan */
    uint32_t candidate_count;
} rhumb__bulk_upper;

/* Makes a plan of the upper levels alone. Of equal vectors one is on them. The rows are the plan's, also after a
 * failure. To be freed also then. RHUMB_E_NOMEM, RHUMB_E_CANCELLED. */
rhumb_status rhumb__bulk_plan_make_upper(const rhumb__params *params, const rhumb__bulk_upper *upper,
                                         rhumb__bulk_run *run, rhumb__bulk_plan *plan) RHUMB_NODISCARD;

/* Numbers the vectors of a part so that near ones follow each other, copies after all heads, and makes no lists. The
 * rows are the plan's, also after a failure. To be freed also then. RHUMB_E_NOMEM, RHUMB_E_CANCELLED. */
rhumb_status rhumb__bulk_plan_arrange(const rhumb__params *params, const rhumb__bulk_placed *part, rhumb__bulk_run *run,
                                      rhumb__bulk_plan *plan) RHUMB_NODISCARD;

/* Makes the lists of level 0 of a part, whose vectors keep their numbers. Otherwise as above. */
rhumb_status rhumb__bulk_plan_make_part(const rhumb__params *params, const rhumb__bulk_placed *part,
                                        rhumb__bulk_run *run, rhumb__bulk_plan *plan) RHUMB_NODISCARD;

/* Links that a node has on level 0 from the level above, at most. */
uint32_t rhumb__bulk_far_count(const rhumb__params *params);

void rhumb__bulk_plan_free(rhumb__bulk_plan *plan);

#endif /* RHUMB_ENGINE_BUILD_BULK_PLAN_H */
