/* rhumb.h - a memory-mapped, persistent index for approximate nearest neighbour search. This file is the manual,
 * together with those that it includes at its end: rhumb_search.h (searching, iterators, filters), rhumb_points.h
 * (levels, neighbours, walks over all points), rhumb_upkeep.h (verifying, repairing, compacting) and rhumb_topology.h
 * (the graph of an index as a file of its own). Programs include this file alone.
 *
 * WHAT IT IS
 *   An index is one file. It holds vectors, each under a key of 64 bits that the caller chooses, and a graph over them
 * (HNSW: Malkov and Yashunin, arXiv 1603.09320). Opening maps the file; nothing is parsed, copied or rebuilt, so an
 * index of any size opens in well under a millisecond of work and uses memory only for the pages that searches touch.
 *
 *       rhumb_index_options options;
 *       rhumb_index_options_init(&options, sizeof options);
 *       options.dim = 784;
 *       options.metric = RHUMB_METRIC_L2;
 *       rhumb_index *index = NULL;
 *       if (rhumb_index_create("images.rhumb", &options, &index) != RHUMB_OK) puts(rhumb_error_last()->message);
 *       if (rhumb_index_insert(index, 42, vector) != RHUMB_OK) ...
 *       if (rhumb_index_search(index, query, 10, NULL, keys, distances, &found_count) != RHUMB_OK) ...
 *       rhumb_index_close(index);
 *
 * THREADS AND PROCESSES
 *   Every function may be called by any number of threads at once on the same handle, except close, which must be the
 * last. Searches take no lock and never wait for inserts or checkpoints (a filter that lists few keys looks each of
 * them up, under the lock of its bucket of the key table, for as long as that takes). One handle at a time may write an
 * index (all others get RHUMB_E_LOCKED); any number of processes may have it open read-only meanwhile. A read-only
 * handle sees the newest checkpoint at the time of its opening, unchanged, until rhumb_index_refresh.
 *
 * DURABILITY
 *   Changes are written to a log beside the index (its name and "-wal") and, now and then, by a checkpoint into the
 * index itself; then the log begins anew. How safe an operation is that has returned is up to the handle's durability:
 * in the default mode, full, it survives a power cut. Threads that write at the same time share the cost of waiting for
 * the disk. After a crash of any kind the next opening for writing finds exactly a prefix of all operations, at once,
 * with everything in it that was promised; a batch is in it whole or not at all. Checkpoints happen in the background,
 * at close, and on request. One never changes what the one before it wrote, so at every moment one of them is whole.
 *   A write or sync that fails makes the handle read-only for good (RHUMB_E_FATAL); searches go on. What to do then is
 * to close it and open it again. Never remove or rename a log without its index: it may hold the only copy of
 * something.
 *
 * ERRORS
 *   Functions return a rhumb_status: 0 or a negative number. On failure out-parameters are untouched unless a function
 * says otherwise, and rhumb_error_last() has the details for the calling thread. The library never prints, never exits,
 * and answers bad arguments and bad files with a status.
 *
 * OPTIONS
 *   Every options struct begins with its size, set by its _init function, so that programs compiled against an older
 * version keep working. NULL in the place of options means all defaults.
 *
 * VECTORS
 *   They are arrays of `dim` components of the index's element type, without any alignment requirement of rhumb's own;
 * several vectors lie one after the other (row-major for C, column-major for Julia and Fortran). Vectors of bits (b1)
 * take (dim + 7) / 8 bytes, the first component in the lowest bit of the first byte; bits behind the last component do
 * not count, and are 0 when a vector is given back. Under levenshtein a vector is a rhumb_sequence, and several are an
 * array of these.
 */

