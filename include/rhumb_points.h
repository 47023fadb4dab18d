/* rhumb_points.h - the points of an index one by one: vectors, levels, neighbours, and walks over all points. Part of
 * the manual; include rhumb.h, which includes this file.
 *
 *   For the graph as a whole, or without vectors, see rhumb_topology.h. A look-up of a key that another thread is
 *   replacing waits for the new vector, up to a second.
 */
#ifndef RHUMB_POINTS_H
#define RHUMB_POINTS_H

#include "rhumb.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- by key ------------------------------------------------------------------------------------------------------ */

/* Returns how many vectors searches can find; 0 for a NULL handle. */
RHUMB_API uint64_t rhumb_index_count(const rhumb_index *index);

/* Sets *found to whether the key is in the index. */
RHUMB_API rhumb_status rhumb_index_contains(rhumb_index *index, uint64_t key, bool *found) RHUMB_NODISCARD;

/* Copies the vector of a key, as it was inserted or normalised.
 *
 * Parameters:
 *   vector    room for dim components. Under levenshtein a rhumb_sequence whose elements point to room for `length` of
 *             them; its length becomes that of the vector, also if the room is too small.
 *
 * Errors:
 *   RHUMB_E_NOTFOUND       the key is not in the index
 *   RHUMB_E_INVALID        the room for a sequence is too small
 *   RHUMB_E_UNSUPPORTED    the handle was opened with graph_only
 */
RHUMB_API rhumb_status rhumb_index_get_vector(rhumb_index *index, uint64_t key, void *vector) RHUMB_NODISCARD;

/* Sets *vector to the vector of a key in the mapped file, without a copy.
 *
 * The vector is read-only. It stays valid and unchanged, even when the key is deleted or replaced, until the handle is
 * closed, refreshed to a newer checkpoint or compacted in place; one from rhumb_lease_vector stays valid longer.
 *
 * Errors:
 *   RHUMB_E_NOTFOUND       the key is not in the index
 *   RHUMB_E_UNSUPPORTED    the handle was opened with graph_only
 */
RHUMB_API rhumb_status rhumb_index_vector_view(rhumb_index *index, uint64_t key, const void **vector) RHUMB_NODISCARD;

/* A claim on vectors in place: those that rhumb_lease_vector returns stay valid and unchanged until the lease is
 * released, whatever happens to the handle, the key and the index: also after the key is deleted or replaced, the index
 * compacted in place, the handle refreshed or closed.
 *
 * It delays nothing. What it keeps, apart from the handle's own memory, are mappings of the vectors that a compaction
 * or a refresh has put others in the place of, and the blocks of the file that these lie in, by a pin like that of a
 * reader; the space is free again some time after the release. A lease that is kept for long should now and then be
 * replaced by a new one. Any number of threads may use a lease, and any number of leases may exist. In a forked child
 * its vectors are not there; release is the only call that is allowed. */
typedef struct rhumb_lease rhumb_lease;

/* Begins a lease.
 *
 * Parameters:
 *   lease_out    receives the lease; release it with rhumb_lease_release
 */
RHUMB_API rhumb_status rhumb_lease_take(rhumb_index *index, rhumb_lease **lease_out) RHUMB_NODISCARD;

/* Sets *vector to the vector that a key has now, as rhumb_index_vector_view does, valid until the lease is released.
 * Not to be called after the handle has been closed.
 *
 * Errors:
 *   RHUMB_E_NOTFOUND       the key is not in the index
 *   RHUMB_E_UNSUPPORTED    the handle was opened with graph_only
 */
RHUMB_API rhumb_status rhumb_lease_vector(rhumb_lease *lease, uint64_t key, const void **vector) RHUMB_NODISCARD;

/* Releases a lease and its vectors, before or after the handle is closed. NULL is allowed. No other call on the lease
 * may be running. */
RHUMB_API void rhumb_lease_release(rhumb_lease *lease);

/* Sets *level to the highest level that the node of a key is on.
 *
 * Errors:
 *   RHUMB_E_NOTFOUND    the key is not in the index
 */
RHUMB_API rhumb_status rhumb_index_level(rhumb_index *index, uint64_t key, uint32_t *level) RHUMB_NODISCARD;

#define RHUMB_LEVELS_ALL UINT32_MAX /* in place of a level: all levels of the node, each neighbour once */

/* Lists the keys that a key's node has links to on a level, nearest first.
 *
 * Deleted neighbours are left out. While inserts and deletes run, the answer is the list as it was at some moment. In a
 * handle opened with graph_only the neighbours are in the order of their slots, and distances must be NULL.
 *
 * Parameters:
 *   level          a level of the node, or RHUMB_LEVELS_ALL
 *   keys           room for `capacity` keys. A list of level 0 has at most M0, one of a higher level at most M.
 *   distances      room for `capacity` distances to the key's vector, or NULL
 *   found_count    receives the number of neighbours; if it exceeds `capacity`, only the nearest are written
 *
 * Errors:
 *   RHUMB_E_NOTFOUND       the key is not in the index
 *   RHUMB_E_INVALID        the node is not on that level
 *   RHUMB_E_UNSUPPORTED    distances in a handle opened with graph_only
 */
RHUMB_API rhumb_status rhumb_index_neighbours(rhumb_index *index, uint64_t key, uint32_t level, uint64_t *keys,
                                              float *distances, size_t capacity, size_t *found_count) RHUMB_NODISCARD;

/* ---- all points -------------------------------------------------------------------------------------------------- */

/* A walk over the points of an index, in the order in which they lie in the file: that of insertion, unless a
 * compaction or a build in bulk chose another.
 *
 * It covers the points that existed when it was opened. Keys inserted later are not listed, nor are keys deleted before
 * their turn. A key that is replaced during the walk is listed once or not at all; one that was being replaced at the
 * opening, once or twice. A cursor belongs to one thread at a time; any number may be open. */
typedef struct rhumb_point_cursor rhumb_point_cursor;

/* Begins a walk over the points that are on a level.
 *
 * Parameters:
 *   level         0 for all points
 *   cursor_out    receives the cursor; release it with rhumb_point_cursor_close
 *
 * Errors:
 *   RHUMB_E_INVALID    the level is above RHUMB_LEVEL_MAX
 */
RHUMB_API rhumb_status rhumb_point_cursor_open(rhumb_index *index, uint32_t level,
                                               rhumb_point_cursor **cursor_out) RHUMB_NODISCARD;

/* Lists the next points, at most `capacity` of them.
 *
 * Parameters:
 *   capacity    room in each array, at least 1
 *   keys        receives the keys; may be NULL
 *   vectors     receives the vectors, in place as rhumb_index_vector_view returns them; may be NULL
 *   levels      receives the highest level of each point; may be NULL
 *   count       receives the number of points; 0: there are no more
 *
 * Errors:
 *   RHUMB_E_STALE          the handle was refreshed to a newer checkpoint, or compacted, since the cursor was opened
 *   RHUMB_E_UNSUPPORTED    vectors in a handle opened with graph_only
 */
RHUMB_API rhumb_status rhumb_point_cursor_next(rhumb_point_cursor *cursor, size_t capacity, uint64_t *keys,
                                               const void **vectors, uint32_t *levels, size_t *count) RHUMB_NODISCARD;

/* Releases a cursor. NULL is allowed. A cursor may also be closed after its index; no other call on it is allowed then.
 */
RHUMB_API void rhumb_point_cursor_close(rhumb_point_cursor *cursor);

#ifdef __cplusplus
}
#endif

#endif /* RHUMB_POINTS_H */
