// Goal: a filter may call what the manual lets it, on the very handle that searches, while another thread refreshes or
// compacts that handle: no two threads wait for each other. Method: a filter function makes every such call once
// the other thread is known to have begun; an alarm ends a test in which something hangs.
#include <atomic>
#include <chrono>
#include <thread>

#include "tests/support/index_test_support.h"

namespace index_test {
namespace {

constexpr uint32_t kDim = 4;
constexpr uint64_t kCount = 300;
constexpr unsigned kAlarmSeconds = 60;

struct Calls {
    rhumb_index *index;
    std::function<void()> make;
    std::atomic<bool> in_filter{false};
    std::atomic<bool> other_begun{false};
    bool made = false;
};

bool make_calls(void *context, uint64_t) {
    Calls &calls = *static_cast<Calls *>(context);
    if (calls.made) return true;
    calls.made = true;
    calls.in_filter = true;
    while (!calls.other_begun) std::this_thread::yield();
    // The other thread now waits for this search to end, or is about to.
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    calls.make();
    return true;
}

void read_everything(rhumb_index *index) {
    const float query[kDim] = {};
    uint64_t keys[5];
    float distances[5];
    float vector[kDim];
    const void *view = nullptr;
    size_t count = 0;
    uint32_t level = 0;
    bool found = false;
    char metadata[16];
    rhumb_index_stats stats;
    EXPECT_GE(rhumb_index_count(index), kCount);
    EXPECT_GT(rhumb_index_lsn(index), 0u);
    const uint64_t durable_lsn = rhumb_index_durable_lsn(index); // in this order: both grow
    EXPECT_LE(durable_lsn, rhumb_index_lsn(index));
    EXPECT_OK(rhumb_index_stats_get(index, &stats, sizeof stats));
    EXPECT_OK(rhumb_index_contains(index, 1, &found));
    EXPECT_TRUE(found);
    EXPECT_OK(rhumb_index_get_vector(index, 1, vector));
    EXPECT_OK(rhumb_index_vector_view(index, 1, &view));
    EXPECT_OK(rhumb_index_level(index, 1, &level));
    EXPECT_OK(rhumb_index_neighbours(index, 1, 0, keys, distances, 5, &count));
    EXPECT_OK(rhumb_index_metadata_get(index, metadata, sizeof metadata, &count));
    EXPECT_OK(rhumb_index_search(index, query, 5, nullptr, keys, distances, &count));
    EXPECT_OK(rhumb_index_search_batch(index, query, 1, 5, nullptr, keys, distances, &count));
    EXPECT_OK(rhumb_index_search_exact(index, query, 1, 5, nullptr, keys, distances, &count));
    EXPECT_OK(rhumb_index_search_like(index, 1, 5, nullptr, keys, distances, &count));
    EXPECT_OK(rhumb_index_search_radius(index, query, 1, 5, nullptr, keys, distances, &count));
    rhumb_iterator *iterator = nullptr;
    EXPECT_OK(rhumb_iterator_open(index, query, nullptr, &iterator));
    EXPECT_OK(rhumb_iterator_next(iterator, 5, keys, distances, &count));
    rhumb_iterator_close(iterator);
    rhumb_point_cursor *cursor = nullptr;
    EXPECT_OK(rhumb_point_cursor_open(index, 0, &cursor));
    EXPECT_OK(rhumb_point_cursor_next(cursor, 5, keys, nullptr, nullptr, &count));
    rhumb_point_cursor_close(cursor);
}

void change_everything(rhumb_index *index) {
    const float vector[kDim] = {1, 2, 3, 4};
    const uint64_t keys[2] = {5001, 5002};
    const float vectors[2 * kDim] = {};
    size_t count = 0;
    EXPECT_OK(rhumb_index_insert(index, 5000, vector));
    EXPECT_OK(rhumb_index_insert_batch(index, keys, vectors, 2, nullptr, &count));
    EXPECT_OK(rhumb_index_upsert(index, 5000, vector));
    EXPECT_OK(rhumb_index_delete(index, 5000));
    EXPECT_OK(rhumb_index_sync(index));
    EXPECT_OK(rhumb_index_compact_cancel(index));
}

class FilterCalls : public ::testing::Test {
  protected:
    void SetUp() override {
        alarm(kAlarmSeconds);
        path_ = directory_.file("index.rhumb");
        writer_ = create(path_, index_options(kDim));
        for (uint64_t key = 0; key < kCount; key++) insert(key);
        ASSERT_OK(rhumb_index_checkpoint(writer_.get()));
    }
    void TearDown() override { alarm(0); }
    void insert(uint64_t key) {
        float vector[kDim];
        for (float &component : vector) component = std::uniform_real_distribution<float>()(random_);
        ASSERT_OK(rhumb_index_insert(writer_.get(), key, vector));
    }
    // Searches `index`, and makes the calls inside the filter, while `other` runs.
    void run(rhumb_index *index, const std::function<void()> &other, const std::function<void()> &make) {
        Calls calls{index, make};
        std::thread beside([&] {
            while (!calls.in_filter) std::this_thread::yield();
            calls.other_begun = true;
            other();
        });
        const float query[kDim] = {};
        uint64_t keys[10];
        size_t found = 0;
        rhumb_filter filter;
        rhumb_filter_init(&filter, sizeof filter);
        filter.kind = RHUMB_FILTER_CALLBACK;
        filter.matches = make_calls;
        filter.context = &calls;
        rhumb_search_options options;
        rhumb_search_options_init(&options, sizeof options);
        options.filter = &filter;
        EXPECT_OK(rhumb_index_search(index, query, 10, &options, keys, nullptr, &found));
        beside.join();
        EXPECT_TRUE(calls.made);
        EXPECT_EQ(10u, found);
    }

    ScratchDirectory directory_;
    std::mt19937 random_{7};
    std::string path_;
    Index writer_;
};

TEST_F(FilterCalls, InquiriesReturnWhileTheReaderIsRefreshed) {
    Index reader = open(path_, true);
    insert(1000);
    ASSERT_OK(rhumb_index_checkpoint(writer_.get()));
    bool changed = false;
    run(
        reader.get(), [&] { EXPECT_OK(rhumb_index_refresh(reader.get(), &changed)); },
        [&] { read_everything(reader.get()); });
    EXPECT_TRUE(changed);
    EXPECT_EQ(kCount + 1, rhumb_index_count(reader.get()));
}

TEST_F(FilterCalls, InquiriesAndChangesReturnWhileTheIndexIsCompacted) {
    for (uint64_t key = 100; key < 120; key++) ASSERT_OK(rhumb_index_delete(writer_.get(), key));
    for (uint64_t key = 2000; key < 2020; key++) insert(key);
    run(
        writer_.get(), [&] { (void)!rhumb_index_compact(writer_.get(), nullptr, nullptr, 0); },
        [&] {
            read_everything(writer_.get());
            change_everything(writer_.get());
        });
    EXPECT_EQ(kCount + 2, rhumb_index_count(writer_.get()));
}

TEST_F(FilterCalls, InquiriesAndChangesReturnDuringACheckpoint) {
    insert(3000);
    run(
        writer_.get(), [&] { EXPECT_OK(rhumb_index_checkpoint(writer_.get())); },
        [&] {
            read_everything(writer_.get());
            change_everything(writer_.get());
        });
    EXPECT_EQ(kCount + 3, rhumb_index_count(writer_.get()));
}

} // namespace
} // namespace index_test
