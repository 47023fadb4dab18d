/* checkpoint.c - see checkpoint.h.
 *
 * A version is a prefix of the operations: those up to a number L in the log. With them goes a number of slots, C: it
 * holds the slots below C whole and knows nothing of those above. To get there while everything goes on:
 *   1. Hold up deletes, upserts, and batches that are all or nothing, for as long as those under way take. Under
 * append_lock, read L, C and all counts that belong to them. Copy the tombstones, which are one bit per slot. From now
 * on deletes leave the key table as it is (see remove.c), and it does not grow: a split moves entries between chunks,
 * of which one may be copied already. Let everybody go on; inserts from now on get slots from C up.
 *   2. Wait until the inserts below C have finished. They were under way, so this takes as long as one insert does.
 *   3. The store copies chunk by chunk under the chunk's lock; the filter below removes from each copy what belongs to
 * slots from C up, and puts the tombstones of step 1 in the place of newer ones. A chunk that lost something that way
 * stays dirty, because memory has more than the file. A list that lost a link to a slot above C may have dropped
 * another for it when it was pruned, so the image's list can be a link shorter than it might be. It is still a sound
 * list.
 *   4. Let the log begin behind L, and let the key table catch up.
 *
 * So the file shows exactly the operations up to L. The log need not be durable as far as L before the version is.
 *
 * Locks: checkpoint_lock; key_table.split_lock throughout; for step 1 batch_lock and removal_lock, exclusive; what the
 * store and the log take.
 */
#include "engine/durability/checkpoint.h"
#include "engine/build/writer.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log_message.h"
#include "base/status.h"
#include "engine/build/remove.h"
#include "engine/durability/background.h"
#include "engine/durability/metadata.h"
#include "engine/durability/recover.h"
#include "engine/graph/active.h"
#include "engine/graph/tombstones.h"
#include "storage/publish/publish.h"

/* Nodes from the log that are linked before a close, which then waits for a second or so; with more it leaves the log
 * as it is. */
#define LAST_LINK_COUNT_MAX 4096u

/* What a version holds. */
typedef struct version {
    rhumb__counts counts;
    rhumb__log_mark log_end;
    uint8_t *tombstones; /* the section's rows as they were in step 1 */
    uint64_t tombstone_row_count;
    uint64_t begin_ns;
    uint64_t pause_ns;
    uint64_t written_bytes;
} version;

static bool is_zero(const uint8_t *bytes, size_t bytes_count) {
    for (size_t i = 0; i < bytes_count; i++) {
        if (bytes[i] != 0) return false;
    }
    return true;
}

/* Removes slots from `slot_limit` up from a list of the copy; the rest moves together. */
static bool filter_list(uint32_t *slots, uint32_t capacity, uint64_t slot_limit) {
    uint32_t kept_count = 0;
    uint32_t count = 0;
    for (; count < capacity && slots[count] != RHUMB__SLOT_NONE; count++) {
        if (slots[count] < slot_limit) slots[kept_count++] = slots[count];
    }
    for (uint32_t i = kept_count; i < count; i++) slots[i] = RHUMB__SLOT_NONE;
    return kept_count != count;
}

static bool filter_bucket(rhumb__key_bucket *bucket, const rhumb__counts *counts) {
    bool changed = false;
    const uint32_t count = bucket->count < RHUMB__KEY_BUCKET_PLACES ? bucket->count : RHUMB__KEY_BUCKET_PLACES;
    uint32_t kept_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (bucket->slots[i] >= counts->slot_count) continue;
        bucket->slots[kept_count] = bucket->slots[i];
        bucket->tags[kept_count] = bucket->tags[i];
        kept_count++;
    }
    if (kept_count != bucket->count) {
        memset(bucket->slots + kept_count, 0, (RHUMB__KEY_BUCKET_PLACES - kept_count) * sizeof(uint32_t));
        memset(bucket->tags + kept_count, 0, RHUMB__KEY_BUCKET_PLACES - kept_count);
        bucket->count = kept_count;
        changed = true;
    }
    if (bucket->next > counts->key_overflow_count) {
        bucket->next = 0;
        changed = true;
    }
    return changed;
}

