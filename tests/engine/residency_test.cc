// Goal: an index that memory cannot hold is mapped without read-ahead and large pages, its rows are asked for before
// they are read, and its answers are as good as those of any other. Method: the limit of memory is replaced by one
// below or above the size of a small index; /proc/self/smaps shows the advice that the kernel got, mincore its reads.
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>

extern "C" {
#include "base/memory_limit.h"
#include "storage/io/io.h"
}

#include "tests/engine/engine_probe.h"
#include "tests/support/index_test_support.h"

namespace index_test {
namespace {

class Residency : public ::testing::Test {
  protected:
    static constexpr uint32_t kDim = 32;
    static constexpr size_t kCount = 4000;

    ~Residency() override { rhumb__memory_limit_override(0); }
    void build() {
        const Index index = create_with_durability(path_, index_options(kDim), RHUMB_DURABILITY_NONE);
        insert_all(index, vectors_);
    }
    // The mappings of the index that have a flag of /proc/self/smaps, and those that have not.
    std::pair<size_t, size_t> mappings(const std::string &flag) const {
        std::ifstream maps("/proc/self/smaps");
        std::string line;
        bool is_of_index = false;
        std::pair<size_t, size_t> counts;
        while (std::getline(maps, line)) {
            if (line.find('-') < line.find(' ')) is_of_index = line.find(path_) != std::string::npos;
            if (!is_of_index || line.rfind("VmFlags:", 0) != 0) continue;
            (line.find(" " + flag + " ") != std::string::npos ? counts.first : counts.second)++;
        }
        return counts;
    }

