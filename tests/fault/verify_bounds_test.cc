// Goal: the work of verify, and the number of errors that it counts, are bounded by the size of the file, whatever the
// rows say; it finds exactly the nodes that no path leads to; and it can be watched and stopped. Method: key tables
// whose chains are circles or share rows, and random links, in a sound index whose checksums are corrected afterwards.
#include <functional>

#include "tests/support/fault_test_support.h"

namespace fault_test {
namespace {

constexpr uint32_t kM0 = 4;
constexpr uint32_t kPlaces = 48; // of a row of the key table
constexpr uint32_t kNone = UINT32_MAX;
constexpr uint64_t kLevelFirst = 224; // in the engine's part of a superblock, see FORMAT.md

class VerifyBounds : public ::testing::Test {
  protected:
    // `key` is called once for each vector, in order.
    void build(
        uint64_t count, const std::function<uint64_t(uint64_t)> &key = [](uint64_t i) { return i; }) {
        IndexShape shape;
        shape.dim = 2;
        shape.M = 2;
        shape.M0 = kM0;
        shape.ef_construction = 4;
        Index index;
        ASSERT_EQ(rhumb_test::create_index(path_, shape, &index, RHUMB_DURABILITY_NONE), RHUMB_OK);
        for (uint64_t i = 0; i < count; i++) {
            ASSERT_EQ(rhumb_index_insert(index, key(i), vectors_.vector(i).data()), RHUMB_OK);
        }
        ASSERT_EQ(index.close(), RHUMB_OK);
        count_ = count;
        image_ = FileImage::load(path_);
    }

