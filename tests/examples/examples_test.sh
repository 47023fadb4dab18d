#!/bin/bash
# Goal: every program of examples/ does what its opening comment says. Method: run each with files in an empty folder, and
# compare all that it prints.
set -euo pipefail
programs=$PWD/examples
cd "$TEST_TMPDIR"

# Runs a program and compares its output with the text on standard input.
check() {
    local name=$1
    shift
    cat >expected
    "$programs/$name" "$@" >printed || { echo "FAILED: $name ended with $?"; exit 1; }
    diff -u expected printed || { echo "FAILED: $name printed something else"; exit 1; }
}

for run in creates opens; do
    check create_and_search colours.rhumb <<END
gold    50.0
yellow  90.0
red    165.0
END
    [ -s colours.rhumb ] || { echo "FAILED: create_and_search $run no index"; exit 1; }
done

check filters grid.rhumb <<END
all:           (10, 20) (10, 21) (11, 20)
listed:        (1, 30) (7, 5) (0, 0)
last rows:     (10, 28) (11, 28) (9, 28)
every fourth:  (12, 20) (12, 21) (12, 19)
odd columns:   (11, 20) (11, 21) (9, 20)
END

check reader_refresh shared.rhumb <<END
after inserts     : nothing new, 0 vectors
after a checkpoint: a newer checkpoint, 100 vectors
after inserts     : nothing new, 100 vectors
after a checkpoint: a newer checkpoint, 200 vectors
after inserts     : nothing new, 200 vectors
after a checkpoint: a newer checkpoint, 300 vectors
END

check live_backup live.rhumb backup.rhumb <<END
all vectors inserted before the backup are in it: yes
the backup is undamaged
END

check custom_metric places.rhumb <<END
without the function: the index uses the custom metric 'great_circle', whose function was not supplied
nearest to Brussels: Paris 264 km, London 321 km, Berlin 650 km
nearest to Nuku'alofa: Suva 745 km, Apia 890 km, Auckland 1998 km
END

[ "$(ls "$programs"/* | wc -l)" -eq 5 ] || { echo "FAILED: not every program of examples/ is run here"; exit 1; }

# A program that cannot do its work says so and fails.
if "$programs/filters" grid.rhumb 2>said; then
    echo "FAILED: filters replaced an index"
    exit 1
fi
grep -q "^RHUMB_E_EXISTS: ." said || { echo "FAILED: filters said: $(cat said)"; exit 1; }
echo "all well"
