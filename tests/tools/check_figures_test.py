"""Goal: tools/check_figures.py accepts figures that a result has, by its rules of rounding and ratios, and no others.

Method: a README of a few lines and results of a few numbers, in a temporary folder.
"""

import os
import tempfile
import unittest

import check_figures


class Figures(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.write("r/a.txt", "18938 11536 x 1.64\ncold 90.28, warm 0.835; 1.08x, >=18109, (0.66x), 10.6 18.6\n")

    def write(self, path, text):
        full = os.path.join(self.folder.name, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as file:
            file.write(text)

    def missing(self, block, marker="<!-- figures: r/a.txt -->"):
        self.write("README.md", "Intro 77777.\n\n%s\n%s\n\nNot checked: 99999.\n" % (marker, block))
        return check_figures.check(self.folder.name)

    def assert_missing(self, block, number):
        problems = self.missing(block)
        self.assertEqual(len(problems), 1, problems)
        self.assertTrue(problems[0].startswith("README.md:4: %s does not occur" % number), problems[0])

    def test_figures_of_the_result_pass(self):
        for block in ("18,938 of 18938: **1.64 x**", "1.08 x and 0.66 x", "at least 18,109", "| 90.28 ms | +0.835 |"):
            self.assertEqual(self.missing(block), [], block)

    def test_a_figure_that_the_result_lacks_is_found(self):
        self.assert_missing("| 18,938 | 18,937 |", "18,937")
        self.assert_missing("x 1.63", "1.63")
        self.assert_missing("| -5 |", "-5")

    def test_rounding_goes_to_the_digits_that_are_quoted(self):
        for block in ("90.3", "90", "0.84", "0.8", "0.83 to 0.84"):
            self.assertEqual(self.missing(block), [], block)
        for number in ("90.2", "91", "0.85", "90.280001"):
            self.assert_missing(number, number)

    def test_ratios_may_be_of_two_figures_in_the_same_line(self):
        self.assertEqual(self.missing("10.6 s, hnswlib 18.6 s: **1.8 x**"), [])
        self.assert_missing("10.6 s, hnswlib 18.6 s: **1.9 x**", "1.9")
        self.assert_missing("10.6 s, hnswlib 18.6 s: **1.8**", "1.8")
        self.assertEqual(len(self.missing("10.6 s\nhnswlib 18.6 s: 1.8 x")), 1)

    def test_words_code_and_links_are_not_figures(self):
        block = "p99 of f32, recall@5, `7`, [x](y/44.txt) <!-- 55 --> AVX-512 in version 0.1.7, 3rd"
        self.assertEqual(self.missing(block), [])

    def test_what_was_given_is_not_looked_for(self):
        marker = "<!-- figures: r/a.txt given: 30 5.5 -->"
        self.assertEqual(self.missing("30% and 5.5", marker), [])
        self.assertEqual(len(self.missing("31%", marker)), 1)

    def test_several_results_and_missing_ones(self):
        self.write("r/b.txt", "4711\n")
        self.assertEqual(self.missing("4711 and 11536", "<!-- figures: r/a.txt r/b.txt -->"), [])
        self.assertIn("there is no r/c.txt", self.missing("11536", "<!-- figures: r/a.txt r/c.txt -->")[0])

    def test_measured_blocks_need_a_comment(self):
        self.assertEqual(self.missing("## What is measured\n\n18,938\n", marker="")[0].split(": ")[0], "README.md:6")
        self.assertEqual(self.missing("## What is measured\n\nwith M 16\n\n## Rest\n\n1.5\n", marker=""), [])
        marked = "## What is measured\n\n<!-- figures: r/a.txt -->\n| 18,938 |\n\n## Rest"
        self.assertEqual(self.missing(marked, marker=""), [])

    def test_a_comment_that_cannot_be_read_is_an_error(self):
        self.assertEqual(len(self.missing("1", "<!-- figures: -->")), 1)


if __name__ == "__main__":
    unittest.main()
