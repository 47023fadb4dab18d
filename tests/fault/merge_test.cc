// Goal: a merge makes a whole index or none, whatever happens in the meantime: no memory, a call of the system that
// fails, a full disk, a process that is killed, a cut of power, sources that are damaged. Sources stay as they are, and
// the next merge works. Method: three small sources with deletes and equal vectors; each request for memory and each
// io call refused in turn, kills at random moments, disks as cuts may have left them after each change, and bytes of
// sources overwritten at random.
#include "tests/support/fault_test_support.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "tests/support/io_fault.h"
#include "tests/support/io_sim.h"

extern "C" {
#include "base/alloc.h"
}

namespace fault_test {
namespace {

using rhumb_test::IoCall;
using rhumb_test::IoFault;

constexpr uint32_t kDim = 8;
constexpr uint64_t kSourceCount = 3;
constexpr uint64_t kPerSource = 150;
constexpr uint64_t kDeleted = 30; // of each
constexpr uint64_t kLive = kSourceCount * (kPerSource - kDeleted);

class MergeFault : public ::testing::Test {
  protected:
    ~MergeFault() override {
        rhumb__alloc_fail_after(0, false);
        rhumb_test::io_fault_arm(IoFault());
        rhumb__io_backend_set_default(nullptr);
    }

    // Makes the sources in a folder.
    void make_sources(const std::string &folder) {
        folder_ = folder;
        IndexShape shape;
        shape.dim = kDim;
        for (uint64_t i = 0; i < kSourceCount; i++) {
            Index index;
            ASSERT_EQ(rhumb_test::create_index(source_path(i), shape, &index, RHUMB_DURABILITY_NONE), RHUMB_OK)
                << rhumb_error_last()->message;
            const std::vector<uint64_t> keys = vectors_.keys(i * kPerSource, kPerSource);
            const std::vector<float> rows = vectors_.vectors(i * kPerSource, kPerSource);
            ASSERT_EQ(rhumb_index_insert_batch(index, keys.data(), rows.data(), kPerSource, nullptr, nullptr),
                      RHUMB_OK);
            for (uint64_t at = 0; at < kDeleted; at++) ASSERT_EQ(rhumb_index_delete(index, keys[at * 5]), RHUMB_OK);
            ASSERT_EQ(rhumb_index_checkpoint(index), RHUMB_OK);
            ASSERT_EQ(index.close(), RHUMB_OK);
        }
    }

    std::string source_path(uint64_t i) const { return folder_ + "/source" + std::to_string(i); }
    std::string new_path() const { return folder_ + "/merged"; }

    rhumb_status merge(uint32_t thread_count) const {
        std::vector<std::string> paths;
        std::vector<const char *> texts;
        for (uint64_t i = 0; i < kSourceCount; i++) paths.push_back(source_path(i));
        for (const std::string &path : paths) texts.push_back(path.c_str());
        rhumb_merge_options options;
        rhumb_merge_options_init(&options, sizeof options);
        options.thread_count = thread_count;
        options.codes = RHUMB_CODES_8BIT;
        options.fused = RHUMB_FUSED_1BIT;
        return rhumb_index_merge_into(texts.data(), texts.size(), new_path().c_str(), &options, nullptr, 0);
    }

    // The new index has the live vectors of all sources.
    void expect_whole() const {
        Index index;
        ASSERT_EQ(rhumb_test::open_index(new_path(), true, &index), RHUMB_OK) << rhumb_error_last()->message;
        ASSERT_EQ(rhumb_index_count(index), kLive);
        rhumb_verify_report report;
        ASSERT_EQ(rhumb_test::verify_index(index, &report), RHUMB_OK) << report.first_error;
        ASSERT_EQ(report.unreachable_count, 0u);
        for (uint64_t i = 0; i < kSourceCount * kPerSource; i += 7) {
            std::vector<float> vector(kDim);
            const bool deleted = i % kPerSource < kDeleted * 5 && i % kPerSource % 5 == 0;
            const rhumb_status status = rhumb_index_get_vector(index, vectors_.key(i), vector.data());
            ASSERT_EQ(status, deleted ? RHUMB_E_NOTFOUND : RHUMB_OK) << i;
            ASSERT_TRUE(deleted || vector == vectors_.vector(i)) << i;
        }
    }

    void expect_sources_whole() const {
        for (uint64_t i = 0; i < kSourceCount; i++) {
            Index index;
            ASSERT_EQ(rhumb_test::open_index(source_path(i), true, &index), RHUMB_OK) << rhumb_error_last()->message;
            ASSERT_EQ(rhumb_index_count(index), kPerSource - kDeleted);
            rhumb_verify_report report;
            ASSERT_EQ(rhumb_test::verify_index(index, &report), RHUMB_OK) << report.first_error;
        }
    }

    bool exists(const std::string &suffix) const { return access((new_path() + suffix).c_str(), F_OK) == 0; }

