// What the tests of distances/lanes/ share: lane spaces for a given tier, vectors that are rotated, blocks and queries
// that end at an inaccessible page, and a reading of blocks by their layout alone.
#ifndef RHUMB_TESTS_SUPPORT_LANES_H
#define RHUMB_TESTS_SUPPORT_LANES_H

#include <array>
#include <optional>

#include "tests/support/rows.h"

extern "C" {
#include "distances/lanes/lanes.h"
}

namespace lanes {

using Vector = std::vector<float>;
using Random = std::mt19937_64;

constexpr uint32_t kLanes = RHUMB__LANES_PER_BLOCK;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

inline rhumb__lane_spec spec_of(rhumb__lane_form form, uint32_t dim, uint32_t bits, uint64_t seed) {
    rhumb__lane_spec spec = {};
    spec.form = form;
    spec.dim = dim;
    spec.bits = bits;
    spec.seed = seed;
    return spec;
}

inline rhumb__lane_space space_of(const rhumb__lane_spec &spec, rhumb__simd tier = best_tier_to_test()) {
    rhumb__lane_space space;
    EXPECT_EQ(rhumb__lane_space_init(&space, &spec), RHUMB_OK);
    space.kernels = rhumb__lane_kernels_for(tier);
    return space;
}

inline Vector rotated(const rhumb__lane_space &space, const Vector &vector) {
    Vector result(space.rotation.padded_dim);
    rhumb__lanes_rotate(&space, vector.data(), result.data());
    return result;
}

// A block of up to 16 rotated neighbours. All its bytes are `before` until it is written.
inline GuardedBytes block_of(const rhumb__lane_space &space, const Vector &node, const std::vector<Vector> &neighbours,
                             uint8_t before = 0xA5) {
    GuardedBytes block(space.block_bytes);
    memset(block.data(), before, space.block_bytes);
    std::vector<const float *> addresses;
    for (const Vector &neighbour : neighbours) addresses.push_back(neighbour.data());
    rhumb__lanes_encode(&space, node.data(), addresses.data(), static_cast<uint32_t>(neighbours.size()), block.data());
    return block;
}

// A prepared query and the memory of its table.
struct Query {
    Query(const rhumb__lane_space &space, const Vector &rotated_query) : table(space.table_bytes) {
        memset(table.data(), 0xA5, space.table_bytes);
        rhumb__lanes_query(&space, rotated_query.data(), static_cast<uint8_t *>(table.data()), &query);
    }
    GuardedBytes table;
    rhumb__lane_query query;
};

struct Scanned {
    std::array<float, kLanes> estimates;
    uint32_t below;
};

inline Scanned scan(const rhumb__lane_query &query, const void *block, float node_distance, float bound = kInfinity,
                    float base_scale = 1) {
    Scanned result;
    GuardedBytes estimates(sizeof result.estimates);
    const rhumb__lane_node node = {node_distance, base_scale, bound};
    result.below = rhumb__lanes_scan(&query, block, &node, estimates.floats());
    memcpy(result.estimates.data(), estimates.data(), sizeof result.estimates);
    return result;
}

// Whether it is what an estimate may be: a finite number or +inf.
inline bool is_estimate(float value) { return value >= -FLT_MAX; }

inline double squared_distance(const Vector &a, const Vector &b) {
    double sum = 0;
    for (size_t i = 0; i < a.size(); i++) sum += (double(a[i]) - double(b[i])) * (double(a[i]) - double(b[i]));
    return sum;
}

inline double dot(const Vector &a, const Vector &b) {
    double sum = 0;
    for (size_t i = 0; i < a.size(); i++) sum += double(a[i]) * double(b[i]);
    return sum;
}

// The distance in the terms of a form; the constant of RHUMB__LANE_DOT is 1.
inline double distance(rhumb__lane_form form, const Vector &a, const Vector &b) {
    return form == RHUMB__LANE_L2SQ ? squared_distance(a, b) : 1 - dot(a, b);
}

// ---- a block, read by the offsets in block.h ----

inline uint32_t read_u16(const void *block, size_t offset) {
    const uint8_t *bytes = static_cast<const uint8_t *>(block) + offset;
    return bytes[0] | uint32_t(bytes[1]) << 8;
}

// The bit of a component in a plane.
inline uint32_t code_bit(const rhumb__lane_space &space, const void *block, uint32_t plane, uint32_t lane,
                         uint32_t component) {
    const uint8_t *bytes = static_cast<const uint8_t *>(block) + 64 + plane * 2 * space.rotation.padded_dim;
    return bytes[component / 8 * 16 + lane] >> component % 8 & 1u;
}

// The code z of a lane.
inline std::vector<double> code_of(const rhumb__lane_space &space, const void *block, uint32_t lane) {
    std::vector<double> z(space.rotation.padded_dim);
    for (uint32_t i = 0; i < z.size(); i++) {
        const uint32_t u = code_bit(space, block, 0, lane, i);
        z[i] = space.bits == 1 ? u - 0.5 : 2.0 * u + code_bit(space, block, 1, lane, i) - 1.5;
    }
    return z;
}

inline double half_value(uint32_t bits) {
    const uint32_t exponent = bits >> 10 & 31u, fraction = bits & 1023u;
    const double sign = bits >> 15 != 0 ? -1 : 1;
    if (exponent == 31) return fraction != 0 ? NAN : sign * double(kInfinity);
    if (exponent == 0) return sign * std::ldexp(fraction, -24);
    return sign * std::ldexp(1024 + fraction, static_cast<int>(exponent) - 25);
}

inline int exponent_field(const void *block, uint32_t first_lane) {
    uint32_t field = 0;
    for (uint32_t i = 0; i < 8; i++) field |= (read_u16(block, 32 + 2 * (first_lane + i)) >> 15) << i;
    return static_cast<int>(field < 254 ? field : 254);
}

inline double base_of(const void *block, uint32_t lane) {
    return half_value(read_u16(block, 2 * lane)) * std::ldexp(1.0, exponent_field(block, 0) - 127);
}

inline double slope_of(const void *block, uint32_t lane) {
    return half_value(read_u16(block, 32 + 2 * lane) & 0x7FFFu) * std::ldexp(1.0, exponent_field(block, 8) - 127);
}

// ---- what tests run over ----

// Every padded dimension that a dimension from 1 to 300 has, with every number of components too few; then larger ones,
// beyond each size at which a kernel does something else.
inline std::vector<uint32_t> dims_to_test() {
    std::vector<uint32_t> dims;
    for (uint32_t dim = 1; dim <= 300; dim += dim < 40 ? 1 : 7) dims.push_back(dim);
    for (uint32_t dim : {384u, 512u, 784u, 800u, 1008u, 1024u, 1040u, 1056u, 2047u, 2064u, 3088u}) dims.push_back(dim);
    return dims;
}

struct FormAndBits {
    rhumb__lane_form form;
    uint32_t bits;
};

inline std::vector<FormAndBits> all_forms_and_bits() {
    return {{RHUMB__LANE_L2SQ, 1}, {RHUMB__LANE_L2SQ, 2}, {RHUMB__LANE_DOT, 1}, {RHUMB__LANE_DOT, 2}};
}

inline std::string form_and_bits_name(const testing::TestParamInfo<FormAndBits> &info) {
    return std::string(info.param.form == RHUMB__LANE_L2SQ ? "l2sq_" : "dot_") + std::to_string(info.param.bits);
}

} // namespace lanes

#endif // RHUMB_TESTS_SUPPORT_LANES_H
