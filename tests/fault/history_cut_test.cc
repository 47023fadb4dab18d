// Goal: whenever the power fails while an opening begins its history, goes on, discards a log or closes, the pair of
// index and log that is left opens with everything acknowledged; and if then one of the two is lost, or an older copy
// of it is put back, nothing that was acknowledged is missing from what opens: otherwise it is refused (RHUMB_E_LOG).
// Method: lives on the simulated disk, a power cut after each of its changes under several tears, and each of the files
// swapped with older ones. Keys are 0, 1, 2, ...; so what is there is counted.
#include "tests/support/fault_test_support.h"
#include "tests/support/io_sim.h"

namespace fault_test {
namespace {

using rhumb_test::sim_image;
using rhumb_test::sim_position;
using rhumb_test::sim_recording;
using rhumb_test::sim_reset;
using rhumb_test::sim_restore;
using rhumb_test::SimBytes;
using rhumb_test::SimImage;
using rhumb_test::SimRecording;
using rhumb_test::SimTear;

const char *const kPath = "/sim/a.rhumb";
const char *const kLog = "/sim/a.rhumb-wal";

// From this position on, so many keys had been acknowledged.
struct Promise {
    uint64_t position;
    uint64_t count;
};

class HistoryCut : public ::testing::Test {
  protected:
    void SetUp() override {
        sim_reset();
        rhumb__io_backend_set_default(&rhumb_test::io_sim_backend);
    }
    void TearDown() override {
        rhumb__io_backend_set_default(nullptr);
        EXPECT_EQ(rhumb_test::sim_violation(), "");
        sim_reset();
    }

    rhumb_status open(bool discard, rhumb_durability durability, Index *index) {
        rhumb_open_options options;
        rhumb_open_options_init(&options, sizeof options);
        options.durability = durability;
        options.discard_log = discard;
        options.checkpoint_log_bytes = UINT64_MAX;
        rhumb_index *opened = nullptr;
        const rhumb_status status = rhumb_index_open(kPath, &options, &opened);
        *index = Index(opened);
        return status;
    }
    void insert(rhumb_index *index, uint64_t begin, uint64_t end) {
        for (uint64_t key = begin; key < end; key++) {
            ASSERT_EQ(rhumb_index_insert(index, key, vectors_.vector(key).data()), RHUMB_OK)
                << rhumb_error_last()->message;
        }
    }
    void promise(uint64_t count) { promises_.push_back({sim_position(), count}); }
    uint64_t promised_at(uint64_t position) const {
        uint64_t count = 0;
        for (const Promise &promise : promises_) {
            if (promise.position <= position) count = promise.count;
        }
        return count;
    }

    // Keys 0 to 9 in a log, as a process leaves them that is killed; with a checkpoint before some of them.
    SimImage killed_with_a_log() {
        SimImage image;
        Index index;
        EXPECT_EQ(rhumb_test::create_index(kPath, IndexShape(), &index), RHUMB_OK) << rhumb_error_last()->message;
        insert(index, 0, 4);
        EXPECT_EQ(rhumb_index_checkpoint(index), RHUMB_OK);
        insert(index, 4, 10);
        return sim_image();
    }

    // Opens what is on the disk. Whatever opens has the keys 0 to count - 1 and no others; at least `least` of them.
    rhumb_status judge(uint64_t least, uint64_t most) {
        Index index;
        const rhumb_status status = open(false, RHUMB_DURABILITY_FULL, &index);
        if (status != RHUMB_OK) return status;
        const uint64_t count = rhumb_index_count(index);
        EXPECT_GE(count, least);
        EXPECT_LE(count, most);
        for (uint64_t key = 0; key < count; key++) {
            bool found = false;
            EXPECT_EQ(rhumb_index_contains(index, key, &found), RHUMB_OK);
            EXPECT_TRUE(found) << key;
        }
        EXPECT_EQ(index.close(), RHUMB_OK) << rhumb_error_last()->message;
        return status;
    }

    // Whether index and log are both those of `other`: older copies of both are an older state, and sound.
    static bool is_pair_of(const SimImage &image, const SimImage &other) {
        const auto same = [&](const char *path) {
            const auto found = image.files.find(path);
            const auto wanted = other.files.find(path);
            if (found == image.files.end() || wanted == other.files.end()) {
                return found == image.files.end() && wanted == other.files.end();
            }
            return found->second == wanted->second;
        };
        return same(kPath) && same(kLog);
    }

