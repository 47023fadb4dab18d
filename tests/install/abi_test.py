"""Goal: a program that was compiled for the last release runs with this library.

Method: the binary interface, as tools/describe_abi.py finds it in the headers, is compared with the description that was
recorded when the last release was made; functions must also be exported. The comparison must object to one wrong thing
of each kind, and to no addition.
"""

import os
import re
import shutil
import subprocess
import tempfile
import unittest

import describe_abi

RECORDED = "tests/install/abi.txt"


class BinaryInterface(unittest.TestCase):
    def setUp(self):
        with open(RECORDED, encoding="utf-8") as file:
            self.recorded = file.read()

    def described(self, edits=()):
        """The description of the headers after (file, old, new) has been applied to them."""
        with tempfile.TemporaryDirectory() as root:
            shutil.copytree("include", os.path.join(root, "include"))
            for name, old, new in edits:
                path = os.path.join(root, "include", name)
                with open(path, encoding="utf-8") as file:
                    text = file.read()
                self.assertIn(old, text, "this test's own example is gone")
                os.remove(path)  # a link into the source tree
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text.replace(old, new, 1))
            return describe_abi.describe(root)

    def changed_by(self, *edit):
        return describe_abi.changes(self.described(), self.described([edit]))

    def test_programs_of_the_last_release_run(self):
        self.assertEqual(describe_abi.changes(self.recorded, self.described()), [])

    def test_every_function_that_was_exported_is(self):
        output = subprocess.run(["nm", "-D", "--defined-only", "librhumb.so"], check=True, stdout=subprocess.PIPE)
        exported = set(re.findall(r"\b(rhumb_[a-z_]+)\b", output.stdout.decode()))
        functions = set(describe_abi.parse(self.recorded)["functions"][1])
        self.assertGreater(len(functions), 60)
        self.assertEqual(sorted(functions - exported), [])

    def test_everything_was_looked_at(self):
        found = describe_abi.parse(self.described())
        headings = {}
        for heading, (_, members) in found.items():
            kind = heading.split(" ")[0]
            headings[kind] = headings.get(kind, 0) + 1
            self.assertGreater(len(members), 1, heading)
        text = "".join(open(os.path.join("include", name), encoding="utf-8").read() for name in os.listdir("include"))
        self.assertEqual(headings["struct"], len(re.findall(r"typedef struct \w+ \{", text)))
        self.assertEqual(headings["enum"], len(re.findall(r"typedef enum \w+ \{", text)))
        self.assertEqual(len(found["functions"][1]), len(re.findall(r"^RHUMB_API", text, re.MULTILINE)))
        # None contains another by value, which would move when that one grows.
        kinds = {
            describe_abi.field_numbers(fact)[0]
            for heading, (_, members) in found.items()
            if heading.startswith("struct")
            for fact in members.values()
        }
        structs = {heading.split(" ")[1] for heading in found if heading.startswith("struct ")}
        self.assertEqual({kind for kind in kinds if kind.split("[")[0] in structs}, set())

    def test_additions_are_no_changes(self):
        for edit in (
            ("rhumb_stats.h", "} rhumb_index_stats;", "    uint64_t added_count;\n} rhumb_index_stats;"),
            ("rhumb_types.h", "RHUMB_E_METRIC = -52 ", "RHUMB_E_METRIC = -52, RHUMB_E_ADDED = -60 "),
            ("rhumb.h", "RHUMB_API uint32_t rhumb_version(void);",
             "RHUMB_API uint32_t rhumb_version(void);\nRHUMB_API void rhumb_added(void);"),
            ("rhumb_stats.h", "rhumb_index *index, rhumb_index_stats *stats,", "rhumb_index *of, rhumb_index_stats *to,"),
        ):  # fmt: skip
            self.assertEqual(self.changed_by(*edit), [], edit)

    def test_one_thing_wrong_is_found(self):
        for name, old, new, complaint in (
            ("rhumb_types.h", "RHUMB_E_LOG = -14", "RHUMB_E_LOG = -15", "RHUMB_E_LOG: was -14, is -15"),
            ("rhumb_types.h", "    RHUMB_METRIC_CUSTOM = 12", "    RHUMB_METRIC_OTHER = 12", "RHUMB_METRIC_CUSTOM: was 12, is gone"),
            ("rhumb_types.h", "#define RHUMB_DIM_MAX 65535u", "#define RHUMB_DIM_MAX 65536u", "RHUMB_DIM_MAX"),
            ("rhumb_stats.h", "    uint64_t slot_count; ", "    uint32_t slot_count; ", "rhumb_index_stats.slot_count"),
            ("rhumb_stats.h", "    uint64_t epoch; ", "    uint64_t added;\n    uint64_t epoch; ", "older programs know"),
            ("rhumb_stats.h", "    bool read_only; ", "    uint8_t read_only; ", "'bool', "),
            ("rhumb_types.h", "    char message[512];", "    char message[1024];", "rhumb_error.message"),
            ("rhumb_types.h", "} rhumb_error;", "    uint64_t added;\n} rhumb_error;", "has no size of its own"),
            ("rhumb.h", "RHUMB_API uint32_t rhumb_version(void);", "", "rhumb_version"),
            ("rhumb.h", "rhumb_index_refresh(rhumb_index *index, bool *changed)",
             "rhumb_index_refresh(rhumb_index *index, uint32_t *changed)", "rhumb_index_refresh"),
            ("rhumb_types.h", "typedef bool (*rhumb_progress_fn)(void *context,",
             "typedef int (*rhumb_progress_fn)(void *context,", "rhumb_progress_fn"),
        ):  # fmt: skip
            self.assertIn(complaint, "\n".join(self.changed_by(name, old, new)), new)


if __name__ == "__main__":
    unittest.main()
