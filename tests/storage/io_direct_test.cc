// Goal: ranges that are read past the page cache have the bytes of the file, however they lie in it, and what cannot be
// read is said to be so. Method: random ranges of a random file (RHUMB_SEED), and files that are cut.
#include "tests/support/io_test_support.h"
#include "tests/support/seed.h"

#include <unistd.h>

extern "C" {
#include "storage/io/io_direct.h"
}

namespace io_test {
namespace {

constexpr size_t kFileBytes = size_t{1} << 20;

class IoDirect : public ::testing::Test {
  protected:
    void SetUp() override {
        if (!rhumb__io_uring_available()) GTEST_SKIP() << "no ring can be made here";
        ASSERT_EQ(rhumb__io_write(io_, source_.data(), source_.size(), 0), RHUMB_OK);
        ASSERT_EQ(rhumb__io_sync(io_), RHUMB_OK);
        descriptor_ = rhumb__io_direct_descriptor(io_);
        if (descriptor_ < 0) GTEST_SKIP() << "the file system has no direct reads, or RHUMB_IO is plain";
    }
    void TearDown() override {
        if (descriptor_ >= 0) close(descriptor_);
    }
    void expect_ranges(rhumb__io_direct *direct, const std::vector<uint64_t> &offsets, uint32_t range_bytes) const {
        std::vector<const void *> where(offsets.size());
        ASSERT_TRUE(rhumb__io_direct_read(direct, offsets.data(), static_cast<uint32_t>(offsets.size()), where.data()));
        for (size_t i = 0; i < offsets.size(); i++)
            EXPECT_EQ(memcmp(where[i], source_.data() + offsets[i], range_bytes), 0) << "offset " << offsets[i];
    }

    rhumb_test::ScratchDirectory directory_;
    Handle io_{&rhumb__io_uring, directory_.file("ranges"), RHUMB__IO_CREATE};
    const std::vector<uint8_t> source_ = random_bytes(kFileBytes, 1);
    int descriptor_ = -1;
};

TEST_F(IoDirect, RangesAnywhereHaveTheBytesOfTheFile) {
    std::mt19937_64 random(rhumb_test::choose_seed());
    for (uint32_t range_bytes : {1u, 384u, 3072u, 4096u, 10000u}) {
        rhumb__io_direct *direct = rhumb__io_direct_open(descriptor_, range_bytes);
        ASSERT_NE(direct, nullptr);
        for (int round = 0; round < 50; round++) {
            std::vector<uint64_t> offsets(1 + random() % RHUMB__IO_DIRECT_COUNT_MAX);
            for (uint64_t &offset : offsets) offset = random() % (kFileBytes - range_bytes + 1);
            expect_ranges(direct, offsets, range_bytes);
        }
        rhumb__io_direct_close(direct);
    }
}

TEST_F(IoDirect, RangesOfOnePageAreReadOnce) {
    rhumb__io_direct *direct = rhumb__io_direct_open(descriptor_, 64);
    ASSERT_NE(direct, nullptr);
    const uint64_t offsets[] = {4096, 4160, 8000, 4096};
    const void *where[4];
    ASSERT_TRUE(rhumb__io_direct_read(direct, offsets, 4, where));
    EXPECT_EQ(where[0], where[3]);
    EXPECT_EQ(static_cast<const uint8_t *>(where[1]) - static_cast<const uint8_t *>(where[0]), 64);
    EXPECT_EQ(static_cast<const uint8_t *>(where[2]) - static_cast<const uint8_t *>(where[0]), 8000 - 4096);
    expect_ranges(direct, {4096, 4160, 8000, 4096}, 64);
    rhumb__io_direct_close(direct);
}

TEST_F(IoDirect, ARangeThatTheFileDoesNotHaveIsSaidToBeMissing) {
    rhumb__io_direct *direct = rhumb__io_direct_open(descriptor_, 512);
    ASSERT_NE(direct, nullptr);
    expect_ranges(direct, {0, kFileBytes - 512}, 512);
    ASSERT_EQ(rhumb__io_resize(io_, kFileBytes / 2), RHUMB_OK);
    const uint64_t offsets[] = {0, kFileBytes - 512};
    const void *where[2];
    EXPECT_FALSE(rhumb__io_direct_read(direct, offsets, 2, where));
    EXPECT_FALSE(rhumb__io_direct_read(direct, offsets, 1, where)) << "it is not used any more";
    rhumb__io_direct_close(direct);
}

TEST(IoDirectFallback, ThereIsNoDescriptorWhereNoRingIsToBeUsed) {
    rhumb_test::ScratchDirectory directory;
    Handle io(&rhumb__io_plain, directory.file("plain"), RHUMB__IO_CREATE);
    rhumb__io_backend_set_default(&rhumb__io_plain);
    EXPECT_EQ(rhumb__io_direct_descriptor(io), -1);
    rhumb__io_backend_set_default(nullptr);
}

} // namespace
} // namespace io_test
