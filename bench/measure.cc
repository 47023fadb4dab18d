// measure.cc - see measure.h. Threads take blocks of queries from a counter, so that a slow one does not hold up the
// others.
#include "bench/measure.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <exception>
#include <mutex>
#include <thread>

namespace bench {

Queries::Queries(const Dataset &dataset, size_t count_limit)
    : count(count_limit == 0 ? dataset.test_count : std::min(count_limit, dataset.test_count)), dataset_(dataset) {
    if (!dataset.cosine) return;
    unit_rows_.resize(count * dataset.dim);
    for (size_t i = 0; i < count; i++) normalise(dataset.test_row(i), dataset.dim, unit_rows_.data() + i * dataset.dim);
}

const float *Queries::rows_for(const Adapter &adapter) const {
    return unit_rows_.empty() || !adapter.wants_unit_queries() ? dataset_.test.data() : unit_rows_.data();
}

double timed_pass(Adapter &adapter, const Dataset &dataset, const Queries &queries, size_t k, uint32_t thread_count,
                  std::vector<int64_t> &ids) {
    const float *rows = queries.rows_for(adapter);
    ids.assign(queries.count * k, -1);
    if (thread_count <= 1) {
        Stopwatch watch;
        adapter.search(rows, queries.count, k, ids.data());
        return watch.seconds();
    }

    constexpr size_t block_count = 64;
    std::atomic<size_t> next_query{0};
    std::atomic<uint32_t> ready_count{0};
    std::atomic<bool> go{false};
    std::mutex mutex; // guards failure
    std::exception_ptr failure;
    auto work = [&] {
        ready_count++;
        while (!go.load(std::memory_order_acquire)) std::this_thread::yield();
        try {
            for (size_t first; (first = next_query.fetch_add(block_count)) < queries.count;)
                adapter.search(rows + first * dataset.dim, std::min(block_count, queries.count - first), k,
                               ids.data() + first * k);
        } catch (...) {
            std::lock_guard<std::mutex> guard(mutex);
            failure = std::current_exception();
        }
    };
    std::vector<std::thread> threads;
    for (uint32_t i = 0; i < thread_count; i++) threads.emplace_back(work);
    while (ready_count < thread_count) std::this_thread::yield();
    Stopwatch watch;
    go.store(true, std::memory_order_release);
    for (std::thread &thread : threads) thread.join();
    double seconds = watch.seconds();
    if (failure) std::rethrow_exception(failure);
    return seconds;
}

double recall(const Dataset &dataset, size_t query_count, size_t k, const std::vector<int64_t> &ids) {
    size_t wanted_count = std::min(k, dataset.truth_count);
    size_t hit_count = 0;
    for (size_t q = 0; q < query_count; q++) {
        const int32_t *truth = dataset.neighbours.data() + q * dataset.truth_count;
        double farthest = dataset.distances[q * dataset.truth_count + wanted_count - 1];
        double limit = farthest + 1e-6 * std::fabs(farthest) + 1e-7;
        const int64_t *row = ids.data() + q * k;
        size_t query_hit_count = 0;
        for (size_t i = 0; i < k; i++) {
            if (row[i] < 0 || static_cast<size_t>(row[i]) >= dataset.train_count) continue;
            if (std::find(row, row + i, row[i]) != row + i) continue;
            bool hit =
                std::find(truth, truth + wanted_count, row[i]) != truth + wanted_count ||
                exact_distance(dataset, dataset.test_row(q), dataset.train_row(static_cast<size_t>(row[i]))) <= limit;
            query_hit_count += hit ? 1 : 0;
        }
        hit_count += std::min(query_hit_count, wanted_count);
    }
    return static_cast<double>(hit_count) / static_cast<double>(query_count * wanted_count);
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    size_t middle = values.size() / 2;
    return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

double quantile(std::vector<double> values, double q) {
    std::sort(values.begin(), values.end());
    if (values.empty()) return 0;
    return values[std::min(values.size() - 1, static_cast<size_t>(q * static_cast<double>(values.size())))];
}

SpeedAtRecall speed_at_recall(std::vector<Point> points, double recall) {
    std::sort(points.begin(), points.end(), [](const Point &a, const Point &b) {
        return a.recall != b.recall ? a.recall < b.recall : a.queries_per_second < b.queries_per_second;
    });
    // Only points that no other beats in both recall and speed.
    std::vector<Point> best;
    for (const Point &point : points) {
        while (!best.empty() && best.back().queries_per_second <= point.queries_per_second) best.pop_back();
        best.push_back(point);
    }
    SpeedAtRecall speed;
    if (best.empty() || best.back().recall < recall) return speed;
    if (best.front().recall > recall) {
        speed.kind = SpeedAtRecall::Kind::at_least;
        speed.queries_per_second = best.front().queries_per_second;
        return speed;
    }
    speed.kind = SpeedAtRecall::Kind::reached;
    size_t above = 0;
    while (best[above].recall < recall) above++;
    if (best[above].recall == recall) {
        speed.queries_per_second = best[above].queries_per_second;
        return speed;
    }
    const Point &low = best[above - 1], &high = best[above];
    double share = (recall - low.recall) / (high.recall - low.recall);
    speed.queries_per_second =
        std::exp(std::log(low.queries_per_second) * (1 - share) + std::log(high.queries_per_second) * share);
    return speed;
}

} // namespace bench
