"""What each address of the service answers.

    GET  /                      the page
    POST /api/search            {"text": ..., "k": 10, "ef": 64, "section": ..., "keys": [...]}; in place of the text
                                "vector": [...], or "like": a key or a name
    GET  /api/search?text=...   the same
    GET  /api/documents/NAME    a document by its name or key; with ?vector=1 its vector too
    GET  /api/index             what is served
    GET  /health                whether this worker is well
    GET  /metrics               counters, for Prometheus

Answers are JSON; refusals are {"error": {"status": ..., "message": ...}}. Fields that are not listed are refused, so
that a misspelt one is not ignored.
"""

import base64
import dataclasses
import hashlib
import json
import re
import time

import numpy as np

import rhumb
from service.web import Answer, Refusal

SEARCH = "/api/search"
DOCUMENTS = "/api/documents/"
_FIELDS = ("text", "vector", "like", "k", "ef", "section", "keys")
_EXACT = {"/": "page", SEARCH: "search", "/api/index": "index", "/health": "health", "/metrics": "metrics"}
_METHODS = {"search": ("GET", "HEAD", "POST")}
_REFUSED = (rhumb.Invalid, rhumb.NotFinite, rhumb.Domain, rhumb.Unsupported)  # by the library, because of the request
_KEY_MAX = 2**64 - 2


def route_of(path):
    """The name of what a path leads to, as metrics.ROUTES has them; "other" if to nothing."""
    return "document" if path.startswith(DOCUMENTS) else _EXACT.get(path, "other")


def check_method(route, method):
    allowed = _METHODS.get(route, ("GET", "HEAD"))
    if method not in allowed:
        raise Refusal(405, f"{method}: {' or '.join(allowed)} expected", headers=[("Allow", ", ".join(allowed))])


