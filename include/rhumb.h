/* rhumb.h - a memory-mapped, persistent index for approximate nearest neighbour search on Linux.
 *
 * This file and the files it includes at its end are the manual of the C interface. Programs include this file alone:
 *
 *   rhumb.h            introduction, caveats; errors; creating, opening, refreshing and closing an index
 *   rhumb_types.h      statuses; metrics, their formulas and element types; callbacks
 *   rhumb_write.h      inserting, deleting, replacing; logs, checkpoints and operation numbers
 *   rhumb_search.h     searching, iterators, filters
 *   rhumb_points.h     points one by one: vectors, leases, levels, neighbours, walks over all points
 *   rhumb_recall.h     how much of the truth searches find: measuring it
 *   rhumb_stats.h      statistics, what a file says of itself without a handle, user metadata
 *   rhumb_upkeep.h     verifying, repairing, compacting, backing up and merging
 *   rhumb_topology.h   the graph of an index as a file of its own
 *   rhumb_exchange.h   making an index of a file of another library, and the reverse
 *
 * INTRODUCTION
 *   An index is one file. It holds vectors, each under a 64-bit key that the caller chooses, and a graph over them
 *   (HNSW: Malkov and Yashunin, arXiv 1603.09320). Opening maps the file; nothing is parsed, copied or rebuilt. So an
 *   index of any size opens in milliseconds (read-only in a fraction of one), and uses memory only for the pages that
 *   are touched.
 *
 *       rhumb_index_options options;
 *       rhumb_index_options_init(&options, sizeof options);
 *       options.dim = 784;
 *       options.metric = RHUMB_METRIC_L2;
 *       rhumb_index *index = NULL;
 *       if (rhumb_index_create("images.rhumb", &options, &index) != RHUMB_OK) puts(rhumb_error_last()->message);
 *       if (rhumb_index_insert(index, 42, vector) != RHUMB_OK) ...
 *       if (rhumb_index_search(index, query, 10, NULL, keys, distances, &found_count) != RHUMB_OK) ...
 *       if (rhumb_index_close(index) != RHUMB_OK) ...
 *
 *   The folder examples/ has complete programs.
 *
 * THREADS AND PROCESSES
 *   Any number of threads may call any functions on the same handle at the same time. The exceptions are the functions
 *   that close a handle, which must be the last call on it, and iterators and cursors, which belong to one thread at a
 *   time. Searches take no lock and never wait for inserts or checkpoints, with one exception: a filter that lists few
 *   keys looks each of them up under the lock of a bucket of the key table, which is held for one look-up at a time.
 *   One handle at a time may write an index, among all processes; opening another for writing returns RHUMB_E_LOCKED.
 *   Any number of processes may have it open read-only at the same time. A read-only handle shows the checkpoint that
 *   was the newest when it was opened, unchanged, until rhumb_index_refresh.
 *
 * DURABILITY
 *   Changes are written to a log next to the index (its name followed by "-wal") and, from time to time, by a
 *   checkpoint into the index itself, after which the log starts from empty again. Checkpoints happen in the
 *   background, at close, and on request. A checkpoint never overwrites what the previous one wrote, so one of them is
 *   complete at every moment. Threads that write at the same time share the cost of waiting for the disk.
 *   The durability mode of the handle says when an operation that has returned RHUMB_OK is safe:
 *
 *     mode       an operation is safe      after a crash of the process or a power cut, the index lacks
 *     full       when it returns           nothing that had returned
 *     interval   sync_interval_ms later    at most the operations of the last interval
 *     none       at the next checkpoint    everything since the last checkpoint; there is no log, and a checkpoint in
 *                                          the background only when changes fill a sixth of the memory that the
 *                                          process may use
 *
 *   In every mode the index that opens after a crash contains every operation up to some point and none after it, and
 *   each batch is either complete or absent.
 *   A write of the log or a sync that fails makes the handle read-only for good (RHUMB_E_FATAL); searches continue.
 *   Close the handle and open the index again.
 *
 * ERRORS
 *   Functions return a rhumb_status: 0 or a negative number. On failure out-parameters are untouched unless the
 *   function says otherwise, and rhumb_error_last has the details for the calling thread. The library never prints,
 *   never exits, and answers bad arguments and bad files with a status.
 *   "Errors:" lists what a function returns besides RHUMB_OK. Not listed, because every function may return them:
 *   RHUMB_E_INVALID for NULL where a pointer is needed, or for an options struct that its _init function has not set
 *   up; RHUMB_E_FORKED; RHUMB_E_TRUNCATED and RHUMB_E_IO after rhumb_sigbus_guard_install; and RHUMB_E_NOMEM.
 *
 * OPTIONS
 *   Every options struct begins with its size, set by its _init function, so that programs compiled against an older
 *   version of the library keep working. NULL in place of options means all defaults. Structs that the library fills
 *   (statistics, reports) are passed with their size for the same reason: fields that an older struct lacks are not
 *   written. Programs may also be newer than the library: fields that the library does not know must be zero in options
 *   (as the _init functions leave them; otherwise RHUMB_E_INVALID), and become zero in structs that it fills.
 *
 * VECTORS
 *   A vector is an array of `dim` components of the index's element type. It needs no alignment. Several vectors lie
 *   one after the other (row-major for C, column-major for Julia and Fortran). A vector of bits (b1) has
 *   (dim + 7) / 8 bytes, its first component in the lowest bit of the first byte; bits after the last component are
 *   ignored, and 0 in vectors that the library returns. Under levenshtein a vector is a rhumb_sequence, and several
 *   vectors are an array of these.
 *
 * CAVEATS
 *   - Fork. A handle belongs to the process that opened it. In a forked child every call on it, and on what was made
 *     from it, returns RHUMB_E_FORKED (those that return a number: 0); to close it there is allowed, returns the same,
 *     and does nothing but release memory. The child may open the index for itself. It inherits no lock, no descriptor
 *     and no mapping: it holds up no other process, and pointers into the index (rhumb_index_vector_view,
 *     rhumb_topology_arrays) are invalid in it, so that reading through them raises SIGSEGV. A child that was forked
 *     inside a callback must not return from it. After vfork, or clone without the handlers of pthread_atfork, a child
 *     must only call exec or _exit; all descriptors are close-on-exec.
 *   - Network file systems. An index belongs on a local file system. Readers and the writer rely on byte-range locks
 *     and on a mapped file that shows what another process has written; network file systems promise neither between
 *     machines. Nothing detects the mistake.
 *   - Read-only file systems. An index opens read-only there as anywhere; nothing is created. Where a file system has
 *     no locks of open files (F_OFD_SETLK, Linux 3.15), an index can only be read, with rhumb_open_options.immutable.
 *   - Several handles in one process. This is allowed: the locks are open file description locks (F_OFD_SETLK), which
 *     belong to the handle, so one handle cannot lose another's lock as POSIX locks do. But each handle has scratch
 *     memory and page tables of its own, and a handle that writes also has threads. Share one handle between threads.
 *     Thousands of small indexes may be open for writing in one process, as far as its limits of open files (some four
 *     per handle), threads and mappings allow (see RHUMB_E_NOMEM).
 *   - Little address space. A handle takes as much as its file has, and what has been added since the last checkpoint,
 *     but reserves no more, so a program with a limit (ulimit -v) needs the size of the index and some hundred MiB; a
 *     compaction takes the size of its result in addition. Functions of the program that run on threads of the library
 *     have stacks of 1 MiB.
 *   - The log belongs to its index. Never remove, rename, copy or restore one without the other: the log may have the
 *     only copy of what was inserted last. An opening for writing refuses a log that does not fit, and the lack of one
 *     that is expected (RHUMB_E_LOG). An index that is opened by another hard link looks for its log under that name,
 *     so it may be refused there. Symbolic links are resolved.
 *   - Copying a live file. A copy made by cp, rsync or a snapshot of the file alone while a handle writes may mix two
 *     checkpoints. Use rhumb_index_compact_into, which reads one checkpoint and pins it. A closed index without a log
 *     may be copied as any file; so may a snapshot of the file system that is atomic and includes the log.
 *   - Replacing a live file. Do not overwrite an index that is open. A handle keeps the file that it opened, also if
 *     that is renamed or deleted. To give readers a new state of the same index, move a file over theirs; a refresh
 *     finds it. A handle that writes begins no log for a file that is not at its path any more (RHUMB_E_IO).
 *   - Truncation and bad disks. The file is mapped: if another program shortens it, or the disk cannot read a page, the
 *     kernel raises SIGBUS in the thread that touches the page, which ends the program unless it has a handler. The
 *     library installs none by itself; rhumb_sigbus_guard_install turns such faults into errors. Damage that does not
 *     fail to read is found by checksums, see rhumb_index_verify. Another file copied over an open one is damage.
 *   - A full disk. A checkpoint that finds no room fails (RHUMB_E_NOSPACE) and costs nothing; a later one may succeed.
 *     A log that finds no room makes the handle read-only (RHUMB_E_FATAL); nothing is lost that had returned.
 *   - Readers that never refresh. The checkpoint that a read-only handle shows is pinned: its space cannot be used
 *     again, so the file may grow by the size of the index for each checkpoint that is pinned so. Refresh now and then,
 *     or close.
 *   - Checkpoints and readers. A read-only handle does not show what is only in the log; see
 *     rhumb_index_stats.log_pending_count. A backup by rhumb_index_compact_into has the newest checkpoint. Call
 *     rhumb_index_checkpoint first if the last operations matter.
 *   - Memory of a writer. What has changed since the last checkpoint is held in private memory, which cannot be given
 *     back to the kernel before the next checkpoint.
 *   - Signals and cancellation. No function may be called from a signal handler, and a thread must not be cancelled
 *     (pthread_cancel) or left by longjmp inside a call.
 *   - Disks. A write to a sector must not damage its neighbours when the power fails, and a sync must not return
 *     before the data is safe.
 *   - Machines. Files are little-endian, and pages of more than 64 KiB are not supported. Distances of f32, f16 and
 *     bf16 may differ in their last bits between processors, because sums are added in different orders; the
 *     environment variable RHUMB_SIMD (scalar, avx2, avx512) chooses one, RHUMB_IO (uring, plain) the input/output.
 */
