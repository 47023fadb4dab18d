"""One worker: accepts connections of the socket that all workers share, and answers requests until it is to stop.

An event loop reads and writes; threads compute. A connection is accepted one at a time, so that workers share them
out evenly, and none is accepted by a worker that has all it can take: it waits in the socket for another, which is also
where connections wait that a worker leaves when it dies. A stop ends idle connections, lets requests end that have
begun, for a time, and then ends.
"""

import asyncio
import gc
import os
import signal
import socket
import threading
import time
import traceback
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

from service import api as addresses
from service.collection import Current
from service.report import say
from service.web import Answer, Connection, Refusal

_ACCEPT_PAUSE_SECONDS = 0.1  # after a failure to accept, such as no more descriptors
PLAIN = "text/plain; version=0.0.4; charset=utf-8"


class AccessLog:
    """A line for each request. Lines of several processes do not mix, as each is written at once to the end.

    Queries are not written: only the path, without what follows its question mark.
    """

    def __init__(self, path):
        """`path` "-" is standard output; None: there is no log."""
        self._descriptor = None
        if path == "-":
            self._descriptor = 1
        elif path is not None:
            self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def write(self, client, request, answer, seconds):
        """Returns whether the line was written."""
        if self._descriptor is None:
            return True
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        what = f"{request.method} {urllib.parse.quote(request.path)}" if request is not None else "- -"
        line = f"{when} {client} {what} {answer.status} {len(answer.body)} {1000 * seconds:.1f}\n"
        try:
            os.write(self._descriptor, line.encode())
            return True
        except OSError:
            return False


