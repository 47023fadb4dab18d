"""Goal: the package has an exception for every status of the headers, and the type stubs name what is there.

Method: headers and stubs are read as texts. That structs and options have the fields of the headers is tested by
tests/tools/c_api_test.py.
"""

import ast
import inspect
import os
import re
import unittest

import rhumb
import support
from rhumb import _native, errors

ROOT = os.environ.get("RHUMB_SOURCES", ".")

def read(*path):
    with open(os.path.join(ROOT, *path)) as file:
        return file.read()


def headers():
    names = sorted(name for name in os.listdir(os.path.join(ROOT, "include")) if name.endswith(".h"))
    return re.sub(r"/\*.*?\*/", "", "\n".join(read("include", name) for name in names), flags=re.DOTALL)


@unittest.skipUnless(os.path.exists(os.path.join(ROOT, "include/rhumb.h")), "needs the sources: RHUMB_SOURCES")
class Interface(unittest.TestCase):
    def test_every_status_is_an_exception(self):
        names = set(re.findall(r"\b(RHUMB_E_\w+) = -\d+", headers()))
        self.assertGreater(len(names), 20)
        self.assertEqual(names | {"CLOSED"}, set(errors._by_status))
        for kind in errors._by_status.values():
            self.assertTrue(hasattr(rhumb, kind.__name__), kind)


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
