// Goal: SELECT finds what it should, however it is written: with k and without, joined, filtered by rowid and by
// other tables, within a distance, in the outbox and in the index; and pulls no more than it needs. Method: one
// table of random vectors, of which some changes are still in the outbox, next to a plain table that brute force
// orders.
#include "tests/sqlite/sql_test_support.h"

namespace sql_test {
namespace {

class Search : public ::testing::Test {
  protected:
    static constexpr int kCount = 3000;

    static void SetUpTestSuite() {
        directory_ = new ScratchDirectory;
        connection_ = new Connection(directory_->file("search.db"));
        Random random(7);
        create_both(*connection_, "M=8, ef_construction=60, outbox=500");
        connection_->run("CREATE TABLE d(id INTEGER PRIMARY KEY, lang TEXT, title TEXT)");
        connection_->run("BEGIN");
        for (int id = 1; id <= kCount; id++) put(random, id);
        connection_->run("COMMIT");
        connection_->run("INSERT INTO docs(docs) VALUES('flush')");
        connection_->run("INSERT INTO d SELECT id, iif(id % 50 = 0, 'de', 'en'), 'title ' || id FROM mirror");
        connection_->run("DELETE FROM docs WHERE rowid BETWEEN 100 AND 119");
        connection_->run("DELETE FROM mirror WHERE id BETWEEN 100 AND 119");
        for (int id = 200; id < 300; id++) put(random, id);
        for (int id = 5000; id < 5100; id++) put(random, id);
        ASSERT_EQ(connection_->info("docs", "pending_count"), 220);
        query_ = random_vector(random, kDim);
    }
    static void TearDownTestSuite() {
        delete connection_;
        delete directory_;
    }
    static void put(Random &random, int id) {
        const Vector vector = random_vector(random, kDim);
        connection_->run("INSERT OR REPLACE INTO docs(rowid, embedding) VALUES(" + std::to_string(id) + ", ?1)",
                         {vector});
        connection_->run("INSERT OR REPLACE INTO mirror VALUES(" + std::to_string(id) + ", ?1)", {vector});
    }
    // What a statement finds is what brute force finds under the same condition on "id" and "distance".
    static void expect_found(const std::string &sql, const std::string &condition, int limit, int offset = 0) {
        const Rows truth = connection_->rows(
            "SELECT id FROM (SELECT id, rhumb_distance(vector, ?1) AS distance FROM mirror) WHERE " + condition +
                " ORDER BY distance LIMIT " + std::to_string(limit) + " OFFSET " + std::to_string(offset),
            {query_});
        const Rows found = connection_->rows(sql, {query_});
        ASSERT_GT(truth.size(), 0u);
        ASSERT_EQ(found.size(), truth.size()) << sql;
        size_t right = 0;
        for (size_t i = 0; i < truth.size(); i++) right += found[i][0] == truth[i][0];
        EXPECT_GE(right + truth.size() / 10, truth.size()) << sql;
    }

