"""Goal: bindings/julia/Rhumb.jl declares the C interface as it is, and docs/hnsw_rs.md names nothing that is not there.

Method: the ccall forms and structs of the module are compared with the prototypes in the headers, and with sizes and
offsets that the C compiler is asked for. The same comparison must object to a module with one thing wrong, for each kind of thing.
"""

import glob
import os
import re
import subprocess
import tempfile
import unittest

import c_text

HEADERS = sorted(glob.glob("include/*.h"), key=lambda path: (path != "include/rhumb_types.h", path))

# What a C type may be called in Julia. Pointers follow from these (julia_types).
NUMBERS = {
    "bool": ("Bool",),
    "float": ("Float32", "Cfloat"),
    "double": ("Float64", "Cdouble"),
    "size_t": ("Csize_t",),
    "int32_t": ("Int32",),
    "uint8_t": ("UInt8",),
    "uint32_t": ("UInt32",),
    "uint64_t": ("UInt64",),
    "void": ("Cvoid",),
    "rhumb_status": ("Cint",),  # has negative numbers; the other enumerations have none, so C compilers make them unsigned
}
JULIA_LAYOUT = {  # bytes, which are the alignment too
    "Bool": 1, "UInt8": 1, "Cint": 4, "Int32": 4, "UInt32": 4, "Float32": 4, "Float64": 8, "UInt64": 8, "Csize_t": 8,
}  # fmt: skip


def split_types(text):
    """The parts of "a, B{c, d}, e", without the brackets' commas taken for separators."""
    parts, depth, start = [], 0, 0
    for i, letter in enumerate(text + ","):
        depth += (letter in "({[") - (letter in ")}]")
        if letter == "," and depth <= 0:
            parts.append(text[start:i].strip())
            start = i + 1
    return [part for part in parts if part]


def closing(text, start):
    """Where the parenthesis that opens at `start` closes."""
    depth = 0
    for i in range(start, len(text)):
        depth += (text[i] == "(") - (text[i] == ")")
        if depth == 0:
            return i
    raise ValueError("no closing parenthesis: " + text[start : start + 80])


class C:
    """What the headers declare: prototypes as name -> (return type, [types]), and the names of enumerations."""

    def __init__(self, text):
        code = c_text.blank(text)
        self.enums = set(re.findall(r"\btypedef enum (\w+)", code))
        self.prototypes = {}
        for result, name, parameters in re.findall(r"\bRHUMB_API\b([^;{}()]*?)(\w+)\s*\(([^;{}]*)\)[^;()]*;", code):
            declared = [] if parameters.strip() == "void" else split_types(parameters)
            types = [self.bare(re.sub(r"\w+\s*$", "", declaration)) for declaration in declared]
            self.prototypes[name] = (self.bare(result), types)

    @staticmethod
    def bare(text):
        """A type without const and spaces: "uint64_t*"."""
        return re.sub(r"\s+", "", re.sub(r"\b(const|struct)\b", "", text))


class Julia:
    """What a module declares: ccalls as (name, return type, [types], number of arguments), and structs by their C names."""

    def __init__(self, module):
        # Neither comments nor texts of several lines hold code. Other texts stay: none has a parenthesis of its own.
        self.code = re.sub(r'"""(.*?)"""', "", module, flags=re.DOTALL)
        self.calls = []
        for match in re.finditer(r"\bccall\(", self.code):
            inside = self.code[match.end() : closing(self.code, match.end() - 1)]
            function, result, types, *arguments = split_types(inside)
            name = re.fullmatch(r"\(:(\w+), library\)", function).group(1)
            self.calls.append((name, result, split_types(types[1:-1]), len(arguments)))
        self.structs = {}  # C name -> (Julia name, whole, [(field, type)])
        pattern = r"^# C: (the beginning of )?(\w+)\n(?:mutable )?struct (\w+)\n(.*?)^end"
        for beginning, c_name, name, body in re.findall(pattern, self.code, re.DOTALL | re.MULTILINE):
            self.structs[c_name] = (name, not beginning, re.findall(r"^ +(\w+)::(.+)$", body, re.MULTILINE))


def julia_types(c_type, c, julia):
    """What a type may be called in Julia, when it is an argument or a result."""
    if c_type in NUMBERS:
        return NUMBERS[c_type]
    if c_type in c.enums:
        return ("UInt32",)
    target = c_type[:-1]
    if target == "char":
        return ("Cstring", "Ptr{UInt8}")
    if target == "void":
        return ("Ptr{Cvoid}", "Ptr{Float32}")
    if target in julia.structs:
        return tuple(kind % julia.structs[target][0] for kind in ("Ref{%s}", "Ptr{%s}"))
    if target.endswith("*") or target in NUMBERS:
        return tuple(kind % inner for inner in julia_types(target, c, julia) for kind in ("Ref{%s}", "Ptr{%s}"))
    return ("Ptr{Cvoid}",)  # a handle


