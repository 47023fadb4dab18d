"""Goal: the Julia package uses the C interface as it is, and documents name nothing that is not there.

Method: src/LibRhumb.jl is made of the headers, and tests/tools/c_api_test.py says when it is out of date. Here calls,
constants, fields and sizes in the rest of the package are compared with the headers; the same comparison must object to
one thing wrong, for each kind of thing. If the linter fatou is installed, it has to accept the files as Julia.
"""

import glob
import os
import re
import shutil
import subprocess
import unittest

import c_api
import c_text

PACKAGE = "bindings/julia"


def without_texts(code):
    """Julia without comments and with empty texts, so that what is left is code."""
    code = re.sub(r'"""(.*?)"""', lambda match: '""' + "\n" * match.group(1).count("\n"), code, flags=re.DOTALL)
    return re.sub(r'"(?:[^"\\\n]|\\.|\n)*"|#[^\n]*', lambda match: '""' if match.group()[0] == '"' else "", code)


def arguments_of(code, start):
    """The arguments of the call whose parenthesis opens at `start`."""
    found, depth, begin = [], 0, start + 1
    for i in range(start, len(code)):
        depth += (code[i] in "([{") - (code[i] in ")]}")
        if depth == 0 or (depth == 1 and code[i] == ","):
            found.append(code[begin:i].strip())
            begin = i + 1
        if depth == 0:
            return [argument for argument in found if argument]
    raise ValueError("no closing parenthesis: " + code[start : start + 60])


def wrong_calls(c, code):
    """Calls of the C interface with a wrong number of arguments, or with the size of another struct."""
    found = []
    for match in re.finditer(r"\bLibRhumb\.(rhumb_\w+)\(", code):
        name = match.group(1)
        if name in c.structs:
            continue
        if name not in c.functions:
            found.append(name + ": no such function")
            continue
        parameters, arguments = c.functions[name][1], arguments_of(code, match.end() - 1)
        if len(parameters) != len(arguments):
            found.append("%s: %d parameters, %d arguments" % (name, len(parameters), len(arguments)))
            continue
        for i, argument in enumerate(arguments):
            size = re.fullmatch(r"sizeof\(LibRhumb\.(\w+)\)", argument)
            if size and parameters[i - 1][0].replace("struct ", "") != size.group(1) + " *":
                found.append("%s: the size of %s follows a %s" % (name, size.group(1), parameters[i - 1][0]))
    return found


def wrong_names(c, code):
    """Names of the interface that are not in it, and fields that a struct does not have."""
    module = c_text.read_text(os.getcwd(), PACKAGE + "/src/LibRhumb.jl")
    defined = set(re.findall(r"^(?:const |mutable struct |struct )?(\w+)", module, re.MULTILINE))
    found = ["%s is not in LibRhumb" % name for name in re.findall(r"\bLibRhumb\.(\w+)", code) if name not in defined]
    for block in re.split(r"^end\b", code, flags=re.MULTILINE):
        variables = dict(re.findall(r"\b(\w+) = LibRhumb\.(rhumb_\w+)\(\)", block))
        variables.update(re.findall(r"\b(\w+)::LibRhumb\.(rhumb_\w+)", block))
        for variable, field in re.findall(r"(?<![.\w])(\w+)\.(\w+)", block):
            struct = c.structs.get(variables.get(variable))
            if struct and field not in {each.name for each in struct[1]}:
                found.append("%s has no field %s" % (variables[variable], field))
    return found


