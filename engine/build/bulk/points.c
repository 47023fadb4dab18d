/* points.c - see points.h.
 *
 * Equal vectors are found by sorting hashes of their codes: those of one hash are compared. Vectors can be made of
 * which many have one code without being equal, so where a hash has many items, they are sorted again, by a hash of all
 * their bits that depends on a random number; the heads do not depend on it. Owns what it allocates. Takes no lock:
 * each thread writes rows, codes and hashes of items that are its own.
 */
#include "engine/build/bulk/points.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/parallel.h"
#include "base/status.h"
#include "engine/graph/params.h"
#include "engine/graph/ties.h"

#define ITEMS_PER_STEP 256u

/* Items of one hash that are compared each with each. */
#define COMPARED_MAX 8u

typedef struct hashed {
    uint64_t hash;
    uint32_t item;
} hashed;

typedef struct making {
    rhumb__bulk_loop loop;
    const rhumb__bulk_source *source; /* NULL: the rows are prepared */
    rhumb__bulk_points *points;
    hashed *hashes;
} making;

static_assert(sizeof(rhumb__code_constants) % sizeof(uint64_t) == 0, "codes are whole words");

/* A hash of a code: equal vectors have equal codes. */
static uint64_t hash_of(const rhumb__coder *coder, const uint8_t *code) {
    uint64_t hash = coder->code_bytes;
    for (uint32_t at = 0; at < coder->code_bytes; at += (uint32_t)sizeof hash) {
        uint64_t word;
        memcpy(&word, code + at, sizeof word);
        const unsigned __int128 product = (unsigned __int128)(hash ^ word) * UINT64_C(0x9E3779B97F4A7C15);
        hash = (uint64_t)product ^ (uint64_t)(product >> 64) ^ coder->code_bytes;
    }
    return hash;
}

static rhumb_status make_one(const making *m, uint32_t item, uint8_t *room) {
    const rhumb__bulk_points *points = m->points;
    uint8_t *row = points->own_rows == NULL ? room : points->own_rows + item * points->row_stride_bytes;
    if (m->source != NULL) {
        const rhumb__space *space = points->space;
        const uint8_t *vector = (const uint8_t *)m->source->vectors + item * (uint64_t)space->caller_bytes;
        const rhumb_status status = rhumb__space_prepare(space, vector, row);
        if (status != RHUMB_OK) return status;
    }
    uint8_t *code = points->codes + item * (size_t)points->coder.code_stride_bytes;
    points->coder.encoders.encode(&points->coder, row, code);
    m->hashes[item] = (hashed){.hash = hash_of(&points->coder, code), .item = item};
    return RHUMB_OK;
}

static rhumb_status make_some(void *context, uint32_t worker_index) {
    making *m = context;
    rhumb_status status = RHUMB_OK;
    uint64_t begin = 0;
    uint64_t end = 0;
    uint8_t *room = rhumb__alloc_aligned(m->points->space->row_stride_bytes, 1, 64);
    if (room == NULL) status = rhumb__fail(RHUMB_E_NOMEM, "no memory for a row");
    while (rhumb__bulk_take(&m->loop, worker_index, &begin, &end, &status)) {
        for (uint64_t i = begin; i < end && status == RHUMB_OK; i++) status = make_one(m, (uint32_t)i, room);
    }
    rhumb__free(room);
    return rhumb__bulk_end(&m->loop, status);
}

static int compare_hashed(const void *a, const void *b) {
    const hashed *x = a;
    const hashed *y = b;
    if (x->hash != y->hash) return x->hash < y->hash ? -1 : 1;
    return x->item < y->item ? -1 : x->item > y->item;
}

/* Compares the items of one hash, which ascend: nearly always the first is the head of all. */
static void compare_all(rhumb__bulk_points *points, const hashed *same, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        const uint32_t item = same[i].item;
        points->heads[item] = item;
        for (uint64_t k = 0; k < i; k++) {
            const uint32_t head = same[k].item;
            if (points->heads[head] != head) continue;
            if (!rhumb__space_equal(points->space, rhumb__bulk_row(points, item), rhumb__bulk_row(points, head)))
                continue;
            points->heads[item] = head;
            break;
        }
    }
}

