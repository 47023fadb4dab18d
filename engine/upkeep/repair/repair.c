/* repair.c - see repair.h.
 *
 *   1. place     the vectors that can be saved, one after the other, as recovery places those of a log
 *   2. log       the operations that only the log of the old index had
 *   3. groups    of equal vectors, found again: what the old file says of copies and anchors is not read (regroup.c)
 *   4. lists     of level 0, with the new slots
 *   5. mend      those that named what has gone, from the lists of the neighbours that they still name
 *   6. link      the nodes whose lists are incomplete all the same, and those that no path leads to
 *   7. publish   all of it, as one version
 *
 * No version has any of it until step 7, which gives the file its name; a failure removes it, and a crash leaves it
 * under its working name. The new index has all of it as one batch of inserts.
 *
 * Owns the new graph until it is closed or abandoned, and the map from old slots to new ones. Locks: no other thread
 * knows the new graph; the old file is locked as salvage_file.h says.
 */
#include "engine/upkeep/repair/repair.h"
#include "engine/durability/lifetime.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/status.h"
#include "engine/build/open_batch.h"
#include "engine/build/place.h"
#include "engine/build/remove.h"
#include "engine/durability/checkpoint.h"
#include "engine/durability/metadata.h"
#include "engine/graph/tombstones.h"
#include "engine/upkeep/mend_neighbours.h"
#include "engine/upkeep/rebuild.h"
#include "engine/upkeep/regroup.h"
#include "engine/upkeep/relink.h"
#include "engine/upkeep/repair/salvage.h"
#include "engine/upkeep/repair/salvage_log.h"
#include "engine/upkeep/spill.h"

/* How much of a section is read at a time. */
#define READ_BYTES (UINT64_C(1) << 20)

/* Vectors that are placed, then written. */
#define WRITE_BYTES (UINT64_C(16) << 20)

typedef struct repair {
    const rhumb__repair_spec *spec;
    rhumb__repair_result *result;
    rhumb__salvage *salvage;
    rhumb__salvage_log log;
    rhumb__graph *graph;
    rhumb__scratch_pool pool;
    rhumb__progress progress;
    uint8_t *rows;              /* of the old file: READ_BYTES, or one row if that is longer */
    uint8_t *row;               /* a prepared row of the space */
    uint8_t *vector;            /* components, aligned */
    uint32_t *map;              /* by old slot: the new one, or RHUMB__SLOT_NONE */
    uint64_t *doubtful;         /* one bit per new slot */
    uint64_t *incomplete;       /* one bit per new slot: its list on level 0 lacks something */
    uint16_t *before_counts;    /* by new slot: the length of an old list that named what has gone */
    uint64_t slot_limit;        /* the bitmaps have a bit for each new slot below it */
    uint64_t replay_slot_begin; /* new slots from here on come from the log */
    rhumb__spill spill;         /* of the new graph */
    uint64_t written_bytes;     /* ahead of the version */
    bool pool_ready;
} repair;

/* ---- preparation ---- */

/* The stride of a section in the new graph, which is that in the old file. */
static uint64_t row_stride(const repair *r, uint32_t section_id) {
    return r->graph->sections[section_id].row_stride_bytes;
}

