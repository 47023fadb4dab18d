// Goal: what log_fuzz has found stays found, without clang. Method: the corpus through the fuzz target's own functions,
// and some thousand mutations of it by the target's own mutator. RHUMB_ITERS sets how many.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/storage/io_test_support.h"
#include "tests/storage/log_image.h"
#include "tests/support/file_image.h"

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

const char *const kFolder = "tests/fuzz/corpus/log";

std::vector<std::vector<uint8_t>> corpus() {
    std::vector<std::filesystem::path> paths;
    for (const auto &entry : std::filesystem::directory_iterator(kFolder)) paths.push_back(entry.path());
    std::sort(paths.begin(), paths.end());
    std::vector<std::vector<uint8_t>> inputs;
    for (const auto &path : paths) inputs.push_back(io_test::file_bytes(path.string()));
    return inputs;
}

TEST(LogCorpus, SeedsAreWholeLogs) {
    int whole_count = 0;
    for (const std::vector<uint8_t> &input : corpus()) {
        ASSERT_GE(input.size(), 8u);
        const auto image = rhumb_test::FileImage::unpack(input.data() + 8, input.size() - 8, UINT64_C(1) << 20);
        const std::vector<uint8_t> packed = image.pack();
        EXPECT_EQ(std::vector<uint8_t>(input.begin() + 8, input.end()), packed);
        const log_test::LogImage log(image.bytes());
        bool whole = log.records().size() >= 2;
        for (const log_test::LogImage::Place &record : log.records()) {
            whole = whole && log.record_crc(record) == record.header.crc;
        }
        whole_count += whole;
    }
    EXPECT_GE(whole_count, 5) << "the seeds were made by a version that wrote another format";
}

TEST(LogCorpus, EveryInputKeepsThePromises) {
    for (const std::vector<uint8_t> &input : corpus()) LLVMFuzzerTestOneInput(input.data(), input.size());
}

TEST(LogCorpus, SoDoMutationsOfThem) {
    const uint64_t seed = io_test::choose_seed();
    const char *text = getenv("RHUMB_ITERS");
    const uint64_t iterations = text != nullptr ? strtoull(text, nullptr, 0) : 2000;
    std::mt19937_64 random(seed);
    const std::vector<std::vector<uint8_t>> inputs = corpus();
    ASSERT_FALSE(inputs.empty());
    std::vector<uint8_t> input;
    for (uint64_t i = 0; i < iterations; i++) {
        if (i % 8 == 0) input = inputs[random() % inputs.size()]; // up to eight mutations on top of each other
        const size_t byte_count = input.size();
        input.resize(UINT64_C(1) << 18);
        input.resize(LLVMFuzzerCustomMutator(input.data(), byte_count, input.size(), static_cast<unsigned>(random())));
        LLVMFuzzerTestOneInput(input.data(), input.size());
    }
}

} // namespace
