#!/usr/bin/env python3
"""Checks that the figures of README.md occur in the results that they are said to come from.

A block of Markdown (a table or a paragraph, up to the next empty line) is checked if this comment precedes it:

    <!-- figures: bench/results/a.txt bench/results/b.txt -->

Below a heading with the word "measured", every block needs it that has a number with decimals or thousands separators.

Every number of a marked block must occur in one of the files, where
  - a number is written in digits, with or without a sign, thousands separators and decimals, and is not part of a word
    (p99, f32, recall@10), of code or of the target of a link;
  - a quoted number may be rounded: 0.84 stands for what lies in [0.835, 0.845]. Trailing zeros count: 1.50 is not 1.5;
  - a number before " x" may be a ratio: of two numbers of the same line of the block that occur in a file;
  - what was chosen and not measured (a number of threads, a k) passes if it occurs in a file, and is otherwise listed
    in the comment: <!-- figures: FILE given: 30 5 -->.
Prints what is missing as `README.md:line: ...` and ends with 1 if anything is.
"""

import os
import re
import sys

DOCUMENT = "README.md"
MARKER = re.compile(r"<!-- figures:(?P<files>(?: [^\s:]+)+?)(?: given:(?P<given>(?: [\d.,]+)+))? -->")
NUMBER = re.compile(r"(?<![\w.,@/-])[-+]?\d+(?:,\d{3})*(?:\.\d+)?(?![\w,]*[A-Za-z_@])(?!\.\d)")
NO_FIGURES = re.compile(r"`[^`]*`|\]\([^)]*\)|<!--.*?-->|https?://\S+")
RATIO = re.compile(r"\*{0,2} x\b")


class Figure:
    """A number as it is written: its value, and how far rounding may have moved it."""

    def __init__(self, text):
        digits = text.replace(",", "").lstrip("+")
        self.text = text
        self.value = float(digits)
        self.slack = 0.5 * 10.0 ** -(len(digits.partition(".")[2])) * (1 + 1e-9) + 1e-12

    def stands_for(self, value):
        return abs(abs(self.value) - abs(value)) <= self.slack


def figures_of(text):
    """(Figure, position after it) for each number of a text."""
    blank = NO_FIGURES.sub(lambda match: " " * len(match.group(0)), text)
    return [(Figure(match.group(0)), match.end()) for match in NUMBER.finditer(blank)]


def values_of(text):
    """All numbers of a result, which may be glued to a unit ("1.08x", ">=18109", "(0.66x)")."""
    return [float(number.replace(",", "")) for number in re.findall(r"\d+(?:,\d{3})*(?:\.\d+)?", text)]


def is_ratio(figure, measured):
    """Whether a figure is the ratio of two measured ones, within what their own rounding allows."""
    for a in measured:
        for b in measured:
            low, high = (a.value - a.slack) / (b.value + b.slack), (a.value + a.slack) / max(b.value - b.slack, 1e-12)
            if low - figure.slack <= figure.value <= high + figure.slack:
                return True
    return False


def missing_in_line(line, values, given):
    """The figures of one line that are not accounted for."""
    figures = figures_of(line)
    measured = [figure for figure, _ in figures if any(figure.stands_for(value) for value in values)]
    missing = []
    for figure, end in figures:
        if figure in measured or figure.text in given:
            continue
        if RATIO.match(line, end) and is_ratio(figure, [other for other in measured if other.value > 0]):
            continue
        missing.append(figure.text)
    return missing


def blocks_of(text):
    """(match of the marker or None, whether it needs one, [(line number, line)]) for each block."""
    marker, is_measured, block = None, False, []
    for number, line in enumerate(text.split("\n") + [""], 1):
        if MARKER.search(line) or not line.strip() or line.startswith("#"):
            if block:
                yield marker, is_measured, block
                marker, block = None, []
            marker = MARKER.search(line) or marker
            if line.startswith("#"):
                marker, is_measured = None, "measured" in line
        else:
            block.append((number, line))


def has_figures(block):
    """Whether a block has a number with decimals or thousands separators."""
    return any("." in figure.text or "," in figure.text for _, line in block for figure, _ in figures_of(line))


def check(root, document=DOCUMENT):
    problems = []
    with open(os.path.join(root, document), encoding="utf-8") as file:
        text = file.read()
    if text.count("<!-- figures:") != len(MARKER.findall(text)):
        problems.append("%s: a `figures:` comment is not of the form given in tools/check_figures.py" % document)
    for marker, is_measured, block in blocks_of(text):
        if marker is None:
            if is_measured and has_figures(block):
                problems.append("%s:%d: figures without a comment that names their result" % (document, block[0][0]))
            continue
        names = marker.group("files").split()
        values = []
        for name in names:
            try:
                with open(os.path.join(root, name), encoding="utf-8") as file:
                    values += values_of(file.read())
            except FileNotFoundError:
                problems.append("%s: there is no %s" % (document, name))
        given = (marker.group("given") or "").split()
        for number, line in block:
            problems += [
                "%s:%d: %s does not occur in %s" % (document, number, figure, " ".join(names))
                for figure in missing_in_line(line, values, given)
            ]
    return problems


def main():
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    problems = check(root)
    for problem in problems:
        print(problem)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
