"""Goal: a cluster of rhumb.ray answers as one index does, while its processes die, are drained and resharded, and says
clearly what it cannot do. Run by bindings/python/check_ray.sh, as it needs Ray.

Method: several nodes of Ray on one machine (ray.cluster_utils), each with processes of its own; processes are ended by
SIGKILL. Nodes are simulated: they share memory, processors and the disk. Exact searches are compared with those of one
index bit for bit.
"""

import contextlib
import io
import os
import pickle
import random
import re
import shutil
import signal
import threading
import time
import types
import uuid

import numpy as np
import ray
from ray.cluster_utils import Cluster as Machines

import rhumb
import rhumb.ray
import rhumb.shards
import rhumb.shards.placement
import support
from rhumb.ray import cluster as cluster_module
from rhumb.ray import metrics, plan, searching
from support import DIM, vectors

NODES = 3
SEED = int(os.environ.get("SEED", time.time_ns() % 2**32))
BATCHES = int(os.environ.get("BATCHES", 1000))
PATIENCE_SECONDS = 300.0  # for what takes seconds; a process of Ray starts in a minute where others have the machine


def setUpModule():
    global machines
    print(f"seed {SEED}")
    cluster_module._KEEPER_SECONDS = PATIENCE_SECONDS
    memory = 100 << 20
    machines = Machines(initialize_head=True, head_node_args={"num_cpus": 2, "object_store_memory": memory})
    for _ in range(NODES - 1):
        machines.add_node(num_cpus=2, object_store_memory=memory)
    ray.init(address=machines.address, log_to_driver=False)


def tearDownModule():
    ray.shutdown()
    machines.shutdown()


class RayCase(support.ShardsCase):
    """A test with nodes of Ray, which are there for the whole module."""

    def folder_of(self, count=2000, shards=4, name="shards", **options):
        """The path of a folder of random vectors under the keys 0, 1, 2..., which is closed."""
        self.make(count, shards, name, **options).close()
        return self.path(name)

    def start(self, path, **options):
        """A cluster that ends with the test."""
        cluster = rhumb.ray.Cluster(path, **{"timeout": PATIENCE_SECONDS, **options})
        self.addCleanup(self.end, cluster)
        wait_until(lambda: all(cluster.health()["nodes"].values()))
        return cluster

    @staticmethod
    def end(cluster):
        if not cluster._closed:
            cluster.shutdown()

    def same(self, found, truth):
        np.testing.assert_array_equal(found.keys, truth.keys)
        np.testing.assert_array_equal(found.distances.view(np.uint32), truth.distances.view(np.uint32))
        self.assertEqual(found.missing_shards, {})


def server_pids(cluster):
    return {node: state["pid"] for node, state in cluster.health()["nodes"].items() if state}


