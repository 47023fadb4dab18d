"""Goal: what a filter or progress function begins either works or is an error at once; it never waits for its own call.

Method: each call with a function of the caller's, and in it each method that would have to wait for that call, on the
thread that called and on those of the library. A wait without end is ended by a limit on the time, as a failure.
"""

import faulthandler
import threading

import numpy as np

import rhumb
import rhumb.shards
import support
from support import vectors

SECONDS = 600  # after which a wait counts as one without end


class Once:
    """A filter or progress function that calls another function the first time; it lets everything through."""

    def __init__(self, function):
        self.function = function
        self.lock = threading.Lock()
        self.count = 0

    def __call__(self, *_):
        with self.lock:
            self.count += 1
            first = self.count == 1
        if first:
            self.function()
        return True


class InsideCase(support.ShardsCase):
    def setUp(self):
        super().setUp()
        faulthandler.dump_traceback_later(SECONDS, exit=True)
        self.addCleanup(faulthandler.cancel_dump_traceback_later)

    def expect_refused(self, outer, inner, what):
        """A call with a function of the caller's is ended by the error of what that begins, which changes nothing."""
        for name, method in inner.items():
            for kind, call in outer.items():
                with self.subTest(f"{name} inside of {kind}"):
                    once = Once(method)
                    with self.assertRaisesRegex(RuntimeError, f"{name}.* from a filter or progress function"):
                        call(once)
                    self.assertEqual(len(what.search(vectors(1)[0], 3).keys), 3)


