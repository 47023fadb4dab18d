// Goal: in whatever order the steps of concurrent inserts interleave, every node can be reached when they have ended.
// Method: the steps of several inserts one by one, in orders that a real machine produces once in ten thousand times.
#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "tests/engine/engine_probe.h"
#include "tests/support/index_test_support.h"

namespace {

using namespace index_test;

class Link : public ::testing::Test {
  protected:
    void SetUp() override { create({}); }
    // An index in which the nodes of the slots in `upper` are on level 1, and all the others below it.
    void create(const std::set<uint32_t> &upper) {
        rhumb__params params = {};
        params.metric = RHUMB_METRIC_L2;
        params.element = RHUMB_ELEMENT_F32;
        params.dim = 1;
        params.M = 4;
        params.M0 = 16;
        params.ef_construction = 16;
        params.ef_search = 16;
        params.level_scale = 1;
        params.level_max = upper.empty() ? 0 : 1;
        // Levels follow from the seed, so seeds are tried until one gives these.
        for (uint32_t slot = 0; slot < 8; slot++) {
            if (rhumb__params_level(&params, slot) == upper.count(slot)) continue;
            params.seed++;
            slot = UINT32_MAX;
        }
        close();
        const std::string path = directory_.file("graph" + std::to_string(graph_count_++));
        ASSERT_EQ(probe_graph_create(path.c_str(), &params, 1, &graph_), RHUMB_OK) << last_error();
        for (probe_user *&user : users_) user = probe_user_new(graph_);
    }
    void close() {
        for (probe_user *&user : users_) {
            if (user != nullptr) probe_user_free(user);
            user = nullptr;
        }
        if (graph_ != nullptr) probe_graph_close(graph_);
        graph_ = nullptr;
    }
    void TearDown() override { close(); }
    void publish(size_t user, float at) { ASSERT_OK(probe_link_publish(users_[user], next_key_++, &at)); }
    void insert(size_t user, float at) {
        publish(user, at);
        finish(user, probe_link_search(users_[user]));
    }
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
    // How many nodes the links of level 0 lead to from the entry point. (A search would measure the others.)
    void expect_all_reached(uint32_t count) {
        std::set<uint32_t> reached = {entry_slot()};
        std::vector<uint32_t> waiting(reached.begin(), reached.end());
        while (!waiting.empty()) {
            uint32_t slots[16];
            const uint32_t slot = waiting.back();
            waiting.pop_back();
            const uint32_t link_count = probe_list_read(graph_, slot, slots);
            for (uint32_t i = 0; i < link_count; i++) {
                if (reached.insert(slots[i]).second) waiting.push_back(slots[i]);
            }
        }
        EXPECT_EQ(reached.size(), count);
    }

    ScratchDirectory directory_;
    int graph_count_ = 0;
    uint64_t next_key_ = 0;
    rhumb__graph *graph_ = nullptr;
    probe_user *users_[4] = {};
};

// The first node sees no other insert. The second sees the first, but leaves it to the third, which is nearer; the
// third sees only a fourth, which has not searched yet. No node would link to the first.
TEST_F(Link, ANodeThatFoundNoOtherAndIsNotTheFirstSearchesAgain) {
    publish(0, 11);
    const bool first_had_start = probe_link_search(users_[0]);
    EXPECT_FALSE(first_had_start);
    publish(1, 0);
    publish(2, 10);
    const bool second_had_start = probe_link_search(users_[1]);
    EXPECT_FALSE(second_had_start);
    finish(1, second_had_start); // becomes the entry point
    finish(0, first_had_start);
    publish(3, 10.6f);
    const bool third_had_start = probe_link_search(users_[2]);
    finish(2, third_had_start);
    finish(3, probe_link_search(users_[3]));
    expect_all_reached(4);
}

// Two inserts that see each other, and are nearer to each other than to the graph: each must link to the graph itself,
// because the other may reject its link.
TEST_F(Link, InsertsThatSelectOnlyEachOtherLinkToTheGraphToo) {
    publish(0, 0);
    finish(0, probe_link_search(users_[0]));
    publish(1, 100);
    publish(2, 101);
    const bool one = probe_link_search(users_[1]);
    const bool two = probe_link_search(users_[2]);
    EXPECT_TRUE(one && two);
    finish(2, two);
    expect_all_reached(2); // the other may still become a copy, to which nothing links
    finish(1, one);
    expect_all_reached(3);
}

// Nodes C and E are linked on level 1 by two inserts that saw them among the active ones, and have no links on level 0
// yet. Each finds the other nearest on level 1. If it continued from there, it would find no other node on level 0, and
// the two would be an island of it.
TEST_F(Link, InsertsThatMeetAboveDoNotBeginAtEachOtherBelow) {
    create({2, 3, 4, 5});
    insert(0, 2);
    insert(0, 3.5f);
    publish(0, 1);  // slot 2
    publish(1, 10); // C
    finish(0, probe_link_search(users_[0]));
    publish(2, 3);    // slot 4
    publish(3, 9.5f); // E
    finish(2, probe_link_search(users_[2]));
    const bool c_had_start = probe_link_search(users_[1]);
    const bool e_had_start = probe_link_search(users_[3]);
    finish(1, c_had_start);
    finish(3, e_had_start);
    expect_all_reached(6);
}

// An insert that has not ended is seen by another, which would select its node. It finds an equal one and becomes a
// copy: also before the other has ended, then the other has selected what is a copy by now.
TEST_F(Link, ANodeThatBecomesACopyIsInNoList) {
    for (const bool copy_ends_first : {false, true}) {
        create({2, 3}); // of the two inserts
        insert(0, 5);
        insert(0, 20);
        publish(1, 5);
        publish(2, 5.5f);
        const bool copy_had_start = probe_link_search(users_[1]);
        const bool other_had_start = probe_link_search(users_[2]);
        if (copy_ends_first) finish(1, copy_had_start);
        finish(2, other_had_start);
        if (!copy_ends_first) finish(1, copy_had_start);
        for (uint32_t slot = 0; slot < 4; slot++) {
            uint32_t slots[16];
            const uint32_t count = probe_list_read(graph_, slot, slots);
            EXPECT_EQ(std::count(slots, slots + count, 2u), 0) << slot;
            EXPECT_EQ(count == 0, slot == 2) << slot;
        }
    }
}

// Opening a file takes the lowest slot of the highest level as the entry point. If memory kept the insert that ended
// first, answers at equal distances would come in another order after reopening.
TEST_F(Link, TheEntryPointIsTheLowestSlotInAnyOrderOfEnding) {
    publish(0, 0);
    publish(1, 1);
    publish(2, 2);
    finish(1, probe_link_search(users_[1]));
    EXPECT_EQ(entry_slot(), 1u);
    finish(2, probe_link_search(users_[2]));
    EXPECT_EQ(entry_slot(), 1u);
    finish(0, probe_link_search(users_[0]));
    EXPECT_EQ(entry_slot(), 0u);
    expect_all_reached(3);
}

} // namespace
