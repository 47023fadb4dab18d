// recall_target.cc - whether searches that ask for a recall get it: builds an index of each of some sets, lets it
// measure its recall, and searches it for queries that it has never seen.
//
// Prints for each set what building and measuring took, the differences between the recall that was measured and that
// of the unseen queries at the same ef (the bias of the sample), and for each k and target the ef that was chosen and
// the recall that it gave. A target is met if the recall is within 0.01 of it; or higher, where ef is k already.
//
//   recall_target --dir DIR [--sets N,...] [--data FILE.hdf5] [--targets 0.95,0.99] [--ks 10] [--queries N]
//                 [--sample N] [--seed N] [--scale N]
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench/command_line.h"
#include "bench/dataset.h"
#include "bench/measure.h"
#include "bench/record.h"
#include "bench/rhumb_index.h"
#include "include/rhumb.h"

namespace bench {
namespace {

constexpr double tolerance = 0.01;

// Rows of `dim` numbers that have `latent` dimensions of their own, around `cluster_count` centres (0: one), with some
// noise in all dimensions.
struct Shape {
    const char *name;
    size_t count;
    uint32_t dim, latent;
    size_t cluster_count;
    double spread; // of the centres, where 1 is that of a cluster
    rhumb_metric metric;
    double deleted_share = 0;   // of the rows, at random, after building
    double duplicate_share = 0; // rows that are equal to an earlier one
};

const Shape shapes[] = {
    {"noise, 8 dimensions", 20000, 8, 8, 0, 0, RHUMB_METRIC_L2},
    {"noise, 32 dimensions", 20000, 32, 32, 0, 0, RHUMB_METRIC_L2},
    {"noise, 128 dimensions", 15000, 128, 128, 0, 0, RHUMB_METRIC_L2},
    {"200 clusters", 40000, 96, 96, 200, 2, RHUMB_METRIC_L2},
    {"20 clusters far apart", 30000, 32, 32, 20, 8, RHUMB_METRIC_L2},
    {"12 of 128 dimensions", 40000, 128, 12, 0, 0, RHUMB_METRIC_COSINE},
    {"32 of 384 dimensions, 50 clusters", 20000, 384, 32, 50, 1, RHUMB_METRIC_COSINE},
    {"lengths of many sizes", 20000, 64, 16, 0, 0, RHUMB_METRIC_IP},
    {"sums of differences", 15000, 24, 24, 30, 2, RHUMB_METRIC_L1},
    {"1,000 clusters, a third deleted", 30000, 64, 24, 1000, 1, RHUMB_METRIC_L2, 0.33},
    {"a fifth of the rows repeated", 20000, 48, 16, 100, 1, RHUMB_METRIC_L2SQ, 0, 0.2},
    {"few vectors", 3000, 64, 24, 0, 0, RHUMB_METRIC_L2},
};

struct Options {
    std::string folder = ".", data;
    std::vector<size_t> sets, ks = {10};
    std::vector<double> targets = {0.95, 0.99};
    size_t query_count = 2000, sample_count = 0, seed = 1, scale = 1;
};

struct Set {
    std::string name;
    rhumb_metric metric = RHUMB_METRIC_L2;
    uint32_t dim = 0;
    std::vector<float> rows, queries;
    double deleted_share = 0;
};

class Generator {
  public:
    Generator(const Shape &shape, uint64_t seed) : shape_(shape), random_(seed) {
        mixing_.resize(size_t{shape.latent} * shape.dim);
        for (float &weight : mixing_) weight = static_cast<float>(normal_(random_) / std::sqrt(shape.latent));
        for (size_t i = 0; i < std::max<size_t>(1, shape.cluster_count) * shape.latent; i++)
            centres_.push_back(static_cast<float>(normal_(random_) * shape.spread));
    }

    // Appends a row.
    void add(std::vector<float> &rows) {
        std::vector<float> latent(shape_.latent);
        const size_t cluster = random_() % std::max<size_t>(1, shape_.cluster_count);
        for (uint32_t i = 0; i < shape_.latent; i++)
            latent[i] = centres_[cluster * shape_.latent + i] + static_cast<float>(normal_(random_));
        const double length = shape_.metric == RHUMB_METRIC_IP ? std::exp(0.5 * normal_(random_)) : 1;
        for (uint32_t d = 0; d < shape_.dim; d++) {
            double sum = shape_.latent == shape_.dim ? latent[d] : 0.05 * normal_(random_);
            for (uint32_t i = 0; i < shape_.latent && shape_.latent != shape_.dim; i++)
                sum += latent[i] * mixing_[size_t{i} * shape_.dim + d];
            rows.push_back(static_cast<float>(sum * length));
        }
    }

