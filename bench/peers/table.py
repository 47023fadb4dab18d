"""The tables of a comparison, from its state (see state.py) as text.

A cell has the queries per second at a recall, interpolated between two measured points, and how many times that is of
the fastest peer's: 1.00x marks the fastest library that is not rhumb, and rhumb's figure is its lead.
"""

import statistics

import curve

REFERENCE = "rhumb"  # names that begin so are not peers


def points_of(peer, k, thread_count):
    """The points of one peer, each with the median of its passes."""
    recalls = peer["recall"].get(str(k), {})
    passes = peer["qps"].get(f"{k}/{thread_count}", {})
    return [
        curve.Point(int(ef), recalls[ef], statistics.median(values))
        for ef, values in sorted(passes.items(), key=lambda item: int(item[0]))
        if values and ef in recalls
    ]


def is_peer(name):
    return not name.startswith(REFERENCE)


def best_peer(speeds, target):
    """(name, Speed) of the fastest peer at a recall, or (None, NOT_REACHED)."""
    reached = [(name, of[target]) for name, of in speeds.items() if is_peer(name) and of[target].qps is not None]
    return max(reached, key=lambda item: item[1].qps, default=(None, curve.NOT_REACHED))


def cell(speed, best):
    if speed.qps is None:
        return "-"
    text = ("" if speed.kind == "reached" else ">=") + f"{speed.qps:,.0f}"
    return text if best.qps is None else f"{text} {speed.qps / best.qps:.2f}x"


def aligned(rows):
    """Lines of text whose columns have equal widths, the first one to the left and the others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = [row[0].ljust(widths[0])] + [text.rjust(width) for text, width in zip(row[1:], widths[1:])]
        yield "  ".join(cells).rstrip()


def speeds_of(peers, k, thread_count):
    """{name: {target: Speed}} of the peers that have points."""
    points = {name: points_of(peer, k, thread_count) for name, peer in peers.items()}
    return {name: {target: curve.speed_at(of, target) for target in curve.TARGETS} for name, of in points.items() if of}


def speed_table(peers, k, thread_count):
    speeds = speeds_of(peers, k, thread_count)
    yield f"k {k}, {thread_count} thread{'s' if thread_count > 1 else ''}: queries per second at recall@{k}"
    best = {target: best_peer(speeds, target) for target in curve.TARGETS}
    rows = [["recall"] + [f"{target:g}" for target in curve.TARGETS]]
    for name, of in speeds.items():
        rows.append([name] + [cell(of[target], best[target][1]) for target in curve.TARGETS])
    rows.append(["fastest peer"] + [best[target][0] or "-" for target in curve.TARGETS])
    yield from aligned(rows)


def index_table(peers):
    yield "indexes: seconds until built and saved, file, memory of the process's own after loading"
    rows = [["library", "version", "build s", "file MB", "own MB"]]
    for name, peer in peers.items():
        sizes = [peer.get(field) for field in ("file_bytes", "own_bytes")]
        numbers = [f"{size / 1e6:,.1f}" if size is not None else "-" for size in sizes]
        seconds = peer.get("build_seconds")
        rows.append([name, peer.get("version", "-"), "-" if seconds is None else f"{seconds:,.1f}"] + numbers)
    yield from aligned(rows)


def remarks(peers, settings):
    """What a reader must know about single peers: which have failed, and which have more instructions than others."""
    limited = settings["simd"] == "avx2" and settings["instructions"] == "AVX-512"
    for name, peer in peers.items():
        if peer.get("failed"):
            yield f"{name}: left out, {peer['failed']}"
        if peer.get("note"):
            yield f"{name}: {peer['note']}"
        if limited and "version" in peer:
            yield f"{name}: " + (peer.get("avx2") or "NOT limited to AVX2: it chooses by the processor alone")


def point_lines(peers, k, thread_count):
    yield f"k {k}, {thread_count} thread{'s' if thread_count > 1 else ''}: ef recall/queries per second, medians"
    for name, peer in peers.items():
        points = points_of(peer, k, thread_count)
        if points:
            yield f"{name}: " + "  ".join(f"{p.ef} {p.recall:.4f}/{p.qps:,.0f}" for p in points)


def text_of(state):
    """The whole report below its record."""
    settings, peers = state["settings"], state["peers"]
    parts = [[state["title"]]]
    combinations = [(k, threads) for k in settings["k"] for threads in settings["threads"]]
    parts += [list(speed_table(peers, *combination)) for combination in combinations]
    parts += [list(index_table(peers)), list(remarks(peers, settings))]
    parts += [list(point_lines(peers, *combination)) for combination in combinations]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def results_of(state):
    """The speeds at the targets as a list of dictionaries, for the JSON."""
    settings = state["settings"]
    return [
        {"k": k, "threads": threads, "peer": name, "recall": target, "kind": speed.kind, "qps": speed.qps}
        for k in settings["k"]
        for threads in settings["threads"]
        for name, of in speeds_of(state["peers"], k, threads).items()
        for target, speed in of.items()
    ]
