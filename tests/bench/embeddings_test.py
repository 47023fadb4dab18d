"""Goal: texts are read, cut into tokens, and embedded as the model's definition says.

Method: records and a vocabulary of a few entries; and an encoder of random weights, whose output is compared with the
formulas written out in float64, one text and one head at a time.
"""

import json
import math
import unittest

import datasets  # noqa: F401, first: it sets how many threads numpy uses
import numpy as np
from embeddings import minilm, texts, wordpiece

RECORD = """Package: a
Description-md5: 0
Description-en: A summary that is not one of the paragraphs
 The first paragraph has two
 lines of text.
 .
 Too short to keep.
 .
   * a list is one
   * paragraph of its own
Homepage: https://example.org
 This is no description, in spite of its indent."""


class Texts(unittest.TestCase):
    def test_paragraphs_are_joined_lines_of_the_description(self):
        found = list(texts.paragraphs_of(RECORD))
        expected = [
            "The first paragraph has two lines of text.",
            "Too short to keep.",
            "* a list is one * paragraph of its own",
        ]
        self.assertEqual(found, expected)

    def test_long_paragraphs_are_kept_once(self):
        again = "Description-en: b\n * a list is one\n * paragraph of its own\n .\n And this one is new here."
        found = texts.texts_of([RECORD, again])
        self.assertEqual(len(found), 3)
        self.assertEqual(found[1:], ["* a list is one * paragraph of its own", "And this one is new here."])


class Tokens(unittest.TestCase):
    VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "un", "##aff", "##able", "##a", "able", "cafe", ",", "中", "x"]

    def setUp(self):
        self.tokenizer = self.with_room_for(16)

    def with_room_for(self, token_count):
        return wordpiece.Tokenizer({piece: i for i, piece in enumerate(self.VOCABULARY)}, token_count)

    def assert_tokens(self, text, *pieces):
        found = [self.VOCABULARY[number] for number in self.tokenizer.tokens_of(text)]
        self.assertEqual(found, ["[CLS]"] + list(pieces) + ["[SEP]"], ascii(text))

    def test_words_become_their_longest_pieces(self):
        self.assert_tokens("unaffable", "un", "##aff", "##able")
        self.assert_tokens("una able", "un", "##a", "able")

    def test_a_word_with_an_unknown_piece_is_unknown_as_a_whole(self):
        self.assert_tokens("unaffq able", "[UNK]", "able")
        self.assert_tokens("un" + "a" * 98, "un", *["##a"] * 13)  # cut off at 16 tokens
        self.assert_tokens("un" + "a" * 99, "[UNK]")  # more than 100 characters

    def test_case_and_accents_are_dropped(self):
        self.assert_tokens("UNA Café cafe\u0301", "un", "##a", "cafe", "cafe")

    def test_punctuation_and_chinese_stand_alone(self):
        self.assert_tokens("able,able", "able", ",", "able")
        self.assert_tokens("x中x", "x", "中", "x")
        self.assert_tokens("x。x", "x", "[UNK]", "x")

    def test_invisible_characters_vanish_and_spaces_of_all_kinds_part(self):
        self.assert_tokens("un\u200baffable", "un", "##aff", "##able")
        self.assert_tokens("un\x00\ufffdable", "un", "##able")
        self.assert_tokens("able\u00a0able\u3000able\table", "able", "able", "able", "able")

    def test_long_texts_are_cut_off_before_the_end_mark(self):
        self.tokenizer = self.with_room_for(4)
        self.assert_tokens("able able able able", "able", "able")
        self.assert_tokens("")

    def test_words_are_split_as_the_model_expects(self):
        self.assertEqual(wordpiece.words_of("It's 3.5$ `x`+y"), "it ' s 3 . 5 $ ` x ` + y".split())
        self.assertEqual(wordpiece.words_of("ΟΔΟΣ ΑΣ"), ["οδοσ", "ασ"])


def random_tensors(random, layer_count, words, places, dim, wide):
    """Weights of an encoder, named as in the model's file."""

    def matrix(*shape):
        return (random.standard_normal(shape) * 0.3).astype(np.float32)

    tensors = {
        "embeddings.word_embeddings.weight": matrix(words, dim),
        "embeddings.position_embeddings.weight": matrix(places, dim),
        "embeddings.token_type_embeddings.weight": matrix(2, dim),
        "embeddings.LayerNorm.weight": matrix(dim) + 1,
        "embeddings.LayerNorm.bias": matrix(dim),
    }
    shapes = {
        "attention.self.query": (dim, dim),
        "attention.self.key": (dim, dim),
        "attention.self.value": (dim, dim),
        "attention.output.dense": (dim, dim),
        "intermediate.dense": (wide, dim),
        "output.dense": (dim, wide),
    }
    for layer in range(layer_count):
        prefix = f"encoder.layer.{layer}."
        for name, shape in shapes.items():
            tensors[prefix + name + ".weight"] = matrix(*shape)
            tensors[prefix + name + ".bias"] = matrix(shape[0])
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            tensors[prefix + name + ".weight"] = matrix(dim) + 1
            tensors[prefix + name + ".bias"] = matrix(dim)
    return tensors


