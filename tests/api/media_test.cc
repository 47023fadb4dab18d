// Goal: indexes on media that are not an ordinary disk: a file system without locks of open files, where one can only
// be read, and only on request; and one that is mounted read-only, where nothing is created. Method: this program has
// its own fcntl, in front of the C library's, which refuses such locks as kernels and file systems do; and a bind mount
// of its own, where the test may make one.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstdarg>

#include "tests/support/index_test_support.h"

namespace {
int lock_errno = 0; // with which calls for locks fail; 0: they do not
}

extern "C" int fcntl(int fd, int command, ...) {
    va_list arguments;
    va_start(arguments, command);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    if (lock_errno != 0 && (command == F_OFD_SETLK || command == F_OFD_GETLK)) {
        errno = lock_errno;
        return -1;
    }
    return static_cast<int>(syscall(SYS_fcntl, fd, command, argument));
}

namespace index_test {
namespace {

constexpr uint32_t kDim = 4;
constexpr uint64_t kCount = 200;

class Media : public ::testing::Test {
  protected:
    void SetUp() override {
        path_ = directory_.file("index.rhumb");
        Index index = create(path_, index_options(kDim));
        std::vector<float> vectors(kCount * kDim);
        for (size_t i = 0; i < vectors.size(); i++) vectors[i] = static_cast<float>(i * 7919 % 101);
        ASSERT_OK(rhumb_index_insert_batch(index.get(), nullptr, vectors.data(), kCount, nullptr, nullptr));
    }
    void TearDown() override { lock_errno = 0; }
    static rhumb_open_options immutable(bool graph_only = false) {
        rhumb_open_options options;
        rhumb_open_options_init(&options, sizeof options);
        options.immutable = true;
        options.graph_only = graph_only;
        return options;
    }
    // Reads whatever can be read.
    static void read_all(const Index &index) {
        const float query[kDim] = {};
        uint64_t keys[5];
        size_t found = 0;
        bool changed = true;
        rhumb_verify_report report;
        EXPECT_EQ(kCount, rhumb_index_count(index.get()));
        EXPECT_OK(rhumb_index_search(index.get(), query, 5, nullptr, keys, nullptr, &found));
        EXPECT_EQ(5u, found);
        EXPECT_EQ(kCount, stats(index).count);
        EXPECT_OK(rhumb_index_verify(index.get(), &report, sizeof report));
        EXPECT_OK(rhumb_index_refresh(index.get(), &changed));
        EXPECT_FALSE(changed);
    }
    ScratchDirectory directory_;
    std::string path_;
};

TEST_F(Media, WithoutLocksOnlyAnImmutableIndexIsOpened) {
    for (const int os_errno : {EINVAL, ENOLCK, EOPNOTSUPP}) {
        lock_errno = os_errno;
        EXPECT_EQ(RHUMB_E_UNSUPPORTED, try_open(path_, false));
        EXPECT_NE(nullptr, strstr(rhumb_error_last()->message, "no locks")) << last_error();
        EXPECT_NE(nullptr, strstr(rhumb_error_last()->message, "immutable")) << last_error();
        EXPECT_EQ(os_errno, rhumb_error_last()->os_errno);
        EXPECT_EQ(RHUMB_E_UNSUPPORTED, try_open(path_, true));
        rhumb_index *created = nullptr;
        const rhumb_index_options options = index_options(kDim);
        const std::string other = directory_.file("other.rhumb");
        EXPECT_STATUS(RHUMB_E_UNSUPPORTED, rhumb_index_create(other.c_str(), &options, &created));
        EXPECT_FALSE(std::filesystem::exists(other));
        Index index = open_as(path_, immutable());
        ASSERT_NE(nullptr, index);
        read_all(index);
        const float vector[kDim] = {};
        EXPECT_STATUS(RHUMB_E_READONLY, rhumb_index_insert(index.get(), 9999, vector));
        Index graph = open_as(path_, immutable(true));
        EXPECT_EQ(kCount, rhumb_index_count(graph.get()));
    }
    // Another failure is what it is.
    lock_errno = EIO;
    EXPECT_EQ(RHUMB_E_IO, try_open(path_, true));
}

TEST_F(Media, AnImmutableHandleHoldsNoLock) {
    Index index = open_as(path_, immutable());
    struct flock lock = {};
    lock.l_type = F_WRLCK;
    const int fd = ::open(path_.c_str(), O_RDWR | O_CLOEXEC);
    ASSERT_EQ(0, fcntl(fd, F_OFD_GETLK, &lock));
    EXPECT_EQ(F_UNLCK, lock.l_type);
    ::close(fd);
    rhumb_index_options options = index_options(kDim);
    const rhumb_open_options open_options = immutable();
    options.open = &open_options;
    rhumb_index *created = nullptr;
    EXPECT_STATUS(RHUMB_E_INVALID, rhumb_index_create(directory_.file("new.rhumb").c_str(), &options, &created));
}

// The child's exit code: 0 well, 77 no such mount can be made here, otherwise a failure.
int read_from_read_only_mount(const std::string &directory, const std::function<void()> &work) {
    const pid_t child = fork();
    if (child == 0) {
        const bool own = unshare(CLONE_NEWNS) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0;
        const char *path = directory.c_str();
        if (!own || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
            mount(path, path, nullptr, MS_BIND, nullptr) != 0 ||
            mount(path, path, nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr) != 0) {
            _exit(77);
        }
        work();
        _exit(::testing::Test::HasFailure() ? 1 : 0);
    }
    int status = 0;
    EXPECT_EQ(child, waitpid(child, &status, 0));
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_F(Media, AReadOnlyFileSystemIsReadWithoutCreatingAnything) {
    const int code = read_from_read_only_mount(directory_.path(), [&] {
        EXPECT_EQ(-1, ::open(directory_.file("x").c_str(), O_CREAT | O_WRONLY, 0600));
        EXPECT_EQ(EROFS, errno);
        read_all(open(path_, true));
        read_all(open_as(path_, immutable()));
        EXPECT_EQ(RHUMB_E_IO, try_open(path_, false));
        EXPECT_EQ(EROFS, rhumb_error_last()->os_errno);
        EXPECT_NE(nullptr, strstr(rhumb_error_last()->message, "writing")) << last_error();
    });
    if (code == 77) GTEST_SKIP() << "this process may not make mounts";
    EXPECT_EQ(0, code);
}

} // namespace
} // namespace index_test
