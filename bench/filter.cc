// filter.cc - speed and recall of filtered searches, by the share of matching vectors and by where they lie.
//
// One index of rhumb and one of hnswlib over the same rows. For each share and each placement there are groups of
// queries with a filter each. Every setting of ef is searched in these ways, in changing order in one run on one
// thread:
//   auto      rhumb, as it chooses (this is what a user gets)
//   exact     rhumb, every matching vector measured
//   scan      rhumb_index_search_exact with the filter: the same without looking keys up
//   bridge    rhumb, walking over matching vectors
//   walk      rhumb, walking over all vectors and keeping the matching ones
//   hnswlib   hnswlib, with the rows that do not match marked as deleted
// The result is the number of queries per second at the same recall, measured against exact filtered search.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench/adapter.h"
#include "bench/command_line.h"
#include "bench/dataset.h"
#include "bench/json.h"
#include "bench/machine.h"
#include "bench/measure.h"
#include "bench/record.h"
#include "bench/rhumb_index.h"
#include "include/rhumb.h"

namespace bench {
namespace {

const char usage[] = "usage: filter --data FILE.hdf5 --dir DIR [options]\n"
                     "\n"
                     "  --data FILE      data set (see datasets.py)\n"
                     "  --dir DIR        where the index files are kept, and used again\n"
                     "  --shares A,B,... shares of vectors that match (default 0.9,0.5,0.1,0.01,0.001)\n"
                     "  --cases A,B,...  of random, near, far, label, other (default: all that the data set has)\n"
                     "  --kind KIND      how rhumb gets the filter: bitmap, keys or callback (default bitmap)\n"
                     "  --ways A,B,...   of auto, exact, scan, bridge, walk, hnswlib (default: all)\n"
                     "  --ef A,B,...     (default 10,16,24,32,48,64,96,128,200,300,400,600)\n"
                     "  --groups N       groups of queries, each with a filter of its own (default 10)\n"
                     "  --queries N      queries per group (default 20)\n"
                     "  --passes N       of which the median is reported (default 3)\n"
                     "  --clock CLOCK    wall, or cpu: processor time, for machines with other load (default wall)\n"
                     "  --m N, --efc N   of the indexes, when they are built (default 16, 200)\n"
                     "  --json FILE      write everything that was measured\n";

constexpr size_t k = 10;

struct Options {
    std::string data, folder, json_path, kind = "bitmap", clock = "wall", command;
    std::vector<std::string> shares = {"0.9", "0.5", "0.1", "0.01", "0.001"};
    std::vector<std::string> cases = {"random", "near", "far", "label", "other"};
    std::vector<std::string> ways = {"auto", "exact", "scan", "bridge", "walk", "hnswlib"};
    std::vector<size_t> efs = {10, 16, 24, 32, 48, 64, 96, 128, 200, 300, 400, 600};
    size_t group_count = 10, query_count = 20, pass_count = 3;
    BuildParameters build;
};

Options parse(int argc, char **argv) {
    Options options;
    options.build.thread_count = cpu_count();
    options.command = command_text("filter", argc, argv);
    for (int i = 1; i < argc; i += 2) {
        const std::string name = argv[i];
        if (name == "--help" || i + 1 == argc) {
            fputs(usage, stdout);
            std::exit(name == "--help" ? 0 : 2);
        }
        const std::string value = argv[i + 1];
        if (name == "--data")
            options.data = value;
        else if (name == "--dir")
            options.folder = value;
        else if (name == "--shares")
            options.shares = split(value);
        else if (name == "--cases")
            options.cases = split(value);
        else if (name == "--kind")
            options.kind = value;
        else if (name == "--ways")
            options.ways = split(value);
        else if (name == "--ef")
            options.efs = parse_numbers(name, value);
        else if (name == "--groups")
            options.group_count = parse_number(name, value);
        else if (name == "--queries")
            options.query_count = parse_number(name, value);
        else if (name == "--passes")
            options.pass_count = parse_number(name, value);
        else if (name == "--clock")
            options.clock = value;
        else if (name == "--m")
            options.build.M = static_cast<uint32_t>(parse_number(name, value));
        else if (name == "--efc")
            options.build.ef_construction = static_cast<uint32_t>(parse_number(name, value));
        else if (name == "--json")
            options.json_path = value;
        else
            throw std::invalid_argument(name + ": unknown (see --help)");
    }
    if (options.data.empty() || options.folder.empty()) throw std::invalid_argument("--data or --dir is missing");
    return options;
}

// ---- queries and filters --------------------------------------------------------------------------------------------

struct Group {
    std::vector<size_t> queries;  // numbers of test rows
    std::vector<uint8_t> matches; // a byte per training row
    std::vector<uint64_t> keys;   // the rows that match
    std::vector<uint8_t> bitmap;
    std::vector<std::vector<uint64_t>> truth;
    std::vector<float> truth_limit; // distance of the last true neighbour
};

void finish(Group &group) {
    group.bitmap.assign(group.matches.size() / 8 + 1, 0);
    for (size_t row = 0; row < group.matches.size(); row++) {
        if (group.matches[row] == 0) continue;
        group.keys.push_back(row);
        group.bitmap[row / 8] = static_cast<uint8_t>(group.bitmap[row / 8] | 1 << row % 8);
    }
}

// Lets each of the candidates match with such a probability that `share` of all rows do.
void thin_out(Group &group, const std::vector<size_t> &candidates, double share, std::mt19937_64 &random) {
    const double wanted = share * static_cast<double>(group.matches.size());
    const double probability = wanted / static_cast<double>(candidates.size());
    std::uniform_real_distribution<double> draw(0, 1);
    for (size_t row : candidates) group.matches[row] = draw(random) < probability ? 1 : 0;
}

// The training rows, from the one nearest to a test row to the farthest.
std::vector<size_t> by_distance(const Dataset &data, const float *pivot) {
    std::vector<std::pair<double, size_t>> order(data.train_count);
    for (size_t row = 0; row < data.train_count; row++)
        order[row] = {exact_distance(data, pivot, data.train_row(row)), row};
    std::sort(order.begin(), order.end());
    std::vector<size_t> rows(data.train_count);
    for (size_t i = 0; i < rows.size(); i++) rows[i] = order[i].second;
    return rows;
}

// A pivot for each group: its nearest test rows are the queries, and its nearest or farthest training rows match.
struct Pivot {
    std::vector<size_t> queries;
    std::vector<size_t> rows; // nearest first
};

std::vector<Pivot> make_pivots(const Dataset &data, const Options &options) {
    std::vector<Pivot> pivots;
    for (size_t g = 0; g < options.group_count; g++) {
        const size_t pivot_row = g * data.test_count / options.group_count;
        std::vector<std::pair<double, size_t>> order(data.test_count);
        for (size_t row = 0; row < data.test_count; row++)
            order[row] = {exact_distance(data, data.test_row(pivot_row), data.test_row(row)), row};
        std::sort(order.begin(), order.end());
        Pivot pivot;
        for (size_t i = 0; i < options.query_count; i++) pivot.queries.push_back(order[i].second);
        pivot.rows = by_distance(data, data.test_row(pivot_row));
        pivots.push_back(std::move(pivot));
    }
    return pivots;
}

// Rows of the query's own class match (label), or those of other classes (other); with a small share, some of them.
void match_labels(const Dataset &data, Group &group, uint8_t label, bool own, double share, std::mt19937_64 &random) {
    const int class_count = std::max(1, static_cast<int>(std::lround(share * 10)));
    std::vector<size_t> candidates;
    for (size_t row = 0; row < data.train_count; row++) {
        const int distance = (data.train_labels[row] + 10 - label) % 10; // 0: the same class
        const bool takes_part = own ? distance < class_count : distance >= 10 - class_count;
        if (takes_part) candidates.push_back(row);
    }
    thin_out(group, candidates, share, random);
}

std::vector<Group> make_groups(const Dataset &data, const Options &options, const std::vector<Pivot> &pivots,
                               const std::string &name, double share) {
    std::mt19937_64 random(4711);
    std::vector<Group> groups(options.group_count);
    std::vector<size_t> all(data.train_count);
    std::iota(all.begin(), all.end(), 0);
    const size_t wanted = std::max<size_t>(1, static_cast<size_t>(share * static_cast<double>(data.train_count)));
    for (size_t g = 0; g < groups.size(); g++) {
        Group &group = groups[g];
        group.matches.assign(data.train_count, 0);
        const bool is_label = name == "label" || name == "other";
        if (name == "random") {
            thin_out(group, all, share, random);
        } else if (name == "near") {
            for (size_t i = 0; i < wanted; i++) group.matches[pivots[g].rows[i]] = 1;
        } else if (name == "far") {
            for (size_t i = data.train_count - wanted; i < data.train_count; i++) group.matches[pivots[g].rows[i]] = 1;
        } else if (is_label) {
            match_labels(data, group, static_cast<uint8_t>(g % 10), name == "label", share, random);
        } else {
            throw std::invalid_argument(name + ": no such case (see --help)");
        }
        if (name == "near" || name == "far") group.queries = pivots[g].queries;
        for (size_t row = g * 101; group.queries.size() < options.query_count; row++) {
            if (!is_label || data.test_labels[row % data.test_count] == g % 10)
                group.queries.push_back(row % data.test_count);
        }
        finish(group);
    }
    return groups;
}

// ---- searching ------------------------------------------------------------------------------------------------------

bool matches_bit(void *context, uint64_t key) {
    const Group &group = *static_cast<const Group *>(context);
    return group.matches[key] != 0;
}

struct Contest {
    const Dataset &data;
    const RhumbIndex &index;
    Adapter *peer; // hnswlib, or null
    const float *peer_rows;
    std::string kind;
    Stopwatch::Clock clock;

