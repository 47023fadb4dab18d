/* topology.h - a topology file: the graph of an index alone, as a file that is written once and mapped for reading.
 *
 * Points are sorted by key, so a key is found without an index of its own; a point's number in that order is its
 * *position*. Neighbours are positions, nearest first. storage/FORMAT.md has the layout, which follows from three
 * numbers in the header. Only the header is read at opening: everything else in the file is checked where it is used.
 *
 * An open topology never changes; any number of threads may use it.
 */
#ifndef RHUMB_ENGINE_TOPOLOGY_TOPOLOGY_H
#define RHUMB_ENGINE_TOPOLOGY_TOPOLOGY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/progress.h"
#include "engine/graph/params.h"
#include "include/rhumb_types.h"
#include "storage/file_mapping.h"
#include "storage/io/io.h"

#define RHUMB__TOPOLOGY_MAGIC UINT64_C(0x0A0D706F74687289) /* 0x89 "rhtop" CR LF */
#define RHUMB__TOPOLOGY_FORMAT_VERSION 1u
#define RHUMB__TOPOLOGY_HEADER_BYTES 4096u

#define RHUMB__TOPOLOGY_DISTANCES 1u  /* flag: the file has distances */
#define RHUMB__TOPOLOGY_ALL_LEVELS 2u /* flag: neighbours of all levels, merged; otherwise those of level 0 */

typedef struct rhumb__topology_header {
    uint64_t magic;
    uint32_t format_version;
    uint32_t crc;                   /* CRC-32C of all 4,096 bytes with this field 0 */
    uint64_t features_incompatible; /* unknown bits: do not open */
    uint8_t uuid[16];               /* of the index */
    uint64_t epoch;                 /* of the version of the index whose graph this is */
    uint64_t lsn;                   /* the last operation in that version */
    uint64_t created_unix_ns;
    uint32_t creator_version;
    uint32_t flags;
    uint32_t metric;
    uint32_t element;
    uint32_t dim;
    uint32_t M;
    uint32_t M0;
    uint32_t checksum_crc; /* CRC-32C of the checksums */
    uint64_t point_count;
    uint64_t link_count;
    uint64_t file_bytes;
    uint64_t level_counts[RHUMB__LEVEL_COUNT]; /* points whose highest level is this one */
    uint8_t reserved[3840];
} rhumb__topology_header;

static_assert(sizeof(rhumb__topology_header) == RHUMB__TOPOLOGY_HEADER_BYTES, "topology header size");
static_assert(offsetof(rhumb__topology_header, magic) == 0, "topology header layout");
static_assert(offsetof(rhumb__topology_header, format_version) == 8, "topology header layout");
static_assert(offsetof(rhumb__topology_header, crc) == 12, "topology header layout");
static_assert(offsetof(rhumb__topology_header, features_incompatible) == 16, "topology header layout");
static_assert(offsetof(rhumb__topology_header, uuid) == 24, "topology header layout");
static_assert(offsetof(rhumb__topology_header, epoch) == 40, "topology header layout");
static_assert(offsetof(rhumb__topology_header, lsn) == 48, "topology header layout");
static_assert(offsetof(rhumb__topology_header, created_unix_ns) == 56, "topology header layout");
static_assert(offsetof(rhumb__topology_header, creator_version) == 64, "topology header layout");
static_assert(offsetof(rhumb__topology_header, flags) == 68, "topology header layout");
static_assert(offsetof(rhumb__topology_header, metric) == 72, "topology header layout");
static_assert(offsetof(rhumb__topology_header, element) == 76, "topology header layout");
static_assert(offsetof(rhumb__topology_header, dim) == 80, "topology header layout");
static_assert(offsetof(rhumb__topology_header, M) == 84, "topology header layout");
static_assert(offsetof(rhumb__topology_header, M0) == 88, "topology header layout");
static_assert(offsetof(rhumb__topology_header, checksum_crc) == 92, "topology header layout");
static_assert(offsetof(rhumb__topology_header, point_count) == 96, "topology header layout");
static_assert(offsetof(rhumb__topology_header, link_count) == 104, "topology header layout");
static_assert(offsetof(rhumb__topology_header, file_bytes) == 112, "topology header layout");
static_assert(offsetof(rhumb__topology_header, level_counts) == 120, "topology header layout");
static_assert(offsetof(rhumb__topology_header, reserved) == 256, "topology header layout");

/* The arrays of the file, in their order. */
typedef enum rhumb__topology_array {
    RHUMB__TOPOLOGY_ARRAY_KEYS = 0,       /* u64 per point, ascending */
    RHUMB__TOPOLOGY_ARRAY_STARTS = 1,     /* u64 per point and one more: where its neighbours begin */
    RHUMB__TOPOLOGY_ARRAY_LEVELS = 2,     /* u8 per point: its highest level */
    RHUMB__TOPOLOGY_ARRAY_NEIGHBOURS = 3, /* u32 per link: a position */
    RHUMB__TOPOLOGY_ARRAY_DISTANCES = 4,  /* f32 per link, in the metric's own unit; or empty */
    RHUMB__TOPOLOGY_ARRAY_COUNT = 5
} rhumb__topology_array;

