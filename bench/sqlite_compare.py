#!/usr/bin/env python3
"""Compares tables of vectors in SQLite: rhumb0, sqlite-vec (vec0, a scan) and vectorlite (hnswlib in memory).

Each gets the same vectors, in batches of 10,000 rows a transaction, and the statements of sqlite_compare.sql. The answers
of vec0, which measures every vector, are the truth that the others are compared with: recall, and whether the distances of
rows that both found agree. One word in fifty is "chosen", for the statements that filter.

    sqlite_compare.py build  --data words.hdf5 --folder DIR --extension rhumb0.so ENGINE...
    sqlite_compare.py search --data words.hdf5 --folder DIR --extension rhumb0.so ENGINE...

It needs the packages sqlite-vec and vectorlite-py, h5py, numpy, and a Python that loads extensions. `search` is what is
timed; both print a record for bench/results.
"""

import argparse
import json
import os
import re
import sqlite3
import statistics
import sys
import time

import h5py
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "peers"))
import machine  # noqa: E402

BATCH = 10000
EFS = {"rhumb0": (64, 128, 256), "vectorlite": (64, 128, 256), "vec0": (0,)}


def statements():
    """name -> statement"""
    with open(os.path.join(HERE, "sqlite_compare.sql")) as file:
        text = file.read()
    return {name: sql.strip() for name, sql in re.findall(r"^-- ([a-z ]+)\n(SELECT.*?;)", text, re.MULTILINE | re.DOTALL)}


def statement_of(engine, sql, ef):
    """The statement in the words of an engine; ef is a hidden column of rhumb0 and a parameter of vectorlite."""
    if engine == "rhumb0" and ef:
        return sql.replace("MATCH :q", "MATCH :q AND ef = %d" % ef)
    if engine != "vectorlite":
        return sql
    sql, count = re.subn(r"(v\.)?embedding MATCH :q AND k = (\d+)", r"knn_search(\1embedding, knn_param(:q, \2, %d))" % ef, sql)
    return sql if count else None


class Table:
    def __init__(self, engine, arguments):
        self.engine = engine
        self.path = os.path.join(arguments.folder, engine + ".db")
        self.index = os.path.join(arguments.folder, engine + ".index")
        self.connection = sqlite3.connect(self.path, isolation_level=None)
        self.connection.enable_load_extension(True)
        if engine == "rhumb0":
            self.connection.load_extension(os.path.abspath(arguments.extension))
        elif engine == "vec0":
            import sqlite_vec

            sqlite_vec.load(self.connection)
        else:
            import vectorlite_py

            self.connection.load_extension(vectorlite_py.vectorlite_path())

    def create(self, vectors):
        count, dim = vectors.shape
        self.connection.execute("CREATE TABLE words(id INTEGER PRIMARY KEY, chosen INTEGER)")
        with_index = {
            "rhumb0": "rhumb0(embedding float[%d] distance_metric=cosine, M=16, ef_construction=200)" % dim,
            "vec0": "vec0(embedding float[%d] distance_metric=cosine)" % dim,
            "vectorlite": "vectorlite(embedding float32[%d] cosine, hnsw(max_elements=%d, M=16, ef_construction=200), '%s')"
            % (dim, count, self.index),
        }
        self.connection.execute("CREATE VIRTUAL TABLE v USING " + with_index[self.engine])
        for begin in range(0, count, BATCH):
            ids = range(begin + 1, min(begin + BATCH, count) + 1)
            self.connection.execute("BEGIN")
            self.connection.executemany("INSERT INTO words VALUES(?, ?)", ((i, i % 50 == 0) for i in ids))
            rows = ((i, vectors[i - 1].tobytes()) for i in ids)
            self.connection.executemany("INSERT INTO v(rowid, embedding) VALUES(?, ?)", rows)
            self.connection.execute("COMMIT")
        if self.engine == "rhumb0":
            self.connection.execute("INSERT INTO v(v) VALUES('flush')")

    def bytes(self):
        folder = os.path.dirname(self.path)
        return sum(os.path.getsize(os.path.join(folder, name)) for name in os.listdir(folder) if name.startswith(self.engine))


