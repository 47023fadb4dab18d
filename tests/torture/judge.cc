// judge.cc - see judge.h.
#include "tests/torture/judge.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <memory>
#include <set>

#include "tests/torture/answer.h"

namespace torture {

std::vector<size_t> Model::live() const {
    std::vector<size_t> numbers;
    for (size_t number = 0; number < rows_.size(); number++) {
        if (rows_[number] != ABSENT) numbers.push_back(number);
    }
    return numbers;
}

void Findings::check(const std::string &kind, const std::string &text) {
    Finding &finding = findings_[kind];
    finding.checked++;
    if (text.empty()) return;
    if (finding.wrong++ == 0) finding.first = text;
}

void Findings::add(const std::string &kind, bool right, const std::function<std::string()> &text) {
    check(kind, right ? "" : text());
}

bool Findings::empty() const {
    return std::all_of(findings_.begin(), findings_.end(), [](const auto &entry) { return entry.second.wrong == 0; });
}

std::string Findings::line() const {
    std::string line;
    for (const auto &[kind, finding] : findings_) {
        if (finding.wrong == 0) continue;
        line += line.empty() ? "" : "; ";
        line += kind + ": " + std::to_string(finding.wrong) + " of " + std::to_string(finding.checked) + " (" +
                finding.first + ")";
    }
    return line;
}

namespace {

constexpr uint32_t EF = 100;
constexpr double RECALL = 0.95;      // in the mean of all queries
constexpr double KIND_RECALL = 0.85; // in the mean of the queries of one kind, which are few

// The means of shares, by name.
class Means {
  public:
    void add(const std::string &name, double share) {
        sums_[name].first += share;
        sums_[name].second++;
    }
    // In a small sample one may miss everything.
    void judge(const std::string &step, double bound, Findings *findings) const {
        for (const auto &[name, sum] : sums_) {
            const double count = static_cast<double>(sum.second), mean = sum.first / count;
            const bool right = mean >= bound || (count > 5 && count - sum.first <= 1 + 1e-9);
            findings->check(name, right ? "" : step + text(": %.3f of %.0f, at least %.2f", mean, count, bound));
        }
    }

  private:
    std::map<std::string, std::pair<double, size_t>> sums_;
};

class Judge {
  public:
    Judge(rhumb_index *index, const Collection &collection, const Model &model, std::string step, const Extent &extent,
          uint64_t seed, Findings *findings)
        : index_(index), collection_(collection), model_(model), step_(std::move(step)), extent_(extent), random_(seed),
          findings_(findings), live_(model.live()), all_(model.capacity(), 1) {}

    void run() {
        findings_->add("count", rhumb_index_count(index_) == live_.size(), [&] {
            return step_ + text(": %zu of %zu", static_cast<size_t>(rhumb_index_count(index_)), live_.size());
        });
        choose_queries();
        check_vectors();
        check_exact();
        check_nearest();
        check_like();
        check_filters();
        check_radius();
        check_iterators();
        if (extent_.M >= 8) means_.judge(step_, RECALL, findings_);
        if (extent_.M >= 8) kind_means_.judge(step_, KIND_RECALL, findings_);
        check_soundness();
    }

  private:
    using Matching = std::vector<char>; // by number of a key

    void add_query(const char *kind, size_t row) {
        queries_.push_back({kind, row, {}});
        queries_.back().measured.resize(model_.capacity());
        for (size_t number : live_) {
            queries_.back().measured[number] = collection_.measure(row, model_.row(number));
        }
    }

    // A value that has several copies among the data, if there is one: the most frequent, or any.
    size_t row_of_copies(bool most_frequent) {
        std::map<size_t, std::vector<size_t>> rows;
        for (size_t row = 0; row < collection_.count(); row++) rows[collection_.value(row)].push_back(row);
        std::vector<size_t> candidates;
        size_t most = 1;
        for (const auto &[value, copies] : rows) {
            if (copies.size() < 2) continue;
            if (most_frequent && copies.size() > most) candidates.clear();
            if (!most_frequent || copies.size() > most) candidates.push_back(copies[0]);
            most = std::max(most, copies.size());
        }
        return candidates.empty() ? ABSENT : candidates[random_() % candidates.size()];
    }

