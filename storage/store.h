/* store.h - a file of sections with versions: opening a version, attaching its sections, closing. Further functions of
 * a store: publish/publish.h (a new version), reclaim.h (free blocks), next_sections.h (a second set of sections),
 * store_verify.h (checksums).
 *
 * The store knows rows and sections, not what they mean. One handle may write (the writer's lock); others, in this
 * process or another, read one version each and keep it as long as they like: a reader holds a shared lock on the byte
 * of its epoch, and the writer does not reuse blocks of that epoch, nor of the newest two, while it is held.
 *
 * Threads: section contents follow section.h. Opening, attaching and closing are for one thread; the other functions
 * take the publishing lock.
 */
#ifndef RHUMB_STORAGE_STORE_H
#define RHUMB_STORAGE_STORE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/fork.h"
#include "base/lock.h"
#include "storage/frame/directory.h"
#include "storage/frame/frame_reader.h"
#include "storage/frame/superblock.h"
#include "storage/io/io.h"
#include "storage/new_file.h"
#include "storage/section.h"
#include "storage/space.h"

/* Blocks that the newest version does not refer to but an older one may; see reclaim.c. */
typedef struct rhumb__retired_run {
    uint64_t last_epoch; /* of the last version that refers to them */
    uint64_t offset;
    uint64_t bytes;
} rhumb__retired_run;

/* A version that a writer knows; see kept_versions.h. */
typedef struct rhumb__known_version {
    rhumb__kept_version record;
    rhumb__extent *ranges; /* the blocks that it keeps: ascending, not overlapping */
    uint32_t range_count;
} rhumb__known_version;

/* See store_stats.h. */
typedef struct rhumb__store_stats {
    uint32_t format_version;
    uint32_t creator_version;
    uint8_t uuid[16];
    uint64_t created_unix_ns;
    uint64_t epoch;
    uint64_t file_bytes;
    uint64_t file_free_bytes; /* that the newest version does not use */
    uint64_t mapping_count;   /* extents of mapped sections */
} rhumb__store_stats;

/* The patches added by the publication of one version: those of the area up to `end`. */
typedef struct rhumb__patch_mark {
    uint64_t epoch;
    uint64_t end;
} rhumb__patch_mark;

/* A writer's copy of the patches of the newest version, and their place in the file. */
typedef struct rhumb__patch_area {
    uint8_t *bytes; /* headers and bytes, as they are in the file; NULL when there has never been one */
    uint64_t used_bytes;
    uint64_t capacity_bytes; /* of `bytes` */
    uint32_t count;
    uint32_t crc;
    uint64_t file_offset;
    uint64_t room_bytes; /* of the blocks in the file; 0: none */
    bool stale;          /* some are for a section that this writer does not know, and leaves out */
    rhumb__patch_mark *marks;
    uint32_t mark_count;
    uint32_t mark_capacity;
} rhumb__patch_area;

/* What the patches of a version may take: bytes, which opening reads, and pages of sections, which it copies. */
typedef struct rhumb__patch_limits {
    uint64_t bytes_max;
    uint64_t page_count_max;
} rhumb__patch_limits;

/* Direct readers that a store keeps; with more threads, the others make their own each time. */
#define RHUMB__ROW_READS_KEPT 64u

/* See row_reads.h. */
typedef struct rhumb__row_reads {
    int descriptor;
    rhumb__fork_descriptor fork_entry;
    bool is_open;
    _Atomic bool is_usable;
    uint32_t row_bytes;
    _Atomic(struct rhumb__io_direct *) free[RHUMB__ROW_READS_KEPT]; /* that no thread uses */
} rhumb__row_reads;

