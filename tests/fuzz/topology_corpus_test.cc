// Goal: inputs that topology_fuzz has found stay harmless, without clang. Method: the corpus through the fuzz target's
// own functions, and mutations of it by the target's own mutator. RHUMB_ITERS sets how many.
#include <gtest/gtest.h>

#include "tests/fuzz/corpus.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/support/exercise_graph.h"

namespace {

class TopologyCorpus : public ::testing::Test {
  protected:
    static void SetUpTestSuite() { LLVMFuzzerInitialize(nullptr, nullptr); }
};

TEST_F(TopologyCorpus, SeedsAreWholeTopologies) {
    int whole_count = 0;
    for (const std::string &path : fuzz_test::corpus_paths("topology")) {
        const rhumb_test::TopologyExercise exercise = rhumb_test::exercise_topology(path);
        whole_count += exercise.opened == RHUMB_OK && exercise.verified == RHUMB_OK;
    }
    EXPECT_GE(whole_count, 6) << "the seeds were made by a version that wrote another format";
}

TEST_F(TopologyCorpus, EveryInputKeepsThePromises) { fuzz_test::run_corpus("topology"); }

TEST_F(TopologyCorpus, MutationsOfInputsKeepThePromises) {
    fuzz_test::run_mutations("topology", 2000, UINT64_C(1) << 16);
}

} // namespace