    void choose_queries() {
        std::vector<char> stored(collection_.count(), 0);
        for (size_t number : live_) stored[model_.row(number)] = 1;
        std::vector<size_t> dead;
        for (size_t row = 0; row < collection_.count(); row++) {
            if (!stored[row]) dead.push_back(row);
        }
        for (size_t i = 0; i < extent_.queries_per_kind; i++) {
            if (!live_.empty()) add_query("stored", model_.row(live_[random_() % live_.size()]));
            if (!dead.empty()) add_query("dead", dead[random_() % dead.size()]);
            add_query("fresh", collection_.fresh(i % collection_.query_count()));
            add_query("perturbed", collection_.perturbed(i % collection_.query_count()));
            const size_t copy = i < extent_.queries_per_kind / 2 ? row_of_copies(i == 0) : ABSENT;
            if (copy != ABSENT) add_query("copies", copy);
        }
    }

    void must(rhumb_status status, const char *what) {
        findings_->add(std::string("status of ") + what, status == RHUMB_OK,
                       [&] { return step_ + ": " + rhumb_status_name(status) + ", " + rhumb_error_last()->message; });
    }

    // Checks everything about an answer that does not depend on luck, and returns its recall at 10.
    double judge_answer(const std::string &name, const Query &query, const Matching &matching, size_t k,
                        const Answers &answers) {
        const Expected expected = expected_of(query, matching);
        const size_t wanted = std::min(k, expected.sorted.size());
        findings_->add("too few answers, " + name, answers.found == wanted, [&] {
            return step_ + text(": %s query, k %zu, found %zu of %zu", query.kind, k, answers.found, wanted);
        });
        findings_->check("wrong answers, " + name, wrong_answer(query, matching, answers));
        return recall_of(query, expected, answers);
    }

    Expected expected_of(const Query &query, const Matching &matching) const {
        Expected expected;
        for (size_t number : live_) {
            if (matching[number]) expected.sorted.push_back(query.measured[number]);
        }
        std::sort(expected.sorted.begin(), expected.sorted.end(),
                  [](const Measured &a, const Measured &b) { return a.value < b.value; });
        return expected;
    }

    std::string wrong_answer(const Query &query, const Matching &matching, const Answers &answers) const {
        std::set<uint64_t> seen;
        for (size_t i = 0; i < answers.found; i++) {
            const uint64_t key = answers.keys[i];
            const size_t number = model_.number(key);
            const std::string where = step_ + text(": %s query, place %zu, key %zu", query.kind, i, (size_t)key);
            if (number == ABSENT || model_.row(number) == ABSENT) return where + " is not in the index";
            if (!matching[number]) return where + " does not match";
            if (!seen.insert(key).second) return where + " is there twice";
            const Measured &truth = query.measured[number];
            const double distance = static_cast<double>(answers.distances[i]);
            if (!(std::fabs(distance - truth.value) <= truth.tolerance)) {
                return where + text(" is at %.9g, not %.9g", truth.value, distance);
            }
            if (i > 0 && answers.distances[i] < answers.distances[i - 1]) return where + " is out of order";
        }
        for (size_t i = answers.found; i < answers.keys.size(); i++) {
            const bool filled = answers.keys[i] == UINT64_MAX && std::isinf(answers.distances[i]);
            if (!filled) return step_ + text(": place %zu after the last answer is not filled", i);
        }
        return "";
    }

    double recall_of(const Query &query, const Expected &expected, const Answers &answers) const {
        const size_t wanted = std::min({answers.keys.size(), size_t{10}, expected.sorted.size()});
        if (wanted == 0) return 1;
        const Measured &last = expected.sorted[wanted - 1];
        size_t right = 0;
        for (size_t i = 0; i < std::min(wanted, answers.found); i++) {
            const size_t number = model_.number(answers.keys[i]);
            if (number == ABSENT || model_.row(number) == ABSENT) continue;
            const Measured &measured = query.measured[number];
            if (measured.value <= last.value + last.tolerance + measured.tolerance) right++;
        }
        return static_cast<double>(right) / static_cast<double>(wanted);
    }

    // Vectors are those that were inserted, byte for byte.
    void check_vectors() {
        for (size_t i = 0; i < 20 && !live_.empty(); i++) {
            const size_t number = live_[random_() % live_.size()];
            findings_->check("vectors", wrong_vector(index_, collection_, model_, number));
        }
    }

