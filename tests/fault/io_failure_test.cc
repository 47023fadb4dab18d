// Goal: when any call to the disk fails, the operation that made it fails with a documented status, or succeeds without
// it; the handle continues to answer; nothing leaks (under AddressSanitizer); and the next opening finds a
// prefix of the operations with everything in it that was acknowledged.
//
// Method: a scripted life is repeated, each time with the next call of the io backend made to fail
// (tests/support/io_fault.h), once or from then on, until a run has no call left to fail. An EINTR returned by a
// backend is an error like any other: the backends themselves repeat what was interrupted.
#include <gtest/gtest.h>

#include <cerrno>
#include <functional>
#include <memory>

#include "tests/support/fault_test_support.h"
#include "tests/support/index_life.h"
#include "tests/support/io_fault.h"

namespace fault_test {
namespace {

using rhumb_test::IndexLife;
using rhumb_test::IoCall;
using rhumb_test::IoFault;
using rhumb_test::judge_handle;
using rhumb_test::LifeBounds;
using rhumb_test::Oracle;

struct Case {
    const char *name;
    rhumb_durability durability;
    int os_errno;
    bool persistent;
    bool short_write;
    bool long_run; // differs little from the others
};

class IoFailure : public ::testing::TestWithParam<Case> {
  protected:
    void SetUp() override {
        const bool long_run = GetParam().long_run || (kSanitized && GetParam().persistent);
        if (long_run && !full_run()) GTEST_SKIP() << "for the long run (RHUMB_FULL=1)";
        rhumb__io_backend_set_default(&rhumb_test::io_fault_backend);
    }
    void TearDown() override {
        rhumb_test::io_fault_arm(IoFault());
        rhumb__io_backend_set_default(nullptr);
    }

    static IoFault fault_of(uint64_t number) {
        IoFault fault;
        fault.call_number = number;
        fault.persistent = GetParam().persistent;
        fault.short_write = GetParam().short_write;
        fault.os_errno = GetParam().os_errno;
        return fault;
    }
    static rhumb_open_options options() { return IndexLife::fill_options(GetParam().durability); }

    void remove_files() {
        unlink(path_.c_str());
        unlink(log_path_.c_str());
    }

    // A status that is documented for a call that met a disk's failure.
    void expect_documented(rhumb_status status) {
        if (status == RHUMB_OK) return;
        const rhumb_status of_errno = GetParam().os_errno == ENOSPC ? RHUMB_E_NOSPACE : RHUMB_E_IO;
        ASSERT_TRUE(status == of_errno || status == RHUMB_E_FATAL)
            << rhumb_status_name(status) << ": " << rhumb_error_last()->message;
        ASSERT_EQ(rhumb_error_last()->status, status) << rhumb_error_last()->message;
        ASSERT_NE(rhumb_test::io_fault_hit(), IoCall::kCount) << "failed before any call was made to fail";
        failure_count_++;
        fatal_count_ += status == RHUMB_E_FATAL;
    }

    // Checks, between operations, that everything done so far can be found, whatever failed.
    void expect_answers(IndexLife *life) {
        if (!life->has_handle()) return;
        Oracle::Prefix shown;
        uint64_t missing_count = 0;
        ASSERT_EQ(
            judge_handle(life, life->index(), life->returned_counts(), life->bounds(0).high, &shown, &missing_count),
            "");
        ASSERT_EQ(missing_count, 0u);
    }

    // Checks, after an opening, that what was acknowledged is there, and continues with it.
    void expect_prefix(IndexLife *life) {
        const LifeBounds bounds = life->bounds(0);
        Oracle::Prefix found;
        uint64_t missing_count = 0;
        ASSERT_EQ(judge_handle(life, life->index(), bounds.low, bounds.high, &found, &missing_count), "");
        ASSERT_EQ(missing_count, 0u);
        life->resume(found, false);
    }

