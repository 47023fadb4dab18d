#!/usr/bin/env python3
"""Describes the binary interface that the public headers declare: what a compiled program relies on.

    tools/describe_abi.py [ROOT] > tests/install/abi.txt     records it, once a release is made

One fact a line, indented below the type that it belongs to: enumerations with the numbers of their names, structures
with size and, of each field, type, offset and size, constants, types of functions, and functions. Names come from the
text of the headers, numbers from the C compiler. tests/install/abi_test.py compares two descriptions (changes).
"""

import glob
import os
import re
import subprocess
import sys
import tempfile

import c_text

# Of a build, not of the interface.
PASSED_OVER = re.compile(r"RHUMB_(VERSION_\w+|API|NODISCARD|\w+_H)$|RHUMB_H$")


def tidy(text):
    """A declaration on one line: "const void *a, size_t n"."""
    return re.sub(r"\s*\*\s*(?=[\w*,)])", " *", re.sub(r"\s+", " ", text)).strip().replace("* *", "**")


def types_of(parameters):
    """Parameters without their names, which may change."""
    return ", ".join(tidy(re.sub(r"(?<=[\s*])\w+\s*$", "", part)) or part.strip() for part in parameters.split(","))


class Headers:
    """What the text of the headers declares."""

    def __init__(self, text):
        code = re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.DOTALL)
        self.enums = {
            name: re.findall(r"\b(RHUMB_\w+)\b\s*(?==|,|$)", body)
            for name, body in re.findall(r"\btypedef enum (\w+) \{(.*?)\}", code, re.DOTALL)
        }
        self.structs = {
            name: [self.field(part) for part in body.split(";") if part.strip()]
            for name, body in re.findall(r"\btypedef struct (\w+) \{(.*?)\}", code, re.DOTALL)
        }
        self.constants = [
            name
            for name, value in re.findall(r"^#define (RHUMB_\w+) +(\S.*)$", code, re.MULTILINE)
            if not PASSED_OVER.match(name)
        ]
        self.types = {
            name: "%s(%s)" % (tidy(result), types_of(parameters))
            for result, name, parameters in re.findall(r"\btypedef ([^;{}()]*?)\(\*(\w+)\)\(([^;{}]*?)\);", code)
        }
        self.functions = {
            name: "%s(%s)" % (tidy(result), types_of(parameters))
            for result, name, parameters in re.findall(
                r"\bRHUMB_API\b([^;{}()]*?)(\w+)\s*\(([^;{}()]*)\)[^;{}()]*;", code
            )
        }

    @staticmethod
    def field(text):
        kind, name, places = re.fullmatch(r"\s*(.*?)(\w+)((?:\[[^\]]*\])*)\s*", text, re.DOTALL).groups()
        return name, tidy(kind + "@")[:-1].strip() + places


def questions(headers):
    """(what to print before the number, C expression) for everything that only the compiler knows."""
    for name, values in headers.enums.items():
        yield "enum " + name, None
        for value in values:
            yield "  " + value, "(long long)" + value
    for name, fields in headers.structs.items():
        yield "struct " + name, "(long long)sizeof(%s)" % name
        for field, kind in fields:
            member = "((%s *)0)->%s" % (name, field)
            yield "  %s : %s :" % (field, kind), "(long long)offsetof(%s, %s)" % (name, field)
            yield None, "(long long)sizeof(%s)" % member
    yield "constants", None
    for name in headers.constants:
        yield "  " + name, "(unsigned long long)(%s)" % name


def compile_and_run(root, asked):
    lines = ['#include <stdio.h>', '#include <stddef.h>', '#include "rhumb.h"', "int main(void) {"]
    for label, expression in asked:
        if expression is None:
            lines.append('printf("\\n%s");' % label)
            continue
        form = "%llu" if expression.startswith("(unsigned") else "%lld"
        start = "" if label is None else "\\n" + label
        lines.append('printf("%s %s", %s);' % (start, form, expression))
    lines += ['printf("\\n");', "return 0;", "}"]
    with tempfile.TemporaryDirectory() as folder:
        source, program = os.path.join(folder, "abi.c"), os.path.join(folder, "abi")
        with open(source, "w", encoding="utf-8") as file:
            file.write("\n".join(lines))
        compiler = [os.environ.get("CC", "gcc"), "-std=c17", "-Wall", "-I" + os.path.join(root, "include"), source, "-o", program]
        subprocess.run(compiler, check=True, stderr=subprocess.PIPE, universal_newlines=True)
        return subprocess.run([program], check=True, stdout=subprocess.PIPE, universal_newlines=True).stdout.lstrip()


def describe(root):
    """The description of the headers in root/include, as text."""
    paths = sorted(glob.glob(os.path.join(root, "include", "*.h")))
    headers = Headers("\n".join(c_text.read_text(root, os.path.relpath(path, root)) for path in paths))
    text = compile_and_run(root, questions(headers))
    for title, declared in (("types of functions", headers.types), ("functions", headers.functions)):
        text += title + "\n" + "".join("  %s = %s\n" % (name, declared[name]) for name in sorted(declared))
    return text


def parse(text):
    """A description as {heading: ([numbers after it], {name: rest of its line})}."""
    found = {}
    for line in text.splitlines():
        if line.startswith("#") or not line.strip():
            continue
        if line.startswith("  "):
            name, rest = line.strip().split(" ", 1)
            members[name] = rest.strip()
            continue
        heading = re.fullmatch(r"(.*?)((?: \d+)*)", line)
        members = {}
        found[heading.group(1)] = ([int(number) for number in heading.group(2).split()], members)
    return found


def field_numbers(text):
    """"uint8_t[16] : 24 16", as it follows the name of a field -> type, offset, size."""
    kind, numbers = re.fullmatch(r": (.*) : (\d+ \d+)", text).groups()
    offset, size = map(int, numbers.split())
    return kind, offset, size


def struct_changes(heading, old, new):
    (old_size,), old_fields = old
    (new_size,), new_fields = new
    for name, fact in old_fields.items():
        if name not in new_fields:
            yield "%s.%s: is gone" % (heading, name)
        elif new_fields[name] != fact:
            yield "%s.%s: was type, offset and size %s, is %s" % (
                heading, name, field_numbers(fact), field_numbers(new_fields[name]))  # fmt: skip
    added = [name for name in new_fields if name not in old_fields]
    if (added or new_size != old_size) and next(iter(old_fields)) != "size":
        yield "%s: has no size of its own, so nothing may be added" % heading
    if new_size < old_size:
        yield "%s: has shrunk from %d bytes to %d" % (heading, old_size, new_size)
    for name in added:
        if field_numbers(new_fields[name])[1] < old_size:
            yield "%s.%s: is new and lies within the %d bytes that older programs know; fields are added after them" % (
                heading, name, old_size)  # fmt: skip


def changes(old_text, new_text):
    """What of a new description breaks programs that were compiled for the old one. Additions do not."""
    old, new = parse(old_text), parse(new_text)
    found = []
    for heading, (numbers, members) in old.items():
        if heading not in new:
            found.append(heading + ": is gone")
        elif heading.startswith("struct "):
            found += struct_changes(heading, (numbers, members), new[heading])
        else:
            for name, fact in members.items():
                present = new[heading][1].get(name)
                if present != fact:
                    found.append("%s, %s: was %s, %s" % (heading, name, fact, "is " + present if present else "is gone"))
    return found


if __name__ == "__main__":
    print("# The binary interface of the last release, as tools/describe_abi.py describes it. Not to be edited.")
    sys.stdout.write(describe(sys.argv[1] if len(sys.argv) > 1 else "."))
