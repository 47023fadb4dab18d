"""Goal: neither hostile nor slow clients keep examples/serve.py from answering others, and what cannot be answered is
refused.

Method: bytes that are no requests, requests that are too long, too slow or ambiguous, and random changes of a good one,
which print their seed. After each test the same processes must answer.
"""

import json
import os
import random
import re
import socket
import threading
import time

import support
from serve_support import TEXT_77, Client, ServiceCase, Shared, make_folder, wait_until


class Crowded(ServiceCase):
    def setUp(self):
        super().setUp()
        make_folder(self.path("served"), 20, self.path("apt"))

    def test_more_searches_than_may_wait_are_503_at_once(self):
        service = self.start(self.path("served"), "--jobs-max", "2", "--threads", "1", workers=1)
        answers = []
        threads = [
            threading.Thread(target=lambda: answers.append(service.search(text="slowly")[0])) for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        wait_until(lambda: service.metric("jobs") == [2], "two searches have begun")
        client = Client(service.port)
        self.addCleanup(client.close)
        self.assertEqual(client.ask("/api/search", {"text": "sail"})[0], 503)
        self.assertEqual(client.headers["Retry-After"], "1")
        self.assertEqual(client.ask("/health")[0], 200)
        for thread in threads:
            thread.join()
        self.assertEqual(answers, [200, 200])
        self.assertEqual(client.ask("/api/search", {"text": "sail"})[0], 200)

    def test_more_connections_than_there_may_be_wait_for_one_to_end(self):
        service = self.start(self.path("served"), "--connections-max", "2", workers=1)
        first, second, third = (Client(service.port) for _ in range(3))
        for client in (first, second, third):
            self.addCleanup(client.close)
        self.assertEqual((first.ask("/health")[0], second.ask("/health")[0]), (200, 200))
        answers = []
        thread = threading.Thread(target=lambda: answers.append(third.ask("/health")[0]))
        thread.start()
        thread.join(0.5)
        self.assertEqual(answers, [])
        first.close()
        thread.join()
        self.assertEqual((answers, second.ask("/health")[0]), ([200], 200))


class Hostile(Shared):
    options = ("--read-seconds", "3", "--idle-seconds", "30", "--answer-seconds", "3", "--body-bytes-max", "100000")

    def setUp(self):
        self.pids = self.service.worker_pids()
        self.addCleanup(self.check_alive)

    def check_alive(self):
        self.assertEqual(self.service.worker_pids(), self.pids)
        self.assertEqual(self.names(text=TEXT_77, k=1), ["package77"])

    def status_of(self, data, **options):
        answer = self.service.raw(data, **options)
        return int(answer.split(b" ")[1]) if answer.startswith(b"HTTP/1.1 ") else answer

    def test_requests_that_are_ambiguous_or_too_long_are_refused(self):
        post = b"POST /api/search HTTP/1.1\r\nHost: a\r\n"
        for data, status in (
            (post + b"Content-Length: 100001\r\n\r\n", 413),
            (post + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", 413),
            (post + b"Content-Length: -1\r\n\r\n", 400), (post + b"Content-Length: +5\r\n\r\n", 400),
            (post + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n", 400),
            (post + b"Transfer-Encoding: chunked\r\n\r\n5\r\n", 411),
            (post + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
            (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 20000 + b"\r\n\r\n", 431),
            (b"GET /" + b"y" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 400), (b"GET / HTTP/1.1\r\n\r\n", 400),
            (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400), (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
            (b"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", 400), (b"GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n", 400),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505), (b"\x16\x03\x01\x02\x00\r\n\r\n", 400),
            (b"GET http://elsewhere/ HTTP/1.1\r\nHost: a\r\n\r\n", 400), (b"get / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ):  # fmt: skip
            with self.subTest(data=data[:60]):
                self.assertEqual(self.status_of(data), status)

    def test_a_huge_body_is_answered_and_not_kept(self):
        data = b"POST /api/search HTTP/1.1\r\nHost: a\r\nContent-Length: 50000000\r\n\r\n" + b"x" * 50_000_000
        self.assertEqual(self.status_of(data), 413)
        for pid in self.pids:
            with open(f"/proc/{pid}/status") as file:
                peak_kib = int(re.search(r"VmHWM:\s+(\d+)", file.read()).group(1))
            self.assertLess(peak_kib, 300_000)

    def test_a_client_that_sends_all_of_too_long_a_body_gets_the_answer_and_no_reset(self):
        head = b"POST /api/search HTTP/1.1\r\nHost: a\r\nContent-Length: 16000000\r\n\r\n"
        with socket.create_connection(("127.0.0.1", self.service.port), timeout=20) as client:
            client.sendall(head + b"x" * 16_000_000)
            client.shutdown(socket.SHUT_WR)
            answer = b""
            while part := client.recv(1 << 16):
                answer += part
        self.assertTrue(answer.startswith(b"HTTP/1.1 413 "), answer[:100])

    def test_a_client_that_asks_before_it_sends_is_answered_first(self):
        head = b"POST /api/search HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: "
        self.assertEqual(self.status_of(head + b"500000\r\n\r\n"), 413)
        body = b'{"text": "sail"}'
        answer = self.service.raw(head + b"%d\r\nConnection: close\r\n\r\n" % len(body) + body)
        self.assertRegex(answer, rb"^HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")

    def test_requests_that_come_together_are_answered_in_turn(self):
        one = b"GET /api/documents/package%d HTTP/1.1\r\nHost: a\r\n\r\n"
        answer = self.service.raw(b"".join(one % number for number in range(20)))
        self.assertEqual(re.findall(rb'"name": "package(\d+)"', answer), [b"%d" % number for number in range(20)])

    def test_slow_clients_get_408_and_keep_none_waiting(self):
        beginnings = (b"GET / HT", b"POST /api/search HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{")
        slow = [socket.create_connection(("127.0.0.1", self.service.port), timeout=10) for _ in range(100)]
        try:
            for number, client in enumerate(slow):
                client.sendall(beginnings[number % 2])
            begun = time.monotonic()
            self.assertEqual(self.names(text=TEXT_77, k=1), ["package77"])
            for _ in range(8):  # a byte every now and then does not help
                time.sleep(0.5)
                for client in slow:
                    try:
                        client.sendall(b"x")
                    except OSError:
                        pass
            answers = []
            for client in slow:
                try:
                    answers.append(client.recv(20))
                except ConnectionResetError:  # it went on to send
                    answers.append(b"HTTP/1.1 408 Request")
            self.assertEqual({answer[:12] for answer in answers}, {b"HTTP/1.1 408"})
            self.assertLess(time.monotonic() - begun, 30)
        finally:
            for client in slow:
                client.close()

    def test_a_client_that_does_not_read_is_cut_off(self):
        with socket.create_connection(("127.0.0.1", self.service.port), timeout=30) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            with self.assertRaises((BrokenPipeError, ConnectionResetError)):
                while True:  # answers are a hundred times as long
                    client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 1000)

    def test_clients_that_go_away_leave_nothing_behind(self):
        for data in (b"", b"GET", b"POST /api/search HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n{"):
            for _ in range(20):
                with socket.create_connection(("127.0.0.1", self.service.port)) as client:
                    client.sendall(data)
        request = b"GET /api/search?text=slowly HTTP/1.1\r\nHost: a\r\n\r\n"
        with socket.create_connection(("127.0.0.1", self.service.port)) as client:
            client.sendall(request)
        wait_until(lambda: sum(self.service.metric("connections")) <= 1, "only the connection of this question is open")

    def test_a_search_that_takes_too_long_is_503(self):
        self.refused(503, "busy", body={"text": "very slowly"})

    def test_random_bytes_are_refused_or_ignored(self):
        seed = int(os.environ.get("RHUMB_SEED", 0)) or random.randrange(1 << 32)
        print(f"RHUMB_SEED={seed}")
        rng = random.Random(seed)
        body = json.dumps({"text": "sail", "k": 3, "keys": [1, 2, 3]}).encode()
        whole = b"POST /api/search?k=3 HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        for _ in range(int(os.environ.get("RHUMB_ROUNDS", 200))):
            data = bytearray(whole)
            for _ in range(rng.randrange(1, 6)):
                place = rng.randrange(len(data))
                data[place : place + rng.randrange(3)] = rng.randbytes(rng.randrange(4))
            answer = self.service.raw(bytes(data))
            if answer:
                self.assertIn(int(answer.split(b" ")[1]), (200, 400, 404, 405, 411, 413, 505), bytes(data))


if __name__ == "__main__":
    support.main()
