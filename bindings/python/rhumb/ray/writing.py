"""One batch of writes: each shard's part goes to its writer, and again to its successor, until it is acknowledged."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

import numpy as np
import ray
from numpy.typing import NDArray
from ray.exceptions import GetTimeoutError, RayActorError, RayError

from ..errors import Closed, Locked
from ..shards import placement
from .errors import Fenced, Moved, Unacknowledged, line_of
from .metrics import Metrics
from .plan import Plan

_PAUSE_SECONDS = 0.1
_AGAIN = (Moved, Fenced, Locked, Closed)  # failures of a writer that has a successor, or waits for a predecessor


def write(
    plan: Plan, what: str, keys: NDArray[np.uint64], vectors: Any, limit: float, metrics: Metrics,
    replan: Callable[[], Plan],
) -> int:  # fmt: skip
    """Does a batch ("add", "upsert" or "delete"); returns how many vectors the writers have changed.

    Unacknowledged: after `limit` (of time.monotonic) some parts may be there or not.
    """
    begun = time.monotonic()
    metrics.add("writes_total")
    left = np.arange(len(keys))  # rows that are not acknowledged
    again = False
    changed = 0
    reason = ""
    while len(left):
        if again:
            if time.monotonic() >= limit:
                metrics.add("write_failures_total")
                raise Unacknowledged(f"{len(left)} of {len(keys)} keys were not acknowledged, the first of them "
                                     f"{keys[left[0]]}: {reason}", "UNACKNOWLEDGED")  # fmt: skip
            time.sleep(_PAUSE_SECONDS)
            plan = replan()
        done, failed, reason, fatal = _send(plan, what, keys, vectors, left, again, limit)
        changed += done
        if fatal is not None:
            metrics.add("write_failures_total")
            raise fatal
        metrics.add("write_retries_total", sum(len(rows) for rows in failed))
        left = np.sort(np.concatenate(failed)) if failed else left[:0]
        again = True
    metrics.add("written_total", changed)
    metrics.observe("write_seconds", time.monotonic() - begun)
    return changed


def _send(
    plan: Plan, what: str, keys: NDArray[np.uint64], vectors: Any, rows: NDArray[np.intp], again: bool, limit: float
) -> tuple[int, list[NDArray[np.intp]], str, Exception | None]:
    """Sends rows once: how many vectors changed, which rows to send again, why, and a failure that ends the batch."""
    parts = placement.group(plan.primary.slot_map, keys[rows])
    identities: list[UUID] = [entry.uuid for entry in plan.primary.shards]
    calls: list[tuple[Any, NDArray[np.intp]]] = []
    failed: list[NDArray[np.intp]] = []
    reason = "the keeper has no writers"
    for shard, positions in parts:
        chosen = rows[positions]
        writer = plan.writers.get(identities[shard])
        if writer is None:
            failed.append(chosen)
        else:
            calls.append((writer.write.remote(what, keys[chosen], _rows(vectors, chosen), again), chosen))
    changed = 0
    fatal: Exception | None = None
    for reference, chosen in calls:
        try:
            changed += ray.get(reference, timeout=max(0.01, limit - time.monotonic()))
        except (RayActorError, GetTimeoutError) as failure:
            failed.append(chosen)
            reason = line_of(failure)
        except RayError as failure:
            cause = getattr(failure, "cause", None) or failure
            if isinstance(cause, _AGAIN):
                failed.append(chosen)
                reason = str(cause)
            else:
                fatal = fatal or cause
    return changed, failed, reason, fatal


def _rows(vectors: Any, rows: NDArray[np.intp]) -> Any:
    """Some of the vectors of a batch: an array, or a list of sequences."""
    if vectors is None:
        return None
    if isinstance(vectors, np.ndarray) and vectors.dtype != object:
        return np.atleast_2d(vectors)[rows]
    if isinstance(vectors, (bytes, bytearray)):
        return [vectors]
    return [vectors[row] for row in rows.tolist()]
