// Goal: inputs that index_fuzz has found stay harmless, without clang. Method: the corpus through the fuzz target's own
// functions, and some hundred mutations of it by the target's own mutator. RHUMB_ITERS sets how many.
#include <gtest/gtest.h>

#include "tests/fuzz/corpus.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/support/exercise.h"
#include "tests/support/file_image.h"
#include "tests/support/io_test_support.h"

namespace {

using rhumb_test::FileImage;

class IndexCorpus : public ::testing::Test {
  protected:
    static void SetUpTestSuite() { LLVMFuzzerInitialize(nullptr, nullptr); }
};

TEST_F(IndexCorpus, SeedsAreWholeIndexes) {
    io_test::ScratchDirectory directory;
    const std::string path = directory.file("seed");
    int whole_count = 0;
    for (const std::vector<uint8_t> &input : fuzz_test::corpus("index")) {
        const FileImage image = FileImage::unpack(input.data(), input.size(), UINT64_C(4) << 20);
        EXPECT_EQ(image.pack(), input);
        ASSERT_TRUE(image.save(path));
        const rhumb_test::Exercise exercise = rhumb_test::exercise_reading(path);
        whole_count += exercise.opened == RHUMB_OK && exercise.verified == RHUMB_OK;
    }
    EXPECT_GE(whole_count, 11) << "the seeds were made by a version that wrote another format";
}

TEST_F(IndexCorpus, EveryInputKeepsThePromises) { fuzz_test::run_corpus("index"); }

TEST_F(IndexCorpus, MutationsOfInputsKeepThePromises) { fuzz_test::run_mutations("index", 400, UINT64_C(1) << 20); }

} // namespace
