// Goal: wherever memory runs out, a call fails with RHUMB_E_NOMEM and has no other effect: no crash, no leak (under
// AddressSanitizer), the previous state is whole, and the next opening finds what was acknowledged and nothing else.
// Method: each call is repeated with a later request for memory refused (base/alloc.h), until one run passes without
// meeting the refusal; then a whole life, from the opening after a crash to the close, in the same way.
#include "tests/support/fault_test_support.h"

#include <atomic>
#include <thread>

#include "tests/support/oracle.h"
#include "tests/support/sanitized.h"

extern "C" {
#include "base/alloc.h"
}

namespace fault_test {
namespace {

// The request that is refused after the n-th: of the first fifty each, then a random sample; RHUMB_FULL refuses each.
class Refusals {
  public:
    uint64_t step(uint64_t n) const { return n < 50 ? 1 : step_; }
    uint64_t after(uint64_t n) const { return n + step(n) + (n == 49 ? first_ : 0); }

  private:
    // The plain run on vectors refuses more than those with sanitizers and on codes.
    const bool is_plain_ = !rhumb_test::kSanitized && getenv("RHUMB_TEST_CODES") == nullptr;
    const uint64_t step_ = full_run() ? 1 : is_plain_ ? 2 : 5;
    const uint64_t first_ = rhumb_test::choose_seed() % step_;
};

class Memory : public ::testing::TestWithParam<bool> {
  protected:
    void TearDown() override { rhumb__alloc_fail_after(0, false); }

    // Runs `call` with one request refused, and with a later one, and so on; with GetParam(), all after it too. `call`
    // returns its status; `after` checks the state. Ends after a run that did not get as far as the refusal.
    template <typename Call, typename After> void refuse_each(const Call &call, const After &after) {
        const Refusals refusals;
        failure_count_ = 0;
        for (uint64_t n = 1;; n = refusals.after(n)) {
            ASSERT_LT(n, 3000u);
            rhumb__alloc_fail_after(n, GetParam());
            const rhumb_status status = call();
            const uint64_t request_count = rhumb__alloc_request_count();
            const rhumb_status recorded = rhumb_error_last()->status;
            rhumb__alloc_fail_after(0, false);
            if (status != RHUMB_OK) {
                ASSERT_EQ(status, RHUMB_E_NOMEM) << "request " << n << ": " << rhumb_error_last()->message;
                ASSERT_EQ(recorded, RHUMB_E_NOMEM);
                failure_count_ += refusals.step(n);
            }
            ASSERT_NO_FATAL_FAILURE(after(status)) << "request " << n;
            if (request_count < n) {
                ASSERT_EQ(status, RHUMB_OK);
                return;
            }
        }
    }

    void expect_whole(const std::string &path, uint64_t count) {
        Index index;
        ASSERT_EQ(rhumb_test::open_index(path, true, &index), RHUMB_OK) << rhumb_error_last()->message;
        ASSERT_EQ(rhumb_index_count(index), count);
        rhumb_verify_report report;
        ASSERT_EQ(rhumb_test::verify_index(index, &report), RHUMB_OK) << report.first_error;
        Answers answers;
        ASSERT_EQ(rhumb_test::ask(index, vectors_, count, false, &answers), RHUMB_OK) << rhumb_error_last()->message;
        ASSERT_EQ(answers.vectors, vectors_.vectors(0, count));
    }

    ScratchDirectory directory_;
    std::string path_ = directory_.file("memory.rhumb");
    Vectors vectors_{8, 11};
    IndexShape shape_;
    uint64_t failure_count_ = 0;

