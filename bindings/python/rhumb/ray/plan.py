"""Where the shards of a cluster are: pure data and pure functions."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from ..shards.manifest import Manifest

#: The namespace of Ray in which the actors of all clusters have their names.
NAMESPACE = "rhumb"
#: Nodes of each shard, by the identity of the shard.
Routes = dict[UUID, tuple[str, ...]]


@dataclasses.dataclass(frozen=True)
class Plan:
    """Which process answers for which shard. A search uses one plan from its beginning to its end."""

    version: int  #: each plan of a keeper has a larger number than the one before
    manifest: Manifest  #: the shards that searches use
    primary: Manifest  #: the shards that are written: others only until copies of them are where searches need them
    routes: Routes
    servers: Mapping[str, Any]  #: the actor of each node
    writers: Mapping[UUID, Any]  #: the actor that writes each shard; empty until the first write


def place(
    shards: Sequence[UUID], nodes: Sequence[str], replicas: int, previous: Mapping[UUID, Iterable[str]]
) -> Routes:
    """Nodes for each shard, `replicas` of them or as many as there are, and never one twice.

    What is on a node of `previous` stays there; the rest goes where the fewest shards are, so that the numbers of two
    nodes differ by little.
    """
    load = dict.fromkeys(nodes, 0)
    kept = {shard: [node for node in previous.get(shard, ()) if node in load][:replicas] for shard in shards}
    for of_shard in kept.values():
        for node in of_shard:
            load[node] += 1
    for number, shard in enumerate(shards):
        while len(kept[shard]) < min(replicas, len(nodes)):
            free = [node for node in nodes if node not in kept[shard]]
            turn = {node: (i - number) % len(nodes) for i, node in enumerate(nodes)}
            chosen = min(free, key=lambda node: (load[node], turn[node]))
            kept[shard].append(chosen)
            load[chosen] += 1
    return {shard: tuple(kept[shard]) for shard in shards}


def cover(
    wanted: Collection[UUID], routes: Mapping[UUID, Sequence[str]], avoided: Collection[str], rng: random.Random
) -> dict[str, list[UUID]]:
    """Few nodes that have all wanted shards between them: the node with the most of them first, equal ones by chance.

    Nodes of `avoided` are used where no other has the shard. Shards without a node are left out.
    """
    left = {shard: [node for node in routes[shard] if node not in avoided] or list(routes[shard]) for shard in wanted}
    found: dict[str, list[UUID]] = {}
    while True:
        by_node: dict[str, list[UUID]] = {}
        for shard, nodes in left.items():
            for node in nodes:
                by_node.setdefault(node, []).append(shard)
        if not by_node:
            return found
        most = max(len(shards) for shards in by_node.values())
        node = rng.choice([node for node, shards in by_node.items() if len(shards) == most])
        found.setdefault(node, []).extend(by_node[node])
        for shard in by_node[node]:
            del left[shard]
