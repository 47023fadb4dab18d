// Goal: a process that is killed at any moment leaves an index that opens at once, holds exactly the vectors of a
// checkpoint that is not older than the last one it was told about, and can be written on. Method: a child inserts with
// several threads and makes a checkpoint every few milliseconds, reporting each over a pipe; it is killed with SIGKILL
// at a random moment; the parent looks at the file, and the next child goes on with it. RHUMB_ITERS sets how often.
#include "tests/fault/fault_test_support.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include <atomic>
#include <set>
#include <thread>

namespace fault_test {
namespace {

class Kill : public ::testing::TestWithParam<const char *> {
  protected:
    static constexpr uint32_t kThreads = 3;
    static constexpr uint32_t kDim = 12;

    // Inserts until it is killed. Vector i has key i; thread t takes the keys that are t modulo kThreads, in order,
    // from first_ on.
    [[noreturn]] void write_until_killed(int pipe) const {
        Index index;
        if (rhumb_test::open_index(path_, false, &index) != RHUMB_OK) _exit(2);
        std::atomic<uint64_t> done[kThreads] = {};
        std::vector<std::thread> threads;
        for (uint32_t t = 0; t < kThreads; t++) {
            threads.emplace_back([&, t] {
                for (uint64_t i = 0;; i++) {
                    const uint64_t key = first_ + i * kThreads + t;
                    if (rhumb_index_insert(index, key, vectors_.vector(key).data()) != RHUMB_OK) _exit(3);
                    done[t] = i + 1;
                }
            });
        }
        for (;;) {
            // What had returned before the checkpoint began is in it.
            uint64_t acknowledged[kThreads];
            for (uint32_t t = 0; t < kThreads; t++) acknowledged[t] = done[t];
            if (rhumb_index_checkpoint(index) != RHUMB_OK) _exit(4);
            if (write(pipe, acknowledged, sizeof acknowledged) != sizeof acknowledged) _exit(5);
            const timespec pause = {0, 2000000};
            nanosleep(&pause, nullptr);
        }
    }

    // Starts a child and kills it after a while, which begins with its start or, however slow the machine is, with its
    // first report; leaves in acknowledged_ what it had reported.
    void kill_one_child(bool after_a_report) {
        int ends[2];
        ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
        const pid_t child = fork();
        ASSERT_GE(child, 0);
        if (child == 0) write_until_killed(ends[1]);
        close(ends[1]);
        pollfd report_end = {ends[0], POLLIN, 0};
        if (after_a_report) {
            ASSERT_EQ(poll(&report_end, 1, 60000), 1);
        }
        const timespec pause = {0, 1000000 + static_cast<long>(random_() % 60000000)};
        nanosleep(&pause, nullptr);
        kill(child, SIGKILL);
        int state = 0;
        ASSERT_EQ(waitpid(child, &state, 0), child);
        ASSERT_TRUE(WIFSIGNALED(state)) << "the child ended by itself with " << WEXITSTATUS(state);
        memset(acknowledged_, 0, sizeof acknowledged_);
        uint64_t report[kThreads];
        while (read(ends[0], report, sizeof report) == sizeof report) {
            memcpy(acknowledged_, report, sizeof report);
            report_count_++;
        }
        close(ends[0]);
    }

    // Of each thread's vectors a prefix must be there, no shorter than acknowledged. Returns how many there are.
    uint64_t check_prefixes(rhumb_index *index) {
        uint64_t present_count = 0;
        uint64_t last = first_;
        const auto has = [&](uint64_t key) {
            bool found = false;
            EXPECT_EQ(rhumb_index_contains(index, key, &found), RHUMB_OK);
            return found;
        };
        for (uint32_t t = 0; t < kThreads; t++) {
            uint64_t key = first_ + t;
            for (; has(key); key += kThreads) {
                std::vector<float> vector(kDim);
                EXPECT_EQ(rhumb_index_get_vector(index, key, vector.data()), RHUMB_OK);
                EXPECT_EQ(vector, vectors_.vector(key));
                present_count++;
            }
            EXPECT_GE((key - first_) / kThreads, acknowledged_[t])
                << "thread " << t << ": an acknowledged insert is lost";
            EXPECT_FALSE(has(key + kThreads)) << "a hole before key " << key + kThreads;
            last = std::max(last, key);
        }
        first_ = (last + 2 * kThreads) / kThreads * kThreads;
        return present_count;
    }

