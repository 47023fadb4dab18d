"""Goal: `serve.py import` makes a folder of what apt_search.py keeps, copies only what has changed, and puts right what
a crash has left.

Method: a few packages with a stand-in for the model; the folder is read as the service reads it.
"""

import os
import sqlite3

import rhumb.shards
import serve_support
import support
from service import collection, importing


class Imports(support.TestCase):
    def setUp(self):
        super().setUp()
        self.apt, self.served = self.path("apt"), self.path("served")

    def update(self, some):
        serve_support.make_apt(self.apt, some)
        return self.run_import()

    def run_import(self):
        return importing.import_packages(self.apt, self.served, 3, "words", say=lambda line: None)

    def sql(self, statement):
        documents = sqlite3.connect(os.path.join(self.served, collection.DOCUMENTS))
        try:
            with documents:
                return documents.execute(statement).fetchall()
        finally:
            documents.close()

    def check(self, some):
        """The folder has these packages, each with its vector, and nothing else."""
        with rhumb.shards.open(self.served, read_only=True) as shards:
            rows = self.sql("SELECT key, name, section, summary FROM document WHERE hash IS NOT NULL")
            self.assertEqual({row[1:] for row in rows}, {(one.name, one.section, one.summary) for one in some.values()})
            self.assertEqual(sorted(row[0] for row in rows), sorted(shards.keys().tolist()))
            for key, name, *_ in rows:
                (vector,) = support.WordEncoder().embed([some[name].text])
                (distance,) = shards.search(vector, 1, filter=[key], exact=True).distances
                self.assertAlmostEqual(float(distance), 0, places=5)

    def test_a_new_folder_has_every_package(self):
        some = serve_support.packages(60)
        self.assertEqual(self.update(some), (60, 0))
        self.check(some)
        self.assertEqual(rhumb.shards.info(self.served).metadata, b'{"model": "words"}')

    def test_a_section_is_named_without_its_archive_area(self):
        some = serve_support.packages(3)
        some["package1"].section = "contrib/sound"
        self.update(some)
        self.assertEqual(self.sql("SELECT section FROM document WHERE name = 'package1'"), [("sound",)])

    def test_only_what_has_changed_is_copied(self):
        some = serve_support.packages(60)
        self.update(some)
        self.assertEqual(self.run_import(), (0, 0))
        epoch = rhumb.shards.info(self.served).epoch
        self.assertEqual(self.run_import(), (0, 0))
        self.assertEqual(rhumb.shards.info(self.served).epoch, epoch)
        del some["package3"]
        some["package5"].__init__("package5", "games", "quite another thing", [])
        some.update(serve_support.packages(2, 100))
        self.assertEqual(self.update(some), (3, 1))
        self.check(some)

    def test_a_package_that_went_and_came_back_has_one_document(self):
        some = serve_support.packages(20)
        self.update(some)
        gone = dict(some)
        del gone["package7"]
        serve_support.make_apt(self.apt, gone)
        self.assertEqual(self.update(some), (1, 1))  # under another key
        self.check(some)

    def test_what_a_crash_left_is_put_right(self):
        some = serve_support.packages(20)
        self.update(some)
        self.sql("UPDATE document SET hash = NULL WHERE key % 3 = 0")  # before a checkpoint
        self.sql("DELETE FROM document WHERE key = 4")
        with rhumb.shards.open(self.served) as shards:
            shards.delete([6])  # after a vector was deleted, before its document was
        self.sql("UPDATE document SET hash = NULL WHERE key = 6")
        copied, deleted = self.run_import()
        self.assertEqual((copied, deleted), (7, 0))
        self.check(some)


if __name__ == "__main__":
    support.main()
