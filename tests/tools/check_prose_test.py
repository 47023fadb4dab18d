"""Goal: tools/check_prose.py finds the words of its list in prose and nowhere else, and wide lines of Markdown.

Method: small texts; where a listed word is needed, it is put together so that this file is clean itself.
"""

import os
import tempfile
import unittest

import check_prose

WORD = "a" + "new"
TWO_WORDS = ("is", "no")


class Words(unittest.TestCase):
    def lines(self, path, text):
        return [line for line, _ in check_prose.word_problems(path, text)]

    def test_comments_of_every_language_are_checked(self):
        for path, text in (
            ("a.c", "int a; /* built %s */\n"),
            ("a.h", "// built %s\n"),
            ("a.cc", 'f("x"); // built %s\n'),
            ("a.sh", 'echo "x" # built %s\n'),
            ("BUILD.bazel", "# built %s\n"),
            ("CMakeLists.txt", "# built %s\n"),
            ("test", "# built %s\n"),
            ("a.py", "x = 1  # built %s\n"),
            ("a.py", '"""Built %s."""\n'),
            ("a.md", "It is built %s.\n"),
        ):
            self.assertEqual(self.lines(path, text % WORD), [1], path)
            self.assertEqual(self.lines(path, text % WORD.capitalize()), [1], path)

    def test_code_and_literals_are_not(self):
        for path, text in (
            ("a.c", 'int %s = f("%s");\n'),
            ("a.sh", "echo '%s # %s'\n"),
            ("a.py", 'x = "%s # %s"\n'),
            ("a.py", 'x = """\n%s # %s"""\n'),
            ("a.md", "`%s` and [x](%s.md)\n"),
            ("a.md", "```\n%s\n%s\n```\n"),
        ):
            self.assertEqual(self.lines(path, text % (WORD, WORD)), [], path)

    def test_two_words_are_found_across_lines(self):
        self.assertEqual(self.lines("a.c", "/* A map %s\n * %s tree. */\n" % TWO_WORDS), [1])
        self.assertEqual(self.lines("a.cc", "// x\n// A map %s\n// %s tree.\n" % TWO_WORDS), [2])
        self.assertEqual(self.lines("a.md", "x\n\nA map %s\n%s tree.\n" % TWO_WORDS), [3])

    def test_good_sentences_that_look_similar_pass(self):
        for text in ("There is no file.", "It is no longer open.", "It is no larger than that.", "Besides, it works."):
            self.assertEqual(self.lines("a.md", text + "\n"), [], text)

    def test_an_exception_excuses_its_line_only(self):
        check_prose.EXCEPTIONS += (("a.md", "song"),)
        self.addCleanup(setattr, check_prose, "EXCEPTIONS", check_prose.EXCEPTIONS[:-1])
        self.assertEqual(self.lines("a.md", "The song %s.\nThe rest %s.\n" % (WORD, WORD)), [2])
        self.assertEqual(self.lines("b.md", "The song %s.\n" % WORD), [1])


class Widths(unittest.TestCase):
    def lines(self, text):
        return [line for line, _ in check_prose.width_problems(text)]

    def test_prose_has_a_width(self):
        self.assertEqual(self.lines("word " * 24 + "\n"), [])
        self.assertEqual(self.lines("x\n" + "word " * 30 + "\n"), [2])

    def test_tables_code_comments_and_links_may_be_wider(self):
        wide = "word " * 30
        self.assertEqual(self.lines("| %s |\n```\n%s\n```\n<!-- %s -->\n" % (wide, wide, wide)), [])
        self.assertEqual(self.lines("see [this](%s)\n" % ("x" * 120)), [])
        self.assertEqual(self.lines("x" * 130 + "\n"), [])


class Trees(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        for path in ("a/x.c", "b/x.c", "third_party/x.c", ".out/x.c"):
            full = os.path.join(self.folder.name, path)
            os.makedirs(os.path.dirname(full))
            with open(full, "w", encoding="utf-8") as file:
                file.write("/* built %s */\n" % WORD)

    def check(self, paths=None):
        return [problem.split(":")[0] for problem in check_prose.check(self.folder.name, paths)]

    def test_folders_can_be_chosen(self):
        self.assertEqual(self.check(), ["a/x.c", "b/x.c"])
        self.assertEqual(self.check(["b"]), ["b/x.c"])


if __name__ == "__main__":
    unittest.main()
