// Goal: a directory is read back as it was encoded, and bytes that say something impossible are refused with the offset
// of the contradiction. Method: random directories through encode and read; then single fields changed, with the
// checksum corrected, so that only the checks of the content can refuse them.
#include "tests/support/io_test_support.h"

#include <cstddef>

extern "C" {
#include "base/alloc.h"
#include "base/crc32c.h"
#include "storage/frame/directory.h"
}

namespace {

constexpr uint64_t kBlock = RHUMB__BLOCK_BYTES;
constexpr uint64_t kFileBytes = 2000 * kBlock; // sparse: nothing but the directory is ever written
constexpr uint64_t kDirectoryOffset = 3 * kBlock;

class Directory : public ::testing::Test {
  protected:
    void SetUp() override {
        path_ = directory_.file("data");
        ASSERT_EQ(rhumb__io_open(&rhumb__io_plain, path_.c_str(), RHUMB__IO_CREATE, &io_), RHUMB_OK);
        ASSERT_EQ(rhumb__io_resize(io_, kFileBytes), RHUMB_OK);
        encoded_ = static_cast<rhumb__directory *>(rhumb__alloc_zeroed(1, sizeof *encoded_));
        ASSERT_NE(encoded_, nullptr);
    }
    void TearDown() override {
        rhumb__directory_free(encoded_);
        rhumb__directory_free(read_);
        rhumb__io_close(io_);
    }

    // Adds a section whose extents lie after all earlier ones, with gaps.
    void add(uint32_t id, rhumb__section_kind kind, uint32_t chunk_bytes, uint64_t stride, uint64_t row_count,
             uint64_t spare_blocks) {
        rhumb__directory_entry *entry = &encoded_->entries[encoded_->section_count++];
        entry->record = {};
        entry->record.id = id;
        entry->record.kind = kind;
        entry->record.flags = id % 2;
        entry->record.codec = 100 + id;
        entry->record.version = 1 + id;
        entry->record.chunk_bytes = chunk_bytes;
        entry->record.row_stride_bytes = stride;
        entry->record.row_count = row_count;
        uint64_t bytes = (row_count * stride + chunk_bytes - 1) / chunk_bytes * chunk_bytes + spare_blocks * kBlock;
        while (bytes > 0) {
            const uint64_t part = std::min(bytes, (1 + random_() % 4) * kBlock);
            next_ += (random_() % 3) * kBlock;
            ASSERT_EQ(rhumb__extent_list_append(&entry->extents, next_, part), RHUMB_OK);
            next_ += part;
            bytes -= part;
        }
        ASSERT_LT(next_, kFileBytes);
    }

    // The standard example: two append-only sections, two mutable ones with unlike chunks, one empty.
    void add_standard() {
        add(1, RHUMB__SECTION_APPEND, kBlock, 12, 30000, 2);
        add(7, RHUMB__SECTION_MUTABLE, kBlock, 64, 5000, 0);
        add(9, RHUMB__SECTION_MUTABLE, 3 * kBlock, 192, 2049, 0);
        add(2, RHUMB__SECTION_APPEND, kBlock, 3136, 100, 0);
        add(3, RHUMB__SECTION_APPEND, kBlock, 8, 0, 0);
        encoded_->epoch = 12;
        encoded_->checksum_crc = 0xC0FFEE;
        encoded_->kept = static_cast<rhumb__kept_version *>(rhumb__alloc_zeroed(2, sizeof *encoded_->kept));
        ASSERT_NE(encoded_->kept, nullptr);
        encoded_->kept[0] = {3, 7 * kBlock, 3000, 1000, 0xABCD};
        encoded_->kept[1] = {10, 9 * kBlock, 5000, 2000, 0xEF01};
        encoded_->kept_count = 2;
    }

    void encode() {
        uint8_t *root = nullptr;
        uint32_t root_bytes = 0;
        ASSERT_EQ(rhumb__directory_encode(encoded_, &root, &root_bytes), RHUMB_OK);
        root_.assign(root, root + root_bytes);
        rhumb__free(root);
        superblock_ = {};
        superblock_.epoch = encoded_->epoch;
        superblock_.file_bytes = kFileBytes;
        superblock_.directory_offset = kDirectoryOffset;
        superblock_.root_bytes = root_bytes;
        superblock_.directory_bytes = root_bytes + encoded_->checksum_count * sizeof(uint32_t);
    }

