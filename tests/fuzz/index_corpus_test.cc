// Goal: what index_fuzz has found stays found, without clang. Method: the corpus through the fuzz target's own
// functions, and some hundred mutations of it by the target's own mutator. RHUMB_ITERS sets how many.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/storage/io_test_support.h"
#include "tests/support/exercise.h"
#include "tests/support/file_image.h"

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

using rhumb_test::FileImage;

const char *const kFolder = "tests/fuzz/corpus/index";

std::vector<std::vector<uint8_t>> corpus() {
    std::vector<std::filesystem::path> paths;
    for (const auto &entry : std::filesystem::directory_iterator(kFolder)) paths.push_back(entry.path());
    std::sort(paths.begin(), paths.end());
    std::vector<std::vector<uint8_t>> inputs;
    for (const auto &path : paths) inputs.push_back(io_test::file_bytes(path.string()));
    return inputs;
}

class IndexCorpus : public ::testing::Test {
  protected:
    static void SetUpTestSuite() { LLVMFuzzerInitialize(nullptr, nullptr); }
};

TEST_F(IndexCorpus, SeedsAreWholeIndexes) {
    io_test::ScratchDirectory directory;
    const std::string path = directory.file("seed");
    int whole_count = 0;
    for (const std::vector<uint8_t> &input : corpus()) {
        const FileImage image = FileImage::unpack(input.data(), input.size(), UINT64_C(4) << 20);
        EXPECT_EQ(image.pack(), input);
        ASSERT_TRUE(image.save(path));
        const rhumb_test::Exercise exercise = rhumb_test::exercise_reading(path);
        whole_count += exercise.opened == RHUMB_OK && exercise.verified == RHUMB_OK;
    }
    EXPECT_GE(whole_count, 6) << "the seeds were made by a version that wrote another format";
}

TEST_F(IndexCorpus, EveryInputKeepsThePromises) {
    for (const std::vector<uint8_t> &input : corpus()) LLVMFuzzerTestOneInput(input.data(), input.size());
}

TEST_F(IndexCorpus, SoDoMutationsOfThem) {
    const uint64_t seed = io_test::choose_seed();
    const char *text = getenv("RHUMB_ITERS");
    const uint64_t iterations = text != nullptr ? strtoull(text, nullptr, 0) : 400;
    std::mt19937_64 random(seed);
    const std::vector<std::vector<uint8_t>> inputs = corpus();
    ASSERT_FALSE(inputs.empty());
    std::vector<uint8_t> input;
    for (uint64_t i = 0; i < iterations; i++) {
        if (i % 8 == 0) input = inputs[random() % inputs.size()]; // up to eight mutations on top of each other
        const size_t byte_count = input.size();
        input.resize(UINT64_C(1) << 20);
        input.resize(LLVMFuzzerCustomMutator(input.data(), byte_count, input.size(), static_cast<unsigned>(random())));
        LLVMFuzzerTestOneInput(input.data(), input.size());
    }
}

} // namespace
