"""Goal: the parts of rhumb.ray that need no Ray do what they promise: placement, the fence of writers, copies of
checkpoints while these are written, servers and their failures, and metrics.

Method: each part by itself, in this process and in others; random inputs print their seed. Clusters of Ray are tested
by ray_suite.py.
"""

import os
import random
import shutil
import threading
import time
import unittest
import uuid

import numpy as np

import rhumb
import rhumb.ray
import rhumb.shards
import support
from rhumb.ray import copying, fence, metrics, plan, server, sources, writer
from support import vectors

SEED = int(os.environ.get("SEED", time.time_ns() % 2**32))


class Placement(unittest.TestCase):
    def test_replicas_are_spread_and_never_twice_on_a_node(self):
        print(f"seed {SEED}")
        rng = random.Random(SEED)
        for _ in range(100):
            shards = [uuid.UUID(int=rng.getrandbits(128)) for _ in range(rng.randint(1, 40))]
            nodes = [f"node-{i}" for i in range(rng.randint(1, 9))]
            replicas = rng.randint(1, 4)
            routes = plan.place(shards, nodes, replicas, {})
            loads = [sum(node in of_shard for of_shard in routes.values()) for node in nodes]
            self.assertLessEqual(max(loads) - min(loads), 1)
            for of_shard in routes.values():
                self.assertEqual(len(set(of_shard)), min(replicas, len(nodes)))
            # a lost node moves its own shards, and no others
            left = nodes[1:]
            moved = plan.place(shards, left, replicas, routes)
            for shard in shards if left else ():
                self.assertLessEqual(set(routes[shard]) - {nodes[0]}, set(moved[shard]))
                self.assertEqual(len(set(moved[shard])), min(replicas, len(left)))

    def test_a_cover_has_every_shard_once_and_avoids_where_it_can(self):
        rng = random.Random(SEED)
        for _ in range(100):
            shards = [uuid.UUID(int=i) for i in range(rng.randint(1, 30))]
            nodes = [f"node-{i}" for i in range(rng.randint(1, 6))]
            routes = plan.place(shards, nodes, 2, {})
            avoided = {nodes[0]}
            found = plan.cover(shards, routes, avoided, rng)
            self.assertEqual(sorted(one for some in found.values() for one in some), sorted(shards))
            for node, some in found.items():
                for shard in some:
                    self.assertIn(node, routes[shard])
                    self.assertFalse(node in avoided and len(routes[shard]) > 1)
        self.assertEqual(plan.cover(shards, dict.fromkeys(shards, ()), (), rng), {})


class Fence(support.ShardsCase):
    def closed(self, count=300, shards=2):
        self.make(count, shards).close()
        return self.path("shards"), rhumb.shards.info(self.path("shards"))

    def test_a_replaced_writer_refuses_and_gives_way(self):
        path, manifest = self.closed()
        entry = manifest.shards[0]
        old = writer.ShardWriter(path, str(entry.uuid))
        keys = rhumb.shards.placement.group(manifest.slot_map, np.arange(1000, 1100, dtype=np.uint64))[0][1]
        keys = keys.astype(np.uint64) + np.uint64(1000)
        old.write("add", keys[:5], vectors(5), False)
        new = writer.ShardWriter(path, str(entry.uuid))
        new.write("add", keys[5:10], vectors(5, seed=2), False)  # waits until the old one has left the index
        with self.assertRaisesRegex(rhumb.ray.Fenced, "a newer writer has taken over"):
            old.write("add", keys[10:15], vectors(5), False)
        new.release()
        self.assertRaises(rhumb.ray.Moved, new.write, "delete", keys[:1], None, False)
        with rhumb.shards.open(path) as shards:
            self.assertEqual(shards.contains(keys[:15]).tolist(), [True] * 10 + [False] * 5)
            shards.verify()

    def test_a_hung_writer_keeps_its_successor_out(self):
        path, manifest = self.closed()
        file = os.path.join(path, manifest.shards[0].file)
        code = "import sys, rhumb; index = rhumb.open(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
        process = support.start_python(code, file, stdin=-1)
        try:
            process.stdout.readline()
            self.addCleanup(setattr, writer, "_LOCK_SECONDS", writer._LOCK_SECONDS)
            writer._LOCK_SECONDS = 0.3
            new = writer.ShardWriter(path, str(manifest.shards[0].uuid))
            self.assertRaises(rhumb.Locked, new.write, "upsert", np.array([1], np.uint64), vectors(1), False)
        finally:
            process.kill()
            process.communicate()

    def test_terms_only_grow_and_a_damaged_one_is_said(self):
        path = self.path("x")
        terms = [fence.Term(path) for _ in range(3)]
        self.assertEqual([one.number for one in terms], [1, 2, 3])
        terms[2].check()
        self.assertRaises(rhumb.ray.Fenced, terms[1].check)
        with open(path + "-term", "wb") as file:
            file.write(b"nonsense")
        self.assertRaises(rhumb.Corrupt, terms[2].check)
        self.assertRaises(rhumb.Corrupt, fence.Term, path)
        for one in terms:
            one.close()

    def test_a_batch_that_is_sent_again_counts_once(self):
        for normalise, name in ((False, "l2"), (True, "hellinger")):
            index = self.create(10, name=name, metric=name, normalise=normalise)
            keys = np.arange(8, 14, dtype=np.uint64)
            data = np.concatenate([vectors(10)[8:], vectors(4, seed=3)])
            self.assertRaises(rhumb.KeyExists, writer.apply, index, "add", keys, data, False)
            self.assertEqual(writer.apply(index, "add", keys, data, True), 6)
            self.assertEqual(writer.apply(index, "add", keys, data, True), 6)
            self.assertEqual(len(index), 14)
            self.assertRaises(rhumb.KeyExists, writer.apply, index, "add", keys, data[::-1].copy(), True)
            self.assertEqual(writer.apply(index, "delete", np.array([8, 99], np.uint64), None, True), 1)

    def test_a_folder_that_is_resharded_forgets_terms(self):
        path, manifest = self.closed()
        for entry in manifest.shards:
            fence.Term(os.path.join(path, entry.file)).close()
        with rhumb.shards.open(path) as shards:
            shards.reshard(4)
        self.assertEqual([name for name in os.listdir(path) if name.endswith("-term")], [])


