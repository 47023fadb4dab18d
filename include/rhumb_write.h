/* rhumb_write.h - changing an index: inserting, deleting and replacing vectors; making changes durable. Part of the
 * manual; include rhumb.h, which includes this file.
 *
 *   Every function here needs a handle that is open for writing, unless it says otherwise, and may be called by any
 *   number of threads at the same time.
 */
#ifndef RHUMB_WRITE_H
#define RHUMB_WRITE_H

#include "rhumb.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- inserting --------------------------------------------------------------------------------------------------- */

/* Inserts one vector.
 *
 * When it has returned RHUMB_OK, searches that begin afterwards can find the vector, and it is as durable as the
 * handle's mode promises (rhumb_open_options.durability). After RHUMB_E_FATAL, searches of this handle may see the
 * vector, but it need not be there at the next opening.
 *
 * Parameters:
 *   key       any number that is not in the index, except RHUMB_KEY_NONE
 *   vector    dim components, or a rhumb_sequence under levenshtein; copied
 *
 * Errors:
 *   RHUMB_E_EXISTS        the key is in the index; nothing changed
 *   RHUMB_E_NOT_FINITE    a component is NaN or infinite
 *   RHUMB_E_DOMAIN        the metric is not defined for the vector
 *   RHUMB_E_INVALID       a sequence is longer than dim
 *   RHUMB_E_FULL          all 2,147,483,647 slots are used, or the addresses behind a section
 *   RHUMB_E_READONLY      the handle is read-only
 *   RHUMB_E_NOSPACE       there is no room to create the log; a later call may succeed
 *   RHUMB_E_IO            the log could not be created; a later call may succeed
 *   RHUMB_E_FATAL         the log could not be written or a sync failed, now or earlier
 */
RHUMB_API rhumb_status rhumb_index_insert(rhumb_index *index, uint64_t key, const void *vector) RHUMB_NODISCARD;

/* How a batch is inserted. */
typedef struct rhumb_batch_options {
    size_t size;                /* sizeof(rhumb_batch_options), set by rhumb_batch_options_init. */
    uint32_t thread_count;      /* Threads to work with. Default 0: one per processor of this process. */
    rhumb_progress_fn progress; /* Receives the number of vectors inserted. Default NULL. */
    void *progress_context;     /* Passed to progress. */
    bool partial;               /* Keep what was inserted before a failure or a stop. Default false: all or nothing. */
} rhumb_batch_options;

/* Sets the defaults. `size` is sizeof(rhumb_batch_options) as the caller compiled it. */
RHUMB_API void rhumb_batch_options_init(rhumb_batch_options *options, size_t size);

/* Inserts `count` vectors with several threads, and waits for the disk once, at the end.
 *
 * A batch is all or nothing: after a failure, a stop or a crash, none of its vectors is in the index. Searches that run
 * concurrently may have seen some of them, and the slots of a failed batch stay used until a compaction. Checkpoints
 * and other batches go on while it runs; a checkpoint leaves out what an unfinished batch has inserted. The progress
 * function may call any function of this index but a compaction, which would wait for the batch. Needs 4 bytes of
 * memory per vector. With options.partial the vectors inserted before a failure stay, and these are not needed; with
 * several threads it is not defined which vectors those are. The first failure ends the batch and is returned.
 *
 * A batch of 4,096 vectors or more into an empty index that is not partial is built in bulk where metric and element
 * type allow it (l2, l2sq, cosine; f32, f64, f16, bf16) and half of the memory that the process may use
 * suffices: the links of all vectors are found first, which takes about 1 KB of memory per vector besides its code, and
 * then written at once. Searches find the vectors from then on, and while links are written other operations that
 * change the index wait. Progress is the share of the work that is done; before links are written a stop leaves
 * nothing. The links are the same on any number of threads.
 *
 * Parameters:
 *   keys              `count` keys; or NULL for consecutive numbers from one above the largest key ever inserted, 0 in
 *                     a new index. Two batches without keys must not run at the same time: they would draw the same
 *                     keys.
 *   vectors           `count` vectors, one after the other; copied
 *   options           NULL: the defaults
 *   inserted_count    receives how many of the vectors are in the index, on failure too; may be NULL
 *
 * A vector that is refused is named in the message: its row, counted from 0, its key, and what is wrong with it. If
 * several are, it is the first of them, except where rows depend on each other (two with one key).
 *
 * Errors:
 *   RHUMB_E_CANCELLED    progress returned false
 *   RHUMB_E_FULL         there are not enough slots, or not enough keys above the largest
 *   RHUMB_E_EXISTS, RHUMB_E_NOT_FINITE, RHUMB_E_DOMAIN, RHUMB_E_INVALID    as for rhumb_index_insert
 *   RHUMB_E_READONLY, RHUMB_E_NOSPACE, RHUMB_E_IO, RHUMB_E_FATAL           as for rhumb_index_insert
 */
