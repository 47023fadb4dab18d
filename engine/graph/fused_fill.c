/* fused_fill.c - chooses the fillers of a fused row.
 *
 * For one bound, fillers are taken greedily, nearest first. The bound is found by halving: five are tried, and the
 * smallest that fills the lanes is kept; then 1, by which the nearest are taken whatever the angle. Angles follow from
 * three squared distances. Those with the list are measured once, since only the largest cosine matters; those between
 * candidates when they are first asked for.
 *
 * Keeps nothing; no locks. Distances that are packed, of vectors of unusual size, make angles that mean nothing: then
 * the fillers are some of the candidates.
 */
#include "engine/graph/fused_fill.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/assert.h"
#include "engine/graph/params.h"

/* The bounds: from 60 degrees, by which lists are pruned, to 0. */
#define COSINE_MIN 0.5f
#define COSINE_MAX 1.0f

enum { TRIES = 5, BATCH = 64 };

#define NOT_MEASURED 2.0f

rhumb_status rhumb__fused_filler_init(rhumb__fused_filler *filler, const rhumb__space *space) {
    const rhumb__space_spec spec = {
        .metric = space->metric == RHUMB_METRIC_COSINE ? RHUMB_METRIC_COSINE : RHUMB_METRIC_L2SQ,
        .element = space->element,
        .dim = space->dim,
    };
    return rhumb__space_init(&filler->space, &spec);
}

/* ---- candidates ---- */

static int by_slot(const void *a, const void *b) {
    const rhumb__fused_candidate *left = a, *right = b;
    return (left->slot > right->slot) - (left->slot < right->slot);
}

static int by_distance(const void *a, const void *b) {
    const rhumb__fused_candidate *left = a, *right = b;
    if (left->distance != right->distance) return left->distance < right->distance ? -1 : 1;
    return by_slot(a, b);
}

/* Measures at most BATCH candidates. */
static void measure_batch(const rhumb__fused_filler *filler, const void *vector,
                          const rhumb__fused_candidate *candidates, uint32_t count, float *distances) {
    const void *vectors[BATCH];
    for (uint32_t i = 0; i < count; i++) vectors[i] = candidates[i].vector;
    filler->space.distance_many(&filler->space, vector, vectors, count, distances);
}

static uint32_t batch_count_of(uint32_t left) { return left < BATCH ? left : BATCH; }

/* Sets the distances of candidates from a vector. */
static void measure(const rhumb__fused_filler *filler, const void *vector, rhumb__fused_candidate *candidates,
                    uint32_t count) {
    for (uint32_t first = 0; first < count; first += BATCH) {
        const uint32_t batch_count = batch_count_of(count - first);
        float distances[BATCH];
        measure_batch(filler, vector, candidates + first, batch_count, distances);
        for (uint32_t i = 0; i < batch_count; i++) candidates[first + i].distance = distances[i];
    }
}

static bool list_has(const rhumb__fused_fill_from *from, uint32_t slot) {
    for (uint32_t i = 0; i < from->list_count; i++) {
        if (from->list[i].slot == slot) return true;
    }
    return false;
}

/* Moves those that may be chosen to the front, nearest first, measured and each of them once. Returns how many. */
static uint32_t arrange(const rhumb__fused_filler *filler, const rhumb__fused_fill_from *from) {
    rhumb__fused_candidate *candidates = from->candidates;
    uint32_t count = 0, near_count = 0;
    if (from->candidate_count == 0) return 0;
    qsort(candidates, from->candidate_count, sizeof *candidates, by_slot);
    for (uint32_t i = 0; i < from->candidate_count; i++) {
        const bool is_repeated = i > 0 && candidates[i].slot == candidates[i - 1].slot;
        if (is_repeated || candidates[i].slot == from->node.slot || list_has(from, candidates[i].slot)) continue;
        candidates[count++] = candidates[i]; /* never after i, so the comparison with the next one holds */
    }
    measure(filler, from->node.vector, candidates, count);
    for (uint32_t i = 0; i < count; i++) {
        if (candidates[i].distance > 0.0f) candidates[near_count++] = candidates[i];
    }
    if (near_count > 1) qsort(candidates, near_count, sizeof *candidates, by_distance);
    return near_count < RHUMB__FUSED_FILL_MAX ? near_count : RHUMB__FUSED_FILL_MAX;
}

/* ---- angles ---- */

/* The cosine of the angle at a node between two vectors, from their distances to it and to each other. Half of a
 * squared distance, as cosine has it, does as well. 1 where it is not a number. */
