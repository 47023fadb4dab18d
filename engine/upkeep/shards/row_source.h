/* row_source.h - vectors and keys that are read from elsewhere, in the order of their rows.
 */
#ifndef RHUMB_ENGINE_UPKEEP_SHARDS_ROW_SOURCE_H
#define RHUMB_ENGINE_UPKEEP_SHARDS_ROW_SOURCE_H

#include <stdint.h>

#include "include/rhumb_types.h"

typedef struct rhumb__row_source {
    /* Reads rows [first, first + count): vectors one after the other, in the space's own length, and keys, unless
     * `keys` is NULL. Returns the same each time. By one thread; not concurrently. */
    rhumb_status (*read)(void *context, uint64_t first, uint64_t count, void *vectors, uint64_t *keys);
    void *context;
    uint64_t count;
} rhumb__row_source;

#endif /* RHUMB_ENGINE_UPKEEP_SHARDS_ROW_SOURCE_H */
