// Goal: on a full disk a checkpoint fails with RHUMB_E_NOSPACE and has no other effect: searches and inserts continue,
// the last checkpoint is whole, and once there is room again the next one succeeds. A log that finds the disk full ends
// writing with RHUMB_E_FATAL, and nothing that was acknowledged is lost. Method: a small tmpfs, mounted in a child with
// namespaces of its own. Where no file system can be mounted, the test is skipped and says so.
#include "tests/support/fault_test_support.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

namespace fault_test {
namespace {

class DiskFull : public ::testing::TestWithParam<const char *> {
  protected:
    // Runs `body` in a child that sees a file system of `bytes` at directory_.
    int run_on_small_disk(uint64_t bytes, const std::function<void()> &body) {
        return io_test::run_in_child([&] {
            const uid_t user = geteuid();
            if (unshare(CLONE_NEWNS) != 0) {
                if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) _exit(io_test::kChildSkipped);
                write_text("/proc/self/setgroups", "deny");
                write_text("/proc/self/uid_map", "0 " + std::to_string(user) + " 1");
            }
            if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) _exit(io_test::kChildSkipped);
            const std::string options = "size=" + std::to_string(bytes);
            if (mount("tmpfs", directory_.path().c_str(), "tmpfs", 0, options.c_str()) != 0) {
                _exit(io_test::kChildSkipped);
            }
            setenv("RHUMB_IO", GetParam(), 1);
            body();
        });
    }
    static void write_text(const char *path, const std::string &text) {
        const int fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0) return;
        if (write(fd, text.data(), text.size()) < 0) perror(path);
        close(fd);
    }

    // Fills the disk except for this much room.
    void fill_disk_but(uint64_t spare_bytes) const {
        const int fd = open(ballast_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        CHILD_CHECK(fd >= 0);
        struct statvfs disk;
        CHILD_CHECK(fstatvfs(fd, &disk) == 0);
        CHILD_CHECK(disk.f_bavail * disk.f_bsize > spare_bytes);
        CHILD_CHECK(fallocate(fd, 0, 0, static_cast<off_t>(disk.f_bavail * disk.f_bsize - spare_bytes)) == 0);
        close(fd);
    }

    ScratchDirectory directory_;
    std::string path_ = directory_.file("full.rhumb");
    std::string ballast_ = directory_.file("ballast");
    Vectors vectors_{64, 3};
    IndexShape shape_;
    DiskFull() { shape_.dim = 64; }
};

INSTANTIATE_TEST_SUITE_P(Backends, DiskFull, ::testing::Values("plain", "uring"), io_test::backend_name);

