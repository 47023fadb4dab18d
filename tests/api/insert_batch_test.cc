// Goal: inserting many vectors in one call does what rhumb.h says: keys, failures half way, threads, progress and
// cancellation. Method: batches whose outcome is known, exactly with one thread and within bounds with several.
#include <atomic>
#include <thread>

#include "tests/support/index_test_support.h"

namespace index_test {
namespace {

class InsertBatch : public ::testing::Test {
  protected:
    ScratchDirectory directory_;
    std::string path_ = directory_.file("index.rhumb");
};

TEST_F(InsertBatch, RefusesMissingArguments) {
    const Index index = create(path_, index_options(2));
    const std::vector<float> vector = {1, 2};
    size_t inserted_count = 99;
    EXPECT_EQ(rhumb_index_insert_batch(nullptr, nullptr, vector.data(), 1, nullptr, &inserted_count), RHUMB_E_INVALID);
    EXPECT_EQ(inserted_count, 0u) << "set in every case";
    inserted_count = 99;
    EXPECT_EQ(rhumb_index_insert_batch(index.get(), nullptr, nullptr, 1, nullptr, &inserted_count), RHUMB_E_INVALID);
    EXPECT_EQ(inserted_count, 0u);
    EXPECT_OK(rhumb_index_insert_batch(index.get(), nullptr, nullptr, 0, nullptr, nullptr));
    EXPECT_EQ(rhumb_index_count(index.get()), 0u);
}

TEST_F(InsertBatch, ABatchWithoutKeysNumbersThemFromZeroAndTheNextOneContinues) {
    const Index index = create(path_, index_options(4));
    const Vectors vectors = random_vectors(20, 4, 2);
    size_t inserted_count = 0;
    EXPECT_OK(rhumb_index_insert_batch(index.get(), nullptr, vectors.row(0), 8, nullptr, &inserted_count));
    EXPECT_EQ(inserted_count, 8u);
    EXPECT_OK(rhumb_index_insert_batch(index.get(), nullptr, vectors.row(8), 12, nullptr, nullptr));
    EXPECT_FALSE(contains(index, 20));
    for (uint64_t key = 0; key < 20; key++) {
        std::vector<float> stored(4);
        ASSERT_OK(rhumb_index_get_vector(index.get(), key, stored.data()));
        EXPECT_EQ(memcmp(stored.data(), vectors.row(key), 4 * sizeof(float)), 0) << key;
    }
}

TEST_F(InsertBatch, ABatchThatFailsLeavesNothing) {
    for (uint32_t thread_count : {1u, 3u}) {
        const Index index = create(path_ + std::to_string(thread_count), index_options(8));
        Vectors vectors = random_vectors(500, 8, 4);
        ASSERT_OK(rhumb_index_insert_batch(index.get(), nullptr, vectors.components.data(), 100, nullptr, nullptr));
        vectors.row(250)[3] = std::nanf("");
        rhumb_batch_options options;
        rhumb_batch_options_init(&options, sizeof options);
        options.thread_count = thread_count;
        size_t inserted_count = 7;
        EXPECT_EQ(
            rhumb_index_insert_batch(index.get(), nullptr, vectors.components.data(), 500, &options, &inserted_count),
            RHUMB_E_NOT_FINITE);
        EXPECT_EQ(inserted_count, 0u);
        EXPECT_EQ(rhumb_index_count(index.get()), 100u);
        for (uint64_t key = 0; key < 1000; key++) EXPECT_EQ(contains(index, key), key < 100);
        EXPECT_OK(rhumb_index_wait_idle(index.get())) << "what was taken back may call for a compaction";
        vectors.row(250)[3] = 1;
        EXPECT_OK(
            rhumb_index_insert_batch(index.get(), nullptr, vectors.components.data(), 500, &options, &inserted_count));
        EXPECT_EQ(inserted_count, 500u);
        EXPECT_EQ(rhumb_index_count(index.get()), 600u);
        expect_sound(index);
    }
}

// The versions leave out what the batch has inserted, as if it were deleted. Memory once showed what they said of nodes
// in a part of the file that no deletion had touched, so these were lost for good.
TEST_F(InsertBatch, CheckpointsDuringABatchLeaveItAlone) {
    const Index index = create(path_, index_options(8));
    insert_all(index, random_vectors(700, 8, 1)); // the last mark is within a row of tombstones
    ASSERT_OK(rhumb_index_checkpoint(index.get()));
    for (uint64_t round = 1; round < 4; round++) {
        std::atomic<bool> done{false};
        std::thread checkpoints([&] {
            while (!done) EXPECT_OK(rhumb_index_checkpoint(index.get()));
        });
        insert_all(index, random_vectors(2000, 8, 1 + round), 10000 * round);
        done = true;
        checkpoints.join();
        ASSERT_EQ(rhumb_index_count(index.get()), 700 + 2000 * round);
        expect_sound(index);
    }
}

TEST_F(InsertBatch, ConsecutiveKeysBeginAboveTheLargestKeyEverInserted) {
    const Index index = create(path_, index_options(4));
    const Vectors vectors = random_vectors(10, 4, 9);
    ASSERT_OK(rhumb_index_insert(index.get(), 70, vectors.row(0)));
    ASSERT_OK(rhumb_index_insert(index.get(), 7, vectors.row(1)));
    ASSERT_OK(rhumb_index_delete(index.get(), 70));
    ASSERT_OK(rhumb_index_insert_batch(index.get(), nullptr, vectors.row(2), 3, nullptr, nullptr));
    EXPECT_TRUE(contains(index, 71) && contains(index, 72) && contains(index, 73));
    ASSERT_OK(rhumb_index_insert(index.get(), UINT64_MAX - 2, vectors.row(5)));
    EXPECT_EQ(rhumb_index_insert_batch(index.get(), nullptr, vectors.row(6), 4, nullptr, nullptr), RHUMB_E_FULL);
}

TEST_F(InsertBatch, TheFirstFailureEndsAPartialBatchAndWhatWasInsertedStays) {
    for (uint32_t thread_count : {1u, 3u}) {
        const Index index = create(path_ + std::to_string(thread_count), index_options(8));
        Vectors vectors = random_vectors(500, 8, 4);
        vectors.row(250)[3] = std::nanf("");
        std::vector<uint64_t> keys(500);
        for (size_t i = 0; i < keys.size(); i++) keys[i] = 7 * i;
        rhumb_batch_options options;
        rhumb_batch_options_init(&options, sizeof options);
        options.thread_count = thread_count;
        options.partial = true;
        size_t inserted_count = 0;
        EXPECT_EQ(rhumb_index_insert_batch(index.get(), keys.data(), vectors.components.data(), 500, &options,
                                           &inserted_count),
                  RHUMB_E_NOT_FINITE);
        EXPECT_EQ(rhumb_error_last()->status, RHUMB_E_NOT_FINITE) << "the details reach the calling thread";
        EXPECT_NE(std::string(rhumb_error_last()->message).find("component 3"), std::string::npos);
        if (thread_count == 1) {
            EXPECT_EQ(inserted_count, 250u);
        }
        EXPECT_LT(inserted_count, 500u);
        size_t contained_count = 0;
        for (uint64_t key : keys) contained_count += contains(index, key) ? 1 : 0;
        EXPECT_EQ(contained_count, inserted_count);
        EXPECT_EQ(rhumb_index_count(index.get()), inserted_count);
        EXPECT_FALSE(contains(index, keys[250]));
        expect_sound(index);
    }
}

TEST_F(InsertBatch, TheSameKeyTwiceInABatchIsRefused) {
    const Index index = create(path_, index_options(2));
    const Vectors vectors = random_vectors(4, 2, 5);
    const std::vector<uint64_t> keys = {1, 2, 1, 3};
    rhumb_batch_options options;
    rhumb_batch_options_init(&options, sizeof options);
    options.thread_count = 1;
    options.partial = true;
    size_t inserted_count = 0;
    EXPECT_EQ(
        rhumb_index_insert_batch(index.get(), keys.data(), vectors.components.data(), 4, &options, &inserted_count),
        RHUMB_E_EXISTS);
    EXPECT_EQ(inserted_count, 2u);
    EXPECT_FALSE(contains(index, 3));
}

TEST_F(InsertBatch, WorksWithMoreThreadsThanThereAreVectorsOrPlaces) {
    const Index index = create(path_, index_options(4));
    const Vectors vectors = random_vectors(2000, 4, 6);
    rhumb_batch_options options;
    rhumb_batch_options_init(&options, sizeof options);
    options.thread_count = 400; // more than may insert at a time
    EXPECT_OK(rhumb_index_insert_batch(index.get(), nullptr, vectors.components.data(), 1990, &options, nullptr));
    options.thread_count = UINT32_MAX;
    EXPECT_OK(rhumb_index_insert_batch(index.get(), nullptr, vectors.row(1990), 10, &options, nullptr));
    EXPECT_EQ(rhumb_index_count(index.get()), 2000u);
    expect_sound(index);
}

// ---- progress ----

struct Progress {
    const Index *index = nullptr;
    uint64_t total_expected = 0;
    uint64_t call_count = 0;
    uint64_t last_done = 0;
    uint64_t stop_at_call = UINT64_MAX;
    bool stop_at_end = false;
    std::atomic<int> inside{0};

