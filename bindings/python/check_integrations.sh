#!/bin/bash
# Runs the tests of the package that use libraries of PyPI, with these: the part "python" of ./test.
#
#   bindings/python/check_integrations.sh FOLDER [PYTHON]
#
# FOLDER, which must not exist yet, receives a virtual environment with the wheel and test_requirements.txt. PYTHON is
# 3.11 or later (by default python3). Run are scikit-learn's estimator checks, LangChain's standard suite, and the rest
# of tests/python/integrations_test.py; the stand-ins next to hnswlib and USearch; what needs scipy, ml_dtypes and tqdm.
# Then mypy --strict looks at rhumb.integrations, with the libraries' own types.
set -euo pipefail
cd "$(dirname "$0")"
sources=$(cd ../.. && pwd)
mkdir "${1:?the folder to create}"
folder=$(cd "$1" && pwd)
"${2:-python3}" -m venv "$folder/environment"
python=$folder/environment/bin/python
"$python" -m pip install -q --upgrade pip
"$python" -m pip install -q pybind11 setuptools wheel                                    # which hnswlib is built with
"$python" -m pip install -q --no-build-isolation -r "$sources/bindings/python/test_requirements.txt"
"$python" -m pip install -q "$sources/bindings/python"
"$python" -m pip freeze | grep -E "^(hnswlib|langchain|llama-index-core|ml_dtypes|numpy|scikit-learn|scipy|usearch)" |
    paste -sd' '
for test in integrations compat_hnswlib compat_usearch arrays index processes; do
    echo "${test}_test"
    (cd "$folder" && PYTHONPATH=$sources/tests/python PYTHONDONTWRITEBYTECODE=1 \
        "$python" -X dev -W error::ResourceWarning "$sources/tests/python/${test}_test.py" 2>&1 | tail -5)
done
(cd "$folder" && "$python" -m mypy --strict -p rhumb.integrations)
echo "all passed"
