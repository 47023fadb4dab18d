// Goal: a repair finds the groups of equal vectors again and ties the new graph together, whatever the old file says of
// them. Method: an index with groups, of which heads and members are deleted, damaged in its ties, its lists and its
// vectors, with checksums that show it and with checksums that do not; each vector is looked for in the new index.
#include <functional>
#include <map>
#include <set>

#include "tests/support/repair_test_support.h"

namespace fault_test {
namespace {

constexpr uint32_t kCopy = UINT32_C(1) << 31;

class RepairGroups : public ::testing::Test {
  protected:
    static constexpr uint64_t kCount = 1200;
    static constexpr uint64_t kValueCount = 40;

    // Two thirds are copies of the first 40 vectors.
    std::vector<float> vector(uint64_t i) const { return vectors_.vector(i % 3 == 0 ? i : i % kValueCount); }

    void SetUp() override {
        Index index;
        ASSERT_EQ(rhumb_test::create_index(path_, IndexShape(), &index, RHUMB_DURABILITY_NONE), RHUMB_OK);
        for (uint64_t i = 0; i < kCount; i++) insert(index, i);
        // Some heads, some copies, and one value with all of its copies.
        for (uint64_t i = 0; i < kCount; i++) {
            if (i % 7 == 2 || vector(i) == vectors_.vector(5)) remove(index, i);
        }
        ASSERT_EQ(index.close(), RHUMB_OK);
        image_ = sound_ = FileImage::load(path_);
    }
    void insert(const Index &index, uint64_t i) {
        ASSERT_EQ(rhumb_index_insert(index, i, vector(i).data()), RHUMB_OK);
        expected_[i] = vector(i);
    }
    void remove(const Index &index, uint64_t i) {
        ASSERT_EQ(rhumb_index_delete(index, i), RHUMB_OK);
        expected_.erase(i);
    }

    void spoil_section(uint32_t section) {
        const uint64_t bytes = sound_.row_count(section) * sound_.row_stride(section);
        for (uint64_t offset = 0; offset < bytes; offset += kBlock) {
            image_.bytes()[image_.locate(section, offset)] ^= 0x5A;
        }
    }
    void put_ties(const std::function<uint32_t(uint32_t slot)> &anchor, const std::function<uint32_t(uint32_t)> &next) {
        for (uint32_t slot = 0; slot < kCount; slot++) {
            image_.put<uint32_t>(image_.locate(RHUMB__SECTION_TIES, slot * 8), anchor(slot));
            image_.put<uint32_t>(image_.locate(RHUMB__SECTION_TIES, slot * 8) + 4, next(slot));
        }
        image_.mend();
    }
    void put_lists(const std::function<uint32_t(uint32_t slot, uint32_t i)> &entry) {
        for (uint32_t slot = 0; slot < kCount; slot++) {
            const uint64_t row = image_.locate_row(RHUMB__SECTION_LISTS0, slot);
            for (uint32_t i = 0; i < IndexShape().M0; i++) image_.put<uint32_t>(row + i * 4, entry(slot, i));
        }
        image_.mend();
    }

    // Repairs the image; the new index has every vector that is expected, each found from its value.
    void expect_repaired() {
        rhumb_test::remove_index(new_path_);
        ASSERT_TRUE(image_.save(path_));
        rhumb_repair_report report;
        ASSERT_EQ(rhumb_index_repair(path_.c_str(), new_path_.c_str(), nullptr, &report, sizeof report), RHUMB_OK)
            << rhumb_error_last()->message;
        EXPECT_EQ(report.unreachable_count, 0u);
        EXPECT_EQ(report.count, expected_.size());
        Index index;
        ASSERT_EQ(rhumb_test::open_index(new_path_, true, &index), RHUMB_OK);
        rhumb_verify_report verified;
        EXPECT_EQ(rhumb_test::verify_index(index, &verified), RHUMB_OK) << verified.first_error;
        EXPECT_EQ(verified.unreachable_count, 0u);
        rhumb_search_options options; // broad: of wrong lists that look right, a poor graph is made
        rhumb_search_options_init(&options, sizeof options);
        options.ef_search = 1000;
        std::map<std::vector<float>, std::set<uint64_t>> groups;
        for (const auto &[key, value] : expected_) groups[value].insert(key);
        for (const auto &[value, keys] : groups) {
            std::vector<uint64_t> found(keys.size());
            size_t found_count = 0;
            ASSERT_EQ(
                rhumb_index_search(index, value.data(), keys.size(), &options, found.data(), nullptr, &found_count),
                RHUMB_OK);
            ASSERT_EQ(found_count, keys.size());
            EXPECT_EQ(std::set<uint64_t>(found.begin(), found.end()), keys);
        }
        image_ = sound_;
    }

