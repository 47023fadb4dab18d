/* log_flush.c - the flusher's work: making the file ready, writing and syncing what has been appended, and cutting.
 *
 * Invariants:
 *   1. The bytes of `buffer` belong at end_offset - used_bytes of the file; everything before that has been written,
 *      was found there, or is being written by the flusher.
 *   2. No record is written before its header is durable and the index knows of it, nor after records that are
 *      not durable: what was found at open is made durable first.
 *   3. A header that drops records is written only when a published checkpoint holds them, and their space is reused
 *      only once that header is durable.
 *
 * Locking: see log_state.h. How it fails: the first failure of io is kept as the cause, and nothing is written after
 * it. Only a failure to draw a salt has no consequences, because nothing has been changed by then.
 */
#include "storage/log/log_state.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/status.h"

rhumb_status rhumb__log_fail_again(const rhumb__log *log) {
    rhumb_error error;
    const rhumb_status status =
        rhumb__fail_at(RHUMB_E_FATAL, log->path, log->cause.file_offset,
                       "the log could not be written, nothing more will be: %s", log->cause.message);
    rhumb__error_save(&error);
    error.os_errno = log->cause.os_errno;
    rhumb__error_restore(&error);
    return status;
}

/* Keeps the calling thread's last failure as the cause; the log has failed from now on. */
static rhumb_status fail_for_good(rhumb__log *log) {
    rhumb__error_save(&log->cause);
    atomic_store(&log->failed, true);
    return rhumb__log_fail_again(log);
}

void rhumb__log_await_role(rhumb__log *log) {
    while (log->flushing) rhumb__cond_wait(&log->changed, &log->lock);
}

static void take_role(rhumb__log *log) {
    rhumb__mutex_assert_held(&log->lock);
    RHUMB_ASSERT(!log->flushing);
    log->flushing = true;
}

static void release_role(rhumb__log *log) {
    rhumb__mutex_assert_held(&log->lock);
    RHUMB_ASSERT_DEBUG(log->flushing);
    log->flushing = false;
    pthread_cond_broadcast(&log->changed);
}

/* Notes that a sync has covered all records up to this one. */
static void note_synced(rhumb__log *log, uint64_t lsn) {
    log->durable_lsn = rhumb__max_u64(log->durable_lsn, lsn);
    RHUMB_ASSERT_DEBUG(log->durable_lsn <= log->lsn);
    if (lsn <= log->synced_lsn) return;
    log->sync_count++;
    log->synced_count += lsn - log->synced_lsn;
    log->synced_lsn = lsn;
}

/* ---- the file: with the role, without the lock ---- */

/* Writes the next generation of `header`, which becomes the log's. */
static rhumb_status advance_header(rhumb__log *log, rhumb__log_header *header) {
    const rhumb_status status = rhumb__log_file_advance(log->io, header, !log->name_durable);
    if (status != RHUMB_OK) return status;
    rhumb__mutex_lock(&log->lock);
    log->header = *header;
    rhumb__mutex_unlock(&log->lock);
    log->name_durable = true;
    return RHUMB_OK;
}

/* A log lies next to its index. If the index has been moved, or another one has taken its name, none is begun there. */
static rhumb_status check_index_is_there(rhumb__log *log) {
    bool is_there = false;
    if (log->index_io == NULL) return RHUMB_OK;
    const rhumb_status status = rhumb__io_is_at(log->index_io, log->index_path, &is_there);
    if (status != RHUMB_OK || is_there) return status;
    return rhumb__fail_at(RHUMB_E_IO, log->index_path, RHUMB_OFFSET_NONE,
                          "the index was opened by this path and is not here any more: it has been moved, removed or "
                          "replaced, so nothing is logged for it; close it, and open it where it is now");
}

static rhumb_status create_file(rhumb__log *log, rhumb__log_header *header) {
    rhumb__io_access access = {.known = false};
    const rhumb_status status = check_index_is_there(log);
    if (status != RHUMB_OK) return status;
    if (log->index_io != NULL) access = rhumb__io_access_get(log->index_io);
    return rhumb__log_file_create(log->backend, log->path, &access, header, &log->io);
}

/* Does to the file what its state asks for, with the next generation of `header`. */
static rhumb_status make_file_ready(rhumb__log *log, rhumb__log_header *header) {
    rhumb_status status = RHUMB_OK;
    /* A crash may have torn one copy of the header that was found, which must be whole before the other is replaced. */
    const bool first_time = log->file_state != RHUMB__LOG_FILE_ABSENT && !log->name_durable;
    if (first_time) RHUMB_TRY(rhumb__log_header_write(log->io, &log->found_header));
    switch (log->file_state) {
    case RHUMB__LOG_FILE_ABSENT: return create_file(log, header);
    case RHUMB__LOG_FILE_FOUND:
        RHUMB_TRY(rhumb__log_file_settle(log->io, header, &log->found));
        rhumb__free(log->found.window);
        log->found.window = NULL;
        break;
    case RHUMB__LOG_FILE_STALE:
        RHUMB_TRY(rhumb__log_file_advance(log->io, header, !log->name_durable));
        rhumb__log_file_trim(log->io, header->first_offset, true);
        break;
    case RHUMB__LOG_FILE_READY: break;
    }
done:
    return status;
}

