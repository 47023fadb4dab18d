// Goal: a reader keeps the blocks of its own version and no others, whatever writers do and however many of them come
// and go, and keeps all that may be its where that is not known. Method: one mutable section that is rewritten again
// and again beside readers of known content, and the length of the file.
#include "tests/support/io_fault.h"
#include "tests/support/store_test_support.h"

#include "base/crc32c.h"

#include <fcntl.h>
#include <unistd.h>

namespace store_test {
namespace {

const std::vector<store_harness_spec> kOne = {{1, true, 1, false, 64, 1 << 20}};
constexpr uint64_t kIndexBlocks = 20;
constexpr uint64_t kRowCount = kIndexBlocks * 1024;

class StoreKept : public ::testing::Test {
  protected:
    void SetUp() override {
        writer_ = create(backend_, path_, kOne);
        ASSERT_NO_FATAL_FAILURE(model_.append(writer_, 0, kRowCount));
        ASSERT_EQ(model_.publish(writer_), RHUMB_OK);
    }
    void TearDown() override {
        EXPECT_TRUE(holds(writer_, model_.rows(), kOne));
        EXPECT_TRUE(is_whole(writer_));
    }

    void publish_many(int count, uint64_t change_count = 200) {
        for (int i = 0; i < count; i++) {
            ASSERT_NO_FATAL_FAILURE(model_.change(writer_, 0, change_count));
            ASSERT_EQ(model_.publish(writer_), RHUMB_OK) << rhumb__error_last()->message;
        }
    }
    Handle open_reader() { return open(backend_, path_, false, kOne); }
    void open_writer_again() {
        writer_.close();
        writer_ = open(backend_, path_, true, kOne);
    }
    // In units of the index.
    double file_end() const {
        return static_cast<double>(store_harness_file_end(writer_)) / (kIndexBlocks * RHUMB__BLOCK_BYTES);
    }
    double trimmed_end() {
        bool left = false;
        publish_many(4, 1024 * kIndexBlocks);
        uint64_t written_bytes = 0;
        EXPECT_EQ(store_harness_pull_down(writer_, model_.row_counts().data(), &written_bytes), RHUMB_OK);
        EXPECT_EQ(store_harness_trim(writer_, &left), RHUMB_OK);
        return file_end();
    }

    const rhumb__io_backend *backend_ = &rhumb_test::io_fault_backend; // no fault is armed: plain without waiting
    io_test::ScratchDirectory directory_;
    std::string path_ = directory_.file("data");
    Model model_{io_test::choose_seed(), kOne};
    Handle writer_;
};

TEST_F(StoreKept, AReaderKeepsItsOwnVersionOnly) {
    const Rows pinned = model_.rows();
    Handle reader = open_reader();
    ASSERT_NO_FATAL_FAILURE(publish_many(10));
    const double early_end = file_end();
    ASSERT_NO_FATAL_FAILURE(publish_many(120));
    EXPECT_LT(file_end(), early_end + 1);
    EXPECT_LT(file_end(), 6);
    EXPECT_TRUE(holds(reader, pinned, kOne));
    EXPECT_TRUE(is_whole(reader));
    reader.close();
    EXPECT_LT(trimmed_end(), 3.5);
}

TEST_F(StoreKept, LaterWritersKnowWhatAReaderKeeps) {
    const Rows pinned = model_.rows();
    Handle reader = open_reader();
    for (int life = 0; life < 12; life++) {
        ASSERT_NO_FATAL_FAILURE(publish_many(life % 4));
        ASSERT_NO_FATAL_FAILURE(open_writer_again());
        ASSERT_NO_FATAL_FAILURE(publish_many(6));
        ASSERT_LT(file_end(), 7) << "life " << life;
    }
    EXPECT_TRUE(holds(reader, pinned, kOne));
    EXPECT_TRUE(is_whole(reader));
    reader.close();
    ASSERT_NO_FATAL_FAILURE(open_writer_again());
    EXPECT_LT(trimmed_end(), 3.5);
}

// Readers come and go, and so do writers.
TEST_F(StoreKept, ManyReadersKeepAsManyVersions) {
    std::vector<std::pair<Handle, Rows>> readers;
    std::mt19937_64 &random = model_.random();
    for (int i = 0; i < 150; i++) {
        ASSERT_NO_FATAL_FAILURE(publish_many(1 + random() % 3, 1 + random() % 300));
        if (random() % 3 == 0) readers.emplace_back(open_reader(), model_.rows());
        while (readers.size() > 8 || (!readers.empty() && random() % 4 == 0)) {
            readers.erase(readers.begin() + static_cast<long>(random() % readers.size()));
        }
        if (random() % 10 == 0) open_writer_again();
        for (const auto &[reader, rows] : readers) ASSERT_TRUE(holds(reader, rows, kOne)) << "step " << i;
        ASSERT_LT(file_end(), 18) << readers.size() << " readers";
    }
    for (const auto &[reader, rows] : readers) EXPECT_TRUE(is_whole(reader));
    readers.clear();
    EXPECT_LT(trimmed_end(), 3.5);
}

// More changes than blocks of one version can tell: without knowing them, all are kept.
TEST_F(StoreKept, APinThatNoVersionNamesKeepsEverythingSince) {
    ASSERT_NO_FATAL_FAILURE(publish_many(20));
    rhumb__io *other = nullptr;
    bool taken = false;
    const double before = file_end();
    ASSERT_EQ(rhumb__io_open(backend_, path_.c_str(), RHUMB__IO_READ, &other), RHUMB_OK);
    ASSERT_EQ(rhumb__io_lock_range(other, RHUMB__LOCK_EPOCH_OFFSET + 3, 1, RHUMB__IO_LOCK_SHARED, &taken), RHUMB_OK);
    ASSERT_TRUE(taken);
    ASSERT_NO_FATAL_FAILURE(publish_many(20));
    EXPECT_GT(file_end(), before + 10);
    rhumb__io_close(other);
    EXPECT_LT(trimmed_end(), 3.5);
}

// The root of the pinned version's directory is damaged, or what points to it. The reader has read it long ago, and
// none of its blocks is reused.
TEST_F(StoreKept, AVersionWhoseDirectoryIsLostKeepsEverything) {
    const rhumb__superblock pinned_superblock = *store_harness_superblock(writer_);
    const Rows pinned = model_.rows();
    Handle reader = open_reader();
    ASSERT_NO_FATAL_FAILURE(publish_many(5));
    writer_.close();
    const int file = ::open(path_.c_str(), O_RDWR | O_CLOEXEC);
    ASSERT_GE(file, 0);
    const uint8_t byte = 0x5A;
    ASSERT_EQ(pwrite(file, &byte, 1, static_cast<off_t>(pinned_superblock.directory_offset + 70)), 1);
    close(file);
    writer_ = open(backend_, path_, true, kOne);
    ASSERT_NO_FATAL_FAILURE(publish_many(20));
    EXPECT_TRUE(holds(reader, pinned, kOne));
    EXPECT_GT(file_end(), 10);
    reader.close();
    EXPECT_LT(trimmed_end(), 3.5);
}

} // namespace
} // namespace store_test
