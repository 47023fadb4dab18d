"""Vectors, keys and outputs as arrays: what callers pass becomes what the library reads, or a clear error.

Nothing is narrowed silently. Floats are rounded to floats of the index's type; integers are taken where the type holds
them exactly; floats are never taken for integers. An array that is not C-contiguous is copied once.
"""

from __future__ import annotations

import operator
from typing import Any, Union

import numpy as np
from numpy.typing import NDArray

from .errors import Invalid

#: What the extension module takes for vectors: an array, or elements and lengths of sequences.
Native = Union[NDArray[Any], tuple[NDArray[Any], NDArray[np.uint32]]]

_NUMPY_NAMES = {
    "f16": "float16", "f32": "float32", "f64": "float64", "bf16": "uint16", "b1": "uint8",
    "i8": "int8", "u8": "uint8", "i16": "int16", "u16": "uint16",
    "i32": "int32", "u32": "uint32", "i64": "int64", "u64": "uint64",
}  # fmt: skip
_ELEMENTS = {name: element for element, name in _NUMPY_NAMES.items() if element not in ("bf16", "b1")}
_ELEMENTS |= {"bfloat16": "bf16", "bool": "b1"}


def element_of(dtype: Any) -> str:
    """The element type of a name ("f32", "float32"), a numpy dtype or a type such as numpy.float32."""
    if isinstance(dtype, str) and dtype in _NUMPY_NAMES:
        return dtype
    try:
        name = "bfloat16" if dtype == "bfloat16" else np.dtype(dtype).name
    except TypeError:
        name = str(dtype)
    if name not in _ELEMENTS:
        raise TypeError(f"dtype: there are no vectors of {dtype!r}; known are {', '.join(_NUMPY_NAMES)}")
    return _ELEMENTS[name]


def _bfloat16() -> np.dtype[Any]:
    """ml_dtypes.bfloat16, or uint16 for its bits where that package is not installed."""
    try:
        import ml_dtypes  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        return np.dtype(np.uint16)
    found: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
    return found


def _rounded_to_bfloat16(floats: NDArray[Any]) -> NDArray[np.uint16]:
    """The bits of the nearest bfloat16, ties to even; NaN stays NaN."""
    bits = np.ascontiguousarray(floats, dtype=np.float32).view(np.uint32)
    rounded = (bits + (0x7FFF + ((bits >> 16) & 1))) >> 16
    rounded[np.isnan(floats)] = 0x7FC0
    return rounded.astype(np.uint16)


