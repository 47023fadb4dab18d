"""rhumb.shards: an index in several files, searched as one.

    import rhumb.shards

    rhumb.shards.build("images", vectors, shards=8)
    with rhumb.shards.open("images", read_only=True) as shards:
        keys, distances = shards.search(query, k=10)

A folder has a file for each shard and a manifest that lists them. Keys are spread over the shards by a hash. One
process writes a folder, any number read it. docs/scale-out.md has the whole.
"""

from .building import BuildReport, ShardBuild, build
from .making import create, info, open, restore
from .manifest import Manifest, ShardEntry
from .repairing import ShardRepair, ShardsRepairReport, repair
from .reader import ShardsStats, ShardsVerifyReport
from .shards import Shards

__all__ = [
    "build",
    "BuildReport",
    "create",
    "info",
    "Manifest",
    "open",
    "repair",
    "restore",
    "ShardBuild",
    "ShardEntry",
    "ShardRepair",
    "Shards",
    "ShardsRepairReport",
    "ShardsStats",
    "ShardsVerifyReport",
]
