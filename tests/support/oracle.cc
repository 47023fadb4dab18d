// See oracle.h.
#include "tests/support/oracle.h"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstring>
#include <utility>

extern "C" {
#include "base/bits.h"
}

namespace rhumb_test {
namespace {

constexpr size_t kNearest = 10;

std::string failure(const char *what, rhumb_status status) {
    return std::string(what) + ": " + rhumb_status_name(status) + ", " + rhumb_error_last()->message;
}

bool same_bits(const Oracle::Vector &a, const Oracle::Vector &b) {
    return a.size() == b.size() && memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

bool same(const std::shared_ptr<const Oracle::Vector> &a, const std::shared_ptr<const Oracle::Vector> &b) {
    if (a == nullptr || b == nullptr) return a == b;
    return a == b || same_bits(*a, *b);
}

} // namespace

Oracle::Oracle(uint32_t dim, rhumb_metric metric, uint32_t lane_count)
    : dim_(dim), metric_(metric), lanes_(lane_count) {}

Oracle::Operation Oracle::operation(Kind kind, uint64_t key, Vector vector) {
    if (kind == Kind::kDelete) return {kind, key, nullptr};
    return {kind, key, std::make_shared<const Vector>(std::move(vector))};
}

uint64_t Oracle::record(std::vector<Operation> operations, uint32_t lane) {
    for (const Operation &operation : operations) lanes_.at(lane).keys.insert(operation.key);
    lanes_[lane].entries.push_back(std::move(operations));
    return lanes_[lane].entries.size();
}

uint64_t Oracle::insert(uint64_t key, Vector vector, uint32_t lane) {
    return record({operation(Kind::kInsert, key, std::move(vector))}, lane);
}

uint64_t Oracle::upsert(uint64_t key, Vector vector, uint32_t lane) {
    return record({operation(Kind::kUpsert, key, std::move(vector))}, lane);
}

uint64_t Oracle::erase(uint64_t key, uint32_t lane) { return record({operation(Kind::kDelete, key)}, lane); }

uint64_t Oracle::batch(std::vector<Operation> operations, uint32_t lane) { return record(std::move(operations), lane); }

void Oracle::withdraw(uint32_t lane) { lanes_.at(lane).entries.pop_back(); }

Oracle::Prefix Oracle::counts() const {
    Prefix counts;
    for (const Lane &lane : lanes_) counts.push_back(lane.entries.size());
    return counts;
}

uint64_t Oracle::common_count(const Oracle &other, uint32_t lane) const {
    const auto is_same = [](const std::vector<Operation> &a, const std::vector<Operation> &b) {
        return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Operation &one, const Operation &two) {
            return one.kind == two.kind && one.key == two.key && one.vector == two.vector;
        });
    };
    const auto &own = lanes_.at(lane).entries;
    const auto &others = other.lanes_.at(lane).entries;
    const auto [end, unused] = std::mismatch(own.begin(), own.end(), others.begin(), others.end(), is_same);
    return static_cast<uint64_t>(end - own.begin());
}

void Oracle::apply(const std::vector<Operation> &entry, State *state) {
    for (const Operation &operation : entry) {
        switch (operation.kind) {
        case Kind::kInsert: state->emplace(operation.key, operation.vector); break;
        case Kind::kUpsert: (*state)[operation.key] = operation.vector; break;
        case Kind::kDelete: state->erase(operation.key); break;
        }
    }
}

Oracle::State Oracle::lane_state(const Lane &lane, uint64_t entry_count) {
    State state = lane.base;
    for (uint64_t i = 0; i < entry_count; i++) apply(lane.entries.at(i), &state);
    return state;
}

std::map<uint64_t, std::shared_ptr<const Oracle::Vector>> Oracle::state(const Prefix &prefix) const {
    std::map<uint64_t, std::shared_ptr<const Vector>> all;
    for (size_t i = 0; i < lanes_.size(); i++) {
        const State state = lane_state(lanes_[i], prefix.at(i));
        all.insert(state.begin(), state.end());
    }
    return all;
}

void Oracle::rebase(const Prefix &prefix) {
    for (size_t i = 0; i < lanes_.size(); i++) {
        lanes_[i].base = lane_state(lanes_[i], prefix.at(i));
        lanes_[i].entries.clear();
    }
}

