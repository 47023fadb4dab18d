// Goal: a thread that waits for a checkpoint is woken by it, in any process, soon and without asking the disk; sees its
// time run out; holds up no refresh; and notices a file that takes the place of the index. Method: this program runs
// itself again as a writer, which makes a checkpoint for each byte that it reads and answers with the moment when it
// was done.
#include <atomic>
#include <chrono>
#include <thread>

#include <fcntl.h>

#include "tests/support/index_test_support.h"
#include "tests/support/sanitized.h"

namespace {

using namespace index_test;
using Clock = std::chrono::steady_clock;
using rhumb_test::kSanitized;

constexpr uint32_t kDim = 8;

double milliseconds_since(Clock::time_point begin) {
    return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

std::vector<float> vector_of(uint64_t key) { return random_vectors(1, kDim, key + 1).components; }

void insert_and_publish(rhumb_index *index) {
    const uint64_t key = rhumb_index_count(index);
    if (rhumb_index_insert(index, key, vector_of(key).data()) != RHUMB_OK) _exit(3);
    if (rhumb_index_checkpoint(index) != RHUMB_OK) _exit(4);
}

int write_on_request(const std::string &path) {
    rhumb_open_options options;
    rhumb_open_options_init(&options, sizeof options);
    options.durability = RHUMB_DURABILITY_NONE;
    rhumb_index *index = nullptr;
    if (rhumb_index_open(path.c_str(), &options, &index) != RHUMB_OK) return 2;
    char request;
    while (read(STDIN_FILENO, &request, 1) == 1) {
        insert_and_publish(index);
        const int64_t now = Clock::now().time_since_epoch().count();
        if (write(STDOUT_FILENO, &now, sizeof now) != sizeof now) return 5;
    }
    return rhumb_index_close(index) == RHUMB_OK ? 0 : 6;
}

// A writer in another process.
class Writer {
  public:
    explicit Writer(const std::string &path) {
        int requests[2], answers[2];
        EXPECT_EQ(pipe2(requests, O_CLOEXEC) + pipe2(answers, O_CLOEXEC), 0);
        child_ = fork();
        if (child_ == 0) {
            dup2(requests[0], STDIN_FILENO);
            dup2(answers[1], STDOUT_FILENO);
            const char *arguments[] = {"wait_epoch_test", "write", path.c_str(), nullptr};
            execv("/proc/self/exe", const_cast<char **>(arguments));
            _exit(127);
        }
        ::close(requests[0]);
        ::close(answers[1]);
        requests_ = requests[1];
        answers_ = answers[0];
    }
    ~Writer() {
        ::close(requests_);
        ::close(answers_);
        int state = 0;
        EXPECT_EQ(waitpid(child_, &state, 0), child_);
        EXPECT_EQ(state, 0);
    }
    void request() { EXPECT_EQ(write(requests_, "c", 1), 1); }
    // When the checkpoint had been made.
    Clock::time_point answer() {
        int64_t moment = 0;
        EXPECT_EQ(read(answers_, &moment, sizeof moment), static_cast<ssize_t>(sizeof moment));
        return Clock::time_point(Clock::duration(moment));
    }

  private:
    pid_t child_ = -1;
    int requests_ = -1;
    int answers_ = -1;
};

class WaitEpoch : public ::testing::Test {
  protected:
    void SetUp() override { ASSERT_NE(create(path_, index_options(kDim)), nullptr); }
    ScratchDirectory directory_;
    std::string path_ = directory_.file("shared.rhumb");
};

TEST_F(WaitEpoch, AWaiterIsWokenByTheCheckpointOfAnotherProcess) {
    Writer writer(path_);
    const Index reader = open(path_, true);
    uint64_t epoch = stats(reader).epoch;
    std::vector<double> delays;
    for (int round = 0; round < 20; round++) {
        uint64_t newest = 0;
        Clock::time_point noticed;
        std::thread waiter([&] {
            EXPECT_OK(rhumb_index_wait_epoch(reader.get(), 0, 20000, &newest));
            noticed = Clock::now();
        });
        std::this_thread::sleep_for(std::chrono::milliseconds(20)); // it sleeps by now
        writer.request();
        const Clock::time_point published = writer.answer();
        waiter.join();
        delays.push_back(std::chrono::duration<double, std::milli>(noticed - published).count());
        EXPECT_EQ(newest, ++epoch);
        bool changed = false;
        EXPECT_OK(rhumb_index_refresh(reader.get(), &changed));
        EXPECT_TRUE(changed);
        EXPECT_EQ(stats(reader).epoch, epoch);
    }
    std::sort(delays.begin(), delays.end());
    printf("noticed after the call that made the checkpoint returned: median %.3f ms, at most %.3f ms\n",
           delays[delays.size() / 2], delays.back());
    // Without being woken, it would notice about 480 ms later.
    EXPECT_LT(delays[delays.size() / 2], 100);
}

TEST_F(WaitEpoch, SeesItsTimeRunOutAndReturnsTheNewestThereIs) {
    const Index reader = open(path_, true);
    const auto begin = Clock::now();
    uint64_t newest = 0;
    EXPECT_OK(rhumb_index_wait_epoch(reader.get(), 7, 60, &newest));
    EXPECT_GE(milliseconds_since(begin), 60);
    EXPECT_EQ(newest, stats(reader).epoch);
    EXPECT_OK(rhumb_index_wait_epoch(reader.get(), 0, 0, nullptr)) << "only looks";
    EXPECT_OK(rhumb_index_wait_epoch(reader.get(), newest, UINT64_MAX, nullptr)) << "is there";
    EXPECT_OK(rhumb_index_wait_epoch(reader.get(), 1, UINT64_MAX, nullptr)) << "has been there";
    EXPECT_STATUS(RHUMB_E_INVALID, rhumb_index_wait_epoch(nullptr, 0, 0, nullptr));
}

TEST_F(WaitEpoch, SaysNothingOfTheCheckpointThatTheHandleShows) {
    const Index writer = open_without_log(path_);
    const Index reader = open(path_, true);
    const uint64_t shown = stats(reader).epoch;
    insert_and_publish(writer.get());
    insert_and_publish(writer.get());
    uint64_t newest = 0;
    EXPECT_OK(rhumb_index_wait_epoch(reader.get(), 0, 0, &newest));
    EXPECT_EQ(newest, shown + 2);
    EXPECT_EQ(stats(reader).epoch, shown);
    EXPECT_EQ(rhumb_index_count(reader.get()), 0u);
    EXPECT_OK(rhumb_index_wait_epoch(writer.get(), 0, 0, &newest)) << "a writer may look too";
    EXPECT_EQ(newest, shown + 2);
}

TEST_F(WaitEpoch, AWaiterHoldsUpNeitherRefreshesNorSearches) {
    const Index writer = open_without_log(path_);
    const Index reader = open(path_, true);
    const uint64_t wanted = stats(reader).epoch + 4;
    std::atomic<bool> is_done{false};
    std::vector<std::thread> waiters;
    for (int i = 0; i < 4; i++) {
        waiters.emplace_back([&] {
            uint64_t newest = 0;
            EXPECT_OK(rhumb_index_wait_epoch(reader.get(), wanted, 60000, &newest));
            EXPECT_GE(newest, wanted);
            is_done = true;
        });
    }
    for (uint64_t i = 0; i < 4; i++) {
        EXPECT_FALSE(is_done);
        insert_and_publish(writer.get());
        EXPECT_OK(rhumb_index_refresh(reader.get(), nullptr)); // would wait for calls that use the old checkpoint
        EXPECT_EQ(search_exact(reader, vector_of(i).data(), 1).keys[0], i);
    }
    for (std::thread &waiter : waiters) waiter.join();
}

// Many checkpoints in a row, faster than waiters come back: none is lost, and numbers only grow.
TEST_F(WaitEpoch, NoWaiterMissesTheLastOfManyCheckpoints) {
    const uint64_t count = kSanitized ? 30 : 100;
    Writer writer(path_);
    const Index reader = open(path_, true);
    const uint64_t last = stats(reader).epoch + count;
    std::vector<std::thread> waiters;
    for (int i = 0; i < 3; i++) {
        waiters.emplace_back([&] {
            uint64_t seen = 0;
            while (seen < last) {
                uint64_t newest = 0;
                ASSERT_OK(rhumb_index_wait_epoch(reader.get(), seen + 1, 60000, &newest));
                ASSERT_GT(newest, seen);
                seen = newest;
            }
            EXPECT_EQ(seen, last);
        });
    }
    for (uint64_t i = 0; i < count; i++) writer.request();
    for (uint64_t i = 0; i < count; i++) writer.answer();
    for (std::thread &waiter : waiters) waiter.join();
}

TEST_F(WaitEpoch, AFileThatIsMovedToThePathIsNoticed) {
    const std::string other = directory_.file("copy.rhumb");
    std::filesystem::copy_file(path_, other);
    {
        const Index writer = open_without_log(other);
        insert_and_publish(writer.get());
    }
    const Index reader = open(path_, true);
    const uint64_t shown = stats(reader).epoch;
    std::thread waiter([&] {
        uint64_t newest = 0;
        EXPECT_OK(rhumb_index_wait_epoch(reader.get(), 0, 60000, &newest));
        EXPECT_GT(newest, shown);
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    std::filesystem::rename(other, path_);
    waiter.join();
    EXPECT_OK(rhumb_index_refresh(reader.get(), nullptr));
    EXPECT_EQ(rhumb_index_count(reader.get()), 1u);
}

TEST_F(WaitEpoch, FailsOnceTheIndexIsNotAtItsPath) {
    const Index reader = open(path_, true);
    std::filesystem::remove(path_);
    EXPECT_STATUS(RHUMB_E_NOTFOUND, rhumb_index_wait_epoch(reader.get(), 0, 1000, nullptr));
    ASSERT_NE(create(path_, index_options(kDim)), nullptr);
    EXPECT_STATUS(RHUMB_E_NOTFOUND, rhumb_index_wait_epoch(reader.get(), 0, 1000, nullptr)) << "another index";
}

} // namespace

int main(int argument_count, char **arguments) {
    if (argument_count == 3 && std::string(arguments[1]) == "write") return write_on_request(arguments[2]);
    ::testing::InitGoogleTest(&argument_count, arguments);
    return RUN_ALL_TESTS();
}
