// Goal: with the guard, a file that is cut short or overwritten under an open handle costs the handle and not the
// program: the call that meets it and all later ones fail with a status, a writer so hit never publishes, and a SIGBUS
// that is not the library's goes where it went before. Method: cut files under readers, writers, topologies and several
// threads; count what the program's own handlers get; look at children that have no handler.
#include <fcntl.h>
#include <setjmp.h>
#include <sys/mman.h>

#include <atomic>
#include <thread>

#include "tests/support/index_test_support.h"

namespace index_test {
namespace {

constexpr uint32_t kDim = 32;
constexpr uint64_t kCount = 3000;
constexpr unsigned kAlarmSeconds = 100;

bool is_lost(rhumb_status status) { return status == RHUMB_E_TRUNCATED || status == RHUMB_E_IO; }

std::string content_of(const std::string &path) {
    const auto bytes = file_bytes(path);
    return std::string(bytes.begin(), bytes.end());
}

#define EXPECT_LOST(call)                                                                                              \
    do {                                                                                                               \
        const rhumb_status lost_status = (call);                                                                       \
        EXPECT_TRUE(is_lost(lost_status)) << #call << " returned " << rhumb_status_name(lost_status);                  \
    } while (0)

// Memory of the program's own, of a file that is shorter.
class Foreign {
  public:
    explicit Foreign(const std::string &path) {
        const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        EXPECT_EQ(0, ftruncate(fd, 4096));
        bytes_ = static_cast<volatile char *>(mmap(nullptr, 8192, PROT_READ, MAP_SHARED, fd, 0));
        ::close(fd);
    }
    ~Foreign() { munmap(const_cast<char *>(bytes_), 8192); }
    char touch() const { return bytes_[4096]; }

  private:
    volatile char *bytes_;
};

sigjmp_buf foreign_return;
std::atomic<int> foreign_count{0};

void leave_by_jump(int) {
    foreign_count++;
    siglongjmp(foreign_return, 1);
}

void leave_by_jump_with_info(int, siginfo_t *info, void *) {
    if (info->si_code > 0 && info->si_addr != nullptr) foreign_count++;
    siglongjmp(foreign_return, 1);
}

void count_only(int) { foreign_count++; }

void set_handler(const struct sigaction &action) { ASSERT_EQ(0, sigaction(SIGBUS, &action, nullptr)); }

void set_handler(void (*handler)(int)) {
    struct sigaction action = {};
    action.sa_handler = handler;
    set_handler(action);
}

class Sigbus : public ::testing::Test {
  protected:
    void SetUp() override {
        alarm(kAlarmSeconds);
        foreign_count = 0;
        path_ = directory_.file("index.rhumb");
        vectors_.resize(kCount * kDim);
        std::mt19937 random(5);
        for (float &component : vectors_) component = std::uniform_real_distribution<float>()(random);
        build(path_, kCount);
    }
    void TearDown() override {
        EXPECT_OK(rhumb_sigbus_guard_remove());
        signal(SIGBUS, SIG_DFL);
        alarm(0);
    }
    void build(const std::string &path, uint64_t count) {
        rhumb_index_options options = index_options(kDim);
        options.M = 6;
        options.ef_construction = 20;
        Index index = create_with_durability(path, options, RHUMB_DURABILITY_NONE);
        ASSERT_OK(rhumb_index_insert_batch(index.get(), nullptr, vectors_.data(), count, nullptr, nullptr));
    }
    void cut() const { ASSERT_EQ(0, truncate(path_.c_str(), 65536)); }
    rhumb_status search(rhumb_index *index, size_t row) {
        uint64_t keys[10];
        return rhumb_index_search(index, &vectors_[row * kDim], 10, nullptr, keys, nullptr, nullptr);
    }
    rhumb_status search_all(rhumb_index *index) {
        std::vector<uint64_t> keys(kCount);
        return rhumb_index_search_exact(index, vectors_.data(), 20, 10, nullptr, keys.data(), nullptr, nullptr);
    }

