// Linked with the kernels that ship: only the tiers that this processor has may be called.
#include "tests/support/rows.h"

rhumb__simd best_tier_to_test() { return rhumb__cpu_simd_best(); }
bool kernels_are_emulated() { return false; }