/* clang-format off */
/* METRICS, of vectors a and b with components a[i], b[i], and the element types that each measures:
 *
 *   l2sq            sum (a - b)^2                                      f32 f64 f16 bf16 i8 u8 i16 u16 i32 u32 i64
 *   l2              sqrt(l2sq)                                         the same
 *   l1              sum |a - b|                                        the same
 *   ip              1 - sum a b                                        f32 f64 f16 bf16 i8 u8 u16 i32 i64
 *   cosine          1 - sum a b / (|a| |b|); 1 with a zero vector      the same
 *   hamming         components that differ / dim                       u8 u16 u32 u64 i16 i32 f32 f64 b1
 *   jaccard         1 - sum min(a, b) / sum max(a, b); of bits         u8 u16 u32 f32 b1
 *                   1 - |a and b| / |a or b|; 0 of two zero vectors
 *   hellinger       sqrt(1 - sum sqrt(a b))                            f32 f64
 *   jeffreys        sum (a - b) ln(max(a, 1e-30) / max(b, 1e-30))      f32 f64
 *   jensen_shannon  sqrt(1/2 sum (a ln(a / m) + b ln(b / m))),         f32 f64
 *                   m = (a + b) / 2, 0 ln 0 = 0
 *   levenshtein     fewest insertions, deletions and substitutions     u8 u16, sequences of 0 to dim elements, dim at
 *                   of one element that make a of b                    most 16,384
 *   custom          what the caller's function says                    all
 *
 *   Ranges       l1, l2, l2sq, jeffreys, levenshtein from 0; cosine 0 to 2; hamming, jaccard, hellinger 0 to 1;
 *                jensen_shannon 0 to sqrt(ln 2); ip any number. All are 0 for a vector and itself (cosine and ip up to
 *                rounding, and ip only for vectors of length 1). l1, l2, hamming, jaccard, hellinger, jensen_shannon and
 *                levenshtein keep the triangle inequality.
 *   Results      are f32; what f32 cannot hold is FLT_MAX (or -FLT_MAX), never infinite or NaN.
 *   Precision    Integers of 8 and 16 bits are summed exactly; those of 32 and 64 bits, f64, and all under jaccard,
 *                hellinger, jeffreys and jensen_shannon, in double, differences of 64-bit integers being exact before;
 *                f32, f16 and bf16 in f32 or wider. No integer overflows at any dimension.
 *   Domain       Floats must be finite: RHUMB_E_NOT_FINITE. Under jaccard no component may be negative. Under hellinger,
 *                jeffreys and jensen_shannon vectors are probabilities: not negative, and their sum is 1, give or take
 *                0.001; with rhumb_index_options.normalise they are divided by their sum, which must not be 0. Anything
 *                else is RHUMB_E_DOMAIN. All of this holds for queries too. hellinger is computed as
 *                sqrt(1/2 sum (sqrt a - sqrt b)^2), which is the same for probabilities, and 0 for a vector and itself
 *                whatever its sum.
 *   Sequences    are compared at their own lengths. rhumb_index_get_vector fills a caller's rhumb_sequence, whose
 *                elements point to room for `length` of them.
 *   Custom       The function's name is in the file. Whoever opens, repairs or compacts the index supplies a function
 *                under the same name (rhumb_open_options.custom_name); else it is RHUMB_E_METRIC. It is handed stored
 *                components, aligned as their type wants it, and the caller's queries as a copy that is aligned too.
 */
/* clang-format on */
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

/* The version of the library that is running: major * 1,000,000 + minor * 1,000 + patch. */
RHUMB_API uint32_t rhumb_version(void);

/* The version of the file format that this library writes. */
RHUMB_API uint32_t rhumb_format_version(void);

/* A constant text such as "RHUMB_E_CORRUPT". */
RHUMB_API const char *rhumb_status_name(rhumb_status status);

/* The details of the last failure in the calling thread. Never NULL; valid until the thread's next failing call. */
RHUMB_API const rhumb_error *rhumb_error_last(void);

/* Has a function told what the library does: `function` gets all messages of `level_max` and the more important ones.
 * There is one for the whole process, by default none: the library is silent. NULL for none. May be called by any
 * thread at any time, except from the function itself; when it returns, the function before is not running and is not
 * called any more. Everything that a call returns to its caller is not told again. */
RHUMB_API void rhumb_log_set(rhumb_log_fn function, void *context, rhumb_log_level level_max);

