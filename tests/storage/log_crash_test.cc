// Goal: a power cut at any moment leaves a log in which every acknowledged operation is found, in order, and none that
// an earlier process had abandoned. Method: lives of a log on a simulated disk (tests/support/io_sim.h), a power cut
// after each change of the disk with different losses, a next life on what is left, and power cuts in that one too.
// Each operation carries the number of the life that appended it. RHUMB_ITERS sets the number of different first lives.
#include <map>

#include "tests/support/io_sim.h"
#include "tests/support/log_test_support.h"

namespace log_test {
namespace {

using rhumb_test::io_sim_backend;
using rhumb_test::sim_lie_arm;
using rhumb_test::sim_position;
using rhumb_test::sim_recording;
using rhumb_test::sim_reset;
using rhumb_test::sim_restore;
using rhumb_test::SimLie;
using rhumb_test::SimRecording;
using rhumb_test::SimTear;

const char *const kPath = "/sim/index";

// What must be found: operations after the checkpoint up to at least the acknowledged one, with these tags.
struct Truth {
    uint64_t checkpoint_lsn = 0;
    uint64_t acknowledged_lsn = 0;
    std::map<uint64_t, uint64_t> tags; // by LSN
    rhumb__log_owner index = {};       // what the index says of the log
};

// What was true once the disk had got this far.
struct Moment {
    uint64_t position;
    uint64_t checkpoint_lsn;
    uint64_t acknowledged_lsn;
    rhumb__log_owner index;
};

class Life {
  public:
    Life(const Truth &truth, uint64_t number, rhumb_durability durability)
        : truth_(truth), number_(number), durability_(durability) {
        index_at(kPath) = truth.index;
        note();
    }

    // Opens the log and checks what is found. What is not found has never been acknowledged, and is given up.
    ::testing::AssertionResult open() {
        Settings settings = after(truth_.checkpoint_lsn);
        settings.announced = [this] { note(); };
        settings.backend = &io_sim_backend;
        settings.durability = durability_;
        const rhumb_status status = log_.open(kPath, settings);
        if (status != RHUMB_OK) return ::testing::AssertionFailure() << rhumb__error_last()->message;
        const std::vector<Operation> seen = log_.replay();
        const uint64_t last = rhumb__log_lsn(log_);
        if (last < std::max(truth_.acknowledged_lsn, truth_.checkpoint_lsn)) {
            return ::testing::AssertionFailure() << truth_.acknowledged_lsn << " was acknowledged, found up to " << last
                                                 << ", checkpoint " << truth_.checkpoint_lsn;
        }
        if (seen.size() != last - truth_.checkpoint_lsn) return ::testing::AssertionFailure() << "a gap";
        for (uint64_t i = 0; i < seen.size(); i++) {
            const uint64_t lsn = truth_.checkpoint_lsn + 1 + i;
            if (seen[i].lsn != lsn || seen[i].payload != payload_of(truth_.tags[lsn])) {
                return ::testing::AssertionFailure() << "operation " << lsn << " is not the one that it should be";
            }
        }
        truth_.tags.erase(truth_.tags.upper_bound(last), truth_.tags.end());
        return ::testing::AssertionSuccess();
    }

    // Appends, syncs and cuts at random until something fails, and closes.
    void act(uint64_t seed, int action_count) {
        std::mt19937_64 random(seed);
        rhumb__log_mark mark = rhumb__log_mark_now(log_);
        bool alive = true;
        for (int i = 0; i < action_count && alive; i++) {
            switch (random() % 8) {
            case 0: mark = rhumb__log_mark_now(log_); break;
            case 1: alive = cut(mark); break;
            case 2: alive = random() % 2 == 0 || cut(rhumb__log_mark_now(log_)); break;
            case 3: alive = rhumb__log_sync(log_) == RHUMB_OK; break;
            default: alive = append(1 + random() % 3, random() % 4 != 0);
            }
            note();
        }
        const uint64_t lsn = rhumb__log_lsn(log_);
        if (log_.close(random() % 2 == 0) == RHUMB_OK) truth_.acknowledged_lsn = lsn;
        note();
    }

    const Truth &truth() const { return truth_; }

    uint64_t begin() const { return moments_.front().position; }

    // What must be found after a power cut at that position.
    Truth truth_at(uint64_t position) const {
        Truth truth = truth_;
        for (const Moment &moment : moments_) {
            if (moment.position > position) break;
            truth.checkpoint_lsn = moment.checkpoint_lsn;
            truth.acknowledged_lsn = moment.acknowledged_lsn;
            truth.index = moment.index;
        }
        return truth;
    }

  private:
    void note() {
        if (log_.get() != nullptr)
            truth_.acknowledged_lsn = std::max(truth_.acknowledged_lsn, rhumb__log_durable_lsn(log_));
        truth_.index = index_at(kPath);
        moments_.push_back({sim_position(), truth_.checkpoint_lsn, truth_.acknowledged_lsn, truth_.index});
    }

