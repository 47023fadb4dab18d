/* compact_in_place.h - compacting the index of a handle that writes while everything else goes on: a new graph is made
 * in the same file, takes over what came meanwhile, and replaces the old one.
 */
#ifndef RHUMB_ENGINE_UPKEEP_COMPACT_COMPACT_IN_PLACE_H
#define RHUMB_ENGINE_UPKEEP_COMPACT_COMPACT_IN_PLACE_H

#include "engine/upkeep/compact/compact_build.h"

/* Compacts. Of `work` the graphs are filled in here. With `shrink`, pulls what then lies at the end of the file into
 * the gaps in front of it. Waits for a compaction that is under way, then does its own. A failure before the exchange
 * leaves the index as it was; one after it, of the checkpoint that publishes, leaves the compacted graph in memory and
 * the last version and the log in the file: the next checkpoint tries again. RHUMB_E_CANCELLED, the failures of
 * rhumb__compact_build and of checkpoints. */
rhumb_status rhumb__compact_in_place(rhumb__writer *writer, rhumb__compact_work *work, bool shrink,
                                     rhumb__compact_result *result) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_UPKEEP_COMPACT_COMPACT_IN_PLACE_H */