TEST_P(DiskFull, LosesNothingButTheCheckpoint) {
    const int code = run_on_small_disk(UINT64_C(4) << 20, [&] {
        const std::string ballast(UINT64_C(1) << 20, 'x');
        io_test::put_file(ballast_, ballast);
        Index index;
        CHILD_CHECK(rhumb_test::create_index(path_, shape_, &index, RHUMB_DURABILITY_NONE) == RHUMB_OK);
        uint64_t inserted = 0;
        uint64_t published = 0;
        rhumb_status status = RHUMB_OK;
        rhumb_batch_options options;
        rhumb_batch_options_init(&options, sizeof options);
        options.thread_count = 2;
        while (status == RHUMB_OK) {
            const std::vector<uint64_t> keys = vectors_.keys(inserted, 250);
            const std::vector<float> rows = vectors_.vectors(inserted, 250);
            size_t count = 0;
            CHILD_CHECK(rhumb_index_insert_batch(index, keys.data(), rows.data(), 250, &options, &count) == RHUMB_OK);
            inserted += count;
            status = rhumb_index_checkpoint(index);
            if (status == RHUMB_OK) published = inserted;
            CHILD_CHECK(inserted < 20000);
        }
        CHILD_CHECK(status == RHUMB_E_NOSPACE);
        CHILD_CHECK(rhumb_error_last()->os_errno == ENOSPC);
        CHILD_CHECK(strcmp(rhumb_error_last()->path, path_.c_str()) == 0);
        CHILD_CHECK(published > 0);

        // The handle continues to work, and fails the same way on each attempt.
        for (int i = 0; i < 3; i++) {
            CHILD_CHECK(rhumb_index_checkpoint(index) == RHUMB_E_NOSPACE);
            CHILD_CHECK(rhumb_test::insert_range(index, vectors_, inserted, 10) == RHUMB_OK);
            inserted += 10;
            Answers answers;
            CHILD_CHECK(rhumb_test::ask(index, vectors_, inserted, false, &answers) == RHUMB_OK);
            CHILD_CHECK(answers.vectors == vectors_.vectors(0, inserted));
        }
        // The last checkpoint is whole.
        {
            Index reader;
            CHILD_CHECK(rhumb_test::open_index(path_, true, &reader) == RHUMB_OK);
            CHILD_CHECK(rhumb_index_count(reader) == published);
            rhumb_verify_report report;
            CHILD_CHECK(rhumb_test::verify_index(reader, &report) == RHUMB_OK);
        }
        // There is room again.
        CHILD_CHECK(unlink(ballast_.c_str()) == 0);
        CHILD_CHECK(rhumb_index_checkpoint(index) == RHUMB_OK);
        CHILD_CHECK(index.close() == RHUMB_OK);
        CHILD_CHECK(rhumb_test::open_index(path_, true, &index) == RHUMB_OK);
        CHILD_CHECK(rhumb_index_count(index) == inserted);
        rhumb_verify_report report;
        CHILD_CHECK(rhumb_test::verify_index(index, &report) == RHUMB_OK);
    });
    if (code == io_test::kChildSkipped) GTEST_SKIP() << "no file system can be mounted here";
    EXPECT_EQ(code, 0);
}

// With any amount of room, a checkpoint succeeds or finds the disk full before it has changed anything. Superblocks
// that were written for the first time could once meet the full disk themselves, which made the handle fail for good.
TEST_P(DiskFull, IsNeverFatal) {
    const int code = run_on_small_disk(UINT64_C(4) << 20, [&] {
        uint64_t full_count = 0;
        uint64_t written_count = 0;
        for (uint64_t round = 0; round < 140; round += rhumb_test::kSanitized ? 5 : 1) {
            const uint64_t spare_pages = 106 + round / 2; // around what the first checkpoint needs
            Index index;
            CHILD_CHECK(rhumb_test::create_index(path_, shape_, &index,
                                                 round % 2 == 0 ? RHUMB_DURABILITY_FULL : RHUMB_DURABILITY_NONE) ==
                        RHUMB_OK);
            CHILD_CHECK(rhumb_test::insert_range(index, vectors_, 0, 10) == RHUMB_OK);
            fill_disk_but(spare_pages * 4096);
            const rhumb_status status = rhumb_index_checkpoint(index);
            CHILD_CHECK(status == RHUMB_OK || status == RHUMB_E_NOSPACE);
            (status == RHUMB_OK ? written_count : full_count)++;
            CHILD_CHECK(unlink(ballast_.c_str()) == 0);
            CHILD_CHECK(index.close() == RHUMB_OK);
            CHILD_CHECK(rhumb_test::open_index(path_, true, &index) == RHUMB_OK);
            CHILD_CHECK(rhumb_index_count(index) == 10);
            rhumb_test::remove_index(path_);
        }
        CHILD_CHECK(full_count > 0 && written_count > 0);
    });
    if (code == io_test::kChildSkipped) GTEST_SKIP() << "no file system can be mounted here";
    EXPECT_EQ(code, 0);
}

