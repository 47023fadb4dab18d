/* division.h - which shards of a whole its vectors belong to.
 *
 * A sample of the vectors are leaders of *cells*, and every vector has the nearest few cells. Cells near each other
 * make a *shard*, so many that a plan can be made of its vectors in memory. The nearest cell of a vector is in its
 * *home* shard. Where others of its nearest cells are in other shards, the vector is near the edge of its home, and a
 * *guest* of those: so it meets neighbours across the edge. Equal vectors have the same cells.
 *
 * The division is a function of vectors, parameters, seed and memory, not of the number of threads.
 */
#ifndef RHUMB_ENGINE_UPKEEP_SHARDS_DIVISION_H
#define RHUMB_ENGINE_UPKEEP_SHARDS_DIVISION_H

#include "engine/build/bulk/plan.h"
#include "engine/upkeep/shards/row_source.h"

/* Cells that are noted of each vector. */
#define RHUMB__DIVISION_CELLS 12u

/* Shards that a vector belongs to, at most. Of 200,000 vectors, with 2, 3 and 4 of them, recall@10 at ef 64 was 0.970
 * to 0.983, 0.983 and 0.988; built as a whole, 0.985 (bench/results/build-in-little-memory.txt). */
#define RHUMB__DIVISION_SHARDS_MAX 4u

typedef struct rhumb__shard {
    uint64_t home_count;
    uint64_t guest_count;
    uint64_t belonging_count; /* shards that its homes belong to, summed up */
} rhumb__shard;

typedef struct rhumb__division {
    uint64_t count;
    uint32_t cell_count;
    uint16_t *cells;          /* of each vector RHUMB__DIVISION_CELLS, nearest first; UINT16_MAX: no more */
    uint32_t *shards_of_cell; /* by cell */
    uint32_t shard_count;
    rhumb__shard *shards;
} rhumb__division;

typedef struct rhumb__division_spec {
    const rhumb__params *params;
    const rhumb__space *space;
    const rhumb__row_source *source;
    uint64_t member_max; /* of a shard */
    uint32_t thread_count;
    rhumb__progress *progress; /* advances by one step for each vector */
} rhumb__division_spec;

/* Reads all rows once. To be freed also after a failure. RHUMB_E_FULL: vectors are so near each other that no cell
 * divides them. RHUMB_E_NOMEM, RHUMB_E_CANCELLED, and what reading and rhumb__space_prepare return. */
rhumb_status rhumb__divide(const rhumb__division_spec *spec, rhumb__division *division) RHUMB_NODISCARD;

/* The shards of a vector, its home first. Returns how many. */
uint32_t rhumb__division_shards(const rhumb__division *division, uint64_t row, uint32_t *shards);

/* Releases what rhumb__division_shards needs, and leaves the shards. */
void rhumb__division_forget_rows(rhumb__division *division);

void rhumb__division_free(rhumb__division *division);

#endif /* RHUMB_ENGINE_UPKEEP_SHARDS_DIVISION_H */
