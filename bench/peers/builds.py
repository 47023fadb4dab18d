#!/usr/bin/env python3
"""The time that rhumb and the libraries of adapters.py take to build an index of one data set, in one run.

    bench/peers/setup.sh DIR/environment
    DIR/environment/bin/python bench/peers/builds.py DATA.hdf5 --dir DIR/NAME [OPTIONS]

In each round each library builds its index once, in a process of its own and in an order that rotates from round to
round. Building includes saving; for rhumb, whose tool does it, also starting the tool and reading the file. What is
reported is the median of the rounds, the CPU time and the most memory of the process of the median round, and the
recall of the last index at several values of ef, by which one sees whether a faster build has made a worse graph.
Names of libraries are those of compare.py.
"""

import json
import os
import shutil
import statistics
import sys

import numpy as np

import compare
import machine
from child import Child, Died
from dataset import Dataset

EFS = (16, 32, 64, 128, 200, 400)
K = 10
DEFAULT_LIBRARIES = "rhumb,hnswlib,faiss,usearch,svs-f32,symqg"


class Builds:
    """Builds, and keeps what each round has measured: {name: [answer of the worker, ...]}."""

    def __init__(self, options, dataset, setups):
        self.options = options
        self.dataset = dataset
        self.setups = setups
        self.rounds = {name: [] for name in setups}
        self.recalls = {}
        self.failed = {}

    def build(self, name, last):
        """One build in a new process, which measures recall too if it is the last of its library."""
        setup = self.setups[name]
        for path in (setup["path"], setup["path"] + "-wal", setup["scratch"]):
            compare.remove(path)
        os.makedirs(setup["scratch"])
        command = [sys.executable, os.path.join(compare.FOLDER, "worker.py"), json.dumps(setup)]
        child = Child(command, os.path.join(self.options.dir, f"{name}.log"))
        try:
            child.answer(compare.ANSWER_LIMIT_SECONDS)
            self.rounds[name].append(child.ask({"do": "build"}, compare.BUILD_LIMIT_SECONDS))
            if last:
                if self.rounds[name][-1]["saved"] is None:
                    child.ask({"do": "load"}, compare.BUILD_LIMIT_SECONDS)
                self.recalls[name] = self.recalls_of(child)
        except Died as error:
            self.failed[name] = str(error)
        child.end()
        shutil.rmtree(setup["scratch"], ignore_errors=True)

    def recalls_of(self, child):
        path = os.path.join(self.options.dir, "ids.npy")
        recalls = []
        for ef in EFS:
            request = {"do": "search", "k": K, "ef": ef, "thread_count": 1, "warm_count": 0, "ids": path}
            child.ask(request, compare.ANSWER_LIMIT_SECONDS)
            recalls.append(self.dataset.recall(np.load(path), K))
        return recalls

    def run(self):
        names = list(self.setups)
        for number in range(self.options.rounds):
            for name in names[number % len(names) :] + names[: number % len(names)]:
                if name not in self.failed:
                    compare.say(f"round {number + 1}: {name}")
                    self.build(name, number + 1 == self.options.rounds)


def table_of(builds, reference):
    """Lines of text. Times are also given as a multiple of those of rhumb."""
    medians = {
        name: sorted(rounds, key=lambda answer: answer["seconds"])[(len(rounds) - 1) // 2]
        for name, rounds in builds.rounds.items()
        if rounds and name not in builds.failed
    }
    head = f"{'library':<22}{'seconds':>9}{'least':>9}{'most':>9}{'times':>8}{'CPU s':>9}{'peak MB':>9}  recall@{K} at ef "
    lines = [head + "".join(f"{ef:>8}" for ef in EFS)]
    for name, median in medians.items():
        seconds = [answer["seconds"] for answer in builds.rounds[name]]
        times = median["seconds"] / medians[reference]["seconds"] if reference in medians else float("nan")
        line = f"{name:<22}{statistics.median(seconds):>9.2f}{min(seconds):>9.2f}{max(seconds):>9.2f}{times:>8.2f}"
        line += f"{median['cpu_seconds']:>9.1f}{median['peak_bytes'] / 1e6:>9.0f}" + " " * 17
        lines.append(line + "".join(f"{recall:>8.4f}" for recall in builds.recalls.get(name, [])))
    lines += [f"{name}: {reason}" for name, reason in builds.failed.items()]
    return "\n".join(lines)


def main():
    options = compare.parse(sys.argv[1:])
    if "--libraries" not in sys.argv[1:]:
        options.libraries = DEFAULT_LIBRARIES
    os.makedirs(options.dir, exist_ok=True)
    dataset = Dataset(options.data, options.queries)
    builds = Builds(options, dataset, compare.setups_of(options))
    builds.run()
    rows = "{} x {}".format(*dataset.rows.shape)
    command = " ".join(["bench/peers/builds.py", os.path.basename(options.data), *sys.argv[2:]])
    fields = machine.record(f"time to build {os.path.basename(options.data)}", command, compare.ROOT)
    fields["settings"] = f"{rows}, {options.build_threads} threads, degree {options.degree}, simd {options.simd}, "
    fields["settings"] += f"ef_construction {options.ef_construction}, {options.rounds} rounds"
    print(machine.text_of(fields))
    print(table_of(builds, next(iter(builds.rounds))))


if __name__ == "__main__":
    main()
