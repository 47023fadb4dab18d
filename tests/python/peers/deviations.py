"""The tests of USearch that rhumb.compat.usearch fails by intent, and how: a plugin of pytest.

Each is run and has to fail in just this way. Nothing is left out.
"""

import pytest

ANY_ORDER = "takes arrays of any order in memory, which USearch refuses"
ONE_VECTOR = "has one vector per key"
NOT_COUNTED = "does not count the distances that it measures"
NO_CLUSTERS = "has no clusters"
NO_METRIC = "has no metric Sorensen"
NO_MINI_FLOATS = "has no floats of 8 and 6 bits"
COPIED = "copies vectors whatever `copy` says"

NOT_RAISED = pytest.fail.Exception


def transposed(parameters):
    return parameters["batch_size"] > 1 and parameters["quantization"].name != "I8"


# Name of the test, what its parameters must be, the exception, the reason.
DEVIATIONS = (
    ("test_index_retrieval", transposed, NOT_RAISED, ANY_ORDER),
    ("test_index_get_missing_keys", lambda p: p["multi"], NotImplementedError, ONE_VECTOR),
    ("test_index_duplicates", lambda p: True, NotImplementedError, ONE_VECTOR),
    ("test_index_self_recall", lambda p: True, AssertionError, NOT_COUNTED),
    ("test_index_clustering", lambda p: True, AttributeError, NO_CLUSTERS),
    ("test_binary_brute_force_distances", lambda p: p["metric"].name == "Sorensen", NotImplementedError, NO_METRIC),
    ("test_index_quantized_add_search", lambda p: p["quantization"].name[0] == "E", NotImplementedError,
     NO_MINI_FLOATS),
    ("test_index_mini_floats_with_numkong", lambda p: True, NotImplementedError, NO_MINI_FLOATS),
    ("test_index_copied_memory_usage", lambda p: True, AssertionError, COPIED),
)  # fmt: skip


def pytest_collection_modifyitems(items):
    for item in items:
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        for name, applies, exception, reason in DEVIATIONS:
            if item.originalname == name and applies(parameters):
                item.add_marker(pytest.mark.xfail(raises=exception, strict=True, reason="rhumb " + reason))
