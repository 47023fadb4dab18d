"""How kernels are compiled, for all folders that have some."""

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