typedef struct rhumb__topology_place {
    uint64_t offset; /* in the file */
    uint64_t bytes;
    uint64_t checksum_first;
    uint64_t checksum_count;
} rhumb__topology_place;

/* Derived from the numbers in the header. */
typedef struct rhumb__topology_layout {
    rhumb__topology_place arrays[RHUMB__TOPOLOGY_ARRAY_COUNT];
    uint64_t checksum_offset;
    uint64_t checksum_count;
    uint64_t file_bytes;
} rhumb__topology_layout;

/* Computes the layout of a file from its header; returns false if the header has more points or links than a file can.
 */
bool rhumb__topology_lay_out(const rhumb__topology_header *header, rhumb__topology_layout *layout);

/* Returns what the header's crc should be. */
uint32_t rhumb__topology_header_crc(const rhumb__topology_header *header);

typedef struct rhumb__topology {
    rhumb__io *io;
    uint32_t generation; /* of forks; see base/fork.h */
    rhumb__topology_header header;
    rhumb__topology_layout layout;
    rhumb__file_mapping mapping;
    const uint64_t *keys;
    const uint64_t *starts;
    const uint8_t *levels;
    const uint32_t *neighbours;
    const float *distances; /* NULL: the file has none */
} rhumb__topology;

/* Reads the header and maps the file. RHUMB_E_NOTFOUND, RHUMB_E_NOT_AN_INDEX, RHUMB_E_VERSION, RHUMB_E_CORRUPT,
 * RHUMB_E_TRUNCATED, RHUMB_E_NOMEM, RHUMB_E_IO. */
rhumb_status rhumb__topology_open(const char *path, rhumb__topology **topology_out) RHUMB_NODISCARD;

/* Releases a topology. NULL is allowed. */
void rhumb__topology_close(rhumb__topology *topology);

/* Finds the position of a key. RHUMB_E_NOTFOUND. */
rhumb_status rhumb__topology_find(const rhumb__topology *topology, uint64_t key,
                                  uint64_t *position_out) RHUMB_NODISCARD;

/* Returns where the neighbours of a position, which is below point_count, begin among all links, and how many there
 * are. RHUMB_E_CORRUPT. */
rhumb_status rhumb__topology_range(const rhumb__topology *topology, uint64_t position, uint64_t *begin_out,
                                   uint64_t *count_out) RHUMB_NODISCARD;

/* ---- topology_verify.c ---- */

typedef struct rhumb__topology_verification {
    uint64_t chunk_count;
    uint64_t checksum_error_count;
    uint64_t structure_error_count;
    char first_error[512];
} rhumb__topology_verification;

/* Reads the whole file, and checks checksums and every rule of the arrays. Damage is reported in *result and is not a
 * failure. `progress`, whose total it sets, gets one step for each chunk and each point. RHUMB_E_IO,
 * RHUMB_E_NOMEM, RHUMB_E_CANCELLED. */
rhumb_status rhumb__topology_verify(const rhumb__topology *topology, rhumb__progress *progress,
                                    rhumb__topology_verification *result) RHUMB_NODISCARD;

/* ---- topology_export.c ---- */

typedef struct rhumb__graph rhumb__graph;

typedef struct rhumb__topology_export_spec {
    const char *path;
    uint32_t creator_version;
    uint32_t thread_count; /* 0: one per processor */
    bool all_levels;       /* merge the neighbours of all levels; otherwise those of level 0 */
    bool with_distances;
    bool (*progress)(void *context, uint64_t done_count, uint64_t total_count); /* may be NULL */
    void *progress_context;
} rhumb__topology_export_spec;

/* Writes the graph of an index into a topology file; *header_out is its header. `graph` is a reader's that no refresh
 * exchanges during the call, so it does not change, and it has its vectors. Until the file is complete and durable its
 * name ends in "-exporting"; on failure it is removed. Memory: 20 bytes per slot while keys are sorted, then 4 per slot
 * and 12 per point.
 * RHUMB_E_EXISTS, RHUMB_E_CANCELLED, RHUMB_E_CORRUPT, RHUMB_E_NOMEM, RHUMB_E_NOSPACE, RHUMB_E_IO, RHUMB_E_FATAL. */
rhumb_status rhumb__topology_export(rhumb__graph *graph, const rhumb__topology_export_spec *spec,
                                    rhumb__topology_header *header_out) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_TOPOLOGY_TOPOLOGY_H */
