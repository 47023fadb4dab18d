/* build_in_shards.h - a new index of vectors that memory cannot hold, built in bulk: cut into overlapping shards, which
 * are planned one after the other.
 */
#ifndef RHUMB_ENGINE_UPKEEP_SHARDS_BUILD_IN_SHARDS_H
#define RHUMB_ENGINE_UPKEEP_SHARDS_BUILD_IN_SHARDS_H

#include <stdbool.h>

#include "engine/graph/params.h"
#include "engine/upkeep/shards/row_source.h"

typedef struct rhumb__shard_build {
    const rhumb__row_source *source; /* has at least one row */
    const char *new_path;
    uint32_t creator_version;
    uint32_t thread_count;                                                    /* 0: one per processor */
    bool (*report)(void *context, uint64_t done_count, uint64_t total_count); /* false: stop. May be NULL */
    void *report_context;
} rhumb__shard_build;

/* Makes the new file, which must not exist, for parameters of which rhumb__bulk_way_of says that it is to be built in
 * shards. Until it is whole, "-sharding" is appended to its name; on failure it is removed. Next to it grow files
 * without a name, of twice the size of the vectors and the size of the lists. What the new file contains does not
 * depend on the number of threads. RHUMB_E_EXISTS: there is such a file, or a key is there twice. RHUMB_E_FULL: so many
 * vectors are near each other that shards are too large for memory. RHUMB_E_CANCELLED, RHUMB_E_NOMEM, what reading
 * returns, what creating and publishing return. */
rhumb_status rhumb__build_in_shards(const rhumb__shard_build *build, const rhumb__params *params) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_UPKEEP_SHARDS_BUILD_IN_SHARDS_H */
