#!/usr/bin/python3
"""Draws recall against queries per second from the JSON that bench/ann writes, as an SVG file.

    bench/plot.py RESULT.json [--out RESULT.svg]

One panel per number of threads. Queries per second are on a logarithmic axis; recall is on an axis that is logarithmic
in the share of neighbours missed, so that 0.90, 0.99 and 0.999 are equally far apart. Up and to the right is better.
Needs nothing but Python.
"""

import argparse
import math
from xml.sax.saxutils import escape

from svg import FAINT, GRID, convert, text

PANEL_WIDTH, PANEL_HEIGHT = 560, 420
MARGIN_LEFT, MARGIN_RIGHT, MARGIN_TOP, MARGIN_BOTTOM = 78, 104, 96, 98
RECALL_TICKS = [0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9999]
RECALL_HIGHEST = 0.9999  # a recall of 1 is drawn here

# Colours that stay apart for colour-blind readers and in print; shapes repeat the distinction.
STYLES = {
    "rhumb": ("#0b61a4", "circle"),
    "hnswlib": ("#d1495b", "square"),
    "faiss": ("#6b8e23", "diamond"),
}
OTHER_STYLES = [("#8a5a9e", "triangle"), ("#555555", "circle")]


def miss(recall):
    """Position of a recall on its axis."""
    return -math.log10(1.0 - min(max(recall, 0.0), RECALL_HIGHEST))


def short(value):
    """1,500 -> 1.5k"""
    if value >= 1000:
        return f"{value / 1000:g}k"
    return f"{value:g}"


def log_ticks(low, high):
    """1, 2 and 5 times powers of ten within the range."""
    ticks = [m * 10.0**e for e in range(-2, 10) for m in (1, 2, 5)]
    return [tick for tick in ticks if low <= tick <= high]


def marker(shape, x, y, colour, tooltip):
    r = 4.0
    if shape == "square":
        drawn = f'<rect x="{x - r:.1f}" y="{y - r:.1f}" width="{2 * r}" height="{2 * r}"'
    elif shape == "diamond":
        drawn = f'<path d="M{x:.1f} {y - r - 1.5:.1f}l{r + 1.5} {r + 1.5}l{-r - 1.5} {r + 1.5}l{-r - 1.5} {-r - 1.5}z"'
    elif shape == "triangle":
        drawn = f'<path d="M{x:.1f} {y - r - 1:.1f}l{r + 1} {2 * r + 1}h{-2 * r - 2}z"'
    else:
        drawn = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r + 0.3}"'
    title = f"<title>{escape(tooltip)}</title></{drawn[1:].split()[0]}>"
    return f'{drawn} fill="{colour}" stroke="#ffffff" stroke-width="1">{title}'


def style_of(name, others):
    if name in STYLES:
        return STYLES[name]
    return OTHER_STYLES[others.index(name) % len(OTHER_STYLES)]


def best_curve(points):
    """The points that no other beats in both recall and speed, by recall."""
    best = []
    for point in sorted(points, key=lambda p: (p["recall"], p["queries_per_second"])):
        while best and best[-1]["queries_per_second"] <= point["queries_per_second"]:
            best.pop()
        best.append(point)
    return best


def spread(labels, gap, low, high):
    """Moves label heights apart, keeping their order, within low..high. `labels` are [y, ...], changed in place."""
    labels.sort(key=lambda label: label[0])
    for before, after in zip(labels, labels[1:]):
        after[0] = max(after[0], before[0] + gap)
    if labels and labels[-1][0] > high:
        labels[-1][0] = high
        for after, before in zip(labels[::-1], labels[-2::-1]):
            before[0] = min(before[0], after[0] - gap)
    if labels:
        labels[0][0] = max(labels[0][0], low)


