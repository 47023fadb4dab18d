// Goal: fused rows whose lists have changed are made again in the background where they are many, and then say what the
// lists say; versions that others read, and what a crash leaves, are as they were. Method: rows, lists and marks are
// read from files; exact search says what the distances are.
#include <atomic>
#include <map>
#include <thread>

#include "engine/graph/sections.h"
#include "tests/support/file_image.h"
#include "tests/support/index_test_support.h"
#include "tests/support/sanitized.h"

namespace index_test {
namespace {

using rhumb_test::FileImage;

constexpr uint32_t kDim = 64;
constexpr uint32_t kPlaces = 32;    // of a list
constexpr uint32_t kLaneShare = 64; // one lane in so many may be missing (engine/build/renew.c)
constexpr uint32_t kCodeBytes = kDim + 24;
constexpr size_t kCount = 2400; // a fifth of it is too little for a pass to begin by itself

uint32_t round_up_64(uint32_t bytes) { return (bytes + 63) / 64 * 64; }

// What the rows of a file lack.
struct Staleness {
    size_t row_count = 0, marked_count = 0, entry_count = 0, missing_count = 0;
    bool is_beyond_threshold() const { return (missing_count + marked_count) * kLaneShare > entry_count; }
};

Staleness staleness_of(const std::string &path) {
    const FileImage image = FileImage::load(path);
    const std::vector<uint8_t> rows = image.section_bytes(RHUMB__SECTION_FUSED);
    const std::vector<uint8_t> lists = image.section_bytes(RHUMB__SECTION_LISTS0);
    const std::vector<uint8_t> marks = image.section_bytes(RHUMB__SECTION_CHANGED);
    const uint64_t row_bytes = image.row_stride(RHUMB__SECTION_FUSED);
    const uint64_t blocks_offset = round_up_64(kCodeBytes + 8), block_bytes = (row_bytes - blocks_offset) / 2;
    const auto u32_of = [](const std::vector<uint8_t> &bytes, uint64_t offset) {
        uint32_t value;
        memcpy(&value, &bytes[offset], sizeof value);
        return value;
    };
    Staleness found;
    found.row_count = image.row_count(RHUMB__SECTION_FUSED);
    for (uint64_t slot = 0; slot < found.row_count; slot++) {
        const bool is_marked = (marks[slot / 8] >> slot % 8 & 1) != 0;
        size_t missing_count = 0;
        for (uint32_t i = 0; i < kPlaces; i++) {
            const uint32_t neighbour = u32_of(lists, (slot * kPlaces + i) * 4);
            if (neighbour == UINT32_MAX) break;
            found.entry_count++;
            const uint64_t lane = slot * row_bytes + blocks_offset + i / 16 * block_bytes + i % 16 * 4;
            missing_count += u32_of(rows, lane) != neighbour;
        }
        EXPECT_TRUE(is_marked || missing_count == 0) << "row " << slot << " lacks what its list has, without a mark";
        found.marked_count += is_marked;
        found.missing_count += missing_count;
    }
    return found;
}

class FusedRenewal : public ::testing::Test {
  protected:
    static rhumb_open_options without_compactions() {
        rhumb_open_options options;
        rhumb_open_options_init(&options, sizeof options);
        options.durability = RHUMB_DURABILITY_INTERVAL;
        options.compact_dead_share = 1;
        return options;
    }
    Index woven(const std::string &path) const {
        rhumb_index_options options = index_options(kDim);
        options.M0 = kPlaces;
        options.ef_construction = 60;
        options.codes = RHUMB_CODES_8BIT;
        options.fused = RHUMB_FUSED_1BIT;
        const rhumb_open_options open_options = without_compactions();
        options.open = &open_options;
        Index index = create(path, options);
        insert_all(index, vectors_);
        EXPECT_OK(rhumb_index_compact(index.get(), nullptr, nullptr, 0));
        return index;
    }
    // Inserts a tenth, replaces a tenth and deletes a twentieth.
    void change_tenths(const Index &index) const {
        for (size_t i = 0; i < kCount / 10; i++) {
            ASSERT_OK(rhumb_index_insert(index.get(), kCount + i, more_.row(i)));
            ASSERT_OK(rhumb_index_upsert(index.get(), i * 10 + 7, vectors_.row(i * 10 + 7)));
            if (i % 2 != 0) continue;
            ASSERT_OK(rhumb_index_delete(index.get(), i * 10 + 3));
        }
    }
    void expect_exact_distances(const Index &index) const {
        const uint64_t count = rhumb_index_count(index.get());
        for (size_t i = 0; i < queries_.count(); i++) {
            const Answer truth = search_exact(index, queries_.row(i), count);
            const Answer found = search(index, queries_.row(i), 10, 64);
            std::map<uint64_t, float> distances;
            for (size_t n = 0; n < truth.found_count; n++) distances[truth.keys[n]] = truth.distances[n];
            for (size_t n = 0; n < found.found_count; n++) {
                ASSERT_EQ(found.distances[n], distances.at(found.keys[n])) << "query " << i << ", answer " << n;
            }
        }
    }
    void expect_good(const Index &index) const {
        expect_sound(index);
        expect_exact_distances(index);
        EXPECT_GE(recall(index, queries_, 10, 100), 0.99);
    }

