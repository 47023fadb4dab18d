/* lock.h - mutexes and read-write locks that know their place in the order of all locks (lock_ranks.h).
 *
 * In builds with debug asserts every acquisition is checked against that order, every release against what the thread
 * holds. Elsewhere the functions are the C library's. The types are the same in both kinds of build.
 */
#ifndef RHUMB_BASE_LOCK_H
#define RHUMB_BASE_LOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <time.h>

#include "base/lock_order.h"

#ifndef RHUMB__LOCKS_CHECKED
#ifdef NDEBUG
#define RHUMB__LOCKS_CHECKED 0
#else
#define RHUMB__LOCKS_CHECKED 1
#endif
#endif

typedef struct rhumb__mutex {
    pthread_mutex_t mutex;
    rhumb__lock_rank rank;
} rhumb__mutex;

typedef struct rhumb__rwlock {
    pthread_rwlock_t rwlock;
    rhumb__lock_rank rank;
} rhumb__rwlock;

/* For locks that need no initialisation at run time. */
#define RHUMB__MUTEX_INITIALIZER(rank)                                                                                 \
    { PTHREAD_MUTEX_INITIALIZER, rank }
#define RHUMB__RWLOCK_INITIALIZER(rank)                                                                                \
    { PTHREAD_RWLOCK_INITIALIZER, rank }

#ifdef __cplusplus
extern "C" {
#endif

/* Return an error number. A read-write lock is fair: an exclusive user that waits gets it before shared ones that come
 * later, or a steady stream of those would keep it out for ever. So a thread must not take it shared twice. */
int rhumb__mutex_init(rhumb__mutex *lock, rhumb__lock_rank rank);
int rhumb__rwlock_init(rhumb__rwlock *lock, rhumb__lock_rank rank);

#ifdef __cplusplus
}
#endif

/* ---- mutexes ---- */

static inline void rhumb__mutex_destroy(rhumb__mutex *lock) { pthread_mutex_destroy(&lock->mutex); }

/* Locks a mutex whose rank another structure knows: one of many, made of zeros. */
static inline void rhumb__mutex_lock_as(rhumb__mutex *lock, rhumb__lock_rank rank) {
    if (RHUMB__LOCKS_CHECKED) rhumb__lock_order_take(lock, rank);
    pthread_mutex_lock(&lock->mutex);
}

static inline void rhumb__mutex_lock(rhumb__mutex *lock) { rhumb__mutex_lock_as(lock, lock->rank); }

/* Returns whether the lock was free and now is the thread's. */
static inline bool rhumb__mutex_trylock(rhumb__mutex *lock) {
    const bool taken = pthread_mutex_trylock(&lock->mutex) == 0;
    if (RHUMB__LOCKS_CHECKED && taken) rhumb__lock_order_tried(lock, lock->rank);
    return taken;
}

static inline void rhumb__mutex_unlock(rhumb__mutex *lock) {
    if (RHUMB__LOCKS_CHECKED) rhumb__lock_order_release(lock, lock->rank);
    pthread_mutex_unlock(&lock->mutex);
}

/* For functions that want the lock held by their caller. */
static inline void rhumb__mutex_assert_held(const rhumb__mutex *lock) {
    if (RHUMB__LOCKS_CHECKED) rhumb__lock_order_held(lock, lock->rank);
}

/* ---- conditions ---- */

static inline void rhumb__cond_wait(pthread_cond_t *condition, rhumb__mutex *lock) {
    if (RHUMB__LOCKS_CHECKED) rhumb__lock_order_wait(lock, lock->rank);
    pthread_cond_wait(condition, &lock->mutex);
}

/* Returns 0 or ETIMEDOUT. */
static inline int rhumb__cond_timedwait(pthread_cond_t *condition, rhumb__mutex *lock, const struct timespec *until) {
    if (RHUMB__LOCKS_CHECKED) rhumb__lock_order_wait(lock, lock->rank);
    return pthread_cond_timedwait(condition, &lock->mutex, until);
}

/* ---- read-write locks ---- */

static inline void rhumb__rwlock_destroy(rhumb__rwlock *lock) { pthread_rwlock_destroy(&lock->rwlock); }

static inline void rhumb__rwlock_rdlock(rhumb__rwlock *lock) {
    if (RHUMB__LOCKS_CHECKED) rhumb__lock_order_take(lock, lock->rank);
    pthread_rwlock_rdlock(&lock->rwlock);
}

static inline void rhumb__rwlock_wrlock(rhumb__rwlock *lock) {
    if (RHUMB__LOCKS_CHECKED) rhumb__lock_order_take(lock, lock->rank);
    pthread_rwlock_wrlock(&lock->rwlock);
}

/* Returns whether the thread has got the lock before that time. */
static inline bool rhumb__rwlock_timedwrlock(rhumb__rwlock *lock, const struct timespec *until) {
    if (RHUMB__LOCKS_CHECKED) rhumb__lock_order_take(lock, lock->rank);
    const bool taken = pthread_rwlock_timedwrlock(&lock->rwlock, until) == 0;
    if (RHUMB__LOCKS_CHECKED && !taken) rhumb__lock_order_release(lock, lock->rank);
    return taken;
}

static inline void rhumb__rwlock_unlock(rhumb__rwlock *lock) {
    if (RHUMB__LOCKS_CHECKED) rhumb__lock_order_release(lock, lock->rank);
    pthread_rwlock_unlock(&lock->rwlock);
}

/* For functions that want the lock held by their caller, shared or exclusive. */
static inline void rhumb__rwlock_assert_held(const rhumb__rwlock *lock) {
    if (RHUMB__LOCKS_CHECKED) rhumb__lock_order_held(lock, lock->rank);
}

#endif /* RHUMB_BASE_LOCK_H */
