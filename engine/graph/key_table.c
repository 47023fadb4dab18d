/* key_table.c - see key_table.h.
 *
 * Invariants (in a sound file): every slot below slot_count that is not deleted is in exactly one row, that of its key;
 * places from `count` on are zero; an overflow row belongs to at most one chain.
 *
 * A damaged file may have wrong slots (compared with the keys section, so they are not found), wrong counts (limited to
 * the number of places) and chains in circles (looking up a key ends after as many rows as the section has; a split
 * takes every row of a circle once, and ends the circle).
 *
 * A chain may be long, when someone chooses keys for that. It costs those who look up its keys; a split costs its
 * length, and happens once while the table doubles, so all other buckets go on being split.
 */
#include "engine/graph/key_table.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/status.h"
#include "engine/graph/params.h"
#include "engine/graph/tombstones.h"

/* Keys per bucket at which the table grows. Buckets that the current round has yet to split hold up to 28 on average,
 * so that about one in ten thousand overflows its 48 places; those already split hold half as many. */
#define KEYS_PER_BUCKET 21u

/* More than the one in 21 that inserts alone call for, so that they catch up. */
#define SPLITS_PER_INSERT_MAX 8u

uint64_t rhumb__key_table_bucket(uint64_t hash, uint64_t bucket_count) {
    RHUMB_ASSERT_DEBUG(bucket_count > 0);
    const uint64_t power = rhumb__floor_power_of_two(bucket_count);
    const uint64_t bucket = hash & (2 * power - 1);
    return bucket < bucket_count ? bucket : hash & (power - 1);
}

void rhumb__key_table_lock(rhumb__key_table *table, uint64_t key, rhumb__key_place *place) {
    RHUMB_ASSERT_DEBUG(table->writable);
    place->hash = rhumb__key_table_hash(table->salt, key);
    for (;;) {
        /* Acquire pairs with the release in split_bucket. The count is read again under the lock: splitting this bucket
         * takes the same lock, so what is read then stays true. */
        const uint64_t count = atomic_load_explicit(&table->bucket_count, memory_order_acquire);
        place->bucket = rhumb__key_table_bucket(place->hash, count);
        rhumb__section_lock(table->buckets, place->bucket);
        const uint64_t count_now = atomic_load_explicit(&table->bucket_count, memory_order_acquire);
        if (place->bucket == rhumb__key_table_bucket(place->hash, count_now)) return;
        rhumb__section_unlock(table->buckets, place->bucket);
    }
}

void rhumb__key_table_unlock(rhumb__key_table *table, const rhumb__key_place *place) {
    rhumb__section_unlock(table->buckets, place->bucket);
}

/* Checks, in debug builds, that the caller may use the bucket. */
static void assert_locked(const rhumb__key_table *table, const rhumb__key_place *place) {
    RHUMB_ASSERT_DEBUG(place->bucket < atomic_load_explicit(&table->bucket_count, memory_order_acquire));
    if (table->writable) rhumb__mutex_assert_held(&rhumb__section_chunk(table->buckets, place->bucket)->lock);
}

/* The rows that a chain may lead to. */
static uint64_t overflow_row_limit(const rhumb__key_table *table) {
    return atomic_load_explicit(&table->overflow->row_capacity, memory_order_acquire);
}

const rhumb__key_bucket *rhumb__key_table_row(const rhumb__key_table *table, uint64_t bucket,
                                              const rhumb__key_bucket *previous, uint64_t hop) {
    RHUMB_ASSERT_DEBUG(bucket < atomic_load(&table->buckets->row_capacity));
    if (hop == 0) return rhumb__section_row(table->buckets, bucket);
    const uint64_t limit = overflow_row_limit(table);
    if (previous->next == 0 || previous->next > limit || hop > limit) return NULL;
    return rhumb__section_row(table->overflow, previous->next - 1);
}

static uint32_t row_count(const rhumb__key_bucket *row) {
    return row->count < RHUMB__KEY_BUCKET_PLACES ? row->count : RHUMB__KEY_BUCKET_PLACES;
}

