// Goal: exchanging the content of a neighbour list leaves exactly the new set, without holes, and shows a reader only
// entries of before or of after. Method: random sets of every size, compared with std::set; a reader thread that looks
// while a writer exchanges.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "tests/engine/engine_probe.h"
#include "tests/support/index_test_support.h"

namespace {

using Slots = std::vector<uint32_t>;

class NeighbourList : public ::testing::TestWithParam<uint32_t> {
  protected:
    static constexpr uint32_t kRow = 700; // not in the first chunk of the wider lists
    static constexpr uint32_t kSlotCount = 100000;
    void SetUp() override {
        rhumb__params params = {};
        params.metric = RHUMB_METRIC_L2;
        params.element = RHUMB_ELEMENT_F32;
        params.dim = 4;
        params.M = 2;
        params.M0 = GetParam();
        params.ef_construction = 10;
        params.ef_search = 10;
        params.level_scale = 1;
        ASSERT_EQ(probe_graph_create(directory_.file("lists").c_str(), &params, kSlotCount, &graph_), RHUMB_OK)
            << index_test::last_error();
        probe_list_clear(graph_, kRow);
    }
    void TearDown() override { probe_graph_close(graph_); }
    Slots read() const {
        Slots slots(GetParam());
        slots.resize(probe_list_read(graph_, kRow, slots.data()));
        return slots;
    }
    bool exchange(const Slots &before, const Slots &after) const {
        return probe_list_exchange(graph_, kRow, before.data(), static_cast<uint32_t>(before.size()), after.data(),
                                   static_cast<uint32_t>(after.size()));
    }
    // `count` different slots, none of them the list's own, of which about `kept_share` come from `old`.
    Slots random_slots(std::mt19937_64 &random, size_t count, Slots old, double kept_share) const {
        std::shuffle(old.begin(), old.end(), random);
        std::set<uint32_t> chosen;
        for (size_t i = 0; i < old.size() && chosen.size() < count * kept_share; i++) chosen.insert(old[i]);
        while (chosen.size() < count) {
            const auto slot = static_cast<uint32_t>(random() % kSlotCount);
            if (slot != kRow) chosen.insert(slot);
        }
        Slots slots(chosen.begin(), chosen.end());
        std::shuffle(slots.begin(), slots.end(), random);
        return slots;
    }

    index_test::ScratchDirectory directory_;
    rhumb__graph *graph_ = nullptr;
};

INSTANTIATE_TEST_SUITE_P(Capacities, NeighbourList, ::testing::Values(2u, 3u, 16u, 21u, 64u, 512u));

TEST_P(NeighbourList, AClearedListIsEmptyToTheEndOfItsRow) {
    EXPECT_TRUE(read().empty());
    uint32_t place_count = 0;
    const uint32_t *row = probe_list_row(graph_, kRow, &place_count);
    EXPECT_GE(place_count, GetParam());
    for (uint32_t i = 0; i < place_count; i++) EXPECT_EQ(row[i], RHUMB__SLOT_NONE);
    EXPECT_TRUE(probe_list_is_dirty(graph_, kRow));
}

TEST_P(NeighbourList, AnExchangeLeavesExactlyTheNewSet) {
    std::mt19937_64 random(index_test::choose_seed());
    Slots before;
    const int round_count = GetParam() < 100 ? 2000 : 200;
    for (int round = 0; round < round_count; round++) {
        const double kept_share = static_cast<double>(random() % 5) / 4;
        const Slots after = random_slots(random, random() % (GetParam() + 1), before, kept_share);
        ASSERT_TRUE(exchange(before, after));
        const Slots now = read();
        ASSERT_EQ(now.size(), after.size());
        ASSERT_EQ(std::set<uint32_t>(now.begin(), now.end()), std::set<uint32_t>(after.begin(), after.end()));
        uint32_t place_count = 0;
        const uint32_t *row = probe_list_row(graph_, kRow, &place_count);
        for (size_t i = now.size(); i < place_count; i++) ASSERT_EQ(row[i], RHUMB__SLOT_NONE) << "no leftovers";
        if (after.size() >= before.size()) {
            const std::set<uint32_t> staying(after.begin(), after.end());
            for (size_t i = 0; i < before.size(); i++) {
                if (staying.count(before[i]) == 1) {
                    ASSERT_EQ(now[i], before[i]) << "those that stay keep their places";
                }
            }
        }
        before = now;
    }
}

TEST_P(NeighbourList, AnExchangeOfWhatIsNoLongerThereChangesNothing) {
    std::mt19937_64 random(index_test::choose_seed());
    const Slots first = random_slots(random, GetParam(), {}, 0);
    ASSERT_TRUE(exchange({}, first));
    Slots shorter(first.begin(), first.end() - 1);
    Slots other = first;
    other.back() ^= 1u << 20;
    EXPECT_FALSE(exchange({}, {1}));
    EXPECT_FALSE(exchange(shorter, {1})) << "there is one more";
    EXPECT_FALSE(exchange(other, {1}));
    std::swap(other.front(), other.back());
    EXPECT_FALSE(exchange(other, {1}));
    EXPECT_EQ(read(), first);
    ASSERT_TRUE(exchange(first, shorter));
    EXPECT_FALSE(exchange(first, {1})) << "there is one less";
    EXPECT_EQ(read(), shorter);
}

TEST_P(NeighbourList, AReaderSeesOnlyEntriesOfBeforeOrAfter) {
    std::mt19937_64 random(index_test::choose_seed());
    const Slots one = random_slots(random, GetParam(), {}, 0);
    const Slots two = random_slots(random, (GetParam() + 1) / 2, one, 0.5);
    std::set<uint32_t> both(one.begin(), one.end());
    both.insert(two.begin(), two.end());
    ASSERT_TRUE(exchange({}, one));
    std::atomic<bool> stopped{false};
    std::atomic<size_t> wrong_count{0}, read_count{0};
    std::thread reader([&] {
        while (!stopped.load() || read_count.load() == 0) {
            for (uint32_t slot : read()) wrong_count += 1 - both.count(slot);
            read_count++;
        }
    });
    const int exchange_count = GetParam() < 100 ? 3000 : 300;
    for (int i = 0; i < exchange_count; i++) ASSERT_TRUE(exchange(read(), i % 2 == 0 ? two : one));
    stopped = true;
    reader.join();
    EXPECT_EQ(wrong_count.load(), 0u);
}

TEST_P(NeighbourList, WritersThatTryAgainLoseNothing) {
    constexpr uint32_t thread_count = 3;
    const uint32_t share = GetParam() / thread_count;
    std::set<uint32_t> expected;
    std::vector<std::thread> threads;
    for (uint32_t t = 0; t < thread_count; t++) {
        for (uint32_t i = 0; i < share; i++) expected.insert(t * 1000 + i);
        threads.emplace_back([&, t] {
            for (uint32_t i = 0; i < share; i++) {
                for (bool exchanged = false; !exchanged;) {
                    const Slots before = read();
                    Slots after = before;
                    after.insert(after.begin() + after.size() / 2, t * 1000 + i);
                    exchanged = exchange(before, after);
                }
            }
        });
    }
    for (std::thread &thread : threads) thread.join();
    const Slots now = read();
    EXPECT_EQ(now.size(), expected.size());
    EXPECT_EQ(std::set<uint32_t>(now.begin(), now.end()), expected);
}

} // namespace
