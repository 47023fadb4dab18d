// The data sets of the torture set: rows of numbers, as users have them and as they hurt.
//
// Rows of a *projected* set are points of a space of twelve dimensions, from which collection.h makes vectors of any
// metric and element type; equal points become equal vectors. Rows of other sets are small numbers that mean what they
// are (categories, ratings, bits).
#ifndef RHUMB_TESTS_TORTURE_SETS_H
#define RHUMB_TESTS_TORTURE_SETS_H

#include <cstddef>
#include <random>
#include <string>
#include <vector>

namespace torture {

using Random = std::mt19937_64;
using Row = std::vector<double>;
using Rows = std::vector<Row>;

// What can hold a set: any element type; floats; f32 under metrics that neither multiply components nor raise them to a
// power, so that distances fit.
enum class Holds { ALL, FLOATS, F32_DISTANCES };

struct Set {
    const char *name;
    bool projected;
    Holds holds;
    Rows (*generate)(Random &random, size_t count); // in the order of insertion
};

const std::vector<Set> &all_sets();

// Normal deviates.
Row gaussian(Random &random, size_t dim, double scale = 1);

// From 0 to 1.
double uniform(Random &random);

} // namespace torture

#endif // RHUMB_TESTS_TORTURE_SETS_H
