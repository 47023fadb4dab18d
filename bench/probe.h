// probe.h - the time from opening a saved index to its first answer, and the memory it then holds, measured in a
// fresh process: this program started again with the argument "--probe".
#ifndef RHUMB_BENCH_PROBE_H
#define RHUMB_BENCH_PROBE_H

#include <string>
#include <vector>

#include "bench/adapter.h"
#include "bench/machine.h"

namespace bench {

struct ProbeResult {
    double open_seconds = 0;         // until the library has opened the index
    double first_answer_seconds = 0; // from the same beginning until the first query is answered
    Resident after_open;             // growth since just before opening
    Resident after_first_answer;
    std::vector<int64_t> ids; // the answer
};

// Runs a probe of `library` on the file. `cold` first drops the file from the page cache (except for pages that
// a process has mapped). Throws std::runtime_error.
ProbeResult probe(const std::string &library, const std::string &path, const Dataset &dataset, const float *query,
                  size_t k, size_t ef, bool cold);

// The same several times; medians.
ProbeResult probe_median(const std::string &library, const std::string &path, const Dataset &dataset,
                         const float *query, size_t k, size_t ef, bool cold, size_t count);

// Whether this process was started by probe(). main must check this first.
bool is_probe(int argc, char **argv);

// Does what probe() started this process for. Returns the exit code.
int run_probe(int argc, char **argv, const AdapterFactory &factory);

} // namespace bench

#endif // RHUMB_BENCH_PROBE_H
