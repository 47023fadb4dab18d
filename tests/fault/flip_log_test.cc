// Goal: damage to an index with a log, and to that log, gives either an error that names the file and the place, or
// exactly the operations before the damage; never fewer than those that a later record proves to have been synced.
// Readers always see the checkpoint. An opening that fails changes neither file. Logs of another index, or of another
// moment of this one, are refused or ignored.
//
// Method: an index is copied with its log at several moments of its life, while it is open, as a crash would leave
// both. One change at a time is made to a copy, which is then opened by a reader and by a writer and compared with an
// oracle. The expected result of a change follows from the records as FORMAT.md describes them (log_image.h).
// RHUMB_FULL=1 takes every byte and every length.
#include <map>
#include <memory>
#include <set>

#include "tests/support/fault_test_support.h"
#include "tests/support/io_fault.h"
#include "tests/support/log_image.h"
#include "tests/support/oracle.h"

namespace fault_test {
namespace {

using log_test::LogImage;
using rhumb_test::Oracle;

constexpr uint32_t kDim = 8;
constexpr uint64_t kLogHeaderFieldBytes = 96;
constexpr uint64_t kRecordHeaderBytes = sizeof(rhumb__log_record_header);
constexpr uint32_t kAppendSection = 1; // from FORMAT.md

// Both files as they were at one time, and how many entries of the oracle they hold.
struct Moment {
    FileImage index;
    LogImage log;
    uint64_t checkpoint_lsn = 0;
    uint64_t checkpoint_count = 0;
    uint64_t count = 0;
};

// The life of an index. In mode interval, with intervals that never end, calls of sync divide the log into groups.
class Life {
  public:
    explicit Life(uint64_t seed) : vectors_(kDim, seed) {
        rhumb_open_options open;
        rhumb_open_options_init(&open, sizeof open);
        open.durability = RHUMB_DURABILITY_INTERVAL;
        open.sync_interval_ms = 3600000;
        open.checkpoint_log_bytes = UINT64_MAX;
        rhumb_index_options options;
        rhumb_index_options_init(&options, sizeof options);
        options.dim = kDim;
        options.M = 4;
        options.ef_construction = 24;
        options.open = &open;
        rhumb_index *created = nullptr;
        EXPECT_EQ(rhumb_index_create(path_.c_str(), &options, &created), RHUMB_OK) << rhumb_error_last()->message;
        index_ = Index(created);
    }

    void insert(uint64_t id) {
        const std::vector<float> vector = vectors_.vector(next_vector_++);
        oracle_.insert(vectors_.key(id), vector);
        note(rhumb_index_insert(index_, vectors_.key(id), vector.data()));
    }
    void upsert(uint64_t id) {
        const std::vector<float> vector = vectors_.vector(next_vector_++);
        oracle_.upsert(vectors_.key(id), vector);
        note(rhumb_index_upsert(index_, vectors_.key(id), vector.data()));
    }
    void erase(uint64_t id) {
        oracle_.erase(vectors_.key(id));
        note(rhumb_index_delete(index_, vectors_.key(id)));
    }
    void batch(uint64_t first_id, uint64_t count) {
        std::vector<Oracle::Operation> operations;
        for (uint64_t i = 0; i < count; i++) {
            operations.push_back(Oracle::operation(Oracle::Kind::kInsert, vectors_.key(first_id + i),
                                                   vectors_.vector(next_vector_ + i)));
        }
        oracle_.batch(operations);
        note(insert_all(vectors_.keys(first_id, count)));
    }
    // Its last key exists already, so that its records get no commit.
    void failing_batch(uint64_t first_id, uint64_t count, uint64_t existing_id) {
        std::vector<uint64_t> keys = vectors_.keys(first_id, count);
        keys.push_back(vectors_.key(existing_id));
        EXPECT_EQ(insert_all(keys), RHUMB_E_EXISTS);
    }
    void sync() { EXPECT_EQ(rhumb_index_sync(index_), RHUMB_OK) << rhumb_error_last()->message; }
    void checkpoint() {
        EXPECT_EQ(rhumb_index_checkpoint(index_), RHUMB_OK) << rhumb_error_last()->message;
        now_.checkpoint_count = oracle_.count();
        now_.checkpoint_lsn = rhumb_index_lsn(index_);
    }
    void close() { EXPECT_EQ(index_.close(), RHUMB_OK) << rhumb_error_last()->message; }

