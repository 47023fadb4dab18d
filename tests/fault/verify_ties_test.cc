// Goal: verify finds every violation of the rules of ties (anchors, copies, first nodes of levels) and says what it is,
// and its work is bounded by the size of the file. Method: one fault at a time is planted in a sound index, whose
// checksums are corrected afterwards.
#include <functional>

#include "tests/support/fault_test_support.h"

namespace fault_test {
namespace {

constexpr uint32_t kCopy = UINT32_C(1) << 31;
constexpr uint32_t kCount = 300;
constexpr uint32_t kHeadCount = 200; // slots from here on are copies of the first ten, by turns
constexpr uint32_t kM0 = 8;
constexpr uint32_t kNone = UINT32_MAX;

// Places in the engine's part of a superblock, see FORMAT.md.
constexpr uint64_t kLevelFirst = 224;
constexpr uint64_t kCopyCount = 384;

class VerifyTies : public ::testing::Test {
  protected:
    void SetUp() override {
        Index index;
        ASSERT_EQ(rhumb_test::create_index(path_, IndexShape(), &index, RHUMB_DURABILITY_NONE), RHUMB_OK);
        for (uint32_t i = 0; i < kCount; i++) {
            const std::vector<float> vector = vectors_.vector(i < kHeadCount ? i : i % 10);
            ASSERT_EQ(rhumb_index_insert(index, i, vector.data()), RHUMB_OK);
        }
        ASSERT_EQ(index.close(), RHUMB_OK);
        image_ = sound_ = FileImage::load(path_);
    }

    uint32_t tie(uint64_t slot, uint32_t number) const {
        return image_.get<uint32_t>(image_.locate(RHUMB__SECTION_TIES, slot * 8) + number * 4);
    }
    void put_tie(uint64_t slot, uint32_t number, uint32_t value) {
        image_.put<uint32_t>(image_.locate(RHUMB__SECTION_TIES, slot * 8) + number * 4, value);
    }
    void put_anchor(uint64_t slot, uint32_t value) { put_tie(slot, 0, value); }
    void put_next(uint64_t slot, uint32_t value) { put_tie(slot, 1, value); }
    uint32_t anchor(uint64_t slot) const { return tie(slot, 0) - 1; }
    // A node that neither is the root nor has it as its anchor.
    uint32_t deep_node() const {
        uint32_t slot = 50;
        while (anchor(slot) == slot || anchor(anchor(slot)) == anchor(slot)) slot++;
        return slot;
    }
    std::vector<uint32_t> list(uint32_t slot) const {
        std::vector<uint32_t> entries;
        for (uint32_t i = 0; i < kM0; i++) {
            const auto entry = image_.get<uint32_t>(image_.locate_row(RHUMB__SECTION_LISTS0, slot) + i * 4);
            if (entry != kNone) entries.push_back(entry);
        }
        return entries;
    }
    void put_list(uint32_t slot, std::vector<uint32_t> entries) {
        entries.resize(kM0, kNone);
        for (uint32_t i = 0; i < kM0; i++) {
            image_.put<uint32_t>(image_.locate_row(RHUMB__SECTION_LISTS0, slot) + i * 4, entries[i]);
        }
    }
    // In place of the last entry that is not tied to the slot.
    void add_to_list(uint32_t slot, uint32_t added) {
        std::vector<uint32_t> entries = list(slot);
        auto place = entries.rbegin();
        while (anchor(*place) == slot || anchor(slot) == *place) place++;
        *place = added;
        put_list(slot, entries);
    }
    void cut_link(uint32_t slot, uint32_t neighbour) {
        std::vector<uint32_t> entries = list(slot);
        entries.erase(std::remove(entries.begin(), entries.end(), neighbour), entries.end());
        put_list(slot, entries);
    }
    template <typename Number> void put_count(uint64_t offset, Number number) {
        for (uint32_t copy = 0; copy < 2; copy++) {
            const uint64_t superblock = FileImage::superblock_offset(image_.newest_slot(), copy);
            image_.put(superblock + offsetof(rhumb__superblock, client) + offset, number);
        }
    }

    rhumb_verify_report verify() {
        image_.mend();
        EXPECT_TRUE(image_.save(path_));
        Index index;
        EXPECT_EQ(rhumb_test::open_index(path_, true, &index), RHUMB_OK) << rhumb_error_last()->message;
        rhumb_verify_report report = {};
        (void)!rhumb_test::verify_index(index, &report);
        return report;
    }
    void expect_found(const char *what, const std::function<void()> &plant) {
        image_ = sound_;
        plant();
        const rhumb_verify_report report = verify();
        EXPECT_GT(report.structure_error_count, 0u) << what;
        EXPECT_NE(std::string(report.first_error).find(what), std::string::npos)
            << "expected: " << what << ", found: " << report.first_error;
    }

