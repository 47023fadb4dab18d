// Goal: a sync that fails once, after which the kernel reports success, loses nothing that was acknowledged. The
// operation that met it fails, the handle writes no more and continues to answer; what is acknowledged after the index
// has been opened again is not lost, although until then the page cache shows bytes that no later sync will write.
//
// Method: the simulated disk (tests/support/io_sim.h) lies at each sync of a scripted life in turn, of the log's and
// the index's; afterwards the index is opened, used, and the power is cut: at each moment after the lie, or at some.
#include <gtest/gtest.h>

#include <functional>
#include <random>

#include "tests/support/fault_test_support.h"
#include "tests/support/index_life.h"
#include "tests/support/io_sim.h"

namespace fault_test {
namespace {

using rhumb_test::IndexLife;
using rhumb_test::judge_handle;
using rhumb_test::LifeBounds;
using rhumb_test::Oracle;
using rhumb_test::SimRecording;
using rhumb_test::SimTear;

constexpr const char *kPath = "/sim/lie.rhumb";

using Step = std::function<rhumb_status(IndexLife *)>;

// The operations before and during the lie: every kind, with the log new, filled, cut, found and stale.
std::vector<Step> script(const rhumb_open_options &options) {
    std::vector<Step> steps;
    steps.push_back([options](IndexLife *life) { return life->create(options); });
    for (uint64_t round = 0; round < 2; round++) {
        const uint64_t first = 10 * round;
        for (uint64_t id = first; id < first + 4; id++)
            steps.push_back([id](IndexLife *life) { return life->insert(id); });
        steps.push_back([first](IndexLife *life) { return life->upsert(first + 1); });
        steps.push_back([first](IndexLife *life) { return life->batch(100 + first, 4, false); });
        steps.push_back([](IndexLife *life) { return life->sync(); });
        steps.push_back([](IndexLife *life) { return life->checkpoint(); });
        steps.push_back([first](IndexLife *life) { return life->erase(first); });
        steps.push_back([first](IndexLife *life) { return life->batch(200 + first, 3, true); });
        steps.push_back([](IndexLife *life) { return life->sync(); });
        steps.push_back([first](IndexLife *life) { return life->insert(first); });
        steps.push_back([](IndexLife *life) { return life->close(); });
        steps.push_back([options](IndexLife *life) { return life->open(options); });
    }
    steps.push_back([](IndexLife *life) { return life->insert(40); });
    steps.push_back([](IndexLife *life) { return life->close(); });
    return steps;
}

struct Case {
    const char *name;
    rhumb_durability durability;
    const char *path_end; // whose syncs are counted
    bool survivors;       // some of what was not synced reaches the disk all the same
};

class Lies : public ::testing::Test {
  protected:
    void SetUp() override {
        seed_ = choose_seed();
        rhumb__io_backend_set_default(&rhumb_test::io_sim_backend);
    }
    void TearDown() override {
        rhumb__io_backend_set_default(nullptr);
        EXPECT_EQ(rhumb_test::sim_violation(), "");
    }

    // The handle has met the lie: no call that changes anything succeeds, and searches do.
    void expect_refusals(IndexLife *life, bool log_lied) {
        ASSERT_EQ(life->insert(70), RHUMB_E_FATAL);
        ASSERT_EQ(life->upsert(1), RHUMB_E_FATAL);
        ASSERT_EQ(life->erase(1), RHUMB_E_FATAL);
        ASSERT_EQ(life->batch(300, 2, false), RHUMB_E_FATAL);
        ASSERT_EQ(life->batch(300, 2, true), RHUMB_E_FATAL);
        ASSERT_EQ(life->checkpoint(), RHUMB_E_FATAL);
        // When the lie was the index's, the log may still be valid.
        const rhumb_status synced = life->sync();
        ASSERT_TRUE(synced == RHUMB_E_FATAL || (synced == RHUMB_OK && !log_lied)) << synced;
        const LifeBounds bounds = life->bounds(rhumb_test::sim_position());
        Oracle::Prefix shown;
        ASSERT_EQ(judge_handle(life, life->index(), life->returned_counts(), bounds.high, &shown, &missing_count_), "");
    }

