/* cli.c - parsing, telling of failures, opening of files: what all commands share.
 *
 * Owns the state of the JSON object on stdout. Invariant: an object is begun before anything else goes to stdout in
 * JSON mode, and cli_finish ends the last one, so stdout is whole JSON objects whatever happened: one, unless the
 * command ends objects itself.
 */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/cli/console/interrupt.h"
#include "api/cli/console/units.h"
#include "api/tool_memory.h"
#include "input.h"

/* Whether SIGPIPE had its default when the program began: then the process ends by it at last. */
static bool ends_by_sigpipe;

void cli_prepare(void) {
    /* Descriptors that are missing are opened for the wrong direction, so that using them is an error and no surprise.
     * */
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
            (void)!open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
    struct sigaction before;
    if (sigaction(SIGPIPE, NULL, &before) != 0 || before.sa_handler != SIG_DFL) return;
    ends_by_sigpipe = signal(SIGPIPE, SIG_IGN) != SIG_ERR;
}

bool cli_output_lost(void) { return ferror(stdout) != 0; }

void cli_json_begin(struct cli *cli) {
    if (!cli->json || cli->writer.depth > 0) return;
    cli->writer.stream = stdout;
    json_object_begin(&cli->writer, NULL);
    json_text(&cli->writer, "command", cli->command);
}

static void print_help(const struct cli_command *command, const struct args_option *options) {
    printf("usage: rhumb %s %s\n\n%s\noptions:\n", command->name, command->usage, command->description);
    args_print_options(options, stdout);
    printf("\nexamples:\n%s", command->examples);
}

static bool parse(struct cli *cli, const struct cli_command *command, const struct args_option *options,
                  int argument_count, char *const *arguments, const char **positionals, size_t positional_min,
                  size_t *positional_count, int *exit_code) {
    struct args_error error;
    size_t found_count = 0;
    const bool parsed =
        args_parse(options, argument_count, arguments, positionals, *positional_count, &found_count, &error);
    *positional_count = found_count;
    if (parsed && cli->help) {
        print_help(command, options);
        *exit_code = CLI_OK;
        return false;
    }
    cli_json_begin(cli);
    if (parsed && found_count >= positional_min) return true;
    if (parsed)
        *exit_code =
            cli_fail(cli, CLI_USAGE, "an argument is missing; usage: rhumb %s %s", command->name, command->usage);
    else
        *exit_code = cli_fail(cli, CLI_USAGE, "%s; see 'rhumb %s --help'", error.message, command->name);
    return false;
}

bool cli_parse(struct cli *cli, const struct cli_command *command, const struct args_option *options,
               int argument_count, char *const *arguments, const char **positionals, size_t positional_count,
               int *exit_code) {
    size_t found_count = positional_count;
    return parse(cli, command, options, argument_count, arguments, positionals, positional_count, &found_count,
                 exit_code);
}

bool cli_parse_some(struct cli *cli, const struct cli_command *command, const struct args_option *options,
                    int argument_count, char *const *arguments, const char **positionals, size_t positional_min,
                    size_t *positional_count, int *exit_code) {
    *positional_count = (size_t)argument_count;
    return parse(cli, command, options, argument_count, arguments, positionals, positional_min, positional_count,
                 exit_code);
}

int cli_finish(struct cli *cli, int exit_code) {
    rhumb__tool_memory_spill_next_to(NULL);
    if (cli->writer.stream) {
        cli_json_begin(cli);
        json_end_to(&cli->writer, 1);
        json_i64(&cli->writer, "exit_code", exit_code);
        json_end_to(&cli->writer, 0);
    }
    if (fflush(stdout) != 0 || ferror(stdout)) {
        const int error = errno;
        if (error == EPIPE && ends_by_sigpipe) {
            signal(SIGPIPE, SIG_DFL);
            raise(SIGPIPE);
        }
        errno = error;
        fprintf(stderr, "rhumb: error: cannot write to the standard output: %s\n", strerror(errno));
        return CLI_IO;
    }
    return exit_code;
}

