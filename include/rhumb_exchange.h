/* rhumb_exchange.h - making an index of a file of another library, and the reverse. Part of the manual; include
 * rhumb.h, which includes this file.
 */
#ifndef RHUMB_EXCHANGE_H
#define RHUMB_EXCHANGE_H

#include "rhumb.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A format of another library. All are read as 64-bit little-endian machines write them. */
typedef enum rhumb_import_format {
    RHUMB_IMPORT_AUTO = 0,    /* what the file begins with; not for Annoy, whose files say nothing of themselves */
    RHUMB_IMPORT_HNSWLIB = 1, /* saveIndex; the metric must be named, and the element type unless it is f32 */
    RHUMB_IMPORT_CHROMA = 2,  /* the folder of a segment; the metric must be named */
    RHUMB_IMPORT_VOYAGER = 3, /* version 2 */
    RHUMB_IMPORT_FAISS = 4, /* write_index: HNSWFlat, HNSWSQ, Flat, scalar quantizers; with IDMap or a normalisation */
    RHUMB_IMPORT_USEARCH = 5, /* save, version 2 */
    RHUMB_IMPORT_HNSW_RS = 6, /* a dump of version 2, 3 or 4: the name without ".hnsw.graph", or either file */
    RHUMB_IMPORT_ANNOY = 7    /* save: vectors alone; metric and dimension must be named */
} rhumb_import_format;

/* How to import. */
typedef struct rhumb_import_options {
    size_t size;                /* sizeof(rhumb_import_options), set by rhumb_import_options_init. */
    rhumb_import_format format; /* Default RHUMB_IMPORT_AUTO. */
    rhumb_metric metric;        /* The metric of the new index. Default 0: the file's. */
    rhumb_element element;    /* The type of the file's components, where it does not say it. Default 0: the file's, or
                                   f32. */
    uint32_t dim;             /* The dimension, where the file does not say it. Default 0: the file's. */
    uint32_t M;               /* For files without a graph. Default 16. */
    uint32_t ef_construction; /* Likewise. Default 200. */
    rhumb_codes codes;        /* Codes of the new index. Default RHUMB_CODES_DEFAULT. */
    bool renumber;            /* Give vectors the keys first_key, first_key + 1, ... in the order of the file. Default
                                   false: the file's labels, or positions from 0. */
    uint64_t first_key;       /* Default 0. */
    bool ignore_links;        /* Make the graph from the vectors alone, as long as that takes. Default false. */
    uint32_t thread_count;    /* Threads to link with. Default 0: one per processor of this process. */
    rhumb_progress_fn progress; /* Receives the number of steps done, three per vector. Default NULL. */
    void *progress_context;     /* Passed to progress. */
} rhumb_import_options;

/* Sets the defaults. `size` is sizeof(rhumb_import_options) as the caller compiled it. */
RHUMB_API void rhumb_import_options_init(rhumb_import_options *options, size_t size);

/* What an import found and did. */
typedef struct rhumb_import_report {
    size_t size;                /* The size that the caller passed. */
    rhumb_import_format format; /* What the file was read as. */
    rhumb_metric metric;        /* The metric of the new index. */
    rhumb_element element;      /* Its element type. */
    uint32_t dim;               /* Its dimension. */
    uint32_t M;                 /* Its M. */
    uint32_t M0;                /* Its M0. */
    uint32_t ef_construction;   /* Its ef_construction. */
    uint64_t source_count;      /* Vectors of the file, also deleted ones. */
    uint64_t deleted_count;     /* Of these, those that were marked as deleted; they are not in the new index. */
    uint64_t absent_count;      /* Numbers to which the file has no vector. */
    uint64_t count;             /* Vectors in the new index. */
    bool has_links;             /* Whether the file has a graph. */
    bool links_used;            /* Whether its links were candidates for those of the new index. */
    bool levels_kept;           /* Whether its levels were taken over. */
    uint64_t link_count; /* Links of level 0 in the file, of vectors that are not deleted; 0 unless links_used. */
    uint64_t broken_link_count;        /* Of these, those that lead nowhere, and lists that cannot be lists. */
    uint64_t source_unreachable_count; /* Vectors that no path of the file's own graph led to from its entry point, on
                                          all levels together: the other library cannot find them by any search of the
                                          graph. Here each is found. */
    uint64_t first_unreachable_key;    /* The key of the first of these. */
    uint64_t relinked_count;    /* Nodes that were linked again: because no path led to them, or their lists lacked
                                   something. */
    uint64_t unreachable_count; /* Vectors of the new index that no path leads to: 0. */
    char source[96];            /* What the file is, in a few words. */
    char notes[1024];           /* What could not be carried over, a line each, or "". */
} rhumb_import_report;