    Memory() { shape_.dim = 8; }
};

INSTANTIATE_TEST_SUITE_P(Refusals, Memory, ::testing::Bool(),
                         [](const ::testing::TestParamInfo<bool> &info) { return info.param ? "FromThenOn" : "Once"; });

TEST_P(Memory, RefusedWhileCreatingLeavesNoFile) {
    refuse_each(
        [&] {
            Index index;
            return rhumb_test::create_index(path_, shape_, &index);
        },
        [&](rhumb_status status) {
            // An index that could not be created whole leaves no file.
            ASSERT_EQ(access(path_.c_str(), F_OK) == 0, status == RHUMB_OK);
            rhumb_test::remove_index(path_);
        });
    EXPECT_GE(failure_count_, 10u);
}

TEST_P(Memory, RefusedWhileOpeningChangesNothing) {
    ASSERT_EQ(rhumb_test::build_index(path_, shape_, vectors_, 100, 2), RHUMB_OK);
    for (const bool read_only : {true, false}) {
        refuse_each(
            [&] {
                Index index;
                return rhumb_test::open_index(path_, read_only, &index);
            },
            [&](rhumb_status) {});
        EXPECT_GE(failure_count_, 5u);
        expect_whole(path_, 100);
    }
}

TEST_P(Memory, RefusedWhileInsertingInsertsNothing) {
    shape_.extend_candidates = true;
    shape_.keep_pruned = true;
    Index index;
    ASSERT_EQ(rhumb_test::create_index(path_, shape_, &index), RHUMB_OK);
    // Covers the growth of sections, visited sets and key table. An insert that failed has not happened, and is
    // repeated.
    uint64_t count = 0;
    uint64_t failure_count = 0;
    for (uint64_t n = 1; count < 600; n++) {
        rhumb__alloc_fail_after(1 + n % 7, GetParam());
        const rhumb_status status = rhumb_index_insert(index, vectors_.key(count), vectors_.vector(count).data());
        rhumb__alloc_fail_after(0, false);
        ASSERT_TRUE(status == RHUMB_OK || status == RHUMB_E_NOMEM) << rhumb_error_last()->message;
        if (status == RHUMB_OK) {
            count++;
        } else {
            failure_count++;
            if (failure_count % 3 == 0) { // with memory it works
                ASSERT_EQ(rhumb_test::insert_range(index, vectors_, count, 1), RHUMB_OK);
                count++;
            }
        }
        ASSERT_EQ(rhumb_index_count(index), count);
    }
    EXPECT_GT(failure_count, 0u);
    ASSERT_EQ(index.close(), RHUMB_OK);
    expect_whole(path_, count);
}

TEST_P(Memory, RefusedWhileMeasuringRecallLeavesTheCurve) {
    ASSERT_EQ(rhumb_test::build_index(path_, shape_, vectors_, 300, 2), RHUMB_OK);
    Index index;
    ASSERT_EQ(rhumb_test::open_index(path_, false, &index), RHUMB_OK);
    rhumb_recall_options options;
    rhumb_recall_options_init(&options, sizeof options);
    options.thread_count = 2;
    uint32_t expected = 0;
    refuse_each([&] { return rhumb_index_recall_measure(index, &options, nullptr, 0); },
                [&](rhumb_status status) {
                    uint32_t ef = 0;
                    const rhumb_status found = rhumb_index_recall_ef(index, 10, 0.95, &ef, nullptr);
                    ASSERT_EQ(found, status == RHUMB_OK || expected > 0 ? RHUMB_OK : RHUMB_E_UNSUPPORTED);
                    if (status == RHUMB_OK) expected = ef;
                    ASSERT_EQ(ef, expected);
                });
    EXPECT_GT(failure_count_, 10u);
    ASSERT_EQ(index.close(), RHUMB_OK);
    expect_whole(path_, 300);
}

TEST_P(Memory, RefusedWhilePublishingLeavesTheLastCheckpoint) {
    for (const rhumb_durability durability : {RHUMB_DURABILITY_FULL, RHUMB_DURABILITY_NONE}) {
        rhumb_test::remove_index(path_);
        Index index;
        ASSERT_EQ(rhumb_test::create_index(path_, shape_, &index, durability), RHUMB_OK);
        ASSERT_EQ(rhumb_test::insert_range(index, vectors_, 0, 5), RHUMB_OK);
        uint64_t count = 5;
        uint64_t published = 0;
        refuse_each(
            [&] {
                const rhumb_status status = rhumb_index_checkpoint(index);
                if (status == RHUMB_OK) published = count;
                return status;
            },
            [&](rhumb_status) {
                ASSERT_NO_FATAL_FAILURE(expect_whole(path_, published));
                ASSERT_EQ(rhumb_test::insert_range(index, vectors_, count, 5), RHUMB_OK);
                count += 5;
            });
        EXPECT_GE(failure_count_, 5u);
        // A close that fails makes no checkpoint. With a log nothing is lost; without one, what came after the last
        // checkpoint is, and nothing else. The handle is gone either way.
        refuse_each(
            [&] {
                const rhumb_status status = index.close();
                if (status == RHUMB_OK) published = count;
                return status;
            },
            [&](rhumb_status) {
                ASSERT_NO_FATAL_FAILURE(expect_whole(path_, published));
                ASSERT_EQ(rhumb_test::open_index(path_, false, &index, durability), RHUMB_OK);
                if (durability == RHUMB_DURABILITY_NONE) count = published;
                ASSERT_EQ(rhumb_index_count(index), count);
                // With anything left to link, a close would leave the log and make no checkpoint.
                ASSERT_EQ(rhumb_index_wait_idle(index), RHUMB_OK);
                ASSERT_EQ(rhumb_test::insert_range(index, vectors_, count, 20), RHUMB_OK);
                count += 20;
            });
        EXPECT_GE(failure_count_, 5u);
    }
}

TEST_P(Memory, RefusedWhileReadingGivesAnErrorAndNoWrongAnswer) {
    ASSERT_EQ(rhumb_test::build_index(path_, shape_, vectors_, 200, 1), RHUMB_OK);
    for (const bool read_only : {true, false}) {
        Answers expected;
        {
            Index index;
            ASSERT_EQ(rhumb_test::open_index(path_, read_only, &index), RHUMB_OK);
            ASSERT_EQ(rhumb_test::ask(index, vectors_, 200, false, &expected), RHUMB_OK);
        }
        // A handle that already has scratch memory allocates nothing, so each attempt opens a new one.
        Answers answers;
        refuse_each(
            [&] {
                Index index;
                rhumb_status status = rhumb_test::open_index(path_, read_only, &index);
                if (status == RHUMB_OK) status = rhumb_test::ask(index, vectors_, 200, false, &answers);
                rhumb_verify_report report;
                if (status == RHUMB_OK) status = rhumb_test::verify_index(index, &report);
                return status;
            },
            [&](rhumb_status status) {
                if (status == RHUMB_OK) {
                    ASSERT_TRUE(answers == expected);
                }
            });
        EXPECT_GE(failure_count_, 10u);
    }
}

TEST_P(Memory, RefusedWhileRefreshingKeepsTheReadersVersion) {
    Index writer;
    ASSERT_EQ(rhumb_test::create_index(path_, shape_, &writer), RHUMB_OK);
    Index reader;
    ASSERT_EQ(rhumb_test::open_index(path_, true, &reader), RHUMB_OK);
    ASSERT_EQ(rhumb_test::insert_range(writer, vectors_, 0, 3), RHUMB_OK);
    ASSERT_EQ(rhumb_index_checkpoint(writer), RHUMB_OK);
    uint64_t count = 3;
    refuse_each([&] { return rhumb_index_refresh(reader, nullptr); },
                [&](rhumb_status status) {
                    if (status == RHUMB_OK) {
                        ASSERT_EQ(rhumb_index_count(reader), count);
                    } else {
                        ASSERT_LE(rhumb_index_count(reader), count) << "a refresh that failed stays where it was";
                    }
                    ASSERT_EQ(rhumb_test::insert_range(writer, vectors_, count, 3), RHUMB_OK);
                    ASSERT_EQ(rhumb_index_checkpoint(writer), RHUMB_OK);
                    count += 3;
                });
    EXPECT_GE(failure_count_, 5u);
}

TEST_P(Memory, RefusedWhileWaitingForACheckpointIsReported) {
    Index writer;
    ASSERT_EQ(rhumb_test::create_index(path_, shape_, &writer), RHUMB_OK);
    uint64_t newest = 0;
    refuse_each([&] { return rhumb_index_wait_epoch(writer, 1, 0, &newest); },
                [&](rhumb_status status) { ASSERT_TRUE(status == RHUMB_OK || newest == 0); });
    EXPECT_EQ(newest, 1u);
    EXPECT_GE(failure_count_, 3u);
}

TEST_P(Memory, RefusedWithinABatchKeepsOnlyWhatIsReportedInserted) {
    uint64_t path_number = 0;
    for (const bool partial : {false, true}) {
        const std::string path = path_ + std::to_string(path_number++);
        Index index;
        ASSERT_EQ(rhumb_test::create_index(path, shape_, &index), RHUMB_OK);
        uint64_t count = 0;
        rhumb_batch_options options;
        rhumb_batch_options_init(&options, sizeof options);
        options.thread_count = 1; // in order, so that what was inserted is a prefix
        options.partial = partial;
        for (uint64_t n = 1; n < 80; n++) {
            const std::vector<uint64_t> keys = vectors_.keys(count, 10);
            const std::vector<float> rows = vectors_.vectors(count, 10);
            size_t inserted = 0;
            rhumb__alloc_fail_after(n % 40 + 1, GetParam());
            const rhumb_status status =
                rhumb_index_insert_batch(index, keys.data(), rows.data(), 10, &options, &inserted);
            rhumb__alloc_fail_after(0, false);
            ASSERT_TRUE(status == RHUMB_OK ? inserted == 10 : status == RHUMB_E_NOMEM) << rhumb_error_last()->message;
            ASSERT_TRUE(partial || status == RHUMB_OK || inserted == 0);
            count += inserted;
            ASSERT_EQ(rhumb_index_count(index), count);
        }
        EXPECT_GT(count, 0u);
        ASSERT_EQ(index.close(), RHUMB_OK);
        expect_whole(path, count);
    }
}

// A batch that is rolled back after its records have filled the log's buffer, with and without memory by then.
TEST_P(Memory, RefusedWithinALongBatchInsertsAllOfItOrNothing) {
    constexpr uint64_t kBatch = 1200;
    const std::vector<float> rows = vectors_.vectors(0, kBatch);
    const std::vector<uint64_t> keys = vectors_.keys(0, kBatch);
    rhumb_batch_options options;
    rhumb_batch_options_init(&options, sizeof options);
    options.thread_count = 1;
    shape_.ef_construction = 4;
    Index index; // a new one each time, so that the buffer has to grow
    ASSERT_EQ(rhumb_test::create_index(path_, shape_, &index), RHUMB_OK);
    size_t inserted = 0;
    refuse_each([&] { return rhumb_index_insert_batch(index, keys.data(), rows.data(), kBatch, &options, &inserted); },
                [&](rhumb_status status) {
                    uint64_t count = status == RHUMB_OK ? kBatch : 0;
                    ASSERT_EQ(inserted, count);
                    ASSERT_EQ(rhumb_index_count(index), count);
                    if (count == 0) {
                        ASSERT_EQ(rhumb_test::insert_range(index, vectors_, 0, 1), RHUMB_OK)
                            << "its keys are free again";
                        count = 1;
                    }
                    ASSERT_EQ(index.close(), RHUMB_OK);
                    ASSERT_NO_FATAL_FAILURE(expect_whole(path_, count));
                    rhumb_test::remove_index(path_);
                    ASSERT_EQ(rhumb_test::create_index(path_, shape_, &index), RHUMB_OK);
                });
    EXPECT_GE(failure_count_, 10u);
}

// Rolling a batch back once waited for a checkpoint that waited for the end of the batch.
TEST_P(Memory, RefusedWithinABatchDuringCheckpointsInsertsAllOfItOrNothing) {
    constexpr uint64_t kBatch = 1200;
    const std::vector<float> rows = vectors_.vectors(0, kBatch);
    const std::vector<uint64_t> keys = vectors_.keys(0, kBatch);
    rhumb_batch_options options;
    rhumb_batch_options_init(&options, sizeof options);
    options.thread_count = 2;
    shape_.ef_construction = 4;
    std::mt19937_64 random(io_test::choose_seed());
    uint64_t failed_count = 0;
    for (int round = 0; round < 30; round++) {
        Index index;
        ASSERT_EQ(rhumb_test::create_index(path_, shape_, &index), RHUMB_OK);
        std::atomic<bool> stop{false};
        uint64_t other_count = 0;
        std::thread checkpoints([&] { // with something to write each time
            for (uint64_t i = kBatch; !stop; i++) {
                const rhumb_status inserted = rhumb_index_insert(index, vectors_.key(i), vectors_.vector(i).data());
                rhumb_status status = inserted;
                if (inserted == RHUMB_OK) status = rhumb_index_checkpoint(index);
                EXPECT_TRUE(status == RHUMB_OK || status == RHUMB_E_NOMEM) << rhumb_error_last()->message;
                other_count += inserted == RHUMB_OK;
            }
        });
        rhumb__alloc_fail_after(1 + random() % 60, GetParam());
        const rhumb_status status =
            rhumb_index_insert_batch(index, keys.data(), rows.data(), kBatch, &options, nullptr);
        rhumb__alloc_fail_after(0, false);
        stop = true;
        checkpoints.join();
        ASSERT_TRUE(status == RHUMB_OK || status == RHUMB_E_NOMEM) << rhumb_error_last()->message;
        failed_count += status != RHUMB_OK;
        const uint64_t count = status == RHUMB_OK ? kBatch : 0;
        ASSERT_EQ(rhumb_index_count(index), count + other_count);
        bool found = false;
        ASSERT_EQ(rhumb_index_contains(index, keys[kBatch - 1], &found), RHUMB_OK);
        ASSERT_EQ(found, count > 0);
        ASSERT_EQ(index.close(), RHUMB_OK);
        ASSERT_EQ(rhumb_test::open_index(path_, true, &index), RHUMB_OK);
        ASSERT_EQ(rhumb_index_count(index), count + other_count);
        rhumb_verify_report report;
        ASSERT_EQ(rhumb_test::verify_index(index, &report), RHUMB_OK) << report.first_error;
        rhumb_test::remove_index(path_);
    }
    EXPECT_GT(failed_count, 0u);
}

// ---- a whole life ----

using rhumb_test::Oracle;

// A fixed sequence of operations on an index that was left by a crash, and an oracle that records them.
class MemoryLife : public Memory {
  protected:
    static constexpr uint64_t kPublished = 40; // vectors in the checkpoint that the crash left
    static constexpr uint64_t kLogged = 20;    // and in the log

