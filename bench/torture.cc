// torture.cc - recall next to hnswlib's on data that is hard for graphs of neighbours.
//
// The data sets of tests/torture that f32 holds, under l2, ip and cosine, with the same M, ef_construction and ef, one
// thread each. Each index is searched when all is inserted, when a random third is deleted, and when a whole region is
// deleted as well. Deleted vectors stay in both graphs as waypoints (rhumb does not compact by itself here, and hnswlib
// never does). An answer counts when it is not farther than the tenth in truth, measured in double; what is missing
// does not count. A line is printed for each, and at last whether rhumb is ever worse.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <hnswlib/hnswlib.h>

#include "bench/command_line.h"
#include "bench/record.h"
#include "include/rhumb.h"
#include "tests/torture/collection.h"

namespace bench {
namespace {

using torture::Collection;
using torture::Measured;

const char usage[] = "usage: torture --dir DIR [options]\n"
                     "\n"
                     "  --dir DIR            where the index files are made and removed\n"
                     "  --count N            vectors of a data set (default 4000)\n"
                     "  --seed N             of the data (default 1)\n"
                     "  --m N, --efc N       of the indexes (default 16, 200)\n"
                     "  --ef N               of the searches (default 100)\n"
                     "  --noise X            difference of recall that does not count (default 0.01)\n"
                     "  --set NAME           one data set only\n";

constexpr size_t k = 10, queries_per_kind = 25;

struct Options {
    std::string folder, set;
    size_t count = 4000, seed = 1, m = 16, ef_construction = 200, ef = 100;
    double noise = 0.01;
};

[[noreturn]] void fail(const std::string &message) {
    fprintf(stderr, "%s\n", message.c_str());
    std::exit(1);
}

void must(rhumb_status status) {
    if (status != RHUMB_OK) fail(rhumb_error_last()->message);
}

Options parse(int argc, char **argv) {
    Options options;
    const std::vector<std::pair<std::string, size_t *>> numbers = {{"--count", &options.count},
                                                                   {"--seed", &options.seed},
                                                                   {"--m", &options.m},
                                                                   {"--efc", &options.ef_construction},
                                                                   {"--ef", &options.ef}};
    for (int i = 1; i < argc; i += 2) {
        const std::string name = argv[i];
        if (name == "--help" || i + 1 == argc) {
            fputs(usage, stdout);
            std::exit(name == "--help" ? 0 : 2);
        }
        const auto number = std::find_if(numbers.begin(), numbers.end(), [&](auto &one) { return one.first == name; });
        if (number != numbers.end())
            *number->second = parse_number(name, argv[i + 1]);
        else if (name == "--dir")
            options.folder = argv[i + 1];
        else if (name == "--set")
            options.set = argv[i + 1];
        else if (name == "--noise")
            options.noise = strtod(argv[i + 1], nullptr);
        else
            fail(std::string("unknown option ") + name);
    }
    if (options.folder.empty()) fail(usage);
    return options;
}

// What is asked of a library. Keys are row numbers.
class Peer {
  public:
    virtual ~Peer() = default;
    virtual void insert(size_t row) = 0;
    virtual void erase(size_t row) = 0;
    virtual std::vector<size_t> search(size_t row) = 0;
};

class Rhumb : public Peer {
  public:
    Rhumb(const Collection &collection, const Options &given) : collection_(collection) {
        path_ = given.folder + "/torture.rhumb";
        rhumb_open_options open;
        rhumb_open_options_init(&open, sizeof open);
        open.durability = RHUMB_DURABILITY_NONE;
        open.compact_dead_share = 1;
        rhumb_index_options options;
        rhumb_index_options_init(&options, sizeof options);
        options.dim = collection.dim();
        options.metric = collection.pair().metric;
        options.M = static_cast<uint32_t>(given.m);
        options.ef_construction = static_cast<uint32_t>(given.ef_construction);
        options.ef_search = static_cast<uint32_t>(given.ef);
        options.open = &open;
        must(rhumb_index_create(path_.c_str(), &options, &index_));
    }
    ~Rhumb() override {
        must(rhumb_index_close(index_));
        std::filesystem::remove(path_);
    }
    void insert(size_t row) override { must(rhumb_index_insert(index_, row, collection_.vector(row))); }
    void erase(size_t row) override { must(rhumb_index_delete(index_, row)); }
    std::vector<size_t> search(size_t row) override {
        uint64_t keys[k];
        size_t found = 0;
        must(rhumb_index_search(index_, collection_.vector(row), k, nullptr, keys, nullptr, &found));
        return {keys, keys + found};
    }

  private:
    const Collection &collection_;
    std::string path_;
    rhumb_index *index_ = nullptr;
};

class Hnswlib : public Peer {
  public:
    Hnswlib(const Collection &collection, const Options &given) : collection_(collection) {
        if (collection.pair().metric == RHUMB_METRIC_L2)
            space_ = std::make_unique<hnswlib::L2Space>(collection.dim());
        else
            space_ = std::make_unique<hnswlib::InnerProductSpace>(collection.dim());
        index_ = std::make_unique<hnswlib::HierarchicalNSW<float>>(space_.get(), collection.count(), given.m,
                                                                   given.ef_construction);
        index_->setEf(given.ef);
    }
    void insert(size_t row) override { index_->addPoint(vector(row).data(), row); }
    void erase(size_t row) override { index_->markDelete(row); }
    std::vector<size_t> search(size_t row) override {
        auto found = index_->searchKnn(vector(row).data(), k);
        std::vector<size_t> rows;
        for (; !found.empty(); found.pop()) rows.push_back(found.top().second);
        return rows;
    }

