// Goal: whatever moments inserts come at beside each other, every node can be reached when they have ended. Method: the
// steps of several inserts one by one, in orders that the clock of a real machine gives once in ten thousand times.
#include "tests/api/index_test_support.h"
#include "tests/engine/engine_probe.h"

namespace {

using namespace index_test;

class Link : public ::testing::Test {
  protected:
    void SetUp() override {
        rhumb__params params = {};
        params.metric = RHUMB_METRIC_L2;
        params.element = RHUMB_ELEMENT_F32;
        params.dim = 1;
        params.M = 4;
        params.M0 = 16;
        params.ef_construction = 16;
        params.ef_search = 16;
        params.level_scale = 1; // and level_max 0: one level
        ASSERT_EQ(probe_graph_create(directory_.file("graph").c_str(), &params, 1, &graph_), RHUMB_OK) << last_error();
        for (probe_user *&user : users_) user = probe_user_new(graph_);
    }
    void TearDown() override {
        for (probe_user *user : users_) probe_user_free(user);
        probe_graph_close(graph_);
    }
    void announce(size_t user, float at) { ASSERT_OK(probe_link_announce(users_[user], user, &at)); }
    // Links as rhumb__link does, beginning with a search that has happened.
    void finish(size_t user, bool had_start) {
        while (!probe_link_finish(users_[user], had_start)) had_start = probe_link_search(users_[user]);
        probe_link_leave(users_[user]);
    }
    uint32_t entry_slot() {
        const float query = 0;
        EXPECT_OK(probe_user_begin_search(users_[3], &query));
        return probe_user_descend(users_[3]); // there is one level only
    }
    void expect_all_reached(uint32_t count) {
        for (float query : {0.0f, 10.0f, 100.0f}) {
            uint64_t keys[16];
            EXPECT_EQ(probe_user_search(users_[0], &query, keys), count) << "from " << query;
        }
    }

    ScratchDirectory directory_;
    rhumb__graph *graph_ = nullptr;
    probe_user *users_[4] = {};
};

// The first node sees nobody. The second sees it, but leaves it to the third, which is nearer; the third sees only a
// fourth, which has not looked yet. Nobody would link to the first.
TEST_F(Link, ANodeThatSawNobodyAndIsNotTheFirstSearchesAgain) {
    announce(0, 11);
    const bool first_had_start = probe_link_search(users_[0]);
    EXPECT_FALSE(first_had_start);
    announce(1, 0);
    announce(2, 10);
    const bool second_had_start = probe_link_search(users_[1]);
    EXPECT_FALSE(second_had_start);
    finish(1, second_had_start); // becomes the entry point
    finish(0, first_had_start);
    announce(3, 10.6f);
    const bool third_had_start = probe_link_search(users_[2]);
    finish(2, third_had_start);
    finish(3, probe_link_search(users_[3]));
    expect_all_reached(4);
}

// Two inserts that see each other, and nearer to each other than to the graph: each must hold on to the graph itself,
// because what the other is going to do is not known.
TEST_F(Link, InsertsThatSelectOnlyEachOtherHoldOnToTheGraphToo) {
    announce(0, 0);
    finish(0, probe_link_search(users_[0]));
    announce(1, 100);
    announce(2, 101);
    const bool one = probe_link_search(users_[1]);
    const bool two = probe_link_search(users_[2]);
    EXPECT_TRUE(one && two);
    finish(2, two);
    expect_all_reached(3); // the other as well, which has not linked yet
    finish(1, one);
    expect_all_reached(3);
}

// Opening a file takes the lowest slot of the highest level for the entry point. If memory kept whichever insert ended
// first, answers at equal distances came in another order after reopening.
TEST_F(Link, TheEntryPointIsTheLowestSlotWhoeverEndsFirst) {
    announce(0, 0);
    announce(1, 1);
    announce(2, 2);
    finish(1, probe_link_search(users_[1]));
    EXPECT_EQ(entry_slot(), 1u);
    finish(2, probe_link_search(users_[2]));
    EXPECT_EQ(entry_slot(), 1u);
    finish(0, probe_link_search(users_[0]));
    EXPECT_EQ(entry_slot(), 0u);
    expect_all_reached(3);
}

} // namespace
