/* private_memory.c - see private_memory.h.
 *
 * Rows that are not in the file yet are counted exactly. Changed pages are counted (storage/private_pages.h) where the
 * number of operations since the last checkpoint and the size of the mutable sections allow so many that it matters: an
 * insert changes a page or two of each of its M neighbours' lists, of the key table and of the ties.
 *
 * Where rows come faster than they can be written, or while a checkpoint is written slowly on purpose, the gate delays
 * operations once an eighth of the memory is full of rows that wait. If writing fails, it delays none: the rows have no
 * other place then.
 *
 * Rows are complete up to the lowest slot of an insert under way. None of them changes any more, so they can be written
 * while other inserts go on. A crash leaves free blocks.
 *
 * Locks: checkpoint_lock throughout, so that the graph, its settled rows and the newest version stay as they are;
 * append_lock for reading the counts. A failure to write changes nothing; it is tried again after as many rows more.
 */
#include "engine/durability/private_memory.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/memory_limit.h"
#include "base/status.h"
#include "engine/build/renew.h"
#include "engine/build/weave.h"
#include "engine/graph/active.h"
#include "storage/private_pages.h"
#include "storage/publish/publish.h"

#define PAGE_BYTES 4096u

/* Rows that wait, in bytes, at which they are written: a share of the memory that the process may use, but neither so
 * little that blocks become tiny, nor so much that an index of many gigabytes of memory is better off without. */
#define AHEAD_SHARE 16u
#define AHEAD_BYTES_MIN (UINT64_C(256) << 10)
#define AHEAD_BYTES_MAX (UINT64_C(16) << 20)

/* Where so many may wait, those that do not fill a large page of their section wait on: less than half of so many. */
#define WHOLE_PIECES_BYTES_MIN (UINT64_C(16) << 20)

/* The share of that memory that private memory may take before a checkpoint is due. */
#define CHECKPOINT_SHARE 6u

/* The share of that memory in which rows may wait without delay. */
#define ROWS_SHARE 8u

/* How much more the next operations may change than those before them did on average. */
#define OPERATION_MARGIN 2u

/* So many operations are not delayed while a checkpoint is made, however little memory there is. */
#define DELAYED_FROM_SLOTS_MIN UINT64_C(2048)

/* Pages that an insert changes in addition to those of its neighbours' lists. */
#define OTHER_PAGES 4u

/* What the newest rows of a graph take. */
typedef struct census {
    uint64_t slot_bytes;      /* append-only bytes per slot */
    uint64_t waiting_bytes;   /* of complete rows that are private */
    uint64_t mutable_bytes;   /* of mutable sections */
    uint64_t changed_bytes;   /* of these, at most */
    uint64_t renewed_bytes;   /* of append-only ones */
    uint64_t operation_bytes; /* that one operation changes */
    uint64_t operation_count; /* since the newest version */
} census;

static uint64_t private_bytes_of(const census *c) { return c->waiting_bytes + c->changed_bytes + c->renewed_bytes; }

static census take_census(rhumb__graph *graph, const rhumb__counts *counts) {
    const rhumb__writer *writer = graph->writer;
    census c = {.slot_bytes = 0};
    for (const rhumb__section_info *info = rhumb__section_next(NULL); info != NULL; info = rhumb__section_next(info)) {
        const rhumb__section *section = &graph->sections[info->id];
        const uint64_t row_count = rhumb__graph_row_count(graph, info, counts);
        const uint64_t bytes = row_count * section->row_stride_bytes;
        if (info->kind == RHUMB__SECTION_MUTABLE) {
            c.mutable_bytes += rhumb__max_u64(row_count, section->published_row_count) * section->row_stride_bytes;
        } else {
            c.slot_bytes += section->row_stride_bytes;
            c.renewed_bytes += section->renewed_bytes;
            if (bytes > section->settled_bytes) c.waiting_bytes += bytes - section->settled_bytes;
        }
    }
    c.operation_bytes = (uint64_t)(graph->params.M + OTHER_PAGES) * PAGE_BYTES;
    c.operation_count = rhumb__log_lsn(writer->log) - writer->published_lsn;
    c.changed_bytes = rhumb__min_u64(c.mutable_bytes, c.operation_count * c.operation_bytes);
    return c;
}