    Moment moment() const {
        Moment moment = now_;
        moment.index = FileImage::load(path_);
        moment.log = LogImage::load(path_ + "-wal");
        moment.count = oracle_.count();
        return moment;
    }

    // The number of entries that are complete with the operations up to this one.
    uint64_t entries_up_to(uint64_t lsn) const {
        return static_cast<uint64_t>(std::upper_bound(lsns_.begin(), lsns_.end(), lsn) - lsns_.begin());
    }
    const Oracle &oracle() const { return oracle_; }

  private:
    void note(rhumb_status status) {
        EXPECT_EQ(status, RHUMB_OK) << rhumb_error_last()->message;
        lsns_.push_back(rhumb_index_lsn(index_));
    }
    rhumb_status insert_all(const std::vector<uint64_t> &keys) {
        rhumb_batch_options options;
        rhumb_batch_options_init(&options, sizeof options);
        options.thread_count = 1;
        const std::vector<float> rows = vectors_.vectors(next_vector_, keys.size());
        next_vector_ += keys.size();
        return rhumb_index_insert_batch(index_, keys.data(), rows.data(), keys.size(), &options, nullptr);
    }

    MemoryDirectory directory_;
    const std::string path_ = directory_.file("life.rhumb");
    Vectors vectors_;
    Oracle oracle_{kDim, RHUMB_METRIC_L2};
    std::vector<uint64_t> lsns_; // of each entry: the last of its operations
    uint64_t next_vector_ = 0;
    Moment now_;
    Index index_;
};

// The moments that the tests use. Built once.
struct Sample {
    Life life{397};
    Moment early;   // one group after the first checkpoint
    Moment late;    // two more groups, same checkpoint
    Moment main;    // several groups after the second checkpoint: what most tests damage
    Moment newer;   // one group after the third
    Moment foreign; // another index

    Sample() {
        life.batch(0, 30);
        life.checkpoint();
        for (uint64_t id = 30; id < 36; id++) life.insert(id);
        life.sync();
        early = life.moment();
        life.erase(0);
        life.upsert(1);
        life.sync();
        life.batch(36, 3);
        life.sync();
        late = life.moment();
        life.checkpoint();
        live_on();
        main = life.moment();
        life.checkpoint();
        life.insert(80);
        life.sync();
        newer = life.moment();
        life.close();

        Life other(7);
        other.batch(0, 20);
        other.checkpoint();
        other.insert(20);
        other.sync();
        foreign = other.moment();
        other.close();
    }

    // Every kind of record, in groups of one and of several; nothing proves the last group.
    void live_on() {
        for (uint64_t id = 40; id < 44; id++) life.insert(id);
        life.erase(3);
        life.erase(41);
        life.upsert(4);
        life.upsert(42);
        life.sync();
        life.batch(50, 5);
        life.sync();
        life.failing_batch(60, 3, 5);
        life.insert(61);
        life.sync();
        for (uint64_t id = 5; id < 8; id++) {
            life.upsert(id);
            life.sync();
        }
        life.insert(70);
        life.batch(71, 4);
        life.erase(52);
        life.upsert(90);
        life.sync();
    }
};

const Sample &sample() {
    static const Sample built;
    return built;
}

// The expected result of opening for writing.
struct Verdict {
    rhumb_status status;
    uint64_t count;  // entries it holds, if it opens
    uint64_t offset; // where in the log it is refused
};

class FlipLog : public ::testing::Test {
  protected:
    void SetUp() override {
        // No power is cut here, so syncs would only take time.
        rhumb__io_backend_set_default(&rhumb_test::io_fault_backend);
        oracle_ = std::make_unique<Oracle>(sample().life.oracle());
        use(sample().main);
    }
    void TearDown() override { rhumb__io_backend_set_default(nullptr); }

    // The sound files of a moment, to be damaged.
    void use(const Moment &moment) {
        moment_ = &moment;
        ASSERT_TRUE(moment.index.save(path_));
        put_log(moment.log);
    }
    void put_log(const LogImage &log) { io_test::put_file(log_path_, {log.bytes.begin(), log.bytes.end()}); }
    bool log_is(const LogImage &log) const { return io_test::file_bytes(log_path_) == log.bytes; }
    bool index_is(const FileImage &index) const { return io_test::file_bytes(path_) == index.bytes(); }
    std::string compare(rhumb_index *index, uint64_t count) { return oracle_->compare(index, {count}, 1); }