typedef struct rhumb__store {
    rhumb__io *io;
    char *path; /* absolute, so that a later change of directory does not matter */
    bool writable;
    bool partial;                /* the file may be cut short: each extent is checked before it is mapped */
    bool has_version;            /* false only between creation and the first publication */
    _Atomic bool exceeds_memory; /* see residency.h, as the next four */
    _Atomic bool is_cold;
    _Atomic bool reads_ahead; /* one of the two */
    _Atomic uint64_t cold_search_count;
    bool is_advised;
    struct rhumb__warm_up *warm_up; /* see warm_up.h; NULL: there is none */
    rhumb__row_reads row_reads;
    bool superblock_found;        /* another handle wrote the superblock, which may be in the page cache only */
    bool copy_pending;            /* the second copy of a superblock has been written and not synced */
    bool log_may_exist;           /* a new file gets its name next to a log too */
    rhumb__superblock superblock; /* of the version that this handle stands on */
    rhumb__directory *directory;  /* as read at open; a writer frees it once all sections are attached */
    rhumb__patches patches;       /* of that version; released once all sections are attached */
    rhumb__section *sections[RHUMB__SECTION_COUNT_MAX];
    uint32_t section_count;
    rhumb__section *next_sections[RHUMB__SECTION_COUNT_MAX]; /* being built, see next_sections.h */
    uint32_t next_section_count;

    rhumb__mutex stats_lock;  /* guards the next */
    rhumb__store_stats stats; /* a copy of the newest numbers */

    rhumb__mutex publish_lock; /* guards everything below, and the published part of every section */
    rhumb__file_space space;
    rhumb__retired_run *retired;
    uint32_t retired_count;
    uint32_t retired_capacity;
    rhumb__known_version *versions; /* by ascending epoch, the newest last */
    uint32_t version_count;
    uint32_t version_capacity;
    rhumb__extent_list outgoing; /* blocks of replaced sections, which the newest version still refers to */
    rhumb__patch_area patch_area;
    rhumb__patch_limits patch_limits;
    uint64_t directory_offset; /* the blocks of the newest version's directory */
    uint64_t directory_bytes;
    uint64_t file_bytes;          /* the length of the file when it was last asked for */
    uint64_t previous_file_bytes; /* file_bytes of the previous version */
    _Atomic bool failed;          /* a sync has failed: nothing may be written any more */

    /* Called with publish_lock held when everything but the superblock of a new version is on the disk; fills in what
     * it says of its log, or fails, and then nothing is published. NULL: the version says what the one before said. */
    rhumb_status (*before_publish)(void *context, rhumb__superblock *superblock);
    void *before_publish_context;
} rhumb__store;

typedef struct rhumb__store_creation {
    rhumb__new_place place;
    uint32_t creator_version;
    bool log_may_exist; /* otherwise a log of that name makes the first publication fail with RHUMB_E_EXISTS */
} rhumb__store_creation;

/* Creates the file under its working name and takes the writer's lock. It gets its name with the first publication,
 * which fails with RHUMB_E_EXISTS if there is a file of that name by then. What rhumb__new_place_open returns,
 * RHUMB_E_NOSPACE. */
rhumb_status rhumb__store_create(const rhumb__store_creation *creation, rhumb__store **store_out) RHUMB_NODISCARD;

/* Opens the newest version. For writing: takes the writer's lock and determines which blocks are free. For reading:
 * pins the version. RHUMB_E_LOCKED when another handle has held the writer's lock for 80 milliseconds (see
 * rhumb__io_lock_patiently); RHUMB_E_NOTFOUND, and what rhumb__frame_find and rhumb__directory_read return. */
rhumb_status rhumb__store_open(const rhumb__io_backend *backend, const char *path, bool writable,
                               rhumb__store **store_out) RHUMB_NODISCARD;

/* How a version is opened: for writing, or for reading with any of the two others. */
typedef enum rhumb__store_mode {
    RHUMB__STORE_READ = 0,
    RHUMB__STORE_PARTIAL = 1,  /* the file may be shorter than it should be, as long as it has the sections that are
                                  mapped (otherwise attaching returns RHUMB_E_TRUNCATED) */
    RHUMB__STORE_UNLOCKED = 2, /* take no lock: no process writes the file, or its file system has no locks */
    RHUMB__STORE_WRITE = 4
} rhumb__store_mode;