void Oracle::truncate(const Prefix &prefix) {
    for (size_t i = 0; i < lanes_.size(); i++) lanes_[i].entries.resize(prefix.at(i));
}

// What the index has under the keys of a lane.
std::string Oracle::observe(rhumb_index *index, const Lane &lane, State *observed) const {
    for (const uint64_t key : lane.keys) {
        bool found = false;
        rhumb_status status = rhumb_index_contains(index, key, &found);
        if (status != RHUMB_OK) return failure("contains", status);
        Vector vector(dim_);
        status = rhumb_index_get_vector(index, key, vector.data());
        if (status != (found ? RHUMB_OK : RHUMB_E_NOTFOUND))
            return "key " + std::to_string(key) + (found ? " is there" : " is not there") + ", but get_vector says " +
                   rhumb_status_name(status);
        if (found) (*observed)[key] = std::make_shared<const Vector>(std::move(vector));
    }
    return "";
}

namespace {

using KeyMap = std::unordered_map<uint64_t, std::shared_ptr<const Oracle::Vector>>;

std::shared_ptr<const Oracle::Vector> value_of(const KeyMap &map, uint64_t key) {
    const auto found = map.find(key);
    return found == map.end() ? nullptr : found->second;
}

// Names one key that is not as expected.
std::string first_difference(const std::unordered_set<uint64_t> &keys, const KeyMap &expected, const KeyMap &found) {
    for (const uint64_t key : keys) {
        const auto wanted = value_of(expected, key);
        const auto there = value_of(found, key);
        if (same(wanted, there)) continue;
        const char *what = wanted == nullptr ? " should not be there" : " has another vector";
        return "key " + std::to_string(key) + (there == nullptr ? " is missing" : what);
    }
    return "none";
}

} // namespace

std::string Oracle::find_in_lane(rhumb_index *index, uint32_t lane_index, uint64_t low, uint64_t high,
                                 uint64_t *found) const {
    const Lane &lane = lanes_[lane_index];
    State observed;
    const std::string problem = observe(index, lane, &observed);
    if (!problem.empty()) return problem;
    State state = lane_state(lane, low);
    std::unordered_set<uint64_t> different;
    for (const uint64_t key : lane.keys) {
        if (!same(value_of(state, key), value_of(observed, key))) different.insert(key);
    }
    uint64_t fewest = UINT64_MAX;
    uint64_t nearest = low;
    for (uint64_t n = low;; n++) {
        if (different.empty()) {
            *found = n;
            return "";
        }
        if (different.size() < fewest) {
            fewest = different.size();
            nearest = n;
        }
        if (n >= high) break;
        apply(lane.entries.at(n), &state);
        for (const Operation &operation : lane.entries[n]) {
            const uint64_t key = operation.key;
            if (same(value_of(state, key), value_of(observed, key)))
                different.erase(key);
            else
                different.insert(key);
        }
    }
    return "lane " + std::to_string(lane_index) + " holds no prefix of " + std::to_string(low) + " to " +
           std::to_string(high) + " entries; the nearest is " + std::to_string(nearest) + ", where " +
           std::to_string(fewest) + " keys differ: " + first_difference(lane.keys, lane_state(lane, nearest), observed);
}

std::string Oracle::find_prefix(rhumb_index *index, const Prefix &low, const Prefix &high, Prefix *found,
                                uint32_t query_count) {
    Prefix prefix(lanes_.size());
    for (uint32_t i = 0; i < lanes_.size(); i++) {
        const std::string problem = find_in_lane(index, i, low.at(i), high.at(i), &prefix[i]);
        if (!problem.empty()) return problem;
    }
    *found = prefix;
    return compare(index, prefix, query_count);
}

std::string Oracle::compare(rhumb_index *index, const Prefix &prefix, uint32_t query_count) {
    for (uint32_t i = 0; i < lanes_.size(); i++) {
        uint64_t found = 0;
        const std::string problem = find_in_lane(index, i, prefix.at(i), prefix[i], &found);
        if (!problem.empty()) return problem;
    }
    const std::map<uint64_t, std::shared_ptr<const Vector>> live = state(prefix);
    const uint64_t count = rhumb_index_count(index);
    if (count != live.size())
        return std::to_string(live.size()) + " keys are there, but the index counts " + std::to_string(count);
    // Queries lie near live vectors, spread over the keys; anywhere if there are none.
    for (uint32_t i = 0; i < query_count; i++) {
        Vector query(dim_, 1.0f);
        if (!live.empty()) {
            auto near = live.begin();
            std::advance(near, static_cast<ptrdiff_t>(rhumb__mix64(i + live.size()) % live.size()));
            query = *near->second;
        }
        query[i % dim_] += 0.25f;
        const std::string problem = compare_searches(index, live, query);
        if (!problem.empty()) return problem;
    }
    return "";
}

