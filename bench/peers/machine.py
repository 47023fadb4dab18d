"""The record at the head of a result, as bench/record.h prints it for the programs in C++."""

import os
import platform
import subprocess


def _value_of(path, key):
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.startswith(key) and ":" in line:
                return line.split(":", 1)[1].strip()
    return "unknown"


def instructions():
    """The widest vector instructions of the processor."""
    flags = _value_of("/proc/cpuinfo", "flags").split()
    return "AVX-512" if "avx512f" in flags else "AVX2" if "avx2" in flags else "no AVX2"


def commit_of(folder):
    """The commit of the work tree that holds a folder, "-dirty" if it has changes; "unknown" outside of one."""
    command = ["git", "-C", folder, "describe", "--always", "--dirty", "--exclude=*"]
    try:
        run = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return run.stdout.decode().strip()


def record(what, command, folder):
    memory_gib = int(_value_of("/proc/meminfo", "MemTotal").split()[0]) / (1 << 20)
    return {
        "what": what,
        "machine": f"{_value_of('/proc/cpuinfo', 'model name')} ({instructions()}), {len(os.sched_getaffinity(0))} "
        f"processors, {memory_gib:.1f} GiB; {platform.system()} {platform.release()}",
        "commit": commit_of(folder),
        "command": command,
    }


def text_of(fields):
    return "".join(f"{key}: {value}\n" for key, value in fields.items())
