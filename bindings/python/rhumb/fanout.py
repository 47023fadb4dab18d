"""Several calls at the same time, on threads: one for each of several shards, or for a share of many queries.

The calls release the GIL while the library works. The first call runs on the thread of the caller, where Ctrl-C is
noticed; once a call has failed, or an interrupt came, the others are asked to stop. Nothing is left running.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Union

from .errors import Cancelled
from .inside import Owner, is_inside
from .progress import Progress, watching

#: What a call gets for its own progress: f(done, total), which returns False once the call should stop.
Report = Callable[[int, int], bool]
Call = Callable[[Report], Any]


def processor_count() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0))


_REPORT_S = 0.1  # between reports


class Watch:
    """The progress of several calls as that of one, and the wish to stop them."""

    def __init__(self, report: Callable[[int, int], object] | None, call_count: int) -> None:
        self.stopping = False
        self._report = report
        self._lock = threading.Lock()  # guards the lists, and lets one thread at a time into the caller's function
        self._reported_s = -_REPORT_S
        self._done = [0] * call_count
        self._total = [0] * call_count

    def of(self, number: int) -> Report:
        """The progress function of one of the calls."""

        def report(done: int, total: int) -> bool:
            if self._report is not None and not self.stopping:
                with self._lock:
                    self._done[number], self._total[number] = done, total
                    self._pass_on(self._report, sum(self._done), sum(self._total))
            return not self.stopping

        return report

    def _pass_on(self, report: Callable[[int, int], object], done: int, total: int) -> None:
        now_s = time.monotonic()
        if now_s < self._reported_s + _REPORT_S and done < total:
            return
        self._reported_s = now_s
        if report(done, total) is False:
            self.stopping = True


class FanOut:
    """Threads for calls. Any number of threads may use one."""

    def __init__(self, thread_count: int, owner: Owner) -> None:
        """`owner`: of the calls, and so of their progress functions."""
        self._thread_count = thread_count
        self._owner = owner
        self._lock = threading.Lock()  # guards the pool
        self._pool: ThreadPoolExecutor | None = None

    def close(self) -> None:
        """Ends the threads."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown()

    def _threads(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._thread_count, "rhumb-calls")
            return self._pool

    def outcomes(
        self, calls: Sequence[Call], progress: Progress = None, what: str = "", *, in_turn: bool = False
    ) -> list[Union[Any, BaseException]]:
        """What each call returned, or the exception it raised; `in_turn` runs them one after the other."""
        with watching(progress, what) as report:
            watch = Watch(None if report is None else self._owner.calling(report), len(calls))
            if in_turn or len(calls) < 2 or is_inside():  # otherwise all threads may wait for one another
                return [_outcome(call, watch, number) for number, call in enumerate(calls)]
            return _side_by_side(calls, watch, self._threads())

    def run(self, calls: Sequence[Call], progress: Progress = None, what: str = "", *, in_turn: bool = False) -> Any:
        """What each call returned. If some failed, all have ended when the first failure is raised."""
        found = self.outcomes(calls, progress, what, in_turn=in_turn)
        raise_first(found)
        return found


def raise_first(outcomes: Sequence[Union[Any, BaseException]]) -> None:
    """Raises the failure that made the others stop, if there was one."""
    failures = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    failures.sort(key=lambda failure: (isinstance(failure, Exception), isinstance(failure, Cancelled)))
    if failures:
        raise failures[0]


def _outcome(call: Call, watch: Watch, number: int) -> Union[Any, BaseException]:
    if watch.stopping:
        return _stopped()
    try:
        return call(watch.of(number))
    except BaseException as failure:
        watch.stopping = True
        return failure


def _side_by_side(calls: Sequence[Call], watch: Watch, pool: ThreadPoolExecutor) -> list[Union[Any, BaseException]]:
    """The outcomes of calls that run at the same time, and of an interrupt that came between them, if one did."""
    futures: list[Future[Any]] = []
    first: Any = _stopped()
    interrupts: list[BaseException] = []
    try:
        for number in range(1, len(calls)):
            futures.append(pool.submit(_outcome, calls[number], watch, number))
        first = _outcome(calls[0], watch, 0)
    except BaseException as failure:  # of this thread: those of calls are results
        watch.stopping = True
        interrupts.append(failure)
    found = [first, *_wait(futures, watch, interrupts)]
    found += [_stopped() for _ in range(len(calls) - len(found))]
    return found + interrupts


def _stopped() -> Cancelled:
    return Cancelled("another call failed, or the call was interrupted", "RHUMB_E_CANCELLED")


def _wait(
    futures: Sequence[Future[Any]], watch: Watch, interrupts: list[BaseException]
) -> list[Union[Any, BaseException]]:
    """The outcomes of calls on other threads. An interrupt makes them stop, and is added to the list."""
    found: list[Union[Any, BaseException]] = []
    for future in futures:
        while True:
            try:
                found.append(future.result())
                break
            except BaseException as failure:  # of this thread
                watch.stopping = True
                interrupts.append(failure)
    return found
