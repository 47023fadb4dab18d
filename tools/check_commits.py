#!/usr/bin/env python3
"""Checks the messages of the commits that are about to be published.

A message has a first line of at most 72 characters that does not end in a full stop, an empty line, and a body of at
least BODY_WORDS_MIN words, which says why. Trailers ("Signed-off-by: ...") are not part of the body. Merges are exempt.

The commits checked are those that are not in origin/main yet, and come after FIRST_CHECKED, where the rule began. A
tree without .git, or a clone too shallow to have either commit, has nothing to check.
Prints what is wrong as `commit: ...` and ends with 1 if anything is.
"""

import os
import re
import subprocess
import sys

FIRST_LINE_MAX = 72
BODY_WORDS_MIN = 8
PUBLISHED = "refs/remotes/origin/main"
FIRST_CHECKED = "503f1b4631fb8c9c2a4c7b078be412ad1f2f97fd"
TRAILER = re.compile(r"^[A-Z][A-Za-z-]*: \S")


def problems_of(message):
    """What is wrong with one message, as a list of sentences."""
    lines = message.rstrip("\n").split("\n")
    found = []
    if not lines[0].strip():
        return ["the first line is empty"]
    if len(lines[0]) > FIRST_LINE_MAX:
        found.append("the first line has %d characters, at most %d fit" % (len(lines[0]), FIRST_LINE_MAX))
    if lines[0].endswith("."):
        found.append("the first line ends in a full stop")
    if len(lines) > 1 and lines[1].strip():
        found.append("the second line is not empty")
    body = [line for line in lines[1:] if not TRAILER.match(line)]
    if len(" ".join(body).split()) < BODY_WORDS_MIN:
        found.append("there is no body that says why (%d words at least)" % BODY_WORDS_MIN)
    return found


class Git:
    """Runs git in one work tree."""

    def __init__(self, root):
        self.root = root

    def output(self, *arguments):
        """What a command prints, or None if it fails or git is missing."""
        try:
            run = subprocess.run(
                ["git", "-C", self.root] + list(arguments),
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                check=True,
            )
        except (OSError, subprocess.CalledProcessError):
            return None
        return run.stdout.decode("utf-8", "replace")

    def is_root(self):
        """Whether `root` is the top of a work tree, and not a folder that lies inside another project's."""
        top = self.output("rev-parse", "--show-toplevel")
        return top is not None and os.path.realpath(top.strip()) == os.path.realpath(self.root)

    def knows(self, commit):
        return self.output("rev-parse", "--verify", "--quiet", commit + "^{commit}") is not None


def check(root, published=PUBLISHED, first_checked=FIRST_CHECKED):
    """Returns (problems as lines of text, number of commits checked)."""
    git = Git(root)
    if not git.is_root():
        return [], 0
    bases = [commit for commit in (published, first_checked) if git.knows(commit)]
    if not bases:
        return [], 0
    listing = git.output("log", "--no-merges", "--format=%H%n%B%x00", "HEAD", *["^" + base for base in bases])
    if listing is None:
        return ["git log failed"], 0
    problems, count = [], 0
    for entry in listing.split("\0"):
        if not entry.strip():
            continue
        commit, _, message = entry.lstrip("\n").partition("\n")
        problems += ["%s: %s" % (commit[:9], problem) for problem in problems_of(message)]
        count += 1
    return problems, count


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    problems, count = check(root)
    for problem in problems:
        print(problem)
    print("%d commit messages checked" % count)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
