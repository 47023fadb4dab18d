// Which data sets, lives and pairs meet.
#ifndef RHUMB_TESTS_TORTURE_CASES_H
#define RHUMB_TESTS_TORTURE_CASES_H

#include <string>
#include <vector>

#include "tests/torture/life.h"
#include "tests/torture/pairs.h"
#include "tests/torture/sets.h"

namespace torture {

struct Case {
    const Set *set;
    const Course *course;
    Pair pair;
};

std::string name_of(const Case &one);

// Every set in every life under every pair that can hold it, in a random order.
std::vector<Case> all_cases(uint64_t seed);

// At most `count` of them, always the same, chosen so that as many pairs as possible of a set and a life, a life and a
// metric, and a set and a metric are among them; each set, each life and each pair of metric and type in any case, if
// `count` allows.
std::vector<Case> covering_cases(size_t count);

// Runs a case with an index of `count` vectors, or a third of them under slow metrics, in an empty folder. Returns ""
// or what went wrong, in one line.
std::string run(const Case &one, const std::string &folder, size_t count, const Extent &extent, uint64_t seed);

} // namespace torture

#endif // RHUMB_TESTS_TORTURE_CASES_H
