/* private_memory.h - keeps what a handle that writes has in memory, and not yet in the file, bounded.
 *
 * A writer's changes are private memory, which the kernel cannot take back: rows that were inserted, and pages of lists
 * and of the key table that were changed. The former are written ahead of the version that is going to have them, in
 * every mode of durability, and are then pages of the file like others. The latter wait for a checkpoint, which is due,
 * in every mode too, when they take a share of the memory that the process may use.
 */
#ifndef RHUMB_ENGINE_DURABILITY_PRIVATE_MEMORY_H
#define RHUMB_ENGINE_DURABILITY_PRIVATE_MEMORY_H

#include "engine/build/writer.h"

/* Inserts between two reviews, at least. */
#define RHUMB__MEMORY_REVIEW_SLOTS_MIN UINT64_C(64)

/* Writes rows ahead if there are enough of them, and sets *checkpoint_due_out to whether private memory asks for a
 * checkpoint; with a log without a limit, it never does. Also sets the slot whose insert is to call
 * the writer's hook memory_due. Takes checkpoint_lock. What writing ahead returns. */
rhumb_status rhumb__private_memory_review(rhumb__writer *writer, bool *checkpoint_due_out) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_DURABILITY_PRIVATE_MEMORY_H */
