"""Goal: tools/count_tests.py counts as its rules say, so that ./test cannot call a bad run good.

Method: event files as Bazel writes them, reduced to what is read, with test.xml files in the shapes of GoogleTest and
Bazel.
"""

import json
import os
import tempfile
import unittest

import count_tests


class CountTests(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.events = []

    def write(self, name, text):
        path = os.path.join(self.folder.name, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def add_result(self, label, cases, status="PASSED", attempt=1, shard=1, xml=None):
        if xml is None:
            xml = "<testsuites><testsuite name='s'>%s</testsuite></testsuites>" % "".join(cases)
        path = self.write("test %d.xml" % len(self.events), xml)
        output = {"name": "test.xml", "uri": "file://" + path.replace(" ", "%20")}
        self.events.append(
            {
                "id": {"testResult": {"label": label, "run": 1, "shard": shard, "attempt": attempt}},
                "testResult": {"status": status, "testActionOutput": [{"name": "test.log"}, output]},
            }
        )

    def add_configured(self, label, kind="cc_test rule"):
        self.events.append({"id": {"targetConfigured": {"label": label}}, "configured": {"targetKind": kind}})

    def count(self, exit_code=0):
        passed, failures = count_tests.count_run(self.events, exit_code)
        return passed, len(failures)

    CASE = "<testcase name='a' classname='C' status='run' result='completed'/>"
    FAILED = "<testcase name='b' classname='C' status='run' result='completed'><failure message='x'/></testcase>"
    ERROR = "<testcase name='c'><error message='exited with 1'/></testcase>"

    def test_counts_cases_and_failures(self):
        self.add_result("//a", [self.CASE, self.CASE, self.FAILED], status="FAILED")
        self.add_result("//b", [self.ERROR], status="FAILED")
        self.assertEqual(self.count(3), (2, 2))

    def test_leaves_out_what_was_not_run(self):
        skipped = "<testcase name='s' status='run' result='skipped'><skipped message='x'/></testcase>"
        not_run = "<testcase name='n' status='notrun' result='suppressed'/>"
        self.add_result("//a", [self.CASE, skipped, not_run])
        self.assertEqual(self.count(), (1, 0))

    def test_last_attempt_counts(self):
        self.add_result("//a", [self.FAILED], status="FAILED", attempt=1)
        self.add_result("//a", [self.CASE], attempt=2)
        self.assertEqual(self.count(), (1, 0))

    def test_every_shard_counts(self):
        self.add_result("//a", [self.CASE], shard=1)
        self.add_result("//a", [self.CASE, self.CASE], shard=2)
        self.assertEqual(self.count(), (3, 0))

    def test_a_test_that_broke_without_a_failed_case_is_one_failure(self):
        self.add_result("//crash", [self.CASE], status="FAILED")
        self.add_result("//slow", [], status="TIMEOUT")
        self.assertEqual(self.count(3), (1, 2))

    def test_a_broken_report_is_one_failure(self):
        self.add_result("//a", [], xml="<testsuites><testsu")
        self.assertEqual(self.count(), (0, 1))

    def test_a_missing_report_is_one_failure(self):
        self.add_result("//a", [self.CASE])
        os.remove(os.path.join(self.folder.name, "test 0.xml"))
        self.assertEqual(self.count(), (0, 1))
        self.events = [{"id": {"testResult": {"label": "//b"}}, "testResult": {"status": "PASSED"}}]
        self.assertEqual(self.count(), (0, 1))

    def test_a_test_without_a_result_is_one_failure(self):
        self.add_configured("//a")
        self.add_configured("//b", "sh_test rule")
        self.add_configured("//library", "cc_library rule")
        self.add_result("//a", [self.CASE])
        self.assertEqual(self.count(1), (1, 1))

    def test_a_run_that_only_its_exit_code_calls_bad_is_one_failure(self):
        self.add_result("//a", [self.CASE])
        self.assertEqual(self.count(1), (1, 1))
        self.events = []
        self.assertEqual(self.count(4), (0, 1))
        self.assertEqual(self.count(0), (0, 0))

    def test_reads_events_up_to_a_cut(self):
        path = self.write("events.json", json.dumps({"id": {"progress": {}}}) + "\n" + '{"id": {"testRes')
        self.assertEqual(list(count_tests.read_events(path)), [{"id": {"progress": {}}}])
        self.assertEqual(list(count_tests.read_events(path + ".missing")), [])


if __name__ == "__main__":
    unittest.main()