    // Appends one of `rows` to `target`.
    void repeat(const std::vector<float> &rows, std::vector<float> &target) {
        const size_t at = random_() % (rows.size() / shape_.dim) * shape_.dim;
        const std::vector<float> row(rows.begin() + at, rows.begin() + at + shape_.dim);
        target.insert(target.end(), row.begin(), row.end());
    }

    bool draw(double share) { return std::uniform_real_distribution<double>(0, 1)(random_) < share; }

  private:
    const Shape &shape_;
    std::mt19937_64 random_;
    std::normal_distribution<double> normal_{0, 1};
    std::vector<float> mixing_, centres_;
};

Set make(const Shape &shape, const Options &options) {
    Set set;
    set.name = shape.name;
    set.metric = shape.metric;
    set.dim = shape.dim;
    set.deleted_share = shape.deleted_share;
    Generator generator(shape, options.seed * 1000003 + shape.dim);
    for (size_t i = 0; i < shape.count * options.scale; i++) {
        if (i > 0 && shape.duplicate_share > 0 && generator.draw(shape.duplicate_share))
            generator.repeat(set.rows, set.rows);
        else
            generator.add(set.rows);
    }
    // Queries are drawn as rows are: some are equal to a row.
    for (size_t i = 0; i < options.query_count; i++) {
        if (shape.duplicate_share > 0 && generator.draw(shape.duplicate_share))
            generator.repeat(set.rows, set.queries);
        else
            generator.add(set.queries);
    }
    return set;
}

Set read(const Options &options) {
    Dataset data = read_dataset(options.data);
    Set set;
    set.name = data.name;
    set.metric = data.cosine ? RHUMB_METRIC_COSINE : RHUMB_METRIC_L2;
    set.dim = static_cast<uint32_t>(data.dim);
    set.rows = std::move(data.train);
    data.test.resize(std::min(options.query_count, data.test_count) * data.dim);
    set.queries = std::move(data.test);
    return set;
}

class Trial {
  public:
    Trial(const Set &set, const Options &options) : set_(set), options_(options) {
        const std::string path = options.folder + "/recall-target.rhumb";
        remove(path.c_str());
        rhumb_index_options created;
        rhumb_index_options_init(&created, sizeof created);
        rhumb_open_options opened;
        rhumb_open_options_init(&opened, sizeof opened);
        opened.durability = RHUMB_DURABILITY_NONE;
        opened.compact_dead_share = 1;
        created.open = &opened;
        created.dim = set.dim;
        created.metric = set.metric;
        const Stopwatch watch;
        check(rhumb_index_create(path.c_str(), &created, &index_), "create");
        const size_t count = set.rows.size() / set.dim;
        check(rhumb_index_insert_batch(index_, nullptr, set.rows.data(), count, nullptr, nullptr), "insert");
        check(rhumb_index_checkpoint(index_), "checkpoint");
        build_seconds_ = watch.seconds();
        std::mt19937_64 random(options.seed);
        for (uint64_t key = 0; key < count && set.deleted_share > 0; key++) {
            if (std::uniform_real_distribution<double>(0, 1)(random) < set.deleted_share)
                check(rhumb_index_delete(index_, key), "delete");
        }
        path_ = path;
    }

    ~Trial() {
        const rhumb_status closed = rhumb_index_close(index_);
        (void)closed;
        remove(path_.c_str());
    }

    // Returns how many targets were met, and adds to *count how many there were.
    size_t run(size_t *count) {
        measure();
        find_truth();
        printf("\n%s: %zu x %u, %s\n", set_.name.c_str(), set_.rows.size() / set_.dim, set_.dim,
               rhumb_metric_name(set_.metric));
        printf("  build %.1f s, measuring %.1f s with %u queries (%.0f%%); bias of the sample:", build_seconds_,
               measure_seconds_, curve_.query_count, 100 * measure_seconds_ / build_seconds_);
        print_bias();
        printf("  %5s %7s %6s %9s\n", "k", "target", "ef", "recall");
        size_t met_count = 0;
        for (const size_t k : options_.ks) {
            for (const double target : options_.targets) {
                met_count += try_target(k, target) ? 1 : 0;
                (*count)++;
            }
        }
        fflush(stdout);
        return met_count;
    }

  private:
    void measure() {
        rhumb_recall_options measuring;
        rhumb_recall_options_init(&measuring, sizeof measuring);
        measuring.query_count = options_.sample_count;
        measuring.seed = options_.seed;
        const Stopwatch watch;
        check(rhumb_index_recall_measure(index_, &measuring, &curve_, sizeof curve_), "measure");
        measure_seconds_ = watch.seconds();
    }

