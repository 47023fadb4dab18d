#!/bin/bash
# Goal: the tool reads and writes vectors in every form that it names, and says where bad ones are: bits, sets, JSON,
# pipes; and single keys can be got, deleted, replaced and exported.
# Method: run the built program on small files and compare what comes out with NumPy's view of what went in.
#   cli_data_test.sh RHUMB MAKE_DATA_PY CLI_TEST_SUPPORT_SH CUSTOM_METRIC
. "$3"

python3 - <<'PYTHON' || fail "no data"
import h5py, json, numpy as np, struct
rng = np.random.default_rng(11)
bits = rng.random((50, 61)) > 0.5
np.save("bits.npy", bits)
np.save("bytes01.npy", np.full((3, 8), 2, "u1").view("?"))
with h5py.File("bits.hdf5", "w") as file:
    file.attrs["distance"] = "hamming"
    file["train"] = bits
    file["test"] = bits[:5]
sets = [np.sort(rng.choice(70, rng.integers(1, 9), replace=False)) for _ in range(50)]
def write_sets(path, items, sizes, **attributes):
    with h5py.File(path, "w") as file:
        for name, value in attributes.items():
            file.attrs[name] = value
        file["train"] = items
        file["test"] = np.concatenate(sets[:5])
        file["size_test"] = [len(s) for s in sets[:5]]
        if sizes is not None:
            file["size_train"] = sizes
items, sizes = np.concatenate(sets), np.array([len(s) for s in sets])
sparse = dict(type="sparse", distance="jaccard", dimension=70)
write_sets("sets.hdf5", items, sizes, **sparse)
write_sets("sets_no_sizes.hdf5", items, None, **sparse)
write_sets("sets_short.hdf5", items[:-1], sizes, **sparse)
bad = items.copy()
bad[sizes[:7].sum()] = 70
write_sets("sets_item.hdf5", bad, sizes, **sparse)
write_sets("sets_no_dimension.hdf5", items, sizes, type="sparse", distance="jaccard")
write_sets("sets_wide.hdf5", items, sizes, **dict(sparse, dimension=70000))
np.save("sets.npy", np.array([np.isin(np.arange(70), s) for s in sets]))

rows = rng.standard_normal((50, 6)).astype("f4")
np.save("fifty.npy", rows)
with open("fifty.jsonl", "w") as file:
    for key, row in enumerate(rows):
        file.write(json.dumps({"vector": [float(x) for x in row], "key": 1000 + key}) + "\n")
with open("fifty.fvecs", "wb") as file, open("ragged.fvecs", "wb") as ragged:
    for i, row in enumerate(rows):
        file.write(struct.pack("<i", 6) + row.tobytes())
        count = 3 if i == 40 else 6
        ragged.write(struct.pack("<i", count) + row[:count].tobytes())
positive = np.abs(rows) + 0.1
def save(name, change):
    matrix = positive / positive.sum(1, keepdims=True)
    change(matrix)
    np.save(name, matrix)
save("negative.npy", lambda m: m.__setitem__((33, 2), -0.25))
save("improper.npy", lambda m: m.__setitem__((33, 2), m[33, 2] + 0.5))
save("large.npy", lambda m: m.__setitem__((33, 2), 1e5))
save("nothing.npy", lambda m: m.__setitem__(33, 0))
np.save("wide64.npy", np.where(np.arange(300).reshape(50, 6) == 200, 1e300, 1.0))
for name, key, type in (("minus", -1, "i8"), ("marker", 2**64 - 1, "u8"), ("highest", 2**64 - 2, "u8")):
    keys = np.arange(50, dtype=type)
    keys[33] = key
    np.save(name + ".npy", keys)
PYTHON

# ---- bits and sets ------------------------------------------------------------------------------------------------------
for file in "bits.npy --metric hamming" "bits.npy --metric jaccard --element b1" bits.hdf5; do
    expect 0 build bits.rhumb $file --force --quiet
    expect_json 0 info bits.rhumb
    is count 50
    is options.dim 61
    is options.element b1
    expect 0 export bits.rhumb --out out.npy --out-keys keys.npy
    python '
import numpy as np
out = np.load("out.npy")
assert out.dtype == bool and (out[np.argsort(np.load("keys.npy"))] == np.load("bits.npy")).all()' || fail "$file: other bits"
done
expect 0 search bits.rhumb bits.npy -k 1 --exact --out found.npy
python '
import numpy as np
assert (np.load("found.npy")[:, 0] == np.arange(50)).all()' || fail "bits do not find themselves"
expect 0 build bits8.rhumb bits.npy --metric l1 --element u8
expect_json 0 info bits8.rhumb
is options.dim 61
expect 3 build bad.rhumb bytes01.npy --metric hamming
says stderr 'row 0 has 2 as component 0'

