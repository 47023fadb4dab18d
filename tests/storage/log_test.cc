// Goal: acknowledged operations are replayed in order, and a cut removes the operations that it should and no others.
// Method: logs written by the code under test and inspected with log_image.h, and a backend that records the order of
// its calls.
#include "tests/support/log_test_support.h"

namespace log_test {
namespace {

TEST_F(LogTest, EveryTypeIsReplayedInOrder) {
    const std::vector<Operation> written = {{RHUMB__LOG_INSERT, 1, 0, payload_of(1)},
                                            {RHUMB__LOG_DELETE, 2, 0, std::vector<uint8_t>(8, 3)},
                                            {RHUMB__LOG_UPSERT, 3, 0, payload_of(300)},
                                            {RHUMB__LOG_INSERT, 4, 0, {}},
                                            {RHUMB__LOG_INSERT, 5, 0, std::vector<uint8_t>(8 + 65535 * 8, 0xA5)},
                                            {RHUMB__LOG_UPSERT, 6, 0, {1}}};
    {
        Log log;
        ASSERT_EQ(log.open(path_, {}), RHUMB_OK) << rhumb__error_last()->message;
        EXPECT_EQ(rhumb__log_lsn(log), 0u);
        for (const Operation &operation : written) {
            ASSERT_EQ(log.append(operation.type, 0, operation.payload), operation.lsn);
            ASSERT_EQ(rhumb__log_wait(log, operation.lsn), RHUMB_OK) << rhumb__error_last()->message;
            EXPECT_EQ(rhumb__log_durable_lsn(log), operation.lsn);
        }
        EXPECT_EQ(rhumb__log_reserve(log, RHUMB__LOG_PAYLOAD_BYTES_MAX + 1), RHUMB_E_INVALID);
    }
    EXPECT_EQ(replay_again(0), written);
    EXPECT_EQ(replay_again(4), std::vector<Operation>(written.begin() + 4, written.end()));
    EXPECT_TRUE(replay_again(6).empty());
}

TEST_F(LogTest, TheFileHasTheDocumentedLayout) {
    Log log;
    ASSERT_EQ(log.open(path_, after(41)), RHUMB_OK);
    ASSERT_EQ(log.add_durably(2), RHUMB_OK);
    const uint64_t begin = log.append(RHUMB__LOG_BATCH_BEGIN, 0, {});
    log.add(begin);
    ASSERT_EQ(rhumb__log_sync(log), RHUMB_OK);
    const LogImage image = LogImage::load(log_path_);
    const rhumb__log_header header = image.newest();
    EXPECT_EQ(header.generation, 1u);
    EXPECT_EQ(header.first_lsn, 42u);
    EXPECT_EQ(header.first_offset, 98304u);
    EXPECT_NE(header.history, 0u);
    EXPECT_EQ(header.previous_history, 0u);
    EXPECT_EQ(header.history_lsn, 41u);
    EXPECT_EQ(index_at(path_).history, header.history);
    EXPECT_TRUE(index_at(path_).log_expected);
    EXPECT_EQ(header.first_previous_crc, 0u);
    const std::vector<LogImage::Place> records = image.records();
    ASSERT_EQ(records.size(), 4u);
    uint32_t previous_crc = 0;
    for (uint64_t i = 0; i < records.size(); i++) {
        const rhumb__log_record_header &record = records[i].header;
        EXPECT_EQ(record.lsn, 42 + i);
        EXPECT_EQ(record.crc, image.record_crc(records[i]));
        EXPECT_EQ(record.previous_crc, previous_crc);
        EXPECT_EQ(record.synced_lsn, std::min<uint64_t>(41 + i, 43));
        EXPECT_EQ(record.batch, i < 2 ? 0 : begin);
        previous_crc = record.crc;
    }
    EXPECT_EQ(rhumb__log_stats_get(log).bytes, image.bytes.size() - 98304);
}

TEST_F(LogTest, NumberingContinuesOverReopening) {
    for (uint64_t round = 0; round < 5; round++) {
        Log log;
        ASSERT_EQ(log.open(path_, {}), RHUMB_OK);
        ASSERT_TRUE(is_range(log.replay(), 1, round * 7));
        ASSERT_TRUE(is_range(log.replay(), 1, round * 7)) << "a second time";
        EXPECT_EQ(rhumb__log_lsn(log), round * 7);
        EXPECT_EQ(rhumb__log_durable_lsn(log), 0u) << "what was found may be in the page cache only";
        ASSERT_EQ(log.add_durably(3), RHUMB_OK);
        ASSERT_EQ(log.add_group(4), RHUMB_OK);
        EXPECT_EQ(rhumb__log_durable_lsn(log), round * 7 + 7);
    }
    EXPECT_TRUE(is_range(replay_again(0), 1, 35));
    EXPECT_TRUE(is_range(replay_again(20), 21, 35));
}

TEST_F(LogTest, ReplayEndsAtTheFirstVisitThatFails) {
    Log log;
    ASSERT_EQ(log.open(path_, {}), RHUMB_OK);
    ASSERT_EQ(log.add_group(5), RHUMB_OK);
    ASSERT_EQ(log.open(path_, {}), RHUMB_OK);
    uint64_t visit_count = 0;
    const auto visit = [](void *context, const rhumb__log_record *record) {
        ++*static_cast<uint64_t *>(context);
        return record->lsn == 3 ? RHUMB_E_CANCELLED : RHUMB_OK;
    };
    EXPECT_EQ(rhumb__log_replay(log, visit, &visit_count), RHUMB_E_CANCELLED);
    EXPECT_EQ(visit_count, 3u);
}

TEST_F(LogTest, BatchesAreEffectiveOnlyWithTheirCommit) {
    {
        Log log;
        ASSERT_EQ(log.open(path_, {}), RHUMB_OK);
        const uint64_t lost = log.append(RHUMB__LOG_BATCH_BEGIN, 0, {});      // 1
        const uint64_t committed = log.append(RHUMB__LOG_BATCH_BEGIN, 0, {}); // 2
        log.add(lost);
        log.add(committed); // 4
        log.add();          // 5
        log.add(committed); // 6
        log.append(RHUMB__LOG_BATCH_COMMIT, committed, {});
        log.add(lost);
        log.append(RHUMB__LOG_BATCH_BEGIN, 0, {}); // 9, empty
        log.append(RHUMB__LOG_BATCH_COMMIT, 9, {});
        for (int i = 0; i < 100; i++) { // 100 batches of one, so that their table grows
            const uint64_t begin = log.append(RHUMB__LOG_BATCH_BEGIN, 0, {});
            log.add(begin);
            if (i % 2 == 0) log.append(RHUMB__LOG_BATCH_COMMIT, begin, {});
        }
        ASSERT_EQ(rhumb__log_sync(log), RHUMB_OK);
    }
    const std::vector<Operation> seen = replay_again(0);
    ASSERT_EQ(seen.size(), 3u + 50u);
    EXPECT_EQ(seen[0], (Operation{RHUMB__LOG_INSERT, 4, 2, payload_of(4)}));
    EXPECT_EQ(seen[1].lsn, 5u);
    EXPECT_EQ(seen[2].lsn, 6u);
    for (size_t i = 4; i < seen.size(); i++) EXPECT_GT(seen[i].lsn, seen[i - 1].lsn);
    EXPECT_EQ(replay_again(4).size(), 3u + 50u) << "a checkpoint between begin and commit: a divided batch is whole";
    EXPECT_EQ(replay_again(5).size(), 2u + 50u) << "5 belongs to no batch";
    EXPECT_EQ(replay_again(7).size(), 50u) << "committed before the checkpoint";
}

TEST_F(LogTest, ACutKeepsLaterOperations) {
    Log log;
    ASSERT_EQ(log.open(path_, {}), RHUMB_OK);
    ASSERT_EQ(log.add_durably(300), RHUMB_OK);
    const rhumb__log_mark mark = rhumb__log_mark_now(log);
    EXPECT_EQ(mark.lsn, 300u);
    ASSERT_EQ(log.add_group(20), RHUMB_OK);
    const uint64_t salt = LogImage::load(log_path_).newest().salt;
    ASSERT_EQ(rhumb__log_cut(log, &mark), RHUMB_OK) << rhumb__error_last()->message;
    const rhumb__log_header header = LogImage::load(log_path_).newest();
    EXPECT_EQ(header.generation, 2u);
    EXPECT_EQ(header.first_lsn, 301u);
    EXPECT_EQ(header.first_offset, mark.offset);
    EXPECT_EQ(header.salt, salt);
    EXPECT_EQ(rhumb__log_stats_get(log).bytes, rhumb__log_mark_now(log).offset - mark.offset);
    EXPECT_TRUE(is_range(replay_again(300), 301, 320));
    EXPECT_EQ(LogImage::load(log_path_).bytes[98304 + 8], 0) << "the space has been given back";
    ASSERT_EQ(log.add_durably(5), RHUMB_OK);
    EXPECT_TRUE(is_range(replay_again(305), 306, 325));
    Log older;
    EXPECT_EQ(older.open(path_, after(299)), RHUMB_E_LOG);
    ASSERT_EQ(rhumb__log_cut(log, &mark), RHUMB_OK) << "again";
    EXPECT_EQ(LogImage::load(log_path_).newest().generation, 2u) << "it begins there already";
}

TEST_F(LogTest, AnEmptiedLogRestartsUnderAnotherSalt) {
    Log log;
    ASSERT_EQ(log.open(path_, {}), RHUMB_OK);
    ASSERT_EQ(log.add_durably(10), RHUMB_OK);
    const LogImage before = LogImage::load(log_path_);
    ASSERT_EQ(log.cut_now(), RHUMB_OK) << rhumb__error_last()->message;
    LogImage emptied = LogImage::load(log_path_);
    EXPECT_EQ(emptied.bytes.size(), 98304u);
    EXPECT_EQ(emptied.newest().first_lsn, 11u);
    EXPECT_NE(emptied.newest().salt, before.newest().salt);
    EXPECT_EQ(rhumb__log_stats_get(log).bytes, 0u);
    EXPECT_TRUE(replay_again(10).empty());

    // Old records that are still in the file are not taken for new ones.
    emptied.bytes.insert(emptied.bytes.end(), before.bytes.begin() + 98304, before.bytes.end());
    index_at(path_ + "2") = index_at(path_);
    for (uint64_t first_lsn = 1; first_lsn <= 11; first_lsn += 10) {
        rhumb__log_header header = emptied.newest();
        header.first_lsn = first_lsn;
        for (uint32_t copy = 0; copy < 2; copy++) emptied.put_header(header, header.generation % 2, copy);
        ASSERT_TRUE(emptied.save(path_ + "2-wal"));
        Log other;
        ASSERT_EQ(other.open(path_ + "2", after(first_lsn - 1)), RHUMB_OK);
        EXPECT_TRUE(other.replay().empty());
    }
    ASSERT_EQ(log.add_durably(2), RHUMB_OK);
    EXPECT_TRUE(is_range(replay_again(10), 11, 12));
    ASSERT_EQ(log.cut_now(), RHUMB_OK);
    ASSERT_EQ(log.cut_now(), RHUMB_OK);
    EXPECT_EQ(LogImage::load(log_path_).newest().generation, 3u) << "there was nothing to cut the second time";
}

TEST_F(LogTest, ALogThatEndsBeforeTheCheckpointRestarts) {
    {
        Log log;
        ASSERT_EQ(log.open(path_, {}), RHUMB_OK);
        ASSERT_EQ(log.add_durably(5), RHUMB_OK);
    }
    for (const uint64_t checkpoint_lsn : {5, 9}) {
        Log log;
        ASSERT_EQ(log.open(path_, after(checkpoint_lsn)), RHUMB_OK);
        EXPECT_EQ(rhumb__log_lsn(log), checkpoint_lsn);
        EXPECT_EQ(rhumb__log_stats_get(log).bytes, 0u);
        ASSERT_EQ(log.add_durably(2), RHUMB_OK);
        EXPECT_TRUE(is_range(replay_again(checkpoint_lsn), checkpoint_lsn + 1, checkpoint_lsn + 2));
    }
}

TEST_F(LogTest, AnEmptyLogIsRemovedAtClose) {
    Log log;
    ASSERT_EQ(log.open(path_, {}), RHUMB_OK);
    EXPECT_EQ(log.close(true), RHUMB_OK);
    EXPECT_FALSE(file_exists()) << "nothing was written, so there was never a file";
    ASSERT_EQ(log.open(path_, {}), RHUMB_OK);
    ASSERT_EQ(log.add_durably(2), RHUMB_OK);
    EXPECT_EQ(log.close(true), RHUMB_OK);
    EXPECT_TRUE(file_exists()) << "no checkpoint holds these";
    bool exists = false;
    EXPECT_EQ(rhumb__log_exists(&rhumb__io_plain, path_.c_str(), &exists), RHUMB_OK);
    EXPECT_TRUE(exists);
    ASSERT_EQ(log.open(path_, after(0)), RHUMB_OK);
    ASSERT_EQ(log.cut_now(), RHUMB_OK);
    EXPECT_EQ(log.close(true), RHUMB_OK);
    EXPECT_FALSE(file_exists());
    EXPECT_EQ(rhumb__log_exists(&rhumb__io_plain, path_.c_str(), &exists), RHUMB_OK);
    EXPECT_FALSE(exists);
    EXPECT_FALSE(examine(0).exists);
}

TEST_F(LogTest, CloseWritesTheBuffer) {
    Settings settings;
    settings.durability = RHUMB_DURABILITY_INTERVAL;
    Log log;
    ASSERT_EQ(log.open(path_, settings), RHUMB_OK);
    for (int i = 0; i < 5; i++) ASSERT_EQ(rhumb__log_wait(log, log.add()), RHUMB_OK);
    EXPECT_EQ(rhumb__log_durable_lsn(log), 0u);
    EXPECT_EQ(log.close(), RHUMB_OK);
    EXPECT_TRUE(is_range(replay_again(0), 1, 5));
}

TEST_F(LogTest, AFullBufferIsWrittenBeforeMoreIsReserved) {
    Settings settings;
    settings.durability = RHUMB_DURABILITY_INTERVAL;
    Recorder recorder;
    settings.backend = recorder.backend();
    Log log;
    ASSERT_EQ(log.open(path_, settings), RHUMB_OK);
    const std::vector<uint8_t> large(RHUMB__LOG_PAYLOAD_BYTES_MAX, 0x5A);
    ASSERT_EQ(rhumb__log_reserve(log, 100), RHUMB_OK); // kept through all of it
    ASSERT_EQ(rhumb__log_reserve(log, 200), RHUMB_OK);
    for (uint64_t lsn = 1; lsn <= 30; lsn++) ASSERT_EQ(log.append(RHUMB__LOG_UPSERT, 0, large), lsn);
    const std::string calls = calls_of(recorder.take());
    EXPECT_NE(calls.find("write write write write resize sync take_name sync_directory write"), std::string::npos)
        << calls;
    EXPECT_EQ(calls.find("sync", calls.find("sync_directory") + 5), std::string::npos) << "records were synced";
    const std::vector<uint8_t> small(100, 1);
    const rhumb__log_operation operation = {RHUMB__LOG_DELETE, 0, small.data(), 100, nullptr, 0};
    EXPECT_EQ(rhumb__log_append(log, &operation), 31u);
    rhumb__log_release(log, 200);
    EXPECT_EQ(rhumb__log_durable_lsn(log), 0u);
    ASSERT_EQ(rhumb__log_sync(log), RHUMB_OK);
    EXPECT_EQ(rhumb__log_durable_lsn(log), 31u);
    EXPECT_EQ(rhumb__log_stats_get(log).sync_count, 1u);
    EXPECT_EQ(rhumb__log_stats_get(log).synced_count, 31u);
    const std::vector<Operation> seen = replay_again(0);
    ASSERT_EQ(seen.size(), 31u);
    EXPECT_EQ(seen[29], (Operation{RHUMB__LOG_UPSERT, 30, 0, large}));
    EXPECT_EQ(seen[30], (Operation{RHUMB__LOG_DELETE, 31, 0, small}));
}

TEST_F(LogTest, ModeNoneNumbersAndWritesNothing) {
    Settings settings;
    settings.durability = RHUMB_DURABILITY_NONE;
    Log log;
    ASSERT_EQ(log.open(path_, settings), RHUMB_OK);
    EXPECT_EQ(rhumb__log_sync(log), RHUMB_OK) << "nothing has to be made durable";
    for (uint64_t lsn = 1; lsn <= 50; lsn++) {
        ASSERT_EQ(log.add(), lsn);
        ASSERT_EQ(rhumb__log_wait(log, lsn), RHUMB_OK);
    }
    EXPECT_EQ(rhumb__log_durable_lsn(log), 0u);
    EXPECT_EQ(rhumb__log_sync(log), RHUMB_E_UNSUPPORTED);
    ASSERT_EQ(log.cut_now(), RHUMB_OK);
    EXPECT_EQ(rhumb__log_durable_lsn(log), 50u);
    EXPECT_EQ(rhumb__log_sync(log), RHUMB_OK);
    EXPECT_EQ(log.close(true), RHUMB_OK);
    EXPECT_FALSE(file_exists());
}

TEST_F(LogTest, ModeNoneReadsALogAndCutsIt) {
    {
        Log log;
        ASSERT_EQ(log.open(path_, {}), RHUMB_OK);
        ASSERT_EQ(log.add_durably(5), RHUMB_OK);
    }
    Settings settings = after(2);
    settings.durability = RHUMB_DURABILITY_NONE;
    Log log;
    ASSERT_EQ(log.open(path_, settings), RHUMB_OK);
    EXPECT_TRUE(is_range(log.replay(), 3, 5));
    EXPECT_EQ(log.add(), 6u);
    EXPECT_TRUE(is_range(replay_again(2), 3, 5)) << "the log is kept";
    const rhumb__log_mark mark = rhumb__log_mark_now(log);
    EXPECT_EQ(log.add(), 7u);
    ASSERT_EQ(rhumb__log_cut(log, &mark), RHUMB_OK);
    EXPECT_EQ(rhumb__log_durable_lsn(log), 6u);
    EXPECT_EQ(LogImage::load(log_path_).newest().first_lsn, 7u);
    EXPECT_TRUE(replay_again(6).empty());
    EXPECT_EQ(log.add(), 8u);
    ASSERT_EQ(log.cut_now(), RHUMB_OK);
    EXPECT_EQ(log.close(true), RHUMB_OK);
    EXPECT_FALSE(file_exists());
}

TEST_F(LogTest, TheFirstRecordFollowsADurableFile) {
    Recorder recorder;
    Settings settings;
    settings.backend = recorder.backend();
    Log log;
    ASSERT_EQ(log.open(path_, settings), RHUMB_OK);
    ASSERT_EQ(log.add_durably(2), RHUMB_OK);
    EXPECT_EQ(calls_of(recorder.take()), "open write write write write resize sync take_name sync_directory write sync "
                                         "write sync");
}

TEST_F(LogTest, RecordsFoundAtOpenAreWrittenAgainBeforeNewOnes) {
    {
        Log log;
        ASSERT_EQ(log.open(path_, {}), RHUMB_OK);
        ASSERT_EQ(log.append(RHUMB__LOG_INSERT, 0, std::vector<uint8_t>(500000, 1)), 1u);
        ASSERT_EQ(log.append(RHUMB__LOG_INSERT, 0, std::vector<uint8_t>(500000, 2)), 2u);
        ASSERT_EQ(log.append(RHUMB__LOG_INSERT, 0, std::vector<uint8_t>(500000, 3)), 3u);
    }
    LogImage image = LogImage::load(log_path_);
    const uint64_t end = image.bytes.size();
    image.bytes.resize(end + 100, 0xCC);
    ASSERT_TRUE(image.save(log_path_));
    Recorder recorder;
    Settings settings;
    settings.backend = recorder.backend();
    Log log;
    ASSERT_EQ(log.open(path_, settings), RHUMB_OK);
    EXPECT_EQ(rhumb__log_durable_lsn(log), 0u);
    EXPECT_EQ(calls_of(recorder.take()), "open");
    ASSERT_EQ(log.add_durably(1), RHUMB_OK);
    const std::vector<Event> events = recorder.take();
    // Both copies of the header that was found, the records, both copies of the next header, the new record.
    ASSERT_EQ(calls_of(events), "write sync write resize write write write sync write sync_directory write sync");
    EXPECT_EQ(events[0].offset, 4096u);
    EXPECT_EQ(events[2].offset, 4096u + 81920u);
    EXPECT_EQ(events[3].offset, end);
    EXPECT_EQ(events[4].offset, 98304u);
    EXPECT_EQ(events[5].offset, 98304u + events[4].byte_count);
    EXPECT_EQ(events[5].offset + events[5].byte_count, end);
    EXPECT_EQ(events[6].offset, 0u);
    EXPECT_EQ(events[8].offset, 81920u);
    EXPECT_EQ(events[10].offset, end);
    EXPECT_EQ(rhumb__log_durable_lsn(log), 4u);
    EXPECT_EQ(replay_again(0).size(), 4u);

    // A sync without anything new makes durable what was found.
    ASSERT_EQ(log.open(path_, settings), RHUMB_OK);
    ASSERT_EQ(rhumb__log_sync(log), RHUMB_OK);
    EXPECT_EQ(rhumb__log_durable_lsn(log), 4u);
}

// What later records report as synced is on the disk, however much it is; the first operation does not wait for it.
TEST_F(LogTest, RecordsThatAreReportedAsSyncedAreNotWrittenAgain) {
    {
        Log log;
        ASSERT_EQ(log.open(path_, {}), RHUMB_OK);
        for (uint64_t lsn = 1; lsn <= 40; lsn++) {
            ASSERT_EQ(log.append(RHUMB__LOG_INSERT, 0, std::vector<uint8_t>(100000, 1)), lsn);
            if (lsn % 4 == 0) {
                ASSERT_EQ(rhumb__log_sync(log), RHUMB_OK);
            }
        }
    }
    const LogImage before = LogImage::load(log_path_);
    Recorder recorder;
    Settings settings;
    settings.backend = recorder.backend();
    Log log;
    ASSERT_EQ(log.open(path_, settings), RHUMB_OK);
    ASSERT_EQ(log.replay().size(), 40u);
    recorder.take();
    ASSERT_EQ(log.add_durably(1), RHUMB_OK);
    uint64_t written_bytes = 0;
    for (const Event &event : recorder.take()) {
        if (event.call == "write") written_bytes += event.byte_count;
    }
    EXPECT_LT(written_bytes, 1500000u) << "three groups of four at most";
    EXPECT_GT(written_bytes, 400000u) << "the last group is reported by none";
    const LogImage image = LogImage::load(log_path_);
    EXPECT_TRUE(std::equal(before.bytes.begin() + 98304, before.bytes.end(), image.bytes.begin() + 98304));
}

TEST_F(LogTest, RecordsFoundAtOpenMustNotChangeBeforeTheyAreMadeDurable) {
    {
        Log log;
        ASSERT_EQ(log.open(path_, {}), RHUMB_OK);
        ASSERT_EQ(log.add_durably(3), RHUMB_OK);
    }
    Log log;
    ASSERT_EQ(log.open(path_, {}), RHUMB_OK);
    LogImage image = LogImage::load(log_path_);
    image.bytes[image.records()[2].offset + 60] ^=
        1; // as when the page cache has dropped what a failed sync left in it
    ASSERT_TRUE(image.save(log_path_));
    EXPECT_EQ(log.add_durably(1), RHUMB_E_FATAL);
    EXPECT_EQ(rhumb__log_durable_lsn(log), 0u);
}

// ---- histories ----

TEST_F(LogTest, EachOpeningThatWritesHasAHistoryOfItsOwn) {
    uint64_t previous = 0;
    for (uint64_t round = 0; round < 4; round++) {
        Log log;
        ASSERT_EQ(log.open(path_, {}), RHUMB_OK);
        EXPECT_EQ(index_at(path_).history, previous) << "not before it writes";
        ASSERT_EQ(log.add_durably(3), RHUMB_OK);
        const rhumb__log_header header = LogImage::load(log_path_).newest();
        EXPECT_EQ(index_at(path_).history, header.history);
        EXPECT_EQ(header.previous_history, previous);
        EXPECT_EQ(header.history_lsn, round * 3);
        EXPECT_NE(header.history, previous);
        ASSERT_EQ(log.add_durably(1), RHUMB_OK);
        EXPECT_EQ(LogImage::load(log_path_).newest().generation, header.generation);
        previous = header.history;
        ASSERT_EQ(log.close(), RHUMB_OK);
        LogImage image = LogImage::load(log_path_);
        image.bytes.resize(image.records()[round * 3 + 3].offset);
        ASSERT_TRUE(image.save(log_path_)); // as many as expected above
    }
}

// Copies of an index and its log that have gone on separately.
TEST_F(LogTest, ALogOfAnotherHistoryIsRefused) {
    {
        Log log;
        ASSERT_EQ(log.open(path_, {}), RHUMB_OK);
        ASSERT_EQ(log.add_durably(3), RHUMB_OK);
    }
    const LogImage common = LogImage::load(log_path_);
    const rhumb__log_owner common_index = index_at(path_);
    LogImage images[2];
    rhumb__log_owner indexes[2];
    for (int i = 0; i < 2; i++) {
        ASSERT_TRUE(common.save(log_path_));
        index_at(path_) = common_index;
        Log log;
        ASSERT_EQ(log.open(path_, {}), RHUMB_OK);
        ASSERT_EQ(log.add_durably(2), RHUMB_OK);
        ASSERT_EQ(log.close(), RHUMB_OK);
        images[i] = LogImage::load(log_path_);
        indexes[i] = index_at(path_);
    }
    const auto open_with = [this](const LogImage &log_image, const rhumb__log_owner &index) {
        EXPECT_TRUE(log_image.save(log_path_));
        index_at(path_) = index;
        Log log;
        return log.open(path_, {});
    };
    for (int i = 0; i < 2; i++) {
        EXPECT_EQ(open_with(images[i], indexes[i]), RHUMB_OK);
        EXPECT_EQ(open_with(images[i], indexes[1 - i]), RHUMB_E_LOG);
        EXPECT_NE(strstr(rhumb__error_last()->message, "separately"), nullptr) << rhumb__error_last()->message;
        EXPECT_EQ(open_with(images[i], common_index), RHUMB_E_LOG) << "an older copy of the index";
        EXPECT_EQ(open_with(common, indexes[i]), RHUMB_E_LOG) << "an older copy of the log";
    }
    EXPECT_EQ(open_with(common, common_index), RHUMB_OK);
    unlink(log_path_.c_str());
    Log log;
    EXPECT_EQ(log.open(path_, {}), RHUMB_E_LOG);
    EXPECT_NE(strstr(rhumb__error_last()->message, "discard_log"), nullptr) << rhumb__error_last()->message;
}

// A crash after the log has its new header and before the index knows of it: the log has no record of that history.
TEST_F(LogTest, AHistoryThatTheIndexDoesNotKnowYetIsTheNext) {
    rhumb__log_owner index_before;
    {
        Log log;
        ASSERT_EQ(log.open(path_, {}), RHUMB_OK);
        ASSERT_EQ(log.add_durably(3), RHUMB_OK);
        index_before = index_at(path_);
    }
    {
        Log log;
        ASSERT_EQ(log.open(path_, {}), RHUMB_OK);
        ASSERT_TRUE(rhumb__log_begins_at_once(log));
        ASSERT_EQ(rhumb__log_begin(log), RHUMB_OK);
    }
    EXPECT_NE(index_at(path_).history, index_before.history);
    index_at(path_) = index_before;
    Log log;
    ASSERT_EQ(log.open(path_, {}), RHUMB_OK) << rhumb__error_last()->message;
    EXPECT_TRUE(is_range(log.replay(), 1, 3));
    ASSERT_EQ(log.add_durably(2), RHUMB_OK);
    EXPECT_TRUE(is_range(replay_again(0), 1, 5));
}

// An older copy of the log, from before a checkpoint within the same opening.
TEST_F(LogTest, ALogFromBeforeTheLastCheckpointIsRefused) {
    Log log;
    ASSERT_EQ(log.open(path_, {}), RHUMB_OK);
    ASSERT_EQ(log.add_durably(2), RHUMB_OK);
    const LogImage older = LogImage::load(log_path_);
    ASSERT_EQ(log.add_durably(1), RHUMB_OK);
    rhumb__superblock superblock = {};
    rhumb__log_describe(log, &superblock); // what the next version says
    ASSERT_EQ(log.cut_now(), RHUMB_OK);
    ASSERT_EQ(log.add_durably(2), RHUMB_OK);
    EXPECT_EQ(superblock.history, index_at(path_).history);
    EXPECT_EQ(superblock.log_expected, 1u);
    EXPECT_EQ(superblock.log_lsn, 3u);
    index_at(path_).log_lsn = superblock.log_lsn;
    ASSERT_EQ(log.close(), RHUMB_OK);
    EXPECT_TRUE(is_range(replay_again(3), 4, 5));
    ASSERT_TRUE(older.save(log_path_));
    EXPECT_EQ(log.open(path_, after(3)), RHUMB_E_LOG);
}

TEST_F(LogTest, ClosingRemovesNoOtherFileThanItsOwn) {
    Log log;
    ASSERT_EQ(log.open(path_, {}), RHUMB_OK);
    ASSERT_EQ(log.add_durably(2), RHUMB_OK);
    ASSERT_EQ(log.cut_now(), RHUMB_OK);
    unlink(log_path_.c_str());
    io_test::put_file(log_path_, "another index's");
    EXPECT_EQ(log.close(true), RHUMB_OK);
    EXPECT_TRUE(file_exists());
    EXPECT_FALSE(index_at(path_).log_expected);
}

} // namespace
} // namespace log_test
