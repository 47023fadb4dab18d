#!/bin/bash
# Goal: the tool does what its help says: every command, text and JSON, every exit code, Ctrl-C.
# Method: run the built program on small files (make_data.py) and look at exit codes, output and files.
#   cli_test.sh RHUMB MAKE_DATA_PY CLI_TEST_SUPPORT_SH CUSTOM_METRIC
. "$3"

# ---- help -----------------------------------------------------------------------------------------------------------
expect 0 --version
says stdout '^rhumb [0-9]*\.[0-9]*\.[0-9]* (file format [0-9]*)$'
expect 0 --help
for code in 0 1 2 3 4 5 130; do says stdout "^  $code  "; done
for command in build add upsert delete search get export info verify repair compact merge topology; do
    expect 0 $command --help
    says stdout "^usage: rhumb $command"
    says stdout '^examples:'
    cp stdout first
    expect 0 help $command
    cmp -s first stdout || fail "help $command differs from $command --help"
done

# ---- the command line is wrong: 2 -------------------------------------------------------------------------------------
expect 2
expect 2 launch
expect 2 build
expect 2 build only.rhumb
expect 2 build a.rhumb rows.npy more.npy
expect 2 build a.rhumb rows.npy --M
expect 2 build a.rhumb rows.npy --M many
expect 2 build a.rhumb rows.npy --M 1
expect 2 build a.rhumb rows.npy --metric haming
expect 2 build a.rhumb rows.npy --element f65
expect 2 build a.rhumb rows.npy --metric levenshtein --element u8
expect 2 build a.rhumb rows.npy --normalise
expect 2 build a.rhumb rows.npy --format csv
expect 2 build a.rhumb row1000.bytes
expect 2 search a.rhumb rows.npy -k 0
expect 2 repair a.rhumb
says stderr '--into'
expect 2 topology a.rhumb --out t --levels 1
expect 2 topology a.rhumb
says stderr '--out'
expect 2 compact a.rhumb --into b.rhumb --order alphabetical
expect_json 2 build --bogus
is error.exit_code 2
[ ! -e a.rhumb ] || fail "a wrong command line left an index"

# ---- an input file is bad: 3 ------------------------------------------------------------------------------------------
for file in absent.npy cut.fvecs fortran.npy strange.hdf5; do
    expect 3 build a.rhumb $file
    says stderr "$file"
done
expect 3 build a.rhumb rows.npy --keys few_keys.npy
expect 3 build a.rhumb rows.npy --keys rows.npy
expect 3 build a.rhumb rows.npy --element b1 --metric hamming
expect_json 3 build a.rhumb cut.fvecs
[ ! -e a.rhumb ] || fail "a bad input file left an index"
expect 0 build strange.rhumb strange.hdf5 --metric l2sq
expect 3 build nan.rhumb nan.npy --quiet
says stderr 'row 1234 has -\?nan as component 5'
[ ! -e nan.rhumb ] || fail "a bad row left an index"
expect 3 build same.rhumb rows.npy --keys same_keys.npy
expect 3 build rounded.rhumb rows.npy --element i16
says stderr 'row 0 has .* as component 0, which i16 does not hold'

# ---- other metrics and element types ----------------------------------------------------------------------------------
# The first of each file's rows are its queries, so each finds itself.
try_type() {
    local file=$1
    shift
    expect 0 build type.rhumb "$file" --force --quiet "$@"
    expect_json 0 search type.rhumb "$file" -k 1 --limit 50 --out found.npy --out-distances distances.npy
    python '
import numpy
assert (numpy.load("found.npy")[:, 0] == numpy.arange(50)).all()
assert (abs(numpy.load("distances.npy")) < 1e-6).all()' || fail "build $file $* does not find its vectors"
}
try_type bytes.npy --element u8 --metric l1
try_type bytes.npy --element i32 --metric cosine
try_type bytes.npy --element f16
try_type bytes.npy --element b1 --metric hamming
try_type counts.hdf5 --element u16 --metric jaccard
try_type counts.hdf5 --element f32 --metric hellinger --normalise
try_type doubles.hdf5 --element f64
try_type doubles.hdf5 --element bf16 --metric l2sq
try_type bytes.bvecs --element u8
expect_json 0 info type.rhumb
is options.element u8
expect 0 add type.rhumb bytes.npy
expect 3 add type.rhumb doubles.hdf5
expect 3 build domain.rhumb counts.hdf5 --metric jeffreys
says stderr 'sum to'

