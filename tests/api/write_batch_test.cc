// Goal: batches of inserts, upserts and deletes do what rhumb.h says: they take effect in one moment or not at all,
// name what is wrong, and count what they have done. Method: batches whose outcome is known, looked at from their
// progress function, which is called before they commit. tests/fault/open_batch_test.cc has crashes.
#include <time.h>

#include <atomic>
#include <thread>

#include "tests/support/index_test_support.h"

namespace index_test {
namespace {

constexpr uint32_t kDim = 8;

class WriteBatch : public ::testing::Test {
  protected:
    // Keys 0 to 99, of the vectors with these numbers.
    void SetUp() override {
        ASSERT_OK(rhumb_index_insert_batch(index_.get(), nullptr, vectors_.row(0), 100, nullptr, nullptr));
    }

    rhumb_write write(rhumb_write_kind kind, uint64_t key, size_t vector) const {
        return {static_cast<uint32_t>(kind), 0, key, kind == RHUMB_WRITE_DELETE ? nullptr : vectors_.row(vector)};
    }
    // The number of the vector that a key has; -1: it is not there.
    int64_t vector_of(uint64_t key) const {
        std::vector<float> found(kDim);
        if (rhumb_index_get_vector(index_.get(), key, found.data()) != RHUMB_OK) return -1;
        for (size_t i = 0; i < vectors_.count(); i++) {
            if (memcmp(vectors_.row(i), found.data(), kDim * sizeof(float)) == 0) return static_cast<int64_t>(i);
        }
        return -2;
    }
    // The key that a search for a vector finds at distance 0, or -1.
    int64_t nearest(size_t vector) const {
        uint64_t key = 0;
        float distance = -1;
        size_t count = 0;
        EXPECT_OK(rhumb_index_search(index_.get(), vectors_.row(vector), 1, nullptr, &key, &distance, &count));
        return count == 1 && distance == 0 ? static_cast<int64_t>(key) : -1;
    }
    rhumb_status run(const std::vector<rhumb_write> &writes, std::function<bool()> at_end = nullptr,
                     bool partial = false, uint32_t thread_count = 2) {
        rhumb_batch_options options;
        rhumb_batch_options_init(&options, sizeof options);
        options.thread_count = thread_count;
        options.partial = partial;
        options.progress_context = &at_end;
        options.progress = [](void *context, uint64_t done, uint64_t total) {
            auto &function = *static_cast<std::function<bool()> *>(context);
            return done < total || function == nullptr || function();
        };
        return rhumb_index_write_batch(index_.get(), writes.data(), writes.size(), &options, &report_, sizeof report_);
    }
    void expect_report(uint64_t inserted, uint64_t replaced, uint64_t deleted, uint64_t missing) const {
        EXPECT_EQ(report_.inserted_count, inserted);
        EXPECT_EQ(report_.replaced_count, replaced);
        EXPECT_EQ(report_.deleted_count, deleted);
        EXPECT_EQ(report_.missing_count, missing);
    }

