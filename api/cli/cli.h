/* cli.h - what the commands of the tool share: exit codes, the two ways of output, and how failures are reported.
 *
 * A command is a function that returns an exit code. On a failure it calls cli_fail or a variant of it, which reports
 * the failure (on stderr, or as the member "error" of the JSON object) and returns the exit code. Only the first
 * failure is reported, not those of cleaning up after it.
 *
 * The tool uses nothing of rhumb but its public header, as any other program would.
 */
#ifndef RHUMB_CLI_CLI_H
#define RHUMB_CLI_CLI_H

#include <stdbool.h>

#include "api/cli/console/args.h"
#include "api/cli/console/json_writer.h"
#include "api/cli/dataset/dataset.h"
#include "include/rhumb.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The tool's exit codes; `rhumb --help` documents them and scripts depend on them. */
enum cli_exit {
    CLI_OK = 0,
    CLI_PROBLEM = 1, /* the command ran, and something is wrong: an index with errors, low recall, a key that is not
                        there, a checkpoint that failed although all is in the log */
    CLI_USAGE = 2,
    CLI_INPUT = 3,
    CLI_INDEX = 4,
    CLI_IO = 5,
    CLI_INTERRUPTED = 130
};

/* One run of the tool. */
struct cli {
    const char *command; /* "build" */
    bool json;           /* one JSON object on stdout in the place of text; several of `info --watch` */
    bool quiet;          /* no progress, no notes */
    bool help;
    bool failed;               /* a failure has been reported */
    struct json_writer writer; /* writes nothing unless json */
};

struct cli_command {
    const char *name;
    const char *summary;     /* one line for `rhumb --help` */
    const char *usage;       /* what follows `rhumb NAME` */
    const char *description; /* paragraphs, each line ended */
    const char *examples;
    int (*run)(struct cli *cli, const struct cli_command *command, int argument_count, char *const *arguments);
};

extern const struct cli_command cli_build_command, cli_add_command, cli_upsert_command, cli_delete_command,
    cli_get_command, cli_export_command, cli_search_command, cli_info_command, cli_verify_command, cli_repair_command,
    cli_compact_command, cli_merge_command, cli_topology_command, cli_import_command, cli_recall_command;

/* The tool, with the arguments of main. Returns its exit code. Once in a process. */
int cli_main(int argc, char **argv);

/* The options that every command has: the last entries of its table, together with the table's end. */
#define CLI_COMMON_OPTIONS(cli)                                                                                        \
    {"json", 0, ARGS_FLAG, &(cli)->json, NULL, "one JSON object on stdout, failures included"},                        \
        {"quiet", 'q', ARGS_FLAG, &(cli)->quiet, NULL, "no progress, no notes"},                                       \
        {"help", 'h', ARGS_FLAG, &(cli)->help, NULL, "this text"}, {                                                   \
        NULL, 0, ARGS_FLAG, NULL, NULL, NULL                                                                           \
    }

/* The arguments of a command as they were typed. */
struct cli_typed {
    const struct cli_command *command;
    int count;
    char *const *texts;
};

/* Parses a command's arguments, of which exactly `positional_count` are positional. True: continue. False: return
 * *exit_code; help was printed, or a failure was reported. */
bool cli_parse(struct cli *cli, const struct cli_command *command, const struct args_option *options,
               int argument_count, char *const *arguments, const char **positionals, size_t positional_count,
               int *exit_code);

/* The same for any number of positional arguments from `positional_min` on. `positionals` has argument_count places;
 * *positional_count is how many there were. */
bool cli_parse_some(struct cli *cli, const struct cli_command *command, const struct args_option *options,
                    int argument_count, char *const *arguments, const char **positionals, size_t positional_min,
                    size_t *positional_count, int *exit_code);

/* Makes sure that the three standard descriptors are open, so that no index gets the number of one, and that a reader
 * of the output that goes away is an error of writing and not the end of the process. */
void cli_prepare(void);

/* Whether the output is lost, so that there is no sense in going on. */
bool cli_output_lost(void);

/* Begins the JSON object if none is open: after a command has ended one (json_end_to 0), the next line's. */
void cli_json_begin(struct cli *cli);

/* Ends the JSON object and flushes stdout. Returns `exit_code`, or CLI_IO when stdout could not be written. When its
 * reader has gone away, the process ends by SIGPIPE, without a message, as other tools do. */
int cli_finish(struct cli *cli, int exit_code);

/* Report a failure and return its exit code. cli_fail_index takes the details from rhumb_error_last() and the exit code
 * from `status`; `action` is what could not be done, such as "cannot open the index". For an index with a custom
 * metric that is reported instead: the tool cannot use it. */
int cli_fail(struct cli *cli, int exit_code, const char *format, ...) __attribute__((format(printf, 3, 4)));
int cli_fail_index(struct cli *cli, rhumb_status status, const char *action);
int cli_fail_index_as(struct cli *cli, int exit_code, rhumb_status status, const char *action);
int cli_fail_dataset(struct cli *cli, const struct dataset_error *error);
int cli_fail_memory(struct cli *cli, uint64_t bytes);

/* For interrupt_call_begin; `context` is the struct cli: reports an interruption, if nothing was reported yet, and ends
 * the process. */
void cli_abandon(void *context);

/* Prints a note that is not a failure on stderr, unless quiet or JSON. */
void cli_note(const struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Opens a matrix by the texts of --format and --dataset, which may be NULL. CLI_OK or a reported failure. */
int cli_open_dataset(struct cli *cli, const char *path, const char *format_name, const char *hdf5_name,
                     enum dataset_part part, struct dataset **dataset_out);

/* Opens a file of keys: one column of integers. CLI_OK or a reported failure. */
int cli_open_keys(struct cli *cli, const char *path, const char *format_name, struct dataset **keys_out);

/* Reads keys, dataset_read_keys. CLI_OK or a reported failure. */
int cli_read_keys(struct cli *cli, struct dataset *keys, uint64_t first, size_t count, uint64_t *out);

/* Opens an index. CLI_OK or a reported failure. */
int cli_open_index(struct cli *cli, const char *path, bool read_only, rhumb_index **index_out);
int cli_open_index_with(struct cli *cli, const char *path, const rhumb_open_options *options, rhumb_index **index_out);

/* Closes an index (NULL is fine) at the end of a command whose exit code is `exit_code`. Returns that, or the exit code
 * of a failure to close if nothing had failed before. */
int cli_close_index(struct cli *cli, rhumb_index *index, int exit_code);

/* After a failure: tells what a new opening of the index at `path` finds, with what only the log has. */
void cli_tell_state(struct cli *cli, const char *path);

/* Writes the member `name`, which describes a dataset. */
void cli_json_dataset(struct cli *cli, const char *name, const struct dataset *dataset);

#ifdef __cplusplus
}
#endif

#endif /* RHUMB_CLI_CLI_H */
