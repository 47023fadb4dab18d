/* filter_exact.c - visiting the nodes of the keys that a filter lists: the exact search where there are few.
 *
 * In a handle that writes, each look-up briefly takes the lock of one chunk of the key table.
 */
#include <string.h>

#include "base/bits.h"
#include "base/status.h"
#include "engine/graph/live_key.h"
#include "engine/search/filter_search.h"
#include "engine/search/walk/measure.h"

#define ROWS_PER_CALL 64u

typedef struct list_visit {
    rhumb__graph *graph;
    rhumb__scratch *scratch;
    const rhumb__visitor *visitor;
    uint32_t count; /* slots in scratch->batch */
    bool complete;  /* no upsert was replacing the node of a key */
} list_visit;

/* Measures what has been gathered, and passes it to the visitor. */
static rhumb_status list_flush(list_visit *visit) {
    const uint32_t count = visit->count;
    visit->count = 0;
    rhumb__measure_rows(visit->graph, visit->scratch, count);
    return visit->visitor->take(visit->visitor->context, visit->scratch, count);
}

/* Adds the node of a key, if there is one. */
static rhumb_status list_add(list_visit *visit, uint64_t key) {
    bool under_way;
    const uint32_t slot = rhumb__graph_find_live(visit->graph, key, &under_way);
    if (under_way) visit->complete = false;
    if (slot == RHUMB__SLOT_NONE) return RHUMB_OK;
    visit->scratch->batch[visit->count] = slot;
    visit->scratch->rows[visit->count++] = rhumb__measure_prefetch(&visit->scratch->measured, slot);
    return visit->count == ROWS_PER_CALL ? list_flush(visit) : RHUMB_OK;
}

static rhumb_status list_add_keys(list_visit *visit, const rhumb__filter *filter) {
    rhumb_status status = RHUMB_OK;
    for (uint64_t i = 0; i < filter->key_count && visit->complete; i++) {
        if (i > 0 && filter->keys[i] <= filter->keys[i - 1]) {
            return rhumb__fail(RHUMB_E_INVALID, "filter.keys must ascend: number %llu is %llu, after %llu",
                               (unsigned long long)i, (unsigned long long)filter->keys[i],
                               (unsigned long long)filter->keys[i - 1]);
        }
        RHUMB_TRY(list_add(visit, filter->keys[i]));
    }
done:
    return status;
}

uint64_t rhumb__filter_bitmap_word(const rhumb__filter *filter, uint64_t i) {
    RHUMB_ASSERT_DEBUG(i * 64 < filter->bit_count);
    const uint64_t left = filter->bit_count - i * 64;
    uint64_t word = 0;
    memcpy(&word, filter->bits + i * 8, left >= 64 ? 8 : (size_t)rhumb__divide_up(left, 8));
    return left >= 64 ? word : word & ((UINT64_C(1) << left) - 1);
}

static rhumb_status list_add_bits(list_visit *visit, const rhumb__filter *filter) {
    rhumb_status status = RHUMB_OK;
    const uint64_t word_count = rhumb__divide_up(filter->bit_count, 64);
    for (uint64_t i = 0; i < word_count && visit->complete; i++) {
        for (uint64_t word = rhumb__filter_bitmap_word(filter, i); word != 0 && visit->complete; word &= word - 1) {
            const uint64_t bit = i * 64 + (uint64_t)__builtin_ctzll(word);
            if (bit > UINT64_MAX - filter->key_base) goto done;
            RHUMB_TRY(list_add(visit, filter->key_base + bit));
        }
    }
done:
    return status;
}

rhumb_status rhumb__filter_visit_list(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__filter *filter,
                                      const rhumb__visitor *visitor, bool *complete_out) {
    rhumb_status status;
    RHUMB_ASSERT_DEBUG(rhumb__filter_is_list(filter));
    list_visit visit = {.graph = graph, .scratch = scratch, .visitor = visitor, .complete = true};
    RHUMB_TRY(filter->kind == RHUMB__FILTER_KEYS ? list_add_keys(&visit, filter) : list_add_bits(&visit, filter));
    status = list_flush(&visit);
done:
    *complete_out = visit.complete;
    return status;
}
