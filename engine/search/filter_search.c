/* filter_search.c - see filter_search.h; filter_plan.h says which way is taken when.
 *
 * A deleted node is to a walk what a node that fails the filter is: a waypoint at most. Each node is asked about once
 * in a search (a node seen again is in the visited set), except by an exact search that follows a walk that was given
 * up.
 *
 * The bridging walk keeps two sets: what it has met (visited), and of that, which nodes failed and have not been looked
 * through (failing). A failing node that is a neighbour of an expanded one is looked through at most once. One that was
 * only met two hops away stays in the second set, since it may turn up as a neighbour later.
 *
 * No lock is taken, except for a moment per key where keys are looked up one by one in a handle that writes.
 */
#include "engine/search/filter_search.h"

#include <math.h>
#include <string.h>

#include "base/bits.h"
#include "base/status.h"
#include "engine/graph/live_key.h"
#include "engine/graph/neighbour_list.h"
#include "engine/graph/tombstones.h"
#include "engine/search/exact_search.h"
#include "engine/search/prefetch.h"
#include "engine/search/search.h"

#define ROWS_PER_CALL 64u
#define SAMPLES_PER_TURN 16u

/* Bitmaps are counted only where they are sparse, and not much longer than the index. */
#define COUNTED_SHARE_MAX 0.05
#define COUNTED_KEYS_PER_SLOT 16u
#define COUNTED_KEYS_MIN 65536u

/* ---- the estimate ---- */

/* A slot that exists, as far as the sample can know: the i-th of a sequence that is the same for every search. */
static uint32_t sample_slot(uint64_t i, uint64_t slot_count) {
    return (uint32_t)((rhumb__mix64(i * UINT64_C(0x9E3779B97F4A7C15)) >> 32) * slot_count >> 32);
}

static bool is_answer(const rhumb__graph *graph, const rhumb__filter *filter, uint32_t slot) {
    if ((rhumb__graph_node(graph, slot) & RHUMB__NODE_PRESENT) == 0 || rhumb__graph_is_dead(graph, slot)) return false;
    return rhumb__filter_matches(filter, rhumb__graph_key(graph, slot));
}

/* The share of slots that match, by a sample. */
static double sample_share(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__filter *filter,
                           uint64_t slot_count) {
    uint32_t sample_count = 0;
    scratch->seed_count = 0;
    while (sample_count < RHUMB__FILTER_SAMPLE_MAX &&
           scratch->seed_count + SAMPLES_PER_TURN <= RHUMB__FILTER_SEED_MAX) {
        uint32_t slots[SAMPLES_PER_TURN];
        for (uint32_t i = 0; i < SAMPLES_PER_TURN; i++) {
            slots[i] = sample_slot(sample_count + i, slot_count);
            __builtin_prefetch(rhumb__section_row(&graph->sections[RHUMB__SECTION_NODES], slots[i]), 0, 3);
            __builtin_prefetch(rhumb__section_row(&graph->sections[RHUMB__SECTION_KEYS], slots[i]), 0, 3);
        }
        for (uint32_t i = 0; i < SAMPLES_PER_TURN; i++) {
            if (is_answer(graph, filter, slots[i])) scratch->seeds[scratch->seed_count++] = slots[i];
        }
        sample_count += SAMPLES_PER_TURN;
    }
    return (scratch->seed_count + 0.5) / (sample_count + 0.5);
}

/* The 64 bits of a bitmap from bit i * 64 on. */
static uint64_t bitmap_word(const rhumb__filter *filter, uint64_t i) {
    const uint64_t left = filter->bit_count - i * 64;
    uint64_t word = 0;
    memcpy(&word, filter->bits + i * 8, left >= 64 ? 8 : (size_t)rhumb__divide_up(left, 8));
    return left >= 64 ? word : word & ((UINT64_C(1) << left) - 1);
}

