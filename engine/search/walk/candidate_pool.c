/* candidate_pool.c - sorting candidates; see candidate_pool.h. Keeps no state. */
#include "engine/search/walk/candidate_pool.h"

#include <stdlib.h>

/* A list that is pruned has a few dozen candidates. For so few, the calls of a library sort cost more than its better
 * algorithm saves. */
#define INSERTION_SORT_MAX 96u

static int compare_candidates(const void *a, const void *b) {
    const rhumb__candidate *left = a;
    const rhumb__candidate *right = b;
    if (left->distance != right->distance) return left->distance < right->distance ? -1 : 1;
    return (left->slot_mark > right->slot_mark) - (left->slot_mark < right->slot_mark);
}

void rhumb__sort_candidates(rhumb__candidate *candidates, uint32_t count) {
    if (count <= INSERTION_SORT_MAX) {
        for (uint32_t i = 1; i < count; i++) {
            const rhumb__candidate moving = candidates[i];
            uint32_t place = i;
            for (; place > 0 && compare_candidates(&moving, &candidates[place - 1]) < 0; place--) {
                candidates[place] = candidates[place - 1];
            }
            candidates[place] = moving;
        }
        return;
    }
    qsort(candidates, count, sizeof *candidates, compare_candidates);
}
