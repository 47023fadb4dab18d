// Goal: a failed assert ends the process with one line that says what and where; one that holds costs nothing and says
// nothing. Method: death tests. Debug asserts are on in every build of this file.
#undef NDEBUG
#include "base/assert.h"

#include <gtest/gtest.h>

#include <string>

// A macro, as atomic_load is in C.
#define SLOT_LIMIT_OF(graph) (*(graph) + 0)

namespace {

TEST(AssertDeathTest, NamesExpressionFileAndLineAndAborts) {
    EXPECT_EXIT(rhumb__assert_failed("slot < count", "engine/graph/graph.c", 1234), ::testing::KilledBySignal(SIGABRT),
                "^engine/graph/graph.c:1234: assertion failed: slot < count\n$");
}

TEST(AssertDeathTest, CutsAnExpressionThatIsTooLong) {
    std::string expression(5000, 'x');
    EXPECT_EXIT(rhumb__assert_failed(expression.c_str(), "file.c", 1), ::testing::KilledBySignal(SIGABRT),
                "file.c:1: assertion failed: xxxx");
}

TEST(AssertDeathTest, MessagesHaveTheExpressionAsItIsWritten) {
    const int limit = 3;
    RHUMB_ASSERT(2 < SLOT_LIMIT_OF(&limit));
    RHUMB_ASSERT_DEBUG(2 < SLOT_LIMIT_OF(&limit));
    EXPECT_DEATH(RHUMB_ASSERT(4 < SLOT_LIMIT_OF(&limit)), "assertion failed: 4 < SLOT_LIMIT_OF\\(&limit\\)\n$");
    EXPECT_DEATH(RHUMB_ASSERT_DEBUG(5 < SLOT_LIMIT_OF(&limit)), "assertion failed: 5 < SLOT_LIMIT_OF\\(&limit\\)\n$");
}

} // namespace
