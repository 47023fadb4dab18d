"""One batch of queries: which servers are asked, which of them again, and when that ends.

Each shard is asked of one of its replicas. If the answer is late, or is a failure, another replica is asked, and the
first answer counts. What a batch finds is of one plan: if shards have been replaced, all of it is asked again.
"""

from __future__ import annotations

import dataclasses
import random
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

import numpy as np
import ray
from ray.exceptions import RayError

from ..errors import (
    Corrupt,
    Domain,
    Error,
    Invalid,
    NotAnIndex,
    NotFinite,
    NotFound,
    OutOfStep,
    Unsupported,
    VersionMismatch,
)
from ..result import Result
from .errors import Moved, line_of
from .metrics import Metrics
from .plan import Plan, cover

_PAUSE_SECONDS = 0.05  # after a failure, until the replicas that failed are asked again
_SUSPECT_SECONDS = 2.0  # for how long a node that failed is asked last
_PUT_BYTES = 1 << 16  # larger queries are stored once, and not sent with each call
_OF_FILES = (Corrupt, NotAnIndex, NotFound, OutOfStep, VersionMismatch)  # failures that asking again does not mend
_ARGUMENTS = (Domain, Invalid, NotFinite, Unsupported)  # failures of rhumb that another replica would repeat
_OF_PROCESSES = (Error, OSError, MemoryError, RayError)  # other failures come from a filter, or from an argument


class Replan(Exception):
    """The shards have been replaced."""


@dataclasses.dataclass
class _Call:
    node: str
    shards: list[UUID]
    begun: float
    repeated: bool = False  # others have been asked too


def is_argument(failure: Exception) -> bool:
    """Whether a failure is the caller's, or of the caller's function, so that another process would fail as well."""
    return isinstance(failure, _ARGUMENTS) or not isinstance(failure, _OF_PROCESSES)


