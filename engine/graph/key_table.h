/* key_table.h - from the user's key to its slot: a hash table that lives in the file and grows one bucket at a time.
 *
 * Linear hashing (Litwin, "Linear hashing: a new tool for file and table addressing", VLDB 1980). With N buckets and P
 * the largest power of two not above N, key hash h belongs to bucket h mod 2P if that is below N, to h mod P otherwise.
 * Growing by one splits bucket N - P into itself and bucket N, so growth appends to a section and never rehashes the
 * whole table.
 *
 * A bucket is a row of 256 bytes with 48 places; a full bucket continues in a row of the overflow section. A place
 * holds a slot and one byte of the hash; the key itself is read from the keys section when that byte matches.
 *
 * Locking: a bucket and its overflow rows are guarded by the lock of the bucket's chunk. A thread that has taken it
 * must check again that the key belongs there (rhumb__key_table_lock does). Overflow rows are written under the lock of
 * their own chunk as well, because checkpoints copy them chunk by chunk. split_lock guards growth. A read-only handle
 * locks nothing, because nothing changes.
 */
#ifndef RHUMB_ENGINE_GRAPH_KEY_TABLE_H
#define RHUMB_ENGINE_GRAPH_KEY_TABLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bits.h"
#include "base/lock.h"
#include "storage/section.h"

#define RHUMB__KEY_BUCKET_PLACES 48u
#define RHUMB__KEY_BUCKET_COUNT_MIN 8u

typedef struct rhumb__key_bucket {
    uint32_t next;  /* overflow row that continues this one, plus 1; 0: none */
    uint32_t count; /* places in use, from the first on */
    uint8_t tags[RHUMB__KEY_BUCKET_PLACES];
    uint32_t slots[RHUMB__KEY_BUCKET_PLACES];
    uint8_t reserved[8];
} rhumb__key_bucket;

static_assert(sizeof(rhumb__key_bucket) == 256, "key bucket size");
static_assert(offsetof(rhumb__key_bucket, next) == 0, "key bucket layout");
static_assert(offsetof(rhumb__key_bucket, count) == 4, "key bucket layout");
static_assert(offsetof(rhumb__key_bucket, tags) == 8, "key bucket layout");
static_assert(offsetof(rhumb__key_bucket, slots) == 56, "key bucket layout");
static_assert(offsetof(rhumb__key_bucket, reserved) == 248, "key bucket layout");

typedef struct rhumb__key_table {
    rhumb__section *buckets;
    rhumb__section *overflow;
    const rhumb__section *keys;       /* to compare with */
    const rhumb__section *tombstones; /* slots of deleted nodes lead nowhere */
    uint64_t salt;
    bool writable;
    const _Atomic uint64_t *slot_limit; /* the graph's: slots below it can be read */
    _Atomic uint64_t bucket_count;      /* grows under split_lock and the lock of the bucket that is split */
    rhumb__mutex split_lock;
    rhumb__mutex overflow_lock; /* guards the three below */
    uint64_t overflow_count;    /* overflow rows ever used */
    uint32_t *overflow_free;    /* of these, rows that are empty and belong to no bucket; not stored in the file */
    uint32_t overflow_free_count;
    uint32_t overflow_free_capacity;
} rhumb__key_table;

/* The number that is mixed into the hash of every key, from the seed of the index. */
static inline uint64_t rhumb__key_table_salt(uint64_t seed) {
    return rhumb__mix64(seed ^ UINT64_C(0x6B6579735F74626C));
}
static inline uint64_t rhumb__key_table_hash(uint64_t salt, uint64_t key) { return rhumb__mix64(key ^ salt); }

/* The byte of the hash that the bucket stores: bits that the bucket number does not use. */
static inline uint8_t rhumb__key_table_tag(uint64_t hash) { return (uint8_t)(hash >> 56); }

/* The bucket of one key, while it is locked. */
typedef struct rhumb__key_place {
    uint64_t hash;
    uint64_t bucket;
} rhumb__key_place;

/* Locks the bucket of `key`. */
void rhumb__key_table_lock(rhumb__key_table *table, uint64_t key, rhumb__key_place *place);
void rhumb__key_table_unlock(rhumb__key_table *table, const rhumb__key_place *place);

/* The slot of `key`, or RHUMB__SLOT_NONE. Between lock and unlock, except in a read-only handle. Skips slots whose node
 * is deleted, which may stay in the table for a while (see engine/build/removal.c). Of two live nodes, which an upsert
 * may leave briefly while a checkpoint runs, it returns the newer. */
uint32_t rhumb__key_table_find_locked(rhumb__key_table *table, const rhumb__key_place *place, uint64_t key);

/* Lock, find, unlock; or only find in a read-only handle. */
uint32_t rhumb__key_table_find(rhumb__key_table *table, uint64_t key);

/* Makes room for one more slot in the locked bucket. After RHUMB_OK, rhumb__key_table_add cannot fail. RHUMB_E_FULL,
 * RHUMB_E_NOMEM. */
rhumb_status rhumb__key_table_reserve(rhumb__key_table *table, const rhumb__key_place *place) RHUMB_NODISCARD;

/* Adds a slot whose key has been written to the keys section. Between reserve and unlock. */
void rhumb__key_table_add(rhumb__key_table *table, const rhumb__key_place *place, uint32_t slot);

/* Removes the slot of a key, which is there, from the locked bucket. */
void rhumb__key_table_remove(rhumb__key_table *table, const rhumb__key_place *place, uint32_t slot);

/* Splits buckets towards the size that `key_count` keys need, a few at most. Does nothing while another thread splits
 * or a checkpoint copies the table, or when memory is short: the table is merely fuller then, until a later call. */
void rhumb__key_table_grow(rhumb__key_table *table, uint64_t key_count);

/* Splits buckets until the table has that size, after growth was held up. Under split_lock. */
void rhumb__key_table_grow_fully(rhumb__key_table *table, uint64_t key_count);

/* The bucket of a hash when there are `bucket_count` buckets. */
uint64_t rhumb__key_table_bucket(uint64_t hash, uint64_t bucket_count);

/* The next row of a bucket's chain after `previous`: the bucket itself for hop 0, NULL after the last row. Ends at a
 * row out of range, and after as many rows as the overflow section has. For key_table.c and for verify. */
const rhumb__key_bucket *rhumb__key_table_row(const rhumb__key_table *table, uint64_t bucket,
                                              const rhumb__key_bucket *previous, uint64_t hop);

#endif /* RHUMB_ENGINE_GRAPH_KEY_TABLE_H */