#ifndef RHUMB_H
#define RHUMB_H

#include <stdbool.h>

#include "rhumb_types.h"

#if defined(__GNUC__) || defined(__clang__)
#define RHUMB_API __attribute__((visibility("default")))
#else
#define RHUMB_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- version and errors ------------------------------------------------------------------------------------------ */

#define RHUMB_VERSION_MAJOR 0
#define RHUMB_VERSION_MINOR 1
#define RHUMB_VERSION_PATCH 0

/* Returns the version of the library that is running: major * 1,000,000 + minor * 1,000 + patch. */
RHUMB_API uint32_t rhumb_version(void);

/* Returns the version of the file format that this library writes. */
RHUMB_API uint32_t rhumb_format_version(void);

/* Returns a constant text such as "RHUMB_E_CORRUPT". */
RHUMB_API const char *rhumb_status_name(rhumb_status status);

/* Returns the details of the last failure in the calling thread. Never NULL; valid until the thread's next call that
 * fails. */
RHUMB_API const rhumb_error *rhumb_error_last(void);

/* Installs a log callback, which receives all messages of `level_max` or more severe.
 *
 * There is one callback for the whole process; by default, and with NULL, there is none and the library is silent. May
 * be called by any thread at any time, except from the callback itself. When it returns, the previous callback is not
 * running and is not called again. Errors returned to a caller are not logged.
 *
 * Parameters:
 *   function     the callback, or NULL
 *   context      passed to the callback
 *   level_max    the least severe level to receive
 */
