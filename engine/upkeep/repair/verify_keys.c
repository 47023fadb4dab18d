/* verify_keys.c - checks the key table, see verify_internal.h.
 *
 * Every row is read once, whatever the chains of a damaged table do: a chain ends where it leads to a row that a chain
 * has led to before. No key is looked up: of each entry it is seen whether it lies in the bucket of its key, and the
 * keys of a bucket are sorted to find two that are equal. So the time is that of a sound table of the same size, and
 * there are no more errors than entries and slots.
 *
 * Owns the marks of the rows, and the keys of one bucket. Locks: those of the caller. It fails for want of memory, or
 * when the caller cancels.
 */
#include "engine/upkeep/repair/verify_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "base/status.h"
#include "engine/graph/tombstones.h"

typedef struct key_check {
    rhumb__verifier *v;
    uint64_t bucket_count;
    uint64_t overflow_count;
    uint64_t *passed; /* one bit per overflow row: a chain has led there */
    uint64_t *keys;   /* of the live nodes of one bucket */
    uint64_t key_count;
    uint64_t key_capacity;
} key_check;

static rhumb_status gather(key_check *c, uint64_t key) {
    if (c->key_count == c->key_capacity) {
        const uint64_t capacity = rhumb__max_u64(2 * c->key_capacity, RHUMB__KEY_BUCKET_PLACES);
        uint64_t *keys = rhumb__alloc_resize(c->keys, capacity, sizeof *keys);
        if (keys == NULL) {
            return rhumb__fail(RHUMB_E_NOMEM, "no memory for %llu keys of a bucket", (unsigned long long)capacity);
        }
        c->keys = keys;
        c->key_capacity = capacity;
    }
    c->keys[c->key_count++] = key;
    return RHUMB_OK;
}

static rhumb_status check_entry(key_check *c, uint64_t bucket, uint32_t slot, uint8_t tag) {
    rhumb__verifier *v = c->v;
    if (slot >= v->slot_count || (v->marks[slot] & RHUMB__MARK_KEYED) != 0) {
        rhumb__verify_note(v, "key bucket %llu: slot %u does not exist, or is listed twice", (unsigned long long)bucket,
                           slot);
        return RHUMB_OK;
    }
    v->marks[slot] |= RHUMB__MARK_KEYED;
    const uint64_t key = rhumb__graph_key(v->graph, slot);
    const uint64_t hash = rhumb__key_table_hash(v->graph->key_table.salt, key);
    if (rhumb__key_table_bucket(hash, c->bucket_count) != bucket || rhumb__key_table_tag(hash) != tag) {
        rhumb__verify_note(v, "key bucket %llu: key %llu of slot %u does not belong there", (unsigned long long)bucket,
                           (unsigned long long)key, slot);
    }
    return rhumb__graph_is_dead(v->graph, slot) ? RHUMB_OK : gather(c, key);
}

static rhumb_status check_row(key_check *c, uint64_t bucket, const rhumb__key_bucket *row) {
    if (row->count > RHUMB__KEY_BUCKET_PLACES) {
        rhumb__verify_note(c->v, "key bucket %llu: %u entries", (unsigned long long)bucket, row->count);
    }
    for (uint32_t i = 0; i < row->count && i < RHUMB__KEY_BUCKET_PLACES; i++) {
        const rhumb_status status = check_entry(c, bucket, row->slots[i], row->tags[i]);
        if (status != RHUMB_OK) return status;
    }
    return RHUMB_OK;
}

static int compare_keys(const void *a, const void *b) {
    uint64_t left = 0;
    uint64_t right = 0;
    memcpy(&left, a, sizeof left);
    memcpy(&right, b, sizeof right);
    return (left > right) - (left < right);
}

static void find_equal_keys(key_check *c) {
    if (c->key_count < 2) return;
    qsort(c->keys, c->key_count, sizeof *c->keys, compare_keys);
    for (uint64_t i = 1; i < c->key_count; i++) {
        if (c->keys[i - 1] != c->keys[i]) continue;
        rhumb__verify_note(c->v, "key %llu leads to two nodes", (unsigned long long)c->keys[i]);
    }
}

static rhumb_status check_bucket(key_check *c, uint64_t bucket) {
    const rhumb__key_table *table = &c->v->graph->key_table;
    c->key_count = 0;
    const rhumb__key_bucket *row = rhumb__section_row(table->buckets, bucket);
    for (;;) {
        const rhumb_status status = check_row(c, bucket, row);
        if (status != RHUMB_OK) return status;
        if (row->next == 0) break;
        const uint64_t next = (uint64_t)row->next - 1;
        if (next >= c->overflow_count || rhumb__bit_get(c->passed, next)) {
            rhumb__verify_note(c->v, "key bucket %llu: its chain is circular, or leads to row %llu, which %s",
                               (unsigned long long)bucket, (unsigned long long)next,
                               next >= c->overflow_count ? "does not exist" : "another chain has too");
            break;
        }
        rhumb__bit_set(c->passed, next);
        row = rhumb__section_row(table->overflow, next);
    }
    find_equal_keys(c);
    return RHUMB_OK;
}

/* Every live slot must be in the key table, and no deleted one. */
static void check_slots(rhumb__verifier *v) {
    uint64_t dead_count = 0;
    for (uint64_t i = 0; i < v->slot_count; i++) {
        const uint32_t slot = (uint32_t)i;
        const uint64_t key = rhumb__graph_key(v->graph, slot);
        const bool keyed = (v->marks[slot] & RHUMB__MARK_KEYED) != 0;
        if (rhumb__graph_is_dead(v->graph, slot)) {
            dead_count++;
            if (!keyed) continue;
            rhumb__verify_note(v, "slot %u: deleted, but key %llu leads to it", slot, (unsigned long long)key);
            continue;
        }
        if (key == RHUMB_KEY_NONE) {
            rhumb__verify_note(v, "slot %u: its key %llu stands for \"no result\" in answers; delete it", slot,
                               (unsigned long long)key);
        }
        if (keyed) continue;
        rhumb__verify_note(v, "slot %u: its key %llu does not lead to it", slot, (unsigned long long)key);
    }
    if (dead_count == atomic_load(&v->graph->dead_count)) return;
    rhumb__verify_note(v, "deleted nodes: %llu expected, %llu found",
                       (unsigned long long)atomic_load(&v->graph->dead_count), (unsigned long long)dead_count);
}

rhumb_status rhumb__verify_keys(rhumb__verifier *v) {
    rhumb_status status = RHUMB_OK;
    const rhumb__key_table *table = &v->graph->key_table;
    key_check c = {
        .v = v,
        .bucket_count = atomic_load(&table->bucket_count),
        .overflow_count = atomic_load(&table->overflow->row_capacity),
    };
    c.passed = rhumb__alloc_zeroed(c.overflow_count / 64 + 1, sizeof *c.passed);
    if (c.passed == NULL) {
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for marks of %llu rows", (unsigned long long)c.overflow_count);
    }
    for (uint64_t bucket = 0; bucket < c.bucket_count; bucket++) {
        RHUMB_TRY(check_bucket(&c, bucket));
        RHUMB_TRY(rhumb__verify_advance(v, v->slot_count * (bucket + 1) / c.bucket_count));
    }
    check_slots(v);
done:
    rhumb__free(c.passed);
    rhumb__free(c.keys);
    return status;
}
