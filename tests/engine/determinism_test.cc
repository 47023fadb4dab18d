// Goal: the same vectors under the same keys, seed and order make the same file, byte by byte, except for what
// distinguishes files: the UUID, the time of creation, and the checksum of the superblock that holds both. Method:
// build twice, mask exactly these fields, compare everything.
#include "tests/support/index_test_support.h"

extern "C" {
#include "storage/frame/format.h"
}

namespace {

using namespace index_test;

// What a build does besides inserting.
struct Variant {
    const char *name;
    rhumb_metric metric = RHUMB_METRIC_L2;
    bool batch = false;                 // one call for all, or one for each vector
    bool partial = false;               // that call is not all or nothing
    size_t checkpoint_every = SIZE_MAX; // vectors
    size_t reopen_every = SIZE_MAX;
    uint64_t seed = 397;
    bool extend_candidates = false;
    bool keep_pruned = false;
};

constexpr size_t kCount = 3000;

std::vector<uint8_t> build(const Variant &variant) {
    ScratchDirectory directory;
    const std::string path = directory.file("built.rhumb");
    const Vectors vectors = random_vectors(kCount, 20, 60);
    rhumb_index_options options = index_options(20, variant.metric);
    options.M = 8;
    options.ef_construction = 60;
    options.seed = variant.seed;
    options.extend_candidates = variant.extend_candidates;
    options.keep_pruned = variant.keep_pruned;
    {
        Index index = create_with_durability(path, options, RHUMB_DURABILITY_NONE);
        if (variant.batch) {
            rhumb_batch_options batch;
            rhumb_batch_options_init(&batch, sizeof batch);
            batch.thread_count = 1;
            batch.partial = variant.partial;
            EXPECT_OK(
                rhumb_index_insert_batch(index.get(), nullptr, vectors.components.data(), kCount, &batch, nullptr));
        } else {
            for (size_t i = 0; i < kCount; i++) {
                EXPECT_OK(rhumb_index_insert(index.get(), i, vectors.row(i)));
                if ((i + 1) % variant.checkpoint_every == 0) {
                    EXPECT_OK(rhumb_index_checkpoint(index.get()));
                }
                if ((i + 1) % variant.reopen_every == 0) {
                    index.reset();
                    index = open_with_durability(path, RHUMB_DURABILITY_NONE);
                }
            }
        }
    }
    return file_bytes(path);
}

// Overwrites the fields that differ by design, in all copies of the superblock.
void mask(std::vector<uint8_t> &bytes) {
    ASSERT_GE(bytes.size(), RHUMB__CONTENT_OFFSET);
    for (uint32_t slot = 0; slot < RHUMB__SUPERBLOCK_COUNT; slot++) {
        for (uint32_t copy = 0; copy < RHUMB__SUPERBLOCK_COPY_COUNT; copy++) {
            uint8_t *superblock = &bytes[slot * RHUMB__SUPERBLOCK_STRIDE + copy * RHUMB__SUPERBLOCK_COPY_STRIDE];
            memset(superblock + offsetof(rhumb__superblock, crc), 0, sizeof(uint32_t));
            memset(superblock + offsetof(rhumb__superblock, uuid), 0, 16);
            memset(superblock + offsetof(rhumb__superblock, created_unix_ns), 0, sizeof(uint64_t));
            memset(superblock + offsetof(rhumb__superblock, history), 0, sizeof(uint64_t));
        }
    }
}

void expect_equal_files(std::vector<uint8_t> first, std::vector<uint8_t> second) {
    EXPECT_NE(first, second) << "UUIDs differ";
    mask(first);
    mask(second);
    ASSERT_EQ(first.size(), second.size());
    const auto difference = std::mismatch(first.begin(), first.end(), second.begin());
    EXPECT_EQ(difference.first - first.begin(), static_cast<ptrdiff_t>(first.size())) << "the first byte that differs";
}

class Determinism : public ::testing::TestWithParam<Variant> {};

TEST_P(Determinism, TwoBuildsMakeTheSameFile) { expect_equal_files(build(GetParam()), build(GetParam())); }

std::vector<Variant> variants() {
    std::vector<Variant> all(6);
    all[0].name = "Plain";
    all[1].name = "Batch";
    all[1].batch = true;
    all[1].metric = RHUMB_METRIC_COSINE;
    all[2].name = "Checkpoints";
    all[2].checkpoint_every = 137;
    all[2].metric = RHUMB_METRIC_IP;
    all[3].name = "Reopened";
    all[3].reopen_every = 500;
    all[4].name = "CheckpointsAndReopened";
    all[4].checkpoint_every = 250;
    all[4].reopen_every = 700;
    all[5].name = "ExtendAndKeep";
    all[5].extend_candidates = true;
    all[5].keep_pruned = true;
    return all;
}

INSTANTIATE_TEST_SUITE_P(Variants, Determinism, ::testing::ValuesIn(variants()),
                         [](const ::testing::TestParamInfo<Variant> &info) { return info.param.name; });

// A batch that is all or nothing has two numbers in the log more, for its begin and its end, and the file tells the
// number of its last operation.
TEST(DeterminismAcross, APartialBatchOnOneThreadMakesTheFileOfSingleInserts) {
    Variant singles;
    Variant batch;
    batch.batch = true;
    batch.partial = true;
    expect_equal_files(build(singles), build(batch));
}

TEST(DeterminismAcross, AllOrNothingMakesNoDifferenceButTheNumberOfTheLastOperation) {
    Variant whole;
    whole.batch = true;
    Variant partial = whole;
    partial.partial = true;
    std::vector<uint8_t> first = build(whole), second = build(partial);
    ASSERT_EQ(first.size(), second.size());
    EXPECT_TRUE(std::equal(first.begin() + RHUMB__CONTENT_OFFSET, first.end(), second.begin() + RHUMB__CONTENT_OFFSET,
                           second.end()));
}

TEST(DeterminismAcross, AnotherSeedMakesAnotherGraph) {
    Variant other;
    other.seed = 398;
    std::vector<uint8_t> first = build(Variant()), second = build(other);
    mask(first);
    mask(second);
    // The superblock has the seed; the graph is behind it.
    EXPECT_FALSE(std::equal(first.begin() + RHUMB__CONTENT_OFFSET, first.end(), second.begin() + RHUMB__CONTENT_OFFSET,
                            second.end()));
}

} // namespace