    // After a merge that ended with `status`: all, or nothing. `may_leave`: removing may have failed too.
    void judge(rhumb_status status, bool may_leave) {
        if (status == RHUMB_OK) {
            ASSERT_NO_FATAL_FAILURE(expect_whole());
        } else {
            ASSERT_TRUE(may_leave || !(exists("") || exists("-merging")));
            if (exists("")) expect_whole(); /* it had its name when removing it failed too */
        }
        ASSERT_FALSE(exists("-wal"));
    }

    MemoryDirectory directory_;
    std::string folder_;
    Vectors vectors_{kDim, 23};
};

TEST_F(MergeFault, WithoutMemoryMakesNoIndex) {
    ASSERT_NO_FATAL_FAILURE(make_sources(directory_.file("")));
    std::mt19937_64 random(choose_seed());
    uint64_t failed_count = 0;
    const uint64_t stride = full_run() ? 1 : kSanitized ? 8 : 3;
    for (const bool from_then_on : {true, false}) {
        for (uint64_t n = 1 + random() % stride;; n += stride) {
            SCOPED_TRACE("request " + std::to_string(n) + (from_then_on ? " and all later" : ""));
            ASSERT_LT(n, 3000u);
            rhumb__alloc_fail_after(n, from_then_on);
            const rhumb_status status = merge(1);
            const bool met = rhumb__alloc_request_count() >= n;
            rhumb__alloc_fail_after(0, false);
            ASSERT_TRUE(status == RHUMB_OK || status == RHUMB_E_NOMEM) << rhumb_error_last()->message;
            ASSERT_NO_FATAL_FAILURE(judge(status, false));
            rhumb_test::remove_index(new_path());
            failed_count += status != RHUMB_OK;
            if (!met) break;
        }
    }
    printf("%llu merges failed for want of memory\n", static_cast<unsigned long long>(failed_count));
    EXPECT_GE(failed_count, 20u);
    expect_sources_whole();
}

TEST_F(MergeFault, ThatMeetsAFailingCallMakesNoIndex) {
    ASSERT_NO_FATAL_FAILURE(make_sources(directory_.file("")));
    rhumb__io_backend_set_default(&rhumb_test::io_fault_backend);
    std::mt19937_64 random(choose_seed());
    uint64_t failed_count = 0;
    const uint64_t stride = full_run() ? 1 : kSanitized ? 8 : 2;
    for (const int os_errno : {EIO, ENOSPC}) {
        for (const bool persistent : {false, true}) {
            for (uint64_t n = 1 + random() % stride;; n += stride) {
                SCOPED_TRACE("call " + std::to_string(n) + (persistent ? " and all later" : ""));
                ASSERT_LT(n, 3000u);
                IoFault fault;
                fault.call_number = n;
                fault.persistent = persistent;
                fault.short_write = n % 2 == 0;
                fault.os_errno = os_errno;
                rhumb_test::io_fault_arm(fault);
                const rhumb_status status = merge(1);
                const bool hit = rhumb_test::io_fault_hit() != IoCall::kCount;
                rhumb_test::io_fault_disarm();
                const rhumb_status of_errno = os_errno == ENOSPC ? RHUMB_E_NOSPACE : RHUMB_E_IO;
                ASSERT_TRUE(status == RHUMB_OK || status == of_errno || status == RHUMB_E_FATAL)
                    << rhumb_status_name(status) << ": " << rhumb_error_last()->message;
                ASSERT_NO_FATAL_FAILURE(judge(status, persistent))
                    << rhumb_test::io_call_name(rhumb_test::io_fault_hit());
                if (status != RHUMB_OK && n % 16 == 1) {
                    ASSERT_EQ(merge(1), RHUMB_OK) << "after a failure: " << rhumb_error_last()->message;
                    ASSERT_NO_FATAL_FAILURE(expect_whole());
                }
                rhumb_test::remove_index(new_path());
                unlink((new_path() + "-merging").c_str());
                failed_count += status != RHUMB_OK;
                if (!hit) break;
            }
        }
    }
    printf("%llu merges failed because of a call\n", static_cast<unsigned long long>(failed_count));
    EXPECT_GE(failed_count, 20u);
    expect_sources_whole();
}

TEST_F(MergeFault, KilledLeavesNoIndexOrAWholeOneAndTheNextWorks) {
    std::mt19937_64 random(choose_seed());
    ASSERT_NO_FATAL_FAILURE(make_sources(directory_.file("")));
    const uint64_t rounds = iteration_count(20);
    uint64_t cut_count = 0;
    timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    ASSERT_EQ(merge(2), RHUMB_OK);
    clock_gettime(CLOCK_MONOTONIC, &end);
    const auto took_ns = static_cast<uint64_t>((end.tv_sec - begin.tv_sec) * 1000000000L + end.tv_nsec - begin.tv_nsec);
    for (uint64_t round = 0; round < rounds; round++) {
        SCOPED_TRACE("round " + std::to_string(round));
        rhumb_test::remove_index(new_path());
        const pid_t child = fork();
        ASSERT_GE(child, 0);
        if (child == 0) _exit(merge(2) == RHUMB_OK ? 0 : 1);
        const uint64_t pause_ns = random() % (took_ns + took_ns / 4);
        const timespec pause = {static_cast<time_t>(pause_ns / 1000000000), static_cast<long>(pause_ns % 1000000000)};
        nanosleep(&pause, nullptr);
        kill(child, SIGKILL);
        int state = 0;
        ASSERT_EQ(waitpid(child, &state, 0), child);
        ASSERT_TRUE(WIFSIGNALED(state) || WEXITSTATUS(state) == 0);
        if (exists("")) {
            ASSERT_NO_FATAL_FAILURE(expect_whole());
            continue;
        }
        ASSERT_TRUE(WIFSIGNALED(state));
        cut_count++;
        ASSERT_EQ(merge(2), RHUMB_OK) << rhumb_error_last()->message;
        ASSERT_NO_FATAL_FAILURE(expect_whole());
        ASSERT_FALSE(exists("-merging"));
    }
    printf("%llu merges cut short\n", static_cast<unsigned long long>(cut_count));
    EXPECT_GT(cut_count, 0u);
    expect_sources_whole();
}

TEST_F(MergeFault, CutOffThePowerLeavesNoIndexOrAWholeOne) {
    std::mt19937_64 random(choose_seed());
    rhumb_test::sim_reset();
    rhumb__io_backend_set_default(&rhumb_test::io_sim_backend);
    ASSERT_NO_FATAL_FAILURE(make_sources("/sim"));
    const uint64_t before = rhumb_test::sim_position();
    ASSERT_EQ(merge(2), RHUMB_OK) << rhumb_error_last()->message;
    const uint64_t promised = rhumb_test::sim_position();
    rhumb_test::SimRecording recording = rhumb_test::sim_recording();
    const uint64_t stride = kSanitized ? (promised - before) / 12 + 1 : 1;
    uint64_t absent_count = 0;
    for (uint64_t at = before; at <= recording.size(); at += stride) {
        SCOPED_TRACE("a cut after " + recording.describe(at));
        rhumb_test::sim_restore(recording.crash(at, random(), rhumb_test::SimTear::kAny));
        const bool is_there = rhumb_test::sim_file_exists(new_path());
        ASSERT_TRUE(is_there || at < promised);
        absent_count += !is_there;
        if (is_there) expect_whole();
        if (!HasFatalFailure()) expect_sources_whole();
        if (HasFatalFailure()) return;
    }
    EXPECT_GT(absent_count, 0u);
    EXPECT_EQ(rhumb_test::sim_violation(), "");
}

// What is not checked when it is read may be anything: then the new index is sound, if there is one.
TEST_F(MergeFault, OfDamagedSourcesIsSoundOrRefused) {
    std::mt19937_64 random(choose_seed());
    ASSERT_NO_FATAL_FAILURE(make_sources(directory_.file("")));
    std::vector<FileImage> sound;
    for (uint64_t i = 0; i < kSourceCount; i++) sound.push_back(FileImage::load(source_path(i)));
    uint64_t made_count = 0, refused_count = 0;
    const uint64_t rounds = iteration_count(40);
    for (uint64_t round = 0; round < rounds; round++) {
        SCOPED_TRACE("round " + std::to_string(round));
        for (uint64_t i = 0; i < kSourceCount; i++) ASSERT_TRUE(sound[i].save(source_path(i)));
        const uint64_t victim = random() % kSourceCount;
        const int fd = open(source_path(victim).c_str(), O_RDWR | O_CLOEXEC);
        ASSERT_GE(fd, 0);
        for (uint64_t hit = 0; hit < 1 + random() % 60; hit++) {
            uint8_t bytes[64];
            const size_t count = 1 + random() % sizeof bytes;
            for (size_t k = 0; k < count; k++) bytes[k] = static_cast<uint8_t>(random() % 3 == 0 ? 0xFF : random());
            const uint64_t size = sound[victim].bytes().size();
            const uint64_t offset = random() % 8 == 0 ? random() % 16384 : 65536 + random() % (size - 65536 - 64);
            ASSERT_EQ(pwrite(fd, bytes, count, static_cast<off_t>(offset)), static_cast<ssize_t>(count));
        }
        close(fd);
        const rhumb_status status = merge(2);
        (status == RHUMB_OK ? made_count : refused_count)++;
        if (status != RHUMB_OK) {
            ASSERT_FALSE(exists("") || exists("-merging"));
            continue;
        }
        Index index;
        ASSERT_EQ(rhumb_test::open_index(new_path(), true, &index), RHUMB_OK) << rhumb_error_last()->message;
        rhumb_verify_report report;
        ASSERT_EQ(rhumb_test::verify_index(index, &report), RHUMB_OK) << report.first_error;
        ASSERT_EQ(report.unreachable_count, 0u);
        ASSERT_EQ(index.close(), RHUMB_OK);
        rhumb_test::remove_index(new_path());
    }
    printf("%llu made, %llu refused\n", static_cast<unsigned long long>(made_count),
           static_cast<unsigned long long>(refused_count));
    EXPECT_GT(made_count, 0u);
}

} // namespace
} // namespace fault_test
