#!/usr/bin/env python3
"""Queries per second at equal recall: rhumb and the libraries of adapters.py on one data set, in one run.

    bench/peers/setup.sh DIR/environment
    DIR/environment/bin/python bench/peers/compare.py DATA.hdf5 --dir DIR/NAME [OPTIONS]

Each library has a process of its own. First the indexes are built and saved, one after another; then all are loaded.
For each k a sweep of ef finds what recall each library has, until the highest target is reached. Then only the values
of ef next to the targets are timed: --rounds times, and at each of them all libraries take turns in a rotating order.

What has been measured is written to state.json in --dir as it goes. The same command goes on where the last one ended,
so a long comparison can be run in pieces (--stop-after), and what needs no quiet machine can be done first (--prepare).
A library whose process dies is a line in the table.

A library's name may end in @DEGREE, for another degree than --degree: symqg@64. That of rhumb may be followed by options
of `rhumb build`: rhumb:codes=8 is an index built with --codes 8, rhumb:M=24:keep-pruned one with --M 24 --keep-pruned.
rhumb:compacted is compacted after it was built, within the time that building takes.
"""

import argparse
import hashlib
import json
import os
import shlex
import shutil
import sys
import time

import numpy as np

import curve
import machine
import schedule
import table
from child import Child, Died
from dataset import Dataset
from state import State

FOLDER = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(FOLDER))
DEFAULT_LIBRARIES = "rhumb,hnswlib,faiss,usearch,vsag,svs-f32,svs-lvq8,svs-lvq4x8,svs-leanvec,symqg,symqg-8bit"
WARM_QUERIES_MAX = 500  # searched untimed before each measurement, as the others have emptied the caches
BUILD_LIMIT_SECONDS = 8 * 3600
ANSWER_LIMIT_SECONDS = 3600
TO_BE_CONTINUED = 3  # exit code


