/* rhumb_topology.h - topology files: the graph of an index without its vectors. Part of the manual; include rhumb.h,
 * which includes this file.
 *
 *   Topology files are for programs that walk neighbourhoods (clustering, embedding, drawing). A file is written once
 *   and never changes. Opening reads 4 KiB and maps the rest, so it takes the same time for any size, and processes
 *   that have the file open share its memory. Any number of threads may use an open topology at the same time.
 *   Points are sorted by key. The number of a point in that order, from 0, is its *position*, and the neighbours of a
 *   point are stored as positions: compressed sparse rows, as matrix libraries expect them.
 */
#ifndef RHUMB_TOPOLOGY_H
#define RHUMB_TOPOLOGY_H

#include "rhumb.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- writing a topology ------------------------------------------------------------------------------------------ */

/* What to export. */
typedef struct rhumb_topology_options {
    size_t size;                /* sizeof(rhumb_topology_options), set by rhumb_topology_options_init. */
    bool all_levels;            /* Merge the neighbours of all levels of a point. Default false: those of level 0. */
    bool with_distances;        /* Store distances. Neighbours are sorted by distance either way. Default true. */
    uint32_t thread_count;      /* Threads to work with. Default 0: one per processor of this process. */
    rhumb_progress_fn progress; /* Receives the number of steps done, two per point. Default NULL. */
    void *progress_context;     /* Passed to progress. */
} rhumb_topology_options;

/* Sets the defaults. `size` is sizeof(rhumb_topology_options) as the caller compiled it. */
RHUMB_API void rhumb_topology_options_init(rhumb_topology_options *options, size_t size);

/* What a topology file is. */
typedef struct rhumb_topology_stats {
    size_t size;                                /* The size that the caller passed. */
    uint32_t format_version;                    /* Version of the file's format. */
    uint32_t creator_version;                   /* rhumb_version of the library that wrote the file. */
    uint8_t uuid[16];                           /* Identity of the index. */
    uint64_t created_unix_ns;                   /* When the file was written, in nanoseconds since 1970. */
    uint64_t epoch;                             /* Number of the checkpoint that was exported. */
    uint64_t lsn;                               /* Number of the last operation in that checkpoint. */
    rhumb_metric metric;                        /* Metric of the index. */
    rhumb_element element;                      /* Element type of the index. */
    uint32_t dim;                               /* Components per vector of the index. */
    uint32_t M;                                 /* Neighbours per node on levels above 0. */
    uint32_t M0;                                /* Neighbours per node on level 0. */
    bool all_levels;                            /* Whether neighbours of all levels are merged. */
    bool has_distances;                         /* Whether distances are stored. */
    uint64_t point_count;                       /* Number of points. */
    uint64_t link_count;                        /* Number of links. */
    uint64_t file_bytes;                        /* Length of the file. */
    uint32_t level_top;                         /* Highest level in use. */
    uint64_t level_counts[RHUMB_LEVEL_MAX + 1]; /* Points whose highest level is this one. */
} rhumb_topology_stats;

/* Writes the graph of an index into a new file: its live points, and the links between them.
 *
 * A read-only handle exports the checkpoint it shows; a refresh waits until the export has ended. A writing handle
 * makes a checkpoint and exports that, while inserts and deletes continue. Links through deleted nodes are not
 * followed: if much has been deleted, compact the index first. The file has "-exporting" after its name until it is
 * complete and durable; on failure there is no new file. Needs 20 bytes of memory per slot.
 *
 * Parameters:
 *   path          the file to create
 *   options       NULL: the defaults
 *   stats         filled on success; may be NULL
 *   stats_size    sizeof(rhumb_topology_stats) as the caller compiled it
 *
 * Errors:
 *   RHUMB_E_EXISTS         a file of that name, or of that name followed by "-exporting", exists
 *   RHUMB_E_CORRUPT        a node of the index is damaged
 *   RHUMB_E_UNSUPPORTED    the handle was opened with graph_only
 *   RHUMB_E_CANCELLED      progress returned false
 *   RHUMB_E_NOSPACE        the disk is full
 *   RHUMB_E_FATAL          a sync failed; or as for rhumb_index_checkpoint
 *   RHUMB_E_IO             another failure of the operating system
 */
