// Goal: compacting in place loses no concurrent operation, releases the space, and leaves the index as it was when it
// is cancelled. Method: compactions between and during inserts, deletes, upserts, batches and searches, each thread
// with keys of its own, so that it knows what must be there; readers that keep their version.
#include <atomic>
#include <chrono>
#include <map>
#include <thread>

#include "tests/support/index_test_support.h"
#include "tests/support/sanitized.h"

namespace index_test {
namespace {

constexpr uint32_t kDim = 24;

// Vectors in an index, a multiple of three.
constexpr size_t kCount = rhumb_test::kSanitized ? 1800 : 6000;

// A thread with keys of its own, and what must be there under them.
struct Churner {
    uint64_t first_key;
    std::map<uint64_t, size_t> rows; // key to row
};

class CompactInPlace : public ::testing::Test {
  protected:
    static rhumb_index_options build_options() {
        rhumb_index_options options = index_options(kDim, RHUMB_METRIC_L2);
        options.M = 8;
        options.ef_construction = 60;
        options.open = &never();
        return options;
    }
    // Compactions begin only on request.
    static const rhumb_open_options &never() {
        static rhumb_open_options options = [] {
            rhumb_open_options value;
            rhumb_open_options_init(&value, sizeof value);
            value.durability = RHUMB_DURABILITY_INTERVAL;
            value.compact_dead_share = 1;
            return value;
        }();
        return options;
    }
    Index build(size_t count) {
        Index index = create(path_, build_options());
        EXPECT_OK(rhumb_index_insert_batch(index.get(), nullptr, vectors_.components.data(), count, nullptr, nullptr));
        return index;
    }
    static rhumb_compact_report compact(const Index &index, bool shrink = false) {
        rhumb_compact_options options;
        rhumb_compact_options_init(&options, sizeof options);
        options.shrink = shrink;
        rhumb_compact_report report = {};
        EXPECT_OK(rhumb_index_compact(index.get(), &options, &report, sizeof report));
        return report;
    }
    void expect_vector(const Index &index, uint64_t key, size_t row) {
        std::vector<float> stored(kDim);
        ASSERT_OK(rhumb_index_get_vector(index.get(), key, stored.data())) << key;
        ASSERT_EQ(memcmp(stored.data(), vectors_.row(row), kDim * sizeof(float)), 0) << key;
    }
    // Every third deleted.
    void expect_thinned(const Index &index, size_t count) {
        EXPECT_EQ(rhumb_index_count(index.get()), count - (count + 2) / 3);
        for (size_t i = 0; i < count; i++) {
            if (i % 3 == 0) {
                ASSERT_FALSE(contains(index, i)) << i;
            } else {
                expect_vector(index, i, i);
            }
        }
    }
    static uint64_t allocated_bytes(const std::string &path) {
        struct stat status = {};
        EXPECT_EQ(stat(path.c_str(), &status), 0);
        return static_cast<uint64_t>(status.st_blocks) * 512;
    }

    // A random operation; its status must be the one that the content implies.
    void change_something(const Index &index, Churner *churner, std::mt19937_64 &random) {
        const uint64_t key = churner->first_key + random() % 300;
        const size_t row = random() % 12000;
        const bool known = churner->rows.count(key) != 0;
        switch (random() % 4) {
        case 0:
            EXPECT_EQ(rhumb_index_insert(index.get(), key, vectors_.row(row)), known ? RHUMB_E_EXISTS : RHUMB_OK);
            if (!known) churner->rows[key] = row;
            break;
        case 1:
            EXPECT_OK(rhumb_index_upsert(index.get(), key, vectors_.row(row)));
            churner->rows[key] = row;
            break;
        case 2:
            EXPECT_EQ(rhumb_index_delete(index.get(), key), known ? RHUMB_OK : RHUMB_E_NOTFOUND);
            churner->rows.erase(key);
            break;
        default:
            const uint64_t keys[3] = {churner->first_key + 1000 + random() % 50, key, key + 500};
            rhumb_batch_options options;
            rhumb_batch_options_init(&options, sizeof options);
            options.thread_count = 1;
            options.partial = random() % 2 == 0;
            std::vector<float> rows(vectors_.row(row % 11000), vectors_.row(row % 11000) + 3 * kDim);
            size_t inserted = 0;
            const rhumb_status status =
                rhumb_index_insert_batch(index.get(), keys, rows.data(), 3, &options, &inserted);
            EXPECT_TRUE(status == RHUMB_OK || status == RHUMB_E_EXISTS) << last_error();
            for (size_t i = 0; i < (options.partial ? inserted : status == RHUMB_OK ? 3 : 0); i++) {
                churner->rows[keys[i]] = row % 11000 + i;
            }
        }
    }