    rhumb_status read() {
        superblock_.root_crc = rhumb__crc32c(0, root_.data(), root_.size());
        EXPECT_EQ(rhumb__io_write(io_, root_.data(), root_.size(), kDirectoryOffset), RHUMB_OK);
        EXPECT_EQ(rhumb__io_drain(io_), RHUMB_OK);
        rhumb__directory_free(read_);
        read_ = nullptr;
        return rhumb__directory_read(io_, &superblock_, &read_);
    }

    template <typename T> void change(uint64_t position, T value) { memcpy(&root_[position], &value, sizeof value); }
    uint64_t record_at(uint32_t index, size_t field) const {
        return sizeof(rhumb__directory_header) + index * sizeof(rhumb__section_record) + field;
    }
    uint64_t kept_at(uint32_t index, size_t field) const {
        uint64_t position = sizeof(rhumb__directory_header);
        for (uint32_t i = 0; i < encoded_->section_count; i++) {
            position += sizeof(rhumb__section_record) + encoded_->entries[i].extents.count * sizeof(rhumb__extent);
        }
        return position + index * sizeof(rhumb__kept_version) + field;
    }
    uint64_t extent_at(uint32_t index, size_t field) const {
        return sizeof(rhumb__directory_header) + encoded_->section_count * sizeof(rhumb__section_record) +
               index * sizeof(rhumb__extent) + field;
    }

