/* batch_write.c - see batch_write.h.
 *
 *   1. insert    the vectors, as hidden nodes: linked like any others, but marked as deleted, in no bucket of the key
 *                table, and without a record in the log. This is nearly all of the work, on several threads, while
 *                other operations go on.
 *   2. check     Close the gate, so that no other operation runs. Look up every key. Enter the new nodes into the key
 *                table, which look-ups pass over while they are hidden.
 *   3. log       all items as a batch: begin record, one record for each, commit record.
 *   4. show      From here on nothing can fail. Clear the marks of the new nodes, delete those that they replace and
 *                those of deletes. Open the gate.
 *
 * A failure in steps 1 to 3 leaves hidden nodes, which are deleted nodes then, and in the log a batch without a commit.
 * A checkpoint has none of the batch or all of it: it cannot begin during steps 2 to 4. Searches do not wait for the
 * gate: one that runs during step 4 may find some of the batch and not the rest.
 *
 * Invariant: the graph is not exchanged from step 1 to 4 (open_batch.h counts such batches, too), because items know
 * their nodes by their slots. Owns the list of items. Locks: the gate, exclusive; removal_lock; buckets one at a time;
 * what the log takes.
 */
#include "engine/build/batch_write.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/status.h"
#include "engine/build/insert.h"
#include "engine/build/removal.h"
#include "engine/build/remove.h"
#include "engine/search/walk/query.h"

/* What is known of an item. */
typedef struct write_item {
    uint64_t lsn;
    rhumb__removing old; /* the node that goes; its slot is RHUMB__SLOT_NONE if there is none */
    uint32_t slot;       /* the hidden node, or RHUMB__SLOT_NONE */
} write_item;

typedef struct write_job {
    rhumb__batch_work work;
    const rhumb__batch_write_spec *spec;
    rhumb__batch_write_result *result;
    rhumb__graph *graph; /* not of a partial batch */
    write_item *items;
    uint64_t entered_count; /* items whose nodes the key table has */
    _Atomic uint64_t lsn;
    _Atomic uint64_t replaced_count; /* of a partial batch, as the three below */
    _Atomic uint64_t inserted_count;
    _Atomic uint64_t deleted_count;
    _Atomic uint64_t missing_count;
} write_job;

static rhumb__write write_of(const write_job *job, uint64_t i) { return job->spec->write(job->spec->source, i); }

static uint64_t key_of(const void *context, uint64_t i) { return write_of(context, i).key; }

/* ---- a key occurs once ---- */

typedef struct keyed_row {
    uint64_t key;
    uint64_t row;
} keyed_row;

static int by_key_and_row(const void *a, const void *b) {
    const keyed_row *left = a;
    const keyed_row *right = b;
    if (left->key != right->key) return left->key < right->key ? -1 : 1;
    return left->row < right->row ? -1 : 1;
}

