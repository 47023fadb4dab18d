// Goal: contiguous damage up to 64 KiB, anywhere in an index or its log, is never passed over in silence: opening,
// verifying or the messages of the library name it, or it hits bytes that nothing refers to. Method: an index with a
// log of several groups; ranges of many lengths and fillings at a sample of places, at every place where something
// begins or ends, and (RHUMB_FULL) at every 512 bytes. What opens must have everything, or must have been named.
#include <atomic>

#include "tests/support/fault_test_support.h"
#include "tests/support/log_image.h"

namespace fault_test {
namespace {

using log_test::LogImage;

constexpr uint64_t kCount = 100; // in the index
constexpr uint64_t kLogged = 60; // in the log besides
constexpr uint64_t kLengths[] = {1, 512, 4096, 36864, 65536};

// The messages of the library, as a program hears them.
std::atomic<uint64_t> warning_count{0};
void hear(void *, rhumb_log_level, const char *) { warning_count++; }

class Contiguous : public ::testing::Test {
  protected:
    void SetUp() override {
        rhumb_log_set(hear, nullptr, RHUMB_LOG_WARNING);
        const std::string path = directory_.file("sound");
        ASSERT_EQ(rhumb_test::build_index(path, IndexShape(), vectors_, kCount, 3), RHUMB_OK);
        Index index;
        ASSERT_EQ(rhumb_test::open_index(path, false, &index), RHUMB_OK) << rhumb_error_last()->message;
        for (uint64_t i = 0; i < kLogged; i++) {
            ASSERT_EQ(rhumb_test::insert_range(index, vectors_, kCount + i, 1), RHUMB_OK);
        }
        index_image_ = FileImage::load(path); // as a crash leaves both
        log_image_ = LogImage::load(path + "-wal");
        ASSERT_EQ(log_image_.records().size(), kLogged);
    }
    void TearDown() override { rhumb_log_set(nullptr, nullptr, RHUMB_LOG_WARNING); }

    void fill(std::vector<uint8_t> *bytes, uint64_t begin, uint64_t end, int filling) {
        for (uint64_t i = begin; i < end; i++) {
            (*bytes)[i] = filling < 256 ? static_cast<uint8_t>(filling) : static_cast<uint8_t>(random_());
        }
    }

    // Opens and verifies what is there; whether the damage was named, and how many vectors a writer finds.
    bool is_named(uint64_t *count) {
        rhumb_verify_report report = {};
        Index index;
        *count = 0;
        warning_count = 0;
        if (rhumb_test::open_index(path_, true, &index) != RHUMB_OK) return true;
        const rhumb_status verified = rhumb_test::verify_index(index, &report);
        EXPECT_EQ(report.warning_count > 0, report.first_warning[0] != '\0');
        index = Index();
        if (rhumb_test::open_index(path_, false, &index) != RHUMB_OK) return true;
        *count = rhumb_index_count(index);
        return verified != RHUMB_OK || report.warning_count > 0 || warning_count > 0;
    }

    // Whether something of this range is in use.
    static bool touches(const std::vector<rhumb__extent> &used, uint64_t begin, uint64_t end) {
        for (const rhumb__extent &range : used) {
            if (begin < range.file_offset + range.bytes && end > range.file_offset) return true;
        }
        return false;
    }
    std::vector<rhumb__extent> used_of_index() const {
        const rhumb__superblock superblock = index_image_.superblock(index_image_.newest_slot());
        std::vector<rhumb__extent> used = {{superblock.directory_offset, superblock.directory_bytes}};
        for (uint32_t i = 0; i < 4; i++) used.push_back({FileImage::superblock_offset(i / 2, i % 2), 4096});
        for (const rhumb__section_record &section : index_image_.sections()) {
            uint64_t left = section.row_count * section.row_stride_bytes;
            for (const rhumb__extent &extent : index_image_.extents(section)) {
                if (left > 0) used.push_back({extent.file_offset, std::min(left, extent.bytes)});
                left -= std::min(left, extent.bytes);
            }
        }
        return used;
    }
    std::vector<rhumb__extent> used_of_log() const {
        const uint64_t begin = log_image_.records()[0].offset;
        std::vector<rhumb__extent> used = {{begin, log_image_.bytes.size() - begin}};
        for (uint32_t i = 0; i < 4; i++) used.push_back({LogImage::header_offset(i / 2, i % 2), 4096});
        return used;
    }

