"""Counters and latencies of a process, as a dict and as the text that Prometheus reads."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

_BOUNDS = tuple(1e-3 * 2**i for i in range(15))  # upper bounds of the buckets of a histogram: 1 ms to 16 s
_RECENT = 512  # latencies from which a quantile is taken

#: What each metric says. A name that ends in _total only grows; the others are values of now.
HELP = {
    "searches_total": "batches of queries", "queries_total": "queries of these batches",
    "search_seconds": "latency of a batch",
    "calls_total": "calls of servers", "hedges_total": "calls that repeat one which is slow",
    "retries_total": "calls that repeat one which failed", "failures_total": "calls that failed",
    "partial_total": "batches whose answer lacks shards", "unavailable_total": "batches without an answer",
    "plans_total": "plans that were fetched", "writes_total": "batches of writes",
    "written_total": "vectors that were inserted, replaced or deleted",
    "write_retries_total": "vectors that were sent again",
    "write_seconds": "latency of a batch of writes", "write_failures_total": "batches that were not acknowledged",
    "shard_lsn": "number of the last operation that the replica has", "shard_count": "vectors of the replica",
    "shard_up": "1 if the replica answers", "node_up": "1 if the server of the node answers",
    "searching": "searches that run now", "copied_bytes_total": "bytes that were copied from the primary",
}  # fmt: skip


class Histogram:
    """Latencies: how many are at most as long as each bound, and the quantiles of the newest ones."""

    def __init__(self) -> None:
        self.counts = [0] * (len(_BOUNDS) + 1)
        self.sum = 0.0
        self._recent: deque[float] = deque(maxlen=_RECENT)

    def observe(self, seconds: float) -> None:
        """Adds one."""
        self.counts[next((i for i, bound in enumerate(_BOUNDS) if seconds <= bound), len(_BOUNDS))] += 1
        self.sum += seconds
        self._recent.append(seconds)

    def quantile(self, share: float) -> float | None:
        """The quantile of the newest; None if there are fewer than 20."""
        ordered = sorted(self._recent)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if len(ordered) >= 20 else None

    def values(self) -> dict[str, Any]:
        """Its state as plain data."""
        return {"count": sum(self.counts), "sum": self.sum, "p50": self.quantile(0.5), "p99": self.quantile(0.99),
                "counts": list(self.counts)}  # fmt: skip


class Metrics:
    """The counters and histograms of one process. Any number of threads may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counters: dict[str, float] = {}
        self._histograms: dict[str, Histogram] = {}

    def add(self, name: str, value: float = 1) -> None:
        """Counts."""
        with self._lock:
            self._counters[name] = self._counters.get(name, 0) + value

    def observe(self, name: str, seconds: float) -> None:
        """Adds a latency to a histogram."""
        with self._lock:
            self._histograms.setdefault(name, Histogram()).observe(seconds)

    def quantile(self, name: str, share: float) -> float | None:
        """A quantile of the newest latencies; None while there are few."""
        with self._lock:
            return self._histograms[name].quantile(share) if name in self._histograms else None

    def values(self) -> dict[str, Any]:
        """All of them as plain data."""
        with self._lock:
            found: dict[str, Any] = {**self._counters}
            found.update((name, one.values()) for name, one in self._histograms.items() if name in HELP)
            return found


def prometheus(samples: Iterable[tuple[str, Mapping[str, str], Any]]) -> str:
    """Samples (name, labels, value or state of a histogram) in the text format of Prometheus, version 0.0.4."""
    by_name: dict[str, list[str]] = {}
    for name, labels, value in samples:
        full = "rhumb_" + name
        if isinstance(value, Mapping):
            lines, total = [], 0
            for count, bound in zip(value["counts"], [f"{bound:g}" for bound in _BOUNDS] + ["+Inf"]):
                total += count
                lines.append(f"{full}_bucket{_labels({**labels, 'le': bound})} {total}")
            lines += [f"{full}_sum{_labels(labels)} {value['sum']:.9g}", f"{full}_count{_labels(labels)} {total}"]
        else:
            lines = [f"{full}{_labels(labels)} {value:g}" if isinstance(value, float) else
                     f"{full}{_labels(labels)} {value}"]  # fmt: skip
        by_name.setdefault(name, []).extend(lines)
    text = []
    for name, lines in by_name.items():
        kind = "histogram" if name.endswith("_seconds") else "counter" if name.endswith("_total") else "gauge"
        text += [f"# HELP rhumb_{name} {HELP[name]}", f"# TYPE rhumb_{name} {kind}", *lines]
    return "\n".join(text) + "\n"


def _labels(labels: Mapping[str, str]) -> str:
    def escaped(value: str) -> str:
        return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")

    inside = ",".join(f'{name}="{escaped(value)}"' for name, value in labels.items())
    return f"{{{inside}}}" if inside else ""
