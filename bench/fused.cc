// What a hop over a fused row (engine/graph/fused_row.h) costs: a node's own distance and the estimates of its 16 or 32
// neighbours, from a few rows in the cache and from rows of 200 MB in random order, without prefetching and with the
// next row prefetched, as a search does that knows its next candidate. Next to it, the same number of neighbours
// measured by their own codes, and what encoding a row and preparing a query cost. Medians of passes that take turns.
// Last, the mean relative error of estimates of squared distances, on clustered vectors.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <new>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include <sys/mman.h>

#include "bench/command_line.h"
#include "bench/measure.h"
#include "bench/record.h"

extern "C" {
#include "engine/graph/fused_row.h"
}

namespace bench {
namespace {

constexpr uint32_t LANES_MAX = 32, CLUSTERS = 40, CLUSTER_SIZE = 36;
constexpr size_t CACHED_COUNT = 8, HOPS = 20000;

struct Options {
    std::vector<size_t> dims = {100, 384, 784};
    size_t megabytes = 200;
    size_t passes = 5;
    bool huge_pages = true;
};

using Memory = std::shared_ptr<char>;

Memory allocate(size_t bytes, bool huge_pages) {
    const size_t unit = size_t(2) << 20, rounded = (bytes + unit - 1) / unit * unit;
    void *memory = aligned_alloc(unit, rounded);
    if (memory == nullptr) throw std::bad_alloc();
    madvise(memory, rounded, huge_pages ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    return Memory(static_cast<char *>(memory), free);
}

// What no computation may be left out for.
volatile float sink;

// Vectors in clusters, as prepared rows: a query, a node, and neighbours that are more or less near.
class Cluster {
  public:
    Cluster(std::mt19937_64 &random, const rhumb__space &space) : rows_(CLUSTER_SIZE) {
        std::normal_distribution<float> normal;
        std::vector<float> centre(space.dim), vector(space.dim);
        for (float &x : centre) x = normal(random);
        for (uint32_t i = 0; i < CLUSTER_SIZE; i++) {
            const float deviation = i == 0 ? 0.6f : i == 1 ? 0.3f : 0.3f + 0.7f * float(random() % 1000) / 1000.0f;
            for (uint32_t k = 0; k < space.dim; k++) vector[k] = centre[k] + deviation * normal(random);
            rows_[i].resize(space.row_bytes);
            if (rhumb__space_prepare(&space, vector.data(), rows_[i].data()) != RHUMB_OK) abort();
        }
    }
    const void *query() const { return rows_[0].data(); }
    const void *node() const { return rows_[1].data(); }
    const void *neighbour(uint32_t i) const { return rows_[2 + i].data(); }

  private:
    std::vector<std::vector<char>> rows_;
};

class Rows {
  public:
    Rows(const Options &options, uint32_t dim, uint32_t bits) : options_(options), bits_(bits) {
        rhumb__space_spec space_spec = {};
        space_spec.metric = RHUMB_METRIC_L2SQ;
        space_spec.element = RHUMB_ELEMENT_F32;
        space_spec.dim = dim;
        rhumb__fused_spec spec = {};
        spec.M0 = LANES_MAX;
        spec.code_bits = 8;
        spec.lane_bits = bits;
        spec.seed = 1;
        if (rhumb__space_init(&space_, &space_spec) != RHUMB_OK ||
            rhumb__fused_layout_init(&layout_, &space_, &spec) != RHUMB_OK)
            throw std::invalid_argument("no such rows");
        std::mt19937_64 random(dim);
        for (uint32_t i = 0; i < CLUSTERS; i++) clusters_.emplace_back(random, space_);
        count_ = (options.megabytes << 20) / layout_.row_bytes;
        scratch_ = allocate(layout_.scratch_bytes, false);
        query_memory_ = allocate(layout_.query_bytes, false);
        code_query_ = allocate(layout_.coder.query_bytes, false);
        layout_.coder.encoders.prepare(&layout_.coder, clusters_[0].query(), code_query_.get());
        rhumb__fused_prepare(&layout_, clusters_[0].query(), query_memory_.get(), &query_);
        code_count_ = (options.megabytes << 20) / layout_.coder.code_stride_bytes;
        codes_ = allocate(code_count_ * layout_.coder.code_stride_bytes, options.huge_pages);
        for (size_t i = 0; i < code_count_; i++) {
            char *code = codes_.get() + i * layout_.coder.code_stride_bytes;
            if (i < CLUSTERS) layout_.coder.encoders.encode(&layout_.coder, clusters_[i].node(), code);
            if (i >= CLUSTERS)
                memcpy(code, code - CLUSTERS * layout_.coder.code_stride_bytes, layout_.coder.code_bytes);
        }
    }

    void print() {
        for (uint32_t lanes : {16u, 32u}) {
            fill(lanes);
            std::vector<std::vector<double>> ns(5);
            for (size_t pass = 0; pass <= options_.passes; pass++) {
                const std::vector<double> of_pass = {hop_ns(CACHED_COUNT, false, pass), hop_ns(count_, false, pass),
                                                     hop_ns(count_, true, pass), codes_ns(CACHED_COUNT, lanes, pass),
                                                     codes_ns(code_count_, lanes, pass)};
                for (size_t i = 0; pass > 0 && i < ns.size(); i++) ns[i].push_back(of_pass[i]);
            }
            printf("%5u %5u %6u %7u %9.1f %9.1f %9.1f %9.1f %9.1f\n", space_.dim, bits_, lanes, read_bytes(lanes),
                   median(ns[0]), median(ns[1]), median(ns[2]), median(ns[3]), median(ns[4]));
            fflush(stdout);
        }
        print_preparation();
        print_errors();
    }

  private:
    uint32_t read_bytes(uint32_t lanes) const {
        return layout_.blocks_offset_bytes + rhumb__fused_block_count(lanes) * layout_.block_stride_bytes;
    }

    void encode(uint32_t cluster, uint32_t lanes, char *row) const {
        uint32_t slots[LANES_MAX];
        const void *neighbours[LANES_MAX];
        for (uint32_t i = 0; i < lanes; i++) {
            slots[i] = i;
            neighbours[i] = clusters_[cluster].neighbour(i);
        }
        rhumb__fused_source source = {};
        source.vector = clusters_[cluster].node();
        source.neighbours = neighbours;
        source.slots = slots;
        source.count = source.list_count = lanes;
        rhumb__fused_encode(&layout_, &source, scratch_.get(), row);
    }

    // Copies of a few rows.
    void fill(uint32_t lanes) {
        if (rows_ == nullptr) rows_ = allocate(count_ * layout_.row_bytes, options_.huge_pages);
        for (size_t i = 0; i < count_; i++) {
            char *row = rows_.get() + i * layout_.row_bytes;
            if (i < CLUSTERS) encode(static_cast<uint32_t>(i), lanes, row);
            if (i >= CLUSTERS) memcpy(row, row - CLUSTERS * layout_.row_bytes, layout_.row_bytes);
        }
        prefetch_bytes_ = read_bytes(lanes);
    }

    // Nanoseconds of a hop to one of `count` rows: own distance and all estimates.
    double hop_ns(size_t count, bool ahead, size_t pass) const {
        std::mt19937_64 random(pass);
        std::vector<const char *> order(HOPS + 1);
        for (const char *&row : order) row = rows_.get() + random() % count * layout_.row_bytes;
        float estimates[LANES_MAX], sum = 0;
        const Stopwatch stopwatch(Stopwatch::Clock::thread);
        for (size_t i = 0; i < HOPS; i++) {
            if (ahead) rhumb__fused_prefetch(order[i + 1], prefetch_bytes_);
            const float own = rhumb__fused_own_distance(&layout_, code_query_.get(), order[i]);
            rhumb__fused_scan(&query_, order[i], own, estimates);
            sum += estimates[0];
        }
        sink = sum;
        return 1e9 * stopwatch.seconds() / HOPS;
    }

    // Nanoseconds of measuring as many neighbours by codes.
    double codes_ns(size_t count, uint32_t lanes, size_t pass) const {
        std::mt19937_64 random(pass);
        std::vector<uint32_t> slots(HOPS * lanes / 4);
        for (uint32_t &slot : slots) slot = static_cast<uint32_t>(random() % count);
        float distances[LANES_MAX], sum = 0;
        const Stopwatch stopwatch(Stopwatch::Clock::thread);
        for (size_t i = 0; i + lanes <= slots.size(); i += lanes) {
            const rhumb__code_slots list = {codes_.get(), slots.data() + i, lanes};
            layout_.coder.kernels.measure_slots(&layout_.coder, code_query_.get(), &list, distances);
            sum += distances[0];
        }
        sink = sum;
        return 1e9 * stopwatch.seconds() / double(slots.size() / lanes);
    }

    void print_preparation() {
        std::vector<char> row(layout_.row_bytes);
        const size_t rounds = 400;
        const Stopwatch encoding(Stopwatch::Clock::thread);
        for (size_t i = 0; i < rounds; i++) encode(static_cast<uint32_t>(i % CLUSTERS), LANES_MAX, row.data());
        const double encode_ns = 1e9 * encoding.seconds() / rounds;
        const Stopwatch preparing(Stopwatch::Clock::thread);
        rhumb__fused_query query;
        for (size_t i = 0; i < rounds; i++) {
            rhumb__fused_prepare(&layout_, clusters_[i % CLUSTERS].query(), query_memory_.get(), &query);
        }
        printf("%5u %5u   row of %u bytes; encoding 32 lanes %.1f us, preparing a query %.0f ns\n", space_.dim, bits_,
               layout_.row_bytes, encode_ns / 1000, 1e9 * preparing.seconds() / rounds);
        rhumb__fused_prepare(&layout_, clusters_[0].query(), query_memory_.get(), &query_);
    }

    void print_errors() {
        double error = 0, bias = 0;
        std::vector<char> row(layout_.row_bytes);
        for (uint32_t i = 0; i < CLUSTERS; i++) {
            encode(i, LANES_MAX, row.data());
            rhumb__fused_query query;
            rhumb__fused_prepare(&layout_, clusters_[i].query(), query_memory_.get(), &query);
            layout_.coder.encoders.prepare(&layout_.coder, clusters_[i].query(), code_query_.get());
            float estimates[LANES_MAX];
            rhumb__fused_scan(&query, row.data(), rhumb__fused_own_distance(&layout_, code_query_.get(), row.data()),
                              estimates);
            for (uint32_t lane = 0; lane < LANES_MAX; lane++) {
                const double exact = space_.distance(&space_, clusters_[i].query(), clusters_[i].neighbour(lane));
                error += std::fabs(estimates[lane] - exact) / exact / (CLUSTERS * LANES_MAX);
                bias += (estimates[lane] - exact) / exact / (CLUSTERS * LANES_MAX);
            }
        }
        printf("%5u %5u   mean relative error %.2f%%, bias %+.2f%%\n", space_.dim, bits_, 100 * error, 100 * bias);
        layout_.coder.encoders.prepare(&layout_.coder, clusters_[0].query(), code_query_.get());
    }

    const Options options_;
    const uint32_t bits_;
    rhumb__space space_;
    rhumb__fused_layout layout_;
    rhumb__fused_query query_;
    std::vector<Cluster> clusters_;
    Memory rows_, codes_, scratch_, query_memory_, code_query_;
    size_t count_, code_count_;
    uint32_t prefetch_bytes_ = 0;
};

} // namespace
} // namespace bench

int main(int argc, char **argv) {
    try {
        bench::Options options;
        for (int i = 1; i + 1 < argc; i += 2) {
            const std::string name = argv[i];
            if (name == "--dims") options.dims = bench::parse_numbers(name, argv[i + 1]);
            if (name == "--megabytes") options.megabytes = bench::parse_number(name, argv[i + 1]);
            if (name == "--passes") options.passes = bench::parse_number(name, argv[i + 1]);
            if (name == "--huge") options.huge_pages = std::string(argv[i + 1]) != "no";
        }
        bench::print_record("what a hop over a fused row costs", "fused", argc, argv);
        printf("                           ns a hop over rows             ns for as many codes\n");
        printf("  dim  bits  lanes   bytes in cache    random prefetched  in cache    random\n");
        for (size_t dim : options.dims) {
            for (uint32_t bits : {1u, 2u}) bench::Rows(options, static_cast<uint32_t>(dim), bits).print();
        }
    } catch (const std::exception &error) {
        fprintf(stderr, "fused: %s\n", error.what());
        return 1;
    }
    return 0;
}
