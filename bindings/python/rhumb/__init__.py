"""rhumb: an index for approximate nearest neighbour search that is a file.

    import numpy as np, rhumb

    with rhumb.create("colours.rhumb", dim=3) as index:
        index.add(np.random.default_rng(1).random((1000, 3), np.float32))
        keys, distances = index.search([0.9, 0.5, 0.1], k=5)

docs/python.md has the whole, and include/rhumb.h says what each option means.
"""

from ._native import (
    CompactReport,
    Filter,
    ImportReport,
    Info,
    MergeReport,
    Options,
    RecallCurve,
    RepairReport,
    Section,
    Stats,
    TopologyStats,
    VerifyReport,
    WriteReport,
    metric_supports,
    sigbus_guard,
    version,
)
from .errors import (
    Cancelled,
    Closed,
    Corrupt,
    Domain,
    Error,
    Exists,
    Fatal,
    Forked,
    Full,
    Invalid,
    IOFailure,
    KeyExists,
    KeyNotFound,
    Locked,
    LogMismatch,
    MetricMissing,
    NoMemory,
    NoSpace,
    NotAnIndex,
    NotFinite,
    NotFound,
    OutOfStep,
    ReadOnly,
    Stale,
    Truncated,
    Unsupported,
    VersionMismatch,
)
from .files import compact_into, import_index, info, merge, repair, sections
from .filters import Bitmap, Keys, Where
from .index import Index, create, open
from .keymap import KeyMap
from .result import NO_KEY, Result
from .sqlite import load_sqlite, sqlite_extension
from .topology import Topology

__version__ = version()
__all__ = [
    "Bitmap",
    "Cancelled",
    "Closed",
    "compact_into",
    "CompactReport",
    "Corrupt",
    "create",
    "Domain",
    "Error",
    "Exists",
    "Fatal",
    "Filter",
    "Forked",
    "Full",
    "import_index",
    "ImportReport",
    "Index",
    "Info",
    "info",
    "Invalid",
    "IOFailure",
    "KeyExists",
    "KeyMap",
    "KeyNotFound",
    "Keys",
    "load_sqlite",
    "Locked",
    "LogMismatch",
    "merge",
    "MergeReport",
    "metric_supports",
    "MetricMissing",
    "NO_KEY",
    "NoMemory",
    "NoSpace",
    "NotAnIndex",
    "NotFinite",
    "NotFound",
    "open",
    "Options",
    "OutOfStep",
    "ReadOnly",
    "RecallCurve",
    "repair",
    "RepairReport",
    "Result",
    "Section",
    "sections",
    "sigbus_guard",
    "sqlite_extension",
    "Stale",
    "Stats",
    "Topology",
    "TopologyStats",
    "Truncated",
    "Unsupported",
    "VerifyReport",
    "version",
    "VersionMismatch",
    "Where",
    "WriteReport",
]
