/* import.h - builds a new index from a file of another library.
 *
 * Vectors, keys and parameters are facts, and taken as they are; links are candidates. A node keeps its level, and its
 * list of level 0 as far as its neighbours are in the new index. Lists that lack something are completed by the search
 * that inserting uses, those of upper levels are made by it, and the new graph is tied together as that of a repair is.
 * So every vector can be found, also those that no path of the source's own graph leads to, which are counted.
 *
 * The source is only read, by pieces. Memory: 17 to 41 bytes per vector and the lists and tables of the new index; its
 * vectors are written to the file as they come.
 */
#ifndef RHUMB_ENGINE_EXCHANGE_IMPORT_H
#define RHUMB_ENGINE_EXCHANGE_IMPORT_H

#include "engine/exchange/source.h"
#include "engine/graph/params.h"

typedef struct rhumb__import_spec {
    rhumb__source *source; /* open */
    const char *new_path;
    uint32_t creator_version;
    uint32_t thread_count; /* 0: one per processor */
    bool renumber;         /* keys are first_key, first_key + 1, ... in the order of the file */
    uint64_t first_key;
    bool ignore_links; /* make the graph from the vectors alone */
    bool (*progress)(void *context, uint64_t done_count, uint64_t total_count); /* may be NULL */
    void *progress_context;
} rhumb__import_spec;

typedef struct rhumb__import_result {
    uint64_t deleted_count;            /* vectors that the source had marked as deleted */
    uint64_t absent_count;             /* numbers without a vector */
    uint64_t count;                    /* vectors in the new index */
    bool links_used;                   /* the source's links were candidates */
    bool levels_kept;                  /* the source's levels were taken over */
    uint64_t link_count;               /* of level 0, of live vectors */
    uint64_t broken_link_count;        /* of these, those that lead to no vector of the source; and broken lists */
    uint64_t source_unreachable_count; /* live vectors that no path of the source's graph leads to */
    uint64_t first_unreachable_key;    /* of the first of them */
    uint64_t relinked_count;           /* nodes that were linked again */
    uint64_t unreachable_count;        /* in the new index: 0 */
} rhumb__import_result;

/* The parameters that the new index gets from its source; without codes and without a custom metric. Where the source
 * does not know M or ef_construction, those given are taken. A value that rhumb cannot have is brought into its range,
 * and noted. RHUMB_E_INVALID, RHUMB_E_UNSUPPORTED. */
rhumb_status rhumb__import_params(rhumb__source *source, uint32_t M, uint32_t ef_construction,
                                  rhumb__params *params) RHUMB_NODISCARD;

/* Creates the new file, which must not exist, and closes it; on failure it is removed. RHUMB_E_EXISTS: there is a file
 * of that name, or keys repeat or cannot be keys (the message counts them) and are not renumbered. RHUMB_E_NOT_FINITE,
 * RHUMB_E_DOMAIN: a vector cannot be in such an index. RHUMB_E_CORRUPT, RHUMB_E_TRUNCATED: the source is damaged.
 * RHUMB_E_CANCELLED, RHUMB_E_NOMEM, RHUMB_E_FULL, and what creating and publishing return. */
rhumb_status rhumb__import(const rhumb__import_spec *spec, const rhumb__params *params,
                           rhumb__import_result *result) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_EXCHANGE_IMPORT_H */
