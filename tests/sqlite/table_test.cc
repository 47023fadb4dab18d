// Goal: tables are created as vec0's are, hold what is written, and answer everything else with a clear error: wrong
// vectors, wrong files, files that are missing, of another table, or out of step with the database. Method: tables
// of good and of bad statements; files that are moved, copied and overwritten between two connections.
#include <filesystem>

#include "include/rhumb.h"
#include "tests/sqlite/sql_test_support.h"

namespace sql_test {
namespace {

namespace fs = std::filesystem;

class Table : public ::testing::Test {
  protected:
    // A table "docs" of `count` rows, moved into its index, which is closed again.
    void make(int count, const std::string &name = "t.db") {
        Connection connection(directory_.file(name));
        Random random(11);
        create_both(connection, "outbox=100");
        connection.run("BEGIN");
        for (int id = 1; id <= count; id++) {
            connection.run("INSERT INTO docs(embedding) VALUES(?1)", {random_vector(random, kDim)});
        }
        connection.run("COMMIT");
        connection.run("INSERT INTO docs(docs) VALUES('flush')");
    }
    std::string path(const std::string &name = "t.db") const { return directory_.file(name); }
    std::string index_path(const std::string &name = "t.db") const { return directory_.file(name + "-docs.rhumb"); }
    // The message of a search, of a write, or "" where both succeed.
    std::string error_of_use() {
        Connection connection(path());
        const std::string found =
            connection.error("SELECT rowid FROM docs WHERE embedding MATCH ?1 AND k = 3", {query_});
        const std::string wrote = connection.error("INSERT INTO docs(embedding) VALUES(?1)", {query_});
        return found.empty() ? wrote : found;
    }
    void expect_can_be_dropped() {
        Connection connection(path());
        connection.run("DROP TABLE docs");
        EXPECT_EQ(connection.value("SELECT count(*) FROM sqlite_schema WHERE name LIKE 'docs%'"), "0");
    }
    ScratchDirectory directory_;
    const Vector query_ = Vector(kDim, 0.5f);
};

TEST_F(Table, ColumnsAreWrittenAsForVec0) {
    Connection connection(":memory:");
    for (const char *good :
         {"embedding float[768]", "id integer primary key, e float[3] distance_metric=cosine",
          "e FLOAT[3] distance_metric=L2", "\"my column\" int8[16] distance_metric=l1", "e bit[64]",
          "e f16[4], M=8, ef_construction=40, ef_search=20, codes=none", "e u8[4] , codes = none",
          "e float [3], path='/tmp/never made.rhumb'", "'/tmp/never.rhumb', e f64[3] distance_metric=ip"}) {
        EXPECT_EQ(connection.error("CREATE VIRTUAL TABLE t USING rhumb0(" + std::string(good) + ")"), "") << good;
        EXPECT_EQ(connection.error("DROP TABLE t"), "") << good;
    }
    const std::pair<const char *, const char *> wrong[] = {
        {"", "expected a column of vectors"},
        {"e float", "in brackets"},
        {"e float[]", "whole number"},
        {"e float[0]", "needs a component"},
        {"e float[65536]", "whole number up to 65535"},
        {"e float[3 4]", "in brackets"},
        {"e float[3] x=1", "unknown attribute"},
        {"e float[3] distance_metric=nearest", "is not a metric"},
        {"e float[3] distance_metric=levenshtein", "cannot have"},
        {"e int8[3] distance_metric=hellinger", "does not measure"},
        {"e float[3], f float[3]", "one column of vectors"},
        {"e float[3], genre text", "JOIN it by rowid"},
        {"e float[3], +body text", "JOIN it by rowid"},
        {"e float[3], id text primary key", "must be an integer"},
        {"e float[3], M=many", "whole number"},
        {"e float[3], M=", "has no value"},
        {"e float[3], colour=red", "unknown option"},
        {"e float[3], adopt=1", "adopt needs path"},
        {"e float[3], adopt=1, path='/nowhere/x.rhumb'", "missing"},
    };
    for (const auto &[text, why] : wrong) {
        const std::string message = connection.error("CREATE VIRTUAL TABLE t USING rhumb0(" + std::string(text) + ")");
        EXPECT_NE(message.find(why), std::string::npos) << text << ": " << message;
    }
}

TEST_F(Table, WrongVectorsAreRefused) {
    make(5);
    Connection connection(path());
    const std::pair<const char *, const char *> wrong[] = {
        {"x'00'", "has 1 bytes"},
        {"'[1,2]'", "has 2 components"},
        {"'[1,2,3,4,5,6,7,8,9]'", "has 9"},
        {"'[1,2,3,4,5,6,7,nan]'", "JSON"},
        {"'[1,2,3,4,5,6,7,1e99]'", "infinity"},
        {"'no'", "JSON"},
        {"5", "a vector is"},
        {"zeroblob(1000000)", "bytes"},
        {"x'0000c07f' || zeroblob(28)", ""},
        {"NULL", "NOT NULL"},
        {"'[1,2,3,4,5,6,7,8'", "JSON"},
        {"'[1,2,3,4,5,6,7,8]]'", "JSON"},
    };
    for (const auto &[text, why] : wrong) {
        const std::string vector = text, write = connection.error("INSERT INTO docs(embedding) VALUES(" + vector + ")");
        EXPECT_NE(write.find(why), std::string::npos) << text << ": " << write;
        EXPECT_NE(write, "") << text;
        EXPECT_NE(connection.error("UPDATE docs SET embedding = " + vector + " WHERE rowid = 1"), "") << text;
        EXPECT_NE(connection.error("SELECT * FROM docs WHERE k = 1 AND embedding MATCH " + vector), "") << text;
    }
    Vector not_finite = query_;
    not_finite[3] = NAN;
    EXPECT_NE(connection.error("INSERT INTO docs(embedding) VALUES(?1)", {not_finite}).find("NaN"), std::string::npos);
    EXPECT_NE(connection.error("SELECT * FROM docs WHERE k = 1 AND embedding MATCH ?1", {not_finite}), "");
    EXPECT_EQ(connection.value("SELECT count(*) FROM docs"), "5");
}

TEST_F(Table, WrongStatementsAreRefused) {
    make(5);
    Connection connection(path());
    for (const char *wrong :
         {"INSERT INTO docs(rowid, embedding) VALUES(1, ?1)", "INSERT INTO docs(rowid, embedding) VALUES(-1, ?1)",
          "INSERT INTO docs(rowid, embedding) VALUES('x', ?1)", "INSERT INTO docs(rowid, embedding) VALUES(1.5, ?1)",
          "INSERT INTO docs(embedding, distance) VALUES(?1, 1)", "UPDATE docs SET k = 3", "UPDATE docs SET rowid = 2",
          "UPDATE docs SET rowid = NULL", "INSERT INTO docs(docs) VALUES('help')",
          "INSERT INTO rhumb_janitor VALUES('x')", "SELECT * FROM docs WHERE embedding MATCH ?1 AND k = 0",
          "SELECT * FROM docs WHERE embedding MATCH ?1 AND k = 'x'",
          "SELECT * FROM docs WHERE embedding MATCH ?1 AND k = NULL",
          "SELECT * FROM docs WHERE embedding MATCH ?1 AND ef = 0",
          "SELECT * FROM docs WHERE embedding MATCH ?1 AND k = 1 AND ef = 1000001",
          "SELECT * FROM docs WHERE embedding MATCH ?1 ORDER BY rowid",
          "SELECT * FROM docs WHERE embedding MATCH ?1 ORDER BY distance DESC"}) {
        EXPECT_NE(connection.error(wrong, {query_}), "") << wrong;
    }
    EXPECT_EQ(connection.rows("SELECT rowid FROM docs WHERE embedding MATCH ?1 AND k = 1000000000", {query_}).size(),
              5u);
    EXPECT_EQ(connection.rows("SELECT rowid FROM docs WHERE embedding MATCH ?1 AND k = 3 ORDER BY rowid DESC", {query_})
                  .size(),
              3u);
}

TEST_F(Table, RowsWithoutARowidGetTheNext) {
    make(5);
    Connection connection(path());
    connection.run("INSERT INTO docs(embedding) VALUES(?1)", {query_});
    EXPECT_EQ(connection.value("SELECT last_insert_rowid()"), "6");
    connection.run("INSERT INTO docs(rowid, embedding) VALUES(100, ?1)", {query_});
    connection.run("INSERT INTO docs(embedding) VALUES(?1)", {query_});
    EXPECT_EQ(connection.value("SELECT max(rowid) FROM docs"), "101");
    connection.run("DELETE FROM docs WHERE rowid = 101");
    connection.run("INSERT INTO docs(rowid, embedding) VALUES(-7, ?1)", {query_});
    EXPECT_EQ(
        connection.value("SELECT group_concat(rowid) FROM (SELECT rowid FROM docs WHERE rowid < 3 ORDER BY rowid)"),
        "-7,1,2");
    connection.run("INSERT OR IGNORE INTO docs(rowid, embedding) VALUES(1, ?1)", {query_});
    EXPECT_NE(connection.value("SELECT embedding FROM docs WHERE rowid = 1"),
              connection.value("SELECT embedding FROM docs WHERE rowid = 100"));
    connection.run("INSERT OR REPLACE INTO docs(rowid, embedding) VALUES(1, ?1)", {query_});
    EXPECT_EQ(connection.value("SELECT embedding FROM docs WHERE rowid = 1"),
              connection.value("SELECT embedding FROM docs WHERE rowid = 100"));
}

TEST_F(Table, EveryElementTypeComesBack) {
    Connection connection(path());
    for (const char *type : {"float", "f16", "bf16", "f64", "int8", "u8", "i16", "u16", "i32", "bit"}) {
        const std::string name = "t_" + std::string(type);
        const bool is_bit = strcmp(type, "bit") == 0;
        connection.run("CREATE VIRTUAL TABLE " + name + " USING rhumb0(e " + type + "[8])");
        connection.run("INSERT INTO " + name + "(e) VALUES('[1,0,1,0,0,0,1,1]'), ('[0,1,1,1,1,0,0,0]')");
        for (int round = 0; round < 2; round++) {
            EXPECT_EQ(connection.value("SELECT rowid FROM " + name + " WHERE e MATCH '[0,1,1,1,1,0,0,1]' AND k = 1"),
                      "2")
                << type;
            const std::string bytes = connection.value("SELECT length(e) FROM " + name);
            EXPECT_EQ(bytes,
                      is_bit ? "1"
                             : std::to_string(8 * std::stoi(connection.value("SELECT length(e) / 8 FROM " + name))));
            connection.run("INSERT INTO " + name + "(" + name + ") VALUES('flush')");
        }
        EXPECT_EQ(connection.value("SELECT hex(e) FROM t_float WHERE rowid = 1").substr(0, 16), "0000803F00000000");
    }
}

TEST_F(Table, ADropIsCommittedOrRolledBack) {
    make(150);
    {
        Connection connection(path());
        connection.run("BEGIN");
        connection.run("DROP TABLE docs");
        connection.run("ROLLBACK");
        EXPECT_TRUE(fs::exists(index_path()));
        connection.run("BEGIN");
        connection.run("SAVEPOINT a");
        connection.run("DROP TABLE docs");
        connection.run("ROLLBACK TO a");
        connection.run("COMMIT");
        EXPECT_TRUE(fs::exists(index_path()));
        EXPECT_EQ(connection.value("SELECT count(*) FROM docs"), "150");
        connection.run("BEGIN");
        connection.run("SAVEPOINT a");
        connection.run("DROP TABLE docs");
        connection.run("RELEASE a");
        EXPECT_TRUE(fs::exists(index_path()));
        connection.run("COMMIT");
        EXPECT_FALSE(fs::exists(index_path()));
        connection.run("BEGIN");
        connection.run("CREATE VIRTUAL TABLE docs USING rhumb0(embedding float[8])");
        connection.run("INSERT INTO docs(embedding) VALUES(?1)", {query_});
        EXPECT_EQ(connection.rows("SELECT rowid FROM docs WHERE embedding MATCH ?1 AND k = 3", {query_}).size(), 1u);
        connection.run("ROLLBACK");
        connection.run("CREATE VIRTUAL TABLE docs USING rhumb0(embedding float[8])");
    }
    EXPECT_EQ(error_of_use(), "");
}

TEST_F(Table, ARenamedOrMovedTableKeepsItsIndex) {
    make(150);
    {
        Connection connection(path());
        connection.run("ALTER TABLE docs RENAME TO \"new docs\"");
        connection.run("INSERT INTO \"new docs\"(\"new docs\") VALUES('compact')");
        EXPECT_EQ(connection.value("SELECT count(*) FROM \"new docs\""), "150");
        connection.run("ALTER TABLE \"new docs\" RENAME TO docs");
    }
    fs::create_directory(directory_.file("moved"));
    fs::rename(path(), directory_.file("moved/t.db"));
    fs::rename(index_path(), directory_.file("moved/t.db-docs.rhumb"));
    Connection connection(directory_.file("moved/t.db"));
    EXPECT_EQ(connection.value("SELECT count(*) FROM docs"), "150");
}

TEST_F(Table, NamesAreOnlyNames) {
    const std::string names[][2] = {
        {"main", "\"we'ird \"\"t%\""}, {"\"o'dd \"\"db\"", "\"../up %s\""}, {"temp", "\"a b\""}};
    {
        Connection connection(path());
        connection.run("ATTACH '" + path("other.db") + "' AS \"o'dd \"\"db\"");
        for (const auto &[schema, name] : names) {
            const std::string table = schema + "." + name;
            connection.run("CREATE VIRTUAL TABLE " + table + " USING rhumb0(\"my \"\"col\" float[2])");
            connection.run("INSERT INTO " + table + "(\"my \"\"col\") VALUES('[1,2]'), ('[3,4]')");
            for (int round = 0; round < 2; round++) {
                EXPECT_EQ(connection.value("SELECT rowid FROM " + table + " WHERE \"my \"\"col\" MATCH '[3,3]'"), "2");
                connection.run("INSERT INTO " + table + "(" + name + ") VALUES('flush')");
            }
        }
        EXPECT_TRUE(fs::exists(directory_.file("t.db-we'ird \"t%.rhumb")));
        EXPECT_TRUE(fs::exists(directory_.file("other.db-.._up %s.rhumb")));
        for (const auto &[schema, name] : names) connection.run("DROP TABLE " + schema + "." + name);
    }
    for (const auto &file : fs::directory_iterator(directory_.path())) {
        EXPECT_NE(file.path().extension(), ".rhumb") << file.path();
    }
}

TEST_F(Table, TriggersAndViewsUseATable) {
    Connection connection(path());
    connection.run("CREATE VIRTUAL TABLE v USING rhumb0(e float[2])");
    connection.run("CREATE TABLE t(id INTEGER PRIMARY KEY, e)");
    connection.run("CREATE TRIGGER added AFTER INSERT ON t BEGIN INSERT INTO v(rowid, e) VALUES(new.id, new.e); END");
    connection.run("CREATE VIEW w AS SELECT rowid AS id FROM v WHERE e MATCH '[1,1]'");
    connection.run("INSERT INTO t(e) VALUES('[1,2]'), ('[5,5]'), ('[1,1]')");
    EXPECT_EQ(connection.value("SELECT last_insert_rowid()"), "3");
    EXPECT_EQ(connection.rows("SELECT id FROM w LIMIT 2"), Rows({{"3"}, {"1"}}));
    EXPECT_NE(connection.error("INSERT INTO t(e) VALUES('[1]')"), "");
    EXPECT_EQ(connection.value("SELECT count(*) FROM t"), "3");
}

TEST_F(Table, AMissingIndexIsAnError) {
    make(150);
    fs::rename(index_path(), directory_.file("away"));
    EXPECT_NE(error_of_use().find("is missing"), std::string::npos) << error_of_use();
    fs::rename(directory_.file("away"), index_path());
    EXPECT_EQ(error_of_use(), "");
    fs::remove(index_path());
    expect_can_be_dropped();
}

TEST_F(Table, AnotherFileInPlaceOfTheIndexIsAnError) {
    make(150);
    make(150, "other.db");
    fs::copy(index_path(), directory_.file("kept"));
    fs::remove(index_path());
    fs::copy(index_path("other.db"), index_path());
    EXPECT_NE(error_of_use().find("index of another table"), std::string::npos) << error_of_use();
    for (const char *content : {"", "not an index", "rhumb"}) {
        fs::remove(index_path());
        rhumb_test::put_file(index_path(), content);
        EXPECT_NE(error_of_use(), "") << content;
    }
    fs::resize_file(directory_.file("kept"), fs::file_size(directory_.file("kept")) / 2);
    fs::remove(index_path());
    fs::copy(directory_.file("kept"), index_path());
    EXPECT_NE(error_of_use(), "");
    fs::remove(index_path());
    fs::create_directory(index_path());
    EXPECT_NE(error_of_use(), "");
    expect_can_be_dropped();
}

TEST_F(Table, AnIndexOrADatabaseThatWasRestoredAloneIsAnError) {
    make(150);
    fs::copy(path(), directory_.file("old.db"));
    fs::copy(index_path(), directory_.file("old.rhumb"));
    {
        Connection connection(path());
        connection.run("INSERT INTO docs(embedding) VALUES(?1)", {query_});
        connection.run("INSERT INTO docs(docs) VALUES('flush')");
    }
    fs::copy(path(), directory_.file("new.db"));
    fs::copy(index_path(), directory_.file("new.rhumb"));
    fs::copy_file(directory_.file("old.rhumb"), index_path(), fs::copy_options::overwrite_existing);
    EXPECT_NE(error_of_use().find("is older than the table"), std::string::npos) << error_of_use();
    fs::copy_file(directory_.file("new.rhumb"), index_path(), fs::copy_options::overwrite_existing);
    fs::copy_file(directory_.file("old.db"), path(), fs::copy_options::overwrite_existing);
    EXPECT_NE(error_of_use().find("is ahead of the table"), std::string::npos) << error_of_use();
    fs::copy_file(directory_.file("old.rhumb"), index_path(), fs::copy_options::overwrite_existing);
    EXPECT_EQ(error_of_use(), "");
}

TEST_F(Table, AReadOnlyDatabaseIsReadAndNotWritten) {
    make(150);
    {
        Connection connection(path());
        Random random(5);
        for (int i = 0; i < 50; i++) {
            connection.run("INSERT INTO docs(embedding) VALUES(?1)", {random_vector(random, kDim)});
        }
    }
    const auto before = rhumb_test::file_bytes(index_path());
    Connection connection(path(), SQLITE_OPEN_READONLY);
    EXPECT_EQ(connection.rows("SELECT rowid FROM docs WHERE embedding MATCH ?1 AND k = 3", {query_}).size(), 3u);
    EXPECT_EQ(connection.value("SELECT count(*) FROM docs"), "200");
    EXPECT_NE(connection.error("INSERT INTO docs(embedding) VALUES(?1)", {query_}).find("readonly"), std::string::npos);
    EXPECT_NE(connection.error("INSERT INTO docs(docs) VALUES('flush')"), "");
    EXPECT_NE(connection.error("DROP TABLE docs"), "");
    EXPECT_TRUE(rhumb_test::file_bytes(index_path()) == before);
}

TEST_F(Table, DamagedTablesOfTheDatabaseAreAnError) {
    make(150);
    const char *const damages[] = {"DELETE FROM docs_info",
                                   "UPDATE docs_info SET path = x'00'",
                                   "UPDATE docs_info SET purged = 'x'",
                                   "DROP TABLE docs_outbox",
                                   "INSERT INTO docs_outbox VALUES(1000, 3, x'00')",
                                   "UPDATE docs_info SET uuid = 'y'"};
    for (const char *damage : damages) {
        fs::copy_file(path(), directory_.file("damaged.db"), fs::copy_options::overwrite_existing);
        fs::copy_file(index_path(), directory_.file("t.db-docs.rhumb.kept"), fs::copy_options::overwrite_existing);
        {
            Connection plain(path());
            plain.run(damage);
        }
        error_of_use(); /* an error or an answer, and no crash */
        { Connection(path()).error("SELECT embedding FROM docs"); }
        fs::copy_file(directory_.file("damaged.db"), path(), fs::copy_options::overwrite_existing);
        fs::copy_file(directory_.file("t.db-docs.rhumb.kept"), index_path(), fs::copy_options::overwrite_existing);
    }
    EXPECT_EQ(error_of_use(), "");
}

TEST_F(Table, AnIndexMadeByOtherMeansIsAdopted) {
    make(150);
    {
        Connection connection(path());
        connection.run("CREATE VIRTUAL TABLE twice USING rhumb0(embedding float[8], path='none.rhumb')");
        EXPECT_NE(
            connection.error("CREATE VIRTUAL TABLE more USING rhumb0(embedding float[8], path='t.db-docs.rhumb')"), "");
        EXPECT_NE(connection.error(
                      "CREATE VIRTUAL TABLE more USING rhumb0(embedding float[8], path='t.db-docs.rhumb', adopt=1)"),
                  "");
    }
    const std::string bare = directory_.file("bare.rhumb");
    rhumb_index_options options;
    rhumb_index_options_init(&options, sizeof options);
    options.dim = kDim;
    rhumb_index *index = nullptr;
    ASSERT_EQ(rhumb_index_create(bare.c_str(), &options, &index), RHUMB_OK);
    ASSERT_EQ(rhumb_index_insert(index, 42, query_.data()), RHUMB_OK);
    ASSERT_EQ(rhumb_index_close(index), RHUMB_OK);
    Connection connection(path());
    EXPECT_NE(connection.error("CREATE VIRTUAL TABLE a USING rhumb0(embedding float[9], path='bare.rhumb', adopt=1)"),
              "");
    EXPECT_NE(connection.error("CREATE VIRTUAL TABLE a USING rhumb0(embedding float[8], path='bare.rhumb')"), "");
    connection.run("CREATE VIRTUAL TABLE a USING rhumb0(embedding float[8], path='bare.rhumb', adopt=1)");
    EXPECT_EQ(connection.value("SELECT rowid FROM a WHERE embedding MATCH ?1 AND k = 3", {query_}), "42");
    connection.run("INSERT INTO a(embedding) VALUES(?1)", {query_});
    connection.run("INSERT INTO a(a) VALUES('flush')");
    EXPECT_EQ(connection.value("SELECT group_concat(rowid) FROM a"), "42,43");
    connection.run("DROP TABLE a");
    EXPECT_TRUE(fs::exists(bare));
}

TEST_F(Table, ATableOfADatabaseInMemoryHasATemporaryIndex) {
    std::string index;
    {
        Connection connection(":memory:");
        create_both(connection, "outbox=100");
        Random random(3);
        for (int i = 0; i < 150; i++) change_both(connection, random, 1000);
        expect_same(connection, random);
        connection.run("INSERT INTO docs(docs) VALUES('flush')");
        expect_same(connection, random);
        index = connection.value("SELECT json_extract(rhumb_info('docs'), '$.path')");
        EXPECT_TRUE(fs::exists(index)) << index;
    }
    EXPECT_FALSE(fs::exists(index));
}

} // namespace
} // namespace sql_test
