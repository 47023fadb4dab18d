/* tool.c - `rhumb`: chooses the command, and knows what is said about all of them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/cli/console/interrupt.h"
#include "cli.h"

static const struct cli_command *const commands[] = {
    &cli_build_command,   &cli_add_command,    &cli_upsert_command,   &cli_delete_command, &cli_search_command,
    &cli_get_command,     &cli_export_command, &cli_info_command,     &cli_verify_command, &cli_repair_command,
    &cli_compact_command, &cli_merge_command,  &cli_topology_command, &cli_import_command, &cli_recall_command,
};
#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

static const char *const log_levels[] = {"error", "warning", "info", "debug"}; /* from RHUMB_LOG_ERROR on */

static void print_version(void) {
    const uint32_t version = rhumb_version();
    printf("rhumb %u.%u.%u (file format %u)\n", version / 1000000, version / 1000 % 1000, version % 1000,
           rhumb_format_version());
}

static void print_help(void) {
    fputs("rhumb - a memory-mapped, persistent index for approximate nearest neighbour search\n"
          "\n"
          "usage: rhumb COMMAND [OPTIONS] ARGUMENTS\n"
          "       rhumb COMMAND --help\n"
          "       rhumb --version\n"
          "\n"
          "commands:\n",
          stdout);
    for (size_t i = 0; i < COMMAND_COUNT; i++) printf("  %-10s %s\n", commands[i]->name, commands[i]->summary);
    fputs("\n"
          "input files, by extension or by --format:\n"
          "  hdf5 h5              ann-benchmarks: train, test, neighbors, distances\n"
          "  fvecs bvecs ivecs    TEXMEX: f32, u8, i32\n"
          "  fbin u8bin i8bin     big-ann-benchmarks: f32, u8, i8; its ground truth: ibin\n"
          "  npy                  NumPy: little-endian, C order, one or two axes; bool is bits\n"
          "  jsonl                one object a line: {\"key\": 7, \"vector\": [0.5, 2]}; the key may be left out\n"
          "Components are converted to the type of the index, f32 unless build is given --element. Files may be\n"
          "larger than memory. \"-\" is the standard input, which needs --format, or the standard output. What comes\n"
          "from a pipe is copied into the folder TMPDIR, or /tmp, first.\n"
          "Keys are numbers from 0 to 18446744073709551614.\n"
          "\n"
          "exit codes:\n"
          "  0    done\n"
          "  1    the index has errors (verify, info), recall is below --min-recall or was never\n"
          "       measured (search, recall), the new index lacks\n"
          "       something or may lack it (repair), the file is not as the index (topology --check), a key is not\n"
          "       in the index (get, delete, export), or all is durable in the log and only the checkpoint at the\n"
          "       end has failed (add, upsert, delete)\n"
          "  2    the command line is wrong\n"
          "  3    an input file is missing or bad, or does not fit the index\n"
          "  4    the index is missing, exists already, is damaged, is full, is in use, or cannot be used by the\n"
          "       tool (sequences, custom metrics)\n"
          "  5    input/output error, no space on the disk, or no memory\n"
          "  130  interrupted (Ctrl-C, SIGTERM); the message says what is in the index\n"
          "\n"
          "environment:\n"
          "  RHUMB_LOG=error|warning|info|debug   print what the library does to stderr\n"
          "  TMPDIR                               where the content of pipes is put\n"
          "\n"
          "examples:\n"
          "  rhumb build images.rhumb fashion-mnist-784-euclidean.hdf5\n"
          "  rhumb search images.rhumb fashion-mnist-784-euclidean.hdf5 -k 10 --ef 100 --summary\n"
          "  rhumb verify images.rhumb\n",
          stdout);
}

static const struct cli_command *find_command(const char *name) {
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(commands[i]->name, name) == 0) return commands[i];
    return NULL;
}

/* Whether a failure of the command line itself is reported as JSON; decided before the line is parsed. */
static bool wants_json(int argument_count, char *const *arguments) {
    for (int i = 0; i < argument_count && strcmp(arguments[i], "--") != 0; i++)
        if (strcmp(arguments[i], "--json") == 0) return true;
    return false;
}

static void print_message(void *context, rhumb_log_level level, const char *message) {
    (void)context;
    fprintf(stderr, "rhumb: %s: %s\n", log_levels[level - 1], message);
}

/* RHUMB_LOG in the environment names the level from which the library's messages are printed. An unknown level is
 * reported and otherwise ignored. */
static void print_library_messages(void) {
    const char *wanted = getenv("RHUMB_LOG");
    if (wanted == NULL || wanted[0] == '\0') return;
    for (int level = RHUMB_LOG_ERROR; level <= RHUMB_LOG_DEBUG; level++) {
        if (strcmp(wanted, log_levels[level - 1]) != 0) continue;
        rhumb_log_set(print_message, NULL, (rhumb_log_level)level);
        return;
    }
    fprintf(stderr, "rhumb: RHUMB_LOG is error, warning, info or debug, not '%s'\n", wanted);
}

int cli_main(int argc, char **argv) {
    cli_prepare();
    interrupt_install();
    /* A file that is cut short, or a disk that fails, is an error then. Without the guard it ends the process. */
    const rhumb_status guarded = rhumb_sigbus_guard_install();
    (void)guarded;
    print_library_messages();
    const char *first = argc > 1 ? argv[1] : "";
    struct cli cli = {.command = "", .json = wants_json(argc - 1, argv + 1)};
    if (strcmp(first, "--version") == 0 || strcmp(first, "-V") == 0) {
        print_version();
        return cli_finish(&cli, CLI_OK);
    }
    const bool wants_help = strcmp(first, "--help") == 0 || strcmp(first, "-h") == 0 || strcmp(first, "help") == 0;
    if (wants_help && argc == 2) {
        print_help();
        return cli_finish(&cli, CLI_OK);
    }
    const char *name = wants_help ? argv[2] : first;
    const struct cli_command *command = find_command(name);
    if (!command) {
        if (name[0])
            cli_fail(&cli, CLI_USAGE, "there is no command '%s'; see 'rhumb --help'", name);
        else
            cli_fail(&cli, CLI_USAGE, "a command is missing; see 'rhumb --help'");
        return cli_finish(&cli, CLI_USAGE);
    }
    cli.command = command->name;
    if (wants_help) {
        char *const help[] = {(char *)"--help"};
        return cli_finish(&cli, command->run(&cli, command, 1, help));
    }
    return cli_finish(&cli, command->run(&cli, command, argc - 2, argv + 2));
}