    // All that an exact search finds is what was inserted: nothing of the checkpoint that was cut short, also once new
    // slots reach where it had begun to write.
    void check_nothing_else_is_found(rhumb_index *index, uint64_t fresh_key) {
        ASSERT_EQ(rhumb_index_insert(index, fresh_key, vectors_.vector(1).data()), RHUMB_OK);
        const size_t count = rhumb_index_count(index);
        std::vector<uint64_t> keys(count + 50);
        std::vector<float> distances(count + 50);
        size_t found_count = 0;
        ASSERT_EQ(rhumb_index_search_exact(index, vectors_.vector(2).data(), 1, count + 50, nullptr, keys.data(),
                                           distances.data(), &found_count),
                  RHUMB_OK);
        EXPECT_EQ(found_count, count);
        keys.resize(found_count);
        EXPECT_EQ(std::set<uint64_t>(keys.begin(), keys.end()).size(), found_count);
    }

    void begin_anew() {
        unlink(path_.c_str());
        IndexShape shape;
        shape.dim = kDim;
        ASSERT_EQ(rhumb_test::build_index(path_, shape, vectors_, 0, 1), RHUMB_OK);
        first_ = 0;
        count_ = 0;
    }

    void run_round(uint64_t round) {
        ASSERT_NO_FATAL_FAILURE(kill_one_child(round % 2 == 0));
        Index index; // for writing, at once: the lock went with the process
        ASSERT_EQ(rhumb_test::open_index(path_, false, &index), RHUMB_OK) << rhumb_error_last()->message;
        rhumb_verify_report verified;
        ASSERT_EQ(rhumb_test::verify_index(index, &verified), RHUMB_OK) << verified.first_error;
        const uint64_t present_count = check_prefixes(index);
        ASSERT_EQ(rhumb_index_count(index), count_ + present_count);
        ASSERT_NO_FATAL_FAILURE(check_nothing_else_is_found(index, UINT64_C(1) << 40 | round));
        count_ = rhumb_index_count(index);
        ASSERT_EQ(index.close(), RHUMB_OK);
    }

    void run_rounds(uint64_t rounds) {
        for (uint64_t round = 0; round < rounds && !HasFailure(); round++) {
            SCOPED_TRACE("round " + std::to_string(round));
            if (round % 40 == 0) begin_anew(); // rounds should not get longer and longer
            run_round(round);
        }
        EXPECT_GE(report_count_, rounds / 2) << "hardly any child came as far as a checkpoint";
    }

    ScratchDirectory directory_;
    std::string path_ = directory_.file("killed.rhumb");
    Vectors vectors_{kDim, 5};
    std::mt19937_64 random_{choose_seed()};
    uint64_t first_ = 0; // of the keys of the next child
    uint64_t count_ = 0; // vectors before it
    uint64_t acknowledged_[kThreads] = {};
    uint64_t report_count_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Backends, Kill, ::testing::Values("plain", "uring"), io_test::backend_name);

// A process decides for a backend once, so each has one of its own.
TEST_P(Kill, LeavesACheckpointThatTheNextWriterGoesOnWith) {
    const int code = io_test::run_in_child([&] {
        setenv("RHUMB_IO", GetParam(), 1);
        run_rounds(iteration_count(20));
        fflush(stdout);
        _exit(HasFailure() ? 1 : 0);
    });
    EXPECT_EQ(code, 0);
}

} // namespace
} // namespace fault_test
