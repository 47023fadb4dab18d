/* leaf.c - see leaf.h.
 *
 * Tiles of 6 by 64 pairs, those on and above the diagonal. Each is scanned twice by bits: for the rows which
 * columns are near, and for the columns which rows. A node's limit begins at that of its reservoir, which only falls,
 * so what is beyond it now could not stay there.
 *
 * Owns its memory. Takes no lock but those of the reservoirs.
 */
#include "engine/build/bulk/leaf.h"

#include <math.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/status.h"

enum { ROWS = RHUMB__TILE_ROWS, COLUMNS = RHUMB__TILE_COLUMNS };
enum { ROOM = RHUMB__LEAF_NODES_MAX + COLUMNS, PANELS = RHUMB__LEAF_NODES_MAX / COLUMNS };

/* How many codes ahead are prefetched. */
enum { AHEAD = 8, LINE_BYTES = 64 };

static_assert(RHUMB__LEAF_NODES_MAX % RHUMB__TILE_COLUMNS == 0, "whole panels");

rhumb_status rhumb__leaf_make(const rhumb__bulk_nodes *nodes, rhumb__reservoirs *reservoirs, uint32_t nearest_count,
                              rhumb__leaf *leaf) {
    const rhumb__tiler *tiler = nodes->tiler;
    RHUMB_ASSERT_DEBUG(nearest_count > 0 && nearest_count <= RHUMB__LEAF_NEAREST_MAX);
    leaf->nodes = nodes;
    leaf->reservoirs = reservoirs;
    leaf->nearest_count = nearest_count;
    leaf->rows = rhumb__alloc_zeroed(ROOM, tiler->point_bytes);
    leaf->panels = rhumb__alloc_zeroed(PANELS, tiler->panel_bytes);
    leaf->row_constants = rhumb__alloc_zeroed(ROOM, sizeof *leaf->row_constants);
    leaf->columns = rhumb__alloc_zeroed(PANELS, sizeof *leaf->columns);
    leaf->limits = rhumb__alloc_zeroed(ROOM, sizeof *leaf->limits);
    leaf->nearest = rhumb__alloc_zeroed((size_t)RHUMB__LEAF_NODES_MAX * nearest_count, sizeof *leaf->nearest);
    leaf->counts = rhumb__alloc_zeroed(RHUMB__LEAF_NODES_MAX, sizeof *leaf->counts);
    if (leaf->rows != NULL && leaf->panels != NULL && leaf->row_constants != NULL && leaf->columns != NULL &&
        leaf->limits != NULL && leaf->nearest != NULL && leaf->counts != NULL) {
        return RHUMB_OK;
    }
    return rhumb__fail(RHUMB_E_NOMEM, "no memory for measuring many vectors at once");
}

void rhumb__leaf_free(rhumb__leaf *leaf) {
    rhumb__free(leaf->rows);
    rhumb__free(leaf->panels);
    rhumb__free(leaf->row_constants);
    rhumb__free(leaf->columns);
    rhumb__free(leaf->limits);
    rhumb__free(leaf->nearest);
    rhumb__free(leaf->counts);
}

static void load(rhumb__leaf *leaf, const uint32_t *members, uint32_t count) {
    const rhumb__bulk_nodes *nodes = leaf->nodes;
    const rhumb__tiler *tiler = nodes->tiler;
    const void *codes[COLUMNS];
    for (uint32_t i = 0; i < count; i++) {
        const void *code = rhumb__bulk_code(nodes->points, nodes->items[members[i]]);
        if (i + AHEAD < count) {
            const uint8_t *ahead = rhumb__bulk_code(nodes->points, nodes->items[members[i + AHEAD]]);
            for (uint32_t at = 0; at < tiler->coder->code_bytes; at += LINE_BYTES) __builtin_prefetch(ahead + at);
        }
        rhumb__tile_pack_row(tiler, code, leaf->rows + i * (size_t)tiler->point_bytes, &leaf->row_constants[i]);
        codes[i % COLUMNS] = code;
        if (i % COLUMNS == COLUMNS - 1 || i + 1 == count) {
            rhumb__tile_pack_panel(tiler, codes, i % COLUMNS + 1,
                                   leaf->panels + i / COLUMNS * (size_t)tiler->panel_bytes,
                                   &leaf->columns[i / COLUMNS]);
        }
        leaf->limits[i] = rhumb__reservoirs_limit(leaf->reservoirs, members[i]);
        leaf->counts[i] = 0;
    }
    for (uint32_t i = count; i < count + COLUMNS; i++) leaf->limits[i] = -INFINITY;
}