    // The expected result for a log whose record `i` is not valid any more (records.size(): all are), by FORMAT.md, 14.
    Verdict judge_by_records(const std::vector<LogImage::Place> &records, size_t i) const {
        const uint64_t first_lsn = records[0].header.lsn;
        const uint64_t checkpoint_lsn = moment_->checkpoint_lsn;
        const uint64_t missing = std::max(first_lsn + i, checkpoint_lsn + 1);
        for (size_t later = i + 1; later < records.size(); later++) {
            const rhumb__log_record_header &header = records[later].header;
            if (header.lsn > missing && header.synced_lsn >= missing) return {RHUMB_E_CORRUPT, 0, records[i].offset};
        }
        return {RHUMB_OK, sample().life.entries_up_to(std::max(first_lsn + i - 1, checkpoint_lsn)), 0};
    }

    // A reader shows the checkpoint, whatever the log holds; verification reports whether a writer would refuse it.
    void read(bool log_is_sound) {
        Index index;
        ASSERT_EQ(rhumb_test::open_index(path_, true, &index), RHUMB_OK) << rhumb_error_last()->message;
        ASSERT_EQ(compare(index, moment_->checkpoint_count), "");
        rhumb_verify_report report;
        ASSERT_EQ(rhumb_test::verify_index(index, &report), log_is_sound ? RHUMB_OK : RHUMB_E_CORRUPT)
            << report.first_error;
        ASSERT_EQ(report.log_error_count, log_is_sound ? 0u : 1u);
        ASSERT_EQ(report.checksum_error_count + report.structure_error_count, 0u);
        ASSERT_EQ(report.first_error[0] == '\0', log_is_sound);
    }

    void expect_error(const Verdict &verdict, const std::string &path) {
        ASSERT_EQ(rhumb_error_last()->status, verdict.status) << rhumb_error_last()->message;
        ASSERT_EQ(path, rhumb_error_last()->path);
        ASSERT_EQ(rhumb_error_last()->file_offset, verdict.offset) << rhumb_error_last()->message;
        ASSERT_STRNE(rhumb_error_last()->message, "");
    }

    // Opens the files as they are now. A log that is refused stays as it is, and so does the index; afterwards the
    // index is sound again. With `further` an index that opened is written to, closed and read.
    void write(const LogImage &log, const Verdict &verdict, bool further) {
        Index index;
        const rhumb_status status = rhumb_test::open_index(path_, false, &index);
        ASSERT_EQ(status, verdict.status) << rhumb_error_last()->message;
        if (status != RHUMB_OK) {
            ASSERT_NO_FATAL_FAILURE(expect_error(verdict, log_path_));
            ASSERT_TRUE(log_is(log)) << "the log has changed";
            if (full_run() || judged_count_ % 4 == 1) {
                ASSERT_TRUE(index_is(moment_->index)) << "the index has changed";
            }
            return;
        }
        ASSERT_EQ(compare(index, verdict.count), "");
        if (further) {
            ASSERT_NO_FATAL_FAILURE(write_on(&index, verdict.count));
        } else {
            ASSERT_EQ(index.close(), RHUMB_OK) << rhumb_error_last()->message;
        }
        ASSERT_TRUE(moment_->index.save(path_));
    }

    void write_on(Index *index, uint64_t count) {
        Oracle further = *oracle_;
        further.truncate({count});
        further.upsert(12345, std::vector<float>(kDim, 0.5f));
        further.erase(12345);
        further.upsert(12345, std::vector<float>(kDim, 1.5f));
        const std::vector<float> vector(kDim, 1.5f);
        ASSERT_EQ(rhumb_index_upsert(*index, 12345, vector.data()), RHUMB_OK) << rhumb_error_last()->message;
        rhumb_verify_report report;
        ASSERT_EQ(rhumb_test::verify_index(*index, &report), RHUMB_OK) << report.first_error;
        ASSERT_EQ(index->close(), RHUMB_OK) << rhumb_error_last()->message;
        ASSERT_NE(access(log_path_.c_str(), F_OK), 0) << "nothing is in the log any more";
        for (const bool read_only : {true, false}) {
            ASSERT_EQ(rhumb_test::open_index(path_, read_only, index), RHUMB_OK) << rhumb_error_last()->message;
            ASSERT_EQ(further.compare(*index, further.counts(), 1), "");
            ASSERT_EQ(rhumb_test::verify_index(*index, &report), RHUMB_OK) << report.first_error;
        }
        ASSERT_EQ(index->close(), RHUMB_OK);
    }

