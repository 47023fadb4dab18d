/* log_scan.c - reading the records of a log: which are valid, which are effective, and whether a record that is not
 * valid was never completed or has been damaged.
 *
 * A record is *valid* if its checksum is right and it continues the chain: it has the next LSN and names the checksum
 * of the previous record. The log ends before the first record that is not. Normally that is a torn tail, which was
 * never acknowledged. It is damage if a later record says that the missing one had been synced; a later record can be
 * checked without those between, because its checksum depends on nothing but the salt.
 *
 * Everything is read through a window of fixed size, and a record is checked in the window, so a file that changes
 * during the scan can give a wrong result but not an inconsistent one. Memory grows only with the batches of the log.
 * Holds no lock; owns the memory in rhumb__log_scan.
 */
#include "storage/log/log_scan.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/crc32c.h"
#include "base/status.h"

/* The LSN of a record that proves a missing one was synced is higher by less than this. */
#define EVIDENCE_LSN_DISTANCE_LIMIT (UINT64_C(1) << 32)

/* Bytes that look like a record where there is none have to be checked in full. Real logs have hardly any; a crafted
 * log that has them everywhere is reported as damaged after this many bytes, since reading it could take days. */
#define EVIDENCE_BYTES_MAX (UINT64_C(1) << 30)

/* The types of this version, and those that later ones may add. */
#define EVIDENCE_TYPE_LIMIT 256u

#define BATCH_CAPACITY_MIN 16u

/* ---- the window ---- */

typedef struct window {
    rhumb__io *io;
    uint8_t *bytes; /* RHUMB__LOG_WINDOW_BYTES, not owned */
    uint64_t file_bytes;
    uint64_t offset; /* of the first byte in the window */
    uint64_t count;
} window;

static rhumb_status window_init(window *w, rhumb__io *io, uint8_t *bytes) {
    *w = (window){.io = io, .bytes = bytes};
    return rhumb__io_size(io, &w->file_bytes);
}

static rhumb_status window_move(window *w, uint64_t offset) {
    RHUMB_ASSERT_DEBUG(offset <= w->file_bytes);
    const uint64_t count = rhumb__min_u64(w->file_bytes - offset, RHUMB__LOG_WINDOW_BYTES);
    w->count = 0;
    const rhumb_status status = rhumb__io_read(w->io, w->bytes, count, offset);
    if (status != RHUMB_OK) return status;
    w->offset = offset;
    w->count = count;
    return RHUMB_OK;
}

static inline bool window_has(const window *w, uint64_t offset, uint64_t bytes) {
    return offset >= w->offset && bytes <= w->count && offset - w->offset <= w->count - bytes;
}

/* Whether the file reaches that far. */
static inline bool window_can_have(const window *w, uint64_t offset, uint64_t bytes) {
    return offset <= w->file_bytes && bytes <= w->file_bytes - offset;
}

/* ---- one record ---- */

uint32_t rhumb__log_record_crc(uint32_t seed, const void *record, uint64_t record_bytes) {
    const size_t skipped_bytes = sizeof(uint32_t);
    return rhumb__crc32c(seed, (const uint8_t *)record + skipped_bytes, record_bytes - skipped_bytes);
}

typedef struct record_view {
    rhumb__log_record_header header;
    const uint8_t *payload; /* in the window */
    const uint8_t *bytes;
    uint64_t bytes_count;
} record_view;

/* Reads the record at `offset`, if there is one. It is whole if its checksum is right, whatever its fields say. */
static rhumb_status view_record(window *w, uint32_t seed, uint64_t offset, record_view *view, bool *whole_out) {
    rhumb_status status = RHUMB_OK;
    *whole_out = false;
    if (!window_can_have(w, offset, sizeof view->header)) return RHUMB_OK;
    if (!window_has(w, offset, sizeof view->header)) status = window_move(w, offset);
    if (status != RHUMB_OK) return status;
    memcpy(&view->header, w->bytes + (offset - w->offset), sizeof view->header);
    if (view->header.payload_bytes > RHUMB__LOG_PAYLOAD_BYTES_MAX) return RHUMB_OK;
    view->bytes_count = rhumb__log_record_bytes(view->header.payload_bytes);
    if (!window_can_have(w, offset, view->bytes_count)) return RHUMB_OK;
    if (!window_has(w, offset, view->bytes_count)) status = window_move(w, offset);
    if (status != RHUMB_OK) return status;
    view->bytes = w->bytes + (offset - w->offset);
    view->payload = view->bytes + sizeof view->header;
    /* The window may have been read again, with other bytes: use only those that the checksum covers. */
    if (memcmp(&view->header, view->bytes, sizeof view->header) != 0) return RHUMB_OK;
    *whole_out = rhumb__log_record_crc(seed, view->bytes, view->bytes_count) == view->header.crc;
    return RHUMB_OK;
}