    // The exact search is the oracle of users, so it is checked first.
    void check_exact() {
        for (const Query &query : queries_) {
            Answers answers(10);
            must(rhumb_index_search_exact(index_, collection_.vector(query.row), 1, 10, nullptr, answers.keys.data(),
                                          answers.distances.data(), &answers.found),
                 "exact search");
            const double recall = judge_answer("exact search", query, all_, 10, answers);
            findings_->add("exact search", recall == 1,
                           [&] { return step_ + text(": %s query, recall %.2f", query.kind, recall); });
        }
    }

    Answers search(const Query &query, size_t k, uint32_t ef, const rhumb_filter *filter) {
        Answers answers(k);
        rhumb_search_options options;
        rhumb_search_options_init(&options, sizeof options);
        options.ef_search = ef;
        options.filter = filter;
        must(rhumb_index_search(index_, collection_.vector(query.row), k, &options, answers.keys.data(),
                                answers.distances.data(), &answers.found),
             "search");
        return answers;
    }

    void check_nearest() {
        for (const Query &query : queries_) {
            const double recall = judge_answer("search", query, all_, 10, search(query, 10, EF, nullptr));
            means_.add("recall", recall);
            kind_means_.add(std::string("recall of ") + query.kind + " queries", recall);
            judge_answer("search", query, all_, 1, search(query, 1, 1, nullptr));
            if (random_() % 3 != 0) continue;
            judge_answer("search", query, all_, 100, search(query, 100, 10, nullptr));
            judge_answer("search", query, all_, 400, search(query, 400, EF, nullptr));
        }
    }

    void check_like() {
        rhumb_search_options options;
        rhumb_search_options_init(&options, sizeof options);
        options.ef_search = EF;
        for (const size_t k : {size_t{10}, size_t{200}}) {
            for (size_t i = 0; i < extent_.queries_per_kind && !live_.empty(); i++) {
                const size_t number = live_[random_() % live_.size()];
                Query query = {"like", model_.row(number), {}};
                query.measured.resize(model_.capacity());
                for (size_t other : live_) query.measured[other] = collection_.measure(query.row, model_.row(other));
                Answers answers(k);
                must(rhumb_index_search_like(index_, Model::key(number), k, &options, answers.keys.data(),
                                             answers.distances.data(), &answers.found),
                     "search_like");
                Matching others = all_;
                others[number] = 0;
                means_.add("recall of search_like", judge_answer("search_like", query, others, k, answers));
            }
        }
    }

    // ---- filters ----

    // The live keys nearest to a query: what is left around it, if it is in a deleted region.
    Matching nearest_live(const Query &query, size_t count) const {
        std::vector<size_t> numbers = live_;
        std::sort(numbers.begin(), numbers.end(),
                  [&](size_t a, size_t b) { return query.measured[a].value < query.measured[b].value; });
        Matching matching(model_.capacity(), 0);
        for (size_t i = 0; i < std::min(count, numbers.size()); i++) matching[numbers[i]] = 1;
        return matching;
    }

    Matching copies_of(size_t row) const {
        Matching matching(model_.capacity(), 0);
        for (size_t number : live_) matching[number] = collection_.value(model_.row(number)) == collection_.value(row);
        return matching;
    }

    Matching random_share(double share) {
        Matching matching(model_.capacity());
        for (char &one : matching) one = uniform(random_) < share;
        return matching;
    }

    void check_filter(const Query &query, const std::string &name, const Matching &matching) {
        const auto kinds = {RHUMB_FILTER_KEYS, RHUMB_FILTER_BITMAP, RHUMB_FILTER_CALLBACK};
        for (const rhumb_filter_kind kind : kinds) {
            const Filter filter(matching, kind, random_() % 2 == 0);
            const double recall =
                judge_answer("filter " + name, query, matching, 10, search(query, 10, EF, filter.get()));
            means_.add("recall of filters", recall);
            const size_t k = random_() % 2 == 0 ? 100 : 400;
            judge_answer("filter " + name, query, matching, k, search(query, k, 20, filter.get()));
        }
        for (const rhumb_filter_plan plan :
             {RHUMB_FILTER_PLAN_EXACT, RHUMB_FILTER_PLAN_BRIDGE, RHUMB_FILTER_PLAN_WALK}) {
            Filter filter(matching, RHUMB_FILTER_BITMAP, false);
            filter.choose(plan);
            judge_answer("filter " + name + text(" by plan %d", plan), query, matching, 10,
                         search(query, 10, EF, filter.get()));
        }
    }

