#!/bin/bash
# Goal: `rhumb import` and `rhumb export --out-format hnswlib` say what they did, and what is wrong, with the right exit code.
# Method: run the built program on genuine files of other libraries (tests/exchange/samples).
#   cli_exchange_test.sh RHUMB MAKE_DATA_PY CLI_TEST_SUPPORT_SH CUSTOM_METRIC
samples=$PWD/tests/exchange/samples
. "$3"

# ---- importing ---------------------------------------------------------------------------------------------------
expect_json 0 import "$samples/faiss_hnsw_ids.bin" --into faiss.rhumb
is format faiss
is count 150
is metric l2sq
is levels_kept True
is source_unreachable_count 0
expect 0 verify faiss.rhumb
expect 0 import "$samples/hnswlib_sparse.bin" --metric l2 --into sparse.rhumb
says stdout '10 of 200 vectors could not be reached'
says stdout 'has key 222'
expect 0 import "$samples/hnsw_rs_v4" --into dump.rhumb
says stdout 'hnsw_rs, version 4'
expect 0 import "$samples/annoy_dot.bin" --format annoy --metric ip --dim 6 --into annoy.rhumb
expect_json 0 import "$samples/usearch_b1.bin" --into new_keys.rhumb --first-key 7000
is deleted_count 1
expect 0 get new_keys.rhumb 7000
expect 0 import "$samples/chroma_l2.bin" --metric l2 --into chroma.rhumb --ignore-links --quiet

# ---- what is wrong -----------------------------------------------------------------------------------------------
expect 2 import "$samples/faiss_hnsw.bin"
says stderr 'into NEW is missing'
expect 2 import "$samples/faiss_hnsw.bin" --into x.rhumb --format scann
expect 2 import "$samples/faiss_hnsw.bin" --into x.rhumb --metric far
expect 3 import "$samples/hnswlib_l2.bin" --into x.rhumb
says stderr 'it must be named'
expect 3 import absent.bin --into x.rhumb
expect 3 import fifty.npy --into x.rhumb
expect 4 import "$samples/faiss_hnsw.bin" --into faiss.rhumb
head -c 5000 "$samples/faiss_hnsw.bin" >cut.bin
expect_json 3 import cut.bin --into x.rhumb
is error.status RHUMB_E_TRUNCATED
[ ! -e x.rhumb ] || fail "a failed import left a file"

# ---- exporting ---------------------------------------------------------------------------------------------------
expect 0 export faiss.rhumb --out out.bin --out-format hnswlib
says stdout '150 vectors and their graph'
expect_json 0 import out.bin --metric l2sq --into back.rhumb
is count 150
is relinked_count 0
expect 4 export faiss.rhumb --out out.bin --out-format hnswlib
expect 2 export faiss.rhumb --out - --out-format hnswlib
expect 4 export dump_u8.rhumb --out other.bin --out-format hnswlib
expect 0 delete faiss.rhumb 11
expect 4 export faiss.rhumb --out other.bin --out-format hnswlib
says stderr 'compact it first'
end_of_test
