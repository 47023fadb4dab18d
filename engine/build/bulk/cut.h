/* cut.h - dividing a set of nodes among *leaders*, a sample of it: every node goes with the nearest few of them.
 *
 * Leaders are drawn by a seed, and nearness is that of codes (distances/tile), so the sets are the same on any number
 * of threads.
 */
#ifndef RHUMB_ENGINE_BUILD_BULK_CUT_H
#define RHUMB_ENGINE_BUILD_BULK_CUT_H

#include "engine/build/bulk/leaf.h"

#define RHUMB__CUT_FANOUT_MAX 16u

typedef struct rhumb__cut {
    const rhumb__bulk_nodes *nodes;
    const uint32_t *members; /* NULL: all nodes */
    uint64_t count;
    uint64_t seed;
    uint32_t fanout;       /* leaders that a node goes with, at most leader_count */
    uint32_t leader_count; /* at most the members */
    uint8_t *panels;
    rhumb__tile_columns *columns;
    uint32_t *leaders; /* of each member, the numbers of `fanout` leaders */
    uint64_t *begins;  /* of the set of each leader in `grouped`, and the end of the last */
    uint32_t *grouped;
} rhumb__cut;

/* Where one thread finds the leaders of some members. */
typedef struct rhumb__seeker {
    uint8_t *rows; /* of RHUMB__TILE_ROWS members */
    rhumb__tile_constants constants[RHUMB__TILE_ROWS];
    float limits[RHUMB__TILE_ROWS];
    rhumb__candidate nearest[RHUMB__TILE_ROWS][RHUMB__CUT_FANOUT_MAX];
    uint32_t counts[RHUMB__TILE_ROWS];
    rhumb__tile tile;
} rhumb__seeker;

/* A seed for a part of what has a seed. */
static inline uint64_t rhumb__cut_mixed(uint64_t a, uint64_t b) {
    uint64_t x = a + UINT64_C(0x9E3779B97F4A7C15) * (b + 1);
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

rhumb_status rhumb__seeker_make(const rhumb__tiler *tiler, rhumb__seeker **seeker_out) RHUMB_NODISCARD;
void rhumb__seeker_free(rhumb__seeker *seeker);

/* Cuts a set whose fields up to leader_count are set: draws leaders, one from each of as many equal parts of it, finds
 * those of each member, and makes the sets, their members in the order of the numbers that they have in the whole. To
 * be freed also after a failure. By the calling thread alone: RHUMB_E_NOMEM. */
rhumb_status rhumb__cut_alone(rhumb__cut *cut, rhumb__seeker *seeker) RHUMB_NODISCARD;

/* The same by all threads of a run, of which it is a step. RHUMB_E_NOMEM, RHUMB_E_CANCELLED. */
rhumb_status rhumb__cut_together(rhumb__cut *cut, double share, rhumb__bulk_run *run) RHUMB_NODISCARD;

/* The two halves of that, for sets whose leaders are those of another. Draws leaders, as many as leader_count says, and
 * no more. To be freed also after a failure. RHUMB_E_NOMEM. */
rhumb_status rhumb__cut_draw(rhumb__cut *cut) RHUMB_NODISCARD;

/* Fills `leaders`, which has room for `fanout` of each member, with the numbers of the nearest ones, those that there
 * are not being UINT32_MAX; panels, columns and leader_count are those of a cut that was drawn by the same kind of
 * codes. By all threads of a run. RHUMB_E_NOMEM, RHUMB_E_CANCELLED. */
rhumb_status rhumb__cut_seek(rhumb__cut *cut, rhumb__bulk_run *run) RHUMB_NODISCARD;

void rhumb__cut_free(rhumb__cut *cut);

#endif /* RHUMB_ENGINE_BUILD_BULK_CUT_H */
