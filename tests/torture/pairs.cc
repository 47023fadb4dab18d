// pairs.cc - see pairs.h. Nothing here is shared with the library: it is the reference.
#include "tests/torture/pairs.h"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstring>

namespace torture {

const std::vector<Pair> &all_pairs() {
    static const std::vector<Pair> pairs = {
        {RHUMB_METRIC_L2, RHUMB_ELEMENT_F32},         {RHUMB_METRIC_L2, RHUMB_ELEMENT_U8},
        {RHUMB_METRIC_L2, RHUMB_ELEMENT_F64},         {RHUMB_METRIC_L2SQ, RHUMB_ELEMENT_F32},
        {RHUMB_METRIC_L2SQ, RHUMB_ELEMENT_F16},       {RHUMB_METRIC_L2SQ, RHUMB_ELEMENT_I8},
        {RHUMB_METRIC_IP, RHUMB_ELEMENT_F32},         {RHUMB_METRIC_IP, RHUMB_ELEMENT_I8},
        {RHUMB_METRIC_IP, RHUMB_ELEMENT_BF16},        {RHUMB_METRIC_COSINE, RHUMB_ELEMENT_F32},
        {RHUMB_METRIC_COSINE, RHUMB_ELEMENT_F16},     {RHUMB_METRIC_COSINE, RHUMB_ELEMENT_U8},
        {RHUMB_METRIC_L1, RHUMB_ELEMENT_F32},         {RHUMB_METRIC_L1, RHUMB_ELEMENT_I16},
        {RHUMB_METRIC_HAMMING, RHUMB_ELEMENT_B1},     {RHUMB_METRIC_HAMMING, RHUMB_ELEMENT_U8},
        {RHUMB_METRIC_HAMMING, RHUMB_ELEMENT_F32},    {RHUMB_METRIC_JACCARD, RHUMB_ELEMENT_B1},
        {RHUMB_METRIC_JACCARD, RHUMB_ELEMENT_F32},    {RHUMB_METRIC_JACCARD, RHUMB_ELEMENT_U8},
        {RHUMB_METRIC_HELLINGER, RHUMB_ELEMENT_F32},  {RHUMB_METRIC_JEFFREYS, RHUMB_ELEMENT_F32},
        {RHUMB_METRIC_JEFFREYS, RHUMB_ELEMENT_F64},   {RHUMB_METRIC_JENSEN_SHANNON, RHUMB_ELEMENT_F32},
        {RHUMB_METRIC_LEVENSHTEIN, RHUMB_ELEMENT_U8}, {RHUMB_METRIC_LEVENSHTEIN, RHUMB_ELEMENT_U16},
        {RHUMB_METRIC_CUSTOM, RHUMB_ELEMENT_F32},
    };
    return pairs;
}

std::string name_of(const Pair &pair) {
    return std::string(rhumb_metric_name(pair.metric)) + "_" + rhumb_element_name(pair.element);
}

const char custom_name[] = "cubes";

float custom_distance(const void *a, const void *b, uint32_t dim, void *context) {
    (void)context;
    double sum = 0;
    for (uint32_t i = 0; i < dim; i++) {
        float x, y;
        memcpy(&x, static_cast<const char *>(a) + i * sizeof x, sizeof x);
        memcpy(&y, static_cast<const char *>(b) + i * sizeof y, sizeof y);
        sum += std::pow(std::fabs(static_cast<double>(x) - y), 3);
    }
    return static_cast<float>(std::min(sum, static_cast<double>(FLT_MAX)));
}

namespace {

double edits(const std::vector<double> &a, const std::vector<double> &b) {
    std::vector<size_t> row(b.size() + 1);
    for (size_t j = 0; j <= b.size(); j++) row[j] = j;
    for (size_t i = 1; i <= a.size(); i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.size(); j++) {
            const size_t above = row[j];
            row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
            diagonal = above;
        }
    }
    return static_cast<double>(row[b.size()]);
}

double power_sum(const std::vector<double> &a, const std::vector<double> &b, int power) {
    double sum = 0;
    for (size_t i = 0; i < a.size(); i++) {
        const double difference = std::fabs(a[i] - b[i]);
        sum += power == 1 ? difference : power == 2 ? difference * difference : difference * difference * difference;
    }
    return sum;
}

struct Products {
    double dot = 0, sizes = 0, a = 0, b = 0;
};

Products products(const std::vector<double> &a, const std::vector<double> &b) {
    Products p;
    for (size_t i = 0; i < a.size(); i++) {
        p.dot += a[i] * b[i];
        p.sizes += std::fabs(a[i] * b[i]);
        p.a += a[i] * a[i];
        p.b += b[i] * b[i];
    }
    return p;
}

double jaccard(const std::vector<double> &a, const std::vector<double> &b) {
    double least = 0, most = 0;
    for (size_t i = 0; i < a.size(); i++) {
        least += std::min(a[i], b[i]);
        most += std::max(a[i], b[i]);
    }
    return most == 0 ? 0 : 1 - least / most;
}

double divergence(rhumb_metric metric, const std::vector<double> &a, const std::vector<double> &b) {
    double sum = 0;
    for (size_t i = 0; i < a.size(); i++) {
        if (metric == RHUMB_METRIC_HELLINGER) {
            sum += std::pow(std::sqrt(a[i]) - std::sqrt(b[i]), 2) / 2;
        } else if (metric == RHUMB_METRIC_JEFFREYS) {
            sum += (a[i] - b[i]) * std::log(std::max(a[i], 1e-30) / std::max(b[i], 1e-30));
        } else {
            const double middle = (a[i] + b[i]) / 2;
            if (a[i] > 0) sum += a[i] * std::log(a[i] / middle) / 2;
            if (b[i] > 0) sum += b[i] * std::log(b[i] / middle) / 2;
        }
    }
    return metric == RHUMB_METRIC_JEFFREYS ? sum : std::sqrt(std::max(sum, 0.0));
}

double differing(const std::vector<double> &a, const std::vector<double> &b) {
    double count = 0;
    for (size_t i = 0; i < a.size(); i++) count += a[i] != b[i];
    return count / static_cast<double>(a.size());
}

// Of the distance before it is rounded. The bound on the error of adding up in f32 is that of Higham, Accuracy and
// Stability of Numerical Algorithms, 4.2.
Measured measure_wide(const Pair &pair, const std::vector<double> &a, const std::vector<double> &b) {
    const double roundoff = (static_cast<double>(a.size()) + 16) * 0x1p-24;
    const auto relative = [&](double value) { return Measured{value, roundoff * value}; };
    switch (pair.metric) {
    case RHUMB_METRIC_L2SQ: return relative(power_sum(a, b, 2));
    case RHUMB_METRIC_L2: return relative(std::sqrt(power_sum(a, b, 2)));
    case RHUMB_METRIC_L1: return relative(power_sum(a, b, 1));
    case RHUMB_METRIC_CUSTOM: return relative(power_sum(a, b, 3));
    case RHUMB_METRIC_LEVENSHTEIN: return {edits(a, b), 0};
    case RHUMB_METRIC_HAMMING: return relative(differing(a, b));
    case RHUMB_METRIC_JACCARD: return {jaccard(a, b), roundoff};
    case RHUMB_METRIC_IP: {
        const Products p = products(a, b);
        return {1 - p.dot, roundoff * (1 + p.sizes)};
    }
    case RHUMB_METRIC_COSINE: {
        const Products p = products(a, b);
        if (p.a == 0 || p.b == 0) return {1, 0};
        const double norms = std::sqrt(p.a) * std::sqrt(p.b);
        return {1 - p.dot / norms, roundoff * (1 + p.sizes / norms)};
    }
    default: break;
    }
    const double value = divergence(pair.metric, a, b);
    return {value, 1e-6 + roundoff * value};
}

} // namespace

Measured measure(const Pair &pair, const std::vector<double> &a, const std::vector<double> &b) {
    const Measured wide = measure_wide(pair, a, b);
    const double most = FLT_MAX;
    const double value = static_cast<float>(std::clamp(wide.value, -most, most));
    return {value, wide.tolerance + static_cast<double>(FLT_TRUE_MIN) * (pair.metric == RHUMB_METRIC_L2SQ ? 1 : 0)};
}

} // namespace torture