/* Puts the tombstones of the version in the place of those of now. */
static bool filter_tombstones(const version *v, uint64_t row, uint8_t *bits) {
    const uint8_t *then = v->tombstones + row * RHUMB__TOMBSTONE_ROW_BYTES;
    if (memcmp(bits, then, RHUMB__TOMBSTONE_ROW_BYTES) == 0) return false;
    memcpy(bits, then, RHUMB__TOMBSTONE_ROW_BYTES);
    return true;
}

/* The store's filter: what the version does not know is taken out of the copy. The store itself clears rows behind the
 * published ones; they count as a change when they were in use. */
static bool filter_rows(void *context, const rhumb__section *section, uint64_t first_row, uint8_t *rows,
                        uint64_t row_count) {
    const version *v = context;
    const rhumb__counts *counts = &v->counts;
    bool changed = false;
    for (uint64_t i = 0; i < row_count; i++) {
        uint8_t *row = rows + i * section->row_stride_bytes;
        uint64_t row_limit = 0;
        switch (section->spec.id) {
        case RHUMB__SECTION_LISTS0: row_limit = counts->slot_count; break;
        case RHUMB__SECTION_LISTS_UPPER: row_limit = counts->upper_row_count; break;
        case RHUMB__SECTION_TOMBSTONES: row_limit = v->tombstone_row_count; break;
        case RHUMB__SECTION_KEY_BUCKETS: row_limit = counts->key_bucket_count; break;
        default: row_limit = counts->key_overflow_count; break;
        }
        if (first_row + i >= row_limit) {
            changed = changed || !is_zero(row, section->row_stride_bytes);
        } else if (section->spec.id == RHUMB__SECTION_TOMBSTONES) {
            changed = filter_tombstones(v, first_row + i, row) || changed;
        } else if (section->spec.id == RHUMB__SECTION_LISTS0 || section->spec.id == RHUMB__SECTION_LISTS_UPPER) {
            changed = filter_list((uint32_t *)row, (uint32_t)(section->row_stride_bytes / sizeof(uint32_t)),
                                  counts->slot_count) ||
                      changed;
        } else {
            changed = filter_bucket((rhumb__key_bucket *)row, counts) || changed;
        }
    }
    return changed;
}

/* Room for the tombstones, taken before anybody is held up. Slots that come until step 1 need a little more. */
static rhumb_status reserve_tombstones(version *v, uint64_t row_count) {
    if (row_count <= v->tombstone_row_count && v->tombstones != NULL) return RHUMB_OK;
    rhumb__free(v->tombstones);
    v->tombstone_row_count = row_count + row_count / 16 + 16;
    v->tombstones = rhumb__alloc_zeroed(v->tombstone_row_count, RHUMB__TOMBSTONE_ROW_BYTES);
    if (v->tombstones != NULL) return RHUMB_OK;
    return rhumb__fail(RHUMB_E_NOMEM, "no memory for the tombstones of a checkpoint");
}

/* Step 1, with everybody held up who must be. */
static rhumb_status fix_held(rhumb__graph *graph, version *v) {
    rhumb__mutex_lock(&graph->append_lock);
    v->counts = graph->counts;
    if (graph->writer->log != NULL) v->log_end = rhumb__log_mark_now(graph->writer->log);
    rhumb__mutex_unlock(&graph->append_lock);
    v->counts.lsn = v->log_end.lsn;
    /* Only a file that was made to say so comes near it; a version beyond it would not open again. */
    if (v->counts.lsn > RHUMB__LOG_LSN_MAX) {
        return rhumb__fail(RHUMB_E_FULL, "operation %llu is more than there can be", (unsigned long long)v->counts.lsn);
    }
    v->counts.dead_count = atomic_load(&graph->dead_count);
    const uint64_t row_count = rhumb__tombstone_row_count(v->counts.slot_count);
    rhumb_status status = reserve_tombstones(v, row_count);
    if (status != RHUMB_OK) return status;
    v->tombstone_row_count = row_count;
    if (row_count > 0) memcpy(v->tombstones, graph->tombstones.base, row_count * RHUMB__TOMBSTONE_ROW_BYTES);
    rhumb__removals_defer(graph);
    return RHUMB_OK;
}

