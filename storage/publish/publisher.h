/* publisher.h - a publication in progress, shared by the publish*.c files, each of which does one step of it; each
 * function below names its file. publish.c has the whole.
 */
#ifndef RHUMB_STORAGE_PUBLISH_PUBLISHER_H
#define RHUMB_STORAGE_PUBLISH_PUBLISHER_H

#include "base/bits.h"
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

/* The unit in which the system writes to a file, and copies private memory. */
#define RHUMB__PAGE_BYTES 4096u

/* What happens to a granule of a mutable section. */
typedef enum rhumb__granule_action {
    RHUMB__GRANULE_STAYS = 0,
    RHUMB__GRANULE_PATCHED = 1, /* stays; changed units become patches, rows after the published ones are written */
    RHUMB__GRANULE_MOVES = 2    /* is written to new blocks, as a whole */
} rhumb__granule_action;

typedef struct rhumb__granule {
    rhumb__granule_action action;
    bool much_changed;      /* so much that it is better moved, were it not for the patches that it has */
    uint32_t dirty_count;   /* units that have changed, of those with published rows */
    uint32_t patched_count; /* units that have a patch */
    uint32_t page_count;    /* pages that would be patched if it stays: with units of either kind */
} rhumb__granule;

/* The changes to one section. */
typedef struct rhumb__section_plan {
    rhumb__section *section;
    uint64_t row_count;
    uint64_t granule_bytes;
    rhumb__granule *granules; /* of a mutable section */
    uint64_t granule_count;
    rhumb__unit_set *patched;   /* section->patched in the new version; NULL: no unit has a patch */
    rhumb__extent_list extents; /* of the new version */
    rhumb__extent_list taken;   /* free blocks taken for it; section_offset has no meaning here */
    rhumb__range_list moved;    /* the ranges that are written to new blocks although they were published before, or
                                   are mutable */
    uint32_t *checksums;
    uint64_t checksum_count;
} rhumb__section_plan;

/* A unit whose newest patch still counts when the area is written from scratch. */
typedef struct rhumb__live_unit {
    const uint8_t *data;
    uint64_t epoch; /* of the version that added the patch */
    uint64_t unit;  /* its number in the section */
    uint32_t plan_index;
    bool in_place; /* is written to its place in the section, and needs no patch any more */
} rhumb__live_unit;

/* The units of a chunk that were dirty before it was copied. */
typedef struct rhumb__copied_chunk {
    uint32_t plan_index;
    uint64_t chunk;
    rhumb__unit_set units;
} rhumb__copied_chunk;

/* What a publication does to the patches. */
typedef struct rhumb__patch_plan {
    bool from_scratch;      /* the area is written to other blocks, as a whole; otherwise it is continued */
    bool overflow;          /* there were more changes than patches may hold */
    rhumb__patch_area area; /* of the new version; shares `bytes` with the store's unless `from_scratch` */
    uint64_t taken_offset;  /* blocks taken for it */
    uint64_t taken_bytes;
    rhumb__live_unit *live;
    uint32_t live_count;
    uint32_t live_capacity;
    uint8_t *in_place_bytes; /* of the live units that are written in place */
    rhumb__copied_chunk *copied;
    uint32_t copied_count;
    uint32_t copied_capacity;
} rhumb__patch_plan;

