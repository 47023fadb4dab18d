// Goal: code that breaks an invariant of the graph is stopped by a debug assert where it does so, before the damage
// spreads to other lists or to the file. Method: death tests, each of which plants one fault; the same calls without
// the fault pass. Builds without debug asserts skip them.
#include <gtest/gtest.h>

#include <vector>

extern "C" {
#include "engine/graph/params.h"
}

#include "tests/engine/engine_probe.h"
#include "tests/support/index_test_support.h"

namespace {

constexpr uint32_t kRow = 7;
constexpr uint32_t kSlotCount = 100;

class Invariants : public ::testing::Test {
  protected:
    void SetUp() override {
#if defined(NDEBUG)
        GTEST_SKIP() << "no debug asserts in this build";
#endif
        GTEST_FLAG_SET(death_test_style, "threadsafe");
        rhumb__params params = {};
        params.metric = RHUMB_METRIC_L2;
        params.element = RHUMB_ELEMENT_F32;
        params.dim = 4;
        params.M = 4;
        params.M0 = 8;
        params.ef_construction = 10;
        params.ef_search = 10;
        params.level_scale = 1;
        ASSERT_EQ(probe_graph_create(directory_.file("graph").c_str(), &params, kSlotCount, &graph_), RHUMB_OK)
            << index_test::last_error();
        probe_list_clear(graph_, kRow);
    }
    void TearDown() override {
        if (graph_ != nullptr) probe_graph_close(graph_);
    }
    bool exchange(const std::vector<uint32_t> &before, const std::vector<uint32_t> &after) const {
        return probe_list_exchange(graph_, kRow, before.data(), static_cast<uint32_t>(before.size()), after.data(),
                                   static_cast<uint32_t>(after.size()));
    }

    index_test::ScratchDirectory directory_;
    rhumb__graph *graph_ = nullptr;
};

TEST_F(Invariants, AListGetsNoDuplicates) {
    ASSERT_TRUE(exchange({}, {1, 2}));
    EXPECT_DEATH(exchange({1, 2}, {1, 2, 3, 3}), "assertion failed: additions_are_sound");
}

TEST_F(Invariants, AListDoesNotContainItsOwnSlot) {
    ASSERT_TRUE(exchange({}, {1, kRow + 1}));
    EXPECT_DEATH(exchange({1, kRow + 1}, {1, kRow}), "assertion failed: additions_are_sound");
}

TEST_F(Invariants, AListGetsOnlySlotsThatExist) {
    EXPECT_DEATH(exchange({}, {1, 1u << 30}), "assertion failed: additions_are_sound");
}

TEST_F(Invariants, AListHasNoMoreEntriesThanItsCapacity) {
    EXPECT_DEATH(exchange({}, {1, 2, 3, 4, 5, 6, 8, 9, 10}), "assertion failed: .*list->capacity");
}

TEST_F(Invariants, SlotsAreReadBelowTheLimit) {
    EXPECT_EQ(probe_node(graph_, kSlotCount - 1), 0u);
    EXPECT_DEATH(probe_node(graph_, kSlotCount), "assertion failed: slot < ");
}

TEST_F(Invariants, RoomIsMadeUnderTheLock) {
    ASSERT_EQ(probe_ensure_room(graph_, kSlotCount + 1), RHUMB_OK);
    EXPECT_DEATH(EXPECT_EQ(probe_ensure_room_unlocked(graph_, kSlotCount + 2), RHUMB_OK), "append_lock");
}

TEST_F(Invariants, AnInsertLeavesOnce) {
    const uint32_t entry = probe_active_claim(graph_);
    probe_active_leave(graph_, entry);
    EXPECT_DEATH(probe_active_leave(graph_, entry), "active.c:.*assertion failed");
}

TEST_F(Invariants, AVersionHasNoFewerRowsThanTheOneBefore) {
    EXPECT_DEATH(probe_set_next_rows_to_none(graph_), "assertion failed: .*published_row_count");
}

} // namespace