static uint64_t end_of_hash(const hashed *hashes, uint64_t begin, uint64_t count) {
    uint64_t end = begin;
    while (end < count && hashes[end].hash == hashes[begin].hash) end++;
    return end;
}

/* Finds the heads among the items of one hash of a code. */
static void find_heads(rhumb__bulk_points *points, hashed *same, uint64_t count, uint64_t salt) {
    if (count <= COMPARED_MAX) {
        compare_all(points, same, count);
        return;
    }
    for (uint64_t i = 0; i < count; i++) {
        same[i].hash = rhumb__space_hash(points->space, rhumb__bulk_row(points, same[i].item), salt);
    }
    qsort(same, count, sizeof *same, compare_hashed);
    for (uint64_t begin = 0, end = 0; begin < count; begin = end) {
        end = end_of_hash(same, begin, count);
        compare_all(points, same + begin, end - begin);
    }
}

static void find_equal(rhumb__bulk_points *points, hashed *hashes, uint64_t salt) {
    /* Where no random number is to be had, the time that it takes can be made long, and nothing else. */
    uint64_t random = salt;
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random) random = salt;
    qsort(hashes, points->count, sizeof *hashes, compare_hashed);
    for (uint64_t begin = 0, end = 0; begin < points->count; begin = end) {
        end = end_of_hash(hashes, begin, points->count);
        find_heads(points, hashes + begin, end - begin, random);
    }
}

/* Whether the caller's vectors are rows as they are. */
static bool are_rows(const rhumb__bulk_source *source) {
    const rhumb__space *space = source->space;
    return space->row_bytes == space->caller_bytes && !space->normalise && (uintptr_t)source->vectors % 8 == 0 &&
           space->caller_bytes % 4 == 0;
}

/* `rows` are set. */
static rhumb_status allocate(rhumb__bulk_points *points) {
    points->codes = rhumb__alloc_aligned(points->count, points->coder.code_stride_bytes, 64);
    points->heads = rhumb__alloc_zeroed(points->count, sizeof *points->heads);
    points->sources = rhumb__alloc_zeroed(points->count, sizeof *points->sources);
    if (points->rows == NULL || points->codes == NULL || points->heads == NULL || points->sources == NULL)
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for %llu vectors", (unsigned long long)points->count);
    for (uint64_t i = 0; i < points->count; i++) points->sources[i] = (uint32_t)i;
    return RHUMB_OK;
}

/* Makes rows that are not prepared yet, codes and heads. */
static rhumb_status make_all(const rhumb__bulk_source *source, uint64_t salt, rhumb__bulk_run *run,
                             rhumb__bulk_points *points) {
    rhumb_status status;
    making m = {
        .loop = {.run = run, .limit = points->count, .step = ITEMS_PER_STEP}, .source = source, .points = points};
    RHUMB_ASSERT_DEBUG(points->count < RHUMB__SLOT_LIMIT);
    RHUMB_TRY(rhumb__coder_init(&points->coder, points->space, 8));
    RHUMB_TRY(allocate(points));
    m.hashes = rhumb__alloc_zeroed(points->count, sizeof *m.hashes);
    if (m.hashes == NULL) status = rhumb__fail(RHUMB_E_NOMEM, "no memory for hashes");
    if (status == RHUMB_OK) status = rhumb__parallel_run(run->thread_count, make_some, &m);
    if (status == RHUMB_OK) find_equal(points, m.hashes, salt);
done:
    rhumb__free(m.hashes);
    return status;
}

