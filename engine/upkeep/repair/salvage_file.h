/* salvage_file.h - reading a file of sections that may be damaged anywhere: which versions it has, and which chunks of
 * a version are intact.
 *
 * The store refuses a file whose frame is wrong, and says nothing of rows. Here the frame may be that of the version
 * before, the file may be cut short, the table of chunk checksums may be gone, and chunks are sorted into three kinds:
 * intact, damaged (their bytes can be read and are not what they should be) and unreadable. Nothing is ever written.
 *
 * Threads: a salvage file is for one thread.
 */
#ifndef RHUMB_ENGINE_UPKEEP_REPAIR_SALVAGE_FILE_H
#define RHUMB_ENGINE_UPKEEP_REPAIR_SALVAGE_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "storage/frame/directory.h"
#include "storage/frame/superblock.h"
#include "storage/io/io.h"

typedef struct rhumb__salvage_file {
    rhumb__io *io;
    char *path;          /* absolute, where the system can tell */
    uint64_t file_bytes; /* as long as it is, whatever it says */

    /* The superblocks that count, the newest first. */
    rhumb__superblock candidates[RHUMB__SUPERBLOCK_SLOT_COUNT];
    uint32_t candidate_count;
    bool newest_lost; /* the other slot holds something that does not count, and it may have been a newer version */

    /* The version that was taken. */
    rhumb__superblock superblock;
    rhumb__directory *directory;
    uint32_t *checksums;    /* of all chunks; NULL when there are none, or when their table is damaged */
    bool checksums_lost;    /* the table is damaged: no chunk can be proved to be intact */
    uint64_t chunk_count;   /* that have been checked so far */
    uint64_t damaged_count; /* of these, damaged or unreadable */
    char first_damage[512];
} rhumb__salvage_file;

typedef struct rhumb__salvage_section {
    const rhumb__directory_entry *entry;
    uint64_t bytes; /* of its rows */
    uint64_t chunk_bytes;
    uint64_t chunk_count;
    uint64_t *damaged;    /* one bit per chunk: damaged or unreadable; without checksums only the latter */
    uint64_t *unreadable; /* the same: unreadable */
} rhumb__salvage_section;

/* Opens the file, makes sure that nobody writes it, and finds its superblocks. Where the file may be written, the
 * writer's lock is taken and kept; where not, it is tested, and the epochs found are pinned as a reader pins them.
 * RHUMB_E_NOTFOUND, RHUMB_E_LOCKED, RHUMB_E_IO, RHUMB_E_NOMEM; without a superblock that counts, what
 * rhumb__superblock_read makes of it. */
rhumb_status rhumb__salvage_file_open(const char *path, rhumb__salvage_file **file_out) RHUMB_NODISCARD;

/* Takes candidate number `index`: reads its directory and its table of checksums. RHUMB_E_VERSION when a newer library
 * wrote it, RHUMB_E_CORRUPT, RHUMB_E_TRUNCATED or RHUMB_E_IO when its frame is not usable; RHUMB_E_NOMEM. */
rhumb_status rhumb__salvage_file_take(rhumb__salvage_file *file, uint32_t index) RHUMB_NODISCARD;

/* The taken version's section of that id, or NULL. */
const rhumb__directory_entry *rhumb__salvage_file_entry(const rhumb__salvage_file *file, uint32_t id);

/* Reads every chunk of a section and finds out what it is. `section` is to be cleared in every case. RHUMB_E_NOMEM:
 * that the disk cannot read a chunk is no failure. */
rhumb_status rhumb__salvage_section_check(rhumb__salvage_file *file, const rhumb__directory_entry *entry,
                                          rhumb__salvage_section *section) RHUMB_NODISCARD;

/* Whether all chunks that hold the range are intact, or, without checksums, readable. The range lies within the rows.
 */
bool rhumb__salvage_section_intact(const rhumb__salvage_section *section, uint64_t offset, uint64_t bytes);
bool rhumb__salvage_section_readable(const rhumb__salvage_section *section, uint64_t offset, uint64_t bytes);

/* Copies a range of the rows, damaged or not; zeros in the place of unreadable chunks. RHUMB_E_IO when a chunk cannot
 * be read any more. */
rhumb_status rhumb__salvage_section_read(rhumb__salvage_file *file, const rhumb__salvage_section *section,
                                         uint64_t offset, uint64_t bytes, void *target) RHUMB_NODISCARD;

void rhumb__salvage_section_clear(rhumb__salvage_section *section);

/* Lets go of the locks and closes. NULL is fine. */
void rhumb__salvage_file_close(rhumb__salvage_file *file);

#endif /* RHUMB_ENGINE_UPKEEP_REPAIR_SALVAGE_FILE_H */
