/* names.c - metrics and element types as words, both ways.
 *
 * The first word of a number is the one that is printed; further ones are read only. Immutable; fails by returning NULL
 * or 0.
 */
#include <stddef.h>
#include <string.h>

#include "distances/space.h"

struct word {
    int number;
    const char *text;
};

static const struct word METRICS[] = {
    {RHUMB_METRIC_L2SQ, "l2sq"},
    {RHUMB_METRIC_L2, "l2"},
    {RHUMB_METRIC_IP, "ip"},
    {RHUMB_METRIC_COSINE, "cosine"},
    {RHUMB_METRIC_L1, "l1"},
    {RHUMB_METRIC_HAMMING, "hamming"},
    {RHUMB_METRIC_JACCARD, "jaccard"},
    {RHUMB_METRIC_HELLINGER, "hellinger"},
    {RHUMB_METRIC_JEFFREYS, "jeffreys"},
    {RHUMB_METRIC_JENSEN_SHANNON, "jensen_shannon"},
    {RHUMB_METRIC_LEVENSHTEIN, "levenshtein"},
    {RHUMB_METRIC_CUSTOM, "custom"},
    {RHUMB_METRIC_L2, "euclidean"},
    {RHUMB_METRIC_COSINE, "angular"},
    {RHUMB_METRIC_IP, "dot"},
    {RHUMB_METRIC_L1, "manhattan"},
};

static const struct word ELEMENTS[] = {
    {RHUMB_ELEMENT_F32, "f32"}, {RHUMB_ELEMENT_F64, "f64"}, {RHUMB_ELEMENT_F16, "f16"}, {RHUMB_ELEMENT_BF16, "bf16"},
    {RHUMB_ELEMENT_I8, "i8"},   {RHUMB_ELEMENT_U8, "u8"},   {RHUMB_ELEMENT_I16, "i16"}, {RHUMB_ELEMENT_U16, "u16"},
    {RHUMB_ELEMENT_I32, "i32"}, {RHUMB_ELEMENT_U32, "u32"}, {RHUMB_ELEMENT_I64, "i64"}, {RHUMB_ELEMENT_U64, "u64"},
    {RHUMB_ELEMENT_B1, "b1"},
};

enum {
    METRIC_WORD_COUNT = sizeof METRICS / sizeof METRICS[0],
    ELEMENT_WORD_COUNT = sizeof ELEMENTS / sizeof ELEMENTS[0]
};

static const char *text_of(const struct word *words, size_t count, int number) {
    for (size_t i = 0; i < count; i++) {
        if (words[i].number == number) return words[i].text;
    }
    return NULL;
}

static int number_of(const struct word *words, size_t count, const char *text) {
    for (size_t i = 0; text != NULL && i < count; i++) {
        if (strcmp(words[i].text, text) == 0) return words[i].number;
    }
    return 0;
}

const char *rhumb__metric_name(rhumb_metric metric) { return text_of(METRICS, METRIC_WORD_COUNT, (int)metric); }

const char *rhumb__element_name(rhumb_element element) { return text_of(ELEMENTS, ELEMENT_WORD_COUNT, (int)element); }

rhumb_metric rhumb__metric_from_name(const char *name) {
    return (rhumb_metric)number_of(METRICS, METRIC_WORD_COUNT, name);
}

rhumb_element rhumb__element_from_name(const char *name) {
    return (rhumb_element)number_of(ELEMENTS, ELEMENT_WORD_COUNT, name);
}