class Batch:
    """One batch, with one plan."""

    def __init__(
        self, plan: Plan, queries: Any, k: int | None, options: dict[str, Any], limit: float, hedge_seconds: float,
        suspects: dict[str, float], metrics: Metrics,
    ) -> None:  # fmt: skip
        self._plan, self._k, self._options = plan, k, options
        size = getattr(queries, "nbytes", 0)
        self._queries = ray.put(queries) if size > _PUT_BYTES else queries
        self._limit, self._hedge_seconds = limit, hedge_seconds
        self._suspects, self._metrics = suspects, metrics
        self._rng = random.Random()
        self._lsns = {entry.uuid: entry.lsn for entry in plan.manifest.shards}  # no older answer is taken
        self._pending: dict[Any, _Call] = {}
        self._failed: dict[UUID, set[str]] = {}  # nodes that failed, since the last pause
        self._hopeless: dict[UUID, set[str]] = {}  # nodes whose file is damaged or missing
        self._resume = 0.0  # until when shards without a replica wait
        self.found: dict[UUID, Any] = {}
        self.reasons: dict[UUID, str] = {}

    def run(self, replan: Callable[[], Plan]) -> None:
        """Fills `found`; shards that are missing then have a reason. `replan` fetches the newest plan."""
        wanted = [entry.uuid for entry in self._plan.manifest.shards]
        self._ask(wanted)
        while len(self.found) < len(wanted):
            now = time.monotonic()
            if now >= self._limit:
                break
            if self._pending:
                done, _ = ray.wait(list(self._pending), num_returns=1, timeout=self._wait_seconds(now))
                for reference in done:
                    self._take(reference)
            else:
                time.sleep(max(0.0, min(self._resume, self._limit) - now))
            self._repeat_late(time.monotonic())
            if not self._repeat_failed(wanted, replan):
                break
        for shard in wanted:
            if shard not in self.found:
                self.reasons.setdefault(shard, "no replica answered in time")

    def _wait_seconds(self, now: float) -> float:
        until = self._limit
        for call in self._pending.values():
            if not call.repeated:
                until = min(until, call.begun + self._hedge_seconds)
        if self._resume > now:
            until = min(until, self._resume)
        return max(0.0, until - now)

    def _ask(self, shards: list[UUID], avoided: set[str] | None = None) -> None:
        now = time.monotonic()
        bad = {node for node, until in self._suspects.items() if until > now} | (avoided or set())
        routes = {
            shard: [node for node in self._plan.routes[shard] if node in self._plan.servers
                    and node not in self._failed.get(shard, ()) and (not avoided or node not in avoided)]
            for shard in shards
        }  # fmt: skip
        for node, some in cover(shards, routes, bad, self._rng).items():
            reference = self._plan.servers[node].search.remote(
                [(shard.bytes, self._lsns[shard]) for shard in some],
                self._queries,
                self._k,
                self._options,
                self._limit - now,
            )
            self._pending[reference] = _Call(node, some, now)
            self._metrics.add("calls_total")

    def _take(self, reference: Any) -> None:
        call = self._pending.pop(reference)
        try:
            answers = ray.get(reference)
        except Exception as failure:  # the process or the node is gone; an exception of the call is a bug and says so
            cause = getattr(failure, "cause", None) or failure
            if is_argument(cause):
                raise cause from None
            self._suspects[call.node] = time.monotonic() + _SUSPECT_SECONDS
            self._metrics.add("failures_total")
            answers = [failure] * len(call.shards)
        for shard, answer in zip(call.shards, answers):
            if shard in self.found:
                continue  # another replica was faster
            if not isinstance(answer, Exception):
                self.found[shard] = answer
                self.reasons.pop(shard, None)
                continue
            if is_argument(answer):
                raise answer
            if isinstance(answer, Moved):
                raise Replan from answer
            self._failed.setdefault(shard, set()).add(call.node)
            if isinstance(answer, _OF_FILES):
                self._hopeless.setdefault(shard, set()).add(call.node)
            if shard not in self.reasons or not isinstance(answer, RayError):
                self.reasons[shard] = f"node {call.node[:12]}: {line_of(answer)}"

    def _repeat_late(self, now: float) -> None:
        for call in list(self._pending.values()):
            if not call.repeated and now - call.begun >= self._hedge_seconds:
                call.repeated = True
                asked = {node for node, shards in self._asked_nodes() if set(shards) & set(call.shards)}
                late = [shard for shard in call.shards if shard not in self.found]
                others = [shard for shard in late if set(self._plan.routes[shard]) - asked]
                if others:
                    self._metrics.add("hedges_total")
                    self._ask(others, asked)

    def _asked_nodes(self) -> list[tuple[str, list[UUID]]]:
        """Nodes that have not answered yet, and what they were asked for."""
        return [(call.node, call.shards) for call in self._pending.values()]

    def _repeat_failed(self, wanted: list[UUID], replan: Callable[[], Plan]) -> bool:
        """Asks other replicas of what failed, and after a pause all of them. False: that would be of no use."""
        asked = {shard for call in self._pending.values() for shard in call.shards}
        idle = [shard for shard in wanted if shard not in self.found and shard not in asked]
        if not idle:
            return True
        if all(self._hopeless.get(shard, set()) >= set(self._plan.routes[shard]) for shard in idle):
            return bool(self._pending)
        untried = [shard for shard in idle if set(self._plan.routes[shard]) - self._failed.get(shard, set())]
        if not untried and self._resume == 0.0:
            self._resume = time.monotonic() + _PAUSE_SECONDS
        if not untried and time.monotonic() >= self._resume:
            self._resume = 0.0
            self._adopt(replan())
            for shard in idle:
                self._failed[shard] = set(self._hopeless.get(shard, ()))
            untried = idle
        if untried:
            self._metrics.add("retries_total")
            self._ask(untried)
        return True

    def _adopt(self, plan: Plan) -> None:
        if {entry.uuid for entry in plan.manifest.shards} != {entry.uuid for entry in self._plan.manifest.shards}:
            raise Replan
        self._plan = plan
        self._lsns = {entry.uuid: entry.lsn for entry in plan.manifest.shards}

    def results(self, single: bool) -> list[Result]:
        """What each shard found, for a merge."""
        found = []
        for keys, distances, counts, _ in self.found.values():
            found.append(Result(keys, distances, int(counts) if single else np.asarray(counts)))
        return found
