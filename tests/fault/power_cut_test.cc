// Goal: after a power cut, the index opens, holds exactly a prefix of the operations with everything in it that was
// promised by then, answers searches before and after it has been linked, and passes verification; a reader sees a
// checkpoint, which is such a prefix too. The same holds for cuts of the recovery, and of the recovery from that.
//
// Method: an index lives on the simulated disk (tests/support/io_sim.h), and an oracle records its operations.
// Afterwards disks are rebuilt as cuts at many places of its history may have left them: 1,500 of them, or as many as
// RHUMB_ITERS says.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <random>
#include <thread>

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

constexpr const char *kPath = "/sim/cut.rhumb";
constexpr const char *kLogPath = "/sim/cut.rhumb-wal";
constexpr uint64_t kIdCount = 40;

class PowerCut : public ::testing::Test {
  protected:
    void SetUp() override {
        rhumb_test::sim_reset();
        rhumb__io_backend_set_default(&rhumb_test::io_sim_backend);
    }
    void TearDown() override {
        rhumb__io_backend_set_default(nullptr);
        EXPECT_EQ(rhumb_test::sim_violation(), "");
        printf(
            "%llu disks: %llu with an index, %llu before there was one, %llu of its creation; %llu vectors to link\n",
            static_cast<unsigned long long>(opened_count_ + absent_count_ + unfinished_count_),
            static_cast<unsigned long long>(opened_count_), static_cast<unsigned long long>(absent_count_),
            static_cast<unsigned long long>(unfinished_count_), static_cast<unsigned long long>(unlinked_count_));
    }

    // The number of disks that a test checks, as its share of the whole.
    static uint64_t image_count(uint64_t percent) { return iteration_count(1500) * percent / 100; }

    // A disk that need not hold an index: it must then hold one of two things, and a new index can be made.
    void judge_absence(rhumb_status opened) {
        if (opened == RHUMB_E_NOTFOUND) {
            absent_count_++;
        } else {
            unfinished_count_++;
            ASSERT_TRUE(opened == RHUMB_E_NOT_AN_INDEX || opened == RHUMB_E_CORRUPT) << rhumb_error_last()->message;
            ASSERT_NE(std::string(rhumb_error_last()->message).find("creation was interrupted"), std::string::npos)
                << rhumb_error_last()->message;
        }
        IndexLife fresh(kPath, 1, rhumb_test::sim_position);
        if (opened != RHUMB_E_NOTFOUND) {
            ASSERT_EQ(fresh.create(IndexLife::fill_options(RHUMB_DURABILITY_FULL)), RHUMB_E_EXISTS);
            ASSERT_EQ(rhumb_test::io_sim_backend.remove(kPath), RHUMB_OK);
        }
        ASSERT_FALSE(rhumb_test::sim_file_exists(kLogPath)) << "a log of an index that is not there";
        ASSERT_EQ(fresh.create(IndexLife::fill_options(RHUMB_DURABILITY_FULL)), RHUMB_OK);
        ASSERT_EQ(fresh.close(), RHUMB_OK);
    }

    // A reader finds a checkpoint. A writer must find at least what it shows: raises `bounds->low` to that, and sets
    // `*lsn` to its last operation.
    void judge_reader(IndexLife *life, LifeBounds *bounds, uint64_t *lsn) {
        Index reader;
        const rhumb_status status = rhumb_test::open_index(kPath, true, &reader);
        if (status != RHUMB_OK) {
            ASSERT_FALSE(bounds->created) << rhumb_error_last()->message;
            return;
        }
        Oracle::Prefix shown;
        uint64_t missing_count = 0;
        ASSERT_EQ(judge_handle(life, reader, bounds->checkpoint, bounds->high, &shown, &missing_count), "")
            << "as a reader";
        for (size_t lane = 0; lane < shown.size(); lane++) bounds->low[lane] = std::max(bounds->low[lane], shown[lane]);
        *lsn = rhumb_index_lsn(reader);
        ASSERT_NO_FATAL_FAILURE(verify(reader, missing_count));
    }

