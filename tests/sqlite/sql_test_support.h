// What the tests of the SQLite extension share: connections, rows as texts, and the comparison of a table with a
// plain table of SQLite that has gone through the same transactions.
#ifndef RHUMB_TESTS_SQLITE_SQL_TEST_SUPPORT_H
#define RHUMB_TESTS_SQLITE_SQL_TEST_SUPPORT_H

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/support/sanitized.h"
#include "tests/support/scratch_files.h"
#include "tests/support/seed.h"

extern "C" int sqlite3_rhumb_init(sqlite3 *db, char **message, const void *api);

namespace sql_test {

using rhumb_test::choose_seed;
using rhumb_test::kSanitized;
using rhumb_test::ScratchDirectory;
using Random = std::mt19937_64;
using Vector = std::vector<float>;
using Row = std::vector<std::string>;
using Rows = std::vector<Row>;

// Every drain of a table waits for the disk, and no test cuts the power: in memory, if there is such a folder.
inline const bool in_memory = access("/dev/shm", W_OK) == 0 && setenv("TEST_TMPDIR", "/dev/shm", 1) == 0;

inline Vector random_vector(Random &random, size_t dim) {
    Vector vector(dim);
    for (float &component : vector) component = static_cast<float>(random() % 20000) / 10000 - 1;
    return vector;
}

// A connection with the extension. A failure of `rows` or `run` is the test's, one of `try_rows` is returned.
class Connection {
  public:
    explicit Connection(const std::string &path, int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE) {
        EXPECT_EQ(sqlite3_open_v2(path.c_str(), &db_, flags, nullptr), SQLITE_OK) << path;
        sqlite3_busy_timeout(db_, 60000);
        sqlite3_exec(db_, "PRAGMA synchronous = OFF", nullptr, nullptr, nullptr); // no test cuts the power
        char *message = nullptr;
        const int code = sqlite3_rhumb_init(db_, &message, nullptr);
        EXPECT_TRUE(code == SQLITE_OK || code == SQLITE_OK_LOAD_PERMANENTLY) << message;
    }
    Connection(const Connection &) = delete;
    Connection &operator=(const Connection &) = delete;
    ~Connection() { EXPECT_EQ(sqlite3_close(db_), SQLITE_OK) << sqlite3_errmsg(db_); }

    // Runs a statement with vectors as its parameters. Returns "" or the message; *rows receives the rows.
    std::string try_rows(const std::string &sql, const std::vector<Vector> &vectors, Rows *rows) {
        sqlite3_stmt *statement = nullptr;
        int code = sqlite3_prepare_v2(db_, sql.c_str(), -1, &statement, nullptr);
        for (size_t i = 0; i < vectors.size() && code == SQLITE_OK; i++) {
            code = sqlite3_bind_blob(statement, static_cast<int>(i) + 1, vectors[i].data(),
                                     static_cast<int>(vectors[i].size() * sizeof(float)), SQLITE_TRANSIENT);
        }
        if (code == SQLITE_OK) {
            while ((code = sqlite3_step(statement)) == SQLITE_ROW) rows->push_back(row_of(statement));
        }
        const std::string message = code == SQLITE_DONE ? "" : sqlite3_errmsg(db_);
        sqlite3_finalize(statement);
        return message;
    }
    Rows rows(const std::string &sql, const std::vector<Vector> &vectors = {}) {
        Rows found;
        EXPECT_EQ(try_rows(sql, vectors, &found), "") << sql;
        return found;
    }
    std::string value(const std::string &sql, const std::vector<Vector> &vectors = {}) {
        const Rows found = rows(sql, vectors);
        return found.empty() ? "no row" : found[0][0];
    }
    void run(const std::string &sql, const std::vector<Vector> &vectors = {}) { rows(sql, vectors); }
    std::string error(const std::string &sql, const std::vector<Vector> &vectors = {}) {
        Rows ignored;
        return try_rows(sql, vectors, &ignored);
    }
    // One number of rhumb_info of a table.
    int64_t info(const std::string &table, const std::string &field) {
        return std::stoll(value("SELECT json_extract(rhumb_info('" + table + "'), '$." + field + "')"));
    }
    sqlite3 *get() { return db_; }

