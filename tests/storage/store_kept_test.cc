// Goal: a reader keeps the blocks of its own version and no others, whatever writers do and however many of them come
// and go, and keeps all that may be its where that is not known. Method: one mutable section that is rewritten again
// and again while readers hold versions of known content, and the length of the file.
#include "tests/support/io_fault.h"
#include "tests/support/store_test_support.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <thread>
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

    void publish_many(int count, uint64_t change_count = 8000) {
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
    // What is not free, in units of the index.
    double used() const {
        return file_end() -
               static_cast<double>(store_harness_free_bytes(writer_)) / (kIndexBlocks * RHUMB__BLOCK_BYTES);
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
        ASSERT_NO_FATAL_FAILURE(publish_many(1 + random() % 3, 1 + random() % 3000));
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

// A process that opens the newest version and waits until it is killed.
class ReaderProcess {
  public:
    explicit ReaderProcess(const std::string &path) {
        int ends[2] = {-1, -1};
        EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
        pid_ = fork();
        if (pid_ == 0) {
            store_harness *reader = nullptr;
            char opened = store_harness_open(&rhumb__io_plain, path.c_str(), false, kOne.data(), kOne.size(),
                                             &reader) == RHUMB_OK;
            if (write(ends[1], &opened, 1) != 1) _exit(1);
            for (;;) pause();
        }
        char opened = 0;
        EXPECT_EQ(read(ends[0], &opened, 1), 1);
        EXPECT_EQ(opened, 1);
        close(ends[0]);
        close(ends[1]);
    }
    ~ReaderProcess() { die(); }
    void die() {
        if (pid_ <= 0) return;
        kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
        pid_ = -1;
    }
    pid_t pid() const { return pid_; }

  private:
    pid_t pid_ = -1;
};

TEST_F(StoreKept, AKilledReaderKeepsNothing) {
    ReaderProcess reader(path_);
    ASSERT_NO_FATAL_FAILURE(publish_many(30));
    ASSERT_LT(trimmed_end(), 4.5);
    const double kept = used();
    reader.die();
    EXPECT_LT(trimmed_end(), 3.5);
    EXPECT_LT(used(), kept - 0.5);
}

TEST_F(StoreKept, PinsAreNamedWithTheirProcesses) {
    std::vector<store_harness_pin> pins(8);
    uint32_t count = 99;
    ASSERT_EQ(store_harness_pins(writer_, pins.data(), 8, &count), RHUMB_OK);
    EXPECT_EQ(count, 0u);
    ReaderProcess other(path_);
    ASSERT_NO_FATAL_FAILURE(publish_many(6));
    Handle first = open_reader();
    Handle second = open_reader();
    ASSERT_NO_FATAL_FAILURE(publish_many(1));
    ASSERT_EQ(store_harness_pins(writer_, pins.data(), 8, &count), RHUMB_OK);
    ASSERT_EQ(count, 2u);
    EXPECT_EQ(pins[0].epoch, 1u);
    EXPECT_EQ(pins[1].epoch, 7u);
    // What /proc says, unless it is hidden here.
    if (pins[1].pid_count > 0) {
        EXPECT_EQ(pins[0].reader_count, 1u);
        ASSERT_EQ(pins[0].pid_count, 1u);
        EXPECT_EQ(pins[0].pids[0], other.pid());
        EXPECT_EQ(pins[1].reader_count, 2u);
        EXPECT_EQ(pins[1].pid_count, 1u);
        EXPECT_EQ(pins[1].pids[0], getpid());
    }
    // A reader sees the others' pins and its own.
    ASSERT_EQ(store_harness_pins(first, pins.data(), 8, &count), RHUMB_OK);
    EXPECT_EQ(count, 2u);
    ASSERT_EQ(store_harness_pins(first, pins.data(), 1, &count), RHUMB_OK);
    ASSERT_EQ(count, 1u);
    EXPECT_EQ(pins[0].epoch, 1u);
    first.close();
    second.close();
    other.die();
    ASSERT_EQ(store_harness_pins(writer_, pins.data(), 8, &count), RHUMB_OK);
    EXPECT_EQ(count, 0u);
}

// The filter runs in the middle of a publication.
TEST_F(StoreKept, StatisticsDoNotWaitForAPublication) {
    struct Seen {
        store_harness *writer;
        uint64_t epoch;
    } seen = {writer_, 0};
    const uint64_t epoch = store_harness_superblock(writer_)->epoch;
    ASSERT_NO_FATAL_FAILURE(model_.change(writer_, 0, 10));
    ASSERT_EQ(store_harness_publish(
                  writer_, model_.row_counts().data(), nullptr,
                  [](void *context, uint32_t, uint64_t, uint8_t *, uint64_t) {
                      auto *into = static_cast<Seen *>(context);
                      // Of another thread: this one holds the publishing lock.
                      std::thread([&] { into->epoch = store_harness_stats_epoch(into->writer); }).join();
                      return false;
                  },
                  &seen, nullptr),
              RHUMB_OK);
    EXPECT_EQ(seen.epoch, epoch);
    EXPECT_EQ(store_harness_stats_epoch(writer_), epoch + 1);
    EXPECT_EQ(store_harness_stats_mapping_count(writer_), store_harness_extent_count(writer_, 0));
}

} // namespace
} // namespace store_test
