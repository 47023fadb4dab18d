/* log.c - see log.h: opening, replay, appending, waiting, and the thread of mode interval.
 *
 * `buffer` has what has been appended and not written. Room in it is reserved before an operation begins, so that
 * appending needs nothing more. Reservations are sums of bytes, not places, and stay valid when the buffers are
 * swapped, because both have the same capacity. A full buffer (BUFFER_BYTES_MAX) is written before anything more is
 * reserved; it grows beyond that only if reservations alone need it, which is at most one record for each thread.
 *
 * The first thread that waits for durability takes the flusher's role and writes for all that have appended by then.
 * The others wait until the role is released, and usually find their operation durable then: group commit, with groups
 * as large as what is appended during one sync.
 *
 * Invariants: used_bytes + reserved_bytes <= capacity_bytes; synced_lsn and durable_lsn are at most lsn, and none of
 * the three ever decreases. Locking: see log_state.h. How it fails: a failed open releases everything; reserve fails
 * for want of memory with nothing changed; the rest fails as log_flush.c says.
 */
#define _GNU_SOURCE
#include "storage/log/log.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/log_message.h"
#include "base/status.h"
#include "base/thread.h"
#include "storage/log/log_reader.h"
#include "storage/log/log_state.h"

#define BUFFER_BYTES_MIN (UINT64_C(64) << 10)
#define BUFFER_BYTES_MAX (UINT64_C(4) << 20)

/* Numbers that are never used: more than the reservations that can exist at a time, each of which may become an
 * operation. */
#define LSN_RESERVE (UINT64_C(1) << 20)

#define SECOND_NS UINT64_C(1000000000)

/* ---- the thread of mode interval ---- */

/* Waits for one interval; false when the log is being closed. */
static bool wait_interval(rhumb__log *log) {
    const uint64_t end_ns = rhumb__clock_now_ns() + rhumb__min_u64(log->interval_ns, UINT64_C(1) << 60);
    const struct timespec end = {.tv_sec = (time_t)(end_ns / SECOND_NS), .tv_nsec = (long)(end_ns % SECOND_NS)};
    while (!log->stopping) {
        if (rhumb__cond_timedwait(&log->tick, &log->lock, &end) == ETIMEDOUT) break;
    }
    return !log->stopping;
}

/* Sleeps while everything is durable; otherwise syncs at the end of an interval. A failure is kept for other
 * threads. */
static void *interval_thread_main(void *argument) {
    rhumb__log *log = argument;
    rhumb__mutex_lock(&log->lock);
    while (!log->stopping && !atomic_load(&log->failed)) {
        if (log->durable_lsn >= log->lsn) {
            log->thread_idle = true;
            rhumb__cond_wait(&log->tick, &log->lock);
            log->thread_idle = false;
            continue;
        }
        if (!wait_interval(log)) break;
        rhumb__log_await_role(log);
        if (log->durable_lsn < log->lsn && rhumb__log_flush(log, true) != RHUMB_OK) break;
    }
    rhumb__mutex_unlock(&log->lock);
    return NULL;
}

static rhumb_status interval_thread_start(rhumb__log *log) {
    const int os_errno = rhumb__thread_start(&log->thread, interval_thread_main, log);
    log->thread_started = os_errno == 0;
    if (os_errno == 0) return RHUMB_OK;
    return rhumb__fail_errno(os_errno, log->path, RHUMB_OFFSET_NONE, "cannot start the log's thread");
}

static void interval_thread_stop(rhumb__log *log) {
    if (!log->thread_started) return;
    rhumb__mutex_lock(&log->lock);
    log->stopping = true;
    pthread_cond_signal(&log->tick);
    rhumb__mutex_unlock(&log->lock);
    pthread_join(log->thread, NULL);
}

/* ---- opening ---- */

