#!/usr/bin/env python3
"""Checks the English of comments and Markdown for words that read as translated, and the width of Markdown.

WORDS has the words, each with what to write instead. They are searched for in comments of C, C++, shell, Bazel and
CMake files, in comments and docstrings of Python, and in Markdown outside code. A line of Markdown has at most
WIDTH_MAX columns; tables, code, comments and the targets of links may be wider, and so may a line without a place to
break it.

A place where a listed word is the right one is an entry of EXCEPTIONS.
Prints what is wrong as `file:line: ...` and ends with 1 if anything is.
"""

import argparse
import os
import re
import sys

import c_text

WIDTH_MAX = 120

# Word, what to write instead.
WORDS = [
    (re.compile(pattern, re.IGNORECASE), advice)
    for pattern, advice in (
        (r"\banew\b", "again, or from scratch"),
        (r"\bmeanwhile\b", "in the meantime, concurrently, or while ... runs"),
        (r"\b(?:nobody|somebody|everybody|whoever)\b", "name it: no thread, another process, the caller"),
        (r"\bbeside\b", "next to, compared with, or concurrently with"),
        (r"\b(?:is|are|be|was|were|been) told\b", "is passed, gets, or is reported"),
        (r"(?<!there )(?<!where )\bis no (?!longer\b|more\b|less\b|other\b|better\b|worse\b|\w+er than\b)", "is not a"),
        (r"(?<!there )\bare none\b", "say what is missing"),
        (r"\b(?:come|comes|came) to nothing\b", "fails, or has no effect"),
        (r"\bof the moment\b", "current"),
        (r"\b(?:turn|turns|turned|turning) down\b", "reject"),
        (r"\b(?:look|looks|looked|looking) through\b", "scan"),
        (r"\b(?:give|gives|gave|given|giving) out\b", "return, or allocate"),
        (r"\b(?:hand|hands|handed|handing) out\b", "allocate, or return"),
        (r"\b(?:matters|matter) not\b", "does not matter"),
        (r"\bwithout a word\b", "silently"),
    )
]

# (path, text): a line of the file that holds the text is not checked for words.
EXCEPTIONS = ()

SKIPPED_FOLDERS = {".git", ".out", "third_party", "node_modules", "__pycache__"}
C_ENDINGS = (".c", ".h", ".cc")
HASH_ENDINGS = (".sh", ".bzl", ".bazel", ".bazelrc", ".cmake")
HASH_NAMES = ("CMakeLists.txt", "test", "demo", "run")

_HASH_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|\'[^\']*\'|(?<![^\s;])#[^\n]*', re.DOTALL)
_PYTHON_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"""|\'\'\'(?:\\.|[^\\])*?\'\'\'|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|#[^\n]*', re.DOTALL
)
_MARKDOWN_CODE = re.compile(
    r"^(```|~~~).*?^\1|`[^`\n]*`|<!--.*?-->|\]\([^)\s]*\)|https?://[^\s)>]+", re.DOTALL | re.MULTILINE
)
_MARKDOWN_BLOCK = re.compile(r"^(```|~~~).*?^\1|<!--.*?-->", re.DOTALL | re.MULTILINE)


def _blanked(text):
    return re.sub(r"[^\n]", " ", text)


def _kept(token, text, keeps):
    """The text with everything turned into spaces but the tokens of which `keeps` is true."""
    out, end = [], 0
    for match in token.finditer(text):
        out.append(_blanked(text[end : match.start()]))
        out.append(match.group(0) if keeps(match) else _blanked(match.group(0)))
        end = match.end()
    out.append(_blanked(text[end:]))
    return "".join(out)


def _is_docstring(match):
    """Whether a triple-quoted string stands alone, which makes it documentation rather than data."""
    line = match.string[match.string.rfind("\n", 0, match.start()) + 1 : match.start()]
    return match.group(0).startswith(('"""', "'''")) and not line.strip()


def prose_of(path, text):
    """The prose of a file, everything else turned into spaces; None for files without any that we know of."""
    name = os.path.basename(path)
    if name.endswith(C_ENDINGS):
        return _kept(c_text.COMMENT_OR_LITERAL, text, lambda match: match.group(0)[0] == "/")
    if name.endswith(".py"):
        return _kept(_PYTHON_TOKEN, text, lambda match: match.group(0)[0] == "#" or _is_docstring(match))
    if name.endswith(HASH_ENDINGS) or name in HASH_NAMES:
        return _kept(_HASH_TOKEN, text, lambda match: match.group(0)[0] == "#")
    if name.endswith(".md"):
        return _MARKDOWN_CODE.sub(lambda match: _blanked(match.group(0)), text)
    return None


def word_problems(path, text):
    prose = prose_of(path, text)
    lines = text.split("\n")
    excused = [words for where, words in EXCEPTIONS if where == path]
    # A word pair may be broken over two lines: line breaks, comment marks and indents count as one space.
    joined = re.sub(r"\n[ \t]*(?:\*(?!/)|//|#+|>)?[ \t]*", lambda match: " " * len(match.group(0)), prose)
    joined = re.sub(r" {2,}", lambda match: " " + "\0" * (len(match.group(0)) - 1), joined)
    places = [place for place, letter in enumerate(joined) if letter != "\0"]
    squeezed = joined.replace("\0", "")
    found = []
    for pattern, advice in WORDS:
        for match in pattern.finditer(squeezed):
            line = c_text.line_of(text, places[match.start()])
            if not any(words in lines[line - 1] for words in excused):
                found.append((line, '"%s": write %s' % (match.group(0).strip(), advice)))
    return found


def width_problems(text):
    found = []
    # Only the line breaks of code and comments are kept.
    bare = _MARKDOWN_BLOCK.sub(lambda match: "\n" * match.group(0).count("\n"), text)
    for number, line in enumerate(bare.split("\n"), 1):
        shown = re.sub(r"\]\([^)\s]*\)", "]", line)
        if len(shown) > WIDTH_MAX and not line.lstrip().startswith("|") and " " in shown.strip():
            found.append((number, "%d columns, at most %d fit" % (len(shown), WIDTH_MAX)))
    return found


def files_below(root):
    """Paths of all files that may hold prose, relative to the root, sorted."""
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in SKIPPED_FOLDERS and not name.startswith("bazel-")]
        found += [os.path.relpath(os.path.join(folder, name), root) for name in names]
    return sorted(path for path in found if prose_of(path, "") is not None)


def is_below(path, places):
    return any(path == place or path.startswith(place.rstrip("/") + "/") for place in places)


def check(root, paths=None):
    """Problems as lines of text, of the given files and folders or of all."""
    problems = []
    for path in files_below(root):
        if paths and not is_below(path, paths):
            continue
        text = c_text.read_text(root, path)
        found = word_problems(path, text)
        if path.endswith(".md"):
            found += width_problems(text)
        problems += ["%s:%d: %s" % (path, line, what) for line, what in sorted(found)]
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="*", help="files and folders, relative to the root; all by default")
    arguments = parser.parse_args()
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    problems = check(root, [os.path.normpath(path) for path in arguments.paths])
    for problem in problems:
        print(problem)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
