/* private_pages.h - how much of a writer's mutable sections is in private memory, which the kernel cannot take back.
 */
#ifndef RHUMB_STORAGE_PRIVATE_PAGES_H
#define RHUMB_STORAGE_PRIVATE_PAGES_H

#include "storage/section.h"

/* The bytes of a writer's mutable section in pages that have changed since the newest version, or that hold patches of
 * it; what grows with a row that was added counts as changed. Takes time in the number of chunks, and the lock of one
 * at a time. The caller keeps publications away; other threads may change rows and let the section grow. */
uint64_t rhumb__section_private_bytes(const rhumb__section *section, uint64_t row_count);

#endif /* RHUMB_STORAGE_PRIVATE_PAGES_H */