/* Steps 1 and 2. Leaves split_lock held on success. */
static rhumb_status fix(rhumb__graph *graph, version *v) {
    rhumb_status status = reserve_tombstones(v, rhumb__tombstone_row_count(rhumb__graph_slot_count(graph)));
    if (status != RHUMB_OK) return status;
    rhumb__mutex_lock(&graph->key_table.split_lock);
    const uint64_t begin_ns = rhumb__clock_now_ns();
    rhumb__rwlock_wrlock(&graph->writer->batch_lock);
    rhumb__rwlock_wrlock(&graph->removal_lock);
    status = fix_held(graph, v);
    rhumb__rwlock_unlock(&graph->removal_lock);
    rhumb__rwlock_unlock(&graph->writer->batch_lock);
    v->pause_ns = rhumb__clock_now_ns() - begin_ns;
    if (status != RHUMB_OK) {
        rhumb__mutex_unlock(&graph->key_table.split_lock);
        return status;
    }
    rhumb__active_wait(graph, v->counts.slot_count);
    v->counts.key_bucket_count = atomic_load_explicit(&graph->key_table.bucket_count, memory_order_acquire);
    rhumb__mutex_lock(&graph->key_table.overflow_lock);
    v->counts.key_overflow_count = graph->key_table.overflow_count;
    rhumb__mutex_unlock(&graph->key_table.overflow_lock);
    return RHUMB_OK;
}

static void note_success(rhumb__graph *graph, const version *v, uint64_t written_bytes) {
    rhumb__writer *writer = graph->writer;
    writer->published_lsn = v->counts.lsn;
    writer->exchanged = false;
    rhumb__checkpoint_stats *stats = &writer->checkpoint_stats;
    rhumb__mutex_lock(&writer->stats_lock);
    stats->count++;
    stats->lsn = v->counts.lsn;
    stats->bytes = written_bytes;
    stats->ns = rhumb__clock_now_ns() - v->begin_ns;
    stats->pause_ns = v->pause_ns;
    if (v->pause_ns > stats->pause_max_ns) stats->pause_max_ns = v->pause_ns;
    rhumb__mutex_unlock(&writer->stats_lock);
}

