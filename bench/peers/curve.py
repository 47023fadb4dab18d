"""Speed as a function of recall: which values of ef a peer is worth measuring at, and what its points say at a recall.

A point is (ef, recall, queries per second). Between two points the logarithm of the speed is linear in recall.
"""

import collections
import math

TARGETS = (0.90, 0.95, 0.99, 0.995)
# Steps of a quarter at most, so that interpolation bridges little.
EF_LADDER = (10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512)
EF_LADDER += (640, 768, 896, 1024, 1280, 1536, 1792, 2048, 2560, 3072, 3584, 4096)

Point = collections.namedtuple("Point", "ef recall qps")

# kind: "reached"; "at least" (recall is above the target even at the smallest ef, qps is that point's); "not reached".
Speed = collections.namedtuple("Speed", "kind qps")
NOT_REACHED = Speed("not reached", None)


def efs_for(k, ef_max):
    """The values of ef to try, ascending: k itself first, as no library searches with less."""
    return [k] + [ef for ef in EF_LADDER if k < ef <= ef_max]


def bracketing(recalls, targets=TARGETS):
    """The values of ef next to the targets, ascending, from a dictionary {ef: recall}.

    For each target these are the last one before recall reaches it and the first one after; at the ends of the curve
    only one of them exists.
    """
    efs = sorted(recalls)
    wanted = set()
    for target in targets:
        above = next((i for i, ef in enumerate(efs) if recalls[ef] >= target), None)
        if above is None:
            wanted.update(efs[-1:])
        else:
            wanted.update(efs[max(0, above - 1) : above + 1])
    return sorted(wanted)


def speed_at(points, target):
    """What the points say about the speed at a recall, as a Speed.

    It lies between the first point in the order of ef that reaches the recall and the one before. No other counts, even
    a faster one: of two medians that noise has swapped, the larger is no better.
    """
    ordered = sorted(points)
    above = next((i for i, point in enumerate(ordered) if point.recall >= target), None)
    if above is None:
        return NOT_REACHED
    high = ordered[above]
    if high.recall == target:
        return Speed("reached", high.qps)
    if above == 0:
        return Speed("at least", high.qps)
    low = ordered[above - 1]
    share = (target - low.recall) / (high.recall - low.recall)
    return Speed("reached", math.exp((1 - share) * math.log(low.qps) + share * math.log(high.qps)))
