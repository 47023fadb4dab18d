// Goal: a thread of the library leaves the program's signals to the program's threads, and can take its own faults.
// Method: a thread tells which signals it blocks, and the one that started it, whether its own mask is as before.
#include <gtest/gtest.h>

extern "C" {
#include "base/thread.h"
}

namespace {

void *note_mask(void *mask) {
    pthread_sigmask(SIG_SETMASK, nullptr, static_cast<sigset_t *>(mask));
    return nullptr;
}

TEST(Thread, BlocksTheProgramsSignalsAndNotItsOwnFaults) {
    sigset_t before, within, after;
    pthread_t thread;
    pthread_sigmask(SIG_SETMASK, nullptr, &before);
    ASSERT_EQ(rhumb__thread_start(&thread, note_mask, &within), 0);
    ASSERT_EQ(pthread_join(thread, nullptr), 0);
    pthread_sigmask(SIG_SETMASK, nullptr, &after);
    for (int number : {SIGINT, SIGTERM, SIGHUP, SIGALRM, SIGCHLD, SIGUSR1, SIGPROF}) {
        EXPECT_EQ(sigismember(&within, number), 1) << number;
    }
    for (int number : {SIGBUS, SIGFPE, SIGILL, SIGSEGV}) EXPECT_EQ(sigismember(&within, number), 0) << number;
    for (int number = 1; number <= SIGSYS; number++) {
        EXPECT_EQ(sigismember(&after, number), sigismember(&before, number)) << number;
    }
}

} // namespace