    ScratchDirectory directory_;
    std::string path_;
    std::vector<float> vectors_;
};

TEST_F(Sigbus, AReaderWhoseFileIsCutFailsWithAStatusFromThenOn) {
    ASSERT_OK(rhumb_sigbus_guard_install());
    build(directory_.file("other.rhumb"), 100);
    Index other = open(directory_.file("other.rhumb"), true);
    Index reader = open(path_, true);
    Index second = open(path_, true);
    ASSERT_OK(search(reader.get(), 1));
    const void *view = nullptr;
    ASSERT_OK(rhumb_index_vector_view(reader.get(), kCount - 1, &view));
    cut();
    EXPECT_STATUS(RHUMB_E_TRUNCATED, search_all(reader.get()));
    EXPECT_NE(nullptr, strstr(rhumb_error_last()->message, "cut short")) << last_error();
    EXPECT_STREQ(path_.substr(path_.rfind('/')).c_str(), strrchr(rhumb_error_last()->path, '/'));
    uint64_t keys[5];
    float vector[kDim];
    bool found = false;
    size_t count = 0;
    uint32_t level = 0;
    rhumb_index_stats stats;
    rhumb_iterator *iterator = nullptr;
    rhumb_point_cursor *cursor = nullptr;
    EXPECT_LOST(search(reader.get(), 1));
    EXPECT_LOST(rhumb_index_contains(reader.get(), 1, &found));
    EXPECT_LOST(rhumb_index_get_vector(reader.get(), 1, vector));
    EXPECT_LOST(rhumb_index_level(reader.get(), 1, &level));
    EXPECT_LOST(rhumb_index_neighbours(reader.get(), 1, 0, keys, nullptr, 5, &count));
    EXPECT_LOST(rhumb_index_search_like(reader.get(), 1, 5, nullptr, keys, nullptr, nullptr));
    EXPECT_LOST(rhumb_index_search_radius(reader.get(), vectors_.data(), 1, 5, nullptr, keys, nullptr, nullptr));
    EXPECT_LOST(rhumb_iterator_open(reader.get(), vectors_.data(), nullptr, &iterator));
    EXPECT_LOST(rhumb_point_cursor_open(reader.get(), 0, &cursor));
    EXPECT_LOST(rhumb_index_stats_get(reader.get(), &stats, sizeof stats));
    EXPECT_EQ(kCount, rhumb_index_count(reader.get()));
    EXPECT_EQ(0, static_cast<const char *>(view)[0]); // zeros stand for what is gone
    // Each handle finds out for itself, and others have nothing to do with it.
    EXPECT_STATUS(RHUMB_E_TRUNCATED, search_all(second.get()));
    EXPECT_OK(search(other.get(), 1));
}

TEST_F(Sigbus, ThreadsThatSearchAllComeBack) {
    ASSERT_OK(rhumb_sigbus_guard_install());
    Index reader = open(path_, true);
    std::vector<std::thread> threads;
    std::atomic<int> running{0};
    for (int i = 0; i < 4; i++) {
        threads.emplace_back([&, i] {
            running++;
            rhumb_status status = RHUMB_OK;
            for (size_t row = static_cast<size_t>(i); status == RHUMB_OK; row++) {
                status = search(reader.get(), row % kCount);
            }
            EXPECT_TRUE(is_lost(status)) << rhumb_status_name(status);
        });
    }
    while (running < 4) std::this_thread::yield();
    cut();
    for (std::thread &thread : threads) thread.join();
}

TEST_F(Sigbus, AnotherFileWrittenOverTheIndexIsSurvived) {
    ASSERT_OK(rhumb_sigbus_guard_install());
    Index reader = open(path_, true);
    ASSERT_OK(search(reader.get(), 1));
    put_file(path_, std::string(70000, 'x'));
    EXPECT_LOST(search_all(reader.get()));
    EXPECT_LOST(search(reader.get(), 7));
}

// One that is not shorter is found by nothing but checksums; what the calls return does not matter, that they return
// does.
TEST_F(Sigbus, AnotherIndexCopiedOverTheFileIsSurvived) {
    ASSERT_OK(rhumb_sigbus_guard_install());
    const std::string other = directory_.file("other.rhumb");
    build(other, 50);
    Index reader = open(path_, true);
    ASSERT_OK(search(reader.get(), 1));
    std::filesystem::copy_file(other, path_, std::filesystem::copy_options::overwrite_existing);
    (void)!search_all(reader.get());
    for (size_t row = 0; row < kCount; row += 100) (void)!search(reader.get(), row);
}

TEST_F(Sigbus, AFileThatHasItsLengthAgainIsAFailureOfTheDisk) {
    ASSERT_OK(rhumb_sigbus_guard_install());
    const auto bytes = std::filesystem::file_size(path_);
    Index reader = open(path_, true);
    cut();
    EXPECT_STATUS(RHUMB_E_TRUNCATED, search_all(reader.get()));
    ASSERT_EQ(0, truncate(path_.c_str(), static_cast<off_t>(bytes)));
    EXPECT_STATUS(RHUMB_E_IO, search(reader.get(), 1));
}

TEST_F(Sigbus, AWriterWhoseFileIsCutNeverPublishes) {
    ASSERT_OK(rhumb_sigbus_guard_install());
    rhumb_open_options options;
    rhumb_open_options_init(&options, sizeof options);
    rhumb_index *writer = nullptr;
    ASSERT_OK(rhumb_index_open(path_.c_str(), &options, &writer));
    ASSERT_OK(rhumb_index_insert(writer, 100000, vectors_.data()));
    const std::string before = content_of(path_);
    cut();
    EXPECT_STATUS(RHUMB_E_TRUNCATED, search_all(writer));
    EXPECT_LOST(rhumb_index_insert(writer, 100001, vectors_.data()));
    EXPECT_LOST(rhumb_index_upsert(writer, 1, vectors_.data()));
    EXPECT_LOST(rhumb_index_delete(writer, 1));
    EXPECT_LOST(rhumb_index_insert_batch(writer, nullptr, vectors_.data(), 2, nullptr, nullptr));
    const uint64_t keys[2] = {1, 2};
    EXPECT_LOST(rhumb_index_upsert_batch(writer, keys, vectors_.data(), 2, nullptr, nullptr, 0));
    EXPECT_LOST(rhumb_index_delete_batch(writer, keys, 2, nullptr, nullptr, 0));
    EXPECT_NE(RHUMB_OK, rhumb_index_checkpoint(writer));
    EXPECT_NE(RHUMB_OK, rhumb_index_compact(writer, nullptr, nullptr, 0));
    EXPECT_NE(RHUMB_OK, rhumb_index_close(writer));
    // The superblocks, and with them the version that readers see, are those from before; so a copy put back is whole,
    // and the log still has what was acknowledged.
    const std::string after = content_of(path_);
    ASSERT_GE(after.size(), 8192u);
    EXPECT_TRUE(std::equal(before.begin(), before.begin() + 8192, after.begin()));
    put_file(path_, before);
    Index again = open(path_, false);
    EXPECT_EQ(kCount + 1, rhumb_index_count(again.get()));
    EXPECT_OK(search_all(again.get()));
}

TEST_F(Sigbus, ACheckpointThatMeetsTheFaultDoesNotPublishZeros) {
    ASSERT_OK(rhumb_sigbus_guard_install());
    rhumb_index *writer = nullptr;
    ASSERT_OK(rhumb_index_open(path_.c_str(), nullptr, &writer));
    ASSERT_OK(rhumb_index_delete(writer, 5)); // changes one chunk, of which most was never touched
    const std::string before = content_of(path_);
    cut();
    EXPECT_NE(RHUMB_OK, rhumb_index_compact(writer, nullptr, nullptr, 0));
    (void)!search_all(writer);
    EXPECT_NE(RHUMB_OK, rhumb_index_checkpoint(writer));
    EXPECT_NE(RHUMB_OK, rhumb_index_close(writer));
    const std::string after = content_of(path_);
    EXPECT_TRUE(std::equal(before.begin(), before.begin() + 8192, after.begin()));
}

TEST_F(Sigbus, ExportsOfAFileThatIsCutLeaveNoFile) {
    ASSERT_OK(rhumb_sigbus_guard_install());
    Index reader = open(path_, true);
    cut();
    const std::string topology_path = directory_.file("topology");
    EXPECT_LOST(rhumb_topology_export(reader.get(), topology_path.c_str(), nullptr, nullptr, 0));
    EXPECT_FALSE(std::filesystem::exists(topology_path));
}

TEST_F(Sigbus, ATopologyWhoseFileIsCutFailsWithAStatus) {
    ASSERT_OK(rhumb_sigbus_guard_install());
    const std::string topology_path = directory_.file("topology");
    {
        Index reader = open(path_, true);
        ASSERT_OK(rhumb_topology_export(reader.get(), topology_path.c_str(), nullptr, nullptr, 0));
    }
    rhumb_topology *topology = nullptr;
    ASSERT_OK(rhumb_topology_open(topology_path.c_str(), &topology));
    ASSERT_EQ(0, truncate(topology_path.c_str(), 4096));
    uint64_t keys[100];
    size_t count = 0;
    uint32_t level = 0;
    uint64_t position = 0;
    EXPECT_STATUS(RHUMB_E_TRUNCATED, rhumb_topology_neighbours(topology, kCount - 1, keys, nullptr, 100, &count));
    EXPECT_STATUS(RHUMB_E_TRUNCATED, rhumb_topology_level(topology, 1, &level));
    EXPECT_STATUS(RHUMB_E_TRUNCATED, rhumb_topology_points(topology, 0, &position, 100, keys, nullptr, &count));
    rhumb_topology_close(topology);
}

TEST_F(Sigbus, ForeignFaultsGoToTheHandlerThatWasThereBefore) {
    const Foreign foreign(directory_.file("foreign"));
    Index reader = open(path_, true);
    for (const bool with_info : {false, true}) {
        struct sigaction action = {};
        if (with_info) {
            action.sa_sigaction = leave_by_jump_with_info;
            action.sa_flags = SA_SIGINFO;
        } else {
            action.sa_handler = leave_by_jump;
        }
        set_handler(action);
        ASSERT_OK(rhumb_sigbus_guard_install());
        ASSERT_OK(rhumb_sigbus_guard_install());
        foreign_count = 0;
        for (int i = 0; i < 3; i++) {
            if (sigsetjmp(foreign_return, 1) == 0) (void)foreign.touch();
        }
        EXPECT_EQ(3, foreign_count);
        ASSERT_OK(rhumb_sigbus_guard_remove());
        struct sigaction now = {};
        ASSERT_EQ(0, sigaction(SIGBUS, nullptr, &now));
        EXPECT_EQ(action.sa_handler, now.sa_handler) << "the previous handler is not back";
    }
    set_handler(count_only);
    ASSERT_OK(rhumb_sigbus_guard_install());
    foreign_count = 0;
    raise(SIGBUS); // sent, not a fault
    EXPECT_EQ(1, foreign_count);
    cut();
    EXPECT_LOST(search_all(reader.get()));
    EXPECT_EQ(1, foreign_count);
}

TEST_F(Sigbus, AHandlerThatIsInstalledLaterMayPassOn) {
    static struct sigaction next;
    ASSERT_OK(rhumb_sigbus_guard_install());
    struct sigaction action = {};
    action.sa_sigaction = [](int number, siginfo_t *info, void *context) {
        foreign_count++;
        next.sa_sigaction(number, info, context);
    };
    action.sa_flags = SA_SIGINFO;
    ASSERT_EQ(0, sigaction(SIGBUS, &action, &next));
    Index reader = open(path_, true);
    cut();
    EXPECT_LOST(search_all(reader.get()));
    EXPECT_GT(foreign_count, 0);
    // Removing the guard must not take the program's own handler away.
    ASSERT_OK(rhumb_sigbus_guard_remove());
    struct sigaction now = {};
    ASSERT_EQ(0, sigaction(SIGBUS, nullptr, &now));
    EXPECT_EQ(action.sa_sigaction, now.sa_sigaction);
    set_handler(SIG_DFL);
    ASSERT_OK(rhumb_sigbus_guard_install());
    ASSERT_OK(rhumb_sigbus_guard_remove());
}

// How a child ends that does this.
int signal_of(const std::function<void()> &work) {
    const pid_t child = fork();
    if (child == 0) {
        signal(SIGBUS, SIG_DFL); // AddressSanitizer has a handler
        work();
        _exit(0);
    }
    int status = 0;
    EXPECT_EQ(child, waitpid(child, &status, 0));
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

TEST_F(Sigbus, WithoutAHandlerTheDefaultActionIsTaken) {
    const std::string foreign_path = directory_.file("foreign");
    const auto fault = [&] { (void)Foreign(foreign_path).touch(); };
    EXPECT_EQ(SIGBUS, signal_of([&] {
                  (void)!rhumb_sigbus_guard_install();
                  fault();
              }));
    EXPECT_EQ(SIGBUS, signal_of([&] {
                  (void)!rhumb_sigbus_guard_install();
                  raise(SIGBUS);
              }));
    EXPECT_EQ(0, signal_of([&] {
                  signal(SIGBUS, SIG_IGN);
                  (void)!rhumb_sigbus_guard_install();
                  raise(SIGBUS);
              }));
    EXPECT_EQ(SIGBUS, signal_of([&] {
                  signal(SIGBUS, SIG_IGN); // a fault cannot be ignored
                  (void)!rhumb_sigbus_guard_install();
                  fault();
              }));
    EXPECT_EQ(SIGBUS, signal_of([&] {
                  (void)!rhumb_sigbus_guard_install();
                  (void)rhumb_sigbus_guard_remove();
                  Index reader = open(path_, true);
                  cut();
                  (void)!search_all(reader.get());
              }));
}

} // namespace
} // namespace index_test
