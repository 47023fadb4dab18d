"""The process that knows where everything is: one for each cluster, an actor that Ray starts again if it dies.

It holds the lock of the folder and is the only one that writes its manifest. It starts a server on each node and, at
the first write, a writer for each shard; makes checkpoints public; and moves shards away from nodes that are lost or
are to be drained. Searches and writes of clients that have a plan do not need it.

Its actors are detached: they stay when it dies, and its successor finds them by their names.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import ray
from ray.exceptions import RayActorError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ..errors import Error, Invalid, Locked
from ..shards import folder as folders
from ..shards.folder import FolderLock
from ..shards.manifest import Manifest
from ..shards.opened import entry_of
from .copying import Source
from .errors import NotReady
from .plan import NAMESPACE, Plan, Routes, place
from .server import Server
from .writer import FolderWriter, ShardWriter

_TICK_SECONDS = 0.5
_ASSIGN_SECONDS = 2.0  # how often servers hear which shards they have
_LOCK_SECONDS = 20.0  # for how long the folder may be locked by a predecessor that is ending
_COPY_SECONDS = 600.0  # for how long a drain or a reshard waits for copies
_SOURCE_SECONDS = 60.0  # for how long a server waits for the source
_STATES_SECONDS = 60.0  # for how long the numbering of keys waits for writers
_ANSWER_SECONDS = 5.0  # for how long a server may take to say how it is
_KEYS_RESERVED = 1 << 16  # by each manifest that is written for the numbering of keys
_KEYS_RESERVED_FOR_RESHARD = 1 << 24  # as there is no such manifest until its end
_PLACE_OF_FILES = "local"


class ServerActor(Server):
    """A Server whose source is an actor."""

    def __init__(self, folder: str, local: str | None, source: Any, refresh_seconds: float) -> None:
        def ask(name: str, *arguments: Any) -> Any:
            return ray.get(getattr(source, name).remote(*arguments), timeout=_SOURCE_SECONDS)

        super().__init__(folder, local, ask if source is not None else None, refresh_seconds)


class Keeper:
    """What it is, is above. Any number of threads may call it."""

    def __init__(self, folder: str, name: str, home: str, options: dict[str, Any]) -> None:
        """`home` is the node that has the folder, or that began the cluster; `options` are those of Cluster."""
        self._folder, self._name, self._home, self._options = folder, name, home, options
        self._upkeep = threading.RLock()  # held while the manifest, the writers or the placement change
        self._numbering = threading.Lock()  # guards the numbering of keys; taken before the lock for upkeep
        self._lock = threading.Lock()  # guards the plan
        self._started = False
        self._stopping = False
        self._folder_lock: FolderLock | None = None
        self._manifest: Manifest | None = None  # of the primary
        self._served: Manifest | None = None  # what searches use
        self._routes: Routes = {}
        self._servers: dict[str, Any] = {}
        self._writers: dict[UUID, Any] = {}
        self._source: Any = None
        self._draining: set[str] = set()
        self._version = 0
        self._lsns: list[Any] = []
        self._key_next = self._keys_limit = self._keys_passed = 0
        self._published = self._assigned = 0.0

    # ---- starting and stopping --------------------------------------------------------------------------------------

    def start(self) -> Plan:
        """Starts what is not there, and returns the plan."""
        if not self._started:  # a reshard holds the lock for long
            with self._upkeep:
                if not self._started:
                    self._start()
                    self._started = True
                    threading.Thread(target=self._tick, daemon=True).start()
        return self._plan()

    def _start(self) -> None:
        manifest = folders.read_manifest(self._folder)
        self._kill(self._actor("resharder"))
        self._take_lock()
        self._manifest = self._served = manifest = folders.read_manifest(self._folder)
        self._version = time.time_ns()  # larger than that of any plan of a predecessor
        if self._options[_PLACE_OF_FILES] is not None:
            self._source = self._make(Source, "source", self._home, self._folder, hard=True)
        found = {entry.uuid: self._actor(f"writer:{entry.uuid}") for entry in manifest.shards}
        if all(found.values()):
            self._writers = found
        nodes = self._nodes()
        if len(nodes) < self._options["replicas"]:
            raise Invalid(f"{self._options['replicas']} replicas need as many nodes, found {len(nodes)}")
        self._place(nodes)

    def _take_lock(self) -> None:
        limit = time.monotonic() + _LOCK_SECONDS
        while self._folder_lock is None:
            try:
                self._folder_lock = FolderLock(self._folder)
            except Locked:
                if time.monotonic() > limit:
                    raise
                time.sleep(0.1)

    def stop(self) -> None:
        """Ends writers after a checkpoint, and all processes but this one."""
        with self._upkeep:
            self._stopping = True
            if self._started:
                if self._writers:
                    self._publish()
                self._release_writers()
            for server in self._servers.values():
                self._kill(server)
            self._kill(self._source)
            if self._folder_lock is not None:
                self._folder_lock.release()

    def _make(self, kind: type[Any], role: str, node: str, *arguments: Any, hard: bool, threads: int = 16) -> Any:
        strategy = NodeAffinitySchedulingStrategy(node, soft=not hard)
        options = {"num_cpus": 0, **self._options["actor_options"]}
        return ray.remote(kind).options(
            name=f"{self._name}:{role}", namespace=NAMESPACE, lifetime="detached", get_if_exists=True, max_restarts=-1,
            max_concurrency=threads, scheduling_strategy=strategy, **options,
        ).remote(*arguments)  # fmt: skip

    def _actor(self, role: str) -> Any:
        try:
            return ray.get_actor(f"{self._name}:{role}", namespace=NAMESPACE)
        except ValueError:
            return None

    @staticmethod
    def _kill(actor: Any) -> None:
        if actor is not None:
            try:
                ray.kill(actor)
            except RayError:
                pass  # it is gone

    def started(self) -> bool:
        """Whether it has what it needs."""
        return self._started

    def pid(self) -> int:
        """The process of the keeper."""
        return os.getpid()

    # ---- placement --------------------------------------------------------------------------------------------------

    def plan(self, writing: bool = False) -> Plan:
        """The plan; with `writing` its writers are started if they are not there."""
        self.start()
        while writing and not self._writers:  # a reshard, which holds the lock for long, has a writer soon
            if self._upkeep.acquire(timeout=0.05):
                try:
                    self._start_writers()
                finally:
                    self._upkeep.release()
        return self._plan()

    def _plan(self) -> Plan:
        with self._lock:
            assert self._served is not None and self._manifest is not None
            return Plan(self._version, self._served, self._manifest, dict(self._routes), dict(self._servers),
                        dict(self._writers))  # fmt: skip

    def _nodes(self) -> list[str]:
        nodes = [node["NodeID"] for node in _all_nodes() if node["Alive"]]
        return sorted(node for node in nodes if node not in self._draining)

    def _place(self, nodes: Sequence[str]) -> None:
        """Puts the shards of searches on nodes, and starts servers that are not there. With the lock for upkeep."""
        assert self._served is not None
        for node in nodes:
            if node not in self._servers:
                self._servers[node] = self._make_server(node)
        shards = [entry.uuid for entry in self._served.shards]
        routes = place(shards, nodes, self._options["replicas"], self._routes)
        with self._lock:
            self._routes = routes
            self._version += 1
        self._assign(routes)

    def _make_server(self, node: str) -> Any:
        local = self._options[_PLACE_OF_FILES]
        own = None if local is None else local.replace("{node}", node[:12])
        arguments = (self._folder, own, self._source, self._options["refresh_seconds"])
        threads = self._options["server_threads"]
        return self._make(ServerActor, f"server:{node}", node, *arguments, hard=True, threads=threads + 2)

    def _assign(self, routes: Routes) -> None:
        self._assigned = time.monotonic()
        for node, server in self._servers.items():
            server.assign.remote([shard.bytes for shard, nodes in routes.items() if node in nodes])

    def _tick(self) -> None:
        while not self._stopping:
            time.sleep(_TICK_SECONDS)
            try:
                if self._upkeep.acquire(timeout=_TICK_SECONDS):
                    try:
                        if not self._stopping:
                            self._look()
                    finally:
                        self._upkeep.release()
            except Exception:
                pass  # what fails now is tried again; health() says what is wrong

    def _look(self) -> None:
        """What there is to do from time to time."""
        nodes = self._nodes()
        lost = [node for node in self._servers if node not in nodes and node not in self._draining]
        if nodes and (lost or any(node not in self._servers for node in nodes)):
            for node in lost:
                self._kill(self._servers.pop(node))
            self._place(nodes)
        elif time.monotonic() - self._assigned >= _ASSIGN_SECONDS:
            self._assign(self._routes)  # a server that was started again has forgotten
        seconds = self._options["publish_seconds"]
        if seconds is not None and self._writers and time.monotonic() - self._published >= seconds:
            self._publish()

    def drain(self, node: str, timeout: float) -> None:
        """Moves everything away from a node, while searches and writes go on, and ends its processes."""
        self.start()
        with self._upkeep:
            if node == self._home and self._options[_PLACE_OF_FILES] is not None:
                raise Invalid(f"node {node} has the folder: it cannot be drained")
            if node not in self._servers:
                raise Invalid(f"node {node}: one of {sorted(self._servers)} expected")
            nodes = [one for one in self._nodes() if one != node]
            if not nodes:
                raise Invalid(f"node {node} is the only one: there is no place for its shards")
            self._draining.add(node)
            self._place(nodes)
            self._await_copies(self._routes, time.monotonic() + timeout)
            if self._writers:
                self._publish()
                self._release_writers()  # those that are started next are on other nodes
            server = self._servers.pop(node)
            with self._lock:
                self._version += 1
        self._await_quiet(server, time.monotonic() + timeout)
        self._kill(server)

    def undrain(self, node: str) -> None:
        """Lets a node that was drained have shards again."""
        self.start()
        with self._upkeep:
            self._draining.discard(node)
            self._look()

    def _await_quiet(self, server: Any, limit: float) -> None:
        """Waits until clients have stopped asking a server."""
        quiet = 0
        calls = -1.0
        while quiet < 4 and time.monotonic() < limit:
            try:
                state = ray.get(server.state.remote(), timeout=_ANSWER_SECONDS)
            except RayError:
                return
            now = state["metrics"].get("calls_total", 0)
            quiet = quiet + 1 if state["searching"] == 0 and now == calls else 0
            calls = now
            time.sleep(0.25)

    def _await_copies(self, routes: Routes, limit: float) -> None:
        """Waits until each shard is open on all its nodes."""
        while True:
            states = self._states()
            missing = [
                (str(shard), node) for shard, nodes in routes.items() for node in nodes
                if str(shard) not in states.get(node, {}).get("shards", {})
            ]  # fmt: skip
            if not missing:
                return
            if time.monotonic() > limit:
                shard, node = missing[0]
                errors = states.get(node, {}).get("errors", {})
                raise NotReady(
                    f"shard {shard} is not yet on node {node}: {errors.get(shard, 'still copying')}", "NOT_READY"
                )
            time.sleep(0.1)

    # ---- writing ----------------------------------------------------------------------------------------------------

    def _start_writers(self) -> None:
        """With the lock for upkeep."""
        if self._writers:
            return
        assert self._manifest is not None
        hard = self._options[_PLACE_OF_FILES] is not None
        nodes = [self._home] if hard else self._nodes()
        writers = {
            entry.uuid: self._make(ShardWriter, f"writer:{entry.uuid}", nodes[i % len(nodes)], self._folder,
                                   str(entry.uuid), hard=hard)
            for i, entry in enumerate(self._manifest.shards)
        }  # fmt: skip
        self._set_writers(writers)

    def _set_writers(self, writers: dict[UUID, Any]) -> None:
        with self._lock:
            self._writers = writers
            self._version += 1

    def _release_writers(self) -> None:
        """Ends the writers. With the lock for upkeep."""
        writers = list(self._writers.values())
        self._set_writers({})
        for writer in writers:
            self._ask([writer.release])
            self._kill(writer)

    @staticmethod
    def _ask(methods: Sequence[Any], timeout: float | None = None) -> list[Any]:
        """What each method of an actor returned, or the exception that it raised."""
        found: list[Any] = []
        for one in [method.remote() for method in methods]:
            try:
                found.append(ray.get(one, timeout=timeout))
            except Exception as failure:
                found.append(getattr(failure, "cause", None) or failure)
        return found

    def checkpoint(self) -> None:
        """Checkpoints of all shards, the manifest of them, and servers that have them."""
        self.start()
        with self._upkeep:
            failures = self._publish()
        if failures:
            raise failures[0]

    def _publish(self) -> list[Exception]:
        """With the lock for upkeep. Returns what failed; what did not is public."""
        assert self._manifest is not None
        found = self._ask([writer.checkpoint for writer in self._writers.values()])
        self._published = time.monotonic()
        if found != self._lsns:
            old = self._manifest
            shards = tuple(entry_of(f"{self._folder}/{entry.file}", entry.slots) for entry in old.shards)
            if shards != old.shards:
                self._write_manifest(old.next(shards=shards))
            self._lsns = found
            self._ask([server.refresh for server in self._servers.values()], _ANSWER_SECONDS)
        return [one for one in found if isinstance(one, Exception)]

    def _write_manifest(self, manifest: Manifest) -> None:
        assert self._manifest is not None and self._served is not None
        folders.write_manifest(self._folder, manifest)
        same = {entry.uuid for entry in self._served.shards} == {entry.uuid for entry in manifest.shards}
        with self._lock:
            self._manifest = manifest
            if same:
                self._served = manifest

    def reserve(self, count: int, above: int = 0) -> int:
        """The first of `count` keys that were never used, are `above` or more, and that no other caller gets."""
        self.plan(writing=True)
        with self._numbering:
            self._pass(above)
            if self._key_next == 0 or self._key_next + count > self._keys_limit:
                self._reserve(count)
            first, self._key_next = self._key_next, self._key_next + count
            return first

    def pass_keys(self, end: int) -> None:
        """Reserves none of the keys before `end` from now on: a client has written under keys of its own."""
        with self._numbering:
            self._pass(end)

    def _pass(self, end: int) -> None:
        self._keys_passed = max(self._keys_passed, end)
        if self._key_next != 0:
            self._key_next = max(self._key_next, self._keys_passed)

    def _reserve(self, count: int) -> None:
        """Writes a manifest that says that keys are taken: a keeper after this one goes on behind them."""
        with self._upkeep:
            assert self._manifest is not None
            if self._key_next == 0:
                self._key_next = max(self._first_free_key(), self._keys_passed)
            limit = self._key_next + count + _KEYS_RESERVED
            self._write_manifest(self._manifest.next(key_next=limit))
            self._keys_limit = limit

    def _first_free_key(self) -> int:
        assert self._manifest is not None
        limit = time.monotonic() + _STATES_SECONDS
        found = self._manifest.key_next
        left = list(self._writers.values())
        while left:
            states = self._ask([writer.state for writer in left])
            failures = [state for state in states if isinstance(state, Exception)]
            if failures and (not isinstance(failures[0], RayActorError) or time.monotonic() > limit):
                raise failures[0]
            found = max([found, *(int(state["key_next"]) for state in states if not isinstance(state, Exception))])
            left = [writer for writer, state in zip(left, states) if isinstance(state, Exception)]
            if left:
                time.sleep(0.2)  # a writer is being started again; those that have answered may be next
        return found

    # ---- resharding -------------------------------------------------------------------------------------------------

    def reshard(self, shard_count: int) -> None:
        """Splits and joins the shards, while searches and writes go on: one process writes all of them until then."""
        self.reserve(0)
        with self._numbering:
            self._reserve(_KEYS_RESERVED_FOR_RESHARD)
        with self._upkeep:
            if self._writers:
                self._publish()
            self._release_writers()
            writer = self._make(FolderWriter, "resharder", self._home, self._folder,
                                hard=self._options[_PLACE_OF_FILES] is not None)  # fmt: skip
            assert self._folder_lock is not None and self._manifest is not None
            self._folder_lock.release()
            self._folder_lock = None
            try:
                _get(writer.open.remote())
                self._set_writers(dict.fromkeys([entry.uuid for entry in self._manifest.shards], writer))
                _get(writer.reshard.remote(shard_count))
            finally:
                self._set_writers({})
                self._ask([writer.release])
                self._kill(writer)
                self._take_lock()
                self._adopt(folders.read_manifest(self._folder))

    def _adopt(self, manifest: Manifest) -> None:
        """Takes the shards of a new manifest for writing, and for searches once their copies are there."""
        with self._lock:
            self._manifest = manifest
            self._lsns = []
        nodes = self._nodes()
        routes = place([entry.uuid for entry in manifest.shards], nodes, self._options["replicas"], self._routes)
        if self._options[_PLACE_OF_FILES] is not None:
            both = {**self._routes, **routes}
            self._assign(both)
            self._await_copies(routes, time.monotonic() + _COPY_SECONDS)
        with self._lock:
            self._served, self._routes = manifest, routes
            self._version += 1
        self._assign(routes)

    # ---- health -----------------------------------------------------------------------------------------------------

    def _states(self) -> dict[str, Any]:
        """What each server says of itself; without those that do not answer."""
        servers = dict(self._servers)
        answers = self._ask([server.state for server in servers.values()], _ANSWER_SECONDS)
        return {node: one for node, one in zip(servers, answers) if isinstance(one, dict)}

    def health(self) -> dict[str, Any]:
        """What Cluster.health returns, as plain data."""
        plan = self.start()
        states = self._states()
        nodes = {node: states.get(node) for node in plan.servers}
        shards = []
        for number, entry in enumerate(plan.manifest.shards):
            replicas = {}
            for node in plan.routes[entry.uuid]:
                state = states.get(node)
                replicas[node] = state["shards"].get(str(entry.uuid)) if state else None
            lsns = [one[0] for one in replicas.values() if one]
            newest = max([entry.lsn, *lsns])
            shards.append({
                "number": number, "file": entry.file, "uuid": str(entry.uuid), "lsn": newest,
                "lag": max((newest - lsn for lsn in lsns), default=0), "replicas": replicas,
                "errors": {node: states[node]["errors"][str(entry.uuid)] for node in plan.routes[entry.uuid]
                           if node in states and str(entry.uuid) in states[node]["errors"]},
            })  # fmt: skip
        writers = list({id(one): one for one in plan.writers.values()}.values())
        answers = self._ask([writer.state for writer in writers], _ANSWER_SECONDS)
        return {
            "uuid": str(plan.manifest.uuid), "epoch": plan.primary.epoch, "replicas": self._options["replicas"],
            "nodes": nodes, "shards": shards, "draining": sorted(self._draining),
            "writers": [one if isinstance(one, dict) else {"error": str(one)} for one in answers],
        }  # fmt: skip


def _all_nodes() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call, unused-ignore]
    return found


def _get(reference: Any) -> Any:
    """The value of a reference; an exception of rhumb is raised as it is."""
    try:
        return ray.get(reference)
    except Exception as failure:
        cause = getattr(failure, "cause", None)
        raise (cause if isinstance(cause, Error) else failure) from None
