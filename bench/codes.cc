// What measuring a code costs, next to measuring the row of f32 that it stands for: a query against lists of 24 random
// slots, as a search measures the neighbours of a node, from a few codes in the cache and from arrays of 200 MB. Also
// what encoding a row and preparing a query cost. Medians of passes that take turns; every set of instructions that the
// processor has.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <new>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench/command_line.h"
#include "bench/measure.h"
#include "bench/record.h"

extern "C" {
#include "base/cpu.h"
#include "distances/code/coder.h"
#include "distances/metric.h"
}

namespace bench {
namespace {

constexpr size_t LIST_COUNT = 24, DISTINCT_COUNT = 500, CACHED_COUNT = 48;

struct Options {
    std::vector<size_t> dims = {100, 384, 784};
    size_t megabytes = 200;
    size_t passes = 7;
    std::string metric = "l2";
};

using Memory = std::shared_ptr<char>;

Memory allocate(size_t bytes) {
    void *memory = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
    if (memory == nullptr) throw std::bad_alloc();
    return Memory(static_cast<char *>(memory), free);
}

// Rows or codes in an array.
struct Items {
    size_t stride_bytes, count;
    Memory memory;
    const char *at(size_t slot) const { return memory.get() + slot * stride_bytes; }
};

// Copies of a few items.
Items make_items(size_t megabytes, size_t stride_bytes, const std::function<void(size_t i, void *item)> &make) {
    Items items = {stride_bytes, (megabytes << 20) / stride_bytes, nullptr};
    items.memory = allocate(items.count * stride_bytes);
    for (size_t i = 0; i < items.count; i++) {
        char *item = items.memory.get() + i * stride_bytes;
        if (i < DISTINCT_COUNT) {
            make(i, item);
        } else {
            memcpy(item, items.at(i % DISTINCT_COUNT), stride_bytes);
        }
    }
    return items;
}

// A way to measure a list of them.
struct Way {
    std::string name;
    const Items *items;
    std::function<void(const uint32_t *slots, float *distances)> measure_list;
    std::vector<double> cached_ns, random_ns; // per item, one of each pass
};

// The nanoseconds that one item takes when all slots are measured, in lists.
double measure_ns(const Way &way, const std::vector<uint32_t> &slots) {
    float distances[LIST_COUNT], sum = 0;
    const Stopwatch stopwatch(Stopwatch::Clock::thread);
    for (size_t i = 0; i + LIST_COUNT <= slots.size(); i += LIST_COUNT) {
        way.measure_list(slots.data() + i, distances);
        sum += distances[0];
    }
    const double seconds = stopwatch.seconds();
    if (sum == 1e-30f) puts(""); /* so that the results are needed */
    return 1e9 * seconds / static_cast<double>(slots.size());
}

void measure_pass(Way *way, size_t pass) {
    std::mt19937 random(static_cast<unsigned>(pass));
    std::vector<uint32_t> slots(LIST_COUNT * 8000);
    for (uint32_t &slot : slots) slot = static_cast<uint32_t>(random() % CACHED_COUNT);
    way->cached_ns.push_back(measure_ns(*way, slots));
    for (uint32_t &slot : slots) slot = static_cast<uint32_t>(random() % way->items->count);
    way->random_ns.push_back(measure_ns(*way, slots));
}

class Kernels {
  public:
    Kernels(const Options &options, uint32_t dim) : options_(options) {
        rhumb__space_spec spec = {};
        spec.metric = rhumb__metric_from_name(options.metric.c_str());
        spec.element = RHUMB_ELEMENT_F32;
        spec.dim = dim;
        if (rhumb__space_init(&space_, &spec) != RHUMB_OK) throw std::invalid_argument("no such space");
        std::mt19937 random(dim);
        std::normal_distribution<float> normal;
        rows_ = allocate(DISTINCT_COUNT * space_.row_stride_bytes);
        std::vector<float> vector(dim);
        for (size_t i = 0; i < DISTINCT_COUNT; i++) {
            for (float &x : vector) x = normal(random);
            if (rhumb__space_prepare(&space_, vector.data(), row(i)) != RHUMB_OK) abort();
        }
        add_rows();
        for (uint32_t bits : {8u, 4u}) add_codes(bits);
    }