    io_test::ScratchDirectory directory_;
    std::string path_;
    rhumb__io *io_ = nullptr;
    rhumb__directory *encoded_ = nullptr;
    rhumb__directory *read_ = nullptr;
    rhumb__superblock superblock_ = {};
    std::vector<uint8_t> root_;
    std::mt19937_64 random_{397};
    uint64_t next_ = 5 * kBlock;
};

TEST_F(Directory, IsReadAsItWasEncoded) {
    ASSERT_NO_FATAL_FAILURE(add_standard());
    ASSERT_NO_FATAL_FAILURE(encode());
    ASSERT_EQ(read(), RHUMB_OK) << rhumb__error_last()->message;
    EXPECT_EQ(read_->epoch, 12u);
    EXPECT_EQ(read_->checksum_crc, 0xC0FFEEu);
    EXPECT_EQ(read_->checksum_offset, kDirectoryOffset + root_.size());
    EXPECT_EQ(read_->file_offset, kDirectoryOffset);
    EXPECT_EQ(read_->file_bytes, kBlock);
    ASSERT_EQ(read_->section_count, encoded_->section_count);
    uint64_t checksum_count = 0;
    for (uint32_t i = 0; i < read_->section_count; i++) {
        const rhumb__directory_entry *before = &encoded_->entries[i];
        const rhumb__directory_entry *after = &read_->entries[i];
        EXPECT_EQ(memcmp(&before->record, &after->record, sizeof before->record), 0) << i;
        EXPECT_EQ(after->record.checksum_first, checksum_count);
        checksum_count += rhumb__section_record_chunk_count(&after->record);
        ASSERT_EQ(before->extents.count, after->extents.count);
        for (uint32_t k = 0; k < before->extents.count; k++) {
            EXPECT_EQ(before->extents.items[k].file_offset, after->extents.items[k].file_offset);
            EXPECT_EQ(before->extents.items[k].bytes, after->extents.items[k].bytes);
            EXPECT_EQ(before->extents.items[k].section_offset, after->extents.items[k].section_offset);
        }
    }
    EXPECT_EQ(read_->checksum_count, checksum_count);
    ASSERT_EQ(read_->kept_count, 2u);
    EXPECT_EQ(memcmp(read_->kept, encoded_->kept, 2 * sizeof *read_->kept), 0);
}

TEST_F(Directory, MayHaveNoSections) {
    encoded_->epoch = 1;
    ASSERT_NO_FATAL_FAILURE(encode());
    ASSERT_EQ(read(), RHUMB_OK) << rhumb__error_last()->message;
    EXPECT_EQ(read_->section_count, 0u);
    EXPECT_EQ(read_->checksum_count, 0u);
}

TEST_F(Directory, RangesAreAscendingAndIncludeTheDirectory) {
    ASSERT_NO_FATAL_FAILURE(add_standard());
    ASSERT_NO_FATAL_FAILURE(encode());
    ASSERT_EQ(read(), RHUMB_OK);
    rhumb__extent *ranges = nullptr;
    uint32_t count = 0;
    ASSERT_EQ(rhumb__directory_ranges(read_, path_.c_str(), &ranges, &count), RHUMB_OK);
    uint32_t extent_count = 1;
    for (uint32_t i = 0; i < read_->section_count; i++) extent_count += read_->entries[i].extents.count;
    EXPECT_EQ(count, extent_count);
    EXPECT_EQ(ranges[0].file_offset, kDirectoryOffset);
    for (uint32_t i = 1; i < count; i++) {
        EXPECT_LE(ranges[i - 1].file_offset + ranges[i - 1].bytes, ranges[i].file_offset);
    }
    rhumb__free(ranges);
}

TEST_F(Directory, RefusesARootWithAWrongChecksum) {
    ASSERT_NO_FATAL_FAILURE(add_standard());
    ASSERT_NO_FATAL_FAILURE(encode());
    ASSERT_EQ(read(), RHUMB_OK);
    for (size_t i = 0; i < root_.size(); i++) {
        uint8_t byte = root_[i] ^ 1;
        ASSERT_EQ(rhumb__io_write(io_, &byte, 1, kDirectoryOffset + i), RHUMB_OK);
        ASSERT_EQ(rhumb__io_drain(io_), RHUMB_OK);
        rhumb__directory *damaged = nullptr;
        ASSERT_EQ(rhumb__directory_read(io_, &superblock_, &damaged), RHUMB_E_CORRUPT) << i;
        ASSERT_EQ(rhumb__io_write(io_, &root_[i], 1, kDirectoryOffset + i), RHUMB_OK);
    }
}

TEST_F(Directory, RefusesImpossibleFields) {
    ASSERT_NO_FATAL_FAILURE(add_standard());
    ASSERT_NO_FATAL_FAILURE(encode());
    const std::vector<uint8_t> sound = root_;
    struct Case {
        const char *what;
        uint64_t position;
        uint64_t value;
        bool is_64;
    };
    const auto header = [](size_t field) { return static_cast<uint64_t>(field); };
    const Case cases[] = {
        {"magic", header(offsetof(rhumb__directory_header, magic)), 0, false},
        {"section count", header(offsetof(rhumb__directory_header, section_count)), 6, false},
        {"section count beyond all", header(offsetof(rhumb__directory_header, section_count)), UINT32_MAX, false},
        {"extent count", header(offsetof(rhumb__directory_header, extent_count)), 1, false},
        {"extent count beyond all", header(offsetof(rhumb__directory_header, extent_count)), UINT32_MAX, false},
        {"checksum count", header(offsetof(rhumb__directory_header, checksum_count)), 1, true},
        {"checksum count beyond all", header(offsetof(rhumb__directory_header, checksum_count)), UINT64_MAX, true},
        {"epoch", header(offsetof(rhumb__directory_header, epoch)), 13, true},
        {"kept count", header(offsetof(rhumb__directory_header, kept_count)), 1, false},
        {"kept count beyond all", header(offsetof(rhumb__directory_header, kept_count)), UINT32_MAX, false},
        {"kept version of no epoch", kept_at(0, offsetof(rhumb__kept_version, epoch)), 0, true},
        {"kept versions out of order", kept_at(0, offsetof(rhumb__kept_version, epoch)), 10, true},
        {"kept version that is the previous", kept_at(1, offsetof(rhumb__kept_version, epoch)), 11, true},
        {"kept version of the future", kept_at(1, offsetof(rhumb__kept_version, epoch)), UINT64_MAX, true},
        {"an id twice", record_at(1, offsetof(rhumb__section_record, id)), 1, false},
        {"kind 0", record_at(0, offsetof(rhumb__section_record, kind)), 0, false},
        {"kind 3", record_at(0, offsetof(rhumb__section_record, kind)), 3, false},
        {"no chunk", record_at(0, offsetof(rhumb__section_record, chunk_bytes)), 0, false},
        {"odd chunk", record_at(0, offsetof(rhumb__section_record, chunk_bytes)), kBlock + 1, false},
        {"huge chunk", record_at(0, offsetof(rhumb__section_record, chunk_bytes)), UINT32_C(1) << 31, false},
        {"no stride", record_at(1, offsetof(rhumb__section_record, row_stride_bytes)), 0, true},
        {"huge stride", record_at(4, offsetof(rhumb__section_record, row_stride_bytes)), UINT64_C(1) << 63, true},
        {"stride that overflows", record_at(0, offsetof(rhumb__section_record, row_stride_bytes)), UINT64_C(1) << 56,
         true},
        {"more rows than extents", record_at(1, offsetof(rhumb__section_record, row_count)), 6000, true},
        {"more rows than the file", record_at(1, offsetof(rhumb__section_record, row_count)), UINT64_MAX, true},
        {"extents begin elsewhere", record_at(1, offsetof(rhumb__section_record, extent_first)), 0, false},
        {"more extents", record_at(1, offsetof(rhumb__section_record, extent_count)), UINT32_MAX, false},
        {"fewer extents", record_at(1, offsetof(rhumb__section_record, extent_count)), 1, false},
        {"checksums begin elsewhere", record_at(1, offsetof(rhumb__section_record, checksum_first)), 0, true},
        {"extent in block 0", extent_at(0, offsetof(rhumb__extent, file_offset)), 0, true},
        {"extent not at a block", extent_at(0, offsetof(rhumb__extent, file_offset)), kBlock + 512, true},
        {"extent after the end", extent_at(0, offsetof(rhumb__extent, file_offset)), kFileBytes, true},
        {"extent far after the end", extent_at(0, offsetof(rhumb__extent, file_offset)), UINT64_MAX - kBlock + 1, true},
        {"extent of nothing", extent_at(0, offsetof(rhumb__extent, bytes)), 0, true},
        {"extent of half a block", extent_at(0, offsetof(rhumb__extent, bytes)), kBlock / 2, true},
        {"extent too long", extent_at(0, offsetof(rhumb__extent, bytes)), UINT64_MAX - kBlock + 1, true},
        {"extent over the directory", extent_at(0, offsetof(rhumb__extent, file_offset)), kDirectoryOffset, true},
        {"extent over another", extent_at(0, offsetof(rhumb__extent, file_offset)),
         encoded_->entries[3].extents.items[0].file_offset, true},
    };
    for (const Case &entry : cases) {
        root_ = sound;
        if (entry.is_64) {
            change<uint64_t>(entry.position, entry.value);
        } else {
            change<uint32_t>(entry.position, static_cast<uint32_t>(entry.value));
        }
        EXPECT_EQ(read(), RHUMB_E_CORRUPT) << entry.what;
        EXPECT_EQ(path_, rhumb__error_last()->path) << entry.what;
    }
    root_ = sound;
    EXPECT_EQ(read(), RHUMB_OK);
}

TEST_F(Directory, AllocatesOnlyForARootOfPossibleLength) {
    ASSERT_NO_FATAL_FAILURE(add_standard());
    ASSERT_NO_FATAL_FAILURE(encode());
    superblock_.root_bytes = UINT32_MAX;
    superblock_.directory_bytes = UINT32_MAX;
    rhumb__directory *huge = nullptr;
    EXPECT_EQ(rhumb__directory_read(io_, &superblock_, &huge), RHUMB_E_CORRUPT);
}

TEST_F(Directory, FailsCleanlyAtEveryAllocation) {
    ASSERT_NO_FATAL_FAILURE(add_standard());
    ASSERT_NO_FATAL_FAILURE(encode());
    ASSERT_EQ(read(), RHUMB_OK);
    uint64_t failure_count = 0;
    for (uint64_t n = 1;; n++) {
        rhumb__alloc_fail_after(n, false);
        const rhumb_status status = read();
        rhumb__alloc_fail_after(0, false);
        if (status == RHUMB_OK) break;
        ASSERT_EQ(status, RHUMB_E_NOMEM);
        ASSERT_EQ(read_, nullptr);
        failure_count++;
    }
    EXPECT_GE(failure_count, 5u);
}

} // namespace
