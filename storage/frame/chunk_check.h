/* chunk_check.h - compares the published bytes of a section with the checksums of its chunks. Verification uses the
 * strict mode, in which a chunk that cannot be read is a failure; repair the lenient one, in which it is a finding.
 */
#ifndef RHUMB_STORAGE_FRAME_CHUNK_CHECK_H
#define RHUMB_STORAGE_FRAME_CHUNK_CHECK_H

#include <stdint.h>

#include "base/progress.h"
#include "storage/frame/extent_list.h"
#include "storage/frame/patches.h"
#include "storage/io/io.h"

/* A section as a version of the file has it. */
typedef struct rhumb__chunk_source {
    rhumb__io *io;
    const rhumb__extent_list *extents;
    uint32_t section_id;
    uint64_t chunk_bytes;
    uint64_t published_bytes;
    const uint32_t *checksums;     /* one per chunk; NULL: unknown, so that a chunk can only be read or not */
    rhumb__progress *progress;     /* advanced by one for each chunk; may be NULL */
    const rhumb__patches *patches; /* of the version; NULL: unknown, so that a patched chunk looks damaged */
} rhumb__chunk_source;

/* The results of the lenient mode: one bit per chunk, set by the check; zeroed by the caller. */
typedef struct rhumb__chunk_marks {
    uint64_t *damaged;    /* it cannot be read, or its checksum is wrong */
    uint64_t *unreadable; /* it cannot be read */
} rhumb__chunk_marks;

/* A sum over the sections checked; zeroed before the first. */
typedef struct rhumb__chunk_tally {
    uint64_t chunk_count;
    uint64_t damaged_count;
    char first_damage[512]; /* what is wrong with the first damaged chunk, or "" */
} rhumb__chunk_tally;

/* Reads every chunk of a section and adds what it finds to `tally`. A wrong checksum is counted and is not a failure.
 * `marks` NULL: strict. RHUMB_E_NOMEM, RHUMB_E_CANCELLED; strict: RHUMB_E_IO, RHUMB_E_TRUNCATED. */
rhumb_status rhumb__chunk_check(const rhumb__chunk_source *source, const rhumb__chunk_marks *marks,
                                rhumb__chunk_tally *tally) RHUMB_NODISCARD;

/* Notes damage that is not a chunk's, such as that of the table of checksums, if it is the first. */
void rhumb__chunk_tally_note(rhumb__chunk_tally *tally, const char *damage);

#endif /* RHUMB_STORAGE_FRAME_CHUNK_CHECK_H */
