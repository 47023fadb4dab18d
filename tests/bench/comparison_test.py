"""Goal: a comparison measures what was asked for, goes on after it was stopped, and outlives a library that fails.

Method: bench/peers/compare.py as a program, with the exact scan as the library, one that does not exist, and one whose
index has been damaged.
"""

import json
import os
import subprocess
import sys
import tempfile
import unittest

import compare
import datasets

COMPARE = os.path.join("bench", "peers", "compare.py")


class Comparison(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.data_folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.data_folder.cleanup)
        datasets.say = lambda text: None
        datasets.STRUCTURED_TEST_COUNT = 60
        cls.data = datasets.make("structured-500-16", cls.data_folder.name)

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def run_compare(self, *more):
        command = [sys.executable, COMPARE, self.data, "--dir", self.folder, "--k", "5,10", "--threads", "1,2"]
        run = subprocess.run(
            command + list(more), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False
        )
        return run.returncode, run.stdout, run.stderr

    def state(self):
        with open(os.path.join(self.folder, "state.json"), encoding="utf-8") as file:
            return json.load(file)

    def test_a_library_that_fails_is_a_line_and_the_others_are_measured(self):
        results = os.path.join(self.folder, "results.json")
        code, text, log = self.run_compare("--libraries", "missing,exact", "--rounds", "3", "--json", results)
        self.assertEqual(code, 0, log)
        self.assertIn("missing: left out, build: exit code 1: KeyError: 'missing'", text)
        self.assertIn("structured-500-16: 500 x 16, angular, 60 queries", text)
        exact = self.state()["peers"]["exact"]
        self.assertEqual(exact["recall"], {"5": {"5": 1.0}, "10": {"10": 1.0}})
        self.assertEqual({key: len(of[key[:-2]]) for key, of in exact["qps"].items()}, {"5/1": 3, "10/1": 3})
        with open(results, encoding="utf-8") as file:
            reached = json.load(file)["results"]
        self.assertEqual({(of["peer"], of["kind"]) for of in reached}, {("exact", "at least")})

    def test_it_goes_on_where_it_was_stopped(self):
        arguments = ["--libraries", "exact", "--rounds", "2"]
        code, text, _ = self.run_compare("--stop-after", "0.001", *arguments)
        self.assertEqual((code, text), (3, ""))
        code, _, log = self.run_compare(*arguments)
        self.assertEqual(code, 0, log)
        first = self.state()["peers"]["exact"]
        code, _, log = self.run_compare("--libraries", "exact", "--rounds", "3", "--one-at-a-time")
        self.assertNotEqual(code, 0, "other settings")
        self.assertIn("one_at_a_time", log)
        code, text, log = self.run_compare("--libraries", "exact", "--rounds", "3")
        self.assertEqual(code, 0, log)
        self.assertIn("medians of 3 rounds", text)
        self.assertNotIn("building", log)
        second = self.state()["peers"]["exact"]
        self.assertEqual(second["build_seconds"], first["build_seconds"])
        self.assertEqual(second["qps"]["5/1"]["5"][:2], first["qps"]["5/1"]["5"])
        self.assertEqual(len(second["qps"]["5/1"]["5"]), 3)

    def test_it_is_prepared_before_it_measures(self):
        arguments = ["--libraries", "exact", "--rounds", "2"]
        code, text, _ = self.run_compare(*arguments, "--prepare")
        self.assertEqual((code, text), (3, ""))
        exact = self.state()["peers"]["exact"]
        self.assertEqual((exact["recall"], exact["qps"]), ({"5": {"5": 1.0}, "10": {"10": 1.0}}, {}))
        code, text, log = self.run_compare(*arguments)
        self.assertEqual(code, 0, log)
        self.assertNotIn("building", log)
        self.assertNotIn("--prepare", text)

    def test_an_index_is_used_again_by_another_comparison(self):
        self.assertEqual(self.run_compare("--libraries", "exact", "--rounds", "1")[0], 0)
        os.remove(os.path.join(self.folder, "state.json"))
        code, _, log = self.run_compare("--libraries", "exact", "--rounds", "1", "--one-at-a-time")
        self.assertEqual(code, 0, log)
        self.assertNotIn("building", log)

    def test_a_library_that_dies_later_is_left_out_from_then_on(self):
        self.assertEqual(self.run_compare("--libraries", "exact", "--rounds", "1")[0], 0)
        with open(os.path.join(self.folder, "exact.index"), "wb"):
            pass
        code, text, log = self.run_compare("--libraries", "exact", "--rounds", "2")
        self.assertEqual(code, 0, log)
        self.assertIn("exact: left out, measure 5 1 5 1: exit code 1: ", text)
        self.assertEqual(len(self.state()["peers"]["exact"]["qps"]["5/1"]["5"]), 1)


class Settings(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        for name in ("librhumb.so", "rhumb", "data.hdf5"):
            with open(os.path.join(self.folder, name), "wb"):
                pass

    def setups(self, *arguments):
        data = os.path.join(self.folder, "data.hdf5")
        return compare.setups_of(compare.parse([data, "--dir", "indexes", "--bin", self.folder] + list(arguments)))

    def test_those_in_a_name_become_arguments_of_the_tool(self):
        setups = self.setups("--libraries", "rhumb,rhumb:codes=8,rhumb@48:M=24:keep-pruned")
        built = {name: (setup["degree"], setup["build_arguments"]) for name, setup in setups.items()}
        self.assertEqual(built["rhumb"], (32, []))
        self.assertEqual(built["rhumb:codes=8"], (32, ["--codes", "8"]))
        self.assertEqual(built["rhumb@48:M=24:keep-pruned"], (48, ["--M", "24", "--keep-pruned"]))
        self.assertEqual(len({setup["path"] for setup in setups.values()}), 3)

    def test_another_build_is_named_by_its_folder(self):
        before = os.path.join(self.folder, "before")
        os.mkdir(before)
        for name in ("librhumb.so", "rhumb"):
            with open(os.path.join(before, name), "wb"):
                pass
        setup = self.setups("--libraries", "exact", "--rhumb", f"rhumb-before:{before}=--M 24")["rhumb-before"]
        self.assertEqual(setup["tool"], os.path.join(before, "rhumb"))
        self.assertEqual(setup["build_arguments"], ["--M", "24"])

    def test_a_result_names_no_folders(self):
        words = ["/a/data.hdf5", "--dir", "/b", "--bin", "/c", "--rhumb", "rhumb-x:/d=--M 24", "--json", "/e/f.json"]
        shown = ["data.hdf5", "--dir", "DIR", "--bin", "BIN", "--rhumb", "rhumb-x:OTHER_BIN=--M 24"]
        self.assertEqual(compare.shown_words(compare.parse(words), words), shown + ["--json", "RESULT.json"])

    def test_only_rhumb_takes_them(self):
        with self.assertRaises(SystemExit):
            self.setups("--libraries", "exact:codes=8")
        with self.assertRaises(SystemExit):
            self.setups("--rhumb", "exact=--M 8")


if __name__ == "__main__":
    unittest.main()