/* Reads the record at a place of the chain. If it is valid, the place moves past it. */
static rhumb_status next_record(window *w, uint32_t seed, rhumb__log_mark *place, record_view *view, bool *valid_out) {
    bool whole = false;
    *valid_out = false;
    rhumb_status status = view_record(w, seed, place->offset, view, &whole);
    if (status != RHUMB_OK || !whole) return status;
    if (view->header.lsn != place->lsn + 1 || view->header.previous_crc != place->previous_crc) return RHUMB_OK;
    if (view->header.type < RHUMB__LOG_INSERT || view->header.type > RHUMB__LOG_BATCH_COMMIT) {
        return rhumb__fail_at(RHUMB_E_VERSION, w->io->path, place->offset,
                              "record %llu of the log has type %u, which this version does not know",
                              (unsigned long long)view->header.lsn, view->header.type);
    }
    place->lsn = view->header.lsn;
    place->offset += view->bytes_count;
    place->previous_crc = view->header.crc;
    *valid_out = true;
    return RHUMB_OK;
}

static bool is_operation(const record_view *view) { return view->header.type <= RHUMB__LOG_DELETE; }

/* ---- batches ---- */

/* The batch's entry, or the empty entry where it would be. The table is never full. */
static rhumb__log_batch *find_batch(const rhumb__log_scan *scan, uint64_t batch) {
    RHUMB_ASSERT_DEBUG(batch != 0 && scan->batch_count < scan->batch_capacity);
    uint64_t i = rhumb__mix64(batch) & (scan->batch_capacity - 1);
    while (scan->batches[i].batch != 0 && scan->batches[i].batch != batch) i = (i + 1) & (scan->batch_capacity - 1);
    return &scan->batches[i];
}

static rhumb_status grow_batches(rhumb__log_scan *scan) {
    rhumb__log_scan grown = *scan;
    grown.batch_capacity = scan->batch_capacity == 0 ? BATCH_CAPACITY_MIN : scan->batch_capacity * 2;
    grown.batches = rhumb__alloc_zeroed(grown.batch_capacity, sizeof *grown.batches);
    if (grown.batches == NULL) {
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for the %llu batches of the log",
                           (unsigned long long)grown.batch_capacity / 2);
    }
    for (uint64_t i = 0; i < scan->batch_capacity; i++) {
        if (scan->batches[i].batch != 0) *find_batch(&grown, scan->batches[i].batch) = scan->batches[i];
    }
    rhumb__free(scan->batches);
    *scan = grown;
    return RHUMB_OK;
}

/* The batch's entry, made if there is none. `batch` is not 0. */
static rhumb_status take_batch(rhumb__log_scan *scan, uint64_t batch, rhumb__log_batch **entry_out) {
    if ((scan->batch_count + 1) * 2 > scan->batch_capacity) {
        const rhumb_status status = grow_batches(scan);
        if (status != RHUMB_OK) return status;
    }
    *entry_out = find_batch(scan, batch);
    if ((*entry_out)->batch == 0) {
        (*entry_out)->batch = batch;
        scan->batch_count++;
    }
    return RHUMB_OK;
}

/* Whether an operation is effective, or may undo one that is. */
static bool is_visited(const rhumb__log_scan *scan, const record_view *view) {
    const bool may_undo = scan->divided && view->header.type == RHUMB__LOG_DELETE;
    if (view->header.batch == 0) return view->header.lsn > scan->checkpoint_lsn || may_undo;
    const rhumb__log_batch *batch = find_batch(scan, view->header.batch);
    return batch->committed || (batch->committed_early && may_undo);
}

/* ---- the scan ---- */

/* Once the records before `tail_next` are reported as synced, it becomes the tail, and the present end the next: so the
 * tail is at most two groups behind the first record that is not. */
static void note_tail(rhumb__log_scan *scan) {
    if (scan->synced_lsn < scan->tail_next.lsn) return;
    scan->tail = scan->tail_next;
    scan->tail_crc = scan->tail_next_crc;
    scan->tail_next = scan->end;
    scan->tail_next_crc = 0;
}

