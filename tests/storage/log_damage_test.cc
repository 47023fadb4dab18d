// Goal: a tail that was never acknowledged is cut off between two records, damage is distinguished from it, and a file
// that is not this index's log is recognised. Method: logs written by the code under test, then changed with
// log_image.h, byte by byte where that is possible.
#include "tests/support/log_test_support.h"

namespace log_test {
namespace {

using LogDamage = LogTest;

TEST_F(LogDamage, ATornTailOfAnyLengthLeavesAPrefix) {
    {
        Log log;
        ASSERT_EQ(log.open(path_, {}), RHUMB_OK);
        ASSERT_EQ(log.add_durably(8), RHUMB_OK);
    }
    const LogImage whole = LogImage::load(log_path_);
    const std::vector<LogImage::Place> records = whole.records();
    ASSERT_EQ(records.size(), 8u);
    const rhumb__log_owner index = index_at(path_);
    for (uint64_t length = 0; length <= whole.bytes.size();
         length += length < RHUMB__LOG_RECORDS_OFFSET - 8 ? 999 : 1) {
        LogImage torn = whole;
        torn.bytes.resize(length);
        ASSERT_TRUE(torn.save(log_path_));
        index_at(path_) = index;
        uint64_t left = 0;
        while (left < 8 && records[left].offset + records[left].byte_count <= length) left++;
        Log log;
        if (length < RHUMB__LOG_RECORDS_OFFSET) { // no crash leaves that
            ASSERT_EQ(log.open(path_, {}), RHUMB_E_CORRUPT) << length;
            continue;
        }
        ASSERT_EQ(log.open(path_, {}), RHUMB_OK) << length << ": " << rhumb__error_last()->message;
        ASSERT_TRUE(is_range(log.replay(), 1, left)) << length;
        if (length % 5 != 0) continue;
        ASSERT_EQ(log.add_durably(2), RHUMB_OK) << length << ": " << rhumb__error_last()->message;
        ASSERT_TRUE(is_range(replay_again(0), 1, left + 2)) << length;
    }
}

// The log's next header would have a number that no opening accepts, so it is not written.
TEST_F(LogDamage, TheLastGenerationIsNotFollowedByAHeaderThatCannotBeOpened) {
    {
        Log log;
        ASSERT_EQ(log.open(path_, {}), RHUMB_OK);
        ASSERT_EQ(log.add_durably(3), RHUMB_OK);
    }
    LogImage image = LogImage::load(log_path_);
    for (uint32_t copy = 0; copy < 2; copy++) {
        rhumb__log_header header = image.header(0, copy);
        header.generation = UINT64_C(1) << 62;
        image.put(LogImage::header_offset(0, copy), header);
    }
    image.mend_headers();
    ASSERT_TRUE(image.save(log_path_));
    {
        Log log;
        ASSERT_EQ(log.open(path_, {}), RHUMB_OK) << rhumb__error_last()->message;
        EXPECT_EQ(log.add_durably(1), RHUMB_E_FATAL);
        EXPECT_NE(strstr(rhumb__error_last()->message, "is the last there can be"), nullptr);
    }
    EXPECT_TRUE(is_range(replay_again(0), 1, 3));
}

TEST_F(LogDamage, OperationsAreRefusedBeforeTheirNumbersCannotBeOpened) {
    Log log;
    ASSERT_EQ(log.open(path_, after((UINT64_C(1) << 62) - (UINT64_C(1) << 20))), RHUMB_OK);
    EXPECT_EQ(rhumb__log_reserve(log, 8), RHUMB_E_FULL);
    EXPECT_EQ(rhumb__log_check(log), RHUMB_OK);
}

TEST_F(LogDamage, ATailOfZerosOrNoiseIsCutOff) {
    const uint64_t seed = io_test::choose_seed();
    std::mt19937_64 random(seed);
    for (int round = 0; round < 60; round++) {
        unlink(log_path_.c_str());
        index_at(path_) = {};
        {
            Log log;
            ASSERT_EQ(log.open(path_, {}), RHUMB_OK);
            ASSERT_EQ(log.add_durably(3), RHUMB_OK);
            ASSERT_EQ(log.add_group(9), RHUMB_OK);
        }
        LogImage image = LogImage::load(log_path_);
        const std::vector<LogImage::Place> records = image.records();
        ASSERT_EQ(records.size(), 12u);
        // The last group loses some of its sectors, as if it had never been synced.
        uint64_t lost = image.bytes.size();
        for (uint64_t sector = records[3].offset / 512; sector <= image.bytes.size() / 512; sector++) {
            if (random() % 3 != 0) continue;
            for (uint64_t i = sector * 512; i < sector * 512 + 512 && i < image.bytes.size(); i++) {
                if (i < records[3].offset) continue;
                lost = std::min(lost, i);
                image.bytes[i] = round % 2 == 0 ? 0 : static_cast<uint8_t>(random());
            }
        }
        ASSERT_TRUE(image.save(log_path_));
        uint64_t left = 3;
        while (left < 12 && records[left].offset + records[left].byte_count <= lost) left++;
        ASSERT_TRUE(is_range(replay_again(0), 1, left)) << "seed " << seed << " round " << round;
    }
}

// Thousands of records after the lost one, none of which had been synced: eight bytes before each is what looks like
// the header of a later record.
TEST_F(LogDamage, ALongTailThatWasNeverSyncedIsCutOffWhereARecordIsLost) {
    constexpr uint64_t kCount = 6000;
    {
        Log log;
        ASSERT_EQ(log.open(path_, {}), RHUMB_OK);
        ASSERT_EQ(log.add_durably(3), RHUMB_OK);
        ASSERT_EQ(log.add_group(kCount), RHUMB_OK);
    }
    LogImage image = LogImage::load(log_path_);
    const std::vector<LogImage::Place> records = image.records();
    ASSERT_EQ(records.size(), 3 + kCount);
    for (const uint64_t lost : {UINT64_C(7), kCount / 2}) {
        LogImage torn = image;
        std::fill_n(torn.bytes.begin() + static_cast<ptrdiff_t>(records[lost].offset), records[lost].byte_count, 0);
        ASSERT_TRUE(torn.save(log_path_));
        ASSERT_TRUE(is_range(replay_again(0), 1, lost)) << rhumb__error_last()->message;
    }
}

TEST_F(LogDamage, DamageToARecordThatHadBeenSyncedIsReported) {
    {
        Log log;
        ASSERT_EQ(log.open(path_, {}), RHUMB_OK);
        ASSERT_EQ(log.add_durably(6), RHUMB_OK);
    }
    const LogImage whole = LogImage::load(log_path_);
    const std::vector<LogImage::Place> records = whole.records();
    for (uint64_t i = 0; i < records.size(); i++) {
        for (uint64_t at = 0; at < records[i].byte_count; at += at < 40 ? 1 : 13) {
            LogImage damaged = whole;
            damaged.bytes[records[i].offset + at] ^= 0x20;
            ASSERT_TRUE(damaged.save(log_path_));
            Log log;
            const rhumb_status status = log.open(path_, {});
            if (i == 5) { // nothing says that the last one had been synced
                ASSERT_EQ(status, RHUMB_OK) << rhumb__error_last()->message;
                ASSERT_TRUE(is_range(log.replay(), 1, 5));
                continue;
            }
            ASSERT_EQ(status, RHUMB_E_CORRUPT) << "record " << i + 1 << " byte " << at;
            EXPECT_EQ(rhumb__error_last()->file_offset, records[i].offset);
            EXPECT_EQ(log_path_, rhumb__error_last()->path);
            EXPECT_NE(strstr(rhumb__error_last()->message, ("record " + std::to_string(i + 1)).c_str()), nullptr);
            const rhumb__log_report report = examine(0);
            EXPECT_EQ(report.error_count, 1u);
            EXPECT_EQ(report.record_count, i);
            EXPECT_NE(report.first_error[0], '\0');
        }
    }
}

TEST_F(LogDamage, DamageBeforeTheCheckpointIsReportedIfItHidesLaterRecords) {
    {
        Log log;
        ASSERT_EQ(log.open(path_, {}), RHUMB_OK);
        ASSERT_EQ(log.add_durably(6), RHUMB_OK);
    }
    LogImage image = LogImage::load(log_path_);
    image.bytes[image.records()[1].offset + 50] ^= 1;
    ASSERT_TRUE(image.save(log_path_));
    for (uint64_t checkpoint_lsn = 0; checkpoint_lsn <= 9; checkpoint_lsn++) {
        Log log;
        const rhumb_status status = log.open(path_, after(checkpoint_lsn));
        // Record 6 says that 5 had been synced; no record says so of 6.
        EXPECT_EQ(status, checkpoint_lsn < 5 ? RHUMB_E_CORRUPT : RHUMB_OK) << checkpoint_lsn;
        if (status != RHUMB_OK) continue;
        EXPECT_EQ(rhumb__log_lsn(log), checkpoint_lsn);
        EXPECT_EQ(rhumb__log_replay_count(log), 0u);
    }
}

TEST_F(LogDamage, ARecordOfAnUnknownTypeNeedsANewerLibrary) {
    {
        Log log;
        ASSERT_EQ(log.open(path_, {}), RHUMB_OK);
        ASSERT_EQ(log.add_durably(3), RHUMB_OK);
    }
    for (const uint32_t type : {0u, 6u, UINT32_MAX}) {
        LogImage image = LogImage::load(log_path_);
        image.put(image.records()[1].offset + offsetof(rhumb__log_record_header, type), type);
        image.mend_records(true);
        ASSERT_TRUE(image.save(log_path_));
        Log log;
        EXPECT_EQ(log.open(path_, {}), RHUMB_E_VERSION);
        EXPECT_EQ(rhumb__error_last()->file_offset, image.records()[1].offset);
    }
}

TEST_F(LogDamage, HeadersAreCheckedBeforeUse) {
    {
        Log log;
        ASSERT_EQ(log.open(path_, {}), RHUMB_OK);
        ASSERT_EQ(log.add_durably(3), RHUMB_OK);
        const rhumb__log_mark mark = rhumb__log_mark_now(log);
        ASSERT_EQ(log.add_durably(3), RHUMB_OK);
        ASSERT_EQ(rhumb__log_cut(log, &mark), RHUMB_OK);
    }
    const LogImage whole = LogImage::load(log_path_);
    ASSERT_EQ(whole.newest().generation, 2u);
    const auto open_with = [&](const std::function<void(rhumb__log_header *)> &change) {
        LogImage image = whole;
        rhumb__log_header header = image.newest();
        change(&header);
        for (uint32_t copy = 0; copy < 2; copy++) image.put_header(header, 0, copy);
        EXPECT_TRUE(image.save(log_path_));
        Log log;
        return log.open(path_, after(3));
    };
    EXPECT_EQ(open_with([](rhumb__log_header *) {}), RHUMB_OK);
    EXPECT_EQ(open_with([](rhumb__log_header *h) { h->format_version = 1; }), RHUMB_E_VERSION);
    EXPECT_EQ(open_with([](rhumb__log_header *h) { h->format_version = 3; }), RHUMB_E_VERSION);
    EXPECT_EQ(open_with([](rhumb__log_header *h) { h->generation = 3; }), RHUMB_E_CORRUPT);
    EXPECT_EQ(open_with([](rhumb__log_header *h) { h->generation = UINT64_MAX - 1; }), RHUMB_E_CORRUPT);
    EXPECT_EQ(open_with([](rhumb__log_header *h) { h->first_offset = 16384; }), RHUMB_E_CORRUPT);
    EXPECT_EQ(open_with([](rhumb__log_header *h) { h->first_offset += 4; }), RHUMB_E_CORRUPT);
    EXPECT_EQ(open_with([](rhumb__log_header *h) { h->first_offset = UINT64_MAX - 7; }), RHUMB_E_CORRUPT);
    EXPECT_EQ(open_with([](rhumb__log_header *h) { h->first_lsn = 0; }), RHUMB_E_CORRUPT);
    EXPECT_EQ(open_with([](rhumb__log_header *h) { h->first_lsn = UINT64_MAX; }), RHUMB_E_CORRUPT);
    EXPECT_EQ(open_with([](rhumb__log_header *h) { h->first_offset = UINT64_C(1) << 40; }), RHUMB_OK)
        << "a header may have reached the disk before the records";

    for (uint32_t copy = 0; copy < 4; copy++) { // any one copy may rot
        LogImage image = whole;
        image.bytes[LogImage::header_offset(copy / 2, copy % 2) + 60] ^= 1;
        ASSERT_TRUE(image.save(log_path_));
        EXPECT_TRUE(is_range(replay_again(3), 4, 6));
    }
    LogImage image = whole;
    for (uint32_t copy = 0; copy < 4; copy++) image.bytes[LogImage::header_offset(copy / 2, copy % 2) + 60] ^= 1;
    ASSERT_TRUE(image.save(log_path_));
    Log log;
    EXPECT_EQ(log.open(path_, after(3)), RHUMB_E_CORRUPT);
}

// A file gets the name of a log when its headers are complete, so one without them has been damaged.
TEST_F(LogDamage, AFileWithoutAHeaderThatMayBeTheNewestIsDamaged) {
    {
        Log log;
        ASSERT_EQ(log.open(path_, {}), RHUMB_OK);
        ASSERT_EQ(log.add_durably(3), RHUMB_OK);
        const rhumb__log_mark mark = rhumb__log_mark_now(log);
        ASSERT_EQ(log.add_durably(3), RHUMB_OK);
        ASSERT_EQ(rhumb__log_cut(log, &mark), RHUMB_OK);
    }
    const LogImage whole = LogImage::load(log_path_);
    ASSERT_EQ(whole.newest().generation, 2u);
    for (const uint8_t filling : {0x00, 0xFF, 0x5A}) {
        for (const bool newest : {true, false}) {
            LogImage image = whole;
            for (uint32_t copy = 0; copy < 2; copy++) {
                const uint64_t begin = LogImage::header_offset(newest ? 0 : 1, copy);
                std::fill_n(image.bytes.begin() + static_cast<ptrdiff_t>(begin), 4096, filling);
            }
            ASSERT_TRUE(image.save(log_path_));
            Log log;
            EXPECT_EQ(log.open(path_, after(3)), RHUMB_E_CORRUPT);
            EXPECT_NE(strstr(rhumb__error_last()->message, "repair"), nullptr) << rhumb__error_last()->message;
            EXPECT_EQ(examine(3).error_count, 1u);
            Settings discarding = after(3);
            discarding.discard = true;
            EXPECT_EQ(log.open(path_, discarding), RHUMB_E_CORRUPT) << "it may be this index's";
        }
    }
    LogImage image = whole; // damage elsewhere in the older header: it still says that it is older
    for (uint32_t copy = 0; copy < 2; copy++) image.bytes[LogImage::header_offset(1, copy) + 2000] ^= 1;
    ASSERT_TRUE(image.save(log_path_));
    EXPECT_TRUE(is_range(replay_again(3), 4, 6));
    EXPECT_EQ(examine(3).warning_count, 2u);
    for (const size_t length : {0, 1, 4096, 16384, 98303}) {
        image = whole;
        image.bytes.resize(length);
        ASSERT_TRUE(image.save(log_path_));
        Log log;
        EXPECT_EQ(log.open(path_, after(3)), RHUMB_E_CORRUPT) << length;
    }
    LogImage newer = whole;
    newer.bytes.resize(4096);
    newer.put<uint32_t>(8, RHUMB__LOG_FORMAT_VERSION + 1);
    ASSERT_TRUE(newer.save(log_path_));
    Log log;
    EXPECT_EQ(log.open(path_, {}), RHUMB_E_VERSION) << "only a newer library can judge that";
}

TEST_F(LogDamage, WhatAnInterruptedCreationLeftIsMadeAgain) {
    for (const char *left : {"", "anything"}) {
        unlink(log_path_.c_str());
        index_at(path_) = {};
        io_test::put_file(log_path_ + "-creating", left);
        Log log;
        ASSERT_EQ(log.open(path_, after(5)), RHUMB_OK) << rhumb__error_last()->message;
        ASSERT_EQ(log.add_durably(2), RHUMB_OK) << rhumb__error_last()->message;
        EXPECT_NE(access((log_path_ + "-creating").c_str(), F_OK), 0);
        ASSERT_TRUE(is_range(replay_again(5), 6, 7));
    }
}

TEST_F(LogDamage, TheLogOfAnotherIndexIsRefusedOrDiscarded) {
    {
        Log log;
        ASSERT_EQ(log.open(path_, after(10)), RHUMB_OK);
        ASSERT_EQ(log.add_durably(3), RHUMB_OK);
    }
    Log log;
    Settings other = after(10);
    other.uuid_byte = 9;
    EXPECT_EQ(log.open(path_, other), RHUMB_E_LOG);
    EXPECT_NE(strstr(rhumb__error_last()->message, "09090909"), nullptr);
    EXPECT_NE(strstr(rhumb__error_last()->message, "07070707"), nullptr);
    EXPECT_EQ(examine(10, 9).error_count, 1u);
    EXPECT_EQ(examine(10).error_count, 0u);

    // Operations 10 and before are in no log, so a checkpoint that ends with 9 does not go with this one.
    EXPECT_EQ(log.open(path_, after(9)), RHUMB_E_LOG);
    EXPECT_NE(strstr(rhumb__error_last()->message, "operation 9,"), nullptr) << rhumb__error_last()->message;
    EXPECT_NE(strstr(rhumb__error_last()->message, "with 11"), nullptr) << rhumb__error_last()->message;
    EXPECT_EQ(examine(9).error_count, 1u);
    EXPECT_TRUE(file_exists());

    Settings discarding = after(9);
    discarding.discard = true;
    EXPECT_EQ(log.open(path_, discarding), RHUMB_OK);
    EXPECT_TRUE(file_exists()) << "opening changes nothing";
    EXPECT_TRUE(rhumb__log_begins_at_once(log));
    ASSERT_EQ(rhumb__log_begin(log), RHUMB_OK);
    EXPECT_FALSE(file_exists());
    EXPECT_EQ(rhumb__log_lsn(log), 9u);
    ASSERT_EQ(log.add_durably(2), RHUMB_OK);
    EXPECT_TRUE(is_range(replay_again(9), 10, 11));
}

TEST_F(LogDamage, ExamineCountsAndChangesNothing) {
    {
        Log log;
        ASSERT_EQ(log.open(path_, {}), RHUMB_OK);
        ASSERT_EQ(log.add_durably(5), RHUMB_OK);
        const uint64_t begin = log.append(RHUMB__LOG_BATCH_BEGIN, 0, {});
        log.add(begin);
        log.append(RHUMB__LOG_BATCH_COMMIT, begin, {});
    }
    LogImage image = LogImage::load(log_path_);
    image.bytes.resize(image.bytes.size() + 50, 0xEE);
    ASSERT_TRUE(image.save(log_path_));
    const rhumb__log_report report = examine(3);
    EXPECT_TRUE(report.exists);
    EXPECT_EQ(report.record_count, 8u);
    EXPECT_EQ(report.pending_count, 3u);
    EXPECT_EQ(report.error_count, 0u) << report.first_error;
    EXPECT_EQ(report.warning_count, 1u);
    EXPECT_NE(strstr(report.first_warning, "50 bytes after the last whole record"), nullptr) << report.first_warning;
    EXPECT_EQ(LogImage::load(log_path_).bytes, image.bytes);
    unlink(log_path_.c_str());
    EXPECT_FALSE(examine(3).exists);
    EXPECT_EQ(examine(3).error_count, 1u) << "one is expected";
}

} // namespace
} // namespace log_test
