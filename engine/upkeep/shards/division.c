/* division.c - see division.h.
 *
 *   1. leaders   one row from each of as many equal parts of the source; the order in which near ones follow each other
 *   2. cells     of all rows, which are read piece by piece
 *   3. shards    runs of cells in that order, as few as their sizes allow
 *
 * Owns its arrays. Takes no lock.
 */
#include "engine/upkeep/shards/division.h"

#include <string.h>

#include "base/alloc.h"
#include "base/row_failure.h"
#include "base/status.h"
#include "engine/build/bulk/arrange.h"
#include "engine/build/bulk/cut.h"

/* Rows are read and divided in pieces of so many bytes, or a part of memory where that is less. */
#define PIECE_BYTES (UINT64_C(8) << 20)

/* Cells that a shard has on average: so many that shards are of nearly one size. */
#define CELLS_PER_SHARD 32u
#define CELLS_MIN 64u
#define CELLS_MAX 16384u
static_assert(CELLS_MAX < UINT16_MAX, "cells are 16-bit numbers, and one is none");

/* Of the vectors that a shard may have, how many homes of its own are aimed at first: the rest are guests. */
#define HOME_SHARE (1.2 / RHUMB__DIVISION_SHARDS_MAX)

typedef struct dividing {
    const rhumb__division_spec *spec;
    rhumb__division *division;
    rhumb__bulk_run run;
    rhumb__space space;
    rhumb__bulk_points leaders;
    rhumb__tiler tiler;
    rhumb__cut cut;  /* has the panels of the leaders */
    uint32_t *items; /* 0, 1, 2, ...: as many as a piece has rows, or as there are leaders */
    uint32_t *order; /* of the cells */
    uint8_t *vectors;
    uint32_t *nearest; /* of a piece */
    uint64_t piece_count;
} dividing;

/* Of the steps within: their progress is not that of the caller. */
static bool goes_on(void *context, uint64_t done_count, uint64_t total_count) {
    (void)done_count;
    (void)total_count;
    return rhumb__progress_advance(context, 0) == RHUMB_OK;
}

static rhumb__bulk_run inner_run(const dividing *d) {
    return (rhumb__bulk_run){.thread_count = d->spec->thread_count,
                             .progress = {.report = goes_on, .context = d->spec->progress, .total_count = UINT32_MAX}};
}

static uint64_t part_of(uint64_t count, uint64_t i, uint64_t part_count) {
    return (uint64_t)((unsigned __int128)count * i / part_count);
}

static rhumb_status begin(dividing *d) {
    const uint64_t count = d->spec->source->count;
    rhumb__division *division = d->division;
    const uint64_t shard_count = (uint64_t)((double)count / (HOME_SHARE * (double)d->spec->member_max)) + 1;
    const uint64_t wanted_count = rhumb__min_u64(rhumb__max_u64(CELLS_PER_SHARD * shard_count, CELLS_MIN), CELLS_MAX);
    division->count = count;
    division->cell_count = (uint32_t)rhumb__max_u64(rhumb__min_u64(wanted_count, count / 2), 1);
    d->piece_count = rhumb__min_u64(rhumb__max_u64(PIECE_BYTES / d->space.caller_bytes, 1), d->spec->member_max);
    d->piece_count = rhumb__min_u64(d->piece_count, count);
    const uint64_t item_count = rhumb__max_u64(d->piece_count, division->cell_count);
    division->cells = rhumb__alloc_zeroed(count, RHUMB__DIVISION_CELLS * sizeof *division->cells);
    division->shards_of_cell = rhumb__alloc_zeroed(division->cell_count, sizeof *division->shards_of_cell);
    division->shards = rhumb__alloc_zeroed(division->cell_count, sizeof *division->shards);
    d->items = rhumb__alloc_zeroed(item_count, sizeof *d->items);
    d->order = rhumb__alloc_zeroed(division->cell_count, sizeof *d->order);
    d->nearest = rhumb__alloc_zeroed(d->piece_count, RHUMB__DIVISION_CELLS * sizeof *d->nearest);
    d->vectors = rhumb__alloc_aligned(item_count, d->space.caller_bytes, 64);
    if (division->cells == NULL || division->shards_of_cell == NULL || division->shards == NULL || d->items == NULL ||
        d->order == NULL || d->nearest == NULL || d->vectors == NULL) {
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for dividing %llu vectors", (unsigned long long)count);
    }
    for (uint64_t i = 0; i < item_count; i++) d->items[i] = (uint32_t)i;
    return RHUMB_OK;
}

