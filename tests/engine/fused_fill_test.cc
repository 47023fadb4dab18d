// Goal: fillers are as many as there is room for, near, in different directions, and never what the row has already.
// Method: cases in the plane whose answer is plain; random vectors against the rule, written again in double. Random
// inputs; the seed is printed and RHUMB_SEED repeats it.
#include <algorithm>
#include <memory>
#include <set>

#include "tests/support/codes.h"

extern "C" {
#include "engine/graph/fused_fill.h"
}

namespace {

using Numbers = std::vector<double>;
using Random = std::mt19937_64;

class FusedFill : public testing::Test {
  protected:
    void use(rhumb_metric metric, rhumb_element element, uint32_t dim) {
        ASSERT_EQ(space_init(&space, metric, element, dim), RHUMB_OK);
        ASSERT_EQ(rhumb__fused_filler_init(&filler, &space), RHUMB_OK);
        vectors.clear();
    }
    // Slots are given in order.
    uint32_t add(const Numbers &numbers) {
        vectors.push_back(std::make_unique<std::vector<uint8_t>>(space.row_bytes));
        const codes::Bytes bytes = codes::bytes_of(space.element, numbers);
        EXPECT_EQ(rhumb__space_prepare(&space, bytes.data(), vectors.back()->data()), RHUMB_OK);
        return static_cast<uint32_t>(vectors.size() - 1);
    }
    rhumb__fused_candidate candidate(uint32_t slot) const { return {vectors[slot]->data(), slot, -1.0f}; }
    std::vector<uint32_t> fill(uint32_t node, const std::vector<uint32_t> &list, const std::vector<uint32_t> &slots,
                               uint32_t count) {
        std::vector<rhumb__fused_candidate> of_list, candidates;
        for (uint32_t slot : list) of_list.push_back(candidate(slot));
        for (uint32_t slot : slots) candidates.push_back(candidate(slot));
        const rhumb__fused_fill_from from = {candidate(node), of_list.data(), static_cast<uint32_t>(of_list.size()),
                                             candidates.data(), static_cast<uint32_t>(candidates.size())};
        auto scratch = std::make_unique<rhumb__fused_fill_scratch>();
        memset(scratch.get(), 0xA5, sizeof *scratch);
        const uint32_t chosen_count = rhumb__fused_fill(&filler, &from, count, scratch.get());
        EXPECT_LE(chosen_count, count);
        std::vector<uint32_t> chosen;
        for (uint32_t i = 0; i < chosen_count; i++) chosen.push_back(candidates[i].slot);
        for (size_t i = 0; i < list.size(); i++) EXPECT_EQ(of_list[i].slot, list[i]) << "the list keeps its order";
        return chosen;
    }
    // A point of the plane at a distance and an angle in degrees from the origin.
    uint32_t add_polar(double distance, double degrees) {
        const double radians = degrees * 3.14159265358979 / 180;
        return add({distance * std::cos(radians), distance * std::sin(radians)});
    }

