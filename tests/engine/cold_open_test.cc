// Goal: an index that is not in the page cache is mapped so that a search reads the rows it needs and little else,
// until all of it is in memory; a thread reads it unless the handle forbids that; and answers are those of any other.
// Method: an index of some 20 MB is dropped from the page cache; /proc/self/smaps shows the advice that the kernel got,
// mincore what has been read, and the statistics how far the warm-up is.
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "tests/support/index_test_support.h"

namespace index_test {
namespace {

constexpr uint32_t kDim = 512;
constexpr size_t kCount = 8000;

class ColdOpen : public ::testing::Test {
  protected:
    static void SetUpTestSuite() {
        folder_ = new ScratchDirectory;
        path_ = folder_->file("cold.rhumb");
        rhumb_index_options options = index_options(kDim);
        options.M = 6;
        options.ef_construction = 10;
        const Index index = create_with_durability(path_, options, RHUMB_DURABILITY_NONE);
        insert_all(index, random_vectors(kCount, kDim, 1));
    }
    static void TearDownTestSuite() { delete folder_; }

    void SetUp() override {
        drop();
        if (resident_share() > 0.1) GTEST_SKIP() << "the file system keeps its files in memory";
    }

    static void drop() {
        const int fd = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
        ASSERT_GE(fd, 0);
        EXPECT_EQ(fsync(fd), 0);
        EXPECT_EQ(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
        ::close(fd);
    }

    static double resident_share() {
        const size_t bytes = std::filesystem::file_size(path_);
        const int fd = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
        void *mapped = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd, 0);
        EXPECT_NE(mapped, MAP_FAILED);
        std::vector<unsigned char> pages((bytes + 4095) / 4096);
        EXPECT_EQ(mincore(mapped, bytes, pages.data()), 0);
        munmap(mapped, bytes);
        ::close(fd);
        size_t count = 0;
        for (unsigned char page : pages) count += page & 1;
        return static_cast<double>(count) / static_cast<double>(pages.size());
    }

    static Index open_with(rhumb_warm_up warm_up, bool read_only = true) {
        rhumb_open_options options;
        rhumb_open_options_init(&options, sizeof options);
        options.read_only = read_only;
        options.warm_up = warm_up;
        return open_as(path_, options);
    }

    // The number of mappings of the index that have a flag of /proc/self/smaps, and of those that have not.
    static std::pair<size_t, size_t> mappings(const std::string &flag) {
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

    static void search_times(const Index &index, size_t count) {
        for (size_t i = 0; i < count; i++) search(index, queries_.row(i % queries_.count()), 10);
    }

    static bool is_warmed(const Index &index) {
        for (int i = 0; i < 10000; i++) {
            const rhumb_index_stats found = stats(index);
            if (found.warm_up_done_bytes == found.warm_up_total_bytes && !found.cold) return true;
            search_times(index, 1); // may notice it too
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        return false;
    }

    static inline ScratchDirectory *folder_;
    static inline std::string path_;
    static inline const Vectors queries_ = random_vectors(50, kDim, 2);
};

TEST_F(ColdOpen, ASearchReadsItsRowsAndLittleElse) {
    const Index reader = open_with(RHUMB_WARM_UP_NONE);
    EXPECT_TRUE(stats(reader).cold);
    EXPECT_EQ(stats(reader).warm_up_total_bytes, 0u);
    EXPECT_GT(mappings("rr").first, 0u);
    EXPECT_EQ(mappings("rr").second, 0u);
    EXPECT_EQ(mappings("hg").first, 0u) << "a fault there would read 2 MiB";
    const uint64_t live = rhumb_index_count(reader.get());
    EXPECT_EQ(live, kCount);
    EXPECT_LT(resident_share(), 0.1) << "opening reads no rows";
    std::vector<float> row(kDim);
    EXPECT_OK(rhumb_index_get_vector(reader.get(), 77, row.data()));
    EXPECT_LT(resident_share(), 0.1);
}

TEST_F(ColdOpen, AnIndexInMemoryIsNotCold) {
    std::ifstream file(path_, std::ios::binary);
    std::vector<char> buffer(1 << 20);
    while (file.read(buffer.data(), static_cast<std::streamsize>(buffer.size()))) continue;
    const Index reader = open_with(RHUMB_WARM_UP_NOW);
    EXPECT_FALSE(stats(reader).cold);
    EXPECT_EQ(stats(reader).warm_up_total_bytes, 0u);
    EXPECT_EQ(mappings("rr").first, 0u);
}

TEST_F(ColdOpen, AWarmUpReadsEverythingByItself) {
    const Index reader = open_with(RHUMB_WARM_UP_NOW);
    EXPECT_GT(stats(reader).warm_up_total_bytes, uint64_t{kCount} * kDim * 4);
    EXPECT_TRUE(is_warmed(reader));
    EXPECT_GT(resident_share(), 0.9) << "all but free blocks";
    EXPECT_EQ(mappings("rr").first, 0u) << "it is mapped as usual from then on";
}

TEST_F(ColdOpen, ByDefaultTheWarmUpWaitsForTheFirstAnswer) {
    const Index reader = open_with(RHUMB_WARM_UP_DEFAULT);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    EXPECT_GT(stats(reader).warm_up_total_bytes, 0u);
    EXPECT_EQ(stats(reader).warm_up_done_bytes, 0u);
    EXPECT_LT(resident_share(), 0.1);
    search_times(reader, 1);
    EXPECT_TRUE(is_warmed(reader));
    EXPECT_GT(resident_share(), 0.9) << "all but free blocks";
}

TEST_F(ColdOpen, SearchesNoticeThatAllOfItIsInMemory) {
    const Index reader = open_with(RHUMB_WARM_UP_NONE);
    ASSERT_TRUE(stats(reader).cold);
    std::ifstream file(path_, std::ios::binary);
    std::vector<char> buffer(1 << 20);
    while (file.read(buffer.data(), static_cast<std::streamsize>(buffer.size()))) continue;
    search_times(reader, 64);
    EXPECT_FALSE(stats(reader).cold);
    EXPECT_EQ(mappings("rr").first, 0u);
}

TEST_F(ColdOpen, AnswersAreThoseOfAnIndexInMemory) {
    std::vector<Answer> cold;
    {
        const Index reader = open_with(RHUMB_WARM_UP_NONE);
        for (size_t i = 0; i < 10; i++) cold.push_back(search_exact(reader, queries_.row(i), 10));
    }
    const Index warm = open(path_, true);
    for (size_t i = 0; i < 10; i++) EXPECT_EQ(search_exact(warm, queries_.row(i), 10), cold[i]);
}

// Threads search while the warm-up reads; handles are closed in the middle of it, by readers and by writers.
TEST_F(ColdOpen, AHandleMayBeClosedWhileItWarmsUp) {
    for (int round = 0; round < 6; round++) {
        drop();
        const Index index = open_with(RHUMB_WARM_UP_NOW, round % 2 == 0);
        std::vector<std::thread> threads;
        for (int t = 0; t < 2; t++) threads.emplace_back([&] { search_times(index, 20); });
        EXPECT_OK(rhumb_index_refresh(index.get(), nullptr));
        for (std::thread &thread : threads) thread.join();
    }
}

TEST_F(ColdOpen, ChoicesThatAreNoneAreRefused) {
    rhumb_open_options options;
    rhumb_open_options_init(&options, sizeof options);
    options.warm_up = static_cast<rhumb_warm_up>(3);
    rhumb_index *index = nullptr;
    EXPECT_STATUS(RHUMB_E_INVALID, rhumb_index_open(path_.c_str(), &options, &index));
}

} // namespace
} // namespace index_test
