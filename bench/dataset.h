// dataset.h - a benchmark data set in memory, as read from an ann-benchmarks HDF5 file.
#ifndef RHUMB_BENCH_DATASET_H
#define RHUMB_BENCH_DATASET_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace bench {

struct Dataset {
    std::string name;    // file name without folder and suffix
    bool cosine = false; // "angular" in the file; otherwise "euclidean"
    size_t dim = 0;
    size_t train_count = 0;
    size_t test_count = 0;
    size_t truth_count = 0;            // true neighbours kept per test row
    std::vector<float> train;          // train_count rows of dim
    std::vector<float> test;           // test_count rows of dim
    std::vector<int32_t> neighbours;   // test_count rows of truth_count, nearest first
    std::vector<float> distances;      // the same shape; 1 - cos for cosine
    std::vector<uint8_t> train_labels; // empty where the file has none
    std::vector<uint8_t> test_labels;

    const float *train_row(size_t i) const { return train.data() + i * dim; }
    const float *test_row(size_t i) const { return test.data() + i * dim; }
};

enum class DatasetPart { all, queries };

// Reads a file; for the queries alone without the rows of `train`. Throws std::runtime_error that names the file and
// what is wrong with it.
Dataset read_dataset(const std::string &path, DatasetPart part = DatasetPart::all);

// Scales a vector to length 1 (a zero vector stays zero).
void normalise(const float *vector, size_t dim, float *unit);

// Distance in the data set's own unit (euclidean, or 1 - cos), in double precision.
double exact_distance(const Dataset &dataset, const float *a, const float *b);

} // namespace bench

#endif // RHUMB_BENCH_DATASET_H
