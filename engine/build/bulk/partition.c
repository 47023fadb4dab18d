/* partition.c - see partition.h.
 *
 * The first cut is made by all threads together. Each of its sets is then the work of one thread, which cuts it further
 * and measures its leaves before it takes the next: so never more than the first cut is kept in memory, and what each
 * thread is at. Leaders are drawn by the seed and the place of a set in the cuts, so the leaves are the same however
 * many threads there are.
 *
 * Owns its arrays. Takes no lock but those of the reservoirs.
 */
#include "engine/build/bulk/partition.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/parallel.h"
#include "base/status.h"

enum { ROWS = RHUMB__TILE_ROWS, COLUMNS = RHUMB__TILE_COLUMNS };

#define LEADERS_MAX 1024u
/* The leaves that are aimed at. */
#define LEAF_NODES 512u
/* To how many leaders a node goes: at the first cut, the second, and the others. */
#define FANOUT_MAX 16u
/* A set of which a part is nearly as large as itself is cut anyhow, from this cut on. */
#define CUT_ANYHOW 3u
#define NODES_PER_STEP 768u

static const uint32_t FANOUTS[] = {8, 2, 1};

/* Of the time, what the first cut takes. */
#define SEEK_SHARE 0.15

static uint32_t fanout_of(uint32_t cut) { return FANOUTS[cut < 2 ? cut : 2]; }

