"""Goal: a library's process that dies or hangs is an exception with the reason, and one that waits uses no time.

Method: small Python programs in place of bench/peers/worker.py.
"""

import os
import sys
import tempfile
import time
import unittest

import child

ECHO = "import sys\nprint('{\"begun\": 1}', flush=True)\nfor line in sys.stdin: print(line, end='', flush=True)\n"


class PeerProcess(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.log_path = os.path.join(folder.name, "log")

    def started(self, program):
        process = child.Child([sys.executable, "-c", program], self.log_path)
        self.addCleanup(process.end)
        return process

    def reason(self, program, limit_seconds=60):
        process = self.started(program)
        with self.assertRaises(child.Died) as caught:
            process.answer(limit_seconds)
            process.ask({"do": "it"}, limit_seconds)
        return str(caught.exception)

    def test_requests_are_answered_in_order(self):
        process = self.started(ECHO)
        self.assertEqual(process.answer(60), {"begun": 1})
        for number in range(3):
            self.assertEqual(process.ask({"number": number}, 60), {"number": number})

    def test_the_reason_of_a_death_is_its_signal_and_its_last_line(self):
        end = "import os, sys\nprint('first\\nlast\\n', file=sys.stderr, flush=True)\nos.kill(os.getpid(), 11)\n"
        self.assertEqual(self.reason(end), "signal SIGSEGV: last")

    def test_a_death_in_the_middle_of_a_request_is_noticed(self):
        end = "print('{}', flush=True)\ninput()\nraise SystemExit('refused')\n"
        self.assertEqual(self.reason(end), "exit code 1: refused")

    def test_a_death_before_a_request_is_noticed(self):
        process = self.started("print('{}', flush=True)\n")
        process.answer(60)
        process._process.wait()
        with self.assertRaises(child.Died) as caught:
            process.ask({}, 60)
        self.assertEqual(str(caught.exception), "exit code 0: it printed nothing")

    def test_only_its_own_part_of_the_log_is_quoted(self):
        with open(self.log_path, "w", encoding="utf-8") as log:
            log.write("of an earlier run\n")
        self.assertEqual(self.reason("raise SystemExit(3)"), "exit code 3: it printed nothing")

    def test_one_that_does_not_answer_in_time_is_ended(self):
        begun = time.monotonic()
        self.assertEqual(self.reason("input()", limit_seconds=0.5), "no answer within 0.5 s: it printed nothing")
        self.assertLess(time.monotonic() - begun, 4)

    def test_one_that_waits_is_stopped(self):
        busy = "import threading\ndef spin():\n    while True: pass\n"
        busy += "threading.Thread(target=spin, daemon=True).start()\n"
        process = self.started(busy + ECHO)
        process.answer(60)
        process.ask({}, 60)
        path = "/proc/%d/stat" % process._process.pid

        def ticks():
            with open(path, encoding="ascii") as file:
                fields = file.read().rsplit(") ", 1)[1].split()
            return int(fields[11]) + int(fields[12]), fields[0]

        time.sleep(0.1)
        before = ticks()
        time.sleep(0.5)
        self.assertEqual(ticks(), before)
        self.assertEqual(before[1], "T")
        self.assertEqual(process.ask({"still": "there"}, 60), {"still": "there"})


if __name__ == "__main__":
    unittest.main()
