# What the tests of the tool share; sourced, with their arguments. Makes a folder of its own, puts the small files there, goes
# there, starts cli_test_python.py, and counts failures; end_of_test ends the test.
set -uo pipefail
PATH=/usr/bin:/bin:$PATH # Debian's Python is the one that has h5py
rhumb=$PWD/$1
case $1 in /*) rhumb=$1 ;; esac
work=$(mktemp -d "${TEST_TMPDIR:-/tmp}/cli_test.XXXXXX")
trap 'rm -rf "$work"' EXIT
export PYTHONDONTWRITEBYTECODE=1
python3 "$2" "$work" || exit 1
helper=$(realpath "${3%/*}/cli_test_python.py")
custom_metric=$(realpath "$4")
cd "$work" || exit 1
coproc python3 "$helper"
exec 8<&"${COPROC[0]}" 9>&"${COPROC[1]}" # subshells have these, and not the array's
failure_count=0

fail() {
    echo "FAILED: $*"
    sed 's/^/    stdout: /' stdout | head -5
    sed 's/^/    stderr: /' stderr | head -5
    failure_count=$((failure_count + 1))
}

# ask QUESTION: whether the answer is right; it is in $answer
ask() {
    local verdict
    echo "$1" >&9
    IFS=' ' read -r verdict answer <&8
    [ "$verdict" = right ]
}

# python CODE: whether the program comes to its end
python() {
    printf '%s' "$1" >code.py
    ask run
}

# expect CODE ARGUMENTS...: runs rhumb, keeps its output in the files stdout and stderr
expect() {
    local code=$1 found
    shift
    "$rhumb" "$@" >stdout 2>stderr </dev/null 8<&- 9>&-
    found=$?
    [ $found -eq "$code" ] || fail "rhumb $* ended with $found, expected $code"
}

# expect_json CODE ARGUMENTS...: the same with --json; stdout must be one JSON object that knows the exit code
expect_json() {
    local code=$1
    expect "$@" --json
    ask json || fail "rhumb ${*:2} --json wrote no JSON"
    [ "$answer" = "$code" ] || fail "rhumb ${*:2}: exit_code in the JSON is not $code"
    [ ! -s stderr ] || fail "rhumb ${*:2} --json wrote to stderr"
}

# field NAME[.NAME]: a member of the JSON object in stdout
field() {
    ask "field $1" && echo "$answer"
}

is() {
    ask "field $1"
    [ "$answer" = "$2" ] || fail "$1 is '$answer', expected $2"
}
says() { grep -q -e "$2" "$1" || fail "$1 does not say '$2'"; }

end_of_test() {
    [ $failure_count -eq 0 ] && echo "all as expected"
    exit $((failure_count > 0))
}
