/* iterator.h - a walk that can be resumed: returns the nearest nodes one after the other, as many as the caller wants.
 *
 * Between two calls an iterator keeps nothing of a graph but slot numbers, and knows the graph by its number. When it
 * finds another graph in its place, it begins again there and passes over the keys that it has returned.
 *
 * Belongs to one thread at a time. Owns memory that grows with the number of nodes it has met.
 */
#ifndef RHUMB_ENGINE_SEARCH_ITERATOR_H
#define RHUMB_ENGINE_SEARCH_ITERATOR_H

#include "engine/search/search.h"

typedef struct rhumb__iterator rhumb__iterator;

/* Makes an iterator for a request that is neither exact nor within a radius and leaves no key out. request->ef is how
 * far it walks ahead. The query and the filter are copied, the arrays of the filter are not. The iterator is the
 * caller's: rhumb__iterator_free. The failures of rhumb__request_set_query; RHUMB_E_NOMEM. */
rhumb_status rhumb__iterator_new(rhumb__scratch *scratch, const rhumb__request *request,
                                 rhumb__iterator **iterator_out) RHUMB_NODISCARD;

/* Returns the next answers, as many as `answer` has room for; fewer only at the end or on failure, and nothing is
 * filled in after them. answer->found_count is set in every case. After a failure the next call continues.
 * RHUMB_E_NOMEM; RHUMB_E_INVALID: keys of a filter that should ascend do not; RHUMB_E_UNSUPPORTED: the graph has no
 * vectors. */
rhumb_status rhumb__iterator_next(rhumb__iterator *iterator, rhumb__scratch *scratch,
                                  rhumb__answer *answer) RHUMB_NODISCARD;

/* NULL is allowed. */
void rhumb__iterator_free(rhumb__iterator *iterator);

#endif /* RHUMB_ENGINE_SEARCH_ITERATOR_H */
