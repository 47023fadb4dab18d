/* lock.c - see lock.h. */
#define _GNU_SOURCE
#include "base/lock.h"

int rhumb__rwlock_init_fair(pthread_rwlock_t *lock) {
    pthread_rwlockattr_t attributes;
    int error = pthread_rwlockattr_init(&attributes);
    if (error != 0) return error;
#if defined(__GLIBC__)
    error = pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
#endif
    if (error == 0) error = pthread_rwlock_init(lock, &attributes);
    pthread_rwlockattr_destroy(&attributes);
    return error;
}