    ScratchDirectory directory_;
    const std::string path_ = directory_.file("old.rhumb");
    const std::string new_path_ = directory_.file("new.rhumb");
    const Vectors vectors_{16, 397};
    std::map<uint64_t, std::vector<float>> expected_;
    FileImage sound_, image_;
};

TEST_F(RepairGroups, AreKeptWithoutDamage) { expect_repaired(); }

TEST_F(RepairGroups, AreFoundAgainWhereTiesAreDamaged) {
    spoil_section(RHUMB__SECTION_TIES);
    expect_repaired();
    spoil_section(RHUMB__SECTION_TIES);
    spoil_section(RHUMB__SECTION_LISTS0);
    expect_repaired();
}

TEST_F(RepairGroups, AreFoundAgainWhereTiesAreWrong) {
    const auto none = [](uint32_t) { return 0u; };
    const auto root = [](uint32_t slot) { return 1 + slot; };
    const auto circle = [](uint32_t slot) { return 1 + (slot + 1) % static_cast<uint32_t>(kCount); };
    const auto copy_of_next = [&](uint32_t slot) { return kCopy | circle(slot); };
    const auto copy_of_one = [](uint32_t) { return kCopy | 8; };
    const auto largest = [](uint32_t) { return UINT32_MAX; };
    put_ties(none, none);
    expect_repaired();
    put_ties(root, circle);
    expect_repaired();
    put_ties(copy_of_next, circle);
    expect_repaired();
    put_ties(copy_of_one, none);
    expect_repaired();
    put_ties(largest, largest);
    expect_repaired();
}

TEST_F(RepairGroups, AreFoundAgainWhereListsNameCopies) {
    put_lists([](uint32_t slot, uint32_t i) { return (slot + 1 + i * 7) % static_cast<uint32_t>(kCount); });
    expect_repaired();
    put_lists([](uint32_t slot, uint32_t i) { return slot == 41 + i ? 0 : 41 + i; }); // all of copies
    expect_repaired();
    put_lists([](uint32_t, uint32_t) { return UINT32_MAX; });
    expect_repaired();
}

TEST_F(RepairGroups, OfWhichTheHeadIsLostKeepTheCopies) {
    // The vectors of the first chunk: most heads are there, and so are some copies.
    image_.bytes()[image_.locate_row(RHUMB__SECTION_VECTORS, 3)] ^= 0x5A;
    const uint64_t lost_count = kBlock / image_.row_stride(RHUMB__SECTION_VECTORS);
    ASSERT_LT(lost_count, kCount);
    for (uint64_t i = 0; i < lost_count; i++) expected_.erase(i);
    expect_repaired();
}

TEST_F(RepairGroups, GoOnInTheLog) {
    const std::string log_path = path_ + "-wal";
    const int exit_code = io_test::run_in_child([&] {
        Index index;
        CHILD_CHECK(rhumb_test::open_index(path_, false, &index) == RHUMB_OK);
        for (uint64_t i = kCount; i < kCount + 50; i++) {
            CHILD_CHECK(rhumb_index_insert(index, i, vector(i).data()) == RHUMB_OK);
        }
        CHILD_CHECK(rhumb_index_delete(index, 0) == RHUMB_OK); // a head
        _exit(0);
    });
    ASSERT_EQ(exit_code, 0);
    for (uint64_t i = kCount; i < kCount + 50; i++) expected_[i] = vector(i);
    expected_.erase(0);
    ASSERT_TRUE(exists(log_path));
    image_ = sound_ = FileImage::load(path_);
    expect_repaired();
    spoil_section(RHUMB__SECTION_TIES);
    expect_repaired();
}

} // namespace
} // namespace fault_test
