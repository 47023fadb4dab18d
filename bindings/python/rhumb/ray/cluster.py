"""A cluster as its users see it: searches and writes of a folder of shards that many nodes serve."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import numpy as np
import ray
from numpy.typing import NDArray
from ray.exceptions import GetTimeoutError, RayActorError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from .._native import Filter
from ..errors import Closed, Error, Invalid
from ..index import KeyLike, Path
from ..result import Result
from ..shards import folder as folders
from ..shards import placement
from ..shards.manifest import Manifest
from ..shards.merge import merge
from ..vectors import VectorType, take_keys, take_keys_for
from . import writing
from .errors import Unacknowledged, Unavailable, line_of
from .keeper import Keeper
from .metrics import Metrics, prometheus
from .plan import NAMESPACE, Plan
from .searching import Batch, Replan
from .server import owner_of

_PLAN_SECONDS = 2.0  # after so long a client asks for a newer plan, in the background
_KEEPER_SECONDS = 60.0  # for how long the first call waits for the keeper
_HEDGE_SECONDS_MIN = 0.005
_HEDGE_SECONDS_FIRST = 0.1  # until there are enough latencies for a quantile


class ClusterResult(Result):
    """A Result, and which shards it lacks: `missing_shards` has the number of each, with the reason."""

    __slots__ = ("lsns", "missing_shards")

    def __init__(self, result: Result, missing_shards: dict[int, str], lsns: dict[int, int]) -> None:
        super().__init__(result.keys, result.distances, result.counts)
        self.missing_shards = missing_shards
        self.lsns = lsns  #: the last operation that each shard had, by number


class Cluster:
    """A running cluster. The first one for a folder starts its processes; others, in any process, use the same.

    Any number of threads may use one. A pickle of it uses the same cluster. close() leaves the processes as they are;
    shutdown() ends them.
    """

    def __init__(
        self, path: Path, *, replicas: int = 1, partial: str = "error", timeout: float = 10.0,
        hedge_ms: float | None = None, hedge_quantile: float = 0.95, local: Path | None = None,
        refresh_seconds: float = 0.5, publish_seconds: float | None = 1.0, server_threads: int = 8,
        actor_options: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        """Starts, or finds, the cluster of the folder at `path`.

        Each shard is on `replicas` nodes, never twice on one. Servers read the files of the folder itself, which all
        nodes must see; with `local`, the path of a folder on each node's own disk, they read copies of checkpoints that
        are fetched from the node where the cluster was started ("{node}" in it stands for the node, where several share
        a disk). Those, how often servers look for checkpoints
        (`refresh_seconds`) and how often changes are made public (`publish_seconds`, None: by checkpoint() only), the
        threads of a server, and `actor_options` for ray.remote are those of the first Cluster.

        A call that has no answer after `hedge_ms`, or after the `hedge_quantile` of the latest latencies, is repeated
        on another node. `timeout` is for each search and write, in seconds; searches that lack shards then are
        Unavailable, or partial with `partial="allow"`.
        """
        if partial not in ("error", "allow"):
            raise Invalid(f"partial: 'error' or 'allow' expected, found {partial!r}")
        if replicas < 1 or server_threads < 1 or timeout <= 0:
            raise Invalid("replicas, server_threads and timeout: positive numbers expected")
        folder = os.path.abspath(path)
        manifest = folders.read_manifest(folder)
        self._client: dict[str, Any] = {
            "partial": partial,
            "timeout": timeout,
            "hedge_ms": hedge_ms,
            "hedge_quantile": hedge_quantile,
        }
        options: dict[str, Any] = {
            "replicas": replicas,
            "refresh_seconds": refresh_seconds,
            "publish_seconds": publish_seconds,
        }
        options.update(server_threads=server_threads, actor_options=actor_options or {})
        options["local"] = None if local is None else os.path.abspath(local)
        home = _this_node()
        strategy = NodeAffinitySchedulingStrategy(home, soft=local is None)
        name = f"rhumb:{manifest.uuid}"
        keeper: Any = ray.remote(Keeper).options(
            name=name, namespace=NAMESPACE, lifetime="detached", get_if_exists=True, max_restarts=-1, num_cpus=0,
            max_concurrency=32, scheduling_strategy=strategy,
        ).remote(folder, name, home, options)  # fmt: skip
        try:
            self._connect(name, keeper)
        except Error:
            self._closed = True
            if not ray.get(keeper.started.remote(), timeout=_KEEPER_SECONDS):
                ray.kill(keeper)  # the next Cluster, whose arguments may be right, begins again
            raise

    def _connect(self, name: str, keeper: Any) -> None:
        self._name, self._keeper = name, keeper
        self._closed = False
        self._suspects: dict[str, float] = {}
        self._keys_passed = 0  # one above the largest key that this client has chosen itself
        self.metrics_of_client = Metrics()
        self._asked: Any = None  # a plan that is on its way
        self._plan: Plan = self._ask_keeper("start", timeout=_KEEPER_SECONDS)
        self._plan_at = time.monotonic()
        manifest = self._plan.manifest
        self._vectors = VectorType(manifest.element, manifest.dim, manifest.metric)

    def __reduce__(self) -> Any:
        return _found, (self._name, self._client)

    def _ask_keeper(self, name: str, *arguments: Any, timeout: float | None = None) -> Any:
        """Calls the keeper, again while it is being started again; its exceptions are raised as they are."""
        if self._closed:
            raise Closed("the cluster is closed", "CLOSED")
        limit = time.monotonic() + (_KEEPER_SECONDS if timeout is None else timeout)
        while True:
            try:
                return ray.get(getattr(self._keeper, name).remote(*arguments), timeout=timeout)
            except RayActorError as failure:
                if time.monotonic() > limit:
                    raise Unavailable(f"the keeper of {self._name}: {failure}", "UNAVAILABLE") from failure
                time.sleep(0.1)
                with contextlib.suppress(ValueError):  # none has the name now
                    self._keeper = ray.get_actor(self._name, namespace=NAMESPACE)
            except GetTimeoutError as failure:
                raise Unavailable(
                    f"the keeper of {self._name} has not answered in {timeout} s", "UNAVAILABLE"
                ) from failure
            except RayError as failure:
                cause = getattr(failure, "cause", None)
                if isinstance(cause, RayActorError):  # of a process that the keeper needs
                    raise Unavailable(f"{name} of {self._name}: {line_of(cause)}", "UNAVAILABLE") from failure
                raise (cause if isinstance(cause, Error) else failure) from None

    # ---- plans ------------------------------------------------------------------------------------------------------

    def _newest_plan(self, timeout: float, *, writing: bool = False) -> Plan:
        self.metrics_of_client.add("plans_total")
        try:
            self._plan = self._ask_keeper("plan", writing, timeout=max(0.1, timeout))
        except Unavailable:
            pass  # the keeper is being started again: the plan that is there may be good enough
        self._plan_at = time.monotonic()
        return self._plan

    def _look_for_plan(self) -> None:
        """Asks for a plan now and then, without waiting for it."""
        if self._asked is not None:
            done, _ = ray.wait([self._asked], timeout=0)
            if done:
                reference, self._asked = self._asked, None
                try:
                    self._plan = ray.get(reference)
                except RayError:
                    pass
        elif time.monotonic() - self._plan_at > _PLAN_SECONDS:
            self._plan_at = time.monotonic()
            self._asked = self._keeper.plan.remote()

    # ---- searching --------------------------------------------------------------------------------------------------

    def search(
        self, queries: Any, k: int | None = None, *, ef_search: int | None = None, filter: Any = None,
        filters: Sequence[Any] | None = None, radius: float | None = None, exact: bool = False,
        timeout: float | None = None, partial: str | None = None,
    ) -> ClusterResult:  # fmt: skip
        """Finds the `k` nearest vectors of one query or of many: Shards.search, by the servers.

        Filters are what filters are made of: keys, an array of bool, or a function. Unavailable: until `timeout` (in
        seconds) there was no answer for some shards; with `partial="allow"` the result has `missing_shards` instead.
        """
        if self._closed:
            raise Closed("the cluster is closed", "CLOSED")
        native, count, single = self._vectors.take(queries)
        if any(isinstance(one, Filter) for one in (filter, *(filters or ()))):
            raise Invalid("filter: a prepared filter is of one process; pass what it was made of")
        asked = queries if self._vectors.sequences else native
        given = {"ef_search": ef_search, "filter": filter, "radius": radius, "exact": exact, "filters": filters}
        options = {name: value for name, value in given.items() if value is not None and value is not False}
        begun = time.monotonic()
        limit = begun + float(self._client["timeout"] if timeout is None else timeout)
        self._look_for_plan()
        while True:
            plan = self._plan
            batch = Batch(plan, asked, k, options, limit, self._hedge_seconds(count), self._suspects,
                          self.metrics_of_client)  # fmt: skip
            try:
                batch.run(lambda: self._newest_plan(limit - time.monotonic()))
                break
            except Replan:
                self._await_other(plan, limit)
        seconds = time.monotonic() - begun
        self.metrics_of_client.add("searches_total")
        self.metrics_of_client.add("queries_total", count)
        self.metrics_of_client.observe("search_seconds", seconds)
        self.metrics_of_client.observe(f"search_seconds/{count.bit_length()}", seconds)
        return self._result(plan, batch, k, count, single, partial, radius is not None)

    def _await_other(self, plan: Plan, limit: float) -> None:
        """Fetches a plan with other shards than those of `plan`, which have been replaced."""
        old = [entry.uuid for entry in plan.manifest.shards]
        while time.monotonic() < limit:
            if [entry.uuid for entry in self._newest_plan(limit - time.monotonic()).manifest.shards] != old:
                return
            time.sleep(0.02)
        raise Unavailable("the shards have been replaced, and the keeper has no plan of the new ones", "UNAVAILABLE")

    def _hedge_seconds(self, count: int) -> float:
        """After how long a call for so many queries is late."""
        if self._client["hedge_ms"] is not None:
            return float(self._client["hedge_ms"]) / 1000
        name = f"search_seconds/{count.bit_length()}"
        found = self.metrics_of_client.quantile(name, self._client["hedge_quantile"])
        return _HEDGE_SECONDS_FIRST if found is None else max(_HEDGE_SECONDS_MIN, found)

    def _result(
        self, plan: Plan, batch: Batch, k: int | None, count: int, single: bool, partial: str | None, radius: bool
    ) -> ClusterResult:
        entries = plan.manifest.shards
        missing = {i: batch.reasons[entry.uuid] for i, entry in enumerate(entries) if entry.uuid in batch.reasons}
        lsns = {i: batch.found[entry.uuid][3] for i, entry in enumerate(entries) if entry.uuid in batch.found}
        if missing:
            text = "; ".join(f"shard {i} ({entries[i].file}): {reason}" for i, reason in missing.items())
            if (partial or self._client["partial"]) == "error":
                self.metrics_of_client.add("unavailable_total")
                raise Unavailable(f"no answer from {len(missing)} of {len(entries)} shards: {text}", "UNAVAILABLE")
            self.metrics_of_client.add("partial_total")
        parts = batch.results(single)
        if not parts:
            shape: tuple[int, ...] = (0,) if single else (count, 0)
            counts: Any = 0 if single else np.zeros(count, np.uint64)
            return ClusterResult(Result(np.empty(shape, np.uint64), np.empty(shape, np.float32), counts), missing, lsns)
        merged = merge(parts, k if radius or k is not None else 10, pad=not radius)
        return ClusterResult(merged, missing, lsns)

    # ---- writing ----------------------------------------------------------------------------------------------------

    def add(self, vectors: Any, keys: KeyLike | None = None, *, timeout: float | None = None) -> Any:
        """Inserts one vector or many, durably, and returns its key or theirs; searches find them after a checkpoint.

        In each shard the batch is all or nothing. KeyExists: some keys are there already, and other shards may have
        their part. Unacknowledged: some may have it. Without `keys` they are numbers that were never used.
        """
        native, count, single = self._vectors.take(vectors)
        if keys is None:
            first = self._ask_keeper("reserve", count, self._keys_passed)
            taken = np.arange(first, first + count, dtype=np.uint64)
        else:
            taken = take_keys_for(count, keys)
        self._write("add", taken, vectors if self._vectors.sequences else native, timeout, chosen=keys is not None)
        return int(taken[0]) if single else taken

    def upsert(self, vectors: Any, keys: KeyLike, *, timeout: float | None = None) -> None:
        """Inserts vectors, or replaces those of keys that are there, durably. See add."""
        native, count, _ = self._vectors.take(vectors)
        taken = take_keys_for(count, keys)
        self._write("upsert", taken, vectors if self._vectors.sequences else native, timeout, chosen=True)

    def delete(self, keys: KeyLike, *, timeout: float | None = None) -> int:
        """Deletes the vectors of keys, durably; keys that are not there are ignored. Returns how many were there, or
        fewer if a writer died during the call."""
        taken, _ = take_keys(keys)
        return self._write("delete", taken, None, timeout)

    def _pass_keys(self, keys: NDArray[np.uint64]) -> None:
        """Lets the keeper number no vectors with keys up to these, which are there, or may be. Does not wait for it:
        this client says it again when it asks for numbers itself."""
        end = int(keys.max()) + 1 if len(keys) else 0
        if end > self._keys_passed and not self._closed:
            self._keys_passed = end
            self._keeper.pass_keys.remote(end)

    def _write(
        self, what: str, keys: NDArray[np.uint64], vectors: Any, timeout: float | None, *, chosen: bool = False
    ) -> int:
        """`chosen`: the caller has chosen the keys, and some may be there for the first time."""
        if self._closed:
            raise Closed("the cluster is closed", "CLOSED")
        limit = time.monotonic() + float(self._client["timeout"] if timeout is None else timeout)
        plan = self._plan if self._plan.writers else self._newest_plan(limit - time.monotonic(), writing=True)
        try:
            changed = writing.write(
                plan, what, keys, vectors, limit, self.metrics_of_client,
                lambda: self._newest_plan(limit - time.monotonic(), writing=True),
            )  # fmt: skip
        except Unacknowledged:
            if chosen:
                self._pass_keys(keys)
            raise
        if chosen:
            self._pass_keys(keys)
        return changed

    # ---- upkeep -----------------------------------------------------------------------------------------------------

    def checkpoint(self) -> None:
        """Makes everything public that was acknowledged.

        Searches of this client that begin later find it, and those of others within some seconds.
        """
        self._ask_keeper("checkpoint")
        self._newest_plan(_KEEPER_SECONDS)  # whose operations a search asks for

    def reshard(self, shard_count: int) -> None:
        """Splits and joins shards until there are `shard_count`; searches and writes go on. See Shards.reshard."""
        self._refuse_inside("reshard()")
        if not 1 <= shard_count <= placement.SLOT_COUNT:
            raise Invalid(f"1 to {placement.SLOT_COUNT} shards expected, found {shard_count}")
        self._ask_keeper("reshard", shard_count)

    def drain(self, node: str, *, timeout: float = 600.0) -> None:
        """Moves all shards and writers away from a node, by its identity in Ray, and ends its processes."""
        self._refuse_inside("drain()")
        self._ask_keeper("drain", node, timeout)

    def undrain(self, node: str) -> None:
        """Lets a node that was drained have shards again."""
        self._ask_keeper("undrain", node)

    def health(self) -> dict[str, Any]:
        """Nodes, shards with their replicas and how far they are behind, writers, and what is wrong, as plain data.

        `problems` is a list of sentences, empty if everything is as it should be; `ok` says whether it is.
        """
        found: dict[str, Any] = self._ask_keeper("health")
        problems = [f"node {node[:12]} does not answer" for node, state in found["nodes"].items() if state is None]
        for shard in found["shards"]:
            up = sum(state is not None for state in shard["replicas"].values())
            if up < found["replicas"]:
                problems.append(f"shard {shard['number']} has {up} of {found['replicas']} replicas")
            problems += [f"shard {shard['number']} on node {n[:12]}: {text}" for n, text in shard["errors"].items()]
        problems += [f"a writer: {one['error']}" for one in found["writers"] if "error" in one]
        return {**found, "problems": problems, "ok": not problems}

    def metrics(self) -> dict[str, Any]:
        """Counters and latencies of this client and of the servers, as plain data."""
        health = self.health()
        return {"client": self.metrics_of_client.values(), "health": health,
                "servers": {node: state["metrics"] for node, state in health["nodes"].items() if state}}  # fmt: skip

    def prometheus(self) -> str:
        """The metrics in the text format of Prometheus."""
        found = self.metrics()
        samples: list[tuple[str, dict[str, str], Any]] = []
        samples += [(name, {"of": "client"}, value) for name, value in found["client"].items()]
        for node, state in found["health"]["nodes"].items():
            samples.append(("node_up", {"node": node}, int(state is not None)))
            if state:
                samples.append(("searching", {"node": node}, state["searching"]))
                samples += [(name, {"of": node}, value) for name, value in state["metrics"].items()]
        for shard in found["health"]["shards"]:
            for node, state in shard["replicas"].items():
                labels = {"shard": str(shard["number"]), "node": node}
                samples.append(("shard_up", labels, int(state is not None)))
                if state is not None:
                    samples += [("shard_lsn", labels, state[0]), ("shard_count", labels, state[1])]
        return prometheus(samples)

    @property
    def manifest(self) -> Manifest:
        """The manifest whose shards this client searches."""
        return self._plan.manifest

    # ---- life -------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Ends the use by this client; the processes of the cluster stay."""
        self._closed = True

    def shutdown(self) -> None:
        """Makes a checkpoint and ends all processes of the cluster. The folder may then be opened by other programs."""
        self._refuse_inside("shutdown()")
        self._ask_keeper("stop")
        ray.kill(self._keeper)
        self.close()

    def _refuse_inside(self, what: str) -> None:
        """RuntimeError in a filter that a server of this cluster runs: the server's end would have to wait for it."""
        owner_of(self._plan.manifest.uuid).refuse(what)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _this_node() -> str:
    """The node of the process that calls; starts Ray, or connects to it, if that was not done."""
    if not ray.is_initialized():
        ray.init()
    found: str = ray.get_runtime_context().get_node_id()
    return found


def _found(name: str, client: dict[str, Any]) -> Cluster:
    """The cluster that a pickle names."""
    cluster = Cluster.__new__(Cluster)
    cluster._client = client
    cluster._connect(name, ray.get_actor(name, namespace=NAMESPACE))
    return cluster