    ScratchDirectory directory_;
    std::string path_ = directory_.file("index.rhumb");
    Index index_ = create(path_, index_options(kDim));
    const Vectors vectors_ = random_vectors(4000, kDim, 12);
    rhumb_write_report report_ = {};
};

TEST_F(WriteBatch, TakesEffectInOneMoment) {
    const std::vector<rhumb_write> writes = {write(RHUMB_WRITE_INSERT, 200, 200), write(RHUMB_WRITE_UPSERT, 3, 203),
                                             write(RHUMB_WRITE_UPSERT, 201, 201), write(RHUMB_WRITE_DELETE, 4, 0),
                                             write(RHUMB_WRITE_DELETE, 777, 0)};
    EXPECT_OK(run(writes, [&] {
        EXPECT_EQ(rhumb_index_count(index_.get()), 100u);
        EXPECT_EQ(vector_of(200), -1);
        EXPECT_EQ(vector_of(3), 3);
        EXPECT_EQ(vector_of(4), 4);
        EXPECT_EQ(nearest(200), -1);
        EXPECT_EQ(nearest(203), -1);
        EXPECT_EQ(nearest(3), 3);
        EXPECT_EQ(nearest(4), 4);
        return true;
    }));
    expect_report(2, 1, 1, 1);
    EXPECT_EQ(rhumb_index_count(index_.get()), 101u);
    EXPECT_EQ(vector_of(200), 200);
    EXPECT_EQ(vector_of(201), 201);
    EXPECT_EQ(vector_of(3), 203);
    EXPECT_EQ(vector_of(4), -1);
    EXPECT_EQ(nearest(203), 3);
    EXPECT_EQ(nearest(200), 200);
    EXPECT_EQ(nearest(3), -1);
    EXPECT_EQ(nearest(4), -1);
    expect_sound(index_);
}

TEST_F(WriteBatch, ThatFailsLeavesNothing) {
    Vectors bad = random_vectors(1, kDim, 3);
    bad.row(0)[2] = std::nanf("");
    std::vector<rhumb_write> writes = {write(RHUMB_WRITE_UPSERT, 3, 203), write(RHUMB_WRITE_DELETE, 4, 0),
                                       write(RHUMB_WRITE_INSERT, 5, 205)};
    EXPECT_EQ(run(writes), RHUMB_E_EXISTS);
    EXPECT_NE(last_error().find("row 2 (key 5)"), std::string::npos) << last_error();
    expect_report(0, 0, 0, 0);
    writes[2] = {RHUMB_WRITE_INSERT, 0, 300, bad.row(0)};
    EXPECT_EQ(run(writes), RHUMB_E_NOT_FINITE);
    EXPECT_NE(last_error().find("row 2 (key 300)"), std::string::npos) << last_error();
    writes[2] = write(RHUMB_WRITE_INSERT, 3, 205);
    EXPECT_EQ(run(writes), RHUMB_E_INVALID);
    EXPECT_NE(last_error().find("rows 0 and 2 have the same key, 3"), std::string::npos) << last_error();
    writes[2] = {9, 0, 300, vectors_.row(0)};
    EXPECT_EQ(run(writes), RHUMB_E_INVALID);
    writes[2] = {RHUMB_WRITE_UPSERT, 0, 300, nullptr};
    EXPECT_EQ(run(writes), RHUMB_E_INVALID);
    writes[2] = write(RHUMB_WRITE_UPSERT, RHUMB_KEY_NONE, 205);
    EXPECT_EQ(run(writes), RHUMB_E_INVALID);
    writes[2] = write(RHUMB_WRITE_INSERT, 300, 205);
    EXPECT_EQ(run(writes, [] { return false; }), RHUMB_E_CANCELLED);
    EXPECT_EQ(vector_of(3), 3);
    EXPECT_EQ(vector_of(4), 4);
    EXPECT_EQ(vector_of(300), -1);
    EXPECT_EQ(nearest(203), -1);
    EXPECT_EQ(rhumb_index_count(index_.get()), 100u);
    expect_sound(index_);
    index_.reset();
    index_ = open(path_, true);
    EXPECT_EQ(rhumb_index_count(index_.get()), 100u);
    expect_sound(index_);
}

TEST_F(WriteBatch, MeetsWhatHasHappenedToItsKeysMeanwhile) {
    const std::vector<rhumb_write> writes = {write(RHUMB_WRITE_INSERT, 5, 205), write(RHUMB_WRITE_UPSERT, 300, 206),
                                             write(RHUMB_WRITE_DELETE, 301, 0)};
    EXPECT_OK(run(writes, [&] {
        EXPECT_OK(rhumb_index_delete(index_.get(), 5));
        EXPECT_OK(rhumb_index_insert(index_.get(), 300, vectors_.row(300)));
        EXPECT_OK(rhumb_index_insert(index_.get(), 301, vectors_.row(301)));
        EXPECT_OK(rhumb_index_checkpoint(index_.get()));
        return true;
    }));
    expect_report(1, 1, 1, 0);
    EXPECT_EQ(vector_of(5), 205);
    EXPECT_EQ(vector_of(300), 206);
    EXPECT_EQ(vector_of(301), -1);
    EXPECT_EQ(run({write(RHUMB_WRITE_INSERT, 400, 400)},
                  [&] { return rhumb_index_insert(index_.get(), 400, vectors_.row(401)) == RHUMB_OK; }),
              RHUMB_E_EXISTS);
    EXPECT_EQ(vector_of(400), 401);
    expect_sound(index_);
}

TEST_F(WriteBatch, UpsertsAndDeletesAreThinForms) {
    std::vector<uint64_t> keys;
    for (uint64_t key = 50; key < 150; key++) keys.push_back(key);
    EXPECT_OK(rhumb_index_upsert_batch(index_.get(), keys.data(), vectors_.row(500), keys.size(), nullptr, &report_,
                                       sizeof report_));
    expect_report(50, 50, 0, 0);
    EXPECT_EQ(vector_of(50), 500);
    EXPECT_EQ(vector_of(149), 599);
    keys[0] = 1000;
    EXPECT_OK(rhumb_index_delete_batch(index_.get(), keys.data(), keys.size(), nullptr, &report_, sizeof report_));
    expect_report(0, 0, 99, 1);
    EXPECT_EQ(rhumb_index_count(index_.get()), 51u);
    EXPECT_OK(rhumb_index_delete_batch(index_.get(), nullptr, 0, nullptr, nullptr, 0));
    EXPECT_EQ(rhumb_index_delete_batch(index_.get(), nullptr, 1, nullptr, nullptr, 0), RHUMB_E_INVALID);
    EXPECT_EQ(rhumb_index_upsert_batch(index_.get(), keys.data(), nullptr, 1, nullptr, nullptr, 0), RHUMB_E_INVALID);
    EXPECT_EQ(rhumb_index_write_batch(index_.get(), nullptr, 1, nullptr, nullptr, 0), RHUMB_E_INVALID);
    expect_sound(index_);
}

TEST_F(WriteBatch, ThatIsPartialKeepsWhatCameBeforeAFailure) {
    const std::vector<rhumb_write> writes = {write(RHUMB_WRITE_UPSERT, 3, 203), write(RHUMB_WRITE_DELETE, 777, 0),
                                             write(RHUMB_WRITE_DELETE, 4, 0), write(RHUMB_WRITE_INSERT, 5, 205),
                                             write(RHUMB_WRITE_INSERT, 300, 206)};
    EXPECT_EQ(run(writes, nullptr, true, 1), RHUMB_E_EXISTS);
    expect_report(0, 1, 1, 1);
    EXPECT_EQ(vector_of(3), 203);
    EXPECT_EQ(vector_of(4), -1);
    EXPECT_EQ(vector_of(300), -1);
}

// Readers of one key see the old vector or the new one, of both keys the same, while batches, a compaction and
// checkpoints run; every batch replaces both.
TEST_F(WriteBatch, RunsBesideEverythingElse) {
    std::atomic<bool> stop{false};
    std::vector<std::thread> threads;
    threads.emplace_back([&] {
        while (!stop) {
            EXPECT_OK(rhumb_index_checkpoint(index_.get()));
        }
    });
    threads.emplace_back([&] {
        while (!stop) {
            EXPECT_OK(rhumb_index_compact(index_.get(), nullptr, nullptr, 0));
        }
    });
    threads.emplace_back([&] {
        while (!stop) {
            EXPECT_GE(vector_of(7), 0);
            EXPECT_GE(nearest(60), 60) << "a key that no batch touches";
        }
    });
    for (size_t i = 0; i < 60; i++) {
        std::vector<rhumb_write> writes;
        for (uint64_t key = 0; key < 50; key++) writes.push_back(write(RHUMB_WRITE_UPSERT, key, 1000 + 50 * i + key));
        ASSERT_OK(run(writes));
        expect_report(0, 50, 0, 0);
    }
    stop = true;
    for (std::thread &thread : threads) thread.join();
    EXPECT_EQ(rhumb_index_count(index_.get()), 100u);
    for (uint64_t key = 0; key < 50; key++) EXPECT_EQ(vector_of(key), static_cast<int64_t>(1000 + 50 * 59 + key));
    expect_sound(index_);
}

// The table of keys once grew with inserts alone.
TEST(WriteBatchKeys, AreFoundAsQuicklyAsThoseOfInserts) {
    constexpr size_t kCount = 40000;
    const ScratchDirectory directory;
    const Vectors vectors = random_vectors(kCount, 2, 1);
    std::vector<uint64_t> keys(kCount);
    for (size_t i = 0; i < kCount; i++) keys[i] = i;
    rhumb_index_options options = index_options(2);
    options.M = 4;
    options.ef_construction = 8;
    double seconds[2];
    for (int upserted = 0; upserted < 2; upserted++) {
        const std::string path = directory.file(upserted ? "upserted" : "inserted");
        Index index = create_with_durability(path, options, RHUMB_DURABILITY_NONE);
        ASSERT_NE(index, nullptr);
        ASSERT_OK(upserted
                      ? rhumb_index_upsert_batch(index.get(), keys.data(), vectors.row(0), kCount, nullptr, nullptr, 0)
                      : rhumb_index_insert_batch(index.get(), keys.data(), vectors.row(0), kCount, nullptr, nullptr));
        seconds[upserted] = 1e9;
        for (int round = 0; round < 3; round++) {
            const clock_t begin = clock();
            for (uint64_t key : keys) {
                bool found = false;
                ASSERT_OK(rhumb_index_contains(index.get(), key, &found));
                ASSERT_TRUE(found);
            }
            seconds[upserted] = std::min(seconds[upserted], static_cast<double>(clock() - begin) / CLOCKS_PER_SEC);
        }
    }
    EXPECT_LT(seconds[1], 3 * seconds[0]);
}

} // namespace
} // namespace index_test
