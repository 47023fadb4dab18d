/* generation.c - the same sections anew in the same file: what a compaction makes beside the sections in use.
 *
 * The next generation begins empty. Its rows are written ahead to free blocks, which no version refers to, so a crash
 * or a change of mind leaves nothing but free blocks. Once it is complete it takes the place of the sections in use, in
 * memory; the newest version on the disk is still one of the old sections, and their blocks stay what they are until
 * the next publication, an ordinary one, has made a version of the new. Then they are retired like any others: free
 * when neither of the two newest versions refers to them and no reader pins one that does.
 *
 * After that the file is longer than it has to be, or full of holes. Trimming gives free blocks back to the file system
 * and cuts off the free end, as far as neither of the two newest versions asks for it.
 *
 * Locking: everything here runs under the store's publishing lock.
 */
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "base/status.h"
#include "storage/store.h"

rhumb_status rhumb__store_attach_next(rhumb__store *store, const rhumb__section_spec *spec, rhumb__section *section) {
    RHUMB_ASSERT(store->writable);
    RHUMB_ASSERT(store->next_section_count < store->section_count);
    RHUMB_ASSERT(store->sections[store->next_section_count]->spec.id == spec->id);
    const rhumb_status status = rhumb__section_init(section, spec, true, 0);
    if (status != RHUMB_OK) return status;
    rhumb__mutex_lock(&store->publish_lock);
    store->next_sections[store->next_section_count++] = section;
    rhumb__mutex_unlock(&store->publish_lock);
    return RHUMB_OK;
}

void rhumb__store_switch_next(rhumb__store *store) {
    rhumb__mutex_lock(&store->publish_lock);
    RHUMB_ASSERT(store->next_section_count == store->section_count);
    for (uint32_t i = 0; i < store->section_count; i++) {
        rhumb__section *section = store->sections[i];
        const rhumb__extent_list *extents = &section->extents;
        for (uint32_t k = 0; k < extents->count; k++) {
            /* Without memory for the list the blocks stay unused until the next opening finds them. */
            if (rhumb__extent_list_append(&store->outgoing, extents->items[k].file_offset, extents->items[k].bytes) !=
                RHUMB_OK) {
                break;
            }
        }
        rhumb__section_destroy(section);
        store->sections[i] = store->next_sections[i];
    }
    store->next_section_count = 0;
    rhumb__mutex_unlock(&store->publish_lock);
}

void rhumb__store_drop_next(rhumb__store *store) {
    rhumb__mutex_lock(&store->publish_lock);
    for (uint32_t i = 0; i < store->next_section_count; i++) {
        rhumb__section *section = store->next_sections[i];
        const rhumb__extent_list *extents = &section->extents;
        /* Nobody can take them before the lock is released, and by then nothing is mapped from them any more. */
        for (uint32_t k = 0; k < extents->count; k++) {
            rhumb__file_space_give(&store->space, extents->items[k].file_offset, extents->items[k].bytes);
        }
        rhumb__section_destroy(section);
    }
    store->next_section_count = 0;
    rhumb__mutex_unlock(&store->publish_lock);
}

/* Cuts off what is free behind everything that a version on the disk asks for. */
static rhumb_status cut_end(rhumb__store *store) {
    uint64_t file_bytes = 0;
    uint64_t needed_bytes = rhumb__max_u64(store->superblock.file_bytes, store->previous_file_bytes);
    needed_bytes = rhumb__max_u64(needed_bytes, store->space.end);
    rhumb_status status = rhumb__io_size(store->io, &file_bytes);
    if (status == RHUMB_OK && file_bytes > needed_bytes) status = rhumb__io_resize(store->io, needed_bytes);
    return status;
}

rhumb_status rhumb__store_trim(rhumb__store *store, bool *left_out) {
    rhumb_status status = RHUMB_OK;
    *left_out = false;
    rhumb__mutex_lock(&store->publish_lock);
    if (atomic_load(&store->failed)) goto done;
    *left_out = rhumb__store_reclaim(store);
    for (uint32_t i = 0; i < store->space.count; i++) {
        RHUMB_TRY(rhumb__io_punch(store->io, store->space.runs[i].offset, store->space.runs[i].bytes));
    }
    status = cut_end(store);
done:
    rhumb__mutex_unlock(&store->publish_lock);
    return status;
}