    // Checks everything about this log together with the sound index.
    void judge_log(const LogImage &log, const Verdict &verdict) {
        put_log(log);
        judged_count_++;
        if (full_run() || judged_count_ % 3 == 1) {
            ASSERT_NO_FATAL_FAILURE(read(verdict.status == RHUMB_OK));
        }
        ASSERT_NO_FATAL_FAILURE(write(log, verdict, judged_count_ % 8 == 1));
    }

    // Flips one bit of a byte of the log, chosen by the seed.
    void flip_log(uint64_t offset, const Verdict &verdict) {
        LogImage log = moment_->log;
        const uint32_t bit = static_cast<uint32_t>(random_() % 8);
        log.bytes[offset] ^= static_cast<uint8_t>(1u << bit);
        judge_log(log, verdict);
        if (HasFailure()) FAIL() << "log byte " << offset << ", bit " << bit;
    }

    // Every byte of the records, or every `step`th of their headers and a few of each payload.
    void flip_records(uint64_t step) {
        const std::vector<LogImage::Place> records = moment_->log.records();
        std::map<rhumb_status, uint64_t> counts;
        for (size_t i = 0; i < records.size(); i++) {
            const Verdict verdict = judge_by_records(records, i);
            for (uint64_t at = 0; at < records[i].byte_count; at++) {
                const bool wanted = at < kRecordHeaderBytes ? (at + i) % step == 0 : random_() % 16 == 0;
                if (!full_run() && !wanted) continue;
                ASSERT_NO_FATAL_FAILURE(flip_log(records[i].offset + at, verdict)) << "record " << i;
                counts[verdict.status]++;
            }
        }
        EXPECT_GT(counts[RHUMB_OK], 0u);
        EXPECT_GT(counts[RHUMB_E_CORRUPT], 0u);
    }

