#!/usr/bin/env python3
"""Writes bench/results/README.md: what was measured, with which commit and command, and whether code has changed since.

A result file (bench/results/*.txt) begins with a record, which the benchmarks print:

    what: recall and speed, compared with ...
    machine: two cores of ...
    commit: 0123abc
    command: ann --data ...

Later in the file another "commit:" line may follow, for the "command:" lines below it. "measured at or just before
0123abc" stands where only the commit that added the figures is known. A result is `old` when library code
(LIBRARY_FOLDERS) has changed since its commit, `current` when not, and `unknown` where there is no history to ask.

`--check` compares the table with the file, except for that last column, and ends with 1 if they differ.
"""

import os
import re
import subprocess
import sys

RESULTS = "bench/results"
INDEX = RESULTS + "/README.md"
LIBRARY_FOLDERS = ("include", "api", "engine", "storage", "distances", "base")
COMMIT = re.compile(r"^commit: (?:measured at or just before )?([0-9a-f]{7,40}(?:-dirty)?|unknown)$", re.MULTILINE)
HEADING = """# Results

Written by `tools/results_index.py`: do not edit it, run the script after a measurement. `old` means that library code
has changed since; `git log COMMIT.. -- include api engine storage distances base` shows how. A commit in brackets is
the one that added the figures: they were measured with it or just before it.

| what | file | commit | command | code since |
|---|---|---|---|---|
"""


class Result:
    """The part of a result file that was measured with one commit."""

    def __init__(self, name, what, commit, is_exact, commands):
        self.name = name
        self.what = what
        self.commit = commit
        self.is_exact = is_exact
        self.commands = commands


def read_results(name, text):
    """The results of one file; ValueError if its record is incomplete."""
    if not re.match(r"what: \S.*\nmachine: \S", text):
        raise ValueError("%s does not begin with the lines `what:` and `machine:`" % name)
    what = text.split("\n", 1)[0][len("what: ") :]
    matches = list(COMMIT.finditer(text))
    if len(matches) == 0 or len(matches) != len(re.findall("^commit:", text, re.MULTILINE)):
        raise ValueError("%s: a `commit:` line is missing, or names no commit" % name)
    found = []
    for match, end in zip(matches, [match.start() for match in matches[1:]] + [len(text)]):
        commands = re.findall(r"^command: (\S.*)$", text[match.end() : end], re.MULTILINE)
        if not commands:
            raise ValueError("%s: no `command:` line follows %s" % (name, match.group(0)))
        found.append(Result(name, what, match.group(1), "just before" not in match.group(0), commands))
    return found


def code_since(root, commit):
    """`current`, `old` or `unknown`."""
    if commit == "unknown" or commit.endswith("-dirty"):
        return "unknown"
    command = ["git", "-C", root, "diff", "--quiet", commit, "HEAD", "--"] + list(LIBRARY_FOLDERS)
    try:
        code = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode
    except OSError:
        return "unknown"
    return {0: "current", 1: "old"}.get(code, "unknown")


def row(result, state, picture):
    file = "[%s](%s)" % (result.name, result.name)
    if picture:
        file += ", [picture](%s)" % picture
    commit = "`%s`" % result.commit
    commands = "<br>".join("`%s`" % command.replace("|", "\\|") for command in result.commands)
    return "| %s | %s | %s | %s | %s |\n" % (
        result.what, file, commit if result.is_exact else "(%s)" % commit, commands, state
    )


def index_of(root):
    """The text of the index."""
    text = HEADING
    folder = os.path.join(root, RESULTS)
    for name in sorted(name for name in os.listdir(folder) if name.endswith(".txt")):
        picture = name[: -len("txt")] + "svg"
        if not os.path.exists(os.path.join(folder, picture)):
            picture = None
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            for result in read_results(name, file.read()):
                text += row(result, code_since(root, result.commit), picture)
    return text


def without_state(text):
    """The index without what depends on the history."""
    return re.sub(r"\| (?:current|old|unknown) \|$", "|", text, flags=re.MULTILINE)


def main():
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    path = os.path.join(root, INDEX)
    try:
        text = index_of(root)
    except ValueError as error:
        sys.exit(str(error))
    if "--check" not in sys.argv[1:]:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return
    try:
        with open(path, encoding="utf-8") as file:
            present = file.read()
    except FileNotFoundError:
        present = ""
    if without_state(present) != without_state(text):
        sys.exit("%s is not what the results say: run tools/results_index.py" % INDEX)


if __name__ == "__main__":
    main()
