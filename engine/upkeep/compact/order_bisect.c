/* order_bisect.c - an order by recursive bisection, see order_internal.h.
 *
 * A part of the order is cut at the page boundary in its middle. A search that visits l slots of the left half and r of
 * the right one costs l log(n / (l + 1)) + r log(n / (r + 1)) bits, where n is the length of a half: least when it
 * stays on one side. The searches that visit a slot determine how much it would save on the other side. The slots that
 * tend most to the left get the left half (as in Mackenzie et al., "Tradeoff options for bipartite graph partitioning",
 * TKDE 2022, instead of sorting and swapping); this is repeated a few times. Then both halves are cut in the same way,
 * down to pages.
 *
 * Sums are integers and ties are broken by slot, so the number of threads does not change the result. A part is cut by
 * one thread, and parts share nothing but the arrays they lie in. The first few cuts are made round by round; then each
 * thread takes small parts and cuts them completely.
 *
 * At the end, rows that cross a page boundary, and so cost two pages, go to slots that few searches visit.
 *
 * Owns its arrays for the length of one call. Locks: none.
 */
#include "engine/upkeep/compact/order_internal.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/parallel.h"
#include "base/status.h"

#define PAGE_BYTES 4096u
#define PASS_COUNT 10u     /* over one part */
#define SETTLED_SHARE 200u /* a pass that moves less than one slot in so many was the last */
#define ROUND_COUNT 6u
#define STACK_COUNT 80u /* halves yet to be cut: one for each level of the recursion */
#define SCORE_SCALE 256.0

typedef struct part {
    uint64_t begin;
    uint64_t end;
} part;

/* The visits of one search in a part, and what follows from them. */
typedef struct tally {
    uint16_t left; /* visits in each half */
    uint16_t right;
    int16_t left_score; /* added to the score of a slot that lies left, right */
    int16_t right_score;
} tally;

/* Tallies are small, so that all of them fit into the cache: the visits of a search, and their scaled logarithm, are
 * far below these limits. */
static_assert(RHUMB__VISITS_OF_SEARCH_MAX < 10000, "tallies and scores of one search are 16 bits");

typedef struct desk {
    tally *tallies;    /* by search; zeros between parts */
    uint32_t *touched; /* searches whose tallies are not zero */
    uint64_t touched_count;
} desk;

typedef struct bisection {
    rhumb__visits *visits; /* those of a slot change: by the thread that cuts its part */
    const rhumb__row_layout *layout;
    uint32_t *order;
    uint64_t *keys;     /* by place in the order */
    int32_t *last_bits; /* by number of visits: what the last of them adds to a half's cost, scaled */
    part parts[1u << ROUND_COUNT];
    uint32_t part_count;
    bool to_the_end;
    _Atomic uint32_t next;
    const rhumb__order_work *work;
} bisection;

/* ---- one part ---- */

static uint64_t visit_count(const rhumb__visits *visits, uint32_t slot) {
    return atomic_load_explicit(&visits->count[slot], memory_order_relaxed);
}

/* The number of visits before any were forgotten. */
static uint64_t sampled_count(const rhumb__visits *visits, uint32_t slot) {
    return visits->begin[slot + UINT64_C(1)] - visits->begin[slot];
}

/* Where to cut the part; its beginning when it lies in one page or has only one slot. */
static uint64_t middle_of(const rhumb__row_layout *layout, part p) {
    const uint64_t stride_bytes = layout->stride_bytes;
    const uint64_t first_page = p.begin * stride_bytes / PAGE_BYTES;
    const uint64_t end_page = rhumb__divide_up(p.end * stride_bytes, PAGE_BYTES);
    if (end_page - first_page <= 1 || p.end - p.begin <= 1) return p.begin;
    const uint64_t middle = rhumb__divide_up((first_page + end_page) / 2 * PAGE_BYTES, stride_bytes);
    return middle > p.begin && middle < p.end ? middle : p.begin + (p.end - p.begin) / 2;
}

/* A search with a single visit in a part does not matter to it, nor to the parts that it is cut into. */
static void forget_lonely_searches(const bisection *b, const desk *d, part p) {
    for (uint64_t i = p.begin; i < p.end; i++) {
        const uint32_t slot = b->order[i];
        uint32_t *searches = b->visits->searches + b->visits->begin[slot];
        uint32_t kept_count = 0;
        const uint64_t count = visit_count(b->visits, slot);
        for (uint64_t k = 0; k < count; k++) {
            const tally *t = &d->tallies[searches[k]];
            if (t->left + t->right > 1) searches[kept_count++] = searches[k];
        }
        atomic_store_explicit(&b->visits->count[slot], kept_count, memory_order_relaxed);
    }
}

static void count_visits(const bisection *b, desk *d, uint64_t begin, uint64_t end, bool right) {
    for (uint64_t i = begin; i < end; i++) {
        const uint32_t *searches = b->visits->searches + b->visits->begin[b->order[i]];
        const uint64_t count = visit_count(b->visits, b->order[i]);
        for (uint64_t k = 0; k < count; k++) {
            tally *t = &d->tallies[searches[k]];
            if (t->left == 0 && t->right == 0) d->touched[d->touched_count++] = searches[k];
            if (right) {
                t->right++;
            } else {
                t->left++;
            }
        }
    }
}

