// What an index must answer: everything that it promises about answers, measured against brute force.
#ifndef RHUMB_TESTS_TORTURE_JUDGE_H
#define RHUMB_TESTS_TORTURE_JUDGE_H

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "include/rhumb.h"
#include "tests/torture/collection.h"

namespace torture {

constexpr size_t ABSENT = SIZE_MAX;

// What an index holds: the row of each key. Keys are neither dense nor what slots are.
class Model {
  public:
    explicit Model(size_t capacity) : rows_(capacity, ABSENT) {}

    static uint64_t key(size_t number) { return 1000 + 3 * number; }
    // The number of a key, or ABSENT if it is not a key of the model.
    size_t number(uint64_t key) const {
        const bool known = key >= 1000 && (key - 1000) % 3 == 0 && (key - 1000) / 3 < rows_.size();
        return known ? static_cast<size_t>((key - 1000) / 3) : ABSENT;
    }
    size_t capacity() const { return rows_.size(); }
    size_t row(size_t number) const { return rows_[number]; }
    void put(size_t number, size_t row) { rows_[number] = row; }
    void erase(size_t number) { rows_[number] = ABSENT; }
    std::vector<size_t> live() const; // numbers of keys, ascending

  private:
    std::vector<size_t> rows_;
};

// What went wrong, by kind. Thousands of wrong answers of one kind are one finding with a count.
class Findings {
  public:
    // Counts one check of a kind; `text` says what is wrong with it, or is empty.
    void check(const std::string &kind, const std::string &text);
    void add(const std::string &kind, bool right, const std::function<std::string()> &text);
    bool empty() const;
    std::string line() const; // all of them, in one line

  private:
    struct Finding {
        size_t checked = 0, wrong = 0;
        std::string first;
    };
    std::map<std::string, Finding> findings_;
};

// The extent of a judgement.
struct Extent {
    size_t queries_per_kind = 10;
    size_t filter_queries = 3;
    size_t iterators = 2;
    uint32_t M = 16; // of the index. Below 8 nothing is asked of recall, only what holds whatever the lists.
};

// Judges an index whose content is that of the model. `step` names the moment, for the findings.
void judge(rhumb_index *index, const Collection &collection, const Model &model, const std::string &step,
           const Extent &extent, uint64_t seed, Findings *findings);

} // namespace torture

#endif // RHUMB_TESTS_TORTURE_JUDGE_H
