"""What the checks of the source share: finding the files, and hiding comments and literals in them."""

import os
import re

SOURCE_FOLDERS = ("api", "base", "bench", "distances", "engine", "examples", "include", "storage", "tests")
SOURCE_ENDINGS = (".c", ".h", ".cc")

COMMENT_OR_LITERAL = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)


def source_files(root):
    """Paths of all C and C++ files, relative to the root, sorted."""
    found = []
    for top in SOURCE_FOLDERS:
        for folder, _, names in os.walk(os.path.join(root, top)):
            found += [
                os.path.relpath(os.path.join(folder, name), root) for name in names if name.endswith(SOURCE_ENDINGS)
            ]
    return sorted(found)


def read_text(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as file:
        return file.read()


def blank(text):
    """The text with comments and the insides of literals turned into spaces; every character keeps its place."""

    def spaces(match):
        token = match.group(0)
        if token[0] in "\"'":
            return token[0] + " " * (len(token) - 2) + token[-1]
        return re.sub(r"[^\n]", " ", token)

    return COMMENT_OR_LITERAL.sub(spaces, text)


def line_of(text, position):
    return text.count("\n", 0, position) + 1