class Copies(support.ShardsCase):
    def ask(self, source):
        return lambda name, *arguments: getattr(source, name)(*arguments)

    def test_a_copy_of_a_shard_that_is_written_is_one_checkpoint(self):
        shards = self.make(2000, 1, checkpoint_log_bytes=1 << 16)
        shards.checkpoint()
        manifest = rhumb.shards.info(self.path("shards"))
        stop, failures = threading.Event(), []

        def write():
            rng = np.random.default_rng(SEED)
            while not stop.is_set():
                try:
                    shards.upsert(rng.random((200, support.DIM), np.float32), rng.choice(2000, 200, replace=False))
                    shards.checkpoint()
                except Exception as failure:
                    failures.append(failure)
                    return

        thread = threading.Thread(target=write)
        thread.start()
        try:
            source, local = copying.Source(self.path("shards")), self.path("local")
            for _ in range(15):
                copying.fetch(self.ask(source), manifest, 0, local)
                with rhumb.open(os.path.join(local, manifest.shards[0].file), read_only=True) as copy:
                    copy.verify()
                    self.assertEqual(len(copy), 2000)
                    self.assertGreaterEqual(copy.lsn, manifest.shards[0].lsn)
        finally:
            stop.set()
            thread.join()
        self.assertEqual(failures, [])
        self.assertEqual(source._tickets, {})

    def test_only_what_changed_is_fetched(self):
        self.addCleanup(setattr, copying, "_PIECE_BYTES", copying._PIECE_BYTES)
        copying._PIECE_BYTES = 1 << 17
        shards = self.make(20000, 1, M=4, ef_construction=20)
        shards.checkpoint()
        manifest = rhumb.shards.info(self.path("shards"))
        source, local = copying.Source(self.path("shards")), self.path("local")
        whole = copying.fetch(self.ask(source), manifest, 0, local)
        self.assertEqual(copying.fetch(self.ask(source), manifest, 0, local), 0)
        shards.upsert(vectors(1, seed=4), [7])
        shards.checkpoint()
        self.assertLess(copying.fetch(self.ask(source), manifest, 0, local), whole / 2)

    def test_a_copy_that_arrives_damaged_is_refused_and_the_old_one_kept(self):
        self.make(500, 1).close()
        manifest = rhumb.shards.info(self.path("shards"))
        source, local = copying.Source(self.path("shards")), self.path("local")
        copying.fetch(self.ask(source), manifest, 0, local)

        def ask(name, *arguments):
            found = getattr(source, name)(*arguments)
            if name == "begin":
                return found[0], found[1], [bytes(16)] * len(found[2])
            return (found[0][::-1], found[1]) if name == "piece" else found

        self.assertRaisesRegex(rhumb.IOFailure, "changed on its way", copying.fetch, ask, manifest, 0, local)
        self.assertEqual(os.listdir(local), [manifest.shards[0].file])
        self.assertEqual(source._tickets, {})