uint32_t rhumb__key_table_find_locked(rhumb__key_table *table, const rhumb__key_place *place, uint64_t key) {
    assert_locked(table, place);
    RHUMB_ASSERT_DEBUG(place->hash == rhumb__key_table_hash(table->salt, key));
    const uint8_t tag = rhumb__key_table_tag(place->hash);
    const uint64_t slot_limit = atomic_load_explicit(table->slot_limit, memory_order_acquire);
    uint32_t newest = RHUMB__SLOT_NONE;
    const rhumb__key_bucket *row = NULL;
    for (uint64_t hop = 0; (row = rhumb__key_table_row(table, place->bucket, row, hop)) != NULL; hop++) {
        const uint32_t count = row_count(row);
        for (uint32_t i = 0; i < count; i++) {
            const uint32_t slot = row->slots[i];
            if (row->tags[i] != tag || slot >= slot_limit) continue;
            if (newest != RHUMB__SLOT_NONE && slot < newest) continue;
            if (*(const uint64_t *)rhumb__section_row(table->keys, slot) != key) continue;
            if (!rhumb__tombstone_is_set(table->tombstones, slot)) newest = slot;
        }
    }
    return newest;
}

uint32_t rhumb__key_table_find(rhumb__key_table *table, uint64_t key) {
    rhumb__key_place place;
    if (!table->writable) {
        place.hash = rhumb__key_table_hash(table->salt, key);
        place.bucket =
            rhumb__key_table_bucket(place.hash, atomic_load_explicit(&table->bucket_count, memory_order_relaxed));
        return rhumb__key_table_find_locked(table, &place, key);
    }
    rhumb__key_table_lock(table, key, &place);
    const uint32_t slot = rhumb__key_table_find_locked(table, &place, key);
    rhumb__key_table_unlock(table, &place);
    return slot;
}

static bool is_overflow_row(const rhumb__key_table *table, const rhumb__key_bucket *row) {
    const uint8_t *address = (const uint8_t *)row;
    const rhumb__section *overflow = table->overflow;
    const uint64_t row_capacity = atomic_load_explicit(&overflow->row_capacity, memory_order_relaxed);
    return address >= overflow->base && address < overflow->base + row_capacity * overflow->row_stride_bytes;
}

static uint32_t overflow_row_index(const rhumb__key_table *table, const rhumb__key_bucket *row) {
    return (uint32_t)((uint64_t)((const uint8_t *)row - table->overflow->base) / table->overflow->row_stride_bytes);
}

/* A bucket is written under the chunk lock that the caller holds, an overflow row under the lock of its own chunk. */
static void begin_write(rhumb__key_table *table, uint64_t bucket, const rhumb__key_bucket *row) {
    RHUMB_ASSERT_DEBUG(is_overflow_row(table, row) || row == rhumb__section_row(table->buckets, bucket));
    if (is_overflow_row(table, row)) {
        const uint32_t index = overflow_row_index(table, row);
        rhumb__section_lock(table->overflow, index);
        rhumb__section_mark_dirty(table->overflow, index);
    } else {
        rhumb__section_mark_dirty(table->buckets, bucket);
    }
}

static void end_write(rhumb__key_table *table, const rhumb__key_bucket *row) {
    if (is_overflow_row(table, row)) rhumb__section_unlock(table->overflow, overflow_row_index(table, row));
}

/* Empties a row; for the locks see begin_write. */
static void clear_row(rhumb__key_table *table, uint64_t bucket, rhumb__key_bucket *row) {
    begin_write(table, bucket, row);
    memset(row, 0, sizeof *row);
    end_write(table, row);
}

/* Allocates an overflow row, empty. */
static rhumb_status take_overflow_row(rhumb__key_table *table, uint32_t *row_out) {
    rhumb_status status = RHUMB_OK;
    rhumb__mutex_lock(&table->overflow_lock);
    if (table->overflow_free_count > 0) {
        *row_out = table->overflow_free[--table->overflow_free_count];
    } else {
        RHUMB_TRY(rhumb__section_ensure(table->overflow, table->overflow_count + 1));
        *row_out = (uint32_t)table->overflow_count++;
    }
    /* In a damaged file a chain may lead here already. */
    clear_row(table, 0, rhumb__section_row(table->overflow, *row_out));
done:
    rhumb__mutex_unlock(&table->overflow_lock);
    return status;
}