static rhumb_status check_keys(const write_job *job) {
    const uint64_t count = job->spec->count;
    keyed_row *rows = rhumb__alloc_zeroed(count, sizeof *rows);
    if (rows == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for a batch of %llu", (unsigned long long)count);
    for (uint64_t i = 0; i < count; i++) rows[i] = (keyed_row){key_of(job, i), i};
    qsort(rows, count, sizeof *rows, by_key_and_row);
    rhumb_status status = RHUMB_OK;
    for (uint64_t i = 1; i < count && status == RHUMB_OK; i++) {
        if (rows[i].key != rows[i - 1].key) continue;
        status = rhumb__fail(RHUMB_E_INVALID, "rows %llu and %llu have the same key, %llu",
                             (unsigned long long)rows[i - 1].row, (unsigned long long)rows[i].row,
                             (unsigned long long)rows[i].key);
    }
    rhumb__free(rows);
    return status;
}

/* ---- step 1 ---- */

static rhumb_status insert_hidden(void *context, rhumb__scratch *scratch, uint64_t i) {
    write_job *job = context;
    const rhumb__write write = write_of(job, i);
    RHUMB_ASSERT_DEBUG(rhumb__scratch_graph(scratch) == job->graph);
    if (write.type == RHUMB__LOG_DELETE) return RHUMB_OK;
    rhumb_status status = rhumb__query_set_vector(scratch, write.vector);
    if (status != RHUMB_OK) return status;
    status = rhumb__graph_insert_hidden(job->graph, scratch, write.key, &job->items[i].slot);
    if (status == RHUMB_OK) {
        /* For its key, which is entered with those of all others while the gate is closed. */
        rhumb__key_table_grow(&job->graph->key_table, (uint64_t)job->items[i].slot + 1);
        /* Its record comes later; the memory that it takes is to call for a checkpoint now. */
        rhumb__writer_note_logged(job->work.writer, sizeof write.key + job->graph->space.vector_bytes);
    }
    return status;
}

static rhumb_status begin(write_job *job) {
    const uint64_t count = job->spec->count;
    rhumb__writer *writer = job->work.writer;
    job->items = rhumb__alloc_zeroed(count, sizeof *job->items);
    if (job->items == NULL) {
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for a batch of %llu", (unsigned long long)count);
    }
    for (uint64_t i = 0; i < count; i++) job->items[i].slot = RHUMB__SLOT_NONE;
    rhumb__writer_enter(writer);
    job->graph = atomic_load(&writer->graph);
    rhumb__mutex_lock(&job->graph->append_lock);
    job->graph->hidden_batch_count++;
    rhumb__mutex_unlock(&job->graph->append_lock);
    rhumb__writer_leave(writer);
    return RHUMB_OK;
}

/* With the gate closed or entered. */
static void end(write_job *job) {
    rhumb__mutex_lock(&job->graph->append_lock);
    job->graph->hidden_batch_count--;
    rhumb__mutex_unlock(&job->graph->append_lock);
}

/* ---- step 2 ---- */

static rhumb_status enter_item(write_job *job, uint64_t i) {
    rhumb_status status = RHUMB_OK;
    rhumb__key_place place;
    write_item *item = &job->items[i];
    rhumb__key_table *table = &job->graph->key_table;
    const rhumb__write write = write_of(job, i);
    rhumb__key_table_lock(table, write.key, &place);
    const uint32_t old = rhumb__key_table_find_locked(table, &place, write.key);
    item->old = (rhumb__removing){.key = write.key, .slot = old};
    if (write.type == RHUMB__LOG_INSERT && old != RHUMB__SLOT_NONE) {
        status = rhumb__fail(RHUMB_E_EXISTS, "row %llu (key %llu): the key is in the index already",
                             (unsigned long long)i, (unsigned long long)write.key);
        goto done;
    }
    if (old != RHUMB__SLOT_NONE) RHUMB_TRY(rhumb__removal_note(job->graph, &item->old));
    if (item->slot != RHUMB__SLOT_NONE) {
        RHUMB_TRY(rhumb__key_table_reserve(table, &place));
        rhumb__key_table_add(table, &place, item->slot);
    }
done:
    rhumb__key_table_unlock(table, &place);
    return status;
}

static rhumb_status enter_items(write_job *job) {
    rhumb_status status = RHUMB_OK;
    for (; job->entered_count < job->spec->count; job->entered_count++) {
        RHUMB_TRY(enter_item(job, job->entered_count));
    }
done:
    return status;
}

/* After a failure before the commit record. */
static void leave_items(write_job *job) {
    rhumb__key_table *table = &job->graph->key_table;
    for (uint64_t i = 0; i < job->entered_count; i++) {
        rhumb__key_place place;
        if (job->items[i].slot == RHUMB__SLOT_NONE) continue;
        rhumb__key_table_lock(table, key_of(job, i), &place);
        rhumb__key_table_remove(table, &place, job->items[i].slot);
        rhumb__key_table_unlock(table, &place);
    }
}

/* ---- step 3 ---- */

static rhumb_status log_one(write_job *job, const rhumb__log_operation *operation, uint64_t *lsn_out) {
    rhumb__log *log = job->work.writer->log;
    const rhumb_status status = rhumb__log_reserve(log, operation->head_bytes + operation->body_bytes);
    if (status != RHUMB_OK) return status;
    rhumb__mutex_lock(&job->graph->append_lock);
    *lsn_out = rhumb__log_append(log, operation);
    rhumb__mutex_unlock(&job->graph->append_lock);
    return RHUMB_OK;
}

/* A delete of a key that is not there is not logged. */
static rhumb_status log_items(write_job *job) {
    rhumb_status status;
    uint64_t batch = 0;
    uint64_t commit_lsn = 0;
    const rhumb__log_operation first = {.type = RHUMB__LOG_BATCH_BEGIN};
    RHUMB_TRY(log_one(job, &first, &batch));
    for (uint64_t i = 0; i < job->spec->count; i++) {
        write_item *item = &job->items[i];
        const bool has_vector = item->slot != RHUMB__SLOT_NONE;
        if (!has_vector && item->old.slot == RHUMB__SLOT_NONE) continue;
        const rhumb__log_operation operation = {
            .type = write_of(job, i).type,
            .batch = batch,
            .head = &item->old.key,
            .head_bytes = sizeof item->old.key,
            .body = has_vector ? rhumb__graph_vector(job->graph, item->slot) : NULL,
            .body_bytes = has_vector ? job->graph->space.vector_bytes : 0,
        };
        RHUMB_TRY(log_one(job, &operation, &item->lsn));
    }
    const rhumb__log_operation last = {.type = RHUMB__LOG_BATCH_COMMIT, .batch = batch};
    RHUMB_TRY(log_one(job, &last, &commit_lsn));
    atomic_store(&job->lsn, commit_lsn);
done:
    return status;
}

/* ---- step 4 ---- */

static void count_item(write_job *job, const write_item *item) {
    rhumb__batch_write_result *result = job->result;
    const bool had_node = item->old.slot != RHUMB__SLOT_NONE;
    if (item->slot != RHUMB__SLOT_NONE) {
        result->replaced_count += had_node;
        result->inserted_count += !had_node;
    } else {
        result->deleted_count += had_node;
        result->missing_count += !had_node;
    }
}

static void show_item(write_job *job, uint64_t i) {
    const write_item *item = &job->items[i];
    rhumb__graph *graph = job->graph;
    if (item->slot != RHUMB__SLOT_NONE) rhumb__insert_show(graph, item->slot);
    if (item->old.slot != RHUMB__SLOT_NONE) {
        rhumb__key_place place;
        rhumb__key_table_lock(&graph->key_table, item->old.key, &place);
        rhumb__removal_unlink_key(graph, &place, &item->old);
        rhumb__key_table_unlock(&graph->key_table, &place);
        rhumb__removal_bury_late(graph, &item->old);
    }
    if (item->lsn == 0) return;
    const rhumb__carry_item carried = {
        .key = item->old.key, .lsn = item->lsn, .slot = item->slot, .type = write_of(job, i).type};
    rhumb__carry_note(&graph->writer->carry, &carried);
}

static void show_items(write_job *job) {
    rhumb__graph *graph = job->graph;
    /* Searches compare the two numbers, see search.c: a key may have two nodes for a moment. */
    atomic_fetch_add(&graph->replace_begun, 1);
    for (uint64_t i = 0; i < job->spec->count; i++) {
        show_item(job, i);
        count_item(job, &job->items[i]);
    }
    atomic_fetch_add(&graph->replace_done, 1);
}

/* Steps 2 to 4. */
static rhumb_status commit(write_job *job) {
    rhumb__writer *writer = job->work.writer;
    rhumb__rwlock_wrlock(&writer->gate);
    rhumb__rwlock_rdlock(&job->graph->removal_lock);
    rhumb_status status = enter_items(job);
    if (status == RHUMB_OK) status = log_items(job);
    if (status == RHUMB_OK) {
        show_items(job);
    } else {
        leave_items(job);
    }
    rhumb__rwlock_unlock(&job->graph->removal_lock);
    if (status == RHUMB_OK) end(job);
    rhumb__rwlock_unlock(&writer->gate);
    return status;
}

/* The hidden nodes are deleted ones from now on. */
static void give_up(write_job *job) {
    rhumb_error cause;
    rhumb__error_save(&cause);
    uint64_t hidden_count = 0;
    for (uint64_t i = 0; i < job->spec->count; i++) hidden_count += job->items[i].slot != RHUMB__SLOT_NONE;
    rhumb__writer_enter(job->work.writer);
    atomic_fetch_sub_explicit(&job->graph->hidden_count, hidden_count, memory_order_relaxed);
    end(job);
    rhumb__writer_leave(job->work.writer);
    rhumb__error_restore(&cause);
}

static rhumb_status write_whole(write_job *job) {
    rhumb_status status;
    RHUMB_TRY(begin(job));
    job->work.item = insert_hidden;
    status = rhumb__batch_run(&job->work);
    /* What was linked by pages that could not be read must not stay. */
    if (status == RHUMB_OK) status = rhumb__io_check_mappings(job->work.writer->store->io);
    if (status == RHUMB_OK) status = commit(job);
    if (status != RHUMB_OK) give_up(job);
done:
    rhumb__free(job->items);
    return status;
}

/* ---- item by item ---- */

static rhumb_status write_one(void *context, rhumb__scratch *scratch, uint64_t i) {
    rhumb_status status;
    write_job *job = context;
    uint64_t lsn = 0;
    const rhumb__write write = write_of(job, i);
    rhumb__graph *graph = rhumb__scratch_graph(scratch);
    if (write.type == RHUMB__LOG_DELETE) {
        rhumb_error before;
        rhumb__error_save(&before);
        status = rhumb__graph_delete(graph, write.key, &lsn);
        if (status == RHUMB_E_NOTFOUND) {
            rhumb__error_restore(&before);
            atomic_fetch_add(&job->missing_count, 1);
            return RHUMB_OK;
        }
        if (status == RHUMB_OK) atomic_fetch_add(&job->deleted_count, 1);
    } else {
        rhumb__insertion in = {.key = write.key, .replace = write.type == RHUMB__LOG_UPSERT};
        RHUMB_TRY(rhumb__query_set_vector(scratch, write.vector));
        RHUMB_TRY(rhumb__graph_insert(graph, scratch, &in));
        atomic_fetch_add(in.replaced ? &job->replaced_count : &job->inserted_count, 1);
        lsn = in.lsn;
    }
    rhumb__batch_note_lsn(&job->lsn, lsn);
done:
    return status;
}

static rhumb_status write_each(write_job *job) {
    job->work.item = write_one;
    const rhumb_status status = rhumb__batch_run(&job->work);
    *job->result = (rhumb__batch_write_result){.inserted_count = atomic_load(&job->inserted_count),
                                               .replaced_count = atomic_load(&job->replaced_count),
                                               .deleted_count = atomic_load(&job->deleted_count),
                                               .missing_count = atomic_load(&job->missing_count)};
    return status;
}

rhumb_status rhumb__batch_write(rhumb__writer *writer, rhumb__scratch_pool *pool, const rhumb__batch_write_spec *spec,
                                rhumb__batch_write_result *result) {
    write_job job = {.work = {.writer = writer,
                              .pool = pool,
                              .count = spec->count,
                              .thread_count = spec->thread_count,
                              .progress = spec->progress,
                              .progress_context = spec->progress_context,
                              .key = key_of,
                              .context = &job,
                              .failure = RHUMB__ROW_FAILURE_NONE},
                     .spec = spec,
                     .result = result};
    *result = (rhumb__batch_write_result){0};
    rhumb_status status = check_keys(&job);
    if (status != RHUMB_OK) return status;
    status = spec->partial ? write_each(&job) : write_whole(&job);
    const uint64_t lsn = atomic_load(&job.lsn);
    return lsn == 0 ? status : rhumb__batch_wait(writer, lsn, status);
}