static double count_bits(const rhumb__filter *filter) {
    uint64_t count = 0;
    const uint64_t word_count = rhumb__divide_up(filter->bit_count, 64);
    for (uint64_t i = 0; i < word_count; i++) count += (uint64_t)__builtin_popcountll(bitmap_word(filter, i));
    return (double)count;
}

/* How many keys there are to be looked up one by one; infinity when nobody can tell, or it takes too long. */
static double list_count(const rhumb__filter *filter, uint64_t slot_count, double share) {
    if (!rhumb__filter_is_list(filter)) return INFINITY;
    if (filter->kind == RHUMB__FILTER_KEYS) return (double)filter->key_count;
    const uint64_t bit_limit = rhumb__max_u64(slot_count * COUNTED_KEYS_PER_SLOT, COUNTED_KEYS_MIN);
    return share <= COUNTED_SHARE_MAX && filter->bit_count <= bit_limit ? count_bits(filter) : INFINITY;
}

rhumb__filter_plan rhumb__filter_estimate_make(rhumb__graph *graph, rhumb__scratch *scratch,
                                               const rhumb__filter *filter, rhumb__filter_estimate *estimate) {
    const uint64_t slot_count = rhumb__min_u64(atomic_load(&graph->finished_count),
                                               atomic_load_explicit(&graph->slot_limit, memory_order_acquire));
    *estimate = (rhumb__filter_estimate){.list_count = INFINITY};
    scratch->seed_count = 0;
    if (slot_count > 0) estimate->share = sample_share(graph, scratch, filter, slot_count);
    estimate->match_count = estimate->share * (double)slot_count;
    estimate->list_count = list_count(filter, slot_count, estimate->share);
    if (estimate->list_count < estimate->match_count) {
        estimate->match_count = estimate->list_count;
        estimate->share = estimate->match_count / (double)slot_count;
    }
    return rhumb__filter_plan_begin(graph, filter, slot_count, estimate);
}

/* ---- exact ---- */

/* Measured nodes on their way to whoever asked for them. */
typedef struct list_visit {
    rhumb__graph *graph;
    rhumb__scratch *scratch;
    rhumb__measured_fn take;
    void *context;
    uint32_t count; /* slots in scratch->batch */
} list_visit;

static void hand_over(list_visit *visit) {
    rhumb__search_measure(visit->graph, visit->scratch, visit->count);
    visit->take(visit->context, visit->scratch, visit->count);
    visit->count = 0;
}

/* Returns false when the key's node is just being replaced. */
static bool look_up(list_visit *visit, uint64_t key) {
    bool under_way;
    const uint32_t slot = rhumb__graph_find_live(visit->graph, key, &under_way);
    if (under_way) return false;
    if (slot == RHUMB__SLOT_NONE) return true;
    rhumb__prefetch_vector(visit->graph, rhumb__graph_vector(visit->graph, slot));
    visit->scratch->batch[visit->count++] = slot;
    if (visit->count == ROWS_PER_CALL) hand_over(visit);
    return true;
}

static rhumb_status look_up_keys(list_visit *visit, const rhumb__filter *filter, bool *complete) {
    for (uint64_t i = 0; i < filter->key_count && *complete; i++) {
        if (i > 0 && filter->keys[i] <= filter->keys[i - 1]) {
            return rhumb__fail(RHUMB_E_INVALID, "filter.keys must ascend: number %llu is %llu, after %llu",
                               (unsigned long long)i, (unsigned long long)filter->keys[i],
                               (unsigned long long)filter->keys[i - 1]);
        }
        *complete = look_up(visit, filter->keys[i]);
    }
    return RHUMB_OK;
}

static void look_up_bits(list_visit *visit, const rhumb__filter *filter, bool *complete) {
    const uint64_t word_count = rhumb__divide_up(filter->bit_count, 64);
    for (uint64_t i = 0; i < word_count && *complete; i++) {
        for (uint64_t word = bitmap_word(filter, i); word != 0 && *complete; word &= word - 1) {
            const uint64_t bit = i * 64 + (uint64_t)__builtin_ctzll(word);
            if (bit > UINT64_MAX - filter->key_base) return;
            *complete = look_up(visit, filter->key_base + bit);
        }
    }
}

