// Parts of a judgement: answers and what they are compared with, filters of every kind, and stored vectors.
#ifndef RHUMB_TESTS_TORTURE_ANSWER_H
#define RHUMB_TESTS_TORTURE_ANSWER_H

#include <cstdint>
#include <string>
#include <vector>

#include "include/rhumb.h"
#include "tests/torture/judge.h"

namespace torture {

// As printf.
std::string text(const char *format, ...) __attribute__((format(printf, 1, 2)));

// A query and its distances to all live keys, by their numbers.
struct Query {
    const char *kind;
    size_t row;
    std::vector<Measured> measured;
};

// The distances of what matches, ascending.
struct Expected {
    std::vector<Measured> sorted;
};

struct Answers {
    explicit Answers(size_t k) : keys(k), distances(k) {}
    std::vector<uint64_t> keys;
    std::vector<float> distances;
    size_t found = 0;
};

// A filter that lets those keys through whose entry of `matching` is not 0.
class Filter {
  public:
    Filter(const std::vector<char> &matching, rhumb_filter_kind kind, bool negate);
    Filter(const Filter &) = delete;
    Filter &operator=(const Filter &) = delete;

    void choose(rhumb_filter_plan plan) { filter_.plan = plan; }
    const rhumb_filter *get() const { return &filter_; }

  private:
    static bool matches(void *context, uint64_t key);

    const std::vector<char> matching_;
    std::vector<uint64_t> keys_;
    std::vector<uint8_t> bitmap_;
    rhumb_filter filter_;
};

// What is wrong with the stored vector of a key, or "".
std::string wrong_vector(rhumb_index *index, const Collection &collection, const Model &model, size_t number);

} // namespace torture

#endif // RHUMB_TESTS_TORTURE_ANSWER_H
