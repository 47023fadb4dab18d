// Goal: what rhumb.h promises about the log holds for whole processes: after a kill, acknowledged operations are there
// immediately and in every search, as far as the mode promises; batches are whole or absent; and a log that does not
// belong to its index is refused. Method: children that are killed, files swapped with copies, and the statistics.
#include <csignal>
#include <fstream>

#include "tests/support/index_test_support.h"
#include "tests/support/sanitized.h"

namespace index_test {
namespace {

using rhumb_test::kSanitized;

class Recovery : public ::testing::Test {
  protected:
    static constexpr uint32_t kDim = 24;

    static rhumb_open_options open_options(rhumb_durability durability) {
        rhumb_open_options options;
        rhumb_open_options_init(&options, sizeof options);
        options.durability = durability;
        options.checkpoint_log_bytes = UINT64_MAX;
        return options;
    }
    void create_empty() { ASSERT_NE(create(path_, index_options(kDim)), nullptr); }
    void insert(const Index &index, size_t begin, size_t end) {
        for (size_t i = begin; i < end; i++) ASSERT_OK(rhumb_index_insert(index.get(), i, vectors_.row(i)));
    }
    void insert_partial_batch(const Index &index, size_t begin, size_t end) {
        rhumb_batch_options batch;
        rhumb_batch_options_init(&batch, sizeof batch);
        batch.partial = true;
        std::vector<uint64_t> keys;
        for (size_t i = begin; i < end; i++) keys.push_back(i);
        ASSERT_OK(
            rhumb_index_insert_batch(index.get(), keys.data(), vectors_.row(begin), end - begin, &batch, nullptr));
    }
    // Lets a child do something with the index and kills it.
    template <typename Work> void die_after(const rhumb_open_options &options, Work work) {
        EXPECT_EQ(run_in_child([&] {
                      const Index index = open_as(path_, options);
                      work(index);
                      kill(getpid(), SIGKILL);
                      return 1;
                  }),
                  128 + SIGKILL);
    }
    bool log_exists() const { return access((path_ + "-wal").c_str(), F_OK) == 0; }
    // Checks that every vector is the nearest to itself.
    void expect_all_found(const Index &index, size_t begin, size_t end, size_t step = 1) {
        for (size_t i = begin; i < end; i += step) {
            const Answer answer = search(index, vectors_.row(i), 1, 100);
            ASSERT_EQ(answer.found_count, 1u);
            ASSERT_EQ(answer.keys[0], i);
        }
    }

