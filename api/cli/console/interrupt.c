/* interrupt.c - the flag that SIGINT and SIGTERM set, and the thread that abandons a call. Owns the two signals'
 * handlers of the process. Locking: call_lock guards what is to be abandoned, and is held while it is. If the thread
 * cannot be made, nothing is abandoned; a second signal still ends the process.
 */
#include "interrupt.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <time.h>

#define PATIENCE_NS 400000000L
#define LOOK_NS 20000000L

/* Lock-free, so a handler may store to it; any thread may read it. */
static atomic_bool requested;
static sem_t wish; /* posted by the handler, which wakes the thread */

static pthread_mutex_t call_lock = PTHREAD_MUTEX_INITIALIZER;
static void (*call_abandon)(void *context); /* NULL: no such call is running */
static void *call_context;

static void note_signal(int number) {
    (void)number;
    const int before = errno;
    atomic_store(&requested, true);
    sem_post(&wish);
    errno = before;
}

static void pause_for(long ns) {
    struct timespec left = {.tv_nsec = ns};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

static void *wait_for_wish(void *unused) {
    while (sem_wait(&wish) != 0) {
    }
    for (pause_for(PATIENCE_NS);; pause_for(LOOK_NS)) {
        pthread_mutex_lock(&call_lock);
        if (call_abandon) call_abandon(call_context);
        pthread_mutex_unlock(&call_lock);
    }
    return unused;
}

static void start_thread(void) {
    sigset_t all, before;
    pthread_t thread;
    sigfillset(&all);
    sigdelset(&all, SIGBUS);                     /* which is not for any thread but the one that caused it */
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for the threads that can be woken by them */
    if (pthread_create(&thread, NULL, wait_for_wish, NULL) == 0) pthread_detach(thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void interrupt_install(void) {
    static const int numbers[] = {SIGINT, SIGTERM};
    static bool installed;
    if (installed) return;
    installed = true;
    if (sem_init(&wish, 0, 0) != 0) return;
    start_thread();
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct sigaction before;
        if (sigaction(numbers[i], NULL, &before) != 0 || before.sa_handler == SIG_IGN) continue;
        /* SA_RESTART: the first signal must not turn a system call of the library into an error. */
        struct sigaction action = {.sa_flags = SA_RESETHAND | SA_RESTART};
        action.sa_handler = note_signal;
        sigemptyset(&action.sa_mask);
        sigaction(numbers[i], &action, NULL);
    }
}

bool interrupt_requested(void) { return atomic_load(&requested); }

void interrupt_call_begin(void (*abandon)(void *context), void *context) {
    pthread_mutex_lock(&call_lock);
    call_abandon = abandon;
    call_context = context;
    pthread_mutex_unlock(&call_lock);
}

void interrupt_call_end(void) {
    pthread_mutex_lock(&call_lock);
    call_abandon = NULL;
    pthread_mutex_unlock(&call_lock);
}
