"""Writes the small files that cli_test.sh works with into a folder: the same random vectors in several formats, with their truth."""
import sys

import h5py
import numpy as np

folder = sys.argv[1] + "/"
random = np.random.default_rng(397)
rows = random.standard_normal((2000, 16)).astype("<f4")
queries = random.standard_normal((60, 16)).astype("<f4")

distances = np.sqrt(((queries[:, None].astype("f8") - rows[None]) ** 2).sum(-1))
ids = np.argsort(distances, axis=1, kind="stable")[:, :20]
distances = np.take_along_axis(distances, ids, axis=1)


def vecs(path, matrix, prefix_type="<i4"):
    prefix = np.full((len(matrix), 1), matrix.shape[1], prefix_type)
    with open(folder + path, "wb") as file:
        for length, row in zip(prefix, matrix):
            file.write(length.tobytes() + row.tobytes())


with h5py.File(folder + "data.hdf5", "w") as file:
    file["train"] = rows
    file["test"] = queries
    file.create_dataset("neighbors", data=ids.astype("i4"), chunks=(16, 20), compression="gzip")
    file["distances"] = distances.astype("f4")
    file.attrs["distance"] = "euclidean"
with h5py.File(folder + "strange.hdf5", "w") as file:
    file["train"] = rows[:10]
    file.attrs["distance"] = "jaccard"

whole = random.integers(0, 256, (300, 12), "u1")
np.save(folder + "bytes.npy", whole)
vecs("bytes.bvecs", whole)
for name, matrix in (("counts", whole.astype("i8") * 200), ("doubles", random.standard_normal((300, 12)))):
    with h5py.File(folder + name + ".hdf5", "w") as file:
        file["train"] = matrix
        file["test"] = matrix[:60]
np.save(folder + "rows.npy", rows)
np.save(folder + "more.npy", rows + 100)
np.save(folder + "wide.npy", np.zeros((3, 17), "f4"))
np.save(folder + "fortran.npy", np.asfortranarray(rows))
np.save(folder + "keys.npy", np.arange(2000, dtype="i8") * 10 + 5)
np.save(folder + "few_keys.npy", np.arange(1999, dtype="i8"))
np.save(folder + "same_keys.npy", np.zeros(2000, "i8"))
np.save(folder + "large.npy", random.standard_normal((60000, 32)).astype("<f4"))
bad = rows.copy()
bad[1234, 5] = np.nan
np.save(folder + "nan.npy", bad)
vecs("rows.fvecs", rows)
vecs("queries.fvecs", queries)
vecs("truth.ivecs", ids.astype("<i4"))
with open(folder + "truth.ibin", "wb") as file:
    np.array(ids.shape, "<u4").tofile(file)
    ids.astype("<i4").tofile(file)
    (distances**2).astype("<f4").tofile(file)
np.save(folder + "truth_by_key.npy", ids * 10 + 5)
with open(folder + "cut.fvecs", "wb") as file:
    file.write(open(folder + "rows.fvecs", "rb").read()[:-7])
# The bytes of one vector, to find them in an index and damage them there.
rows[1000].tofile(folder + "row1000.bytes")
