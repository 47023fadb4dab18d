// Goal: index and log are two files, which people move, copy, link, restore and delete; whatever they do, what opens is
// one history of the index, complete, or RHUMB_E_LOG says what is missing. Files that rhumb makes or removes are its
// own, and may be used by those who may use the index. Method: children that are killed leave logs; their files are
// swapped with copies.
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <csignal>

#include "tests/support/index_test_support.h"

namespace index_test {
namespace {

class History : public ::testing::Test {
  protected:
    static constexpr uint32_t kDim = 8;

    void SetUp() override {
        std::filesystem::create_directory(directory_.file("here"));
        std::filesystem::create_directory(directory_.file("there"));
    }
    static rhumb_open_options writing(bool discard_log = false, rhumb_durability durability = RHUMB_DURABILITY_FULL) {
        rhumb_open_options options;
        rhumb_open_options_init(&options, sizeof options);
        options.durability = durability;
        options.checkpoint_log_bytes = UINT64_MAX;
        options.discard_log = discard_log;
        return options;
    }
    void insert(const Index &index, uint64_t begin, uint64_t end) {
        for (uint64_t i = begin; i < end; i++) ASSERT_OK(rhumb_index_insert(index.get(), i, vectors_.row(i)));
    }
    void create_empty(const std::string &path) { ASSERT_NE(create(path, index_options(kDim)), nullptr); }
    // Inserts keys and is killed: what was acknowledged is in the log.
    void insert_and_die(const std::string &path, uint64_t begin, uint64_t end) {
        EXPECT_EQ(run_in_child([&] {
                      const Index index = open_as(path, writing());
                      insert(index, begin, end);
                      kill(getpid(), SIGKILL);
                      return 1;
                  }),
                  128 + SIGKILL);
    }
    static void copy(const std::string &from, const std::string &to) {
        std::filesystem::copy_file(from, to, std::filesystem::copy_options::overwrite_existing);
    }
    static void move(const std::string &from, const std::string &to) { std::filesystem::rename(from, to); }
    static bool exists(const std::string &path) { return access(path.c_str(), F_OK) == 0; }
    // Opens for writing and expects exactly the keys [0, count).
    void expect_keys(const std::string &path, uint64_t count) {
        const Index index = open_as(path, writing());
        ASSERT_NE(index, nullptr);
        EXPECT_EQ(rhumb_index_count(index.get()), count);
        for (uint64_t key = 0; key < count; key++) EXPECT_TRUE(contains(index, key)) << key;
        expect_sound(index);
    }
    static void expect_refused(const std::string &path, const char *what) {
        EXPECT_EQ(try_open(path, false), RHUMB_E_LOG) << what;
        const std::string message = rhumb_error_last()->message;
        EXPECT_NE(message.find("discard_log"), std::string::npos) << what << ": " << message;
        EXPECT_EQ(try_open(path, true), RHUMB_OK) << "a reader needs no log";
    }