/* "l2sq", "jensen_shannon"...; NULL for a number that is no metric. And back: 0 for a text that names none.
 * "euclidean", "angular", "dot" and "manhattan" are understood as l2, cosine, ip and l1. */
RHUMB_API const char *rhumb_metric_name(rhumb_metric metric);
RHUMB_API rhumb_metric rhumb_metric_from_name(const char *name);

/* Whether vectors of `element` can be measured by `metric`; false for numbers that name nothing. */
RHUMB_API bool rhumb_metric_supports(rhumb_metric metric, rhumb_element element);

/* "f32", "b1"...; NULL for a number that is no element type. */
RHUMB_API const char *rhumb_element_name(rhumb_element element);
RHUMB_API rhumb_element rhumb_element_from_name(const char *name);

/* Bits of one component; 0 for a number that is not an element type. */
RHUMB_API uint32_t rhumb_element_bits(rhumb_element element);

/* Whether components are floating-point numbers; false for integers and bits. */
RHUMB_API bool rhumb_element_is_float(rhumb_element element);

/* Converts `count` components and returns how many it converted: it stops at the first that `to` cannot hold. Floats are
 * rounded to the nearest float, ties to even, and become infinite if they are too large; nothing else is rounded:
 * integers must be held exactly, and only whole numbers become integers. `source` and `target` do not overlap and may be
 * at any addresses. Bits are not converted: 0. */
RHUMB_API size_t rhumb_element_convert(rhumb_element from, const void *source, rhumb_element to, void *target,
                                       size_t count);

/* ---- creating, opening, closing ---------------------------------------------------------------------------------- */

typedef struct rhumb_index rhumb_index;

#define RHUMB_M_LIMIT 256u    /* largest M; lists of level 0 hold at most twice as many */
#define RHUMB_LEVEL_LIMIT 16u /* largest number of levels above level 0 */

/* What an index is. All of it is fixed at creation and stored in the file. */
typedef struct rhumb_index_options {
    size_t size;              /* sizeof(rhumb_index_options), set by rhumb_index_options_init */
    uint32_t dim;             /* components per vector, 1 to 65,535; of levenshtein the longest sequence, to 16,384.
                                 No default: must be set. */
    rhumb_metric metric;      /* default RHUMB_METRIC_L2 */
    rhumb_element element;    /* default RHUMB_ELEMENT_F32 */
    uint32_t M;               /* neighbours per node and level, 2 to 256. Default 16. */
    uint32_t M0;              /* neighbours on level 0, M to 512. Default 0: twice M. */
    uint32_t ef_construction; /* candidates considered per insertion, 1 to 65,535. Default 200. */
    uint32_t ef_search; /* default of rhumb_search_options.ef_search for this index, 1 to 1,000,000. Default 64. */
    uint32_t level_max; /* highest level, 0 to 16. Default 16. */
    double level_scale; /* factor on the expected number of levels, 0.1 to 2. Default 1: levels fall off by M. */
    uint64_t seed;      /* of the level numbers. Same seed, same inserts in the same order, same graph. Default 397. */
    bool extend_candidates; /* consider neighbours of candidates too (paper, algorithm 4). Default false. */
    bool keep_pruned;       /* fill lists up with pruned candidates (paper, algorithm 4). Default false. */
    bool normalise; /* divide vectors and queries of hellinger, jeffreys and jensen_shannon by their sums. Default
                       false: what does not sum to 1 is refused. */
    const struct rhumb_open_options *open; /* how the new index is opened, and its custom metric, of which the name
                                              alone is stored. NULL: with the defaults. */
} rhumb_index_options;

/* Sets the defaults. `size` is sizeof(rhumb_index_options) at the caller's. */
RHUMB_API void rhumb_index_options_init(rhumb_index_options *options, size_t size);