    // Leaves the files of a process that ended without closing.
    void SetUp() override {
        const int code = io_test::run_in_child([&] {
            Index index;
            CHILD_CHECK(rhumb_test::create_index(path_, shape_, &index) == RHUMB_OK);
            CHILD_CHECK(rhumb_test::insert_range(index, vectors_, 0, kPublished) == RHUMB_OK);
            CHILD_CHECK(rhumb_index_checkpoint(index) == RHUMB_OK);
            CHILD_CHECK(rhumb_test::insert_range(index, vectors_, kPublished, kLogged) == RHUMB_OK);
            CHILD_CHECK(rhumb_index_delete(index, vectors_.key(3)) == RHUMB_OK);
            _exit(0);
        });
        ASSERT_EQ(code, 0);
        file_ = FileImage::load(path_);
        log_ = FileImage::load(path_ + "-wal");
        ASSERT_GT(log_.bytes().size(), 0u);
    }

    void begin() {
        ASSERT_TRUE(file_.save(path_) && log_.save(path_ + "-wal"));
        oracle_ = Oracle(shape_.dim, shape_.metric);
        for (uint64_t i = 0; i < kPublished + kLogged; i++) oracle_.insert(vectors_.key(i), vectors_.vector(i));
        oracle_.erase(vectors_.key(3));
        failed_ = false;
    }

