"""A vector store for LlamaIndex. Needs llama-index-core.

    store = RhumbVectorStore("nodes.rhumb")
    index = VectorStoreIndex.from_documents(documents, StorageContext.from_defaults(vector_store=store))
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.indices.query.embedding_utils import get_top_k_mmr_embeddings
from llama_index.core.schema import BaseNode, MetadataMode
from llama_index.core.vector_stores.types import (
    BasePydanticVectorStore,
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
    VectorStoreQueryResult,
)
from llama_index.core.vector_stores.utils import metadata_dict_to_node, node_to_metadata_dict

from . import conditions
from .conditions import Condition
from .documents import Documents, Entry

_MMR_ROOM = 4  # of how many times as many candidates diverse ones are chosen

_OPERATORS: dict[FilterOperator, Callable[[str, Any], Condition]] = {
    FilterOperator.IN: conditions.among,
    FilterOperator.NIN: lambda name, value: conditions.negated(conditions.among(name, value)),
    FilterOperator.ANY: conditions.contains_some,
    FilterOperator.ALL: conditions.contains_every,
    FilterOperator.CONTAINS: conditions.contains,
    FilterOperator.TEXT_MATCH: conditions.has_text,
    FilterOperator.TEXT_MATCH_INSENSITIVE: lambda name, value: conditions.has_text(name, value, ignore_case=True),
    FilterOperator.IS_EMPTY: lambda name, value: conditions.empty(name),
}


def condition_of(filters: MetadataFilters | None) -> Condition | None:
    """The condition that filters stand for; they may be nested."""
    if filters is None or not filters.filters:
        return None
    parts = [_part(each) for each in filters.filters]
    if filters.condition == FilterCondition.OR:
        return conditions.some(parts)
    if filters.condition == FilterCondition.NOT:
        return conditions.negated(conditions.some(parts))
    return conditions.every(parts)


def _part(filter: MetadataFilter | MetadataFilters) -> Condition:
    if isinstance(filter, MetadataFilters):
        return condition_of(filter) or conditions.always(True)
    if filter.operator in _OPERATORS:
        return _OPERATORS[filter.operator](filter.key, filter.value)
    return conditions.compare(filter.key, filter.operator.value, filter.value)


class RhumbVectorStore(BasePydanticVectorStore):
    """Nodes in a rhumb index, and an SQLite file next to it for their texts and metadata.

    A store is a path: made again with the same one, it has the same nodes, so `persist` has nothing to write but a
    checkpoint. Similarities are cosines, or under other metrics the distances with their sign changed.
    """

    stores_text: bool = True

    _documents: Documents = PrivateAttr()

    def __init__(self, path: str | None = None, *, metric: str = "cosine", **options: Any) -> None:
        """Opens the store at `path`, or begins one; without a path it is temporary. Options are those of rhumb.create
        and rhumb.open, such as ``read_only=True``."""
        super().__init__(stores_text=True)
        self._documents = Documents(path, metric=metric, **options)

    @classmethod
    def class_name(cls) -> str:
        """The name that LlamaIndex knows the class by."""
        return "RhumbVectorStore"

    @classmethod
    def from_persist_path(cls, persist_path: str, **options: Any) -> RhumbVectorStore:
        """The store that is at a path."""
        return cls(persist_path, **options)

    @property
    def client(self) -> Documents:
        """The documents."""
        return self._documents

    def close(self) -> None:
        """Closes the store, which makes a checkpoint."""
        self._documents.close()

    def persist(self, persist_path: str = "", fs: Any = None) -> None:
        """Makes a checkpoint. The store stays where it is: `persist_path` is not used."""
        self._documents.checkpoint()

    # ---- writing ----------------------------------------------------------------------------------------------------

    def add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        """Inserts nodes with their embeddings, or replaces those whose identifiers are there."""
        names = [node.node_id for node in nodes]
        if nodes:
            texts = [node.get_content(metadata_mode=MetadataMode.NONE) for node in nodes]
            metadatas = [node_to_metadata_dict(node, remove_text=True, flat_metadata=False) for node in nodes]
            self._documents.put(names, [node.get_embedding() for node in nodes], texts, metadatas)
        return names

    def delete(self, ref_doc_id: str, **delete_kwargs: Any) -> None:
        """Deletes the nodes of a document."""
        self._delete(conditions.compare("ref_doc_id", "==", ref_doc_id), None)

    def delete_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None, **delete_kwargs: Any
    ) -> None:
        """Deletes the nodes that are listed and match the filters."""
        self._delete(condition_of(filters), node_ids)

    def _delete(self, condition: Condition | None, node_ids: list[str] | None) -> None:
        self._documents.delete([entry.id for entry in self._entries(condition, node_ids)])

    def clear(self) -> None:
        """Deletes all nodes."""
        self._documents.clear()

    # ---- reading ----------------------------------------------------------------------------------------------------

    def get(self, text_id: str) -> list[float]:
        """The embedding of a node."""
        entries = self._documents.get([text_id])
        if not entries:
            raise KeyError(text_id)
        embedding: list[float] = self._documents.vectors(entries)[0].tolist()
        return embedding

    def get_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None
    ) -> list[BaseNode]:
        """The nodes that are listed and match the filters."""
        return [_node(entry) for entry in self._entries(condition_of(filters), node_ids)]

    def _entries(self, condition: Condition | None, node_ids: list[str] | None) -> list[Entry]:
        if node_ids is None:
            return self._documents.where(condition)
        listed = self._documents.get(node_ids)
        if condition is None:
            return listed
        matching = set(self._documents.keys(condition).tolist())
        return [entry for entry in listed if entry.key in matching]

    def query(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """The nodes nearest to an embedding: of those that match the filters, `node_ids` and `doc_ids`, if given."""
        if query.mode not in (VectorStoreQueryMode.DEFAULT, VectorStoreQueryMode.MMR):
            raise ValueError(f"mode: there is no {query.mode} here, only default and mmr")
        if query.query_embedding is None:
            raise ValueError("query: an embedding expected")
        condition = condition_of(query.filters)
        if query.doc_ids:
            of_documents = conditions.among("ref_doc_id", query.doc_ids)
            condition = of_documents if condition is None else conditions.every([condition, of_documents])
        mmr = query.mode == VectorStoreQueryMode.MMR
        hits = self._documents.search(
            np.asarray(query.query_embedding, np.float32), query.similarity_top_k * (_MMR_ROOM if mmr else 1),
            condition=condition, ids=query.node_ids or None, ef_search=kwargs.get("ef_search"),
        )  # fmt: skip; an index whose store has the nodes lists none of them
        offset = 1.0 if self._documents.metric == "cosine" else 0.0
        entries, similarities = [hit.entry for hit in hits], [offset - hit.distance for hit in hits]
        if mmr and entries:
            threshold = query.mmr_threshold if query.mmr_threshold is not None else kwargs.get("mmr_threshold")
            similarities, chosen = get_top_k_mmr_embeddings(
                query.query_embedding, self._documents.vectors(entries).tolist(),
                similarity_top_k=query.similarity_top_k, embedding_ids=list(range(len(entries))),
                mmr_threshold=threshold,
            )  # fmt: skip
            entries = [entries[i] for i in chosen]
        nodes = [_node(entry) for entry in entries]
        return VectorStoreQueryResult(nodes=nodes, similarities=similarities, ids=[entry.id for entry in entries])


def _node(entry: Entry) -> BaseNode:
    return metadata_dict_to_node(entry.metadata, text=entry.text)
