// rhumb_index.h - rhumb's public interface as the benchmarks use it: failures are thrown, and an index closes itself.
#ifndef RHUMB_BENCH_RHUMB_INDEX_H
#define RHUMB_BENCH_RHUMB_INDEX_H

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bench/dataset.h"
#include "include/rhumb.h"

namespace bench {

// Throws std::runtime_error with `what` and the library's message, unless the status is RHUMB_OK.
void check(rhumb_status status, const char *what);

// What benchmarks choose of a new index; the rest are the library's defaults.
struct IndexSettings {
    IndexSettings() = default;
    explicit IndexSettings(const Dataset &data) : dim(data.dim), cosine(data.cosine) {}

    size_t dim = 0;
    bool cosine = false; // otherwise euclidean
    uint32_t M = 16;
    uint32_t ef_construction = 200;
    rhumb_durability durability = RHUMB_DURABILITY_NONE;
    uint64_t checkpoint_log_bytes = 0; // 0: the default
    double compact_dead_share = 0;     // 0: the default
    rhumb_codes codes = RHUMB_CODES_DEFAULT;
    rhumb_fused fused = RHUMB_FUSED_DEFAULT;
    bool removed_when_closed = false;
};

// An open index, or none. Destruction closes it and ignores failures; close() reports them.
class RhumbIndex {
  public:
    RhumbIndex() = default;
    // Creates an index; an older one at `path` is removed.
    RhumbIndex(const std::string &path, const IndexSettings &settings);
    static RhumbIndex open_read_only(const std::string &path);
    // Opens for writing, without a log and without compactions in the background.
    static RhumbIndex open_unlogged(const std::string &path);

    operator rhumb_index *() const { return handle_.get(); }
    rhumb_index_stats stats() const;
    void checkpoint() const;
    void close();

    // Inserts rows on all processors, under the keys given or, if these are null, numbers that continue after the
    // largest.
    void insert(const uint64_t *keys, const float *rows, size_t count) const;
    // Inserts rows of a data set under their numbers.
    void insert(const Dataset &data, const std::vector<uint64_t> &rows) const;

    static RhumbIndex open_as(const std::string &path, const rhumb_open_options &options);

  private:
    struct Closer {
        std::string path_to_remove; // "": none
        void operator()(rhumb_index *index) const;
    };
    std::unique_ptr<rhumb_index, Closer> handle_;
};

} // namespace bench

#endif // RHUMB_BENCH_RHUMB_INDEX_H