RHUMB_API void rhumb_log_set(rhumb_log_fn function, void *context, rhumb_log_level level_max);

/* Returns the name of a metric, such as "l2sq" or "jensen_shannon", or NULL for a number that is not a metric. */
RHUMB_API const char *rhumb_metric_name(rhumb_metric metric);

/* Returns the metric of a name, or 0 for a text that is not one. "euclidean", "angular", "dot" and "manhattan" are
 * understood as l2, cosine, ip and l1. */
RHUMB_API rhumb_metric rhumb_metric_from_name(const char *name);

/* Whether vectors of `element` can be measured by `metric`; false for numbers that name nothing. */
RHUMB_API bool rhumb_metric_supports(rhumb_metric metric, rhumb_element element);

/* Returns the name of an element type, such as "f32" or "b1", or NULL for a number that is not an element type. */
RHUMB_API const char *rhumb_element_name(rhumb_element element);

/* Returns the element type of a name, or 0 for a text that is not one. */
RHUMB_API rhumb_element rhumb_element_from_name(const char *name);

/* Returns the number of bits of one component; 0 for a number that is not an element type. */
RHUMB_API uint32_t rhumb_element_bits(rhumb_element element);

/* Whether components are floating-point numbers; false for integers and bits. */
RHUMB_API bool rhumb_element_is_float(rhumb_element element);

