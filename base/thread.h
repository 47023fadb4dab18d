/* thread.h - the library's own threads.
 */
#ifndef RHUMB_BASE_THREAD_H
#define RHUMB_BASE_THREAD_H

#include <pthread.h>
#include <signal.h>
#include <stdint.h>

/* The library's own frames are small; the rest is for functions of the program that run on its threads. The usual 8 MiB
 * for each would exhaust a limited address space. Sanitizers multiply frames. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define RHUMB__THREAD_STACK_BYTES (UINT64_C(8) << 20)
#else
#define RHUMB__THREAD_STACK_BYTES (UINT64_C(1) << 20)
#endif

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
    pthread_attr_t attributes;
    int error = pthread_attr_init(&attributes);
    if (error == 0) {
        (void)pthread_attr_setstacksize(&attributes, RHUMB__THREAD_STACK_BYTES); /* refused: the usual size */
        error = pthread_create(thread, &attributes, main, argument);
        pthread_attr_destroy(&attributes);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

#endif /* RHUMB_BASE_THREAD_H */
