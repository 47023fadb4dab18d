// Goal: whatever an operator does with the two files of an index between the lives of its writers, and wherever the
// power fails, an opening either is refused (RHUMB_E_LOG) and changes nothing, or shows a prefix of one history with
// everything in it that was acknowledged and that one of the two files must know of. Files that belong together always
// open. A reader opens whatever there is, and one that stays open while writers come and go keeps its version.
//
// Method: a life on the simulated disk is recorded, and at random moments copies of both files are kept, with the
// operations that had been asked for and acknowledged by then. A life ends with a close, a kill or a power cut. Then
// index and log are chosen from what was kept: the two of one moment, of different moments, of different branches (the
// same copy gone on with twice), a log that was cut short, none, or that of another index; and they are put under one
// of two names. If they open, or open with discard_log after a refusal, the next life goes on from there, as a branch.
//
// The oracle: a branch is a list of operations, and two branches have a beginning in common. What opens must be a
// prefix of the index's branch or of the log's, and contain what the index must know (everything acknowledged before
// its superblock was written) and what the log must know (everything that it acknowledged). Superblocks that are equal
// cannot know of different things, so an index counts as each of the moments that have its superblock.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <random>

extern "C" {
#include "storage/frame/superblock.h"
}

#include "tests/support/fault_test_support.h"
#include "tests/support/index_life.h"
#include "tests/support/io_sim.h"

namespace fault_test {
namespace {

using rhumb_test::IndexLife;
using rhumb_test::judge_handle;
using rhumb_test::LifeBounds;
using rhumb_test::Oracle;
using rhumb_test::SimBytes;
using rhumb_test::SimImage;
using rhumb_test::SimRecording;
using rhumb_test::SimTear;

constexpr const char *kNames[] = {"/sim/one.rhumb", "/sim/two.rhumb"};
constexpr uint64_t kIdCount = 30;
constexpr uint64_t kSuperblocksBytes = 128 * 1024;
constexpr uint64_t kLogRecordsOffset = 96 * 1024; // from where on the log's length varies

std::string log_of(const std::string &path) { return path + "-wal"; }

// What tells one superblock from another: the newest valid one; zeros if there is none.
struct Identity {
    uint64_t epoch = 0;
    uint64_t stamp = 0;
    uint32_t crc = 0;
    bool operator==(const Identity &other) const {
        return epoch == other.epoch && stamp == other.stamp && crc == other.crc;
    }
};

Identity identity_of(const SimBytes &index) {
    Identity newest;
    for (uint32_t place = 0; place < 4; place++) {
        rhumb__superblock superblock;
        const uint64_t offset = rhumb__superblock_offset(place / 2, place % 2);
        if (index.size() < offset + sizeof superblock) continue;
        memcpy(&superblock, index.data() + offset, sizeof superblock);
        if (!rhumb__superblock_is_valid(&superblock) || superblock.epoch < newest.epoch) continue;
        if (superblock.epoch == newest.epoch && superblock.stamp < newest.stamp) continue;
        newest = {superblock.epoch, superblock.stamp, superblock.crc};
    }
    return newest;
}

// A moment of a branch: what had happened by then, and copies of the files if they were kept.
struct Moment {
    std::shared_ptr<IndexLife> branch; // NULL in a moment of the life that is under way
    uint64_t position = 0;
    uint64_t low = 0;        // entries that were acknowledged
    uint64_t checkpoint = 0; // entries that a checkpoint has
    uint64_t high = 0;       // entries that had begun
    uint64_t index_low = 0;  // entries that the superblock must know of
    uint64_t log_low = 0;    // entries that the log must know of
    Identity identity;
    std::string what;
    // Of kept copies only:
    bool kept = false;
    bool opens = true; // index and log of this moment must open, without discard_log
    SimBytes index;
    bool has_log = false;
    SimBytes log;
};
using MomentPointer = std::shared_ptr<Moment>;

class MovedFiles : public ::testing::Test {
  protected:
    void SetUp() override {
        rhumb_test::sim_reset();
        rhumb__io_backend_set_default(&rhumb_test::io_sim_backend);
        make_foreign_log();
    }
    void TearDown() override {
        life_.reset();
        reader_ = Index();
        rhumb__io_backend_set_default(nullptr);
        EXPECT_EQ(rhumb_test::sim_violation(), "");
        rhumb_test::sim_reset();
    }

