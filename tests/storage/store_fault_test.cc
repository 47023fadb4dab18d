// Goal: whatever call of a publication fails, and however, the previous version stays complete; a failure before the
// sync may be tried again and succeeds once the disk works, a failure of the sync makes the handle RHUMB_E_FATAL.
// Method: the same step of a store's life, repeated; each time the next io call fails (see tests/support/io_fault.h),
// until one run ends before the fault.
#include "tests/support/io_fault.h"
#include "tests/support/store_test_support.h"

#include <fcntl.h>

#include <cerrno>

extern "C" {
#include "base/alloc.h"
}

namespace store_test {
namespace {

using rhumb_test::io_fault_arm;
using rhumb_test::io_fault_backend;
using rhumb_test::io_fault_call_count;
using rhumb_test::io_fault_disarm;
using rhumb_test::io_fault_hit;
using rhumb_test::IoCall;
using rhumb_test::IoFault;

// Without the section whose chunks are megabytes: it makes the same calls with more bytes.
const std::vector<store_harness_spec> kFew(kSpecs.begin(), kSpecs.begin() + 5);

struct Mode {
    const char *name;
    int os_errno;
    bool persistent;
    bool short_write;
};

std::ostream &operator<<(std::ostream &out, const Mode &mode) { return out << mode.name; }

class StoreFault : public ::testing::TestWithParam<Mode> {
  protected:
    void TearDown() override {
        io_fault_arm({});
        rhumb__alloc_fail_after(0, false);
    }
    IoFault fault(uint64_t call_number) const {
        IoFault made;
        made.call_number = call_number;
        made.os_errno = GetParam().os_errno;
        made.persistent = GetParam().persistent;
        made.short_write = GetParam().short_write;
        return made;
    }
    // After a failure that changed nothing: the file holds `expected`, and the next publication succeeds.
    void expect_going_on(Handle *writer, Model *model, const Rows &expected) {
        {
            Handle reader = open(&io_fault_backend, path_, false, kFew);
            EXPECT_TRUE(holds(reader, expected, kFew));
            EXPECT_TRUE(is_whole(reader));
        }
        ASSERT_NO_FATAL_FAILURE(model->change(*writer, 2, 3));
        ASSERT_EQ(model->publish(*writer), RHUMB_OK) << rhumb__error_last()->message;
        writer->close();
        Handle next = open(&io_fault_backend, path_, true, kFew);
        EXPECT_TRUE(holds(next, model->rows(), kFew));
        EXPECT_TRUE(is_whole(next));
    }

    // After a failure that leaves it open what the disk holds: the handle writes no more, and the file holds one of the
    // two versions, whole.
    void expect_one_of(Handle *writer, Model *model, const Rows &published) {
        EXPECT_EQ(model->publish(*writer), RHUMB_E_FATAL);
        EXPECT_EQ(path_, rhumb__error_last()->path);
        writer->close();
        Handle next = open(&io_fault_backend, path_, true, kFew);
        ASSERT_NE(static_cast<store_harness *>(next), nullptr);
        EXPECT_TRUE(is_whole(next));
        if (!holds(next, published, kFew)) {
            EXPECT_TRUE(holds(next, model->rows(), kFew)) << "neither the version before nor the new one";
        }
    }

