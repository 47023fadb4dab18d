// Vectors of one metric and element type, made from a data set, with queries that suit it.
#ifndef RHUMB_TESTS_TORTURE_COLLECTION_H
#define RHUMB_TESTS_TORTURE_COLLECTION_H

#include <cstdint>
#include <string>
#include <vector>

#include "tests/torture/pairs.h"
#include "tests/torture/sets.h"

namespace torture {

// Rows 0 to count() - 1 are to be inserted, in this order. Those after them are for queries alone: rows of the same set
// that are not inserted, then rows of it that were changed a little.
class Collection {
  public:
    Collection(const Set &set, const Pair &pair, size_t count, size_t query_count, uint64_t seed);
    Collection(const Collection &) = delete;
    Collection &operator=(const Collection &) = delete;

    const Pair &pair() const { return pair_; }
    uint32_t dim() const { return dim_; }
    size_t count() const { return count_; }
    size_t fresh(size_t i) const { return count_ + i; }
    size_t perturbed(size_t i) const { return count_ + query_count_ + i; }
    size_t query_count() const { return query_count_; }

    // What a caller passes.
    const void *vector(size_t row) const {
        return is_sequence(pair_) ? static_cast<const void *>(&sequences_[row]) : bytes_[row].data();
    }

    // Several vectors, one after the other; valid until the next call in this thread.
    const void *vectors(const std::vector<size_t> &rows) const;

    // A number that rows share whose vectors have equal bytes.
    size_t value(size_t row) const { return values_[row]; }

    Measured measure(size_t row_a, size_t row_b) const {
        return torture::measure(pair_, numbers_[row_a], numbers_[row_b]);
    }

    const std::vector<double> &numbers(size_t row) const { return numbers_[row]; }
    const uint8_t *bytes(size_t row) const { return bytes_[row].data(); }
    size_t byte_count(size_t row) const { return bytes_[row].size(); }

    // The `count` rows that are nearest to one of them.
    std::vector<size_t> region(size_t centre, size_t count) const;

  private:
    class Encoder;

    void add(const Encoder &encoder, const Row &row);

    Pair pair_;
    uint32_t dim_ = 0;
    size_t count_, query_count_;
    std::vector<std::vector<uint8_t>> bytes_;
    std::vector<std::vector<double>> numbers_;
    std::vector<rhumb_sequence> sequences_;
    std::vector<size_t> values_;
};

} // namespace torture

#endif // RHUMB_TESTS_TORTURE_COLLECTION_H