/* The same in another mode. */
rhumb_status rhumb__store_open_as(const rhumb__io_backend *backend, const char *path, rhumb__store_mode mode,
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

/* Makes durable the version that a writer found at open. If the sync of the process that published it failed, it may be
 * in the page cache only, while the disk still has the previous version; everything that depends on it (the next
 * version, a log that begins after it) would be lost with it. Later calls do nothing. RHUMB_E_FATAL. */
rhumb_status rhumb__store_settle(rhumb__store *store) RHUMB_NODISCARD;

/* Writes a superblock as rhumb__superblock_write does, after a sync if one is due. The caller holds publish_lock or is
 * alone. */
rhumb_status rhumb__store_write_superblock(rhumb__store *store, rhumb__superblock *superblock) RHUMB_NODISCARD;

/* Makes the newest version say durably which history it has, and whether a log of it is expected. Does nothing if it
 * says so already. RHUMB_E_FATAL: nothing may be written any more. */
rhumb_status rhumb__store_stamp(rhumb__store *store, uint64_t history, uint64_t log_lsn,
                                bool log_expected) RHUMB_NODISCARD;

/* RHUMB_E_FATAL if something has failed that forbids further writing. The other makes it so, and returns that, with the
 * thread's last failure as the cause. */
rhumb_status rhumb__store_check(const rhumb__store *store) RHUMB_NODISCARD;
rhumb_status rhumb__store_fail_for_good(rhumb__store *store) RHUMB_NODISCARD;

/* Gives a file its name that has been created, written and synced. */
rhumb_status rhumb__store_take_name(rhumb__store *store) RHUMB_NODISCARD;

/* Limits for the stores that are opened from now on; NULL restores the usual ones. For tests, which reach small ones
 * sooner. */
void rhumb__store_set_patch_limits(const rhumb__patch_limits *limits);

/* Detaches and unmaps all sections, releases locks, closes. Publishes nothing. NULL is fine. */
void rhumb__store_close(rhumb__store *store);

/* ---- sections that outlive their store ---- */

#define RHUMB__SECTION_KEPT_NONE UINT32_MAX

/* Closes a writer's store, but leaves the section of that id as it is: it is the caller's to destroy. Returns the file
 * handle, for as long as the section is used: no writer reuses its blocks until the handle is closed. If all of its
 * rows that are mapped are `published`, in the newest version, the handle has a pin of that; otherwise, or if it cannot
 * be pinned, the handle keeps the writer's lock. */
rhumb__io *rhumb__store_close_keeping(rhumb__store *store, uint32_t kept_id, bool published);

/* Pins another version, of a reader's file, in addition to its own. RHUMB_E_IO. */
rhumb_status rhumb__store_pin_version(rhumb__store *reader, uint64_t epoch) RHUMB_NODISCARD;

/* The inverse. Its own version stays pinned. */
void rhumb__store_unpin_version(rhumb__store *reader, uint64_t epoch);

/* Releases the pin of a reader's version, of which no row is read any more. The store can only be closed then. */
void rhumb__store_give_up(rhumb__store *reader);

/* Takes the file handle of a reader that is going to be closed, with the pin of `epoch` and no other. */
rhumb__io *rhumb__store_take_io(rhumb__store *reader, uint64_t epoch);

/* Closes a store whose creation could not be finished, and removes its file. */
void rhumb__store_abandon(rhumb__store *store);

/* Whether `reader` has the same index open, and not another at the same path. */
bool rhumb__store_is_same(rhumb__store *store, const rhumb__store *reader);

/* Whether the path leads to something else than the version that this reader pins: a newer version, another file, or
 * none. */
rhumb_status rhumb__store_has_newer(rhumb__store *store, bool *newer_out) RHUMB_NODISCARD;

/* Reads the versions that the file has, as rhumb__frame_find does. Takes the publishing lock, because the handle may be
 * writing the superblock. */
rhumb_status rhumb__store_versions(rhumb__store *store, rhumb__frame_versions *found) RHUMB_NODISCARD;

#endif /* RHUMB_STORAGE_STORE_H */
