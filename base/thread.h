/* thread.h - the library's own threads.
 */
#ifndef RHUMB_BASE_THREAD_H
#define RHUMB_BASE_THREAD_H

#include <pthread.h>
#include <signal.h>

/* Starts a thread that takes no signals: they are the program's, and are for its own threads. Returns 0 or an errno. */
static inline int rhumb__thread_start(pthread_t *thread, void *(*main)(void *), void *argument) {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int error = pthread_create(thread, NULL, main, argument);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

#endif /* RHUMB_BASE_THREAD_H */
