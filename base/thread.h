/* thread.h - the library's own threads.
 */
#ifndef RHUMB_BASE_THREAD_H
#define RHUMB_BASE_THREAD_H

#include <pthread.h>
#include <signal.h>

/* Starts a thread with signals blocked: signals are for the program's own threads. The synchronous fault signals stay
 * unblocked, since raising one while it is blocked is undefined in POSIX, and a callback of the program may rely on
 * them (safepoints of a garbage collector). Returns 0 or an error number. */
static inline int rhumb__thread_start(pthread_t *thread, void *(*main)(void *), void *argument) {
    sigset_t blocked;
    sigset_t before;
    sigfillset(&blocked);
    sigdelset(&blocked, SIGBUS);
    sigdelset(&blocked, SIGFPE);
    sigdelset(&blocked, SIGILL);
    sigdelset(&blocked, SIGSEGV);
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    const int error = pthread_create(thread, NULL, main, argument);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

#endif /* RHUMB_BASE_THREAD_H */
