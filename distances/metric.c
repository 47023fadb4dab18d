/* metric.c - the table of metrics: the names of each, the vectors that it is defined for, and its kernels, one entry
 * per set of element types and one column per instruction set. It is also the list of the pairs of metric and element
 * type that exist.
 *
 * A family is named after what it does with components; its kernels are written once and compiled for every instruction
 * set, in one of three ways:
 *
 *   recompiled   sum_double_body.h and count_body.h are plain C whose loops every compiler vectorises. One file per
 *                instruction set includes them; the files differ in their compiler flags alone. Little code serves most
 *                pairs, and all tiers give the same bits.
 *   in lanes     sum_narrow_body.h and sum_lanes.h are written in about thirty operations on vectors of lanes, which
 *                lanes_avx2.h and lanes_avx512.h define. Compilers do not find the instructions for narrow components
 *                (widening loads, sums of absolute differences) by themselves; the loops are the same for both sets.
 *   by hand      sum_f32_avx2.c and sum_f32_avx512.c are separate files. f32 is what most indexes hold, and how many
 *                rows are measured together and how they are prefetched depends on the number of registers.
 *
 * edit.c and custom.c are the same for every instruction set. To add a family, write its files and add its entries
 * here. The table is immutable; a look-up fails by returning NULL or 0.
 */
#include "distances/metric.h"

#include <stddef.h>
#include <string.h>

#include "distances/count_kernels.h"
#include "distances/custom_kernels.h"
#include "distances/edit_kernels.h"
#include "distances/element.h"
#include "distances/link_kernels.h"
#include "distances/sum_double_kernels.h"
#include "distances/sum_f32_kernels.h"
#include "distances/sum_narrow_kernels.h"

enum { TIER_COUNT = RHUMB__SIMD_AVX512 + 1 };

#if defined(__x86_64__)
#define TIERS(scalar, avx2, avx512)                                                                                    \
    { &(scalar), &(avx2), &(avx512) }
#else
#define TIERS(scalar, avx2, avx512)                                                                                    \
    { &(scalar), &(scalar), &(scalar) }
#endif

