// measure.h - timing of searches, recall against the truth, and the speed at a given recall.
#ifndef RHUMB_BENCH_MEASURE_H
#define RHUMB_BENCH_MEASURE_H

#include <cstdint>
#include <string>
#include <vector>

#include <time.h>

#include "bench/adapter.h"
#include "bench/dataset.h"

namespace bench {

// Seconds since its construction: wall-clock time, or processor time of the calling thread or of all threads of the
// process, which excludes other load on the machine.
class Stopwatch {
  public:
    enum class Clock { wall, thread, process };
    explicit Stopwatch(Clock clock = Clock::wall)
        : clock_(clock == Clock::wall     ? CLOCK_MONOTONIC
                 : clock == Clock::thread ? CLOCK_THREAD_CPUTIME_ID
                                          : CLOCK_PROCESS_CPUTIME_ID),
          begin_(now()) {}
    double seconds() const { return now() - begin_; }

  private:
    double now() const {
        timespec time = {};
        clock_gettime(clock_, &time);
        return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
    }
    clockid_t clock_;
    double begin_;
};

// The test queries as the libraries get them: unchanged, and scaled to length 1 where the metric is cosine.
struct Queries {
    Queries(const Dataset &dataset, size_t count_limit);
    const float *rows_for(const Adapter &adapter) const;

    size_t count;

  private:
    const Dataset &dataset_;
    std::vector<float> unit_rows_; // empty for euclidean
};

// Searches all queries once on `thread_count` threads, which start together, and returns the seconds from the start to
// the last answer. One thread means the calling one. `ids` has queries.count rows of k.
double timed_pass(Adapter &adapter, const Dataset &dataset, const Queries &queries, size_t k, uint32_t thread_count,
                  std::vector<int64_t> &ids);

// The share of the true k nearest that was found, averaged over the queries. A row that is as near as the k-th true
// neighbour (within rounding) is one of them; a row that is returned twice is counted once.
double recall(const Dataset &dataset, size_t query_count, size_t k, const std::vector<int64_t> &ids);

double median(std::vector<double> values);

// The value that the share q of the sorted ones lies before, and the largest for q = 1; 0 of none.
double quantile(std::vector<double> values, double q);

// One setting of ef: what was found, and how fast.
struct Point {
    size_t ef = 0;
    double recall = 0;
    double queries_per_second = 0; // median of the passes
    std::vector<double> passes;    // each pass's
};

// Queries per second at a recall, from the best curve through the points: log(queries per second) is linear in recall
// between two of them.
struct SpeedAtRecall {
    enum class Kind { reached, at_least, not_reached } kind = Kind::not_reached;
    double queries_per_second = 0; // for at_least: of the first point, whose recall is already higher
};
SpeedAtRecall speed_at_recall(std::vector<Point> points, double recall);

} // namespace bench

#endif // RHUMB_BENCH_MEASURE_H
