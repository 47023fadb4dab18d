// demo.cc - rhumb and hnswlib on Fashion-MNIST: builds both indexes, closes and opens them again, searches
// all test images, reports what was measured, and draws a sheet of queries with what was found.
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <unistd.h>

#include "bench/adapter.h"
#include "bench/contact_sheet.h"
#include "bench/dataset.h"
#include "bench/machine.h"
#include "bench/measure.h"
#include "bench/probe.h"

namespace bench {
namespace {

const char usage[] = "usage: demo DATA.hdf5 FOLDER\n"
                     "\n"
                     "Builds FOLDER/fashion.rhumb and FOLDER/fashion.hnswlib and draws FOLDER/contact-sheet.png.\n";

// The parameters of the MNIST example of hnsw_rs.
constexpr uint32_t demo_M = 24, demo_ef_construction = 400;
constexpr size_t demo_ef = 32, demo_k = 10, demo_pass_count = 3, demo_sheet_row_count = 8;
constexpr size_t image_side = 28;

const std::vector<std::string> label_names = {"T-SHIRT", "TROUSER", "PULLOVER", "DRESS", "COAT",
                                              "SANDAL",  "SHIRT",   "SNEAKER",  "BAG",   "BOOT"};

struct Subject {
    std::string name;
    std::string path;
    std::string version;
    std::unique_ptr<Adapter> adapter;
    double build_seconds = 0, save_seconds = 0, recall = 0;
    std::vector<double> one_thread, all_threads; // queries per second of each pass
    FileSize file;
    ProbeResult opening;
};

std::unique_ptr<Adapter> make_adapter(const std::string &library, size_t dim, bool cosine) {
    if (library == "rhumb") return make_rhumb(dim, cosine);
    if (library == "hnswlib") return make_hnswlib(dim, cosine);
    return nullptr;
}

std::string with_commas(double value) {
    std::string digits = std::to_string(static_cast<long long>(value + 0.5));
    for (size_t at = digits.size(); at > 3;) {
        at -= 3;
        digits.insert(at, ",");
    }
    return digits;
}

// A line that is drawn over and over on a terminal, and printed only when it is complete elsewhere.
class ProgressBar {
  public:
    explicit ProgressBar(std::string title) : title_(std::move(title)), is_terminal_(isatty(STDOUT_FILENO) != 0) {}

    void show(size_t done, size_t total) {
        constexpr size_t width = 30;
        if (done < total && (!is_terminal_ || watch_.seconds() < next_seconds_)) return;
        next_seconds_ = watch_.seconds() + 0.1;
        size_t full = total == 0 ? width : width * done / total;
        std::string bar = std::string(full, '#') + std::string(width - full, '.');
        printf("%s  %-16s [%s] %3zu%%  %13s  %5.1f s", is_terminal_ ? "\r" : "", title_.c_str(), bar.c_str(),
               total == 0 ? 100 : 100 * done / total, (with_commas(static_cast<double>(done)) + " vectors").c_str(),
               watch_.seconds());
        if (!is_terminal_) printf("\n");
        fflush(stdout);
    }
    void finish(size_t total) {
        if (is_terminal_) {
            show(total, total);
            printf("\n");
        }
    }

