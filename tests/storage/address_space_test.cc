// Goal: ranges of addresses grow in place next to thousands of others, occupy only what they use, never replace what
// the program has mapped, and come back. Method: ranges of random sizes that grow in random order, with a pattern in
// each; a limit of the address space in a child process.
#include "tests/support/io_test_support.h"
#include "tests/support/sanitized.h"

#include "storage/address_space.h"
#include "storage/frame/format.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

namespace {

constexpr uint64_t kBlock = RHUMB__BLOCK_BYTES;
constexpr uint64_t kManyBytes = UINT64_C(1) << 42; // of a range that may become as large as any

struct Range {
    rhumb__address_range range = {};
    uint8_t *base = nullptr;
    ~Range() { rhumb__address_range_drop(&range); }
    void take(uint64_t bytes, uint64_t bytes_max) {
        ASSERT_EQ(rhumb__address_range_take(&range, bytes, bytes_max), RHUMB_OK) << rhumb__error_last()->message;
        base = range.base;
    }
    void grow(uint64_t bytes) {
        const uint64_t old_bytes = range.bytes;
        ASSERT_EQ(rhumb__address_range_grow(&range, bytes, bytes), RHUMB_OK) << rhumb__error_last()->message;
        ASSERT_EQ(range.base, base);
        ASSERT_EQ(range.bytes, bytes);
        for (uint64_t i = old_bytes; i < bytes; i += kBlock) {
            ASSERT_EQ(base[i], 0);
            base[i] = pattern(i);
        }
    }
    uint8_t pattern(uint64_t i) const {
        return static_cast<uint8_t>((reinterpret_cast<uintptr_t>(base) >> 20) + i / kBlock);
    }
};

TEST(AddressSpace, ManyRangesGrowInPlaceSideBySide) {
    const size_t count = rhumb_test::kSanitized ? 100 : 3000;
    std::mt19937_64 random(io_test::choose_seed());
    std::vector<std::unique_ptr<Range>> ranges;
    for (size_t i = 0; i < count; i++) {
        ranges.push_back(std::make_unique<Range>());
        ASSERT_NO_FATAL_FAILURE(ranges.back()->take(0, kManyBytes >> random() % 20));
    }
    for (size_t step = 0; step < count; step++) {
        Range &range = *ranges[random() % count];
        ASSERT_NO_FATAL_FAILURE(range.grow(range.range.bytes + (1 + random() % 8) * kBlock));
        if (random() % 4 == 0) {
            std::unique_ptr<Range> &slot = ranges[random() % count];
            slot = std::make_unique<Range>();
            ASSERT_NO_FATAL_FAILURE(slot->take(0, kManyBytes));
        }
    }
    for (const auto &range : ranges) {
        for (uint64_t i = 0; i < range->range.bytes; i += kBlock) ASSERT_EQ(range->base[i], range->pattern(i));
    }
}

TEST(AddressSpace, TheFirstBytesAreForTheCallerToMapOver) {
    Range range;
    ASSERT_NO_FATAL_FAILURE(range.take(3 * kBlock, kManyBytes));
    EXPECT_EQ(reinterpret_cast<uintptr_t>(range.base) % RHUMB__LARGE_PAGE_BYTES, 0u);
    ASSERT_NE(mmap(range.base, 3 * kBlock, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
              MAP_FAILED);
    range.base[0] = 1;
    ASSERT_NO_FATAL_FAILURE(range.grow(5 * kBlock));
    EXPECT_EQ(range.base[0], 1);
}

TEST(AddressSpace, WhatNeverGrowsOccupiesNoMore) {
    for (const uint64_t bytes : {kBlock, 3 * kBlock, UINT64_C(5) << 20}) {
        Range range;
        ASSERT_NO_FATAL_FAILURE(range.take(bytes, bytes));
        EXPECT_EQ(range.range.reserved_bytes, bytes);
        EXPECT_NE(mmap(range.base + bytes, kBlock, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0),
                  nullptr);
    }
}

#if !defined(__SANITIZE_THREAD__)
// A range that cannot go on says so, keeps what it has, and replaces nothing.
TEST(AddressSpace, NeverReplacesWhatTheProgramHasMapped) {
    Range range;
    ASSERT_NO_FATAL_FAILURE(range.take(0, kManyBytes));
    ASSERT_NO_FATAL_FAILURE(range.grow(kBlock));
    auto *foreign = static_cast<uint8_t *>(mmap(range.base + 4 * kBlock, kBlock, PROT_READ | PROT_WRITE,
                                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
    ASSERT_EQ(foreign, range.base + 4 * kBlock);
    foreign[0] = 77;
    // The large step does not fit, the small one does.
    ASSERT_EQ(rhumb__address_range_grow(&range.range, 3 * kBlock, 64 * kBlock), RHUMB_OK);
    EXPECT_EQ(range.range.bytes, 3 * kBlock);
    EXPECT_EQ(rhumb__address_range_grow(&range.range, 8 * kBlock, 64 * kBlock), RHUMB_E_FULL);
    EXPECT_NE(strstr(rhumb__error_last()->message, "compacting"), nullptr) << rhumb__error_last()->message;
    EXPECT_EQ(range.range.bytes, 3 * kBlock);
    EXPECT_EQ(foreign[0], 77);
    munmap(foreign, kBlock);
    ASSERT_EQ(rhumb__address_range_grow(&range.range, 8 * kBlock, 64 * kBlock), RHUMB_OK);
}
#endif

#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
// With a limit, what is occupied counts: many ranges fit, and the failure of one that does not says what to change.
TEST(AddressSpace, ALimitCountsWhatIsUsed) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        const rlimit limit = {UINT64_C(300) << 20, UINT64_C(300) << 20};
        if (setrlimit(RLIMIT_AS, &limit) != 0 || !rhumb__address_space_is_limited()) _exit(1);
        std::vector<rhumb__address_range> ranges(500);
        for (rhumb__address_range &range : ranges) {
            if (rhumb__address_range_take(&range, 0, kManyBytes) != RHUMB_OK) _exit(2);
            if (rhumb__address_range_grow(&range, kBlock, kBlock) != RHUMB_OK) _exit(3);
        }
        if (rhumb__address_range_grow(&ranges[0], 4 * kBlock, UINT64_C(1) << 30) != RHUMB_OK) _exit(4);
        if (rhumb__address_range_grow(&ranges[0], UINT64_C(1) << 30, UINT64_C(1) << 30) != RHUMB_E_NOMEM) _exit(5);
        if (strstr(rhumb__error_last()->message, "ulimit -v") == nullptr) _exit(6);
        for (rhumb__address_range &range : ranges) rhumb__address_range_drop(&range);
        _exit(0);
    }
    int result = 0;
    ASSERT_EQ(waitpid(child, &result, 0), child);
    EXPECT_EQ(result, 0) << "exit code " << WEXITSTATUS(result);
}
#endif

TEST(AddressSpace, MappingsOfTheProcessAreCounted) {
    const uint64_t before = rhumb__process_mapping_count();
    ASSERT_GT(before, 0u);
    std::vector<void *> pages;
    for (int i = 0; i < 200; i++) {
        const int protection = i % 2 == 0 ? PROT_NONE : PROT_READ; // so that neighbours do not merge
        pages.push_back(mmap(nullptr, kBlock, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    }
    EXPECT_GE(rhumb__process_mapping_count(), before + 190);
    for (void *page : pages) munmap(page, kBlock);
}

} // namespace