/* A publication in progress. */
typedef struct rhumb__publisher {
    rhumb__store *store;
    rhumb__publication *publication;
    rhumb__section *const *sections; /* what is published, or written ahead */
    uint32_t section_count;
    bool ahead;               /* rhumb__store_write_ahead: append-only sections only, and no version */
    bool merge;               /* no patches: every granule that has changed, or has patches, moves */
    uint64_t pull_down_bytes; /* extents beyond this offset move, if the publication asks for it */
    rhumb__section_plan plans[RHUMB__SECTION_COUNT_MAX];
    rhumb__patch_plan patches;
    uint8_t *raw;  /* one chunk, as it was before the filter */
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

static inline rhumb__granule *rhumb__publish_granule(const rhumb__section_plan *plan, uint64_t offset) {
    return &plan->granules[offset / plan->granule_bytes];
}

/* The first byte of a section for which a version of `row_count` rows has no unit. */
static inline uint64_t rhumb__publish_unit_end(const rhumb__section *section, uint64_t row_count) {
    return rhumb__divide_up(row_count * section->row_stride_bytes, section->unit_bytes) * section->unit_bytes;
}

/* The units of the chunk at `offset` that lie before `end`. */
static inline rhumb__unit_set rhumb__publish_units_before(const rhumb__section *section, uint64_t offset,
                                                          uint64_t end) {
    rhumb__unit_set set = {{0}};
    const uint64_t bytes = end <= offset ? 0 : rhumb__min_u64(end - offset, section->chunk_bytes);
    const uint64_t count = bytes / section->unit_bytes;
    for (uint64_t i = 0; i < count / 64; i++) set.words[i] = UINT64_MAX;
    if (count % 64 != 0) set.words[count / 64] = (UINT64_C(1) << count % 64) - 1;
    return set;
}

/* Whether this publication leaves the section alone. */
static inline bool rhumb__publish_skips(const rhumb__publisher *p, const rhumb__section *section) {
    return p->ahead && section->spec.kind == RHUMB__SECTION_MUTABLE;
}

/* publish_plan.c: takes new blocks for everything that has to be written, and allocates them in the file system.
 * RHUMB_E_NOMEM, RHUMB_E_NOSPACE, RHUMB_E_FULL, RHUMB_E_IO. */
rhumb_status rhumb__publish_plan(rhumb__publisher *p) RHUMB_NODISCARD;

/* publish_large.c: makes the page cache ready to keep what is going to be written in large pages. Cannot fail. */
void rhumb__publish_make_large(rhumb__publisher *p);

/* publish_patch.c: decides, once the granules of all mutable sections have been examined, which of them move, and what
 * becomes of the patches that there are. RHUMB_E_NOMEM. */
rhumb_status rhumb__publish_patches_choose(rhumb__publisher *p) RHUMB_NODISCARD;

/* publish_patch.c: copies the changed units of patched granules, and writes their new rows. RHUMB_E_FULL with
 * patches.overflow set when there are too many; RHUMB_E_NOMEM, RHUMB_E_IO, RHUMB_E_NOSPACE. */
rhumb_status rhumb__publish_patches_copy(rhumb__publisher *p) RHUMB_NODISCARD;

/* publish_patch.c: writes the new patches, or all of them, and units in place. Fails as rhumb__publish_write does. */
rhumb_status rhumb__publish_patches_write(rhumb__publisher *p) RHUMB_NODISCARD;

/* publish_patch.c: after a failure, marks dirty again what was copied, and makes the area's blocks free. */
void rhumb__publish_patches_roll_back(rhumb__publisher *p);

/* publish_patch.c: once the version is durable, makes its patches the store's. Cannot fail. */
void rhumb__publish_patches_settle(rhumb__publisher *p);

/* publish_write.c: writes the rows of all sections to their new blocks. Writes may be in flight afterwards, from the
 * publisher's buffers and from the sections themselves. RHUMB_E_NOMEM, RHUMB_E_IO, RHUMB_E_NOSPACE. */
rhumb_status rhumb__publish_write(rhumb__publisher *p) RHUMB_NODISCARD;

/* publish_write.c: writes `bytes` of memory to the blocks that the new extents assign to them. The memory must stay
 * unchanged until the next drain. RHUMB_E_IO. */
rhumb_status rhumb__publish_write_range(rhumb__publisher *p, const rhumb__section_plan *plan, const uint8_t *memory,
                                        uint64_t section_offset, uint64_t bytes) RHUMB_NODISCARD;

/* publish_write.c: takes room for chunk copies, whose bytes stay unchanged until the next drain; may drain.
 * RHUMB_E_NOMEM, RHUMB_E_IO, RHUMB_E_NOSPACE. */
rhumb_status rhumb__publish_pool_take(rhumb__publisher *p, uint64_t bytes, uint8_t **buffer_out) RHUMB_NODISCARD;

/* publish_write.c: copies one chunk under its lock as the new version has it, notes its checksum, and tells which units
 * may differ from the newest version. */
void rhumb__publish_copy_chunk(rhumb__publisher *p, rhumb__section_plan *plan, uint64_t offset, uint8_t *copy,
                               rhumb__unit_set *changed_out);

/* publish_write.c: waits until the bytes written so far are no more than the rate allows. */
void rhumb__publish_keep_to_rate(const rhumb__publisher *p);

/* publish_settle.c: once the version is durable, maps what was written over the private pages that held it, and moves
 * the plans into the sections. Cannot fail: what cannot be mapped stays in private memory, which has the same bytes. */
void rhumb__publish_settle(rhumb__publisher *p);

#endif /* RHUMB_STORAGE_PUBLISH_PUBLISHER_H */