  private:
    std::string title_;
    bool is_terminal_;
    Stopwatch watch_;
    double next_seconds_ = 0;
};

void build(Subject &subject, const Dataset &dataset) {
    unlink(subject.path.c_str());
    subject.adapter = make_adapter(subject.name, dataset.dim, dataset.cosine);
    subject.version = subject.adapter->version();
    BuildParameters parameters;
    parameters.M = demo_M;
    parameters.ef_construction = demo_ef_construction;
    parameters.thread_count = cpu_count();
    ProgressBar bar("build " + subject.name);
    Stopwatch build_watch;
    subject.adapter->build(dataset, parameters, subject.path,
                           [&](size_t done, size_t total) { bar.show(done, total); });
    subject.build_seconds = build_watch.seconds();
    bar.finish(dataset.train_count);
    Stopwatch save_watch;
    subject.adapter->save(subject.path);
    subject.save_seconds = save_watch.seconds();
    subject.adapter.reset();
    subject.file = file_size(subject.path);
}

// Searches all queries with both libraries in turn, pass by pass.
void measure_searches(std::vector<Subject> &subjects, const Dataset &dataset, const Queries &queries) {
    std::vector<int64_t> ids;
    for (Subject &subject : subjects) {
        subject.adapter->set_ef(demo_ef);
        timed_pass(*subject.adapter, dataset, queries, demo_k, cpu_count(), ids); // first touches
        subject.recall = recall(dataset, queries.count, demo_k, ids);
    }
    for (size_t pass = 0; pass < demo_pass_count; pass++) {
        for (size_t i = 0; i < subjects.size(); i++) {
            Subject &subject = subjects[(pass + i) % subjects.size()];
            double count = static_cast<double>(queries.count);
            subject.one_thread.push_back(count / timed_pass(*subject.adapter, dataset, queries, demo_k, 1, ids));
            subject.all_threads.push_back(count /
                                          timed_pass(*subject.adapter, dataset, queries, demo_k, cpu_count(), ids));
        }
    }
}

// One line of the report: a title, both values, and how they compare.
void print_line(const std::string &title, const std::string &ours, const std::string &theirs,
                const std::string &comparison = "") {
    printf("  %-36s %12s %12s%s%s\n", title.c_str(), ours.c_str(), theirs.c_str(), comparison.empty() ? "" : "   ",
           comparison.c_str());
}

std::string formatted(const char *format, double value) {
    char text[64];
    snprintf(text, sizeof text, format, value);
    return text;
}

std::string megabytes(uint64_t bytes) { return formatted("%.1f MB", static_cast<double>(bytes) / 1e6); }

void print_report(const Subject &ours, const Subject &theirs, const Dataset &dataset, const std::string &sheet_path) {
    const uint32_t threads = cpu_count();
    printf("\n");
    print_line("", "rhumb", "hnswlib");
    print_line("build, " + std::to_string(threads) + " threads", formatted("%.1f s", ours.build_seconds),
               formatted("%.1f s", theirs.build_seconds));
    print_line("save", formatted("%.2f s", ours.save_seconds), formatted("%.2f s", theirs.save_seconds));
    print_line("file", megabytes(ours.file.length_bytes), megabytes(theirs.file.length_bytes));
    printf("\n  closed, and opened again in a fresh process, file in the page cache\n");
    print_line("  open to first answer", formatted("%.2f ms", ours.opening.first_answer_seconds * 1e3),
               formatted("%.2f ms", theirs.opening.first_answer_seconds * 1e3),
               formatted("x %.0f sooner", theirs.opening.first_answer_seconds / ours.opening.first_answer_seconds));
    print_line("  of this, until open", formatted("%.2f ms", ours.opening.open_seconds * 1e3),
               formatted("%.2f ms", theirs.opening.open_seconds * 1e3));
    print_line("  resident after open", megabytes(ours.opening.after_open.total_bytes),
               megabytes(theirs.opening.after_open.total_bytes));
    print_line("  resident after first answer", megabytes(ours.opening.after_first_answer.total_bytes),
               megabytes(theirs.opening.after_first_answer.total_bytes));
    print_line("  of this, its own: not page cache", megabytes(ours.opening.after_first_answer.anonymous_bytes),
               megabytes(theirs.opening.after_first_answer.anonymous_bytes));
    printf("\n  %s searches, k %zu, ef %zu, medians of %zu passes\n",
           with_commas(static_cast<double>(dataset.test_count)).c_str(), demo_k, demo_ef, demo_pass_count);
    print_line("  recall@10", formatted("%.4f", ours.recall), formatted("%.4f", theirs.recall));
    print_line("  queries per second, 1 thread", with_commas(median(ours.one_thread)),
               with_commas(median(theirs.one_thread)),
               formatted("x %.2f", median(ours.one_thread) / median(theirs.one_thread)));
    if (threads > 1)
        print_line("  queries per second, " + std::to_string(threads) + " threads",
                   with_commas(median(ours.all_threads)), with_commas(median(theirs.all_threads)),
                   formatted("x %.2f", median(ours.all_threads) / median(theirs.all_threads)));
    printf("\n  index          %s\n  contact sheet  %s\n", ours.path.c_str(), sheet_path.c_str());
}

// The first query of each class, as many as the sheet has rows, with what rhumb finds for it.
void draw_sheet(const std::string &path, Adapter &adapter, const Dataset &dataset) {
    std::vector<SheetRow> rows;
    for (size_t label = 0; label < label_names.size() && rows.size() < demo_sheet_row_count; label++) {
        auto found = std::find(dataset.test_labels.begin(), dataset.test_labels.end(), static_cast<uint8_t>(label));
        size_t query = dataset.test_labels.empty() ? label : static_cast<size_t>(found - dataset.test_labels.begin());
        if (query >= dataset.test_count) continue;
        SheetRow row{query, std::vector<int64_t>(demo_k)};
        adapter.search(dataset.test_row(query), 1, demo_k, row.ids.data());
        rows.push_back(row);
    }
    write_contact_sheet(path, dataset, image_side, label_names, rows);
}

void run(const std::string &data_path, const std::string &folder) {
    Dataset dataset = read_dataset(data_path);
    if (dataset.dim != image_side * image_side || dataset.cosine)
        throw std::runtime_error(data_path + ": not the Fashion-MNIST data set");
    std::vector<Subject> subjects(2);
    subjects[0].name = "rhumb";
    subjects[1].name = "hnswlib";
    printf("Fashion-MNIST: %s images of %zu x %zu, euclidean, in an index with M %u and ef_construction %u\n",
           with_commas(static_cast<double>(dataset.train_count)).c_str(), image_side, image_side, demo_M,
           demo_ef_construction);
    printf("%s, %u processors\n\n", cpu_model().c_str(), cpu_count());
    for (Subject &subject : subjects) {
        subject.path = folder + "/fashion." + subject.name;
        build(subject, dataset);
    }

    Queries queries(dataset, 0);
    for (Subject &subject : subjects) {
        subject.opening =
            probe_median(subject.name, subject.path, dataset, dataset.test_row(0), demo_k, demo_ef, false, 5);
        subject.adapter = make_adapter(subject.name, dataset.dim, dataset.cosine);
        subject.adapter->load(subject.path);
    }
    measure_searches(subjects, dataset, queries);
    std::string sheet_path = folder + "/contact-sheet.png";
    draw_sheet(sheet_path, *subjects[0].adapter, dataset);
    print_report(subjects[0], subjects[1], dataset, sheet_path);
}

} // namespace
} // namespace bench

int main(int argc, char **argv) {
    if (bench::is_probe(argc, argv)) return bench::run_probe(argc, argv, bench::make_adapter);
    if (argc != 3 || argv[1][0] == '-') {
        fputs(bench::usage, stderr);
        return 2;
    }
    try {
        bench::run(argv[1], argv[2]);
        return 0;
    } catch (const std::exception &error) {
        fprintf(stderr, "demo: %s\n", error.what());
        return 1;
    }
}