    static ScratchDirectory *directory_;
    static Connection *connection_;
    static Vector query_;
};
ScratchDirectory *Search::directory_;
Connection *Search::connection_;
Vector Search::query_;

TEST_F(Search, WithKFindsTheNearest) {
    expect_found("SELECT rowid FROM docs WHERE embedding MATCH ?1 AND k = 20", "1", 20);
    expect_found("SELECT rowid FROM docs WHERE embedding MATCH ?1 AND k = 20 AND ef = 300 ORDER BY distance", "1", 20);
    EXPECT_EQ(connection_->rows("SELECT k, ef FROM docs WHERE embedding MATCH ?1 AND k = 1 AND ef = 99", {query_})[0],
              Row({"1", "99"}));
}

TEST_F(Search, WithoutKListsNearestFirst) {
    expect_found("SELECT rowid FROM docs WHERE embedding MATCH ?1 LIMIT 20", "1", 20);
    expect_found("SELECT rowid FROM docs WHERE embedding MATCH ?1 ORDER BY distance LIMIT 20", "1", 20);
    expect_found("SELECT rowid FROM docs WHERE embedding MATCH ?1 ORDER BY distance LIMIT 20 OFFSET 35", "1", 20, 35);
    EXPECT_EQ(connection_->value("SELECT count(*) FROM docs WHERE embedding MATCH ?1", {query_}),
              connection_->value("SELECT count(*) FROM mirror"));
    EXPECT_EQ(connection_->value("SELECT count(DISTINCT rowid) FROM docs WHERE embedding MATCH ?1", {query_}),
              connection_->value("SELECT count(*) FROM mirror"));
}

TEST_F(Search, AnyConditionOnAJoinedTableLeavesTheNearest) {
    const std::string german = "id IN (SELECT id FROM d WHERE lang = 'de')";
    for (const char *tables : {"docs v JOIN d ON d.id = v.rowid", "d JOIN docs v ON d.id = v.rowid"}) {
        for (const char *index : {"DROP INDEX IF EXISTS by_lang", "CREATE INDEX by_lang ON d(lang)", "ANALYZE"}) {
            connection_->run(index);
            const int64_t before = connection_->info("docs", "pulled_count");
            expect_found("SELECT v.rowid FROM " + std::string(tables) +
                             " WHERE v.embedding MATCH ?1 AND d.lang = 'de' ORDER BY v.distance LIMIT 10",
                         german, 10);
            const int64_t pulled = connection_->info("docs", "pulled_count") - before;
            EXPECT_LT(pulled, 1000) << tables << ", " << index; // 10 of 2% need 500
            EXPECT_GE(pulled, 10) << tables << ", " << index;
        }
    }
    expect_found("SELECT v.rowid FROM docs v JOIN d ON d.id = v.rowid WHERE v.embedding MATCH ?1 AND d.title LIKE '%7' "
                 "ORDER BY v.distance LIMIT 10 OFFSET 5",
                 "id <= 3000 AND id % 10 = 7", 10, 5);
}

TEST_F(Search, RowidsAreFilters) {
    expect_found("SELECT rowid FROM docs WHERE embedding MATCH ?1 AND k = 10 AND rowid IN (SELECT id FROM d WHERE "
                 "lang = 'de')",
                 "id IN (SELECT id FROM d WHERE lang = 'de')", 10);
    expect_found("SELECT rowid FROM docs WHERE embedding MATCH ?1 AND rowid IN (5, 210, 110, 9999, 5001, 7) "
                 "ORDER BY distance",
                 "id IN (5, 210, 110, 9999, 5001, 7)", 10);
    expect_found("SELECT rowid FROM docs WHERE embedding MATCH ?1 AND k = 10 AND rowid > 90 AND rowid <= 250",
                 "id > 90 AND id <= 250", 10);
    expect_found(
        "SELECT rowid FROM docs WHERE embedding MATCH ?1 AND rowid BETWEEN 90 AND 250 ORDER BY distance LIMIT 10",
        "id BETWEEN 90 AND 250", 10);
    expect_found("SELECT rowid FROM docs WHERE embedding MATCH ?1 AND rowid = 5050", "id = 5050", 1);
    for (const char *nothing :
         {"rowid IN ()", "rowid = 110", "rowid = 1.5", "rowid > 'a'", "rowid < NULL", "rowid > 1e30", "rowid = -1",
          "rowid > 9223372036854775807", "rowid IN ('x', NULL)", "k = 5 AND rowid < -9"}) {
        EXPECT_TRUE(
            connection_->rows("SELECT rowid FROM docs WHERE embedding MATCH ?1 AND " + std::string(nothing), {query_})
                .empty())
            << nothing;
    }
    expect_found("SELECT rowid FROM docs WHERE embedding MATCH ?1 AND k = 10 AND rowid < 'a' AND rowid > 2.5",
                 "id > 2.5", 10);
}

TEST_F(Search, DistancesAreRadii) {
    const std::string far = connection_->value(
        "SELECT rhumb_distance(vector, ?1) AS d FROM mirror ORDER BY d LIMIT 1 OFFSET 150", {query_});
    expect_found("SELECT rowid FROM docs WHERE embedding MATCH ?1 AND distance < " + far + " ORDER BY distance",
                 "distance < " + far, 1000);
    expect_found("SELECT rowid FROM docs WHERE embedding MATCH ?1 AND distance <= " + far + " AND k = 30",
                 "distance <= " + far, 30);
    expect_found("SELECT rowid FROM docs WHERE embedding MATCH ?1 AND distance < " + far +
                     " AND distance > 0.9 AND rowid < 1000 ORDER BY distance",
                 "distance > 0.9 AND id < 1000 AND distance < " + far, 1000);
    EXPECT_TRUE(
        connection_->rows("SELECT rowid FROM docs WHERE embedding MATCH ?1 AND distance < NULL", {query_}).empty());
}

TEST_F(Search, RowsAreFoundWithoutAQuery) {
    EXPECT_EQ(connection_->rows("SELECT rowid, embedding FROM docs ORDER BY rowid"),
              connection_->rows("SELECT id, vector FROM mirror ORDER BY id"));
    EXPECT_EQ(connection_->rows("SELECT rowid FROM docs WHERE rowid > 80 AND rowid < 130 ORDER BY rowid DESC"),
              connection_->rows("SELECT id FROM mirror WHERE id > 80 AND id < 130 ORDER BY id DESC"));
    EXPECT_EQ(connection_->rows("SELECT rowid, distance, k FROM docs WHERE rowid IN (5000, 3, 110)").size(), 2u);
    EXPECT_EQ(connection_->value("SELECT count(*) FROM docs WHERE k = 3"), "0");
}

TEST_F(Search, TwoQueriesOfOneStatementDoNotDisturbEachOther) {
    const Rows found = connection_->rows(
        "SELECT a.rowid, b.rowid FROM docs a JOIN docs b ON b.embedding MATCH a.embedding AND b.k = 1 "
        "WHERE a.embedding MATCH ?1 AND a.k = 5",
        {query_});
    ASSERT_EQ(found.size(), 5u);
    for (const Row &row : found) EXPECT_EQ(row[0], row[1]);
}

TEST_F(Search, AnyIndexIsScannedByItsPath) {
    const std::string path = connection_->value("SELECT json_extract(rhumb_info('docs'), '$.path')");
    const Rows found = connection_->rows(
        "SELECT key, distance FROM rhumb_scan('" + path + "', ?1, 5, 200) ORDER BY distance", {query_});
    EXPECT_EQ(found.size(), 5u);
    EXPECT_EQ(connection_->value("SELECT rhumb_verify('" + path + "')"), "ok");
    EXPECT_EQ(connection_->value("SELECT rhumb_verify('main.docs')"), "ok");
    EXPECT_NE(connection_->error("SELECT * FROM rhumb_scan('/nowhere', ?1, 5)", {query_}), "");
    EXPECT_NE(connection_->error("SELECT * FROM rhumb_scan('" + path + "', ?1)", {query_}), "");
    EXPECT_NE(connection_->error("SELECT * FROM rhumb_scan('" + path + "', '[1]', 5)"), "");
    EXPECT_NE(connection_->error("SELECT rhumb_verify('/nowhere')"), "");
    EXPECT_NE(connection_->error("SELECT rhumb_info(NULL)"), "");
}

TEST(Distance, IsThatOfTheMetric) {
    Connection connection(":memory:");
    EXPECT_EQ(connection.value("SELECT rhumb_distance('[1, 2]', '[4, 6]')"), "5.0");
    EXPECT_EQ(connection.value("SELECT rhumb_distance('[1,2]', '[4,6]', 'l1')"), "7.0");
    EXPECT_EQ(connection.value("SELECT rhumb_distance(x'01', x'03', 'hamming', 'b1')"), "0.125");
    EXPECT_EQ(connection.value("SELECT rhumb_distance(x'01ff', '[3, -1]', 'l2', 'i8')"), "2.0");
    EXPECT_EQ(connection.value("SELECT rhumb_distance(NULL, '[1]') IS NULL"), "1");
    for (const char *wrong :
         {"'[1,2]', '[1]'", "'[1', '[1]'", "'[]', '[]'", "'[1]', '[1]', 'x'", "'[1]', '[1]', 'l2', 'x'",
          "'[1e999]', '[1]'", "'[nan]', '[1]'", "'[0x1]', '[1]'", "1, 2", "'[1]'", "x'00', x'00'",
          "'[300]', '[1]', 'l2', 'i8'", "'[1.5]', '[1]', 'l2', 'i8'", "'[2]', '[1]', 'hamming', 'b1'",
          "'[1]', '[1]', 'levenshtein', 'u8'", "x'0000c07f', x'00000000'", "'[1]x', '[1]'"}) {
        EXPECT_NE(connection.error("SELECT rhumb_distance(" + std::string(wrong) + ")"), "") << wrong;
    }
}

} // namespace
} // namespace sql_test