    // ---- lives ----

    void make_foreign_log() {
        IndexLife other("/sim/other.rhumb", 3, rhumb_test::sim_position);
        ASSERT_EQ(other.create(IndexLife::fill_options(RHUMB_DURABILITY_FULL)), RHUMB_OK);
        for (uint64_t id = 0; id < 9; id++) ASSERT_EQ(other.insert(id), RHUMB_OK);
        foreign_log_ = rhumb_test::sim_file_bytes(log_of(other.path()));
        ASSERT_EQ(other.close(), RHUMB_OK);
    }

    uint64_t random(uint64_t limit) { return engine_() % limit; }

    rhumb_open_options draw_options() {
        static const rhumb_durability modes[] = {RHUMB_DURABILITY_FULL, RHUMB_DURABILITY_FULL,
                                                 RHUMB_DURABILITY_INTERVAL, RHUMB_DURABILITY_NONE};
        rhumb_open_options options = IndexLife::fill_options(modes[random(4)]);
        // Half of the handles make checkpoints only where the test does, so that it knows when.
        strict_ = random(2) == 0;
        options.checkpoint_log_bytes = strict_ ? UINT64_MAX : random(2) == 0 ? 700 : 0;
        options.compact_dead_share = strict_ ? 1 : 0;
        return options;
    }

    // `life_` has been opened: notes its first moment. `all_known`: the superblock knows all of its entries.
    void begin_handle(const rhumb_open_options &options, bool all_known) {
        const uint64_t count = life_->returned_counts()[0];
        log_limit_ = options.durability == RHUMB_DURABILITY_NONE ? count : UINT64_MAX;
        if (all_known) index_low_ = count;
        strict_all_ = (all_known || strict_all_) && strict_;
    }

    // Notes the moment after a call, and keeps copies if `keep`.
    MomentPointer note(bool keep, const std::string &what) {
        auto moment = std::make_shared<Moment>();
        moment->position = rhumb_test::sim_position();
        fill_bounds(moment.get(), life_->bounds(moment->position));
        const SimImage image = keep ? rhumb_test::sim_image() : SimImage();
        moment->identity = identity_of(keep ? image.files.at(life_->path())
                                            : rhumb_test::sim_file_bytes(life_->path(), kSuperblocksBytes));
        if (keep) keep_files(image, life_->path(), moment.get());
        if (!under_way_.empty() && moment->identity == under_way_.back()->identity) {
            moment->index_low = under_way_.back()->index_low;
        } else {
            const uint64_t before = under_way_.empty() ? index_low_ : under_way_.back()->low;
            moment->index_low = std::max(strict_ ? before : 0, moment->checkpoint);
        }
        moment->what = "life " + std::to_string(life_number_) + ", " + what;
        under_way_.push_back(moment);
        return moment;
    }

    static void keep_files(const SimImage &image, const std::string &path, Moment *moment) {
        moment->kept = true;
        moment->index = image.files.at(path);
        const auto log = image.files.find(log_of(path));
        moment->has_log = log != image.files.end();
        if (moment->has_log) moment->log = log->second;
    }

    void fill_bounds(Moment *moment, const LifeBounds &bounds) const {
        moment->low = bounds.low[0];
        moment->checkpoint = std::max(bounds.checkpoint[0], checkpoint_at_start_);
        moment->high = bounds.high[0];
        moment->log_low = std::min(moment->low, log_limit_);
    }

