/* store.h - a file of sections with versions: opening, pinning, and publishing a new version.
 *
 * The store knows rows and sections, not what they mean. One handle may write (the writer's lock); others, in this
 * process or elsewhere, read one version each and keep it as long as they like: a reader holds a shared lock on the
 * byte of its epoch, and the writer does not reuse blocks of that epoch, nor of the newest two, while it is held.
 *
 * Threads: section contents follow section.h. rhumb__store_publish and rhumb__store_verify take the publishing lock;
 * open, attach and close are for one thread.
 */
#ifndef RHUMB_STORAGE_STORE_H
#define RHUMB_STORAGE_STORE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/lock.h"
#include "storage/frame/directory.h"
#include "storage/frame/superblock.h"
#include "storage/io/io.h"
#include "storage/section.h"
#include "storage/space.h"

/* Blocks that a version no longer uses but an older one may: free once no reader pins `last_epoch` or an older one and
 * no superblock on disk refers to it. */
typedef struct rhumb__retired_run {
    uint64_t last_epoch;
    uint64_t offset;
    uint64_t bytes;
} rhumb__retired_run;

typedef struct rhumb__store {
    rhumb__io *io;
    char *path; /* absolute, so that a later change of directory does not matter */
    bool writable;
    bool partial;                 /* bytes of the file may be missing: each extent is looked at before it is mapped */
    bool has_version;             /* false only between creation and the first publication */
    bool superblock_found;        /* it is another handle's work, and may be in memory only */
    rhumb__superblock superblock; /* of the version this handle stands on */
    rhumb__directory *directory;  /* what was read at open; freed once all sections are attached */
    rhumb__section *sections[RHUMB__SECTION_COUNT_MAX];
    uint32_t section_count;
    rhumb__section *next_sections[RHUMB__SECTION_COUNT_MAX]; /* of a generation that is being made, see generation.c */
    uint32_t next_section_count;

    rhumb__mutex publish_lock; /* guards everything below, and the published part of every section */
    rhumb__file_space space;
    rhumb__retired_run *retired;
    uint32_t retired_count;
    uint32_t retired_capacity;
    rhumb__extent_list outgoing; /* blocks of the generation before, which the newest version still refers to */
    uint64_t directory_offset;   /* the blocks of the current directory */
    uint64_t directory_bytes;
    uint64_t previous_file_bytes; /* that the version before the newest asks the file to have */
    _Atomic bool failed;          /* a sync failed: nothing may be written any more */
} rhumb__store;

/* Creates the file and takes the writer's lock. It is not an index before the first publication. RHUMB_E_EXISTS... */
rhumb_status rhumb__store_create(const rhumb__io_backend *backend, const char *path, uint32_t creator_version,
                                 rhumb__store **store_out) RHUMB_NODISCARD;

/* Opens the newest version. For writing: takes the writer's lock and works out which blocks are free. RHUMB_E_LOCKED
 * when another handle has held it for 80 milliseconds (see take_writer_lock). For reading: pins the version. */
rhumb_status rhumb__store_open(const rhumb__io_backend *backend, const char *path, bool writable,
                               rhumb__store **store_out) RHUMB_NODISCARD;

/* Opens the newest version for reading a part of it: the file may be shorter than it says, as long as what is attached
 * and mapped is there (RHUMB_E_TRUNCATED at the attach otherwise). */
rhumb_status rhumb__store_open_partial(const rhumb__io_backend *backend, const char *path,
                                       rhumb__store **store_out) RHUMB_NODISCARD;

/* Binds `section` (the caller's, zeroed) to the section of that id and maps it. One that is not required, and that the
 * file does not have or has with another codec or version, is attached empty. RHUMB_E_CORRUPT when the file has it with
 * another kind or stride, or, if it is required, not at all; RHUMB_E_VERSION when a required one has another codec or
 * version. One that is not to be mapped has no row that may be touched. */
rhumb_status rhumb__store_attach(rhumb__store *store, const rhumb__section_spec *spec,
                                 rhumb__section *section) RHUMB_NODISCARD;

/* To be called after the last attach: RHUMB_E_VERSION when the file has a required section that was not attached.
 * Unknown optional sections are derived data; a writer's next version leaves them out. */
rhumb_status rhumb__store_attach_finish(rhumb__store *store) RHUMB_NODISCARD;

/* Makes durable the version that a writer found at open. If the sync of whoever published it had failed, it might be in
 * the page cache only, and the disk still have the version before; whatever is built on it (the next version, a log
 * that begins behind it) would be lost with it. Does nothing the second time. RHUMB_E_FATAL. */
rhumb_status rhumb__store_settle(rhumb__store *store) RHUMB_NODISCARD;

