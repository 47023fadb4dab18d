/* cut.c - see cut.h. Owns its arrays. Takes no lock. */
#include "engine/build/bulk/cut.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/parallel.h"
#include "base/status.h"

#define NODES_PER_STEP 768u

enum { ROWS = RHUMB__TILE_ROWS, COLUMNS = RHUMB__TILE_COLUMNS };

static uint32_t member_of(const rhumb__cut *c, uint64_t i) { return c->members == NULL ? (uint32_t)i : c->members[i]; }

static const void *code_of(const rhumb__cut *c, uint64_t i) {
    return rhumb__bulk_code(c->nodes->points, c->nodes->items[member_of(c, i)]);
}

void rhumb__cut_free(rhumb__cut *c) {
    rhumb__free(c->panels);
    rhumb__free(c->columns);
    rhumb__free(c->leaders);
    rhumb__free(c->begins);
    rhumb__free(c->grouped);
}

/* Draws leaders, one from each of as many equal parts of the set. */
rhumb_status rhumb__cut_draw(rhumb__cut *c) {
    const rhumb__tiler *tiler = c->nodes->tiler;
    const uint64_t panel_count = rhumb__divide_up(c->leader_count, COLUMNS);
    c->panels = rhumb__alloc_zeroed(panel_count, tiler->panel_bytes);
    c->columns = rhumb__alloc_zeroed(panel_count, sizeof *c->columns);
    if (c->panels == NULL || c->columns == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for leaders");
    const void *codes[COLUMNS];
    for (uint32_t i = 0; i < c->leader_count; i++) {
        const uint64_t begin = c->count * i / c->leader_count;
        const uint64_t end = c->count * (i + 1) / c->leader_count;
        codes[i % COLUMNS] = code_of(c, begin + rhumb__cut_mixed(c->seed, i) % (end - begin));
        if (i % COLUMNS < COLUMNS - 1 && i + 1 < c->leader_count) continue;
        rhumb__tile_pack_panel(tiler, codes, i % COLUMNS + 1, c->panels + i / COLUMNS * (size_t)tiler->panel_bytes,
                               &c->columns[i / COLUMNS]);
    }
    return RHUMB_OK;
}

static rhumb_status cut_make(rhumb__cut *c) {
    RHUMB_ASSERT(c->fanout > 0 && c->fanout <= RHUMB__CUT_FANOUT_MAX && c->fanout <= c->leader_count);
    c->leaders = rhumb__alloc_zeroed(c->count * c->fanout, sizeof *c->leaders);
    c->begins = rhumb__alloc_zeroed(c->leader_count + 1, sizeof *c->begins);
    c->grouped = rhumb__alloc_zeroed(c->count * c->fanout, sizeof *c->grouped);
    if (c->leaders == NULL || c->begins == NULL || c->grouped == NULL)
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for cutting %llu vectors", (unsigned long long)c->count);
    return rhumb__cut_draw(c);
}

static void offer_leader(rhumb__seeker *s, uint32_t r, uint32_t fanout, rhumb__candidate candidate) {
    rhumb__candidate *nearest = s->nearest[r];
    uint32_t place = s->counts[r];
    if (place == fanout && !rhumb__candidate_precedes(candidate, nearest[fanout - 1])) return;
    if (place == fanout)
        place--;
    else
        s->counts[r]++;
    for (; place > 0 && rhumb__candidate_precedes(candidate, nearest[place - 1]); place--)
        nearest[place] = nearest[place - 1];
    nearest[place] = candidate;
    if (s->counts[r] == fanout) s->limits[r] = nearest[fanout - 1].distance;
}

static void seek_panel(const rhumb__cut *c, rhumb__seeker *s, uint32_t panel, const float *column_limits) {
    const rhumb__tiler *tiler = c->nodes->tiler;
    const uint32_t first = panel * COLUMNS;
    const rhumb__tile_source source = {.rows = s->rows,
                                       .row_constants = s->constants,
                                       .panel = c->panels + panel * (size_t)tiler->panel_bytes,
                                       .columns = &c->columns[panel],
                                       .row_limits = s->limits,
                                       .column_limits = column_limits};
    tiler->compute(tiler, &source, &s->tile);
    for (uint32_t r = 0; r < ROWS; r++) {
        for (uint64_t bits = s->tile.within_row[r]; bits != 0; bits &= bits - 1) {
            const uint32_t column = (uint32_t)__builtin_ctzll(bits);
            if (first + column >= c->leader_count) break;
            offer_leader(s, r, c->fanout, (rhumb__candidate){s->tile.estimates[r][column], first + column});
        }
    }
}

/* Finds the leaders of at most ROWS members. One whose distances are not numbers goes with leaders by its number. */
static void seek_rows(const rhumb__cut *c, rhumb__seeker *s, uint64_t begin, uint32_t count) {
    const rhumb__tiler *tiler = c->nodes->tiler;
    float column_limits[COLUMNS];
    for (uint32_t i = 0; i < COLUMNS; i++) column_limits[i] = -INFINITY;
    for (uint32_t r = 0; r < ROWS; r++) {
        s->limits[r] = r < count ? INFINITY : -INFINITY;
        s->counts[r] = 0;
        if (r >= count) continue;
        rhumb__tile_pack_row(tiler, code_of(c, begin + r), s->rows + r * (size_t)tiler->point_bytes, &s->constants[r]);
    }
    for (uint32_t panel = 0; panel * COLUMNS < c->leader_count; panel++) seek_panel(c, s, panel, column_limits);
    for (uint32_t r = 0; r < count; r++) {
        uint32_t *leaders = c->leaders + (begin + r) * c->fanout;
        for (uint32_t i = 0; i < c->fanout; i++) {
            leaders[i] = i < s->counts[r] ? rhumb__candidate_slot(s->nearest[r][i]) : UINT32_MAX;
        }
        if (s->counts[r] == 0) leaders[0] = (uint32_t)((begin + r) % c->leader_count);
    }
}

static void seek(const rhumb__cut *c, rhumb__seeker *s, uint64_t begin, uint64_t end) {
    for (; begin < end; begin += ROWS) seek_rows(c, s, begin, (uint32_t)rhumb__min_u64(end - begin, ROWS));
}

/* Makes the sets: their members in the order of the numbers that they have in the whole. */
static void group(rhumb__cut *c) {
    const uint64_t entry_count = c->count * c->fanout;
    for (uint64_t i = 0; i < entry_count; i++) {
        if (c->leaders[i] != UINT32_MAX) c->begins[c->leaders[i] + 1]++;
    }
    for (uint32_t i = 0; i < c->leader_count; i++) c->begins[i + 1] += c->begins[i];
    for (uint64_t i = 0; i < entry_count; i++) {
        if (c->leaders[i] != UINT32_MAX) c->grouped[c->begins[c->leaders[i]]++] = member_of(c, i / c->fanout);
    }
    /* Each begin is now where the next set begins. */
    memmove(c->begins + 1, c->begins, c->leader_count * sizeof *c->begins);
    c->begins[0] = 0;
    rhumb__free(c->leaders);
    c->leaders = NULL;
}

rhumb_status rhumb__seeker_make(const rhumb__tiler *tiler, rhumb__seeker **seeker_out) {
    rhumb__seeker *s = rhumb__alloc_zeroed(1, sizeof *s);
    if (s != NULL) s->rows = rhumb__alloc_zeroed(ROWS, tiler->point_bytes);
    *seeker_out = s;
    if (s != NULL && s->rows != NULL) return RHUMB_OK;
    return rhumb__fail(RHUMB_E_NOMEM, "no memory for cutting");
}

void rhumb__seeker_free(rhumb__seeker *s) {
    if (s != NULL) rhumb__free(s->rows);
    rhumb__free(s);
}

rhumb_status rhumb__cut_alone(rhumb__cut *c, rhumb__seeker *seeker) {
    const rhumb_status status = cut_make(c);
    if (status != RHUMB_OK) return status;
    seek(c, seeker, 0, c->count);
    group(c);
    return RHUMB_OK;
}

/* ---- by all threads ---- */

typedef struct cutting {
    rhumb__bulk_loop loop;
    const rhumb__cut *cut;
} cutting;

static rhumb_status seek_some(void *context, uint32_t worker_index) {
    cutting *all = context;
    rhumb__seeker *seeker = NULL;
    uint64_t begin = 0;
    uint64_t end = 0;
    rhumb_status status = rhumb__seeker_make(all->cut->nodes->tiler, &seeker);
    while (rhumb__bulk_take(&all->loop, worker_index, &begin, &end, &status)) seek(all->cut, seeker, begin, end);
    rhumb__seeker_free(seeker);
    return rhumb__bulk_end(&all->loop, status);
}

rhumb_status rhumb__cut_seek(rhumb__cut *c, rhumb__bulk_run *run) {
    cutting all = {.loop = {.run = run, .limit = c->count, .step = NODES_PER_STEP}, .cut = c};
    return rhumb__parallel_run(run->thread_count, seek_some, &all);
}

rhumb_status rhumb__cut_together(rhumb__cut *c, double share, rhumb__bulk_run *run) {
    rhumb_status status = cut_make(c);
    if (status != RHUMB_OK) return status;
    rhumb__bulk_begin(run, share);
    status = rhumb__cut_seek(c, run);
    if (status == RHUMB_OK) group(c);
    return status;
}
