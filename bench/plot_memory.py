#!/usr/bin/python3
"""Draws queries per second against the memory that they may use, from the JSON of bench/peers/memory_share.py, as SVG.

    bench/plot_memory.py RESULT.json [--out RESULT.svg]

One panel per recall; both axes are logarithmic, and up is better. A library that does not reach a recall at a share, or
does not live to do so, has no point there. Needs nothing but Python.
"""

import argparse
import math
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "peers"))
import curve  # noqa: E402
from svg import FAINT, GRID, convert, line, text  # noqa: E402

PANEL_WIDTH, PANEL_HEIGHT = 360, 300
LEFT, RIGHT, TOP, BOTTOM, GAP = 78, 24, 100, 62, 84
STYLES = {  # colour, dashes
    "rhumb": ("#0b61a4", ""),
    "diskann": ("#d1495b", ""),
    "faiss-ivf": ("#6b8e23", ""),
    "faiss-hnsw": ("#6b8e23", "5 3"),
    "usearch": ("#8a5a9e", ""),
    "hnswlib": ("#b8860b", ""),
}


def stroke(dashes, width):
    return f' stroke-width="{width}" stroke-dasharray="{dashes}"'


def speed(cell, recall):
    points = [curve.Point(p["ef"], p["recall"], p["queries_per_second"]) for p in cell["points"]]
    return curve.speed_at(points, recall).qps


def draw_panel(result, recall, left, low, high):
    """One recall; `low` and `high` are the decades of the vertical axis."""
    shares = sorted({cell["share"] for cell in result["cells"]})
    first, last = math.log10(shares[0]), math.log10(shares[-1])

    def x_of(share):
        return left + PANEL_WIDTH * (math.log10(share) - first) / max(last - first, 1e-9)

    def y_of(value):
        return TOP + PANEL_HEIGHT * (high - math.log10(value)) / (high - low)

    parts = [text(left, TOP - 12, f"recall@10 of {recall:g}", 13, weight="bold")]
    for decade in range(low, high + 1):
        y = y_of(10.0**decade)
        parts.append(line(left, y, left + PANEL_WIDTH, y, GRID))
        parts.append(text(left - 8, y + 4, f"{10.0**decade:,g}", 11, "end", FAINT))
    for share in shares:
        parts.append(line(x_of(share), TOP, x_of(share), TOP + PANEL_HEIGHT, GRID))
        parts.append(text(x_of(share), TOP + PANEL_HEIGHT + 18, f"{share}%", 11, "middle", FAINT))
    for name, (colour, dashes) in reversed(STYLES.items()):
        cells = sorted((cell for cell in result["cells"] if cell["library"] == name), key=lambda cell: cell["share"])
        points = [(x_of(cell["share"]), y_of(speed(cell, recall))) for cell in cells if speed(cell, recall)]
        width = 3.0 if name == "rhumb" else 1.6
        for (x1, y1), (x2, y2) in zip(points, points[1:]):
            parts.append(line(x1, y1, x2, y2, colour, stroke(dashes, width)))
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{width + 1:.1f}" fill="{colour}"/>' for x, y in points]
    return parts


def draw(result):
    every = [speed(cell, recall) for cell in result["cells"] for recall in result["targets"]]
    every = [value for value in every if value]
    low, high = math.floor(math.log10(min(every))), math.ceil(math.log10(max(every)))
    panels = len(result["targets"])
    width = LEFT + panels * PANEL_WIDTH + (panels - 1) * GAP + RIGHT
    height = TOP + PANEL_HEIGHT + BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        text(LEFT, 28, "Queries per second against the memory that they may use", 16, weight="bold"),
        text(width / 2, height - 14, "memory, in percent of rhumb's file", 12, "middle", FAINT),
    ]
    names = [name for name in STYLES if any(cell["library"] == name and cell["points"] for cell in result["cells"])]
    for i, name in enumerate(names):
        colour, dashes = STYLES[name]
        x = LEFT + 118 * i
        parts.append(line(x, 52, x + 28, 52, colour, stroke(dashes, 3.0 if name == "rhumb" else 1.6)))
        parts.append(text(x + 34, 56, name))
    for i, recall in enumerate(result["targets"]):
        parts += draw_panel(result, recall, LEFT + i * (PANEL_WIDTH + GAP), low, high)
    return "\n".join(parts + ["</svg>"]) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    convert(parser, lambda result, arguments: draw(result))


if __name__ == "__main__":
    main()
