/* thread.h - the library's own threads.
 */
#ifndef RHUMB_BASE_THREAD_H
#define RHUMB_BASE_THREAD_H

#include <pthread.h>
#include <signal.h>

/* Starts a thread that takes no signals: they are the program's, and are for its own threads. Only those by which the
 * processor tells of the thread's own faults come through, since POSIX leaves undefined what happens when they are
 * raised while they are blocked, and a program's function that the thread calls may live on them (safepoints of a
 * garbage collector). Returns 0 or an errno. */
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