    MemoryDirectory directory_;
    const std::string path_ = directory_.file("damaged.rhumb");
    const std::string log_path_ = path_ + "-wal";
    const Moment *moment_ = nullptr;
    std::unique_ptr<Oracle> oracle_;
    std::mt19937_64 random_{choose_seed()};
    uint64_t judged_count_ = 0;
};

TEST_F(FlipLog, TheSampleHasWhatTheTestsNeed) {
    const std::vector<LogImage::Place> records = moment_->log.records();
    std::set<uint32_t> types;
    std::set<uint64_t> groups;
    for (const LogImage::Place &record : records) {
        types.insert(record.header.type);
        groups.insert(record.header.synced_lsn);
    }
    EXPECT_EQ(types.size(), 5u);
    EXPECT_EQ(groups.size(), 7u);
    EXPECT_EQ(records.back().offset + records.back().byte_count, moment_->log.bytes.size());
    EXPECT_EQ(records[0].header.lsn, moment_->checkpoint_lsn + 1);
    EXPECT_GT(moment_->checkpoint_count, 0u);
    EXPECT_GT(moment_->count, moment_->checkpoint_count);
    for (const Moment *moment : {&sample().early, &sample().late, &sample().main, &sample().newer}) {
        use(*moment);
        judge_log(moment->log, {RHUMB_OK, moment->count, 0});
    }
}

TEST_F(FlipLog, AFlippedRecordIsRefusedIfALaterOneProvesItAndEndsTheLogIfNot) { flip_records(kSanitized ? 3 : 1); }

TEST_F(FlipLog, OneFlippedHeaderCopyIsHarmless) {
    for (uint32_t copy = 0; copy < 4; copy++) {
        const uint64_t begin = LogImage::header_offset(copy / 2, copy % 2);
        for (uint64_t at = 0; at < RHUMB__LOG_HEADER_BYTES; at++) {
            const bool wanted = at < kLogHeaderFieldBytes ? !kSanitized || at % 4 == copy : random_() % 400 == 0;
            if (!full_run() && !wanted) continue;
            ASSERT_NO_FATAL_FAILURE(flip_log(begin + at, {RHUMB_OK, moment_->count, 0}));
        }
    }
}

TEST_F(FlipLog, ALogCutShortAnywhereHoldsTheOperationsBeforeTheCut) {
    const LogImage &whole = moment_->log;
    const std::vector<LogImage::Place> records = whole.records();
    size_t left = 0; // records that are whole
    for (uint64_t length = 0; length <= whole.bytes.size(); length++) {
        while (left < records.size() && records[left].offset + records[left].byte_count <= length) left++;
        const bool edge = left > 0 && length - (records[left - 1].offset + records[left - 1].byte_count) < 2;
        const bool wanted = length < RHUMB__LOG_RECORDS_OFFSET - 4 ? random_() % 400 == 0 : edge || random_() % 16 == 0;
        if (!full_run() && !wanted) continue;
        LogImage torn = whole;
        torn.bytes.resize(length);
        if (length < RHUMB__LOG_RECORDS_OFFSET) { // no crash leaves that
            put_log(torn);
            Index index;
            ASSERT_EQ(rhumb_test::open_index(path_, false, &index), RHUMB_E_CORRUPT) << "cut at " << length;
            ASSERT_TRUE(log_is(torn) && index_is(moment_->index));
            continue;
        }
        const uint64_t count = sample().life.entries_up_to(moment_->checkpoint_lsn + left);
        ASSERT_NO_FATAL_FAILURE(judge_log(torn, {RHUMB_OK, count, 0})) << "cut at " << length;
    }
}

// ---- logs in the wrong place ----

// Leaves in `moment` the index of `early` after a recovery, with the log of `late`: the first records of that
// log are in the checkpoint.
class FlipOverlappingLog : public FlipLog {
  protected:
    void SetUp() override {
        FlipLog::SetUp();
        use(sample().early);
        Index index;
        ASSERT_EQ(rhumb_test::open_index(path_, false, &index), RHUMB_OK) << rhumb_error_last()->message;
        overlapping_.checkpoint_lsn = rhumb_index_lsn(index);
        ASSERT_EQ(index.close(), RHUMB_OK) << rhumb_error_last()->message;
        overlapping_.index = FileImage::load(path_);
        // As if the checkpoint had been made in the life of that log, and a crash had come before the log was cut.
        for (uint32_t copy = 0; copy < 4; copy++) {
            rhumb__superblock superblock = overlapping_.index.superblock(copy / 2, copy % 2);
            superblock.history = sample().late.log.newest().history;
            superblock.log_expected = 1;
            superblock.log_lsn = overlapping_.checkpoint_lsn;
            overlapping_.index.put_superblock(superblock, copy / 2, copy % 2);
        }
        overlapping_.index.mend_superblocks();
        overlapping_.checkpoint_count = sample().early.count;
        overlapping_.log = sample().late.log;
        overlapping_.count = sample().late.count;
        use(overlapping_);
    }
    Moment overlapping_;
};

TEST_F(FlipOverlappingLog, OnlyWhatTheCheckpointLacksIsReplayed) {
    EXPECT_GT(overlapping_.checkpoint_lsn, overlapping_.log.records()[2].header.lsn);
    judge_log(overlapping_.log, {RHUMB_OK, overlapping_.count, 0});
}

TEST_F(FlipOverlappingLog, RecordsOfTheCheckpointMatterIfTheyHideLaterOnes) { flip_records(3); }

// The superblock says how far the log had been synced: one that ends before is an older copy.
TEST_F(FlipLog, ALogThatEndsBeforeTheCheckpointIsIgnoredIfItMayBeTheLast) {
    judge_log(sample().early.log, {RHUMB_E_LOG, 0, UINT64_MAX});
    judge_log(sample().late.log, {RHUMB_OK, moment_->checkpoint_count, 0});
    use(sample().newer);
    judge_log(sample().early.log, {RHUMB_E_LOG, 0, UINT64_MAX});
    judge_log(sample().late.log, {RHUMB_E_LOG, 0, UINT64_MAX});
    judge_log(sample().main.log, {RHUMB_OK, moment_->checkpoint_count, 0});
}

TEST_F(FlipLog, ALogThatLacksOperationsOrIsAnothersIsRefusedUnlessDiscarded) {
    const uint64_t lsn_offset = offsetof(rhumb__log_header, first_lsn);
    const uint64_t uuid_offset = offsetof(rhumb__log_header, uuid);
    const struct {
        const Moment &moment;
        const Moment &log_moment;
        uint64_t offset;
    } pairs[] = {{sample().early, sample().main, lsn_offset},
                 {sample().main, sample().newer, lsn_offset},
                 {sample().main, sample().foreign, uuid_offset}};
    for (const auto &pair : pairs) {
        use(pair.moment);
        judge_log(pair.log_moment.log, {RHUMB_E_LOG, 0, pair.offset});
        rhumb_open_options options;
        rhumb_open_options_init(&options, sizeof options);
        options.discard_log = true;
        rhumb_index *opened = nullptr;
        ASSERT_EQ(rhumb_index_open(path_.c_str(), &options, &opened), RHUMB_OK) << rhumb_error_last()->message;
        Index index(opened);
        EXPECT_EQ(compare(index, moment_->checkpoint_count), "");
        EXPECT_NE(access(log_path_.c_str(), F_OK), 0);
    }
}

TEST_F(FlipLog, AFileWithoutHeadersIsDamaged) {
    for (const bool zeros : {true, false}) {
        for (const uint64_t length : {0, 1, 4095, 4096, 16385, 98304, 200000}) {
            LogImage garbage(io_test::random_bytes(length, length));
            if (zeros) std::fill(garbage.bytes.begin(), garbage.bytes.end(), 0);
            judged_count_ = 0;
            judge_log(garbage, {RHUMB_E_CORRUPT, 0, 0});
            ASSERT_FALSE(HasFailure()) << length;
        }
    }
    LogImage cut_short = moment_->log;
    cut_short.bytes.resize(RHUMB__LOG_RECORDS_OFFSET - 1);
    judge_log(cut_short, {RHUMB_E_CORRUPT, 0, RHUMB__LOG_RECORDS_OFFSET - 1});
}

// ---- a damaged index with a sound log ----

class FlipIndexWithLog : public FlipLog {
  protected:
    // The result of opening a damaged index. A refusal names one of the two files and leaves both as they are.
    rhumb_status open(const FileImage &damaged, bool read_only, Index *index) {
        const rhumb_status status = rhumb_test::open_index(path_, read_only, index);
        if (status == RHUMB_OK) return status;
        const std::string path = rhumb_error_last()->path;
        EXPECT_TRUE(status == RHUMB_E_CORRUPT || status == RHUMB_E_NOT_AN_INDEX || status == RHUMB_E_VERSION ||
                    status == RHUMB_E_TRUNCATED)
            << rhumb_error_last()->message;
        EXPECT_EQ(path, path_);
        EXPECT_STRNE(rhumb_error_last()->message, "");
        EXPECT_TRUE(log_is(moment_->log)) << "the log has changed";
        EXPECT_TRUE(index_is(damaged)) << "the index has changed";
        return status;
    }