/* The header with this opening's history, which is drawn now if it has none. */
static rhumb_status begin_header(rhumb__log *log, rhumb__log_header *header) {
    rhumb__mutex_lock(&log->lock);
    *header = log->header;
    const bool begun = log->begun;
    const uint64_t lsn = log->lsn;
    rhumb__mutex_unlock(&log->lock);
    return begun ? RHUMB_OK : rhumb__log_header_begin_history(header, log->index_history, lsn, log->path);
}

static void note_begun(rhumb__log *log, const rhumb__log_header *header, bool in_file) {
    rhumb__mutex_lock(&log->lock);
    log->header = *header;
    log->begun = true;
    log->file_begun = in_file;
    if (in_file && log->file_state == RHUMB__LOG_FILE_FOUND) {
        log->synced_lsn = rhumb__max_u64(log->synced_lsn, log->found.end.lsn);
        log->durable_lsn = rhumb__max_u64(log->durable_lsn, log->found.end.lsn);
    }
    rhumb__mutex_unlock(&log->lock);
}

/* The file first, then the index: a log whose history the index does not know yet has no records of it. */
static rhumb_status make_ready(rhumb__log *log) {
    rhumb_status status = RHUMB_OK;
    rhumb__log_header header;
    const bool without_file = log->file_state == RHUMB__LOG_FILE_ABSENT && log->durability == RHUMB_DURABILITY_NONE;
    if (log->file_state == RHUMB__LOG_FILE_READY && log->announced) return RHUMB_OK;
    RHUMB_TRY(begin_header(log, &header));
    if (!without_file) RHUMB_TRY(make_file_ready(log, &header));
    note_begun(log, &header, !without_file);
    if (without_file) return RHUMB_OK;
    log->name_durable = true;
    log->file_state = RHUMB__LOG_FILE_READY;
    if (!log->announced && log->announce != NULL) {
        RHUMB_TRY(log->announce(log->announce_context, header.history, log->synced_lsn, true));
    }
    log->announced = true;
done:
    return status;
}

static rhumb_status write_records(rhumb__log *log, const uint8_t *bytes, uint64_t bytes_count, uint64_t offset,
                                  bool sync) {
    rhumb_status status;
    RHUMB_TRY(make_ready(log));
    if (bytes_count > 0) {
        log->unsynced = true;
        RHUMB_TRY(rhumb__io_write(log->io, bytes, bytes_count, offset));
    }
    if (sync && log->unsynced) {
        RHUMB_TRY(rhumb__io_sync(log->io));
        log->unsynced = false;
    } else {
        RHUMB_TRY(rhumb__io_drain(log->io));
    }
done:
    return status;
}

/* ---- flushing: with role and lock; releases the lock during io ---- */

static rhumb_status flush_with_role(rhumb__log *log, bool sync) {
    rhumb__mutex_assert_held(&log->lock);
    RHUMB_ASSERT_DEBUG(log->flushing && log->used_bytes <= log->capacity_bytes);
    uint8_t *const bytes = log->buffer;
    const uint64_t bytes_count = log->used_bytes;
    const uint64_t offset = log->end_offset - bytes_count;
    const uint64_t lsn = log->lsn;
    log->buffer = log->spare;
    log->spare = bytes;
    log->used_bytes = 0;
    rhumb__mutex_unlock(&log->lock);
    const rhumb_status status = write_records(log, bytes, bytes_count, offset, sync);
    rhumb__mutex_lock(&log->lock);
    if (status != RHUMB_OK) return fail_for_good(log);
    if (sync) note_synced(log, lsn);
    return RHUMB_OK;
}

rhumb_status rhumb__log_flush(rhumb__log *log, bool sync) {
    if (atomic_load(&log->failed)) return rhumb__log_fail_again(log);
    take_role(log);
    const rhumb_status status = flush_with_role(log, sync);
    release_role(log);
    return status;
}

rhumb_status rhumb__log_get_ready(rhumb__log *log) {
    if (atomic_load(&log->failed)) return rhumb__log_fail_again(log);
    take_role(log);
    const bool absent = log->file_state == RHUMB__LOG_FILE_ABSENT;
    rhumb__mutex_unlock(&log->lock);
    rhumb_status status = make_ready(log);
    rhumb__mutex_lock(&log->lock);
    const bool harmless = status == RHUMB_E_NOMEM || (absent && status != RHUMB_E_FATAL);
    if (status == RHUMB_OK) {
        log->ready = true;
    } else if (!harmless) {
        status = fail_for_good(log);
    }
    release_role(log);
    return status;
}

