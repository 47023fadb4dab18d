#!/bin/bash
# Goal: nothing is lost or left half done by the tool: an index is replaced by a whole one only, a failure leaves no part
# of one, the tool says what is in the file, signals end every command soon, and a closed output does no harm.
# Method: run the built program with limits, signals and closed descriptors, and look at files, messages and times.
#   cli_safety_test.sh RHUMB MAKE_DATA_PY CLI_TEST_SUPPORT_SH CUSTOM_METRIC
. "$3"

# ---- build --force ------------------------------------------------------------------------------------------------------
expect 0 build old.rhumb rows.npy --quiet
chmod 600 old.rhumb
cp old.rhumb before.rhumb
expect 3 build old.rhumb nan.npy --force
says stderr 'the old index is as it was'
cmp -s old.rhumb before.rhumb || expect 0 verify old.rhumb
expect_json 0 info old.rhumb
is count 2000
[ ! -e old.rhumb-building ] || fail "a working file is left"
expect 3 build old.rhumb nan.npy --force --keep-partial --checkpoint-every 500
[ -e old.rhumb-building ] || fail "--keep-partial keeps nothing"
expect_json 0 info old.rhumb
is count 2000
expect 0 build old.rhumb rows.npy --limit 50 --force --quiet
[ ! -e old.rhumb-building ] || fail "the rest of an earlier build is left"
[ "$(stat -c %a old.rhumb)" = 600 ] || fail "the new index has other permissions than the old one"
expect_json 0 info old.rhumb
is count 50
expect 3 build part.rhumb nan.npy
[ ! -e part.rhumb ] || fail "a failed build left an index"
expect 3 build part.rhumb nan.npy --keep-partial --checkpoint-every 500
expect 0 info part.rhumb
expect 4 build part.rhumb rows.npy
echo text >notes.txt
expect 4 build notes.txt rows.npy --force
[ "$(cat notes.txt)" = text ] || fail "--force replaced a file that is no index"
expect 4 info .

# ---- no room ------------------------------------------------------------------------------------------------------------
expect 0 build full.rhumb rows.npy --limit 200 --quiet --M 4 --ef-construction 8
python '
import numpy
numpy.save("many.npy", numpy.random.default_rng(1).random((12000, 16)).astype("f4"))'
codes=
for limit in 900 1300 1500; do
    cp full.rhumb limited.rhumb
    (ulimit -f $limit && trap '' XFSZ && exec "$rhumb" add limited.rhumb many.npy >stdout 2>stderr)
    code=$?
    codes="$codes $code"
    [ $code -eq 1 ] || [ $code -eq 5 ] || fail "no room at $limit: exit code $code"
    said=$(grep -o '[0-9,]* vectors in' stdout | tail -n 1 | tr -dc 0-9)
    expect_json 0 info limited.rhumb
    is count "$said"
    expected=12200
    if [ $code -ne 1 ]; then expected=200; fi
    expect 0 delete limited.rhumb 99999999 --ignore-absent
    expect_json 0 info limited.rhumb
    is count $expected
    expect 0 add limited.rhumb many.npy --quiet
    expect_json 0 info limited.rhumb
    is count 12200
done
# The last of them had no room for its checkpoint: its operations are in the log alone.
cp full.rhumb limited.rhumb
(ulimit -f 1500 && trap '' XFSZ && exec "$rhumb" add limited.rhumb many.npy >stdout 2>stderr)
cp limited.rhumb alone.rhumb
expect_json 0 info limited.rhumb
is log_present True
is log_expected True
[ "$(field log_pending_count)" -ge 12000 ] || fail "operations that only the log has are not told"
expect_json 1 info alone.rhumb
is log_present False
is log_expected True
is count 200
expect 1 info alone.rhumb
says stdout '^DAMAGED .*there is no such file'
expect 4 delete alone.rhumb 7
case $codes in *5*1*) ;; *) fail "no room for the log, and then none for the checkpoint: exit codes$codes" ;; esac

# ---- signals --------------------------------------------------------------------------------------------------------------
cat >signals.py <<'PYTHON'
import json, os, signal, subprocess, sys, time