    const Vectors vectors_ = clustered_vectors(kCount, kDim, 30, 7, 8);
    const Vectors more_ = clustered_vectors(kCount / 10, kDim, 30, 7, 9);
    const Vectors queries_ = clustered_vectors(20, kDim, 30, 7, 10);
    ScratchDirectory directory_;
    const std::string path_ = directory_.file("index");
};

TEST_F(FusedRenewal, LeavesNoMoreStaleThanTheThresholdOnceIdle) {
    const Index index = woven(path_);
    EXPECT_EQ(stats(index).fused_row_count, kCount);
    EXPECT_EQ(stats(index).fused_stale_count, 0u);
    change_tenths(index);
    ASSERT_OK(rhumb_index_checkpoint(index.get()));
    const Staleness before = staleness_of(path_);
    ASSERT_TRUE(before.is_beyond_threshold()) << before.missing_count << " of " << before.entry_count;
    EXPECT_EQ(stats(index).fused_stale_count, before.marked_count);
    expect_good(index);

    ASSERT_OK(rhumb_index_wait_idle(index.get()));
    const rhumb_index_stats now = stats(index);
    EXPECT_GT(now.fused_renewed_count, before.marked_count / 2);
    EXPECT_LT(now.fused_stale_count, before.marked_count / 4);
    expect_good(index); // makes a checkpoint
    const Staleness after = staleness_of(path_);
    EXPECT_FALSE(after.is_beyond_threshold())
        << after.missing_count << " lanes and " << after.marked_count << " marks of " << after.entry_count;
    EXPECT_EQ(stats(index).fused_stale_count, after.marked_count);
    const Index reader = open(path_, true);
    EXPECT_EQ(stats(reader).fused_stale_count, after.marked_count);
    EXPECT_EQ(stats(reader).fused_row_count, after.row_count);
    expect_good(reader);
}

TEST_F(FusedRenewal, IsNotRepeatedWhereNothingHasChanged) {
    const Index index = woven(path_);
    change_tenths(index);
    ASSERT_OK(rhumb_index_wait_idle(index.get()));
    ASSERT_OK(rhumb_index_checkpoint(index.get()));
    const rhumb_index_stats once = stats(index);
    for (int i = 0; i < 3; i++) ASSERT_OK(rhumb_index_wait_idle(index.get()));
    ASSERT_OK(rhumb_index_checkpoint(index.get()));
    EXPECT_EQ(stats(index).fused_renewed_count, once.fused_renewed_count);
    EXPECT_EQ(stats(index).checkpoint_count, once.checkpoint_count) << "there was nothing to write";
}

TEST_F(FusedRenewal, IsWrittenByACheckpointWithoutOtherChanges) {
    Index index = woven(path_);
    change_tenths(index);
    ASSERT_OK(rhumb_index_checkpoint(index.get()));
    ASSERT_OK(rhumb_index_wait_idle(index.get()));
    EXPECT_TRUE(staleness_of(path_).is_beyond_threshold()) << "the version stays as it was";
    index.reset();
    EXPECT_FALSE(staleness_of(path_).is_beyond_threshold());
    expect_good(open(path_, false));
}

TEST_F(FusedRenewal, LeavesVersionsThatAreReadAsTheyWere) {
    const Index index = woven(path_);
    change_tenths(index);
    ASSERT_OK(rhumb_index_checkpoint(index.get()));
    const Index reader = open(path_, true);
    const uint64_t stale_count = stats(reader).fused_stale_count;
    std::vector<Answer> before;
    for (size_t i = 0; i < queries_.count(); i++) before.push_back(search(reader, queries_.row(i), 10, 32));
    ASSERT_OK(rhumb_index_wait_idle(index.get()));
    ASSERT_OK(rhumb_index_checkpoint(index.get()));
    for (uint64_t i = 0; i < 3; i++) { // what the version before has left is used again
        ASSERT_OK(rhumb_index_upsert(index.get(), i, vectors_.row(i)));
        ASSERT_OK(rhumb_index_checkpoint(index.get()));
    }
    EXPECT_EQ(stats(reader).fused_stale_count, stale_count);
    for (size_t i = 0; i < queries_.count(); i++) {
        const Answer after = search(reader, queries_.row(i), 10, 32);
        EXPECT_EQ(after.keys, before[i].keys);
        EXPECT_EQ(after.distances, before[i].distances);
    }
    expect_sound(reader);
}

// A process that dies has renewed nothing: rows and marks go back together, and the log has the operations.
TEST_F(FusedRenewal, IsLostWithAProcessThatDies) {
    const Index index = woven(path_);
    change_tenths(index);
    ASSERT_OK(rhumb_index_wait_idle(index.get()));
    ASSERT_OK(rhumb_index_sync(index.get()));
    const std::string crashed = directory_.file("crashed");
    std::filesystem::copy(path_, crashed);
    std::filesystem::copy(path_ + "-wal", crashed + "-wal");
    const Index recovered = open_as(crashed, without_compactions());
    ASSERT_OK(rhumb_index_wait_idle(recovered.get()));
    expect_good(recovered);
    EXPECT_FALSE(staleness_of(crashed).is_beyond_threshold());
}

// Rows of zeros stand for lost ones, others for damaged ones. What is renewed is whole again.
TEST_F(FusedRenewal, MakesDamagedRowsAgain) {
    {
        const Index index = woven(path_);
        change_tenths(index);
    }
    FileImage image = FileImage::load(path_);
    constexpr uint64_t kMarked = kCount / 64 * 64;
    std::mt19937_64 random(choose_seed());
    for (uint64_t slot = 0; slot < kMarked; slot += 3) {
        const uint64_t begin = slot * image.row_stride(RHUMB__SECTION_FUSED);
        for (uint64_t i = 0; i < 256; i += 8) {
            image.put<uint64_t>(image.locate(RHUMB__SECTION_FUSED, begin + i), slot % 2 == 0 ? 0 : random());
        }
    }
    for (uint64_t i = 0; i < kMarked / 64; i++) {
        image.put<uint64_t>(image.locate(RHUMB__SECTION_CHANGED, i * 8), UINT64_MAX);
    }
    image.mend();
    ASSERT_TRUE(image.save(path_));
    const Index index = open_as(path_, without_compactions());
    expect_exact_distances(index);
    ASSERT_OK(rhumb_index_wait_idle(index.get()));
    EXPECT_GT(stats(index).fused_renewed_count, kCount / 2);
    expect_good(index);
    EXPECT_FALSE(staleness_of(path_).is_beyond_threshold());
}

// A version without marks: every list is read, whatever is renewed.
TEST_F(FusedRenewal, EndsInAFileWithoutMarks) {
    {
        const Index index = woven(path_);
        change_tenths(index);
    }
    FileImage image = FileImage::load(path_);
    image.make_unknown(RHUMB__SECTION_CHANGED);
    ASSERT_TRUE(image.save(path_));
    const Index index = open_as(path_, without_compactions());
    ASSERT_OK(rhumb_index_wait_idle(index.get()));
    const uint64_t renewed_count = stats(index).fused_renewed_count;
    ASSERT_OK(rhumb_index_wait_idle(index.get()));
    EXPECT_EQ(stats(index).fused_renewed_count, renewed_count);
    EXPECT_EQ(stats(index).fused_stale_count, stats(index).fused_row_count);
    expect_good(index);
}

// Stops a search at one of the calls of its filter.
struct Gate {
    int calls_left;
    std::atomic<bool> entered{false}, released{false};