/* ---- leaders ---- */

static rhumb_status draw_leaders(dividing *d) {
    rhumb_status status = RHUMB_OK;
    const rhumb__row_source *source = d->spec->source;
    const uint32_t count = d->division->cell_count;
    const uint64_t seed = d->spec->params->seed;
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t first = part_of(source->count, i, count);
        const uint64_t end = part_of(source->count, i + 1, count);
        const uint64_t row = first + rhumb__cut_mixed(seed, i) % (end - first);
        RHUMB_TRY(source->read(source->context, row, 1, d->vectors + i * (uint64_t)d->space.caller_bytes, NULL));
        RHUMB_TRY(rhumb__progress_advance(d->spec->progress, 0));
    }
    const rhumb__bulk_source points = {.space = &d->space, .vectors = d->vectors, .count = count, .salt = seed};
    d->run = inner_run(d);
    RHUMB_TRY(rhumb__bulk_points_make(&points, &d->run, &d->leaders));
    RHUMB_TRY(rhumb__tiler_init(&d->tiler, &d->leaders.coder));
    const rhumb__bulk_nodes nodes = {
        .points = &d->leaders, .tiler = &d->tiler, .items = d->items, .count = d->division->cell_count};
    d->cut = (rhumb__cut){.nodes = &nodes, .count = count, .seed = seed, .leader_count = count};
    RHUMB_TRY(rhumb__cut_draw(&d->cut));
    d->cut.nodes = NULL;
    status = rhumb__arrange(&nodes, seed, 0, &d->run, d->order);
done:
    return status;
}

/* ---- cells ---- */

/* Says which of the rows that are read cannot be a vector. */
static rhumb_status name_wrong_row(const dividing *d, uint64_t first, uint64_t count, rhumb_status status) {
    uint8_t *row = rhumb__alloc_aligned(d->space.row_stride_bytes, 1, 64);
    for (uint64_t i = 0; i < count && row != NULL; i++) {
        status = rhumb__space_prepare(&d->space, d->vectors + i * d->space.caller_bytes, row);
        if (status == RHUMB_OK) continue;
        rhumb__error_prefix("row %llu: ", (unsigned long long)(first + i));
        break;
    }
    rhumb__free(row);
    return status;
}

/* Finds the cells of the rows [first, first + count), which are read. */
static rhumb_status seek_piece(dividing *d, uint64_t first, uint64_t count) {
    rhumb_status status;
    rhumb__bulk_points points = {0};
    const rhumb__bulk_source source = {
        .space = &d->space, .vectors = d->vectors, .count = count, .salt = d->spec->params->seed};
    d->run = inner_run(d);
    status = rhumb__bulk_points_make(&source, &d->run, &points);
    if (rhumb__row_is_wrong(status)) status = name_wrong_row(d, first, count, status);
    RHUMB_TRY(status);
    const rhumb__bulk_nodes nodes = {.points = &points, .tiler = &d->tiler, .items = d->items, .count = count};
    const uint32_t fanout = (uint32_t)rhumb__min_u64(RHUMB__DIVISION_CELLS, d->division->cell_count);
    rhumb__cut seeking = {.nodes = &nodes,
                          .count = count,
                          .fanout = fanout,
                          .leader_count = d->cut.leader_count,
                          .panels = d->cut.panels,
                          .columns = d->cut.columns,
                          .leaders = d->nearest};
    RHUMB_TRY(rhumb__cut_seek(&seeking, &d->run));
    for (uint64_t i = 0; i < count; i++) {
        uint16_t *cells = d->division->cells + (first + i) * RHUMB__DIVISION_CELLS;
        for (uint32_t k = 0; k < RHUMB__DIVISION_CELLS; k++) {
            const uint32_t leader = k < fanout ? d->nearest[i * fanout + k] : UINT32_MAX;
            cells[k] = leader == UINT32_MAX ? UINT16_MAX : (uint16_t)leader;
        }
    }
done:
    rhumb__bulk_points_free(&points);
    return status;
}

static rhumb_status seek_cells(dividing *d) {
    rhumb_status status = RHUMB_OK;
    const rhumb__row_source *source = d->spec->source;
    for (uint64_t first = 0; first < source->count; first += d->piece_count) {
        const uint64_t count = rhumb__min_u64(source->count - first, d->piece_count);
        RHUMB_TRY(source->read(source->context, first, count, d->vectors, NULL));
        RHUMB_TRY(seek_piece(d, first, count));
        RHUMB_TRY(rhumb__progress_advance(d->spec->progress, count));
    }
done:
    return status;
}

