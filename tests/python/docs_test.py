"""Goal: the examples of docs/python.md, of docs/scale-out.md and of the package's README run and hold what they assert.

Method: the blocks of each page are run one after the other in one namespace, in a folder of their own.
"""

import contextlib
import io
import os
import re
import sys
import types
import unittest

import support

ROOT = os.path.abspath(os.environ.get("RHUMB_SOURCES", "."))
PAGES = ("docs/python.md", "docs/scale-out.md", "bindings/python/README.md")


def blocks(page):
    """(line, code) of each block of Python."""
    with open(os.path.join(ROOT, page)) as file:
        text = file.read()
    for match in re.finditer(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        yield text.count("\n", 0, match.start()) + 1, match.group(1)


@unittest.skipUnless(os.path.exists(os.path.join(ROOT, PAGES[0])), "needs the sources: RHUMB_SOURCES")
class Examples(support.TestCase):
    def run_page(self, page):
        before = os.getcwd()
        self.addCleanup(os.chdir, before)
        os.chdir(self.folder)
        module = types.ModuleType("__main__")  # whose functions the workers of a pool look for
        self.addCleanup(sys.modules.__setitem__, "__main__", sys.modules["__main__"])
        sys.modules["__main__"] = module
        count = 0
        for line, code in blocks(page):
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile("\n" * line + code, page, "exec"), module.__dict__)
            count += 1
        return count

    def test_the_manual(self):
        self.assertGreater(self.run_page("docs/python.md"), 8)

    def test_the_page_on_shards(self):
        self.assertGreater(self.run_page("docs/scale-out.md"), 1)

    def test_the_readme(self):
        self.assertEqual(self.run_page("bindings/python/README.md"), 1)


if __name__ == "__main__":
    support.main()
