/* recall.c - compares found neighbours with the true ones of a file.
 *
 * Owns the truth's datasets and buffers of one row each; the truth is read row by row, so its width, a number from the
 * file, costs no more memory than a row of the file.
 */
#include "recall.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "input.h"

struct recall {
    size_t k;
    struct dataset *ids; /* one of the two is open */
    struct dataset *distances;
    rhumb_metric truth_metric; /* of `distances` */
    rhumb_metric index_metric;
    float *distance_row;
    uint64_t *id_row;    /* a row of truth; its first k are sorted */
    uint64_t *found_row; /* k found keys, sorted */
    uint64_t hit_count, possible_count;
};

static bool metrics_agree(rhumb_metric truth, rhumb_metric index) {
    if (truth == RHUMB_METRIC_L2 || truth == RHUMB_METRIC_L2SQ)
        return index == RHUMB_METRIC_L2 || index == RHUMB_METRIC_L2SQ;
    return truth == index && index != RHUMB_METRIC_IP;
}

/* Tries for the true distances. Leaves recall->distances NULL when there are none or they are of another metric. */
static int open_distances(struct cli *cli, const struct recall_options *options, struct recall *recall) {
    const struct dataset_options wanted = {dataset_format_from_name(options->format_name), DATASET_PART_DISTANCES, NULL,
                                           NULL};
    struct dataset *distances = NULL;
    struct dataset_error error;
    const enum dataset_status status = input_open(options->path, &wanted, &distances, &error);
    if (status == DATASET_E_ABSENT) return CLI_OK;
    if (status != DATASET_OK) return cli_fail_dataset(cli, &error);
    const char *name = options->metric_name ? options->metric_name : dataset_info_get(distances)->distance;
    recall->truth_metric = rhumb_metric_from_name(name);
    /* Files do not agree on what an inner product as a distance is (-ip, 1 - ip), so these are not compared. */
    if (metrics_agree(recall->truth_metric, recall->index_metric)) {
        recall->distances = distances;
        return CLI_OK;
    }
    dataset_close(distances);
    if (recall->truth_metric && recall->truth_metric != recall->index_metric)
        cli_note(cli, "note: the truth in %s is that of %s, the index measures %s: recall says little", options->path,
                 rhumb_metric_name(recall->truth_metric), rhumb_metric_name(recall->index_metric));
    return CLI_OK;
}

static int check_shape(struct cli *cli, const struct recall_options *options, const struct dataset *truth) {
    const struct dataset_info *info = dataset_info_get(truth);
    if (info->row_count != options->query_count)
        return cli_fail(cli, CLI_INPUT, "%s: expected the truth of %llu queries, found %llu rows", info->path,
                        (unsigned long long)options->query_count, (unsigned long long)info->row_count);
    if (info->dim < options->k)
        return cli_fail(cli, CLI_INPUT, "%s: holds %u true neighbours per query, fewer than k = %zu", info->path,
                        info->dim, options->k);
    return CLI_OK;
}

static int allocate(struct cli *cli, struct recall *recall, size_t truth_dim) {
    if (recall->distances) {
        recall->distance_row = malloc(truth_dim * sizeof *recall->distance_row);
        return recall->distance_row ? CLI_OK : cli_fail_memory(cli, truth_dim * sizeof *recall->distance_row);
    }
    recall->id_row = malloc(truth_dim * sizeof *recall->id_row);
    recall->found_row = malloc(recall->k * sizeof *recall->found_row);
    return recall->id_row && recall->found_row ? CLI_OK : cli_fail_memory(cli, truth_dim * sizeof *recall->id_row);
}

