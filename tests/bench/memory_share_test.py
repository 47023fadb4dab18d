"""Goal: the table and the picture of speed against memory say what was measured. Method: made-up points, of which the
answers are known."""

import pathlib
import sys
import unittest
import xml.dom.minidom

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "bench"
sys.path[:0] = [str(FOLDER), str(FOLDER / "peers")]

import memory_share  # noqa: E402
import plot_memory  # noqa: E402


def point(ef, recall, speed, pages=1.0):
    return {"ef": ef, "recall": recall, "queries_per_second": speed, "median_ms": 1e3 / speed, "p99_ms": 5e3 / speed,
            "pages_read": pages}  # fmt: skip


class Table(unittest.TestCase):
    def test_speeds_are_those_at_the_recall_that_is_asked_for(self):
        first, second = memory_share.columns([point(10, 0.9, 400), point(20, 0.95, 200), point(40, 0.97, 100)])
        self.assertEqual(first, ["200", "5", "25", "1"])
        self.assertEqual(second, ["-", "-", "-", "-"])

    def test_what_is_above_a_recall_from_the_beginning_is_marked(self):
        first, _ = memory_share.columns([point(10, 0.96, 400)])
        self.assertEqual(first[0], "<400")

    def test_of_several_rounds_each_number_is_the_median(self):
        rounds = [[point(10, 0.9, speed)] for speed in (100, 400, 200)]
        merged = memory_share.median_points(rounds)
        self.assertEqual([p["queries_per_second"] for p in merged], [200])

    def test_a_round_that_ended_early_counts_as_far_as_it_got(self):
        merged = memory_share.median_points([[point(10, 0.9, 100), point(20, 0.95, 50)], [point(10, 0.9, 200)]])
        self.assertEqual(len(merged), 1)


class Picture(unittest.TestCase):
    def test_has_a_point_for_each_share_at_which_a_recall_is_reached(self):
        cells = [
            {"share": 100, "library": "rhumb", "points": [point(10, 0.94, 900), point(20, 0.99, 300)], "end": ""},
            {"share": 25, "library": "rhumb", "points": [point(10, 0.94, 90), point(20, 0.96, 30)], "end": ""},
            {"share": 25, "library": "hnswlib", "points": [], "end": "killed"},
        ]
        picture = plot_memory.draw({"targets": [0.95, 0.98], "cells": cells})
        drawn = xml.dom.minidom.parseString(picture)
        self.assertEqual(len(drawn.getElementsByTagName("circle")), 3)
        self.assertIn("rhumb", picture)
        self.assertNotIn("hnswlib", picture)


if __name__ == "__main__":
    unittest.main()
