#!/bin/bash
# Makes HTML and man pages of the public headers with Doxygen (Debian package doxygen): tools/manual.sh [FOLDER]
# They are written to FOLDER/html and FOLDER/man, by default .out/manual. Warnings end the script with an error.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-.out/manual}
command -v doxygen >/dev/null || { echo "tools/manual.sh: doxygen is missing (apt-get install doxygen)" >&2; exit 1; }
mkdir -p "$folder"

# One page lists the example programs, which then link to the functions they call.
for example in examples/*.c; do
    echo "/** @example $(basename "$example") */"
done >"$folder/examples.dox"

number() { sed -n "s/^#define RHUMB_VERSION_$1 \([0-9]*\)$/\1/p" include/rhumb.h; }
doxygen - <<END
PROJECT_NAME           = rhumb
PROJECT_NUMBER         = $(number MAJOR).$(number MINOR).$(number PATCH)
PROJECT_BRIEF          = "memory-mapped, persistent index for approximate nearest neighbour search"
OUTPUT_DIRECTORY       = "$folder"
INPUT                  = include "$folder/examples.dox"
EXAMPLE_PATH           = examples
INPUT_FILTER           = "python3 tools/doxygen_filter.py"
FILTER_PATTERNS        = *.dox=cat
STRIP_FROM_PATH        = include
STRIP_FROM_INC_PATH    = include
MACRO_EXPANSION        = YES
EXPAND_ONLY_PREDEF     = YES
PREDEFINED             = RHUMB_API= RHUMB_NODISCARD= __GNUC__
EXCLUDE_SYMBOLS        = RHUMB_API RHUMB_NODISCARD RHUMB_H RHUMB_*_H
OPTIMIZE_OUTPUT_FOR_C  = YES
JAVADOC_AUTOBRIEF      = YES
TYPEDEF_HIDES_STRUCT   = YES
SORT_MEMBER_DOCS       = NO
SHOW_USED_FILES        = NO
DISABLE_INDEX          = NO
GENERATE_TREEVIEW      = YES
HTML_TIMESTAMP         = NO
HAVE_DOT               = NO
INCLUDE_GRAPH          = NO
INCLUDED_BY_GRAPH      = NO
GENERATE_LATEX         = NO
GENERATE_MAN           = YES
MAN_EXTENSION          = .3
MAN_LINKS              = YES
QUIET                  = YES
WARN_IF_UNDOCUMENTED   = NO
WARN_IF_INCOMPLETE_DOC = NO
WARN_AS_ERROR          = FAIL_ON_WARNINGS
END
rm "$folder/examples.dox"
# A link for each function, type and constant, but none for fields: there is one page for their structure.
find "$folder/man/man3" -type f ! -name 'rhumb*' ! -name 'RHUMB*' -delete
echo "$folder/html/index.html"
echo "$folder/man/man3/rhumb.h.3"
