// Goal: a check of chunks finds exactly the damaged and the unreadable ones, in the strict mode and in the lenient one.
// Method: a section in two extents with checksums computed here; then single bytes are changed and the file is cut.
#include "tests/support/io_test_support.h"

extern "C" {
#include "base/bits.h"
#include "base/crc32c.h"
#include "storage/frame/chunk_check.h"
#include "storage/frame/format.h"
}

namespace {

constexpr uint64_t kBlock = RHUMB__BLOCK_BYTES;
constexpr uint64_t kChunks = 5;
constexpr uint64_t kPublishedBytes = 4 * kBlock + 1000; // the last chunk is partly used

class ChunkCheck : public ::testing::Test {
  protected:
    void SetUp() override {
        path_ = directory_.file("data");
        ASSERT_EQ(rhumb__io_open(&rhumb__io_plain, path_.c_str(), RHUMB__IO_CREATE, &io_), RHUMB_OK);
        ASSERT_EQ(rhumb__extent_list_append(&extents_, 7 * kBlock, 2 * kBlock), RHUMB_OK);
        ASSERT_EQ(rhumb__extent_list_append(&extents_, 1 * kBlock, 3 * kBlock), RHUMB_OK);
        bytes_.resize(kChunks * kBlock);
        for (uint64_t i = 0; i < bytes_.size(); i++) bytes_[i] = static_cast<uint8_t>(i * 2654435761u >> 13);
        ASSERT_EQ(rhumb__io_write(io_, bytes_.data(), 2 * kBlock, 7 * kBlock), RHUMB_OK);
        ASSERT_EQ(rhumb__io_write(io_, bytes_.data() + 2 * kBlock, 3 * kBlock, 1 * kBlock), RHUMB_OK);
        ASSERT_EQ(rhumb__io_drain(io_), RHUMB_OK);
        for (uint64_t i = 0; i < kChunks; i++) {
            const uint64_t bytes = std::min(kBlock, kPublishedBytes - i * kBlock);
            checksums_.push_back(rhumb__crc32c(0, &bytes_[i * kBlock], bytes));
        }
        source_ = {io_, &extents_, 3, kBlock, kPublishedBytes, checksums_.data(), nullptr, nullptr};
    }
    void TearDown() override {
        rhumb__extent_list_clear(&extents_);
        rhumb__io_close(io_);
    }

    void flip(uint64_t offset) {
        uint8_t byte = 0;
        ASSERT_EQ(rhumb__io_read(io_, &byte, 1, offset), RHUMB_OK);
        byte ^= 0x10;
        ASSERT_EQ(rhumb__io_write(io_, &byte, 1, offset), RHUMB_OK);
        ASSERT_EQ(rhumb__io_drain(io_), RHUMB_OK);
    }
    rhumb_status check(bool lenient) {
        damaged_ = unreadable_ = 0;
        tally_ = {};
        const rhumb__chunk_marks marks = {&damaged_, &unreadable_};
        return rhumb__chunk_check(&source_, lenient ? &marks : nullptr, &tally_);
    }

    io_test::ScratchDirectory directory_;
    std::string path_;
    rhumb__io *io_ = nullptr;
    rhumb__extent_list extents_ = {};
    std::vector<uint8_t> bytes_;
    std::vector<uint32_t> checksums_;
    rhumb__chunk_source source_ = {};
    uint64_t damaged_ = 0;
    uint64_t unreadable_ = 0;
    rhumb__chunk_tally tally_ = {};
};

TEST_F(ChunkCheck, FindsNothingInASoundSection) {
    for (const bool lenient : {false, true}) {
        ASSERT_EQ(check(lenient), RHUMB_OK);
        EXPECT_EQ(tally_.chunk_count, kChunks);
        EXPECT_EQ(tally_.damaged_count, 0u);
        EXPECT_STREQ(tally_.first_damage, "");
    }
    source_.published_bytes = 0;
    ASSERT_EQ(check(false), RHUMB_OK);
    EXPECT_EQ(tally_.chunk_count, 0u);
}

TEST_F(ChunkCheck, CountsDamagedChunksAndDescribesTheFirst) {
    ASSERT_NO_FATAL_FAILURE(flip(8 * kBlock + 17));  // chunk 1
    ASSERT_NO_FATAL_FAILURE(flip(3 * kBlock + 999)); // chunk 4, its last published byte
    ASSERT_EQ(check(false), RHUMB_OK);
    EXPECT_EQ(tally_.chunk_count, kChunks);
    EXPECT_EQ(tally_.damaged_count, 2u);
    EXPECT_NE(strstr(tally_.first_damage, "section 3, chunk 1 at file offset 524288"), nullptr) << tally_.first_damage;
    ASSERT_EQ(check(true), RHUMB_OK);
    EXPECT_EQ(damaged_, 0b10010u);
    EXPECT_EQ(unreadable_, 0u);
}

TEST_F(ChunkCheck, IgnoresBytesAfterThePublishedOnes) {
    ASSERT_NO_FATAL_FAILURE(flip(3 * kBlock + 1000));
    ASSERT_EQ(check(false), RHUMB_OK);
    EXPECT_EQ(tally_.damaged_count, 0u);
}

TEST_F(ChunkCheck, AnUnreadableChunkIsAFailureOrAFinding) {
    ASSERT_EQ(rhumb__io_resize(io_, 8 * kBlock + 5), RHUMB_OK); // chunk 1 is cut
    EXPECT_EQ(check(false), RHUMB_E_TRUNCATED);
    ASSERT_EQ(check(true), RHUMB_OK);
    EXPECT_EQ(tally_.chunk_count, kChunks);
    EXPECT_EQ(tally_.damaged_count, 1u);
    EXPECT_EQ(damaged_, 0b00010u);
    EXPECT_EQ(unreadable_, 0b00010u);
    EXPECT_NE(strstr(tally_.first_damage, "chunk 1 cannot be read"), nullptr) << tally_.first_damage;
}

TEST_F(ChunkCheck, WithoutChecksumsOnlyReadabilityIsKnown) {
    ASSERT_NO_FATAL_FAILURE(flip(7 * kBlock));
    ASSERT_EQ(rhumb__io_resize(io_, 8 * kBlock), RHUMB_OK);
    source_.checksums = nullptr;
    ASSERT_EQ(check(true), RHUMB_OK);
    EXPECT_EQ(damaged_, 0b00010u);
    EXPECT_EQ(unreadable_, 0b00010u);
}

} // namespace
