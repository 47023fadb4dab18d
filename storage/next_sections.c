/* next_sections.c - see next_sections.h.
 *
 * The next sections begin empty. Their rows are written ahead to free blocks (publish.h), which no version refers to,
 * so a crash or a cancelled compaction leaves nothing but free blocks. When they are complete they replace the current
 * sections in memory. The newest version on the disk still consists of the old sections, whose blocks are *outgoing*:
 * they stay untouched until the next publication, an ordinary one, has made a version of the new sections. Then they
 * are retired like any others (reclaim.c).
 *
 * Invariant: a block of a next section is in no version. The next sections need not be the same ones: derived sections
 * come and go with a compaction. Owns neither set
 * of sections: they are the client's. Only attaching can fail, for want of address space; nothing is attached then.
 */
#include "storage/next_sections.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/status.h"
#include "storage/store_stats.h"

rhumb_status rhumb__store_attach_next(rhumb__store *store, const rhumb__section_spec *spec, rhumb__section *section) {
    RHUMB_ASSERT(store->writable);
    RHUMB_ASSERT(store->next_section_count < RHUMB__SECTION_COUNT_MAX);
    const rhumb_status status = rhumb__section_init(section, spec, true, 0);
    if (status != RHUMB_OK) return status;
    rhumb__mutex_lock(&store->publish_lock);
    store->next_sections[store->next_section_count++] = section;
    rhumb__mutex_unlock(&store->publish_lock);
    return RHUMB_OK;
}

void rhumb__store_switch_next(rhumb__store *store, uint32_t kept_id) {
    rhumb__mutex_lock(&store->publish_lock);
    RHUMB_ASSERT(store->next_section_count > 0);
    for (uint32_t i = 0; i < store->section_count; i++) {
        rhumb__section *section = store->sections[i];
        const rhumb__extent_list *extents = &section->extents;
        for (uint32_t k = 0; k < extents->count; k++) {
            /* Without memory for the list the blocks stay unused until the next open. */
            if (rhumb__extent_list_append(&store->outgoing, extents->items[k].file_offset, extents->items[k].bytes) !=
                RHUMB_OK) {
                break;
            }
        }
        if (section->spec.id != kept_id) rhumb__section_destroy(section);
    }
    memcpy(store->sections, store->next_sections, store->next_section_count * sizeof store->sections[0]);
    store->section_count = store->next_section_count;
    store->next_section_count = 0;
    /* The patches were for the old sections, and are in the newest version as these are. */
    rhumb__patch_area *area = &store->patch_area;
    if (area->room_bytes > 0) {
        (void)!rhumb__extent_list_append(&store->outgoing, area->file_offset, area->room_bytes);
    }
    rhumb__free(area->bytes);
    rhumb__free(area->marks);
    *area = (rhumb__patch_area){0};
    rhumb__store_stats_note(store);
    rhumb__mutex_unlock(&store->publish_lock);
}

void rhumb__store_drop_next(rhumb__store *store) {
    rhumb__mutex_lock(&store->publish_lock);
    for (uint32_t i = 0; i < store->next_section_count; i++) {
        rhumb__section *section = store->next_sections[i];
        const rhumb__extent_list *extents = &section->extents;
        /* No publication can take them before the lock is released, and by then nothing is mapped from them. */
        for (uint32_t k = 0; k < extents->count; k++) {
            rhumb__file_space_give(&store->space, extents->items[k].file_offset, extents->items[k].bytes);
        }
        rhumb__section_destroy(section);
    }
    store->next_section_count = 0;
    rhumb__mutex_unlock(&store->publish_lock);
}
