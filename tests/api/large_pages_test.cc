// Goal: where the kernel can, a reader maps the vectors and the lists of an index with large pages as soon as it has
// opened it, without advice and without copying: however the writer has got there, by a build whose rows are written
// ahead, by slow checkpoints, by compactions in blocks that held something else before. Method: both sections have 19
// MiB or more, all others less than 2; FilePmdMapped in /proc/self/smaps after every page has been touched, while the
// pages are still in the cache. What the kernel can is found with a file in the same folder.
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cinttypes>
#include <fstream>

#include "tests/support/index_test_support.h"

namespace index_test {
namespace {

constexpr size_t kPieceBytes = size_t{2} << 20;

class LargePages : public ::testing::TestWithParam<uint32_t> {
  protected:
    static constexpr size_t kRowBytes = 1984; // no large page ends with a row
    static constexpr size_t kCount = 13000;
    static constexpr size_t kDim = kRowBytes / sizeof(float);

    void SetUp() override {
        if (!kernel_can()) GTEST_SKIP() << "kernel or file system map no file with large pages here";
    }

    // The bytes of this process's mappings of a file that large pages map. Touches every page.
    static size_t large_bytes(const std::string &path) {
        size_t bytes = 0;
        for (const bool is_counting : {false, true}) {
            std::ifstream maps("/proc/self/smaps");
            std::string line;
            bool is_of_file = false;
            while (std::getline(maps, line)) {
                uintptr_t begin = 0, end = 0;
                size_t kilobytes = 0;
                if (sscanf(line.c_str(), "%" SCNxPTR "-%" SCNxPTR " ", &begin, &end) == 2) {
                    is_of_file = line.find(path) != std::string::npos;
                    if (is_of_file && !is_counting) touch(begin, end);
                } else if (is_of_file && is_counting &&
                           sscanf(line.c_str(), "FilePmdMapped: %zu kB", &kilobytes) == 1) {
                    bytes += kilobytes << 10;
                }
            }
        }
        return bytes;
    }
    static void touch(uintptr_t begin, uintptr_t end) {
        for (uintptr_t page = begin; page < end; page += 4096) {
            (void)*reinterpret_cast<const volatile uint8_t *>(page);
        }
    }
    // Whether pieces that are written by one call each are mapped with large pages: kernel and file system can do that,
    // and memory has enough of them.
    bool kernel_can() const {
        const size_t bytes = 24 * kPieceBytes;
        const std::string path = directory_.file("pieces");
        const std::vector<uint8_t> piece(kPieceBytes, 7);
        const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        EXPECT_GE(fd, 0);
        for (size_t done = 0; done < bytes; done += kPieceBytes) {
            EXPECT_EQ(pwrite(fd, piece.data(), kPieceBytes, static_cast<off_t>(done)),
                      static_cast<ssize_t>(kPieceBytes));
        }
        void *room = mmap(nullptr, bytes + kPieceBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        EXPECT_NE(room, MAP_FAILED);
        const uintptr_t address = (reinterpret_cast<uintptr_t>(room) + kPieceBytes - 1) / kPieceBytes * kPieceBytes;
        void *mapped = mmap(reinterpret_cast<void *>(address), bytes, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0);
        EXPECT_NE(mapped, MAP_FAILED);
        const bool can = large_bytes(path) == bytes;
        munmap(room, bytes + kPieceBytes);
        ::close(fd);
        unlink(path.c_str());
        return can;
    }

    // With 384 places, a list has 1,536 bytes, and a chunk of lists 192 KiB: no large page ends with it.
    static rhumb_index_options options() {
        rhumb_index_options options = index_options(kDim);
        options.M = 2;
        options.M0 = GetParam();
        options.ef_construction = 4;
        options.codes = RHUMB_CODES_NONE; // they would count as if they were vectors
        return options;
    }
    static size_t hot_bytes(size_t count) { return count * (kRowBytes + sizeof(uint32_t) * GetParam()); }
    void build(const std::string &path, const rhumb_open_options &open_options) const {
        rhumb_index_options with_open = options();
        with_open.open = &open_options;
        const Index index = create(path, with_open);
        insert_all(index, vectors_, 0, 2);
    }
    static rhumb_open_options without_log() {
        rhumb_open_options options;
        rhumb_open_options_init(&options, sizeof options);
        options.durability = RHUMB_DURABILITY_NONE;
        return options;
    }
    static void copy_in_small_parts(const std::string &from, const std::string &to) {
        const std::vector<uint8_t> bytes = rhumb_test::file_bytes(from);
        const int fd = ::open(to.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        ASSERT_GE(fd, 0);
        for (size_t done = 0; done < bytes.size(); done += 65536) {
            const size_t part = std::min(bytes.size() - done, size_t{65536});
            ASSERT_EQ(pwrite(fd, &bytes[done], part, static_cast<off_t>(done)), static_cast<ssize_t>(part));
        }
        ::close(fd);
    }
    void expect_large(const std::string &path, size_t count) const {
        const Index reader = open(path, true);
        ASSERT_EQ(rhumb_index_count(reader.get()), count);
        const double share = static_cast<double>(large_bytes(path)) / static_cast<double>(hot_bytes(count));
        // Where most of memory is in use, a large page cannot be had for some pieces.
        for (int i = 0; i < 3 && share < 0.95; i++) {
            if (!kernel_can()) GTEST_SKIP() << "memory has too few large pages now: " << share;
        }
        EXPECT_GE(share, 0.95);
    }

    ScratchDirectory directory_;
    std::string path_ = directory_.file("index.rhumb");
    const Vectors vectors_ = random_vectors(kCount, kDim, 5);
};

INSTANTIATE_TEST_SUITE_P(PlacesInLists, LargePages, ::testing::Values(512, 384));

TEST_P(LargePages, MapWhatWasBuilt) {
    build(path_, without_log());
    expect_large(path_, kCount);
}

TEST_P(LargePages, MapWhatWasWrittenSlowly) {
    rhumb_open_options slow = without_log();
    slow.checkpoint_bytes_per_second = 200 << 20;
    build(path_, slow);
    expect_large(path_, kCount);
}

TEST_P(LargePages, MapWhatWasCompactedInANewFile) {
    build(path_, without_log());
    const std::string compacted = directory_.file("compacted.rhumb");
    ASSERT_OK(rhumb_index_compact_into(path_.c_str(), compacted.c_str(), nullptr, nullptr, 0));
    expect_large(compacted, kCount);
}

// What a copy has written in small parts is in the page cache in small pages, also the blocks that are free in it.
TEST_P(LargePages, MapWhatWasCompactedInACopy) {
    build(path_, without_log());
    const std::string copy = directory_.file("copy.rhumb");
    copy_in_small_parts(path_, copy);
    rhumb_compact_options shrinking;
    rhumb_compact_options_init(&shrinking, sizeof shrinking);
    shrinking.shrink = true;
    const Index index = open_without_log(copy);
    ASSERT_OK(rhumb_index_compact(index.get(), &shrinking, nullptr, 0));
    expect_large(copy, kCount);
}

} // namespace
} // namespace index_test
