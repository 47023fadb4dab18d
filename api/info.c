/* info.c - what an index file says of itself, read without a handle.
 *
 * Nothing is pinned, so a writer may reuse what is being read: if the newest version is another one afterwards, the
 * reading is made again. What cannot be read is left out of `known` and described as a problem. Owns a file handle and
 * a directory for the length of the call. Takes no lock of the library and none of the file.
 */
#include <stdio.h>
#include <string.h>

#include "api/options.h"
#include "base/alloc.h"
#include "base/status.h"
#include "engine/graph/params.h"
#include "storage/frame/directory.h"
#include "storage/frame/file_locks.h"
#include "storage/frame/frame_reader.h"
#include "storage/log/log_examine.h"
#include "storage/log/log_reader.h"
#include "storage/store_stats.h"

static_assert(RHUMB_INFO_PIN_COUNT_MAX == sizeof(((rhumb_index_info *)0)->pin_epochs) / sizeof(uint64_t), "pins");
static_assert(RHUMB_INFO_PID_COUNT_MAX ==
                  sizeof(((rhumb_index_info *)0)->pin_pids) / sizeof(int32_t) / RHUMB_INFO_PIN_COUNT_MAX,
              "pids");
static_assert(RHUMB_INFO_PID_COUNT_MAX <= RHUMB__PIN_PID_COUNT_MAX, "pids");

/* No writer publishes as often in a row as a file can be read. */
#define ATTEMPT_COUNT_MAX 8u

typedef struct info_reading {
    const char *path;
    rhumb__io *io;
    rhumb__frame_versions versions;
    rhumb_index_info *info;
} info_reading;

static void note_problem(rhumb_index_info *info, const char *message) {
    info->problem_count++;
    if (info->first_problem[0] == '\0') snprintf(info->first_problem, sizeof info->first_problem, "%s", message);
}

/* Damage is a problem to be noted; other failures are returned. */
static rhumb_status note_failure(rhumb_index_info *info, rhumb_status status) {
    if (status != RHUMB_E_CORRUPT && status != RHUMB_E_TRUNCATED && status != RHUMB_E_IO && status != RHUMB_E_LOG) {
        return status;
    }
    note_problem(info, rhumb__error_last()->message);
    return RHUMB_OK;
}

/* ---- the newest version ---- */

static void fill_version(const rhumb__superblock *superblock, rhumb_index_info *info) {
    info->format_version = superblock->format_version;
    info->creator_version = superblock->creator_version;
    memcpy(info->uuid, superblock->uuid, sizeof info->uuid);
    info->created_unix_ns = superblock->created_unix_ns;
    info->epoch = superblock->epoch;
    info->history = superblock->history;
    info->log_expected = superblock->log_expected != 0;
    info->known |= RHUMB_INFO_VERSION;
}

static void fill_content(const rhumb__params *params, const rhumb__counts *counts, rhumb_index_info *info) {
    const int32_t top = rhumb__counts_level_top(counts);
    info->dim = params->dim;
    info->metric = params->metric;
    info->element = params->element;
    info->M = params->M;
    info->M0 = params->M0;
    info->ef_construction = params->ef_construction;
    info->ef_search = params->ef_search;
    info->level_max = params->level_max;
    info->level_scale = params->level_scale;
    info->seed = params->seed;
    info->extend_candidates = params->extend_candidates;
    info->keep_pruned = params->keep_pruned;
    info->normalise = params->normalise;
    info->codes = rhumb__codes_of(params);
    info->fused = rhumb__fused_of(params);
    memcpy(info->custom_name, params->custom.name, sizeof info->custom_name);
    info->count = counts->slot_count - counts->dead_count;
    info->deleted_count = counts->dead_count;
    info->level_top = top < 0 ? 0 : (uint32_t)top;
    info->lsn = counts->lsn;
    info->key_next = counts->key_next;
    info->known |= RHUMB_INFO_CONTENT;
}

static rhumb_status read_space(info_reading *r) {
    rhumb__directory *directory = NULL;
    const rhumb_status status = rhumb__directory_read(r->io, &r->versions.items[0], &directory);
    if (status != RHUMB_OK) return status;
    uint64_t used_bytes = RHUMB__CONTENT_OFFSET + directory->file_bytes;
    for (uint32_t i = 0; i < directory->section_count; i++) used_bytes += directory->entries[i].extents.bytes;
    if (r->info->file_bytes > used_bytes) r->info->file_free_bytes = r->info->file_bytes - used_bytes;
    r->info->known |= RHUMB_INFO_SPACE;
    rhumb__directory_free(directory);
    return RHUMB_OK;
}

/* ---- the log ---- */