/* ---- shards ---- */

uint32_t rhumb__division_shards(const rhumb__division *division, uint64_t row, uint32_t *shards) {
    const uint16_t *cells = division->cells + row * RHUMB__DIVISION_CELLS;
    uint32_t count = 0;
    for (uint32_t k = 0; k < RHUMB__DIVISION_CELLS && cells[k] != UINT16_MAX; k++) {
        const uint32_t shard = division->shards_of_cell[cells[k]];
        bool is_known = false;
        for (uint32_t i = 0; i < count; i++) is_known = is_known || shards[i] == shard;
        if (!is_known) shards[count++] = shard;
        if (count == RHUMB__DIVISION_SHARDS_MAX) break;
    }
    return count;
}

/* Makes shards of runs of cells with about so many homes each, and counts their members. Returns the largest count. */
static uint64_t make_shards(const dividing *d, const uint64_t *cell_counts, uint64_t home_count) {
    rhumb__division *division = d->division;
    uint32_t shards[RHUMB__DIVISION_SHARDS_MAX];
    uint64_t largest = 0;
    division->shard_count = 1;
    division->shards[0] = (rhumb__shard){0};
    for (uint32_t i = 0; i < division->cell_count; i++) {
        rhumb__shard *shard = &division->shards[division->shard_count - 1];
        const uint64_t added = cell_counts[d->order[i]];
        if (shard->home_count > 0 && shard->home_count + added > home_count) {
            shard++;
            division->shard_count++;
            *shard = (rhumb__shard){0};
        }
        shard->home_count += added;
        division->shards_of_cell[d->order[i]] = division->shard_count - 1;
    }
    for (uint64_t row = 0; row < division->count; row++) {
        const uint32_t count = rhumb__division_shards(division, row, shards);
        division->shards[shards[0]].belonging_count += count;
        for (uint32_t i = 1; i < count; i++) division->shards[shards[i]].guest_count++;
    }
    for (uint32_t i = 0; i < division->shard_count; i++) {
        largest = rhumb__max_u64(largest, division->shards[i].home_count + division->shards[i].guest_count);
    }
    return largest;
}

static rhumb_status choose_shards(dividing *d) {
    rhumb_status status = RHUMB_OK;
    rhumb__division *division = d->division;
    uint64_t home_count = (uint64_t)(HOME_SHARE * (double)d->spec->member_max) + 1;
    uint64_t *cell_counts = rhumb__alloc_zeroed(division->cell_count, sizeof *cell_counts);
    if (cell_counts == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for counting cells");
    for (uint64_t row = 0; row < division->count; row++) cell_counts[division->cells[row * RHUMB__DIVISION_CELLS]]++;
    while (make_shards(d, cell_counts, home_count) > d->spec->member_max) {
        RHUMB_TRY(rhumb__progress_advance(d->spec->progress, 0));
        home_count = home_count - home_count / 8 - 1;
        if (division->shard_count < division->cell_count && home_count > 1) continue;
        status = rhumb__fail(RHUMB_E_FULL, "%llu vectors near each other cannot be divided",
                             (unsigned long long)d->spec->member_max);
        break;
    }
done:
    rhumb__free(cell_counts);
    return status;
}

rhumb_status rhumb__divide(const rhumb__division_spec *spec, rhumb__division *division) {
    rhumb_status status;
    *division = (rhumb__division){0};
    dividing d = {.spec = spec, .division = division, .space = *spec->space};
    RHUMB_TRY(begin(&d));
    RHUMB_TRY(draw_leaders(&d));
    RHUMB_TRY(seek_cells(&d));
    status = choose_shards(&d);
done:
    rhumb__cut_free(&d.cut);
    rhumb__bulk_points_free(&d.leaders);
    rhumb__free(d.items);
    rhumb__free(d.order);
    rhumb__free(d.vectors);
    rhumb__free(d.nearest);
    return status;
}

void rhumb__division_forget_rows(rhumb__division *division) {
    rhumb__free(division->cells);
    division->cells = NULL;
}

void rhumb__division_free(rhumb__division *division) {
    rhumb__free(division->cells);
    rhumb__free(division->shards_of_cell);
    rhumb__free(division->shards);
    *division = (rhumb__division){0};
}
