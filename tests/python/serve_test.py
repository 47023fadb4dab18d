"""Goal: examples/serve.py answers what is asked, and refuses what it cannot answer with an error that says why.

Method: services of two processes over small folders, with a stand-in for the model.
"""

import base64
import hashlib
import json
import os
import re
import socket
import subprocess

import numpy as np

import rhumb.shards
import serve_support
import support
from serve_support import COUNT, TEXT_77, Client, ServiceCase, Shared
from service import api, collection, metrics, web


class Answers(Shared):
    def test_a_text_finds_the_nearest_with_scores_and_times(self):
        status, found = self.service.search(text=TEXT_77, k=3)
        self.assertEqual((status, len(found["results"])), (200, 3))
        first = found["results"][0]
        self.assertEqual((first["name"], first["section"]), ("package77", "video"))
        self.assertIn("unique77", first["summary"])
        self.assertAlmostEqual(first["score"], 1 - first["distance"], places=5)
        scores = [result["score"] for result in found["results"]]
        self.assertEqual(scores, sorted(scores, reverse=True))
        self.assertGreaterEqual(found["total_ms"], found["search_ms"] + found["embed_ms"])

    def test_get_and_post_answer_the_same(self):
        posted = self.service.search(text="sextant unique5", k=7, ef=50, section="sound")[1]["results"]
        got = self.service.ask("/api/search?text=sextant+unique5&k=7&ef=50&section=sound")[1]["results"]
        self.assertEqual(posted, got)
        self.assertEqual(len(got), 7)

    def test_a_section_restricts_what_is_found(self):
        status, found = self.service.search(text="compass", k=20, section="games")
        self.assertEqual({result["section"] for result in found["results"]}, {"games"})
        self.assertEqual(len(found["results"]), 20)
        self.assertEqual(self.names(text="compass", section="no such section"), [])

    def test_keys_restrict_what_is_found(self):
        keys = [self.service.ask(f"/api/documents/package{number}")[1]["key"] for number in (3, 4)]
        self.assertEqual(set(self.names(text="rope", keys=keys)), {"package3", "package4"})
        self.assertEqual(self.names(text="rope", keys=[]), [])

    def test_an_example_is_a_name_or_a_key_and_is_not_found_itself(self):
        key = self.service.ask("/api/documents/package12")[1]["key"]
        by_name, by_key = self.names(like="package12"), self.names(like=key)
        self.assertEqual(by_name, by_key)
        self.assertEqual(self.names(like=str(key)), by_key)
        self.assertNotIn("package12", by_name)

    def test_a_vector_is_an_example_too(self):
        vector = self.service.ask("/api/documents/package12?vector=1")[1]["vector"]
        self.assertEqual(self.names(vector=vector)[0], "package12")
        text = ",".join(map(str, vector))
        self.assertEqual(self.service.ask(f"/api/search?vector={text}")[1]["results"][0]["name"], "package12")

    def test_facts_are_those_of_the_folder(self):
        status, found = self.service.ask("/api/index")
        manifest = rhumb.shards.info(self.served)
        self.assertEqual((found["count"], found["shards"], found["epoch"]), (COUNT, 2, manifest.epoch))
        self.assertEqual(found["uuid"], str(manifest.uuid))
        self.assertEqual(sum(section["count"] for section in found["sections"]), COUNT)
        self.assertTrue(found["text"])

    def test_the_page_is_sent_with_a_policy_that_allows_its_own_code_alone(self):
        client = Client(self.service.port)
        self.addCleanup(client.close)
        status, page = client.ask("/")
        policy = client.headers["Content-Security-Policy"]
        self.assertEqual(status, 200)
        for kind in ("script", "style"):
            (code,) = re.findall(f"<{kind}>(.*?)</{kind}>", page, re.DOTALL)
            digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
            self.assertIn(f"{kind}-src 'sha256-{digest}'", policy)
        self.assertNotRegex(page, r"(?:src|href)=\"(?:https?:)?//")
        self.assertNotRegex(page, r"\son\w+=|\sstyle=")
        self.assertEqual(client.ask("/", method="HEAD"), (200, ""))
        self.assertEqual(client.ask("/health")[1]["status"], "ok")

    def test_metrics_count_requests_and_times(self):
        def counted(status):
            text = self.service.ask("/metrics")[1]
            found = re.search(rf'requests_total{{route="search",status="{status}"}} (\d+)', text)
            return int(found.group(1)) if found else 0

        before = counted(200), counted(400), self.service.metric("request_seconds_count")[0]
        for _ in range(5):
            self.service.search(text="sail")
        self.service.search()
        self.assertEqual((counted(200), counted(400)), (before[0] + 5, before[1] + 1))
        self.assertEqual(self.service.metric("request_seconds_count")[0], before[2] + 5)
        buckets = self.service.metric("request_seconds_bucket")
        self.assertEqual(buckets, sorted(buckets))
        self.assertEqual(buckets[-1], before[2] + 5)
        self.assertEqual(self.service.metric("epoch"), [rhumb.shards.info(self.served).epoch] * 2)

    def test_the_access_log_has_a_line_for_a_request_and_no_queries(self):
        self.service.ask("/api/search?text=private+words")
        self.service.ask("/forged%0A127.0.0.1 GET /api/search 200")
        with open(self.log) as file:
            lines = file.read().splitlines()
        self.assertTrue(any(" GET /api/search 200 " in line for line in lines))
        self.assertFalse(any("private" in line for line in lines))
        self.assertTrue(any(line.split()[3] == "/forged%0A127.0.0.1%20GET%20/api/search%20200" for line in lines))
        for line in lines:
            self.assertRegex(line, r"^\S+Z 127\.0\.0\.1 \S+ \S+ \d{3} \d+ [\d.]+$")