/* Converts `count` components and returns how many it converted: it stops at the first that `to` cannot hold. Floats
 * are rounded to the nearest float, ties to even, and become infinite if they are too large; nothing else is rounded:
 * integers must be held exactly, and only whole numbers become integers. `source` and `target` do not overlap and may
 * be at any addresses. Bits are not converted: 0. */
RHUMB_API size_t rhumb_element_convert(rhumb_element from, const void *source, rhumb_element to, void *target,
                                       size_t count);

/* ---- pages that cannot be read ----------------------------------------------------------------------------------- */

/* Turns SIGBUS into an error: while an index or a topology is open, another program cuts its file short, or the disk
 * fails to read a page.
 *
 * Without this call such a fault ends the program, or goes to the program's own handler of SIGBUS. With it, the call
 * that met the fault returns RHUMB_E_TRUNCATED if the file is shorter than it should be, otherwise RHUMB_E_IO, and so
 * does every later call on the same handle; its outputs are undefined. A handle that writes never makes a checkpoint
 * again: close it, put the file right and open it again. Zeros stand for what cannot be read from then on, also behind
 * pointers into the index (rhumb_index_vector_view, rhumb_topology_arrays).
 *
 * It installs one signal handler for the whole process. A SIGBUS that is not about memory of this library goes on to
 * the handler that was there before, or to the default action. A program that installs its own handler later passes on
 * to this one what is not its own. Threads that use the library must not block SIGBUS. Calling it twice is the same as
 * once. May be called at any time, also while handles are open.
 *
 * Errors:
 *   RHUMB_E_IO    the handler cannot be installed
 */
RHUMB_API rhumb_status rhumb_sigbus_guard_install(void) RHUMB_NODISCARD;

/* Takes the handler away, and puts the previous one back in its place. If the program has installed another one since,
 * it stays, and passes every signal on. No call that might meet a fault should be running.
 *
 * Errors:
 *   RHUMB_E_IO    the handler cannot be looked at
 */
RHUMB_API rhumb_status rhumb_sigbus_guard_remove(void);

/* ---- creating an index ------------------------------------------------------------------------------------------- */

/* An open index: a handle. */
typedef struct rhumb_index rhumb_index;

#define RHUMB_M_MAX 256u    /* largest M; lists of level 0 hold at most twice as many */
#define RHUMB_LEVEL_MAX 16u /* largest number of levels above level 0 */

/* The parameters of a new index. All of them are fixed at creation and stored in the file. M, M0, ef_construction,
 * extend_candidates and keep_pruned are those of the HNSW paper (arXiv 1603.09320, section 4). */
