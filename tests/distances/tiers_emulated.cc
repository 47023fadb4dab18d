// Linked with emulated kernels: every tier may be called on any processor.
#include "tests/support/rows.h"

rhumb__simd best_tier_to_test() { return RHUMB__SIMD_AVX512; }
bool kernels_are_emulated() { return true; }
