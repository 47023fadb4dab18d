// Goal: processes that read an index while another compacts it repeatedly see one version each, whole, until they
// refresh; versions only get newer; and the space of a version is released when its last reader leaves, also when that
// reader was killed. Method: four reader processes search and refresh while the parent replaces vectors and compacts.
// Generation g of key k has a vector from which k and g can be computed, and every version holds, for each key, one of
// the generations that were current while it was made. RHUMB_ITERS sets the number of compactions.
#include "tests/support/fault_test_support.h"
#include "tests/support/io_fault.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <atomic>
#include <thread>

namespace fault_test {
namespace {

constexpr uint32_t kReaders = 4;
constexpr uint32_t kDim = 8;
constexpr uint64_t kKeys = 1500;

struct Shared {
    std::atomic<uint64_t> generation_begun;    // the highest that any key may have
    std::atomic<uint64_t> generation_finished; // the lowest that any key may have in a checkpoint from now on
    std::atomic<uint64_t> search_count;
    std::atomic<uint64_t> refresh_count;
    std::atomic<bool> stop;
};

std::vector<float> vector_of(uint64_t key, uint64_t generation) {
    std::vector<float> vector(kDim, 0.0f);
    vector[0] = static_cast<float>(key % 40) * 10.0f;
    vector[1] = static_cast<float>(key / 40) * 10.0f;
    vector[2] = static_cast<float>(generation) / 64.0f;
    return vector;
}

class CompactReaders : public ::testing::Test {
  protected:
    void SetUp() override {
        void *memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        ASSERT_NE(memory, MAP_FAILED);
        shared_ = new (memory) Shared();
    }
    void TearDown() override { munmap(shared_, sizeof(Shared)); }

    // The faults that a reader can find, as its exit code.
    enum Wrong { kNothing = 0, kFailed = 10, kNotFound, kWrongGeneration, kTwoVersions, kEpochFell, kVerify };

    // Checks that every key has a generation within bounds, and that a second search returns the same.
    static int check_version(rhumb_index *index, uint64_t lowest, uint64_t highest, std::mt19937_64 *random) {
        for (int i = 0; i < 150; i++) {
            const uint64_t key = (*random)() % kKeys;
            std::vector<float> first(kDim), second(kDim);
            if (rhumb_index_get_vector(index, key, first.data()) != RHUMB_OK) return kFailed;
            const auto generation = static_cast<uint64_t>(first[2] * 64.0f);
            if (first != vector_of(key, generation) || generation < lowest || generation > highest) {
                return kWrongGeneration;
            }
            uint64_t keys[3];
            float distances[3];
            size_t found_count = 0;
            if (rhumb_index_search(index, first.data(), 3, nullptr, keys, distances, &found_count) != RHUMB_OK ||
                found_count != 3) {
                return kFailed;
            }
            if (keys[0] != key || distances[0] != 0.0f) return kNotFound;
            if (rhumb_index_get_vector(index, key, second.data()) != RHUMB_OK || first != second) return kTwoVersions;
        }
        return kNothing;
    }

    [[noreturn]] void read_until_stopped(uint64_t seed) const {
        std::mt19937_64 random(seed);
        Index index;
        if (rhumb_test::open_index(path_, true, &index) != RHUMB_OK) _exit(kFailed);
        uint64_t epoch = 0, lowest = 0;
        while (!shared_->stop) {
            rhumb_index_stats stats;
            if (rhumb_index_stats_get(index, &stats, sizeof stats) != RHUMB_OK) _exit(kFailed);
            if (stats.epoch < epoch) _exit(kEpochFell);
            epoch = stats.epoch;
            const uint64_t highest = shared_->generation_begun;
            const int wrong = check_version(index, lowest, highest, &random);
            if (wrong != kNothing) {
                fprintf(stderr, "epoch %llu: %s\n", static_cast<unsigned long long>(epoch),
                        rhumb_error_last()->message);
                _exit(wrong);
            }
            shared_->search_count += 150;
            if (random() % 3 == 0) continue; // keeps its version for longer
            lowest = shared_->generation_finished;
            bool changed = false;
            if (rhumb_index_refresh(index, &changed) != RHUMB_OK) _exit(kFailed);
            shared_->refresh_count += changed;
        }
        rhumb_verify_report report;
        if (rhumb_test::verify_index(index, &report) != RHUMB_OK) _exit(kVerify);
        _exit(kNothing);
    }