class ToBeContinued(Exception):
    """The time of --stop-after has passed, or what --prepare is for has been done."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def sha256_of(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def bytes_of(path):
    """The size of a file, or of all files in a folder."""
    if not os.path.isdir(path):
        return os.path.getsize(path)
    return sum(os.path.getsize(os.path.join(folder, name)) for folder, _, names in os.walk(path) for name in names)


def remove(path):
    """Removes a file or a folder, if it is there."""
    if os.path.isdir(path):
        shutil.rmtree(path)
    elif os.path.exists(path):
        os.remove(path)


class Comparison:
    """Runs the workers and fills the state. `setups` has the setup of each library's worker by name."""

    def __init__(self, options, dataset, setups, state):
        self.options = options
        self.dataset = dataset
        self.setups = setups
        self.state = state
        self.children = {}
        self.stop_time = time.monotonic() + options.stop_after if options.stop_after else None
        self.ids_path = os.path.join(options.dir, "ids.npy")

    def check_time(self):
        if self.stop_time is not None and time.monotonic() > self.stop_time:
            raise ToBeContinued

    def fail(self, name, reason):
        say(f"{name}: left out, {reason}")
        self.state.peers[name]["failed"] = reason
        self.end(name)
        remove(self.setups[name]["scratch"])
        self.state.save()

    def end(self, name):
        child = self.children.pop(name, None)
        if child is not None:
            child.end()

    def start(self, name):
        """Starts the worker of a library; the fields by which it describes itself go into the state."""
        command = [sys.executable, os.path.join(FOLDER, "worker.py"), json.dumps(self.setups[name])]
        child = self.children[name] = Child(command, os.path.join(self.options.dir, f"{name}.log"))
        self.state.peers[name].update(child.answer(ANSWER_LIMIT_SECONDS))
        child.pause()
        return child

    # ---- indexes ----

    def build(self, name):
        """Builds an index unless it is there. One that cannot be saved stays in its worker."""
        setup = self.setups[name]
        made_path = setup["path"] + ".json"
        made_of = {key: value for key, value in setup.items() if key not in ("simd", "query_count")}
        if os.path.exists(made_path):
            with open(made_path, encoding="utf-8") as file:
                made = json.load(file)
            if made["setup"] == made_of:
                self.state.peers[name].update(made["fields"])
                return
        for path in (made_path, setup["path"], setup["path"] + "-wal", setup["scratch"]):
            remove(path)
        os.makedirs(setup["scratch"])
        say(f"building {name}")
        child = self.start(name)
        answer = child.ask({"do": "build"}, BUILD_LIMIT_SECONDS)
        remove(setup["scratch"])
        fields = {"build_seconds": answer["seconds"]}
        if answer["saved"] is not None:
            say(f"{name}: not saved ({answer['saved']}), so it stays in memory")
            self.state.peers[name].update(fields)
            return
        self.end(name)
        fields["file_bytes"] = bytes_of(setup["path"])
        self.state.peers[name].update(fields)
        with open(made_path, "w", encoding="utf-8") as file:
            json.dump({"setup": made_of, "fields": fields}, file)

    def loaded(self, name):
        """The worker of a library, with its index loaded. With --one-at-a-time the other workers are ended first."""
        if name not in self.children:
            if self.options.one_at_a_time:
                for other in list(self.children):
                    self.end(other)
            child = self.start(name)
            answer = child.ask({"do": "load"}, BUILD_LIMIT_SECONDS)
            self.state.peers[name]["own_bytes"] = answer["own_bytes"]
        return self.children[name]

    # ---- searches ----

    def search(self, name, k, ef, thread_count, warm_count=0, ids_path=None):
        """Has all queries searched, and returns how many there were per second."""
        request = {"do": "search", "k": k, "ef": ef, "thread_count": thread_count}
        request.update(warm_count=warm_count, ids=ids_path)
        answer = self.loaded(name).ask(request, ANSWER_LIMIT_SECONDS)
        return len(self.dataset.queries) / answer["seconds"]

    def is_parallel(self, name):
        """Whether a library can search on several threads, which its worker says when it is started."""
        if "parallel" not in self.state.peers[name]:
            self.loaded(name)
        return self.state.peers[name]["parallel"]

    def find_recalls(self, name, k):
        """Searches with ascending ef until the highest target is reached."""
        known = self.state.recalls(name, k)
        if not known:
            say(f"finding recalls@{k} of {name}")
        for ef in curve.efs_for(k, self.options.ef_max):
            if ef not in known:
                self.check_time()
                threads = max(self.options.threads) if self.is_parallel(name) else 1
                self.search(name, k, ef, threads, ids_path=self.ids_path)
                known[ef] = self.dataset.recall(np.load(self.ids_path), k)
                self.state.set_recall(name, k, ef, known[ef])
            if known[ef] >= max(curve.TARGETS):
                return

    def measure(self, name, k, thread_count, ef, round_number):
        if thread_count > 1 and not self.is_parallel(name):
            return
        passes = self.state.passes(name, k, thread_count, ef)
        if len(passes) <= round_number:
            self.check_time()
            warm_count = min(WARM_QUERIES_MAX, len(self.dataset.queries))
            passes.append(self.search(name, k, ef, thread_count, warm_count))

    def guarded(self, step, name, *arguments):
        """Runs one step for a library. If its process dies, the library is left out from then on."""
        if "failed" in self.state.peers[name]:
            return
        try:
            step(name, *arguments)
        except Died as error:
            self.fail(name, f"{' '.join([step.__name__] + [str(argument) for argument in arguments])}: {error}")

    def run(self):
        options = self.options
        for name in self.state.peers:
            self.check_time()
            self.guarded(self.build, name)
        self.state.save()
        for name in self.state.alive():
            for k in options.k:
                self.guarded(self.find_recalls, name, k)
                self.state.save()
        efs = {
            name: {k: curve.bracketing(self.state.recalls(name, k)) for k in options.k} for name in self.state.alive()
        }
        if options.prepare:
            raise ToBeContinued
        combinations = [(k, thread_count) for k in options.k for thread_count in options.threads]
        for number in range(options.rounds):
            last = None
            for name, k, thread_count, ef in schedule.steps_of_round(number, efs, combinations, options.one_at_a_time):
                if (k, thread_count) != last:
                    last = k, thread_count
                    self.state.save()
                self.guarded(self.measure, name, k, thread_count, ef, number)
            self.state.save()
            say(f"round {number + 1} of {options.rounds} done")

    def close(self):
        for name in list(self.children):
            self.end(name)
        self.state.save()


# ---- command line ----------------------------------------------------------------------------------------------------


def rhumb_setup(folder, build_arguments):
    """What a worker needs to know of a rhumb whose library and tool are in a folder such as .out/bazel-bin."""
    library = os.path.join(folder, "librhumb.so")
    tools = [os.path.join(folder, path) for path in ("api/cli/rhumb", "rhumb")]
    tool = next((path for path in tools if os.path.isfile(path)), None)
    if tool is None or not os.path.exists(library):
        raise SystemExit(f"{folder}: no librhumb.so and rhumb here; bazel build //:librhumb.so //:rhumb makes them")
    return {
        "adapter": "rhumb",
        "library": library,
        "library_sha256": sha256_of(library),
        "tool": tool,
        "build_arguments": build_arguments,
    }


def parts_of_variant(text):
    """The name, the folder ("" if there is none) and the arguments of one --rhumb."""
    name, _, arguments = text.partition("=")
    name, _, folder = name.partition(":")
    return name, folder, arguments


def arguments_of(settings):
    """The arguments of `rhumb build` that settings such as "codes=8:keep-pruned" stand for."""
    return [word for setting in settings.split(":") if setting for word in f"--{setting}".split("=", 1)]