/* Creates an index in a new file and opens it for reading and writing. The file exists and is whole when this returns.
 * RHUMB_E_EXISTS: there is a file of that name already, or a log of an index that had the name; both are left alone.
 * RHUMB_E_INVALID: an option is out of range; the message names it. RHUMB_E_UNSUPPORTED: the metric does not measure
 * the element type. RHUMB_E_METRIC: a custom metric without name and function. RHUMB_E_FATAL: a sync failed.
 * RHUMB_E_NOSPACE, RHUMB_E_IO, RHUMB_E_NOMEM. */
RHUMB_API rhumb_status rhumb_index_create(const char *path, const rhumb_index_options *options,
                                          rhumb_index **index_out) RHUMB_NODISCARD;

typedef struct rhumb_open_options {
    size_t size;
    bool read_only; /* default false */
    /* The rest is for handles that write. */
    rhumb_durability durability;          /* default RHUMB_DURABILITY_FULL */
    uint32_t sync_interval_ms;            /* for RHUMB_DURABILITY_INTERVAL; default 0: 100 */
    uint64_t checkpoint_log_bytes;        /* length of the log at which a checkpoint begins by itself; default 0: a
                                             quarter of the index's size, at least 64 MiB. UINT64_MAX: never */
    uint64_t checkpoint_bytes_per_second; /* how fast checkpoints may write; default 0: as fast as the disk */
    bool discard_log; /* throw away a log that does not belong to the index instead of failing; default false */
    double compact_dead_share; /* share of deleted vectors among all in the graph at which a compaction begins by itself
                                  (rhumb_index_compact); default 0: a twentieth. 1: never */
    uint64_t compact_bytes_per_second; /* how fast it may write vectors; default 0: as fast as the disk */
    bool graph_only; /* open read-only and leave the vectors alone: they are not mapped, and may be damaged, punched out
                        or cut off. Keys, levels, neighbours and stats answer; what measures or returns vectors is
                        RHUMB_E_UNSUPPORTED. Default false */
    /* For an index of RHUMB_METRIC_CUSTOM, read-only or not; ignored for others. */
    const char *custom_name;           /* 1 to 63 bytes; stored in the file at creation, compared at every opening */
    rhumb_distance_fn custom_distance; /* stays in use until the handle is closed */
    void *custom_context;
} rhumb_open_options;

RHUMB_API void rhumb_open_options_init(rhumb_open_options *options, size_t size);

/* Opens an index. Its cost does not depend on how many vectors it holds. For writing after a crash, the operations that
 * only the log has are read, which takes about as long as copying them; all of them can be found at once, and they
 * become part of the graph in the background (rhumb_index_wait_idle). A read-only handle shows the newest checkpoint,
 * and rhumb_index_stats.log_pending_count tells how many operations a log has beyond it. RHUMB_E_NOTFOUND: no such
 * file. RHUMB_E_LOCKED: open for writing elsewhere, and read_only is not set; it is waited for a tenth of a second at
 * most, because the lock of a writer that was killed outlives it a little. RHUMB_E_NOT_AN_INDEX, RHUMB_E_CORRUPT,
 * RHUMB_E_TRUNCATED, RHUMB_E_VERSION: the file cannot be used; the message says what is wrong at which offset.
 * RHUMB_E_METRIC: the index has a custom metric, and its function was not supplied, or one of another name.
 * RHUMB_E_LOG: the log beside the index is not its own, or operations between the two are missing, as after restoring
 * an old copy of one of them; discard_log opens the index without it. RHUMB_E_FATAL: opening for writing makes sure
 * that the checkpoint it found is on the disk, and that sync failed. Damage that these checks of the file's frame
 * cannot see is found by rhumb_index_verify; until then it can make answers worse, never a crash. */
RHUMB_API rhumb_status rhumb_index_open(const char *path, const rhumb_open_options *options,
                                        rhumb_index **index_out) RHUMB_NODISCARD;

/* Makes a checkpoint if anything changed, removes the log, and releases everything. The handle is gone whatever is
 * returned. A failure means that there is no new checkpoint; what the log has is there at the next opening, what it has
 * not (in mode none, all since the last checkpoint) is lost. If much of what came from a log after a crash is not
 * linked yet, the log stays instead, and the next opening goes on with it. NULL is fine. No other call on the handle
 * may be running. */
