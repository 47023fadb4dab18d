// A life of an index: every operation is also recorded in an oracle, together with the moments at which it began and at
// which its survival was promised. On the simulated disk moments are positions in the disk's history
// (sim_position), so that afterwards a power cut at any of them can be judged.
//
// What a call promises is what include/rhumb.h says: in mode full, everything that has returned; in the other modes,
// what rhumb_index_durable_lsn says, and everything before a sync, checkpoint or close that returned RHUMB_OK.
//
// An operation that fails with RHUMB_E_FATAL may have happened or not: it stays in the oracle, unpromised. One that was
// refused because of an earlier failure, and one that fails otherwise, has not happened, and is taken out.
//
// With several lanes (see oracle.h) the operations of different lanes may be called by different threads at once; all
// else by one thread, with no operation running.
#ifndef RHUMB_TESTS_SUPPORT_INDEX_LIFE_H
#define RHUMB_TESTS_SUPPORT_INDEX_LIFE_H

#include <cstdint>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "include/rhumb.h"
#include "tests/support/oracle.h"
#include "tests/support/small_index.h"

namespace rhumb_test {

// What an index must hold after a power cut.
struct LifeBounds {
    bool created = false;      // there must be an index
    Oracle::Prefix low;        // at least these entries of each lane
    Oracle::Prefix checkpoint; // and these in a checkpoint, for readers
    Oracle::Prefix high;       // at most these
};

class IndexLife {
  public:
    static constexpr uint32_t kDim = 8;

    // `clock` returns the moment; NULL: always 0.
    IndexLife(std::string path, uint64_t seed, uint64_t (*clock)(), uint32_t lane_count = 1);

    // Another life with the same past and no handle.
    IndexLife(const IndexLife &past);

    // Like the API's functions. `fill_options` for a durability and an otherwise default handle.
    static rhumb_open_options fill_options(rhumb_durability durability);
    rhumb_status create(const rhumb_open_options &options);
    rhumb_status open(const rhumb_open_options &options);
    rhumb_status close();
    rhumb_index *index() const { return index_; }
    bool has_handle() const { return index() != nullptr; }

    // Operations on number `id` of the lane's keys, with a vector that was never used before.
    rhumb_status insert(uint64_t id, uint32_t lane = 0);
    rhumb_status upsert(uint64_t id, uint32_t lane = 0);
    rhumb_status erase(uint64_t id, uint32_t lane = 0);
    rhumb_status batch(uint64_t first_id, uint64_t count, bool partial, uint32_t lane = 0);
    // A batch of upserts, of deletes, or of an insert followed by both.
    enum class Mix { kUpserts, kDeletes, kAll };
    rhumb_status changes(uint64_t first_id, uint64_t count, Mix mix, bool partial, uint32_t lane = 0);
    rhumb_status sync();
    rhumb_status checkpoint();
    rhumb_status compact(bool shrink);

    // A random one of all these, except for sync, checkpoint and compact with several lanes. Failures because of a key
    // that is there, or is not, are RHUMB_OK.
    rhumb_status step(std::mt19937_64 *random, uint64_t id_count, uint32_t lane = 0);

    // Open with options at random, for a log that is cut by its length often, seldom, or never.
    rhumb_status open_somehow(std::mt19937_64 *random);

    LifeBounds bounds(uint64_t position) const;

    // Entries whose calls have returned: what the open handle must show.
    Oracle::Prefix returned_counts();

    // The index has been found to hold `found`. Life continues from there: what was not in it has not happened.
    // `durable`: the clock begins at 0 again with a disk that holds all of this.
    void resume(const Oracle::Prefix &found, bool durable);

    // The files have another name now. Without a handle only.
    void move(const std::string &path) { path_ = path; }

    // From here on, vectors are those of no other branch of this life.
    void begin_branch(uint64_t number);

    Oracle &oracle() { return oracle_; }
    const std::string &path() const { return path_; }
    rhumb_durability durability() const { return durability_; }

    // What contradicts include/rhumb.h, or "".
    const std::string &problem() const { return problem_; }

  private:
    struct Note {
        uint64_t position;
        uint64_t count; // entries of the lane
    };
    struct Lane {
        std::vector<Note> begun;
        std::vector<Note> promised;
        std::vector<Note> in_checkpoint;
        std::vector<uint64_t> lsns; // of each entry: a number that it is not above
        uint64_t vector_count = 0;
        uint64_t returned_count = 0; // entries whose calls have returned
    };

    uint64_t now() const { return clock_ == nullptr ? 0 : clock_(); }
    uint64_t key(uint64_t id, uint32_t lane) const { return vectors_.key(id * lanes_.size() + lane); }
    std::vector<float> fresh_vector(uint32_t lane);
    void begin(uint32_t lane, uint64_t entry_count);
    // Tells the oracle of a batch, and begins it; returns how many entries of the order it is.
    uint64_t begin_batch(const std::vector<Oracle::Operation> &operations, bool partial, uint32_t lane);
    void withdraw(uint32_t lane, uint64_t entry_count);
    rhumb_status end(uint32_t lane, uint64_t entry_count, uint64_t kept_count, rhumb_status status);
    void note_returned(uint32_t lane);
    void note_durable_lsn();
    void note_all(const Oracle::Prefix &counts, bool checkpoint);
    void adopt(rhumb_index *index, const rhumb_open_options &options);
    static uint64_t count_at(const std::vector<Note> &notes, uint64_t position);

    std::string path_;
    Vectors vectors_;
    uint64_t (*clock_)();
    Oracle oracle_;
    std::vector<Lane> lanes_;
    uint64_t created_position_ = UINT64_MAX;
    std::string problem_;
    std::mutex mutex_; // guards lanes_ against each other, and problem_
    Index index_;
    rhumb_durability durability_ = RHUMB_DURABILITY_FULL;
    bool failed_ = false; // the handle has returned RHUMB_E_FATAL
};

// Compares the index of an open handle with what it must hold, and returns how many live vectors a search of the
// greatest breadth does not find.
std::string judge_handle(IndexLife *life, rhumb_index *index, const Oracle::Prefix &low, const Oracle::Prefix &high,
                         Oracle::Prefix *found, uint64_t *missing_count);

} // namespace rhumb_test

#endif // RHUMB_TESTS_SUPPORT_INDEX_LIFE_H
