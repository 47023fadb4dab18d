/* iterator.h - the nearest nodes one after the other, for as long as somebody asks.
 *
 * Between two calls an iterator holds on to nothing of a graph but slot numbers, and knows the graph by its number.
 * When it finds another graph in its place, it begins anew there and passes over the keys that it has given out.
 *
 * Belongs to one thread at a time. Its memory is its own, and grows with what it has seen.
 */
#ifndef RHUMB_ENGINE_SEARCH_ITERATOR_H
#define RHUMB_ENGINE_SEARCH_ITERATOR_H

#include "engine/search/scratch.h"

typedef struct rhumb__iterator rhumb__iterator;

/* An iterator for the query in scratch->query (an index has the same space in all its graphs). `ef` is how far it looks
 * ahead; `filter` (NULL: none) is copied, what it points to is not. The caller's: rhumb__iterator_free. RHUMB_E_NOMEM.
 */
rhumb_status rhumb__iterator_new(rhumb__scratch *scratch, uint32_t ef, const rhumb__filter *filter,
                                 rhumb__iterator **iterator_out) RHUMB_NODISCARD;

/* The next `count` answers, fewer only when there are no more, or on failure; *found_count_out is set in every case.
 * `distances` may be NULL. After a failure the next call goes on. RHUMB_E_NOMEM, and what a filter may return. */
rhumb_status rhumb__iterator_next(rhumb__iterator *iterator, rhumb__scratch *scratch, uint64_t count, uint64_t *keys,
                                  float *distances, uint64_t *found_count_out) RHUMB_NODISCARD;

/* NULL is fine. */
void rhumb__iterator_free(rhumb__iterator *iterator);

#endif /* RHUMB_ENGINE_SEARCH_ITERATOR_H */