typedef struct rhumb_index_options {
    size_t size;              /* sizeof(rhumb_index_options), set by rhumb_index_options_init. */
    uint32_t dim;             /* Components per vector, 1 to 65,535; under levenshtein the length of the longest
                                 sequence, 1 to 16,384. Has no default: must be set. */
    rhumb_metric metric;      /* The distance. Default RHUMB_METRIC_L2. */
    rhumb_element element;    /* The type of a component. Default RHUMB_ELEMENT_F32. */
    uint32_t M;               /* Neighbours per node on levels above 0, 2 to 256. Default 16. */
    uint32_t M0;              /* Neighbours per node on level 0, M to 512. Default 0: twice M. */
    uint32_t ef_construction; /* Candidates considered per insertion, 1 to 65,535. Default 200. */
    uint32_t ef_search;       /* Breadth of searches that do not set rhumb_search_options.ef_search, 1 to 1,000,000.
                                 Default 64. */
    uint32_t level_max;       /* Highest level, 0 to 16. Default 16. */
    double level_scale;       /* Factor on the expected number of levels, 0.1 to 2. Default 1: each level has about one
                                 node in M of the level below. */
    uint64_t seed;            /* Determines the levels of nodes. The same seed and the same inserts in the same order,
                                 by one thread, give the same graph. Default 397. */
    bool extend_candidates;   /* Consider the neighbours of candidates too (algorithm 4). Default false. */
    bool keep_pruned;         /* Fill lists up with pruned candidates (algorithm 4). Default false. */
    bool normalise;           /* Divide vectors and queries of hellinger, jeffreys and jensen_shannon by their sums.
                                 Default false: a vector whose sum is not 1 is refused. */
    const struct rhumb_open_options *open; /* How the new index is opened, and its custom metric, of which only the name
                                              is stored. Default NULL: the defaults of rhumb_open_options. */
    rhumb_codes codes; /* Which codes of vectors to keep. Default RHUMB_CODES_DEFAULT. A compaction can change it:
                                 see rhumb_compact_options. */
    rhumb_fused fused; /* Whether to keep fused rows. Default RHUMB_FUSED_DEFAULT. */
} rhumb_index_options;

/* Sets the defaults. `size` is sizeof(rhumb_index_options) as the caller compiled it. */
RHUMB_API void rhumb_index_options_init(rhumb_index_options *options, size_t size);

/* Creates an index in a new file and opens it for reading and writing.
 *
 * When it returns RHUMB_OK, the file is complete and on the disk. Until then it has another name ("-creating" is
 * appended), so what a crash leaves does not block the name, and the next creation removes it. A file of that name that
 * comes in the meantime is not overwritten.
 *
 * Parameters:
 *   path         where to create the file; copied
 *   options      copied, with what its pointers point to
 *   index_out    receives the handle; release it with rhumb_index_close
 *
 * Errors:
 *   RHUMB_E_INVALID        an option is out of range, which the message names; or options->open asks for a read-only
 *                          handle
 *   RHUMB_E_UNSUPPORTED    the metric does not measure the element type; or there are no codes for the two
 *   RHUMB_E_METRIC         the metric is custom, and options->open lacks its name or its function
 *   RHUMB_E_EXISTS         a file of that name exists, or the log of an earlier index of that name; both are untouched
 *   RHUMB_E_NOTFOUND       the folder does not exist
 *   RHUMB_E_NOSPACE        the disk is full
 *   RHUMB_E_FATAL          a sync failed
 *   RHUMB_E_IO             another failure of the operating system
 */
RHUMB_API rhumb_status rhumb_index_create(const char *path, const rhumb_index_options *options,
                                          rhumb_index **index_out) RHUMB_NODISCARD;

/* ---- opening and closing ----------------------------------------------------------------------------------------- */

/* When a handle reads an index into memory that is not in the page cache, as after a start of the machine. A thread
 * does it; small parts that every search needs come first. If half of the memory that the process may use cannot hold
 * the index, the parts are read that searches need most and that fit, codes before lists, and what a list of hot pages
 * has (rhumb_index_hot_pages_save). See rhumb_index_stats.warm_up_total_bytes. Until all is there, searches read single
 * rows, many at a time, so the first answer does not wait. */
typedef enum rhumb_warm_up {
    RHUMB_WARM_UP_DEFAULT = 0, /* once the first search has been answered */
    RHUMB_WARM_UP_NOW = 1,     /* from the opening on */
    RHUMB_WARM_UP_NONE = 2     /* not at all: only what searches touch is read */
} rhumb_warm_up;