    ScratchDirectory directory_;
    std::string path_ = directory_.file("index.rhumb");
    const Vectors vectors_ = clustered_vectors(kCount, kDim, 50, 1, 2);
    const Vectors queries_ = clustered_vectors(100, kDim, 50, 1, 3);
};

TEST_F(Residency, AnIndexThatFitsIsMappedAsUsual) {
    build();
    rhumb__memory_limit_override(uint64_t{1} << 30);
    const Index reader = open(path_, true);
    EXPECT_EQ(mappings("rr").first, 0u);
    EXPECT_GT(mappings("rr").second, 0u);
}

TEST_F(Residency, AnIndexThatDoesNotFitIsMappedForReadingSingleRows) {
    build();
    rhumb__memory_limit_override(1 << 20);
    {
        const Index reader = open(path_, true);
        EXPECT_GT(mappings("rr").first, 0u);
        EXPECT_EQ(mappings("rr").second, 0u) << "every section counts, also one that would fit by itself";
        EXPECT_EQ(mappings("hg").first, 0u);
    }
    const Index writer = open(path_, false);
    EXPECT_EQ(mappings("rr").second, 0u);
    // What a checkpoint maps gets the same advice.
    for (uint64_t key = 0; key < 200; key++) ASSERT_OK(rhumb_index_upsert(writer.get(), key, queries_.row(key % 100)));
    ASSERT_OK(rhumb_index_checkpoint(writer.get()));
    EXPECT_EQ(mappings("rr").second, 0u);
}

TEST_F(Residency, TheVerdictFollowsTheSizeAndTheLimit) {
    rhumb__memory_limit_override(1 << 20);
    const Index index = create(path_, index_options(kDim));
    EXPECT_EQ(mappings("rr").first, 0u) << "it is empty";
    insert_all(index, vectors_);
    ASSERT_OK(rhumb_index_checkpoint(index.get()));
    EXPECT_GT(mappings("rr").first, 0u);
    EXPECT_EQ(mappings("rr").second, 0u);
    rhumb__memory_limit_override(uint64_t{1} << 30);
    ASSERT_OK(rhumb_index_delete(index.get(), 1));
    ASSERT_OK(rhumb_index_checkpoint(index.get()));
    EXPECT_EQ(mappings("rr").first, 0u);
}

// What an index keeps next to its vectors, and how much memory there is.
struct Kind {
    const char *name;
    rhumb_codes codes;
    rhumb_fused fused;
    uint64_t limit_bytes;
};

class ResidencyOf : public Residency, public ::testing::WithParamInterface<Kind> {
  protected:
    void build_kind() {
        rhumb_index_options options = index_options(kDim);
        options.codes = GetParam().codes;
        options.fused = GetParam().fused;
        const Index index = create_with_durability(path_, options, RHUMB_DURABILITY_NONE);
        insert_all(index, vectors_);
    }
};

INSTANTIATE_TEST_SUITE_P(Kinds, ResidencyOf,
                         ::testing::Values(Kind{"Plain", RHUMB_CODES_NONE, RHUMB_FUSED_NONE, 1 << 20},
                                           Kind{"Coded", RHUMB_CODES_8BIT, RHUMB_FUSED_NONE, 1 << 18},
                                           Kind{"CodedAndHeld", RHUMB_CODES_4BIT, RHUMB_FUSED_NONE, 3 << 19},
                                           Kind{"Rows", RHUMB_CODES_4BIT, RHUMB_FUSED_1BIT, 1 << 18},
                                           Kind{"RowsAndCodesHeld", RHUMB_CODES_4BIT, RHUMB_FUSED_1BIT, 3 << 19}),
                         [](const auto &info) { return std::string(info.param.name); });

TEST_P(ResidencyOf, SearchesOfEveryKindFindWhatTheyFindInMemory) {
    build_kind();
    rhumb__memory_limit_override(uint64_t{1} << 30);
    const Index in_memory = open(path_, true);
    rhumb__memory_limit_override(GetParam().limit_bytes);
    const Index beyond = open(path_, true);
    EXPECT_GE(recall(beyond, queries_, 10, 64), recall(in_memory, queries_, 10, 64) - 0.005)
        << "walks that take what is there first pass over none";
    std::vector<uint64_t> even;
    for (uint64_t key = 0; key < kCount; key += 2) even.push_back(key);
    size_t different_count = 0;
    for (size_t i = 0; i < queries_.count(); i++) {
        EXPECT_EQ(search_exact(beyond, queries_.row(i), 20), search_exact(in_memory, queries_.row(i), 20));
        rhumb_filter filter;
        rhumb_filter_init(&filter, sizeof filter);
        filter.kind = RHUMB_FILTER_KEYS;
        filter.keys = even.data();
        filter.key_count = even.size();
        rhumb_search_options options = search_options(100);
        options.filter = &filter;
        std::vector<uint64_t> expected(10), found(10);
        ASSERT_OK(
            rhumb_index_search(in_memory.get(), queries_.row(i), 10, &options, expected.data(), nullptr, nullptr));
        ASSERT_OK(rhumb_index_search(beyond.get(), queries_.row(i), 10, &options, found.data(), nullptr, nullptr));
        different_count += found != expected;
    }
    EXPECT_LE(different_count, 2u);
}

TEST_P(ResidencyOf, BatchesFindWhatSingleSearchesFind) {
    build_kind();
    rhumb__memory_limit_override(GetParam().limit_bytes);
    const Index beyond = open(path_, true);
    const rhumb_search_options options = search_options(100);
    const size_t count = queries_.count();
    std::vector<uint64_t> keys(10 * count);
    ASSERT_OK(
        rhumb_index_search_batch(beyond.get(), queries_.row(0), count, 10, &options, keys.data(), nullptr, nullptr));
    size_t different_count = 0;
    for (size_t i = 0; i < count; i++) {
        const std::vector<uint64_t> found(keys.begin() + 10 * i, keys.begin() + 10 * (i + 1));
        different_count += found != search(beyond, queries_.row(i), 10, 100).keys;
    }
    EXPECT_LE(different_count, 5u) << "what is in memory can differ";
}

TEST_P(ResidencyOf, DistancesAreThoseOfTheVectors) {
    build_kind();
    rhumb__memory_limit_override(GetParam().limit_bytes);
    for (bool read_only : {true, false}) {
        const Index beyond = open(path_, read_only);
        const rhumb_search_options options = search_options(64);
        for (size_t i = 0; i < queries_.count(); i++) {
            uint64_t keys[10], exact_keys[10];
            float distances[10], exact_distances[10];
            size_t count = 0, exact_count = 0;
            ASSERT_OK(rhumb_index_search(beyond.get(), queries_.row(i), 10, &options, keys, distances, &count));
            ASSERT_OK(rhumb_index_search_exact(beyond.get(), queries_.row(i), 1, 10, &options, exact_keys,
                                               exact_distances, &exact_count));
            ASSERT_EQ(count, 10u);
            for (size_t k = 0; k < count; k++) {
                const auto *place = std::find(exact_keys, exact_keys + exact_count, keys[k]);
                if (place == exact_keys + exact_count) continue;
                EXPECT_EQ(distances[k], exact_distances[place - exact_keys]);
            }
        }
    }
}

// A file of which nothing is in the page cache.
TEST_F(Residency, VectorsAreReadPastThePageCacheAndCodesAreKept) {
    constexpr uint32_t kLong = 512; // two vectors a page
    const Vectors vectors = clustered_vectors(kCount, kLong, 50, 1, 2);
    {
        rhumb_index_options options = index_options(kLong);
        options.codes = RHUMB_CODES_4BIT;
        const Index index = create_with_durability(path_, options, RHUMB_DURABILITY_NONE);
        insert_all(index, vectors);
    }
    const int fd = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    ASSERT_GE(fd, 0);
    const int direct = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECT);
    if (direct >= 0) close(direct);
    ASSERT_EQ(fsync(fd), 0); // only clean pages can be dropped
    ASSERT_EQ(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    const auto file_pages = static_cast<size_t>(lseek(fd, 0, SEEK_END)) / 4096;
    void *bytes = mmap(nullptr, file_pages * 4096, PROT_READ, MAP_SHARED, fd, 0);
    ASSERT_NE(bytes, MAP_FAILED);
    const auto resident_count = [&] {
        std::vector<unsigned char> pages(file_pages);
        EXPECT_EQ(mincore(bytes, file_pages * 4096, pages.data()), 0);
        return static_cast<size_t>(std::count_if(pages.begin(), pages.end(), [](auto page) { return page & 1; }));
    };
    if (direct < 0 || resident_count() > 0 || rhumb__io_backend_default() != &rhumb__io_uring)
        GTEST_SKIP() << "no direct reads here";
    rhumb__memory_limit_override(uint64_t{4} << 20);
    const Index reader = open(path_, true);
    (void)search(reader, vectors.row(0), 10, 32);
    for (int i = 0; i < 2000; i++) {
        rhumb_index_stats stats;
        ASSERT_OK(rhumb_index_stats_get(reader.get(), &stats, sizeof stats));
        EXPECT_GT(stats.warm_up_total_bytes, kCount * kLong / 2) << "codes are read into memory";
        if (stats.warm_up_done_bytes == stats.warm_up_total_bytes) break;
        usleep(1000);
    }
    const rhumb_search_options options = search_options(32);
    for (size_t i = 0; i < 1000; i++) {
        uint64_t keys[10];
        ASSERT_OK(rhumb_index_search(reader.get(), vectors.row(i * 4), 10, &options, keys, nullptr, nullptr));
        EXPECT_EQ(keys[0], i * 4);
    }
    const size_t vector_pages = kCount / 2;
    EXPECT_LT(resident_count(), file_pages - vector_pages + vector_pages / 4);
    munmap(bytes, file_pages * 4096);
    close(fd);
}

TEST_F(Residency, GraphsGrowAsWellThere) {
    rhumb__memory_limit_override(1 << 20);
    build();
    {
        const Index index = open(path_, false);
        for (uint64_t key = 0; key < 500; key++) ASSERT_OK(rhumb_index_delete(index.get(), key * 3));
        const Vectors more = clustered_vectors(1000, kDim, 50, 1, 9);
        insert_all(index, more, kCount, 2);
        EXPECT_GE(recall(index, queries_, 10, 64), 0.97);
        ASSERT_OK(rhumb_index_compact(index.get(), nullptr, nullptr, 0));
        EXPECT_GE(recall(index, queries_, 10, 64), 0.97);
        expect_sound(index);
    }
    expect_sound(open(path_, true));
}

// Rows all over a file that is not in the page cache: some time after they have been asked for, they are.
TEST_F(Residency, RowsThatAreAskedForAreReadWithoutBeingTouched) {
    const size_t page_bytes = 4096, page_count = 1024;
    const std::string path = directory_.file("pages");
    rhumb_test::put_file(path, std::string(page_bytes * page_count, 'p'));
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    ASSERT_GE(fd, 0);
    ASSERT_EQ(fsync(fd), 0);
    ASSERT_EQ(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    auto *bytes = static_cast<uint8_t *>(mmap(nullptr, page_bytes * page_count, PROT_READ, MAP_SHARED, fd, 0));
    ASSERT_NE(bytes, MAP_FAILED);
    ASSERT_EQ(madvise(bytes, page_bytes * page_count, MADV_RANDOM), 0);
    const auto resident_count = [&] {
        std::vector<unsigned char> pages(page_count);
        EXPECT_EQ(mincore(bytes, page_bytes * page_count, pages.data()), 0);
        size_t count = 0;
        for (unsigned char page : pages) count += page & 1;
        return count;
    };
    if (resident_count() > 0) GTEST_SKIP() << "the file system keeps its files in memory";
    std::vector<const void *> rows;
    for (size_t page = 0; page < page_count; page += 5) rows.push_back(bytes + page * page_bytes + 100);
    probe_read_ahead(rows.data(), static_cast<uint32_t>(rows.size()), 384);
    for (int i = 0; i < 2000 && resident_count() < rows.size(); i++) usleep(1000);
    EXPECT_GE(resident_count(), rows.size());
    EXPECT_LT(resident_count(), page_count / 2) << "and little else";
    munmap(bytes, page_bytes * page_count);
    close(fd);
}

// The kernel drops pages silently: believed to be there, they would be waited for one by one.
TEST_F(Residency, WhatIsKnownOfAPageIsForgottenAfterSomeSearches) {
    const size_t page_bytes = 4096;
    auto *bytes = static_cast<uint8_t *>(
        mmap(nullptr, 4 * page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    ASSERT_NE(bytes, MAP_FAILED);
    bytes[page_bytes] = 1;
    rhumb__page_map *map = probe_page_map_new(bytes, 3 * page_bytes);
    ASSERT_NE(map, nullptr);
    const uint8_t *there = bytes + page_bytes + 100;
    const uint8_t *asked_for = bytes + 2 * page_bytes;
    EXPECT_FALSE(probe_page_map_is_known(map, there));
    EXPECT_TRUE(probe_page_map_is_present(map, bytes + 3 * page_bytes)) << "what is not mapped is in memory";
    for (int round = 0; round < 3; round++) {
        EXPECT_TRUE(probe_page_map_look(map, there));
        probe_page_map_ask(map, asked_for);
        size_t search_count = 0;
        for (; probe_page_map_is_known(map, there) && search_count < 1000; search_count++) {
            EXPECT_TRUE(probe_page_map_is_present(map, there));
            EXPECT_TRUE(probe_page_map_is_known(map, asked_for));
            EXPECT_FALSE(probe_page_map_is_present(map, asked_for));
            probe_page_map_searched(map);
        }
        EXPECT_GT(search_count, 1u) << "threads that search at the same time share what they find out";
        EXPECT_LT(search_count, 100u);
        EXPECT_FALSE(probe_page_map_is_known(map, asked_for));
        EXPECT_FALSE(probe_page_map_is_known(map, bytes));
    }
    probe_page_map_free(map);
    munmap(bytes, 4 * page_bytes);
}

// Ties are read of answers alone, and only where there are copies.
TEST_P(ResidencyOf, EqualVectorsAreAllFound) {
    build_kind();
    {
        const Index index = open(path_, false);
        insert_all(index, vectors_, kCount);
    }
    rhumb__memory_limit_override(GetParam().limit_bytes);
    const Index beyond = open(path_, true);
    for (uint64_t key = 0; key < 100; key++) {
        std::vector<uint64_t> keys = search(beyond, vectors_.row(key), 2, 64).keys;
        std::sort(keys.begin(), keys.end());
        EXPECT_EQ(keys, (std::vector<uint64_t>{key, kCount + key}));
    }
}

} // namespace
} // namespace index_test
