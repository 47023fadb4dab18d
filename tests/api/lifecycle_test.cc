// Goal: what rhumb.h says about opening, closing, checkpoints, refreshing and the single writer holds, within one
// process and between processes. Method: several handles on one file, children that die at a chosen moment, and the
// bytes of the file. Runs once for every io backend.
#include <csignal>

#include "tests/support/index_test_support.h"

namespace index_test {
namespace {

class Lifecycle : public ::testing::Test {
  protected:
    // An index of `count` vectors under the keys 0, 1..., written and closed.
    void build(size_t count, rhumb_metric metric = RHUMB_METRIC_L2) {
        vectors_ = random_vectors(5000, 16, 40);
        const Index index = create(path_, index_options(16, metric));
        ASSERT_NE(index, nullptr);
        insert_range(index, 0, count);
    }
    void insert_range(const Index &index, size_t begin, size_t end) {
        for (size_t i = begin; i < end; i++) ASSERT_OK(rhumb_index_insert(index.get(), i, vectors_.row(i)));
    }
    // The answers of a fixed set of searches.
    static std::vector<Answer> answers(const Index &index) {
        const Vectors queries = random_vectors(25, 16, 41);
        std::vector<Answer> all;
        for (size_t q = 0; q < queries.count(); q++) {
            all.push_back(search(index, queries.row(q), 8, 40));
            all.push_back(search_exact(index, queries.row(q), 8));
        }
        return all;
    }