RHUMB_API rhumb_status rhumb_topology_export(rhumb_index *index, const char *path,
                                             const rhumb_topology_options *options, rhumb_topology_stats *stats,
                                             size_t stats_size) RHUMB_NODISCARD;

/* ---- opening and closing ----------------------------------------------------------------------------------------- */

/* An open topology file. */
typedef struct rhumb_topology rhumb_topology;

/* Opens a topology file.
 *
 * Damage after the header is found by rhumb_topology_verify; until then it can make answers wrong or RHUMB_E_CORRUPT,
 * but never crashes the program.
 *
 * Parameters:
 *   topology_out    receives the topology; release it with rhumb_topology_close
 *
 * Errors:
 *   RHUMB_E_NOTFOUND        no such file
 *   RHUMB_E_NOT_AN_INDEX    the file is not a topology file
 *   RHUMB_E_VERSION         the file needs a newer library
 *   RHUMB_E_CORRUPT         the header is damaged
 *   RHUMB_E_TRUNCATED       the file is shorter than it should be
 *   RHUMB_E_IO              another failure of the operating system
 */
RHUMB_API rhumb_status rhumb_topology_open(const char *path, rhumb_topology **topology_out) RHUMB_NODISCARD;

/* Closes a topology file. Pointers into it become invalid. No other call on it may be running. NULL is allowed. */
RHUMB_API void rhumb_topology_close(rhumb_topology *topology);

/* Returns how many points a topology has; 0 for NULL. */
RHUMB_API uint64_t rhumb_topology_count(const rhumb_topology *topology);

/* Fills `stats`; `size` is sizeof(rhumb_topology_stats) as the caller compiled it. */
RHUMB_API rhumb_status rhumb_topology_stats_get(const rhumb_topology *topology, rhumb_topology_stats *stats,
                                                size_t size) RHUMB_NODISCARD;

/* ---- by key ------------------------------------------------------------------------------------------------------ */

/* Sets *position to the position of a key, by binary search: at most about 30 probes, one if keys are consecutive.
 *
 * Errors:
 *   RHUMB_E_NOTFOUND    the key is not in the topology
 */
RHUMB_API rhumb_status rhumb_topology_find(const rhumb_topology *topology, uint64_t key,
                                           uint64_t *position) RHUMB_NODISCARD;

/* Sets *level to the highest level that the node of a key is on.
 *
 * Errors:
 *   RHUMB_E_NOTFOUND    the key is not in the topology
 */
RHUMB_API rhumb_status rhumb_topology_level(const rhumb_topology *topology, uint64_t key,
                                            uint32_t *level) RHUMB_NODISCARD;

/* Lists the keys of a key's neighbours, nearest first.
 *
 * Parameters:
 *   keys           room for `capacity` keys
 *   distances      room for `capacity` distances, or NULL
 *   found_count    receives the number of neighbours; if it exceeds `capacity`, only the nearest are written
 *
 * Errors:
 *   RHUMB_E_NOTFOUND       the key is not in the topology
 *   RHUMB_E_UNSUPPORTED    distances of a file that has none
 *   RHUMB_E_CORRUPT        the file is damaged
 */
RHUMB_API rhumb_status rhumb_topology_neighbours(const rhumb_topology *topology, uint64_t key, uint64_t *keys,
                                                 float *distances, size_t capacity,
                                                 size_t *found_count) RHUMB_NODISCARD;

/* ---- by position ------------------------------------------------------------------------------------------------- */

/* Sets *neighbours and *distances to those of the point at a position, in place, nearest first.
 *
 * In a damaged file a neighbour's position may be any number: use those below rhumb_topology_count, or verify the file
 * first.
 *
 * Parameters:
 *   position      0 to rhumb_topology_count - 1
 *   neighbours    receives a pointer to `count` positions; valid until the topology is closed
 *   distances     receives a pointer to `count` distances, or NULL if the file has none; may be NULL
 *   count         receives the number of neighbours
 *
 * Errors:
 *   RHUMB_E_INVALID    there is no such position
 *   RHUMB_E_CORRUPT    the file is damaged
 */
