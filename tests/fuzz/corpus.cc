// See corpus.h.
#include "tests/fuzz/corpus.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <random>

#include "tests/fuzz/fuzz_target.h"
#include "tests/support/io_test_support.h"

// Stands in for libFuzzer's: some bytes change, or the end is cut off.
extern "C" size_t LLVMFuzzerMutate(uint8_t *bytes, size_t byte_count, size_t) {
    static std::mt19937 random(397);
    if (byte_count == 0) return 0;
    if (random() % 4 == 0) return random() % byte_count;
    for (uint32_t i = 0; i < 1 + random() % 8; i++) bytes[random() % byte_count] = static_cast<uint8_t>(random());
    return byte_count;
}

namespace fuzz_test {

std::vector<std::string> corpus_paths(const std::string &name) {
    std::vector<std::string> paths;
    for (const auto &entry : std::filesystem::directory_iterator("tests/fuzz/corpus/" + name)) {
        paths.push_back(entry.path().string());
    }
    std::sort(paths.begin(), paths.end());
    return paths;
}

std::vector<std::vector<uint8_t>> corpus(const std::string &name) {
    std::vector<std::vector<uint8_t>> inputs;
    for (const std::string &path : corpus_paths(name)) inputs.push_back(io_test::file_bytes(path));
    return inputs;
}

void run_corpus(const std::string &name) {
    for (const std::vector<uint8_t> &input : corpus(name)) LLVMFuzzerTestOneInput(input.data(), input.size());
}

void run_mutations(const std::string &name, uint64_t iterations, size_t byte_count_max) {
    const uint64_t seed = io_test::choose_seed();
    const char *text = getenv("RHUMB_ITERS");
    if (text != nullptr) iterations = strtoull(text, nullptr, 0);
    std::mt19937_64 random(seed);
    const std::vector<std::vector<uint8_t>> inputs = corpus(name);
    ASSERT_FALSE(inputs.empty());
    std::vector<uint8_t> input;
    for (uint64_t i = 0; i < iterations; i++) {
        if (i % 8 == 0) input = inputs[random() % inputs.size()]; // up to eight mutations on top of each other
        const size_t byte_count = input.size();
        input.resize(byte_count_max);
        input.resize(LLVMFuzzerCustomMutator(input.data(), byte_count, input.size(), static_cast<unsigned>(random())));
        LLVMFuzzerTestOneInput(input.data(), input.size());
    }
}

} // namespace fuzz_test