    void check_filters() {
        for (size_t i = 0; i < extent_.filter_queries && !queries_.empty(); i++) {
            const Query &query = queries_[random_() % queries_.size()];
            check_filter(query, "of 50 %", random_share(0.5));
            check_filter(query, "of 10 %", random_share(0.1));
            check_filter(query, "of 1 %", random_share(0.01));
            check_filter(query, "of nothing", Matching(model_.capacity(), 0));
            check_filter(query, "of copies", copies_of(query.row));
            Matching others = copies_of(query.row);
            for (char &one : others) one = !one;
            check_filter(query, "of all but copies", others);
        }
        for (const Query &query : queries_) {
            if (query.kind != std::string("dead") || random_() % 4 != 0) continue;
            check_filter(query, "of what is left", nearest_live(query, 15));
            Matching others = nearest_live(query, 15);
            for (char &one : others) one = !one;
            check_filter(query, "of all but what is left", others);
        }
    }

    // ---- radius ----

    Answers within(const Query &query, float radius, size_t max_count) {
        Answers answers(max_count);
        rhumb_search_options options;
        rhumb_search_options_init(&options, sizeof options);
        options.ef_search = EF;
        must(rhumb_index_search_radius(index_, collection_.vector(query.row), radius, max_count, &options,
                                       answers.keys.data(), answers.distances.data(), &answers.found),
             "radius search");
        findings_->check("wrong answers, radius", wrong_answer(query, all_, answers));
        for (size_t i = 0; i < answers.found; i++) {
            findings_->add("beyond the radius", answers.distances[i] <= radius, [&] {
                return step_ + text(": %.9g, radius %.9g", static_cast<double>(answers.distances[i]),
                                    static_cast<double>(radius));
            });
        }
        return answers;
    }

    void check_radius() {
        if (live_.empty()) return;
        for (const Query &query : queries_) {
            const bool of_copies = query.kind == std::string("copies") || query.kind == std::string("stored");
            if (of_copies && is_zero_for_itself(collection_.pair())) check_copies_within_0(query);
            if (random_() % 3 == 0) check_radius_of_20(query);
        }
    }

    // That a value is found is a matter of recall; if one copy of it is, all are.
    void check_copies_within_0(const Query &query) {
        const Answers answers = within(query, 0, live_.size() + 5);
        const std::set<uint64_t> found(answers.keys.data(), answers.keys.data() + answers.found);
        const Matching copies = copies_of(query.row);
        size_t all = 0, missed = 0;
        for (size_t number : live_) {
            all += copies[number];
            missed += copies[number] && found.count(Model::key(number)) == 0;
        }
        if (all == 0) return;
        means_.add("values found by radius 0", missed == all ? 0 : 1);
        findings_->add("copies missed by radius 0", missed == 0 || missed == all || extent_.M < 8,
                       [&] { return step_ + text(": %zu of %zu", missed, all); });
    }

    // The radius is a little larger than the distance of the last that must be found, by as much as distances are
    // rounded.
    void check_radius_of_20(const Query &query) {
        Answers exact(live_.size());
        must(rhumb_index_search_exact(index_, collection_.vector(query.row), 1, live_.size(), nullptr,
                                      exact.keys.data(), exact.distances.data(), &exact.found),
             "exact search of all");
        judge_answer("exact search of all", query, all_, live_.size(), exact);
        if (exact.found == 0) return;
        const size_t last = std::min<size_t>(20, exact.found) - 1;
        const size_t number = model_.number(exact.keys[last]);
        if (number == ABSENT) return; // a finding already
        const double rounding = 2 * query.measured[number].tolerance;
        const float radius = static_cast<float>(static_cast<double>(exact.distances[last]) + rounding);
        const Answers answers = within(query, radius, live_.size() + 5);
        const std::set<uint64_t> found(answers.keys.data(), answers.keys.data() + answers.found);
        double wanted = 0, right = 0;
        for (size_t i = 0; i < exact.found && exact.distances[i] <= exact.distances[last]; i++) {
            wanted++;
            right += static_cast<double>(found.count(exact.keys[i]));
        }
        means_.add("share found by radius", right / wanted);
        const Answers few = within(query, radius, 5);
        means_.add("share found by radius of 5 at most",
                   static_cast<double>(few.found) / static_cast<double>(std::min<size_t>(5, exact.found)));
    }

