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

static uint64_t *entry_at(const head_table *table, uint64_t at) {
    return &table->entries[at & (table->entry_count - 1)];
}

/* Where the table has the head of the vector at `slot`. If it has none, the slot itself is entered. */
static uint64_t *find_head(const head_table *table, const rhumb__graph *graph, uint32_t slot) {
    const void *row = rhumb__graph_vector(graph, slot);
    const uint64_t hash = rhumb__space_hash(&graph->space, row, table->salt);
    uint64_t at = hash;
    for (; *entry_at(table, at) != 0; at++) {
        const uint64_t entry = *entry_at(table, at);
        const bool may_be_equal = (entry & HASH_MASK) == (hash & HASH_MASK);
        if (may_be_equal && rhumb__space_equal(&graph->space, row, rhumb__graph_vector(graph, (uint32_t)entry - 1)))
            return entry_at(table, at);
    }
    *entry_at(table, at) = (hash & HASH_MASK) | ((uint64_t)slot + 1);
    return entry_at(table, at);
}

static uint32_t head_of(const uint64_t *entry) { return (uint32_t)*entry - 1; }

static void replace_head(uint64_t *entry, uint32_t slot) { *entry = (*entry & HASH_MASK) | ((uint64_t)slot + 1); }

static rhumb_status make_table(const rhumb__graph *graph, head_table *table) {
    const uint64_t slot_count = graph->counts.slot_count;
    /* Where no random number is to be had, the time that it takes can be made long, and nothing else. */
    if (getrandom(&table->salt, sizeof table->salt, 0) != (ssize_t)sizeof table->salt) table->salt = graph->params.seed;
    table->entry_count = ENTRY_COUNT_MIN;
    while (table->entry_count < 2 * slot_count) table->entry_count *= 2;
    table->entries = rhumb__alloc_zeroed(table->entry_count, sizeof *table->entries);
    if (table->entries != NULL) return RHUMB_OK;
    return rhumb__fail(RHUMB_E_NOMEM, "no memory for comparing %llu vectors", (unsigned long long)slot_count);
}

rhumb_status rhumb__regroup(rhumb__graph *graph, rhumb__progress *progress) {
    rhumb_status status;
    head_table table = {0};
    RHUMB_TRY(make_table(graph, &table));
    for (uint64_t i = 0; i < graph->counts.slot_count; i++) {
        const uint32_t slot = (uint32_t)i;
        const uint32_t head = head_of(find_head(&table, graph, slot));
        RHUMB_ASSERT_DEBUG(head <= slot && rhumb__tie_load(graph, slot) == 0);
        if (head != slot) rhumb__tie_hang(graph, slot, head);
        if (i % VECTORS_PER_CHECK == 0) RHUMB_TRY(rhumb__progress_advance(progress, 0));
    }
done:
    rhumb__free(table.entries);
    return status;
}

rhumb_status rhumb__regroup_find(const rhumb__graph *graph, const rhumb__regroup_parts *parts,
                                 rhumb__progress *progress) {
    rhumb_status status;
    head_table table = {0};
    RHUMB_TRY(make_table(graph, &table));
    for (uint32_t part = 0; part < parts->count; part++) {
        for (uint32_t slot = parts->begins[part]; slot < parts->begins[part + 1]; slot++) {
            uint64_t *entry = find_head(&table, graph, slot);
            parts->lower[slot] = head_of(entry);
            if (head_of(entry) < parts->begins[part]) replace_head(entry, slot);
            if (slot % VECTORS_PER_CHECK == 0) RHUMB_TRY(rhumb__progress_advance(progress, 0));
        }
    }
done:
    rhumb__free(table.entries);
    return status;
}