    bool append(uint64_t count, bool wait) {
        uint64_t lsn = 0;
        for (uint64_t i = 0; i < count; i++) {
            lsn = rhumb__log_lsn(log_) + 1;
            const uint64_t tag = number_ << 32 | lsn;
            if (log_.append(RHUMB__LOG_INSERT, 0, payload_of(tag)) == 0) return false;
            truth_.tags[lsn] = tag;
        }
        return !wait || rhumb__log_wait(log_, lsn) == RHUMB_OK;
    }

    // The checkpoint itself is taken as published.
    bool cut(const rhumb__log_mark &mark) {
        if (mark.lsn > truth_.checkpoint_lsn) truth_.checkpoint_lsn = mark.lsn;
        note();
        return rhumb__log_cut(log_, &mark) == RHUMB_OK;
    }

    Truth truth_;
    uint64_t number_;
    rhumb_durability durability_;
    Log log_;
    std::vector<Moment> moments_;
};

constexpr rhumb_durability kModes[] = {RHUMB_DURABILITY_FULL, RHUMB_DURABILITY_INTERVAL};

uint64_t iterations(uint64_t count) {
    const char *text = getenv("RHUMB_ITERS");
    return text != nullptr ? strtoull(text, nullptr, 0) : count;
}

class LogCrash : public ::testing::Test {
  protected:
    void TearDown() override { sim_reset(); }

    // A power cut at `at`, a life on what is left of it, and some power cuts in that one.
    void live_on(SimRecording *recording, const Life &first, uint64_t at, uint64_t seed, rhumb_durability durability) {
        SCOPED_TRACE("power cut after " + std::to_string(at) + ", " + std::to_string(recording->size()) +
                     " in all: " + (at > 0 ? recording->describe(at) : "") + "; seed " + std::to_string(seed));
        sim_restore(recording->crash(at, seed, SimTear::kAny));
        Life second(first.truth_at(at), 2, durability);
        ASSERT_TRUE(second.open());
        second.act(seed * 31 + at, 6);
        ASSERT_EQ(rhumb_test::sim_violation(), "");
        SimRecording next = sim_recording();
        std::mt19937_64 random(seed ^ at);
        for (int i = 0; i < 4; i++) {
            const uint64_t next_at = random() % (next.size() + 1);
            SCOPED_TRACE("and after " + std::to_string(next_at) + " of " + std::to_string(next.size()) + ": " +
                         (next_at > 0 ? next.describe(next_at) : ""));
            sim_restore(next.crash(next_at, seed + static_cast<uint64_t>(i), SimTear::kAny));
            Life third(second.truth_at(next_at), 3, durability);
            ASSERT_TRUE(third.open());
        }
    }
};

TEST_F(LogCrash, APowerCutAtAnyMomentKeepsWhatWasAcknowledged) {
    const uint64_t seed = io_test::choose_seed();
    for (uint64_t i = 0; i < iterations(6); i++) {
        const rhumb_durability durability = kModes[i % 2];
        sim_reset();
        Life first({}, 1, durability);
        ASSERT_TRUE(first.open());
        first.act(seed + i, 25);
        SimRecording recording = sim_recording();
        for (uint64_t at = 0; at <= recording.size(); at++) {
            ASSERT_NO_FATAL_FAILURE(live_on(&recording, first, at, seed + i * 1000 + at, durability));
        }
    }
}

TEST_F(LogCrash, ASyncThatFailedAndLeftTheCacheCleanLosesNothingAcknowledged) {
    const uint64_t seed = io_test::choose_seed();
    for (uint64_t i = 0; i < iterations(40); i++) {
        const rhumb_durability durability = kModes[i % 2];
        SCOPED_TRACE("life " + std::to_string(i));
        sim_reset();
        SimLie lie;
        lie.sync_number = 1 + i / 2 % 12;
        lie.survivors_seed = i % 3;
        sim_lie_arm(lie);
        Life first({}, 1, durability);
        ASSERT_TRUE(first.open());
        first.act(seed + i, 25);
        // The next process sees what the page cache shows, builds on it, and then the power goes.
        Life second(first.truth(), 2, durability);
        ASSERT_TRUE(second.open());
        second.act(seed + i + 1000, 12);
        const uint64_t end = sim_position();
        SimRecording recording = sim_recording();
        for (uint64_t at = 0; at <= end; at += 1 + at % 3) {
            SCOPED_TRACE("power cut after " + std::to_string(at) + " of " + std::to_string(end));
            sim_restore(recording.crash(at, seed + at, SimTear::kAny));
            Life third((at >= second.begin() ? second : first).truth_at(at), 3, durability);
            ASSERT_TRUE(third.open());
        }
    }
}

} // namespace
} // namespace log_test