int recall_open(struct cli *cli, const struct recall_options *options, struct recall **recall_out) {
    if (options->metric_name && !rhumb_metric_from_name(options->metric_name))
        return cli_fail(cli, CLI_USAGE, "--truth-metric must be the name of a metric, such as l2 or cosine; found '%s'",
                        options->metric_name);
    struct recall *recall = calloc(1, sizeof *recall);
    if (!recall) return cli_fail_memory(cli, sizeof *recall);
    recall->k = options->k;
    recall->index_metric = options->index_metric;
    int exit_code = open_distances(cli, options, recall);
    if (exit_code == CLI_OK && !recall->distances)
        exit_code =
            cli_open_dataset(cli, options->path, options->format_name, NULL, DATASET_PART_NEIGHBORS, &recall->ids);
    const struct dataset *truth = recall->distances ? recall->distances : recall->ids;
    if (exit_code == CLI_OK) exit_code = check_shape(cli, options, truth);
    if (exit_code == CLI_OK) exit_code = allocate(cli, recall, dataset_info_get(truth)->dim);
    if (exit_code != CLI_OK) {
        recall_close(recall);
        return exit_code;
    }
    *recall_out = recall;
    return CLI_OK;
}

/* Compares in the unit of the truth, where the epsilon is meant. */
static void count_by_distance(struct recall *recall, const float *distances) {
    const double last = recall->distance_row[recall->k - 1];
    const double size = fabs(last);
    const double threshold = last + fmax(1e-3 * fmin(1, size), 1e-6 * fmax(1, size));
    for (size_t i = 0; i < recall->k; i++) {
        double distance = distances[i];
        if (recall->index_metric == RHUMB_METRIC_L2SQ && recall->truth_metric == RHUMB_METRIC_L2)
            distance = sqrt(distance);
        if (recall->index_metric == RHUMB_METRIC_L2 && recall->truth_metric == RHUMB_METRIC_L2SQ) distance *= distance;
        /* Places that no neighbour fills hold infinity: no hit, even when the truth's last is infinite too. */
        if (isfinite(distance) && distance <= threshold) recall->hit_count++;
    }
    recall->possible_count += recall->k;
}

static int compare_u64(const void *left, const void *right) {
    const uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

/* The size of the intersection of two sorted rows. UINT64_MAX is "none" in both, and a true neighbour that is none
 * cannot be found, so it does not count as possible either. */
static void count_by_ids(struct recall *recall, const uint64_t *keys) {
    const size_t k = recall->k;
    memcpy(recall->found_row, keys, k * sizeof *keys);
    qsort(recall->found_row, k, sizeof *keys, compare_u64);
    qsort(recall->id_row, k, sizeof *keys, compare_u64);
    for (size_t truth = 0, found = 0; truth < k && recall->id_row[truth] != UINT64_MAX; truth++) {
        recall->possible_count++;
        while (found < k && recall->found_row[found] < recall->id_row[truth]) found++;
        if (found == k || recall->found_row[found] != recall->id_row[truth]) continue;
        recall->hit_count++;
        found++;
    }
}

int recall_add(struct cli *cli, struct recall *recall, uint64_t query_first, size_t query_count, const uint64_t *keys,
               const float *distances) {
    struct dataset_error error;
    for (size_t i = 0; i < query_count; i++) {
        const enum dataset_status status =
            recall->distances ? dataset_read_f32(recall->distances, query_first + i, 1, recall->distance_row, &error)
                              : dataset_read_u64(recall->ids, query_first + i, 1, recall->id_row, &error);
        if (status != DATASET_OK) return cli_fail_dataset(cli, &error);
        if (recall->distances)
            count_by_distance(recall, distances + i * recall->k);
        else
            count_by_ids(recall, keys + i * recall->k);
    }
    return CLI_OK;
}

const char *recall_definition(const struct recall *recall) { return recall->distances ? "distance" : "ids"; }

double recall_value(const struct recall *recall) {
    return recall->possible_count ? (double)recall->hit_count / (double)recall->possible_count : 1;
}

void recall_close(struct recall *recall) {
    if (!recall) return;
    dataset_close(recall->ids);
    dataset_close(recall->distances);
    free(recall->distance_row);
    free(recall->id_row);
    free(recall->found_row);
    free(recall);
}