static void score_searches(const bisection *b, desk *d) {
    for (uint64_t i = 0; i < d->touched_count; i++) {
        tally *t = &d->tallies[d->touched[i]];
        t->left_score = (int16_t)(t->left == 0 ? 0 : b->last_bits[t->left] - b->last_bits[t->right + 1]);
        t->right_score = (int16_t)(t->right == 0 ? 0 : b->last_bits[t->left + 1] - b->last_bits[t->right]);
    }
}

/* The lower its score, the more a slot tends to the left. A key holds the score, the half that the slot lies in, and
 * the slot, from the highest bits to the lowest: so no two keys are equal, and slots of equal scores stay where they
 * are. */
static void score_slots(const bisection *b, const desk *d, uint64_t begin, uint64_t end, bool right) {
    for (uint64_t i = begin; i < end; i++) {
        const uint32_t slot = b->order[i];
        const uint32_t *searches = b->visits->searches + b->visits->begin[slot];
        const uint64_t count = visit_count(b->visits, slot);
        int64_t score = 0;
        for (uint64_t k = 0; k < count; k++) {
            const tally *t = &d->tallies[searches[k]];
            score += right ? t->right_score : t->left_score;
        }
        if (score > INT32_MAX) score = INT32_MAX;
        if (score < INT32_MIN) score = INT32_MIN;
        b->keys[i] = (uint64_t)(score - INT32_MIN) << 32 | (uint64_t)right << 31 | slot;
    }
}

static void clear_tallies(desk *d) {
    for (uint64_t i = 0; i < d->touched_count; i++) d->tallies[d->touched[i]] = (tally){0};
    d->touched_count = 0;
}

/* The key that exactly `rank` others are smaller than; all are different. Selects digit by digit, so that no choice of
 * keys makes it slow; skips digits that all keys have in common, and ends when one key is left. */
static uint64_t key_of_rank(const uint64_t *keys, uint64_t count, uint64_t rank) {
    uint64_t differing = 0;
    for (uint64_t i = 0; i < count; i++) differing |= keys[i] ^ keys[0];
    uint32_t shift = 64; /* the bits from here up are decided: they are `prefix` */
    while (shift > 8 && differing >> (shift - 8) == 0) shift -= 8;
    uint64_t prefix = shift == 64 ? 0 : keys[0] >> shift;
    for (uint64_t left_count = count; shift > 0 && left_count > 1;) {
        uint64_t counts[256] = {0};
        shift -= 8;
        for (uint64_t i = 0; i < count; i++) {
            if ((keys[i] >> shift) >> 8 == prefix) counts[keys[i] >> shift & 0xFF]++;
        }
        uint64_t digit = 0;
        for (; rank >= counts[digit]; digit++) rank -= counts[digit];
        prefix = prefix << 8 | digit;
        left_count = counts[digit];
    }
    for (uint64_t i = 0; i < count; i++) {
        if (shift < 64 && keys[i] >> shift == prefix) return keys[i];
    }
    return keys[0];
}

/* Moves the slots with the lowest keys to the left half. Returns how many came from the right half. */
static uint64_t divide(const bisection *b, part p, uint64_t middle) {
    const uint64_t bound = key_of_rank(b->keys + p.begin, p.end - p.begin, middle - p.begin);
    uint64_t left = p.begin;
    uint64_t right = middle;
    uint64_t moved_count = 0;
    for (uint64_t i = p.begin; i < p.end; i++) {
        const uint64_t key = b->keys[i];
        const bool goes_left = key < bound;
        moved_count += goes_left && i >= middle ? 1 : 0;
        b->order[goes_left ? left++ : right++] = (uint32_t)key & INT32_MAX;
    }
    return moved_count;
}

static void cut(const bisection *b, desk *d, part p, uint64_t middle) {
    for (uint32_t pass = 0; pass < PASS_COUNT; pass++) {
        count_visits(b, d, p.begin, middle, false);
        count_visits(b, d, middle, p.end, true);
        if (pass == 0) forget_lonely_searches(b, d, p);
        score_searches(b, d);
        score_slots(b, d, p.begin, middle, false);
        score_slots(b, d, middle, p.end, true);
        clear_tallies(d);
        if (divide(b, p, middle) * SETTLED_SHARE < p.end - p.begin) return;
    }
}

/* Cuts a part, its halves, and so on down to pages. */
static void cut_to_the_end(const bisection *b, desk *d, part whole) {
    part stack[STACK_COUNT];
    uint32_t depth = 0;
    stack[depth++] = whole;
    while (depth > 0) {
        const part p = stack[--depth];
        const uint64_t middle = middle_of(b->layout, p);
        if (middle == p.begin) continue;
        cut(b, d, p, middle);
        RHUMB_ASSERT(depth + 2 <= STACK_COUNT);
        stack[depth++] = (part){middle, p.end};
        stack[depth++] = (part){p.begin, middle};
    }
}

