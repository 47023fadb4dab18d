// Goal: links of points that several threads add in any order come out in the order of the points, with any size of
// blocks and buffers. Method: the links of a point follow from its number; a file takes what does not fit.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <random>
#include <thread>

#include "engine/topology/link_spool.h"

#include "tests/support/io_test_support.h"

namespace {

struct Case {
    uint64_t block_links;
    uint64_t buffer_links;
    bool with_distances;
};

class LinkSpool : public ::testing::TestWithParam<Case> {
  protected:
    static constexpr uint64_t kPoints = 3000;
    static constexpr uint64_t kOffset = 4096;

    static uint32_t neighbour(uint64_t point, uint64_t i) { return static_cast<uint32_t>(point * 1000 + i); }
    static float distance(uint64_t point, uint64_t i) { return static_cast<float>(point) + static_cast<float>(i) / 8; }

    void add(rhumb__link_spool *spool, uint64_t point) const {
        const uint64_t count = starts_[point + 1] - starts_[point];
        std::vector<uint32_t> neighbours(count + 1);
        std::vector<float> distances(count + 1);
        for (uint64_t i = 0; i < count; i++) {
            neighbours[i] = neighbour(point, i);
            distances[i] = distance(point, i);
        }
        ASSERT_EQ(rhumb__link_spool_add(spool, point, neighbours.data(),
                                        GetParam().with_distances ? distances.data() : nullptr),
                  RHUMB_OK);
    }

    // Checks the links of a block, and writes them as the exporter does.
    void check(rhumb__link_spool *spool, uint32_t number) const {
        uint64_t link_count = 0;
        ASSERT_EQ(rhumb__link_spool_order(spool, number, &link_count), RHUMB_OK);
        const rhumb__link_block &block = spool->blocks[number];
        ASSERT_EQ(link_count, starts_[block.end] - starts_[block.begin]);
        uint64_t wrong_count = 0, at = 0;
        for (uint64_t point = block.begin; point < block.end; point++) {
            for (uint64_t i = 0; i < starts_[point + 1] - starts_[point]; i++, at++) {
                wrong_count += spool->ordered[RHUMB__LINK_NEIGHBOURS][at] != neighbour(point, i);
                if (!GetParam().with_distances) continue;
                float found;
                memcpy(&found, &spool->ordered[RHUMB__LINK_DISTANCES][at], sizeof found);
                wrong_count += found != distance(point, i);
            }
        }
        EXPECT_EQ(wrong_count, 0u) << "block " << number;
        for (uint32_t array = 0; array < spool->array_count; array++) {
            ASSERT_EQ(rhumb__io_write(spool->io, spool->ordered[array], link_count * sizeof(uint32_t),
                                      spool->offsets[array] + starts_[block.begin] * sizeof(uint32_t)),
                      RHUMB_OK);
        }
        ASSERT_EQ(rhumb__io_drain(spool->io), RHUMB_OK);
    }

    std::vector<uint64_t> starts_{0};
};

INSTANTIATE_TEST_SUITE_P(Sizes, LinkSpool,
                         ::testing::Values(Case{1 << 20, 16384, true}, Case{1000, 100, true}, Case{1000, 5000, true},
                                           Case{1000, 10, false}, Case{1, 1, true}));

TEST_P(LinkSpool, LinksComeOutInTheOrderOfThePoints) {
    std::mt19937_64 random(io_test::choose_seed());
    // Some points have none, and a few more than a buffer or a block holds.
    for (uint64_t i = 0; i < kPoints; i++) {
        const uint64_t count = random() % 100 == 0 ? 500 + random() % 1000 : random() % 30;
        starts_.push_back(starts_.back() + count);
    }
    const rhumb_test::ScratchDirectory directory;
    rhumb__io *io = nullptr;
    ASSERT_EQ(rhumb__io_open(nullptr, directory.file("links").c_str(), RHUMB__IO_CREATE, &io), RHUMB_OK);
    const uint64_t array_bytes = starts_.back() * sizeof(uint32_t);
    ASSERT_EQ(rhumb__io_allocate(io, 0, kOffset + 2 * array_bytes), RHUMB_OK);
    rhumb__link_spool spool = {};
    spool.io = io;
    spool.offsets[0] = kOffset;
    spool.offsets[1] = kOffset + array_bytes;
    spool.array_count = GetParam().with_distances ? 2 : 1;
    spool.starts = starts_.data();
    spool.point_count = kPoints;
    spool.block_links = GetParam().block_links;
    spool.buffer_links = GetParam().buffer_links;
    ASSERT_EQ(rhumb__link_spool_begin(&spool), RHUMB_OK);
    std::vector<uint64_t> points(kPoints);
    for (uint64_t i = 0; i < kPoints; i++) points[i] = i;
    std::shuffle(points.begin(), points.end(), random);
    std::atomic<uint64_t> next{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; t++) {
        threads.emplace_back([&] {
            for (uint64_t i = next++; i < kPoints; i = next++) add(&spool, points[i]);
        });
    }
    for (std::thread &thread : threads) thread.join();
    for (uint32_t block = 0; block < spool.block_count; block++) check(&spool, block);
    EXPECT_EQ(spool.blocks[spool.block_count - 1].end, kPoints);
    EXPECT_EQ(spool.block_count > 1, GetParam().block_links < starts_.back());
    rhumb__link_spool_destroy(&spool);
    rhumb__io_close(io);
}

} // namespace
