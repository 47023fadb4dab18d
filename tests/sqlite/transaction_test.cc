// Goal: a table goes through transactions, savepoints, several connections and processes, and crashes, exactly as a
// plain table of the same database does. Method: both are changed alike, at random, and compared; processes are
// killed at random moments in between. RHUMB_ITERS sets the number of kills, RHUMB_SEED repeats a run.
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/sqlite/sql_test_support.h"

namespace sql_test {
namespace {

constexpr uint64_t kIds = 120;
const char kOptions[] = "M=4, ef_construction=30, outbox=15";

// Opens, commits, rolls back: one step of a random life.
void change_state(Connection &connection, Random &random, int *depth) {
    const bool is_open = sqlite3_get_autocommit(connection.get()) == 0;
    switch (random() % 6) {
    case 0:
        connection.run(is_open ? "COMMIT" : "BEGIN IMMEDIATE");
        *depth = 0;
        break;
    case 1:
        if (is_open) connection.run("ROLLBACK");
        *depth = 0;
        break;
    case 2:
        if (is_open) connection.run("SAVEPOINT s" + std::to_string(++*depth));
        break;
    case 3:
        if (*depth == 0) break;
        *depth = 1 + static_cast<int>(random() % static_cast<uint64_t>(*depth));
        connection.run("ROLLBACK TO s" + std::to_string(*depth));
        break;
    case 4:
        if (*depth > 0) connection.run("RELEASE s" + std::to_string(*depth));
        if (*depth > 0) --*depth;
        break;
    default:
        if (!is_open)
            connection.run(random() % 4 == 0 ? "INSERT INTO docs(docs) VALUES('compact')"
                                             : "INSERT INTO docs(docs) VALUES('flush')");
        break;
    }
}

void live(Connection &connection, Random &random, int step_count, int *depth) {
    for (int step = 0; step < step_count; step++) {
        for (uint64_t changes = random() % 8; changes > 0; changes--) change_both(connection, random, kIds);
        change_state(connection, random, depth);
    }
}

TEST(Transactions, AreThoseOfAPlainTable) {
    Random random(choose_seed());
    const ScratchDirectory directory;
    for (int life = 0; life < (kSanitized ? 3 : 6); life++) {
        const std::string path = directory.file("t" + std::to_string(life) + ".db");
        for (int opening = 0; opening < 4; opening++) {
            Connection connection(path);
            if (opening == 0) {
                connection.run(life % 2 == 0 ? "PRAGMA journal_mode = WAL" : "PRAGMA journal_mode = DELETE");
                create_both(connection, kOptions);
            }
            int depth = 0;
            for (int round = 0; round < 8; round++) {
                live(connection, random, 10, &depth);
                ASSERT_NO_FATAL_FAILURE(expect_same(connection, random)) << "life " << life << ", opening " << opening;
            }
        }
        Connection connection(path);
        ASSERT_NO_FATAL_FAILURE(expect_same(connection, random));
        EXPECT_EQ(connection.value("SELECT rhumb_verify('docs')"), "ok");
        EXPECT_EQ(connection.value("PRAGMA integrity_check"), "ok");
    }
}

TEST(Transactions, AStatementThatFailsHalfwayLeavesNothing) {
    const ScratchDirectory directory;
    Random random(1);
    Connection connection(directory.file("t.db"));
    create_both(connection, kOptions);
    connection.run("CREATE TABLE source(id INTEGER, vector)");
    connection.run("INSERT INTO source VALUES(1, '[1,2,3,4,5,6,7,8]'), (2, '[1,2,3,4,5,6,7,9]'), (3, 'wrong')");
    connection.run("INSERT INTO docs(rowid, embedding) VALUES(9, '[1,1,1,1,1,1,1,1]')");
    for (const char *around : {"", "BEGIN"}) {
        if (*around != '\0') connection.run(around);
        EXPECT_NE(connection.error("INSERT INTO docs(rowid, embedding) SELECT id, vector FROM source"), "");
        EXPECT_EQ(connection.value("SELECT group_concat(rowid) FROM docs WHERE embedding MATCH '[1,2,3,4,5,6,7,8]'"),
                  "9");
    }
    connection.run("INSERT OR IGNORE INTO docs(rowid, embedding) SELECT id, vector FROM source WHERE id < 3");
    connection.run("COMMIT");
    EXPECT_EQ(connection.value("SELECT count(*) FROM docs"), "3");
}

TEST(Transactions, OthersSeeWhatIsCommitted) {
    const ScratchDirectory directory;
    Random random(choose_seed());
    Connection writer(directory.file("t.db"));
    writer.run("PRAGMA journal_mode = WAL");
    create_both(writer, kOptions);
    Connection reader(directory.file("t.db"));
    for (int round = 0; round < 40; round++) {
        writer.run("BEGIN");
        const std::string before = reader.value("SELECT count(*) || ' ' || coalesce(sum(rowid), 0) FROM docs");
        for (int i = 0; i < 10; i++) change_both(writer, random, kIds);
        EXPECT_EQ(reader.value("SELECT count(*) || ' ' || coalesce(sum(rowid), 0) FROM docs"), before);
        writer.run("COMMIT");
        ASSERT_NO_FATAL_FAILURE(expect_same(reader, random));
    }
    EXPECT_GT(reader.info("docs", "applied"), 0);
}

TEST(Transactions, ASearchGoesOnWhileItsTableChanges) {
    const ScratchDirectory directory;
    Random random(choose_seed());
    Connection connection(directory.file("t.db"));
    create_both(connection, kOptions);
    for (int i = 0; i < 300; i++) change_both(connection, random, 1000);
    sqlite3_stmt *statement = nullptr;
    ASSERT_EQ(sqlite3_prepare_v2(connection.get(),
                                 "SELECT rowid, embedding FROM docs WHERE embedding MATCH '[0,0,0,0,0,0,0,0]'", -1,
                                 &statement, nullptr),
              SQLITE_OK);
    std::multiset<int64_t> listed;
    while (sqlite3_step(statement) == SQLITE_ROW) {
        listed.insert(sqlite3_column_int64(statement, 0));
        change_both(connection, random, 1000);
    }
    sqlite3_finalize(statement);
    for (int64_t id : listed) ASSERT_EQ(listed.count(id), 1u) << id;
    ASSERT_NO_FATAL_FAILURE(expect_same(connection, random));
}

// ---- power cuts ----

// A file system that counts the syncs of each file of SQLite's, by the name's ending.
struct SyncCounter {
    SyncCounter() {
        real = sqlite3_vfs_find(nullptr);
        vfs = *real;
        vfs.zName = "sync_counter";
        vfs.xOpen = [](sqlite3_vfs *, const char *name, sqlite3_file *file, int flags, int *out) {
            const int code = real->xOpen(real, name, file, flags, out);
            if (code != SQLITE_OK || (flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_DB)) == 0) return code;
            const bool is_log = (flags & SQLITE_OPEN_WAL) != 0;
            originals[is_log] = file->pMethods;
            counting[is_log] = *file->pMethods;
            counting[is_log].xSync = [](sqlite3_file *synced, int how) {
                const bool of_log = synced->pMethods == &counting[1];
                counts[of_log]++;
                return originals[of_log]->xSync(synced, how);
            };
            file->pMethods = &counting[is_log];
            return code;
        };
        sqlite3_vfs_register(&vfs, 1);
    }
    ~SyncCounter() {
        sqlite3_vfs_register(real, 1);
        sqlite3_vfs_unregister(&vfs);
    }
    sqlite3_vfs vfs;
    static inline sqlite3_vfs *real;
    static inline const sqlite3_io_methods *originals[2];
    static inline sqlite3_io_methods counting[2];
    static inline int counts[2]; // of databases, of logs
};

TEST(PowerCuts, TheDatabaseIsOnTheDiskBeforeItsIndex) {
    const ScratchDirectory directory;
    Random random(1);
    const SyncCounter counter;
    Connection connection(directory.file("t.db"));
    connection.run("PRAGMA journal_mode = WAL");
    connection.run("PRAGMA synchronous = NORMAL"); // commits are not synced
    create_both(connection, "outbox=100000");
    const int before = SyncCounter::counts[1];
    for (int i = 0; i < 50; i++) change_both(connection, random, 1000);
    EXPECT_EQ(SyncCounter::counts[1], before);
    connection.run("INSERT INTO docs(docs) VALUES('flush')");
    EXPECT_EQ(SyncCounter::counts[1], before + 1);
    ASSERT_NO_FATAL_FAILURE(expect_same(connection, random));
}

// ---- processes ----

[[noreturn]] void write_until_killed(const std::string &path, uint64_t seed) {
    Random random(seed);
    Connection connection(path);
    for (;;) {
        connection.run("BEGIN IMMEDIATE");
        for (uint64_t i = random() % 12; i > 0; i--) change_both(connection, random, kIds);
        connection.run(random() % 5 == 0 ? "ROLLBACK" : "COMMIT");
        if (random() % 30 == 0) connection.run("INSERT INTO docs(docs) VALUES('compact')");
        if (::testing::Test::HasFailure()) _exit(1);
    }
}

TEST(Crashes, AProcessThatIsKilledLeavesTheTablesAlike) {
    const char *const iterations = getenv("RHUMB_ITERS");
    const int round_count = iterations != nullptr ? atoi(iterations) : kSanitized ? 8 : 24;
    Random random(choose_seed());
    const ScratchDirectory directory;
    const std::string path = directory.file("t.db");
    int64_t drained_rounds = 0, applied_before = 0;
    {
        Connection connection(path);
        connection.run("PRAGMA journal_mode = WAL");
        create_both(connection, kOptions);
    }
    for (int round = 0; round < round_count; round++) {
        const int writer_count = 1 + static_cast<int>(random() % 2);
        std::vector<pid_t> writers;
        for (int i = 0; i < writer_count; i++) {
            const uint64_t seed = random();
            const pid_t writer = fork();
            ASSERT_GE(writer, 0);
            if (writer == 0) write_until_killed(path, seed);
            writers.push_back(writer);
        }
        const timespec pause = {0, static_cast<long>(2000000 + random() % (kSanitized ? 400000000 : 120000000))};
        nanosleep(&pause, nullptr);
        for (pid_t writer : writers) kill(writer, SIGKILL);
        for (pid_t writer : writers) {
            int state = 0;
            ASSERT_EQ(waitpid(writer, &state, 0), writer);
            ASSERT_TRUE(WIFSIGNALED(state)) << "a writer ended by itself with " << WEXITSTATUS(state);
        }
        Connection connection(path);
        ASSERT_NO_FATAL_FAILURE(expect_same(connection, random)) << "round " << round;
        ASSERT_EQ(connection.value("SELECT rhumb_verify('docs')"), "ok") << "round " << round;
        const int64_t applied = connection.info("docs", "applied");
        drained_rounds += applied > applied_before;
        applied_before = applied;
    }
    printf("%d rounds, changes were moved into the index in %lld of them, %lld changes\n", round_count,
           static_cast<long long>(drained_rounds), static_cast<long long>(applied_before));
    EXPECT_GT(drained_rounds, round_count / 8);
}

TEST(Processes, WriteInTurnsAndSeeEachOther) {
    Random random(choose_seed());
    const ScratchDirectory directory;
    const std::string path = directory.file("t.db");
    {
        Connection connection(path);
        connection.run("PRAGMA journal_mode = WAL");
        create_both(connection, kOptions);
    }
    std::vector<pid_t> writers;
    for (int i = 0; i < 3; i++) {
        const uint64_t seed = random();
        const pid_t writer = fork();
        ASSERT_GE(writer, 0);
        if (writer == 0) {
            Random own(seed);
            Connection connection(path);
            for (int round = 0; round < (kSanitized ? 15 : 40); round++) {
                connection.run("BEGIN IMMEDIATE");
                for (int j = 0; j < 6; j++) change_both(connection, own, kIds);
                expect_same(connection, own);
                connection.run("COMMIT");
                // While others commit, a search may see rows that are newer than its transaction; it must not fail.
                connection.rows("SELECT rowid, embedding FROM docs WHERE embedding MATCH ?1 LIMIT 5",
                                {random_vector(own, kDim)});
            }
            _exit(::testing::Test::HasFailure() ? 1 : 0);
        }
        writers.push_back(writer);
    }
    for (pid_t writer : writers) {
        int state = 0;
        ASSERT_EQ(waitpid(writer, &state, 0), writer);
        EXPECT_TRUE(WIFEXITED(state) && WEXITSTATUS(state) == 0) << state;
    }
    Connection connection(path);
    ASSERT_NO_FATAL_FAILURE(expect_same(connection, random));
    EXPECT_GT(connection.info("docs", "applied"), 0);
}

} // namespace
} // namespace sql_test
