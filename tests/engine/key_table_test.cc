// Goal: the key table finds every key that was added and no other, at every size, with any keys, and with many threads.
// Method: random keys, compared with a std::unordered_map; keys made for one bucket by inverting the hash; threads that
// race for the same keys; and all of it again through an index that is closed and opened.
#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <thread>
#include <unordered_map>
#include <vector>

extern "C" {
#include "base/bits.h"
}

#include "tests/engine/engine_probe.h"
#include "tests/support/index_test_support.h"
#include "tests/support/sanitized.h"

namespace {

using index_test::ScratchDirectory;
using rhumb_test::kSanitized;

rhumb__params small_params(uint64_t seed) {
    rhumb__params params = {};
    params.metric = RHUMB_METRIC_L2SQ;
    params.element = RHUMB_ELEMENT_F32;
    params.dim = 1;
    params.M = 2;
    params.M0 = 4;
    params.ef_construction = 10;
    params.ef_search = 10;
    params.level_max = 16;
    params.level_scale = 1;
    params.seed = seed;
    return params;
}

class KeyTable : public ::testing::Test {
  protected:
    static constexpr uint64_t kSlots = 200000;
    void SetUp() override {
        const rhumb__params params = small_params(397);
        ASSERT_EQ(probe_graph_create(directory_.file("keys").c_str(), &params, kSlots, &graph_), RHUMB_OK)
            << index_test::last_error();
    }
    void TearDown() override { probe_graph_close(graph_); }