static rhumb_status repair_reserve(repair *r) {
    const rhumb__space *space = &r->salvage->space;
    const uint64_t slot_count = r->salvage->counts.slot_count;
    /* Each operation of the log takes at most one slot. */
    r->slot_limit = rhumb__max_u64(slot_count + r->log.operation_count, 1);
    const uint64_t word_count = rhumb__divide_up(r->slot_limit, 64);
    const uint64_t row_bytes =
        rhumb__max_u64(row_stride(r, RHUMB__SECTION_VECTORS), row_stride(r, RHUMB__SECTION_LISTS0));
    r->rows = rhumb__alloc_aligned(rhumb__max_u64(READ_BYTES, row_bytes), 1, 64);
    r->row = rhumb__alloc_aligned(space->row_bytes, 1, 64);
    r->vector = rhumb__alloc_aligned(space->vector_bytes, 1, 64);
    r->map = rhumb__alloc_zeroed(rhumb__max_u64(slot_count, 1), sizeof *r->map);
    r->doubtful = rhumb__alloc_zeroed(word_count, sizeof(uint64_t));
    r->incomplete = rhumb__alloc_zeroed(word_count, sizeof(uint64_t));
    r->before_counts = rhumb__alloc_zeroed(r->slot_limit, sizeof *r->before_counts);
    if (r->rows == NULL || r->row == NULL || r->vector == NULL || r->map == NULL || r->doubtful == NULL ||
        r->incomplete == NULL || r->before_counts == NULL) {
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for repairing %llu slots", (unsigned long long)slot_count);
    }
    memset(r->map, 0xFF, slot_count * sizeof *r->map);
    memset(r->incomplete, 0xFF, word_count * sizeof(uint64_t));
    return RHUMB_OK;
}

static rhumb_status repair_begin(repair *r) {
    rhumb_status status;
    rhumb__repair_result *result = r->result;
    RHUMB_TRY(rhumb__salvage_open(r->spec->path, &r->spec->custom, &r->salvage));
    const rhumb__salvage *salvage = r->salvage;
    result->epoch = salvage->file->superblock.epoch;
    result->older_version = salvage->older;
    memcpy(result->version_note, salvage->version_note, sizeof result->version_note);
    /* Before the long part, so that a name that exists is reported immediately. */
    const rhumb__graph_options options = {.durability = RHUMB_DURABILITY_NONE};
    const rhumb__io_access access = rhumb__io_access_get(salvage->file->io);
    const rhumb__graph_creation creation = {.path = r->spec->new_path,
                                            .working_suffix = "-repairing",
                                            .access = &access,
                                            .creator_version = r->spec->creator_version};
    RHUMB_TRY(rhumb__graph_begin(&creation, &salvage->params, &options, &r->graph));
    rhumb__scratch_pool_init(&r->pool, r->graph);
    r->pool_ready = true;
    const uint64_t chunk_count = rhumb__salvage_chunk_count(salvage);
    r->progress = (rhumb__progress){.report = r->spec->progress,
                                    .context = r->spec->progress_context,
                                    .total_count = rhumb__max_u64(chunk_count + 3 * salvage->counts.slot_count, 1)};
    RHUMB_TRY(rhumb__salvage_load(r->salvage, &r->progress));
    result->checksums_lost = salvage->file->checksums_lost;
    result->chunk_count = salvage->file->damage.chunk_count;
    result->damaged_chunk_count = salvage->file->damage.damaged_count;
    result->slot_count = salvage->counts.slot_count;
    memcpy(result->first_damage, salvage->file->damage.first_damage, sizeof result->first_damage);
    if (r->spec->strict && salvage->file->checksums_lost) {
        status = rhumb__fail_at(RHUMB_E_CORRUPT, salvage->file->path, salvage->file->directory->checksum_offset,
                                "the table of chunk checksums is damaged, so nothing can be proved to be intact");
        goto done;
    }
    RHUMB_TRY(rhumb__salvage_log_open(salvage->file, salvage->counts.lsn, &r->log));
    status = repair_reserve(r);
done:
    return status;
}

/* ---- placing ---- */

/* Of two slots with the same key the higher one is newer and replaces the other, unless it is doubtful and the other is
 * not. Returns whether to save the current slot, which is the higher one. */
static bool settle_duplicate(repair *r, uint64_t key, const rhumb__salvage_verdict *verdict) {
    const uint32_t present = rhumb__key_table_find(&r->graph->key_table, key);
    if (present == RHUMB__SLOT_NONE) return true;
    r->result->duplicate_count++;
    const bool present_doubtful = rhumb__bit_get(r->doubtful, present);
    if (verdict->doubtful && !present_doubtful) return false;
    r->result->saved_count--;
    if (present_doubtful) r->result->doubtful_count--;
    return true;
}