    // A reader that stays; it shows some version from the last checkpoint on.
    void change_reader() {
        if (static_cast<rhumb_index *>(reader_) != nullptr) {
            judge_reader_again();
            reader_ = Index();
            return;
        }
        Moment now;
        fill_bounds(&now, life_->bounds(rhumb_test::sim_position()));
        ASSERT_EQ(rhumb_test::open_index(life_->path(), true, &reader_), RHUMB_OK) << rhumb_error_last()->message;
        uint64_t missing_count = 0;
        ASSERT_EQ(judge_handle(life_.get(), reader_, {now.checkpoint}, {now.high}, &shown_, &missing_count), "")
            << "a reader beside a writer";
    }
    void judge_reader_again() {
        if (static_cast<rhumb_index *>(reader_) == nullptr) return;
        Oracle::Prefix again;
        uint64_t missing_count = 0;
        ASSERT_EQ(judge_handle(life_.get(), reader_, shown_, shown_, &again, &missing_count), "")
            << "a reader that stayed has lost its version";
        ASSERT_EQ(missing_count, 0u);
        pinned_count_++;
    }

    // Operations, reopenings, and a reader that comes and goes.
    void live() {
        const uint64_t step_count = random(24);
        for (uint64_t i = 0; i < step_count; i++) {
            ASSERT_EQ(life_->step(&engine_, kIdCount), RHUMB_OK) << rhumb_error_last()->message;
            note(random(8) == 0, "step " + std::to_string(i));
            if (random(12) == 0) {
                ASSERT_NO_FATAL_FAILURE(change_reader());
            }
            if (random(16) == 0) {
                ASSERT_EQ(life_->close(), RHUMB_OK) << rhumb_error_last()->message;
                note(random(2) == 0, "closed after step " + std::to_string(i));
                const rhumb_open_options options = draw_options();
                ASSERT_EQ(life_->open(options), RHUMB_OK) << rhumb_error_last()->message;
                begin_handle(options, false);
                note(random(4) == 0, "opened after step " + std::to_string(i));
            }
        }
        ASSERT_EQ(life_->problem(), "");
    }

    // Ends the life with a close, a kill or a power cut, and returns what that leaves.
    MomentPointer end_life() {
        MomentPointer left;
        const uint64_t way = random(4);
        if (way == 0) {
            EXPECT_EQ(life_->close(), RHUMB_OK) << rhumb_error_last()->message;
            left = note(true, "closed");
        } else if (way == 1) {
            left = note(true, "killed");
        }
        SimRecording recording = rhumb_test::sim_recording();
        auto branch = std::make_shared<IndexLife>(*life_);
        judge_reader_again();
        reader_ = Index();
        (void)life_->close();
        if (left == nullptr) left = cut(&recording, *branch);
        for (const MomentPointer &moment : under_way_) {
            moment->branch = branch;
            moments_.push_back(moment);
        }
        under_way_.clear();
        return left;
    }

    MomentPointer cut(SimRecording *recording, const IndexLife &branch) {
        const uint64_t first = life_number_ > 0 && random(4) == 0 ? 0 : opened_position_;
        const uint64_t at = first + random(recording->size() - first + 1);
        const SimImage image = recording->crash(at, engine_(), SimTear::kAny);
        auto left = std::make_shared<Moment>();
        left->position = at;
        fill_bounds(left.get(), branch.bounds(at));
        left->what = "life " + std::to_string(life_number_) + ", cut after " + recording->describe(at);
        left->opens = at >= opened_position_ || !discarded_;
        keep_files(image, branch.path(), left.get());
        left->identity = identity_of(left->index);
        left->index_low = index_low_of_cut(*left);
        under_way_.push_back(left);
        return left;
    }

    // What the superblock that a cut has left must know: as in the first moment that has it, or what was acknowledged
    // before the call that was writing it.
    uint64_t index_low_of_cut(const Moment &left) const {
        uint64_t before = 0;
        for (const MomentPointer &moment : under_way_) {
            if (moment->identity == left.identity) return moment->index_low;
            if (moment->position <= left.position) before = moment->low;
        }
        return std::max(strict_all_ ? before : 0, checkpoint_at_start_);
    }

    // ---- between lives ----

    // The disk as the operator has left it.
    struct Setting {
        MomentPointer index;
        MomentPointer log;               // NULL: none, or that of another index
        uint64_t log_bytes = UINT64_MAX; // of a copy of the log that was cut short
        bool foreign = false;
        std::string path;
        bool is_cut() const { return log != nullptr && log_bytes < log->log.size(); }
        std::string describe() const {
            const std::string cut = is_cut() ? "the first " + std::to_string(log_bytes) + " bytes of " : "";
            const std::string log_text = foreign ? "of another index" : log == nullptr ? "none" : cut + log->what;
            return path + ": index of " + index->what + "; log: " + log_text;
        }
    };

