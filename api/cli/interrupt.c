/* interrupt.c - the flag that SIGINT and SIGTERM set. Owns the two signals' handlers of the process. */
#include "interrupt.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>

/* Lock-free, so a handler may store to it; any thread may read it. */
static atomic_bool requested;

static void note_signal(int number) {
    (void)number;
    atomic_store(&requested, true);
}

void interrupt_install(void) {
    static const int numbers[] = {SIGINT, SIGTERM};
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
