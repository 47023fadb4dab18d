#!/usr/bin/env python3
"""The public headers as one description of the interface, and what other languages need of it.

    tools/c_api.py            says which generated files are out of date; the exit code is 1 if any is
    tools/c_api.py --write    writes them

Names, types and parameters come from the text of the headers, numbers and offsets from the C compiler
(describe_abi.py). Generated are
    bindings/julia/src/LibRhumb.jl              constants, structs and functions for Julia
    bindings/python/native/fields_tables.h      the fields of structs that Python shows or sets, texts of enumerations
    bindings/python/rhumb/options.py            options as keyword arguments, for type checkers
    bindings/python/rhumb/_native.pyi           the part of it that describes what the library fills
"""

import argparse
import os
import re
import sys

import c_text
import describe_abi

COLUMNS_MAX = 120
NOTE = "Made by tools/c_api.py from include/; not to be edited."

# ---- the description ------------------------------------------------------------------------------------------------


class Field:
    """A field of a struct: `type` is C's, without const, such as "uint32_t", "char[256]" or "struct rhumb_filter *"."""

    def __init__(self, name, fact):
        declared, self.offset, self.bytes = describe_abi.field_numbers(fact)
        self.name, self.type = name, bare(declared)


class Interface:
    """What the headers in root/include declare.

    enums: {name: {constant: number}}; structs: {name: (bytes, [Field])}; constants: {name: number};
    callbacks: names of types of functions; functions: {name: (result type, [(type, parameter name)])}.
    """

    def __init__(self, root):
        text = describe_abi.describe(root)
        self.enums, self.structs = {}, {}
        for heading, (numbers, members) in describe_abi.parse(text).items():
            kind, _, name = heading.partition(" ")
            if kind == "enum":
                self.enums[name] = {constant: int(number) for constant, number in members.items()}
            elif kind == "struct":
                self.structs[name] = numbers[0], [Field(field, fact) for field, fact in members.items()]
            elif heading == "constants":
                self.constants = {constant: int(number) for constant, number in members.items()}
            elif heading == "types of functions":
                self.callbacks = set(members)
        self.functions = dict(sorted(functions_of(headers_text(root))))

    def grows(self, struct):
        """Whether a struct begins with its size, so that later versions may add fields."""
        return self.structs[struct][1][0].name == "size"


def headers_text(root):
    folder = os.path.join(root, "include")
    names = sorted(name for name in os.listdir(folder) if name.endswith(".h"))
    text = "\n".join(c_text.read_text(root, "include/" + name) for name in names)
    return re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.DOTALL)


def bare(declaration):
    """A type without const and with single spaces: "struct rhumb_filter **"."""
    tidy = re.sub(r"\s+", " ", re.sub(r"\bconst\b", " ", declaration)).strip()
    return re.sub(r"\s*\*\s*", "*", tidy).replace("*", " *", 1)


def functions_of(code):
    for result, name, parameters in re.findall(r"\bRHUMB_API\b([^;{}()]*?)(\w+)\s*\(([^;{}()]*)\)[^;{}()]*;", code):
        declared = [] if parameters.strip() == "void" else parameters.split(",")
        pairs = [re.fullmatch(r"\s*(.*?)(\w+)\s*", text, re.DOTALL).groups() for text in declared]
        yield name, (bare(result), [(bare(kind), parameter) for kind, parameter in pairs])


def texts_of(enum, constants):
    """What the constants of an enumeration are called outside C: {"full": "RHUMB_DURABILITY_FULL"}."""
    prefix = enum.upper() + "_"
    if not all(constant.startswith(prefix) for constant in constants):  # RHUMB_E_INVALID, RHUMB_INFO_VERSION
        prefix = os.path.commonprefix(list(constants))
    return {constant[len(prefix) :].lower(): constant for constant in constants}


# ---- Julia ----------------------------------------------------------------------------------------------------------

