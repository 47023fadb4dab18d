// Goal: however inserts interleave, every node is tied into the graph: heads form one tree by their anchors, whose
// links are in the lists of both ends, and every other node is a copy in the chain of a head with an equal vector.
// Method: several threads insert values that repeat, into small lists, from the first node on; then the ties are read.
#include <algorithm>
#include <cmath>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/engine/engine_probe.h"
#include "tests/support/index_test_support.h"
#include "tests/support/seed.h"

namespace {

using namespace index_test;

constexpr uint32_t DIM = 4;

struct Shape {
    const char *name;
    uint32_t M, M0, ef_construction, thread_count, count, value_count; // 0 values: all are different
    bool clustered;
};

class Ties : public ::testing::TestWithParam<Shape> {
  protected:
    void SetUp() override {
        const Shape &shape = GetParam();
        std::mt19937_64 random(rhumb_test::choose_seed());
        std::normal_distribution<float> normal;
        const uint32_t value_count = shape.value_count == 0 ? shape.count : shape.value_count;
        std::vector<float> values(value_count * DIM);
        for (size_t i = 0; i < values.size(); i++) {
            values[i] = normal(random) + (shape.clustered ? 1000.0f * static_cast<float>(i / DIM % 7) : 0.0f);
        }
        vectors_.resize(shape.count * DIM);
        for (uint32_t i = 0; i < shape.count; i++) {
            const uint32_t value = shape.value_count == 0 ? i : static_cast<uint32_t>(random() % value_count);
            std::copy_n(&values[value * DIM], DIM, &vectors_[i * DIM]);
        }
        rhumb__params params = {};
        params.metric = RHUMB_METRIC_L2;
        params.element = RHUMB_ELEMENT_F32;
        params.dim = DIM;
        params.M = shape.M;
        params.M0 = shape.M0;
        params.ef_construction = shape.ef_construction;
        params.ef_search = 16;
        params.level_scale = 1;
        params.level_max = RHUMB__LEVEL_MAX;
        ASSERT_EQ(probe_graph_create(directory_.file("graph").c_str(), &params, shape.count, &graph_), RHUMB_OK)
            << last_error();
    }
    void TearDown() override {
        if (graph_ != nullptr) probe_graph_close(graph_);
    }

    void insert_all() {
        const Shape &shape = GetParam();
        std::vector<std::thread> threads;
        std::atomic<uint32_t> next{0};
        for (uint32_t t = 0; t < shape.thread_count; t++) {
            threads.emplace_back([&] {
                probe_user *user = probe_user_new(graph_);
                for (uint32_t i = next++; i < shape.count; i = next++) {
                    EXPECT_OK(probe_user_insert(user, i, &vectors_[i * DIM]));
                }
                probe_user_free(user);
            });
        }
        for (std::thread &thread : threads) thread.join();
    }

    const float *vector_of(uint32_t slot) { return &vectors_[probe_key(graph_, slot) * DIM]; }

    bool has_link(uint32_t from, uint32_t to) {
        std::vector<uint32_t> slots(GetParam().M0);
        const uint32_t count = probe_list_read(graph_, from, slots.data());
        return std::find(slots.begin(), slots.begin() + count, to) != slots.begin() + count;
    }

    // Anchors have lower slots, so that they form a tree if there is one root.
    void expect_head(uint32_t slot) {
        const uint32_t anchor = probe_anchor(graph_, slot);
        ASSERT_NE(anchor, RHUMB__SLOT_NONE) << "slot " << slot << " is not tied";
        if (anchor == slot) {
            root_count_++;
            return;
        }
        // Where many threads begin with short lists, a slow one may find no lower slot with room.
        if (GetParam().M0 >= 8) {
            EXPECT_LT(anchor, slot);
        }
        uint32_t at = anchor, steps = 0;
        while (probe_anchor(graph_, at) != at && ++steps <= GetParam().count) at = probe_anchor(graph_, at);
        ASSERT_LE(steps, GetParam().count) << "the anchors of slot " << slot << " lead round in a circle";
        EXPECT_FALSE(probe_is_copy(graph_, anchor)) << "slot " << slot;
        EXPECT_TRUE(has_link(anchor, slot)) << "from anchor " << anchor << " to slot " << slot;
        EXPECT_TRUE(has_link(slot, anchor)) << "from slot " << slot << " to anchor " << anchor;
    }

    void expect_copy(uint32_t slot) {
        std::vector<uint32_t> slots(GetParam().M0);
        EXPECT_EQ(probe_list_read(graph_, slot, slots.data()), 0u) << "copy " << slot << " has links";
        EXPECT_EQ(chained_.count(slot), 1u) << "copy " << slot << " is in no chain";
    }

    void note_chain(uint32_t head) {
        std::vector<uint32_t> copies(GetParam().count);
        copies.resize(probe_copies(graph_, head, copies.data(), GetParam().count));
        for (uint32_t copy : copies) {
            EXPECT_TRUE(probe_is_copy(graph_, copy));
            EXPECT_LT(head, copy);
            EXPECT_TRUE(chained_.insert(copy).second) << "copy " << copy << " is in two chains, or twice in one";
            EXPECT_TRUE(std::equal(vector_of(head), vector_of(head) + DIM, vector_of(copy)));
        }
    }

    ScratchDirectory directory_;
    rhumb__graph *graph_ = nullptr;
    std::vector<float> vectors_;
    std::set<uint32_t> chained_;
    uint32_t root_count_ = 0;
};

TEST_P(Ties, HoldAllNodesTogether) {
    insert_all();
    const Shape &shape = GetParam();
    uint32_t head_count = 0;
    for (uint32_t slot = 0; slot < shape.count; slot++) {
        if (probe_is_copy(graph_, slot)) continue;
        head_count++;
        expect_head(slot);
        note_chain(slot);
    }
    EXPECT_EQ(root_count_, 1u);
    for (uint32_t slot = 0; slot < shape.count; slot++) {
        if (probe_is_copy(graph_, slot)) expect_copy(slot);
    }
    EXPECT_EQ(head_count + chained_.size(), shape.count);
    // A thread does not see what others are inserting, so each may begin a group of its own; later ones join.
    if (shape.value_count == 0) {
        EXPECT_EQ(head_count, shape.count);
    } else {
        EXPECT_LE(head_count, shape.value_count * shape.thread_count);
    }
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, Ties,
    ::testing::Values(Shape{"Plain", 8, 16, 40, 4, 3000, 0, false}, Shape{"OneThread", 8, 16, 40, 1, 2000, 0, false},
                      Shape{"ManyThreadsSmallLists", 2, 4, 8, 16, 2000, 0, false},
                      Shape{"SmallestLists", 2, 2, 4, 1, 300, 0, false},
                      Shape{"ListsOfThree", 2, 3, 2, 8, 1000, 0, true},
                      Shape{"OneCandidate", 4, 8, 1, 8, 1000, 0, false}, Shape{"Clusters", 4, 8, 16, 8, 3000, 0, true},
                      Shape{"OneValue", 4, 8, 16, 8, 2000, 1, false}, Shape{"FewValues", 4, 8, 16, 8, 3000, 5, false},
                      Shape{"FewValuesOneThread", 4, 8, 16, 1, 1000, 5, false},
                      Shape{"HundredValues", 4, 8, 16, 4, 3000, 100, true}),
    [](const auto &info) { return std::string(info.param.name); });

} // namespace
