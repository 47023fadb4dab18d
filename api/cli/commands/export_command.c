/* export_command.c - `rhumb export`: the vectors of an index, all or some, into a file. Opens read-only, so it works
 * while another process writes. */
#include <string.h>

#include "api/cli/cli.h"
#include "api/cli/extract.h"
#include "api/cli/key_list.h"

static int run(struct cli *cli, const struct cli_command *command, int argument_count, char *const *argument_texts) {
    struct key_source source = {.texts = NULL};
    struct extract_options extract = {.out_path = NULL};
    const struct args_option options[] = {
        {"out", 'o', ARGS_TEXT, &extract.out_path, "FILE",
         "where to: .jsonl, .npy, .fvecs, .bvecs, .ivecs, or -. Required"},
        {"out-format", 0, ARGS_TEXT, &extract.format_name, "NAME",
         "when its name does not say it. Default for -: jsonl"},
        {"out-keys", 0, ARGS_TEXT, &extract.keys_out, "FILE", "and the keys, row by row: .npy (u64)"},
        KEY_LIST_OPTIONS(&source),
        CLI_COMMON_OPTIONS(cli),
    };
    int exit_code;
    if (!cli_parse(cli, command, options, argument_count, argument_texts, &extract.index_path, 1, &exit_code))
        return exit_code;
    if (!extract.out_path) return cli_fail(cli, CLI_USAGE, "--out FILE is missing");
    if (extract.keys_out && strcmp(extract.keys_out, "-") == 0)
        return cli_fail(cli, CLI_USAGE, "--out-keys needs the name of a file");
    if (extract.keys_out && dataset_format_from_path(extract.keys_out) != DATASET_FORMAT_NPY)
        return cli_fail(cli, CLI_USAGE, "%s: expected a name that ends in .npy", extract.keys_out);
    if (source.path) extract.source = &source;
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
        "the keys too, and 'rhumb build' makes the same vectors of either.\n",
    .examples = "  rhumb export images.rhumb --out images.npy --out-keys images_keys.npy\n"
                "  rhumb export shop.rhumb --out - | gzip >shop.jsonl.gz\n"
                "  rhumb export shop.rhumb --keys some_ids.npy --out some.fvecs\n",
    .run = run,
};
