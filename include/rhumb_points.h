/* rhumb_points.h - the points of an index one by one: a part of the manual of its own. Include rhumb.h; it includes
 * this file.
 *
 *   Levels, neighbours, vectors in place, and walks over all points. For the graph as a whole, or without vectors, see
 * rhumb_topology.h.
 */
#ifndef RHUMB_POINTS_H
#define RHUMB_POINTS_H

#include "rhumb.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The highest level that a key's node is on. RHUMB_E_NOTFOUND. */
RHUMB_API rhumb_status rhumb_index_level(rhumb_index *index, uint64_t key, uint32_t *level) RHUMB_NODISCARD;

/* The vector of a key where it lies in the mapped file, without a copy: dim components, read-only. It stays valid, and
 * unchanged also when the key is deleted or replaced, until the handle is closed, refreshed to a newer checkpoint or
 * compacted in place. RHUMB_E_NOTFOUND, RHUMB_E_UNSUPPORTED (graph_only). */
RHUMB_API rhumb_status rhumb_index_vector_view(rhumb_index *index, uint64_t key, const void **vector) RHUMB_NODISCARD;

#define RHUMB_LEVELS_ALL UINT32_MAX /* in the place of a level: all levels of the node, each neighbour once */

/* The keys that a key's node has links to on a level, and how far they are, nearest first; deleted ones are left out.
 * `keys` and `distances` have `capacity` places; `distances` may be NULL. *found_count is how many there are; when it
 * is more than `capacity`, the nearest are given. A list of level 0 has at most M0, one of a level above at most M. In
 * a handle opened with graph_only the order is that of the slots, and distances must be NULL. Beside inserts and
 * deletes the answer is the list of some moment. RHUMB_E_NOTFOUND: no such key. RHUMB_E_INVALID: the node is not on
 * that level. RHUMB_E_UNSUPPORTED, RHUMB_E_NOMEM. */
RHUMB_API rhumb_status rhumb_index_neighbours(rhumb_index *index, uint64_t key, uint32_t level, uint64_t *keys,
                                              float *distances, size_t capacity, size_t *found_count) RHUMB_NODISCARD;

/* A walk over the points of an index, in the order of insertion (or in that which a compaction chose). It shows what
 * was there when it was opened: keys inserted later do not come, and keys deleted meanwhile do not come any more. One
 * that is replaced meanwhile comes once or not at all; one that was just being replaced at the opening, once or twice.
 * A cursor is for one thread at a time; there may be any number.
 */
typedef struct rhumb_point_cursor rhumb_point_cursor;

/* Begins a walk over the points that are on `level`; level 0 has all. RHUMB_E_INVALID: there can be no such level.
 * RHUMB_E_NOMEM. */
RHUMB_API rhumb_status rhumb_point_cursor_open(rhumb_index *index, uint32_t level,
                                               rhumb_point_cursor **cursor_out) RHUMB_NODISCARD;

/* The next points, at most `capacity` of them: key, vector (as rhumb_index_vector_view gives it) and highest level.
 * Each array has `capacity` places or is NULL. *count is how many; 0: that was all. RHUMB_E_STALE: the handle was
 * refreshed to a newer checkpoint, or compacted, since the cursor was opened. RHUMB_E_UNSUPPORTED: vectors in a handle
 * opened with graph_only. */
RHUMB_API rhumb_status rhumb_point_cursor_next(rhumb_point_cursor *cursor, size_t capacity, uint64_t *keys,
                                               const void **vectors, uint32_t *levels, size_t *count) RHUMB_NODISCARD;

/* NULL is fine; so is a cursor whose index has been closed, which is good for nothing else. */
RHUMB_API void rhumb_point_cursor_close(rhumb_point_cursor *cursor);

#ifdef __cplusplus
}
#endif

#endif /* RHUMB_POINTS_H */
