/* extent_list.h - the positions of a section's bytes in the file: extents in the order of the section, without gaps.
 *
 * A plain value, not synchronised: the store's publishing lock guards every list that belongs to a section.
 */
#ifndef RHUMB_STORAGE_FRAME_EXTENT_LIST_H
#define RHUMB_STORAGE_FRAME_EXTENT_LIST_H

#include <stdbool.h>
#include <stdint.h>

#include "include/rhumb_types.h"
#include "storage/frame/format.h"
#include "storage/io/io.h"

typedef struct rhumb__extent_item {
    uint64_t section_offset; /* the sum of the bytes of all earlier items */
    uint64_t file_offset;
    uint64_t bytes;
} rhumb__extent_item;

typedef struct rhumb__extent_list {
    rhumb__extent_item *items;
    uint32_t count;
    uint32_t capacity;
    uint64_t bytes; /* of all items together */
} rhumb__extent_list;

/* Appends an extent; one that continues the last in the file is merged with it. RHUMB_E_NOMEM. */
rhumb_status rhumb__extent_list_append(rhumb__extent_list *list, uint64_t file_offset, uint64_t bytes) RHUMB_NODISCARD;

/* Appends to `list` the part of `source` that covers [section_offset, section_offset + bytes), which must lie within
 * it. */
rhumb_status rhumb__extent_list_append_range(rhumb__extent_list *list, const rhumb__extent_list *source,
                                             uint64_t section_offset, uint64_t bytes) RHUMB_NODISCARD;

/* The item that holds byte `section_offset`, which must be below list->bytes. */
const rhumb__extent_item *rhumb__extent_list_find(const rhumb__extent_list *list, uint64_t section_offset);

/* The longest contiguous range of the file that begins with byte `section_offset`, which must be below list->bytes; at
 * most `bytes_max` bytes of it. */
rhumb__extent rhumb__extent_list_run(const rhumb__extent_list *list, uint64_t section_offset, uint64_t bytes_max);

/* Whether [section_offset, section_offset + bytes), which must lie within the list, is contiguous in the file. */
bool rhumb__extent_list_is_contiguous(const rhumb__extent_list *list, uint64_t section_offset, uint64_t bytes);

/* Reads [section_offset, section_offset + bytes), which must lie within the list, from the file. Fails as
 * rhumb__io_read does. */
rhumb_status rhumb__extent_list_read(const rhumb__extent_list *list, rhumb__io *io, uint64_t section_offset,
                                     uint64_t bytes, uint8_t *target) RHUMB_NODISCARD;

/* Releases the memory and leaves an empty list. */
void rhumb__extent_list_clear(rhumb__extent_list *list);

#endif /* RHUMB_STORAGE_FRAME_EXTENT_LIST_H */
