/* lifetime.h - creating, opening and closing a graph together with its file, its log and its background thread.
 *
 * Compaction and repair work on such graphs. Handles of users come from engine/open.h, which adds the compactor.
 */
#ifndef RHUMB_ENGINE_DURABILITY_LIFETIME_H
#define RHUMB_ENGINE_DURABILITY_LIFETIME_H

#include "engine/build/writer.h"
#include "engine/graph/graph.h"

/* Where and how an index is created. */
typedef struct rhumb__graph_creation {
    const char *path;
    const char *working_suffix;     /* appended to the name until the file is complete */
    const rhumb__io_access *access; /* who may use it; NULL: those whom the umask lets */
    uint32_t creator_version;
} rhumb__graph_creation;

/* Creates the file under its working name, with an empty graph of which nothing is published. Its first checkpoint
 * makes it complete and gives it its name; it fails with RHUMB_E_EXISTS if there is a file or a log of that name by
 * then. RHUMB_E_INVALID, RHUMB_E_EXISTS, RHUMB_E_NOMEM, what creating returns. */
rhumb_status rhumb__graph_begin(const rhumb__graph_creation *creation, const rhumb__params *params,
                                const rhumb__graph_options *options, rhumb__graph **graph_out) RHUMB_NODISCARD;

/* The same, with the empty graph as the first version. */
rhumb_status rhumb__graph_create(const rhumb__graph_creation *creation, const rhumb__params *params,
                                 const rhumb__graph_options *options, rhumb__graph **graph_out) RHUMB_NODISCARD;

/* Opens the newest version: for reading when `options` is NULL, otherwise for writing, with the operations that only
 * the log holds. Its cost depends on the number of extents and on the length of the log, not on the number of slots.
 * `custom` is the custom metric that the caller supplies, or NULL. RHUMB_E_METRIC: the index needs another one. What
 * rhumb__store_open, attaching and recovery return. */
rhumb_status rhumb__graph_open(const char *path, const rhumb__graph_options *options,
                               const rhumb__custom_metric *custom, rhumb__graph **graph_out) RHUMB_NODISCARD;

/* Opens the newest version for reading in another mode. With RHUMB__STORE_PARTIAL it is opened without its vectors,
 * which are not mapped and may be damaged or missing from the file: keys, levels, lists and tombstones can be read;
 * distances cannot be measured, and `custom` is not used. */
rhumb_status rhumb__graph_open_as(const char *path, rhumb__store_mode mode, const rhumb__custom_metric *custom,
                                  rhumb__graph **graph_out) RHUMB_NODISCARD;

/* Stops the graph's threads and releases everything. Writes what the log has in memory, makes no checkpoint, and
 * removes the log's file if it is empty. What is held of the graph (graph/hold.h) stays. NULL is fine. */
void rhumb__graph_close(rhumb__graph *graph);

/* Closes a graph whose creation has failed, which no other thread knows, and removes its file. Keeps the thread's error
 * record. NULL is fine. */
void rhumb__graph_abandon(rhumb__graph *graph);

#endif /* RHUMB_ENGINE_DURABILITY_LIFETIME_H */
