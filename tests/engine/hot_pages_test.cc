// Goal: the pages of an index that memory cannot hold are listed next to it, and a later opening reads those again and
// no others, also after a crash; a list that is damaged, hostile or of another index does no harm. Method: the limit of
// memory is replaced by one below the size of a small index, which is dropped from the page cache; mincore shows what
// has been read. Random damage; the seed is printed.
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <thread>

extern "C" {
#include "base/crc32c.h"
#include "base/memory_limit.h"
}

#include "tests/support/index_test_support.h"
#include "tests/support/sanitized.h"

namespace index_test {
namespace {

using rhumb_test::kSanitized;

constexpr uint32_t kDim = 256;
constexpr size_t kCount = 6000;
constexpr uint64_t kMemory = 8 << 20, kMuch = uint64_t{1} << 30;

class HotPages : public ::testing::Test {
  protected:
    static void SetUpTestSuite() {
        folder_ = new ScratchDirectory;
        built_ = folder_->file("built.rhumb");
        rhumb_index_options options = index_options(kDim);
        options.M = 6;
        options.ef_construction = 10;
        options.codes = RHUMB_CODES_NONE;
        const Index index = create_with_durability(built_, options, RHUMB_DURABILITY_NONE);
        insert_all(index, random_vectors(kCount, kDim, 1));
    }
    static void TearDownTestSuite() { delete folder_; }

    void SetUp() override {
        std::filesystem::copy_file(built_, path_);
        drop();
        for (const bool page : resident_pages()) {
            if (page) GTEST_SKIP() << "the file system keeps its files in memory";
        }
        rhumb__memory_limit_override(kMemory);
    }
    ~HotPages() override { rhumb__memory_limit_override(0); }