    // Judges what a power cut at `at` leaves.
    void judge_cut(const IndexLife &past, SimRecording *recording, uint64_t at, uint64_t seed) {
        rhumb_test::sim_restore(recording->crash(at, seed, SimTear::kAny));
        IndexLife life(past);
        const LifeBounds bounds = past.bounds(at);
        const rhumb_status status = life.open(IndexLife::fill_options(RHUMB_DURABILITY_FULL));
        disk_count_++;
        if (status != RHUMB_OK) {
            ASSERT_FALSE(bounds.created) << rhumb_error_last()->message;
            return;
        }
        Oracle::Prefix found;
        ASSERT_EQ(judge_handle(&life, life.index(), bounds.low, bounds.high, &found, &missing_count_), "");
        ASSERT_EQ(rhumb_index_wait_idle(life.index()), RHUMB_OK);
        ASSERT_EQ(judge_handle(&life, life.index(), found, found, &found, &missing_count_), "") << "once linked";
        rhumb_verify_report report;
        ASSERT_EQ(rhumb_test::verify_index(life.index(), &report), RHUMB_OK) << report.first_error;
        ASSERT_EQ(report.unreachable_count, 0u);
        ASSERT_EQ(missing_count_, 0u);
        ASSERT_EQ(life.close(), RHUMB_OK) << rhumb_error_last()->message;
    }

    // Opens what the page cache shows after the lie, continues with it, and cuts the power.
    void go_on(IndexLife *life, uint64_t variant) {
        const LifeBounds bounds = life->bounds(rhumb_test::sim_position());
        // After every other lie in another mode; not in mode none, where nothing is acknowledged before a checkpoint.
        ASSERT_EQ(
            life->open(IndexLife::fill_options(variant % 2 == 0 ? RHUMB_DURABILITY_FULL : RHUMB_DURABILITY_INTERVAL)),
            RHUMB_OK)
            << rhumb_error_last()->message;
        Oracle::Prefix found;
        ASSERT_EQ(judge_handle(life, life->index(), bounds.low, bounds.high, &found, &missing_count_), "")
            << "through the page cache";
        life->resume(found, false);
        const uint64_t opened_at = rhumb_test::sim_position();
        if (variant % 7 == 0) {
            // Without any operation: closing must not remove a log that is still needed.
            ASSERT_EQ(life->close(), RHUMB_OK) << rhumb_error_last()->message;
            ASSERT_EQ(life->open(IndexLife::fill_options(RHUMB_DURABILITY_FULL)), RHUMB_OK);
        }
        if (variant % 3 == 0) {
            ASSERT_EQ(life->checkpoint(), RHUMB_OK) << rhumb_error_last()->message;
        }
        if (variant % 5 == 0) {
            ASSERT_EQ(life->sync(), RHUMB_OK) << rhumb_error_last()->message;
        }
        for (uint64_t id = 500; id < 503; id++) ASSERT_EQ(life->insert(id), RHUMB_OK) << rhumb_error_last()->message;
        ASSERT_EQ(life->sync(), RHUMB_OK) << rhumb_error_last()->message;
        const uint64_t acknowledged_at = rhumb_test::sim_position();
        if (variant % 2 == 0) {
            ASSERT_EQ(life->checkpoint(), RHUMB_OK) << rhumb_error_last()->message;
            ASSERT_EQ(life->erase(501), RHUMB_OK);
        }
        ASSERT_EQ(life->close(), RHUMB_OK) << rhumb_error_last()->message;
        ASSERT_EQ(life->problem(), "");

        SimRecording recording = rhumb_test::sim_recording();
        ASSERT_EQ(life->bounds(acknowledged_at).low[0], found[0] + 3);
        const uint64_t stride = full_run() ? 1 : 1 + (recording.size() - opened_at) / 8;
        for (uint64_t at = opened_at; at <= recording.size(); at += stride) {
            ASSERT_NO_FATAL_FAILURE(judge_cut(*life, &recording, at, seed_ + at))
                << "a cut after " << recording.describe(at) << ", seed " << seed_ + at;
        }
        ASSERT_NO_FATAL_FAILURE(judge_cut(*life, &recording, acknowledged_at, seed_)) << "a cut at once";
    }

