// Which metric measures which element types, and generated vectors that suit each. Shared by the tests of kernels and
// by those of whole indexes.
#ifndef RHUMB_TESTS_SUPPORT_VECTORS_H
#define RHUMB_TESTS_SUPPORT_VECTORS_H

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

extern "C" {
#include "distances/element.h"
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

// What rhumb.h promises.
inline const std::vector<Pair> &all_pairs() {
    static const std::vector<Pair> pairs = [] {
        std::vector<Pair> all;
        auto add = [&all](std::vector<rhumb_metric> metrics, std::vector<rhumb_element> elements) {
            for (rhumb_metric metric : metrics) {
                for (rhumb_element element : elements) all.push_back({metric, element});
            }
        };
        add({RHUMB_METRIC_L1, RHUMB_METRIC_L2, RHUMB_METRIC_L2SQ},
            {F32, F64, F16, BF16, I8, U8, I16, U16, I32, U32, I64});
        add({RHUMB_METRIC_IP, RHUMB_METRIC_COSINE}, {F32, F64, F16, BF16, I8, U8, U16, I32, I64});
        add({RHUMB_METRIC_HAMMING}, {U8, U16, U32, U64, I16, I32, F32, F64, B1});
        add({RHUMB_METRIC_JACCARD}, {U8, U16, U32, F32, B1});
        add({RHUMB_METRIC_HELLINGER, RHUMB_METRIC_JEFFREYS, RHUMB_METRIC_JENSEN_SHANNON}, {F32, F64});
        add({RHUMB_METRIC_LEVENSHTEIN}, {U8, U16});
        return all;
    }();
    return pairs;
}

inline std::string name_of(const Pair &pair) {
    return std::string(rhumb__metric_name(pair.metric)) + " " + rhumb__element_name(pair.element);
}

inline bool is_float(rhumb_element element) {
    return element == RHUMB_ELEMENT_F16 || element == RHUMB_ELEMENT_BF16 || element == RHUMB_ELEMENT_F32 ||
           element == RHUMB_ELEMENT_F64;
}

// ---- vectors ----

template <class T> void append(Bytes *bytes, T value) {
    const auto *from = reinterpret_cast<const uint8_t *>(&value);
    bytes->insert(bytes->end(), from, from + sizeof value);
}

// A number rounded to the element type, which for f16 and bf16 loses digits.
inline void append_number(Bytes *bytes, rhumb_element element, double value) {
    float single = static_cast<float>(value);
    uint32_t bits, size_bits;
    memcpy(&bits, &single, sizeof bits);
    switch (element) {
    case F32: append(bytes, single); break;
    case F64: append(bytes, value); break;
    case BF16: append(bytes, static_cast<uint16_t>(bits >> 16)); break;
    case F16: {
        float size = std::fabs(single);
        memcpy(&size_bits, &size, sizeof size_bits);
        uint32_t half =
            size < 0x1p-14f ? static_cast<uint32_t>(std::ldexp(size, 24)) : ((size_bits - (112u << 23)) >> 13);
        append(bytes, static_cast<uint16_t>(half | (std::signbit(single) ? 0x8000u : 0)));
        break;
    }
    case I8: append(bytes, static_cast<int8_t>(value)); break;
    case U8: append(bytes, static_cast<uint8_t>(value)); break;
    case I16: append(bytes, static_cast<int16_t>(value)); break;
    case U16: append(bytes, static_cast<uint16_t>(value)); break;
    case I32: append(bytes, static_cast<int32_t>(value)); break;
    case U32: append(bytes, static_cast<uint32_t>(value)); break;
    case I64: append(bytes, static_cast<int64_t>(value)); break;
    case U64: append(bytes, static_cast<uint64_t>(value)); break;
    case B1: break;
    }
}

// Component i, exactly: extended precision holds every integer of 64 bits.
inline long double component(rhumb_element element, const Bytes &bytes, size_t i) {
    auto as = [&](auto value) {
        memcpy(&value, bytes.data() + i * sizeof value, sizeof value);
        return value;
    };
    switch (element) {
    case F32: return as(0.0f);
    case F64: return as(0.0);
    case BF16: {
        uint32_t bits = static_cast<uint32_t>(as(uint16_t{0})) << 16;
        float value;
        memcpy(&value, &bits, sizeof value);
        return value;
    }
    case F16: {
        uint16_t bits = as(uint16_t{0});
        double size = (bits >> 10 & 31) == 0 ? std::ldexp(bits & 1023, -24)
                                             : std::ldexp((bits & 1023) | 1024, (bits >> 10 & 31) - 25);
        return bits >> 15 ? -size : size;
    }
    case I8: return as(int8_t{0});
    case U8: return as(uint8_t{0});
    case I16: return as(int16_t{0});
    case U16: return as(uint16_t{0});
    case I32: return as(int32_t{0});
    case U32: return as(uint32_t{0});
    case I64: return static_cast<long double>(as(int64_t{0}));
    case U64: return static_cast<long double>(as(uint64_t{0}));
    case B1: return bytes[i / 8] >> i % 8 & 1;
    }
    return 0;
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

// A vector that suits the metric: of a few values where equality counts, sparse where minima do, else of every size.
inline Bytes random_components(Random &random, const Pair &pair, uint32_t dim) {
    Bytes bytes;
    if (pair.element == B1) {
        for (uint32_t i = 0; i < (dim + 7) / 8; i++) bytes.push_back(static_cast<uint8_t>(random() & random()));
        return bytes;
    }
    if (pair.metric == RHUMB_METRIC_HELLINGER || pair.metric == RHUMB_METRIC_JEFFREYS ||
        pair.metric == RHUMB_METRIC_JENSEN_SHANNON)
        return random_probabilities(random, pair.element, dim);
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
