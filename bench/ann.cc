// ann.cc - recall against queries per second for rhumb, hnswlib and FAISS in one run on one data set.
//
// Every library builds its index over the same rows with the same M and ef_construction, saves it, and is measured on
// the index loaded from that file. Each pass goes through all values of ef, and at each through all libraries, in an
// order that rotates from pass to pass, so that other load on the machine affects all alike. The median of the passes
// is reported.
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/adapter.h"
#include "bench/command_line.h"
#include "bench/dataset.h"
#include "bench/json.h"
#include "bench/machine.h"
#include "bench/measure.h"
#include "bench/probe.h"
#include "bench/record.h"

extern char **environ;

namespace bench {
namespace {

const char usage[] =
    "usage: ann --data FILE.hdf5 [options]\n"
    "\n"
    "  --data FILE          data set (see datasets.py)\n"
    "  --libs A,B,...       of rhumb, hnswlib, faiss (default: all three), and of rhumb with what the name says:\n"
    "                       rhumb-plain, rhumb-4bit, rhumb-rows1, rhumb-rows2, rhumb-4bit-rows1, rhumb-4bit-rows2,\n"
    "                       rhumb-singly; rhumb-compact and those with rows are compacted, and rhumb-singly has\n"
    "                       each vector inserted by a call of its own\n"
    "  --m N                neighbours per node (default 16)\n"
    "  --efc N              ef_construction (default 200)\n"
    "  --k N                neighbours asked for (default 10)\n"
    "  --ef A,B,...         breadths of the search (default 10,16,24,32,48,64,96,128,200,300,400,600,800)\n"
    "  --passes N           passes over the queries, of which the median counts (default 3)\n"
    "  --queries N          use only the first N test rows (default: all)\n"
    "  --threads N          also measure with N searching threads (default: one per processor; 1: only one thread)\n"
    "  --build-threads N    (default: one per processor)\n"
    "  --index-dir DIR      keep the index files there (default: a temporary folder, removed at the end)\n"
    "  --reuse              use an index file that is in --index-dir already\n"
    "  --no-open            do not measure opening\n"
    "  --json FILE          write everything that was measured\n"
    "  --svg FILE           draw recall against queries per second (needs --json and python3)\n";

const double recall_targets[] = {0.90, 0.95, 0.99};

struct Options {
    std::string data;
    std::vector<std::string> libraries = {"rhumb", "hnswlib", "faiss"};
    BuildParameters build;
    size_t k = 10;
    std::vector<size_t> efs = {10, 16, 24, 32, 48, 64, 96, 128, 200, 300, 400, 600, 800};
    size_t pass_count = 3;
    size_t query_limit = 0;
    uint32_t thread_count = cpu_count();
    std::string index_folder;
    bool reuse = false;
    bool measure_opening = true;
    std::string json_path;
    std::string svg_path;
    std::string command; // as it was typed
};

// What was measured of one library with one number of threads.
struct Sweep {
    uint32_t thread_count = 1;
    std::vector<Point> points; // one per ef
};

struct Library {
    std::string name;
    std::string version;
    std::string index_path;
    std::unique_ptr<Adapter> adapter;
    bool was_built = false; // in this run
    double build_seconds = 0;
    double save_seconds = 0;
    FileSize file;
    ProbeResult open_warm, open_cold;
    std::vector<Sweep> sweeps;
};

std::unique_ptr<Adapter> make_adapter(const std::string &library, size_t dim, bool cosine) {
    if (library.compare(0, 5, "rhumb") == 0) return make_rhumb_variant(library, dim);
    if (library == "hnswlib") return make_hnswlib(dim, cosine);
    if (library == "faiss") return make_faiss(dim, cosine);
    return nullptr;
}

// ---- the command line ----------------------------------------------------------------------------------------------

Options parse_options(int argc, char **argv) {
    Options options;
    options.build.thread_count = cpu_count();
    options.command = command_text("ann", argc, argv);
    for (int i = 1; i < argc; i++) {
        std::string option = argv[i];
        if (option == "--help" || option == "-h") {
            fputs(usage, stdout);
            std::exit(0);
        }
        if (option == "--reuse") {
            options.reuse = true;
            continue;
        }
        if (option == "--no-open") {
            options.measure_opening = false;
            continue;
        }
        if (i + 1 == argc) throw std::invalid_argument(option + ": unknown, or its value is missing (see --help)");
        std::string value = argv[++i];
        if (option == "--data")
            options.data = value;
        else if (option == "--libs")
            options.libraries = split(value);
        else if (option == "--m")
            options.build.M = static_cast<uint32_t>(parse_number(option, value));
        else if (option == "--efc")
            options.build.ef_construction = static_cast<uint32_t>(parse_number(option, value));
        else if (option == "--k")
            options.k = parse_number(option, value);
        else if (option == "--ef")
            options.efs = parse_numbers(option, value);
        else if (option == "--passes")
            options.pass_count = parse_number(option, value);
        else if (option == "--queries")
            options.query_limit = parse_number(option, value);
        else if (option == "--threads")
            options.thread_count = static_cast<uint32_t>(parse_number(option, value));
        else if (option == "--build-threads")
            options.build.thread_count = static_cast<uint32_t>(parse_number(option, value));
        else if (option == "--index-dir")
            options.index_folder = value;
        else if (option == "--json")
            options.json_path = value;
        else if (option == "--svg")
            options.svg_path = value;
        else
            throw std::invalid_argument(option + ": unknown (see --help)");
    }
    if (options.data.empty()) throw std::invalid_argument("--data is missing (see --help)");
    if (options.libraries.empty() || options.efs.empty()) throw std::invalid_argument("nothing to measure");
    if (!options.svg_path.empty() && options.json_path.empty()) throw std::invalid_argument("--svg needs --json");
    if (options.reuse && options.index_folder.empty()) throw std::invalid_argument("--reuse needs --index-dir");
    return options;
}

// ---- building and measuring ----------------------------------------------------------------------------------------

// A folder for the index files: the user's, or a temporary one that is removed with this object.
class IndexFolder {
  public:
    explicit IndexFolder(const std::string &wanted) : path_(wanted), is_temporary_(wanted.empty()) {
        if (is_temporary_) {
            const char *parent = std::getenv("TMPDIR");
            path_ = std::string(parent != nullptr ? parent : "/tmp") + "/rhumb-bench-XXXXXX";
            if (mkdtemp(path_.data()) == nullptr) throw std::runtime_error(path_ + ": " + std::strerror(errno));
        } else if (mkdir(path_.c_str(), 0777) != 0 && errno != EEXIST) {
            throw std::runtime_error(path_ + ": " + std::strerror(errno));
        }
    }
    ~IndexFolder() {
        if (!is_temporary_) return;
        for (const std::string &file : files_) unlink(file.c_str());
        rmdir(path_.c_str());
    }
    IndexFolder(const IndexFolder &) = delete;
    IndexFolder &operator=(const IndexFolder &) = delete;

