/* topology_command.c - `rhumb topology`: the graph of an index as a topology file, and what a topology file holds. The
 * index is opened read-only, at its newest checkpoint, so this works while another process writes. */
#include <stdio.h>
#include <string.h>

#include "api/cli/call_progress.h"
#include "api/cli/cli.h"
#include "api/cli/console/interrupt.h"
#include "api/cli/console/units.h"

static void print(struct cli *cli, const char *path, const rhumb_topology_stats *stats, double seconds) {
    struct json_writer *json = &cli->writer;
    struct units_text a, b, c;
    json_text(json, "topology", path);
    json_u64(json, "epoch", stats->epoch);
    json_u64(json, "lsn", stats->lsn);
    json_bool(json, "all_levels", stats->all_levels);
    json_bool(json, "has_distances", stats->has_distances);
    json_u64(json, "point_count", stats->point_count);
    json_u64(json, "link_count", stats->link_count);
    json_array_begin(json, "level_counts");
    for (uint32_t level = 0; level <= stats->level_top && level <= RHUMB_LEVEL_MAX; level++)
        json_u64(json, NULL, stats->level_counts[level]);
    json_end(json);
    json_u64(json, "file_bytes", stats->file_bytes);
    json_double(json, "seconds", seconds);
    if (cli->json) return;
    printf("topology     %s: checkpoint %llu, %s, distances %s\n", path, (unsigned long long)stats->epoch,
           stats->all_levels ? "all levels" : "level 0", stats->has_distances ? "yes" : "no");
    printf("graph        %s points, %s links\n", units_count(&a, stats->point_count),
           units_count(&b, stats->link_count));
    const double per_point = stats->point_count > 0 ? (double)stats->file_bytes / (double)stats->point_count : 0;
    printf("file         %s, %.1f bytes per point (%s)\n", units_bytes(&b, stats->file_bytes), per_point,
           units_duration(&c, seconds));
}

/* Reads the file from end to end, and, with the live graph, compares every point of both. */
static int compare(struct cli *cli, rhumb_index *index, const rhumb_topology *topology,
                   const rhumb_topology_stats *stats) {
    enum { CAPACITY = 8192 }; /* more than a point can have */
    static uint64_t keys[2][CAPACITY];
    static float distances[2][CAPACITY];
    const uint32_t level = stats->all_levels ? RHUMB_LEVELS_ALL : 0;
    float *const room[2] = {stats->has_distances ? distances[0] : NULL, stats->has_distances ? distances[1] : NULL};
    uint64_t position = 0, point_count = 0;
    for (size_t count = 1; count > 0;) {
        uint64_t key;
        uint32_t levels[2];
        size_t found[2] = {0, 0};
        rhumb_status status = rhumb_topology_points(topology, 0, &position, 1, &key, &levels[0], &count);
        if (status == RHUMB_OK && count == 0) break;
        if (status == RHUMB_OK)
            status = rhumb_topology_neighbours(topology, key, keys[0], room[0], CAPACITY, &found[0]);
        if (status == RHUMB_OK)
            status = rhumb_index_neighbours(index, key, level, keys[1], room[1], CAPACITY, &found[1]);
        if (status == RHUMB_OK) status = rhumb_index_level(index, key, &levels[1]);
        if (status != RHUMB_OK) return cli_fail_index(cli, status, "cannot compare");
        bool equal = found[0] == found[1] && levels[0] == levels[1];
        equal = equal && memcmp(keys[0], keys[1], found[0] * sizeof keys[0][0]) == 0;
        equal = equal && (!room[0] || memcmp(room[0], room[1], found[0] * sizeof distances[0][0]) == 0);
        if (!equal)
            return cli_fail(cli, CLI_PROBLEM, "key %llu has other neighbours in the topology than in the index",
                            (unsigned long long)key);
        point_count++;
        if (interrupt_requested())
            return cli_fail(cli, CLI_INTERRUPTED, "interrupted: the file was made, and not checked");
    }
    if (point_count != rhumb_index_count(index))
        return cli_fail(cli, CLI_PROBLEM, "the topology has %llu points, the index %llu",
                        (unsigned long long)point_count, (unsigned long long)rhumb_index_count(index));
    json_u64(&cli->writer, "equal_count", point_count);
    if (!cli->json) printf("equal        all points have the levels and neighbours that the index has\n");
    return CLI_OK;
}

