// Goal: the debug asserts of storage/ notice broken invariants before they damage a file. Method: each invariant is
// broken on purpose in a child that has to die with the assert's message. Builds without debug asserts skip the tests.
#include "tests/support/store_test_support.h"

extern "C" {
#include "storage/frame/extent_list.h"
#include "storage/space.h"
}

namespace store_test {
namespace {

constexpr uint64_t kBlock = RHUMB__BLOCK_BYTES;

class Invariant : public ::testing::Test {
  protected:
    void SetUp() override {
#ifdef NDEBUG
        GTEST_SKIP() << "debug asserts are off in this build";
#endif
    }
    Handle create_store() { return create(&rhumb__io_plain, directory_.file("data")); }

    io_test::ScratchDirectory directory_;
};

using InvariantDeathTest = Invariant;

TEST_F(InvariantDeathTest, AFreeRangeIsNotReleasedTwice) {
    rhumb__file_space space = {};
    uint64_t first = 0;
    uint64_t second = 0;
    ASSERT_EQ(rhumb__file_space_take(&space, 2 * kBlock, 1, 0, &first), RHUMB_OK);
    ASSERT_EQ(rhumb__file_space_take(&space, kBlock, 1, 0, &second), RHUMB_OK);
    rhumb__file_space_give(&space, first, 2 * kBlock);
    EXPECT_DEATH(rhumb__file_space_give(&space, first + kBlock, kBlock), "file_space_is_used");
    rhumb__file_space_clear(&space);
}

TEST_F(InvariantDeathTest, FileSpaceConsistsOfBlocks) {
    rhumb__file_space space = {};
    uint64_t offset = 0;
    EXPECT_DEATH((void)!rhumb__file_space_take(&space, kBlock / 2, 1, 0, &offset), "rhumb__is_multiple");
}

TEST_F(InvariantDeathTest, ARangeLiesWithinItsExtents) {
    rhumb__extent_list list = {};
    uint8_t byte = 0;
    ASSERT_EQ(rhumb__extent_list_append(&list, 5 * kBlock, kBlock), RHUMB_OK);
    EXPECT_DEATH((void)rhumb__extent_list_is_contiguous(&list, kBlock - 1, 2), "list->bytes");
    EXPECT_DEATH((void)!rhumb__extent_list_read(&list, nullptr, kBlock - 1, 2, &byte), "list->bytes");
    rhumb__extent_list_clear(&list);
}

TEST_F(InvariantDeathTest, ARowLiesBelowTheCapacity) {
    const Handle store = create_store();
    EXPECT_DEATH((void)store_harness_row(store, 0, UINT64_C(1) << 21), "row_capacity");
}

TEST_F(InvariantDeathTest, AVersionNeverHasFewerRowsThanTheOneBefore) {
    const Handle store = create_store();
    Model model(1);
    ASSERT_NO_FATAL_FAILURE(model.append(store, 0, 100));
    ASSERT_EQ(model.publish(store), RHUMB_OK);
    std::vector<uint64_t> counts = model.row_counts();
    counts[0]--;
    EXPECT_DEATH((void)!store_harness_publish(store, counts.data(), nullptr, nullptr, nullptr, nullptr),
                 "published_row_count");
}

} // namespace
} // namespace store_test