static rhumb_status note_record(rhumb__log_scan *scan, const record_view *view) {
    RHUMB_ASSERT_DEBUG(view->header.lsn == scan->end.lsn && view->header.crc == scan->end.previous_crc);
    scan->record_count++;
    scan->synced_lsn = rhumb__max_u64(scan->synced_lsn, rhumb__min_u64(view->header.synced_lsn, view->header.lsn - 1));
    scan->tail_crc = rhumb__crc32c(scan->tail_crc, view->bytes, view->bytes_count);
    scan->tail_next_crc = rhumb__crc32c(scan->tail_next_crc, view->bytes, view->bytes_count);
    note_tail(scan);
    const uint64_t batch = view->header.batch;
    const bool early = view->header.lsn <= scan->checkpoint_lsn;
    if (batch == 0) {
        if (is_operation(view) && !early) scan->operation_count++;
        if (view->header.type == RHUMB__LOG_DELETE && early) scan->early_delete_count++;
        return RHUMB_OK;
    }
    rhumb__log_batch *entry = NULL;
    const rhumb_status status = take_batch(scan, batch, &entry);
    if (status != RHUMB_OK) return status;
    if (is_operation(view)) entry->operation_count++;
    if (view->header.type == RHUMB__LOG_DELETE) entry->delete_count++;
    if (view->header.type == RHUMB__LOG_BATCH_COMMIT) {
        entry->committed = entry->committed || !early;
        entry->committed_early = entry->committed_early || early;
    }
    return RHUMB_OK;
}

/* Searches the bytes after the end of the chain for a record saying that the next one, or the first after the
 * checkpoint if that is later, had been synced. Most of those bytes are zeros or records that prove nothing, whole or
 * torn, which comparisons reject. Seen from 8 bytes before, such a record has the LSN of a later one (its length and
 * type) and its own LSN as synced, so these two are not enough: its length and type are then two checksums.
 */
static rhumb_status find_evidence(window *w, const rhumb__log_scan *scan, bool *found_out, record_view *evidence,
                                  uint64_t *offset_out) {
    const uint64_t missing = rhumb__max_u64(scan->end.lsn, scan->checkpoint_lsn) + 1;
    uint64_t checked_bytes = 0;
    for (uint64_t offset = scan->end.offset; window_can_have(w, offset, sizeof evidence->header);
         offset += RHUMB__LOG_RECORD_ALIGNMENT) {
        if (!window_has(w, offset, sizeof evidence->header)) {
            const rhumb_status status = window_move(w, offset);
            if (status != RHUMB_OK) return status;
        }
        const uint8_t *bytes = w->bytes + (offset - w->offset);
        uint64_t lsn;
        uint64_t synced_lsn;
        uint32_t payload_bytes;
        uint32_t type;
        memcpy(&lsn, bytes + offsetof(rhumb__log_record_header, lsn), sizeof lsn);
        if (lsn - missing - 1 >= EVIDENCE_LSN_DISTANCE_LIMIT - 1) continue;
        memcpy(&synced_lsn, bytes + offsetof(rhumb__log_record_header, synced_lsn), sizeof synced_lsn);
        if (synced_lsn < missing || synced_lsn >= lsn) continue;
        memcpy(&payload_bytes, bytes + offsetof(rhumb__log_record_header, payload_bytes), sizeof payload_bytes);
        memcpy(&type, bytes + offsetof(rhumb__log_record_header, type), sizeof type);
        if (payload_bytes > RHUMB__LOG_PAYLOAD_BYTES_MAX || type == 0 || type >= EVIDENCE_TYPE_LIMIT) continue;
        const rhumb_status status = view_record(w, scan->seed, offset, evidence, found_out);
        if (status != RHUMB_OK) return status;
        checked_bytes += payload_bytes;
        *found_out = *found_out || checked_bytes > EVIDENCE_BYTES_MAX;
        *offset_out = offset;
        if (*found_out) return RHUMB_OK;
    }
    return RHUMB_OK;
}