    ScratchDirectory directory_;
    const std::string path_ = directory_.file("index.rhumb");
    const Vectors vectors_ = clustered_vectors(12000, kDim, 30, 100, 401);
};

TEST_F(CompactInPlace, DropsWhatIsDeletedAndKeepsTheRest) {
    const size_t count = kCount;
    {
        const Index index = build(count);
        for (size_t i = 0; i < count; i += 3) ASSERT_OK(rhumb_index_delete(index.get(), i));
        const uint64_t lsn = rhumb_index_lsn(index.get());
        const rhumb_compact_report report = compact(index);
        EXPECT_EQ(report.count, count / 3 * 2);
        EXPECT_EQ(report.dropped_count, count / 3);
        EXPECT_EQ(report.unreachable_count, 0u);
        EXPECT_EQ(stats(index).slot_count, count / 3 * 2);
        EXPECT_EQ(stats(index).compaction_count, 1u);
        EXPECT_EQ(rhumb_index_lsn(index.get()), lsn) << "a compaction is no operation";
        expect_thinned(index, count);
        EXPECT_EQ(expect_sound(index).unreachable_count, 0u);
        // The index continues to work.
        ASSERT_OK(rhumb_index_insert_batch(index.get(), nullptr, vectors_.row(count), 500, nullptr, nullptr));
        EXPECT_TRUE(contains(index, count)) << "keys go on above the largest ever inserted";
        for (size_t i = 0; i < 500; i++) ASSERT_OK(rhumb_index_delete(index.get(), count + i));
        expect_sound(index);
    }
    const Index again = open(path_, false);
    expect_thinned(again, count);
    expect_sound(again);
}

TEST_F(CompactInPlace, ReleasesTheSpaceAsHolesOrAsAShorterFile) {
    const size_t count = kCount * (rhumb_test::kSanitized ? 5 : 3) / 2;
    const Index index = build(count);
    ASSERT_OK(rhumb_index_checkpoint(index.get()));
    const uint64_t full_bytes = allocated_bytes(path_);
    for (size_t i = 0; i < count; i++) {
        if (i % 3 == 0) continue;
        ASSERT_OK(rhumb_index_delete(index.get(), i));
    }
    // A third of the rows is left; of a small index the blocks that every section has at least are most.
    const uint64_t limit_bytes = rhumb_test::kSanitized ? full_bytes / 4 * 3 : full_bytes / 2;
    compact(index);
    EXPECT_LT(allocated_bytes(path_), limit_bytes);
    compact(index, true);
    EXPECT_LT(std::filesystem::file_size(path_), limit_bytes);
    expect_sound(index);
    for (size_t i = 0; i < count; i += 3) expect_vector(index, i, i);
    // A reader that is open now sees the same.
    const Index reader = open(path_, true);
    for (size_t i = 0; i < count; i += 3) expect_vector(reader, i, i);
    EXPECT_EQ(expect_sound(reader).unreachable_count, 0u);
}

// Two sections were once placed in the same blocks when there was no free space before them.
TEST_F(CompactInPlace, MovesNothingToTheFrontWhereThereIsNoRoom) {
    Index index = build(100);
    std::vector<Index> readers; // which pin the space
    for (size_t round = 0; round < 8; round++) {
        ASSERT_OK(rhumb_index_insert_batch(index.get(), nullptr, vectors_.row(100 * round), 100, nullptr, nullptr));
        ASSERT_OK(rhumb_index_checkpoint(index.get()));
        readers.push_back(open(path_, true));
        compact(index, true);
        index.reset();
        index = open(path_, false); // which checks every extent
        expect_sound(index);
    }
    EXPECT_EQ(rhumb_index_count(index.get()), 900u);
}

TEST_F(CompactInPlace, AnEmptyIndexAndOneOfDeletedNodesOnlyAreCompactedToo) {
    const Index index = build(0);
    compact(index);
    ASSERT_OK(rhumb_index_insert_batch(index.get(), nullptr, vectors_.row(0), 100, nullptr, nullptr));
    for (uint64_t i = 0; i < 100; i++) ASSERT_OK(rhumb_index_delete(index.get(), i));
    compact(index, true);
    EXPECT_EQ(stats(index).slot_count, 0u);
    ASSERT_OK(rhumb_index_insert(index.get(), 7, vectors_.row(7)));
    expect_vector(index, 7, 7);
    expect_sound(index);
}

TEST_F(CompactInPlace, AReaderKeepsItsVersionAndItsSpaceIsReleasedAfterwards) {
    const size_t count = kCount;
    const Index index = build(count);
    ASSERT_OK(rhumb_index_checkpoint(index.get()));
    {
        const Index reader = open(path_, true);
        const uint64_t epoch = stats(reader).epoch;
        for (size_t i = 0; i < count; i++) {
            if (i % 3 == 0) continue;
            ASSERT_OK(rhumb_index_delete(index.get(), i));
        }
        compact(index);
        compact(index);
        const uint64_t pinned_bytes = allocated_bytes(path_);
        for (size_t i = 0; i < count; i++) expect_vector(reader, i, i);
        EXPECT_EQ(stats(reader).epoch, epoch);
        bool changed = false;
        ASSERT_OK(rhumb_index_refresh(reader.get(), &changed));
        EXPECT_TRUE(changed);
        EXPECT_EQ(rhumb_index_count(reader.get()), count / 3);
        // The space is released automatically, within a minute even on a slow machine.
        for (int i = 0; i < 600 && allocated_bytes(path_) >= pinned_bytes / 2; i++) {
            std::this_thread::sleep_for(std::chrono::milliseconds(100));
        }
        EXPECT_LT(allocated_bytes(path_), pinned_bytes / 2);
        for (size_t i = 0; i < count; i += 3) expect_vector(reader, i, i);
    }
    expect_sound(index);
}

TEST_F(CompactInPlace, StoppedLeavesTheIndexAsItWasAndTheNextOneWorks) {
    const size_t count = kCount;
    const Index index = build(count);
    for (size_t i = 0; i < count; i += 3) ASSERT_OK(rhumb_index_delete(index.get(), i));
    std::mt19937_64 random(402);
    for (int round = 0; round < 6; round++) {
        int calls_left = static_cast<int>(random() % 3);
        rhumb_compact_options options;
        rhumb_compact_options_init(&options, sizeof options);
        options.bytes_per_second = 1 << 20; // slow enough to be stopped somewhere
        options.progress_context = &calls_left;
        options.progress = [](void *context, uint64_t, uint64_t) { return (*static_cast<int *>(context))-- > 0; };
        ASSERT_EQ(rhumb_index_compact(index.get(), &options, nullptr, 0), RHUMB_E_CANCELLED);
        ASSERT_OK(rhumb_index_insert(index.get(), 100000 + static_cast<uint64_t>(round), vectors_.row(0)));
        ASSERT_OK(rhumb_index_delete(index.get(), 100000 + static_cast<uint64_t>(round)));
    }
    EXPECT_EQ(stats(index).compaction_count, 0u);
    expect_thinned(index, count);
    expect_sound(index);
    compact(index);
    expect_thinned(index, count);
    EXPECT_EQ(expect_sound(index).unreachable_count, 0u);
}

// The budget of the rate begins when vectors begin to be written: otherwise the time that ordering took would allow as
// much to be written at once.
TEST_F(CompactInPlace, KeepsToItsRateHoweverLongOrderingHasTaken) {
    using Clock = std::chrono::steady_clock;
    const Index index = build(1000);
    Clock::time_point ordered; // a little before it has been
    rhumb_compact_options options;
    rhumb_compact_options_init(&options, sizeof options);
    options.bytes_per_second = 300000;
    options.progress_context = &ordered;
    options.progress = [](void *context, uint64_t done_count, uint64_t) {
        Clock::time_point &when = *static_cast<Clock::time_point *>(context);
        if (when != Clock::time_point()) return true;
        EXPECT_EQ(done_count, 0u);
        std::this_thread::sleep_for(std::chrono::milliseconds(400));
        when = Clock::now();
        return true;
    };
    ASSERT_OK(rhumb_index_compact(index.get(), &options, nullptr, 0));
    ASSERT_NE(ordered, Clock::time_point());
    const std::chrono::duration<double> since = Clock::now() - ordered;
    EXPECT_GE(since.count(), 1000.0 * kDim * sizeof(float) / 300000);
}

TEST_F(CompactInPlace, BeginsByItselfWhenManyAreDeleted) {
    rhumb_open_options open_options;
    rhumb_open_options_init(&open_options, sizeof open_options);
    open_options.durability = RHUMB_DURABILITY_INTERVAL;
    rhumb_index_options options = build_options();
    options.open = &open_options;
    const size_t count = 6000;
    const Index index = create(path_, options);
    ASSERT_OK(rhumb_index_insert_batch(index.get(), nullptr, vectors_.components.data(), count, nullptr, nullptr));
    for (size_t i = 0; i < count; i += 3) ASSERT_OK(rhumb_index_delete(index.get(), i));
    ASSERT_OK(rhumb_index_wait_idle(index.get()));
    EXPECT_GE(stats(index).compaction_count, 1u);
    EXPECT_EQ(stats(index).compaction_failed_count, 0u) << stats(index).compaction_failure;
    EXPECT_LT(stats(index).slot_count, count);
    expect_thinned(index, count);
    expect_sound(index);
}

// The next compaction of a small index waits fifty times as long as the last one took, so that checkpoints do not take
// more of the time than operations.
TEST_F(CompactInPlace, BeginsByItselfInASmallIndexAndRestsAfterwards) {
    rhumb_open_options open_options;
    rhumb_open_options_init(&open_options, sizeof open_options);
    open_options.durability = RHUMB_DURABILITY_INTERVAL;
    rhumb_index_options options = build_options();
    options.open = &open_options;
    const Index index = create(path_, options);
    for (size_t i = 0; i < 100; i++) ASSERT_OK(rhumb_index_insert(index.get(), i, vectors_.row(i)));
    using Clock = std::chrono::steady_clock;
    const Clock::time_point begin = Clock::now();
    for (size_t i = 0; i < 63; i++) ASSERT_OK(rhumb_index_upsert(index.get(), i, vectors_.row(1000 + i)));
    ASSERT_OK(rhumb_index_wait_idle(index.get()));
    EXPECT_EQ(stats(index).compaction_count, 0u);
    ASSERT_OK(rhumb_index_upsert(index.get(), 63, vectors_.row(1063)));
    ASSERT_OK(rhumb_index_wait_idle(index.get()));
    ASSERT_EQ(stats(index).compaction_count, 1u);
    EXPECT_EQ(stats(index).slot_count, 100u);
    const uint64_t first_ns = stats(index).compaction_ns;
    for (size_t i = 0; i < 64; i++) ASSERT_OK(rhumb_index_upsert(index.get(), i, vectors_.row(2000 + i)));
    while (stats(index).compaction_count == 1) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    EXPECT_GE(Clock::now() - begin, std::chrono::nanoseconds(50 * first_ns));
    for (size_t i = 0; i < 100; i++) expect_vector(index, i, i < 64 ? 2000 + i : i);
    expect_sound(index);
}

TEST_F(CompactInPlace, KeepsTheOperationsThatArriveWhileItRuns) {
    const uint64_t seed = 403;
    const size_t count = kCount * 2 / 3;
    const Index index = build(count);
    std::atomic<bool> stop{false};
    std::atomic<uint64_t> search_count{0};
    std::atomic<uint64_t> missed_count{0};
    std::vector<Churner> churners(3);
    std::vector<std::thread> threads;
    for (size_t t = 0; t < churners.size(); t++) {
        Churner &churner = churners[t];
        churner.first_key = 1000000 * (t + 1);
        threads.emplace_back([&, t] {
            std::mt19937_64 random(seed + t);
            while (!stop) {
                change_something(index, &churner, random);
            }
        });
    }
    threads.emplace_back([&] {
        std::mt19937_64 random(seed + 100);
        while (!stop) {
            const size_t row = random() % count;
            uint64_t keys[5];
            float distances[5];
            size_t found = 0;
            EXPECT_OK(rhumb_index_search(index.get(), vectors_.row(row), 5, nullptr, keys, distances, &found));
            search_count++;
            if (found == 0 || distances[0] > 1e-3f) missed_count++;
        }
    });
    for (int i = 0; i < (rhumb_test::kSanitized ? 2 : 4); i++) {
        const rhumb_compact_report report = compact(index);
        EXPECT_LT(report.pause_ns, 5000000000u);
    }
    // On a busy machine there may be too few searches to compute a share.
    while (search_count < 500 && !HasFailure()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    stop = true;
    for (std::thread &thread : threads) thread.join();
    EXPECT_LE(missed_count, search_count / 50) << "of " << search_count << " searches for a vector that is there";
    size_t expected = count;
    for (const Churner &churner : churners) {
        expected += churner.rows.size();
        for (const auto &[key, row] : churner.rows) expect_vector(index, key, row);
    }
    EXPECT_EQ(rhumb_index_count(index.get()), expected) << "seed " << seed;
    for (size_t i = 0; i < count; i++) expect_vector(index, i, i);
    expect_sound(index);
}

} // namespace
} // namespace index_test
