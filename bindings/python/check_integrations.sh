#!/bin/bash
# Tests rhumb.integrations with the libraries that they are for: not a part of ./test, because it needs PyPI.
#
#   bindings/python/check_integrations.sh FOLDER [PYTHON]
#
# FOLDER, which must not exist yet, receives a virtual environment with the wheel, scikit-learn, langchain-core,
# langchain-tests and llama-index-core. PYTHON is 3.11 or later (by default python3). Run are scikit-learn's estimator
# checks, LangChain's standard suite, and the rest of tests/python/integrations_test.py; then mypy --strict looks at the
# modules, with the libraries' own types.
set -euo pipefail
cd "$(dirname "$0")"
sources=$(cd ../.. && pwd)
mkdir "${1:?the folder to create}"
folder=$(cd "$1" && pwd)
"${2:-python3}" -m venv "$folder/environment"
python=$folder/environment/bin/python
"$python" -m pip install -q --upgrade pip
"$python" -m pip install -q "$sources/bindings/python" langchain-core langchain-tests llama-index-core mypy pytest \
    pytest-asyncio scikit-learn scipy
"$python" -m pip freeze | grep -E "^(langchain-core|langchain-tests|llama-index-core|numpy|scikit-learn|scipy)==" | paste -sd' '
(cd "$folder" && PYTHONPATH=$sources/tests/python PYTHONDONTWRITEBYTECODE=1 \
    "$python" -X dev -W error::ResourceWarning "$sources/tests/python/integrations_test.py")
(cd "$folder" && "$python" -m mypy --strict -p rhumb.integrations)
echo "all passed"