static rhumb_status read_log(info_reading *r, const rhumb__counts *counts) {
    rhumb_status status;
    rhumb__log_report report;
    rhumb__io *log = NULL;
    rhumb_index_info *info = r->info;
    RHUMB_TRY(rhumb__log_open_to_read(NULL, r->path, &log));
    info->log_present = log != NULL;
    if (log != NULL) RHUMB_TRY(rhumb__io_size(log, &info->log_bytes));
    const rhumb__log_owner owner = rhumb__log_owner_of(&r->versions.items[0], counts->lsn);
    RHUMB_TRY(rhumb__log_examine(NULL, r->path, &owner, info->writer_open, &report));
    info->log_record_count = report.record_count;
    info->log_pending_count = report.pending_count;
    if (report.error_count > 0) {
        note_problem(info, report.first_error);
    } else {
        info->known |= RHUMB_INFO_LOG;
    }
done:
    rhumb__io_close(log);
    return status;
}

/* ---- who uses it ---- */

static void read_pins(info_reading *r) {
    rhumb__store_pin pins[RHUMB_INFO_PIN_COUNT_MAX];
    rhumb_index_info *info = r->info;
    /* Where the file system has no such locks, nothing is known. */
    if (rhumb__file_pins(r->io, r->path, 0, pins, RHUMB_INFO_PIN_COUNT_MAX, &info->pin_count) != RHUMB_OK) return;
    for (uint32_t i = 0; i < info->pin_count; i++) {
        info->pin_epochs[i] = pins[i].epoch;
        info->pin_reader_counts[i] = pins[i].reader_count;
        for (uint32_t k = 0; k < pins[i].pid_count && k < RHUMB_INFO_PID_COUNT_MAX; k++) {
            info->pin_pids[i * RHUMB_INFO_PID_COUNT_MAX + info->pin_pid_counts[i]++] = pins[i].pids[k];
        }
    }
    info->known |= RHUMB_INFO_PINS;
}

/* ---- all ---- */

static rhumb_status read_version(info_reading *r) {
    rhumb_status status;
    rhumb__params params;
    rhumb__counts counts;
    rhumb_index_info *info = r->info;
    const rhumb__superblock *superblock = &r->versions.items[0];
    info->damaged_copy_count = r->versions.damaged_count;
    if (r->versions.newest_lost) note_problem(info, "a superblock is damaged that may have been that of the newest");
    status = rhumb__frame_check(r->io, &r->versions, 0);
    if (status == RHUMB_E_VERSION) return status;
    RHUMB_TRY(note_failure(info, status));
    fill_version(superblock, info);
    if (info->file_bytes < superblock->file_bytes) note_problem(info, "the file is shorter than it should be");
    RHUMB_TRY(note_failure(info, read_space(r)));
    status = rhumb__params_decode(superblock->client, r->path, &params, &counts);
    if (status == RHUMB_OK) {
        fill_content(&params, &counts, info);
        status = read_log(r, &counts);
    }
    status = note_failure(info, status);
done:
    return status;
}

static rhumb_status read_once(info_reading *r) {
    rhumb_status status;
    rhumb_index_info *info = r->info;
    const size_t size = info->size;
    *info = (rhumb_index_info){.size = size};
    RHUMB_TRY(rhumb__io_size(r->io, &info->file_bytes));
    if (rhumb__writer_lock_test(r->io, &info->writer_open) == RHUMB_OK) info->known |= RHUMB_INFO_WRITER;
    read_pins(r);
    status = rhumb__frame_find(r->io, RHUMB__FRAME_LENIENT, &r->versions);
    if (status == RHUMB_OK) return read_version(r);
    r->versions.count = 0;
    if (info->file_bytes > 0) status = note_failure(info, status);
done:
    return status;
}

/* Whether the newest version is still that of the reading. */
static bool is_current(const info_reading *r) {
    rhumb__frame_versions now;
    if (r->versions.count == 0) return true;
    if (rhumb__frame_find(r->io, RHUMB__FRAME_LENIENT, &now) != RHUMB_OK) return true;
    return now.items[0].epoch == r->versions.items[0].epoch && now.items[0].stamp == r->versions.items[0].stamp;
}

rhumb_status rhumb_index_info_get(const char *path, rhumb_index_info *info, size_t size) {
    rhumb_status status;
    rhumb_error before;
    rhumb_index_info filled = {.size = size};
    info_reading r = {.path = path, .info = &filled};
    rhumb__error_save(&before);
    RHUMB_TRY(rhumb__path_check(path, "path"));
    RHUMB_TRY(rhumb__struct_check(info, size, "info"));
    RHUMB_TRY(rhumb__io_open(NULL, path, RHUMB__IO_READ, &r.io));
    for (uint32_t attempt = 0; attempt < ATTEMPT_COUNT_MAX; attempt++) {
        RHUMB_TRY(read_once(&r));
        if (is_current(&r)) break;
    }
    rhumb__struct_give(info, size, &filled, sizeof filled);
    rhumb__error_restore(&before);
done:
    rhumb__io_close(r.io);
    return status;
}
