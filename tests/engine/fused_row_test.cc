// Goal: a fused row has the layout that fused_row.h says, estimates the distances of its neighbours in the form of raw
// distances and as precisely as lanes are, and is harmless whatever its bytes and whatever the sizes of vectors.
// Method: rows read by their layout; codes and lanes made separately; exact distances by the space; memory that ends at
// an inaccessible page. Random inputs; the seed is printed and RHUMB_SEED repeats it.
#include <array>
#include <map>

#include "tests/support/codes.h"
#include "tests/support/lanes.h"

extern "C" {
#include "distances/raw.h"
#include "engine/graph/fused_row.h"
}

namespace {

using codes::row_of_bytes;
using lanes::kInfinity;
using lanes::kLanes;
using Numbers = std::vector<double>;
using Random = std::mt19937_64;

constexpr rhumb_metric kMetrics[] = {RHUMB_METRIC_L2, RHUMB_METRIC_L2SQ, RHUMB_METRIC_IP, RHUMB_METRIC_COSINE};

rhumb__space space_of(rhumb_metric metric, rhumb_element element, uint32_t dim) {
    rhumb__space space;
    EXPECT_EQ(space_init(&space, metric, element, dim), RHUMB_OK);
    return space;
}

rhumb__fused_spec spec_of(uint32_t M0, uint32_t lane_bits, uint32_t code_bits = 8, uint64_t seed = 1) {
    rhumb__fused_spec spec = {};
    spec.M0 = M0;
    spec.code_bits = code_bits;
    spec.lane_bits = lane_bits;
    spec.seed = seed;
    return spec;
}

rhumb__fused_layout layout_of(const rhumb__space &space, const rhumb__fused_spec &spec) {
    rhumb__fused_layout layout;
    EXPECT_EQ(rhumb__fused_layout_init(&layout, &space, &spec), RHUMB_OK);
    return layout;
}

Numbers around(Random &random, const Numbers &centre, double deviation) {
    std::normal_distribution<double> normal(0, deviation);
    Numbers numbers = centre;
    for (double &number : numbers) number += normal(random);
    return numbers;
}

// A node, its neighbours and a query, all of one cluster, as prepared rows of a space.
struct Hood {
    Hood(Random &random, const rhumb__space &space, uint32_t count, double scale = 1)
        : query(space.row_bytes), node(space.row_bytes) {
        const Numbers centre = around(random, Numbers(space.dim), scale);
        query = row(space, around(random, centre, 0.6 * scale));
        node = row(space, around(random, centre, 0.3 * scale));
        for (uint32_t i = 0; i < count; i++) {
            const double deviation = 0.3 + 0.7 * double(random() % 1000) / 1000.0;
            neighbours.push_back(row(space, around(random, centre, deviation * scale)));
            slots.push_back(static_cast<uint32_t>(random() % RHUMB__SLOT_LIMIT));
        }
    }
    static std::vector<uint8_t> row(const rhumb__space &space, const Numbers &numbers) {
        std::vector<uint8_t> prepared(space.row_bytes);
        const codes::Bytes bytes = codes::bytes_of(space.element, numbers);
        EXPECT_EQ(rhumb__space_prepare(&space, bytes.data(), prepared.data()), RHUMB_OK);
        return prepared;
    }
    std::vector<const void *> addresses() const {
        std::vector<const void *> all;
        for (const auto &neighbour : neighbours) all.push_back(neighbour.data());
        return all;
    }
    std::vector<uint8_t> query, node;
    std::vector<std::vector<uint8_t>> neighbours;
    std::vector<uint32_t> slots;
};

GuardedBytes encode(const rhumb__fused_layout &layout, const Hood &hood, uint8_t before = 0xA5) {
    const std::vector<const void *> addresses = hood.addresses();
    rhumb__fused_source source = {};
    source.vector = hood.node.data();
    source.neighbours = addresses.data();
    source.slots = hood.slots.data();
    source.count = static_cast<uint32_t>(addresses.size());
    source.list_count = std::min(source.count, layout.list_capacity);
    GuardedBytes scratch(layout.scratch_bytes), row(layout.row_bytes);
    memset(scratch.data(), before, layout.scratch_bytes);
    memset(row.data(), before, layout.row_bytes);
    rhumb__fused_encode(&layout, &source, scratch.data(), row.data());
    return row;
}

struct Query {
    Query(const rhumb__fused_layout &layout, const void *vector) : memory(layout.query_bytes) {
        memset(memory.data(), 0xA5, layout.query_bytes);
        rhumb__fused_prepare(&layout, vector, memory.data(), &query);
    }
    GuardedBytes memory;
    rhumb__fused_query query;
};

uint32_t lane_count_of(const rhumb__fused_layout &layout, const void *row) {
    return rhumb__fused_counts_of(&layout, row).lane_count;
}

// All estimates of a row; those of blocks that are not scanned are NaN.
std::vector<float> scan(const rhumb__fused_layout &layout, const Query &query, const void *row, float distance) {
    const uint32_t room = layout.lane_capacity;
    GuardedBytes estimates(room * sizeof(float));
    std::fill(estimates.floats(), estimates.floats() + room, float(NAN));
    const uint32_t lane_count = rhumb__fused_scan(&query.query, row, distance, estimates.floats());
    EXPECT_EQ(lane_count, lane_count_of(layout, row));
    return {estimates.floats(), estimates.floats() + room};
}

float raw_distance(const rhumb__space &space, const std::vector<uint8_t> &a, const std::vector<uint8_t> &b) {
    return space.distance(&space, a.data(), b.data());
}

Numbers components(const rhumb__space &space, const std::vector<uint8_t> &row) {
    Numbers numbers(space.dim);
    EXPECT_EQ(rhumb__element_convert(space.element, row.data(), RHUMB_ELEMENT_F64, numbers.data(), space.dim),
              space.dim);
    if (space.metric != RHUMB_METRIC_COSINE) return numbers;
    double square = 0;
    for (double number : numbers) square += number * number;
    for (double &number : numbers) number /= std::sqrt(square);
    return numbers;
}

double squared_distance(const Numbers &a, const Numbers &b) {
    double sum = 0;
    for (size_t i = 0; i < a.size(); i++) sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sum;
}

// What a raw distance stands for, as a squared distance apart from what depends on the query and node alone.
long double square_of(const rhumb__space &space, float raw) {
    const long double sum = rhumb__raw_sum(space.raw_form, raw);
    if (space.metric == RHUMB_METRIC_IP) return -2 * sum;
    if (space.metric == RHUMB_METRIC_COSINE) return 2 * sum;
    return space.raw_form == RHUMB__RAW_WIDE_SUM && space.metric == RHUMB_METRIC_L2 ? sum * sum : sum;
}

class FusedRow : public testing::Test {
  protected:
    Random random{choose_seed()};
};

// ---- layout ----

TEST_F(FusedRow, HasTheDocumentedLayout) {
    struct Expected {
        uint32_t dim, M0, lane_bits, code_bits, header, blocks, stride, row;
    };
    for (const Expected &expected : std::vector<Expected>{{784, 32, 1, 8, 808, 832, 1728, 4288},
                                                          {384, 32, 1, 8, 408, 448, 896, 2240},
                                                          {100, 32, 2, 8, 128, 192, 576, 1344},
                                                          {100, 20, 1, 8, 128, 192, 384, 960},
                                                          {96, 16, 1, 4, 72, 128, 320, 448},
                                                          {1, 1, 2, 8, 32, 64, 192, 256}}) {
        const rhumb__space space = space_of(RHUMB_METRIC_L2, RHUMB_ELEMENT_F32, expected.dim);
        const rhumb__fused_layout layout =
            layout_of(space, spec_of(expected.M0, expected.lane_bits, expected.code_bits));
        EXPECT_EQ(layout.header_offset_bytes, expected.header) << expected.dim;
        EXPECT_EQ(layout.blocks_offset_bytes, expected.blocks) << expected.dim;
        EXPECT_EQ(layout.block_stride_bytes, expected.stride) << expected.dim;
        EXPECT_EQ(layout.first_bytes, expected.blocks + expected.stride) << expected.dim;
        EXPECT_EQ(layout.row_bytes, expected.row) << expected.dim;
        EXPECT_EQ(layout.list_capacity, expected.M0);
        EXPECT_EQ(layout.lane_capacity, (expected.M0 + 15) / 16 * 16);
        EXPECT_EQ(rhumb__stride_of(layout.row_bytes), layout.row_bytes) << "a section keeps rows at multiples of 64";
    }
}

TEST_F(FusedRow, PartsBeginWithCacheLinesForEveryDimension) {
    for (uint32_t dim = 1; dim < 700; dim++) {
        const rhumb__space space = space_of(RHUMB_METRIC_IP, RHUMB_ELEMENT_F32, dim);
        for (uint32_t lane_bits : {1u, 2u}) {
            const rhumb__fused_layout layout = layout_of(space, spec_of(32, lane_bits));
            ASSERT_EQ(layout.blocks_offset_bytes % 64, 0u) << dim;
            ASSERT_EQ(layout.block_stride_bytes % 64, 0u) << dim;
            ASSERT_GE(layout.header_offset_bytes, layout.coder.code_bytes) << dim;
            ASSERT_GE(layout.blocks_offset_bytes, layout.header_offset_bytes + 8) << dim;
            ASSERT_LT(layout.blocks_offset_bytes, layout.coder.code_bytes + 8 + 64) << dim;
            ASSERT_EQ(layout.block_stride_bytes, 64 + layout.lanes.block_bytes) << "a block fills its lines; " << dim;
            ASSERT_EQ(layout.row_bytes, layout.blocks_offset_bytes + 2 * layout.block_stride_bytes) << dim;
        }
    }
}

TEST_F(FusedRow, KeepsCodeSlotsAndLanes) {
    for (uint32_t lane_bits : {1u, 2u}) {
        const rhumb__space space = space_of(RHUMB_METRIC_L2, RHUMB_ELEMENT_F32, 100);
        const rhumb__fused_layout layout = layout_of(space, spec_of(40, lane_bits));
        for (uint32_t count : {0u, 1u, 15u, 16u, 17u, 32u, 33u, 40u, 48u}) { // above 40, fillers
            const Hood hood(random, space, count);
            const GuardedBytes row = encode(layout, hood);
            const char *bytes = static_cast<const char *>(row.data());
            const GuardedBytes code = codes::code_of(layout.coder, hood.node.data());
            EXPECT_EQ(memcmp(bytes, code.data(), layout.coder.code_bytes), 0);
            EXPECT_EQ(lane_count_of(layout, bytes), count);
            EXPECT_EQ(bytes[layout.header_offset_bytes], static_cast<char>(count));
            EXPECT_EQ(bytes[layout.header_offset_bytes + 2], static_cast<char>(std::min(count, 40u)));
            EXPECT_EQ(rhumb__fused_counts_of(&layout, bytes).list_count, std::min(count, 40u));
            std::vector<float> node(layout.rotated_count);
            rhumb__fused_rotate(&layout, hood.node.data(), node.data());
            for (uint32_t block = 0; block < layout.block_capacity; block++) {
                std::vector<lanes::Vector> neighbours;
                for (uint32_t i = block * kLanes; i < std::min(count, (block + 1) * kLanes); i++) {
                    neighbours.emplace_back(layout.rotated_count);
                    rhumb__fused_rotate(&layout, hood.neighbours[i].data(), neighbours.back().data());
                }
                const GuardedBytes expected = lanes::block_of(layout.lanes, node, neighbours, 0xA5);
                const char *at = bytes + layout.blocks_offset_bytes + block * layout.block_stride_bytes;
                EXPECT_EQ(memcmp(at + 64, expected.data(), layout.lanes.block_bytes), 0) << "block " << block;
                const uint32_t *slots = rhumb__fused_slots(&layout, bytes, block);
                EXPECT_EQ(static_cast<const void *>(slots), at);
                for (uint32_t lane = 0; lane < kLanes; lane++) {
                    const uint32_t i = block * kLanes + lane;
                    ASSERT_EQ(slots[lane], i < count ? hood.slots[i] : RHUMB__SLOT_NONE) << "lane " << i;
                }
            }
        }
    }
}

TEST_F(FusedRow, WritesEveryByte) {
    for (rhumb_element element : codes::FLOATS) {
        for (uint32_t dim : {1u, 30u, 100u}) {
            const rhumb__space space = space_of(RHUMB_METRIC_COSINE, element, dim);
            const rhumb__fused_layout layout = layout_of(space, spec_of(36, 1));
            const Hood hood(random, space, 19);
            const GuardedBytes one = encode(layout, hood, 0xA5), other = encode(layout, hood, 0x5A);
            EXPECT_EQ(memcmp(one.data(), other.data(), layout.row_bytes), 0) << dim;
        }
    }
}

TEST_F(FusedRow, TakesVectorsThatAreRotatedAlready) {
    const rhumb__space space = space_of(RHUMB_METRIC_IP, RHUMB_ELEMENT_F16, 70);
    const rhumb__fused_layout layout = layout_of(space, spec_of(32, 2));
    const Hood hood(random, space, 21);
    const GuardedBytes expected = encode(layout, hood);
    std::vector<float> node(layout.rotated_count);
    rhumb__fused_rotate(&layout, hood.node.data(), node.data());
    std::vector<lanes::Vector> rotated(hood.neighbours.size(), lanes::Vector(layout.rotated_count));
    std::vector<const float *> addresses;
    for (size_t i = 0; i < rotated.size(); i++) {
        rhumb__fused_rotate(&layout, hood.neighbours[i].data(), rotated[i].data());
        addresses.push_back(rotated[i].data());
    }
    rhumb__fused_source source = {};
    source.vector = hood.node.data();
    source.slots = hood.slots.data();
    source.count = source.list_count = 21;
    source.rotated = node.data();
    source.rotated_neighbours = addresses.data();
    GuardedBytes row(layout.row_bytes);
    rhumb__fused_encode(&layout, &source, nullptr, row.data());
    EXPECT_EQ(memcmp(row.data(), expected.data(), layout.row_bytes), 0);
}

TEST_F(FusedRow, RefusesWhatHasNoRows) {
    rhumb__fused_layout layout;
    const rhumb__space space = space_of(RHUMB_METRIC_L2, RHUMB_ELEMENT_F32, 10);
    for (const rhumb__fused_spec &spec :
         {spec_of(0, 1), spec_of(RHUMB__M0_MAX + 1, 1), spec_of(32, 0), spec_of(32, 3), spec_of(32, 1, 5)}) {
        EXPECT_EQ(rhumb__fused_layout_init(&layout, &space, &spec), RHUMB_E_INVALID);
    }
    const rhumb__fused_spec spec = spec_of(32, 1);
    for (const vectors::Pair &pair : vectors::all_pairs()) {
        const bool is_metric = std::find(std::begin(kMetrics), std::end(kMetrics), pair.metric) != std::end(kMetrics);
        const rhumb__space of_pair = space_of(pair.metric, pair.element, 8);
        EXPECT_EQ(rhumb__fused_layout_init(&layout, &of_pair, &spec),
                  is_metric && vectors::is_float(pair.element) ? RHUMB_OK : RHUMB_E_UNSUPPORTED)
            << vectors::name_of(pair);
    }
    const rhumb__fused_spec largest = spec_of(RHUMB__M0_MAX, 2);
    const rhumb__space of_largest = space_of(RHUMB_METRIC_L2, RHUMB_ELEMENT_F32, RHUMB_DIM_MAX);
    EXPECT_EQ(rhumb__fused_layout_init(&layout, &of_largest, &largest), RHUMB_OK);
    EXPECT_EQ(layout.row_bytes, 65600 + 32 * (64 + 64 + 2 * 131072u));
}

// ---- estimates ----

// Of all metrics and types, with one bit and two: mean errors are those of lanes (lane_estimates_test.cc), relative to
// squared distances.
TEST_F(FusedRow, EstimatesRawDistancesOfEveryKind) {
    const uint32_t dim = 192;
    for (rhumb_metric metric : kMetrics) {
        for (rhumb_element element : codes::FLOATS) {
            const rhumb__space space = space_of(metric, element, dim);
            for (uint32_t lane_bits : {1u, 2u}) {
                double error = 0, bias = 0;
                const uint32_t hoods = 12, count = 27;
                for (uint32_t i = 0; i < hoods; i++) {
                    const rhumb__fused_layout layout = layout_of(space, spec_of(32, lane_bits, 8, random()));
                    const Hood hood(random, space, count);
                    const GuardedBytes row = encode(layout, hood);
                    const Query query(layout, hood.query.data());
                    const std::vector<float> estimates =
                        scan(layout, query, row.data(), raw_distance(space, hood.query, hood.node));
                    const Numbers q = components(space, hood.query);
                    for (uint32_t lane = 0; lane < count; lane++) {
                        const float exact = raw_distance(space, hood.query, hood.neighbours[lane]);
                        const double square = squared_distance(q, components(space, hood.neighbours[lane]));
                        const auto difference =
                            static_cast<double>(square_of(space, estimates[lane]) - square_of(space, exact));
                        error += std::fabs(difference) / square / (hoods * count);
                        bias += difference / square / (hoods * count);
                    }
                }
                const std::string what = vectors::name_of({metric, element}) + " bits " + std::to_string(lane_bits);
                const double expected = (lane_bits == 1 ? 0.71 : 0.345) / std::sqrt(dim);
                EXPECT_GT(error, 0.7 * expected) << what;
                EXPECT_LT(error, 1.4 * expected) << what;
                EXPECT_LT(std::fabs(bias), 0.6 * error) << what;
            }
        }
    }
}

// The length of a query changes no order by inner product, so it must not change how precise estimates are.
TEST_F(FusedRow, EstimatesInnerProductsOfQueriesOfAnyLength) {
    for (uint32_t lane_bits : {1u, 2u}) {
        const rhumb__space space = space_of(RHUMB_METRIC_IP, RHUMB_ELEMENT_F32, 64);
        const rhumb__fused_layout layout = layout_of(space, spec_of(32, lane_bits));
        std::map<double, double> errors; // by length
        for (int round = 0; round < 200; round++) {
            Hood hood(random, space, 32);
            const GuardedBytes row = encode(layout, hood);
            const Numbers direction = around(random, Numbers(space.dim), 1);
            for (double length : {1.0 / 1024, 1.0, 1024.0}) {
                Numbers numbers = direction;
                for (double &number : numbers) number *= length;
                hood.query = Hood::row(space, numbers);
                const Query query(layout, hood.query.data());
                const float to_node = raw_distance(space, hood.query, hood.node);
                const std::vector<float> estimates = scan(layout, query, row.data(), to_node);
                for (uint32_t i = 0; i < 32; i++) {
                    const double exact = raw_distance(space, hood.query, hood.neighbours[i]);
                    errors[length] += std::pow((double(estimates[i]) - exact) / length, 2);
                }
            }
        }
        EXPECT_NEAR(errors[1.0 / 1024] / errors[1.0], 1.0, 0.05) << lane_bits << " bits";
        EXPECT_NEAR(errors[1024.0] / errors[1.0], 1.0, 0.05) << lane_bits << " bits";
    }
}

TEST_F(FusedRow, EmptyLanesAreInfinitelyFar) {
    for (rhumb_metric metric : kMetrics) {
        for (rhumb_element element : codes::FLOATS) {
            const rhumb__space space = space_of(metric, element, 50);
            const rhumb__fused_layout layout = layout_of(space, spec_of(48, 1));
            for (uint32_t count : {0u, 3u, 16u, 31u}) {
                const Hood hood(random, space, count);
                const GuardedBytes row = encode(layout, hood);
                const Query query(layout, hood.query.data());
                const std::vector<float> estimates =
                    scan(layout, query, row.data(), raw_distance(space, hood.query, hood.node));
                for (uint32_t lane = 0; lane < estimates.size(); lane++) {
                    if (lane < count) {
                        ASSERT_LT(estimates[lane], kInfinity);
                    } else if (lane < rhumb__fused_block_count(count) * kLanes) {
                        ASSERT_EQ(estimates[lane], kInfinity);
                    } else {
                        ASSERT_TRUE(std::isnan(estimates[lane])) << "blocks without lanes are left alone";
                    }
                }
            }
        }
    }
}

TEST_F(FusedRow, MasksTheLanesBelowTheBound) {
    for (rhumb_metric metric : kMetrics) {
        for (rhumb_element element : {RHUMB_ELEMENT_F32, RHUMB_ELEMENT_F64}) {
            const rhumb__space space = space_of(metric, element, 40);
            const rhumb__fused_layout layout = layout_of(space, spec_of(32, 1));
            const Hood hood(random, space, 30);
            const GuardedBytes row = encode(layout, hood);
            const Query query(layout, hood.query.data());
            const float distance = raw_distance(space, hood.query, hood.node);
            const std::vector<float> all = scan(layout, query, row.data(), distance);
            for (float bound : {all[0], all[17], all[31], -kInfinity, float(NAN)}) {
                for (uint32_t block = 0; block < 2; block++) {
                    const rhumb__fused_node node = {row.data(), distance, bound};
                    std::array<float, kLanes> estimates;
                    const uint32_t below = rhumb__fused_scan_block(&query.query, &node, block, estimates.data());
                    for (uint32_t lane = 0; lane < kLanes; lane++) {
                        ASSERT_EQ(bits_of(estimates[lane]), bits_of(all[block * kLanes + lane]));
                        ASSERT_EQ(below >> lane & 1u, estimates[lane] < bound ? 1u : 0u);
                    }
                }
            }
        }
    }
}

TEST_F(FusedRow, MeasuresItsNodeByItsOwnCode) {
    for (rhumb_metric metric : kMetrics) {
        const rhumb__space space = space_of(metric, RHUMB_ELEMENT_F32, 90);
        const rhumb__fused_layout layout = layout_of(space, spec_of(32, 1));
        const Hood hood(random, space, 5);
        const GuardedBytes row = encode(layout, hood), code = codes::code_of(layout.coder, hood.node.data());
        const GuardedBytes query = codes::query_of(layout.coder, hood.query.data());
        const float expected = layout.coder.kernels.measure(&layout.coder, query.data(), code.data());
        EXPECT_EQ(rhumb__fused_own_distance(&layout, query.data(), row.data()), expected);
    }
}

// The bits are those of plain C.
TEST_F(FusedRow, IsTheSameForAllInstructionSets) {
    for (uint32_t lane_bits : {1u, 2u}) {
        for (rhumb_metric metric : kMetrics) {
            const rhumb__space space = space_of(metric, RHUMB_ELEMENT_F32, 133);
            const Hood hood(random, space, 23);
            const float distance = raw_distance(space, hood.query, hood.node);
            rhumb__fused_layout layout = layout_of(space, spec_of(32, lane_bits));
            const GuardedBytes expected_row = encode(layout, hood);
            const std::vector<float> expected =
                scan(layout, Query(layout, hood.query.data()), expected_row.data(), distance);
            for (int tier = RHUMB__SIMD_SCALAR; tier <= rhumb__cpu_simd_best(); tier++) {
                layout.lanes.kernels = rhumb__lane_kernels_for(static_cast<rhumb__simd>(tier));
                const GuardedBytes row = encode(layout, hood);
                ASSERT_EQ(memcmp(row.data(), expected_row.data(), layout.row_bytes), 0) << "tier " << tier;
                const std::vector<float> found = scan(layout, Query(layout, hood.query.data()), row.data(), distance);
                for (size_t i = 0; i < found.size(); i++) ASSERT_EQ(bits_of(found[i]), bits_of(expected[i]));
            }
        }
    }
}

// ---- what is not ordinary ----

bool is_raw_estimate(const rhumb__fused_layout &layout, float estimate) {
    const bool is_dot = layout.terms == RHUMB__FUSED_DOT || layout.terms == RHUMB__FUSED_WIDE_DOT;
    return is_dot ? estimate >= -FLT_MAX : estimate >= 0.0f; // neither for NaN
}

// The second block of a row with up to 16 neighbours lies on pages that cannot be read.
TEST_F(FusedRow, DoesNotReadBlocksWithoutLanes) {
    for (uint32_t lane_bits : {1u, 2u}) {
        const rhumb__space space = space_of(RHUMB_METRIC_L2, RHUMB_ELEMENT_F32, 300);
        const rhumb__fused_layout layout = layout_of(space, spec_of(64, lane_bits));
        for (uint32_t count : {0u, 16u, 32u}) {
            const Hood hood(random, space, count);
            const GuardedBytes row = encode(layout, hood);
            const size_t read_bytes = layout.blocks_offset_bytes + count / kLanes * layout.block_stride_bytes;
            const GuardedBytes beginning(read_bytes);
            memcpy(beginning.data(), row.data(), read_bytes);
            const float distance = raw_distance(space, hood.query, hood.node);
            const Query query(layout, hood.query.data());
            const std::vector<float> found = scan(layout, query, beginning.data(), distance),
                                     expected = scan(layout, query, row.data(), distance);
            for (size_t i = 0; i < found.size(); i++) ASSERT_EQ(bits_of(found[i]), bits_of(expected[i]));
        }
    }
}

TEST_F(FusedRow, RowsOfZerosHaveNoLanes) {
    const rhumb__space space = space_of(RHUMB_METRIC_L2, RHUMB_ELEMENT_F32, 300);
    const rhumb__fused_layout layout = layout_of(space, spec_of(32, 1));
    const Hood hood(random, space, 0);
    GuardedBytes row(layout.row_bytes);
    const Query query(layout, hood.query.data());
    EXPECT_EQ(rhumb__fused_scan(&query.query, row.data(), 1.0f, nullptr), 0u);
}

TEST_F(FusedRow, ReadsNothingElseAndEstimatesWhateverItsBytes) {
    for (rhumb_metric metric : kMetrics) {
        for (rhumb_element element : {RHUMB_ELEMENT_F32, RHUMB_ELEMENT_F64}) {
            const rhumb__space space = space_of(metric, element, 45);
            for (uint32_t lane_bits : {1u, 2u}) {
                const rhumb__fused_layout layout = layout_of(space, spec_of(40, lane_bits));
                const Hood hood(random, space, 0);
                const Query query(layout, hood.query.data());
                const GuardedBytes code_query = codes::query_of(layout.coder, hood.query.data());
                GuardedBytes row(layout.row_bytes);
                uint8_t *bytes = static_cast<uint8_t *>(row.data());
                for (int round = 0; round < 200; round++) {
                    const uint64_t same = round % 4 == 0 ? random() | 1 : 0; // the same byte everywhere, or any
                    for (uint32_t i = 0; i < layout.row_bytes; i++) {
                        bytes[i] = static_cast<uint8_t>(same != 0 ? same : random());
                    }
                    const rhumb__fused_counts counts = rhumb__fused_counts_of(&layout, bytes);
                    ASSERT_LE(counts.lane_count, 48u);
                    ASSERT_LE(counts.list_count, std::min(counts.lane_count, 40u));
                    const float own = rhumb__fused_own_distance(&layout, code_query.data(), bytes);
                    ASSERT_FALSE(std::isnan(own));
                    for (float distance : {own, 0.0f, 1.0f, FLT_MAX, -FLT_MAX, 1e-40f}) {
                        const std::vector<float> estimates = scan(layout, query, bytes, distance);
                        const uint32_t blocks = rhumb__fused_block_count(lane_count_of(layout, bytes));
                        for (uint32_t i = 0; i < blocks * kLanes; i++) {
                            ASSERT_TRUE(is_raw_estimate(layout, estimates[i])) << estimates[i];
                        }
                    }
                }
            }
        }
    }
}

// Vectors of any size have estimates that are right, or none. Where lanes have lost what they were made of, an estimate
// would be the distance of the node itself.
TEST_F(FusedRow, EstimatesRightlyOrNotAtAll) {
    std::map<bool, int> counts;
    for (rhumb_metric metric : kMetrics) {
        for (rhumb_element element : {RHUMB_ELEMENT_F32, RHUMB_ELEMENT_F64}) {
            const int exponent_max = element == RHUMB_ELEMENT_F32 ? 120 : 1010;
            for (int exponent = -exponent_max; exponent <= exponent_max; exponent += 10) {
                const rhumb__space space = space_of(metric, element, 64);
                const rhumb__fused_layout layout = layout_of(space, spec_of(32, 2));
                const Hood hood(random, space, 20, std::ldexp(1.0, exponent));
                const GuardedBytes row = encode(layout, hood);
                const Query query(layout, hood.query.data());
                const float distance = raw_distance(space, hood.query, hood.node);
                const std::vector<float> estimates = scan(layout, query, row.data(), distance);
                const std::string what = vectors::name_of({metric, element}) + " 2^" + std::to_string(exponent);
                const bool is_ordinary =
                    metric == RHUMB_METRIC_COSINE ? std::abs(exponent) <= 100 : exponent >= -40 && exponent <= 40;
                for (uint32_t lane = 0; lane < 20; lane++) {
                    ASSERT_TRUE(is_raw_estimate(layout, estimates[lane])) << what;
                    counts[estimates[lane] != kInfinity]++;
                    ASSERT_TRUE(!is_ordinary || estimates[lane] != kInfinity) << what;
                    if (estimates[lane] == kInfinity) continue;
                    const float exact = raw_distance(space, hood.query, hood.neighbours[lane]);
                    const long double unit = metric == RHUMB_METRIC_COSINE ? 1 : std::ldexp(64.0L, 2 * exponent);
                    const long double error = (square_of(space, estimates[lane]) - square_of(space, exact)) / unit;
                    ASSERT_LT(std::fabs(error), 0.5L) << what;
                }
            }
        }
    }
    EXPECT_GT(counts[true], 1000);
    EXPECT_GT(counts[false], 1000);
}

TEST_F(FusedRow, ZeroVectorsHaveDistances) {
    for (rhumb_metric metric : kMetrics) {
        for (rhumb_element element : codes::FLOATS) {
            const rhumb__space space = space_of(metric, element, 33);
            const rhumb__fused_layout layout = layout_of(space, spec_of(32, 1));
            Hood hood(random, space, 8);
            hood.neighbours[3] = hood.node = Hood::row(space, Numbers(33));
            hood.neighbours[5] = hood.query;
            const GuardedBytes row = encode(layout, hood);
            const float distance = raw_distance(space, hood.query, hood.node);
            const std::vector<float> estimates = scan(layout, Query(layout, hood.query.data()), row.data(), distance);
            EXPECT_EQ(estimates[3], distance) << "a neighbour that equals the node";
            for (uint32_t lane = 0; lane < 8; lane++) EXPECT_LT(estimates[lane], kInfinity);
            const Query zero(layout, hood.node.data());
            const std::vector<float> from_zero =
                scan(layout, zero, row.data(), raw_distance(space, hood.node, hood.node));
            for (uint32_t lane = 0; lane < 8; lane++) EXPECT_LT(from_zero[lane], kInfinity);
        }
    }
}

} // namespace
