// Goal: what topology_fuzz has found stays found, without clang. Method: the corpus through the fuzz target's own
// functions, and mutations of it by the target's own mutator. RHUMB_ITERS sets how many.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/storage/io_test_support.h"
#include "tests/support/exercise_graph.h"

extern "C" int LLVMFuzzerInitialize(int *argument_count, char ***arguments);
extern "C" int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count);
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t byte_count, size_t byte_count_max, unsigned int seed);

// Stands in for libFuzzer's: some bytes change, or the end is cut off.
extern "C" size_t LLVMFuzzerMutate(uint8_t *bytes, size_t byte_count, size_t) {
    static std::mt19937 random(397);
    if (byte_count == 0) return 0;
    if (random() % 4 == 0) return random() % byte_count;
    for (uint32_t i = 0; i < 1 + random() % 8; i++) bytes[random() % byte_count] = static_cast<uint8_t>(random());
    return byte_count;
}

namespace {

const char *const kFolder = "tests/fuzz/corpus/topology";

std::vector<std::string> paths() {
    std::vector<std::string> found;
    for (const auto &entry : std::filesystem::directory_iterator(kFolder)) found.push_back(entry.path().string());
    std::sort(found.begin(), found.end());
    return found;
}

class TopologyCorpus : public ::testing::Test {
  protected:
    static void SetUpTestSuite() { LLVMFuzzerInitialize(nullptr, nullptr); }
};

TEST_F(TopologyCorpus, SeedsAreWholeTopologies) {
    int whole_count = 0;
    for (const std::string &path : paths()) {
        const rhumb_test::TopologyExercise exercise = rhumb_test::exercise_topology(path);
        whole_count += exercise.opened == RHUMB_OK && exercise.verified == RHUMB_OK;
    }
    EXPECT_GE(whole_count, 6) << "the seeds were made by a version that wrote another format";
}

TEST_F(TopologyCorpus, EveryInputKeepsThePromises) {
    for (const std::string &path : paths()) {
        const std::vector<uint8_t> input = io_test::file_bytes(path);
        LLVMFuzzerTestOneInput(input.data(), input.size());
    }
}

TEST_F(TopologyCorpus, SoDoMutationsOfThem) {
    const uint64_t seed = io_test::choose_seed();
    const char *text = getenv("RHUMB_ITERS");
    const uint64_t iterations = text != nullptr ? strtoull(text, nullptr, 0) : 2000;
    std::mt19937_64 random(seed);
    std::vector<std::vector<uint8_t>> inputs;
    for (const std::string &path : paths()) inputs.push_back(io_test::file_bytes(path));
    ASSERT_FALSE(inputs.empty());
    std::vector<uint8_t> input;
    for (uint64_t i = 0; i < iterations; i++) {
        if (i % 8 == 0) input = inputs[random() % inputs.size()]; // up to eight mutations on top of each other
        const size_t byte_count = input.size();
        input.resize(UINT64_C(1) << 16);
        input.resize(LLVMFuzzerCustomMutator(input.data(), byte_count, input.size(), static_cast<unsigned>(random())));
        LLVMFuzzerTestOneInput(input.data(), input.size());
    }
}

} // namespace
