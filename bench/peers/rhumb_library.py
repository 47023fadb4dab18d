"""The part of rhumb's C interface that a comparison needs: opening an index and searching it, by ctypes.

The structures are those of include/rhumb.h and rhumb_search.h, with the fields that version 0.1 has; a later library
that has more fields takes the defaults for them, because each structure says how long it is.
"""

import ctypes

import numpy as np

STATUS_OK = 0


class Error(ctypes.Structure):
    """rhumb_error."""

    _fields_ = [
        ("status", ctypes.c_int),
        ("os_errno", ctypes.c_int32),
        ("file_offset", ctypes.c_uint64),
        ("path", ctypes.c_char * 256),
        ("message", ctypes.c_char * 512),
    ]


class OpenOptions(ctypes.Structure):
    """rhumb_open_options."""

    _fields_ = [
        ("size", ctypes.c_size_t),
        ("read_only", ctypes.c_bool),
        ("durability", ctypes.c_int),
        ("sync_interval_ms", ctypes.c_uint32),
        ("checkpoint_log_bytes", ctypes.c_uint64),
        ("checkpoint_bytes_per_second", ctypes.c_uint64),
        ("discard_log", ctypes.c_bool),
        ("compact_dead_share", ctypes.c_double),
        ("compact_bytes_per_second", ctypes.c_uint64),
        ("graph_only", ctypes.c_bool),
        ("custom_name", ctypes.c_char_p),
        ("custom_distance", ctypes.c_void_p),
        ("custom_context", ctypes.c_void_p),
        ("immutable", ctypes.c_bool),
    ]


class SearchOptions(ctypes.Structure):
    """rhumb_search_options."""

    _fields_ = [
        ("size", ctypes.c_size_t),
        ("ef_search", ctypes.c_uint32),
        ("thread_count", ctypes.c_uint32),
        ("filter", ctypes.c_void_p),
        ("filters", ctypes.c_void_p),
    ]


class Library:
    """librhumb.so at `path`."""

    def __init__(self, path):
        self._library = ctypes.CDLL(path)
        self._library.rhumb_error_last.restype = ctypes.POINTER(Error)
        size, pointer = ctypes.c_size_t, ctypes.c_void_p
        self._library.rhumb_open_options_init.argtypes = [ctypes.POINTER(OpenOptions), size]
        self._library.rhumb_search_options_init.argtypes = [ctypes.POINTER(SearchOptions), size]
        self._library.rhumb_index_open.argtypes = [
            ctypes.c_char_p,
            ctypes.POINTER(OpenOptions),
            ctypes.POINTER(pointer),
        ]
        self._library.rhumb_index_search_batch.argtypes = [pointer, pointer, size, size]
        self._library.rhumb_index_search_batch.argtypes += [ctypes.POINTER(SearchOptions), pointer, pointer, pointer]

    def version(self):
        number = self._library.rhumb_version()
        return f"{number // 1000000}.{number // 1000 % 1000}.{number % 1000}"

    def call(self, name, *arguments):
        """Calls a function that returns a status, and raises RuntimeError with the library's message if it failed."""
        if getattr(self._library, name)(*arguments) != STATUS_OK:
            raise RuntimeError(f"{name}: {self._library.rhumb_error_last().contents.message.decode()}")

    def open(self, path):
        """Opens an index read-only; the handle lasts as long as the process."""
        options, handle = OpenOptions(), ctypes.c_void_p()
        self._library.rhumb_open_options_init(ctypes.byref(options), ctypes.sizeof(options))
        options.read_only = True
        self.call("rhumb_index_open", path.encode(), ctypes.byref(options), ctypes.byref(handle))
        return handle

    def search(self, handle, queries, k, ef, thread_count):
        """The keys of the k nearest of each query, as one batch."""
        options = SearchOptions()
        self._library.rhumb_search_options_init(ctypes.byref(options), ctypes.sizeof(options))
        options.ef_search, options.thread_count = ef, thread_count
        keys = np.empty((len(queries), k), dtype=np.uint64)
        distances = np.empty((len(queries), k), dtype=np.float32)
        self.call(
            "rhumb_index_search_batch",
            handle,
            queries.ctypes.data,
            len(queries),
            k,
            ctypes.byref(options),
            keys.ctypes.data,
            distances.ctypes.data,
            None,
        )
        return keys