    ScratchDirectory directory_;
    std::string path_ = directory_.file("index.rhumb");
    Vectors vectors_;
};

class Reopen : public Lifecycle, public ::testing::WithParamInterface<rhumb_metric> {};

INSTANTIATE_TEST_SUITE_P(Metrics, Reopen, ::testing::ValuesIn(all_metrics()), metric_name);

TEST_P(Reopen, GivesTheSameAnswersBitForBit) {
    vectors_ = random_vectors(1200, 16, 42);
    std::vector<Answer> before;
    {
        const Index index = create_with_durability(path_, index_options(16, GetParam()), RHUMB_DURABILITY_NONE);
        insert_range(index, 0, 1200);
        before = answers(index);
    }
    for (bool read_only : {true, false, true}) {
        const Index index = open(path_, read_only);
        ASSERT_NE(index, nullptr);
        EXPECT_EQ(rhumb_index_count(index.get()), 1200u);
        EXPECT_EQ(created_with(index).metric, GetParam());
        EXPECT_TRUE(answers(index) == before);
        for (size_t i = 0; i < 1200; i++) {
            std::vector<float> stored(16);
            ASSERT_OK(rhumb_index_get_vector(index.get(), i, stored.data()));
            ASSERT_EQ(memcmp(stored.data(), vectors_.row(i), 64), 0) << "bit for bit, under every metric";
        }
        expect_sound(index);
    }
}

TEST_P(Reopen, ContinuesWhereItStopped) {
    vectors_ = random_vectors(900, 16, 43);
    const std::string straight = directory_.file("straight.rhumb");
    std::vector<Answer> expected;
    {
        const Index index = create_with_durability(straight, index_options(16, GetParam()), RHUMB_DURABILITY_NONE);
        insert_range(index, 0, 900);
        expected = answers(index);
    }
    { const Index index = create(path_, index_options(16, GetParam())); }
    for (size_t begin = 0; begin < 900; begin += 300) {
        const Index index = open_with_durability(path_, RHUMB_DURABILITY_NONE);
        insert_range(index, begin, begin + 300);
        EXPECT_EQ(rhumb_index_insert(index.get(), 0, vectors_.row(0)), RHUMB_E_EXISTS);
    }
    EXPECT_TRUE(answers(open(path_, true)) == expected) << "closing and opening leaves no trace in the graph";
}

TEST_F(Lifecycle, ClosingNothingIsFine) { EXPECT_OK(rhumb_index_close(nullptr)); }

TEST_F(Lifecycle, RefusesToOpenAFileThatIsNotAnIndex) {
    EXPECT_EQ(try_open(path_, true), RHUMB_E_NOTFOUND);
    EXPECT_EQ(try_open(path_, false), RHUMB_E_NOTFOUND);
    EXPECT_NE(std::string(rhumb_error_last()->path).find("index.rhumb"), std::string::npos);
    put_file(path_, "");
    EXPECT_EQ(try_open(path_, true), RHUMB_E_NOT_AN_INDEX);
    put_file(path_, "This is a text, and not an index at all.");
    EXPECT_EQ(try_open(path_, true), RHUMB_E_NOT_AN_INDEX);
    EXPECT_EQ(try_open(path_, false), RHUMB_E_NOT_AN_INDEX);
    EXPECT_EQ(try_open(directory_.path(), true), RHUMB_E_INVALID) << "a folder";
    rhumb_index *index = nullptr;
    EXPECT_EQ(rhumb_index_open(nullptr, nullptr, &index), RHUMB_E_INVALID);
    EXPECT_EQ(rhumb_index_open(path_.c_str(), nullptr, nullptr), RHUMB_E_INVALID);
    EXPECT_EQ(index, nullptr);
}

TEST_F(Lifecycle, AFileThatWasCutIsRefused) {
    build(500);
    std::filesystem::resize_file(path_, std::filesystem::file_size(path_) - 65536);
    for (bool read_only : {true, false}) {
        EXPECT_EQ(try_open(path_, read_only), RHUMB_E_TRUNCATED);
        EXPECT_NE(rhumb_error_last()->file_offset, UINT64_MAX);
    }
}

TEST_F(Lifecycle, OpeningWithoutOptionsOpensForWriting) {
    build(3);
    rhumb_index *index = nullptr;
    ASSERT_OK(rhumb_index_open(path_.c_str(), nullptr, &index));
    const Index holder(index);
    EXPECT_FALSE(stats(holder).read_only);
    EXPECT_OK(rhumb_index_insert(index, 99, vectors_.row(99)));
}

// ---- one writer ----

TEST_F(Lifecycle, AReadOnlyHandleRefusesWrites) {
    build(10);
    const std::vector<uint8_t> before = file_bytes(path_);
    {
        const Index reader = open(path_, true);
        size_t inserted_count = 9;
        EXPECT_EQ(rhumb_index_insert(reader.get(), 99, vectors_.row(99)), RHUMB_E_READONLY);
        EXPECT_EQ(rhumb_index_insert_batch(reader.get(), nullptr, vectors_.row(99), 2, nullptr, &inserted_count),
                  RHUMB_E_READONLY);
        EXPECT_EQ(inserted_count, 0u);
        EXPECT_EQ(rhumb_index_checkpoint(reader.get()), RHUMB_E_READONLY);
        EXPECT_EQ(rhumb_index_count(reader.get()), 10u);
        EXPECT_TRUE(stats(reader).read_only);
    }
    EXPECT_EQ(file_bytes(path_), before);
}

TEST_F(Lifecycle, AFileThatMayOnlyBeReadOpensReadOnly) {
    build(10);
    ASSERT_EQ(chmod(path_.c_str(), 0444), 0);
    EXPECT_EQ(rhumb_index_count(open(path_, true).get()), 10u);
}

TEST_F(Lifecycle, OneHandleWritesAtATime) {
    build(10);
    {
        const Index writer = open(path_, false);
        EXPECT_EQ(try_open(path_, false), RHUMB_E_LOCKED);
        const Index reader = open(path_, true);
        EXPECT_EQ(rhumb_index_count(reader.get()), 10u);
        EXPECT_EQ(try_open(path_, false), RHUMB_E_LOCKED) << "closing other handles does not drop the lock";
        EXPECT_OK(rhumb_index_insert(writer.get(), 10, vectors_.row(10)));
    }
    EXPECT_OK(try_open(path_, false));
}

TEST_F(Lifecycle, AWriterInAnotherProcessIsRespected) {
    build(10);
    {
        const Index writer = open(path_, false);
        EXPECT_EQ(run_in_child([&] {
                      if (try_open(path_, false) != RHUMB_E_LOCKED) return 1;
                      return try_open(path_, true) == RHUMB_OK ? 0 : 2;
                  }),
                  0);
        EXPECT_EQ(try_open(path_, false), RHUMB_E_LOCKED) << "a child that ends does not take the lock with it";
    }
    EXPECT_EQ(run_in_child([&] { return try_open(path_, false) == RHUMB_OK ? 0 : 1; }), 0);
}

TEST_F(Lifecycle, AProcessThatDiesLosesNothing) {
    build(100);
    EXPECT_EQ(run_in_child([&] {
                  const Index writer = open(path_, false);
                  insert_range(writer, 100, 200);
                  if (rhumb_index_checkpoint(writer.get()) != RHUMB_OK) return 1;
                  insert_range(writer, 200, 300);
                  kill(getpid(), SIGKILL);
                  return 2;
              }),
              128 + SIGKILL);
    const Index writer = open(path_, false);
    ASSERT_NE(writer, nullptr) << "the lock is gone with the process";
    EXPECT_EQ(rhumb_index_count(writer.get()), 300u);
    EXPECT_TRUE(contains(writer, 299));
    insert_range(writer, 300, 400);
    expect_sound(writer);
}

TEST_F(Lifecycle, WithoutALogAProcessThatDiesLosesWhatCameAfterItsLastCheckpointAndNothingElse) {
    build(100);
    EXPECT_EQ(run_in_child([&] {
                  const Index writer = open_without_log(path_);
                  insert_range(writer, 100, 200);
                  if (rhumb_index_checkpoint(writer.get()) != RHUMB_OK) return 1;
                  insert_range(writer, 200, 300);
                  kill(getpid(), SIGKILL);
                  return 2;
              }),
              128 + SIGKILL);
    const Index writer = open(path_, false);
    ASSERT_NE(writer, nullptr) << "the lock is gone with the process";
    EXPECT_EQ(rhumb_index_count(writer.get()), 200u);
    EXPECT_TRUE(contains(writer, 199));
    EXPECT_FALSE(contains(writer, 200));
    insert_range(writer, 200, 300);
    expect_sound(writer);
}

// ---- checkpoints ----

TEST_F(Lifecycle, ACheckpointRaisesTheEpochByOne) {
    build(10);
    const Index writer = open(path_, false);
    const uint64_t epoch = stats(writer).epoch;
    EXPECT_EQ(stats(writer).checkpoint_count, 0u);
    for (uint64_t i = 1; i <= 5; i++) {
        insert_range(writer, 10 * i, 10 * i + 10);
        EXPECT_OK(rhumb_index_checkpoint(writer.get()));
        EXPECT_EQ(stats(writer).epoch, epoch + i);
        EXPECT_EQ(stats(writer).checkpoint_count, i);
        EXPECT_GT(stats(writer).checkpoint_bytes, 0u);
        EXPECT_GT(stats(writer).checkpoint_ns, 0u);
        EXPECT_EQ(rhumb_index_count(open(path_, true).get()), 10 * i + 10) << "it is what the next reader finds";
    }
}

TEST_F(Lifecycle, ACheckpointWithoutChangesWritesNothing) {
    build(10);
    const std::vector<uint8_t> before = file_bytes(path_);
    {
        const Index writer = open(path_, false);
        const uint64_t epoch = stats(writer).epoch;
        for (int i = 0; i < 3; i++) EXPECT_OK(rhumb_index_checkpoint(writer.get()));
        expect_sound(writer);
        EXPECT_EQ(stats(writer).epoch, epoch);
        EXPECT_EQ(stats(writer).checkpoint_count, 0u);
    }
    EXPECT_EQ(file_bytes(path_), before) << "opening and closing changes no byte either";
    const Index writer = open(path_, false);
    EXPECT_EQ(rhumb_index_insert(writer.get(), 3, vectors_.row(3)), RHUMB_E_EXISTS);
    EXPECT_OK(rhumb_index_checkpoint(writer.get()));
    EXPECT_EQ(stats(writer).checkpoint_count, 0u) << "an operation that failed changes nothing";
}

TEST_F(Lifecycle, ACheckpointDoesNotChangeWhatTheOneBeforeWrote) {
    build(700);
    const std::vector<uint8_t> before = file_bytes(path_);
    {
        const Index writer = open(path_, false);
        insert_range(writer, 700, 1400);
    }
    // With the old superblocks restored, the previous version is there again, whole.
    std::vector<uint8_t> after = file_bytes(path_);
    ASSERT_GE(after.size(), before.size());
    std::copy(before.begin(), before.begin() + 131072, after.begin());
    put_file(path_, std::string(after.begin(), after.end()));
    const Index reader = open(path_, true);
    ASSERT_NE(reader, nullptr);
    EXPECT_EQ(rhumb_index_count(reader.get()), 700u);
    expect_sound(reader);
}

// ---- refresh ----

TEST_F(Lifecycle, AReaderKeepsItsVersionUntilItRefreshes) {
    build(300);
    const Index writer = open(path_, false);
    const Index reader = open(path_, true);
    const std::vector<Answer> before = answers(reader);
    const uint64_t epoch = stats(reader).epoch;
    bool changed = true;
    EXPECT_OK(rhumb_index_refresh(reader.get(), &changed));
    EXPECT_FALSE(changed);
    insert_range(writer, 300, 600);
    EXPECT_OK(rhumb_index_refresh(reader.get(), &changed));
    EXPECT_FALSE(changed) << "what is not in a checkpoint is not seen";
    for (size_t round = 0; round < 6; round++) { // enough to overwrite both superblocks and to reuse blocks
        EXPECT_OK(rhumb_index_checkpoint(writer.get()));
        insert_range(writer, 600 + 100 * round, 700 + 100 * round);
        EXPECT_TRUE(answers(reader) == before);
        EXPECT_EQ(rhumb_index_count(reader.get()), 300u);
        EXPECT_FALSE(contains(reader, 300));
        EXPECT_EQ(stats(reader).epoch, epoch);
    }
    expect_sound(reader);
    EXPECT_OK(rhumb_index_refresh(reader.get(), &changed));
    EXPECT_TRUE(changed);
    EXPECT_EQ(rhumb_index_count(reader.get()), 1100u) << "the newest checkpoint, not the next";
    EXPECT_EQ(stats(reader).epoch, epoch + 6);
    EXPECT_TRUE(contains(reader, 1099));
    EXPECT_FALSE(contains(reader, 1100));
    expect_sound(reader);
    EXPECT_OK(rhumb_index_refresh(reader.get(), &changed));
    EXPECT_FALSE(changed);
    EXPECT_OK(rhumb_index_refresh(reader.get(), nullptr));
}

TEST_F(Lifecycle, AReadersVersionOutlivesWritersThatComeAndGo) {
    build(300);
    const Index reader = open(path_, true);
    const std::vector<Answer> before = answers(reader);
    size_t next = 300;
    for (int round = 0; round < 6; round++) {
        const Index writer = open(path_, false);
        for (int i = 0; i < round; i++, next += 50) {
            insert_range(writer, next, next + 50);
            EXPECT_OK(rhumb_index_checkpoint(writer.get()));
        }
        EXPECT_TRUE(answers(reader) == before) << "round " << round;
        expect_sound(reader);
    }
    EXPECT_OK(rhumb_index_refresh(reader.get(), nullptr));
    EXPECT_EQ(rhumb_index_count(reader.get()), next);
    expect_sound(reader);
}

TEST_F(Lifecycle, RefreshingAWriterDoesNothing) {
    build(10);
    const Index writer = open(path_, false);
    insert_range(writer, 10, 20);
    bool changed = true;
    EXPECT_OK(rhumb_index_refresh(writer.get(), &changed));
    EXPECT_FALSE(changed);
    EXPECT_EQ(rhumb_index_count(writer.get()), 20u);
    EXPECT_EQ(rhumb_index_refresh(nullptr, &changed), RHUMB_E_INVALID);
}

TEST_F(Lifecycle, RefreshDoesNotFollowToAnotherIndexAtThePath) {
    build(50);
    const std::string aside = directory_.file("aside.rhumb");
    const Index writer = open(path_, false);
    const Index reader = open(path_, true);
    const std::vector<Answer> before = answers(reader);
    insert_range(writer, 50, 55);
    std::filesystem::rename(path_, aside);
    { const Index other = create(path_ + "2", index_options(16)); }
    std::filesystem::rename(path_ + "2", path_);
    bool changed = true;
    EXPECT_EQ(rhumb_index_refresh(reader.get(), &changed), RHUMB_E_NOTFOUND) << "also if it has nothing new itself";
    insert_range(writer, 55, 60);
    EXPECT_OK(rhumb_index_checkpoint(writer.get()));
    EXPECT_EQ(rhumb_index_refresh(reader.get(), &changed), RHUMB_E_NOTFOUND);
    EXPECT_TRUE(changed) << "untouched";
    EXPECT_TRUE(answers(reader) == before) << "it stays where it was";
    std::filesystem::remove(path_);
    EXPECT_EQ(rhumb_index_refresh(reader.get(), &changed), RHUMB_E_NOTFOUND);
    EXPECT_TRUE(answers(reader) == before);
    std::filesystem::rename(aside, path_);
    EXPECT_OK(rhumb_index_refresh(reader.get(), &changed));
    EXPECT_TRUE(changed);
    EXPECT_EQ(rhumb_index_count(reader.get()), 60u);
}

// An index that is made elsewhere and renamed over the one that readers have: the way to ship one.
TEST_F(Lifecycle, RefreshFollowsTheSameIndexInAnotherFile) {
    build(50);
    const std::string shipped = directory_.file("shipped.rhumb");
    std::filesystem::copy_file(path_, shipped);
    {
        const Index writer = open(shipped, false);
        insert_range(writer, 50, 60);
    }
    const Index reader = open(path_, true);
    std::filesystem::rename(shipped, path_);
    bool changed = false;
    EXPECT_OK(rhumb_index_refresh(reader.get(), &changed));
    EXPECT_TRUE(changed);
    EXPECT_EQ(rhumb_index_count(reader.get()), 60u);
    EXPECT_OK(rhumb_index_refresh(reader.get(), &changed));
    EXPECT_FALSE(changed);
}

TEST_F(Lifecycle, RefreshFindsTheFileAfterAChangeOfDirectory) {
    build(50);
    const std::filesystem::path before = std::filesystem::current_path();
    std::filesystem::current_path(directory_.path());
    const Index reader = open("index.rhumb", true);
    std::filesystem::current_path(before);
    {
        const Index writer = open(path_, false);
        insert_range(writer, 50, 60);
    }
    bool changed = false;
    EXPECT_OK(rhumb_index_refresh(reader.get(), &changed));
    EXPECT_TRUE(changed);
    EXPECT_EQ(rhumb_index_count(reader.get()), 60u);
}

TEST_F(Lifecycle, BlocksAreUsedAgainOnceNoReaderNeedsThem) {
    build(600);
    const Index writer = open(path_, false);
    size_t next = 600;
    const auto checkpoints = [&](size_t count) {
        for (size_t i = 0; i < count; i++, next++) {
            insert_range(writer, next, next + 1);
            EXPECT_OK(rhumb_index_checkpoint(writer.get()));
        }
        return stats(writer).file_bytes;
    };
    const uint64_t settled_bytes = checkpoints(10);
    EXPECT_LE(checkpoints(60), settled_bytes + 4 * 65536) << "versions without a reader cost nothing";
    {
        const Index reader = open(path_, true);
        const std::vector<Answer> before = answers(reader);
        const uint64_t pinned_bytes = checkpoints(30);
        EXPECT_LE(pinned_bytes, 2 * settled_bytes) << "while a version is read, its blocks stay, and no others";
        EXPECT_TRUE(answers(reader) == before);
        expect_sound(reader);
    }
    const uint64_t released_bytes = checkpoints(5);
    EXPECT_LE(checkpoints(60), released_bytes) << "and afterwards they are used again";
    EXPECT_GT(stats(writer).file_free_bytes, 0u);
    expect_sound(writer);
}

} // namespace
} // namespace index_test