    rhumb_filter filter_of(Group &group, rhumb_filter_plan plan) const {
        rhumb_filter filter;
        rhumb_filter_init(&filter, sizeof filter);
        filter.kind = kind == "keys"       ? RHUMB_FILTER_KEYS
                      : kind == "callback" ? RHUMB_FILTER_CALLBACK
                                           : RHUMB_FILTER_BITMAP;
        filter.keys = group.keys.data();
        filter.key_count = group.keys.size();
        filter.bitmap = group.bitmap.data();
        filter.bitmap_bit_count = data.train_count;
        filter.matches = matches_bit;
        filter.context = &group;
        filter.plan = plan;
        return filter;
    }

    void find_truth(Group &group) const {
        const rhumb_filter filter = filter_of(group, RHUMB_FILTER_PLAN_AUTO);
        rhumb_search_options options;
        rhumb_search_options_init(&options, sizeof options);
        options.filter = &filter;
        for (size_t query : group.queries) {
            std::vector<uint64_t> keys(k);
            std::vector<float> distances(k);
            size_t found = 0;
            check(rhumb_index_search_exact(index, data.test_row(query), 1, k, &options, keys.data(), distances.data(),
                                           &found),
                  "exact search");
            keys.resize(found);
            for (uint64_t key : keys)
                if (group.matches[key] == 0) throw std::runtime_error("a key that does not match was found");
            group.truth.push_back(keys);
            group.truth_limit.push_back(found == 0 ? 0 : distances[found - 1]);
        }
    }

