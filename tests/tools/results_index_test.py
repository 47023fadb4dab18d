"""Goal: the index of results says what the result files say, and tells results of the present code from older ones.

Method: result files and a repository in a temporary folder.
"""

import os
import shutil
import subprocess
import tempfile
import unittest

import results_index

RECORD = "what: speed\nmachine: two cores\ncommit: %s\ncommand: ann --data a|b\n\n1 2 3\n"


class Records(unittest.TestCase):
    def test_a_record_is_read(self):
        (result,) = results_index.read_results("a.txt", RECORD % "0123abc")
        self.assertEqual((result.what, result.commit, result.is_exact), ("speed", "0123abc", True))
        self.assertEqual(result.commands, ["ann --data a|b"])

    def test_a_commit_applies_to_the_commands_after_it(self):
        text = RECORD % "0123abc" + "== more\ncommit: measured at or just before 4567def\ncommand: b\ncommand: c\n"
        first, second = results_index.read_results("a.txt", text)
        self.assertEqual((second.commit, second.is_exact, second.commands), ("4567def", False, ["b", "c"]))
        self.assertEqual(first.commands, ["ann --data a|b"])

    def test_incomplete_records_are_errors(self):
        whole = RECORD % "0123abc"
        for line in ("what: speed\n", "machine: two cores\n", "commit: 0123abc\n", "command: ann --data a|b\n"):
            with self.assertRaises(ValueError, msg=line):
                results_index.read_results("a.txt", whole.replace(line, ""))
        with self.assertRaises(ValueError):
            results_index.read_results("a.txt", RECORD % "last week")


class Index(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.root = self.folder.name
        self.write("bench/results/a.txt", RECORD % "unknown")
        self.write("bench/results/a.svg", "<svg/>")

    def write(self, path, text):
        full = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as file:
            file.write(text)

    def last_row(self):
        return results_index.index_of(self.root).rstrip("\n").split("\n")[-1]

    def test_a_row_has_all_of_it(self):
        self.assertEqual(
            self.last_row(),
            "| speed | [a.txt](a.txt), [picture](a.svg) | `unknown` | `ann --data a\\|b` | unknown |",
        )

    def test_comparing_leaves_out_what_needs_history(self):
        text = results_index.index_of(self.root)
        self.assertNotEqual(text, text.replace("| unknown |", "| old |"))
        self.assertEqual(
            results_index.without_state(text), results_index.without_state(text.replace("| unknown |\n", "| old |\n"))
        )

    @unittest.skipUnless(shutil.which("git"), "needs git")
    def test_a_result_is_old_once_library_code_has_changed(self):
        def git(*arguments):
            person = ["-c", "user.name=A", "-c", "user.email=a@b"]
            run = subprocess.run(
                ["git", "-C", self.root] + person + list(arguments), check=True, stdout=subprocess.PIPE
            )
            return run.stdout.decode().strip()

        def commit(path, text):
            self.write(path, text)
            git("add", "-A")
            git("commit", "-q", "-m", "x")
            return git("rev-parse", "HEAD")

        git("init", "-q")
        for folder in results_index.LIBRARY_FOLDERS:
            self.write(folder + "/x.c", "1")
        measured = commit("bench/results/a.txt", RECORD % "unknown")
        commit("bench/results/a.txt", RECORD % measured[:9])
        self.assertTrue(self.last_row().endswith("| current |"))
        commit("engine/x.c", "2")
        self.assertTrue(self.last_row().endswith("| old |"))
        self.assertEqual(results_index.code_since(self.root, "0" * 40), "unknown")
        self.assertEqual(results_index.code_since(self.root, measured + "-dirty"), "unknown")


if __name__ == "__main__":
    unittest.main()
