// Goal: a power cut while fused rows are renewed, at any moment, leaves rows, marks and lists that belong together, and
// everything that was promised. Method: an index whose rows are renewed again and again lives on the simulated disk;
// disks are rebuilt as cuts at many places may have left them, and verified.
#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "tests/support/fault_test_support.h"
#include "tests/support/io_sim.h"

namespace fault_test {
namespace {

using rhumb_test::SimRecording;
using rhumb_test::SimTear;

constexpr const char *kPath = "/sim/renewed.rhumb";
constexpr uint32_t kDim = 16;
constexpr uint64_t kCount = kSanitized ? 200 : 400;
constexpr uint64_t kRounds = 6, kChanges = 40;

// What had been acknowledged when so many changes had been made to the disk.
struct Promise {
    uint64_t position, lsn;
};

class RenewalCut : public ::testing::Test {
  protected:
    void SetUp() override {
        rhumb_test::sim_reset();
        rhumb__io_backend_set_default(&rhumb_test::io_sim_backend);
    }
    void TearDown() override {
        rhumb__io_backend_set_default(nullptr);
        EXPECT_EQ(rhumb_test::sim_violation(), "");
    }
    std::vector<float> random_vector() {
        std::vector<float> vector(kDim);
        for (float &component : vector) component = static_cast<float>(random_() % 2000) / 100;
        return vector;
    }
    void note(rhumb_index *index) { promises_.push_back({rhumb_test::sim_position(), rhumb_index_lsn(index)}); }

    void create(rhumb_index **index) {
        rhumb_open_options open_options;
        rhumb_open_options_init(&open_options, sizeof open_options);
        open_options.durability = RHUMB_DURABILITY_FULL;
        open_options.compact_dead_share = 1;
        rhumb_index_options options;
        rhumb_index_options_init(&options, sizeof options);
        options.dim = kDim;
        options.M = 6;
        options.ef_construction = 40;
        options.codes = RHUMB_CODES_8BIT;
        options.fused = RHUMB_FUSED_2BIT;
        options.open = &open_options;
        ASSERT_EQ(rhumb_index_create(kPath, &options, index), RHUMB_OK) << rhumb_error_last()->message;
        for (uint64_t key = 0; key < kCount; key++) {
            ASSERT_EQ(rhumb_index_insert(*index, key, random_vector().data()), RHUMB_OK);
        }
        ASSERT_EQ(rhumb_index_compact(*index, nullptr, nullptr, 0), RHUMB_OK) << rhumb_error_last()->message;
        note(*index);
    }
    // Changes lists, renews what they make stale, and sometimes makes a checkpoint of it.
    void live(rhumb_index *index) {
        for (uint64_t round = 0; round < kRounds; round++) {
            for (uint64_t i = 0; i < kChanges; i++) {
                const uint64_t key = random_() % (kCount + kRounds * kChanges);
                ASSERT_EQ(rhumb_index_upsert(index, key, random_vector().data()), RHUMB_OK);
                if (i % 8 == 0) note(index);
            }
            ASSERT_EQ(rhumb_index_wait_idle(index), RHUMB_OK);
            if (round % 3 == 1) continue;
            ASSERT_EQ(rhumb_index_checkpoint(index), RHUMB_OK) << rhumb_error_last()->message;
            note(index);
        }
        rhumb_index_stats stats;
        ASSERT_EQ(rhumb_index_stats_get(index, &stats, sizeof stats), RHUMB_OK);
        ASSERT_GT(stats.fused_renewed_count, kCount / 2);
    }
    // Every vector that the index has is found by its own components.
    void expect_all_found(rhumb_index *index) {
        uint64_t held_count = 0, found_count = 0;
        for (uint64_t key = 0; key < kCount + kRounds * kChanges; key += 3) {
            std::vector<float> vector(kDim);
            if (rhumb_index_get_vector(index, key, vector.data()) != RHUMB_OK) continue;
            uint64_t found = 0;
            float distance = 0;
            ASSERT_EQ(rhumb_index_search(index, vector.data(), 1, nullptr, &found, &distance, nullptr), RHUMB_OK);
            held_count++;
            found_count += found == key && distance == 0;
        }
        EXPECT_GE(held_count, kCount / 4);
        EXPECT_EQ(found_count, held_count);
    }
    void verify(rhumb_index *index) {
        rhumb_verify_report report;
        ASSERT_EQ(rhumb_test::verify_index(index, &report), RHUMB_OK) << report.first_error;
    }
    void judge(uint64_t promised_lsn) {
        {
            Index reader;
            ASSERT_EQ(rhumb_test::open_index(kPath, true, &reader), RHUMB_OK) << rhumb_error_last()->message;
            ASSERT_NO_FATAL_FAILURE(verify(reader));
            ASSERT_NO_FATAL_FAILURE(expect_all_found(reader));
        }
        Index writer;
        ASSERT_EQ(rhumb_test::open_index(kPath, false, &writer), RHUMB_OK) << rhumb_error_last()->message;
        ASSERT_GE(rhumb_index_lsn(writer), promised_lsn);
        ASSERT_EQ(rhumb_index_wait_idle(writer), RHUMB_OK);
        ASSERT_NO_FATAL_FAILURE(verify(writer));
        ASSERT_NO_FATAL_FAILURE(expect_all_found(writer));
    }

    std::mt19937_64 random_{choose_seed()};
    std::vector<Promise> promises_;
};

TEST_F(RenewalCut, LeavesRowsThatBelongToTheirLists) {
    rhumb_index *index = nullptr;
    ASSERT_NO_FATAL_FAILURE(create(&index));
    ASSERT_NO_FATAL_FAILURE(live(index));
    ASSERT_EQ(rhumb_index_close(index), RHUMB_OK);
    SimRecording recording = rhumb_test::sim_recording();
    const uint64_t begin = promises_.front().position;
    const uint64_t cut_count = iteration_count(60);
    for (uint64_t i = 0; i < cut_count && !HasFatalFailure(); i++) {
        const uint64_t at = begin + random_() % (recording.size() + 1 - begin), seed = random_();
        uint64_t promised_lsn = 0;
        for (const Promise &promise : promises_) {
            if (promise.position <= at) promised_lsn = promise.lsn;
        }
        SCOPED_TRACE("a cut after " + recording.describe(at) + ", seed " + std::to_string(seed));
        rhumb_test::sim_restore(recording.crash(at, seed, SimTear::kAny));
        judge(promised_lsn);
    }
}

} // namespace
} // namespace fault_test
