// Goal: a batch that is all or nothing is whole or absent after a crash at any moment, and in the handle after any
// failure, whatever happens while it is open: checkpoints, other batches, deletes and upserts of its keys, a
// compaction, a log that fails. Nothing waits for its end.
//
// Method: a batch of one thread calls its progress function once all vectors are in and before it commits. From there
// everything else is done, other batches included, on the same thread, so anything that waited for the batch would wait
// for ever. A model repeats the operations in the order of their numbers, with or without those of each batch.
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <map>
#include <set>
#include <thread>

#include "tests/support/fault_test_support.h"
#include "tests/support/io_fault.h"
#include "tests/support/io_sim.h"

namespace fault_test {
namespace {

using rhumb_test::io_call_bit;
using rhumb_test::IoCall;
using rhumb_test::IoFault;
using rhumb_test::SimRecording;
using rhumb_test::SimTear;

constexpr uint32_t kDim = 4;
constexpr uint64_t kKeyCount = 24;

using State = std::map<uint64_t, uint64_t>; // by key: the number that its vector is made of

std::vector<float> vector_of(uint64_t number) {
    std::vector<float> vector;
    for (uint32_t i = 0; i < kDim; i++) vector.push_back(static_cast<float>((number * (i + 1)) % 1021));
    vector[0] = static_cast<float>(number);
    return vector;
}

std::string last_error() { return rhumb_error_last()->message; }

// One all-or-nothing batch on one thread; `at_end` is called before it commits, and may stop it.
rhumb_status insert_batch(rhumb_index *index, const std::vector<uint64_t> &keys, const std::vector<uint64_t> &numbers,
                          std::function<bool()> at_end, size_t *inserted_count = nullptr) {
    std::vector<float> rows;
    for (const uint64_t number : numbers) {
        const std::vector<float> row = vector_of(number);
        rows.insert(rows.end(), row.begin(), row.end());
    }
    rhumb_batch_options options;
    rhumb_batch_options_init(&options, sizeof options);
    options.thread_count = 1;
    options.progress_context = &at_end;
    options.progress = [](void *context, uint64_t done, uint64_t total) {
        return done < total || (*static_cast<std::function<bool()> *>(context))();
    };
    return rhumb_index_insert_batch(index, keys.data(), rows.data(), keys.size(), &options, inserted_count);
}

// What the index has under the keys of the test.
State content(rhumb_index *index) {
    State state;
    for (uint64_t key = 0; key < kKeyCount; key++) {
        std::vector<float> vector(kDim);
        if (rhumb_index_get_vector(index, key, vector.data()) == RHUMB_OK)
            state[key] = static_cast<uint64_t>(vector[0]);
    }
    EXPECT_EQ(rhumb_index_count(index), state.size());
    return state;
}

// ---- lives on a simulated disk ----

enum class Kind { kPut, kErase };

struct Operation {
    uint64_t batch; // 0: none
    Kind kind;
    uint64_t key;
    uint64_t number;
};

struct Moment {
    uint64_t position; // of the disk's history
    State expected;
};

class OpenBatch : public ::testing::Test {
  protected:
    static constexpr const char *kPath = "/sim/batch.rhumb";

    void SetUp() override {
        rhumb_test::sim_reset();
        rhumb__io_backend_set_default(&rhumb_test::io_sim_backend);
    }
    void TearDown() override {
        index_.close();
        rhumb__io_backend_set_default(nullptr);
        EXPECT_EQ(rhumb_test::sim_violation(), "");
    }

    // The state after all operations so far, with those of the batches in `counted`.
    State state(const std::set<uint64_t> &counted) const {
        State state;
        for (const Operation &operation : operations_) {
            if (operation.batch != 0 && counted.count(operation.batch) == 0) continue;
            if (operation.kind == Kind::kErase) {
                state.erase(operation.key);
            } else {
                state[operation.key] = operation.number;
            }
        }
        return state;
    }
    State visible() const {
        std::set<uint64_t> counted = committed_;
        counted.insert(open_.begin(), open_.end());
        return state(counted);
    }

    uint64_t any_key(bool present) {
        const State now = visible();
        for (int i = 0; i < 200; i++) {
            const uint64_t key = random_() % kKeyCount;
            if ((now.count(key) > 0) == present) return key;
        }
        return UINT64_MAX;
    }

    void note_moment() {
        moments_.push_back({rhumb_test::sim_position(), state(committed_)});
        story_ += " @" + std::to_string(rhumb_test::sim_position()) + "\n";
        ASSERT_EQ(content(index_), visible());
    }