    // No vector may be missing from searches, although lists are short and checkpoints are made during inserts.
    void verify(rhumb_index *index, uint64_t missing_count) {
        rhumb_verify_report report;
        ASSERT_EQ(rhumb_test::verify_index(index, &report), RHUMB_OK) << report.first_error;
        ASSERT_EQ(report.log_error_count, 0u);
        ASSERT_EQ(report.unreachable_count, 0u);
        ASSERT_EQ(missing_count, 0u);
    }

    // Opens for writing what the disk holds; leaves no handle in `life` if there need not be an index and is none.
    void judge_writer(IndexLife *life, const LifeBounds &bounds, std::mt19937_64 *random, Oracle::Prefix *found) {
        const rhumb_status status = life->open_somehow(random);
        if (status != RHUMB_OK) {
            ASSERT_FALSE(bounds.created) << rhumb_error_last()->message;
            judge_absence(status);
            return;
        }
        opened_count_++;
        rhumb_index_stats stats;
        ASSERT_EQ(rhumb_index_stats_get(life->index(), &stats, sizeof stats), RHUMB_OK);
        unlinked_count_ += stats.unlinked_count;
        uint64_t missing_count = 0;
        ASSERT_EQ(judge_handle(life, life->index(), bounds.low, bounds.high, found, &missing_count), "")
            << "as it was opened";
    }

    // Checks the rest of an opened index: once linked, verified and closed.
    void judge_whole(IndexLife *life, const Oracle::Prefix &found) {
        Oracle::Prefix again;
        ASSERT_EQ(rhumb_index_wait_idle(life->index()), RHUMB_OK) << rhumb_error_last()->message;
        uint64_t missing_count = 0;
        ASSERT_EQ(judge_handle(life, life->index(), found, found, &again, &missing_count), "") << "once linked";
        ASSERT_NO_FATAL_FAILURE(verify(life->index(), missing_count));
        ASSERT_EQ(life->close(), RHUMB_OK) << rhumb_error_last()->message;
        ASSERT_FALSE(rhumb_test::sim_file_exists(kLogPath)) << "the log of an index that was closed";
        Index reader;
        ASSERT_EQ(rhumb_test::open_index(kPath, true, &reader), RHUMB_OK) << rhumb_error_last()->message;
        ASSERT_EQ(judge_handle(life, reader, found, found, &again, &missing_count), "") << "closed and opened again";
    }

    // Judges the disk that a cut of `past` left, which must hold what `bounds` say.
    //
    // A writer must find at least what a reader was shown. To compare the shortest prefixes that fit the two would be
    // wrong: where an insertion and the deletion of the same key follow each other, the state after both is that from
    // before them, and its shortest prefix lies before a checkpoint made between them. So the writer's prefix is sought
    // from the reader's on, and their LSNs are compared.
    void judge(const IndexLife &past, LifeBounds bounds, std::mt19937_64 *random) {
        IndexLife life(past);
        uint64_t shown_lsn = 0;
        Oracle::Prefix found;
        ASSERT_NO_FATAL_FAILURE(judge_reader(&life, &bounds, &shown_lsn));
        ASSERT_NO_FATAL_FAILURE(judge_writer(&life, bounds, random, &found));
        if (life.index() == nullptr) return;
        ASSERT_LE(shown_lsn, rhumb_index_lsn(life.index())) << "a reader saw more";
        ASSERT_NO_FATAL_FAILURE(judge_whole(&life, found));
    }

    // Judges `count` disks of the recorded past, cut anywhere.
    void judge_cuts(const IndexLife &past, uint64_t count, std::mt19937_64 *random) {
        SimRecording recording = rhumb_test::sim_recording();
        std::vector<uint64_t> places;
        for (uint64_t i = 0; i < count; i++) places.push_back((*random)() % (recording.size() + 1));
        std::sort(places.begin(), places.end());
        for (const uint64_t at : places) judge_cut(past, &recording, at, SimTear::kAny, random);
    }