    void drop() const {
        const int fd = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
        ASSERT_GE(fd, 0);
        EXPECT_EQ(fsync(fd), 0);
        EXPECT_EQ(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
        ::close(fd);
    }
    std::vector<bool> resident_pages() const {
        const size_t bytes = std::filesystem::file_size(path_);
        const int fd = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
        void *mapped = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd, 0);
        EXPECT_NE(mapped, MAP_FAILED);
        std::vector<unsigned char> pages((bytes + 4095) / 4096);
        EXPECT_EQ(mincore(mapped, bytes, pages.data()), 0);
        munmap(mapped, bytes);
        ::close(fd);
        std::vector<bool> found;
        for (const unsigned char page : pages) found.push_back((page & 1) != 0);
        return found;
    }
    Index open_with(rhumb_warm_up warm_up, bool read_only = true) const {
        rhumb_open_options options;
        rhumb_open_options_init(&options, sizeof options);
        options.read_only = read_only;
        options.warm_up = warm_up;
        options.durability = RHUMB_DURABILITY_NONE;
        return open_as(path_, options);
    }
    static void search_times(const Index &index, size_t count) {
        for (size_t i = 0; i < count; i++) search(index, queries_.row(i % queries_.count()), 10, 20);
    }
    static bool is_warmed(const Index &index) {
        for (int i = 0; i < 10000; i++) {
            const rhumb_index_stats found = stats(index);
            if (found.warm_up_done_bytes == found.warm_up_total_bytes) return true;
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        return false;
    }
    // What an opening reads of sections that it keeps in memory, whatever a list says.
    uint64_t read_without_list() const { return stats(open_with(RHUMB_WARM_UP_DEFAULT)).warm_up_total_bytes; }
    // Searches, saves what they have read, and drops it. Returns the pages that were in memory.
    std::vector<bool> make_list() const {
        const Index reader = open_with(RHUMB_WARM_UP_NONE);
        search_times(reader, 5);
        EXPECT_OK(rhumb_index_hot_pages_save(reader.get()));
        std::vector<bool> pages = resident_pages();
        return pages;
    }

    ScratchDirectory directory_;
    const std::string path_ = directory_.file("hot.rhumb"), list_ = path_ + "-hot";
    static inline ScratchDirectory *folder_;
    static inline std::string built_;
    static inline const Vectors queries_ = random_vectors(50, kDim, 2);
};

TEST_F(HotPages, AreReadAgainByTheNextOpeningAndNoOthers) {
    const uint64_t held_bytes = read_without_list();
    const std::vector<bool> hot = make_list();
    const size_t hot_count = static_cast<size_t>(std::count(hot.begin(), hot.end(), true));
    EXPECT_GT(hot_count, 100u);
    EXPECT_LT(hot_count, hot.size() / 2);
    drop();
    const Index reader = open_with(RHUMB_WARM_UP_NOW);
    EXPECT_GT(stats(reader).warm_up_total_bytes, 100u * 4096);
    EXPECT_LE(stats(reader).warm_up_total_bytes, hot_count * 4096 + held_bytes);
    ASSERT_TRUE(is_warmed(reader));
    const std::vector<bool> now = resident_pages();
    size_t lost_count = 0, other_count = 0;
    for (size_t i = 0; i < hot.size(); i++) {
        lost_count += hot[i] && !now[i];
        other_count += !hot[i] && now[i];
    }
    EXPECT_LE(lost_count, 16u) << "of the superblocks and the directory";
    EXPECT_LE(other_count, 16u + held_bytes / 4096);
}

TEST_F(HotPages, ByDefaultAreReadAfterTheFirstAnswer) {
    make_list();
    drop();
    const Index reader = open_with(RHUMB_WARM_UP_DEFAULT);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_GT(stats(reader).warm_up_total_bytes, 0u);
    EXPECT_EQ(stats(reader).warm_up_done_bytes, 0u);
    search_times(reader, 1);
    EXPECT_TRUE(is_warmed(reader));
    EXPECT_EQ(stats(open_with(RHUMB_WARM_UP_NONE)).warm_up_total_bytes, 0u);
}

TEST_F(HotPages, TakeAtMostHalfOfTheMemory) {
    {
        std::ifstream file(path_, std::ios::binary);
        std::vector<char> buffer(1 << 20);
        while (file.read(buffer.data(), static_cast<std::streamsize>(buffer.size()))) continue;
        const Index reader = open_with(RHUMB_WARM_UP_NONE);
        ASSERT_OK(rhumb_index_hot_pages_save(reader.get()));
    }
    drop();
    rhumb__memory_limit_override(kMemory / 2);
    const Index reader = open_with(RHUMB_WARM_UP_NOW);
    EXPECT_GT(stats(reader).warm_up_total_bytes, kMemory / 16);
    EXPECT_LE(stats(reader).warm_up_total_bytes, kMemory / 4);
    EXPECT_TRUE(is_warmed(reader));
}

TEST_F(HotPages, AreListedByCheckpointsAndAtClosingIfMemoryCannotHoldTheIndex) {
    rhumb__memory_limit_override(kMuch);
    {
        const Index writer = open_with(RHUMB_WARM_UP_NONE, false);
        ASSERT_OK(rhumb_index_upsert(writer.get(), 0, queries_.row(0)));
        ASSERT_OK(rhumb_index_checkpoint(writer.get()));
    }
    EXPECT_FALSE(std::filesystem::exists(list_));
    rhumb__memory_limit_override(kMemory);
    {
        const Index writer = open_with(RHUMB_WARM_UP_NONE, false);
        ASSERT_OK(rhumb_index_upsert(writer.get(), 1, queries_.row(1)));
        ASSERT_OK(rhumb_index_checkpoint(writer.get()));
        EXPECT_TRUE(std::filesystem::exists(list_));
        std::filesystem::remove(list_);
    }
    EXPECT_TRUE(std::filesystem::exists(list_));
}

TEST_F(HotPages, OfTheLastCheckpointAreReadAfterACrash) {
    fflush(nullptr);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        Index writer = open_with(RHUMB_WARM_UP_NONE, false);
        search_times(writer, 5);
        const bool done = rhumb_index_upsert(writer.get(), 1, queries_.row(1)) == RHUMB_OK &&
                          rhumb_index_checkpoint(writer.get()) == RHUMB_OK;
        kill(getpid(), done ? SIGKILL : SIGTERM);
    }
    int state = 0;
    ASSERT_EQ(waitpid(child, &state, 0), child);
    ASSERT_TRUE(WIFSIGNALED(state) && WTERMSIG(state) == SIGKILL);
    drop();
    const Index reader = open_with(RHUMB_WARM_UP_NOW);
    EXPECT_GT(stats(reader).warm_up_total_bytes, 100u * 4096);
    EXPECT_TRUE(is_warmed(reader));
}

TEST_F(HotPages, OfAnotherIndexAreNotRead) {
    const uint64_t held_bytes = read_without_list();
    make_list();
    const std::string other = directory_.file("other.rhumb");
    {
        rhumb_index_options options = index_options(kDim);
        options.M = 6;
        options.ef_construction = 4;
        const Index index = create_with_durability(other, options, RHUMB_DURABILITY_NONE);
        insert_all(index, random_vectors(kCount, kDim, 1));
    }
    std::filesystem::remove(other + "-hot"); // its own
    const uint64_t other_bytes = stats(open(other, true)).warm_up_total_bytes;
    std::filesystem::rename(list_, other + "-hot");
    const Index reader = open(other, true);
    EXPECT_EQ(stats(reader).warm_up_total_bytes, other_bytes);
    EXPECT_EQ(stats(open_with(RHUMB_WARM_UP_NOW)).warm_up_total_bytes, held_bytes) << "there is none";
}

TEST_F(HotPages, NoOtherFileIsOverwrittenByTheirList) {
    const uint64_t held_bytes = read_without_list();
    std::ofstream(list_) << "notes of somebody";
    const Index reader = open_with(RHUMB_WARM_UP_NOW);
    EXPECT_EQ(stats(reader).warm_up_total_bytes, held_bytes);
    EXPECT_STATUS(RHUMB_E_EXISTS, rhumb_index_hot_pages_save(reader.get()));
    EXPECT_EQ(std::filesystem::file_size(list_), 17u);
    rhumb_open_options options;
    rhumb_open_options_init(&options, sizeof options);
    options.read_only = options.immutable = true;
    const Index immutable = open_as(path_, options);
    EXPECT_STATUS(RHUMB_E_READONLY, rhumb_index_hot_pages_save(immutable.get()));
    EXPECT_STATUS(RHUMB_E_INVALID, rhumb_index_hot_pages_save(nullptr));
}

// Any bytes, half of them with the right checksum: at worst pages are read for nothing. Every fourth round damages the
// bits alone, under the right checksum: that list is read.
TEST_F(HotPages, WhateverTheirListSaysAnswersAreTheSame) {
    const uint64_t held_bytes = read_without_list();
    make_list();
    std::string sound;
    {
        std::ifstream file(list_, std::ios::binary);
        sound.assign(std::istreambuf_iterator<char>(file), {});
    }
    std::vector<Answer> expected;
    {
        const Index reader = open_with(RHUMB_WARM_UP_NONE);
        for (size_t i = 0; i < 3; i++) expected.push_back(search_exact(reader, queries_.row(i), 10));
    }
    std::mt19937_64 random(choose_seed());
    uint32_t section_count = 0;
    ASSERT_GE(sound.size(), 64u);
    memcpy(&section_count, &sound[52], sizeof section_count);
    const size_t bits_start = 64 + size_t{16} * section_count;
    ASSERT_LT(bits_start, sound.size());
    for (int round = 0; round < (kSanitized ? 12 : 60); round++) {
        const bool only_bits = round % 4 == 2;
        std::string list = sound;
        if (round % 4 == 0) list.resize(random() % (2 * sound.size()));
        const size_t change_count = 1 + random() % 8;
        for (size_t i = 0; i < change_count && !list.empty(); i++) {
            const size_t limit = random() % 2 == 0 ? std::min<size_t>(list.size(), 300) : list.size();
            const size_t place = only_bits ? bits_start + random() % (list.size() - bits_start) : random() % limit;
            list[place] = static_cast<char>(random() % 3 == 0 ? 0xFF : random());
        }
        if (round % 2 == 0 && list.size() >= 64) {
            memset(&list[12], 0, 4);
            const uint32_t crc = rhumb__crc32c(0, list.data(), list.size());
            memcpy(&list[12], &crc, 4);
        }
        std::ofstream(list_, std::ios::binary | std::ios::trunc) << list;
        const Index reader = open_with(RHUMB_WARM_UP_NOW);
        for (size_t i = 0; i < 3; i++) {
            EXPECT_EQ(search_exact(reader, queries_.row(i), 10), expected[i]);
            EXPECT_EQ(search(reader, queries_.row(i), 10, 20).found_count, 10u);
        }
        EXPECT_LE(stats(reader).warm_up_total_bytes, kMemory / 2);
        EXPECT_TRUE(is_warmed(reader));
        if (only_bits) {
            EXPECT_GT(stats(reader).warm_up_total_bytes, held_bytes);
        }
    }
}

} // namespace
} // namespace index_test