# ---- build, info, verify ----------------------------------------------------------------------------------------------
expect_json 0 build data.rhumb data.hdf5 --M 12 --ef-construction 80 --threads 2
is inserted 2000
is metric l2
is input.dim 16
is interrupted False
expect 0 info data.rhumb
says stdout '2,000 of 16 x f32, metric l2'
expect_json 0 info data.rhumb
is count 2000
is options.M 12
is options.M0 24
is options.ef_construction 80
expect 0 verify data.rhumb
says stdout whole
expect_json 0 verify data.rhumb
is whole True
is node_count 2000
is first_error ""

expect 4 build data.rhumb data.hdf5
says stderr '--force'
expect 0 build data.rhumb rows.fvecs --force --quiet --checkpoint-every 300 --seed 5
expect_json 0 info data.rhumb
is count 2000
is options.seed 5
expect 2 build data.hdf5 data.hdf5 --force
expect 4 build rows.npy data.hdf5 --force
python 'import numpy; numpy.load("rows.npy")' || fail "--force removed a file that is not an index"
expect_json 0 build limited.rhumb data.hdf5 --limit 100
is count 100

# ---- search -----------------------------------------------------------------------------------------------------------
expect_json 0 search data.rhumb data.hdf5 -k 10 --ef 200 --summary --min-recall 0.9
is recall_definition distance
is queries 60
is ef 200
expect 0 search data.rhumb queries.fvecs --truth truth.ivecs --ef 200 --summary
says stdout '^recall@10 .*(by ids)$'
expect_json 0 search data.rhumb queries.fvecs --truth truth.ibin --exact --summary
is recall_definition ids
is recall 1
expect_json 0 search data.rhumb queries.fvecs --truth truth.ibin --truth-metric l2sq --exact --summary
is recall_definition distance
is recall 1
expect 0 search data.rhumb data.hdf5 -k 3 --limit 2
[ "$(wc -l <stdout)" = 2 ] || fail "expected a line per query"
grep -Eq '^1	[0-9]+:[0-9.]+ [0-9]+:[0-9.]+ [0-9]+:[0-9.]+$' stdout || fail "a line of results looks different"
says stderr 'recall@3'
expect_json 0 search data.rhumb data.hdf5 -k 3 --limit 2 --no-truth
python '
import json
results = json.load(open("stdout"))
assert "recall" not in results
assert [len(row["keys"]) for row in results["results"]] == [3, 3]
assert all(row["distances"] == sorted(row["distances"]) for row in results["results"])' || fail "results in the JSON"
expect 0 search data.rhumb queries.fvecs --exact --out found.npy --out-distances distances.fvecs --quiet
expect 0 search data.rhumb queries.fvecs --exact --out found.ivecs --out-distances distances.npy --quiet
python '
import h5py, numpy
truth = h5py.File("data.hdf5")
def vecs(path, type):
    return numpy.fromfile(path, "<i4").reshape(60, 11)[:, 1:].view(type)