    // One life on `before`, which acknowledges keys up to `most`, and a power cut at each of its moments.
    template <typename Life> void cut_everywhere(const SimImage &before, uint64_t most, const Life &life) {
        const uint64_t seed = choose_seed();
        sim_restore(before);
        promises_.clear();
        ASSERT_NO_FATAL_FAILURE(life());
        SimRecording recording = sim_recording();
        uint64_t refused_count = 0;
        for (uint64_t at = 0; at <= recording.size(); at++) {
            for (const SimTear tear : {SimTear::kAllLost, SimTear::kAllKept, SimTear::kInOrder, SimTear::kSectors}) {
                if (kSanitized && (at + static_cast<uint64_t>(tear)) % 4 != 0) continue;
                const SimImage left = recording.crash(at, seed + at, tear);
                SCOPED_TRACE("after " + std::to_string(at) + ", " + (at > 0 ? recording.describe(at) : "") + "; " +
                             rhumb_test::sim_tear_name(tear));
                sim_restore(left);
                ASSERT_EQ(judge(promised_at(at), most), RHUMB_OK) << rhumb_error_last()->message;
                for (const bool swaps_index : {true, false}) {
                    SimImage mixed = left;
                    const char *path = swaps_index ? kPath : kLog;
                    mixed.files.erase(path);
                    if (before.files.count(path) > 0) mixed.files[path] = before.files.at(path);
                    if (mixed.files.count(kPath) == 0 || is_pair_of(mixed, before)) continue;
                    sim_restore(mixed);
                    const rhumb_status status = judge(promised_at(at), most);
                    ASSERT_TRUE(status == RHUMB_OK || status == RHUMB_E_LOG) << rhumb_error_last()->message;
                    refused_count += status == RHUMB_E_LOG;
                }
                if (left.files.count(kLog) > 0) { // the log is lost
                    SimImage alone = left;
                    alone.files.erase(kLog);
                    sim_restore(alone);
                    const rhumb_status status = judge(promised_at(at), most);
                    ASSERT_TRUE(status == RHUMB_OK || status == RHUMB_E_LOG) << rhumb_error_last()->message;
                    refused_count += status == RHUMB_E_LOG;
                }
                if (HasFailure()) return;
            }
        }
        EXPECT_GT(refused_count, 0u);
    }

    Vectors vectors_{16, 11};
    std::vector<Promise> promises_;
};

TEST_F(HistoryCut, AnOpeningThatFindsALogGoesOn) {
    const SimImage before = killed_with_a_log();
    for (const rhumb_durability durability : {RHUMB_DURABILITY_FULL, RHUMB_DURABILITY_NONE}) {
        cut_everywhere(before, 16, [&] {
            Index index;
            promise(10);
            ASSERT_EQ(open(false, durability, &index), RHUMB_OK) << rhumb_error_last()->message;
            for (uint64_t key = 10; key < 13; key++) {
                insert(index, key, key + 1);
                if (durability == RHUMB_DURABILITY_FULL) promise(key + 1);
            }
            ASSERT_EQ(rhumb_index_checkpoint(index), RHUMB_OK);
            promise(13);
            insert(index, 13, 16);
            if (durability == RHUMB_DURABILITY_FULL) promise(16);
            ASSERT_EQ(index.close(), RHUMB_OK) << rhumb_error_last()->message;
            promise(16);
        });
        if (HasFailure()) return;
    }
}

TEST_F(HistoryCut, AnOpeningWithoutALogBeginsOne) {
    {
        Index index;
        ASSERT_EQ(rhumb_test::create_index(kPath, IndexShape(), &index), RHUMB_OK) << rhumb_error_last()->message;
        insert(index, 0, 10);
        ASSERT_EQ(index.close(), RHUMB_OK);
    }
    cut_everywhere(sim_image(), 14, [&] {
        Index index;
        promise(10);
        ASSERT_EQ(open(false, RHUMB_DURABILITY_FULL, &index), RHUMB_OK);
        for (uint64_t key = 10; key < 14; key++) {
            insert(index, key, key + 1);
            promise(key + 1);
        }
        ASSERT_EQ(index.close(), RHUMB_OK) << rhumb_error_last()->message;
    });
}

// What was discarded never comes back, and until then nothing opens without leave.
TEST_F(HistoryCut, ALogIsDiscarded) {
    const uint64_t seed = choose_seed();
    SimImage before = killed_with_a_log();
    const SimBytes log = before.files.at(kLog);
    for (const bool missing : {false, true}) {
        sim_restore(before);
        { // an opening that goes on elsewhere
            Index index;
            ASSERT_EQ(open(false, RHUMB_DURABILITY_FULL, &index), RHUMB_OK);
            insert(index, 10, 12);
        }
        SimImage torn = sim_image();
        torn.files.erase(kLog);
        if (!missing) torn.files[kLog] = log;
        if (missing) torn.files[kPath] = before.files.at(kPath);
        sim_restore(torn);
        Index index;
        ASSERT_EQ(open(false, RHUMB_DURABILITY_FULL, &index), RHUMB_E_LOG);
        ASSERT_EQ(open(true, RHUMB_DURABILITY_FULL, &index), RHUMB_OK) << rhumb_error_last()->message;
        const uint64_t kept_count = rhumb_index_count(index);
        const uint64_t opened_at = sim_position();
        insert(index, kept_count, kept_count + 3);
        const uint64_t inserted_at = sim_position();
        ASSERT_EQ(index.close(), RHUMB_OK);
        SimRecording recording = sim_recording();
        for (uint64_t at = 0; at <= recording.size(); at++) {
            SCOPED_TRACE("after " + std::to_string(at) + ", " + (at > 0 ? recording.describe(at) : ""));
            SimImage left = recording.crash(at, seed + at, SimTear::kAny);
            sim_restore(left);
            const uint64_t least = at >= inserted_at ? kept_count + 3 : kept_count;
            const rhumb_status status = judge(least, kept_count + 3);
            if (at >= opened_at) {
                ASSERT_EQ(status, RHUMB_OK) << rhumb_error_last()->message;
                left.files[kLog] = log;
                sim_restore(left);
                ASSERT_EQ(judge(0, 0), RHUMB_E_LOG) << "the old log is put back";
            } else {
                ASSERT_TRUE(status == RHUMB_OK || status == RHUMB_E_LOG) << rhumb_error_last()->message;
            }
            ASSERT_FALSE(HasFailure());
        }
    }
}

} // namespace
} // namespace fault_test