class Refusals(Shared):
    def test_fields_that_are_wrong_are_named(self):
        for body, pattern in (
            ({}, "one of text, vector and like"),
            ({"text": "a", "like": "b"}, "one of text, vector and like"),
            ({"txet": "a"}, "txet: there is no such field"),
            ({"text": ""}, "text: a string"), ({"text": 7}, "text: a string"),
            ({"text": "x" * 3000}, "text: at most 2,000"),
            ({"text": "a", "k": 0}, "k: a whole number from 1 to 100"), ({"text": "a", "k": 101}, "k: .*found 101"),
            ({"text": "a", "k": True}, "k: "), ({"text": "a", "k": 1.5}, "k: "), ({"text": "a", "k": "9"}, "k: "),
            ({"text": "a", "k": None}, "k: "), ({"text": "a", "ef": 1001}, "ef: .*1,000"),
            ({"text": "a", "ef": -1}, "ef: "), ({"text": "a", "section": 5}, "section: a string"),
            ({"text": "a", "keys": 5}, "keys: a list"), ({"text": "a", "keys": ["x"]}, "keys: whole numbers"),
            ({"text": "a", "keys": [-1]}, "keys: "), ({"text": "a", "keys": [2**64]}, "keys: "),
            ({"text": "a", "keys": [0] * 10001}, "keys: a list of at most 10,000"),
            ({"text": "a", "keys": [1], "section": "sound"}, "cannot be combined"),
            ({"vector": [1.0] * 63}, "64"), ({"vector": []}, "64"), ({"vector": "x"}, "vector: a list"),
            ({"vector": [[1.0] * 64]}, "vector: a list"), ({"vector": [None] * 64}, "vector: a list"),
            ({"vector": [True] * 64}, "vector: a list"), ({"vector": [10**400] * 64}, "vector: a number"),
            ({"vector": [1e300] * 64}, "vector: a number"), ({"like": [1]}, "a key"), ({"like": -1}, "a key"),
            ({"like": 2**64 - 1}, "a key"), ({"like": 1.0}, "a key"), ([], "not a JSON object"),
        ):  # fmt: skip
            with self.subTest(body=str(body)[:60]):
                self.refused(400, pattern, body=body)
        for query, pattern in (("k=x&text=a", "k: a whole number"), ("text=a&text=b", "same field twice"),
                               ("text=%FF", "not UTF-8"), ("vector=1,x", "not JSON")):  # fmt: skip
            with self.subTest(query=query):
                self.refused(400, pattern, f"/api/search?{query}", method="GET")

    def test_bodies_that_are_not_json_are_refused(self):
        for body in ("", "{", "nonsense", b"\xff\xfe", '{"vector": [NaN]}', '{"vector": [Infinity]}', "[" * 100000,
                     '{"a":' * 50000, "9" * 5000, '"\ud800"'.encode("utf-8", "surrogatepass")):  # fmt: skip
            with self.subTest(body=body[:20]):
                self.refused(400, "the body is not JSON", body=body, method="POST")
        self.refused(400, "vector: a number", body='{"vector": [1e999' + ", 1" * 63 + "]}")
        self.refused(400, "not Unicode", body='{"text": "\\ud800"}')
        self.refused(400, "not Unicode", body='{"like": "\\ud800"}')
        self.refused(400, "not Unicode", body='{"text": "a", "section": "\\udfff"}')

    def test_what_is_not_there_is_404_and_wrong_methods_405(self):
        for path in ("/api/documents/nothing", "/api/documents/99999", "/nothing", "/api", "/api/documents/",
                     "/api/documents/../../etc/passwd", "/api/documents/%00", "/favicon.ico"):  # fmt: skip
            with self.subTest(path=path):
                self.refused(404, "there is no", path)
        self.refused(404, "there is no", body={"like": "nothing"})
        self.refused(404, "there is no", body={"like": 99999})
        self.refused(400, "no such field", "/api/documents/package1?vectors=1")
        for path, method in (("/", "POST"), ("/api/search", "DELETE"), ("/metrics", "PUT"), ("/health", "POST")):
            self.refused(405, "expected", path, "x", method)


