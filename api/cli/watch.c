/* watch.c - see watch.h. Looks at the file without a handle, and at the processes that readers belong to, and shows the
 * differences between two looks. Owns two looks. It keeps no checkpoint and takes no lock, so that nothing is different
 * because of it. A terminal shows one look in the place of the other; anything else gets all of them.
 *
 * Fails, with the exit codes of cli.h, when the index cannot be described. Sections of a damaged file, and processes
 * that end, are left out.
 */
#include "watch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "api/cli/activity.h"
#include "api/cli/console/interrupt.h"
#include "api/cli/console/units.h"
#include "api/cli/users.h"

#define PROCESS_COUNT_MAX (RHUMB_INFO_PIN_COUNT_MAX * RHUMB_INFO_PID_COUNT_MAX)
#define INTERVAL_SECONDS_MAX 86400.0

struct look {
    double seconds; /* of a clock that only goes forward */
    rhumb_index_info file;
    rhumb_section_info sections[RHUMB_SECTION_COUNT_MAX];
    size_t section_count; /* 0: they are not known */
    struct activity processes[PROCESS_COUNT_MAX];
    size_t process_count;
};

struct watch {
    struct cli *cli;
    const char *path;
    double interval_seconds;
    double begin_seconds; /* of the first look */
    bool is_terminal;
    struct look looks[2]; /* the newest, and the one before */
    uint64_t look_count;
};

static const struct look *newest(const struct watch *watch) { return &watch->looks[(watch->look_count - 1) % 2]; }

/* NULL: the newest is the first. */
static const struct look *earlier(const struct watch *watch) {
    return watch->look_count < 2 ? NULL : &watch->looks[watch->look_count % 2];
}

/* ---- looking ---- */

static void look_at_process(struct look *look, int32_t pid) {
    for (size_t i = 0; i < look->process_count; i++)
        if (look->processes[i].pid == pid) return;
    if (look->process_count < PROCESS_COUNT_MAX && activity_read(pid, &look->processes[look->process_count]))
        look->process_count++;
}

static int take_look(struct watch *watch) {
    struct look *look = &watch->looks[watch->look_count % 2];
    *look = (struct look){.seconds = units_now()};
    interrupt_call_begin(cli_abandon, watch->cli); /* it reads the log */
    rhumb_status status = rhumb_index_info_get(watch->path, &look->file, sizeof look->file);
    const rhumb_status found = status == RHUMB_OK
                                   ? rhumb_index_sections_get(watch->path, look->sections, sizeof look->sections[0],
                                                              RHUMB_SECTION_COUNT_MAX, &look->section_count)
                                   : status;
    interrupt_call_end();
    if (status == RHUMB_E_INVALID) return cli_fail_index_as(watch->cli, CLI_INDEX, status, "cannot watch the index");
    if (status != RHUMB_OK) return cli_fail_index(watch->cli, status, "cannot watch the index");
    if (found != RHUMB_OK) look->section_count = 0;
    for (uint32_t i = 0; i < look->file.pin_count; i++)
        for (uint32_t p = 0; p < look->file.pin_pid_counts[i]; p++)
            look_at_process(look, look->file.pin_pids[i * RHUMB_INFO_PID_COUNT_MAX + p]);
    watch->look_count++;
    return CLI_OK;
}

/* ---- differences ---- */

/* How much a number has grown a second, or shrunk. There is an earlier look. */
static double rate(const struct watch *watch, uint64_t now, uint64_t before) {
    const double seconds = newest(watch)->seconds - earlier(watch)->seconds;
    const double change = now >= before ? (double)(now - before) : -(double)(before - now);
    return seconds > 0 ? change / seconds : 0;
}

/* Of a number that only grows, unless the process is another one of the same id. */
static double growth(const struct watch *watch, uint64_t now, uint64_t before) {
    return now > before ? rate(watch, now, before) : 0;
}

static const rhumb_section_info *section_before(const struct watch *watch, uint32_t id) {
    const struct look *before = earlier(watch);
    for (size_t i = 0; before && i < before->section_count; i++)
        if (before->sections[i].id == id) return &before->sections[i];
    return NULL;
}

static const struct activity *process_before(const struct watch *watch, int32_t pid) {
    const struct look *before = earlier(watch);
    for (size_t i = 0; before && i < before->process_count; i++)
        if (before->processes[i].pid == pid) return &before->processes[i];
    return NULL;
}