static float cosine_of(float distance_a, float distance_b, float distance_ab) {
    const double product = (double)distance_a * (double)distance_b;
    const double cosine = ((double)distance_a + (double)distance_b - (double)distance_ab) / (2.0 * sqrt(product));
    return cosine < 1.0 ? (float)cosine : 1.0f;
}

static void measure_list(const rhumb__fused_filler *filler, const rhumb__fused_fill_from *from, uint32_t count,
                         rhumb__fused_fill_scratch *scratch) {
    for (uint32_t i = 0; i < count; i++) scratch->list_cosines[i] = -1.0f;
    for (uint32_t k = 0; k < from->list_count; k++) {
        const rhumb__fused_candidate *near = &from->list[k];
        uint32_t first = 0;
        while (first < count && from->candidates[first].distance <= near->distance) first++;
        for (; first < count; first += BATCH) {
            const rhumb__fused_candidate *batch = from->candidates + first;
            const uint32_t batch_count = batch_count_of(count - first);
            float apart[BATCH];
            measure_batch(filler, near->vector, batch, batch_count, apart);
            for (uint32_t i = 0; i < batch_count; i++) {
                const float cosine = cosine_of(batch[i].distance, near->distance, apart[i]);
                if (cosine > scratch->list_cosines[first + i]) scratch->list_cosines[first + i] = cosine;
            }
        }
    }
}

static float cosine_between(const rhumb__fused_filler *filler, const rhumb__fused_candidate *candidates, uint32_t a,
                            uint32_t b, rhumb__fused_fill_scratch *scratch) {
    float *cosine = &scratch->cosines[a][b];
    if (*cosine != NOT_MEASURED) return *cosine;
    const float apart = filler->space.distance(&filler->space, candidates[a].vector, candidates[b].vector);
    *cosine = cosine_of(candidates[a].distance, candidates[b].distance, apart);
    return *cosine;
}

/* What one bound is tried with. */
struct attempt {
    const rhumb__fused_filler *filler;
    const rhumb__fused_candidate *candidates;
    uint32_t candidate_count;
    uint32_t wanted_count;
    rhumb__fused_fill_scratch *scratch;
};

/* Chooses fillers by a bound, at most as many as are wanted, and returns how many. */
static uint32_t choose(const struct attempt *attempt, float cosine_max, uint32_t *chosen) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < attempt->candidate_count && count < attempt->wanted_count; i++) {
        bool fits = attempt->scratch->list_cosines[i] <= cosine_max;
        for (uint32_t k = 0; k < count && fits; k++) {
            fits = cosine_between(attempt->filler, attempt->candidates, i, chosen[k], attempt->scratch) <= cosine_max;
        }
        if (fits) chosen[count++] = i;
    }
    return count;
}

/* Chooses as many as are wanted, by the smallest bound of those tried that has as many. */
static const uint32_t *choose_best(const struct attempt *attempt) {
    float low = COSINE_MIN, high = COSINE_MAX;
    uint32_t best = 0;
    for (int i = 0; i < TRIES; i++) {
        const float middle = (low + high) / 2;
        const bool is_full = choose(attempt, middle, attempt->scratch->chosen[1 - best]) == attempt->wanted_count;
        if (is_full) best = 1 - best;
        *(is_full ? &high : &low) = middle;
    }
    if (high == COSINE_MAX) (void)choose(attempt, COSINE_MAX, attempt->scratch->chosen[best]);
    return attempt->scratch->chosen[best];
}

uint32_t rhumb__fused_fill(const rhumb__fused_filler *filler, const rhumb__fused_fill_from *from, uint32_t count,
                           rhumb__fused_fill_scratch *scratch) {
    RHUMB_ASSERT_DEBUG(from->list_count <= RHUMB__M0_MAX);
    const uint32_t candidate_count = arrange(filler, from);
    const struct attempt attempt = {filler, from->candidates, candidate_count,
                                    count < candidate_count ? count : candidate_count, scratch};
    if (attempt.wanted_count == candidate_count) return candidate_count; /* all of them, or none */
    if (attempt.wanted_count == 0) return 0;
    measure(filler, from->node.vector, from->list, from->list_count);
    measure_list(filler, from, candidate_count, scratch);
    for (uint32_t i = 0; i < candidate_count; i++) {
        for (uint32_t k = 0; k < i; k++) scratch->cosines[i][k] = NOT_MEASURED;
    }
    const uint32_t *chosen = choose_best(&attempt);
    for (uint32_t i = 0; i < attempt.wanted_count; i++) from->candidates[i] = from->candidates[chosen[i]];
    return attempt.wanted_count;
}