class VectorsAlone(Shared):
    encoder = None

    @classmethod
    def make(cls):
        cls.vectors = support.vectors(500)
        rhumb.shards.build(cls.served, cls.vectors, shards=3, metric="l2")

    def test_it_is_searched_by_vector_and_by_example(self):
        status, found = self.service.search(vector=self.vectors[7].tolist(), k=2)
        self.assertEqual((status, found["results"][0]), (200, {"key": 7, "distance": 0.0}))
        other = found["results"][1]
        expected = float(np.square(self.vectors[7] - self.vectors[other["key"]]).sum())
        self.assertTrue(np.isclose(other["distance"], [expected, expected**0.5], rtol=1e-5).any())
        self.assertEqual(self.service.search(like=7, k=1)[1]["results"], [other])
        self.assertEqual(self.service.ask("/api/search?like=7&k=1")[1]["results"], [other])

    def test_it_says_that_it_has_no_model_and_no_sections(self):
        self.refused(409, "no model", body={"text": "sail"})
        self.refused(409, "no documents", body={"like": 7, "section": "sound"})
        found = self.service.ask("/api/index")[1]
        self.assertEqual((found["text"], found["documents"], found["model"]), (False, False, None))
        self.assertIn("no model: searches by vector and by example only\n", self.service.said)


