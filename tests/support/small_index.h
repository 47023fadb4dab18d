// Small indexes of random vectors, and a fixed set of queries to compare them by.
#ifndef RHUMB_TESTS_SUPPORT_SMALL_INDEX_H
#define RHUMB_TESTS_SUPPORT_SMALL_INDEX_H

#include <cstdint>
#include <string>
#include <vector>

#include "include/rhumb.h"

namespace rhumb_test {

// The vectors of a test: vector i is a function of (seed, i) alone, and so is its key.
class Vectors {
  public:
    Vectors(uint32_t dim, uint64_t seed) : dim_(dim), seed_(seed) {}
    uint32_t dim() const { return dim_; }
    std::vector<float> vector(uint64_t i) const;
    std::vector<float> vectors(uint64_t first, uint64_t count) const;
    uint64_t key(uint64_t i) const; // keys are far apart, and no two are equal
    std::vector<uint64_t> keys(uint64_t first, uint64_t count) const;

  private:
    uint32_t dim_;
    uint64_t seed_;
};

struct IndexShape {
    uint32_t dim = 16;
    rhumb_metric metric = RHUMB_METRIC_L2;
    uint32_t M = 4;
    uint32_t M0 = 8;
    uint32_t ef_construction = 32;
    bool extend_candidates = false;
    bool keep_pruned = false;
};

// A handle that closes itself; closing publishes unless the handle is read-only.
class Index {
  public:
    Index() = default;
    explicit Index(rhumb_index *index) : index_(index) {}
    Index(Index &&other) noexcept : index_(other.index_) { other.index_ = nullptr; }
    Index &operator=(Index &&other) noexcept {
        std::swap(index_, other.index_);
        return *this;
    }
    ~Index() { (void)close(); }
    rhumb_status close() {
        rhumb_index *index = index_;
        index_ = nullptr;
        return rhumb_index_close(index);
    }
    operator rhumb_index *() const { return index_; }

  private:
    rhumb_index *index_ = nullptr;
};

// Handles that write have a log next to the index, unless their durability is none.
rhumb_status create_index(const std::string &path, const IndexShape &shape, Index *index,
                          rhumb_durability durability = RHUMB_DURABILITY_FULL);
rhumb_status open_index(const std::string &path, bool read_only, Index *index,
                        rhumb_durability durability = RHUMB_DURABILITY_FULL);

// Removes an index with its log, whether they exist or not.
void remove_index(const std::string &path);

// Inserts vectors [first, first + count) one by one.
rhumb_status insert_range(rhumb_index *index, const Vectors &vectors, uint64_t first, uint64_t count);

// Creates an index with `count` vectors, published in `checkpoint_count` steps, without a log, and closes it.
rhumb_status build_index(const std::string &path, const IndexShape &shape, const Vectors &vectors, uint64_t count,
                         uint32_t checkpoint_count);

// The answers of an index to a fixed set of queries, to compare before and after.
struct Answers {
    std::vector<uint64_t> keys;
    std::vector<float> distances;
    std::vector<uint64_t> exact_keys;
    std::vector<float> vectors; // of vectors [0, count)
    uint64_t count = 0;
    bool operator==(const Answers &other) const {
        return keys == other.keys && distances == other.distances && exact_keys == other.exact_keys &&
               vectors == other.vectors && count == other.count;
    }
};

// Asks the index about vectors [0, count). Any status other than RHUMB_OK ends it; with `lenient`, RHUMB_E_NOTFOUND of
// single keys does not.
rhumb_status ask(rhumb_index *index, const Vectors &vectors, uint64_t count, bool lenient, Answers *answers);

// verify's result; the report is filled whenever it can be.
rhumb_status verify_index(rhumb_index *index, rhumb_verify_report *report);

} // namespace rhumb_test

#endif // RHUMB_TESTS_SUPPORT_SMALL_INDEX_H
