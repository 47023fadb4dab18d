// Goal: a whole index runs on the simulated disk, and a power cut at any moment of a short life leaves one that opens,
// verifies, and holds a prefix of the operations with everything in it that a checkpoint, or the close, had promised.
// Method: one workload, a crash image after every entry of its history, under each tear (RHUMB_SEED).
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <random>

#include "tests/support/io_sim.h"
#include "tests/support/oracle.h"
#include "tests/support/seed.h"
#include "tests/support/small_index.h"

namespace {

using namespace rhumb_test;

constexpr const char *kPath = "/sim/a.rhumb";
constexpr uint32_t kDim = 16;

// From this position of the history on, at least this many operations are promised.
struct Promise {
    uint64_t position;
    uint64_t operation_count;
};

class SimIndex : public ::testing::Test {
  protected:
    void SetUp() override {
        sim_reset();
        rhumb__io_backend_set_default(&io_sim_backend);
    }
    void TearDown() override {
        rhumb__io_backend_set_default(nullptr);
        EXPECT_EQ(sim_violation(), "");
    }

    void promise() { promises_.push_back({sim_position(), oracle_.count()}); }

    void live() {
        Index index;
        IndexShape shape;
        shape.dim = kDim;
        ASSERT_EQ(create_index(kPath, shape, &index), RHUMB_OK);
        promise();
        for (uint64_t i = 0; i < 120; i++) {
            oracle_.insert(vectors_.key(i), vectors_.vector(i));
            ASSERT_EQ(rhumb_index_insert(index, vectors_.key(i), vectors_.vector(i).data()), RHUMB_OK);
            if (i % 7 == 6) {
                oracle_.erase(vectors_.key(i - 3));
                ASSERT_EQ(rhumb_index_delete(index, vectors_.key(i - 3)), RHUMB_OK);
            }
            if (i % 5 == 4) {
                oracle_.upsert(vectors_.key(i - 4), vectors_.vector(1000 + i));
                ASSERT_EQ(rhumb_index_upsert(index, vectors_.key(i - 4), vectors_.vector(1000 + i).data()), RHUMB_OK);
            }
            if (i % 40 == 29) {
                ASSERT_EQ(rhumb_index_checkpoint(index), RHUMB_OK);
                promise();
            }
        }
        ASSERT_EQ(index.close(), RHUMB_OK);
        promise();
    }

    // Opens what is on the disk and compares it with what was promised at `position`.
    void judge(uint64_t position) {
        Oracle::Prefix low = {0};
        bool created = false;
        for (const Promise &promise : promises_) {
            if (promise.position > position) break;
            created = true;
            low[0] = promise.operation_count;
        }
        Index index;
        const rhumb_status status = open_index(kPath, false, &index);
        if (status != RHUMB_OK) {
            ASSERT_FALSE(created) << rhumb_error_last()->message;
            // What an unfinished creation has left has another name.
            ASSERT_EQ(status, RHUMB_E_NOTFOUND) << rhumb_error_last()->message;
            not_created_count_++;
            return;
        }
        rhumb_verify_report report;
        ASSERT_EQ(verify_index(index, &report), RHUMB_OK) << report.first_error;
        Oracle::Prefix found;
        ASSERT_EQ(oracle_.find_prefix(index, low, oracle_.counts(), &found, 1), "");
        ASSERT_EQ(index.close(), RHUMB_OK);
    }

    Vectors vectors_{kDim, 11};
    Oracle oracle_{kDim, RHUMB_METRIC_L2};
    std::vector<Promise> promises_;
    uint64_t not_created_count_ = 0;
};

TEST_F(SimIndex, ComesBackAfterAPowerCutAtAnyMoment) {
    const uint64_t seed = choose_seed();
    live();
    SimRecording recording = sim_recording();
    ASSERT_GT(recording.size(), 20u);
    for (uint64_t at = 0; at <= recording.size(); at++) {
        for (const SimTear tear :
             {SimTear::kAllLost, SimTear::kAllKept, SimTear::kInOrder, SimTear::kWholeWrites, SimTear::kSectors}) {
            sim_restore(recording.crash(at, seed + at, tear));
            judge(at);
            ASSERT_FALSE(HasFailure()) << "after " << recording.describe(at) << ", tear: " << sim_tear_name(tear);
        }
    }
    EXPECT_GT(not_created_count_, 0u);
}

// Shows that the test above can fail: the disk of a moment before a promise does not keep it.
TEST_F(SimIndex, AnEarlierDiskDoesNotKeepALaterPromise) {
    live();
    const Promise &last = promises_.back();
    ASSERT_LT(promises_[1].operation_count, last.operation_count);
    sim_restore(sim_crash(promises_[1].position, 1, SimTear::kAllLost));
    Index index;
    ASSERT_EQ(open_index(kPath, false, &index), RHUMB_OK);
    Oracle::Prefix found;
    EXPECT_NE(oracle_.find_prefix(index, {last.operation_count}, oracle_.counts(), &found), "");
    EXPECT_EQ(oracle_.find_prefix(index, {promises_[1].operation_count}, oracle_.counts(), &found), "");
    ASSERT_EQ(index.close(), RHUMB_OK);
}

} // namespace
