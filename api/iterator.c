/* iterator.c - iterators as the caller sees them: the engine's, and the handle that knows the current graph.
 *
 * A call takes a scratch, which keeps the graph alive, and returns it: between calls an iterator delays neither a
 * refresh nor anything else.
 */
#include "engine/search/iterator.h"

#include "api/search.h"
#include "base/alloc.h"
#include "base/status.h"

struct rhumb_iterator {
    rhumb_index *index;
    rhumb__iterator *walk;
};

rhumb_status rhumb_iterator_open(rhumb_index *index, const void *query, const rhumb_search_options *options,
                                 rhumb_iterator **iterator_out) {
    rhumb_status status;
    rhumb__search_setup setup;
    rhumb__scratch *scratch = NULL;
    rhumb__graph *graph = NULL;
    rhumb_iterator *iterator = NULL;
    RHUMB_TRY(rhumb__search_setup_make(&setup, index, 0, 1, options));
    RHUMB_TRY(rhumb__search_setup_refuse_recall(&setup));
    if (query == NULL || iterator_out == NULL) {
        status = rhumb__fail(RHUMB_E_INVALID, "%s is NULL", query == NULL ? "the query" : "iterator_out");
        goto done;
    }
    iterator = rhumb__alloc_zeroed(1, sizeof *iterator);
    if (iterator == NULL) {
        status = rhumb__fail(RHUMB_E_NOMEM, "no memory for an iterator");
        goto done;
    }
    iterator->index = index;
    setup.request.query = query;
    RHUMB_TRY(rhumb__handle_enter(index, &scratch, &graph));
    status = rhumb__iterator_new(scratch, &setup.request, &iterator->walk);
done:
    status = rhumb__handle_leave(scratch, status);
    if (status == RHUMB_OK) {
        *iterator_out = iterator;
    } else {
        rhumb_iterator_close(iterator);
    }
    return status;
}

rhumb_status rhumb_iterator_next(rhumb_iterator *iterator, size_t max_count, uint64_t *keys, float *distances,
                                 size_t *found_count) {
    rhumb_status status;
    rhumb__scratch *scratch = NULL;
    rhumb__graph *graph = NULL;
    rhumb__answer answer = {.keys = keys, .distances = distances, .capacity = max_count};
    if (iterator == NULL || found_count == NULL || (keys == NULL && max_count > 0)) {
        return rhumb__fail(RHUMB_E_INVALID, "%s is NULL",
                           iterator == NULL      ? "iterator"
                           : found_count == NULL ? "found_count"
                                                 : "keys");
    }
    RHUMB_TRY(rhumb__handle_check(iterator->index, false));
    RHUMB_TRY(rhumb__handle_enter(iterator->index, &scratch, &graph));
    status = rhumb__iterator_next(iterator->walk, scratch, &answer);
done:
    *found_count = (size_t)answer.found_count;
    return rhumb__handle_leave(scratch, status);
}

void rhumb_iterator_close(rhumb_iterator *iterator) {
    if (iterator == NULL) return;
    rhumb__iterator_free(iterator->walk);
    rhumb__free(iterator);
}