JULIA_NUMBERS = {
    "bool": "Bool", "float": "Float32", "double": "Float64", "size_t": "Csize_t", "int32_t": "Int32",
    "uint8_t": "UInt8", "uint32_t": "UInt32", "uint64_t": "UInt64", "char": "UInt8", "void": "Cvoid",
}  # fmt: skip
JULIA_BYTES = {"Bool": 1, "UInt8": 1, "Int32": 4, "UInt32": 4, "Float32": 4, "Float64": 8, "UInt64": 8, "Csize_t": 8}
JULIA_KEYWORDS = {"function", "end", "begin", "global", "local", "module", "let", "do", "for", "in"}


def julia_value(c, kind):
    """A type that is not a pointer."""
    if kind in c.enums:
        return "Int32" if min(c.enums[kind].values()) < 0 else "UInt32"
    return "Ptr{Cvoid}" if kind in c.callbacks else JULIA_NUMBERS[kind]


def julia_argument(c, kind):
    """The type of an argument or a result in a ccall.

    Structs that begin with their size are mutable in Julia and passed by Ref; arrays and out-parameters are pointers,
    which take arrays, Refs and C_NULL.
    """
    if not kind.endswith("*"):
        return julia_value(c, kind)
    target = kind[:-1].strip()
    if target == "char":
        return "Cstring"
    if target.endswith("*"):
        return "Ptr{%s}" % julia_argument(c, target)
    target = target.removeprefix("struct ")
    if target in c.structs:
        return ("Ref{%s}" if c.grows(target) else "Ptr{%s}") % target
    return "Ptr{%s}" % JULIA_NUMBERS.get(target, julia_value(c, target) if target in c.enums else "Cvoid")


