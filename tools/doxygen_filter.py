#!/usr/bin/env python3
"""Writes a public header with its comments as Doxygen wants them: tools/doxygen_filter.py HEADER.

The headers have plain comments, for readers. Their form is fixed (tests/docs/manual_test.py), so that this can translate:

  /* ... */ before a declaration             /** ... */
  /* ... */ after a declaration              /**< ... */
  /* ---- title ---- */                      a named group of members, up to the next one
  "Parameters:" and its entries              @param NAME TEXT
  "Errors:" and its entries                  @retval STATUS TEXT, for each status of an entry
  the file's top comment                     @file; that of rhumb.h is the main page
  METRICS, a comment of its own              a page
  a line in capitals at its beginning        @section
  code and tables (indent, columns)          @code and @verbatim
"""

import os
import re
import sys

COMMENT = re.compile(r"/\*(.*?)\*/", re.DOTALL)
ENTRY = re.compile(r"  (?P<names>\w+(?:, \w+)*)(?: {4,}(?P<text>.*))?$")
CODE_INDENT = 7
TABLE = re.compile(r"\S {3,}\S")


def lines_of(comment):
    """The text of a comment, without its stars; what is indented stays so."""
    lines = [re.sub(r"^ ?\*? ?", "", line) if i > 0 else line[1:] for i, line in enumerate(comment.split("\n"))]
    return [line.rstrip() for line in lines]


def entries_of(lines):
    """[(names, text)] of the lines of a section; names is empty for a sentence of its own."""
    found = []
    for line in lines:
        entry = ENTRY.match(line)
        if entry and not (found and line.startswith("   ")):
            found.append((entry.group("names").split(", "), entry.group("text") or ""))
        elif line.startswith("  and ") or not found:
            found.append(([], line.strip()))
        else:
            found[-1] = (found[-1][0], found[-1][1] + " " + line.strip())
    return found


def section_text(command, lines):
    out = []
    for names, text in entries_of(lines):
        out += ["%s %s %s" % (command, name, text) for name in names] or ["", text[:1].upper() + text[1:] + ".", ""]
    return out


def paragraph_text(lines, in_page):
    if all(line.startswith(" " * CODE_INDENT) for line in lines):
        return ["@code{.c}"] + [line[CODE_INDENT:] for line in lines] + ["@endcode"]
    if in_page and any(TABLE.search(line) for line in lines):
        return ["@verbatim"] + lines + ["@endverbatim"]
    if in_page:
        return [line[2:] if line.startswith("  ") else line for line in lines]
    return lines


def paragraphs_of(lines):
    out = [[]]
    for line in lines:
        if line:
            out[-1].append(line)
        elif out[-1]:
            out.append([])
    return [paragraph for paragraph in out if paragraph]


def translate(lines, in_page):
    out = []
    for paragraph in paragraphs_of(lines):
        title = re.fullmatch(r"[A-Z][A-Z ]+", paragraph[0])
        if in_page and title:
            name = paragraph.pop(0)
            out += ["@section %s %s" % (name.lower().replace(" ", "_"), name.capitalize()), ""]
        if not paragraph:
            continue
        if paragraph[0] == "Parameters:":
            out += section_text("@param", paragraph[1:])
        elif paragraph[0].startswith("Errors:"):
            remark = paragraph[0][len("Errors:") :].strip()
            out += [remark[:1].upper() + remark[1:], ""] + section_text("@retval", paragraph[1:])
        else:
            out += paragraph_text(paragraph, in_page)
        out.append("")
    return out


def comment_text(begin, lines):
    return "%s\n%s\n*/" % (begin, "\n".join(line.replace("*/", "* /") for line in lines))


class Filter:
    def __init__(self, name):
        self.name = name
        self.in_group = False
        self.is_first = True

    def end_group(self):
        if not self.in_group:
            return ""
        self.in_group = False
        return "/** @} */\n"

    def replace(self, match):
        text, position = match.string, match.start()
        lines = lines_of(match.group(1))
        group = re.fullmatch(r"-+ (.*?) -+ ?", " ".join(lines))
        before = text[text.rfind("\n", 0, position) + 1 : position].strip()
        if group:
            end, self.in_group = self.end_group(), True
            return "%s/** @name %s\n@{ */" % (end, group.group(1)[:1].upper() + group.group(1)[1:])
        if before.startswith("#") and not before.startswith("#define"):
            return match.group(0)
        if before:
            return "/**< %s */" % " ".join(line.strip() for line in lines)
        is_page = lines[0] == "METRICS" or (self.is_first and self.name == "rhumb.h")
        if self.is_first:
            self.is_first = False
            if is_page:
                return "/** @file */\n" + comment_text("/** @mainpage", translate(lines, True))
            return comment_text("/** @file", translate(re.sub(r"^\S+ - ", "", "\n".join(lines)).split("\n"), False))
        if is_page:
            return comment_text("/** @page metrics Metrics", translate(lines[1:], True))
        if not text[match.end() :].startswith("\n"):
            return match.group(0)
        return comment_text("/**", translate(lines, False))

    def run(self, text):
        out = COMMENT.sub(self.replace, text)
        end = self.end_group()
        mark = "#ifdef __cplusplus\n}"
        return out.replace(mark, end + mark) if end else out


def main():
    path = sys.argv[1]
    with open(path, encoding="utf-8") as file:
        sys.stdout.write(Filter(os.path.basename(path)).run(file.read()))


if __name__ == "__main__":
    main()
