"""Goal: what tools/c_api.py makes of the headers is up to date, and follows them.

Method: the files of this repository are compared with what is made now. Headers in which one thing is changed must give
other files, or a refusal where Julia would lay out a struct differently.
"""

import os
import re
import shutil
import tempfile
import unittest

import c_api
import c_text


class Generated(unittest.TestCase):
    def test_the_files_are_up_to_date(self):
        self.assertEqual(c_api.outdated(os.getcwd()), [], "run tools/c_api.py --write")

    def changed(self, header, old, new):
        """What is made of the headers after a change of one of them: the paths of files that differ."""
        with tempfile.TemporaryDirectory() as root:
            shutil.copytree("include", os.path.join(root, "include"))
            os.makedirs(os.path.join(root, os.path.dirname(c_api.STUB)))
            shutil.copy(c_api.STUB, os.path.join(root, c_api.STUB))
            path = os.path.join(root, "include", header)
            text = c_text.read_text(root, "include/" + header)
            self.assertIn(old, text, "this test's own example is gone")
            os.chmod(os.path.dirname(path), 0o755)
            os.remove(path)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text.replace(old, new, 1))
            made = c_api.generated(root)
        return {os.path.basename(path) for path, text in made.items() if text != c_text.read_text(os.getcwd(), path)}

    def test_a_change_of_the_headers_changes_what_is_made_of_it(self):
        julia, tables, stub, options = "LibRhumb.jl", "fields_tables.h", "_native.pyi", "options.py"
        for header, old, new, files in (
            ("rhumb.h", "    bool immutable; ", "    bool fresh; bool immutable; ", {julia, tables, options}),
            ("rhumb_stats.h", "    uint64_t lsn; ", "    uint64_t news; uint64_t lsn; ", {julia, tables, stub}),
            ("rhumb_stats.h", "char simd[16]; ", "char simd[24]; ", {julia}),
            ("rhumb_types.h", "RHUMB_CODES_4BIT = 4", "RHUMB_CODES_4BIT = 5", {julia}),
            ("rhumb_types.h", "RHUMB_CODES_NONE = 1", "RHUMB_CODES_OFF = 1", {julia, tables, options}),
            ("rhumb_points.h", "rhumb_index *index, uint64_t key, bool *found",
             "rhumb_index *index, uint32_t key, bool *found", {julia}),
        ):  # fmt: skip
            self.assertEqual(self.changed(header, old, new), files, new)

    def test_a_struct_that_julia_would_lay_out_differently_is_refused(self):
        old = "typedef struct rhumb_write {"
        with self.assertRaisesRegex(ValueError, "rhumb_write.key: at 12 in C"):
            self.changed("rhumb_write.h", old, "#pragma pack(4)\n" + old + " uint32_t more; ")


class Description(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.c = c_api.Interface(os.getcwd())

    def test_every_function_of_the_headers_is_there(self):
        declared = re.findall(r"\bRHUMB_API[^;]*?\b(rhumb_\w+)\(", c_api.headers_text(os.getcwd()))
        self.assertGreater(len(declared), 60)
        self.assertEqual(sorted(declared), list(self.c.functions))
        module = c_text.read_text(os.getcwd(), "bindings/julia/src/LibRhumb.jl")
        self.assertEqual(sorted(declared), sorted(re.findall(r"ccall\(\(:(\w+),", module)))

    def test_types_are_those_of_c(self):
        result, parameters = self.c.functions["rhumb_index_search"]
        self.assertEqual(result, "rhumb_status")
        self.assertEqual(parameters[:3], [("rhumb_index *", "index"), ("void *", "query"), ("size_t", "k")])
        types = [c_api.julia_argument(self.c, kind) for kind, _ in parameters]
        self.assertEqual(types, ["Ptr{Cvoid}", "Ptr{Cvoid}", "Csize_t", "Ref{rhumb_search_options}", "Ptr{UInt64}",
                                 "Ptr{Float32}", "Ptr{Csize_t}"])  # fmt: skip
        view = [c_api.julia_argument(self.c, kind) for kind, _ in self.c.functions["rhumb_topology_view"][1]]
        self.assertEqual(view[2:], ["Ptr{Ptr{UInt32}}", "Ptr{Ptr{Float32}}", "Ptr{Csize_t}"])
        self.assertEqual(c_api.julia_value(self.c, "rhumb_status"), "Int32")
        self.assertEqual(c_api.texts_of("rhumb_codes", self.c.enums["rhumb_codes"])["4bit"], "RHUMB_CODES_4BIT")


if __name__ == "__main__":
    unittest.main()
