/* source_walk.h - which vectors of a source its own graph can reach.
 */
#ifndef RHUMB_ENGINE_EXCHANGE_SOURCE_WALK_H
#define RHUMB_ENGINE_EXCHANGE_SOURCE_WALK_H

#include "base/progress.h"
#include "engine/exchange/source.h"

/* Reads a list, or an empty one where the file has what cannot be a list; *broken_out is whether it has. Other failures
 * are those of reading. `neighbours` has room for RHUMB__SOURCE_LIST_MAX. */
rhumb_status rhumb__source_read_list(rhumb__source *source, uint32_t index, uint32_t level, uint32_t *neighbours,
                                     uint32_t *count_out, bool *broken_out) RHUMB_NODISCARD;

/* Walks from the source's entry point along the links of all levels, and counts the positions below `source->count`
 * that are not met and of which `map` (by position) is not RHUMB__SOURCE_NONE: no search of the source, however broad,
 * can find these. *first_out is the first of them. Memory: 5 bytes per vector. `progress` is asked now and then whether
 * to stop. RHUMB_E_NOMEM, RHUMB_E_CANCELLED, failures of reading. */
rhumb_status rhumb__source_unreached(rhumb__source *source, const uint32_t *map, rhumb__progress *progress,
                                     uint32_t *count_out, uint32_t *first_out) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_EXCHANGE_SOURCE_WALK_H */