static uint64_t mixed(uint64_t a, uint64_t b) {
    uint64_t x = a + UINT64_C(0x9E3779B97F4A7C15) * (b + 1);
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

/* ---- one cut ---- */

typedef struct cut {
    const rhumb__bulk_nodes *nodes;
    const uint32_t *members; /* NULL: all nodes */
    uint64_t count;
    uint64_t seed;
    uint32_t fanout;
    uint32_t leader_count;
    uint8_t *panels;
    rhumb__tile_columns *columns;
    uint32_t *leaders; /* of each member, the numbers of `fanout` leaders; overwritten by the members of the sets */
    uint64_t *begins;  /* of the set of each leader in `grouped`, and the end of the last */
    uint32_t *grouped;
} cut;

static uint32_t member_of(const cut *c, uint64_t i) { return c->members == NULL ? (uint32_t)i : c->members[i]; }

static const void *code_of(const cut *c, uint64_t i) {
    return rhumb__bulk_code(c->nodes->points, c->nodes->items[member_of(c, i)]);
}

static void cut_free(cut *c) {
    rhumb__free(c->panels);
    rhumb__free(c->columns);
    rhumb__free(c->leaders);
    rhumb__free(c->begins);
    rhumb__free(c->grouped);
}

/* Draws leaders, one from each of as many equal parts of the set. */
static rhumb_status cut_make(cut *c, uint32_t number) {
    const rhumb__tiler *tiler = c->nodes->tiler;
    c->fanout = fanout_of(number);
    const uint64_t wanted_count = rhumb__divide_up(c->count * c->fanout, LEAF_NODES);
    c->leader_count = (uint32_t)rhumb__min_u64(rhumb__max_u64(wanted_count, 2), LEADERS_MAX);
    if (c->fanout > c->leader_count) c->fanout = c->leader_count;
    const uint64_t panel_count = rhumb__divide_up(c->leader_count, COLUMNS);
    c->panels = rhumb__alloc_zeroed(panel_count, tiler->panel_bytes);
    c->columns = rhumb__alloc_zeroed(panel_count, sizeof *c->columns);
    c->leaders = rhumb__alloc_zeroed(c->count * c->fanout, sizeof *c->leaders);
    c->begins = rhumb__alloc_zeroed(c->leader_count + 1, sizeof *c->begins);
    c->grouped = rhumb__alloc_zeroed(c->count * c->fanout, sizeof *c->grouped);
    if (c->panels == NULL || c->columns == NULL || c->leaders == NULL || c->begins == NULL || c->grouped == NULL)
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for cutting %llu vectors", (unsigned long long)c->count);
    const void *codes[COLUMNS];
    for (uint32_t i = 0; i < c->leader_count; i++) {
        const uint64_t begin = c->count * i / c->leader_count;
        const uint64_t end = c->count * (i + 1) / c->leader_count;
        codes[i % COLUMNS] = code_of(c, begin + mixed(c->seed, i) % (end - begin));
        if (i % COLUMNS < COLUMNS - 1 && i + 1 < c->leader_count) continue;
        rhumb__tile_pack_panel(tiler, codes, i % COLUMNS + 1, c->panels + i / COLUMNS * (size_t)tiler->panel_bytes,
                               &c->columns[i / COLUMNS]);
    }
    return RHUMB_OK;
}

/* Where one thread finds the leaders of some members. */
typedef struct seeker {
    uint8_t *rows; /* of ROWS members */
    rhumb__tile_constants constants[ROWS];
    float limits[ROWS];
    rhumb__candidate nearest[ROWS][FANOUT_MAX];
    uint32_t counts[ROWS];
    rhumb__tile tile;
} seeker;

static void offer_leader(seeker *s, uint32_t r, uint32_t fanout, rhumb__candidate candidate) {
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

static void seek_panel(const cut *c, seeker *s, uint32_t panel, const float *column_limits) {
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
static void seek_rows(const cut *c, seeker *s, uint64_t begin, uint32_t count) {
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

static void seek(const cut *c, seeker *s, uint64_t begin, uint64_t end) {
    for (; begin < end; begin += ROWS) seek_rows(c, s, begin, (uint32_t)rhumb__min_u64(end - begin, ROWS));
}

/* Makes the sets: their members in the order of the numbers that they have in the whole. */
static void group(cut *c) {
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
}

/* ---- the cuts of one thread ---- */

typedef struct partition {
    rhumb__bulk_loop loop;
    const rhumb__partition_spec *spec;
    cut *first;
} partition;

static rhumb_status seeker_make(const rhumb__tiler *tiler, seeker **seeker_out) {
    seeker *s = rhumb__alloc_zeroed(1, sizeof *s);
    if (s != NULL) s->rows = rhumb__alloc_zeroed(ROWS, tiler->point_bytes);
    *seeker_out = s;
    if (s != NULL && s->rows != NULL) return RHUMB_OK;
    return rhumb__fail(RHUMB_E_NOMEM, "no memory for cutting");
}

static void seeker_free(seeker *s) {
    if (s != NULL) rhumb__free(s->rows);
    rhumb__free(s);
}

/* A thread's own: what it seeks with, and its leaf. */
typedef struct cutter {
    const partition *all;
    uint32_t worker_index;
    seeker *seeker;
    rhumb__leaf leaf;
} cutter;

/* Measures pieces of a set that leaders do not cut. */
static rhumb_status measure_pieces(cutter *t, const uint32_t *members, uint64_t count) {
    const uint64_t piece_count = rhumb__divide_up(count, RHUMB__LEAF_NODES_MAX);
    for (uint64_t i = 0; i < piece_count; i++) {
        bool stops = false;
        const rhumb_status status = rhumb__bulk_check(t->all->loop.run, t->worker_index, &stops);
        if (status != RHUMB_OK || stops) return status;
        const uint64_t begin = count * i / piece_count;
        rhumb__leaf_measure(&t->leaf, members + begin, (uint32_t)(count * (i + 1) / piece_count - begin));
    }
    return RHUMB_OK;
}

static rhumb_status cut_further(cutter *t, const uint32_t *members, uint64_t count, uint32_t number, uint64_t seed) {
    rhumb_status status = RHUMB_OK;
    if (count <= RHUMB__LEAF_NODES_MAX || number > CUT_ANYHOW) return measure_pieces(t, members, count);
    cut c = {.nodes = t->all->spec->nodes, .members = members, .count = count, .seed = seed};
    RHUMB_TRY(cut_make(&c, number));
    seek(&c, t->seeker, 0, count);
    group(&c);
    rhumb__free(c.leaders);
    c.leaders = NULL;
    for (uint32_t i = 0; i < c.leader_count; i++) {
        const uint64_t begin = c.begins[i];
        RHUMB_TRY(cut_further(t, c.grouped + begin, c.begins[i + 1] - begin, number + 1, mixed(seed, i)));
    }
done:
    cut_free(&c);
    return status;
}

/* ---- the first cut ---- */

static rhumb_status seek_some(void *context, uint32_t worker_index) {
    partition *p = context;
    seeker *s = NULL;
    uint64_t begin = 0;
    uint64_t end = 0;
    rhumb_status status = seeker_make(p->spec->nodes->tiler, &s);
    while (rhumb__bulk_take(&p->loop, worker_index, &begin, &end, &status)) seek(p->first, s, begin, end);
    seeker_free(s);
    return rhumb__bulk_end(&p->loop, status);
}

static rhumb_status measure_some(void *context, uint32_t worker_index) {
    partition *p = context;
    const rhumb__partition_spec *spec = p->spec;
    cutter t = {.all = p, .worker_index = worker_index};
    uint64_t begin = 0;
    uint64_t end = 0;
    rhumb_status status = seeker_make(spec->nodes->tiler, &t.seeker);
    if (status == RHUMB_OK) status = rhumb__leaf_make(spec->nodes, spec->reservoirs, spec->nearest_count, &t.leaf);
    while (rhumb__bulk_take(&p->loop, worker_index, &begin, &end, &status)) {
        const uint64_t first = p->first->begins[begin];
        status = cut_further(&t, p->first->grouped + first, p->first->begins[end] - first, 1,
                             mixed(spec->seed, UINT32_MAX + begin));
    }
    rhumb__leaf_free(&t.leaf);
    seeker_free(t.seeker);
    return rhumb__bulk_end(&p->loop, status);
}

/* All nodes are one leaf. */
static rhumb_status measure_all(const rhumb__partition_spec *spec) {
    rhumb__leaf leaf = {0};
    uint32_t members[RHUMB__LEAF_NODES_MAX];
    const rhumb_status status = rhumb__leaf_make(spec->nodes, spec->reservoirs, spec->nearest_count, &leaf);
    for (uint32_t i = 0; i < spec->nodes->count; i++) members[i] = i;
    if (status == RHUMB_OK) rhumb__leaf_measure(&leaf, members, (uint32_t)spec->nodes->count);
    rhumb__leaf_free(&leaf);
    return status;
}

rhumb_status rhumb__partition(const rhumb__partition_spec *spec, rhumb__bulk_run *run) {
    rhumb_status status;
    if (spec->nodes->count <= RHUMB__LEAF_NODES_MAX) return measure_all(spec);
    cut first = {.nodes = spec->nodes, .count = spec->nodes->count, .seed = spec->seed};
    partition seeking = {
        .loop = {.run = run, .limit = first.count, .step = NODES_PER_STEP}, .spec = spec, .first = &first};
    RHUMB_TRY(cut_make(&first, 0));
    rhumb__bulk_begin(run, SEEK_SHARE * spec->share);
    RHUMB_TRY(rhumb__parallel_run(run->thread_count, seek_some, &seeking));
    group(&first);
    rhumb__free(first.leaders);
    first.leaders = NULL;
    partition measuring = {.loop = {.run = run, .limit = first.leader_count, .step = 1}, .spec = spec, .first = &first};
    rhumb__bulk_begin(run, (1 - SEEK_SHARE) * spec->share);
    status = rhumb__parallel_run(run->thread_count, measure_some, &measuring);
done:
    cut_free(&first);
    return status;
}
