/* rhumb_topology.h - topology files: a part of the manual of its own. Include rhumb.h; it includes this file.
 *
 *   The graph of an index alone, without vectors, for programs that walk neighbourhoods (clustering, embedding,
 * drawing). A topology file is written once and never changes. Opening reads 4 KiB and maps the rest, so it takes the
 * same time whatever the size, and processes that have it open share its memory. An open one may be used by any number
 * of threads. Points are sorted by key; a point's number in that order, from 0, is its *position*, and the neighbours
 * of a point are stored as positions: compressed sparse rows, as matrix libraries take them.
 */
#ifndef RHUMB_TOPOLOGY_H
#define RHUMB_TOPOLOGY_H

#include "rhumb.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rhumb_topology_options {
    size_t size;
    bool all_levels;            /* a point's neighbours of all its levels, merged; default false: of level 0 */
    bool with_distances;        /* default true; the neighbours are sorted by distance either way */
    uint32_t thread_count;      /* default 0: one per processor */
    rhumb_progress_fn progress; /* default NULL; its numbers are two per point */
    void *progress_context;
} rhumb_topology_options;

RHUMB_API void rhumb_topology_options_init(rhumb_topology_options *options, size_t size);

/* What a topology file is. */
typedef struct rhumb_topology_stats {
    size_t size;
    uint32_t format_version;
    uint32_t creator_version; /* the library version that wrote it, as rhumb_version */
    uint8_t uuid[16];         /* of the index */
    uint64_t created_unix_ns; /* when the file was written */
    uint64_t epoch;           /* the checkpoint of the index whose graph it is */
    uint64_t lsn;             /* the last operation which that holds */
    rhumb_metric metric;      /* of the index, as what follows */
    rhumb_element element;
    uint32_t dim;
    uint32_t M;
    uint32_t M0;
    bool all_levels;
    bool has_distances;
    uint64_t point_count;
    uint64_t link_count;
    uint64_t file_bytes;
    uint32_t level_top;                           /* highest level in use */
    uint64_t level_counts[RHUMB_LEVEL_LIMIT + 1]; /* points whose highest level is this one */
} rhumb_topology_stats;

/* Writes the graph of an index into a new file: live points only, and the links between them. (Links that lead through
 * deleted nodes are not followed: compact an index first from which much was deleted.) A read-only handle exports what
 * it shows; a refresh waits meanwhile. A writing one makes a checkpoint first and exports that, while everything goes
 * on. The file has "-exporting" behind its name until it is whole and durable; after a failure there is none. `stats`
 * may be NULL. Memory: 20 bytes per slot. RHUMB_E_EXISTS: there is a file of either name. RHUMB_E_CORRUPT: a node is
 * damaged. RHUMB_E_UNSUPPORTED: the handle was opened with graph_only. RHUMB_E_CANCELLED, RHUMB_E_NOSPACE, RHUMB_E_IO,
 * RHUMB_E_NOMEM, RHUMB_E_FATAL; what rhumb_index_checkpoint returns. */
RHUMB_API rhumb_status rhumb_topology_export(rhumb_index *index, const char *path,
                                             const rhumb_topology_options *options, rhumb_topology_stats *stats,
                                             size_t stats_size) RHUMB_NODISCARD;

typedef struct rhumb_topology rhumb_topology;

/* Opens a topology file. Damage behind the header is found by rhumb_topology_verify; until then it can make answers
 * wrong or RHUMB_E_CORRUPT, never a crash. RHUMB_E_NOTFOUND; RHUMB_E_NOT_AN_INDEX: it is no topology file;
 * RHUMB_E_VERSION, RHUMB_E_CORRUPT, RHUMB_E_TRUNCATED, RHUMB_E_IO, RHUMB_E_NOMEM. */
RHUMB_API rhumb_status rhumb_topology_open(const char *path, rhumb_topology **topology_out) RHUMB_NODISCARD;

/* No other call on it may be running; pointers into it become invalid. NULL is fine. */
RHUMB_API void rhumb_topology_close(rhumb_topology *topology);