/* Detaches and unmaps all sections, releases locks, closes. Publishes nothing. NULL is fine. */
void rhumb__store_close(rhumb__store *store);

/* Closes a store whose creation could not be finished, and removes its file. */
void rhumb__store_abandon(rhumb__store *store);

/* Whether the file that another handle has open is this one: the same index, not another at the same path. */
bool rhumb__store_is_same(rhumb__store *store, const rhumb__store *reader);

/* Whether the file has a newer version than the one this reader pins. */
rhumb_status rhumb__store_has_newer(rhumb__store *store, bool *newer_out) RHUMB_NODISCARD;

/* Called with a copy of the rows [first_row, first_row + row_count) of a mutable section, to change them into what the
 * version that is being published should hold. Returns whether it changed anything that the section itself still has.
 */
typedef bool (*rhumb__row_filter)(void *context, const rhumb__section *section, uint64_t first_row, uint8_t *rows,
                                  uint64_t row_count);

/* A version to publish. Each section has as many rows of it as its next_row_count says: never fewer than published
 * before. */
typedef struct rhumb__publication {
    uint8_t client[RHUMB__CLIENT_BYTES];
    uint64_t features_read; /* of RHUMB__FEATURES_READ_KNOWN, those that the version uses */
    rhumb__row_filter filter;
    void *filter_context;
    uint64_t bytes_per_second; /* no more than so many on average; 0: as fast as it goes */
    bool pull_down;            /* move what lies far behind to free blocks further in front */
    uint64_t written_bytes;    /* out: what was written */
} rhumb__publication;

/* Writes what changed, then the directory, syncs, writes the superblock, syncs. The caller guarantees that the
 * published rows of append-only sections are complete; chunks of mutable sections are copied one by one under their
 * locks. On failure before the superblock is written nothing changed and it may be tried again. Later failures are
 * RHUMB_E_FATAL, as is every call after one. */
rhumb_status rhumb__store_publish(rhumb__store *store, rhumb__publication *publication) RHUMB_NODISCARD;

/* ---- generations: the same sections anew, see generation.c ----
 */

/* Begins a section of the next generation, empty. To be called for the same sections, in the same order, as
 * rhumb__store_attach was. One generation at a time. */
rhumb_status rhumb__store_attach_next(rhumb__store *store, const rhumb__section_spec *spec,
                                      rhumb__section *section) RHUMB_NODISCARD;

/* Writes rows of append-only sections, of the next generation if there is one, to the blocks where a later version is
 * going to have them, and gives their memory back: up to the next_row_count of each. Publishes nothing: a crash leaves
 * free blocks. Of `publication` only bytes_per_second matters; mutable sections are left alone. */
rhumb_status rhumb__store_write_ahead(rhumb__store *store, rhumb__publication *publication) RHUMB_NODISCARD;

/* Puts the next generation in the place of the sections so far, which are detached and unmapped: nobody may use them
 * any more. The newest version of the file stays as it is until the next publication. */
void rhumb__store_switch_next(rhumb__store *store);

/* Unmaps the next generation and gives back its blocks. Does nothing if there is none. */
void rhumb__store_drop_next(rhumb__store *store);

/* Gives blocks that no version needs back to the file system, and cuts the file's free end off; *left_out is whether
 * some are left that nothing but a reader's pin keeps. RHUMB_E_IO. */
rhumb_status rhumb__store_trim(rhumb__store *store, bool *left_out) RHUMB_NODISCARD;

/* Reads every chunk of the version that this handle stands on from the file and compares checksums. A wrong one is not
 * a failure, nor is a damaged table of them: it is counted, and the first is described in `first_error` (may be NULL;
 * at least 512 bytes). */
rhumb_status rhumb__store_verify(rhumb__store *store, uint64_t *chunk_count_out, uint64_t *error_count_out,
                                 char *first_error) RHUMB_NODISCARD;

/* ---- for the files of storage/ -------------------------------------------------------------------------------------
 */

/* Reads the chunk checksums that follow the root of `directory`, verified against its checksum_crc. *checksums_out is
 * the caller's (rhumb__free), NULL when there are none. */
rhumb_status rhumb__store_read_checksums(rhumb__store *store, const rhumb__directory *directory,
                                         uint32_t **checksums_out) RHUMB_NODISCARD;

/* Notes blocks that the version `last_epoch` is the last to use. */
void rhumb__store_retire(rhumb__store *store, uint64_t last_epoch, uint64_t offset, uint64_t bytes);

/* Makes retired blocks free that nobody can need any more. Returns whether nothing but readers keeps some of the rest.
 */
bool rhumb__store_reclaim(rhumb__store *store);

#endif /* RHUMB_STORAGE_STORE_H */
