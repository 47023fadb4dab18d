// Goal: the candidate pool, small or large, keeps the nearest candidates in order and returns them nearest first, each
// once, in a time that does not grow with the square of its capacity; the visited set is a set that can be emptied at
// once. Method: random operations, compared with a std::vector and a std::set.
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
    std::vector<Entry *> waiting(size_t count_max) {
        std::vector<Entry *> found;
        for (Entry &entry : entries_) {
            if (!entry.expanded && found.size() < count_max) found.push_back(&entry);
        }
        return found;
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

// A pool of one capacity, its memory and what it should hold.
class Trial {
  public:
    Trial(std::mt19937_64 &random, uint32_t capacity, uint32_t spread)
        : random_(random), spread_(spread), memory_(rhumb__candidate_pool_room(capacity)), reference_(capacity) {
        pool_.entries = memory_.data();
        rhumb__candidate_pool_clear(&pool_, capacity);
    }

    void add() {
        const float distance = static_cast<float>(random_() % spread_) - 3;
        const uint32_t slot = static_cast<uint32_t>(random_()) & ~RHUMB__CANDIDATE_EXPANDED;
        ASSERT_EQ(rhumb__candidate_pool_accepts(&pool_, distance), reference_.accepts(distance));
        const bool expanded = random_() % 8 == 0;
        rhumb__candidate_pool_add(&pool_, expanded ? slot | RHUMB__CANDIDATE_EXPANDED : slot, distance);
        reference_.add(slot, distance, expanded);
        ASSERT_EQ(rhumb__candidate_pool_farthest(&pool_).distance, reference_.entries().back().distance);
    }
    void take() {
        uint32_t slot = 0, peeked = 0;
        Entry *expected = reference_.next();
        ASSERT_EQ(rhumb__candidate_pool_peek(&pool_, &peeked), expected != nullptr);
        ASSERT_EQ(rhumb__candidate_pool_take(&pool_, &slot), expected != nullptr);
        if (expected == nullptr) return;
        EXPECT_EQ(peeked, slot);
        ASSERT_EQ(slot, expected->slot);
        expected->expanded = true;
    }
    // Takes one of the nearest, not always the nearest.
    void choose() {
        uint32_t slots[5];
        const uint32_t count = rhumb__candidate_pool_waiting(&pool_, slots, 5);
        const std::vector<Entry *> expected = reference_.waiting(5);
        ASSERT_EQ(count, expected.size());
        for (uint32_t i = 0; i < count; i++) ASSERT_EQ(slots[i], expected[i]->slot);
        if (count == 0) return;
        const uint32_t chosen = static_cast<uint32_t>(random_() % count);
        rhumb__candidate_pool_expand(&pool_, slots[chosen]);
        expected[chosen]->expanded = true;
    }
    void shift() {
        if (pool_.count == 0) return;
        const Entry expected = reference_.shift();
        const rhumb__candidate first = rhumb__candidate_pool_shift(&pool_);
        ASSERT_EQ(rhumb__candidate_slot(first), expected.slot);
        ASSERT_EQ((first.slot_mark & RHUMB__CANDIDATE_EXPANDED) != 0, expected.expanded);
    }
    void step() {
        if (random_() % 10 == 0) return shift();
        if (random_() % 10 == 0) return choose();
        if (random_() % 4 != 0) return add();
        take();
    }
    void compare() {
        rhumb__candidate_pool_settle(&pool_);
        expect_same(pool_, reference_);
    }

  private:
    std::mt19937_64 &random_;
    uint32_t spread_; // of distances: many are equal, or hardly any
    std::vector<rhumb__candidate> memory_;
    rhumb__candidate_pool pool_ = {};
    Reference reference_;
};

TEST(CandidatePool, BehavesLikeASortedListUnderRandomOperations) {
    std::mt19937_64 random(index_test::choose_seed());
    for (uint32_t capacity : {1u, 2u, 3u, 10u, 100u}) {
        for (int round = 0; round < 50; round++) {
            Trial trial(random, capacity, round % 2 == 0 ? 8 : 1000000);
            for (uint32_t step = 0; step < 400; step++) {
                ASSERT_NO_FATAL_FAILURE(trial.step());
                ASSERT_NO_FATAL_FAILURE(trial.compare());
            }
        }
    }
}

// Settled now and then, so that candidates are in both arrays most of the time.
TEST(CandidatePool, BehavesLikeASortedListWhenItIsLarge) {
    std::mt19937_64 random(index_test::choose_seed());
    for (const uint32_t capacity : {RHUMB__SMALL_POOL_MAX + 1, 2 * RHUMB__SMALL_POOL_MAX}) {
        for (const uint32_t spread : {8u, 3000u, 1000000u}) {
            Trial trial(random, capacity, spread);
            for (uint32_t i = 0; i < capacity + 300; i++) ASSERT_NO_FATAL_FAILURE(trial.add());
            for (uint32_t step = 0; step < 6000; step++) {
                ASSERT_NO_FATAL_FAILURE(trial.step());
                if (random() % 500 != 0) continue;
                ASSERT_NO_FATAL_FAILURE(trial.compare());
            }
            for (uint32_t step = 0; step < capacity; step++) ASSERT_NO_FATAL_FAILURE(trial.take());
            ASSERT_NO_FATAL_FAILURE(trial.compare());
            for (uint32_t step = 0; step < capacity; step++) ASSERT_NO_FATAL_FAILURE(trial.shift());
        }
    }
}

// Candidates that come nearer and nearer are the worst case of an array: each of them moves all others.
TEST(CandidatePool, ALargeOneTakesCandidatesInAboutTheTimeOfASmallOne) {
    const auto fill_ns = [](uint32_t capacity) {
        const uint32_t count = 400000;
        std::vector<rhumb__candidate> memory(rhumb__candidate_pool_room(capacity));
        double best = 1e18;
        for (int repetition = 0; repetition < 3; repetition++) {
            rhumb__candidate_pool pool = {};
            pool.entries = memory.data();
            rhumb__candidate_pool_clear(&pool, capacity);
            timespec begin = {}, end = {};
            clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
            for (uint32_t i = 0; i < count; i++) {
                rhumb__candidate_pool_add(&pool, i, static_cast<float>(count - i));
            }
            clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
            best = std::min(best, static_cast<double>(end.tv_sec - begin.tv_sec) * 1e9 +
                                      static_cast<double>(end.tv_nsec - begin.tv_nsec));
        }
        return best / count;
    };
    const double small_ns = fill_ns(RHUMB__SMALL_POOL_MAX);
    // 64 times the capacity: an array takes 64 times as long or, beyond the cache, longer.
    EXPECT_LT(fill_ns(64 * RHUMB__SMALL_POOL_MAX), 16 * small_ns);
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
