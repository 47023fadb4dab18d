"""Counters and latencies of all workers, in memory that they share.

Each worker writes a row of its own and any of them adds up all rows, so whichever answers /metrics speaks for all. A
worker that is started again goes on with the row of the one that died, so counters never fall. Rows are written by the
thread of the event loop alone, and a number of 8 bytes is written at once, so there are no locks.
"""

import mmap
import time

ROUTES = ("page", "search", "document", "index", "health", "metrics", "other")
STATUSES = (200, 400, 404, 405, 408, 409, 411, 413, 431, 500, 503, 505)
TIMES = {
    "request": "from the last byte of a search request to its answer",
    "embed": "making a vector of a text",
    "search": "searching the shards",
}
BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)  # seconds, inclusive
COUNTERS = {
    "starts_total": "times that a worker was started",
    "refreshes_total": "times that a worker has moved to newer vectors",
    "refresh_failures_total": "times that a worker could not, and went on with what it had",
    "log_failures_total": "lines of the access log that could not be written",
}
GAUGES = {
    "epoch": "number of the manifest that a worker serves",
    "lag_seconds": "age of the newest manifest, as long as a worker serves an older one",
    "checked_timestamp_seconds": "when a worker last looked for a newer manifest",
    "connections": "open connections",
    "jobs": "searches that are being answered or wait",
}
_PREFIX = "rhumb_serve_"


class Board:
    """The rows of all workers. Made before the workers are forked."""

    def __init__(self, worker_count):
        names = [("requests", route, status) for route in ROUTES for status in STATUSES]
        names += [("times", name, place) for name in TIMES for place in (*range(len(BUCKETS) + 1), "sum")]
        names += [*COUNTERS, *GAUGES]
        self._places = {name: place for place, name in enumerate(names)}
        self.worker_count = worker_count
        self._numbers = memoryview(mmap.mmap(-1, 8 * len(names) * worker_count)).cast("d")

    def row(self, worker):
        return Row(self, worker)

    def get(self, worker, name):
        return self._numbers[worker * len(self._places) + self._places[name]]

    def put(self, worker, name, value):
        self._numbers[worker * len(self._places) + self._places[name]] = value

    def total(self, name):
        return sum(self.get(worker, name) for worker in range(self.worker_count))

    def text(self):
        """All of it in the text format of Prometheus."""
        lines = _heading("requests_total", "counter", "requests that were answered")
        for route in ROUTES:
            for status in STATUSES:
                if count := self.total(("requests", route, status)):
                    lines.append(f'{_PREFIX}requests_total{{route="{route}",status="{status}"}} {count:.0f}')
        for name, meaning in TIMES.items():
            lines += _heading(f"{name}_seconds", "histogram", meaning)
            lines += self._histogram(name)
        for name, meaning in COUNTERS.items():
            lines += _heading(name, "counter", meaning)
            lines.append(f"{_PREFIX}{name} {self.total(name):.0f}")
        for name, meaning in GAUGES.items():
            lines += _heading(name, "gauge", meaning)
            for worker in range(self.worker_count):
                lines.append(f'{_PREFIX}{name}{{worker="{worker}"}} {self.get(worker, name):.15g}')
        return "\n".join(lines) + "\n"

    def _histogram(self, name):
        so_far, lines = 0.0, []
        for place, bound in enumerate((*BUCKETS, "+Inf")):
            so_far += self.total(("times", name, place))
            lines.append(f'{_PREFIX}{name}_seconds_bucket{{le="{bound}"}} {so_far:.0f}')
        lines.append(f"{_PREFIX}{name}_seconds_sum {self.total(('times', name, 'sum')):.9g}")
        lines.append(f"{_PREFIX}{name}_seconds_count {so_far:.0f}")
        return lines


class Row:
    """What one worker counts."""

    def __init__(self, board, worker):
        self.board, self.worker = board, worker

    def begin(self):
        """A worker has started: what the one before it had open is gone."""
        for name in GAUGES:
            self.set(name, 0)
        self.add("starts_total")
        self.set("checked_timestamp_seconds", time.time())

    def set(self, name, value):
        self.board.put(self.worker, name, value)

    def add(self, name, value=1):
        self.set(name, self.board.get(self.worker, name) + value)

    def answered(self, route, status):
        self.add(("requests", route, status if status in STATUSES else 500))

    def took(self, name, seconds):
        place = next((place for place, bound in enumerate(BUCKETS) if seconds <= bound), len(BUCKETS))
        self.add(("times", name, place))
        self.add(("times", name, "sum"), seconds)


def _heading(name, kind, meaning):
    return [f"# HELP {_PREFIX}{name} {meaning}", f"# TYPE {_PREFIX}{name} {kind}"]