assert numpy.array_equal(numpy.load("found.npy"), truth["neighbors"][:, :10])
assert numpy.array_equal(vecs("found.ivecs", "<i4"), truth["neighbors"][:, :10])
assert numpy.allclose(numpy.load("distances.npy"), truth["distances"][:, :10], rtol=1e-5)
assert numpy.array_equal(vecs("distances.fvecs", "<f4"), numpy.load("distances.npy"))' || fail "matrices of results"
ls ./*.partial >/dev/null 2>&1 && fail "a partial file remained"
# Fewer vectors than k: the rest of a row says "none".
expect 0 search strange.rhumb queries.fvecs -k 12 --limit 1 --out short.ivecs
python '
import numpy
assert (numpy.fromfile("short.ivecs", "<i4")[11:] == -1).all()' || fail "unfilled places"
expect 2 search data.rhumb queries.fvecs --out found.txt
expect 3 search data.rhumb wide.npy
expect 3 search data.rhumb queries.fvecs --truth truth.ivecs -k 21
expect 3 search data.rhumb rows.npy --truth truth.ivecs
expect 3 search data.rhumb nan.npy --summary
says stderr 'row 1234'
expect 1 search limited.rhumb data.hdf5 --summary --min-recall 0.9
says stderr 'recall 0\.'
expect 2 search data.rhumb queries.fvecs --min-recall 0.9
# A recall in place of ef.
expect 1 search data.rhumb data.hdf5 --recall 0.9 --summary
says stderr 'rhumb recall'
expect 1 recall data.rhumb --show
expect 2 recall data.rhumb --show --dry-run
expect 2 recall data.rhumb --count 70000
expect 0 recall data.rhumb --dry-run --quiet
says stdout 'recall@10 '
expect 1 recall data.rhumb --show
expect_json 0 recall data.rhumb --queries queries.fvecs --count 40
is recall_curve.queries 40
is recall_curve.queries_given True
expect 3 recall data.rhumb --queries wide.npy
expect 3 recall data.rhumb --queries nan.npy
expect 0 recall data.rhumb --quiet
says stdout '^targets  *k 10: '
expect_json 0 info data.rhumb
is recall_curve.queries_given False
is recall_curve.outdated False
expect_json 0 recall data.rhumb --show
is recall_curve.count 2000
expect_json 0 search data.rhumb data.hdf5 --recall 0.9 --summary --min-recall 0.8
is recall_target 0.9
expect 0 search data.rhumb data.hdf5 --recall 0.9 --summary
for recall in 0 -1 1.5 nan; do expect 2 search data.rhumb data.hdf5 --recall "$recall"; done
expect 2 search data.rhumb data.hdf5 --recall 0.9 --ef 10
expect 2 search data.rhumb data.hdf5 --recall 0.9 --exact
expect 2 search data.rhumb data.hdf5 --recall 0.9 --radius 1
expect_json 0 build checked.rhumb data.hdf5 --check
is recall_curve.count 2000
expect 0 build checked.rhumb data.hdf5 --check --force --quiet
says stdout '^recall  '
expect 0 build checked.rhumb data.hdf5 --check --force --limit 1
expect 1 search checked.rhumb data.hdf5 --recall 0.9 --summary
# Only some keys, in disorder and one twice; all but those; and what is within a radius.
python '
import numpy
numpy.save("some.npy", numpy.array([7, 3, 1999, 7, 500], "i8"))'
expect 0 search data.rhumb queries.fvecs --filter-keys some.npy -k 5 --out found.npy --quiet
python '
import numpy
found = numpy.sort(numpy.load("found.npy"), axis=1)
assert (found == [3, 7, 500, 1999, 2**64 - 1]).all()' || fail "keys of a filter"
expect 0 search data.rhumb queries.fvecs --exclude-keys some.npy --exact -k 1996 --out found.npy --quiet
python '
import numpy
assert not numpy.isin(numpy.load("found.npy"), [3, 7, 500, 1999]).any()' || fail "excluded keys"
expect_json 0 search data.rhumb data.hdf5 --radius 0.001 -k 7 --limit 2
expect 2 search data.rhumb queries.fvecs --radius 1 --exact
expect 2 search data.rhumb queries.fvecs --filter-keys some.npy --exclude-keys some.npy
expect 3 search data.rhumb queries.fvecs --filter-keys rows.npy
# One column, but of floats: it is the file that is wrong, not the command line.
python '
import numpy
numpy.save("floats.npy", numpy.array([7, 3], "f4"))'
expect 3 search data.rhumb queries.fvecs --filter-keys floats.npy
says stderr 'keys must be integers'

# ---- add --------------------------------------------------------------------------------------------------------------
expect_json 0 build keyed.rhumb rows.npy --keys keys.npy
expect_json 0 search keyed.rhumb queries.fvecs --truth truth_by_key.npy --exact --summary
is recall 1
expect_json 0 add data.rhumb more.npy
is inserted 2000
is count 4000
expect_json 3 add data.rhumb more.npy --first-key 3000
is inserted 0
expect_json 0 add data.rhumb more.npy --first-key 3000 --skip-existing --threads 1
is inserted 1000
is skipped 1000
expect_json 0 info data.rhumb
is count 5000
expect 3 add data.rhumb wide.npy
expect 2 add data.rhumb more.npy --keys keys.npy --first-key 1
expect 0 verify data.rhumb

# ---- an index cannot be used: 4; output cannot be written: 5 ------------------------------------------------------------
for command in info verify; do
    expect 4 $command absent.rhumb
    expect_json 4 $command rows.npy
    [ -n "$(field error.status)" ] || fail "no status in the JSON"
done
expect 4 search absent.rhumb queries.fvecs
expect 4 add absent.rhumb rows.npy
: >empty.rhumb
expect 4 info empty.rhumb
"$rhumb" info data.rhumb >/dev/full 2>stderr
[ $? -eq 5 ] || fail "a full disk under stdout is not exit code 5"
expect 5 search data.rhumb queries.fvecs --out /absent/found.npy
# A name that is not UTF-8 comes out as JSON all the same.
expect_json 4 info $'caf\xe9.rhumb'

# ---- a writer at work, and Ctrl-C: 130 ----------------------------------------------------------------------------------
# Started from Python: a shell lets its background jobs ignore SIGINT.
cat >interrupt.py <<'PYTHON'
import json, signal, subprocess, sys, time

rhumb = sys.argv[1]


def run(*arguments):
    return subprocess.run([rhumb, *arguments, "--json"], stdout=subprocess.PIPE)


# Under l1, as nothing is built in bulk there.
build = [rhumb, "build", "slow.rhumb", "large.npy", "--metric", "l1", "--ef-construction", "1000", "--M", "48", "--threads", "1",
         "--json"]
process = subprocess.Popen(build, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
for attempt in range(100):  # until the index exists
    time.sleep(0.05)
    if run("info", "slow.rhumb").returncode == 0:
        break
time.sleep(0.5)
assert process.poll() is None, "the build ended before it could be interrupted"
for arguments in (("add", "slow.rhumb", "large.npy"), ("build", "slow.rhumb", "large.npy", "--force")):
    second = run(*arguments)
    assert second.returncode == 4, (arguments, second)
    assert json.loads(second.stdout)["error"]["status"] == "RHUMB_E_LOCKED", second
info = run("info", "slow.rhumb")
assert info.returncode == 0, "reading while another process writes"
assert json.loads(info.stdout)["writer_open"], info
process.send_signal(signal.SIGINT)
stdout, stderr = process.communicate(timeout=60)
assert process.returncode == 130, (process.returncode, stderr)
told = json.loads(stdout)
assert told["interrupted"] and told["exit_code"] == 130, told
assert "--first-key 0 --skip-existing" in told["error"]["message"], told
assert 0 < told["inserted"] < 60000, told

info = json.loads(run("info", "slow.rhumb").stdout)
assert info["count"] == told["inserted"], (info, told)
assert run("verify", "slow.rhumb").returncode == 0
rest = run("add", "slow.rhumb", "large.npy", "--first-key", "0", "--skip-existing", "--limit", str(told["inserted"] + 50))
rest = json.loads(rest.stdout)
assert (rest["inserted"], rest["skipped"], rest["count"]) == (50, told["inserted"], told["inserted"] + 50), rest
PYTHON
python3 interrupt.py "$rhumb" >stdout 2>stderr || fail "interruption: $(tail -3 stderr)"

# ---- info names the readers, once or again and again -----------------------------------------------------------------
expect_json 0 info keyed.rhumb
is pins '[]'
is writer_open False
cp keyed.rhumb watched.rhumb
cat >reader.py <<'PYTHON'
import json, signal, subprocess, sys

rhumb = sys.argv[1]
reader = subprocess.Popen([rhumb, "export", "watched.rhumb", "--out", "-"], stdout=subprocess.PIPE)
reader.stdout.read(1)  # the rest waits for room in the pipe
info = json.loads(subprocess.check_output([rhumb, "info", "watched.rhumb", "--json"]))
assert info["pins"] == [{"epoch": info["epoch"], "readers": 1, "processes": [reader.pid]}], info
text = subprocess.check_output([rhumb, "info", "watched.rhumb"]).decode()
assert f"pins         checkpoint {info['epoch']}: 1 reader, process {reader.pid}\n" in text, text
lines = subprocess.check_output([rhumb, "info", "watched.rhumb", "--watch", "-n", "2", "-i", "0.02", "--json"]).splitlines()
first, second, last = map(json.loads, lines)
assert (last["command"], last["exit_code"]) == ("info", 0), last
assert first["epoch"] == info["epoch"] and first["pins"] == second["pins"] == info["pins"], (first, second)
assert first["seconds"] < second["seconds"], (first, second)
assert "checkpoints_per_second" not in first and second["checkpoints_per_second"] == 0, (first, second)
vectors = {section["name"]: section for section in second["sections"]}["vectors"]
assert vectors["row_count"] == 2000 and 0 < vectors["resident_bytes"] <= vectors["file_bytes"], vectors
assert "resident_bytes_per_second" in vectors, vectors
(process,) = second["processes"]
assert process["pid"] == reader.pid and process["hits_per_second"] >= 0 and process["reads_per_second"] >= 0, process
reader.communicate()
assert reader.returncode == 0
# It sees a checkpoint of another process, and Ctrl-C ends it.
watch = subprocess.Popen([rhumb, "info", "watched.rhumb", "--watch", "--interval", "0.02", "--json"], stdout=subprocess.PIPE)
assert json.loads(watch.stdout.readline())["epoch"] == info["epoch"]
subprocess.check_call([rhumb, "delete", "watched.rhumb", "5", "--quiet"])
while json.loads(watch.stdout.readline())["epoch"] == info["epoch"]:
    pass
watch.send_signal(signal.SIGINT)
rest = watch.communicate()[0].splitlines()
assert watch.returncode == 0 and json.loads(rest[-1])["exit_code"] == 0, (watch.returncode, rest[-1])
PYTHON
python3 reader.py "$rhumb" >stdout 2>stderr || fail "pins: $(tail -3 stderr)"
expect 0 info watched.rhumb --watch --count 2 --interval 0
says stdout '^checkpoint   .* a second; 1,999 vectors, 1 deleted$'
says stdout '^vectors  *2,000 .*%'
expect 2 info watched.rhumb --count 2
expect 2 info watched.rhumb --watch --interval -1.5
expect_json 4 info missing.rhumb --watch

# ---- info of damaged files: what is known, and 4 if the index cannot be opened -------------------------------------------
head -c 100000 keyed.rhumb >shorter.rhumb
expect_json 4 info shorter.rhumb
is count 2000
is file_bytes 100000
is error.status RHUMB_E_TRUNCATED
[ "$(field problem_count)" -gt 0 ] || fail "no problem of a file that was cut short"
expect 4 info shorter.rhumb
says stdout '^DAMAGED .*shorter'
head -c 100 keyed.rhumb >head.rhumb
expect_json 4 info head.rhumb
is file_bytes 100
"$custom_metric" custom.rhumb >stdout 2>stderr || fail "no index with a custom metric"
expect_json 0 info custom.rhumb
is options.custom_name great_circle
is count 8
expect 4 export custom.rhumb --out -
says stderr 'custom metrics are used through the library'
{ head -c 4096 /dev/zero && tail -c +4097 keyed.rhumb; } >copy_lost.rhumb
expect_json 0 info copy_lost.rhumb
is count 2000
is damaged_copy_count 1

# ---- a damaged index: verify ends with 1 --------------------------------------------------------------------------------
python '
data = bytearray(open("keyed.rhumb", "rb").read())
place = data.find(open("row1000.bytes", "rb").read())
assert place > 0, "the vector is in the file as it is"
data[place + 3] ^= 1
open("damaged.rhumb", "wb").write(data)' || fail "no vector to damage"
expect 1 verify damaged.rhumb
says stdout DAMAGED
expect_json 1 verify damaged.rhumb
is whole False
is checksum_error_count 1

# ---- repair: a new index without what is damaged ------------------------------------------------------------------------
cp damaged.rhumb before.rhumb
expect_json 1 repair damaged.rhumb --into repaired.rhumb
is complete False
is damaged_chunk_count 1
is lost_key_count 0
lost=$(field lost_vector_count)
[ "$lost" -gt 0 ] && [ "$lost" -lt 2000 ] || fail "one damaged chunk has cost $lost vectors"
is count $((2000 - lost))
cmp -s before.rhumb damaged.rhumb || fail "repair has changed the damaged index"
expect_json 0 verify repaired.rhumb
is unreachable_count 0
is node_count $((2000 - lost))
expect 4 repair damaged.rhumb --into repaired.rhumb
says stderr 'repaired.rhumb'
expect 0 repair keyed.rhumb --into copy.rhumb --threads 1
says stdout 'saved  *2,000 of 2,000 vectors'
expect_json 0 search copy.rhumb queries.fvecs --truth truth_by_key.npy --exact --summary
is recall 1
expect 4 repair rows.npy --into nothing.rhumb
expect 4 repair absent.rhumb --into nothing.rhumb
[ ! -e nothing.rhumb ] || fail "a repair that failed left an index"

# ---- compact: in place, and into a new index --------------------------------------------------------------------------
expect_json 0 compact keyed.rhumb --into compacted.rhumb
expect_json 0 verify compacted.rhumb
expect 0 compact keyed.rhumb --into by_breadth.rhumb --order breadth --second-pass --threads 1
says stdout '^new index    by_breadth.rhumb'
expect 4 compact keyed.rhumb --into compacted.rhumb
says stderr 'compacted.rhumb'
expect 4 compact absent.rhumb --into nothing.rhumb
expect_json 0 compact keyed.rhumb --into part.rhumb --filter-keys few_keys.npy
is count 200
is left_out_count 1800
expect_json 0 compact keyed.rhumb --into rest.rhumb --exclude-keys few_keys.npy
is count 1800
expect 0 verify part.rhumb
expect 0 verify rest.rhumb
expect 2 compact keyed.rhumb --filter-keys few_keys.npy
expect 2 compact keyed.rhumb --into nothing.rhumb --filter-keys few_keys.npy --exclude-keys few_keys.npy
expect 3 compact keyed.rhumb --into nothing.rhumb --filter-keys absent.npy
expect_json 0 compact compacted.rhumb
is dropped_count 0
expect 0 verify compacted.rhumb
expect 4 compact absent.rhumb

# ---- merge ------------------------------------------------------------------------------------------------------------
expect_json 0 merge part.rhumb rest.rhumb --into merged.rhumb
is count 2000
is duplicate_count 0
expect_json 0 verify merged.rhumb
is unreachable_count 0
expect 4 merge part.rhumb rest.rhumb --into merged.rhumb
says stderr 'merged.rhumb'
expect 4 merge part.rhumb keyed.rhumb --into nothing.rhumb
says stderr 'key [0-9]* is in part.rhumb too'
expect 0 merge part.rhumb keyed.rhumb --into first.rhumb --duplicates first --M 20 --codes none --threads 1
says stdout '^merged       2 indexes'
says stdout '^duplicates   200 '
says stdout '^new index    first.rhumb: 2,000 vectors'
expect 0 verify first.rhumb
expect 2 merge part.rhumb rest.rhumb
says stderr '--into'
expect 2 merge --into nothing.rhumb
expect 2 merge part.rhumb rest.rhumb --into nothing.rhumb --duplicates some
expect 4 merge part.rhumb absent.rhumb --into nothing.rhumb
[ ! -e nothing.rhumb ] || fail "a merge that failed left an index"

RHUMB_LOG=info expect 0 compact compacted.rhumb
says stderr '^rhumb: info: .*compacted.rhumb: compacted: 0 deleted vectors dropped'
grep -q debug stderr && fail "RHUMB_LOG=info printed debug messages"
RHUMB_LOG=debug expect 0 compact compacted.rhumb
says stderr '^rhumb: debug: .*compacted.rhumb: a checkpoint begins'
RHUMB_LOG=loud expect 0 info compacted.rhumb
says stderr "not 'loud'"
[ ! -e nothing.rhumb ] || fail "a compaction that failed left an index"

# ---- topology: the graph alone --------------------------------------------------------------------------------------------
expect_json 0 topology keyed.rhumb --out graph.topology --check
is point_count 2000
is equal_count 2000
is has_distances True
is all_levels False
expect 0 topology keyed.rhumb --out merged.topology --levels all --no-distances --check --threads 1
says stdout '^equal '
says stdout '^topology     merged.topology: .*all levels, distances no'
expect 4 topology keyed.rhumb --out graph.topology
says stderr 'graph.topology'
expect 4 topology absent.rhumb --out nothing.topology
[ ! -e nothing.topology ] || fail "an export that failed left a file"

end_of_test