static rhumb_status check_tail(window *w, const rhumb__log_scan *scan) {
    record_view evidence;
    uint64_t offset = 0;
    bool found = false;
    rhumb_status status = find_evidence(w, scan, &found, &evidence, &offset);
    if (status != RHUMB_OK || !found) return status;
    return rhumb__fail_at(RHUMB_E_CORRUPT, w->io->path, scan->end.offset,
                          "record %llu of the log is damaged: it should be at byte %llu and had been synced, as record "
                          "%llu at byte %llu says (synced up to %llu)",
                          (unsigned long long)scan->end.lsn + 1, (unsigned long long)scan->end.offset,
                          (unsigned long long)evidence.header.lsn, (unsigned long long)offset,
                          (unsigned long long)evidence.header.synced_lsn);
}

rhumb_status rhumb__log_scan_run(rhumb__io *io, const rhumb__log_header *header, uint64_t checkpoint_lsn,
                                 rhumb__log_scan *scan) {
    rhumb_status status;
    window w;
    record_view view;
    *scan = (rhumb__log_scan){.seed = rhumb__log_seed(header->salt), .checkpoint_lsn = checkpoint_lsn};
    scan->begin.lsn = header->first_lsn - 1;
    scan->begin.offset = header->first_offset;
    scan->begin.previous_crc = header->first_previous_crc;
    scan->end = scan->begin;
    scan->tail = scan->begin;
    scan->tail_next = scan->begin;
    scan->synced_lsn = scan->begin.lsn;
    scan->window = rhumb__alloc_aligned(RHUMB__LOG_WINDOW_BYTES, 1, RHUMB__LOG_HEADER_BYTES);
    if (scan->window == NULL) {
        return rhumb__fail_at(RHUMB_E_NOMEM, io->path, RHUMB_OFFSET_NONE, "no memory for reading the log");
    }
    RHUMB_TRY(window_init(&w, io, scan->window));
    for (bool valid = true; valid;) {
        RHUMB_TRY(next_record(&w, scan->seed, &scan->end, &view, &valid));
        if (valid) RHUMB_TRY(note_record(scan, &view));
    }
    if (w.file_bytes > scan->end.offset) scan->left_bytes = w.file_bytes - scan->end.offset;
    RHUMB_TRY(check_tail(&w, scan));
done:
    /* The batches committed before the end of the chain are effective, whatever has ended it. */
    for (uint64_t i = 0; i < scan->batch_capacity; i++) {
        const rhumb__log_batch *batch = &scan->batches[i];
        if (batch->committed) {
            scan->operation_count += batch->operation_count;
            scan->divided = scan->divided || batch->batch <= scan->checkpoint_lsn;
        } else if (batch->committed_early) {
            scan->early_delete_count += batch->delete_count;
        }
    }
    if (scan->divided) scan->operation_count += scan->early_delete_count;
    return status;
}

rhumb_status rhumb__log_scan_visit(rhumb__io *io, const rhumb__log_scan *scan, rhumb__log_visit visit, void *context) {
    rhumb_status status;
    window w;
    record_view view;
    rhumb__log_mark place = scan->begin;
    uint8_t *bytes = rhumb__alloc_aligned(RHUMB__LOG_WINDOW_BYTES, 1, RHUMB__LOG_HEADER_BYTES);
    if (bytes == NULL) {
        return rhumb__fail_at(RHUMB_E_NOMEM, io->path, RHUMB_OFFSET_NONE, "no memory for reading the log");
    }
    RHUMB_ASSERT_DEBUG(scan->begin.lsn <= scan->end.lsn && scan->begin.offset <= scan->end.offset);
    RHUMB_TRY(window_init(&w, io, bytes));
    while (place.lsn < scan->end.lsn) {
        bool valid = false;
        RHUMB_TRY(next_record(&w, scan->seed, &place, &view, &valid));
        if (!valid) {
            status = rhumb__fail_at(RHUMB_E_CORRUPT, io->path, place.offset,
                                    "record %llu of the log is not what it was when the log was opened",
                                    (unsigned long long)place.lsn + 1);
            goto done;
        }
        if (!is_operation(&view) || !is_visited(scan, &view)) continue;
        const rhumb__log_record record = {.type = (rhumb__log_type)view.header.type,
                                          .lsn = view.header.lsn,
                                          .batch = view.header.batch,
                                          .payload = view.payload,
                                          .payload_bytes = view.header.payload_bytes};
        RHUMB_TRY(visit(context, &record));
    }
done:
    rhumb__free(bytes);
    return status;
}

void rhumb__log_scan_clear(rhumb__log_scan *scan) {
    rhumb__free(scan->batches);
    rhumb__free(scan->window);
    *scan = (rhumb__log_scan){0};
}
