#!/usr/bin/python3
"""Draws queries per second against the share of vectors that match, from the JSON that bench/filter writes, as SVG.

    bench/plot_filter.py RESULT.json [--recall 0.95|0.99] [--out RESULT.svg]

One panel per case, at one recall; both axes are logarithmic, and up is better. "auto" is what a user of rhumb gets.
Ways that do not reach the recall have no point. Needs nothing but Python.
"""

import argparse
import math

from svg import FAINT, GRID, convert, line, text

PANEL_WIDTH, PANEL_HEIGHT = 330, 300
LEFT, RIGHT, TOP, BOTTOM, GAP = 70, 20, 96, 60, 64
STYLES = {  # colour, dashes, width
    "auto": ("#0b61a4", "", 3.0),
    "bridge": ("#6b8e23", "5 3", 1.4),
    "walk": ("#d1495b", "5 3", 1.4),
    "hnswlib": ("#d1495b", "", 1.4),
    "exact": ("#8a5a9e", "5 3", 1.4),
    "scan": ("#8a5a9e", "", 1.4),
}
TITLES = {
    "random": "any vectors match",
    "near": "those near the query match",
    "far": "those far from the query match",
    "label": "the query's own class matches",
    "other": "other classes match",
}


def speeds(cell, recall):
    found = {}
    for way in cell["ways"]:
        speed = way[f"speed_at_{recall}"]
        if speed:
            found[way["way"]] = speed
    return found


def draw_panel(left, name, cells, recall, low, high):
    """One case; `low` and `high` are the decades of the vertical axis."""
    shares = sorted(cell["share"] for cell in cells)
    first, last = math.log10(shares[0]), math.log10(shares[-1])

    def x_of(share):
        return left + PANEL_WIDTH * (math.log10(share) - first) / max(last - first, 1e-9)

    def y_of(speed):
        return TOP + PANEL_HEIGHT * (high - math.log10(speed)) / (high - low)

    parts = [text(left, TOP - 12, TITLES.get(name, name), 13, weight="bold")]
    for decade in range(low, high + 1):
        y = y_of(10.0**decade)
        parts.append(line(left, y, left + PANEL_WIDTH, y, GRID))
        parts.append(text(left - 8, y + 4, f"{10**decade:,}", 11, "end", FAINT))
    for share in shares:
        parts.append(line(x_of(share), TOP, x_of(share), TOP + PANEL_HEIGHT, GRID))
        parts.append(text(x_of(share), TOP + PANEL_HEIGHT + 18, f"{100 * share:g}%", 11, "middle", FAINT))
    for way, (colour, dashes, width) in reversed(STYLES.items()):
        points = [(cell["share"], speeds(cell, recall).get(way)) for cell in sorted(cells, key=lambda c: c["share"])]
        points = [(x_of(share), y_of(speed)) for share, speed in points if speed]
        if not points:
            continue
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}" '
            f'stroke-dasharray="{dashes}"/>'
        )
        for x, y in points:
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{width + 1:.1f}" fill="{colour}"/>')
    return parts


def draw(result, recall):
    names = list(dict.fromkeys(cell["case"] for cell in result["cells"]))
    every = [speed for cell in result["cells"] for speed in speeds(cell, recall).values()]
    low, high = math.floor(math.log10(min(every))), math.ceil(math.log10(max(every)))
    width = LEFT + len(names) * (PANEL_WIDTH + GAP) - GAP + RIGHT
    height = TOP + PANEL_HEIGHT + BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        text(LEFT, 28, f"{result['dataset']}: filtered searches, queries per second at recall@10 of {recall}", 16,
             weight="bold"),
        text(LEFT + (width - LEFT - RIGHT) / 2, height - 14, "share of vectors that match", 12, "middle", FAINT),
    ]
    ways = [way for way in STYLES if any(way in speeds(cell, recall) for cell in result["cells"])]
    for i, way in enumerate(ways):
        colour, dashes, line_width = STYLES[way]
        x = LEFT + 120 * i
        parts.append(
            f'<line x1="{x}" y1="50" x2="{x + 28}" y2="50" stroke="{colour}" stroke-width="{line_width}" '
            f'stroke-dasharray="{dashes}"/>'
        )
        parts.append(text(x + 34, 54, "rhumb (auto)" if way == "auto" else way))
    for i, name in enumerate(names):
        cells = [cell for cell in result["cells"] if cell["case"] == name]
        parts += draw_panel(LEFT + i * (PANEL_WIDTH + GAP), name, cells, recall, low, high)
    return "\n".join(parts + ["</svg>"]) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--recall", choices=["0.95", "0.99"], default="0.95")
    convert(parser, lambda result, arguments: draw(result, arguments.recall))


if __name__ == "__main__":
    main()