    // Keys whose hashes have the same lowest bits, so that few buckets have long chains.
    void build_with_long_chains() {
        uint64_t next = 0;
        ASSERT_NO_FATAL_FAILURE(build(6000, [&next](uint64_t) {
            while ((mix64(next ^ mix64(397 ^ UINT64_C(0x6B6579735F74626C))) & 63) != 0) next++;
            return next++;
        }));
        ASSERT_GT(overflow_count(), 50u);
    }
    static uint64_t mix64(uint64_t value) { // FORMAT.md, section 7
        value += UINT64_C(0x9E3779B97F4A7C15);
        value = (value ^ (value >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
        value = (value ^ (value >> 27)) * UINT64_C(0x94D049BB133111EB);
        return value ^ (value >> 31);
    }

    // A row of the key table: the one that continues it, from 1 on, and how many of its places are in use.
    void put_key_row(uint32_t section, uint64_t row, uint32_t next, uint32_t entry_count) {
        image_.put<uint32_t>(image_.locate_row(section, row), next);
        image_.put<uint32_t>(image_.locate_row(section, row) + 4, entry_count);
    }
    uint64_t bucket_count() const { return image_.row_count(RHUMB__SECTION_KEY_BUCKETS); }
    uint64_t overflow_count() const { return image_.row_count(RHUMB__SECTION_KEY_OVERFLOW); }
    void lead_buckets_to(const std::function<uint32_t(uint64_t)> &next) {
        for (uint64_t i = 0; i < bucket_count(); i++) {
            image_.put<uint32_t>(image_.locate_row(RHUMB__SECTION_KEY_BUCKETS, i), next(i));
        }
    }

    rhumb_status verify(rhumb_verify_report *report) {
        image_.mend();
        EXPECT_TRUE(image_.save(path_));
        Index index;
        EXPECT_EQ(rhumb_test::open_index(path_, true, &index), RHUMB_OK) << rhumb_error_last()->message;
        return rhumb_test::verify_index(index, report);
    }

    // As many errors as there are places in the table and slots, at most.
    void expect_bounded(const std::string &what) {
        rhumb_verify_report report = {};
        EXPECT_EQ(verify(&report), RHUMB_E_CORRUPT) << what;
        EXPECT_GT(report.structure_error_count, 0u) << what;
        const uint64_t row_count = bucket_count() + overflow_count();
        EXPECT_LE(report.structure_error_count, (kPlaces + 1) * row_count + count_) << what;
        const std::string new_path = directory_.file("repaired.rhumb");
        rhumb_repair_report repaired;
        EXPECT_EQ(rhumb_index_repair(path_.c_str(), new_path.c_str(), nullptr, &repaired, sizeof repaired), RHUMB_OK);
        EXPECT_EQ(repaired.count, count_) << what;
        rhumb_test::remove_index(new_path);
    }

    ScratchDirectory directory_;
    std::string path_ = directory_.file("index.rhumb");
    Vectors vectors_{2, 5};
    FileImage image_;
    uint64_t count_ = 0;
};

TEST_F(VerifyBounds, LongChainsOfKeysAreNoFault) {
    ASSERT_NO_FATAL_FAILURE(build_with_long_chains());
    rhumb_verify_report report = {};
    EXPECT_EQ(verify(&report), RHUMB_OK) << report.first_error;
}

TEST_F(VerifyBounds, ChainsOfKeysThatAreOneCircle) {
    ASSERT_NO_FATAL_FAILURE(build_with_long_chains());
    const auto rows = static_cast<uint32_t>(overflow_count());
    lead_buckets_to([](uint64_t) { return 1u; });
    for (uint32_t i = 0; i < rows; i++) put_key_row(RHUMB__SECTION_KEY_OVERFLOW, i, (i + 1) % rows + 1, kPlaces);
    expect_bounded("every bucket leads around the circle of all rows");
}

TEST_F(VerifyBounds, ChainsOfKeysThatShareRows) {
    ASSERT_NO_FATAL_FAILURE(build_with_long_chains());
    const auto rows = static_cast<uint32_t>(overflow_count());
    std::mt19937_64 random(choose_seed());
    const FileImage sound = image_;
    for (uint32_t i = 0; i < rows; i++) put_key_row(RHUMB__SECTION_KEY_OVERFLOW, i, i + 1 < rows ? i + 2 : 0, kPlaces);
    lead_buckets_to([](uint64_t bucket) { return static_cast<uint32_t>(bucket % 40) + 1; });
    expect_bounded("all buckets end in one chain");
    image_ = sound;
    for (uint32_t i = 0; i < rows; i++) {
        put_key_row(RHUMB__SECTION_KEY_OVERFLOW, i, static_cast<uint32_t>(random() % (rows + 2)),
                    static_cast<uint32_t>(random() % 60));
    }
    expect_bounded("rows lead anywhere");
}

TEST_F(VerifyBounds, ListsThatRepeatASlotCountOneErrorForEachEntry) {
    ASSERT_NO_FATAL_FAILURE(build(500));
    for (uint64_t row = 0; row < 500; row++) {
        for (uint32_t i = 0; i < kM0; i++) {
            image_.put<uint32_t>(image_.locate_row(RHUMB__SECTION_LISTS0, row) + i * 4, (row + 1) % 500);
        }
    }
    rhumb_verify_report report = {};
    EXPECT_EQ(verify(&report), RHUMB_E_CORRUPT);
    EXPECT_GE(report.structure_error_count, 500u * (kM0 - 1));
    EXPECT_LE(report.structure_error_count, 500u * (kM0 + 4));
}

// Whatever the links: in one long path against the order of the slots, in circles, in trees, or none.
TEST_F(VerifyBounds, FindsTheNodesThatNoPathLeadsTo) {
    constexpr uint32_t kNodes = 4500; // more than 64 times 64: three levels of marks
    ASSERT_NO_FATAL_FAILURE(build(kNodes));
    std::mt19937_64 random(choose_seed());
    const auto expect_of = [&](const std::function<uint32_t(uint32_t, uint32_t)> &entry, const std::string &what) {
        std::vector<std::vector<uint32_t>> lists(kNodes);
        for (uint32_t slot = 0; slot < kNodes; slot++) {
            bool ended = false; // a list ends at the first place without a slot
            for (uint32_t i = 0; i < kM0; i++) {
                const uint32_t neighbour = entry(slot, i);
                image_.put<uint32_t>(image_.locate_row(RHUMB__SECTION_LISTS0, slot) + i * 4, neighbour);
                ended = ended || neighbour == kNone;
                if (!ended) lists[slot].push_back(neighbour);
            }
        }
        uint32_t start = kNone;
        for (uint32_t level = 0; level <= RHUMB_LEVEL_MAX; level++) {
            const uint64_t offset =
                FileImage::superblock_offset(image_.newest_slot(), 0) + offsetof(rhumb__superblock, client);
            const auto first = image_.get<uint32_t>(offset + kLevelFirst + level * 4);
            if (first != kNone) start = first;
        }
        std::vector<bool> reached(kNodes);
        std::vector<uint32_t> queue = {start};
        reached[start] = true;
        for (size_t i = 0; i < queue.size(); i++) {
            for (const uint32_t next : lists[queue[i]]) {
                if (!reached[next]) queue.push_back(next);
                reached[next] = true;
            }
        }
        rhumb_verify_report report = {};
        (void)verify(&report);
        EXPECT_EQ(report.unreachable_count, kNodes - queue.size()) << what;
    };
    expect_of([](uint32_t slot, uint32_t i) { return i == 0 ? (slot + kNodes - 1) % kNodes : kNone; }, "one path down");
    expect_of([](uint32_t slot, uint32_t i) { return i == 0 ? (slot + 1) % kNodes : kNone; }, "one path up");
    expect_of([](uint32_t, uint32_t) { return kNone; }, "no links");
    for (const uint32_t links : {1u, 2u, kM0}) {
        expect_of([&](uint32_t, uint32_t i) { return i < links ? static_cast<uint32_t>(random() % kNodes) : kNone; },
                  std::to_string(links) + " random links");
    }
}

// ---- progress ----

struct Watch {
    uint64_t calls_left = UINT64_MAX;
    uint64_t call_count = 0;
    uint64_t done_count = 0;
    uint64_t total_count = 0;
};

bool note_call(void *context, uint64_t done_count, uint64_t total_count) {
    auto *watch = static_cast<Watch *>(context);
    EXPECT_GE(done_count, watch->done_count);
    EXPECT_LE(done_count, total_count);
    EXPECT_TRUE(watch->call_count == 0 || watch->total_count == total_count);
    watch->call_count++;
    watch->done_count = done_count;
    watch->total_count = total_count;
    return watch->calls_left-- > 1;
}

rhumb_verify_options options_of(Watch *watch) {
    rhumb_verify_options options;
    rhumb_verify_options_init(&options, sizeof options);
    options.progress = note_call;
    options.progress_context = watch;
    return options;
}

TEST_F(VerifyBounds, TellsItsProgressAndCanBeStopped) {
    ASSERT_NO_FATAL_FAILURE(build(3000));
    for (const bool read_only : {true, false}) {
        Index index;
        ASSERT_EQ(rhumb_test::open_index(path_, read_only, &index), RHUMB_OK);
        Watch watch;
        rhumb_verify_options options = options_of(&watch);
        rhumb_verify_report report = {};
        ASSERT_EQ(rhumb_index_verify_with(index, &options, &report, sizeof report), RHUMB_OK);
        EXPECT_GE(watch.call_count, 2u);
        EXPECT_EQ(watch.done_count, watch.total_count);
        EXPECT_EQ(watch.total_count, report.chunk_count + 4 * 3000 + 1);
        for (uint64_t calls = 1; calls <= 2; calls++) { // at the first step, and at the end
            Watch stopped;
            stopped.calls_left = calls;
            options = options_of(&stopped);
            report.node_count = 77;
            EXPECT_EQ(rhumb_index_verify_with(index, &options, &report, sizeof report), RHUMB_E_CANCELLED);
            EXPECT_EQ(report.node_count, 77u) << "untouched";
        }
        EXPECT_EQ(rhumb_index_verify_with(index, nullptr, &report, sizeof report), RHUMB_OK);
        options.size = 3;
        EXPECT_EQ(rhumb_index_verify_with(index, &options, &report, sizeof report), RHUMB_E_INVALID);
        if (!read_only) {
            EXPECT_EQ(rhumb_index_insert(index, 99999, vectors_.vector(1).data()), RHUMB_OK) << "nothing is blocked";
        }
    }
}

TEST_F(VerifyBounds, OfATopologyFileTellsItsProgressAndCanBeStopped) {
    ASSERT_NO_FATAL_FAILURE(build(3000));
    Index index;
    ASSERT_EQ(rhumb_test::open_index(path_, true, &index), RHUMB_OK);
    const std::string topology_path = directory_.file("index.topology");
    ASSERT_EQ(rhumb_topology_export(index, topology_path.c_str(), nullptr, nullptr, 0), RHUMB_OK);
    rhumb_topology *topology = nullptr;
    ASSERT_EQ(rhumb_topology_open(topology_path.c_str(), &topology), RHUMB_OK);
    Watch watch;
    rhumb_verify_options options = options_of(&watch);
    rhumb_topology_report report = {};
    EXPECT_EQ(rhumb_topology_verify_with(topology, &options, &report, sizeof report), RHUMB_OK);
    EXPECT_EQ(watch.done_count, watch.total_count);
    EXPECT_EQ(watch.total_count, report.chunk_count + 3000 + 1);
    Watch stopped;
    stopped.calls_left = 1;
    options = options_of(&stopped);
    EXPECT_EQ(rhumb_topology_verify_with(topology, &options, &report, sizeof report), RHUMB_E_CANCELLED);
    rhumb_topology_close(topology);
}

} // namespace
} // namespace fault_test