    // Calls check(damaged image) with a bit of every `step`th byte flipped.
    template <typename Check> void flip_each(uint64_t begin, uint64_t end, uint64_t step, const Check &check) {
        FileImage damaged = moment_->index;
        for (uint64_t offset = begin; offset < end; offset += full_run() ? 1 : step) {
            if (damaged.is_replaced(offset)) continue;
            const uint32_t bit = static_cast<uint32_t>(random_() % 8);
            damaged.bytes()[offset] ^= static_cast<uint8_t>(1u << bit);
            ASSERT_TRUE(damaged.save(path_));
            check(damaged);
            damaged.bytes()[offset] = moment_->index.bytes()[offset];
            put_log(moment_->log);
            if (HasFailure()) FAIL() << "index byte " << offset << ", bit " << bit;
        }
    }

    void ask(rhumb_index *index) {
        Answers answers;
        EXPECT_EQ(rhumb_test::ask(index, Vectors(kDim, 397), 60, true, &answers), RHUMB_OK)
            << rhumb_error_last()->message;
    }

    // Damaged rows: reading, writing and reading again do no harm.
    void use_damaged(const FileImage &damaged, uint32_t section_kind) {
        Index index;
        rhumb_verify_report report;
        ASSERT_EQ(open(damaged, true, &index), RHUMB_OK);
        ask(index);
        EXPECT_EQ(rhumb_test::verify_index(index, &report), RHUMB_E_CORRUPT);
        EXPECT_EQ(report.checksum_error_count, 1u);
        EXPECT_EQ(report.log_error_count, 0u);
        index = Index();
        if (open(damaged, false, &index) != RHUMB_OK) return;
        ask(index);
        EXPECT_EQ(index.close(), RHUMB_OK) << rhumb_error_last()->message;
        ASSERT_EQ(rhumb_test::open_index(path_, true, &index), RHUMB_OK) << rhumb_error_last()->message;
        ask(index);
        const rhumb_status verified = rhumb_test::verify_index(index, &report);
        EXPECT_TRUE(verified == RHUMB_E_CORRUPT || verified == RHUMB_OK) << rhumb_error_last()->message;
        EXPECT_EQ(report.checksum_error_count, section_kind == kAppendSection ? 1u : 0u);
    }

