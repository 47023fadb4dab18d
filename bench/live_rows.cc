// live_rows.cc - see live_rows.h.
#include "bench/live_rows.h"

#include <algorithm>
#include <stdexcept>

namespace bench {

std::vector<uint64_t> LiveRows::rows(bool live) const {
    std::vector<uint64_t> rows;
    for (size_t i = 0; i < live_.size(); i++) {
        if (live_[i] == live) rows.push_back(i);
    }
    return rows;
}

std::vector<std::vector<uint64_t>> LiveRows::truth() const {
    std::vector<std::vector<uint64_t>> truth(data_.test_count);
    for (size_t q = 0; q < data_.test_count; q++) {
        for (size_t i = 0; i < data_.truth_count && truth[q].size() < 10; i++) {
            const auto row = static_cast<uint64_t>(data_.neighbours[q * data_.truth_count + i]);
            if (live_[row]) truth[q].push_back(row);
        }
        if (truth[q].size() < 10) throw std::runtime_error("the data set knows too few true neighbours");
    }
    return truth;
}

double recall_at_10(const RhumbIndex &index, const Dataset &data, const std::vector<std::vector<uint64_t>> &truth,
                    uint32_t ef) {
    rhumb_search_options options;
    rhumb_search_options_init(&options, sizeof options);
    options.ef_search = ef;
    std::vector<uint64_t> keys(data.test_count * 10);
    check(
        rhumb_index_search_batch(index, data.test.data(), data.test_count, 10, &options, keys.data(), nullptr, nullptr),
        "search");
    size_t found = 0;
    for (size_t q = 0; q < data.test_count; q++) {
        for (size_t i = 0; i < 10; i++) {
            found += std::count(truth[q].begin(), truth[q].end(), keys[q * 10 + i]) > 0 ? 1 : 0;
        }
    }
    return static_cast<double>(found) / static_cast<double>(data.test_count * 10);
}

} // namespace bench
