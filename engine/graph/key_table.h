/* key_table.h - from the user's key to its slot: a hash table that lives in the file and grows one bucket at a time.
 *
 * Linear hashing (Litwin, "Linear hashing: a new tool for file and table addressing", VLDB 1980). With N buckets and P
 * the largest power of two not above N, key hash h belongs to bucket h mod 2P if that is below N, to h mod P otherwise.
 * Growing by one splits bucket N - P into itself and bucket N, so growth is an append to a section and nobody ever
 * waits for a rehash of the whole.
 *
 * A bucket is a row of 256 bytes with 48 places; one that is full continues in a row of the overflow section. Buckets
 * hold slots and one byte of the hash each; the key itself is read from the keys section when that byte matches.
 *
 * Locking: a bucket and its overflow rows are guarded by the lock of the bucket's chunk; whoever takes it must look
 * again whether the key still belongs there (rhumb__key_table_lock does). Overflow rows are written under the lock of
 * their own chunk as well, for the checkpoint's sake. split_lock guards growth. In a read-only handle nothing is
 * locked, because nothing changes.
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
    rhumb__section buckets;
    rhumb__section overflow;
    const rhumb__section *keys;       /* to compare with */
    const rhumb__section *tombstones; /* slots of deleted nodes lead nowhere */
    uint64_t salt;
    bool writable;
    const _Atomic uint64_t *slot_limit; /* the graph's: slots that may be looked at are below it */
    _Atomic uint64_t bucket_count;      /* grows under split_lock and the lock of the bucket that is split */
    rhumb__mutex split_lock;
    rhumb__mutex overflow_lock; /* guards the three below */
    uint64_t overflow_count;    /* overflow rows ever used */
    uint32_t *overflow_free;    /* of these, rows that are empty and belong to no bucket; not kept across opens */
    uint32_t overflow_free_count;
    uint32_t overflow_free_capacity;
} rhumb__key_table;

/* What is mixed into every key's hash, from the seed of the index. */
static inline uint64_t rhumb__key_table_salt(uint64_t seed) {
    return rhumb__mix64(seed ^ UINT64_C(0x6B6579735F74626C));
}
static inline uint64_t rhumb__key_table_hash(uint64_t salt, uint64_t key) { return rhumb__mix64(key ^ salt); }

/* The part of the hash that is kept in the bucket: bits that the bucket number does not use. */
static inline uint8_t rhumb__key_table_tag(uint64_t hash) { return (uint8_t)(hash >> 56); }

/* A bucket whose chain has more rows is not split: it comes from a damaged file, where a chain may be a circle, or from
 * keys that somebody chose for their hashes. */
#define RHUMB__KEY_CHAIN_ROWS_MAX 512u

/* A bucket that is locked for one key. */
typedef struct rhumb__key_place {
    uint64_t hash;
    uint64_t bucket;
} rhumb__key_place;

/* Locks the bucket of `key`. */
void rhumb__key_table_lock(rhumb__key_table *table, uint64_t key, rhumb__key_place *place);
void rhumb__key_table_unlock(rhumb__key_table *table, const rhumb__key_place *place);

/* The slot of `key`, or RHUMB__SLOT_NONE. Between lock and unlock; in a read-only handle without. A slot whose node is
 * deleted may stay in the table for a while (see engine/build/remove.c) and is passed over; of two that are alive,
 * which an upsert beside a checkpoint leaves for a moment, the newer counts. */
uint32_t rhumb__key_table_find_locked(rhumb__key_table *table, const rhumb__key_place *place, uint64_t key);

/* Lock, find, unlock; or only find in a read-only handle. */
uint32_t rhumb__key_table_find(rhumb__key_table *table, uint64_t key);

/* Makes sure that one more slot fits into the locked bucket. After RHUMB_OK rhumb__key_table_add cannot fail. */
rhumb_status rhumb__key_table_reserve(rhumb__key_table *table, const rhumb__key_place *place) RHUMB_NODISCARD;

/* Adds a slot whose key is in the keys section already. Between reserve and unlock. */
void rhumb__key_table_add(rhumb__key_table *table, const rhumb__key_place *place, uint32_t slot);

/* Takes the slot of a key out of the locked bucket; the slot is there. */
void rhumb__key_table_remove(rhumb__key_table *table, const rhumb__key_place *place, uint32_t slot);

/* Splits buckets until the table has the size that `key_count` keys ask for. Does nothing when another thread or a
 * checkpoint is at it, or memory is short: the table is merely fuller then. */
void rhumb__key_table_grow(rhumb__key_table *table, uint64_t key_count);

/* The bucket of a hash when there are `bucket_count` buckets. */
uint64_t rhumb__key_table_bucket(uint64_t hash, uint64_t bucket_count);

/* The rows of a bucket one after the other: the bucket itself for hop 0, NULL behind the last. Stops at rows out of
 * range and at chains longer than the overflow section. For key_table.c and for verify. */
const rhumb__key_bucket *rhumb__key_table_row(const rhumb__key_table *table, uint64_t bucket,
                                              const rhumb__key_bucket *previous, uint64_t hop);

#endif /* RHUMB_ENGINE_GRAPH_KEY_TABLE_H */