rhumb_status rhumb__filter_visit_list(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__filter *filter,
                                      rhumb__measured_fn take, void *context, bool *complete_out) {
    rhumb_status status = RHUMB_OK;
    list_visit visit = {graph, scratch, take, context, 0};
    *complete_out = true;
    if (filter->kind == RHUMB__FILTER_KEYS) {
        status = look_up_keys(&visit, filter, complete_out);
    } else {
        look_up_bits(&visit, filter, complete_out);
    }
    hand_over(&visit);
    return status;
}

rhumb_status rhumb__filter_search_exact(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__filter *filter,
                                        const rhumb__filter_estimate *estimate, uint32_t k) {
    rhumb_status status;
    if (estimate->by_list) {
        bool complete;
        RHUMB_TRY(rhumb__scratch_prepare_search(scratch, k));
        RHUMB_TRY(
            rhumb__filter_visit_list(graph, scratch, filter, rhumb__exact_take_nearest, &scratch->pool, &complete));
        if (complete) goto done;
    }
    status = rhumb__exact_search(graph, scratch, filter, k);
done:
    return status;
}

/* ---- walking ---- */

typedef struct walk {
    rhumb__graph *graph;
    rhumb__scratch *scratch;
    const rhumb__filter *filter;
    bool bridges;
    bool has_dead;
    uint64_t met_count; /* nodes that the filter was asked about, and those of them that passed */
    uint64_t passed_count;
    uint64_t measured_count;
    uint64_t looked_at_count; /* neighbours in lists, those seen before among them */
} walk;

static inline bool passes(walk *walk, uint32_t slot) {
    walk->met_count++;
    if (walk->has_dead && rhumb__graph_is_dead(walk->graph, slot)) return false;
    if (!rhumb__filter_matches(walk->filter, rhumb__graph_key(walk->graph, slot))) return false;
    walk->passed_count++;
    return true;
}

/* As in search.c: a candidate that is farther than a full set of answers leads nowhere. */
static inline void offer(walk *walk, uint32_t slot, float distance, bool is_answer) {
    rhumb__scratch *scratch = walk->scratch;
    if (!rhumb__candidate_pool_accepts(&scratch->answers, distance)) return;
    rhumb__candidate_pool_add(&scratch->pool, slot, distance);
    if (is_answer) rhumb__candidate_pool_add(&scratch->answers, slot, distance);
}

/* Measures scratch->batch and offers it; the first pass_count of it are answers. */
static void measure_and_offer(walk *walk, uint32_t pass_count, uint32_t count) {
    rhumb__scratch *scratch = walk->scratch;
    rhumb__search_measure(walk->graph, scratch, count);
    walk->measured_count += count;
    for (uint32_t i = 0; i < count; i++) offer(walk, scratch->batch[i], scratch->distances[i], i < pass_count);
}

static inline void announce(const walk *walk, uint32_t slot) {
    rhumb__prefetch_vector(walk->graph, rhumb__graph_vector(walk->graph, slot));
}

/* The neighbours of a node in scratch->list; announces their keys. */
static uint32_t read_list(walk *walk, uint32_t slot) {
    rhumb__scratch *scratch = walk->scratch;
    const uint32_t count = rhumb__graph_neighbours(walk->graph, slot, scratch->slot_limit, scratch->list);
    for (uint32_t i = 0; i < count; i++) {
        __builtin_prefetch(rhumb__section_row(&walk->graph->sections[RHUMB__SECTION_KEYS], scratch->list[i]), 0, 3);
    }
    walk->looked_at_count += count;
    return count;
}

/* Looks through `failing` nodes for matching neighbours until there is a list's worth of those in scratch->batch, of
 * which pass_count are there already; returns how many there are then. What has not been looked through goes into the
 * failing set. */
