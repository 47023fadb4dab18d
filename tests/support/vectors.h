// The pairs of metric and element type that the library measures, and generated vectors that suit each. Shared by the
// tests of kernels and by those of whole indexes.
#ifndef RHUMB_TESTS_SUPPORT_VECTORS_H
#define RHUMB_TESTS_SUPPORT_VECTORS_H

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

extern "C" {
#include "distances/element.h"
#include "distances/metric.h"
#include "distances/space.h"
}

namespace vectors {

using Bytes = std::vector<uint8_t>;

struct Pair {
    rhumb_metric metric;
    rhumb_element element;
};

constexpr rhumb_element F32 = RHUMB_ELEMENT_F32, F64 = RHUMB_ELEMENT_F64, F16 = RHUMB_ELEMENT_F16,
                        BF16 = RHUMB_ELEMENT_BF16, I8 = RHUMB_ELEMENT_I8, U8 = RHUMB_ELEMENT_U8,
                        I16 = RHUMB_ELEMENT_I16, U16 = RHUMB_ELEMENT_U16, I32 = RHUMB_ELEMENT_I32,
                        U32 = RHUMB_ELEMENT_U32, I64 = RHUMB_ELEMENT_I64, U64 = RHUMB_ELEMENT_U64,
                        B1 = RHUMB_ELEMENT_B1;

inline std::vector<rhumb_element> all_elements() {
    std::vector<rhumb_element> all;
    for (int i = 1; rhumb__element_name(static_cast<rhumb_element>(i)) != nullptr; i++) {
        all.push_back(static_cast<rhumb_element>(i));
    }
    return all;
}

// Every pair that the library measures, except those of custom metrics.
inline const std::vector<Pair> &all_pairs() {
    static const std::vector<Pair> pairs = [] {
        std::vector<Pair> all;
        for (int i = 1; rhumb__metric_name(static_cast<rhumb_metric>(i)) != nullptr; i++) {
            const auto metric = static_cast<rhumb_metric>(i);
            for (rhumb_element element : all_elements()) {
                if (metric != RHUMB_METRIC_CUSTOM && rhumb__metric_supports(metric, element))
                    all.push_back({metric, element});
            }
        }
        return all;
    }();
    return pairs;
}

inline std::string name_of(const Pair &pair) {
    return std::string(rhumb__metric_name(pair.metric)) + " " + rhumb__element_name(pair.element);
}

inline bool is_float(rhumb_element element) { return rhumb__element_info(element)->kind == RHUMB__FLOAT; }

inline bool is_signed_integer(rhumb_element element) { return rhumb__element_info(element)->kind == RHUMB__SIGNED; }

inline bool is_of_probabilities(rhumb_metric metric) {
    return rhumb__metric_domain(metric) == RHUMB__DOMAIN_PROBABILITIES;
}

// ---- vectors ----

// A number as the element type holds it: rounded for a float, without its fraction for an integer.
inline void append_number(Bytes *bytes, rhumb_element element, double value) {
    uint8_t component[8];
    if (!is_float(element)) value = std::trunc(value);
    if (rhumb__element_convert(RHUMB_ELEMENT_F64, &value, element, component, 1) != 1) abort();
    bytes->insert(bytes->end(), component, component + rhumb__element_bits(element) / 8);
}

// Component i, exactly: extended precision holds every integer of 64 bits. Written from the formats alone.
inline long double component(rhumb_element element, const Bytes &bytes, size_t i) {
    const auto &info = *rhumb__element_info(element);
    if (info.kind == RHUMB__BIT) return bytes[i / 8] >> i % 8 & 1;
    uint64_t bits = 0;
    memcpy(&bits, bytes.data() + i * (info.bits / 8), info.bits / 8);
    const bool is_negative = info.kind != RHUMB__UNSIGNED && bits >> (info.bits - 1) != 0;
    if (info.kind == RHUMB__FLOAT) {
        int fraction_bits = 0;
        while ((info.exponent_mask >> fraction_bits & 1) == 0) fraction_bits++;
        const int exponent_bits = static_cast<int>(info.bits) - 1 - fraction_bits;
        const uint64_t fraction = bits & ((uint64_t{1} << fraction_bits) - 1);
        const int exponent = static_cast<int>(bits >> fraction_bits & ((uint64_t{1} << exponent_bits) - 1));
        const int bias = (1 << (exponent_bits - 1)) - 1 + fraction_bits;
        const long double size =
            exponent == 0
                ? std::ldexp(static_cast<long double>(fraction), 1 - bias)
                : std::ldexp(static_cast<long double>(fraction + (uint64_t{1} << fraction_bits)), exponent - bias);
        return is_negative ? -size : size;
    }
    const long double modulus = std::ldexp(1.0L, static_cast<int>(info.bits));
    return static_cast<long double>(bits) - (is_negative ? modulus : 0);
}

// A fast generator of sufficient quality; a test draws some hundred million numbers.
struct Random {
    explicit Random(uint64_t seed) : state(seed) {}
    uint64_t operator()() {
        state += 0x9E3779B97F4A7C15u;
        uint64_t x = state;
        x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
        x = (x ^ x >> 27) * 0x94D049BB133111EBu;
        return x ^ x >> 31;
    }
    double uniform() { return static_cast<double>((*this)() >> 11) * 0x1p-53; }
    uint64_t state;
};

inline Bytes random_probabilities(Random &random, rhumb_element element, uint32_t dim) {
    std::vector<double> values(dim);
    double sum = 0;
    for (double &value : values) {
        value = random() % 5 == 0 ? 0.0 : -std::log(1.0 - random.uniform());
        sum += value;
    }
    if (sum == 0) sum = values[0] = 1;
    Bytes bytes;
    for (double value : values) append_number(&bytes, element, value / sum);
    return bytes;
}

// A vector that suits the metric: of a few values where equality matters, sparse where minima do, else of every size.
inline Bytes random_components(Random &random, const Pair &pair, uint32_t dim) {
    Bytes bytes;
    if (pair.element == B1) {
        for (uint32_t i = 0; i < (dim + 7) / 8; i++) bytes.push_back(static_cast<uint8_t>(random() & random()));
        return bytes;
    }
    if (is_of_probabilities(pair.metric)) return random_probabilities(random, pair.element, dim);
    const bool few_values = pair.metric == RHUMB_METRIC_HAMMING || pair.metric == RHUMB_METRIC_LEVENSHTEIN;
    const bool sparse = pair.metric == RHUMB_METRIC_JACCARD;
    const bool small = random() % 2 == 0;
    const uint32_t element_bytes = rhumb__element_bits(pair.element) / 8;
    for (uint32_t i = 0; i < dim; i++) {
        if (sparse && random() % 2 == 0) {
            append_number(&bytes, pair.element, 0.0);
        } else if (few_values) {
            append_number(&bytes, pair.element, static_cast<double>(random() % 3));
        } else if (is_float(pair.element)) {
            double value = random.uniform() + random.uniform() + random.uniform() - (sparse ? 0.0 : 1.5);
            append_number(&bytes, pair.element, value);
        } else if (small) {
            append_number(&bytes, pair.element, static_cast<double>(random() % 100));
        } else {
            uint64_t any = random();
            const auto *from = reinterpret_cast<const uint8_t *>(&any);
            bytes.insert(bytes.end(), from, from + element_bytes);
        }
    }
    return bytes;
}

// What a caller passes: components, or a sequence that points to them.
struct Vector {
    Bytes components;
    rhumb_sequence sequence;
    bool is_sequence;
    const void *data() const { return is_sequence ? static_cast<const void *>(&sequence) : components.data(); }
};

inline Vector vector_of(const Pair &pair, Bytes components) {
    Vector vector = {std::move(components), {}, pair.metric == RHUMB_METRIC_LEVENSHTEIN};
    vector.sequence.length =
        static_cast<uint32_t>(vector.components.size() / std::max(1u, rhumb__element_bits(pair.element) / 8));
    vector.sequence.elements = vector.components.data();
    return vector;
}

// Sequences have any length up to dim.
inline Vector random_vector_of(Random &random, const Pair &pair, uint32_t dim) {
    const uint32_t length = pair.metric == RHUMB_METRIC_LEVENSHTEIN ? static_cast<uint32_t>(random() % (dim + 1)) : dim;
    return vector_of(pair, random_components(random, pair, length));
}

} // namespace vectors

#endif // RHUMB_TESTS_SUPPORT_VECTORS_H
