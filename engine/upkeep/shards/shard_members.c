/* shard_members.c - see shard_members.h. Owns its arrays. Takes no lock. */
#include "engine/upkeep/shards/shard_members.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "base/status.h"

/* What numbering needs. */
typedef struct numbering {
    rhumb__shard_member *records; /* of the members as the file has them */
    uint64_t *pairs;              /* of a slot and the place of its member in the file */
    uint32_t *numbers;            /* by that place */
} numbering;

/* Numbers the members [begin, end) by their slots, from `begin` on. */
static void number_by_slot(const numbering *n, const uint32_t *slots, uint64_t begin, uint64_t end,
                           rhumb__shard_members *members) {
    for (uint64_t i = begin; i < end; i++) n->pairs[i] = (uint64_t)slots[n->records[i].row] << 32 | i;
    qsort(n->pairs + begin, end - begin, sizeof *n->pairs, rhumb__compare_u64);
    for (uint64_t i = begin; i < end; i++) {
        members->slots[i] = (uint32_t)(n->pairs[i] >> 32);
        n->numbers[(uint32_t)n->pairs[i]] = (uint32_t)i;
    }
}

rhumb_status rhumb__shard_members_read(const rhumb__shard_steps *steps, uint32_t shard, rhumb__shard_members *members) {
    rhumb_status status;
    const rhumb__shard *counts = &steps->file->division->shards[shard];
    const uint64_t count = counts->home_count + counts->guest_count;
    *members = (rhumb__shard_members){.home_count = counts->home_count, .count = count};
    numbering n = {.records = rhumb__alloc_zeroed(count, sizeof *n.records),
                   .pairs = rhumb__alloc_zeroed(count, sizeof *n.pairs),
                   .numbers = rhumb__alloc_zeroed(count, sizeof *n.numbers)};
    members->slots = rhumb__alloc_zeroed(count, sizeof *members->slots);
    members->rows = rhumb__alloc_aligned(count, steps->graph->space.row_stride_bytes, 64);
    if (n.records == NULL || n.pairs == NULL || n.numbers == NULL || members->slots == NULL || members->rows == NULL) {
        status = rhumb__fail(RHUMB_E_NOMEM, "no memory for a shard of %llu vectors", (unsigned long long)count);
        goto done;
    }
    RHUMB_TRY(rhumb__shard_file_members(steps->file, shard, n.records));
    number_by_slot(&n, steps->slots, 0, members->home_count, members);
    number_by_slot(&n, steps->slots, members->home_count, count, members);
    status = rhumb__shard_file_rows(steps->file, shard, count, n.numbers, members->rows);
done:
    rhumb__free(n.records);
    rhumb__free(n.pairs);
    rhumb__free(n.numbers);
    return status;
}

uint64_t rhumb__shard_members_find(const rhumb__shard_members *members, uint32_t slot) {
    /* Homes have slots that follow each other. */
    if (members->home_count > 0 && slot - members->slots[0] < members->home_count) return slot - members->slots[0];
    uint64_t begin = members->home_count;
    uint64_t end = members->count;
    while (begin < end) {
        const uint64_t middle = begin + (end - begin) / 2;
        if (members->slots[middle] < slot)
            begin = middle + 1;
        else
            end = middle;
    }
    return begin < members->count && members->slots[begin] == slot ? begin : UINT64_MAX;
}

void rhumb__shard_members_free(rhumb__shard_members *members) {
    rhumb__free(members->slots);
    rhumb__free(members->rows);
    *members = (rhumb__shard_members){0};
}
