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

} // namespace
} // namespace index_test
