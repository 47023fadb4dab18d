/* lock.h - locks that the C library offers only with attributes.
 */
#ifndef RHUMB_BASE_LOCK_H
#define RHUMB_BASE_LOCK_H

#include <pthread.h>

/* Initialises a lock that a waiting exclusive user gets before shared ones that come later: else a steady stream of
 * them would keep it out for ever. Returns an error number. */
int rhumb__rwlock_init_fair(pthread_rwlock_t *lock);

#endif /* RHUMB_BASE_LOCK_H */