    void put(uint64_t key, bool replace) {
        if (key == UINT64_MAX) return;
        const std::vector<float> vector = vector_of(++number_);
        ASSERT_EQ(replace ? rhumb_index_upsert(index_, key, vector.data())
                          : rhumb_index_insert(index_, key, vector.data()),
                  RHUMB_OK)
            << last_error();
        operations_.push_back({0, Kind::kPut, key, number_});
        story_ += (replace ? "upsert " : "insert ") + std::to_string(key);
    }

    void erase(uint64_t key) {
        if (key == UINT64_MAX) return;
        ASSERT_EQ(rhumb_index_delete(index_, key), RHUMB_OK) << last_error();
        operations_.push_back({0, Kind::kErase, key, 0});
        story_ += "delete " + std::to_string(key);
    }

    void batch(uint32_t depth) {
        std::set<uint64_t> chosen;
        for (uint64_t i = random_() % 8; i > 0; i--) chosen.insert(any_key(false));
        chosen.erase(UINT64_MAX);
        std::vector<uint64_t> keys(chosen.begin(), chosen.end());
        std::vector<uint64_t> numbers;
        for (size_t i = 0; i < keys.size(); i++) numbers.push_back(++number_);
        const bool clashes = random_() % 6 == 0 && any_key(true) != UINT64_MAX;
        if (clashes) {
            keys.push_back(any_key(true));
            numbers.push_back(++number_);
        }
        const uint64_t batch = ++batch_count_;
        const bool commits = random_() % 4 != 0;
        if (keys.empty()) return;
        const rhumb_status status = insert_batch(index_, keys, numbers, [&] {
            for (size_t i = 0; i < keys.size(); i++) {
                operations_.push_back({batch, Kind::kPut, keys[i], numbers[i]});
            }
            open_.insert(batch);
            story_ += "batch " + std::to_string(batch) + " of";
            for (const uint64_t key : keys) story_ += " " + std::to_string(key);
            story_ += "\n";
            for (uint64_t i = random_() % 8; i > 0; i--) act(depth + 1);
            open_.erase(batch);
            if (commits) committed_.insert(batch);
            story_ += (commits ? "commit " : "stop ") + std::to_string(batch);
            return commits;
        });
        ASSERT_EQ(status, clashes ? RHUMB_E_EXISTS : commits ? RHUMB_OK : RHUMB_E_CANCELLED) << last_error();
    }

    // Takes effect when it commits, as if its items had been carried out one by one at that moment.
    void write_batch(uint32_t depth) {
        std::vector<rhumb_write> writes;
        std::vector<std::vector<float>> vectors;
        std::vector<uint64_t> numbers;
        std::set<uint64_t> keys;
        for (uint64_t i = random_() % 8 + 1; i > 0; i--) keys.insert(random_() % kKeyCount);
        for (const uint64_t key : keys) {
            rhumb_write_kind kind = random_() % 3 == 0 ? RHUMB_WRITE_DELETE : RHUMB_WRITE_UPSERT;
            if (random_() % 9 == 0) kind = RHUMB_WRITE_INSERT;
            numbers.push_back(++number_);
            vectors.push_back(vector_of(number_));
            writes.push_back({static_cast<uint32_t>(kind), 0, key, nullptr});
        }
        for (size_t i = 0; i < writes.size(); i++) {
            if (writes[i].kind != RHUMB_WRITE_DELETE) writes[i].vector = vectors[i].data();
        }
        const bool commits = random_() % 4 != 0;
        bool clashes = false;
        std::function<bool()> at_end = [&] {
            story_ += "write batch\n";
            for (uint64_t i = random_() % 5; i > 0; i--) act(depth + 1);
            const State now = visible();
            for (const rhumb_write &write : writes) {
                clashes = clashes || (write.kind == RHUMB_WRITE_INSERT && now.count(write.key) > 0);
            }
            if (commits && !clashes) {
                for (size_t i = 0; i < writes.size(); i++) {
                    const bool erases = writes[i].kind == RHUMB_WRITE_DELETE;
                    operations_.push_back({0, erases ? Kind::kErase : Kind::kPut, writes[i].key, numbers[i]});
                    story_ += (erases ? " delete " : " put ") + std::to_string(writes[i].key);
                }
            }
            return commits;
        };
        rhumb_batch_options options;
        rhumb_batch_options_init(&options, sizeof options);
        options.thread_count = 1;
        options.progress_context = &at_end;
        options.progress = [](void *context, uint64_t done, uint64_t total) {
            return done < total || (*static_cast<std::function<bool()> *>(context))();
        };
        const rhumb_status status = rhumb_index_write_batch(index_, writes.data(), writes.size(), &options, nullptr, 0);
        const rhumb_status expected = !commits ? RHUMB_E_CANCELLED : clashes ? RHUMB_E_EXISTS : RHUMB_OK;
        ASSERT_EQ(status, expected) << last_error();
    }

