"""Goal: the SQLite extension loads where docs/sqlite.md says, in Python and in the command line tool, and does what the
page shows.

Method: the statements of the page are run by both, one after the other; a table goes through commits and rollbacks.
"""

import os
import re
import shutil
import sqlite3
import subprocess
import unittest

import numpy as np

import rhumb
import support
from support import DIM, vectors

ROOT = os.path.abspath(os.environ.get("RHUMB_SOURCES", "."))
PAGE = os.path.join(ROOT, "docs/sqlite.md")
CAN_LOAD = hasattr(sqlite3.Connection, "enable_load_extension")


def statements():
    with open(PAGE) as file:
        return re.findall(r"^```sql\n(.*?)^```", file.read(), re.DOTALL | re.MULTILINE)


class Refused(support.TestCase):
    @unittest.skipIf(CAN_LOAD, "this Python can load extensions")
    def test_a_python_without_extensions(self):
        connection = sqlite3.connect(":memory:")
        self.addCleanup(connection.close)
        self.assertRaises(rhumb.Unsupported, rhumb.load_sqlite, connection)


@unittest.skipUnless(CAN_LOAD, "this Python cannot load extensions")
class Loaded(support.TestCase):
    def connect(self, name="library.db"):
        connection = sqlite3.connect(self.path(name))
        self.addCleanup(connection.close)
        rhumb.load_sqlite(connection)
        return connection

    def test_a_table_is_searched(self):
        connection = self.connect()
        connection.execute(f"CREATE VIRTUAL TABLE t USING rhumb0(v float[{DIM}], path='t.rhumb')")
        data = vectors(2000)
        with connection:
            rows = [(key, vector.tobytes()) for key, vector in enumerate(data)]
            connection.executemany("INSERT INTO t(rowid, v) VALUES(?, ?)", rows)
        nearest = "SELECT rowid FROM t WHERE v MATCH ? ORDER BY distance LIMIT 3"
        expected = np.argsort(np.linalg.norm(data - data[7], axis=1))[:3].tolist()
        for _ in range(2):
            found = [key for (key,) in connection.execute(nearest, (data[7].tobytes(),))]
            self.assertEqual(found, expected)
            with connection:
                connection.execute("INSERT INTO t(t) VALUES('flush')")
        connection.execute("DELETE FROM t WHERE rowid = 7")
        self.assertEqual(connection.execute(nearest, (data[7].tobytes(),)).fetchone()[0], expected[1])
        connection.rollback()
        self.assertEqual(connection.execute(nearest, (data[7].tobytes(),)).fetchone()[0], 7)
        with rhumb.open(self.path("t.rhumb"), read_only=True) as index:
            self.assertEqual(len(index), 2000)
            np.testing.assert_array_equal(index[7], data[7])

    def test_extensions_are_off_afterwards(self):
        connection = self.connect()
        self.assertRaises(sqlite3.OperationalError, connection.load_extension, rhumb.sqlite_extension())

    @unittest.skipUnless(os.path.exists(PAGE), "needs the sources: RHUMB_SOURCES")
    def test_the_manual(self):
        before = os.getcwd()
        self.addCleanup(os.chdir, before)
        os.chdir(self.folder)
        connection = self.connect()
        connection.isolation_level = None
        blocks = statements()
        self.assertGreater(len(blocks), 4)
        for block in blocks:
            connection.executescript(block)
        titles = connection.execute(
            "SELECT d.title FROM docs v JOIN d ON d.id = v.rowid WHERE v.embedding MATCH '[1, 0, 0, 0]' "
            "AND d.lang = 'en' ORDER BY v.distance LIMIT 10"
        ).fetchall()
        self.assertEqual(titles, [("tree",), ("sea",)])

    @unittest.skipUnless(os.path.exists(PAGE) and shutil.which("sqlite3"), "needs the sources and sqlite3")
    def test_the_manual_in_the_command_line_tool(self):
        command = ["sqlite3", "-bail", "-cmd", ".load " + rhumb.sqlite_extension(), "library.db"]
        done = subprocess.run(
            command, cwd=self.folder, input="".join(statements()), capture_output=True, text=True, check=False
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("tree", done.stdout)
        self.assertIn("\nok\n", done.stdout)


if __name__ == "__main__":
    support.main()