def setups_of(options):
    """{name: setup} of all libraries that were asked for, in their order."""
    common = {
        "data": os.path.abspath(options.data),
        "data_bytes": os.path.getsize(options.data),
        "query_count": options.queries,
        "ef_construction": options.ef_construction,
        "build_thread_count": options.build_threads,
        "simd": options.simd,
    }
    setups = {}
    for name in options.libraries.split(","):
        plain_name, _, build_settings = name.partition(":")
        adapter, _, degree = plain_name.partition("@")
        if build_settings and adapter != "rhumb":
            raise SystemExit(f"{name}: only rhumb takes settings")
        setups[name] = dict(common, adapter=adapter, degree=int(degree or options.degree))
        if adapter == "rhumb":
            setups[name].update(rhumb_setup(options.bin, arguments_of(build_settings)))
    for text in options.rhumb:
        name, folder, arguments = parts_of_variant(text)
        if not name.startswith(table.REFERENCE):
            raise SystemExit(f"--rhumb {text}: the name must begin with {table.REFERENCE}")
        built = rhumb_setup(folder or options.bin, shlex.split(arguments))
        setups[name] = dict(common, degree=options.degree, **built)
    for name, setup in setups.items():
        setup["path"] = os.path.join(os.path.abspath(options.dir), f"{name}.index")
        setup["scratch"] = os.path.join(os.path.abspath(options.dir), f"{name}.scratch")
    return setups


def numbers(text):
    return [int(part) for part in text.split(",")]


def parse(arguments):
    processors = len(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("data", metavar="DATA.hdf5", help="a file of bench/datasets.py, or one laid out like these")
    add("--dir", required=True, help="folder for indexes and state; some GB")
    add("--libraries", default=DEFAULT_LIBRARIES, help=f"default: {DEFAULT_LIBRARIES}")
    add(
        "--rhumb",
        action="append",
        default=[],
        metavar="NAME[:BIN]=ARGUMENTS",
        help="another index of rhumb, built with these arguments of `rhumb build`, by the library and tool of folder "
        "BIN if it is there: 'rhumb-m24=--M 24', 'rhumb-before:../old/.out/bazel-bin='",
    )
    add("--bin", default=os.path.join(ROOT, ".out", "bazel-bin"), help="folder of librhumb.so and rhumb")
    add("--k", type=numbers, default=[10, 100], metavar="K,...", help="default: 10,100")
    add("--threads", type=numbers, default=sorted({1, processors}), metavar="N,...", help="default: 1 and all")
    add("--rounds", type=int, default=5, help="default: 5")
    add("--queries", type=int, default=5000, help="how many, 0 for all; default: 5000")
    add("--degree", type=int, default=32, help="neighbours on the lowest level, twice HNSW's M; default: 32")
    add("--ef-construction", type=int, default=200, help="default: 200")
    add("--ef-max", type=int, default=2048, help="where the search for the highest recall ends; default: 2048")
    add("--build-threads", type=int, default=processors, help="default: all")
    add("--simd", choices=["best", "avx2"], default="best", help="avx2: limit the libraries that can be limited")
    add("--one-at-a-time", action="store_true", help="load an index only for its turn, for sets of several GB")
    add("--stop-after", type=float, default=0, metavar="SECONDS", help=f"end with exit code {TO_BE_CONTINUED} then")
    add("--prepare", action="store_true", help="only build indexes and find recalls; then end with the same exit code")
    add("--json", metavar="FILE", help="write the results, with every round, to a file")
    return parser.parse_args(arguments)


def shown_words(options, words):
    """The words of a command as a result shows them: without the folders of the machine that it was made on."""
    shown = {options.data: os.path.basename(options.data), options.dir: "DIR", options.bin: "BIN"}
    shown[options.json] = "RESULT.json"
    for text in options.rhumb:
        folder = parts_of_variant(text)[1]
        shown[text] = text.replace(f":{folder}=", ":OTHER_BIN=", 1) if folder else text
    return [shown.get(word, word) for word in words if word != "--prepare"]


def main():
    options = parse(sys.argv[1:])
    os.makedirs(options.dir, exist_ok=True)
    dataset = Dataset(options.data, options.queries)
    setups = setups_of(options)
    settings = {name: getattr(options, name) for name in ("k", "threads", "ef_max", "simd", "one_at_a_time")}
    settings["instructions"] = machine.instructions()
    settings["libraries"] = setups
    name = os.path.basename(options.data).rsplit(".", 1)[0]
    title = (
        f"{name}: {len(dataset.rows):,} x {dataset.rows.shape[1]}, {dataset.distance}, "
        f"{len(dataset.queries):,} queries; "
        f"degree {options.degree} (M {options.degree // 2}), ef_construction {options.ef_construction}, "
        f"{'limited to AVX2' if options.simd == 'avx2' else machine.instructions()}, "
        f"medians of {options.rounds} rounds"
    )
    command = "compare.py " + shlex.join(shown_words(options, sys.argv[1:]))
    record = machine.record(f"queries per second at equal recall of rhumb and its peers, {name}", command, ROOT)
    state = State(os.path.join(options.dir, "state.json"), settings, title, record, list(setups))
    comparison = Comparison(options, dataset, setups, state)
    try:
        comparison.run()
    except ToBeContinued:
        say("stopped; the same command goes on from here" + (", without --prepare" if options.prepare else ""))
        return TO_BE_CONTINUED
    finally:
        comparison.close()
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(dict(state.fields, results=table.results_of(state.fields)), file, indent=1)
    print(machine.text_of(state.fields["record"]))
    print(table.text_of(state.fields), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
