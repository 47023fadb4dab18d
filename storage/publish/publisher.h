/* publisher.h - a publication in progress, shared by the publish*.c files, each of which does one step of it; each
 * function below names its file. publish.c has the whole.
 */
#ifndef RHUMB_STORAGE_PUBLISH_PUBLISHER_H
#define RHUMB_STORAGE_PUBLISH_PUBLISHER_H

#include "storage/publish/publish.h"

/* Ranges of a section, in ascending order. */
typedef struct rhumb__range {
    uint64_t begin;
    uint64_t end;
} rhumb__range;

typedef struct rhumb__range_list {
    rhumb__range *items;
    uint32_t count;
    uint32_t capacity;
} rhumb__range_list;

/* The changes to one section. */
typedef struct rhumb__section_plan {
    rhumb__section *section;
    uint64_t row_count;
    uint64_t granule_bytes;
    rhumb__extent_list extents; /* of the new version */
    rhumb__extent_list taken;   /* free blocks taken for it; section_offset has no meaning here */
    rhumb__range_list moved;    /* the ranges that are written to new blocks although they were published before, or
                                   are mutable */
    uint32_t *checksums;
    uint64_t checksum_count;
} rhumb__section_plan;

/* A publication in progress. */
typedef struct rhumb__publisher {
    rhumb__store *store;
    rhumb__publication *publication;
    rhumb__section *const *sections; /* what is published, or written ahead */
    uint32_t section_count;
    bool ahead;               /* rhumb__store_write_ahead: append-only sections only, and no version */
    uint64_t pull_down_bytes; /* extents beyond this offset move, if the publication asks for it */
    rhumb__section_plan plans[RHUMB__SECTION_COUNT_MAX];
    uint8_t *pool; /* chunk copies on their way to the file */
    uint64_t pool_used_bytes;
    uint64_t pool_bytes;
    uint8_t *directory_bytes; /* the root, followed by the checksums */
    uint64_t directory_offset;
    uint64_t directory_block_bytes;
    rhumb__superblock superblock;
    uint64_t written_bytes;
    uint64_t begin_ns;
    bool unpaced; /* what is being written does not wait for bytes_per_second */
} rhumb__publisher;

/* Whether this publication leaves the section alone. */
static inline bool rhumb__publish_skips(const rhumb__publisher *p, const rhumb__section *section) {
    return p->ahead && section->spec.kind == RHUMB__SECTION_MUTABLE;
}

/* publish_plan.c: takes new blocks for everything that has to be written, and allocates them in the file system.
 * RHUMB_E_NOMEM, RHUMB_E_NOSPACE, RHUMB_E_FULL, RHUMB_E_IO. */
rhumb_status rhumb__publish_plan(rhumb__publisher *p) RHUMB_NODISCARD;

/* publish_write.c: writes the rows of all sections to their new blocks. Writes may be in flight afterwards, from the
 * publisher's buffers and from the sections themselves. RHUMB_E_NOMEM, RHUMB_E_IO, RHUMB_E_NOSPACE. */
rhumb_status rhumb__publish_write(rhumb__publisher *p) RHUMB_NODISCARD;

/* publish_settle.c: once the version is durable, maps what was written over the private pages that held it, and moves
 * the plans into the sections. Cannot fail: what cannot be mapped stays in private memory, which has the same bytes. */
void rhumb__publish_settle(rhumb__publisher *p);

#endif /* RHUMB_STORAGE_PUBLISH_PUBLISHER_H */
