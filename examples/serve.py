#!/usr/bin/python3
"""Serves a folder of shards over HTTP: a JSON API, a page to search with, and counters for Prometheus.

    serve.py import [--shards N] APT FOLDER    makes or updates a folder of what apt_search.py keeps in the folder APT
    serve.py run [--model DIR] FOLDER          serves a folder: of these, or any that rhumb.shards has made

Several processes answer, and share the pages of the index and the model. They follow what another process writes to the
folder: new vectors, other shards after a reshard, and another folder under the same path, without a request that fails
or waits. A folder of vectors alone is searched by vectors and by example. docs/serve.md has the whole.

DIR holds all-MiniLM-L6-v2, as apt_search.py has fetched it (APT/model). Needs Debian's python3-numpy, and the package
rhumb (bindings/python).
"""

import argparse
import os
import sys

import apt_search  # sets up numpy's BLAS, so it comes before numpy
import rhumb
from embeddings import debian
from service.importing import import_packages
from service.supervisor import Options, Supervisor
from service.web import Limits

PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "serve.html")


def open_model(folder):
    """The model in a folder; it is not fetched."""
    if not os.path.exists(os.path.join(folder, debian.WEIGHTS)):
        raise SystemExit(f"{folder}: there is no {debian.WEIGHTS}; apt_search.py update fetches it")
    return apt_search.MiniLM(folder)


def run(arguments, embedder):
    if embedder is None and arguments.model:
        embedder = open_model(arguments.model)
    found = rhumb.shards.info(arguments.folder)
    if embedder is None:
        print("no model: searches by vector and by example only", flush=True)
    elif embedder.dim != found.dim:
        raise SystemExit(f"{arguments.folder}: vectors of {embedder.dim} expected, as the model makes them, found "
                         f"vectors of {found.dim}")  # fmt: skip
    limits = Limits(
        body_bytes_max=arguments.body_bytes_max, read_seconds=arguments.read_seconds,
        idle_seconds=arguments.idle_seconds, answer_seconds=arguments.answer_seconds, k_max=arguments.k_max,
        ef_max=arguments.ef_max, connection_count_max=arguments.connections_max, job_count_max=arguments.jobs_max,
    )  # fmt: skip
    options = Options(
        arguments.folder, PAGE, embedder, arguments.host, arguments.port, arguments.workers, arguments.threads,
        arguments.follow_seconds, arguments.grace_seconds, arguments.access_log or None, limits,
    )  # fmt: skip
    return Supervisor(options, lambda line: print(line, flush=True)).run()


def run_import(arguments, embedder):
    model = (embedder or apt_search.MiniLM).name
    copied, deleted = import_packages(arguments.apt, arguments.folder, arguments.shards, model)
    print(f"{copied:,} copied, {deleted:,} deleted")
    return 0


def positive(kind):
    """A number above zero."""

    def parse(text):
        value = kind(text)
        if not 0 < value < 1 << 40:
            raise ValueError
        return value

    parse.__name__ = "number above zero"
    return parse


def parser():
    parsed = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parsed.add_subparsers(dest="command", required=True)
    command = commands.add_parser("import")
    command.set_defaults(run=run_import)
    command.add_argument("--shards", type=positive(int), default=4, help="of a new folder (default: 4)")
    command.add_argument("apt", metavar="APT")
    command.add_argument("folder", metavar="FOLDER")
    command = commands.add_parser("run")
    command.set_defaults(run=run)
    command.add_argument("folder", metavar="FOLDER")
    command.add_argument("--model", metavar="DIR", help="the model that makes vectors of texts (default: none)")
    command.add_argument("--host", default="127.0.0.1", help="address to listen at (default: 127.0.0.1)")
    command.add_argument("--port", type=int, default=8080, help="0: any that is free (default: 8080)")
    command.add_argument("--access-log", default="-", metavar="FILE", help="- is standard output, '' none")
    whole, limits = positive(int), Limits()
    for name, kind, default, meaning in (
        ("workers", whole, 2, "processes that answer"),
        ("threads", whole, 2, "threads for searches, of each worker"),
        ("follow-seconds", positive(float), 0.5, "between two looks for newer vectors"),
        ("grace-seconds", positive(float), 10.0, "for requests that have begun at the end of the service"),
        ("k-max", whole, limits.k_max, "results that a search may ask for"),
        ("ef-max", whole, limits.ef_max, "breadth that a search may ask for"),
        ("body-bytes-max", whole, limits.body_bytes_max, "of a request"),
        ("connections-max", whole, limits.connection_count_max, "of each worker; more wait"),
        ("jobs-max", whole, limits.job_count_max, "searches in each worker, running or waiting; more are refused"),
        ("read-seconds", positive(float), limits.read_seconds, "for a client to send a request"),
        ("idle-seconds", positive(float), limits.idle_seconds, "between two requests of a connection"),
        ("answer-seconds", positive(float), limits.answer_seconds, "for a search, waiting included"),
    ):
        command.add_argument(f"--{name}", type=kind, default=default, help=f"{meaning} (default: {default:g})")
    return parsed


def main(arguments=None, embedder=None):
    """`embedder` is used in place of the model."""
    chosen = parser().parse_args(arguments)
    try:
        return chosen.run(chosen, embedder)
    except (rhumb.Error, OSError) as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    sys.exit(main())