def processes_of_ray():
    """The actors and tasks of Ray: process, what it is called and its state, as "T" if it is stopped."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline") as file:
                command = file.read()
            with open(f"/proc/{pid}/stat") as file:
                state = file.read().rsplit(")", 1)[1].split()[0]
        except OSError:
            continue  # it has ended
        if command.startswith("ray::"):
            yield int(pid), command, state


def wait_until(condition, seconds=PATIENCE_SECONDS):
    limit = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > limit:
            raise AssertionError(f"still not so after {seconds} s")
        time.sleep(0.1)


class Searching(RayCase):
    def test_searches_are_those_of_one_index(self):
        index = self.create(2000, name="one")
        cluster = self.start(self.folder_of(), replicas=2)
        queries = vectors(30, seed=5)
        self.same(cluster.search(queries, 10, exact=True), index.search(queries, 10, exact=True))
        self.same(cluster.search(queries[0], 3, exact=True), index.search(queries[0], 3, exact=True))
        some = np.arange(0, 2000, 7)
        self.same(
            cluster.search(queries, 5, exact=True, filter=some), index.search(queries, 5, exact=True, filter=some)
        )
        found = cluster.search(queries, radius=0.9, ef_search=500)
        np.testing.assert_array_equal(found.keys, index.search(queries, radius=0.9, ef_search=500).keys)
        self.assertGreater(cluster.search(queries).recall(index.search(queries, exact=True)), 0.95)
        big = vectors(3000, seed=6)
        self.same(cluster.search(big, 10, exact=True), index.search(big, 10, exact=True))
        self.assertRaises(rhumb.Invalid, cluster.search, queries, 0)
        self.assertRaises(rhumb.Invalid, cluster.search, vectors(2, DIM + 1))
        self.assertRaises(rhumb.Invalid, cluster.search, queries, filter=rhumb.Keys([1]))
        other = pickle.loads(pickle.dumps(cluster))
        self.same(other.search(queries, 10, exact=True), index.search(queries, 10, exact=True))
        other.close()
        self.assertRaises(rhumb.Closed, other.search, queries)


    def test_what_a_filter_raises_is_raised_at_once(self):
        cluster = self.start(self.folder_of(200), replicas=2)
        begun = time.monotonic()
        for failure in (ZeroDivisionError, OverflowError):
            with self.assertRaisesRegex(failure, "of a filter"):
                cluster.search(vectors(2), filter=_raiser(failure("of a filter")))
        with self.assertRaises(ZeroDivisionError):
            cluster.search(vectors(2), filters=[None, _raiser(ZeroDivisionError())])
        self.assertLess(time.monotonic() - begun, 0.8 * PATIENCE_SECONDS)

    def test_a_filter_does_not_end_its_own_cluster(self):
        cluster = self.start(self.folder_of(200), replicas=2)
        node = next(iter(cluster._plan.servers))
        for name, *arguments in (("shutdown",), ("drain", node), ("reshard", 2)):
            with self.assertRaisesRegex(RuntimeError, rf"{name}\(\) from a filter"):
                cluster.search(vectors(2), filter=_caller(cluster, name, *arguments))
        self.assertTrue(cluster.health()["ok"], cluster.health()["problems"])
        self.assertEqual(len(cluster.search(vectors(2), 3, filter=_caller(cluster, "close")).keys), 2)


def _raiser(failure):
    def filter(key):
        raise failure

    return filter


def _caller(cluster, name, *arguments):
    def filter(key):
        getattr(cluster, name)(*arguments)
        return True

    return filter


class Repeating(support.TestCase):
    """One batch, of servers that are tasks of Ray."""

    def batch(self, servers, routes, timeout=20.0, hedge_seconds=0.2):
        """Runs a batch; `servers` has for each node the seconds that it takes, and what it answers."""
        entries = tuple(rhumb.shards.ShardEntry(f"{i}", shard, ((i, i + 1),), 0, 0) for i, shard in enumerate(routes))
        manifest = rhumb.shards.Manifest(uuid.uuid4(), 1, DIM, "l2", "f32", 0, b"", entries)
        self.asked = []

        def server(node):
            seconds, answer = servers[node]

            def remote(shards, *_):
                self.asked.append(node)
                return ray.remote(num_cpus=0)(_answer).remote(seconds, answer, len(shards))

            return types.SimpleNamespace(search=types.SimpleNamespace(remote=remote))

        found = plan.Plan(1, manifest, manifest, routes, {node: server(node) for node in servers}, {})
        batch = searching.Batch(found, None, 1, {}, time.monotonic() + timeout, hedge_seconds, {}, metrics.Metrics())
        batch.run(lambda: found)
        return batch

    def test_a_replica_that_fails_after_another_has_answered_is_not_missing(self):
        one, two = uuid.uuid4(), uuid.uuid4()
        servers = {"a": (1.5, OSError("late")), "b": (0.0, (1, 1, 1, 1)), "c": (3.0, (2, 2, 2, 2))}
        batch = self.batch({**servers, "b": (0.0, (1, 1, 1, 1))}, {one: ("a",), two: ("c",)}, timeout=6.0)
        self.assertIn(one, batch.reasons)  # there is no other
        for _ in range(5):  # which of the two is asked first is chance
            batch = self.batch(servers, {one: ("a", "b"), two: ("c",)})
            self.assertEqual((batch.reasons, set(batch.found)), ({}, {one, two}))

    def test_a_replica_is_not_asked_twice_at_the_same_time(self):
        shard = uuid.uuid4()
        batch = self.batch(
            {"a": (2.0, (1, 1, 1, 1)), "b": (2.0, (1, 1, 1, 1))}, {shard: ("a", "b")}, hedge_seconds=0.05
        )
        self.assertEqual((set(batch.found), sorted(self.asked)), ({shard}, ["a", "b"]))

    def test_a_failure_of_the_caller_is_raised_at_once(self):
        with self.assertRaisesRegex(rhumb.Invalid, "wrong"):
            self.batch({"a": (0.0, rhumb.Invalid("wrong")), "b": (0.0, (1, 1, 1, 1))}, {uuid.uuid4(): ("a",)})

    def test_files_that_are_damaged_on_all_nodes_end_a_batch_before_its_deadline(self):
        shard = uuid.uuid4()
        servers = {"a": (0.0, rhumb.Corrupt("of a")), "b": (0.0, rhumb.OutOfStep("of b"))}
        begun = time.monotonic()
        batch = self.batch(servers, {shard: ("a", "b")})
        self.assertLess(time.monotonic() - begun, 100)
        self.assertRegex(batch.reasons[shard], "of [ab]")
        self.assertEqual(sorted(self.asked), ["a", "b"])


def _answer(seconds, answer, count):
    time.sleep(seconds)
    return [answer] * count


class Killing(RayCase):
    def kill_each_second(self, stop):
        rng = random.Random(SEED)
        next_time = time.monotonic()
        while not stop.wait(max(0.0, next_time - time.monotonic())):
            next_time += 1.0
            pids = [pid for pid, command, _ in processes_of_ray() if "ServerActor" in command]
            if len(pids) == NODES:  # otherwise one is being started, which takes longer than a second on a busy machine
                os.kill(rng.choice(sorted(pids)), signal.SIGKILL)
                self.killed += 1
            self.seconds += 1

    def test_no_answer_is_wrong_while_servers_are_killed(self):
        index = self.create(2000, name="one")
        cluster = self.start(self.folder_of(), replicas=2, publish_seconds=None)
        queries = vectors(64, seed=9)
        truth = index.search(queries, 10, exact=True)
        rng = np.random.default_rng(SEED)
        stop = threading.Event()
        self.killed = self.seconds = 0
        killer = threading.Thread(target=self.kill_each_second, args=(stop,))
        killer.start()
        seconds = []
        try:
            while len(seconds) < BATCHES or self.killed < BATCHES // 50:
                if len(seconds) % 100 == 0:
                    print(f"{len(seconds)} batches, {self.killed} servers killed", flush=True)
                rows = rng.integers(0, len(queries), 8)
                begun = time.monotonic()
                found = cluster.search(queries[rows], 10, exact=True)
                seconds.append(time.monotonic() - begun)
                np.testing.assert_array_equal(found.keys, truth.keys[rows])
                np.testing.assert_array_equal(found.distances, truth.distances[rows])
                self.assertEqual(found.missing_shards, {})
        finally:
            stop.set()
            killer.join()
        milliseconds = 1000 * np.quantile(seconds, [0.5, 0.9, 0.99, 1])
        client = cluster.metrics_of_client.values()
        print(f"{len(seconds)} batches, {self.killed} servers killed in {self.seconds} s: 0 wrong, 0 missing; "
              f"ms at p50, p90, p99, most: {[round(float(one), 1) for one in milliseconds]}; "
              f"hedges {client.get('hedges_total', 0)}, retries {client.get('retries_total', 0)}")  # fmt: skip
        self.assertGreater(self.killed, 0)

    def test_one_replica_and_partial_answers_name_what_is_missing(self):
        index = self.create(2000, name="one")
        cluster = self.start(self.folder_of(), replicas=1)
        plan = cluster._plan
        lost = plan.routes[plan.manifest.shards[1].uuid][0]
        gone = {i for i, entry in enumerate(plan.manifest.shards) if plan.routes[entry.uuid] == (lost,)}
        queries = vectors(5, seed=2)
        for options in ({}, {"radius": 0.9}):
            os.kill(server_pids(cluster)[lost], signal.SIGSTOP)  # as a machine that hangs
            try:
                found = cluster.search(queries, ef_search=500, timeout=5.0, partial="allow", **options)
                self.assertEqual(set(found.missing_shards), gone)
                placed = rhumb.shards.placement.shards_of(plan.manifest.slot_map, found.keys[found.keys < 2**63])
                self.assertFalse(gone & set(placed.tolist()))
                with self.assertRaisesRegex(rhumb.ray.Unavailable, f"{len(gone)} of 4 shards: shard"):
                    cluster.search(queries, timeout=5.0)
            finally:
                os.kill(self.stopped_pid(), signal.SIGCONT)
        self.same(cluster.search(queries, exact=True), index.search(queries, 10, exact=True))

    @staticmethod
    def stopped_pid():
        (pid,) = [pid for pid, _, state in processes_of_ray() if state == "T"]
        return pid

    def test_what_a_killed_writer_acknowledged_is_there(self):
        path = self.folder_of(500)
        cluster = self.start(path, replicas=2)
        rng = np.random.default_rng(SEED)
        stop = threading.Event()
        pause = random.Random(SEED)
        kills = []

        def kill():
            while not stop.wait(pause.uniform(0.3, 2.0)):
                pids = [one["pid"] for one in cluster.health()["writers"] if "pid" in one]
                if len(pids) == 4:  # otherwise one is being started
                    kills.append(pause.choice(pids))
                    os.kill(kills[-1], signal.SIGKILL)

        killer = threading.Thread(target=kill)
        expected = {key: vector for key, vector in enumerate(vectors(500))}
        cluster.upsert(vectors(1), [0])
        killer.start()
        try:
            for turn in range(40):
                data = rng.random((50, DIM)).astype(np.float32)
                if turn % 2:
                    keys = cluster.add(data)
                else:
                    keys = rng.choice(2000, 50, replace=False).astype(np.uint64)
                    cluster.upsert(data, keys)
                expected.update(zip(keys.tolist(), data))
                gone = rng.choice(sorted(expected), 5, replace=False)
                cluster.delete(gone)
                for key in gone.tolist():
                    del expected[key]
        finally:
            stop.set()
            killer.join()
        self.assertGreater(len(kills), 0)
        cluster.checkpoint()
        keys = np.array(sorted(expected), np.uint64)
        found = cluster.search(np.stack([expected[key] for key in keys.tolist()][:100]), 1, exact=True)
        np.testing.assert_array_equal(found.distances, np.zeros((100, 1), np.float32))
        cluster.shutdown()
        with rhumb.shards.open(path) as shards:
            self.assertEqual(sorted(shards.keys().tolist()), keys.tolist())
            np.testing.assert_array_equal(shards.get(keys), np.stack([expected[key] for key in keys.tolist()]))
            shards.verify()
        print(f"{len(kills)} writers killed: all of {len(keys)} acknowledged vectors there")

    def test_numbers_pass_over_keys_that_a_caller_has_chosen(self):
        cluster = self.start(self.folder_of(100), replicas=1)
        first = cluster.add(vectors(1)[0])
        self.assertGreaterEqual(first, 100)
        for ahead in (3, 100_000):  # in what is reserved by the manifest, and behind it
            chosen = first + ahead
            cluster.upsert(vectors(1), [chosen])
            numbered = cluster.add(vectors(ahead % 100 + 5))
            self.assertGreater(numbered.min(), chosen)
            first = int(numbered.max())
        cluster.add(vectors(1), [first + 2])
        self.assertGreater(cluster.add(vectors(3)).min(), first + 2)
        other = pickle.loads(pickle.dumps(cluster))
        other.upsert(vectors(1), [first + 1000])
        time.sleep(1)  # the keeper learns it soon
        self.assertGreater(cluster.add(vectors(2)).min(), first + 1000)

    def test_searches_and_writes_go_on_without_the_keeper(self):
        cluster = self.start(self.folder_of(), replicas=2)
        cluster.upsert(vectors(1, seed=70), [5000])
        cluster.checkpoint()
        pid = ray.get(cluster._keeper.pid.remote())
        os.kill(pid, signal.SIGKILL)
        self.assertEqual(cluster.search(vectors(1, seed=70), 1).keys[0, 0], 5000)
        cluster.upsert(vectors(1, seed=71), [5001])
        cluster.checkpoint()
        self.assertEqual(cluster.search(vectors(1, seed=71), 1).keys[0, 0], 5001)
        self.assertTrue(cluster.health()["ok"])


class Changing(RayCase):
    def test_a_reshard_loses_nothing_and_fails_nothing(self):
        for local in (None, self.path("copies/{node}")):
            path = self.folder_of(3000, name=f"shards-{local is None}")
            cluster = self.start(path, replicas=2, local=local)
            index = self.create(3000, name=f"one-{local is None}")
            queries = vectors(10, seed=3)
            truth = index.search(queries, 5, exact=True, filter=np.arange(3000))
            stop, failures, written, searches = threading.Event(), [], {}, [0]

            def write(cluster=cluster, written=written, failures=failures, stop=stop):
                rng = np.random.default_rng(SEED)
                while not stop.is_set():
                    data = rng.random((20, DIM)).astype(np.float32)
                    try:
                        written.update(zip(cluster.add(data).tolist(), data))
                    except Exception as failure:
                        failures.append(failure)
                        return

            def search(cluster=cluster, failures=failures, stop=stop, searches=searches, truth=truth):
                while not stop.is_set():
                    try:
                        self.same(cluster.search(queries, 5, exact=True, filter=np.arange(3000)), truth)
                        searches[0] += 1
                    except BaseException as failure:
                        failures.append(failure)
                        return

            threads = [threading.Thread(target=one) for one in (write, search)]
            for thread in threads:
                thread.start()
            try:
                wait_until(lambda: written)
                cluster.reshard(8)
                before = searches[0], len(written)
                wait_until(lambda: failures or (searches[0] > before[0] and len(written) > before[1]))
            finally:
                stop.set()
                for thread in threads:
                    thread.join()
            self.assertEqual(failures, [])
            cluster.checkpoint()
            wait_until(lambda: len(cluster._newest_plan(5).manifest.shards) == 8)
            keys = np.array(sorted(written), np.uint64)
            data = np.stack([written[key] for key in keys.tolist()])
            self.assertEqual(float(cluster.search(data[-50:], 1, exact=True).distances.max()), 0.0)
            cluster.shutdown()
            with rhumb.shards.open(path) as shards:
                self.assertEqual((shards.shard_count, len(shards)), (8, 3000 + len(keys)))
                np.testing.assert_array_equal(shards.get(keys), data)
                shards.verify()
            print(f"reshard from 4 to 8, local {local is not None}: {searches[0]} searches, {len(keys)} inserts")

    def test_followers_get_copies_of_checkpoints(self):
        path, local = self.folder_of(), self.path("copies")
        cluster = self.start(path, replicas=2, local=local + "/{node}")
        wait_until(lambda: cluster.health()["ok"])
        self.assertEqual(len(os.listdir(local)), NODES)
        keys = cluster.add(vectors(10, seed=4))
        cluster.checkpoint()
        self.assertEqual(set(cluster.search(vectors(10, seed=4), 1).keys[:, 0].tolist()), set(keys.tolist()))
        self.assertTrue(cluster.health()["ok"])
        # a follower whose copy was damaged fetches it again
        server = next(iter(cluster._plan.servers))
        folder = os.path.join(local, server[:12])
        pid = server_pids(cluster)[server]
        for name in filter(lambda name: name.endswith(".rhumb"), os.listdir(folder)):
            with open(os.path.join(folder, name), "r+b") as file:
                file.write(b"not an index" * 20000)
        os.kill(pid, signal.SIGKILL)
        self.assertEqual(set(cluster.search(vectors(10, seed=4), 1).keys[:, 0].tolist()), set(keys.tolist()))
        wait_until(lambda: server_pids(cluster).get(server, pid) != pid)
        wait_until(lambda: cluster.health()["ok"])

    def test_a_drained_node_is_not_asked_and_a_lost_one_is_replaced(self):
        index = self.create(2000, name="one")
        cluster = self.start(self.folder_of(), replicas=2)
        queries = vectors(5, seed=8)
        truth = index.search(queries, 10, exact=True)
        node = next(iter(cluster._plan.servers))
        stop, failures = threading.Event(), []

        def search():
            while not stop.is_set():
                try:
                    self.same(cluster.search(queries, 10, exact=True), truth)
                except BaseException as failure:
                    failures.append(failure)
                    return

        thread = threading.Thread(target=search)
        thread.start()
        try:
            cluster.drain(node)
            self.assertNotIn(node, cluster.health()["nodes"])
            self.assertTrue(cluster.health()["ok"], cluster.health()["problems"])
            cluster.undrain(node)
            self.assertIn(node, cluster.health()["nodes"])
            added = machines.add_node(num_cpus=2, object_store_memory=100 << 20)
            wait_until(lambda: len(cluster.health()["nodes"]) == NODES + 1)
            machines.remove_node(added, allow_graceful=False)
            wait_until(lambda: len(cluster.health()["nodes"]) == NODES)
            wait_until(lambda: cluster.health()["ok"])
        finally:
            stop.set()
            thread.join()
        self.assertEqual(failures, [])
        self.assertRaises(rhumb.Invalid, cluster.drain, "nonsense")


class Reporting(RayCase):
    def test_health_and_metrics_say_what_is(self):
        cluster = self.start(self.folder_of(), replicas=2)
        cluster.search(vectors(7), 5)
        cluster.upsert(vectors(3), [1, 2, 3])
        cluster.checkpoint()
        health = cluster.health()
        self.assertTrue(health["ok"], health["problems"])
        self.assertEqual(sum(next(iter(one["replicas"].values()))[1] for one in health["shards"]), 2000)
        found = cluster.metrics()
        self.assertEqual((found["client"]["queries_total"], found["client"]["written_total"]), (7, 3))
        text = cluster.prometheus()
        self.assertIn('rhumb_queries_total{of="client"} 7', text)
        self.assertEqual(text.count("rhumb_shard_up{"), 8)

    def test_what_is_wrong_with_files_is_said(self):
        def damaged(name, change, pattern, kind=rhumb.ray.Unavailable):
            path = self.folder_of(200, name=name)
            shard = rhumb.shards.info(path).shards[2].file
            change(path, os.path.join(path, shard))
            with self.assertRaisesRegex(kind, pattern):
                cluster = self.start(path, replicas=2, publish_seconds=None)
                begun = time.monotonic()
                try:
                    found = cluster.search(vectors(2), partial="allow")
                    self.assertEqual(list(found.missing_shards), [2])
                    self.assertIn(shard, "".join(cluster.health()["problems"]))
                    cluster.search(vectors(2))
                finally:
                    self.assertLess(time.monotonic() - begun, 0.8 * PATIENCE_SECONDS)  # well before the deadline

        def damage_manifest(path, shard):
            with open(os.path.join(path, "manifest.json"), "r+b") as file:
                file.seek(40)
                file.write(b"x")

        other = self.folder_of(200, name="other")
        foreign = os.path.join(other, rhumb.shards.info(other).shards[2].file)
        old = self.folder_of(200, name="old")
        stale = os.path.join(old, rhumb.shards.info(old).shards[2].file)
        shutil.copy(stale, self.path("old-copy"))
        damaged("manifest", damage_manifest, "checksum", rhumb.Corrupt)
        damaged("missing", lambda path, shard: os.remove(shard), "shard 2 .*missing, and expected as shard 2")
        damaged("foreign", lambda path, shard: shutil.copy(foreign, shard), "shard 2 .*of another folder")
        with rhumb.shards.open(old) as shards:
            shards.upsert(vectors(200, seed=9), np.arange(200))
        shutil.copy(self.path("old-copy"), stale)
        with self.assertRaisesRegex(rhumb.ray.Unavailable, "shard 2 .*the file is an old copy"):
            self.start(old, replicas=2, publish_seconds=None).search(vectors(2))
        self.assertRaises(rhumb.NotFound, rhumb.ray.Cluster, self.path("nothing"))
        with self.assertRaisesRegex(rhumb.Invalid, "9 replicas need as many nodes, found 3"):
            rhumb.ray.Cluster(self.folder_of(10, name="few"), replicas=9)
        with self.assertRaises(rhumb.Locked):
            with rhumb.shards.open(other):
                rhumb.ray.Cluster(other)


class Page(RayCase):
    def test_the_example_of_the_page_runs(self):
        import pyarrow.parquet

        with open(os.path.join(os.environ.get("RHUMB_SOURCES", "../.."), "docs/scale-out.md")) as file:
            (code,) = re.findall(r"^```py\n(.*?)^```", file.read(), re.DOTALL | re.MULTILINE)
        os.mkdir(self.path("vectors"))
        pyarrow.parquet.write_table(Building.table(vectors(500), np.arange(500)), self.path("vectors/a.parquet"))
        before = os.getcwd()
        self.addCleanup(os.chdir, before)
        os.chdir(self.folder)
        space = {"queries": vectors(3, seed=2), "new_vectors": vectors(20, seed=3)}
        code = code.replace("assert cluster", "wait(cluster); assert cluster")
        space["wait"] = lambda cluster: wait_until(lambda: cluster.health()["ok"])
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(code, "docs/scale-out.md", "exec"), space)
        self.assertEqual((space["report"].count, len(space["keys"])), (500, 20))
        self.assertEqual(space["result"].keys[:, 0].shape, (3,))


class Building(RayCase):
    def built(self, path, data, keys=None):
        index = self.create(0, name=f"one-{os.path.basename(path)}")
        index.add(data, keys)
        with rhumb.shards.open(path) as shards:
            self.same_answers(shards, index, vectors(10, seed=5))
            shards.verify()

    @staticmethod
    def table(data, keys):
        import pyarrow

        column = pyarrow.FixedSizeListArray.from_arrays(data.reshape(-1), DIM)
        return pyarrow.table({"vector": column, "id": keys})

    def test_a_build_is_that_of_one_index(self):
        import pyarrow.parquet
        import ray.data

        data = vectors(3000)
        keys = np.random.default_rng(1).permutation(9000)[:3000].astype(np.uint64)
        np.save(self.path("one.npy"), data[:1000])
        np.save(self.path("two.npy"), data[1000:])
        report = rhumb.ray.build([self.path("one.npy"), self.path("two.npy")], self.path("npy"), shards=3)
        self.assertEqual((report.count, len(report.shards)), (3000, 3))
        self.built(self.path("npy"), data)
        pyarrow.parquet.write_table(self.table(data, keys), self.path("t.parquet"), row_group_size=700)
        rhumb.ray.build(self.path("*.parquet"), self.path("parquet"), shards=4, keys="id", tasks=1)
        self.built(self.path("parquet"), data, keys)
        rhumb.ray.build(self.path("t.parquet"), self.path("numbered"), shards=2)
        self.built(self.path("numbered"), data)
        dataset = ray.data.from_arrow([self.table(data[:1500], keys[:1500]), self.table(data[1500:], keys[1500:])])
        rhumb.ray.build(dataset, self.path("dataset"), shards=2, keys="id")
        self.built(self.path("dataset"), data, keys)
        self.assertEqual(sorted(os.listdir(self.path("npy"))),
                         sorted([e.file for e in rhumb.shards.info(self.path("npy")).shards]
                                + ["manifest.json", "writer.lock"]))  # fmt: skip
        with self.assertRaisesRegex(rhumb.Invalid, "a column 'id2' expected"):
            rhumb.ray.build(self.path("t.parquet"), self.path("wrong"), shards=2, keys="id2")
        self.assertRaises(rhumb.NotFound, rhumb.ray.build, self.path("no.npy"), self.path("wrong"), shards=2)
        self.assertRaises(rhumb.Exists, rhumb.ray.build, self.path("one.npy"), self.path("npy"), shards=3)

    def test_a_build_goes_on_where_it_was(self):
        data = vectors(3000)
        np.save(self.path("data.npy"), data)

        def stop(done, total):
            return done == 0

        with self.assertRaises(rhumb.Cancelled):
            rhumb.ray.build(self.path("data.npy"), self.path("built"), shards=6, tasks=1, progress=stop)
        scratch = self.path("built/build")
        done = [name for name in os.listdir(scratch) if name.startswith("shard-") and name.endswith(".json")]
        self.assertTrue(0 < len(done) < 6, done)
        self.assertRaises(rhumb.NotFound, rhumb.shards.open, self.path("built"))
        with self.assertRaisesRegex(rhumb.Exists, "the begun build of something else"):
            rhumb.ray.build(self.path("data.npy"), self.path("built"), shards=5)
        kept = {name: os.stat(os.path.join(scratch, name)).st_ino for name in done}
        stamps = {}

        def look(_done, _total):
            stamps.update({name: os.stat(os.path.join(scratch, name)).st_ino for name in kept})

        rhumb.ray.build(self.path("data.npy"), self.path("built"), shards=6, progress=look)
        self.assertEqual(stamps, kept)
        self.built(self.path("built"), data)

    def test_a_task_that_dies_is_run_again(self):
        np.save(self.path("data.npy"), vectors(60000))
        killed = []
        stop = threading.Event()

        def kill():
            while not stop.wait(0.05) and not killed:
                for pid, command, _ in processes_of_ray():
                    if command.startswith("ray::_build_shard"):
                        os.kill(pid, signal.SIGKILL)
                        killed.append(pid)
                        break

        killer = threading.Thread(target=kill)
        killer.start()
        try:
            report = rhumb.ray.build(self.path("data.npy"), self.path("built"), shards=2, M=8, ef_construction=40)
        finally:
            stop.set()
            killer.join()
        self.assertEqual((report.count, len(killed)), (60000, 1))
        with rhumb.shards.open(self.path("built")) as shards:
            shards.verify()


if __name__ == "__main__":
    support.main()
