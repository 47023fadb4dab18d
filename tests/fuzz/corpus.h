// The corpus of the fuzz target that a test is linked with, and mutations of it, without libFuzzer and clang.
#ifndef RHUMB_TESTS_FUZZ_CORPUS_H
#define RHUMB_TESTS_FUZZ_CORPUS_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace fuzz_test {

// The files of tests/fuzz/corpus/NAME by name, and what is in them.
std::vector<std::string> corpus_paths(const std::string &name);
std::vector<std::vector<uint8_t>> corpus(const std::string &name);

// Passes every input to the target.
void run_corpus(const std::string &name);

// Passes mutations of the inputs, by the target's own mutator, to the target: RHUMB_ITERS of them, or
// `iterations`, of at most `byte_count_max` bytes. Prints its seed.
void run_mutations(const std::string &name, uint64_t iterations, size_t byte_count_max);

} // namespace fuzz_test

#endif // RHUMB_TESTS_FUZZ_CORPUS_H
