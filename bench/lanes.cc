// What lanes (distances/lanes/) cost in the cache, for each instruction set of this processor: the scan of a block of
// 16 lanes, the encoding of a row of 32, and the two steps that prepare a query, its rotation and its table.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <random>
#include <vector>

#include "bench/record.h"

extern "C" {
#include "distances/lanes/lanes.h"
}

namespace {

constexpr int kRounds = 31;
constexpr uint32_t kBlocks = 8, kRowLanes = 32;

double now_ns() {
    return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Nanoseconds of one call, in the fastest of kRounds rounds of `calls` calls.
template <typename Call> double fastest_ns(int calls, const Call &call) {
    double fastest = 1e300;
    for (int round = 0; round < kRounds; round++) {
        const double begin = now_ns();
        for (int i = 0; i < calls; i++) call(i);
        fastest = std::min(fastest, (now_ns() - begin) / calls);
    }
    return fastest;
}

// What no computation may be left out for.
volatile uint32_t sink;

void measure(uint32_t dim, uint32_t bits, rhumb__simd tier) {
    rhumb__lane_spec spec = {};
    spec.form = RHUMB__LANE_L2SQ;
    spec.dim = dim;
    spec.bits = bits;
    spec.seed = 1;
    rhumb__lane_space space;
    if (rhumb__lane_space_init(&space, &spec) != RHUMB_OK) return;
    space.kernels = rhumb__lane_kernels_for(tier);
    std::mt19937_64 random(1);
    std::normal_distribution<float> normal;
    std::vector<float> vector(dim);
    std::vector<std::vector<float>> rotated(kRowLanes + 2, std::vector<float>(space.rotation.padded_dim));
    for (std::vector<float> &to : rotated) {
        for (float &component : vector) component = normal(random);
        rhumb__lanes_rotate(&space, vector.data(), to.data());
    }
    std::vector<const float *> neighbours;
    for (uint32_t i = 0; i < kRowLanes; i++) neighbours.push_back(rotated[i].data());
    const float *node = rotated[kRowLanes].data(), *rotated_query = rotated[kRowLanes + 1].data();
    std::vector<uint8_t> blocks(kBlocks * space.block_bytes), table(space.table_bytes + 64);
    uint8_t *aligned = table.data() + (64 - reinterpret_cast<uintptr_t>(table.data()) % 64) % 64;
    std::vector<float> to(space.rotation.padded_dim);
    rhumb__lane_query query;
    const rhumb__lane_node as_seen = {1.0f, 1.0f, 2.0f};
    float estimates[RHUMB__LANES_PER_BLOCK];

    const double rotate_ns = fastest_ns(200, [&](int) { rhumb__lanes_rotate(&space, vector.data(), to.data()); });
    const double table_ns = fastest_ns(200, [&](int) { rhumb__lanes_query(&space, rotated_query, aligned, &query); });
    const double block_ns = fastest_ns(16, [&](int i) {
        const uint32_t first = static_cast<uint32_t>(i) % 2 * RHUMB__LANES_PER_BLOCK;
        rhumb__lanes_encode(&space, node, neighbours.data() + first, RHUMB__LANES_PER_BLOCK,
                            blocks.data() + static_cast<uint32_t>(i) % kBlocks * space.block_bytes);
    });
    const double scan_ns = fastest_ns(4000, [&](int i) {
        const uint8_t *block = blocks.data() + static_cast<uint32_t>(i) % kBlocks * space.block_bytes;
        sink = rhumb__lanes_scan(&query, block, &as_seen, estimates);
    });
    printf("%-7s %5u %5u %5u %8.1f %10.2f %9.0f %9.0f\n", rhumb__simd_name(tier), dim, space.rotation.padded_dim, bits,
           scan_ns, 2 * block_ns / 1000, rotate_ns, table_ns);
}

} // namespace

int main(int argc, char **argv) {
    bench::print_record("scans, encoding and queries of lanes, in the cache, one thread", "lanes", argc, argv);
    printf("                          scan     encode    rotate     table\n");
    printf("set       dim     D  bits  ns/block  us/32        ns        ns\n");
    for (int tier = RHUMB__SIMD_SCALAR; tier <= rhumb__cpu_simd(); tier++) {
        for (uint32_t dim : {100u, 128u, 384u, 784u, 800u}) {
            for (uint32_t bits = 1; bits <= 2; bits++) measure(dim, bits, static_cast<rhumb__simd>(tier));
        }
    }
    return 0;
}