static uint32_t look_through(walk *walk, const uint32_t *failing, uint32_t failing_count, uint32_t pass_count) {
    rhumb__scratch *scratch = walk->scratch;
    const uint32_t wanted_count = walk->graph->params.M0;
    uint32_t i = 0;
    for (uint32_t k = 0; k < failing_count && k < 4; k++) rhumb__prefetch_list(walk->graph, failing[k]);
    for (; i < failing_count && pass_count < wanted_count; i++) {
        if (i + 4 < failing_count) rhumb__prefetch_list(walk->graph, failing[i + 4]);
        const uint32_t count = read_list(walk, failing[i]);
        for (uint32_t k = 0; k < count; k++) {
            const uint32_t slot = scratch->list[k];
            if (rhumb__visited_add(&scratch->visited, slot)) continue;
            if (passes(walk, slot)) {
                announce(walk, slot);
                scratch->batch[pass_count++] = slot;
            } else {
                (void)rhumb__visited_add(&scratch->failing, slot);
            }
        }
    }
    for (; i < failing_count; i++) (void)rhumb__visited_add(&scratch->failing, failing[i]);
    return pass_count;
}

/* Looks at the neighbours of a node, and where too few of them match, at theirs. */
static void expand(walk *walk, uint32_t slot) {
    rhumb__scratch *scratch = walk->scratch;
    uint32_t failing[RHUMB__M0_MAX];
    uint32_t pass_count = 0, failing_count = 0;
    const uint32_t count = read_list(walk, slot);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t neighbour = scratch->list[i];
        if (rhumb__visited_add(&scratch->visited, neighbour)) {
            if (walk->bridges && rhumb__visited_remove(&scratch->failing, neighbour)) {
                failing[failing_count++] = neighbour;
            }
        } else if (passes(walk, neighbour)) {
            announce(walk, neighbour);
            scratch->batch[pass_count++] = neighbour;
        } else {
            failing[failing_count++] = neighbour;
        }
    }
    const bool is_local = pass_count >= RHUMB__FILTER_LOCAL_SHARE * (pass_count + failing_count);
    if (walk->bridges && !is_local) {
        pass_count = look_through(walk, failing, failing_count, pass_count);
        measure_and_offer(walk, pass_count, pass_count);
        return;
    }
    for (uint32_t i = 0; i < failing_count; i++) {
        announce(walk, failing[i]);
        scratch->batch[pass_count + i] = failing[i];
    }
    measure_and_offer(walk, pass_count, pass_count + failing_count);
}

/* Measures nodes of the sample, and offers them. */
static void offer_seeds(walk *walk) {
    rhumb__scratch *scratch = walk->scratch;
    uint32_t count = 0;
    for (uint32_t i = 0; i < scratch->seed_count; i++) {
        const uint32_t slot = scratch->seeds[i];
        if (slot >= scratch->slot_limit || rhumb__visited_add(&scratch->visited, slot)) continue;
        if (walk->has_dead && rhumb__graph_is_dead(walk->graph, slot)) continue;
        announce(walk, slot);
        scratch->batch[count++] = slot;
    }
    measure_and_offer(walk, count, count);
}

static double cost_so_far(const walk *walk) {
    return (double)walk->measured_count * rhumb__filter_distance_ns(walk->graph) +
           (double)walk->looked_at_count * RHUMB__FILTER_HOP_NS +
           (double)walk->met_count * rhumb__filter_test_ns(walk->filter);
}

/* Whether the exact way is the shorter one from here. */
static bool is_hopeless(const walk *walk, double exact_ns) {
    const double cost_ns = cost_so_far(walk);
    const rhumb__candidate_pool *answers = &walk->scratch->answers;
    if (cost_ns < exact_ns * RHUMB__FILTER_DOUBT_SHARE) return false;
    if (cost_ns > exact_ns * RHUMB__FILTER_PATIENCE) return true;
    return cost_ns * (answers->limit - answers->count) > exact_ns * answers->count;
}

