/* next_sections.h - a second set of the same sections in the same file: what a compaction builds while the first set is
 * in use.
 *
 * Locking: each function takes the store's publishing lock.
 */
#ifndef RHUMB_STORAGE_NEXT_SECTIONS_H
#define RHUMB_STORAGE_NEXT_SECTIONS_H

#include "storage/store.h"

/* Begins one of the next sections, empty. To be called for the same sections, in the same order, as
 * rhumb__store_attach. There is one set of next sections at a time. RHUMB_E_NOMEM. */
rhumb_status rhumb__store_attach_next(rhumb__store *store, const rhumb__section_spec *spec,
                                      rhumb__section *section) RHUMB_NODISCARD;

/* Replaces the current sections by the next ones. The current ones are detached and unmapped: no thread may use them
 * any more. The one of `kept_id` (RHUMB__SECTION_KEPT_NONE: none) is detached only, and is the caller's to destroy. The
 * newest version of the file stays as it is until the next publication. */
void rhumb__store_switch_next(rhumb__store *store, uint32_t kept_id);

/* Unmaps the next sections and makes their blocks free. Does nothing if there are none. */
void rhumb__store_drop_next(rhumb__store *store);

#endif /* RHUMB_STORAGE_NEXT_SECTIONS_H */