    static bool report(void *context, uint64_t done_count, uint64_t total_count) {
        auto *self = static_cast<Progress *>(context);
        EXPECT_EQ(self->inside.fetch_add(1), 0) << "one thread at a time";
        EXPECT_EQ(total_count, self->total_expected);
        EXPECT_GE(done_count, self->last_done);
        EXPECT_LE(done_count, total_count);
        self->last_done = done_count;
        self->call_count++;
        // The handle may be used from here.
        EXPECT_GE(rhumb_index_count(self->index->get()), done_count);
        uint64_t key;
        const std::vector<float> query(64, 0.5f);
        EXPECT_OK(rhumb_index_search(self->index->get(), query.data(), 1, nullptr, &key, nullptr, nullptr));
        self->inside.fetch_sub(1);
        if (self->stop_at_end && done_count == total_count) return false;
        return self->call_count < self->stop_at_call;
    }
};

TEST_F(InsertBatch, ReportsProgressAndTheEnd) {
    const Index index = create(path_, index_options(64));
    const Vectors vectors = random_vectors(1500, 64, 7);
    Progress progress;
    progress.index = &index;
    progress.total_expected = 1500;
    rhumb_batch_options options;
    rhumb_batch_options_init(&options, sizeof options);
    options.thread_count = 2;
    options.progress = Progress::report;
    options.progress_context = &progress;
    EXPECT_OK(rhumb_index_insert_batch(index.get(), nullptr, vectors.components.data(), 1500, &options, nullptr));
    EXPECT_EQ(progress.last_done, 1500u);
    EXPECT_GE(progress.call_count, 1u);
}

TEST_F(InsertBatch, StopsWhenTheProgressCallbackSaysSo) {
    rhumb_index_options options = index_options(64);
    options.M = 64;
    options.ef_construction = 2000; // slow enough to be interrupted
    const Index index = create(path_, options);
    const Vectors vectors = random_vectors(200000, 64, 8);
    for (uint32_t thread_count : {1u, 2u}) {
        Progress progress;
        progress.index = &index;
        progress.total_expected = vectors.count();
        progress.stop_at_call = 2;
        rhumb_batch_options batch;
        rhumb_batch_options_init(&batch, sizeof batch);
        batch.thread_count = thread_count;
        batch.partial = true;
        batch.progress = Progress::report;
        batch.progress_context = &progress;
        const uint64_t count_before = rhumb_index_count(index.get());
        size_t inserted_count = 0;
        EXPECT_EQ(rhumb_index_insert_batch(index.get(), nullptr, vectors.components.data(), vectors.count(), &batch,
                                           &inserted_count),
                  RHUMB_E_CANCELLED);
        EXPECT_EQ(progress.call_count, 2u) << "no report after the one that stopped it";
        EXPECT_GE(inserted_count, progress.last_done);
        EXPECT_GT(inserted_count, 0u);
        EXPECT_LT(inserted_count, vectors.count());
        EXPECT_EQ(rhumb_index_count(index.get()), count_before + inserted_count) << "those begun are finished";
    }
    expect_sound(index);
}

TEST_F(InsertBatch, ACallbackThatStopsABatchLeavesNothingOfIt) {
    const Index index = create(path_, index_options(64));
    const Vectors vectors = random_vectors(10, 64, 9);
    Progress progress;
    progress.index = &index;
    progress.total_expected = 10;
    progress.stop_at_end = true;
    rhumb_batch_options options;
    rhumb_batch_options_init(&options, sizeof options);
    options.progress = Progress::report;
    options.progress_context = &progress;
    size_t inserted_count = 7;
    EXPECT_EQ(rhumb_index_insert_batch(index.get(), nullptr, vectors.components.data(), 10, &options, &inserted_count),
              RHUMB_E_CANCELLED);
    EXPECT_EQ(inserted_count, 0u);
    EXPECT_EQ(rhumb_index_count(index.get()), 0u);
    expect_sound(index);
}

struct CheckpointOnce {
    rhumb_index *index;
    size_t done_count; // from which on the checkpoint is made
    bool is_made = false;