    void judge_cut(const IndexLife &past, SimRecording *recording, uint64_t at, SimTear tear, std::mt19937_64 *random) {
        if (HasFatalFailure()) return;
        const uint64_t seed = (*random)();
        rhumb_test::sim_restore(recording->crash(at, seed, tear));
        judge(past, past.bounds(at), random);
        if (HasFatalFailure())
            ADD_FAILURE() << "a cut after " << recording->describe(at) << ", tear: " << rhumb_test::sim_tear_name(tear)
                          << ", seed " << seed;
    }

    // Performs `step_count` random operations, with some closings in between.
    void live(IndexLife *life, uint64_t step_count, std::mt19937_64 *random) {
        for (uint64_t i = 0; i < step_count; i++) {
            ASSERT_EQ(life->step(random, kIdCount), RHUMB_OK) << rhumb_error_last()->message;
            if ((*random)() % 24 != 0) continue;
            ASSERT_EQ(life->close(), RHUMB_OK) << rhumb_error_last()->message;
            ASSERT_EQ(life->open_somehow(random), RHUMB_OK) << rhumb_error_last()->message;
        }
    }

    uint64_t opened_count_ = 0;
    uint64_t absent_count_ = 0;
    uint64_t unfinished_count_ = 0;
    uint64_t unlinked_count_ = 0;
};

// One of each kind of operation, in each state that the log can be in, cut after every single change of the disk.
TEST_F(PowerCut, LeavesAPrefixAfterEveryChangeOfAScriptedLife) {
    std::mt19937_64 random(choose_seed());
    const uint64_t share = image_count(40);
    for (const rhumb_durability durability :
         {RHUMB_DURABILITY_FULL, RHUMB_DURABILITY_INTERVAL, RHUMB_DURABILITY_NONE}) {
        rhumb_test::sim_reset();
        IndexLife life(kPath, random(), rhumb_test::sim_position);
        const rhumb_open_options options = IndexLife::fill_options(durability);
        ASSERT_EQ(life.create(options), RHUMB_OK) << rhumb_error_last()->message;
        for (uint64_t round = 0; round < 2; round++) {
            for (uint64_t id = 0; id < 6; id++) ASSERT_EQ(life.insert(10 * round + id), RHUMB_OK);
            ASSERT_EQ(life.upsert(10 * round + 1), RHUMB_OK);
            ASSERT_EQ(life.erase(10 * round + 2), RHUMB_OK);
            ASSERT_EQ(life.sync(), RHUMB_OK);
            ASSERT_EQ(life.batch(100 + 40 * round, 24, false), RHUMB_OK);
            ASSERT_EQ(life.checkpoint(), RHUMB_OK);
            ASSERT_EQ(life.insert(10 * round + 2), RHUMB_OK);
            ASSERT_EQ(life.batch(200 + 40 * round, 16, true), RHUMB_OK);
            ASSERT_EQ(life.batch(97 + 40 * round, 6, false), RHUMB_E_EXISTS);
            ASSERT_EQ(life.changes(98 + 40 * round, 12, IndexLife::Mix::kAll, false), RHUMB_OK);
            ASSERT_EQ(life.changes(110 + 40 * round, 6, IndexLife::Mix::kDeletes, false), RHUMB_OK);
            ASSERT_EQ(life.changes(112 + 40 * round, 8, IndexLife::Mix::kUpserts, true), RHUMB_OK);
            ASSERT_EQ(life.erase(10 * round), RHUMB_OK);
            ASSERT_EQ(life.sync(), RHUMB_OK);
            ASSERT_EQ(life.upsert(10 * round + 7), RHUMB_OK);
            ASSERT_EQ(life.close(), RHUMB_OK);
            ASSERT_EQ(life.open(options), RHUMB_OK);
        }
        ASSERT_EQ(life.close(), RHUMB_OK);
        ASSERT_EQ(life.problem(), "");
        SimRecording recording = rhumb_test::sim_recording();
        const uint64_t stride = 3 * recording.size() / (share + 1) + 1;
        for (uint64_t at = 0; at <= recording.size(); at += stride)
            judge_cut(life, &recording, at, SimTear::kAny, &random);
        // The remaining share of a long run goes to all kinds of tears at all places.
        for (uint64_t i = recording.size(); i < share / 3; i++)
            judge_cut(life, &recording, i % (recording.size() + 1), static_cast<SimTear>(i % 5), &random);
    }
}

