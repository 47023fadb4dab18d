"""Progress of long calls: a bar, or a function of the caller's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Union

#: False or None: nothing. True: a bar of tqdm. A function f(done, total), which returns False to stop the call.
Progress = Union[bool, None, Callable[[int, int], object]]


@contextmanager
def watching(progress: Progress, what: str) -> Iterator[Callable[[int, int], object] | None]:
    """The function that the extension module is to call, if any, about ten times a second."""
    if progress is None or progress is False:
        yield None
    elif progress is not True:
        yield progress
    else:
        from tqdm.auto import tqdm  # type: ignore[import-untyped, import-not-found, unused-ignore]

        bar: Any = tqdm(desc=what)

        def report(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        with bar:
            yield report
