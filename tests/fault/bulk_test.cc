// Goal: a batch that is built in bulk is whole or absent, whatever happens while it is planned, claimed and linked: no
// memory, a process that is killed, a cut of power. Method: a batch of known vectors into an empty index; requests for
// memory refused, kills at random moments, and disks as cuts may have left them after each change.
#include "tests/support/fault_test_support.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "tests/support/io_sim.h"

extern "C" {
#include "api/bulk.h"
#include "base/alloc.h"
}

namespace fault_test {
namespace {

constexpr uint64_t kCount = 4200; // more than are inserted one by one
constexpr uint32_t kDim = 8;

class Bulk : public ::testing::Test {
  protected:
    ~Bulk() override {
        rhumb__alloc_fail_after(0, false);
        rhumb__io_backend_set_default(nullptr);
    }

    static void create(const std::string &path, Index *index) {
        rhumb_open_options open;
        rhumb_open_options_init(&open, sizeof open);
        rhumb_index_options options;
        rhumb_index_options_init(&options, sizeof options);
        options.dim = kDim;
        options.M = 4;
        options.ef_construction = 4;
        options.codes = RHUMB_CODES_8BIT;
        options.open = &open;
        rhumb_index *created = nullptr;
        ASSERT_EQ(rhumb_index_create(path.c_str(), &options, &created), RHUMB_OK) << rhumb_error_last()->message;
        *index = Index(created);
        rhumb__build_way way = RHUMB__BUILD_ONE_BY_ONE;
        ASSERT_EQ(rhumb__index_build_way(&options, kCount, &way), RHUMB_OK);
        ASSERT_EQ(way, RHUMB__BUILD_AS_BATCH);
    }

    rhumb_status insert(rhumb_index *index, uint32_t thread_count, size_t *inserted) const {
        rhumb_batch_options options;
        rhumb_batch_options_init(&options, sizeof options);
        options.thread_count = thread_count;
        return rhumb_index_insert_batch(index, keys_.data(), rows_.data(), kCount, &options, inserted);
    }

    // The index has `count` vectors, those of the batch from the first on.
    void expect_whole(rhumb_index *index, uint64_t count) const {
        ASSERT_EQ(rhumb_index_count(index), count);
        rhumb_verify_report report;
        ASSERT_EQ(rhumb_test::verify_index(index, &report), RHUMB_OK) << report.first_error;
        ASSERT_EQ(report.unreachable_count, 0u);
        for (const uint64_t i : {UINT64_C(0), count / 2, count - 1}) {
            if (count == 0) break;
            std::vector<float> vector(kDim);
            ASSERT_EQ(rhumb_index_get_vector(index, keys_[i], vector.data()), RHUMB_OK);
            ASSERT_EQ(vector, vectors_.vector(i));
        }
    }

    // Opens what a crash has left. It has all or nothing; with `promised`, all.
    void judge(const std::string &path, bool promised) const {
        Index index;
        ASSERT_EQ(rhumb_test::open_index(path, false, &index), RHUMB_OK) << rhumb_error_last()->message;
        ASSERT_EQ(rhumb_index_wait_idle(index), RHUMB_OK) << rhumb_error_last()->message;
        const uint64_t count = rhumb_index_count(index);
        ASSERT_TRUE(count == kCount || (count == 0 && !promised)) << count;
        ASSERT_NO_FATAL_FAILURE(expect_whole(index, count));
        ASSERT_EQ(index.close(), RHUMB_OK) << rhumb_error_last()->message;
    }