    void find_truth() {
        truth_k_ = std::max<size_t>(100, *std::max_element(options_.ks.begin(), options_.ks.end()));
        const size_t query_count = set_.queries.size() / set_.dim;
        std::vector<uint64_t> keys(query_count * truth_k_);
        truth_.resize(query_count * truth_k_);
        check(rhumb_index_search_exact(index_, set_.queries.data(), query_count, truth_k_, nullptr, keys.data(),
                                       truth_.data(), nullptr),
              "search exactly");
    }

    double recall(size_t k, const rhumb_search_options &options) const {
        const size_t query_count = set_.queries.size() / set_.dim;
        std::vector<uint64_t> keys(query_count * k);
        std::vector<float> distances(query_count * k);
        check(rhumb_index_search_batch(index_, set_.queries.data(), query_count, k, &options, keys.data(),
                                       distances.data(), nullptr),
              "search");
        size_t found = 0;
        for (size_t q = 0; q < query_count; q++) {
            for (size_t i = 0; i < k; i++) found += distances[q * k + i] <= truth_[q * truth_k_ + k - 1] ? 1 : 0;
        }
        return static_cast<double>(found) / static_cast<double>(query_count * k);
    }

    void print_bias() const {
        for (const size_t k : options_.ks) {
            double worst = 0, sum = 0;
            size_t count = 0;
            for (uint32_t i = 0; i < curve_.point_count; i++) {
                if (curve_.k[i] != k || curve_.recall[i] < 0.8) continue;
                rhumb_search_options options;
                rhumb_search_options_init(&options, sizeof options);
                options.ef_search = curve_.ef[i];
                const double difference = curve_.recall[i] - recall(k, options);
                if (std::fabs(difference) > std::fabs(worst)) worst = difference;
                sum += difference;
                count++;
            }
            printf(" k %zu mean %+.4f worst %+.4f;", k, sum / static_cast<double>(std::max<size_t>(1, count)), worst);
        }
        printf("\n");
    }

    bool try_target(size_t k, double target) const {
        uint32_t ef = 0;
        double reached = 0;
        check(rhumb_index_recall_ef(index_, k, target, &ef, &reached), "choose ef");
        rhumb_search_options options;
        rhumb_search_options_init(&options, sizeof options);
        options.recall = target;
        const double found = recall(k, options);
        const bool met = std::fabs(found - target) <= tolerance || (found > target && ef == k);
        printf("  %5zu %7.3f %6u %9.4f%s%s\n", k, target, ef, found, met ? "" : "  missed",
               reached < target ? ", not reached when measured" : "");
        return met;
    }

    const Set &set_;
    const Options &options_;
    rhumb_index *index_ = nullptr;
    std::string path_;
    double build_seconds_ = 0, measure_seconds_ = 0;
    rhumb_recall_curve curve_ = {};
    size_t truth_k_ = 0;
    std::vector<float> truth_;
};

Options parse(int argc, char **argv) {
    Options options;
    for (int i = 1; i < argc; i += 2) {
        const std::string name = argv[i];
        if (i + 1 == argc) throw std::invalid_argument(name + ": a value is missing");
        const std::string value = argv[i + 1];
        if (name == "--dir")
            options.folder = value;
        else if (name == "--data")
            options.data = value;
        else if (name == "--sets")
            options.sets = parse_numbers(name, value);
        else if (name == "--ks")
            options.ks = parse_numbers(name, value);
        else if (name == "--targets") {
            options.targets.clear();
            for (const std::string &text : split(value)) options.targets.push_back(std::stod(text));
        } else if (name == "--queries")
            options.query_count = parse_number(name, value);
        else if (name == "--sample")
            options.sample_count = parse_number(name, value);
        else if (name == "--seed")
            options.seed = parse_number(name, value);
        else if (name == "--scale")
            options.scale = parse_number(name, value);
        else
            throw std::invalid_argument(name + ": unknown");
    }
    return options;
}

int run(int argc, char **argv) {
    const Options options = parse(argc, argv);
    print_record("whether searches that ask for a recall get it", "recall_target", argc, argv);
    size_t met_count = 0, count = 0;
    if (!options.data.empty()) {
        const Set set = read(options);
        met_count += Trial(set, options).run(&count);
    } else {
        for (size_t i = 1; i <= std::size(shapes); i++) {
            const bool chosen = std::count(options.sets.begin(), options.sets.end(), i) > 0;
            if (!options.sets.empty() && !chosen) continue;
            const Set set = make(shapes[i - 1], options);
            met_count += Trial(set, options).run(&count);
        }
    }
    printf("\n%zu of %zu targets met within %.2f\n", met_count, count, tolerance);
    return 0;
}

} // namespace
} // namespace bench

int main(int argc, char **argv) {
    try {
        return bench::run(argc, argv);
    } catch (const std::exception &error) {
        fprintf(stderr, "recall_target: %s\n", error.what());
        return 1;
    }
}