    ScratchDirectory directory_;
    rhumb__graph *graph_ = nullptr;
};

// The number that rhumb__mix64 turns into `value`.
uint64_t unmix64(uint64_t value) {
    value ^= value >> 31 ^ value >> 62;
    value *= UINT64_C(0x319642B2D24D8EC3); // inverse of 0x94D049BB133111EB modulo 2^64
    value ^= value >> 27 ^ value >> 54;
    value *= UINT64_C(0x96DE1B173F119089); // inverse of 0xBF58476D1CE4E5B9
    value ^= value >> 30 ^ value >> 60;
    return value - UINT64_C(0x9E3779B97F4A7C15);
}

// The `i`-th of the keys whose hashes agree in the low 32 bits and in the tag, so that no size of the table parts them.
uint64_t colliding_key(uint64_t i, uint64_t salt) {
    return unmix64(UINT64_C(0x5A00000012345678) | (i & 0xFFFFFF) << 32) ^ salt;
}

TEST(KeyTableBucket, EveryHashHasOneBucketAndASplitMovesIntoTheNewOneOnly) {
    std::mt19937_64 random(index_test::choose_seed());
    for (int round = 0; round < 2000; round++) {
        const uint64_t hash = random();
        uint64_t bucket = probe_key_bucket(hash, 8);
        for (uint64_t count = 9; count < 600; count++) {
            const uint64_t next = probe_key_bucket(hash, count);
            ASSERT_LT(next, count);
            ASSERT_TRUE(next == bucket || next == count - 1) << count;
            bucket = next;
        }
    }
}

TEST_F(KeyTable, FindsAHundredThousandRandomKeysAndNoOthers) {
    std::mt19937_64 random(index_test::choose_seed());
    std::unordered_map<uint64_t, uint32_t> reference;
    for (uint32_t slot = 0, i = 0; slot < 100000; i++) {
        const uint64_t key = i % 3 == 0 ? random() : i % 3 == 1 ? i : random() % 1000000;
        const bool is_new = reference.emplace(key, slot).second;
        ASSERT_EQ(probe_key_add(graph_, key, slot, slot + 1), is_new ? RHUMB_OK : RHUMB_E_EXISTS);
        slot += is_new ? 1 : 0;
    }
    EXPECT_GT(probe_key_bucket_count(graph_), 100000u / 30) << "the table has grown";
    EXPECT_LT(probe_key_bucket_count(graph_), 100000u / 10);
    EXPECT_LT(probe_key_overflow_count(graph_), 200u) << "buckets hardly ever overflow";
    for (const auto &[key, slot] : reference) ASSERT_EQ(probe_key_find(graph_, key), slot);
    for (int i = 0; i < 100000; i++) {
        const uint64_t key = random();
        if (reference.count(key) == 0) {
            ASSERT_EQ(probe_key_find(graph_, key), RHUMB__SLOT_NONE);
        }
    }
}

TEST_F(KeyTable, KeysOfOneBucketOverflowAndAreFound) {
    const uint64_t salt = probe_key_salt(graph_);
    const uint64_t hash = rhumb__mix64(colliding_key(0, salt) ^ salt);
    ASSERT_EQ(hash & 0xFF000000FFFFFFFF, UINT64_C(0x5A00000012345678)) << "the inverse of the hash is wrong";
    uint32_t slot = 0;
    std::mt19937_64 random(1);
    for (uint64_t i = 0; i < 2500; i++) {
        ASSERT_EQ(probe_key_add(graph_, colliding_key(i, salt), slot, slot + 1), RHUMB_OK);
        slot++;
        for (int k = 0; k < 8; k++, slot++) ASSERT_EQ(probe_key_add(graph_, random(), slot, slot + 1), RHUMB_OK);
    }
    EXPECT_GE(probe_key_row_count(graph_, hash), 2500u / 48);
    EXPECT_GT(probe_key_bucket_count(graph_), 500u) << "other buckets go on splitting";
    for (uint64_t i = 0; i < 2500; i++) {
        ASSERT_EQ(probe_key_find(graph_, colliding_key(i, salt)), 9 * i);
        ASSERT_EQ(probe_key_add(graph_, colliding_key(i, salt), slot, slot), RHUMB_E_EXISTS);
    }
    for (uint64_t i = 2500; i < 5000; i++) {
        ASSERT_EQ(probe_key_find(graph_, colliding_key(i, salt)), RHUMB__SLOT_NONE);
    }
    std::mt19937_64 again(1);
    for (uint32_t s = 0; s < slot; s++) {
        if (s % 9 != 0) {
            ASSERT_EQ(probe_key_find(graph_, again()), s);
        }
    }
}

// Longer than any chain that chance makes; it is split like any other bucket, so those after it are too.
TEST_F(KeyTable, AChainOfFiveHundredRowsStopsNoOtherBucket) {
    const uint64_t count = kSanitized ? 3000 : 25000;
    const uint64_t salt = probe_key_salt(graph_);
    uint32_t slot = 0;
    for (uint64_t i = 0; i < count; i++, slot++) {
        ASSERT_EQ(probe_key_add(graph_, colliding_key(i, salt), slot, 0), RHUMB_OK);
    }
    EXPECT_GE(probe_key_row_count(graph_, 0x12345678), count / 48);
    std::mt19937_64 random(1);
    for (int i = 0; i < 20000; i++, slot++) ASSERT_EQ(probe_key_add(graph_, random(), slot, slot + 1), RHUMB_OK);
    EXPECT_GT(probe_key_bucket_count(graph_), slot / 24u);
    for (uint64_t i = 0; i < count; i += 97) ASSERT_EQ(probe_key_find(graph_, colliding_key(i, salt)), i);
    std::mt19937_64 again(1);
    for (uint32_t i = 0; i < 20000; i++) ASSERT_EQ(probe_key_find(graph_, again()), count + i);
}

// A damaged file: the chain leads back into itself, to any of its rows.
TEST_F(KeyTable, ACircleIsSplitLikeAnyOtherChainAndEnds) {
    const uint64_t salt = probe_key_salt(graph_);
    uint32_t slot = 0;
    for (uint64_t hop = 1; hop <= 7; hop++) {
        // 300 keys take seven rows; only the lowest three bits of their hashes agree.
        const uint64_t first = slot;
        const auto key_of = [&](uint64_t i) { return unmix64((i + 1000 * hop) << 32 | i << 3 | (hop & 7)) ^ salt; };
        for (uint64_t i = 0; i < 300; i++, slot++) ASSERT_EQ(probe_key_add(graph_, key_of(i), slot, 0), RHUMB_OK);
        ASSERT_EQ(probe_key_row_count(graph_, hop), 7u);
        probe_key_close_circle(graph_, hop, hop);
        for (uint64_t i = 0; i < 300; i++) ASSERT_EQ(probe_key_find(graph_, key_of(i)), first + i);
    }
    for (uint64_t i = 0; i < 400; i++, slot++) {
        ASSERT_EQ(probe_key_add(graph_, rhumb__mix64(i), slot, slot + 1), RHUMB_OK);
    }
    EXPECT_GT(probe_key_bucket_count(graph_), 100u) << "all eight buckets were split several times";
    for (uint32_t i = 0; i < 2100; i++) {
        const uint64_t hop = i / 300 + 1;
        ASSERT_EQ(probe_key_find(graph_, unmix64((i % 300 + 1000 * hop) << 32 | (i % 300) << 3 | (hop & 7)) ^ salt), i);
    }
    for (uint64_t hash = 0; hash < 128; hash++) EXPECT_LE(probe_key_row_count(graph_, hash), 4u) << hash;
}

// While a checkpoint copies the table, what it shows stays there, and nothing else: a key that is replaced all the time
// leaves one entry behind.
TEST(KeyTableInGraph, AHotKeyLeavesOneEntryBehindDuringACopy) {
    ScratchDirectory directory;
    rhumb__graph *graph = nullptr;
    const rhumb__params params = small_params(397);
    ASSERT_EQ(probe_graph_create(directory.file("hot").c_str(), &params, 100, &graph), RHUMB_OK);
    probe_user *user = probe_user_new(graph);
    for (uint64_t key = 0; key < 100; key++) {
        const float component = static_cast<float>(key);
        ASSERT_EQ(probe_user_insert(user, key, &component), RHUMB_OK);
    }
    const uint64_t hash = rhumb__mix64(7 ^ probe_key_salt(graph));
    const uint64_t bucket_count = probe_key_bucket_count(graph);
    probe_key_table_hold(graph, 100);
    for (int i = 0; i < 2000; i++) {
        const float component = static_cast<float>(1000 + i);
        ASSERT_EQ(probe_user_upsert(user, 7, &component), RHUMB_OK);
    }
    EXPECT_EQ(probe_delete(graph, 8), RHUMB_OK);
    EXPECT_EQ(probe_key_bucket_count(graph), bucket_count) << "a checkpoint is copying";
    EXPECT_LE(probe_key_row_count(graph, hash), 2u);
    EXPECT_EQ(probe_key_find(graph, 7), 2099u);
    EXPECT_EQ(probe_key_find(graph, 8), RHUMB__SLOT_NONE);
    probe_key_table_release(graph);
    EXPECT_GE(probe_key_bucket_count(graph), 2100u / 21) << "it has grown to its full size";
    EXPECT_LE(probe_key_row_count(graph, hash), 1u);
    for (uint64_t key = 0; key < 100; key++) {
        const uint32_t expected = key == 7 ? 2099 : key == 8 ? RHUMB__SLOT_NONE : static_cast<uint32_t>(key);
        EXPECT_EQ(probe_key_find(graph, key), expected);
    }
    probe_user_free(user);
    probe_graph_close(graph);
}

TEST_F(KeyTable, OverflowRowsThatASplitEmptiesAreUsedAgain) {
    // Keys that share a bucket while there are few, and part when the table grows: bits 4 to 10 of the hash differ.
    const uint64_t salt = probe_key_salt(graph_);
    uint32_t slot = 0;
    for (int wave = 0; wave < 3; wave++) {
        for (uint64_t i = 0; i < 600; i++, slot++) {
            const uint64_t hash = UINT64_C(5) | (i % 128) << 4 | (i + 1000 * wave) << 32;
            ASSERT_EQ(probe_key_add(graph_, unmix64(hash) ^ salt, slot, 0), RHUMB_OK);
        }
    }
    const uint64_t overflow_count = probe_key_overflow_count(graph_);
    EXPECT_GE(probe_key_row_count(graph_, 5), 1800 / 48);
    EXPECT_GE(overflow_count, 1800 / 48 - 1u);
    std::mt19937_64 random(2);
    for (uint64_t key_count = 1800; key_count < 80000; key_count++, slot++) {
        ASSERT_EQ(probe_key_add(graph_, random(), slot, key_count), RHUMB_OK);
    }
    const uint64_t grown_count = probe_key_overflow_count(graph_);
    for (uint64_t i = 0; i < 500; i++, slot++) {
        ASSERT_EQ(probe_key_add(graph_, colliding_key(i, salt), slot, 0), RHUMB_OK);
    }
    EXPECT_EQ(probe_key_overflow_count(graph_), grown_count) << "they took the rows that the splits gave back";
    for (int wave = 0; wave < 3; wave++) {
        for (uint64_t i = 0; i < 600; i++) {
            const uint64_t hash = UINT64_C(5) | (i % 128) << 4 | (i + 1000 * wave) << 32;
            ASSERT_EQ(probe_key_find(graph_, unmix64(hash) ^ salt), 600 * wave + i);
            ASSERT_LE(probe_key_row_count(graph_, hash), 3u) << "the keys have parted";
        }
    }
}

TEST_F(KeyTable, ExactlyOneOfManyThreadsAddsTheSameKey) {
    constexpr int thread_count = 4;
    constexpr uint64_t key_count = 8000;
    std::atomic<uint32_t> next_slot{0};
    std::vector<std::atomic<int>> wins(key_count);
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < thread_count; t++) {
        threads.emplace_back([&, t] {
            for (uint64_t i = 0; i < key_count; i++) {
                // Half of the threads go through the keys the other way round.
                const uint64_t key = t % 2 == 0 ? i : key_count - 1 - i;
                const uint32_t slot = next_slot.fetch_add(1);
                const rhumb_status status = probe_key_add(graph_, key * 977, slot, key_count);
                if (status == RHUMB_OK) wins[key].fetch_add(1);
                if (status != RHUMB_OK && status != RHUMB_E_EXISTS) wrong.fetch_add(1);
                if (probe_key_find(graph_, key * 977) == RHUMB__SLOT_NONE) wrong.fetch_add(1);
            }
        });
    }
    for (std::thread &thread : threads) thread.join();
    EXPECT_EQ(wrong.load(), 0);
    for (uint64_t key = 0; key < key_count; key++) ASSERT_EQ(wins[key].load(), 1) << key;
}

