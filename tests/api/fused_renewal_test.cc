// Goal: fused rows whose lists have changed are made again in the background where they are many, and then say what the
// lists say; versions that others read, and what a crash leaves, are as they were. Method: rows, lists and marks are
// read from files; exact search says what the distances are.
#include <algorithm>
#include <atomic>
#include <map>
#include <set>
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

// What the rows of a file lack, and what they could do without.
struct Staleness {
    size_t row_count = 0, marked_count = 0, entry_count = 0, missing_count = 0;
    size_t gone_lane_count = 0; // of deleted neighbours, where nothing makes them necessary
    bool is_beyond_threshold() const {
        return (missing_count + marked_count + gone_lane_count) * kLaneShare > entry_count;
    }
};

// The graph in a file, read without the engine.
class Graph {
  public:
    explicit Graph(const std::string &path) : image_(FileImage::load(path)) {
        row_bytes_ = image_.row_stride(RHUMB__SECTION_FUSED);
        blocks_offset_ = round_up_64(kCodeBytes + 8);
        block_bytes_ = (row_bytes_ - blocks_offset_) / 2;
        row_count_ = image_.row_count(RHUMB__SECTION_FUSED);
        slot_count_ = image_.row_count(RHUMB__SECTION_LISTS0);
    }
    size_t row_count() const { return row_count_; }
    bool is_marked(uint64_t slot) const { return has_bit(marks_, slot); }
    bool is_copy(uint32_t slot) const { return (u32(ties_, slot * 8) >> 31) != 0; }
    // Deleted, and so are its copies.
    bool is_gone(uint32_t slot) const {
        if (!has_bit(tombstones_, slot)) return false;
        for (uint32_t copy = u32(ties_, slot * 8 + 4); copy != 0; copy = u32(ties_, (copy - 1) * 8 + 4)) {
            if (!has_bit(tombstones_, copy - 1)) return false;
        }
        return true;
    }
    bool are_tied(uint32_t a, uint32_t b) const { return u32(ties_, a * 8) == b + 1 || u32(ties_, b * 8) == a + 1; }
    std::vector<uint32_t> list(uint32_t slot) const {
        std::vector<uint32_t> slots;
        for (uint32_t i = 0; i < kPlaces; i++) {
            const uint32_t neighbour = u32(lists_, (slot * uint64_t{kPlaces} + i) * 4);
            if (neighbour == UINT32_MAX) break;
            slots.push_back(neighbour);
        }
        return slots;
    }
    std::vector<uint32_t> lanes(uint32_t slot) const {
        std::vector<uint32_t> slots;
        for (uint32_t i = 0; i < kPlaces; i++) {
            const uint32_t lane =
                u32(rows_, slot * row_bytes_ + blocks_offset_ + i / 16 * block_bytes_ + i % 16 * uint64_t{4});
            if (lane == UINT32_MAX) break;
            slots.push_back(lane);
        }
        return slots;
    }
    // How many nodes other than `slot` are tied to a neighbour of it, and have no lane in its row.
    size_t missing_behind(uint32_t slot, uint32_t neighbour, const std::vector<uint32_t> &lanes) const {
        size_t count = 0;
        for (const uint32_t next : list(neighbour)) {
            const bool has_lane = std::find(lanes.begin(), lanes.end(), next) != lanes.end();
            count += next != slot && are_tied(next, neighbour) && !has_lane;
        }
        return count;
    }
    // The nodes that walks can come to by rows, and by lists where there is no row or a mark says so.
    std::set<uint32_t> reached() const {
        std::set<uint32_t> met{0};
        for (std::vector<uint32_t> waiting{0}; !waiting.empty();) {
            const uint32_t slot = waiting.back();
            waiting.pop_back();
            std::vector<uint32_t> next = slot < row_count_ ? lanes(slot) : list(slot);
            if (slot < row_count_ && is_marked(slot)) {
                const std::vector<uint32_t> more = list(slot);
                next.insert(next.end(), more.begin(), more.end());
            }
            for (const uint32_t neighbour : next) {
                if (met.insert(neighbour).second) waiting.push_back(neighbour);
            }
        }
        return met;
    }
    void expect_all_reached() const {
        const std::set<uint32_t> met = reached();
        for (uint32_t slot = 0; slot < slot_count_; slot++) {
            EXPECT_TRUE(is_gone(slot) || is_copy(slot) || met.count(slot) == 1) << "no row leads to slot " << slot;
        }
    }

  private:
    static bool has_bit(const std::vector<uint8_t> &bits, uint64_t slot) {
        return (bits[slot / 8] >> slot % 8 & 1) != 0;
    }
    static uint32_t u32(const std::vector<uint8_t> &bytes, uint64_t offset) {
        uint32_t value;
        memcpy(&value, &bytes[offset], sizeof value);
        return value;
    }

    const FileImage image_;
    uint64_t row_bytes_, blocks_offset_, block_bytes_, row_count_, slot_count_;
    const std::vector<uint8_t> rows_ = image_.section_bytes(RHUMB__SECTION_FUSED);
    const std::vector<uint8_t> lists_ = image_.section_bytes(RHUMB__SECTION_LISTS0);
    const std::vector<uint8_t> marks_ = image_.section_bytes(RHUMB__SECTION_CHANGED);
    const std::vector<uint8_t> ties_ = image_.section_bytes(RHUMB__SECTION_TIES);
    const std::vector<uint8_t> tombstones_ = image_.section_bytes(RHUMB__SECTION_TOMBSTONES);
};