/* How many points it has; 0 for NULL. */
RHUMB_API uint64_t rhumb_topology_count(const rhumb_topology *topology);

RHUMB_API rhumb_status rhumb_topology_stats_get(const rhumb_topology *topology, rhumb_topology_stats *stats,
                                                size_t size) RHUMB_NODISCARD;

/* The position of a key, by halving: some 30 looks at most, one where keys are consecutive. RHUMB_E_NOTFOUND. */
RHUMB_API rhumb_status rhumb_topology_find(const rhumb_topology *topology, uint64_t key,
                                           uint64_t *position) RHUMB_NODISCARD;

/* The highest level that a key's node is on. RHUMB_E_NOTFOUND. */
RHUMB_API rhumb_status rhumb_topology_level(const rhumb_topology *topology, uint64_t key,
                                            uint32_t *level) RHUMB_NODISCARD;

/* The neighbours of a key, nearest first, as rhumb_index_neighbours gives them. RHUMB_E_NOTFOUND; RHUMB_E_UNSUPPORTED:
 * distances of a file that has none; RHUMB_E_CORRUPT. */
RHUMB_API rhumb_status rhumb_topology_neighbours(const rhumb_topology *topology, uint64_t key, uint64_t *keys,
                                                 float *distances, size_t capacity,
                                                 size_t *found_count) RHUMB_NODISCARD;

/* The neighbours of the point at a position, in place: positions, and distances (NULL in a file that has none;
 * `distances` may be NULL). In a damaged file a position may be anything: use those below rhumb_topology_count, or
 * verify the file first. RHUMB_E_INVALID: no such position. RHUMB_E_CORRUPT. */
RHUMB_API rhumb_status rhumb_topology_view(const rhumb_topology *topology, uint64_t position,
                                           const uint32_t **neighbours, const float **distances,
                                           size_t *count) RHUMB_NODISCARD;

/* The whole file in place. The links of the point at position p are starts[p] to starts[p + 1] - 1. */
typedef struct rhumb_topology_arrays {
    size_t size;
    uint64_t point_count;
    uint64_t link_count;
    const uint64_t *keys;       /* point_count, ascending */
    const uint64_t *starts;     /* point_count + 1 */
    const uint8_t *levels;      /* point_count */
    const uint32_t *neighbours; /* link_count positions */
    const float *distances;     /* link_count, or NULL */
} rhumb_topology_arrays;

/* In a damaged file starts and neighbours may be anything; verify it first if you do not trust it. */
RHUMB_API rhumb_status rhumb_topology_arrays_get(const rhumb_topology *topology, rhumb_topology_arrays *arrays,
                                                 size_t size) RHUMB_NODISCARD;

/* The points from *position on that are on `level` (0: all), at most `capacity` of them; *position moves behind the
 * last. Begin with 0; *count of 0 means that there are no more. `keys` and `levels` may be NULL. */
RHUMB_API rhumb_status rhumb_topology_points(const rhumb_topology *topology, uint32_t level, uint64_t *position,
                                             size_t capacity, uint64_t *keys, uint32_t *levels,
                                             size_t *count) RHUMB_NODISCARD;

typedef struct rhumb_topology_report {
    size_t size;
    uint64_t chunk_count;           /* chunks whose checksum was computed */
    uint64_t checksum_error_count;  /* of these, wrong */
    uint64_t structure_error_count; /* keys not sorted, links to nowhere, distances not ascending... */
    char first_error[512];          /* what the first error is and where, or "" */
} rhumb_topology_report;

/* Reads the whole file: all checksums, and every rule of its arrays. RHUMB_OK: whole. RHUMB_E_CORRUPT: errors were
 * found; the report has them. It is filled in both cases. RHUMB_E_IO, RHUMB_E_NOMEM (one bit per point). */
RHUMB_API rhumb_status rhumb_topology_verify(const rhumb_topology *topology, rhumb_topology_report *report,
                                             size_t size) RHUMB_NODISCARD;

#ifdef __cplusplus
}
#endif

#endif /* RHUMB_TOPOLOGY_H */