  private:
    static Row row_of(sqlite3_stmt *statement) {
        Row row;
        for (int i = 0; i < sqlite3_column_count(statement); i++) {
            const auto *bytes = static_cast<const char *>(sqlite3_column_blob(statement, i));
            row.emplace_back(bytes == nullptr ? "" : bytes, static_cast<size_t>(sqlite3_column_bytes(statement, i)));
        }
        return row;
    }
    sqlite3 *db_ = nullptr;
};

// Vectors in a table "docs" of the extension and in a plain one, "mirror", which every transaction changes alike.
constexpr size_t kDim = 8;

inline void create_both(Connection &connection, const std::string &options) {
    connection.run("CREATE VIRTUAL TABLE docs USING rhumb0(embedding float[8], " + options + ")");
    connection.run("CREATE TABLE mirror(id INTEGER PRIMARY KEY, vector BLOB)");
}

// One change of a row, to both tables.
inline void change_both(Connection &connection, Random &random, uint64_t id_count) {
    const std::string id = std::to_string(random() % id_count + 1), other = std::to_string(random() % id_count + 1);
    const Vector vector = random_vector(random, kDim);
    switch (random() % 8) {
    case 0:
        connection.run("DELETE FROM docs WHERE rowid = " + id);
        connection.run("DELETE FROM mirror WHERE id = " + id);
        break;
    case 1:
        connection.run("UPDATE docs SET embedding = ?1 WHERE rowid = " + id, {vector});
        connection.run("UPDATE mirror SET vector = ?1 WHERE id = " + id, {vector});
        break;
    case 2:
        EXPECT_EQ(connection.error("UPDATE docs SET rowid = " + other + " WHERE rowid = " + id).empty(),
                  connection.error("UPDATE mirror SET id = " + other + " WHERE id = " + id).empty());
        break;
    case 3:
        EXPECT_EQ(connection.error("INSERT INTO docs(rowid, embedding) VALUES(" + id + ", ?1)", {vector}).empty(),
                  connection.error("INSERT INTO mirror VALUES(" + id + ", ?1)", {vector}).empty());
        break;
    default:
        connection.run("INSERT OR REPLACE INTO docs(rowid, embedding) VALUES(" + id + ", ?1)", {vector});
        connection.run("INSERT OR REPLACE INTO mirror VALUES(" + id + ", ?1)", {vector});
        break;
    }
}

// Both tables have the same rows; and a search finds, of the right distances, most.
inline void expect_same(Connection &connection, Random &random) {
    ASSERT_EQ(connection.rows("SELECT rowid, embedding FROM docs ORDER BY rowid"),
              connection.rows("SELECT id, vector FROM mirror ORDER BY id"));
    size_t right = 0, wanted = 0;
    for (int i = 0; i < 4; i++) {
        const Vector query = random_vector(random, kDim);
        const Rows truth = connection.rows(
            "SELECT id, rhumb_distance(vector, ?1) AS distance FROM mirror ORDER BY distance LIMIT 10", {query});
        const char *const sql = i % 2 == 0 ? "SELECT rowid, distance FROM docs WHERE embedding MATCH ?1 AND k = 10"
                                           : "SELECT v.rowid, v.distance FROM docs v JOIN mirror m ON m.id = v.rowid "
                                             "WHERE v.embedding MATCH ?1 ORDER BY v.distance LIMIT 10";
        const Rows found = connection.rows(sql, {query});
        ASSERT_EQ(found.size(), truth.size());
        wanted += truth.size();
        for (const Row &row : found) right += std::find(truth.begin(), truth.end(), row) != truth.end();
    }
    ASSERT_GE(static_cast<double>(right), 0.9 * static_cast<double>(wanted));
}

} // namespace sql_test

#endif // RHUMB_TESTS_SQLITE_SQL_TEST_SUPPORT_H
