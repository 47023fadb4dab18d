/* checkpoint.c - see checkpoint.h.
 *
 * A version is a prefix of the operations: those up to a number L in the log. C is the number of slots that they have
 * allocated: the version holds the slots below C completely, and no slot from C on. Inserts and searches continue while
 * the checkpoint gets there:
 *   1. fix       Block deletes, upserts and the ends of batches, and wait for those under way. Under append_lock, read
 *                L, C and all counts that belong to them. Copy the tombstones, one bit per slot, and set in the copy
 *                those of the nodes that open batches have inserted: the version leaves them out. From now on deletes
 *                leave slots below C in the key table (see removal.c), and it does not grow: a split moves entries
 *                between chunks, of which one may have been copied. Then unblock; inserts now get slots from C on.
 *   2. wait      for the inserts below C to finish. They are under way, so this takes as long as one insert.
 *   3. copy      the key table first, without regard to a rate, and let it catch up: it grows again, and deletes take
 *                slots out at once.
 *   4. publish   The store copies chunk by chunk under the chunk's lock. The filters of sections.c remove from each
 *                copy what belongs to slots from C on, and replace the tombstones by those of step 1. A chunk that a
 *                filter has changed stays dirty, because memory has more than the file. A list that loses a link to a
 *                slot from C on may have dropped another link for it when it was pruned, so it can be shorter in the
 *                file than it need be. It is still a sound list.
 *   5. cut       the log, which then begins after L, or before the first record of the oldest batch that was open in
 *                step 1.
 *
 * So the file shows exactly the operations up to L, apart from batches that L divides: those come from the log, which
 * has all of their records (see recover.c). The log need not be durable up to L before the version is.
 *
 * Owns the copy of the tombstones. A failure before the store's superblock is written leaves the last version and the
 * log as they were; what later failures mean, storage/store.h says.
 *
 * Locks: checkpoint_lock, held by the caller or taken here; key_table.split_lock up to step 3; removal_lock, exclusive,
 * in step 1; what the store and the log take.
 */
#include "engine/durability/checkpoint.h"
#include "engine/build/writer.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/clock.h"
#include "base/log_message.h"
#include "base/status.h"
#include "engine/build/open_batch.h"
#include "engine/build/removal.h"
#include "engine/durability/background.h"
#include "engine/durability/metadata.h"
#include "engine/durability/recall_store.h"
#include "engine/graph/active.h"
#include "engine/graph/fused.h"
#include "engine/graph/tombstones.h"
#include "engine/graph/unlinked.h"
#include "storage/hot_pages.h"
#include "storage/publish/publish.h"

/* A close links up to so many nodes from the log, which takes about a second. If more are waiting, it leaves the log as
 * it is. */
#define LAST_LINK_COUNT_MAX 4096u