def wrong_calls(c, julia):
    found = []
    for name, result, types, argument_count in julia.calls:
        if name not in c.prototypes:
            found.append(name + ": no such function")
            continue
        c_result, c_types = c.prototypes[name]
        if result not in julia_types(c_result, c, julia):
            found.append("%s: returns %s, declared as %s" % (name, c_result, result))
        if not len(c_types) == len(types) == argument_count:
            found.append("%s: %d parameters, %d types, %d arguments" % (name, len(c_types), len(types), argument_count))
        for i, (c_type, declared) in enumerate(zip(c_types, types)):
            if declared not in julia_types(c_type, c, julia):
                found.append("%s: parameter %d is %s, declared as %s" % (name, i + 1, c_type, declared))
    return found


def size_and_alignment(julia_type):
    if julia_type.startswith("Ptr{"):
        return 8, 8
    array = re.fullmatch(r"NTuple\{(\d+),\s*(\w+)\}", julia_type)
    if array:
        return int(array.group(1)) * JULIA_LAYOUT[array.group(2)], JULIA_LAYOUT[array.group(2)]
    return JULIA_LAYOUT[julia_type], JULIA_LAYOUT[julia_type]


def ask_compiler(root, structs):
    """{"struct": size, "struct.field": (offset, size, kind)} of C; a field that C does not have fails the compilation.
    Kind is f for floating-point numbers, p for pointers and a for arrays, i for the rest."""
    lines = []
    for c_name, (_, _, fields) in structs.items():
        lines.append('printf("%s %%zu\\n", sizeof(%s));' % (c_name, c_name))
        for field, _ in fields:
            member = "((%s *)0)->%s" % (c_name, field.replace("__", "."))
            kind = "_Generic(%s, float: 'f', double: 'f', bool: 'i', default: __builtin_classify_type(%s) == 5 ? " % (
                (member,) * 2
            )
            kind += "(sizeof(%s) == sizeof(void *) ? 'p' : 'a') : 'i')" % member
            lines.append(
                'printf("%s.%s %%zu %%zu %%c\\n", offsetof(%s, %s), sizeof(%s), %s);'
                % (c_name, field, c_name, field.replace("__", "."), member, kind)
            )
    program = '#include <stdio.h>\n#include "rhumb.h"\nint main(void) {\n%s\n}\n' % "\n".join(lines)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "layout")
        command = ["gcc", "-x", "c", "-iquote", "include", "-o", path, "-"]
        subprocess.run(command, input=program, text=True, check=True, cwd=root, stderr=subprocess.PIPE)
        output = subprocess.run([path], check=True, capture_output=True, text=True).stdout
    layout = {}
    for name, *values in map(str.split, output.splitlines()):
        layout[name] = int(values[0]) if len(values) == 1 else (int(values[0]), int(values[1]), values[2])
    return layout


def kind_of(julia_type):
    if julia_type.startswith("Ptr{"):
        return "p"
    return {"F": "f", "N": "a"}.get(julia_type[0], "i")