    std::string file(const std::string &name) {
        files_.push_back(path_ + "/" + name);
        return files_.back();
    }

  private:
    std::string path_;
    bool is_temporary_;
    std::vector<std::string> files_;
};

void build_or_reuse(Library &library, const Options &options, const Dataset &dataset) {
    library.adapter = make_adapter(library.name, dataset.dim, dataset.cosine);
    if (!library.adapter) throw std::invalid_argument(library.name + ": no such library (see --help)");
    library.version = library.adapter->version();
    if (!options.reuse || !file_exists(library.index_path)) {
        unlink(library.index_path.c_str());
        fprintf(stderr, "%s: building on %u threads ... ", library.version.c_str(), options.build.thread_count);
        Stopwatch build_watch;
        library.adapter->build(dataset, options.build, library.index_path, nullptr);
        library.build_seconds = build_watch.seconds();
        Stopwatch save_watch;
        library.adapter->save(library.index_path);
        library.save_seconds = save_watch.seconds();
        library.was_built = true;
        fprintf(stderr, "%.1f s, saved in %.2f s\n", library.build_seconds, library.save_seconds);
    } else {
        fprintf(stderr, "%s: reusing %s\n", library.version.c_str(), library.index_path.c_str());
    }
    library.adapter.reset();
    library.file = file_size(library.index_path);
}

void measure_opening(Library &library, const Options &options, const Dataset &dataset, const Queries &queries) {
    std::unique_ptr<Adapter> adapter = make_adapter(library.name, dataset.dim, dataset.cosine);
    const float *query = queries.rows_for(*adapter);
    size_t ef = options.efs[options.efs.size() / 2];
    library.open_cold = probe_median(library.name, library.index_path, dataset, query, options.k, ef, true, 3);
    library.open_warm = probe_median(library.name, library.index_path, dataset, query, options.k, ef, false, 5);
}

// Fills the sweeps of all libraries, which are loaded.
void measure_searches(std::vector<Library> &libraries, const Options &options, const Dataset &dataset,
                      const Queries &queries) {
    std::vector<uint32_t> thread_counts = {1};
    if (options.thread_count > 1) thread_counts.push_back(options.thread_count);
    for (Library &library : libraries) {
        for (uint32_t thread_count : thread_counts) {
            Sweep sweep;
            sweep.thread_count = thread_count;
            for (size_t ef : options.efs) {
                Point point;
                point.ef = ef;
                sweep.points.push_back(point);
            }
            library.sweeps.push_back(sweep);
        }
    }

    std::vector<int64_t> ids;
    for (Library &library : libraries) { // once through, so that no first pass pays for first touches
        library.adapter->set_ef(options.efs[options.efs.size() / 2]);
        timed_pass(*library.adapter, dataset, queries, options.k, thread_counts.back(), ids);
    }
    bool show_progress = isatty(STDERR_FILENO) != 0;
    size_t turn = 0;
    for (size_t pass = 0; pass < options.pass_count; pass++) {
        for (size_t s = 0; s < thread_counts.size(); s++) {
            for (size_t e = 0; e < options.efs.size(); e++, turn++) {
                if (show_progress)
                    fprintf(stderr, "\rpass %zu of %zu, %u thread%s, ef %zu   ", pass + 1, options.pass_count,
                            thread_counts[s], thread_counts[s] == 1 ? "" : "s", options.efs[e]);
                for (size_t l = 0; l < libraries.size(); l++) {
                    Library &library = libraries[(l + turn) % libraries.size()];
                    library.adapter->set_ef(std::max(options.efs[e], options.k));
                    double seconds = timed_pass(*library.adapter, dataset, queries, options.k, thread_counts[s], ids);
                    Point &point = library.sweeps[s].points[e];
                    point.passes.push_back(static_cast<double>(queries.count) / seconds);
                    point.queries_per_second = median(point.passes);
                    if (pass == 0) point.recall = recall(dataset, queries.count, options.k, ids);
                }
            }
        }
    }
    if (show_progress) fprintf(stderr, "\r%60s\r", "");
}

// ---- reporting -----------------------------------------------------------------------------------------------------

const Library *find_reference(const std::vector<Library> &libraries) {
    for (const Library &library : libraries)
        if (library.name == "hnswlib") return &library;
    return nullptr;
}

// The ratio to hnswlib; 0 where one of the two is unknown or only bounded.
double ratio_to(const SpeedAtRecall &speed, const SpeedAtRecall &reference) {
    bool both = speed.kind == SpeedAtRecall::Kind::reached && reference.kind == SpeedAtRecall::Kind::reached;
    return both ? speed.queries_per_second / reference.queries_per_second : 0;
}

void print_report(const std::vector<Library> &libraries, const Options &options, const Dataset &dataset,
                  size_t query_count) {
    printf("%s: %zu rows of %zu, %s; %zu queries, k %zu, M %u, ef_construction %u, %zu passes (medians)\n",
           dataset.name.c_str(), dataset.train_count, dataset.dim, dataset.cosine ? "cosine" : "euclidean", query_count,
           options.k, options.build.M, options.build.ef_construction, options.pass_count);
    printf("%s, %u processors; %s\n", cpu_model().c_str(), cpu_count(), compiler().c_str());

    const Library *reference = find_reference(libraries);
    for (size_t s = 0; s < libraries[0].sweeps.size(); s++) {
        uint32_t thread_count = libraries[0].sweeps[s].thread_count;
        printf("\nqueries per second, %u thread%s\n\n  %6s", thread_count, thread_count == 1 ? "" : "s", "ef");
        for (const Library &library : libraries) printf("  %13s  %7s", library.name.c_str(), "recall");
        printf("\n");
        for (size_t e = 0; e < options.efs.size(); e++) {
            printf("  %6zu", options.efs[e]);
            for (const Library &library : libraries)
                printf("  %13.0f  %7.4f", library.sweeps[s].points[e].queries_per_second,
                       library.sweeps[s].points[e].recall);
            printf("\n");
        }
        printf("\n  at recall");
        for (double target : recall_targets) printf("  %8.2f %11s", target, reference != nullptr ? "to hnswlib" : "");
        printf("\n");
        for (const Library &library : libraries) {
            printf("  %-13s", library.name.c_str());
            for (double target : recall_targets) {
                SpeedAtRecall speed = speed_at_recall(library.sweeps[s].points, target);
                char text[32] = "-";
                if (speed.kind != SpeedAtRecall::Kind::not_reached)
                    snprintf(text, sizeof text, "%s%.0f", speed.kind == SpeedAtRecall::Kind::at_least ? ">=" : "",
                             speed.queries_per_second);
                double ratio =
                    reference == nullptr ? 0 : ratio_to(speed, speed_at_recall(reference->sweeps[s].points, target));
                char ratio_text[32] = "";
                if (ratio > 0) snprintf(ratio_text, sizeof ratio_text, "x %.2f", ratio);
                printf("  %8s %11s", text, ratio_text);
            }
            printf("\n");
        }
    }

    printf("\n  %-24s %9s %8s %9s %13s %13s %11s\n", "", "build s", "save s", "file MB", "open cold ms", "open warm ms",
           "own MB");
    for (const Library &library : libraries) {
        printf("  %-24s", library.version.c_str());
        if (library.was_built)
            printf(" %9.1f %8.2f", library.build_seconds, library.save_seconds);
        else
            printf(" %9s %8s", "-", "-");
        printf(" %9.1f", static_cast<double>(library.file.length_bytes) / 1e6);
        if (options.measure_opening)
            printf(" %13.2f %13.2f %11.1f", library.open_cold.first_answer_seconds * 1e3,
                   library.open_warm.first_answer_seconds * 1e3,
                   static_cast<double>(library.open_warm.after_first_answer.anonymous_bytes) / 1e6);
        else
            printf(" %13s %13s %11s", "-", "-", "-");
        printf("\n");
    }
    printf("  (build on %u threads; open: a fresh process until its first answer; own: its memory then, without pages "
           "of files)\n",
           options.build.thread_count);
}

void write_opening(Json &json, const char *name, const ProbeResult &result) {
    json.begin_object(name);
    json.number("open_seconds", result.open_seconds);
    json.number("first_answer_seconds", result.first_answer_seconds);
    json.integer("resident_after_open_bytes", result.after_open.total_bytes);
    json.integer("anonymous_after_open_bytes", result.after_open.anonymous_bytes);
    json.integer("resident_after_first_answer_bytes", result.after_first_answer.total_bytes);
    json.integer("anonymous_after_first_answer_bytes", result.after_first_answer.anonymous_bytes);
    json.end_object();
}

void write_sweep(Json &json, const Sweep &sweep, const Sweep *reference) {
    json.begin_object();
    json.integer("threads", sweep.thread_count);
    json.begin_array("points");
    for (const Point &point : sweep.points) {
        json.begin_object();
        json.integer("ef", point.ef);
        json.number("recall", point.recall);
        json.number("queries_per_second", point.queries_per_second);
        json.begin_array("passes");
        for (double pass : point.passes) json.number("", pass);
        json.end_array();
        json.end_object();
    }
    json.end_array();
    json.begin_array("at_recall");
    for (double target : recall_targets) {
        SpeedAtRecall speed = speed_at_recall(sweep.points, target);
        if (speed.kind == SpeedAtRecall::Kind::not_reached) continue;
        json.begin_object();
        json.number("recall", target);
        json.number("queries_per_second", speed.queries_per_second);
        json.boolean("at_least", speed.kind == SpeedAtRecall::Kind::at_least);
        double ratio = reference == nullptr ? 0 : ratio_to(speed, speed_at_recall(reference->points, target));
        if (ratio > 0) json.number("ratio_to_hnswlib", ratio);
        json.end_object();
    }
    json.end_array();
    json.end_object();
}

void write_json(const std::vector<Library> &libraries, const Options &options, const Dataset &dataset,
                size_t query_count) {
    Json json;
    json.begin_object();
    json.text("command", options.command);
    json.text("commit", source_commit());
    json.text("date", utc_date());
    json.begin_object("machine");
    json.text("cpu", cpu_model());
    json.integer("processors", cpu_count());
    json.integer("memory_bytes", memory_bytes());
    json.text("kernel", kernel());
    json.end_object();
    json.text("compiler", compiler());
    json.begin_object("dataset");
    json.text("name", dataset.name);
    json.text("metric", dataset.cosine ? "cosine" : "euclidean");
    json.integer("rows", dataset.train_count);
    json.integer("dimension", dataset.dim);
    json.integer("queries", query_count);
    json.end_object();
    json.integer("k", options.k);
    json.integer("M", options.build.M);
    json.integer("ef_construction", options.build.ef_construction);
    json.integer("build_threads", options.build.thread_count);
    json.integer("passes", options.pass_count);
    json.begin_array("libraries");
    const Library *reference = find_reference(libraries);
    for (const Library &library : libraries) {
        json.begin_object();
        json.text("name", library.name);
        json.text("version", library.version);
        if (library.was_built) {
            json.number("build_seconds", library.build_seconds);
            json.number("save_seconds", library.save_seconds);
        }
        json.integer("file_length_bytes", library.file.length_bytes);
        json.integer("file_disk_bytes", library.file.disk_bytes);
        if (options.measure_opening) {
            write_opening(json, "open_cold", library.open_cold);
            write_opening(json, "open_warm", library.open_warm);
        }
        json.begin_array("sweeps");
        for (size_t s = 0; s < library.sweeps.size(); s++)
            write_sweep(json, library.sweeps[s], reference == nullptr ? nullptr : &reference->sweeps[s]);
        json.end_array();
        json.end_object();
    }
    json.end_array();
    json.end_object();
    json.save(options.json_path);
}

// Has plot.py draw the JSON file. It is among this program's runfiles under Bazel, or in the tree.
void draw(const Options &options) {
    std::string script = executable() + ".runfiles/rhumb/bench/plot.py";
    if (!file_exists(script)) script = "bench/plot.py";
    std::vector<std::string> words = {"python3", script, options.json_path, "--out", options.svg_path};
    std::vector<char *> arguments;
    for (std::string &word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    pid_t child = -1;
    int status = 0;
    if (posix_spawnp(&child, "python3", nullptr, nullptr, arguments.data(), environ) != 0 ||
        waitpid(child, &status, 0) != child || status != 0)
        throw std::runtime_error(options.svg_path + ": plot.py could not draw it");
}

void run(const Options &options) {
    Dataset dataset = read_dataset(options.data);
    if (options.k > dataset.truth_count)
        throw std::invalid_argument("--k: the data set has only " + std::to_string(dataset.truth_count) +
                                    " true neighbours");
    Queries queries(dataset, options.query_limit);
    IndexFolder folder(options.index_folder);
    std::vector<Library> libraries;
    for (const std::string &name : options.libraries) {
        Library library;
        library.name = name;
        library.index_path = folder.file(dataset.name + "-" + name + "-M" + std::to_string(options.build.M) + "-efc" +
                                         std::to_string(options.build.ef_construction) + "." + name);
        libraries.push_back(std::move(library));
    }
    for (Library &library : libraries) {
        build_or_reuse(library, options, dataset);
        if (options.measure_opening) measure_opening(library, options, dataset, queries);
    }
    for (Library &library : libraries) {
        library.adapter = make_adapter(library.name, dataset.dim, dataset.cosine);
        library.adapter->load(library.index_path);
    }
    measure_searches(libraries, options, dataset, queries);
    print_report(libraries, options, dataset, queries.count);
    if (!options.json_path.empty()) write_json(libraries, options, dataset, queries.count);
    if (!options.svg_path.empty()) draw(options);
    libraries.clear(); // before the files go
}

} // namespace
} // namespace bench

int main(int argc, char **argv) {
    if (bench::is_probe(argc, argv)) return bench::run_probe(argc, argv, bench::make_adapter);
    try {
        const bench::Options options = bench::parse_options(argc, argv);
        bench::print_record("recall, speed, building and opening, compared with other libraries", "ann", argc, argv);
        bench::run(options);
        return 0;
    } catch (const std::exception &error) {
        fprintf(stderr, "ann: %s\n", error.what());
        return 1;
    }
}