expect 0 build sets.rhumb sets.hdf5 --quiet -t 1
expect_json 0 info sets.rhumb
is count 50
is options.dim 70
is options.metric jaccard
expect 0 export sets.rhumb --out out.npy
python '
import numpy as np
assert (np.load("out.npy") == np.load("sets.npy")).all()' || fail "other sets"
expect 0 search sets.rhumb sets.hdf5 -k 1 --exact --out found.npy --no-truth
python '
import numpy as np
assert (np.load("found.npy")[:, 0] == np.arange(5)).all()' || fail "sets do not find themselves"
for file in sets_no_sizes sets_short sets_item sets_no_dimension sets_wide; do
    expect 3 build bad.rhumb $file.hdf5
    says stderr $file
done
expect 3 build bad.rhumb sets_item.hdf5
says stderr 'row 7 has the item 70'
expect 3 build bad.rhumb sets.hdf5 --metric l2
[ ! -e bad.rhumb ] || fail "sets that cannot be read left an index"

# ---- bad rows and keys are named ----------------------------------------------------------------------------------------
bad_row() {
    expect 3 build bad.rhumb "$@"
    says stderr 'row 33 '
    [ ! -e bad.rhumb ] || fail "$*: left an index"
}
bad_row negative.npy --metric jaccard
says stderr '0.25 as component 2'
bad_row improper.npy --metric hellinger
bad_row nothing.npy --metric hellinger --normalise
bad_row large.npy --element f16
says stderr '100000 as component 2'
bad_row wide64.npy
says stderr '1e+300 as component 2'
bad_row fifty.npy --keys minus.npy
says stderr 'the key -1'
bad_row fifty.npy --keys marker.npy
expect 0 build highest.rhumb fifty.npy --keys highest.npy
expect 0 get highest.rhumb 18446744073709551614
expect 2 get highest.rhumb 18446744073709551615
expect 2 delete highest.rhumb 7x
expect 3 search highest.rhumb fifty.npy --filter-keys minus.npy
expect 2 add highest.rhumb fifty.npy --first-key 18446744073709551600
expect 3 build bad.rhumb ragged.fvecs
says stderr 'row 40 says that it has 3 components'

# ---- pipes --------------------------------------------------------------------------------------------------------------
for format in npy fvecs jsonl; do
    rm -f piped.rhumb
    cat fifty.$format | "$rhumb" build piped.rhumb - --format $format --quiet >stdout 2>stderr || fail "$format from a pipe"
    expect_json 0 info piped.rhumb
    is count 50
done
cat fifty.npy | "$rhumb" build -f piped.rhumb /dev/stdin --format npy --quiet >stdout 2>stderr || fail "/dev/stdin"
"$rhumb" build -f piped.rhumb - --format npy --quiet <fifty.npy >stdout 2>stderr || fail "a file as standard input"
"$rhumb" build -f -t 1 piped.rhumb <(cat fifty.npy) --format npy --quiet >stdout 2>stderr || fail "a process as input"
cat sets.hdf5 | "$rhumb" search sets.rhumb - --format hdf5 -k 1 --no-truth --summary >stdout 2>stderr || fail "hdf5 from a pipe"
expect 2 build bad.rhumb -
says stderr '--format'
head -c 500 fifty.npy | "$rhumb" build bad.rhumb - --format npy >stdout 2>stderr
[ $? -eq 3 ] || fail "half a file from a pipe"
TMPDIR=/absent expect 0 info piped.rhumb
cat fifty.npy | TMPDIR=/absent "$rhumb" build bad.rhumb - --format npy >stdout 2>stderr
[ $? -eq 5 ] || fail "a pipe and no place for it"
"$rhumb" search piped.rhumb fifty.npy -k 2 --out - --out-format npy >found.npy 2>stderr || fail "npy to stdout"
python '
import numpy as np
assert np.load("found.npy").shape == (50, 2)' || fail "npy on stdout"
mkfifo fifo
python3 -c 'open("copied.npy", "wb").write(open("fifo", "rb").read())' &
expect 0 export piped.rhumb --out fifo --out-format npy
wait $!
cmp -s copied.npy fifty.npy || fail "npy through a fifo"

