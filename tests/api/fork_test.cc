// Goal: a handle belongs to the process that opened it. In a forked child every call is refused with its own status, a
// child opens the index for itself, and no child holds up its parent: neither a lock nor a pin outlives the parent's
// handle because a child is there. Method: children that sleep, that make every call, that exec, and that are forked at
// any moment of a busy parent; locks are looked at from outside. An alarm ends a test in which something hangs.
#include <fcntl.h>
#include <spawn.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "storage/io/io.h"
#include "tests/support/index_test_support.h"
#include "tests/support/sanitized.h"

extern char **environ;

namespace index_test {
namespace {

constexpr uint32_t kDim = 4;
constexpr uint64_t kCount = 500;
constexpr unsigned kAlarmSeconds = 100;

// Whether anybody, this process included, holds a lock on the file.
bool is_locked(const std::string &path) {
    const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    struct flock lock = {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    EXPECT_EQ(0, fcntl(fd, F_OFD_GETLK, &lock));
    ::close(fd);
    return lock.l_type != F_UNLCK;
}

// Whether the locks go, within a few seconds: a child closes what it has inherited when it first runs, and a program
// that is started does so a moment after its parent goes on.
bool becomes_unlocked(const std::string &path) {
    for (int i = 0; i < 500 && is_locked(path); i++) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return !is_locked(path);
}

// A child that does some work, and then waits until this object goes.
class Child {
  public:
    explicit Child(const std::function<void()> &work = [] {}) {
        int to_child[2];
        int from_child[2];
        EXPECT_EQ(0, pipe(to_child));
        EXPECT_EQ(0, pipe(from_child));
        pid_ = fork();
        if (pid_ == 0) {
            alarm(kAlarmSeconds);
            ::close(to_child[1]);
            work();
            char byte = 0;
            if (write(from_child[1], &byte, 1) != 1) _exit(90);
            (void)!read(to_child[0], &byte, 1);
            _exit(::testing::Test::HasFailure() ? 91 : 0);
        }
        ::close(to_child[0]);
        ::close(from_child[1]);
        char byte = 0;
        (void)!read(from_child[0], &byte, 1); // it has done its work, or is dead
        ::close(from_child[0]);
        end_ = to_child[1];
    }
    Child(const Child &) = delete;
    ~Child() {
        ::close(end_);
        int status = 0;
        EXPECT_EQ(pid_, waitpid(pid_, &status, 0));
        EXPECT_EQ(0, status);
    }

  private:
    pid_t pid_;
    int end_;
};

class Fork : public ::testing::TestWithParam<const char *> {
  protected:
    void SetUp() override {
        const rhumb__io_backend *backend = rhumb__io_backend_named(GetParam());
        if (backend == &rhumb__io_uring && !rhumb__io_uring_available()) GTEST_SKIP() << "no io_uring here";
        rhumb__io_backend_set_default(backend);
        alarm(kAlarmSeconds);
        path_ = directory_.file("index.rhumb");
        index_ = create(path_, index_options(kDim));
        std::vector<float> vectors(kCount * kDim);
        for (size_t i = 0; i < vectors.size(); i++) vectors[i] = static_cast<float>(i * 7919 % 101);
        ASSERT_OK(rhumb_index_insert_batch(index_.get(), nullptr, vectors.data(), kCount, nullptr, nullptr));
        ASSERT_OK(rhumb_index_checkpoint(index_.get()));
    }
    void TearDown() override {
        alarm(0);
        index_.reset();
        rhumb__io_backend_set_default(nullptr);
    }
    void insert(uint64_t key) {
        const float vector[kDim] = {1, 2, 3, 4};
        ASSERT_OK(rhumb_index_insert(index_.get(), key, vector));
    }

    ScratchDirectory directory_;
    std::string path_;
    Index index_;
};

TEST_P(Fork, AChildThatSleepsDoesNotKeepTheWritersLock) {
    insert(1000);
    Child child;
    insert(1001);
    index_.reset();
    EXPECT_TRUE(becomes_unlocked(path_));
    index_ = open(path_, false);
    ASSERT_NE(nullptr, index_);
    insert(1002);
    Child another;
    index_.reset();
    EXPECT_TRUE(becomes_unlocked(path_));
    index_ = open(path_, false);
    EXPECT_EQ(kCount + 3, rhumb_index_count(index_.get()));
}

TEST_P(Fork, AChildThatSleepsDoesNotKeepAReadersPin) {
    index_.reset();
    Index reader = open(path_, true);
    EXPECT_TRUE(is_locked(path_));
    Child child;
    reader.reset();
    EXPECT_TRUE(becomes_unlocked(path_));
}

// One handle of every kind.
struct Handles {
    rhumb_index *index = nullptr;
    rhumb_topology *topology = nullptr;
    rhumb_iterator *iterator = nullptr;
    rhumb_point_cursor *cursor = nullptr;
    rhumb_lease *lease = nullptr;
};

#define EXPECT_FORKED(call) EXPECT_STATUS(RHUMB_E_FORKED, call)

void expect_changes_refused(const Handles &handles) {
    rhumb_index *index = handles.index;
    const float vector[kDim] = {};
    const uint64_t keys[1] = {5000};
    const rhumb_write write = {RHUMB_WRITE_UPSERT, 0, 5000, vector};
    EXPECT_FORKED(rhumb_index_insert(index, 5000, vector));
    EXPECT_FORKED(rhumb_index_insert_batch(index, nullptr, vector, 1, nullptr, nullptr));
    EXPECT_FORKED(rhumb_index_write_batch(index, &write, 1, nullptr, nullptr, 0));
    EXPECT_FORKED(rhumb_index_upsert_batch(index, keys, vector, 1, nullptr, nullptr, 0));
    EXPECT_FORKED(rhumb_index_delete_batch(index, keys, 1, nullptr, nullptr, 0));
    EXPECT_FORKED(rhumb_index_upsert(index, 1, vector));
    EXPECT_FORKED(rhumb_index_delete(index, 1));
    EXPECT_FORKED(rhumb_index_metadata_set(index, "a", 1));
}

void expect_upkeep_refused(const Handles &handles, const std::string &other_path) {
    rhumb_index *index = handles.index;
    bool flag = false;
    rhumb_verify_report report;
    EXPECT_FORKED(rhumb_index_sync(index));
    EXPECT_FORKED(rhumb_index_checkpoint(index));
    EXPECT_FORKED(rhumb_index_wait_idle(index));
    EXPECT_FORKED(rhumb_index_refresh(index, &flag));
    EXPECT_FORKED(rhumb_index_compact(index, nullptr, nullptr, 0));
    EXPECT_FORKED(rhumb_index_compact_cancel(index));
    EXPECT_FORKED(rhumb_index_verify(index, &report, sizeof report));
    EXPECT_FORKED(rhumb_index_verify_with(index, nullptr, &report, sizeof report));
    EXPECT_FORKED(rhumb_topology_export(index, other_path.c_str(), nullptr, nullptr, 0));
}

void expect_look_ups_refused(const Handles &handles) {
    rhumb_index *index = handles.index;
    uint64_t keys[5];
    float distances[5], vector[kDim];
    const void *view = nullptr;
    size_t count = 0;
    uint32_t level = 0;
    bool flag = false;
    char metadata[16];
    rhumb_index_stats stats;
    rhumb_index_options created;
    rhumb_lease *new_lease = nullptr;
    rhumb_point_cursor *new_cursor = nullptr;
    EXPECT_FORKED(rhumb_index_stats_get(index, &stats, sizeof stats));
    EXPECT_FORKED(rhumb_index_options_get(index, &created, sizeof created));
    EXPECT_FORKED(rhumb_index_metadata_get(index, metadata, sizeof metadata, &count));
    EXPECT_FORKED(rhumb_index_contains(index, 1, &flag));
    EXPECT_FORKED(rhumb_index_get_vector(index, 1, vector));
    EXPECT_FORKED(rhumb_index_vector_view(index, 1, &view));
    EXPECT_FORKED(rhumb_lease_take(index, &new_lease));
    EXPECT_FORKED(rhumb_lease_vector(handles.lease, 1, &view));
    EXPECT_FORKED(rhumb_index_level(index, 1, &level));
    EXPECT_FORKED(rhumb_index_neighbours(index, 1, 0, keys, distances, 5, &count));
    EXPECT_FORKED(rhumb_point_cursor_open(index, 0, &new_cursor));
    EXPECT_FORKED(rhumb_point_cursor_next(handles.cursor, 5, keys, nullptr, nullptr, &count));
    EXPECT_EQ(0u, rhumb_index_count(index));
    EXPECT_EQ(0u, rhumb_index_lsn(index));
    EXPECT_EQ(0u, rhumb_index_durable_lsn(index));
}

void expect_searches_refused(const Handles &handles) {
    rhumb_index *index = handles.index;
    const float query[kDim] = {};
    uint64_t keys[5];
    float distances[5];
    size_t count = 0;
    rhumb_iterator *new_iterator = nullptr;
    EXPECT_FORKED(rhumb_index_search(index, query, 5, nullptr, keys, distances, &count));
    EXPECT_FORKED(rhumb_index_search_batch(index, query, 1, 5, nullptr, keys, distances, &count));
    EXPECT_FORKED(rhumb_index_search_exact(index, query, 1, 5, nullptr, keys, distances, &count));
    EXPECT_FORKED(rhumb_index_search_like(index, 1, 5, nullptr, keys, distances, &count));
    EXPECT_FORKED(rhumb_index_search_radius(index, query, 1, 5, nullptr, keys, distances, &count));
    EXPECT_FORKED(rhumb_iterator_open(index, query, nullptr, &new_iterator));
    EXPECT_FORKED(rhumb_iterator_next(handles.iterator, 5, keys, distances, &count));
}

void expect_topology_refused(const rhumb_topology *topology) {
    uint64_t keys[5], position = 0;
    size_t count = 0;
    uint32_t level = 0;
    const uint32_t *neighbours = nullptr;
    rhumb_topology_stats stats;
    rhumb_topology_arrays arrays;
    rhumb_topology_report report;
    EXPECT_FORKED(rhumb_topology_find(topology, 1, &position));
    EXPECT_FORKED(rhumb_topology_level(topology, 1, &level));
    EXPECT_FORKED(rhumb_topology_neighbours(topology, 1, keys, nullptr, 5, &count));
    EXPECT_FORKED(rhumb_topology_view(topology, 0, &neighbours, nullptr, &count));
    EXPECT_FORKED(rhumb_topology_points(topology, 0, &position, 5, keys, nullptr, &count));
    EXPECT_FORKED(rhumb_topology_stats_get(topology, &stats, sizeof stats));
    EXPECT_FORKED(rhumb_topology_arrays_get(topology, &arrays, sizeof arrays));
    EXPECT_FORKED(rhumb_topology_verify(topology, &report, sizeof report));
    EXPECT_EQ(0u, rhumb_topology_count(topology));
}

void close_in_child(const Handles &handles) {
    rhumb_iterator_close(handles.iterator);
    rhumb_point_cursor_close(handles.cursor);
    rhumb_topology_close(handles.topology);
    rhumb_lease_release(handles.lease);
    EXPECT_FORKED(rhumb_index_close(handles.index));
}

#undef EXPECT_FORKED

TEST_P(Fork, EveryCallInAChildIsRefused) {
    const std::string topology_path = directory_.file("topology");
    const std::string other_path = directory_.file("other");
    Handles handles = {index_.get()};
    ASSERT_OK(rhumb_topology_export(handles.index, topology_path.c_str(), nullptr, nullptr, 0));
    ASSERT_OK(rhumb_topology_open(topology_path.c_str(), &handles.topology));
    const float query[kDim] = {};
    ASSERT_OK(rhumb_iterator_open(handles.index, query, nullptr, &handles.iterator));
    ASSERT_OK(rhumb_point_cursor_open(handles.index, 0, &handles.cursor));
    const void *leased = nullptr;
    ASSERT_OK(rhumb_lease_take(handles.index, &handles.lease));
    ASSERT_OK(rhumb_lease_vector(handles.lease, 1, &leased));
    {
        Child child([&] {
            expect_changes_refused(handles);
            expect_upkeep_refused(handles, other_path);
            expect_look_ups_refused(handles);
            expect_searches_refused(handles);
            expect_topology_refused(handles.topology);
            close_in_child(handles);
        });
    }
    float before[kDim];
    ASSERT_OK(rhumb_index_get_vector(handles.index, 1, before));
    EXPECT_EQ(memcmp(leased, before, sizeof before), 0) << "the parent's lease";
    rhumb_lease_release(handles.lease);
    size_t count = 0;
    uint64_t keys[5];
    EXPECT_OK(rhumb_iterator_next(handles.iterator, 5, keys, nullptr, &count));
    EXPECT_EQ(5u, count);
    rhumb_iterator_close(handles.iterator);
    rhumb_point_cursor_close(handles.cursor);
    EXPECT_EQ(kCount, rhumb_topology_count(handles.topology));
    rhumb_topology_close(handles.topology);
    rhumb_verify_report report;
    EXPECT_OK(rhumb_index_verify(handles.index, &report, sizeof report));
    EXPECT_EQ(kCount, rhumb_index_count(handles.index));
}

TEST_P(Fork, AChildClosesNothingButItsOwnDescriptors) {
    Child child([&] {
        // Numbers that the parent's handle had are the child's to use again.
        std::vector<int> descriptors;
        for (int i = 0; i < 8; i++) descriptors.push_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
        EXPECT_STATUS(RHUMB_E_FORKED, rhumb_index_close(index_.get()));
        for (const int descriptor : descriptors) EXPECT_NE(-1, fcntl(descriptor, F_GETFD));
    });
}

TEST_P(Fork, AChildInheritsNothingThatIsMapped) {
    Index reader = open(path_, true);
    insert(3000);
    ASSERT_OK(rhumb_index_checkpoint(index_.get()));
    Child child([&] {
        std::ifstream maps("/proc/self/maps");
        std::string line;
        while (std::getline(maps, line)) EXPECT_EQ(std::string::npos, line.find("index.rhumb")) << line;
    });
}

TEST_P(Fork, AChildAndItsChildOpenTheIndexForThemselves) {
    Child child([&] {
        Index reader = open(path_, true);
        EXPECT_EQ(kCount, rhumb_index_count(reader.get()));
        EXPECT_EQ(RHUMB_E_LOCKED, try_open(path_, false)); // the parent writes
        const pid_t grandchild = fork();
        if (grandchild == 0) {
            const bool refused = rhumb_index_refresh(reader.get(), nullptr) == RHUMB_E_FORKED &&
                                 rhumb_index_refresh(index_.get(), nullptr) == RHUMB_E_FORKED;
            const bool opened = try_open(path_, true) == RHUMB_OK;
            _exit(refused && opened ? 0 : 1);
        }
        int status = 0;
        waitpid(grandchild, &status, 0);
        EXPECT_EQ(0, status);
        EXPECT_OK(rhumb_index_refresh(reader.get(), nullptr));
    });
    index_.reset();
    Child writer([&] { EXPECT_EQ(RHUMB_OK, try_open(path_, false)); });
}

TEST_P(Fork, ProgramsThatAreStartedHoldNothing) {
    char *const arguments[] = {const_cast<char *>("sleep"), const_cast<char *>("20"), nullptr};
    pid_t spawned = 0;
    ASSERT_EQ(0, posix_spawnp(&spawned, "sleep", nullptr, nullptr, arguments, environ));
    const pid_t forked = fork();
    if (forked == 0) {
        execvp("sleep", arguments);
        _exit(1);
    }
    index_.reset();
    EXPECT_TRUE(becomes_unlocked(path_));
    for (const pid_t child : {spawned, forked}) {
        kill(child, SIGKILL);
        waitpid(child, nullptr, 0);
    }
    index_ = open(path_, false);
    insert(2000);
    EXPECT_EQ(0, system("true"));
    insert(2001);
}

// Whatever the parent's threads are doing at the moment of a fork: the child does not hang in the library, and when the
// parent has closed everything, no lock is left.
TEST_P(Fork, AtAnyMomentOfABusyParent) {
    if (rhumb_test::kSanitized) GTEST_SKIP() << "a thread may hold the sanitizer's heap, which a child needs";
    rhumb_log_set([](void *, rhumb_log_level, const char *) { std::this_thread::yield(); }, nullptr, RHUMB_LOG_DEBUG);
    std::atomic<bool> stopped{false};
    Index reader = open(path_, true);
    std::vector<std::thread> threads;
    threads.emplace_back([&] {
        float vector[kDim] = {};
        for (uint64_t key = 10000; !stopped; key++) {
            vector[key % kDim] += 0.5f;
            EXPECT_OK(rhumb_index_insert(index_.get(), key, vector));
        }
    });
    threads.emplace_back([&] {
        while (!stopped) {
            EXPECT_OK(rhumb_index_checkpoint(index_.get()));
            EXPECT_OK(rhumb_index_refresh(reader.get(), nullptr));
        }
    });
    threads.emplace_back([&] {
        while (!stopped) EXPECT_EQ(RHUMB_OK, try_open(path_, true));
    });
    std::vector<std::unique_ptr<Child>> children;
    for (int round = 0; round < 60; round++) {
        children.push_back(std::make_unique<Child>([&] {
            EXPECT_EQ(RHUMB_E_FORKED, rhumb_index_checkpoint(index_.get()));
            EXPECT_EQ(RHUMB_E_FORKED, rhumb_index_close(index_.release()));
            EXPECT_EQ(RHUMB_E_FORKED, rhumb_index_close(reader.release()));
            Index own = open(path_, true);
            EXPECT_GE(rhumb_index_count(own.get()), kCount);
        }));
    }
    stopped = true;
    const struct LastFirst { // a child has the pipes of those before it
        std::vector<std::unique_ptr<Child>> &children;
        ~LastFirst() {
            while (!children.empty()) children.pop_back();
        }
    } last_first{children};
    for (std::thread &thread : threads) thread.join();
    reader.reset();
    index_.reset();
    EXPECT_TRUE(becomes_unlocked(path_));
    rhumb_log_set(nullptr, nullptr, RHUMB_LOG_ERROR);
    index_ = open(path_, false);
    rhumb_verify_report report;
    EXPECT_OK(rhumb_index_verify(index_.get(), &report, sizeof report));
}

INSTANTIATE_TEST_SUITE_P(Backends, Fork, ::testing::Values("plain", "uring"),
                         [](const auto &info) { return std::string(info.param); });

} // namespace
} // namespace index_test
