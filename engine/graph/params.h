/* params.h - the engine's part of a superblock: the parameters of an index, fixed at creation, and the counts of the
 * version that the superblock publishes.
 */
#ifndef RHUMB_ENGINE_GRAPH_PARAMS_H
#define RHUMB_ENGINE_GRAPH_PARAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "distances/space.h"
#include "include/rhumb_types.h"
#include "storage/frame/format.h"

#define RHUMB__LEVEL_MAX 16u
#define RHUMB__LEVEL_COUNT (RHUMB__LEVEL_MAX + 1)
#define RHUMB__M_MIN 2u
#define RHUMB__M_MAX 256u
#define RHUMB__M0_MAX 512u
#define RHUMB__EF_CONSTRUCTION_MAX 65535u
#define RHUMB__EF_SEARCH_MAX 1000000u

/* No slot: the padding of neighbour lists. */
#define RHUMB__SLOT_NONE UINT32_MAX
/* Slots are below this: a search keeps one bit of a slot number for itself. */
#define RHUMB__SLOT_LIMIT (UINT32_C(1) << 31)

#define RHUMB__CUSTOM_NAME_BYTES 64u /* including the terminating zero */

/* A custom metric: its name, which the file records, and the function, which the program that opens it supplies. */
typedef struct rhumb__custom_metric {
    char name[RHUMB__CUSTOM_NAME_BYTES]; /* "" for any other metric */
    rhumb_distance_fn distance;
    void *context;
} rhumb__custom_metric;

typedef struct rhumb__params {
    rhumb_metric metric;
    rhumb_element element;
    uint32_t dim;
    uint32_t M;
    uint32_t M0;
    uint32_t ef_construction;
    uint32_t ef_search;
    uint32_t level_max;
    double level_scale;
    uint64_t seed;
    uint32_t code_bits; /* of a digit in the codes of vectors: 8 or 4, or 0: there are no codes */
    uint32_t lane_bits; /* of a component in the lanes of fused rows: 1 or 2, or 0: there are no rows */
    bool extend_candidates;
    bool keep_pruned;
    bool normalise;
    rhumb__custom_metric custom;
} rhumb__params;

typedef struct rhumb__counts {
    uint64_t slot_count;
    uint64_t upper_row_count; /* rows of upper lists: one per node and level above 0 */
    uint64_t key_bucket_count;
    uint64_t key_overflow_count;
    uint64_t dead_count;                       /* slots whose node has been deleted */
    uint64_t key_next;                         /* one above the largest key ever inserted */
    uint64_t lsn;                              /* the last operation that the version holds, see storage/log/log.h */
    uint64_t level_counts[RHUMB__LEVEL_COUNT]; /* nodes whose highest level is this one */
    uint32_t level_first[RHUMB__LEVEL_COUNT];  /* the lowest slot of those that are in the graph, or RHUMB__SLOT_NONE */
    uint64_t copy_count;                       /* at least as many as are copies, see ties.h */
} rhumb__counts;

/* RHUMB_E_INVALID when a parameter is out of range; the message names it. */
rhumb_status rhumb__params_check(const rhumb__params *params) RHUMB_NODISCARD;

/* Writes parameters and counts into the engine's part of a superblock. */
void rhumb__params_encode(const rhumb__params *params, const rhumb__counts *counts,
                          uint8_t client[RHUMB__CLIENT_BYTES]);

/* The inverse, with every number checked. Of a custom metric it fills in the name only. RHUMB_E_CORRUPT,
 * RHUMB_E_VERSION; messages name `path`. */
rhumb_status rhumb__params_decode(const uint8_t client[RHUMB__CLIENT_BYTES], const char *path, rhumb__params *params,
                                  rhumb__counts *counts) RHUMB_NODISCARD;

/* Adds the function of the custom metric, if there is one, to parameters from a file. `custom` may be NULL.
 * RHUMB_E_METRIC: it is not supplied, or has another name. Messages name `path`. */
rhumb_status rhumb__params_supply(rhumb__params *params, const rhumb__custom_metric *custom,
                                  const char *path) RHUMB_NODISCARD;

/* The space of an index. For parameters from a file, `path` is its name, and a metric or element type that is not known
 * is RHUMB_E_VERSION; for those of a caller it is NULL. What rhumb__space_init returns. */
rhumb_status rhumb__params_space(const rhumb__params *params, const char *path, rhumb__space *space) RHUMB_NODISCARD;

/* The highest level that a node in the graph has, or -1 in an empty index. */
int32_t rhumb__counts_level_top(const rhumb__counts *counts);

/* The level of the node at `slot`: distributed as floor(-ln(U) * level_scale / ln(M)), U uniform in (0, 1] (HNSW paper,
 * section 4.1), at most level_max. A function of seed and slot, so that it does not depend on the order in which
 * threads insert. */
uint32_t rhumb__params_level(const rhumb__params *params, uint32_t slot);

#endif /* RHUMB_ENGINE_GRAPH_PARAMS_H */