RHUMB_API rhumb_status rhumb_index_close(rhumb_index *index);

/* ---- inserting --------------------------------------------------------------------------------------------------- */

/* Inserts one vector. When it returns RHUMB_OK, searches that begin afterwards can find it, and it is as durable as the
 * handle's mode promises. The vector is copied. RHUMB_E_FATAL: the log could not be written, now or earlier; searches
 * of this handle may see the vector all the same, but it need not be there at the next opening. RHUMB_E_EXISTS: the key
 * is in the index; nothing changed. RHUMB_E_NOT_FINITE: a component is NaN or infinite. RHUMB_E_DOMAIN: the metric is
 * not defined for the vector. RHUMB_E_INVALID: a sequence is longer than dim. RHUMB_E_FULL: all 2,147,483,647
 * slots or the reserved address space are used up. RHUMB_E_READONLY, RHUMB_E_NOMEM. */
RHUMB_API rhumb_status rhumb_index_insert(rhumb_index *index, uint64_t key, const void *vector) RHUMB_NODISCARD;

/* Called about ten times a second, and once at the end, by one thread at a time, with the number of vectors handled so
 * far. Return false to stop; the call then returns RHUMB_E_CANCELLED. It must not call functions that change the index
 * or make a checkpoint. */
typedef bool (*rhumb_progress_fn)(void *context, uint64_t done_count, uint64_t total_count);

typedef struct rhumb_batch_options {
    size_t size;
    uint32_t thread_count;      /* threads to work with; default 0: one per processor of this process */
    rhumb_progress_fn progress; /* default NULL */
    void *progress_context;
    bool partial; /* keep what was inserted before a failure or a stop; default false: all or nothing */
} rhumb_batch_options;

RHUMB_API void rhumb_batch_options_init(rhumb_batch_options *options, size_t size);

/* Inserts `count` vectors and waits for the disk once, at the end. With keys NULL the keys are consecutive numbers from
 * one above the largest key ever inserted, 0 in a new index; use that for one batch at a time, as two at once would
 * draw the same numbers. The first failure ends the batch and is what is returned. A batch is all or nothing: after a
 * failure, a stop or a crash, nothing of it is in the index (searches beside it may have seen some of it, and what had
 * to be deleted again takes up slots until a compaction); no checkpoint begins while it runs. With options.partial the
 * vectors inserted so far stay; which ones is not defined when several threads work. *inserted_count (may be NULL) is
 * set in every case. Memory: 4 bytes per vector, none with `partial`. */
RHUMB_API rhumb_status rhumb_index_insert_batch(rhumb_index *index, const uint64_t *keys, const void *vectors,
                                                size_t count, const rhumb_batch_options *options,
                                                size_t *inserted_count) RHUMB_NODISCARD;

/* ---- deleting and replacing -------------------------------------------------------------------------------------- */

/* Deletes the vector of a key. Searches that begin after this has returned do not find it; the key may be inserted
 * again. The node stays in the graph as a waypoint, and its space in the file, until a compaction. RHUMB_E_NOTFOUND: no
 * such key. RHUMB_E_FATAL as for inserting. RHUMB_E_READONLY, RHUMB_E_NOMEM. */
RHUMB_API rhumb_status rhumb_index_delete(rhumb_index *index, uint64_t key) RHUMB_NODISCARD;

/* Inserts a vector, or replaces that of a key which is there already. A search beside it finds the old vector or the
 * new one, never both; never none, as far as an approximate search finds things. RHUMB_E_FATAL as for inserting.
 * RHUMB_E_NOT_FINITE, RHUMB_E_FULL, RHUMB_E_READONLY, RHUMB_E_NOMEM. */
RHUMB_API rhumb_status rhumb_index_upsert(rhumb_index *index, uint64_t key, const void *vector) RHUMB_NODISCARD;

/* ---- looking at it ----------------------------------------------------------------------------------------------- */