static rhumb_status save_slot(repair *r, uint32_t slot, const rhumb__salvage_verdict *verdict) {
    const uint64_t key = r->salvage->keys[slot];
    if (r->spec->strict && (verdict->doubtful || verdict->unproved)) {
        return rhumb__fail_at(RHUMB_E_CORRUPT, r->salvage->file->path, RHUMB_OFFSET_NONE,
                              "slot %u, key %llu: it cannot be proved %s", slot, (unsigned long long)key,
                              verdict->doubtful ? "that it was not deleted" : "that this is its key");
    }
    if (!settle_duplicate(r, key, verdict)) return RHUMB_OK;
    const uint32_t new_slot = (uint32_t)r->graph->counts.slot_count;
    RHUMB_ASSERT_DEBUG(new_slot < r->slot_limit && slot < r->salvage->counts.slot_count);
    rhumb_status status = rhumb__graph_place(r->graph, key, r->row, true);
    if (status != RHUMB_OK) return status;
    r->map[slot] = new_slot;
    r->result->saved_count++;
    if (verdict->unproved) r->result->unproved_count++;
    if (verdict->doubtful) {
        r->result->doubtful_count++;
        rhumb__bit_set(r->doubtful, new_slot);
    }
    return RHUMB_OK;
}

static rhumb_status place_slot(repair *r, uint32_t slot, const uint8_t *stored_row) {
    const rhumb__salvage_verdict verdict = rhumb__salvage_judge(r->salvage, slot, stored_row, r->row);
    switch (verdict.fate) {
    case RHUMB__SALVAGE_DEAD: r->result->dead_count++; break;
    case RHUMB__SALVAGE_LOST_VECTOR: r->result->lost_vector_count++; break;
    case RHUMB__SALVAGE_LOST_KEY: r->result->lost_key_count++; break;
    case RHUMB__SALVAGE_SAVED: return save_slot(r, slot, &verdict);
    }
    return RHUMB_OK;
}

/* Writes the placed rows that are not in the new file yet, once they are many, which releases their memory. */
static rhumb_status write_ahead(repair *r) {
    const rhumb__section *vectors = &r->graph->sections[RHUMB__SECTION_VECTORS];
    const uint64_t placed_bytes = r->graph->counts.slot_count * vectors->row_stride_bytes;
    if (placed_bytes < vectors->settled_bytes + WRITE_BYTES) return RHUMB_OK;
    return rhumb__rebuild_write_ahead(r->graph, true, &r->written_bytes);
}

/* Called for each row of a section, in order. */
typedef rhumb_status (*row_visit)(repair *r, uint32_t slot, const uint8_t *stored_row);

static rhumb_status visit_rows(repair *r, uint32_t section_id, row_visit visit) {
    rhumb_status status = RHUMB_OK;
    const uint64_t stride = row_stride(r, section_id);
    const uint64_t slot_count = r->salvage->counts.slot_count;
    const uint64_t rows_per_read = rhumb__max_u64(READ_BYTES / stride, 1);
    for (uint64_t first = 0; first < slot_count; first += rows_per_read) {
        const uint64_t count = rhumb__min_u64(slot_count - first, rows_per_read);
        RHUMB_TRY(rhumb__salvage_read_rows(r->salvage, section_id, first, count, r->rows));
        for (uint64_t i = 0; i < count; i++) RHUMB_TRY(visit(r, (uint32_t)(first + i), r->rows + i * stride));
        if (section_id == RHUMB__SECTION_VECTORS) RHUMB_TRY(write_ahead(r));
        RHUMB_TRY(rhumb__progress_advance(&r->progress, section_id == RHUMB__SECTION_VECTORS ? count : 0));
    }
done:
    return status;
}

/* ---- lists ---- */

