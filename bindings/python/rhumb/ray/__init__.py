"""rhumb.ray: a folder of shards, built, searched and written by many machines. Needs Ray: pip install rhumb[ray].

    import rhumb.ray

    rhumb.ray.build("vectors/*.parquet", "images", shards=16, metric="cosine")
    cluster = rhumb.ray.Cluster("images", replicas=2)
    keys, distances = cluster.search(queries, k=10, timeout=1.0)

docs/scale-out.md has the whole. `rhumb` never imports this by itself, and what needs Ray is imported at its first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .errors import Fenced, Moved, NotReady, Unacknowledged, Unavailable

if TYPE_CHECKING:
    from .building import build
    from .cluster import Cluster, ClusterResult

__all__ = ["build", "Cluster", "ClusterResult", "Fenced", "Moved", "NotReady", "Unacknowledged", "Unavailable"]

_MODULES = {"build": "building", "Cluster": "cluster", "ClusterResult": "cluster"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(importlib.import_module(f".{_MODULES[name]}", __name__), name)
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise ImportError("rhumb.ray needs Ray: pip install rhumb[ray]") from error
