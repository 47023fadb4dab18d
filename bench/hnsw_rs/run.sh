#!/bin/bash
# Compares rhumb with hnsw_rs and writes bench/results/hnsw_rs-*.txt: bench/hnsw_rs/run.sh values|behaviour|speed...
# Needs cargo, the network once (for the crates), libhdf5-dev, and the data sets of bench/datasets.py in bench/data or in
# the folder that DATA names. `speed` needs a quiet machine, 4 GB of memory and about half an hour.
set -euo pipefail
cd "$(dirname "$0")/../.."
data=${DATA:-bench/data}
results=bench/results
target=${CARGO_TARGET_DIR:-$PWD/.out/hnsw_rs}
fashion=$data/fashion-mnist-784-euclidean.hdf5
words=$data/words-100-angular.hdf5

bazel ${RHUMB_BAZEL_FLAGS:-} build -c opt //:librhumb.so # the flags as in ./test
libraries=$(mktemp -d)
trap 'rm -rf "$libraries"' EXIT
cp -L .out/bazel-bin/librhumb.so "$libraries/librhumb.so"
ln -s librhumb.so "$libraries/librhumb.so.0"
export RHUMB_LIB=$libraries LD_LIBRARY_PATH=$libraries TMPDIR=${TMPDIR:-$libraries}
cargo build --release --manifest-path bench/hnsw_rs/Cargo.toml --target-dir "$target"

# record NAME WHAT ARGUMENTS...: one run, into hnsw_rs-NAME.txt after a record of what was run, on what and of which commit.
record() {
    local name=$1 what=$2
    shift 2
    {
        echo "what: $what"
        echo "machine: $(nproc) processors, $(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2- | xargs)," \
            "$(cargo --version | cut -d' ' -f1,2), $(gcc --version | head -1)"
        echo "commit: $(git rev-parse --short HEAD)$(git diff --quiet HEAD || echo -dirty)"
        echo "command: hnsw-rs-comparison $*"
        echo
        "$target/release/hnsw-rs-comparison" "$@"
    } | sed "s|$data/||" | tee "$results/hnsw_rs-$name.txt"
}

for part in "$@"; do
    case $part in
        values) record values "distances of hnsw_rs 0.3.5 and rhumb against a reference" values ;;
        behaviour) record behaviour "links, filters and dumps of hnsw_rs 0.3.5, its fork, and rhumb" behaviour "$fashion" ;;
        speed)
            record speed-fashion-mnist "recall, speed and building of hnsw_rs 0.3.5 and rhumb, Fashion-MNIST" \
                speed "$fashion" euclidean 24 400 3 5000 10 16 24 32 48 64 96 128 200
            record speed-words "recall, speed and building of hnsw_rs 0.3.5 and rhumb, words" \
                speed "$words" angular 16 200 3 3000 20 50 100 200 400 800
            ;;
        *) echo "usage: bench/hnsw_rs/run.sh values|behaviour|speed..." >&2 && exit 2 ;;
    esac
done