// Wherever a compaction finds the disk full, everything is there as before, and the next one works.
TEST_P(DiskFull, LosesNothingButTheCompaction) {
    const int code = run_on_small_disk(UINT64_C(12) << 20, [&] {
        uint64_t full_count = 0;
        for (uint64_t round = 0; round < 14; round += rhumb_test::kSanitized ? 3 : 1) {
            Index index;
            CHILD_CHECK(rhumb_test::create_index(path_, shape_, &index,
                                                 round % 2 == 0 ? RHUMB_DURABILITY_FULL : RHUMB_DURABILITY_NONE) ==
                        RHUMB_OK);
            CHILD_CHECK(rhumb_test::insert_range(index, vectors_, 0, 2000) == RHUMB_OK);
            for (uint64_t i = 1000; i < 2000; i++) {
                CHILD_CHECK(rhumb_index_delete(index, vectors_.key(i)) == RHUMB_OK);
            }
            CHILD_CHECK(rhumb_index_checkpoint(index) == RHUMB_OK);
            /* The deletes have begun a compaction in the background, which takes what is about to be filled. */
            CHILD_CHECK(rhumb_index_wait_idle(index) == RHUMB_OK);
            fill_disk_but(round * (UINT64_C(64) << 10));
            const rhumb_status status = rhumb_index_compact(index, nullptr, nullptr, 0);
            CHILD_CHECK(status == RHUMB_OK || status == RHUMB_E_NOSPACE);
            full_count += status == RHUMB_E_NOSPACE;
            Answers answers;
            CHILD_CHECK(rhumb_test::ask(index, vectors_, 1000, false, &answers) == RHUMB_OK);
            CHILD_CHECK(answers.vectors == vectors_.vectors(0, 1000));
            {
                Index reader;
                CHILD_CHECK(rhumb_test::open_index(path_, true, &reader) == RHUMB_OK);
                CHILD_CHECK(rhumb_index_count(reader) == 1000);
            }
            CHILD_CHECK(unlink(ballast_.c_str()) == 0);
            CHILD_CHECK(rhumb_index_compact(index, nullptr, nullptr, 0) == RHUMB_OK);
            rhumb_verify_report report;
            CHILD_CHECK(rhumb_test::verify_index(index, &report) == RHUMB_OK);
            CHILD_CHECK(index.close() == RHUMB_OK);
            CHILD_CHECK(rhumb_test::open_index(path_, true, &index) == RHUMB_OK);
            CHILD_CHECK(rhumb_index_count(index) == 1000);
            CHILD_CHECK(rhumb_test::ask(index, vectors_, 1000, false, &answers) == RHUMB_OK);
            CHILD_CHECK(answers.vectors == vectors_.vectors(0, 1000));
            rhumb_test::remove_index(path_);
        }
        CHILD_CHECK(full_count > 1);
    });
    if (code == io_test::kChildSkipped) GTEST_SKIP() << "no file system can be mounted here";
    EXPECT_EQ(code, 0);
}

TEST_P(DiskFull, WithoutALogAClosingThatFailsLeavesTheLastCheckpoint) {
    const int code = run_on_small_disk(UINT64_C(3) << 20, [&] {
        Index index;
        CHILD_CHECK(rhumb_test::create_index(path_, shape_, &index, RHUMB_DURABILITY_NONE) == RHUMB_OK);
        CHILD_CHECK(rhumb_test::insert_range(index, vectors_, 0, 100) == RHUMB_OK);
        CHILD_CHECK(rhumb_index_checkpoint(index) == RHUMB_OK);
        CHILD_CHECK(rhumb_test::insert_range(index, vectors_, 100, 12000) == RHUMB_OK);
        CHILD_CHECK(index.close() == RHUMB_E_NOSPACE);
        CHILD_CHECK(rhumb_test::open_index(path_, false, &index) == RHUMB_OK);
        CHILD_CHECK(rhumb_index_count(index) == 100);
        Answers answers;
        CHILD_CHECK(rhumb_test::ask(index, vectors_, 100, false, &answers) == RHUMB_OK);
    });
    if (code == io_test::kChildSkipped) GTEST_SKIP() << "no file system can be mounted here";
    EXPECT_EQ(code, 0);
}