class Page:
    """The HTML file, with a policy that allows nothing but what is in it, and requests to this service."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            text = file.read()
        policy = ["default-src 'none'", "connect-src 'self'", "img-src data:", "base-uri 'none'", "form-action 'none'",
                  "frame-ancestors 'none'"]  # fmt: skip
        for kind in ("script", "style"):
            hashes = [_hash_of(part) for part in re.findall(rf"<{kind}>(.*?)</{kind}>", text, re.DOTALL)]
            policy.append(f"{kind}-src {' '.join(hashes)}")
        headers = (("Content-Security-Policy", "; ".join(policy)), ("Cache-Control", "no-cache"))
        self.answer = Answer(200, text.encode("utf-8"), "text/html; charset=utf-8", headers)


def _hash_of(text):
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode() + "'"


@dataclasses.dataclass
class Search:
    """A search request that was checked, as far as that is possible without the collection."""

    text: object = None
    vector: object = None
    like: object = None
    k: int = 10
    ef: object = None
    section: object = None
    keys: object = None


class Api:
    """Answers about the current collection. Any number of threads may use it."""

    def __init__(self, current, embedder, limits):
        """`embedder` has a name, a dim, and embed(texts); None: the service has no model."""
        self._current, self._embedder, self._limits = current, embedder, limits

    # ---- searching --------------------------------------------------------------------------------------------------

    def search(self, request):
        """(answer, {what: seconds it took}), the names as metrics.TIMES has them."""
        begun = time.perf_counter()
        asked = self._asked(request)
        with self._current.use() as collection:
            epoch = collection.epoch  # a refresh may come before the search
            vector, embed_seconds = self._vector_of(asked, collection)
            options = {"ef_search": asked.ef, "filter": self._filter_of(asked, collection)}
            searched = time.perf_counter()
            try:
                if asked.like is not None:
                    key = _key_of(asked.like, collection)
                    found = collection.shards.search_like(key, asked.k, **options)
                else:
                    found = collection.shards.search(vector, asked.k, threads=1, **options)
            except _REFUSED as error:
                raise Refusal(400, str(error)) from None
            except rhumb.KeyNotFound:
                raise Refusal(404, "like: there is no such key") from None
            search_seconds = time.perf_counter() - searched
            results = _results_of(found, collection)
        total_seconds = time.perf_counter() - begun
        times = {"request": total_seconds, "search": search_seconds}
        if asked.text is not None:
            times["embed"] = embed_seconds
        shown = {"embed_ms": embed_seconds, "search_ms": search_seconds, "total_ms": total_seconds}
        shown = {name: round(1000 * seconds, 3) for name, seconds in shown.items()}
        return Answer.of({"results": results, "epoch": epoch, **shown}, headers=(("Cache-Control", "no-store"),)), times

    def _asked(self, request):
        limits = self._limits
        given = _json_of(request.body) if request.method == "POST" else _numbers_of(request.query)
        if not isinstance(given, dict):
            raise Refusal(400, "the body is not a JSON object")
        for name in given:
            if name not in _FIELDS:
                raise Refusal(400, f"{name[:50]}: there is no such field; there are {', '.join(_FIELDS)}")
        asked = Search(**given)
        if sum(value is not None for value in (asked.text, asked.vector, asked.like)) != 1:
            raise Refusal(400, "one of text, vector and like expected")
        asked.k = _whole("k", asked.k, limits.k_max)
        if asked.ef is not None:
            asked.ef = _whole("ef", asked.ef, limits.ef_max)
        if asked.text is not None and not (isinstance(asked.text, str) and asked.text.strip()):
            raise Refusal(400, "text: a string that is not empty expected")
        if asked.section is not None and not isinstance(asked.section, str):
            raise Refusal(400, "section: a string expected")
        for name in ("text", "section", "like"):
            _check_string(name, getattr(asked, name), limits.text_length_max)
        if asked.keys is not None:
            _check_keys(asked.keys, limits.filter_key_count_max)
        return asked

    def _vector_of(self, asked, collection):
        """(vector, seconds); (None, 0) for a search by example."""
        if asked.text is not None:
            self._check_model(collection)
            begun = time.perf_counter()
            return self._embedder.embed([asked.text])[0], time.perf_counter() - begun
        if asked.vector is not None:
            return _array_of(asked.vector, collection.shards), 0.0
        return None, 0.0

    def _check_model(self, collection):
        if reason := self.why_no_text(collection):
            raise Refusal(409, f"text: {reason}: give a vector, or a key that is like what you look for")

    def why_no_text(self, collection):
        """Why texts cannot be searched for, or None."""
        embedder = self._embedder
        if embedder is None:
            return "this service has no model"
        if embedder.dim != collection.shards.dim or collection.model not in (None, embedder.name):
            return f"the vectors are of another model ({collection.model or 'unknown'}) than {embedder.name}"
        return None

    def _filter_of(self, asked, collection):
        if asked.section is not None and asked.keys is not None:
            raise Refusal(400, "section and keys cannot be combined")
        if asked.keys is not None:
            return rhumb.Keys(asked.keys)
        if asked.section is None:
            return None
        if collection.documents is None:
            raise Refusal(409, "section: the folder has no documents, so no sections")
        return collection.documents.filter_of(asked.section)

    # ---- the rest ---------------------------------------------------------------------------------------------------

    def document(self, request):
        """A document, by its name or key."""
        name = request.path[len(DOCUMENTS) :]
        for field in request.query:
            if field != "vector":
                raise Refusal(400, f"{field[:50]}: there is no such field; there is vector")
        with self._current.use() as collection:
            key = _key_of(name, collection)
            shards = collection.shards
            vector = shards.get(key, None)
            if vector is None:
                raise Refusal(404, "there is no such document")
            found = _described([key], collection)[0]
            if request.query.get("vector", "0") not in ("", "0"):
                found["vector"] = _numbers_in(vector, shards.element)
        return Answer.of(found)

    def index(self, request):
        """What is served."""
        with self._current.use() as collection:
            shards, documents = collection.shards, collection.documents
            stats, reason = shards.stats, self.why_no_text(collection)
            found = {
                "count": stats.count, "shards": stats.shard_count, "epoch": stats.epoch, "uuid": str(stats.uuid),
                "file_bytes": stats.file_bytes, "dim": shards.dim, "metric": shards.metric, "element": shards.element,
                "model": self._embedder.name if self._embedder else None, "text": reason is None,
                "text_refused_because": reason, "documents": documents is not None,
                "sections": [{"section": name, "count": count} for name, count in documents.sections()]
                if documents else [],
                "k_max": self._limits.k_max, "ef_max": self._limits.ef_max, "ef": shards.options.ef_search,
            }  # fmt: skip
        return Answer.of(found, headers=(("Cache-Control", "no-store"),))

    def health(self, worker, stopping):
        """Whether a worker answers, and what keeps it from serving the newest state."""
        failure = self._current.failure
        status = "stopping" if stopping else "stale" if failure else "ok"
        found = {"status": status, "worker": worker}
        if failure:
            found["failure"] = failure
        return Answer.of(found, 503 if stopping else 200, (("Cache-Control", "no-store"),))


# ---- requests --------------------------------------------------------------------------------------------------------


def _json_of(body):
    """What a body holds; NaN and infinity, which are not JSON, are refused."""

    def refuse(name):
        raise ValueError(f"{name} is not JSON")

    try:
        return json.loads(body.decode("utf-8") if isinstance(body, bytes) else body, parse_constant=refuse)
    except RecursionError:
        raise Refusal(400, "the body is not JSON: nested too deeply") from None
    except ValueError as error:  # of JSON, of UTF-8, of numbers with too many digits
        raise Refusal(400, f"the body is not JSON: {str(error)[:200]}") from None


def _numbers_of(query):
    """The fields of a query with those that are numbers as such."""
    found = dict(query)
    for name in ("k", "ef"):
        if name in found:
            try:
                found[name] = int(found[name])
            except ValueError:
                raise Refusal(400, f"{name}: a whole number expected") from None
    for name in ("vector", "keys"):
        if name in found:
            found[name] = _json_of(f"[{found[name]}]")
    return found


def _is_whole(value):
    return isinstance(value, int) and not isinstance(value, bool)


def _whole(name, value, value_max):
    if not _is_whole(value) or not 1 <= value <= value_max:
        raise Refusal(400, f"{name}: a whole number from 1 to {value_max:,} expected, found {str(value)[:50]}")
    return value


def _check_string(name, value, length_max):
    if not isinstance(value, str):
        return
    if len(value) > length_max:
        raise Refusal(400, f"{name}: at most {length_max:,} letters expected, found {len(value):,}")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:  # half of a pair of UTF-16, which JSON can write
        raise Refusal(400, f"{name}: not Unicode") from None


def _check_keys(keys, count_max):
    if not isinstance(keys, list) or len(keys) > count_max:
        raise Refusal(400, f"keys: a list of at most {count_max:,} keys expected")
    if not all(_is_whole(key) and 0 <= key <= _KEY_MAX for key in keys):
        raise Refusal(400, f"keys: whole numbers from 0 to {_KEY_MAX} expected")


def _array_of(vector, shards):
    """An array of a list of numbers, of the kind that the shards hold."""
    kinds = set(map(type, vector)) if isinstance(vector, list) else {None}
    if not kinds <= {int, float}:
        raise Refusal(400, "vector: a list of numbers expected")
    floats = shards.element in ("f16", "bf16", "f32", "f64")
    if not floats and float in kinds:
        raise Refusal(400, f"vector: whole numbers expected, as the vectors are {shards.element}")
    try:
        found = np.array(vector, np.float64 if floats else np.int64 if min(vector, default=0) < 0 else np.uint64)
    except OverflowError:
        raise Refusal(400, "vector: a number is too large") from None
    if not floats:
        return found if shards.element != "b1" else _bytes_of(found)
    limit = np.finfo(np.float64 if shards.element == "f64" else np.float32).max
    if not np.all(np.abs(found) <= limit):
        raise Refusal(400, "vector: a number is too large")
    return found if shards.element == "f64" else found.astype(np.float32)


def _numbers_in(vector, element):
    """A vector as a list, which _array_of takes."""
    if element == "bf16" and vector.dtype == np.uint16:  # their bits, where there is no dtype for them
        vector = (vector.astype(np.uint32) << 16).view(np.float32)
    return vector.tolist()


def _bytes_of(found):
    """Packed bits, as the shards hold them."""
    if not np.all((found >= 0) & (found <= 255)):
        raise Refusal(400, "vector: bytes of packed bits expected, from 0 to 255")
    return found.astype(np.uint8)


def _key_of(like, collection):
    """The key that a request means: a number is a key; a string is a name, or a key if no document has that name."""
    if isinstance(like, str):
        named = collection.documents.key_of(like) if collection.documents is not None else None
        if named is not None:
            return named
        if not (like.isascii() and like.isdigit() and len(like) <= 20):
            raise Refusal(404, "there is no such document")
        like = int(like)
    if not _is_whole(like) or not 0 <= like <= _KEY_MAX:
        raise Refusal(400, f"a key is a whole number from 0 to {_KEY_MAX}")
    return like


def _described(keys, collection):
    """Keys with their documents, as far as they have any."""
    documents = collection.documents.of(keys) if collection.documents is not None else {}
    return [{"key": key, **documents.get(key, {})} for key in keys]


def _results_of(found, collection):
    """Results with the shortest decimals of their distances; a score only where it is the cosine."""
    results = _described(found.keys.tolist(), collection)
    for result, distance in zip(results, found.distances):
        result["distance"] = float(str(distance))
        if collection.shards.metric == "cosine":
            result["score"] = round(1 - float(distance), 6)
    return results