    void act(uint32_t depth) {
        switch (random_() % 8) {
        case 0:
            ASSERT_EQ(rhumb_index_checkpoint(index_), RHUMB_OK) << last_error();
            story_ += "checkpoint";
            break;
        case 1: erase(any_key(true)); break;
        case 2: put(random_() % kKeyCount, true); break;
        case 3: put(any_key(false), false); break;
        case 4:
        case 5:
            if (depth < 3) write_batch(depth);
            break;
        default:
            if (depth < 3) batch(depth);
            break;
        }
        if (!::testing::Test::HasFatalFailure()) note_moment();
    }

    void live(uint64_t step_count) {
        ASSERT_EQ(rhumb_test::create_index(kPath, shape(), &index_), RHUMB_OK) << last_error();
        for (uint64_t i = 0; i < step_count && !HasFatalFailure(); i++) act(0);
    }

    static IndexShape shape() {
        IndexShape shape;
        shape.dim = kDim;
        return shape;
    }

    // Every operation that had returned was durable, so the state is known exactly, whatever else reached the disk.
    void judge(SimRecording *recording, const Moment &moment) {
        SCOPED_TRACE(story_ + "cut after " + recording->describe(moment.position));
        rhumb_test::sim_restore(recording->crash(moment.position, random_(), static_cast<SimTear>(random_() % 5)));
        Index index;
        ASSERT_EQ(rhumb_test::open_index(kPath, false, &index), RHUMB_OK) << last_error();
        ASSERT_EQ(content(index), moment.expected);
        rhumb_verify_report report;
        ASSERT_EQ(rhumb_test::verify_index(index, &report), RHUMB_OK) << report.first_error;
        ASSERT_EQ(index.close(), RHUMB_OK) << last_error();
        ASSERT_EQ(rhumb_test::open_index(kPath, true, &index), RHUMB_OK) << last_error();
        ASSERT_EQ(content(index), moment.expected) << "after a checkpoint";
        ASSERT_EQ(rhumb_test::verify_index(index, &report), RHUMB_OK) << report.first_error;
    }