RHUMB_API rhumb_status rhumb_topology_view(const rhumb_topology *topology, uint64_t position,
                                           const uint32_t **neighbours, const float **distances,
                                           size_t *count) RHUMB_NODISCARD;

/* A whole topology file in place. The links of the point at position p are starts[p] to starts[p + 1] - 1. */
typedef struct rhumb_topology_arrays {
    size_t size;                /* The size that the caller passed. */
    uint64_t point_count;       /* Number of points. */
    uint64_t link_count;        /* Number of links. */
    const uint64_t *keys;       /* The keys of the points, ascending. */
    const uint64_t *starts;     /* The first link of each point, and link_count: point_count + 1 entries. */
    const uint8_t *levels;      /* The highest level of each point. */
    const uint32_t *neighbours; /* The position that each link leads to. */
    const float *distances;     /* The length of each link, or NULL if the file has none. */
} rhumb_topology_arrays;

/* Fills `arrays` with pointers that are valid until the topology is closed; `size` is sizeof(rhumb_topology_arrays) as
 * the caller compiled it.
 *
 * In a damaged file starts and neighbours may be any numbers: verify a file first that you do not trust. */
RHUMB_API rhumb_status rhumb_topology_arrays_get(const rhumb_topology *topology, rhumb_topology_arrays *arrays,
                                                 size_t size) RHUMB_NODISCARD;

/* Lists the points from a position on that are on a level, at most `capacity` of them.
 *
 * Parameters:
 *   level       0 for all points
 *   position    where to begin, 0 at first; receives where to continue
 *   capacity    room in each array, at least 1
 *   keys        receives the keys; may be NULL
 *   levels      receives the highest level of each point; may be NULL
 *   count       receives the number of points; 0: there are no more
 *
 * Errors:
 *   RHUMB_E_INVALID    capacity is 0
 */
RHUMB_API rhumb_status rhumb_topology_points(const rhumb_topology *topology, uint32_t level, uint64_t *position,
                                             size_t capacity, uint64_t *keys, uint32_t *levels,
                                             size_t *count) RHUMB_NODISCARD;

/* ---- verifying --------------------------------------------------------------------------------------------------- */

/* What rhumb_topology_verify found. */
typedef struct rhumb_topology_report {
    size_t size;                    /* The size that the caller passed. */
    uint64_t chunk_count;           /* Chunks of the file whose checksum was computed. */
    uint64_t checksum_error_count;  /* Chunks whose checksum is wrong. */
    uint64_t structure_error_count; /* Keys not in order, links to no point, distances that do not ascend... */
    char first_error[512];          /* What the first error is and where, or "". */
} rhumb_topology_report;

/* Reads a whole topology file and checks every checksum and every rule of its arrays.
 *
 * Needs one bit of memory per point.
 *
 * Parameters:
 *   report    filled on RHUMB_OK and on RHUMB_E_CORRUPT
 *   size      sizeof(rhumb_topology_report) as the caller compiled it
 *
 * Errors:
 *   RHUMB_E_CORRUPT    errors were found
 *   RHUMB_E_IO         the file could not be read
 */
RHUMB_API rhumb_status rhumb_topology_verify(const rhumb_topology *topology, rhumb_topology_report *report,
                                             size_t size) RHUMB_NODISCARD;

struct rhumb_verify_options; /* of rhumb_upkeep.h */

/* The same, with options.
 *
 * Parameters:
 *   options    NULL: the defaults
 *
 * Errors: those of rhumb_topology_verify, and
 *   RHUMB_E_CANCELLED    progress returned false
 */
RHUMB_API rhumb_status rhumb_topology_verify_with(const rhumb_topology *topology,
                                                  const struct rhumb_verify_options *options,
                                                  rhumb_topology_report *report, size_t size) RHUMB_NODISCARD;

#ifdef __cplusplus
}
#endif

#endif /* RHUMB_TOPOLOGY_H */
