#!/bin/bash
# Tests rhumb.ray with Ray: not a part of ./test, because it needs PyPI. The parts that need no Ray are tested there, by
# tests/python/cluster_parts_test.py.
#
#   bindings/python/check_ray.sh FOLDER [PYTHON]
#
# FOLDER, which must not exist yet, receives a virtual environment with the wheel and Ray. PYTHON is 3.11 or later (by
# default python3). Three nodes of Ray are simulated on this machine, each with 2 processors and 100 MB of shared memory
# for objects. BATCHES (1000) is how many batches are searched while servers are killed. Then mypy --strict looks at the
# package. No process of Ray is left when it ends.
set -euo pipefail
cd "$(dirname "$0")"
sources=$(cd ../.. && pwd)
mkdir "${1:?the folder to create}"
folder=$(cd "$1" && pwd)
"${2:-python3}" -m venv "$folder/environment"
python=$folder/environment/bin/python
"$python" -m pip install -q --upgrade pip
"$python" -m pip install -q "$sources/bindings/python[ray]" mypy
"$python" -m pip freeze | grep -E "^(numpy|pyarrow|pandas|ray)==" | paste -sd' '
run() {
    (cd "$folder" && PYTHONPATH=$sources/tests/python PYTHONDONTWRITEBYTECODE=1 RHUMB_SOURCES=$sources \
        RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO=0 RAY_USAGE_STATS_ENABLED=0 "$python" "$sources/tests/python/$1")
}
run cluster_parts_test.py
run ray_suite.py
(cd "$folder" && "$python" -m mypy --strict -p rhumb.ray)
echo "all passed"
