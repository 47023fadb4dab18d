#!/bin/bash
# Makes a virtual environment with the libraries that compare.py measures: bench/peers/setup.sh DIR
#
# They come from PyPI, in the versions below; those without a wheel for this machine are left out. hnswlib, which has no
# wheels, is compiled for this processor, and again without AVX-512 into DIR/avx2, for `compare.py --simd avx2`.
# PYTHON names the interpreter to use. Nothing outside DIR is changed.
set -euo pipefail
folder=${1:?usage: bench/peers/setup.sh DIR}
wheels=(faiss-cpu==1.15.1 usearch==2.26.6 pyvsag==0.18.5 rabitqlib==0.7.1 scalable-vs==0.5.0 diskannpy-rust==0.49.1)
hnswlib=hnswlib==0.8.0

"${PYTHON:-python3}" -m venv "$folder"
pip=("$folder/bin/pip" --quiet --disable-pip-version-check)
"${pip[@]}" install --upgrade pip
"${pip[@]}" install numpy h5py setuptools wheel pybind11
for package in "${wheels[@]}"; do
    "${pip[@]}" install --only-binary=:all: "$package" || echo "left out: $package" >&2
done
"${pip[@]}" install --no-build-isolation --no-cache-dir "$hnswlib" || echo "left out: $hnswlib" >&2
HNSWLIB_NO_NATIVE=1 CFLAGS="-march=x86-64-v3" "${pip[@]}" install --no-build-isolation --no-cache-dir --no-deps \
    --upgrade --target "$folder/avx2" "$hnswlib" || echo "left out: $hnswlib for AVX2" >&2
"$folder/bin/pip" --disable-pip-version-check list
