// Goal: the locks of storage/io/io.h conflict as they should, across handles and across processes, and end with their
// holder. Method: two handles of one process; a child that takes a lock and is killed while it holds it.
#include "tests/support/io_test_support.h"

#include <chrono>
#include <csignal>
#include <thread>

namespace io_test {
namespace {

constexpr uint64_t kFar = UINT64_C(1) << 62;

INSTANTIATE_TEST_SUITE_P(Backends, IoBackend, ::testing::Values("plain", "uring"), backend_name);

bool take(rhumb__io *io, uint64_t offset, uint64_t bytes, rhumb__io_lock kind) {
    bool taken = false;
    EXPECT_EQ(rhumb__io_lock_range(io, offset, bytes, kind, &taken), RHUMB_OK) << rhumb__error_last()->message;
    return taken;
}

bool held_by_other(rhumb__io *io, uint64_t offset, uint64_t bytes) {
    bool held = false;
    EXPECT_EQ(rhumb__io_lock_test(io, offset, bytes, &held), RHUMB_OK) << rhumb__error_last()->message;
    return held;
}

TEST_P(IoBackend, ExclusiveLocksOfTwoHandlesConflict) {
    Handle first(backend_, path_, RHUMB__IO_CREATE);
    Handle second(backend_, path_, RHUMB__IO_WRITE);
    for (uint64_t offset : {UINT64_C(0), UINT64_C(4096), kFar}) {
        EXPECT_TRUE(take(first, offset, 1, RHUMB__IO_LOCK_EXCLUSIVE));
        EXPECT_TRUE(take(first, offset, 1, RHUMB__IO_LOCK_EXCLUSIVE)) << "the handle's own lock does not conflict";
        EXPECT_FALSE(take(second, offset, 1, RHUMB__IO_LOCK_EXCLUSIVE));
        EXPECT_FALSE(take(second, offset, 1, RHUMB__IO_LOCK_SHARED));
        EXPECT_TRUE(held_by_other(second, offset, 1));
        EXPECT_FALSE(held_by_other(first, offset, 1));
        EXPECT_TRUE(take(second, offset + 1, 10, RHUMB__IO_LOCK_EXCLUSIVE)) << "the next byte is free";
        EXPECT_EQ(rhumb__io_unlock_range(second, offset + 1, 10), RHUMB_OK);

        EXPECT_EQ(rhumb__io_unlock_range(first, offset, 1), RHUMB_OK);
        EXPECT_FALSE(held_by_other(second, offset, 1));
        EXPECT_TRUE(take(second, offset, 1, RHUMB__IO_LOCK_EXCLUSIVE));
        EXPECT_EQ(rhumb__io_unlock_range(second, offset, 1), RHUMB_OK);
    }
}

TEST_P(IoBackend, SharedLocksCoexistAlsoOnReadOnlyHandles) {
    put_file(path_, "");
    Handle writer(backend_, path_, RHUMB__IO_WRITE);
    Handle reader(backend_, path_, RHUMB__IO_READ);
    Handle other(backend_, path_, RHUMB__IO_READ);
    EXPECT_TRUE(take(reader, kFar, 1, RHUMB__IO_LOCK_SHARED));
    EXPECT_TRUE(take(other, kFar, 1, RHUMB__IO_LOCK_SHARED));
    EXPECT_TRUE(held_by_other(reader, kFar, 1)) << "a shared lock would refuse an exclusive one";
    EXPECT_TRUE(held_by_other(writer, kFar - 100, 200));
    EXPECT_FALSE(take(writer, kFar, 1, RHUMB__IO_LOCK_EXCLUSIVE));
    EXPECT_EQ(rhumb__io_unlock_range(other, kFar, 1), RHUMB_OK);
    EXPECT_FALSE(held_by_other(reader, kFar, 1));
    EXPECT_TRUE(held_by_other(writer, kFar, 1));
    reader.close();
    EXPECT_TRUE(take(writer, kFar, 1, RHUMB__IO_LOCK_EXCLUSIVE));
    EXPECT_TRUE(held_by_other(other, kFar, 1)) << "a read-only handle may ask";
}

TEST_P(IoBackend, ASharedLockBecomesExclusiveOnlyWithoutOtherHolders) {
    Handle first(backend_, path_, RHUMB__IO_CREATE);
    Handle second(backend_, path_, RHUMB__IO_WRITE);
    EXPECT_TRUE(take(first, 0, 8, RHUMB__IO_LOCK_SHARED));
    EXPECT_TRUE(take(second, 0, 8, RHUMB__IO_LOCK_SHARED));
    EXPECT_FALSE(take(first, 0, 8, RHUMB__IO_LOCK_EXCLUSIVE));
    EXPECT_TRUE(held_by_other(second, 0, 8)) << "a refused raise keeps the shared lock";
    second.close();
    EXPECT_TRUE(take(first, 0, 8, RHUMB__IO_LOCK_EXCLUSIVE));
}

TEST_P(IoBackend, ClosingAnotherHandleOfTheFileKeepsTheLock) {
    Handle holder(backend_, path_, RHUMB__IO_CREATE);
    EXPECT_TRUE(take(holder, 0, 1, RHUMB__IO_LOCK_EXCLUSIVE));
    { Handle passing(backend_, path_, RHUMB__IO_READ); }
    Handle other(backend_, path_, RHUMB__IO_READ);
    EXPECT_TRUE(held_by_other(other, 0, 1));
}

TEST_P(IoBackend, RefusesLockRangesThatAreEmptyOrEndAfterTheLastByte) {
    Handle io(backend_, path_, RHUMB__IO_CREATE);
    bool flag = false;
    EXPECT_EQ(rhumb__io_lock_range(io, 5, 0, RHUMB__IO_LOCK_SHARED, &flag), RHUMB_E_INVALID);
    EXPECT_EQ(rhumb__io_lock_range(io, INT64_MAX, 1, RHUMB__IO_LOCK_SHARED, &flag), RHUMB_E_INVALID);
    EXPECT_EQ(rhumb__io_unlock_range(io, UINT64_MAX, 1), RHUMB_E_INVALID);
    EXPECT_EQ(rhumb__io_lock_test(io, 0, UINT64_MAX, &flag), RHUMB_E_INVALID);
    EXPECT_EQ(rhumb__io_lock_test(io, 0, 0, &flag), RHUMB_E_INVALID);
}

TEST_P(IoBackend, TheLockOfAKilledProcessIsFree) {
    put_file(path_, "");
    int ready[2];
    ASSERT_EQ(pipe(ready), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        rhumb__io *io = nullptr;
        bool exclusive = false;
        bool shared = false;
        CHILD_CHECK(rhumb__io_open(backend_, path_.c_str(), RHUMB__IO_WRITE, &io) == RHUMB_OK);
        CHILD_CHECK(rhumb__io_lock_range(io, 0, 1, RHUMB__IO_LOCK_EXCLUSIVE, &exclusive) == RHUMB_OK && exclusive);
        CHILD_CHECK(rhumb__io_lock_range(io, kFar, 1, RHUMB__IO_LOCK_SHARED, &shared) == RHUMB_OK && shared);
        CHILD_CHECK(::write(ready[1], "r", 1) == 1);
        for (;;) pause();
    }
    ::close(ready[1]);
    char byte = 0;
    ASSERT_EQ(::read(ready[0], &byte, 1), 1) << "the child did not get its locks";
    ::close(ready[0]);

    Handle io(backend_, path_, RHUMB__IO_WRITE);
    EXPECT_FALSE(take(io, 0, 1, RHUMB__IO_LOCK_EXCLUSIVE));
    EXPECT_TRUE(held_by_other(io, 0, 1));
    EXPECT_TRUE(held_by_other(io, kFar, 1));
    EXPECT_TRUE(take(io, kFar, 1, RHUMB__IO_LOCK_SHARED));

    EXPECT_EQ(kill(child, SIGKILL), 0);
    EXPECT_EQ(waitpid(child, nullptr, 0), child);
    EXPECT_FALSE(held_by_other(io, 0, 1));
    EXPECT_FALSE(held_by_other(io, kFar, 1));
    EXPECT_TRUE(take(io, 0, 1, RHUMB__IO_LOCK_EXCLUSIVE));
}

TEST_P(IoBackend, APatientHandleGetsALockThatIsReleasedSoon) {
    Handle first(backend_, path_, RHUMB__IO_CREATE);
    Handle second(backend_, path_, RHUMB__IO_WRITE);
    ASSERT_TRUE(take(first, kFar, 1, RHUMB__IO_LOCK_EXCLUSIVE));
    bool taken = true;
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_EQ(rhumb__io_lock_patiently(second, kFar, 1, RHUMB__IO_LOCK_EXCLUSIVE, &taken), RHUMB_OK);
    EXPECT_FALSE(taken) << "it is held throughout";
    EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(80));
    std::thread release([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
        EXPECT_EQ(rhumb__io_unlock_range(first, kFar, 1), RHUMB_OK);
    });
    for (int i = 0; i < 100 && !taken; i++) { // the other thread may be late
        EXPECT_EQ(rhumb__io_lock_patiently(second, kFar, 1, RHUMB__IO_LOCK_EXCLUSIVE, &taken), RHUMB_OK);
    }
    release.join();
    EXPECT_TRUE(taken);
    EXPECT_TRUE(held_by_other(first, kFar, 1));
}

} // namespace
} // namespace io_test