// A batch of any kind is logged in one write, of which any part may reach the disk: then nothing of it has happened.
TEST_F(PowerCut, LeavesAllOfABatchOrNothing) {
    std::mt19937_64 random(choose_seed());
    IndexLife life(kPath, random(), rhumb_test::sim_position);
    ASSERT_EQ(life.create(IndexLife::fill_options(RHUMB_DURABILITY_FULL)), RHUMB_OK);
    ASSERT_EQ(life.insert(1), RHUMB_OK);
    const uint64_t before = rhumb_test::sim_position();
    ASSERT_EQ(life.batch(100, 40, false), RHUMB_OK);
    ASSERT_EQ(life.changes(120, 30, IndexLife::Mix::kUpserts, false), RHUMB_OK);
    ASSERT_EQ(life.changes(99, 30, IndexLife::Mix::kAll, false), RHUMB_OK);
    ASSERT_EQ(life.changes(110, 30, IndexLife::Mix::kDeletes, false), RHUMB_OK);
    const uint64_t after = rhumb_test::sim_position();
    ASSERT_EQ(life.close(), RHUMB_OK);
    SimRecording recording = rhumb_test::sim_recording();
    for (uint64_t at = before; at <= after; at++) {
        for (int i = 0; i < 6; i++) judge_cut(life, &recording, at, SimTear::kInOrder, &random);
    }
}

TEST_F(PowerCut, LeavesAPrefixAnywhereInARandomLife) {
    std::mt19937_64 random(choose_seed());
    for (uint64_t done = 0; done < image_count(40) && !HasFatalFailure(); done += 20) {
        rhumb_test::sim_reset();
        IndexLife life(kPath, random(), rhumb_test::sim_position);
        rhumb_open_options options = IndexLife::fill_options(static_cast<rhumb_durability>(random() % 3));
        if (random() % 2 == 0) options.checkpoint_log_bytes = 700;
        ASSERT_EQ(life.create(options), RHUMB_OK) << rhumb_error_last()->message;
        ASSERT_NO_FATAL_FAILURE(live(&life, 40 + random() % 160, &random));
        ASSERT_EQ(life.close(), RHUMB_OK);
        ASSERT_EQ(life.problem(), "");
        judge_cuts(life, 20, &random);
    }
}

// Compactions, with and without moving everything to the front of the file, with little else in between.
TEST_F(PowerCut, LeavesAPrefixAnywhereInALifeOfCompactions) {
    std::mt19937_64 random(choose_seed());
    for (uint64_t done = 0; done < image_count(20) && !HasFatalFailure(); done += 20) {
        rhumb_test::sim_reset();
        IndexLife life(kPath, random(), rhumb_test::sim_position);
        ASSERT_EQ(life.create(IndexLife::fill_options(static_cast<rhumb_durability>(random() % 3))), RHUMB_OK);
        for (uint64_t i = 0; i < 3; i++) {
            ASSERT_NO_FATAL_FAILURE(live(&life, random() % 60, &random));
            ASSERT_EQ(life.compact(random() % 2 == 0), RHUMB_OK) << rhumb_error_last()->message;
        }
        ASSERT_EQ(life.close(), RHUMB_OK);
        ASSERT_EQ(life.problem(), "");
        judge_cuts(life, 20, &random);
    }
}

