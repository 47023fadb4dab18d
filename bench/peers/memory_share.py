#!/usr/bin/env python3
"""How fast searches are as a function of the memory that they may use: rhumb, and the libraries of mapped.py.

    memory_share.py DATA.hdf5 --dir DIR --bin BIN [--shares 100,50,25,10] [--libraries rhumb,diskann,...]
                    [--build-only] [--rounds 1] [--json FILE]

A share is that of the file of rhumb's index, in percent: every library gets as many bytes, whatever its own file takes.
Each is measured in a control group of its own (bench/under_limit.sh, as root), with the page cache dropped before, as
bench/README.md describes for larger_than_ram. Indexes are built in DIR first, those that are not there yet. A library
that is killed, or that has no point after --seconds, has a line that says so. BIN has the programs rhumb and
larger_than_ram.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys

import curve
import machine

FOLDER = os.path.dirname(os.path.abspath(__file__))
TARGETS = (0.95, 0.98)
RHUMB_EFS = "16,24,32,48,64,96,128,192"


def say(words):
    print(words, file=sys.stderr, flush=True)


class Measurements:
    def __init__(self, options):
        self.options = options
        self.index = os.path.join(options.dir, "index.rhumb")
        self.peers = [name for name in options.libraries if name != "rhumb"]

    def folder_of(self, name):
        return os.path.join(self.options.dir, name)

    def peer(self, what, name):
        script = os.path.join(FOLDER, "larger_than_ram.py")
        return [sys.executable, script, what, name, self.options.data, self.folder_of(name)]

    def build(self):
        rhumb = os.path.join(self.options.bin, "rhumb")
        if not os.path.exists(self.index):
            built = self.index + "-built"
            say("building rhumb")
            subprocess.run([rhumb, "build", built, self.options.data, *self.options.rhumb.split()], check=True)
            subprocess.run([rhumb, "compact", built, "--into", self.index], check=True)
            os.remove(built)
        for name in self.peers:
            if not os.path.exists(self.folder_of(name)):
                say(f"building {name}")
                subprocess.run(self.peer("build", name), check=True)

    def command(self, name, result):
        threads, queries = str(self.options.threads), str(self.options.queries)
        if name != "rhumb":
            return self.peer("search", name) + ["--threads", threads, "--queries", queries, "--json", result]
        program = os.path.join(self.options.bin, "larger_than_ram")
        return [program, "--index", self.index, "--data", self.options.data, "--ef", RHUMB_EFS, "--threads", threads,
                "--queries", queries, "--warm-up-queries", queries, "--json", result]  # fmt: skip

    def measure(self, name, share):
        """Returns the points of one library, and how it ended if not well."""
        result = os.path.join(self.options.dir, "points.json")
        if os.path.exists(result):
            os.remove(result)
        megabytes = os.path.getsize(self.index) * share // 100 // 1_000_000
        with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as file:
            os.sync()
            file.write("3")
        command = [os.path.join(FOLDER, "..", "under_limit.sh"), str(megabytes)] + self.command(name, result)
        with open(os.path.join(self.options.dir, f"{name}.log"), "w", encoding="utf-8") as log:
            child = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
            try:
                code = child.wait(self.options.seconds)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
                code = None
        points = []
        if os.path.exists(result):
            with open(result, encoding="utf-8") as file:
                points = json.load(file)["points"]
        end = "" if code == 0 else "stopped" if code is None else "killed" if code in (-9, 137) else f"exit {code}"
        return points, end


def median_points(rounds):
    """The points of several rounds, of each number its median."""
    merged = []
    for same in zip(*rounds):
        merged.append({name: statistics.median(point[name] for point in same) for name in same[0]})
    return merged


def columns(points):
    """Speed, median and 99th percentile and pages of a query, at each recall that is asked for."""
    for target in TARGETS:
        cells = []
        for name in ("queries_per_second", "median_ms", "p99_ms", "pages_read"):
            at = [curve.Point(p["ef"], p["recall"], max(p[name], 1e-9)) for p in points]
            found = curve.speed_at(at, target)
            cells.append("-" if found.qps is None else ("<" if found.kind == "at least" else "") + f"{found.qps:.4g}")
        yield cells


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--dir", required=True)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--shares", default="100,50,25,10")
    parser.add_argument("--libraries", default="rhumb,diskann,faiss-hnsw,faiss-ivf,usearch,hnswlib")
    parser.add_argument("--rhumb", default="--codes 4", help="options of rhumb build")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--queries", type=int, default=1000, help="timed ones, after as many others")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seconds", type=int, default=180, help="for one library and share")
    parser.add_argument("--build-only", action="store_true")
    parser.add_argument("--json")
    options = parser.parse_args()
    options.libraries = options.libraries.split(",")
    os.makedirs(options.dir, exist_ok=True)
    measurements = Measurements(options)
    measurements.build()
    if options.build_only:
        return
    places = {options.data: os.path.basename(options.data), options.dir: "DIR", options.bin: "BIN"}
    places[options.json] = "RESULT.json"
    command = "memory_share.py " + " ".join(places.get(word, word) for word in sys.argv[1:])
    record = machine.record("speed of searches against the memory that they may use", command, FOLDER)
    print(machine.text_of(record))
    print(f"index of {os.path.getsize(measurements.index) / 1e6:.0f} MB (rhumb build {options.rhumb}, compacted); "
          f"{options.threads} threads, k 10, {options.rounds} rounds")  # fmt: skip
    print("at recall 0.95 and 0.98: queries a second, p50 and p99 in ms, pages read a query\n")
    print(f"{'share':>6} {'library':<11} {'0.95':>9} {'p50':>8} {'p99':>8} {'pages':>8}"
          f"  {'0.98':>9} {'p50':>8} {'p99':>8} {'pages':>8}")  # fmt: skip
    cells = []
    for share in map(int, options.shares.split(",")):
        for name in options.libraries:
            rounds, end = [], ""
            for _ in range(options.rounds):
                points, end = measurements.measure(name, share)
                rounds.append(points)
                if end:
                    break
            points = median_points(rounds)
            cells.append({"share": share, "library": name, "points": points, "end": end})
            first, second = columns(points)
            print(f"{share:>5}% {name:<11} " + " ".join(f"{cell:>8}" for cell in first) + "   "
                  + " ".join(f"{cell:>8}" for cell in second) + (f"  {end}" if end else ""), flush=True)  # fmt: skip
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({**record, "targets": TARGETS, "cells": cells}, file)


if __name__ == "__main__":
    main()
