/* regroup.c - see regroup.h.
 *
 * An open-addressing hash table of heads. An entry holds the upper half of the hash and 1 + the slot, so vectors are
 * compared only where 32 bits more agree than lead to the entry. At most half of the entries are used. Hashes depend on
 * a random number, so that vectors cannot be made to have all the same; the groups do not.
 *
 * Owns the table for the length of the call. Locks: those of storing ties.
 */
#include "engine/upkeep/regroup.h"

#include <sys/random.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/status.h"
#include "engine/graph/ties.h"

#define ENTRY_COUNT_MIN 16u

/* Vectors between two looks at whether to stop. */
#define VECTORS_PER_CHECK 256u

#define HASH_MASK UINT64_C(0xFFFFFFFF00000000)

typedef struct head_table {
    uint64_t *entries; /* 0: free */
    uint64_t entry_count;
    uint64_t salt;
} head_table;

/* The head of the vector at `slot`: itself if none is equal, and then it is in the table. */
static uint32_t head_of(const head_table *table, const rhumb__graph *graph, uint32_t slot) {
    const void *row = rhumb__graph_vector(graph, slot);
    const uint64_t hash = rhumb__space_hash(&graph->space, row, table->salt);
    const uint64_t entry = (hash & HASH_MASK) | ((uint64_t)slot + 1);
    for (uint64_t at = hash;; at++) {
        uint64_t *place = &table->entries[at & (table->entry_count - 1)];
        if (*place == 0) {
            *place = entry;
            return slot;
        }
        const uint32_t head = (uint32_t)*place - 1;
        const bool may_be_equal = (*place & HASH_MASK) == (hash & HASH_MASK);
        if (may_be_equal && rhumb__space_equal(&graph->space, row, rhumb__graph_vector(graph, head))) return head;
    }
}

rhumb_status rhumb__regroup(rhumb__graph *graph, rhumb__progress *progress) {
    rhumb_status status = RHUMB_OK;
    const uint64_t slot_count = graph->counts.slot_count;
    head_table table = {.entry_count = ENTRY_COUNT_MIN};
    /* Where no random number is to be had, the time that it takes can be made long, and nothing else. */
    if (getrandom(&table.salt, sizeof table.salt, 0) != (ssize_t)sizeof table.salt) table.salt = graph->params.seed;
    while (table.entry_count < 2 * slot_count) table.entry_count *= 2;
    table.entries = rhumb__alloc_zeroed(table.entry_count, sizeof *table.entries);
    if (table.entries == NULL) {
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for comparing %llu vectors", (unsigned long long)slot_count);
    }
    for (uint64_t i = 0; i < slot_count; i++) {
        const uint32_t slot = (uint32_t)i;
        const uint32_t head = head_of(&table, graph, slot);
        RHUMB_ASSERT_DEBUG(head <= slot && rhumb__tie_load(graph, slot) == 0);
        if (head != slot) rhumb__tie_hang(graph, slot, head);
        if (i % VECTORS_PER_CHECK == 0) RHUMB_TRY(rhumb__progress_advance(progress, 0));
    }
done:
    rhumb__free(table.entries);
    return status;
}
