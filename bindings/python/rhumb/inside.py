"""Calls from inside of functions of the caller's: filters and progress functions, which are part of a call.

Such a function may call the library in turn, but not begin what waits until the very call has ended: that is an error
here, as the wait would have no end. Which calls a thread is inside of is known to the extension module, also on threads
of the library; each call has an owner, a number that is drawn here.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from . import _native
from .progress import Progress

_numbers = itertools.count(1)


class Owner:
    """What several calls belong to. Any number of threads may use one."""

    def __init__(self) -> None:
        self.number = next(_numbers)

    def within(self) -> bool:
        """Whether this thread runs a function of a call of this owner."""
        return _native.within(self.number)

    def refuse(self, what: str) -> None:
        """RuntimeError, if this thread runs a function of a call of this owner: `what` would wait for that call."""
        if self.within():
            raise RuntimeError(f"{what} from a filter or progress function of a call that it would wait for")

    def calling(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, as one that this owner calls."""
        return lambda *arguments: _native.call_within(self.number, function, *arguments)


class Turn(Owner):
    """A lock for calls that have progress functions: its holder's may not take it again."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()

    @contextmanager
    def taken(self, what: str, progress: Progress) -> Iterator[Progress]:
        """Holds the lock for the block, whose progress function is to be the one that this yields."""
        self.refuse(what)
        with self._lock:
            yield self.calling(progress) if callable(progress) else progress


def is_inside() -> bool:
    """Whether this thread runs a filter or progress function of any call."""
    return _native.within(0)
