#!/usr/bin/python3
"""Draws what the processes of a soak took, second by second, from the JSON that bench/soak writes, as SVG.

    bench/plot_soak.py RESULT.json [--out RESULT.svg]

One panel per quantity, each with an axis that begins at 0: a quantity that grows with time would be seen at once.
Needs nothing but Python.
"""

import argparse
import json

from svg import FAINT, GRID, text

PANEL_WIDTH, PANEL_HEIGHT = 420, 150
LEFT, TOP, GAP_X, GAP_Y = 76, 84, 96, 62
MAIN, SMALL, READER = ("one index", "#0b61a4"), ("200 small indexes", "#d1495b"), ("idle reader", "#6b8e23")
MIB = 1 << 20


def of(process, field, unit):
    return lambda sample: sample[process][field] / unit


PANELS = [
    ("index on the disk, MiB", [(MAIN, lambda s: s["file_bytes"] / MIB), (SMALL, lambda s: s["small_bytes"] / MIB)]),
    ("log on the disk, MiB", [(MAIN, lambda s: s["log_bytes"] / MIB)]),
    (
        "mappings of the process",
        [(MAIN, of("main", "mapping_count", 1)), (SMALL, of("small", "mapping_count", 1))],
    ),
    (
        "address space of the process, MiB",
        [
            (MAIN, of("main", "address_bytes", MIB)),
            (SMALL, of("small", "address_bytes", MIB)),
            (READER, of("reader", "address_bytes", MIB)),
        ],
    ),
    (
        "anonymous memory of the process, MiB",
        [
            (MAIN, of("main", "anonymous_bytes", MIB)),
            (SMALL, of("small", "anonymous_bytes", MIB)),
            (READER, of("reader", "anonymous_bytes", MIB)),
        ],
    ),
]


def axis_top(highest):
    """The smallest of 1, 2, 5 times a power of ten that is not below `highest`."""
    step = 1.0
    while step * 10 < highest:
        step *= 10
    return next(step * factor for factor in (1, 2, 5, 10) if step * factor >= highest)


def draw_panel(left, top, title, lines, samples):
    last = max(samples[-1]["second"], 1)
    highest = axis_top(max(max(value(s) for s in samples) for _, value in lines) or 1)
    parts = [text(left, top - 10, title, 12, weight="bold")]
    for i in range(5):
        y = top + PANEL_HEIGHT * (1 - i / 4)
        parts.append(f'<line x1="{left}" y1="{y:.1f}" x2="{left + PANEL_WIDTH}" y2="{y:.1f}" stroke="{GRID}"/>')
        parts.append(text(left - 8, y + 4, f"{highest * i / 4:,g}", 10, "end", FAINT))
    for minutes in range(0, last // 60 + 1, max(1, last // 300)):
        x = left + PANEL_WIDTH * minutes * 60 / last
        parts.append(text(x, top + PANEL_HEIGHT + 16, f"{minutes} min", 10, "middle", FAINT))
    for i, ((name, colour), value) in enumerate(lines):
        points = " ".join(
            f"{left + PANEL_WIDTH * s['second'] / last:.1f},{top + PANEL_HEIGHT * (1 - value(s) / highest):.1f}"
            for s in samples
        )
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.3"/>')
        parts.append(text(left + PANEL_WIDTH, top - 10 - 13 * i, name, 10, "end", colour))
    return parts


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("result")
    parser.add_argument("--out", default="soak.svg")
    arguments = parser.parse_args()
    with open(arguments.result, encoding="utf-8") as file:
        result = json.load(file)
    width = LEFT + 2 * PANEL_WIDTH + GAP_X + 24
    height = TOP + 3 * (PANEL_HEIGHT + GAP_Y)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        text(LEFT, 28, "Writers killed every few seconds, next to a reader that never refreshes", 16, weight="bold"),
        text(LEFT, 46, f"{result['cpu']}, commit {result['commit']}", 11, colour=FAINT),
    ]
    for i, (title, lines) in enumerate(PANELS):
        left = LEFT + i % 2 * (PANEL_WIDTH + GAP_X)
        top = TOP + i // 2 * (PANEL_HEIGHT + GAP_Y)
        parts += draw_panel(left, top, title, lines, result["seconds"])
    parts.append("</svg>")
    with open(arguments.out, "w", encoding="utf-8") as file:
        file.write("\n".join(parts) + "\n")


if __name__ == "__main__":
    main()
