/* get_command.c - `rhumb get`: the vectors of some keys. Opens read-only, so it works while another process writes. */
#include "api/cli/cli.h"
#include "api/cli/extract.h"
#include "api/cli/key_list.h"

static int run(struct cli *cli, const struct cli_command *command, int argument_count, char *const *argument_texts) {
    struct key_source source = {.texts = NULL};
    struct extract_options extract = {.out_path = "-", .source = &source};
    const struct args_option options[] = {
        KEY_LIST_OPTIONS(&source),
        {"out", 'o', ARGS_TEXT, &extract.out_path, "FILE",
         "where to: .jsonl, .npy, .fvecs, .bvecs, .ivecs. Default: -"},
        {"out-format", 0, ARGS_TEXT, &extract.format_name, "NAME",
         "when its name does not say it. Default for -: jsonl"},
        CLI_COMMON_OPTIONS(cli),
    };
    const struct cli_typed typed = {command, argument_count, argument_texts};
    int exit_code;
    if (key_source_parse(&source, cli, &typed, options, &exit_code)) {
        extract.index_path = source.index_path;
        exit_code = extract_run(cli, &extract);
    }
    key_source_close(&source);
    return exit_code;
}

const struct cli_command cli_get_command = {
    .name = "get",
    .summary = "print the vectors of keys",
    .usage = "[OPTIONS] INDEX [KEY...]",
    .description =
        "Prints the vectors of the keys that are named and of those in --keys FILE, in that order, one JSON object a\n"
        "line: {\"key\": 7, \"vector\": [0.5, 2]}. It reads the newest checkpoint. Exit code 1: the index lacks a "
        "key;\n"
        "the others are printed all the same, except into matrices.\n",
    .examples = "  rhumb get images.rhumb 7 42\n"
                "  rhumb get shop.rhumb --keys product_ids.npy --out vectors.npy\n",
    .run = run,
};