static rhumb_status forget_with_role(rhumb__log *log) {
    rhumb_status status;
    rhumb__log_header header;
    RHUMB_TRY(begin_header(log, &header));
    if (log->announce != NULL) RHUMB_TRY(log->announce(log->announce_context, header.history, 0, false));
    note_begun(log, &header, false);
    if (log->discarded != NULL) {
        RHUMB_TRY(rhumb__io_remove_own(log->discarded, log->path));
        RHUMB_TRY(rhumb__io_sync_directory(log->backend, log->path));
    }
done:
    return status;
}

rhumb_status rhumb__log_forget_lost(rhumb__log *log) {
    take_role(log);
    rhumb__mutex_unlock(&log->lock);
    const rhumb_status status = forget_with_role(log);
    rhumb__io_close(log->discarded);
    log->discarded = NULL;
    rhumb__mutex_lock(&log->lock);
    release_role(log);
    return status;
}

/* ---- cutting: with role and lock; releases the lock during io ---- */

/* The checkpoint holds every operation of the log, which is restarted. The records in the buffer need not be
 * written. */
static rhumb_status cut_everything(rhumb__log *log, uint64_t lsn) {
    RHUMB_ASSERT_DEBUG(log->flushing && lsn <= log->lsn);
    const bool nothing_there = log->end_offset == log->header.first_offset;
    if (nothing_there && log->file_state != RHUMB__LOG_FILE_STALE) return RHUMB_OK;
    rhumb_status status = rhumb__log_header_renew(&log->header, lsn, log->path);
    if (status != RHUMB_OK) return status;
    log->crc = log->header.first_previous_crc;
    log->end_offset = log->header.first_offset;
    log->used_bytes = 0;
    log->synced_lsn = rhumb__max_u64(log->synced_lsn, lsn);
    log->unsynced = false;
    if (log->file_state == RHUMB__LOG_FILE_ABSENT) return RHUMB_OK;
    log->file_state = RHUMB__LOG_FILE_STALE;
    rhumb__mutex_unlock(&log->lock);
    status = make_ready(log);
    rhumb__mutex_lock(&log->lock);
    return status == RHUMB_OK ? RHUMB_OK : fail_for_good(log);
}

/* Drops the records before the mark. All records are written before the header that refers to them. */
static rhumb_status cut_front(rhumb__log *log, const rhumb__log_mark *mark) {
    const uint64_t lsn = log->lsn;
    RHUMB_ASSERT_DEBUG(mark->offset >= log->header.first_offset && mark->offset <= log->end_offset);
    rhumb_status status = flush_with_role(log, false);
    if (status != RHUMB_OK) return status;
    rhumb__log_header header = log->header;
    header.first_offset = mark->offset;
    header.first_lsn = mark->lsn + 1;
    header.first_previous_crc = mark->previous_crc;
    rhumb__mutex_unlock(&log->lock);
    status = advance_header(log, &header);
    if (status == RHUMB_OK) {
        log->unsynced = false;
        rhumb__log_file_trim(log->io, header.first_offset, false);
    }
    rhumb__mutex_lock(&log->lock);
    if (status != RHUMB_OK) return fail_for_good(log);
    note_synced(log, lsn);
    return RHUMB_OK;
}

rhumb_status rhumb__log_cut(rhumb__log *log, const rhumb__log_mark *mark) {
    rhumb_status status = RHUMB_OK;
    rhumb__mutex_lock(&log->lock);
    RHUMB_ASSERT(mark->lsn <= log->lsn);
    log->durable_lsn = rhumb__max_u64(log->durable_lsn, mark->lsn);
    pthread_cond_broadcast(&log->changed);
    rhumb__log_await_role(log);
    if (atomic_load(&log->failed)) {
        status = rhumb__log_fail_again(log);
        goto done;
    }
    take_role(log);
    const bool whole = log->durability == RHUMB_DURABILITY_NONE || mark->lsn == log->lsn;
    const bool cut_already = mark->lsn < log->header.first_lsn; /* the mark's offset may be older than the salt */
    if (whole && (!cut_already || log->file_state == RHUMB__LOG_FILE_STALE)) {
        status = cut_everything(log, mark->lsn);
    } else if (!whole && !cut_already) {
        status = cut_front(log, mark);
    }
    if (status == RHUMB_OK) log->cut_lsn = rhumb__max_u64(log->cut_lsn, mark->lsn);
    release_role(log);
done:
    rhumb__mutex_unlock(&log->lock);
    return status;
}
