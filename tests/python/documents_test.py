"""Goal: documents have their text, metadata and vector, or are not there at all, whenever a process ends; conditions on
metadata hold where they should.

Method: a process that is ended at each of its steps in turn, after which the documents must be those of a prefix of its
operations; conditions compared with the same conditions in Python.
"""

import os
import threading

import numpy as np

import rhumb
import support
from rhumb.integrations import conditions
from rhumb.integrations.documents import Documents
from support import vectors


def vector_of(text):
    """A vector that only this text has."""
    return vectors(1, dim=4, seed=sum(text.encode()))[0]


def put(documents, **texts):
    names = list(texts)
    written = list(texts.values())
    metadatas = [{"length": len(text)} for text in written]
    documents.put(names, [vector_of(text) for text in written], written, metadatas)


class Steps:
    """Ends the process before the Nth of the calls that it counts."""

    def __init__(self, number):
        self.left = number

    def counted(self, function):
        def call(*arguments, **options):
            if self.left == 0:
                os._exit(9)
            self.left -= 1
            return function(*arguments, **options)

        return call


OPERATIONS = (
    lambda documents: put(documents, a="one", b="two"),
    lambda documents: put(documents, a="three", c="four"),
    lambda documents: documents.delete(["b", "c"]),
    lambda documents: put(documents, b="five"),
    lambda documents: documents.clear(),
)
STATES = (
    {}, {"a": "one", "b": "two"}, {"a": "three", "b": "two", "c": "four"}, {"a": "three"},
    {"a": "three", "b": "five"}, {},
)  # fmt: skip


class Crashes(support.TestCase):
    def texts(self, documents):
        entries = documents.where(None)
        for entry in entries:
            self.assertEqual(entry.metadata, {"length": len(entry.text)})
            np.testing.assert_array_equal(documents.vectors([entry])[0], vector_of(entry.text))
        return {entry.id: entry.text for entry in entries}

    def run_child(self, path, step_count):
        """Runs all operations in a child that ends before a step: how many it has completed, and whether all."""
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                steps = Steps(step_count)
                counted = ((rhumb.Index, "add"), (rhumb.Index, "delete"), (Documents, "_transaction"),
                           (Documents, "_sync"), (rhumb.integrations.documents.indexes, "create"))  # fmt: skip
                for owner, name in counted:
                    function = getattr(owner, name)
                    wrapped = steps.counted(function)
                    setattr(owner, name, staticmethod(wrapped) if name == "_sync" else wrapped)
                documents = Documents(path, metric="l2")
                for operation in OPERATIONS:
                    operation(documents)
                    os.write(writer, b".")
            finally:
                os._exit(0)
        os.close(writer)
        done = 0
        while os.read(reader, 1):
            done += 1
        os.close(reader)
        return done, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

    def test_documents_are_those_of_a_prefix_of_the_operations(self):
        step_count, complete = 0, False
        while not complete:
            path = self.path(f"{step_count}.rhumb")
            done, complete = self.run_child(path, step_count)
            with Documents(path, metric="l2") as documents:
                allowed = (STATES[done], STATES[min(done + 1, len(OPERATIONS))])
                found = self.texts(documents)
                self.assertIn(found, allowed, f"after {step_count} steps")
                self.assertEqual(len(documents), 0 if documents.index is None else len(documents.index))
                put(documents, d="six")
                self.assertEqual(self.texts(documents), {**found, "d": "six"})
            step_count += 1
        self.assertGreater(step_count, 20)

    def test_files_that_do_not_belong_together_are_refused(self):
        with Documents(self.path("a"), metric="l2") as documents:
            put(documents, a="one", b="two")
        with Documents(self.path("b"), metric="l2") as documents:
            put(documents, a="one")
        os.rename(self.path("b-documents"), self.path("kept"))
        self.assertRaisesRegex(rhumb.OutOfStep, "without documents", Documents, self.path("b"))
        os.replace(self.path("a-documents"), self.path("b-documents"))
        self.assertRaisesRegex(rhumb.OutOfStep, "belongs to the index", Documents, self.path("b"))
        os.rename(self.path("kept"), self.path("c-documents"))
        self.assertRaisesRegex(rhumb.OutOfStep, "missing", Documents, self.path("c"))
        self.assertRaises(FileNotFoundError, Documents, self.path("d"), read_only=True)


