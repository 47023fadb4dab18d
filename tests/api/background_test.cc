// Goal: automatic checkpoints run when the log reaches its limit, concurrently with inserts, deletes, upserts and
// searches, and delay these for no longer than one operation takes; the statistics report them. Method: small limits,
// threads, and the file as a reader sees it.
#include <signal.h>
#include <sys/resource.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>

#include "tests/support/index_test_support.h"

namespace index_test {
namespace {

class Background : public ::testing::Test {
  protected:
    static constexpr uint32_t kDim = 16;

    Index create_with(uint64_t checkpoint_log_bytes, uint64_t bytes_per_second = 0, double dead_share = 0) {
        rhumb_open_options open;
        rhumb_open_options_init(&open, sizeof open);
        open.durability = RHUMB_DURABILITY_INTERVAL;
        open.checkpoint_log_bytes = checkpoint_log_bytes;
        open.checkpoint_bytes_per_second = bytes_per_second;
        open.compact_dead_share = dead_share;
        rhumb_index_options options = index_options(kDim);
        options.ef_construction = 24; // inserts are many, and not what this is about
        options.open = &open;
        return create(path_, options);
    }
    uint64_t log_blocks() const {
        struct stat status = {};
        return stat((path_ + "-wal").c_str(), &status) == 0 ? static_cast<uint64_t>(status.st_blocks) * 512 : 0;
    }

    ScratchDirectory directory_;
    std::string path_ = directory_.file("index.rhumb");
    const Vectors vectors_ = random_vectors(30000, kDim, 80);
};

TEST_F(Background, ALongLogStartsACheckpointAndIsCut) {
    const Index index = create_with(64 << 10);
    for (size_t i = 0; i < 3000; i++) {
        ASSERT_OK(rhumb_index_insert(index.get(), i, vectors_.row(i)));
        if (i % 500 == 0) {
            EXPECT_OK(rhumb_index_wait_idle(index.get()));
        }
    }
    EXPECT_OK(rhumb_index_wait_idle(index.get()));
    const rhumb_index_stats now = stats(index);
    EXPECT_GE(now.checkpoint_count, 3u) << "300 KB were logged";
    EXPECT_LE(now.checkpoint_count, 10u);
    EXPECT_LT(now.log_bytes, 300u << 10);
    EXPECT_LT(log_blocks(), 500u << 10) << "space is given back";
    EXPECT_EQ(now.checkpoint_failed_count, 0u);
    EXPECT_STREQ(now.checkpoint_failure, "");
    EXPECT_GE(now.durable_lsn, 1000u);
    const Index reader = open(path_, true);
    EXPECT_GE(rhumb_index_count(reader.get()), 1000u);
}

TEST_F(Background, AnUnlimitedLogStartsNoCheckpoint) {
    const Index index = create_with(UINT64_MAX);
    for (size_t i = 0; i < 3000; i++) ASSERT_OK(rhumb_index_insert(index.get(), i, vectors_.row(i)));
    EXPECT_OK(rhumb_index_wait_idle(index.get()));
    EXPECT_EQ(stats(index).checkpoint_count, 1u) << "the one of the creation";
    EXPECT_GE(stats(index).log_bytes, 300u << 10);
}

// Of an index whose checkpoint would take ten seconds at its rate.
TEST_F(Background, ACloseDoesNotWaitForTheRateOfCheckpoints) {
    Index index = create_with(UINT64_MAX, 200 << 10);
    Vectors some = vectors_;
    some.components.resize(8000 * kDim);
    insert_all(index, some);
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_OK(rhumb_index_close(index.release()));
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(4));
    EXPECT_EQ(rhumb_index_count(open(path_, true).get()), 8000u);
}

TEST_F(Background, ACloseHurriesTheCheckpointThatRuns) {
    Index index = create_with(400 << 10, 100 << 10);
    Vectors some = vectors_;
    some.components.resize(8000 * kDim);
    insert_all(index, some);
    usleep(100000); // the checkpoint has begun, and takes a quarter of a minute
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_OK(rhumb_index_close(index.release()));
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(4));
    EXPECT_EQ(rhumb_index_count(open(path_, true).get()), 8000u);
}