/* Copies the vector of a key, as it was inserted (or normalised), to `vector` (dim components). Under levenshtein
 * `vector` is a rhumb_sequence whose elements point to room for `length` of them; its length becomes that of the
 * sequence, also where the room is too small, which is RHUMB_E_INVALID. RHUMB_E_NOTFOUND. */
RHUMB_API rhumb_status rhumb_index_get_vector(rhumb_index *index, uint64_t key, void *vector) RHUMB_NODISCARD;

/* *found is whether the key is in the index. */
RHUMB_API rhumb_status rhumb_index_contains(rhumb_index *index, uint64_t key, bool *found) RHUMB_NODISCARD;

/* How many vectors can be found; 0 for a NULL handle. */
RHUMB_API uint64_t rhumb_index_count(const rhumb_index *index);

/* What the index is and how it does. Fields that a caller's older struct does not have are not written. */
typedef struct rhumb_index_stats {
    size_t size;
    uint32_t format_version;                      /* of the file */
    uint32_t creator_version;                     /* the library version that created it, as rhumb_version */
    uint8_t uuid[16];                             /* the file's own identity */
    uint64_t created_unix_ns;                     /* when it was created */
    rhumb_index_options options;                  /* what it was created with, defaults resolved */
    uint64_t count;                               /* vectors that can be found */
    uint64_t slot_count;                          /* slots in use, those of deleted vectors among them */
    uint32_t level_top;                           /* highest level in use */
    uint64_t level_counts[RHUMB_LEVEL_LIMIT + 1]; /* nodes whose highest level is this one */
    uint64_t epoch;            /* number of the checkpoint that the handle stands on; grows by one with each */
    uint64_t file_bytes;       /* length of the file */
    uint64_t file_free_bytes;  /* of these, not used by the newest checkpoint */
    uint64_t mapping_count;    /* mapped pieces of the file */
    uint64_t checkpoint_count; /* checkpoints this handle made, the creation among them */
    uint64_t checkpoint_bytes; /* bytes the last of them wrote */
    uint64_t checkpoint_ns;    /* and how long it took */
    bool read_only;
    char io_backend[16];               /* "uring" or "plain" */
    char simd[16];                     /* "scalar", "avx2" or "avx512" */
    uint64_t key_next;                 /* one above the largest key ever inserted */
    rhumb_durability durability;       /* of the handle; what follows is 0 in a read-only one unless it says so */
    uint64_t checkpoint_pause_ns;      /* for how long the last checkpoint held up deletes, upserts and batches */
    uint64_t checkpoint_pause_max_ns;  /* the longest such pause so far */
    uint64_t checkpoint_failed_count;  /* checkpoints in the background that failed */
    char checkpoint_failure[256];      /* why the last of them did, or "" */
    uint64_t lsn;                      /* number of the last operation; read-only: of the newest checkpoint */
    uint64_t durable_lsn;              /* of the last that a power cut cannot take; read-only: the same */
    uint64_t log_bytes;                /* length of the log since the last checkpoint */
    uint64_t log_sync_count;           /* how often it was synced */
    uint64_t log_synced_count;         /* operations that these syncs made durable */
    uint64_t log_pending_count;        /* read-only: operations in a log that this handle does not show */
    uint64_t unlinked_count;           /* vectors from the log, found by measuring each, that wait to be linked */
    uint64_t unreachable_count;        /* live vectors that no path leads to, when they were last counted: now and
                                          then after many deletes; rhumb_index_verify counts them too */
    uint64_t unreachable_lsn;          /* as of which operation; 0: not counted yet */
    bool compacting;                   /* a compaction in place is under way */
    uint64_t compaction_count;         /* compactions in place that this handle has done */
    uint64_t compaction_dropped_count; /* by the last one: deleted vectors that it dropped, */
    uint64_t compaction_carried_count; /* operations that came meanwhile, */
    uint64_t compaction_ns;            /* how long it took, */
    uint64_t compaction_pause_ns;      /* and for how long it kept out everybody who writes */
    uint64_t compaction_pause_max_ns;  /* the longest such pause */
    uint64_t compaction_delay_max_ns;  /* the longest by which single operations were slowed down, each on its own */
    uint64_t compaction_failed_count;  /* compactions that came to nothing, and why the last of them did */
    char compaction_failure[256];
    char custom_name[64]; /* of a custom metric, or "" */
} rhumb_index_stats;

