/* renew.c - see renew.h.
 *
 * Rows are made a few at a time, in memory of the caller's, while searches still read the old ones. Then these are
 * withdrawn (graph/row_use.h), written, and admitted. The mark of a list is cleared while its row is withdrawn, under
 * the lock of the list, and only if the list still is what the row was made of: a change that comes later sets it
 * again.
 *
 * Owns the memory of a call. Locks: checkpoint_lock, held by the caller; the store's publishing lock while rows are
 * written; under it for each row that of its list and of its mark.
 */
#include "engine/build/renew.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/clock.h"
#include "base/memory_limit.h"
#include "base/status.h"
#include "engine/build/loom.h"
#include "engine/build/writer.h"
#include "engine/graph/changed.h"
#include "engine/graph/fused.h"
#include "engine/graph/neighbour_list.h"
#include "storage/renewal.h"

/* A region is renewed once its rows lack one in so many of the lanes that their lists have; a list that has to be read
 * counts like a lane. */
#define LANE_SHARE 64u

/* Rows of a region at least, and its bytes otherwise. */
#define REGION_SLOTS_MIN 64u
#define REGION_BYTES RHUMB__LARGE_PAGE_BYTES

/* Rows that are made before they are written together. */
#define BATCH_ROWS 16u

/* How long searches are waited for, which have not ended since rows were withdrawn; and how often in a pass they may
 * take longer: those that call a filter take as long as it does. */
#define WAIT_NS UINT64_C(5000000)
#define REFUSED_COUNT_MAX 64u

/* A pass begins when so many slots are new, and such a share of those that have rows. */
#define NEW_COUNT_MIN 512u
#define NEW_SHARE 64u

/* The share of the memory that renewed rows may take before a checkpoint has written them. */
#define MEMORY_SHARE 8u

/* A row that has been made. */
struct rhumb__renewed_row {
    uint32_t slot;
    uint32_t list_count;
    uint32_t known_count;
    uint32_t slots[RHUMB__M0_MAX]; /* the list, and what was filled in after known_count */
    uint32_t list[RHUMB__M0_MAX];
};

/* ---- what pays ---- */

/* How many entries of a list its row does not have in their places. *entry_count_out is how many the list has. */
static uint32_t missing_count_of(rhumb__graph *graph, uint32_t slot, uint32_t *entry_count_out) {
    uint32_t slots[RHUMB__M0_MAX];
    const rhumb__list list = rhumb__graph_list(graph, slot, 0);
    const void *row = rhumb__graph_fused(graph, slot);
    const uint32_t lane_count = rhumb__fused_counts_of(&graph->fused, row).lane_count;
    const uint32_t count = rhumb__list_read(&list, slots);
    uint32_t missing_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t *lanes = rhumb__fused_slots(&graph->fused, row, i / RHUMB__LANES_PER_BLOCK);
        missing_count += i >= lane_count || lanes[i % RHUMB__LANES_PER_BLOCK] != slots[i];
    }
    *entry_count_out = count;
    return missing_count;
}

/* Whether a row is to be renewed if its region is: there is a mark to be cleared, or a lane to be had. */
static bool is_stale(rhumb__graph *graph, uint32_t slot) {
    uint32_t entry_count;
    if (!rhumb__changed_is_set(graph, slot)) return false;
    return slot < graph->changed_limit || missing_count_of(graph, slot, &entry_count) > 0;
}

/* Whether renewing the rows of [begin, end) pays. */
static bool region_pays(rhumb__graph *graph, uint64_t begin, uint64_t end) {
    uint64_t entry_count = 0, missing_count = 0;
    for (uint64_t slot = begin; slot < end; slot++) {
        uint32_t count = graph->params.M0 / 2; /* of a list that is not read, about */
        if (rhumb__changed_is_set(graph, (uint32_t)slot)) {
            missing_count += missing_count_of(graph, (uint32_t)slot, &count);
            if (slot < graph->changed_limit) missing_count++;
        }
        entry_count += count;
    }
    return missing_count > 0 && missing_count * LANE_SHARE >= entry_count;
}

/* ---- making and writing ---- */

static void make_row(rhumb__renew_pass *pass, uint32_t slot) {
    rhumb__renewed_row *made = &pass->made[pass->made_count];
    const rhumb__list list = rhumb__graph_list(pass->graph, slot, 0);
    made->slot = slot;
    made->list_count = rhumb__list_read(&list, made->list);
    made->known_count = rhumb__loom_known_count(&pass->loom, made->list, made->list_count);
    memcpy(made->slots, made->list, made->known_count * sizeof *made->slots);
    rhumb__loom_make(&pass->loom, slot, made->slots, made->known_count, rhumb__graph_fused(pass->graph, slot),
                     pass->rows + pass->made_count * (size_t)pass->graph->fused.row_bytes);
    pass->made_count++;
}

/* Takes the mark from a list if its row, which is withdrawn, is going to have all of it. */
static void clear_mark(rhumb__graph *graph, const rhumb__renewed_row *made) {
    uint32_t slots[RHUMB__M0_MAX];
    const rhumb__list list = rhumb__graph_list(graph, made->slot, 0);
    if (made->known_count != made->list_count || made->slot >= graph->changed_limit) return;
    rhumb__section_lock(list.section, made->slot);
    const uint32_t count = rhumb__list_read(&list, slots);
    const bool is_same = count == made->list_count && memcmp(slots, made->list, count * sizeof *slots) == 0;
    if (is_same) rhumb__changed_clear(graph, made->slot);
    rhumb__section_unlock(list.section, made->slot);
}

