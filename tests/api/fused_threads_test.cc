// Goal: fused rows are read while other threads insert, delete and compact, and while rows are made in the background.
// Method: threads search for vectors that are there from beginning to end.
#include <atomic>
#include <thread>

#include "engine/graph/sections.h"
#include "tests/support/file_image.h"
#include "tests/support/index_test_support.h"

namespace index_test {
namespace {

constexpr uint32_t kDim = 32;
constexpr size_t kCount = 1200;
constexpr size_t kNewCount = 1400; // enough for rows to be made in the background

TEST(FusedThreads, SearchWhileOthersInsertDeleteAndCompact) {
    for (rhumb_fused fused : {RHUMB_FUSED_1BIT, RHUMB_FUSED_2BIT}) {
        const ScratchDirectory directory;
        const std::string path = directory.file("index");
        rhumb_index_options options = index_options(kDim, RHUMB_METRIC_L2);
        options.ef_construction = 60;
        options.codes = RHUMB_CODES_8BIT;
        options.fused = fused;
        const Index index = create(path, options);
        const Vectors vectors = clustered_vectors(kCount, kDim, 20, 3, 4);
        const Vectors more = clustered_vectors(kNewCount, kDim, 20, 3, 5);
        insert_all(index, vectors, 0, 2); // makes rows
        std::atomic<bool> done{false};
        std::thread writer([&] {
            for (uint64_t i = 0; i < kNewCount; i++) {
                EXPECT_OK(rhumb_index_insert(index.get(), kCount + i, more.row(i)));
                if (i % 10 != 9) continue;
                EXPECT_OK(rhumb_index_delete(index.get(), kCount + i - 5));
            }
            EXPECT_OK(rhumb_index_wait_idle(index.get()));
            EXPECT_OK(rhumb_index_checkpoint(index.get()));
            EXPECT_GT(rhumb_test::FileImage::load(path).row_count(RHUMB__SECTION_FUSED), kCount);
            EXPECT_OK(rhumb_index_compact(index.get(), nullptr, nullptr, 0));
            done = true;
        });
        size_t found = 0, tried = 0;
        while (!done) {
            for (uint64_t key = tried % 7; key < kCount; key += 31, tried++) {
                const Answer answer = search(index, vectors.row(key), 1, 64);
                found += answer.found_count == 1 && answer.distances[0] == 0;
            }
        }
        writer.join();
        EXPECT_GE(found, tried * 0.98) << tried;
        expect_sound(index);
    }
}

// Rows are written again while they are read: a search sees the old one, the new one, or none.
TEST(FusedThreads, SearchWhileRowsAreRenewed) {
    constexpr size_t kRounds = 4, kChanges = 200, kStable = 600; // keys that are searched for
    const ScratchDirectory directory;
    rhumb_open_options open_options;
    rhumb_open_options_init(&open_options, sizeof open_options);
    open_options.compact_dead_share = 1;
    rhumb_index_options options = index_options(kDim, RHUMB_METRIC_L2);
    options.ef_construction = 60;
    options.codes = RHUMB_CODES_8BIT;
    options.fused = RHUMB_FUSED_1BIT;
    options.open = &open_options;
    const Index index = create(directory.file("index"), options);
    const Vectors vectors = clustered_vectors(kCount, kDim, 20, 3, 4);
    const Vectors others = clustered_vectors(kRounds * kChanges, kDim, 20, 3, 6);
    insert_all(index, vectors, 0, 2); // makes rows
    ASSERT_OK(rhumb_index_compact(index.get(), nullptr, nullptr, 0));
    std::atomic<bool> done{false};
    std::thread writer([&] {
        for (uint64_t round = 0; round < kRounds; round++) {
            for (uint64_t i = 0; i < kChanges; i++) {
                const uint64_t key = kStable + i * kRounds % (kCount - kStable) + round;
                EXPECT_OK(rhumb_index_upsert(index.get(), key, others.row(round * kChanges + i)));
            }
            EXPECT_OK(rhumb_index_wait_idle(index.get()));
            if (round % 2 == 0) continue;
            EXPECT_OK(rhumb_index_checkpoint(index.get()));
        }
        done = true;
    });
    std::vector<std::thread> searchers;
    std::atomic<size_t> found{0}, tried{0};
    for (size_t thread = 0; thread < 2; thread++) {
        searchers.emplace_back([&, thread] {
            for (size_t n = thread; !done; n += 2, tried++) {
                const Answer answer = search(index, vectors.row(n % kStable), 1, 64);
                found += answer.found_count == 1 && answer.distances[0] == 0;
            }
        });
    }
    writer.join();
    for (std::thread &searcher : searchers) searcher.join();
    EXPECT_GT(stats(index).fused_renewed_count, kCount / 4);
    EXPECT_GE(found, tried * 0.99) << tried;
    expect_sound(index);
}

} // namespace
} // namespace index_test