static rhumb_status restore_list(repair *r, uint32_t slot, const uint8_t *stored_row) {
    uint32_t slots[RHUMB__M0_MAX];
    uint32_t row[RHUMB__M0_MAX];
    uint32_t count = 0;
    if (r->map[slot] == RHUMB__SLOT_NONE) return RHUMB_OK;
    memcpy(row, stored_row, r->salvage->params.M0 * sizeof *row);
    if (!rhumb__salvage_read_list(r->salvage, slot, row, slots, &count)) {
        r->result->lists_rebuilt_count++;
        return RHUMB_OK;
    }
    const rhumb__rebuild_lists lists = {.graph = r->graph,
                                        .map = r->map,
                                        .old_count = (uint32_t)r->salvage->counts.slot_count,
                                        .incomplete = r->incomplete,
                                        .before_counts = r->before_counts};
    rhumb__rebuild_list(&lists, slot, slots, count);
    return RHUMB_OK;
}

/* ---- the log ---- */

static rhumb_status fail_record(const repair *r, const rhumb__log_record *record) {
    return rhumb__fail_at(RHUMB_E_CORRUPT, r->log.io->path, RHUMB_OFFSET_NONE,
                          "the log's operation %llu does not fit the index", (unsigned long long)record->lsn);
}

/* Unlike recovery, treats an insert of a key that exists as an upsert, and ignores a delete of a key that does not: the
 * operation may presuppose a slot that is lost or doubtful. Batches that the version divides are treated as in
 * recovery. */
static rhumb_status carry_over(void *context, const rhumb__log_record *record) {
    repair *r = context;
    uint64_t key = 0;
    const rhumb__space *space = &r->salvage->space;
    const bool is_delete = record->type == RHUMB__LOG_DELETE;
    if (record->payload_bytes != sizeof key + (is_delete ? 0 : space->vector_bytes)) return fail_record(r, record);
    memcpy(&key, record->payload, sizeof key);
    const bool early = record->lsn <= r->log.scan.checkpoint_lsn;
    if (is_delete) {
        rhumb__graph_delete_replayed(r->graph, key, early ? r->replay_slot_begin : 0);
    } else if (key == RHUMB_KEY_NONE) {
        return fail_record(r, record);
    } else if (!early || rhumb__key_table_find(&r->graph->key_table, key) == RHUMB__SLOT_NONE) {
        memcpy(r->vector, record->payload + sizeof key, space->vector_bytes);
        if (rhumb__space_restore(space, r->vector, r->row) != RHUMB_OK) return fail_record(r, record);
        const rhumb_status status = rhumb__graph_place(r->graph, key, r->row, true);
        if (status != RHUMB_OK) return status;
    }
    r->result->log_carried_count++;
    return RHUMB_OK;
}

/* Carries over the log, up to the first operation that turns out to be damaged. */
static rhumb_status replay(repair *r) {
    rhumb_error before;
    rhumb__repair_result *result = r->result;
    rhumb__error_save(&before);
    r->replay_slot_begin = r->graph->counts.slot_count;
    rhumb_status status = rhumb__salvage_log_visit(&r->log, carry_over, r);
    result->log_left_out_count = r->log.left_out_count + (r->log.operation_count - result->log_carried_count);
    memcpy(result->log_note, r->log.note, sizeof result->log_note);
    if (status == RHUMB_E_CORRUPT || status == RHUMB_E_IO || status == RHUMB_E_TRUNCATED) {
        snprintf(result->log_note, sizeof result->log_note, "%.500s", rhumb__error_last()->message);
        rhumb__error_restore(&before);
        status = RHUMB_OK;
    }
    return status;
}

/* ---- linking and publishing ---- */

/* Mends the lists that can be mended. Returns how many in *mended_count_out. */
static rhumb_status mend_all(repair *r, uint64_t *mended_count_out) {
    const rhumb__mend_job job = {.graph = r->graph,
                                 .pool = &r->pool,
                                 .before_counts = r->before_counts,
                                 .incomplete = r->incomplete,
                                 .thread_count = r->spec->thread_count,
                                 .progress = &r->progress};
    return rhumb__mend_all(&job, mended_count_out);
}

