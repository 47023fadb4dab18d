#!/usr/bin/env python3
"""What an open topology file costs: the time of opening it, and the memory of several processes that read all of it.

    bazel build //:librhumb.so
    bench/topology_memory.py .out/bazel-bin/librhumb.so FILE.topology [PROCESSES]

Each process opens the file, then reads every byte of its arrays in place. The kernel reports what each has of the
mapping (/proc/PID/smaps): Rss, all pages it has mapped, and Pss, its share of them; Pss adds up over processes to what
the file costs the machine. /proc/PID/smaps_rollup reports the same of the whole process, the interpreter included.
"""

import ctypes
import os
import platform
import statistics
import subprocess
import sys
import time
import zlib


class Arrays(ctypes.Structure):
    """rhumb_topology_arrays of rhumb_topology.h."""

    _fields_ = [("size", ctypes.c_size_t), ("point_count", ctypes.c_uint64), ("link_count", ctypes.c_uint64),
                ("keys", ctypes.c_void_p), ("starts", ctypes.c_void_p), ("levels", ctypes.c_void_p),
                ("neighbours", ctypes.c_void_p), ("distances", ctypes.c_void_p)]


def print_record():
    """What bench/record.h prints for the programs in C++."""
    commit = subprocess.run(
        "git ls-files --error-unmatch :/include/rhumb.h >/dev/null 2>&1 && git describe --always --dirty --exclude='*'",
        shell=True, stdout=subprocess.PIPE, check=False, cwd=os.path.dirname(os.path.abspath(__file__))
    ).stdout.decode().strip()
    print("what: topology files: size, time to open, memory of several processes")
    print("machine: %s, %d processors" % (platform.processor() or platform.machine(), os.cpu_count()))
    print("commit: %s" % (commit or "unknown"))
    print("command: %s\n" % " ".join(sys.argv))


def load(path):
    library = ctypes.CDLL(path)
    library.rhumb_topology_open.argtypes = [ctypes.c_char_p, ctypes.POINTER(ctypes.c_void_p)]
    library.rhumb_topology_close.argtypes = [ctypes.c_void_p]
    library.rhumb_topology_arrays_get.argtypes = [ctypes.c_void_p, ctypes.POINTER(Arrays), ctypes.c_size_t]
    return library


def open_topology(library, path):
    topology = ctypes.c_void_p()
    status = library.rhumb_topology_open(os.fsencode(path), ctypes.byref(topology))
    if status != 0:
        sys.exit("%s: status %d" % (path, status))
    return topology


def arrays_of(library, topology):
    arrays = Arrays()
    if library.rhumb_topology_arrays_get(topology, ctypes.byref(arrays), ctypes.sizeof(arrays)) != 0:
        sys.exit("no arrays")
    return arrays


def read_all(arrays):
    parts = [(arrays.keys, 8 * arrays.point_count), (arrays.starts, 8 * arrays.point_count + 8),
             (arrays.levels, arrays.point_count), (arrays.neighbours, 4 * arrays.link_count)]
    if arrays.distances:
        parts.append((arrays.distances, 4 * arrays.link_count))
    return [zlib.crc32((ctypes.c_char * size).from_address(address)) for address, size in parts if size > 0]


def kib_of_mapping(pid, path):
    """(Rss, Pss) in KiB of the mappings of a file in a process."""
    rss = pss = 0
    inside = False
    with open("/proc/%d/smaps" % pid) as smaps:
        for line in smaps:
            words = line.split()
            if not words[0].endswith(":"):
                inside = line.rstrip("\n").endswith(os.path.realpath(path))
            elif inside and words[0] == "Rss:":
                rss += int(words[1])
            elif inside and words[0] == "Pss:":
                pss += int(words[1])
    return rss, pss


def kib_of_process(pid):
    with open("/proc/%d/smaps_rollup" % pid) as rollup:
        return next(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))


def child(library_path, path, ready, leave):
    library = load(library_path)
    arrays = arrays_of(library, open_topology(library, path))
    read_all(arrays)
    os.write(ready, b"x")
    os.read(leave, 1)
    os._exit(0)


def measure_processes(library_path, path, count):
    ready_read, ready_write = os.pipe()
    leave_read, leave_write = os.pipe()
    pids = []
    for _ in range(count):
        pid = os.fork()
        if pid == 0:
            child(library_path, path, ready_write, leave_read)
        pids.append(pid)
    for _ in pids:
        os.read(ready_read, 1)
    mappings = [kib_of_mapping(pid, path) for pid in pids]
    totals = [kib_of_process(pid) for pid in pids]
    os.write(leave_write, b"x" * count)
    for pid in pids:
        os.waitpid(pid, 0)
    for descriptor in (ready_read, ready_write, leave_read, leave_write):
        os.close(descriptor)
    return mappings, totals


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    library_path, path = sys.argv[1:3]
    print_record()
    process_count = int(sys.argv[3]) if len(sys.argv) == 4 else 4
    library = load(library_path)
    seconds = []
    for _ in range(1001):
        begin = time.perf_counter()
        topology = open_topology(library, path)
        seconds.append(time.perf_counter() - begin)
        library.rhumb_topology_close(topology)
    topology = open_topology(library, path)
    arrays = arrays_of(library, topology)
    opened = kib_of_mapping(os.getpid(), path)
    library.rhumb_topology_close(topology)
    file_kib = os.path.getsize(path) / 1024
    print("file          %.0f KiB, %d points, %d links, %.1f bytes per point" %
          (file_kib, arrays.point_count, arrays.link_count, 1024 * file_kib / max(arrays.point_count, 1)))
    print("open          median of 1001: %.1f us; mapped pages afterwards: %d KiB" %
          (1e6 * statistics.median(seconds), opened[0]))
    for count in (1, process_count):
        mappings, totals = measure_processes(library_path, path, count)
        print("%d processes   each has %s KiB of the file mapped; Pss of the file, summed: %d KiB = %.3f x its size; "
              "Pss of the processes, summed: %d KiB" %
              (count, "/".join(str(rss) for rss, _ in mappings), sum(pss for _, pss in mappings),
               sum(pss for _, pss in mappings) / file_kib, sum(totals)))


if __name__ == "__main__":
    main()
