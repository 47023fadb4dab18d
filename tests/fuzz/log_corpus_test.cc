// Goal: inputs that log_fuzz has found stay harmless, without clang. Method: the corpus through the fuzz target's own
// functions, and some thousand mutations of it by the target's own mutator. RHUMB_ITERS sets how many.
#include <gtest/gtest.h>

#include "tests/fuzz/corpus.h"
#include "tests/support/file_image.h"
#include "tests/support/log_image.h"

namespace {

TEST(LogCorpus, SeedsAreWholeLogs) {
    int whole_count = 0;
    for (const std::vector<uint8_t> &input : fuzz_test::corpus("log")) {
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
    EXPECT_GE(whole_count, 7) << "the seeds were made by a version that wrote another format";
}

TEST(LogCorpus, EveryInputKeepsThePromises) { fuzz_test::run_corpus("log"); }

TEST(LogCorpus, MutationsOfInputsKeepThePromises) { fuzz_test::run_mutations("log", 2000, UINT64_C(1) << 18); }

} // namespace