def build(arguments, vectors):
    for engine in arguments.engines:
        begin, begin_cpu = time.time(), time.process_time()
        table = Table(engine, arguments)
        table.create(vectors)
        table.connection.close()
        seconds, cpu_seconds = time.time() - begin, time.process_time() - begin_cpu
        print("%-10s %8.1f s to insert, commit and close; %8.1f s of processors; %12d bytes" % (engine, seconds, cpu_seconds, table.bytes()), flush=True)  # fmt: skip


def run(table, sql, queries, seconds):
    """(answers, milliseconds of each): as many queries as the time allows."""
    answers, times = [], []
    end = time.time() + seconds
    for query in queries:
        begin = time.perf_counter()
        answers.append(table.connection.execute(sql, {"q": query.tobytes()}).fetchall())
        times.append((time.perf_counter() - begin) * 1e3)
        if time.time() > end:
            break
    return answers, times


def compared(answers, truth):
    """(recall, largest difference of distances) against the truth of the same queries."""
    hits = wanted = 0
    difference = 0.0
    for found, right in zip(answers, truth):
        distances = dict(right)
        wanted += len(right)
        for key, distance in found:
            if key in distances:
                hits += 1
                difference = max(difference, abs(distance - distances[key]))
    return hits / max(wanted, 1), difference


def pulled(table):
    """How many rows the iterators of rhumb0 have listed."""
    if table.engine != "rhumb0":
        return 0
    return json.loads(table.connection.execute("SELECT rhumb_info('v')").fetchone()[0])["pulled_count"]


ROW = "%-14s %-10s %4d %7d %10.3f %10.3f %8.4f %11.1e %7.0f"
HEAD = "%-14s %-10s %4s %7s %10s %10s %8s %11s %7s" % (
    "statement", "extension", "ef", "queries", "median ms", "p99 ms", "recall", "difference", "pulled")  # fmt: skip
TRUTH_OF = {"joined": "listed", "joined with k": "listed"}  # the rows that these should find


def measure(table, name, sql, queries, arguments, truths):
    """Prints the lines of one statement and one extension; records vec0's answers as the truth."""
    for ef in EFS[table.engine]:
        text = statement_of(table.engine, sql, ef)
        if text is None:
            print("%-14s %-10s error: there is no search without k" % (name, table.engine))
            return
        try:
            before = pulled(table)
            answers, times = run(table, text, queries, arguments.seconds)
        except sqlite3.OperationalError as error:
            print("%-14s %-10s error: %s" % (name, table.engine, error))
            return
        if table.engine == "vec0":
            truths.setdefault(name, answers)
        recall, difference = compared(answers, truths.get(TRUTH_OF.get(name, name), []))
        each = (pulled(table) - before) / len(times)
        p99 = np.percentile(times, 99)
        print(ROW % (name, table.engine, ef, len(times), statistics.median(times), p99, recall, difference, each), flush=True)


def search(arguments, queries):
    tables = []
    for engine in arguments.engines:
        begin = time.perf_counter()
        tables.append(Table(engine, arguments))
        sql = statement_of(engine, statements()["nearest"], EFS[engine][0])
        tables[-1].connection.execute(sql, {"q": queries[0].tobytes()}).fetchall()
        print("%-10s %10.1f ms to connect, load the extension and answer once" % (engine, (time.perf_counter() - begin) * 1e3))
    print("\n" + HEAD)
    truths = {}
    for name, sql in statements().items():
        for table in tables:  # vec0 first
            measure(table, name, sql, queries, arguments, truths)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("build", "search"))
    parser.add_argument("engines", nargs="*", default=["vec0", "rhumb0", "vectorlite"], help="vec0 is to be the first")
    parser.add_argument("--data", required=True)
    parser.add_argument("--folder", required=True)
    parser.add_argument("--extension", required=True)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rows", type=int)
    arguments = parser.parse_args()
    with h5py.File(arguments.data) as file:
        vectors, queries = file["train"][: arguments.rows].astype(np.float32), file["test"][: arguments.queries].astype(np.float32)
    command = "sqlite_compare.py %s %s --data %s" % (arguments.what, " ".join(arguments.engines), os.path.basename(arguments.data))
    print(machine.text_of(machine.record("tables of vectors in SQLite: rhumb0, sqlite-vec and vectorlite", command, HERE)))
    print("%d vectors of %d components; SQLite %s" % (*vectors.shape, sqlite3.sqlite_version))
    if arguments.what == "build":
        build(arguments, vectors)
    else:
        search(arguments, queries)


if __name__ == "__main__":
    main()
