"""Goal: notebooks show an index as a table of what it is and holds, in whatever state it is.

Method: indexes that are empty, full, read-only and closed; the table is read as XML, which also finds what is not
escaped.
"""

import xml.etree.ElementTree

import rhumb
import support
from support import vectors


class Html(support.TestCase):
    def rows(self, index):
        table = xml.etree.ElementTree.fromstring(index._repr_html_())
        return {row[0].text: "".join(row[1].itertext()) for row in table.iter("tr")}

    def test_an_index_is_a_table(self):
        index = self.create(1000, M=4, name="a <b> & c.rhumb")
        index.delete(range(10))
        rows = self.rows(index)
        self.assertEqual(rows["path"], self.path("a <b> & c.rhumb"))
        self.assertEqual(rows["vectors"], "16 x f32, l2")
        self.assertEqual(rows["count"], "990; 10 deleted")
        self.assertRegex(rows["graph"], "^M 4, M0 8, ef_construction 200, codes ")
        self.assertEqual(rows["state"], "open for writing, durability none")
        levels = [int(text.replace(",", "")) for name, text in rows.items() if name.startswith("level")]
        self.assertEqual(sum(levels), 1000)
        self.assertGreater(len(levels), 2)

    def test_bars_are_as_long_as_their_counts(self):
        index = self.create(1000, M=4)
        counts = index.stats.level_counts
        self.assertIn(f"width:{16 * counts[1] / counts[0]:.1f}em", index._repr_html_())
        self.assertIn("width:16.0em", index._repr_html_())

    def test_every_state_is_shown(self):
        index = self.create()
        self.assertEqual(self.rows(index)["count"], "0; 0 deleted")
        index.add(vectors(1))
        index.close()
        self.assertEqual(self.rows(index)["state"], "closed")
        with rhumb.open(self.path()) as writer, rhumb.open(self.path(), read_only=True) as reader:
            self.assertEqual(self.rows(reader)["state"], "open read-only")
            writer.add(vectors(1))
            self.assertEqual(self.rows(reader)["count"], "1, 1 more in the log; 0 deleted")


if __name__ == "__main__":
    support.main()
