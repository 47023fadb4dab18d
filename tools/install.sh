#!/bin/bash
# Installs the library, its headers and the command line tool: bazel run //:install -- PREFIX
# With DESTDIR set, everything goes below that folder, as packagers want it.
set -euo pipefail

if [ "$#" -ne 1 ] || [ -z "$1" ] || [ "${1#-}" != "$1" ]; then
    echo "usage: bazel run //:install -- PREFIX" >&2
    exit 2
fi
PATH=/usr/bin:/bin # under Bazel's tests "." comes first, where a file called install is: this one

# Bazel starts this among the files it needs, and tells where the user is.
case "$1" in
/*) prefix=$(realpath -m -- "$1") ;;
*) prefix=$(realpath -m -- "${BUILD_WORKING_DIRECTORY:-$PWD}/$1") ;;
esac
target=${DESTDIR:-}$prefix

number() { sed -n "s/^#define RHUMB_VERSION_$1 \([0-9]*\)$/\1/p" include/rhumb.h; }
major=$(number MAJOR)
version=$major.$(number MINOR).$(number PATCH)

install -d "$target/bin" "$target/include" "$target/lib/pkgconfig"
install -m 755 api/cli/rhumb "$target/bin/rhumb"
install -m 644 include/*.h "$target/include/"
install -m 644 librhumb.a "$target/lib/librhumb.a"
install -m 755 librhumb.so "$target/lib/librhumb.so.$version"
ln -sfn "librhumb.so.$version" "$target/lib/librhumb.so.$major"
ln -sfn "librhumb.so.$major" "$target/lib/librhumb.so"
cat >"$target/lib/pkgconfig/rhumb.pc" <<END
prefix=$prefix
includedir=\${prefix}/include
libdir=\${prefix}/lib

Name: rhumb
Description: memory-mapped persistent index for approximate nearest neighbour search
Version: $version
Cflags: -I\${includedir}
Libs: -L\${libdir} -lrhumb
Libs.private: -luring -lpthread -lm
END
echo "rhumb $version is installed in $target"
