#!/usr/bin/env python3
"""Checks that includes point one way.

  api -> engine -> {storage, distances} -> base -> include/rhumb_types.h
  inside engine/:   open -> exchange -> {upkeep, topology} -> durability -> build -> search -> graph (LAYERS has the lists)
  inside storage/:  storage, publish -> log -> frame -> io

Bazel's visibility says the same of targets; this says it of files, and four more things: no two folders include each
other, directly or through others; a quoted include is a path from the root of the repository to a file that exists, or
the name of a file in the same folder; <mimalloc.h> is for base/ only, and <liburing.h> for storage/io/ only (tests and
benchmarks are free). Prints what is wrong as `file:line: ...` and ends with 1 if anything is.
"""

import os
import re
import sys

import c_text

# For each folder of the library the folders that its files may include, besides their own.
LAYERS = {
    "base": (),
    "distances": ("base",),
    "distances/code": ("base", "distances"),
    "distances/lanes": ("base", "distances"),
    "distances/tile": ("base", "distances", "distances/code"),
    "storage/io": ("base",),
    "storage/frame": ("base", "storage/io"),
    "storage/log": ("base", "storage/frame", "storage/io"),
    "storage": ("base", "storage/frame", "storage/io", "storage/log"),
    "storage/publish": ("base", "storage", "storage/frame", "storage/io", "storage/log"),
}
LAYERS["engine/graph"] = ("distances",) + tuple(sorted(LAYERS))
for upper, lowers in (
    ("engine/search/walk", ("engine/graph",)),
    ("engine/search", ("engine/graph", "engine/search/walk")),
    ("engine/build/bulk", ("distances/code", "distances/tile", "engine/graph", "engine/search/walk")),
    ("engine/build", ("engine/build/bulk", "engine/graph", "engine/search", "engine/search/walk")),
    ("engine/durability", ("engine/build", "engine/graph", "engine/search", "engine/search/walk")),
    ("engine/topology", ("engine/graph", "engine/search", "engine/search/walk")),
    ("engine/upkeep", ("engine/build", "engine/durability", "engine/graph", "engine/search", "engine/search/walk")),
):
    LAYERS[upper] = LAYERS["engine/graph"] + lowers
LAYERS["engine/upkeep/compact"] = LAYERS["engine/upkeep"] + ("engine/upkeep",)
LAYERS["engine/upkeep/merge"] = LAYERS["engine/upkeep"] + ("engine/build/bulk", "engine/upkeep")
LAYERS["engine/upkeep/recall"] = LAYERS["engine/build"] + ("engine/build", "engine/upkeep")
LAYERS["engine/upkeep/repair"] = LAYERS["engine/upkeep"] + ("engine/upkeep",)
LAYERS["engine/upkeep/shards"] = LAYERS["engine/upkeep"] + ("engine/build/bulk", "engine/upkeep")
LAYERS["engine/exchange"] = LAYERS["engine/upkeep"] + ("engine/upkeep",)
LAYERS["engine"] = tuple(sorted(LAYERS))
LAYERS["api"] = tuple(sorted(LAYERS))
LAYERS["api/cli/console"] = ()
LAYERS["api/cli/dataset"] = ("api",)
LAYERS["api/cli"] = ("api", "api/cli/console", "api/cli/dataset")
LAYERS["api/cli/commands"] = ("api/cli",) + LAYERS["api/cli"]

FREE_FOLDERS = {"bench", "examples", "tests"}
OWNERS = {"mimalloc.h": "base", "liburing.h": "storage/io"}
PUBLIC = "include"
TYPES = "include/rhumb_types.h"  # the one public header that all layers may include
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:"([^"]+)"|<([^>]+)>)', re.MULTILINE)


def is_free(path):
    return path.split("/")[0] in FREE_FOLDERS


def problem_of(root, path, quoted, system):
    """What is wrong with one include in the file `path`, or None."""
    folder = os.path.dirname(path)
    if system is not None:
        owner = OWNERS.get(system)
        if owner is not None and not is_free(path) and folder != owner:
            return "<%s> may be included by %s/ only" % (system, owner)
        return None
    target = target_of(root, path, quoted)
    if target is None:
        return '"%s" is neither a path from the root of the repository nor a file in the same folder' % quoted
    below = os.path.dirname(target)
    if is_free(path) or below == folder or below in LAYERS.get(folder, ()):
        return None
    if target == TYPES or (below == PUBLIC and folder.split("/")[0] == "api"):
        return None
    return '%s/ may not include %s/ ("%s")' % (folder, below, quoted)


def target_of(root, path, quoted):
    """The file that a quoted include names, as a path from the root, or None."""
    if "/" not in quoted:
        for folder in (os.path.dirname(path), PUBLIC):  # public headers are included as users do
            if os.path.isfile(os.path.join(root, folder, quoted)):
                return os.path.join(folder, quoted)
    if ".." in quoted or not os.path.isfile(os.path.join(root, quoted)):
        return None
    return quoted


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