/* The pages of mutable sections that have changed. */
static uint64_t count_changed(rhumb__graph *graph, const rhumb__counts *counts) {
    uint64_t bytes = 0;
    for (const rhumb__section_info *info = rhumb__section_next(NULL); info != NULL; info = rhumb__section_next(info)) {
        const rhumb__section *section = &graph->sections[info->id];
        if (info->kind != RHUMB__SECTION_MUTABLE || !rhumb__section_is_used(info, &graph->params)) continue;
        const uint64_t row_count = rhumb__graph_row_count(graph, info, counts);
        bytes += rhumb__section_private_bytes(section, rhumb__max_u64(row_count, section->published_row_count));
    }
    return bytes;
}

static rhumb_status write_ahead(rhumb__graph *graph, const rhumb__counts *counts, bool whole_pieces) {
    const rhumb__writer *writer = graph->writer;
    rhumb__publication *publication = rhumb__alloc_zeroed(1, sizeof *publication);
    if (publication == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for writing ahead");
    for (const rhumb__section_info *info = rhumb__section_next(NULL); info != NULL; info = rhumb__section_next(info)) {
        rhumb__section *section = &graph->sections[info->id];
        if (info->kind == RHUMB__SECTION_MUTABLE) continue;
        section->next_row_count =
            rhumb__max_u64(section->published_row_count, rhumb__graph_row_count(graph, info, counts));
    }
    publication->current_sections = true;
    publication->whole_pieces = whole_pieces;
    publication->bytes_per_second = writer->options.checkpoint_bytes_per_second;
    publication->hurry = &writer->closing;
    const rhumb_status status = rhumb__store_write_ahead(graph->store, publication);
    rhumb__free(publication);
    return status;
}

/* What a review has found, and the shares of the memory that the process may use. */
typedef struct allowance {
    uint64_t ahead_bytes;      /* of rows that wait, at which they are written */
    uint64_t rows_bytes;       /* of rows that wait, beyond which operations are delayed */
    uint64_t checkpoint_bytes; /* of private memory, at which a checkpoint is due */
    bool makes_checkpoints;
} allowance;

static allowance allowance_of(const rhumb__writer *writer) {
    const uint64_t limit_bytes = rhumb__memory_limit_bytes();
    allowance a = {.checkpoint_bytes = limit_bytes / CHECKPOINT_SHARE,
                   .makes_checkpoints = writer->options.checkpoint_log_bytes != UINT64_MAX};
    a.ahead_bytes = rhumb__max_u64(rhumb__min_u64(limit_bytes / AHEAD_SHARE, AHEAD_BYTES_MAX), AHEAD_BYTES_MIN);
    a.rows_bytes = rhumb__max_u64(limit_bytes / ROWS_SHARE, 2 * a.ahead_bytes);
    return a;
}

/* Replaces the estimate of what has changed by a count where it matters. */
static void count_closely(rhumb__graph *graph, const rhumb__counts *counts, const allowance *a, census *c) {
    if (!a->makes_checkpoints || private_bytes_of(c) < a->checkpoint_bytes / 2) return;
    c->changed_bytes = rhumb__min_u64(c->changed_bytes, count_changed(graph, counts));
    if (c->operation_count == 0) return;
    /* What comes may change more pages than what was, which has changed many of them twice. */
    const uint64_t measured_bytes = OPERATION_MARGIN * (c->changed_bytes / c->operation_count) + PAGE_BYTES;
    c->operation_bytes = rhumb__min_u64(c->operation_bytes, measured_bytes);
}

/* Returns the slots that may be taken before the next review. */
static uint64_t slots_until_review(const census *c, const allowance *a) {
    const uint64_t slots = (a->ahead_bytes - rhumb__min_u64(c->waiting_bytes, a->ahead_bytes / 2)) / c->slot_bytes;
    if (!a->makes_checkpoints) return slots;
    const uint64_t private_bytes = private_bytes_of(c);
    const uint64_t left_bytes = a->checkpoint_bytes - (private_bytes < a->checkpoint_bytes ? private_bytes : 0);
    return rhumb__min_u64(slots, left_bytes / (c->operation_bytes + c->slot_bytes));
}

/* Returns the slots that may be taken without delay: until rows fill their share, and while a checkpoint is made until
 * as much private memory has come as made it due. */
static uint64_t slots_without_delay(const census *c, const allowance *a, bool checkpoint_due) {
    const uint64_t slots = (a->rows_bytes - rhumb__min_u64(c->waiting_bytes, a->rows_bytes)) / c->slot_bytes;
    if (!checkpoint_due) return slots;
    const uint64_t more_slots = a->checkpoint_bytes / (c->operation_bytes + c->slot_bytes);
    return rhumb__min_u64(slots, rhumb__max_u64(more_slots, DELAYED_FROM_SLOTS_MIN));
}

/* Under checkpoint_lock. */
static rhumb_status review(rhumb__writer *writer, uint64_t *next_slot_out, bool *checkpoint_due_out) {
    rhumb_status status = RHUMB_OK;
    rhumb__graph *graph = atomic_load(&writer->graph);
    const allowance a = allowance_of(writer);
    uint64_t slot_count = 0;
    const rhumb__counts counts = rhumb__active_complete_counts(graph, &slot_count);
    /* A row that is placed without an insert is complete when it has been counted as finished. */
    const bool are_complete = atomic_load(&graph->finished_count) >= counts.slot_count;
    census c = take_census(graph, &counts);
    if (are_complete && c.waiting_bytes >= a.ahead_bytes) {
        status = write_ahead(graph, &counts, a.ahead_bytes >= WHOLE_PIECES_BYTES_MIN);
        if (status == RHUMB_OK) c = take_census(graph, &counts);
    }
    count_closely(graph, &counts, &a, &c);
    *checkpoint_due_out = a.makes_checkpoints &&
                          (private_bytes_of(&c) >= a.checkpoint_bytes || c.renewed_bytes >= rhumb__renew_bytes_max());
    atomic_store_explicit(&writer->rows_slot_limit,
                          status == RHUMB_OK ? slot_count + slots_without_delay(&c, &a, *checkpoint_due_out)
                                             : UINT64_MAX,
                          memory_order_relaxed);
    const uint64_t slots = slots_until_review(&c, &a);
    *next_slot_out = slot_count + rhumb__max_u64(slots, RHUMB__MEMORY_REVIEW_SLOTS_MIN);
    const uint64_t weave_slot = rhumb__min_u64(rhumb__weave_due_slot(graph), rhumb__renew_due_slot(graph));
    *next_slot_out = rhumb__max_u64(rhumb__min_u64(*next_slot_out, weave_slot), slot_count + 1);
    return status;
}

rhumb_status rhumb__private_memory_review(rhumb__writer *writer, bool *checkpoint_due_out) {
    rhumb_status status;
    uint64_t next_slot = 0;
    bool is_passed = true;
    rhumb__mutex_lock(&writer->checkpoint_lock);
    do {
        status = review(writer, &next_slot, checkpoint_due_out);
        /* The insert that takes the slot calls the hook, unless it has taken the slot before it was set. Sequentially
         * consistent, like the load in rhumb__writer_note_slot. */
        atomic_store(&writer->memory_slot, next_slot);
        is_passed = rhumb__graph_slot_count(atomic_load(&writer->graph)) > next_slot;
    } while (is_passed && status == RHUMB_OK && !*checkpoint_due_out && !atomic_load(&writer->closing));
    rhumb__mutex_unlock(&writer->checkpoint_lock);
    return status;
}
