// Goal: a lock taken out of order, released without being held, or not held where it must be ends the process with a
// message that names the locks; what the order allows passes; and the locks lock. Method: death tests with locks of
// real ranks, and a second thread that finds a lock taken. The checks are on in this file whatever the build; what the
// ranks say of the library is proved by the sanitizer builds of the tests that use it.
#define RHUMB__LOCKS_CHECKED 1
#include "base/lock.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <ctime>
#include <thread>

namespace {

class Mutex {
  public:
    explicit Mutex(rhumb__lock_rank rank) { EXPECT_EQ(rhumb__mutex_init(&lock_, rank), 0); }
    ~Mutex() { rhumb__mutex_destroy(&lock_); }
    Mutex(const Mutex &) = delete;
    Mutex &operator=(const Mutex &) = delete;
    operator rhumb__mutex *() { return &lock_; }

  private:
    rhumb__mutex lock_;
};

class Rwlock {
  public:
    explicit Rwlock(rhumb__lock_rank rank) { EXPECT_EQ(rhumb__rwlock_init(&lock_, rank), 0); }
    ~Rwlock() { rhumb__rwlock_destroy(&lock_); }
    Rwlock(const Rwlock &) = delete;
    Rwlock &operator=(const Rwlock &) = delete;
    operator rhumb__rwlock *() { return &lock_; }