// A checkpoint that its rate slows down: it shows exactly one moment.
TEST_F(Background, DeletesAndUpsertsContinueDuringACheckpointOfOneMoment) {
    const Index index = create_with(UINT64_MAX, 2 << 20);
    const uint64_t count = 8000;
    rhumb_batch_options batch;
    rhumb_batch_options_init(&batch, sizeof batch);
    ASSERT_OK(rhumb_index_insert_batch(index.get(), nullptr, vectors_.components.data(), count, &batch, nullptr));
    ASSERT_OK(rhumb_index_delete(index.get(), 7));
    std::atomic<bool> done{false};
    std::thread checkpoint([&] {
        EXPECT_OK(rhumb_index_checkpoint(index.get()));
        done = true;
    });
    // One operation after the other: in every prefix the keys deleted or replaced are the first n of the order.
    uint64_t changed_during = 0;
    for (uint64_t key = 100; key < 6000 && !done; key++) {
        if (key % 3 == 0) {
            ASSERT_OK(rhumb_index_delete(index.get(), key));
            if (key % 2 == 0) {
                ASSERT_OK(rhumb_index_insert(index.get(), key, vectors_.row(20000 + key)));
            }
        } else {
            ASSERT_OK(rhumb_index_upsert(index.get(), key, vectors_.row(20000 + key)));
        }
        changed_during = key;
        if (key % 50 == 0) usleep(1000);
    }
    checkpoint.join();
    EXPECT_GT(changed_during, 150u) << "the checkpoint held them up";
    const auto changed = [&](const Index &handle, uint64_t key) {
        std::vector<float> stored(kDim);
        const rhumb_status status = rhumb_index_get_vector(handle.get(), key, stored.data());
        if (status == RHUMB_E_NOTFOUND) return true;
        EXPECT_EQ(status, RHUMB_OK);
        return memcmp(stored.data(), vectors_.row(key), sizeof(float) * kDim) != 0;
    };
    {
        const Index reader = open(path_, true);
        uint64_t first_unchanged = 100;
        while (changed(reader, first_unchanged)) first_unchanged++;
        for (uint64_t key = first_unchanged; key < count; key++) ASSERT_FALSE(changed(reader, key)) << key;
        EXPECT_LE(first_unchanged, changed_during);
        EXPECT_FALSE(contains(reader, 7));
        expect_sound(reader);
        for (uint64_t key = 100; key < 3000; key += 17) {
            const Answer answer = search(reader, vectors_.row(key), 5, 64);
            EXPECT_EQ(std::set<uint64_t>(answer.keys.begin(), answer.keys.end()).size(), 5u);
        }
    }
    for (uint64_t key = 100; key <= changed_during; key++) EXPECT_TRUE(changed(index, key)) << key;
    expect_sound(index);
    const rhumb_index_stats now = stats(index);
    EXPECT_GT(now.checkpoint_ns, 200000000u) << "at 2 MiB a second";
    EXPECT_LT(now.checkpoint_pause_max_ns, now.checkpoint_ns);
}

TEST_F(Background, ReachabilityIsCountedAfterManyDeletes) {
    const Index index = create_with(64 << 10, 0, 1); // what is deleted stays in the graph
    for (size_t i = 0; i < 2000; i++) ASSERT_OK(rhumb_index_insert(index.get(), i, vectors_.row(i)));
    EXPECT_EQ(stats(index).unreachable_lsn, 0u);
    for (size_t i = 0; i < 2000; i += 2) ASSERT_OK(rhumb_index_delete(index.get(), i));
    for (size_t i = 2000; i < 3000; i++) ASSERT_OK(rhumb_index_insert(index.get(), i, vectors_.row(i)));
    EXPECT_OK(rhumb_index_wait_idle(index.get()));
    const rhumb_index_stats now = stats(index);
    EXPECT_GT(now.unreachable_lsn, 2000u);
    EXPECT_EQ(now.unreachable_count, 0u);
}

