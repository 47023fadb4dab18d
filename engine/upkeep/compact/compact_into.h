/* compact_into.h - a new index file from an index, compacted. The old file is only read, at the version that is the
 * newest when it is opened, and may be written on meanwhile: so this is also a backup of a live index.
 */
#ifndef RHUMB_ENGINE_UPKEEP_COMPACT_COMPACT_INTO_H
#define RHUMB_ENGINE_UPKEEP_COMPACT_COMPACT_INTO_H

#include "engine/upkeep/compact/compact_build.h"

/* Makes the new file, which must not exist, and closes it. Of `work` the graphs are filled in here. Until the file is
 * whole it has "-compacting" behind its name; on failure it is removed. RHUMB_E_EXISTS; the failures of
 * rhumb__compact_build; what opening, creating and publishing return. */
rhumb_status rhumb__compact_into(const char *path, const char *new_path, uint32_t creator_version,
                                 rhumb__compact_work *work, rhumb__compact_result *result) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_UPKEEP_COMPACT_COMPACT_INTO_H */