/* How an index is opened. */
typedef struct rhumb_open_options {
    size_t size;                          /* sizeof(rhumb_open_options), set by rhumb_open_options_init. */
    bool read_only;                       /* Open for reading only. Default false. */
    rhumb_durability durability;          /* Writing handles: when operations are safe. Default
                                             RHUMB_DURABILITY_FULL. */
    uint32_t sync_interval_ms;            /* Writing handles: time between syncs in mode interval. Default 0: 100. */
    uint64_t checkpoint_log_bytes;        /* Writing handles: length of the log at which a checkpoint begins in the
                                             background. Default 0: a quarter of the index's size, at least 64 MiB and
                                             at most 1 GiB. Unless it is UINT64_MAX, which is never, one also begins
                                             when changes take a quarter of the memory that the process may use. */
    uint64_t checkpoint_bytes_per_second; /* Writing handles: how fast checkpoints may write, those that a call makes
                                             too; rhumb_index_close alone does not wait for it, and one that runs then
                                             goes on at full speed. Default 0: as fast as the disk. */
    bool discard_log;                     /* Writing handles: go on without a log that is missing, and remove one that
                                             is not the index's, instead of failing. Default false. */
    double compact_dead_share;            /* Writing handles: share of deleted vectors in the graph at which a
                                             compaction begins in the background, 0 to 1, and 64 of them at least;
                                             see rhumb_index_compact. Default 0: a twentieth. 1: never. */
    uint64_t compact_bytes_per_second;    /* Writing handles: how fast such a compaction may write vectors. Default 0:
                                             as fast as the disk. */
    bool graph_only;                      /* Open read-only without the vectors: they are not mapped, and may be damaged
                                             or missing from the file. Keys, levels and neighbours can be read;
                                             functions that need vectors return RHUMB_E_UNSUPPORTED. Default false. */
    const char *custom_name;              /* Name of the custom metric, 1 to 63 bytes; copied. Default NULL. Ignored
                                             unless the index has a custom metric. */
    rhumb_distance_fn custom_distance;    /* The custom metric's function; in use until the handle is closed. */
    void *custom_context;                 /* Passed to custom_distance. */
    bool immutable;                       /* Open read-only without taking a lock: for file systems that have no locks,
                                             and for media that no process writes. No handle may write the index
                                             at the same time: answers would be wrong, and nothing would tell. A
                                             refresh finds nothing new. Default false. */
    rhumb_warm_up warm_up;                /* When to read what is not in memory. Default RHUMB_WARM_UP_DEFAULT. */
} rhumb_open_options;

/* Sets the defaults. `size` is sizeof(rhumb_open_options) as the caller compiled it. */
RHUMB_API void rhumb_open_options_init(rhumb_open_options *options, size_t size);

/* Opens an index.
 *
 * The cost does not depend on the number of vectors. Opening for writing after a crash also reads the operations that
 * only the log has, which takes about as long as copying them; searches find them immediately, and they are linked into
 * the graph in the background (rhumb_index_wait_idle). Opening for writing writes and syncs, even if nothing changed,
 * to make sure that the checkpoint it found is on the disk. Damage that is not visible in the superblocks and the
 * directory is found by rhumb_index_verify; until then it can make answers worse, but never crashes the program.
 *
 * Parameters:
 *   path         the index; copied
 *   options      copied; NULL: open for writing with all defaults
 *   index_out    receives the handle; release it with rhumb_index_close
 *
 * Errors:
 *   RHUMB_E_NOTFOUND        no such file
 *   RHUMB_E_LOCKED          open for writing elsewhere, and read_only is not set. The call retries for up to a tenth of
 *                           a second, because the lock of a killed writer is released with a short delay.
 *   RHUMB_E_NOT_AN_INDEX    the file is not an index
 *   RHUMB_E_CORRUPT         the file or its log is damaged; the message says where
 *   RHUMB_E_TRUNCATED       the file is shorter than it should be
 *   RHUMB_E_VERSION         the file is of another format version, or its log needs a newer library; the message says
 *                           what to do
 *   RHUMB_E_LOG             the index was moved without its log; or the log belongs to another index, or the two have
 *                           gone on separately, as after restoring an old copy of one of them. The message says which
 *                           file is wanted where. With discard_log the index is opened without what only a log has, and
 *                           no log of before is accepted afterwards. Only for writing: a reader needs no log
 *   RHUMB_E_METRIC          the index has a custom metric, and options do not supply the function of that name
 *   RHUMB_E_UNSUPPORTED     the file system has no locks of open files (F_OFD_SETLK), and immutable is not set
 *   RHUMB_E_INVALID         the path is not that of a regular file, or an option is out of range
 *   RHUMB_E_FATAL           a sync failed
 *   RHUMB_E_NOSPACE         the disk is full
 *   RHUMB_E_IO              another failure of the operating system
 */
