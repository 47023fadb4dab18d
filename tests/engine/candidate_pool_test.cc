// Goal: the candidate pool keeps the nearest candidates in order and returns them nearest first, each once; the visited
// set is a set that can be emptied at once. Method: random operations, compared with a std::vector and a std::set.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <vector>

extern "C" {
#include "engine/search/walk/candidate_pool.h"
}

#include "tests/engine/engine_probe.h"
#include "tests/support/index_test_support.h"

namespace {

struct Entry {
    float distance;
    uint32_t slot;
    bool expanded;
};

// What the pool should do, the slow way.
class Reference {
  public:
    explicit Reference(size_t capacity) : capacity_(capacity) {}
    bool accepts(float distance) const { return entries_.size() < capacity_ || distance < entries_.back().distance; }
    void add(uint32_t slot, float distance, bool expanded) {
        if (!accepts(distance)) return;
        const auto place = std::find_if(entries_.begin(), entries_.end(),
                                        [&](const Entry &entry) { return entry.distance > distance; });
        entries_.insert(place, Entry{distance, slot, expanded});
        if (entries_.size() > capacity_) entries_.pop_back();
    }
    Entry *next() {
        const auto found = std::find_if(entries_.begin(), entries_.end(), [](const Entry &e) { return !e.expanded; });
        return found == entries_.end() ? nullptr : &*found;
    }
    Entry shift() {
        const Entry first = entries_.front();
        entries_.erase(entries_.begin());
        return first;
    }
    const std::vector<Entry> &entries() const { return entries_; }

  private:
    size_t capacity_;
    std::vector<Entry> entries_;
};

void expect_same(const rhumb__candidate_pool &pool, const Reference &reference) {
    ASSERT_EQ(pool.count, reference.entries().size());
    for (uint32_t i = 0; i < pool.count; i++) {
        const Entry &expected = reference.entries()[i];
        ASSERT_EQ(pool.entries[i].distance, expected.distance) << i;
        ASSERT_EQ(rhumb__candidate_slot(pool.entries[i]), expected.slot) << i;
        ASSERT_EQ((pool.entries[i].slot_mark & RHUMB__CANDIDATE_EXPANDED) != 0, expected.expanded) << i;
    }
}

TEST(CandidatePool, BehavesLikeASortedListUnderRandomOperations) {
    std::mt19937_64 random(index_test::choose_seed());
    for (uint32_t capacity : {1u, 2u, 3u, 10u, 100u}) {
        std::vector<rhumb__candidate> memory(capacity + 1);
        rhumb__candidate_pool pool = {};
        pool.entries = memory.data();
        for (int round = 0; round < 50; round++) {
            rhumb__candidate_pool_clear(&pool, capacity);
            Reference reference(capacity);
            const uint32_t spread = round % 2 == 0 ? 8 : 1000000; // many equal distances, or hardly any
            for (uint32_t step = 0; step < 400; step++) {
                if (random() % 10 == 0 && pool.count > 0) {
                    const Entry expected = reference.shift();
                    const rhumb__candidate first = rhumb__candidate_pool_shift(&pool);
                    ASSERT_EQ(rhumb__candidate_slot(first), expected.slot);
                    ASSERT_EQ((first.slot_mark & RHUMB__CANDIDATE_EXPANDED) != 0, expected.expanded);
                } else if (random() % 4 != 0) {
                    const float distance = static_cast<float>(random() % spread) - 3;
                    const uint32_t slot = static_cast<uint32_t>(random()) & ~RHUMB__CANDIDATE_EXPANDED;
                    ASSERT_EQ(rhumb__candidate_pool_accepts(&pool, distance), reference.accepts(distance));
                    const bool expanded = random() % 8 == 0;
                    rhumb__candidate_pool_add(&pool, expanded ? slot | RHUMB__CANDIDATE_EXPANDED : slot, distance);
                    reference.add(slot, distance, expanded);
                } else {
                    uint32_t slot = 0, peeked = 0;
                    Entry *expected = reference.next();
                    ASSERT_EQ(rhumb__candidate_pool_peek(&pool, &peeked), expected != nullptr);
                    ASSERT_EQ(rhumb__candidate_pool_take(&pool, &slot), expected != nullptr);
                    if (expected != nullptr) {
                        EXPECT_EQ(peeked, slot);
                        ASSERT_EQ(slot, expected->slot);
                        expected->expanded = true;
                    }
                }
                ASSERT_NO_FATAL_FAILURE(expect_same(pool, reference));
            }
        }
    }
}

TEST(CandidatePool, KeepsInfinityAndNegativeDistancesInOrder) {
    std::vector<rhumb__candidate> memory(4);
    rhumb__candidate_pool pool = {};
    pool.entries = memory.data();
    rhumb__candidate_pool_clear(&pool, 3);
    const float infinity = std::numeric_limits<float>::infinity();
    rhumb__candidate_pool_add(&pool, 1, infinity);
    rhumb__candidate_pool_add(&pool, 2, -std::numeric_limits<float>::max());
    rhumb__candidate_pool_add(&pool, 3, 0);
    EXPECT_FALSE(rhumb__candidate_pool_accepts(&pool, infinity));
    rhumb__candidate_pool_add(&pool, 4, 1);
    ASSERT_EQ(pool.count, 3u);
    EXPECT_EQ(rhumb__candidate_slot(pool.entries[0]), 2u);
    EXPECT_EQ(rhumb__candidate_slot(pool.entries[1]), 3u);
    EXPECT_EQ(rhumb__candidate_slot(pool.entries[2]), 4u);
}

TEST(Visited, IsASetThatIsEmptiedAtOnce) {
    std::mt19937_64 random(index_test::choose_seed());
    probe_visited *visited = probe_visited_new();
    ASSERT_NE(visited, nullptr);
    uint64_t limit = 1;
    std::set<uint32_t> reference;
    probe_visited_clear(visited);
    ASSERT_TRUE(probe_visited_reserve(visited, limit));
    for (int step = 0; step < 200000; step++) {
        switch (random() % 2000) {
        case 0:
            probe_visited_clear(visited);
            reference.clear();
            break;
        case 1: // growth keeps what is in the set
            limit += random() % 3000;
            ASSERT_TRUE(probe_visited_reserve(visited, limit));
            break;
        default: {
            const uint32_t slot = static_cast<uint32_t>(random() % limit);
            ASSERT_EQ(probe_visited_add(visited, slot), !reference.insert(slot).second) << slot;
        }
        }
    }
    probe_visited_free(visited);
}

} // namespace