    uint64_t seed_ = 0;
    uint64_t disk_count_ = 0;
    uint64_t missing_count_ = 0; // in the last check of a handle
};

class LyingSync : public Lies, public ::testing::WithParamInterface<Case> {};

TEST_P(LyingSync, LosesNothingThatWasAcknowledged) {
    const Case &c = GetParam();
    const std::vector<Step> steps = script(IndexLife::fill_options(c.durability));
    uint64_t lie_count = 0;
    for (uint64_t number = 1;; number++) {
        SCOPED_TRACE("sync " + std::to_string(number));
        rhumb_test::sim_reset();
        IndexLife life(kPath, seed_, rhumb_test::sim_position);
        rhumb_test::SimLie lie;
        lie.sync_number = number;
        lie.path_end = c.path_end;
        lie.survivors_seed = c.survivors ? seed_ + number : 0;
        rhumb_test::sim_lie_arm(lie);
        rhumb_status status = RHUMB_OK;
        size_t at = 0;
        for (; at < steps.size() && status == RHUMB_OK; at++) {
            status = steps[at](&life);
            if (rhumb_test::sim_lie_position() != 0) break;
        }
        if (rhumb_test::sim_lie_position() == 0) {
            ASSERT_EQ(status, RHUMB_OK) << rhumb_error_last()->message;
            break;
        }
        lie_count++;
        if (status == RHUMB_OK) {
            // A close, when its checkpoint was on the disk and only the log remained to be removed, which stays then.
            ASSERT_EQ(life.index(), nullptr);
            ASSERT_TRUE(rhumb_test::sim_file_exists(std::string(kPath) + "-wal"));
        } else {
            ASSERT_EQ(status, RHUMB_E_FATAL) << "step " << at;
            ASSERT_EQ(rhumb_error_last()->status, RHUMB_E_FATAL);
        }
        if (at == 0) {
            // The creation: there is no file, and the next attempt succeeds.
            ASSERT_FALSE(rhumb_test::sim_file_exists(kPath));
            ASSERT_EQ(steps[0](&life), RHUMB_OK) << rhumb_error_last()->message;
        } else if (life.index() != nullptr) {
            ASSERT_NO_FATAL_FAILURE(expect_refusals(&life, std::string(c.path_end) == "-wal"));
        }
        (void)life.close();
        ASSERT_NO_FATAL_FAILURE(go_on(&life, number));
    }
    EXPECT_GE(lie_count, 5u);
    printf("%llu lies, %llu disks\n", static_cast<unsigned long long>(lie_count),
           static_cast<unsigned long long>(disk_count_));
}

// Any operations, any modes, and checkpoints in the background that may be the ones to meet the lie.
TEST_F(Lies, LoseNothingInARandomLife) {
    std::mt19937_64 random(seed_);
    uint64_t lie_count = 0;
    for (uint64_t done = 0; done < iteration_count(30); done++) {
        SCOPED_TRACE("life " + std::to_string(done));
        rhumb_test::sim_reset();
        IndexLife life(kPath, random(), rhumb_test::sim_position);
        rhumb_open_options options = IndexLife::fill_options(static_cast<rhumb_durability>(random() % 3));
        if (random() % 2 == 0) options.checkpoint_log_bytes = 700;
        ASSERT_EQ(life.create(options), RHUMB_OK);
        rhumb_test::SimLie lie;
        lie.sync_number = 1 + random() % 60;
        lie.survivors_seed = random() % 2 == 0 ? 0 : random();
        rhumb_test::sim_lie_arm(lie);
        rhumb_status status = RHUMB_OK;
        for (uint64_t i = 0; i < 100 && status == RHUMB_OK; i++) {
            status = random() % 12 == 0 ? life.close() : life.step(&random, 30);
            if (!life.has_handle() && status == RHUMB_OK) status = life.open_somehow(&random);
        }
        lie_count += rhumb_test::sim_lie_position() != 0;
        ASSERT_TRUE(status == RHUMB_OK || (status == RHUMB_E_FATAL && rhumb_test::sim_lie_position() != 0))
            << rhumb_status_name(status) << ": " << rhumb_error_last()->message;
        (void)life.close();
        rhumb_test::sim_lie_arm({});
        ASSERT_NO_FATAL_FAILURE(go_on(&life, random()));
    }
    EXPECT_GT(lie_count, 0u);
    printf("%llu lies, %llu disks\n", static_cast<unsigned long long>(lie_count),
           static_cast<unsigned long long>(disk_count_));
}

INSTANTIATE_TEST_SUITE_P(Syncs, LyingSync,
                         ::testing::Values(Case{"LogFull", RHUMB_DURABILITY_FULL, "-wal", false},
                                           Case{"LogFullPartly", RHUMB_DURABILITY_FULL, "-wal", true},
                                           Case{"IndexFull", RHUMB_DURABILITY_FULL, ".rhumb", false},
                                           Case{"IndexFullPartly", RHUMB_DURABILITY_FULL, ".rhumb", true},
                                           Case{"IndexNone", RHUMB_DURABILITY_NONE, ".rhumb", false},
                                           Case{"IndexNonePartly", RHUMB_DURABILITY_NONE, ".rhumb", true}),
                         [](const ::testing::TestParamInfo<Case> &info) { return info.param.name; });

} // namespace
} // namespace fault_test
