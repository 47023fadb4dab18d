// Goal: wherever memory runs out, a call fails with RHUMB_E_NOMEM and nothing else: no crash, no leak (under
// AddressSanitizer), and what was there before is whole. Method: each call again and again, each time with the next
// request for memory refused (base/alloc.h), until one passes without meeting the refusal.
#include "tests/fault/fault_test_support.h"

extern "C" {
#include "base/alloc.h"
}

namespace fault_test {
namespace {

class Memory : public ::testing::TestWithParam<bool> {
  protected:
    void TearDown() override { rhumb__alloc_fail_after(0, false); }

    // Runs `call` with the 1st, 2nd, 3rd... request refused; with GetParam(), all later ones too. `call` returns its
    // status; `after` checks the state after each. Ends after a run that did not get as far as the refusal.
    template <typename Call, typename After> void refuse_each(const Call &call, const After &after) {
        failure_count_ = 0;
        for (uint64_t n = 1;; n++) {
            ASSERT_LT(n, 3000u);
            rhumb__alloc_fail_after(n, GetParam());
            const rhumb_status status = call();
            const uint64_t request_count = rhumb__alloc_request_count();
            const rhumb_status recorded = rhumb_error_last()->status;
            rhumb__alloc_fail_after(0, false);
            if (status != RHUMB_OK) {
                ASSERT_EQ(status, RHUMB_E_NOMEM) << "request " << n << ": " << rhumb_error_last()->message;
                ASSERT_EQ(recorded, RHUMB_E_NOMEM);
                failure_count_++;
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

TEST_P(Memory, Creating) {
    refuse_each(
        [&] {
            Index index;
            return rhumb_test::create_index(path_, shape_, &index);
        },
        [&](rhumb_status status) {
            // What could not be created whole is not there.
            ASSERT_EQ(access(path_.c_str(), F_OK) == 0, status == RHUMB_OK);
            unlink(path_.c_str());
        });
    EXPECT_GE(failure_count_, 10u);
}

TEST_P(Memory, Opening) {
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

TEST_P(Memory, Inserting) {
    shape_.extend_candidates = true;
    shape_.keep_pruned = true;
    Index index;
    ASSERT_EQ(rhumb_test::create_index(path_, shape_, &index), RHUMB_OK);
    // Over growth of sections, visited sets and key table. An insert that failed has not happened, and is repeated.
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

TEST_P(Memory, CheckpointAndClose) {
    Index index;
    ASSERT_EQ(rhumb_test::create_index(path_, shape_, &index), RHUMB_OK);
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
    // A close that fails loses what came after the last checkpoint, and nothing else; the handle is gone either way.
    refuse_each(
        [&] {
            const rhumb_status status = index.close();
            if (status == RHUMB_OK) published = count;
            return status;
        },
        [&](rhumb_status) {
            ASSERT_NO_FATAL_FAILURE(expect_whole(path_, published));
            ASSERT_EQ(rhumb_test::open_index(path_, false, &index), RHUMB_OK);
            count = published;
            ASSERT_EQ(rhumb_test::insert_range(index, vectors_, count, 20), RHUMB_OK);
            count += 20;
        });
    EXPECT_GE(failure_count_, 5u);
}

TEST_P(Memory, SearchingAndVerifying) {
    ASSERT_EQ(rhumb_test::build_index(path_, shape_, vectors_, 200, 1), RHUMB_OK);
    for (const bool read_only : {true, false}) {
        Answers expected;
        {
            Index index;
            ASSERT_EQ(rhumb_test::open_index(path_, read_only, &index), RHUMB_OK);
            ASSERT_EQ(rhumb_test::ask(index, vectors_, 200, false, &expected), RHUMB_OK);
        }
        // A handle whose scratch memory is there already allocates nothing, so each attempt is a fresh one.
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

TEST_P(Memory, Refreshing) {
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

TEST_P(Memory, Batches) {
    Index index;
    ASSERT_EQ(rhumb_test::create_index(path_, shape_, &index), RHUMB_OK);
    uint64_t count = 0;
    rhumb_batch_options options;
    rhumb_batch_options_init(&options, sizeof options);
    options.thread_count = 1; // in order, so that what was inserted is a prefix
    for (uint64_t n = 1; n < 60; n++) {
        const std::vector<uint64_t> keys = vectors_.keys(count, 10);
        const std::vector<float> rows = vectors_.vectors(count, 10);
        size_t inserted = 0;
        rhumb__alloc_fail_after(n % 20 + 1, GetParam());
        const rhumb_status status = rhumb_index_insert_batch(index, keys.data(), rows.data(), 10, &options, &inserted);
        rhumb__alloc_fail_after(0, false);
        ASSERT_TRUE(status == RHUMB_OK ? inserted == 10 : status == RHUMB_E_NOMEM) << rhumb_error_last()->message;
        count += inserted;
        ASSERT_EQ(rhumb_index_count(index), count);
    }
    ASSERT_EQ(index.close(), RHUMB_OK);
    expect_whole(path_, count);
}

} // namespace
} // namespace fault_test