    ScratchDirectory directory_;
    std::string path_ = directory_.file("index.rhumb");
    const Vectors vectors_ = random_vectors(20000, kDim, 70);
};

const rhumb_durability kFull = RHUMB_DURABILITY_FULL;
const rhumb_durability kInterval = RHUMB_DURABILITY_INTERVAL;
const rhumb_durability kNone = RHUMB_DURABILITY_NONE;

TEST_F(Recovery, RestoresEveryKindOfOperation) {
    create_empty();
    die_after(open_options(kFull), [&](const Index &index) {
        insert(index, 0, 100);
        if (rhumb_index_checkpoint(index.get()) != RHUMB_OK) _exit(3);
        insert(index, 100, 200);
        for (uint64_t key = 0; key < 200; key += 10) EXPECT_OK(rhumb_index_delete(index.get(), key));
        for (uint64_t key = 5; key < 200; key += 10) {
            EXPECT_OK(rhumb_index_upsert(index.get(), key, vectors_.row(1000 + key)));
        }
        EXPECT_OK(rhumb_index_upsert(index.get(), 500, vectors_.row(500)));
        EXPECT_OK(rhumb_index_insert(index.get(), 20, vectors_.row(2020)));
        EXPECT_OK(rhumb_index_insert_batch(index.get(), nullptr, vectors_.row(501), 50, nullptr, nullptr));
    });
    const Index index = open(path_, false);
    EXPECT_EQ(rhumb_index_count(index.get()), 200u - 20 + 1 + 1 + 50);
    for (uint64_t key = 0; key < 560; key++) {
        std::vector<float> stored(kDim);
        const bool deleted = key < 200 && key % 10 == 0 && key != 20;
        const bool absent = deleted || (key >= 200 && key < 500) || key > 550;
        EXPECT_EQ(contains(index, key), !absent) << key;
        if (absent) continue;
        ASSERT_OK(rhumb_index_get_vector(index.get(), key, stored.data()));
        const size_t row = key == 20 ? 2020 : (key < 200 && key % 10 == 5 ? 1000 + key : key);
        EXPECT_EQ(memcmp(stored.data(), vectors_.row(row), kDim * sizeof(float)), 0) << key;
    }
    EXPECT_EQ(rhumb_index_insert(index.get(), 100 + 1, vectors_.row(3)), RHUMB_E_EXISTS);
    EXPECT_OK(rhumb_index_wait_idle(index.get()));
    expect_sound(index);
}

TEST_F(Recovery, UnlinkedVectorsAreFoundByEverySearchAndLinkedInTheBackground) {
    create_empty();
    const size_t count = kSanitized ? 6000 : 12000, deleted = count - 1000;
    die_after(open_options(kInterval), [&](const Index &index) {
        insert_partial_batch(index, 0, 1000);
        if (rhumb_index_checkpoint(index.get()) != RHUMB_OK) _exit(3);
        insert_partial_batch(index, 1000, count);
        EXPECT_OK(rhumb_index_delete(index.get(), deleted));
        EXPECT_OK(rhumb_index_sync(index.get()));
    });
    const Index index = open(path_, false);
    EXPECT_GT(stats(index).unlinked_count, 1000u) << "linking takes longer than opening";
    EXPECT_EQ(rhumb_index_count(index.get()), count - 1);
    for (size_t i = 0; i < 200; i++) {
        const Answer nearest = search(index, vectors_.row(13000 + i), 10, 64);
        const Answer truth = search_exact(index, vectors_.row(13000 + i), 10);
        ASSERT_EQ(nearest.found_count, 10u);
        EXPECT_EQ(std::set<uint64_t>(nearest.keys.begin(), nearest.keys.end()).size(), 10u) << "each once";
        EXPECT_EQ(truth.keys[0] == deleted || nearest.keys[0] == deleted, false) << "deleted";
    }
    expect_all_found(index, 1000, deleted, 37);
    insert(index, count, count + 100); // while vectors are linked
    expect_all_found(index, count, count + 100, 7);
    EXPECT_OK(rhumb_index_wait_idle(index.get()));
    EXPECT_EQ(stats(index).unlinked_count, 0u);
    expect_all_found(index, 0, deleted, 41);
    expect_sound(index);
    EXPECT_GE(recall(index, random_vectors(200, kDim, 71), 10, 64), 0.9);
}

TEST_F(Recovery, ClosingBeforeAllIsLinkedLosesNothingAndDoesNotWait) {
    create_empty();
    die_after(open_options(kInterval), [&](const Index &index) {
        insert_partial_batch(index, 0, 10000);
        EXPECT_OK(rhumb_index_sync(index.get()));
    });
    for (size_t round = 0; round < 3; round++) {
        const Index index = open(path_, false);
        EXPECT_GT(stats(index).unlinked_count, 0u);
        insert(index, 10000 + round, 10001 + round);
    }
    EXPECT_TRUE(log_exists());
    const Index index = open(path_, false);
    EXPECT_EQ(rhumb_index_count(index.get()), 10003u);
    expect_sound(index); // makes a checkpoint, for which all must be linked
    EXPECT_EQ(stats(index).unlinked_count, 0u);
}

TEST_F(Recovery, AKillDuringRecoveryChangesNothing) {
    create_empty();
    const size_t count = kSanitized ? 2500 : 5000;
    die_after(open_options(kInterval), [&](const Index &index) {
        insert_partial_batch(index, 0, count);
        EXPECT_OK(rhumb_index_sync(index.get()));
    });
    for (size_t round = 0; round < 5; round++) {
        die_after(open_options(kFull), [&](const Index &index) {
            EXPECT_OK(rhumb_index_insert(index.get(), count + round, vectors_.row(count + round)));
        });
    }
    const Index index = open(path_, false);
    EXPECT_EQ(rhumb_index_count(index.get()), count + 5);
    expect_all_found(index, 0, count + 5, 11);
    expect_sound(index);
}

TEST_F(Recovery, DropsABatchThatWasCutShort) {
    create_empty();
    struct Context {
        int calls = 0;
        static bool die_at_once(void *, uint64_t, uint64_t) {
            kill(getpid(), SIGKILL);
            return true;
        }
    };
    for (bool partial : {false, true}) {
        die_after(open_options(kInterval), [&](const Index &index) {
            rhumb_batch_options batch;
            rhumb_batch_options_init(&batch, sizeof batch);
            batch.partial = partial;
            batch.thread_count = 2;
            batch.progress = Context::die_at_once; // a tenth of a second after the beginning, or at the end
            insert(index, partial ? 1 : 0, partial ? 2 : 1);
            EXPECT_OK(rhumb_index_sync(index.get()));
            EXPECT_OK(
                rhumb_index_insert_batch(index.get(), nullptr, vectors_.row(0), vectors_.count(), &batch, nullptr));
        });
        const Index index = open(path_, false);
        if (!partial) {
            EXPECT_EQ(rhumb_index_count(index.get()), 1u) << "all or nothing";
        }
        EXPECT_TRUE(contains(index, 0));
        EXPECT_OK(rhumb_index_wait_idle(index.get()));
        expect_sound(index);
    }
}

TEST_F(Recovery, KeysAssignedAfterABatchThatWasCutShortAreNotAssignedAgain) {
    create_empty();
    die_after(open_options(kFull), [&](const Index &index) {
        std::vector<float> bad(vectors_.row(0), vectors_.row(100));
        bad[99 * kDim] = std::nanf("");
        if (rhumb_index_insert_batch(index.get(), nullptr, bad.data(), 100, nullptr, nullptr) != RHUMB_E_NOT_FINITE) {
            _exit(3);
        }
        EXPECT_OK(rhumb_index_insert_batch(index.get(), nullptr, vectors_.row(0), 50, nullptr, nullptr));
    });
    const Index index = open(path_, false);
    EXPECT_EQ(rhumb_index_count(index.get()), 50u);
    EXPECT_OK(rhumb_index_insert_batch(index.get(), nullptr, vectors_.row(50), 50, nullptr, nullptr));
    EXPECT_EQ(rhumb_index_count(index.get()), 100u);
}

TEST_F(Recovery, TheLogIsRemovedAtACleanCloseAndExistsWhileItHoldsOperations) {
    create_empty();
    EXPECT_FALSE(log_exists());
    {
        const Index index = open(path_, false);
        EXPECT_FALSE(log_exists()) << "nothing was written yet";
        insert(index, 0, 1);
        EXPECT_TRUE(log_exists());
    }
    EXPECT_FALSE(log_exists());
}

TEST_F(Recovery, DurableNumbersFollowTheMode) {
    create_empty();
    {
        const Index index = open_as(path_, open_options(kFull));
        EXPECT_EQ(rhumb_index_lsn(index.get()), 0u);
        insert(index, 0, 10);
        EXPECT_EQ(rhumb_index_lsn(index.get()), 10u);
        EXPECT_EQ(rhumb_index_durable_lsn(index.get()), 10u);
    }
    {
        rhumb_open_options options = open_options(kInterval);
        options.sync_interval_ms = 20;
        const Index index = open_as(path_, options);
        insert(index, 10, 20);
        EXPECT_EQ(rhumb_index_lsn(index.get()), 20u);
        for (int i = 0; i < 500 && rhumb_index_durable_lsn(index.get()) < 20; i++) usleep(10000);
        EXPECT_EQ(rhumb_index_durable_lsn(index.get()), 20u) << "by itself";
        insert(index, 20, 30);
        EXPECT_OK(rhumb_index_sync(index.get()));
        EXPECT_EQ(rhumb_index_durable_lsn(index.get()), 30u);
    }
    {
        const Index index = open_as(path_, open_options(kNone));
        insert(index, 30, 40);
        EXPECT_EQ(rhumb_index_durable_lsn(index.get()), 30u);
        EXPECT_FALSE(log_exists());
        EXPECT_OK(rhumb_index_sync(index.get()));
        EXPECT_EQ(rhumb_index_durable_lsn(index.get()), 40u);
    }
    const Index reader = open(path_, true);
    EXPECT_EQ(rhumb_index_lsn(reader.get()), 40u);
    EXPECT_EQ(rhumb_index_durable_lsn(reader.get()), 40u);
    EXPECT_EQ(rhumb_index_sync(reader.get()), RHUMB_E_READONLY);
    EXPECT_OK(rhumb_index_wait_idle(reader.get()));
    EXPECT_EQ(rhumb_index_lsn(nullptr), 0u);
}

TEST_F(Recovery, AReaderShowsTheLastCheckpointAndReportsThatThereIsMore) {
    create_empty();
    die_after(open_options(kFull), [&](const Index &index) {
        insert(index, 0, 10);
        if (rhumb_index_checkpoint(index.get()) != RHUMB_OK) _exit(3);
        insert(index, 10, 17);
    });
    {
        const Index reader = open(path_, true);
        EXPECT_EQ(rhumb_index_count(reader.get()), 10u);
        EXPECT_EQ(stats(reader).log_pending_count, 7u);
        EXPECT_EQ(stats(reader).lsn, 10u);
        expect_sound(reader);
    }
    ASSERT_NE(open(path_, false), nullptr);
    const Index reader = open(path_, true);
    EXPECT_EQ(rhumb_index_count(reader.get()), 17u);
    EXPECT_EQ(stats(reader).log_pending_count, 0u);
}

TEST_F(Recovery, ALogOfAnotherIndexIsRefusedUnlessItIsToBeDiscarded) {
    const std::string other = directory_.file("other.rhumb");
    create_empty();
    ASSERT_NE(create(other, index_options(kDim)), nullptr);
    die_after(open_options(kFull), [&](const Index &index) { insert(index, 0, 5); });
    std::filesystem::copy_file(path_ + "-wal", other + "-wal");
    EXPECT_EQ(try_open(other, false), RHUMB_E_LOG);
    EXPECT_NE(std::string(rhumb_error_last()->path).find("-wal"), std::string::npos);
    EXPECT_EQ(try_open(other, true), RHUMB_OK) << "a reader does not need it";
    rhumb_open_options options = open_options(kFull);
    options.discard_log = true;
    EXPECT_EQ(rhumb_index_count(open_as(other, options).get()), 0u);
    EXPECT_EQ(try_open(other, false), RHUMB_OK);
}

TEST_F(Recovery, AnOldCopyOfTheIndexWithANewerLogIsRefused) {
    const std::string old = directory_.file("old.rhumb");
    create_empty();
    std::filesystem::copy_file(path_, old);
    die_after(open_options(kFull), [&](const Index &index) {
        insert(index, 0, 5);
        if (rhumb_index_checkpoint(index.get()) != RHUMB_OK) _exit(3);
        insert(index, 5, 10);
    });
    std::filesystem::copy_file(path_ + "-wal", old + "-wal");
    EXPECT_EQ(try_open(old, false), RHUMB_E_LOG) << "operations 1 to 5 are in neither";
    EXPECT_EQ(rhumb_index_count(open(path_, false).get()), 10u);
}

TEST_F(Recovery, AnOldLogWithANewerIndexIsRefused) {
    create_empty();
    die_after(open_options(kFull), [&](const Index &index) { insert(index, 0, 5); });
    std::filesystem::copy_file(path_ + "-wal", path_ + "-copy");
    {
        const Index index = open(path_, false);
        insert(index, 5, 10);
        EXPECT_OK(rhumb_index_delete(index.get(), 2));
    }
    std::filesystem::rename(path_ + "-copy", path_ + "-wal");
    EXPECT_EQ(try_open(path_, false), RHUMB_E_LOG);
    rhumb_open_options discarding = open_options(kFull);
    discarding.discard_log = true;
    const Index index = open_as(path_, discarding);
    EXPECT_EQ(rhumb_index_count(index.get()), 9u);
    EXPECT_FALSE(contains(index, 2)) << "all of the log is older than the checkpoint";
    insert(index, 10, 20);
    expect_sound(index);
}

TEST_F(Recovery, CreatingWhereALogWasLeftIsRefusedUnlessItIsToBeDiscarded) {
    create_empty();
    die_after(open_options(kFull), [&](const Index &index) { insert(index, 0, 5); });
    std::filesystem::remove(path_);
    rhumb_index_options options = index_options(kDim);
    rhumb_index *index = nullptr;
    EXPECT_EQ(rhumb_index_create(path_.c_str(), &options, &index), RHUMB_E_EXISTS);
    EXPECT_FALSE(std::filesystem::exists(path_));
    EXPECT_TRUE(log_exists());
    rhumb_open_options open = open_options(kFull);
    open.discard_log = true;
    options.open = &open;
    const Index created = create(path_, options);
    EXPECT_EQ(rhumb_index_count(created.get()), 0u);
    insert(created, 0, 3);
}

TEST_F(Recovery, OptionsOutOfRangeAreRefused) {
    create_empty();
    rhumb_open_options options = open_options(static_cast<rhumb_durability>(3));
    rhumb_index *index = nullptr;
    EXPECT_EQ(rhumb_index_open(path_.c_str(), &options, &index), RHUMB_E_INVALID);
    rhumb_index_options create_options = index_options(kDim);
    options = open_options(kFull);
    options.read_only = true;
    create_options.open = &options;
    EXPECT_EQ(rhumb_index_create(directory_.file("new").c_str(), &create_options, &index), RHUMB_E_INVALID);
}

} // namespace
} // namespace index_test