    // ---- iterators ----

    void check_iterators() {
        for (const Query &query : queries_) {
            if (random_() % 2 == 0) check_first_of_iterator(query);
        }
        for (size_t i = 0; i < extent_.iterators && !queries_.empty(); i++) {
            check_all_of_iterator("iterator", queries_[random_() % queries_.size()], all_, nullptr);
            const Matching matching = random_share(i == 0 ? 0.5 : 0.05);
            const Filter filter(matching, RHUMB_FILTER_CALLBACK, false);
            check_all_of_iterator("filtered iterator", queries_[random_() % queries_.size()], matching, filter.get());
        }
    }

    rhumb_iterator *open_iterator(const Query &query, const rhumb_filter *filter) {
        rhumb_search_options options;
        rhumb_search_options_init(&options, sizeof options);
        options.ef_search = EF;
        options.filter = filter;
        rhumb_iterator *iterator = nullptr;
        must(rhumb_iterator_open(index_, collection_.vector(query.row), &options, &iterator), "iterator_open");
        return iterator;
    }

    Answers next(rhumb_iterator *iterator, size_t count) {
        Answers answers(count);
        must(rhumb_iterator_next(iterator, count, answers.keys.data(), answers.distances.data(), &answers.found),
             "iterator_next");
        return answers;
    }

    void check_first_of_iterator(const Query &query) {
        rhumb_iterator *iterator = open_iterator(query, nullptr);
        if (iterator == nullptr) return;
        means_.add("recall of iterators", recall_of(query, expected_of(query, all_), next(iterator, 10)));
        rhumb_iterator_close(iterator);
    }

    // Everything that matches is listed once, in the end.
    void check_all_of_iterator(const std::string &name, const Query &query, const Matching &matching,
                               const rhumb_filter *filter) {
        rhumb_iterator *iterator = open_iterator(query, filter);
        std::set<uint64_t> listed;
        size_t count = 1, repeated = 0, strange = 0;
        while (iterator != nullptr && count > 0) {
            const Answers answers = next(iterator, 1 + random_() % 300);
            count = answers.found;
            for (size_t i = 0; i < count; i++) {
                repeated += !listed.insert(answers.keys[i]).second;
                const size_t number = model_.number(answers.keys[i]);
                const bool known = number != ABSENT && model_.row(number) != ABSENT && matching[number];
                const double distance = static_cast<double>(answers.distances[i]);
                const Measured truth = known ? query.measured[number] : Measured{};
                strange += !known || !(std::fabs(distance - truth.value) <= truth.tolerance);
            }
        }
        rhumb_iterator_close(iterator);
        const size_t all = expected_of(query, matching).sorted.size();
        findings_->add(name, listed.size() == all && repeated + strange == 0, [&] {
            return step_ + text(": %zu of %zu keys, %zu twice, %zu wrong", listed.size(), all, repeated, strange);
        });
    }

    void check_soundness() {
        rhumb_verify_report report = {};
        must(rhumb_index_verify(index_, &report, sizeof report), "verify");
        findings_->add("verify: unreachable", report.unreachable_count == 0, [&] {
            return step_ + text(": %zu of %zu", (size_t)report.unreachable_count, (size_t)report.node_count);
        });
    }

    rhumb_index *index_;
    const Collection &collection_;
    const Model &model_;
    std::string step_;
    const Extent &extent_;
    Random random_;
    Findings *findings_;
    std::vector<size_t> live_;
    Matching all_;
    std::vector<Query> queries_;
    Means means_, kind_means_;
};

} // namespace

void judge(rhumb_index *index, const Collection &collection, const Model &model, const std::string &step,
           const Extent &extent, uint64_t seed, Findings *findings) {
    Judge(index, collection, model, step, extent, seed, findings).run();
}

} // namespace torture
