// Goal: a signal that interrupts a system call is not a failure: each call of the io layer that the kernel may end with
// EINTR is made again. Method: this program has its own open, fsync and so on, in front of the C library's, which
// return EINTR a few times before they do what they are asked for.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <string>

#include "storage/io/io.h"
#include "tests/support/scratch_files.h"

namespace {

constexpr int kInterruptions = 3;
bool armed = false;
int left = 0;             // interruptions before the next call succeeds
bool unlink_done = false; // remove the name at the first, interrupted call, as some file systems do

bool interrupted() {
    if (!armed) return false;
    if (left == 0) {
        left = kInterruptions;
        return false;
    }
    left--;
    errno = EINTR;
    return true;
}

int result_of(long result) { return static_cast<int>(result); }

} // namespace

extern "C" {

int open(const char *path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    const int mode = (flags & O_CREAT) != 0 ? va_arg(arguments, int) : 0;
    va_end(arguments);
    return interrupted() ? -1 : result_of(syscall(SYS_openat, AT_FDCWD, path, flags, mode));
}
int fsync(int fd) { return interrupted() ? -1 : result_of(syscall(SYS_fsync, fd)); }
int fdatasync(int fd) { return interrupted() ? -1 : result_of(syscall(SYS_fdatasync, fd)); }
int ftruncate(int fd, off_t bytes) noexcept {
    return interrupted() ? -1 : result_of(syscall(SYS_ftruncate, fd, bytes));
}
int fallocate(int fd, int mode, off_t offset, off_t bytes) {
    return interrupted() ? -1 : result_of(syscall(SYS_fallocate, fd, mode, offset, bytes));
}
ssize_t pread(int fd, void *bytes, size_t count, off_t offset) {
    return interrupted() ? -1 : syscall(SYS_pread64, fd, bytes, count, offset);
}
ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) {
    return interrupted() ? -1 : syscall(SYS_pwrite64, fd, bytes, count, offset);
}
int unlink(const char *path) noexcept {
    if (armed && unlink_done) syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    return interrupted() ? -1 : result_of(syscall(SYS_unlinkat, AT_FDCWD, path, 0));
}
int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags) noexcept {
    return interrupted() ? -1 : result_of(syscall(SYS_renameat2, from_folder, from, to_folder, to, flags));
}

} // extern "C"

namespace {

class IoInterrupted : public ::testing::TestWithParam<const char *> {
  protected:
    void SetUp() override {
        backend_ = rhumb__io_backend_named(GetParam());
        if (backend_ == &rhumb__io_uring && !rhumb__io_uring_available()) GTEST_SKIP() << "no io_uring here";
        path_ = directory_.file("file");
        left = kInterruptions;
        armed = true;
    }
    void TearDown() override { armed = unlink_done = false; }
    // Interruptions come in rounds: an interrupted call that has been made again leaves a whole one.
    static void expect_made_again(rhumb_status status) {
        EXPECT_EQ(RHUMB_OK, status);
        EXPECT_EQ(kInterruptions, left) << "the call was not made again";
    }
    rhumb_test::ScratchDirectory directory_;
    const rhumb__io_backend *backend_ = nullptr;
    std::string path_;
};

TEST_P(IoInterrupted, FilesAreOpenedWrittenSyncedAndRead) {
    rhumb__io *io = nullptr;
    expect_made_again(rhumb__io_open(backend_, path_.c_str(), RHUMB__IO_CREATE, &io));
    expect_made_again(rhumb__io_resize(io, 8192));
    expect_made_again(rhumb__io_allocate(io, 0, 8192));
    expect_made_again(rhumb__io_punch(io, 4096, 4096));
    char bytes[16] = "fifteen letters";
    expect_made_again(rhumb__io_write(io, bytes, sizeof bytes, 100));
    expect_made_again(rhumb__io_drain(io));
    expect_made_again(rhumb__io_sync(io));
    char read[16];
    expect_made_again(rhumb__io_read(io, read, sizeof read, 100));
    EXPECT_STREQ(bytes, read);
    rhumb__io_close(io);
}

TEST_P(IoInterrupted, DirectoriesAreSyncedAndNamesChanged) {
    rhumb__io *io = nullptr;
    ASSERT_EQ(RHUMB_OK, rhumb__io_open(backend_, path_.c_str(), RHUMB__IO_CREATE, &io));
    expect_made_again(rhumb__io_sync_directory(backend_, path_.c_str()));
    const std::string other = directory_.file("other");
    expect_made_again(rhumb__io_take_name(io, other.c_str()));
    rhumb__io_close(io);
    EXPECT_EQ(0, access(other.c_str(), F_OK));
    expect_made_again(rhumb__io_remove(backend_, other.c_str()));
    EXPECT_NE(0, access(other.c_str(), F_OK));
}

TEST_P(IoInterrupted, ANameThatAnInterruptedCallHasRemovedIsGone) {
    rhumb__io *io = nullptr;
    ASSERT_EQ(RHUMB_OK, rhumb__io_open(backend_, path_.c_str(), RHUMB__IO_CREATE, &io));
    rhumb__io_close(io);
    unlink_done = true;
    expect_made_again(rhumb__io_remove(backend_, path_.c_str()));
    armed = false;
    EXPECT_EQ(RHUMB_E_NOTFOUND, rhumb__io_remove(backend_, path_.c_str()));
}

INSTANTIATE_TEST_SUITE_P(Backends, IoInterrupted, ::testing::Values("plain", "uring"),
                         [](const auto &info) { return std::string(info.param); });

} // namespace