TEST(KeyTableInIndex, ExactlyOneOfManyThreadsInsertsTheSameKey) {
    ScratchDirectory directory;
    const index_test::Index index = index_test::create(directory.file("race"), index_test::index_options(2));
    constexpr uint64_t key_count = 400;
    std::atomic<size_t> win_count{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; t++) {
        threads.emplace_back([&, t] {
            for (uint64_t key = 0; key < key_count; key++) {
                const float vector[] = {static_cast<float>(key), static_cast<float>(t)};
                const rhumb_status status = rhumb_index_insert(index.get(), key, vector);
                if (status == RHUMB_OK) win_count.fetch_add(1);
                EXPECT_TRUE(status == RHUMB_OK || status == RHUMB_E_EXISTS) << index_test::last_error();
            }
        });
    }
    for (std::thread &thread : threads) thread.join();
    EXPECT_EQ(win_count.load(), key_count);
    EXPECT_EQ(rhumb_index_count(index.get()), key_count);
    index_test::expect_sound(index);
}

TEST(KeyTableInIndex, KeysOfOneBucketSurviveCheckpointsAndReopening) {
    ScratchDirectory directory;
    const std::string path = directory.file("adversary");
    rhumb_index_options options = index_test::index_options(1);
    options.M = 4;
    options.ef_construction = 8;
    const uint64_t salt = rhumb__mix64(options.seed ^ UINT64_C(0x6B6579735F74626C));
    constexpr uint64_t count = 4000; // more than a bucket that still splits may hold
    {
        const index_test::Index index = index_test::create(path, options);
        for (uint64_t i = 0; i < count; i++) {
            const float component = static_cast<float>(i * 37 % count);
            ASSERT_OK(rhumb_index_insert(index.get(), colliding_key(i, salt), &component));
            if (i % 1000 == 999) {
                ASSERT_OK(rhumb_index_checkpoint(index.get()));
            }
        }
        index_test::expect_sound(index);
    }
    for (bool read_only : {true, false}) {
        const index_test::Index index = index_test::open(path, read_only);
        for (uint64_t i = 0; i < count; i += 7) {
            float component = -1;
            ASSERT_OK(rhumb_index_get_vector(index.get(), colliding_key(i, salt), &component));
            ASSERT_EQ(component, static_cast<float>(i * 37 % count));
            ASSERT_FALSE(index_test::contains(index, colliding_key(i + count, salt)));
        }
        index_test::expect_sound(index);
    }
}

} // namespace