// The power fails, returns, and fails again while the index is recovering or has just continued: three times.
TEST_F(PowerCut, LeavesAPrefixDuringNestedRecoveries) {
    std::mt19937_64 random(choose_seed());
    for (uint64_t done = 0; done < image_count(15); done += 3) {
        rhumb_test::sim_reset();
        auto life = std::make_unique<IndexLife>(kPath, random(), rhumb_test::sim_position);
        ASSERT_EQ(life->create(IndexLife::fill_options(static_cast<rhumb_durability>(random() % 3))), RHUMB_OK);
        ASSERT_NO_FATAL_FAILURE(live(life.get(), 10 + random() % 60, &random));
        if (random() % 2 == 0) {
            ASSERT_EQ(life->close(), RHUMB_OK);
        }
        for (uint64_t depth = 1; depth <= 3; depth++) {
            SimRecording recording = rhumb_test::sim_recording();
            const uint64_t at = random() % (recording.size() + 1);
            SCOPED_TRACE("cut " + std::to_string(depth) + " after " + recording.describe(at));
            auto next = std::make_unique<IndexLife>(*life);
            (void)life->close();
            rhumb_test::sim_restore(recording.crash(at, random(), SimTear::kAny));
            Oracle::Prefix found;
            ASSERT_NO_FATAL_FAILURE(judge_writer(next.get(), next->bounds(at), &random, &found));
            if (next->index() == nullptr) break;
            next->resume(found, true);
            if (depth == 3) {
                ASSERT_NO_FATAL_FAILURE(judge_whole(next.get(), found));
                break;
            }
            const uint64_t step_count = random() % 12;
            for (uint64_t i = 0; i < step_count; i++) ASSERT_EQ(next->step(&random, kIdCount), RHUMB_OK);
            if (random() % 2 == 0) {
                ASSERT_EQ(next->close(), RHUMB_OK) << rhumb_error_last()->message;
            }
            ASSERT_EQ(next->problem(), "");
            life = std::move(next);
        }
    }
}

// Three threads write during a checkpoint and a compaction: each must keep a prefix of its own operations.
TEST_F(PowerCut, LeavesAPrefixOfEachOfThreeWritingThreads) {
    std::mt19937_64 random(choose_seed());
    for (uint64_t done = 0; done < image_count(5); done += 25) {
        rhumb_test::sim_reset();
        IndexLife life(kPath, random(), rhumb_test::sim_position, 3);
        rhumb_open_options options = IndexLife::fill_options(RHUMB_DURABILITY_FULL);
        options.checkpoint_log_bytes = 2000;
        ASSERT_EQ(life.create(options), RHUMB_OK);
        std::vector<std::thread> threads;
        std::atomic<int> failed_count{0};
        for (uint32_t lane = 0; lane < 3; lane++) {
            threads.emplace_back([&, lane, seed = random()] {
                std::mt19937_64 own(seed);
                for (int i = 0; i < 60; i++) failed_count += life.step(&own, kIdCount, lane) != RHUMB_OK;
            });
        }
        ASSERT_EQ(life.checkpoint(), RHUMB_OK);
        ASSERT_EQ(life.compact(random() % 2 == 0), RHUMB_OK) << rhumb_error_last()->message;
        for (std::thread &thread : threads) thread.join();
        ASSERT_EQ(failed_count, 0);
        ASSERT_EQ(life.close(), RHUMB_OK);
        judge_cuts(life, 25, &random);
    }
}

