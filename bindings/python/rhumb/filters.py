"""Which keys a search may return: those of a list, of a bitmap, or those for which a function returns true.

A filter is prepared once and may be used by any number of searches at the same time; ``~filter`` lets through what the
filter does not. Searches also take what filters are made of, and prepare it each time.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Union

import numpy as np
from numpy.typing import NDArray

from ._native import Filter
from .vectors import take_keys

_C_FUNCTION: Any = ctypes.CFUNCTYPE(None).__mro__[1]  # the base of all function types of ctypes

FilterLike = Union[Filter, NDArray[Any], Iterable[int], Callable[[int], object], None]


def Keys(keys: NDArray[Any] | Iterable[int], *, assume_sorted: bool = False) -> Filter:
    """The keys that are listed, in any order.

    With `assume_sorted` the array is used as it is: ascending, each key once. It must not change then.
    """
    array, _ = take_keys(keys if isinstance(keys, np.ndarray) else list(keys))
    return Filter("keys", array if assume_sorted else np.unique(array), 0)


def Bitmap(bits: NDArray[Any], *, base: int = 0) -> Filter:
    """The keys whose bit is set: an array of bool, or of bytes whose lowest bit comes first
    (``numpy.packbits(..., bitorder="little")``). The first bit is that of key `base`."""
    array = np.asarray(bits)
    if array.ndim != 1 or array.dtype not in (np.bool_, np.uint8):
        raise TypeError(f"a bitmap is an array of bool or of uint8, found {array.dtype} of shape {array.shape}")
    if array.dtype == np.bool_:
        array = np.packbits(array, bitorder="little")
    return Filter("bitmap", np.ascontiguousarray(array), base)


def Where(function: Any) -> Filter:
    """The keys for which a function returns true.

    A function of Python is called with a key, under the GIL, for hundreds of keys a search: a list or a bitmap is much
    faster. A C function ``bool f(void *context, uint64_t key)`` costs nothing: pass a function made with numba.cfunc
    or ctypes. What it returns must not change during a search.
    """
    if pointer := address_of(function):
        return Filter("pointer", function, pointer)
    if not callable(function):
        raise TypeError(f"a function expected, found {function!r}")
    return Filter("function", function, 0)


def address_of(function: Any) -> int:
    """The address of a C function of numba or ctypes; 0 for others."""
    if isinstance(address := getattr(function, "address", None), int):
        return address
    if isinstance(function, _C_FUNCTION):
        return ctypes.cast(function, ctypes.c_void_p).value or 0
    return 0


def as_filter(source: FilterLike) -> Filter | None:
    """A filter of what a search was passed."""
    if source is None or isinstance(source, Filter):
        return source
    if isinstance(source, np.ndarray):
        return Bitmap(source) if source.dtype == np.bool_ else Keys(source)
    if callable(source):
        return Where(source)
    return Keys(source)


def as_filters(filters: Sequence[FilterLike]) -> list[Filter | None]:
    """One filter, or None, for each query of a batch."""
    return [as_filter(source) for source in filters]
