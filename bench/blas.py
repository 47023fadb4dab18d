"""Settings of OpenBLAS, to be made before numpy is imported."""

import os


def kernels_for(flags):
    """OpenBLAS's name of the kernels for a processor with these flags, or None if it can choose well by itself.

    It chooses by the processor's number. Debian 12's takes numbers that are newer than itself for a processor of 2004,
    and is then five times slower.
    """
    if {"avx512bw", "avx512dq", "avx512vl"} <= set(flags):
        return "SkylakeX"
    return "Haswell" if {"avx2", "fma"} <= set(flags) else None


def prepare_blas():
    """One BLAS thread for each thread of the program, which spreads its work over blocks, and the right kernels."""
    for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "BLIS_NUM_THREADS"):
        os.environ[variable] = "1"
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        flags = next((line.split() for line in file if line.startswith("flags")), [])
    if kernels_for(flags) is not None:
        os.environ.setdefault("OPENBLAS_CORETYPE", kernels_for(flags))
