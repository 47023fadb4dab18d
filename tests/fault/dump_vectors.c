/* dump_vectors.c - see dump_vectors.h. Aborts when there is no memory. */
#include "tests/fault/dump_vectors.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"

static uint64_t bytes_of(rhumb_element element, uint32_t dim) {
    return ((uint64_t)dim * rhumb_element_bits(element) + 7) / 8;
}

float dump_custom_distance(const void *a, const void *b, uint32_t dim, void *element) {
    const uint8_t *left = a;
    const uint8_t *right = b;
    uint32_t count = 0;
    for (uint64_t i = 0; i < bytes_of(*(const rhumb_element *)element, dim); i++) count += left[i] != right[i];
    return (float)count;
}

void dump_vector_init(dump_vector *vector, const rhumb_index_options *options, bool copies) {
    *vector =
        (dump_vector){.metric = options->metric, .element = options->element, .dim = options->dim, .copies = copies};
    vector->components = calloc((size_t)options->dim, sizeof(uint64_t));
    if (vector->components == NULL) abort();
}

void dump_vector_free(dump_vector *vector) { free(vector->components); }

void *dump_vector_argument(dump_vector *vector) {
    if (vector->metric != RHUMB_METRIC_LEVENSHTEIN) return vector->components;
    vector->sequence.elements = vector->components;
    return &vector->sequence;
}

static bool is_of_probabilities(rhumb_metric metric) {
    return metric == RHUMB_METRIC_HELLINGER || metric == RHUMB_METRIC_JEFFREYS || metric == RHUMB_METRIC_JENSEN_SHANNON;
}

/* The largest component. Under metrics that count, components are few whole numbers, so that some agree. Integers of 64
 * bits do not fit into a double. */
static double size_of(const dump_vector *vector) {
    if (vector->metric == RHUMB_METRIC_HAMMING || vector->metric == RHUMB_METRIC_CUSTOM) return 2.5;
    switch (vector->element) {
    case RHUMB_ELEMENT_I8:
    case RHUMB_ELEMENT_U8:
    case RHUMB_ELEMENT_I16:
    case RHUMB_ELEMENT_U16: return 127.0;
    case RHUMB_ELEMENT_I32:
    case RHUMB_ELEMENT_U32: return 2e9;
    case RHUMB_ELEMENT_I64:
    case RHUMB_ELEMENT_U64: return 1e17;
    default: return 1.0;
    }
}

static bool is_signed(const dump_vector *vector) {
    const rhumb_element element = vector->element;
    const bool has_sign = rhumb_element_is_float(element) || element == RHUMB_ELEMENT_I8 ||
                          element == RHUMB_ELEMENT_I16 || element == RHUMB_ELEMENT_I32 || element == RHUMB_ELEMENT_I64;
    return has_sign && vector->metric != RHUMB_METRIC_JACCARD && !is_of_probabilities(vector->metric);
}

/* Stores a component, as whole number unless it is a float. */
static void store(dump_vector *vector, uint32_t k, double value) {
    const size_t bytes = rhumb_element_bits(vector->element) / 8;
    uint8_t *place = (uint8_t *)vector->components + k * bytes;
    if (vector->element == RHUMB_ELEMENT_B1) {
        place = (uint8_t *)vector->components + k / 8;
        *place = (uint8_t)(*place | (uint32_t)(value > 0.2) << k % 8);
    } else if (rhumb_element_is_float(vector->element)) {
        (void)rhumb_element_convert(RHUMB_ELEMENT_F64, &value, vector->element, place, 1);
    } else {
        const int64_t whole = (int64_t)value;
        memcpy(place, &whole, bytes);
    }
}

static uint64_t random_of(uint64_t which, uint32_t k) { return rhumb__mix64(rhumb__mix64(which) + k); }

/* Of the components that are chosen by `which`, the sign of zeros alone depends on `i`. */
static void make_components(dump_vector *vector, uint64_t which, uint64_t i) {
    const bool whole = vector->metric == RHUMB_METRIC_HAMMING || vector->metric == RHUMB_METRIC_CUSTOM;
    const bool of_probabilities = is_of_probabilities(vector->metric);
    double sum = 0.0;
    for (uint32_t k = 0; k < vector->dim; k++) sum += (double)(random_of(which, k) >> 40);
    for (uint32_t k = 0; k < vector->dim; k++) {
        const double random = (double)(random_of(which, k) >> 40);
        double value = random / 16777216.0;
        if (is_signed(vector)) value = 2.0 * value - 1.0;
        value *= size_of(vector);
        if (whole) value = rint(value);
        if (of_probabilities) value = random / sum;
        if (!of_probabilities && (which % 17 == 3 || (which % 5 == 0 && k == 0))) value = 0.0;
        if (value == 0.0 && is_signed(vector)) value = i % 2 == 0 ? 0.0 : -0.0;
        store(vector, k, value);
    }
}

static void make_sequence(dump_vector *vector, uint64_t which) {
    vector->sequence.length = (uint32_t)(rhumb__mix64(which) % (vector->dim + 1));
    for (uint32_t k = 0; k < vector->sequence.length; k++) store(vector, k, (double)(random_of(which, k) % 4 * 60));
}

/* Of copies, two in three are among the first numbers, and each of these is there many times. */
void dump_vector_make(dump_vector *vector, uint64_t i) {
    const uint64_t which = vector->copies && i % 3 != 0 ? rhumb__mix64(i) % 12 : i;
    memset(vector->components, 0, (size_t)vector->dim * sizeof(uint64_t));
    if (vector->metric == RHUMB_METRIC_LEVENSHTEIN) {
        make_sequence(vector, which);
    } else {
        make_components(vector, which, i);
    }
}

void dump_vector_print(const dump_vector *vector) {
    const bool is_sequence = vector->metric == RHUMB_METRIC_LEVENSHTEIN;
    const uint8_t *bytes = vector->components;
    const uint64_t count = bytes_of(vector->element, is_sequence ? vector->sequence.length : vector->dim);
    printf("\"");
    for (uint64_t i = 0; i < count; i++) printf("%02x", bytes[i]);
    printf("\"");
}