    // Whether the operation has happened; if not, memory ran out, and the oracle drops it.
    bool happened(rhumb_status status) {
        EXPECT_TRUE(status == RHUMB_OK || status == RHUMB_E_NOMEM)
            << rhumb_status_name(status) << ": " << rhumb_error_last()->message;
        failed_ = failed_ || status != RHUMB_OK;
        return status == RHUMB_OK;
    }
    void insert(uint64_t i) {
        oracle_.insert(vectors_.key(i), vectors_.vector(i));
        if (!happened(rhumb_index_insert(index_, vectors_.key(i), vectors_.vector(i).data()))) oracle_.withdraw();
    }
    void upsert(uint64_t i, uint64_t vector) {
        oracle_.upsert(vectors_.key(i), vectors_.vector(vector));
        if (!happened(rhumb_index_upsert(index_, vectors_.key(i), vectors_.vector(vector).data()))) oracle_.withdraw();
    }
    void erase(uint64_t i) {
        oracle_.erase(vectors_.key(i));
        if (!happened(rhumb_index_delete(index_, vectors_.key(i)))) oracle_.withdraw();
    }
    void batch(uint64_t first, uint32_t thread_count) {
        constexpr uint64_t kCount = 6;
        std::vector<Oracle::Operation> operations;
        for (uint64_t i = first; i < first + kCount; i++) {
            operations.push_back(Oracle::operation(Oracle::Kind::kInsert, vectors_.key(i), vectors_.vector(i)));
        }
        oracle_.batch(std::move(operations));
        rhumb_batch_options options;
        rhumb_batch_options_init(&options, sizeof options);
        options.thread_count = thread_count;
        const bool done =
            happened(rhumb_index_insert_batch(index_, vectors_.keys(first, kCount).data(),
                                              vectors_.vectors(first, kCount).data(), kCount, &options, nullptr));
        if (!done) oracle_.withdraw();
    }