/* ---- all parts ---- */

static rhumb_status cutting_worker(void *context, uint32_t worker_index) {
    bisection *b = context;
    rhumb_status status = RHUMB_OK;
    desk d = {.tallies = rhumb__alloc_zeroed(b->visits->search_count, sizeof *d.tallies),
              .touched = rhumb__alloc_zeroed(b->visits->search_count, sizeof *d.touched)};
    if (d.tallies == NULL || d.touched == NULL) {
        status = rhumb__fail(RHUMB_E_NOMEM, "no memory for %llu searches", (unsigned long long)b->visits->search_count);
        goto done;
    }
    for (;;) {
        const uint32_t i = atomic_fetch_add_explicit(&b->next, 1, memory_order_relaxed);
        if (i >= b->part_count) break;
        const uint64_t middle = middle_of(b->layout, b->parts[i]);
        if (b->to_the_end) {
            cut_to_the_end(b, &d, b->parts[i]);
        } else if (middle != b->parts[i].begin) {
            cut(b, &d, b->parts[i], middle);
        }
        RHUMB_TRY(rhumb__order_check(b->work, worker_index));
    }
done:
    if (status != RHUMB_OK) atomic_store(&b->next, b->part_count);
    rhumb__free(d.tallies);
    rhumb__free(d.touched);
    return status;
}

/* Replaces every part by its halves. */
static void halve_parts(bisection *b) {
    for (uint32_t i = b->part_count; i > 0; i--) {
        const part p = b->parts[i - 1];
        const uint64_t middle = middle_of(b->layout, p);
        b->parts[2 * i - 1] = (part){middle, p.end};
        b->parts[2 * i - 2] = (part){p.begin, middle};
    }
    b->part_count *= 2;
}

static bool crosses_pages(const rhumb__row_layout *layout, uint64_t row) {
    const uint64_t begin = row * layout->stride_bytes;
    return begin / PAGE_BYTES != (begin + layout->row_bytes - 1) / PAGE_BYTES;
}

/* Rows that lie across a page boundary go to the slots that are visited least among those around. */
static void give_crossing_rows(const bisection *b, uint64_t count) {
    const uint64_t reach = PAGE_BYTES / 2 / b->layout->stride_bytes;
    for (uint64_t row = 0; row < count && reach > 0; row++) {
        if (!crosses_pages(b->layout, row)) continue;
        uint64_t best = row;
        const uint64_t end = rhumb__min_u64(count, row + reach + 1);
        for (uint64_t i = row < reach ? 0 : row - reach; i < end; i++) {
            if (crosses_pages(b->layout, i)) continue;
            if (sampled_count(b->visits, b->order[i]) < sampled_count(b->visits, b->order[best])) best = i;
        }
        const uint32_t slot = b->order[row];
        b->order[row] = b->order[best];
        b->order[best] = slot;
    }
}

static rhumb_status bisection_init(bisection *b, uint64_t count) {
    const uint64_t bits_count = RHUMB__VISITS_OF_SEARCH_MAX + UINT64_C(2);
    b->keys = rhumb__alloc_zeroed(rhumb__max_u64(count, 1), sizeof *b->keys);
    b->last_bits = rhumb__alloc_zeroed(bits_count, sizeof *b->last_bits);
    if (b->keys == NULL || b->last_bits == NULL) {
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for an order of %llu slots", (unsigned long long)count);
    }
    /* The cost with i visits minus that with i - 1; log n, which all have in common, is left out. */
    for (uint64_t i = 1; i < bits_count; i++) {
        const double visits = (double)i;
        b->last_bits[i] = (int32_t)lround(SCORE_SCALE * ((visits - 1) * log2(visits) - visits * log2(visits + 1)));
    }
    return RHUMB_OK;
}

rhumb_status rhumb__order_bisect(rhumb__visits *visits, const rhumb__row_layout *layout, const rhumb__order_work *work,
                                 uint32_t *order, uint64_t count) {
    rhumb_status status = RHUMB_OK;
    bisection b = {
        .visits = visits, .layout = layout, .work = work, .order = order, .parts = {{0, count}}, .part_count = 1};
    if (count == 0 || visits->search_count == 0) return RHUMB_OK;
    RHUMB_TRY(bisection_init(&b, count));
    for (uint32_t round = 0; round < ROUND_COUNT; round++) {
        atomic_store(&b.next, 0);
        RHUMB_TRY(rhumb__parallel_run(work->thread_count, cutting_worker, &b));
        halve_parts(&b);
    }
    b.to_the_end = true;
    atomic_store(&b.next, 0);
    RHUMB_TRY(rhumb__parallel_run(work->thread_count, cutting_worker, &b));
    give_crossing_rows(&b, count);
done:
    rhumb__free(b.keys);
    rhumb__free(b.last_bits);
    return status;
}