/* Releases an overflow row. Without memory for the list of free rows, the row stays unused. */
static void give_overflow_row(rhumb__key_table *table, uint32_t row) {
    rhumb__mutex_lock(&table->overflow_lock);
    RHUMB_ASSERT_DEBUG(row < atomic_load(&table->overflow->row_capacity));
    if (table->overflow_free_count == table->overflow_free_capacity) {
        const uint32_t capacity = table->overflow_free_capacity == 0 ? 16 : table->overflow_free_capacity * 2;
        uint32_t *list = rhumb__alloc_resize(table->overflow_free, capacity, sizeof *list);
        if (list == NULL) goto done;
        table->overflow_free = list;
        table->overflow_free_capacity = capacity;
    }
    table->overflow_free[table->overflow_free_count++] = row;
done:
    rhumb__mutex_unlock(&table->overflow_lock);
}

/* The first row of the bucket with a free place, or NULL; then *last_out is the last row of the chain. */
static rhumb__key_bucket *row_with_room(rhumb__key_table *table, uint64_t bucket, rhumb__key_bucket **last_out) {
    const rhumb__key_bucket *row = NULL;
    for (uint64_t hop = 0; (row = rhumb__key_table_row(table, bucket, row, hop)) != NULL; hop++) {
        *last_out = (rhumb__key_bucket *)row;
        if (row->count < RHUMB__KEY_BUCKET_PLACES) return (rhumb__key_bucket *)row;
    }
    return NULL;
}

rhumb_status rhumb__key_table_reserve(rhumb__key_table *table, const rhumb__key_place *place) {
    rhumb__key_bucket *last = NULL;
    RHUMB_ASSERT_DEBUG(table->writable);
    assert_locked(table, place);
    if (row_with_room(table, place->bucket, &last) != NULL) return RHUMB_OK;
    uint32_t row = 0;
    rhumb_status status = take_overflow_row(table, &row);
    if (status != RHUMB_OK) return status;
    begin_write(table, place->bucket, last);
    last->next = row + 1;
    end_write(table, last);
    return RHUMB_OK;
}

/* Does nothing when the row is full. The caller has made sure that it is not, but in a damaged file buckets may share a
 * row, and each bucket has a lock of its own. */
static void append_to_row(rhumb__key_table *table, uint64_t bucket, rhumb__key_bucket *row, uint8_t tag,
                          uint32_t slot) {
    RHUMB_ASSERT_DEBUG(slot < atomic_load_explicit(table->slot_limit, memory_order_acquire));
    begin_write(table, bucket, row);
    if (row->count < RHUMB__KEY_BUCKET_PLACES) {
        row->tags[row->count] = tag;
        row->slots[row->count] = slot;
        row->count++;
    }
    end_write(table, row);
}

void rhumb__key_table_add(rhumb__key_table *table, const rhumb__key_place *place, uint32_t slot) {
    rhumb__key_bucket *last = NULL;
    rhumb__key_bucket *row = row_with_room(table, place->bucket, &last);
    /* NULL only if another bucket has filled a row that both share. */
    if (row != NULL) append_to_row(table, place->bucket, row, rhumb__key_table_tag(place->hash), slot);
}

/* The row of the bucket that holds a slot, and its place in that row. */
static rhumb__key_bucket *find_slot(rhumb__key_table *table, uint64_t bucket, uint32_t slot, uint32_t *place_out) {
    const rhumb__key_bucket *row = NULL;
    for (uint64_t hop = 0; (row = rhumb__key_table_row(table, bucket, row, hop)) != NULL; hop++) {
        for (*place_out = 0; *place_out < row_count(row); ++*place_out) {
            if (row->slots[*place_out] == slot) return (rhumb__key_bucket *)row;
        }
    }
    return NULL;
}

/* Does nothing when the slot is no longer there, which happens only if buckets of a damaged file share a row. */
void rhumb__key_table_remove(rhumb__key_table *table, const rhumb__key_place *place, uint32_t slot) {
    uint32_t i = 0;
    rhumb__key_bucket *row = find_slot(table, place->bucket, slot, &i);
    if (row == NULL) return;
    begin_write(table, place->bucket, row);
    const uint32_t last = row_count(row) - 1;
    if (last < RHUMB__KEY_BUCKET_PLACES) {
        row->slots[i] = row->slots[last];
        row->tags[i] = row->tags[last];
        row->slots[last] = 0;
        row->tags[last] = 0;
        row->count = last;
    }
    end_write(table, row);
}