    std::mt19937_64 random_{choose_seed()};
    Index index_;
    uint64_t number_ = 0;
    uint64_t batch_count_ = 0;
    std::vector<Operation> operations_;
    std::set<uint64_t> committed_;
    std::set<uint64_t> open_;
    std::vector<Moment> moments_;
    std::string story_; // what has happened, with positions of the disk's history
};

TEST_F(OpenBatch, IsWholeOrAbsentAfterACrashAtAnyMoment) {
    for (uint64_t left = iteration_count(400); left > 0 && !HasFatalFailure();) {
        rhumb_test::sim_reset();
        operations_.clear();
        committed_.clear();
        moments_.clear();
        story_.clear();
        ASSERT_NO_FATAL_FAILURE(live(6));
        ASSERT_EQ(index_.close(), RHUMB_OK) << last_error();
        SimRecording recording = rhumb_test::sim_recording();
        for (const Moment &moment : moments_) {
            if (left == 0 || HasFatalFailure()) break;
            if (random_() % 3 != 0) continue;
            judge(&recording, moment);
            left--;
        }
    }
}

// A key of an open batch may be deleted, and inserted again, before a checkpoint divides the batch.
TEST_F(OpenBatch, ThatACheckpointDividesKeepsWhatHasHappenedToItsKeys) {
    ASSERT_EQ(rhumb_test::create_index(kPath, shape(), &index_), RHUMB_OK);
    ASSERT_EQ(insert_batch(index_, {0, 1, 2, 3, 4}, {10, 11, 12, 13, 14},
                           [&] {
                               EXPECT_EQ(rhumb_index_delete(index_, 1), RHUMB_OK);
                               EXPECT_EQ(rhumb_index_upsert(index_, 2, vector_of(22).data()), RHUMB_OK);
                               EXPECT_EQ(rhumb_index_delete(index_, 3), RHUMB_OK);
                               EXPECT_EQ(rhumb_index_insert(index_, 3, vector_of(23).data()), RHUMB_OK);
                               EXPECT_EQ(rhumb_index_checkpoint(index_), RHUMB_OK);
                               Index reader;
                               EXPECT_EQ(rhumb_test::open_index(kPath, true, &reader), RHUMB_OK);
                               EXPECT_EQ(content(reader), (State{{2, 22}, {3, 23}})) << "nothing of the batch";
                               EXPECT_EQ(rhumb_index_delete(index_, 4), RHUMB_OK);
                               return true;
                           }),
              RHUMB_OK)
        << last_error();
    EXPECT_EQ(content(index_), (State{{0, 10}, {2, 22}, {3, 23}}));
    const uint64_t at = rhumb_test::sim_position();
    SimRecording recording = rhumb_test::sim_recording();
    ASSERT_EQ(index_.close(), RHUMB_OK);
    judge(&recording, {at, {{0, 10}, {2, 22}, {3, 23}}});
}

// The checkpoint with which a compaction begins divides the batch, and the exchange waits for its end.
TEST_F(OpenBatch, SurvivesACompactionThatBeginsBesideIt) {
    for (const bool commits : {true, false}) {
        rhumb_test::sim_reset();
        ASSERT_EQ(rhumb_test::create_index(kPath, shape(), &index_), RHUMB_OK);
        for (uint64_t key = 0; key < 6; key++) {
            ASSERT_EQ(rhumb_index_insert(index_, key, vector_of(key).data()), RHUMB_OK);
        }
        ASSERT_EQ(rhumb_index_delete(index_, 0), RHUMB_OK);
        std::thread compaction;
        std::atomic<bool> compacted{false};
        const rhumb_status status = insert_batch(index_, {6, 7, 8, 9}, {16, 17, 18, 19}, [&] {
            rhumb_index_stats stats;
            EXPECT_EQ(rhumb_index_stats_get(index_, &stats, sizeof stats), RHUMB_OK);
            const uint64_t count = stats.checkpoint_count;
            EXPECT_EQ(rhumb_index_delete(index_, 7), RHUMB_OK);
            compaction = std::thread([&] {
                EXPECT_EQ(rhumb_index_compact(index_, nullptr, nullptr, 0), RHUMB_OK) << last_error();
                compacted = true;
            });
            for (uint64_t now = count; now == count; now = stats.checkpoint_count) {
                std::this_thread::yield();
                EXPECT_EQ(rhumb_index_stats_get(index_, &stats, sizeof stats), RHUMB_OK);
            }
            EXPECT_EQ(rhumb_index_delete(index_, 8), RHUMB_OK);
            EXPECT_EQ(rhumb_index_upsert(index_, 9, vector_of(29).data()), RHUMB_OK);
            EXPECT_EQ(rhumb_index_checkpoint(index_), RHUMB_OK) << "it does not wait for the compaction either";
            EXPECT_FALSE(compacted);
            return commits;
        });
        EXPECT_EQ(status, commits ? RHUMB_OK : RHUMB_E_CANCELLED);
        compaction.join();
        State expected = {{1, 1}, {2, 2}, {3, 3}, {4, 4}, {5, 5}, {9, 29}};
        if (commits) expected[6] = 16;
        EXPECT_EQ(content(index_), expected);
        const uint64_t at = rhumb_test::sim_position();
        SimRecording recording = rhumb_test::sim_recording();
        ASSERT_EQ(index_.close(), RHUMB_OK);
        ASSERT_NO_FATAL_FAILURE(judge(&recording, {at, expected}));
    }
}

// ---- a log that fails ----

class OpenBatchAndALogThatFails : public ::testing::Test {
  protected:
    void SetUp() override { rhumb__io_backend_set_default(&rhumb_test::io_fault_backend); }
    void TearDown() override {
        rhumb_test::io_fault_arm(IoFault());
        rhumb__io_backend_set_default(nullptr);
    }

    static void fail_next(IoCall call, int os_errno) {
        IoFault fault;
        fault.call_number = 1;
        fault.os_errno = os_errno;
        fault.calls = io_call_bit(call);
        rhumb_test::io_fault_arm(fault);
    }

