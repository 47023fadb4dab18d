// Goal: many threads append, wait, cut and examine at once, and every acknowledged operation is in the log afterwards,
// in the order of the numbers. Method: threads over a short time, also under ThreadSanitizer; a slow backend counts
// syncs.
#include <atomic>
#include <map>

#include "tests/support/log_test_support.h"

namespace log_test {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr uint64_t kThreadCount = 6;

// Runs the body in threads numbered from 0.
void run_threads(uint64_t count, const std::function<void(uint64_t)> &body) {
    std::vector<std::thread> threads;
    for (uint64_t i = 0; i < count; i++) threads.emplace_back(body, i);
    for (std::thread &thread : threads) thread.join();
}

// A number for each operation that says which thread appended it as its how-manieth.
uint64_t tag_of(uint64_t thread, uint64_t number) { return thread << 32 | number; }

uint64_t tag_in(const Operation &operation) {
    uint64_t tag = 0;
    EXPECT_GE(operation.payload.size(), 8u);
    if (operation.payload.size() >= 8) memcpy(&tag, operation.payload.data(), 8);
    return tag;
}

// Numbers without gaps, payloads whole, and the operations of each thread in the order in which it appended them.
void expect_orderly(const std::vector<Operation> &seen, uint64_t first_lsn) {
    std::map<uint64_t, uint64_t> last;
    for (uint64_t i = 0; i < seen.size(); i++) {
        const uint64_t tag = tag_in(seen[i]);
        ASSERT_EQ(seen[i].lsn, first_lsn + i);
        ASSERT_EQ(seen[i].payload, payload_of(tag));
        if (last.count(tag >> 32) != 0) {
            ASSERT_EQ(tag, last[tag >> 32] + 1);
        }
        last[tag >> 32] = tag;
    }
}

TEST_F(LogTest, ThreadsThatWaitTogetherShareASync) {
    constexpr uint64_t kEach = 60;
    Recorder recorder;
    recorder.delay_sync(microseconds(500));
    Settings settings;
    settings.backend = recorder.backend();
    Log log;
    ASSERT_EQ(log.open(path_, settings), RHUMB_OK);
    std::atomic<uint64_t> failure_count{0};
    run_threads(kThreadCount, [&](uint64_t thread) {
        for (uint64_t i = 0; i < kEach; i++) {
            const uint64_t lsn = log.append(RHUMB__LOG_INSERT, 0, payload_of(tag_of(thread, i)));
            if (rhumb__log_wait(log, lsn) != RHUMB_OK || rhumb__log_durable_lsn(log) < lsn) failure_count++;
        }
    });
    EXPECT_EQ(failure_count, 0u);
    const rhumb__log_stats stats = rhumb__log_stats_get(log);
    EXPECT_EQ(stats.synced_count, kThreadCount * kEach);
    EXPECT_LT(stats.sync_count, kThreadCount * kEach * 2 / 3);
    EXPECT_GE(stats.sync_count, kEach);
    const std::vector<Operation> seen = replay_again(0);
    EXPECT_EQ(seen.size(), kThreadCount * kEach);
    expect_orderly(seen, 1);
}

TEST_F(LogTest, TheIntervalThreadMakesOperationsDurable) {
    Settings settings;
    settings.durability = RHUMB_DURABILITY_INTERVAL;
    settings.interval_ns = 2000000;
    Log log;
    for (uint64_t round = 1; round <= 3; round++) {
        if (round != 2) { // in round 2 the thread is asleep
            ASSERT_EQ(log.open(path_, settings), RHUMB_OK);
        }
        for (int i = 0; i < 4; i++) ASSERT_EQ(rhumb__log_wait(log, log.add()), RHUMB_OK);
        for (int i = 0; i < 5000 && rhumb__log_durable_lsn(log) < round * 4; i++)
            std::this_thread::sleep_for(milliseconds(1));
        ASSERT_EQ(rhumb__log_durable_lsn(log), round * 4);
        ASSERT_TRUE(is_range(replay_again(0), 1, round * 4));
    }
    // What was found becomes durable too, while it is replayed.
    ASSERT_EQ(log.open(path_, settings), RHUMB_OK);
    while (rhumb__log_durable_lsn(log) < 12) ASSERT_TRUE(is_range(log.replay(), 1, 12));
    ASSERT_TRUE(is_range(log.replay(), 1, 12));
}

class LogModes : public LogTest, public ::testing::WithParamInterface<rhumb_durability> {};

INSTANTIATE_TEST_SUITE_P(All, LogModes,
                         ::testing::Values(RHUMB_DURABILITY_FULL, RHUMB_DURABILITY_INTERVAL, RHUMB_DURABILITY_NONE),
                         [](const ::testing::TestParamInfo<rhumb_durability> &info) {
                             return info.param == RHUMB_DURABILITY_FULL       ? "Full"
                                    : info.param == RHUMB_DURABILITY_INTERVAL ? "Interval"
                                                                              : "None";
                         });

TEST_P(LogModes, CutsConcurrentlyWithAppends) {
    constexpr uint64_t kEach = 400;
    Settings settings;
    settings.durability = GetParam();
    settings.interval_ns = 1000000;
    Log log;
    ASSERT_EQ(log.open(path_, settings), RHUMB_OK);
    std::atomic<uint64_t> running{kThreadCount};
    std::atomic<uint64_t> failure_count{0};
    uint64_t cut_count = 0;
    rhumb__log_mark last = {};
    std::thread cutter([&] {
        while (running > 0) {
            const rhumb__log_mark mark = rhumb__log_mark_now(log);
            if (cut_count % 2 == 0) std::this_thread::sleep_for(microseconds(300));
            if (rhumb__log_cut(log, &mark) != RHUMB_OK || rhumb__log_durable_lsn(log) < mark.lsn) failure_count++;
            if (rhumb__log_stats_get(log).bytes > UINT64_C(1) << 30 || rhumb__log_failed(log)) failure_count++;
            last = mark;
            cut_count++;
        }
    });
    run_threads(kThreadCount, [&](uint64_t thread) {
        for (uint64_t i = 0; i < kEach; i++) {
            const uint64_t lsn = log.append(RHUMB__LOG_UPSERT, 0, payload_of(tag_of(thread, i)));
            if (lsn == 0 || rhumb__log_wait(log, lsn) != RHUMB_OK) failure_count++;
            if (i % 16 == 0 && rhumb__log_reserve(log, 1000) == RHUMB_OK) rhumb__log_release(log, 1000);
            if (i % 64 == 0 && thread == 0) std::this_thread::sleep_for(milliseconds(1)); // lets the log become empty
        }
        running--;
    });
    cutter.join();
    EXPECT_EQ(failure_count, 0u);
    EXPECT_GT(cut_count, 1u);
    EXPECT_EQ(rhumb__log_lsn(log), kThreadCount * kEach);
    EXPECT_EQ(log.close(), RHUMB_OK) << rhumb__error_last()->message;
    const std::vector<Operation> seen = replay_again(last.lsn);
    const bool logged = GetParam() != RHUMB_DURABILITY_NONE;
    EXPECT_EQ(seen.size(), logged ? kThreadCount * kEach - last.lsn : 0);
    expect_orderly(seen, last.lsn + 1);
}

TEST_F(LogTest, ReservesBeyondAFullBuffer) {
    Settings settings;
    settings.durability = RHUMB_DURABILITY_INTERVAL;
    Log log;
    ASSERT_EQ(log.open(path_, settings), RHUMB_OK);
    const std::vector<uint8_t> large(400000, 9);
    // Each thread holds one reservation while it asks for another one: more than the buffer is meant to hold.
    run_threads(12, [&](uint64_t) {
        for (int i = 0; i < 6; i++) {
            ASSERT_EQ(rhumb__log_reserve(log, 400000), RHUMB_OK);
            ASSERT_NE(log.append(RHUMB__LOG_INSERT, 0, large), 0u);
            const rhumb__log_operation operation = {RHUMB__LOG_DELETE, 0, nullptr, 0, large.data(), 400000};
            rhumb__log_append(log, &operation);
        }
    });
    ASSERT_EQ(rhumb__log_sync(log), RHUMB_OK);
    EXPECT_EQ(rhumb__log_durable_lsn(log), 144u);
    EXPECT_EQ(replay_again(0).size(), 144u);
}

TEST_F(LogTest, ExamineFindsNothingWrongWhileAWriterAppends) {
    Settings settings;
    Log log;
    ASSERT_EQ(log.open(path_, settings), RHUMB_OK);
    ASSERT_EQ(log.add_durably(1), RHUMB_OK);
    std::atomic<uint64_t> cut_lsn{0};
    std::atomic<bool> done{false};
    std::thread writer([&] {
        for (uint64_t i = 0; i < 600; i++) {
            const rhumb__log_mark mark = rhumb__log_mark_now(log);
            EXPECT_EQ(log.add_durably(i % 7 + 1), RHUMB_OK);
            if (i % 3 != 0) continue;
            cut_lsn = i % 2 == 0 ? mark.lsn : rhumb__log_lsn(log);
            EXPECT_EQ(i % 2 == 0 ? rhumb__log_cut(log, &mark) : log.cut_now(), RHUMB_OK);
        }
        done = true;
    });
    uint64_t look_count = 0;
    while (!done) {
        const uint64_t before = cut_lsn;
        const rhumb__log_report report = examine(before);
        EXPECT_TRUE(report.exists);
        if (cut_lsn != before) continue; // it may begin after that by now, which is an error
        EXPECT_EQ(report.error_count, 0u) << report.first_error;
        look_count++;
    }
    writer.join();
    EXPECT_GT(look_count, 0u);
    EXPECT_EQ(examine(cut_lsn).error_count, 0u);
}

} // namespace
} // namespace log_test
