// Goal: full disks, limits, failed syncs and forbidden system calls end in the documented status, with path and offset,
// and leave the handle as io.h says; without io_uring everything works. Method: the descriptor of a handle is swapped
// for one that fails; limits, system call filters and a small tmpfs are set up in a child. rhumb__io_backend_default is
// called only in children, because it decides once per process.
#include "tests/support/io_test_support.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <csignal>
#include <cstdlib>

namespace io_test {
namespace {

INSTANTIATE_TEST_SUITE_P(Backends, IoBackend, ::testing::Values("plain", "uring"), backend_name);

TEST_P(IoBackend, AFailedWriteIsReportedOnceByTheNextDrain) {
    Handle io(backend_, path_, RHUMB__IO_CREATE);
    ASSERT_EQ(io.status(), RHUMB_OK);
    const std::vector<uint8_t> source = random_bytes(3 * kMiB, 1);
    rhumb__fail(RHUMB_E_INVALID, "an earlier failure");
    {
        const int full = open("/dev/full", O_RDWR | O_CLOEXEC);
        ASSERT_GE(full, 0);
        DescriptorSwap swap(path_, full);
        ::close(full);
        EXPECT_EQ(rhumb__io_write(io, source.data(), 5000, 12345), RHUMB_OK) << "failures belong to the drain";
        EXPECT_STREQ(rhumb__error_last()->message, "an earlier failure");
        EXPECT_EQ(rhumb__io_drain(io), RHUMB_E_NOSPACE);
        EXPECT_EQ(rhumb__error_last()->os_errno, ENOSPC);
        EXPECT_EQ(rhumb__error_last()->file_offset, 12345u);
        EXPECT_EQ(path_, rhumb__error_last()->path);
        EXPECT_EQ(rhumb__io_drain(io), RHUMB_OK) << "a failure is reported once";

        EXPECT_EQ(rhumb__io_write(io, source.data(), source.size(), 0), RHUMB_OK);
        EXPECT_EQ(rhumb__io_sync(io), RHUMB_E_NOSPACE) << "sync drains first, and does not go on to sync";
    }
    EXPECT_EQ(rhumb__io_write(io, source.data(), source.size(), 0), RHUMB_OK);
    EXPECT_EQ(rhumb__io_sync(io), RHUMB_OK);
    EXPECT_TRUE(file_bytes(path_) == source);
}

TEST_P(IoBackend, AFailedSyncIsPermanent) {
    Handle io(backend_, path_, RHUMB__IO_CREATE);
    ASSERT_EQ(io.status(), RHUMB_OK);
    ASSERT_EQ(rhumb__io_write(io, "abc", 3, 0), RHUMB_OK);
    ASSERT_EQ(rhumb__io_drain(io), RHUMB_OK);
    {
        DescriptorSwap swap(path_, -1);
        EXPECT_EQ(rhumb__io_sync(io), RHUMB_E_FATAL);
        EXPECT_EQ(rhumb__error_last()->status, RHUMB_E_FATAL);
        EXPECT_EQ(rhumb__error_last()->os_errno, EBADF);
        EXPECT_EQ(path_, rhumb__error_last()->path);
    }
    EXPECT_EQ(rhumb__io_sync(io), RHUMB_E_FATAL) << "the file is well again, but what was lost stays lost";
    EXPECT_EQ(rhumb__io_write(io, "def", 3, 3), RHUMB_OK);
    EXPECT_EQ(rhumb__io_drain(io), RHUMB_OK);
    EXPECT_EQ(rhumb__io_sync(io), RHUMB_E_FATAL);
    char found[6];
    EXPECT_EQ(rhumb__io_read(io, found, sizeof found, 0), RHUMB_OK);
    Handle fresh(backend_, path_, RHUMB__IO_WRITE);
    EXPECT_EQ(rhumb__io_sync(fresh), RHUMB_OK);
}

// The kernel answers EINVAL to a sync of a pipe, which from a ring may also mean that it does not know the operation.
TEST_P(IoBackend, AnUnsupportedSyncFailsToo) {
    Handle io(backend_, path_, RHUMB__IO_CREATE);
    ASSERT_EQ(io.status(), RHUMB_OK);
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    {
        DescriptorSwap swap(path_, ends[1]);
        EXPECT_EQ(rhumb__io_sync(io), RHUMB_E_FATAL);
        EXPECT_EQ(rhumb__error_last()->os_errno, EINVAL);
    }
    EXPECT_EQ(rhumb__io_sync(io), RHUMB_E_FATAL);
    ::close(ends[0]);
    ::close(ends[1]);
}

TEST_P(IoBackend, TheFileSizeLimitStopsOneWriteAndNotTheOthers) {
    const int code = run_in_child([&] {
        const std::vector<uint8_t> source = random_bytes(3 * kMiB, 2);
        const uint64_t limit = kMiB + 4096;
        signal(SIGXFSZ, SIG_IGN);
        rhumb__io *io = nullptr;
        CHILD_CHECK(rhumb__io_open(backend_, path_.c_str(), RHUMB__IO_CREATE, &io) == RHUMB_OK);
        rlimit limits = {};
        CHILD_CHECK(getrlimit(RLIMIT_FSIZE, &limits) == 0);
        const rlimit before = limits;
        limits.rlim_cur = limit;
        CHILD_CHECK(setrlimit(RLIMIT_FSIZE, &limits) == 0);

        CHILD_CHECK(rhumb__io_write(io, &source[limit - 5000], 10000, limit - 5000) == RHUMB_OK);
        CHILD_CHECK(rhumb__io_write(io, source.data(), 1000, 0) == RHUMB_OK);
        CHILD_CHECK(rhumb__io_drain(io) == RHUMB_E_IO);
        CHILD_CHECK(rhumb__error_last()->os_errno == EFBIG);
        CHILD_CHECK(rhumb__error_last()->file_offset == limit); // the short write was continued up to the limit
        CHILD_CHECK(path_ == rhumb__error_last()->path);
        const std::vector<uint8_t> found = file_bytes(path_);
        CHILD_CHECK(found.size() == limit);
        CHILD_CHECK(std::equal(found.end() - 5000, found.end(), &source[limit - 5000]));
        CHILD_CHECK(std::equal(found.begin(), found.begin() + 1000, source.begin()));
        CHILD_CHECK(rhumb__io_resize(io, limit + 1) == RHUMB_E_IO);
        CHILD_CHECK(rhumb__io_allocate(io, 0, limit + 1) == RHUMB_E_IO);

        CHILD_CHECK(setrlimit(RLIMIT_FSIZE, &before) == 0);
        CHILD_CHECK(rhumb__io_write(io, source.data(), source.size(), 0) == RHUMB_OK);
        CHILD_CHECK(rhumb__io_sync(io) == RHUMB_OK);
        rhumb__io_close(io);
        CHILD_CHECK(file_bytes(path_) == source);
    });
    EXPECT_EQ(code, 0);
}

// Mounts a tmpfs that no other process sees.
bool mount_small_disk(const std::string &place, const char *options) {
    if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
    mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
    return mount("none", place.c_str(), "tmpfs", 0, options) == 0;
}

TEST_P(IoBackend, AFullDiskIsReportedAndUsableAgainOnceThereIsRoom) {
    const int code = run_in_child([&] {
        if (!mount_small_disk(directory_.path(), "size=4m")) _exit(kChildSkipped);
        const std::vector<uint8_t> source = random_bytes(3 * kMiB + 500, 3);
        const std::string filler = directory_.file("filler");
        rhumb__io *io = nullptr;
        CHILD_CHECK(rhumb__io_open(backend_, filler.c_str(), RHUMB__IO_CREATE, &io) == RHUMB_OK);
        CHILD_CHECK(rhumb__io_allocate(io, 0, 2 * kMiB) == RHUMB_OK);
        rhumb__io_close(io);

        CHILD_CHECK(rhumb__io_open(backend_, path_.c_str(), RHUMB__IO_CREATE, &io) == RHUMB_OK);
        CHILD_CHECK(rhumb__io_allocate(io, 0, 3 * kMiB) == RHUMB_E_NOSPACE);
        CHILD_CHECK(rhumb__io_resize(io, 0) == RHUMB_OK);
        CHILD_CHECK(rhumb__io_write(io, source.data(), source.size(), 0) == RHUMB_OK);
        CHILD_CHECK(rhumb__io_drain(io) == RHUMB_E_NOSPACE);
        CHILD_CHECK(rhumb__error_last()->os_errno == ENOSPC);
        CHILD_CHECK(rhumb__error_last()->file_offset < source.size());
        CHILD_CHECK(rhumb__error_last()->file_offset > 0);
        CHILD_CHECK(path_ == rhumb__error_last()->path);

        CHILD_CHECK(rhumb__io_remove(backend_, filler.c_str()) == RHUMB_OK);
        CHILD_CHECK(rhumb__io_write(io, source.data(), source.size(), 0) == RHUMB_OK);
        CHILD_CHECK(rhumb__io_sync(io) == RHUMB_OK);
        rhumb__io_close(io);
        CHILD_CHECK(file_bytes(path_) == source);
    });
    if (code == kChildSkipped) GTEST_SKIP() << "no tmpfs can be mounted here";
    EXPECT_EQ(code, 0);
}

TEST_P(IoBackend, AWriteThatWritesNothingIsAnError) {
    const int code = run_in_child([&] {
        rhumb__io *io = nullptr;
        CHILD_CHECK(rhumb__io_open(backend_, path_.c_str(), RHUMB__IO_CREATE, &io) == RHUMB_OK);
        if (!refuse_call(SYS_pwrite64, 0) || !refuse_call(SYS_io_uring_enter, EPERM)) _exit(kChildSkipped);
        CHILD_CHECK(rhumb__io_write(io, "abc", 3, 77) == RHUMB_OK);
        CHILD_CHECK(rhumb__io_drain(io) == RHUMB_E_IO);
        CHILD_CHECK(rhumb__error_last()->os_errno == 0);
        CHILD_CHECK(rhumb__error_last()->file_offset == 77);
        CHILD_CHECK(path_ == rhumb__error_last()->path);
        rhumb__io_close(io);
    });
    if (code == kChildSkipped) GTEST_SKIP() << "no system call filter can be set here";
    EXPECT_EQ(code, 0);
}

// One refused system call: what it is, the kernel's answer, the call of io.h that meets it, and what that must return.
struct Refusal {
    const char *name;
    std::vector<unsigned> call_numbers; // more than one where C libraries differ
    unsigned os_errno;
    rhumb_status expected;
    std::function<rhumb_status(rhumb__io *)> action;
};

TEST_P(IoBackend, EveryRefusedCallIsReportedWithItsReasonAndPath) {
    static uint8_t bytes[16];
    bool flag = false;
    uint64_t size_bytes = 0;
    void *place = aligned_alloc(65536, 65536);
    const Refusal refusals[] = {
        {"size",
         {SYS_newfstatat, SYS_fstat},
         EIO,
         RHUMB_E_IO,
         [&](rhumb__io *io) { return rhumb__io_size(io, &size_bytes); }},
        {"resize", {SYS_ftruncate}, EIO, RHUMB_E_IO, [](rhumb__io *io) { return rhumb__io_resize(io, 10); }},
        {"allocate", {SYS_fallocate}, EIO, RHUMB_E_IO, [](rhumb__io *io) { return rhumb__io_allocate(io, 0, 10); }},
        {"quota",
         {SYS_fallocate},
         EDQUOT,
         RHUMB_E_NOSPACE,
         [](rhumb__io *io) { return rhumb__io_allocate(io, 0, 10); }},
        {"punch", {SYS_fallocate}, EIO, RHUMB_E_IO, [](rhumb__io *io) { return rhumb__io_punch(io, 0, 10); }},
        {"read", {SYS_pread64}, EIO, RHUMB_E_IO, [](rhumb__io *io) { return rhumb__io_read(io, bytes, 3, 0); }},
        {"map",
         {SYS_mmap},
         ENOMEM,
         RHUMB_E_NOMEM,
         [&](rhumb__io *io) { return rhumb__io_map(io, place, 65536, 0, RHUMB__IO_MAP_PRIVATE); }},
        {"lock",
         {SYS_fcntl},
         ENOLCK,
         RHUMB_E_UNSUPPORTED,
         [&](rhumb__io *io) { return rhumb__io_lock_range(io, 0, 1, RHUMB__IO_LOCK_SHARED, &flag); }},
        {"unlock",
         {SYS_fcntl},
         ENOLCK,
         RHUMB_E_UNSUPPORTED,
         [](rhumb__io *io) { return rhumb__io_unlock_range(io, 0, 1); }},
        {"lock test",
         {SYS_fcntl},
         ENOLCK,
         RHUMB_E_UNSUPPORTED,
         [&](rhumb__io *io) { return rhumb__io_lock_test(io, 0, 1, &flag); }},
    };
    for (const Refusal &refusal : refusals) {
        const std::string path = path_ + " " + refusal.name;
        const int code = run_in_child([&] {
            rhumb__io *io = nullptr;
            CHILD_CHECK(rhumb__io_open(backend_, path.c_str(), RHUMB__IO_CREATE, &io) == RHUMB_OK);
            for (unsigned call_number : refusal.call_numbers)
                if (!refuse_call(call_number, refusal.os_errno)) _exit(kChildSkipped);
            CHILD_CHECK(refusal.action(io) == refusal.expected);
            CHILD_CHECK(rhumb__error_last()->status == refusal.expected);
            CHILD_CHECK(rhumb__error_last()->os_errno == static_cast<int32_t>(refusal.os_errno));
            CHILD_CHECK(path == rhumb__error_last()->path);
        });
        if (code == kChildSkipped) GTEST_SKIP() << "no system call filter can be set here";
        EXPECT_EQ(code, 0) << refusal.name;
    }
    free(place);
}

TEST_P(IoBackend, AFileThatIsNeverReadyFailsEventually) {
    const int code = run_in_child([&] {
        rhumb__io *io = nullptr;
        CHILD_CHECK(rhumb__io_open(backend_, path_.c_str(), RHUMB__IO_CREATE, &io) == RHUMB_OK);
        if (!refuse_call(SYS_pwrite64, EAGAIN) || !refuse_call(SYS_io_uring_enter, EPERM)) _exit(kChildSkipped);
        CHILD_CHECK(rhumb__io_write(io, "abc", 3, 0) == RHUMB_OK);
        CHILD_CHECK(rhumb__io_drain(io) == RHUMB_E_IO);
        CHILD_CHECK(rhumb__error_last()->os_errno == EAGAIN);
    });
    if (code == kChildSkipped) GTEST_SKIP() << "no system call filter can be set here";
    EXPECT_EQ(code, 0);
}

TEST_P(IoBackend, ADirectoryThatFailsToSyncIsReported) {
    const int code = run_in_child([&] {
        if (!refuse_call(SYS_fsync, EIO)) _exit(kChildSkipped);
        CHILD_CHECK(rhumb__io_sync_directory(backend_, path_.c_str()) == RHUMB_E_IO);
        CHILD_CHECK(rhumb__error_last()->os_errno == EIO);
        CHILD_CHECK(directory_.path() == rhumb__error_last()->path);
    });
    if (code == kChildSkipped) GTEST_SKIP() << "no system call filter can be set here";
    EXPECT_EQ(code, 0);
}

TEST_P(IoBackend, WorksWithoutAllocationAndPunchingInTheFileSystem) {
    const int code = run_in_child([&] {
        rhumb__io *io = nullptr;
        if (!refuse_call(SYS_fallocate, EOPNOTSUPP)) _exit(kChildSkipped);
        CHILD_CHECK(rhumb__io_open(backend_, path_.c_str(), RHUMB__IO_CREATE, &io) == RHUMB_OK);
        CHILD_CHECK(rhumb__io_write(io, "abc", 3, 0) == RHUMB_OK);
        CHILD_CHECK(rhumb__io_allocate(io, 1000, 24) == RHUMB_OK);
        CHILD_CHECK(file_bytes(path_).size() == 1024);
        CHILD_CHECK(rhumb__io_allocate(io, 0, 100) == RHUMB_OK); // does not cut
        CHILD_CHECK(rhumb__io_punch(io, 0, 100) == RHUMB_OK);
        CHILD_CHECK(file_bytes(path_).size() == 1024);
        CHILD_CHECK(file_bytes(path_)[0] == 'a');
        rhumb__io_close(io);
    });
    if (code == kChildSkipped) GTEST_SKIP() << "no system call filter can be set here";
    EXPECT_EQ(code, 0);
}

TEST_P(IoBackend, AvoidsTheDescriptorsOfTheStandardStreams) {
    const int code = run_in_child([&] {
        for (int fd = 0; fd <= STDERR_FILENO; fd++) ::close(fd);
        rhumb__io *io = nullptr;
        if (rhumb__io_open(backend_, path_.c_str(), RHUMB__IO_CREATE, &io) != RHUMB_OK) _exit(2);
        const std::vector<int> found = descriptors_of(path_);
        if (found.size() != 1 || found[0] <= STDERR_FILENO) _exit(3);
        if ((fcntl(found[0], F_GETFD) & FD_CLOEXEC) == 0) _exit(4);
        rhumb__io_close(io);
    });
    EXPECT_EQ(code, 0);
}

TEST_P(IoBackend, FailsCleanlyWithoutDescriptors) {
    const int code = run_in_child([&] {
        rlimit limits = {};
        CHILD_CHECK(getrlimit(RLIMIT_NOFILE, &limits) == 0);
        const rlimit before = limits;
        const int next_free = dup(STDOUT_FILENO);
        CHILD_CHECK(next_free >= 0);
        ::close(next_free);
        rhumb__io *io = nullptr;
        // With no descriptor at all, and with just the one that a ring would take.
        for (int spare = 0; spare <= (backend_ == &rhumb__io_uring ? 1 : 0); spare++) {
            limits.rlim_cur = static_cast<rlim_t>(next_free + spare);
            CHILD_CHECK(setrlimit(RLIMIT_NOFILE, &limits) == 0);
            const rhumb_status status = rhumb__io_open(backend_, path_.c_str(), RHUMB__IO_CREATE, &io);
            CHILD_CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
            CHILD_CHECK(status == RHUMB_E_IO);
            CHILD_CHECK(rhumb__error_last()->os_errno == EMFILE);
            CHILD_CHECK(!std::filesystem::exists(path_));
        }
        CHILD_CHECK(rhumb__io_open(backend_, path_.c_str(), RHUMB__IO_CREATE, &io) == RHUMB_OK);
        rhumb__io_close(io);
    });
    EXPECT_EQ(code, 0);
}

// Writes, syncs and reads back through `backend`; leaves the child when anything is wrong.
void check_round_trip(const rhumb__io_backend *backend, const std::string &path, const char *expected_name) {
    const std::vector<uint8_t> source = random_bytes(2 * kMiB + 77, 4);
    rhumb__io *io = nullptr;
    CHILD_CHECK(rhumb__io_open(backend, path.c_str(), RHUMB__IO_CREATE, &io) == RHUMB_OK);
    CHILD_CHECK(strcmp(io->backend->name, expected_name) == 0);
    CHILD_CHECK(rhumb__io_write(io, source.data(), source.size(), 0) == RHUMB_OK);
    CHILD_CHECK(rhumb__io_sync(io) == RHUMB_OK);
    rhumb__io_close(io);
    CHILD_CHECK(file_bytes(path) == source);
    CHILD_CHECK(rhumb__io_remove(backend, path.c_str()) == RHUMB_OK);
}

class IoFallback : public ::testing::Test {
  protected:
    ScratchDirectory directory_;
    std::string path_ = directory_.file("data");
};

TEST_F(IoFallback, WorksWhereRingsAreForbidden) {
    for (unsigned os_errno : {EPERM, ENOSYS, ENOMEM, EMFILE}) {
        const int code = run_in_child([&] {
            if (!refuse_call(SYS_io_uring_setup, os_errno)) _exit(kChildSkipped);
            CHILD_CHECK(!rhumb__io_uring_available());
            CHILD_CHECK(rhumb__io_backend_default() == &rhumb__io_plain);
            check_round_trip(&rhumb__io_uring, path_, "plain");
            check_round_trip(nullptr, path_, "plain");
        });
        if (code == kChildSkipped) GTEST_SKIP() << "no system call filter can be set here";
        EXPECT_EQ(code, 0) << os_errno;
    }
}

TEST_F(IoFallback, ARingThatStopsWorkingLosesNothing) {
    if (!rhumb__io_uring_available()) GTEST_SKIP() << "no ring can be made here";
    const int code = run_in_child([&] {
        const std::vector<uint8_t> source = random_bytes(24 * kMiB, 5);
        rhumb__io *io = nullptr;
        CHILD_CHECK(rhumb__io_open(&rhumb__io_uring, path_.c_str(), RHUMB__IO_CREATE, &io) == RHUMB_OK);
        CHILD_CHECK(rhumb__io_write(io, source.data(), 16 * kMiB, 0) == RHUMB_OK);
        if (!refuse_call(SYS_io_uring_enter, EPERM)) _exit(kChildSkipped);
        CHILD_CHECK(rhumb__io_write(io, &source[16 * kMiB], 8 * kMiB, 16 * kMiB) == RHUMB_OK);
        CHILD_CHECK(rhumb__io_sync(io) == RHUMB_OK);
        CHILD_CHECK(file_bytes(path_) == source);
        rhumb__io_close(io);
    });
    if (code == kChildSkipped) GTEST_SKIP() << "no system call filter can be set here";
    EXPECT_EQ(code, 0);
}

// What the ring did not take must not be carried out later, when other bytes are in that buffer.
TEST_F(IoFallback, ARingThatRefusedOnceIsNotUsedAgain) {
    if (!rhumb__io_uring_available()) GTEST_SKIP() << "no ring can be made here";
    Handle io(&rhumb__io_uring, path_, RHUMB__IO_CREATE);
    ASSERT_EQ(io.status(), RHUMB_OK);
    const std::vector<uint8_t> source = random_bytes(2 * kMiB, 6);
    std::vector<uint8_t> buffer(source.begin(), source.begin() + kMiB);
    {
        const int other = open("/dev/null", O_RDWR | O_CLOEXEC);
        DescriptorSwap swap("anon_inode:[io_uring]", other);
        ::close(other);
        EXPECT_EQ(rhumb__io_write(io, buffer.data(), kMiB, 0), RHUMB_OK);
        EXPECT_EQ(rhumb__io_drain(io), RHUMB_OK);
    }
    std::fill(buffer.begin(), buffer.end(), uint8_t{0xEE});
    EXPECT_EQ(rhumb__io_write(io, &source[kMiB], kMiB, kMiB), RHUMB_OK);
    EXPECT_EQ(rhumb__io_sync(io), RHUMB_OK);
    EXPECT_TRUE(file_bytes(path_) == source);
}

TEST_F(IoFallback, ReadOnlyHandlesNeedNoRing) {
    put_file(path_, "content");
    Handle io(&rhumb__io_uring, path_, RHUMB__IO_READ);
    ASSERT_EQ(io.status(), RHUMB_OK);
    EXPECT_STREQ(io->backend->name, "plain");
}

TEST_F(IoFallback, TheEnvironmentNamesTheBackend) {
    const bool ring = rhumb__io_uring_available();
    const struct {
        const char *value;
        const char *default_name;
        const char *opened_name;
    } cases[] = {
        {"plain", "plain", "plain"},
        {"uring", "uring", ring ? "uring" : "plain"},
        {"no-such-backend", ring ? "uring" : "plain", ring ? "uring" : "plain"},
        {nullptr, ring ? "uring" : "plain", ring ? "uring" : "plain"},
    };
    for (const auto &entry : cases) {
        const int code = run_in_child([&] {
            entry.value != nullptr ? setenv("RHUMB_IO", entry.value, 1) : unsetenv("RHUMB_IO");
            CHILD_CHECK(strcmp(rhumb__io_backend_default()->name, entry.default_name) == 0);
            check_round_trip(nullptr, path_, entry.opened_name);
        });
        EXPECT_EQ(code, 0) << (entry.value != nullptr ? entry.value : "(unset)");
    }
}

} // namespace
} // namespace io_test