    static bool matches(void *context, uint64_t key) {
        Gate *gate = static_cast<Gate *>(context);
        if (gate->calls_left-- == 0) {
            gate->entered = true;
            while (!gate->released) std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        return key % 5 != 0;
    }
};

// A search whose filter takes long does not hold up a renewal for ever, and reads no row that is being written.
TEST_F(FusedRenewal, DoesNotWaitForASlowSearch) {
    const Index index = woven(path_);
    change_tenths(index);
    size_t entered_count = 0;
    for (const int call : {3, 60, 150}) {
        Gate gate{call};
        std::atomic<bool> ended{false};
        rhumb_filter filter;
        rhumb_filter_init(&filter, sizeof filter);
        filter.kind = RHUMB_FILTER_CALLBACK;
        filter.matches = Gate::matches;
        filter.context = &gate;
        filter.plan = RHUMB_FILTER_PLAN_WALK;
        std::thread searcher([&] {
            rhumb_search_options options = search_options(200);
            options.filter = &filter;
            uint64_t keys[10];
            float distances[10];
            EXPECT_OK(rhumb_index_search(index.get(), queries_.row(0), 10, &options, keys, distances, nullptr));
            ended = true;
        });
        while (!gate.entered && !ended) std::this_thread::yield();
        entered_count += gate.entered;
        EXPECT_OK(rhumb_index_wait_idle(index.get()));
        gate.released = true;
        searcher.join();
    }
    EXPECT_GE(entered_count, 2u);
    ASSERT_OK(rhumb_index_wait_idle(index.get()));
    expect_good(index);
    EXPECT_FALSE(staleness_of(path_).is_beyond_threshold());
}

} // namespace
} // namespace index_test
