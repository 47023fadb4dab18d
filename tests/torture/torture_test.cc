// Goal: whatever the data, and whatever an index has lived through, every kind of search returns as many answers as
// exist, with the recall that an index of ordinary data has, and no live vector is out of reach. Method: generated data
// sets (sets.cc), lives (courses.cc) and metrics, in a selection that covers every two of them as well as it can; all
// that an index promises about answers is measured against brute force in double (judge.cc).
//
// RHUMB_SEED            changes the data; it is a constant unless set, or random in the long form
// RHUMB_TORTURE_CASES   how many cases, of the selection or at random; 0, the default of the long form: all of them.
//                       Of the selection sanitizers get a quarter
// RHUMB_TORTURE_COUNT   vectors of a data set
// RHUMB_TORTURE_M       M of all indexes; below 8, M0 is the same and ef_construction twice that
// RHUMB_TORTURE_LONG    set: cases at random from the full product
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "tests/support/sanitized.h"
#include "tests/support/scratch_files.h"
#include "tests/support/seed.h"
#include "tests/torture/cases.h"

namespace {

using rhumb_test::kSanitized;
using torture::Case;

// Syncs test nothing here: in memory, if there is such a folder.
const bool in_memory = access("/dev/shm", W_OK) == 0 && setenv("TEST_TMPDIR", "/dev/shm", 1) == 0;

size_t number_of(const char *name, size_t otherwise) {
    const char *text = getenv(name);
    return text != nullptr ? strtoull(text, nullptr, 0) : otherwise;
}

const bool is_long = getenv("RHUMB_TORTURE_LONG") != nullptr;

// A selection must be the same in every shard, so that its seed is not drawn.
const uint64_t seed = is_long || getenv("RHUMB_SEED") != nullptr ? rhumb_test::choose_seed() : 20;

size_t vector_count() { return number_of("RHUMB_TORTURE_COUNT", is_long ? 4000 : kSanitized ? 300 : 1200); }

std::vector<Case> chosen_cases() {
    if (!is_long) return torture::covering_cases(number_of("RHUMB_TORTURE_CASES", 160) / (kSanitized ? 4 : 1));
    std::vector<Case> cases = torture::all_cases(seed);
    const size_t count = number_of("RHUMB_TORTURE_CASES", 0);
    if (count > 0 && count < cases.size()) cases.resize(count);
    return cases;
}

class Torture : public ::testing::TestWithParam<Case> {};

TEST_P(Torture, AnswersAreRightAndComplete) {
    const rhumb_test::ScratchDirectory directory;
    torture::Extent extent;
    extent.M = static_cast<uint32_t>(number_of("RHUMB_TORTURE_M", extent.M));
    const std::string wrong = torture::run(GetParam(), directory.path(), vector_count(), extent, seed);
    EXPECT_TRUE(wrong.empty()) << wrong;
}

std::string case_name(const ::testing::TestParamInfo<Case> &info) {
    return torture::name_of(info.param) + "__" + std::to_string(info.index);
}

INSTANTIATE_TEST_SUITE_P(Cases, Torture, ::testing::ValuesIn(chosen_cases()), case_name);

} // namespace
