"""Goal: rhumb.integrations keeps the contracts of the libraries it is for, and what a store holds is there again when
it is opened again.

Method: scikit-learn's estimator checks and its own transformer for comparison, LangChain's standard suite
(langchain_suite.py), and for LlamaIndex, which has no suite, every operation and filter compared with the simple store
of llama-index-core. Classes are skipped where a library is not installed; check_integrations.sh installs them.
"""

import importlib.util
import os
import pickle
import re
import subprocess
import sys
import unittest

import numpy as np

import support
from support import vectors

HERE = os.path.dirname(os.path.abspath(__file__))


def needs(module):
    return unittest.skipUnless(importlib.util.find_spec(module), f"needs {module}")


@needs("sklearn")
class ScikitLearn(support.TestCase):
    def transformer(self, **options):
        from rhumb.integrations.sklearn import RhumbTransformer

        return RhumbTransformer(**options)

    def test_the_estimator_checks_pass(self):
        from sklearn.utils.estimator_checks import check_estimator

        for mode in ("distance", "connectivity"):
            results = check_estimator(self.transformer(n_neighbors=2, mode=mode), on_fail=None, on_skip=None)
            failed = [f"{each['check_name']}: {each['exception']}" for each in results if each["status"] == "failed"]
            self.assertEqual(failed, [])
            passed = sum(each["status"] == "passed" for each in results)
            print(f"{passed} of {len(results)} estimator checks passed", file=sys.stderr)
            self.assertGreater(passed, 30)

    def test_graphs_are_those_of_scikit_learn(self):
        from sklearn.neighbors import KNeighborsTransformer

        data, queries = vectors(300), vectors(20, seed=2)
        for mode in ("distance", "connectivity"):
            for metric in ("euclidean", "cosine", "manhattan"):
                theirs = KNeighborsTransformer(n_neighbors=7, mode=mode, metric=metric).fit(data)
                ours = self.transformer(
                    n_neighbors=7, mode=mode, metric="l1" if metric == "manhattan" else metric, ef_search=200
                ).fit(data)
                for rows in (data, queries):
                    expected, found = theirs.transform(rows), ours.transform(rows)
                    self.assertEqual(found.shape, expected.shape)
                    np.testing.assert_array_equal(found.indptr, expected.indptr)
                    np.testing.assert_allclose(found.toarray(), expected.toarray(), atol=2e-3)
                self.assertEqual(list(ours.get_feature_names_out())[-1], "rhumbtransformer299")

    def test_it_works_in_pipelines(self):
        from sklearn.cluster import DBSCAN
        from sklearn.neighbors import KNeighborsClassifier
        from sklearn.pipeline import make_pipeline

        rng = np.random.default_rng(1)
        data = np.concatenate([rng.normal(0, 0.1, (50, 4)), rng.normal(3, 0.1, (50, 4))])
        labels = np.repeat([0, 1], 50)
        pipeline = make_pipeline(self.transformer(n_neighbors=9), KNeighborsClassifier(5, metric="precomputed"))
        self.assertEqual(pipeline.fit(data, labels).score(data + 0.01, labels), 1.0)
        pipeline = make_pipeline(self.transformer(n_neighbors=30), DBSCAN(eps=0.5, metric="precomputed"))
        self.assertEqual(len(set(pipeline.fit_predict(data))), 2)

    def test_pickles_have_the_index(self):
        data = vectors(100)
        for path in (None, self.path()):
            fitted = self.transformer(path=path).fit(data)
            expected = fitted.transform(data).toarray()
            copy = pickle.loads(pickle.dumps(fitted))
            del fitted
            np.testing.assert_array_equal(copy.transform(data).toarray(), expected)
        self.assertTrue(os.path.exists(self.path()))


