#!/bin/bash
# Goal: the second build, CMakeLists.txt, makes and installs what the first one does, from the same sources.
# Method: configure, build and install in empty folders, from nothing but the sources that Bazel's targets name; compare
# the exported symbols with those of Bazel's library; run the tool, and find the library through its pkg-config file.
# Optimised as little as the kernels allow: what is tested is that files and flags are complete.
set -euo pipefail
build=$TEST_TMPDIR/build
prefix=$TEST_TMPDIR/prefix
fail() {
    echo "FAILED: $*"
    exit 1
}

cmake -S . -B "$build" -G "Unix Makefiles" -DCMAKE_INSTALL_PREFIX="$prefix" -DCMAKE_INSTALL_LIBDIR=lib \
    -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS_DEBUG="-O0 -Werror" >"$TEST_TMPDIR/cmake.log" || {
    cat "$TEST_TMPDIR/cmake.log"
    fail "cmake ended with an error"
}
make -C "$build" -j2 install >"$TEST_TMPDIR/make.log" 2>&1 || {
    tail -50 "$TEST_TMPDIR/make.log"
    fail "the build ended with an error"
}

symbols() { nm -D --defined-only "$1" | awk '{ print $2, $3 }' | sort; }
[ -n "$(symbols librhumb.so)" ] || fail "Bazel's library exports nothing"
diff <(symbols librhumb.so) <(symbols "$prefix/lib/librhumb.so") || fail "the libraries export different symbols"
dynamic=$(readelf -d "$prefix/lib/librhumb.so")
grep -q 'SONAME.*\[librhumb.so.0\]' <<<"$dynamic" || fail "wrong soname"

version=$(grep -oE '^#define RHUMB_VERSION_(MAJOR|MINOR|PATCH) [0-9]+' include/rhumb.h | awk '{ print $3 }' | paste -sd.)
said=$("$prefix/bin/rhumb" --version)
[[ "$said" == "rhumb $version (file format "* ]] || fail "the tool's version is '$said'"
for header in include/*.h; do
    cmp "$header" "$prefix/$header" || fail "$header is not installed"
done
grep -qx "Version: $version" "$prefix/lib/pkgconfig/rhumb.pc" || fail "wrong version in rhumb.pc"
for library in "$prefix"/lib/librhumb.so "$prefix"/lib/librhumb.a; do
    if nm -AD "$library" 2>/dev/null | grep -q 'mi_malloc' || nm "$library" 2>/dev/null | grep -q ' U mi_'; then
        fail "$library allocates with mimalloc, which replaces the malloc of its program"
    fi
done
if grep -q mimalloc "$prefix/lib/pkgconfig/rhumb.pc"; then fail "rhumb.pc names mimalloc"; fi
[ -s "$prefix/lib/librhumb.a" ] || fail "there is no static library"
