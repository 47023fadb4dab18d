"""Computes the sentence embeddings of all-MiniLM-L6-v2 with numpy alone.

The model is a BERT encoder (arXiv 1810.04805) of six layers, distilled by the method of MiniLM (arXiv 2002.10957). The
embedding of a text is the mean of the last layer's tokens, scaled to length 1. The weights come in the safetensors
format: the length of a header, the header as JSON (name, type, shape and place of each tensor), and the numbers.

A batch holds texts of equal token counts, so nothing is padded and nothing has to be masked.
"""

import json
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

HEAD_DIM = 32
NORM_EPSILON = 1e-12
BATCH_TOKENS_MAX = 2048  # bounds the memory of a batch, whose largest array has 1,536 floats per token
GELU_BLOCK_FLOATS = 1 << 15  # fits the second-level cache: GELU passes over a block a dozen times


def read_safetensors(content):
    """The float32 tensors of a file as a dictionary of arrays, which share the memory of `content`."""
    data_offset = 8 + int.from_bytes(content[:8], "little")
    tensors = {}
    for name, entry in json.loads(content[8:data_offset]).items():
        if entry.get("dtype") == "F32":
            begin, end = entry["data_offsets"]
            numbers = np.frombuffer(content, "<f4", (end - begin) // 4, data_offset + begin)
            tensors[name] = numbers.reshape(entry["shape"])
    return tensors


def gelu_in_place(values):
    """Replaces each x of a contiguous array by x Phi(x), Phi being the normal distribution function.

    That is max(x, 0) - |x| erfc(|x| / sqrt 2) / 2, with erfc by formula 7.1.26 of Abramowitz and Stegun, whose error is
    below 1.5e-7.
    """
    flat = values.reshape(-1)
    for begin in range(0, flat.size, GELU_BLOCK_FLOATS):
        x = flat[begin : begin + GELU_BLOCK_FLOATS]
        size = np.abs(x)
        t = size * np.float32(0.3275911 / np.sqrt(2.0))
        t += np.float32(1)
        np.reciprocal(t, out=t)
        tail = t * np.float32(1.061405429)
        for coefficient in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
            tail += np.float32(coefficient)
            tail *= t
        np.multiply(size, size, out=t)
        t *= np.float32(-0.5)
        tail *= np.exp(t, out=t)
        tail *= size
        tail *= np.float32(0.5)
        np.maximum(x, np.float32(0), out=x)
        x -= tail


def normalised(x, weight, bias):
    """Layer normalisation along the last axis; x is overwritten and returned."""
    x -= x.mean(axis=-1, keepdims=True)
    variance = np.einsum("...i,...i->...", x, x)[..., None] / np.float32(x.shape[-1])
    x /= np.sqrt(variance + np.float32(NORM_EPSILON))
    x *= weight
    x += bias
    return x


class Linear:
    """x -> x W + b, of one or several of the model's linear layers side by side."""

    def __init__(self, tensors, *names):
        self._matrix = np.ascontiguousarray(np.concatenate([tensors[name + ".weight"] for name in names]).T)
        self._bias = np.concatenate([tensors[name + ".bias"] for name in names])

    def __call__(self, x):
        y = x @ self._matrix
        y += self._bias
        return y


class Layer:
    """One layer of the encoder: attention, then two linear layers, each with its input added and normalised."""

    def __init__(self, tensors, prefix):
        attention, output = prefix + "attention.self.", prefix + "attention.output."
        self._query_key_value = Linear(tensors, attention + "query", attention + "key", attention + "value")
        self._mixed = Linear(tensors, output + "dense")
        self._widened = Linear(tensors, prefix + "intermediate.dense")
        self._narrowed = Linear(tensors, prefix + "output.dense")
        self._norms = [
            (tensors[name + "LayerNorm.weight"], tensors[name + "LayerNorm.bias"])
            for name in (output, prefix + "output.")
        ]

    def _attention(self, x, text_count):
        dim = x.shape[1]
        parts = self._query_key_value(x).reshape(text_count, -1, 3, dim // HEAD_DIM, HEAD_DIM)
        query, key, value = np.ascontiguousarray(parts.transpose(2, 0, 3, 1, 4))
        query *= np.float32(HEAD_DIM**-0.5)
        shares = query @ key.swapaxes(2, 3)
        shares -= shares.max(axis=-1, keepdims=True)
        np.exp(shares, out=shares)
        shares /= shares.sum(axis=-1, keepdims=True)
        return np.ascontiguousarray((shares @ value).swapaxes(1, 2)).reshape(-1, dim)

    def __call__(self, x, text_count):
        """x has one row per token, text after text."""
        mixed = self._mixed(self._attention(x, text_count))
        mixed += x
        x = normalised(mixed, *self._norms[0])
        wide = self._widened(x)
        gelu_in_place(wide)
        y = self._narrowed(wide)
        y += x
        return normalised(y, *self._norms[1])


class MiniLM:
    """The encoder, of whose weights `tensors` are the names and arrays."""

    def __init__(self, tensors):
        self._words = tensors["embeddings.word_embeddings.weight"]
        self._places = (
            tensors["embeddings.position_embeddings.weight"] + tensors["embeddings.token_type_embeddings.weight"][0]
        )
        self._norm = tensors["embeddings.LayerNorm.weight"], tensors["embeddings.LayerNorm.bias"]
        layer_count = 1 + max(int(name.split(".")[2]) for name in tensors if name.startswith("encoder.layer."))
        self._layers = [Layer(tensors, f"encoder.layer.{i}.") for i in range(layer_count)]

    def embeddings_of(self, tokens):
        """The embeddings of texts of equal token counts; `tokens` is a matrix of token numbers, a row per text."""
        text_count, token_count = tokens.shape
        x = self._words[tokens] + self._places[:token_count]
        x = normalised(x.reshape(text_count * token_count, -1), *self._norm)
        for layer in self._layers:
            x = layer(x, text_count)
        sums = x.reshape(text_count, token_count, -1).sum(axis=1)
        return sums / np.linalg.norm(sums, axis=1, keepdims=True)

    def embed(self, texts, progress=lambda done, total: None):
        """The embeddings of all texts, each a sequence of token numbers, as a float32 matrix in their order.

        `progress` is called after every batch with the number of tokens done and of all tokens.
        """
        lengths = np.array([len(text) for text in texts])
        batches = []
        for length in np.unique(lengths)[::-1]:
            rows = np.nonzero(lengths == length)[0]
            step = max(1, BATCH_TOKENS_MAX // length)
            batches += [rows[i : i + step] for i in range(0, len(rows), step)]
        result = np.empty((len(texts), self._words.shape[1]), dtype=np.float32)

        def run(rows):
            result[rows] = self.embeddings_of(np.array([texts[row] for row in rows]))
            return int(lengths[rows].sum())

        done = 0
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            try:
                for count in pool.map(run, batches):
                    done += count
                    progress(done, int(lengths.sum()))
            except BaseException:  # Ctrl-C does not wait for the batches that have not begun
                pool.shutdown(cancel_futures=True)
                raise
        return result