RHUMB_API rhumb_status rhumb_index_insert_batch(rhumb_index *index, const uint64_t *keys, const void *vectors,
                                                size_t count, const rhumb_batch_options *options,
                                                size_t *inserted_count) RHUMB_NODISCARD;

/* ---- deleting and replacing -------------------------------------------------------------------------------------- */

/* Deletes the vector of a key.
 *
 * Searches that begin after it has returned do not find the vector, and the key may be inserted again. The node stays
 * in the graph as a waypoint, and its space in the file stays used, until a compaction.
 *
 * Errors:
 *   RHUMB_E_NOTFOUND    the key is not in the index
 *   RHUMB_E_READONLY, RHUMB_E_NOSPACE, RHUMB_E_IO, RHUMB_E_FATAL    as for rhumb_index_insert
 */
RHUMB_API rhumb_status rhumb_index_delete(rhumb_index *index, uint64_t key) RHUMB_NODISCARD;

/* Inserts a vector, or replaces the vector of a key that is in the index.
 *
 * Where more vectors are deleted than live, and more than 4,096, an insert or upsert waits for the compaction that is
 * under way, for 20 milliseconds at most, and a batch of them for 2 seconds at most before it begins: otherwise the
 * index could grow faster than it is compacted. Nothing but a batch waits for a compaction that waits for a batch.
 *
 * A search that runs concurrently finds the old vector or the new one: exactly one of the two, subject to the recall of
 * approximate search.
 *
 * Parameters:
 *   key       any number except RHUMB_KEY_NONE
 *   vector    dim components, or a rhumb_sequence under levenshtein; copied
 *
 * Errors:
 *   RHUMB_E_NOT_FINITE, RHUMB_E_DOMAIN, RHUMB_E_INVALID, RHUMB_E_FULL    as for rhumb_index_insert
 *   RHUMB_E_READONLY, RHUMB_E_NOSPACE, RHUMB_E_IO, RHUMB_E_FATAL         as for rhumb_index_insert
 */
RHUMB_API rhumb_status rhumb_index_upsert(rhumb_index *index, uint64_t key, const void *vector) RHUMB_NODISCARD;

/* ---- batches of any kind ----------------------------------------------------------------------------------------- */

/* What rhumb_index_write_batch does with one key. */
typedef enum rhumb_write_kind {
    RHUMB_WRITE_INSERT = 1, /* the key must not be in the index */
    RHUMB_WRITE_UPSERT = 2, /* inserts the vector, or replaces that of the key */
    RHUMB_WRITE_DELETE = 3  /* deletes the vector of the key, if it is in the index */
} rhumb_write_kind;

/* One item of a batch. */
typedef struct rhumb_write {
    uint32_t kind;      /* A rhumb_write_kind. */
    uint32_t reserved;  /* Must be 0. */
    uint64_t key;       /* Different from those of all other items. */
    const void *vector; /* The dim components, or a rhumb_sequence under levenshtein; copied. NULL for a delete. */
} rhumb_write;

/* What a batch has done. */
typedef struct rhumb_write_report {
    size_t size;             /* Set by the call, from report_size. */
    uint64_t inserted_count; /* Keys that were not there: those of inserts, and of some upserts. */
    uint64_t replaced_count; /* Upserts of keys that were there. */
    uint64_t deleted_count;  /* Deletes of keys that were there. */
    uint64_t missing_count;  /* Deletes of keys that were not there. */
} rhumb_write_report;

/* Inserts, replaces and deletes `count` vectors as one operation, with several threads, and waits for the disk once.
 *
 * The batch is all or nothing, and it takes effect in one moment, at its end. Before that no look-up and no search
 * finds anything of it, nor misses what it is going to delete, in this process or another; after a failure, a stop or a
 * crash nothing of it has happened. A key that an insert needs to be absent, or an upsert or delete meets, is looked up
 * at that moment, so other operations may have come first. Other writing operations go on until then; in that moment
 * they wait, for about a microsecond per item, and a search may find some of the batch and not yet the rest.
 *
 * The new vectors are in the graph from the beginning, and count as deleted until that moment; the slots of a failed
 * batch stay used until a compaction. Needs 64 bytes of memory per item. The progress function may call any function of
 * this index but a compaction.
 *
 * With options.partial every item takes effect by itself, and those before a failure stay; with several threads it is
 * not defined which those are. Only the keys are checked first.
 *
 * Parameters:
 *   writes         `count` items, in any order
 *   options        NULL: the defaults
 *   report         receives what has been done, zeros after a failure unless options.partial; may be NULL
 *   report_size    sizeof(rhumb_write_report) as the caller compiled it
 *
 * Errors; messages name the row and the key:
 *   RHUMB_E_INVALID      two items have the same key, which the message names with both rows; a kind is none of these;
 *                        a vector is NULL, or a sequence is longer than dim
 *   RHUMB_E_EXISTS       the key of an insert is in the index
 *   RHUMB_E_CANCELLED    progress returned false
 *   RHUMB_E_NOT_FINITE, RHUMB_E_DOMAIN, RHUMB_E_FULL                 as for rhumb_index_insert
 *   RHUMB_E_READONLY, RHUMB_E_NOSPACE, RHUMB_E_IO, RHUMB_E_FATAL     as for rhumb_index_insert
 */
