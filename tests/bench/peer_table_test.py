"""Goal: the table of a comparison has what was measured: medians, ratios to the fastest peer, and who failed why.

Method: states of a few libraries with round figures, written and read as the comparison does.
"""

import os
import tempfile
import unittest

import state
import table

SETTINGS = {"k": [10], "threads": [1], "simd": "best", "instructions": "AVX-512"}


def peer(points, **fields):
    """A library with {ef: (recall, [qps...])}."""
    return dict(
        recall={"10": {str(ef): recall for ef, (recall, _) in points.items()}},
        qps={"10/1": {str(ef): passes for ef, (_, passes) in points.items()}},
        **fields,
    )


class Table(unittest.TestCase):
    def setUp(self):
        self.peers = {
            "rhumb": peer({10: (0.90, [900, 3000, 3100]), 20: (0.99, [1000, 1500, 1500])}, version="0.1.0"),
            "slow": peer({10: (0.90, [1000] * 3), 20: (0.995, [500] * 3)}, version="1", build_seconds=2.0),
            "fast": peer({10: (0.92, [2000] * 3), 20: (0.99, [600] * 3)}, version="2", file_bytes=3500000),
            "dead": {"recall": {}, "qps": {}, "failed": "build: signal SIGSEGV: it printed nothing"},
        }

    def text(self, **settings):
        return table.text_of({"settings": dict(SETTINGS, **settings), "title": "a set", "peers": self.peers})

    def row(self, name, text=None):
        (line,) = [line for line in (text or self.text()).split("\n\n")[1].split("\n") if line.split("  ")[0] == name]
        return line.split()[len(name.split()) :]

    def test_speeds_are_medians_and_ratios_are_to_the_fastest_peer(self):
        self.assertEqual(self.row("rhumb")[:2], ["3,000", "1.50x"])
        self.assertEqual(self.row("slow")[:2], ["1,000", "0.50x"])
        self.assertEqual(self.row("fast")[:2], [">=2,000", "1.00x"])
        self.assertEqual(self.row("rhumb")[4:6], ["1,500", "2.50x"])

    def test_what_is_not_reached_is_a_dash_and_has_no_ratio(self):
        self.assertEqual(self.row("rhumb")[6:], ["-"])
        self.assertEqual(self.row("slow")[6:], ["500", "1.00x"])

    def test_the_fastest_peer_is_never_rhumb(self):
        self.assertEqual(self.row("fastest peer"), ["fast", "fast", "fast", "slow"])
        self.peers = {"rhumb": self.peers["rhumb"], "rhumb-m24": self.peers["rhumb"]}
        self.assertEqual(self.row("rhumb-m24"), ["3,000"] + self.row("rhumb")[1:])
        self.assertEqual(self.row("fastest peer"), ["-"] * 4)

    def test_a_library_that_failed_is_a_line_with_its_reason(self):
        self.assertIn("\ndead: left out, build: signal SIGSEGV: it printed nothing\n", self.text())
        self.assertNotIn("dead", self.text().split("\n\n")[1])

    def test_one_that_failed_later_keeps_what_it_had(self):
        self.peers["fast"]["failed"] = "measure 10 1 20 4: exit code 1: out of memory"
        self.assertEqual(self.row("fast")[0], ">=2,000")
        self.assertIn("fast: left out, measure 10 1 20 4: exit code 1: out of memory", self.text())

    def test_under_avx2_each_library_says_how_it_was_limited(self):
        self.peers["slow"]["avx2"] = "a copy compiled for x86-64-v3"
        text = self.text(simd="avx2")
        self.assertIn("slow: a copy compiled for x86-64-v3", text)
        self.assertIn("fast: NOT limited", text)
        self.assertNotIn("limited", self.text())
        self.assertNotIn("limited", self.text(simd="avx2", instructions="AVX2"))

    def test_the_points_are_listed(self):
        self.assertIn("rhumb: 10 0.9000/3,000  20 0.9900/1,500", self.text())

    def test_the_results_have_every_target(self):
        results = table.results_of({"settings": SETTINGS, "peers": self.peers})
        self.assertEqual(len(results), 3 * 4)
        (at_99,) = [of for of in results if (of["peer"], of["recall"]) == ("fast", 0.99)]
        self.assertEqual((at_99["kind"], at_99["qps"], at_99["k"], at_99["threads"]), ("reached", 600, 10, 1))


class States(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "state.json")

    def opened(self, settings=None, names=("a", "b")):
        return state.State(self.path, settings or SETTINGS, "title", {"what": "x"}, names)

    def test_it_goes_on_where_the_last_run_ended(self):
        first = self.opened()
        first.set_recall("a", 10, 20, 0.97)
        first.passes("a", 10, 1, 20).append(123.0)
        first.peers["b"]["failed"] = "gone"
        first.save()
        second = self.opened()
        self.assertEqual(second.recalls("a", 10), {20: 0.97})
        self.assertEqual(second.passes("a", 10, 1, 20), [123.0])
        self.assertEqual(second.passes("a", 10, 1, 24), [])
        self.assertEqual(second.alive(), ["a"])

    def test_other_settings_are_refused_by_name(self):
        self.opened().save()
        with self.assertRaises(SystemExit) as caught:
            self.opened(dict(SETTINGS, threads=[1, 2]))
        self.assertIn("(threads)", str(caught.exception))


if __name__ == "__main__":
    unittest.main()