    static bool report(void *context, uint64_t done_count, uint64_t) {
        auto *self = static_cast<CheckpointOnce *>(context);
        if (self->is_made || done_count < self->done_count) return true;
        self->is_made = true;
        EXPECT_OK(rhumb_index_checkpoint(self->index));
        return true;
    }
};

// The tombstones of 2,048 slots are one unit of the file. What a checkpoint wrote to new ones, for the nodes that it
// left out, was seen by the handle, where their pages were mapped from the file and nothing had been deleted.
TEST_F(InsertBatch, IsThereAfterACheckpointInTheMiddleOfIt) {
    const Vectors vectors = random_vectors(12000, 4, 6);
    for (size_t first_count : {0u, 2000u, 2048u, 7000u}) {
        const std::string path = path_ + std::to_string(first_count);
        Index index = create(path, index_options(4));
        if (first_count > 0) {
            ASSERT_OK(rhumb_index_insert_batch(index.get(), nullptr, vectors.row(0), first_count, nullptr, nullptr));
            ASSERT_OK(rhumb_index_checkpoint(index.get()));
        }
        const size_t count = 4000; // too few for a batch that is built in bulk
        CheckpointOnce once = {index.get(), count / 2};
        rhumb_batch_options options;
        rhumb_batch_options_init(&options, sizeof options);
        options.thread_count = 2;
        options.progress = CheckpointOnce::report;
        options.progress_context = &once;
        ASSERT_OK(rhumb_index_insert_batch(index.get(), nullptr, vectors.row(first_count), count, &options, nullptr));
        EXPECT_TRUE(once.is_made);
        for (const char *state : {"in memory", "in a second checkpoint", "in the file"}) {
            for (uint64_t key = 0; key < first_count + count; key++) {
                ASSERT_TRUE(contains(index, key)) << key << ' ' << state << " after " << first_count;
            }
            expect_sound(index); // makes a checkpoint
            if (std::string(state) != "in a second checkpoint") continue;
            index.reset();
            index = open(path, false);
        }
    }
}

TEST_F(InsertBatch, ACallbackThatStopsAPartialBatchAtItsEndIsReportedAndCancelsNothing) {
    const Index index = create(path_, index_options(64));
    const Vectors vectors = random_vectors(10, 64, 9);
    Progress progress;
    progress.index = &index;
    progress.total_expected = 10;
    progress.stop_at_end = true;
    rhumb_batch_options options;
    rhumb_batch_options_init(&options, sizeof options);
    options.partial = true;
    options.progress = Progress::report;
    options.progress_context = &progress;
    size_t inserted_count = 0;
    EXPECT_EQ(rhumb_index_insert_batch(index.get(), nullptr, vectors.components.data(), 10, &options, &inserted_count),
              RHUMB_E_CANCELLED);
    EXPECT_EQ(inserted_count, 10u);
}

} // namespace
} // namespace index_test