/* The columns of a family whose kernels have the same name in all tiers. */
#define SUM_F32(name)                                                                                                  \
    TIERS(rhumb__sum_f32_##name##_scalar, rhumb__sum_f32_##name##_avx2, rhumb__sum_f32_##name##_avx512)
#define SUM_DOUBLE(name)                                                                                               \
    TIERS(rhumb__sum_double_##name##_scalar, rhumb__sum_double_##name##_avx2, rhumb__sum_double_##name##_avx512)
#define COUNT(name) TIERS(rhumb__count_##name##_scalar, rhumb__count_##name##_avx2, rhumb__count_##name##_avx512)
#define ANY(kernels)                                                                                                   \
    { &(kernels), &(kernels), &(kernels) }

/* Without vector instructions narrow components, and |a-b| of f32, are summed in double. */
#define SUM_NARROW(element, name)                                                                                      \
    TIERS(rhumb__sum_double_##name##_scalar, rhumb__sum_narrow_##element##_##name##_avx2,                              \
          rhumb__sum_narrow_##element##_##name##_avx512)
#define SUM_F32_L1 TIERS(rhumb__sum_double_l1_scalar, rhumb__sum_f32_l1_avx2, rhumb__sum_f32_l1_avx512)

/* The kernels of one set of element types. */
struct entry {
    uint32_t elements;                         /* bits by their numbers */
    const rhumb__kernels *of_tier[TIER_COUNT]; /* by rhumb__simd */
    enum rhumb__raw_form raw_form;
};

/* The entries of one metric; an empty set of element types ends them. */
#define KERNELS(...)                                                                                                   \
    (const struct entry[]) {                                                                                           \
        __VA_ARGS__, { 0 }                                                                                             \
    }

#define E(name) (1u << RHUMB_ELEMENT_##name)
#define RAW(form) RHUMB__RAW_##form

/* The entries of a metric for the element types of the narrow family. */
#define NARROW_ENTRY(element, number, name, form) {E(number), SUM_NARROW(element, name), RAW(form)},
#define NARROW_ENTRIES(name, form) RHUMB__SUM_NARROW_ELEMENTS(NARROW_ENTRY, name, form)

/* Sets of element types that several entries have. */
#define NUMBERS_FOR_DOT (E(F64) | E(U16) | E(I32) | E(I64))
#define NUMBERS (NUMBERS_FOR_DOT | E(I16) | E(U32))
#define PROBABILITIES (E(F32) | E(F64))
#define EVERYTHING UINT32_MAX

struct metric {
    const char *name, *alias; /* the alias, which may be NULL, is read and never printed */
    enum rhumb__domain domain;
    const struct entry *kernels;
};

/* The formatter does not know that a macro is an entry. l2 has the kernels of l2sq where sums in f32 will mostly
 * do: the two differ in what the raw distances are. For wider types there are kernels that take the root. */
/* clang-format off */
static const struct metric TABLE[] = {
    [RHUMB_METRIC_L2SQ] = {"l2sq", NULL, RHUMB__DOMAIN_ALL, KERNELS(
        {E(F32), SUM_F32(l2sq), RAW(SUM)},
        NARROW_ENTRIES(l2sq, SUM)
        {NUMBERS, SUM_DOUBLE(l2sq), RAW(WIDE_SUM)})},

    [RHUMB_METRIC_L2] = {"l2", "euclidean", RHUMB__DOMAIN_ALL, KERNELS(
        {E(F32), SUM_F32(l2sq), RAW(SQUARE)},
        NARROW_ENTRIES(l2sq, SQUARE)
        {NUMBERS, SUM_DOUBLE(l2), RAW(WIDE_SUM)})},

    [RHUMB_METRIC_IP] = {"ip", "dot", RHUMB__DOMAIN_ALL, KERNELS(
        {E(F32), SUM_F32(ip), RAW(DOT)},
        NARROW_ENTRIES(ip, DOT)
        {NUMBERS_FOR_DOT, SUM_DOUBLE(ip), RAW(WIDE_DOT)})},

    [RHUMB_METRIC_COSINE] = {"cosine", "angular", RHUMB__DOMAIN_ALL, KERNELS(
        {E(F32), SUM_F32(cosine), RAW(VALUE)},
        NARROW_ENTRIES(cosine, VALUE)
        {NUMBERS_FOR_DOT, SUM_DOUBLE(cosine), RAW(VALUE)})},

    [RHUMB_METRIC_L1] = {"l1", "manhattan", RHUMB__DOMAIN_ALL, KERNELS(
        {E(F32), SUM_F32_L1, RAW(SUM)},
        NARROW_ENTRIES(l1, SUM)
        {NUMBERS, SUM_DOUBLE(l1), RAW(WIDE_SUM)})},

    [RHUMB_METRIC_HAMMING] = {"hamming", NULL, RHUMB__DOMAIN_ALL, KERNELS(
        {E(U8), COUNT(hamming8), RAW(VALUE)},
        {E(U16) | E(I16), COUNT(hamming16), RAW(VALUE)},
        {E(U32) | E(I32), COUNT(hamming32), RAW(VALUE)},
        {E(U64), COUNT(hamming64), RAW(VALUE)},
        {E(F32), COUNT(hamming_f32), RAW(VALUE)},
        {E(F64), COUNT(hamming_f64), RAW(VALUE)},
        {E(B1), COUNT(hamming_b1), RAW(VALUE)})},

    [RHUMB_METRIC_JACCARD] = {"jaccard", NULL, RHUMB__DOMAIN_NOT_NEGATIVE, KERNELS(
        {E(U8), SUM_NARROW(u8, jaccard), RAW(VALUE)},
        {E(U16) | E(U32) | E(F32), SUM_DOUBLE(jaccard), RAW(VALUE)},
        {E(B1), COUNT(jaccard_b1), RAW(VALUE)})},

    [RHUMB_METRIC_HELLINGER] = {"hellinger", NULL, RHUMB__DOMAIN_PROBABILITIES, KERNELS(
        {PROBABILITIES, SUM_DOUBLE(hellinger), RAW(WIDE_SUM)})},

    [RHUMB_METRIC_JEFFREYS] = {"jeffreys", NULL, RHUMB__DOMAIN_PROBABILITIES, KERNELS(
        {PROBABILITIES, SUM_DOUBLE(jeffreys), RAW(WIDE_SUM)})},

    [RHUMB_METRIC_JENSEN_SHANNON] = {"jensen_shannon", NULL, RHUMB__DOMAIN_PROBABILITIES, KERNELS(
        {PROBABILITIES, SUM_DOUBLE(jensen_shannon), RAW(WIDE_SUM)})},

    [RHUMB_METRIC_LEVENSHTEIN] = {"levenshtein", NULL, RHUMB__DOMAIN_SEQUENCES, KERNELS(
        {E(U8), ANY(rhumb__edit_u8), RAW(VALUE)},
        {E(U16), ANY(rhumb__edit_u16), RAW(VALUE)})},

    [RHUMB_METRIC_CUSTOM] = {"custom", NULL, RHUMB__DOMAIN_ALL, KERNELS(
        {EVERYTHING, ANY(rhumb__custom), RAW(VALUE)})},
};

/* The kernels that link under ip, for the pairs that it has above. What their raw distances are is said in
 * link_kernels.h. */
static const struct entry LINK_IP[] = {
    {E(F32), SUM_F32(link_ip), RAW(VALUE)},
    NARROW_ENTRIES(link_ip, VALUE)
    {NUMBERS_FOR_DOT, SUM_DOUBLE(link_ip), RAW(VALUE)},
    {0}};
/* clang-format on */

enum { TABLE_SIZE = sizeof TABLE / sizeof TABLE[0] };

/* Entry 0, which names nothing and has no kernels, for numbers that are not metrics. */
static const struct metric *metric_of(rhumb_metric metric) {
    return &TABLE[(unsigned)metric < TABLE_SIZE ? (unsigned)metric : 0];
}

enum rhumb__domain rhumb__metric_domain(rhumb_metric metric) { return metric_of(metric)->domain; }

const char *rhumb__metric_name(rhumb_metric metric) { return metric_of(metric)->name; }

rhumb_metric rhumb__metric_from_name(const char *name) {
    for (unsigned i = 1; name != NULL && i < TABLE_SIZE; i++) {
        const char *alias = TABLE[i].alias;
        if (strcmp(TABLE[i].name, name) == 0 || (alias != NULL && strcmp(alias, name) == 0)) return (rhumb_metric)i;
    }
    return (rhumb_metric)0;
}

bool rhumb__metric_supports(rhumb_metric metric, rhumb_element element) {
    return rhumb__kernels_for(RHUMB__SIMD_SCALAR, metric, element) != NULL;
}

/* The entry for `element` among entries, which may be NULL; NULL when there is none. */
static const struct entry *find_entry(const struct entry *entry, rhumb_element element) {
    if (rhumb__element_bits(element) == 0) return NULL;
    for (; entry != NULL && entry->elements != 0; entry++) {
        if ((entry->elements >> element & 1) != 0) return entry;
    }
    return NULL;
}

static const rhumb__kernels *kernels_of(const struct entry *entry, rhumb__simd tier) {
    return entry == NULL || (unsigned)tier >= TIER_COUNT ? NULL : entry->of_tier[tier];
}

const rhumb__kernels *rhumb__kernels_for(rhumb__simd tier, rhumb_metric metric, rhumb_element element) {
    return kernels_of(find_entry(metric_of(metric)->kernels, element), tier);
}

const rhumb__kernels *rhumb__link_kernels_for(rhumb__simd tier, rhumb_metric metric, rhumb_element element) {
    return kernels_of(find_entry(metric == RHUMB_METRIC_IP ? LINK_IP : metric_of(metric)->kernels, element), tier);
}

enum rhumb__raw_form rhumb__metric_raw_form(rhumb_metric metric, rhumb_element element) {
    const struct entry *entry = find_entry(metric_of(metric)->kernels, element);
    return entry == NULL ? RHUMB__RAW_VALUE : entry->raw_form;
}