/* ---- JSON: rates are there from the second look on ---- */

static void json_sections(struct json_writer *json, const struct watch *watch) {
    const struct look *now = newest(watch);
    json_array_begin(json, "sections");
    for (size_t i = 0; i < now->section_count; i++) {
        const rhumb_section_info *section = &now->sections[i], *before = section_before(watch, section->id);
        json_object_begin(json, NULL);
        json_u64(json, "id", section->id);
        json_text(json, "name", section->name);
        json_u64(json, "row_count", section->row_count);
        json_u64(json, "row_bytes", section->row_bytes);
        json_u64(json, "file_bytes", section->file_bytes);
        json_u64(json, "resident_bytes", section->resident_bytes);
        if (before)
            json_double(json, "resident_bytes_per_second",
                        rate(watch, section->resident_bytes, before->resident_bytes));
        json_end(json);
    }
    json_end(json);
}

static void json_processes(struct json_writer *json, const struct watch *watch) {
    const struct look *now = newest(watch);
    json_array_begin(json, "processes");
    for (size_t i = 0; i < now->process_count; i++) {
        const struct activity *process = &now->processes[i], *before = process_before(watch, process->pid);
        json_object_begin(json, NULL);
        json_i64(json, "pid", process->pid);
        if (before) {
            json_double(json, "hits_per_second", growth(watch, process->hit_count, before->hit_count));
            json_double(json, "reads_per_second", growth(watch, process->read_count, before->read_count));
            if (process->knows_bytes && before->knows_bytes)
                json_double(json, "read_bytes_per_second", growth(watch, process->read_bytes, before->read_bytes));
        }
        json_end(json);
    }
    json_end(json);
}

static void print_json(const struct watch *watch) {
    const struct look *now = newest(watch);
    const rhumb_index_info *file = &now->file;
    struct json_writer *json = &watch->cli->writer;
    cli_json_begin(watch->cli);
    json_text(json, "index", watch->path);
    json_double(json, "seconds", now->seconds - watch->begin_seconds);
    json_u64(json, "epoch", file->epoch);
    json_u64(json, "count", file->count);
    json_u64(json, "deleted_count", file->deleted_count);
    json_u64(json, "lsn", file->lsn);
    json_u64(json, "file_bytes", file->file_bytes);
    json_u64(json, "file_free_bytes", file->file_free_bytes);
    json_u64(json, "log_bytes", file->log_bytes);
    if (file->known & RHUMB_INFO_LOG) json_u64(json, "log_pending_count", file->log_pending_count);
    if (file->known & RHUMB_INFO_WRITER) json_bool(json, "writer_open", file->writer_open);
    if (file->known & RHUMB_INFO_PINS) users_json_pins(json, file);
    if (earlier(watch))
        json_double(json, "checkpoints_per_second", rate(watch, file->epoch, earlier(watch)->file.epoch));
    json_sections(json, watch);
    json_processes(json, watch);
    json_u64(json, "problem_count", file->problem_count);
    json_end_to(json, 0);
}

/* ---- text ---- */

/* The columns of numbers are empty until there is something to compare with. */
static const char *bytes_rate(struct units_text *buffer, const struct watch *watch, uint64_t now, uint64_t before) {
    const double change = rate(watch, now, before);
    struct units_text bytes;
    snprintf(buffer->text, sizeof buffer->text, "%s%s",
             change < 0   ? "-"
             : change > 0 ? "+"
                          : "",
             units_bytes(&bytes, (uint64_t)(change < 0 ? -change : change)));
    return buffer->text;
}

static void print_sections(const struct watch *watch) {
    const struct look *now = newest(watch);
    if (now->section_count > 0)
        printf("\n%-13s %14s %12s %12s      %14s\n", "section", "rows", "bytes", "in memory", "a second");
    for (size_t i = 0; i < now->section_count; i++) {
        const rhumb_section_info *section = &now->sections[i], *before = section_before(watch, section->id);
        struct units_text rows, bytes, resident, change = {""};
        if (before) bytes_rate(&change, watch, section->resident_bytes, before->resident_bytes);
        printf("%-13s %14s %12s %12s %3.0f%% %14s\n", section->name, units_count(&rows, section->row_count),
               units_bytes(&bytes, section->file_bytes), units_bytes(&resident, section->resident_bytes),
               section->file_bytes ? 100.0 * (double)section->resident_bytes / (double)section->file_bytes : 0.0,
               change.text);
    }
}