    // A kept moment; of the latest more often. `branch`: of this life only, unless it is NULL.
    MomentPointer draw_kept(const IndexLife *branch) {
        std::vector<MomentPointer> kept;
        for (const MomentPointer &moment : moments_)
            if (moment->kept && (branch == nullptr || moment->branch.get() == branch)) kept.push_back(moment);
        return kept[std::max(random(kept.size()), random(kept.size()))];
    }

    Setting draw_setting(const MomentPointer &left) {
        Setting setting;
        setting.path = kNames[random(2)];
        setting.index = random(2) == 0 ? left : draw_kept(nullptr);
        const uint64_t way = random(20);
        setting.foreign = way == 0;
        MomentPointer log = way < 8    ? setting.index
                            : way < 11 ? draw_kept(nullptr)
                            : way < 14 ? draw_kept(setting.index->branch.get())
                                       : left;
        if (way >= 16 || setting.foreign) log = nullptr;
        if (log != nullptr && log->has_log) setting.log = log;
        if (setting.log != nullptr && random(6) == 0) {
            const uint64_t bytes = setting.log->log.size();
            const uint64_t least_bytes = random(4) == 0 ? 0 : std::min(bytes, kLogRecordsOffset);
            setting.log_bytes = least_bytes + random(bytes - least_bytes + 1);
        }
        return setting;
    }

    SimImage image_of(const Setting &setting) const {
        SimImage image;
        image.files[setting.path] = setting.index->index;
        if (setting.log != nullptr) {
            SimBytes &log = image.files[log_of(setting.path)];
            log = setting.log->log;
            if (setting.is_cut()) log.resize(setting.log_bytes);
        }
        if (setting.foreign) image.files[log_of(setting.path)] = foreign_log_;
        return image;
    }

    // Whether there was a moment with these very files, which must therefore open.
    bool belongs_together(const Setting &setting) const {
        if (setting.foreign || setting.is_cut()) return false;
        return std::any_of(moments_.begin(), moments_.end(), [&](const MomentPointer &moment) {
            return moment->kept && moment->opens && moment->has_log == (setting.log != nullptr) &&
                   moment->index == setting.index->index && (setting.log == nullptr || moment->log == setting.log->log);
        });
    }

    // Looks for `low` to `high` entries of that branch in the handle; makes it the next life's past if they
    // are there.
    bool matches(const Moment &moment, rhumb_index *index, uint64_t low, uint64_t high, std::string *problem) {
        if (low > high) return false;
        Oracle::Prefix found;
        uint64_t missing_count = 0;
        IndexLife past(*moment.branch);
        const std::string why = judge_handle(&past, index, {low}, {high}, &found, &missing_count);
        if (!why.empty()) {
            *problem += "\n  " + moment.what + ": " + why;
            return false;
        }
        EXPECT_EQ(missing_count, 0u);
        found_ = found;
        next_ = std::make_shared<IndexLife>(*moment.branch);
        return true;
    }

    // Whether what an opening without discard_log shows may be there; `problem` says why not.
    bool is_acceptable(const Setting &setting, rhumb_index *index, std::string *problem) {
        const Moment &own = *setting.index;
        if (setting.foreign) return false;
        if (setting.log == nullptr || (setting.log == setting.index && !setting.is_cut()))
            return matches(own, index, own.low, own.high, problem);
        // A copy that was cut short is as one that was made earlier: only the index knows that something is missing.
        const uint64_t log_low = setting.is_cut() ? 0 : setting.log->log_low;
        for (const MomentPointer &moment : moments_) {
            if (!(moment->identity == own.identity)) continue;
            const uint64_t low = std::max(moment->index_low, log_low);
            const uint64_t common = moment->branch->oracle().common_count(setting.log->branch->oracle());
            const bool same = moment->branch == setting.log->branch;
            if ((same || log_low <= common) && matches(*moment, index, low, moment->high, problem)) return true;
            if ((same || moment->index_low <= common) && matches(*setting.log, index, low, setting.log->high, problem))
                return true;
        }
        return false;
    }

