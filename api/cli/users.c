/* users.c - see users.h. Pure functions of what rhumb_index_info_get has found. */
#include "users.h"

#include <inttypes.h>
#include <stdio.h>

#include "api/cli/console/units.h"

static bool knows(const rhumb_index_info *info, uint32_t what) { return (info->known & what) != 0; }

void users_json_pins(struct json_writer *json, const rhumb_index_info *info) {
    json_array_begin(json, "pins");
    for (uint32_t i = 0; i < info->pin_count; i++) {
        json_object_begin(json, NULL);
        json_u64(json, "epoch", info->pin_epochs[i]);
        json_u64(json, "readers", info->pin_reader_counts[i]);
        json_array_begin(json, "processes");
        for (uint32_t p = 0; p < info->pin_pid_counts[i]; p++)
            json_i64(json, NULL, info->pin_pids[i * RHUMB_INFO_PID_COUNT_MAX + p]);
        json_end(json);
        json_end(json);
    }
    json_end(json);
}

void users_print_log(const rhumb_index_info *info) {
    struct units_text count;
    if (!knows(info, RHUMB_INFO_LOG)) return;
    const char *place = info->log_expected ? "; it must stay next to the index" : "";
    const char *remedy = info->writer_open ? "the writer at work has them" : "opening for writing brings them in";
    if (info->log_pending_count > 0)
        printf("log          %s operations that are not in this checkpoint, %s%s\n",
               units_count(&count, info->log_pending_count), remedy, place);
    else
        printf("log          nothing that is not in this checkpoint%s\n", place);
}

void users_print(const rhumb_index_info *info) {
    if (knows(info, RHUMB_INFO_WRITER))
        printf("writer       %s\n", info->writer_open ? "one has it open" : "none has it open");
    if (!knows(info, RHUMB_INFO_PINS)) return;
    if (info->pin_count == 0) printf("pins         no reader keeps a checkpoint\n");
    for (uint32_t i = 0; i < info->pin_count; i++) {
        const uint32_t reader_count = info->pin_reader_counts[i];
        printf("%-12s checkpoint %" PRIu64 ": %u reader%s", i == 0 ? "pins" : "", info->pin_epochs[i], reader_count,
               reader_count == 1 ? "" : "s");
        for (uint32_t p = 0; p < info->pin_pid_counts[i]; p++)
            printf("%s%" PRId32, p == 0 ? ", process " : ", ", info->pin_pids[i * RHUMB_INFO_PID_COUNT_MAX + p]);
        printf("\n");
    }
}
