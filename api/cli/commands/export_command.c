/* export_command.c - `rhumb export`: the vectors of an index, all or some, into a file; or all of it as a file of
 * hnswlib. Opens read-only, so it works while another process writes. */
#include <stdio.h>
#include <string.h>

#include "api/cli/call_progress.h"
#include "api/cli/cli.h"
#include "api/cli/console/units.h"
#include "api/cli/extract.h"
#include "api/cli/key_list.h"

/* The index with its graph, as another library has it. */
static int export_graph(struct cli *cli, const struct extract_options *extract) {
    struct call_progress progress = {.cli = cli};
    struct units_text count;
    rhumb_index *index = NULL;
    rhumb_export_options options;
    rhumb_export_options_init(&options, sizeof options);
    options.progress = call_progress_tell;
    options.progress_context = &progress;
    if (extract->source || extract->keys_out || strcmp(extract->out_path, "-") == 0)
        return cli_fail(cli, CLI_USAGE, "hnswlib's format is for a whole index, in a file, with its keys in it");
    int exit_code = cli_open_index(cli, extract->index_path, true, &index);
    if (exit_code != CLI_OK) return exit_code;
    const rhumb_status status = rhumb_index_export(index, extract->out_path, &options);
    call_progress_end(&progress);
    if (status == RHUMB_E_CANCELLED) {
        exit_code = cli_fail(cli, CLI_INTERRUPTED, "interrupted: %s was not made", extract->out_path);
    } else if (status != RHUMB_OK) {
        exit_code = cli_fail_index(cli, status, "cannot export");
    } else {
        json_text(&cli->writer, "index", extract->index_path);
        json_text(&cli->writer, "out", extract->out_path);
        json_u64(&cli->writer, "written", rhumb_index_count(index));
        if (!cli->json)
            printf("written      %s vectors and their graph to %s\n", units_count(&count, rhumb_index_count(index)),
                   extract->out_path);
    }
    return cli_close_index(cli, index, exit_code);
}

static int run(struct cli *cli, const struct cli_command *command, int argument_count, char *const *argument_texts) {
    struct key_source source = {.texts = NULL};
    struct extract_options extract = {.out_path = NULL};
    const struct args_option options[] = {
        {"out", 'o', ARGS_TEXT, &extract.out_path, "FILE",
         "where to: .jsonl, .npy, .fvecs, .bvecs, .ivecs, or -. Required"},
        {"out-format", 0, ARGS_TEXT, &extract.format_name, "NAME",
         "when its name does not say it; or hnswlib. Default for -: jsonl"},
        {"out-keys", 0, ARGS_TEXT, &extract.keys_out, "FILE", "and the keys, row by row: .npy (u64)"},
        KEY_LIST_OPTIONS(&source),
        CLI_COMMON_OPTIONS(cli),
    };
    int exit_code;
    if (!cli_parse(cli, command, options, argument_count, argument_texts, &extract.index_path, 1, &exit_code))
        return exit_code;
    if (!extract.out_path) return cli_fail(cli, CLI_USAGE, "--out FILE is missing");
    if (source.path) extract.source = &source;
    if (extract.format_name && strcmp(extract.format_name, "hnswlib") == 0) return export_graph(cli, &extract);
    if (extract.keys_out && strcmp(extract.keys_out, "-") == 0)
        return cli_fail(cli, CLI_USAGE, "--out-keys needs the name of a file");
    if (extract.keys_out && dataset_format_from_path(extract.keys_out) != DATASET_FORMAT_NPY)
        return cli_fail(cli, CLI_USAGE, "%s: expected a name that ends in .npy", extract.keys_out);
    return extract_run(cli, &extract);
}

const struct cli_command cli_export_command = {
    .name = "export",
    .summary = "write the vectors of an index to a file",
    .usage = "[OPTIONS] INDEX --out FILE",
    .description =
        "Writes all vectors of INDEX, or those of --keys FILE in its order, at its newest checkpoint. All of them "
        "come\n"
        "in the order of the index. npy has the type of the index (bf16 becomes f32, bits become bools); jsonl has\n"
        "the keys too, and 'rhumb build' makes the same vectors of either. hnswlib's format has the graph as well; it\n"
        "is for indexes without deleted vectors, under l2, ip or cosine.\n",
    .examples = "  rhumb export images.rhumb --out images.npy --out-keys images_keys.npy\n"
                "  rhumb export shop.rhumb --out - | gzip >shop.jsonl.gz\n"
                "  rhumb export shop.rhumb --out shop.bin --out-format hnswlib\n"
                "  rhumb export shop.rhumb --keys some_ids.npy --out some.fvecs\n",
    .run = run,
};
