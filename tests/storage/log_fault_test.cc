// Goal: whatever the disk or the allocator refuses, the log reports it, keeps reporting it, and a later process finds
// everything that was acknowledged, and nothing out of order. Method: one life of a log, repeated; each time the next
// call to the disk (tests/support/io_fault.h) or for memory (base/alloc.h) fails.
#include <cerrno>

#include "tests/support/io_fault.h"
#include "tests/support/log_test_support.h"

extern "C" {
#include "base/alloc.h"
}

namespace log_test {
namespace {

using rhumb_test::io_call_bit;
using rhumb_test::io_call_name;
using rhumb_test::io_fault_arm;
using rhumb_test::io_fault_backend;
using rhumb_test::io_fault_call_count;
using rhumb_test::io_fault_disarm;
using rhumb_test::io_fault_hit;
using rhumb_test::IoCall;
using rhumb_test::IoFault;

// What one life of a log has got to.
struct Life {
    rhumb_status status = RHUMB_OK;
    bool opened = false;
    uint64_t checkpoint_lsn = 0;   // a checkpoint that is on the disk
    uint64_t acknowledged_lsn = 0; // what must be found by the next one
    std::string failure;
};

class LogFault : public LogTest {
  protected:
    void SetUp() override { io_fault_disarm(); }
    void TearDown() override {
        io_fault_disarm();
        rhumb__alloc_fail_after(0, false);
    }

    // A log with operations 1 to 8 and a checkpoint at 2.
    void prepare() {
        unlink(log_path_.c_str());
        unlink((log_path_ + "-creating").c_str());
        index_at(path_) = {};
        if (!existing_) return;
        Log log;
        ASSERT_EQ(log.open(path_, {}), RHUMB_OK);
        ASSERT_EQ(log.add_durably(8), RHUMB_OK);
    }

    bool append(Log *log, Life *life, uint64_t count) {
        for (uint64_t i = 0; i < count; i++) {
            const uint64_t lsn = log->add();
            life->status = lsn == 0 ? rhumb__error_last()->status : rhumb__log_wait(*log, lsn);
            if (life->status != RHUMB_OK) return false;
            life->acknowledged_lsn = lsn;
        }
        return true;
    }

    // Everything a writer does: what was found is used, appended to, cut in the middle and cut whole.
    Life live() {
        Life life;
        Settings settings;
        settings.backend = &io_fault_backend;
        if (existing_) life = {RHUMB_OK, false, 2, 8, ""};
        settings.checkpoint_lsn = life.checkpoint_lsn;
        Log log;
        life.status = log.open(path_, settings);
        life.opened = life.status == RHUMB_OK;
        if (life.opened && run(&log, &life)) life.status = log.close(true);
        life.failure = rhumb__error_last()->message;
        if (life.opened && log.get() != nullptr) expect_sticky(&log, life);
        log.close(true);
        return life;
    }

    bool run(Log *log, Life *life) {
        if (!append(log, life, 4)) return false;
        const rhumb__log_mark mark = rhumb__log_mark_now(*log);
        if (!append(log, life, 3)) return false;
        life->checkpoint_lsn = mark.lsn;
        life->status = rhumb__log_cut(*log, &mark);
        if (life->status != RHUMB_OK) return false;
        if (!append(log, life, 2)) return false;
        life->checkpoint_lsn = rhumb__log_lsn(*log);
        life->status = log->cut_now();
        if (life->status != RHUMB_OK) return false;
        return append(log, life, 2);
    }

    void expect_sticky(Log *log, const Life &life) {
        if (!rhumb__log_failed(*log)) return; // memory for a reservation, say
        EXPECT_EQ(life.status, RHUMB_E_FATAL);
        const uint64_t durable_lsn = rhumb__log_durable_lsn(*log);
        EXPECT_GE(durable_lsn, std::max(life.checkpoint_lsn, existing_ ? 0 : life.acknowledged_lsn));
        io_fault_disarm();
        EXPECT_EQ(log->add(), 0u);
        EXPECT_EQ(rhumb__error_last()->message, life.failure);
        EXPECT_EQ(rhumb__log_check(*log), RHUMB_E_FATAL);
        EXPECT_EQ(rhumb__log_sync(*log), RHUMB_E_FATAL);
        EXPECT_EQ(log->cut_now(), RHUMB_E_FATAL);
        EXPECT_GE(rhumb__log_durable_lsn(*log), durable_lsn);
    }

    // What the next process finds is in order, from the checkpoint to at least the last acknowledged operation.
    void expect_kept(const Life &life) {
        Log log;
        Settings settings;
        settings.checkpoint_lsn = life.checkpoint_lsn;
        ASSERT_EQ(log.open(path_, settings), RHUMB_OK) << rhumb__error_last()->message;
        const uint64_t last = rhumb__log_lsn(log);
        ASSERT_GE(last, std::max(life.acknowledged_lsn, life.checkpoint_lsn));
        ASSERT_TRUE(is_range(log.replay(), life.checkpoint_lsn + 1, last));
        ASSERT_EQ(log.add_durably(1), RHUMB_OK) << rhumb__error_last()->message;
        ASSERT_TRUE(is_range(replay_again(life.checkpoint_lsn), life.checkpoint_lsn + 1, last + 1));
    }