def reference_embedding(tensors, tokens, layer_count):
    """One text's embedding, by the definition."""
    of = {name: values.astype(np.float64) for name, values in tensors.items()}

    def norm(x, name):
        x = x - x.mean(axis=1, keepdims=True)
        return x / np.sqrt((x**2).mean(axis=1, keepdims=True) + 1e-12) * of[name + ".weight"] + of[name + ".bias"]

    def linear(x, name):
        return x @ of[name + ".weight"].T + of[name + ".bias"]

    x = of["embeddings.word_embeddings.weight"][list(tokens)]
    x = (
        x
        + of["embeddings.position_embeddings.weight"][: len(tokens)]
        + of["embeddings.token_type_embeddings.weight"][0]
    )
    x = norm(x, "embeddings.LayerNorm")
    for layer in range(layer_count):
        prefix = f"encoder.layer.{layer}."
        query, key, value = (linear(x, prefix + "attention.self." + part) for part in ("query", "key", "value"))
        heads = []
        for begin in range(0, x.shape[1], 32):
            part = slice(begin, begin + 32)
            weights = np.exp(query[:, part] @ key[:, part].T / math.sqrt(32))
            heads.append(weights / weights.sum(axis=1, keepdims=True) @ value[:, part])
        mixed = linear(np.concatenate(heads, axis=1), prefix + "attention.output.dense") + x
        x = norm(mixed, prefix + "attention.output.LayerNorm")
        wide = linear(x, prefix + "intermediate.dense")
        wide = wide * np.vectorize(lambda v: (1 + math.erf(v / math.sqrt(2))) / 2)(wide)
        x = norm(linear(wide, prefix + "output.dense") + x, prefix + "output.LayerNorm")
    mean = x.mean(axis=0)
    return mean / np.linalg.norm(mean)


class Encoder(unittest.TestCase):
    LAYERS, WORDS, PLACES, DIM, WIDE = 2, 50, 12, 64, 96

    def setUp(self):
        self.random = np.random.RandomState(397)
        self.tensors = random_tensors(self.random, self.LAYERS, self.WORDS, self.PLACES, self.DIM, self.WIDE)

    def test_texts_of_mixed_lengths_are_embedded_by_the_definition(self):
        lengths = [5, 2, 12, 5, 7, 5, 12]
        tokens = [tuple(self.random.randint(self.WORDS, size=length)) for length in lengths]
        found = minilm.MiniLM(self.tensors).embed(tokens)
        for text, embedding in zip(tokens, found):
            self.assertLess(np.abs(embedding - reference_embedding(self.tensors, text, self.LAYERS)).max(), 1e-5)

    def test_batches_do_not_change_the_result(self):
        tokens = [tuple(self.random.randint(self.WORDS, size=6)) for _ in range(20)]
        encoder = minilm.MiniLM(self.tensors)
        whole = encoder.embed(tokens)
        self.addCleanup(setattr, minilm, "BATCH_TOKENS_MAX", minilm.BATCH_TOKENS_MAX)
        minilm.BATCH_TOKENS_MAX = 13
        reports = []
        parts = encoder.embed(tokens, lambda done, total: reports.append((done, total)))
        self.assertLess(np.abs(parts - whole).max(), 1e-6)
        self.assertEqual(reports, [(12 * i, 120) for i in range(1, 11)])

    def test_gelu_is_exact_to_single_precision(self):
        x = np.linspace(-8, 8, 100001, dtype=np.float32)
        expected = x * np.array([(1 + math.erf(v / math.sqrt(2))) / 2 for v in x.astype(np.float64)])
        minilm.gelu_in_place(x)
        self.assertLess(np.abs(x - expected).max(), 1e-6)

    def test_tensors_are_read_from_their_format(self):
        values = np.arange(6, dtype=np.float32)
        header = {
            "__metadata__": {"format": "pt"},
            "numbers": {"dtype": "I64", "shape": [1], "data_offsets": [0, 8]},
            "a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [8, 32]},
        }
        text = json.dumps(header).encode()
        content = len(text).to_bytes(8, "little") + text + bytes(8) + values.tobytes()
        tensors = minilm.read_safetensors(content)
        self.assertEqual(list(tensors), ["a"])
        self.assertEqual(tensors["a"].tolist(), [[0, 1, 2], [3, 4, 5]])


if __name__ == "__main__":
    unittest.main()
