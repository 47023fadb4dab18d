// rhumb_index.cc - see rhumb_index.h.
#include "bench/rhumb_index.h"

#include <cstdio>
#include <stdexcept>

namespace bench {

void check(rhumb_status status, const char *what) {
    if (status == RHUMB_OK) return;
    throw std::runtime_error(std::string("rhumb: ") + what + ": " + rhumb_status_name(status) + ": " +
                             rhumb_error_last()->message);
}

void RhumbIndex::Closer::operator()(rhumb_index *index) const {
    (void)!rhumb_index_close(index);
    if (!path_to_remove.empty()) std::remove(path_to_remove.c_str());
}

RhumbIndex::RhumbIndex(const std::string &path, const IndexSettings &settings) {
    rhumb_open_options open;
    rhumb_open_options_init(&open, sizeof open);
    open.durability = settings.durability;
    open.checkpoint_log_bytes = settings.checkpoint_log_bytes;
    open.compact_dead_share = settings.compact_dead_share;
    rhumb_index_options options;
    rhumb_index_options_init(&options, sizeof options);
    options.dim = static_cast<uint32_t>(settings.dim);
    options.metric = settings.cosine ? RHUMB_METRIC_COSINE : RHUMB_METRIC_L2;
    options.M = settings.M;
    options.ef_construction = settings.ef_construction;
    options.codes = settings.codes;
    options.fused = settings.fused;
    options.open = &open;
    std::remove(path.c_str());
    std::remove((path + "-wal").c_str());
    rhumb_index *index = nullptr;
    check(rhumb_index_create(path.c_str(), &options, &index), "create");
    handle_ = {index, Closer{settings.removed_when_closed ? path : ""}};
}

RhumbIndex RhumbIndex::open_as(const std::string &path, const rhumb_open_options &options) {
    rhumb_index *index = nullptr;
    check(rhumb_index_open(path.c_str(), &options, &index), "open");
    RhumbIndex opened;
    opened.handle_.reset(index);
    return opened;
}

RhumbIndex RhumbIndex::open_read_only(const std::string &path) {
    rhumb_open_options options;
    rhumb_open_options_init(&options, sizeof options);
    options.read_only = true;
    return open_as(path, options);
}

RhumbIndex RhumbIndex::open_unlogged(const std::string &path) {
    rhumb_open_options options;
    rhumb_open_options_init(&options, sizeof options);
    options.durability = RHUMB_DURABILITY_NONE;
    options.compact_dead_share = 1;
    return open_as(path, options);
}

rhumb_index_stats RhumbIndex::stats() const {
    rhumb_index_stats stats = {};
    check(rhumb_index_stats_get(*this, &stats, sizeof stats), "stats");
    return stats;
}

void RhumbIndex::checkpoint() const { check(rhumb_index_checkpoint(*this), "checkpoint"); }

void RhumbIndex::close() { check(rhumb_index_close(handle_.release()), "close"); }

void RhumbIndex::insert(const uint64_t *keys, const float *rows, size_t count) const {
    rhumb_batch_options batch;
    rhumb_batch_options_init(&batch, sizeof batch);
    batch.partial = true;
    check(rhumb_index_insert_batch(*this, keys, rows, count, &batch, nullptr), "insert");
}

void RhumbIndex::insert(const Dataset &data, const std::vector<uint64_t> &rows) const {
    std::vector<float> vectors;
    vectors.reserve(rows.size() * data.dim);
    for (uint64_t row : rows) vectors.insert(vectors.end(), data.train_row(row), data.train_row(row) + data.dim);
    insert(rows.data(), vectors.data(), rows.size());
}

} // namespace bench
