/* curve.c - see curve.h. Owns nothing. */
#include "curve.h"

#include <inttypes.h>
#include <stdio.h>

#include "api/cli/call_progress.h"
#include "api/cli/console/interrupt.h"
#include "api/cli/console/units.h"

/* The recalls whose ef is printed, for the k that most searches ask for. */
static const double targets[] = {0.9, 0.95, 0.98, 0.99, 0.995};
#define TARGET_COUNT (sizeof targets / sizeof targets[0])
#define TARGET_K 10u

int curve_measure(struct cli *cli, rhumb_index *index, rhumb_recall_options *options, rhumb_recall_curve *curve) {
    struct call_progress progress = {.cli = cli};
    options->progress = call_progress_tell;
    options->progress_context = &progress;
    interrupt_call_begin(cli_abandon, cli);
    const rhumb_status status = rhumb_index_recall_measure(index, options, curve, sizeof *curve);
    interrupt_call_end();
    call_progress_end(&progress);
    if (status == RHUMB_E_CANCELLED) return cli_fail(cli, CLI_INTERRUPTED, "interrupted: the recall was not measured");
    if (status != RHUMB_OK) return cli_fail_index(cli, status, "cannot measure the recall");
    return CLI_OK;
}

/* Which ef gives a recall; false: it was not reached when it was measured. */
static bool ef_of(rhumb_index *index, double target, uint32_t *ef) {
    double reached = 0;
    return rhumb_index_recall_ef(index, TARGET_K, target, ef, &reached) == RHUMB_OK && reached >= target;
}

static void print_json(struct json_writer *json, const rhumb_recall_curve *curve, rhumb_index *index) {
    json_object_begin(json, "recall_curve");
    json_u64(json, "queries", curve->query_count);
    json_bool(json, "queries_given", curve->queries_given);
    json_u64(json, "count", curve->count);
    json_u64(json, "change_count", curve->change_count);
    json_bool(json, "outdated", curve->outdated);
    json_array_begin(json, "points");
    for (uint32_t i = 0; i < curve->point_count; i++) {
        json_object_begin(json, NULL);
        json_u64(json, "k", curve->k[i]);
        json_u64(json, "ef", curve->ef[i]);
        json_double(json, "recall", curve->recall[i]);
        json_end(json);
    }
    json_end(json);
    if (index) json_array_begin(json, "targets");
    for (size_t i = 0; index && i < TARGET_COUNT; i++) {
        uint32_t ef = 0;
        if (!ef_of(index, targets[i], &ef)) continue;
        json_object_begin(json, NULL);
        json_u64(json, "k", TARGET_K);
        json_double(json, "recall", targets[i]);
        json_u64(json, "ef", ef);
        json_end(json);
    }
    if (index) json_end(json);
    json_end(json);
}

/* One line for each k: the ef and what it found. */
static void print_points(const rhumb_recall_curve *curve) {
    uint32_t k = 0;
    for (uint32_t i = 0; i < curve->point_count; i++) {
        if (curve->k[i] != k) printf("%s  recall@%-4u ef", i == 0 ? "" : "\n", curve->k[i]);
        k = curve->k[i];
        printf(" %u: %.4f", curve->ef[i], curve->recall[i]);
    }
    printf("\n");
}

static void print_targets(rhumb_index *index) {
    printf("targets      k %u:", TARGET_K);
    for (size_t i = 0; i < TARGET_COUNT; i++) {
        uint32_t ef = 0;
        const char *separator = i == 0 ? "" : ",";
        if (ef_of(index, targets[i], &ef))
            printf("%s recall %g at ef %u", separator, targets[i], ef);
        else
            printf("%s recall %g was not reached", separator, targets[i]);
    }
    printf("\n");
}

static void print_head(const rhumb_recall_curve *curve) {
    struct units_text count, changes;
    printf("recall       measured with %u %s, of %s vectors; %s operations since%s\n", curve->query_count,
           curve->queries_given ? "queries" : "of the vectors", units_count(&count, curve->count),
           units_count(&changes, curve->change_count), curve->outdated ? ": OUTDATED, measure it again" : "");
}

void curve_print(struct cli *cli, const rhumb_recall_curve *curve, rhumb_index *index) {
    if (cli->json) {
        print_json(&cli->writer, curve, index);
        return;
    }
    print_head(curve);
    print_points(curve);
    if (index) print_targets(index);
}