    rhumb__space space;
    rhumb__fused_filler filler;
    std::vector<std::unique_ptr<std::vector<uint8_t>>> vectors; // by slot
    Random random{rhumb_test::choose_seed()};
    std::normal_distribution<double> normal{0, 0.6};
};

using Slots = std::vector<uint32_t>;

TEST_F(FusedFill, PrefersOtherDirectionsToNearness) {
    use(RHUMB_METRIC_L2, RHUMB_ELEMENT_F32, 2);
    const uint32_t node = add_polar(0, 0), listed = add_polar(1, 0), same_way = add_polar(2, 10),
                   across = add_polar(3, 120), opposite = add_polar(4, 240), farther = add_polar(5, 121);
    EXPECT_EQ(fill(node, {listed}, {same_way, across, opposite, farther}, 1), (Slots{across}));
    EXPECT_EQ(fill(node, {listed}, {same_way, across, opposite, farther}, 2), (Slots{across, opposite}));
    EXPECT_EQ(fill(node, {listed}, {same_way, across, opposite, farther}, 3), (Slots{same_way, across, opposite}));
    EXPECT_EQ(fill(node, {listed}, {same_way, across, opposite, farther}, 9),
              (Slots{same_way, across, opposite, farther}));
    // A neighbour that is farther than a candidate does not shadow it.
    EXPECT_EQ(fill(node, {farther}, {across, opposite}, 1), (Slots{across}));
}

TEST_F(FusedFill, TakesTheNearestWhereAllDirectionsAreTheSame) {
    use(RHUMB_METRIC_L2SQ, RHUMB_ELEMENT_F64, 2);
    const uint32_t node = add_polar(0, 0);
    Slots list = {add_polar(1, 45)}, slots;
    for (int i = 0; i < 20; i++) slots.push_back(add_polar(40 - i, 45));
    EXPECT_EQ(fill(node, list, slots, 3), (Slots{slots[19], slots[18], slots[17]}));
}

TEST_F(FusedFill, NeverTakesWhatTheRowHas) {
    use(RHUMB_METRIC_L2, RHUMB_ELEMENT_F32, 2);
    const uint32_t node = add_polar(1, 5), listed = add_polar(2, 5), other = add_polar(2, 50), equal = add_polar(1, 5);
    EXPECT_EQ(fill(node, {listed}, {listed, other, node, other, equal, listed, other}, 16), (Slots{other}));
    EXPECT_EQ(fill(node, {listed}, {node, listed, equal}, 16), Slots{});
    EXPECT_EQ(fill(node, {listed}, {}, 16), Slots{});
    EXPECT_EQ(fill(node, {}, {other, other}, 0), Slots{});
    EXPECT_EQ(fill(node, {}, {other, other}, 16), (Slots{other}));
}

// ---- random vectors, against the rule ----

double squared_distance(const Numbers &a, const Numbers &b) {
    double sum = 0;
    for (size_t i = 0; i < a.size(); i++) sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sum;
}

// The rule for points of distinct distances, `points` being by slot; the slots of candidates are sorted by distance.
struct Rule {
    double cosine(uint32_t a, uint32_t b) const {
        const double square_a = squared_distance(points[a], points[node]),
                     square_b = squared_distance(points[b], points[node]);
        return (square_a + square_b - squared_distance(points[a], points[b])) / 2 / std::sqrt(square_a * square_b);
    }
    Slots choose(double bound) const {
        Slots chosen;
        for (uint32_t a : sorted) {
            bool fits = chosen.size() < count;
            for (uint32_t b : list) {
                const bool is_nearer =
                    squared_distance(points[b], points[node]) < squared_distance(points[a], points[node]);
                if (is_nearer && cosine(a, b) > bound) fits = false;
            }
            for (uint32_t b : chosen) fits = fits && cosine(a, b) <= bound;
            if (fits) chosen.push_back(a);
        }
        return chosen;
    }
    Slots choose_best() const {
        double low = 0.5, high = 1;
        Slots best;
        for (int i = 0; i < 5; i++) {
            const double middle = (low + high) / 2;
            const Slots chosen = choose(middle);
            if (chosen.size() == count) best = chosen;
            (chosen.size() == count ? high : low) = middle;
        }
        return best.empty() ? Slots(sorted.begin(), sorted.begin() + count) : best;
    }
    std::vector<Numbers> points;
    uint32_t node, count;
    Slots list, sorted;
};

TEST_F(FusedFill, FollowsTheRule) {
    int bounded = 0, others_count = 0, rounds = 0;
    for (rhumb_metric metric : {RHUMB_METRIC_L2, RHUMB_METRIC_L2SQ, RHUMB_METRIC_IP, RHUMB_METRIC_COSINE}) {
        for (rhumb_element element : {RHUMB_ELEMENT_F32, RHUMB_ELEMENT_F64}) {
            for (int round = 0; round < 12; round++, rounds++) {
                const uint32_t dim = 3 + static_cast<uint32_t>(random() % 12);
                const uint32_t list_count = static_cast<uint32_t>(random() % 14), others = 40 + random() % 150;
                use(metric, element, dim);
                Rule rule;
                rule.node = 0;
                Slots slots;
                for (uint32_t slot = 0; slot < 1 + list_count + others; slot++) {
                    Numbers numbers(dim);
                    for (double &number : numbers) number = 3 + normal(random);
                    add(numbers);
                    if (element == RHUMB_ELEMENT_F32) {
                        for (double &number : numbers) number = static_cast<float>(number);
                    }
                    if (metric == RHUMB_METRIC_COSINE) {
                        const double length = std::sqrt(squared_distance(numbers, Numbers(dim)));
                        for (double &number : numbers) number /= length;
                    }
                    rule.points.push_back(numbers);
                    if (slot >= 1 && slot <= list_count) rule.list.push_back(slot);
                    if (slot > list_count) slots.push_back(slot);
                }
                rule.sorted = slots;
                std::sort(rule.sorted.begin(), rule.sorted.end(), [&rule](uint32_t a, uint32_t b) {
                    return squared_distance(rule.points[a], rule.points[0]) <
                           squared_distance(rule.points[b], rule.points[0]);
                });
                if (rule.sorted.size() > RHUMB__FUSED_FILL_MAX) rule.sorted.resize(RHUMB__FUSED_FILL_MAX);
                rule.count = 1 + static_cast<uint32_t>(random() % 24);
                slots.insert(slots.end(), slots.begin(), slots.begin() + 20); // some repeatedly
                slots.insert(slots.end(), rule.list.begin(), rule.list.end());
                slots.push_back(rule.node);
                std::shuffle(slots.begin(), slots.end(), random);
                const Slots expected = rule.choose_best();
                if (fill(0, rule.list, slots, rule.count) != expected) others_count++;
                const Slots nearest(rule.sorted.begin(), rule.sorted.begin() + rule.count);
                if (expected != nearest) bounded++;
            }
        }
    }
    EXPECT_GT(bounded, rounds / 3) << "the bound mattered";
    EXPECT_LE(others_count, 3) << "cosines that are the bound but for rounding: about one round in 2,000";
}

// Packed distances, and products that no double holds: some candidates are chosen, whichever.
TEST_F(FusedFill, ChoosesAmongVectorsOfAnySize) {
    for (rhumb_element element : {RHUMB_ELEMENT_F32, RHUMB_ELEMENT_F64}) {
        const int exponent_max = element == RHUMB_ELEMENT_F32 ? 120 : 1000;
        for (int exponent = -exponent_max; exponent <= exponent_max; exponent += exponent_max / 4) {
            use(RHUMB_METRIC_L2, element, 8);
            Slots slots;
            for (int i = 0; i < 60; i++) {
                Numbers numbers(8);
                for (double &number : numbers) {
                    number = std::ldexp(normal(random), exponent + static_cast<int>(random() % 4));
                }
                slots.push_back(add(numbers));
            }
            const Slots chosen = fill(0, {1, 2, 3}, slots, 13);
            EXPECT_EQ(chosen.size(), 13u) << exponent;
            EXPECT_EQ(std::set<uint32_t>(chosen.begin(), chosen.end()).size(), 13u) << exponent;
            for (uint32_t slot : chosen) EXPECT_GT(slot, 3u);
        }
    }
}

} // namespace
