// Goal: every order names each live node once, whatever the lists hold; the default one is the same each time, and
// places neighbours next to each other. Method: indexes of several shapes, with and without damage.
extern "C" {
#include "base/alloc.h"
}
#include "tests/engine/engine_probe.h"
#include "tests/support/index_test_support.h"

namespace {

using namespace index_test;

constexpr int kKindCount = 5;
constexpr int kBisection = 4;

class Order : public ::testing::Test {
  protected:
    // `count` vectors in `cluster_count` clusters far from each other, cluster by turns; every
    // seventh is deleted if that is wanted.
    void build(uint32_t dim, size_t count, size_t cluster_count, bool with_deletes) {
        rhumb_index_options options = index_options(dim);
        options.M = 6;
        options.ef_construction = 30;
        rhumb_open_options open_options;
        rhumb_open_options_init(&open_options, sizeof open_options);
        open_options.compact_dead_share = 1; // what is deleted stays in the graph
        options.open = &open_options;
        const Index index = create(path_, options);
        const Vectors noise = random_vectors(count, dim, 7);
        std::vector<float> rows(noise.components);
        for (size_t i = 0; i < count; i++) rows[i * dim] += 100.0f * static_cast<float>(i % cluster_count);
        rhumb_batch_options batch;
        rhumb_batch_options_init(&batch, sizeof batch);
        batch.thread_count = 1;
        batch.partial = true; // so that slots are keys: a batch that is whole may be built in bulk
        if (count > 0) {
            ASSERT_OK(rhumb_index_insert_batch(index.get(), nullptr, rows.data(), count, &batch, nullptr));
        }
        for (size_t i = 0; with_deletes && i < count; i += 7) ASSERT_OK(rhumb_index_delete(index.get(), i));
        ASSERT_OK(rhumb_index_checkpoint(index.get()));
        count_ = count;
        with_deletes_ = with_deletes;
    }
    std::vector<uint32_t> order(int kind, uint64_t damage_seed) {
        std::vector<uint32_t> slots(count_ + 1);
        uint64_t count = 0;
        EXPECT_OK(probe_order(path_.c_str(), kind, damage_seed, slots.data(), &count));
        slots.resize(count);
        return slots;
    }
    void expect_permutation(std::vector<uint32_t> slots) {
        std::sort(slots.begin(), slots.end());
        std::vector<uint32_t> expected;
        for (uint32_t slot = 0; slot < count_; slot++) {
            if (!with_deletes_ || slot % 7 != 0) expected.push_back(slot);
        }
        EXPECT_EQ(slots, expected);
    }

    ScratchDirectory directory_;
    const std::string path_ = directory_.file("index.rhumb");
    size_t count_ = 0;
    bool with_deletes_ = false;
};

TEST_F(Order, EveryOrderNamesEachLiveNodeOnce) {
    const uint64_t seed = choose_seed();
    struct Shape {
        uint32_t dim;
        size_t count;
        bool with_deletes;
    };
    // With one vector and deletes, nothing is left. The long rows are longer than a page.
    for (const Shape &shape :
         {Shape{3, 0, false}, {3, 1, false}, {3, 1, true}, {3, 2, true}, {3, 1500, true}, {1100, 60, false}}) {
        std::filesystem::remove(path_);
        build(shape.dim, shape.count, 5, shape.with_deletes);
        for (int kind = 0; kind < kKindCount; kind++) {
            for (const uint64_t damage_seed : {uint64_t{0}, seed | 1}) {
                SCOPED_TRACE(std::to_string(shape.count) + " nodes, order " + std::to_string(kind) + ", damage " +
                             std::to_string(damage_seed));
                const std::vector<uint32_t> slots = order(kind, damage_seed);
                expect_permutation(slots);
                if (kind == kBisection) {
                    EXPECT_EQ(order(kind, damage_seed), slots) << "threads may change nothing";
                }
            }
        }
    }
}

// Slots of one cluster come in pieces as large as the cluster, but for a few at their ends.
TEST_F(Order, BisectionPutsClustersTogether) {
    const size_t cluster_count = 16;
    build(8, 4096, cluster_count, false);
    const std::vector<uint32_t> slots = order(kBisection, 0);
    ASSERT_EQ(slots.size(), 4096u);
    size_t change_count = 0;
    for (size_t i = 1; i < slots.size(); i++) change_count += slots[i] % cluster_count != slots[i - 1] % cluster_count;
    EXPECT_LE(change_count, 250u) << "by insertion it is 4095";
}

TEST_F(Order, WithoutMemoryFailsAndLeavesNothing) {
    build(3, 300, 5, false);
    std::vector<uint32_t> slots(300);
    uint64_t count = 0;
    rhumb__alloc_fail_after(0, false);
    ASSERT_OK(probe_order(path_.c_str(), kBisection, 0, slots.data(), &count));
    const uint64_t request_count = rhumb__alloc_request_count();
    for (uint64_t i = 1; i <= request_count; i++) {
        rhumb__alloc_fail_after(i, false);
        const rhumb_status status = probe_order(path_.c_str(), kBisection, 0, slots.data(), &count);
        // A request that only a helping thread made may be one too many this time, or is done without.
        EXPECT_TRUE(status == RHUMB_E_NOMEM || status == RHUMB_OK) << i << ": " << status;
    }
    rhumb__alloc_fail_after(0, false);
}

} // namespace
