/* partition.c - see partition.h.
 *
 * The first cut is made by all threads together. Each of its sets is then the work of one thread, which cuts it further
 * and measures its leaves before it takes the next: so never more than the first cut is kept in memory, and what each
 * thread is at. Leaders are drawn by the seed and the place of a set in the cuts, so the leaves are the same however
 * many threads there are.
 *
 * Owns its arrays. Takes no lock but those of the reservoirs.
 */
#include "engine/build/bulk/partition.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/parallel.h"
#include "base/status.h"
#include "engine/build/bulk/cut.h"

#define LEADERS_MAX 1024u
/* The leaves that are aimed at. */
#define LEAF_NODES 512u
/* A set of which a part is nearly as large as itself is cut anyhow, from this cut on. */
#define CUT_ANYHOW 3u

/* To how many leaders a node goes at the second cut. At the first the caller says it, at the others it is one. */
#define SECOND_FANOUT 2u

/* Of the time, what the first cut takes. */
#define SEEK_SHARE 0.15

/* Prepares the cut of a set, whose members and count are set. */
static void prepare_cut(rhumb__cut *c, uint32_t fanout) {
    const uint64_t wanted_count = rhumb__divide_up(c->count * fanout, LEAF_NODES);
    c->leader_count = (uint32_t)rhumb__min_u64(rhumb__max_u64(wanted_count, 2), LEADERS_MAX);
    c->fanout = (uint32_t)rhumb__min_u64(fanout, c->leader_count);
}

/* ---- the cuts of one thread ---- */

typedef struct partition {
    rhumb__bulk_loop loop;
    const rhumb__partition_spec *spec;
    rhumb__cut *first;
} partition;

/* A thread's own: what it seeks with, and its leaf. */
typedef struct cutter {
    const partition *all;
    uint32_t worker_index;
    rhumb__seeker *seeker;
    rhumb__leaf leaf;
} cutter;

/* Measures pieces of a set that leaders do not cut. */
static rhumb_status measure_pieces(cutter *t, const uint32_t *members, uint64_t count) {
    const uint64_t piece_count = rhumb__divide_up(count, RHUMB__LEAF_NODES_MAX);
    for (uint64_t i = 0; i < piece_count; i++) {
        bool stops = false;
        const rhumb_status status = rhumb__bulk_check(t->all->loop.run, t->worker_index, &stops);
        if (status != RHUMB_OK || stops) return status;
        const uint64_t begin = count * i / piece_count;
        rhumb__leaf_measure(&t->leaf, members + begin, (uint32_t)(count * (i + 1) / piece_count - begin));
    }
    return RHUMB_OK;
}

static rhumb_status cut_further(cutter *t, const uint32_t *members, uint64_t count, uint32_t number, uint64_t seed) {
    rhumb_status status = RHUMB_OK;
    if (count <= RHUMB__LEAF_NODES_MAX || number > CUT_ANYHOW) return measure_pieces(t, members, count);
    rhumb__cut c = {.nodes = t->all->spec->nodes, .members = members, .count = count, .seed = seed};
    prepare_cut(&c, number == 1 ? SECOND_FANOUT : 1);
    RHUMB_TRY(rhumb__cut_alone(&c, t->seeker));
    for (uint32_t i = 0; i < c.leader_count; i++) {
        const uint64_t begin = c.begins[i];
        RHUMB_TRY(cut_further(t, c.grouped + begin, c.begins[i + 1] - begin, number + 1, rhumb__cut_mixed(seed, i)));
    }
done:
    rhumb__cut_free(&c);
    return status;
}

/* ---- the first cut ---- */

static rhumb_status measure_some(void *context, uint32_t worker_index) {
    partition *p = context;
    const rhumb__partition_spec *spec = p->spec;
    cutter t = {.all = p, .worker_index = worker_index};
    uint64_t begin = 0;
    uint64_t end = 0;
    rhumb_status status = rhumb__seeker_make(spec->nodes->tiler, &t.seeker);
    if (status == RHUMB_OK) status = rhumb__leaf_make(spec->nodes, spec->reservoirs, spec->nearest_count, &t.leaf);
    while (rhumb__bulk_take(&p->loop, worker_index, &begin, &end, &status)) {
        const uint64_t first = p->first->begins[begin];
        status = cut_further(&t, p->first->grouped + first, p->first->begins[end] - first, 1,
                             rhumb__cut_mixed(spec->seed, UINT32_MAX + begin));
    }
    rhumb__leaf_free(&t.leaf);
    rhumb__seeker_free(t.seeker);
    return rhumb__bulk_end(&p->loop, status);
}

/* All nodes are one leaf. */
static rhumb_status measure_all(const rhumb__partition_spec *spec) {
    rhumb__leaf leaf = {0};
    uint32_t members[RHUMB__LEAF_NODES_MAX];
    const rhumb_status status = rhumb__leaf_make(spec->nodes, spec->reservoirs, spec->nearest_count, &leaf);
    for (uint32_t i = 0; i < spec->nodes->count; i++) members[i] = i;
    if (status == RHUMB_OK) rhumb__leaf_measure(&leaf, members, (uint32_t)spec->nodes->count);
    rhumb__leaf_free(&leaf);
    return status;
}

rhumb_status rhumb__partition(const rhumb__partition_spec *spec, rhumb__bulk_run *run) {
    rhumb_status status;
    if (spec->nodes->count <= RHUMB__LEAF_NODES_MAX) return measure_all(spec);
    rhumb__cut first = {.nodes = spec->nodes, .count = spec->nodes->count, .seed = spec->seed};
    prepare_cut(&first, spec->fanout);
    RHUMB_TRY(rhumb__cut_together(&first, SEEK_SHARE * spec->share, run));
    partition measuring = {.loop = {.run = run, .limit = first.leader_count, .step = 1}, .spec = spec, .first = &first};
    rhumb__bulk_begin(run, (1 - SEEK_SHARE) * spec->share);
    status = rhumb__parallel_run(run->thread_count, measure_some, &measuring);
done:
    rhumb__cut_free(&first);
    return status;
}
