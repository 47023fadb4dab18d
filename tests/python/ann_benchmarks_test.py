"""Goal: the module for ann-benchmarks (bench/ann_benchmarks) keeps the interface that its runner calls.

Method: the module is loaded next to a stub of BaseANN and driven as the runner does.
"""

import importlib.util
import os
import re
import sys
import types
import unittest

import numpy as np

import rhumb
import support
from support import clustered

MODULE = os.path.join(os.environ.get("RHUMB_SOURCES", "."), "bench/ann_benchmarks")


@unittest.skipUnless(os.path.exists(MODULE), "needs the sources: RHUMB_SOURCES")
class AnnBenchmarks(unittest.TestCase):
    def load(self):
        class BaseANN:
            def __str__(self):
                return self.name

        for name in ("stub", "stub.base", "stub.base.module", "stub.rhumb"):
            module = types.ModuleType(name)
            module.__path__ = []
            sys.modules[name] = module
            self.addCleanup(sys.modules.pop, name)
        sys.modules["stub.base.module"].BaseANN = BaseANN
        spec = importlib.util.spec_from_file_location("stub.rhumb.module", os.path.join(MODULE, "module.py"))
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.Rhumb

    def test_it_is_driven_as_the_runner_does(self):
        kind = self.load()
        rows, queries = clustered(1000), clustered(20)
        bits = np.random.default_rng(2).random((500, 64)) < 0.5
        sets = (("angular", rows, queries), ("euclidean", rows, queries), ("hamming", bits, bits[:9]))
        for metric, data, asked in sets:
            algorithm = kind(metric, {"M": 12, "efConstruction": 100})
            algorithm.fit(data)
            algorithm.set_query_arguments(50)
            single = [algorithm.query(query, 5) for query in asked]
            algorithm.batch_query(asked, 5)
            self.assertEqual([len(found) for found in single], [5] * len(asked))
            np.testing.assert_array_equal(single, algorithm.get_batch_results())
            if metric == "hamming":
                self.assertEqual([found[0] for found in single], list(range(9)))
            self.assertIn("ef 50", str(algorithm))
            self.assertGreater(algorithm.get_additional()["file_bytes"], 0)
            self.assertEqual(int(algorithm.index.options.M), 12)
            algorithm.done()

    def test_the_configuration_names_what_there_is(self):
        kind = self.load()
        with open(os.path.join(MODULE, "config.yml")) as file:
            text = file.read()
        self.assertEqual(set(re.findall(r"constructor: (\w+)", text)), {kind.__name__})
        names = set(re.findall(r"(\w+): ", " ".join(re.findall(r"arg_groups: \[\{(.*)\}\]", text))))
        self.assertLessEqual(names - {"efConstruction"}, set(rhumb.index.CreateOptions.__annotations__))


if __name__ == "__main__":
    support.main()
