"""Goal: the checks of the source see what they are for, and leave good code alone.

Method: small trees written to a temporary folder, one offence each.
"""

import os
import tempfile
import unittest

import c_text
import check_includes
import check_source


class Checks(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        for layer in check_includes.LAYERS:
            self.write(layer + "/own.h", "/* own.h */\n")
        for layer in ("include", "tests/engine"):
            self.write(layer + "/own.h", "/* own.h */\n")

    def write(self, path, text):
        full = os.path.join(self.folder.name, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as file:
            file.write(text)

    def includes(self, path, *included):
        self.write(path, "/* x */\n" + "".join("#include %s\n" % name for name in included))
        return check_includes.check(self.folder.name)

    def test_the_arrow_may_be_followed(self):
        self.write("include/rhumb.h", "/* rhumb.h */\n")
        self.write("include/rhumb_types.h", "/* rhumb_types.h */\n")
        self.assertEqual(self.includes("api/a.c", '"engine/own.h"', '"base/own.h"', '"include/rhumb.h"'), [])
        self.assertEqual(self.includes("base/a.c", '"include/rhumb_types.h"'), [])
        self.assertEqual(self.includes("engine/a.c", '"storage/own.h"', '"distances/own.h"', '"own.h"'), [])
        self.assertEqual(self.includes("engine/build/a.c", '"engine/graph/own.h"', '"engine/search/own.h"'), [])
        self.assertEqual(self.includes("storage/io/a.c", '"base/own.h"', "<liburing.h>"), [])
        self.assertEqual(self.includes("tests/engine/a.cc", '"api/cli/own.h"', '"base/own.h"', "<mimalloc.h>"), [])

    def test_no_arrow_points_back(self):
        for layer, target in (
            ("base", "storage"),
            ("base", "distances"),
            ("storage", "distances"),
            ("distances", "storage"),
            ("distances", "distances/code"),
            ("storage", "engine"),
            ("engine", "api/cli"),
            ("api", "tests/engine"),
            ("engine", "include"),
            ("engine/graph", "engine/search"),
            ("engine/search", "engine/build"),
            ("engine/build", "engine/durability"),
            ("engine/durability", "engine/upkeep/compact"),
            ("engine/topology", "engine/build"),
            ("engine/upkeep/compact", "engine/upkeep/repair"),
            ("storage/frame", "storage/log"),
        ):
            path = layer + "/a.c"
            problems = self.includes(path, "<stdint.h>", '"%s/own.h"' % target)
            self.assertEqual(len(problems), 1, path)
            self.assertIn("%s:3: %s/ may not include" % (path, layer), problems[0])
            os.remove(os.path.join(self.folder.name, path))

    def test_no_way_around_the_arrow(self):
        self.assertEqual(len(self.includes("storage/a.c", '"../engine/own.h"')), 1)
        self.assertEqual(len(self.includes("storage/a.c", '"missing.h"')), 1)
        self.assertEqual(len(self.includes("storage/a.c", "<mimalloc.h>")), 1)
        self.assertEqual(len(self.includes("storage/a.c", "<stdio.h>")), 0)
        self.assertEqual(len(self.includes("engine/a.c", "<liburing.h>")), 1)

    def errors(self, path, text):
        self.write(path, text)
        found = check_source.check(self.folder.name)[0]
        os.remove(os.path.join(self.folder.name, path))
        return found

    def test_the_library_neither_allocates_nor_prints_by_itself(self):
        for call in ("malloc(8)", "free (p)", "strdup(t)", "printf(t)", "exit(1)", "abort()"):
            text = "/* x */\nvoid f(void) {\n    %s;\n}\n" % call
            self.assertEqual(len(self.errors("engine/a.c", text)), 1, call)
            self.assertEqual(self.errors("api/cli/a.c", text), [], call)
            self.assertEqual(self.errors("tests/engine/a.cc", text), [], call)

    def test_names_and_words_that_only_look_like_calls_are_fine(self):
        text = '/* never malloc(8) */\n// exit(1)\nvoid f(void) {\n    rhumb__free("abort()");\n    x.free(1);\n}\n'
        self.assertEqual(self.errors("engine/a.c", text), [])

    def test_files_begin_with_a_comment_and_hold_no_notes(self):
        self.assertEqual(len(self.errors("engine/a.c", "int x;\n")), 1)
        self.assertEqual(len(self.errors("engine/a.c", "/* x */\nint x; /* %s: y */\n" % ("TO" + "DO"))), 1)

    def test_no_line_is_too_wide(self):
        self.assertEqual(self.errors("engine/a.c", "/* " + "x" * 114 + " */\n"), [])
        wide = self.errors("engine/a.c", "/* x */\n/* " + "x" * 115 + " */\n")
        self.assertEqual(wide, ["engine/a.c:2: error: 121 columns, at most 120 fit"])

    def test_long_functions_and_files_are_warned_of(self):
        body = "".join("    x = %d;\n" % i for i in range(70))
        self.write("engine/a.c", "/* x */\nstatic int f(int a,\n    int b) {\n%s}\n\nint g(void) {\n}\n" % body)
        errors, warnings = check_source.check(self.folder.name)
        self.assertEqual(errors, [])
        self.assertEqual(warnings, ["engine/a.c:2: warning: a function of 73 lines"])
        self.write("engine/a.c", "/* x */\n" + "int x;\n" * 700)
        self.assertIn("701 lines", check_source.check(self.folder.name)[1][0])

    def test_blanking_keeps_places(self):
        text = "a /* b\n c */ \"d\\\"e\" 'f' // g\nh"
        blanked = c_text.blank(text)
        self.assertEqual(len(blanked), len(text))
        self.assertEqual(blanked.replace(" ", ""), "a\n\"\"''\nh")
        self.assertEqual(c_text.line_of(blanked, blanked.index("h")), 3)


if __name__ == "__main__":
    unittest.main()
