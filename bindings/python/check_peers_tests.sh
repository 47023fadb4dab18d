#!/bin/bash
# Runs the tests and examples of hnswlib and USearch themselves with rhumb.compat in their place: not a part of ./test,
# because it needs PyPI and the source package of another Debian.
#
#   bindings/python/check_peers_tests.sh FOLDER [USEARCH [PYTHON]]
#
# FOLDER, which must not exist yet, receives a virtual environment, hnswlib's sources and what its tests write. hnswlib
# 0.8.0 comes from the source package of Debian 13, through the mirror that apt uses here; apt's own lists stay as they
# are. USEARCH is a folder with USearch's sources, whose tests no package has; without one they are not run. PYTHON is
# 3.11 or later (by default python3).
#
# Not a line of theirs is changed: tests/python/peers has modules named hnswlib and usearch that are rhumb's.
# tests/python/peers/deviations.py lists the tests of USearch that have to fail, and why.
set -euo pipefail
cd "$(dirname "$0")"
sources=$(cd ../.. && pwd)
mkdir "${1:?the folder to create}"
folder=$(cd "$1" && pwd)
usearch=${2:+$(cd "$2" && pwd)}
readonly VERSION=0.8.0
readonly SHA256=cf61d7dd8dc9bfba7f4abe0ed26698e90ac9f49a0badb2e1b0f3ba89b72cf3bb

say() { printf '\n== %s\n' "$*"; }

# fetch_hnswlib: has apt download the sources into FOLDER.
fetch_hnswlib() {
    local uri
    uri=$(apt-get indextargets --format '$(REPO_URI)' "Created-By: Packages" "Component: main" | grep -m1 /debian/)
    mkdir -p "$folder/apt/lists/partial" "$folder/apt/archives/partial"
    local key=/usr/share/keyrings/debian-archive-keyring.gpg
    echo "deb-src [signed-by=$key] $uri trixie main" >"$folder/apt/sources.list"
    cat >"$folder/apt/apt.conf" <<END
Dir::State::lists "$folder/apt/lists";
Dir::Cache "$folder/apt";
Dir::Etc::sourcelist "$folder/apt/sources.list";
Dir::Etc::sourceparts "-";
APT::Sandbox::User "$([ "$(id -u)" = 0 ] && echo root)";
APT::Update::Post-Invoke-Success "true";
END
    export APT_CONFIG=$folder/apt/apt.conf
    apt-get -qq update
    (cd "$folder" && apt-get -qq source --download-only --tar-only "hnswlib=$VERSION-1")
    unset APT_CONFIG
    echo "$SHA256  $folder/hnswlib_$VERSION.orig.tar.gz" | sha256sum --check --quiet
    tar -C "$folder" -xf "$folder/hnswlib_$VERSION.orig.tar.gz"
}

fetch_hnswlib
"${3:-python3}" -m venv "$folder/environment"
python=$folder/environment/bin/python
"$python" -m pip install -q --upgrade pip
"$python" -m pip install -q "$sources/bindings/python" pytest
export PYTHONPATH=$sources/tests/python/peers PYTHONDONTWRITEBYTECODE=1
mkdir "$folder/run"
cd "$folder/run"

for test in "$folder/hnswlib-$VERSION"/{tests/python,python_bindings/tests}/bindings_test*.py; do
    say "hnswlib $VERSION: $(basename "$test")"
    "$python" -m unittest discover --start-directory "$(dirname "$test")" --pattern "$(basename "$test")" 2>&1 | tail -3
done
for example in "$folder/hnswlib-$VERSION"/examples/python/example*.py; do
    say "hnswlib $VERSION: $(basename "$example")"
    "$python" "$example" | tail -3
done
if [ -n "$usearch" ]; then
    say "USearch"
    "$python" -m pytest -q -rx --tb=short -p deviations -p no:cacheprovider --rootdir "$folder/run" \
        "$usearch"/python/scripts/test_{index,gil_release}.py | sed 's/^\(XFAIL\) [^ ]* - /\1 /' | sort | uniq -c
else
    say "USearch: not run, as no folder with its sources was given"
fi
echo "all passed"
