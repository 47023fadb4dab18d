/* shard_offer.c - the second of the shard_steps.h.
 *
 * Members are numbered by their slots, so those with one home shard follow each other, and their offers go to the file
 * together. Threads make the offers of a run of nodes, then the calling thread writes them.
 *
 * Owns the members, the plan and the offers of a run. Takes no lock.
 */
#include "base/alloc.h"
#include "base/assert.h"
#include "base/parallel.h"
#include "base/status.h"
#include "engine/upkeep/shards/shard_members.h"

/* Nodes whose offers are written together. */
#define RUN_NODES 4096u
#define NODES_PER_STEP 64u

typedef struct offering {
    rhumb__shard_steps *steps;
    rhumb__shard_members members;
    rhumb__bulk_plan plan;
    rhumb__bulk_run run;
    rhumb__bulk_loop loop;
    uint64_t first; /* node of a run */
    uint8_t *offers;
} offering;

static uint32_t slot_of(const offering *o, uint64_t node) { return o->members.slots[o->plan.levels[0].items[node]]; }

/* The shard whose home has a slot. */
static uint32_t home_of(const rhumb__shard_steps *steps, uint32_t slot) {
    uint32_t begin = 0;
    uint32_t end = steps->file->division->shard_count;
    while (end - begin > 1) {
        const uint32_t middle = begin + (end - begin) / 2;
        if (steps->first_slots[middle] <= slot)
            begin = middle;
        else
            end = middle;
    }
    return begin;
}

static void make_offer(const offering *o, uint64_t node, rhumb__offer *offer) {
    const void *rows[RHUMB__M0_MAX];
    float distances[RHUMB__M0_MAX];
    const rhumb__bulk_level *level = &o->plan.levels[0];
    const rhumb__bulk_points *points = &o->plan.points;
    const rhumb__space *space = points->space;
    const uint32_t *linked = level->lists.slots + node * level->lists.capacity;
    offer->slot = slot_of(o, node);
    offer->count = 0;
    for (; offer->count < level->lists.capacity && linked[offer->count] != RHUMB__SLOT_NONE; offer->count++) {
        rows[offer->count] = rhumb__bulk_row(points, level->items[linked[offer->count]]);
    }
    space->link.distance_many(space, rhumb__bulk_row(points, level->items[node]), rows, offer->count, distances);
    for (uint32_t i = 0; i < offer->count; i++) {
        offer->candidates[i] = (rhumb__candidate){.distance = distances[i], .slot_mark = slot_of(o, linked[i])};
    }
}

static rhumb_status make_some(void *context, uint32_t worker_index) {
    offering *o = context;
    uint64_t begin = 0;
    uint64_t end = 0;
    rhumb_status status = RHUMB_OK;
    while (rhumb__bulk_take(&o->loop, worker_index, &begin, &end, &status)) {
        for (uint64_t i = begin; i < end; i++) {
            make_offer(o, o->first + i, rhumb__offer_at(o->steps->offers, o->offers, i));
        }
    }
    return rhumb__bulk_end(&o->loop, status);
}

/* Writes the offers of a run: those for homes of one shard at once. */
static rhumb_status write_run(const offering *o, uint64_t count) {
    rhumb_status status = RHUMB_OK;
    rhumb__offer_file *file = o->steps->offers;
    uint64_t end = 0;
    for (uint64_t begin = 0; begin < count; begin = end) {
        const uint32_t shard = home_of(o->steps, slot_of(o, o->first + begin));
        const uint32_t slot_begin = o->steps->first_slots[shard];
        const uint32_t slot_end = o->steps->first_slots[shard + 1];
        for (end = begin + 1; end < count; end++) {
            const uint32_t slot = slot_of(o, o->first + end);
            if (slot < slot_begin || slot >= slot_end) break;
        }
        RHUMB_TRY(rhumb__offer_file_add(file, shard, o->offers + begin * file->offer_bytes, end - begin));
    }
done:
    return status;
}

static rhumb_status offer_all(offering *o) {
    rhumb_status status = RHUMB_OK;
    const uint64_t node_count = o->plan.levels[0].count;
    o->offers = rhumb__alloc_zeroed(RUN_NODES, o->steps->offers->offer_bytes);
    if (o->offers == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for lists");
    for (o->first = 0; o->first < node_count; o->first += RUN_NODES) {
        const uint64_t count = rhumb__min_u64(node_count - o->first, RUN_NODES);
        o->loop = (rhumb__bulk_loop){.run = &o->run, .limit = count, .step = NODES_PER_STEP};
        RHUMB_TRY(rhumb__parallel_run(o->steps->thread_count, make_some, o));
        RHUMB_TRY(write_run(o, count));
    }
done:
    return status;
}

rhumb_status rhumb__shard_offer(rhumb__shard_steps *steps, uint32_t shard) {
    rhumb_status status;
    const rhumb__params *params = &steps->graph->params;
    offering o = {.steps = steps, .run = rhumb__shard_run(steps)};
    RHUMB_TRY(rhumb__shard_members_read(steps, shard, &o.members));
    const rhumb__bulk_placed part = {
        .space = &steps->graph->space, .rows = o.members.rows, .count = o.members.count, .salt = params->seed};
    o.members.rows = NULL; /* the plan's */
    RHUMB_TRY(rhumb__bulk_plan_make_part(params, &part, &o.run, &o.plan));
    status = offer_all(&o);
done:
    rhumb__bulk_plan_free(&o.plan);
    rhumb__shard_members_free(&o.members);
    rhumb__free(o.offers);
    return status;
}
