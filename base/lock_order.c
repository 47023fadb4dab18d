/* lock_order.c - see lock_order.h.
 *
 * Owns one list a thread of the locks that it holds, in the order in which it took them. No locks. A breach does not
 * return; a thread that holds more than HELD_COUNT_MAX locks is one.
 */
#include "base/lock_order.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/assert.h"

/* A publication locks all chunks of a granule; so many are there in sections of 32 GiB. */
#define HELD_COUNT_MAX 4096u

typedef struct held_lock {
    const void *lock;
    rhumb__lock_rank rank;
} held_lock;

static _Thread_local struct {
    uint32_t count;
    held_lock items[HELD_COUNT_MAX];
} held;

static const char *name_of(rhumb__lock_rank rank) {
#define RANK_NAME(rank, name, several) name,
    static const char *const names[] = {"lock without a rank", RHUMB__LOCK_RANKS(RANK_NAME)};
#undef RANK_NAME
    return (unsigned)rank < RHUMB__RANK_LIMIT ? names[rank] : "lock of an unknown rank";
}

static bool is_ascending(rhumb__lock_rank rank) {
    enum { SINGLE, ASCENDING };
#define RANK_SEVERAL(rank, name, several) several,
    static const uint8_t ascending[] = {SINGLE, RHUMB__LOCK_RANKS(RANK_SEVERAL)};
#undef RANK_SEVERAL
    return ascending[rank] == ASCENDING;
}

static _Noreturn void fail(rhumb__lock_rank rank, const char *what, const char *other) {
    char text[256];
    snprintf(text, sizeof text, "lock order: %s %s%s", name_of(rank), what, other);
    rhumb__assert_failed(text, __FILE__, __LINE__);
}

static bool may_follow(const held_lock *before, const void *lock, rhumb__lock_rank rank) {
    if (before->rank != rank) return before->rank < rank;
    return is_ascending(rank) && (uintptr_t)before->lock < (uintptr_t)lock;
}

static void push(const void *lock, rhumb__lock_rank rank) {
    if (held.count == HELD_COUNT_MAX) fail(rank, "is one more than a thread may hold", "");
    held.items[held.count++] = (held_lock){lock, rank};
}

/* Its place in the list; the last ones are released first as a rule. */
static uint32_t find(const void *lock, rhumb__lock_rank rank, const char *failure) {
    uint32_t i = held.count;
    while (i > 0 && held.items[i - 1].lock != lock) i--;
    if (i == 0) fail(rank, failure, "");
    return i - 1;
}

void rhumb__lock_order_take(const void *lock, rhumb__lock_rank rank) {
    if (rank == RHUMB__RANK_NONE || rank >= RHUMB__RANK_LIMIT) fail(rank, "is not initialised", "");
    for (uint32_t i = 0; i < held.count; i++) {
        if (!may_follow(&held.items[i], lock, rank)) fail(rank, "taken while holding ", name_of(held.items[i].rank));
    }
    push(lock, rank);
}

void rhumb__lock_order_tried(const void *lock, rhumb__lock_rank rank) { push(lock, rank); }

void rhumb__lock_order_release(const void *lock, rhumb__lock_rank rank) {
    const uint32_t place = find(lock, rank, "released, but not held");
    held.count--;
    for (uint32_t i = place; i < held.count; i++) held.items[i] = held.items[i + 1];
}

void rhumb__lock_order_wait(const void *lock, rhumb__lock_rank rank) {
    const uint32_t place = find(lock, rank, "waited with, but not held");
    for (uint32_t i = 0; i < held.count; i++) {
        if (i == place || may_follow(&held.items[i], lock, held.items[place].rank)) continue;
        fail(rank, "waited with while holding ", name_of(held.items[i].rank));
    }
}

void rhumb__lock_order_held(const void *lock, rhumb__lock_rank rank) { (void)find(lock, rank, "must be held here"); }