def wrong_structs(root, julia):
    try:
        layout = ask_compiler(root, julia.structs)
    except subprocess.CalledProcessError as error:
        return ["the compiler says: " + error.stderr]
    found = []
    for c_name, (_, whole, fields) in julia.structs.items():
        end, alignment_max = 0, 1
        for field, julia_type in fields:
            size, alignment = size_and_alignment(julia_type)
            offset = -(-end // alignment) * alignment
            expected, seen = layout["%s.%s" % (c_name, field)], (offset, size, kind_of(julia_type))
            if expected != seen:
                found.append("%s.%s: offset, size, kind %s, declared as %s" % (c_name, field, expected, seen))
            end, alignment_max = offset + size, max(alignment, alignment_max)
        total = -(-end // alignment_max) * alignment_max
        if (total != layout[c_name]) if whole else (total > layout[c_name]):
            found.append("%s: %d bytes, declared as %d" % (c_name, layout[c_name], total))
    return found


class JuliaModule(unittest.TestCase):
    def setUp(self):
        self.root = os.getcwd()
        self.headers = "\n".join(c_text.read_text(self.root, header) for header in HEADERS)
        self.module = c_text.read_text(self.root, "bindings/julia/Rhumb.jl")
        self.c = C(self.headers)

    def wrong(self, old=None, new=None):
        text = self.module
        if old is not None:
            self.assertIn(old, text, "this test's own example is gone")
            text = text.replace(old, new, 1)
        julia = Julia(text)
        return wrong_calls(self.c, julia) + wrong_structs(self.root, julia)

    def test_the_module_declares_what_the_headers_do(self):
        self.assertEqual(self.wrong(), [])

    def test_everything_was_looked_at(self):
        julia = Julia(self.module)
        self.assertEqual(len(julia.calls), julia.code.count("ccall("))
        self.assertEqual(len(julia.structs), len(re.findall(r"^# C: ", julia.code, re.MULTILINE)))
        self.assertGreaterEqual(
            {name for name, _, _, _ in julia.calls},
            {"rhumb_index_" + verb for verb in ("create", "open", "insert_batch", "search_batch", "delete", "close")},
        )
        # Every structure whose address is handed over has been compared.
        handed = set(re.findall(r"(?:Ref|Ptr)\{(\w+)\}", " ".join(" ".join(types) for _, _, types, _ in julia.calls)))
        plain = set(JULIA_LAYOUT) | {"Cvoid"}
        self.assertLessEqual(handed - plain, {name for name, _, _ in julia.structs.values()})
        for name, number in re.findall(r"^const (ELEMENT_\w+) = UInt32\((\d+)\)", julia.code, re.MULTILINE):
            self.assertRegex(self.headers, r"\bRHUMB_%s = %s\b" % (name, number))
        self.assertGreater(len(self.c.prototypes), 60)
        self.assertEqual(set(re.findall(r"\bRHUMB_API[^;]*?\b(rhumb_\w+)\(", c_text.blank(self.headers))),
                         set(self.c.prototypes))  # fmt: skip

    def test_one_thing_wrong_is_found(self):
        for old, new in (
            (":rhumb_index_delete,", ":rhumb_index_remove,"),
            ("Cint, (Ptr{Cvoid}, UInt64), handle_of", "Cint, (Ptr{Cvoid}, UInt32), handle_of"),
            ("Cint, (Ptr{Cvoid}, UInt64), handle_of", "Cint, (UInt64, Ptr{Cvoid}), handle_of"),
            ("Cint, (Ptr{Cvoid}, UInt64), handle_of", "Cvoid, (Ptr{Cvoid}, UInt64), handle_of"),
            ("Cint, (Ptr{Cvoid}, UInt64), handle_of(index), key", "Cint, (Ptr{Cvoid},), handle_of(index)"),
            ("handle_of(index), key))", "handle_of(index)))"),
            ("library), UInt64, (Ptr{Cvoid},), handle_of", "library), UInt32, (Ptr{Cvoid},), handle_of"),
            ("(Cstring, Ref{IndexOptions}, Ref{Ptr{Cvoid}})", "(Cstring, Ref{OpenOptions}, Ref{Ptr{Cvoid}})"),
            ("(Cstring, Ref{IndexOptions}, Ref{Ptr{Cvoid}})", "(Cstring, Ref{IndexOptions}, Ptr{Cvoid})"),
            ("Ref{SearchOptions}, Ptr{UInt64}, Ptr{Float32}", "Ref{SearchOptions}, Ptr{UInt64}, Ptr{Float64}"),
        ):
            self.assertIn(old, self.module)
            self.assertNotEqual(wrong_calls(self.c, Julia(self.module.replace(old, new, 1))), [], new)
        for old, new in (
            ("    seed::UInt64\n", ""),
            ("    seed::UInt64\n", "    seed::UInt32\n"),
            ("    seed::UInt64\n", "    seed::Float64\n"),
            ("    M::UInt32\n    M0::UInt32\n", "    M0::UInt32\n    M::UInt32\n"),
            ("    normalise::Bool\n", "    normalize::Bool\n"),
            ("    open::Ptr{Cvoid}\n", ""),
            ("path::NTuple{256,UInt8}", "path::NTuple{255,UInt8}"),
            ("sync_interval_ms::UInt32", "sync_interval_ms::UInt64"),
        ):
            self.assertNotEqual(self.wrong(old, new), [], new)

    def test_the_table_of_calls_names_what_is_there(self):
        table = c_text.read_text(self.root, "docs/hnsw_rs.md")
        names = set(re.findall(r"\b(?:rhumb_|RHUMB_)\w*\w\b", table)) - {"RHUMB_LIBRARY", "RHUMB_LOG"}  # of the environment
        words = set(re.findall(r"\b\w+\b", c_text.blank(self.headers)))
        self.assertGreater(len(names), 60)
        self.assertEqual(sorted(names - words), [])
        functions = set(re.findall(r"\bRhumb\.(\w+!?)", table))
        defined = set(re.findall(r"^(?:function )?(\w+!?)\(", Julia(self.module).code, re.MULTILINE))
        self.assertGreater(len(functions), 5)
        self.assertEqual(sorted(functions - defined), [])


if __name__ == "__main__":
    unittest.main()
