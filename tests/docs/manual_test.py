"""Goal: the public headers can be looked things up in: each function and each field says what it is, in the form that
rhumb.h promises, and names only statuses and parameters that exist.

Method: the declarations of the headers are compared with the comments before and after them. The same comparison must object
to headers with one thing wrong, for each rule.
"""

import glob
import os
import re
import unittest

import c_text

FUNCTION = re.compile(r"(?:/\*(?P<comment>(?:(?!\*/).)*)\*/\n)?^RHUMB_API\b(?P<result>[^;]*?)(?P<name>rhumb_\w+)\((?P<parameters>[^;]*?)\)[^;()]*;",
                      re.DOTALL | re.MULTILINE)  # fmt: skip
STRUCT = re.compile(r"^typedef struct (\w+) \{\n(.*?)^\}", re.DOTALL | re.MULTILINE)
FIELD = re.compile(r"^    [\w ]+?[ *]+(?:const \*)?(\w+)(?:\[[^\]]*\])?;[ \t]*(?:/\*(.*?)\*/)?$", re.DOTALL | re.MULTILINE)
ENTRY = re.compile(r"^ \*   (\w+(?:, \w+)*)(?: {4,}|$)")


def section(comment, title):
    """The lines of a comment after "Parameters:" or "Errors:", to the next empty line."""
    match = re.search(r"^ \* %s:.*?$\n(.*?)(?=^ \*\n|^ ?\Z)" % title, comment, re.DOTALL | re.MULTILINE)
    return match.group(1).rstrip().split("\n") if match else []


def parameter_names(parameters):
    return {re.search(r"(\w+)\s*$", part).group(1) for part in parameters.split(",") if part.strip() != "void"}


def wrong_in_function(match, statuses):
    name, comment = match.group("name"), match.group("comment")
    if comment is None:
        return ["%s: no comment before it" % name]
    found = []
    first = re.sub(r"\n \* ", " ", comment.split("\n *\n")[0]).strip()
    if not re.match(r"[A-Z].*[.:]$", first, re.DOTALL):
        found.append("%s: does not begin with a sentence: %s" % (name, first))
    known = parameter_names(match.group("parameters"))
    for line in section(comment, "Parameters"):
        entry = ENTRY.match(line)
        if entry and entry.group(1) not in known:
            found.append("%s: no parameter %s" % (name, entry.group(1)))
    listed = []
    for line in section(comment, "Errors"):
        if re.match(r" \*   RHUMB_", line):
            listed += re.findall(r"\bRHUMB_E_\w+", line.split("    ")[0])
    found += ["%s: %s is listed twice" % (name, status) for status in set(listed) if listed.count(status) > 1]
    if listed and "rhumb_status" not in match.group("result"):
        found.append("%s: lists errors and returns none" % name)
    found += ["%s: no status %s" % (name, s) for s in re.findall(r"\bRHUMB_E_\w+", comment) if s not in statuses]
    return found


def wrong_in_struct(name, body):
    found = []
    fields = FIELD.findall(body)
    if len(fields) != c_text.blank(body).count(";"):
        found.append("%s: not every field was understood" % name)
    for field, comment in fields:
        text = re.sub(r"\s+", " ", comment).strip()
        if not re.match(r"(?:[A-Z]|sizeof\(|rhumb_).*\.$", text):
            found.append("%s.%s: not a sentence: %r" % (name, field, text))
    return found


def wrong_in(headers):
    statuses = set(re.findall(r"^    (RHUMB_E_\w+) = ", headers["include/rhumb_types.h"], re.MULTILINE))
    found = []
    for text in headers.values():
        for match in FUNCTION.finditer(text):
            found += wrong_in_function(match, statuses)
        for name, body in STRUCT.findall(text):
            found += wrong_in_struct(name, body)
    listed = set(re.findall(r"^ \*   (rhumb\w*\.h) ", headers["include/rhumb.h"], re.MULTILINE))
    found += ["%s: not in the list of rhumb.h, or not there" % n for n in listed ^ set(map(os.path.basename, headers))]
    return found


class Manual(unittest.TestCase):
    def setUp(self):
        self.headers = {path: c_text.read_text(os.getcwd(), path) for path in glob.glob("include/*.h")}

    def test_every_declaration_is_explained(self):
        self.assertEqual(wrong_in(self.headers), [])

    def test_every_declaration_is_seen(self):
        for path, text in self.headers.items():
            self.assertEqual(len(list(FUNCTION.finditer(text))), len(re.findall(r"^RHUMB_API\b", text, re.MULTILINE)), path)
            self.assertEqual(len(STRUCT.findall(text)), len(re.findall(r"\bstruct \w+ \{", c_text.blank(text))), path)

    def test_one_thing_wrong_is_found(self):
        for header, old, new in (
            ("rhumb.h", " *   changed    receives", " *   newer      receives"),
            ("rhumb.h", " *   RHUMB_E_EXISTS  ", " *   RHUMB_E_EXISTING  "),
            ("rhumb_write.h", " *   RHUMB_E_DOMAIN        the", " *   RHUMB_E_EXISTS        the"),
            ("rhumb.h", "/* Returns the version of the file format that this library writes. */\n", ""),
            ("rhumb.h", "/* Returns the version of the library", "/* the version of the library"),
            ("rhumb_stats.h", "/* Duration of the last compaction. */", "/* how long it took, */"),
            ("rhumb_stats.h", " /* Duration of the last compaction. */", ""),
            ("rhumb.h", " *   rhumb_stats.h ", " *   rhumb_statistics.h "),
        ):
            path = "include/" + header
            self.assertIn(old, self.headers[path], "this test's own example is gone")
            changed = dict(self.headers, **{path: self.headers[path].replace(old, new, 1)})
            self.assertNotEqual(wrong_in(changed), [], new)


if __name__ == "__main__":
    unittest.main()
