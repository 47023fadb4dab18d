#!/bin/bash
# Builds the sdist, and the wheel from it, and tests the wheel: not a part of ./test, because it needs PyPI.
#
#   bindings/python/check_wheels.sh FOLDER [PYTHON...]
#
# FOLDER, which must not exist yet, receives everything: dist/, and a virtual environment for each interpreter (by
# default python3.11, python3.12 and python3.13, as far as they are found; the first must have a GIL). In each the tests
# of tests/python run against the installed wheel, with numpy, scipy, ml_dtypes, tqdm, and the libraries whose
# interfaces rhumb.compat has. A free-threaded interpreter (python3.13t) gets a wheel of its own from the sdist, and
# does without the other libraries, which could turn the GIL on. Then auditwheel, abi3audit, mypy --strict and stubtest
# look at the wheel. Last, the module is compiled without the Limited API, as a free-threaded CPython needs it, and tested
# with the first interpreter.
set -euo pipefail
cd "$(dirname "$0")"
sources=$(cd ../.. && pwd)
folder=${1:?the folder to create}
shift
mkdir "$folder"
folder=$(cd "$folder" && pwd)
if [ $# -gt 0 ]; then
    pythons=("$@")
else
    mapfile -t pythons < <(command -v python3.11 python3.12 python3.13)
fi
# run_tests PYTHON PATH: runs all tests with an interpreter and modules from PATH.
run_tests() {
    local test
    for test in "$sources"/tests/python/*_test.py; do
        echo "$(basename "$test")"
        (cd "$folder" && PYTHONPATH=$2 RHUMB_SOURCES=$sources PYTHONDONTWRITEBYTECODE=1 \
            "$1" -X dev -W error::ResourceWarning "$test" 2>&1 | tail -3)
    done
}

# ask PYTHON EXPRESSION: what an interpreter says of itself.
ask() { "$1" -c "import sys, sysconfig; print($2)"; }

say() { printf '\n== %s\n' "$*"; }

say "sdist, and the wheel from it, with ${pythons[0]}"
"${pythons[0]}" -m venv "$folder/build"
"$folder/build/bin/pip" install -q --upgrade pip
"$folder/build/bin/python" -c "import sys, build_backend; print(build_backend.build_sdist(sys.argv[1]))" "$folder"
"$folder/build/bin/pip" wheel -q --no-deps -w "$folder/dist" "$folder"/rhumb-*.tar.gz
wheel=$(ls "$folder"/dist/rhumb-*.whl)
ls -l "$wheel"

for python in "${pythons[@]}"; do
    version=$(ask "$python" 'sys.version.split()[0] + sys.abiflags')
    say "CPython $version"
    environment=$folder/$version
    "$python" -m venv "$environment"
    if [ "$(ask "$python" 'sysconfig.get_config_var("Py_GIL_DISABLED")')" = 1 ]; then
        "$environment/bin/pip" install -q --only-binary numpy "$(ls "$folder"/rhumb-*.tar.gz)[progress]"
        "$environment/bin/python" -c 'import sys, rhumb; assert not sys._is_gil_enabled(); print("without the GIL")'
    else
        "$environment/bin/pip" install -q "$wheel[graph,progress,bfloat16]" usearch setuptools wheel pybind11
        "$environment/bin/pip" install -q --no-build-isolation hnswlib
    fi
    "$environment/bin/pip" freeze | grep -E "^(hnswlib|ml_dtypes|numpy|scipy|usearch)==" | paste -sd' '
    run_tests "$environment/bin/python" "$sources/tests/python"
done

say "auditwheel, abi3audit"
"$folder/build/bin/pip" install -q auditwheel abi3audit mypy "numpy<2.5" # whose types are of Python 3.11 too
"$folder/build/bin/auditwheel" show "$wheel"
"$folder/build/bin/abi3audit" --strict --report "$wheel" | head -c 2000
"$folder/build/bin/abi3audit" --strict "$wheel"

say "mypy --strict, stubtest"
"$folder/build/bin/pip" install -q "$wheel"
# check_integrations.sh and check_ray.sh check rhumb.integrations and rhumb.ray with the types of their libraries
lenient=(--ignore-missing-imports --allow-subclassing-any --allow-untyped-decorators)
(cd "$folder" && build/bin/mypy --strict "${lenient[@]}" --python-version 3.11 -p rhumb &&
    build/bin/stubtest rhumb._native &&
    build/bin/mypy --strict -c 'import rhumb; index: rhumb.Index = rhumb.open("x"); number: int = rhumb.info("x").count')

say "without the Limited API"
cmake -S native -B "$folder/full" -DCMAKE_BUILD_TYPE=Release "-DCMAKE_C_FLAGS_RELEASE=-O2 -DNDEBUG" -DFULL_API=1 \
    "-DRHUMB_ROOT=$sources" "-DPYTHON_INCLUDE=$(ask "${pythons[0]}" 'sysconfig.get_path("include")')" \
    >/dev/null
cmake --build "$folder/full" --parallel "$(nproc)" >/dev/null
mkdir "$folder/full/path"
cp -r rhumb "$folder/full/path"
cp "$folder/full/_native.so" "$folder/full/path/rhumb"
environment=$folder/$(ask "${pythons[0]}" 'sys.version.split()[0] + sys.abiflags')
run_tests "$environment/bin/python" "$folder/full/path:$sources/tests/python"
echo "all passed"
