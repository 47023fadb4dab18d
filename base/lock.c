/* lock.c - making the locks of lock.h. Owns nothing. */
#define _GNU_SOURCE
#include "base/lock.h"

int rhumb__mutex_init(rhumb__mutex *lock, rhumb__lock_rank rank) {
    lock->rank = rank;
    return pthread_mutex_init(&lock->mutex, NULL);
}

int rhumb__rwlock_init(rhumb__rwlock *lock, rhumb__lock_rank rank) {
    pthread_rwlockattr_t attributes;
    int error = pthread_rwlockattr_init(&attributes);
    if (error != 0) return error;
#if defined(__GLIBC__)
    error = pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
#endif
    if (error == 0) error = pthread_rwlock_init(&lock->rwlock, &attributes);
    lock->rank = rank;
    pthread_rwlockattr_destroy(&attributes);
    return error;
}