class Worker:
    """A process that answers. `options` are those of the supervisor (supervisor.Options), `row` its counters."""

    def __init__(self, options, listening, row, log):
        self._options, self._limits, self._listening = options, options.limits, listening
        self._row, self._log = row, log
        self._stopping = False
        self._accepting = False
        self._connections = {}  # task: its connection, None until there is one
        self._job_count = 0

    def run(self, life, ready):
        """Answers until SIGTERM or until the other end of the pipe `life` is closed; calls `ready` at the start."""
        self._row.begin()
        self._current = Current(self._options.folder, self._options.thread_count, self._row, self._say)
        self._api = addresses.Api(self._current, self._options.embedder, self._limits)
        self._page = addresses.Page(self._options.page)
        gc.freeze()
        stop_following = threading.Event()
        follower = threading.Thread(target=self._follow, args=[stop_following], daemon=True)
        follower.start()
        self._pool = ThreadPoolExecutor(self._options.thread_count, "search")
        try:
            asyncio.run(self._run(life, ready), debug=False)  # python -X dev reports steps that a busy machine delays
        finally:
            stop_following.set()
            self._pool.shutdown(cancel_futures=True)
            follower.join()
            self._current.close()

    def _say(self, message):
        say(f"worker {self._row.worker}: {message}")

    def _follow(self, stop):
        while not stop.wait(self._options.follow_seconds):
            self._current.follow()

    # ---- life -------------------------------------------------------------------------------------------------------

    async def _run(self, life, ready):
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._stop.set)
        self._loop.add_reader(life, self._stop.set)
        self._listening.setblocking(False)
        self._set_accepting(True)
        ready()
        await self._stop.wait()
        self._loop.remove_reader(life)
        await self._end()

    async def _end(self):
        """Ends idle connections at once, and the others with the request that they are at."""
        self._stopping = True
        self._set_accepting(False)
        for task, connection in self._connections.items():
            if connection is not None and connection.idle:
                task.cancel()
        tasks = list(self._connections)
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=self._options.grace_seconds)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=1.0)

    def _set_accepting(self, wanted):
        if wanted != self._accepting:
            self._accepting = wanted
            if wanted:
                self._loop.add_reader(self._listening.fileno(), self._accept)
            else:
                self._loop.remove_reader(self._listening.fileno())

    def _accept(self):
        try:
            accepted, _ = self._listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # another worker was faster, or the client is gone
        except OSError as error:
            self._say(f"no connection can be accepted: {error}")
            self._set_accepting(False)
            self._loop.call_later(_ACCEPT_PAUSE_SECONDS, self._accept_again)
            return
        accepted.setblocking(False)
        task = self._loop.create_task(self._serve(accepted))
        self._connections[task] = None
        task.add_done_callback(self._left)
        self._row.set("connections", len(self._connections))
        if len(self._connections) >= self._limits.connection_count_max:
            self._set_accepting(False)

    def _accept_again(self):
        if not self._stopping and len(self._connections) < self._limits.connection_count_max:
            self._set_accepting(True)

    def _left(self, task):
        del self._connections[task]
        self._row.set("connections", len(self._connections))
        self._accept_again()
        if not task.cancelled() and task.exception() is not None:
            self._say("".join(traceback.format_exception(task.exception())))

    # ---- connections ------------------------------------------------------------------------------------------------

    async def _serve(self, accepted):
        """Answers the requests of one connection."""
        reader = asyncio.StreamReader(self._limits.header_bytes_max, loop=self._loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=self._loop)
        try:
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            transport, _ = await self._loop.connect_accepted_socket(lambda: protocol, accepted)
        except OSError:
            accepted.close()
            return
        writer = asyncio.StreamWriter(transport, protocol, reader, self._loop)
        connection = Connection(reader, writer, self._limits)
        self._connections[asyncio.current_task()] = connection
        try:
            while await self._serve_one(connection):
                pass
        except (TimeoutError, ConnectionError):
            pass  # the client is gone, or does not read its answer
        finally:
            await connection.close()

    async def _serve_one(self, connection):
        """Answers the next request; returns whether there may be another."""
        request = None
        try:
            request = await connection.read(self._idle_seconds())
            if request is None:
                return False
            begun = time.perf_counter()
            route = addresses.route_of(request.path)
            answer = await self._answer(route, request)
            keep = request.keep and not self._stopping
        except Refusal as refusal:  # of what was not read whole
            begun, route, keep = time.perf_counter(), "other", False
            answer = Answer.refusal(refusal)
        self._row.answered(route, answer.status)
        if not self._log.write(connection.client, request, answer, time.perf_counter() - begun):
            self._row.add("log_failures_total")
        await connection.send(answer, keep=keep, with_body=request is None or request.method != "HEAD")
        if request is None:
            await connection.linger()
        return keep

    def _idle_seconds(self):
        return min(1.0, self._limits.idle_seconds) if self._stopping else self._limits.idle_seconds

    # ---- answers ----------------------------------------------------------------------------------------------------

    async def _answer(self, route, request):
        try:
            if route == "other":
                raise Refusal(404, "there is nothing at this address")
            addresses.check_method(route, request.method)
            if route == "page":
                return self._page.answer
            if route == "health":
                return self._api.health(self._row.worker, self._stopping)
            if route == "metrics":
                return Answer(200, self._row.board.text().encode(), PLAIN)
            if route != "search":
                return await self._compute(getattr(self._api, route), request)
            answer, times = await self._compute(self._api.search, request)
            for name, seconds in times.items():
                self._row.took(name, seconds)
            return answer
        except Refusal as refusal:
            return Answer.refusal(refusal)
        except Exception:
            self._say(traceback.format_exc())
            return Answer.refusal(Refusal(500, "the service failed; its log says how"))

    async def _compute(self, call, request):
        """Calls a function on a thread, unless too many wait already."""
        limits = self._limits
        busy = Refusal(503, "the service is busy", headers=[("Retry-After", "1")])
        if self._job_count >= limits.job_count_max:
            raise busy
        self._count_jobs(1)
        job = self._loop.run_in_executor(self._pool, call, request)
        job.add_done_callback(lambda _: self._count_jobs(-1))
        try:
            async with asyncio.timeout(limits.answer_seconds):
                return await job
        except TimeoutError:
            raise busy from None

    def _count_jobs(self, change):
        self._job_count += change
        self._row.set("jobs", self._job_count)