TEST_F(Background, CallsFromManyThreadsSucceedDuringCheckpoints) {
    const Index index = create_with(32 << 10);
    std::vector<std::thread> threads;
    std::atomic<bool> stop{false};
    for (uint64_t t = 0; t < 3; t++) {
        threads.emplace_back([&, t] {
            for (uint64_t i = 0; i < 1500; i++) {
                const uint64_t key = i * 3 + t;
                EXPECT_OK(rhumb_index_insert(index.get(), key, vectors_.row(key)));
                if (i % 4 == 1) {
                    EXPECT_OK(rhumb_index_delete(index.get(), key - 3));
                } else if (i % 4 == 2) {
                    EXPECT_OK(rhumb_index_upsert(index.get(), key, vectors_.row(key + 1)));
                }
            }
        });
    }
    std::thread observer([&] {
        while (!stop) {
            (void)search(index, vectors_.row(5), 10, 50);
            (void)stats(index);
            const uint64_t durable_lsn = rhumb_index_durable_lsn(index.get()); // in this order: both grow
            EXPECT_LE(durable_lsn, rhumb_index_lsn(index.get()));
        }
    });
    for (std::thread &thread : threads) thread.join();
    stop = true;
    observer.join();
    EXPECT_EQ(rhumb_index_count(index.get()), 3u * (1500 - 375));
    EXPECT_OK(rhumb_index_wait_idle(index.get()));
    EXPECT_GT(stats(index).checkpoint_count, 2u);
    expect_sound(index);
}

// The messages of the library, each as "LEVEL: MESSAGE". The callback is removed at the end of the scope.
class Listener {
  public:
    explicit Listener(rhumb_log_level level_max) { rhumb_log_set(&Listener::hear, this, level_max); }
    ~Listener() { rhumb_log_set(nullptr, nullptr, RHUMB_LOG_DEBUG); }
    // How many messages of a level have the text in them.
    size_t count(rhumb_log_level level, const std::string &text) {
        const std::lock_guard<std::mutex> guard(lock_);
        size_t found = 0;
        for (const auto &[level_heard, message] : heard_) {
            found += level_heard == level && message.find(text) != std::string::npos;
        }
        return found;
    }

  private:
    static void hear(void *context, rhumb_log_level level, const char *message) {
        auto *self = static_cast<Listener *>(context);
        const std::lock_guard<std::mutex> guard(self->lock_);
        self->heard_.emplace_back(level, message);
    }
    std::mutex lock_;
    std::vector<std::pair<rhumb_log_level, std::string>> heard_;
};

TEST_F(Background, MessagesReportCheckpointsCompactionsAndRecoveryByLevel) {
    Index index = create_with(UINT64_MAX);
    const std::string copy = path_ + "-copy";
    for (size_t i = 0; i < 400; i++) ASSERT_OK(rhumb_index_insert(index.get(), i, vectors_.row(i)));
    ASSERT_OK(rhumb_index_sync(index.get()));
    std::filesystem::copy_file(path_, copy);
    std::filesystem::copy_file(path_ + "-wal", copy + "-wal");
    {
        Listener all(RHUMB_LOG_DEBUG);
        ASSERT_OK(rhumb_index_checkpoint(index.get()));
        EXPECT_EQ(all.count(RHUMB_LOG_DEBUG, path_ + ": a checkpoint begins"), 1u);
        EXPECT_EQ(all.count(RHUMB_LOG_INFO, path_ + ": checkpoint made: operations up to 400, "), 1u);
        for (size_t i = 0; i < 100; i++) ASSERT_OK(rhumb_index_delete(index.get(), i));
        ASSERT_OK(rhumb_index_compact(index.get(), nullptr, nullptr, 0));
        EXPECT_EQ(all.count(RHUMB_LOG_DEBUG, "a compaction begins"), 1u);
        EXPECT_EQ(all.count(RHUMB_LOG_INFO, "compacted: 100 deleted vectors dropped, 0 operations carried over"), 1u);
        EXPECT_EQ(all.count(RHUMB_LOG_ERROR, "") + all.count(RHUMB_LOG_WARNING, ""), 0u);
    }
    Listener some(RHUMB_LOG_INFO);
    const Index recovered = open(copy, false);
    EXPECT_OK(rhumb_index_wait_idle(recovered.get()));
    EXPECT_EQ(some.count(RHUMB_LOG_INFO, "recovery: 400 operations read from the log, 400 vectors to be linked"), 1u);
    EXPECT_EQ(some.count(RHUMB_LOG_INFO, copy + ": recovery: all vectors from the log are linked"), 1u);
    ASSERT_OK(rhumb_index_checkpoint(recovered.get()));
    EXPECT_EQ(some.count(RHUMB_LOG_INFO, "checkpoint made"), 1u);
    EXPECT_EQ(some.count(RHUMB_LOG_DEBUG, ""), 0u) << "not asked for";
    {
        Listener few(RHUMB_LOG_WARNING);
        ASSERT_OK(rhumb_index_insert(recovered.get(), 1000, vectors_.row(1000)));
        ASSERT_OK(rhumb_index_checkpoint(recovered.get()));
        EXPECT_EQ(few.count(RHUMB_LOG_INFO, ""), 0u);
    }
    EXPECT_EQ(some.count(RHUMB_LOG_INFO, "checkpoint made"), 1u) << "another function took its place";
}