static void print_processes(const struct watch *watch) {
    const struct look *now = newest(watch);
    if (now->process_count > 0) printf("\n%-13s %14s %14s %16s\n", "process", "hits/s", "reads/s", "from disks/s");
    for (size_t i = 0; i < now->process_count; i++) {
        const struct activity *process = &now->processes[i], *before = process_before(watch, process->pid);
        struct units_text hits = {""}, reads = {""}, bytes = {""};
        if (before) {
            units_count(&hits, (uint64_t)growth(watch, process->hit_count, before->hit_count));
            units_count(&reads, (uint64_t)growth(watch, process->read_count, before->read_count));
            if (process->knows_bytes && before->knows_bytes)
                units_bytes(&bytes, (uint64_t)growth(watch, process->read_bytes, before->read_bytes));
        }
        printf("%-13" PRId32 " %14s %14s %16s\n", process->pid, hits.text, reads.text, bytes.text);
    }
}

static void print_text(const struct watch *watch) {
    const struct look *now = newest(watch);
    const rhumb_index_info *file = &now->file;
    struct units_text count, deleted, bytes, unused, log;
    char clock[16] = "";
    const time_t moment = time(NULL);
    struct tm local;
    if (localtime_r(&moment, &local)) strftime(clock, sizeof clock, "%H:%M:%S", &local);
    if (watch->is_terminal)
        printf("\033[H\033[J"); /* to the corner, and clear */
    else if (watch->look_count > 1)
        printf("\n");
    printf("index        %s at %s, every %g s\n", watch->path, clock, watch->interval_seconds);
    printf("checkpoint   %" PRIu64, file->epoch);
    if (earlier(watch)) printf(", %.3g a second", rate(watch, file->epoch, earlier(watch)->file.epoch));
    printf("; %s vectors, %s deleted\n", units_count(&count, file->count), units_count(&deleted, file->deleted_count));
    printf("file         %s, of these %s free; log %s\n", units_bytes(&bytes, file->file_bytes),
           units_bytes(&unused, file->file_free_bytes), units_bytes(&log, file->log_bytes));
    users_print_log(file);
    users_print(file);
    print_sections(watch);
    print_processes(watch);
    if (file->problem_count > 0)
        printf("\nDAMAGED      %s (problems in all: %u)\n", file->first_problem, file->problem_count);
}

/* ---- the command ---- */

/* Until the next look is due. A signal ends the pause. */
static void pause_until(double due_seconds) {
    for (double left = due_seconds - units_now(); left > 0 && !interrupt_requested();
         left = due_seconds - units_now()) {
        const double part = left < 0.1 ? left : 0.1; /* the signal may have come to another thread */
        const struct timespec time = {.tv_nsec = (long)(part * 1e9)};
        (void)nanosleep(&time, NULL);
    }
}

int watch_run(struct cli *cli, const char *path, const struct watch_options *options) {
    if (!(options->interval_seconds >= 0) || options->interval_seconds > INTERVAL_SECONDS_MAX)
        return cli_fail(cli, CLI_USAGE, "--interval must be from 0 to %g seconds; found %g", INTERVAL_SECONDS_MAX,
                        options->interval_seconds);
    struct watch *watch = calloc(1, sizeof *watch);
    if (!watch) return cli_fail_memory(cli, sizeof *watch);
    watch->cli = cli;
    watch->path = path;
    watch->interval_seconds = options->interval_seconds;
    watch->begin_seconds = units_now();
    watch->is_terminal = isatty(STDOUT_FILENO) != 0;
    int exit_code = CLI_OK;
    while (exit_code == CLI_OK && !interrupt_requested() && !cli_output_lost()) {
        if (watch->look_count > 0) pause_until(newest(watch)->seconds + options->interval_seconds);
        if (interrupt_requested()) break;
        exit_code = take_look(watch);
        if (exit_code != CLI_OK) break;
        if (cli->json)
            print_json(watch);
        else
            print_text(watch);
        fflush(stdout);
        if (watch->look_count == options->count) break;
    }
    free(watch);
    return exit_code;
}