/* Writes the rows that have been made. *written_out is whether searches have let it. */
static rhumb_status write_made(rhumb__renew_pass *pass, bool *written_out) {
    rhumb__graph *graph = pass->graph;
    rhumb__section *section = &graph->sections[RHUMB__SECTION_FUSED];
    const uint32_t first = pass->made[0].slot;
    const uint32_t count = pass->made[pass->made_count - 1].slot - first + 1;
    const rhumb_status status = rhumb__renewal_begin(graph->store, section);
    if (status != RHUMB_OK) return status;
    *written_out = rhumb__rows_withdraw(&graph->row_use, first, count, WAIT_NS);
    for (uint32_t i = 0; *written_out && i < pass->made_count; i++) {
        clear_mark(graph, &pass->made[i]);
        rhumb__renewal_write(section, pass->made[i].slot, pass->rows + i * (size_t)graph->fused.row_bytes);
    }
    if (*written_out) rhumb__rows_admit(&graph->row_use);
    rhumb__renewal_end(graph->store);
    if (*written_out) atomic_fetch_add_explicit(&graph->renewed_count, pass->made_count, memory_order_relaxed);
    return RHUMB_OK;
}

/* Renews the next few rows of a region. *goes_on_out is whether the pass may. */
static rhumb_status renew_next(rhumb__renew_pass *pass, bool *goes_on_out) {
    uint64_t slot = pass->next_slot;
    bool written = true;
    pass->made_count = 0;
    for (; slot < pass->region_end && pass->made_count < BATCH_ROWS; slot++) {
        if (is_stale(pass->graph, (uint32_t)slot)) make_row(pass, (uint32_t)slot);
    }
    if (pass->made_count > 0) {
        const rhumb_status status = write_made(pass, &written);
        if (status != RHUMB_OK) return status;
    }
    if (written) {
        pass->next_slot = slot;
    } else {
        pass->refused_count++;
    }
    *goes_on_out = pass->refused_count <= REFUSED_COUNT_MAX;
    return RHUMB_OK;
}

/* Looks at the next region: it is to be renewed, or passed over. */
static void examine_region(rhumb__renew_pass *pass) {
    const uint64_t row_count = rhumb__fused_count(pass->graph);
    const uint64_t end = rhumb__min_u64(pass->next_slot + pass->region_slots, row_count);
    pass->region_end = end;
    if (!region_pays(pass->graph, pass->next_slot, end)) pass->next_slot = end;
}

/* ---- passes ---- */

uint64_t rhumb__renew_bytes_max(void) { return rhumb__memory_limit_bytes() / MEMORY_SHARE; }

uint64_t rhumb__renew_due_slot(rhumb__graph *graph) {
    const uint64_t row_count = rhumb__fused_count(graph);
    if (row_count == 0) return UINT64_MAX;
    return atomic_load_explicit(&graph->renew_checked_slots, memory_order_relaxed) +
           rhumb__max_u64(row_count / NEW_SHARE, NEW_COUNT_MIN);
}

/* Takes the memory in which rows are made, unless the pass has it. */
static rhumb_status prepare(rhumb__renew_pass *pass) {
    if (pass->rows != NULL) return RHUMB_OK;
    const rhumb_status status = rhumb__loom_init(&pass->loom, pass->graph);
    if (status != RHUMB_OK) return status;
    pass->made = rhumb__alloc_zeroed(BATCH_ROWS, sizeof *pass->made);
    pass->rows = rhumb__alloc_aligned(BATCH_ROWS, pass->graph->fused.row_bytes, RHUMB__FUSED_LINE_BYTES);
    if (pass->made != NULL && pass->rows != NULL) return RHUMB_OK;
    return rhumb__fail(RHUMB_E_NOMEM, "no memory for renewing fused rows");
}

void rhumb__renew_end(rhumb__renew_pass *pass) {
    rhumb__loom_free(&pass->loom);
    rhumb__free(pass->made);
    rhumb__free(pass->rows);
    *pass = (rhumb__renew_pass){.graph = NULL};
}

/* Begins a pass over a graph, unless it is under way. */
static void begin_pass(rhumb__renew_pass *pass, rhumb__graph *graph) {
    if (pass->graph == graph && pass->graph_id == graph->id) return;
    rhumb__renew_end(pass);
    pass->graph = graph;
    pass->graph_id = graph->id;
    atomic_store_explicit(&graph->renew_checked_slots, rhumb__graph_slot_count(graph), memory_order_relaxed);
    if (graph->fused.row_bytes == 0) return;
    pass->region_slots = rhumb__max_u64(REGION_BYTES / graph->fused.row_bytes, REGION_SLOTS_MIN);
}

rhumb_status rhumb__renew_some(rhumb__writer *writer, rhumb__renew_pass *pass, uint64_t time_ns, bool *goes_on_out) {
    rhumb_status status = RHUMB_OK;
    rhumb__graph *graph = atomic_load(&writer->graph);
    const rhumb__section *section = &graph->sections[RHUMB__SECTION_FUSED];
    const uint64_t end_ns = rhumb__clock_now_ns() + time_ns;
    bool goes_on = true;
    rhumb__mutex_assert_held(&writer->checkpoint_lock);
    begin_pass(pass, graph);
    pass->waits_for_memory = false;
    while (goes_on && rhumb__clock_now_ns() < end_ns) {
        if (pass->next_slot >= pass->region_end) {
            goes_on = pass->next_slot < rhumb__fused_count(graph);
            if (goes_on) examine_region(pass);
            continue;
        }
        pass->waits_for_memory = section->renewed_bytes >= rhumb__renew_bytes_max();
        if (pass->waits_for_memory) break;
        RHUMB_TRY(prepare(pass));
        RHUMB_TRY(renew_next(pass, &goes_on));
    }
done:
    *goes_on_out = goes_on && status == RHUMB_OK;
    if (!*goes_on_out) rhumb__renew_end(pass);
    return status;
}