@needs("langchain_core")
class LangChain(support.TestCase):
    def store(self, **options):
        from langchain_core.embeddings import DeterministicFakeEmbedding

        from rhumb.integrations.langchain import RhumbVectorStore

        store = RhumbVectorStore(DeterministicFakeEmbedding(size=8), self.path(), **options)
        self.addCleanup(store.close)
        return store

    @needs("langchain_tests")
    def test_the_standard_suite_passes(self):
        suite = os.path.join(HERE, "langchain_suite.py")
        environment = dict(os.environ, PYTHONPATH=os.pathsep.join(path for path in sys.path if path))
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto",
                   "--rootdir", self.folder, suite]  # fmt: skip
        run = subprocess.run(command, env=environment, cwd=self.folder, capture_output=True, text=True)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        print("LangChain's suite:", run.stdout.strip().split("\n")[-1], file=sys.stderr)
        self.assertRegex(run.stdout, r"\d\d passed")
        self.assertIsNone(re.search(r"xfailed|skipped", run.stdout), run.stdout)

    def test_a_store_is_there_again_when_it_is_opened_again(self):
        store = self.store()
        names = store.add_texts(["a", "b", "c"], [{"n": 1}, {"n": 2}, {}], ids=["x", None, "z"])
        self.assertEqual(names[::2], ["x", "z"])
        found = store.similarity_search_with_score("b", k=3)
        self.assertEqual((found[0][0].id, found[0][0].page_content, found[0][0].metadata), (names[1], "b", {"n": 2}))
        self.assertLess(found[0][1], 1e-5)
        store.close()
        store = self.store(read_only=True)
        self.assertEqual(store.similarity_search_with_score("b", k=3), found)
        self.assertRaises(PermissionError, store.add_texts, ["d"])

    def test_filters_are_dicts_or_functions(self):
        store = self.store()
        store.add_texts([str(i) for i in range(20)], [{"n": i, "odd": i % 2 == 1} for i in range(20)])
        for filter, expected in (
            ({"n": {"$gte": 17}}, {17, 18, 19}),
            ({"n": 3}, {3}),
            ({"odd": True, "n": {"$lt": 4}}, {1, 3}),
            ({"$or": [{"n": 1}, {"n": {"$in": [5, 6]}}]}, {1, 5, 6}),
            (lambda document: document.metadata["n"] == 7, {7}),
        ):
            found = store.similarity_search("4", k=10, filter=filter)
            self.assertEqual({document.metadata["n"] for document in found}, expected)
            chosen = store.max_marginal_relevance_search("4", k=2, fetch_k=10, filter=filter)
            self.assertLessEqual({document.metadata["n"] for document in chosen}, expected)
        retriever = store.as_retriever(search_type="mmr", search_kwargs={"k": 3, "filter": {"odd": False}})
        self.assertTrue(all(not document.metadata["odd"] for document in retriever.invoke("4")))
        self.assertRaises(ValueError, store.similarity_search, "4", filter={"n": {"$near": 1}})

    def test_relevance_scores_are_from_0_to_1(self):
        for metric in ("cosine", "l2"):
            self.folder += metric
            os.mkdir(self.folder)
            store = self.store(metric=metric)
            store.add_texts([str(i) for i in range(20)])
            scores = [score for _, score in store.similarity_search_with_relevance_scores("4", k=20)]
            self.assertAlmostEqual(scores[0], 1, places=5)
            self.assertTrue(all(0 <= score <= 1.00001 for score in scores), scores)
            self.assertEqual(scores, sorted(scores, reverse=True))
            self.addCleanup(os.rmdir, self.folder)
            self.addCleanup(lambda folder=self.folder: [os.remove(os.path.join(folder, x)) for x in os.listdir(folder)])
            self.addCleanup(store.close)


