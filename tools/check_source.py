#!/usr/bin/env python3
"""Checks the style rules that clang-format does not know.

Errors (the exit code is 1):
  - the library (api/ without api/cli/, engine/, storage/, distances/, base/) allocates through base/alloc.h only, and
    never prints or ends the process;
  - every file begins with a comment;
  - no line is wider than 120 columns (clang-format leaves comments alone, whose layout may carry meaning);
  - no notes to self are left in comments.
Warnings, for a human to judge: files longer than 600 lines and functions longer than 60.
"""

import os
import re
import sys

import c_text

COLUMNS_MAX = 120
FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 60

LIBRARY_FOLDERS = ("api", "base", "distances", "engine", "storage")
ALLOCATION = re.compile(
    r"(?<![\w.>])(malloc|calloc|realloc|reallocarray|free|strdup|strndup|aligned_alloc|posix_memalign)\s*\("
)
PRINTING = re.compile(r"(?<![\w.>])(printf|fprintf|vprintf|vfprintf|puts|fputs|putchar|perror|exit|_exit|abort)\s*\(")
ALLOWED = {"base/alloc.c": ALLOCATION, "base/assert.c": PRINTING}
NOTE = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
FUNCTION_BEGIN = re.compile(r"^[A-Za-z_][^;={}#]*\([^;{}]*\)[^;={}]*\{[ \t]*$", re.MULTILINE)


def in_library(path):
    return path.startswith(tuple(folder + "/" for folder in LIBRARY_FOLDERS)) and not path.startswith("api/cli/")


def errors_of(path, text, code):
    found = []
    if not text.startswith(("/*", "//")):
        found.append((1, "does not begin with a comment that says what the file is for"))
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > COLUMNS_MAX:
            found.append((number, "%d columns, at most %d fit" % (len(line), COLUMNS_MAX)))
    for match in NOTE.finditer(text):
        found.append((c_text.line_of(text, match.start()), "%s: do it or say why not" % match.group(1)))
    if in_library(path):
        for pattern, advice in ((ALLOCATION, "use base/alloc.h"), (PRINTING, "the library neither prints nor exits")):
            if ALLOWED.get(path) is pattern:
                continue
            for match in pattern.finditer(code):
                found.append((c_text.line_of(code, match.start(1)), "%s: %s" % (match.group(1), advice)))
    return found


def warnings_of(text, code):
    found = []
    length = text.count("\n")
    if length > FILE_LINES_MAX:
        found.append((1, "%d lines; %d is where files get hard to read" % (length, FILE_LINES_MAX)))
    for match in FUNCTION_BEGIN.finditer(code):
        end = code.find("\n}", match.end())
        lines = code.count("\n", match.start(), end) + 2 if end >= 0 else 0
        if lines > FUNCTION_LINES_MAX:
            found.append((c_text.line_of(code, match.start()), "a function of %d lines" % lines))
    return found


def check(root):
    """Returns (errors, warnings) as lines of text."""
    errors, warnings = [], []
    for path in c_text.source_files(root):
        text = c_text.read_text(root, path)
        code = c_text.blank(text)
        errors += ["%s:%d: error: %s" % (path, line, what) for line, what in errors_of(path, text, code)]
        warnings += ["%s:%d: warning: %s" % (path, line, what) for line, what in warnings_of(text, code)]
    return errors, warnings


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    errors, warnings = check(root)
    for line in warnings + errors:
        print(line)
    sys.exit(1 if errors else 0)


if __name__ == "__main__":
    main()
