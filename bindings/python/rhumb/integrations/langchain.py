"""A vector store for LangChain. Needs langchain-core.

    store = RhumbVectorStore(embeddings, "documents.rhumb")
    store.add_texts(["one", "two"], [{"year": 1999}, {"year": 2026}])
    store.similarity_search("first", k=1, filter={"year": {"$lt": 2000}})
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Union

import numpy as np
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import VectorStore
from langchain_core.vectorstores.utils import maximal_marginal_relevance

from ..index import Path
from .conditions import from_dict
from .documents import Documents, Entry, Hit

#: A dict of conditions (conditions.from_dict), or a function of a document, which is called for every one.
Filter = Union[Mapping[str, Any], Callable[[Document], bool], None]


class RhumbVectorStore(VectorStore):
    """Documents in a rhumb index, and an SQLite file next to it for their texts and metadata.

    A store is a path: made again with the same one, it has the same documents. Metadata are what JSON can hold. Scores
    are distances, smaller ones nearer; relevance scores are from 0 to 1.
    """

    def __init__(
        self, embedding: Embeddings, path: Path | None = None, *, metric: str = "cosine", **options: Any
    ) -> None:
        """Opens the store at `path`, or begins one; without a path it is temporary. `metric` is "cosine", "ip" or "l2";
        options are those of rhumb.create and rhumb.open, such as ``read_only=True``."""
        self._embedding = embedding
        self.documents = Documents(path, metric=metric, **options)

    def close(self) -> None:
        """Closes the store, which makes a checkpoint."""
        self.documents.close()

    def __enter__(self) -> RhumbVectorStore:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def embeddings(self) -> Embeddings:
        """What makes vectors of texts."""
        return self._embedding

    # ---- writing ----------------------------------------------------------------------------------------------------

    def add_texts(
        self, texts: Iterable[str], metadatas: list[dict[str, Any]] | None = None, *, ids: list[str] | None = None,
        **kwargs: Any,
    ) -> list[str]:  # fmt: skip
        """Inserts texts, or replaces those whose identifiers are there, and returns the identifiers."""
        texts = list(texts)
        metadatas = [{} for _ in texts] if metadatas is None else metadatas
        given: Sequence[str | None] = ids or [None] * len(texts)
        names = [name or str(uuid.uuid4()) for name in given]
        if not len(texts) == len(metadatas) == len(names):
            raise ValueError(f"{len(texts)} texts with {len(metadatas)} metadatas and {len(names)} ids")
        if texts:
            self.documents.put(names, self._embedding.embed_documents(texts), texts, metadatas)
        return names

    def add_documents(self, documents: list[Document], *, ids: list[str] | None = None, **kwargs: Any) -> list[str]:
        """Inserts documents, or replaces those whose identifiers are there, and returns the identifiers."""
        names: Any = ids if ids is not None else [document.id for document in documents]
        texts = [document.page_content for document in documents]
        return self.add_texts(texts, [document.metadata for document in documents], ids=names, **kwargs)

    def delete(self, ids: list[str] | None = None, **kwargs: Any) -> bool:
        """Deletes documents; without `ids` all of them. Identifiers that are not there are left out."""
        if ids is None:
            self.documents.clear()
        else:
            self.documents.delete(ids)
        return True

    # ---- searching --------------------------------------------------------------------------------------------------

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """The documents of identifiers; those that are not there are left out."""
        return [_document(entry) for entry in self.documents.get(ids)]

    def _hits(
        self, embedding: Sequence[float], k: int, filter: Filter = None, ef_search: int | None = None, **kwargs: Any
    ) -> list[Hit]:
        query = np.asarray(embedding, np.float32)
        if callable(filter):
            matches = filter  # for checkers, which forget what a variable is inside of a function
            return self.documents.search(
                query, k, matches=lambda entry: matches(_document(entry)), ef_search=ef_search
            )
        condition = None if filter is None else from_dict(filter)
        return self.documents.search(query, k, condition=condition, ef_search=ef_search)

    def similarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        """The `k` documents nearest to a text; `filter` and `ef_search` as in similarity_search_by_vector."""
        return self.similarity_search_by_vector(self._embedding.embed_query(query), k, **kwargs)

    def similarity_search_by_vector(self, embedding: list[float], k: int = 4, **kwargs: Any) -> list[Document]:
        """The `k` documents nearest to a vector. `filter` is a dict such as ``{"year": {"$gte": 1990}}`` or a function
        of a document; `ef_search` is the breadth of the search."""
        return [_document(hit.entry) for hit in self._hits(embedding, k, **kwargs)]

    def similarity_search_with_score(self, query: str, k: int = 4, **kwargs: Any) -> list[tuple[Document, float]]:
        """The nearest documents with their distances."""
        return self.similarity_search_with_score_by_vector(self._embedding.embed_query(query), k, **kwargs)

    def similarity_search_with_score_by_vector(
        self, embedding: list[float], k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """The documents nearest to a vector with their distances."""
        return [(_document(hit.entry), hit.distance) for hit in self._hits(embedding, k, **kwargs)]

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        if self.documents.metric == "cosine":
            return lambda distance: 1 - distance / 2
        if self.documents.metric in ("l2", "l2sq"):
            return lambda distance: 1 / (1 + distance)
        raise ValueError(f"there are no relevance scores under {self.documents.metric}")

    def max_marginal_relevance_search(
        self, query: str, k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[Document]:
        """Documents that are near a text and not near each other."""
        embedding = self._embedding.embed_query(query)
        return self.max_marginal_relevance_search_by_vector(embedding, k, fetch_k, lambda_mult, **kwargs)

    def max_marginal_relevance_search_by_vector(
        self, embedding: list[float], k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[Document]:
        """Documents that are near a vector and not near each other: `k` of the `fetch_k` nearest."""
        entries = [hit.entry for hit in self._hits(embedding, fetch_k, **kwargs)]
        if not entries:
            return []
        vectors = list(self.documents.vectors(entries))
        chosen = maximal_marginal_relevance(np.asarray(embedding, np.float32), vectors, lambda_mult=lambda_mult, k=k)
        return [_document(entries[i]) for i in chosen]

    @classmethod
    def from_texts(
        cls, texts: list[str], embedding: Embeddings, metadatas: list[dict[str, Any]] | None = None, *,
        ids: list[str] | None = None, path: Path | None = None, **kwargs: Any,
    ) -> RhumbVectorStore:  # fmt: skip
        """A store of texts, at `path` or temporary."""
        store = cls(embedding, path, **kwargs)
        store.add_texts(texts, metadatas, ids=ids)
        return store


def _document(entry: Entry) -> Document:
    return Document(id=entry.id, page_content=entry.text or "", metadata=entry.metadata)
