// See small_index.h.
#include "tests/support/small_index.h"
#include "tests/support/chosen_codes.h"

#include <unistd.h>

#include <cstring>
#include <utility>

extern "C" {
#include "base/bits.h"
}

namespace rhumb_test {

std::vector<float> Vectors::vector(uint64_t i) const {
    std::vector<float> components(dim_);
    for (uint32_t k = 0; k < dim_; k++) {
        const uint64_t bits = rhumb__mix64(rhumb__mix64(seed_ + i) + k);
        components[k] = static_cast<float>(static_cast<int32_t>(bits >> 40) - (1 << 23)) / (1 << 20);
    }
    return components;
}

std::vector<float> Vectors::vectors(uint64_t first, uint64_t count) const {
    std::vector<float> all;
    for (uint64_t i = first; i < first + count; i++) {
        const std::vector<float> one = vector(i);
        all.insert(all.end(), one.begin(), one.end());
    }
    return all;
}

uint64_t Vectors::key(uint64_t i) const { return rhumb__mix64(seed_ ^ (i << 1)); }

std::vector<uint64_t> Vectors::keys(uint64_t first, uint64_t count) const {
    std::vector<uint64_t> all;
    for (uint64_t i = first; i < first + count; i++) all.push_back(key(i));
    return all;
}

rhumb_status create_index(const std::string &path, const IndexShape &shape, Index *index, rhumb_durability durability) {
    rhumb_open_options open_options;
    rhumb_open_options_init(&open_options, sizeof open_options);
    open_options.durability = durability;
    rhumb_index_options options;
    rhumb_index_options_init(&options, sizeof options);
    options.dim = shape.dim;
    options.metric = shape.metric;
    options.M = shape.M;
    options.M0 = shape.M0;
    options.ef_construction = shape.ef_construction;
    options.extend_candidates = shape.extend_candidates;
    options.keep_pruned = shape.keep_pruned;
    options.open = &open_options;
    options = with_chosen_codes(options);
    rhumb_index *created = nullptr;
    const rhumb_status status = rhumb_index_create(path.c_str(), &options, &created);
    if (status == RHUMB_OK) *index = Index(created);
    return status;
}

rhumb_status open_index(const std::string &path, bool read_only, Index *index, rhumb_durability durability) {
    rhumb_open_options options;
    rhumb_open_options_init(&options, sizeof options);
    options.read_only = read_only;
    options.durability = durability;
    rhumb_index *opened = nullptr;
    const rhumb_status status = rhumb_index_open(path.c_str(), &options, &opened);
    if (status == RHUMB_OK) *index = Index(opened);
    return status;
}

void remove_index(const std::string &path) {
    unlink(path.c_str());
    unlink((path + "-wal").c_str());
}

rhumb_status insert_range(rhumb_index *index, const Vectors &vectors, uint64_t first, uint64_t count) {
    for (uint64_t i = first; i < first + count; i++) {
        const rhumb_status status = rhumb_index_insert(index, vectors.key(i), vectors.vector(i).data());
        if (status != RHUMB_OK) return status;
    }
    return RHUMB_OK;
}

rhumb_status build_index(const std::string &path, const IndexShape &shape, const Vectors &vectors, uint64_t count,
                         uint32_t checkpoint_count) {
    Index index;
    rhumb_status status = create_index(path, shape, &index, RHUMB_DURABILITY_NONE);
    for (uint32_t i = 0; status == RHUMB_OK && i < checkpoint_count; i++) {
        const uint64_t first = count * i / checkpoint_count;
        status = insert_range(index, vectors, first, count * (i + 1) / checkpoint_count - first);
        if (status == RHUMB_OK) status = rhumb_index_checkpoint(index);
    }
    return status == RHUMB_OK ? index.close() : status;
}

rhumb_status ask(rhumb_index *index, const Vectors &vectors, uint64_t count, bool lenient, Answers *answers) {
    constexpr size_t kNearest = 5;
    const uint64_t query_count = count < 24 ? count : 24;
    rhumb_search_options options;
    rhumb_search_options_init(&options, sizeof options);
    options.thread_count = 1;
    // Queries lie near the vectors of the index, not on them.
    std::vector<float> queries;
    for (uint64_t i = 0; i < query_count; i++) {
        std::vector<float> query = vectors.vector(i * count / query_count);
        query[0] += 0.25f;
        queries.insert(queries.end(), query.begin(), query.end());
    }
    answers->keys.assign(query_count * kNearest, 0);
    answers->distances.assign(query_count * kNearest, 0);
    answers->exact_keys.assign(query_count * kNearest, 0);
    answers->vectors.assign(count * vectors.dim(), 0);
    answers->count = rhumb_index_count(index);
    rhumb_status status = rhumb_index_search_batch(index, queries.data(), query_count, kNearest, &options,
                                                   answers->keys.data(), answers->distances.data(), nullptr);
    if (status != RHUMB_OK) return status;
    status = rhumb_index_search_exact(index, queries.data(), query_count, kNearest, &options,
                                      answers->exact_keys.data(), nullptr, nullptr);
    for (uint64_t i = 0; status == RHUMB_OK && i < count; i++) {
        bool found = false;
        status = rhumb_index_contains(index, vectors.key(i), &found);
        if (status != RHUMB_OK || (!found && lenient)) continue;
        status = rhumb_index_get_vector(index, vectors.key(i), &answers->vectors[i * vectors.dim()]);
    }
    return status;
}

rhumb_status verify_index(rhumb_index *index, rhumb_verify_report *report) {
    memset(report, 0, sizeof *report);
    return rhumb_index_verify(index, report, sizeof *report);
}

} // namespace rhumb_test
