// See index_life.h.
#include "tests/support/index_life.h"
#include "tests/support/chosen_codes.h"

#include <algorithm>
#include <set>
#include <utility>

namespace rhumb_test {
namespace {

// Vectors of different lanes never have the same number.
constexpr uint64_t kLaneVectors = 100000000;
constexpr uint64_t kBranchVectors = 10000;

using Guard = std::lock_guard<std::mutex>;

} // namespace

IndexLife::IndexLife(std::string path, uint64_t seed, uint64_t (*clock)(), uint32_t lane_count)
    : path_(std::move(path)), vectors_(kDim, seed), clock_(clock), oracle_(kDim, RHUMB_METRIC_L2, lane_count),
      lanes_(lane_count) {}

IndexLife::IndexLife(const IndexLife &past)
    : path_(past.path_), vectors_(past.vectors_), clock_(past.clock_), oracle_(past.oracle_), lanes_(past.lanes_),
      created_position_(past.created_position_), problem_(past.problem_) {}

// ---- handles ----

rhumb_open_options IndexLife::fill_options(rhumb_durability durability) {
    rhumb_open_options options;
    rhumb_open_options_init(&options, sizeof options);
    options.durability = durability;
    options.sync_interval_ms = 2;
    return options;
}

void IndexLife::adopt(rhumb_index *index, const rhumb_open_options &options) {
    index_ = Index(index);
    durability_ = options.durability;
    failed_ = false;
}

rhumb_status IndexLife::create(const rhumb_open_options &options) {
    rhumb_index_options what;
    rhumb_index_options_init(&what, sizeof what);
    what.dim = kDim;
    what.M = 4;
    what.ef_construction = 24;
    what.open = &options;
    what = with_chosen_codes(what);
    rhumb_index *created = nullptr;
    const rhumb_status status = rhumb_index_create(path_.c_str(), &what, &created);
    if (status != RHUMB_OK) return status;
    adopt(created, options);
    created_position_ = now();
    return status;
}

rhumb_status IndexLife::open(const rhumb_open_options &options) {
    rhumb_index *opened = nullptr;
    const rhumb_status status = rhumb_index_open(path_.c_str(), &options, &opened);
    if (status == RHUMB_OK) adopt(opened, options);
    return status;
}

rhumb_status IndexLife::open_somehow(std::mt19937_64 *random) {
    static const rhumb_durability modes[] = {RHUMB_DURABILITY_FULL, RHUMB_DURABILITY_FULL, RHUMB_DURABILITY_INTERVAL,
                                             RHUMB_DURABILITY_NONE};
    static const uint64_t limits[] = {0, 300, 1500, UINT64_MAX};
    rhumb_open_options options = fill_options(modes[(*random)() % 4]);
    options.checkpoint_log_bytes = limits[(*random)() % 4];
    return open(options);
}

rhumb_status IndexLife::close() {
    if (!has_handle()) return RHUMB_OK;
    const Oracle::Prefix counts = returned_counts();
    const rhumb_status status = index_.close();
    if (status == RHUMB_OK) note_all(counts, false);
    return status;
}

// ---- counting ----

void IndexLife::begin_branch(uint64_t number) {
    for (Lane &lane : lanes_) lane.vector_count = number * kBranchVectors;
}

std::vector<float> IndexLife::fresh_vector(uint32_t lane) {
    return vectors_.vector(lane * kLaneVectors + lanes_[lane].vector_count++);
}

// Entries were recorded in the oracle; they may happen from now on.
void IndexLife::begin(uint32_t lane, uint64_t entry_count) {
    const Guard guard(mutex_);
    const uint64_t count = oracle_.count(lane);
    const uint64_t position = now();
    for (uint64_t i = entry_count; i > 0; i--) lanes_[lane].begun.push_back({position, count - i + 1});
}

void IndexLife::withdraw(uint32_t lane, uint64_t entry_count) {
    const Guard guard(mutex_);
    for (uint64_t i = 0; i < entry_count; i++) {
        oracle_.withdraw(lane);
        lanes_[lane].begun.pop_back();
    }
}

// The call has returned; of its entries the first `kept_count` have happened.
rhumb_status IndexLife::end(uint32_t lane, uint64_t entry_count, uint64_t kept_count, rhumb_status status) {
    const bool undecided = status == RHUMB_E_FATAL && !failed_;
    if (status == RHUMB_E_FATAL) failed_ = true;
    if (!undecided) withdraw(lane, entry_count - kept_count);
    const uint64_t lsn = rhumb_index_lsn(index_);
    Lane &own = lanes_[lane];
    own.lsns.resize(oracle_.count(lane), undecided ? UINT64_MAX : lsn);
    if (undecided || kept_count == 0) return status;
    if (durability_ == RHUMB_DURABILITY_FULL) {
        if (rhumb_index_durable_lsn(index_) < lsn && lanes_.size() == 1) {
            const Guard guard(mutex_);
            problem_ = "in mode full, operation " + std::to_string(lsn) + " has returned, but is not durable";
        }
        note_returned(lane);
    } else {
        note_durable_lsn();
        own.returned_count = oracle_.count(lane);
    }
    return status;
}

void IndexLife::note_returned(uint32_t lane) {
    const Guard guard(mutex_);
    lanes_[lane].returned_count = oracle_.count(lane);
    lanes_[lane].promised.push_back({now(), lanes_[lane].returned_count});
}

void IndexLife::note_durable_lsn() {
    Lane &lane = lanes_[0];
    const uint64_t durable_lsn = rhumb_index_durable_lsn(index_);
    const uint64_t position = now();
    uint64_t count = lane.promised.empty() ? 0 : lane.promised.back().count;
    while (count < lane.lsns.size() && lane.lsns[count] <= durable_lsn) count++;
    lane.promised.push_back({position, count});
}

Oracle::Prefix IndexLife::returned_counts() {
    const Guard guard(mutex_);
    Oracle::Prefix counts;
    for (const Lane &lane : lanes_) counts.push_back(lane.returned_count);
    return counts;
}

void IndexLife::note_all(const Oracle::Prefix &counts, bool checkpoint) {
    const Guard guard(mutex_);
    const uint64_t position = now();
    for (size_t i = 0; i < lanes_.size(); i++) {
        lanes_[i].promised.push_back({position, counts[i]});
        if (checkpoint) lanes_[i].in_checkpoint.push_back({position, counts[i]});
    }
}

uint64_t IndexLife::count_at(const std::vector<Note> &notes, uint64_t position) {
    uint64_t count = 0;
    for (const Note &note : notes) {
        if (note.position <= position) count = std::max(count, note.count);
    }
    return count;
}

LifeBounds IndexLife::bounds(uint64_t position) const {
    LifeBounds bounds;
    bounds.created = created_position_ <= position;
    for (const Lane &lane : lanes_) {
        bounds.low.push_back(count_at(lane.promised, position));
        bounds.checkpoint.push_back(count_at(lane.in_checkpoint, position));
        bounds.high.push_back(count_at(lane.begun, position));
    }
    return bounds;
}

void IndexLife::resume(const Oracle::Prefix &found, bool durable) {
    oracle_.truncate(found);
    const uint64_t position = durable ? 0 : now();
    if (durable) created_position_ = 0;
    for (size_t i = 0; i < lanes_.size(); i++) {
        Lane &lane = lanes_[i];
        const uint64_t count = found[i];
        const auto is_gone = [count](const Note &note) { return note.count > count; };
        lane.begun.erase(std::remove_if(lane.begun.begin(), lane.begun.end(), is_gone), lane.begun.end());
        lane.begun.push_back({position, count});
        lane.lsns.resize(count);
        if (durable) {
            // The content stays the same, whether it is in the log or in the checkpoint.
            lane.promised = {{0, count}};
            lane.begun = {{0, count}};
            lane.in_checkpoint.clear();
            lane.lsns.assign(count, 0);
        }
        lane.returned_count = count;
    }
}

// ---- operations ----

rhumb_status IndexLife::insert(uint64_t id, uint32_t lane) {
    const std::vector<float> vector = fresh_vector(lane);
    oracle_.insert(key(id, lane), vector, lane);
    begin(lane, 1);
    const rhumb_status status = rhumb_index_insert(index_, key(id, lane), vector.data());
    return end(lane, 1, status == RHUMB_OK, status);
}

rhumb_status IndexLife::upsert(uint64_t id, uint32_t lane) {
    const std::vector<float> vector = fresh_vector(lane);
    oracle_.upsert(key(id, lane), vector, lane);
    begin(lane, 1);
    const rhumb_status status = rhumb_index_upsert(index_, key(id, lane), vector.data());
    return end(lane, 1, status == RHUMB_OK, status);
}

rhumb_status IndexLife::erase(uint64_t id, uint32_t lane) {
    oracle_.erase(key(id, lane), lane);
    begin(lane, 1);
    const rhumb_status status = rhumb_index_delete(index_, key(id, lane));
    return end(lane, 1, status == RHUMB_OK, status);
}

static rhumb_batch_options batch_options(bool partial) {
    rhumb_batch_options options;
    rhumb_batch_options_init(&options, sizeof options);
    options.partial = partial;
    options.thread_count = 1; // in order, so that what is in is a prefix
    return options;
}

uint64_t IndexLife::begin_batch(const std::vector<Oracle::Operation> &operations, bool partial, uint32_t lane) {
    if (partial) {
        for (const Oracle::Operation &operation : operations) oracle_.batch({operation}, lane);
    } else {
        oracle_.batch(operations, lane);
    }
    const uint64_t entry_count = partial ? operations.size() : 1;
    begin(lane, entry_count);
    return entry_count;
}

rhumb_status IndexLife::batch(uint64_t first_id, uint64_t count, bool partial, uint32_t lane) {
    std::vector<uint64_t> keys;
    std::vector<float> rows;
    std::vector<Oracle::Operation> operations;
    for (uint64_t i = 0; i < count; i++) {
        const std::vector<float> row = fresh_vector(lane);
        keys.push_back(key(first_id + i, lane));
        rows.insert(rows.end(), row.begin(), row.end());
        operations.push_back(Oracle::operation(Oracle::Kind::kInsert, keys.back(), row));
    }
    const uint64_t entry_count = begin_batch(operations, partial, lane);
    const rhumb_batch_options options = batch_options(partial);
    size_t inserted = 0;
    const rhumb_status status =
        rhumb_index_insert_batch(index_, keys.data(), rows.data(), keys.size(), &options, &inserted);
    if (!partial && inserted != (status == RHUMB_OK ? count : 0) && status != RHUMB_E_FATAL) {
        const Guard guard(mutex_);
        problem_ = "a batch that is all or nothing inserted " + std::to_string(inserted);
    }
    return end(lane, entry_count, partial ? inserted : status == RHUMB_OK, status);
}

rhumb_status IndexLife::changes(uint64_t first_id, uint64_t count, Mix mix, bool partial, uint32_t lane) {
    std::vector<uint64_t> keys;
    std::vector<std::vector<float>> rows;
    std::vector<rhumb_write> writes;
    std::vector<Oracle::Operation> operations;
    for (uint64_t i = 0; i < count; i++) {
        const bool inserts = mix == Mix::kAll && i == 0;
        const bool deletes = mix == Mix::kDeletes || (mix == Mix::kAll && !inserts && (first_id + i) % 3 == 0);
        const Oracle::Kind kind = deletes   ? Oracle::Kind::kDelete
                                  : inserts ? Oracle::Kind::kInsert
                                            : Oracle::Kind::kUpsert;
        keys.push_back(key(first_id + i, lane));
        rows.push_back(deletes ? std::vector<float>() : fresh_vector(lane));
        operations.push_back(Oracle::operation(kind, keys.back(), rows.back()));
        const uint32_t write_kind = deletes ? RHUMB_WRITE_DELETE : inserts ? RHUMB_WRITE_INSERT : RHUMB_WRITE_UPSERT;
        writes.push_back({write_kind, 0, keys.back(), deletes ? nullptr : rows.back().data()});
    }
    const uint64_t entry_count = begin_batch(operations, partial, lane);
    const rhumb_batch_options options = batch_options(partial);
    rhumb_write_report report;
    rhumb_status status;
    if (mix == Mix::kDeletes) {
        status = rhumb_index_delete_batch(index_, keys.data(), count, &options, &report, sizeof report);
    } else if (mix == Mix::kUpserts) {
        std::vector<float> joined;
        for (const std::vector<float> &row : rows) joined.insert(joined.end(), row.begin(), row.end());
        status = rhumb_index_upsert_batch(index_, keys.data(), joined.data(), count, &options, &report, sizeof report);
    } else {
        status = rhumb_index_write_batch(index_, writes.data(), count, &options, &report, sizeof report);
    }
    const uint64_t done = report.inserted_count + report.replaced_count + report.deleted_count + report.missing_count;
    if ((status == RHUMB_OK && done != count) || (status != RHUMB_OK && status != RHUMB_E_FATAL && !partial && done)) {
        const Guard guard(mutex_);
        problem_ = "a batch of " + std::to_string(count) + " changes reports " + std::to_string(done);
    }
    return end(lane, entry_count, partial ? done : status == RHUMB_OK, status);
}

rhumb_status IndexLife::sync() {
    const Oracle::Prefix counts = returned_counts();
    const rhumb_status status = rhumb_index_sync(index_);
    if (status == RHUMB_OK) note_all(counts, durability_ == RHUMB_DURABILITY_NONE);
    if (status == RHUMB_E_FATAL) failed_ = true;
    return status;
}

rhumb_status IndexLife::checkpoint() {
    const Oracle::Prefix counts = returned_counts();
    const rhumb_status status = rhumb_index_checkpoint(index_);
    if (status == RHUMB_OK) note_all(counts, true);
    if (status == RHUMB_E_FATAL) failed_ = true;
    return status;
}

rhumb_status IndexLife::compact(bool shrink) {
    const Oracle::Prefix counts = returned_counts();
    rhumb_compact_options options;
    rhumb_compact_options_init(&options, sizeof options);
    options.thread_count = 1;
    options.shrink = shrink;
    const rhumb_status status = rhumb_index_compact(index_, &options, nullptr, 0);
    if (status == RHUMB_OK) note_all(counts, true);
    if (status == RHUMB_E_FATAL) failed_ = true;
    return status;
}

rhumb_status IndexLife::step(std::mt19937_64 *random, uint64_t id_count, uint32_t lane) {
    const uint64_t id = (*random)() % id_count;
    const uint64_t choice = (*random)() % (lanes_.size() == 1 ? 100 : 88);
    rhumb_status status;
    if (choice < 38)
        status = insert(id, lane);
    else if (choice < 54)
        status = upsert(id, lane);
    else if (choice < 70)
        status = erase(id, lane);
    else if (choice < 75)
        status = batch(id_count + id, 1 + (*random)() % 30, false, lane);
    else if (choice < 80)
        status = batch(id_count + id, 1 + (*random)() % 30, true, lane);
    else if (choice < 86)
        status = changes(id + (*random)() % id_count, 1 + (*random)() % 20, static_cast<Mix>(choice % 3), false, lane);
    else if (choice < 88)
        status = changes(id + (*random)() % id_count, 1 + (*random)() % 20, static_cast<Mix>(choice % 3), true, lane);
    else if (choice < 92)
        status = sync();
    else if (choice < 97)
        status = checkpoint();
    else
        status = compact((*random)() % 2 == 0);
    return status == RHUMB_E_EXISTS || status == RHUMB_E_NOTFOUND ? RHUMB_OK : status;
}

// ---- judging ----

namespace {

// What a search of unlimited breadth finds from `query`.
std::string search_all(rhumb_index *index, const float *query, std::set<uint64_t> *found) {
    std::vector<uint64_t> keys(rhumb_index_count(index) + 1);
    size_t found_count = 0;
    rhumb_search_options options;
    rhumb_search_options_init(&options, sizeof options);
    options.ef_search = 100000;
    const rhumb_status status =
        rhumb_index_search(index, query, keys.size(), &options, keys.data(), nullptr, &found_count);
    if (status != RHUMB_OK) return std::string("search: ") + rhumb_error_last()->message;
    if (found_count == keys.size()) return "a search found more than there is";
    found->insert(keys.begin(), keys.begin() + static_cast<ptrdiff_t>(found_count));
    return "";
}

// Counts the vectors that even a search for themselves does not find. One search may reach what another does not: links
// have a direction, and the place where a search enters level 0 depends on its query.
std::string count_missing(rhumb_index *index, uint64_t *missing_count) {
    const std::vector<float> query(IndexLife::kDim, 0.5f);
    std::set<uint64_t> found;
    std::string problem = search_all(index, query.data(), &found);
    *missing_count = 0;
    if (!problem.empty() || found.size() == rhumb_index_count(index)) return problem;
    rhumb_point_cursor *cursor = nullptr;
    uint64_t key = 0;
    const void *vector = nullptr;
    size_t count = 0;
    if (rhumb_point_cursor_open(index, 0, &cursor) != RHUMB_OK) return rhumb_error_last()->message;
    while (problem.empty() && rhumb_point_cursor_next(cursor, 1, &key, &vector, nullptr, &count) == RHUMB_OK &&
           count == 1) {
        if (found.count(key) != 0) continue;
        problem = search_all(index, static_cast<const float *>(vector), &found);
        *missing_count += found.count(key) == 0;
    }
    rhumb_point_cursor_close(cursor);
    return problem;
}

} // namespace

std::string judge_handle(IndexLife *life, rhumb_index *index, const Oracle::Prefix &low, const Oracle::Prefix &high,
                         Oracle::Prefix *found, uint64_t *missing_count) {
    const std::string problem = life->oracle().find_prefix(index, low, high, found, 2);
    if (!problem.empty()) return problem;
    return count_missing(index, missing_count);
}

} // namespace rhumb_test