class Kinds(support.TestCase):
    """Vectors of every kind, asked of an Api in this process."""

    def open(self, metric, dtype, rows):
        path = self.path(f"{metric}-{dtype}")
        sequences = metric == "levenshtein"
        dim = 9 if sequences else rows.shape[1] * (8 if dtype == "b1" else 1)
        with rhumb.shards.create(path, dim, metric, dtype, shards=2, durability="none") as shards:
            shards.add(list(rows) if sequences else rows)
        current = collection.Current(path, 1, metrics.Board(1).row(0), print)
        self.addCleanup(current.close)
        return api.Api(current, None, web.Limits())

    def search(self, service, vector):
        body = json.dumps({"vector": vector, "k": 2}).encode()
        return json.loads(service.search(web.Request("POST", "/api/search", {}, {}, body, True))[0].body)["results"]

    def test_the_vector_that_a_document_shows_finds_it(self):
        rng = np.random.default_rng(1)
        for metric, dtype, kind in (
            ("l2", "i8", np.int8), ("l2", "u8", np.uint8), ("hamming", "b1", np.uint8), ("cosine", "f16", np.float16),
            ("l2", "bf16", np.float32), ("l2", "f32", np.float32), ("l2", "f64", np.float64), ("l1", "i32", np.int32),
            ("levenshtein", "u16", np.uint16),
        ):  # fmt: skip
            with self.subTest(metric=metric, dtype=dtype):
                floats = dtype in ("f16", "bf16", "f32", "f64")
                rows = rng.random((50, 8), np.float32) if floats else rng.integers(0, 100, (50, 8))
                rows = rows.astype(kind)
                service = self.open(metric, dtype, rows)
                asked = web.Request("GET", "/api/documents/3", {"vector": "1"}, {}, b"", True)
                vector = json.loads(service.document(asked).body)["vector"]
                found = self.search(service, vector)
                self.assertEqual(found[0]["key"], 3)
                self.assertAlmostEqual(found[0]["distance"], 0, places=5)
                for bad in ([2**70] * 8, [10**400] * 8, [1e999] * 8, [0.5] * 7, [-1] * 8 if dtype[0] == "u" else [None]):
                    if dtype in ("f32", "f64", "bf16") and bad[0] == 2**70:
                        continue
                    with self.assertRaises(web.Refusal) as refused:
                        self.search(service, bad)
                    self.assertEqual(refused.exception.status, 400)

    def test_a_distance_beyond_the_floats_is_answered(self):
        service = self.open("l2sq", "f32", np.zeros((2, 8), np.float32))
        self.assertEqual(len(self.search(service, [3e38] * 8)), 2)


class Starts(ServiceCase):
    def fails(self, pattern, *arguments):
        code = "import sys, serve, support; sys.exit(serve.main(sys.argv[1:], support.WordEncoder()))"
        process = support.start_python(code, *arguments, stderr=subprocess.PIPE)
        said = "".join(process.communicate())
        self.assertEqual(process.returncode, 1, said)
        self.assertRegex(said, pattern)
        self.assertNotIn("Traceback", said)

    def test_what_cannot_be_served_is_refused(self):
        self.fails("no manifest", "run", self.path("nothing"))
        rhumb.shards.create(self.path("other"), 16, shards=1).close()
        self.fails("vectors of 64 expected", "run", self.path("other"))
        rhumb.shards.create(self.path("served"), 64, shards=1).close()
        with socket.create_server(("127.0.0.1", 0)) as taken:
            self.fails("in use", "run", "--port", str(taken.getsockname()[1]), self.path("served"))
        shard = rhumb.shards.info(self.path("served")).shards[0].file
        os.remove(self.path(os.path.join("served", shard)))
        self.fails(f"{shard}: missing", "run", "--port", "0", self.path("served"))

    def test_texts_are_refused_where_the_vectors_are_of_another_model(self):
        serve_support.make_folder(self.path("served"), 20, self.path("apt"))
        with rhumb.shards.open(self.path("served")) as shards:
            shards.metadata = json.dumps({"model": "another"}).encode()
        service = self.start(self.path("served"))
        self.assertEqual(service.search(text="sail")[0], 409)
        self.assertEqual(service.search(like="package5")[0], 200)


if __name__ == "__main__":
    support.main()