class VectorType:
    """What a vector of an index is, and how arrays become such vectors."""

    def __init__(self, element: str, dim: int, metric: str) -> None:
        self.element = element
        self.dim = dim
        self.dtype: np.dtype[Any] = np.dtype(_NUMPY_NAMES[element])  # as the library reads it
        self.shown: np.dtype[Any] = _bfloat16() if element == "bf16" else self.dtype  # as callers get it
        self.width = (dim + 7) // 8 if element == "b1" else dim  # numbers in a row
        self.sequences = metric == "levenshtein"
        self.shape = (-1,) if self.sequences else (self.width,)  # of an array with one vector
        self.ndim = -1 if self.sequences else 1  # likewise

    def take(self, data: Any) -> tuple[Native, int, bool]:
        """Vectors for the library, how many they are, and whether `data` is a single one."""
        if self.sequences:
            return self._sequences(data)
        if type(data) is not np.ndarray or data.dtype is not self.dtype or not data.flags.c_contiguous:
            data = self._converted(data)
        shape: tuple[int, ...] = data.shape
        if shape and len(shape) <= 2 and shape[-1] == self.width:
            return data, (shape[0] if len(shape) == 2 else 1), len(shape) == 1
        what = f"{self.dim} bits in {self.width} bytes" if self.element == "b1" else f"{self.dim} components"
        raise Invalid(f"vectors of {what} expected: one as an array of shape ({self.width},), or several as "
                      f"(n, {self.width}); found an array of shape {shape}")  # fmt: skip

    def take_one(self, data: Any) -> Native:
        """The same for a single vector."""
        vectors, count, single = self.take(data)
        if not single:
            raise Invalid(f"one vector expected, found an array of {count}")
        return vectors

    def new(self, count: int) -> NDArray[Any]:
        """Room for `count` vectors, as the library writes them."""
        return np.empty((count, self.width), self.dtype)

    def show(self, array: NDArray[Any]) -> NDArray[Any]:
        """What callers get of an array that the library has written."""
        return array if self.shown is self.dtype else array.view(self.shown)

    def _converted(self, data: Any) -> NDArray[Any]:
        array = np.asarray(data)
        if array.dtype == object or array.dtype.kind in "SUMmVc" and array.dtype.name != "bfloat16":
            raise TypeError(f"vectors of {self.element} expected, found {array.dtype} of shape {array.shape}")
        if array.dtype.name == "bfloat16":
            array = array.view(np.uint16) if self.element == "bf16" else array.astype(np.float32)
        elif self.element == "bf16" and array.dtype.kind == "f":
            array = _rounded_to_bfloat16(array)
        elif self.element == "b1" and array.dtype == np.bool_:
            if array.ndim and array.shape[-1] != self.dim:
                raise Invalid(f"vectors of {self.dim} bits expected, found an array of shape {array.shape}")
            array = np.packbits(array, axis=-1, bitorder="little")
        return np.ascontiguousarray(self._cast(array)) if array.ndim else array

    def _cast(self, array: NDArray[Any]) -> NDArray[Any]:
        """The array in the index's dtype, if that loses nothing but digits of a float."""
        source, target = array.dtype, self.dtype
        if source == target:
            return array.astype(target, copy=False)  # another byte order is another dtype
        if source.kind == "f" and target.kind == "f":
            with np.errstate(over="ignore"):  # the library refuses what has become infinite
                return array.astype(target)
        if source.kind not in "iub" or self.element in ("bf16", "b1"):
            raise TypeError(f"vectors of {self.element} expected, found {source}: convert them first")
        cast = array.astype(target)
        exact = cast.astype(source) == array
        if target.kind in "iu" and source.kind in "iu":
            exact &= (cast < 0) == (array < 0)  # a sign that wraps there and back
        if not exact.all():
            row = int(np.argwhere(~exact)[0][0])
            raise Invalid(
                f"vectors of {self.element} expected, found {source}, and {self.element} cannot hold a number of row "
                f"{row if array.ndim > 1 else 0} exactly"
            )
        return cast

    def _sequences(self, data: Any) -> tuple[Native, int, bool]:
        if isinstance(data, str):
            raise TypeError("a sequence of integers expected, found a str: encode it first")
        single = isinstance(data, (bytes, bytearray)) or (
            data.ndim == 1 and data.dtype != object if isinstance(data, np.ndarray)
            else len(data) > 0 and isinstance(data[0], (int, np.integer))
        )  # fmt: skip
        rows = [self._sequence(row) for row in ([data] if single else data)]
        lengths = np.array([len(row) for row in rows], np.uint32)
        elements = np.concatenate(rows) if rows else np.empty(0, self.dtype)
        return (elements, lengths), len(rows), single

    def _sequence(self, row: Any) -> NDArray[Any]:
        if isinstance(row, (bytes, bytearray)):
            row = np.frombuffer(row, np.uint8)
        array = np.asarray(row)
        if array.ndim != 1:
            raise Invalid(f"a sequence has one dimension, found an array of shape {array.shape}")
        return self._cast(array if array.size else array.astype(self.dtype))


def take_keys(keys: Any) -> tuple[NDArray[np.uint64], bool]:
    """Keys for the library, and whether `keys` is a single one."""
    if isinstance(keys, (int, np.integer)):
        return take_keys([keys])[0], True
    if not isinstance(keys, np.ndarray):
        if isinstance(keys, (str, bytes)):
            raise TypeError(f"keys are integers, found {type(keys).__name__}; rhumb.KeyMap has keys of other types")
        values = [operator.index(key) for key in keys]
        if values and not 0 <= min(values) <= max(values) < 2**64:
            raise Invalid("keys are integers from 0 to 2**64 - 2")
        return np.array(values, np.uint64), False
    if keys.dtype.kind not in "iu" or keys.ndim > 1:
        if keys.size or keys.ndim != 1:  # an empty array is of floats by default
            raise TypeError(f"keys are integers in an array of one dimension, found {keys.dtype} of shape {keys.shape}")
    if keys.dtype.kind == "i" and keys.size and keys.min() < 0:
        raise Invalid(f"keys are integers from 0 to 2**64 - 2, found {keys.min()}")
    return np.ascontiguousarray(keys.reshape(-1), np.uint64), keys.ndim == 0


def take_keys_for(count: int, keys: Any) -> NDArray[np.uint64]:
    """The keys of `count` vectors, one for each."""
    taken, _ = take_keys(keys)
    if len(taken) != count:
        raise Invalid(f"{count} keys expected, one for each vector, found {len(taken)}")
    return taken


def take_output(array: Any, dtype: Any, shape: tuple[int, ...], name: str) -> NDArray[Any]:
    """An array of the caller's to write to."""
    if not isinstance(array, np.ndarray) or array.dtype != dtype or array.shape != shape:
        found = f"{array.dtype} of shape {array.shape}" if isinstance(array, np.ndarray) else repr(type(array))
        raise Invalid(f"out: {name} must be an array of {np.dtype(dtype)} of shape {shape}, found {found}")
    if not array.flags.writeable or not array.flags.c_contiguous:
        raise Invalid(f"out: {name} must be writable and C-contiguous")
    return array
