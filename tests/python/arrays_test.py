"""Goal: vectors and keys of every type and layout are taken as what they are, or refused with an error that says why.

Method: each element type goes in and comes back; each way in which an array can be wrong is tried on each call.
"""

import unittest
import uuid

import numpy as np

import rhumb
import support
from support import DIM, vectors

try:
    import ml_dtypes
except ImportError:
    ml_dtypes = None

INTEGERS = ("i8", "u8", "i16", "u16", "i32", "u32", "i64")


class Types(support.TestCase):
    def test_floats_come_back_as_they_were(self):
        for dtype in (np.float16, np.float32, np.float64):
            data = vectors(20, dtype=dtype)
            index = self.create(name=np.dtype(dtype).name, dtype=dtype)
            index.add(data)
            self.assertEqual(index.dtype, dtype)
            np.testing.assert_array_equal(index.get(range(20)), data)
            np.testing.assert_array_equal(index.view(7), data[7])
            self.assertEqual(index.search(data[7], 1).to_list()[0], (7, 0.0))

    def test_integers_come_back_as_they_were(self):
        for element in INTEGERS:
            index = self.create(name=element, dtype=element)
            limits = np.iinfo(index.dtype)
            data = np.random.default_rng(2).integers(limits.min, limits.max, (20, DIM), index.dtype, endpoint=True)
            index.add(data)
            np.testing.assert_array_equal(index.get(range(20)), data)
            self.assertEqual(index.search(data[7], 1).keys[0], 7)
        index = self.create(name="u64", dtype=np.uint64, metric="hamming")
        index.add(np.full((1, DIM), 2**64 - 1, np.uint64))
        self.assertEqual(int(index[0][0]), 2**64 - 1)

    def test_bits_are_packed_or_bools(self):
        bits = np.random.default_rng(3).random((20, 13)) < 0.5
        index = self.create(dim=13, dtype="b1", metric="hamming")
        index.add(bits[:10])
        index.add(np.packbits(bits[10:], axis=-1, bitorder="little"))
        self.assertEqual(index.get(3).dtype, np.uint8)
        np.testing.assert_array_equal(np.unpackbits(index.get(range(20)), axis=-1, count=13, bitorder="little"), bits)
        self.assertEqual(index.search(bits[12], 1).distances[0], 0)
        for wrong in (bits[:, :12], np.zeros((2, 13), np.uint8)):
            self.assertRaisesRegex(ValueError, "13", index.add, wrong)

    def test_bfloat16_takes_floats_and_bits(self):
        index = self.create(dtype="bf16")
        data = vectors(10)
        index.add(data)
        bits = np.stack([index.view(key).view(np.uint16) for key in range(10)])
        floats = (bits.astype(np.uint32) << 16).view(np.float32)
        np.testing.assert_allclose(floats, data, rtol=2**-8)
        index.add(bits)
        self.assertEqual(len(index), 20)
        self.assertEqual(index.search(bits[3], 2).distances[1], 0)
        with self.assertRaises(rhumb.NotFinite):
            index.add(np.full(DIM, np.nan, np.float32))

    @unittest.skipIf(ml_dtypes is None, "needs ml_dtypes")
    def test_bfloat16_of_ml_dtypes(self):
        data = vectors(10).astype(ml_dtypes.bfloat16)
        index = self.create(dtype=ml_dtypes.bfloat16)
        index.add(data)
        self.assertEqual(index.dtype, ml_dtypes.bfloat16)
        np.testing.assert_array_equal(index.get(range(10)), data)
        self.create(name="f32").add(data)

    def test_sequences(self):
        index = self.create(dim=8, dtype="u8", metric="levenshtein")
        index.add([b"kitten", b"sitting", b"", b"mitten"])
        index.add(np.frombuffer(b"kitchen", np.uint8))
        self.assertEqual(index.search(b"kitten", 3).to_list()[0], (0, 0.0))
        self.assertEqual(index.search([b"sitting", b"mitten"], 1).keys[:, 0].tolist(), [1, 3])
        self.assertEqual(bytes(index[1]), b"sitting")
        self.assertEqual(len(index[2]), 0)
        self.assertEqual(len(index.get([0, 9], default=None)), 2)
        self.assertRaises(ValueError, index.add, b"much too long")
        self.assertRaises(TypeError, index.add, "kitten")
        self.assertRaises(rhumb.Unsupported, index.view, 0)
        with self.create(dim=4, dtype="u16", metric="levenshtein", name="u16") as other:
            other.add([[1, 2, 3], [60000]])
            np.testing.assert_array_equal(other[1], [60000])
            self.assertRaises(ValueError, other.add, [1, 70000])

    def test_a_custom_metric(self):
        import ctypes

        prototype = ctypes.CFUNCTYPE(ctypes.c_float, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p)

        @prototype
        def first_component(a, b, dim, context):
            return abs(ctypes.c_float.from_address(a).value - ctypes.c_float.from_address(b).value)

        options = {"custom_name": "first", "custom_distance": first_component}
        data = vectors(50)
        with self.create(metric="custom", **options) as index:
            index.add(data, threads=1)
            self.assertAlmostEqual(index.search(data[3], 2).distances[1], np.sort(abs(data[:, 0] - data[3, 0]))[1], 5)
        self.assertRaises(rhumb.MetricMissing, rhumb.open, self.path())
        self.assertRaises(TypeError, rhumb.open, self.path(), custom_name="first", custom_distance=max)