    // Makes the calls of the script; the handle may fail for good, and is opened again.
    void live(IndexLife *life) {
        using Step = std::function<rhumb_status()>;
        const std::vector<Step> steps = {
            [&] { return life->insert(1); },
            [&] { return life->insert(2); },
            [&] { return life->upsert(2); },
            [&] { return life->erase(1); },
            [&] { return life->batch(20, 3, false); },
            [&] { return life->batch(30, 3, true); },
            [&] { return life->sync(); },
            [&] { return life->insert(3); },
            [&] { return life->checkpoint(); },
            [&] { return life->insert(1); },
            [&] { return life->upsert(20); },
            [&] { return life->checkpoint(); },
            [&] { return life->erase(30); },
            [&] { return life->changes(29, 4, IndexLife::Mix::kAll, false); },
            [&] { return life->changes(31, 3, IndexLife::Mix::kDeletes, true); },
            [&] { return life->compact(false); },
            [&] { return life->close(); },
            [&] { return life->insert(4); },
            [&] { return rhumb_test::kSanitized ? RHUMB_OK : life->compact(true); },
            [&] { return life->batch(40, 2, false); },
            [&] { return life->close(); },
        };
        for (size_t i = 0; i < steps.size(); i++) {
            SCOPED_TRACE("step " + std::to_string(i));
            if (!life->has_handle()) {
                rhumb_status status = life->open(options());
                ASSERT_NO_FATAL_FAILURE(expect_documented(status));
                if (status != RHUMB_OK) {
                    rhumb_test::io_fault_disarm();
                    status = life->open(options());
                }
                ASSERT_EQ(status, RHUMB_OK) << rhumb_error_last()->message;
                ASSERT_NO_FATAL_FAILURE(expect_prefix(life));
            }
            const rhumb_status status = steps[i]();
            // After failures, some keys exist that would not, and some are missing.
            if (status == RHUMB_E_EXISTS || status == RHUMB_E_NOTFOUND) {
                ASSERT_NE(rhumb_test::io_fault_hit(), IoCall::kCount);
                continue;
            }
            ASSERT_NO_FATAL_FAILURE(expect_documented(status));
            ASSERT_NO_FATAL_FAILURE(expect_answers(life));
        }
    }

    // With a disk that works again.
    void judge(IndexLife *life) {
        rhumb_test::io_fault_disarm();
        (void)life->close();
        ASSERT_EQ(life->open(options()), RHUMB_OK) << rhumb_error_last()->message;
        ASSERT_NO_FATAL_FAILURE(expect_prefix(life));
        ASSERT_EQ(life->upsert(60), RHUMB_OK) << rhumb_error_last()->message;
        rhumb_verify_report report;
        ASSERT_EQ(rhumb_test::verify_index(life->index(), &report), RHUMB_OK) << report.first_error;
        ASSERT_EQ(report.unreachable_count, 0u);
        ASSERT_EQ(life->close(), RHUMB_OK) << rhumb_error_last()->message;
        ASSERT_NE(access(log_path_.c_str(), F_OK), 0) << "the log of an index that was closed";
        ASSERT_EQ(life->problem(), "");
    }

    // Runs `body` with the 1st, 2nd, 3rd... call failing, until one run makes fewer calls than that. Under sanitizers
    // only every third, from another one on each time, since all of them fail in the plain run.
    void fail_each(const std::function<void(uint64_t number)> &body) {
        const uint64_t step = kSanitized && !full_run() ? 3 : 1;
        for (uint64_t number = 1 + rhumb_test::choose_seed() % step;; number += step) {
            ASSERT_LT(number, 5000u);
            remove_files();
            body(number);
            if (HasFatalFailure()) {
                ADD_FAILURE() << "call " << number << ", " << io_call_name(rhumb_test::io_fault_hit());
                return;
            }
            if (rhumb_test::io_fault_hit() == IoCall::kCount) break;
            hit_count_++;
        }
        printf("%llu calls made to fail: %llu operations failed, %llu of them for good\n",
               static_cast<unsigned long long>(hit_count_), static_cast<unsigned long long>(failure_count_),
               static_cast<unsigned long long>(fatal_count_));
        EXPECT_GT(failure_count_, 0u);
    }