RHUMB_API rhumb_status rhumb_index_open(const char *path, const rhumb_open_options *options,
                                        rhumb_index **index_out) RHUMB_NODISCARD;

/* Moves a read-only handle to the newest checkpoint.
 *
 * Searches that are running finish on the old one; the call waits for them. A file that was moved to the path and holds
 * the same index, such as a copy that was made elsewhere, is taken as a newer checkpoint. If there was one, pointers
 * from rhumb_index_vector_view become invalid and cursors stale. On a writing handle there is nothing to do. On failure
 * the handle stays where it was.
 *
 * Parameters:
 *   changed    receives whether there was a newer checkpoint; may be NULL
 *
 * Errors:
 *   RHUMB_E_NOTFOUND    another index, or none, is at the path now
 *   RHUMB_E_CORRUPT, RHUMB_E_TRUNCATED, RHUMB_E_VERSION, RHUMB_E_IO    as for rhumb_index_open
 */
RHUMB_API rhumb_status rhumb_index_refresh(rhumb_index *index, bool *changed) RHUMB_NODISCARD;

/* Waits until the index has a checkpoint of number `epoch` or a later one, which another process may make. The thread
 * sleeps until the writer wakes it, usually well within a millisecond of the checkpoint, and does not read the disk in
 * the meantime. A writer that is killed in that very moment, or a file that is moved to the path, is noticed within
 * half a second. The handle stays on its checkpoint, and a refresh does not wait for the call: threads may search,
 * refresh, and wait at the same time. The handle must not be closed before the call has returned, so give a thread that
 * has to end a timeout. A program with something else to wait for calls this in a thread of its own, as a callback
 * would be.
 *
 * Parameters:
 *   epoch         a number as in rhumb_index_stats.epoch; 0: one above that of the checkpoint that the handle shows
 *   timeout_ms    how long to wait at most, in milliseconds; 0: only look; UINT64_MAX: without end
 *   newest        receives the number of the newest checkpoint of the file at the path, which is below `epoch` if the
 *                 time ran out; may be NULL
 *
 * Errors:
 *   RHUMB_E_NOTFOUND    another index, or none, is at the path now
 *   RHUMB_E_CORRUPT, RHUMB_E_TRUNCATED, RHUMB_E_VERSION, RHUMB_E_IO    as for rhumb_index_open
 */
RHUMB_API rhumb_status rhumb_index_wait_epoch(rhumb_index *index, uint64_t epoch, uint64_t timeout_ms,
                                              uint64_t *newest) RHUMB_NODISCARD;

/* Makes a checkpoint if anything changed, removes the log, and releases the handle.
 *
 * The handle is released whatever is returned. A failure means that there is no new checkpoint: what the log has is
 * there at the next opening, and what it has not (in mode none, everything since the last checkpoint) is lost. If many
 * vectors from a log still wait to be linked, the log is kept and the next opening continues with it. NULL is allowed.
 * No other call on the handle may be running.
 *
 * Errors:
 *   RHUMB_E_NOSPACE    the disk is full
 *   RHUMB_E_FATAL      a write of the log or a sync failed, now or earlier
 *   RHUMB_E_IO         another failure of the operating system
 */
RHUMB_API rhumb_status rhumb_index_close(rhumb_index *index);

#ifdef __cplusplus
}
#endif

/* The rest of the manual. */
#include "rhumb_exchange.h"
#include "rhumb_points.h"
#include "rhumb_recall.h"
#include "rhumb_search.h"
#include "rhumb_stats.h"
#include "rhumb_topology.h"
#include "rhumb_upkeep.h"
#include "rhumb_write.h"

#endif /* RHUMB_H */