// ---- distances ----

double Oracle::distance(const Vector &a, const Vector &b) const {
    double squares = 0, dot = 0, a_squares = 0, b_squares = 0;
    for (uint32_t i = 0; i < dim_; i++) {
        const double x = a[i], y = b[i];
        squares += (x - y) * (x - y);
        dot += x * y;
        a_squares += x * x;
        b_squares += y * y;
    }
    switch (metric_) {
    case RHUMB_METRIC_L2SQ: return squares;
    case RHUMB_METRIC_L2: return std::sqrt(squares);
    case RHUMB_METRIC_IP: return 1 - dot;
    default: break;
    }
    return a_squares == 0 || b_squares == 0 ? 1 : 1 - dot / std::sqrt(a_squares * b_squares);
}

double Oracle::tolerance(const Vector &a, const Vector &b) const {
    double magnitude = 2; // of a cosine's terms, after normalisation
    if (metric_ == RHUMB_METRIC_L2SQ || metric_ == RHUMB_METRIC_L2) magnitude = distance(a, b);
    if (metric_ == RHUMB_METRIC_IP) {
        magnitude = 1;
        for (uint32_t i = 0; i < dim_; i++) magnitude += std::fabs(static_cast<double>(a[i]) * b[i]);
    }
    return (dim_ + 8) * static_cast<double>(FLT_EPSILON) * magnitude + FLT_MIN;
}

namespace {

struct Answer {
    std::vector<uint64_t> keys = std::vector<uint64_t>(kNearest);
    std::vector<float> distances = std::vector<float>(kNearest);
    size_t count = 0;
};

} // namespace

std::string Oracle::compare_searches(rhumb_index *index, const std::map<uint64_t, std::shared_ptr<const Vector>> &live,
                                     const Vector &query) const {
    std::vector<std::pair<double, double>> truth; // distances, nearest first, with their tolerances
    for (const auto &[key, vector] : live) truth.push_back({distance(query, *vector), tolerance(query, *vector)});
    std::sort(truth.begin(), truth.end());
    const size_t expected_count = std::min<size_t>(kNearest, truth.size());

    for (const bool exact : {true, false}) {
        const std::string name = exact ? "exact search" : "search";
        Answer answer;
        const rhumb_status status =
            exact ? rhumb_index_search_exact(index, query.data(), 1, kNearest, nullptr, answer.keys.data(),
                                             answer.distances.data(), &answer.count)
                  : rhumb_index_search(index, query.data(), kNearest, nullptr, answer.keys.data(),
                                       answer.distances.data(), &answer.count);
        if (status != RHUMB_OK) return failure(name.c_str(), status);
        if (exact ? answer.count != expected_count : answer.count > expected_count)
            return name + " found " + std::to_string(answer.count) + " of " + std::to_string(expected_count);
        std::unordered_set<uint64_t> seen;
        for (size_t i = 0; i < answer.count; i++) {
            const uint64_t key = answer.keys[i];
            const float found = answer.distances[i];
            const auto at = live.find(key);
            const std::string where = name + ", place " + std::to_string(i) + ", key " + std::to_string(key) + ": ";
            if (at == live.end()) return where + "the key is not live";
            if (!seen.insert(key).second) return where + "found twice";
            const double expected = distance(query, *at->second);
            if (!(std::fabs(found - expected) <= tolerance(query, *at->second)))
                return where + "distance " + std::to_string(found) + " instead of " + std::to_string(expected);
            if (i > 0 && found < answer.distances[i - 1]) return where + "out of order";
            if (exact && !(std::fabs(found - truth[i].first) <= truth[i].second + tolerance(query, *at->second)))
                return where + "distance " + std::to_string(found) + ", but brute force finds one at " +
                       std::to_string(truth[i].first);
        }
    }
    return "";
}

} // namespace rhumb_test
