// cases.cc - see cases.h.
#include "tests/torture/cases.h"

#include <algorithm>
#include <set>

#include "tests/torture/answer.h"

namespace torture {

namespace {

bool holds(const Pair &pair, const Set &set) {
    if (set.holds == Holds::ALL) return true;
    if (set.holds == Holds::FLOATS) return rhumb_element_is_float(pair.element);
    const bool of_products =
        pair.metric == RHUMB_METRIC_L2SQ || pair.metric == RHUMB_METRIC_IP || pair.metric == RHUMB_METRIC_CUSTOM;
    return pair.element == RHUMB_ELEMENT_F32 && !of_products;
}

// Such distances take many times as long as others.
bool takes_logarithms(rhumb_metric metric) {
    return metric == RHUMB_METRIC_JEFFREYS || metric == RHUMB_METRIC_JENSEN_SHANNON;
}

// What a case covers, as pairs of names. A thing by itself counts more than two things that meet.
struct Coverage {
    std::set<std::string> seen;

    static std::vector<std::pair<std::string, int>> parts(const Case &one) {
        const std::string set = one.set->name, course = one.course->name, metric = rhumb_metric_name(one.pair.metric);
        const std::string pair = name_of(one.pair);
        return {{"set " + set, 10},      {"life " + course, 10},     {"pair " + pair, 10},
                {set + " " + course, 1}, {course + " " + metric, 1}, {set + " " + metric, 1}};
    }
    int gain(const Case &one) const {
        int gain = 0;
        for (const auto &[part, weight] : parts(one)) gain += seen.count(part) == 0 ? weight : 0;
        return gain;
    }
    void add(const Case &one) {
        for (const auto &[part, weight] : parts(one)) seen.insert(part);
    }
};

} // namespace

std::string name_of(const Case &one) {
    return std::string(one.set->name) + "__" + one.course->name + "__" + name_of(one.pair);
}

std::vector<Case> all_cases(uint64_t seed) {
    std::vector<Case> cases;
    for (const Set &set : all_sets()) {
        for (const Course &course : all_courses()) {
            for (const Pair &pair : all_pairs()) {
                if (holds(pair, set)) cases.push_back({&set, &course, pair});
            }
        }
    }
    Random random(seed);
    std::shuffle(cases.begin(), cases.end(), random);
    return cases;
}

// Greedy: of some hundred random cases the one that adds most.
std::vector<Case> covering_cases(size_t count) {
    const std::vector<Case> all = all_cases(1);
    Random random(2);
    Coverage coverage;
    std::vector<Case> chosen;
    while (chosen.size() < count) {
        const Case *best = nullptr;
        int best_gain = -1;
        for (size_t i = 0; i < 300; i++) {
            const Case &one = all[random() % all.size()];
            const int gain = coverage.gain(one);
            if (gain > best_gain) best = &one;
            best_gain = std::max(gain, best_gain);
        }
        coverage.add(*best);
        chosen.push_back(*best);
    }
    return chosen;
}

std::string run(const Case &one, const std::string &folder, size_t count, const Extent &extent, uint64_t seed) {
    if (takes_logarithms(one.pair.metric)) count /= 3;
    const Collection collection(*one.set, one.pair, count, std::max<size_t>(extent.queries_per_kind, 2), seed);
    Findings findings;
    {
        Life life(collection, folder, extent, seed + 1, &findings);
        one.course->run(life);
    }
    if (findings.empty()) return "";
    return text("torture set=%s life=%s pair=%s seed=%llu count=%zu: ", one.set->name, one.course->name,
                name_of(one.pair).c_str(), static_cast<unsigned long long>(seed), count) +
           findings.line();
}

} // namespace torture
