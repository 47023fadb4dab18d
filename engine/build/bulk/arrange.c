/* arrange.c - see arrange.h.
 *
 * The first cut is made by all threads together; each of its sets is then the work of one thread, which cuts it in its
 * own part of the order. Owns its arrays. Takes no lock.
 */
#include "engine/build/bulk/arrange.h"

#include <string.h>

#include "base/alloc.h"
#include "base/parallel.h"
#include "base/status.h"
#include "engine/build/bulk/cut.h"

/* Sets that stay as they are: less than a page of codes. */
#define SET_NODES 16u
/* The sets that a cut aims at, which has at most as many leaders as one panel, but for the first. */
#define CUT_NODES 8u
#define LEADERS_MAX 64u
#define FIRST_CUT_NODES 4096u
#define FIRST_LEADERS_MAX 1024u
/* Vectors of which leaders cannot tell one from another are cut no further than this. */
#define CUTS_MAX 8u

typedef struct arranging {
    rhumb__bulk_loop loop;
    const rhumb__bulk_nodes *nodes;
    const rhumb__cut *first;
    uint32_t *order;
} arranging;

static uint32_t leaders_for(uint64_t count, uint64_t set_nodes, uint64_t leaders_max) {
    return (uint32_t)rhumb__max_u64(2, rhumb__min_u64(rhumb__divide_up(count, set_nodes), leaders_max));
}

static rhumb_status arrange_set(rhumb__cut c, rhumb__seeker *seeker, uint32_t *members, uint32_t cut_count) {
    rhumb_status status;
    if (c.count <= SET_NODES || cut_count == CUTS_MAX) return RHUMB_OK;
    c.members = members;
    c.leader_count = leaders_for(c.count, CUT_NODES, LEADERS_MAX);
    RHUMB_TRY(rhumb__cut_alone(&c, seeker));
    memcpy(members, c.grouped, c.count * sizeof *members);
    for (uint32_t i = 0; i < c.leader_count; i++) {
        const rhumb__cut part = {
            .nodes = c.nodes, .count = c.begins[i + 1] - c.begins[i], .seed = rhumb__cut_mixed(c.seed, i), .fanout = 1};
        RHUMB_TRY(arrange_set(part, seeker, members + c.begins[i], cut_count + 1));
    }
done:
    rhumb__cut_free(&c);
    return status;
}

static rhumb_status arrange_some(void *context, uint32_t worker_index) {
    arranging *a = context;
    rhumb__seeker *seeker = NULL;
    uint64_t begin = 0;
    uint64_t end = 0;
    rhumb_status status = rhumb__seeker_make(a->nodes->tiler, &seeker);
    while (rhumb__bulk_take(&a->loop, worker_index, &begin, &end, &status)) {
        const uint64_t first = a->first->begins[begin];
        const rhumb__cut set = {.nodes = a->nodes,
                                .count = a->first->begins[end] - first,
                                .seed = rhumb__cut_mixed(a->first->seed, begin),
                                .fanout = 1};
        status = arrange_set(set, seeker, a->order + first, 1);
    }
    rhumb__seeker_free(seeker);
    return rhumb__bulk_end(&a->loop, status);
}

rhumb_status rhumb__arrange(const rhumb__bulk_nodes *nodes, uint64_t seed, double share, rhumb__bulk_run *run,
                            uint32_t *order) {
    rhumb_status status;
    rhumb__cut first = {.nodes = nodes,
                        .count = nodes->count,
                        .seed = seed,
                        .fanout = 1,
                        .leader_count = leaders_for(nodes->count, FIRST_CUT_NODES, FIRST_LEADERS_MAX)};
    RHUMB_TRY(rhumb__cut_together(&first, share / 2, run));
    memcpy(order, first.grouped, nodes->count * sizeof *order);
    arranging cutting = {
        .loop = {.run = run, .limit = first.leader_count, .step = 1}, .nodes = nodes, .first = &first, .order = order};
    rhumb__bulk_begin(run, share / 2);
    status = rhumb__parallel_run(run->thread_count, arrange_some, &cutting);
done:
    rhumb__cut_free(&first);
    return status;
}
