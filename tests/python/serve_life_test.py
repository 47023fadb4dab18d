"""Goal: while workers are killed, vectors are written, shards are split, folders are replaced or damaged and services
are stopped, clients of examples/serve.py get right answers.

Method: threads search without a pause over connections that they keep, and check every answer.
"""

import os
import random
import signal
import threading
import time

import rhumb.shards
import serve_support
import support
from serve_support import Client, Load, ServiceCase, wait_until

COUNT = 240
ROUNDS = int(os.environ.get("RHUMB_ROUNDS", 6))


def named_first(fields, found):
    """A text that is a package's own must find it."""
    wanted = fields["text"].split(":")[0]
    names = [result.get("name") for result in found["results"]]
    return None if names[:1] == [wanted] else f"{wanted} expected, found {names}"


def searches():
    return [{"text": package.text, "k": 3} for package in serve_support.packages(COUNT).values()]


class Life(ServiceCase):
    def setUp(self):
        super().setUp()
        self.served, self.apt = self.path("served"), self.path("apt")
        serve_support.make_folder(self.served, COUNT, self.apt)

    def load(self, service, **options):
        return Load(service.port, searches(), named_first, **options)

    def check(self, load, *, again_count_max=0):
        self.assertEqual(load.failures, [])
        self.assertLessEqual(load.again_count, again_count_max)
        self.assertGreater(load.answer_count, 0)

    def wait_for_epoch(self, service):
        """Waits until all workers serve what the folder has now."""
        epoch = rhumb.shards.info(self.served).epoch
        wait_until(lambda: set(service.metric("epoch")) == {epoch}, f"all workers serve epoch {epoch}")

    # ---- workers ----------------------------------------------------------------------------------------------------

    def test_killed_workers_fail_no_request_that_is_sent_again(self):
        seed = int(os.environ.get("RHUMB_SEED", 0)) or random.randrange(1 << 32)
        print(f"RHUMB_SEED={seed}")
        rng = random.Random(seed)
        service = self.start(self.served, workers=3)
        with self.load(service) as load:
            for _ in range(ROUNDS):
                load.wait_for(rng.randrange(10, 60))
                pids = service.worker_pids()
                os.kill(rng.choice(pids), signal.SIGKILL)
                wait_until(lambda: len(set(service.worker_pids()) - set(pids)) == 1, "another worker is started")
            load.wait_for(50)
        self.check(load, again_count_max=4 * ROUNDS)
        wait_until(lambda: service.metric("starts_total") == [3 + ROUNDS], "all have started again")

    def test_the_only_worker_dies_and_connections_wait_for_the_next(self):
        service = self.start(self.served, workers=1)
        for _ in range(3):
            (pid,) = service.worker_pids()
            os.kill(pid, signal.SIGKILL)
            self.assertEqual(service.search(text="sail")[0], 200)

    def test_a_worker_that_is_terminated_ends_its_requests_and_is_replaced(self):
        service = self.start(self.served, workers=2)
        pids = service.worker_pids()
        with self.load(service) as load:
            load.wait_for(20)
            os.kill(pids[0], signal.SIGTERM)
            wait_until(lambda: pids[0] not in service.worker_pids(), "it has ended")
            load.wait_for(50)
        self.check(load, again_count_max=4)  # connections that it kept
        wait_until(lambda: len(service.worker_pids()) == 2, "another worker is started")

    # ---- what is served ---------------------------------------------------------------------------------------------

    def test_writes_and_reshards_under_load_fail_no_request(self):
        service = self.start(self.served)
        before = service.metric("refreshes_total")[0]
        with self.load(service) as load:
            for turn, shard_count in enumerate((3, 5, 2)):
                first = 1000 * (turn + 1)
                serve_support.make_apt(self.apt, {**serve_support.packages(COUNT), **serve_support.packages(30, first)})
                copied, _ = serve_support.importing.import_packages(
                    self.apt, self.served, 2, support.WordEncoder.name, say=lambda line: None
                )
                self.assertEqual(copied, 30)
                with rhumb.shards.open(self.served) as shards:
                    load.wait_for(10)
                    shards.reshard(shard_count)
                self.wait_for_epoch(service)
                facts = service.ask("/api/index")[1]
                self.assertEqual((facts["shards"], facts["count"]), (shard_count, COUNT + 30))
                (text,) = [package.text for package in serve_support.packages(1, first + 7).values()]
                for _ in range(4):  # whichever worker answers
                    found = service.search(text=text, k=1, section=serve_support.SECTIONS[3])[1]["results"]
                    self.assertEqual(found[0]["name"], f"package{first + 7}")
            load.wait_for(20)
        self.check(load)
        self.assertGreater(service.metric("refreshes_total")[0], before)
        self.assertEqual(service.metric("refresh_failures_total"), [0])

    def test_another_folder_in_its_place_is_taken_up_under_load(self):
        os.rename(self.served, self.path("one"))
        os.symlink("one", self.served)
        service = self.start(self.served)
        with self.load(service) as load:
            for name, shard_count in (("two", 3), ("three", 1)):
                load.wait_for(20)
                serve_support.make_folder(self.path(name), COUNT, self.apt, shard_count)
                os.symlink(name, self.path("link"))
                os.rename(self.path("link"), self.served)
                self.wait_for_shards(service, shard_count)
                load.wait_for(20)
        self.check(load)
        self.assertEqual(service.metric("refresh_failures_total"), [0])
        for pid in service.worker_pids():  # nothing of the folders before is open any more
            with open(f"/proc/{pid}/maps") as file:
                self.assertNotIn(self.path("one"), file.read())

    def wait_for_shards(self, service, count):
        wait_until(lambda: {service.ask("/api/index")[1]["shards"] for _ in range(6)} == {count}, f"{count} shards")

    def test_a_renamed_folder_is_taken_up_and_a_missing_one_is_waited_for(self):
        serve_support.make_folder(self.path("next"), COUNT, self.apt, 3)
        service = self.start(self.served)
        with self.load(service) as load:
            os.rename(self.served, self.path("old"))
            wait_until(lambda: service.metric("refresh_failures_total")[0] > 0, "it is missed")
            load.wait_for(20)
            os.rename(self.path("next"), self.served)
            self.wait_for_shards(service, 3)
            load.wait_for(20)
        self.check(load)
        wait_until(lambda: service.ask("/health")[1]["status"] == "ok", "nothing is missed any more")

    def test_a_damaged_manifest_is_reported_and_the_old_state_served(self):
        service = self.start(self.served)
        path = os.path.join(self.served, "manifest.json")
        with open(path, "rb") as file:
            whole = file.read()
        with self.load(service) as load:
            with open(path, "wb") as file:
                file.write(whole[: len(whole) // 2])
            wait_until(lambda: min(service.metric("lag_seconds")) > 0, "all workers lag")
            status, found = service.ask("/health")
            self.assertEqual((status, found["status"]), (200, "stale"))
            self.assertIn("Truncated", found["failure"])
            load.wait_for(20)
            with open(path, "wb") as file:
                file.write(whole)
            wait_until(lambda: max(service.metric("lag_seconds")) == 0, "no worker lags")
        self.check(load)

    def test_full_disks_for_messages_and_the_log_stop_nothing(self):
        service = self.start(self.served, log="/dev/full", errors="/dev/full")
        with self.load(service) as load:
            load.wait_for(10)
            os.kill(service.worker_pids()[0], signal.SIGKILL)
            wait_until(lambda: service.metric("starts_total") == [3], "another worker is started")
            os.rename(self.served, self.path("away"))
            wait_until(lambda: service.metric("refresh_failures_total")[0] > 2, "it is missed")
            os.rename(self.path("away"), self.served)
            load.wait_for(20)
        self.check(load, again_count_max=4)
        self.assertGreaterEqual(service.metric("log_failures_total")[0], 30)

    # ---- the end ----------------------------------------------------------------------------------------------------

    def test_a_stop_ends_what_has_begun_and_leaves_no_process(self):
        service = self.start(self.served)
        pids = service.worker_pids()
        idle = Client(service.port)
        self.addCleanup(idle.close)
        self.assertEqual(idle.ask("/health")[0], 200)
        answers = []
        thread = threading.Thread(target=lambda: answers.append(service.search(text="slowly")))
        thread.start()
        wait_until(lambda: sum(service.metric("jobs")) == 1, "the search has begun")
        self.assertEqual(service.stop(), 0)
        thread.join()
        self.assertEqual(answers[0][0], 200)
        for pid in pids:
            self.assertFalse(os.path.exists(f"/proc/{pid}"))
        with self.assertRaises(ConnectionRefusedError):
            service.ask("/health")

    def test_a_stop_does_not_wait_longer_than_its_grace(self):
        service = self.start(self.served, "--grace-seconds", "0.2", "--read-seconds", "60")
        client = Client(service.port)
        self.addCleanup(client.close)
        client._connection.connect()
        client._connection.send(b"POST /api/search HTTP/1.1\r\n")  # and never the rest
        wait_until(lambda: sum(service.metric("connections")) == 2, "the connection is accepted")
        begun = time.monotonic()
        self.assertEqual(service.stop(), 0)
        self.assertLess(time.monotonic() - begun, 20)

    def test_workers_end_with_a_supervisor_that_is_killed(self):
        service = self.start(self.served)
        pids = service.worker_pids()
        service.process.kill()
        wait_until(lambda: not any(_runs(pid) for pid in pids), "the workers have ended")


def _runs(pid):
    """Whether a process runs, which one that is dead and not waited for does not."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


if __name__ == "__main__":
    support.main()