    ScratchDirectory directory_;
    const std::string path_ = directory_.file("here/a.rhumb");
    const std::string moved_ = directory_.file("there/a.rhumb");
    const Vectors vectors_ = random_vectors(400, kDim, 70);
};

TEST_F(History, AnIndexMovedWithoutItsLogIsRefusedUntilBothAreTogether) {
    create_empty(path_);
    insert_and_die(path_, 0, 10);
    move(path_, moved_);
    expect_refused(moved_, "the index alone");
    {
        const Index reader = open(moved_, true);
        rhumb_verify_report report = {};
        EXPECT_EQ(rhumb_index_verify(reader.get(), &report, sizeof report), RHUMB_E_CORRUPT);
        EXPECT_EQ(report.log_error_count, 1u) << "verification says that the log is missing";
    }
    move(path_ + "-wal", moved_ + "-wal");
    expect_keys(moved_, 10);
    insert_and_die(moved_, 10, 15);
    move(moved_ + "-wal", path_ + "-wal"); // the log alone
    expect_refused(moved_, "without its log");
    move(moved_, path_);
    expect_keys(path_, 15);
}

TEST_F(History, WhatWasDiscardedIsNeverTakenBack) {
    create_empty(path_);
    insert_and_die(path_, 0, 10);
    move(path_, moved_);
    { EXPECT_EQ(rhumb_index_count(open_as(moved_, writing(true)).get()), 0u); }
    EXPECT_EQ(try_open(moved_, false), RHUMB_OK) << "once is enough";
    move(moved_, path_);
    expect_refused(path_, "beside the old log, with nothing written in between");
    move(path_, moved_);
    for (const uint64_t count : {1, 5, 12}) {
        const Index index = open_as(moved_, writing());
        insert(index, 100, 100 + count);
        for (uint64_t key = 100; key < 100 + count; key++) ASSERT_OK(rhumb_index_delete(index.get(), key));
    }
    move(moved_, path_);
    expect_refused(path_, "with as many operations as the log has");
    {
        const Index index = open_as(path_, writing(true));
        EXPECT_EQ(rhumb_index_count(index.get()), 0u);
        EXPECT_FALSE(exists(path_ + "-wal"));
        insert(index, 0, 3);
    }
    expect_keys(path_, 3);
}

TEST_F(History, CopiesThatWentOnSeparatelyAreNotMixed) {
    for (const bool with_log : {false, true}) {
        std::filesystem::remove(path_);
        std::filesystem::remove(path_ + "-wal");
        create_empty(path_);
        insert_and_die(path_, 0, 10);
        if (!with_log) {
            EXPECT_EQ(try_open(path_, false), RHUMB_OK); // which removes the log
        }
        ASSERT_EQ(exists(path_ + "-wal"), with_log);
        copy(path_, moved_);
        std::filesystem::remove(moved_ + "-wal");
        if (with_log) copy(path_ + "-wal", moved_ + "-wal");
        const std::string kept = directory_.file("kept");
        copy(path_, kept);
        if (with_log) copy(path_ + "-wal", kept + "-wal");

        insert_and_die(path_, 10, 15);
        insert_and_die(moved_, 10, 13);
        const auto try_pair = [&](const std::string &index, const std::string &log) {
            const std::string pair = directory_.file("pair");
            copy(index, pair);
            copy(log + "-wal", pair + "-wal");
            const rhumb_status status = try_open(pair, false);
            std::filesystem::remove(pair);
            std::filesystem::remove(pair + "-wal");
            return status;
        };
        EXPECT_EQ(try_pair(path_, path_), RHUMB_OK);
        EXPECT_EQ(try_pair(moved_, moved_), RHUMB_OK);
        EXPECT_EQ(try_pair(path_, moved_), RHUMB_E_LOG);
        EXPECT_EQ(try_pair(moved_, path_), RHUMB_E_LOG);
        EXPECT_EQ(try_pair(kept, path_), RHUMB_E_LOG) << "an older copy of the index";
        if (with_log) {
            EXPECT_EQ(try_pair(path_, kept), RHUMB_E_LOG) << "an older copy of the log";
            EXPECT_EQ(try_pair(kept, kept), RHUMB_OK) << "older copies of both";
        }
    }
}

// Without a log there is a history too.
TEST_F(History, ACopyThatWentOnWithoutALogDoesNotGoWithTheOthersLog) {
    create_empty(path_);
    copy(path_, moved_);
    insert_and_die(path_, 0, 10);
    {
        const Index index = open_as(moved_, writing(false, RHUMB_DURABILITY_NONE));
        insert(index, 0, 10);
    }
    copy(moved_, path_);
    expect_refused(path_, "ten operations each");
}

// The log that was found has its operations in the next version, and those of this opening are in none.
TEST_F(History, AFoundLogGoesOnWithoutALog) {
    for (const bool publishes : {false, true}) {
        std::filesystem::remove(path_);
        create_empty(path_);
        insert_and_die(path_, 0, 10);
        EXPECT_EQ(run_in_child([&] {
                      const Index index = open_as(path_, writing(false, RHUMB_DURABILITY_NONE));
                      insert(index, 10, 15);
                      if (publishes && rhumb_index_checkpoint(index.get()) != RHUMB_OK) return 3;
                      kill(getpid(), SIGKILL);
                      return 1;
                  }),
                  128 + SIGKILL);
        expect_keys(path_, publishes ? 15 : 10);
    }
}

TEST_F(History, AnOlderCopyOfTheLogIsRefused) {
    create_empty(path_);
    const std::string older = directory_.file("older-wal");
    EXPECT_EQ(run_in_child([&] {
                  const Index index = open_as(path_, writing());
                  insert(index, 0, 10);
                  copy(path_ + "-wal", older);
                  insert(index, 10, 11);
                  if (rhumb_index_checkpoint(index.get()) != RHUMB_OK) return 3;
                  insert(index, 11, 15);
                  kill(getpid(), SIGKILL);
                  return 1;
              }),
              128 + SIGKILL);
    copy(path_ + "-wal", directory_.file("newest-wal"));
    copy(older, path_ + "-wal");
    expect_refused(path_, "of the same opening, from before a checkpoint");
    copy(directory_.file("newest-wal"), path_ + "-wal");
    expect_keys(path_, 15);
}

TEST_F(History, LinksLeadToTheLogOrAreRefused) {
    create_empty(path_);
    ASSERT_EQ(symlink(path_.c_str(), directory_.file("symbolic").c_str()), 0);
    insert_and_die(directory_.file("symbolic"), 0, 10);
    EXPECT_TRUE(exists(path_ + "-wal"));
    expect_keys(path_, 10);
    ASSERT_EQ(link(path_.c_str(), moved_.c_str()), 0);
    insert_and_die(moved_, 10, 20);
    expect_refused(path_, "by the other hard link");
    expect_keys(moved_, 20);
    expect_keys(path_, 20);
}

TEST_F(History, ABindMountOfTheFileAloneIsRefused) {
    create_empty(path_);
    insert_and_die(path_, 0, 10);
    put_file(moved_, "");
    const int code = run_in_child([&] {
        if (unshare(CLONE_NEWNS) != 0 || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return 77;
        if (mount(path_.c_str(), moved_.c_str(), nullptr, MS_BIND, nullptr) != 0) return 77;
        return try_open(moved_, false) == RHUMB_E_LOG ? 0 : 1;
    });
    if (code == 77) GTEST_SKIP() << "no right to mount";
    EXPECT_EQ(code, 0);
    expect_keys(path_, 10);
}

// ---- whose file it is ----

// Another index is moved to the name of one that is open, whose log a careful operator removes.
TEST_F(History, ClosingTouchesNoFileOfAnIndexThatHasTakenItsPlace) {
    create_empty(path_);
    create_empty(moved_);
    Index first = open_as(path_, writing());
    insert(first, 0, 5);
    move(moved_, path_);
    std::filesystem::remove(path_ + "-wal");
    EXPECT_EQ(run_in_child([&] {
                  first.release(); // the parent's
                  const Index second = open_as(path_, writing());
                  insert(second, 0, 2);
                  kill(getpid(), SIGKILL);
                  return 1;
              }),
              128 + SIGKILL);
    first.reset();
    EXPECT_TRUE(exists(path_ + "-wal"));
    expect_keys(path_, 2);
}

TEST_F(History, NoLogIsBegunForAnIndexThatHasBeenMovedAway) {
    create_empty(path_);
    create_empty(directory_.file("other.rhumb"));
    {
        const Index index = open_as(path_, writing());
        move(path_, moved_);
        EXPECT_EQ(rhumb_index_insert(index.get(), 0, vectors_.row(0)), RHUMB_E_IO) << "nothing is at its path";
        move(directory_.file("other.rhumb"), path_);
        EXPECT_EQ(rhumb_index_insert(index.get(), 0, vectors_.row(0)), RHUMB_E_IO) << "another is at its path";
        EXPECT_NE(strstr(rhumb_error_last()->message, "moved"), nullptr) << rhumb_error_last()->message;
        EXPECT_FALSE(exists(path_ + "-wal"));
        move(path_, directory_.file("other.rhumb"));
        move(moved_, path_);
        insert(index, 0, 3);
        move(path_, moved_); // from now on it has a log, which stays where it is
        insert(index, 3, 6);
    }
    EXPECT_FALSE(exists(path_ + "-wal"));
    expect_keys(moved_, 6);
}

TEST_F(History, WhatIsMadeFromAnIndexMayBeUsedByTheSameOnly) {
    create_empty(path_);
    {
        const Index index = open_as(path_, writing());
        insert(index, 0, 50);
    }
    const bool is_root = geteuid() == 0 && chown(path_.c_str(), 4321, 8765) == 0; // not in every container
    for (const mode_t permissions : {0600, 0640, 0644}) {
        ASSERT_EQ(chmod(path_.c_str(), permissions), 0);
        if (is_root) {
            ASSERT_EQ(chown(path_.c_str(), 4321, 8765), 0);
        }
        const std::string made[] = {path_ + "-wal", moved_, moved_ + "2", moved_ + "3"};
        const Index index = open_as(path_, writing());
        insert(index, 50 + permissions % 7, 51 + permissions % 7);
        EXPECT_OK(rhumb_index_compact_into(path_.c_str(), made[1].c_str(), nullptr, nullptr, 0));
        EXPECT_OK(rhumb_topology_export(index.get(), made[3].c_str(), nullptr, nullptr, 0));
        const std::string closed = directory_.file("closed");
        ASSERT_OK(rhumb_index_checkpoint(index.get()));
        copy(path_, closed);
        ASSERT_EQ(chmod(closed.c_str(), permissions), 0);
        if (is_root) {
            ASSERT_EQ(chown(closed.c_str(), 4321, 8765), 0);
        }
        EXPECT_OK(rhumb_index_repair(closed.c_str(), made[2].c_str(), nullptr, nullptr, 0));
        for (const std::string &path : made) {
            struct stat info = {};
            ASSERT_EQ(stat(path.c_str(), &info), 0) << path;
            EXPECT_EQ(info.st_mode & 0777, permissions) << path;
            EXPECT_EQ(info.st_uid, is_root ? 4321 : geteuid()) << path;
            EXPECT_EQ(info.st_gid, is_root ? 8765 : getegid()) << path;
        }
        for (const std::string &path : made) {
            if (path != made[0]) std::filesystem::remove(path);
        }
        std::filesystem::remove(closed);
    }
}

// ---- a log that was found ----

class FoundLog : public History {
  protected:
    static constexpr uint64_t kLimit = 20000;

    static rhumb_open_options limited(uint64_t limit) {
        rhumb_open_options options = writing(false, RHUMB_DURABILITY_INTERVAL);
        options.checkpoint_log_bytes = limit;
        return options;
    }
    uint64_t log_bytes() const {
        struct stat info = {};
        return stat((path_ + "-wal").c_str(), &info) == 0 ? static_cast<uint64_t>(info.st_blocks) * 512 : 0;
    }
    void life(uint64_t limit, uint64_t begin, uint64_t end) {
        EXPECT_EQ(run_in_child([&] {
                      const Index index = open_as(path_, limited(limit));
                      EXPECT_OK(rhumb_index_wait_idle(index.get()));
                      for (uint64_t i = begin; i < end; i++) {
                          if (rhumb_index_insert(index.get(), i, vectors_.row(i % 400)) != RHUMB_OK) return 3;
                      }
                      if (rhumb_index_sync(index.get()) != RHUMB_OK) return 4;
                      EXPECT_OK(rhumb_index_wait_idle(index.get()));
                      kill(getpid(), SIGKILL);
                      return 1;
                  }),
                  128 + SIGKILL);
    }
};

// A process that is killed again and again, each time before it has logged as much as the limit by itself.
TEST_F(FoundLog, CountsTowardsTheNextCheckpoint) {
    create_empty(path_);
    for (uint64_t i = 0; i < 12; i++) life(kLimit, i * 200, i * 200 + 200); // 16,000 bytes each
    EXPECT_LT(log_bytes(), 98304 + 3 * kLimit);
    const Index index = open_as(path_, limited(kLimit));
    EXPECT_EQ(rhumb_index_count(index.get()), 2400u);
    EXPECT_GT(stats(index).epoch, 5u);
}

TEST_F(FoundLog, BeyondTwiceTheLimitACheckpointComesFirst) {
    create_empty(path_);
    life(UINT64_MAX, 0, 1500);
    const Index index = open_as(path_, limited(kLimit));
    ASSERT_OK(rhumb_index_insert(index.get(), 5000, vectors_.row(0)));
    EXPECT_EQ(stats(index).checkpoint_count, 1u);
    EXPECT_LT(stats(index).log_bytes, 1000u);
    EXPECT_EQ(rhumb_index_count(index.get()), 1501u);
}

TEST_F(FoundLog, IsKeptWithoutALimit) {
    create_empty(path_);
    life(UINT64_MAX, 0, 500);
    const Index index = open_as(path_, limited(UINT64_MAX));
    ASSERT_OK(rhumb_index_insert(index.get(), 5000, vectors_.row(0)));
    EXPECT_EQ(stats(index).checkpoint_count, 0u);
    EXPECT_GT(stats(index).log_bytes, 500u * 80);
}

} // namespace
} // namespace index_test
