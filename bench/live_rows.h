// live_rows.h - which rows of a data set are in an index, and the recall of the index among them.
#ifndef RHUMB_BENCH_LIVE_ROWS_H
#define RHUMB_BENCH_LIVE_ROWS_H

#include <cstddef>
#include <cstdint>
#include <vector>

#include "bench/dataset.h"
#include "bench/rhumb_index.h"

namespace bench {

class LiveRows {
  public:
    // All rows of the data set, which must outlive the object.
    explicit LiveRows(const Dataset &data) : data_(data), live_(data.train_count, true) {}

    bool operator[](size_t row) const { return live_[row]; }
    void set(size_t row, bool live) { live_[row] = live; }
    // The numbers of the rows that are in the index, or of those that are not.
    std::vector<uint64_t> rows(bool live = true) const;
    // The ten nearest live rows of each query. Throws where the data set does not know as many.
    std::vector<std::vector<uint64_t>> truth() const;

  private:
    const Dataset &data_;
    std::vector<bool> live_;
};

// The share of those that searches of all queries for ten neighbours find.
double recall_at_10(const RhumbIndex &index, const Dataset &data, const std::vector<std::vector<uint64_t>> &truth,
                    uint32_t ef);

} // namespace bench

#endif // RHUMB_BENCH_LIVE_ROWS_H