    ScratchDirectory directory_;
    const std::string path_ = directory_.file("index.rhumb");
    const Vectors vectors_{16, 397};
    FileImage sound_, image_;
};

TEST_F(VerifyTies, FindsNothingInASoundIndex) {
    const rhumb_verify_report report = verify();
    EXPECT_EQ(report.structure_error_count, 0u) << report.first_error;
    EXPECT_EQ(report.unreachable_count, 0u);
}

TEST_F(VerifyTies, FindsWrongAnchors) {
    expect_found("slot 50: it is tied to no anchor", [&] { put_anchor(50, 0); });
    expect_found("slot 50: its anchor, slot 305 of 300, is not in the graph", [&] { put_anchor(50, 306); });
    expect_found("slot 50: its anchor, slot 210 of 300, is not in the graph", [&] { put_anchor(50, 211); });
    expect_found("slot 50: it is a root, and so is slot ", [&] { put_anchor(50, 51); });
    expect_found("its anchors lead back to it instead of to the root",
                 [&] { put_anchor(anchor(deep_node()), 1 + deep_node()); });
}

TEST_F(VerifyTies, FindsLinksThatATieLacks) {
    const uint32_t slot = deep_node();
    const std::string what = "slot " + std::to_string(slot) + ": the links between it and its anchor, slot " +
                             std::to_string(anchor(slot)) + ", are not both there";
    expect_found(what.c_str(), [&] { cut_link(slot, anchor(slot)); });
    expect_found(what.c_str(), [&] { cut_link(anchor(slot), slot); });
}

TEST_F(VerifyTies, FindsCopiesThatAreNone) {
    expect_found("slot 200: a copy of slot 1, whose vector is another", [&] { put_anchor(200, kCopy | 2); });
    expect_found("slot 200: a copy of slot 210 of 300, which is not in the graph",
                 [&] { put_anchor(200, kCopy | 211); });
    expect_found("slot 200: a copy of slot 400 of 300, which is not in the graph",
                 [&] { put_anchor(200, kCopy | 401); });
    expect_found("slot 200: a copy of slot 200 of 300, which is not in the graph",
                 [&] { put_anchor(200, kCopy | 201); });
}

TEST_F(VerifyTies, FindsCopiesWithLinks) {
    expect_found("slot 200, level 0: a copy with links", [&] { put_list(200, {1}); });
    expect_found("slot 60, level 0: link to slot 200, which is a copy", [&] { add_to_list(60, 200); });
}

TEST_F(VerifyTies, FindsWrongChains) {
    // The chain of slot 0 is 290, 280... 200.
    ASSERT_EQ(tie(0, 1), 291u);
    ASSERT_EQ(tie(200, 1), 0u);
    expect_found("a copy that is in no chain of copies", [&] { put_next(0, 0); });
    expect_found("slot 200: a copy that is in no chain of copies", [&] { put_next(210, 0); });
    expect_found("slot 0: its copies lead to slot 290 twice", [&] { put_next(200, 291); });
    expect_found("slot 0: its copies lead to slot 230 twice", [&] { put_next(230, 231); });
    expect_found("slot 0: its copies lead to slot 291 of 300, which is none", [&] { put_next(200, 292); });
    expect_found("slot 0: its copies lead to slot 60 of 300, which is none", [&] { put_next(200, 61); });
    expect_found("slot 0: its copies lead to slot 300 of 300, which is none", [&] { put_next(200, 301); });
    expect_found("slot 100: its copies lead to slot 200 of 300, which is none", [&] { put_next(100, 201); });
    expect_found("copies: at most 99 expected, 100 found", [&] { put_count<uint64_t>(kCopyCount, 99); });
}

TEST_F(VerifyTies, FindsWrongFirstNodesOfLevels) {
    uint32_t first[17];
    for (uint32_t level = 0; level < 17; level++) {
        const uint64_t place = FileImage::superblock_offset(sound_.newest_slot(), 0) +
                               offsetof(rhumb__superblock, client) + kLevelFirst + level * 4;
        first[level] = sound_.get<uint32_t>(place);
    }
    uint32_t top = 0;
    for (uint32_t level = 0; level < 17; level++) {
        if (first[level] != kNone) top = level;
    }
    ASSERT_GT(top, 0u);
    for (uint32_t level = 0; level <= top; level++) {
        if (first[level] == kNone) continue;
        const std::string what = "level " + std::to_string(level) + ": its first node is that of slot ";
        expect_found(what.c_str(), [&] { put_count<uint32_t>(kLevelFirst + level * 4, first[level] + 1); });
    }
    expect_found("its first node is that of slot ", [&] { put_count<uint32_t>(kLevelFirst + top * 4, kNone); });
}

// Chains that all lead into one circle, anchors in one circle: no more errors than there are slots and chains.
TEST_F(VerifyTies, TheWorkIsBoundedByTheSizeOfTheFile) {
    image_ = sound_;
    for (uint32_t slot = 0; slot < kCount; slot++) {
        put_next(slot, 1 + (slot + 1) % kCount);
        put_anchor(slot, slot < kHeadCount ? 1 + (slot + 1) % kHeadCount : kCopy | (1 + slot % 10));
    }
    const rhumb_verify_report report = verify();
    EXPECT_GT(report.structure_error_count, kHeadCount);
    EXPECT_LT(report.structure_error_count, 4 * kCount);
}

} // namespace
} // namespace fault_test
