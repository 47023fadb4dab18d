// Goal: an index that memory cannot hold is mapped without read-ahead and large pages, its rows are asked for before
// they are read, and its answers are as good as those of any other. Method: the limit of memory is replaced by one
// below or above the size of a small index; /proc/self/smaps shows the advice that the kernel got, mincore its reads.
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

extern "C" {
#include "base/memory_limit.h"
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

TEST_F(Residency, SearchesOfEveryKindFindWhatTheyFindInMemory) {
    build();
    rhumb__memory_limit_override(uint64_t{1} << 30);
    const Index in_memory = open(path_, true);
    rhumb__memory_limit_override(1 << 20);
    const Index beyond = open(path_, true);
    EXPECT_GE(recall(beyond, queries_, 10, 64), recall(in_memory, queries_, 10, 64) - 0.001)
        << "walks that expand several nodes at once pass over none";
    std::vector<uint64_t> even;
    for (uint64_t key = 0; key < kCount; key += 2) even.push_back(key);
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
        EXPECT_EQ(found, expected);
    }
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

} // namespace
} // namespace index_test