/* The next row of a chain, NULL after the last one. A circle has no last one. */
static const rhumb__key_bucket *next_row(const rhumb__key_table *table, uint64_t bucket, const rhumb__key_bucket *row) {
    return rhumb__key_table_row(table, bucket, row, 1);
}

/* The number of different rows in a chain: all of them, or in a circle those up to the one that leads back. In time
 * proportional to that number (Brent, "An improved Monte Carlo factorization algorithm", BIT 1980, section 7). In a
 * damaged file the chain may be another bucket's too, and change while it is read; the number is bounded then, too. */
static uint64_t chain_row_count(const rhumb__key_table *table, uint64_t bucket) {
    const rhumb__key_bucket *const first = rhumb__section_row(table->buckets, bucket);
    const rhumb__key_bucket *mark = first;
    const rhumb__key_bucket *row = first;
    uint64_t row_count = 0;
    uint64_t circle_count = 0; /* rows from the mark to `row` */
    for (uint64_t mark_limit = 1;;) {
        row_count++;
        circle_count++;
        row = next_row(table, bucket, row);
        if (row == NULL || row_count > overflow_row_limit(table)) return row_count;
        if (row == mark) break;
        if (circle_count < mark_limit) continue;
        mark = row;
        mark_limit *= 2;
        circle_count = 0;
    }
    /* Two rows that far apart meet where the circle begins. */
    const rhumb__key_bucket *ahead = first;
    for (uint64_t i = 0; i < circle_count && ahead != NULL; i++) ahead = next_row(table, bucket, ahead);
    row_count = circle_count;
    for (row = first; row != ahead && row != NULL && ahead != NULL; row_count++) {
        row = next_row(table, bucket, row);
        ahead = next_row(table, bucket, ahead);
    }
    return row_count;
}

/* The content of a bucket, copied out of its rows. */
typedef struct bucket_content {
    uint32_t *slots;
    uint32_t *spare_rows; /* the overflow rows of its chain */
    uint64_t slot_count;
    uint64_t spare_count;
    uint64_t next_spare; /* spare rows that have been used again */
} bucket_content;

static rhumb_status read_bucket(const rhumb__key_table *table, uint64_t bucket, bucket_content *content) {
    const uint64_t slot_limit = atomic_load_explicit(table->slot_limit, memory_order_acquire);
    const uint64_t chain_count = chain_row_count(table, bucket);
    content->slots = rhumb__alloc_zeroed(chain_count * RHUMB__KEY_BUCKET_PLACES, sizeof(uint32_t));
    content->spare_rows = rhumb__alloc_zeroed(chain_count, sizeof(uint32_t));
    if (content->slots == NULL || content->spare_rows == NULL) {
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for splitting a bucket");
    }
    /* In a damaged file buckets may share a chain, which may have changed in the meantime. */
    const rhumb__key_bucket *row = rhumb__section_row(table->buckets, bucket);
    for (uint64_t i = 0; i < chain_count && row != NULL; i++) {
        const uint32_t count = row_count(row);
        for (uint32_t k = 0; k < count; k++) {
            /* A slot that does not exist comes from a damaged file and is dropped. */
            if (row->slots[k] < slot_limit) content->slots[content->slot_count++] = row->slots[k];
        }
        if (i > 0) content->spare_rows[content->spare_count++] = overflow_row_index(table, row);
        row = next_row(table, bucket, row);
    }
    return RHUMB_OK;
}

/* A bucket that is being rewritten, one row after the other. */
typedef struct bucket_writer {
    uint64_t bucket;
    rhumb__key_bucket *row; /* where `next` goes */
    rhumb__key_bucket next;
} bucket_writer;

static void write_row(rhumb__key_table *table, bucket_writer *writer) {
    begin_write(table, writer->bucket, writer->row);
    *writer->row = writer->next;
    end_write(table, writer->row);
}

/* Adds a slot. When the row is full, it goes on in a spare row. There are enough of them: two chains of n slots
 * together need at most one row more than one chain of n, and the second has its own bucket. */