static rhumb_status log_new(const rhumb__log_spec *spec, rhumb__log **log_out) {
    rhumb__log *log = rhumb__alloc_zeroed(1, sizeof *log);
    if (log == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for a log");
    log->path = rhumb__log_path_make(spec->index_path);
    log->index_path = rhumb__alloc_text(spec->index_path);
    if (log->path == NULL || log->index_path == NULL) {
        rhumb__free(log->path);
        rhumb__free(log->index_path);
        rhumb__free(log);
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for the log's path");
    }
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&log->tick, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_cond_init(&log->changed, NULL);
    rhumb__mutex_init(&log->lock, RHUMB__RANK_LOG);
    log->backend = spec->backend;
    log->index_io = spec->index_io;
    log->index_history = spec->owner.history;
    log->announce = spec->announce;
    log->announce_context = spec->announce_context;
    log->durability = spec->durability;
    log->interval_ns = spec->interval_ns;
    *log_out = log;
    return RHUMB_OK;
}

static void log_free(rhumb__log *log) {
    rhumb__io_close(log->io);
    rhumb__io_close(log->discarded);
    rhumb__log_scan_clear(&log->found);
    rhumb__free(log->buffer);
    rhumb__free(log->spare);
    rhumb__free(log->path);
    rhumb__free(log->index_path);
    pthread_cond_destroy(&log->tick);
    pthread_cond_destroy(&log->changed);
    rhumb__mutex_destroy(&log->lock);
    rhumb__free(log);
}

/* What was passed over is said: it may have been more than it seems. */
static void warn_of_damage(const rhumb__log *log, const rhumb__log_reading *reading) {
    if (reading->damage.copy_count > 0) {
        rhumb__log_message(RHUMB_LOG_WARNING, log->path,
                           "%u copies of headers are damaged or were being written when a process or the power failed, "
                           "the first at byte %llu; the other copies are whole and are used",
                           reading->damage.copy_count, (unsigned long long)reading->damage.copy_offset);
    }
    if (reading->scan.left_bytes > 0) {
        rhumb__log_message(RHUMB_LOG_WARNING, log->path,
                           "%llu bytes after the last whole record, from byte %llu on, are no records: a write that a "
                           "crash has interrupted, or damage; they are cut off",
                           (unsigned long long)reading->scan.left_bytes, (unsigned long long)reading->scan.end.offset);
    }
}

/* Goes on without the log, as the caller allows for RHUMB_E_LOG. */
static rhumb_status discard_log(rhumb__log *log, const rhumb_error *before) {
    rhumb__log_message(RHUMB_LOG_WARNING, log->path, "the index is opened without its log: %s",
                       rhumb__error_last()->message);
    rhumb__error_restore(before);
    rhumb__log_scan_clear(&log->found);
    log->lost = true;
    log->discarded = log->io;
    log->io = NULL;
    return RHUMB_OK;
}

/* Opens the file and reads its records. Afterwards log->io is set if there is a log. */
static rhumb_status find_file(rhumb__log *log, const rhumb__log_spec *spec) {
    rhumb_status status;
    rhumb_error before;
    rhumb__log_reading reading;
    rhumb__error_save(&before);
    status = rhumb__log_file_open(log->backend, log->path, RHUMB__IO_WRITE, &log->io);
    if (status != RHUMB_OK) return status;
    if (log->io == NULL) {
        if (!spec->owner.log_expected) return RHUMB_OK;
        status = rhumb__log_fail_missing(&spec->owner, log->path);
    } else {
        status = rhumb__log_read(log->io, &spec->owner, RHUMB__LOG_READ_STRICT, &reading);
        log->header = log->found_header = reading.header;
        log->found = reading.scan;
    }
    if (status == RHUMB_E_LOG && spec->discard) return discard_log(log, &before);
    if (status == RHUMB_OK) warn_of_damage(log, &reading);
    return status;
}

/* Sets where the log continues: after the records found, or restarted after the checkpoint. */
static rhumb_status choose_beginning(rhumb__log *log, const rhumb__log_spec *spec) {
    const uint64_t checkpoint_lsn = spec->owner.checkpoint_lsn;
    log->durable_lsn = checkpoint_lsn;
    log->cut_lsn = checkpoint_lsn;
    if (log->io != NULL && log->found.end.lsn > checkpoint_lsn) {
        log->file_state = RHUMB__LOG_FILE_FOUND;
        log->lsn = log->found.end.lsn;
        log->crc = log->found.end.previous_crc;
        log->end_offset = log->found.end.offset;
        log->synced_lsn = log->found.synced_lsn;
        return RHUMB_OK;
    }
    log->file_state = log->io != NULL ? RHUMB__LOG_FILE_STALE : RHUMB__LOG_FILE_ABSENT;
    rhumb__log_scan_clear(&log->found);
    if (log->io == NULL) memset(&log->header, 0, sizeof log->header);
    memcpy(log->header.uuid, spec->owner.uuid, sizeof log->header.uuid);
    const rhumb_status status = rhumb__log_header_renew(&log->header, checkpoint_lsn, log->path);
    log->lsn = checkpoint_lsn;
    log->crc = log->header.first_previous_crc;
    log->end_offset = log->header.first_offset;
    log->synced_lsn = checkpoint_lsn;
    return status;
}

rhumb_status rhumb__log_open(const rhumb__log_spec *spec, rhumb__log **log_out) {
    rhumb__log *log = NULL;
    rhumb_status status;
    RHUMB_TRY(log_new(spec, &log));
    if (spec->owner.checkpoint_lsn > RHUMB__LOG_LSN_MAX) {
        status = rhumb__fail_at(RHUMB_E_CORRUPT, spec->index_path, RHUMB_OFFSET_NONE,
                                "the checkpoint ends with operation %llu, which there cannot be",
                                (unsigned long long)spec->owner.checkpoint_lsn);
        goto done;
    }
    RHUMB_TRY(find_file(log, spec));
    RHUMB_TRY(choose_beginning(log, spec));
    if (log->durability == RHUMB_DURABILITY_INTERVAL) RHUMB_TRY(interval_thread_start(log));
    *log_out = log;
    log = NULL;
done:
    if (log != NULL) log_free(log);
    return status;
}

bool rhumb__log_begins_at_once(const rhumb__log *log) {
    return log->lost || (log->file_state == RHUMB__LOG_FILE_FOUND && log->durability != RHUMB_DURABILITY_NONE);
}

rhumb_status rhumb__log_begin(rhumb__log *log) {
    rhumb__mutex_lock(&log->lock);
    rhumb__log_await_role(log);
    const rhumb_status status = log->lost ? rhumb__log_forget_lost(log) : rhumb__log_get_ready(log);
    rhumb__mutex_unlock(&log->lock);
    return status;
}

void rhumb__log_describe(rhumb__log *log, rhumb__superblock *superblock) {
    rhumb__mutex_lock(&log->lock);
    if (log->begun) {
        superblock->history = log->header.history;
        superblock->log_lsn = log->file_begun ? log->synced_lsn : 0;
        superblock->log_expected = log->file_begun ? 1 : 0;
    }
    rhumb__mutex_unlock(&log->lock);
}

rhumb_status rhumb__log_replay(rhumb__log *log, rhumb__log_visit visit, void *context) {
    if (log->found.operation_count == 0) return RHUMB_OK;
    return rhumb__log_scan_visit(log->io, &log->found, visit, context);
}

uint64_t rhumb__log_replay_count(const rhumb__log *log) { return log->found.operation_count; }

/* ---- appending ---- */

/* Makes both buffers at least that large. No thread has the role, to which the spare buffer belongs. */
static rhumb_status grow_buffers(rhumb__log *log, uint64_t bytes) {
    RHUMB_ASSERT_DEBUG(!log->flushing);
    uint64_t capacity = rhumb__max_u64(log->capacity_bytes * 2, BUFFER_BYTES_MIN);
    capacity = rhumb__max_u64(rhumb__min_u64(capacity, BUFFER_BYTES_MAX), bytes);
    uint8_t *buffer = rhumb__alloc_aligned(capacity, 1, RHUMB__LOG_HEADER_BYTES);
    uint8_t *spare = rhumb__alloc_aligned(capacity, 1, RHUMB__LOG_HEADER_BYTES);
    if (buffer == NULL || spare == NULL) {
        rhumb__free(buffer);
        rhumb__free(spare);
        return rhumb__fail_at(RHUMB_E_NOMEM, log->path, RHUMB_OFFSET_NONE,
                              "no memory for two log buffers of %llu bytes", (unsigned long long)capacity);
    }
    if (log->used_bytes > 0) memcpy(buffer, log->buffer, log->used_bytes);
    rhumb__free(log->buffer);
    rhumb__free(log->spare);
    log->buffer = buffer;
    log->spare = spare;
    log->capacity_bytes = capacity;
    return RHUMB_OK;
}

/* Whether the file is ready, and the buffer has room for that many bytes more; in mode none nothing is buffered. */
static bool has_room(const rhumb__log *log, uint64_t bytes) {
    if (log->durability == RHUMB_DURABILITY_NONE) return log->ready;
    return log->ready && log->used_bytes + log->reserved_bytes + bytes <= log->capacity_bytes;
}

/* Takes one step towards room for that many bytes more: waits, makes the file ready, writes, or grows the buffers. */
static rhumb_status make_room(rhumb__log *log, uint64_t bytes) {
    const uint64_t needed_bytes = log->used_bytes + log->reserved_bytes + bytes;
    if (log->flushing) {
        rhumb__cond_wait(&log->changed, &log->lock);
        return RHUMB_OK;
    }
    if (!log->ready) return rhumb__log_get_ready(log);
    if (needed_bytes > BUFFER_BYTES_MAX && log->used_bytes > 0) return rhumb__log_flush(log, false);
    const rhumb_status status = grow_buffers(log, needed_bytes);
    /* Without memory for more, make room in the present buffer. */
    return status == RHUMB_E_NOMEM && log->used_bytes > 0 ? rhumb__log_flush(log, false) : status;
}

rhumb_status rhumb__log_reserve(rhumb__log *log, uint32_t payload_bytes) {
    rhumb_status status = RHUMB_OK;
    if (payload_bytes > RHUMB__LOG_PAYLOAD_BYTES_MAX) {
        return rhumb__fail(RHUMB_E_INVALID, "an operation of %u bytes: the log takes at most %u", payload_bytes,
                           RHUMB__LOG_PAYLOAD_BYTES_MAX);
    }
    const uint64_t bytes = rhumb__log_record_bytes(payload_bytes);
    rhumb__mutex_lock(&log->lock);
    if (log->lsn >= RHUMB__LOG_LSN_MAX - LSN_RESERVE) {
        status = rhumb__fail_at(RHUMB_E_FULL, log->path, RHUMB_OFFSET_NONE,
                                "operation %llu is among the last there can be", (unsigned long long)log->lsn);
        goto done;
    }
    while (!atomic_load(&log->failed) && !has_room(log, bytes)) RHUMB_TRY(make_room(log, bytes));
    if (atomic_load(&log->failed)) {
        status = rhumb__log_fail_again(log);
    } else {
        log->reserved_bytes += bytes;
        RHUMB_ASSERT_DEBUG(log->durability == RHUMB_DURABILITY_NONE ||
                           log->used_bytes + log->reserved_bytes <= log->capacity_bytes);
    }
done:
    rhumb__mutex_unlock(&log->lock);
    return status;
}

void rhumb__log_release(rhumb__log *log, uint32_t payload_bytes) {
    const uint64_t bytes = rhumb__log_record_bytes(payload_bytes);
    rhumb__mutex_lock(&log->lock);
    RHUMB_ASSERT(log->reserved_bytes >= bytes);
    log->reserved_bytes -= bytes;
    rhumb__mutex_unlock(&log->lock);
}

/* Puts the next record at the end of the buffer. The inner lock is held. */
static void put_record(rhumb__log *log, const rhumb__log_record_header *header, const rhumb__log_operation *operation) {
    const uint64_t bytes = rhumb__log_record_bytes(header->payload_bytes);
    rhumb__mutex_assert_held(&log->lock);
    uint8_t *record = log->buffer + log->used_bytes;
    uint8_t *next = record + sizeof *header;
    RHUMB_ASSERT(log->used_bytes + bytes <= log->capacity_bytes);
    memcpy(record, header, sizeof *header);
    if (operation->head_bytes > 0) memcpy(next, operation->head, operation->head_bytes);
    next += operation->head_bytes;
    if (operation->body_bytes > 0) memcpy(next, operation->body, operation->body_bytes);
    next += operation->body_bytes;
    memset(next, 0, (size_t)(record + bytes - next));
    log->crc = rhumb__log_record_crc(rhumb__log_seed(log->header.salt), record, bytes);
    memcpy(record + offsetof(rhumb__log_record_header, crc), &log->crc, sizeof log->crc);
    log->used_bytes += bytes;
    log->end_offset += bytes;
}

/* The place after the last record. The inner lock is held. */
static rhumb__log_mark mark_now(const rhumb__log *log) {
    return (rhumb__log_mark){.lsn = log->lsn, .offset = log->end_offset, .previous_crc = log->crc};
}

uint64_t rhumb__log_append(rhumb__log *log, const rhumb__log_operation *operation) {
    rhumb__log_mark before;
    return rhumb__log_append_marked(log, operation, &before);
}

uint64_t rhumb__log_append_marked(rhumb__log *log, const rhumb__log_operation *operation, rhumb__log_mark *before_out) {
    const uint32_t head_bytes = operation->head_bytes;
    RHUMB_ASSERT(operation->type >= RHUMB__LOG_INSERT && operation->type <= RHUMB__LOG_BATCH_COMMIT);
    RHUMB_ASSERT(head_bytes <= RHUMB__LOG_PAYLOAD_BYTES_MAX &&
                 operation->body_bytes <= RHUMB__LOG_PAYLOAD_BYTES_MAX - head_bytes);
    const uint32_t payload_bytes = head_bytes + operation->body_bytes;
    const uint64_t bytes = rhumb__log_record_bytes(payload_bytes);
    rhumb__mutex_lock(&log->lock);
    RHUMB_ASSERT(log->reserved_bytes >= bytes);
    log->reserved_bytes -= bytes;
    *before_out = mark_now(log);
    const uint64_t lsn = ++log->lsn;
    if (log->durability != RHUMB_DURABILITY_NONE) {
        const rhumb__log_record_header header = {
            .previous_crc = log->crc,
            .payload_bytes = payload_bytes,
            .type = (uint32_t)operation->type,
            .lsn = lsn,
            .synced_lsn = log->synced_lsn,
            .batch = operation->type == RHUMB__LOG_BATCH_BEGIN ? lsn : operation->batch,
        };
        put_record(log, &header, operation);
    }
    if (log->thread_idle) pthread_cond_signal(&log->tick);
    rhumb__mutex_unlock(&log->lock);
    return lsn;
}

/* ---- durability ---- */

/* Flushes, or waits for the thread that does, until the operation is durable. The lock is held. */
static rhumb_status make_durable(rhumb__log *log, uint64_t lsn) {
    rhumb_status status = RHUMB_OK;
    while (status == RHUMB_OK && log->durable_lsn < lsn) {
        if (atomic_load(&log->failed)) return rhumb__log_fail_again(log);
        if (log->flushing) {
            rhumb__cond_wait(&log->changed, &log->lock);
        } else {
            status = rhumb__log_flush(log, true);
        }
    }
    return status;
}

rhumb_status rhumb__log_wait(rhumb__log *log, uint64_t lsn) {
    rhumb_status status = RHUMB_OK;
    rhumb__mutex_lock(&log->lock);
    if (log->durability == RHUMB_DURABILITY_FULL) {
        status = make_durable(log, lsn);
    } else if (atomic_load(&log->failed) && log->durable_lsn < lsn) {
        status = rhumb__log_fail_again(log);
    }
    rhumb__mutex_unlock(&log->lock);
    return status;
}

rhumb_status rhumb__log_sync(rhumb__log *log) {
    rhumb_status status = RHUMB_OK;
    rhumb__mutex_lock(&log->lock);
    if (atomic_load(&log->failed)) {
        status = rhumb__log_fail_again(log);
    } else if (log->durability != RHUMB_DURABILITY_NONE) {
        status = make_durable(log, log->lsn);
    } else if (log->durable_lsn < log->lsn) {
        status = rhumb__fail_at(RHUMB_E_UNSUPPORTED, log->path, RHUMB_OFFSET_NONE,
                                "without a log only a checkpoint makes operations durable; %llu of %llu are",
                                (unsigned long long)log->durable_lsn, (unsigned long long)log->lsn);
    }
    rhumb__mutex_unlock(&log->lock);
    return status;
}

/* ---- inquiries ---- */

uint64_t rhumb__log_lsn(rhumb__log *log) {
    rhumb__mutex_lock(&log->lock);
    const uint64_t lsn = log->lsn;
    rhumb__mutex_unlock(&log->lock);
    return lsn;
}

uint64_t rhumb__log_durable_lsn(rhumb__log *log) {
    rhumb__mutex_lock(&log->lock);
    const uint64_t lsn = log->durable_lsn;
    rhumb__mutex_unlock(&log->lock);
    return lsn;
}

rhumb__log_mark rhumb__log_mark_now(rhumb__log *log) {
    rhumb__mutex_lock(&log->lock);
    const rhumb__log_mark mark = mark_now(log);
    rhumb__mutex_unlock(&log->lock);
    return mark;
}

void rhumb__log_cover(rhumb__log *log, uint64_t lsn) {
    rhumb__mutex_lock(&log->lock);
    RHUMB_ASSERT(lsn <= log->lsn);
    log->durable_lsn = rhumb__max_u64(log->durable_lsn, lsn);
    log->cut_lsn = rhumb__max_u64(log->cut_lsn, lsn);
    pthread_cond_broadcast(&log->changed);
    rhumb__mutex_unlock(&log->lock);
}

rhumb__log_stats rhumb__log_stats_get(rhumb__log *log) {
    rhumb__mutex_lock(&log->lock);
    const rhumb__log_stats stats = {.bytes = log->end_offset - log->header.first_offset,
                                    .sync_count = log->sync_count,
                                    .synced_count = log->synced_count};
    rhumb__mutex_unlock(&log->lock);
    return stats;
}

bool rhumb__log_failed(const rhumb__log *log) { return atomic_load(&log->failed); }

rhumb_status rhumb__log_check(rhumb__log *log) {
    rhumb_status status = RHUMB_OK;
    rhumb__mutex_lock(&log->lock);
    if (atomic_load(&log->failed)) status = rhumb__log_fail_again(log);
    rhumb__mutex_unlock(&log->lock);
    return status;
}

/* ---- closing ---- */

/* Removes the file of a log whose operations are all in a checkpoint, once the index says that it expects none. If that
 * fails, it stays, and has no effect. So does another file that has taken its name. */
static void remove_file(rhumb__log *log) {
    rhumb_error before;
    rhumb__error_save(&before);
    const uint64_t history = log->begun ? log->header.history : log->index_history;
    rhumb_status status = RHUMB_OK;
    if (log->announce != NULL) status = log->announce(log->announce_context, history, 0, false);
    if (status == RHUMB_OK) status = rhumb__io_remove_own(log->io, log->path);
    if (status == RHUMB_OK) status = rhumb__io_sync_directory(log->backend, log->path);
    if (status != RHUMB_OK) rhumb__error_restore(&before);
}

rhumb_status rhumb__log_close(rhumb__log *log, bool remove) {
    rhumb_status status = RHUMB_OK;
    if (log == NULL) return RHUMB_OK;
    interval_thread_stop(log);
    rhumb__mutex_lock(&log->lock);
    const bool failed = atomic_load(&log->failed);
    const bool removable = remove && !failed && log->lsn == log->cut_lsn;
    const bool unwritten = log->used_bytes > 0 || log->unsynced;
    if (failed && log->durable_lsn < log->lsn) {
        status = rhumb__log_fail_again(log);
    } else if (!failed && unwritten && !removable) {
        status = rhumb__log_flush(log, true);
    }
    rhumb__mutex_unlock(&log->lock);
    if (removable && log->io != NULL) remove_file(log);
    log_free(log);
    return status;
}
