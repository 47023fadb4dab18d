// Goal: pulling down moves what lies near the end of the file to free blocks at lower offsets, and nowhere else.
// Method: sections that leave known gaps, and the layout of the file afterwards.
#include "tests/support/io_fault.h"
#include "tests/support/store_test_support.h"

#include <sys/stat.h>

namespace store_test {
namespace {

using io_test::kMiB;

class PullDown : public ::testing::Test {
  protected:
    uint64_t file_length() const {
        struct stat info = {};
        EXPECT_EQ(stat(path_.c_str(), &info), 0);
        return static_cast<uint64_t>(info.st_size);
    }

    const rhumb__io_backend *backend_ = &rhumb_test::io_fault_backend; // no fault is armed: plain without waiting
    io_test::ScratchDirectory directory_;
    std::string path_ = directory_.file("data");
};

// Changes a quarter of the rows of a mutable section, so that all of it moves at the next publication.
void change_all(store_harness *store, uint32_t section, uint64_t row_count, uint64_t stride_bytes) {
    const std::vector<uint8_t> row(stride_bytes, 7);
    for (uint64_t i = 0; i < row_count; i += 4) store_harness_write(store, section, i, row.data());
}

// A section moves only if there is room at a lower offset.
TEST_F(PullDown, MovesNothingToAHigherOffset) {
    const std::vector<store_harness_spec> specs = {{1, true, 1, false, 4096, 1 << 20},
                                                   {2, true, 1, false, 4096, 1 << 20}};
    const std::vector<uint64_t> counts = {160, 16};
    Handle writer = create(backend_, path_, specs);
    for (uint32_t i = 0; i < 2; i++) ASSERT_EQ(store_harness_ensure(writer, i, counts[i]), RHUMB_OK);
    const auto publish = [&] {
        return store_harness_publish(writer, counts.data(), nullptr, nullptr, nullptr, nullptr);
    };
    ASSERT_EQ(publish(), RHUMB_OK);
    change_all(writer, 0, counts[0], 4096);
    ASSERT_EQ(publish(), RHUMB_OK);
    // The first section lies at the end, and the version before still has the place that it came from.
    const uint64_t end = store_harness_file_end(writer);
    uint64_t written_bytes = 0;
    ASSERT_EQ(store_harness_pull_down(writer, counts.data(), &written_bytes), RHUMB_OK);
    EXPECT_LT(written_bytes, 4096 * counts[0]);
    EXPECT_LE(store_harness_file_end(writer), end + 2 * RHUMB__BLOCK_BYTES) << "for the directory";
    // Now that place is free.
    ASSERT_EQ(store_harness_pull_down(writer, counts.data(), &written_bytes), RHUMB_OK);
    EXPECT_GE(written_bytes, 4096 * counts[0]);
    for (int i = 0; i < 3; i++) ASSERT_EQ(publish(), RHUMB_OK); // directories come to the front too
    bool left = false;
    ASSERT_EQ(store_harness_trim(writer, &left), RHUMB_OK);
    EXPECT_LT(file_length(), 4096 * (counts[0] + counts[1]) + 8 * RHUMB__BLOCK_BYTES);
    Rows rows = {std::vector<uint8_t>(4096 * counts[0]), std::vector<uint8_t>(4096 * counts[1])};
    for (uint64_t i = 0; i < counts[0]; i += 4) memset(&rows[0][4096 * i], 7, 4096);
    EXPECT_TRUE(holds(writer, rows, specs));
    EXPECT_TRUE(is_whole(open(backend_, path_, false, specs)));
}

// A large section moves in parts, which fit where all of it does not.
TEST_F(PullDown, FillsMoreThanOneGap) {
    constexpr uint64_t kMiBRows = kMiB / 4096;
    const std::vector<store_harness_spec> specs = {{1, true, 1, false, 4096, 1 << 20},
                                                   {2, true, 1, false, 4096, 1 << 20},
                                                   {3, true, 1, false, 4096, 1 << 20},
                                                   {4, true, 1, false, 4096, 1 << 20}};
    // What leaves gaps of 66 MiB and 14 MiB, with something between them that stays, and what is to fill both.
    const std::vector<uint64_t> counts = {66 * kMiBRows, 3 * kMiBRows, 14 * kMiBRows, 76 * kMiBRows};
    std::vector<uint64_t> first = counts;
    first[3] = 0;
    Handle writer = create(backend_, path_, specs);
    for (uint32_t i = 0; i < 4; i++) ASSERT_EQ(store_harness_ensure(writer, i, counts[i]), RHUMB_OK);
    ASSERT_EQ(store_harness_publish(writer, first.data(), nullptr, nullptr, nullptr, nullptr), RHUMB_OK);
    uint64_t written_bytes = 0;
    for (uint32_t i = 0; i < 3; i += 2) change_all(writer, i, counts[i], 4096);
    for (int i = 0; i < 3; i++) {
        ASSERT_EQ(store_harness_publish(writer, counts.data(), nullptr, nullptr, nullptr, nullptr), RHUMB_OK);
    }
    const uint64_t end = store_harness_file_end(writer);
    ASSERT_EQ(store_harness_pull_down(writer, counts.data(), &written_bytes), RHUMB_OK);
    EXPECT_LE(store_harness_file_end(writer), end);
    EXPECT_GE(written_bytes, 76 * kMiB);
    ASSERT_EQ(store_harness_publish(writer, counts.data(), nullptr, nullptr, nullptr, nullptr), RHUMB_OK);
    ASSERT_EQ(store_harness_publish(writer, counts.data(), nullptr, nullptr, nullptr, nullptr), RHUMB_OK);
    bool left = false;
    ASSERT_EQ(store_harness_trim(writer, &left), RHUMB_OK);
    EXPECT_LT(file_length(), 175 * kMiB);
    EXPECT_TRUE(is_whole(open(backend_, path_, false, specs)));
}

} // namespace
} // namespace store_test
