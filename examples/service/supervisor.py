"""Worker processes: started by fork, and started again when they die.

The supervisor has the listening socket and the model, which workers share with it, and neither opens the index nor
answers anything, so it has no threads and little that can fail. A worker that dies takes with it only the requests that
it was at: connections that no worker had accepted wait in the socket. Workers end when the supervisor does, however
that comes: a pipe of which it alone has the other end is closed then.
"""

import dataclasses
import gc
import os
import select
import signal
import socket
import time
import traceback

import rhumb
from service.metrics import Board
from service.report import say
from service.web import Limits
from service.worker import AccessLog, Worker

_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}
_PAUSE_SECONDS, _PAUSE_SECONDS_MAX = 0.1, 5.0  # before a worker is started again that died soon after its start
_SOON_SECONDS = 2.0
_BACKLOG = 1024  # connections that wait to be accepted


@dataclasses.dataclass
class Options:
    """How the service runs."""

    folder: str
    page: str  #: path of the HTML file
    embedder: object = None
    host: str = "127.0.0.1"
    port: int = 8080  #: 0: any that is free
    worker_count: int = 2
    thread_count: int = 2  #: of each worker, for searches
    follow_seconds: float = 0.5  #: between two looks for newer vectors
    grace_seconds: float = 10.0  #: for requests that have begun when the service is to stop
    access_log: str | None = "-"
    limits: Limits = dataclasses.field(default_factory=Limits)


class _Child:
    """A worker, or the place of one that is to be started."""

    def __init__(self):
        self.pid = None
        self.begun = 0.0
        self.pause_seconds = _PAUSE_SECONDS
        self.start_at = 0.0


class Supervisor:
    """Runs a service until SIGTERM or SIGINT."""

    def __init__(self, options, announce):
        """Binds the address; OSError if that is in use. `announce` is called with a line once all workers answer."""
        self._options, self._announce = options, announce
        family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
        self._listening = socket.create_server((options.host, options.port), family=family, backlog=_BACKLOG)
        self.port = self._listening.getsockname()[1]
        self._board = Board(options.worker_count)
        self._log = AccessLog(options.access_log)
        self._life, self._life_end = os.pipe()
        self._children = [_Child() for _ in range(options.worker_count)]

    def run(self):
        """Returns the exit code: 0, or 1 if a worker could not start at all."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            if not self._start_all():
                return 1
            host = f"[{self._options.host}]" if ":" in self._options.host else self._options.host
            self._announce(f"serving {self._options.folder} at http://{host}:{self.port} with {len(self._children)} workers")
            self._watch()
            return 0
        finally:
            self._end_all()
            self._listening.close()
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _start_all(self):
        """Starts all workers and waits until they answer; False if one cannot."""
        gc.collect()
        gc.freeze()  # so that workers do not copy pages because of the collector
        pipes = []
        for number in range(len(self._children)):
            ready, ready_end = os.pipe()
            self._start(number, ready_end)
            os.close(ready_end)
            pipes.append(ready)
        answers = [os.read(ready, 1) for ready in pipes]  # nothing, if the process has ended
        for ready in pipes:
            os.close(ready)
        return all(answers)

    def _start(self, number, ready_end=None):
        child = self._children[number]
        try:
            pid = os.fork()
        except OSError as error:  # no memory, or too many processes
            say(f"worker {number} cannot be started: {error}")
            child.start_at = time.monotonic() + _PAUSE_SECONDS_MAX
            return
        if pid == 0:
            self._be_worker(number, ready_end)
        child.pid, child.begun = pid, time.monotonic()

    def _be_worker(self, number, ready_end):
        """In the child; does not return."""
        code = 1
        try:
            os.close(self._life_end)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            worker = Worker(self._options, self._listening, self._board.row(number), self._log)
            worker.run(self._life, lambda: ready_end is None or os.write(ready_end, b"+"))
            code = 0
        except (OSError, rhumb.Error) as error:
            say(f"worker {number}: {type(error).__name__}: {error}")
        except Exception:
            say(f"worker {number}: {traceback.format_exc()}")
        finally:
            os._exit(code)

    def _watch(self):
        """Starts workers again that have ended, until the service is to stop."""
        while True:
            got = signal.sigtimedwait(_SIGNALS, self._seconds_to_next_start())
            if got is not None and got.si_signo != signal.SIGCHLD:
                return
            self._reap()
            for number, child in enumerate(self._children):
                if child.pid is None and time.monotonic() >= child.start_at:
                    self._start(number)

    def _seconds_to_next_start(self):
        waiting = [child.start_at for child in self._children if child.pid is None]
        return max(0.0, min(waiting) - time.monotonic()) if waiting else 3600.0

    def _reap(self):
        """Notes which workers have ended."""
        for number, child in enumerate(self._children):
            if child.pid is None:
                continue
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if pid == 0:
                continue
            now = time.monotonic()
            soon = now - child.begun < _SOON_SECONDS
            child.pid = None
            child.start_at = now + (child.pause_seconds if soon else 0.0)
            child.pause_seconds = min(2 * child.pause_seconds, _PAUSE_SECONDS_MAX) if soon else _PAUSE_SECONDS
            code = os.waitstatus_to_exitcode(status)
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            say(f"worker {number}, process {pid}, ended by {how}; starting another")

    def _end_all(self):
        """Stops all workers: gracefully, then by force."""
        for child in self._children:
            if child.pid is not None:
                os.kill(child.pid, signal.SIGTERM)
        until = time.monotonic() + self._options.grace_seconds + 3.0
        for child in self._children:
            while child.pid is not None and os.waitpid(child.pid, os.WNOHANG)[0] == 0:
                if time.monotonic() >= until:
                    os.kill(child.pid, signal.SIGKILL)
                    os.waitpid(child.pid, 0)
                    break
                select.select([], [], [], 0.02)
            child.pid = None
        os.close(self._life)
        os.close(self._life_end)
