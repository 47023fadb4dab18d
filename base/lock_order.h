/* lock_order.h - checks that each thread takes locks in the order of lock_ranks.h. Only lock.h calls it, and only in
 * builds with debug asserts.
 *
 * A breach ends the process with a message that names both locks. The functions see the locks of the calling thread
 * only, so a breach is found whether or not another thread is there to deadlock with.
 */
#ifndef RHUMB_BASE_LOCK_ORDER_H
#define RHUMB_BASE_LOCK_ORDER_H

#include "base/lock_ranks.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Records a lock that the thread is about to wait for. Fails when its rank does not allow that. */
void rhumb__lock_order_take(const void *lock, rhumb__lock_rank rank);

/* Records a lock that the thread has got without waiting, whatever else it holds. */
void rhumb__lock_order_tried(const void *lock, rhumb__lock_rank rank);

/* Forgets a lock. Fails when the thread does not hold it. */
void rhumb__lock_order_release(const void *lock, rhumb__lock_rank rank);

/* Checks a wait on a condition, which releases the lock and takes it again: the thread must hold it, and nothing that
 * is to be taken after it. */
void rhumb__lock_order_wait(const void *lock, rhumb__lock_rank rank);

/* Fails when the thread does not hold the lock. */
void rhumb__lock_order_held(const void *lock, rhumb__lock_rank rank);

#ifdef __cplusplus
}
#endif

#endif /* RHUMB_BASE_LOCK_ORDER_H */
