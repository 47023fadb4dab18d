// adapter.h - what the benchmark asks of a library. One file per library implements it.
#ifndef RHUMB_BENCH_ADAPTER_H
#define RHUMB_BENCH_ADAPTER_H

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "bench/dataset.h"

namespace bench {

struct BuildParameters {
    uint32_t M = 16;
    uint32_t ef_construction = 200;
    uint32_t thread_count = 1;
};

// Receives the number of rows inserted, now and then. Any thread may call it, one at a time. May be empty.
using Progress = std::function<void(size_t done, size_t total)>;

// One index of one library. Failures are thrown as std::exception with a message for the user. Rows are identified by
// their number in the training set.
class Adapter {
  public:
    virtual ~Adapter() = default;

    // The library's name and version.
    virtual std::string version() const = 0;

    // Whether queries must be scaled to length 1 when the metric is cosine.
    virtual bool wants_unit_queries() const = 0;

    // Builds the index over all training rows. `path` does not exist; a library that lives in its file may create it
    // now.
    virtual void build(const Dataset &dataset, const BuildParameters &parameters, const std::string &path,
                       const Progress &progress) = 0;

    // Makes the file at build's path complete. Afterwards the object may only be destroyed.
    virtual void save(const std::string &path) = 0;

    // Opens a saved index for searching.
    virtual void load(const std::string &path) = 0;

    // The breadth of the searches that follow. Not called while searches run.
    virtual void set_ef(size_t ef) = 0;

    // Restricts the answers of the searches that follow to rows with a nonzero byte; null: all rows. `matches` has a
    // byte per training row. Returns false where the library has no filters.
    virtual bool set_filter(const uint8_t *matches) {
        (void)matches;
        return false;
    }

    // Searches `count` queries one after another in the calling thread; safe for several threads. `ids` gets count rows
    // of k, padded with -1.
    virtual void search(const float *queries, size_t count, size_t k, int64_t *ids) = 0;
};

std::unique_ptr<Adapter> make_rhumb(size_t dim, bool cosine);

// rhumb with what a name says of codes and compaction (adapter_rhumb.cc); null if there is no such name.
std::unique_ptr<Adapter> make_rhumb_variant(const std::string &name, size_t dim);
std::unique_ptr<Adapter> make_hnswlib(size_t dim, bool cosine);
std::unique_ptr<Adapter> make_faiss(size_t dim, bool cosine);

// Makes the adapter of a library by its name, or returns null where the program has none.
using AdapterFactory = std::function<std::unique_ptr<Adapter>(const std::string &library, size_t dim, bool cosine)>;

} // namespace bench

#endif // RHUMB_BENCH_ADAPTER_H
