"""Goal: the package declares the C interface as it is: named tuples have the fields of the headers' structs, options
can all be set, every status is an exception, and the type stubs name what is there.

Method: the headers, fields.c and the stubs are read as texts.
"""

import ast
import inspect
import os
import re
import unittest

import rhumb
import support
from rhumb import _native, errors, index

ROOT = os.environ.get("RHUMB_SOURCES", ".")

# Fields that Python has in another form, or not at all.
LEFT_OUT = {
    "rhumb_index_info": {"pin_count", "pin_epochs", "pin_reader_counts", "pin_pid_counts", "pin_pids"},
    "rhumb_index_options": {"open"},
    "rhumb_open_options": {"custom_context"},
    "rhumb_compact_options": {"progress", "progress_context", "filter", "custom_context"},
    "rhumb_import_options": {"progress", "progress_context"},
    "rhumb_export_options": {"progress", "progress_context"},
}
ADDED = {"rhumb_index_info": {"pins"}}


def read(*path):
    with open(os.path.join(ROOT, *path)) as file:
        return file.read()


def headers():
    names = sorted(name for name in os.listdir(os.path.join(ROOT, "include")) if name.endswith(".h"))
    return re.sub(r"/\*.*?\*/", "", "\n".join(read("include", name) for name in names), flags=re.DOTALL)


def struct_fields(text, name):
    body = re.search(r"typedef struct %s \{(.*?)\} %s;" % (name, name), text, re.DOTALL).group(1)
    declared = [re.search(r"(\w+)(\[[^\]]*\])?$", line.strip()).group(1) for line in body.split(";") if line.strip()]
    return [field for field in declared if field != "size"]


def table_fields():
    """The fields of the tables in fields.c, by the name of the struct."""
    tables = {}
    pattern = r"#define S (\w+)\nstatic const field \w+\[\] = \{(.*?)\n\};"
    for name, body in re.findall(pattern, read("bindings/python/native/fields.c"), re.DOTALL):
        tables[name] = [first or second for first, second in re.findall(r'F\(S, (\w+),|\{"(\w+)"', body)]
    return tables


@unittest.skipUnless(os.path.exists(os.path.join(ROOT, "include/rhumb.h")), "needs the sources: RHUMB_SOURCES")
class Interface(unittest.TestCase):
    def test_tables_have_the_fields_of_the_headers(self):
        text = headers()
        tables = table_fields()
        self.assertGreaterEqual(len(tables), 10)
        for name, fields in tables.items():
            wanted = set(struct_fields(text, name)) - LEFT_OUT.get(name, set()) | ADDED.get(name, set())
            self.assertEqual(set(fields), wanted, name)

    def test_every_status_is_an_exception(self):
        names = set(re.findall(r"\b(RHUMB_E_\w+) = -\d+", headers()))
        self.assertGreater(len(names), 20)
        self.assertEqual(names | {"CLOSED"}, set(errors._by_status))
        for kind in errors._by_status.values():
            self.assertTrue(hasattr(rhumb, kind.__name__), kind)

    def test_options_are_those_of_the_tables(self):
        tables = table_fields()
        opening = set(index.OpenOptions.__annotations__)
        self.assertEqual(opening, set(tables["rhumb_open_options"]))
        creating = set(index.CreateOptions.__annotations__) - opening
        self.assertEqual(creating, set(tables["rhumb_index_options"]) - {"dim", "metric", "element"})


class Stubs(unittest.TestCase):
    def test_the_stub_of_the_module_names_what_is_there(self):
        with open(os.path.join(os.path.dirname(rhumb.__file__), "_native.pyi")) as file:
            tree = ast.parse(file.read())
        declared = {}
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                declared[node.name] = {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
            elif isinstance(node, ast.FunctionDef):
                declared[node.name] = None
        there = {name for name in dir(_native) if not name.startswith("_")}
        self.assertEqual(set(declared), there)
        for name, members in declared.items():
            if members is None:
                continue
            kind = getattr(_native, name)
            public = {member for member in vars(kind) if not member.startswith("_")}
            public -= {"n_fields", "n_sequence_fields", "n_unnamed_fields"}
            self.assertEqual({member for member in members if not member.startswith("_")}, public, name)

    def test_everything_public_is_exported(self):
        there = {
            name for name, value in vars(rhumb).items() if not name.startswith("_") and not inspect.ismodule(value)
        }
        self.assertEqual(set(rhumb.__all__), there)

    def test_everything_public_is_documented(self):
        for name in rhumb.__all__:
            thing = getattr(rhumb, name)
            if inspect.isclass(thing) or inspect.isfunction(thing):
                self.assertTrue(thing.__doc__, name)
        for kind in (rhumb.Index, rhumb.KeyMap, rhumb.Topology, rhumb.Result):
            for name, member in vars(kind).items():
                if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, property)):
                    self.assertTrue(member.__doc__, f"{kind.__name__}.{name}")


if __name__ == "__main__":
    support.main()
