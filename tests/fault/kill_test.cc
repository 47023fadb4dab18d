// Goal: a process that is killed at any moment leaves an index that opens immediately and can be written. With a log it
// holds everything that was acknowledged to any thread, of each thread exactly a prefix, batches whole or not at all;
// without one, exactly the vectors of a checkpoint that is not older than the last acknowledged one. Method: a child
// writes with several threads and reports acknowledgements over shared memory or a pipe; it is killed with SIGKILL at a
// random moment; the parent checks the file, and the next child continues with it. In between, other children may be
// killed during the recovery. RHUMB_ITERS sets the number of rounds.
#include "tests/support/fault_test_support.h"

#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include <atomic>
#include <set>
#include <thread>

#include "tests/support/oracle.h"

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
        if (rhumb_test::open_index(path_, false, &index, RHUMB_DURABILITY_NONE) != RHUMB_OK) _exit(2);
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
            // The checkpoint has what had returned before it began.
            uint64_t acknowledged[kThreads];
            for (uint32_t t = 0; t < kThreads; t++) acknowledged[t] = done[t];
            if (rhumb_index_checkpoint(index) != RHUMB_OK) _exit(4);
            if (write(pipe, acknowledged, sizeof acknowledged) != sizeof acknowledged) _exit(5);
            const timespec pause = {0, 2000000};
            nanosleep(&pause, nullptr);
        }
    }

    // Starts a child and kills it a while after its start or, on a slow machine, after its first report; leaves in
    // acknowledged_ what it had reported.
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

    // All that an exact search finds is what was inserted: nothing of the interrupted checkpoint, even when new slots
    // reach where it had begun to write.
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

    void start_over() {
        rhumb_test::remove_index(path_);
        IndexShape shape;
        shape.dim = kDim;
        ASSERT_EQ(rhumb_test::build_index(path_, shape, vectors_, 0, 1), RHUMB_OK);
        first_ = 0;
        count_ = 0;
    }

    void run_round(uint64_t round) {
        ASSERT_NO_FATAL_FAILURE(kill_one_child(round % 2 == 0));
        Index index; // for writing, at once: the lock was released with the process
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
            if (round % 40 == 0) start_over(); // rounds should not get longer and longer
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

// A process chooses its backend once, so each backend has a process of its own.
TEST_P(Kill, WithoutALogLeavesACheckpointThatTheNextWriterContinues) {
    const int code = io_test::run_in_child([&] {
        setenv("RHUMB_IO", GetParam(), 1);
        run_rounds(iteration_count(8));
        fflush(stdout);
        _exit(HasFailure() ? 1 : 0);
    });
    EXPECT_EQ(code, 0);
}

// ---- with a log ----

using rhumb_test::Oracle;

// The operations of one thread, the same ones in the child that carries them out and in the parent that records them.
// Each thread has keys of its own. Inserts may meet a key that is there, deletes one that is not.
class Script {
  public:
    struct Step {
        Oracle::Kind kind = Oracle::Kind::kInsert;
        std::vector<uint64_t> keys; // several: a batch of inserts, of keys that never were
        std::vector<float> vectors;
    };

    Script(uint32_t thread, uint64_t seed, uint32_t dim) : thread_(thread), dim_(dim), random_(seed + thread) {}

    Step next() {
        Step step;
        const uint64_t dice = random_() % 100;
        if (dice < 15) {
            for (uint64_t left = 2 + random_() % 20; left > 0; left--) step.keys.push_back(fresh_key());
        } else if (dice < 50 || used_ == 0) {
            step.keys.push_back(random_() % 3 == 0 && used_ > 0 ? used_key() : fresh_key());
        } else {
            step.kind = dice < 75 ? Oracle::Kind::kUpsert : Oracle::Kind::kDelete;
            step.keys.push_back(used_key());
        }
        if (step.kind != Oracle::Kind::kDelete) step.vectors.resize(step.keys.size() * dim_);
        for (float &component : step.vectors) component = static_cast<float>(random_() % 2048) / 64.0f - 16.0f;
        return step;
    }

  private:
    uint64_t key(uint64_t number) const { return (UINT64_C(1) + thread_) << 40 | number; }
    uint64_t fresh_key() { return key(used_++); }
    uint64_t used_key() { return key(random_() % used_); }

    uint32_t thread_;
    uint32_t dim_;
    std::mt19937_64 random_;
    uint64_t used_ = 0;
};

class KillLogged : public ::testing::TestWithParam<const char *> {
  protected:
    static constexpr uint32_t kThreads = 4;
    static constexpr uint32_t kDim = 12;

    // What a child reports to its parent, in memory that outlives it.
    struct Shared {
        std::atomic<uint64_t> acknowledged[kThreads]; // steps that have returned
        std::atomic<bool> opened;
        std::atomic<bool> compacting; // at this moment
    };

    void SetUp() override {
        void *memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        ASSERT_NE(memory, MAP_FAILED);
        shared_ = new (memory) Shared();
    }
    void TearDown() override { munmap(shared_, sizeof(Shared)); }

    // ---- in the children ----

    static bool carry_out(rhumb_index *index, const Script::Step &step, uint32_t batch_thread_count) {
        if (step.keys.size() > 1) {
            rhumb_batch_options options;
            rhumb_batch_options_init(&options, sizeof options);
            options.thread_count = batch_thread_count;
            return rhumb_index_insert_batch(index, step.keys.data(), step.vectors.data(), step.keys.size(), &options,
                                            nullptr) == RHUMB_OK;
        }
        rhumb_status status = RHUMB_OK;
        switch (step.kind) {
        case Oracle::Kind::kInsert: status = rhumb_index_insert(index, step.keys[0], step.vectors.data()); break;
        case Oracle::Kind::kUpsert: status = rhumb_index_upsert(index, step.keys[0], step.vectors.data()); break;
        case Oracle::Kind::kDelete: status = rhumb_index_delete(index, step.keys[0]); break;
        }
        return status == RHUMB_OK || status == RHUMB_E_EXISTS || status == RHUMB_E_NOTFOUND;
    }

    // Opens the index, after a process that has just been killed: its lock is released when the kernel has
    // cleaned up after it.
    rhumb_status open_after_kill(Index *index, uint64_t checkpoint_log_bytes) const {
        rhumb_open_options options;
        rhumb_open_options_init(&options, sizeof options);
        options.checkpoint_log_bytes = checkpoint_log_bytes;
        rhumb_index *opened = nullptr;
        rhumb_status status = RHUMB_E_LOCKED;
        for (int i = 0; status == RHUMB_E_LOCKED && i < 100; i++) {
            status = rhumb_index_open(path_.c_str(), &options, &opened);
        }
        if (status == RHUMB_OK) *index = Index(opened);
        return status;
    }

    // Continues all scripts until it is killed.
    [[noreturn]] void write_until_killed(uint64_t round) const {
        Index index;
        // Sometimes the log is short, so that automatic checkpoints run all the time.
        if (open_after_kill(&index, round % 3 == 0 ? 8192 : 0) != RHUMB_OK) _exit(2);
        std::vector<std::thread> threads;
        for (uint32_t t = 0; t < kThreads; t++) {
            threads.emplace_back([&, t] {
                Script script = scripts_[t];
                for (uint64_t done = 1;; done++) {
                    if (!carry_out(index, script.next(), 1 + t % 2)) {
                        fprintf(stderr, "thread %u, step %llu: %s\n", t, static_cast<unsigned long long>(done),
                                rhumb_error_last()->message);
                        _exit(3);
                    }
                    shared_->acknowledged[t] = done;
                }
            });
        }
        shared_->opened = true;
        while (compacts_) {
            rhumb_compact_options options;
            rhumb_compact_options_init(&options, sizeof options);
            options.thread_count = 1;
            options.shrink = round % 2 == 0;
            shared_->compacting = true;
            if (rhumb_index_compact(index, &options, nullptr, 0) != RHUMB_OK) _exit(9);
            shared_->compacting = false;
        }
        for (;;) {
            const timespec pause = {0, 3000000};
            nanosleep(&pause, nullptr);
            if (round % 3 == 1 && rhumb_index_checkpoint(index) != RHUMB_OK) _exit(4);
        }
    }

    // Opens the index, which recovers what the previous child left, again and again until it is killed.
    [[noreturn]] void recover_until_killed(uint64_t depth) const {
        Index index;
        if (open_after_kill(&index, 0) != RHUMB_OK) _exit(5);
        shared_->opened = true;
        if (depth == 1 && rhumb_index_wait_idle(index) != RHUMB_OK) _exit(6);
        if (depth == 2 && rhumb_index_checkpoint(index) != RHUMB_OK) _exit(7);
        if (depth == 3 && index.close() != RHUMB_OK) _exit(8);
        for (;;) pause();
    }

    // ---- in the parent ----

    // From when on a child may be killed.
    enum class From { start, opening, acknowledgement };

    bool has_come_to(From from) const {
        if (from == From::acknowledgement) {
            for (const std::atomic<uint64_t> &count : shared_->acknowledged) {
                if (count > 0) return true;
            }
            return false;
        }
        return from == From::start || shared_->opened;
    }

    // Forks, and kills the child up to `delay_us_max` after it has come that far.
    template <typename Body> void kill_one_child(From from, uint64_t delay_us_max, const Body &body) {
        shared_->opened = false;
        const pid_t child = fork();
        ASSERT_GE(child, 0);
        if (child == 0) body();
        for (int i = 0; !has_come_to(from) && i < 60000; i++) {
            const timespec millisecond = {0, 1000000};
            nanosleep(&millisecond, nullptr);
            ASSERT_EQ(waitpid(child, nullptr, WNOHANG), 0) << "the child ended by itself";
        }
        const timespec delay = {0, static_cast<long>(1000 * (random_() % delay_us_max))};
        nanosleep(&delay, nullptr);
        kill(child, SIGKILL);
        int state = 0;
        ASSERT_EQ(waitpid(child, &state, 0), child);
        ASSERT_TRUE(WIFSIGNALED(state)) << "the child ended by itself with " << WEXITSTATUS(state);
        cut_compaction_count_ += shared_->compacting;
        shared_->compacting = false;
    }

    // Records what the child may have done in the oracle: what was acknowledged, and one step more.
    void record(Oracle::Prefix *low) {
        for (uint32_t t = 0; t < kThreads; t++) {
            const uint64_t done = shared_->acknowledged[t];
            low->push_back(done);
            acknowledged_count_ += done;
            for (uint64_t i = 0; i <= done; i++) {
                const Script::Step step = scripts_[t].next();
                std::vector<Oracle::Operation> operations;
                for (size_t k = 0; k < step.keys.size(); k++) {
                    const auto from = step.vectors.begin() + static_cast<ptrdiff_t>(k * kDim);
                    operations.push_back(step.vectors.empty()
                                             ? Oracle::operation(step.kind, step.keys[k])
                                             : Oracle::operation(step.kind, step.keys[k], {from, from + kDim}));
                }
                oracle_->batch(std::move(operations), t);
            }
        }
    }

    void start_over() {
        rhumb_test::remove_index(path_);
        IndexShape shape;
        shape.dim = kDim;
        Index index;
        ASSERT_EQ(rhumb_test::create_index(path_, shape, &index), RHUMB_OK);
        ASSERT_EQ(index.close(), RHUMB_OK);
        oracle_ = std::make_unique<Oracle>(kDim, RHUMB_METRIC_L2, kThreads);
        scripts_.clear();
        for (uint32_t t = 0; t < kThreads; t++) scripts_.emplace_back(t, random_(), kDim);
    }

    void run_round(uint64_t round) {
        for (std::atomic<uint64_t> &count : shared_->acknowledged) count = 0;
        const From from[] = {From::acknowledgement, From::opening, From::acknowledgement, From::start};
        ASSERT_NO_FATAL_FAILURE(kill_one_child(from[round % 4], 40000, [&] { write_until_killed(round); }));
        Oracle::Prefix low;
        record(&low);
        for (uint64_t depth = 1; depth <= round % 4; depth++) {
            const From recovery_from = depth % 2 == 0 ? From::opening : From::start;
            ASSERT_NO_FATAL_FAILURE(kill_one_child(recovery_from, 3000 * depth, [&] { recover_until_killed(depth); }));
        }
        Index index;
        ASSERT_EQ(open_after_kill(&index, 0), RHUMB_OK) << rhumb_error_last()->message;
        rhumb_index_stats stats;
        ASSERT_EQ(rhumb_index_stats_get(index, &stats, sizeof stats), RHUMB_OK);
        recovered_count_ += stats.log_bytes > 0;
        if (round % 2 == 0) {
            ASSERT_EQ(rhumb_index_wait_idle(index), RHUMB_OK);
        }
        Oracle::Prefix found;
        ASSERT_EQ(oracle_->find_prefix(index, low, oracle_->counts(), &found), "");
        rhumb_verify_report report;
        ASSERT_EQ(rhumb_test::verify_index(index, &report), RHUMB_OK) << report.first_error;
        ASSERT_EQ(oracle_->compare(index, found), "") << "after a checkpoint";
        oracle_->rebase(found);
        ASSERT_EQ(index.close(), RHUMB_OK) << rhumb_error_last()->message;
    }

    void run_rounds(uint64_t rounds) {
        for (uint64_t round = 0; round < rounds && !HasFailure(); round++) {
            SCOPED_TRACE("round " + std::to_string(round));
            if (round % 12 == 0) start_over(); // rounds should not get longer and longer
            run_round(round);
        }
        printf("%llu steps acknowledged, %llu recoveries\n", static_cast<unsigned long long>(acknowledged_count_),
               static_cast<unsigned long long>(recovered_count_));
        EXPECT_GE(acknowledged_count_, rounds / 2) << "every second child was left alone until its first operation";
        EXPECT_GE(recovered_count_, rounds / 4) << "hardly any log had to be read";
    }

    ScratchDirectory directory_;
    std::string path_ = directory_.file("killed.rhumb");
    std::mt19937_64 random_{choose_seed()};
    std::vector<Script> scripts_; // where the next child continues
    std::unique_ptr<Oracle> oracle_;
    Shared *shared_ = nullptr;
    bool compacts_ = false; // children compact all the time
    uint64_t cut_compaction_count_ = 0;
    uint64_t acknowledged_count_ = 0;
    uint64_t recovered_count_ = 0; // rounds with operations in the log
};

INSTANTIATE_TEST_SUITE_P(Backends, KillLogged, ::testing::Values("plain", "uring"), io_test::backend_name);

TEST_P(KillLogged, LosesNothingThatWasAcknowledged) {
    const int code = io_test::run_in_child([&] {
        setenv("RHUMB_IO", GetParam(), 1);
        run_rounds(iteration_count(17));
        fflush(stdout);
        _exit(HasFailure() ? 1 : 0);
    });
    EXPECT_EQ(code, 0);
}

// The same while the index is being compacted.
TEST_P(KillLogged, LosesNothingInTheMiddleOfACompaction) {
    const int code = io_test::run_in_child([&] {
        setenv("RHUMB_IO", GetParam(), 1);
        compacts_ = true;
        const uint64_t rounds = iteration_count(25);
        run_rounds(rounds);
        printf("%llu compactions cut short\n", static_cast<unsigned long long>(cut_compaction_count_));
        EXPECT_GE(cut_compaction_count_, rounds / 2);
        fflush(stdout);
        _exit(HasFailure() ? 1 : 0);
    });
    EXPECT_EQ(code, 0);
}

} // namespace
} // namespace fault_test
