// life.cc - see life.h.
#include "tests/torture/life.h"
#include "tests/support/chosen_codes.h"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <thread>

#include "tests/torture/answer.h"

namespace torture {

namespace {

std::mutex findings_mutex; // changes are made by several threads

} // namespace

Life::Life(const Collection &collection, std::string folder, const Extent &extent, uint64_t seed, Findings *findings)
    : collection_(collection), folder_(std::move(folder)), extent_(extent), random_(seed), findings_(findings),
      model_(collection.count() + 10), reader_model_(0) {
    rhumb_index_options options;
    rhumb_index_options_init(&options, sizeof options);
    options.dim = collection.dim();
    options.metric = collection.pair().metric;
    options.element = collection.pair().element;
    options.M = extent.M;
    if (extent.M < 8) options.M0 = extent.M, options.ef_construction = 2 * extent.M;
    const rhumb_open_options open_options = this->open_options();
    options.open = &open_options;
    options = with_chosen_codes(options);
    must(rhumb_index_create(path(path_number_).c_str(), &options, &index_), "create");
}

Life::~Life() {
    if (reader_ != nullptr) must(rhumb_index_close(reader_), "close of a reader");
    close();
}

bool Life::must(rhumb_status status, const std::string &what) {
    if (status == RHUMB_OK) return true;
    const std::lock_guard<std::mutex> guard(findings_mutex);
    findings_->check("status of " + what, text("%s, %s", rhumb_status_name(status), rhumb_error_last()->message));
    return false;
}

rhumb_open_options Life::open_options() const {
    rhumb_open_options options;
    rhumb_open_options_init(&options, sizeof options);
    options.durability = RHUMB_DURABILITY_INTERVAL;
    options.compact_dead_share = dead_share_;
    options.custom_name = custom_name;
    options.custom_distance = custom_distance;
    return options;
}

bool Life::open(bool read_only) {
    rhumb_open_options options = open_options();
    options.read_only = read_only;
    rhumb_status status = RHUMB_E_LOCKED;
    for (int i = 0; status == RHUMB_E_LOCKED && i < 100; i++) { // a killed writer's lock outlives it a little
        status = rhumb_index_open(path(path_number_).c_str(), &options, &index_);
    }
    return must(status, "open");
}

void Life::close() {
    if (index_ != nullptr) must(rhumb_index_close(index_), "close");
    index_ = nullptr;
}

// ---- changes ----

void Life::insert_as(size_t number, size_t row) {
    if (!only_model_) must(rhumb_index_insert(index_, Model::key(number), collection_.vector(row)), "insert");
    model_.put(number, row);
}

void Life::upsert(size_t number, size_t row) {
    if (!only_model_) must(rhumb_index_upsert(index_, Model::key(number), collection_.vector(row)), "upsert");
    model_.put(number, row);
}

void Life::erase(size_t number) {
    if (!only_model_) must(rhumb_index_delete(index_, Model::key(number)), "delete");
    model_.erase(number);
}

void Life::insert_range(size_t begin, size_t end) {
    for (size_t number = begin; number < end; number++) insert(number);
}

void Life::batch(size_t begin, size_t end, uint32_t thread_count) {
    std::vector<uint64_t> keys;
    std::vector<size_t> rows;
    for (size_t number = begin; number < end; number++) {
        keys.push_back(Model::key(number));
        rows.push_back(number);
        model_.put(number, number);
    }
    rhumb_batch_options options;
    rhumb_batch_options_init(&options, sizeof options);
    options.thread_count = thread_count;
    if (only_model_) return;
    const void *vectors = collection_.vectors(rows);
    must(rhumb_index_insert_batch(index_, keys.data(), vectors, keys.size(), &options, nullptr), "batch");
}

void Life::failed_batch(size_t begin, size_t end) {
    std::vector<uint64_t> keys;
    std::vector<size_t> rows;
    for (size_t number = begin; number < end; number++) {
        keys.push_back(Model::key(number));
        rows.push_back(number);
    }
    keys.push_back(Model::key(model_.live().front()));
    rows.push_back(begin);
    if (only_model_) return;
    rhumb_batch_options options;
    rhumb_batch_options_init(&options, sizeof options);
    options.thread_count = 1;
    const void *vectors = collection_.vectors(rows);
    const rhumb_status status = rhumb_index_insert_batch(index_, keys.data(), vectors, keys.size(), &options, nullptr);
    findings_->check("status of a batch that must fail", status == RHUMB_E_EXISTS ? "" : rhumb_status_name(status));
}

void Life::on_threads(size_t thread_count, const std::function<void(size_t thread)> &work) {
    std::vector<std::thread> threads;
    for (size_t thread = 0; thread < thread_count; thread++) threads.emplace_back(work, thread);
    for (std::thread &thread : threads) thread.join();
}

// ---- upkeep ----

void Life::checkpoint() {
    if (!only_model_) must(rhumb_index_checkpoint(index_), "checkpoint");
}

void Life::wait_idle() {
    if (!only_model_) must(rhumb_index_wait_idle(index_), "wait_idle");
}

void Life::compact(bool second_pass, rhumb_order order) {
    rhumb_compact_options options;
    rhumb_compact_options_init(&options, sizeof options);
    options.thread_count = compact_threads_;
    options.second_pass = second_pass;
    options.order = order;
    rhumb_compact_report report = {};
    must(rhumb_index_compact(index_, &options, &report, sizeof report), "compact");
    findings_->add("unreachable after a compaction", report.unreachable_count == 0,
                   [&] { return text("%zu", static_cast<size_t>(report.unreachable_count)); });
}

void Life::compact_in_background() {
    rhumb_compact_options options;
    rhumb_compact_options_init(&options, sizeof options);
    options.background = true;
    must(rhumb_index_compact(index_, &options, nullptr, 0), "compact in the background");
}

void Life::compact_into_new_file() {
    close();
    rhumb_compact_options options;
    rhumb_compact_options_init(&options, sizeof options);
    options.thread_count = compact_threads_;
    options.custom_name = custom_name;
    options.custom_distance = custom_distance;
    rhumb_compact_report report = {};
    const std::string from = path(path_number_++);
    must(rhumb_index_compact_into(from.c_str(), path(path_number_).c_str(), &options, &report, sizeof report),
         "compact_into");
    findings_->add("unreachable after a compaction", report.unreachable_count == 0,
                   [&] { return text("%zu", static_cast<size_t>(report.unreachable_count)); });
    open(false);
}

void Life::repair_into_new_file() {
    close();
    rhumb_repair_options options;
    rhumb_repair_options_init(&options, sizeof options);
    options.thread_count = compact_threads_;
    options.custom_name = custom_name;
    options.custom_distance = custom_distance;
    rhumb_repair_report report = {};
    const std::string from = path(path_number_++);
    must(rhumb_index_repair(from.c_str(), path(path_number_).c_str(), &options, &report, sizeof report), "repair");
    findings_->add("unreachable after a repair", report.unreachable_count == 0,
                   [&] { return text("%zu", static_cast<size_t>(report.unreachable_count)); });
    open(false);
}

void Life::reopen() {
    close();
    open(false);
}

void Life::open_reader() {
    close();
    open(true);
}

void Life::open_reader_too() {
    rhumb_open_options options = open_options();
    options.read_only = true;
    checkpoint();
    must(rhumb_index_open(path(path_number_).c_str(), &options, &reader_), "open of a reader");
    reader_model_ = model_;
}

void Life::refresh_reader() {
    checkpoint();
    must(rhumb_index_refresh(reader_, nullptr), "refresh");
    reader_model_ = model_;
}

void Life::set_dead_share(double share) {
    dead_share_ = share;
    reopen();
}

void Life::crash_after(const std::function<void()> &changes) {
    close();
    fflush(stdout);
    fflush(stderr);
    const pid_t child = fork();
    if (child == 0) {
        if (open(false)) {
            changes();
            if (rhumb_index_sync(index_) == RHUMB_OK && findings_->empty()) kill(getpid(), SIGKILL);
        }
        fprintf(stderr, "%s\n", findings_->line().c_str());
        _exit(1);
    }
    int state = 0;
    const bool killed = waitpid(child, &state, 0) == child && WIFSIGNALED(state) && WTERMSIG(state) == SIGKILL;
    findings_->check("child", killed ? "" : "not killed as intended");
    only_model_ = true;
    changes();
    only_model_ = false;
    open(false);
}

// ---- judgement ----

void Life::judge_handle(rhumb_index *index, const Model &model, const std::string &step, const Extent &extent) {
    if (index == nullptr) return; // a finding already
    torture::judge(index, collection_, model, step, extent, random_(), findings_);
}

void Life::judge(const std::string &step) { judge_handle(index_, model_, step, extent_); }

void Life::judge_reader(const std::string &step) { judge_handle(reader_, reader_model_, step, extent_); }

void Life::judge_small(const std::string &step) { judge_handle(index_, model_, step, {1, 1, 1, extent_.M}); }

} // namespace torture