/* Step 3. */
static rhumb_status publish(rhumb__graph *graph, version *v, bool pull_down) {
    rhumb__publication *publication = rhumb__alloc_zeroed(1, sizeof *publication);
    if (publication == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for a checkpoint");
    const rhumb__counts *counts = &v->counts;
    /* In the order in which graph.c attaches the sections. */
    const uint64_t row_counts[] = {counts->slot_count,         counts->slot_count,      counts->slot_count,
                                   counts->slot_count,         counts->upper_row_count, counts->key_bucket_count,
                                   counts->key_overflow_count, v->tombstone_row_count};
    memcpy(publication->row_counts, row_counts, sizeof row_counts);
    rhumb__params_encode(&graph->params, counts, publication->client);
    const rhumb__metadata *metadata = graph->metadata_next != NULL ? graph->metadata_next : &graph->metadata;
    publication->features_read = rhumb__metadata_encode(metadata, publication->client);
    publication->filter = filter_rows;
    publication->filter_context = v;
    publication->bytes_per_second = graph->writer->options.checkpoint_bytes_per_second;
    publication->pull_down = pull_down;
    rhumb_status status = rhumb__store_publish(graph->store, publication);
    v->written_bytes = publication->written_bytes;
    if (status == RHUMB_OK) note_success(graph, v, publication->written_bytes);
    rhumb__free(publication);
    return status;
}

/* All steps, whether anything changed or not. Under checkpoint_lock. */
static rhumb_status checkpoint(rhumb__graph *graph, bool pull_down) {
    version v = {.begin_ns = rhumb__clock_now_ns()};
    const char *path = graph->store->path;
    rhumb_status status;
    rhumb__log_message(RHUMB_LOG_DEBUG, path, "a checkpoint begins");
    RHUMB_TRY(fix(graph, &v));
    status = publish(graph, &v, pull_down);
    if (status == RHUMB_OK && graph->writer->log != NULL) status = rhumb__log_cut(graph->writer->log, &v.log_end);
    rhumb__removals_catch_up(graph);
    rhumb__mutex_unlock(&graph->key_table.split_lock);
    if (status != RHUMB_OK) goto done;
    rhumb__log_message(RHUMB_LOG_INFO, path,
                       "checkpoint made: operations up to %llu, %llu bytes, %.3f ms, writers held up for %.3f ms",
                       (unsigned long long)v.counts.lsn, (unsigned long long)v.written_bytes,
                       (double)(rhumb__clock_now_ns() - v.begin_ns) / 1e6, (double)v.pause_ns / 1e6);
done:
    rhumb__free(v.tombstones);
    return status;
}

/* What every checkpoint but a new file's first needs. What the log could not keep is not to be kept by other means:
 * after a failure nothing is written any more. */
static rhumb_status prepare(rhumb__writer *writer) {
    rhumb_status status = rhumb__log_check(writer->log);
    return status == RHUMB_OK ? rhumb__background_finish_linking(writer) : status;
}

rhumb_status rhumb__checkpoint_locked(rhumb__writer *writer) {
    rhumb_status status = prepare(writer);
    if (status != RHUMB_OK) return status;
    rhumb__graph *graph = atomic_load(&writer->graph);
    const bool changed = rhumb__log_lsn(writer->log) != writer->published_lsn;
    if (!changed && !writer->exchanged && graph->metadata_next == NULL) return RHUMB_OK;
    return checkpoint(graph, false);
}

rhumb_status rhumb__checkpoint(rhumb__writer *writer) {
    rhumb__mutex_lock(&writer->checkpoint_lock);
    const rhumb_status status = rhumb__checkpoint_locked(writer);
    rhumb__mutex_unlock(&writer->checkpoint_lock);
    return status;
}

rhumb_status rhumb__checkpoint_forced(rhumb__writer *writer, bool pull_down) {
    rhumb__mutex_lock(&writer->checkpoint_lock);
    const rhumb_status status = rhumb__checkpoint_forced_locked(writer, pull_down);
    rhumb__mutex_unlock(&writer->checkpoint_lock);
    return status;
}

rhumb_status rhumb__checkpoint_forced_locked(rhumb__writer *writer, bool pull_down) {
    const rhumb_status status = writer->log == NULL ? RHUMB_OK : prepare(writer);
    return status == RHUMB_OK ? checkpoint(atomic_load(&writer->graph), pull_down) : status;
}

rhumb_status rhumb__checkpoint_last(rhumb__writer *writer) {
    rhumb_status status = rhumb__log_check(writer->log);
    if (status != RHUMB_OK) return status;
    const bool logged = writer->options.durability != RHUMB_DURABILITY_NONE;
    if (rhumb__recover_unlinked_count(atomic_load(&writer->graph)) > LAST_LINK_COUNT_MAX &&
        (logged || rhumb__log_lsn(writer->log) == writer->recovered_lsn)) {
        return logged ? rhumb__log_sync(writer->log) : RHUMB_OK;
    }
    return rhumb__checkpoint(writer);
}
