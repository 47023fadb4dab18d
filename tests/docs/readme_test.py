"""Goal: what README.md quotes and names is there: its C is that of examples/, and its list of programs is complete.

Method: every block of C in it must be a run of whole lines of one program. A block with one letter changed must not be.
"""

import glob
import os
import re
import unittest

import c_text


def blocks_of(document):
    return re.findall(r"^```c\n(.*?)^```", document, re.DOTALL | re.MULTILINE)


class Readme(unittest.TestCase):
    def setUp(self):
        self.document = c_text.read_text(os.getcwd(), "README.md")
        self.programs = {path: c_text.read_text(os.getcwd(), path) for path in glob.glob("examples/*.c")}

    def is_quoted(self, block):
        return any("\n" + block in text for text in self.programs.values())

    def test_code_is_that_of_the_examples(self):
        blocks = blocks_of(self.document)
        self.assertGreater(len(blocks), 0)
        for block in blocks:
            self.assertTrue(self.is_quoted(block), "no program of examples/ has these lines:\n" + block)
            self.assertFalse(self.is_quoted(block.replace("index", "indez", 1)))

    def test_every_example_is_listed(self):
        listed = re.findall(r"\]\((examples/\w+\.c)\) \|", self.document)
        self.assertEqual(sorted(listed), sorted(self.programs))


if __name__ == "__main__":
    unittest.main()