static void write_slot(rhumb__key_table *table, bucket_writer *writer, bucket_content *content, uint8_t tag,
                       uint32_t slot) {
    rhumb__key_bucket *next = &writer->next;
    if (next->count == RHUMB__KEY_BUCKET_PLACES) {
        RHUMB_ASSERT(content->next_spare < content->spare_count);
        const uint32_t spare = content->spare_rows[content->next_spare++];
        next->next = spare + 1;
        write_row(table, writer);
        writer->row = rhumb__section_row(table->overflow, spare);
        memset(next, 0, sizeof *next);
    }
    next->tags[next->count] = tag;
    next->slots[next->count] = slot;
    next->count++;
}

/* Distributes the content over the two buckets, in time proportional to it. */
static void write_buckets(rhumb__key_table *table, uint64_t split, uint64_t added, bucket_content *content) {
    bucket_writer low = {.bucket = split, .row = rhumb__section_row(table->buckets, split)};
    bucket_writer high = {.bucket = added, .row = rhumb__section_row(table->buckets, added)};
    for (uint64_t i = 0; i < content->slot_count; i++) {
        const uint64_t key = *(const uint64_t *)rhumb__section_row(table->keys, content->slots[i]);
        const uint64_t hash = rhumb__key_table_hash(table->salt, key);
        const bool moves = rhumb__key_table_bucket(hash, added + 1) == added;
        write_slot(table, moves ? &high : &low, content, rhumb__key_table_tag(hash), content->slots[i]);
    }
    write_row(table, &low);
    write_row(table, &high);
    for (uint64_t i = content->next_spare; i < content->spare_count; i++) {
        clear_row(table, split, rhumb__section_row(table->overflow, content->spare_rows[i]));
        give_overflow_row(table, content->spare_rows[i]);
    }
}

/* Splits the next bucket. Under split_lock. */
static rhumb_status split_bucket(rhumb__key_table *table) {
    rhumb_status status;
    bucket_content content = {0};
    const uint64_t count = atomic_load_explicit(&table->bucket_count, memory_order_relaxed);
    const uint64_t added = count;
    const uint64_t split = count - rhumb__floor_power_of_two(count);
    RHUMB_ASSERT_DEBUG(table->writable && split < added);
    rhumb__mutex_assert_held(&table->split_lock);
    RHUMB_TRY(rhumb__section_ensure(table->buckets, count + 1));
    rhumb__chunk_state *low = rhumb__section_chunk(table->buckets, split);
    rhumb__chunk_state *high = rhumb__section_chunk(table->buckets, added);
    rhumb__section_lock_chunk(table->buckets, low);
    if (high != low) rhumb__section_lock_chunk(table->buckets, high);
    status = read_bucket(table, split, &content);
    if (status == RHUMB_OK) {
        write_buckets(table, split, added, &content);
        /* Release pairs with the acquire in rhumb__key_table_lock: a thread that sees the new bucket sees its
         * content. */
        atomic_store_explicit(&table->bucket_count, count + 1, memory_order_release);
    }
    if (high != low) rhumb__mutex_unlock(&high->lock);
    rhumb__mutex_unlock(&low->lock);
done:
    rhumb__free(content.slots);
    rhumb__free(content.spare_rows);
    return status;
}

static bool is_too_full(const rhumb__key_table *table, uint64_t key_count) {
    return key_count / KEYS_PER_BUCKET >= atomic_load_explicit(&table->bucket_count, memory_order_relaxed);
}

void rhumb__key_table_grow(rhumb__key_table *table, uint64_t key_count) {
    if (!is_too_full(table, key_count)) return;
    if (!rhumb__mutex_trylock(&table->split_lock)) return;
    /* After growth was held up, several buckets may be due; a few at a time keep the insert short. */
    for (uint32_t i = 0; i < SPLITS_PER_INSERT_MAX && is_too_full(table, key_count); i++) {
        if (split_bucket(table) != RHUMB_OK) break;
    }
    rhumb__mutex_unlock(&table->split_lock);
}

void rhumb__key_table_grow_fully(rhumb__key_table *table, uint64_t key_count) {
    rhumb__mutex_assert_held(&table->split_lock);
    while (is_too_full(table, key_count) && split_bucket(table) == RHUMB_OK) {
    }
}