rhumb = sys.argv[1]
# Sanitizers make everything slower, and the machine may be busy: what is tested is that nothing goes on to its end.
SECONDS = 5


def catches(process):
    status = open(f"/proc/{process.pid}/status").read()
    return int(status.split("SigCgt:")[1].split()[0], 16) >> (signal.SIGINT - 1) & 1


def stop(arguments, number=signal.SIGINT, stdin=None):
    """Runs the tool, sends a signal, and returns (exit code, stdout, stderr, seconds until the end)."""
    process = subprocess.Popen([rhumb, *arguments], stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while process.poll() is None and not catches(process):
        time.sleep(0.01)
    time.sleep(0.3)  # it is at work then
    assert process.poll() is None, (arguments, "ended by itself", process.communicate())
    begin = time.monotonic()
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)
    return process.returncode, stdout.decode(), stderr.decode(), time.monotonic() - begin


def expect(arguments, word, **how):
    code, stdout, stderr, seconds = stop(arguments, **how)
    assert code == 130, (arguments, code, stderr)
    assert word in stderr + stdout, (arguments, stderr, stdout)
    assert seconds < SECONDS, (arguments, seconds)


assert subprocess.run([rhumb, "build", "big.rhumb", "large.npy", "-q", "--M", "4", "--ef-construction", "8"]).returncode == 0
for number in (signal.SIGINT, signal.SIGTERM):
    expect(["search", "big.rhumb", "large.npy", "--exact", "-k", "1000", "--out", "found.npy"], "interrupted after",
           number=number)
    assert not os.path.exists("found.npy") and not os.path.exists("found.npy.partial")
expect(["search", "big.rhumb", "large.npy", "--exact", "--summary", "--json"], '"exit_code":130')
expect(["search", "big.rhumb", "large.npy", "--radius", "1e9", "-k", "60000", "--summary"], "interrupted")
expect(["compact", "big.rhumb", "--into", "into.rhumb", "--second-pass"], "interrupted")
assert not [name for name in os.listdir() if name.startswith("into.rhumb")]
expect(["build", "never.rhumb", "large.npy", "--ef-construction", "2000", "--M", "64", "-t", "1", "--metric", "l1"], "safe in")
expect(["build", "bulk.rhumb", "large.npy", "--M", "128", "-t", "1"], "no index was made")
assert not [name for name in os.listdir() if name.startswith("bulk.rhumb")]

# Added to an index: nothing of a batch that was interrupted stays.
assert subprocess.run([rhumb, "build", "grown.rhumb", "large.npy", "-q", "--limit", "500", "--ef-construction", "3000",
                       "--M", "64"]).returncode == 0
expect(["add", "grown.rhumb", "large.npy", "-t", "1"], "none of the 60000 vectors was added")
info = json.loads(subprocess.run([rhumb, "info", "grown.rhumb", "--json"], stdout=subprocess.PIPE).stdout)
assert info["count"] == 500, info

# Waiting for a pipe.
reader, writer = os.pipe()
expect(["build", "piped.rhumb", "-", "--format", "npy"], "interrupted", stdin=reader)
PYTHON
python3 signals.py "$rhumb" >stdout 2>stderr || fail "signals: $(tail -3 stderr)"

# ---- outputs that are closed ----------------------------------------------------------------------------------------------
python3 - "$rhumb" <<'PYTHON' >stdout 2>stderr || fail "closed outputs: $(tail -3 stderr)"
import os, signal, subprocess, sys
rhumb = sys.argv[1]
for arguments in (["search", "big.rhumb", "large.npy", "-k", "50"], ["export", "big.rhumb", "--out", "-"]):
    process = subprocess.Popen([rhumb, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.read(100)
    process.stdout.close()
    told = process.stderr.read()
    assert process.wait(timeout=60) == -signal.SIGPIPE, (arguments, process.returncode)
    assert told == b"", (arguments, told)
PYTHON
"$rhumb" info old.rhumb >&- 2>stderr
[ $? -eq 5 ] || fail "a closed stdout is not exit code 5"
cp old.rhumb closed.rhumb
"$rhumb" add closed.rhumb rows.npy <&- >&- 2>&-
expect 0 verify closed.rhumb
expect_json 0 info closed.rhumb
is count 2050
end_of_test