# ---- JSON, get, export --------------------------------------------------------------------------------------------------
expect 0 build json.rhumb fifty.jsonl -t 1
expect 0 get json.rhumb 1007 1003
python '
import json, numpy as np
rows = np.load("fifty.npy")
lines = [json.loads(line) for line in open("stdout")]
assert [line["key"] for line in lines] == [1007, 1003]
assert (np.array([line["vector"] for line in lines], "f4") == rows[[7, 3]]).all()' || fail "get prints something else"
expect 1 get json.rhumb 1007 7 1008 8
says stderr '2 of 4 keys are not in the index, the first is 7'
[ "$(wc -l <stdout)" = 2 ] || fail "get prints what is there"
expect 1 get json.rhumb 1007 7 --out two.npy
[ ! -e two.npy ] || fail "a matrix with rows missing"
expect 2 get json.rhumb
expect 2 get json.rhumb 7 --json
expect_json 0 get json.rhumb 1007 --out one.fvecs
is written 1
expect 2 export json.rhumb
expect 2 export json.rhumb --out all.csv
expect 0 export json.rhumb --out -
cp stdout all.jsonl
for name in all.jsonl all.npy all.fvecs; do
    expect 0 export json.rhumb --out $name
    rm -f again.rhumb
    expect 0 build again.rhumb $name --quiet -t 1
    expect 0 export again.rhumb --out again.npy
    cmp -s again.npy fifty.npy || fail "$name is not what the index has"
done
expect 0 export json.rhumb --keys all.jsonl --out listed.npy --out-keys listed_keys.npy
cmp -s listed.npy fifty.npy || fail "listed vectors"
python '
import numpy as np
assert (np.load("listed_keys.npy") == np.arange(1000, 1050)).all()' || fail "listed keys"
expect 3 export highest.rhumb --out all.bvecs
[ ! -e all.bvecs ] || fail "a component that does not fit left a file"
for text in '{"vector": [1, 2, 3, 4, 5, NaN]}' '{"vector": [1, 2, 3, 4, 5]}' '{"vector": [1, 2, 3, 4, 5, 6], "id": 3}'; do
    { head -n 3 again.jsonl 2>/dev/null; sed 's/, "key": [0-9]*//' fifty.jsonl | head -n 20; echo "$text"; } >bad.jsonl
    expect 3 build bad.rhumb bad.jsonl
    says stderr 'row 20 (line 21'
done

# ---- delete, upsert -----------------------------------------------------------------------------------------------------
expect 1 delete json.rhumb 1007 7
says stderr 'nothing was deleted'
expect_json 0 delete json.rhumb 1007 7 1007 --ignore-absent
is deleted 1
is absent 1
is count 49
python '
import numpy as np
np.save("gone.npy", np.arange(1010, 1020))'
expect 0 delete json.rhumb --keys gone.npy
expect_json 0 info json.rhumb
is count 39
is deleted_count 11
expect 2 upsert json.rhumb fifty.npy
says stderr '--first-key'
expect_json 0 upsert json.rhumb fifty.npy --first-key 1010
is inserted 50
is replaced 30
is count 59
expect 0 get json.rhumb 1010 --out one.npy
python '
import numpy as np
assert (np.load("one.npy")[0] == np.load("fifty.npy")[0]).all()' || fail "upsert has not replaced"
expect 0 upsert json.rhumb fifty.jsonl -t 2
says stdout '^replaced  *'
expect 0 verify json.rhumb
expect_json 0 info json.rhumb
count=$(field count)
sed 's/: [0-9]*}$/: 2000}/' fifty.jsonl >twice.jsonl
expect_json 3 upsert json.rhumb twice.jsonl
is error.message 'twice.jsonl: key 2000 is there twice'
python '
import numpy as np
rows = np.load("fifty.npy") + 1
rows[41, 2] = np.nan
np.save("last_bad.npy", rows)'
expect 3 upsert json.rhumb last_bad.npy --first-key 5000
says stderr 'row 41 '
expect_json 0 info json.rhumb
is count $count
expect 3 upsert json.rhumb wide.npy --first-key 0
expect 4 delete absent.rhumb 1

# ---- add: whole or not at all, and not twice ------------------------------------------------------------------------------
expect 0 build grown.rhumb fifty.npy
expect 3 add grown.rhumb negative.npy --keys same_keys.npy
python '
import numpy as np
rows = np.load("fifty.npy") + 9
np.save("good.npy", rows)
rows[33, 2] = np.nan
np.save("bad.npy", rows)'
expect 3 add grown.rhumb bad.npy
says stderr 'row 33 has'
expect_json 0 info grown.rhumb
is count 50
expect_json 0 add grown.rhumb good.npy
is inserted 50
expect_json 0 add grown.rhumb good.npy
is inserted 0
is skipped 50
is count 100
expect_json 0 add grown.rhumb good.npy --first-key 100
is count 150
end_of_test
