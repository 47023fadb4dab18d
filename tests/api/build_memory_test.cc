// Goal: what a writing handle has in private memory stays bounded while an index grows, in every mode of durability;
// and rows that are written before the version that has them are as good as any, whatever happens to that version.
// Method: the anonymous memory of the process while an index larger than the bound is built; with a small limit of
// memory, which makes writing ahead frequent, all kinds of operations, concurrently, with kills and compactions.
#include <gtest/gtest.h>

#include <thread>

extern "C" {
#include "base/memory_limit.h"
}

#include "tests/support/index_test_support.h"
#include "tests/support/memory_use.h"
#include "tests/support/sanitized.h"

namespace index_test {
namespace {

using rhumb_test::anonymous_bytes;
using rhumb_test::kSanitized;

class BuildMemory : public ::testing::Test {
  protected:
    ~BuildMemory() override { rhumb__memory_limit_override(0); }

    // The most anonymous memory that building takes, above what there was before.
    uint64_t most_bytes(const rhumb_open_options &open_options, size_t batch_count) {
        const uint32_t dim = 512;
        rhumb_index_options options = index_options(dim);
        options.M = 4;
        options.ef_construction = 4;
        options.open = &open_options;
        const std::string path = directory_.file("m" + std::to_string(open_options.durability));
        const Index index = create(path, options);
        const Vectors some = random_vectors(1000, dim, 7);
        Vectors batch = some;
        const uint64_t before = anonymous_bytes();
        uint64_t most = 0;
        for (size_t i = 0; i < batch_count; i++) {
            for (size_t row = 0; row < batch.count(); row++) batch.row(row)[0] = some.row(row)[0] + 0.01f * (float)i;
            insert_all(index, batch, i * batch.count(), 2);
            most = std::max(most, anonymous_bytes());
        }
        EXPECT_OK(rhumb_index_wait_idle(index.get()));
        return most > before ? most - before : 0;
    }