TEST_P(DiskFull, EndsWritingWithALogAndLosesNothing) {
    const int code = run_on_small_disk(UINT64_C(12) << 20, [&] {
        fill_disk_but(UINT64_C(3) << 20);
        Index index;
        CHILD_CHECK(rhumb_test::create_index(path_, shape_, &index) == RHUMB_OK);
        CHILD_CHECK(rhumb_test::insert_range(index, vectors_, 0, 100) == RHUMB_OK);
        CHILD_CHECK(rhumb_index_checkpoint(index) == RHUMB_OK);
        uint64_t count = 100;
        rhumb_status status = RHUMB_OK;
        for (; status == RHUMB_OK && count < 20000; count += status == RHUMB_OK) {
            status = rhumb_test::insert_range(index, vectors_, count, 1);
        }
        CHILD_CHECK(status == RHUMB_E_FATAL);
        CHILD_CHECK(rhumb_error_last()->os_errno == ENOSPC);
        CHILD_CHECK(path_ + "-wal" == rhumb_error_last()->path);
        // Searches continue; writes fail, even when there is room again.
        CHILD_CHECK(unlink(ballast_.c_str()) == 0);
        Answers answers;
        CHILD_CHECK(rhumb_test::ask(index, vectors_, count, false, &answers) == RHUMB_OK);
        CHILD_CHECK(answers.vectors == vectors_.vectors(0, count));
        CHILD_CHECK(rhumb_test::insert_range(index, vectors_, count + 1, 1) == RHUMB_E_FATAL);
        CHILD_CHECK(rhumb_index_delete(index, vectors_.key(0)) == RHUMB_E_FATAL);
        CHILD_CHECK(rhumb_index_checkpoint(index) == RHUMB_E_FATAL);
        CHILD_CHECK(rhumb_index_sync(index) == RHUMB_E_FATAL);
        CHILD_CHECK(index.close() == RHUMB_E_FATAL);

        // The next handle has everything immediately, although there is no room for a checkpoint.
        fill_disk_but(4096);
        CHILD_CHECK(rhumb_test::open_index(path_, false, &index) == RHUMB_OK);
        const uint64_t recovered = rhumb_index_count(index);
        CHILD_CHECK(recovered == count || recovered == count + 1); // the one that failed may be there
        CHILD_CHECK(rhumb_test::ask(index, vectors_, count, false, &answers) == RHUMB_OK);
        CHILD_CHECK(answers.vectors == vectors_.vectors(0, count));
        CHILD_CHECK(rhumb_index_wait_idle(index) == RHUMB_OK);
        CHILD_CHECK(rhumb_index_checkpoint(index) == RHUMB_E_NOSPACE);
        CHILD_CHECK(index.close() == RHUMB_E_NOSPACE);
        CHILD_CHECK(unlink(ballast_.c_str()) == 0);
        CHILD_CHECK(rhumb_test::open_index(path_, false, &index) == RHUMB_OK);
        CHILD_CHECK(rhumb_index_count(index) == recovered);
        rhumb_verify_report report;
        CHILD_CHECK(rhumb_test::verify_index(index, &report) == RHUMB_OK);
        CHILD_CHECK(rhumb_test::insert_range(index, vectors_, count + 1, 10) == RHUMB_OK);
        CHILD_CHECK(index.close() == RHUMB_OK);
        CHILD_CHECK(access((path_ + "-wal").c_str(), F_OK) != 0);
    });
    if (code == io_test::kChildSkipped) GTEST_SKIP() << "no file system can be mounted here";
    EXPECT_EQ(code, 0);
}

TEST_P(DiskFull, AnIndexThatCannotBeCreatedLeavesNoFile) {
    const int code = run_on_small_disk(UINT64_C(128) << 10, [&] {
        Index index;
        CHILD_CHECK(rhumb_test::create_index(path_, shape_, &index) == RHUMB_E_NOSPACE);
        CHILD_CHECK(access(path_.c_str(), F_OK) != 0);
    });
    if (code == io_test::kChildSkipped) GTEST_SKIP() << "no file system can be mounted here";
    EXPECT_EQ(code, 0);
}

} // namespace
} // namespace fault_test
