// What the tests of the io backends share: the choice of backend, child processes whose limits, filters and mounts a
// test may change, and the descriptor behind a handle.
#ifndef RHUMB_TESTS_SUPPORT_IO_TEST_SUPPORT_H
#define RHUMB_TESTS_SUPPORT_IO_TEST_SUPPORT_H

#include <dirent.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" {
#include "base/status.h"
#include "storage/io/io.h"
}
#include "tests/support/scratch_files.h"
#include "tests/support/seed.h"

namespace io_test {

constexpr size_t kKiB = 1024;
constexpr size_t kMiB = 1024 * kKiB;

using rhumb_test::choose_seed;
using rhumb_test::file_bytes;
using rhumb_test::put_file;
using rhumb_test::ScratchDirectory;

// A handle that closes itself.
class Handle {
  public:
    Handle(const rhumb__io_backend *backend, const std::string &path, rhumb__io_mode mode) {
        status_ = rhumb__io_open(backend, path.c_str(), mode, &io_);
    }
    Handle(const Handle &) = delete;
    Handle &operator=(const Handle &) = delete;
    ~Handle() { rhumb__io_close(io_); }
    void close() {
        rhumb__io_close(io_);
        io_ = nullptr;
    }
    rhumb_status status() const { return status_; }
    operator rhumb__io *() const { return io_; }
    rhumb__io *operator->() const { return io_; }

  private:
    rhumb__io *io_ = nullptr;
    rhumb_status status_;
};

// Every test of this kind runs once per backend, on files of its own directory.
class IoBackend : public ::testing::TestWithParam<const char *> {
  protected:
    void SetUp() override {
        backend_ = rhumb__io_backend_named(GetParam());
        ASSERT_NE(backend_, nullptr);
        if (backend_ == &rhumb__io_uring && !rhumb__io_uring_available()) GTEST_SKIP() << "no ring can be made here";
        path_ = directory_.file("data");
    }
    const rhumb__io_backend *backend_ = nullptr;
    ScratchDirectory directory_;
    std::string path_;
};

inline std::string backend_name(const ::testing::TestParamInfo<const char *> &info) { return info.param; }

inline std::vector<uint8_t> random_bytes(size_t count, uint64_t seed) {
    std::mt19937_64 random(seed);
    std::vector<uint8_t> bytes(count);
    for (size_t i = 0; i < count; i += 8) {
        const uint64_t word = random();
        memcpy(&bytes[i], &word, std::min<size_t>(8, count - i));
    }
    return bytes;
}

// The descriptors of this process that lead to `path` (all of them for an empty path).
inline std::vector<int> descriptors_of(const std::string &path) {
    std::vector<int> found;
    DIR *directory = opendir("/proc/self/fd");
    if (directory == nullptr) return found;
    for (const dirent *entry; (entry = readdir(directory)) != nullptr;) {
        char target[PATH_MAX];
        const std::string link = std::string("/proc/self/fd/") + entry->d_name;
        const ssize_t length = readlink(link.c_str(), target, sizeof target);
        if (length < 0) continue;
        const int fd = atoi(entry->d_name);
        if (fd == dirfd(directory)) continue;
        if (path.empty() || std::string(target, static_cast<size_t>(length)) == path) found.push_back(fd);
    }
    closedir(directory);
    return found;
}

// Puts another open file in the place of a handle's descriptor for as long as it lives: how a disk is made to fail
// without privileges. With a negative replacement, the descriptor is closed instead.
class DescriptorSwap {
  public:
    DescriptorSwap(const std::string &path, int replacement) {
        const std::vector<int> found = descriptors_of(path);
        EXPECT_EQ(found.size(), 1u) << path;
        if (found.empty()) return;
        fd_ = found[0];
        saved_ = dup(fd_);
        if (replacement >= 0) {
            EXPECT_EQ(dup2(replacement, fd_), fd_);
        } else {
            EXPECT_EQ(::close(fd_), 0);
        }
    }
    ~DescriptorSwap() {
        if (fd_ < 0) return;
        EXPECT_EQ(dup2(saved_, fd_), fd_);
        ::close(saved_);
    }

  private:
    int fd_ = -1;
    int saved_ = -1;
};

// In a child: leave with an explanation unless the condition holds.
#define CHILD_CHECK(condition)                                                                                         \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: child: %s (last error: %s)\n", __FILE__, __LINE__, #condition,                     \
                    rhumb__error_last()->message);                                                                     \
            fflush(stderr);                                                                                            \
            _exit(1);                                                                                                  \
        }                                                                                                              \
    } while (0)

constexpr int kChildSkipped = 77;

// Runs `body` in a forked child, whose limits, filters and mounts end with it. Returns its exit code, or 128 + the
// signal.
inline int run_in_child(const std::function<void()> &body) {
    fflush(stdout);
    fflush(stderr);
    const pid_t child = fork();
    if (child == 0) {
        body();
        _exit(0);
    }
    int state = 0;
    if (child < 0 || waitpid(child, &state, 0) != child) return -1;
    return WIFSIGNALED(state) ? 128 + WTERMSIG(state) : WEXITSTATUS(state);
}

// From now on the kernel answers this system call of the calling process with `os_errno` (0: with the result 0).
inline bool refuse_call(unsigned call_number, unsigned os_errno) {
    sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call_number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | os_errno),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const sock_fprog program = {static_cast<unsigned short>(std::size(filter)), filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

} // namespace io_test

#endif // RHUMB_TESTS_SUPPORT_IO_TEST_SUPPORT_H