    void print() {
        for (size_t pass = 0; pass <= options_.passes; pass++) {
            for (size_t i = 0; i < ways_.size(); i++) measure_pass(&ways_[(i + pass) % ways_.size()], pass);
            for (size_t i = 0; pass == 0 && i < ways_.size(); i++) {
                ways_[i].cached_ns.clear();
                ways_[i].random_ns.clear();
            }
        }
        const Way &best_rows = ways_[static_cast<size_t>(rhumb__cpu_simd_best())];
        const double cached_ns = median(best_rows.cached_ns), random_ns = median(best_rows.random_ns);
        for (const Way &way : ways_) {
            const double cached = median(way.cached_ns), of_many = median(way.random_ns);
            printf("%5u  %-18s %6zu %9.1f %6.2f x %9.1f %6.2f x\n", space_.dim, way.name.c_str(),
                   way.items->stride_bytes, cached, cached_ns / cached, of_many, random_ns / of_many);
        }
        for (const rhumb__coder &coder : coders_) print_encoding(coder);
        fflush(stdout);
    }

  private:
    char *row(size_t i) const { return rows_.get() + i * space_.row_stride_bytes; }

    void add_rows() {
        items_.push_back(make_items(options_.megabytes, space_.row_stride_bytes,
                                    [&](size_t i, void *item) { memcpy(item, row(i), space_.row_bytes); }));
        const Items *items = &items_.back();
        for (int tier = 0; tier <= rhumb__cpu_simd_best(); tier++) {
            const std::string name = rhumb__simd_name(static_cast<rhumb__simd>(tier));
            const auto *kernels = rhumb__kernels_for(static_cast<rhumb__simd>(tier), space_.metric, space_.element);
            const auto measure_list = [this, items, kernels](const uint32_t *slots, float *distances) {
                const void *addresses[LIST_COUNT];
                for (size_t i = 0; i < LIST_COUNT; i++) addresses[i] = items->at(slots[i]);
                kernels->distance_many(&space_, row(0), addresses, LIST_COUNT, distances);
            };
            ways_.push_back({"rows, " + name, items, measure_list, {}, {}});
        }
    }

    void add_codes(uint32_t bits) {
        rhumb__coder coder;
        if (rhumb__coder_init(&coder, &space_, bits) != RHUMB_OK)
            throw std::invalid_argument("no codes for the metric");
        items_.push_back(make_items(options_.megabytes, coder.code_stride_bytes,
                                    [&](size_t i, void *item) { coder.encoders.encode(&coder, row(i), item); }));
        const Items *items = &items_.back();
        const Memory query = allocate(coder.query_bytes);
        coder.encoders.prepare(&coder, row(0), query.get());
        for (int i = 0; i < RHUMB__CODE_SET_COUNT; i++) {
            const auto set = static_cast<rhumb__code_set>(i);
            if (!rhumb__code_set_runs(set)) continue;
            rhumb__coder_use(&coder, set);
            const auto measure_list = [coder, query, items](const uint32_t *slots, float *distances) {
                const rhumb__code_slots list = {items->at(0), slots, LIST_COUNT};
                coder.kernels.measure_slots(&coder, query.get(), &list, distances);
            };
            ways_.push_back(
                {std::to_string(bits) + " bits, " + rhumb__code_set_name(set), items, measure_list, {}, {}});
            coders_.push_back(coder);
        }
    }

    void print_encoding(const rhumb__coder &coder) const {
        const Memory code = allocate(coder.code_bytes), query = allocate(coder.query_bytes);
        const size_t rounds = 4000;
        const Stopwatch encoding(Stopwatch::Clock::thread);
        for (size_t i = 0; i < rounds; i++) coder.encoders.encode(&coder, row(i % CACHED_COUNT), code.get());
        const double encode_ns = 1e9 * encoding.seconds() / rounds;
        const Stopwatch preparing(Stopwatch::Clock::thread);
        for (size_t i = 0; i < rounds; i++) coder.encoders.prepare(&coder, row(i % CACHED_COUNT), query.get());
        printf("%5u  %u bits: encoding a row %.0f ns, preparing a query %.0f ns\n", space_.dim, coder.bits, encode_ns,
               1e9 * preparing.seconds() / rounds);
    }

    const Options options_;
    rhumb__space space_;
    Memory rows_;
    std::deque<Items> items_;
    std::vector<Way> ways_;
    std::vector<rhumb__coder> coders_;
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
            if (name == "--metric") options.metric = argv[i + 1];
        }
        bench::print_record("what measuring a code costs", "codes", argc, argv);
        printf("%5s  %-20s %6s %20s %20s\n", "dim", "", "stride", "ns, in cache", "ns, of many");
        for (size_t dim : options.dims) bench::Kernels(options, static_cast<uint32_t>(dim)).print();
    } catch (const std::exception &error) {
        fprintf(stderr, "codes: %s\n", error.what());
        return 1;
    }
    return 0;
}
