"""Which shard a key belongs to: pure functions on arrays.

A key is hashed to one of 4,096 slots, and a map of slots says which shard has each. The hash never changes, so a key
stays in its slot for good, and what moves when shards are split or joined are slots. The hash is the output function
of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014), whose upper 12 bits are the slot: keys that follow each other,
multiples of a power of two and keys from other hashes are all spread evenly.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

#: How many slots there are.
SLOT_COUNT = 4096
#: The name of the hash, for manifests.
HASH = "splitmix64"

#: A map of slots: the number of the shard of each, uint16, SLOT_COUNT of them.
SlotMap = NDArray[np.uint16]
#: Slots of a shard: ranges (first, limit).
SlotRanges = tuple[tuple[int, int], ...]


def slots_of(keys: NDArray[np.uint64]) -> NDArray[np.uint16]:
    """The slot of each key."""
    hashed = keys + np.uint64(0x9E3779B97F4A7C15)  # arrays of uint64 wrap around
    hashed ^= hashed >> np.uint64(30)
    hashed *= np.uint64(0xBF58476D1CE4E5B9)
    hashed ^= hashed >> np.uint64(27)
    hashed *= np.uint64(0x94D049BB133111EB)
    hashed ^= hashed >> np.uint64(31)
    return (hashed >> np.uint64(52)).astype(np.uint16)


def even_map(shard_count: int) -> SlotMap:
    """A map that gives every shard the same number of slots, or one more: shard i has the i-th range."""
    if not 1 <= shard_count <= SLOT_COUNT:
        raise ValueError(f"1 to {SLOT_COUNT} shards expected, found {shard_count}")
    return (np.arange(SLOT_COUNT) * shard_count // SLOT_COUNT).astype(np.uint16)


def map_of(ranges: Iterable[SlotRanges]) -> SlotMap:
    """The map in which shard i has the i-th ranges. ValueError says which slot has no shard, or two."""
    slot_map = np.full(SLOT_COUNT, 0xFFFF, np.uint16)
    for shard, of_shard in enumerate(ranges):
        for first, limit in of_shard:
            if not 0 <= first < limit <= SLOT_COUNT:
                raise ValueError(f"slots of shard {shard}: a range within 0 to {SLOT_COUNT} expected, "
                                 f"found {first} to {limit}")  # fmt: skip
            taken = np.flatnonzero(slot_map[first:limit] != 0xFFFF)
            if len(taken):
                raise ValueError(f"slot {first + taken[0]} belongs to shard {slot_map[first + taken[0]]} and {shard}")
            slot_map[first:limit] = shard
    free = np.flatnonzero(slot_map == 0xFFFF)
    if len(free):
        raise ValueError(f"slot {free[0]} belongs to no shard")
    return slot_map


def ranges_of(slot_map: SlotMap, shard: int) -> SlotRanges:
    """The ranges of slots that a shard has."""
    owned = np.concatenate(([False], slot_map == shard, [False]))
    edges = np.flatnonzero(owned[1:] != owned[:-1])
    return tuple(zip(edges[0::2].tolist(), edges[1::2].tolist()))


def shards_of(slot_map: SlotMap, keys: NDArray[np.uint64]) -> NDArray[np.uint16]:
    """The shard of each key."""
    found: NDArray[np.uint16] = slot_map[slots_of(keys)]
    return found


def group(slot_map: SlotMap, keys: NDArray[np.uint64]) -> list[tuple[int, NDArray[np.intp]]]:
    """The shards that have any of the keys, each with the positions of its keys in ascending order."""
    shards = shards_of(slot_map, keys)
    order = np.argsort(shards, kind="stable")
    starts = np.flatnonzero(np.diff(shards[order], prepend=-1))
    return [(int(shards[part[0]]), part) for part in np.split(order, starts[1:]) if len(part)]


def sources_of(old: SlotMap, new: SlotMap, shard: int) -> Sequence[int]:
    """The shards of an old map that have slots of one shard of a new map."""
    found: list[int] = np.unique(old[new == shard]).tolist()
    return found
