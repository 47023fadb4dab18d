// Goal: a lenient reading of a log finds everything that comes before what is wrong with it, and says what that is; a
// strict one returns it. Method: logs written by the code under test, then changed with log_image.h and read both ways.
#include "tests/support/log_test_support.h"

extern "C" {
#include "storage/log/log_reader.h"
}

namespace log_test {
namespace {

class LogReader : public LogTest {
  protected:
    void TearDown() override { close(); }
    void close() {
        rhumb__log_reading_clear(&reading_);
        rhumb__io_close(io_);
        io_ = nullptr;
    }
    rhumb_status read(rhumb__log_read_mode mode, uint64_t checkpoint_lsn, uint8_t uuid_byte = 7) {
        close();
        EXPECT_EQ(rhumb__log_open_to_read(&rhumb__io_plain, path_.c_str(), &io_), RHUMB_OK);
        const rhumb__log_owner owner = owner_at(path_, checkpoint_lsn, uuid_byte);
        return rhumb__log_read(io_, &owner, mode, &reading_);
    }
    // A batch of two operations and its commit, numbers 1 to 4, then single operations.
    void write_batch_and(uint64_t count) {
        Log log;
        ASSERT_EQ(log.open(path_, {}), RHUMB_OK);
        const uint64_t batch = log.append(RHUMB__LOG_BATCH_BEGIN, 0, {});
        for (int i = 0; i < 2; i++) ASSERT_NE(log.add(batch), 0u);
        ASSERT_EQ(rhumb__log_wait(log, log.append(RHUMB__LOG_BATCH_COMMIT, batch, {})), RHUMB_OK);
        ASSERT_EQ(log.add_durably(count), RHUMB_OK);
    }
    void damage_record(uint64_t index) {
        LogImage image = LogImage::load(log_path_);
        image.bytes[image.records()[index].offset + 20] ^= 1;
        ASSERT_TRUE(image.save(log_path_));
    }

    rhumb__io *io_ = nullptr;
    rhumb__log_reading reading_ = {};
};

TEST_F(LogReader, BothModesAgreeOnASoundLog) {
    ASSERT_NO_FATAL_FAILURE(write_batch_and(3));
    for (const rhumb__log_read_mode mode : {RHUMB__LOG_READ_STRICT, RHUMB__LOG_READ_LENIENT}) {
        ASSERT_EQ(read(mode, 0), RHUMB_OK) << rhumb__error_last()->message;
        EXPECT_TRUE(reading_.follows);
        EXPECT_EQ(reading_.error.status, RHUMB_OK);
        EXPECT_EQ(reading_.scan.record_count, 7u);
        EXPECT_EQ(reading_.scan.operation_count, 5u);
        ASSERT_EQ(read(mode, 5), RHUMB_OK);
        EXPECT_EQ(reading_.scan.operation_count, 2u) << "operation 5 is in the checkpoint";
    }
}

TEST_F(LogReader, LenientKeepsTheOperationsBeforeDamage) {
    ASSERT_NO_FATAL_FAILURE(write_batch_and(4));
    ASSERT_NO_FATAL_FAILURE(damage_record(5));
    EXPECT_EQ(read(RHUMB__LOG_READ_STRICT, 0), RHUMB_E_CORRUPT);
    ASSERT_EQ(read(RHUMB__LOG_READ_LENIENT, 0), RHUMB_OK);
    EXPECT_TRUE(reading_.follows);
    EXPECT_EQ(reading_.error.status, RHUMB_E_CORRUPT);
    EXPECT_EQ(reading_.scan.record_count, 5u);
    EXPECT_EQ(reading_.scan.operation_count, 3u) << "the batch is committed before the damage";
    EXPECT_EQ(examine(0).pending_count, 3u);
}

TEST_F(LogReader, LenientSkipsABatchWhoseCommitIsDamaged) {
    ASSERT_NO_FATAL_FAILURE(write_batch_and(4));
    ASSERT_NO_FATAL_FAILURE(damage_record(3));
    ASSERT_EQ(read(RHUMB__LOG_READ_LENIENT, 0), RHUMB_OK);
    EXPECT_EQ(reading_.error.status, RHUMB_E_CORRUPT);
    EXPECT_EQ(reading_.scan.record_count, 3u);
    EXPECT_EQ(reading_.scan.operation_count, 0u);
}

TEST_F(LogReader, LenientReadsALogThatBeginsTooLate) {
    {
        Log log;
        ASSERT_EQ(log.open(path_, after(10)), RHUMB_OK);
        ASSERT_EQ(log.add_durably(3), RHUMB_OK);
    }
    EXPECT_EQ(read(RHUMB__LOG_READ_STRICT, 8), RHUMB_E_LOG);
    ASSERT_EQ(read(RHUMB__LOG_READ_LENIENT, 8), RHUMB_OK);
    EXPECT_FALSE(reading_.follows);
    EXPECT_EQ(reading_.error.status, RHUMB_E_LOG);
    EXPECT_EQ(reading_.scan.operation_count, 3u);
}

TEST_F(LogReader, TheRecordsOfAnotherIndexAreNotRead) {
    ASSERT_NO_FATAL_FAILURE(write_batch_and(1));
    EXPECT_EQ(read(RHUMB__LOG_READ_STRICT, 0, 8), RHUMB_E_LOG);
    ASSERT_EQ(read(RHUMB__LOG_READ_LENIENT, 0, 8), RHUMB_OK);
    EXPECT_FALSE(reading_.follows);
    EXPECT_EQ(reading_.error.status, RHUMB_E_LOG);
    EXPECT_EQ(reading_.scan.record_count, 0u);
}

TEST_F(LogReader, AnIndexMayHaveNoLog) {
    EXPECT_EQ(rhumb__log_open_to_read(&rhumb__io_plain, path_.c_str(), &io_), RHUMB_OK);
    EXPECT_EQ(io_, nullptr);
}

} // namespace
} // namespace log_test
