/* verify.h - checks every rule that graph.h and key_table.h state, on a graph that no thread changes.
 */
#ifndef RHUMB_ENGINE_UPKEEP_REPAIR_VERIFY_H
#define RHUMB_ENGINE_UPKEEP_REPAIR_VERIFY_H

#include "base/progress.h"
#include "engine/build/writer.h"
#include "engine/graph/graph.h"

typedef struct rhumb__verify_result {
    uint64_t chunk_count;
    uint64_t checksum_error_count;
    uint64_t node_count;
    uint64_t link_count;
    uint64_t structure_error_count;
    uint64_t unreachable_count;
    uint64_t log_record_count;
    uint64_t log_error_count;
    uint64_t warning_count; /* what was passed over: copies of superblocks and of log headers, the end of the log */
    char first_error[512];  /* "" when there is none */
    char first_warning[512];
} rhumb__verify_result;

#define RHUMB__VERIFY_STEPS_PER_SLOT 4u

/* Checks checksums, nodes, lists, keys and reachability of a reader's graph. Returns RHUMB_OK whatever it finds.
 * `progress`, whose total it sets, gets one step for each chunk and RHUMB__VERIFY_STEPS_PER_SLOT for each slot.
 * RHUMB_E_NOMEM, RHUMB_E_IO, RHUMB_E_CANCELLED. */
rhumb_status rhumb__graph_verify(rhumb__graph *graph, rhumb__progress *progress,
                                 rhumb__verify_result *result) RHUMB_NODISCARD;

/* The same for a writer's current graph: makes a checkpoint first and blocks inserts until it returns. */
rhumb_status rhumb__writer_verify(rhumb__writer *writer, rhumb__progress *progress,
                                  rhumb__verify_result *result) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_UPKEEP_REPAIR_VERIFY_H */