    // Fails each call in turn.
    void fail_each(IoFault fault) {
        uint64_t failure_count = 0;
        for (fault.call_number = 1;; fault.call_number++) {
            ASSERT_LT(fault.call_number, 500u);
            ASSERT_NO_FATAL_FAILURE(prepare());
            io_fault_arm(fault);
            const Life life = live();
            const IoCall hit = io_fault_hit();
            io_fault_disarm();
            SCOPED_TRACE("call " + std::to_string(fault.call_number) + ", " + io_call_name(hit));
            if (hit != IoCall::kCount && life.status != RHUMB_OK) {
                failure_count++;
                EXPECT_NE(life.failure.find("injected"), std::string::npos) << life.failure;
            }
            ASSERT_NO_FATAL_FAILURE(expect_kept(life));
            if (hit == IoCall::kCount) {
                EXPECT_EQ(life.status, RHUMB_OK) << life.failure;
                break;
            }
        }
        EXPECT_GE(failure_count, 8u);
    }

    bool existing_ = false;
};

TEST_F(LogFault, SurvivesASingleFailureOfAnyCall) {
    for (const bool existing : {false, true}) {
        existing_ = existing;
        fail_each({});
    }
}

TEST_F(LogFault, SurvivesAPermanentFailureOfAnyCall) {
    IoFault fault;
    fault.persistent = true;
    fault.os_errno = ENOSPC;
    for (const bool existing : {false, true}) {
        existing_ = existing;
        fail_each(fault);
    }
}

TEST_F(LogFault, SurvivesWritesThatEndInTheMiddle) {
    IoFault fault;
    fault.short_write = true;
    fault.calls = io_call_bit(IoCall::kWrite);
    for (const bool existing : {false, true}) {
        existing_ = existing;
        fail_each(fault);
    }
}

TEST_F(LogFault, AFullDiskIsReportedWithItsErrno) {
    Settings settings;
    settings.backend = &io_fault_backend;
    Log log;
    ASSERT_EQ(log.open(path_, settings), RHUMB_OK);
    ASSERT_EQ(log.add_durably(3), RHUMB_OK);
    IoFault fault;
    fault.calls = io_call_bit(IoCall::kWrite);
    fault.call_number = 1;
    fault.os_errno = ENOSPC;
    io_fault_arm(fault);
    EXPECT_EQ(log.add_durably(1), RHUMB_E_FATAL);
    EXPECT_EQ(rhumb__error_last()->os_errno, ENOSPC);
    EXPECT_EQ(log_path_, rhumb__error_last()->path);
    EXPECT_NE(strstr(rhumb__error_last()->message, "injected into write"), nullptr);
    EXPECT_TRUE(rhumb__log_failed(log));
    EXPECT_EQ(rhumb__log_durable_lsn(log), 3u);
    EXPECT_EQ(rhumb__log_wait(log, 3), RHUMB_OK) << "that one is on the disk";
    EXPECT_EQ(rhumb__log_wait(log, 4), RHUMB_E_FATAL);
    EXPECT_EQ(rhumb__error_last()->os_errno, ENOSPC);
    // A checkpoint still makes durable what it holds.
    EXPECT_EQ(log.cut_now(), RHUMB_E_FATAL);
    EXPECT_EQ(rhumb__log_durable_lsn(log), 4u);
    EXPECT_EQ(rhumb__log_wait(log, 4), RHUMB_OK);
    EXPECT_EQ(log.close(true), RHUMB_OK) << "nothing is lost";
    EXPECT_TRUE(file_exists()) << "a log that has failed is kept";
    EXPECT_TRUE(is_range(replay_again(0), 1, 3));
}

TEST_F(LogFault, ReservedRoomCanBeUsedAfterAFailure) {
    Settings settings;
    settings.backend = &io_fault_backend;
    Log log;
    ASSERT_EQ(log.open(path_, settings), RHUMB_OK);
    ASSERT_EQ(rhumb__log_reserve(log, 16), RHUMB_OK);
    IoFault fault;
    fault.calls = io_call_bit(IoCall::kSync);
    fault.call_number = 1;
    io_fault_arm(fault);
    EXPECT_EQ(log.add_durably(1), RHUMB_E_FATAL);
    const uint64_t key[2] = {1, 2};
    const rhumb__log_operation operation = {RHUMB__LOG_DELETE, 0, key, 8, key, 8};
    EXPECT_EQ(rhumb__log_append(log, &operation), 2u);
    EXPECT_EQ(rhumb__log_wait(log, 2), RHUMB_E_FATAL);
    EXPECT_EQ(rhumb__log_durable_lsn(log), 0u);
    EXPECT_EQ(log.close(), RHUMB_E_FATAL) << "operations are lost";
}

TEST_F(LogFault, AFailureToCreateTheFileFailsOnlyTheOperation) {
    Settings settings;
    settings.backend = &io_fault_backend;
    Log log;
    ASSERT_EQ(log.open(path_, settings), RHUMB_OK);
    for (const IoCall call : {IoCall::kOpen, IoCall::kSyncDirectory}) {
        IoFault fault;
        fault.calls = io_call_bit(call);
        fault.call_number = 1;
        fault.os_errno = ENOSPC;
        io_fault_arm(fault);
        EXPECT_EQ(rhumb__log_reserve(log, 8), RHUMB_E_NOSPACE);
        EXPECT_EQ(io_fault_hit(), call);
        io_fault_disarm();
        EXPECT_EQ(rhumb__log_check(log), RHUMB_OK);
    }
    EXPECT_EQ(log.add_durably(1), RHUMB_OK);
    EXPECT_EQ(log.close(), RHUMB_OK);
    EXPECT_TRUE(is_range(replay_again(0), 1, 1));
}

TEST_F(LogFault, AFailureOfTheIntervalThreadIsReportedToCallers) {
    Settings settings;
    settings.backend = &io_fault_backend;
    settings.durability = RHUMB_DURABILITY_INTERVAL;
    settings.interval_ns = 1000000;
    IoFault fault;
    fault.calls = io_call_bit(IoCall::kSync);
    fault.call_number = 2; // the first is that of the file's creation
    fault.persistent = true;
    io_fault_arm(fault);
    Log log;
    ASSERT_EQ(log.open(path_, settings), RHUMB_OK);
    const uint64_t lsn = log.add();
    for (int i = 0; i < 5000 && !rhumb__log_failed(log); i++) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    EXPECT_EQ(rhumb__log_wait(log, lsn), RHUMB_E_FATAL);
    EXPECT_NE(strstr(rhumb__error_last()->message, "injected into sync"), nullptr);
    EXPECT_EQ(log.add(), 0u);
    EXPECT_EQ(log.close(), RHUMB_E_FATAL);
}

TEST_F(LogFault, FailsCleanlyAtEveryAllocation) {
    for (const bool existing : {false, true}) {
        for (const bool persistent : {false, true}) {
            existing_ = existing;
            uint64_t failure_count = 0;
            for (uint64_t n = 1;; n++) {
                ASSERT_LT(n, 300u);
                ASSERT_NO_FATAL_FAILURE(prepare());
                rhumb__alloc_fail_after(n, persistent);
                Life life = live();
                const uint64_t request_count = rhumb__alloc_request_count();
                rhumb__alloc_fail_after(0, false);
                SCOPED_TRACE("request " + std::to_string(n));
                if (life.status != RHUMB_OK) {
                    failure_count++;
                    // A new file's handle and its directory's path need memory when the operation has happened.
                    EXPECT_TRUE(life.status == RHUMB_E_NOMEM || life.status == RHUMB_E_FATAL);
                    EXPECT_NE(life.failure.find("memory"), std::string::npos) << life.failure;
                }
                ASSERT_NO_FATAL_FAILURE(expect_kept(life));
                if (request_count < n) {
                    EXPECT_EQ(life.status, RHUMB_OK) << life.failure;
                    break;
                }
            }
            EXPECT_GE(failure_count, 4u);
        }
    }
}

TEST_F(LogFault, ExaminingFailsCleanlyWithoutMemoryOrReading) {
    existing_ = true;
    ASSERT_NO_FATAL_FAILURE(prepare());
    const rhumb__log_owner owner = owner_at(path_, 2);
    rhumb__log_report report;
    bool exists = false;
    uint64_t n = 0;
    for (rhumb_status status = RHUMB_E_NOMEM; status != RHUMB_OK;) {
        ASSERT_LT(++n, 50u);
        rhumb__alloc_fail_after(n, false);
        status = rhumb__log_examine(&rhumb__io_plain, path_.c_str(), &owner, false, &report);
        rhumb__alloc_fail_after(0, false);
        EXPECT_TRUE(status == RHUMB_OK || status == RHUMB_E_NOMEM);
    }
    EXPECT_GE(n, 4u);
    EXPECT_EQ(report.pending_count, 6u);
    IoFault fault;
    n = 0;
    for (rhumb_status status = RHUMB_E_IO; status != RHUMB_OK; fault.call_number++) {
        ASSERT_LT(++n, 50u);
        fault.call_number = n;
        io_fault_arm(fault);
        status = rhumb__log_examine(&io_fault_backend, path_.c_str(), &owner, false, &report);
        EXPECT_TRUE(status == RHUMB_OK || status == RHUMB_E_IO) << rhumb__error_last()->message;
    }
    EXPECT_GE(n, 6u);
    fault.call_number = 1;
    io_fault_arm(fault);
    EXPECT_EQ(rhumb__log_exists(&io_fault_backend, path_.c_str(), &exists), RHUMB_E_IO);
}

} // namespace
} // namespace log_test
