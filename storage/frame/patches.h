/* patches.h - the patches of a version: units of mutable sections that have changed since the chunks around them were
 * written. All code that reads rows from the file copies the patches over them.
 *
 * Plain values without a lock; each belongs to one thread.
 */
#ifndef RHUMB_STORAGE_FRAME_PATCHES_H
#define RHUMB_STORAGE_FRAME_PATCHES_H

#include <stdbool.h>
#include <stdint.h>

#include "storage/frame/directory.h"
#include "storage/io/io.h"

/* A mutable section, as far as the patches for it must fit. */
typedef struct rhumb__patch_target {
    uint32_t section_id;
    uint32_t chunk_bytes;
    uint64_t published_bytes;
} rhumb__patch_target;

typedef struct rhumb__patch {
    uint32_t section_id;
    uint32_t bytes;
    uint64_t section_offset;
    uint64_t chunk;      /* the number of the chunk that it lies in */
    const uint8_t *data; /* in the area */
} rhumb__patch;

typedef struct rhumb__patches {
    uint8_t *area; /* headers and bytes, as they are in the file */
    uint64_t area_bytes;
    rhumb__patch *items; /* by section and chunk; those of one chunk in the order of the area: later ones win */
    uint32_t count;
} rhumb__patches;

/* Reads the patches of a version and checks them: their checksum, and that each lies in whole units in one chunk of a
 * mutable section. `patches` is zeroed, and to be cleared. RHUMB_E_CORRUPT, RHUMB_E_TRUNCATED, RHUMB_E_IO,
 * RHUMB_E_NOMEM. */
rhumb_status rhumb__patches_read(rhumb__io *io, const rhumb__directory *directory,
                                 rhumb__patches *patches) RHUMB_NODISCARD;

/* The same for a file that may be damaged: takes what can be taken. *damaged_out is whether something is wrong; the
 * checksums of chunks tell where. A damaged header hides the patches after it. RHUMB_E_NOMEM, and RHUMB_E_IO or
 * RHUMB_E_TRUNCATED when they cannot be read: then there are none. */
rhumb_status rhumb__patches_salvage(rhumb__io *io, const rhumb__directory *directory, rhumb__patches *patches,
                                    bool *damaged_out) RHUMB_NODISCARD;

/* Compares patches->area with its checksum. RHUMB_E_CORRUPT. */
rhumb_status rhumb__patches_check(const rhumb__io *io, uint64_t area_offset, uint32_t crc,
                                  const rhumb__patches *patches) RHUMB_NODISCARD;

/* Finds the patches in patches->area, which is set, and checks each against the section that it is for. `io` and
 * `area_offset` are for messages. RHUMB_E_CORRUPT: those before the first that is wrong have been found.
 * RHUMB_E_NOMEM. */
rhumb_status rhumb__patches_parse(const rhumb__io *io, uint64_t area_offset, const rhumb__patch_target *targets,
                                  uint32_t target_count, rhumb__patches *patches) RHUMB_NODISCARD;

/* The patches of a section: *first_out and those after it, as many as returned. */
uint32_t rhumb__patches_find(const rhumb__patches *patches, uint32_t section_id, const rhumb__patch **first_out);

/* Copies what patches replace in [section_offset, section_offset + bytes), which lies in that chunk of the section, to
 * `target`, which has these bytes as they are in the file. */
void rhumb__patches_apply(const rhumb__patches *patches, uint32_t section_id, uint64_t chunk, uint64_t section_offset,
                          uint64_t bytes, uint8_t *target);

void rhumb__patches_clear(rhumb__patches *patches);

#endif /* RHUMB_STORAGE_FRAME_PATCHES_H */