class Servers(support.ShardsCase):
    def ask(self, found, shard, query=None, lsn=0):
        return found.search([(shard.bytes, lsn)], vectors(3) if query is None else query, 5, {"exact": True}, 5.0)[0]

    def serve(self, path, **options):
        return server.Server(path, options.get("local"), options.get("source"), 3600.0)

    def test_a_server_opens_what_it_is_asked_for_and_follows(self):
        shards = self.make(500, 2)
        entries = shards.manifest.shards
        found = self.serve(self.path("shards"))
        before = self.ask(found, entries[0].uuid)
        self.assertEqual(before[0].shape, (3, 5))
        self.assertIsInstance(self.ask(found, uuid.uuid4()), rhumb.ray.Moved)
        self.assertIsInstance(self.ask(found, entries[0].uuid, vectors(1, 3)), rhumb.Invalid)
        shards.upsert(vectors(100, seed=3), np.arange(100))
        shards.checkpoint()
        self.assertEqual(self.ask(found, entries[0].uuid)[3], before[3])
        newest = shards.manifest.shards[0].lsn
        self.assertEqual(self.ask(found, entries[0].uuid, lsn=newest)[3], newest)  # it looks for what is wanted
        self.assertIsInstance(self.ask(found, entries[0].uuid, lsn=newest + 1), rhumb.ray.NotReady)
        found.refresh()
        self.assertEqual(self.ask(found, entries[1].uuid)[3], shards.manifest.shards[1].lsn)
        shards.reshard(4)  # removes the files; who asks for the old shards still gets answers
        found.refresh()
        self.assertEqual(self.ask(found, entries[0].uuid)[0].shape, (3, 5))
        for entry in shards.manifest.shards:
            self.assertEqual(self.ask(found, entry.uuid)[2].shape, (3,))

    def test_each_damage_is_named_and_the_other_shards_are_searched(self):
        def case(name, change, kind, text):
            self.make(300, 2, name).close()
            manifest = rhumb.shards.info(self.path(name))
            path = os.path.join(self.path(name), manifest.shards[1].file)
            change(path)
            found = self.serve(self.path(name))
            failure = self.ask(found, manifest.shards[1].uuid)
            self.assertIsInstance(failure, kind, failure)
            self.assertIn(path, str(failure))
            self.assertIn(text, str(failure))
            self.assertEqual(self.ask(found, manifest.shards[0].uuid)[0].shape, (3, 5))
            self.assertIn(text, found.state()["errors"][str(manifest.shards[1].uuid)])

        def damage(path):
            with open(path, "r+b") as file:
                file.write(b"\0" * 200000)

        self.make(300, 2, "other").close()
        foreign = os.path.join(self.path("other"), rhumb.shards.info(self.path("other")).shards[1].file)
        case("missing", os.remove, rhumb.NotFound, "missing, and expected as shard 1 of 2")
        case("damaged", damage, rhumb.Error, "")
        case("foreign", lambda path: shutil.copy(foreign, path), rhumb.OutOfStep, "of another folder")

    def test_a_stale_copy_is_refused_and_fetched_again(self):
        shards = self.make(300, 1)
        entry = shards.manifest.shards[0]
        source = copying.Source(self.path("shards"))
        local = self.path("local")
        copying.fetch(lambda name, *more: getattr(source, name)(*more), shards.manifest, 0, local)
        shards.upsert(vectors(300, seed=5), np.arange(300))
        shards.checkpoint()
        found = self.serve(self.path("shards"), local=local, source=lambda name, *more: getattr(source, name)(*more))
        failure = self.ask(found, entry.uuid)
        self.assertIsInstance(failure, rhumb.OutOfStep)
        self.assertIn("the file is an old copy", str(failure))
        limit = time.monotonic() + 30
        while isinstance(answer := self.ask(found, entry.uuid), Exception) and time.monotonic() < limit:
            time.sleep(0.05)
        self.assertEqual(answer[3], shards.manifest.shards[0].lsn)


class Sources(support.TestCase):
    def test_paths_do_not_depend_on_where_a_task_runs(self):
        np.save(self.path("b.npy"), vectors(5))
        np.save(self.path("a.npy"), vectors(3))
        columns = sources.Columns("vector", None)
        expected, _, stamp = sources.pieces_of([self.path("a.npy"), self.path("b.npy")], columns)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.folder)
        for source in ("*.npy", ["a.npy", "b.npy"]):
            found, _, other = sources.pieces_of(source, columns)
            self.assertEqual((found, other), (expected, stamp))
        self.assertEqual([piece.path for piece in found], [self.path("a.npy"), self.path("b.npy")])


class Numbers(unittest.TestCase):
    def test_metrics_are_text_for_prometheus(self):
        found = metrics.Metrics()
        found.add("searches_total", 3)
        for milliseconds in range(1, 101):
            found.observe("search_seconds", milliseconds / 1000)
        self.assertEqual(found.quantile("search_seconds", 0.5), 0.051)
        self.assertIsNone(found.quantile("write_seconds", 0.5))
        text = metrics.prometheus((name, {"of": 'a"b\n'}, value) for name, value in found.values().items())
        self.assertIn('rhumb_searches_total{of="a\\"b\\n"} 3\n', text)
        self.assertIn('rhumb_search_seconds_bucket{of="a\\"b\\n",le="0.064"} 64\n', text)
        self.assertIn('rhumb_search_seconds_bucket{of="a\\"b\\n",le="+Inf"} 100\n', text)
        self.assertEqual(text.count("# TYPE rhumb_search_seconds histogram"), 1)

    def test_without_ray_the_import_says_what_to_install(self):
        try:
            import ray  # noqa: F401
        except ImportError:
            with self.assertRaisesRegex(ImportError, r"pip install rhumb\[ray\]"):
                rhumb.ray.Cluster  # noqa: B018
        self.assertRaises(AttributeError, getattr, rhumb.ray, "nonsense")


if __name__ == "__main__":
    support.main()
