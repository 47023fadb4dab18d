/* recall.h - how many of the true nearest neighbours a search found.
 *
 * Two definitions, of which the better that the files allow is used; the output says which.
 *
 *   distance  as ann-benchmarks counts: the share of the k returned whose distance is at most that of the true k-th
 * neighbour plus an epsilon. Ties count whichever of them was returned. Needs the true distances, in a metric from
 * which the index's follows (the same, or l2 and l2sq for each other). ids       the share of the k true ids that were
 * returned. With ties it is a little pessimistic.
 *
 * ann-benchmarks' epsilon is 1e-3, which is nothing for distances in the thousands and everything for those near zero.
 * Here it is 1e-3 * min(1, d), so recall is never higher than ann-benchmarks would say, but at least 1e-6 * max(1, d),
 * which is what float arithmetic loses.
 */
#ifndef RHUMB_CLI_RECALL_H
#define RHUMB_CLI_RECALL_H

#include "cli.h"

struct recall;

struct recall_options {
    const char *path;        /* of the truth */
    const char *format_name; /* or NULL: by extension */
    const char *metric_name; /* of the distances in it; NULL: what the file says, if it does */
    rhumb_metric index_metric;
    uint64_t query_count; /* rows that the file of queries has; the truth must have as many */
    size_t k;
};

/* Opens the truth. CLI_OK or a reported failure. */
int recall_open(struct cli *cli, const struct recall_options *options, struct recall **recall_out);

/* Counts `query_count` results, rows of k, of the queries from row `query_first` on. CLI_OK or a reported failure. */
int recall_add(struct cli *cli, struct recall *recall, uint64_t query_first, size_t query_count, const uint64_t *keys,
               const float *distances);

/* "distance" or "ids" */
const char *recall_definition(const struct recall *recall);

/* From 0 to 1; 1 when nothing was counted. */
double recall_value(const struct recall *recall);

void recall_close(struct recall *recall);

#endif /* RHUMB_CLI_RECALL_H */