    ScratchDirectory directory_;
    std::string path_ = directory_.file("index.rhumb");
};

// 2 KB each: 80 MB without a bound. Rows may wait in 16 MiB, however busy the disk and the processors are.
TEST_F(BuildMemory, DoesNotGrowWithTheVectors) {
    if (kSanitized) GTEST_SKIP() << "sanitizers need memory themselves";
    rhumb__memory_limit_override(64 << 20);
    rhumb_open_options open;
    rhumb_open_options_init(&open, sizeof open);
    for (const rhumb_durability durability : {RHUMB_DURABILITY_NONE, RHUMB_DURABILITY_INTERVAL}) {
        open.durability = durability;
        EXPECT_LT(most_bytes(open, 40), 36u << 20);
    }
}

// 4 MiB a second are written, and several times that would be inserted.
TEST_F(BuildMemory, InsertsWaitForADiskThatIsSlowerThanThey) {
    if (kSanitized) GTEST_SKIP() << "sanitizers need memory themselves";
    rhumb__memory_limit_override(32 << 20);
    rhumb_open_options open;
    rhumb_open_options_init(&open, sizeof open);
    open.durability = RHUMB_DURABILITY_NONE;
    open.checkpoint_bytes_per_second = 4 << 20;
    EXPECT_LT(most_bytes(open, 12), 14u << 20) << "of 24 MB, of which 8 MiB may wait";
}

TEST_F(BuildMemory, AsksForCheckpointsWhereLittleMemoryIsAllowed) {
    rhumb_open_options open;
    rhumb_open_options_init(&open, sizeof open);
    open.durability = RHUMB_DURABILITY_INTERVAL;
    rhumb_index_options options = index_options(16);
    options.ef_construction = 16; // most of the time would go into finding neighbours
    options.open = &open;
    const auto checkpoint_count = [&](const char *name) {
        const Index index = create(directory_.file(name), options);
        insert_all(index, random_vectors(5000, 16, 3));
        EXPECT_OK(rhumb_index_wait_idle(index.get()));
        return stats(index).checkpoint_count;
    };
    EXPECT_EQ(checkpoint_count("much"), 1u) << "that of the creation";
    rhumb__memory_limit_override(2 << 20);
    EXPECT_GT(checkpoint_count("little"), 1u) << "long before the log has 64 MiB";
    open.checkpoint_log_bytes = UINT64_MAX;
    EXPECT_EQ(checkpoint_count("never"), 1u);
    open.checkpoint_log_bytes = 0;
    open.durability = RHUMB_DURABILITY_NONE;
    EXPECT_GT(checkpoint_count("none"), 1u) << "there is no log, and memory is as little";
}

// 512 bytes each: 512 KiB are written ahead for every thousand inserts.
TEST_F(BuildMemory, RowsWrittenAheadAreInTheVersionsThatFollow) {
    rhumb__memory_limit_override(8 << 20);
    const uint32_t dim = 128;
    const Vectors vectors = random_vectors(kSanitized ? 1200 : 6000, dim, 4);
    const size_t part_count = vectors.count() / 2;
    Vectors part = {dim, {}};
    for (const rhumb_durability durability : {RHUMB_DURABILITY_NONE, RHUMB_DURABILITY_INTERVAL}) {
        const std::string path = directory_.file("ahead_" + std::to_string(durability));
        rhumb_index_options options = index_options(dim);
        options.ef_construction = 40;
        Index index = create_with_durability(path, options, durability);
        for (size_t begin = 0; begin < vectors.count(); begin += part_count) {
            part.components.assign(vectors.row(begin), vectors.row(begin) + part_count * dim);
            std::thread checkpoints([&] { EXPECT_OK(rhumb_index_checkpoint(index.get())); });
            insert_all(index, part, begin, 2);
            checkpoints.join();
            for (uint64_t key = begin; key < begin + 300; key += 3) ASSERT_OK(rhumb_index_delete(index.get(), key));
            for (uint64_t key = begin + 1; key < begin + 300; key += 3) {
                ASSERT_OK(rhumb_index_upsert(index.get(), key, vectors.row(key)));
            }
        }
        expect_sound(index);
        index.reset();
        index = open(path, false);
        expect_sound(index);
        std::vector<float> stored(dim);
        for (uint64_t key = 1; key < vectors.count(); key += 3) {
            ASSERT_OK(rhumb_index_get_vector(index.get(), key, stored.data()));
            ASSERT_EQ(memcmp(stored.data(), vectors.row(key), dim * sizeof(float)), 0) << key;
        }
        ASSERT_OK(rhumb_index_compact(index.get(), nullptr, nullptr, 0));
        part.components.assign(vectors.row(0), vectors.row(0) + part_count * dim);
        insert_all(index, part, 20000, 2);
        expect_sound(index);
    }
}

// What had been written ahead is free space again after a crash, and the log has the vectors.
TEST_F(BuildMemory, RowsWrittenAheadAreForgottenByACrash) {
    rhumb__memory_limit_override(8 << 20);
    const uint32_t dim = 256;
    const uint64_t count = 1000;
    {
        rhumb_index_options options = index_options(dim);
        options.ef_construction = 20;
        const Index index = create(path_, options);
    }
    for (uint64_t life = 0; life < 3; life++) {
        leave_in_log(path_, random_vectors(count, dim, life), life * count);
        const Index index = open_after_kill(path_);
        EXPECT_EQ(rhumb_index_count(index.get()), (life + 1) * count);
        if (life % 2 == 1) {
            EXPECT_OK(rhumb_index_checkpoint(index.get()));
        }
        EXPECT_OK(rhumb_index_wait_idle(index.get()));
        expect_sound(index);
    }
    const Index reader = open(path_, true);
    expect_sound(reader);
    // Vectors, lists and the rest take about 1,250 bytes; not much of what a crash left behind stays.
    EXPECT_LT(stats(reader).file_bytes, 3 * 3 * count * 1250);
}

} // namespace
} // namespace index_test