TEST_F(Background, OperationsCarriedOverByACompactionAreNotReportedAsRecovered) {
    struct Adding {
        rhumb_index *index;
        const Vectors *vectors;
        size_t added = 0;
    };
    const Index index = create_with(UINT64_MAX);
    for (size_t i = 0; i < 400; i++) ASSERT_OK(rhumb_index_insert(index.get(), i, vectors_.row(i)));
    Adding adding = {index.get(), &vectors_};
    rhumb_compact_options options;
    rhumb_compact_options_init(&options, sizeof options);
    options.progress_context = &adding;
    options.progress = [](void *context, uint64_t, uint64_t) {
        auto *adding = static_cast<Adding *>(context);
        std::thread([adding] { // the callback itself must not change the index
            for (; adding->added < 200; adding->added++) {
                EXPECT_OK(rhumb_index_insert(adding->index, 1000 + adding->added, adding->vectors->row(adding->added)));
            }
        })
            .join();
        return true;
    };
    rhumb_compact_report report = {};
    Listener all(RHUMB_LOG_DEBUG);
    ASSERT_OK(rhumb_index_compact(index.get(), &options, &report, sizeof report));
    EXPECT_OK(rhumb_index_wait_idle(index.get()));
    EXPECT_EQ(report.carried_count, 200u);
    EXPECT_EQ(all.count(RHUMB_LOG_INFO, "compacted: "), 1u);
    EXPECT_EQ(all.count(RHUMB_LOG_INFO, "recovery"), 0u);
}

// The file may not grow any more, as on a full disk, when a checkpoint is due.
TEST_F(Background, ACheckpointThatFailsInTheBackgroundIsReportedAndCounted) {
    const Index index = create_with(16 << 10);
    Listener listener(RHUMB_LOG_WARNING);
    const auto before = signal(SIGXFSZ, SIG_IGN);
    rlimit limit = {};
    ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &limit), 0);
    const rlimit narrow = {std::filesystem::file_size(path_) + (256 << 10), limit.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &narrow), 0);
    rhumb_status status = RHUMB_OK;
    for (size_t i = 0; i < 30000 && status == RHUMB_OK && stats(index).checkpoint_failed_count == 0; i++) {
        status = rhumb_index_insert(index.get(), i, vectors_.row(i));
    }
    EXPECT_OK(rhumb_index_wait_idle(index.get()));
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
    signal(SIGXFSZ, before);
    const rhumb_index_stats now = stats(index);
    ASSERT_GE(now.checkpoint_failed_count, 1u) << status;
    const std::string text = std::string("a checkpoint in the background failed: ") + now.checkpoint_failure;
    EXPECT_GE(listener.count(RHUMB_LOG_WARNING, text) + listener.count(RHUMB_LOG_ERROR, text), 1u);
}

} // namespace
} // namespace index_test