    // Searches the queries of a group; returns the seconds, and the keys in `found`.
    double run(Group &group, const std::string &way, size_t ef, std::vector<int64_t> &found) const {
        found.assign(group.queries.size() * k, -1);
        if (way == "hnswlib") {
            peer->set_ef(std::max(ef, k));
            const Stopwatch watch(clock);
            for (size_t i = 0; i < group.queries.size(); i++)
                peer->search(peer_rows + group.queries[i] * data.dim, 1, k, &found[i * k]);
            return watch.seconds();
        }
        const rhumb_filter filter = filter_of(group, way == "exact"    ? RHUMB_FILTER_PLAN_EXACT
                                                     : way == "bridge" ? RHUMB_FILTER_PLAN_BRIDGE
                                                     : way == "walk"   ? RHUMB_FILTER_PLAN_WALK
                                                                       : RHUMB_FILTER_PLAN_AUTO);
        rhumb_search_options options;
        rhumb_search_options_init(&options, sizeof options);
        options.ef_search = static_cast<uint32_t>(ef);
        options.filter = &filter;
        const bool is_scan = way == "scan";
        const Stopwatch watch(clock);
        for (size_t i = 0; i < group.queries.size(); i++) {
            uint64_t *keys = reinterpret_cast<uint64_t *>(&found[i * k]);
            const float *query = data.test_row(group.queries[i]);
            if (is_scan)
                check(rhumb_index_search_exact(index, query, 1, k, &options, keys, nullptr, nullptr), "search");
            else
                check(rhumb_index_search(index, query, k, &options, keys, nullptr, nullptr), "search");
        }
        return watch.seconds();
    }