Staleness staleness_of(const std::string &path) {
    const Graph graph(path);
    Staleness found;
    found.row_count = graph.row_count();
    for (uint32_t slot = 0; slot < found.row_count; slot++) {
        const std::vector<uint32_t> list = graph.list(slot), lanes = graph.lanes(slot);
        size_t missing_count = 0;
        for (size_t i = 0; i < list.size(); i++) {
            const bool has_lane = i < lanes.size() && lanes[i] == list[i];
            const bool is_tied = graph.are_tied(slot, list[i]);
            const size_t behind = is_tied ? graph.missing_behind(slot, list[i], lanes) : 0;
            if (!graph.is_gone(list[i])) {
                missing_count += !has_lane;
            } else if (has_lane) {
                found.gone_lane_count += !is_tied;
            } else {
                missing_count += behind > 0;
            }
        }
        found.entry_count += list.size();
        EXPECT_TRUE(graph.is_marked(slot) || missing_count == 0)
            << "row " << slot << " lacks what its list has, without a mark";
        found.marked_count += graph.is_marked(slot);
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
        << after.missing_count << " lanes, " << after.gone_lane_count << " of deleted nodes and " << after.marked_count
        << " marks of " << after.entry_count;
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

// ---- deleted nodes ----

// Their lanes go to others, and what only they led to is reached all the same; also when half of the index is gone.
TEST_F(FusedRenewal, LeavesOutDeletedNodesAndReachesAllOthers) {
    for (const uint64_t one_in : {10u, 2u}) {
        const std::string path = directory_.file(std::to_string(one_in));
        const Index index = woven(path);
        for (uint64_t key = 0; key < kCount; key += one_in) ASSERT_OK(rhumb_index_delete(index.get(), key));
        ASSERT_OK(rhumb_index_checkpoint(index.get()));
        const Staleness before = staleness_of(path);
        EXPECT_EQ(before.marked_count, 0u) << "no list has changed";
        EXPECT_GT(before.gone_lane_count, before.entry_count / one_in / 2);
        ASSERT_OK(rhumb_index_wait_idle(index.get()));
        EXPECT_GT(stats(index).fused_renewed_count, kCount / 2);
        expect_good(index);
        EXPECT_LT(staleness_of(path).gone_lane_count, before.gone_lane_count / 20);
        Graph(path).expect_all_reached();
        const uint64_t renewed_count = stats(index).fused_renewed_count;
        ASSERT_OK(rhumb_index_wait_idle(index.get()));
        EXPECT_EQ(stats(index).fused_renewed_count, renewed_count) << "nothing is renewed twice";
    }
}

// A node that rows leave out can be needed again: a copy of its vector hangs on it, or it has the only link to another.
TEST_F(FusedRenewal, ReachesWhatIsAddedAtDeletedNodes) {
    const Index index = woven(path_);
    for (uint64_t key = 0; key < kCount; key += 2) ASSERT_OK(rhumb_index_delete(index.get(), key));
    ASSERT_OK(rhumb_index_wait_idle(index.get()));
    for (uint64_t key = 0; key < kCount; key += 40) {
        ASSERT_OK(rhumb_index_insert(index.get(), kCount + key, vectors_.row(key)));
        std::vector<float> near(vectors_.row(key + 20), vectors_.row(key + 20) + kDim);
        near[0] += 1e-3f;
        ASSERT_OK(rhumb_index_insert(index.get(), kCount + key + 20, near.data()));
    }
    for (int pass = 0; pass < 2; pass++) {
        expect_good(index);
        const Graph graph(path_);
        graph.expect_all_reached();
        for (uint64_t key = 0; key < kCount; key += 40) {
            const Answer answer = search(index, vectors_.row(key), 1, 32);
            ASSERT_EQ(answer.found_count, 1u);
            EXPECT_EQ(answer.keys[0], kCount + key) << "pass " << pass;
        }
        ASSERT_OK(rhumb_index_wait_idle(index.get()));
    }
    EXPECT_FALSE(staleness_of(path_).is_beyond_threshold());
}

TEST_F(FusedRenewal, BeginsByItselfAfterManyDeletes) {
    const Index index = woven(path_);
    for (uint64_t key = 0; key < kCount; key += 3) ASSERT_OK(rhumb_index_delete(index.get(), key));
    while (stats(index).fused_renewed_count == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    expect_good(index);
}

// The nodes of a batch that is not complete count as deleted until it is.
TEST_F(FusedRenewal, KeepsTheLanesOfHiddenNodes) {
    const Index index = woven(path_);
    for (uint64_t key = 0; key < kCount; key += 10) ASSERT_OK(rhumb_index_delete(index.get(), key));
    std::vector<rhumb_write> writes;
    for (uint64_t i = 0; i < kCount / 10; i++) {
        writes.push_back({RHUMB_WRITE_UPSERT, 0, kCount + i, more_.row(i)});
    }
    std::atomic<bool> done{false};
    std::thread waiter([&] {
        while (!done) EXPECT_OK(rhumb_index_wait_idle(index.get()));
    });
    EXPECT_OK(rhumb_index_write_batch(index.get(), writes.data(), writes.size(), nullptr, nullptr, 0));
    done = true;
    waiter.join();
    ASSERT_OK(rhumb_index_wait_idle(index.get()));
    expect_good(index);
    Graph(path_).expect_all_reached();
    for (uint64_t i = 0; i < kCount / 10; i++) {
        const Answer answer = search(index, more_.row(i), 1, 32);
        ASSERT_EQ(answer.found_count, 1u);
        EXPECT_EQ(answer.distances[0], 0.0f) << i;
    }
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