/* Fills `stats`; `size` is sizeof(rhumb_index_stats) at the caller's. */
RHUMB_API rhumb_status rhumb_index_stats_get(rhumb_index *index, rhumb_index_stats *stats, size_t size) RHUMB_NODISCARD;

/* ---- durability and many processes ------------------------------------------------------------------------------- */

/* Makes everything that has returned before the call durable, whatever the handle's mode. In mode none it makes a
 * checkpoint. RHUMB_E_FATAL, RHUMB_E_READONLY; in mode none also what rhumb_index_checkpoint returns. */
RHUMB_API rhumb_status rhumb_index_sync(rhumb_index *index) RHUMB_NODISCARD;

/* Operations (inserts, upserts, deletes, and the beginning and end of a batch) are numbered from 1 over the life of an
 * index. The number of the last one, and of the last one that a power cut cannot take any more. In a read-only handle
 * both are that of the checkpoint it shows; 0 for NULL. */
RHUMB_API uint64_t rhumb_index_lsn(const rhumb_index *index);
RHUMB_API uint64_t rhumb_index_durable_lsn(const rhumb_index *index);

/* Returns when the handle has nothing left to do in the background: what came from the log is linked, and no checkpoint
 * is due. RHUMB_E_NOMEM. Read-only: nothing to do. */
RHUMB_API rhumb_status rhumb_index_wait_idle(rhumb_index *index) RHUMB_NODISCARD;

/* Writes everything inserted before the call to the file and publishes it, while inserts and searches go on. RHUMB_OK
 * means it survives a power cut. Nothing to write is RHUMB_OK. RHUMB_E_NOSPACE: the disk is full; the index stays
 * usable, the last checkpoint stands, and a later call may succeed. RHUMB_E_FATAL: a sync failed; the handle accepts no
 * more writes. RHUMB_E_READONLY. */
RHUMB_API rhumb_status rhumb_index_checkpoint(rhumb_index *index) RHUMB_NODISCARD;

/* Moves a read-only handle to the newest checkpoint. Searches that are running finish on the old one. *changed (may be
 * NULL) tells whether there was a newer one. On a writing handle: nothing to do, RHUMB_OK. On failure the handle stays
 * where it was. */
RHUMB_API rhumb_status rhumb_index_refresh(rhumb_index *index, bool *changed) RHUMB_NODISCARD;

/* ---- metadata ---------------------------------------------------------------------------------------------------- */

#define RHUMB_METADATA_BYTES_LIMIT 3072u

/* Bytes of the caller's own that go with the index, for instance the name of the model that made its vectors; up to
 * 3,072 of them, because they lie in the superblock. Setting replaces all of them and makes a checkpoint, so on
 * RHUMB_OK they survive a power cut; on failure the old ones stay (after RHUMB_E_FATAL, nobody knows which). None at
 * all: bytes_count 0. Repair and compaction keep them. RHUMB_E_INVALID: too many. RHUMB_E_READONLY; what
 * rhumb_index_checkpoint returns. */
RHUMB_API rhumb_status rhumb_index_metadata_set(rhumb_index *index, const void *bytes,
                                                size_t bytes_count) RHUMB_NODISCARD;

/* Copies at most `capacity` bytes of them to `bytes`. *bytes_count is how many there are, 0 if none were ever set. A
 * read-only handle has those of the checkpoint it shows. RHUMB_E_NOMEM. */
RHUMB_API rhumb_status rhumb_index_metadata_get(rhumb_index *index, void *bytes, size_t capacity,
                                                size_t *bytes_count) RHUMB_NODISCARD;

#ifdef __cplusplus
}
#endif

/* The rest of the manual. */
#include "rhumb_points.h"
#include "rhumb_search.h"
#include "rhumb_topology.h"
#include "rhumb_upkeep.h"

#endif /* RHUMB_H */