/* Keeps a candidate of the `index`-th member if it is among its nearest. */
static void offer(rhumb__leaf *leaf, uint32_t index, rhumb__candidate candidate) {
    rhumb__candidate *nearest = leaf->nearest + index * (size_t)leaf->nearest_count;
    uint32_t count = leaf->counts[index];
    if (count == leaf->nearest_count) {
        if (!rhumb__candidate_precedes(candidate, nearest[count - 1])) return;
        count--;
    } else {
        leaf->counts[index]++;
    }
    uint32_t place = count;
    for (; place > 0 && rhumb__candidate_precedes(candidate, nearest[place - 1]); place--)
        nearest[place] = nearest[place - 1];
    nearest[place] = candidate;
    if (count + 1 == leaf->nearest_count) leaf->limits[index] = nearest[count].distance;
}

/* The pairs of a row with the columns of a tile whose bits are set. */
static void offer_to_row(rhumb__leaf *leaf, const uint32_t *members, uint32_t row, uint32_t tile_row, uint32_t first) {
    uint64_t bits = leaf->tile.within_row[tile_row];
    for (; bits != 0; bits &= bits - 1) {
        const uint32_t column = (uint32_t)__builtin_ctzll(bits);
        const float distance = leaf->tile.estimates[tile_row][column];
        if (first + column == row || !(distance <= leaf->limits[row])) continue;
        offer(leaf, row, (rhumb__candidate){distance, members[first + column]});
    }
}

static void offer_to_columns(rhumb__leaf *leaf, const uint32_t *members, uint32_t row, uint32_t tile_row,
                             uint32_t first) {
    uint64_t bits = leaf->tile.within_column[tile_row];
    for (; bits != 0; bits &= bits - 1) {
        const uint32_t column = (uint32_t)__builtin_ctzll(bits);
        const float distance = leaf->tile.estimates[tile_row][column];
        if (!(distance <= leaf->limits[first + column])) continue;
        offer(leaf, first + column, (rhumb__candidate){distance, members[row]});
    }
}

/* The pairs of the columns of one panel with all rows before the panel, and with each other. */
static void measure_panel(rhumb__leaf *leaf, const uint32_t *members, uint32_t count, uint32_t panel) {
    const rhumb__tiler *tiler = leaf->nodes->tiler;
    const uint32_t first = panel * COLUMNS;
    const uint32_t row_limit = (uint32_t)rhumb__min_u64(first + COLUMNS, count);
    const uint64_t present = UINT64_MAX >> (COLUMNS - (row_limit - first)); /* the columns that there are */
    float row_limits[ROWS];
    for (uint32_t row = 0; row < row_limit; row += ROWS) {
        for (uint32_t r = 0; r < ROWS; r++) row_limits[r] = row + r < row_limit ? leaf->limits[row + r] : -INFINITY;
        const rhumb__tile_source source = {.rows = leaf->rows + row * (size_t)tiler->point_bytes,
                                           .row_constants = leaf->row_constants + row,
                                           .panel = leaf->panels + panel * (size_t)tiler->panel_bytes,
                                           .columns = &leaf->columns[panel],
                                           .row_limits = row_limits,
                                           .column_limits = leaf->limits + first};
        tiler->compute(tiler, &source, &leaf->tile);
        for (uint32_t r = 0; r < ROWS && row + r < row_limit; r++) {
            leaf->tile.within_row[r] &= present;
            offer_to_row(leaf, members, row + r, r, first);
            if (row + r < first) offer_to_columns(leaf, members, row + r, r, first);
        }
    }
}

void rhumb__leaf_measure(rhumb__leaf *leaf, const uint32_t *members, uint32_t count) {
    RHUMB_ASSERT_DEBUG(count <= RHUMB__LEAF_NODES_MAX);
    load(leaf, members, count);
    for (uint32_t panel = 0; panel * COLUMNS < count; panel++) measure_panel(leaf, members, count, panel);
    for (uint32_t i = 0; i < count; i++) {
        rhumb__reservoirs_give(leaf->reservoirs, members[i], leaf->nearest + i * (size_t)leaf->nearest_count,
                               leaf->counts[i]);
    }
}