// Shows that all this can fail: the disk of a moment before a promise does not keep it.
TEST_F(PowerCut, ThatLosesAPromiseIsDetected) {
    IndexLife life(kPath, 7, rhumb_test::sim_position);
    ASSERT_EQ(life.create(IndexLife::fill_options(RHUMB_DURABILITY_FULL)), RHUMB_OK);
    ASSERT_EQ(life.insert(1), RHUMB_OK);
    const uint64_t before = rhumb_test::sim_position();
    ASSERT_EQ(life.insert(2), RHUMB_OK);
    const LifeBounds bounds = life.bounds(rhumb_test::sim_position());
    ASSERT_EQ(bounds.low, Oracle::Prefix{2});
    SimRecording recording = rhumb_test::sim_recording();
    ASSERT_EQ(life.close(), RHUMB_OK);
    rhumb_test::sim_restore(recording.crash(before, 1, SimTear::kAllLost));
    ASSERT_EQ(life.open(IndexLife::fill_options(RHUMB_DURABILITY_FULL)), RHUMB_OK);
    Oracle::Prefix found;
    uint64_t missing_count = 0;
    EXPECT_NE(judge_handle(&life, life.index(), bounds.low, bounds.high, &found, &missing_count), "");
    EXPECT_EQ(judge_handle(&life, life.index(), {1}, bounds.high, &found, &missing_count), "");
    ASSERT_EQ(life.close(), RHUMB_OK);
}

// A checkpoint in the background may hold a key whose insertion was not promised, while the log already deletes it. A
// reader then sees the key, and a writer what there was before the key came.
TEST_F(PowerCut, MayLeaveADeletedKeyToReadersOnly) {
    std::mt19937_64 random(choose_seed());
    IndexLife life(kPath, 7, rhumb_test::sim_position);
    ASSERT_EQ(life.create(IndexLife::fill_options(RHUMB_DURABILITY_FULL)), RHUMB_OK);
    ASSERT_EQ(life.insert(1), RHUMB_OK);
    LifeBounds bounds = life.bounds(rhumb_test::sim_position());
    ASSERT_EQ(life.insert(2), RHUMB_OK);
    ASSERT_EQ(life.checkpoint(), RHUMB_OK);
    ASSERT_EQ(life.erase(2), RHUMB_OK);
    bounds.high = life.bounds(rhumb_test::sim_position()).high;
    ASSERT_EQ(bounds.low, Oracle::Prefix{1});
    ASSERT_EQ(bounds.high, Oracle::Prefix{3});
    SimRecording recording = rhumb_test::sim_recording();
    const uint64_t at = rhumb_test::sim_position();
    ASSERT_EQ(life.close(), RHUMB_OK);
    rhumb_test::sim_restore(recording.crash(at, 1, SimTear::kAllLost));
    judge(life, bounds, &random);
}

// Shows that a loss of what a reader has seen is detected although no call had promised to keep it.
TEST_F(PowerCut, ThatTakesWhatAReaderSawIsDetected) {
    IndexLife life(kPath, 7, rhumb_test::sim_position);
    ASSERT_EQ(life.create(IndexLife::fill_options(RHUMB_DURABILITY_FULL)), RHUMB_OK);
    ASSERT_EQ(life.insert(1), RHUMB_OK);
    const uint64_t before = rhumb_test::sim_position();
    LifeBounds bounds = life.bounds(before);
    ASSERT_EQ(life.insert(2), RHUMB_OK);
    ASSERT_EQ(life.checkpoint(), RHUMB_OK);
    bounds.high = life.bounds(rhumb_test::sim_position()).high;
    SimRecording recording = rhumb_test::sim_recording();
    ASSERT_EQ(life.close(), RHUMB_OK);
    uint64_t shown_lsn = 0;
    ASSERT_NO_FATAL_FAILURE(judge_reader(&life, &bounds, &shown_lsn));
    EXPECT_EQ(bounds.low, Oracle::Prefix{2});
    EXPECT_EQ(shown_lsn, 2u);
    rhumb_test::sim_restore(recording.crash(before, 1, SimTear::kAllLost));
    ASSERT_EQ(life.open(IndexLife::fill_options(RHUMB_DURABILITY_FULL)), RHUMB_OK);
    EXPECT_EQ(rhumb_index_lsn(life.index()), 1u);
    Oracle::Prefix found;
    uint64_t missing_count = 0;
    EXPECT_NE(judge_handle(&life, life.index(), bounds.low, bounds.high, &found, &missing_count), "");
    ASSERT_EQ(life.close(), RHUMB_OK);
}

} // namespace
} // namespace fault_test
