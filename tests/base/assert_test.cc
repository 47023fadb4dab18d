// Goal: a failed assert ends the process with one line that says what and where; one that holds costs nothing and says
// nothing. Method: death tests. assert.h is C11 (_Noreturn) and hides behind a function-like macro, so the function is
// declared here.
#include <gtest/gtest.h>

extern "C" [[noreturn]] void rhumb__assert_failed(const char *expression, const char *file, int line);

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

} // namespace