class Searches(support.TestCase):
    def test_what_fails_leaves_what_was_there(self):
        documents = Documents(metric="cosine")
        put(documents, a="one", b="two")
        self.assertRaises(rhumb.NotFinite, documents.put, ["a"], np.full((1, 4), np.nan), ["nan"], [{}])
        self.assertRaises(TypeError, documents.put, ["a"], np.ones((1, 4)), ["x"], [{"set": {1}}])
        self.assertRaises(rhumb.Invalid, documents.put, ["a"], np.ones((1, 5)), ["x"], [{}])
        self.assertEqual([entry.text for entry in documents.where(None)], ["one", "two"])
        self.assertEqual(len(documents.index), 2)
        path = documents.path
        documents.close()
        documents.close()
        self.assertFalse(os.path.exists(os.path.dirname(path)))

    def test_the_nearest_of_those_that_match_are_found(self):
        with Documents(self.path(), metric="l2") as documents:
            texts = {f"id{i}": f"text {i}" for i in range(1200)}
            put(documents, **texts)
            hits = documents.search(vector_of("text 7"), 3)
            self.assertEqual((hits[0].entry.id, hits[0].distance), ("id7", 0))
            long = conditions.compare("length", "==", 9)
            hits = documents.search(vector_of("a"), 5, condition=long)
            self.assertEqual([hit.entry.metadata["length"] for hit in hits], [9] * 5)
            ids = [f"id{i}" for i in range(0, 1200, 2)]
            found = documents.search(vector_of("text 7"), 700, ids=ids, condition=conditions.compare("length", "<", 8))
            self.assertEqual(len(found), 50)
            found = documents.search(vector_of("a"), 5, matches=lambda entry: entry.id == "id9")
            self.assertEqual([hit.entry.id for hit in found], ["id9"])
            self.assertEqual(documents.search(vector_of("a"), 5, ids=["no"]), [])

    def test_a_reader_follows_the_writer(self):
        with Documents(self.path(), metric="l2") as documents:
            put(documents, a="one", b="two")
            documents.checkpoint()
            with Documents(self.path(), read_only=True) as reader:
                self.assertRaises(PermissionError, put, reader, c="three")
                documents.delete(["a"])
                put(documents, c="three")
                self.assertEqual([hit.entry.id for hit in reader.search(vector_of("one"), 5)], ["b"])
                documents.checkpoint()
                reader.refresh()
                self.assertEqual({hit.entry.id for hit in reader.search(vector_of("one"), 5)}, {"b", "c"})

    def test_threads_put_delete_and_search(self):
        with Documents(self.path(), metric="l2", durability="none") as documents:
            put(documents, kept="kept")
            problems = []

            def work(name):
                try:
                    for i in range(15):
                        put(documents, **{name: f"text {i}"})
                        found = {hit.entry.id: hit.entry.text for hit in documents.search(vector_of("kept"), 10)}
                        if found["kept"] != "kept" or found[name] != f"text {i}":
                            problems.append(found)
                        documents.delete([name])
                except BaseException as error:
                    problems.append(error)

            threads = [threading.Thread(target=work, args=[name]) for name in "xyz"]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(problems, [])
            self.assertEqual(len(documents), 1)


class Conditions(support.TestCase):
    METADATAS = (
        {"n": 1, "s": "one", "l": ["a", 1]}, {"n": 2.5, "s": "Two", "l": []}, {"n": True, "s": "", "o": {"x": 1}},
        {"n": None, "s": "ünï", "l": ["b"]}, {"quote\"d.$[0]": 1, "n": "1"}, {},
    )  # fmt: skip

    def matching(self, condition):
        return [int(entry.id) for entry in self.documents.where(condition)]

    def setUp(self):
        super().setUp()
        self.documents = Documents(metric="l2")
        self.addCleanup(self.documents.close)
        count = len(self.METADATAS)
        self.documents.put([str(i) for i in range(count)], vectors(count), [None] * count, self.METADATAS)

    def test_each_holds_where_it_should(self):
        for condition, expected in (
            (conditions.compare("n", "==", 1), [0, 2]),  # true is 1, as in Python
            (conditions.compare("n", "==", "1"), [4]),
            (conditions.compare("n", "==", None), [3, 5]),
            (conditions.compare("n", "!=", 1), [1, 3, 4, 5]),
            (conditions.compare("n", ">", 1), [1]),
            (conditions.compare("n", ">=", "0"), [4]),
            (conditions.compare("s", "<", "a"), [1, 2]),
            (conditions.compare('quote"d.$[0]', "==", 1), [4]),
            (conditions.among("n", [2.5, "1"]), [1, 4]),
            (conditions.among("n", []), []),
            (conditions.contains("l", "a"), [0]),
            (conditions.contains("l", 1), [0]),
            (conditions.contains("s", "n"), [0, 3]),
            (conditions.contains_some("l", ["b", 1]), [0, 3]),
            (conditions.contains_every("l", ["a", 1]), [0]),
            (conditions.has_text("s", "w"), [1]),
            (conditions.has_text("s", "ÜN", ignore_case=True), [3]),
            (conditions.empty("l"), [1, 2, 4, 5]),
            (conditions.empty("s"), [2, 4, 5]),
            (conditions.negated(conditions.missing("o")), [2]),
            (conditions.every([]), [0, 1, 2, 3, 4, 5]),
            (conditions.some([]), []),
        ):
            self.assertEqual(self.matching(condition), expected, condition)

    def test_dicts_are_conditions(self):
        for source, expected in (
            ({}, [0, 1, 2, 3, 4, 5]),
            ({"s": "one", "n": 1}, [0]),
            ({"n": {"$gt": 0, "$lt": 2}}, [0, 2]),
            ({"$or": [{"s": "one"}, {"n": {"$in": [2.5]}}]}, [0, 1]),
            ({"$not": {"s": {"$exists": True}}}, [4, 5]),
            ({"$and": [{"l": {"$contains": "a"}}, {"n": {"$ne": 2}}]}, [0]),
            ({"n": {"$nin": [1, "1"]}}, [1, 3, 5]),
        ):
            self.assertEqual(self.matching(conditions.from_dict(source)), expected, source)
        for wrong in ({"n": {"$near": 1}}, {"$nor": []}):
            self.assertRaises(ValueError, conditions.from_dict, wrong)
        for wrong in ({"n": [1]}, {"n": {"$in": "ab"}}):
            self.assertRaises(TypeError, conditions.from_dict, wrong)


if __name__ == "__main__":
    support.main()