    ScratchDirectory directory_;
    std::string path_ = directory_.file("bulk.rhumb");
    Vectors vectors_{kDim, 5};
    std::vector<uint64_t> keys_ = vectors_.keys(0, kCount);
    std::vector<float> rows_ = vectors_.vectors(0, kCount);
};

TEST_F(Bulk, WithoutMemoryInsertsWhatItReports) {
    uint64_t failed_count = 0;
    uint64_t met_count = 0;
    std::mt19937_64 random(choose_seed());
    const uint64_t stride = rhumb_test::kSanitized ? 120 : 40;
    for (const bool from_then_on : {true, false}) {
        for (uint64_t n = 1 + random() % stride;; n += 1 + random() % stride) {
            SCOPED_TRACE("request " + std::to_string(n) + (from_then_on ? " and all later" : ""));
            ASSERT_LT(n, 3000u);
            Index index;
            ASSERT_NO_FATAL_FAILURE(create(path_, &index));
            size_t inserted = 0;
            rhumb__alloc_fail_after(n, from_then_on);
            const rhumb_status status = insert(index, 1, &inserted);
            const bool met = rhumb__alloc_request_count() >= n;
            rhumb__alloc_fail_after(0, false);
            ASSERT_TRUE(status == RHUMB_OK ? inserted == kCount : status == RHUMB_E_NOMEM)
                << rhumb_error_last()->message;
            ASSERT_TRUE(status == RHUMB_OK || inserted == 0);
            ASSERT_NO_FATAL_FAILURE(expect_whole(index, inserted));
            ASSERT_EQ(index.close(), RHUMB_OK);
            rhumb_test::remove_index(path_);
            failed_count += status != RHUMB_OK;
            met_count += met;
            if (!met) break;
        }
    }
    EXPECT_GE(failed_count, 2u);
    EXPECT_GT(met_count, failed_count) << "without memory for a plan, vectors are inserted one by one";
}

TEST_F(Bulk, KilledLeavesAllOrNothing) {
    std::mt19937_64 random(choose_seed());
    const uint64_t rounds = iteration_count(8);
    for (uint64_t round = 0; round < rounds; round++) {
        SCOPED_TRACE("round " + std::to_string(round));
        int ends[2];
        ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
        const pid_t child = fork();
        ASSERT_GE(child, 0);
        if (child == 0) {
            Index index;
            create(path_, &index);
            if (HasFailure() || write(ends[1], "c", 1) != 1) _exit(2);
            if (insert(index, 2, nullptr) != RHUMB_OK || write(ends[1], "i", 1) != 1) _exit(3);
            for (;;) pause();
        }
        close(ends[1]);
        char said[2] = {0, 0};
        ASSERT_EQ(read(ends[0], said, 1), 1);
        const timespec pause = {0, static_cast<long>(random() % 120000000)};
        nanosleep(&pause, nullptr);
        kill(child, SIGKILL);
        int state = 0;
        ASSERT_EQ(waitpid(child, &state, 0), child);
        ASSERT_TRUE(WIFSIGNALED(state)) << "the child ended by itself with " << WEXITSTATUS(state);
        const bool promised = read(ends[0], said + 1, 1) == 1;
        close(ends[0]);
        ASSERT_NO_FATAL_FAILURE(judge(path_, promised));
        rhumb_test::remove_index(path_);
    }
}

TEST_F(Bulk, CutOffThePowerLeavesAllOrNothing) {
    const std::string path = "/sim/bulk.rhumb";
    std::mt19937_64 random(choose_seed());
    rhumb_test::sim_reset();
    rhumb__io_backend_set_default(&rhumb_test::io_sim_backend);
    Index index;
    ASSERT_NO_FATAL_FAILURE(create(path, &index));
    const uint64_t before = rhumb_test::sim_position();
    ASSERT_EQ(insert(index, 2, nullptr), RHUMB_OK) << rhumb_error_last()->message;
    const uint64_t promised = rhumb_test::sim_position();
    ASSERT_EQ(index.close(), RHUMB_OK);
    rhumb_test::SimRecording recording = rhumb_test::sim_recording();
    const uint64_t stride = (recording.size() - before) / (rhumb_test::kSanitized ? 8 : 40) + 1;
    for (uint64_t at = before; at <= recording.size(); at += at < promised ? 1 : stride) {
        rhumb_test::sim_restore(recording.crash(at, random(), rhumb_test::SimTear::kAny));
        ASSERT_NO_FATAL_FAILURE(judge(path, at >= promised)) << "a cut after " << recording.describe(at);
    }
    EXPECT_EQ(rhumb_test::sim_violation(), "");
}

} // namespace
} // namespace fault_test