static rhumb_status link_all(repair *r) {
    rhumb__repair_result *result = r->result;
    rhumb__relink_result relinked;
    uint64_t mended_count = 0;
    const rhumb__relink_spec spec = {
        .pool = &r->pool,
        .incomplete = r->incomplete,
        .thread_count = r->spec->thread_count,
        .progress = &r->progress,
        .progress_begin = r->progress.done_count,
    };
    rhumb_status status = mend_all(r, &mended_count);
    if (status != RHUMB_OK) return status;
    status = rhumb__relink(r->graph, &spec, &relinked);
    result->relinked_count = mended_count + relinked.relinked_count;
    result->unreachable_count = relinked.unreachable_count;
    return status;
}

/* Takes over the metadata. The superblock's checksum is right, so only a crafted file can have impossible metadata; the
 * new index then has none. No other thread knows the new graph yet. */
static void take_metadata(repair *r) {
    rhumb_error before;
    const rhumb__salvage_file *file = r->salvage->file;
    rhumb__error_save(&before);
    if (rhumb__metadata_decode(&file->superblock, file->path, &r->graph->metadata) != RHUMB_OK) {
        rhumb__error_restore(&before);
    }
}

static rhumb_status repair_publish(repair *r, rhumb__open_batch *batch) {
    rhumb_status status;
    uint64_t lsn = 0;
    rhumb__graph *graph = r->graph;
    RHUMB_TRY(rhumb__progress_report(&r->progress, r->progress.total_count));
    rhumb__mutex_lock(&graph->append_lock);
    graph->counts.key_next = rhumb__max_u64(graph->counts.key_next, r->salvage->counts.key_next);
    rhumb__mutex_unlock(&graph->append_lock);
    take_metadata(r);
    RHUMB_TRY(rhumb__open_batch_commit(graph, batch, &lsn));
    RHUMB_TRY(rhumb__checkpoint_forced(graph->writer, false));
    r->result->count = rhumb__graph_live_count(graph);
done:
    return status;
}

static rhumb_status repair_run(repair *r) {
    rhumb_status status;
    rhumb__open_batch batch = {0};
    RHUMB_TRY(repair_begin(r));
    RHUMB_TRY(rhumb__open_batch_begin(r->graph, 0, &batch));
    rhumb__spill_begin(r->graph, r->slot_limit, &r->spill);
    RHUMB_TRY(visit_rows(r, RHUMB__SECTION_VECTORS, place_slot));
    RHUMB_TRY(replay(r));
    RHUMB_TRY(rhumb__regroup(r->graph, &r->progress));
    RHUMB_TRY(visit_rows(r, RHUMB__SECTION_LISTS0, restore_list));
    RHUMB_TRY(link_all(r));
    status = repair_publish(r, &batch);
done:
    rhumb__free(batch.slots);
    return status;
}

rhumb_status rhumb__repair(const rhumb__repair_spec *spec, rhumb__repair_result *result) {
    memset(result, 0, sizeof *result);
    repair r = {.spec = spec, .result = result};
    const rhumb_status status = repair_run(&r);
    rhumb__spill_end(&r.spill);
    if (r.pool_ready) rhumb__scratch_pool_destroy(&r.pool);
    if (status == RHUMB_OK) {
        rhumb__graph_close(r.graph);
    } else if (r.graph != NULL) {
        rhumb__graph_abandon(r.graph);
    }
    rhumb__salvage_log_close(&r.log);
    rhumb__salvage_close(r.salvage);
    rhumb__free(r.rows);
    rhumb__free(r.row);
    rhumb__free(r.vector);
    rhumb__free(r.map);
    rhumb__free(r.doubtful);
    rhumb__free(r.incomplete);
    rhumb__free(r.before_counts);
    return status;
}
