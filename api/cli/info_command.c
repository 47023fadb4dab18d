/* info_command.c - `rhumb info`: describes an index. Opens read-only, so it works while another process writes. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli.h"
#include "interrupt.h"
#include "residency.h"
#include "units.h"

struct info_texts {
    uint64_t resident_bytes;
    bool knows_residency;
    char uuid[40], created[40], creator[32];
};

static void make_texts(const rhumb_index_stats *stats, struct info_texts *texts) {
    char *out = texts->uuid;
    for (int i = 0; i < 16; i++)
        out += sprintf(out, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", stats->uuid[i]);
    const time_t seconds = (time_t)(stats->created_unix_ns / 1000000000);
    struct tm utc;
    if (!gmtime_r(&seconds, &utc) || !strftime(texts->created, sizeof texts->created, "%Y-%m-%dT%H:%M:%SZ", &utc))
        strcpy(texts->created, "unknown");
    snprintf(texts->creator, sizeof texts->creator, "%u.%u.%u", stats->creator_version / 1000000,
             stats->creator_version / 1000 % 1000, stats->creator_version % 1000);
}

static uint64_t deleted_count(const rhumb_index_stats *stats) {
    return stats->slot_count > stats->count ? stats->slot_count - stats->count : 0;
}

/* Names are NULL for numbers that this library does not know. */
static const char *or_unknown(const char *name) { return name ? name : "unknown"; }

static void print_json(struct json_writer *json, const char *path, const rhumb_index_stats *stats,
                       const rhumb_index_options *options, const struct info_texts *texts) {
    json_text(json, "index", path);
    json_text(json, "uuid", texts->uuid);
    json_text(json, "created", texts->created);
    json_text(json, "creator_version", texts->creator);
    json_u64(json, "format_version", stats->format_version);
    json_object_begin(json, "options");
    json_u64(json, "dim", options->dim);
    json_text(json, "metric", or_unknown(rhumb_metric_name(options->metric)));
    json_text(json, "element", or_unknown(rhumb_element_name(options->element)));
    json_u64(json, "M", options->M);
    json_u64(json, "M0", options->M0);
    json_u64(json, "ef_construction", options->ef_construction);
    json_u64(json, "ef_search", options->ef_search);
    json_u64(json, "level_max", options->level_max);
    json_double(json, "level_scale", options->level_scale);
    json_u64(json, "seed", options->seed);
    json_bool(json, "extend_candidates", options->extend_candidates);
    json_bool(json, "keep_pruned", options->keep_pruned);
    json_bool(json, "normalise", options->normalise);
    json_end(json);
    json_u64(json, "count", stats->count);
    json_u64(json, "deleted_count", deleted_count(stats));
    json_u64(json, "slot_count", stats->slot_count);
    json_u64(json, "level_top", stats->level_top);
    json_array_begin(json, "level_counts");
    for (uint32_t level = 0; level <= stats->level_top && level <= RHUMB_LEVEL_MAX; level++)
        json_u64(json, NULL, stats->level_counts[level]);
    json_end(json);
    json_u64(json, "epoch", stats->epoch);
    json_u64(json, "file_bytes", stats->file_bytes);
    json_u64(json, "file_free_bytes", stats->file_free_bytes);
    if (texts->knows_residency) json_u64(json, "resident_bytes", texts->resident_bytes);
    json_u64(json, "mapping_count", stats->mapping_count);
    json_u64(json, "lsn", stats->lsn);
    json_u64(json, "log_pending_count", stats->log_pending_count);
    json_text(json, "io_backend", stats->io_backend);
    json_text(json, "simd", stats->simd);
}

static void print_text(const char *path, const rhumb_index_stats *stats, const rhumb_index_options *options,
                       const struct info_texts *texts) {
    struct units_text count, deleted, file, unused, resident;
    printf("index        %s\n", path);
    printf("identity     %s, created %s by rhumb %s, format %u\n", texts->uuid, texts->created, texts->creator,
           stats->format_version);
    printf("vectors      %s of %u x %s, metric %s%s\n", units_count(&count, stats->count), options->dim,
           or_unknown(rhumb_element_name(options->element)), or_unknown(rhumb_metric_name(options->metric)),
           options->normalise ? ", normalised" : "");
    printf("deleted      %s vectors, whose space a compaction releases\n", units_count(&deleted, deleted_count(stats)));
    printf("graph        M %u, M0 %u, ef_construction %u, ef_search %u, seed %" PRIu64 "%s%s\n", options->M,
           options->M0, options->ef_construction, options->ef_search, options->seed,
           options->extend_candidates ? ", extend_candidates" : "", options->keep_pruned ? ", keep_pruned" : "");
    printf("levels      ");
    for (uint32_t level = 0; level <= stats->level_top && level <= RHUMB_LEVEL_MAX; level++)
        printf(" %u: %s", level, units_count(&count, stats->level_counts[level]));
    printf("\n");
    printf("file         %s, of these %s free; checkpoint %" PRIu64 "\n", units_bytes(&file, stats->file_bytes),
           units_bytes(&unused, stats->file_free_bytes), stats->epoch);
    if (stats->log_pending_count > 0)
        printf("log          %s operations that are not in this checkpoint; opening for writing brings them in\n",
               units_count(&count, stats->log_pending_count));
    else
        printf("log          nothing that is not in this checkpoint\n");
    if (texts->knows_residency)
        printf("in memory    %s of the file (%.0f%%)\n", units_bytes(&resident, texts->resident_bytes),
               stats->file_bytes ? 100.0 * (double)texts->resident_bytes / (double)stats->file_bytes : 0.0);
    printf("here         %" PRIu64 " mappings, io %s, simd %s\n", stats->mapping_count, stats->io_backend, stats->simd);
}

static int run(struct cli *cli, const struct cli_command *command, int argument_count, char *const *argument_texts) {
    const struct args_option options[] = {CLI_COMMON_OPTIONS(cli)};
    const char *path;
    struct info_texts texts = {0};
    int exit_code;
    if (!cli_parse(cli, command, options, argument_count, argument_texts, &path, 1, &exit_code)) return exit_code;
    texts.knows_residency = residency_measure(path, &texts.resident_bytes); /* before it is touched */
    rhumb_index *index = NULL;
    exit_code = cli_open_index(cli, path, true, &index);
    if (exit_code != CLI_OK) return exit_code;
    rhumb_index_stats stats;
    rhumb_index_options created;
    interrupt_call_begin(cli_abandon, cli); /* it reads the log */
    rhumb_status status = rhumb_index_stats_get(index, &stats, sizeof stats);
    interrupt_call_end();
    if (status == RHUMB_OK) status = rhumb_index_options_get(index, &created, sizeof created);
    if (status == RHUMB_OK) {
        make_texts(&stats, &texts);
        if (cli->json)
            print_json(&cli->writer, path, &stats, &created, &texts);
        else
            print_text(path, &stats, &created, &texts);
    } else {
        exit_code = cli_fail_index(cli, status, "cannot read the statistics of the index");
    }
    return cli_close_index(cli, index, exit_code);
}

const struct cli_command cli_info_command = {
    .name = "info",
    .summary = "describe an index",
    .usage = "[OPTIONS] INDEX",
    .description =
        "Prints what the index was created with, what it holds, how large it is and how much of it is in the\n"
        "page cache. It reads the newest checkpoint, also while another process writes.\n",
    .examples = "  rhumb info images.rhumb\n"
                "  rhumb info images.rhumb --json\n",
    .run = run,
};
