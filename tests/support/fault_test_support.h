// What the tests of damaged files share: a directory, the sample index, and the number of iterations.
#ifndef RHUMB_TESTS_SUPPORT_FAULT_TEST_SUPPORT_H
#define RHUMB_TESTS_SUPPORT_FAULT_TEST_SUPPORT_H

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

extern "C" {
#include "engine/graph/sections.h"
}

#include "tests/support/exercise.h"
#include "tests/support/file_image.h"
#include "tests/support/io_test_support.h"
#include "tests/support/sanitized.h"
#include "tests/support/small_index.h"

namespace fault_test {

using io_test::choose_seed;
using io_test::ScratchDirectory;
using rhumb_test::Answers;
using rhumb_test::Exercise;
using rhumb_test::FileImage;
using rhumb_test::Index;
using rhumb_test::IndexShape;
using rhumb_test::kSanitized;
using rhumb_test::Vectors;

// RHUMB_FULL=1: everything instead of a sample. RHUMB_ITERS: the number of random iterations.
inline bool full_run() {
    const char *text = getenv("RHUMB_FULL");
    return text != nullptr && text[0] == '1';
}
inline uint64_t iteration_count(uint64_t standard) {
    const char *text = getenv("RHUMB_ITERS");
    if (text != nullptr) return strtoull(text, nullptr, 0);
    return kSanitized ? (standard + 3) / 4 : standard;
}

// In memory where possible: some thousand files are made, and none has to last.
class MemoryDirectory {
  public:
    MemoryDirectory() {
        std::string pattern = "/dev/shm/rhumb_XXXXXX";
        path_ = mkdtemp(pattern.data()) != nullptr ? pattern : fallback_.path();
    }
    ~MemoryDirectory() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    std::string file(const std::string &name) const { return path_ + "/" + name; }

  private:
    ScratchDirectory fallback_;
    std::string path_;
};

// An index of 300 vectors of 16 components in three checkpoints, as bytes. It is built on the disk and damaged in
// memory, where syncs cost nothing: path_ names a file of memfd_create. There is no place for a log next to such a
// file, so handles that write to it are opened by open_for_writing.
class DamagedFile : public ::testing::Test {
  protected:
    static constexpr uint64_t kCount = 300;

    void SetUp() override {
        fd_ = memfd_create("damaged.rhumb", MFD_CLOEXEC);
        ASSERT_GE(fd_, 0);
        path_ = "/proc/self/fd/" + std::to_string(fd_);
        ASSERT_NO_FATAL_FAILURE(build(IndexShape(), kCount, 3));
        ASSERT_TRUE(sound_.save(path_));
        Index index;
        ASSERT_EQ(rhumb_test::open_index(path_, true, &index), RHUMB_OK) << rhumb_error_last()->message;
        ASSERT_EQ(rhumb_test::ask(index, vectors_, kCount, false, &answers_), RHUMB_OK);
        rhumb_verify_report report;
        ASSERT_EQ(rhumb_test::verify_index(index, &report), RHUMB_OK) << report.first_error;
    }
    void TearDown() override { close(fd_); }

    // Stores the bytes of an index in sound_.
    void build(const IndexShape &shape, uint64_t count, uint32_t checkpoint_count) {
        const std::string path = directory_.file("sound.rhumb");
        rhumb_test::remove_index(path);
        ASSERT_EQ(rhumb_test::build_index(path, shape, vectors_, count, checkpoint_count), RHUMB_OK)
            << rhumb_error_last()->message;
        sound_ = FileImage::load(path);
    }

    rhumb_status open_for_writing(Index *index) const {
        return rhumb_test::open_index(path_, false, index, RHUMB_DURABILITY_NONE);
    }

    // Changes bytes of the file in place, and reverts the change.
    void put(uint64_t offset, const void *bytes, size_t count) {
        ASSERT_EQ(pwrite(fd_, bytes, count, static_cast<off_t>(offset)), static_cast<ssize_t>(count));
    }
    void restore(uint64_t offset, size_t count) { put(offset, &sound_.bytes()[offset], count); }

    ScratchDirectory directory_;
    std::string path_;
    Vectors vectors_{16, 397};
    FileImage sound_;
    Answers answers_;
    int fd_ = -1;
};

} // namespace fault_test

#endif // RHUMB_TESTS_SUPPORT_FAULT_TEST_SUPPORT_H
