/* sections.h - the list of the sections of an index: what each one is in the file, and how many rows a version has.
 *
 * Whatever has to know all sections goes by this table: attaching them, making room in them, publishing, writing ahead,
 * compaction, salvage. To add a section, add its id here and its entry in sections.c, describe it in storage/FORMAT.md,
 * and write the code that fills and reads its rows.
 *
 * A section is either required or derived. A *derived* section holds what can be computed from the others:
 *   - It may be missing from a file, or have fewer rows than the counts ask for: rhumb__graph.derived_row_counts.
 *   - A library that does not know it ignores it, and leaves it out of the versions it writes.
 *   - Repair never reads it; compaction does not carry it over. In the new graph it begins empty, and the code that
 *     derives its rows fills it again.
 *
 * C++ can include this header, so that tests take the ids from here.
 */
#ifndef RHUMB_ENGINE_GRAPH_SECTIONS_H
#define RHUMB_ENGINE_GRAPH_SECTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/lock_ranks.h"
#include "distances/space.h"
#include "engine/graph/params.h"
#include "storage/frame/directory.h"

/* Numbers of the sections in the file. Never reused. Each is the index of the section in rhumb__sections and in
 * rhumb__graph.sections. */
enum {
    RHUMB__SECTION_VECTORS = 1,
    RHUMB__SECTION_KEYS = 2,
    RHUMB__SECTION_NODES = 3,
    RHUMB__SECTION_LISTS0 = 4,
    RHUMB__SECTION_LISTS_UPPER = 5,
    RHUMB__SECTION_KEY_BUCKETS = 6,
    RHUMB__SECTION_KEY_OVERFLOW = 7,
    RHUMB__SECTION_TOMBSTONES = 8,
    RHUMB__SECTION_TIES = 9,
    RHUMB__SECTION_CODES = 10,
    RHUMB__SECTION_FUSED = 11,
    RHUMB__SECTION_CHANGED = 12
};

/* Ids are below this. */
#define RHUMB__SECTION_ID_LIMIT 32u

/* What a row belongs to; the number of rows in a version follows from it. */
typedef enum rhumb__row_unit {
    RHUMB__ROW_SLOT,        /* one slot */
    RHUMB__ROW_SLOT_BITS,   /* 512 slots, with a bit for each: see tombstones.h and changed.h */
    RHUMB__ROW_SLOT_TIES,   /* 8 slots, with a tie for each: see ties.h */
    RHUMB__ROW_UPPER_LIST,  /* one node and one level above 0 */
    RHUMB__ROW_KEY_BUCKET,  /* one bucket of the key table */
    RHUMB__ROW_KEY_OVERFLOW /* one overflow row of the key table */
} rhumb__row_unit;

/* In which order sections are kept in memory that cannot hold all of them (storage/residency.h): what every search
 * reads a little of; what every step of a walk reads; and what is read of a few nodes at the end, and of ties only
 * where there are copies. */
typedef enum rhumb__residency_rank {
    RHUMB__RANK_OF_NODES,
    RHUMB__RANK_OF_CODES,
    RHUMB__RANK_OF_LISTS,
    RHUMB__RANK_OF_TIES,
    RHUMB__RANK_OF_KEY_TABLE,
    RHUMB__RANK_OF_ROWS,
    RHUMB__RANK_OF_VECTORS
} rhumb__residency_rank;

typedef struct rhumb__graph rhumb__graph;

/* The version that a checkpoint is publishing, as far as filters need it. */
typedef struct rhumb__version_image {
    const rhumb__counts *counts;
    const uint8_t *tombstones; /* the rows of that section as they were when the version was fixed */
    const rhumb__graph *graph; /* in memory, where chains lead past what the version does not hold */
} rhumb__version_image;

/* Removes from a copy of one row what the version does not hold. Returns whether it changed the copy. */
typedef bool (*rhumb__section_filter)(const rhumb__version_image *version, uint64_t row, void *bytes,
                                      uint64_t row_bytes);

typedef struct rhumb__section_info {
    uint32_t id;      /* 0: there is no such section */
    const char *name; /* the one that storage/FORMAT.md gives it */
    rhumb__section_kind kind;
    bool derived;
    bool (*is_used)(const rhumb__params *params); /* of a derived section: whether the index has it; NULL: it has */
    rhumb__row_unit unit;
    bool large_pages;  /* ask for large pages where the section is anonymous memory */
    bool of_vectors;   /* a reader of the graph alone does not map it */
    bool copied_first; /* operations are held up until a checkpoint has copied it */
    rhumb__residency_rank residency_rank;
    bool maps_pages;                                /* walks want to know which of its pages are in memory */
    uint32_t version;                               /* of the codec */
    uint32_t (*codec)(const rhumb__params *params); /* NULL: codec 0 */
    uint64_t (*row_stride_bytes)(const rhumb__params *params, const rhumb__space *space);
    rhumb__lock_rank chunk_rank;  /* of a mutable section, see rhumb__section_spec */
    rhumb__section_filter filter; /* of a mutable section; NULL: its published rows go to the file as they are */
} rhumb__section_info;

/* By id. */
extern const rhumb__section_info rhumb__sections[RHUMB__SECTION_ID_LIMIT];

/* The section with the next higher id, or NULL after the last; of NULL the first. */
const rhumb__section_info *rhumb__section_next(const rhumb__section_info *previous);

/* NULL when this library does not know the id, which may come from a file. */
const rhumb__section_info *rhumb__section_find(uint32_t id);

/* Whether an index with these parameters has the section. */
bool rhumb__section_is_used(const rhumb__section_info *info, const rhumb__params *params);

uint32_t rhumb__section_codec(const rhumb__section_info *info, const rhumb__params *params);

/* The rows that a version with these counts has; of a derived section, the most that it may have. */
uint64_t rhumb__section_row_count(const rhumb__section_info *info, const rhumb__counts *counts);

/* The rows that any version may have. */
uint64_t rhumb__section_row_limit(const rhumb__section_info *info);

/* The slots for which `row_count` rows suffice; UINT64_MAX when the rows are not those of slots. */
uint64_t rhumb__section_slot_capacity(const rhumb__section_info *info, uint64_t row_count);

#endif /* RHUMB_ENGINE_GRAPH_SECTIONS_H */
