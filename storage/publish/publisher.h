/* publisher.h - a publication under way, for the publish*.c files, each of which does one part of it. See publish.c for
 * the whole.
 */
#ifndef RHUMB_STORAGE_PUBLISH_PUBLISHER_H
#define RHUMB_STORAGE_PUBLISH_PUBLISHER_H

#include "storage/store.h"

/* Pieces of a section, in ascending order. */
typedef struct rhumb__range {
    uint64_t begin;
    uint64_t end;
} rhumb__range;

typedef struct rhumb__range_list {
    rhumb__range *items;
    uint32_t count;
    uint32_t capacity;
} rhumb__range_list;

/* What is going to change in one section. */
typedef struct rhumb__section_plan {
    rhumb__section *section;
    uint64_t row_count;
    uint64_t granule_bytes;
    rhumb__extent_list extents; /* of the new version */
    rhumb__extent_list taken;   /* blocks taken for it; section_offset has no meaning here */
    rhumb__range_list moved;    /* the pieces that go from old blocks to new ones, or are in the file for the first time
                                   in a mutable section */
    uint32_t *checksums;
    uint64_t checksum_count;
} rhumb__section_plan;

/* A publication under way. */
typedef struct rhumb__publisher {
    rhumb__store *store;
    rhumb__publication *publication;
    rhumb__section *const *sections; /* what is published, or written ahead */
    uint32_t section_count;
    bool ahead;               /* append-only sections alone, and no version of them */
    uint64_t pull_down_bytes; /* what lies behind this moves, if the publication says so */
    rhumb__section_plan plans[RHUMB__SECTION_COUNT_MAX];
    uint8_t *pool; /* chunk copies on their way to the file */
    uint64_t pool_used_bytes;
    uint64_t pool_bytes;
    uint8_t *directory_bytes; /* the root, the checksums behind it */
    uint64_t directory_offset;
    uint64_t directory_block_bytes;
    rhumb__superblock superblock;
    uint64_t written_bytes;
    uint64_t begin_ns;
} rhumb__publisher;

/* Whether this publication leaves the section alone. */
static inline bool rhumb__publish_skips(const rhumb__publisher *p, const rhumb__section *section) {
    return p->ahead && section->spec.kind == RHUMB__SECTION_MUTABLE;
}

/* publish_plan.c: for each section, new blocks for what has to be written, allocated in the file system. The failures
 * of memory, space and io. */
rhumb_status rhumb__publish_plan(rhumb__publisher *p) RHUMB_NODISCARD;

/* publish_write.c: the rows of all sections to their new blocks. Writes may be in flight afterwards, from buffers that
 * belong to the publisher and from the sections themselves. */
rhumb_status rhumb__publish_write(rhumb__publisher *p) RHUMB_NODISCARD;

/* publish_settle.c: once the version counts, maps what was written over the private pages that held it, and takes the
 * plans over into the sections. Cannot fail: what cannot be mapped stays in private memory, which is as right. */
void rhumb__publish_settle(rhumb__publisher *p);

#endif /* RHUMB_STORAGE_PUBLISH_PUBLISHER_H */
