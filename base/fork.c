/* fork.c - see fork.h.
 *
 * Owns the list of descriptors that a child closes, and the lock that keeps a fork out while the list and the
 * descriptors differ. The forking thread takes the lock in the handler before the fork, so in the child the list is
 * whole and the lock its only thread's. The lock is the last of all in order, so a callback of the library may fork
 * whatever is held.
 *
 * The child's handler calls close and nothing else that could wait. It cannot fail.
 */
#include "base/fork.h"

#include <pthread.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/bus_guard.h"
#include "base/lock.h"
#include "base/log_message.h"
#include "base/status.h"

_Atomic uint32_t rhumb__fork_count;

static rhumb__mutex lock = RHUMB__MUTEX_INITIALIZER(RHUMB__RANK_FORK);
static rhumb__fork_descriptor *first; /* guarded by lock */
static pthread_once_t watch_once = PTHREAD_ONCE_INIT;
static int watch_error;

static void before_fork(void) { rhumb__mutex_lock(&lock); }

static void after_fork_in_parent(void) { rhumb__mutex_unlock(&lock); }

static void after_fork_in_child(void) {
    atomic_fetch_add_explicit(&rhumb__fork_count, 1, memory_order_relaxed);
    while (first != NULL) {
        rhumb__fork_descriptor *entry = first;
        first = entry->next;
        close(*entry->descriptor);
        *entry->descriptor = -1;
        *entry = (rhumb__fork_descriptor){.descriptor = NULL};
    }
    rhumb__log_message_forked();
    rhumb__bus_guard_forked();
    rhumb__mutex_unlock(&lock);
}

static void watch(void) { watch_error = pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child); }

rhumb_status rhumb__fork_watch(void) {
    pthread_once(&watch_once, watch);
    if (watch_error == 0) return RHUMB_OK;
    return rhumb__fail(RHUMB_E_NOMEM, "no memory for watching over forks");
}

rhumb_status rhumb__fork_refuse(void) {
    return rhumb__fail(RHUMB_E_FORKED, "the handle belongs to a process that this one was forked from; a child opens "
                                       "the index for itself");
}

void rhumb__fork_hold(void) { rhumb__mutex_lock(&lock); }

void rhumb__fork_release(void) { rhumb__mutex_unlock(&lock); }

void rhumb__fork_descriptor_add(rhumb__fork_descriptor *entry, int *descriptor) {
    rhumb__mutex_assert_held(&lock);
    RHUMB_ASSERT_DEBUG(entry->descriptor == NULL && *descriptor >= 0);
    *entry = (rhumb__fork_descriptor){.descriptor = descriptor, .next = first};
    if (first != NULL) first->previous = entry;
    first = entry;
}

void rhumb__fork_descriptor_remove(rhumb__fork_descriptor *entry) {
    rhumb__mutex_assert_held(&lock);
    if (entry->descriptor == NULL) return;
    if (entry->next != NULL) entry->next->previous = entry->previous;
    if (entry->previous != NULL)
        entry->previous->next = entry->next;
    else
        first = entry->next;
    *entry = (rhumb__fork_descriptor){.descriptor = NULL};
}