class Narrowing(support.TestCase):
    def test_nothing_is_narrowed_silently(self):
        f32 = self.create(name="f32")
        f32.add(np.ones(DIM))  # digits of a float may go
        f32.add(np.ones((1, DIM), ">f4"))
        f32.add([1] * DIM)
        f32.add(np.ones(DIM, np.bool_))
        self.assertRaisesRegex(ValueError, "exactly", f32.add, np.full(DIM, 2**24 + 1))
        self.assertRaises(rhumb.NotFinite, f32.add, np.full(DIM, 1e300))
        i8 = self.create(name="i8", dtype="i8")
        i8.add(np.full(DIM, -128, np.int64))
        for wrong in (128, -129, 256):
            self.assertRaisesRegex(ValueError, "exactly", i8.add, np.full((2, DIM), wrong))
        self.assertRaisesRegex(TypeError, "float64", i8.add, np.ones(DIM))
        i64 = self.create(name="i64", dtype="i64")
        self.assertRaisesRegex(ValueError, "exactly", i64.add, np.full(DIM, 2**63 + 1, np.uint64))
        u32 = self.create(name="u32", dtype="u32")
        self.assertRaisesRegex(ValueError, "exactly", u32.add, np.full(DIM, -1))


class Layouts(support.TestCase):
    def test_arrays_that_are_not_contiguous_are_copied(self):
        data = vectors(10, 2 * DIM)
        index = self.create()
        index.add(data[:, ::2])
        index.add(np.asfortranarray(data[:, 1::2]))
        index.add(data[::-1, DIM:])
        np.testing.assert_array_equal(index.get(range(30)), np.vstack([data[:, ::2], data[:, 1::2], data[::-1, DIM:]]))
        self.assertEqual(index.search(data[4, ::2], 1).keys[0], 4)

    def test_an_array_may_be_misaligned_and_read_only(self):
        data = vectors(10)
        bytes_ = bytearray(data.nbytes + 1)
        bytes_[1:] = data.tobytes()
        misaligned = np.frombuffer(bytes_, np.float32, offset=1).reshape(10, DIM)
        misaligned.flags.writeable = False
        index = self.create()
        index.add(misaligned, np.arange(10)[::-1])
        np.testing.assert_array_equal(index[9], data[0])

    def test_empty_arrays_do_nothing(self):
        index = self.create(3)
        self.assertEqual(len(index.add(np.empty((0, DIM), np.float32))), 0)
        self.assertEqual(index.delete([]), 0)
        self.assertEqual(index.search(np.empty((0, DIM), np.float32), 5).keys.shape, (0, 5))
        self.assertEqual(index.get([]).shape, (0, DIM))
        self.assertEqual(index.contains([]).tolist(), [])

    def test_wrong_vectors_are_refused_by_every_call(self):
        index = self.create(3)
        calls = (index.add, index.search, index.iterate, lambda data: index.upsert(data, [1]))
        wrong = (
            (ValueError, vectors(1, DIM + 1)[0]),
            (ValueError, vectors(2, DIM - 1)),
            (ValueError, np.zeros((2, 2, DIM), np.float32)),
            (ValueError, np.float32(1)),
            (ValueError, []),
            (TypeError, np.zeros(DIM, np.complex64)),
            (TypeError, np.array(["a"] * DIM)),
            (TypeError, np.array([[1.0], None], object)),
            (TypeError, None),
            (ValueError, np.full(DIM, np.nan, np.float32)),
            (ValueError, np.full(DIM, -np.inf, np.float32)),
        )
        for call in calls:
            for error, data in wrong:
                with self.assertRaises(error, msg=f"{call} {data!r}"):
                    call(data)
        self.assertEqual(len(index), 3)

    def test_one_vector_is_one(self):
        index = self.create(3)
        self.assertRaisesRegex(ValueError, "one vector", index.iterate, vectors(2))
        self.assertRaisesRegex(ValueError, "2 keys", index.add, vectors(2), [1])


class WrongKeys(support.TestCase):
    def test_keys_are_integers_from_0_on(self):
        index = self.create(3)
        for error, keys in (
            (ValueError, -1),
            (ValueError, [5, -1]),
            (ValueError, np.array([-1])),
            (ValueError, 2**64 - 1),
            (ValueError, 2**64),
            (TypeError, 1.5),
            (TypeError, np.array([1.5])),
            (TypeError, "a"),
            (TypeError, ["a"]),
            (TypeError, uuid.UUID(int=1)),
            (TypeError, np.array([[1]])),
        ):
            for call in (index.get, index.delete, lambda keys: index.upsert(vectors(np.size(keys)), keys)):
                with self.assertRaises((error, KeyError) if keys == 2**64 - 1 else error, msg=f"{call} {keys!r}"):
                    call(keys)
            if isinstance(keys, list):
                continue
            for call in (index.view, index.level, index.search_like, index.neighbours):
                with self.assertRaises((TypeError, ValueError, KeyError), msg=f"{call} {keys!r}"):
                    call(keys)

    def test_large_keys(self):
        index = self.create()
        for keys in ([2**64 - 2, 1], np.array([2**63, 2], np.uint64)):
            index.add(vectors(2), keys)
            self.assertTrue(index.contains(keys).all())


if __name__ == "__main__":
    support.main()