    // Everything between an opening and the closing. It ends early if the index does not open.
    void live() {
        if (!happened(rhumb_test::open_index(path_, false, &index_))) return;
        insert(100);
        upsert(1, 101);        // of the checkpoint
        erase(kPublished + 1); // of the log
        batch(110, 1);
        (void)happened(rhumb_index_wait_idle(index_));
        batch(120, 3);
        (void)happened(rhumb_index_checkpoint(index_));
        insert(102);
        erase(2);
        (void)happened(rhumb_index_compact(index_, nullptr, nullptr, 0));
        upsert(103, 103);
        (void)happened(rhumb_index_sync(index_));
        for (uint64_t i = 130; i < 150; i++) insert(i);
    }

    void expect_right(const char *when) {
        ASSERT_EQ(oracle_.compare(index_, oracle_.counts(), 2), "") << when;
        rhumb_verify_report report;
        ASSERT_EQ(rhumb_test::verify_index(index_, &report), RHUMB_OK) << when << ": " << report.first_error;
    }

    FileImage file_;
    FileImage log_;
    Oracle oracle_{8, RHUMB_METRIC_L2};
    Index index_;
    bool failed_ = false;
};

INSTANTIATE_TEST_SUITE_P(Refusals, MemoryLife, ::testing::Bool(),
                         [](const ::testing::TestParamInfo<bool> &info) { return info.param ? "FromThenOn" : "Once"; });

TEST_P(MemoryLife, EveryOperationFailsOrHappensAndTheNextOpeningIsRight) {
    uint64_t failed_count = 0;
    const Refusals refusals;
    bool look_first = false;
    for (uint64_t n = 1;; n = refusals.after(n)) {
        SCOPED_TRACE("request " + std::to_string(n));
        ASSERT_LT(n, 3000u);
        ASSERT_NO_FATAL_FAILURE(begin());
        rhumb__alloc_fail_after(n, GetParam());
        live();
        // Alternates: the state is checked in the handle, or the handle closes first, with memory still refused.
        look_first = !look_first;
        if (look_first) {
            rhumb__alloc_fail_after(0, false);
            if (index_ != nullptr) {
                ASSERT_NO_FATAL_FAILURE(expect_right("in the handle"));
            }
        }
        (void)happened(index_.close());
        const bool met = look_first || rhumb__alloc_request_count() >= n;
        rhumb__alloc_fail_after(0, false);
        failed_count += failed_;
        ASSERT_EQ(rhumb_test::open_index(path_, false, &index_), RHUMB_OK) << rhumb_error_last()->message;
        ASSERT_NO_FATAL_FAILURE(expect_right("after opening again"));
        ASSERT_EQ(index_.close(), RHUMB_OK) << rhumb_error_last()->message;
        ASSERT_FALSE(HasFailure());
        if (!met) {
            ASSERT_FALSE(failed_);
            break;
        }
    }
    EXPECT_GE(failed_count, 30u);
}

} // namespace
} // namespace fault_test
