"""Goal: a speed at a recall is read off the curve as bench/README.md says, and only points next to a target are timed.

Method: curves of a few points whose answers can be computed by hand.
"""

import unittest

import curve
import schedule
from curve import Point


class SpeedAt(unittest.TestCase):
    def test_the_logarithm_of_the_speed_is_linear_in_recall(self):
        points = [Point(10, 0.90, 8000), Point(20, 0.98, 2000)]
        kind, qps = curve.speed_at(points, 0.94)
        self.assertEqual(kind, "reached")
        self.assertAlmostEqual(qps, 4000)  # half of the way: the geometric mean
        self.assertAlmostEqual(curve.speed_at(points, 0.92).qps, 8000 / 2**0.5)

    def test_a_measured_recall_is_its_point(self):
        points = [Point(10, 0.90, 8000), Point(20, 0.95, 4000), Point(30, 0.99, 1000)]
        self.assertEqual(curve.speed_at(points, 0.95), ("reached", 4000))
        self.assertEqual(curve.speed_at(points, 0.90), ("reached", 8000))
        self.assertEqual(curve.speed_at(points, 0.99), ("reached", 1000))

    def test_the_neighbours_of_the_target_decide_and_no_others(self):
        near = [Point(20, 0.94, 5000), Point(30, 0.96, 3000)]
        far = [Point(10, 0.80, 9000), Point(40, 0.99, 500)]
        self.assertEqual(curve.speed_at(near, 0.95), curve.speed_at(far + near, 0.95))

    def test_below_the_curve_there_is_a_lower_bound(self):
        points = [Point(10, 0.93, 8000), Point(20, 0.98, 2000)]
        self.assertEqual(curve.speed_at(points, 0.90), ("at least", 8000))

    def test_beyond_the_curve_there_is_nothing(self):
        self.assertEqual(curve.speed_at([Point(10, 0.93, 8000), Point(20, 0.98, 2000)], 0.99), curve.NOT_REACHED)
        self.assertEqual(curve.speed_at([], 0.9), curve.NOT_REACHED)

    def test_a_point_that_noise_made_fast_counts_for_its_own_part_only(self):
        points = [Point(10, 0.90, 8000), Point(12, 0.94, 4000), Point(14, 0.96, 9000), Point(16, 0.98, 2000)]
        self.assertAlmostEqual(curve.speed_at(points, 0.92).qps, (8000 * 4000) ** 0.5)
        self.assertAlmostEqual(curve.speed_at(points, 0.95).qps, (4000 * 9000) ** 0.5)
        self.assertEqual(curve.speed_at(points, 0.95).kind, "reached")

    def test_where_recall_falls_the_first_ef_that_reaches_it_counts(self):
        points = [Point(10, 0.90, 8000), Point(12, 0.96, 6000), Point(14, 0.94, 5000), Point(16, 0.98, 2000)]
        self.assertAlmostEqual(curve.speed_at(points, 0.93).qps, (8000 * 6000) ** 0.5)


class Efs(unittest.TestCase):
    def test_the_smallest_ef_is_k(self):
        self.assertEqual(curve.efs_for(10, 16), [10, 12, 14, 16])
        self.assertEqual(curve.efs_for(100, 128), [100, 112, 128])

    def test_steps_are_a_quarter_at_most(self):
        for k in (10, 100):
            efs = curve.efs_for(k, 4096)
            self.assertEqual(efs[-1], 4096)
            self.assertLessEqual(max(b / a for a, b in zip(efs, efs[1:])), 1.25)

    def test_the_two_next_to_each_target_are_timed(self):
        recalls = {10: 0.80, 12: 0.88, 14: 0.91, 16: 0.93, 20: 0.96, 24: 0.98, 28: 0.992, 32: 0.994, 40: 0.996}
        self.assertEqual(curve.bracketing(recalls), [12, 14, 16, 20, 24, 28, 32, 40])
        self.assertEqual(curve.bracketing(recalls, [0.95]), [16, 20])

    def test_at_the_ends_of_the_curve_its_last_point_is_timed(self):
        self.assertEqual(curve.bracketing({10: 0.96, 12: 0.97}, [0.90, 0.95]), [10])
        self.assertEqual(curve.bracketing({10: 0.80, 12: 0.85}, [0.90, 0.95]), [12])
        self.assertEqual(curve.bracketing({}), [])


class Rounds(unittest.TestCase):
    EFS = {"a": {10: [10, 20]}, "b": {10: [10, 20, 30]}, "c": {10: [15]}}

    def test_libraries_take_turns_at_each_step_and_the_first_one_changes(self):
        steps = list(schedule.steps_of_round(0, self.EFS, [(10, 1)], False))
        self.assertEqual([(name, ef) for name, _, _, ef in steps[:3]], [("a", 10), ("b", 10), ("c", 15)])
        self.assertEqual([(name, ef) for name, _, _, ef in steps[3:]], [("b", 20), ("a", 20), ("b", 30)])
        begins = [next(schedule.steps_of_round(number, self.EFS, [(10, 1)], False))[0] for number in range(4)]
        self.assertEqual(begins, ["a", "b", "c", "a"])

    def test_one_at_a_time_finishes_a_library_before_the_next(self):
        steps = list(schedule.steps_of_round(1, self.EFS, [(10, 1), (10, 2)], True))
        names = [name for name, _, _, _ in steps]
        self.assertEqual(names, ["b"] * 6 + ["c"] * 2 + ["a"] * 4)

    def test_both_orders_measure_the_same(self):
        combinations = [(10, 1), (10, 2), (100, 1)]
        orders = [sorted(schedule.steps_of_round(2, self.EFS, combinations, one)) for one in (False, True)]
        self.assertEqual(orders[0], orders[1])
        self.assertEqual(len(orders[0]), 12)


if __name__ == "__main__":
    unittest.main()
