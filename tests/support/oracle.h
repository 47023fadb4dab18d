// What an index must hold: the operations that were asked of it, as a numbered list, and a comparison of an index with
// the state after any prefix of them. The truth is a map and brute force in double precision.
//
// Operations are recorded in *lanes*, one per writing thread, whose keys must be disjoint: the order between two lanes
// is not known and does not matter. With one lane the list is global. A prefix is a number per lane: how many of its
// entries have happened. A batch is one entry: all of it or nothing.
//
// Entries that would fail have no effect, as in the index: inserting a key that is there, deleting one that is not.
// An entry is best recorded before the call is made, so that it is there when a power cut hits the call; withdraw takes
// it back when the call failed.
//
// Lanes may be recorded in by different threads at once; everything else needs exclusive use of the object.
#ifndef RHUMB_TESTS_SUPPORT_ORACLE_H
#define RHUMB_TESTS_SUPPORT_ORACLE_H

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "include/rhumb.h"

namespace rhumb_test {

class Oracle {
  public:
    using Vector = std::vector<float>;
    using Prefix = std::vector<uint64_t>; // entries that have happened, per lane
    enum class Kind { kInsert, kUpsert, kDelete };
    struct Operation {
        Kind kind;
        uint64_t key;
        std::shared_ptr<const Vector> vector; // NULL for a delete
    };

    Oracle(uint32_t dim, rhumb_metric metric, uint32_t lane_count = 1);

    // Record one entry, and return its number in the lane, beginning with 1.
    uint64_t insert(uint64_t key, Vector vector, uint32_t lane = 0);
    uint64_t upsert(uint64_t key, Vector vector, uint32_t lane = 0);
    uint64_t erase(uint64_t key, uint32_t lane = 0);
    uint64_t batch(std::vector<Operation> operations, uint32_t lane = 0);
    static Operation operation(Kind kind, uint64_t key, Vector vector = {});

    // Forgets the last entry of a lane: the call failed.
    void withdraw(uint32_t lane = 0);

    // How many entries there are.
    uint64_t count(uint32_t lane = 0) const { return lanes_.at(lane).entries.size(); }
    Prefix counts() const;

    // How many entries at the beginning are the same in both, with the same vector objects.
    uint64_t common_count(const Oracle &other, uint32_t lane = 0) const;

    // Compares everything with the index: the count; every key that was ever used, present or absent, and its vector
    // bit for bit; exact searches, whose distances must be those of brute force, and approximate ones, which must find
    // nothing but live keys at their exact distances. Returns "" or what is wrong.
    //
    // Distances may differ from brute force by (dim + 8) * FLT_EPSILON times the sum of the magnitudes that were added
    // up: the bound on the error of adding `dim` products in f32, in whatever order a kernel does.
    std::string compare(rhumb_index *index, const Prefix &prefix, uint32_t query_count = 4);

    // Finds the shortest prefix from `low` to `high` whose keys and vectors are those of the index, and compares
    // everything with it. Returns "" and the prefix, or what is wrong. In time proportional to keys and entries.
    std::string find_prefix(rhumb_index *index, const Prefix &low, const Prefix &high, Prefix *found,
                            uint32_t query_count = 4);

    // Makes the state after this prefix the beginning: later entries are forgotten, as those that a power cut has
    // taken, and numbers begin at 1 again. Keys remain known.
    void rebase(const Prefix &prefix);

    // Forgets the entries behind this prefix, as those that a power cut has taken. Their numbers are assigned again.
    void truncate(const Prefix &prefix);

    // The vectors of all live keys after a prefix.
    std::map<uint64_t, std::shared_ptr<const Vector>> state(const Prefix &prefix) const;

    // The distance that the index should give.
    double distance(const Vector &a, const Vector &b) const;

  private:
    using State = std::unordered_map<uint64_t, std::shared_ptr<const Vector>>;
    struct Lane {
        State base;
        std::vector<std::vector<Operation>> entries;
        std::unordered_set<uint64_t> keys; // ever used
    };

    uint64_t record(std::vector<Operation> operations, uint32_t lane);
    static void apply(const std::vector<Operation> &entry, State *state);
    static State lane_state(const Lane &lane, uint64_t entry_count);
    std::string observe(rhumb_index *index, const Lane &lane, State *observed) const;
    std::string find_in_lane(rhumb_index *index, uint32_t lane, uint64_t low, uint64_t high, uint64_t *found) const;
    double tolerance(const Vector &a, const Vector &b) const;
    std::string compare_searches(rhumb_index *index, const std::map<uint64_t, std::shared_ptr<const Vector>> &live,
                                 const Vector &query) const;

    uint32_t dim_;
    rhumb_metric metric_;
    std::vector<Lane> lanes_;
};

} // namespace rhumb_test

#endif // RHUMB_TESTS_SUPPORT_ORACLE_H