    io_test::ScratchDirectory directory_;
    std::string path_ = directory_.file("data");
};

INSTANTIATE_TEST_SUITE_P(Modes, StoreFault,
                         ::testing::Values(Mode{"OneError", EIO, false, false},
                                           Mode{"OneFullDisk", ENOSPC, false, true},
                                           Mode{"ErrorsFromThenOn", EIO, true, false},
                                           Mode{"FullFromThenOn", ENOSPC, true, true}),
                         [](const ::testing::TestParamInfo<Mode> &info) { return std::string(info.param.name); });

// A store with two published versions, and changes of every kind to publish.
void prepare(const std::string &path, Model *model, Handle *writer, Rows *published) {
    *writer = create(&io_fault_backend, path, kFew);
    for (uint32_t i = 0; i < kFew.size(); i++) ASSERT_NO_FATAL_FAILURE(model->append(*writer, i, 400));
    ASSERT_EQ(model->publish(*writer), RHUMB_OK);
    for (uint32_t i = 0; i < kFew.size(); i++) ASSERT_NO_FATAL_FAILURE(model->change(*writer, i, 5));
    ASSERT_EQ(model->publish(*writer), RHUMB_OK);
    *published = model->rows();
    for (uint32_t i = 0; i < kFew.size(); i++) {
        ASSERT_NO_FATAL_FAILURE(model->append(*writer, i, 1 + model->random()() % 300));
        ASSERT_NO_FATAL_FAILURE(model->change(*writer, i, 5));
    }
}

TEST_P(StoreFault, AFailedPublicationLeavesThePreviousVersion) {
    uint64_t sync_failure_count = 0;
    uint64_t other_failure_count = 0;
    for (uint64_t n = 1;; n++) {
        ASSERT_LT(n, 1000u) << "a publication makes a few dozen calls";
        Model model(21, kFew); // the same calls each time
        Handle writer;
        Rows published;
        ASSERT_NO_FATAL_FAILURE(prepare(path_, &model, &writer, &published));
        io_fault_arm(fault(n));
        const rhumb_status status = model.publish(writer);
        const IoCall hit = io_fault_hit();
        io_fault_arm({});
        SCOPED_TRACE(std::string("call ") + std::to_string(n) + ": " + rhumb_test::io_call_name(hit));
        if (hit == IoCall::kCount) {
            EXPECT_EQ(status, RHUMB_OK);
            break;
        }
        // What makes a version visible is a sync, or a superblock on its way to the disk: then it is unknown.
        const bool fatal = store_harness_failed(writer);
        if (hit == IoCall::kSync) {
            EXPECT_TRUE(fatal);
            sync_failure_count++;
        }
        Rows expected = published;
        if (status == RHUMB_OK) {
            // Mapping the new version is a convenience: memory holds the same bytes.
            EXPECT_TRUE(hit == IoCall::kMap || hit == IoCall::kLockTest);
            EXPECT_FALSE(fatal);
            expected = model.rows();
        } else {
            EXPECT_EQ(status, fatal ? RHUMB_E_FATAL : GetParam().os_errno == EIO ? RHUMB_E_IO : RHUMB_E_NOSPACE);
            EXPECT_EQ(rhumb__error_last()->status, status);
            EXPECT_EQ(path_, rhumb__error_last()->path);
            other_failure_count += !fatal;
        }
        if (fatal) {
            ASSERT_NO_FATAL_FAILURE(expect_one_of(&writer, &model, published));
        } else {
            ASSERT_NO_FATAL_FAILURE(expect_going_on(&writer, &model, expected));
        }
        ASSERT_EQ(unlink(path_.c_str()), 0);
        if (HasFailure()) break;
    }
    EXPECT_EQ(sync_failure_count, 2u) << "the data's and the superblock's";
    EXPECT_GE(other_failure_count, 10u);
}

// At every moment two versions are whole, so that one may be damaged: also when everything of the next one but its
// superblock has been written.
TEST_P(StoreFault, BothVersionsOnTheDiskStayComplete) {
    Model model(22, kFew);
    Handle writer;
    Rows newest;
    ASSERT_NO_FATAL_FAILURE(prepare(path_, &model, &writer, &newest));
    Rows before;
    std::vector<uint8_t> older; // the file before the newest version
    for (int i = 0; i < 6; i++) {
        before = newest;
        newest = model.rows();
        older = io_test::file_bytes(path_);
        ASSERT_EQ(model.publish(writer), RHUMB_OK);
        for (uint32_t k = 0; k < kFew.size(); k++) ASSERT_NO_FATAL_FAILURE(model.change(writer, k, 400));
    }
    IoFault sync = fault(1);
    sync.calls = rhumb_test::io_call_bit(IoCall::kSync);
    io_fault_arm(sync);
    ASSERT_EQ(model.publish(writer), RHUMB_E_FATAL);
    io_fault_arm({});
    const uint64_t epoch = store_harness_superblock(writer)->epoch;
    writer.close();
    {
        Handle reader = open(&io_fault_backend, path_, false, kFew);
        EXPECT_TRUE(holds(reader, newest, kFew));
        EXPECT_TRUE(is_whole(reader));
    }
    const int fd = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC);
    ASSERT_GE(fd, 0);
    for (const off_t copy : {0, 81920}) { // as if the newest superblock had never reached the disk
        const off_t place = copy + static_cast<off_t>(epoch % 2) * 16384;
        EXPECT_EQ(pwrite(fd, &older[static_cast<size_t>(place)], 4096, place), 4096);
    }
    close(fd);
    Handle reader = open(&io_fault_backend, path_, false, kFew);
    ASSERT_NE(static_cast<store_harness *>(reader), nullptr);
    EXPECT_EQ(store_harness_superblock(reader)->epoch, epoch - 1);
    EXPECT_TRUE(holds(reader, before, kFew));
    EXPECT_TRUE(is_whole(reader));
}

TEST_P(StoreFault, AFailedCreationLeavesNoFile) {
    for (uint64_t n = 1;; n++) {
        ASSERT_LT(n, 1000u);
        io_fault_arm(fault(n));
        store_harness *harness = nullptr;
        const rhumb_status status =
            store_harness_create(&io_fault_backend, path_.c_str(), kFew.data(), kFew.size(), &harness);
        const IoCall hit = io_fault_hit();
        io_fault_arm({});
        if (hit == IoCall::kCount) {
            EXPECT_EQ(status, RHUMB_OK);
            store_harness_close(harness);
            break;
        }
        EXPECT_NE(status, RHUMB_OK) << n;
        EXPECT_EQ(harness, nullptr);
        // The file can be left only if removing it fails as well.
        if (!GetParam().persistent) {
            EXPECT_NE(access(path_.c_str(), F_OK), 0) << n;
        }
        unlink(path_.c_str());
    }
}

TEST_P(StoreFault, AFailedOpeningChangesNothing) {
    for (const bool writable : {false, true}) {
        Model model(17, kFew);
        Handle writer;
        Rows published;
        ASSERT_NO_FATAL_FAILURE(prepare(path_, &model, &writer, &published));
        writer.close();
        const std::vector<uint8_t> before = io_test::file_bytes(path_);
        for (uint64_t n = 1;; n++) {
            ASSERT_LT(n, 1000u);
            io_fault_arm(fault(n));
            store_harness *harness = nullptr;
            const rhumb_status status =
                store_harness_open(&io_fault_backend, path_.c_str(), writable, kFew.data(), kFew.size(), &harness);
            const IoCall hit = io_fault_hit();
            io_fault_arm({});
            Handle opened(harness);
            if (status == RHUMB_OK) {
                EXPECT_TRUE(holds(opened, published, kFew)) << n;
            } else {
                EXPECT_EQ(harness, nullptr);
                EXPECT_EQ(status, GetParam().os_errno == EIO ? RHUMB_E_IO : RHUMB_E_NOSPACE) << n;
            }
            opened.close();
            ASSERT_TRUE(io_test::file_bytes(path_) == before) << n;
            // Nothing is left locked.
            Handle next = open(&io_fault_backend, path_, true, kFew);
            ASSERT_NE(static_cast<store_harness *>(next), nullptr) << n;
            if (hit == IoCall::kCount) break;
        }
        ASSERT_EQ(unlink(path_.c_str()), 0);
    }
}

TEST_P(StoreFault, AFailedVerificationReturnsAStatus) {
    Model model(18, kFew);
    Handle writer;
    Rows published;
    ASSERT_NO_FATAL_FAILURE(prepare(path_, &model, &writer, &published));
    Handle reader = open(&io_fault_backend, path_, false, kFew);
    for (store_harness *store : {static_cast<store_harness *>(writer), static_cast<store_harness *>(reader)}) {
        for (uint64_t n = 1;; n++) {
            ASSERT_LT(n, 1000u);
            io_fault_arm(fault(n));
            uint64_t chunk_count = 0;
            uint64_t error_count = 0;
            const rhumb_status status = store_harness_verify(store, &chunk_count, &error_count, nullptr);
            const IoCall hit = io_fault_hit();
            io_fault_arm({});
            if (hit == IoCall::kCount) {
                EXPECT_EQ(status, RHUMB_OK);
                EXPECT_EQ(error_count, 0u);
                break;
            }
            EXPECT_EQ(status, GetParam().os_errno == EIO ? RHUMB_E_IO : RHUMB_E_NOSPACE);
        }
    }
}

// When many publications fail, the blocks they took are given back.
TEST_P(StoreFault, FailedPublicationsLoseNoSpace) {
    Model model(19, kFew);
    Handle writer;
    Rows published;
    ASSERT_NO_FATAL_FAILURE(prepare(path_, &model, &writer, &published));
    ASSERT_EQ(model.publish(writer), RHUMB_OK);
    uint64_t end = 0;
    for (uint64_t n = 1; n < 60; n++) {
        IoFault chosen = fault(1 + n % 20);
        chosen.calls = rhumb_test::io_call_bit(IoCall::kAllocate) | rhumb_test::io_call_bit(IoCall::kWrite) |
                       rhumb_test::io_call_bit(IoCall::kDrain);
        ASSERT_NO_FATAL_FAILURE(model.change(writer, 2, 3));
        ASSERT_NO_FATAL_FAILURE(model.change(writer, 4, 3));
        io_fault_arm(chosen);
        const rhumb_status status = model.publish(writer);
        io_fault_arm({});
        if (store_harness_failed(writer)) { // the superblock's write was hit
            writer.close();
            writer = open(&io_fault_backend, path_, true, kFew);
            continue;
        }
        if (status == RHUMB_OK) continue;
        if (end == 0) end = store_harness_file_end(writer);
        ASSERT_LE(store_harness_file_end(writer), end + 8 * RHUMB__BLOCK_BYTES) << n;
    }
    EXPECT_NE(end, 0u);
}

class StoreMemory : public ::testing::Test {
  protected:
    void TearDown() override { rhumb__alloc_fail_after(0, false); }
    io_test::ScratchDirectory directory_;
    std::string path_ = directory_.file("data");
};

TEST_F(StoreMemory, PublishingFailsCleanlyAtEveryAllocation) {
    for (const bool persistent : {false, true}) {
        uint64_t failure_count = 0;
        Model model(20, kFew);
        Handle writer;
        Rows published;
        ASSERT_NO_FATAL_FAILURE(prepare(path_, &model, &writer, &published));
        for (uint64_t n = 1;; n++) {
            ASSERT_LT(n, 1000u);
            rhumb__alloc_fail_after(n, persistent);
            const rhumb_status status = model.publish(writer);
            const uint64_t request_count = rhumb__alloc_request_count();
            rhumb__alloc_fail_after(0, false);
            Handle reader = open(&io_fault_backend, path_, false, kFew);
            ASSERT_TRUE(is_whole(reader)) << n;
            if (status == RHUMB_OK) {
                published = model.rows();
                if (request_count < n) break;
                for (uint32_t i = 0; i < kFew.size(); i++) ASSERT_NO_FATAL_FAILURE(model.change(writer, i, 3));
            } else {
                ASSERT_EQ(status, RHUMB_E_NOMEM) << rhumb__error_last()->message;
                failure_count++;
            }
            ASSERT_TRUE(holds(reader, published, kFew)) << n;
        }
        EXPECT_GE(failure_count, 10u);
        writer.close();
        Handle reader = open(&io_fault_backend, path_, false, kFew);
        EXPECT_TRUE(holds(reader, model.rows(), kFew));
        reader.close();
        ASSERT_EQ(unlink(path_.c_str()), 0);
    }
}

TEST_F(StoreMemory, OpeningFailsCleanlyAtEveryAllocation) {
    Model model(21, kFew);
    Handle writer;
    Rows published;
    ASSERT_NO_FATAL_FAILURE(prepare(path_, &model, &writer, &published));
    writer.close();
    for (const bool writable : {false, true}) {
        uint64_t failure_count = 0;
        for (uint64_t n = 1;; n++) {
            ASSERT_LT(n, 1000u);
            rhumb__alloc_fail_after(n, false);
            store_harness *harness = nullptr;
            const rhumb_status status =
                store_harness_open(&io_fault_backend, path_.c_str(), writable, kFew.data(), kFew.size(), &harness);
            const uint64_t request_count = rhumb__alloc_request_count();
            rhumb__alloc_fail_after(0, false);
            Handle opened(harness);
            if (status == RHUMB_OK) {
                ASSERT_TRUE(holds(opened, published, kFew)) << n;
            } else {
                ASSERT_EQ(status, RHUMB_E_NOMEM) << n << ": " << rhumb__error_last()->message;
                failure_count++;
            }
            if (request_count < n) break;
        }
        EXPECT_GE(failure_count, 5u);
    }
}

} // namespace
} // namespace store_test
