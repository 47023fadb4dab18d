"""How kernels are compiled, for all folders that have some."""

load("@rules_cc//cc:defs.bzl", "cc_library")

# Both forms of a kernel must round alike wherever the compiler inlines them, so nothing is fused unless written so.
KERNEL_COPTS = [
    "-O3",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-trapping-math",
]

# The compiler flags of each instruction set, whose kernels are the files *_<name>.c.
INSTRUCTION_SETS = {
    "avx2": [
        "-mavx2",
        "-mfma",
        "-mf16c",
        "-mpopcnt",
    ],
    "avx512": [
        "-mavx512f",
        "-mavx512bw",
        "-mavx512dq",
        "-mavx512vl",
        "-mfma",
        "-mpopcnt",
    ],
}

# These, and the same with the instructions that multiply bytes, which some processors have.
SETS_WITH_VNNI = dict(
    INSTRUCTION_SETS,
    avx2_vnni = INSTRUCTION_SETS["avx2"] + ["-mavxvnni"],
    avx512_vnni = INSTRUCTION_SETS["avx512"] + ["-mavx512vnni"],
)

def kernel_libraries(sets):
    """The kernels of a folder: the library scalar, one for each instruction set, and <name>_emulated for its tests.

    The folder has the libraries any, which is the same for all of them, and bodies, which they include.

    Args:
      sets: the compiler flags of each instruction set, by its name
    """
    cc_library(
        name = "scalar",
        srcs = native.glob(["*_scalar.c"]),
        copts = KERNEL_COPTS,
        linkopts = ["-lm"],
        deps = [
            ":any",
            ":bodies",
        ],
    )
    for name, flags in sets.items():
        cc_library(
            name = name,
            srcs = native.glob(["*_%s.c" % name]),
            copts = KERNEL_COPTS + flags,
            linkopts = ["-lm"],
            deps = [
                ":any",
                ":bodies",
            ],
        )

        # With an emulation of the instructions in the place of the compiler's: what any x86-64 machine can run.
        cc_library(
            name = name + "_emulated",
            testonly = True,
            srcs = native.glob(["*_%s.c" % name]),
            copts = KERNEL_COPTS + [
                "-O1",  # compiles four times as fast
                "-Wno-psabi",
            ],
            linkopts = ["-lm"],
            deps = [
                ":any",
                ":bodies",
                "//tests/distances:emulation",
            ],
        )