RHUMB_API rhumb_status rhumb_index_write_batch(rhumb_index *index, const rhumb_write *writes, size_t count,
                                               const rhumb_batch_options *options, rhumb_write_report *report,
                                               size_t report_size) RHUMB_NODISCARD;

/* The same for `count` upserts.
 *
 * Parameters:
 *   keys           `count` different keys
 *   vectors        `count` vectors, one after the other; copied
 *   options        as for rhumb_index_write_batch
 *   report         as for rhumb_index_write_batch
 *   report_size    as for rhumb_index_write_batch
 *
 * Errors:
 *   those of rhumb_index_write_batch
 */
RHUMB_API rhumb_status rhumb_index_upsert_batch(rhumb_index *index, const uint64_t *keys, const void *vectors,
                                                size_t count, const rhumb_batch_options *options,
                                                rhumb_write_report *report, size_t report_size) RHUMB_NODISCARD;

/* The same for `count` deletes. Keys that are not in the index are counted as missing.
 *
 * Parameters:
 *   keys           `count` different keys
 *   options        as for rhumb_index_write_batch
 *   report         as for rhumb_index_write_batch
 *   report_size    as for rhumb_index_write_batch
 *
 * Errors:
 *   those of rhumb_index_write_batch
 */
RHUMB_API rhumb_status rhumb_index_delete_batch(rhumb_index *index, const uint64_t *keys, size_t count,
                                                const rhumb_batch_options *options, rhumb_write_report *report,
                                                size_t report_size) RHUMB_NODISCARD;

/* ---- durability -------------------------------------------------------------------------------------------------- */

/* Makes every operation that returned before the call durable, whatever the handle's mode.
 *
 * In mode none it makes a checkpoint.
 *
 * Errors:
 *   RHUMB_E_READONLY    the handle is read-only
 *   RHUMB_E_FATAL       the log could not be written or a sync failed, now or earlier
 *   RHUMB_E_NOSPACE, RHUMB_E_FULL, RHUMB_E_IO    in mode none, as for rhumb_index_checkpoint
 */
RHUMB_API rhumb_status rhumb_index_sync(rhumb_index *index) RHUMB_NODISCARD;

/* Writes every operation that returned before the call to the index itself, and publishes it for readers.
 *
 * Inserts, deletes and searches continue while it runs. RHUMB_OK means that these operations survive a power cut; if
 * there is nothing new, nothing is written.
 *
 * Errors:
 *   RHUMB_E_READONLY    the handle is read-only
 *   RHUMB_E_NOSPACE     the disk is full: the index stays usable, the last checkpoint is intact, and a later call may
 *                       succeed
 *   RHUMB_E_FATAL       a sync failed, now or earlier: the handle accepts no more writes
 *   RHUMB_E_FULL        the numbers of checkpoints or operations are used up
 *   RHUMB_E_IO          another failure of the operating system; the last checkpoint is intact
 */
RHUMB_API rhumb_status rhumb_index_checkpoint(rhumb_index *index) RHUMB_NODISCARD;

/* Returns the number of the last operation; 0 for NULL.
 *
 * Operations (inserts, upserts, deletes, and the beginning and end of a batch) are numbered from 1 over the life of an
 * index. For a read-only handle it is the last operation in the checkpoint that the handle shows. */
RHUMB_API uint64_t rhumb_index_lsn(const rhumb_index *index);

/* Returns the number of the last operation that a power cut can no longer undo; 0 for NULL. For a read-only handle it
 * equals rhumb_index_lsn. */
RHUMB_API uint64_t rhumb_index_durable_lsn(const rhumb_index *index);

/* Waits until the handle has nothing to do in the background: all vectors from the log are linked, no checkpoint or
 * compaction is due or running there, and fused rows have been made of vectors that lack them, and again where many are
 * stale (rhumb_index_stats.fused_stale_count). Returns at once for a read-only handle. */
RHUMB_API rhumb_status rhumb_index_wait_idle(rhumb_index *index) RHUMB_NODISCARD;

#ifdef __cplusplus
}
#endif

#endif /* RHUMB_WRITE_H */
