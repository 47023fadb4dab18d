"""How notebooks show an index."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .index import Index

_BAR = '<span style="display:inline-block;height:0.7em;width:{width:.1f}em;background:#4878a8"></span>'
_BAR_WIDTH = 16.0


def table_of(index: Index) -> str:
    """A table of what an index is and holds; of a closed one, of what it is."""
    rows = [
        ("path", escape(index.path)),
        ("vectors", f"{index.dim:,} x {index.element}, {escape(index.metric)}"),
    ]
    if index.closed:
        rows.append(("state", "closed"))
        return _table(rows)
    options, stats = index.options, index.stats
    deleted = stats.slot_count - stats.count
    pending = f", {stats.log_pending_count:,} more in the log" if stats.log_pending_count else ""
    rows += [
        ("count", f"{stats.count:,}{pending}; {deleted:,} deleted"),
        ("graph", f"M {options.M}, M0 {options.M0}, ef_construction {options.ef_construction}, codes {options.codes}"),
        ("file", f"{_bytes(stats.file_bytes)}, {_bytes(stats.file_free_bytes)} of it free; checkpoint {stats.epoch:,}"),
        ("state", "open read-only" if index.read_only else f"open for writing, durability {stats.durability}"),
    ]
    most = max(stats.level_counts) or 1
    for level in range(stats.level_top, -1, -1):
        count = stats.level_counts[level]
        rows.append((f"level {level}", _BAR.format(width=_BAR_WIDTH * count / most) + f" {count:,}"))
    return _table(rows)


def _table(rows: list[tuple[str, str]]) -> str:
    cells = "".join(f'<tr><th style="text-align:left">{name}</th><td>{value}</td></tr>' for name, value in rows)
    return f"<table><caption><b>rhumb.Index</b></caption>{cells}</table>"


def _bytes(number: int) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return f"{number} bytes"
