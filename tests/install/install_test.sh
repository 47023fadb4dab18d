#!/bin/bash
# Goal: what is installed is complete, exports the public functions and nothing else, and a user's program can be built
# with it. Method: install into an empty folder; inspect the libraries with the linker's tools; compile, link and run a
# program as C and as C++, against the shared and against the static library.
set -euo pipefail
prefix=$TEST_TMPDIR/prefix
fail() {
    echo "FAILED: $*"
    exit 1
}

tools/install.sh "$prefix"
for file in bin/rhumb lib/librhumb.a lib/librhumb.so lib/librhumb.so.0 lib/pkgconfig/rhumb.pc; do
    [ -s "$prefix/$file" ] || fail "$file is not there"
done
[ -s include/rhumb.h ] || fail "the test does not see the public headers"
for header in include/*.h; do
    cmp "$header" "$prefix/$header" || fail "$header is not installed"
    # A part can be included alone, and brings the rest with it.
    echo "#include <${header#include/}>" | gcc -std=c11 -Wall -Wextra -Wpedantic -Werror -I"$prefix/include" -fsyntax-only -x c - ||
        fail "$header cannot be included by itself"
done
library=$(readlink -f "$prefix/lib/librhumb.so")

# Symbols: those of the headers, and no other.
headers=("$prefix"/include/*.h)
exported=$(nm -D --defined-only "$library" | awk '{ print $3 }' | sed 's/@.*//' | grep -v '^RHUMB_0$' | sort)
declared=$(grep -oh '\brhumb_[a-z_]*(' "${headers[@]}" | tr -d '(' | sort -u)
functions=$(comm -12 <(echo "$exported") <(echo "$declared"))
[ "$exported" = "$functions" ] || fail "exported but not declared: $(comm -23 <(echo "$exported") <(echo "$declared"))"
missing=$(sed -n 's/^RHUMB_API.*\b\(rhumb_[a-z_]*\)(.*/\1/p' "${headers[@]}" | sort -u |
    comm -23 - <(echo "$exported"))
[ -z "$missing" ] || fail "declared but not exported: $missing"

dynamic=$(readelf -d "$library")
grep -q 'SONAME.*\[librhumb.so.0\]' <<<"$dynamic" || fail "wrong soname"
if grep -q 'NEEDED.*stdc++' <<<"$dynamic"; then fail "needs libstdc++"; fi

program=tests/install/program.c
strict="-Wall -Wextra -Wpedantic -Werror"
private=$(sed -n 's/^Libs.private: //p' "$prefix/lib/pkgconfig/rhumb.pc")
run() { LD_LIBRARY_PATH=$prefix/lib "$TEST_TMPDIR/program" || fail "the program ended with $? ($1)"; }
gcc -std=c11 $strict -I"$prefix/include" "$program" -o "$TEST_TMPDIR/program" -L"$prefix/lib" -lrhumb
run "C, shared"
g++ -std=c++11 -x c++ $strict -I"$prefix/include" "$program" -o "$TEST_TMPDIR/program" -L"$prefix/lib" -lrhumb
run "C++, shared"
gcc -std=c11 $strict -I"$prefix/include" "$program" -o "$TEST_TMPDIR/program" "$prefix/lib/librhumb.a" $private
run "C, static"

# A program keeps its own malloc, whichever library it is linked with.
check_malloc() {
    owners=$(LD_LIBRARY_PATH=$prefix/lib "$TEST_TMPDIR/malloc_program" "$TEST_TMPDIR/$1.rhumb") ||
        fail "the program that looks for malloc ended with $? ($1)"
    grep -q '^malloc .*/libc\.so' <<<"$owners" || fail "malloc of the program is another one ($1): $owners"
    ! grep -v '/libc\.so' <<<"$owners" || fail "functions for memory come from elsewhere ($1)"
}
gcc -std=c11 -I"$prefix/include" tests/install/malloc_program.c -o "$TEST_TMPDIR/malloc_program" -L"$prefix/lib" -lrhumb -ldl
check_malloc shared
gcc -std=c11 -I"$prefix/include" tests/install/malloc_program.c -o "$TEST_TMPDIR/malloc_program" \
    "$prefix/lib/librhumb.a" $private -ldl
check_malloc static
if grep -q 'NEEDED.*mimalloc' <<<"$dynamic"; then fail "needs mimalloc"; fi

"$prefix/bin/rhumb" --version >/dev/null || fail "the command line tool does not start"
echo "all well"