    // Replaces every key by its next generation.
    void replace_all(rhumb_index *index, uint64_t generation) {
        shared_->generation_begun = generation;
        for (uint64_t key = 0; key < kKeys; key++) {
            ASSERT_EQ(rhumb_index_upsert(index, key, vector_of(key, generation).data()), RHUMB_OK)
                << rhumb_error_last()->message;
        }
    }

    // Waits until a condition holds, for a minute at most.
    template <typename Condition> static void wait_for(Condition condition) {
        for (int i = 0; i < 6000 && !condition(); i++) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }

    uint64_t allocated_bytes() const {
        struct stat status = {};
        EXPECT_EQ(stat(path_.c_str(), &status), 0);
        return static_cast<uint64_t>(status.st_blocks) * 512;
    }

    ScratchDirectory directory_;
    std::string path_ = directory_.file("read.rhumb");
    Shared *shared_ = nullptr;
};

TEST_F(CompactReaders, SeeOneVersionEachAndReleaseItsSpace) {
    const uint64_t seed = choose_seed();
    Index index;
    IndexShape shape;
    shape.dim = kDim;
    ASSERT_EQ(rhumb_test::create_index(path_, shape, &index, RHUMB_DURABILITY_INTERVAL), RHUMB_OK);
    ASSERT_NO_FATAL_FAILURE(replace_all(index, 0));
    ASSERT_EQ(rhumb_index_compact(index, nullptr, nullptr, 0), RHUMB_OK);
    const uint64_t fresh_bytes = allocated_bytes();
    ASSERT_EQ(index.close(), RHUMB_OK); // a handle must not cross a fork
    std::vector<pid_t> children;
    for (uint32_t i = 0; i <= kReaders; i++) {
        const pid_t child = fork();
        ASSERT_GE(child, 0);
        if (child == 0) read_until_stopped(seed + i);
        children.push_back(child);
    }
    ASSERT_EQ(rhumb_test::open_index(path_, false, &index, RHUMB_DURABILITY_INTERVAL), RHUMB_OK);
    const uint64_t rounds = iteration_count(6);
    for (uint64_t round = 1; round <= rounds && !HasFailure(); round++) {
        ASSERT_NO_FATAL_FAILURE(replace_all(index, round));
        rhumb_compact_options options;
        rhumb_compact_options_init(&options, sizeof options);
        options.shrink = round % 2 == 0;
        ASSERT_EQ(rhumb_index_compact(index, &options, nullptr, 0), RHUMB_OK) << rhumb_error_last()->message;
        shared_->generation_finished = round;
        if (round == rounds / 2) {
            // Kills one of them while it pins a version.
            ASSERT_EQ(kill(children.back(), SIGKILL), 0);
            ASSERT_EQ(waitpid(children.back(), nullptr, 0), children.back());
            children.pop_back();
        }
    }
    // On a busy machine the readers may have run little: each of them still has a newer version to refresh to.
    wait_for([&] { return shared_->refresh_count > rounds / 2; });
    shared_->stop = true;
    for (const pid_t child : children) {
        int state = 0;
        ASSERT_EQ(waitpid(child, &state, 0), child);
        EXPECT_TRUE(WIFEXITED(state) && WEXITSTATUS(state) == kNothing)
            << "a reader ended with " << state << ", seed " << seed;
    }
    // All space is released without another compaction.
    wait_for([&] { return allocated_bytes() <= fresh_bytes * 3 / 2; });
    EXPECT_LE(allocated_bytes(), fresh_bytes * 3 / 2);
    printf("%llu compactions, %llu searches, %llu refreshes\n", static_cast<unsigned long long>(rounds),
           static_cast<unsigned long long>(shared_->search_count.load()),
           static_cast<unsigned long long>(shared_->refresh_count.load()));
    EXPECT_GT(shared_->refresh_count, rounds / 2);
    rhumb_verify_report report;
    EXPECT_EQ(rhumb_test::verify_index(index, &report), RHUMB_OK) << report.first_error;
    ASSERT_EQ(index.close(), RHUMB_OK);
}

// A block is released once two versions do not use it, so moving it in the last version would be too late.
TEST_F(CompactReaders, AReaderThatLeavesDuringTheMoveLetsTheFileShrinkFully) {
    static Index reader;
    static int checkpoint_count;
    Index index;
    IndexShape shape;
    shape.dim = kDim;
    ASSERT_EQ(rhumb_test::create_index(path_, shape, &index, RHUMB_DURABILITY_INTERVAL), RHUMB_OK);
    ASSERT_NO_FATAL_FAILURE(replace_all(index, 0));
    rhumb_compact_options options;
    rhumb_compact_options_init(&options, sizeof options);
    options.shrink = true;
    ASSERT_EQ(rhumb_index_compact(index, &options, nullptr, 0), RHUMB_OK) << rhumb_error_last()->message;
    const uint64_t fresh_bytes = allocated_bytes();
    for (int leaves_after = 1; leaves_after <= 4; leaves_after++) {
        ASSERT_EQ(rhumb_test::open_index(path_, true, &reader), RHUMB_OK);
        for (uint64_t key = 0; key < 900; key++) { // fewer than a compaction would begin at by itself
            ASSERT_EQ(rhumb_index_upsert(index, key, vector_of(key, leaves_after).data()), RHUMB_OK);
        }
        ASSERT_EQ(rhumb_index_checkpoint(index), RHUMB_OK);
        checkpoint_count = -leaves_after;
        rhumb_log_set(
            [](void *, rhumb_log_level, const char *message) {
                if (strstr(message, "checkpoint made") != nullptr && ++checkpoint_count == 0) (void)reader.close();
            },
            nullptr, RHUMB_LOG_INFO);
        ASSERT_EQ(rhumb_index_compact(index, &options, nullptr, 0), RHUMB_OK) << rhumb_error_last()->message;
        rhumb_log_set(nullptr, nullptr, RHUMB_LOG_INFO);
        ASSERT_GE(checkpoint_count, 0);
        printf("left after %d: %llu, fresh %llu\n", leaves_after, static_cast<unsigned long long>(allocated_bytes()),
               static_cast<unsigned long long>(fresh_bytes));
        EXPECT_LE(allocated_bytes(), fresh_bytes + 2 * 65536);
    }
    ASSERT_EQ(index.close(), RHUMB_OK);
}

// A failure to release space is not reported to the caller, so the library retries by itself.
TEST_F(CompactReaders, SpaceThatCouldNotBePunchedAtOnceIsReleasedLater) {
    rhumb__io_backend_set_default(&rhumb_test::io_fault_backend);
    Index index, reader;
    IndexShape shape;
    shape.dim = kDim;
    ASSERT_EQ(rhumb_test::create_index(path_, shape, &index, RHUMB_DURABILITY_INTERVAL), RHUMB_OK);
    ASSERT_NO_FATAL_FAILURE(replace_all(index, 0));
    ASSERT_EQ(rhumb_index_checkpoint(index), RHUMB_OK);
    ASSERT_EQ(rhumb_test::open_index(path_, true, &reader), RHUMB_OK);
    ASSERT_EQ(rhumb_index_compact(index, nullptr, nullptr, 0), RHUMB_OK) << rhumb_error_last()->message;
    const uint64_t pinned_bytes = allocated_bytes();
    rhumb_test::IoFault fault;
    fault.call_number = 1;
    fault.persistent = true;
    fault.calls = rhumb_test::io_call_bit(rhumb_test::IoCall::kPunch);
    rhumb_test::io_fault_arm(fault);
    ASSERT_EQ(reader.close(), RHUMB_OK);
    wait_for([&] { return allocated_bytes() < pinned_bytes || rhumb_test::io_fault_call_count() >= 3; });
    EXPECT_EQ(rhumb_test::io_fault_hit(), rhumb_test::IoCall::kPunch);
    rhumb_test::io_fault_disarm();
    wait_for([&] { return allocated_bytes() <= pinned_bytes * 2 / 3; });
    EXPECT_LE(allocated_bytes(), pinned_bytes * 2 / 3);
    ASSERT_EQ(index.close(), RHUMB_OK);
    rhumb__io_backend_set_default(nullptr);
}

} // namespace
} // namespace fault_test
