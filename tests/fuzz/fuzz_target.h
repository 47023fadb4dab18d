// The functions of a fuzz target, which libFuzzer calls, or the tests of its corpus without it.
#ifndef RHUMB_TESTS_FUZZ_FUZZ_TARGET_H
#define RHUMB_TESTS_FUZZ_FUZZ_TARGET_H

#include <cstddef>
#include <cstdint>

extern "C" {
int LLVMFuzzerInitialize(int *argument_count, char ***arguments);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count);
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t byte_count, size_t byte_count_max, unsigned int seed);
// libFuzzer's own, or corpus.cc's.
size_t LLVMFuzzerMutate(uint8_t *bytes, size_t byte_count, size_t byte_count_max);
}

#endif // RHUMB_TESTS_FUZZ_FUZZ_TARGET_H
