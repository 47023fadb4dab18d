/* compact.h - a new index file from an index: without deleted nodes, with every live node reachable, and with
 * neighbours close together. The old file is only read, at the version that is the newest when it is opened, and may be
 * written on meanwhile: so this is also a backup of a live index.
 */
#ifndef RHUMB_ENGINE_COMPACT_H
#define RHUMB_ENGINE_COMPACT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rhumb_types.h"
#include "engine/order.h"
#include "engine/params.h"

typedef struct rhumb__compact_spec {
    const char *path;
    const char *new_path;
    uint32_t creator_version;
    uint32_t thread_count; /* 0: one per processor */
    rhumb__order_kind order;
    bool second_pass; /* search new neighbours for every node */
    bool (*progress)(void *context, uint64_t done_count, uint64_t total_count); /* may be NULL */
    void *progress_context;
    rhumb__custom_metric custom; /* of the old index, if it has one */
} rhumb__compact_spec;

typedef struct rhumb__compact_result {
    uint64_t epoch; /* of the version that was read */
    uint64_t count; /* vectors in the new index */
    uint64_t dropped_count;
    uint64_t repaired_count;    /* lists that had named deleted nodes */
    uint64_t reconnected_count; /* nodes that no path had led to */
    uint64_t unreachable_count; /* that is left of them: 0 */
} rhumb__compact_result;

/* Makes the new file, which must not exist, and closes it. Until it is whole it has "-compacting" behind its name; on
 * failure it is removed. RHUMB_E_EXISTS, RHUMB_E_CANCELLED, RHUMB_E_NOMEM; what opening, creating and publishing
 * return. */
rhumb_status rhumb__compact(const rhumb__compact_spec *spec, rhumb__compact_result *result) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_COMPACT_H */