    void expect_refused(const FileImage &damaged) {
        Index index;
        EXPECT_NE(open(damaged, true, &index), RHUMB_OK);
        EXPECT_NE(open(damaged, false, &index), RHUMB_OK);
    }
};

TEST_F(FlipIndexWithLog, OneFlippedSuperblockCopyIsHarmless) {
    for (uint32_t copy = 0; copy < 4; copy++) {
        const uint64_t begin = FileImage::superblock_offset(copy / 2, copy % 2);
        const auto check = [&](const FileImage &) {
            read(true);
            write(moment_->log, {RHUMB_OK, moment_->count, 0}, false);
        };
        ASSERT_NO_FATAL_FAILURE(flip_each(begin, begin + 140, 9, check));
        ASSERT_NO_FATAL_FAILURE(flip_each(begin + 140, begin + 4096, 997, check));
    }
}

TEST_F(FlipIndexWithLog, WithoutTheNewestSuperblockNothingIsOpened) {
    FileImage damaged = moment_->index;
    for (uint32_t copy = 0; copy < 2; copy++) {
        damaged.bytes()[FileImage::superblock_offset(damaged.newest_slot(), copy) + 100] ^= 1;
    }
    ASSERT_TRUE(damaged.save(path_));
    expect_refused(damaged);
}

TEST_F(FlipIndexWithLog, AFlippedDirectoryIsAnErrorThatLeavesTheLog) {
    const rhumb__superblock superblock = moment_->index.superblock(moment_->index.newest_slot());
    const uint64_t root_end = superblock.directory_offset + superblock.root_bytes;
    ASSERT_NO_FATAL_FAILURE(flip_each(superblock.directory_offset, root_end, 7,
                                      [&](const FileImage &damaged) { expect_refused(damaged); }));
    // The table of checksums, which readers do not need.
    ASSERT_NO_FATAL_FAILURE(
        flip_each(root_end, superblock.directory_offset + superblock.directory_bytes, 3, [&](const FileImage &damaged) {
            Index index;
            EXPECT_EQ(open(damaged, false, &index), RHUMB_E_CORRUPT);
            ASSERT_EQ(open(damaged, true, &index), RHUMB_OK);
            EXPECT_EQ(compare(index, moment_->checkpoint_count), "");
        }));
}

// A writer may continue with damaged rows, and what it changes gets new checksums. In sections that only grow the
// published rows keep theirs, so that damage to vectors and keys stays known.
TEST_F(FlipIndexWithLog, FlippedRowsAreReportedAndNothingCrashes) {
    for (const rhumb__section_record &section : moment_->index.sections()) {
        const uint64_t bytes = section.row_count * section.row_stride_bytes;
        if (bytes == 0) continue;
        const std::vector<rhumb__extent> extents = moment_->index.extents(section);
        ASSERT_EQ(extents.size(), 1u);
        const uint64_t step = 1 + bytes / 32;
        const uint64_t begin = extents[0].file_offset;
        ASSERT_NO_FATAL_FAILURE(flip_each(begin + (full_run() ? 0 : random_() % step), begin + bytes, step,
                                          [&](const FileImage &damaged) { use_damaged(damaged, section.kind); }))
            << "section " << section.id;
    }
}

TEST_F(FlipIndexWithLog, AnIndexCutShortIsAnErrorThatLeavesTheLog) {
    const uint64_t length = moment_->index.bytes().size();
    for (uint64_t cut = 0; cut < length; cut += 512) {
        if (!full_run() && cut % 65536 != 0 && random_() % 40 != 0) continue;
        for (const uint64_t at : {cut, cut + 1, cut + 511}) {
            FileImage torn = moment_->index;
            torn.bytes().resize(at);
            ASSERT_TRUE(torn.save(path_));
            expect_refused(torn);
            ASSERT_FALSE(HasFailure()) << "cut at " << at;
        }
    }
}

} // namespace
} // namespace fault_test
