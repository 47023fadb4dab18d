"""Goal: searches return what a filter lets through, whatever it is made of, and failures of functions are not lost.

Method: each kind of filter against the same question asked of numpy.
"""

import ctypes
import gc
import threading
import weakref

import numpy as np

import rhumb
import support
from support import vectors


class Filters(support.TestCase):
    def setUp(self):
        super().setUp()
        self.index = self.create(1000)
        self.query = vectors(1, seed=8)[0]

    def expect(self, filter, wanted):
        found = self.index.search(self.query, 1000, filter=filter)
        self.assertEqual(sorted(found.keys.tolist()), sorted(wanted))

    def test_every_kind_lets_the_same_keys_through(self):
        wanted = list(range(0, 1000, 7))
        bits = np.zeros(1000, np.bool_)
        bits[wanted] = True
        prototype = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_void_p, ctypes.c_uint64)
        function = prototype(lambda context, key: key % 7 == 0)
        for filter in (
            wanted, set(wanted), np.array(wanted), np.array(wanted[::-1], np.int32), range(0, 1000, 7),
            rhumb.Keys(np.array(wanted, np.uint64), assume_sorted=True),
            bits, rhumb.Bitmap(bits), rhumb.Bitmap(np.packbits(bits, bitorder="little")),
            lambda key: key % 7 == 0, rhumb.Where(lambda key: key % 7 == 0), function,
        ):  # fmt: skip
            self.expect(filter, wanted)

    def test_a_filter_is_inverted(self):
        for filter in (
            rhumb.Keys([1, 2]),
            rhumb.Bitmap(np.array([False, True, True])),
            rhumb.Where(lambda k: 0 < k < 3),
        ):
            self.expect(~filter, set(range(1000)) - {1, 2})
            self.expect(~~filter, [1, 2])

    def test_a_bitmap_has_a_base(self):
        self.expect(rhumb.Bitmap(np.array([True, False, True]), base=500), [500, 502])

    def test_nothing_matches(self):
        for filter in ([], np.array([]), np.zeros(5, np.bool_), lambda key: False, [5000]):
            self.expect(filter, [])

    def test_each_query_has_its_own(self):
        many = self.index.search(np.tile(self.query, (4, 1)), 2, filters=[[5], None, lambda key: key == 6, {7, 8}])
        self.assertEqual([set(row[:count].tolist()) for row, count in zip(many.keys, many.counts)][::2], [{5}, {6}])
        self.assertEqual(many.counts.tolist(), [1, 2, 1, 2])

    def test_every_search_takes_a_filter(self):
        self.assertEqual(self.index.search(self.query, filter=[5], exact=True).keys.tolist(), [5])
        self.assertEqual(self.index.search(self.query, radius=100, filter=[5]).keys.tolist(), [5])
        self.assertEqual(self.index.search_like(3, filter=[5]).keys.tolist(), [5])
        self.assertEqual([key for key, _ in self.index.iterate(self.query, filter=[5])], [5])

    def test_what_a_function_raises_arrives(self):
        for search in (
            lambda f: self.index.search(self.query, filter=f),
            lambda f: self.index.search(vectors(50), filter=f),
            lambda f: self.index.search(vectors(2), filters=[None, f]),
            lambda f: self.index.search(self.query, radius=1, filter=f),
            lambda f: list(self.index.iterate(self.query, filter=f)),
        ):
            with self.assertRaisesRegex(ZeroDivisionError, "division"):
                search(lambda key: 1 / 0)
        self.assertEqual(self.index.search(self.query, 1, filter=[5]).keys.tolist(), [5])

    def test_a_function_may_call_the_index_but_not_close_it(self):
        self.expect(lambda key: key in self.index and key < 3, [0, 1, 2])
        with self.assertRaisesRegex(RuntimeError, "close"):
            self.index.search(self.query, filter=lambda key: self.index.close())

    def test_wrong_filters_are_refused(self):
        for wrong in (5, "abc", 1.5, [-1], np.zeros((2, 2)), [1.5]):
            self.assertRaises((TypeError, ValueError), self.index.search, self.query, filter=wrong)
        self.assertRaises(TypeError, rhumb.Bitmap, np.array([1, 2]))
        self.assertRaises(TypeError, rhumb.Where, 5)

    def test_unsorted_keys_that_were_to_be_sorted_are_found_out(self):
        filter = rhumb.Keys(np.array([5, 3, 4], np.uint64), assume_sorted=True)
        self.assertRaises(ValueError, self.index.search, self.query, filter=filter)

    def test_a_filter_keeps_and_releases_its_array(self):
        array = np.arange(5, dtype=np.uint64)
        filter = ~rhumb.Keys(array, assume_sorted=True)
        reference = weakref.ref(array)
        del array
        gc.collect()
        self.expect(~filter, range(5))
        del filter
        gc.collect()
        self.assertIsNone(reference())

    def test_threads_share_a_filter(self):
        filter = rhumb.Where(lambda key: key % 2 == 0)
        wrong = []

        def search():
            for _ in range(5):
                wrong.extend(key for key in self.index.search(vectors(20), 5, filter=filter).keys.ravel() if key % 2)

        threads = [threading.Thread(target=search) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])


if __name__ == "__main__":
    support.main()
