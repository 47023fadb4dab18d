// The pairs of metric and element type that the torture set goes through, and their distances by plain loops in double,
// as the manual defines them (rhumb_types.h, METRICS).
#ifndef RHUMB_TESTS_TORTURE_PAIRS_H
#define RHUMB_TESTS_TORTURE_PAIRS_H

#include <cstdint>
#include <string>
#include <vector>

#include "include/rhumb.h"

namespace torture {

struct Pair {
    rhumb_metric metric;
    rhumb_element element;
};

// Every metric, with a few element types each.
const std::vector<Pair> &all_pairs();

std::string name_of(const Pair &pair);

inline bool is_sequence(const Pair &pair) { return pair.metric == RHUMB_METRIC_LEVENSHTEIN; }

// Whether a vector is at distance 0 from itself, and at most from others.
inline bool is_zero_for_itself(const Pair &pair) {
    return pair.metric != RHUMB_METRIC_IP && pair.metric != RHUMB_METRIC_COSINE;
}

// The name and the function of the custom metric: the cubes of differences, summed.
extern const char custom_name[];
float custom_distance(const void *a, const void *b, uint32_t dim, void *context);

// A distance, rounded to f32, and how far the library may be from it.
struct Measured {
    double value;
    double tolerance;
};

// Components are given as numbers, those of bits as 0 and 1.
Measured measure(const Pair &pair, const std::vector<double> &a, const std::vector<double> &b);

} // namespace torture

#endif // RHUMB_TESTS_TORTURE_PAIRS_H