    // A reader needs no log, but verify says whether a writer would be refused.
    void judge_reader(const Setting &setting, uint64_t *shown_low, bool *fits_out) {
        Index reader;
        ASSERT_EQ(rhumb_test::open_index(setting.path, true, &reader), RHUMB_OK) << rhumb_error_last()->message;
        IndexLife past(*setting.index->branch);
        Oracle::Prefix shown;
        uint64_t missing_count = 0;
        ASSERT_EQ(
            judge_handle(&past, reader, {setting.index->checkpoint}, {setting.index->high}, &shown, &missing_count), "")
            << "as a reader";
        *shown_low = shown[0];
        rhumb_verify_report report;
        const rhumb_status status = rhumb_test::verify_index(reader, &report);
        *fits_out = report.log_error_count == 0;
        ASSERT_EQ(status, *fits_out ? RHUMB_OK : RHUMB_E_CORRUPT) << report.first_error;
        ASSERT_EQ(report.checksum_error_count + report.structure_error_count, 0u) << report.first_error;
        ASSERT_EQ(report.unreachable_count, 0u);
    }

    // Opens what the operator has left. Afterwards a life goes on from there, or `life_` is NULL.
    void judge(const Setting &setting) {
        disk_count_++;
        SCOPED_TRACE(setting.describe());
        const SimImage image = image_of(setting);
        rhumb_test::sim_restore(image);
        uint64_t shown_low = 0;
        bool fits = false;
        ASSERT_NO_FATAL_FAILURE(judge_reader(setting, &shown_low, &fits));
        rhumb_open_options options = draw_options();
        auto opening = std::make_unique<IndexLife>(setting.path, 1, rhumb_test::sim_position);
        discarded_ = false;
        const rhumb_status status = opening->open(options);
        ASSERT_EQ(status == RHUMB_OK, fits) << "verify and the opening do not agree: " << rhumb_error_last()->message;
        if (status == RHUMB_OK) {
            opened_count_++;
            mixed_count_ += !belongs_together(setting);
            std::string problem;
            ASSERT_TRUE(is_acceptable(setting, opening->index(), &problem)) << problem;
        } else {
            ASSERT_TRUE(status == RHUMB_E_LOG || (status == RHUMB_E_CORRUPT && setting.is_cut()))
                << rhumb_error_last()->message;
            ASSERT_FALSE(belongs_together(setting)) << rhumb_error_last()->message;
            ASSERT_TRUE(rhumb_test::sim_image() == image) << "a refused opening has changed something";
            refused_count_++;
            if (status == RHUMB_E_CORRUPT || random(2) == 0) return;
            options.discard_log = true;
            discarded_ = true;
            ASSERT_EQ(opening->open(options), RHUMB_OK) << rhumb_error_last()->message;
            std::string problem;
            const Moment &own = *setting.index;
            ASSERT_TRUE(matches(own, opening->index(), std::max(own.checkpoint, shown_low), own.high, &problem))
                << "without the log" << problem;
            discarded_count_++;
        }
        ASSERT_EQ(opening->close(), RHUMB_OK) << rhumb_error_last()->message;
        opened_position_ = 0;
        ASSERT_NO_FATAL_FAILURE(go_on(setting, options, image));
    }

    // Opens it once more, as the beginning of the next life, so that power cuts may hit this opening.
    void go_on(const Setting &setting, const rhumb_open_options &options, const SimImage &image) {
        rhumb_test::sim_restore(image);
        life_ = std::make_unique<IndexLife>(*next_);
        life_->move(setting.path);
        life_number_++;
        life_->begin_branch(life_number_);
        life_->resume(found_, true);
        ASSERT_EQ(life_->open(options), RHUMB_OK) << rhumb_error_last()->message;
        Oracle::Prefix again;
        uint64_t missing_count = 0;
        ASSERT_EQ(judge_handle(life_.get(), life_->index(), found_, found_, &again, &missing_count), "")
            << "opened a second time";
        opened_position_ = rhumb_test::sim_position();
        checkpoint_at_start_ = std::min(setting.index->checkpoint, found_[0]);
        begin_handle(options, true);
        note(random(2) == 0, "opened");
    }