rhumb_status rhumb__bulk_points_make(const rhumb__bulk_source *source, rhumb__bulk_run *run,
                                     rhumb__bulk_points *points) {
    const rhumb__space *space = source->space;
    *points = (rhumb__bulk_points){
        .space = space, .count = source->count, .rows = source->vectors, .row_stride_bytes = space->caller_bytes};
    if (!are_rows(source)) {
        points->row_stride_bytes = space->row_stride_bytes;
        points->own_rows = rhumb__alloc_aligned(source->count, space->row_stride_bytes, 64);
        points->rows = points->own_rows;
    }
    return make_all(source, source->salt, run, points);
}

rhumb_status rhumb__bulk_points_take(const rhumb__bulk_placed *placed, rhumb__bulk_run *run,
                                     rhumb__bulk_points *points) {
    *points = (rhumb__bulk_points){.space = placed->space,
                                   .count = placed->count,
                                   .rows = placed->rows,
                                   .own_rows = placed->rows,
                                   .row_stride_bytes = placed->space->row_stride_bytes};
    return make_all(NULL, placed->salt, run, points);
}

/* The present numbers in the order of the next ones. */
static void list_items(const rhumb__bulk_points *points, const uint32_t *heads, uint64_t head_count, uint32_t *items) {
    memcpy(items, heads, head_count * sizeof *items);
    uint64_t next = head_count;
    for (uint64_t i = 0; i < points->count; i++) {
        if (points->heads[i] != i) items[next++] = (uint32_t)i;
    }
    RHUMB_ASSERT_DEBUG(next == points->count);
}

rhumb_status rhumb__bulk_points_renumber(rhumb__bulk_points *points, const uint32_t *heads, uint64_t head_count) {
    rhumb_status status = RHUMB_OK;
    const size_t stride = points->coder.code_stride_bytes;
    uint32_t *items = rhumb__alloc_zeroed(points->count, sizeof *items);
    uint32_t *numbers = rhumb__alloc_zeroed(points->count, sizeof *numbers); /* the next ones, by present number */
    uint32_t *new_heads = rhumb__alloc_zeroed(points->count, sizeof *new_heads);
    uint32_t *sources = rhumb__alloc_zeroed(points->count, sizeof *sources);
    uint8_t *codes = rhumb__alloc_aligned(points->count, stride, 64);
    if (items == NULL || numbers == NULL || new_heads == NULL || sources == NULL || codes == NULL) {
        status =
            rhumb__fail(RHUMB_E_NOMEM, "no memory for an order of %llu vectors", (unsigned long long)points->count);
        goto done;
    }
    list_items(points, heads, head_count, items);
    for (uint64_t i = 0; i < points->count; i++) numbers[items[i]] = (uint32_t)i;
    for (uint64_t i = 0; i < points->count; i++) {
        new_heads[i] = numbers[points->heads[items[i]]];
        sources[i] = points->sources[items[i]];
        memcpy(codes + i * stride, points->codes + items[i] * stride, stride);
    }
    rhumb__free(points->heads);
    rhumb__free(points->sources);
    rhumb__free(points->codes);
    points->heads = new_heads;
    points->sources = sources;
    points->codes = codes;
    new_heads = NULL;
    sources = NULL;
    codes = NULL;
done:
    rhumb__free(items);
    rhumb__free(numbers);
    rhumb__free(new_heads);
    rhumb__free(sources);
    rhumb__free(codes);
    return status;
}

/* From the last to the first, because each is put in front: chains lead upwards. */
void rhumb__bulk_points_hang(const rhumb__bulk_points *points, rhumb__graph *graph, uint32_t first_slot) {
    for (uint64_t i = points->count; i > 0; i--) {
        const uint32_t item = (uint32_t)i - 1;
        const uint32_t head = points->heads[item];
        if (head != item) rhumb__tie_hang(graph, first_slot + item, first_slot + head);
    }
}

void rhumb__bulk_points_free(rhumb__bulk_points *points) {
    rhumb__free(points->own_rows);
    rhumb__free(points->codes);
    rhumb__free(points->heads);
    rhumb__free(points->sources);
    *points = (rhumb__bulk_points){0};
}