/* Expands candidates until none is left that can lead to a nearer answer, or `expansion_limit` have been. Returns false
 * when that is given up. */
static bool go_on(walk *walk, uint64_t expansion_limit, double exact_ns) {
    rhumb__candidate_pool *pool = &walk->scratch->pool;
    uint32_t slot;
    for (uint64_t i = 0; i < expansion_limit && rhumb__candidate_pool_take(pool, &slot); i++) {
        if (!rhumb__candidate_pool_accepts(&walk->scratch->answers, pool->entries[pool->next - 1].distance)) break;
        if (is_hopeless(walk, exact_ns)) return false;
        expand(walk, slot);
    }
    return true;
}

/* The matching nodes are far from the query: none of the candidates so far leads to them, so the walk begins anew at
 * those of the sample, more broadly. */
static void begin_far(walk *walk, uint32_t ef) {
    rhumb__scratch *scratch = walk->scratch;
    rhumb__candidate_pool_clear(&scratch->pool, scratch->pool.limit);
    scratch->answers.limit = ef;
    offer_seeds(walk);
}

/* Measures the matching ones of the nodes that no link leads to yet. */
static void scan_unlinked(walk *walk, uint64_t begin) {
    rhumb__scratch *scratch = walk->scratch;
    const uint64_t end = rhumb__min_u64(walk->graph->unlinked_end, scratch->slot_limit);
    while (begin < end) {
        uint32_t count = 0;
        for (; begin < end && count < RHUMB__BATCH_MAX; begin++) {
            const uint32_t slot = (uint32_t)begin;
            if (rhumb__visited_add(&scratch->visited, slot) || !passes(walk, slot)) continue;
            scratch->batch[count++] = slot;
        }
        measure_and_offer(walk, count, count);
    }
}

/* Whether some of a node's neighbours match. */
static bool are_matches_around(walk *walk, uint32_t slot) {
    const uint32_t count = read_list(walk, slot);
    uint32_t match_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (is_answer(walk->graph, walk->filter, walk->scratch->list[i])) match_count++;
    }
    return match_count >= RHUMB__FILTER_PEEK_COUNT;
}

/* Walks from `start`. Returns false when that is given up. */
static bool walk_from(walk *walk, rhumb__nearest start, const rhumb__filter_estimate *estimate, rhumb__filter_plan plan,
                      uint32_t ef, uint32_t far_ef) {
    rhumb__scratch *scratch = walk->scratch;
    if (!rhumb__visited_add(&scratch->visited, start.slot)) {
        offer(walk, start.slot, start.distance, passes(walk, start.slot));
    }
    if (plan != RHUMB__FILTER_PLAN_AUTO) {
        walk->bridges = plan == RHUMB__FILTER_PLAN_BRIDGE;
        if (walk->bridges) offer_seeds(walk);
        return go_on(walk, UINT64_MAX, INFINITY);
    }
    bool is_far;
    const bool peeks = rhumb__filter_plan_peeks(walk->graph, walk->filter, estimate);
    if (peeks && !are_matches_around(walk, start.slot)) return false;
    if (!go_on(walk, RHUMB__FILTER_PROBE_EXPANSIONS, INFINITY)) return false;
    const double local_share = ((double)walk->passed_count + 0.5) / ((double)walk->met_count + 0.5);
    plan = rhumb__filter_plan_decide(walk->graph, walk->filter, estimate, local_share, ef, &is_far);
    if (plan == RHUMB__FILTER_PLAN_EXACT) return false;
    walk->bridges = plan == RHUMB__FILTER_PLAN_BRIDGE;
    if (is_far) begin_far(walk, far_ef);
    return go_on(walk, UINT64_MAX, estimate->exact_ns);
}