    // How many of the true neighbours were found, and of how many.
    std::pair<size_t, size_t> hits(const Group &group, const std::vector<int64_t> &found) const {
        size_t hit_count = 0, wanted_count = 0;
        for (size_t i = 0; i < group.queries.size(); i++) {
            const std::vector<uint64_t> &truth = group.truth[i];
            size_t query_hits = 0;
            for (size_t j = 0; j < k; j++) {
                const int64_t row = found[i * k + j];
                if (row < 0) continue;
                const auto key = static_cast<size_t>(row);
                if (group.matches[key] == 0) throw std::runtime_error("a row that does not match was found");
                const double limit = group.truth_limit[i] * (1 + 1e-6) + 1e-7;
                if (std::find(truth.begin(), truth.end(), key) != truth.end() ||
                    exact_distance(data, data.test_row(group.queries[i]), data.train_row(key)) <= limit)
                    query_hits++;
            }
            hit_count += std::min(query_hits, truth.size());
            wanted_count += truth.size();
        }
        return {hit_count, wanted_count};
    }
};

struct Curve {
    std::string way;
    std::vector<Point> points;
};

struct Cell {
    std::string name;
    double share = 0;
    double matching = 0; // rows, on average
    std::vector<Curve> curves;

    const Curve *curve(const std::string &way) const {
        for (const Curve &curve : curves)
            if (curve.way == way) return &curve;
        return nullptr;
    }
    // Queries per second at a recall; 0 where it is not reached.
    double speed(const std::string &way, double recall) const {
        const Curve *found = curve(way);
        if (found == nullptr) return 0;
        const SpeedAtRecall speed = speed_at_recall(found->points, recall);
        return speed.kind == SpeedAtRecall::Kind::not_reached ? 0 : speed.queries_per_second;
    }
    double better(double recall) const {
        return std::max(
            {speed("walk", recall), speed("hnswlib", recall), speed("exact", recall), speed("scan", recall)});
    }
};

// These do not depend on ef. They are run with every third value of it, so that they find the caches in as many states
// as the others do.
bool has_one_speed(const std::string &way) { return way == "exact" || way == "scan"; }
constexpr size_t one_speed_turns = 3;

Cell measure(const Contest &contest, const Options &options, std::vector<Group> &groups, const std::string &name,
             double share) {
    Cell cell;
    cell.name = name;
    cell.share = share;
    size_t query_count = 0;
    for (const std::string &way : options.ways) {
        Curve curve;
        curve.way = way;
        for (size_t ef : options.efs) {
            Point point;
            point.ef = ef;
            point.passes.assign(options.pass_count, 0);
            curve.points.push_back(point);
            if (has_one_speed(way)) break;
        }
        cell.curves.push_back(curve);
    }
    std::vector<std::vector<std::pair<size_t, size_t>>> hits(cell.curves.size());
    for (size_t c = 0; c < hits.size(); c++) hits[c].resize(cell.curves[c].points.size());
    std::vector<int64_t> found;
    std::mt19937_64 random(271828);
    std::vector<size_t> order(cell.curves.size());
    std::iota(order.begin(), order.end(), 0);
    for (Group &group : groups) {
        query_count += group.queries.size();
        cell.matching += static_cast<double>(group.keys.size()) / static_cast<double>(groups.size());
        contest.find_truth(group);
        if (contest.peer != nullptr) contest.peer->set_filter(group.matches.data());
        for (size_t pass = 0; pass < options.pass_count; pass++) {
            for (size_t e = 0; e < options.efs.size(); e++) {
                std::shuffle(order.begin(), order.end(), random);
                for (size_t c : order) {
                    Curve &curve = cell.curves[c];
                    const bool is_one = has_one_speed(curve.way);
                    if (is_one && e % one_speed_turns != 0) continue;
                    const size_t p = is_one ? 0 : e;
                    curve.points[p].passes[pass] += contest.run(group, curve.way, curve.points[p].ef, found);
                    if (pass > 0) continue;
                    const auto [hit_count, wanted_count] = contest.hits(group, found);
                    hits[c][p].first += hit_count;
                    hits[c][p].second += wanted_count;
                }
            }
        }
    }
    for (size_t c = 0; c < cell.curves.size(); c++) {
        for (size_t e = 0; e < cell.curves[c].points.size(); e++) {
            Point &point = cell.curves[c].points[e];
            const size_t turn_count =
                has_one_speed(cell.curves[c].way) ? (options.efs.size() + one_speed_turns - 1) / one_speed_turns : 1;
            for (double &pass : point.passes) pass = static_cast<double>(query_count * turn_count) / pass;
            point.queries_per_second = median(point.passes);
            point.recall = hits[c][e].second == 0
                               ? 1
                               : static_cast<double>(hits[c][e].first) / static_cast<double>(hits[c][e].second);
        }
    }
    return cell;
}

// ---- reporting ------------------------------------------------------------------------------------------------------

void print_heading() {
    printf("%-7s %6s %8s | %9s %9s | %8s %8s %8s %8s %8s %8s | %7s %7s %s\n", "", "", "", "ef 64", "ef 64", "auto",
           "bridge", "walk", "hnswlib", "exact", "scan", "auto to", "better", "");
    printf("%-7s %6s %8s | %9s %9s | %53s | %7s %7s\n", "case", "share", "matching", "recall", "q/s",
           "queries per second at recall 0.95", "at 0.95", "at 0.99");
}

std::string speed_text(double speed) { return speed == 0 ? "-" : std::to_string(std::lround(speed)); }

void print_cell(const Cell &cell) {
    double recall = 0, rate = 0;
    if (const Curve *curve = cell.curve("auto"))
        for (const Point &point : curve->points)
            if (point.ef == 64) recall = point.recall, rate = point.queries_per_second;
    printf("%-7s %6g %8.0f | %9.4f %9.0f |", cell.name.c_str(), cell.share, cell.matching, recall, rate);
    for (const char *way : {"auto", "bridge", "walk", "hnswlib", "exact", "scan"})
        printf(" %8s", speed_text(cell.speed(way, 0.95)).c_str());
    printf(" | %7.2f %7.2f\n", cell.speed("auto", 0.95) / cell.better(0.95),
           cell.speed("auto", 0.99) / cell.better(0.99));
    fflush(stdout);
}

void write_json(const Options &options, const Dataset &data, const std::vector<Cell> &cells) {
    Json json;
    json.begin_object();
    json.text("dataset", data.name);
    json.integer("rows", data.train_count);
    json.integer("dim", data.dim);
    json.text("command", options.command);
    json.text("filter", options.kind);
    json.text("commit", source_commit());
    json.text("date", utc_date());
    json.text("cpu", cpu_model());
    json.integer("processors", cpu_count());
    json.text("kernel", kernel());
    json.text("compiler", compiler());
    json.integer("queries_per_case", options.group_count * options.query_count);
    json.begin_array("cells");
    for (const Cell &cell : cells) {
        json.begin_object();
        json.text("case", cell.name);
        json.number("share", cell.share);
        json.number("matching", cell.matching);
        json.number("ratio_at_0.95", cell.speed("auto", 0.95) / cell.better(0.95));
        json.number("ratio_at_0.99", cell.speed("auto", 0.99) / cell.better(0.99));
        json.begin_array("ways");
        for (const Curve &curve : cell.curves) {
            json.begin_object();
            json.text("way", curve.way);
            json.number("speed_at_0.95", cell.speed(curve.way, 0.95));
            json.number("speed_at_0.99", cell.speed(curve.way, 0.99));
            json.begin_array("points");
            for (const Point &point : curve.points) {
                json.begin_object();
                json.integer("ef", point.ef);
                json.number("recall", point.recall);
                json.number("queries_per_second", point.queries_per_second);
                json.end_object();
            }
            json.end_array();
            json.end_object();
        }
        json.end_array();
        json.end_object();
    }
    json.end_array();
    json.end_object();
    json.save(options.json_path);
}

std::string build(const Options &options, const Dataset &data, Adapter &adapter, const std::string &suffix) {
    const std::string path = options.folder + "/" + data.name + suffix;
    if (file_exists(path)) return path;
    fprintf(stderr, "building %s\n", path.c_str());
    adapter.build(data, options.build, path, nullptr);
    adapter.save(path);
    return path;
}

void run(const Options &options) {
    const Dataset data = read_dataset(options.data);
    const std::string path = build(options, data, *make_rhumb(data.dim, data.cosine), ".rhumb");
    RhumbIndex index = RhumbIndex::open_read_only(path);
    const bool with_peer = std::count(options.ways.begin(), options.ways.end(), "hnswlib") > 0;
    std::unique_ptr<Adapter> peer;
    if (with_peer) {
        const std::string peer_path = build(options, data, *make_hnswlib(data.dim, data.cosine), ".hnswlib");
        peer = make_hnswlib(data.dim, data.cosine);
        peer->load(peer_path);
    }
    const Queries queries(data, 0);
    const Contest contest = {data,         index,
                             peer.get(),   with_peer ? queries.rows_for(*peer) : nullptr,
                             options.kind, options.clock == "cpu" ? Stopwatch::Clock::thread : Stopwatch::Clock::wall};
    const bool needs_pivots = std::count(options.cases.begin(), options.cases.end(), "near") > 0 ||
                              std::count(options.cases.begin(), options.cases.end(), "far") > 0;
    const std::vector<Pivot> pivots = needs_pivots ? make_pivots(data, options) : std::vector<Pivot>();
    printf("%s: %zu x %zu; k %zu, filter as %s, %zu queries per line, medians of %zu passes, one thread, %s time\n",
           data.name.c_str(), data.train_count, data.dim, k, options.kind.c_str(),
           options.group_count * options.query_count, options.pass_count, options.clock.c_str());
    printf("%s, %u processors; %s; peers with -O3 -march=native; %s\n\n", cpu_model().c_str(), cpu_count(),
           compiler().c_str(), with_peer ? peer->version().c_str() : "no peer");
    print_heading();
    std::vector<Cell> cells;
    for (const std::string &name : options.cases) {
        if ((name == "label" || name == "other") && data.train_labels.empty()) continue;
        for (const std::string &share : options.shares) {
            std::vector<Group> groups = make_groups(data, options, pivots, name, std::stod(share));
            cells.push_back(measure(contest, options, groups, name, std::stod(share)));
            print_cell(cells.back());
        }
    }
    if (!options.json_path.empty()) write_json(options, data, cells);
    index.close();
}

} // namespace
} // namespace bench

int main(int argc, char **argv) {
    try {
        const bench::Options options = bench::parse(argc, argv);
        bench::print_record("filtered searches, by share and placement of the matching keys", "filter", argc, argv);
        bench::run(options);
    } catch (const std::exception &error) {
        fprintf(stderr, "filter: %s\n", error.what());
        return 1;
    }
    return 0;
}