class OfAnIndex(InsideCase):
    def outer(self, index):
        query, queries = vectors(1)[0], vectors(40, seed=2)
        return {
            "search": lambda f: index.search(query, filter=f),
            "search of many": lambda f: index.search(queries, filter=f, threads=2),
            "progress of a search": lambda f: index.search(queries, progress=f),
            "exact search": lambda f: index.search(queries, filter=f, exact=True, threads=2),
            "radius": lambda f: index.search(query, radius=9, filter=f),
            "search_like": lambda f: index.search_like(3, filter=f),
            "iterate": lambda f: next(index.iterate(query, filter=f)),
        }

    def test_what_waits_for_searches_is_refused_in_their_functions(self):
        index = self.create(500)
        inner = {
            r"close\(\)": index.close,
            r"compact\(\)": index.compact,
            r"checkpoint\(\)": index.checkpoint,
            r"wait_idle\(\)": index.wait_idle,
            r"verify\(\)": index.verify,
            r"sync\(\)": index.sync,  # there is no log
            r"export_topology\(\)": lambda: index.export_topology(self.path("topology")),
            "setting metadata": lambda: setattr(index, "metadata", b"x"),
        }
        self.expect_refused(self.outer(index), inner, index)
        index.close()
        with rhumb.open(self.path(), read_only=True) as reader:
            self.expect_refused(self.outer(reader), {r"refresh\(\)": reader.refresh}, reader)

    def test_what_waits_for_upkeep_is_refused_in_its_progress_function(self):
        index = self.create(500)
        outer = {
            "compact": lambda f: index.compact(progress=f),
            "verify": lambda f: index.verify(progress=f),
            "export_topology": lambda f: index.export_topology(self.path("other-topology"), progress=f),
            "export": lambda f: index.export(self.path("exported"), progress=f),
        }
        inner = {
            r"close\(\)": index.close,
            r"compact\(\)": index.compact,
            r"checkpoint\(\)": index.checkpoint,
            "setting metadata": lambda: setattr(index, "metadata", b"x"),
        }
        self.expect_refused(outer, inner, index)

    def test_changes_have_a_progress_function_that_may_do_more(self):
        index = self.create(100)
        outer = {
            "add": lambda f: index.add(vectors(200, seed=3), progress=f),
            "upsert": lambda f: index.upsert(vectors(100), range(100), progress=f),
            "delete": lambda f: index.delete(range(50), progress=f, missing="ignore"),
        }
        for call in outer.values():
            once = Once(lambda: (index.checkpoint(), index.upsert(vectors(1), [1000]), index.search(vectors(3))))
            call(once)
            self.assertGreater(once.count, 0)
        index.verify()
        self.expect_refused(outer, {r"close\(\)": index.close, r"compact\(\)": index.compact}, index)
        numbering = {r"add\(\) without keys": lambda: index.add(vectors(1))}
        self.expect_refused({"add": outer["add"]}, numbering, index)
        index.upsert(vectors(100), range(100), progress=Once(lambda: index.add(vectors(1))))

    def test_another_index_may_be_closed(self):
        index, other = self.create(100), self.create(100, name="other.rhumb")
        index.search(vectors(1)[0], filter=Once(other.close))
        self.assertTrue(other.closed)

    def test_a_call_is_known_through_those_inside_of_it_and_on_other_threads(self):
        index, other = self.create(100), self.create(100, name="other.rhumb")
        queries = vectors(40)

        def search_other():
            other.search(queries, filter=Once(index.close), threads=2)

        with self.assertRaisesRegex(RuntimeError, r"close\(\) from a filter"):
            index.search(queries, filter=Once(search_other), threads=2)
        self.assertFalse(index.closed)

    def test_a_function_that_raised_leaves_nothing_behind(self):
        index = self.create(100)
        self.assertRaises(ZeroDivisionError, index.search, vectors(1)[0], filter=lambda key: 1 // 0)
        iterator = index.iterate(vectors(1)[0], filter=Once(lambda: 1 // 0))
        self.assertRaises(ZeroDivisionError, next, iterator)
        index.close()


class OfShards(InsideCase):
    def outer(self, found):
        """The calls of Shards that have functions of the caller's, for any shards."""
        query, queries = vectors(1)[0], vectors(40, seed=2)
        return {
            "search": lambda f: found.search(query, filter=f),
            "search of many": lambda f: found.search(queries, filter=f),
            "progress of a search": lambda f: found.search(queries, progress=f),
            "search in turn": lambda f: found.search(queries, filter=rhumb.Where(f), threads=1),
            "radius": lambda f: found.search(query, radius=9, filter=f),
            "search_like": lambda f: found.search_like(3, filter=f),
            "iterate": lambda f: next(found.iterate(query, filter=f)),
            "verify": lambda f: found.verify(progress=f),
        }

    def test_what_waits_for_calls_is_refused_in_their_functions(self):
        found = self.make(400)
        outer = self.outer(found)
        outer["add"] = lambda f: found.add(vectors(50, seed=5), progress=f)
        outer["upsert"] = lambda f: found.upsert(vectors(50), range(50), progress=f)
        outer["delete"] = lambda f: found.delete(range(50, 60), progress=f, missing="ignore")
        outer["reshard"] = lambda f: found.reshard(7, progress=f)
        outer["snapshot"] = lambda f: found.snapshot(self.path("other"), progress=f)
        outer["compact"] = lambda f: found.compact(progress=f)
        inner = {
            r"close\(\)": found.close,
            r"reshard\(\)": lambda: found.reshard(3),
            r"snapshot\(\)": lambda: found.snapshot(self.path("snapshot")),
            r"checkpoint\(\)": found.checkpoint,
            r"compact\(\)": found.compact,
            r"wait_idle\(\)": found.wait_idle,
            r"verify\(\)": found.verify,
            "setting metadata": lambda: setattr(found, "metadata", b"x"),
        }
        self.expect_refused(outer, inner, found)
        self.assertEqual(found.shard_count, 4)
        found.close()
        with rhumb.shards.open(self.path("shards"), read_only=True) as reader:
            inner = {r"close\(\)": reader.close, r"refresh\(\)": reader.refresh}
            self.expect_refused(self.outer(reader), inner, reader)

    def test_shards_that_a_reshard_has_replaced_count_as_well(self):
        found = self.make(400)
        thread = threading.Thread(target=found.reshard, args=(2,))

        def reshard_and_close():
            thread.start()
            thread.join()
            found.close()

        with self.assertRaisesRegex(RuntimeError, r"close\(\) from a filter"):
            found.search(vectors(40), filter=Once(reshard_and_close))
        self.assertEqual((found.shard_count, found.verify().count), (2, 400))

    def test_keys_are_not_numbered_while_they_are_numbered(self):
        found = self.make(100)
        outer = {"add": lambda f: found.add(vectors(50), progress=f)}
        self.expect_refused(outer, {r"add\(\) without keys": lambda: found.add(vectors(1))}, found)
        found.search(vectors(1)[0], filter=Once(lambda: found.add(vectors(1))))
        self.assertEqual(len(found), 101)

    def test_searches_inside_of_searches_need_no_further_threads(self):
        found = self.make(300)

        def search(thread):
            for number in range(5):
                filter = Once(lambda: found.search(vectors(4), filter=Once(lambda: found.search(vectors(4), 3))))
                found.search(vectors(8, seed=10 * thread + number), 3, filter=filter)

        threads = [threading.Thread(target=search, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def test_a_write_inside_of_a_write_does_not_wait_for_those_who_wait_for_it(self):
        found = self.make(300)
        waiting = threading.Thread(target=found.reshard, args=(2,))

        def write():
            waiting.start()
            while not found._gate._waiting_count:  # the reshard waits until this add has ended
                pass
            found.upsert(vectors(2, seed=4), [5000, 5001])

        found.add(vectors(20, seed=3), range(1000, 1020), progress=Once(write))
        waiting.join()
        self.assertEqual((found.shard_count, found.verify().count), (2, 322))
        np.testing.assert_array_equal(found.get([5000, 5001]), vectors(2, seed=4))

    def test_another_folder_may_be_closed_and_resharded(self):
        found, other = self.make(100), self.make(100, name="other")
        found.search(vectors(1)[0], filter=Once(lambda: other.reshard(2)))
        found.add(vectors(9), progress=Once(other.close))
        self.assertTrue(other.closed)
        self.assertEqual(found.verify().count, 109)


if __name__ == "__main__":
    support.main()