  private:
    rhumb__rwlock lock_;
};

bool free_for_another_thread(rhumb__mutex *lock) {
    bool taken = false;
    std::thread([&] {
        taken = rhumb__mutex_trylock(lock);
        if (taken) rhumb__mutex_unlock(lock);
    }).join();
    return taken;
}

timespec in_one_millisecond() {
    timespec until{};
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    return until;
}

bool free_for_another_thread(rhumb__rwlock *lock) {
    bool taken = false;
    std::thread([&] {
        const timespec until = in_one_millisecond();
        taken = rhumb__rwlock_timedwrlock(lock, &until);
        if (taken) rhumb__rwlock_unlock(lock);
    }).join();
    return taken;
}

TEST(Lock, MutexKeepsOtherThreadsOut) {
    Mutex lock(RHUMB__RANK_APPEND);
    rhumb__mutex_lock(lock);
    EXPECT_FALSE(free_for_another_thread(lock));
    rhumb__mutex_unlock(lock);
    EXPECT_TRUE(free_for_another_thread(lock));
}

TEST(Lock, RwlockIsSharedByReadersAndKeepsWritersOut) {
    Rwlock lock(RHUMB__RANK_GATE);
    rhumb__rwlock_rdlock(lock);
    std::thread([&] {
        rhumb__rwlock_rdlock(lock);
        rhumb__rwlock_unlock(lock);
    }).join();
    EXPECT_FALSE(free_for_another_thread(lock));
    rhumb__rwlock_unlock(lock);
    rhumb__rwlock_wrlock(lock);
    EXPECT_FALSE(free_for_another_thread(lock));
    rhumb__rwlock_unlock(lock);
    EXPECT_TRUE(free_for_another_thread(lock));
}

TEST(Lock, StaticInitialisersMakeLocks) {
    rhumb__mutex mutex = RHUMB__MUTEX_INITIALIZER(RHUMB__RANK_LINK);
    rhumb__rwlock rwlock = RHUMB__RWLOCK_INITIALIZER(RHUMB__RANK_LOG_MESSAGE);
    rhumb__mutex_lock(&mutex);
    rhumb__rwlock_rdlock(&rwlock);
    rhumb__rwlock_unlock(&rwlock);
    rhumb__mutex_unlock(&mutex);
    EXPECT_TRUE(free_for_another_thread(&mutex));
    EXPECT_TRUE(free_for_another_thread(&rwlock));
    rhumb__mutex_destroy(&mutex);
    rhumb__rwlock_destroy(&rwlock);
}

TEST(LockOrder, AllowsDescendingTheTable) {
    Mutex checkpoint(RHUMB__RANK_CHECKPOINT);
    Rwlock gate(RHUMB__RANK_GATE);
    Mutex append(RHUMB__RANK_APPEND);
    rhumb__mutex_lock(checkpoint);
    rhumb__rwlock_rdlock(gate);
    rhumb__mutex_lock(append);
    rhumb__mutex_assert_held(checkpoint);
    rhumb__mutex_assert_held(append);
    // Released in any order.
    rhumb__mutex_unlock(checkpoint);
    rhumb__mutex_unlock(append);
    rhumb__rwlock_unlock(gate);
}

TEST(LockOrder, ForgetsWhatWasReleased) {
    Mutex outer(RHUMB__RANK_APPEND);
    Mutex inner(RHUMB__RANK_LOG);
    for (int i = 0; i < 3; i++) {
        rhumb__mutex_lock(inner);
        rhumb__mutex_unlock(inner);
        rhumb__mutex_lock(outer);
        rhumb__mutex_unlock(outer);
    }
}

TEST(LockOrder, IsEachThreadsOwn) {
    Mutex outer(RHUMB__RANK_APPEND);
    Mutex inner(RHUMB__RANK_LOG);
    rhumb__mutex_lock(inner);
    std::thread([&] {
        rhumb__mutex_lock(outer);
        rhumb__mutex_unlock(outer);
    }).join();
    rhumb__mutex_unlock(inner);
}

TEST(LockOrderDeathTest, CatchesAnInversionOfMutexes) {
    Mutex append(RHUMB__RANK_APPEND);
    Mutex log(RHUMB__RANK_LOG);
    EXPECT_DEATH(
        {
            rhumb__mutex_lock(log);
            rhumb__mutex_lock(append);
        },
        "lock order: append_lock taken while holding log.lock");
}

TEST(LockOrderDeathTest, CatchesAnInversionOfAMutexAndARwlock) {
    Rwlock gate(RHUMB__RANK_GATE);
    Mutex log(RHUMB__RANK_LOG);
    EXPECT_DEATH(
        {
            rhumb__mutex_lock(log);
            rhumb__rwlock_rdlock(gate);
        },
        "lock order: gate taken while holding log.lock");
    EXPECT_DEATH(
        {
            rhumb__mutex_lock(log);
            rhumb__rwlock_wrlock(gate);
        },
        "lock order: gate taken while holding log.lock");
    EXPECT_DEATH(
        {
            const timespec until = in_one_millisecond();
            rhumb__mutex_lock(log);
            rhumb__rwlock_timedwrlock(gate, &until);
        },
        "lock order: gate taken while holding log.lock");
}

TEST(LockOrderDeathTest, LooksAtAllHeldLocksNotOnlyTheLast) {
    Mutex split(RHUMB__RANK_SPLIT);
    Mutex log(RHUMB__RANK_LOG);
    Mutex append(RHUMB__RANK_APPEND);
    EXPECT_DEATH(
        {
            rhumb__mutex_lock(log);
            rhumb__mutex_trylock(split);
            rhumb__mutex_lock(append);
        },
        "lock order: append_lock taken while holding log.lock");
}

TEST(LockOrderDeathTest, CatchesALockTakenTwice) {
    Mutex append(RHUMB__RANK_APPEND);
    Rwlock gate(RHUMB__RANK_GATE);
    EXPECT_DEATH(
        {
            rhumb__mutex_lock(append);
            rhumb__mutex_lock(append);
        },
        "lock order: append_lock taken while holding append_lock");
    EXPECT_DEATH(
        {
            rhumb__rwlock_rdlock(gate);
            rhumb__rwlock_rdlock(gate);
        },
        "lock order: gate taken while holding gate");
}

TEST(LockOrderDeathTest, AllowsSeveralOfAnAscendingRankInOrderOfAddress) {
    rhumb__mutex locks[3] = {RHUMB__MUTEX_INITIALIZER(RHUMB__RANK_NONE), RHUMB__MUTEX_INITIALIZER(RHUMB__RANK_NONE),
                             RHUMB__MUTEX_INITIALIZER(RHUMB__RANK_NONE)};
    for (auto &lock : locks) rhumb__mutex_lock_as(&lock, RHUMB__RANK_CHUNK);
    for (auto &lock : locks) rhumb__mutex_unlock(&lock);
    EXPECT_DEATH(
        {
            rhumb__mutex_lock_as(&locks[1], RHUMB__RANK_CHUNK);
            rhumb__mutex_lock_as(&locks[0], RHUMB__RANK_CHUNK);
        },
        "lock order: chunk of a section taken while holding chunk of a section");
    for (auto &lock : locks) rhumb__mutex_destroy(&lock);
}

TEST(LockOrderDeathTest, TryingIsExemptButTheLockIsHeld) {
    Mutex split(RHUMB__RANK_SPLIT);
    Mutex append(RHUMB__RANK_APPEND);
    Mutex checkpoint(RHUMB__RANK_CHECKPOINT);
    rhumb__mutex_lock(append);
    ASSERT_TRUE(rhumb__mutex_trylock(split));
    rhumb__mutex_assert_held(split);
    rhumb__mutex_unlock(split);
    rhumb__mutex_unlock(append);
    EXPECT_DEATH(
        {
            rhumb__mutex_trylock(split);
            rhumb__mutex_lock(checkpoint);
        },
        "lock order: checkpoint_lock taken while holding key_table.split_lock");
}

TEST(LockOrderDeathTest, CatchesTheReleaseOfALockThatIsNotHeld) {
    Mutex append(RHUMB__RANK_APPEND);
    Rwlock gate(RHUMB__RANK_GATE);
    EXPECT_DEATH(rhumb__mutex_unlock(append), "lock order: append_lock released, but not held");
    EXPECT_DEATH(rhumb__rwlock_unlock(gate), "lock order: gate released, but not held");
    rhumb__mutex_lock(append);
    // What another thread holds is not held by this one.
    EXPECT_DEATH(std::thread([&] { rhumb__mutex_unlock(append); }).join(), "append_lock released, but not held");
    rhumb__mutex_unlock(append);
}

TEST(LockOrderDeathTest, CatchesALockThatMustBeHeldAndIsNot) {
    Mutex append(RHUMB__RANK_APPEND);
    EXPECT_DEATH(rhumb__mutex_assert_held(append), "lock order: append_lock must be held here");
    Rwlock gate(RHUMB__RANK_GATE);
    EXPECT_DEATH(rhumb__rwlock_assert_held(gate), "lock order: gate must be held here");
    rhumb__rwlock_rdlock(gate);
    rhumb__rwlock_assert_held(gate);
    rhumb__rwlock_unlock(gate);
}

TEST(LockOrderDeathTest, CatchesALockThatWasNeverInitialised) {
    rhumb__mutex zeros{};
    EXPECT_DEATH(rhumb__mutex_lock(&zeros), "lock order: lock without a rank is not initialised");
}

TEST(LockOrder, ATimedLockThatIsNotTakenIsNotHeld) {
    Rwlock batch(RHUMB__RANK_REMOVAL);
    Mutex checkpoint(RHUMB__RANK_CHECKPOINT);
    rhumb__rwlock_rdlock(batch);
    std::thread([&] {
        const timespec until = in_one_millisecond();
        EXPECT_FALSE(rhumb__rwlock_timedwrlock(batch, &until));
        rhumb__mutex_lock(checkpoint);
        rhumb__mutex_unlock(checkpoint);
    }).join();
    rhumb__rwlock_unlock(batch);
}

TEST(LockOrder, AConditionWaitKeepsTheLockHeld) {
    Mutex log(RHUMB__RANK_LOG);
    pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
    bool ready = false;
    rhumb__mutex_lock(log);
    std::thread other([&] {
        rhumb__mutex_lock(log);
        ready = true;
        pthread_cond_signal(&changed);
        rhumb__mutex_unlock(log);
    });
    while (!ready) rhumb__cond_wait(&changed, log);
    rhumb__mutex_assert_held(log);
    EXPECT_FALSE(free_for_another_thread(log));
    const timespec until = in_one_millisecond();
    EXPECT_EQ(rhumb__cond_timedwait(&changed, log, &until), ETIMEDOUT);
    rhumb__mutex_assert_held(log);
    rhumb__mutex_unlock(log);
    other.join();
    pthread_cond_destroy(&changed);
}

TEST(LockOrderDeathTest, CatchesAConditionWaitThatWouldTakeTheLockOutOfOrder) {
    Mutex append(RHUMB__RANK_APPEND);
    Mutex log(RHUMB__RANK_LOG);
    pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
    EXPECT_DEATH(
        {
            rhumb__mutex_lock(append);
            rhumb__mutex_lock(log);
            rhumb__cond_wait(&changed, append);
        },
        "lock order: append_lock waited with while holding log.lock");
    EXPECT_DEATH(rhumb__cond_wait(&changed, log), "lock order: log.lock waited with, but not held");
    pthread_cond_destroy(&changed);
}

} // namespace