/* Tells `message`, and adds what `library` knows if the failure is one of the library. */
static void report(struct cli *cli, int exit_code, const char *message, const rhumb_error *library) {
    if (cli->failed) return;
    cli->failed = true;
    cli_json_begin(cli);
    if (!cli->json) {
        fflush(stdout);
        fprintf(stderr, "rhumb%s%s: error: %s\n", cli->command[0] ? " " : "", cli->command, message);
        return;
    }
    struct json_writer *json = &cli->writer;
    json_end_to(json, 1);
    json_object_begin(json, "error");
    json_text(json, "message", message);
    json_i64(json, "exit_code", exit_code);
    if (library) {
        json_text(json, "status", rhumb_status_name(library->status));
        json_text(json, "path", library->path);
        if (library->file_offset != UINT64_MAX) json_u64(json, "file_offset", library->file_offset);
        if (library->os_errno) json_i64(json, "os_errno", library->os_errno);
    }
    json_end(json);
}

int cli_fail(struct cli *cli, int exit_code, const char *format, ...) {
    char message[1400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    report(cli, exit_code, message, NULL);
    return exit_code;
}

static int exit_code_of(rhumb_status status) {
    switch (status) {
    case RHUMB_OK: return CLI_OK;
    case RHUMB_E_INVALID: return CLI_USAGE;
    case RHUMB_E_NOT_FINITE:
    case RHUMB_E_DOMAIN: return CLI_INPUT;
    case RHUMB_E_CANCELLED: return CLI_INTERRUPTED;
    case RHUMB_E_NOMEM:
    case RHUMB_E_IO:
    case RHUMB_E_NOSPACE:
    case RHUMB_E_FATAL: return CLI_IO;
    default: return CLI_INDEX;
    }
}

int cli_fail_index(struct cli *cli, rhumb_status status, const char *action) {
    return cli_fail_index_as(cli, exit_code_of(status), status, action);
}

int cli_fail_index_as(struct cli *cli, int exit_code, rhumb_status status, const char *action) {
    const rhumb_error *library = rhumb_error_last();
    char message[1024], offset[32] = "";
    if (status == RHUMB_E_METRIC) action = "custom metrics are used through the library, the tool cannot";
    if (library->file_offset != UINT64_MAX)
        snprintf(offset, sizeof offset, "byte %llu: ", (unsigned long long)library->file_offset);
    const bool names_path = library->path[0] == '\0' || strstr(library->message, library->path);
    snprintf(message, sizeof message, "%s: %s%s%s%s", action, names_path ? "" : library->path, names_path ? "" : ": ",
             offset, library->message[0] ? library->message : rhumb_status_name(status));
    report(cli, exit_code, message, library);
    return exit_code;
}

int cli_fail_dataset(struct cli *cli, const struct dataset_error *error) {
    int exit_code = CLI_INPUT;
    if (error->status == DATASET_E_INVALID) exit_code = CLI_USAGE;
    if (error->status == DATASET_E_STOPPED) exit_code = CLI_INTERRUPTED;
    if (error->status == DATASET_E_IO || error->status == DATASET_E_NOMEM) exit_code = CLI_IO;
    return cli_fail(cli, exit_code, "%s", error->message);
}

int cli_fail_memory(struct cli *cli, uint64_t bytes) {
    return cli_fail(cli, CLI_IO, "no memory for %llu bytes", (unsigned long long)bytes);
}

void cli_abandon(void *context) {
    struct cli *cli = context;
    cli_fail(cli, CLI_INTERRUPTED, "interrupted");
    _exit(cli_finish(cli, CLI_INTERRUPTED));
}

void cli_note(const struct cli *cli, const char *format, ...) {
    if (cli->quiet || cli->json) return;
    fflush(stdout);
    fprintf(stderr, "rhumb %s: ", cli->command);
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

int cli_open_dataset(struct cli *cli, const char *path, const char *format_name, const char *hdf5_name,
                     enum dataset_part part, struct dataset **dataset_out) {
    const struct dataset_options options = {dataset_format_from_name(format_name), part, hdf5_name, NULL};
    if (format_name && options.format == DATASET_FORMAT_BY_EXTENSION)
        return cli_fail(
            cli, CLI_USAGE,
            "--format must be one of hdf5, fvecs, bvecs, ivecs, fbin, u8bin, i8bin, ibin, npy, jsonl; found '%s'",
            format_name);
    struct dataset_error error;
    if (input_open(path, &options, dataset_out, &error) != DATASET_OK) return cli_fail_dataset(cli, &error);
    return CLI_OK;
}

int cli_open_keys(struct cli *cli, const char *path, const char *format_name, struct dataset **keys_out) {
    struct dataset *keys = NULL;
    const int exit_code = cli_open_dataset(cli, path, format_name, NULL, DATASET_PART_TRAIN, &keys);
    if (exit_code != CLI_OK) return exit_code;
    const struct dataset_info *info = dataset_info_get(keys);
    if (info->has_keys || (!rhumb_element_is_float(info->element) && !info->is_bool && info->dim == 1)) {
        *keys_out = keys;
        return CLI_OK;
    }
    cli_fail(cli, CLI_INPUT, "%s: keys must be integers, one per row; found %u columns of %s", path, info->dim,
             info->is_bool ? "bool" : rhumb_element_name(info->element));
    dataset_close(keys);
    return CLI_INPUT;
}

int cli_read_keys(struct cli *cli, struct dataset *keys, uint64_t first, size_t count, uint64_t *out) {
    struct dataset_error error;
    const enum dataset_status status = dataset_read_keys(keys, first, count, out, &error);
    return status == DATASET_OK ? CLI_OK : cli_fail_dataset(cli, &error);
}

int cli_open_index(struct cli *cli, const char *path, bool read_only, rhumb_index **index_out) {
    rhumb_open_options options;
    rhumb_open_options_init(&options, sizeof options);
    options.read_only = read_only;
    return cli_open_index_with(cli, path, &options, index_out);
}

int cli_open_index_with(struct cli *cli, const char *path, const rhumb_open_options *options, rhumb_index **index_out) {
    /* Reading a long log can take a while; whatever is left half done is as after a crash, which costs nothing. */
    interrupt_call_begin(cli_abandon, cli);
    const rhumb_status status = rhumb_index_open(path, options, index_out);
    interrupt_call_end();
    if (status == RHUMB_OK) return CLI_OK;
    /* Not a regular file: it is the index that is wrong, and not the command line. */
    if (status == RHUMB_E_INVALID) return cli_fail_index_as(cli, CLI_INDEX, status, "cannot open the index");
    return cli_fail_index(cli, status, "cannot open the index");
}

void cli_tell_state(struct cli *cli, const char *path) {
    rhumb_open_options options;
    rhumb_open_options_init(&options, sizeof options);
    options.read_only = true;
    rhumb_index *index = NULL;
    rhumb_index_stats stats;
    if (rhumb_index_open(path, &options, &index) != RHUMB_OK) return; /* there may be none, as the failure said */
    const bool has_stats = rhumb_index_stats_get(index, &stats, sizeof stats) == RHUMB_OK;
    const rhumb_status closed = rhumb_index_close(index);
    (void)closed; /* of a reader, which has nothing to write */
    if (!has_stats) return;
    struct json_writer *json = &cli->writer;
    json_end_to(json, 1);
    json_u64(json, "count", stats.count);
    json_u64(json, "file_bytes", stats.file_bytes);
    json_u64(json, "log_pending_count", stats.log_pending_count);
    if (cli->json) return;
    struct units_text count, file, pending;
    if (stats.log_pending_count > 0)
        printf("log          %s operations, which the next opening for writing brings to the index\n",
               units_count(&pending, stats.log_pending_count));
    printf("index        %s vectors in %s, as it is on the disk\n", units_count(&count, stats.count),
           units_bytes(&file, stats.file_bytes));
}

int cli_close_index(struct cli *cli, rhumb_index *index, int exit_code) {
    /* What was interrupted was made durable before: the next opening finds it in the log. */
    if (exit_code == CLI_INTERRUPTED) interrupt_call_begin(cli_abandon, cli);
    const rhumb_status status = rhumb_index_close(index);
    if (exit_code == CLI_INTERRUPTED) interrupt_call_end();
    return status == RHUMB_OK || exit_code != CLI_OK ? exit_code
                                                     : cli_fail_index(cli, status, "cannot close the index");
}

void cli_json_dataset(struct cli *cli, const char *name, const struct dataset *dataset) {
    const struct dataset_info *info = dataset_info_get(dataset);
    struct json_writer *json = &cli->writer;
    json_object_begin(json, name);
    json_text(json, "path", info->path);
    json_text(json, "format", dataset_format_name(info->format));
    json_text(json, "element", rhumb_element_name(info->element));
    json_u64(json, "rows", info->row_count);
    json_u64(json, "dim", info->dim);
    if (info->distance[0]) json_text(json, "distance", info->distance);
    json_end(json);
}