class JuliaPackage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.c = c_api.Interface(os.getcwd())
        paths = [path for path in sorted(glob.glob(PACKAGE + "/src/*.jl")) if not path.endswith("/LibRhumb.jl")]
        cls.text = "\n".join(c_text.read_text(os.getcwd(), path) for path in paths)
        cls.code = without_texts(cls.text)

    def test_the_package_uses_what_the_headers_declare(self):
        self.assertEqual(wrong_calls(self.c, self.code), [])
        self.assertEqual(wrong_names(self.c, self.code), [])

    def test_every_function_has_its_counterpart(self):
        used = set(re.findall(r"\bLibRhumb\.(rhumb_\w+)\(", self.code))
        left_out = {
            # A lease is for views without a copy, a view for pointers; Julia gets copies.
            "rhumb_index_vector_view", "rhumb_lease_take", "rhumb_lease_vector", "rhumb_lease_release",
            "rhumb_topology_view", "rhumb_topology_find", "rhumb_topology_points",
            # Names and conversions that Julia's own types have.
            "rhumb_metric_name", "rhumb_element_name", "rhumb_element_from_name", "rhumb_element_bits",
            "rhumb_element_is_float", "rhumb_element_convert", "rhumb_import_format_name",
            "rhumb_import_format_from_name",
            # Structs that a caller has in an array, which Julia's mutable structs cannot be; it is in rhumb info. And
            # distances of vectors that are in no index.
            "rhumb_index_sections_get", "rhumb_vectors_measure",
            # The tool measures recall, and ef can be given.
            "rhumb_recall_options_init", "rhumb_index_recall_measure", "rhumb_index_recall_get",
            "rhumb_index_recall_ef",
            # Progress would call Julia from other threads; batches of different kinds.
            "rhumb_verify_options_init", "rhumb_index_verify_with", "rhumb_topology_verify_with",
            "rhumb_index_write_batch",
        }  # fmt: skip
        self.assertEqual(set(self.c.functions) - used, left_out, "call it in the package, or list it here")

    def test_one_thing_wrong_is_found(self):
        for old, new in (
            ("LibRhumb.rhumb_index_delete(handle, key)", "LibRhumb.rhumb_index_remove(handle, key)"),
            ("LibRhumb.rhumb_index_delete(handle, key)", "LibRhumb.rhumb_index_delete(handle)"),
            ("report, sizeof(LibRhumb.rhumb_verify_report)", "report, sizeof(LibRhumb.rhumb_write_report)"),
        ):
            self.assertIn(old, self.code, "this test's own example is gone")
            self.assertNotEqual(wrong_calls(self.c, self.code.replace(old, new, 1)), [], new)
        for old, new in (
            ("record.dim = dim", "record.dims = dim"),
            ("LibRhumb.RHUMB_FILTER_BITMAP", "LibRhumb.RHUMB_FILTER_BITS"),
            ("LibRhumb.rhumb_log_level_texts", "LibRhumb.rhumb_log_levels"),
        ):
            self.assertIn(old, self.code, "this test's own example is gone")
            self.assertNotEqual(wrong_names(self.c, self.code.replace(old, new, 1)), [], new)

    def test_documents_name_what_is_there(self):
        table = c_text.read_text(os.getcwd(), "docs/hnsw_rs.md")
        names = set(re.findall(r"\b(?:rhumb_|RHUMB_)\w*\w\b", table))
        names -= {"RHUMB_LIBRARY", "RHUMB_LOG"}  # of the environment
        self.assertGreater(len(names), 60)
        self.assertEqual(sorted(names - set(re.findall(r"\b\w+\b", c_api.headers_text(os.getcwd())))), [])
        defined = set(re.findall(r"^(?:function |mutable struct |struct |primitive type )?(?:Base\.)?(\w+!?)(?=[({ ])",
                                 self.code, re.MULTILINE))  # fmt: skip
        for page in ("docs/hnsw_rs.md", "docs/julia.md", PACKAGE + "/test/runtests.jl"):
            functions = set(re.findall(r"\bRhumb\.(?!jl\b)(\w+!?)", c_text.read_text(os.getcwd(), page)))
            self.assertGreater(len(functions), 5, page)
            self.assertEqual(sorted(functions - defined - {"LibRhumb", "element_types"}), [], page)

    @unittest.skipUnless(shutil.which("fatou"), "fatou, a linter for Julia, is not installed")
    def test_a_linter_accepts_the_files(self):
        paths = sorted(glob.glob(PACKAGE + "/*/*.jl"))
        result = subprocess.run(["fatou", "lint", "--no-config", *paths], capture_output=True, text=True)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)


if __name__ == "__main__":
    unittest.main()
