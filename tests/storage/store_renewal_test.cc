// Goal: rows of an append-only section that are written again are in the next version and in no other, at the cost of
// the granules around them. Method: a model in memory, versions that readers keep, and the bytes that are written.
#include "tests/support/io_fault.h"
#include "tests/support/store_test_support.h"

namespace store_test {
namespace {

using io_test::kMiB;

constexpr uint64_t kStride = 3136; // rows cross blocks
constexpr uint32_t kAppend = 0;

class Renewal : public ::testing::Test {
  protected:
    const std::vector<store_harness_spec> specs_ = {{2, false, 1, false, kStride, 1 << 22}};
    const rhumb__io_backend *backend_ = &rhumb_test::io_fault_backend; // no fault is armed: plain without waiting
    io_test::ScratchDirectory directory_;
    std::string path_ = directory_.file("data");
};

TEST_F(Renewal, IsInTheNextVersionAndReadersKeepTheirs) {
    Model model(io_test::choose_seed(), specs_);
    Handle writer = create(backend_, path_, specs_);
    std::vector<Handle> readers;
    std::vector<Rows> versions;
    for (int i = 0; i < 30; i++) {
        if (i < 3 || i % 4 == 0) {
            ASSERT_NO_FATAL_FAILURE(model.append(writer, kAppend, model.random()() % 300));
        }
        model.renew(writer, kAppend, 1 + model.random()() % 12);
        if (i > 0) {
            ASSERT_TRUE(holds(open(backend_, path_, false, specs_), versions.back(), specs_)) << "before " << i;
        }
        ASSERT_EQ(model.publish(writer), RHUMB_OK);
        readers.push_back(open(backend_, path_, false, specs_));
        versions.push_back(model.rows());
        if (readers.size() > 6) {
            readers.erase(readers.begin());
            versions.erase(versions.begin());
        }
        for (size_t n = 0; n < readers.size(); n++) ASSERT_TRUE(holds(readers[n], versions[n], specs_)) << i;
        ASSERT_TRUE(is_whole(readers.back()));
        if (i % 7 != 6) continue;
        writer.close();
        writer = open(backend_, path_, true, specs_);
        ASSERT_TRUE(holds(writer, model.rows(), specs_));
    }
}

TEST_F(Renewal, IsGoneAfterClosingWithoutAPublication) {
    Model model(1, specs_);
    Handle writer = create(backend_, path_, specs_);
    ASSERT_NO_FATAL_FAILURE(model.append(writer, kAppend, 500));
    ASSERT_EQ(model.publish(writer), RHUMB_OK);
    const Rows published = model.rows();
    model.renew(writer, kAppend, 100);
    EXPECT_TRUE(holds(open(backend_, path_, false, specs_), published, specs_));
    writer.close();
    EXPECT_TRUE(holds(open(backend_, path_, true, specs_), published, specs_));
}

// The block that the last version has filled in part is written as a whole ahead of the next one, and mapped then:
// but not over rows that have been renewed in memory alone.
TEST_F(Renewal, StaysInMemoryWhenRowsAfterItAreWrittenAhead) {
    Model model(io_test::choose_seed(), specs_);
    Handle writer = create(backend_, path_, specs_);
    for (int i = 0; i < 20; i++) {
        ASSERT_NO_FATAL_FAILURE(model.append(writer, kAppend, 30 + model.random()() % 60));
        ASSERT_EQ(model.publish(writer), RHUMB_OK);
        model.renew(writer, kAppend, 300);
        ASSERT_NO_FATAL_FAILURE(model.append(writer, kAppend, 30 + model.random()() % 60));
        ASSERT_EQ(model.write_ahead(writer), RHUMB_OK);
        ASSERT_TRUE(holds(writer, model.rows(), specs_)) << i;
        if (i % 2 == 0) model.renew(writer, kAppend, 3);
        ASSERT_EQ(model.publish(writer), RHUMB_OK);
        ASSERT_TRUE(holds(writer, model.rows(), specs_)) << i;
        Handle reader = open(backend_, path_, false, specs_);
        ASSERT_TRUE(holds(reader, model.rows(), specs_)) << i;
        ASSERT_TRUE(is_whole(reader));
    }
}

// A renewed row costs its granule, and the blocks that it leaves are used again.
TEST_F(Renewal, WritesTheGranulesAroundItAndReusesTheirBlocks) {
    Model model(2, specs_);
    Handle writer = create(backend_, path_, specs_);
    ASSERT_NO_FATAL_FAILURE(model.append(writer, kAppend, 4 * kMiB / kStride));
    ASSERT_EQ(model.publish(writer), RHUMB_OK);
    uint64_t end = 0;
    for (int i = 0; i < 40; i++) {
        model.renew(writer, kAppend, 1);
        uint64_t written_bytes = 0;
        ASSERT_EQ(model.publish(writer, &written_bytes), RHUMB_OK);
        EXPECT_LE(written_bytes, 4 * RHUMB__BLOCK_BYTES) << "a row lies in two blocks at most";
        ASSERT_TRUE(holds(writer, model.rows(), specs_));
        if (i == 10) end = store_harness_file_end(writer);
    }
    EXPECT_LE(store_harness_file_end(writer), end + 2 * RHUMB__BLOCK_BYTES);
    uint64_t written_bytes = 0;
    ASSERT_EQ(model.publish(writer, &written_bytes), RHUMB_OK);
    EXPECT_LE(written_bytes, RHUMB__BLOCK_BYTES) << "nothing is renewed twice";
    EXPECT_TRUE(is_whole(writer));
}

// A large section is renewed by large pages, and stays aligned to them.
TEST_F(Renewal, MovesWholeLargePagesOfALargeSection) {
    Model model(3, specs_);
    Handle writer = create(backend_, path_, specs_);
    ASSERT_NO_FATAL_FAILURE(model.append(writer, kAppend, 70 * kMiB / kStride));
    ASSERT_EQ(model.publish(writer), RHUMB_OK);
    model.renew(writer, kAppend, 3);
    uint64_t written_bytes = 0;
    ASSERT_EQ(model.publish(writer, &written_bytes), RHUMB_OK);
    EXPECT_GE(written_bytes, 2 * kMiB);
    EXPECT_LE(written_bytes, 13 * kMiB);
    EXPECT_TRUE(holds(writer, model.rows(), specs_));
    Handle reader = open(backend_, path_, false, specs_);
    EXPECT_TRUE(holds(reader, model.rows(), specs_));
    EXPECT_TRUE(is_whole(reader));
    EXPECT_LE(store_harness_extent_count(reader, kAppend), 8u);
}

} // namespace
} // namespace store_test