def julia_field(c, field):
    array = re.fullmatch(r"(\w+)\[.*\]", field.type)
    if array:
        element = julia_value(c, array.group(1))
        return "NTuple{%d,%s}" % (field.bytes // JULIA_BYTES[element], element)
    if field.type.endswith("*"):
        return "Ptr{UInt8}" if field.type == "char *" else "Ptr{Cvoid}"
    return julia_value(c, field.type)


def julia_layout(julia_type):
    """(bytes, alignment), as Julia lays out a field of this type."""
    array = re.fullmatch(r"NTuple\{(\d+),(\w+)\}", julia_type)
    if array:
        return int(array.group(1)) * JULIA_BYTES[array.group(2)], JULIA_BYTES[array.group(2)]
    size = 8 if julia_type.startswith("Ptr{") else JULIA_BYTES[julia_type]
    return size, size


def check_julia_layout(struct, size, fields):
    """Both languages must put every field in the same place: `fields` are pairs of a Field and its type in Julia."""
    end, widest = 0, 1
    for field, julia_type in fields:
        width, alignment = julia_layout(julia_type)
        offset = -(-end // alignment) * alignment
        if (offset, width) != (field.offset, field.bytes):
            raise ValueError("%s.%s: at %d in C and at %d in Julia" % (struct, field.name, field.offset, offset))
        end, widest = offset + width, max(widest, alignment)
    if -(-end // widest) * widest != size:
        raise ValueError("%s: %d bytes in C, %d in Julia" % (struct, size, end))


def julia_struct(c, name):
    size, fields = c.structs[name]
    typed = [(field, julia_field(c, field)) for field in fields]
    check_julia_layout(name, size, typed)
    lines = ["%sstruct %s" % ("mutable " if c.grows(name) else "", name)]
    lines += ["    %s::%s" % (field.name, julia_type) for field, julia_type in typed]
    if c.grows(name):
        lines.append("    %s() = new()" % name)
    return "\n".join(lines + ["end\n"])


def julia_function(c, name):
    result, parameters = c.functions[name]
    names = [parameter + "_" if parameter in JULIA_KEYWORDS else parameter for _, parameter in parameters]
    types = ", ".join(julia_argument(c, kind) for kind, _ in parameters) + ("," if len(parameters) == 1 else "")
    returned = "Cvoid" if result == "void" else julia_argument(c, result).replace("Ref{", "Ptr{")
    call = ["(:%s, library)" % name, returned, "(%s)" % types] + names
    head = "%s(%s) =" % (name, ", ".join(names))
    one = "    ccall(%s)" % ", ".join(call)
    if len(one) > COLUMNS_MAX:
        one = "    ccall(%s, %s, (%s),\n          %s)" % (call[0], call[1], types, ", ".join(names))
    if max(map(len, one.split("\n"))) > COLUMNS_MAX:
        kinds = wrapped(types.split(", "), 11)
        one = "    ccall(%s, %s,\n          (%s),\n          %s)" % (call[0], call[1], kinds, ", ".join(names))
    return head + "\n" + one + "\n"


def wrapped(words, indent):
    lines, line = [], ""
    for i, word in enumerate(words):
        piece = word + ("," if i + 1 < len(words) else "")
        if line and indent + len(line) + 1 + len(piece) > COLUMNS_MAX - 3:
            lines.append(line)
            line = piece
        else:
            line = (line + " " + piece).strip()
    return ("\n" + " " * indent).join(lines + [line])


def julia_choices(c):
    """The texts that fields of enumerations may be set to."""
    lines = []
    for struct, (_, fields) in c.structs.items():
        for field in fields:
            if field.type in c.enums and field.type != "rhumb_status" and c.grows(struct):
                lines.append("    (%s, :%s) => %s," % (struct, field.name, field.type + "_texts"))
    return "const choices = Dict{Tuple{DataType,Symbol},Dict{Symbol,UInt32}}(\n%s\n)\n" % "\n".join(lines)


def julia_enum(c, name):
    pairs = [":%s => %s" % (text if text[0].isalpha() else 'Symbol("%s")' % text, constant)
             for text, constant in texts_of(name, c.enums[name]).items()]  # fmt: skip
    pairs = [re.sub(r"^:Symbol", "Symbol", pair) for pair in pairs]
    constants = "".join("const %s = %s(%d)\n" % (constant, julia_value(c, name), number)
                        for constant, number in c.enums[name].items())  # fmt: skip
    texts = "const %s_texts = Dict{Symbol,%s}(\n    %s,\n)\n" % (name, julia_value(c, name), wrapped(pairs, 4))
    return constants + texts


def julia_constant(name, number):
    kind = "UInt32" if number < 1 << 32 else "UInt64"
    return "const %s = %s(%s)\n" % (name, kind, number if number < 1 << 20 else hex(number))


def julia(c):
    parts = ["# LibRhumb.jl - the C interface as it is: constants, structs and functions, named as in the headers.\n"
             "# " + NOTE + "\n\nmodule LibRhumb\n\nconst library = \"librhumb.so.0\"\n"]  # fmt: skip
    parts.append("".join(julia_constant(name, number) for name, number in sorted(c.constants.items())))
    parts += [julia_enum(c, name) for name in sorted(c.enums)]
    parts += [julia_struct(c, name) for name in sorted(c.structs)]
    parts.append(julia_choices(c))
    parts += [julia_function(c, name) for name in c.functions]
    return "\n".join(parts) + "\nend\n"


# ---- Python ---------------------------------------------------------------------------------------------------------

# The structs that Python shows or sets: the name of its table in fields.c, its class in Python or None for options.
PYTHON_STRUCTS = {
    "rhumb_index_stats": ("stats", "Stats"),
    "rhumb_index_options": ("options", "Options"),
    "rhumb_index_info": ("info", "Info"),
    "rhumb_section_info": ("section", "Section"),
    "rhumb_verify_report": ("verify", "VerifyReport"),
    "rhumb_write_report": ("write", "WriteReport"),
    "rhumb_compact_report": ("compact", "CompactReport"),
    "rhumb_merge_report": ("merge", "MergeReport"),
    "rhumb_repair_report": ("repair", "RepairReport"),
    "rhumb_topology_stats": ("topology", "TopologyStats"),
    "rhumb_import_report": ("import_report", "ImportReport"),
    "rhumb_recall_curve": ("recall_curve", "RecallCurve"),
    "rhumb_open_options": ("open", None),
    "rhumb_compact_options": ("compact_options", None),
    "rhumb_merge_options": ("merge_options", None),
    "rhumb_import_options": ("import_options", None),
    "rhumb_export_options": ("export_options", None),
}
# Keyword arguments: class, its base, struct, what is left out because it is passed otherwise, and its first sentence.
PYTHON_OPTIONS = (
    ("OpenOptions", "TypedDict", "rhumb_open_options", (), "How an index is opened"),
    ("CreateOptions", "OpenOptions", "rhumb_index_options", ("dim", "metric", "element"),
     "What an index is created with"),
)  # fmt: skip
TABLE_KINDS = {"uint32_t": "U32", "uint64_t": "U64", "double": "F64", "bool": "BOOL", "char *": "TEXT",
               "rhumb_distance_fn": "ADDRESS", "uint8_t[16]": "UUID", "uint64_t[RHUMB_LEVEL_MAX + 1]": "LEVELS"}  # fmt: skip
STUB_TYPES = {"U32": "int", "U64": "int", "F64": "float", "BOOL": "bool", "TEXT": "str", "ADDRESS": "Any",
              "UUID": "UUID", "LEVELS": "tuple[int, ...]",
              "PINS": "tuple[tuple[int, int, tuple[int, ...]], ...]",
              "POINTS": "tuple[tuple[int, int, float], ...]"}  # fmt: skip
# Fields that count entries of several arrays: fields.c makes one tuple of all of them.
JOINED = {("rhumb_index_info", "pin_count"): ("pins", "PINS"), ("rhumb_recall_curve", "point_count"): ("points", "POINTS")}
TUPLE_METHODS = {"count", "index"}  # which a field of a named tuple hides
STUB_BEGIN, STUB_END = "# ---- " + NOTE + "\n", "# ---- end of what is made\n"


def table_kind(c, field):
    """The kind of a field in fields.c, or None for what Python does not have: structs, progress, contexts."""
    if re.fullmatch(r"char\[\d+\]", field.type):
        return "TEXT"
    if field.type in c.enums:
        return field.type.removeprefix("rhumb_").upper()
    return TABLE_KINDS.get(field.type)


def table_rows(c, struct):
    """[(name, kind)] of a table, with those of JOINED as one."""
    rows = []
    for field in c.structs[struct][1][1:]:
        kind = table_kind(c, field)
        if (struct, field.name) in JOINED:
            rows.append(JOINED[struct, field.name])
        elif struct == "rhumb_index_info" and field.name.startswith("pin_"):
            continue
        elif kind is not None:
            rows.append((field.name, kind))
    return rows


def table_enums(c):
    """The enumerations that appear in tables and whose texts are not the library's own."""
    used = {field.type for struct in PYTHON_STRUCTS for field in c.structs[struct][1] if field.type in c.enums}
    return sorted(used - {"rhumb_metric", "rhumb_element"})


def python_tables(c):
    enums = table_enums(c)
    kinds = ["FIELD_" + enum.removeprefix("rhumb_").upper() for enum in enums]
    lines = ["/* fields_tables.h - the fields of structs that Python shows or sets, and the texts of enumerations.",
             " * %s Part of fields.c. */" % NOTE, "/* clang-format off */",
             "#include <stddef.h>", "", '#include "native.h"', "", "typedef enum field_kind {"]  # fmt: skip
    lines += ["    FIELD_%s," % kind for kind in [*STUB_TYPES, "METRIC", "ELEMENT"]]
    lines += ["    %s," % kind for kind in kinds] + ["} field_kind;", ""]
    lines += ["typedef struct field {\n    const char *name;\n    field_kind kind;\n    size_t offset;\n} field;", "",
              "typedef struct choice {\n    const char *name;\n    uint32_t number;\n} choice;"]  # fmt: skip
    for enum in enums:
        lines.append("\nstatic const choice %s_choices[] = {" % enum.removeprefix("rhumb_"))
        lines += ['    {"%s", %s},' % pair for pair in texts_of(enum, c.enums[enum]).items()] + ["    {0}};"]
    lines.append("\nstatic const choice *const choices[] = {")
    lines += ["    [%s] = %s_choices," % (kind, enum.removeprefix("rhumb_")) for kind, enum in zip(kinds, enums)]
    lines.append("};")
    for struct, (table, _) in PYTHON_STRUCTS.items():
        lines.append("\nstatic const field %s_fields[] = {" % table)
        lines += ['    {"%s", FIELD_%s, 0},' % (name, kind) if (name, kind) in JOINED.values() else
                  '    {"%s", FIELD_%s, offsetof(%s, %s)},' % (name, kind, struct, name)
                  for name, kind in table_rows(c, struct)]  # fmt: skip
        lines.append("    {0}};")
    return "\n".join(lines) + "\n"


def stub_class(c, struct, name):
    lines = ["@final", "class %s(structseq[Any], tuple[Any, ...]):" % name, "    __match_args__: Final = ("]
    rows = table_rows(c, struct)
    lines += ['        "%s",' % field for field, _ in rows] + ["    )"]
    for field, kind in rows:
        unknown = " | None" if struct == "rhumb_index_info" and kind not in STUB_TYPES else ""
        ignored = "  # type: ignore[override]" if field in TUPLE_METHODS else ""
        lines += ["    @property",
                  "    def %s(self) -> %s%s: ...%s" % (field, STUB_TYPES.get(kind, "str"), unknown, ignored)]  # fmt: skip
    return "\n".join(lines) + "\n"


def python_stub(c, present):
    """The stub file with its generated part replaced."""
    head, _, rest = present.partition(STUB_BEGIN)
    _, end, tail = rest.partition(STUB_END)
    if not end:
        raise ValueError("_native.pyi has not the two lines between which structs are described")
    classes = [stub_class(c, struct, name) for struct, (_, name) in PYTHON_STRUCTS.items() if name is not None]
    return head + STUB_BEGIN + "\n".join(classes) + STUB_END + tail


def option_line(c, struct, name, kind):
    if kind == "ADDRESS":
        return "    %s: Any  # a C function of numba or ctypes" % name
    if kind in STUB_TYPES:
        return "    %s: %s" % (name, STUB_TYPES[kind])
    enum = next(field.type for field in c.structs[struct][1] if field.name == name)
    texts = ['"%s"' % text for text in texts_of(enum, c.enums[enum])]
    return "    %s: str  # %s or %s" % (name, ", ".join(texts[:-1]), texts[-1])


def python_options(c):
    lines = ['"""Options as keyword arguments, for type checkers. %s"""' % NOTE, "",
             "from __future__ import annotations", "", "from typing import Any, TypedDict"]  # fmt: skip
    for name, base, struct, left_out, sentence in PYTHON_OPTIONS:
        lines += ["", "", "class %s(%s, total=False):" % (name, base)]
        lines += ['    """%s; %s in rhumb.h says what each of them means."""' % (sentence, struct), ""]
        lines += [option_line(c, struct, *row) for row in table_rows(c, struct) if row[0] not in left_out]
    return "\n".join(lines) + "\n"


# ---- files ----------------------------------------------------------------------------------------------------------

STUB = "bindings/python/rhumb/_native.pyi"


def generated(root):
    """{path: text} of everything that is made of the headers."""
    c = Interface(root)
    return {
        "bindings/julia/src/LibRhumb.jl": julia(c),
        "bindings/python/native/fields_tables.h": python_tables(c),
        "bindings/python/rhumb/options.py": python_options(c),
        STUB: python_stub(c, c_text.read_text(root, STUB)),
    }


def outdated(root):
    """The paths of generated files that are not what they should be."""
    def present(path):
        return c_text.read_text(root, path) if os.path.exists(os.path.join(root, path)) else None

    return [path for path, text in generated(root).items() if present(path) != text]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the files that are out of date")
    arguments = parser.parse_args()
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    made, paths = generated(root), outdated(root)
    for path in paths:
        print(path + (": written" if arguments.write else ": out of date; run tools/c_api.py --write"))
        if arguments.write:
            with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                file.write(made[path])
    return 1 if paths and not arguments.write else 0


if __name__ == "__main__":
    sys.exit(main())