    MemoryDirectory directory_;
    std::string path_ = directory_.file("failing.rhumb");
};

// What fails in the log meets another operation while the batch is open; then the batch commits, is stopped, or meets a
// key that exists. In no case anything of it stays, here or in the file, and nothing is published any more.
TEST_F(OpenBatchAndALogThatFails, LeavesNothing) {
    for (const int os_errno : {EIO, ENOSPC}) {
        for (const IoCall call : {IoCall::kSync, IoCall::kWrite}) {
            for (const bool commits : {true, false}) {
                SCOPED_TRACE(std::string(rhumb_test::io_call_name(call)) + (commits ? ", commits" : ", is stopped"));
                rhumb_test::remove_index(path_);
                IndexShape shape;
                shape.dim = kDim;
                Index index;
                ASSERT_EQ(rhumb_test::create_index(path_, shape, &index), RHUMB_OK);
                ASSERT_EQ(rhumb_index_insert(index, 0, vector_of(1).data()), RHUMB_OK);
                size_t inserted_count = 9;
                const rhumb_status status = insert_batch(
                    index, {5, 6, 7}, {15, 16, 17},
                    [&] {
                        EXPECT_EQ(rhumb_index_checkpoint(index), RHUMB_OK);
                        fail_next(call, os_errno);
                        EXPECT_EQ(rhumb_index_insert(index, 1, vector_of(2).data()), RHUMB_E_FATAL);
                        EXPECT_EQ(rhumb_index_checkpoint(index), RHUMB_E_FATAL);
                        return commits;
                    },
                    &inserted_count);
                EXPECT_EQ(status, commits ? RHUMB_E_FATAL : RHUMB_E_CANCELLED) << last_error();
                EXPECT_EQ(inserted_count, 0u);
                for (const uint64_t key : {5, 6, 7}) {
                    bool found = true;
                    EXPECT_EQ(rhumb_index_contains(index, key, &found), RHUMB_OK);
                    EXPECT_FALSE(found) << key;
                }
                EXPECT_EQ(rhumb_index_checkpoint(index), RHUMB_E_FATAL);
                EXPECT_EQ(index.close(), RHUMB_E_FATAL);
                ASSERT_EQ(rhumb_test::open_index(path_, false, &index), RHUMB_OK) << last_error();
                State found = content(index);
                found.erase(1); // may be there or not
                EXPECT_EQ(found, (State{{0, 1}}));
                EXPECT_EQ(index.close(), RHUMB_OK);
            }
        }
    }
}

// The checkpoint has been fixed, and is being written at a low rate, when the log fails: it is not published.
TEST_F(OpenBatchAndALogThatFails, StopsACheckpointThatIsBeingWritten) {
    rhumb_index_options options;
    rhumb_index_options_init(&options, sizeof options);
    rhumb_open_options open;
    rhumb_open_options_init(&open, sizeof open);
    open.checkpoint_bytes_per_second = 300000;
    options.dim = kDim;
    options.open = &open;
    rhumb_index *handle = nullptr;
    ASSERT_EQ(rhumb_index_create(path_.c_str(), &options, &handle), RHUMB_OK);
    Index index(handle);
    std::vector<uint64_t> keys;
    for (uint64_t key = 0; key < 400; key++) keys.push_back(key);
    std::thread checkpoint;
    EXPECT_EQ(insert_batch(index, keys, keys,
                           [&] {
                               const uint64_t lsn = rhumb_index_lsn(index);
                               checkpoint = std::thread(
                                   [&] { EXPECT_EQ(rhumb_index_checkpoint(index), RHUMB_E_FATAL) << last_error(); });
                               usleep(100000); // fixed, and far from published
                               EXPECT_EQ(rhumb_index_lsn(index), lsn);
                               fail_next(IoCall::kSync, EIO);
                               EXPECT_EQ(rhumb_index_insert(index, 1000, vector_of(2).data()), RHUMB_E_FATAL);
                               return true;
                           }),
              RHUMB_E_FATAL);
    checkpoint.join();
    EXPECT_EQ(index.close(), RHUMB_E_FATAL);
    ASSERT_EQ(rhumb_test::open_index(path_, true, &index), RHUMB_OK) << last_error();
    EXPECT_EQ(rhumb_index_lsn(index), 0u) << "only the version of the creation";
    EXPECT_EQ(index.close(), RHUMB_OK);
    ASSERT_EQ(rhumb_test::open_index(path_, false, &index), RHUMB_OK) << last_error();
    for (const uint64_t key : keys) {
        bool found = true;
        ASSERT_EQ(rhumb_index_contains(index, key, &found), RHUMB_OK);
        ASSERT_FALSE(found) << key;
    }
    EXPECT_EQ(index.close(), RHUMB_OK);
}

} // namespace
} // namespace fault_test
