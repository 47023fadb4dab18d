"""Options as keyword arguments, for type checkers. Made by tools/c_api.py from include/; not to be edited."""

from __future__ import annotations

from typing import Any, TypedDict


class OpenOptions(TypedDict, total=False):
    """How an index is opened; rhumb_open_options in rhumb.h says what each of them means."""

    read_only: bool
    durability: str  # "full", "interval" or "none"
    sync_interval_ms: int
    checkpoint_log_bytes: int
    checkpoint_bytes_per_second: int
    discard_log: bool
    compact_dead_share: float
    compact_bytes_per_second: int
    graph_only: bool
    custom_name: str
    custom_distance: Any  # a C function of numba or ctypes
    immutable: bool
    warm_up: str  # "default", "now" or "none"


class CreateOptions(OpenOptions, total=False):
    """What an index is created with; rhumb_index_options in rhumb.h says what each of them means."""

    M: int
    M0: int
    ef_construction: int
    ef_search: int
    level_max: int
    level_scale: float
    seed: int
    extend_candidates: bool
    keep_pruned: bool
    normalise: bool
    codes: str  # "default", "none", "4bit" or "8bit"
    fused: str  # "default", "1bit", "2bit" or "none"
