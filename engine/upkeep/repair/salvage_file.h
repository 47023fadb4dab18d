/* salvage_file.h - a file of sections that may be damaged anywhere: which versions it has, and which chunks of a
 * version are intact.
 *
 * The store refuses a file whose frame is wrong, and does not examine rows. Here the frame may be that of the previous
 * version, the file may be cut short, and the table of chunk checksums may be lost. Chunks are sorted into three kinds:
 * intact, damaged (they can be read, and their checksum is wrong) and unreadable. Nothing is ever written.
 *
 * Threads: a salvage file is for one thread.
 */
#ifndef RHUMB_ENGINE_UPKEEP_REPAIR_SALVAGE_FILE_H
#define RHUMB_ENGINE_UPKEEP_REPAIR_SALVAGE_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "storage/frame/chunk_check.h"
#include "storage/frame/directory.h"
#include "storage/frame/frame_reader.h"
#include "storage/frame/patches.h"
#include "storage/io/io.h"

typedef struct rhumb__salvage_file {
    rhumb__io *io;
    char *path; /* absolute if the system can resolve it */
    rhumb__frame_versions versions;

    /* The version that was taken. */
    rhumb__superblock superblock;
    rhumb__directory *directory;
    uint32_t *checksums;       /* of all chunks; NULL when there are none, or when their table is damaged */
    bool checksums_lost;       /* the table is damaged: no chunk can be proved to be intact */
    rhumb__patches patches;    /* of damaged ones, those that can be read */
    rhumb__chunk_tally damage; /* of the sections checked until now */
} rhumb__salvage_file;

typedef struct rhumb__salvage_section {
    const rhumb__directory_entry *entry;
    uint64_t chunk_bytes;
    rhumb__chunk_marks marks; /* NULL pointers when the section has no rows */
} rhumb__salvage_section;

/* Opens the file, makes sure that no other handle writes it, and finds its versions. If the file may be written, the
 * writer's lock is taken and kept; otherwise it is tested, and the versions found are pinned as a reader pins them.
 * RHUMB_E_NOTFOUND, RHUMB_E_LOCKED, RHUMB_E_IO, RHUMB_E_NOMEM, and what rhumb__frame_find returns. */
rhumb_status rhumb__salvage_file_open(const char *path, rhumb__salvage_file **file_out) RHUMB_NODISCARD;

/* Takes version number `index`: reads its directory, its table of checksums and its patches. RHUMB_E_VERSION when a
 * newer library wrote it; RHUMB_E_CORRUPT, RHUMB_E_TRUNCATED or RHUMB_E_IO when its frame cannot be used;
 * RHUMB_E_NOMEM. */
rhumb_status rhumb__salvage_file_take(rhumb__salvage_file *file, uint32_t index) RHUMB_NODISCARD;

/* The taken version's section of that id, or NULL. */
const rhumb__directory_entry *rhumb__salvage_file_entry(const rhumb__salvage_file *file, uint32_t id);

/* Reads every chunk of a section and determines its kind. `section` is to be cleared in every case. `progress` is
 * advanced by one for each chunk. RHUMB_E_NOMEM, RHUMB_E_CANCELLED; a chunk that the disk cannot read is not a failure.
 */
rhumb_status rhumb__salvage_section_check(rhumb__salvage_file *file, const rhumb__directory_entry *entry,
                                          rhumb__progress *progress, rhumb__salvage_section *section) RHUMB_NODISCARD;

/* Whether all chunks that hold the range are intact, or, without checksums, readable. The range lies within the rows.
 */
bool rhumb__salvage_section_intact(const rhumb__salvage_section *section, uint64_t offset, uint64_t bytes);
bool rhumb__salvage_section_readable(const rhumb__salvage_section *section, uint64_t offset, uint64_t bytes);

/* Copies a range of the rows, damaged or not; unreadable chunks read as zeros. RHUMB_E_IO when a chunk that could be
 * read before cannot be read any more. */
rhumb_status rhumb__salvage_section_read(rhumb__salvage_file *file, const rhumb__salvage_section *section,
                                         uint64_t offset, uint64_t bytes, void *target) RHUMB_NODISCARD;

void rhumb__salvage_section_clear(rhumb__salvage_section *section);

/* Releases the locks and closes. NULL is fine. */
void rhumb__salvage_file_close(rhumb__salvage_file *file);

#endif /* RHUMB_ENGINE_UPKEEP_REPAIR_SALVAGE_FILE_H */