static uint32_t candidate_limit(rhumb__filter_plan plan, uint32_t ef, double share) {
    double per_answer = RHUMB__FILTER_CANDIDATES_PER_ANSWER;
    if (plan == RHUMB__FILTER_PLAN_WALK) {
        per_answer = fmin(per_answer / share, RHUMB__FILTER_CANDIDATES_PER_ANSWER_MAX);
    }
    return (uint32_t)fmin(ef * per_answer, RHUMB__SLOT_LIMIT);
}

rhumb_status rhumb__filter_search_walk(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__filter *filter,
                                       const rhumb__filter_estimate *estimate, rhumb__filter_plan plan,
                                       uint32_t wanted_count, uint32_t ef, bool *finished_out) {
    rhumb_status status;
    walk walk = {.graph = graph, .scratch = scratch, .filter = filter};
    walk.has_dead = atomic_load(&graph->dead_count) > 0;
    const uint64_t broad_ef = rhumb__min_u64((uint64_t)ef * RHUMB__FILTER_FAR_BREADTH, RHUMB__FILTER_FAR_EF_MAX);
    const uint32_t far_ef = (uint32_t)rhumb__max_u64(broad_ef, ef);
    /* Acquire pairs with the release in recover.c, as in rhumb__search_nearest. */
    const uint64_t unlinked_begin = atomic_load_explicit(&graph->unlinked_begin, memory_order_acquire);
    RHUMB_TRY(rhumb__scratch_prepare_search(scratch, candidate_limit(plan, ef, estimate->share)));
    RHUMB_TRY(rhumb__scratch_prepare_answers(scratch, far_ef));
    scratch->answers.limit = ef;
    uint32_t top;
    const rhumb__nearest start = rhumb__search_descend(graph, scratch, 0, &top);
    RHUMB_TRY(rhumb__scratch_prepare_filter(scratch));
    *finished_out = false;
    if (start.slot != RHUMB__SLOT_NONE && !walk_from(&walk, start, estimate, plan, ef, far_ef)) goto done;
    if (unlinked_begin < graph->unlinked_end) scan_unlinked(&walk, unlinked_begin);
    /* A walk that found fewer than it was to find was cut off, or there are no more: only an exact search knows. */
    const uint32_t found_count = scratch->answers.count;
    *finished_out = found_count >= wanted_count && (found_count >= ef || found_count > estimate->match_count * 0.5);
done:
    return status;
}

rhumb_status rhumb__graph_search_filtered(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__filter *filter,
                                          uint32_t k, uint32_t ef, const uint64_t *left_out, uint64_t *keys,
                                          float *distances, uint32_t *found_count_out) {
    rhumb_status status;
    rhumb__filter_estimate estimate;
    const uint32_t wanted_count = left_out == NULL ? k : k + 1;
    if (ef < wanted_count) ef = wanted_count;
    const rhumb__filter_plan plan = rhumb__filter_estimate_make(graph, scratch, filter, &estimate);
    if (plan != RHUMB__FILTER_PLAN_EXACT) {
        bool finished;
        const uint64_t replace_done = atomic_load(&graph->replace_done);
        RHUMB_TRY(rhumb__filter_search_walk(graph, scratch, filter, &estimate, plan, wanted_count, ef, &finished));
        if (finished) {
            *found_count_out = rhumb__search_emit(graph, &scratch->answers, k, left_out, replace_done, keys, distances);
            /* Fewer than k here: an upsert that overlaps has put two nodes of its key among the answers. */
            if (*found_count_out == k) goto done;
        }
    }
    for (uint32_t limit = wanted_count;; limit *= 2) {
        const uint64_t replace_done = atomic_load(&graph->replace_done);
        RHUMB_TRY(rhumb__filter_search_exact(graph, scratch, filter, &estimate, limit));
        *found_count_out = rhumb__search_emit(graph, &scratch->pool, k, left_out, replace_done, keys, distances);
        if (*found_count_out == k || scratch->pool.count < limit || limit > UINT32_MAX / 4) break;
    }
done:
    return status;
}
