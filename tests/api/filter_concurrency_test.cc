// Goal: during inserts, deletes and upserts, a filtered search returns matching keys only, each once, and finds the
// keys that stay; an iterator lists each key at most once, and all that stay. The presubmit runs some thousand queries;
// RHUMB_FILTER_QUERIES sets another number.
#include <atomic>
#include <thread>

#include "tests/support/index_test_support.h"

namespace index_test {
namespace {

constexpr uint32_t kDim = 16;
constexpr uint64_t kVectorCount = 1200;
constexpr uint64_t kKeyLimit = 2400; // keys are below; the first half is there at the beginning
constexpr uint64_t kStay = 50;       // its multiples stay as they are. Of the others, even ones come and go

#if defined(__SANITIZE_THREAD__)
constexpr size_t kQueryCount = 400; // each takes much longer there
#else
constexpr size_t kQueryCount = 4000;
#endif

struct Remainder {
    uint64_t modulus, rest;
    bool negate;
};

bool has_remainder(void *context, uint64_t key) {
    const Remainder &remainder = *static_cast<const Remainder *>(context);
    return (key % remainder.modulus == remainder.rest) != remainder.negate;
}

class FilterConcurrency : public ::testing::Test {
  protected:
    void SetUp() override {
        rhumb_index_options options = index_options(kDim);
        options.M = 8;
        options.ef_construction = 40;
        index_ = create_with_durability(directory_.file("index.rhumb"), options, RHUMB_DURABILITY_NONE);
        insert_all(index_, vectors_, 0, 2);
        writer_ = std::thread([this] { write(); });
    }
    void TearDown() override {
        stopped_ = true;
        writer_.join();
    }
    void write() {
        std::mt19937_64 random(seed_);
        while (!stopped_) {
            const uint64_t key = random() % kKeyLimit;
            if (key % kStay == 0) continue;
            const float *row = vectors_.row(random() % kVectorCount);
            rhumb_status status;
            if (key % 2 == 1) {
                status = rhumb_index_upsert(index_.get(), key, row);
            } else if (random() % 2 == 0) {
                status = rhumb_index_insert(index_.get(), key, row);
            } else {
                status = rhumb_index_delete(index_.get(), key);
            }
            ASSERT_TRUE(status == RHUMB_OK || status == RHUMB_E_EXISTS || status == RHUMB_E_NOTFOUND);
        }
    }
    // One search with a filter drawn at random.
    void ask(std::mt19937_64 &random) {
        const uint64_t modulus = std::vector<uint64_t>{1, 2, 3, 10, 50, 600}[random() % 6];
        Remainder remainder = {modulus, random() % modulus, random() % 2 == 0};
        std::vector<uint64_t> listed;
        std::vector<uint8_t> bitmap(kKeyLimit / 8);
        for (uint64_t key = 0; key < kKeyLimit; key++) {
            if (key % modulus != remainder.rest) continue;
            listed.push_back(key);
            bitmap[key / 8] = static_cast<uint8_t>(bitmap[key / 8] | 1 << key % 8);
        }
        rhumb_filter filter;
        rhumb_filter_init(&filter, sizeof filter);
        filter.kind = static_cast<rhumb_filter_kind>(1 + random() % 3);
        filter.plan = static_cast<rhumb_filter_plan>(random() % 4);
        filter.negate = remainder.negate && filter.kind != RHUMB_FILTER_CALLBACK;
        filter.keys = listed.data();
        filter.key_count = listed.size();
        filter.bitmap = bitmap.data();
        filter.bitmap_bit_count = kKeyLimit;
        filter.matches = has_remainder;
        filter.context = &remainder;
        rhumb_search_options options = search_options(40);
        options.filter = &filter;
        uint64_t keys[10];
        size_t found_count = 0;
        ASSERT_OK(rhumb_index_search(index_.get(), vectors_.row(random() % kVectorCount), 10, &options, keys, nullptr,
                                     &found_count));
        const std::set<uint64_t> found(keys, keys + found_count);
        ASSERT_EQ(found.size(), found_count) << "a key came twice";
        for (uint64_t key : found) ASSERT_TRUE(has_remainder(&remainder, key)) << key << " does not match";
        if (modulus == 600 && remainder.rest == 0 && !remainder.negate) {
            ASSERT_EQ(found, (std::set<uint64_t>{0, 600})) << "1200 and 1800 were never there";
        } else if (modulus <= 10 && !(modulus == 1 && remainder.negate)) {
            ASSERT_EQ(found_count, 10u);
        }
    }

    const uint64_t seed_ = choose_seed();
    const Vectors vectors_ = clustered_vectors(kVectorCount, kDim, 10, 500, 501);
    ScratchDirectory directory_;
    Index index_;
    std::atomic<bool> stopped_{false};
    std::thread writer_;
};

TEST_F(FilterConcurrency, ReturnsMatchingKeysOnly) {
    const char *text = getenv("RHUMB_FILTER_QUERIES");
    const size_t query_limit = text != nullptr ? strtoull(text, nullptr, 0) : kQueryCount;
    std::atomic<size_t> query_count{0};
    std::vector<std::thread> searchers;
    for (uint64_t t = 0; t < 2; t++) {
        searchers.emplace_back([&, t] {
            std::mt19937_64 random(seed_ + 1 + t);
            while (query_count++ < query_limit && !HasFatalFailure()) ask(random);
        });
    }
    for (std::thread &searcher : searchers) searcher.join();
}

TEST_F(FilterConcurrency, IteratorsAndRadiiNameNoKeyTwice) {
    std::mt19937_64 random(seed_ + 1);
    Remainder thirds = {3, 0, false};
    rhumb_filter filter;
    rhumb_filter_init(&filter, sizeof filter);
    filter.kind = RHUMB_FILTER_CALLBACK;
    filter.matches = has_remainder;
    filter.context = &thirds;
    for (int round = 0; round < 15; round++) {
        rhumb_search_options options = search_options(40);
        options.filter = round % 3 == 0 ? &filter : nullptr;
        const float *query = vectors_.row(random() % kVectorCount);
        rhumb_iterator *iterator = nullptr;
        ASSERT_OK(rhumb_iterator_open(index_.get(), query, &options, &iterator));
        std::vector<uint64_t> keys(kKeyLimit), listed;
        for (size_t found_count = 1; found_count > 0;) {
            ASSERT_OK(rhumb_iterator_next(iterator, 1 + random() % 700, keys.data(), nullptr, &found_count));
            listed.insert(listed.end(), keys.begin(), keys.begin() + static_cast<long>(found_count));
        }
        rhumb_iterator_close(iterator);
        const std::set<uint64_t> distinct(listed.begin(), listed.end());
        EXPECT_EQ(distinct.size(), listed.size());
        for (uint64_t key = 0; key < kVectorCount; key += kStay) {
            if (round % 3 == 0 && key % 3 != 0) continue;
            EXPECT_EQ(distinct.count(key), 1u) << key << " was there all the time";
        }
        size_t found_count = 0;
        ASSERT_OK(
            rhumb_index_search_radius(index_.get(), query, 3, kKeyLimit, &options, keys.data(), nullptr, &found_count));
        EXPECT_EQ(std::set<uint64_t>(keys.begin(), keys.begin() + static_cast<long>(found_count)).size(), found_count);
    }
}

} // namespace
} // namespace index_test
