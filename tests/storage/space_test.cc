// Goal: the list of free blocks is right after any sequence of operations. Method: a bitmap of blocks is the model;
// random operations are applied to both, and every result and the whole list are compared after each.
#include "tests/support/io_test_support.h"

extern "C" {
#include "base/alloc.h"
#include "storage/frame/format.h"
#include "storage/space.h"
}

namespace {

constexpr uint64_t kBlock = RHUMB__BLOCK_BYTES;

class Space {
  public:
    ~Space() { rhumb__file_space_clear(&value); }
    rhumb__file_space value = {};
};

// The blocks in use; everything else is free.
class Model {
  public:
    explicit Model(size_t block_count) : used_(block_count, false) {}

    uint64_t end() const {
        size_t end = used_.size();
        while (end > 0 && !used_[end - 1]) end--;
        return end;
    }
    bool is_free(uint64_t block, uint64_t count) const {
        for (uint64_t i = 0; i < count; i++) {
            if (used_[block + i]) return false;
        }
        return true;
    }
    // The lowest block that is `residue` modulo `alignment` and has `count` free ones, below `end` or from there on.
    uint64_t lowest_fit(uint64_t count, uint64_t end, uint64_t alignment, uint64_t residue) const {
        for (uint64_t block = residue;; block += alignment) {
            if (block >= end || (block + count <= end && is_free(block, count))) return block;
        }
    }
    void set(uint64_t block, uint64_t count, bool used) {
        for (uint64_t i = 0; i < count; i++) used_[block + i] = used;
    }
    std::vector<bool> used_;
};

// The runs must be exactly the free stretches below the end, ascending and never touching.
void expect_same(const rhumb__file_space &space, const Model &model, uint64_t end) {
    ASSERT_EQ(space.end, end * kBlock);
    uint64_t block = 0;
    uint64_t free_bytes = 0;
    uint32_t run = 0;
    while (block < end) {
        if (model.used_[block]) {
            block++;
            continue;
        }
        uint64_t stop = block;
        while (stop < end && !model.used_[stop]) stop++;
        ASSERT_LT(run, space.count);
        ASSERT_EQ(space.runs[run].offset, block * kBlock);
        ASSERT_EQ(space.runs[run].bytes, (stop - block) * kBlock);
        free_bytes += (stop - block) * kBlock;
        block = stop;
        run++;
    }
    ASSERT_EQ(run, space.count);
    ASSERT_EQ(rhumb__file_space_free_bytes(&space), free_bytes);
}

TEST(FileSpace, AgreesWithABitmapUnderRandomOperations) {
    std::mt19937_64 random(io_test::choose_seed());
    for (int round = 0; round < 8; round++) {
        Space space;
        Model model(4000);
        std::vector<std::pair<uint64_t, uint64_t>> taken; // blocks: first, count
        for (int step = 0; step < 2000; step++) {
            const uint64_t count = 1 + random() % (random() % 8 == 0 ? 40 : 4);
            const uint64_t choice = random() % 10;
            if (choice < 4 && model.end() + count < 3900) {
                uint64_t offset = 0;
                const uint64_t alignment = UINT64_C(1) << random() % 4;
                const uint64_t residue = random() % alignment;
                const uint64_t expected = model.lowest_fit(count, space.value.end / kBlock, alignment, residue);
                ASSERT_EQ(
                    rhumb__file_space_take(&space.value, count * kBlock, alignment * kBlock, residue * kBlock, &offset),
                    RHUMB_OK);
                ASSERT_EQ(offset, expected * kBlock);
                model.set(expected, count, true);
                taken.emplace_back(expected, count);
            } else if (choice < 5 && model.end() + count < 3900) {
                // Only at the beginning of a free run, or at the end, which is where a section wants to grow.
                const uint64_t block = random() % (model.end() + 2);
                const uint64_t end = space.value.end / kBlock;
                const bool at_end = block == end;
                const bool begins_run =
                    block < end && model.is_free(block, 1) && (block == 0 || model.used_[block - 1]);
                const bool fits = at_end || (begins_run && block + count <= end && model.is_free(block, count));
                ASSERT_EQ(rhumb__file_space_take_at(&space.value, block * kBlock, count * kBlock), fits);
                if (fits) {
                    model.set(block, count, true);
                    taken.emplace_back(block, count);
                }
            } else if (!taken.empty()) {
                // All of what was taken, or a part of it.
                const size_t i = random() % taken.size();
                auto [block, have] = taken[i];
                const uint64_t give = random() % 2 == 0 ? have : 1 + random() % have;
                rhumb__file_space_give(&space.value, block * kBlock, give * kBlock);
                model.set(block, give, false);
                if (give == have) {
                    taken[i] = taken.back();
                    taken.pop_back();
                } else {
                    taken[i] = {block + give, have - give};
                }
            }
            ASSERT_NO_FATAL_FAILURE(expect_same(space.value, model, model.end())) << "round " << round;
        }
    }
}

TEST(FileSpace, ClaimsByAscendingOffsetLeaveTheGapsFree) {
    std::mt19937_64 random(io_test::choose_seed());
    for (int round = 0; round < 200; round++) {
        Space space;
        Model model(600);
        uint64_t block = 0;
        uint64_t end = 0;
        while (block < 500) {
            const uint64_t count = 1 + random() % 5;
            ASSERT_EQ(rhumb__file_space_claim(&space.value, block * kBlock, count * kBlock), RHUMB_OK);
            model.set(block, count, true);
            end = std::max(end, block + count);
            block += random() % 9; /* may overlap, and may be the same again */
        }
        ASSERT_NO_FATAL_FAILURE(expect_same(space.value, model, end));
        ASSERT_EQ(rhumb__file_space_claim(&space.value, (end + 3) * kBlock, 0), RHUMB_OK);
        ASSERT_NO_FATAL_FAILURE(expect_same(space.value, model, end + 3));
    }
}

TEST(FileSpace, ReleasingAnEmptyRangeChangesNothing) {
    Space space;
    uint64_t offset = 1;
    ASSERT_EQ(rhumb__file_space_take(&space.value, 4 * kBlock, 1, 0, &offset), RHUMB_OK);
    EXPECT_EQ(offset, 0u);
    rhumb__file_space_give(&space.value, kBlock, 0);
    EXPECT_EQ(space.value.count, 0u);
    EXPECT_EQ(space.value.end, 4 * kBlock);
}

TEST(FileSpace, RefusesToGrowBeyondTheLargestFile) {
    Space space;
    uint64_t offset = 7;
    space.value.end = (UINT64_C(1) << 61) - kBlock;
    EXPECT_EQ(rhumb__file_space_take(&space.value, 2 * kBlock, 1, 0, &offset), RHUMB_E_FULL);
    EXPECT_EQ(rhumb__file_space_take(&space.value, UINT64_MAX - kBlock + 1, 1, 0, &offset), RHUMB_E_FULL);
    EXPECT_FALSE(rhumb__file_space_take_at(&space.value, space.value.end, 2 * kBlock));
    EXPECT_EQ(offset, 7u);
}

// For want of memory a gap is lost or the claim fails; the list stays sound.
TEST(FileSpace, WithoutMemoryBlocksAreLostButNeverTakenTwice) {
    Space space;
    uint64_t offset = 0;
    ASSERT_EQ(rhumb__file_space_take(&space.value, 10 * kBlock, 1, 0, &offset), RHUMB_OK);
    rhumb__alloc_fail_after(1, true);
    rhumb__file_space_give(&space.value, 2 * kBlock, kBlock);
    EXPECT_EQ(space.value.count, 0u);
    EXPECT_EQ(rhumb__file_space_claim(&space.value, 20 * kBlock, kBlock), RHUMB_E_NOMEM);
    rhumb__alloc_fail_after(0, false);
    EXPECT_EQ(space.value.end, 10 * kBlock);
    ASSERT_EQ(rhumb__file_space_take(&space.value, kBlock, 1, 0, &offset), RHUMB_OK);
    EXPECT_EQ(offset, 10 * kBlock);
}

} // namespace