@needs("llama_index")
class LlamaIndex(support.TestCase):
    NODES = (
        ("n1", "one", [1.0, 0.0], "d1", {"weight": 1.0, "rank": "a", "tags": ["x", "y"], "code": "Ab1"}),
        ("n2", "two", [0.0, 1.0], "d2", {"weight": 2, "rank": "c", "tags": ["x"], "code": "aB2"}),
        ("n3", "three", [1.0, 1.0], "d2", {"weight": 3.0, "rank": "c", "tags": ["y", "z"], "code": "zz"}),
        ("n4", "four", [0.3, 0.9], "d3", {"weight": None, "tags": [], "rank": ""}),
    )

    def store(self, **options):
        from rhumb.integrations.llama_index import RhumbVectorStore

        store = RhumbVectorStore(self.path(), **options)
        self.addCleanup(store.close)
        return store

    def nodes(self):
        from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode

        return [
            TextNode(id_=name, text=text, embedding=embedding, metadata=dict(metadata),
                     relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=document)})
            for name, text, embedding, document, metadata in self.NODES
        ]  # fmt: skip

    def query(self, store, **options):
        from llama_index.core.vector_stores.types import VectorStoreQuery

        found = store.query(VectorStoreQuery(**{"query_embedding": [0.9, 0.8], "similarity_top_k": 4, **options}))
        return list(found.ids), found

    def both(self):
        from llama_index.core.vector_stores import SimpleVectorStore

        ours, theirs = self.store(), SimpleVectorStore()
        for store in (ours, theirs):
            self.assertEqual(store.add(self.nodes()), ["n1", "n2", "n3", "n4"])
        return ours, theirs

    def test_every_filter_finds_what_the_simple_store_finds(self):
        from llama_index.core.vector_stores.types import (
            FilterCondition,
            FilterOperator,
            MetadataFilter,
            MetadataFilters,
        )

        values = {
            "weight": {"==": [1.0, 2.0, 5], "!=": [1], ">": [1, 1.5], "<": [2.5], ">=": [2], "<=": [2.0],
                       "in": [[1.0, 2.0]], "nin": [[1.0]], "is_empty": [None]},
            "rank": {"==": ["c", "b"], "!=": ["a"], "in": [["a", "b"]], "nin": [["c"]], "is_empty": [None],
                     "text_match": ["c"], ">": ["a"], "<": ["b"], "contains": ["a"]},
            "tags": {"any": [["x", "z"], ["q"]], "all": [["x", "y"]], "contains": ["y"], "is_empty": [None]},
            "code": {"text_match": ["b", "B"], "text_match_insensitive": ["AB"], "==": ["zz"]},
            "unknown": {"==": ["c"], "!=": ["c"], "nin": [["c"]], "is_empty": [None]},
        }  # fmt: skip
        ours, theirs = self.both()
        compared = 0
        tried = [MetadataFilter(key=key, operator=FilterOperator(operator), value=value)
                 for key, each in values.items() for operator, some in each.items() for value in some]  # fmt: skip
        for first, second in zip(tried, tried[1:] + tried[:1]):
            for condition in FilterCondition:
                filters = MetadataFilters(filters=[first, second], condition=condition)
                for chosen in (filters, MetadataFilters(filters=[first])):
                    expected, _ = self.query(theirs, filters=chosen)
                    found, _ = self.query(ours, filters=chosen)
                    self.assertEqual(found, expected, chosen)
                    compared += 1
        self.assertGreater(compared, 150)
        nested = MetadataFilters(filters=[filters, tried[0]], condition=FilterCondition.OR)
        self.assertIn("n1", self.query(ours, filters=nested)[0])

    def test_queries_find_what_the_simple_store_finds(self):
        from llama_index.core.vector_stores.types import VectorStoreQueryMode

        ours, theirs = self.both()
        for options in ({}, {"similarity_top_k": 2}, {"node_ids": ["n2", "n4", "no"]},
                        {"mode": VectorStoreQueryMode.MMR, "similarity_top_k": 2}):  # fmt: skip
            expected, simple = self.query(theirs, **options)
            found, result = self.query(ours, **options)
            self.assertEqual(found, expected, options)
            np.testing.assert_allclose(result.similarities, simple.similarities, atol=1e-6)
        self.assertEqual([node.get_content() for node in result.nodes], ["three", "one"][: len(found)])
        self.assertEqual(set(self.query(ours, doc_ids=["d2"])[0]), {"n2", "n3"})
        self.assertRaises(ValueError, self.query, ours, mode=VectorStoreQueryMode.HYBRID)

    def test_nodes_come_back_whole_and_go(self):
        from llama_index.core.vector_stores.types import MetadataFilter, MetadataFilters

        store = self.store()
        store.add(self.nodes())
        expected = self.nodes()[2]
        expected.embedding = None
        self.assertEqual(store.get_nodes(["n3", "no"]), [expected])
        np.testing.assert_allclose(store.get("n2"), [0, 1])
        rank_c = MetadataFilters(filters=[MetadataFilter(key="rank", value="c")])
        self.assertEqual([node.node_id for node in store.get_nodes(filters=rank_c)], ["n2", "n3"])
        store.delete_nodes(["n1", "n2"], rank_c)
        self.assertEqual(set(self.query(store)[0]), {"n1", "n3", "n4"})
        store.delete("d2")
        store.persist(self.path("unused"))
        store.close()
        store = self.store(read_only=True)
        self.assertEqual(set(self.query(store)[0]), {"n1", "n4"})
        store.close()
        store = self.store()
        store.clear()
        self.assertEqual(self.query(store)[0], [])
        store.add(self.nodes()[:1])
        self.assertEqual(self.query(store)[0], ["n1"])

    def test_an_index_of_documents_uses_it(self):
        from llama_index.core import Document, MockEmbedding, StorageContext, VectorStoreIndex

        store = self.store()
        documents = [Document(id_=str(i), text=f"text {i}", metadata={"i": i}) for i in range(3)]
        index = VectorStoreIndex.from_documents(
            documents, StorageContext.from_defaults(vector_store=store), embed_model=MockEmbedding(embed_dim=4)
        )
        index.delete_ref_doc("1")
        store.close()
        index = VectorStoreIndex.from_vector_store(self.store(), embed_model=MockEmbedding(embed_dim=4))
        found = index.as_retriever(similarity_top_k=5).retrieve("text")
        self.assertEqual({node.metadata["i"] for node in found}, {0, 2})


if __name__ == "__main__":
    support.main()