def draw_panel(result, thread_count, left):
    sweeps = []
    others = [library["name"] for library in result["libraries"] if library["name"] not in STYLES]
    for library in result["libraries"]:
        for sweep in library["sweeps"]:
            if sweep["threads"] == thread_count:
                sweeps.append((library["name"], best_curve(sweep["points"])))

    recalls = [min(p["recall"], RECALL_HIGHEST) for _, points in sweeps for p in points]
    speeds = [p["queries_per_second"] for _, points in sweeps for p in points]
    x_low = miss(max(tick for tick in [0.0] + RECALL_TICKS if tick <= min(recalls)))
    x_high = miss(min([tick for tick in RECALL_TICKS if tick >= max(recalls)] + [RECALL_HIGHEST]))
    y_low, y_high = math.log10(min(speeds)) - 0.08, math.log10(max(speeds)) + 0.08
    if x_high <= x_low:
        x_high = x_low + 1

    def x_of(recall):
        return left + (miss(recall) - x_low) / (x_high - x_low) * PANEL_WIDTH

    def y_of(speed):
        return MARGIN_TOP + (y_high - math.log10(speed)) / (y_high - y_low) * PANEL_HEIGHT

    bottom = MARGIN_TOP + PANEL_HEIGHT
    out = []
    last_x = -1e9
    for tick in RECALL_TICKS:
        if not x_low - 1e-9 <= miss(tick) <= x_high + 1e-9:
            continue
        x = x_of(tick)
        out.append(f'<path d="M{x:.1f} {MARGIN_TOP}V{bottom}" stroke="{GRID}"/>')
        if x - last_x > 38:
            out.append(text(x, bottom + 19, f"{tick:g}" + ("+" if tick == RECALL_HIGHEST else ""), anchor="middle"))
            last_x = x
    for tick in log_ticks(10**y_low, 10**y_high):
        y = y_of(tick)
        out.append(f'<path d="M{left} {y:.1f}h{PANEL_WIDTH}" stroke="{GRID}"/>')
        out.append(text(left - 8, y + 4, short(tick), anchor="end"))
    out.append(f'<path d="M{left} {MARGIN_TOP}V{bottom}h{PANEL_WIDTH}" stroke="{FAINT}" fill="none"/>')
    plural = "" if thread_count == 1 else "s"
    out.append(text(left, MARGIN_TOP - 14, f"{thread_count} thread{plural}", 14, weight="bold"))
    caption = f"recall@{result['k']} (share of the true nearest found)"
    out.append(text(left + PANEL_WIDTH / 2, bottom + 42, caption, anchor="middle"))
    middle = MARGIN_TOP + PANEL_HEIGHT / 2
    turn = f' transform="rotate(-90 {left - 56} {middle})"'
    out.append(text(left - 56, middle, "queries per second", anchor="middle", extra=turn))

    labels = []
    for name, points in reversed(sweeps):  # the first library is drawn last, on top
        colour, shape = style_of(name, others)
        line = " ".join(f"{x_of(p['recall']):.1f},{y_of(p['queries_per_second']):.1f}" for p in points)
        look = f'fill="none" stroke="{colour}" stroke-width="2.2" stroke-linejoin="round"'
        out.append(f'<polyline points="{line}" {look}/>')
        for p in points:
            tip = f"{name} ef {p['ef']}: recall {p['recall']:.4f}, {p['queries_per_second']:,.0f} queries/s"
            out.append(marker(shape, x_of(p["recall"]), y_of(p["queries_per_second"]), colour, tip))
        end = points[-1]
        labels.append([y_of(end["queries_per_second"]), x_of(end["recall"]), name, colour])
    spread(labels, 17, MARGIN_TOP + 6, bottom - 6)
    for y, x, name, colour in labels:
        out.append(text(x + 10, y + 4, name, 13, colour=colour, weight="bold"))
    return out


def draw(result):
    thread_counts = sorted({s["threads"] for library in result["libraries"] for s in library["sweeps"]})
    panel_step = MARGIN_LEFT + PANEL_WIDTH + MARGIN_RIGHT
    width = panel_step * len(thread_counts)
    height = MARGIN_TOP + PANEL_HEIGHT + MARGIN_BOTTOM
    data = result["dataset"]
    title = f"{data['name']}: {data['rows']:,} vectors of {data['dimension']}, {data['metric']}"
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'font-family="Helvetica, Arial, sans-serif">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        text(MARGIN_LEFT, 30, title, 17, weight="bold"),
        text(
            MARGIN_LEFT,
            51,
            f"M {result['M']}, ef_construction {result['ef_construction']} for all; up and to the right is better",
            12.5,
            colour=FAINT,
        ),
    ]
    x = width - 20
    others = [library["name"] for library in result["libraries"] if library["name"] not in STYLES]
    for library in reversed(result["libraries"]):
        colour, shape = style_of(library["name"], others)
        label = library.get("version", library["name"])
        x -= 7.0 * len(label) + 34
        if len(thread_counts) > 1:  # a single panel has no room next to its title; its curves are labelled anyway
            out.append(f'<path d="M{x} 26h22" stroke="{colour}" stroke-width="2.2"/>')
            out.append(marker(shape, x + 11, 26, colour, label))
            out.append(text(x + 28, 30, label, 12.5))
    for i, thread_count in enumerate(thread_counts):
        out += draw_panel(result, thread_count, MARGIN_LEFT + i * panel_step)
    machine = result["machine"]
    footer = [
        f"{machine['cpu']}, {machine['processors']} processors; {result['compiler']}",
        f"medians of {result['passes']} passes over {data['queries']:,} queries; {result['date'][:10]}",
    ]
    for i, line in enumerate(footer):
        out.append(text(MARGIN_LEFT, height - 28 + 15 * i, line, 11, colour=FAINT))
    out.append("</svg>")
    return "\n".join(out) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    convert(parser, lambda result, arguments: draw(result))


if __name__ == "__main__":
    main()
