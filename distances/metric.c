/* metric.c - the table of metrics. Immutable; a look-up fails by returning NULL or 0. */
#include "distances/metric.h"

#include <stddef.h>
#include <string.h>

#include "distances/dispatch.h"

static const struct {
    const char *name, *alias; /* the alias, which may be NULL, is read and never printed */
    enum rhumb__domain domain;
} TABLE[] = {
    [RHUMB_METRIC_L2SQ] = {"l2sq", NULL, RHUMB__DOMAIN_ALL},
    [RHUMB_METRIC_L2] = {"l2", "euclidean", RHUMB__DOMAIN_ALL},
    [RHUMB_METRIC_IP] = {"ip", "dot", RHUMB__DOMAIN_ALL},
    [RHUMB_METRIC_COSINE] = {"cosine", "angular", RHUMB__DOMAIN_ALL},
    [RHUMB_METRIC_L1] = {"l1", "manhattan", RHUMB__DOMAIN_ALL},
    [RHUMB_METRIC_HAMMING] = {"hamming", NULL, RHUMB__DOMAIN_ALL},
    [RHUMB_METRIC_JACCARD] = {"jaccard", NULL, RHUMB__DOMAIN_NOT_NEGATIVE},
    [RHUMB_METRIC_HELLINGER] = {"hellinger", NULL, RHUMB__DOMAIN_PROBABILITIES},
    [RHUMB_METRIC_JEFFREYS] = {"jeffreys", NULL, RHUMB__DOMAIN_PROBABILITIES},
    [RHUMB_METRIC_JENSEN_SHANNON] = {"jensen_shannon", NULL, RHUMB__DOMAIN_PROBABILITIES},
    [RHUMB_METRIC_LEVENSHTEIN] = {"levenshtein", NULL, RHUMB__DOMAIN_SEQUENCES},
    [RHUMB_METRIC_CUSTOM] = {"custom", NULL, RHUMB__DOMAIN_ALL},
};

enum { TABLE_SIZE = sizeof TABLE / sizeof TABLE[0] };

/* Entry 0, which names nothing, for numbers that are not metrics. */
static unsigned entry_of(rhumb_metric metric) { return (unsigned)metric < TABLE_SIZE ? (unsigned)metric : 0; }

enum rhumb__domain rhumb__metric_domain(rhumb_metric metric) { return TABLE[entry_of(metric)].domain; }

const char *rhumb__metric_name(rhumb_metric metric) { return TABLE[entry_of(metric)].name; }

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
