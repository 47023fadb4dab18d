// What the tests of codes share: coders for a set of instructions, codes and queries next to guard pages, and what they
// decode to, in extended precision and by the layout alone.
#ifndef RHUMB_TESTS_SUPPORT_CODES_H
#define RHUMB_TESTS_SUPPORT_CODES_H

#include "tests/support/rows.h"
#include "tests/support/vectors.h"

extern "C" {
#include "distances/code/code.h"
#include "distances/code/coder.h"
}

namespace codes {

using vectors::Bytes;
using vectors::Random;

constexpr uint32_t WIDTHS[] = {8, 4};
constexpr rhumb_element FLOATS[] = {RHUMB_ELEMENT_F32, RHUMB_ELEMENT_F64, RHUMB_ELEMENT_F16, RHUMB_ELEMENT_BF16};

constexpr rhumb_metric METRICS[] = {RHUMB_METRIC_L2, RHUMB_METRIC_L2SQ, RHUMB_METRIC_IP, RHUMB_METRIC_COSINE};

inline rhumb__space space_of(rhumb_metric metric, rhumb_element element, uint32_t dim) {
    rhumb__space space;
    EXPECT_EQ(space_init(&space, metric, element, dim), RHUMB_OK);
    return space;
}

// The sets of instructions whose kernels may be called, plain C first.
inline std::vector<rhumb__code_set> sets_to_test() {
    std::vector<rhumb__code_set> sets;
    for (int i = 0; i < RHUMB__CODE_SET_COUNT; i++) {
        const auto set = static_cast<rhumb__code_set>(i);
        if (kernels_are_emulated() || rhumb__code_set_runs(set)) sets.push_back(set);
    }
    return sets;
}

inline rhumb__coder coder_for(const rhumb__space &space, uint32_t bits, rhumb__code_set set) {
    rhumb__coder coder;
    EXPECT_EQ(rhumb__coder_init(&coder, &space, bits), RHUMB_OK);
    rhumb__coder_use(&coder, set);
    return coder;
}

// A vector of numbers as the element type holds them.
inline Bytes bytes_of(rhumb_element element, const std::vector<double> &numbers) {
    Bytes bytes(numbers.size() * rhumb__element_bits(element) / 8);
    const size_t converted =
        rhumb__element_convert(RHUMB_ELEMENT_F64, numbers.data(), element, bytes.data(), numbers.size());
    EXPECT_EQ(converted, numbers.size());
    return bytes;
}

// Nearly normal, with a deviation of 0.58.
inline double random_number(Random &random) {
    return random.uniform() + random.uniform() + random.uniform() + random.uniform() - 2;
}

// A vector of such numbers times `scale` plus `offset`.
inline Bytes random_numbers(Random &random, rhumb_element element, uint32_t dim, double scale = 1, double offset = 0) {
    std::vector<double> numbers(dim);
    for (double &number : numbers) number = offset + scale * random_number(random);
    return bytes_of(element, numbers);
}

inline GuardedBytes row_of_bytes(const rhumb__space &space, const Bytes &vector) {
    GuardedBytes row(space.row_bytes);
    EXPECT_EQ(rhumb__space_prepare(&space, vector.data(), row.data()), RHUMB_OK);
    return row;
}

inline GuardedBytes code_of(const rhumb__coder &coder, const void *row) {
    GuardedBytes code(coder.code_bytes);
    memset(code.data(), 0xA5, coder.code_bytes);
    coder.encoders.encode(&coder, row, code.data());
    return code;
}

inline GuardedBytes query_of(const rhumb__coder &coder, const void *row) {
    GuardedBytes query(coder.query_bytes);
    memset(query.data(), 0xA5, coder.query_bytes);
    coder.encoders.prepare(&coder, row, query.data());
    return query;
}

// What a code stands for.
inline std::vector<long double> decode(const rhumb__coder &coder, const void *code) {
    const auto *digits = static_cast<const uint8_t *>(code);
    const rhumb__code_constants constants = rhumb__code_read_constants(code, coder.constants_offset_bytes);
    std::vector<long double> vector(coder.dim);
    for (uint32_t i = 0; i < coder.dim; i++) {
        int number;
        if (coder.bits == 8) {
            number = digits[i] - 128;
        } else {
            const uint32_t block = i / 128, left = std::min(coder.dim - block * 128, 128u), half = (left + 1) / 2;
            const uint8_t byte = digits[block * 64 + i % 128 % half];
            number = (i % 128 < half ? byte & 15 : byte >> 4) - 8;
        }
        vector[i] = static_cast<long double>(constants.origin) + static_cast<long double>(constants.step) * number;
    }
    return vector;
}

// What a query stands for.
inline std::vector<long double> decode_query(const rhumb__coder &coder, const void *query) {
    const auto *head = static_cast<const rhumb__code_query *>(query);
    const auto *bytes = static_cast<const int8_t *>(query) + sizeof *head;
    std::vector<long double> vector(coder.dim);
    for (uint32_t i = 0; i < coder.dim; i++) {
        int number;
        if (coder.bits == 8) {
            int16_t weight;
            memcpy(&weight, bytes + 2 * i, sizeof weight);
            const int8_t *parts = bytes + 2 * ((coder.dim + 127) / 128 * 128) + i / 64 * 128 + i % 64;
            EXPECT_EQ(weight, 16 * parts[0] + parts[64]) << "component " << i;
            number = weight;
        } else {
            const uint32_t block = i / 128, left = std::min(coder.dim - block * 128, 128u), half = (left + 1) / 2;
            number = bytes[block * 128 + i % 128 % half + (i % 128 < half ? 0 : 64)];
        }
        vector[i] = static_cast<long double>(head->origin) + static_cast<long double>(head->step) * number;
    }
    return vector;
}

} // namespace codes

#endif // RHUMB_TESTS_SUPPORT_CODES_H