    // Where to begin: at random, and so that something begins or ends inside.
    std::vector<uint64_t> places(const std::vector<rhumb__extent> &used, uint64_t file_bytes, uint64_t length) {
        std::vector<uint64_t> places;
        if (full_run()) {
            for (uint64_t at = 0; at < file_bytes; at += 512) places.push_back(at);
            return places;
        }
        for (const rhumb__extent &range : used) {
            if (used.size() > 8 && random_() % (kSanitized ? 40 : 4) != 0) continue; // the log has five ranges
            const uint64_t end = range.file_offset + range.bytes;
            for (const uint64_t at : {range.file_offset, end - 1, end - std::min(end, length),
                                      range.file_offset + 1 - std::min(range.file_offset + 1, length)}) {
                if (at < file_bytes) places.push_back(at);
            }
        }
        for (uint64_t i = 0; i < iteration_count(4); i++) places.push_back(random_() % file_bytes);
        return places;
    }

    MemoryDirectory directory_;
    const std::string path_ = directory_.file("damaged.rhumb");
    Vectors vectors_{16, 397};
    FileImage index_image_;
    LogImage log_image_;
    std::mt19937_64 random_{choose_seed()};
};

TEST_F(Contiguous, DamageToTheIndexIsNamed) {
    const std::vector<rhumb__extent> used = used_of_index();
    const uint64_t file_bytes = index_image_.bytes().size();
    uint64_t named_count = 0;
    for (const uint64_t length : kLengths) {
        for (const uint64_t begin : places(used, file_bytes, length)) {
            const int filling = static_cast<int>(random_() % 3 == 0 ? 0 : random_() % 2 == 0 ? 0xFF : 256);
            FileImage damaged = index_image_;
            const uint64_t end = std::min(begin + length, file_bytes);
            fill(&damaged.bytes(), begin, end, filling);
            if (damaged.bytes() == index_image_.bytes()) continue;
            ASSERT_TRUE(damaged.save(path_));
            ASSERT_TRUE(log_image_.save(path_ + "-wal"));
            uint64_t count = 0;
            const bool named = is_named(&count);
            named_count += named;
            if (!named) {
                // Bytes between the last row and the end of a chunk, say, or such as a patch replaces.
                uint64_t changed_count = 0;
                for (uint64_t at = begin; at < end; at++) {
                    const bool counts = touches(used, at, at + 1) && !index_image_.is_replaced(at);
                    changed_count += counts && damaged.bytes()[at] != index_image_.bytes()[at];
                }
                EXPECT_EQ(changed_count, 0u) << "bytes " << begin << " to " << end << ", " << filling;
                EXPECT_EQ(count, kCount + kLogged) << "bytes " << begin << " to " << end;
            }
        }
    }
    EXPECT_GT(named_count, kSanitized ? 0u : 20u);
}

TEST_F(Contiguous, DamageToTheLogIsNamed) {
    const std::vector<rhumb__extent> used = used_of_log();
    const uint64_t file_bytes = log_image_.bytes.size();
    uint64_t named_count = 0;
    for (const uint64_t length : kLengths) {
        for (const uint64_t begin : places(used, file_bytes, length)) {
            const int filling = static_cast<int>(random_() % 3 == 0 ? 0 : random_() % 2 == 0 ? 0xFF : 256);
            LogImage damaged = log_image_;
            const uint64_t end = std::min(begin + length, file_bytes);
            fill(&damaged.bytes, begin, end, filling);
            if (damaged.bytes == log_image_.bytes) continue;
            ASSERT_TRUE(index_image_.save(path_));
            ASSERT_TRUE(damaged.save(path_ + "-wal"));
            uint64_t count = 0;
            const bool named = is_named(&count);
            named_count += named;
            EXPECT_TRUE(named || count == kCount + kLogged)
                << "bytes " << begin << " to " << end << ", " << filling << ": " << count << " vectors";
            EXPECT_TRUE(named || !touches(used, begin, end)) << "bytes " << begin << " to " << end << ", " << filling;
        }
    }
    EXPECT_GT(named_count, kSanitized ? 0u : 20u);
}

} // namespace
} // namespace fault_test
