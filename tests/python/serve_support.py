"""What the tests of examples/serve.py share: a folder to serve, a running service, and clients."""

import http.client
import json
import multiprocessing
import os
import re
import shutil
import socket
import sys
import tempfile
import threading
import time
import unittest
import urllib.parse

import support

EXAMPLES = os.path.abspath(os.path.join(os.environ.get("RHUMB_SOURCES", "."), "examples"))
sys.path.insert(0, EXAMPLES)
import apt_search  # noqa: E402
import serve  # noqa: E402
from service import importing  # noqa: E402

COUNT = 300  # packages that a shared service has
WORDS = "sound video compiler editor network game chart sextant compass rope anchor sail".split()
SECTIONS = ("sound", "video", "devel", "games")


class Encoder(support.WordEncoder):
    """A stand-in for the model. The texts "slowly" and "very slowly" take seconds."""

    def embed(self, sentences, progress=lambda done: None):
        time.sleep({"slowly": 1.0, "very slowly": 4.0}.get(sentences[0], 0.0))
        return super().embed(sentences, progress)


def packages(count, first=0):
    """{name: package}: package N has words of its number, and a section by turns."""
    found = {}
    for number in range(first, first + count):
        words = [WORDS[number % 12], WORDS[number // 12 % 12], f"unique{number}"]
        name = f"package{number}"
        found[name] = apt_search.Package(name, SECTIONS[number % 4], " ".join(words), [])
    return found


TEXT_77 = packages(1, 77)["package77"].text  # which finds package77 first, whatever else there is


def make_apt(folder, some):
    """The folder of apt_search.py with some packages; made or updated."""
    os.makedirs(folder, exist_ok=True)
    with apt_search.Catalogue(folder, support.WordEncoder()) as catalogue:
        catalogue.update(some)


def make_folder(folder, count, apt, shards=2):
    """A folder to serve, of packages; made or updated."""
    make_apt(apt, packages(count))
    return importing.import_packages(apt, folder, shards, support.WordEncoder.name, say=lambda line: None)


def wait_until(condition, what, seconds=30.0):
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise AssertionError(f"{what}: not within {seconds:g} seconds")
        time.sleep(0.02)


def _be_service(output, errors, arguments, encoder):
    os.dup2(output, 1)
    if errors is not None:
        os.dup2(os.open(errors, os.O_WRONLY), 2)
    sys.stdout = open(1, "w", closefd=False)
    sys.exit(serve.main(arguments, encoder))


class Service:
    """A service in processes of its own, forked from this one, which is sooner than starting Python again."""

    def __init__(self, folder, *options, encoder=Encoder, workers=2, log="", errors=None):
        """`errors` is the path of what becomes its standard error."""
        arguments = ["run", "--port", "0", "--workers", str(workers), "--follow-seconds", "0.05", "--access-log", log]
        arguments += [*options, folder]
        reading, writing = os.pipe()
        self.process = multiprocessing.get_context("fork").Process(
            target=_be_service, args=[writing, errors, arguments, encoder() if encoder else None]
        )
        self.process.start()
        os.close(writing)
        self.said = []
        self._output = open(reading)
        for line in self._output:
            self.said.append(line)
            if found := re.match(r"serving .* at http://127\.0\.0\.1:(\d+) ", line):
                self.port = int(found.group(1))
                return
        self.stop()
        raise AssertionError(f"the service did not start: {self.said}, exit code {self.process.exitcode}")

    def stop(self):
        """Stops it gracefully; returns its exit code."""
        self.process.terminate()
        self.process.join(60)
        self._output.close()
        return self.process.exitcode

    def worker_pids(self):
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as file:
            return [int(pid) for pid in file.read().split()]

    def ask(self, path, body=None, method=None):
        """(status, what was answered) over a connection of its own."""
        client = Client(self.port)
        try:
            return client.ask(path, body, method)
        finally:
            client.close()

    def search(self, **fields):
        return self.ask("/api/search", fields)

    def metric(self, name):
        """The values of a metric, of all workers or labels, in the order in which they are printed."""
        text = self.ask("/metrics")[1]
        return [float(line.split()[-1]) for line in text.splitlines() if re.match(rf"rhumb_serve_{name}[ {{]", line)]

    def raw(self, data, *, end=True, seconds=20.0):
        """All bytes that the service sends to a client that sends these bytes, until it ends the connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=seconds) as client:
            try:
                client.sendall(data)
                if end:
                    client.shutdown(socket.SHUT_WR)
            except (BrokenPipeError, ConnectionResetError):
                pass
            return _all_of(client)


def _all_of(client):
    parts = []
    try:
        while part := client.recv(1 << 16):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


class Client:
    """One connection, which is kept."""

    def __init__(self, port, seconds=30.0):
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)

    def close(self):
        self._connection.close()

    def ask(self, path, body=None, method=None):
        data = json.dumps(body) if isinstance(body, (dict, list)) else body
        address = urllib.parse.quote(path, "/?&=%+")
        self._connection.request(method or ("GET" if data is None else "POST"), address, data)
        answer = self._connection.getresponse()
        text = answer.read()
        self.headers = answer.headers
        if answer.headers["Content-Type"] == "application/json" and text:
            return answer.status, json.loads(text)
        return answer.status, text.decode()


class Load:
    """Threads that search again and again, each over a connection that it keeps, until the block ends.

    A request whose connection breaks is sent once more over a new one, as clients do; a second failure is one. `check`
    is called with each answer, and says what is wrong with it or returns None.
    """

    def __init__(self, port, fields, check, thread_count=4):
        self._port, self._fields, self._check = port, fields, check
        self._stop = threading.Event()
        self._lock = threading.Lock()  # guards what follows
        self.answer_count = self.again_count = 0
        self.failures = []
        self._threads = [threading.Thread(target=self._run, args=[number]) for number in range(thread_count)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, count):
        """Waits for so many more answers."""
        wanted = self.answer_count + count
        wait_until(lambda: self.answer_count >= wanted or self.failures, f"{count} more answers")

    def _run(self, number):
        client = Client(self._port)
        turn = number
        while not self._stop.is_set():
            fields = self._fields[turn % len(self._fields)]
            turn += 1
            try:
                try:
                    answer = client.ask("/api/search", fields)
                except (OSError, http.client.HTTPException):
                    with self._lock:
                        self.again_count += 1
                    client.close()
                    client = Client(self._port)
                    answer = client.ask("/api/search", fields)
                wrong = f"status {answer[0]}: {answer[1]}" if answer[0] != 200 else self._check(fields, answer[1])
            except (OSError, http.client.HTTPException) as failure:
                wrong = f"after reconnecting: {failure!r}"
            with self._lock:
                self.answer_count += 1
                if wrong:
                    self.failures.append(wrong)
        client.close()


class ServiceCase(support.TestCase):
    """A test with a service; `start` ends it after the test."""

    def start(self, folder, *options, **more):
        service = Service(folder, *options, **more)
        self.addCleanup(service.stop)
        return service


class Shared(unittest.TestCase):
    """Tests of one service, which is started once."""

    options = ()

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="rhumb-test-", dir=os.environ.get("TEST_TMPDIR"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.served = os.path.join(cls.folder, "served")
        cls.make()
        cls.log = os.path.join(cls.folder, "access.log")
        cls.service = Service(cls.served, *cls.options, log=cls.log, encoder=cls.encoder)
        cls.addClassCleanup(cls.service.stop)

    encoder = Encoder

    @classmethod
    def make(cls):
        make_folder(cls.served, COUNT, os.path.join(cls.folder, "apt"))

    def names(self, **fields):
        status, found = self.service.search(**fields)
        self.assertEqual(status, 200, found)
        return [result["name"] for result in found["results"]]

    def refused(self, status, pattern, path="/api/search", body=None, method=None):
        found = self.service.ask(path, body, method)
        self.assertEqual(found[0], status, found)
        self.assertEqual(found[1]["error"]["status"], status)
        self.assertRegex(found[1]["error"]["message"], pattern)