static int check(struct cli *cli, rhumb_index *index, const char *path, const rhumb_topology_stats *stats) {
    rhumb_topology *topology = NULL;
    rhumb_topology_report report;
    const double start = units_now();
    rhumb_status status = rhumb_topology_open(path, &topology);
    const double open_seconds = units_now() - start;
    if (status != RHUMB_OK) return cli_fail_index(cli, status, "cannot open the topology");
    interrupt_call_begin(cli_abandon, cli);
    status = rhumb_topology_verify(topology, &report, sizeof report);
    interrupt_call_end();
    int exit_code = CLI_OK;
    if (status != RHUMB_OK) {
        exit_code = status == RHUMB_E_CORRUPT ? cli_fail_index_as(cli, CLI_PROBLEM, status, "cannot verify")
                                              : cli_fail_index(cli, status, "cannot verify");
    } else {
        struct units_text chunks, time;
        json_double(&cli->writer, "open_seconds", open_seconds);
        json_u64(&cli->writer, "chunk_count", report.chunk_count);
        if (!cli->json)
            printf("verified     %s chunks; opened in %s\n", units_count(&chunks, report.chunk_count),
                   units_duration(&time, open_seconds));
        exit_code = compare(cli, index, topology, stats);
    }
    rhumb_topology_close(topology);
    return exit_code;
}

static int export(struct cli *cli, rhumb_index *index, const char *path, const rhumb_topology_options *options,
                  struct call_progress *progress, rhumb_topology_stats *stats) {
    const double start = units_now();
    const rhumb_status status = rhumb_topology_export(index, path, options, stats, sizeof *stats);
    call_progress_end(progress);
    if (status == RHUMB_E_CANCELLED) return cli_fail(cli, CLI_INTERRUPTED, "interrupted: %s was not made", path);
    if (status != RHUMB_OK) return cli_fail_index(cli, status, "cannot write the topology");
    print(cli, path, stats, units_now() - start);
    return CLI_OK;
}

static int run(struct cli *cli, const struct cli_command *command, int argument_count, char *const *argument_texts) {
    struct call_progress progress = {.cli = cli};
    const char *out_path = NULL;
    const char *levels = "0";
    bool without_distances = false, checked = false;
    rhumb_topology_options topology_options;
    rhumb_topology_options_init(&topology_options, sizeof topology_options);
    topology_options.progress = call_progress_tell;
    topology_options.progress_context = &progress;
    const struct args_option options[] = {
        {"out", 'o', ARGS_TEXT, &out_path, "FILE", "the topology file to make; it must not exist. Required"},
        {"levels", 0, ARGS_TEXT, &levels, "WHICH", "0: neighbours of level 0 (default);\nall: of all levels, merged"},
        {"no-distances", 0, ARGS_FLAG, &without_distances, NULL, "leave the distances out; neighbours stay sorted"},
        {"check", 0, ARGS_FLAG, &checked, NULL, "verify FILE and compare it with the index, point by point"},
        {"threads", 't', ARGS_U32, &topology_options.thread_count, "N", "default: one per processor"},
        CLI_COMMON_OPTIONS(cli),
    };
    const char *path;
    int exit_code;
    if (!cli_parse(cli, command, options, argument_count, argument_texts, &path, 1, &exit_code)) return exit_code;
    if (!out_path) return cli_fail(cli, CLI_USAGE, "--out FILE is missing");
    topology_options.all_levels = strcmp(levels, "all") == 0;
    topology_options.with_distances = !without_distances;
    if (!topology_options.all_levels && strcmp(levels, "0") != 0)
        return cli_fail(cli, CLI_USAGE, "--levels must be 0 or all; found '%s'", levels);
    rhumb_index *index = NULL;
    exit_code = cli_open_index(cli, path, true, &index);
    if (exit_code != CLI_OK) return exit_code;
    rhumb_topology_stats stats = {0};
    exit_code = export(cli, index, out_path, &topology_options, &progress, &stats);
    if (exit_code == CLI_OK && checked) exit_code = check(cli, index, out_path, &stats);
    return cli_close_index(cli, index, exit_code);
}

const struct cli_command cli_topology_command = {
    .name = "topology",
    .summary = "write the graph of an index alone, for programs that walk it",
    .usage = "[OPTIONS] INDEX --out FILE",
    .description =
        "Writes the graph of INDEX, at its newest checkpoint, into a topology file: for each key its neighbours,\n"
        "nearest first, without vectors and without deleted keys. Such a file is mapped when it is opened, takes no\n"
        "memory of its own, and never changes. INDEX is only read; it may be open for writing.\n",
    .examples = "  rhumb topology images.rhumb --out images.topology\n"
                "  rhumb topology images.rhumb --out images.topology --levels all --no-distances --check\n",
    .run = run,
};