  private:
    // Cosine is the inner product of vectors of length 1.
    std::vector<float> vector(size_t row) const {
        const std::vector<double> &numbers = collection_.numbers(row);
        double squares = 0;
        for (double number : numbers) squares += number * number;
        const bool normalised = collection_.pair().metric == RHUMB_METRIC_COSINE && squares > 0;
        const double length = normalised ? std::sqrt(squares) : 1;
        std::vector<float> vector;
        for (double number : numbers) vector.push_back(static_cast<float>(number / length));
        return vector;
    }

    const Collection &collection_;
    std::unique_ptr<hnswlib::SpaceInterface<float>> space_;
    std::unique_ptr<hnswlib::HierarchicalNSW<float>> index_;
};

// The mean share of the true nearest that both find. Queries: stored vectors, live or deleted, new ones, changed ones.
class Comparison {
  public:
    Comparison(const Collection &collection, const Options &options)
        : collection_(collection), options_(options), live_(collection.count(), 1), random_(options.seed + 1),
          rhumb_(collection, options), hnswlib_(collection, options) {
        for (size_t row = 0; row < collection.count(); row++) {
            rhumb_.insert(row);
            hnswlib_.insert(row);
        }
    }

    void erase(size_t row) {
        if (!live_[row]) return;
        live_[row] = 0;
        rhumb_.erase(row);
        hnswlib_.erase(row);
    }
    void erase_third() {
        for (size_t row = 0; row < live_.size(); row++) {
            if (random_() % 3 == 0) erase(row);
        }
    }
    void erase_region() {
        for (size_t row : collection_.region(random_() % live_.size(), live_.size() / 2)) erase(row);
    }

    // Whether rhumb is not worse.
    bool compare(const char *set, const char *state) {
        std::vector<size_t> queries;
        for (size_t i = 0; i < queries_per_kind; i++) {
            queries.push_back(collection_.fresh(i));
            queries.push_back(collection_.perturbed(i));
            queries.push_back(random_() % live_.size());
            queries.push_back(random_() % live_.size());
        }
        double rhumb = 0, hnswlib = 0;
        for (size_t query : queries) {
            const std::vector<Measured> truth = measure(query);
            rhumb += recall(truth, rhumb_.search(query)) / static_cast<double>(queries.size());
            hnswlib += recall(truth, hnswlib_.search(query)) / static_cast<double>(queries.size());
        }
        const bool worse = rhumb < hnswlib - options_.noise;
        printf("%-18s %-7s %-16s %9.3f %9.3f%s\n", set, rhumb_metric_name(collection_.pair().metric), state, rhumb,
               hnswlib, worse ? "   worse" : "");
        return !worse;
    }

  private:
    std::vector<Measured> measure(size_t query) const {
        std::vector<Measured> measured(live_.size());
        for (size_t row = 0; row < live_.size(); row++) {
            if (live_[row]) measured[row] = collection_.measure(query, row);
        }
        return measured;
    }

    double recall(const std::vector<Measured> &truth, const std::vector<size_t> &found) const {
        std::vector<std::pair<double, double>> sorted;
        for (size_t row = 0; row < live_.size(); row++) {
            if (live_[row]) sorted.emplace_back(truth[row].value, truth[row].tolerance);
        }
        const size_t wanted = std::min(k, sorted.size());
        if (wanted == 0) return 1;
        std::nth_element(sorted.begin(), sorted.begin() + static_cast<long>(wanted) - 1, sorted.end());
        const auto &last = sorted[wanted - 1];
        size_t right = 0;
        for (size_t row : found) right += truth[row].value <= last.first + last.second + truth[row].tolerance;
        return static_cast<double>(right) / static_cast<double>(wanted);
    }

    const Collection &collection_;
    const Options &options_;
    std::vector<char> live_;
    torture::Random random_;
    Rhumb rhumb_;
    Hnswlib hnswlib_;
};

size_t compare_set(const torture::Set &set, rhumb_metric metric, const Options &options) {
    const Collection collection(set, {metric, RHUMB_ELEMENT_F32}, options.count, queries_per_kind, options.seed);
    Comparison comparison(collection, options);
    size_t worse = comparison.compare(set.name, "inserted") ? 0 : 1;
    comparison.erase_third();
    worse += comparison.compare(set.name, "third deleted") ? 0 : 1;
    comparison.erase_region();
    worse += comparison.compare(set.name, "region deleted") ? 0 : 1;
    return worse;
}

int run(int argc, char **argv) {
    setvbuf(stdout, nullptr, _IOLBF, 0);
    const Options options = parse(argc, argv);
    print_record("recall@10 of rhumb and hnswlib on data that is hard for graphs", "torture", argc, argv);
    printf("%zu vectors, M %zu, ef_construction %zu, ef %zu, seed %zu\n\n", options.count, options.m,
           options.ef_construction, options.ef, options.seed);
    printf("%-18s %-7s %-16s %9s %9s\n", "data", "metric", "state", "rhumb", "hnswlib");
    size_t worse = 0, sets = 0;
    for (const torture::Set &set : torture::all_sets()) {
        if (!options.set.empty() && options.set != set.name) continue;
        sets++;
        for (const rhumb_metric metric : {RHUMB_METRIC_L2, RHUMB_METRIC_IP, RHUMB_METRIC_COSINE}) {
            if (set.holds == torture::Holds::F32_DISTANCES && metric == RHUMB_METRIC_IP) continue;
            worse += compare_set(set, metric, options);
        }
    }
    if (sets == 0) fail("no data set of that name");
    printf("\nrhumb is worse by more than %.3f in %zu lines%s\n", options.noise, worse, worse == 0 ? ": never" : "");
    return worse == 0 ? 0 : 1;
}

} // namespace
} // namespace bench

int main(int argc, char **argv) {
    try {
        return bench::run(argc, argv);
    } catch (const std::exception &error) {
        bench::fail(error.what());
    }
}