/* The version that is being made. */
typedef struct version {
    rhumb__graph *graph;
    bool key_table_held; /* split_lock is held, and deletes leave the key table alone */
    rhumb__counts counts;
    rhumb__version_image image;     /* of the same, for the filters of sections */
    rhumb__log_mark log_begin;      /* where the log is going to begin */
    rhumb__open_batch *first_batch; /* of those that are open in step 1 */
    uint64_t fused_count;           /* rows that had been made in step 1: they name no slots from C on */
    uint8_t *tombstones;            /* the section's rows as they were in step 1 */
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

/* The store's filter: calls the section's for every row that is published. The store itself clears the rows after
 * those; if one of them was in use, the copy lacks something that memory has. */
static bool checkpoint_filter_rows(void *context, const rhumb__section *section, uint64_t first_row, uint8_t *rows,
                                   uint64_t row_count) {
    const version *v = context;
    const rhumb__section_info *info = rhumb__section_find(section->spec.id);
    RHUMB_ASSERT_DEBUG(info != NULL && info->kind == RHUMB__SECTION_MUTABLE);
    const uint64_t stride_bytes = section->row_stride_bytes;
    bool changed = false;
    for (uint64_t i = 0; i < row_count; i++) {
        uint8_t *row = rows + i * stride_bytes;
        if (first_row + i >= section->next_row_count) {
            changed = changed || !is_zero(row, stride_bytes);
        } else if (info->filter != NULL) {
            changed = info->filter(&v->image, first_row + i, row, stride_bytes) || changed;
        }
    }
    return changed;
}

/* Makes room for the tombstones, before anything is blocked; a little more than needed, for slots that are allocated
 * until step 1. */
static rhumb_status reserve_tombstones(version *v, uint64_t row_count) {
    if (row_count <= v->tombstone_row_count && v->tombstones != NULL) return RHUMB_OK;
    rhumb__free(v->tombstones);
    v->tombstone_row_count = row_count + row_count / 16 + 16;
    v->tombstones = rhumb__alloc_zeroed(v->tombstone_row_count, RHUMB__TOMBSTONE_ROW_BYTES);
    if (v->tombstones != NULL) return RHUMB_OK;
    return rhumb__fail(RHUMB_E_NOMEM, "no memory for the tombstones of a checkpoint");
}

/* Reads what belongs together: counts, the last operation, and what the batches have that are open at that moment. */
static void read_moment(rhumb__graph *graph, version *v) {
    rhumb__mutex_lock(&graph->append_lock);
    v->counts = graph->counts;
    if (graph->writer->log != NULL) v->log_begin = rhumb__log_mark_now(graph->writer->log);
    v->counts.lsn = v->log_begin.lsn;
    v->counts.dead_count = atomic_load(&graph->dead_count);
    v->fused_count = rhumb__fused_count(graph);
    v->first_batch = graph->open_batches;
    for (rhumb__open_batch *batch = v->first_batch; batch != NULL; batch = batch->next) {
        batch->fixed_count = batch->slot_count;
        if (batch->mark.lsn < v->log_begin.lsn) v->log_begin = batch->mark;
    }
    rhumb__mutex_unlock(&graph->append_lock);
}

/* Copies the tombstones of slots below C into a buffer of zeros. Those from C on may change at this time: hidden nodes
 * of a batch have them from the beginning. So words are loaded as such, and the bits of later slots cleared;
 * append_lock, under which C was read, has ordered the others, so relaxed is enough. */
static void copy_tombstones(version *v) {
    const rhumb__section *section = &v->graph->sections[RHUMB__SECTION_TOMBSTONES];
    uint64_t *words = (uint64_t *)(void *)v->tombstones; /* rows are words */
    for (uint64_t slot = 0; slot < v->counts.slot_count; slot += 64) {
        words[slot / 64] = atomic_load_explicit(rhumb__tombstone_word(section, (uint32_t)slot), memory_order_relaxed);
    }
    for (uint64_t slot = v->counts.slot_count; slot % 64 != 0; slot++) {
        words[slot / 64] &= ~(UINT64_C(1) << (slot % 64));
    }
}

/* Makes the version leave out a node: its tombstone goes to the file, although memory has none. *marked_row is the row
 * that was marked as dirty last; slots ascend, so most need no lock. */
static void leave_out(version *v, uint32_t slot, uint64_t *marked_row) {
    uint64_t *tombstones = (uint64_t *)(void *)v->tombstones; /* rows are words */
    rhumb__section *section = &v->graph->sections[RHUMB__SECTION_TOMBSTONES];
    const uint64_t row = slot / RHUMB__TOMBSTONE_ROW_SLOTS;
    RHUMB_ASSERT_DEBUG(slot < v->counts.slot_count);
    if (rhumb__bit_get(tombstones, slot)) return;
    rhumb__bit_set(tombstones, slot);
    v->counts.dead_count++;
    if (row == *marked_row) return;
    *marked_row = row;
    rhumb__section_lock(section, row);
    rhumb__section_mark_dirty(section, row);
    rhumb__section_unlock(section, row);
}

/* Leaves out the nodes of open batches. These cannot end while removal_lock is held. */
static void leave_out_batches(version *v) {
    for (const rhumb__open_batch *batch = v->first_batch; batch != NULL; batch = batch->next) {
        uint64_t marked_row = UINT64_MAX;
        for (uint64_t i = 0; i < batch->fixed_count; i++) leave_out(v, batch->slots[i], &marked_row);
    }
}

/* Step 1, while deletes, upserts and the ends of batches are blocked. */
static rhumb_status checkpoint_fix_blocked(rhumb__graph *graph, version *v) {
    rhumb__mutex_assert_held(&graph->key_table.split_lock);
    rhumb__rwlock_assert_held(&graph->removal_lock);
    read_moment(graph, v);
    /* Only a crafted file can get near this limit; a version above it could not be opened again. */
    if (v->counts.lsn > RHUMB__LOG_LSN_MAX) {
        return rhumb__fail(RHUMB_E_FULL, "operation %llu is above the limit", (unsigned long long)v->counts.lsn);
    }
    const uint64_t row_count = rhumb__tombstone_row_count(v->counts.slot_count);
    rhumb_status status = reserve_tombstones(v, row_count);
    if (status != RHUMB_OK) return status;
    v->tombstone_row_count = row_count;
    copy_tombstones(v);
    leave_out_batches(v);
    v->image = (rhumb__version_image){.counts = &v->counts, .tombstones = v->tombstones, .graph = graph};
    rhumb__removals_defer(graph, v->counts.slot_count);
    v->key_table_held = true;
    return RHUMB_OK;
}

/* Lets the key table go, once it has been copied or is not going to be. */
static void release_key_table(void *context) {
    version *v = context;
    rhumb__key_table *table = &v->graph->key_table;
    if (!v->key_table_held) return;
    v->key_table_held = false;
    rhumb__removals_catch_up(v->graph);
    rhumb__key_table_grow_fully(table, rhumb__graph_slot_count(v->graph));
    rhumb__mutex_unlock(&table->split_lock);
}

/* The store's question: what the log has failed to keep must not be kept by a version either, nor by one that was begun
 * before. */
static rhumb_status check_log(void *context) {
    const version *v = context;
    rhumb__log *log = v->graph->writer->log;
    return log == NULL ? RHUMB_OK : rhumb__log_check(log);
}

/* Steps 1 and 2. On success, the key table stays held. */
static rhumb_status checkpoint_fix(rhumb__graph *graph, version *v) {
    rhumb_status status = reserve_tombstones(v, rhumb__tombstone_row_count(rhumb__graph_slot_count(graph)));
    if (status != RHUMB_OK) return status;
    rhumb__mutex_lock(&graph->key_table.split_lock);
    const uint64_t begin_ns = rhumb__clock_now_ns();
    rhumb__rwlock_wrlock(&graph->removal_lock);
    status = checkpoint_fix_blocked(graph, v);
    rhumb__rwlock_unlock(&graph->removal_lock);
    v->pause_ns = rhumb__clock_now_ns() - begin_ns;
    if (status != RHUMB_OK) {
        rhumb__mutex_unlock(&graph->key_table.split_lock);
        return status;
    }
    rhumb__active_wait(graph, v->counts.slot_count);
    RHUMB_ASSERT_DEBUG(v->counts.slot_count <= atomic_load(&graph->finished_count));
    /* Every node below slot_count is linked now; nodes from there on may be too. */
    for (uint32_t level = 0; level < RHUMB__LEVEL_COUNT; level++) {
        const uint32_t first = atomic_load_explicit(&graph->level_first[level], memory_order_acquire);
        v->counts.level_first[level] = first < v->counts.slot_count ? first : RHUMB__SLOT_NONE;
    }
    v->counts.copy_count = rhumb__min_u64(atomic_load(&graph->copy_count), v->counts.slot_count);
    v->counts.key_bucket_count = atomic_load_explicit(&graph->key_table.bucket_count, memory_order_acquire);
    rhumb__mutex_lock(&graph->key_table.overflow_lock);
    v->counts.key_overflow_count = graph->key_table.overflow_count;
    rhumb__mutex_unlock(&graph->key_table.overflow_lock);
    return RHUMB_OK;
}

#ifndef NDEBUG
/* Whether every section has the rows in the newest version that its counts ask for. */
static bool sections_match(const rhumb__graph *graph, const rhumb__counts *counts) {
    for (const rhumb__section_info *info = rhumb__section_next(NULL); info != NULL; info = rhumb__section_next(info)) {
        const uint64_t row_count = graph->sections[info->id].published_row_count;
        const uint64_t expected = rhumb__section_row_count(info, counts);
        if (info->derived ? row_count > expected : row_count != expected) return false;
    }
    return true;
}
#endif

static void checkpoint_note_success(rhumb__graph *graph, const version *v) {
    rhumb__writer *writer = graph->writer;
    rhumb__mutex_assert_held(&writer->checkpoint_lock);
    RHUMB_ASSERT_DEBUG(sections_match(graph, &v->counts));
    RHUMB_ASSERT_DEBUG(v->counts.lsn >= writer->published_lsn);
    writer->published_lsn = v->counts.lsn;
    writer->exchanged = false;
    rhumb__checkpoint_stats *stats = &writer->checkpoint_stats;
    rhumb__mutex_lock(&writer->stats_lock);
    stats->count++;
    stats->lsn = v->counts.lsn;
    stats->bytes = v->written_bytes;
    stats->ns = rhumb__clock_now_ns() - v->begin_ns;
    stats->pause_ns = v->pause_ns;
    if (v->pause_ns > stats->pause_max_ns) stats->pause_max_ns = v->pause_ns;
    rhumb__mutex_unlock(&writer->stats_lock);
}

/* Steps 3 and 4. */
static rhumb_status checkpoint_publish(rhumb__graph *graph, version *v, bool pull_down) {
    rhumb__publication *publication = rhumb__alloc_zeroed(1, sizeof *publication);
    if (publication == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for a checkpoint");
    const rhumb__counts *counts = &v->counts;
    rhumb__graph_set_next_rows(graph, counts);
    rhumb__section *fused = &graph->sections[RHUMB__SECTION_FUSED];
    fused->next_row_count =
        rhumb__min_u64(fused->next_row_count, rhumb__max_u64(v->fused_count, fused->published_row_count));
    rhumb__params_encode(&graph->params, counts, publication->client);
    const rhumb__metadata *metadata = graph->metadata_next != NULL ? graph->metadata_next : &graph->metadata;
    publication->features_read = rhumb__metadata_encode(metadata, publication->client);
    rhumb__recall_encode(graph, publication->client);
    publication->filter = checkpoint_filter_rows;
    publication->sections_copied = release_key_table;
    publication->still_allowed = check_log;
    publication->context = v;
    publication->bytes_per_second = graph->writer->options.checkpoint_bytes_per_second;
    publication->hurry = &graph->writer->closing;
    publication->pull_down = pull_down;
    rhumb_status status = rhumb__store_publish(graph->store, publication);
    v->written_bytes = publication->written_bytes;
    if (status == RHUMB_OK) checkpoint_note_success(graph, v);
    rhumb__free(publication);
    return status;
}

/* All steps, whether anything has changed or not. Under checkpoint_lock. */
static rhumb_status checkpoint_make(rhumb__graph *graph, bool pull_down) {
    rhumb__mutex_assert_held(&graph->writer->checkpoint_lock);
    version v = {.graph = graph, .begin_ns = rhumb__clock_now_ns()};
    const char *path = graph->store->path;
    rhumb_status status;
    rhumb__log_message(RHUMB_LOG_DEBUG, path, "a checkpoint begins");
    RHUMB_TRY(checkpoint_fix(graph, &v));
    status = checkpoint_publish(graph, &v, pull_down);
    if (status == RHUMB_OK && graph->writer->log != NULL) {
        rhumb__log_cover(graph->writer->log, v.counts.lsn);
        status = rhumb__log_cut(graph->writer->log, &v.log_begin);
    }
    release_key_table(&v);
    if (status != RHUMB_OK) goto done;
    rhumb__hot_pages_keep(graph->store);
    rhumb__log_message(RHUMB_LOG_INFO, path,
                       "checkpoint made: operations up to %llu, %llu bytes, %.3f ms, writers blocked for %.3f ms",
                       (unsigned long long)v.counts.lsn, (unsigned long long)v.written_bytes,
                       (double)(rhumb__clock_now_ns() - v.begin_ns) / 1e6, (double)v.pause_ns / 1e6);
done:
    rhumb__free(v.tombstones);
    return status;
}

/* What comes before every checkpoint except the first one of a new file. What the log has failed to keep must not be
 * kept by a checkpoint either: after a failure of the log, nothing more is written. */
static rhumb_status checkpoint_prepare(rhumb__writer *writer) {
    rhumb_status status = rhumb__log_check(writer->log);
    return status == RHUMB_OK ? rhumb__background_finish_linking(writer) : status;
}

rhumb_status rhumb__checkpoint_locked(rhumb__writer *writer) {
    rhumb__mutex_assert_held(&writer->checkpoint_lock);
    rhumb_status status = checkpoint_prepare(writer);
    if (status != RHUMB_OK) return status;
    rhumb__graph *graph = atomic_load(&writer->graph);
    const bool changed = rhumb__log_lsn(writer->log) != writer->published_lsn;
    /* Hidden nodes are not operations yet, but the memory that they take is released. */
    const bool hidden = atomic_load_explicit(&graph->hidden_count, memory_order_relaxed) > 0;
    const bool renewed = graph->sections[RHUMB__SECTION_FUSED].renewed_bytes > 0;
    const bool asked = graph->metadata_next != NULL || graph->recall_next != NULL;
    if (!changed && !writer->exchanged && !hidden && !renewed && !asked) return RHUMB_OK;
    return checkpoint_make(graph, false);
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
    rhumb__mutex_assert_held(&writer->checkpoint_lock);
    const rhumb_status status = writer->log == NULL ? RHUMB_OK : checkpoint_prepare(writer);
    return status == RHUMB_OK ? checkpoint_make(atomic_load(&writer->graph), pull_down) : status;
}

rhumb_status rhumb__checkpoint_last(rhumb__writer *writer) {
    rhumb_status status = rhumb__log_check(writer->log);
    if (status != RHUMB_OK) return status;
    const bool logged = writer->options.durability != RHUMB_DURABILITY_NONE;
    if (rhumb__unlinked_count(atomic_load(&writer->graph)) > LAST_LINK_COUNT_MAX &&
        (logged || rhumb__log_lsn(writer->log) == writer->recovered_lsn)) {
        return logged ? rhumb__log_sync(writer->log) : RHUMB_OK;
    }
    return rhumb__checkpoint(writer);
}