/* Builds a new index, in a new file, from a file of another library.
 *
 * Vectors are taken bit for bit, where the new index has their element type; keys, metric, M, M0 and ef_construction
 * are taken over as well. Vectors that the file marks as deleted are left out. The file's links are candidates: those
 * between vectors that are in the new index are kept, and what lacks links is linked again, so that every vector is
 * found. A damaged link makes no difference but to broken_link_count; any other damage is an error. The file is read by
 * pieces and never changed, and may be larger than memory; the lists of the new index are in memory until it is
 * complete. Until then the new file has "-importing" after its name.
 *
 * Parameters:
 *   path           the file, or the folder (Chroma), or the name that two files share (hnsw_rs)
 *   new_path       the file to create
 *   options        NULL: the defaults
 *   report         filled on success; may be NULL
 *   report_size    sizeof(rhumb_import_report) as the caller compiled it
 *
 * Errors: on failure there is no new file. Of a damaged file, rhumb_error.file_offset says where.
 *   RHUMB_E_INVALID        the file does not say its metric, element type or dimension, and options do not either, or
 *                          say something else
 *   RHUMB_E_UNSUPPORTED    the format is not recognised, or has what rhumb has not: product quantizers, other metrics
 *   RHUMB_E_CORRUPT        the file contradicts itself
 *   RHUMB_E_TRUNCATED      the file ends too early
 *   RHUMB_E_EXISTS         a file named new_path exists; or keys of the file repeat or are negative, and
 *                          options.renumber is false
 *   RHUMB_E_NOTFOUND       there is no file at path
 *   RHUMB_E_NOT_FINITE, RHUMB_E_DOMAIN    the metric does not measure a vector of the file
 *   RHUMB_E_CANCELLED      progress returned false
 *   RHUMB_E_NOSPACE, RHUMB_E_FULL, RHUMB_E_IO, RHUMB_E_FATAL    as for rhumb_index_create and rhumb_index_checkpoint
 */
RHUMB_API rhumb_status rhumb_index_import(const char *path, const char *new_path, const rhumb_import_options *options,
                                          rhumb_import_report *report, size_t report_size) RHUMB_NODISCARD;

/* Returns "hnswlib", "chroma", "voyager", "faiss", "usearch", "hnsw_rs" or "annoy"; NULL for RHUMB_IMPORT_AUTO and for
 * a number that is not a format. */
RHUMB_API const char *rhumb_import_format_name(rhumb_import_format format);

/* The inverse: RHUMB_IMPORT_AUTO for a text that is not a name. */
RHUMB_API rhumb_import_format rhumb_import_format_from_name(const char *name);

/* A format that an index can be written in. */
typedef enum rhumb_export_format {
    RHUMB_EXPORT_DEFAULT = 0, /* RHUMB_EXPORT_HNSWLIB */
    RHUMB_EXPORT_HNSWLIB = 1  /* as hnswlib's saveIndex writes it: metrics l2, l2sq, ip and cosine, components as f32 */
} rhumb_export_format;

/* How to export. */
typedef struct rhumb_export_options {
    size_t size;                /* sizeof(rhumb_export_options), set by rhumb_export_options_init. */
    rhumb_export_format format; /* Default RHUMB_EXPORT_DEFAULT. */
    rhumb_progress_fn progress; /* Receives the number of vectors written. Default NULL. */
    void *progress_context;     /* Passed to progress. */
} rhumb_export_options;

/* Sets the defaults. `size` is sizeof(rhumb_export_options) as the caller compiled it. */
RHUMB_API void rhumb_export_options_init(rhumb_export_options *options, size_t size);

/* Writes an index, with its graph, into a new file for another library.
 *
 * A read-only handle exports the checkpoint it shows; a writing handle makes a checkpoint and exports that, while
 * inserts and deletes continue. Vectors, keys, levels and links are written as they are; under cosine vectors get
 * length 1, as hnswlib has them. Equal vectors, which share a node here, get links to each other. The file has
 * "-exporting" after its name until it is complete and durable; on failure there is no new file.
 *
 * Parameters:
 *   path       the file to create
 *   options    NULL: the defaults
 *
 * Errors:
 *   RHUMB_E_EXISTS         a file of that name exists
 *   RHUMB_E_UNSUPPORTED    the format does not have the metric, or a component does not fit its type; there are deleted
 *                          vectors (compact the index first); or the handle was opened with graph_only
 *   RHUMB_E_INVALID        the format is none of rhumb_export_format
 *   RHUMB_E_CORRUPT        a node of the index is damaged
 *   RHUMB_E_CANCELLED      progress returned false
 *   RHUMB_E_NOSPACE        the disk is full
 *   RHUMB_E_FATAL          a sync failed; or as for rhumb_index_checkpoint
 *   RHUMB_E_IO             another failure of the operating system
 */
RHUMB_API rhumb_status rhumb_index_export(rhumb_index *index, const char *path,
                                          const rhumb_export_options *options) RHUMB_NODISCARD;

#ifdef __cplusplus
}
#endif

#endif /* RHUMB_EXCHANGE_H */
