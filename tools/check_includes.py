#!/usr/bin/env python3
"""Checks that includes point one way: api -> engine -> {storage, distances} -> base.

Bazel's visibility says the same of targets; this says it of files, and three more things: a quoted include is a path from
the root of the repository to a file that exists, or the name of a file beside the one that includes it; <mimalloc.h> is for
base/ only, and <liburing.h> for storage/ only (tests and benchmarks are free). Prints what is wrong as `file:line: ...` and
ends with 1 if anything is.
"""

import os
import re
import sys

import c_text

LAYERS_BELOW = {
    "base": {"base", "include"},
    "distances": {"base", "distances", "include"},
    "storage": {"base", "include", "storage"},
    "engine": {"base", "distances", "engine", "include", "storage"},
    "api": {"api", "base", "distances", "engine", "include", "storage"},
    "include": {"include"},
}
FREE_FOLDERS = {"bench", "tests"}
PUBLIC_HEADERS = {  # their names once installed
    "rhumb.h", "rhumb_points.h", "rhumb_search.h", "rhumb_topology.h", "rhumb_types.h", "rhumb_upkeep.h",
}  # fmt: skip
OWNERS = {"mimalloc.h": "base", "liburing.h": "storage"}
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:"([^"]+)"|<([^>]+)>)', re.MULTILINE)


def problem_of(root, path, quoted, system):
    """What is wrong with one include in the file `path`, or None."""
    layer = path.split("/")[0]
    if system is not None:
        owner = OWNERS.get(system)
        if owner is not None and layer not in FREE_FOLDERS | {owner}:
            return "<%s> may be included by %s/ only" % (system, owner)
        return None
    if quoted in PUBLIC_HEADERS:
        return None
    if "/" not in quoted and os.path.isfile(os.path.join(root, os.path.dirname(path), quoted)):
        return None
    if ".." in quoted or not os.path.isfile(os.path.join(root, quoted)):
        return '"%s" is neither a path from the root of the repository nor a file beside this one' % quoted
    target = quoted.split("/")[0]
    if layer in FREE_FOLDERS or target in LAYERS_BELOW[layer]:
        return None
    return '%s/ may not include %s/ ("%s")' % (layer, target, quoted)


def check(root):
    problems = []
    for path in c_text.source_files(root):
        text = c_text.read_text(root, path)
        for match in INCLUDE.finditer(text):
            problem = problem_of(root, path, match.group(1), match.group(2))
            if problem is not None:
                problems.append("%s:%d: %s" % (path, c_text.line_of(text, match.start(0)), problem))
    return problems


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    problems = check(root)
    for problem in problems:
        print(problem)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