    // The index is gone, and its log is still there: no new index takes that name.
    void judge_without_index(const MomentPointer &left) {
        if (!left->has_log) return;
        disk_count_++;
        SimImage image;
        image.files[log_of(kNames[0])] = left->log;
        rhumb_test::sim_restore(image);
        IndexLife fresh(kNames[0], 1, rhumb_test::sim_position);
        ASSERT_EQ(fresh.open(draw_options()), RHUMB_E_NOTFOUND);
        ASSERT_EQ(fresh.create(draw_options()), RHUMB_E_EXISTS);
        ASSERT_TRUE(rhumb_test::sim_image() == image);
    }

    // One index, `event_count` times left to an operator.
    void run(uint64_t event_count) {
        moments_.clear();
        under_way_.clear();
        rhumb_test::sim_reset();
        life_number_ = 0;
        life_ = std::make_unique<IndexLife>(kNames[0], engine_(), rhumb_test::sim_position);
        const rhumb_open_options options = draw_options();
        ASSERT_EQ(life_->create(options), RHUMB_OK) << rhumb_error_last()->message;
        opened_position_ = rhumb_test::sim_position();
        discarded_ = false;
        checkpoint_at_start_ = 0;
        begin_handle(options, true);
        note(true, "created");
        for (uint64_t i = 0; i < event_count; i++) {
            ASSERT_NO_FATAL_FAILURE(live());
            const MomentPointer left = end_life();
            life_.reset();
            ASSERT_FALSE(HasFailure()) << "in life " << life_number_;
            if (random(20) == 0) {
                ASSERT_NO_FATAL_FAILURE(judge_without_index(left));
            }
            while (life_ == nullptr) ASSERT_NO_FATAL_FAILURE(judge(draw_setting(left)));
        }
        (void)life_->close();
        reader_ = Index();
    }

    std::mt19937_64 engine_;
    SimBytes foreign_log_;

    // The life under way.
    std::unique_ptr<IndexLife> life_;
    uint64_t life_number_ = 0;
    uint64_t opened_position_ = 0;
    bool discarded_ = false;  // its first opening discarded a log
    bool strict_ = false;     // the handle makes no checkpoints by itself
    bool strict_all_ = false; // nor has an earlier one of this life
    uint64_t log_limit_ = 0;  // entries that can be in a log
    uint64_t index_low_ = 0;  // what the superblock must know at the beginning
    uint64_t checkpoint_at_start_ = 0;
    std::vector<MomentPointer> under_way_;
    Index reader_;
    Oracle::Prefix shown_;

    // Of all lives before it, and what the next one begins with.
    std::vector<MomentPointer> moments_;
    std::shared_ptr<IndexLife> next_;
    Oracle::Prefix found_;

    uint64_t disk_count_ = 0;
    uint64_t opened_count_ = 0;
    uint64_t mixed_count_ = 0; // of these, without files of one moment
    uint64_t refused_count_ = 0;
    uint64_t discarded_count_ = 0;
    uint64_t pinned_count_ = 0;
};

TEST_F(MovedFiles, OpenAsAPrefixOfOneHistoryOrNotAtAll) {
    engine_.seed(choose_seed());
    const uint64_t count = iteration_count(200);
    while (disk_count_ < count && !HasFailure()) run(8);
    printf("%llu disks: %llu opened, %llu of them of files from different moments, %llu were refused, %llu of these "
           "opened without their log; %llu readers kept their version\n",
           static_cast<unsigned long long>(disk_count_), static_cast<unsigned long long>(opened_count_),
           static_cast<unsigned long long>(mixed_count_), static_cast<unsigned long long>(refused_count_),
           static_cast<unsigned long long>(discarded_count_), static_cast<unsigned long long>(pinned_count_));
    EXPECT_GT(opened_count_, 0u);
    EXPECT_GT(refused_count_, 0u);
    EXPECT_GT(discarded_count_, 0u);
}

} // namespace
} // namespace fault_test