    MemoryDirectory directory_;
    std::string path_ = directory_.file("failing.rhumb");
    std::string log_path_ = path_ + "-wal";
    uint64_t hit_count_ = 0;
    uint64_t failure_count_ = 0;
    uint64_t fatal_count_ = 0;
};

TEST_P(IoFailure, AtAnyCallKeepsWhatWasAcknowledged) {
    fail_each([&](uint64_t number) {
        IndexLife life(path_, 5, nullptr);
        rhumb_test::io_fault_arm(fault_of(number));
        rhumb_status status = life.create(options());
        ASSERT_NO_FATAL_FAILURE(expect_documented(status));
        if (status != RHUMB_OK) {
            rhumb_test::io_fault_disarm();
            if (access(path_.c_str(), F_OK) == 0) {
                // A file is left only if removing it failed too: one that is reported as incomplete, or an empty index.
                ASSERT_TRUE(GetParam().persistent);
                status = life.open(options());
                if (status == RHUMB_OK) {
                    ASSERT_EQ(rhumb_index_count(life.index()), 0u);
                    ASSERT_EQ(life.close(), RHUMB_OK);
                } else {
                    ASSERT_EQ(status, RHUMB_E_NOT_AN_INDEX);
                    ASSERT_NE(std::string(rhumb_error_last()->message).find("creation was interrupted"),
                              std::string::npos);
                }
                remove_files();
            }
            ASSERT_EQ(life.create(options()), RHUMB_OK) << rhumb_error_last()->message;
        }
        ASSERT_NO_FATAL_FAILURE(live(&life));
        ASSERT_NO_FATAL_FAILURE(judge(&life));
    });
}

// The same with an index whose process was killed: its log holds a batch without an end, and what came after.
TEST_P(IoFailure, AtAnyCallAfterACrashKeepsWhatWasAcknowledged) {
    rhumb_test::io_fault_arm(IoFault());
    auto past = std::make_unique<IndexLife>(path_, 5, nullptr);
    ASSERT_EQ(past->create(IndexLife::fill_options(RHUMB_DURABILITY_FULL)), RHUMB_OK);
    for (uint64_t id = 10; id < 14; id++) ASSERT_EQ(past->insert(id), RHUMB_OK);
    ASSERT_EQ(past->checkpoint(), RHUMB_OK);
    ASSERT_EQ(past->batch(50, 3, false), RHUMB_OK);
    ASSERT_EQ(past->batch(48, 4, false), RHUMB_E_EXISTS);
    ASSERT_EQ(past->erase(10), RHUMB_OK);
    ASSERT_EQ(past->upsert(11), RHUMB_OK);
    const FileImage index = FileImage::load(path_);
    const FileImage log = FileImage::load(log_path_);
    const IndexLife killed(*past);
    ASSERT_EQ(past->close(), RHUMB_OK);
    past = nullptr;

    fail_each([&](uint64_t number) {
        ASSERT_TRUE(index.save(path_) && log.save(log_path_));
        IndexLife life(killed);
        rhumb_test::io_fault_arm(fault_of(number));
        ASSERT_NO_FATAL_FAILURE(live(&life));
        ASSERT_NO_FATAL_FAILURE(judge(&life));
    });
}

INSTANTIATE_TEST_SUITE_P(Calls, IoFailure,
                         ::testing::Values(Case{"Once", RHUMB_DURABILITY_FULL, EIO, false, false, false},
                                           Case{"FromThenOn", RHUMB_DURABILITY_FULL, EIO, true, false, true},
                                           Case{"NoSpaceFromThenOn", RHUMB_DURABILITY_FULL, ENOSPC, true, false, false},
                                           Case{"ShortWrite", RHUMB_DURABILITY_FULL, ENOSPC, false, true, false},
                                           Case{"Interrupted", RHUMB_DURABILITY_FULL, EINTR, false, false, true},
                                           Case{"OnceWithoutLog", RHUMB_DURABILITY_NONE, EIO, false, false, false},
                                           Case{"NoSpaceFromThenOnWithoutLog", RHUMB_DURABILITY_NONE, ENOSPC, true,
                                                false, true},
                                           Case{"ShortWriteWithoutLog", RHUMB_DURABILITY_NONE, EIO, false, true, true}),
                         [](const ::testing::TestParamInfo<Case> &info) { return info.param.name; });

} // namespace
} // namespace fault_test
